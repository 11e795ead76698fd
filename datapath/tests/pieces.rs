//! What a reply of any length needs of memory, counted by an allocator: each piece is made when the one before it was
//! taken, and is bounded.

#![allow(unsafe_code, reason = "an allocator that counts has to be one")]

use MultipartRequest as Ask;
use datapath::control::*;
use datapath::fragment::Secret;
use datapath::model::stats::Stats;
use datapath::time::Time;
use ofp::action::Action;
use ofp::field::Field;
use ofp::key::Match;
use ofp::message::*;
use ofp::types::{BucketId, Cookie, GroupId, MeterId, PortNo, TableId, Version, Xid};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread holds, and the most of it.
    static HELD: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

fn count(bytes: i64) {
    HELD.with(|held| {
        let (now, most) = held.get();
        held.set((now + bytes, most.max(now + bytes)));
    });
}

struct Counting;

// SAFETY: every call is the system allocator's, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that something needs at most while it runs.
fn needs(what: impl FnOnce()) -> i64 {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    what();
    HELD.get().1 - before
}

const SAYS: ConnId = ConnId(1);
const NOW: Time = Time::secs(1000);
/// A megabyte: eight messages of 32 KiB on the wire, and what they are before that.
const PIECE: i64 = 1 << 20;

struct Bed {
    switch: Switch,
    out: Vec<Output>,
}

impl Bed {
    fn new() -> Bed {
        let mut switch = Switch::new(Stats::default(), Secret::new(0));
        let settings = BridgeSettings {
            fail_mode: FailMode::Secure,
            ..Default::default()
        };
        let bridge = switch.add_bridge(NOW, "br0", settings).expect("valid");
        let settings = ConnSettings {
            bridge,
            kind: ConnKind::Service,
            version: Version::V14,
            packet_in_limit: None,
            events: true,
            auxiliary: None,
        };
        switch.connect(NOW, SAYS, settings);
        let out = Vec::new();
        Bed { switch, out }
    }
    fn say(&mut self, body: Body) {
        let message = Message { xid: Xid(1), body };
        self.switch
            .message(NOW, SAYS, message, &[0; 64], &mut self.out);
    }
    fn settle(&mut self) {
        while !self.switch.publish(&mut self.out) {}
        self.switch.publish(&mut self.out);
        assert!(self.out.is_empty(), "{:?}", self.out);
    }
    /// Asks, and reads piece by piece; returns the pieces and the most bytes that one needed.
    fn ask(&mut self, request: &MultipartRequest) -> (usize, i64) {
        self.out = Vec::with_capacity(64);
        let body = Body::MultipartRequest(request.clone());
        let mut most = needs(|| self.say(body));
        let mut pieces = 1;
        while self.switch.is_dumping(SAYS) {
            self.out.clear();
            most = most.max(needs(|| {
                self.switch.dump(NOW, SAYS, &mut self.out);
            }));
            pieces += 1;
        }
        self.out.clear();
        (pieces, most)
    }
}

fn every_flow() -> Box<FlowStatsRequest> {
    Box::new(FlowStatsRequest {
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        cookie: Cookie(0),
        cookie_mask: 0,
        matching: Match::default(),
        nicira: false,
    })
}

fn output() -> Vec<Action> {
    let (port, max_len) = (PortNo(1), 0);
    vec![Action::Output { port, max_len }]
}

#[test]
fn no_reply_is_in_memory_whole() {
    let mut bed = Bed::new();
    let len = 100_000;
    for n in 0..len {
        let bucket = Bucket {
            id: BucketId::ALL,
            weight: 0,
            actions: output(),
            ..Default::default()
        };
        bed.say(Body::GroupMod(Box::new(GroupMod {
            command: GroupCommand::Add,
            bucket: BucketId::ALL,
            desc: GroupDesc {
                group: GroupId(n),
                buckets: vec![bucket],
                ..Default::default()
            },
        })));
        let band = Band {
            kind: BandKind::Drop,
            rate: 1000,
            burst: 0,
        };
        bed.say(Body::MeterMod(Box::new(MeterMod {
            command: MeterCommand::Add,
            config: MeterConfig {
                meter: MeterId(n + 1),
                flags: meter_flag::PKTPS,
                bands: vec![band],
            },
        })));
        let mut matching = Match::default();
        matching.set(Field::InPort.place(), n.into(), u128::MAX);
        bed.say(Body::FlowMod(Box::new(FlowMod {
            table: TableId(0),
            matching,
            actions: output(),
            ..Default::default()
        })));
    }
    bed.settle();
    let none = || {
        let mut request = every_flow();
        request.out_port = PortNo(9);
        request
    };
    for (name, request, at_least) in [
        ("group", Ask::Group(GroupId::ALL), 10),
        ("group-desc", Ask::GroupDesc(GroupId::ALL), 10),
        ("meter", Ask::Meter(MeterId::ALL), 10),
        ("meter-config", Ask::MeterConfig(MeterId::ALL), 5),
        ("flow", Ask::Flow(every_flow()), 10),
        ("no flow", Ask::Flow(none()), 5),
        ("flow counts", Ask::FlowCounts(every_flow()), 10),
        ("aggregate", Ask::Aggregate(every_flow()), 5),
        ("aggregate of none", Ask::Aggregate(none()), 5),
    ] {
        let (pieces, most) = bed.ask(&request);
        assert!(pieces >= at_least, "{name}: {pieces} pieces");
        assert!(most < PIECE, "{name}: {most} bytes");
    }
}
