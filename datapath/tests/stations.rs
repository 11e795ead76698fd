//! NORMAL for whole bursts: what leaves, what is learnt and what is counted is what it is when the same packets come one at a time,
//! and in a switch that keeps no programs.

use datapath::edge::{BURST, Offload};
use datapath::model::drop::DROP_REASONS;
use datapath::model::id::{BridgeId, PortId};
use datapath::model::mac::MacTable;
use datapath::model::port::{PortKind, PortView, VlanMode};
use datapath::model::snapshot::Change;
use datapath::model::{Rule, RuleId};
use datapath::sim::{Options, Sim};
use datapath::time::Time;
use flow::frametext;
use ofp::message::{FlowModCommand, port_config};
use ofp::text::{PortMap, read_flow_mod};
use ofp::types::{PortNo, TableId};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

const PORTS: usize = 4;

/// Stations that talk to each other: the last ones are groups, and addresses that a bridge keeps to itself.
const STATIONS: &[&str] = &[
    "02:00:00:00:00:01",
    "02:00:00:00:00:02",
    "02:00:00:00:00:03",
    "02:00:00:00:00:04",
    "02:00:00:00:00:05",
    "02:00:00:00:00:06",
    "02:00:00:00:00:07",
    "02:00:00:00:00:08",
    "00:e0:2b:00:00:04",
    "ff:ff:ff:ff:ff:ff",
    "01:00:5e:00:00:01",
    "01:80:c2:00:00:0e",
];

/// What is behind the addresses.
const REST: &[&str] = &[
    "ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->6) \"hi\"",
    "ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->6) fill=90",
    "ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->6) fill=1600",
    "ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->7) \"hi\"",
    "vlan(vid=5) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->6) \"hi\"",
    "vlan(vid=6) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->6) \"hi\"",
    "vlan(vid=5,pcp=3) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->6) \"hi\"",
    "vlan(vid=0,pcp=2) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->6) \"hi\"",
    "arp(10.0.0.1->10.0.0.2,sha=..01)",
];

const RULES: &[&str] = &[
    "actions=NORMAL",
    "udp,tp_dst=7,actions=output:3",
    "arp,actions=NORMAL",
    "in_port=2,actions=output:1,NORMAL",
    "dl_vlan=6,actions=strip_vlan,NORMAL",
    "actions=output:4",
];

/// A BPDU, one of PVST+, something else that goes where BPDUs go, and what is too short for a header, or for a tag.
fn special(which: usize) -> Vec<u8> {
    let bpdu = [
        &[1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 38][..],
        &[0x42, 0x42, 3, 0, 0, 2, 2],
        &[0; 32],
    ];
    let pvst = [
        &[1, 0, 0x0c, 0xcc, 0xcc, 0xcd, 2, 0, 0, 0, 0, 1, 0, 50][..],
        &[0xaa, 0xaa, 3, 0, 0, 0x0c, 1, 0x0b],
        &[0; 42],
    ];
    match which {
        0 => bpdu.concat(),
        1 => pvst.concat(),
        2 => [&bpdu[0][..12], &[8, 0], &[0; 46]].concat(),
        3 => vec![2, 0, 0, 0, 0, 1, 2, 3],
        4 => vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0],
        _ => vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0],
    }
}

#[derive(Clone, Copy, Debug)]
enum Packet {
    Between(usize, usize, usize),
    Special(usize),
}

#[derive(Clone, Debug)]
enum Happening {
    /// Packets that arrive at a port.
    Burst(usize, Vec<Packet>),
    /// The clock moves.
    Later(u64),
    Vlan(usize, usize),
    Config(usize, u32),
    Mtu(usize, u16),
    Rule(usize),
    /// Addresses that nobody has used for so long are forgotten.
    Expire(u64),
    Close(usize),
}

fn packet() -> impl Strategy<Value = Packet> {
    let len = STATIONS.len();
    // Most are between ordinary stations, and have nothing special.
    let rest = prop_oneof![3 => Just(0), 2 => 0..REST.len()];
    let between = (prop_oneof![6 => 0..8usize, 1 => 0..len], 0..8usize, rest);
    prop_oneof![
        30 => between.prop_map(|(dst, src, rest)| Packet::Between(dst, src, rest)),
        1 => (0..len, 0..len, 0..REST.len()).prop_map(|(a, b, rest)| Packet::Between(a, b, rest)),
        1 => (0..6usize).prop_map(Packet::Special),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let configs = vec![
        port_config::NO_FWD,
        port_config::PORT_DOWN,
        port_config::NO_FLOOD,
        0,
        0,
        0,
    ];
    // Few packets again and again, too.
    let few = (prop::collection::vec(packet(), 1..3), 1..20usize);
    let few = few.prop_map(|(packets, times)| packets.repeat(times));
    let packets = prop_oneof![3 => prop::collection::vec(packet(), 1..2 * BURST), 1 => few];
    let port = 0..PORTS;
    let happening = prop_oneof![
        20 => (port.clone(), packets).prop_map(|(port, packets)| Happening::Burst(port, packets)),
        3 => (0..3u64).prop_map(Happening::Later),
        2 => (port.clone(), 0..6usize).prop_map(|(port, mode)| Happening::Vlan(port, mode)),
        2 => (port.clone(), prop::sample::select(configs)).prop_map(|(port, config)| Happening::Config(port, config)),
        1 => (port.clone(), prop::sample::select(vec![60u16, 1500, 0])).prop_map(|(port, mtu)| Happening::Mtu(port, mtu)),
        1 => (1..RULES.len()).prop_map(Happening::Rule),
        1 => (0..4u64).prop_map(Happening::Expire),
        1 => port.prop_map(Happening::Close),
    ];
    prop::collection::vec(happening, 5..40)
}

fn vlan_mode(which: usize) -> VlanMode {
    let mut bits = Box::new([0; 64]);
    bits[0] = 1 << 5 | 1;
    match which {
        0 => VlanMode::Trunk { trunks: None },
        1 => VlanMode::Trunk { trunks: Some(bits) },
        2 => VlanMode::Access { tag: 5 },
        3 => VlanMode::Access { tag: 0 },
        _ => VlanMode::Native {
            tag: 5,
            trunks: None,
            tagged: which == 5,
        },
    }
}

struct Bed {
    sim: Sim,
    bridge: BridgeId,
    ports: Vec<PortId>,
    rules: Vec<RuleId>,
    /// Packets that come at once.
    burst: usize,
}

impl Bed {
    fn new(cache_entries: usize, burst: usize) -> Bed {
        let mut sim = Sim::new(Options {
            cache_entries,
            ..Options::default()
        });
        sim.now = Time::secs(100);
        let bridge = sim.add_bridge("br0");
        let snapshot = sim.snapshot();
        let mut config = snapshot
            .bridge(bridge)
            .expect("was added")
            .config
            .as_ref()
            .clone();
        drop(snapshot);
        // Hardly larger than what there is.
        config.macs = Arc::new(MacTable::new(14));
        sim.change(Change::SetBridge(bridge, Arc::new(config)));
        let mut bed = Bed {
            sim,
            bridge,
            ports: Vec::new(),
            rules: Vec::new(),
            burst,
        };
        for number in 1..=PORTS as u32 {
            let view = bed.sim.port_view(bridge, PortNo(number), PortKind::Device);
            let id = bed.sim.set_port(view);
            bed.ports.push(id);
        }
        bed
    }
    fn view(&self, index: usize) -> PortView {
        let snapshot = self.sim.snapshot();
        let view = snapshot.port(self.ports[index]).expect("was added");
        view.as_ref().clone()
    }
    fn set(&mut self, index: usize, change: impl FnOnce(&mut PortView)) {
        let mut view = self.view(index);
        change(&mut view);
        self.sim.change(Change::SetPort(Arc::new(view)));
    }
    fn add(&mut self, text: &str) {
        let text = format!("priority={},{text}", self.rules.len() + 1);
        let flow = read_flow_mod(&text, Some(FlowModCommand::Add), &PortMap::default());
        let flow = flow.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let rule = Rule {
            id: RuleId(0),
            table: TableId(0),
            priority: flow.priority,
            matching: flow.matching,
            actions: flow.actions.into(),
            cookie: flow.cookie,
        };
        self.rules.push(self.sim.add_rule(self.bridge, rule));
    }
    fn frame(packet: &Packet) -> Vec<u8> {
        match packet {
            Packet::Between(dst, src, rest) => {
                let (dst, src, rest) = (STATIONS[*dst], STATIONS[*src], REST[*rest]);
                frametext::read(&format!("eth(dst={dst},src={src}) {rest}")).expect("a frame")
            }
            Packet::Special(which) => special(*which),
        }
    }
    fn happens(&mut self, happening: &Happening) {
        match happening {
            Happening::Burst(port, packets) => {
                for burst in packets.chunks(self.burst) {
                    for packet in burst {
                        let frame = Bed::frame(packet);
                        self.sim.send(self.ports[*port], &frame, Offload::default());
                    }
                    self.sim.poll(&mut ());
                }
            }
            Happening::Later(seconds) => {
                self.sim.now = self.sim.now + Time::secs(*seconds) + Time::millis(10);
            }
            Happening::Vlan(port, mode) => self.set(*port, |view| view.vlan = vlan_mode(*mode)),
            Happening::Config(port, config) => self.set(*port, |view| view.config = *config),
            Happening::Mtu(port, mtu) => self.set(*port, |view| view.mtu = *mtu),
            Happening::Rule(index) => self.add(RULES[*index]),
            Happening::Expire(seconds) => {
                let (snapshot, now) = (self.sim.snapshot(), self.sim.now);
                let macs = &snapshot.bridge(self.bridge).expect("was added").config.macs;
                macs.expire(|entry| now.since(entry.used) > Time::secs(*seconds));
            }
            Happening::Close(port) => {
                self.sim.close_port(self.ports[*port]);
                let view = self.view(*port);
                self.sim.set_port(view);
            }
        }
    }
    /// What left, what is known and what was counted.
    fn outcome(&mut self) -> String {
        let ports: Vec<_> = self
            .ports
            .iter()
            .map(|port| (self.sim.take(*port), self.sim.stats.port(*port)))
            .collect();
        let rules = self.rules.iter().map(|id| self.sim.stats.rule(*id));
        let rules: Vec<_> = rules
            .map(|totals| (totals.packets, totals.bytes, totals.used))
            .collect();
        let drops: Vec<_> = DROP_REASONS
            .iter()
            .map(|(reason, ..)| self.sim.stats.drops(*reason))
            .collect();
        let table = self.sim.stats.table(self.bridge, TableId(0));
        let snapshot = self.sim.snapshot();
        let macs = &snapshot.bridge(self.bridge).expect("was added").config.macs;
        let counted = [&macs.moved, &macs.evicted, &macs.learned].map(|count| count.load(Relaxed));
        let (known, changes) = (macs.entries(), macs.changes());
        format!("{ports:?} {rules:?} {drops:?} {table:?} {known:?} {counted:?} {changes}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn as_one_at_a_time(happenings in happenings()) {
        let mut beds = [(64, BURST), (64, 1), (0, BURST), (64, 7)].map(|(entries, burst)| Bed::new(entries, burst));
        for bed in &mut beds {
            bed.add(RULES[0]);
        }
        for happening in &happenings {
            let outcomes = beds.each_mut().map(|bed| {
                bed.happens(happening);
                bed.outcome()
            });
            let [one, others @ ..] = &outcomes;
            for other in others {
                prop_assert_eq!(one, other, "{:?}", happening);
            }
        }
        for bed in &mut beds {
            bed.sim.stop();
            prop_assert_eq!(bed.sim.outstanding(), 0);
        }
    }
}
