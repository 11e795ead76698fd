//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! ```text
//!  0       2       4    5    6       8
//! +-------+-------+----+----+-------+--------------+-----------+--------------+-----------+
//! | htype | ptype | 6  | 4  | op    | sender MAC   | sender IP | target MAC   | target IP |
//! +-------+-------+----+----+-------+--------------+-----------+--------------+-----------+
//! ```

use crate::{MacAddr, ethertype};
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A whole ARP packet.
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
    /// Hardware type: 1 is Ethernet.
    pub hardware_type: U16,
    /// Protocol type: 0x0800.
    pub protocol_type: U16,
    /// Bytes of a hardware address: 6.
    pub hardware_size: u8,
    /// Bytes of a protocol address: 4.
    pub protocol_size: u8,
    /// 1 request, 2 reply.
    pub op: U16,
    /// Sender's MAC.
    pub sha: MacAddr,
    /// Sender's IPv4 address.
    pub spa: [u8; 4],
    /// Target's MAC.
    pub tha: MacAddr,
    /// Target's IPv4 address.
    pub tpa: [u8; 4],
}

/// Who has that address?
pub const REQUEST: u16 = 1;
/// I have.
pub const REPLY: u16 = 2;

impl Header {
    /// An Ethernet/IPv4 packet with this operation.
    pub fn new(op: u16) -> Header {
        Header {
            hardware_type: U16::new(1),
            protocol_type: U16::new(ethertype::IPV4),
            hardware_size: 6,
            protocol_size: 4,
            op: U16::new(op),
            ..Header::default()
        }
    }

    /// The fixed fields say Ethernet and IPv4.
    #[inline]
    pub fn is_ethernet_ipv4(&self) -> bool {
        self.hardware_type.get() == 1
            && self.protocol_type.get() == ethertype::IPV4
            && self.hardware_size == 6
            && self.protocol_size == 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002",
        Header {
            sha: MacAddr([2, 0, 0, 0, 0, 1]),
            spa: [10, 0, 0, 1],
            tpa: [10, 0, 0, 2],
            ..Header::new(REQUEST)
        }
    );

    #[test]
    fn others_are_told_apart() {
        assert!(Header::new(REPLY).is_ethernet_ipv4());
        assert!(
            !Header {
                hardware_size: 8,
                ..Header::new(REPLY)
            }
            .is_ethernet_ipv4()
        );
    }
}
