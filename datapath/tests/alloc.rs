//! A packet whose program is known takes no heap memory: counted over bursts of many flows through
//! outputs, rewriting, NORMAL, a patch port and a tunnel, both ways, and over a million packets of each row of
//! the micro bench. Nor do fragments.

#![allow(unsafe_code, reason = "an allocator that counts has to be one")]

#[path = "alloc/memory.rs"]
mod memory;
#[path = "../benches/forward/rig.rs"]
mod rig;
#[path = "../benches/forward/rows.rs"]
mod rows;
#[path = "../benches/forward/tunnels.rs"]
mod tunnels;

use datapath::edge::{BURST, Pool};
use datapath::fragment::*;
use datapath::time::Time;
use memory::{Bed, Shelf};
use packet::{Wire, ipv4};
use rig::Rig;
use rows::ROWS;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is the system allocator's, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.with(|taken| taken.set(taken.get() + 1));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.with(|taken| taken.set(taken.get() + 1));
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SCENES: &[(&str, &[&str])] = &[
    ("output", &["in_port=1,actions=output:2"]),
    ("flood", &["actions=flood"]),
    ("normal", &["actions=normal"]),
    (
        "rewrite",
        &[
            "ip,actions=mod_dl_src:00:00:00:00:00:09,mod_nw_dst:9.9.9.9,dec_ttl,mod_vlan_vid:7,output:2",
        ],
    ),
    (
        "pipeline",
        &[
            "table=0,actions=load:1->NXM_NX_REG0[],resubmit(,1)",
            "table=1,udp,actions=resubmit(,2),output:3",
            "table=2,reg0=1,actions=output:2",
        ],
    ),
    (
        "patch",
        &["in_port=1,actions=output:4", "br1:actions=output:2"],
    ),
    (
        "tunnel",
        &[
            "in_port=1,actions=output:5",
            "br1:in_port=LOCAL,actions=output:2",
        ],
    ),
    (
        "groups",
        &[
            "group group_id=1,type=select,bucket=output:2,bucket=set_field:1->reg0,resubmit(,1)",
            "group group_id=2,type=all,bucket=dec_ttl,output:2,bucket=group:1",
            "in_port=1,actions=group:2,output:3",
            "table=1,reg0=1,actions=output:3",
        ],
    ),
    (
        "meters",
        &[
            "meter meter=1,pktps,bands=type=drop,rate=1000000",
            "meter meter=2,kbps,bands=type=dscp_remark,rate=1,prec_level=1",
            "in_port=1,actions=meter:1,output:2,resubmit(,1)",
            "table=1,actions=meter:2,output:3",
        ],
    ),
    (
        "labels and links",
        &[
            "in_port=1,actions=push_mpls:0x8847,dec_mpls_ttl,pop_mpls:0x0800,check_pkt_larger(60)->NXM_NX_REG0[0],resubmit(,1)",
            "table=1,reg0=1,actions=push_pbb:0x88e7,pop_pbb,bundle(symmetric_l4,0,hrw,ofport,members:2,3)",
        ],
    ),
    (
        "fragments",
        &["in_port=1,actions=load:1->NXM_NX_REG0[],fragment(mtu=68),dec_ttl,output:2"],
    ),
    (
        "reassembly, at several workers",
        &[
            "in_port=1,actions=load:1->NXM_NX_REG0[],fragment(mtu=68),reassemble(table=1)",
            "table=1,reg0=1,actions=output:2",
        ],
    ),
];

#[test]
fn known_packets_take_no_memory() {
    for (name, flows) in SCENES {
        let mut bed = Bed::new();
        for flow in *flows {
            bed.flow(flow);
        }
        let frames = bed.frames(64);
        for _ in 0..4 {
            bed.round(&frames);
        }
        let before = TAKEN.with(Cell::get);
        let mut handled = 0;
        for _ in 0..100 {
            handled += bed.round(&frames);
        }
        let taken = TAKEN.with(Cell::get) - before;
        assert_eq!(handled, 6400, "{name}");
        assert_eq!(taken, 0, "{name}");
        assert!(bed.sent() > 6400, "{name}: {}", bed.sent());
    }
}

/// A million packets of every row of the micro bench, after two rounds of its flows. Rows with more flows than the cache has entries
/// have their packets walked through the tables again and again, which takes no memory either.
#[test]
fn rows_take_no_memory() {
    // An eighth of them unoptimised: `make test` also runs this test optimised.
    let packets: u64 = if cfg!(debug_assertions) {
        125_000
    } else {
        1_000_000
    };
    let mut takers = Vec::new();
    let mut count = |name, mut rig: Rig, flows: usize, [arriving, leaving]: [u64; 2]| {
        let warming = 2 * flows.div_ceil(BURST);
        rig.warm(warming.max(64));
        let before = TAKEN.with(Cell::get);
        let sent = rig.forward(packets.div_ceil(BURST as u64) as usize);
        let taken = TAKEN.with(Cell::get) - before;
        let is_all = sent * arriving >= packets * leaving;
        assert!(is_all, "{name}: {sent} packets");
        if taken != 0 {
            takers.push(format!("{name}: {taken}"));
        }
    };
    for row in ROWS {
        let frames = (row.frames)();
        let flows = frames.len();
        let mut rig = Rig::new(frames);
        rig.configure((row.rules)());
        // A meter may drop half of them.
        count(row.name, rig, flows, [2, 1]);
    }
    for row in tunnels::ROWS {
        count(row.name, row.rig(), rows::FLOWS as usize, row.counted);
    }
    assert!(takers.is_empty(), "memory is taken: {}", takers.join(", "));
}

/// Splits a packet and puts its fragments together in the reverse order, between those of others that stay incomplete.
#[test]
fn fragments_take_no_memory() {
    let secret = Secret::new(1);
    let mut shelf = Shelf::new(1024);
    let mut splitter = Splitter::new(Ids::new(secret, 0, 1));
    let limits = Limits {
        datagrams: 64,
        fragments: 256,
        ..Limits::default()
    };
    let mut table = Reassembler::new(secret, limits);
    let mut frame = [0; 334];
    frame[12] = 8;
    let address = |last| [10, 0, 0, last].into();
    let header = ipv4::Header::new(address(1), address(2), 17, 300);
    let mut pieces = Vec::with_capacity(64);
    let mut whole = Vec::with_capacity(64);
    let before = TAKEN.with(Cell::get);
    for id in 0..2000u16 {
        let mut header = header;
        header.id = id.into();
        header.emit(&mut frame[14..]);
        ipv4::fill_checksum(&mut frame[14..]);
        let packet = shelf.take(&frame).expect("the shelf is large");
        let len = splitter.split(&mut shelf, packet, 100, DontFragment::Obey, &mut pieces);
        assert!(matches!(len, Ok(4)));
        // Two of three lose a fragment.
        for piece in pieces.drain(usize::from(id % 3)..).rev() {
            let fragment = Fragment::inspect(&piece, 0).ok().flatten();
            let fragment = fragment.expect("it is one");
            let now = Time(u64::from(id));
            whole.extend(table.insert(&mut shelf, now, piece, &fragment));
        }
        shelf.free(&mut pieces);
        shelf.free(&mut whole);
    }
    let taken = TAKEN.with(Cell::get) - before;
    assert_eq!(taken, 0);
    assert_eq!(table.counts().get(Outcome::Completed), 667);
    assert!(table.counts().get(Outcome::SourceShare) > 1000);
}
