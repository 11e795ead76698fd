//! Ports: numbers, settings, patches, tunnels, PORT_STATUS and PORT_MOD.

use super::*;
use crate::edge::PortState;
use crate::model::PortKind;
use crate::model::tunnel::{Encap, Exit, Remote, TunnelConfig, TunnelKey};
use ofp::bpdu::BpduStats;
use packet::MacAddr;
use packet::bpdu::Kind;

const UP: PortState = PortState {
    link_up: true,
    admin_up: true,
    mtu: 1500,
    mac: [2; 6],
    speed: 0,
    ifindex: 0,
};

fn device(name: &str) -> PortSettings {
    PortSettings {
        mac: MacAddr([2; 6]),
        ..PortSettings::new(name, PortType::Device)
    }
}

fn tunnel(name: &str, key: u64) -> PortSettings {
    let vxlan = Encap::Vxlan {
        gbp: false,
        gpe: false,
    };
    let config = TunnelConfig::new(vxlan, Remote::Ip([10, 0, 0, 2].into()))
        .with_port(4789)
        .with_key(TunnelKey::Value(key));
    PortSettings::new(name, PortType::Tunnel(config))
}

fn patch(name: &str, peer: &str) -> PortSettings {
    PortSettings::new(name, PortType::Patch { peer: peer.into() })
}

impl Bed {
    fn add(&mut self, settings: PortSettings) -> Result<(PortId, PortNo), ConfigError> {
        self.switch
            .add_port(self.now, self.bridge, settings, &mut self.out)
    }
    fn peer(&mut self, id: PortId) -> Option<PortId> {
        self.publish();
        match self
            .switch
            .publisher
            .current()
            .port(id)
            .expect("there")
            .kind
        {
            PortKind::Patch { peer } => peer,
            _ => panic!("not a patch"),
        }
    }
    fn status(&mut self) -> Vec<(PortReason, u32, u32)> {
        let of = |body| match body {
            Body::PortStatus(s) => Some((s.reason, s.desc.config, s.desc.state)),
            _ => None,
        };
        self.sent(1).into_iter().filter_map(of).collect()
    }
}

#[test]
fn numbers_are_requested_stored_or_the_lowest() {
    let mut bed = Bed::new();
    let wish = |name, request, stored| PortSettings {
        number_request: request,
        number_stored: stored,
        ..device(name)
    };
    let number = |bed: &mut Bed, settings| bed.add(settings).map(|(_, number)| number.0);
    assert_eq!(number(&mut bed, wish("a", Some(2), Some(9))), Ok(2));
    assert_eq!(number(&mut bed, wish("b", None, Some(9))), Ok(9));
    assert_eq!(number(&mut bed, wish("c", Some(2), None)), Ok(1));
    assert_eq!(number(&mut bed, wish("d", None, None)), Ok(3));
    assert_eq!(number(&mut bed, wish("e", None, Some(65_534))), Ok(4));
    let local = PortSettings::new("br0", PortType::Local);
    assert_eq!(number(&mut bed, local.clone()), Ok(PortNo::LOCAL.0));
    let second = PortSettings {
        name: "br0-2".into(),
        ..local
    };
    assert!(number(&mut bed, second).is_err());
    let refused = number(&mut bed, wish("f", Some(65_280), None)).unwrap_err();
    assert_eq!(refused.0, "f: ofport_request 65280 is not in 1..65279");
    let refused = number(&mut bed, wish("a", None, None)).unwrap_err();
    assert_eq!(refused.0, "a: another port has this name");
}

#[test]
fn patches_find_each_other_and_lose_each_other() {
    let mut bed = Bed::new();
    let (a, _) = bed.add(patch("a", "b")).unwrap();
    assert_eq!(bed.peer(a), None);
    let (b, _) = bed.add(patch("b", "x")).unwrap();
    assert_eq!((bed.peer(a), bed.peer(b)), (None, None));
    bed.switch
        .set_port(b, patch("b", "a"), &mut bed.out)
        .unwrap();
    assert_eq!((bed.peer(a), bed.peer(b)), (Some(b), Some(a)));
    bed.switch.remove_port(b, &mut bed.out);
    assert_eq!(bed.peer(a), None);
    assert!(
        bed.add(patch("c", "c"))
            .unwrap_err()
            .0
            .contains("the port itself")
    );
}

#[test]
fn equal_tunnels_are_refused_and_routes_are_published() {
    let mut bed = Bed::new();
    let (a, _) = bed.add(tunnel("a", 5)).unwrap();
    assert!(
        bed.add(tunnel("b", 5))
            .unwrap_err()
            .0
            .contains("tunnel a has the same")
    );
    let (b, _) = bed.add(tunnel("b", 6)).unwrap();
    assert!(
        bed.switch
            .set_port(b, tunnel("b", 5), &mut bed.out)
            .is_err()
    );
    bed.switch
        .set_port(a, tunnel("a", 7), &mut bed.out)
        .unwrap();
    bed.switch
        .set_port(b, tunnel("b", 5), &mut bed.out)
        .unwrap();
    let route = crate::model::tunnel::Route {
        exit: Exit::Bridge(bed.bridge),
        source: Some([10, 0, 0, 1].into()),
        source_mac: MacAddr([2; 6]),
        next_hop_mac: MacAddr([4; 6]),
        mtu: 1500,
        egress_mtu: 1500,
    };
    bed.switch.set_route(b, Some(route.clone()));
    bed.publish();
    let snapshot = bed.switch.publisher.current();
    let PortKind::Tunnel(published) = &snapshot.port(b).expect("there").kind else {
        panic!()
    };
    assert_eq!(published.route, Some(route));
}

#[test]
fn port_status_tells_every_change() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V13);
    let (id, _) = bed.add(device("p1")).unwrap();
    assert_eq!(bed.status(), [(PortReason::Add, 0, port_state::LINK_DOWN)]);
    bed.switch.set_port_state(id, UP, &mut bed.out);
    assert_eq!(bed.status(), [(PortReason::Modify, 0, port_state::LIVE)]);
    bed.switch
        .set_port_state(id, PortState { mtu: 9000, ..UP }, &mut bed.out);
    assert_eq!(bed.status(), []);
    let down = PortState {
        link_up: false,
        admin_up: false,
        ..UP
    };
    bed.switch.set_port_state(id, down, &mut bed.out);
    let want = (
        PortReason::Modify,
        port_config::PORT_DOWN,
        port_state::LINK_DOWN,
    );
    assert_eq!(bed.status(), [want]);
    bed.publish();
    assert!(!bed.switch.publisher.current().port(id).expect("there").live);
    bed.switch.remove_port(id, &mut bed.out);
    let reasons: Vec<_> = bed.status().iter().map(|s| s.0).collect();
    assert_eq!(reasons, [PortReason::Delete]);
    bed.publish();
    assert_eq!(bed.outputs(), [Output::PortGone(id)]);
}

#[test]
fn port_mod_changes_bits_of_the_right_port() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V10);
    let (id, number) = bed.add(device("p1")).unwrap();
    bed.switch.set_port_state(id, UP, &mut bed.out);
    let bits = port_config::PORT_DOWN | port_config::NO_FLOOD;
    let good = PortMod {
        port: number,
        hw_addr: MacAddr([2; 6]),
        config: bits,
        mask: bits,
        advertise: 0,
    };
    let error = |bodies: Vec<Body>| match &bodies[..] {
        [Body::Error(error)] => error.error,
        other => panic!("{other:?}"),
    };
    let wrong = PortMod {
        port: PortNo(77),
        ..good
    };
    assert_eq!(
        error(bed.ask(1, Body::PortMod(wrong))),
        OfError::PortModBadPort
    );
    let wrong = PortMod {
        hw_addr: MacAddr([9; 6]),
        ..good
    };
    assert_eq!(
        error(bed.ask(1, Body::PortMod(wrong))),
        OfError::PortModBadAddress
    );
    let wrong = PortMod {
        mask: 1 << 20,
        ..good
    };
    assert_eq!(
        error(bed.ask(1, Body::PortMod(wrong))),
        OfError::PortModBadConfig
    );
    bed.say(1, Body::PortMod(good));
    assert!(bed.out.contains(&Output::SetPortUp(id, false)));
    assert_eq!(bed.status(), [(PortReason::Modify, bits, 0)]);
    bed.publish();
    let view = bed
        .switch
        .publisher
        .current()
        .port(id)
        .expect("there")
        .clone();
    assert_eq!((view.config, view.live), (bits, false));
    // The device reports what it was told; nothing new.
    bed.switch.set_port_state(
        id,
        PortState {
            admin_up: false,
            ..UP
        },
        &mut bed.out,
    );
    assert_eq!(bed.status(), []);
}

#[test]
fn a_new_port_starts_counting_at_zero() {
    let mut bed = Bed::new();
    let (id, number) = bed.add(device("p1")).unwrap();
    bed.worker.ports.add(id.0 as usize, 0, 5);
    bed.switch.remove_port(id, &mut bed.out);
    bed.publish();
    let (again, _) = bed.add(device("p2")).unwrap();
    assert_eq!(again, id);
    bed.worker.ports.add(id.0 as usize, 0, 2);
    assert_eq!(bed.switch.port_totals(id).map(|t| t.rx_packets), Some(2));
    bed.connect(1, ConnKind::Service, Version::V13);
    let ask = |port| Body::MultipartRequest(MultipartRequest::Port(port));
    for (port, len) in [(number, 1), (PortNo::ANY, 1), (PortNo(77), 0)] {
        let replies = bed.ask(1, ask(port));
        let [Body::MultipartReply(reply)] = &replies[..] else {
            panic!("{replies:?}")
        };
        let MultipartPart::Port(ports) = &reply.part else {
            panic!()
        };
        assert_eq!(ports.len(), len);
        assert!(
            ports
                .iter()
                .all(|p| p.rx_packets == 2 && p.rx_crc_err == u64::MAX)
        );
    }
}

#[test]
fn bpdus_by_kind_since_the_port_was_added() {
    let mut bed = Bed::new();
    let (id, number) = bed.add(device("p1")).unwrap();
    bed.worker.received_bpdu(id, Kind::Pvst);
    bed.switch.remove_port(id, &mut bed.out);
    bed.publish();
    assert_eq!(bed.add(device("p2")).unwrap().0, id);
    bed.worker.received_bpdu(id, Kind::Pvst);
    bed.worker.sent_bpdu(id, Kind::Stp);
    bed.worker.sent_bpdu(id, Kind::None);
    let wanted = BpduStats {
        port: number,
        rx: [0, 0, 0, 0, 1],
        tx: [1, 0, 0, 0, 0],
        outer: None,
    };
    bed.connect(1, ConnKind::Service, Version::V13);
    for (port, wanted) in [
        (number, vec![wanted]),
        (PortNo::ANY, vec![wanted]),
        (PortNo(77), vec![]),
    ] {
        let replies = bed.ask(1, Body::MultipartRequest(MultipartRequest::Bpdu(port)));
        let [Body::MultipartReply(reply)] = &replies[..] else {
            panic!("{replies:?}")
        };
        assert_eq!(reply.part, MultipartPart::Bpdu(wanted));
    }
}
