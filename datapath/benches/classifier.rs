//! What a lookup costs, and a change: `cargo bench -p datapath --bench classifier [NAME]`. The rule sets and the packets
//! that hit them are those of `bench/rulesets.py`; the time is that of one packet, or of a rule that goes and comes back.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use datapath::fragment::Secret;
use datapath::model::classifier::Classifier;
use datapath::model::{Rule, RuleId};
use flow::extract::{self, Depth};
use ofp::field::Field;
use ofp::key::{Key, WordSet};
use ofp::message::FlowModCommand;
use ofp::text::{PortMap, read_flow_mod};
use ofp::types::TableId;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Packets of a set.
const PACKETS: usize = 8000;

/// The lines that the generator prints.
fn generated(arguments: &[&str]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/rulesets.py");
    let output = Command::new("python3").arg(script).args(arguments).output();
    let text = String::from_utf8(output.expect("python3").stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

fn rules(lines: &[String]) -> Vec<Arc<Rule>> {
    let rule = |(id, line): (usize, &String)| {
        let flow = read_flow_mod(line, Some(FlowModCommand::Add), &PortMap::default());
        let flow = flow.expect("a flow");
        Arc::new(Rule {
            id: RuleId(id as u32),
            table: TableId(0),
            priority: flow.priority,
            matching: flow.matching,
            actions: flow.actions.into(),
            cookie: flow.cookie,
        })
    };
    lines.iter().enumerate().map(rule).collect()
}

fn key(frame: &[u8]) -> Key {
    let mut key = Key::default();
    let plan = extract::Plan::new(WordSet(u64::MAX >> 3), Depth::None);
    extract::extract(frame, frame.len(), &plan, &mut key);
    key.set(Field::InPort.place(), 1, u128::MAX);
    key
}

fn keys(lines: &[String]) -> Vec<Key> {
    let byte = |line: &str, at| u8::from_str_radix(&line[at..at + 2], 16).expect("hex");
    let frame = |line: &String| -> Vec<u8> {
        let places = (0..line.len()).step_by(2);
        places.map(|at| byte(line, at)).collect()
    };
    lines.iter().map(|line| key(&frame(line))).collect()
}

struct Set {
    name: String,
    rules: Vec<Arc<Rule>>,
    keys: Vec<Key>,
}

fn set(kind: &str, count: usize) -> Set {
    let (count, packets) = (count.to_string(), PACKETS.to_string());
    Set {
        name: format!("{kind}-{count}"),
        rules: rules(&generated(&[kind, &count])),
        keys: keys(&generated(&[kind, &count, "--frames", &packets])),
    }
}

/// Packets that hit rules of one mask, evenly.
fn uniform(name: &str, lines: Vec<String>) -> Set {
    let rules = rules(&lines);
    let packet = |n: usize| {
        let mut key = Key::default();
        key.set(Field::InPort.place(), 1, u128::MAX);
        key.set(Field::TcpSrc.place(), 7, u128::MAX);
        let rule = &rules[n.wrapping_mul(0x9e37_79b1) % rules.len()];
        let words = rule.matching.words().iter();
        words.for_each(|w| key.0[usize::from(w.index)] |= w.value);
        key
    };
    let keys = (0..PACKETS).map(packet).collect();
    let name = name.to_owned();
    Set { name, rules, keys }
}

fn exact(n: u32) -> String {
    let (net, port) = (n % 250, n / 250);
    format!("udp,nw_src=10.1.1.1,nw_dst=10.0.{net}.5,udp_src={port},udp_dst=53,actions=output:2")
}

fn sets() -> Vec<Set> {
    let kinds = ["acl", "fw", "ipc"].into_iter();
    let mut sets: Vec<Set> = kinds
        .flat_map(|kind| [1000, 10_000, 100_000].map(|count| set(kind, count)))
        .collect();
    let exact = |count: u32| (0..count).map(exact).collect();
    sets.push(uniform("exact-100000", exact(100_000)));
    sets.push(uniform("exact-1000000", exact(1_000_000)));
    let net = |net| format!("ip,nw_dst=10.0.{net}.0/24,actions=output:2");
    sets.push(uniform("prefixes-256", (0..256).map(net).collect()));
    let port = |port| format!("in_port={port},actions=output:2");
    sets.push(uniform("in_port", (1..2).map(port).collect()));
    sets.push(set("attack", 4));
    sets
}

fn bench(criterion: &mut Criterion) {
    for Set { name, rules, keys } in sets() {
        let mut classifier = Classifier::new(Secret::new(0));
        rules
            .iter()
            .for_each(|rule| classifier.insert(rule.clone()));
        let mut lookups = criterion.benchmark_group("lookup");
        let mut at = 0;
        lookups.bench_function(BenchmarkId::from_parameter(&name), |bencher| {
            bencher.iter(|| {
                at = if at + 1 < keys.len() { at + 1 } else { 0 };
                black_box(classifier.lookup(&keys[at])).is_some()
            });
        });
        lookups.finish();
        let mut changes = criterion.benchmark_group("change");
        let mut at = 0;
        changes.bench_function(BenchmarkId::from_parameter(&name), |bencher| {
            bencher.iter(|| {
                at = (at + 7919) % rules.len();
                let rule = classifier.remove(&rules[at]).expect("is there");
                classifier.insert(rule);
            });
        });
        changes.finish();
    }
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
}

criterion_group! {
    name = classifier;
    config = settings();
    targets = bench
}
criterion_main!(classifier);
