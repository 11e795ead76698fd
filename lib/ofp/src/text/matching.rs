//! Matches as text: `ip,nw_dst=10.0.0.0/24`. Reading is strict: a field whose prerequisite is
//! missing, a value that does not fit, a field given twice are refused with what would be right.

use super::lenient::Judge;
use super::ports::{PortMap, PortNames};
use super::scan::{Item, Result, TextError, Word};
use super::value::{
    field_named, field_names, print_tunnel_flags, print_value, read_subfield, read_value, unknown,
};
use crate::field::{Field, Format, Prereq, Row};
use crate::key::{Match, VLAN_PRESENT};
use std::fmt::Write;

/// Ethertypes that matches have words for.
mod ethertype {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const RARP: u16 = 0x8035;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_MULTICAST: u16 = 0x8848;
}
use ethertype::{ARP, IPV4, IPV6, MPLS, MPLS_MULTICAST, RARP};

/// Words for protocols: name, Ethertype, IP protocol. The first name of a pair is the one printed.
const PROTOCOLS: &[(&str, u16, Option<u8>)] = &[
    ("ip", IPV4, None),
    ("ipv4", IPV4, None),
    ("ip4", IPV4, None),
    ("arp", ARP, None),
    ("rarp", RARP, None),
    ("icmp", IPV4, Some(1)),
    ("tcp", IPV4, Some(6)),
    ("udp", IPV4, Some(17)),
    ("sctp", IPV4, Some(132)),
    ("ipv6", IPV6, None),
    ("ip6", IPV6, None),
    ("icmp6", IPV6, Some(58)),
    ("tcp6", IPV6, Some(6)),
    ("udp6", IPV6, Some(17)),
    ("sctp6", IPV6, Some(132)),
    ("mpls", MPLS, None),
    ("mplsm", MPLS_MULTICAST, None),
];

/// Names that mean another field under another protocol: the first whose prerequisite is met counts.
const GENERIC: &[(&[&str], &[Field])] = &[
    (&["nw_src", "ip_src"], &[Field::IpSrc, Field::ArpSpa]),
    (&["nw_dst", "ip_dst"], &[Field::IpDst, Field::ArpTpa]),
    (&["nw_proto", "ip_proto"], &[Field::IpProto, Field::ArpOp]),
    (
        &["tp_src"],
        &[
            Field::TcpSrc,
            Field::UdpSrc,
            Field::SctpSrc,
            Field::IcmpType,
            Field::Icmpv6Type,
        ],
    ),
    (
        &["tp_dst"],
        &[
            Field::TcpDst,
            Field::UdpDst,
            Field::SctpDst,
            Field::IcmpCode,
            Field::Icmpv6Code,
        ],
    ),
    (&["icmp_type"], &[Field::IcmpType, Field::Icmpv6Type]),
    (&["icmp_code"], &[Field::IcmpCode, Field::Icmpv6Code]),
];

/// OpenFlow 1.0's VLAN fields, which are parts of `vlan_tci`.
const VLAN_NAMES: &[&str] = &["dl_vlan", "dl_vlan_pcp", "vlan_vid", "vlan_pcp"];

/// What a prerequisite asks for, in words.
fn needs(prereq: Prereq) -> &'static str {
    match prereq {
        Prereq::None => "nothing",
        Prereq::Ethernet => "an Ethernet frame, which another packet_type is not",
        Prereq::Vlan => "dl_vlan or vlan_tci",
        Prereq::Mpls => "mpls or mplsm",
        Prereq::Pbb => "dl_type=0x88e7",
        Prereq::Arp => "arp or rarp",
        Prereq::Ipv4 => "ip",
        Prereq::Ipv6 => "ipv6",
        Prereq::Ip => "ip or ipv6",
        Prereq::Tcp => "tcp or tcp6",
        Prereq::Udp => "udp or udp6",
        Prereq::Sctp => "sctp or sctp6",
        Prereq::Icmp4 => "icmp",
        Prereq::Icmp6 => "icmp6",
        Prereq::Nd => "icmp6,icmp_type=135 or icmp6,icmp_type=136",
        Prereq::NdSolicit => "icmp6,icmp_type=135",
        Prereq::NdAdvert => "icmp6,icmp_type=136",
    }
}

fn exact(matching: &Match, field: Field) -> Option<u128> {
    let (value, mask) = matching.get(field.place());
    (mask == field.place().ones()).then_some(value)
}

/// Whether a match makes sure that a packet has this field.
pub fn meets_prerequisite(matching: &Match, field: Field) -> bool {
    field.row().prereq.holds(matching)
}

/// What a field needs in a match, in words.
pub(super) fn prerequisite_words(field: Field) -> &'static str {
    needs(field.row().prereq)
}

/// Collects the items of a match in any order; [`finish`](MatchReader::finish) puts them together.
#[derive(Default)]
pub(super) struct MatchReader<'a> {
    items: Vec<Item<'a>>,
}

struct Builder<'p> {
    matching: Match,
    given: Vec<(Field, u128)>,
    ports: &'p dyn PortNames,
    judge: &'p mut Judge,
}

impl<'a> MatchReader<'a> {
    /// Takes an item if it belongs to a match.
    pub(super) fn take(&mut self, item: Item<'a>) -> bool {
        let name = item.key.text.split('[').next().unwrap_or_default();
        let field = VLAN_NAMES.contains(&name) || field_named(name).is_some();
        let known = field || is_protocol(name);
        if known {
            self.items.push(item);
        }
        known
    }

    /// The match, or what is wrong with it.
    pub(super) fn finish(self, ports: &dyn PortNames) -> Result<Match> {
        self.finish_with(ports, &mut Judge::default())
    }

    /// The match; `judge` says which faults may pass.
    pub(super) fn finish_with(mut self, ports: &dyn PortNames, judge: &mut Judge) -> Result<Match> {
        let mut builder = Builder {
            matching: Match::default(),
            given: Vec::new(),
            ports,
            judge,
        };
        // What others need comes first.
        self.items.sort_by_key(|item| match item.key.text {
            "packet_type" => 0,
            name if item.value.is_none() || is_protocol(name) => 1,
            "eth_type" | "dl_type" => 2,
            "nw_proto" | "ip_proto" => 3,
            "icmp_type" | "icmpv6_type" | "tp_src" => 4,
            _ => 5,
        });
        for item in &self.items {
            builder.item(item)?;
        }
        builder.matching.settle_packet_type();
        Ok(builder.matching)
    }
}

fn is_protocol(name: &str) -> bool {
    name == "eth" || PROTOCOLS.iter().any(|protocol| protocol.0 == name)
}

/// Names that a match can begin with.
pub(super) fn match_names() -> impl Iterator<Item = &'static str> {
    let protocols = PROTOCOLS.iter().map(|p| p.0);
    field_names()
        .chain(protocols)
        .chain(VLAN_NAMES.iter().copied())
}

impl Builder<'_> {
    fn item(&mut self, item: &Item<'_>) -> Result<()> {
        let key = item.key;
        if item.value.is_none() || is_protocol(key.text) {
            if let Err(fault) = item.bare() {
                self.judge.fault(fault)?;
            }
            return self.protocol(key);
        }
        let value = item.need()?;
        if value.text == "*" {
            return Ok(());
        }
        match key.text {
            "dl_vlan" => self.dl_vlan(key, value),
            "dl_vlan_pcp" | "vlan_pcp" => {
                if !self.check(key, Field::VlanTci.row())? {
                    return Ok(());
                }
                let pcp = self.judge.number(value, 7)?;
                self.put(
                    key,
                    Field::VlanTci,
                    pcp << 13 | u128::from(VLAN_PRESENT),
                    0xf000,
                )
            }
            "vlan_vid" => self.vlan_vid(key, value),
            name if name.contains('[') => self.subfield(key, value),
            _ => self.field(key, value),
        }
    }

    fn protocol(&mut self, key: Word<'_>) -> Result<()> {
        let Some(&(_, ethertype, proto)) = PROTOCOLS.iter().find(|p| p.0 == key.text) else {
            return match key.text {
                "eth" => Ok(()),
                name if field_named(name).is_some_and(|row| row.field.is_tun_metadata()) => {
                    self.presence(key)
                }
                _ => Err(key.fail("needs a value")),
            };
        };
        if !self.check(key, Field::EthType.row())? {
            return Ok(());
        }
        self.put_same(key, Field::EthType, u128::from(ethertype))?;
        match proto {
            Some(proto) => self.put_same(key, Field::IpProto, u128::from(proto)),
            None => Ok(()),
        }
    }

    /// `tun_metadata0`: the packet has this tunnel option, with whatever value.
    fn presence(&mut self, key: Word<'_>) -> Result<()> {
        let field = field_named(key.text).map(|row| row.field);
        let Some((field, place)) = field.and_then(|field| Some((field, field.presence()?))) else {
            return Err(key.fail("needs a value"));
        };
        if self.given.iter().any(|(given, _)| *given == field) {
            return Err(key.fail("is given twice"));
        }
        self.given.push((field, u128::MAX));
        self.matching.set(place, 1, 1);
        Ok(())
    }

    fn dl_vlan(&mut self, key: Word<'_>, value: Word<'_>) -> Result<()> {
        let fault = |e: TextError| {
            TextError {
                message: "not a VLAN id".into(),
                ..e
            }
            .help("0 to 4095, or 0xffff for frames without a tag")
        };
        if !self.check(key, Field::VlanTci.row())? {
            return Ok(());
        }
        match value.number(0xffff).map_err(fault)? {
            0xffff => self.put(key, Field::VlanTci, 0, 0xffff),
            vid @ 0..=4095 => self.put(key, Field::VlanTci, vid | u128::from(VLAN_PRESENT), 0x1fff),
            vid => {
                let cut = vid & 0xfff;
                let taken = format!("0 to 4095; it is taken for {cut}");
                self.judge.fault(match self.judge.is_lenient() {
                    true => value.fail("not a VLAN id").help(taken),
                    false => fault(value.fail("")),
                })?;
                self.put(key, Field::VlanTci, cut | u128::from(VLAN_PRESENT), 0x1fff)
            }
        }
    }

    fn vlan_vid(&mut self, key: Word<'_>, word: Word<'_>) -> Result<()> {
        let (value, mask) = read_value(Field::VlanVid.row(), word, self.ports)?;
        let present = u128::from(VLAN_PRESENT);
        if value & mask & !present != 0 && value & mask & present == 0 {
            self.judge.fault(
                word.fail("the bit that says that there is a tag is missing")
                    .help(format!(
                        "vlan_vid={:#x}, or dl_vlan={value}",
                        value | present
                    )),
            )?;
        }
        if !self.check(key, Field::VlanVid.row())? {
            return Ok(());
        }
        self.put(key, Field::VlanVid, value, mask)
    }

    fn subfield(&mut self, key: Word<'_>, value: Word<'_>) -> Result<()> {
        let sub = read_subfield(key)?;
        let row = sub.field.row();
        let ones = sub.mask() >> sub.start;
        if !row.maskable && ones != row.place.ones() {
            return Err(key
                .fail("only the whole field can be matched")
                .help(format!("{}=...", row.name)));
        }
        if !self.check(key, row)? {
            return Ok(());
        }
        let most = ones.min(sub.field.largest() >> sub.start);
        let (bits, mask) = match value.split_once("/") {
            None => (value.number(most)?, ones),
            Some((bits, mask)) => (bits.number(most)?, mask.number(ones)?),
        };
        self.put(key, sub.field, bits << sub.start, mask << sub.start)
    }

    fn field(&mut self, key: Word<'_>, word: Word<'_>) -> Result<()> {
        let generic = GENERIC.iter().find(|g| g.0.contains(&key.text));
        let row = match generic {
            Some((_, fields)) => match fields.iter().find(|f| f.row().prereq.holds(&self.matching))
            {
                Some(field) => field.row(),
                None => return self.judge.fault(missing_any(key, word, fields)),
            },
            None => {
                field_named(key.text).ok_or_else(|| unknown(key, "no such field", match_names()))?
            }
        };
        if !self.check(key, row)? {
            return Ok(());
        }
        let (value, mask) = match row.field {
            Field::ArpOp if self.judge.is_lenient() => (self.judge.number(word, 0xff)?, 0xff),
            _ => read_value(row, word, self.ports)?,
        };
        if !row.maskable && mask != row.place.ones() {
            return Err(word.fail(format!("{} can not be masked", key.text)));
        }
        if row.field == Field::IpTos && value & 3 != 0 {
            let fault = word.fail("the lower two bits of nw_tos are ECN");
            let help = format!("nw_tos={},nw_ecn={}", value & 0xfc, value & 3);
            self.judge.fault(fault.help(help))?;
        }
        let mask = mask & row.field.full_mask();
        self.put(key, row.field, value, mask)
    }

    /// Whether packets that match so far have the field; if not, and that may pass, it is left out.
    fn check(&mut self, key: Word<'_>, row: &Row) -> Result<bool> {
        if row.prereq.holds(&self.matching) {
            return Ok(true);
        }
        let fault = key.fail(format!("needs {}", needs(row.prereq)));
        let fault = match row.prereq {
            Prereq::Ethernet => fault.help("leave out packet_type, or this"),
            _ => fault.help(format!("say \"{}\"", example(row, key))),
        };
        self.judge.fault(fault).map(|()| false)
    }

    fn put_same(&mut self, key: Word<'_>, field: Field, value: u128) -> Result<()> {
        let (old, mask) = self.matching.get(field.place());
        if mask != 0 && old != value {
            return Err(key.fail("contradicts another protocol of this match"));
        }
        self.matching
            .set(field.place(), value, field.place().ones());
        Ok(())
    }

    fn put(&mut self, key: Word<'_>, field: Field, value: u128, mask: u128) -> Result<()> {
        let (old, old_mask) = self.matching.get(field.place());
        let both = mask & old_mask;
        if self.given.iter().any(|g| g.0 == field && g.1 & mask != 0) && !is_vlan_pair(field, both)
        {
            self.judge.fault(key.fail("given twice"))?;
        } else if (old ^ value) & both != 0 {
            return Err(key.fail("contradicts what the match says before"));
        }
        self.given.push((field, mask));
        self.matching.set(field.place(), value & mask, mask);
        Ok(())
    }
}

/// `dl_vlan` and `dl_vlan_pcp` share the bit that says that there is a tag.
fn is_vlan_pair(field: Field, both: u128) -> bool {
    field == Field::VlanTci && both == u128::from(VLAN_PRESENT)
}

fn example(row: &Row, key: Word<'_>) -> String {
    let first = needs(row.prereq).split(" or ").next().unwrap_or_default();
    format!("{first},{}=...", key.text)
}

fn missing_any(key: Word<'_>, value: Word<'_>, fields: &[Field]) -> TextError {
    let mut wanted: Vec<&str> = fields
        .iter()
        .flat_map(|f| needs(f.row().prereq).split(" or "))
        .collect();
    wanted.dedup();
    let first = match value.text.contains("::") {
        true => "use ipv6_src or ipv6_dst for IPv6 addresses".to_owned(),
        false => format!("say \"{},{}={}\"", wanted[0], key.text, value.text),
    };
    key.fail(format!("needs {}", wanted.join(" or ")))
        .help(first)
}

/// Reads a match alone.
pub fn read_match(text: &str, ports: &dyn PortNames) -> Result<Match> {
    let mut reader = MatchReader::default();
    for item in Word::new(text).items() {
        let item = item?;
        if !reader.take(item) {
            return Err(item.key.fail("no such match field").suggest(match_names()));
        }
    }
    reader.finish(ports)
}

/// When a row of [`ORDER`] is printed.
#[derive(Clone, Copy, PartialEq)]
enum When {
    Always,
    Arp,
    NotArp,
    Icmp,
    Icmp6,
    NotIcmp,
}

/// A step of printing a match.
enum Step {
    Field(When, Field, &'static str),
    Protocol,
    Registers,
    /// `tun_metadata<N>`
    Options,
    Vlan,
    EthType,
    IpProto,
}
use Step::{EthType, IpProto, Options, Registers, Vlan};

const fn always(field: Field, name: &'static str) -> Step {
    Step::Field(When::Always, field, name)
}
const fn when(when: When, field: Field, name: &'static str) -> Step {
    Step::Field(when, field, name)
}

/// The order in which Open vSwitch prints matches.
const ORDER: &[Step] = &[
    always(Field::PktMark, "pkt_mark"),
    always(Field::RecircId, "recirc_id"),
    always(Field::DpHash, "dp_hash"),
    always(Field::ConjId, "conj_id"),
    always(Field::SkbPriority, "skb_priority"),
    always(Field::ActsetOutput, "actset_output"),
    always(Field::PacketType, "packet_type"),
    Step::Protocol,
    Registers,
    always(Field::TunId, "tun_id"),
    always(Field::TunSrc, "tun_src"),
    always(Field::TunDst, "tun_dst"),
    always(Field::TunIpv6Src, "tun_ipv6_src"),
    always(Field::TunIpv6Dst, "tun_ipv6_dst"),
    always(Field::TunGbpId, "tun_gbp_id"),
    always(Field::TunGbpFlags, "tun_gbp_flags"),
    always(Field::TunTos, "tun_tos"),
    always(Field::TunTtl, "tun_ttl"),
    always(Field::TunFlags, "tun_flags"),
    Options,
    always(Field::Metadata, "metadata"),
    always(Field::InPort, "in_port"),
    Vlan,
    always(Field::EthSrc, "dl_src"),
    always(Field::EthDst, "dl_dst"),
    EthType,
    always(Field::BpduType, "bpdu_type"),
    always(Field::Ipv6Src, "ipv6_src"),
    always(Field::Ipv6Dst, "ipv6_dst"),
    always(Field::Ipv6Label, "ipv6_label"),
    always(Field::Ipv6Exthdr, "ipv6_exthdr"),
    always(Field::PbbIsid, "pbb_isid"),
    always(Field::PbbUca, "pbb_uca"),
    when(When::Arp, Field::ArpSpa, "arp_spa"),
    when(When::Arp, Field::ArpTpa, "arp_tpa"),
    when(When::NotArp, Field::IpSrc, "nw_src"),
    when(When::NotArp, Field::IpDst, "nw_dst"),
    IpProto,
    when(When::Arp, Field::ArpSha, "arp_sha"),
    when(When::Arp, Field::ArpTha, "arp_tha"),
    always(Field::IpDscp, "nw_tos"),
    when(When::NotArp, Field::IpEcn, "nw_ecn"),
    always(Field::IpTtl, "nw_ttl"),
    always(Field::MplsLabel, "mpls_label"),
    always(Field::MplsTc, "mpls_tc"),
    always(Field::MplsTtl, "mpls_ttl"),
    always(Field::MplsBos, "mpls_bos"),
    always(Field::IpFrag, "nw_frag"),
    when(When::Icmp, Field::IcmpType, "icmp_type"),
    when(When::Icmp, Field::IcmpCode, "icmp_code"),
    when(When::Icmp6, Field::NdTarget, "nd_target"),
    when(When::Icmp6, Field::NdSll, "nd_sll"),
    when(When::Icmp6, Field::NdTll, "nd_tll"),
    when(When::Icmp6, Field::NdReserved, "nd_reserved"),
    when(When::Icmp6, Field::NdOptionsType, "nd_options_type"),
    when(When::NotIcmp, Field::TcpSrc, "tp_src"),
    when(When::NotIcmp, Field::TcpDst, "tp_dst"),
    always(Field::TcpFlags, "tcp_flags"),
];

/// Prints a match, each part followed by a comma except the last.
pub(super) fn print_match(out: &mut String, matching: &Match, ports: Option<&PortMap>) {
    let ethertype = exact(matching, Field::EthType).map(|value| value as u16);
    let proto = exact(matching, Field::IpProto).map(|value| value as u8);
    let arp = Prereq::Arp.holds(matching);
    let icmp6 = Prereq::Ipv6.holds(matching) && proto == Some(58);
    let icmp = icmp6 || Prereq::Ipv4.holds(matching) && proto == Some(1);
    let applies = |when: When| match when {
        When::Always => true,
        When::Arp => arp,
        When::NotArp => !arp,
        When::Icmp => icmp,
        When::Icmp6 => icmp6,
        When::NotIcmp => !icmp,
    };
    let word = PROTOCOLS
        .iter()
        .find(|p| Some(p.1) == ethertype && p.2.is_some() && p.2 == proto)
        .or_else(|| {
            PROTOCOLS
                .iter()
                .find(|p| Some(p.1) == ethertype && p.2.is_none())
        });
    let from = out.len();
    for step in ORDER {
        match *step {
            Step::Field(when, field, name) if applies(when) => {
                print_field(out, matching, field, name, ports)
            }
            Step::Field(..) => {}
            Step::Protocol => {
                let _ = word.map(|(name, ..)| write!(out, "{name},"));
            }
            Registers => {
                let registers = crate::field::FIELDS.iter().filter(|row| is_register(row));
                registers.for_each(|row| print_field(out, matching, row.field, row.name, None));
            }
            Options => {
                let options = crate::field::FIELDS.iter();
                let options = options.filter(|row| row.field.is_tun_metadata());
                options.for_each(|row| print_option(out, matching, row));
            }
            Vlan => print_vlan(out, matching),
            EthType if word.is_none() => {
                let _ = ethertype.map(|ethertype| write!(out, "dl_type={ethertype:#06x},"));
            }
            IpProto if word.is_none_or(|w| w.2.is_none()) => {
                let _ = proto.map(|proto| {
                    write!(out, "{}={proto},", if arp { "arp_op" } else { "nw_proto" })
                });
            }
            EthType | IpProto => {}
        }
    }
    if out.len() > from {
        out.pop();
    }
}

fn is_register(row: &Row) -> bool {
    row.name
        .strip_prefix("reg")
        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

/// `tun_metadata0=5`, or `tun_metadata0`: it is there.
fn print_option(out: &mut String, matching: &Match, row: &Row) {
    let is_there = |place| matching.get(place).0 != 0;
    if matching.get(row.place).1 == 0 && row.field.presence().is_some_and(is_there) {
        let _ = write!(out, "{},", row.name);
    }
    print_field(out, matching, row.field, row.name, None);
}

fn print_field(
    out: &mut String,
    matching: &Match,
    field: Field,
    name: &str,
    ports: Option<&PortMap>,
) {
    let row = field.row();
    let (value, mask) = matching.get(row.place);
    if mask == 0 {
        return;
    }
    let _ = write!(out, "{name}=");
    match field {
        Field::IpDscp => {
            let _ = write!(out, "{}", value << 2);
        }
        Field::RecircId => {
            let _ = write!(out, "{value:#x}");
        }
        Field::Ipv6Label if mask == row.place.ones() => {
            let _ = write!(out, "{value:#07x}");
        }
        Field::Ipv6Label => {
            let _ = write!(out, "{value:#07x}/{mask:#07x}");
        }
        // Actions write such a value in decimal.
        _ if row.format == Format::Decimal && mask != row.place.ones() => {
            let _ = write!(out, "{value:#x}/{mask:#x}");
        }
        Field::TunFlags => print_tunnel_flags(out, value, mask),
        _ => print_value(out, row, value, mask, ports),
    }
    out.push(',');
}

fn print_vlan(out: &mut String, matching: &Match) {
    let (tci, mask) = matching.get(Field::VlanTci.place());
    let (tci, mask) = (tci as u16, mask as u16);
    let (vid_mask, pcp_mask) = (mask & 0xfff, mask & 0xe000);
    let whole =
        matches!(vid_mask, 0 | 0xfff) && matches!(pcp_mask, 0 | 0xe000) && vid_mask | pcp_mask != 0;
    let _ = match mask {
        0 => Ok(()),
        _ if whole && tci & mask & VLAN_PRESENT != 0 => {
            if vid_mask != 0 {
                let _ = write!(out, "dl_vlan={},", tci & 0xfff);
            }
            if pcp_mask != 0 {
                let _ = write!(out, "dl_vlan_pcp={},", tci >> 13);
            }
            Ok(())
        }
        0xffff => write!(out, "vlan_tci={tci:#06x},"),
        _ => write!(out, "vlan_tci={tci:#06x}/{mask:#06x},"),
    };
}
