//! What forwarding costs without devices: `cargo bench -p datapath --bench forward [ROW...] [POLLS]`;
//! `list` lists the rows.
//! Each row is a switch with rules, and frames that one worker forwards; the best of several rounds counts, as others may
//! run on the machine. The rows are those of `bench/rows.py`.

mod rig;
mod rows;
mod tunnels;

use datapath::edge::BURST;
use rig::Rig;
use rows::ROWS;
use std::time::Instant;

/// Nanoseconds that this thread has run: others on the machine do not count.
fn ran() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or(0)
}

/// Cycles of the time stamp counter in a nanosecond, about.
fn cycles_per_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("cpu MHz"));
    let mhz = line.and_then(|line| line.split(':').nth(1)?.trim().parse().ok());
    mhz.unwrap_or(1000.0) / 1000.0
}

/// Cycles for each frame that is counted: so many arrive for it, and leave.
fn measure(rig: &mut Rig, polls: usize, [arriving, leaving]: [u64; 2]) -> f64 {
    rig.warm(polls);
    let best = (0..7).map(|_| {
        let (before, started) = (ran(), Instant::now());
        let sent = rig.forward(polls);
        let ns = (ran() - before).min(started.elapsed().as_nanos() as u64);
        let counted = BURST as u64 * polls as u64 / arriving;
        assert_eq!(sent, counted * leaving, "all are forwarded");
        ns as f64 / counted as f64 * cycles_per_ns()
    });
    best.fold(f64::MAX, f64::min)
}

/// Forwards twice, for those who count the instructions of the second time (`bench/instructions`); says how many frames came.
fn once(rig: &mut Rig, polls: usize) {
    rig.warm(polls);
    rig.forward(polls);
    println!("{}", BURST * polls);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = words.iter().find_map(|word| word.parse().ok());
    let polls: usize = number.unwrap_or(20_000);
    let is_named = |name: &str| words.iter().any(|word| word == name);
    let names = ROWS.iter().map(|row| row.name);
    let mut names = names.chain(tunnels::ROWS.iter().map(|row| row.name));
    if is_named("list") {
        return names.for_each(|name| println!("{name}"));
    }
    let all = !names.any(is_named);
    let counts = is_named("once");
    if !counts {
        println!("row              cycles a packet");
    }
    for row in ROWS.iter().filter(|row| all || is_named(row.name)) {
        let mut rig = Rig::new((row.frames)());
        rig.configure((row.rules)());
        if counts {
            once(&mut rig, polls);
            continue;
        }
        let best = measure(&mut rig, polls, [1, 1]);
        println!("{:16} {best:6.1}", row.name);
    }
    for row in tunnels::ROWS.iter().filter(|row| all || is_named(row.name)) {
        if counts {
            once(&mut row.rig(), polls);
            continue;
        }
        let best = measure(&mut row.rig(), polls, row.counted);
        println!("{:16} {best:6.1}", row.name);
    }
}
