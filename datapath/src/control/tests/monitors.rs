//! Flow monitors: what is there, what changes, and what a slow reader is told later.

use super::*;

const ALL: u16 = monitor_flag::INITIAL
    | monitor_flag::ADD
    | monitor_flag::REMOVED
    | monitor_flag::MODIFY
    | monitor_flag::INSTRUCTIONS;

fn monitor(id: u32, flags: u16) -> MonitorRequest {
    MonitorRequest {
        id,
        flags,
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: ofp::types::GroupId::ANY,
        ..Default::default()
    }
}

fn watch(requests: Vec<MonitorRequest>) -> Body {
    Body::MultipartRequest(MultipartRequest::FlowMonitor(requests))
}

/// Event and priority of each update.
fn updates(bodies: Vec<Body>) -> Vec<(Option<FlowEvent>, u64)> {
    let mut found = Vec::new();
    for body in bodies {
        match body {
            Body::MultipartReply(MultipartReply {
                part: MultipartPart::FlowMonitor(list),
                ..
            }) => found.extend(list.into_iter().map(|update| match update {
                FlowUpdate::Full(full) => (Some(full.event), full.priority.into()),
                FlowUpdate::Abbreviated(xid) => (None, xid.0.into()),
                other => panic!("{other:?}"),
            })),
            Body::FlowMonitorPaused => found.push((None, 1000)),
            Body::FlowMonitorResumed => found.push((None, 2000)),
            other => panic!("{other:?}"),
        }
    }
    found
}

fn bed() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V14);
    bed.connect(2, ConnKind::Service, Version::V13);
    bed.flow_mod(2, add(1, vec![output(1)])).expect("valid");
    bed
}

#[test]
fn what_is_there_and_what_changes() {
    use FlowEvent::*;
    let mut bed = bed();
    let reply = bed.ask(1, watch(vec![monitor(7, ALL)]));
    assert_eq!(updates(reply), [(Some(Initial), 1)]);
    let told = |bed: &mut Bed, flow_mod: FlowMod| {
        bed.say(2, Body::FlowMod(Box::new(flow_mod)));
        updates(bed.sent(1))
    };
    assert_eq!(told(&mut bed, add(2, vec![])), [(Some(Added), 2)]);
    // Open vSwitch: an addition stays one where it replaces, and what changes nothing is no change.
    assert_eq!(told(&mut bed, add(2, vec![output(3)])), [(Some(Added), 2)]);
    let modify = |port| FlowMod {
        command: FlowModCommand::ModifyStrict,
        ..add(2, vec![output(port)])
    };
    assert_eq!(told(&mut bed, modify(3)), []);
    assert_eq!(told(&mut bed, modify(4)), [(Some(Modified), 2)]);
    let delete = command(FlowModCommand::Delete);
    let both = told(&mut bed, delete);
    let removed = Removed(FlowRemovedReason::Delete);
    assert_eq!(both, [(Some(removed), 1), (Some(removed), 2)]);
    // One's own changes are only numbered, once for a message.
    bed.say(1, Body::FlowMod(Box::new(add(3, vec![]))));
    assert_eq!(updates(bed.sent(1)), [(None, 9)]);
    let timed = FlowMod {
        hard_timeout_secs: 1,
        ..add(4, vec![])
    };
    assert_eq!(told(&mut bed, timed), [(Some(Added), 4)]);
    bed.wait(2);
    let expired = Removed(FlowRemovedReason::HardTimeout);
    assert_eq!(updates(bed.sent(1)), [(Some(expired), 4)]);
    assert!(bed.ask(1, Body::FlowMonitorCancel(7)).is_empty());
    assert!(told(&mut bed, add(5, vec![])).is_empty());
}

#[test]
fn all_of_a_request_or_nothing() {
    let mut bed = bed();
    bed.ask(1, watch(vec![monitor(1, ALL)]));
    let error = |bed: &mut Bed, request| match &bed.ask(1, request)[..] {
        [Body::Error(error)] => error.error,
        other => panic!("{other:?}"),
    };
    let twice = watch(vec![monitor(2, ALL), monitor(1, ALL)]);
    assert_eq!(error(&mut bed, twice), OfError::MonitorExists);
    assert_eq!(
        error(&mut bed, Body::FlowMonitorCancel(2)),
        OfError::MonitorUnknown
    );
    let nothing = watch(vec![monitor(3, monitor_flag::INSTRUCTIONS)]);
    assert_eq!(error(&mut bed, nothing), OfError::MonitorFlags);
    let delete = MonitorRequest {
        command: MonitorCommand::Delete,
        ..monitor(1, 0)
    };
    assert!(updates(bed.ask(1, watch(vec![delete]))).is_empty());
    assert_eq!(
        error(&mut bed, Body::FlowMonitorCancel(1)),
        OfError::MonitorUnknown
    );
}

#[test]
fn only_own_and_whole() {
    let mut bed = bed();
    let flags = monitor_flag::ADD | monitor_flag::ONLY_OWN | monitor_flag::NO_ABBREV;
    bed.ask(1, watch(vec![monitor(1, flags)]));
    bed.say(2, Body::FlowMod(Box::new(add(2, vec![]))));
    assert!(bed.sent(1).is_empty());
    bed.say(1, Body::FlowMod(Box::new(add(3, vec![]))));
    assert_eq!(updates(bed.sent(1)), [(Some(FlowEvent::Added), 3)]);
}

#[test]
fn a_slow_reader_is_told_later() {
    use FlowEvent::*;
    let mut bed = bed();
    bed.ask(1, watch(vec![monitor(1, ALL)]));
    bed.flow_mod(2, add(2, vec![])).expect("valid");
    bed.outputs();
    bed.switch.pause_monitors(conn(1), &mut bed.out);
    assert_eq!(updates(bed.sent(1)), [(None, 1000)]);
    let strict = |priority| FlowMod {
        command: FlowModCommand::DeleteStrict,
        ..add(priority, vec![])
    };
    for flow_mod in [
        add(1, vec![]),
        add(3, vec![]),
        add(4, vec![]),
        strict(3),
        strict(2),
    ] {
        bed.say(2, Body::FlowMod(Box::new(flow_mod)));
    }
    let removed = Removed(FlowRemovedReason::Delete);
    // It had heard of 2, and not of 3.
    assert_eq!(updates(bed.sent(1)), [(Some(removed), 2)]);
    assert!(!bed.switch.dump(bed.now, conn(1), &mut bed.out));
    let mut late = updates(bed.sent(1));
    assert_eq!(late.pop(), Some((None, 2000)));
    late.sort_by_key(|(_, priority)| *priority);
    assert_eq!(late, [(Some(Modified), 1), (Some(Added), 4)]);
    bed.say(2, Body::FlowMod(Box::new(add(5, vec![]))));
    assert_eq!(updates(bed.sent(1)), [(Some(Added), 5)]);
}
