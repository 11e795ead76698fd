//! ICMP for IPv4 (RFC 792).
//!
//! ```text
//! +---------------+---------------+-------------------------------+
//! |     type      |     code      |           checksum            |
//! +---------------+---------------+-------------------------------+
//! |              depends on the type                              |
//! +---------------------------------------------------------------+
//! ```

use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 8 bytes that all types have.
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
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum over the whole message.
    pub checksum: U16,
    /// Depends on the type: identifier and sequence number, MTU ...
    pub data: U32,
}

/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Code of [`UNREACHABLE`]: fragmentation needed; the low half of `data` is the MTU (RFC 1191).
pub const FRAGMENTATION_NEEDED: u8 = 4;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "08 00 0000 12340001",
        Header {
            kind: ECHO_REQUEST,
            code: 0,
            checksum: U16::ZERO,
            data: U32::new(0x12340001)
        }
    );
}
