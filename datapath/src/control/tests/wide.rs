//! A FLOW_MOD over many flows: others are served while it is made, packets meet it whole, its connection waits.

use super::*;

const LEN: u32 = 20_000;

fn numbered(n: u32) -> FlowMod {
    FlowMod {
        matching: in_port(n),
        cookie: Cookie((n % 2).into()),
        ..add(1, vec![output(1)])
    }
}

/// Two connections, and many flows.
fn bed(flags: u16) -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V13);
    bed.connect(2, ConnKind::Controller, Version::V13);
    for n in 0..LEN {
        let flow_mod = FlowMod {
            flags,
            ..numbered(n)
        };
        bed.say(1, Body::FlowMod(Box::new(flow_mod)));
    }
    bed.publish();
    bed.outputs();
    bed
}

impl Bed {
    fn published(&self) -> usize {
        let current = self.switch.publisher.current();
        let view = current.bridge(self.bridge).expect("there");
        view.tables[0].rules.len()
    }
    /// One turn of a daemon's loop.
    fn turn(&mut self) {
        self.switch.work(&mut self.out);
        assert!(self.switch.publish_ready(&mut self.out));
    }
}

#[test]
fn a_wide_delete_is_met_whole_and_others_are_served() {
    let mut bed = bed(0);
    let half = FlowMod {
        cookie: Cookie(1),
        cookie_mask: u64::MAX,
        ..command(FlowModCommand::Delete)
    };
    bed.say(1, Body::FlowMod(Box::new(half)));
    assert_eq!(bed.outputs(), [Output::More(conn(1))]);
    assert!(bed.switch.is_dumping(conn(1)) && !bed.switch.is_dumping(conn(2)));
    bed.switch.publish_ready(&mut bed.out);
    let mut turns = 0;
    while bed.switch.is_dumping(conn(1)) {
        assert_eq!(bed.published(), LEN as usize);
        assert!(bed.switch.is_busy() && bed.outputs().is_empty());
        // Asked at once; what is added stays, with the cookie that is deleted.
        bed.say(2, Body::EchoRequest(Default::default()));
        assert!(matches!(&bed.sent(2)[..], [Body::EchoReply(_)]));
        if turns < 3 {
            let flow_mod = numbered(LEN + 1 + 2 * turns);
            bed.say(2, Body::FlowMod(Box::new(flow_mod)));
        }
        bed.turn();
        turns += 1;
    }
    assert!(turns > 4, "{turns}");
    assert!(bed.outputs().contains(&Output::Done(conn(1))));
    bed.say(1, Body::BarrierRequest);
    while bed.switch.is_busy() {
        bed.turn();
    }
    assert_eq!(bed.sent(1), [Body::BarrierReply]);
    assert_eq!(bed.published(), LEN as usize / 2 + 3);
    let table = &bed.switch.bridges[&bed.bridge].flows;
    assert_eq!(table.len(TableId::ALL), LEN as usize / 2 + 3);
}

#[test]
fn a_wide_modify_changes_all_or_adds_or_is_refused() {
    let mut bed = bed(0);
    let modify = |cookie_mask| FlowMod {
        actions: vec![output(7)],
        cookie: Cookie(2),
        cookie_mask,
        ..command(FlowModCommand::Modify)
    };
    // It selects by a cookie that no flow has.
    assert_eq!(bed.flow_mod(1, modify(u64::MAX)), Ok(()));
    let sevens = |bed: &Bed| {
        let flows = &bed.switch.bridges[&bed.bridge].flows;
        let seven = [output(7)];
        flows
            .iter()
            .filter(|flow| *flow.rule.actions == seven)
            .count()
    };
    assert_eq!(sevens(&bed), 0);
    assert_eq!(bed.flow_mod(1, modify(0)), Ok(()));
    assert_eq!(sevens(&bed), LEN as usize);
    let none = FlowMod {
        table: TableId(3),
        ..modify(0)
    };
    assert_eq!(bed.flow_mod(1, none), Ok(()));
    assert_eq!(sevens(&bed), LEN as usize + 1);
    // An error has its place among the replies.
    let bad = FlowMod {
        actions: vec![Action::Group(ofp::types::GroupId(7))],
        ..modify(0)
    };
    assert!(bed.flow_mod(1, bad).is_err());
}

#[test]
fn flow_removed_comes_in_pieces_before_the_barrier() {
    let mut bed = bed(flow_flag::SEND_FLOW_REM);
    bed.say(2, Body::FlowMod(Box::new(command(FlowModCommand::Delete))));
    bed.switch.publish_ready(&mut bed.out);
    while bed.switch.is_dumping(conn(2)) {
        bed.turn();
    }
    bed.say(2, Body::BarrierRequest);
    let (mut removed, mut answered) = (0, false);
    while bed.switch.is_busy() {
        bed.turn();
        let said = bed.sent(2);
        assert!(said.len() <= 4 << 11, "{}", said.len());
        for body in said {
            match body {
                Body::FlowRemoved(_) if !answered => removed += 1,
                Body::BarrierReply => answered = true,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(answered);
    assert_eq!(removed, LEN);
}

#[test]
fn a_wide_change_survives_its_connection_and_ends_with_its_bridge() {
    let mut bed = bed(0);
    bed.say(1, Body::FlowMod(Box::new(command(FlowModCommand::Delete))));
    bed.switch.publish_ready(&mut bed.out);
    bed.turn();
    bed.switch.disconnect(conn(1));
    bed.publish();
    assert_eq!(bed.published(), 0);
    for n in 0..LEN {
        bed.say(2, Body::FlowMod(Box::new(numbered(n))));
    }
    bed.publish();
    bed.say(2, Body::FlowMod(Box::new(command(FlowModCommand::Delete))));
    bed.switch.publish_ready(&mut bed.out);
    bed.turn();
    bed.switch.remove_bridge(bed.bridge, &mut bed.out);
    bed.publish();
    assert!(!bed.switch.is_busy());
}

#[test]
fn a_wide_change_does_not_come_to_another_bridge_with_the_same_number() {
    let mut bed = bed(0);
    bed.say(1, Body::FlowMod(Box::new(command(FlowModCommand::Delete))));
    bed.switch.remove_bridge(bed.bridge, &mut bed.out);
    for _ in 0..100 {
        assert!(bed.switch.publish_ready(&mut bed.out));
        if bed.switch.wides.is_making() {
            break;
        }
        bed.switch.work(&mut bed.out);
    }
    let again = bed
        .switch
        .add_bridge(bed.now, "br0", BridgeSettings::default());
    assert_eq!(again, Ok(bed.bridge));
    bed.connect(3, ConnKind::Service, Version::V13);
    assert_eq!(bed.flow_mod(3, numbered(1)), Ok(()));
    bed.publish();
    let flows = bed.flows(3, every_flow());
    assert!(flows.iter().any(|flow| flow.cookie == Cookie(1)));
}

#[test]
fn a_wide_change_is_made_although_others_send_without_pause() {
    let mut bed = bed(0);
    let delete = FlowMod {
        cookie: Cookie(1),
        cookie_mask: u64::MAX,
        ..command(FlowModCommand::Delete)
    };
    bed.say(1, Body::FlowMod(Box::new(delete)));
    for _ in 0..4 {
        // More than is applied at once.
        for n in 0..5000 {
            bed.say(2, Body::FlowMod(Box::new(numbered(LEN + 2 * n))));
        }
        while bed.switch.is_busy() {
            bed.switch.work(&mut bed.out);
        }
        assert!(bed.switch.publish_ready(&mut bed.out));
    }
    assert!(!bed.switch.is_dumping(conn(1)));
}

/// A wide MODIFY to a group's action, and the group goes when so many turns were made; what is left, and what was said.
fn group_goes(turns: usize) -> (usize, usize, Vec<Body>) {
    let mut bed = bed(0);
    let group = |command| GroupMod {
        command,
        bucket: ofp::types::BucketId::ALL,
        desc: GroupDesc {
            group: ofp::types::GroupId(7),
            ..Default::default()
        },
    };
    let by_group = [Action::Group(ofp::types::GroupId(7))];
    let said = bed.ask(2, Body::GroupMod(Box::new(group(GroupCommand::Add))));
    assert!(said.is_empty(), "{said:?}");
    let modify = FlowMod {
        actions: by_group.to_vec(),
        ..command(FlowModCommand::Modify)
    };
    bed.say(1, Body::FlowMod(Box::new(modify)));
    bed.switch.publish_ready(&mut bed.out);
    for _ in 0..turns {
        bed.turn();
    }
    bed.say(2, Body::GroupMod(Box::new(group(GroupCommand::Delete))));
    bed.publish();
    let flows = &bed.switch.bridges[&bed.bridge].flows;
    let lost = flows.iter().filter(|flow| *flow.rule.actions == by_group);
    let (len, lost) = (flows.len(TableId::ALL), lost.count());
    assert_eq!(bed.published(), len);
    (len, lost, bed.sent(1))
}

#[test]
fn no_flow_is_left_with_a_group_that_goes_meanwhile() {
    let (len, lost, said) = group_goes(0);
    assert_eq!((len, lost), (LEN as usize, 0));
    assert!(matches!(&said[..], [Body::Error(said)] if said.error == OfError::ActionOutGroup));
    assert_eq!(group_goes(5), (0, 0, vec![]));
}

#[test]
fn a_long_reply_does_not_pile_up_behind_a_barrier() {
    let mut bed = bed(0);
    let half = FlowMod {
        cookie: Cookie(1),
        cookie_mask: u64::MAX,
        ..command(FlowModCommand::Delete)
    };
    bed.say(2, Body::FlowMod(Box::new(half)));
    bed.switch.publish_ready(&mut bed.out);
    bed.say(1, Body::BarrierRequest);
    let request = MultipartRequest::Flow(Box::new(every_flow()));
    bed.say(1, Body::MultipartRequest(request));
    for _ in 0..100 {
        assert!(bed.switch.dump(bed.now, conn(1), &mut bed.out));
    }
    assert!(bed.switch.is_delayed(conn(1)) && bed.sent(1).is_empty());
    assert!(bed.switch.connections[&conn(1)].waiting < 10);
    while bed.switch.is_busy() {
        bed.turn();
    }
    assert!(bed.out.contains(&Output::More(conn(1))) && !bed.switch.is_delayed(conn(1)));
    let mut said = bed.sent(1);
    while bed.switch.is_dumping(conn(1)) {
        bed.switch.dump(bed.now, conn(1), &mut bed.out);
        said.extend(bed.sent(1));
    }
    assert_eq!(said.remove(0), Body::BarrierReply);
    let is_last = |body: &Body| matches!(body, Body::MultipartReply(reply) if !reply.more);
    assert_eq!(said.iter().position(is_last), Some(said.len() - 1));
}

#[test]
fn who_is_behind_is_told_later_in_order_and_in_pieces() {
    let mut bed = bed(flow_flag::SEND_FLOW_REM);
    bed.switch.falls_behind(conn(2), &mut bed.out);
    bed.switch.falls_behind(conn(2), &mut bed.out);
    assert_eq!(bed.outputs(), [Output::More(conn(2))]);
    let delete = || Body::FlowMod(Box::new(command(FlowModCommand::Delete)));
    bed.say(2, delete());
    bed.publish();
    bed.say(2, Body::BarrierRequest);
    bed.publish();
    bed.say(2, Body::EchoRequest(Default::default()));
    bed.publish();
    assert!(bed.sent(2).is_empty());
    let (mut bodies, mut more) = (Vec::new(), true);
    while more {
        more = bed.switch.dump(bed.now, conn(2), &mut bed.out);
        let said = bed.sent(2);
        assert!(said.len() <= 1 << 11);
        bodies.extend(said);
    }
    assert!(matches!(bodies.pop(), Some(Body::EchoReply(_))));
    assert_eq!(bodies.pop(), Some(Body::BarrierReply));
    assert_eq!(bodies.len(), LEN as usize);
    let is_removal = |body: &Body| matches!(body, Body::FlowRemoved(_));
    assert!(bodies.iter().all(is_removal));
    // From now on at once.
    let flow_mod = FlowMod {
        flags: flow_flag::SEND_FLOW_REM,
        ..numbered(1)
    };
    bed.flow_mod(2, flow_mod).expect("valid");
    bed.say(1, delete());
    bed.publish();
    assert_eq!(bed.sent(2).len(), 1);
}
