//! The outer header of packets as most are.

use super::{L3, Outer};
use crate::edge::{Frame, HEADROOM};
use crate::model::tunnel::{Tunnel, Words};
use crate::tunnel::Inside;
use crate::tunnel::inner::Summary;
use packet::gpw::Part;
use packet::{Wire, ethertype, ipv4, udp};

const WORDS: usize = size_of::<Words>() / size_of::<u64>();

impl Outer {
    /// The same as [`Outer::encapsulate`] for whole frames that are not too large, without options, over IPv4 (or Ethernet) and without a
    /// checksum of the tunnel's: the prepared bytes and three words over them. `false`: there is no room.
    #[inline(always)]
    pub fn put<F: Frame>(&self, frame: &mut F, tunnel: &Tunnel, words: &Words, ip_id: u16) -> bool {
        let inner = Summary::of(frame.head());
        let packet_size = self.size - L3 + frame.size();
        let Some(bytes) = frame.push(self.size) else {
            return false;
        };
        copy_prepared(bytes, &self.bytes);
        if self.varies && (self.always_varies || *words != [0; WORDS]) {
            let (payload, part) = (ethertype::TEB, Part::Whole);
            let inside = Inside { payload, part };
            if let Some(header) = bytes.get_mut(self.tunnel..) {
                (self.row.patch)(header, tunnel, words, &inside);
            }
        }
        if self.l4 == L3 {
            return true;
        }
        let (fixed, taken) = self.tos;
        let tos = fixed | inner.tos.unwrap_or(0) & taken;
        let ttl = match self.inherits_ttl {
            true => inner.ttl.unwrap_or(64),
            false => self.ttl,
        };
        let df = if self.df { u64::from(ipv4::DF) } else { 0 };
        let first = 0x45 << 56
            | u64::from(tos) << 48
            | (packet_size as u64 & 0xffff) << 32
            | u64::from(ip_id) << 16
            | df;
        let sum = u32::from(self.header_sum) + packet_size as u32 + u32::from(ip_id);
        let sum = sum + u32::from(tos) + (u32::from(ttl) << 8);
        let sum = (sum & 0xffff) + (sum >> 16);
        let checksum = !((sum & 0xffff) + (sum >> 16)) & 0xffff;
        let second = u32::from(ttl) << 24 | u32::from(self.row.protocol) << 16 | checksum;
        if let Some(header) = bytes.get_mut(L3..L3 + ipv4::Header::SIZE) {
            header[..8].copy_from_slice(&first.to_be_bytes());
            header[8..12].copy_from_slice(&second.to_be_bytes());
        }
        if self.tunnel != self.l4
            && let Some(header) = bytes.get_mut(self.l4..self.l4 + udp::Header::SIZE)
        {
            let l4_size = (packet_size - ipv4::Header::SIZE) as u64 & 0xffff;
            let ports =
                u64::from(self.source_port_of(&inner)) << 48 | u64::from(self.target_port) << 32;
            header.copy_from_slice(&(ports | l4_size << 16).to_be_bytes());
        }
        true
    }
}

/// Fills `to` with as many of the prepared bytes, in two pieces that overlap: without a call for a size that is not known.
#[inline(always)]
fn copy_prepared(to: &mut [u8], from: &[u8; HEADROOM]) {
    fn halves<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
        let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
            return false;
        };
        if to.len() > 2 * N || to.len() < N {
            return false;
        }
        if let Some(to) = to.first_chunk_mut() {
            *to = *first;
        }
        if let Some(to) = to.last_chunk_mut() {
            *to = *last;
        }
        true
    }
    let from = &from[..to.len().min(HEADROOM)];
    if !halves::<32>(to, from) && !halves::<16>(to, from) && to.len() == from.len() {
        to.copy_from_slice(from);
    }
}
