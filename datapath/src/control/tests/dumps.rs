//! Long replies come in pieces; the flows may change in between.

use super::*;
use std::collections::BTreeMap;

fn numbered(n: u32) -> FlowMod {
    FlowMod {
        matching: in_port(n),
        cookie: Cookie(n.into()),
        ..add(1, vec![output(1)])
    }
}

fn request() -> Body {
    Body::MultipartRequest(MultipartRequest::Flow(Box::new(every_flow())))
}

/// Cookies of the flows, by how often they came, and whether the reply ended.
fn count(outputs: Vec<Output>, seen: &mut BTreeMap<u64, usize>) -> bool {
    let mut ended = false;
    for output in outputs {
        let Output::Send(_, message) = output else {
            continue;
        };
        let Body::MultipartReply(MultipartReply {
            more,
            part: MultipartPart::Flow { flows, .. },
        }) = message.body
        else {
            panic!("{message:?}")
        };
        assert!(!ended && flows.len() < 600);
        flows
            .iter()
            .for_each(|f| *seen.entry(f.cookie.0).or_default() += 1);
        ended = !more;
    }
    ended
}

fn dump_while_changing(flows: u32) {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V13);
    bed.connect(2, ConnKind::Service, Version::V13);
    for n in 0..flows {
        bed.say(2, Body::FlowMod(Box::new(numbered(n))));
    }
    bed.publish();
    bed.outputs();
    bed.say(1, request());
    let mut seen = BTreeMap::new();
    let first = bed.outputs();
    assert_eq!(first[0], Output::More(conn(1)));
    let mut ended = count(first, &mut seen);
    let mut round = 0;
    while !ended {
        assert!(bed.switch.is_dumping(conn(1)));
        // One goes, one is replaced, one is new.
        let gone = FlowMod {
            command: FlowModCommand::DeleteStrict,
            ..numbered(2 * round)
        };
        for flow_mod in [gone, numbered(2 * round + 1), numbered(flows + round)] {
            bed.say(2, Body::FlowMod(Box::new(flow_mod)));
        }
        bed.outputs();
        bed.switch.dump(bed.now, conn(1), &mut bed.out);
        ended = count(bed.outputs(), &mut seen);
        round += 1;
    }
    assert!(round > 5 && !bed.switch.is_dumping(conn(1)));
    for n in 0..flows {
        let times = seen.get(&n.into()).copied().unwrap_or(0);
        let stayed = n % 2 == 1 || n >= 2 * round;
        assert!(times == 1 || !stayed && times == 0, "{n}: {times}");
    }
}

#[test]
fn each_flow_that_stays_comes_once() {
    dump_while_changing(20_000);
}

#[test]
fn long_lists_too() {
    dump_while_changing(70_000);
}

#[test]
fn a_second_request_waits_for_the_first() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V13);
    for n in 0..20_000 {
        bed.say(1, Body::FlowMod(Box::new(numbered(n))));
    }
    bed.publish();
    for _ in 0..16 {
        bed.say(1, request());
    }
    bed.outputs();
    bed.say(1, request());
    assert!(matches!(&bed.sent(1)[..], [Body::Error(e)] if e.error == OfError::MultipartOverflow));
    let mut ends = 0;
    while bed.switch.is_dumping(conn(1)) {
        bed.switch.dump(bed.now, conn(1), &mut bed.out);
        let is_last = |body: &Body| matches!(body, Body::MultipartReply(reply) if !reply.more);
        ends += bed.sent(1).iter().filter(|body| is_last(body)).count();
    }
    assert_eq!(ends, 16);
}

#[test]
fn counters_without_actions_and_what_has_no_counters() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V15);
    bed.flow_mod(1, add(7, vec![output(1)])).unwrap();
    bed.flow_mod(1, add(8, vec![output(1)])).unwrap();
    bed.publish();
    bed.credit(0, 7, 3);
    bed.now = Time(bed.now.0 + 2_000_000_000);
    let request = MultipartRequest::FlowCounts(Box::new(every_flow()));
    let replies = bed.ask(1, Body::MultipartRequest(request));
    let [
        Body::MultipartReply(MultipartReply {
            more: false,
            part: MultipartPart::FlowCounts(flows),
        }),
    ] = &replies[..]
    else {
        panic!("{replies:?}")
    };
    let said = flows.iter().map(|flow| {
        assert!(!flow.triggered);
        (
            flow.priority,
            flow.stats.packet_count,
            flow.stats.byte_count,
        )
    });
    let mut said: Vec<_> = said.collect();
    said.sort_unstable();
    assert_eq!(said, [(7, Some(3), Some(300)), (8, Some(0), Some(0))]);
    assert_eq!(flows[0].stats.duration.map(|d| d.secs), Some(2));

    let features = |flags| {
        Body::MultipartRequest(MultipartRequest::BundleFeatures(BundleFeaturesRequest {
            flags,
            schedule: None,
        }))
    };
    let can = BundleFeatures {
        capabilities: bundle_flag::ATOMIC | bundle_flag::ORDERED,
        schedule: None,
    };
    let part = MultipartPart::BundleFeatures(can);
    let reply = MultipartReply { more: false, part };
    assert_eq!(bed.ask(1, features(0)), [Body::MultipartReply(reply)]);
    for (request, error) in [
        (
            features(bundle_features_flag::TIME_SET_SCHED),
            OfError::MultipartSchedule,
        ),
        (
            Body::MultipartRequest(MultipartRequest::IpfixBridge),
            OfError::NotConfigured,
        ),
        (
            Body::MultipartRequest(MultipartRequest::IpfixFlow),
            OfError::NotConfigured,
        ),
    ] {
        match &bed.ask(1, request)[..] {
            [Body::Error(said)] => assert_eq!(said.error, error),
            other => panic!("{other:?}"),
        }
    }
}
