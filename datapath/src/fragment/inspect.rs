//! What a frame says of itself as a fragment: whose it is, and whether it may be one at all.
//! Needs no table, so that any worker can ask, and send the frame to the one that owns its datagram.

use super::hash::{self, Secret};
use super::layout::{self, Fault, Layout};
use super::outcome::Outcome;
use crate::edge::Frame;
use packet::{Wire, ipproto, ipv4, ipv6};

/// Bytes of payload of a whole packet at most.
const PACKET_SIZE_MAX: usize = 65535;

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    src: [u64; 2],
    dst: [u64; 2],
    id: u32,
    /// Where it was seen: fragments of different places never meet.
    zone: u64,
    /// IPv4's protocol; none for IPv6, where only the first fragment's counts.
    protocol: Option<u8>,
}

impl Key {
    /// Of IPv6, and not of IPv4.
    pub(super) fn is_ipv6(&self) -> bool {
        self.protocol.is_none()
    }

    /// The hash that tables and [`Key::owner`] use.
    pub(super) fn hash(&self, secret: &Secret) -> u64 {
        let [a, b] = self.src;
        let [c, d] = self.dst;
        let protocol = self.protocol.map_or(0x100, u64::from);
        let what = u64::from(self.id) << 16 | protocol;
        secret.hash([a, b, c, d, self.zone, what])
    }

    /// The hash of whom the fragments count for: an IPv4 address, or an IPv6 network of 64 bits, as whoever
    /// has one address of it has them all.
    pub(super) fn source_hash(&self, secret: &Secret) -> u64 {
        let [high, low] = self.src;
        let address = if self.is_ipv6() { high } else { low };
        secret.hash([address, self.zone, self.is_ipv6().into()])
    }

    /// Which of so many workers puts the datagram together. All of them say the same, given the same secret.
    pub fn owner(&self, secret: &Secret, workers: usize) -> usize {
        hash::scale(self.hash(secret), workers)
    }
}

/// A fragment in its frame, checked as far as it can be without the others.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    pub(super) key: Key,
    pub(super) layout: Layout,
    pub(super) ecn: u8,
}

impl Fragment {
    /// Looks at a frame, which was seen in `zone` (a number for the bridge, and what else must not mix).
    /// `None`: it is no fragment, and none of our business.
    #[inline]
    pub fn inspect<F: Frame>(frame: &F, zone: u64) -> Result<Option<Fragment>, Outcome> {
        let head = frame.head();
        let layout = match layout::parse(head, frame.size()) {
            Ok(layout) => layout,
            Err(Fault::NotIp) => return Ok(None),
            Err(Fault::Malformed) => return Err(Outcome::Malformed),
            Err(Fault::Headers) => return Err(Outcome::Headers),
        };
        let is_part = layout.more || layout.offset != 0;
        if !is_part && !layout.has_fragment_header() {
            return Ok(None);
        }
        let size = layout.payload_size();
        if !frame.offload().is_finished() {
            Err(Outcome::Unfinished)
        } else if layout.payload > head.len() {
            Err(Outcome::Malformed)
        } else if size == 0 && is_part {
            Err(Outcome::Empty)
        } else if layout.more && !size.is_multiple_of(8) {
            Err(Outcome::Misaligned)
        } else if layout.prefix_end - layout.l3 + layout.offset + size > size_max(&layout) {
            Err(Outcome::Oversize)
        } else if layout.is_ipv6 && layout.more && layout.offset == 0 && !has_chain(head, &layout) {
            Err(Outcome::HeaderChain)
        } else {
            let (key, ecn) = identify(head, &layout, zone).ok_or(Outcome::Malformed)?;
            Ok(Some(Fragment { key, layout, ecn }))
        }
    }

    /// What identifies its datagram.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Whether it is the first one of several.
    #[inline]
    pub fn begins(&self) -> bool {
        self.layout.offset == 0 && self.layout.more
    }

    /// RFC 6946 section 2: a fragment that is the whole packet.
    pub(super) fn is_atomic(&self) -> bool {
        self.layout.offset == 0 && !self.layout.more
    }

    /// Where its payload belongs in the datagram's.
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.layout.offset..self.layout.offset + self.layout.payload_size()
    }
}

/// Bytes of a whole packet at most, from the start of its IP header.
pub(super) fn size_max(layout: &Layout) -> usize {
    let outside = if layout.is_ipv6 {
        ipv6::Header::SIZE
    } else {
        0
    };
    PACKET_SIZE_MAX + outside
}

// Inlined for the same reason as `layout::parse`.
#[inline(always)]
fn identify(head: &[u8], layout: &Layout, zone: u64) -> Option<(Key, u8)> {
    let words = |bytes: [u8; 16]| {
        let bits = u128::from_be_bytes(bytes);
        [(bits >> 64) as u64, bits as u64]
    };
    let (src, dst, protocol, class) = if layout.is_ipv6 {
        let header = ipv6::Header::at(head, layout.l3)?;
        let class = header.traffic_class();
        (words(header.src), words(header.dst), None, class)
    } else {
        let header = ipv4::Header::at(head, layout.l3)?;
        let word = |bytes| [0, u64::from(u32::from_be_bytes(bytes))];
        let protocol = Some(header.protocol);
        (word(header.src), word(header.dst), protocol, header.tos)
    };
    let id = layout.id;
    let key = Key {
        src,
        dst,
        id,
        zone,
        protocol,
    };
    Some((key, class & 3))
}

/// Bytes of a transport's header at least.
const TRANSPORT_SIZES: &[(u8, usize)] = &[
    (ipproto::TCP, 20),
    (ipproto::UDP, 8),
    (ipproto::ICMPV6, 4),
    (ipproto::SCTP, 12),
    (ipproto::UDP_LITE, 8),
    (ipproto::GRE, 4),
    (ipproto::ESP, 8),
    (ipproto::L2TP, 4),
    (ipproto::IPIP, 20),
    (ipproto::IPV6, 40),
];

// RFC 7112 section 5: "When a host fragments an IPv6 datagram, it MUST include the entire IPv6 Header Chain
// in the First Fragment. [...] A host that receives a First Fragment that does not satisfy the above-stated
// requirement SHOULD discard the packet".
fn has_chain(head: &[u8], layout: &Layout) -> bool {
    let payload = &head[layout.payload..layout.end.min(head.len())];
    ipv6::upper(layout.protocol, payload).is_some_and(|upper| {
        let row = TRANSPORT_SIZES.iter().find(|row| row.0 == upper.protocol);
        upper.offset + row.map_or(0, |row| row.1) <= payload.len()
    })
}
