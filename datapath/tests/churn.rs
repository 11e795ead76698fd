//! Two workers forward on threads of their own while rules change: every packet meets the rules of one published version, all of them,
//! none older than what everybody was said to have, and every packet is counted.

use datapath::edge::{BURST, Rx, Tx};
use datapath::forward::worker::{Team, Worker};
use datapath::fragment::Secret;
use datapath::model::event::{COMMANDS, Command, EVENTS};
use datapath::model::id::{BridgeId, PortId};
use datapath::model::mac::MacTable;
use datapath::model::port::{PortKind, PortView, VlanMode};
use datapath::model::publish::Publisher;
use datapath::model::snapshot::{BridgeConfig, Change, Miss};
use datapath::model::stats::Stats;
use datapath::model::{Rule, RuleId};
use datapath::sim::{self, SimFrame, SimPool};
use datapath::time::Time;
use ofp::types::{PortNo, TableId};
use packet::MacAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

const BRIDGE: BridgeId = BridgeId(0);
/// Ports that frames leave by; one more for each worker that they come by. Enough that a wrong version is not taken for a right one.
const PORTS: u32 = 16;
/// Rules that change together.
const RULES: u32 = 24;
const VERSIONS: u64 = 500;
const WORKERS: u32 = 2;

/// What is known while it happens.
#[derive(Default)]
struct Known {
    /// All workers have it.
    settled: AtomicU64,
    /// Workers may have it.
    staged: AtomicU64,
    is_over: AtomicBool,
    received: AtomicU64,
    sent: AtomicU64,
}

/// Frames to each rule's address in turn, with the version that was settled when they came.
struct Source {
    known: Arc<Known>,
    pool: SimPool,
    next: u32,
}

impl Rx<SimFrame> for Source {
    fn rx(&mut self, out: &mut Vec<SimFrame>, max: usize) {
        if self.known.is_over.load(SeqCst) {
            return;
        }
        let settled = self.known.settled.load(SeqCst);
        for _ in 0..max.min(BURST) {
            // Some alike in a row, others not.
            let rule = self.next / 3 * 7 % RULES;
            self.next = self.next.wrapping_add(1) % 100_000;
            let mut bytes = [0; 60];
            bytes[12..26].copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0]);
            bytes[26..34].copy_from_slice(&[10, 1, 0, 1, 10, 0, 0, rule as u8]);
            let _ = packet::ipv4::fill_checksum(&mut bytes[14..]);
            bytes[38..40].copy_from_slice(&26u16.to_be_bytes());
            bytes[42..50].copy_from_slice(&settled.to_be_bytes());
            out.push(self.pool.frame(&bytes));
        }
        self.known.received.fetch_add(max.min(BURST) as u64, SeqCst);
    }
}

/// Checks that a frame leaves here by a version that it may have met.
struct Sink {
    known: Arc<Known>,
    port: u32,
}

impl Tx<SimFrame> for Sink {
    fn tx(&mut self, frames: &mut Vec<SimFrame>) {
        let staged = self.known.staged.load(SeqCst);
        for frame in frames.drain(..) {
            let bytes = frame.bytes();
            let settled = bytes[42..50].try_into().map_or(0, u64::from_be_bytes);
            let may_have = |version| port_of(version, bytes[33].into()) == self.port;
            assert!(
                (settled..=staged).any(may_have),
                "port {}, {settled}..={staged}: {bytes:?}",
                self.port
            );
            self.known.sent.fetch_add(1, SeqCst);
        }
    }
}

/// Where a version of a rule outputs.
fn port_of(version: u64, rule: u32) -> u32 {
    (version as u32 + rule) % PORTS + 1
}

fn rule(version: u64, rule: u32) -> Rule {
    let text = format!(
        "table=0,ip,nw_dst=10.0.0.{rule},actions=output:{}",
        port_of(version, rule)
    );
    Rule {
        id: RuleId(rule),
        ..sim::rule(&text)
    }
}

fn bridge() -> BridgeConfig {
    BridgeConfig {
        name: "br0".into(),
        mac: MacAddr::ZERO,
        first_table: TableId(0),
        first_egress: None,
        tlvs: None,
        misses: Default::default(),
        miss: Miss::Drop,
        miss_send_len: 128,
        frag: 0,
        reserved: Default::default(),
        macs: Arc::new(MacTable::new(1024)),
    }
}

fn port(number: u32) -> PortView {
    PortView {
        id: PortId(number),
        bridge: BRIDGE,
        number: PortNo(number),
        name: "port".into(),
        kind: PortKind::Device,
        config: 0,
        live: true,
        mtu: 1500,
        mac: MacAddr::ZERO,
        vlan: VlanMode::Trunk { trunks: None },
    }
}

/// Makes the rules those of this version, at once, and waits for all workers.
fn publish(publisher: &mut Publisher, known: &Known, version: u64) {
    for number in 0..RULES {
        publisher.stage(Change::AddRule(BRIDGE, Arc::new(rule(version, number))));
    }
    known.staged.store(version, SeqCst);
    publisher.publish_and_settle();
    known.settled.store(version, SeqCst);
}

#[test]
fn packets_meet_whole_versions() {
    let (mut publisher, stats, known) = (
        Publisher::new(Secret::new(0)),
        Stats::default(),
        Arc::new(Known::default()),
    );
    stats.reserve_bridge(BRIDGE);
    (0..RULES).for_each(|number| stats.reserve_rule(RuleId(number)));
    publisher.stage(Change::SetBridge(BRIDGE, Arc::new(bridge())));
    for number in 1..=PORTS + WORKERS {
        stats.reserve_port(PortId(number));
        publisher.stage(Change::SetPort(Arc::new(port(number))));
    }
    publish(&mut publisher, &known, 1);
    let teams = Team::of(WORKERS as usize, Secret::new(0)).into_iter();
    let threads: Vec<_> = teams
        .zip([32_768, 1])
        .zip(1..)
        .map(|((team, entries), number)| {
            let (events_in, events) = rtrb::RingBuffer::new(EVENTS);
            let (mut commands, commands_out) = rtrb::RingBuffer::new(COMMANDS);
            let (reader, counters) = (publisher.reader(), stats.register_worker());
            let worker = Worker::new(
                reader,
                counters,
                SimPool::default(),
                events_in,
                commands_out,
                team,
            );
            let mut worker = worker.with_cache_entries(entries);
            for port in 1..=PORTS {
                let (known, port_id) = (known.clone(), PortId(port));
                let tx = Box::new(Sink { known, port });
                assert!(commands.push(Command::AddTx { port: port_id, tx }).is_ok());
            }
            let rx = Box::new(Source {
                known: known.clone(),
                pool: SimPool::default(),
                next: 0,
            });
            let add = Command::AddRx {
                port: PortId(PORTS + number),
                rx,
                counters: Default::default(),
            };
            assert!(commands.push(add).is_ok());
            let known = known.clone();
            std::thread::spawn(move || {
                let mut now = Time::secs(1);
                while !known.is_over.load(SeqCst) {
                    now = now + Time(1000);
                    worker.poll(now);
                    if now.0.is_multiple_of(64_000) {
                        worker.idle();
                    }
                }
                drop((commands, events));
            })
        })
        .collect();
    // Not before there is something to change under.
    while known.received.load(SeqCst) < 1000 {
        std::thread::yield_now();
    }
    for version in 2..=VERSIONS {
        if threads.iter().any(|thread| thread.is_finished()) {
            break;
        }
        publish(&mut publisher, &known, version);
    }
    known.is_over.store(true, SeqCst);
    for thread in threads {
        assert!(thread.join().is_ok(), "a worker saw what it must not see");
    }
    let (received, sent) = (known.received.load(SeqCst), known.sent.load(SeqCst));
    assert_eq!(received, sent);
    let counted = (0..RULES).map(|number| stats.rule(RuleId(number)).packets);
    assert_eq!(counted.sum::<u64>(), sent);
    assert_eq!(stats.table(BRIDGE, TableId(0)), (sent, sent));
}
