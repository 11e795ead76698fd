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
/// Group policy (draft-smith-vxlan-group-policy-05 section 2.1): the reserved bytes are flags and a 16-bit id.
pub const FLAG_POLICY: u8 = 0x80;
/// Of the first reserved byte: "don't learn" and "policy applied".
pub const POLICY_FLAGS: u8 = 0x48;
/// Generic protocol extension (draft-ietf-nvo3-vxlan-gpe-13 section 3): the last reserved byte is the next protocol.
pub const FLAG_PROTOCOL: u8 = 0x04;
/// The same: an OAM packet.
pub const FLAG_OAM: u8 = 0x01;
/// The same: the version, which is 0.
pub const VERSION_MASK: u8 = 0x30;

/// EtherTypes and what the generic protocol extension says instead.
pub const NEXT_PROTOCOLS: &[(u16, u8)] = &[
    (crate::ethertype::TEB, 3),
    (crate::ethertype::IPV4, 1),
    (crate::ethertype::IPV6, 2),
];

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
