//! docs/reference/fields.md.

use super::{code, doc, head, no_strangers, row, table, version};
use ofp::field::{FIELDS, Format, Prereq, Row};
use ofp::text::wire_names;
use ofp::types::Version;

/// A sentence for each field; those that differ in a number only have one together.
const DOCS: &[(&str, &str)] = &[
    (
        "dp_hash",
        "hash of the packet, as select groups with `dp_hash` use it",
    ),
    (
        "packet_type",
        "what the packet begins with: `(0,0)` Ethernet, `(1,T)` what ether type T says",
    ),
    ("conj_id", "the conjunction whose dimensions all matched"),
    ("recirc_id", "0: packets are never sent round again"),
    (
        "tun_id",
        "key, VNI or session of the tunnel that the packet came by; of the one that it will leave by if that has `key=flow`",
    ),
    ("tun_src", "outer IPv4 source address"),
    ("tun_dst", "outer IPv4 destination address"),
    ("tun_ipv6_src", "outer IPv6 source address"),
    ("tun_ipv6_dst", "outer IPv6 destination address"),
    ("tun_flags", "`oam`: Geneve's bit for control packets"),
    ("tun_ttl", "outer TTL or hop limit"),
    ("tun_tos", "outer TOS or traffic class"),
    ("tun_gbp_id", "group policy id of VXLAN (`exts=gbp`)"),
    ("tun_gbp_flags", "group policy flags of VXLAN"),
    (
        "tun_metadataN",
        "Geneve options that the bridge's TLV map gives to these fields",
    ),
    ("metadata", "a value that tables hand to each other"),
    (
        "in_port",
        "the port that the packet came by, in 16 bits (OpenFlow 1.0's numbers)",
    ),
    ("in_port_oxm", "the same in 32 bits"),
    (
        "actset_output",
        "the port of the action set's output, or `unset`",
    ),
    ("skb_priority", "a value of the Linux kernel; 0 here"),
    (
        "pkt_mark",
        "a mark that stays with the packet through patch ports",
    ),
    ("regN", "registers: 0 when a packet comes"),
    (
        "xregN",
        "two registers as one: `xreg0` is `reg0` and `reg1`",
    ),
    (
        "xxregN",
        "four registers as one: `xxreg0` is `reg0` to `reg3`",
    ),
    ("eth_src", "Ethernet source address"),
    ("eth_dst", "Ethernet destination address"),
    (
        "eth_type",
        "ether type behind the VLAN tags; 0x05ff: none (LLC)",
    ),
    (
        "vlan_tci",
        "the outer VLAN tag's 16 bits, with 0x1000 for \"there is one\"",
    ),
    (
        "vlan_vid",
        "id of the outer VLAN tag, and 0x1000 for \"there is one\"; `dl_vlan` is the same without that bit",
    ),
    (
        "vlan_pcp",
        "priority of the outer VLAN tag; `dl_vlan_pcp` too",
    ),
    ("mpls_label", "outermost MPLS label"),
    ("mpls_tc", "its traffic class"),
    ("mpls_bos", "whether it is the last one"),
    ("mpls_ttl", "its TTL"),
    ("pbb_isid", "service instance id of a PBB tag"),
    ("pbb_uca", "whether its customer addresses are in use"),
    ("ip_src", "IPv4 source address; with `arp`: `arp_spa`"),
    ("ip_dst", "IPv4 destination address; with `arp`: `arp_tpa`"),
    ("ipv6_src", "IPv6 source address"),
    ("ipv6_dst", "IPv6 destination address"),
    ("ipv6_label", "IPv6 flow label"),
    (
        "ipv6_exthdr",
        "one bit for each kind of extension header, and for their order",
    ),
    ("nw_proto", "protocol inside IP"),
    ("nw_tos", "DSCP in the upper six bits of the octet"),
    ("ip_dscp", "DSCP as a number"),
    ("nw_ecn", "congestion notification bits"),
    ("nw_ttl", "TTL or hop limit"),
    (
        "ip_frag",
        "whether and which part of a fragmented packet: `no`, `yes`, `first`, `later`, `not_later`",
    ),
    ("arp_op", "operation: 1 request, 2 reply"),
    ("arp_spa", "sender's IPv4 address"),
    ("arp_tpa", "target's IPv4 address"),
    ("arp_sha", "sender's Ethernet address"),
    ("arp_tha", "target's Ethernet address"),
    (
        "tcp_src",
        "TCP source port; `tp_src` with any of the three protocols",
    ),
    ("tcp_dst", "TCP destination port; `tp_dst` likewise"),
    ("tcp_flags", "TCP flags, as in `+syn-ack`"),
    ("udp_src", "UDP source port"),
    ("udp_dst", "UDP destination port"),
    ("sctp_src", "SCTP source port"),
    ("sctp_dst", "SCTP destination port"),
    ("icmp_type", "ICMP type"),
    ("icmp_code", "ICMP code"),
    ("icmpv6_type", "ICMPv6 type"),
    ("icmpv6_code", "ICMPv6 code"),
    ("nd_target", "target address of neighbour discovery"),
    ("nd_sll", "source link-layer address option"),
    ("nd_tll", "target link-layer address option"),
    ("nd_reserved", "the reserved word of neighbour discovery"),
    (
        "nd_options_type",
        "type of the first option of neighbour discovery",
    ),
    (
        "bpdu_type",
        "kind of BPDU, see [experimenter.md](../experimenter.md)",
    ),
];

/// Fields that stand in one row of the page: `reg3` is one of `regN`.
fn family(name: &str) -> String {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match stem.len() < name.len() {
        true => format!("{stem}N"),
        false => name.to_owned(),
    }
}

/// The page.
pub fn page() -> String {
    let mut page = head(
        "Match fields",
        "Text takes the name or the other name. *Mask*: `FIELD=VALUE/MASK` with any mask; others are matched as a whole. *Written*: actions may \
         change it. *Asks for* is what the match has to say, too, and what `ofctl` asks for if it is missing. Ids are class and number; *since* is the \
         first standard with that OXM id, `+`: an extension, which works in OpenFlow 1.2 and later (NXM ids also in 1.0 and 1.1). \
         Parts of a field are written `FIELD[first..last]`.",
    );
    no_strangers(
        DOCS,
        FIELDS
            .iter()
            .map(|row| family(row.name))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str),
    );
    page += &table(&[
        "field",
        "other name",
        "bits",
        "mask",
        "written",
        "asks for",
        "NXM",
        "OXM",
        "since",
        "what it is",
    ]);
    let mut rest = FIELDS;
    while let Some(first) = rest.first() {
        let name = family(first.name);
        let count = rest
            .iter()
            .take_while(|row| family(row.name) == name)
            .count();
        let (group, others) = rest.split_at(count);
        page += &line(&name, group);
        rest = others;
    }
    page + "\nShort for ether types and protocols: " + &SHORTHANDS.join(", ") + ".\n"
}

/// Words that stand for an ether type and a protocol, for readers of the page.
const SHORTHANDS: &[&str] = &[
    "`eth`", "`ip`", "`ipv6`", "`arp`", "`rarp`", "`mpls`", "`mplsm`", "`icmp`", "`icmp6`",
    "`tcp`", "`tcp6`", "`udp`", "`udp6`", "`sctp`", "`sctp6`",
];

fn line(name: &str, group: &[Row]) -> String {
    let (first, last) = (&group[0], &group[group.len() - 1]);
    let names = match group.len() {
        1 => code(name),
        _ => format!("{} to {}", code(first.name), code(last.name)),
    };
    let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
    let ids = |id: fn(&Row) -> Option<ofp::field::Id>, which: usize| {
        let text = |row: &Row| {
            Some(format!(
                "{} {}",
                code(wire_names(row)[which].as_deref()?),
                number(id(row)?)
            ))
        };
        let mut found = group.iter().filter_map(text);
        match (found.next(), found.next_back()) {
            (None, _) => String::new(),
            (Some(one), None) => one,
            (Some(one), Some(other)) => format!("{one} to {other}"),
        }
    };
    let since = match (first.oxm.or(last.oxm), first.oxm_since) {
        (None, _) => String::new(),
        (_, 0) => "+".to_owned(),
        (_, wire) => Version::from_wire(wire).map(version).unwrap_or_default(),
    };
    row(&[
        names,
        code(first.alias),
        width(first).to_string(),
        yes(first.maskable),
        yes(first.writable),
        prerequisite(first.prereq),
        ids(|row| row.nxm, 0),
        ids(|row| row.oxm, 1),
        since,
        doc(DOCS, name).to_owned(),
    ])
}

/// Bits on the wire: OpenFlow 1.0's ports have 16.
fn width(row: &Row) -> u8 {
    match row.format {
        Format::Port10 => 16,
        _ => row.place.width,
    }
}

fn number(id: ofp::field::Id) -> String {
    match id.class {
        0xffff => format!("({}, {})", super::owner(id.experimenter), id.field),
        class => format!("(0x{class:04x}, {})", id.field),
    }
}

fn prerequisite(prereq: Prereq) -> String {
    let words: &[&str] = match prereq {
        Prereq::None => &[],
        Prereq::Ethernet => return "an Ethernet packet".to_owned(),
        Prereq::Vlan => return "a VLAN tag".to_owned(),
        Prereq::Mpls => &["mpls", "mplsm"],
        Prereq::Pbb => &["dl_type=0x88e7"],
        Prereq::Arp => &["arp", "rarp"],
        Prereq::Ipv4 => &["ip"],
        Prereq::Ipv6 => &["ipv6"],
        Prereq::Ip => &["ip", "ipv6"],
        Prereq::Tcp => &["tcp", "tcp6"],
        Prereq::Udp => &["udp", "udp6"],
        Prereq::Sctp => &["sctp", "sctp6"],
        Prereq::Icmp4 => &["icmp"],
        Prereq::Icmp6 => &["icmp6"],
        Prereq::Nd => &["icmp6,icmp_type=135", "icmp6,icmp_type=136"],
        Prereq::NdSolicit => &["icmp6,icmp_type=135"],
        Prereq::NdAdvert => &["icmp6,icmp_type=136"],
    };
    words
        .iter()
        .map(|word| code(word))
        .collect::<Vec<_>>()
        .join(" or ")
}
