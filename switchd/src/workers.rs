//! The worker threads as the daemon sees them: which there are, which receive queue is whose, the rings to and from them.
//! A queue goes from one worker to another by way of this file: the old one gives it back when it has sent all that came
//! by it, and only then the new one gets it, so flows stay in order.

pub mod assign;
mod linger;
mod load;
mod run;

use crate::clock::Clock;
use assign::{Auto, Item, Rules};
use datapath::edge::{Port, Rx, Tx};
use datapath::forward::worker::Team;
use datapath::fragment::Secret;
use datapath::model::PortId;
use datapath::model::event::{Command, Event, PacketOut};
use datapath::model::publish::Publisher;
use datapath::model::stats::{QueueStats, Stats, WorkerStats};
use dpdk::poll::{Poll, Waker};
use dpdk::{Mbuf, Mempools};
use load::History;
use run::{Running, Seat};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

/// Longest sleep of an idle worker by default, if it has queues that must be polled. Each waking up costs the kernel and
/// us some 30 microseconds, so this is less than 2 % of a core (3 % with 1000). A frame that ends the idleness waits half of it on average.
pub const SLEEP_MAX_MICROS: u64 = 1700;

/// A port that has queues.
pub type Device<'a> = (PortId, &'a mut (dyn Port<Mbuf> + 'static));

struct Handle {
    cpu: usize,
    running: Option<Running>,
    stats: Arc<WorkerStats>,
    /// As it was when the counters were cleared.
    baseline: Totals,
    cleared: Instant,
    busy: History,
}

/// A receive queue.
struct Queue {
    port: PortId,
    /// Among the port's.
    index: usize,
    /// The CPU that it is pinned to.
    cpu: Option<usize>,
    /// Who polls it, or gets it.
    worker: usize,
    counters: Arc<QueueStats>,
    ticks: History,
    /// On its way from another worker.
    coming: Option<Receiver<Box<dyn Rx<Mbuf>>>>,
}

/// All workers.
pub struct Workers {
    handles: Vec<Handle>,
    queues: Vec<Queue>,
    /// CPU by queue, of ports that say so.
    affinity: BTreeMap<PortId, BTreeMap<usize, usize>>,
    rules: Rules,
    auto: Auto,
    /// When it was last looked whether it is worth it.
    looked: Instant,
    /// The queues are to be dealt out anew.
    is_due: bool,
    sleep_max_micros: Arc<AtomicU64>,
    /// Entries of the caches, if that was said.
    cache_entries: Option<usize>,
    control: Waker,
    /// Counters of workers that there are no more; the next ones go on with them.
    retired: Vec<Arc<WorkerStats>>,
    /// What workers said that there are no more.
    last_words: Vec<Event>,
    /// The last that was sent.
    packet_out: u64,
    /// Two clocks at the start: what a tick is.
    started: (Instant, u64),
}

/// What the threads need from the daemon.
pub struct Context<'a> {
    /// Time.
    pub clock: Clock,
    /// Where the snapshots come from.
    pub publisher: &'a Publisher,
    /// Where they count.
    pub stats: &'a Stats,
    /// Where frames come from.
    pub pools: &'a Arc<Mempools>,
    /// Wakes the control thread when a worker has an event.
    pub control: Waker,
}

/// Queues of a port that workers are letting go of.
pub struct Closing(Receiver<()>);

impl Closing {
    /// Waits until all of them have, for a bounded time.
    pub fn wait(&self) {
        if let Err(RecvTimeoutError::Timeout) = self.0.recv_timeout(Duration::from_secs(1)) {
            tracing::error!("a worker does not let go of a port");
        }
    }
}

impl Workers {
    /// Starts one worker on each of the CPUs.
    pub fn start(cpus: &[usize], context: &Context<'_>) -> Result<Workers, String> {
        let mut workers = Workers {
            handles: Vec::new(),
            queues: Vec::new(),
            affinity: BTreeMap::new(),
            rules: Rules::default(),
            auto: Auto::default(),
            looked: Instant::now(),
            is_due: false,
            sleep_max_micros: Arc::new(AtomicU64::new(SLEEP_MAX_MICROS)),
            cache_entries: None,
            control: context.control.clone(),
            retired: Vec::new(),
            last_words: Vec::new(),
            packet_out: 0,
            started: (Instant::now(), dpdk::cycles()),
        };
        workers.launch(cpus, context)?;
        Ok(workers)
    }
    fn launch(&mut self, cpus: &[usize], context: &Context<'_>) -> Result<(), String> {
        let team = Team::of(cpus.len(), secret());
        let polls: Vec<Poll> = (0..cpus.len())
            .map(|_| Poll::new().map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
        let wakers: Arc<[Waker]> = polls.iter().map(Poll::waker).collect();
        for ((&cpu, team), poll) in cpus.iter().zip(team).zip(polls) {
            let stats = self.retired.pop();
            let stats = stats.unwrap_or_else(|| context.stats.register_worker());
            let seat = Seat {
                cpu,
                team,
                poll,
                wakers: wakers.clone(),
                stats: stats.clone(),
            };
            let baseline = Totals::read(&stats);
            let running = run::start(seat, &self.sleep_max_micros, context)?;
            self.handles.push(Handle {
                cpu,
                running: Some(running),
                busy: History::since(dpdk::cycles(), baseline.busy_nanos),
                baseline,
                cleared: Instant::now(),
                stats,
            });
        }
        Ok(())
    }
    /// Ends all workers and starts others on these CPUs. Frames wait in the devices meanwhile; what waits for neighbours or for
    /// further fragments is lost, and counted. Every port that has queues is among the devices.
    pub fn restart(
        &mut self,
        cpus: &[usize],
        context: &Context<'_>,
        devices: Vec<Device<'_>>,
    ) -> Result<(), String> {
        for queue in 0..self.queues.len() {
            self.call_back(queue);
        }
        self.stop();
        let mut rx: Vec<Option<Box<dyn Rx<Mbuf>>>> = Vec::new();
        for queue in &mut self.queues {
            rx.push(
                queue
                    .coming
                    .take()
                    .and_then(|coming| coming.try_recv().ok()),
            );
        }
        let handles = std::mem::take(&mut self.handles).into_iter();
        self.retired.extend(handles.map(|handle| handle.stats));
        // All have run: workers obey in turn, and the order to stop is the last.
        self.last_words.push(Event::PacketOuts(self.packet_out));
        self.launch(cpus, context)?;
        if let Some(entries) = self.cache_entries {
            self.set_cache_entries(entries);
        }
        for (port, device) in devices {
            self.add_tx(port, device)?;
        }
        self.place_all();
        for (queue, rx) in rx.into_iter().enumerate() {
            match rx {
                Some(rx) => self.give(queue, rx),
                None => tracing::error!(queue, "a receive queue is lost"),
            }
        }
        self.control.wake();
        Ok(())
    }
    /// Number of workers.
    pub fn len(&self) -> usize {
        self.handles.len()
    }
    /// Wakes the control thread.
    pub fn control(&self) -> Waker {
        self.control.clone()
    }
    /// The CPU of each.
    pub fn cpus(&self) -> Vec<usize> {
        self.handles.iter().map(|handle| handle.cpu).collect()
    }
    /// The kernel's numbers of their threads, if it tells them.
    pub fn threads(&self) -> Option<Vec<i32>> {
        let running = self.handles.iter().filter_map(|h| h.running.as_ref());
        running.map(|running| running.number).collect()
    }
    /// Longest sleep of an idle worker; 0: never sleep.
    pub fn set_sleep_max(&self, micros: u64) {
        self.sleep_max_micros.store(micros, Relaxed);
        let running = self.handles.iter().filter_map(|h| h.running.as_ref());
        running.for_each(|running| running.waker.wake());
    }
    /// Entries of each worker's cache of programs, see [`Command::CacheEntries`].
    pub fn set_cache_entries(&mut self, entries: usize) {
        self.cache_entries = Some(entries);
        for worker in 0..self.len() {
            self.send(worker, Command::CacheEntries(entries));
        }
    }
    fn send(&mut self, worker: usize, mut command: Command<Mbuf>) {
        let Some(running) = &mut self.handles[worker].running else {
            return;
        };
        // A mailbox is as long as a burst of configuration; the worker drains it every few microseconds.
        while let Err(rtrb::PushError::Full(back)) = running.commands.push(command) {
            command = back;
            running.waker.wake();
            std::thread::sleep(Duration::from_micros(50));
            if running.thread.is_finished() {
                return;
            }
        }
        running.waker.wake();
    }
    /// Gives the port's queues to the workers: every one sends, and its receive queues go to those that have least to do.
    pub fn add_port(&mut self, port: PortId, device: &mut dyn Port<Mbuf>) -> Result<(), String> {
        let rx: Vec<Box<dyn Rx<Mbuf>>> = (0..device.rx_len())
            .map(|queue| device.open_rx(queue))
            .collect::<Result<_, _>>()?;
        self.add_tx(port, device)?;
        for (index, rx) in rx.into_iter().enumerate() {
            let affinity = self.affinity.get(&port);
            let cpu = affinity.and_then(|of| of.get(&index)).copied();
            let counters = Arc::<QueueStats>::default();
            self.queues.push(Queue {
                port,
                index,
                cpu,
                worker: 0,
                ticks: History::since(dpdk::cycles(), 0),
                counters,
                coming: None,
            });
            let queue = self.queues.len() - 1;
            self.queues[queue].worker = self.place(queue);
            self.give(queue, rx);
            // Others have to make room for it.
            self.is_due |= self.rules.isolate && cpu.is_some();
        }
        Ok(())
    }
    fn add_tx(&mut self, port: PortId, device: &mut dyn Port<Mbuf>) -> Result<(), String> {
        let tx: Vec<Box<dyn Tx<Mbuf>>> = (0..self.len())
            .map(|worker| device.open_tx(worker))
            .collect::<Result<_, _>>()?;
        for (worker, tx) in tx.into_iter().enumerate() {
            self.send(worker, Command::AddTx { port, tx });
        }
        Ok(())
    }
    /// Takes the port's queues away from the workers.
    pub fn remove_port(&mut self, port: PortId) -> Closing {
        let (done, closing) = channel();
        self.queues.retain(|queue| queue.port != port);
        self.affinity.remove(&port);
        for worker in 0..self.len() {
            let done = done.clone();
            self.send(worker, Command::RemovePort { port, done });
        }
        Closing(closing)
    }
    /// Runs actions on a packet.
    pub fn packet_out(&mut self, packet_out: Box<PacketOut>) {
        self.packet_out = self.packet_out.max(packet_out.number);
        // All on one worker: packets of one controller keep their order.
        self.send(0, Command::PacketOut(packet_out));
    }
    /// What the workers have to say; at most `limit` events of each.
    pub fn events(&mut self, limit: usize, events: &mut Vec<Event>) {
        events.append(&mut self.last_words);
        for handle in &mut self.handles {
            let Some(running) = &mut handle.running else {
                continue;
            };
            events.extend(std::iter::from_fn(|| running.events.pop().ok()).take(limit));
            if !running.events.is_empty() {
                self.control.wake();
            }
        }
    }
    /// Whether a worker ended by itself: by a panic.
    pub fn have_died(&self) -> bool {
        let mut running = self.handles.iter().filter_map(|h| h.running.as_ref());
        running.any(|running| running.thread.is_finished())
    }
    /// Ends all workers and waits for them.
    pub fn stop(&mut self) {
        for worker in 0..self.len() {
            self.send(worker, Command::Stop);
        }
        for handle in &mut self.handles {
            let Some(running) = handle.running.take() else {
                continue;
            };
            let Running {
                thread, mut events, ..
            } = running;
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
            self.last_words
                .extend(std::iter::from_fn(|| events.pop().ok()));
        }
    }
}

/// Which queue is whose.
impl Workers {
    /// Which CPU polls which of a port's queues; others are dealt out.
    pub fn set_affinity(&mut self, port: PortId, affinity: &BTreeMap<usize, usize>) {
        let before = match affinity.is_empty() {
            true => self.affinity.remove(&port),
            false => self.affinity.insert(port, affinity.clone()),
        };
        self.is_due |= before.unwrap_or_default() != *affinity;
        for queue in self.queues.iter_mut().filter(|queue| queue.port == port) {
            queue.cpu = affinity.get(&queue.index).copied();
        }
    }
    /// How queues are dealt out.
    pub fn set_rules(&mut self, rules: Rules, auto: Auto) {
        self.is_due |= std::mem::replace(&mut self.rules, rules) != rules;
        if self.auto != auto {
            self.auto = auto;
            self.looked = Instant::now();
        }
    }
    /// Deals them out anew if something asks for it.
    pub fn settle(&mut self) {
        if std::mem::take(&mut self.is_due) {
            self.rebalance();
        }
    }
    /// Deals all queues out anew. Returns how many move.
    pub fn rebalance(&mut self) -> usize {
        let before: Vec<usize> = self.queues.iter().map(|queue| queue.worker).collect();
        let places = self.places();
        let moves: Vec<usize> = (0..before.len())
            .filter(|queue| before[*queue] != places[*queue])
            .collect();
        for &queue in &moves {
            self.call_back(queue);
            self.queues[queue].worker = places[queue];
        }
        tracing::info!(
            moved = moves.len(),
            queues = before.len(),
            "receive queues dealt out"
        );
        moves.len()
    }
    /// Gives queues that have come back to their next workers.
    pub fn hand_over(&mut self) {
        for queue in 0..self.queues.len() {
            let Some(coming) = &self.queues[queue].coming else {
                continue;
            };
            match coming.try_recv() {
                Ok(rx) => {
                    self.queues[queue].coming = None;
                    self.give(queue, rx);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    tracing::error!(queue, "a receive queue is lost");
                    self.queues[queue].coming = None;
                }
            }
        }
    }
    /// Reads the loads; each ten seconds. Deals the queues out anew if that is wanted, and worth it.
    pub fn sample(&mut self) {
        let now = dpdk::cycles();
        if self.auto.is_on && self.looked.elapsed() >= self.auto.interval {
            self.looked = Instant::now();
            let loads: Vec<u64> = (0..self.len())
                .map(|worker| self.percent(worker, u64::MAX))
                .collect();
            let places: Vec<usize> = self.queues.iter().map(|queue| queue.worker).collect();
            if assign::is_worth_it(self.auto, self.rules, &loads, &self.items(), &places) {
                self.rebalance();
            }
        }
        for queue in &mut self.queues {
            queue.ticks.note(now, queue.counters.ticks.load(Relaxed));
        }
        for handle in &mut self.handles {
            handle
                .busy
                .note(now, handle.stats.time.busy_nanos.load(Relaxed));
        }
    }
    fn give(&mut self, queue: usize, rx: Box<dyn Rx<Mbuf>>) {
        let Queue {
            port,
            worker,
            ref counters,
            ..
        } = self.queues[queue];
        let counters = counters.clone();
        self.send(worker, Command::AddRx { port, rx, counters });
    }
    /// Asks a queue's worker to give it back, unless it was asked already.
    fn call_back(&mut self, queue: usize) {
        let Queue {
            worker,
            ref counters,
            ref mut coming,
            ..
        } = self.queues[queue];
        if coming.is_some() {
            return;
        }
        let (to, back) = channel();
        *coming = Some(back);
        let (counters, control) = (counters.clone(), self.control.clone());
        let back = Box::new(move |rx| {
            // Who does not want it any more closes it.
            let _ = to.send(rx);
            control.wake();
        });
        self.send(worker, Command::RemoveRx { counters, back });
    }
    /// The worker on a CPU.
    fn worker_on(&self, cpu: usize) -> Option<usize> {
        self.handles.iter().position(|handle| handle.cpu == cpu)
    }
    fn items(&self) -> Vec<Item> {
        let now = dpdk::cycles();
        let item = |queue: &Queue| Item {
            load: queue
                .ticks
                .recent(now, queue.counters.ticks.load(Relaxed))
                .1,
            pinned: queue.cpu.and_then(|cpu| self.worker_on(cpu)),
        };
        self.queues.iter().map(item).collect()
    }
    fn places(&self) -> Vec<usize> {
        let items = self.items();
        for queue in &self.queues {
            if let Some(cpu) = queue.cpu.filter(|cpu| self.worker_on(*cpu).is_none()) {
                tracing::warn!(
                    cpu,
                    port = queue.port.0,
                    queue = queue.index,
                    "no worker is on the CPU that the queue is pinned to: it is dealt out"
                );
            }
        }
        assign::assign(self.rules, self.len(), &items)
    }
    /// Where all queues are to go, when none has a place.
    fn place_all(&mut self) {
        let places = self.places();
        for (queue, worker) in self.queues.iter_mut().zip(places) {
            queue.worker = worker;
        }
        self.is_due = false;
    }
    /// Where a queue goes that is new, the last one; the others stay.
    fn place(&self, queue: usize) -> usize {
        let items = self.items();
        if let Some(worker) = items[queue].pinned {
            return worker;
        }
        let isolated = assign::isolated(self.rules, self.len(), &items);
        let open: Vec<usize> = (0..self.len()).filter(|w| !isolated[*w]).collect();
        let others = || self.queues[..queue].iter();
        let of = |worker: usize| {
            let len = others().filter(|other| other.worker == worker).count();
            (self.percent(worker, u64::MAX), len)
        };
        let loads: Vec<(u64, usize)> = (0..self.len()).map(of).collect();
        assign::place(&open, &loads)
    }
    /// How much of its time a worker was busy, about so many ticks long; of the last minute at most.
    fn percent(&self, worker: usize, span: u64) -> u64 {
        let handle = &self.handles[worker];
        let busy = handle.stats.time.busy_nanos.load(Relaxed);
        let (ticks, nanos) = handle.busy.within(span, dpdk::cycles(), busy);
        let span = u128::from(ticks) * 1_000_000_000 / u128::from(self.hz().max(1));
        (u128::from(nanos) * 100 / span.max(1)).min(100) as u64
    }
}

/// What is counted of one worker.
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    missing_docs,
    reason = "the names are those of `WorkerStats` and `LoopStats`"
)]
pub struct Totals {
    pub bursts: u64,
    pub packets: u64,
    pub hits: u64,
    pub misses: u64,
    pub lookups: u64,
    pub probes: u64,
    pub unkept: u64,
    pub sent: u64,
    pub batches: u64,
    pub classes: [u64; datapath::model::stats::BURST_CLASSES],
    pub polls: u64,
    pub busy_polls: u64,
    pub busy_nanos: u64,
    pub idle_nanos: u64,
    pub sleeps: u64,
    pub slept_nanos: u64,
}

impl Totals {
    fn read(stats: &WorkerStats) -> Totals {
        let [bursts, packets, hits, misses] =
            std::array::from_fn(|n| stats.worker[n].load(Relaxed));
        let time = &stats.time;
        Totals {
            bursts,
            packets,
            hits,
            misses,
            lookups: stats.lookups.load(Relaxed),
            probes: stats.probes.load(Relaxed),
            unkept: stats.unkept.load(Relaxed),
            sent: stats.sent(),
            batches: stats.batches.load(Relaxed),
            classes: std::array::from_fn(|n| stats.bursts[n].load(Relaxed)),
            polls: time.polls.load(Relaxed),
            busy_polls: time.busy_polls.load(Relaxed),
            busy_nanos: time.busy_nanos.load(Relaxed),
            idle_nanos: time.idle_nanos.load(Relaxed),
            sleeps: time.sleeps.load(Relaxed),
            slept_nanos: time.slept_nanos.load(Relaxed),
        }
    }
    fn since(&self, then: &Totals) -> Totals {
        Totals {
            bursts: self.bursts - then.bursts,
            packets: self.packets - then.packets,
            hits: self.hits - then.hits,
            misses: self.misses - then.misses,
            lookups: self.lookups - then.lookups,
            probes: self.probes - then.probes,
            unkept: self.unkept - then.unkept,
            sent: self.sent - then.sent,
            batches: self.batches - then.batches,
            classes: std::array::from_fn(|n| self.classes[n] - then.classes[n]),
            polls: self.polls - then.polls,
            busy_polls: self.busy_polls - then.busy_polls,
            busy_nanos: self.busy_nanos - then.busy_nanos,
            idle_nanos: self.idle_nanos - then.idle_nanos,
            sleeps: self.sleeps - then.sleeps,
            slept_nanos: self.slept_nanos - then.slept_nanos,
        }
    }
}

/// A worker, to be shown.
pub struct WorkerView {
    /// Its number.
    pub index: usize,
    /// Where it runs.
    pub cpu: usize,
    /// Only pinned queues are its.
    pub isolated: bool,
    /// Since the counters were cleared.
    pub totals: Totals,
    /// How long ago that was.
    pub age: Duration,
    /// Busy in that time, in percent.
    pub percent: u64,
    /// Its queues.
    pub queues: Vec<QueueView>,
}

/// A receive queue, to be shown.
pub struct QueueView {
    /// Its port.
    pub port: PortId,
    /// Its number there.
    pub index: usize,
    /// Whether its worker was told by the configuration.
    pub pinned: bool,
    /// Of its worker's time, in percent.
    pub percent: u64,
    /// Received so far.
    pub packets: u64,
}

/// What is shown.
impl Workers {
    /// Ticks of the processor's counter in a second.
    pub fn hz(&self) -> u64 {
        let (then, ticks) = self.started;
        let ticks = dpdk::cycles().wrapping_sub(ticks);
        (u128::from(ticks) * 1_000_000_000 / then.elapsed().as_nanos().max(1)) as u64
    }
    /// All workers, or the one on a CPU, with the loads of about so many seconds, a minute at most.
    pub fn views(&self, cpu: Option<usize>, secs: u64) -> Vec<WorkerView> {
        let span = secs.saturating_mul(self.hz());
        let isolated = assign::isolated(self.rules, self.len(), &self.items());
        let handles = self.handles.iter().enumerate();
        let handles = handles.filter(|(_, handle)| cpu.is_none_or(|cpu| cpu == handle.cpu));
        handles
            .map(|(index, handle)| WorkerView {
                index,
                cpu: handle.cpu,
                isolated: isolated[index],
                totals: Totals::read(&handle.stats).since(&handle.baseline),
                age: handle.cleared.elapsed(),
                percent: self.percent(index, span),
                queues: self.queue_views(index, span),
            })
            .collect()
    }
    fn queue_views(&self, worker: usize, span: u64) -> Vec<QueueView> {
        let now = dpdk::cycles();
        let queues = self.queues.iter().filter(|queue| queue.worker == worker);
        queues
            .map(|queue| QueueView {
                port: queue.port,
                index: queue.index,
                pinned: queue.cpu.is_some_and(|cpu| self.worker_on(cpu).is_some()),
                percent: queue
                    .ticks
                    .percent(span, now, queue.counters.ticks.load(Relaxed)),
                packets: queue.counters.packets.load(Relaxed),
            })
            .collect()
    }
    /// Counters begin at 0 again, as far as they are shown here.
    pub fn clear(&mut self, cpu: Option<usize>) {
        let handles = self.handles.iter_mut();
        for handle in handles.filter(|handle| cpu.is_none_or(|cpu| cpu == handle.cpu)) {
            handle.baseline = Totals::read(&handle.stats);
            handle.cleared = Instant::now();
        }
    }
}

/// Numbers that nobody outside can guess: the standard library's hash keys come from the operating system.
pub fn secret() -> Secret {
    let word = || u128::from(RandomState::new().build_hasher().finish());
    Secret::new(word() << 64 | word())
}
