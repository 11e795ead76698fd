//! How fast control takes FLOW_MODs, and what a flow costs: `cargo bench -p datapath --bench flow_mods [FLOWS]`.
//! Adds, modifies and deletes flows by `Switch::message`, publishing every few messages, while a thread
//! reads the published state as a worker does; and dumps them. Rates are per second that the thread runs.

use datapath::control::*;
use datapath::fragment::Secret;
use datapath::model::stats::Stats;
use datapath::time::Time;
use ofp::action::Action;
use ofp::field::Field;
use ofp::key::Match;
use ofp::message::*;
use ofp::types::{Cookie, GroupId, PortNo, TableId, Version, Xid};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Messages between two publications.
const BATCH: usize = 64;
const CONN: ConnId = ConnId(1);
const RAW: [u8; 96] = [0; 96];

fn flow_mod(n: u32, command: FlowModCommand, idle_timeout_secs: u16) -> Box<FlowMod> {
    let mut matching = Match::default();
    matching.set(Field::EthType.place(), 0x0800, u128::MAX);
    matching.set(Field::IpDst.place(), n.into(), u128::MAX);
    Box::new(FlowMod {
        command,
        table: TableId(0),
        idle_timeout_secs,
        cookie: Cookie(n.into()),
        matching,
        actions: vec![Action::Output {
            port: PortNo(1 + n % 8),
            max_len: 0,
        }],
        ..Default::default()
    })
}

/// Nanoseconds that this thread has run: others on the machine do not count.
fn ran() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or(0)
}

/// Bytes of memory that the process holds.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    pages.unwrap_or(0) * 4096
}

struct Bench {
    switch: Switch,
    out: Vec<Output>,
    now: Time,
}

impl Bench {
    fn say(&mut self, body: Body) {
        let message = Message { xid: Xid(1), body };
        self.switch
            .message(self.now, CONN, message, &RAW, &mut self.out);
    }
    fn publish(&mut self) {
        while !self.switch.publish(&mut self.out) {
            std::thread::sleep(std::time::Duration::from_micros(20));
        }
        for output in self.out.drain(..) {
            assert!(!matches!(&output, Output::Send(_, m) if matches!(m.body, Body::Error(_))));
        }
    }
    /// Says each body; returns messages per second of running.
    fn all(&mut self, len: u32, body: impl Fn(u32) -> Body) -> f64 {
        let started = ran();
        for n in 0..len {
            self.say(body(n));
            if n as usize % BATCH == BATCH - 1 {
                self.publish();
            }
        }
        self.publish();
        f64::from(len) * 1e9 / (ran() - started) as f64
    }
    /// Returns flows, flows per second, and the longest piece in microseconds.
    fn dump(&mut self) -> (usize, f64, u128) {
        let request = FlowStatsRequest {
            table: TableId::ALL,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            cookie: Cookie(0),
            cookie_mask: 0,
            matching: Match::default(),
            nicira: false,
        };
        let (started, begun) = (Instant::now(), ran());
        self.say(Body::MultipartRequest(MultipartRequest::Flow(Box::new(
            request,
        ))));
        let (mut flows, mut longest) = (0, started.elapsed());
        loop {
            for output in self.out.drain(..) {
                if let Output::Send(_, Message { body, .. }) = output
                    && let Body::MultipartReply(reply) = body
                    && let MultipartPart::Flow { flows: part, .. } = reply.part
                {
                    flows += part.len();
                }
            }
            if !self.switch.is_dumping(CONN) {
                break;
            }
            let piece = Instant::now();
            self.switch.dump(self.now, CONN, &mut self.out);
            longest = longest.max(piece.elapsed());
        }
        let rate = flows as f64 * 1e9 / (ran() - begun) as f64;
        (flows, rate, longest.as_micros())
    }
}

fn run(name: &str, len: u32, idle_timeout_secs: u16) {
    let stats = Stats::default();
    let _worker = stats.register_worker();
    let mut switch = Switch::new(stats, Secret::new(0));
    let now = Time::secs(1000);
    let settings = BridgeSettings {
        has_controllers: true,
        ..Default::default()
    };
    let bridge = switch.add_bridge(now, "br0", settings).expect("valid");
    let mut reader = switch.publisher().reader();
    let stop = Arc::new(AtomicBool::new(false));
    let worker = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while !stop.load(Relaxed) {
                std::hint::black_box(reader.snapshot().version);
                reader.release();
                std::thread::sleep(std::time::Duration::from_micros(20));
            }
        })
    };
    switch.connect(
        now,
        CONN,
        ConnSettings {
            bridge,
            kind: ConnKind::Service,
            version: Version::V13,
            packet_in_limit: None,
            events: true,
            auxiliary: None,
        },
    );
    let out = Vec::new();
    let mut bench = Bench { switch, out, now };
    use FlowModCommand::*;
    let before = resident();
    let of = |command| move |n| Body::FlowMod(flow_mod(n, command, idle_timeout_secs));
    let add = bench.all(len, of(Add));
    let bytes = (resident() - before) / len as usize;
    println!("{name}: add {add:.0}/s, {bytes} bytes a flow");
    let (flows, rate, longest) = bench.dump();
    println!("{name}: dump of {flows} flows {rate:.0}/s, longest piece {longest} us");
    println!("{name}: replace {:.0}/s", bench.all(len, of(Add)));
    println!("{name}: modify {:.0}/s", bench.all(len, of(ModifyStrict)));
    let peak = resident();
    println!("{name}: delete {:.0}/s", bench.all(len, of(DeleteStrict)));
    println!("{name}: {} MB at most", peak >> 20);
    stop.store(true, Relaxed);
    worker.join().expect("ends");
}

fn main() {
    let words = std::env::args().skip(1);
    let len = words.filter_map(|word| word.parse().ok()).next();
    let len = len.unwrap_or(1_000_000);
    run("plain", len, 0);
    run("idle_timeout", len, 60);
}
