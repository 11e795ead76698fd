//! TCP (RFC 9293).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          source port          |       destination port        |
//! +-------------------------------+-------------------------------+
//! |                        sequence number                        |
//! |                     acknowledgement number                    |
//! +-------+-------+---------------+-------------------------------+
//! | words |     flags (12)        |            window             |
//! +-------+-----------------------+-------------------------------+
//! |           checksum            |        urgent pointer         |
//! +-------------------------------+-------------------------------+
//! ```

use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The fixed 20 bytes.
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
    /// Sequence number.
    pub seq: U32,
    /// Acknowledgement number.
    pub ack: U32,
    /// Header size in 32-bit words (upper 4 bits) and flags.
    pub size_flags: U16,
    /// Window.
    pub window: U16,
    /// Checksum over pseudo-header, header and payload.
    pub checksum: U16,
    /// Urgent pointer.
    pub urgent: U16,
}

/// Bits of `size_flags` that are flags.
pub const FLAGS_MASK: u16 = 0x0fff;
/// No more data from the sender.
pub const FIN: u16 = 0x001;
/// Synchronise sequence numbers.
pub const SYN: u16 = 0x002;
/// Reset.
pub const RST: u16 = 0x004;
/// Push.
pub const PSH: u16 = 0x008;
/// The acknowledgement number counts.
pub const ACK: u16 = 0x010;
/// The urgent pointer counts.
pub const URG: u16 = 0x020;
/// ECN echo.
pub const ECE: u16 = 0x040;
/// Congestion window reduced.
pub const CWR: u16 = 0x080;
/// The former nonce sum.
pub const NS: u16 = 0x100;

impl Header {
    /// A header without options.
    pub fn new(src: u16, dst: u16, flags: u16) -> Header {
        Header {
            src: U16::new(src),
            dst: U16::new(dst),
            size_flags: U16::new(5 << 12 | flags & FLAGS_MASK),
            window: U16::new(0xffff),
            ..Header::default()
        }
    }

    /// Bytes of the header with options, as the header says (so possibly below 20).
    #[inline(always)]
    pub fn header_size(&self) -> usize {
        usize::from(self.size_flags.get() >> 12) * 4
    }

    /// The 12 flag bits.
    #[inline(always)]
    pub fn flags(&self) -> u16 {
        self.size_flags.get() & FLAGS_MASK
    }

    /// Sets the 12 flag bits.
    #[inline]
    pub fn set_flags(&mut self, flags: u16) {
        self.size_flags
            .set(self.size_flags.get() & !FLAGS_MASK | flags & FLAGS_MASK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "0050 1f90 00000001 00000002 5012 ffff 0000 0000",
        Header {
            seq: U32::new(1),
            ack: U32::new(2),
            ..Header::new(80, 8080, SYN | ACK)
        }
    );

    #[test]
    fn size_and_flags() {
        let mut header = Header::new(1, 2, SYN);
        assert_eq!((header.header_size(), header.flags()), (20, SYN));
        header.set_flags(0xffff);
        assert_eq!((header.header_size(), header.flags()), (20, FLAGS_MASK));
    }
}
