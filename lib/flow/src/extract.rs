//! From a frame to its key: one walk over the headers, only as deep as somebody asks.
//!
//! The fields mean what they mean in Open vSwitch: a header that is cut short or contradicts itself leaves
//! its fields (and those behind it) zero. Called for every frame by the workers: no memory is taken,
//! each header is checked once, and nothing here can panic.

use ofp::key::{ETH_TYPE_NONE, FRAG_ANY, FRAG_LATER, Key, VLAN_PRESENT, WORDS, WordSet, word};
use packet::{
    Wire, arp, bpdu, ethernet, ethertype, icmpv6, ipproto, ipv4, ipv6, llc, mpls, pbb, sctp, tcp,
    udp, vlan,
};

/// How far into a frame somebody looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// Not at all.
    #[default]
    None,
    /// Ethernet, VLAN tags, MPLS labels.
    L2,
    /// ARP, IPv4, IPv6 with its extension headers.
    L3,
    /// TCP, UDP, SCTP, ICMP, neighbour discovery.
    L4,
}

/// What to extract. Computed when rules change, used for every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    words: WordSet,
    depth: Depth,
    max_tags: u8,
}

/// VLAN tags that are looked behind, unless a plan says otherwise.
pub const MAX_TAGS: u8 = 2;

impl Plan {
    /// Everything.
    pub const FULL: Plan = Plan {
        words: WordSet((1 << WORDS) - 1),
        depth: Depth::L4,
        max_tags: MAX_TAGS,
    };

    /// The plan that fills `words` and finds the headers down to `at_least` (for rewriting them).
    pub fn new(words: WordSet, at_least: Depth) -> Plan {
        let needed = if words.intersects(word::L4, WORDS) {
            Depth::L4
        } else if words.intersects(word::IPV4, word::L4) {
            Depth::L3
        } else if words.intersects(word::ETH_DST, word::IPV4) {
            Depth::L2
        } else {
            Depth::None
        };
        Plan {
            words,
            depth: needed.max(at_least),
            max_tags: MAX_TAGS,
        }
    }

    /// The same plan with another number of VLAN tags to look behind (at most 2).
    pub const fn with_max_tags(self, max_tags: u8) -> Plan {
        Plan {
            max_tags: if max_tags < MAX_TAGS {
                max_tags
            } else {
                MAX_TAGS
            },
            ..self
        }
    }

    /// The words that were asked for. Other words of a key may be filled too.
    #[inline]
    pub fn words(&self) -> WordSet {
        self.words
    }

    /// How far frames are parsed.
    #[inline]
    pub fn depth(&self) -> Depth {
        self.depth
    }
}

/// Where a frame's headers are, as far as the plan went. An offset of 0 means "not there" (or not valid).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Behind the Ethernet header, its tags and SNAP: where an MPLS label stack starts or would be pushed.
    pub l2_5: u16,
    /// The ARP, IPv4 or IPv6 header.
    pub l3: u16,
    /// The transport header; also set in later fragments, where payload is there instead.
    pub l4: u16,
    /// VLAN tags that were walked over, 0 to 2.
    pub tags: u8,
    /// [`FRAG_ANY`] and [`FRAG_LATER`].
    pub frag: u8,
}

/// All that [`plain`] packets differ in, as the bytes stand there (the first one lowest), so that nothing has to be turned or put
/// together: eth_dst 6 | eth_src 2, eth_src 4 | tcp flags 2 | 0 | tos, ttl | proto | noise 2 | ipv4 src 4, dst 4 | l4 src 2 | dst 2.
pub type PlainWords = [u64; 4];

/// The bits of the words of a plain packet that correspond to these of a key, or to this mask's.
pub fn plain_words(key: &[u64; WORDS]) -> PlainWords {
    let [dst, src, ip, addresses, l4] =
        [word::ETH_DST, word::ETH_SRC, word::IP, word::IPV4, word::L4]
            .map(|index| key[index].to_be_bytes());
    let mut bytes = [0; 32];
    bytes[..6].copy_from_slice(&dst[..6]);
    bytes[6..12].copy_from_slice(&src[..6]);
    bytes[12..14].copy_from_slice(&l4[4..6]);
    bytes[15..18].copy_from_slice(&[ip[1], ip[2], ip[0]]);
    bytes[20..28].copy_from_slice(&addresses);
    bytes[28..].copy_from_slice(&l4[..4]);
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The words of a key that a plain packet has, as they stand there: `ETH_DST`, `ETH_SRC`, `IPV4`, `IP`, `L4`.
#[inline(always)]
pub fn key_words(words: &PlainWords) -> [u64; 5] {
    let [first, second, third, fourth] = *words;
    let [proto, ttl, tos] = [third >> 8, third, second >> 56].map(|byte| byte as u8);
    let flags = ((second >> 32) as u16).swap_bytes();
    [
        first.swap_bytes() & !0xffff | u64::from(ethertype::IPV4),
        (first >> 48 | second << 16).swap_bytes() & !0xffff,
        (third >> 32 | fourth << 32).swap_bytes(),
        ip_word(proto, tos, ttl, 0, 0),
        (fourth >> 32).swap_bytes() | u64::from(flags) << 16,
    ]
}

/// Writes what the words of a plain packet say to a key whose words from `ETH_DST` on are zero.
pub fn lay_plain(words: &PlainWords, key: &mut Key) {
    let places = [word::ETH_DST, word::ETH_SRC, word::IPV4, word::IP, word::L4];
    for (place, word) in places.into_iter().zip(key_words(words)) {
        key.0[place] = word;
    }
}

/// The layout of a packet that [`plain`] knows.
pub const PLAIN_LAYOUT: Layout = Layout {
    l2_5: 14,
    l3: 14,
    l4: 34,
    tags: 0,
    frag: 0,
};

/// What [`extract`] finds in a packet as most are: IPv4 without options, no fragment, no VLAN tag, and, `with_l4`, UDP or TCP. Its
/// other words are zero. `None`: it is another one, or may be; ask [`extract`].
#[inline(always)]
pub fn plain(head: &[u8], size: usize, with_l4: bool) -> Option<PlainWords> {
    const L3: usize = ethernet::Header::SIZE;
    const L4: usize = L3 + ipv4::Header::SIZE;
    /// The EtherType and the first byte behind it, where the second word has them: version 4, 5 words.
    const SAME: u64 = u64::from_be_bytes([0, 0x45, 0, 8, 0, 0, 0, 0]);
    /// More fragments follow, or this is not the first one.
    const FRAGMENT: u16 = 0x3fff_u16.swap_bytes();
    const TCP_FLAGS: u16 = tcp::FLAGS_MASK.swap_bytes();
    let bytes: &[u8; L4 + udp::Header::SIZE] = head.first_chunk()?;
    let at = |place: usize| {
        bytes[place..]
            .first_chunk()
            .map_or(0, |b| u64::from_le_bytes(*b))
    };
    let (second, third, fourth) = (at(8) ^ SAME, at(L3 + 8), at(L3 + 16));
    let total = usize::from(u16::from_be_bytes([bytes[L3 + 2], bytes[L3 + 3]]));
    let fragment = u16::from_le_bytes([bytes[L3 + 6], bytes[L3 + 7]]);
    let end = L3 + total;
    if second >> 32 & 0xff_ffff != 0
        || fragment & FRAGMENT != 0
        || total < ipv4::Header::SIZE + udp::Header::SIZE
        // If it ends behind the frame, it is huge.
        || size.wrapping_sub(end) > MAX_PADDING
    {
        return None;
    }
    let (flags, fourth) = match bytes[L3 + 9] {
        _ if !with_l4 => (0, fourth & 0xffff_ffff),
        ipproto::UDP => (0, fourth),
        ipproto::TCP => {
            let bytes: &[u8; L4 + tcp::Header::SIZE] = head.first_chunk()?;
            let flags = u16::from_le_bytes([bytes[L4 + 12], bytes[L4 + 13]]);
            let header_size = usize::from(bytes[L4 + 12] >> 4) * 4;
            let room = end.min(head.len()) - L4;
            if header_size < tcp::Header::SIZE || header_size > room {
                return None;
            }
            (u64::from(flags & TCP_FLAGS) << 32, fourth)
        }
        _ => return None,
    };
    Some([at(0), second | flags, third, fourth])
}

/// Fills the packet's words of `key` (from `ETH_DST` on; the metadata before them is the caller's) as far as
/// `plan` asks, zero where the frame has no such header.
///
/// `head` holds the frame's headers contiguously, `size` is that of the whole frame (`>= head.len()`), which
/// the sizes inside the headers are checked against.
#[inline]
pub fn extract(head: &[u8], size: usize, plan: &Plan, key: &mut Key) -> Layout {
    let mut layout = Layout::default();
    if plan.depth == Depth::None {
        return layout;
    }
    key.0[word::ETH_DST..].fill(0);
    let Some((&bytes, _)) = head.split_first_chunk::<{ ethernet::Header::SIZE }>() else {
        return layout;
    };
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let first = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let [i, j, k, l, type_high, type_low] = rest;
    let dst = first & !0xffff;
    let src = first << 48 | u64::from(u32::from_be_bytes([i, j, k, l])) << 16;
    let mut ether_type = u16::from_be_bytes([type_high, type_low]);
    let mut offset = ethernet::Header::SIZE;

    let mut tci = 0;
    if ethertype::is_vlan(ether_type) {
        let mut inner = 0;
        (ether_type, offset) = tags(head, ether_type, plan, &mut layout, &mut tci, &mut inner);
        key.0[word::VLAN_INNER] = inner;
    }
    if ether_type < ethertype::MIN {
        (ether_type, offset) = ieee_802_3(head, offset, key);
    }
    key.0[word::ETH_DST] = dst | u64::from(ether_type);
    key.0[word::ETH_SRC] = src | u64::from(tci);
    layout.l2_5 = offset as u16;

    match ether_type {
        ethertype::IPV4 if plan.depth >= Depth::L3 => {
            extract_ipv4(head, size, offset, plan, key, &mut layout)
        }
        ethertype::IPV6 if plan.depth >= Depth::L3 => {
            extract_ipv6(head, size, offset, plan, key, &mut layout)
        }
        ethertype::ARP | ethertype::RARP if plan.depth >= Depth::L3 => {
            extract_arp(head, offset, key, &mut layout)
        }
        ethertype::MPLS | ethertype::MPLS_MULTICAST => extract_mpls(head, offset, key),
        ethertype::PBB => extract_pbb(head, offset, key),
        _ => {}
    }
    layout
}

/// Walks over VLAN tags: the type and place of what is behind them. A tag that is cut short is not a tag.
fn tags(
    head: &[u8],
    mut ether_type: u16,
    plan: &Plan,
    layout: &mut Layout,
    outer: &mut u16,
    inner: &mut u64,
) -> (u16, usize) {
    let mut offset = ethernet::Header::SIZE;
    while ethertype::is_vlan(ether_type) && layout.tags < plan.max_tags {
        let Some(tag) = vlan::Header::at(head, offset) else {
            break;
        };
        let tci = tag.tci.get() | VLAN_PRESENT;
        if layout.tags == 0 {
            *outer = tci;
            *inner = u64::from(ether_type) << 16;
        } else {
            *inner |= u64::from(tci) << 48 | u64::from(ether_type);
        }
        layout.tags += 1;
        ether_type = tag.ether_type.get();
        offset += vlan::Header::SIZE;
    }
    (ether_type, offset)
}

/// An 802.3 frame: the type that SNAP names, or none; and which BPDU it is.
#[cold]
fn ieee_802_3(head: &[u8], offset: usize, key: &mut Key) -> (u16, usize) {
    let payload = head.get(offset..).unwrap_or_default();
    let kind = bpdu::recognise(payload);
    key.0[word::VLAN_INNER] |= u64::from(kind as u8) << 32;
    match llc::snap_ether_type(payload) {
        Some(ether_type) if ether_type >= ethertype::MIN => (ether_type, offset + llc::Snap::SIZE),
        Some(_) => (ETH_TYPE_NONE, offset + llc::Snap::SIZE),
        None => (ETH_TYPE_NONE, offset),
    }
}

fn extract_mpls(head: &[u8], offset: usize, key: &mut Key) {
    let mut shift = [(word::MPLS, 32), (word::MPLS, 0), (word::MPLS3, 32)].into_iter();
    let mut rest = head.get(offset..).unwrap_or_default();
    while let Some((entry, behind)) = mpls::Header::parse(rest) {
        let Some((index, shift)) = shift.next() else {
            return;
        };
        key.0[index] |= u64::from(entry.lse.get()) << shift;
        if entry.is_bottom() {
            return;
        }
        rest = behind;
    }
}

/// The service instance tag; the frame inside is payload.
#[cold]
fn extract_pbb(head: &[u8], offset: usize, key: &mut Key) {
    if let Some(tag) = pbb::Header::at(head, offset) {
        key.0[word::MPLS3] |= u64::from(tag.uca()) << 24 | u64::from(tag.isid());
    }
}

fn extract_arp(head: &[u8], offset: usize, key: &mut Key, layout: &mut Layout) {
    let Some(header) = arp::Header::at(head, offset).filter(|header| header.is_ethernet_ipv4())
    else {
        return;
    };
    layout.l3 = offset as u16;
    key.0[word::IPV4] =
        u64::from(u32::from_be_bytes(header.spa)) << 32 | u64::from(u32::from_be_bytes(header.tpa));
    if let Ok(op) = u8::try_from(header.op.get()) {
        key.0[word::IP] = u64::from(op) << 56;
    }
    key.0[word::ARP_SHA] = header.sha.to_u64() << 16;
    key.0[word::ARP_THA] = header.tha.to_u64() << 16;
}

/// Link-layer padding behind a packet that is larger than this makes it invalid, as its size was forged.
const MAX_PADDING: usize = u16::MAX as usize;

#[inline]
fn extract_ipv4(
    head: &[u8],
    size: usize,
    offset: usize,
    plan: &Plan,
    key: &mut Key,
    layout: &mut Layout,
) {
    let Some(header) = ipv4::Header::at(head, offset) else {
        return;
    };
    let (header_size, end) = (
        header.header_size(),
        offset + usize::from(header.total_size.get()),
    );
    let l4 = offset + header_size;
    if header_size < ipv4::Header::SIZE
        || l4 > end
        || end > size
        || size - end > MAX_PADDING
        || l4 > head.len()
    {
        return;
    }
    layout.l3 = offset as u16;
    layout.l4 = l4 as u16;
    layout.frag = frag_byte(header.is_fragment(), header.is_later_fragment());
    key.0[word::IPV4] =
        u64::from(u32::from_be_bytes(header.src)) << 32 | u64::from(u32::from_be_bytes(header.dst));
    key.0[word::IP] = ip_word(header.protocol, header.tos, header.ttl, layout.frag, 0);
    if plan.depth == Depth::L4 && layout.frag & FRAG_LATER == 0 {
        let transport = head.get(l4..end.min(head.len())).unwrap_or_default();
        extract_transport(header.protocol, transport, key);
    }
}

#[inline]
fn extract_ipv6(
    head: &[u8],
    size: usize,
    offset: usize,
    plan: &Plan,
    key: &mut Key,
    layout: &mut Layout,
) {
    let Some(header) = ipv6::Header::at(head, offset) else {
        return;
    };
    let payload_start = offset + ipv6::Header::SIZE;
    let end = payload_start + usize::from(header.payload_size.get());
    if end > size || size - end > MAX_PADDING {
        return;
    }
    layout.l3 = offset as u16;
    let (src, dst) = (halves(header.src), halves(header.dst));
    [key.0[word::IPV6_SRC], key.0[word::IPV6_SRC + 1]] = src;
    [key.0[word::IPV6_DST], key.0[word::IPV6_DST + 1]] = dst;
    let payload = head
        .get(payload_start..end.min(head.len()))
        .unwrap_or_default();
    let Some(upper) = ipv6::upper(header.next_header, payload) else {
        return;
    };
    layout.l4 = (payload_start + upper.offset) as u16;
    layout.frag = frag_byte(upper.is_fragment, upper.is_later);
    let class = header.traffic_class();
    key.0[word::IP] = ip_word(
        upper.protocol,
        class,
        header.hop_limit,
        layout.frag,
        header.label(),
    );
    if plan.depth != Depth::L4 {
        return;
    }
    if layout.frag & FRAG_LATER == 0 {
        extract_transport(
            upper.protocol,
            payload.get(upper.offset..).unwrap_or_default(),
            key,
        );
    }
    if ipv6::has_extensions(header.next_header) {
        key.0[word::L4] |= u64::from(ipv6::extensions(header.next_header, payload));
    }
}

#[inline(always)]
fn frag_byte(is_fragment: bool, is_later: bool) -> u8 {
    (FRAG_ANY * u8::from(is_fragment)) | (FRAG_LATER * u8::from(is_later))
}

#[inline(always)]
fn ip_word(protocol: u8, tos: u8, ttl: u8, frag: u8, label: u32) -> u64 {
    u64::from(u32::from_be_bytes([protocol, tos, ttl, frag])) << 32 | u64::from(label)
}

#[inline(always)]
fn halves(address: [u8; 16]) -> [u64; 2] {
    let value = u128::from_be_bytes(address);
    [(value >> 64) as u64, value as u64]
}

#[inline(always)]
fn l4_word(src: u16, dst: u16, flags: u16) -> u64 {
    u64::from(src) << 48 | u64::from(dst) << 32 | u64::from(flags) << 16
}

/// `bytes` end where the packet ends, so link-layer padding is never taken for a header.
#[inline]
fn extract_transport(protocol: u8, bytes: &[u8], key: &mut Key) {
    key.0[word::L4] = match protocol {
        ipproto::TCP => match tcp::Header::parse(bytes) {
            Some((header, _))
                if (tcp::Header::SIZE..=bytes.len()).contains(&header.header_size()) =>
            {
                l4_word(header.src.get(), header.dst.get(), header.flags())
            }
            _ => 0,
        },
        ipproto::UDP => match udp::Header::parse(bytes) {
            Some((header, _)) => l4_word(header.src.get(), header.dst.get(), 0),
            None => 0,
        },
        ipproto::SCTP => match sctp::Header::parse(bytes) {
            Some((header, _)) => l4_word(header.src.get(), header.dst.get(), 0),
            None => 0,
        },
        ipproto::ICMP | ipproto::IGMP | ipproto::ICMPV6 => match icmpv6::Header::parse(bytes) {
            // All three start with a byte of type and a byte of code (IGMP: maximum response time).
            Some((header, _)) => {
                if protocol == ipproto::ICMPV6
                    && matches!(header.kind, icmpv6::NS | icmpv6::NA)
                    && header.code == 0
                {
                    extract_nd(bytes, key);
                }
                l4_word(header.kind.into(), header.code.into(), 0)
            }
            None => 0,
        },
        _ => 0,
    };
}

/// Neighbour solicitation or advertisement. A link-layer address that is there twice voids all of it,
/// except for the reserved bits.
fn extract_nd(bytes: &[u8], key: &mut Key) {
    let Some((header, rest)) = icmpv6::Neighbor::parse(bytes) else {
        return;
    };
    key.0[word::ND_RESERVED] = u64::from(header.icmp.data.get()) << 32;
    let (mut source, mut target, mut first) = (0, 0, 0);
    for option in icmpv6::options(rest) {
        let Ok(option) = option else { break };
        let slot = match option.kind {
            icmpv6::SOURCE_LINK => &mut source,
            icmpv6::TARGET_LINK => &mut target,
            _ => continue,
        };
        let Some(mac) = option.mac() else { continue };
        if *slot != 0 {
            return;
        }
        *slot = mac.to_u64() << 16;
        if first == 0 {
            first = option.kind;
        }
    }
    [key.0[word::ND_TARGET], key.0[word::ND_TARGET + 1]] = halves(header.target);
    key.0[word::ARP_SHA] = source;
    key.0[word::ARP_THA] = target | u64::from(first) << 8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofp::field::Field;
    use proptest::{collection::vec, prelude::*};

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .filter_map(|c| c.to_digit(16))
            .map(|digit| digit as u8)
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    fn full(frame: &[u8]) -> (Key, Layout) {
        let mut key = Key([u64::MAX; WORDS]);
        let layout = extract(frame, frame.len(), &Plan::FULL, &mut key);
        (key, layout)
    }

    const TAGGED: &str = "000000000002 000000000001 88a8 0064 8100 e001 0800
        45b8 0021 0000 2000 40 11 0000 0a000001 0a000002  1388 1770 000d 0000 6869000000 ffff";

    #[test]
    fn every_layer() {
        let (key, layout) = full(&hex(TAGGED));
        let expected = [
            (Field::EthDst, 2),
            (Field::EthSrc, 1),
            (Field::EthType, 0x0800),
            (Field::VlanTci, 0x1064),
            (Field::IpSrc, 0x0a000001),
            (Field::IpDst, 0x0a000002),
            (Field::IpProto, 17),
            (Field::IpDscp, 0x2e),
            (Field::IpTtl, 64),
            (Field::IpFrag, 1),
            (Field::UdpSrc, 5000),
            (Field::UdpDst, 6000),
            (Field::TcpFlags, 0),
            (Field::ArpSha, 0),
        ];
        for (field, value) in expected {
            assert_eq!(key.get(field.place()), value, "{field:?}");
        }
        assert_eq!(key.0[word::VLAN_INNER], 0xf001_0000_88a8_8100);
        assert_eq!(
            layout,
            Layout {
                l2_5: 22,
                l3: 22,
                l4: 42,
                tags: 2,
                frag: FRAG_ANY
            }
        );
    }

    #[test]
    fn a_plan_stops_early() {
        let frame = hex(TAGGED);
        let mut words = WordSet::EMPTY;
        let mut key = Key::default();
        assert_eq!(
            extract(
                &frame,
                frame.len(),
                &Plan::new(words, Depth::None),
                &mut key
            ),
            Layout::default()
        );
        assert_eq!(key, Key::default());
        words.insert(word::ETH_DST);
        let layout = extract(
            &frame,
            frame.len(),
            &Plan::new(words, Depth::None),
            &mut key,
        );
        assert_eq!((layout.l2_5, layout.l3, key.0[word::IPV4]), (22, 0, 0));
        words.insert(word::IP);
        let layout = extract(
            &frame,
            frame.len(),
            &Plan::new(words, Depth::None),
            &mut key,
        );
        assert_eq!((layout.l4, key.0[word::L4]), (42, 0));
        let layout = extract(
            &frame,
            frame.len(),
            &Plan::new(words, Depth::L4).with_max_tags(1),
            &mut key,
        );
        assert_eq!(
            (layout.tags, layout.l3, key.get(Field::EthType.place())),
            (1, 0, 0x8100)
        );
    }

    #[test]
    fn sizes_are_checked_against_the_whole_frame() {
        let mut frame = hex(TAGGED);
        frame[24..26].copy_from_slice(&1000u16.to_be_bytes());
        assert_eq!(full(&frame).1.l3, 0);
        let mut key = Key::default();
        let layout = extract(&frame, 1022, &Plan::FULL, &mut key);
        assert_eq!((layout.l3, key.get(Field::UdpDst.place())), (22, 6000));
    }

    #[test]
    fn service_instances() {
        let (key, layout) = full(&hex(
            "000000000002 000000000001 88e7 08012345 000000000004 000000000003 0800",
        ));
        assert_eq!(key.get(Field::PbbIsid.place()), 0x012345);
        assert_eq!(key.get(Field::PbbUca.place()), 1);
        assert_eq!((layout.l2_5, key.0[word::MPLS]), (14, 0));
    }

    #[test]
    fn extension_headers() {
        // Hop-by-hop, then UDP.
        let (key, layout) = full(&hex("000000000002 000000000001 86dd 60000000 0010 00 40
            fd000000000000000000000000000001 fd000000000000000000000000000002
            1100010400000000 1388177000080000"));
        assert_eq!(
            key.get(Field::Ipv6Exthdr.place()),
            ipv6::summary::HOP.into()
        );
        assert_eq!((key.get(Field::UdpDst.place()), layout.l4), (6000, 62));
    }

    #[test]
    fn neighbour_discovery() {
        let (key, _) = full(&hex("000000000002 000000000001 86dd 60000000 0020 3a ff
            fd000000000000000000000000000001 fd000000000000000000000000000002
            8800000060000000 fd000000000000000000000000000003 0201000000000005"));
        for (field, value) in [
            (Field::NdReserved, 0x6000_0000),
            (Field::NdOptionsType, 2),
            (Field::NdTll, 5),
            (Field::NdSll, 0),
            (Field::NdTarget, 0xfd00 << 112 | 3),
        ] {
            assert_eq!(key.get(field.place()), value, "{field:?}");
        }
    }

    #[test]
    fn bpdus_are_recognised() {
        let (key, _) = full(&hex("0180c2000000 000000000001 0026 424203 0000 02 02"));
        assert_eq!(key.get(Field::BpduType.place()), bpdu::Kind::Rstp as u128);
        assert_eq!(key.get(Field::EthType.place()), u128::from(ETH_TYPE_NONE));
    }

    #[test]
    fn metadata_is_left_alone() {
        let (key, _) = full(&[]);
        assert!(key.0[..word::ETH_DST].iter().all(|word| *word == u64::MAX));
        assert!(key.0[word::ETH_DST..].iter().all(|word| *word == 0));
    }

    proptest! {
        /// Frames that are plain but for a few bytes; whatever is said of them has to be true.
        #[test]
        fn plain_packets_are_extracted_the_same(
            tcp in any::<bool>(), l4 in vec(any::<u8>(), 28), changes in vec((0usize..62, any::<u8>()), 0..3),
            cut in 0usize..4, more in 0usize..3, with_l4 in any::<bool>(),
        ) {
            let mut frame = hex("000000000002 000000000001 0800 45b8 0030 0000 4000 40 11 0000 0a000001 0a000002");
            frame[23] = if tcp { ipproto::TCP } else { ipproto::UDP };
            frame.extend(l4);
            for (at, value) in changes {
                frame[at] = value;
            }
            if tcp && cut % 2 == 0 {
                frame[46] = 0x50;
            }
            frame.truncate(62 - if cut == 3 { 25 } else { 0 });
            let size = frame.len() + more;
            if let Some(words) = plain(&frame, size, with_l4) {
                let mut key = Key::default();
                let depth = if with_l4 { Depth::L4 } else { Depth::L3 };
                let layout = extract(&frame, size, &Plan::new(WordSet::EMPTY, depth), &mut key);
                prop_assert_eq!(layout, PLAIN_LAYOUT);
                let mut laid = Key::default();
                lay_plain(&words, &mut laid);
                prop_assert_eq!(&key, &laid);
                let [all, ours] = [&[u64::MAX; WORDS], &key.0].map(plain_words);
                let theirs: Vec<u64> = all.iter().zip(words).map(|(all, word)| all & word).collect();
                prop_assert_eq!(&ours[..], theirs);
            } else {
                // It is not only to be true, but for usual packets, too.
                let is_usual = !tcp && frame.len() == 62 && frame[..42] == hex(
                    "000000000002 000000000001 0800 45b8 0030 0000 4000 40 11 0000 0a000001 0a000002")[..];
                prop_assert!(!is_usual);
            }
        }

        #[test]
        fn noise_never_panics(noise in vec(any::<u8>(), 0..120), kind in 0usize..7, size in 0usize..200) {
            let types = [0x8100u16, 0x0800, 0x86dd, 0x0806, 0x8847, 0x88e7, 0x0026];
            let mut frame = noise;
            if let Some(slot) = frame.get_mut(12..14) {
                slot.copy_from_slice(&types[kind].to_be_bytes());
            }
            for depth in [Depth::None, Depth::L2, Depth::L3, Depth::L4] {
                let mut key = Key::default();
                let _ = extract(&frame, size.max(frame.len()), &Plan::new(WordSet::EMPTY, depth), &mut key);
            }
        }
    }
}
