//! Sessions: features, configuration, roles, errors, packet-in, packet-out, barriers.

use super::*;
use crate::model::event::{Event, Punt};
use bytes::Bytes;
use ofp::action::{Controller, PacketInReason};
use ofp::message::PacketOut;

fn bed13() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V13);
    bed
}

fn error(bodies: Vec<Body>) -> ErrorBody {
    match &bodies[..] {
        [Body::Error(error)] => error.clone(),
        other => panic!("{other:?}"),
    }
}

fn role(role: u32, generation_id: u64) -> Body {
    Body::RoleRequest(Role {
        role,
        generation_id: Some(generation_id),
        ..Role::default()
    })
}

#[test]
fn errors_quote_the_message_and_repeat_its_xid() {
    let mut bed = bed13();
    bed.switch
        .decode_error(conn(1), Xid(3), OfError::BadType, &RAW, &mut bed.out);
    let data = Bytes::copy_from_slice(&RAW);
    let body = Body::Error(ErrorBody {
        error: OfError::BadType,
        data,
    });
    let want = Output::Send(conn(1), Message { xid: Xid(3), body });
    assert_eq!(bed.outputs(), [want]);
    assert_eq!(
        error(bed.ask(1, Body::BarrierReply)).error,
        OfError::BadType
    );
    assert_eq!(bed.switch.counters().errors, 2);
    // An unknown connection is nobody's.
    assert_eq!(bed.ask(5, Body::BarrierRequest), []);
}

#[test]
fn features_have_ports_before_13_only() {
    let mut bed = bed13();
    let port = PortSettings::new("p1", PortType::Device);
    bed.switch
        .add_port(bed.now, bed.bridge, port, &mut bed.out)
        .unwrap();
    bed.connect(2, ConnKind::Controller, Version::V10);
    for (number, ports) in [(1, 0), (2, 1)] {
        let replies = bed.ask(number, Body::FeaturesRequest);
        let [Body::FeaturesReply(features)] = &replies[..] else {
            panic!("{replies:?}")
        };
        assert_eq!((features.n_tables, features.ports.len()), (254, ports));
        assert_eq!(features.actions != 0, number == 2);
    }
}

#[test]
fn a_barrier_is_answered_when_every_worker_has_passed() {
    let mut bed = bed13();
    assert_eq!(bed.ask(1, Body::BarrierRequest), [Body::BarrierReply]);
    let mut reader = bed.switch.publisher().reader();
    let held = reader.snapshot().clone();
    bed.say(1, Body::FlowMod(Box::new(add(5, vec![output(1)]))));
    bed.say(1, Body::BarrierRequest);
    bed.say(1, Body::GetConfigRequest);
    assert!(!bed.switch.publish(&mut bed.out));
    bed.say(1, Body::BarrierRequest);
    assert_eq!(bed.sent(1), []);
    assert!(!bed.switch.publish(&mut bed.out));
    assert_eq!(bed.sent(1), []);
    drop(held);
    assert_eq!(
        reader.snapshot().bridge(bed.bridge).expect("there").tables[0]
            .rules
            .len(),
        1
    );
    assert!(bed.switch.publish(&mut bed.out));
    let bodies = bed.sent(1);
    let replies = [&Body::BarrierReply, &bodies[1], &Body::BarrierReply];
    assert_eq!(bodies.iter().collect::<Vec<_>>(), replies);
    assert!(matches!(bodies[1], Body::GetConfigReply(_)));
    // Nothing waits any more: replies are immediate again.
    bed.say(1, Body::GetConfigRequest);
    assert_eq!(bed.sent(1).len(), 1);
}

#[test]
fn configuration_is_kept() {
    let mut bed = bed13();
    let config = SwitchConfig {
        frag: 1,
        invalid_ttl_to_controller: false,
        miss_send_len: 77,
    };
    assert_eq!(bed.ask(1, Body::SetConfig(config)), []);
    assert_eq!(
        bed.ask(1, Body::GetConfigRequest),
        [Body::GetConfigReply(config)]
    );
    let wrong = SwitchConfig { frag: 4, ..config };
    assert_eq!(
        error(bed.ask(1, Body::SetConfig(wrong))).error,
        OfError::ConfigFlags
    );
    assert_eq!(
        bed.ask(1, Body::GetConfigRequest),
        [Body::GetConfigReply(config)]
    );
    assert_eq!(
        bed.switch
            .publisher
            .current()
            .bridge(bed.bridge)
            .unwrap()
            .config
            .frag,
        1
    );
}

#[test]
fn one_primary_and_generations_that_only_grow() {
    let mut bed = bed13();
    bed.connect(2, ConnKind::Controller, Version::V13);
    let reply = |role, generation| {
        [Body::RoleReply(Role {
            role,
            generation_id: Some(generation),
            ..Role::default()
        })]
    };
    assert_eq!(bed.ask(1, role(0, 0)), reply(1, u64::MAX));
    assert_eq!(bed.ask(1, role(2, 5)), reply(2, 5));
    assert_eq!(error(bed.ask(2, role(2, 4))).error, OfError::RoleStale);
    assert_eq!(error(bed.ask(2, role(7, 4))).error, OfError::RoleBad);
    assert_eq!(bed.ask(2, role(2, 6)), reply(2, 6));
    assert_eq!(bed.ask(1, role(0, 0)), reply(3, 6));
    // The former primary is a secondary now: it may look, but not touch.
    assert_eq!(bed.flow_mod(1, add(5, vec![])), Err(OfError::IsSecondary));
    let out = PacketOut {
        buffer_id: u32::MAX,
        ..Default::default()
    };
    assert_eq!(
        error(bed.ask(1, Body::PacketOut(Box::new(out)))).error,
        OfError::IsSecondary
    );
    assert_eq!(bed.all_flows(), []);
    assert_eq!(bed.flow_mod(2, add(5, vec![])), Ok(()));
    // Port status still reaches it; packet-ins do not.
    let port = PortSettings::new("p1", PortType::Device);
    bed.switch
        .add_port(bed.now, bed.bridge, port, &mut bed.out)
        .unwrap();
    bed.switch
        .event(bed.now, punt(&bed, Controller::default(), 0), &mut bed.out);
    assert!(matches!(bed.sent(1)[..], [Body::PortStatus(_)]));
}

fn punt(bed: &Bed, controller: Controller, cookie: u64) -> Event {
    Event::Punt(Box::new(Punt {
        bridge: bed.bridge,
        table: TableId(3),
        cookie: Cookie(cookie),
        controller,
        fields: in_port(7),
        in_port: PortNo(7),
        total_len: 200,
        data: vec![1; 200],
        paused: None,
    }))
}

#[test]
fn packet_ins_go_to_those_who_want_them() {
    let mut bed = bed13();
    bed.connect(2, ConnKind::Controller, Version::V10);
    bed.connect(3, ConnKind::Service, Version::V10);
    bed.connect(4, ConnKind::Controller, Version::V13);
    bed.say(4, Body::SetControllerId(9));
    // A service connection that asked for nothing gets nothing; one that did has events.
    bed.connect(5, ConnKind::Service, Version::V13);
    let tables = AsyncConfig {
        packet_in: [0; 2],
        port_status: [0; 2],
        flow_removed: [0b1111, 0],
        ..AsyncConfig::default()
    };
    bed.say(5, Body::SetAsync(tables.into()));
    let flow = FlowMod {
        flags: flow_flag::SEND_FLOW_REM,
        ..add(5, vec![])
    };
    bed.flow_mod(1, flow).unwrap();
    bed.say(1, Body::FlowMod(Box::new(command(FlowModCommand::Delete))));
    bed.publish();
    assert!(matches!(bed.sent(5)[..], [Body::FlowRemoved(_)]));
    let receivers = |bed: &mut Bed| -> Vec<(u64, usize, PacketInReason)> {
        let of = |output| match output {
            Output::SendPacketIn(
                to,
                Message {
                    body: Body::PacketIn(packet),
                    ..
                },
            ) => Some((to.0, packet.data.len(), packet.reason)),
            _ => None,
        };
        bed.outputs().into_iter().filter_map(of).collect()
    };
    bed.outputs();
    use PacketInReason::*;
    // A rule's: whole, to the connections with its controller id.
    bed.switch
        .event(bed.now, punt(&bed, Controller::default(), 5), &mut bed.out);
    assert_eq!(receivers(&mut bed), [(1, 200, Action), (2, 200, Action)]);
    let for_nine = Controller {
        id: 9,
        reason: ActionSet,
        ..Default::default()
    };
    bed.switch
        .event(bed.now, punt(&bed, for_nine, 5), &mut bed.out);
    assert_eq!(receivers(&mut bed), [(4, 200, Action)]);
    // A miss: cut, and to the old versions only; a rule for misses reaches all.
    let miss = Controller {
        reason: NoMatch,
        ..Default::default()
    };
    bed.switch
        .event(bed.now, punt(&bed, miss.clone(), u64::MAX), &mut bed.out);
    assert_eq!(receivers(&mut bed), [(2, 128, NoMatch)]);
    bed.switch.event(bed.now, punt(&bed, miss, 5), &mut bed.out);
    assert_eq!(receivers(&mut bed), [(1, 200, NoMatch), (2, 200, Action)]);
    // An expired TTL has to be asked for.
    let expired = Controller {
        reason: InvalidTtl,
        ..Default::default()
    };
    bed.switch
        .event(bed.now, punt(&bed, expired.clone(), 5), &mut bed.out);
    assert_eq!(receivers(&mut bed), []);
    let wanted = AsyncConfig {
        packet_in: [0b100, 0],
        port_status: [0; 2],
        flow_removed: [0; 2],
        ..AsyncConfig::default()
    };
    bed.say(1, Body::SetAsync(wanted.into()));
    assert_eq!(
        bed.ask(1, Body::GetAsyncRequest),
        [Body::GetAsyncReply(wanted)]
    );
    bed.switch
        .event(bed.now, punt(&bed, expired, 5), &mut bed.out);
    assert_eq!(receivers(&mut bed), [(1, 200, InvalidTtl)]);
}

#[test]
fn who_is_demoted_is_told() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V14);
    bed.connect(2, ConnKind::Controller, Version::V12);
    bed.connect(3, ConnKind::Controller, Version::V15);
    let controller = |uri: &str, number| ControllerSettings {
        uri: uri.into(),
        conn: Some(conn(number)),
    };
    let list = vec![controller("tcp:a", 1), controller("tcp:b", 2)];
    bed.switch
        .set_controllers(bed.bridge, list.clone(), &mut bed.out);
    bed.ask(1, role(2, 5));
    bed.outputs();
    bed.say(2, role(2, 6));
    let outputs = bed.outputs();
    let sent = |number| {
        let to = |output: &Output| match output {
            Output::Send(to, message) if *to == conn(number) => Some(message.body.clone()),
            _ => None,
        };
        outputs.iter().filter_map(to).collect::<Vec<_>>()
    };
    let status = RoleStatus {
        role: 3,
        reason: RoleReason::PrimaryRequest,
        generation_id: 6,
    };
    assert_eq!(sent(1), [Body::RoleStatus(status)]);
    let told = |uri: &str, role, reason| {
        Body::ControllerStatus(ControllerStatus {
            short_id: 0,
            role,
            reason,
            connected: true,
            uri: uri.into(),
        })
    };
    assert_eq!(sent(3), [told("tcp:a", 3, 2), told("tcp:b", 2, 2)]);
    bed.switch
        .set_controllers(bed.bridge, list[..1].to_vec(), &mut bed.out);
    assert_eq!(bed.sent(3), [told("tcp:b", 2, 4)]);
    let request = Body::MultipartRequest(MultipartRequest::ControllerStatus);
    let Body::ControllerStatus(status) = told("tcp:a", 3, 0) else {
        panic!()
    };
    let part = MultipartPart::ControllerStatus(vec![status]);
    let reply = Body::MultipartReply(MultipartReply { more: false, part });
    assert_eq!(bed.ask(3, request), [reply]);
}

#[test]
fn events_of_unknown_reasons_cannot_be_asked_for() {
    let mut bed = bed13();
    bed.connect(2, ConnKind::Controller, Version::V14);
    let wanted = AsyncConfig {
        table_status: [1, 0],
        ..AsyncConfig::default()
    };
    let refused = bed.ask(2, Body::SetAsync(wanted.into()));
    assert_eq!(error(refused).error, OfError::AsyncInvalid);
    assert_eq!(bed.ask(1, Body::SetAsync(wanted.into())), []);
}

#[test]
fn packet_ins_keep_their_rate() {
    let mut bed = Bed::new();
    let settings = ConnSettings {
        bridge: bed.bridge,
        kind: ConnKind::Controller,
        version: Version::V13,
        packet_in_limit: Some(RateLimit { rate: 10, burst: 3 }),
        events: true,
        auxiliary: None,
    };
    bed.switch.connect(bed.now, conn(1), settings);
    let burst = |bed: &mut Bed| {
        for _ in 0..20 {
            bed.switch
                .event(bed.now, punt(bed, Controller::default(), 5), &mut bed.out);
        }
        bed.sent(1).len()
    };
    assert_eq!(burst(&mut bed), 3);
    bed.now = bed.now + Time::millis(200);
    assert_eq!(burst(&mut bed), 2);
    assert_eq!(bed.switch.counters().packet_ins_limited, 35);
}

#[test]
fn packet_out_is_checked_and_follows_the_flows_before_it() {
    let mut bed = bed13();
    let good = PacketOut {
        in_port: PortNo::CONTROLLER,
        buffer_id: u32::MAX,
        actions: vec![output(PortNo::TABLE.0)],
        data: Bytes::from_static(&[0; 60]),
        ..PacketOut::default()
    };
    let cases = [
        (
            PacketOut {
                buffer_id: 5,
                ..good.clone()
            },
            OfError::BufferUnknown,
        ),
        (
            PacketOut {
                in_port: PortNo::FLOOD,
                ..good.clone()
            },
            OfError::BadPort,
        ),
        (
            PacketOut {
                data: Bytes::from_static(b"short"),
                ..good.clone()
            },
            OfError::BadPacket,
        ),
        (
            PacketOut {
                actions: vec![output(0xff00)],
                ..good.clone()
            },
            OfError::ActionOutPort,
        ),
    ];
    for (wrong, wanted) in cases {
        assert_eq!(
            error(bed.ask(1, Body::PacketOut(Box::new(wrong)))).error,
            wanted
        );
    }
    // OpenFlow 1.3 refuses what the packet has no field for.
    let ipv4 = Action::SetIpv4Src([10, 0, 0, 1].into());
    let wrong = PacketOut {
        actions: vec![ipv4.clone()],
        ..good.clone()
    };
    let refused = bed.ask(1, Body::PacketOut(Box::new(wrong)));
    assert_eq!(error(refused).error, OfError::MatchInconsistent);
    let mut frame = vec![0; 60];
    (frame[12], frame[14], frame[17], frame[23]) = (8, 0x45, 46, 17);
    let right = PacketOut {
        actions: vec![ipv4],
        data: frame.into(),
        ..good.clone()
    };
    assert_eq!(bed.ask(1, Body::PacketOut(Box::new(right))), []);
    bed.outputs();
    bed.say(1, Body::FlowMod(Box::new(add(5, vec![output(1)]))));
    bed.say(1, Body::PacketOut(Box::new(good)));
    assert_eq!(bed.outputs(), []);
    bed.publish();
    assert!(matches!(&bed.outputs()[..], [Output::PacketOut(out)] if out.data.len() == 60));
}

#[test]
fn multipart_replies_are_bounded() {
    let mut bed = bed13();
    let mut ask = |request| {
        let replies = bed.ask(1, Body::MultipartRequest(request));
        let parts = replies.into_iter().map(|reply| match reply {
            Body::MultipartReply(reply) => reply,
            other => panic!("{other:?}"),
        });
        parts.collect::<Vec<_>>()
    };
    let desc = ask(MultipartRequest::Desc);
    assert!(matches!(&desc[0].part, MultipartPart::Desc(d) if d.manufacturer == "Tsunagi"));
    let tables = ask(MultipartRequest::Table);
    let MultipartPart::Table(tables) = &tables[0].part else {
        panic!()
    };
    assert_eq!((tables.len(), tables[0].max_entries), (254, 1_000_000));
    let features = ask(MultipartRequest::TableFeatures(Vec::new()));
    assert!(features.len() > 10 && features.iter().rev().skip(1).all(|part| part.more));
    let MultipartPart::TableFeatures(first) = &features[0].part else {
        panic!()
    };
    assert_eq!(
        (first[0].table, first[0].next_tables.len()),
        (TableId(0), 253)
    );
    let queue = |port| MultipartRequest::Queue {
        port,
        queue: u32::MAX,
    };
    assert_eq!(
        ask(queue(PortNo::ANY))[0].part,
        MultipartPart::Queue(Vec::new())
    );
    let refused = bed.ask(1, Body::MultipartRequest(queue(PortNo(4))));
    assert_eq!(error(refused).error, OfError::QueueBadPort);
}

#[test]
fn packet_ins_have_the_format_that_was_asked_for() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V10);
    bed.say(1, Body::SetPacketInFormat(PacketInFormat::Nxt2));
    let config = SwitchConfig {
        miss_send_len: 100,
        ..Default::default()
    };
    bed.say(1, Body::SetConfig(config));
    bed.outputs();
    bed.switch
        .event(bed.now, punt(&bed, Controller::default(), 5), &mut bed.out);
    let packets = bed.sent(1);
    assert!(matches!(&packets[..], [Body::PacketIn(p)] if p.format == PacketInFormat::Nxt2));
}

#[test]
fn auxiliary_connections_share_the_main_ones_role_and_its_packets() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V13);
    for id in [1, 2] {
        let settings = ConnSettings {
            bridge: bed.bridge,
            kind: ConnKind::Controller,
            version: Version::V13,
            packet_in_limit: None,
            events: true,
            auxiliary: Some(Auxiliary { main: conn(1), id }),
        };
        let number = 10 + u64::from(id);
        bed.switch.connect(bed.now, conn(number), settings);
        let replies = bed.ask(number, Body::FeaturesRequest);
        let [Body::FeaturesReply(features)] = &replies[..] else {
            panic!("{replies:?}")
        };
        assert_eq!(features.auxiliary_id, id);
    }
    // Each packet goes to one of them; those of one pair of stations to the same.
    for station in 0..60_u8 {
        let Event::Punt(mut packet) = punt(&bed, Controller::default(), 60) else {
            unreachable!()
        };
        packet.data[5] = station;
        for _ in 0..2 {
            let event = Event::Punt(packet.clone());
            bed.switch.event(bed.now, event, &mut bed.out);
        }
    }
    let outputs = bed.outputs();
    let counts = [1, 11, 12].map(|number| {
        let goes = |o: &&Output| matches!(o, Output::SendPacketIn(to, _) if *to == conn(number));
        outputs.iter().filter(goes).count()
    });
    assert_eq!(counts.iter().sum::<usize>(), 120);
    assert!(
        counts.iter().all(|count| *count > 10 && count % 2 == 0),
        "{counts:?}"
    );
    // What one of them says of the role is true for all.
    let secondary = Role {
        role: 3,
        generation_id: Some(1),
        short_id: None,
    };
    let role = bed.ask(11, Body::RoleRequest(secondary));
    assert!(matches!(&role[..], [Body::RoleReply(Role { role: 3, .. })]));
    for number in [1, 11, 12] {
        let refused = bed.ask(number, Body::FlowMod(Box::default()));
        assert_eq!(error(refused).error, OfError::IsSecondary);
    }
    // They end with the main connection.
    bed.switch.disconnect(conn(1));
    assert_eq!(bed.ask(12, Body::FeaturesRequest), []);
}
