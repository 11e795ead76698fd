//! IGMP (RFC 2236; version 3, RFC 3376, starts alike).
//!
//! ```text
//! +---------------+---------------+-------------------------------+
//! |     type      | max response  |           checksum            |
//! +---------------+---------------+-------------------------------+
//! |                         group address                         |
//! +---------------------------------------------------------------+
//! ```

use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 8 bytes that all versions have.
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
    /// Maximum response time.
    pub code: u8,
    /// Checksum over the whole message.
    pub checksum: U16,
    /// Group address.
    pub group: [u8; 4],
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "16 00 0000 e0000116",
        Header {
            kind: 0x16,
            code: 0,
            checksum: U16::ZERO,
            group: [224, 0, 1, 22]
        }
    );
}
