//! What the integration tests share: one EAL per process, namespaces that vanish by themselves, and a
//! forwarder that joins two ports. Everything needs root.
#![allow(unsafe_code)]
#![allow(dead_code, reason = "each test binary uses its part of this")]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use datapath::edge::{BURST, Frame, Pool, Port, Rx, Tx};
use dpdk::eal::{self, EalOptions};
use dpdk::poll::Poll;
use dpdk::types::{self, OpenRequest};
use dpdk::{Mbuf, MbufPool, Mempools, PoolSizes};

/// Whether the tests are to run on huge pages.
pub fn has_huge_pages() -> bool {
    std::env::var_os("DPDK_TEST_HUGE_PAGES").is_some()
}

/// Starts the EAL once, without huge pages unless the environment asks for them, and makes small pools for one test.
pub fn pools() -> Arc<Mempools> {
    static EAL: OnceLock<String> = OnceLock::new();
    EAL.get_or_init(|| {
        let options = EalOptions {
            huge_pages: has_huge_pages(),
            memory_mb: 1024,
            ..EalOptions::default()
        };
        let before = std::thread::available_parallelism().unwrap();
        let started = eal::init(&options).expect("the EAL starts");
        assert_eq!(
            before,
            std::thread::available_parallelism().unwrap(),
            "the EAL pinned its caller"
        );
        started
    });
    Mempools::new(PoolSizes {
        ordinary: 4096,
        large: 128,
    })
    .expect("there is memory for the pools")
}

/// Opens a port of a type, with options.
pub fn try_open(
    kind: &str,
    name: &str,
    options: &[(&str, &str)],
    pools: &Arc<Mempools>,
) -> dpdk::Result<Box<dyn Port<Mbuf>>> {
    let options: BTreeMap<String, String> = options
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    let request = OpenRequest {
        name,
        options: &options,
        workers: 1,
        mtu: None,
        mac: None,
        pools,
    };
    (types::find(kind).expect("a port type").open)(&request)
}

/// As [`try_open`], when it has to work.
pub fn open(
    kind: &str,
    name: &str,
    options: &[(&str, &str)],
    pools: &Arc<Mempools>,
) -> Box<dyn Port<Mbuf>> {
    try_open(kind, name, options, pools).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A DPDK device by its devargs.
pub fn open_dpdk(devargs: &str, pools: &Arc<Mempools>) -> Box<dyn Port<Mbuf>> {
    open("dpdk", "port", &[("dpdk-devargs", devargs)], pools)
}

/// A frame of these bytes.
pub fn frame(pool: &mut MbufPool, bytes: &[u8]) -> Mbuf {
    let mut frame = pool.alloc(bytes.len()).expect("an mbuf");
    pool.write(&mut frame, 0, bytes);
    frame
}

/// The frame's bytes.
pub fn bytes(frame: &Mbuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.for_each_segment(&mut |part| bytes.extend_from_slice(part));
    bytes
}

/// Receives until `len` frames are there, or two seconds are over.
pub fn receive(rx: &mut dyn Rx<Mbuf>, len: usize) -> Vec<Mbuf> {
    receive_matching(rx, len, |_| true)
}

/// As [`receive`], of the frames that `wanted` says; the others are freed.
pub fn receive_matching(
    rx: &mut dyn Rx<Mbuf>,
    len: usize,
    wanted: impl Fn(&[u8]) -> bool,
) -> Vec<Mbuf> {
    let end = Instant::now() + Duration::from_secs(2);
    let (mut found, mut burst, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    while found.len() < len && Instant::now() < end {
        rx.rx(&mut burst, BURST);
        for frame in burst.drain(..) {
            if wanted(frame.head()) {
                found.push(frame)
            } else {
                rest.push(frame)
            }
        }
        std::thread::yield_now();
    }
    free(rest);
    found
}

/// Frees frames of any pool.
pub fn free(mut frames: Vec<Mbuf>) {
    MbufPool::new(pools_for_free()).free(&mut frames);
}

fn pools_for_free() -> Arc<Mempools> {
    static POOLS: OnceLock<Arc<Mempools>> = OnceLock::new();
    POOLS.get_or_init(pools).clone()
}

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace of its own: a thread that lives in it, and runs what it is given.
pub struct Namespace {
    jobs: Sender<Job>,
    tid: i32,
}

impl Namespace {
    pub fn new() -> Namespace {
        let (jobs, todo) = channel::<Job>();
        let (told, tid) = channel();
        std::thread::spawn(move || {
            // SAFETY: plain system calls that concern this thread only.
            let (code, tid) = unsafe { (libc::unshare(libc::CLONE_NEWNET), libc::gettid()) };
            assert_eq!(code, 0, "a network namespace needs root");
            told.send(tid).unwrap();
            todo.into_iter().for_each(|job| job());
        });
        let namespace = Namespace {
            jobs,
            tid: tid.recv().unwrap(),
        };
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `f` in the namespace and returns its result.
    pub fn run<R: Send + 'static>(&self, f: impl FnOnce() -> R + Send + 'static) -> R {
        let (result, waiting) = channel();
        let job = move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
            let _ = result.send(outcome);
        };
        self.jobs.send(Box::new(job)).unwrap();
        waiting
            .recv()
            .unwrap()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs a command in it, which must succeed, and returns what it prints.
    pub fn sh(&self, command: &str) -> String {
        let (ok, output) = self.try_sh(command);
        assert!(ok, "{command}: {output}");
        output
    }

    /// Runs a command in it.
    pub fn try_sh(&self, command: &str) -> (bool, String) {
        let command = command.to_string();
        self.run(move || {
            let output = Command::new("sh")
                .args(["-c", &command])
                .output()
                .expect("sh runs");
            let text = [output.stdout, output.stderr].concat();
            (
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            )
        })
    }

    pub fn ip(&self, arguments: &str) {
        self.sh(&format!("ip {arguments}"));
    }

    /// A veth pair: `near` here, `far` in the other namespace with an address; both up.
    pub fn veth(&self, near: &str, other: &Namespace, far: &str, address: &str) {
        self.ip(&format!("link add {near} type veth peer name {far}"));
        self.ip(&format!("link set {far} netns {}", other.tid));
        self.ip(&format!("link set {near} up"));
        other.ip(&format!("address add {address} dev {far}"));
        other.ip(&format!("link set {far} up"));
    }
}

/// Two ports joined by a worker, until it is dropped.
pub struct Wire {
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
    /// The largest frame that was carried.
    pub largest: Arc<AtomicUsize>,
}

impl Wire {
    pub fn join(ports: Vec<Box<dyn Port<Mbuf>>>) -> Wire {
        Wire::join_with(ports, |_, _| ())
    }

    /// As `join`; `edit` is shown each frame and the index of the port that it came from.
    pub fn join_with(mut ports: Vec<Box<dyn Port<Mbuf>>>, edit: fn(&mut Mbuf, usize)) -> Wire {
        let stop = Arc::new(AtomicBool::new(false));
        let largest = Arc::new(AtomicUsize::new(0));
        let (stopped, size) = (stop.clone(), largest.clone());
        let mut rxs: Vec<_> = ports
            .iter_mut()
            .map(|port| port.open_rx(0).unwrap())
            .collect();
        let mut txs: Vec<_> = ports
            .iter_mut()
            .map(|port| port.open_tx(0).unwrap())
            .collect();
        let worker = std::thread::spawn(move || {
            let _registered = dpdk::WorkerThread::register().expect("an lcore is free");
            let _ports = ports;
            run_wire(&mut rxs, &mut txs, edit, &stopped, &size);
        });
        Wire {
            stop,
            worker: Some(worker),
            largest,
        }
    }
}

fn run_wire(
    rxs: &mut [Box<dyn Rx<Mbuf>>],
    txs: &mut [Box<dyn Tx<Mbuf>>],
    edit: fn(&mut Mbuf, usize),
    stop: &AtomicBool,
    largest: &AtomicUsize,
) {
    let mut poll = Poll::new().unwrap();
    for (token, rx) in rxs.iter().enumerate() {
        poll.add(rx.fd().expect("a descriptor"), token).unwrap();
    }
    let (mut ready, mut burst) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        ready.clear();
        poll.wait(Some(Duration::from_millis(20)), &mut ready);
        for &token in &ready {
            rxs[token].rx(&mut burst, BURST);
            let size = burst.iter().map(Frame::size).max().unwrap_or(0);
            largest.fetch_max(size, Ordering::Relaxed);
            burst.iter_mut().for_each(|frame| edit(frame, token));
            txs[1 - token].tx(&mut burst);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}
