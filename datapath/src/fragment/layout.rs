//! Where the parts of an IP packet are in its frame, as far as fragments care: what each fragment
//! repeats, where the payload is, and what was said of it already.

use packet::{Wire, checksum, ethernet, ethertype, ipproto, ipv4, ipv6};

/// VLAN tags in front of a packet at most.
const TAGS_MAX: usize = 4;
/// Bytes at most that each fragment repeats, from the frame's start: 22 of Ethernet with two tags, an IP header,
/// and more options or extension headers than anybody uses. They have to be in a frame's first segment.
const PREFIX_SIZE_MAX: usize = 512;

/// Why a frame is not looked at further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No IPv4 or IPv6 packet.
    NotIp,
    /// The header's version, sizes or checksum are wrong.
    Malformed,
    /// The headers that each fragment repeats are too large.
    Headers,
}

/// An IP packet in a frame. Positions are bytes from the start of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// IPv6, and not IPv4.
    pub is_ipv6: bool,
    /// The IP header.
    pub l3: usize,
    /// Behind what each fragment repeats: the IPv4 header, or IPv6's unfragmentable part.
    pub prefix_end: usize,
    /// The payload; in IPv6 it may be 8 bytes behind the prefix, which are a fragment header.
    pub payload: usize,
    /// Behind the payload; what follows is padding.
    pub end: usize,
    /// The byte that says what follows the prefix.
    pub next_at: usize,
    /// What the payload is.
    pub protocol: u8,
    /// Identification, if it means something.
    pub id: u32,
    /// Where in the original payload this one belongs.
    pub offset: usize,
    /// More fragments follow this one.
    pub more: bool,
    /// IPv4's DF.
    pub dont_fragment: bool,
}

impl Layout {
    /// IPv6: there is a fragment header.
    pub(super) fn has_fragment_header(&self) -> bool {
        self.is_ipv6 && self.payload > self.prefix_end
    }

    /// Bytes of payload.
    pub(super) fn payload_size(&self) -> usize {
        self.end - self.payload
    }
}

/// Where the network header of a frame is.
#[inline]
pub(super) fn network(head: &[u8]) -> Option<ethernet::Payload> {
    ethernet::payload(head, TAGS_MAX)
}

/// Finds the parts of the packet in a frame of `size` bytes that starts with `head`.
// Inlined, so that the parts stay in registers: to copy as a whole what was just written in parts stalls the CPU
// (40 cycles of a split).
#[inline(always)]
pub(super) fn parse(head: &[u8], size: usize) -> Result<Layout, Fault> {
    let found = network(head).ok_or(Fault::NotIp)?;
    let layout = match found.ether_type {
        ethertype::IPV4 => parse_ipv4(head, found.offset).ok_or(Fault::Malformed)?,
        ethertype::IPV6 => parse_ipv6(head, found.offset).ok_or(Fault::Malformed)?,
        _ => return Err(Fault::NotIp),
    };
    if layout.end < layout.payload || layout.end > size {
        Err(Fault::Malformed)
    } else if layout.payload > PREFIX_SIZE_MAX {
        Err(Fault::Headers)
    } else {
        Ok(layout)
    }
}

#[inline(always)]
fn parse_ipv4(head: &[u8], l3: usize) -> Option<Layout> {
    let header = ipv4::Header::at(head, l3)?;
    let size = header.header_size();
    let whole = head.get(l3..l3 + size)?;
    if header.version() != 4 || size < ipv4::Header::SIZE || checksum::of(whole) != 0 {
        return None;
    }
    Some(Layout {
        is_ipv6: false,
        l3,
        prefix_end: l3 + size,
        payload: l3 + size,
        end: l3 + usize::from(header.total_size.get()),
        next_at: l3 + 9,
        protocol: header.protocol,
        id: header.id.get().into(),
        offset: header.fragment_offset_bytes(),
        more: header.mf(),
        dont_fragment: header.df(),
    })
}

fn parse_ipv6(head: &[u8], l3: usize) -> Option<Layout> {
    let header = ipv6::Header::at(head, l3)?;
    let start = l3 + ipv6::Header::SIZE;
    let end = start + usize::from(header.payload_size.get());
    let mut layout = Layout {
        is_ipv6: true,
        l3,
        prefix_end: start,
        payload: start,
        end,
        next_at: l3 + 6,
        protocol: header.next_header,
        id: 0,
        offset: 0,
        more: false,
        dont_fragment: false,
    };
    let bytes = &head[..end.min(head.len())];
    let (mut at, mut next_at, mut protocol) = (start, layout.next_at, layout.protocol);
    if header.version() != 6 {
        return None;
    }
    for _ in 0..ipv6::MAX_EXTENSIONS {
        let size = match protocol {
            ipproto::HOP_BY_HOP | ipproto::ROUTING | ipproto::DESTINATION => {
                (usize::from(*bytes.get(at + 1)?) + 1) * 8
            }
            // RFC 4302 section 2.2: the size of AH is in 32-bit words minus 2.
            ipproto::AH => (usize::from(*bytes.get(at + 1)?) + 2) * 4,
            ipproto::FRAGMENT => {
                let fragment = ipv6::Fragment::at(bytes, at)?;
                return Some(Layout {
                    prefix_end: at,
                    payload: at + ipv6::Fragment::SIZE,
                    next_at,
                    protocol: fragment.next_header,
                    id: fragment.id.get(),
                    offset: fragment.offset_bytes(),
                    more: fragment.more(),
                    ..layout
                });
            }
            _ => return Some(layout),
        };
        let kind = protocol;
        (protocol, next_at) = (*bytes.get(at)?, at);
        at += size;
        if at > bytes.len() {
            return None;
        }
        // RFC 8200 section 4.5: the unfragmentable part is "all headers up to and including the Routing header
        // if present, else the Hop-by-Hop Options header if present, else no extension headers."
        if matches!(kind, ipproto::HOP_BY_HOP | ipproto::ROUTING) {
            (layout.prefix_end, layout.payload) = (at, at);
            (layout.next_at, layout.protocol) = (next_at, protocol);
        }
    }
    None
}
