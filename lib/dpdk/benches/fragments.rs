//! What splitting and reassembly cost by themselves, in TSC cycles per whole frame: `cargo bench -p dpdk`. Needs root;
//! huge pages if there are any. The whole path is measured by `bench/run`.

use std::fs;
use std::hint::black_box;

use datapath::edge::{BURST, Frame, Pool};
use datapath::fragment::{DontFragment, Fragment, Ids, Limits, Reassembler, Secret, Splitter, gpw};
use datapath::time::Time;
use dpdk::eal::{self, EalOptions};
use dpdk::{Mbuf, MbufPool, Mempools, PoolSizes};
use packet::{Wire, ethertype, ipproto, ipv4, ipv6};

const ROUNDS: usize = 20_000;
const SECRET: Secret = Secret::new(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);
/// A frame of 1514 bytes in VXLAN over IPv4, and over IPv6: what is behind the outer IP header.
const PAYLOAD_SIZE: usize = 1514 + 8 + 8;

fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "reads the time stamp counter")]
    // SAFETY: every x86-64 CPU has it.
    return unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    return std::time::Instant::now().elapsed().as_nanos() as u64;
}

fn packet(is_ipv6: bool, id: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    if is_ipv6 {
        frame.extend(ethertype::IPV6.to_be_bytes());
        let (src, dst) = ([0xfd; 16].into(), [0xfc; 16].into());
        let header = ipv6::Header::new(src, dst, ipproto::UDP, PAYLOAD_SIZE as u16);
        frame.resize(14 + ipv6::Header::SIZE, 0);
        header.emit(&mut frame[14..]).expect("room");
    } else {
        frame.extend(ethertype::IPV4.to_be_bytes());
        let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut header = ipv4::Header::new(src, dst, ipproto::UDP, PAYLOAD_SIZE as u16);
        header.id = id.into();
        header.fragment = 0.into();
        frame.resize(14 + ipv4::Header::SIZE, 0);
        header.emit(&mut frame[14..]).expect("room");
        ipv4::fill_checksum(&mut frame[14..]).expect("room");
    }
    frame.resize(frame.len() + PAYLOAD_SIZE, 7);
    frame
}

fn fill(pool: &mut MbufPool, bytes: &[u8], frames: &mut Vec<Mbuf>) {
    for _ in 0..BURST {
        let mut frame = pool.alloc(bytes.len()).expect("an mbuf");
        pool.write(&mut frame, 0, bytes);
        frames.push(frame);
    }
}

/// Prints the fastest tenth's cycles per frame: what the code needs when nothing disturbs it.
fn report(name: &str, mut cycles: Vec<u64>) {
    cycles.sort_unstable();
    let best = cycles[cycles.len() / 10];
    println!("{name:<24} {:>6.0}", best as f64 / BURST as f64);
}

fn split(pool: &mut MbufPool, is_ipv6: bool) -> Vec<u64> {
    let mut splitter = Splitter::new(Ids::new(SECRET, 0, 1));
    let (mut frames, mut out) = (Vec::new(), Vec::new());
    let bytes = packet(is_ipv6, 1);
    let round = |_| {
        fill(pool, &bytes, &mut frames);
        let start = tsc();
        for frame in frames.drain(..) {
            let done = splitter.split(pool, frame, 1500, DontFragment::Obey, &mut out);
            assert!(black_box(done).is_ok());
        }
        let cycles = tsc() - start;
        pool.free(&mut out);
        cycles
    };
    (0..ROUNDS).map(round).collect()
}

fn reassemble(pool: &mut MbufPool, is_ipv6: bool) -> Vec<u64> {
    let mut splitter = Splitter::new(Ids::new(SECRET, 0, 1));
    let mut table = Reassembler::new(SECRET, Limits::default());
    let (mut frames, mut parts, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let round = |number| {
        fill(pool, &packet(is_ipv6, number as u16), &mut frames);
        for frame in frames.drain(..) {
            let done = splitter.split(pool, frame, 1500, DontFragment::Obey, &mut parts);
            assert!(done.is_ok());
        }
        let start = tsc();
        for part in parts.drain(..) {
            let Ok(Some(fragment)) = Fragment::inspect(&part, 0) else {
                panic!("no fragment");
            };
            out.extend(table.insert(pool, Time::secs(1), part, &fragment));
        }
        let cycles = tsc() - start;
        assert_eq!(out.len(), BURST);
        pool.free(&mut out);
        cycles
    };
    (0..ROUNDS).map(round).collect()
}

fn pseudowire(pool: &mut MbufPool) -> [Vec<u64>; 2] {
    let mut ids = packet::gpw::Ids::default();
    let mut table = gpw::Reassembler::new(gpw::Mode::InOrder);
    let (mut frames, mut parts, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let bytes = [7; 1514];
    let mut cycles = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        fill(pool, &bytes, &mut frames);
        let start = tsc();
        for frame in frames.drain(..) {
            assert!(gpw::split(pool, frame, 1498, || ids.next_id(), &mut parts).is_ok());
        }
        let middle = tsc();
        for (part, frame) in parts.drain(..) {
            out.extend(table.insert(pool, Time::secs(1), part, frame));
        }
        cycles[0].push(middle - start);
        cycles[1].push(tsc() - middle);
        assert_eq!(out.len(), BURST);
        assert_eq!(out[0].size(), bytes.len());
        pool.free(&mut out);
    }
    cycles
}

fn main() {
    let free = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
    let free = fs::read_to_string(free).unwrap_or_default();
    let options = EalOptions {
        huge_pages: free.trim().parse::<u32>().is_ok_and(|pages| pages >= 256),
        memory_mb: 512,
        ..EalOptions::default()
    };
    eal::init(&options).expect("the EAL starts");
    let _worker = dpdk::WorkerThread::register().expect("an lcore is free");
    let pools = Mempools::new(PoolSizes::default()).expect("memory");
    let mut pool = MbufPool::new(pools);
    for (name, is_ipv6) in [("ipv4", false), ("ipv6", true)] {
        report(&format!("split {name}"), split(&mut pool, is_ipv6));
        report(
            &format!("reassemble {name}"),
            reassemble(&mut pool, is_ipv6),
        );
    }
    let [split, join] = pseudowire(&mut pool);
    report("split gpw", split);
    report("reassemble gpw", join);
}
