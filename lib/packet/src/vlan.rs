//! VLAN tags: 802.1Q (0x8100) and 802.1ad (0x88a8), behind the EtherType that names them.
//!
//! ```text
//!  0                   1
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//! +-----+-+-----------------------+
//! | PCP |D|          VID          |
//! +-----+-+-----------------------+
//! |  EtherType of what follows    |
//! +-------------------------------+
//! ```

use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 4 bytes behind a VLAN EtherType.
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
    /// Priority, drop eligibility and VLAN id.
    pub tci: U16,
    /// EtherType of what follows.
    pub ether_type: U16,
}

/// Bits of the TCI that are the VLAN id.
pub const VID_MASK: u16 = 0x0fff;
/// Bits of the TCI that are the priority.
pub const PCP_MASK: u16 = 0xe000;
/// Position of the priority.
pub const PCP_SHIFT: u32 = 13;
/// The drop eligible indicator; earlier the canonical format indicator.
pub const DEI: u16 = 0x1000;

impl Header {
    /// VLAN id, 0 to 4095.
    pub fn vid(&self) -> u16 {
        self.tci.get() & VID_MASK
    }

    /// Priority, 0 to 7.
    pub fn pcp(&self) -> u8 {
        (self.tci.get() >> PCP_SHIFT) as u8
    }

    /// Drop eligible.
    pub fn dei(&self) -> bool {
        self.tci.get() & DEI != 0
    }
}

/// A TCI from its parts; bits that do not fit are dropped.
pub const fn tci(vid: u16, pcp: u8, dei: bool) -> u16 {
    vid & VID_MASK | (pcp as u16) << PCP_SHIFT | if dei { DEI } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "b064 0800",
        Header {
            tci: U16::new(tci(100, 5, true)),
            ether_type: U16::new(0x0800)
        }
    );

    #[test]
    fn parts() {
        let header = Header {
            tci: U16::new(0xb064),
            ..Header::default()
        };
        assert_eq!((header.vid(), header.pcp(), header.dei()), (100, 5, true));
    }
}
