//! Ethernet II (IEEE 802.3 clause 3).
//!
//! ```text
//!  0               6               12      14
//! +---------------+---------------+-------+----
//! | destination   | source        | type  | payload
//! +---------------+---------------+-------+----
//! ```

use crate::{MacAddr, Wire, ethertype, vlan};
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The header of every frame.
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
)]
#[repr(C)]
pub struct Header {
    /// Destination.
    pub dst: MacAddr,
    /// Source.
    pub src: MacAddr,
    /// EtherType, or the size of an 802.3 payload when below 0x600.
    pub ether_type: U16,
}

/// What is behind the Ethernet header and its VLAN tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// EtherType of the payload (below 0x600: an 802.3 size).
    pub ether_type: u16,
    /// Where the payload starts.
    pub offset: usize,
    /// VLAN tags in between.
    pub tags: usize,
}

/// Walks over at most `max_tags` VLAN tags. `None` when the frame ends before the payload's type.
#[inline]
pub fn payload(frame: &[u8], max_tags: usize) -> Option<Payload> {
    let (header, mut rest) = Header::parse(frame)?;
    let mut found = Payload {
        ether_type: header.ether_type.get(),
        offset: Header::SIZE,
        tags: 0,
    };
    while ethertype::is_vlan(found.ether_type) && found.tags < max_tags {
        let (tag, behind) = vlan::Header::parse(rest)?;
        rest = behind;
        found.ether_type = tag.ether_type.get();
        found.offset += vlan::Header::SIZE;
        found.tags += 1;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "ffffffffffff 020000000001 0806",
        Header {
            dst: MacAddr::BROADCAST,
            src: MacAddr([2, 0, 0, 0, 0, 1]),
            ether_type: U16::new(ethertype::ARP)
        }
    );

    #[test]
    fn payload_is_behind_the_tags() {
        let frame = hex("ffffffffffff 020000000001 88a8 0064 8100 0001 0800 45");
        assert_eq!(
            payload(&frame, 4),
            Some(Payload {
                ether_type: 0x0800,
                offset: 22,
                tags: 2
            })
        );
        assert_eq!(
            payload(&frame, 1),
            Some(Payload {
                ether_type: 0x8100,
                offset: 18,
                tags: 1
            })
        );
        assert_eq!(payload(&frame[..20], 4), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..40), tags in 0usize..4) {
            let _ = payload(&noise, tags);
        }
    }
}
