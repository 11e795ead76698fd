//! What one request over many flows costs the control thread: `cargo bench -p datapath --bench wide [FLOWS]`. For each
//! request the time of the message and of all that follows, the longest single call, and what was said. Times are those
//! that the thread runs.

use datapath::control::*;
use datapath::fragment::Secret;
use datapath::model::stats::Stats;
use datapath::time::Time;
use ofp::action::Action;
use ofp::field::Field;
use ofp::key::Match;
use ofp::message::*;
use ofp::types::{Cookie, GroupId, PortNo, TableId, Version, Xid};
use std::time::Duration;

const SAYS: ConnId = ConnId(1);
const HEARS: ConnId = ConnId(2);
const RAW: [u8; 96] = [0; 96];

fn flow(n: u32, flags: u16) -> FlowMod {
    let mut matching = Match::default();
    matching.set(Field::EthType.place(), 0x0800, u128::MAX);
    matching.set(Field::IpDst.place(), n.into(), u128::MAX);
    FlowMod {
        table: TableId(0),
        cookie: Cookie((n % 2).into()),
        flags,
        matching,
        actions: vec![Action::Output {
            port: PortNo(1 + n % 8),
            max_len: 0,
        }],
        ..Default::default()
    }
}

fn ip() -> Match {
    let mut matching = Match::default();
    matching.set(Field::EthType.place(), 0x0800, u128::MAX);
    matching
}

fn all(command: FlowModCommand) -> FlowMod {
    FlowMod {
        command,
        table: TableId::ALL,
        ..Default::default()
    }
}

fn aggregate(cookie_mask: u64) -> Body {
    Body::MultipartRequest(MultipartRequest::Aggregate(Box::new(FlowStatsRequest {
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        cookie: Cookie(1),
        cookie_mask,
        matching: Match::default(),
        nicira: false,
    })))
}

fn monitor() -> Body {
    let wanted = monitor_flag::INITIAL | monitor_flag::REMOVED | monitor_flag::MODIFY;
    let request = MonitorRequest {
        id: 1,
        flags: wanted,
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        ..Default::default()
    };
    Body::MultipartRequest(MultipartRequest::FlowMonitor(vec![request]))
}

/// Bytes of memory that the process holds.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// How long this thread has run: others on the machine do not count.
fn ran() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(first.unwrap_or(0))
}

/// What a request took.
#[derive(Default)]
struct Took {
    message: Duration,
    longest: Duration,
    all: Duration,
    said: usize,
    memory: usize,
}

impl Took {
    fn call<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let started = ran();
        let result = call();
        let took = ran() - started;
        self.longest = self.longest.max(took);
        self.all += took;
        result
    }
    fn heard(&mut self, out: &mut Vec<Output>) {
        self.said += out.len();
        self.memory = self.memory.max(resident());
        out.clear();
    }
}

struct Bench {
    switch: Switch,
    bridge: datapath::model::BridgeId,
    out: Vec<Output>,
    len: u32,
}

const NOW: Time = Time::secs(1000);

impl Bench {
    fn new(len: u32) -> Bench {
        let stats = Stats::default();
        let _worker = stats.register_worker();
        let mut switch = Switch::new(stats, Secret::new(0));
        let bridge = switch.add_bridge(NOW, "br0", controlled(true));
        let bridge = bridge.expect("valid");
        for (conn, kind) in [(SAYS, ConnKind::Service), (HEARS, ConnKind::Controller)] {
            let settings = ConnSettings {
                bridge,
                kind,
                version: Version::V14,
                packet_in_limit: None,
                events: true,
                auxiliary: None,
            };
            switch.connect(NOW, conn, settings);
        }
        let out = Vec::new();
        Bench {
            switch,
            bridge,
            out,
            len,
        }
    }
    fn say(&mut self, conn: ConnId, body: Body) {
        let message = Message { xid: Xid(1), body };
        self.switch.message(NOW, conn, message, &RAW, &mut self.out);
    }
    fn fill(&mut self, flags: u16) {
        for n in 0..self.len {
            self.say(SAYS, Body::FlowMod(Box::new(flow(n, flags))));
            if n % 64 == 63 {
                self.switch.publish(&mut self.out);
            }
        }
        self.switch.publish(&mut self.out);
        self.switch.publish(&mut self.out);
        self.out.clear();
    }
    /// Does something, publishes, and lets both connections read to the end.
    fn measure(&mut self, name: &str, what: impl FnOnce(&mut Bench)) {
        let mut took = Took::default();
        let before = resident();
        took.call(|| what(self));
        took.message = took.all;
        took.heard(&mut self.out);
        loop {
            let done = took.call(|| {
                self.switch.work(&mut self.out);
                self.switch.publish_ready(&mut self.out)
            });
            let quiet = done && self.out.is_empty() && !self.switch.is_busy();
            took.heard(&mut self.out);
            for conn in [SAYS, HEARS] {
                while self.switch.is_dumping(conn) && !self.switch.is_busy() {
                    took.call(|| self.switch.dump(NOW, conn, &mut self.out));
                    took.heard(&mut self.out);
                }
            }
            if quiet {
                break;
            }
        }
        println!(
            "{name}: message {:?}, longest {:?}, all {:?}, {} said, +{} MB",
            took.message,
            took.longest,
            took.all,
            took.said,
            took.memory.saturating_sub(before) >> 20
        );
    }
    fn flow_mod(&mut self, name: &str, flow_mod: FlowMod) {
        self.measure(name, |bench| {
            bench.say(SAYS, Body::FlowMod(Box::new(flow_mod)))
        });
    }
}

fn controlled(has_controllers: bool) -> BridgeSettings {
    BridgeSettings {
        has_controllers,
        fail_mode: FailMode::Secure,
        ..Default::default()
    }
}

fn main() {
    let words = std::env::args().skip(1);
    let len = words.filter_map(|word| word.parse().ok()).next();
    let mut bench = Bench::new(len.unwrap_or(1_000_000));
    use FlowModCommand::*;
    bench.fill(0);
    bench.measure("aggregate", |b| b.say(SAYS, aggregate(0)));
    bench.measure("aggregate by cookie", |b| b.say(SAYS, aggregate(1)));
    let none = FlowMod {
        out_port: PortNo(77),
        ..all(Delete)
    };
    bench.flow_mod("delete by out_port, none", none);
    let none = FlowMod {
        cookie: Cookie(9),
        cookie_mask: u64::MAX,
        ..all(Delete)
    };
    bench.flow_mod("delete by cookie, none", none);
    bench.flow_mod("modify", all(Modify));
    bench.flow_mod(
        "modify ip",
        FlowMod {
            matching: ip(),
            ..all(Modify)
        },
    );
    bench.flow_mod("delete", all(Delete));
    bench.fill(0);
    bench.flow_mod(
        "delete ip",
        FlowMod {
            matching: ip(),
            ..all(Delete)
        },
    );
    bench.fill(0);
    let half = FlowMod {
        cookie: Cookie(1),
        cookie_mask: u64::MAX,
        ..all(Delete)
    };
    bench.flow_mod("delete half by cookie", half);
    bench.fill(0);
    bench.measure("flush", |b| {
        let settings = controlled(false);
        b.switch.set_bridge(NOW, b.bridge, settings).expect("valid");
    });
    bench.fill(flow_flag::SEND_FLOW_REM);
    bench.flow_mod("delete, FLOW_REMOVED", all(Delete));
    bench.fill(0);
    bench.measure("monitor", |b| b.say(HEARS, monitor()));
    bench.flow_mod("modify, monitored", all(Modify));
    bench.flow_mod("delete, monitored", all(Delete));
}
