//! What the parts of forwarding cost by themselves: extraction, the cache, the walk that lowers rules to a program, encapsulation.
//! `cargo bench -p datapath --bench parts`; the classifier has a benchmark of its own, whole packets have `forward`.

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use datapath::edge::Frame;
use datapath::forward::cache::{self, Cache, Query};
use datapath::forward::pipeline::Walk;
use datapath::forward::program::Program;
use datapath::model::Snapshot;
use datapath::model::id::{BridgeId, PortId};
use datapath::model::tunnel::*;
use datapath::sim::{Options, Sim, SimPool};
use datapath::tunnel::Outer;
use flow::extract::{self, Depth};
use ofp::key::{Key, WordSet};
use packet::MacAddr;
use packet::gpw::Part;
use std::hint::black_box;
use std::net::IpAddr;

/// As many as no cache of a processor is surprised by.
const FLOWS: usize = 8000;

fn frame(flow: usize) -> Vec<u8> {
    let text = format!(
        "eth(dst=..02,src=..01) ipv4(172.16.0.1->10.0.{}.5,ttl=64) udp({}->53) fill=18",
        flow % 256,
        1024 + flow
    );
    flow::frametext::read(&text).expect("a frame")
}

/// A bridge with two ports and these rules, as a snapshot.
fn switch(rules: &[String]) -> (Sim, BridgeId) {
    let mut sim = Sim::new(Options::default());
    let bridge = sim.add_bridge("br0");
    sim.add_devices(bridge, 2);
    for rule in rules {
        sim.add_flow(bridge, rule);
    }
    (sim, bridge)
}

fn keys() -> Vec<Key> {
    let key = |flow| {
        let (mut key, frame) = (Key::default(), frame(flow));
        key.0[0] = 1 << 32;
        extract::extract(&frame, frame.len(), &extract::Plan::FULL, &mut key);
        key
    };
    (0..FLOWS).map(key).collect()
}

/// Calls it with one after the other.
fn each<T, R>(b: &mut Bencher<'_>, of: &[T], mut call: impl FnMut(&T) -> R) {
    let mut all = of.iter().cycle();
    b.iter(|| all.next().map(|one| black_box(call(black_box(one)))));
}

fn extraction(c: &mut Criterion) {
    let frames: Vec<_> = (0..FLOWS).map(frame).collect();
    let mut group = c.benchmark_group("extraction");
    group.bench_function("plain", |b| {
        each(b, &frames, |frame| extract::plain(frame, frame.len(), true));
    });
    let mut key = Key::default();
    for (name, depth) in [("L2", Depth::L2), ("L3", Depth::L3), ("L4", Depth::L4)] {
        let plan = extract::Plan::new(WordSet::EMPTY, depth);
        group.bench_function(name, |b| {
            each(b, &frames, |frame| {
                extract::extract(frame, frame.len(), &plan, &mut key)
            });
        });
    }
    group.finish();
}

fn walk(snapshot: &Snapshot, bridge: BridgeId, key: &Key, program: &mut Program) {
    if let Some(walk) = Walk::new(snapshot, bridge, key, program, &mut ()) {
        walk.tables();
    }
}

fn lowering(c: &mut Criterion) {
    let one = "in_port=1,actions=output:2";
    let rewrite = "ip,actions=mod_dl_dst:02:00:00:00:00:09,mod_nw_src:10.9.9.9,dec_ttl,mod_vlan_vid:7,output:2";
    let prefixes = (0..256)
        .map(|net| format!("ip,nw_dst=10.0.{net}.0/24,actions=output:2"))
        .collect();
    let tables = (0..6).map(|table| format!("table={table},ip,actions=resubmit(,{})", table + 1));
    let tables = tables
        .chain(["table=6,actions=output:2".to_owned()])
        .collect();
    let rows: [(&str, Vec<String>); 4] = [
        ("one rule", vec![one.into()]),
        ("256 prefixes", prefixes),
        ("rewrite", vec![rewrite.into()]),
        ("7 tables", tables),
    ];
    let keys = keys();
    let mut group = c.benchmark_group("lowering");
    for (name, rules) in rows {
        let (sim, bridge) = switch(&rules);
        let (snapshot, mut program) = (sim.snapshot(), Program::default());
        group.bench_function(name, |b| {
            each(b, &keys, |key| walk(&snapshot, bridge, key, &mut program));
        });
    }
    group.finish();
}

/// A packet of the cache's benchmark: its key, its row, and the hash of that.
type Packed = (Key, Vec<cache::Line>, u64);

fn query<'a>((key, row, hash): &'a Packed, bridge: BridgeId, snapshot: &'a Snapshot) -> Query<'a> {
    Query {
        row,
        hash: *hash,
        bridge,
        view: snapshot.bridge(bridge).expect("was added"),
        snapshot,
        key: Some(key),
    }
}

fn cached(c: &mut Criterion) {
    let rule = "udp,nw_src=172.16.0.1,nw_dst=10.0.0.0/8,tp_src=1024/0xfff0,actions=output:2";
    let (sim, bridge) = switch(&[rule.to_owned()]);
    let snapshot = sim.snapshot();
    let view = snapshot.bridge(bridge).expect("was added");
    let lines = view.plan.row.len() / datapath::model::plan::ROW;
    let mut cache = Cache::new(cache::ENTRIES);
    cache.reserve(lines);
    let mut program = Program::default();
    let packed: Vec<Packed> = keys()
        .into_iter()
        .map(|key| {
            let mut row = vec![cache::Line::default(); lines];
            let context = cache::context(bridge, 0, view);
            let hash = cache::pack(context, &view.plan.row, &key.0, &mut row);
            (key, row, hash)
        })
        .collect();
    for entry in &packed {
        walk(&snapshot, bridge, &entry.0, &mut program);
        cache.insert(&query(entry, bridge, &snapshot), &mut program);
    }
    let mut group = c.benchmark_group("cache");
    group.bench_function("pack", |b| {
        let mut row = vec![cache::Line::default(); lines];
        let context = cache::context(bridge, 0, view);
        each(b, &packed, |(key, ..)| {
            cache::pack(context, &view.plan.row, &key.0, &mut row)
        });
    });
    group.bench_function("find", |b| {
        each(b, &packed, |entry| {
            cache.find(&query(entry, bridge, &snapshot)).is_some()
        })
    });
    group.finish();
}

fn encapsulation(c: &mut Criterion) {
    let mut group = c.benchmark_group("encapsulation");
    let (gbp, gpe) = (false, false);
    for (name, encap, port) in [
        ("vxlan", Encap::Vxlan { gbp, gpe }, 4789),
        ("gre", Encap::Gre { sequence: false }, 0),
        ("geneve", Encap::Geneve, 6081),
    ] {
        let address = |last| IpAddr::from([10, 9, 0, last]);
        let config = TunnelConfig::new(encap, Remote::Ip(address(2)));
        let config = config.with_port(port).with_key(TunnelKey::Value(42));
        let route = Route {
            exit: Exit::Port(PortId(1)),
            source: Some(address(1)),
            source_mac: MacAddr([2, 0, 0, 0, 9, 1]),
            next_hop_mac: MacAddr([2, 0, 0, 0, 9, 2]),
            mtu: 1500,
            egress_mtu: 1500,
        };
        let outer = Outer::new(&config, &route, None).expect("one family");
        let tunnel = Tunnel {
            config,
            state: Default::default(),
            route: Some(route),
        };
        let mut pool = SimPool::default();
        let mut frame = pool.frame(&frame(1));
        let words = Words::default();
        let inner = frame.size();
        group.bench_function(name, |b| {
            b.iter(|| {
                let done =
                    outer.encapsulate(black_box(&mut frame), &tunnel, &words, &[], Part::Whole, 0);
                frame.pull(frame.size() - inner);
                done.is_ok()
            });
        });
    }
    group.finish();
}

criterion_group!(parts, extraction, lowering, cached, encapsulation);
criterion_main!(parts);
