//! What workers learn becomes flows: added, kept alive, limited, deleted with their teachers; and what FINs shorten.

use super::*;
use crate::model::RuleId;
use crate::model::event::Event;
use crate::model::learnt::{Finished, Learnt};
use ofp::action::Learn;

/// A flow of table 1 that a packet of this port teaches.
fn lesson(bridge: BridgeId, port: u32, limit: u32) -> Event {
    let flow = FlowMod {
        command: FlowModCommand::ModifyStrict,
        table: TableId(1),
        cookie: Cookie(7),
        idle_timeout_secs: 10,
        hard_timeout_secs: 20,
        flags: flow_flag::SEND_FLOW_REM,
        matching: in_port(port),
        actions: vec![output(port + 1)],
        ..FlowMod::default()
    };
    Event::Learn(Arc::new(Learnt {
        bridge,
        flow,
        limit,
    }))
}

/// A flow that teaches flows of table 1.
fn teacher(priority: u16, flags: u16) -> FlowMod {
    let learn = Learn {
        table: TableId(1),
        cookie: Cookie(7),
        flags,
        ..Learn::default()
    };
    add(priority, vec![Action::Learn(Box::new(learn))])
}

impl Bed {
    fn happens(&mut self, event: Event) {
        self.switch.event(self.now, event, &mut self.out);
        self.publish();
    }
    fn generation(&mut self) -> u64 {
        let snapshot = self.switch.publisher.current();
        snapshot.bridge(self.bridge).expect("there").tables[1].generation
    }
    /// As if a flow_mod of a connection had added it.
    fn install(&mut self, flow: &FlowMod) {
        let (now, bridge) = (self.now, self.bridge);
        let added = self
            .switch
            .add_flow(now, bridge, Version::V13, flow.clone());
        assert_eq!(added, Ok(()));
        self.publish();
    }
}

#[test]
fn a_flow_that_is_taught_again_lives_on() {
    let mut bed = Bed::new();
    bed.happens(lesson(bed.bridge, 1, 0));
    let flow = bed.all_flows().remove(0);
    assert_eq!((flow.table, flow.cookie), (TableId(1), Cookie(7)));
    assert_eq!((flow.idle_timeout_secs, flow.hard_timeout_secs), (10, 20));
    assert_eq!(flow.flags, flow_flag::SEND_FLOW_REM);
    assert_eq!(flow.actions, [output(2)]);
    let before = bed.generation();
    for _ in 0..5 {
        bed.wait(9);
        bed.happens(lesson(bed.bridge, 1, 0));
    }
    assert_eq!(bed.generation(), before, "nothing changes for the workers");
    assert_eq!(bed.all_flows()[0].duration.secs, 45);
    bed.wait(10);
    assert_eq!(bed.all_flows(), []);
    assert_eq!(bed.switch.counters().learnt, 1);
}

#[test]
fn another_lesson_changes_the_flow() {
    let mut bed = Bed::new();
    bed.happens(lesson(bed.bridge, 1, 0));
    let Event::Learn(learnt) = lesson(bed.bridge, 1, 0) else {
        unreachable!()
    };
    let mut other = (*learnt).clone();
    other.flow.actions = vec![output(9)];
    other.flow.idle_timeout_secs = 99;
    bed.happens(Event::Learn(Arc::new(other)));
    let flow = bed.all_flows().remove(0);
    // As a modify: the timeouts stay.
    assert_eq!(
        (flow.actions, flow.idle_timeout_secs),
        (vec![output(9)], 10)
    );
}

#[test]
fn a_limit_holds() {
    let mut bed = Bed::new();
    for port in 1..=5 {
        bed.happens(lesson(bed.bridge, port, 3));
    }
    assert_eq!(bed.all_flows().len(), 3);
    assert_eq!(bed.switch.counters().learns_limited, 2);
    // One that is there already may be taught, and another one when there is room.
    bed.happens(lesson(bed.bridge, 2, 3));
    bed.connect(1, ConnKind::Service, Version::V13);
    let delete = FlowMod {
        table: TableId(1),
        matching: in_port(1),
        ..command(FlowModCommand::Delete)
    };
    assert_eq!(bed.flow_mod(1, delete), Ok(()));
    bed.happens(lesson(bed.bridge, 5, 3));
    bed.happens(lesson(bed.bridge, 6, 3));
    assert_eq!(bed.all_flows().len(), 3);
    assert_eq!(bed.switch.counters().learns_limited, 3);
}

#[test]
fn flows_go_with_their_last_teacher() {
    const DELETE_LEARNED: u16 = 2;
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V13);
    for priority in 1..=2 {
        bed.install(&teacher(priority, DELETE_LEARNED));
    }
    bed.install(&teacher(3, 0));
    bed.happens(lesson(bed.bridge, 1, 0));
    bed.happens(lesson(bed.bridge, 2, 0));
    let delete = |priority| FlowMod {
        priority,
        ..command(FlowModCommand::DeleteStrict)
    };
    bed.flow_mod(1, delete(1)).expect("deletes");
    assert_eq!(bed.all_flows().len(), 4);
    // What the other one becomes does not teach.
    let modify = FlowMod {
        actions: vec![output(1)],
        priority: 2,
        cookie: Cookie(u64::MAX),
        ..command(FlowModCommand::ModifyStrict)
    };
    bed.flow_mod(1, modify).expect("modifies");
    assert_eq!(bed.all_flows().len(), 2);
}

#[test]
fn the_end_of_a_connection_shortens_timeouts() {
    let mut bed = Bed::new();
    bed.happens(lesson(bed.bridge, 1, 0));
    let snapshot = bed.switch.publisher.current();
    let view = snapshot.bridge(bed.bridge).expect("there");
    let rule = view.tables[1].rules.iter().next().expect("there").clone();
    let finish = |rule: &Arc<crate::model::Rule>, idle_secs, hard_secs| {
        Event::Finish(Arc::new(Finished {
            bridge: BridgeId(0),
            rule: rule.clone(),
            idle_secs,
            hard_secs,
        }))
    };
    drop(snapshot);
    let other = Arc::new(crate::model::Rule {
        id: RuleId(77),
        ..(*rule).clone()
    });
    bed.happens(finish(&other, 1, 1));
    bed.happens(finish(&rule, 0, 30));
    let timeouts = |flow: &FlowStats| (flow.idle_timeout_secs, flow.hard_timeout_secs);
    assert_eq!(timeouts(&bed.all_flows()[0]), (10, 20));
    bed.happens(finish(&rule, 5, 0));
    assert_eq!(timeouts(&bed.all_flows()[0]), (5, 20));
    bed.wait(5);
    assert_eq!(bed.all_flows(), []);
}

#[test]
fn a_field_that_is_not_mapped_any_more_is_not_learnt() {
    let mut bed = Bed::new();
    let Event::Learn(learnt) = lesson(bed.bridge, 1, 0) else {
        unreachable!()
    };
    let mut other = (*learnt).clone();
    let matching = &mut other.flow.matching;
    matching.set(Field::TunMetadata3.place(), 9, u128::MAX);
    bed.happens(Event::Learn(Arc::new(other)));
    assert_eq!(bed.all_flows(), []);
    assert_eq!(bed.switch.counters().learns_refused, 1);
}

#[test]
fn timeouts_that_were_shortened_make_no_new_flow() {
    let mut bed = Bed::new();
    bed.happens(lesson(bed.bridge, 1, 0));
    let (id, at) = (bed.bridge, bed.generation());
    let flows = &mut bed.switch.bridges.get_mut(&id).expect("there").flows;
    let place = flows.select(&super::super::flow_table::Selection {
        table: TableId(1),
        priority: None,
        matching: &Default::default(),
        cookie: Cookie(0),
        cookie_mask: 0,
        out_port: PortNo::ANY,
        out_group: ofp::types::GroupId::ANY,
    });
    flows.update(place[0], Time::default(), |flow| flow.idle_timeout_secs = 2);
    bed.happens(lesson(bed.bridge, 1, 0));
    assert_eq!(bed.generation(), at, "nothing changes for the workers");
    assert_eq!(bed.all_flows()[0].idle_timeout_secs, 2);
}

#[test]
fn a_teacher_that_goes_costs_what_others_have_nothing_to_do_with() {
    const TEACHERS: u16 = 10_000;
    let mut bed = Bed::new();
    let (now, bridge) = (bed.now, bed.bridge);
    for priority in 0..TEACHERS {
        let teacher = FlowMod {
            matching: in_port(priority.into()),
            ..teacher(priority, 2)
        };
        bed.switch
            .add_flow(now, bridge, Version::V13, teacher)
            .expect("room");
    }
    bed.connect(1, ConnKind::Service, Version::V13);
    let begin = std::time::Instant::now();
    for priority in 1..TEACHERS {
        let delete = FlowMod {
            priority,
            matching: in_port(priority.into()),
            ..command(FlowModCommand::DeleteStrict)
        };
        bed.say(1, Body::FlowMod(Box::new(delete)));
    }
    // To look at all others for each takes more than half a minute.
    assert!(begin.elapsed() < std::time::Duration::from_secs(10));
    assert_eq!(bed.all_flows().len(), 1);
}

#[test]
fn a_limited_lesson_does_not_count_all_flows_again() {
    const OTHERS: u32 = 10_000;
    let mut bed = Bed::new();
    let learn = Learn {
        table: TableId(1),
        cookie: Cookie(7),
        limit: 1_000_000,
        ..Learn::default()
    };
    bed.install(&add(1, vec![Action::Learn(Box::new(learn))]));
    let begin = std::time::Instant::now();
    for port in 1..OTHERS {
        let other = FlowMod {
            matching: in_port(port),
            table: TableId(1),
            ..add(9, Vec::new())
        };
        let (now, bridge) = (bed.now, bed.bridge);
        let added = bed.switch.add_flow(now, bridge, Version::V13, other);
        assert_eq!(added, Ok(()));
        let event = lesson(bed.bridge, port, 1_000_000);
        bed.switch.event(bed.now, event, &mut bed.out);
    }
    assert!(begin.elapsed() < std::time::Duration::from_secs(10));
    assert_eq!(bed.switch.counters().learnt, u64::from(OTHERS) - 1);
    let flows = &bed.switch.bridges[&bed.bridge].flows;
    let known = flows.limited(TableId(1), Cookie(7));
    assert_eq!(known, Some(OTHERS as usize - 1));
}

#[test]
fn the_end_of_a_connection_is_not_that_of_another_flow() {
    let mut bed = Bed::new();
    let mut flow = add(6, Vec::new());
    flow.hard_timeout_secs = 50;
    bed.install(&flow);
    let snapshot = bed.switch.publisher.current();
    let view = snapshot.bridge(bed.bridge).expect("there");
    let rule = view.tables[0].rules.iter().next().expect("there").clone();
    drop(snapshot);
    // The rule that had the slot before, which matched tunnel options.
    let mut gone = crate::model::Rule {
        priority: 5,
        ..(*rule).clone()
    };
    let option = ofp::key::Place::new(ofp::key::word::TUN_METADATA, 0, 32);
    gone.matching.set(option, 1, u128::MAX);
    let mut map = crate::model::tlv::TlvMap::default();
    let (class, kind, size, index) = (1, 1, 4, 0);
    assert!(map.add(TlvMapping {
        class,
        kind,
        size,
        index
    }));
    let bridge = bed.switch.bridges.get_mut(&bed.bridge).expect("there");
    bridge.config.tlvs = Some(Arc::new(map));
    let finish = |rule: crate::model::Rule| {
        Event::Finish(Arc::new(Finished {
            bridge: BridgeId(0),
            rule: Arc::new(rule),
            idle_secs: 1,
            hard_secs: 1,
        }))
    };
    bed.happens(finish(gone.clone()));
    assert_eq!(bed.all_flows()[0].hard_timeout_secs, 50);
    gone.priority = 6;
    bed.happens(finish(gone));
    assert_eq!(bed.all_flows()[0].hard_timeout_secs, 1);
}
