//! ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861).
//!
//! ```text
//! +---------------+---------------+-------------------------------+
//! |     type      |     code      |           checksum            |
//! +---------------+---------------+-------------------------------+
//! |              depends on the type                              |
//! +---------------------------------------------------------------+
//! |  NS and NA: target address (16)                               |
//! +---------------+---------------+-------------------------------+
//! |  option type  | size in 8     |  value ...                    |
//! +---------------+---------------+-------------------------------+
//! ```

use crate::{MacAddr, Wire};
use core::net::Ipv6Addr;
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
    /// Checksum over pseudo-header and message.
    pub checksum: U16,
    /// Depends on the type: identifier and sequence number, MTU, flags ...
    pub data: U32,
}

/// Neighbour solicitation or advertisement.
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
pub struct Neighbor {
    /// Type [`NS`] or [`NA`]; `data` holds the flags of NA.
    pub icmp: Header,
    /// The address that is asked for or advertised.
    pub target: [u8; 16],
}

/// Router advertisement.
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
pub struct RouterAdvert {
    /// Type [`RA`]; `data` holds hop limit, flags and lifetime.
    pub icmp: Header,
    /// How long a neighbour counts as reachable.
    pub reachable_millis: U32,
    /// Time between solicitations.
    pub retrans_millis: U32,
}

/// The option that carries a link-layer address.
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
pub struct LinkLayer {
    /// [`SOURCE_LINK`] or [`TARGET_LINK`].
    pub kind: u8,
    /// In units of 8 bytes: 1.
    pub size: u8,
    /// The address.
    pub mac: MacAddr,
}

/// Packet too big; `data` is the MTU.
pub const TOO_BIG: u8 = 2;
/// Echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Echo reply.
pub const ECHO_REPLY: u8 = 129;
/// Router solicitation.
pub const RS: u8 = 133;
/// Router advertisement.
pub const RA: u8 = 134;
/// Neighbour solicitation.
pub const NS: u8 = 135;
/// Neighbour advertisement.
pub const NA: u8 = 136;

/// Flag of NA: the sender is a router.
pub const NA_ROUTER: u32 = 1 << 31;
/// Flag of NA: answers a solicitation.
pub const NA_SOLICITED: u32 = 1 << 30;
/// Flag of NA: replaces a cached address.
pub const NA_OVERRIDE: u32 = 1 << 29;

/// Option: source link-layer address.
pub const SOURCE_LINK: u8 = 1;
/// Option: target link-layer address.
pub const TARGET_LINK: u8 = 2;
/// Option: prefix information.
pub const PREFIX: u8 = 3;
/// Option: MTU.
pub const MTU: u8 = 5;

impl Neighbor {
    /// Target address.
    pub fn target(&self) -> Ipv6Addr {
        self.target.into()
    }
}

/// One option of a neighbour discovery message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NdOption<'b> {
    /// Type.
    pub kind: u8,
    /// The whole option: type, size and value; a multiple of 8 bytes.
    pub bytes: &'b [u8],
}

impl NdOption<'_> {
    /// The MAC of a link-layer option of Ethernet's size.
    pub fn mac(&self) -> Option<MacAddr> {
        let (link, rest) = LinkLayer::parse(self.bytes)?;
        rest.is_empty().then_some(link.mac)
    }
}

/// More options than this are not looked at.
pub const MAX_OPTIONS: usize = 32;

/// Walks over options. An item is `Err` (and the last one) when an option's size is zero or too large.
/// Fewer than 8 bytes at the end are padding.
pub fn options(mut bytes: &[u8]) -> impl Iterator<Item = Result<NdOption<'_>, BadOption>> {
    core::iter::from_fn(move || {
        let &[kind, size, ..] = bytes.first_chunk::<8>()?;
        let size = usize::from(size) * 8;
        let Some((option, rest)) = bytes.split_at_checked(size).filter(|_| size > 0) else {
            bytes = &[];
            return Some(Err(BadOption));
        };
        bytes = rest;
        Some(Ok(NdOption {
            kind,
            bytes: option,
        }))
    })
    .take(MAX_OPTIONS)
}

/// An option's size is zero or reaches beyond the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOption;

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Neighbor,
        "88 00 0000 60000000 fd000000000000000000000000000001",
        Neighbor {
            icmp: Header {
                kind: NA,
                data: U32::new(NA_SOLICITED | NA_OVERRIDE),
                ..Header::default()
            },
            target: "fd00::1".parse::<Ipv6Addr>().unwrap().octets(),
        }
    );

    #[test]
    fn options_are_walked() {
        let bytes = hex("0101020000000001 0502000000000000 0000000000000000 0101");
        let found: Vec<_> = options(&bytes).map(|option| option.unwrap()).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].mac(), Some(MacAddr([2, 0, 0, 0, 0, 1])));
        assert_eq!(
            (found[1].kind, found[1].bytes.len(), found[1].mac()),
            (MTU, 16, None)
        );
    }

    #[test]
    fn bad_sizes_end_the_walk() {
        assert_eq!(
            options(&[1, 0, 0, 0, 0, 0, 0, 0]).collect::<Vec<_>>(),
            [Err(BadOption)]
        );
        assert_eq!(
            options(&[1, 2, 0, 0, 0, 0, 0, 0]).collect::<Vec<_>>(),
            [Err(BadOption)]
        );
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
            for option in options(&noise).flatten() {
                let _ = option.mac();
            }
        }
    }
}
