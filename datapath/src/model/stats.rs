//! Counters: dense slabs per worker, one writer each, summed when read. Exact, and never behind.
//!
//! A counter that is reused starts from a baseline that the reader keeps (it is never set to 0 under
//! its writer's hands).

use super::drop::DropReason;
use super::id::BridgeId;
use super::id::PortId;
use super::id::RuleId;
use super::port::MAX_PORTS;
use super::tunnel_stats::{TunnelCounter, TunnelTotals};
use crate::fragment::{Counts, OUTCOMES, Outcome};
use crate::time::Time;
use ofp::types::TableId;
use packet::bpdu;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const CHUNK: usize = 4096;
/// Most rules in the whole switch.
pub const MAX_RULES: usize = 1024 * CHUNK;
/// Most bridges.
pub const MAX_BRIDGES: usize = 4096;

type Chunk<const N: usize> = OnceLock<Box<[[AtomicU64; N]; CHUNK]>>;

/// A growing array of `N` counters per entry; grown by the reader, written by one worker.
pub struct Slab<const N: usize> {
    chunks: Box<[Chunk<N>]>,
}

impl<const N: usize> Slab<N> {
    fn new(limit: usize) -> Slab<N> {
        Slab {
            chunks: (0..limit.div_ceil(CHUNK))
                .map(|_| OnceLock::new())
                .collect(),
        }
    }
    /// Makes sure that the entry exists. Control calls it before a worker can see the index.
    pub fn reserve(&self, index: usize) {
        self.chunks[index / CHUNK].get_or_init(|| {
            let entry = |_| std::array::from_fn(|_| AtomicU64::new(0));
            let entries: Box<[[AtomicU64; N]]> = (0..CHUNK).map(entry).collect();
            entries.try_into().expect("as many as were made")
        });
    }
    /// The entry, if it was reserved.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&[AtomicU64; N]> {
        self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK)
    }
    /// Adds to an entry's counters from `first` on. Only the owning worker may call it.
    #[inline]
    pub fn add_from<const M: usize>(&self, index: usize, first: usize, amounts: [u64; M]) {
        if let Some(entry) = self.get(index) {
            for (counter, amount) in entry[first..].iter().zip(amounts) {
                counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
            }
        }
    }
    /// Adds to a counter of an entry. Only the owning worker may call it.
    #[inline]
    pub fn add(&self, index: usize, counter: usize, amount: u64) {
        if let Some(entry) = self.get(index) {
            let counter = &entry[counter];
            counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
        }
    }
}

/// Classes of bursts by their size: 1, 2 to 3, 4 to 7, and so on, to a whole one.
pub const BURST_CLASSES: usize = crate::edge::BURST.ilog2() as usize + 1;

/// The counters of one receive queue. They go with it from worker to worker; the one that has it writes.
// Two lines: processors fetch pairs of them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct QueueStats {
    /// Packets received.
    pub packets: AtomicU64,
    /// Ticks of the worker's counter of time that it took to receive and to handle them, without the sending.
    pub ticks: AtomicU64,
}

impl QueueStats {
    /// Adds a burst. Only the worker that has the queue may call it.
    #[inline]
    pub fn add(&self, packets: u64, ticks: u64) {
        for (counter, amount) in [(&self.packets, packets), (&self.ticks, ticks)] {
            counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
        }
    }
}

/// How a worker spends its time; its thread's loop writes. In nanoseconds.
#[derive(Debug, Default)]
pub struct LoopStats {
    /// Polls, with frames or without.
    pub polls: AtomicU64,
    /// Those with.
    pub busy_polls: AtomicU64,
    /// Time in these, from one poll to the next.
    pub busy_nanos: AtomicU64,
    /// Time in the others, awake.
    pub idle_nanos: AtomicU64,
    /// How often it slept.
    pub sleeps: AtomicU64,
    /// Time asleep.
    pub slept_nanos: AtomicU64,
}

/// The counters of one worker.
// Two lines: what the allocator puts behind it is not written by its neighbour.
#[repr(align(128))]
pub struct WorkerStats {
    /// Per rule: packets, bytes, time of last use; the fourth is there so that they share a line.
    pub rules: Slab<4>,
    /// Per table: lookups, matches.
    pub tables: Slab<2>,
    /// Per port: the fields of `PortTotals` in order.
    pub ports: Slab<6>,
    /// Per port: BPDUs received, then sent, by kind (`bpdu::Kind::COUNTED`).
    pub bpdus: Slab<{ 2 * BPDU_KINDS }>,
    /// Per port that is a tunnel: `TUNNEL_COUNTERS`.
    pub tunnels: Slab<{ TunnelCounter::LEN }>,
    /// Per drop reason.
    pub drops: [AtomicU64; DropReason::LEN],
    /// Per outcome of reassembly.
    pub fragments: [AtomicU64; Outcome::LEN],
    /// Datagrams, fragments and bytes that are held for reassembly.
    pub held: [AtomicU64; 3],
    /// Bursts that had frames; frames; cache hits; cache misses.
    pub worker: [AtomicU64; 4],
    /// Bursts by their size: class `n` holds those of 2^n packets and more.
    pub bursts: [AtomicU64; BURST_CLASSES],
    /// Times that frames were handed to a port.
    pub batches: AtomicU64,
    /// Tables that were looked up as the cache knew no program.
    pub lookups: AtomicU64,
    /// Tables of hashes that the classifiers looked into for that.
    pub probes: AtomicU64,
    /// Cache misses of which nothing was kept, as it would have taken the place of what is as good.
    pub unkept: AtomicU64,
    /// How its time goes.
    pub time: LoopStats,
    /// Tunnel packets of no tunnel (another remote end, key or session) that were left to the host.
    pub unclaimed: AtomicU64,
    /// Per [`Effect`].
    pub effects: [AtomicU64; EFFECTS.len()],
}

macro_rules! effects {
    ($($variant:ident $name:literal $text:literal;)*) => {
        /// What actions do beside forwarding, as far as it is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum Effect { $($variant),* }

        /// Effect, counter name, explanation; in the order of the enum.
        pub const EFFECTS: &[(Effect, &str, &str)] = &[$((Effect::$variant, $name, $text)),*];
    };
}

effects! {
    Learnt       "learn_sent"         "flows of learn actions that workers told control of";
    LearnLost    "learn_lost"         "the same, lost as the queue to control was full: the next packet tries again";
    LearnLimit   "learn_limited"      "packets that taught nothing, as their learn action's limit was reached";
    Finished     "fin_timeout_sent"   "TCP FINs and RSTs that shortened a flow's timeouts";
    FinishedLost "fin_timeout_lost"   "the same, lost as the queue to control was full";
    Sampled      "sampled"            "packets that a sample action chose";
}

/// Kinds of BPDUs that are counted.
pub const BPDU_KINDS: usize = bpdu::Kind::COUNTED.len();

/// Index of a table's counters.
#[inline]
pub fn table_index(bridge: BridgeId, table: TableId) -> usize {
    usize::from(bridge.0) * 256 + usize::from(table.0)
}

/// The bridge of a table's counters.
#[inline]
pub fn bridge_of(table_index: u32) -> BridgeId {
    BridgeId((table_index / 256) as u16)
}

impl WorkerStats {
    fn new() -> WorkerStats {
        WorkerStats {
            rules: Slab::new(MAX_RULES),
            tables: Slab::new(MAX_BRIDGES * 256),
            ports: Slab::new(MAX_PORTS),
            bpdus: Slab::new(MAX_PORTS),
            tunnels: Slab::new(MAX_PORTS),
            drops: std::array::from_fn(|_| AtomicU64::new(0)),
            fragments: std::array::from_fn(|_| AtomicU64::new(0)),
            held: std::array::from_fn(|_| AtomicU64::new(0)),
            worker: std::array::from_fn(|_| AtomicU64::new(0)),
            bursts: std::array::from_fn(|_| AtomicU64::new(0)),
            batches: AtomicU64::new(0),
            lookups: AtomicU64::new(0),
            probes: AtomicU64::new(0),
            unkept: AtomicU64::new(0),
            time: LoopStats::default(),
            unclaimed: AtomicU64::new(0),
            effects: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
    /// Credits packets to a rule.
    #[inline]
    pub fn credit(&self, rule: RuleId, packets: u64, bytes: u64, now: Time) {
        if let Some(entry) = self.rules.get(rule.0 as usize) {
            entry[0].store(entry[0].load(Relaxed) + packets, Relaxed);
            entry[1].store(entry[1].load(Relaxed) + bytes, Relaxed);
            entry[2].store(now.0, Relaxed);
        }
    }
    /// Counts what a port received in a burst.
    #[inline]
    pub fn received(&self, port: PortId, packets: u64, bytes: u64) {
        for (counter, amount) in self.worker.iter().zip([1, packets]) {
            counter.store(counter.load(Relaxed) + amount, Relaxed);
        }
        self.ports.add_from(port.0 as usize, 0, [packets, bytes]);
    }
    /// Counts a received burst, which is not empty, by its size.
    #[inline]
    pub fn received_burst(&self, packets: usize) {
        let class = (packets.max(1).ilog2() as usize).min(BURST_CLASSES - 1);
        let counter = &self.bursts[class];
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }
    /// Counts what a walk looked up.
    pub fn looked_up(&self, tables: u64, probes: u64) {
        for (counter, amount) in [(&self.lookups, tables), (&self.probes, probes)] {
            counter.store(counter.load(Relaxed) + amount, Relaxed);
        }
    }
    /// Frames handed to ports so far.
    pub fn sent(&self) -> u64 {
        let chunks = self.ports.chunks.iter().filter_map(OnceLock::get);
        let ports = chunks.flat_map(|chunk| chunk.iter());
        ports.map(|port| port[2].load(Relaxed)).sum()
    }
    /// Counts an effect.
    #[inline]
    pub fn effect(&self, effect: Effect) {
        let counter = &self.effects[effect as usize];
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }
    /// Counts a BPDU that a port received.
    pub fn received_bpdu(&self, port: PortId, kind: bpdu::Kind) {
        self.bpdu(port, 0, kind);
    }
    /// Counts a BPDU that a port sent.
    pub fn sent_bpdu(&self, port: PortId, kind: bpdu::Kind) {
        self.bpdu(port, BPDU_KINDS, kind);
    }
    #[cold]
    fn bpdu(&self, port: PortId, direction: usize, kind: bpdu::Kind) {
        if let Some(index) = (kind as usize).checked_sub(1) {
            self.bpdus.add(port.0 as usize, direction + index, 1);
        }
    }
    /// Counts something about a tunnel.
    #[inline]
    pub fn tunnel(&self, port: PortId, counter: TunnelCounter, amount: u64) {
        self.tunnels.add(port.0 as usize, counter as usize, amount);
    }
    /// Counts a packet, with its bytes in the counter behind: `counter` is `RxPackets` or `TxPackets`.
    #[inline]
    pub fn tunnel_packet(&self, port: PortId, counter: TunnelCounter, bytes: u64) {
        let (index, first) = (port.0 as usize, counter as usize);
        self.tunnels.add_from(index, first, [1, bytes]);
    }
    /// Counts a dropped packet.
    #[inline]
    pub fn dropped(&self, reason: DropReason) {
        self.dropped_all(reason, 1);
    }
    /// Counts dropped packets.
    #[inline]
    pub fn dropped_all(&self, reason: DropReason, len: u64) {
        let counter = &self.drops[reason as usize];
        counter.store(counter.load(Relaxed) + len, Relaxed);
    }
    /// What became of fragments since it was told last; and what is held: datagrams, fragments, bytes.
    // Added, as the one before may have counted here, too: counters outlive their worker.
    pub fn add_fragments(&self, counts: &Counts, held: [usize; 3]) {
        for (place, now) in self.held.iter().zip(held) {
            place.store(now as u64, Relaxed);
        }
        for (counter, (outcome, ..)) in self.fragments.iter().zip(OUTCOMES) {
            counter.store(counter.load(Relaxed) + counts.get(*outcome), Relaxed);
        }
    }
}

/// What happened to a rule so far, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct RuleTotals {
    pub packets: u64,
    pub bytes: u64,
    pub used: Time,
}

/// What went through a port so far, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PortTotals {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub bpdus: BpduTotals,
}

/// BPDUs that went through a port so far, by kind (`bpdu::Kind::COUNTED`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct BpduTotals {
    pub rx: [u64; BPDU_KINDS],
    pub tx: [u64; BPDU_KINDS],
}

impl BpduTotals {
    /// What came after `before`.
    pub fn since(&self, before: &BpduTotals) -> BpduTotals {
        let less = |now: [u64; BPDU_KINDS], before: [u64; BPDU_KINDS]| {
            std::array::from_fn(|kind| now[kind].wrapping_sub(before[kind]))
        };
        BpduTotals {
            rx: less(self.rx, before.rx),
            tx: less(self.tx, before.tx),
        }
    }
}

/// Chunks that every worker's slabs have.
#[derive(Default)]
struct Reserved {
    rules: usize,
    ports: usize,
    bpdus: usize,
    tunnels: usize,
    tables: usize,
}

/// All workers' counters.
#[derive(Clone, Default)]
pub struct Stats {
    workers: Arc<Mutex<Vec<Arc<WorkerStats>>>>,
    reserved: Arc<Mutex<Reserved>>,
}

impl Stats {
    /// The counters of one more worker. (Those of a worker that ended stay: its counts still count.)
    pub fn register_worker(&self) -> Arc<WorkerStats> {
        let worker = Arc::new(WorkerStats::new());
        let reserved = self.reserved.lock().expect("no panics while held");
        (0..reserved.rules).for_each(|chunk| worker.rules.reserve(chunk * CHUNK));
        (0..reserved.ports).for_each(|chunk| worker.ports.reserve(chunk * CHUNK));
        (0..reserved.bpdus).for_each(|chunk| worker.bpdus.reserve(chunk * CHUNK));
        (0..reserved.tunnels).for_each(|chunk| worker.tunnels.reserve(chunk * CHUNK));
        (0..reserved.tables).for_each(|chunk| worker.tables.reserve(chunk * CHUNK));
        self.workers
            .lock()
            .expect("no panics while held")
            .push(worker.clone());
        worker
    }
    fn each(&self, mut f: impl FnMut(&WorkerStats)) {
        self.workers
            .lock()
            .expect("no panics while held")
            .iter()
            .for_each(|w| f(w));
    }
    /// Makes room for a rule; before it is published.
    pub fn reserve_rule(&self, rule: RuleId) {
        let mut reserved = self.reserved.lock().expect("no panics while held");
        self.grow(&mut reserved.rules, rule.0 as usize, |w| &w.rules);
    }
    /// Makes room for a port; before it is published.
    pub fn reserve_port(&self, port: PortId) {
        let mut reserved = self.reserved.lock().expect("no panics while held");
        self.grow(&mut reserved.ports, port.0 as usize, |w| &w.ports);
        self.grow(&mut reserved.bpdus, port.0 as usize, |w| &w.bpdus);
    }
    /// Makes room for what is counted of a tunnel; before it is published. Other ports need none.
    pub fn reserve_tunnel(&self, port: PortId) {
        let mut reserved = self.reserved.lock().expect("no panics while held");
        self.grow(&mut reserved.tunnels, port.0 as usize, |w| &w.tunnels);
    }
    /// Makes room for a bridge's tables; before it is published.
    pub fn reserve_bridge(&self, bridge: BridgeId) {
        let mut reserved = self.reserved.lock().expect("no panics while held");
        let first = table_index(bridge, TableId(0));
        self.grow(&mut reserved.tables, first, |w| &w.tables);
    }
    /// Makes sure that every worker has the chunks up to that of `index`.
    fn grow<const N: usize>(
        &self,
        chunks: &mut usize,
        index: usize,
        slab: fn(&WorkerStats) -> &Slab<N>,
    ) {
        for chunk in *chunks..index / CHUNK + 1 {
            self.each(|worker| slab(worker).reserve(chunk * CHUNK));
            *chunks = chunk + 1;
        }
    }
    /// Sum of a rule's counters (since the slot exists: subtract the baseline).
    pub fn rule(&self, rule: RuleId) -> RuleTotals {
        let mut sum = RuleTotals::default();
        self.each(|w| {
            if let Some(entry) = w.rules.get(rule.0 as usize) {
                sum.packets += entry[0].load(Relaxed);
                sum.bytes += entry[1].load(Relaxed);
                sum.used = sum.used.max(Time(entry[2].load(Relaxed)));
            }
        });
        sum
    }
    /// Sum of a table's lookups and matches.
    pub fn table(&self, bridge: BridgeId, table: TableId) -> (u64, u64) {
        let mut sum = (0, 0);
        self.each(|w| {
            if let Some(entry) = w.tables.get(table_index(bridge, table)) {
                sum.0 += entry[0].load(Relaxed);
                sum.1 += entry[1].load(Relaxed);
            }
        });
        sum
    }
    /// Sum of a port's counters (since the index exists: subtract the baseline).
    pub fn port(&self, port: PortId) -> PortTotals {
        let mut sum = PortTotals::default();
        self.each(|w| {
            if let Some(entry) = w.ports.get(port.0 as usize) {
                sum.rx_packets += entry[0].load(Relaxed);
                sum.rx_bytes += entry[1].load(Relaxed);
                sum.tx_packets += entry[2].load(Relaxed);
                sum.tx_bytes += entry[3].load(Relaxed);
                sum.rx_dropped += entry[4].load(Relaxed);
                sum.tx_dropped += entry[5].load(Relaxed);
            }
            if let Some(entry) = w.bpdus.get(port.0 as usize) {
                let (rx, tx) = entry.split_at(BPDU_KINDS);
                for (kind, (rx, tx)) in rx.iter().zip(tx).enumerate() {
                    sum.bpdus.rx[kind] += rx.load(Relaxed);
                    sum.bpdus.tx[kind] += tx.load(Relaxed);
                }
            }
        });
        sum
    }
    /// Sum of a tunnel's counters (since the index exists: subtract the baseline); 0 for other ports.
    pub fn tunnel(&self, port: PortId) -> TunnelTotals {
        let mut sum = TunnelTotals::default();
        self.each(|w| {
            if let Some(entry) = w.tunnels.get(port.0 as usize) {
                sum.0
                    .iter_mut()
                    .zip(entry)
                    .for_each(|(sum, counter)| *sum += counter.load(Relaxed));
            }
        });
        sum
    }
    /// Sum of the dropped packets of a reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        let mut sum = 0;
        self.each(|w| sum += w.drops[reason as usize].load(Relaxed));
        sum
    }
    /// How often an effect was.
    pub fn effects(&self, effect: Effect) -> u64 {
        let mut sum = 0;
        self.each(|w| sum += w.effects[effect as usize].load(Relaxed));
        sum
    }
    /// How often an outcome of reassembly was.
    pub fn fragments(&self, outcome: Outcome) -> u64 {
        let mut sum = 0;
        self.each(|w| sum += w.fragments[outcome as usize].load(Relaxed));
        sum
    }
    /// Datagrams, fragments and bytes that all workers hold for reassembly.
    pub fn held(&self) -> [u64; 3] {
        let mut sum = [0; 3];
        self.each(|w| {
            for (sum, held) in sum.iter_mut().zip(&w.held) {
                *sum += held.load(Relaxed);
            }
        });
        sum
    }
    /// Sum of the tunnel packets that were left to the host, as no tunnel's they are.
    pub fn unclaimed(&self) -> u64 {
        let mut sum = 0;
        self.each(|w| sum += w.unclaimed.load(Relaxed));
        sum
    }
    /// Sum of the workers' own counters, see [`WorkerStats::worker`].
    pub fn workers(&self) -> [u64; 4] {
        let mut sum = [0; 4];
        self.each(|w| {
            sum.iter_mut()
                .zip(&w.worker)
                .for_each(|(s, c)| *s += c.load(Relaxed))
        });
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_of_the_next_worker_are_added() {
        let stats = Stats::default();
        let slab = stats.register_worker();
        let mut counts = Counts::default();
        counts.add(Outcome::Completed);
        slab.add_fragments(&counts, [1, 2, 3]);
        slab.add_fragments(&counts, [0; 3]);
        assert_eq!(stats.fragments(Outcome::Completed), 2);
        assert_eq!(stats.held(), [0; 3]);
    }
}
