//! The table of headers that the frame language knows: names, fields, what is filled in.
//! A new header is a row here, and a line in [`follows`] for who announces it.

use packet::{ethertype, ipproto};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Decimal,
    Hex,
    Mac,
    Ipv4,
    Ipv6,
    /// Present or not.
    Flag,
    TcpFlags,
}

/// What a field is when the text does not give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// A usual value.
    Value(u128),
    /// Nothing: another name for bits of other fields. Never printed.
    Alias,
    /// The EtherType of what follows, or the size of an 802.3 payload.
    NextType,
    /// The IP protocol of what follows.
    NextProto,
    /// Bytes from this header to the end.
    WholeSize,
    /// Bytes behind this header.
    PayloadSize,
    /// 32-bit words of header and options.
    HeaderWords,
    /// 32-bit words of the options.
    OptionWords,
    /// Checksum of header and options.
    HeaderChecksum,
    /// Checksum of all from this header on.
    PlainChecksum,
    /// The same with the pseudo-header of the IP header before.
    PseudoChecksum,
    /// CRC32c of all from this header on.
    Crc,
    /// Whether no further label follows.
    Bottom,
    /// Not there: a 32-bit word behind the fixed header, announced by a bit of its first 16 (GRE).
    Absent(u16),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    /// First bit, from the start of the header.
    pub bit: usize,
    /// Number of bits.
    pub width: usize,
    pub format: Format,
    pub fill: Fill,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    /// Bytes.
    pub size: usize,
    /// In the order in which they are printed.
    pub fields: &'static [Field],
    /// The two fields that are written `A->B`.
    pub pair: Option<[&'static str; 2]>,
    /// May have options behind it.
    pub options: bool,
}

use Fill::*;
use Format::*;

const fn field(name: &'static str, bit: usize, width: usize, format: Format, fill: Fill) -> Field {
    Field {
        name,
        bit,
        width,
        format,
        fill,
    }
}

const fn row(name: &'static str, size: usize, fields: &'static [Field]) -> Row {
    Row {
        name,
        size,
        fields,
        pair: None,
        options: false,
    }
}

const fn pair(
    name: &'static str,
    size: usize,
    pair: [&'static str; 2],
    fields: &'static [Field],
) -> Row {
    Row {
        name,
        size,
        fields,
        pair: Some(pair),
        options: false,
    }
}

const fn with_options(row: Row) -> Row {
    Row {
        options: true,
        ..row
    }
}

const SRC_DST: [&str; 2] = ["src", "dst"];
const ZERO: Fill = Value(0);

const VLAN_FIELDS: &[Field] = &[
    field("vid", 4, 12, Decimal, ZERO),
    field("pcp", 0, 3, Decimal, ZERO),
    field("dei", 3, 1, Flag, ZERO),
    field("type", 16, 16, Hex, NextType),
];

/// The headers. The first field is also taken without its name: `vlan(100)`.
pub const ROWS: &[Row] = &[
    row(
        "eth",
        14,
        &[
            field("dst", 0, 48, Mac, ZERO),
            field("src", 48, 48, Mac, ZERO),
            field("type", 96, 16, Hex, NextType),
        ],
    ),
    row("vlan", 4, VLAN_FIELDS),
    row("svlan", 4, VLAN_FIELDS),
    row(
        "llc",
        3,
        &[
            field("dsap", 0, 8, Hex, Value(0x42)),
            field("ssap", 8, 8, Hex, Value(0x42)),
            field("control", 16, 8, Hex, Value(3)),
        ],
    ),
    row(
        "snap",
        8,
        &[
            field("llc", 0, 24, Hex, Value(0xaaaa03)),
            field("oui", 24, 24, Hex, ZERO),
            field("type", 48, 16, Hex, NextType),
        ],
    ),
    row(
        "mpls",
        4,
        &[
            field("label", 0, 20, Decimal, ZERO),
            field("tc", 20, 3, Decimal, ZERO),
            field("bos", 23, 1, Decimal, Bottom),
            field("ttl", 24, 8, Decimal, Value(64)),
        ],
    ),
    row(
        "pbb",
        4,
        &[
            field("isid", 8, 24, Decimal, ZERO),
            field("uca", 4, 1, Flag, ZERO),
            field("pcp", 0, 3, Decimal, ZERO),
            field("dei", 3, 1, Flag, ZERO),
            field("reserved", 5, 3, Decimal, ZERO),
        ],
    ),
    pair(
        "arp",
        28,
        ["spa", "tpa"],
        &[
            field("op", 48, 16, Decimal, Value(1)),
            field("sha", 64, 48, Mac, ZERO),
            field("tha", 144, 48, Mac, ZERO),
            field("spa", 112, 32, Ipv4, ZERO),
            field("tpa", 192, 32, Ipv4, ZERO),
            field("htype", 0, 16, Decimal, Value(1)),
            field("ptype", 16, 16, Hex, Value(0x0800)),
            field("hlen", 32, 8, Decimal, Value(6)),
            field("plen", 40, 8, Decimal, Value(4)),
        ],
    ),
    with_options(pair(
        "ipv4",
        20,
        SRC_DST,
        &[
            field("tos", 8, 8, Decimal, ZERO),
            field("dscp", 8, 6, Decimal, Alias),
            field("ecn", 14, 2, Decimal, Alias),
            field("ttl", 64, 8, Decimal, Value(64)),
            field("id", 32, 16, Decimal, ZERO),
            field("df", 49, 1, Flag, ZERO),
            field("mf", 50, 1, Flag, ZERO),
            field("reserved", 48, 1, Flag, ZERO),
            field("offset", 51, 13, Decimal, ZERO), // in units of 8 bytes
            field("proto", 72, 8, Decimal, NextProto),
            field("src", 96, 32, Ipv4, ZERO),
            field("dst", 128, 32, Ipv4, ZERO),
            field("version", 0, 4, Decimal, Value(4)),
            field("ihl", 4, 4, Decimal, HeaderWords),
            field("size", 16, 16, Decimal, WholeSize),
            field("csum", 80, 16, Hex, HeaderChecksum),
        ],
    )),
    pair(
        "ipv6",
        40,
        SRC_DST,
        &[
            field("tos", 4, 8, Decimal, ZERO),
            field("dscp", 4, 6, Decimal, Alias),
            field("ecn", 10, 2, Decimal, Alias),
            field("label", 12, 20, Hex, ZERO),
            field("ttl", 56, 8, Decimal, Value(64)),
            field("proto", 48, 8, Decimal, NextProto),
            field("src", 64, 128, Ipv6, ZERO),
            field("dst", 192, 128, Ipv6, ZERO),
            field("version", 0, 4, Decimal, Value(6)),
            field("size", 32, 16, Decimal, PayloadSize),
        ],
    ),
    row("hopopts", 8, EXTENSION_FIELDS),
    row("dstopts", 8, EXTENSION_FIELDS),
    row(
        "frag",
        8,
        &[
            field("id", 32, 32, Decimal, ZERO),
            field("offset", 16, 13, Decimal, ZERO), // in units of 8 bytes
            field("mf", 31, 1, Flag, ZERO),
            field("proto", 0, 8, Decimal, NextProto),
            field("reserved", 8, 8, Hex, ZERO),
            field("reserved2", 29, 2, Hex, ZERO),
        ],
    ),
    pair(
        "udp",
        8,
        SRC_DST,
        &[
            field("src", 0, 16, Decimal, ZERO),
            field("dst", 16, 16, Decimal, ZERO),
            field("size", 32, 16, Decimal, WholeSize),
            field("csum", 48, 16, Hex, PseudoChecksum),
        ],
    ),
    with_options(pair(
        "tcp",
        20,
        SRC_DST,
        &[
            field("flags", 100, 12, TcpFlags, Value(packet::tcp::ACK as u128)),
            field("seq", 32, 32, Decimal, ZERO),
            field("ack", 64, 32, Decimal, ZERO),
            field("window", 112, 16, Decimal, Value(0xffff)),
            field("urgent", 144, 16, Decimal, ZERO),
            field("src", 0, 16, Decimal, ZERO),
            field("dst", 16, 16, Decimal, ZERO),
            field("words", 96, 4, Decimal, HeaderWords),
            field("csum", 128, 16, Hex, PseudoChecksum),
        ],
    )),
    pair(
        "sctp",
        12,
        SRC_DST,
        &[
            field("tag", 32, 32, Hex, ZERO),
            field("src", 0, 16, Decimal, ZERO),
            field("dst", 16, 16, Decimal, ZERO),
            field("csum", 64, 32, Hex, Crc),
        ],
    ),
    row(
        "icmp",
        8,
        &[
            field("type", 0, 8, Decimal, Value(8)),
            field("code", 8, 8, Decimal, ZERO),
            field("data", 32, 32, Hex, ZERO),
            field("id", 32, 16, Decimal, Alias),
            field("seq", 48, 16, Decimal, Alias),
            field("csum", 16, 16, Hex, PlainChecksum),
        ],
    ),
    row(
        "icmpv6",
        8,
        &[
            field("type", 0, 8, Decimal, Value(128)),
            field("code", 8, 8, Decimal, ZERO),
            field("data", 32, 32, Hex, ZERO),
            field("id", 32, 16, Decimal, Alias),
            field("seq", 48, 16, Decimal, Alias),
            field("csum", 16, 16, Hex, PseudoChecksum),
        ],
    ),
    row(
        "ns",
        24,
        &[
            field("target", 64, 128, Ipv6, ZERO),
            field("type", 0, 8, Decimal, Value(135)),
            field("code", 8, 8, Decimal, ZERO),
            field("data", 32, 32, Hex, ZERO),
            field("csum", 16, 16, Hex, PseudoChecksum),
        ],
    ),
    row(
        "na",
        24,
        &[
            field("target", 64, 128, Ipv6, ZERO),
            field("type", 0, 8, Decimal, Value(136)),
            field("code", 8, 8, Decimal, ZERO),
            field("data", 32, 32, Hex, Value(0x6000_0000)), // solicited, override
            field("csum", 16, 16, Hex, PseudoChecksum),
        ],
    ),
    row(
        "sll",
        8,
        &[
            field("mac", 16, 48, Mac, ZERO),
            field("kind", 0, 8, Decimal, Value(1)),
            field("words", 8, 8, Decimal, Value(1)),
        ],
    ),
    row(
        "tll",
        8,
        &[
            field("mac", 16, 48, Mac, ZERO),
            field("kind", 0, 8, Decimal, Value(2)),
            field("words", 8, 8, Decimal, Value(1)),
        ],
    ),
    row(
        "igmp",
        8,
        &[
            field("group", 32, 32, Ipv4, ZERO),
            field("type", 0, 8, Hex, Value(0x16)), // membership report, version 2
            field("code", 8, 8, Decimal, ZERO),
            field("csum", 16, 16, Hex, PlainChecksum),
        ],
    ),
    row(
        "vxlan",
        8,
        &[
            field("vni", 32, 24, Decimal, ZERO),
            field("flags", 0, 8, Hex, Value(8)),
            field("reserved", 8, 24, Hex, ZERO),
            field("reserved2", 56, 8, Hex, ZERO),
        ],
    ),
    row(
        "gre",
        4,
        &[
            field("csum", 0, 32, Hex, Absent(packet::gre::CHECKSUM)),
            field("key", 0, 32, Decimal, Absent(packet::gre::KEY)),
            field("seq", 0, 32, Decimal, Absent(packet::gre::SEQUENCE)),
            field("proto", 16, 16, Hex, NextType),
            field("routing", 1, 1, Flag, ZERO),
            field("reserved", 4, 9, Hex, ZERO),
            field("version", 13, 3, Decimal, ZERO),
        ],
    ),
    row(
        "l2tpv3", // over UDP; cookie and sublayer are the session's, and written as hex
        8,
        &[
            field("session", 32, 32, Decimal, ZERO),
            field("flags", 0, 16, Hex, Value(3)),
            field("reserved", 16, 16, Hex, ZERO),
        ],
    ),
    row(
        "l2tpip", // the same over IP
        4,
        &[field("session", 0, 32, Decimal, ZERO)],
    ),
    row(
        "gpw",
        2,
        &[field("control", 0, 16, Hex, ZERO)], // as its bytes lie
    ),
    with_options(row(
        "geneve",
        8,
        &[
            field("vni", 32, 24, Decimal, ZERO),
            field("oam", 8, 1, Flag, ZERO),
            field("critical", 9, 1, Flag, ZERO),
            field("proto", 16, 16, Hex, NextType),
            field("version", 0, 2, Decimal, ZERO),
            field("words", 2, 6, Decimal, OptionWords),
            field("reserved", 10, 6, Hex, ZERO),
            field("reserved2", 56, 8, Hex, ZERO),
        ],
    )),
];

const EXTENSION_FIELDS: &[Field] = &[
    field("proto", 0, 8, Decimal, NextProto),
    field("words", 8, 8, Decimal, ZERO),
    field("data", 16, 48, Hex, Value(0x0104_0000_0000)), // PadN
];

/// Which header announces which next one: by EtherType, by IP protocol.
pub const ETHER_TYPES: &[(u16, &str)] = &[
    (ethertype::IPV4, "ipv4"),
    (ethertype::IPV6, "ipv6"),
    (ethertype::ARP, "arp"),
    (ethertype::VLAN, "vlan"),
    (ethertype::SVLAN, "svlan"),
    (ethertype::MPLS, "mpls"),
    (ethertype::MPLS_MULTICAST, "mpls"),
    (ethertype::PBB, "pbb"),
    (ethertype::TEB, "eth"),
    (ethertype::GPW, "gpw"),
];

/// As [`ETHER_TYPES`], by IP protocol.
pub const PROTOCOLS: &[(u8, &str)] = &[
    (ipproto::ICMP, "icmp"),
    (ipproto::IGMP, "igmp"),
    (ipproto::TCP, "tcp"),
    (ipproto::UDP, "udp"),
    (ipproto::SCTP, "sctp"),
    (ipproto::GRE, "gre"),
    (ipproto::ICMPV6, "icmpv6"),
    (ipproto::ICMPV6, "ns"),
    (ipproto::ICMPV6, "na"),
    (ipproto::HOP_BY_HOP, "hopopts"),
    (ipproto::DESTINATION, "dstopts"),
    (ipproto::FRAGMENT, "frag"),
    (ipproto::IPIP, "ipv4"),
    (ipproto::IPV6, "ipv6"),
    (ipproto::L2TP, "l2tpip"),
    (ipproto::GPW, "gpw"),
];

/// The EtherType for bare payload: "local experimental" (IEEE 802).
pub const UNKNOWN_TYPE: u16 = 0x88b5;
/// The IP protocol for bare payload: "experimentation and testing" (RFC 3692).
pub const UNKNOWN_PROTO: u8 = 253;

/// The row of a header.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

impl Row {
    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The value of a field in the header at the start of `bytes` (at least `self.size`); 0 if there is none.
    pub fn get(&self, bytes: &[u8], name: &str) -> u128 {
        self.field(name).map_or(0, |field| field.get(bytes))
    }
}

impl Field {
    /// All bits set.
    pub fn ones(&self) -> u128 {
        u128::MAX >> (128 - self.width)
    }

    /// Reads the bits from a header; 0 where it is cut short.
    pub fn get(&self, header: &[u8]) -> u128 {
        let bits = self.bit..self.bit + self.width;
        bits.fold(0, |value, bit| {
            let byte = header.get(bit / 8).copied().unwrap_or(0);
            value << 1 | u128::from(byte >> (7 - bit % 8) & 1)
        })
    }

    /// Writes the bits into a header, as far as it reaches.
    pub fn set(&self, header: &mut [u8], value: u128) {
        for (index, bit) in (self.bit..self.bit + self.width).enumerate() {
            let Some(byte) = header.get_mut(bit / 8) else {
                return;
            };
            let mask = 0x80 >> (bit % 8);
            let is_set = value >> (self.width - 1 - index) & 1 != 0;
            *byte = if is_set { *byte | mask } else { *byte & !mask };
        }
    }
}
