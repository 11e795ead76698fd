//! UDP (RFC 768).
//!
//! ```text
//! +-------------------------------+-------------------------------+
//! |          source port          |       destination port        |
//! +-------------------------------+-------------------------------+
//! |    size, header included      |       checksum (0: none)      |
//! +-------------------------------+-------------------------------+
//! ```

use crate::Wire;
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The whole header.
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
    /// Source port.
    pub src: U16,
    /// Destination port.
    pub dst: U16,
    /// Bytes of header and payload.
    pub size: U16,
    /// Checksum over pseudo-header, header and payload; 0 when there is none.
    pub checksum: U16,
}

/// Where VXLAN listens (RFC 7348).
pub const VXLAN_PORT: u16 = 4789;
/// Where L2TP listens, versions 2 and 3 (RFC 3931).
pub const L2TP_PORT: u16 = 1701;
/// Where Geneve listens (RFC 8926).
pub const GENEVE_PORT: u16 = 6081;

impl Header {
    /// A header around `payload_size` bytes, without a checksum.
    pub fn new(src: u16, dst: u16, payload_size: u16) -> Header {
        Header {
            src: U16::new(src),
            dst: U16::new(dst),
            size: U16::new(payload_size.saturating_add(Header::SIZE as u16)),
            checksum: U16::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(Header, "1388 1770 000a 0000", Header::new(5000, 6000, 2));
}
