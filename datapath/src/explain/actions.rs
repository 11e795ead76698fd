//! What happened to a frame, in the words of Open vSwitch's datapaths: `set(ipv4(ttl=63)),2`. Found by
//! comparing each frame that left with what it was before.

use super::Sent;
use crate::forward::worker::Question;
use crate::model::event::Punt;
use flow::bare::{framed, type_of};
use flow::extract;
use flow::print::Fields;
use ofp::field::Field;
use ofp::key::{Key, Match, VLAN_PRESENT};
use packet::MacAddr;
use std::fmt::Write;

/// Something that was done with a frame.
pub(super) enum Act {
    /// It left.
    Send(Sent),
    /// A copy went to the controllers.
    Punt(Punt),
    /// A tunnel's headers were put in front, by the port of this name.
    Tunnel(String),
}

/// A header: its name, Ethertype and fields.
type Header = (&'static str, Option<u16>, &'static [(&'static str, Field)]);

/// Headers as they are named there, the Ethertype that has them if it is one, and their fields.
const HEADERS: &[Header] = &[
    (
        "eth",
        None,
        &[("src", Field::EthSrc), ("dst", Field::EthDst)],
    ),
    (
        "ipv4",
        Some(0x0800),
        &[
            ("src", Field::IpSrc),
            ("dst", Field::IpDst),
            ("tos", Field::IpDscp),
            ("ttl", Field::IpTtl),
        ],
    ),
    (
        "arp",
        None,
        &[
            ("sip", Field::ArpSpa),
            ("tip", Field::ArpTpa),
            ("op", Field::ArpOp),
            ("sha", Field::ArpSha),
            ("tha", Field::ArpTha),
        ],
    ),
    (
        "ipv6",
        Some(0x86dd),
        &[
            ("src", Field::Ipv6Src),
            ("dst", Field::Ipv6Dst),
            ("label", Field::Ipv6Label),
            ("tclass", Field::IpDscp),
            ("hlimit", Field::IpTtl),
        ],
    ),
    (
        "tcp",
        None,
        &[("src", Field::TcpSrc), ("dst", Field::TcpDst)],
    ),
    (
        "udp",
        None,
        &[("src", Field::UdpSrc), ("dst", Field::UdpDst)],
    ),
    (
        "sctp",
        None,
        &[("src", Field::SctpSrc), ("dst", Field::SctpDst)],
    ),
    (
        "icmp",
        None,
        &[("type", Field::IcmpType), ("code", Field::IcmpCode)],
    ),
    (
        "icmpv6",
        None,
        &[("type", Field::Icmpv6Type), ("code", Field::Icmpv6Code)],
    ),
    ("nd", None, &[("target", Field::NdTarget)]),
    (
        "mpls",
        None,
        &[
            ("label", Field::MplsLabel),
            ("tc", Field::MplsTc),
            ("ttl", Field::MplsTtl),
            ("bos", Field::MplsBos),
        ],
    ),
];

/// The whole list; `drop` if nothing was done.
pub(super) fn in_words(question: &Question<'_>, acts: &[Act], names: bool) -> String {
    let mut words = Vec::new();
    let packet_type = type_of(question.fields);
    let mut before = key_of(&framed(question.frame, packet_type).unwrap_or_default());
    before.set(Field::PacketType.place(), packet_type.into(), u128::MAX);
    let mut tunnel = None;
    for act in acts {
        match act {
            Act::Tunnel(name) => tunnel = Some(name),
            Act::Punt(punt) => words.push(format!(
                "userspace(pid=0,controller(reason={},dont_send=0,continuation=0,recirc_id=0,rule_cookie={},controller_id={},max_len={}))",
                punt.controller.reason as u8, cookie(punt.cookie.0), punt.controller.id, punt.controller.max_len
            )),
            Act::Send(sent) => {
                match tunnel.take() {
                    // The frame is another one now.
                    Some(name) => words.push(format!("tnl_push(tnl_port({name}))")),
                    None => {
                        let after = key_of(&sent.bytes);
                        changes(&mut words, &before, &after);
                        before = after;
                    }
                }
                words.push(match names {
                    true => sent.name.to_string(),
                    false => sent.port.to_string(),
                });
            }
        }
    }
    match words.is_empty() {
        true => "drop".to_owned(),
        false => words.join(","),
    }
}

fn cookie(cookie: u64) -> String {
    match cookie {
        0 => "0".to_owned(),
        cookie => format!("{cookie:#x}"),
    }
}

fn key_of(frame: &[u8]) -> Key {
    let mut key = Key::default();
    extract::extract(frame, frame.len(), &extract::Plan::FULL, &mut key);
    key
}

/// What makes one frame of the other.
fn changes(words: &mut Vec<String>, before: &Key, after: &Key) {
    let mut before = before.clone();
    if before.get(Field::PacketType.place()) != 0 {
        // What leaves by itself is a frame.
        let [src, dst] = [Field::EthSrc, Field::EthDst].map(|field| {
            let value = after.get(field.place());
            before.set(field.place(), value, u128::MAX);
            MacAddr::from_u64(value as u64)
        });
        words.push(format!("push_eth(src={src},dst={dst})"));
    }
    let before = &before;
    let tci = |key: &Key| key.get(Field::VlanTci.place()) as u16;
    let kind = |key: &Key| key.get(Field::EthType.place()) as u16;
    let (old, new) = (tci(before), tci(after));
    if old != new {
        if old & VLAN_PRESENT != 0 {
            words.push("pop_vlan".into());
        }
        if new & VLAN_PRESENT != 0 {
            words.push(format!("push_vlan(vid={},pcp={})", new & 0xfff, new >> 13));
        }
    }
    if kind(before) != kind(after) {
        words.push(format!("set(eth_type({:#06x}))", kind(after)));
    }
    let known = known(after);
    let is_of = |ether_type: &Option<u16>| ether_type.is_none_or(|t| t == kind(after));
    for (header, _, fields) in HEADERS.iter().filter(|row| is_of(&row.1)) {
        let mut text = String::new();
        for (name, field) in *fields {
            let present = field.row().prereq.holds(&known);
            let (old, new) = (before.get(field.place()), after.get(field.place()));
            if present && old != new {
                let comma = if text.is_empty() { "" } else { "," };
                let _ = write!(text, "{comma}{name}={}", value(after, *field));
            }
        }
        if !text.is_empty() {
            words.push(format!("set({header}({text}))"));
        }
    }
}

/// What prerequisites ask for, of a packet.
pub(super) fn known(key: &Key) -> Match {
    let mut matching = Match::default();
    for field in [
        Field::EthType,
        Field::VlanTci,
        Field::IpProto,
        Field::Icmpv6Type,
    ] {
        matching.set(field.place(), key.get(field.place()), u128::MAX);
    }
    matching
}

/// A field's value as flows show it.
fn value(key: &Key, field: Field) -> String {
    if field == Field::IpDscp {
        return format!("{:#x}/0xfc", key.get(field.place()) << 2);
    }
    if field == Field::IpTtl {
        return key.get(field.place()).to_string();
    }
    // The packet's own line has the value under one of the field's names.
    let line = Fields(key).to_string();
    let names = [field.row().alias, field.row().name];
    let generic = match field {
        Field::IpSrc => "nw_src",
        Field::IpDst => "nw_dst",
        Field::TcpSrc | Field::UdpSrc | Field::SctpSrc => "tp_src",
        Field::TcpDst | Field::UdpDst | Field::SctpDst => "tp_dst",
        Field::EthSrc => "dl_src",
        Field::EthDst => "dl_dst",
        _ => "",
    };
    let found = names
        .iter()
        .chain([&generic])
        .filter(|name| !name.is_empty())
        .find_map(|name| {
            line.split(',')
                .find_map(|item| item.strip_prefix(name)?.strip_prefix('='))
        });
    found.map_or_else(|| key.get(field.place()).to_string(), str::to_owned)
}
