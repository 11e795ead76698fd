//! A worker's thread: the loop around `forward::worker::Worker`, its sleep, and what is counted of its time.

use super::Context;
use super::linger::Linger;
use crate::clock::Clock;
use crate::home;
use datapath::edge::BURST;
use datapath::forward::worker::{Team, Worker};
use datapath::model::event::{COMMANDS, Command, EVENTS, Event};
use datapath::model::stats::{LoopStats, WorkerStats};
use datapath::time::Time;
use dpdk::poll::{Poll, Waker};
use dpdk::{Mbuf, MbufPool, WorkerThread};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// Polls without a frame before a worker begins to sleep: some 20 microseconds.
const SPINS: u32 = 200;
/// While full bursts arrive, the clock is read once for so many frames: what is measured in it (ages, limits, rates)
/// takes milliseconds, and these take a tenth of one at most. Measured: 1 of 49 cycles per packet.
const FRAMES_PER_LOOK: usize = 4 * BURST;
/// A worker that sleeps on descriptors still looks around this often (timeouts of waiting packets).
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// And this often while packets wait for a tunnel's neighbour.
const LOOK_AROUND_WAITING: Duration = Duration::from_millis(1);

/// What is one worker's among all of them.
pub struct Seat {
    pub cpu: usize,
    pub team: Team<Mbuf>,
    pub poll: Poll,
    /// All workers'.
    pub wakers: Arc<[Waker]>,
    /// Nobody else counts here.
    pub stats: Arc<WorkerStats>,
}

/// The ends of a running worker's rings, and its thread.
pub struct Running {
    pub commands: rtrb::Producer<Command<Mbuf>>,
    pub events: rtrb::Consumer<Event>,
    pub waker: Waker,
    pub thread: JoinHandle<()>,
    /// The kernel's.
    pub number: Option<i32>,
}

/// Starts a worker.
pub fn start(
    seat: Seat,
    sleep_max: &Arc<AtomicU64>,
    context: &Context<'_>,
) -> Result<Running, String> {
    let Seat {
        cpu,
        team,
        poll,
        wakers,
        stats,
    } = seat;
    let index = team.mailbox.index();
    let (commands, mailbox) = rtrb::RingBuffer::new(COMMANDS);
    let (ring, events) = rtrb::RingBuffer::new(EVENTS);
    let waker = poll.waker();
    let reader = context.publisher.reader();
    let pool = MbufPool::new(context.pools.clone());
    let (clock, control, sleep_max) = (context.clock, context.control.clone(), sleep_max.clone());
    let (tell, number) = channel();
    let run = move || {
        pin(cpu);
        let _ = tell.send(home::this_thread());
        go_first();
        let registered = WorkerThread::register();
        if let Err(error) = &registered {
            tracing::warn!(%error, worker = index, "DPDK does not know this thread: it has no buffer cache");
        }
        let worker = Worker::new(reader, stats.clone(), pool, ring, mailbox, team);
        Loop {
            worker: worker.with_ticks(dpdk::cycles),
            stats,
            poll,
            clock,
            control,
            wakers,
            sleep_max,
            linger: Linger::default(),
            watched: (0, 0),
        }
        .run();
    };
    let thread = std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(run);
    let thread = thread.map_err(|error| format!("cannot start a worker: {error}"))?;
    Ok(Running {
        commands,
        events,
        waker,
        thread,
        // It is on its CPU then.
        number: number.recv().ok().flatten(),
    })
}

/// Keeps the calling thread on one CPU.
fn pin(cpu: usize) {
    if let Err(error) = dpdk::affinity::set(0, &[cpu]) {
        tracing::warn!(cpu, %error, "cannot pin a worker to this CPU");
    }
}

/// `struct sched_attr` of Linux.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Before other programs on the worker's CPU, as frames wait for it: the niceness that Open vSwitch is started with, and (since
/// Linux 6.12) short slices, so that a worker that wakes up need not wait for the end of another one's. Without the right to
/// it, things stay as they are.
#[expect(
    unsafe_code,
    reason = "there is no safe wrapper in the standard library"
)]
fn go_first() {
    const NICE: i32 = -10;
    const SLICE_NANOS: u64 = 100_000;
    let attributes = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice: NICE,
        priority: 0,
        runtime: SLICE_NANOS,
        deadline: 0,
        period: 0,
    };
    // SAFETY: the structure says its size, and lives during the call, which only reads it.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result != 0 {
        tracing::debug!("cannot put a worker before other programs");
    }
}

struct Loop {
    worker: Worker<MbufPool>,
    stats: Arc<WorkerStats>,
    poll: Poll,
    clock: Clock,
    control: Waker,
    /// All workers'.
    wakers: Arc<[Waker]>,
    sleep_max: Arc<AtomicU64>,
    linger: Linger,
    /// How many descriptors are in `poll`, and the worker's version of them.
    watched: (usize, u64),
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// Counts polls that took so long together; so many of them had frames.
fn count(time: &LoopStats, [polls, busy]: [u64; 2], span: Time) {
    add(&time.polls, polls);
    if busy > 0 {
        add(&time.busy_polls, busy);
        add(&time.busy_nanos, span.0);
    } else {
        add(&time.idle_nanos, span.0);
    }
}

impl Loop {
    fn run(mut self) {
        let mut idle = 0u32;
        let mut now = self.clock.now();
        // Since the clock was read.
        let (mut polls, mut handled) = (0, 0);
        while !self.worker.is_stopped() {
            let frames = self.worker.poll(now);
            if self.worker.take_notified() {
                self.control.wake();
            }
            let mailed = self.worker.take_mailed();
            if mailed != 0 {
                let theirs = self.wakers.iter().enumerate();
                let theirs = theirs.filter(|(index, _)| mailed >> index & 1 != 0);
                theirs.for_each(|(_, waker)| waker.wake());
            }
            polls += 1;
            handled += frames;
            if frames >= BURST && handled < FRAMES_PER_LOOK {
                idle = 0;
                continue;
            }
            let before = std::mem::replace(&mut now, self.clock.now());
            // An empty poll ends a row of full ones: its time is nothing beside theirs.
            let busy = polls - u64::from(frames == 0);
            count(&self.stats.time, [polls, busy], now.since(before));
            self.linger.earn(handled);
            (polls, handled) = (0, 0);
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
            if self.lingers(now.since(before)) {
                // The pauses begin short. Queues with a descriptor need no system call for each of these polls.
                idle = SPINS;
                self.worker.none_is_ready();
                continue;
            }
            if self.sleep(Duration::from_micros(
                u64::from(idle - SPINS).min(sleep_max),
            )) {
                idle = 0;
            }
            let before = std::mem::replace(&mut now, self.clock.now());
            add(&self.stats.time.sleeps, 1);
            add(&self.stats.time.slept_nanos, now.since(before).0);
        }
    }
    /// Whether it goes on polling after so long a poll for nothing. Frames that come by descriptors wake it soon enough, and who sends
    /// them may need the CPU.
    fn lingers(&mut self, span: Time) -> bool {
        self.linger.spend(span) && !self.worker.all_have_fds()
    }
    /// Sleeps until something may be there: `pause` if there are queues that must be polled. Returns whether a descriptor
    /// is ready.
    fn sleep(&mut self, pause: Duration) -> bool {
        self.watch();
        self.worker.idle();
        let timeout = match self.worker.all_have_fds() {
            true if self.worker.has_waiting() => LOOK_AROUND_WAITING,
            true => LOOK_AROUND,
            false => pause,
        };
        let mut ready = Vec::new();
        self.poll.wait(Some(timeout), &mut ready);
        if ready.is_empty() {
            self.worker.none_is_ready();
        }
        !ready.is_empty()
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
