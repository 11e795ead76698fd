//! What a frame inside still needs if the host's own stack received its tunnel packet.
//!
//! Hosts of one machine leave checksums and segmentation to each other, and receive offload merges segments: sockets hand
//! on the bytes of such packets but not what is still to be done. Yet it can be seen: the checksum field then holds the
//! sum of the pseudo-header. Of a finished packet that says the same by chance, the checksum is computed again and comes out equal.

use crate::edge::{Frame, Offload, Segmentation};
use packet::{Wire, checksum, ethernet, ethertype, ipproto, ipv4, ipv6, tcp};

/// The largest packet that is not taken for several segments.
const WHOLE_MAX: usize = 1500;
/// Packets that segments become, as their own size is not known: every network carries these (RFC 8200 section 5).
const SEGMENT_MAX: usize = 1280;
const CHECKSUM_OF_TCP: usize = 16;
const CHECKSUM_OF_UDP: usize = 6;

/// Notes in the frame's record what is to be done to the frame that starts at `start` inside.
pub fn note_unfinished<F: Frame>(frame: &mut F, start: usize) {
    if let Some(offload) = unfinished(frame.head(), start) {
        frame.set_offload(offload);
    }
}

fn unfinished(head: &[u8], start: usize) -> Option<Offload> {
    let link = ethernet::payload(head.get(start..)?, 2)?;
    let l3 = start + link.offset;
    let (protocol, l4, size, pseudo, segmentation) = match link.ether_type {
        ethertype::IPV4 => {
            let ip = ipv4::Header::at(head, l3)?;
            let size = usize::from(ip.total_size.get());
            let l4_size = size.checked_sub(ip.header_size())?;
            if ip.is_fragment() {
                return None;
            }
            let pseudo = checksum::pseudo_v4(ip.src(), ip.dst(), ip.protocol, l4_size as u16);
            let l4 = l3 + ip.header_size();
            (ip.protocol, l4, size, pseudo, Segmentation::Tcp4)
        }
        ethertype::IPV6 => {
            let ip = ipv6::Header::at(head, l3)?;
            let l4_size = ip.payload_size.get();
            let pseudo = checksum::pseudo_v6(ip.src(), ip.dst(), ip.next_header, l4_size.into());
            let l4 = l3 + ipv6::Header::SIZE;
            let size = ipv6::Header::SIZE + usize::from(l4_size);
            (ip.next_header, l4, size, pseudo, Segmentation::Tcp6)
        }
        _ => return None,
    };
    let csum_offset = match protocol {
        ipproto::TCP => CHECKSUM_OF_TCP,
        ipproto::UDP => CHECKSUM_OF_UDP,
        _ => return None,
    };
    let field = head.get(l4 + csum_offset..l4 + csum_offset + 2)?;
    if u16::from_be_bytes([field[0], field[1]]) != pseudo.fold() {
        return None;
    }
    let mut offload = Offload {
        csum_start: u16::try_from(l4).ok()?,
        csum_offset: csum_offset as u16,
        ..Offload::default()
    };
    if protocol == ipproto::TCP && size > WHOLE_MAX {
        let headers = l4 - l3 + tcp::Header::at(head, l4)?.header_size();
        offload.segment_size = SEGMENT_MAX.checked_sub(headers)? as u16;
        offload.segmentation = segmentation;
    }
    Some(offload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A TCP packet in Ethernet behind `before` bytes, with its pseudo-header's sum.
    fn partial(before: usize, payload: usize) -> Vec<u8> {
        let mut bytes = vec![0; before + 54 + payload];
        let link = ethernet::Header {
            ether_type: ethertype::IPV4.into(),
            ..Default::default()
        };
        let rest = link.emit(&mut bytes[before..]).expect("room");
        let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let size = 20 + payload as u16;
        let rest = ipv4::Header::new(src, dst, ipproto::TCP, size).emit(rest);
        let rest = rest.expect("room");
        rest[12] = 0x50;
        let sum = checksum::pseudo_v4(src, dst, ipproto::TCP, size).fold();
        rest[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn what_is_unfinished_is_seen() {
        let whole = unfinished(&partial(50, 100), 50).expect("partial");
        assert_eq!((whole.csum_start, whole.csum_offset), (84, 16));
        assert_eq!(whole.segmentation, Segmentation::None);
        let merged = unfinished(&partial(50, 5000), 50).expect("partial");
        assert_eq!(merged.segmentation, Segmentation::Tcp4);
        assert_eq!(merged.segment_size, 1240);
        let mut finished = partial(50, 100);
        finished[100] ^= 1;
        assert_eq!(unfinished(&finished, 50), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(size in 0..120usize, flips in prop::collection::vec((0..120usize, any::<u8>()), 0..8)) {
            let mut bytes = partial(20, 40);
            flips.into_iter().for_each(|(at, byte)| if let Some(b) = bytes.get_mut(at) { *b = byte });
            unfinished(&bytes[..size.min(bytes.len())], 20);
        }
    }
}
