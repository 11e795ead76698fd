//! VXLAN (RFC 7348), inside UDP.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-----------------------------------------------+
//! |R R R R I R R R|                   reserved                    |
//! +---------------+-------------------------------+---------------+
//! |          virtual network identifier           |   reserved    |
//! +-----------------------------------------------+---------------+
//! ```

use crate::Vni;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The whole header; an Ethernet frame follows.
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
    /// [`FLAG_VNI`] must be set.
    pub flags: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Virtual network identifier.
    pub vni: [u8; 3],
    /// Zero.
    pub reserved_end: u8,
}

/// The identifier is valid.
pub const FLAG_VNI: u8 = 0x08;

impl Header {
    /// A header with this identifier.
    pub fn new(vni: Vni) -> Header {
        Header {
            flags: FLAG_VNI,
            vni: vni.to_bytes(),
            ..Header::default()
        }
    }

    /// Virtual network identifier.
    pub fn vni(&self) -> Vni {
        Vni::from_bytes(self.vni)
    }

    // RFC 7348 section 5: "the I flag MUST be set to 1 for a valid VXLAN Network ID (VNI).
    // The other 7 bits (designated "R") are reserved fields and MUST be set to zero on transmission and ignored on receipt."
    /// The identifier is valid.
    pub fn has_vni(&self) -> bool {
        self.flags & FLAG_VNI != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "08000000 00002a00",
        Header::new(Vni::new(42).unwrap())
    );

    #[test]
    fn fields() {
        let header = Header::new(Vni::MAX);
        assert!(header.has_vni() && header.vni() == Vni::MAX);
    }
}
