//! Tests of the whole module: what is split comes together again, in any order, and nothing else does.

mod gpw;
mod limits;
mod reassemble;
mod split;

use super::*;
use crate::edge::{Frame, Pool};
use crate::sim::{SimFrame, SimPool};
use packet::{Wire, ethertype, ipproto, ipv4, ipv6};
use std::net::{Ipv4Addr, Ipv6Addr};

const SECRET: Secret = Secret::new(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);

/// Bytes that differ wherever one looks.
fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ i >> 8 ^ i >> 3) as u8).collect()
}

/// An Ethernet header with so many VLAN tags.
fn ethernet(tags: usize, ether_type: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for vid in 0..tags as u8 {
        frame.extend([0x81, 0, 0, 100 + vid]);
    }
    frame.extend(ether_type.to_be_bytes());
    frame
}

/// An IPv4 packet with options; `fragment` is the word of flags and offset.
struct V4 {
    tags: usize,
    src: Ipv4Addr,
    tos: u8,
    id: u16,
    fragment: u16,
    options: Vec<u8>,
}

impl Default for V4 {
    fn default() -> V4 {
        V4 {
            tags: 0,
            src: Ipv4Addr::new(10, 0, 0, 1),
            tos: 0,
            id: 7,
            fragment: 0,
            options: Vec::new(),
        }
    }
}

impl V4 {
    fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = ethernet(self.tags, ethertype::IPV4);
        let l3 = frame.len();
        let size = (self.options.len() + payload.len()) as u16;
        let dst = Ipv4Addr::new(10, 0, 0, 2);
        let mut header = ipv4::Header::new(self.src, dst, ipproto::UDP, size);
        header.version_ihl += (self.options.len() / 4) as u8;
        header.tos = self.tos;
        header.id = self.id.into();
        header.fragment = self.fragment.into();
        frame.resize(l3 + ipv4::Header::SIZE, 0);
        header.emit(&mut frame[l3..]).unwrap();
        frame.extend(&self.options);
        ipv4::fill_checksum(&mut frame[l3..]).unwrap();
        frame.extend(payload);
        frame
    }
}

/// Kinds of IPv6 extension headers, in their order; each has 8 bytes.
fn v6(tags: usize, class: u8, extensions: &[u8], last: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = ethernet(tags, ethertype::IPV6);
    let l3 = frame.len();
    let kinds: Vec<u8> = extensions.iter().copied().chain([last]).collect();
    let size = (extensions.len() * 8 + payload.len()) as u16;
    let (src, dst) = (Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
    let mut header = ipv6::Header::new(src, dst, kinds[0], size);
    header.set_traffic_class(class);
    frame.resize(l3 + ipv6::Header::SIZE, 0);
    header.emit(&mut frame[l3..]).unwrap();
    for next in &kinds[1..] {
        frame.extend([*next, 0, 1, 4, 0, 0, 0, 0]);
    }
    frame.extend(payload);
    frame
}

/// An IPv6 fragment of UDP; `offset_more` is the word of offset and "more".
fn v6_fragment(class: u8, id: u32, offset_more: u16, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0];
    bytes.extend(offset_more.to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    v6(0, class, &[], ipproto::FRAGMENT, &bytes)
}

/// Splits a frame; the fragments as bytes.
fn cut(pool: &mut SimPool, frame: &[u8], mtu: usize, df: DontFragment) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::new(Ids::new(SECRET, 0, 1));
    let (frame, mut out) = (pool.frame(frame), Vec::new());
    let len = splitter.split(pool, frame, mtu, df, &mut out);
    assert_eq!(len.ok(), Some(out.len()));
    let bytes = out.iter().map(SimFrame::bytes).collect();
    pool.free(&mut out);
    bytes
}

/// A pool that has only so many frames.
struct Scarce(SimPool, usize);

impl Scarce {
    fn take(&mut self) -> Option<()> {
        self.1 = self.1.checked_sub(1)?;
        Some(())
    }
}

impl Pool for Scarce {
    type Frame = SimFrame;
    fn alloc(&mut self, size: usize) -> Option<SimFrame> {
        self.take().and_then(|()| self.0.alloc(size))
    }
    fn copy(&mut self, frame: &SimFrame) -> Option<SimFrame> {
        self.take().and_then(|()| self.0.copy(frame))
    }
    fn free(&mut self, frames: &mut Vec<SimFrame>) {
        self.0.free(frames);
    }
    fn write(&mut self, frame: &mut SimFrame, offset: usize, bytes: &[u8]) {
        self.0.write(frame, offset, bytes);
    }
}

/// A reassembler and its pool.
struct Bench {
    pool: SimPool,
    table: Reassembler<SimFrame>,
    now: crate::time::Time,
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        Bench {
            pool: SimPool::default(),
            table: Reassembler::new(SECRET, limits),
            now: crate::time::Time::secs(1),
        }
    }
    /// A frame arrives. `None`: it is no fragment.
    fn arrive(&mut self, bytes: &[u8]) -> Option<Result<Vec<u8>, Outcome>> {
        let frame = self.pool.frame(bytes);
        let found = Fragment::inspect(&frame, 0);
        let Ok(Some(fragment)) = found else {
            self.pool.free(&mut vec![frame]);
            return found.err().map(Err);
        };
        let result = self
            .table
            .insert(&mut self.pool, self.now, frame, &fragment);
        Some(result.map(|whole| {
            let bytes = whole.bytes();
            self.pool.free(&mut vec![whole]);
            bytes
        }))
    }
    /// What happens to a fragment that completes nothing.
    fn outcome(&mut self, bytes: &[u8]) -> Outcome {
        self.arrive(bytes)
            .expect("a fragment")
            .expect_err("not complete")
    }
    /// Everything is let go of, and nothing was lost.
    fn end(mut self) {
        let held = self.table.held()[1] as i64;
        assert_eq!(self.pool.outstanding(), held, "frames held");
        self.table.clear(&mut self.pool);
        assert_eq!(self.pool.outstanding(), 0, "frames lost");
        assert_eq!(self.table.held(), [0; 3]);
    }
}
