//! Whether workers get in each other's way: `cargo bench -p datapath --bench scale [POLLS]`. One switch, 256 rules, and a worker per
//! CPU (two at least) with a port and 8,000 flows of its own; what a frame costs the first of them alone, and while the
//! others forward. Nothing of the bench itself is shared, so what is lost is lost to lines of memory that workers share.

use datapath::edge::{BURST, Frame, HEADROOM, Offload, Pool, Rx, Tx};
use datapath::forward::worker::{Team, Worker};
use datapath::fragment::Secret;
use datapath::model::event::{COMMANDS, Command, EVENTS};
use datapath::sim::{Options, Sim};
use datapath::time::Time;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};

const BUFFER: usize = 512;
const FLOWS: u32 = 8000;
const ROUNDS: usize = 7;

struct Plain(Box<Bytes>);

struct Bytes {
    start: usize,
    end: usize,
    offload: Offload,
    bytes: [u8; BUFFER],
}

impl Plain {
    fn new() -> Plain {
        Plain(Box::new(Bytes {
            start: HEADROOM,
            end: HEADROOM,
            offload: Offload::default(),
            bytes: [0; BUFFER],
        }))
    }
    fn fill(&mut self, bytes: &[u8]) {
        let to = &mut *self.0;
        (to.start, to.end, to.offload) = (HEADROOM, HEADROOM + bytes.len(), Offload::default());
        to.bytes[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
    }
}

impl Frame for Plain {
    fn size(&self) -> usize {
        self.0.end - self.0.start
    }
    fn head(&self) -> &[u8] {
        &self.0.bytes[self.0.start..self.0.end]
    }
    fn head_mut(&mut self) -> &mut [u8] {
        let (start, end) = (self.0.start, self.0.end);
        &mut self.0.bytes[start..end]
    }
    fn push(&mut self, size: usize) -> Option<&mut [u8]> {
        self.0.start = self.0.start.checked_sub(size)?;
        let start = self.0.start;
        Some(&mut self.0.bytes[start..start + size])
    }
    fn pull(&mut self, size: usize) -> bool {
        let fits = size <= self.size();
        self.0.start += if fits { size } else { 0 };
        fits
    }
    fn trim(&mut self, size: usize) {
        self.0.end = self.0.end.min(self.0.start + size);
    }
    fn for_each_segment(&self, f: &mut dyn FnMut(&[u8])) {
        f(self.head());
    }
    fn offload(&self) -> Offload {
        self.0.offload
    }
    fn set_offload(&mut self, offload: Offload) {
        self.0.offload = offload;
    }
}

/// Buffers of one worker. The lock is there as queues have to be `Send`; nobody else takes it.
#[derive(Clone)]
struct Free(Arc<Mutex<Vec<Plain>>>);

impl Free {
    fn put(&self, frames: &mut Vec<Plain>) {
        self.0.lock().expect("nobody panics").append(frames);
    }
}

impl Pool for Free {
    type Frame = Plain;
    fn alloc(&mut self, size: usize) -> Option<Plain> {
        let mut frame = self.0.lock().ok()?.pop()?;
        (frame.0.start, frame.0.end) = (HEADROOM, HEADROOM + size);
        Some(frame)
    }
    fn copy(&mut self, frame: &Plain) -> Option<Plain> {
        let mut copy = self.alloc(0)?;
        copy.fill(frame.head());
        Some(copy)
    }
    fn free(&mut self, frames: &mut Vec<Plain>) {
        self.put(frames);
    }
    fn write(&mut self, frame: &mut Plain, offset: usize, bytes: &[u8]) {
        frame.head_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

struct Replay {
    free: Free,
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Rx<Plain> for Replay {
    fn rx(&mut self, out: &mut Vec<Plain>, max: usize) {
        let mut free = self.free.0.lock().expect("nobody panics");
        let first = free.len().saturating_sub(max);
        for mut frame in free.drain(first..) {
            frame.fill(&self.frames[self.next]);
            self.next = (self.next + 1) % self.frames.len();
            out.push(frame);
        }
    }
}

struct Sink(Free);

impl Tx<Plain> for Sink {
    fn tx(&mut self, frames: &mut Vec<Plain>) {
        self.0.put(frames);
    }
}

/// UDP flows over 256 networks.
fn flow(n: u32) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    frame[12..26].copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame[26..34].copy_from_slice(&[172, 16, 0, 1, 10, 0, n as u8, 5]);
    let _ = packet::ipv4::fill_checksum(&mut frame[14..]);
    frame[34..36].copy_from_slice(&(1024 + n as u16).to_be_bytes());
    frame[36..40].copy_from_slice(&[0, 53, 0, 26]);
    frame
}

fn ticks() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or(0)
}

fn main() {
    let polls = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(20_000);
    let len = std::thread::available_parallelism().map_or(2, |cpus| cpus.get().max(2));
    let mut sim = Sim::new(Options::default());
    let bridge = sim.add_bridge("br0");
    let ports = sim.add_devices(bridge, len as u32);
    for net in 0..256 {
        let text = format!("ip,nw_dst=10.0.{net}.0/24,actions=in_port");
        sim.add_flow(bridge, &text);
    }
    let start = Arc::new(Barrier::new(len));
    // How many are still to forward beside the first one.
    let needed = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for (index, team) in Team::of(len, Secret::new(1)).into_iter().enumerate() {
            let (start, needed, port) = (start.clone(), needed.clone(), ports[index]);
            let (reader, counters) = (sim.reader(), sim.stats.register_worker());
            scope.spawn(move || {
                let free = Free(Arc::new(Mutex::new((0..512).map(|_| Plain::new()).collect())));
                let (events_in, _events) = rtrb::RingBuffer::new(EVENTS);
                let (mut commands, commands_out) = rtrb::RingBuffer::new(COMMANDS);
                let mut worker = Worker::new(reader, counters, free.clone(), events_in, commands_out, team);
                let rx = Box::new(Replay { free: free.clone(), frames: (0..FLOWS).map(flow).collect(), next: 0 });
                let tx = Box::new(Sink(free));
                let _ = commands.push(Command::AddTx { port, tx });
                let _ = commands.push(Command::AddRx { port, rx, counters: Arc::default() });
                let mut now = Time::secs(1000);
                let mut forward = |polls: usize| {
                    let before = ticks();
                    for _ in 0..polls {
                        now = now + Time(2000);
                        worker.poll(now);
                    }
                    (ticks() - before) as f64 / (BURST * polls) as f64
                };
                forward(polls);
                start.wait();
                if index > 0 {
                    while needed.load(Ordering::Acquire) == 0 {
                        std::thread::yield_now();
                    }
                    while needed.load(Ordering::Acquire) == 1 {
                        forward(100);
                    }
                    return;
                }
                let mut best = || (0..ROUNDS).map(|_| forward(polls)).fold(f64::MAX, f64::min);
                let alone = best();
                needed.store(1, Ordering::Release);
                let beside = best();
                needed.store(2, Ordering::Release);
                println!(
                    "{len} workers: {alone:.1} ns a packet alone, {beside:.1} beside the others: {:.2} times one worker",
                    len as f64 * alone / beside
                );
            });
        }
    });
}
