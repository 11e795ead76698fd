//! Geneve (RFC 8926), inside UDP.
//!
//! ```text
//! +---+-----------+-+-+-----------+-------------------------------+
//! |ver| options/4 |O|C|  reserved |         protocol type         |
//! +---+-----------+-+-+-----------+---------------+---------------+
//! |          virtual network identifier           |   reserved    |
//! +-----------------------------------------------+---------------+
//! |  option class                 |C|    type     | res |  size/4 |
//! +-------------------------------+-+-------------+-----+---------+
//! |  option value ...                                             |
//! +---------------------------------------------------------------+
//! ```

use crate::{Vni, Wire};
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The fixed 8 bytes.
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
    /// Version (0) and size of the options in 32-bit words.
    pub version_size: u8,
    /// [`CONTROL`] and [`CRITICAL`].
    pub flags: u8,
    /// EtherType of the payload.
    pub protocol: U16,
    /// Virtual network identifier.
    pub vni: [u8; 3],
    /// Zero.
    pub reserved: u8,
}

/// A control packet.
pub const CONTROL: u8 = 0x80;
/// Critical options are present.
pub const CRITICAL: u8 = 0x40;

impl Header {
    /// A header with this identifier and no options.
    pub fn new(vni: Vni, protocol: u16) -> Header {
        Header {
            protocol: U16::new(protocol),
            vni: vni.to_bytes(),
            ..Header::default()
        }
    }

    /// Version; only 0 is known.
    pub fn version(&self) -> u8 {
        self.version_size >> 6
    }

    /// Bytes of the options.
    pub fn options_size(&self) -> usize {
        usize::from(self.version_size & 0x3f) * 4
    }

    /// Virtual network identifier.
    pub fn vni(&self) -> Vni {
        Vni::from_bytes(self.vni)
    }
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelOption<'b> {
    /// Namespace of the type.
    pub class: u16,
    /// Type; the top bit says critical.
    pub kind: u8,
    /// The value, a multiple of 4 bytes.
    pub value: &'b [u8],
}

/// Splits a packet into header, options and payload. `None` when it is cut short or of another version.
pub fn parse(packet: &[u8]) -> Option<(&Header, &[u8], &[u8])> {
    let (header, rest) = Header::parse(packet)?;
    let (options, payload) = rest.split_at_checked(header.options_size())?;
    (header.version() == 0).then_some((header, options, payload))
}

/// Walks over options; ends before one that is cut short.
pub fn options(mut bytes: &[u8]) -> impl Iterator<Item = TunnelOption<'_>> {
    core::iter::from_fn(move || {
        let (&[class_high, class_low, kind, size], rest) = bytes.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(usize::from(size & 0x1f) * 4)?;
        bytes = rest;
        Some(TunnelOption {
            class: u16::from_be_bytes([class_high, class_low]),
            kind,
            value,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "00 00 6558 00002a 00",
        Header::new(Vni::new(42).unwrap(), 0x6558)
    );

    #[test]
    fn options_are_walked() {
        let packet = hex("03 40 6558 00002a 00  0102 80 01 deadbeef  0102 03 00  ff");
        let (header, rest, payload) = super::parse(&packet).unwrap();
        assert_eq!((header.vni().get(), payload), (42, &[0xff][..]));
        let found: Vec<_> = options(rest).collect();
        assert_eq!(
            found[0],
            TunnelOption {
                class: 0x0102,
                kind: 0x80,
                value: &hex("deadbeef")
            }
        );
        assert_eq!(
            found[1],
            TunnelOption {
                class: 0x0102,
                kind: 3,
                value: &[]
            }
        );
        assert_eq!(super::parse(&packet[..19]), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some((_, rest, _)) = super::parse(&noise) {
                prop_assert!(options(rest).count() <= 64);
            }
        }
    }
}
