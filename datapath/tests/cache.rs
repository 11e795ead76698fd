//! For random rules and packets, also while rules change: the answer with the cache, with a cache too
//! small for the traffic, and of a linear scan of the rules are the same.

use datapath::edge::{BURST, Offload};
use datapath::forward::trace::{Linear, Observer};
use datapath::model::event::Event;
use datapath::model::id::BridgeId;
use datapath::model::id::PortId;
use datapath::model::meter::MeterView;
use datapath::model::port::PortView;
use datapath::model::snapshot::Change;
use datapath::model::{Rule, RuleId};
use datapath::sim::{self, Options, Sim};
use flow::frametext;
use ofp::action::Action;
use ofp::field::Field;
use ofp::message::{self, FlowMod, GroupDesc, GroupKind, MeterCommand};
use ofp::text::{PortMap, read_actions, read_meter_mod};
use ofp::types::{GroupId, PortNo, TableId};
use proptest::prelude::*;
use std::sync::Arc;

const PORTS: u32 = 3;

struct Bed {
    sim: Sim,
    bridge: BridgeId,
    ports: Vec<PortId>,
    /// Of rules, groups and buckets, also of those that are gone.
    gauges: Vec<RuleId>,
    meter: Arc<MeterView>,
    /// What the last packets taught.
    learnt: Vec<FlowMod>,
}

impl Bed {
    fn new(cache_entries: usize) -> Bed {
        let options = Options {
            cache_entries,
            ..Options::default()
        };
        let mut sim = Sim::new(options);
        let bridge = sim.add_bridge("br0");
        let ports = sim.add_devices(bridge, PORTS);
        let meter = "meter=1,pktps,burst,bands=type=dscp_remark,rate=1,burst_size=9,prec_level=1,type=drop,rate=2,burst_size=12";
        let meter = read_meter_mod(meter, MeterCommand::Add).expect("a meter");
        let meter = Arc::new(MeterView::new(meter.config, sim.now));
        sim.change(Change::SetMeter(bridge, meter.clone()));
        let gauges = Vec::new();
        Bed {
            sim,
            bridge,
            ports,
            gauges,
            meter,
            learnt: Vec::new(),
        }
    }
    /// What becomes of packets that arrive at once, at ports of these indexes.
    fn answer<O: Observer>(&mut self, burst: &[(usize, Vec<u8>)], o: &mut O) -> Vec<String> {
        for (port, frame) in burst {
            self.sim.send(self.ports[*port], frame, Offload::default());
        }
        self.sim.poll(o);
        let mut answer = Vec::new();
        for (index, &port) in self.ports.iter().enumerate() {
            let frames = self.sim.take(port);
            answer.extend(
                frames
                    .iter()
                    .map(|f| format!("{index} {}", frametext::print(f))),
            );
        }
        for event in self.sim.events() {
            match event {
                Event::Punt(punt) => answer.push(format!("{punt:?}")),
                Event::Learn(learnt) => {
                    answer.push(format!("{learnt:?}"));
                    self.learnt.push(learnt.flow.clone());
                }
                _ => {}
            }
        }
        answer
    }
    fn add_rule(&mut self, rule: &Rule) {
        let id = self.sim.add_rule(self.bridge, rule.clone());
        self.gauges.push(id);
    }
    fn remove_rule(&mut self, rule: &Arc<Rule>) {
        let change = Change::RemoveRule(self.bridge, rule.clone());
        self.sim.change(change);
    }
    fn set_group(&mut self, desc: &GroupDesc) {
        let group = self.sim.set_group(self.bridge, desc);
        let buckets = group.buckets.iter().map(|bucket| bucket.counter);
        self.gauges.extend(buckets.chain([group.counter]));
    }
    fn set_port(&mut self, port: usize, live: bool) {
        let snapshot = self.sim.snapshot();
        let view = snapshot.port(self.ports[port]).expect("was added");
        let view = PortView {
            live,
            ..view.as_ref().clone()
        };
        self.sim.change(Change::SetPort(Arc::new(view)));
    }
    /// Tables, rules, groups with their buckets, the meter and its bands.
    fn counters(&self) -> Vec<(u64, u64)> {
        let tables = (0..4).map(|table| self.sim.stats.table(self.bridge, TableId(table)));
        let gauges = self.gauges.iter().map(|gauge| {
            let totals = self.sim.stats.rule(*gauge);
            (totals.packets, totals.bytes)
        });
        let (meter, bands) = self.meter.totals();
        tables.chain(gauges).chain([meter]).chain(bands).collect()
    }
}

fn rule(priority: u16, table: u8, matching: &str, actions: &str) -> Rule {
    sim::rule(&format!(
        "table={table},priority={priority}{matching},actions={actions}"
    ))
}

const MATCHES: &[&str] = &[
    "",
    ",in_port=1",
    ",in_port=2",
    ",ip,nw_dst=10.0.0.0/30",
    ",ip,nw_dst=10.0.0.2",
    ",ip,nw_src=10.0.0.1",
    ",ip,nw_ttl=63",
    ",packet_type=(0,0)",
    ",packet_type=(1,0x800),nw_dst=10.0.0.2",
    ",packet_type=(1,0x8847)",
    ",ip,nw_tos=4",
    ",udp,tp_dst=7",
    ",udp,tp_src=8/0xfffe",
    ",tcp",
    ",arp",
    ",dl_vlan=5",
    ",vlan_tci=0",
    ",dl_vlan=6",
    ",dl_src=00:00:00:00:00:01",
    ",dl_dst=00:00:00:00:00:02/00:00:00:00:00:ff",
    ",reg0=1",
    ",metadata=2/2",
    ",ipv6",
    ",ip,nw_frag=later",
    ",tun_id=9",
    ",mpls,mpls_ttl=63",
    ",dl_type=0x88e7",
    ",ip,nw_src=0.0.0.1/0.0.0.1",
    ",ip,nw_dst=10.0.0.4/255.0.0.6,nw_src=10.0.0.0/30",
    ",udp,tp_src=8/0x8,tp_dst=7/0x5,nw_src=10.0.0.1,nw_dst=10.0.0.2",
    ",tcp,tp_dst=0/0x8000,nw_ttl=64",
    ",in_port=1,dl_src=00:00:00:00:00:01/00:00:00:00:00:01,dl_dst=00:00:00:00:00:02",
    ",in_port=3,ip,nw_frag=no,nw_proto=17",
    ",reg0=1/1,ip,nw_dst=10.0.0.0/31",
    ",reg1=2,metadata=0/1",
    ",vlan_tci=0x1000/0x1000,ip",
    ",ipv6,ipv6_dst=fd00::/64,nw_ttl=63",
];
const ACTIONS: &[&str] = &[
    "output:1",
    "output:2",
    "output:3",
    "in_port",
    "flood",
    "controller",
    "dec_ttl",
    "mod_nw_dst:10.0.0.2",
    "mod_nw_tos:4",
    "mod_tp_dst:7",
    "mod_tp_src:9",
    "mod_vlan_vid:5",
    "strip_vlan",
    "push_vlan:0x8100",
    "mod_dl_src:00:00:00:00:00:01",
    "load:1->NXM_NX_REG0[]",
    "load:2->OXM_OF_METADATA[]",
    "move:NXM_OF_ETH_SRC[0..7]->NXM_OF_ETH_DST[0..7]",
    "move:OXM_OF_IN_PORT[]->NXM_NX_REG0[]",
    "load:2->OXM_OF_IN_PORT[]",
    "push:NXM_NX_REG0[]",
    "pop:NXM_NX_REG1[]",
    "set_tunnel:9",
    "resubmit(,1)",
    "resubmit(2,2)",
    "resubmit(,3)",
    "clone(mod_dl_dst:00:00:00:00:00:09,output:3)",
    "exit",
    "group:1",
    "group:2",
    "group:3",
    "meter:1",
    "push_mpls:0x8847",
    "pop_mpls:0x0800",
    "dec_mpls_ttl",
    "copy_ttl_in",
    "copy_ttl_out",
    "push_pbb:0x88e7",
    "pop_pbb",
    "check_pkt_larger(100)->NXM_NX_REG0[0]",
    "multipath(symmetric_l4,3,hrw,2,0,NXM_NX_REG0[0])",
    "bundle(nw_src,3,hrw,ofport,members:1,2,3)",
    "bundle_load(eth_src,3,active_backup,ofport,NXM_NX_REG0[],members:2,3)",
    "decap()",
    "encap(ethernet)",
    "encap(mpls)",
    "write_actions(group:1)",
    "write_actions(pop_mpls:0x0800,push_vlan:0x8100,output:2)",
    // Each has a priority of its own, so that of the flows that they teach one at most fits.
    "learn(table=1,priority=60001,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
    "learn(table=3,priority=60002,NXM_OF_VLAN_TCI[0..11],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15])",
    "learn(table=0,priority=60003,cookie=7,limit=2,result_dst=NXM_NX_REG0[1],NXM_OF_ETH_SRC[],load:1->NXM_NX_REG0[])",
    "learn(table=2,priority=60004,eth_type=0x800,NXM_OF_IP_SRC[]=NXM_OF_IP_DST[],output:NXM_OF_IN_PORT[])",
    "fragment(mtu=68)",
    "clone(fragment(mtu=68),mod_dl_src:00:00:00:00:00:08,output:2)",
    "write_metadata:2/3",
    "clear_actions",
    "goto_table:1",
    "goto_table:2",
    "goto_table:3",
    // Nothing may follow it: it is put last.
    REASSEMBLE,
];
const REASSEMBLE: &str = "reassemble(table=3)";

const BUCKETS: &[&str] = &[
    "drop",
    "output:1",
    "output:2,dec_ttl",
    "output:3,mod_dl_dst:00:00:00:00:00:05",
    "controller",
    "group:1",
    "group:2",
    "group:3,push_vlan:0x8100",
    "resubmit(,1)",
    "resubmit(,3),set_field:1->reg0",
    "push_mpls:0x8847,output:2",
    "pop_mpls:0x0800,resubmit(,2)",
    "dec_mpls_ttl,output:3",
];

/// Weight, watched port or 0, watched group or 0, actions.
type Bucket = (u16, u32, u32, usize);

fn groups() -> impl Strategy<Value = (u32, usize, Vec<Bucket>)> {
    let watched = prop::sample::select(vec![0, 0, 0, 1, 2, 3]);
    let bucket = (0..4u16, watched.clone(), watched, 0..BUCKETS.len());
    (1..4u32, 0..4usize, prop::collection::vec(bucket, 1..4))
}

fn group((id, kind, buckets): &(u32, usize, Vec<Bucket>)) -> GroupDesc {
    let kinds = [
        GroupKind::All,
        GroupKind::Select,
        GroupKind::Indirect,
        GroupKind::FastFailover,
    ];
    let buckets = buckets
        .iter()
        .map(|(weight, port, group, actions)| message::Bucket {
            weight: *weight,
            watch_port: if *port == 0 {
                PortNo::ANY
            } else {
                PortNo(*port)
            },
            // Groups that watch each other in a circle, inside of groups that forward in a circle (control lets nobody make these):
            // which of both is noticed first is open.
            watch_group: if *group <= *id {
                GroupId::ANY
            } else {
                GroupId(*group)
            },
            actions: read_actions(BUCKETS[*actions], &PortMap::default()).expect("actions"),
            ..message::Bucket::default()
        });
    GroupDesc {
        group: GroupId(*id),
        kind: kinds[*kind],
        buckets: buckets.collect(),
        ..GroupDesc::default()
    }
}

fn rules() -> impl Strategy<Value = (u8, usize, Vec<usize>)> {
    let actions = prop::collection::vec(0..ACTIONS.len(), 0..5);
    (0..4u8, 0..MATCHES.len(), actions)
}

fn packets() -> impl Strategy<Value = (usize, String)> {
    let tags = prop::sample::select(vec!["", "vlan(vid=5) ", "vlan(vid=6,pcp=2) vlan(vid=5) "]);
    let labels = prop::sample::select(vec![
        "",
        "",
        "",
        "mpls(label=9,ttl=63) ",
        "mpls(label=8) mpls(label=9,ttl=2) ",
    ]);
    let body = prop::sample::select(vec![
        "udp(8->7) \"hi\"",
        "udp(9->8) \"hi\"",
        "udp(8->7) fill=130",
        "tcp(8->7) fill=60",
        "tcp(8->7) \"hi\"",
        "icmp() \"hi\"",
    ]);
    let ip = (
        1..3u8,
        1..6u8,
        prop::sample::select(vec![1u8, 2, 63, 64]),
        0..2u8,
    );
    let v4 = (ip, body).prop_map(|((src, dst, ttl, tos), body)| {
        format!(
            "ipv4(10.0.0.{src}->10.0.0.{dst},ttl={ttl},tos={}) {body}",
            tos * 4
        )
    });
    let other = prop::sample::select(vec![
        "ipv6(fd00::1->fd00::2,ttl=63) udp(8->7) fill=90".to_owned(),
        "arp(10.0.0.1->10.0.0.2,sha=..01)".to_owned(),
        "ipv6(fd00::1->fd00::2,ttl=63) udp(8->7) \"hi\"".to_owned(),
        "ipv4(10.0.0.1->10.0.0.2,offset=9,proto=17) \"later fragment\"".to_owned(),
    ]);
    let l3 = prop_oneof![4 => v4, 1 => other];
    (0..PORTS as usize, 1..4u8, 1..4u8, (tags, labels), l3).prop_map(
        |(port, dst, src, (tags, labels), l3)| {
            (
                port,
                format!("eth(dst=..0{dst},src=..0{src}) {tags}{labels}{l3}"),
            )
        },
    )
}

#[derive(Clone, Debug)]
enum Happening {
    Add((u8, usize, Vec<usize>)),
    /// Other actions for a rule.
    Modify(usize, Vec<usize>),
    Remove(usize),
    Group((u32, usize, Vec<Bucket>)),
    Port(usize, bool),
    /// The next changes, up to the next packets, are seen at once.
    Together,
    Packets(Vec<(usize, String)>),
}

fn events() -> impl Strategy<Value = Vec<Happening>> {
    let actions = prop::collection::vec(0..ACTIONS.len(), 0..5);
    let event = prop_oneof![
        2 => rules().prop_map(Happening::Add),
        1 => (any::<usize>(), actions).prop_map(|(rule, actions)| Happening::Modify(rule, actions)),
        1 => any::<usize>().prop_map(Happening::Remove),
        1 => groups().prop_map(Happening::Group),
        1 => (0..PORTS as usize, any::<bool>()).prop_map(|(port, live)| Happening::Port(port, live)),
        1 => Just(Happening::Together),
        3 => packets().prop_map(|packet| Happening::Packets(vec![packet])),
        3 => bursts().prop_map(Happening::Packets),
    ];
    prop::collection::vec(event, 10..80)
}

/// Packets that arrive at once: some of them alike, in any order.
fn bursts() -> impl Strategy<Value = Vec<(usize, String)>> {
    let order = prop::collection::vec(any::<prop::sample::Index>(), 2..40);
    (prop::collection::vec(packets(), 1..6), order).prop_map(|(packets, order)| {
        let order = order.iter().map(|index| index.get(&packets).clone());
        order.collect()
    })
}

/// Actions one after the other, as a rule may have them.
fn actions(table: u8, chosen: &[usize]) -> Box<[Action]> {
    let mut list: Vec<&str> = chosen.iter().map(|&index| ACTIONS[index]).collect();
    // Of instructions there is one of a kind, and they come in an order.
    let instructions = [
        "meter:",
        "clear_actions",
        "write_actions",
        "write_metadata",
        "goto_table",
    ];
    let kind = |text: &str| {
        instructions
            .iter()
            .position(|start| text.starts_with(start))
    };
    let place = |text: &&str| match kind(text) {
        Some(0) => 0,
        Some(kind) => 2 + kind,
        None if *text == REASSEMBLE => 2,
        None => 1,
    };
    list.sort_by_key(place);
    list.dedup_by(|a, b| kind(a).is_some() && kind(a) == kind(b));
    list.retain(|text| {
        let target = text
            .strip_prefix("goto_table:")
            .and_then(|table| table.parse::<u8>().ok());
        target.is_none_or(|target| target > table)
    });
    // They are read one by one, as after some of them others make no sense.
    let read = list
        .iter()
        .flat_map(|action| rule(1, table, "", action).actions);
    read.collect()
}

/// The same rules in several switches, of which the last one scans them linearly.
struct World {
    beds: Vec<Bed>,
    live: Vec<Rule>,
    next_priority: u16,
}

impl World {
    /// With caches of these sizes.
    fn new(caches: &[usize]) -> World {
        World {
            beds: caches
                .iter()
                .chain(&[8])
                .map(|&entries| Bed::new(entries))
                .collect(),
            live: Vec::new(),
            next_priority: 1,
        }
    }
    fn each(&mut self, change: impl Fn(&mut Bed)) {
        self.beds.iter_mut().for_each(change);
    }
    fn add(&mut self, rule: Rule) {
        self.each(|bed| bed.add_rule(&rule));
        self.live.push(rule);
    }
    fn happens(&mut self, event: &Happening) -> Result<(), TestCaseError> {
        let some =
            |index: &usize, live: &[Rule]| (!live.is_empty()).then(|| index % live.len().max(1));
        match event {
            Happening::Add((table, matching, chosen)) => {
                // Priorities are all different: of equal ones any may win.
                let rule = Rule {
                    actions: actions(*table, chosen),
                    ..rule(self.next_priority, *table, MATCHES[*matching], "drop")
                };
                self.next_priority += 1;
                self.add(rule);
            }
            Happening::Modify(index, chosen) => {
                if let Some(index) = some(index, &self.live) {
                    let before = self.live.remove(index);
                    let actions = actions(before.table.0, chosen);
                    self.add(Rule { actions, ..before });
                }
            }
            Happening::Remove(index) => {
                if let Some(index) = some(index, &self.live) {
                    let rule = Arc::new(self.live.remove(index));
                    self.each(|bed| bed.remove_rule(&rule));
                }
            }
            Happening::Group(text) => {
                let desc = group(text);
                self.each(|bed| bed.set_group(&desc));
            }
            Happening::Port(port, live) => self.each(|bed| bed.set_port(*port, *live)),
            Happening::Together => self.each(|bed| bed.sim.hold()),
            Happening::Packets(packets) => {
                self.each(|bed| bed.sim.publish());
                self.send(packets)?;
                learn(&mut self.beds, &mut self.live);
            }
        }
        Ok(())
    }
    /// All answer alike.
    fn send(&mut self, packets: &[(usize, String)]) -> Result<(), TestCaseError> {
        let read =
            |(port, text): &(usize, String)| (*port, frametext::read(text).expect("a frame"));
        let burst: Vec<_> = packets.iter().map(read).collect();
        let Some((oracle, others)) = self.beds.split_last_mut() else {
            return Ok(());
        };
        let wanted = oracle.answer(&burst, &mut Linear);
        for bed in others {
            let came = bed.answer(&burst, &mut ());
            prop_assert_eq!(came, wanted.clone(), "{:?}", packets);
        }
        Ok(())
    }
    /// All have counted the same, and hold no frame.
    fn end(&mut self) -> Result<(), TestCaseError> {
        let counters: Vec<_> = self.beds.iter().map(Bed::counters).collect();
        for other in &counters[1..] {
            prop_assert_eq!(other, &counters[0]);
        }
        for bed in &mut self.beds {
            bed.sim.stop();
            prop_assert_eq!(bed.sim.outstanding(), 0);
        }
        Ok(())
    }
}

/// Cases of a test: `PROPTEST_CASES` in the environment, or so many.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(usual),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(200))]
    #[test]
    fn cached_is_walked_is_linear(first in prop::collection::vec(rules(), 1..10), events in events()) {
        let mut world = World::new(&[256, 16, 8, 1, 0]);
        for event in first.into_iter().map(Happening::Add).chain(events) {
            world.happens(&event)?;
        }
        world.each(|bed| bed.sim.publish());
        world.end()?;
    }
}

/// Does what control does with the flows that the last packet taught.
fn learn(beds: &mut [Bed], live: &mut Vec<Rule>) {
    let learnt = std::mem::take(&mut beds[0].learnt);
    for flow in learnt {
        let taught = Rule {
            id: RuleId(0),
            table: flow.table,
            priority: flow.priority,
            matching: flow.matching,
            actions: flow.actions.into(),
            cookie: flow.cookie,
        };
        let is_it = |rule: &Rule| {
            (rule.table, rule.priority, &rule.matching)
                == (taught.table, taught.priority, &taught.matching)
        };
        let there = live.iter().position(is_it);
        let before = there.map(|index| Arc::new(live.remove(index)));
        for bed in beds.iter_mut() {
            if let Some(before) = &before {
                bed.remove_rule(before);
            }
            bed.add_rule(&taught);
        }
        live.push(taught);
    }
    beds.iter_mut().for_each(|bed| bed.learnt.clear());
}

/// Conjunctions, by priority, match and (id, clause, clauses); and what their ids lead to.
fn conjunctive() -> impl Strategy<Value = Vec<(u16, usize, (u32, u8, u8))>> {
    prop::collection::vec(
        (1..3u16, 0..MATCHES.len(), (0..3u32, 0..3u8, 2..4u8)),
        1..20,
    )
}

proptest! {
    #![proptest_config(cases(100))]
    #[test]
    fn conjunctions_are_cached(parts in conjunctive(), packets in prop::collection::vec(packets(), 1..40)) {
        let mut world = World::new(&[256, 16, 8, 1, 0]);
        let mut rules: Vec<Rule> = Vec::new();
        for (priority, matching, (id, clause, n_clauses)) in parts {
            let mut rule = rule(priority * 100, 0, MATCHES[matching], "drop");
            let clause = clause % n_clauses;
            rule.actions = [Action::Conjunction { id, clause, n_clauses }].into();
            rules.push(rule);
        }
        // Priorities of ordinary rules are all different: of equal ones any may win.
        for (id, output) in [(0u32, 1u16), (1, 2), (2, 3)] {
            let mut rule = rule(150 + output, 0, ",ip", &format!("output:{output}"));
            rule.matching.set(Field::ConjId.place(), id.into(), u128::MAX);
            rules.push(rule);
        }
        rules.push(rule(120, 0, ",udp", "in_port"));
        rules.push(rule(1, 0, "", "flood"));
        for packet in &packets {
            if let Some(rule) = rules.pop() {
                world.add(rule);
            }
            world.send(std::slice::from_ref(packet))?;
        }
        world.end()?;
    }
}

/// Sends one packet of each of these flows, and says how many of them the cache knew.
fn hits_of(bed: &mut Bed, flows: std::ops::Range<u32>) -> usize {
    let hits = |bed: &Bed| bed.sim.stats.workers()[2];
    let before = hits(bed);
    let mut frame =
        frametext::read("eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2) udp(8->7) \"hi\"")
            .expect("a frame");
    let all: Vec<u32> = flows.collect();
    for burst in all.chunks(BURST) {
        let packets: Vec<_> = burst
            .iter()
            .map(|flow| {
                frame[30..34].copy_from_slice(&flow.to_be_bytes());
                (0, frame.clone())
            })
            .collect();
        let answers = bed.answer(&packets, &mut ());
        assert_eq!(answers.len(), packets.len());
        assert!(answers.iter().all(|answer| answer.starts_with("1 ")));
    }
    (hits(bed) - before) as usize
}

#[test]
fn a_cache_that_is_too_small_steps_aside_and_comes_back() {
    const ENTRIES: u32 = 1024;
    let mut bed = Bed::new(ENTRIES as usize);
    bed.add_rule(&rule(2, 0, ",ip,nw_dst=192.168.0.1", "drop"));
    bed.add_rule(&rule(1, 0, "", "output:2"));
    // In turns: with each of them kept, none would be there when its turn comes again.
    let many = 0..3 * ENTRIES;
    let rounds: Vec<usize> = (0..16).map(|_| hits_of(&mut bed, many.clone())).collect();
    assert!(rounds[15] > many.len() / 5, "{rounds:?}");
    // Fewer, but others: all of them are kept, though the cache was full.
    let few = 1 << 20..(1 << 20) + ENTRIES / 2;
    let rounds: Vec<usize> = (0..32).map(|_| hits_of(&mut bed, few.clone())).collect();
    assert!(
        rounds[0] == 0 && rounds[31] > few.len() * 19 / 20,
        "{rounds:?}"
    );
    // Flows of few packets, of which there are ever new ones.
    let hits = |bed: &mut Bed, new: u32| (0..4).map(|_| hits_of(bed, new..new + 64)).sum::<usize>();
    let rounds: Vec<usize> = (0..64)
        .map(|n| hits(&mut bed, (2 << 20) + 64 * n))
        .collect();
    assert!(
        rounds[32..].iter().sum::<usize>() > 32 * 64 * 5 / 2,
        "{rounds:?}"
    );
    let [_, packets, hits, misses] = bed.sim.stats.workers();
    assert_eq!(hits + misses, packets);
    assert_eq!(bed.counters()[0], (packets, packets));
}

/// Bytes that begin like a frame of some kind.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop::sample::select(vec![
        "0800 45",
        "0800 46",
        "0800 4f",
        "86dd 60",
        "0806 0001080006040001",
        "8100 0005 0800 45",
        "88a8 0005 8100 0006 86dd 60",
        "8847 00001140",
        "0026 424203",
        "0800 4500002a00004000400600000a",
        "0800 4500002a000040004011",
        "86dd 6000000000063a40",
        "",
    ]);
    (kinds, prop::collection::vec(any::<u8>(), 0..120)).prop_map(|(kind, rest)| {
        let digits: Vec<u8> = kind
            .chars()
            .filter_map(|c| c.to_digit(16))
            .map(|d| d as u8)
            .collect();
        let mut frame = vec![0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1];
        frame.extend(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
        frame.extend(rest);
        frame
    })
}

proptest! {
    #![proptest_config(cases(300))]
    #[test]
    fn noise_never_panics(frames in prop::collection::vec(noise(), 1..20), cut in 0..40usize, first in 0..3u32) {
        let mut bed = Bed::new(64);
        let writes = [
            "mod_nw_src:1.2.3.4,mod_nw_dst:5.6.7.8,mod_nw_tos:8,mod_nw_ecn:1,mod_nw_ttl:9,mod_tp_src:1,mod_tp_dst:2,dec_ttl",
            "mod_vlan_vid:9,strip_vlan,strip_vlan,push_vlan:0x8100,mod_vlan_pcp:3,normal",
            "resubmit(,1),resubmit(,2),resubmit(,3)",
        ];
        bed.sim.add_rule(bed.bridge, rule(1, 0, "", &format!("{},flood,controller", writes[first as usize])));
        let tables = [
            ("ipv6", "set_field:fd00::1->ipv6_src,set_field:fd00::2->ipv6_dst,set_field:7->ipv6_label,set_field:3->ip_dscp"),
            ("arp", "set_field:9->arp_op,set_field:1.2.3.4->arp_spa,set_field:00:00:00:00:00:01->arp_tha"),
            ("icmp6,icmpv6_type=135", "set_field:fd00::5->nd_target,set_field:00:00:00:00:00:09->nd_sll"),
            ("sctp", "set_field:1->sctp_src"),
            ("mpls", "set_field:5->mpls_label,set_field:6->mpls_ttl"),
        ];
        for (priority, (matching, actions)) in tables.iter().enumerate() {
            for table in 1..=3 {
                let matching = format!(",{matching}");
                let actions = format!("{actions},in_port");
                bed.sim.add_rule(bed.bridge, rule(priority as u16 + 1, table, &matching, &actions));
            }
        }
        for frame in &frames {
            bed.answer(&[(0, frame[..frame.len().saturating_sub(cut)].to_vec())], &mut ());
            bed.answer(&[(1, frame.clone())], &mut ());
        }
        bed.sim.stop();
        prop_assert_eq!(bed.sim.outstanding(), 0);
    }
}
