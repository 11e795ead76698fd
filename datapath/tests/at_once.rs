//! Tunnel packets that leave at once, and those that are told at a glance, are what they would be otherwise: the same switch
//! handles the same bursts with an observer, for whom every packet goes the long way. What leaves, in which order,
//! and all counters are compared.

use datapath::edge::{BURST, Offload};
use datapath::forward::trace::Linear;
use datapath::model::port::PortKind;
use datapath::model::snapshot::Change;
use datapath::model::tunnel::{
    Encap, Exit, L2tpv3, Remote, Route, Tunnel, TunnelConfig, TunnelKey,
};
use datapath::model::{BridgeId, PortId, Rule, RuleId};
use datapath::sim::{Options, Sim};
use ofp::action::Action;
use ofp::field::Field;
use ofp::key::Match;
use ofp::types::{Cookie, PortNo, TableId};
use packet::l2tpv3::{self, Sublayer};
use packet::{MacAddr, checksum};
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::Arc;

const MACS: [MacAddr; 2] = [MacAddr([2, 0, 0, 0, 9, 1]), MacAddr([2, 0, 0, 0, 9, 2])];

fn address(end: usize) -> IpAddr {
    [10, 9, 0, 1 + end as u8].into()
}

fn rule(fields: &[(Field, u128)], port: PortNo) -> Rule {
    let mut matching = Match::default();
    for (field, value) in fields {
        matching.set(field.place(), *value, u128::MAX);
    }
    Rule {
        id: RuleId(0),
        table: TableId(0),
        priority: 1,
        matching,
        actions: Box::new([Action::Output { port, max_len: 0 }]),
        cookie: Cookie(0),
    }
}

/// What rules look at.
#[derive(Clone, Copy, Debug)]
enum Sight {
    Nothing,
    Addresses,
    Tunnel,
}

/// One end of a tunnel: a host at a device of one bridge, the tunnel's packets at one of another.
struct End {
    sim: Sim,
    host: PortId,
    outside: PortId,
    ports: Vec<PortId>,
    rules: Vec<RuleId>,
}

impl End {
    fn new(end: usize, config: &TunnelConfig, mtu: u16, sight: Sight) -> End {
        let mut sim = Sim::new(Options::default());
        let [overlay, underlay] = ["br0", "br-phy"].map(|name| sim.add_bridge(name));
        let [host, outside] = [overlay, underlay].map(|bridge| {
            let view = sim.port_view(bridge, PortNo(1), PortKind::Device);
            sim.set_port(view)
        });
        let mut local = sim.port_view(underlay, PortNo::LOCAL, PortKind::Internal);
        local.mac = MACS[end];
        let local = sim.set_port(local);
        sim.change(Change::SetAddresses(underlay, [address(end)].into()));
        let tunnel = Tunnel {
            config: TunnelConfig {
                remote: Remote::Ip(address(1 - end)),
                ..config.clone()
            },
            route: Some(Route {
                exit: Exit::Bridge(underlay),
                source: Some(address(end)),
                source_mac: MACS[end],
                next_hop_mac: MACS[1 - end],
                mtu,
                egress_mtu: 1500,
            }),
            state: Arc::default(),
        };
        let tunnel = sim.port_view(overlay, PortNo(2), PortKind::Tunnel(Arc::new(tunnel)));
        let tunnel = sim.set_port(tunnel);
        let came = |port: PortNo| (Field::InPortOxm, u128::from(port.0));
        let mut rules = vec![
            sim.add_rule(overlay, rule(&[came(PortNo(1))], PortNo(2))),
            sim.add_rule(underlay, rule(&[came(PortNo::LOCAL)], PortNo(1))),
            sim.add_rule(underlay, rule(&[came(PortNo(1))], PortNo::LOCAL)),
        ];
        let ipv4 = (Field::EthType, 0x800);
        let seen = match sight {
            Sight::Nothing => vec![vec![]],
            Sight::Addresses => (0..3)
                .map(|host| vec![ipv4, (Field::IpDst, 0x0a00_0000 + host)])
                .collect(),
            Sight::Tunnel => vec![vec![(Field::TunId, 42)]],
        };
        for fields in seen {
            let fields = [&[came(PortNo(2))][..], &fields].concat();
            rules.push(sim.add_rule(overlay, rule(&fields, PortNo(1))));
        }
        let ports = vec![host, outside, local, tunnel];
        End {
            sim,
            host,
            outside,
            ports,
            rules,
        }
    }
    /// Frames arrive in one burst; what leaves by each port.
    fn burst(&mut self, port: PortId, frames: &[Vec<u8>], explained: bool) -> Vec<Vec<Vec<u8>>> {
        for frame in frames {
            self.sim.send(port, frame, Offload::default());
        }
        match explained {
            true => self.sim.poll(&mut Linear),
            false => self.sim.poll(&mut ()),
        }
        self.ports
            .clone()
            .into_iter()
            .map(|port| self.sim.take(port))
            .collect()
    }
    fn counters(&self) -> String {
        let stats = &self.sim.stats;
        let rules: Vec<_> = self.rules.iter().map(|rule| stats.rule(*rule)).collect();
        let ports: Vec<_> = self.ports.iter().map(|port| stats.port(*port)).collect();
        let tables = [0, 1].map(|id| stats.table(BridgeId(id), TableId(0)));
        let drops = datapath::model::drop::DROP_REASONS
            .iter()
            .map(|row| (row.0, stats.drops(row.0)));
        let drops: Vec<_> = drops.filter(|(_, count)| *count > 0).collect();
        let tunnel = stats.tunnel(self.ports[3]).0;
        let fragments = datapath::fragment::OUTCOMES
            .iter()
            .map(|row| stats.fragments(row.0));
        let fragments: Vec<_> = fragments.chain(stats.held()).collect();
        format!("{rules:?}\n{ports:?}\n{tables:?}\n{drops:?}\n{tunnel:?}\n{fragments:?}")
    }
}

/// A frame of a kind.
fn frame(kind: u8, size: usize, flow: u8) -> Vec<u8> {
    let mut frame = vec![0; size.max(60)];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    let packet = frame.len() as u16 - 14;
    let fragment = if kind == 1 { 0x20 } else { 0 };
    let tos = if kind == 2 { 0x2a } else { 0 };
    frame[12..24].copy_from_slice(&[
        8,
        0,
        0x45,
        tos,
        0,
        0,
        0,
        9,
        fragment,
        0,
        64,
        17 - 11 * (flow & 1),
    ]);
    frame[16..18].copy_from_slice(&packet.to_be_bytes());
    frame[26..34].copy_from_slice(&[172, 16, 0, flow, 10, 0, 0, flow % 4]);
    let sum = checksum::of(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[34..39].copy_from_slice(&[4, flow, 0, 53, 0]);
    frame[46] = 0x50;
    match kind {
        3 => drop(frame.splice(12..12, [0x81, 0, 0, 7])),
        4 => frame[12..14].copy_from_slice(&[8, 6]),
        // A BPDU's address.
        5 => frame[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 0]),
        6 => frame.truncate(usize::from(flow % 24)),
        _ => {}
    }
    frame
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Most are plain, so that whole bursts are.
    let kind = prop_oneof![24 => Just(0u8), 1 => 0u8..7];
    let size = prop_oneof![4 => 60..200usize, 1 => 1300..3300usize];
    let one = (kind, size, 0u8..16).prop_map(|(kind, size, flow)| frame(kind, size, flow));
    prop::collection::vec(one, 1..=BURST)
}

fn config(kind: u8, df: bool) -> TunnelConfig {
    let (gbp, gpe) = (false, false);
    let sequence = kind == 4;
    let (encap, port) = match kind {
        0 => (Encap::Vxlan { gbp, gpe }, 4789),
        1 => (Encap::Geneve, 6081),
        2 => {
            let settings = L2tpv3 {
                over: l2tpv3::Encap::Udp,
                cookie: Default::default(),
                peer_cookie: Default::default(),
                sublayer: Sublayer::Default,
                send_sequence: df,
                receive_sequence: false,
                service_vid: None,
            };
            (Encap::L2tpv3(settings), 1701)
        }
        _ => (Encap::Gre { sequence }, 0),
    };
    TunnelConfig {
        df,
        ..TunnelConfig::new(encap, Remote::Flow)
            .with_port(port)
            .with_key(TunnelKey::Value(42))
    }
}

/// What happens to frames on their way: a bit flips, or one is lost, comes twice, or later than the next one.
#[derive(Clone, Copy, Debug)]
enum Accident {
    Flip(usize, u8),
    Loss,
    Duplicate,
    Swap,
}

fn accidents() -> impl Strategy<Value = Vec<(prop::sample::Index, Accident)>> {
    let accident = prop_oneof![
        4 => (0usize..60, 0u8..8).prop_map(|(at, bit)| Accident::Flip(at, bit)),
        1 => Just(Accident::Loss),
        1 => Just(Accident::Duplicate),
        1 => Just(Accident::Swap),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), accident), 0..3)
}

fn happens(frames: &mut Vec<Vec<u8>>, (index, accident): &(prop::sample::Index, Accident)) {
    if frames.is_empty() {
        return;
    }
    let index = index.index(frames.len());
    match *accident {
        Accident::Flip(at, bit) => {
            if let Some(byte) = frames[index].get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        Accident::Loss => drop(frames.remove(index)),
        Accident::Duplicate => frames.insert(index, frames[index].clone()),
        Accident::Swap => {
            let next = (index + 1) % frames.len();
            frames.swap(index, next);
        }
    }
}

fn sight() -> impl Strategy<Value = Sight> {
    prop_oneof![
        Just(Sight::Nothing),
        Just(Sight::Addresses),
        Just(Sight::Tunnel),
    ]
}

/// Frames of the usual kind, each of which is two fragments in a tunnel.
fn large_frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let one = (1480..2700usize, 0u8..16).prop_map(|(size, flow)| frame(0, size, flow));
    prop::collection::vec(one, 1..25)
}

/// Compares both ways of bursts into a tunnel, and out of it at the other end after what happened to each.
fn compare(
    bursts: &[Vec<Vec<u8>>],
    (config, mtu, sight): (&TunnelConfig, u16, Sight),
    accidents: &[Vec<(prop::sample::Index, Accident)>],
) -> Result<(), TestCaseError> {
    let make = |end| [(); 2].map(|()| End::new(end, config, mtu, sight));
    let ([mut short, mut long], [mut near, mut far]) = (make(0), make(1));
    for (burst, accidents) in bursts.iter().zip(accidents.iter().cycle()) {
        let sent = short.burst(short.host, burst, false);
        prop_assert_eq!(&sent, &long.burst(long.host, burst, true));
        let mut received = sent[1].clone();
        for accident in accidents {
            happens(&mut received, accident);
        }
        for part in received.chunks(20) {
            let opened = near.burst(near.outside, part, false);
            prop_assert_eq!(opened, far.burst(far.outside, part, true));
        }
    }
    prop_assert_eq!(short.counters(), long.counters());
    prop_assert_eq!(near.counters(), far.counters());
    for end in [&mut short, &mut long, &mut near, &mut far] {
        end.sim.stop();
        prop_assert_eq!(end.sim.outstanding(), 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_short_way_is_the_long_way(
        bursts in prop::collection::vec(frames(), 1..6), kind in 0u8..5, df: bool, small: bool,
        sight in sight(), accidents in accidents(),
    ) {
        let mtu = if small { 1400 } else { 1500 };
        compare(&bursts, (&config(kind, df), mtu, sight), &[accidents])?;
    }
    #[test]
    fn pairs_of_fragments_are_what_they_are_one_by_one(
        bursts in prop::collection::vec(large_frames(), 2..6), kind in 0u8..4,
        sight in sight(), accidents in prop::collection::vec(accidents(), 1..6),
    ) {
        compare(&bursts, (&config(kind, false), 1500, sight), &accidents)?;
    }
}
