//! Frames that do not fit a tunnel's path: they leave in fragments which are the packet that they were, or who sent
//! them is told.

use datapath::edge::Offload;
use datapath::fragment::{Fragment, Limits, Reassembler, Secret};
use datapath::model::port::{PortKind, PortView};
use datapath::model::tunnel::{Encap, Exit, Fragmentation, Remote, Route, Tunnel, TunnelConfig};
use datapath::model::{PortId, Rule, RuleId};
use datapath::sim::{Options, Sim, SimPool};
use datapath::time::Time;
use ofp::action::Action;
use ofp::key::Match;
use ofp::types::{Cookie, PortNo, TableId};
use packet::MacAddr;
use packet::checksum;
use std::net::IpAddr;
use std::sync::Arc;

const INNER: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const TAG: [u8; 4] = [0x81, 0, 0x60, 7];

fn rule(matching: Option<PortNo>, port: PortNo) -> Rule {
    let mut fields = Match::default();
    if let Some(port) = matching {
        let place = ofp::field::Field::InPortOxm.place();
        fields.set(place, port.0.into(), u128::MAX);
    }
    Rule {
        id: RuleId(0),
        table: TableId(0),
        priority: 1,
        matching: fields,
        actions: Box::new([Action::Output { port, max_len: 0 }]),
        cookie: Cookie(0),
    }
}

struct Bed {
    sim: Sim,
    inside: PortId,
    tunnel: PortId,
    outside: PortId,
}

/// A host at port 1, a tunnel at port 2 of one bridge, and the underlay's device.
fn bed(remote: &str, source: &str, mtu: u16, fragmentation: Fragmentation) -> Bed {
    let mut sim = Sim::new(Options::default());
    let [overlay, underlay] = ["br0", "br-phy"].map(|name| sim.add_bridge(name));
    sim.add_rule(overlay, rule(Some(PortNo(1)), PortNo(2)));
    sim.add_rule(overlay, rule(Some(PortNo(2)), PortNo(1)));
    sim.add_rule(underlay, rule(None, PortNo(1)));
    let [inside, outside] = [overlay, underlay].map(|bridge| {
        let view = sim.port_view(bridge, PortNo(1), PortKind::Device);
        sim.set_port(view)
    });
    let vxlan = Encap::Vxlan {
        gbp: false,
        gpe: false,
    };
    let ip = |text: &str| -> IpAddr { text.parse().expect("an address") };
    let config = TunnelConfig {
        fragmentation,
        ..TunnelConfig::new(vxlan, Remote::Ip(ip(remote))).with_port(4789)
    };
    let route = Some(Route {
        exit: Exit::Bridge(underlay),
        source: Some(ip(source)),
        source_mac: MacAddr([2, 0, 0, 0, 0, 0xa]),
        next_hop_mac: MacAddr([2, 0, 0, 0, 0, 0xb]),
        mtu,
        egress_mtu: 1500,
    });
    let tunnel = Tunnel {
        config,
        route,
        state: Arc::default(),
    };
    let view: PortView = sim.port_view(overlay, PortNo(2), PortKind::Tunnel(Arc::new(tunnel)));
    let tunnel = sim.set_port(view);
    Bed {
        sim,
        inside,
        tunnel,
        outside,
    }
}

impl Bed {
    /// What leaves outside and comes back inside when a frame arrives inside.
    fn exchange(&mut self, frame: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.sim.send(self.inside, frame, Offload::default());
        self.sim.poll(&mut ());
        (self.sim.take(self.outside), self.sim.take(self.inside))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.sim.stop();
        assert_eq!(self.sim.outstanding(), 0);
    }
}

fn ipv4(size: usize, df: bool, tagged: bool) -> Vec<u8> {
    let mut header = vec![
        0x45,
        0,
        0,
        0,
        0,
        9,
        if df { 0x40 } else { 0 },
        0,
        64,
        17,
        0,
        0,
    ];
    header.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    header[2..4].copy_from_slice(&(size as u16).to_be_bytes());
    let sum = checksum::of(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut packet = header;
    packet.extend((packet.len()..size).map(|at| at as u8));
    link(0x0800, tagged, &packet)
}

fn ipv6(size: usize, tagged: bool) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
    packet[4..6].copy_from_slice(&(size as u16 - 40).to_be_bytes());
    for host in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    packet.extend((packet.len()..size).map(|at| at as u8));
    link(0x86dd, tagged, &packet)
}

fn link(ether_type: u16, tagged: bool, packet: &[u8]) -> Vec<u8> {
    let tag = if tagged { &TAG[..] } else { &[] };
    [&INNER[..], tag, &ether_type.to_be_bytes(), packet].concat()
}

/// Puts fragments together with the switch's own reassembler.
fn together(sim: &mut SimPool, frames: &[Vec<u8>]) -> Vec<u8> {
    use datapath::edge::{Frame, Pool};
    let mut reassembler = Reassembler::new(Secret::new(1), Limits::default());
    let mut whole = None;
    for bytes in frames.iter().rev() {
        let mut frame = sim.alloc(bytes.len()).expect("memory");
        frame.set_offload(Offload::default());
        sim.write(&mut frame, 0, bytes);
        let fragment = Fragment::inspect(&frame, 0).expect("well-formed");
        let fragment = fragment.expect("a fragment");
        whole = reassembler
            .insert(sim, Time::secs(1), frame, &fragment)
            .ok();
    }
    whole.expect("complete").bytes()
}

#[test]
fn fragments_are_the_packet() {
    let cases = [
        (
            "192.168.0.2",
            "192.168.0.1",
            1500,
            Fragmentation::Auto,
            1500,
            50,
        ),
        ("fd00::2", "fd00::1", 1500, Fragmentation::Auto, 1500, 70),
        ("fd00::2", "fd00::1", 1400, Fragmentation::Auto, 1400, 70),
        (
            "192.168.0.2",
            "192.168.0.1",
            1500,
            Fragmentation::Mtu(700),
            700,
            50,
        ),
        // What the path says is not trusted.
        (
            "192.168.0.2",
            "192.168.0.1",
            600,
            Fragmentation::Always,
            1500,
            50,
        ),
        ("fd00::2", "fd00::1", 1500, Fragmentation::Always, 1280, 70),
    ];
    for (remote, source, mtu, fragmentation, limit, overhead) in cases {
        for inner in [
            ipv4(1500, true, false),
            ipv4(1500, true, true),
            ipv6(1500, false),
        ] {
            let mut bed = bed(remote, source, mtu, fragmentation);
            let (sent, back) = bed.exchange(&inner);
            assert!(back.is_empty() && sent.len() > 1, "{fragmentation:?}");
            assert!(sent.iter().all(|frame| frame.len() <= 14 + limit));
            assert!(sent.iter().any(|frame| frame.len() > limit - 8));
            let whole = together(&mut SimPool::default(), &sent);
            assert_eq!(whole.len(), inner.len() + overhead);
            assert!(whole.ends_with(&inner));
        }
    }
}

#[test]
fn what_fits_keeps_df_as_it_is_set() {
    let df = |fragmentation| {
        let mut bed = bed("192.168.0.2", "192.168.0.1", 1500, fragmentation);
        let (sent, _) = bed.exchange(&ipv4(1450, true, false));
        assert_eq!(sent.len(), 1);
        sent[0][20] & 0x40 != 0
    };
    assert!(df(Fragmentation::Auto) && df(Fragmentation::Never) && !df(Fragmentation::Always));
}

#[test]
fn the_sender_is_told() {
    for tagged in [false, true] {
        let l3 = if tagged { 18 } else { 14 };
        let mut bed = bed("192.168.0.2", "192.168.0.1", 1000, Fragmentation::Never);
        let inner = ipv4(1500, true, tagged);
        let (sent, back) = bed.exchange(&inner);
        assert!(sent.is_empty() && back.len() == 1);
        let answer = &back[0];
        assert_eq!([&answer[6..12], &answer[..6]].concat(), INNER);
        assert_eq!(answer[12..l3], inner[12..l3]);
        let packet = &answer[l3..];
        assert_eq!((packet.len(), packet[9]), (576, 1));
        assert_eq!(packet[12..20], [10, 0, 0, 2, 10, 0, 0, 1]);
        assert_eq!(
            (checksum::of(&packet[..20]), checksum::of(&packet[20..])),
            (0, 0)
        );
        // Unreachable, fragmentation needed, the MTU, and what is about: 1000 - 50 - a tag.
        let mtu = 950 - (l3 as u16 - 14);
        assert_eq!(packet[20..22], [3, 4]);
        assert_eq!(packet[26..28], mtu.to_be_bytes());
        assert_eq!(packet[28..], inner[l3..][..548]);
        // A packet of that size goes.
        let (sent, back) = bed.exchange(&ipv4(mtu.into(), true, tagged));
        assert!(sent.len() == 1 && back.is_empty());
    }
}

#[test]
fn the_sender_is_told_by_icmpv6() {
    for tagged in [false, true] {
        let l3 = if tagged { 18 } else { 14 };
        let mut bed = bed("fd00::2", "fd00::1", 1500, Fragmentation::Never);
        let inner = ipv6(1500, tagged);
        let (sent, back) = bed.exchange(&inner);
        assert!(sent.is_empty() && back.len() == 1);
        let packet = &back[0][l3..];
        assert_eq!((packet.len(), packet[6]), (1280, 58));
        assert_eq!((packet[23], packet[39]), (2, 1));
        assert_eq!(packet[40..42], [2, 0]);
        let mtu = 1430 - (l3 as u32 - 14);
        assert_eq!(packet[44..48], mtu.to_be_bytes());
        assert_eq!(packet[48..], inner[l3..][..1232]);
        let mut pseudo = packet[8..40].to_vec();
        pseudo.extend((packet.len() as u32 - 40).to_be_bytes());
        pseudo.extend([0, 0, 0, 58]);
        assert_eq!(checksum::of(&[&pseudo[..], &packet[40..]].concat()), 0);
    }
}

#[test]
fn what_ipv6_has_to_carry_is_carried() {
    let mut bed = bed("fd00::2", "fd00::1", 1280, Fragmentation::Never);
    let inner = ipv6(1280, true);
    let (sent, back) = bed.exchange(&inner);
    assert!(sent.len() == 2 && back.is_empty());
    assert!(together(&mut SimPool::default(), &sent).ends_with(&inner));
    let (sent, back) = bed.exchange(&ipv6(1281, true));
    assert!(sent.is_empty() && back.len() == 1);
}

#[test]
fn without_df_it_is_split_inside() {
    let mut bed = bed("192.168.0.2", "192.168.0.1", 1000, Fragmentation::Never);
    let inner = ipv4(1500, false, true);
    let (sent, back) = bed.exchange(&inner);
    assert!(sent.len() == 2 && back.is_empty());
    assert!(
        sent.iter()
            .all(|frame| frame.len() <= 1014 && frame[20] & 0x40 != 0)
    );
    let inside: Vec<Vec<u8>> = sent.iter().map(|frame| frame[50..].to_vec()).collect();
    assert_eq!(together(&mut SimPool::default(), &inside), inner);
}

#[test]
fn nobody_is_told_what_nobody_asked() {
    let mut bed = bed("192.168.0.2", "192.168.0.1", 1000, Fragmentation::Never);
    let mut error = ipv4(1500, true, false);
    (error[23], error[34]) = (1, 3);
    let sum = checksum::of(&error[14..34]);
    let old = u16::from_be_bytes([error[24], error[25]]);
    let sum = checksum::Sum::new().u16(!sum).u16(!old).fold();
    error[24..26].copy_from_slice(&(!sum).to_be_bytes());
    let mut broadcast = ipv4(1500, true, false);
    broadcast[..6].fill(0xff);
    let other = link(0x1234, false, &[0; 1400]);
    for frame in [error, broadcast, other] {
        assert_eq!(bed.exchange(&frame), (vec![], vec![]));
    }
    // Answers are bounded.
    let frame = ipv4(1500, true, false);
    let told: usize = (0..1000).map(|_| bed.exchange(&frame).1.len()).sum();
    assert_eq!(told, 100);
}

#[test]
fn what_cannot_be_split_was_not_sent() {
    let mut bed = bed("10.9.9.2", "10.9.9.1", 27, Fragmentation::Auto);
    let (sent, answers) = bed.exchange(&ipv4(100, false, false));
    assert!(sent.is_empty() && answers.is_empty());
    let totals = bed.sim.stats.port(bed.tunnel);
    assert_eq!((totals.tx_packets, totals.tx_dropped), (0, 1));
}
