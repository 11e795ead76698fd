//! The answer to a packet that does not fit a tunnel: ICMP "fragmentation needed" (RFC 1191 section 4) or ICMPv6
//! "packet too big" (RFC 4443 section 3.2), in the name of the packet's destination, as the switch itself has no address
//! that the sender knows.

use packet::checksum::{self, Sum};
use packet::{Wire, ethernet, ethertype, icmpv4, icmpv6, ipproto, ipv4, ipv6};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of an answer at most.
pub const SIZE_MAX: usize = MAX_LINK + MIN_MTU_V6;

/// Tags behind which a packet is looked for.
const MAX_TAGS: usize = 2;
const MAX_LINK: usize = ethernet::Header::SIZE + 4 * MAX_TAGS;
// RFC 1812 section 4.3.2.3: the quotation SHOULD be as long as possible within 576 bytes.
const ICMP_SIZE_MAX: usize = 576;
// RFC 4443 section 3.2: "As much of invoking packet as possible without the ICMPv6 packet exceeding the minimum IPv6 MTU".
const MIN_MTU_V6: usize = 1280;
/// Of IPv4, below which a host does not go (RFC 791 section 3.1).
const MIN_MTU_V4: usize = 68;
const TTL: u8 = 64;

/// What can be done about an inner frame that is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It is IPv4 without DF: split it at this offset's MTU (bytes of the IP packet at most).
    Split(usize),
    /// Send back the answer, of this many bytes.
    Answer(usize),
    /// Nothing: it is not IP, or must not be answered.
    None,
}

/// Whether a frame of `size` bytes holds an IPv6 packet that every path has to carry, so that its sender cannot make it
/// smaller.
// RFC 2473 section 7.1 (b): "the original IPv6 packet is equal or smaller than the IPv6 minimum link MTU [...] the tunnel
// entry-point node encapsulates the original packet, and subsequently fragments the resulting IPv6 tunnel packet".
pub fn is_minimal(head: &[u8], size: usize) -> bool {
    ethernet::payload(head, MAX_TAGS).is_some_and(|payload| {
        payload.ether_type == ethertype::IPV6 && size <= payload.offset + MIN_MTU_V6
    })
}

/// Looks at a frame that starts with `head` and may be `room` bytes at most; an answer is written into `answer`.
pub fn remedy(head: &[u8], room: usize, answer: &mut [u8; SIZE_MAX]) -> Remedy {
    let Some(payload) = ethernet::payload(head, MAX_TAGS) else {
        return Remedy::None;
    };
    let l3 = payload.offset;
    let (mtu, packet) = (room.saturating_sub(l3), &head[l3.min(head.len())..]);
    let written = match payload.ether_type {
        ethertype::IPV4 => match ipv4::Header::at(packet, 0) {
            Some(header) if !header.df() => return Remedy::Split(mtu),
            Some(header) => fragmentation_needed(header, packet, mtu, &mut answer[l3..]),
            None => None,
        },
        ethertype::IPV6 => ipv6::Header::at(packet, 0)
            .and_then(|header| packet_too_big(header, packet, mtu, &mut answer[l3..])),
        _ => None,
    };
    let back = written.and_then(|size| link_back(&head[..l3], &mut answer[..l3]).map(|()| size));
    back.map_or(Remedy::None, |size| Remedy::Answer(l3 + size))
}

/// The Ethernet header of the answer: the other way round, with the same tags.
fn link_back(link: &[u8], answer: &mut [u8]) -> Option<()> {
    answer.copy_from_slice(link);
    let (header, _) = ethernet::Header::parse_mut(answer)?;
    if !header.src.is_unicast() || !header.dst.is_unicast() {
        return None;
    }
    std::mem::swap(&mut header.src, &mut header.dst);
    Some(())
}

/// Whether somebody with this address may be told, or be told from (RFC 1122 section 3.2.2).
fn is_host(ip: Ipv4Addr) -> bool {
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_loopback())
}

fn fragmentation_needed(
    header: &ipv4::Header,
    packet: &[u8],
    mtu: usize,
    answer: &mut [u8],
) -> Option<usize> {
    let (src, dst) = (header.src(), header.dst());
    let size = header.header_size();
    if !is_host(src) || !is_host(dst) || header.is_later_fragment() || size < ipv4::Header::SIZE {
        return None;
    }
    // An error about an error would never end.
    if header.protocol == ipproto::ICMP {
        let queries = [icmpv4::ECHO_REQUEST, icmpv4::ECHO_REPLY];
        if !queries.contains(packet.get(size)?) {
            return None;
        }
    }
    let headers = ipv4::Header::SIZE + icmpv4::Header::SIZE;
    let quoted = &packet[..usize::from(header.total_size.get())
        .min(packet.len())
        .min(ICMP_SIZE_MAX - headers)];
    let icmp = icmpv4::Header {
        kind: icmpv4::UNREACHABLE,
        code: icmpv4::FRAGMENTATION_NEEDED,
        checksum: 0.into(),
        data: (mtu.clamp(MIN_MTU_V4, 0xffff) as u32).into(),
    };
    let mut reply = ipv4::Header::new(
        dst,
        src,
        ipproto::ICMP,
        (icmpv4::Header::SIZE + quoted.len()) as u16,
    );
    reply.ttl = TTL;
    let rest = reply.emit(answer)?;
    icmp.emit(rest)?
        .get_mut(..quoted.len())?
        .copy_from_slice(quoted);
    let size = headers + quoted.len();
    ipv4::fill_checksum(&mut answer[..ipv4::Header::SIZE])?;
    let checksum = checksum::of(&answer[ipv4::Header::SIZE..size]);
    put_checksum(&mut answer[ipv4::Header::SIZE..], checksum)?;
    Some(size)
}

fn packet_too_big(
    header: &ipv6::Header,
    packet: &[u8],
    mtu: usize,
    answer: &mut [u8],
) -> Option<usize> {
    let (src, dst) = (header.src(), header.dst());
    let is_host = |ip: Ipv6Addr| !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback());
    if !is_host(src) || !is_host(dst) {
        return None;
    }
    // RFC 4443 section 2.4 (e): no error about an error; types below 128 are errors.
    let upper = ipv6::upper(header.next_header, &packet[ipv6::Header::SIZE..])?;
    if upper.protocol == ipproto::ICMPV6 {
        let kind = packet.get(ipv6::Header::SIZE + upper.offset)?;
        if *kind < icmpv6::ECHO_REQUEST {
            return None;
        }
    }
    let headers = ipv6::Header::SIZE + icmpv6::Header::SIZE;
    let whole = ipv6::Header::SIZE + usize::from(header.payload_size.get());
    let quoted = &packet[..whole.min(packet.len()).min(MIN_MTU_V6 - headers)];
    let icmp = icmpv6::Header {
        kind: icmpv6::TOO_BIG,
        code: 0,
        checksum: 0.into(),
        data: (mtu.max(MIN_MTU_V6) as u32).into(),
    };
    let size = (icmpv6::Header::SIZE + quoted.len()) as u16;
    let mut reply = ipv6::Header::new(dst, src, ipproto::ICMPV6, size);
    reply.hop_limit = TTL;
    let rest = reply.emit(answer)?;
    icmp.emit(rest)?
        .get_mut(..quoted.len())?
        .copy_from_slice(quoted);
    let body = &answer[ipv6::Header::SIZE..headers + quoted.len()];
    let pseudo: Sum = checksum::pseudo_v6(dst, src, ipproto::ICMPV6, size.into());
    let checksum = pseudo.bytes(body).finish();
    put_checksum(&mut answer[ipv6::Header::SIZE..], checksum)?;
    Some(headers + quoted.len())
}

/// Both versions have it at the same place.
fn put_checksum(icmp: &mut [u8], checksum: u16) -> Option<()> {
    icmp.get_mut(2..4)?.copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..3usize, room in 0..2000usize) {
            let mut noise = noise;
            if let Some(slot) = noise.get_mut(12..14) {
                slot.copy_from_slice(&[0x0800u16, 0x86dd, 0x8100][kind].to_be_bytes());
            }
            let mut answer = [0; SIZE_MAX];
            if let Remedy::Answer(size) = remedy(&noise, room, &mut answer) {
                prop_assert!(size <= SIZE_MAX && noise.len() >= 34);
            }
        }
    }
}
