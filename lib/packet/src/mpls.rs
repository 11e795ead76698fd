//! MPLS label stack entry (RFC 3032).
//!
//! ```text
//! +---------------------------------------+-----+-+---------------+
//! |                 label (20)            | TC  |S|      TTL      |
//! +---------------------------------------+-----+-+---------------+
//! ```

use zerocopy::byteorder::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One entry of the label stack.
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
    /// Label, traffic class, bottom of stack and TTL.
    pub lse: U32,
}

/// The entry is the last one.
pub const BOTTOM: u32 = 0x100;

impl Header {
    /// An entry from its parts; bits that do not fit are dropped.
    pub fn new(label: u32, tc: u8, bottom: bool, ttl: u8) -> Header {
        let bottom = if bottom { BOTTOM } else { 0 };
        Header {
            lse: U32::new(label << 12 | u32::from(tc & 7) << 9 | bottom | u32::from(ttl)),
        }
    }

    /// Label, 20 bits.
    pub fn label(&self) -> u32 {
        self.lse.get() >> 12
    }

    /// Traffic class, 3 bits.
    pub fn tc(&self) -> u8 {
        (self.lse.get() >> 9) as u8 & 7
    }

    /// Bottom of stack: what follows is the payload.
    pub fn is_bottom(&self) -> bool {
        self.lse.get() & BOTTOM != 0
    }

    /// Time to live.
    pub fn ttl(&self) -> u8 {
        self.lse.get() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(Header, "00064b40", Header::new(100, 5, true, 64));

    #[test]
    fn parts() {
        let header = Header::new(0xfffff, 7, false, 1);
        assert_eq!(
            (
                header.label(),
                header.tc(),
                header.is_bottom(),
                header.ttl()
            ),
            (0xfffff, 7, false, 1)
        );
    }
}
