//! The two-byte pseudowire as the original program has it: bytes of frames that are sent in two parts, and what becomes of parts
//! that are received.

use datapath::edge::Offload;
use datapath::fragment::gpw::Mode;
use datapath::model::port::PortKind;
use datapath::model::tunnel::{Encap, Exit, Remote, Route, Tunnel, TunnelConfig};
use datapath::model::tunnel_stats::TunnelCounter;
use datapath::model::{DropReason, PortId, Rule, RuleId};
use datapath::sim::{Options, Sim};
use datapath::time::Time;
use ofp::action::Action;
use ofp::key::Match;
use ofp::types::{Cookie, PortNo, TableId};
use packet::MacAddr;
use packet::gpw::Order;
use std::net::Ipv6Addr;
use std::sync::Arc;

const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0b]);

struct Bed {
    sim: Sim,
    inside: PortId,
    tunnel: PortId,
    wire: PortId,
}

fn all_to(port: PortNo) -> Rule {
    Rule {
        id: RuleId(0),
        table: TableId(0),
        priority: 0,
        matching: Match::default(),
        actions: Box::new([Action::Output { port, max_len: 0 }]),
        cookie: Cookie(0),
    }
}

/// A bridge of a device and a pseudowire, which leaves by another device.
fn bed(remote: Remote, mode: Mode) -> Bed {
    bed_of(1, remote, mode)
}

/// The same with several workers; of three, the last one holds the parts, and the first one receives them.
fn bed_of(workers: usize, remote: Remote, mode: Mode) -> Bed {
    let mut sim = Sim::new(Options {
        workers,
        ..Options::default()
    });
    let [overlay, other] = ["br0", "br1"].map(|name| sim.add_bridge(name));
    sim.add_rule(overlay, all_to(PortNo::FLOOD));
    let view = sim.port_view(other, PortNo(1), PortKind::Device);
    let wire = sim.set_port(view);
    let view = sim.port_view(overlay, PortNo(1), PortKind::Device);
    let inside = sim.set_port(view);
    let encap = Encap::Gpw {
        order: Order::Little,
        mode,
    };
    let route = Route {
        exit: Exit::Port(wire),
        source: match remote {
            Remote::Link(_) => None,
            _ => Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into()),
        },
        source_mac: OURS,
        next_hop_mac: PEER,
        mtu: 1500,
        egress_mtu: 1500,
    };
    let kind = PortKind::Tunnel(Arc::new(Tunnel {
        config: TunnelConfig::new(encap, remote),
        route: Some(route),
        state: Arc::default(),
    }));
    let view = sim.port_view(overlay, PortNo(2), kind);
    let tunnel = sim.set_port(view);
    Bed {
        sim,
        inside,
        tunnel,
        wire,
    }
}

fn inner(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + at / 256) as u8).collect()
}

/// The outer header over Ethernet, with the control word as its bytes lie.
fn link(dst: MacAddr, src: MacAddr, control: [u8; 2]) -> Vec<u8> {
    [&dst.0[..], &src.0, &[0x96, 0xfc], &control].concat()
}

impl Bed {
    fn through(&mut self, from: PortId, frame: &[u8], to: PortId) -> Vec<Vec<u8>> {
        self.sim.send(from, frame, Offload::default());
        self.sim.poll(&mut ());
        self.sim.take(to)
    }
    fn out(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.through(self.inside, frame, self.wire)
    }
    /// A frame of the peer with this control word, and what comes out.
    fn arrives(&mut self, control: [u8; 2], frame: &[u8]) -> Vec<Vec<u8>> {
        let frame = [&link(OURS, PEER, control), frame].concat();
        self.through(self.wire, &frame, self.inside)
    }
    fn count(&self, counter: TunnelCounter) -> u64 {
        self.sim.stats.tunnel(self.tunnel).get(counter)
    }
    fn end(mut self) {
        self.sim.stop();
        assert_eq!(self.sim.outstanding(), 0);
    }
}

#[test]
fn parts_over_ethernet_are_the_originals() {
    let mut bed = bed(Remote::Link(PEER), Mode::InOrder);
    let whole = inner(1498);
    let expected = [link(PEER, OURS, [0, 0]), whole.clone()].concat();
    assert_eq!(bed.out(&whole), [expected]);
    for id in [2, 3] {
        let large = inner(1514);
        let parts = bed.out(&large);
        assert_eq!(
            parts[0],
            [&link(PEER, OURS, [id, 0x80]), &large[..1280]].concat()
        );
        assert_eq!(
            parts[1],
            [&link(PEER, OURS, [id, 0xc0]), &large[1280..]].concat()
        );
        assert_eq!([parts[0].len(), parts[1].len()], [1296, 250]);
    }
    // Larger than two parts are.
    let counts = [
        TunnelCounter::Split,
        TunnelCounter::TxPackets,
        TunnelCounter::TxBytes,
    ];
    assert_eq!(
        counts.map(|counter| bed.count(counter)),
        [2, 5, 1514 + 2 * (1296 + 250)]
    );
    assert!(bed.out(&inner(2779)).is_empty());
    assert_eq!(bed.count(TunnelCounter::TxTooBig), 1);
    assert_eq!(bed.sim.stats.port(bed.tunnel).tx_packets, 3);
    bed.end();
}

#[test]
fn parts_over_ipv6_are_the_originals() {
    let remote = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
    let mut bed = bed(Remote::Ip(remote.into()), Mode::InOrder);
    let header = |size: usize, control: [u8; 2]| {
        let addresses = [Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), remote];
        let [src, dst] = addresses.map(|ip| ip.octets());
        let size = (size as u16 + 2).to_be_bytes();
        let start = [0x86, 0xdd, 0x60, 0, 0, 0, size[0], size[1], 0xfc, 64];
        [&PEER.0[..], &OURS.0, &start, &src, &dst, &control].concat()
    };
    let whole = inner(1458);
    assert_eq!(
        bed.out(&whole),
        [[header(1458, [0, 0]), whole.clone()].concat()]
    );
    let large = inner(1514);
    let parts = bed.out(&large);
    assert_eq!(
        parts[0],
        [&header(1280, [2, 0x80]), &large[..1280]].concat()
    );
    assert_eq!(parts[1], [&header(234, [2, 0xc0]), &large[1280..]].concat());
    assert_eq!([parts[0].len(), parts[1].len()], [1336, 290]);
    bed.end();
}

#[test]
fn parts_in_order_become_frames() {
    for workers in [1, 3] {
        become_frames(bed_of(workers, Remote::Link(PEER), Mode::InOrder));
    }
}

fn become_frames(mut bed: Bed) {
    let large = inner(1514);
    let (first, second) = large.split_at(1280);
    let small = inner(60);
    // Whole frames may come between; a word without the top bit is a part.
    assert!(bed.arrives([7, 0x80], first).is_empty());
    assert_eq!(bed.arrives([0, 0], &small), std::slice::from_ref(&small));
    assert_eq!(bed.arrives([7, 0x40], second), std::slice::from_ref(&large));
    // A second first part, a stranger's second part, and one without a first one.
    assert!(bed.arrives([8, 0x80], first).is_empty());
    assert!(bed.arrives([9, 0x80], first).is_empty());
    assert!(bed.arrives([8, 0xc0], second).is_empty());
    assert!(bed.arrives([9, 0xc0], second).is_empty());
    use TunnelCounter::{Completed, Held, IdMismatch, NoFirst, Replaced};
    let counters = [Held, Completed, Replaced, IdMismatch, NoFirst];
    assert_eq!(counters.map(|counter| bed.count(counter)), [3, 1, 1, 1, 1]);
    assert_eq!(bed.sim.stats.drops(DropReason::TunnelPart), 4);
    let totals = bed.sim.stats.port(bed.tunnel);
    assert_eq!(
        [totals.rx_packets, totals.rx_bytes, totals.rx_dropped],
        [2, 1514 + 60, 4]
    );
    // One waits when all ends.
    assert!(bed.arrives([10, 0x80], first).is_empty());
    bed.end();
}

#[test]
fn parts_wait_for_a_second() {
    let mut bed = bed(Remote::Link(PEER), Mode::Tolerant);
    let large = inner(1514);
    let (first, second) = large.split_at(1280);
    // In reverse, and two frames at once.
    assert!(bed.arrives([7, 0xc0], second).is_empty());
    assert!(bed.arrives([8, 0x80], first).is_empty());
    assert_eq!(bed.arrives([7, 0x80], first), std::slice::from_ref(&large));
    bed.sim.now = bed.sim.now + Time::millis(1100);
    bed.sim.poll(&mut ());
    assert_eq!(bed.count(TunnelCounter::TimedOut), 1);
    assert!(bed.arrives([8, 0xc0], second).is_empty());
    bed.end();
}

#[test]
fn what_is_taken_out_is_not_counted_where_the_rest_goes() {
    let mut bed = bed(Remote::Link(PEER), Mode::InOrder);
    let bridge = bed.sim.snapshot().port(bed.wire).expect("a port").bridge;
    let view = bed.sim.port_view(bridge, PortNo(2), PortKind::Device);
    let other = bed.sim.set_port(view);
    let rule = bed.sim.add_rule(bridge, all_to(PortNo(2)));
    let small = inner(60);
    let mut used = Time::default();
    for _ in 0..2 {
        used = bed.sim.now;
        assert_eq!(bed.through(bed.wire, &small, other).len(), 1);
        bed.sim.now = used + Time::secs(1);
        assert_eq!(bed.arrives([0, 0], &small), std::slice::from_ref(&small));
    }
    let counts = bed.sim.stats.rule(rule);
    assert_eq!((counts.packets, counts.bytes, counts.used), (2, 120, used));
    let totals = bed.sim.stats.port(other);
    assert_eq!([totals.tx_packets, totals.tx_bytes], [2, 120]);
    bed.end();
}

#[test]
fn frames_of_others_are_the_bridges() {
    let mut bed = bed(Remote::Link(PEER), Mode::InOrder);
    let frame = inner(60);
    for (dst, src) in [(OURS, OURS), (PEER, PEER)] {
        let frame = [&link(dst, src, [0, 0]), &frame[..]].concat();
        assert!(bed.through(bed.wire, &frame, bed.inside).is_empty());
    }
    assert_eq!(bed.sim.stats.drops(DropReason::NoRule), 2);
    // Something shorter than a frame inside.
    assert!(bed.arrives([0, 0], &frame[..13]).is_empty());
    assert_eq!(bed.count(TunnelCounter::RxMalformed), 1);
    assert_eq!(bed.arrives([0, 0], &frame), std::slice::from_ref(&frame));
    bed.end();
}
