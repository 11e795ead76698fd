//! Replies over groups, meters, ports and queues come in pieces; what they tell of may change in between.

use super::*;
use ofp::types::{BucketId, GroupId, MeterId};
use std::collections::BTreeMap;

const LEN: u32 = 20_000;

fn group_mod(command: GroupCommand, id: u32) -> Body {
    let bucket = Bucket {
        id: BucketId::ALL,
        weight: 0,
        actions: vec![output(1)],
        ..Default::default()
    };
    let buckets = match command {
        GroupCommand::Delete => Vec::new(),
        _ => vec![bucket; 2],
    };
    Body::GroupMod(Box::new(GroupMod {
        command,
        bucket: BucketId::ALL,
        desc: GroupDesc {
            group: GroupId(id),
            buckets,
            ..Default::default()
        },
    }))
}

fn meter_mod(command: MeterCommand, id: u32) -> Body {
    let band = Band {
        kind: BandKind::Drop,
        rate: 1000,
        burst: 0,
    };
    Body::MeterMod(Box::new(MeterMod {
        command,
        config: MeterConfig {
            meter: MeterId(id),
            flags: meter_flag::PKTPS,
            bands: vec![band],
        },
    }))
}

/// The numbers that a part tells of.
fn numbers(part: &MultipartPart) -> Vec<u32> {
    match part {
        MultipartPart::Group(list) => list.iter().map(|entry| entry.group.0).collect(),
        MultipartPart::GroupDesc(list) => list.iter().map(|entry| entry.group.0).collect(),
        MultipartPart::Meter(list) => list.iter().map(|entry| entry.meter.0).collect(),
        MultipartPart::MeterConfig(list) => list.iter().map(|entry| entry.meter.0).collect(),
        MultipartPart::Queue(list) => list.iter().map(|entry| entry.queue).collect(),
        MultipartPart::QueueDesc(list) => list.iter().map(|entry| entry.queue).collect(),
        other => panic!("{other:?}"),
    }
}

/// How often a reply told of each number. `change` is called between two pieces, with 0, 1, 2...
fn count(bed: &mut Bed, request: MultipartRequest, change: impl Fn(&mut Bed, u32)) -> Vec<usize> {
    let mut seen = BTreeMap::new();
    bed.outputs();
    bed.say(1, Body::MultipartRequest(request));
    let (mut ended, mut pieces) = (false, 0);
    loop {
        for body in bed.sent(1) {
            let Body::MultipartReply(reply) = body else {
                panic!("{body:?}")
            };
            let of_part = numbers(&reply.part);
            assert!(!ended && of_part.len() < 2000);
            of_part
                .iter()
                .for_each(|number| *seen.entry(*number).or_default() += 1);
            ended = !reply.more;
        }
        if ended {
            break;
        }
        change(bed, pieces);
        bed.outputs();
        pieces += 1;
        bed.switch.dump(bed.now, conn(1), &mut bed.out);
    }
    assert!(pieces > 0 && !bed.switch.is_dumping(conn(1)));
    let times = |number| seen.get(&number).copied().unwrap_or(0);
    (0..LEN + 1000).map(times).collect()
}

/// The last ones go, one after the other; others come behind them, and all others stay.
fn check_counts(times: &[usize]) {
    let len = LEN as usize;
    assert!(times[1..len - 100].iter().all(|times| *times == 1));
    assert!(times[len - 100..].iter().all(|times| *times <= 1));
    assert!(times[len - 100..len].contains(&0));
}

#[test]
fn groups_that_stay_come_once() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V13);
    bed.connect(2, ConnKind::Service, Version::V13);
    (1..LEN).for_each(|id| bed.say(2, group_mod(GroupCommand::Add, id)));
    let change = |bed: &mut Bed, n: u32| {
        bed.say(2, group_mod(GroupCommand::Delete, LEN - 1 - n));
        bed.say(2, group_mod(GroupCommand::Modify, 1 + n));
        bed.say(2, group_mod(GroupCommand::Add, LEN + n));
    };
    let all = GroupId::ALL;
    for request in [
        MultipartRequest::Group(all),
        MultipartRequest::GroupDesc(all),
    ] {
        check_counts(&count(&mut bed, request, change));
        (1..100).for_each(|n| bed.say(2, group_mod(GroupCommand::Add, LEN - n)));
        (0..100).for_each(|n| bed.say(2, group_mod(GroupCommand::Delete, LEN + n)));
    }
    // A single one is one message.
    let single = bed.ask(
        1,
        Body::MultipartRequest(MultipartRequest::Group(GroupId(7))),
    );
    assert!(matches!(&single[..], [Body::MultipartReply(reply)] if numbers(&reply.part) == [7]));
}

#[test]
fn meters_that_stay_come_once() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V13);
    bed.connect(2, ConnKind::Service, Version::V13);
    (1..LEN).for_each(|id| bed.say(2, meter_mod(MeterCommand::Add, id)));
    let change = |bed: &mut Bed, n: u32| {
        bed.say(2, meter_mod(MeterCommand::Delete, LEN - 1 - n));
        bed.say(2, meter_mod(MeterCommand::Modify, 1 + n));
        bed.say(2, meter_mod(MeterCommand::Add, LEN + n));
    };
    let all = MeterId::ALL;
    for request in [
        MultipartRequest::Meter(all),
        MultipartRequest::MeterConfig(all),
    ] {
        check_counts(&count(&mut bed, request, change));
        (1..100).for_each(|n| bed.say(2, meter_mod(MeterCommand::Add, LEN - n)));
        (0..100).for_each(|n| bed.say(2, meter_mod(MeterCommand::Delete, LEN + n)));
    }
}

#[test]
fn queues_come_once_and_ports_go_in_between() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V14);
    let add = |bed: &mut Bed, name: &str, numbers: std::ops::Range<u32>| {
        let mut settings = PortSettings::new(name, PortType::Device);
        let queues = numbers.map(|n| (n, QueueSettings::default()));
        settings.queues.queues = queues.collect();
        let (now, bridge) = (bed.now, bed.bridge);
        let added = bed.switch.add_port(now, bridge, settings, &mut bed.out);
        bed.publish();
        added.expect("valid").0
    };
    add(&mut bed, "p1", 0..8000);
    let gone = add(&mut bed, "p2", 8000..8100);
    add(&mut bed, "p3", 8100..LEN);
    let remove = |bed: &mut Bed, n: u32| {
        if n == 0 {
            bed.switch.remove_port(gone, &mut bed.out);
        }
    };
    let (port, queue) = (PortNo::ANY, u32::MAX);
    let times = count(
        &mut bed,
        MultipartRequest::QueueDesc { port, queue },
        remove,
    );
    assert!(times[..8000].iter().all(|times| *times == 1));
    assert!(times[8000..8100].iter().all(|times| *times == 0));
    assert!(times[8100..LEN as usize].iter().all(|times| *times == 1));
    let times = count(&mut bed, MultipartRequest::Queue { port, queue }, |_, _| {});
    assert_eq!(times.iter().sum::<usize>(), LEN as usize - 100);
    let queue = 8100;
    let one = bed.ask(
        1,
        Body::MultipartRequest(MultipartRequest::Queue { port, queue }),
    );
    assert!(matches!(&one[..], [Body::MultipartReply(reply)] if numbers(&reply.part) == [8100]));
}

/// Before OpenFlow 1.4 there is one message for all queues: what it cannot hold is refused, not cut.
#[test]
fn queues_of_one_message() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V13);
    for (name, len) in [("p1", 1024), ("p2", 1)] {
        let mut settings = PortSettings::new(name, PortType::Device);
        let queues = (0..len).map(|n| (n, QueueSettings::default()));
        settings.queues.queues = queues.collect();
        let (now, bridge) = (bed.now, bed.bridge);
        let added = bed.switch.add_port(now, bridge, settings, &mut bed.out);
        assert!(added.is_ok());
    }
    let mut ask = |port| bed.ask(1, Body::QueueGetConfigRequest(port));
    assert!(
        matches!(&ask(PortNo(1))[..], [Body::QueueGetConfigReply { queues, .. }] if queues.len() == 1024)
    );
    assert!(
        matches!(&ask(PortNo::ANY)[..], [Body::Error(error)] if error.error == OfError::MultipartOverflow)
    );
}

/// Where the reply has no room, no monitor is left behind.
#[test]
fn a_monitor_that_cannot_be_answered_is_not_installed() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V14);
    (1..LEN).for_each(|id| bed.say(1, group_mod(GroupCommand::Add, id)));
    let request = || Body::MultipartRequest(MultipartRequest::Group(GroupId::ALL));
    (0..16).for_each(|_| bed.say(1, request()));
    bed.outputs();
    let monitor = MonitorRequest {
        id: 1,
        flags: monitor_flag::ADD,
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        ..Default::default()
    };
    let monitor = Body::MultipartRequest(MultipartRequest::FlowMonitor(vec![monitor]));
    bed.say(1, monitor);
    assert!(matches!(&bed.sent(1)[..], [Body::Error(e)] if e.error == OfError::MultipartOverflow));
    while bed.switch.is_dumping(conn(1)) {
        bed.switch.dump(bed.now, conn(1), &mut bed.out);
    }
    bed.outputs();
    match &bed.ask(1, Body::FlowMonitorCancel(1))[..] {
        [Body::Error(said)] => assert_eq!(said.error, OfError::MonitorUnknown),
        other => panic!("{other:?}"),
    }
}
