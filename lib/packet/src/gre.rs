//! GRE (RFC 2784) with key and sequence number (RFC 2890).
//!
//! ```text
//! +-+-+-+-+-----------------+-----+-------------------------------+
//! |C|R|K|S|  reserved       | ver |         protocol type         |
//! +-+-+-+-+-----------------+-----+-------------------------------+
//! |   checksum, if C              |           reserved            |
//! +-------------------------------+-------------------------------+
//! |                       key, if K                               |
//! |                 sequence number, if S                         |
//! +---------------------------------------------------------------+
//! ```

use crate::{Wire, checksum};
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The fixed 4 bytes.
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
    /// Flags and version.
    pub flags: U16,
    /// EtherType of the payload.
    pub protocol: U16,
}

/// A checksum is present.
pub const CHECKSUM: u16 = 0x8000;
/// Source routes (RFC 1701); nobody uses them.
pub const ROUTING: u16 = 0x4000;
/// A key is present.
pub const KEY: u16 = 0x2000;
/// A sequence number is present.
pub const SEQUENCE: u16 = 0x1000;
/// Bits that must be the version: 0.
pub const VERSION_MASK: u16 = 0x0007;

/// A header with its optional parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gre {
    /// EtherType of the payload.
    pub protocol: u16,
    /// A checksum over header and payload; its value is [`Gre::emit`]'s and [`verify`]'s business.
    pub checksum: bool,
    /// Key.
    pub key: Option<u32>,
    /// Sequence number.
    pub sequence: Option<u32>,
}

impl Gre {
    /// Parses the header of `packet`; returns it and the payload.
    /// `None` when it is cut short, has another version or source routes.
    pub fn parse(packet: &[u8]) -> Option<(Gre, &[u8])> {
        let (header, mut rest) = Header::parse(packet)?;
        let flags = header.flags.get();
        if flags & (ROUTING | VERSION_MASK) != 0 {
            return None;
        }
        let mut word = |present: u16| {
            if flags & present == 0 {
                return Some(None);
            }
            let (word, behind) = rest.split_first_chunk::<4>()?;
            rest = behind;
            Some(Some(u32::from_be_bytes(*word)))
        };
        let checksum = word(CHECKSUM)?.is_some();
        let (key, sequence) = (word(KEY)?, word(SEQUENCE)?);
        Some((
            Gre {
                protocol: header.protocol.get(),
                checksum,
                key,
                sequence,
            },
            rest,
        ))
    }

    /// Bytes of the header.
    pub fn size(&self) -> usize {
        4 + 4 * [self.checksum, self.key.is_some(), self.sequence.is_some()]
            .iter()
            .filter(|part| **part)
            .count()
    }

    /// Writes the header to the start of `packet`, whose rest already is the payload.
    /// `None` when there is no room.
    pub fn emit(&self, packet: &mut [u8]) -> Option<()> {
        let (head, _) = packet.split_at_mut_checked(self.size())?;
        let bit = |present: bool, flag: u16| if present { flag } else { 0 };
        let flags = bit(self.checksum, CHECKSUM)
            | bit(self.key.is_some(), KEY)
            | bit(self.sequence.is_some(), SEQUENCE);
        let rest = Header {
            flags: U16::new(flags),
            protocol: U16::new(self.protocol),
        }
        .emit(head)?;
        let words = [self.checksum.then_some(0), self.key, self.sequence];
        for (slot, word) in rest.chunks_exact_mut(4).zip(words.into_iter().flatten()) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        if self.checksum {
            let sum = checksum::of(packet);
            packet[4..6].copy_from_slice(&sum.to_be_bytes());
        }
        Some(())
    }
}

/// The checksum of a packet that has one is right.
pub fn verify(packet: &[u8]) -> bool {
    checksum::of(packet) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "2000 6558",
        Header {
            flags: U16::new(KEY),
            protocol: U16::new(0x6558)
        }
    );

    #[test]
    fn all_parts() {
        let gre = Gre {
            protocol: 0x6558,
            checksum: true,
            key: Some(7),
            sequence: Some(9),
        };
        let mut packet = [0xa5; 18];
        gre.emit(&mut packet).unwrap();
        assert_eq!(packet[..4], hex("b000 6558"));
        assert!(verify(&packet));
        assert_eq!(Gre::parse(&packet), Some((gre, &[0xa5, 0xa5][..])));
        assert_eq!(Gre::parse(&packet[..15]), None);
        assert_eq!(gre.emit(&mut packet[..15]), None);
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(Gre::parse(&hex("3001 880b 00000000 00000000")), None);
        assert_eq!(Gre::parse(&hex("4000 0800 00000000 00000000")), None);
    }

    proptest! {
        #[test]
        fn parts_emit_then_parse(protocol: u16, checksum: bool, key: Option<u32>, sequence: Option<u32>) {
            let gre = Gre { protocol, checksum, key, sequence };
            let mut packet = vec![0xa5; gre.size()];
            gre.emit(&mut packet).unwrap();
            prop_assert_eq!(Gre::parse(&packet), Some((gre, &[][..])));
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..24)) {
            let _ = Gre::parse(&noise);
        }
    }
}
