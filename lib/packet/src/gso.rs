//! What a frame still needs before it may go on a wire: its checksum finished, its payload cut into segments.
//!
//! Senders next door (taps, veth pairs) hand over frames with partial checksums and up to 64 KiB of payload.
//! Ports that can pass this on do; for the others, these pure functions do the work in software.
//! The record of what is pending is [`Offload`].

use crate::offload::{Offload, Segmentation};
use crate::{Wire, checksum, ethernet, ethertype, ipproto, ipv4, ipv6, tcp, udp};
use core::ops::Range;

/// Finishes a pending checksum in place and notes that in the record.
/// `None` (and nothing changed) when the checksum is not inside the frame.
#[inline]
pub fn finish_checksum(frame: &mut [u8], offload: &mut Offload) -> Option<()> {
    if offload.csum_start != 0 {
        checksum::complete(frame, offload.csum_start.into(), offload.csum_offset.into())?;
        (offload.csum_start, offload.csum_offset) = (0, 0);
    }
    Some(())
}

/// More VLAN tags than this in front of a segmented packet are refused.
const MAX_TAGS: usize = 4;

/// The plan for cutting one frame. Segment `index` consists of the frame's first [`Segments::header_size`] bytes,
/// then its bytes [`Segments::payload`]`(index)`; after copying both, [`Segments::patch`] makes the headers right.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    l3: usize,
    l4: usize,
    header_size: usize,
    frame_size: usize,
    segment_size: usize,
    is_ipv6: bool,
    is_tcp: bool,
}

impl Segments {
    /// Plans the cutting of a frame of `frame_size` bytes that starts with `head` (at least all its headers).
    /// `None` when the headers are not what the record says or do not fit.
    pub fn new(head: &[u8], frame_size: usize, offload: &Offload) -> Option<Segments> {
        let payload = ethernet::payload(head, MAX_TAGS)?;
        let l3 = payload.offset;
        let (is_ipv6, l4, protocol) = match payload.ether_type {
            ethertype::IPV4 => {
                let header = ipv4::Header::at(head, l3)?;
                let valid = header.header_size() >= ipv4::Header::SIZE && !header.is_fragment();
                (
                    false,
                    l3 + header.header_size(),
                    valid.then_some(header.protocol)?,
                )
            }
            ethertype::IPV6 => {
                let header = ipv6::Header::at(head, l3)?;
                let rest = head.get(l3 + ipv6::Header::SIZE..)?;
                let upper =
                    ipv6::upper(header.next_header, rest).filter(|upper| !upper.is_fragment)?;
                (true, l3 + ipv6::Header::SIZE + upper.offset, upper.protocol)
            }
            _ => return None,
        };
        let (wanted, transport_size) = match offload.segmentation {
            Segmentation::None => return None,
            Segmentation::Tcp4 if is_ipv6 => return None,
            Segmentation::Tcp6 if !is_ipv6 => return None,
            Segmentation::Tcp4 | Segmentation::Tcp6 => (
                ipproto::TCP,
                tcp::Header::at(head, l4)?
                    .header_size()
                    .max(tcp::Header::SIZE),
            ),
            Segmentation::Udp => (ipproto::UDP, udp::Header::SIZE),
        };
        let header_size = l4 + transport_size;
        let segment_size = usize::from(offload.segment_size);
        let fits = header_size <= head.len()
            && header_size <= frame_size
            && segment_size > 0
            && header_size - l3 + segment_size <= usize::from(u16::MAX);
        (fits && protocol == wanted).then_some(Segments {
            l3,
            l4,
            header_size,
            frame_size,
            segment_size,
            is_ipv6,
            is_tcp: wanted == ipproto::TCP,
        })
    }

    /// Bytes of the headers that every segment starts with.
    #[inline]
    pub fn header_size(&self) -> usize {
        self.header_size
    }

    /// Number of segments, at least 1.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "there always is a segment")]
    pub fn len(&self) -> usize {
        (self.frame_size - self.header_size)
            .div_ceil(self.segment_size)
            .max(1)
    }

    /// Which bytes of the frame are the payload of segment `index`; empty beyond the last segment.
    #[inline]
    pub fn payload(&self, index: usize) -> Range<usize> {
        let start = self
            .header_size
            .saturating_add(index.saturating_mul(self.segment_size))
            .min(self.frame_size);
        start..(start + self.segment_size).min(self.frame_size)
    }

    /// Makes a segment of the copied headers and payload in `segment` (exactly those): IPv4 size, id and checksum,
    /// IPv6 size, TCP sequence number and flags, UDP size, and the whole transport checksum.
    /// `None` when `segment` does not have the size that segment `index` has.
    pub fn patch(&self, index: usize, segment: &mut [u8]) -> Option<()> {
        let payload = self.payload(index);
        if segment.len() != self.header_size + payload.len() {
            return None;
        }
        let transport_size = u16::try_from(segment.len() - self.l4).ok()?;
        let (l3_part, l4_part) = segment
            .get_mut(self.l3..)?
            .split_at_mut_checked(self.l4 - self.l3)?;
        let pseudo = if self.is_ipv6 {
            let header = ipv6::Header::parse_mut(l3_part)?.0;
            header
                .payload_size
                .set((self.l4 - self.l3 - ipv6::Header::SIZE) as u16 + transport_size);
            let protocol = if self.is_tcp {
                ipproto::TCP
            } else {
                ipproto::UDP
            };
            checksum::pseudo_v6(header.src(), header.dst(), protocol, transport_size.into())
        } else {
            let header = ipv4::Header::parse_mut(l3_part)?.0;
            header
                .total_size
                .set((self.l4 - self.l3) as u16 + transport_size);
            header.id.set(header.id.get().wrapping_add(index as u16));
            let pseudo =
                checksum::pseudo_v4(header.src(), header.dst(), header.protocol, transport_size);
            ipv4::fill_checksum(l3_part)?;
            pseudo
        };
        if self.is_tcp {
            self.patch_tcp(index, l4_part, pseudo)
        } else {
            let header = udp::Header::parse_mut(l4_part)?.0;
            header.size.set(transport_size);
            header.checksum.set(0);
            let sum = pseudo.bytes(l4_part).finish_nonzero();
            udp::Header::parse_mut(l4_part)?.0.checksum.set(sum);
            Some(())
        }
    }

    fn patch_tcp(&self, index: usize, l4_part: &mut [u8], pseudo: checksum::Sum) -> Option<()> {
        let header = tcp::Header::parse_mut(l4_part)?.0;
        let skipped = index.wrapping_mul(self.segment_size) as u32;
        header.seq.set(header.seq.get().wrapping_add(skipped));
        let mut flags = header.flags();
        if index + 1 < self.len() {
            flags &= !(tcp::FIN | tcp::PSH);
        }
        // RFC 3168 section 6.1.2: the sender sets CWR on the first new data packet only.
        if index > 0 {
            flags &= !tcp::CWR;
        }
        header.set_flags(flags);
        header.checksum.set(0);
        let sum = pseudo.bytes(l4_part).finish();
        tcp::Header::parse_mut(l4_part)?.0.checksum.set(sum);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MacAddr, vlan};
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::{collection::vec, prelude::*};

    fn pending(segmentation: Segmentation, segment_size: u16) -> Offload {
        Offload {
            segmentation,
            segment_size,
            ..Offload::default()
        }
    }

    /// A frame with or without a VLAN tag, over IPv4 or IPv6, TCP (with 12 bytes of options) or UDP.
    fn frame(tagged: bool, v6: bool, kind: Segmentation, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame[5] = MacAddr::BROADCAST.0[0];
        if tagged {
            frame.extend([0x81, 0, 0, 100]);
        }
        let mut transport = vec![0; 0];
        let protocol = if kind == Segmentation::Udp {
            transport.resize(udp::Header::SIZE, 0);
            udp::Header::new(5000, 6000, payload.len() as u16)
                .emit(&mut transport)
                .unwrap();
            ipproto::UDP
        } else {
            transport.resize(tcp::Header::SIZE + 12, 1);
            let mut header =
                tcp::Header::new(5000, 6000, tcp::ACK | tcp::PSH | tcp::FIN | tcp::CWR);
            header.size_flags.set(8 << 12 | header.flags());
            header.seq.set(u32::MAX - 5);
            header.emit(&mut transport).unwrap();
            ipproto::TCP
        };
        transport.extend(payload);
        let size = transport.len() as u16;
        let network = frame.len() + 2;
        if v6 {
            frame.extend(ethertype::IPV6.to_be_bytes());
            frame.resize(network + ipv6::Header::SIZE, 0);
            let header =
                ipv6::Header::new(Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED, protocol, size);
            header.emit(&mut frame[network..]).unwrap();
        } else {
            frame.extend(ethertype::IPV4.to_be_bytes());
            frame.resize(network + ipv4::Header::SIZE, 0);
            let mut header =
                ipv4::Header::new(Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, protocol, size);
            header.id.set(0xfffe);
            header.emit(&mut frame[network..]).unwrap();
        }
        frame.extend(transport);
        frame
    }

    fn cut(frame: &[u8], offload: &Offload) -> Vec<Vec<u8>> {
        let plan = Segments::new(frame, frame.len(), offload).unwrap();
        (0..plan.len())
            .map(|index| {
                let mut segment = frame[..plan.header_size()].to_vec();
                segment.extend(&frame[plan.payload(index)]);
                plan.patch(index, &mut segment).unwrap();
                segment
            })
            .collect()
    }

    /// Size fields and checksums of a segment are right; returns its payload.
    fn check(segment: &[u8], is_tcp: bool) -> Vec<u8> {
        let at = ethernet::payload(segment, MAX_TAGS).unwrap();
        let (pseudo, transport) = if at.ether_type == ethertype::IPV6 {
            let packet = ipv6::packet(&segment[at.offset..]).unwrap();
            let size = packet.payload.len() as u32;
            let header = packet.header;
            (
                checksum::pseudo_v6(header.src(), header.dst(), header.next_header, size),
                packet.payload,
            )
        } else {
            let packet = ipv4::packet(&segment[at.offset..]).unwrap();
            assert_eq!(checksum::of(&segment[at.offset..at.offset + 20]), 0);
            let size = packet.payload.len() as u16;
            (
                checksum::pseudo_v4(
                    packet.header.src(),
                    packet.header.dst(),
                    packet.header.protocol,
                    size,
                ),
                packet.payload,
            )
        };
        assert_eq!(pseudo.bytes(transport).finish(), 0);
        let header_size = if is_tcp { 32 } else { 8 };
        if !is_tcp {
            assert_eq!(
                usize::from(udp::Header::parse(transport).unwrap().0.size.get()),
                transport.len()
            );
        }
        transport[header_size..].to_vec()
    }

    #[test]
    fn tcp_flags_and_sequence_numbers() {
        let frame = frame(true, false, Segmentation::Tcp4, &[7; 25]);
        let segments = cut(&frame, &pending(Segmentation::Tcp4, 10));
        let headers: Vec<_> = segments
            .iter()
            .map(|s| *tcp::Header::at(s, 38).unwrap())
            .collect();
        let flags: Vec<_> = headers.iter().map(tcp::Header::flags).collect();
        assert_eq!(
            flags,
            [
                tcp::ACK | tcp::CWR,
                tcp::ACK,
                tcp::ACK | tcp::PSH | tcp::FIN
            ]
        );
        let seqs: Vec<_> = headers.iter().map(|h| h.seq.get()).collect();
        assert_eq!(seqs, [u32::MAX - 5, 4, 14]);
        let ids: Vec<_> = segments
            .iter()
            .map(|s| ipv4::Header::at(s, 18).unwrap().id.get())
            .collect();
        assert_eq!(ids, [0xfffe, 0xffff, 0]);
        assert_eq!(vlan::Header::at(&segments[2], 14).unwrap().vid(), 100);
    }

    #[test]
    fn wrong_kinds_are_refused() {
        let frame = frame(false, false, Segmentation::Tcp4, &[7; 25]);
        let plan = |kind, size| Segments::new(&frame, frame.len(), &pending(kind, size));
        assert!(plan(Segmentation::Tcp4, 10).is_some());
        assert!(
            plan(Segmentation::Tcp4, 0).is_none() && plan(Segmentation::Tcp4, u16::MAX).is_none()
        );
        assert!(plan(Segmentation::Tcp6, 10).is_none() && plan(Segmentation::Udp, 10).is_none());
    }

    proptest! {
        #[test]
        fn segments_hold_the_payload(tagged: bool, v6: bool, udp: bool, payload in vec(any::<u8>(), 0..400), size in 1u16..200) {
            let kind = match (udp, v6) {
                (true, _) => Segmentation::Udp,
                (_, true) => Segmentation::Tcp6,
                _ => Segmentation::Tcp4,
            };
            let frame = frame(tagged, v6, kind, &payload);
            let segments = cut(&frame, &pending(kind, size));
            let whole: Vec<u8> = segments.iter().flat_map(|segment| check(segment, !udp)).collect();
            prop_assert_eq!(whole, payload);
        }

        #[test]
        fn noise_never_panics(noise in vec(any::<u8>(), 0..120), at in 0usize..120, value: u8, size: u16, start: u16, offset: u16) {
            for kind in [Segmentation::Tcp4, Segmentation::Tcp6, Segmentation::Udp] {
                let mut frame = frame(true, kind == Segmentation::Tcp6, kind, &noise);
                let last = frame.len() - 1;
                frame[at.min(last)] = value;
                if let Some(plan) = Segments::new(&frame, frame.len(), &pending(kind, size)) {
                    let mut segment = frame[..plan.header_size()].to_vec();
                    segment.extend(&frame[plan.payload(1)]);
                    let _ = plan.patch(1, &mut segment);
                }
                let mut offload = Offload { csum_start: start, csum_offset: offset, ..Offload::default() };
                let _ = finish_checksum(&mut frame, &mut offload);
            }
        }
    }
}
