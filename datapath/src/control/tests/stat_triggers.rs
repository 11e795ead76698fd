//! OFPIT_STAT_TRIGGER: when controllers are told of a flow's statistics, and which.

use super::super::stat_trigger::LOOKED_AT;
use super::*;
use ofp::action::StatTrigger;

fn trigger(periodic: bool, only_first: bool, thresholds: FlowCounters) -> Action {
    Action::StatTrigger(Box::new(StatTrigger {
        periodic,
        only_first,
        thresholds,
    }))
}

fn packets(count: u64) -> FlowCounters {
    FlowCounters {
        packet_count: Some(count),
        ..Default::default()
    }
}

fn span(secs: u32) -> Option<Duration> {
    Some(Duration { secs, nanos: 0 })
}

fn add(priority: u16, actions: Vec<Action>) -> FlowMod {
    FlowMod {
        priority,
        table: TableId(0),
        actions,
        ..Default::default()
    }
}

fn bed() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V15);
    bed
}

impl Bed {
    /// Time goes on by a tenth of a second; the priority and packets of the flows that are told to a connection.
    fn told(&mut self, number: u64) -> Vec<(u16, u64)> {
        self.outputs();
        self.now = self.now + Time::millis(100);
        self.switch.tick(self.now, &mut self.out);
        let mut told = Vec::new();
        for body in self.sent(number) {
            let Body::MultipartReply(MultipartReply { more, part }) = body else {
                panic!("{body:?}")
            };
            let MultipartPart::FlowCounts(flows) = part else {
                panic!("{part:?}")
            };
            assert!(!more && flows.iter().all(|flow| flow.triggered));
            let counted = |flow: &FlowCounts| flow.stats.packet_count.unwrap_or_default();
            told.extend(flows.iter().map(|flow| (flow.priority, counted(flow))));
        }
        told
    }
}

#[test]
fn a_threshold_is_told_once_and_multiples_if_asked_for() {
    let mut bed = bed();
    let once = trigger(false, false, packets(10));
    let again = trigger(true, false, packets(10));
    bed.flow_mod(1, add(1, vec![output(1), once])).unwrap();
    bed.flow_mod(
        1,
        add(2, vec![output(1), again, Action::GotoTable(TableId(1))]),
    )
    .unwrap();
    bed.flow_mod(1, add(3, vec![output(1)])).unwrap();
    let all =
        |bed: &mut Bed, packets| (1..=3).for_each(|priority| bed.credit(0, priority, packets));
    all(&mut bed, 9);
    assert_eq!(bed.told(1), []);
    all(&mut bed, 1);
    assert_eq!(bed.told(1), [(1, 10), (2, 10)]);
    all(&mut bed, 9);
    assert_eq!(bed.told(1), []);
    // Several multiples are one message.
    all(&mut bed, 25);
    assert_eq!(bed.told(1), [(2, 44)]);
    assert_eq!(bed.told(1), []);
}

#[test]
fn any_of_several_thresholds_or_only_the_first() {
    let mut bed = bed();
    let thresholds = FlowCounters {
        duration: span(2),
        byte_count: Some(1000),
        ..packets(20)
    };
    for (priority, periodic, only_first) in [(1, false, false), (2, false, true), (3, true, true)] {
        let actions = vec![trigger(periodic, only_first, thresholds)];
        bed.flow_mod(1, add(priority, actions)).unwrap();
        // 1,000 bytes come first.
        bed.credit(0, priority, 10);
    }
    assert_eq!(bed.told(1), [(1, 10), (2, 10), (3, 10)]);
    (1..=3).for_each(|priority| bed.credit(0, priority, 9));
    assert_eq!(bed.told(1), []);
    // 20 packets, and 2,000 bytes.
    (1..=3).for_each(|priority| bed.credit(0, priority, 1));
    assert_eq!(bed.told(1), [(1, 20), (3, 20)]);
    bed.now = bed.now + Time::secs(2);
    assert_eq!(bed.told(1), [(1, 20)]);
}

#[test]
fn idle_time_starts_again_with_each_packet() {
    let mut bed = bed();
    let thresholds = FlowCounters {
        idle_time: span(5),
        ..Default::default()
    };
    bed.flow_mod(1, add(1, vec![trigger(false, false, thresholds)]))
        .unwrap();
    for packets in [1, 2] {
        bed.now = bed.now + Time::secs(4);
        assert_eq!(bed.told(1), []);
        bed.now = bed.now + Time::secs(1);
        assert_eq!(bed.told(1), [(1, packets - 1)]);
        bed.now = bed.now + Time::secs(9);
        assert_eq!(bed.told(1), []);
        bed.credit(0, 1, 1);
        assert_eq!(bed.told(1), []);
    }
}

#[test]
fn a_change_starts_again_unless_it_is_the_same_trigger() {
    let mut bed = bed();
    let flow = |count: u64| add(1, vec![trigger(false, false, packets(count))]);
    let modify = |flow: FlowMod, flags| FlowMod {
        command: FlowModCommand::ModifyStrict,
        flags,
        ..flow
    };
    bed.flow_mod(1, flow(10)).unwrap();
    bed.credit(0, 1, 10);
    assert_eq!(bed.told(1), [(1, 10)]);
    bed.flow_mod(1, modify(flow(10), 0)).unwrap();
    assert_eq!(bed.told(1), []);
    bed.flow_mod(1, flow(10)).unwrap();
    assert_eq!(bed.told(1), []);
    bed.flow_mod(1, modify(flow(5), 0)).unwrap();
    assert_eq!(bed.told(1), [(1, 10)]);
    bed.flow_mod(1, modify(flow(5), flow_flag::RESET_COUNTS))
        .unwrap();
    assert_eq!(bed.told(1), []);
    bed.credit(0, 1, 5);
    assert_eq!(bed.told(1), [(1, 5)]);
    // Without a trigger, and without a flow.
    bed.flow_mod(1, modify(add(1, vec![output(1)]), 0)).unwrap();
    bed.credit(0, 1, 50);
    assert_eq!(bed.told(1), []);
    bed.flow_mod(1, modify(flow(500), 0)).unwrap();
    bed.credit(0, 1, 500);
    let delete = FlowModCommand::Delete;
    let gone = FlowMod {
        command: delete,
        ..add(0, Vec::new())
    };
    bed.flow_mod(1, gone).unwrap();
    assert_eq!(bed.told(1), []);
}

#[test]
fn who_is_told() {
    let mut bed = bed();
    bed.connect(2, ConnKind::Controller, Version::V14);
    bed.connect(3, ConnKind::Controller, Version::V15);
    bed.connect(4, ConnKind::Service, Version::V15);
    let every = trigger(true, false, packets(1));
    bed.flow_mod(1, add(1, vec![every])).unwrap();
    let config = |bed: &mut Bed, flow_stats| {
        let change = AsyncChange {
            flow_stats,
            ..Default::default()
        };
        bed.ask(3, Body::SetAsync(change))
    };
    assert!(config(&mut bed, [Some(0), Some(2)]).is_empty());
    let told = |bed: &mut Bed| {
        bed.credit(0, 1, 1);
        bed.outputs();
        bed.now = bed.now + Time::millis(100);
        bed.switch.tick(bed.now, &mut bed.out);
        let to = |output: Output| match output {
            Output::Send(conn, Message { xid, .. }) => (conn.0, xid.0),
            other => panic!("{other:?}"),
        };
        bed.outputs().into_iter().map(to).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut bed), [(1, 0)]);
    let secondary = Role {
        role: 3,
        generation_id: Some(1),
        ..Default::default()
    };
    bed.ask(3, Body::RoleRequest(secondary));
    assert_eq!(told(&mut bed), [(1, 0), (3, 0)]);
    bed.ask(1, Body::RoleRequest(secondary));
    assert_eq!(told(&mut bed), [(3, 0)]);
    // A reason that there is not.
    assert!(
        matches!(&config(&mut bed, [Some(4), None])[..], [Body::Error(error)] if error.error == OfError::AsyncInvalid)
    );
}

#[test]
fn what_cannot_be_reached_is_refused() {
    let mut bed = bed();
    let zero = Some(Duration::default());
    for thresholds in [
        FlowCounters::default(),
        packets(0),
        FlowCounters {
            duration: zero,
            ..packets(1)
        },
        FlowCounters {
            idle_time: zero,
            ..packets(1)
        },
        FlowCounters {
            byte_count: Some(0),
            ..packets(1)
        },
        FlowCounters {
            flow_count: Some(1),
            ..packets(1)
        },
    ] {
        let result = bed.flow_mod(1, add(1, vec![trigger(false, false, thresholds)]));
        assert_eq!(result, Err(OfError::InstructionUnsupported));
    }
    assert!(bed.all_flows().is_empty());
}

#[test]
fn a_tick_looks_at_some_and_all_have_their_turn() {
    let mut bed = bed();
    let flows = LOOKED_AT + 100;
    for number in 0..flows {
        let flow = FlowMod {
            matching: in_port(number as u32),
            ..add(7, vec![trigger(false, false, packets(1))])
        };
        bed.say(1, Body::FlowMod(Box::new(flow)));
    }
    bed.publish();
    let ids: Vec<_> = bed.switch.bridges[&bed.bridge]
        .flows
        .iter()
        .map(|f| f.rule.id)
        .collect();
    for id in ids {
        bed.worker.credit(id, 1, 1, bed.now);
    }
    assert_eq!(bed.told(1).len(), LOOKED_AT);
    assert_eq!(bed.told(1).len(), 100);
    assert_eq!(bed.told(1).len(), 0);
}
