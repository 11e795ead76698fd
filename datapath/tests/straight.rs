//! Bursts that come one after the other, alike or nearly: what becomes of them is the same in a switch that remembers where the
//! last one went and in one that keeps nothing at all.

use datapath::edge::{Offload, Segmentation};
use datapath::model::id::{BridgeId, PortId};
use datapath::model::meter::MeterView;
use datapath::model::port::PortView;
use datapath::model::snapshot::Change;
use datapath::model::{DropReason, Rule, RuleId};
use datapath::sim::{self, Options, Sim};
use datapath::time::Time;
use flow::frametext;
use ofp::message::{Band, BandKind, MeterConfig, meter_flag, port_config};
use ofp::types::{MeterId, TableId};
use proptest::prelude::*;
use std::sync::Arc;

/// Frames that differ in what makes one leave where the others do not.
const FRAMES: &[&str] = &[
    "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->7) \"hi\"",
    "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->7) fill=90",
    "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->7) fill=1600",
    "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.1.2,ttl=64) udp(5->7) \"hi\"",
    "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,ttl=64) icmp() \"hi\"",
    "eth(dst=..02,src=..01) vlan(vid=5) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->7) \"hi\"",
    "eth(dst=01:80:c2:00:00:00,src=..01) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->7) \"hi\"",
    "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,ttl=2) udp(5->7) \"hi\"",
    "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,ttl=1) udp(5->7) \"hi\"",
    // As large as it may be.
    "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5->7) fill=1472",
    "eth(dst=..02,src=..01) arp(10.0.0.1->10.0.0.2,sha=..01)",
];
const RULES: &[&str] = &[
    "output:2",
    "in_port=1,actions=output:2",
    "ip,nw_dst=10.0.0.0/24,actions=output:2",
    "udp,tp_dst=7,nw_dst=10.0.0.2,actions=output:2",
    "ip,nw_dst=10.0.1.0/24,actions=output:3",
    "dl_vlan=5,actions=output:3",
    "in_port=1,actions=output:3",
    "ip,actions=dec_ttl,output:2",
    "ip,actions=load:1->NXM_NX_REG0[],resubmit(,1)",
    "actions=load:1->NXM_NX_REG0[],resubmit(,1)",
    "table=1,reg0=1,actions=output:2",
    "udp,actions=meter:1,output:2",
    "actions=meter:1,output:2",
    "actions=meter:1,resubmit(,1)",
    "ip,actions=mod_dl_dst:02:00:00:00:00:09,mod_nw_src:10.9.9.9,dec_ttl,mod_vlan_vid:7,output:2",
    "udp,actions=meter:1,mod_tp_src:99,push_vlan:0x8100,push_vlan:0x8100,output:2",
    "actions=mod_dl_src:02:00:00:00:00:09,output:2",
    "actions=strip_vlan,output:2",
    "table=1,udp,tp_dst=7,actions=output:3",
];

#[derive(Clone, Debug)]
enum Happening {
    /// Bursts, each of so many of one frame, and one of another one at its end, of which something is still to be done.
    Bursts(usize, usize, Option<(usize, bool)>, usize),
    Runt,
    Add(usize),
    Clear,
    Mtu(u16),
    /// Its flags, and rates and bursts of bands that drop.
    Meter(u16, Vec<(u32, u32)>),
    Later(u64),
    Receives(bool),
    Close,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let (frame, other) = (
        0..FRAMES.len(),
        prop::option::of((0..FRAMES.len(), any::<bool>())),
    );
    let happening = prop_oneof![
        12 => (1..5usize, frame, other, 1..80usize).prop_map(|(count, frame, other, len)| Happening::Bursts(count, frame, other, len)),
        1 => Just(Happening::Runt),
        3 => (0..RULES.len()).prop_map(Happening::Add),
        1 => Just(Happening::Clear),
        1 => prop::sample::select(vec![60u16, 1500, 9000, 0]).prop_map(Happening::Mtu),
        1 => any::<bool>().prop_map(Happening::Receives),
        2 => meters(),
        2 => (0..2_000_000u64).prop_map(Happening::Later),
        1 => Just(Happening::Close),
    ];
    prop::collection::vec(happening, 5..40)
}

/// Of which some packets of a burst pass, or all.
fn meters() -> impl Strategy<Value = Happening> {
    let unit = prop::sample::select(vec![meter_flag::KBPS, meter_flag::PKTPS]);
    let rate = prop_oneof![Just(0), 1000..100_000u32, any::<u32>()];
    let bands = prop::collection::vec((rate, 1..500u32), 0..3);
    (unit, bands).prop_map(|(unit, bands)| Happening::Meter(unit | meter_flag::BURST, bands))
}

struct Bed {
    sim: Sim,
    bridge: BridgeId,
    ports: Vec<PortId>,
    rules: Vec<(RuleId, Option<Arc<Rule>>)>,
    came: Vec<(usize, Vec<u8>)>,
    meter: Arc<MeterView>,
}

impl Bed {
    fn new(cache_entries: usize) -> Bed {
        let mut sim = Sim::new(Options {
            cache_entries,
            ..Options::default()
        });
        let bridge = sim.add_bridge("br0");
        let ports = sim.add_devices(bridge, 3);
        let mut bed = Bed {
            sim,
            bridge,
            ports,
            rules: Vec::new(),
            came: Vec::new(),
            meter: meter(0, &[], Time::secs(1)),
        };
        bed.set_meter();
        bed
    }
    fn set_meter(&mut self) {
        self.sim
            .change(Change::SetMeter(self.bridge, self.meter.clone()));
    }
    fn set(&mut self, index: usize, change: impl FnOnce(&mut PortView)) {
        let snapshot = self.sim.snapshot();
        let mut view = snapshot
            .port(self.ports[index])
            .expect("was added")
            .as_ref()
            .clone();
        drop(snapshot);
        change(&mut view);
        self.sim.change(Change::SetPort(Arc::new(view)));
    }
    fn burst<'a>(&mut self, frames: impl Iterator<Item = &'a [u8]>) {
        self.burst_of(frames.map(|frame| (frame, Offload::default())));
    }
    fn burst_of<'a>(&mut self, frames: impl Iterator<Item = (&'a [u8], Offload)>) {
        for (frame, offload) in frames {
            self.sim.send(self.ports[0], frame, offload);
        }
        self.sim.now = self.sim.now + Time(1000);
        // One burst may be left behind another.
        (0..2).for_each(|_| self.sim.poll(&mut ()));
        for (index, port) in self.ports.iter().enumerate() {
            self.came
                .extend(self.sim.take(*port).into_iter().map(|frame| (index, frame)));
        }
    }
    fn happens(&mut self, happening: &Happening, priority: u16) {
        match happening {
            Happening::Bursts(count, frame, other, len) => {
                let read = |index: usize| frametext::read(FRAMES[index]).expect("a frame");
                let (frame, other) = (
                    read(*frame),
                    other.map(|(index, is_large)| (read(index), is_large)),
                );
                let offload = |is_large| match is_large {
                    false => Offload::default(),
                    true => Offload {
                        csum_start: 34,
                        csum_offset: 6,
                        segmentation: Segmentation::Udp,
                        segment_size: 30,
                    },
                };
                let other = other
                    .as_ref()
                    .map(|(frame, is_large)| (&**frame, offload(*is_large)));
                for _ in 0..*count {
                    let all = std::iter::repeat_n((&*frame, Offload::default()), *len);
                    self.burst_of(all.chain(other));
                }
            }
            Happening::Runt => self.burst([&[2, 0, 0, 0, 0, 1, 2, 3][..]].into_iter()),
            Happening::Add(index) => {
                let text = match RULES[*index].contains("actions") {
                    true => format!("priority={priority},{}", RULES[*index]),
                    false => format!("priority={priority},actions={}", RULES[*index]),
                };
                let mut rule = sim::rule(&text);
                rule.id = self.sim.add_rule(self.bridge, rule.clone());
                self.rules.push((rule.id, Some(Arc::new(rule))));
            }
            Happening::Clear => {
                for (_, rule) in &mut self.rules {
                    if let Some(rule) = rule.take() {
                        self.sim.change(Change::RemoveRule(self.bridge, rule));
                    }
                }
            }
            Happening::Meter(flags, bands) => {
                self.meter = meter(*flags, bands, self.sim.now);
                self.set_meter();
            }
            Happening::Later(by) => self.sim.now = self.sim.now + Time(*by),
            Happening::Mtu(mtu) => self.set(1, |view| view.mtu = *mtu),
            Happening::Receives(receives) => self.set(0, |view| {
                view.config = if *receives { 0 } else { port_config::NO_RECV };
            }),
            Happening::Close => {
                // The worker's queue goes before all see that the port is gone, and comes again with it.
                self.sim.close_port(self.ports[1]);
                self.burst(std::iter::repeat_n(
                    &*frametext::read(FRAMES[0]).expect("a frame"),
                    3,
                ));
                self.set(1, |_| {});
                let view = self
                    .sim
                    .snapshot()
                    .port(self.ports[1])
                    .expect("is there")
                    .as_ref()
                    .clone();
                self.sim.set_port(view);
            }
        }
    }
    fn counted(&self) -> String {
        let rules = self.rules.iter().map(|(id, _)| self.sim.stats.rule(*id));
        let rules: Vec<_> = rules.collect();
        let ports: Vec<_> = self
            .ports
            .iter()
            .map(|port| self.sim.stats.port(*port))
            .collect();
        let tables = [0, 1].map(|table| self.sim.stats.table(self.bridge, TableId(table)));
        let worker = (self.sim.stats.drops(DropReason::Meter), self.meter.totals());
        format!("{rules:?} {ports:?} {tables:?} {worker:?}")
    }
}

fn meter(flags: u16, bands: &[(u32, u32)], now: Time) -> Arc<MeterView> {
    let band = |(rate, burst): &(u32, u32)| Band {
        kind: BandKind::Drop,
        rate: *rate,
        burst: *burst,
    };
    let config = MeterConfig {
        meter: MeterId(1),
        flags,
        bands: bands.iter().map(band).collect(),
    };
    Arc::new(MeterView::new(config, now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn as_without_memory(first in 0..RULES.len(), happenings in happenings()) {
        let mut beds = [256, 1, 0].map(Bed::new);
        let all = [Happening::Add(first)].into_iter().chain(happenings);
        for (happening, priority) in all.zip(1..) {
            for bed in &mut beds {
                bed.happens(&happening, priority);
            }
            let [one, others @ ..] = &mut beds;
            for other in others {
                prop_assert_eq!(&one.came, &other.came, "{:?}", happening);
                prop_assert_eq!(one.counted(), other.counted(), "{:?}", happening);
                other.came.clear();
            }
            one.came.clear();
        }
        for bed in &mut beds {
            bed.sim.stop();
            prop_assert_eq!(bed.sim.outstanding(), 0);
        }
    }
}
