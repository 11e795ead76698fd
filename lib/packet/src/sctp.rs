//! SCTP (RFC 9260): the common header. Its checksum is a CRC32c over header and chunks, without a pseudo-header.
//!
//! ```text
//! +-------------------------------+-------------------------------+
//! |          source port          |       destination port        |
//! +-------------------------------+-------------------------------+
//! |                       verification tag                        |
//! |                     checksum (CRC32c)                         |
//! +---------------------------------------------------------------+
//! ```

use crate::Wire;
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The common header.
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
    /// Verification tag.
    pub tag: U32,
    /// CRC32c, in the byte order of [`fill_checksum`].
    pub checksum: U32,
}

/// CRC32c (Castagnoli), reflected, one byte per table row.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 != 0 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The CRC32c of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        crc >> 8 ^ CRC_TABLE[usize::from(crc as u8 ^ byte)]
    })
}

/// Computes the checksum of the packet `bytes`. `None` when the header is cut short.
// RFC 9260 appendix A: the CRC goes out with its low byte first.
pub fn fill_checksum(bytes: &mut [u8]) -> Option<()> {
    Header::parse_mut(bytes)?.0.checksum = U32::ZERO;
    let crc = crc32c(bytes);
    Header::parse_mut(bytes)?.0.checksum.set(crc.swap_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "1388 1770 00000001 00000000",
        Header {
            src: U16::new(5000),
            dst: U16::new(6000),
            tag: U32::new(1),
            checksum: U32::ZERO
        }
    );

    #[test]
    fn crc_check_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn noise_never_panics(mut noise in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = fill_checksum(&mut noise);
        }
    }
}
