//! The outer header of packets as most are.

use super::{L3, Outer};
use crate::edge::{Frame, HEADROOM, Pool};
use crate::model::tunnel::{Tunnel, Words};
use crate::tunnel::Inside;
use crate::tunnel::inner::Summary;
use packet::gpw::Part;
use packet::{Wire, ethertype, ipv4, udp};

const L4: usize = L3 + ipv4::Header::SIZE;
const WORDS: usize = size_of::<Words>() / size_of::<u64>();

impl Outer {
    /// The same as [`Outer::encapsulate`] for whole frames that are not too large, without options, over IPv4 (or Ethernet) and without a
    /// checksum of the tunnel's: the prepared bytes and three words over them. `false`: there is no room.
    #[inline(always)]
    pub fn put<F: Frame>(&self, frame: &mut F, tunnel: &Tunnel, words: &Words, ip_id: u16) -> bool {
        let size = self.size - L3 + frame.size();
        let fragment = if self.df { ipv4::DF } else { 0 };
        self.put_as(frame, tunnel, words, (size, ip_id, fragment))
    }
    /// The same of a frame that becomes several fragments, all of which but the first are put into `later`. `false`: no memory.
    pub fn put_split<P: Pool>(
        &self,
        pool: &mut P,
        frame: &mut P::Frame,
        (tunnel, words): (&Tunnel, &Words),
        ip_id: u16,
        later: &mut Vec<P::Frame>,
    ) -> bool {
        let end = self.size + frame.size();
        // RFC 791 section 3.2: all but the last are multiples of 8.
        let room = self.limit.saturating_sub(ipv4::Header::SIZE) & !7;
        let first = (ipv4::Header::SIZE + room, ip_id, ipv4::MF);
        if room == 0 || !self.put_as(frame, tunnel, words, first) {
            return false;
        }
        let mut from = L4 + room;
        while from < end {
            let (left, last_room) = (end - from, self.limit - ipv4::Header::SIZE);
            let (size, more) = match left <= last_room {
                true => (left, 0),
                false => (room, ipv4::MF),
            };
            let Some(mut piece) = pool.alloc(L4 + size) else {
                return false;
            };
            let payload = frame.head().get(from..from + size).unwrap_or_default();
            let to = piece.head_mut();
            if let Some(headers) = to.first_chunk_mut::<L4>() {
                let (inner, offset) = (
                    Summary::of(frame.head().get(self.size..).unwrap_or_default()),
                    (from - L4) / 8,
                );
                let words = (ipv4::Header::SIZE + size, ip_id, offset as u16 | more);
                headers.copy_from_slice(&self.bytes[..L4]);
                self.put_ip(&mut headers[L3..], &inner, words);
            }
            match to.get_mut(L4..L4 + size) {
                Some(to) if payload.len() == size => to.copy_from_slice(payload),
                _ => pool.write(&mut piece, L4, payload),
            }
            later.push(piece);
            from += size;
        }
        frame.trim(L4 + room);
        true
    }
    /// The same as [`Outer::put`] with this size, id and these flags of the IPv4 header.
    #[inline(always)]
    fn put_as<F: Frame>(
        &self,
        frame: &mut F,
        tunnel: &Tunnel,
        words: &Words,
        ip: (usize, u16, u16),
    ) -> bool {
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
        if let Some(header) = bytes.get_mut(L3..) {
            self.put_ip(header, &inner, ip);
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
    /// Writes what differs of the IPv4 header in front of this frame: from the values, as to read back what was just
    /// written in smaller parts stalls the CPU.
    #[inline(always)]
    fn put_ip(
        &self,
        header: &mut [u8],
        inner: &Summary,
        (size, ip_id, fragment): (usize, u16, u16),
    ) {
        let (fixed, taken) = self.tos;
        let tos = fixed | inner.tos.unwrap_or(0) & taken;
        let ttl = match self.inherits_ttl {
            true => inner.ttl.unwrap_or(64),
            false => self.ttl,
        };
        let first = 0x45 << 56
            | u64::from(tos) << 48
            | (size as u64 & 0xffff) << 32
            | u64::from(ip_id) << 16
            | u64::from(fragment);
        let sum = u32::from(self.header_sum) + size as u32 + u32::from(ip_id);
        // The prepared sum is that with our own DF.
        let df = if self.df { ipv4::DF } else { 0 };
        let sum =
            sum + u32::from(tos) + (u32::from(ttl) << 8) + u32::from(fragment) + u32::from(!df);
        let sum = (sum & 0xffff) + (sum >> 16);
        let checksum = !((sum & 0xffff) + (sum >> 16)) & 0xffff;
        let second = u32::from(ttl) << 24 | u32::from(self.row.protocol) << 16 | checksum;
        if let Some(header) = header.get_mut(..12) {
            header[..8].copy_from_slice(&first.to_be_bytes());
            header[8..].copy_from_slice(&second.to_be_bytes());
        }
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
