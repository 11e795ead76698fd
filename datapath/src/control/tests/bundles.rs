//! Bundles: what ends them, and that they are obeyed as one or not at all.

use super::*;
use bytes::Bytes;
use ofp::types::{BucketId, GroupId, MeterId};
use proptest::prelude::*;

const BOTH: u16 = bundle_flag::ATOMIC | bundle_flag::ORDERED;

fn bed() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V14);
    bed.connect(2, ConnKind::Controller, Version::V14);
    let mut out = Vec::new();
    for number in 1..4 {
        let name = format!("p{number}");
        let settings = PortSettings::new(&name, PortType::Internal);
        let added = bed.switch.add_port(bed.now, bed.bridge, settings, &mut out);
        added.expect("valid");
    }
    bed.publish();
    bed.outputs();
    bed
}

fn control(bundle: u32, command: BundleCommand, flags: u16) -> Body {
    Body::BundleControl(BundleControl {
        bundle,
        command,
        flags,
    })
}

fn add_to(bundle: u32, flags: u16, body: Body) -> Body {
    Body::BundleAdd(Box::new(BundleAdd {
        bundle,
        flags,
        message: Message { xid: Xid(9), body },
        raw: Bytes::from_static(&[3; 20]),
    }))
}

fn group_mod(command: GroupCommand, group: u32, buckets: Vec<Bucket>) -> Body {
    Body::GroupMod(Box::new(GroupMod {
        command,
        bucket: BucketId::LAST,
        desc: GroupDesc {
            group: GroupId(group),
            buckets,
            ..Default::default()
        },
    }))
}

fn flow(priority: u16) -> Body {
    Body::FlowMod(Box::new(add(priority, vec![output(1)])))
}

/// Fails when it is obeyed.
fn failing() -> Body {
    group_mod(GroupCommand::Modify, 99, Vec::new())
}

/// What a reply is, shortly.
fn word(body: &Body) -> Result<BundleCommand, OfError> {
    match body {
        Body::BundleControl(control) => Ok(control.command),
        Body::Error(error) => Err(error.error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bundles_end_as_with_open_vswitch() {
    use BundleCommand::*;
    use OfError::{BundleClosed, BundleFlags, BundleId, BundleType};
    let mut bed = bed();
    for (bundle, command, flags, want) in [
        (1, OpenRequest, BOTH, Ok(OpenReply)),
        (1, OpenRequest, BOTH, Err(BundleId)),
        (1, CloseRequest, BOTH, Err(BundleId)),
        (1, CommitRequest, BOTH, Err(BundleId)),
        (1, DiscardRequest, BOTH, Err(BundleId)),
        (1, OpenReply, BOTH, Err(BundleType)),
        (1, OpenRequest, 8, Err(BundleFlags)),
        (5, OpenRequest, BOTH, Ok(OpenReply)),
        (5, CloseRequest, 1, Err(BundleFlags)),
        (5, CloseRequest, BOTH, Err(BundleId)),
        (6, OpenRequest, BOTH, Ok(OpenReply)),
        (6, CommitRequest, 1, Err(BundleFlags)),
        (6, CommitRequest, BOTH, Err(BundleId)),
        (7, OpenRequest, BOTH, Ok(OpenReply)),
        (7, DiscardRequest, 1, Ok(DiscardReply)),
        (8, OpenRequest, BOTH, Ok(OpenReply)),
        (8, CloseRequest, BOTH, Ok(CloseReply)),
        (8, CloseRequest, BOTH, Err(BundleClosed)),
        (8, CloseRequest, BOTH, Err(BundleId)),
        (9, OpenRequest, 0, Ok(OpenReply)),
        (9, CloseRequest, 0, Ok(CloseReply)),
        (9, CommitRequest, 0, Ok(CommitReply)),
    ] {
        let replies = bed.ask(1, control(bundle, command, flags));
        let words: Vec<_> = replies.iter().map(word).collect();
        assert_eq!(words, [want], "{bundle} {command:?}");
    }
}

#[test]
fn messages_are_looked_at_when_they_are_added() {
    use OfError::{
        BundleClosed, BundleFlags, BundleId, BundleMessageUnsupported, BundleMessageXid,
        BundleTooMany,
    };
    let mut bed = bed();
    let mut say = |body, want: &[OfError]| {
        let replies = bed.ask(1, body);
        let errors: Vec<_> = replies.iter().filter_map(|body| word(body).err()).collect();
        assert_eq!(errors, want);
    };
    // A bundle that is not there is opened.
    say(add_to(1, BOTH, flow(1)), &[]);
    say(add_to(1, 1, flow(2)), &[BundleFlags]);
    say(control(1, BundleCommand::CommitRequest, BOTH), &[BundleId]);
    say(
        add_to(2, BOTH, Body::EchoRequest(Bytes::new())),
        &[BundleMessageUnsupported],
    );
    say(control(2, BundleCommand::CommitRequest, BOTH), &[BundleId]);
    let loops = vec![Action::GotoTable(TableId(0))];
    let wrong = Body::FlowMod(Box::new(add(1, loops)));
    say(add_to(2, BOTH, wrong), &[OfError::InstructionTableId]);
    let mut other_xid = add_to(2, BOTH, flow(1));
    if let Body::BundleAdd(add) = &mut other_xid {
        add.message.xid = Xid(8);
    }
    say(other_xid, &[BundleMessageXid]);
    say(control(3, BundleCommand::OpenRequest, BOTH), &[]);
    say(control(3, BundleCommand::CloseRequest, BOTH), &[]);
    say(add_to(3, BOTH, flow(1)), &[BundleClosed]);
    for bundle in 10..26 {
        say(control(bundle, BundleCommand::OpenRequest, 0), &[]);
    }
    say(control(26, BundleCommand::OpenRequest, 0), &[BundleTooMany]);
    say(add_to(26, 0, flow(1)), &[BundleTooMany]);
}

#[test]
fn a_bundle_that_is_left_alone_is_dropped() {
    let mut bed = bed();
    bed.ask(1, control(1, BundleCommand::OpenRequest, BOTH));
    bed.wait(6);
    bed.ask(1, add_to(1, BOTH, flow(1)));
    bed.wait(6);
    assert_eq!(bed.sent(1), []);
    bed.wait(4);
    let words: Vec<_> = bed.sent(1).iter().map(word).collect();
    assert_eq!(words, [Err(OfError::BundleTimeout)]);
    assert_eq!(bed.switch.counters().bundles_timed_out, 1);
    let replies = bed.ask(1, control(1, BundleCommand::CommitRequest, BOTH));
    assert_eq!(word(&replies[0]), Err(OfError::BundleId));
}

#[test]
fn bundles_of_many_connections_take_bounded_memory() {
    let mut bed = bed();
    // As long as it takes: nobody writes to it.
    let raw = Bytes::from(vec![0; 100 << 20]);
    let mut kept = 0;
    for number in 10..20 {
        bed.connect(number, ConnKind::Controller, Version::V14);
        for _ in 0..2 {
            let mut message = add_to(1, BOTH, flow(1));
            if let Body::BundleAdd(add) = &mut message {
                add.raw = raw.clone();
            }
            let replies = bed.ask(number, message);
            match replies.iter().map(word).next() {
                None => kept += 1,
                Some(error) => assert_eq!(error, Err(OfError::BundleMessageTooMany)),
            }
        }
    }
    assert_eq!(kept, 5);
    assert_eq!(bed.switch.counters().bundles_full, 15);
}

#[test]
fn a_failing_message_is_named_before_its_bundle() {
    let mut bed = bed();
    bed.say(1, add_to(1, BOTH, flow(7)));
    bed.say(1, add_to(1, BOTH, failing()));
    let replies = bed.ask(1, control(1, BundleCommand::CommitRequest, BOTH));
    match &replies[..] {
        [Body::Error(first), Body::Error(second)] => {
            assert_eq!(
                (first.error, &first.data[..]),
                (OfError::GroupUnknown, &[3; 20][..])
            );
            assert_eq!(second.error, OfError::BundleMessageFailed);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bed.all_flows(), []);
}

#[test]
fn packets_are_sent_when_the_whole_bundle_is_seen() {
    let mut bed = bed();
    let packet_out = Body::PacketOut(Box::new(ofp::message::PacketOut {
        in_port: PortNo::CONTROLLER,
        buffer_id: u32::MAX,
        actions: vec![Action::Group(GroupId(1))],
        data: Bytes::from_static(&[0; 60]),
        ..Default::default()
    }));
    let bucket = Bucket {
        weight: 0,
        actions: vec![output(1)],
        ..Default::default()
    };
    bed.say(
        1,
        add_to(1, BOTH, group_mod(GroupCommand::Add, 1, vec![bucket])),
    );
    bed.say(1, add_to(1, BOTH, packet_out.clone()));
    bed.say(1, add_to(1, BOTH, flow(1)));
    bed.say(1, control(1, BundleCommand::CommitRequest, BOTH));
    assert_eq!(bed.outputs(), []);
    bed.publish();
    let outputs = bed.outputs();
    assert!(matches!(outputs[0], Output::PacketOut(_)), "{outputs:?}");
    // In the order of the bundle, whatever is between them.
    for body in [packet_out.clone(), flow(2), packet_out.clone()] {
        bed.say(1, add_to(1, BOTH, body));
    }
    bed.say(1, control(1, BundleCommand::CommitRequest, BOTH));
    bed.publish();
    let outputs = bed.outputs().into_iter();
    let number = |output| match output {
        Output::PacketOut(packet) => Some(packet.number),
        _ => None,
    };
    assert_eq!(outputs.filter_map(number).collect::<Vec<_>>(), [2, 3]);
    // One that fails sends nothing.
    bed.say(1, add_to(1, BOTH, packet_out));
    bed.say(1, add_to(1, BOTH, failing()));
    bed.say(1, control(1, BundleCommand::CommitRequest, BOTH));
    bed.publish();
    let sends = |output: &Output| matches!(output, Output::PacketOut(_));
    assert!(!bed.outputs().iter().any(sends));
}

#[test]
fn other_controllers_are_told_of_groups_and_meters_if_they_ask() {
    let mut bed = bed();
    let wanted = AsyncConfig {
        requestforward: [0b01, 0],
        ..Default::default()
    };
    bed.ask(2, Body::SetAsync(wanted.into()));
    let request = group_mod(GroupCommand::AddOrModify, 1, Vec::new());
    bed.ask(1, request.clone());
    let told = |command| {
        let request = group_mod(command, 1, Vec::new());
        Body::RequestForward(Box::new(RequestForward {
            xid: Xid(9),
            request,
        }))
    };
    bed.say(1, request);
    bed.publish();
    assert_eq!(bed.sent(2), [told(GroupCommand::Modify)]);
    let meter = meter_mod(MeterCommand::Add, 1, 5);
    bed.say(1, meter);
    bed.say(2, group_mod(GroupCommand::Delete, 1, Vec::new()));
    bed.publish();
    assert_eq!(bed.sent(2), []);
    // A bundle that fails was never there.
    bed.say(
        1,
        add_to(1, BOTH, group_mod(GroupCommand::Modify, 1, Vec::new())),
    );
    bed.say(1, add_to(1, BOTH, failing()));
    bed.say(1, control(1, BundleCommand::CommitRequest, BOTH));
    bed.publish();
    assert_eq!(bed.sent(2), []);
}

#[test]
fn monitors_are_told_of_what_was_committed() {
    let mut bed = bed();
    let request = MonitorRequest {
        id: 1,
        flags: monitor_flag::ADD | monitor_flag::REMOVED | monitor_flag::MODIFY,
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        ..Default::default()
    };
    let monitor = MultipartRequest::FlowMonitor(vec![request]);
    bed.ask(2, Body::MultipartRequest(monitor));
    for (last, want) in [(failing(), 0), (flow(2), 1)] {
        bed.say(1, add_to(1, BOTH, flow(1)));
        bed.say(1, add_to(1, BOTH, last));
        bed.say(1, control(1, BundleCommand::CommitRequest, BOTH));
        bed.publish();
        assert_eq!(bed.sent(2).len(), want);
    }
}

fn meter_mod(command: MeterCommand, meter: u32, rate: u32) -> Body {
    let band = Band {
        kind: BandKind::Drop,
        rate,
        burst: 0,
    };
    let config = MeterConfig {
        meter: MeterId(meter),
        flags: meter_flag::KBPS,
        bands: vec![band],
    };
    Body::MeterMod(Box::new(MeterMod { command, config }))
}

/// Everything that can be asked for: flows, groups, meters, ports; and what the workers see.
fn state(bed: &mut Bed) -> Vec<String> {
    use MultipartRequest as Ask;
    let mut state: Vec<String> = bed
        .all_flows()
        .iter()
        .map(|flow| format!("{flow:?}"))
        .collect();
    for request in [
        Ask::GroupDesc(GroupId::ALL),
        Ask::Group(GroupId::ALL),
        Ask::Meter(MeterId::ALL),
        Ask::MeterConfig(MeterId::ALL),
        Ask::PortDesc(PortNo::ANY),
        Ask::TableDesc,
    ] {
        state.push(format!("{:?}", bed.ask(1, Body::MultipartRequest(request))));
    }
    let snapshot = bed.switch.publisher.current();
    let view = snapshot.bridge(bed.bridge).expect("there");
    let rules = view.tables.iter().flat_map(|table| table.rules.iter());
    let mut seen: Vec<String> = rules
        .map(|rule| {
            format!(
                "{:?}",
                (rule.table, rule.priority, &rule.matching, &rule.actions)
            )
        })
        .chain(
            view.groups
                .values()
                .map(|(_, group)| format!("{:?}", (group.id, group.buckets.len()))),
        )
        .chain(
            view.meters
                .values()
                .map(|meter| format!("{:?}", meter.config)),
        )
        .collect();
    seen.sort();
    state.extend(seen);
    state.push(format!("{} slots", bed.switch.rule_slots.room()));
    state
}

/// Credits every rule and every group, each a little differently.
fn credit_all(bed: &mut Bed) {
    let snapshot = bed.switch.publisher.current();
    let view = snapshot.bridge(bed.bridge).expect("there");
    for rule in view.tables.iter().flat_map(|table| table.rules.iter()) {
        let packets = 1 + u64::from(rule.priority) + 10 * u64::from(rule.table.0);
        bed.worker.credit(rule.id, packets, 100 * packets, bed.now);
    }
    for (_, group) in view.groups.values() {
        bed.worker
            .credit(group.counter, group.id.0.into(), 60, bed.now);
        for bucket in &group.buckets {
            bed.worker
                .credit(bucket.counter, 1 + u64::from(bucket.id.0), 60, bed.now);
        }
    }
    drop(snapshot);
}

fn flow_mods() -> impl Strategy<Value = Body> {
    let actions = prop_oneof![
        (1..4u32).prop_map(|port| vec![output(port)]),
        (1..4u32).prop_map(|group| vec![Action::Group(GroupId(group))]),
        (1..3u32).prop_map(|meter| vec![Action::Meter(MeterId(meter)), output(1)]),
        (1..4u32).prop_map(|group| vec![Action::WriteActions(vec![Action::Group(GroupId(group))])]),
    ];
    let command = prop::sample::select(vec![
        FlowModCommand::Add,
        FlowModCommand::Add,
        FlowModCommand::Modify,
        FlowModCommand::ModifyStrict,
        FlowModCommand::Delete,
        FlowModCommand::DeleteStrict,
    ]);
    let flags = prop::sample::select(vec![0, flow_flag::RESET_COUNTS, flow_flag::CHECK_OVERLAP]);
    (
        command,
        actions,
        0..2u8,
        1..4u16,
        0..3u32,
        0..20u16,
        0..20u16,
        flags,
    )
        .prop_map(
            |(command, actions, table, priority, port, idle, hard, flags)| {
                Body::FlowMod(Box::new(FlowMod {
                    command,
                    actions,
                    table: TableId(table),
                    priority,
                    matching: if port == 0 {
                        Default::default()
                    } else {
                        in_port(port)
                    },
                    cookie: Cookie(port.into()),
                    idle_timeout_secs: idle,
                    hard_timeout_secs: hard,
                    flags: flags | flow_flag::SEND_FLOW_REM,
                    ..Default::default()
                }))
            },
        )
}

fn group_mods() -> impl Strategy<Value = Body> {
    use super::GroupCommand::*;
    let command = prop::sample::select(vec![
        Add,
        Add,
        AddOrModify,
        Modify,
        Delete,
        InsertBucket,
        RemoveBucket,
    ]);
    let action = prop_oneof![
        (1..4u32).prop_map(output),
        (1..4u32).prop_map(|group| Action::Group(GroupId(group)))
    ];
    let bucket = (0..4u32, action).prop_map(|(id, action)| Bucket {
        id: BucketId(id),
        weight: 0,
        actions: vec![action],
        ..Default::default()
    });
    (command, 1..4u32, prop::collection::vec(bucket, 0..3)).prop_map(|(command, id, buckets)| {
        let bucketless = matches!(command, Delete | RemoveBucket);
        group_mod(command, id, if bucketless { Vec::new() } else { buckets })
    })
}

fn messages() -> impl Strategy<Value = Vec<Body>> {
    use super::MeterCommand::*;
    let command = prop::sample::select(vec![Add, Add, Modify, Delete]);
    let meter_mods = (command, 1..3u32, 1..9u32).prop_map(|(c, id, rate)| meter_mod(c, id, rate));
    let port_mods = (1..4u32, 0..2u32).prop_map(|(port, bit)| {
        Body::PortMod(PortMod {
            port: PortNo(port),
            config: (bit * port_config::NO_FLOOD) | ((port & bit) * port_config::PORT_DOWN),
            mask: port_config::NO_FLOOD | port_config::PORT_DOWN,
            ..Default::default()
        })
    });
    let table_mods = (0..2u8, 0..2u32, 1..8u32).prop_map(|(table, bit, eviction_flags)| {
        Body::TableMod(TableMod {
            table: TableId(table),
            config: bit * table_config::EVICTION,
            eviction_flags: Some(eviction_flags),
            vacancy: None,
        })
    });
    let message = prop_oneof![
        6 => flow_mods(),
        4 => group_mods(),
        2 => meter_mods,
        1 => port_mods,
        1 => table_mods
    ];
    prop::collection::vec(message, 0..24)
}

/// Obeys what can be obeyed, one message after the other; returns that, and what controller 1 was told.
fn obey(bed: &mut Bed, messages: &[Body]) -> (Vec<Body>, Vec<Body>) {
    let (mut obeyed, mut told) = (Vec::new(), Vec::new());
    for message in messages {
        let replies = bed.ask(1, message.clone());
        if !replies.iter().any(|reply| matches!(reply, Body::Error(_))) {
            obeyed.push(message.clone());
            told.extend(replies);
        }
    }
    (obeyed, told)
}

fn commit(bed: &mut Bed, messages: &[Body]) -> Vec<Body> {
    bed.ask(1, control(1, BundleCommand::OpenRequest, BOTH));
    for message in messages {
        let replies = bed.ask(1, add_to(1, BOTH, message.clone()));
        assert_eq!(replies, [], "{message:?}");
    }
    bed.ask(1, control(1, BundleCommand::CommitRequest, BOTH))
}

/// What is told of flows and ports, in an order of its own: a bundle tells it in another one.
fn events(bodies: &[Body]) -> Vec<String> {
    let event = |body: &&Body| matches!(body, Body::FlowRemoved(_) | Body::PortStatus(_));
    let mut events: Vec<_> = bodies
        .iter()
        .filter(event)
        .map(|b| format!("{b:?}"))
        .collect();
    events.sort();
    events
}

/// Two beds with the same history.
fn twins(before: &[Body]) -> [Bed; 2] {
    [(); 2].map(|()| {
        let mut bed = bed();
        obey(&mut bed, before);
        credit_all(&mut bed);
        bed.now = bed.now + Time::secs(1);
        bed
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_bundle_that_fails_was_never_there(
        before in messages(),
        bundle in messages(),
        after in messages(),
    ) {
        let [mut tested, mut oracle] = twins(&before);
        let version = tested.switch.publisher.current().version;
        let (valid, _) = obey(&mut bed(), &bundle);
        let with_failure: Vec<Body> = valid.into_iter().chain([failing()]).collect();
        let replies = commit(&mut tested, &with_failure);
        prop_assert_eq!(replies.len(), 2, "{:?}", replies);
        prop_assert_eq!(tested.switch.publisher.current().version, version);
        prop_assert_eq!(state(&mut tested), state(&mut oracle));
        for bed in [&mut tested, &mut oracle] {
            credit_all(bed);
            bed.outputs();
            bed.wait(9);
        }
        prop_assert_eq!(events(&tested.sent(1)), events(&oracle.sent(1)));
        prop_assert_eq!(state(&mut tested), state(&mut oracle));
        let [told, want] = [&mut tested, &mut oracle].map(|bed| obey(bed, &after));
        prop_assert_eq!(told, want);
        prop_assert_eq!(state(&mut tested), state(&mut oracle));
    }

    #[test]
    fn a_bundle_equals_its_messages_one_by_one(before in messages(), messages in messages()) {
        let [mut tested, mut oracle] = twins(&before);
        let (obeyed, told) = obey(&mut oracle, &messages);
        let replies = commit(&mut tested, &obeyed);
        let end = replies.iter().rev().find(|body| matches!(body, Body::BundleControl(_)));
        prop_assert_eq!(end.map(word), Some(Ok(BundleCommand::CommitReply)), "{:?}", replies);
        prop_assert_eq!(events(&replies), events(&told));
        prop_assert_eq!(state(&mut tested), state(&mut oracle));
    }
}
