//! FLOW_MOD, flow statistics, timeouts and FLOW_REMOVED.

use super::*;

fn bed10() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V10);
    bed
}

fn bed13() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V13);
    bed
}

fn removed(bodies: Vec<Body>) -> Vec<FlowRemoved> {
    let of = |body| {
        if let Body::FlowRemoved(removed) = body {
            Some(*removed)
        } else {
            None
        }
    };
    bodies.into_iter().filter_map(of).collect()
}

#[test]
fn add_shows_what_was_given() {
    let mut bed = bed13();
    let flow = FlowMod {
        cookie: Cookie(0xabc),
        idle_timeout_secs: 60,
        hard_timeout_secs: 120,
        flags: flow_flag::SEND_FLOW_REM | flow_flag::NO_BYTE_COUNTS,
        matching: in_port(3),
        ..add(5, vec![output(2)])
    };
    bed.flow_mod(1, flow.clone()).unwrap();
    bed.credit(0, 5, 3);
    bed.now = bed.now + Time::secs(7);
    let shown = bed.all_flows();
    let want = FlowStats {
        table: TableId(0),
        duration: Duration { secs: 7, nanos: 0 },
        priority: 5,
        idle_timeout_secs: 60,
        hard_timeout_secs: 120,
        importance: 0,
        idle_age_secs: Some(7),
        hard_age_secs: Some(7),
        flags: flow.flags,
        cookie: Cookie(0xabc),
        packets: 3,
        bytes: 300,
        matching: in_port(3),
        actions: vec![output(2)],
    };
    assert_eq!(shown, [want]);
}

#[test]
fn add_over_an_equal_flow_clears_counters_before_12_and_keeps_them_since() {
    for (version, flags, kept) in [
        (Version::V10, 0, 0),
        (Version::V13, 0, 4),
        (Version::V13, flow_flag::RESET_COUNTS, 0),
    ] {
        let mut bed = Bed::new();
        bed.connect(1, ConnKind::Controller, version);
        bed.flow_mod(1, add(5, vec![output(2)])).unwrap();
        bed.credit(0, 5, 4);
        bed.now = bed.now + Time::secs(3);
        let flow_mod = FlowMod {
            flags: flags | flow_flag::SEND_FLOW_REM,
            ..add(5, vec![output(3)])
        };
        assert_eq!(removed(bed.ask(1, Body::FlowMod(Box::new(flow_mod)))), []);
        let shown = bed.all_flows();
        assert_eq!(
            (shown.len(), shown[0].packets, shown[0].duration.secs),
            (1, kept, 0)
        );
        assert_eq!(shown[0].actions, [output(3)]);
    }
}

#[test]
fn modify_keeps_counters_cookie_and_timeouts() {
    let mut bed = bed13();
    let flow = FlowMod {
        cookie: Cookie(1),
        idle_timeout_secs: 9,
        ..add(5, vec![output(2)])
    };
    bed.flow_mod(1, flow).unwrap();
    bed.credit(0, 5, 4);
    let modify = FlowMod {
        cookie: Cookie(u64::MAX),
        actions: vec![output(4)],
        ..command(FlowModCommand::Modify)
    };
    bed.flow_mod(1, modify.clone()).unwrap();
    let shown = bed.all_flows();
    assert_eq!(
        (
            shown[0].packets,
            shown[0].cookie,
            shown[0].idle_timeout_secs
        ),
        (4, Cookie(1), 9)
    );
    assert_eq!(shown[0].actions, [output(4)]);
    let reset = FlowMod {
        flags: flow_flag::RESET_COUNTS,
        ..modify
    };
    bed.flow_mod(1, reset).unwrap();
    assert_eq!(bed.all_flows()[0].packets, 0);
}

#[test]
fn modify_without_a_flow_adds_in_10_only() {
    let modify = FlowMod {
        cookie: Cookie(5),
        matching: in_port(1),
        actions: vec![output(2)],
        ..command(FlowModCommand::ModifyStrict)
    };
    let mut bed = bed13();
    let keep = FlowMod {
        cookie: Cookie(u64::MAX),
        ..modify.clone()
    };
    bed.flow_mod(1, keep).unwrap();
    assert_eq!(bed.all_flows(), []);
    let mut bed = bed10();
    bed.flow_mod(1, modify.clone()).unwrap();
    assert_eq!(bed.all_flows()[0].cookie, Cookie(5));
    bed.flow_mod(
        1,
        FlowMod {
            cookie: Cookie(6),
            ..modify.clone()
        },
    )
    .unwrap();
    assert_eq!(bed.all_flows()[0].cookie, Cookie(6));
    let other = FlowMod {
        cookie: Cookie(1),
        cookie_mask: 0xf,
        matching: in_port(2),
        ..modify
    };
    bed.flow_mod(1, other).unwrap();
    assert_eq!(bed.all_flows().len(), 1);
}

#[test]
fn delete_by_cookie_port_table_and_strictly() {
    let mut bed = bed13();
    for port in 1..=4 {
        let flow = FlowMod {
            cookie: Cookie(port.into()),
            matching: in_port(port),
            table: TableId(port as u8 % 2),
            ..add(10, vec![output(port)])
        };
        bed.flow_mod(1, flow).unwrap();
    }
    let ports = |bed: &mut Bed| {
        let flows = bed.all_flows();
        let mut cookies: Vec<u64> = flows.iter().map(|f| f.cookie.0).collect();
        cookies.sort_unstable();
        cookies
    };
    let delete = || FlowMod {
        table: TableId::ALL,
        ..command(FlowModCommand::Delete)
    };
    let strict = FlowMod {
        priority: 9,
        matching: in_port(1),
        ..command(FlowModCommand::DeleteStrict)
    };
    bed.flow_mod(
        1,
        FlowMod {
            table: TableId(1),
            ..strict.clone()
        },
    )
    .unwrap();
    assert_eq!(ports(&mut bed), [1, 2, 3, 4]);
    bed.flow_mod(
        1,
        FlowMod {
            table: TableId(1),
            priority: 10,
            ..strict
        },
    )
    .unwrap();
    assert_eq!(ports(&mut bed), [2, 3, 4]);
    bed.flow_mod(
        1,
        FlowMod {
            cookie: Cookie(2),
            cookie_mask: u64::MAX,
            ..delete()
        },
    )
    .unwrap();
    assert_eq!(ports(&mut bed), [3, 4]);
    bed.flow_mod(
        1,
        FlowMod {
            out_port: PortNo(4),
            table: TableId(1),
            ..delete()
        },
    )
    .unwrap();
    assert_eq!(ports(&mut bed), [3, 4]);
    bed.flow_mod(
        1,
        FlowMod {
            out_port: PortNo(4),
            ..delete()
        },
    )
    .unwrap();
    assert_eq!(ports(&mut bed), [3]);
    bed.flow_mod(1, delete()).unwrap();
    assert_eq!(ports(&mut bed), [0u64; 0]);
    let snapshot = bed.switch.publisher.current();
    let tables = &snapshot.bridge(bed.bridge).expect("there").tables;
    assert!(tables.iter().all(|t| t.rules.is_empty()));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut bed = bed13();
    bed.flow_mod(1, add(5, vec![output(2)])).unwrap();
    let before = bed.all_flows();
    let cases = [
        (
            FlowMod {
                table: TableId(254),
                ..add(5, vec![])
            },
            OfError::PermissionsError,
        ),
        (
            FlowMod {
                buffer_id: 7,
                ..add(5, vec![])
            },
            OfError::BufferUnknown,
        ),
        (
            FlowMod {
                flags: flow_flag::EMERGENCY10,
                ..add(5, vec![])
            },
            OfError::FlowTableFull,
        ),
        (
            FlowMod {
                flags: flow_flag::CHECK_OVERLAP,
                matching: in_port(1),
                ..add(5, vec![])
            },
            OfError::FlowOverlap,
        ),
        (add(5, vec![output(0xff00)]), OfError::ActionOutPort),
        (
            add(5, vec![Action::Group(ofp::types::GroupId(1))]),
            OfError::ActionOutGroup,
        ),
        (
            add(5, vec![Action::Meter(ofp::types::MeterId(1))]),
            OfError::MeterInvalid,
        ),
        (
            add(5, vec![Action::GotoTable(TableId(0))]),
            OfError::InstructionTableId,
        ),
        (
            add(5, vec![Action::GotoTable(TableId(254))]),
            OfError::InstructionTableId,
        ),
        (
            add(5, vec![Action::ClearActions, output(1)]),
            OfError::UnsupportedOrder,
        ),
        (
            add(5, vec![Action::WriteActions(vec![output(0)])]),
            OfError::ActionOutPort,
        ),
    ];
    for (flow_mod, error) in cases {
        assert_eq!(
            bed.flow_mod(1, flow_mod.clone()),
            Err(error),
            "{flow_mod:?}"
        );
        assert_eq!(bed.all_flows(), before);
    }
}

#[test]
fn flow_removed_waits_for_the_workers_and_has_final_counters() {
    let mut bed = bed13();
    let flow = FlowMod {
        flags: flow_flag::SEND_FLOW_REM,
        ..add(5, vec![output(2)])
    };
    bed.flow_mod(1, flow).unwrap();
    bed.credit(0, 5, 1);
    bed.now = bed.now + Time::millis(2500);
    let mut reader = bed.switch.publisher().reader();
    let snapshot = reader.snapshot().clone();
    bed.say(1, Body::FlowMod(Box::new(command(FlowModCommand::Delete))));
    bed.say(1, Body::BarrierRequest);
    bed.say(1, Body::EchoRequest(Default::default()));
    assert!(!bed.switch.publish(&mut bed.out));
    assert_eq!(bed.sent(1), []);
    // A worker is still in a burst and credits the rule that is no longer in the table.
    let rules = &snapshot.bridge(bed.bridge).expect("there").tables[0].rules;
    let rule = rules.iter().next().expect("still there").id;
    bed.worker.credit(rule, 10, 1000, bed.now);
    drop(snapshot);
    reader.release();
    bed.publish();
    let bodies = bed.sent(1);
    let [
        Body::FlowRemoved(removed),
        Body::BarrierReply,
        Body::EchoReply(_),
    ] = &bodies[..]
    else {
        panic!("{bodies:?}")
    };
    assert_eq!((removed.packets, removed.bytes), (11, 1100));
    assert_eq!(
        removed.duration,
        Duration {
            secs: 2,
            nanos: 500_000_000
        }
    );
    // The slot is used again, and starts at 0.
    bed.flow_mod(1, add(6, vec![])).unwrap();
    assert_eq!(bed.all_flows()[0].packets, 0);
}

#[test]
fn timeouts_are_exact() {
    let mut bed = bed13();
    let timed = |priority, idle, hard| FlowMod {
        idle_timeout_secs: idle,
        hard_timeout_secs: hard,
        flags: flow_flag::SEND_FLOW_REM,
        ..add(priority, vec![])
    };
    bed.flow_mod(1, timed(1, 0, 10)).unwrap();
    bed.flow_mod(1, timed(2, 5, 0)).unwrap();
    bed.flow_mod(1, timed(3, 5, 9)).unwrap();
    let reasons = |bed: &mut Bed| -> Vec<(u16, FlowRemovedReason)> {
        removed(bed.sent(1))
            .iter()
            .map(|r| (r.priority, r.reason))
            .collect()
    };
    bed.wait(4);
    assert_eq!(reasons(&mut bed), []);
    bed.credit(0, 3, 1);
    bed.wait(1);
    assert_eq!(reasons(&mut bed), [(2, FlowRemovedReason::IdleTimeout)]);
    bed.wait(3);
    assert_eq!(reasons(&mut bed), []);
    bed.wait(1);
    // Idle since 4 and hard since 0: both at 9.
    assert_eq!(reasons(&mut bed), [(3, FlowRemovedReason::HardTimeout)]);
    assert_eq!(
        bed.switch.bridges[&bed.bridge].flows.next_deadline(),
        Some(Time::secs(1010))
    );
    bed.wait(1);
    assert_eq!(reasons(&mut bed), [(1, FlowRemovedReason::HardTimeout)]);
    assert_eq!(bed.all_flows(), []);
}

#[test]
fn dumps_are_ordered_and_come_in_parts() {
    let mut bed = bed13();
    for n in 0..3000u32 {
        let flow = FlowMod {
            matching: in_port(n + 1),
            table: TableId((n % 3) as u8),
            ..add((n % 5) as u16, vec![output(1)])
        };
        bed.say(1, Body::FlowMod(Box::new(flow)));
    }
    bed.publish();
    let flows = bed.all_flows();
    assert_eq!(flows.len(), 3000);
    assert!(flows.is_sorted_by_key(|f| (f.table, std::cmp::Reverse(f.priority))));
    let request = MultipartRequest::Flow(Box::new(every_flow()));
    assert!(bed.ask(99, Body::MultipartRequest(request)).len() > 5);
    let request = FlowStatsRequest {
        table: TableId(1),
        ..every_flow()
    };
    assert_eq!(bed.flows(99, request).len(), 1000);
    bed.credit(2, 4, 7);
    let request = MultipartRequest::Aggregate(Box::new(every_flow()));
    let reply = bed.ask(99, Body::MultipartRequest(request));
    let part = MultipartPart::Aggregate {
        packets: 7,
        bytes: 700,
        flows: 3000,
        nicira: false,
    };
    assert_eq!(
        reply,
        [Body::MultipartReply(MultipartReply { more: false, part })]
    );
}

#[test]
fn a_hundred_thousand_flows_come_and_go() {
    let mut bed = bed13();
    for n in 0..100_000u32 {
        let flow = FlowMod {
            matching: in_port(n + 1),
            ..add(7, vec![output(1)])
        };
        bed.say(1, Body::FlowMod(Box::new(flow)));
    }
    bed.publish();
    let strict = FlowModCommand::DeleteStrict;
    for n in 0..100_000u32 {
        let flow = FlowMod {
            priority: 7,
            matching: in_port(n + 1),
            ..command(strict)
        };
        bed.say(1, Body::FlowMod(Box::new(flow)));
    }
    bed.publish();
    assert_eq!(bed.switch.flows_len(bed.bridge), 0);
}

#[test]
fn a_rule_for_misses_says_so_to_the_workers_and_not_in_dumps() {
    let mut bed = bed13();
    let actions = vec![output(PortNo::CONTROLLER.0), output(3)];
    bed.flow_mod(1, add(0, actions.clone())).unwrap();
    assert_eq!(bed.all_flows()[0].actions, actions);
    let first = |bed: &Bed, priority| {
        let snapshot = bed.switch.publisher.current();
        let rules = &snapshot.bridge(bed.bridge).expect("there").tables[0].rules;
        let rule = rules
            .iter()
            .find(|r| r.priority == priority)
            .expect("there");
        rule.actions[0].clone()
    };
    let reason = ofp::action::PacketInReason::NoMatch;
    assert!(matches!(first(&bed, 0), Action::Controller(c) if c.reason == reason));
    bed.flow_mod(1, add(1, actions.clone())).unwrap();
    assert_eq!(first(&bed, 1), actions[0]);
    bed.flow_mod(1, command(FlowModCommand::Delete)).unwrap();
    assert_eq!(bed.all_flows(), []);
}

/// Nothing may be missing from a dump because it is too long in the reader's version.
#[test]
fn a_flow_that_no_dump_could_show_is_refused() {
    let mut bed = bed13();
    let actions = |len: usize| {
        let set = |n: usize| Action::SetIpv4Dst((n as u32).into());
        (0..len).map(set).collect::<Vec<_>>()
    };
    let mut flow = add(1, actions(3500));
    flow.matching.set(Field::EthType.place(), 0x800, u128::MAX);
    assert_eq!(bed.flow_mod(1, flow.clone()), Ok(()));
    // Eight bytes each in OpenFlow 1.0, sixteen in 1.3.
    flow.priority = 2;
    flow.actions = actions(4096);
    assert_eq!(bed.flow_mod(1, flow.clone()), Err(OfError::ActionTooMany));
    flow.command = FlowModCommand::Modify;
    assert_eq!(bed.flow_mod(1, flow), Err(OfError::ActionTooMany));
    for version in Version::SUPPORTED {
        let dialect = Dialect::new(*version);
        let part = MultipartPart::Flow {
            flows: bed.all_flows(),
            nicira: false,
        };
        let body = Body::MultipartReply(MultipartReply { more: false, part });
        let message = Message { xid: Xid(1), body };
        let mut bytes = bytes::BytesMut::new();
        message.encode(&dialect, &mut bytes);
        assert!(bytes.len() > 8 * 3500, "{version:?}");
    }
}

/// What a command about very many flows takes; it delays other messages, never forwarding.
#[test]
fn wide_commands_are_fast() {
    const FLOWS: u32 = 20_000;
    let mut bed = bed13();
    for n in 0..FLOWS {
        let mut flow = add(1, vec![output(1)]);
        flow.matching.set(Field::EthType.place(), 0x800, u128::MAX);
        flow.matching.set(Field::IpDst.place(), n.into(), u128::MAX);
        bed.say(1, Body::FlowMod(Box::new(flow)));
    }
    bed.publish();
    let mut timed = |what: &str, body: Body| {
        let started = std::time::Instant::now();
        let replies = bed.ask(1, body);
        println!("{what}: {:?}", started.elapsed());
        replies
    };
    let all = FlowStatsRequest {
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: ofp::types::GroupId::ANY,
        cookie: Cookie(0),
        cookie_mask: 0,
        matching: Default::default(),
        nicira: false,
    };
    let request = MultipartRequest::Aggregate(Box::new(all));
    let replies = timed("aggregate", Body::MultipartRequest(request));
    assert!(matches!(
        replies.as_slice(),
        [Body::MultipartReply(MultipartReply {
            part: MultipartPart::Aggregate { flows: FLOWS, .. },
            ..
        })]
    ));
    for (what, command) in [
        ("modify", FlowModCommand::Modify),
        ("delete", FlowModCommand::Delete),
    ] {
        let flow = FlowMod {
            command,
            ..add(1, vec![output(2)])
        };
        assert_eq!(timed(what, Body::FlowMod(Box::new(flow))), []);
    }
    assert_eq!(bed.all_flows(), []);
}
