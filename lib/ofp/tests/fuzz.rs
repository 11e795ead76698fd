//! Bytes from outside: mutants of valid messages of every row of the table of messages, in every version. What is
//! read never makes us panic, takes no more memory than a small multiple of its size, and can be written again.

#![allow(unsafe_code, reason = "an allocator that counts has to be one")]

use bytes::Bytes;
use ofp::bpdu::BpduStats;
use ofp::message::*;
use ofp::text::*;
use ofp::types::{PortNo, Version, Xid};
use ofp::wire::{Code, MESSAGES, Row, row};
use proptest::prelude::*;
use proptest::sample::Index;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::OnceLock;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

/// What this thread holds; what another one has taken is not counted when it is given back here.
fn held(taken: usize, given_back: usize) {
    HELD.with(|held| {
        held.set((held.get() + taken).saturating_sub(given_back));
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is the system allocator's, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        held(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        held(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        held(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of memory for one byte of a message. The worst are lists of the shortest elements: an action of 8 bytes,
/// a field of 4.
const MULTIPLE: usize = 64;
/// And for any message: the value itself.
const BASE: usize = 16 << 10;

/// What `read` takes at most while it runs.
fn peak_of<T>(read: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = read();
    (result, PEAK.get() - before)
}

/// Every version, and OpenFlow 1.0 with Nicira's flows and table ids.
fn dialects() -> impl Iterator<Item = Dialect> {
    let v10 = Dialect::new(Version::V10);
    let table = Dialect {
        flow_mod_table_id: true,
        ..v10
    };
    let nxm = Dialect {
        flow_format: FlowFormat::Nxm,
        ..table
    };
    let plain = Version::SUPPORTED.iter().copied().map(Dialect::new);
    plain.chain([table, nxm])
}

/// Our own messages, which no stock tool reads.
fn ours() -> impl Iterator<Item = Vec<u8>> {
    let reply = MultipartReply {
        more: false,
        part: MultipartPart::Bpdu(vec![BpduStats::default(); 2]),
    };
    let bodies = [
        Body::MultipartRequest(MultipartRequest::Bpdu(PortNo(1))),
        Body::MultipartReply(reply),
    ];
    let bodies = bodies.into_iter();
    let messages = bodies.map(|body| Message { xid: Xid(1), body });
    messages.map(|message| message.to_bytes(&Dialect::new(Version::V10)).to_vec())
}

/// Valid messages: the golden ones, each in every version that has it.
fn seeds() -> &'static [(Vec<u8>, Dialect)] {
    static SEEDS: OnceLock<Vec<(Vec<u8>, Dialect)>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let texts = [
            include_str!("golden/messages.txt"),
            include_str!("golden/groups.txt"),
        ];
        let words = texts.iter().flat_map(|text| text.split_whitespace());
        let golden = words.filter(|word| word.len() >= 16 && word.len() % 2 == 0);
        let golden = golden.filter_map(|word| {
            let digits = (0..word.len()).step_by(2).map(|at| word.get(at..at + 2));
            let bytes = digits.map(|two| u8::from_str_radix(two?, 16).ok());
            bytes.collect::<Option<Vec<u8>>>()
        });
        let mut seeds = BTreeSet::new();
        for mut bytes in golden.chain(ours()) {
            for (from, at) in dialects().zip(0..) {
                // Experimenter messages are often the same in other versions, so these are tried, too.
                bytes[0] = from.version as u8;
                let Ok(message) = Message::decode(&Bytes::from(bytes.clone()), &from) else {
                    continue;
                };
                seeds.insert((bytes.clone(), at));
                for (to, at) in dialects().zip(0..) {
                    if row(&message.body, &to).is_some() {
                        seeds.insert((message.to_bytes(&to).to_vec(), at));
                    }
                }
            }
        }
        let dialects: Vec<Dialect> = dialects().collect();
        let seeds = seeds.into_iter();
        seeds.map(|(bytes, at)| (bytes, dialects[at])).collect()
    })
}

/// Reads a message within the bound; what can be read can be written, and read again.
fn read(bytes: &[u8], dialect: &Dialect) {
    let whole = Bytes::copy_from_slice(bytes);
    let (message, peak) = peak_of(|| Message::decode(&whole, dialect));
    assert!(
        peak <= BASE + MULTIPLE * bytes.len(),
        "{} bytes take {peak}: {message:?}",
        bytes.len()
    );
    if let Ok(message) = message {
        let written = message.to_bytes(dialect);
        let again = Message::decode(&written, dialect);
        assert!(
            again.is_ok(),
            "{message:?}\n{bytes:02x?}\n{written:02x?}: {again:?}"
        );
    }
}

/// The length in the header becomes the true one; what is too long for any is cut.
fn fit(bytes: &mut Vec<u8>) {
    bytes.truncate(usize::from(u16::MAX));
    let size = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&size.to_be_bytes());
}

#[test]
fn every_row_has_a_seed_in_every_version() {
    let mut found = BTreeSet::new();
    for (bytes, dialect) in seeds() {
        found.insert((format!("{:?}", code(bytes)), dialect.version as u8));
    }
    let wanted = MESSAGES.iter().flat_map(|row| {
        let versions = Version::SUPPORTED.iter().filter(|v| row.is_in(**v));
        versions.map(move |version| (row, *version as u8))
    });
    let is_found = |row: &Row, version| found.contains(&(format!("{:?}", row.code), version));
    let missing = wanted.filter(|(row, version)| !is_found(row, *version));
    let missing: Vec<_> = missing.map(|(row, version)| (row.name, version)).collect();
    assert!(missing.is_empty(), "no golden message for {missing:?}");
}

/// What a message says that it is.
fn code(bytes: &[u8]) -> Code {
    let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) << 16 | u32::from(u16_at(at + 2));
    let (version, kind) = (bytes[0], bytes[1]);
    let request = if version == 1 { 16 } else { 18 };
    // 1.0 has four bytes less in a multipart header.
    let body = if version == 1 { 12 } else { 16 };
    match (kind.wrapping_sub(request), kind) {
        (0, _) if u16_at(8) == 0xffff => Code::ExperimenterRequest(u32_at(body), u32_at(body + 4)),
        (1, _) if u16_at(8) == 0xffff => Code::ExperimenterReply(u32_at(body), u32_at(body + 4)),
        (0, _) => Code::Request(u16_at(8)),
        (1, _) => Code::Reply(u16_at(8)),
        (_, 4) => Code::Experimenter(u32_at(8), u32_at(12)),
        _ => Code::Type(kind),
    }
}

#[test]
fn seeds_are_read_within_the_bound() {
    for (bytes, dialect) in seeds() {
        read(bytes, dialect);
    }
}

/// Flows, groups and the others as text, to be mutated.
const TEXTS: &[&str] = &[
    "table=3,priority=7,cookie=0x5,idle_timeout=9,tcp,nw_src=10.0.0.0/8,tp_dst=80/0xfff0,actions=output:NXM_NX_REG0[0..15],resubmit(1,2)",
    "ip6,ipv6_src=fe80::/10,ipv6_dst=::1,tun_metadata3=0x55/0xff,actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15],output:NXM_OF_IN_PORT[])",
    "conj_id=5,actions=conjunction(1,1/2),clone(push_vlan:0x8100,set_field:4196->vlan_vid,exit),controller(reason=action,max_len=5,userdata=01.02,pause)",
    "actions=multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[]),bundle(eth_src,0,hrw,ofport,members:4,8),sample(probability=5),encap(ethernet),note:00.11.22,write_metadata:5/7,stat_trigger(periodic,only_first,duration=1.5,idle_time=3,packet_count=7,byte_count=0xff),goto_table:9",
    "group_id=4,type=select,selection_method=hash,fields(ip_src=255.255.0.0,tcp_dst),bucket=bucket_id:1,weight:5,watch_port:1,actions=output:1,bucket=drop",
    "meter=3,kbps,burst,stats,bands=type=drop,rate=5,burst_size=3,type=dscp_remark,rate=2,prec_level=1",
    "{class=0xffff,type=1,len=4}->tun_metadata0,{class=1,type=2,len=8}->tun_metadata1",
    "!initial,!own,table=3,out_port=1,reg1=5/7",
    "in_port=controller,packet=0011223344556677889900112233445566,actions=set_field:1->reg0,output:2",
    "eth()",
];

fn read_texts(text: &str) {
    let mut ports = PortMap::default();
    ports.insert(PortNo(1), "eth0");
    let _ = read_flow_mod(text, None, &ports);
    let _ = read_flow_mod_leniently(text, None, &ports);
    let _ = read_flow_stats_request(text, &ports);
    let _ = read_packet_out(text, &ports);
    let _ = read_actions(text, &ports);
    let _ = read_match(text, &ports);
    let _ = read_group_mod(text, None, &ports);
    let _ = read_meter_mod(text, MeterCommand::Add);
    let _ = read_monitor_request(text, &ports);
    let _ = read_tlv_table_mod(text, TlvCommand::Add);
}

proptest! {
    /// Bytes are changed, most often to something small, and the end is cut.
    #[test]
    fn mutants_never_panic(
        seed in any::<Index>(), cut in any::<Option<Index>>(),
        hits in prop::collection::vec((any::<Index>(), prop_oneof![0..9_u8, Just(0xff), any::<u8>()]), 0..6),
    ) {
        let (bytes, dialect) = seed.get(seeds());
        let mut bytes = bytes.clone();
        if let Some(cut) = cut {
            bytes.truncate(8 + cut.index(bytes.len() - 7));
        }
        for (at, byte) in &hits {
            let at = at.index(bytes.len());
            if at != 0 {
                bytes[at] = *byte;
            }
        }
        fit(&mut bytes);
        read(&bytes, dialect);
    }

    /// A part of it is there again and again: lists are as long as a message can be.
    #[test]
    fn long_mutants_take_little(
        seed in any::<Index>(), from in any::<Index>(), words in 1..12_usize, times in 1..9000_usize, hit in any::<(Index, u8)>(),
    ) {
        let (seed, dialect) = seed.get(seeds());
        let from = 8 + from.index((seed.len() - 7).div_ceil(4)) * 4;
        let (from, to) = (from.min(seed.len()), (from + 4 * words).min(seed.len()));
        let mut bytes = seed[..to].to_vec();
        let times = times.min(65_000 / (to - from).max(1));
        for _ in 0..times {
            bytes.extend_from_slice(&seed[from..to]);
        }
        bytes.extend_from_slice(&seed[to..]);
        fit(&mut bytes);
        read(&bytes, dialect);
        bytes[8.min(to - 1)..][hit.0.index(to - 8.min(to - 1))] = hit.1;
        fit(&mut bytes);
        read(&bytes, dialect);
    }

    #[test]
    fn mutants_of_texts_never_panic(
        seed in any::<Index>(), with in any::<Index>(), cuts in any::<[Index; 3]>(), put in "[ -~é]{0,3}",
    ) {
        let (text, other) = (*seed.get(TEXTS), *with.get(TEXTS));
        let [from, to, at] = cuts;
        let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let start = at.index(other.len());
        // Replaced by something, or by a part of another one.
        read_texts(&format!("{}{put}{}", &text[..from], &text[to..]));
        read_texts(&format!("{}{}{}", &text[..from], &other[start..], &text[to..]));
    }
}
