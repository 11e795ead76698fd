//! Tunnels: a table of types, one file each. Encapsulation copies a prepared outer header in front of a
//! frame and patches what differs; decapsulation recognises, checks and measures it.
//! Pure functions over frames; who is called when is `forward`'s business.

mod gre;
mod inner;
mod outer;
pub mod too_big;
mod vxlan;

pub use inner::{Summary, congestion};
pub use outer::{Outer, Received as Tunnelled, recognise};

use crate::edge::Frame;
use crate::model::DropReason;
use crate::model::tunnel::{TunnelConfig, TunnelType};
use packet::checksum::Sum;
use packet::ipproto;

/// What a tunnel header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its key; `None`: it has none.
    pub key: Option<u64>,
    /// Its size in bytes.
    pub size: usize,
    /// Whether a checksum over itself and the payload has to be verified.
    pub csum: bool,
}

/// A tunnel type.
pub struct Row {
    /// Which one.
    pub kind: TunnelType,
    /// As the Interface table's `type` has it.
    pub name: &'static str,
    /// The protocol of the outer IP header; UDP has its header before the tunnel's.
    pub protocol: u8,
    /// Writes the header for these settings to the start of `bytes`; returns its size.
    pub prepare: fn(&TunnelConfig, &mut [u8]) -> usize,
    /// Puts a key into a prepared header.
    pub set_key: fn(&mut [u8], u64),
    /// Reads a received header.
    pub parse: fn(&[u8]) -> Option<Header>,
    /// Where the checksum is, in bytes from the end of the IP header.
    pub csum_offset: usize,
}

/// The types, in the order of the enum.
pub const TUNNELS: &[Row] = &[
    Row {
        kind: TunnelType::Vxlan,
        name: "vxlan",
        protocol: ipproto::UDP,
        prepare: vxlan::prepare,
        set_key: vxlan::set_key,
        parse: vxlan::parse,
        csum_offset: 6,
    },
    Row {
        kind: TunnelType::Gre,
        name: "gre",
        protocol: ipproto::GRE,
        prepare: gre::prepare,
        set_key: gre::set_key,
        parse: gre::parse,
        csum_offset: 4,
    },
];

impl TunnelType {
    /// The type's row.
    #[inline]
    pub const fn row(self) -> &'static Row {
        &TUNNELS[self as usize]
    }
}

/// The folded one's complement sum of a frame's bytes `start..end`, over all its segments.
pub(crate) fn sum<F: Frame>(frame: &F, start: usize, end: usize) -> u16 {
    let (mut total, mut at) = (0u16, 0usize);
    frame.for_each_segment(&mut |segment| {
        let (from, to) = (start.max(at), end.min(at + segment.len()));
        if from < to {
            let part = Sum::new().bytes(&segment[from - at..to - at]).fold();
            // RFC 1071 section 2(B): a part that starts at an odd place counts with its bytes swapped.
            let part = if (from - start) % 2 == 1 {
                part.swap_bytes()
            } else {
                part
            };
            total = Sum::new().u16(total).u16(part).fold();
        }
        at += segment.len();
    });
    total
}

/// Finishes a pending checksum, over all segments of a frame.
pub(crate) fn finish_checksum<F: Frame>(frame: &mut F) -> Result<(), DropReason> {
    let mut offload = frame.offload();
    if offload.csum_start == 0 {
        return Ok(());
    }
    let (start, size) = (usize::from(offload.csum_start), frame.size());
    let checksum = packet::checksum::nonzero(!sum(frame, start, size));
    let at = start + usize::from(offload.csum_offset);
    let field = frame.head_mut().get_mut(at..at + 2);
    field
        .ok_or(DropReason::Malformed)?
        .copy_from_slice(&checksum.to_be_bytes());
    (offload.csum_start, offload.csum_offset) = (0, 0);
    frame.set_offload(offload);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_enum_order() {
        for (index, row) in TUNNELS.iter().enumerate() {
            assert_eq!(row.kind as usize, index, "{}", row.name);
        }
    }
}
