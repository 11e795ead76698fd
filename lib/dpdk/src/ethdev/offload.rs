//! Frames with unfinished work on their way into an ethdev: described to the device in DPDK's way if it
//! can do the work, done in software if it cannot.

use datapath::edge::{Frame, Offload, Segmentation};
use dpdk_sys as sys;
use packet::{Wire, checksum, ethernet, ethertype, ipv4, ipv6, tcp, udp};

use crate::finish;
use crate::mbuf::Mbuf;
use crate::mempool::{MbufPool, free_one};

/// More VLAN tags than this are left to software.
const MAX_TAGS: usize = 2;

/// Whether one of these frames cannot go out as it is. Without a jump for each.
#[inline]
pub(super) fn is_needed(frames: &[Mbuf], offloads: u64) -> bool {
    let can_chain = offloads & sys::RTE_ETH_TX_OFFLOAD_MULTI_SEGS != 0;
    let is_unfinished = |found, frame: &Mbuf| found | frame.has_offload();
    let is_chained = |found, frame: &Mbuf| found | (frame.segments_len() > 1);
    frames.iter().fold(false, is_unfinished) || !can_chain && frames.iter().fold(false, is_chained)
}

/// Makes all frames such that the device takes them. Returns how many could not be, and are dropped.
pub(super) fn prepare(
    pool: &mut MbufPool,
    frames: &mut Vec<Mbuf>,
    scratch: &mut Vec<Mbuf>,
    offloads: u64,
) -> u64 {
    let can_chain = offloads & sys::RTE_ETH_TX_OFFLOAD_MULTI_SEGS != 0;
    for frame in frames.iter_mut() {
        let offload = frame.offload();
        if !offload.is_finished()
            && (can_chain || frame.segments_len() == 1)
            && describe(frame, offload, offloads)
        {
            frame.set_offload(Offload::default());
        }
    }
    let mut failed = finish::finish_all(pool, frames, scratch, |offload| !offload.is_finished());
    if !can_chain {
        for frame in frames.drain(..) {
            match finish::linearise(pool, frame) {
                Ok(frame) => scratch.push(frame),
                Err(frame) => {
                    failed += 1;
                    free_one(frame);
                }
            }
        }
        std::mem::swap(frames, scratch);
    }
    failed
}

/// Where the parts of a frame are, if it is one that devices understand.
struct Layout {
    l3: usize,
    l4: usize,
    is_ipv6: bool,
    is_tcp: bool,
}

/// The outermost IP packet's TCP or UDP, if that is where the checksum is to go.
fn layout(head: &[u8], offload: Offload) -> Option<Layout> {
    let payload = ethernet::payload(head, MAX_TAGS)?;
    let l4 = usize::from(offload.csum_start);
    let is_ipv6 = match payload.ether_type {
        ethertype::IPV4 => {
            let header = ipv4::Header::at(head, payload.offset)?;
            (payload.offset + header.header_size() == l4).then_some(false)?
        }
        ethertype::IPV6 => (payload.offset + ipv6::Header::SIZE == l4).then_some(true)?,
        _ => return None,
    };
    const TCP_FIELD: u16 = 16;
    const UDP_FIELD: u16 = 6;
    let is_tcp = match offload.csum_offset {
        TCP_FIELD => true,
        UDP_FIELD => false,
        _ => return None,
    };
    Some(Layout {
        l3: payload.offset,
        l4,
        is_ipv6,
        is_tcp,
    })
}

/// Describes the work to the device. `false`, and nothing changed, if it cannot do it.
fn describe(frame: &mut Mbuf, offload: Offload, offloads: u64) -> bool {
    let Some(layout) = layout(frame.head(), offload) else {
        return false;
    };
    let is_segmented = offload.segmentation != Segmentation::None;
    let wanted = match (is_segmented, layout.is_tcp) {
        (true, true) => sys::RTE_ETH_TX_OFFLOAD_TCP_TSO | sys::RTE_ETH_TX_OFFLOAD_TCP_CKSUM,
        (true, false) => return false,
        (false, true) => sys::RTE_ETH_TX_OFFLOAD_TCP_CKSUM,
        (false, false) => sys::RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
    };
    let needs_ip_checksum = is_segmented && !layout.is_ipv6;
    let wanted = wanted
        | if needs_ip_checksum {
            sys::RTE_ETH_TX_OFFLOAD_IPV4_CKSUM
        } else {
            0
        };
    if offloads & wanted != wanted {
        return false;
    }
    let mut l4_size = if layout.is_tcp {
        tcp::Header::SIZE
    } else {
        udp::Header::SIZE
    };
    if is_segmented {
        match prepare_segmentation(frame, &layout) {
            Some(size) => l4_size = size,
            None => return false,
        }
    }
    let mbuf = frame.get_mut();
    mbuf.ol_flags |= if layout.is_ipv6 {
        sys::RTE_MBUF_F_TX_IPV6
    } else {
        sys::RTE_MBUF_F_TX_IPV4
    };
    mbuf.ol_flags |= if layout.is_tcp {
        sys::RTE_MBUF_F_TX_TCP_CKSUM
    } else {
        sys::RTE_MBUF_F_TX_UDP_CKSUM
    };
    if is_segmented {
        mbuf.ol_flags |= sys::RTE_MBUF_F_TX_TCP_SEG;
    }
    if needs_ip_checksum {
        mbuf.ol_flags |= sys::RTE_MBUF_F_TX_IP_CKSUM;
    }
    // l2_len: 7 bits, l3_len: 9, l4_len: 8, tso_segsz: 16, from the lowest bit on.
    mbuf.__bindgen_anon_3.tx_offload = layout.l3 as u64
        | ((layout.l4 - layout.l3) as u64) << 7
        | (l4_size as u64) << 16
        | u64::from(offload.segment_size) << 24;
    true
}

/// For segmentation DPDK wants the pseudo-header's sum without the size, which Linux includes, and no
/// IPv4 checksum. Returns the TCP header's size.
fn prepare_segmentation(frame: &mut Mbuf, layout: &Layout) -> Option<usize> {
    let payload_size = frame.size().checked_sub(layout.l4)? as u32;
    let head = frame.head_mut();
    let size = tcp::Header::at(head, layout.l4)?.header_size();
    let (ip, transport) = head.split_at_mut_checked(layout.l4)?;
    let header = tcp::Header::parse_mut(transport)?.0;
    let with_size = header.checksum.get();
    // The complement subtracts.
    header.checksum.set(
        checksum::Sum::new()
            .u16(with_size)
            .u32(!payload_size)
            .fold(),
    );
    if !layout.is_ipv6 {
        ipv4::Header::parse_mut(ip.get_mut(layout.l3..)?)?
            .0
            .checksum
            .set(0);
    }
    Some(size)
}
