//! Changes frames in place: header bits with their checksums, VLAN tags. Finished checksums are updated
//! incrementally; under a partial one only what the pseudo-header says changes.

use super::program::{Anchor, Cover, Write};
use crate::edge::{Frame, Offload};
use flow::extract::Layout;
use ofp::key::FRAG_LATER;
use packet::{Wire, checksum, ethernet, icmpv6, ipproto, ipv4, ipv6, sctp, vlan};

/// Changes header bits. Without effect on a frame that has no such header.
#[inline]
pub fn write<F: Frame>(frame: &mut F, layout: &Layout, write: &Write) {
    let row = write.spot.row();
    let Some(base) = anchor(frame.head(), layout, row.anchor) else {
        return;
    };
    let at = base + row.offset;
    let Some(window) = frame.head_mut().get_mut(at..) else {
        return;
    };
    let change = match row.size {
        2 => replace::<2>(window, write),
        4 => replace::<4>(window, write),
        6 => replace::<6>(window, write),
        _ => replace::<16>(window, write),
    };
    if let Some(change) = change
        && row.cover != Cover::No
    {
        follow(frame, layout, row.cover, write.protocol, change);
    }
}

/// The one's complement sums of the 16-bit words of a window before and after.
#[derive(Clone, Copy)]
struct Change {
    old: u16,
    new: u16,
}

impl Change {
    /// The checksum over the window that changed (RFC 1624).
    #[inline]
    fn apply(self, sum: u16) -> u16 {
        checksum::update16(sum, self.old, self.new)
    }
}

/// Changes the bits of a window; `None`: nothing changed, or the frame ends before.
#[inline]
fn replace<const SIZE: usize>(bytes: &mut [u8], write: &Write) -> Option<Change> {
    let window = bytes.first_chunk_mut::<SIZE>()?;
    let mut wide = [0; 16];
    wide[16 - SIZE..].copy_from_slice(window);
    let old = u128::from_be_bytes(wide);
    let new = old & !write.mask | write.value;
    if old == new {
        return None;
    }
    window.copy_from_slice(&new.to_be_bytes()[16 - SIZE..]);
    let (old, new) = (fold(old), fold(new));
    Some(Change { old, new })
}

/// The one's complement sum of the eight 16-bit words of `value`.
#[inline]
fn fold(value: u128) -> u16 {
    let (high, low) = ((value >> 64) as u64, value as u64);
    let half = |word: u64| (word >> 32) + (word & 0xffff_ffff);
    let sum = half(high) + half(low);
    let sum = (sum >> 32) + (sum >> 16 & 0xffff) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

fn anchor(head: &[u8], layout: &Layout, anchor: Anchor) -> Option<usize> {
    let offset = match anchor {
        Anchor::Ethernet => return Some(0),
        Anchor::Mpls => layout.l2_5,
        Anchor::L3 => layout.l3,
        Anchor::L4 | Anchor::NdSource | Anchor::NdTarget if layout.frag & FRAG_LATER != 0 => 0,
        Anchor::L4 => layout.l4,
        Anchor::NdSource => return nd_option(head, layout, icmpv6::SOURCE_LINK),
        Anchor::NdTarget => return nd_option(head, layout, icmpv6::TARGET_LINK),
    };
    (offset != 0).then_some(offset.into())
}

/// Where the address of a neighbour discovery option is.
#[cold]
fn nd_option(head: &[u8], layout: &Layout, kind: u8) -> Option<usize> {
    let mut at = usize::from(layout.l4) + icmpv6::Neighbor::SIZE;
    if layout.l4 == 0 {
        return None;
    }
    for option in icmpv6::options(head.get(at..)?) {
        let option = option.ok()?;
        if option.kind == kind && option.mac().is_some() {
            return Some(at + 2);
        }
        at += option.bytes.len();
    }
    None
}

/// Where a transport's checksum is; `None`: it has none that is a sum.
pub(super) fn checksum_offset(protocol: u8) -> Option<usize> {
    Some(match protocol {
        ipproto::TCP => 16,
        ipproto::UDP | ipproto::UDP_LITE => 6,
        ipproto::ICMP | ipproto::IGMP | ipproto::ICMPV6 => 2,
        _ => return None,
    })
}

fn follow<F: Frame>(frame: &mut F, layout: &Layout, cover: Cover, protocol: u8, change: Change) {
    if matches!(cover, Cover::Header | Cover::HeaderAndPseudo)
        && let Some(header) = ipv4::Header::at_mut(frame.head_mut(), layout.l3.into())
    {
        header.checksum.set(change.apply(header.checksum.get()));
    }
    let pseudo = match cover {
        Cover::No | Cover::Header => return,
        Cover::Transport => false,
        Cover::PseudoDestination if has_routing_header(frame.head(), layout) => return,
        Cover::HeaderAndPseudo | Cover::Pseudo | Cover::PseudoDestination => {
            // These have no pseudo-header.
            if matches!(protocol, ipproto::ICMP | ipproto::IGMP | ipproto::SCTP) {
                return;
            }
            true
        }
    };
    if layout.l4 == 0 || layout.frag & FRAG_LATER != 0 {
        return;
    }
    let pending = frame.offload().csum_start == layout.l4;
    if protocol == ipproto::SCTP {
        if !pending {
            sctp(frame, layout);
        }
        return;
    }
    let Some(offset) = checksum_offset(protocol) else {
        return;
    };
    let at = usize::from(layout.l4) + offset;
    let Some(field) = frame
        .head_mut()
        .get_mut(at..)
        .and_then(|b| b.first_chunk_mut::<2>())
    else {
        return;
    };
    let sum = u16::from_be_bytes(*field);
    let sum = match (pending, pseudo) {
        (true, false) => return,
        // The field holds the sum itself, not its complement.
        (true, true) => !change.apply(!sum),
        // RFC 768: "An all zero transmitted checksum value means that the transmitter generated no checksum".
        (false, _) if protocol == ipproto::UDP && sum == 0 => return,
        (false, _) => match change.apply(sum) {
            0 if protocol == ipproto::UDP => 0xffff,
            sum => sum,
        },
    };
    *field = sum.to_be_bytes();
}

#[cold]
fn has_routing_header(head: &[u8], layout: &Layout) -> bool {
    let l3 = usize::from(layout.l3);
    let Some(header) = ipv6::Header::at(head, l3) else {
        return false;
    };
    let payload = head.get(l3 + ipv6::Header::SIZE..).unwrap_or_default();
    ipv6::upper(header.next_header, payload).is_some_and(|upper| upper.routing_header.is_some())
}

/// SCTP's CRC covers the whole packet and is computed anew. Segmented frames are gathered: they are rare.
#[cold]
fn sctp<F: Frame>(frame: &mut F, layout: &Layout) {
    let (l3, l4) = (usize::from(layout.l3), usize::from(layout.l4));
    let head = frame.head();
    let end = match ipv4::Header::at(head, l3) {
        Some(header) if header.version() == 4 => l3 + usize::from(header.total_size.get()),
        _ => match ipv6::Header::at(head, l3) {
            Some(header) => l3 + ipv6::Header::SIZE + usize::from(header.payload_size.get()),
            None => return,
        },
    };
    let mut bytes = Vec::with_capacity(frame.size());
    frame.for_each_segment(&mut |segment| bytes.extend_from_slice(segment));
    let Some(packet) = bytes.get_mut(l4..end) else {
        return;
    };
    if sctp::fill_checksum(packet).is_some()
        && let Some(target) = frame.head_mut().get_mut(l4 + 8..l4 + 12)
    {
        target.copy_from_slice(&packet[8..12]);
    }
}

/// Bytes of one VLAN tag.
const TAG: usize = vlan::Header::SIZE;
/// Bytes in front of the EtherType: both addresses.
pub(super) const ADDRESSES: usize = ethernet::Header::SIZE - 2;

fn shift(offset: &mut u16, by: i16) {
    if *offset != 0 {
        *offset = offset.wrapping_add_signed(by);
    }
}

pub(super) fn shift_layout(layout: &mut Layout, by: i16) {
    shift(&mut layout.l2_5, by);
    shift(&mut layout.l3, by);
    shift(&mut layout.l4, by);
}

pub(super) fn shift_offload<F: Frame>(frame: &mut F, by: isize) {
    let mut offload: Offload = frame.offload();
    if offload.csum_start != 0 {
        offload.shift(by);
        frame.set_offload(offload);
    }
}

/// Puts a tag in front of the others. `false`: no room, the frame is unchanged.
pub fn push_vlan<F: Frame>(frame: &mut F, layout: &mut Layout, tpid: u16, tci: u16) -> bool {
    if frame.push(TAG).is_none() {
        return false;
    }
    let head = frame.head_mut();
    if head.len() < ADDRESSES + TAG {
        return false;
    }
    head.copy_within(TAG..TAG + ADDRESSES, 0);
    head[ADDRESSES..ADDRESSES + 2].copy_from_slice(&tpid.to_be_bytes());
    head[ADDRESSES + 2..ADDRESSES + 4].copy_from_slice(&tci.to_be_bytes());
    layout.tags += 1;
    shift_layout(layout, TAG as i16);
    shift_offload(frame, TAG as isize);
    true
}

/// Removes the outer tag; without effect on a frame too short to have one.
pub fn pop_vlan<F: Frame>(frame: &mut F, layout: &mut Layout) {
    let head = frame.head_mut();
    if head.len() < ethernet::Header::SIZE + TAG {
        return;
    }
    head.copy_within(0..ADDRESSES, TAG);
    frame.pull(TAG);
    layout.tags = layout.tags.saturating_sub(1);
    shift_layout(layout, -(TAG as i16));
    shift_offload(frame, -(TAG as isize));
}
