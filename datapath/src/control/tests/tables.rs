//! Tables that are full, or nearly; their misses; queues.

use super::*;
use std::collections::BTreeMap;

fn bed_with(settings: TableSettings) -> Bed {
    let mut bed = Bed::with(BridgeSettings {
        fail_mode: FailMode::Secure,
        has_controllers: true,
        tables: BTreeMap::from([(TableId(0), settings)]),
        ..Default::default()
    });
    bed.connect(1, ConnKind::Controller, Version::V14);
    bed
}

fn limit(flow_limit: u32, evict: bool) -> TableSettings {
    TableSettings {
        flow_limit: Some(flow_limit),
        evict,
        ..Default::default()
    }
}

fn timed(priority: u16, port: u32, hard_timeout_secs: u16, importance: u16) -> FlowMod {
    FlowMod {
        matching: in_port(port),
        hard_timeout_secs,
        importance,
        flags: flow_flag::SEND_FLOW_REM,
        ..add(priority, vec![])
    }
}

fn priorities(bed: &mut Bed) -> Vec<u16> {
    bed.all_flows().iter().map(|f| f.priority).collect()
}

#[test]
fn a_full_table_refuses() {
    let mut bed = bed_with(limit(2, false));
    assert_eq!(bed.flow_mod(1, timed(1, 1, 10, 0)), Ok(()));
    assert_eq!(bed.flow_mod(1, timed(2, 1, 10, 0)), Ok(()));
    let full = Err(OfError::FlowTableFull);
    assert_eq!(bed.flow_mod(1, timed(3, 1, 10, 0)), full);
    // What replaces a flow needs no room.
    assert_eq!(bed.flow_mod(1, timed(2, 1, 10, 5)), Ok(()));
    assert_eq!(priorities(&mut bed), [2, 1]);
}

#[test]
fn or_evicts_the_least_important_that_ends_first() {
    let mut bed = bed_with(limit(3, true));
    for flow in [timed(1, 1, 50, 1), timed(2, 1, 90, 0), timed(3, 1, 60, 0)] {
        assert_eq!(bed.flow_mod(1, flow), Ok(()));
    }
    let replies = bed.ask(1, Body::FlowMod(Box::new(timed(4, 1, 99, 9))));
    let [Body::FlowRemoved(removed)] = &replies[..] else {
        panic!("{replies:?}")
    };
    assert_eq!(
        (removed.priority, removed.reason),
        (3, FlowRemovedReason::Eviction)
    );
    assert_eq!(bed.flow_mod(1, timed(5, 1, 99, 9)), Ok(()));
    assert_eq!(priorities(&mut bed), [5, 4, 1]);
    // Flows without a timeout stay.
    let mut bed = bed_with(limit(1, true));
    assert_eq!(bed.flow_mod(1, timed(1, 1, 0, 0)), Ok(()));
    let full = Err(OfError::FlowTableFull);
    assert_eq!(bed.flow_mod(1, timed(2, 1, 1, 9)), full);
}

#[test]
fn of_the_largest_group() {
    let mut bed = bed_with(TableSettings {
        groups: vec![ofp::field::Subfield::whole(Field::InPort)],
        ..limit(4, true)
    });
    for flow in [
        timed(1, 1, 10, 0),
        timed(2, 2, 50, 0),
        timed(3, 2, 40, 0),
        timed(4, 2, 60, 0),
        timed(5, 3, 10, 0),
    ] {
        assert_eq!(bed.flow_mod(1, flow), Ok(()));
    }
    assert_eq!(priorities(&mut bed), [5, 4, 2, 1]);
}

#[test]
fn a_lower_limit_evicts_at_once() {
    let mut bed = bed_with(limit(10, true));
    for n in 1..=10 {
        assert_eq!(bed.flow_mod(1, timed(n, 1, 100 - n, 0)), Ok(()));
    }
    let settings = BridgeSettings {
        tables: BTreeMap::from([(TableId(0), limit(2, true))]),
        ..bed.switch.bridges[&bed.bridge].settings.clone()
    };
    bed.switch
        .set_bridge(bed.now, bed.bridge, settings)
        .expect("valid");
    bed.publish();
    assert_eq!(priorities(&mut bed), [2, 1]);
}

#[test]
fn vacancy_events() {
    let mut bed = bed_with(limit(10, false));
    let table_mod = TableMod {
        table: TableId(0),
        config: table_config::VACANCY_EVENTS,
        eviction_flags: None,
        vacancy: Some(Vacancy {
            down: 30,
            up: 60,
            current: 0,
        }),
    };
    assert_eq!(bed.ask(1, Body::TableMod(table_mod)), []);
    let mut events = Vec::new();
    let mut note = |bodies: Vec<Body>, at: u16| {
        for body in bodies {
            match body {
                Body::TableStatus(status) => {
                    events.push((at, status.reason, status.desc.vacancy.current));
                }
                Body::FlowRemoved(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    for n in 1..=10 {
        note(bed.ask(1, Body::FlowMod(Box::new(timed(n, 1, 0, 0)))), n);
    }
    for n in 1..=10 {
        let gone = FlowMod {
            command: FlowModCommand::DeleteStrict,
            ..timed(n, 1, 0, 0)
        };
        note(bed.ask(1, Body::FlowMod(Box::new(gone))), 100 + n);
    }
    // All at once: the bridge gets or loses controllers.
    for n in 1..=10 {
        note(
            bed.ask(1, Body::FlowMod(Box::new(timed(n, 1, 0, 0)))),
            200 + n,
        );
    }
    let mut settings = bed.switch.bridges[&bed.bridge].settings.clone();
    settings.has_controllers ^= true;
    let (now, id) = (bed.now, bed.bridge);
    bed.switch.set_bridge(now, id, settings).expect("valid");
    bed.switch.tick(now, &mut bed.out);
    bed.publish();
    note(bed.sent(1), 300);
    let want = [(8, 3, 20), (107, 4, 70), (208, 3, 20), (300, 4, 100)];
    assert_eq!(events, want);
    let request = Body::MultipartRequest(MultipartRequest::TableDesc);
    let mut descs = Vec::new();
    for reply in bed.ask(1, request) {
        let Body::MultipartReply(MultipartReply {
            part: MultipartPart::TableDesc(part),
            ..
        }) = reply
        else {
            panic!("{reply:?}")
        };
        descs.extend(part);
    }
    assert_eq!(descs.len(), 254);
    assert_eq!(
        descs[0],
        TableDesc {
            table: TableId(0),
            config: table_config::VACANCY_EVENTS,
            eviction_flags: 7,
            vacancy: Vacancy {
                down: 30,
                up: 60,
                current: 100
            },
        }
    );
}

#[test]
fn what_is_wrong_with_a_table_mod() {
    let mut bed = bed_with(limit(10, false));
    bed.connect(2, ConnKind::Controller, Version::V11);
    let error =
        |bed: &mut Bed, number, table_mod| match &bed.ask(number, Body::TableMod(table_mod))[..] {
            [Body::Error(error)] => error.error,
            other => panic!("{other:?}"),
        };
    let good = TableMod {
        table: TableId(3),
        ..Default::default()
    };
    let no_table = TableMod {
        table: TableId(254),
        ..good
    };
    assert_eq!(error(&mut bed, 1, no_table), OfError::TableModBadTable);
    for config in [1, 3, 16] {
        assert_eq!(
            error(&mut bed, 1, TableMod { config, ..good }),
            OfError::TableModBadConfig
        );
    }
    let config = 3;
    assert_eq!(
        error(&mut bed, 2, TableMod { config, ..good }),
        OfError::TableModBadConfig
    );
    // Tables of 1.1 drop or continue.
    for (table, config) in [
        (0, table_config::MISS_CONTINUE),
        (1, table_config::MISS_DROP),
    ] {
        let table = TableId(table);
        let miss = TableMod {
            table,
            config,
            ..good
        };
        assert_eq!(bed.ask(2, Body::TableMod(miss)), []);
    }
    let snapshot = bed.switch.publisher.current();
    let config = &snapshot.bridge(bed.bridge).expect("there").config;
    use crate::model::snapshot::Miss;
    let misses = [0, 1, 2].map(|n| config.miss_of(TableId(n)));
    assert_eq!(misses, [Miss::Continue, Miss::Drop, Miss::Controller]);
}

#[test]
fn queues_are_as_configured() {
    let mut bed = bed_with(TableSettings::default());
    let queue = QueueSettings {
        min_rate: Some(1_000_000),
        max_rate: Some(500_000_000),
    };
    let port = PortSettings {
        queues: Queues {
            max_rate: Some(1_000_000_000),
            queues: BTreeMap::from([(0, QueueSettings::default()), (7, queue)]),
        },
        ..PortSettings::new("p1", PortType::Device)
    };
    bed.switch
        .add_port(bed.now, bed.bridge, port, &mut bed.out)
        .expect("valid");
    let desc = |port, queue| Body::MultipartRequest(MultipartRequest::QueueDesc { port, queue });
    let seven = ofp::message::QueueDesc {
        port: PortNo(1),
        queue: 7,
        min_rate: Some(1),
        max_rate: Some(500),
    };
    let part = MultipartPart::QueueDesc(vec![seven]);
    let reply = Body::MultipartReply(MultipartReply { more: false, part });
    assert_eq!(bed.ask(1, desc(PortNo(1), 7)), [reply]);
    let error = |bed: &mut Bed, port, queue| match &bed.ask(1, desc(port, queue))[..] {
        [Body::Error(error)] => error.error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(&mut bed, PortNo(1), 8), OfError::QueueBadQueue);
    assert_eq!(error(&mut bed, PortNo(2), u32::MAX), OfError::QueueBadPort);
    let stats = MultipartRequest::Queue {
        port: PortNo::ANY,
        queue: u32::MAX,
    };
    let replies = bed.ask(1, Body::MultipartRequest(stats));
    let [
        Body::MultipartReply(MultipartReply {
            part: MultipartPart::Queue(stats),
            ..
        }),
    ] = &replies[..]
    else {
        panic!("{replies:?}")
    };
    let numbers: Vec<u32> = stats.iter().map(|s| s.queue).collect();
    assert_eq!(numbers, [0, 7]);
    bed.connect(3, ConnKind::Service, Version::V13);
    let replies = bed.ask(3, Body::QueueGetConfigRequest(PortNo(1)));
    assert!(matches!(
        &replies[..],
        [Body::QueueGetConfigReply { queues, .. }] if queues.len() == 2
    ));
}

#[test]
fn names_and_egress_tables_can_be_changed_and_nothing_else() {
    let mut bed = bed_with(TableSettings::default());
    bed.connect(2, ConnKind::Service, Version::V15);
    let change = |number, flags, name: &str| TableFeaturesChange {
        command: table_features_command::MODIFY,
        features: TableFeatures {
            table: TableId(number),
            flags,
            name: name.into(),
            ..Default::default()
        },
        abilities: Abilities::Unsaid,
    };
    let say = |bed: &mut Bed, changes| {
        let request = MultipartRequest::TableFeatures(changes);
        match bed.ask(2, Body::MultipartRequest(request)).pop() {
            Some(Body::Error(error)) => Err(error.error),
            Some(Body::MultipartReply(MultipartReply {
                part: MultipartPart::TableFeatures(tables),
                ..
            })) => Ok(tables.into_iter().map(|t| (t.name, t.flags)).collect()),
            other => panic!("{other:?}"),
        }
    };
    let both = vec![change(1, 0, "acl"), change(9, 16, "out")];
    let expected = vec![("acl".to_owned(), 1), ("out".to_owned(), 2 | 16)];
    assert_eq!(say(&mut bed, both), Ok(expected));
    let config = &bed.switch.bridges[&bed.bridge].config;
    assert_eq!(config.first_egress, Some(TableId(9)));
    // Between ingress and egress tables there is no way but an output.
    let mut flow = |table: u8, action: Action| {
        let flow = FlowMod {
            table: TableId(table),
            ..add(1, vec![action])
        };
        match bed.ask(2, Body::FlowMod(Box::new(flow))).pop() {
            Some(Body::Error(error)) => Err(error.error),
            _ => Ok(()),
        }
    };
    let refused = Err(OfError::InstructionTableId);
    assert_eq!(flow(1, Action::GotoTable(TableId(8))), Ok(()));
    assert_eq!(flow(1, Action::GotoTable(TableId(9))), refused);
    assert_eq!(flow(9, Action::GotoTable(TableId(10))), Ok(()));
    assert_eq!(flow(9, Action::GotoTable(TableId(8))), refused);
    let write = |action| Action::WriteActions(vec![action]);
    assert_eq!(flow(8, write(output(1))), Ok(()));
    assert_eq!(flow(9, write(Action::SetQueue(1))), Ok(()));
    assert_eq!(flow(9, write(output(1))), Err(OfError::ActionType));
    // All of a request or nothing.
    let twice = vec![change(1, 0, "x"), change(1, 0, "y")];
    assert_eq!(say(&mut bed, twice), Err(OfError::TableFeaturesDuplicate));
    let first = vec![change(1, 0, "x"), change(0, 16, "")];
    assert_eq!(say(&mut bed, first), Err(OfError::TableFeaturesFeatures));
    let mut other = change(1, 0, "x");
    other.abilities = Abilities::Other;
    let refused = Err(OfError::TableFeaturesPermissions);
    assert_eq!(say(&mut bed, vec![other]), refused);
    let mut small = change(1, 0, "x");
    small.features.max_entries = 5;
    let refused = Err(OfError::TableFeaturesMaxEntries);
    assert_eq!(say(&mut bed, vec![small]), refused);
    let cleared = Ok(vec![("acl".to_owned(), 1)]);
    assert_eq!(say(&mut bed, vec![change(1, 0, "acl")]), cleared);
    assert!(say(&mut bed, vec![change(9, 0, "")]).is_ok());
    assert_eq!(bed.switch.bridges[&bed.bridge].config.first_egress, None);
}
