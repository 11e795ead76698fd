//! The worker threads: each runs the whole pipeline for its share of the receive queues, to completion.
//! This file owns their life, their sleep and the rings to and from them; it never looks at a frame.

use crate::clock::Clock;
use datapath::edge::{Port, Rx, Tx};
use datapath::forward::worker::{Team, Worker};
use datapath::fragment::Secret;
use datapath::model::PortId;
use datapath::model::event::{COMMANDS, Command, EVENTS, Event, PacketOut};
use datapath::model::publish::Publisher;
use datapath::model::stats::Stats;
use dpdk::poll::{Poll, Waker};
use dpdk::{Mbuf, MbufPool, Mempools, WorkerThread};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest sleep of an idle worker by default: an idle switch with a polled port then uses some 3 %
/// of a core (5 % with half of it), and a frame that ends the idleness waits a millisecond at most.
pub const SLEEP_MAX_MICROS: u64 = 1000;
/// Polls without a frame before a worker begins to sleep: some 20 microseconds.
const SPINS: u32 = 200;
/// A worker that sleeps on descriptors still looks around this often (timeouts of waiting packets).
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// And this often while packets wait for a tunnel's neighbour.
const LOOK_AROUND_WAITING: Duration = Duration::from_millis(1);

struct Handle {
    commands: rtrb::Producer<Command<Mbuf>>,
    events: rtrb::Consumer<Event>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
    /// Ports of the receive queues given to it, one entry per queue.
    queues: Vec<PortId>,
}

/// All workers.
pub struct Workers {
    handles: Vec<Handle>,
    sleep_max_micros: Arc<AtomicU64>,
    control: Waker,
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
        let sleep_max_micros = Arc::new(AtomicU64::new(SLEEP_MAX_MICROS));
        let team = Team::of(cpus.len(), secret());
        let polls: Vec<Poll> = (0..cpus.len())
            .map(|_| Poll::new().map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
        let wakers: Arc<[Waker]> = polls.iter().map(Poll::waker).collect();
        let handles = cpus.iter().zip(team).zip(polls);
        let handles = handles.map(|((&cpu, team), poll)| {
            let seat = Seat {
                cpu,
                team,
                poll,
                wakers: wakers.clone(),
            };
            start(seat, &sleep_max_micros, context)
        });
        Ok(Workers {
            handles: handles.collect::<Result<_, _>>()?,
            sleep_max_micros,
            control: context.control.clone(),
        })
    }
    /// Number of workers.
    pub fn len(&self) -> usize {
        self.handles.len()
    }
    /// Longest sleep of an idle worker; 0: never sleep.
    pub fn set_sleep_max(&self, micros: u64) {
        self.sleep_max_micros.store(micros, Relaxed);
        self.handles.iter().for_each(|handle| handle.waker.wake());
    }
    /// Entries of each worker's cache of programs, see [`Command::CacheEntries`].
    pub fn set_cache_entries(&mut self, entries: usize) {
        for worker in 0..self.len() {
            self.send(worker, Command::CacheEntries(entries));
        }
    }
    fn send(&mut self, worker: usize, mut command: Command<Mbuf>) {
        let handle = &mut self.handles[worker];
        // A mailbox is as long as a burst of configuration; the worker drains it every few microseconds.
        while let Err(rtrb::PushError::Full(back)) = handle.commands.push(command) {
            command = back;
            handle.waker.wake();
            std::thread::sleep(Duration::from_micros(50));
            if handle.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return;
            }
        }
        handle.waker.wake();
    }
    /// Gives the port's queues to the workers: every one sends, and its receive queues go to those
    /// that have the fewest.
    pub fn add_port(&mut self, port: PortId, device: &mut dyn Port<Mbuf>) -> Result<(), String> {
        let tx: Vec<Box<dyn Tx<Mbuf>>> = (0..self.len())
            .map(|worker| device.open_tx(worker))
            .collect::<Result<_, _>>()?;
        let rx: Vec<Box<dyn Rx<Mbuf>>> = (0..device.rx_len())
            .map(|queue| device.open_rx(queue))
            .collect::<Result<_, _>>()?;
        for (worker, tx) in tx.into_iter().enumerate() {
            self.send(worker, Command::AddTx { port, tx });
        }
        for rx in rx {
            let worker = (0..self.len())
                .min_by_key(|w| self.handles[*w].queues.len())
                .unwrap_or(0);
            self.handles[worker].queues.push(port);
            self.send(
                worker,
                Command::AddRx {
                    port,
                    rx,
                    counters: Default::default(),
                },
            );
        }
        Ok(())
    }
    /// Takes the port's queues away from the workers.
    pub fn remove_port(&mut self, port: PortId) -> Closing {
        let (done, closing) = channel();
        for worker in 0..self.len() {
            self.handles[worker].queues.retain(|of| *of != port);
            self.send(
                worker,
                Command::RemovePort {
                    port,
                    done: done.clone(),
                },
            );
        }
        Closing(closing)
    }
    /// Runs actions on a packet.
    pub fn packet_out(&mut self, packet_out: Box<PacketOut>) {
        // All on one worker: packets of one controller keep their order.
        self.send(0, Command::PacketOut(packet_out));
    }
    /// What the workers have to say; at most `limit` events of each.
    pub fn events(&mut self, limit: usize, events: &mut Vec<Event>) {
        for handle in &mut self.handles {
            events.extend(std::iter::from_fn(|| handle.events.pop().ok()).take(limit));
            if !handle.events.is_empty() {
                self.control.wake();
            }
        }
    }
    /// Whether a worker ended by itself: by a panic.
    pub fn have_died(&self) -> bool {
        let is_over = |handle: &Handle| handle.thread.as_ref().is_some_and(JoinHandle::is_finished);
        self.handles.iter().any(is_over)
    }
    /// Ends all workers and waits for them.
    pub fn stop(&mut self) {
        for worker in 0..self.len() {
            self.send(worker, Command::Stop);
        }
        for handle in &mut self.handles {
            if let Some(thread) = handle.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a worker ended by a panic");
            }
        }
    }
}

/// Numbers that nobody outside can guess: the standard library's hash keys come from the operating system.
fn secret() -> Secret {
    let word = || u128::from(RandomState::new().build_hasher().finish());
    Secret::new(word() << 64 | word())
}

/// What is one worker's among all of them.
struct Seat {
    cpu: usize,
    team: Team<Mbuf>,
    poll: Poll,
    /// All workers'.
    wakers: Arc<[Waker]>,
}

fn start(seat: Seat, sleep_max: &Arc<AtomicU64>, context: &Context<'_>) -> Result<Handle, String> {
    let Seat {
        cpu,
        team,
        poll,
        wakers,
    } = seat;
    let index = team.mailbox.index();
    let (commands, mailbox) = rtrb::RingBuffer::new(COMMANDS);
    let (ring, events) = rtrb::RingBuffer::new(EVENTS);
    let waker = poll.waker();
    let reader = context.publisher.reader();
    let stats = context.stats.register_worker();
    let pool = MbufPool::new(context.pools.clone());
    let (clock, control, sleep_max) = (context.clock, context.control.clone(), sleep_max.clone());
    let run = move || {
        pin(cpu);
        let registered = WorkerThread::register();
        if let Err(error) = &registered {
            tracing::warn!(%error, worker = index, "DPDK does not know this thread: it has no buffer cache");
        }
        let worker = Worker::new(reader, stats, pool, ring, mailbox, team);
        Loop {
            worker,
            poll,
            clock,
            control,
            wakers,
            sleep_max,
            watched: (0, 0),
        }
        .run();
    };
    let thread = std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(run);
    let thread = thread.map_err(|error| format!("cannot start a worker: {error}"))?;
    Ok(Handle {
        commands,
        events,
        waker,
        thread: Some(thread),
        queues: Vec::new(),
    })
}

/// Keeps the calling thread on one CPU.
#[expect(
    unsafe_code,
    reason = "there is no safe wrapper in the standard library"
)]
fn pin(cpu: usize) {
    // SAFETY: the set is a plain bit array that lives during the call; CPU_SET checks the bound.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set)
    };
    if result != 0 {
        tracing::warn!(cpu, "cannot pin a worker to this CPU");
    }
}

struct Loop {
    worker: Worker<MbufPool>,
    poll: Poll,
    clock: Clock,
    control: Waker,
    /// All workers'.
    wakers: Arc<[Waker]>,
    sleep_max: Arc<AtomicU64>,
    /// How many descriptors are in `poll`, and the worker's version of them.
    watched: (usize, u64),
}

impl Loop {
    fn run(mut self) {
        let mut idle = 0u32;
        let mut ready = Vec::new();
        while !self.worker.is_stopped() {
            let frames = self.worker.poll(self.clock.now());
            if self.worker.take_notified() {
                self.control.wake();
            }
            let mailed = self.worker.take_mailed();
            if mailed != 0 {
                let theirs = self.wakers.iter().enumerate();
                let theirs = theirs.filter(|(index, _)| mailed >> index & 1 != 0);
                theirs.for_each(|(_, waker)| waker.wake());
            }
            if frames > 0 {
                idle = 0;
                continue;
            }
            idle = idle.saturating_add(1);
            let sleep_max = self.sleep_max.load(Relaxed);
            if idle <= SPINS || sleep_max == 0 {
                std::hint::spin_loop();
                continue;
            }
            self.watch();
            self.worker.idle();
            let timeout = match self.worker.all_have_fds() {
                true if self.worker.has_waiting() => LOOK_AROUND_WAITING,
                true => LOOK_AROUND,
                // Backs off in steps of a microsecond up to the bound.
                false => Duration::from_micros(u64::from(idle - SPINS).min(sleep_max)),
            };
            ready.clear();
            self.poll.wait(Some(timeout), &mut ready);
            if !ready.is_empty() {
                idle = 0;
            }
        }
    }
    /// Watches the descriptors of the queues that the worker has now.
    fn watch(&mut self) {
        let (len, version) = self.watched;
        if self.worker.fds_version() == version {
            return;
        }
        (0..len).for_each(|token| self.poll.remove(token));
        self.watched = (0, self.worker.fds_version());
        for (token, fd) in self.worker.fds().enumerate() {
            self.watched.0 += 1;
            if let Err(error) = self.poll.add(fd, token) {
                tracing::warn!(%error, fd, "cannot watch a port");
            }
        }
    }
}
