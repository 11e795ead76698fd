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

    /// A control packet: for the control plane of an endpoint, never to be forwarded.
    pub fn is_control(&self) -> bool {
        self.flags & CONTROL != 0
    }
}

/// Options in one header at most: 63 words of at least one each.
pub const OPTIONS_MAX: usize = 63;

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

impl TunnelOption<'_> {
    /// Whoever does not know this option has to drop the packet.
    pub fn is_critical(&self) -> bool {
        self.kind & 0x80 != 0
    }

    /// Bytes of the option with its header.
    pub fn size(&self) -> usize {
        4 + self.value.len()
    }

    /// Writes the option to the start of `bytes`; returns what follows it. `None` when there is no room, or
    /// the value is not a multiple of 4 bytes, at most 124 of them.
    pub fn emit<'b>(&self, bytes: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let words = u8::try_from(self.value.len() / 4).ok()?;
        if words > 31 || !self.value.len().is_multiple_of(4) {
            return None;
        }
        let (head, rest) = bytes.split_at_mut_checked(self.size())?;
        let [high, low] = self.class.to_be_bytes();
        head[..4].copy_from_slice(&[high, low, self.kind, words]);
        head[4..].copy_from_slice(self.value);
        Some(rest)
    }
}

/// Why the options of a packet forbid to take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionError {
    /// The last one reaches beyond the options.
    CutShort,
    /// A critical one is not known.
    UnknownCritical,
}

// RFC 8926 section 3.5: "Endpoints receiving packets with unknown critical options MUST drop the packet"
/// Checks all options of a packet; `is_known` says which critical ones (class, type) the receiver understands.
/// The header's own critical bit is a hint for hardware, and not believed: the options themselves are looked at.
pub fn check(options: &[u8], is_known: impl Fn(u16, u8) -> bool) -> Result<(), OptionError> {
    let mut walked = 0;
    for option in self::options(options) {
        if option.is_critical() && !is_known(option.class, option.kind) {
            return Err(OptionError::UnknownCritical);
        }
        walked += option.size();
    }
    if walked == options.len() {
        Ok(())
    } else {
        Err(OptionError::CutShort)
    }
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

    #[test]
    fn unknown_critical_options_are_refused() {
        let good = hex("0102 03 00  0102 81 01 deadbeef");
        assert_eq!(
            check(&good, |class, kind| (class, kind) == (0x0102, 0x81)),
            Ok(())
        );
        assert_eq!(
            check(&good, |_, _| false),
            Err(OptionError::UnknownCritical)
        );
        assert_eq!(check(&good[..8], |_, _| true), Err(OptionError::CutShort));
        assert_eq!(check(&[], |_, _| false), Ok(()));
        let header = Header {
            flags: CONTROL,
            ..Header::new(Vni::MAX, 0)
        };
        assert!(header.is_control());
    }

    #[test]
    fn options_have_limits() {
        let option = |value| TunnelOption {
            class: 1,
            kind: 2,
            value,
        };
        let mut room = [0; 256];
        assert!(option(&[0; 124]).emit(&mut room).is_some());
        assert!(option(&[0; 128]).emit(&mut room).is_none());
        assert!(option(&[0; 3]).emit(&mut room).is_none());
        assert!(option(&[0; 4]).emit(&mut room[..7]).is_none());
    }

    proptest! {
        #[test]
        fn options_emit_then_parse(class: u16, kind: u8, words in 0usize..32, byte: u8) {
            let value = vec![byte; words * 4];
            let option = TunnelOption { class, kind, value: &value };
            let mut bytes = vec![0xa5; option.size()];
            option.emit(&mut bytes).unwrap();
            prop_assert_eq!(options(&bytes).collect::<Vec<_>>(), vec![option]);
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some((_, rest, _)) = super::parse(&noise) {
                prop_assert!(options(rest).count() <= OPTIONS_MAX);
                let _ = check(rest, |_, _| false);
            }
        }
    }
}
