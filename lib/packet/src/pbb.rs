//! The service instance tag of provider backbone bridges (IEEE 802.1ah), behind EtherType 0x88e7.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-----+-+-+-----+-----------------------------------------------+
//! | PCP |D|U| res |          service instance (I-SID)             |
//! +-----+-+-+-----+-----------------------------------------------+
//! |  the customer's frame: destination, source, EtherType ...     |
//! ```

use zerocopy::byteorder::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 4 bytes behind the EtherType; a whole Ethernet frame follows.
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
    /// Priority, drop eligibility, "use customer addresses", service instance.
    pub tci: U32,
}

/// Bits of the service instance.
pub const ISID_MASK: u32 = 0xff_ffff;
/// Position of "use customer addresses".
pub const UCA_SHIFT: u32 = 27;

impl Header {
    /// The tag of a service instance.
    pub fn new(isid: u32, uca: bool) -> Header {
        Header {
            tci: U32::new(isid & ISID_MASK | u32::from(uca) << UCA_SHIFT),
        }
    }

    /// The service instance, 24 bits.
    pub fn isid(&self) -> u32 {
        self.tci.get() & ISID_MASK
    }

    /// The addresses inside are the customer's.
    pub fn uca(&self) -> bool {
        self.tci.get() >> UCA_SHIFT & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(Header, "08 012345", Header::new(0x012345, true));

    #[test]
    fn fields() {
        let header = Header::new(u32::MAX, false);
        assert_eq!((header.isid(), header.uca()), (0xff_ffff, false));
        assert!(Header::new(0, true).uca());
    }
}
