//! What forwarding costs without devices: `cargo bench -p datapath --bench forward [ROW...] [-- --polls N]`.
//! Each row is a switch with rules, and frames that one worker forwards; the best of several rounds counts, as others may
//! run on the machine. The rows are those of `bench/rows.py`.

mod rig;

use rig::Rig;
use std::time::Instant;

struct Row {
    name: &'static str,
    rules: fn() -> Vec<String>,
    frames: fn() -> Vec<Vec<u8>>,
}

const FLOWS: u32 = 8000;

/// UDP flows over 256 networks 10.0.X.0/24, 60 bytes each.
fn flows(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(udp).collect()
}

fn udp(n: u32) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    frame[12..26].copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame[26..34].copy_from_slice(&[172, 16, 0, 1, 10, 0, n as u8, 5]);
    let _ = packet::ipv4::fill_checksum(&mut frame[14..]);
    frame[34..36].copy_from_slice(&((1024 + n % 60_000) as u16).to_be_bytes());
    frame[36..38].copy_from_slice(&((53 + n / 60_000) as u16).to_be_bytes());
    frame[38..40].copy_from_slice(&26u16.to_be_bytes());
    frame
}

fn prefixes() -> Vec<String> {
    let rule = |net| format!("ip,nw_dst=10.0.{net}.0/24,actions=output:2");
    (0..256).map(rule).collect()
}

fn exact(count: u32) -> Vec<String> {
    let rule = |n: u32| {
        format!(
            "udp,nw_src=172.16.0.1,nw_dst=10.0.{}.5,udp_src={},udp_dst={},actions=output:2",
            n % 256,
            1024 + n % 60_000,
            53 + n / 60_000
        )
    };
    (0..count).map(rule).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}

const ROWS: &[Row] = &[
    Row {
        name: "p2p-1",
        rules: || lines("in_port=1,actions=output:2"),
        frames: || flows(1),
    },
    Row {
        name: "p2p-8k",
        rules: || lines("in_port=1,actions=output:2"),
        frames: || flows(FLOWS),
    },
    Row {
        name: "l3-1",
        rules: prefixes,
        frames: || flows(1),
    },
    Row {
        name: "l3-8k",
        rules: prefixes,
        frames: || flows(FLOWS),
    },
    Row {
        name: "l3-100k",
        rules: prefixes,
        frames: || flows(100_000),
    },
    Row {
        name: "exact-8k",
        rules: || exact(FLOWS),
        frames: || flows(FLOWS),
    },
    Row {
        name: "exact-100k",
        rules: || exact(100_000),
        frames: || flows(FLOWS),
    },
    Row {
        name: "exact-all",
        rules: || exact(100_000),
        frames: || flows(100_000),
    },
    Row {
        name: "rewrite",
        rules: || {
            lines(
                "in_port=1,ip,actions=mod_dl_dst:02:00:00:00:00:09,mod_nw_src:10.9.9.9,dec_ttl,mod_vlan_vid:7,output:2",
            )
        },
        frames: || flows(FLOWS),
    },
    Row {
        name: "pipeline",
        rules: || {
            lines(
                "table=0,in_port=1,actions=load:1->NXM_NX_REG0[],resubmit(,1)
                 table=1,reg0=1,actions=resubmit(,2)
                 table=2,ip,actions=load:2->NXM_NX_REG1[],resubmit(,3)
                 table=3,ip,nw_src=172.16.0.0/16,actions=resubmit(,4)
                 table=4,udp,actions=resubmit(,5)
                 table=5,ip,nw_dst=10.0.0.0/8,actions=resubmit(,6)
                 table=6,reg1=2,actions=output:2",
            )
        },
        frames: || flows(FLOWS),
    },
    Row {
        name: "select",
        rules: || {
            lines(
                "group group_id=1,type=select,bucket=actions=output:2,bucket=actions=output:2,bucket=actions=output:2,bucket=actions=output:2
                 in_port=1,actions=group:1",
            )
        },
        frames: || flows(FLOWS),
    },
    Row {
        name: "meter",
        rules: || {
            lines(
                "meter meter=1,kbps,bands=type=drop,rate=4000000000
                 in_port=1,actions=meter:1,output:2",
            )
        },
        frames: || flows(1000),
    },
];

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

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = words.iter().find_map(|word| word.parse().ok());
    let polls: usize = number.unwrap_or(20_000);
    let named = |row: &&Row| words.iter().any(|word| word == row.name);
    let all = !ROWS.iter().any(|row| named(&row));
    println!("row          cycles a packet");
    for row in ROWS.iter().filter(|row| all || named(row)) {
        let mut rig = Rig::new((row.frames)());
        rig.configure((row.rules)());
        rig.forward(polls);
        let best = (0..7).map(|_| {
            let (before, started) = (ran(), Instant::now());
            let sent = rig.forward(polls);
            let ns = (ran() - before).min(started.elapsed().as_nanos() as u64);
            assert_eq!(sent, 32 * polls as u64, "{}: all are forwarded", row.name);
            ns as f64 / sent as f64 * cycles_per_ns()
        });
        let best = best.fold(f64::MAX, f64::min);
        println!("{:12} {best:6.1}", row.name);
    }
}
