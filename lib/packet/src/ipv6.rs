//! IPv6 (RFC 8200) and its extension headers.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+---------------+---------------------------------------+
//! |   6   | traffic class |              flow label               |
//! +-------+---------------+-------+---------------+---------------+
//! |         payload size          |  next header  |   hop limit   |
//! +-------------------------------+---------------+---------------+
//! |                        source address (16)                    |
//! |                     destination address (16)                  |
//! +---------------------------------------------------------------+
//! ```

use crate::{Wire, ipproto};
use core::net::Ipv6Addr;
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The fixed 40 bytes.
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
    /// Version (6), traffic class and flow label.
    pub version_class_label: U32,
    /// Bytes behind this header.
    pub payload_size: U16,
    /// Protocol, or kind of extension header, of what follows.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source.
    pub src: [u8; 16],
    /// Destination.
    pub dst: [u8; 16],
}

impl Header {
    /// A header around `payload_size` bytes.
    pub fn new(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, payload_size: u16) -> Header {
        Header {
            version_class_label: U32::new(6 << 28),
            payload_size: U16::new(payload_size),
            next_header,
            hop_limit: 64,
            src: src.octets(),
            dst: dst.octets(),
        }
    }

    /// The IP version: 6.
    #[inline(always)]
    pub fn version(&self) -> u8 {
        (self.version_class_label.get() >> 28) as u8
    }

    /// Traffic class: DSCP and ECN.
    #[inline(always)]
    pub fn traffic_class(&self) -> u8 {
        (self.version_class_label.get() >> 20) as u8
    }

    /// Flow label, 20 bits.
    #[inline(always)]
    pub fn label(&self) -> u32 {
        self.version_class_label.get() & 0xf_ffff
    }

    /// Sets the traffic class.
    #[inline]
    pub fn set_traffic_class(&mut self, class: u8) {
        let others = self.version_class_label.get() & !(0xff << 20);
        self.version_class_label
            .set(others | u32::from(class) << 20);
    }

    /// Sets the flow label to the low 20 bits of `label`.
    #[inline]
    pub fn set_label(&mut self, label: u32) {
        let others = self.version_class_label.get() & !0xf_ffff;
        self.version_class_label.set(others | label & 0xf_ffff);
    }

    /// Source address.
    pub fn src(&self) -> Ipv6Addr {
        self.src.into()
    }

    /// Destination address.
    pub fn dst(&self) -> Ipv6Addr {
        self.dst.into()
    }
}

/// The fragment header (RFC 8200 section 4.5).
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
pub struct Fragment {
    /// Protocol of what follows.
    pub next_header: u8,
    /// Zero.
    pub reserved: u8,
    /// Offset in units of 8 bytes (upper 13 bits), and "more fragments" (lowest bit).
    pub offset_more: U16,
    /// Identification.
    pub id: U32,
}

impl Fragment {
    /// More fragments follow.
    pub fn more(&self) -> bool {
        self.offset_more.get() & 1 != 0
    }

    /// Where this fragment's payload starts, in bytes.
    pub fn offset_bytes(&self) -> usize {
        usize::from(self.offset_more.get() & 0xfff8)
    }
}

/// A packet whose sizes fit together.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'b> {
    /// The fixed header.
    pub header: &'b Header,
    /// What the payload size says; link-layer padding is cut off.
    pub payload: &'b [u8],
}

/// Parses the packet at the start of `bytes`. `None` when the payload size is larger than `bytes`.
#[inline]
pub fn packet(bytes: &[u8]) -> Option<Packet<'_>> {
    let (header, rest) = Header::parse(bytes)?;
    Some(Packet {
        header,
        payload: rest.get(..header.payload_size.get().into())?,
    })
}

/// What is behind the extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upper {
    /// The transport protocol. In a later fragment it is [`ipproto::FRAGMENT`], as nothing more is known.
    pub protocol: u8,
    /// Where it starts in the payload of the IPv6 header.
    pub offset: usize,
    /// The packet is a real fragment (an "atomic" one, offset 0 without more, is not).
    pub is_fragment: bool,
    /// It is not the first one: there is no transport header.
    pub is_later: bool,
    /// Where a fragment header is, if there is one.
    pub fragment_header: Option<usize>,
    /// Where the last routing header is, if there is one.
    pub routing_header: Option<usize>,
}

/// More extension headers than this are refused: no honest sender needs them.
pub const MAX_EXTENSIONS: usize = 32;

/// Walks over the extension headers in `payload`, of which the first is of kind `next_header`.
/// `None` when one of them is cut short or there are too many.
#[inline]
pub fn upper(next_header: u8, payload: &[u8]) -> Option<Upper> {
    let mut upper = Upper {
        protocol: next_header,
        offset: 0,
        is_fragment: false,
        is_later: false,
        fragment_header: None,
        routing_header: None,
    };
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(upper.protocol) {
            return Some(upper);
        }
        let [next, size, offset_high, offset_low, ..] =
            *payload.get(upper.offset..)?.first_chunk::<8>()?;
        let size = extension_size(upper.protocol, size);
        let here = upper.offset;
        upper.offset += size;
        if upper.offset > payload.len() {
            return None;
        }
        if upper.protocol == ipproto::FRAGMENT {
            upper.fragment_header = Some(here);
            let offset_more = u16::from_be_bytes([offset_high, offset_low]);
            // The two reserved bits count, too: such a packet is not to be taken for a whole one.
            upper.is_fragment |= offset_more != 0;
            if offset_more & 0xfff8 != 0 {
                upper.is_later = true;
                return Some(upper);
            }
        } else if upper.protocol == ipproto::ROUTING {
            upper.routing_header = Some(here);
        }
        upper.protocol = next;
    }
    None
}

/// Bytes of an extension header, by its own second byte.
#[inline(always)]
fn extension_size(protocol: u8, size: u8) -> usize {
    match protocol {
        ipproto::FRAGMENT => 8,
        // RFC 4302 section 2.2: the size of AH is in 32-bit words minus 2.
        ipproto::AH => (usize::from(size) + 2) * 4,
        _ => (usize::from(size) + 1) * 8,
    }
}

/// OpenFlow's summary of extension headers (OpenFlow 1.3.5 section 7.2.3.8, OFPIEH_*).
pub mod summary {
    /// "No next header" encountered.
    pub const NO_NEXT: u16 = 1 << 0;
    /// Encrypted Sec Payload header present.
    pub const ESP: u16 = 1 << 1;
    /// Authentication header present.
    pub const AUTH: u16 = 1 << 2;
    /// 1 or 2 dest headers present.
    pub const DEST: u16 = 1 << 3;
    /// Fragment header present.
    pub const FRAG: u16 = 1 << 4;
    /// Router header present.
    pub const ROUTER: u16 = 1 << 5;
    /// Hop-by-hop header present.
    pub const HOP: u16 = 1 << 6;
    /// Unexpected repeats encountered.
    pub const UNREP: u16 = 1 << 7;
    /// Unexpected sequencing encountered.
    pub const UNSEQ: u16 = 1 << 8;
}

/// Whether [`extensions`] has something to say of a packet whose first next header this is.
#[inline(always)]
pub fn has_extensions(next_header: u8) -> bool {
    is_extension(next_header) || matches!(next_header, ipproto::NO_NEXT | ipproto::ESP)
}

/// Sums the extension headers up, as far as they are there: bits of [`summary`].
#[cold]
pub fn extensions(next_header: u8, payload: &[u8]) -> u16 {
    // RFC 8200 section 4.1: hop-by-hop, destination, routing, fragment, authentication, ESP, destination.
    const LAST: u8 = 6;
    let (mut bits, mut rank, mut destinations) = (0, 0, 0);
    let (mut protocol, mut rest) = (next_header, payload);
    for _ in 0..MAX_EXTENSIONS {
        let (bit, place) = match protocol {
            ipproto::NO_NEXT => return bits | summary::NO_NEXT,
            ipproto::HOP_BY_HOP => (summary::HOP, 0),
            ipproto::DESTINATION if rank <= 1 && destinations == 0 => (summary::DEST, 1),
            ipproto::DESTINATION => (summary::DEST, LAST),
            ipproto::ROUTING => (summary::ROUTER, 2),
            ipproto::FRAGMENT => (summary::FRAG, 3),
            ipproto::AH => (summary::AUTH, 4),
            ipproto::ESP => (summary::ESP, 5),
            _ => return bits,
        };
        destinations += u8::from(bit == summary::DEST);
        let again = bits & bit != 0 && (bit != summary::DEST || destinations > 2);
        let back = place < rank;
        bits |= bit;
        bits |= if again { summary::UNREP } else { 0 };
        bits |= if back && !again { summary::UNSEQ } else { 0 };
        rank = rank.max(place);
        let Some(&[next, size, offset_high, offset_low, ..]) = rest.first_chunk::<8>() else {
            return bits;
        };
        let is_later = protocol == ipproto::FRAGMENT
            && u16::from_be_bytes([offset_high, offset_low]) & 0xfff8 != 0;
        // What is behind ESP is secret, behind a later fragment's header it is payload.
        if protocol == ipproto::ESP || is_later {
            return bits;
        }
        rest = rest
            .get(extension_size(protocol, size)..)
            .unwrap_or_default();
        protocol = next;
    }
    bits
}

/// Whether it is the number of an extension header that [`upper`] walks over.
#[inline(always)]
pub fn is_extension(protocol: u8) -> bool {
    use ipproto::{AH, DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AH | DESTINATION)
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "6b8abcde 0008 11 40 fd00000000000000 0000000000000001 ff02000000000000 0000000000000002",
        {
            let mut header = Header::new(
                "fd00::1".parse().unwrap(),
                "ff02::2".parse().unwrap(),
                ipproto::UDP,
                8,
            );
            header.set_traffic_class(0xb8);
            header.set_label(0xfabcde);
            header.set_label(0xabcde);
            header
        }
    );

    #[test]
    fn fields() {
        let mut header = Header {
            version_class_label: U32::new(6 << 28),
            ..Header::default()
        };
        header.set_traffic_class(0xff);
        header.set_label(0xfff_ffff);
        header.set_traffic_class(0x12);
        assert_eq!(
            (header.version(), header.traffic_class(), header.label()),
            (6, 0x12, 0xf_ffff)
        );
    }

    #[test]
    fn extensions_are_walked() {
        // hop-by-hop (8), routing (8), AH (12), first fragment (8), UDP
        let payload = hex(
            "2b00000000000000 3300000000000000 2c01000000000000 00000000 1100000100000007 1388",
        );
        let found = upper(ipproto::HOP_BY_HOP, &payload).unwrap();
        assert_eq!((found.protocol, found.offset), (ipproto::UDP, 36));
        assert_eq!((found.is_fragment, found.is_later), (true, false));
        assert_eq!(
            (found.fragment_header, found.routing_header),
            (Some(28), Some(8))
        );
        assert_eq!(upper(ipproto::HOP_BY_HOP, &payload[..35]), None);
    }

    #[test]
    fn later_and_atomic_fragments() {
        let found = upper(ipproto::FRAGMENT, &hex("1100000800000007")).unwrap();
        assert_eq!(
            (found.protocol, found.is_fragment, found.is_later),
            (ipproto::FRAGMENT, true, true)
        );
        let found = upper(ipproto::FRAGMENT, &hex("1100000000000007")).unwrap();
        assert_eq!(
            (found.protocol, found.is_fragment, found.is_later),
            (ipproto::UDP, false, false)
        );
    }

    #[test]
    fn extensions_are_summed_up() {
        use summary::*;
        let chain = |headers: &[u8], last: u8| {
            let mut bytes = Vec::new();
            for at in 0..headers.len() {
                let next = headers.get(at + 1).copied().unwrap_or(last);
                bytes.extend([next, 0, 0, 0, 0, 0, 0, 0]);
            }
            extensions(headers.first().copied().unwrap_or(last), &bytes)
        };
        for (headers, last, want) in [
            (&[][..], ipproto::UDP, 0),
            (&[], ipproto::NO_NEXT, NO_NEXT),
            (
                &[0, 60, 43, 44, 51],
                ipproto::ESP,
                HOP | DEST | ROUTER | FRAG | AUTH | ESP,
            ),
            (&[0, 60, 43, 60], ipproto::UDP, HOP | DEST | ROUTER),
            (&[60, 60, 60], ipproto::UDP, DEST | UNREP),
            (&[43, 43], ipproto::TCP, ROUTER | UNREP),
            (&[43, 0], ipproto::TCP, ROUTER | HOP | UNSEQ),
            (&[51, 44], ipproto::NO_NEXT, AUTH | FRAG | UNSEQ | NO_NEXT),
        ] {
            assert_eq!(chain(headers, last), want, "{headers:?} {last}");
        }
        // A later fragment's payload is not looked at.
        assert_eq!(extensions(44, &hex("3b00000800000007")), FRAG);
    }

    #[test]
    fn endless_chains_end() {
        assert_eq!(upper(ipproto::HOP_BY_HOP, &[0; 4096]), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..80), next: u8) {
            let _ = packet(&noise);
            let _ = upper(next, &noise);
            let _ = extensions(next, &noise);
        }
    }
}
