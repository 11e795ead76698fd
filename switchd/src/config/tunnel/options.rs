//! The tunnel types and their options: one row each. A row knows how its word is read, and says in words what is allowed;
//! what several options have to agree on is `tunnel.rs`'s business.

use datapath::fragment::gpw::Mode;
use datapath::model::tunnel::{
    ByteChoice, Fragmentation, Layer, Local, Remote, TunnelKey, TunnelType,
};
use ofp::text::digits;
use packet::MacAddr;
use packet::gpw::Order;
use packet::l2tpv3::{Cookie, Encap, Sublayer};
use std::net::IpAddr;

use TunnelType::{Geneve, Gpw, Gre, L2tpv3, Vxlan};

/// A tunnel type.
pub struct Type {
    /// As the Interface table's `type` has it.
    pub name: &'static str,
    /// Which one.
    pub kind: TunnelType,
    /// UDP port that packets are sent to and received at, unless options say otherwise; 0: it has none.
    pub port: u16,
}

/// All types.
pub const TYPES: &[Type] = &[
    Type {
        name: "vxlan",
        kind: Vxlan,
        port: 4789,
    },
    Type {
        name: "gre",
        kind: Gre,
        port: 0,
    },
    Type {
        name: "geneve",
        kind: Geneve,
        port: 6081,
    },
    Type {
        name: "l2tpv3",
        kind: L2tpv3,
        port: 1701,
    },
    Type {
        name: "gpw",
        kind: Gpw,
        port: 0,
    },
];

/// An option.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// The types that take it.
    pub types: &'static [TunnelType],
    /// What is allowed, in words; `read` says no to everything else.
    pub values: &'static str,
    /// Puts the word's meaning into the draft.
    pub read: fn(&mut Draft, &str) -> Option<()>,
}

/// What the options say, one by one: `None`, they do not.
#[derive(Default)]
#[allow(missing_docs, reason = "the names are those of the options")]
pub struct Draft {
    pub remote: Option<Remote>,
    pub local: Option<Local>,
    pub key: Option<TunnelKey>,
    pub in_key: Option<TunnelKey>,
    pub out_key: Option<TunnelKey>,
    pub local_port: Option<u16>,
    pub peer_port: Option<u16>,
    pub csum: Option<bool>,
    pub tos: Option<ByteChoice>,
    pub ttl: Option<ByteChoice>,
    pub df: Option<bool>,
    pub fragment: Option<Fragmentation>,
    pub layer: Option<Layer>,
    /// `exts`: gbp, gpe.
    pub extensions: Option<(bool, bool)>,
    /// `seq`: send, receive.
    pub sequence: Option<(bool, bool)>,
    pub encap: Option<Encap>,
    pub local_session: Option<u32>,
    pub peer_session: Option<u32>,
    pub local_tunnel: Option<u32>,
    pub peer_tunnel: Option<u32>,
    pub cookie: Option<Cookie>,
    pub peer_cookie: Option<Cookie>,
    pub sublayer: Option<Sublayer>,
    pub is_vlan: Option<bool>,
    pub service_vid: Option<u16>,
    pub order: Option<Order>,
    pub mode: Option<Mode>,
    pub via: Option<String>,
    pub mark: Option<u32>,
}

const ALL: &[TunnelType] = &[Vxlan, Gre, Geneve, L2tpv3, Gpw];
/// Any two hosts, with IPv4 or IPv6 between them.
const IP: &[TunnelType] = &[Vxlan, Gre, Geneve, L2tpv3];
/// Remote end and keys may come from the packet.
const KEYED: &[TunnelType] = &[Vxlan, Gre, Geneve];
const ID: &str = "a number from 1 to 4294967295";
const PORT: &str = "a number from 1 to 65535";
const BOOL: &str = "true or false";

/// An option's row.
const fn row(
    name: &'static str,
    types: &'static [TunnelType],
    values: &'static str,
    read: fn(&mut Draft, &str) -> Option<()>,
) -> Row {
    Row {
        name,
        types,
        values,
        read,
    }
}

/// All options. One that means different things to two types has a row for each.
#[rustfmt::skip]
pub const OPTIONS: &[Row] = &[
    row("remote_ip", KEYED, "a unicast IPv4 or IPv6 address, or flow (host names are not looked up)",
        |d, w| set(&mut d.remote, if w == "flow" { Some(Remote::Flow) } else { unicast(w).map(Remote::Ip) })),
    row("remote_ip", &[L2tpv3], "a unicast IPv4 or IPv6 address (host names are not looked up)",
        |d, w| set(&mut d.remote, unicast(w).map(Remote::Ip))),
    row("remote_ip", &[Gpw], "a unicast IPv6 address (host names are not looked up)",
        |d, w| set(&mut d.remote, unicast(w).filter(IpAddr::is_ipv6).map(Remote::Ip))),
    row("local_ip", KEYED, "a unicast IPv4 or IPv6 address, or flow",
        |d, w| set(&mut d.local, if w == "flow" { Some(Local::Flow) } else { unicast(w).map(Local::Ip) })),
    row("local_ip", &[L2tpv3], "a unicast IPv4 or IPv6 address",
        |d, w| set(&mut d.local, unicast(w).map(Local::Ip))),
    row("local_ip", &[Gpw], "a unicast IPv6 address",
        |d, w| set(&mut d.local, unicast(w).filter(IpAddr::is_ipv6).map(Local::Ip))),
    row("key", &[Vxlan, Geneve], KEY_24, |d, w| set(&mut d.key, key(w, 24))),
    row("in_key", &[Vxlan, Geneve], KEY_24, |d, w| set(&mut d.in_key, key(w, 24))),
    row("out_key", &[Vxlan, Geneve], KEY_24, |d, w| set(&mut d.out_key, key(w, 24))),
    row("key", &[Gre], KEY_32, |d, w| set(&mut d.key, key(w, 32))),
    row("in_key", &[Gre], KEY_32, |d, w| set(&mut d.in_key, key(w, 32))),
    row("out_key", &[Gre], KEY_32, |d, w| set(&mut d.out_key, key(w, 32))),
    row("dst_port", &[Vxlan, Geneve], PORT,
        |d, w| { d.local_port = port(w); set(&mut d.peer_port, port(w)) }),
    row("local_port", &[L2tpv3], PORT, |d, w| set(&mut d.local_port, port(w))),
    row("udp_sport", &[L2tpv3], PORT, |d, w| set(&mut d.local_port, port(w))),
    row("peer_port", &[L2tpv3], PORT, |d, w| set(&mut d.peer_port, port(w))),
    row("udp_dport", &[L2tpv3], PORT, |d, w| set(&mut d.peer_port, port(w))),
    row("csum", IP, BOOL, |d, w| set(&mut d.csum, w.parse().ok())),
    row("tos", ALL, "inherit, or a TOS byte whose two ECN bits are 0 (a multiple of 4, up to 252)",
        |d, w| set(&mut d.tos, choice(w, |tos| tos & 3 == 0))),
    row("ttl", ALL, "inherit, or a number from 1 to 255", |d, w| set(&mut d.ttl, choice(w, |ttl| *ttl != 0))),
    row("df_default", IP, BOOL, |d, w| set(&mut d.df, w.parse().ok())),
    row("fragment", ALL, "auto, always, never, or mtu:N with N from 576 (IPv6: 1280) to 65535",
        |d, w| set(&mut d.fragment, fragmentation(w))),
    row("egress_pkt_mark", ALL, "a number from 0 to 4294967295", |d, w| set(&mut d.mark, number(w))),
    row("exts", &[Vxlan], "gbp or gpe (not both: they use the same bits of the header)", |d, w| set(&mut d.extensions, extensions(w))),
    row("seq", &[Gre], BOOL, |d, w| set(&mut d.sequence, w.parse().ok().map(|send| (send, false)))),
    row("packet_type", &[Gre, Vxlan], "legacy_l2, legacy_l3 or ptap", |d, w| set(&mut d.layer, word(w, &[
        ("legacy_l2", Layer::Ethernet), ("legacy_l3", Layer::Ip), ("ptap", Layer::Any)]))),
    row("encap", &[L2tpv3], "udp or ip", |d, w| set(&mut d.encap, word(w, &[("udp", Encap::Udp), ("ip", Encap::Ip)]))),
    row("local_session_id", &[L2tpv3], ID, |d, w| set(&mut d.local_session, id(w))),
    row("peer_session_id", &[L2tpv3], ID, |d, w| set(&mut d.peer_session, id(w))),
    row("local_tunnel_id", &[L2tpv3], ID, |d, w| set(&mut d.local_tunnel, id(w))),
    row("peer_tunnel_id", &[L2tpv3], ID, |d, w| set(&mut d.peer_tunnel, id(w))),
    row("cookie", &[L2tpv3], COOKIE, |d, w| set(&mut d.cookie, cookie(w))),
    row("peer_cookie", &[L2tpv3], COOKIE, |d, w| set(&mut d.peer_cookie, cookie(w))),
    row("sublayer", &[L2tpv3], "default or none", |d, w| set(&mut d.sublayer, sublayer(w))),
    row("l2spec_type", &[L2tpv3], "default or none", |d, w| set(&mut d.sublayer, sublayer(w))),
    row("seq", &[L2tpv3], "none, send, recv or both", |d, w| set(&mut d.sequence, word(w, &[
        ("none", (false, false)), ("send", (true, false)), ("recv", (false, true)), ("both", (true, true))]))),
    row("pw_type", &[L2tpv3], "ethernet or vlan", |d, w| set(&mut d.is_vlan, word(w, &[("ethernet", false), ("vlan", true)]))),
    row("service_vid", &[L2tpv3], "a number from 1 to 4094",
        |d, w| set(&mut d.service_vid, number(w).filter(|vid| (1..=4094).contains(vid)))),
    row("remote_mac", &[Gpw], "a unicast MAC address such as 00:11:22:33:44:55",
        |d, w| set(&mut d.remote, w.parse().ok().filter(is_station).map(Remote::Link))),
    row("via", &[Gpw], "the name of a port, a bridge or a network device",
        |d, w| set(&mut d.via, Some(w).filter(|w| is_name(w)).map(str::to_owned))),
    row("gpw_order", &[Gpw], "little or big",
        |d, w| set(&mut d.order, word(w, &[("little", Order::Little), ("big", Order::Big)]))),
    row("gpw_reassembly", &[Gpw], "in-order or tolerant",
        |d, w| set(&mut d.mode, word(w, &[("in-order", Mode::InOrder), ("tolerant", Mode::Tolerant)]))),
];

/// Names for one setting, of which only one may be given.
pub const ALIASES: &[(&str, &str)] = &[
    ("udp_sport", "local_port"),
    ("udp_dport", "peer_port"),
    ("l2spec_type", "sublayer"),
];

/// Options that are checked and kept, and change nothing.
pub const WITHOUT_EFFECT: &[&str] = &["egress_pkt_mark"];

const KEY_24: &str = "a number from 0 to 16777215, or flow";
const KEY_32: &str = "a number from 0 to 4294967295, or flow";
const COOKIE: &str = "8 or 16 hexadecimal digits";

fn set<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    *place = Some(value?);
    Some(())
}

fn word<T: Copy>(word: &str, words: &[(&str, T)]) -> Option<T> {
    let found = words.iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| *value)
}

/// A number, decimal or 0x hexadecimal.
fn number<T: TryFrom<u64>>(word: &str) -> Option<T> {
    let number: Option<u64> = match word.strip_prefix("0x") {
        Some(hex) => digits(hex, 16),
        None => digits(word, 10),
    };
    number?.try_into().ok()
}

fn id(word: &str) -> Option<u32> {
    number(word).filter(|id| *id != 0)
}

fn port(word: &str) -> Option<u16> {
    number(word).filter(|port| *port != 0)
}

fn key(word: &str, bits: u32) -> Option<TunnelKey> {
    match word {
        "flow" => Some(TunnelKey::Flow),
        _ => number(word)
            .filter(|key: &u64| key >> bits == 0)
            .map(TunnelKey::Value),
    }
}

fn choice(word: &str, is_right: impl FnOnce(&u8) -> bool) -> Option<ByteChoice> {
    match word {
        "inherit" => Some(ByteChoice::Inherit),
        _ => number(word).filter(is_right).map(ByteChoice::Value),
    }
}

fn unicast(word: &str) -> Option<IpAddr> {
    let ip: IpAddr = word.parse().ok()?;
    let is_odd = match ip {
        IpAddr::V4(ip) => ip.is_broadcast(),
        // An IPv4 address in the clothes of IPv6, which no IPv6 packet has.
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some(),
    };
    (!ip.is_multicast() && !ip.is_unspecified() && !is_odd).then_some(ip)
}

fn is_station(mac: &MacAddr) -> bool {
    !mac.is_multicast() && !mac.is_zero()
}

fn is_name(word: &str) -> bool {
    (1..=255).contains(&word.len())
        && !word.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
}

/// The least for IPv6 is asked for when it is known that it is IPv6.
fn fragmentation(word: &str) -> Option<Fragmentation> {
    match word {
        "auto" => Some(Fragmentation::Auto),
        "always" => Some(Fragmentation::Always),
        "never" => Some(Fragmentation::Never),
        _ => number(word.strip_prefix("mtu:")?)
            .filter(|mtu| *mtu >= 576)
            .map(Fragmentation::Mtu),
    }
}

fn extensions(word: &str) -> Option<(bool, bool)> {
    match word {
        "" => Some((false, false)),
        "gbp" => Some((true, false)),
        "gpe" => Some((false, true)),
        _ => None,
    }
}

fn cookie(word: &str) -> Option<Cookie> {
    let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = u64::from_str_radix(word, 16).ok()?.to_be_bytes();
    match word.len() {
        8 if is_hex => Cookie::new(&bytes[4..]),
        16 if is_hex => Cookie::new(&bytes),
        _ => None,
    }
}

fn sublayer(text: &str) -> Option<Sublayer> {
    word(
        text,
        &[("default", Sublayer::Default), ("none", Sublayer::None)],
    )
}
