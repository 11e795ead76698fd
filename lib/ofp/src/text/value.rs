//! Values of match fields as text: one reader and one printer per [`Format`], and the subfields
//! (`NXM_NX_REG0[0..15]`) that actions use.

use super::ports::{PortMap, PortNames, print_port, read_port};
use super::scan::{Result, TextError, Word, digits};
use crate::field::{FIELDS, Field, Format, Row, Subfield};
use packet::bpdu::Kind;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

/// Flags of TCP by bit number.
const TCP_FLAGS: &[&str] = &["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"];
const TUNNEL_FLAGS: &[&str] = &["oam"];

/// Fragment classes: name, value, mask (bit 0: a fragment; bit 1: not the first).
const FRAGMENTS: &[(&str, u128, u128)] = &[
    ("no", 0, 3),
    ("yes", 1, 1),
    ("first", 1, 3),
    ("later", 3, 3),
    ("not_later", 0, 2),
];

/// Reads a value and its mask (all ones if none is given), cut to the width of the field.
pub(super) fn read_value(row: &Row, word: Word<'_>, ports: &dyn PortNames) -> Result<(u128, u128)> {
    let ones = row.place.ones();
    match row.format {
        Format::Decimal | Format::Hex => masked(word, ones, |w| w.number(ones), |w| w.number(ones)),
        Format::Ethernet => masked(word, ones, ethernet, ethernet),
        Format::Ipv4 => masked(word, ones, ipv4, |w| {
            prefix(w, 32).unwrap_or_else(|| ipv4(w))
        }),
        Format::Ipv6 => masked(word, ones, ipv6, |w| {
            prefix(w, 128).unwrap_or_else(|| ipv6(w))
        }),
        Format::Port10 | Format::Port => Ok((u128::from(read_port(word, ports)?.0), ones)),
        Format::Frag => match FRAGMENTS.iter().find(|f| f.0 == word.text) {
            Some(&(_, value, mask)) => Ok((value, mask)),
            None => Err(word
                .fail("not a fragment class")
                .help("no, yes, first, later or not_later")),
        },
        Format::TcpFlags => flags(word, ones, TCP_FLAGS),
        Format::TunnelFlags => flags(word, ones, TUNNEL_FLAGS),
        Format::PacketType => packet_type(word).map(|value| (value, ones)),
        Format::BpduType => bpdu_type(word).map(|value| (value, ones)),
    }
}

fn masked(
    word: Word<'_>,
    ones: u128,
    value: impl Fn(Word<'_>) -> Result<u128>,
    mask: impl Fn(Word<'_>) -> Result<u128>,
) -> Result<(u128, u128)> {
    match word.split_once("/") {
        None => Ok((value(word)?, ones)),
        Some((left, right)) => Ok((value(left)?, mask(right)?)),
    }
}

/// A MAC address: six hexadecimal octets.
pub(super) fn ethernet(word: Word<'_>) -> Result<u128> {
    let octets: Vec<&str> = word.text.split(':').collect();
    let parse = |acc: Option<u128>, text: &&str| {
        let octet = digits::<u128>(text, 16).filter(|_| (1..=2).contains(&text.len()));
        Some(acc? << 8 | octet?)
    };
    octets
        .iter()
        .fold(Some(0), parse)
        .filter(|_| octets.len() == 6)
        .ok_or_else(|| {
            word.fail("not a MAC address")
                .help("as in 00:11:22:33:44:55")
        })
}

/// An IPv4 address.
pub(super) fn ipv4(word: Word<'_>) -> Result<u128> {
    let address: Ipv4Addr = word.text.parse().map_err(|_| {
        word.fail("not an IPv4 address")
            .help("as in 192.0.2.1 or 192.0.2.0/24")
    })?;
    Ok(u128::from(u32::from(address)))
}

fn ipv6(word: Word<'_>) -> Result<u128> {
    let address: Ipv6Addr = word.text.parse().map_err(|_| {
        word.fail("not an IPv6 address")
            .help("as in 2001:db8::1 or 2001:db8::/64")
    })?;
    Ok(u128::from(address))
}

/// A prefix length as a mask; `None` if the word is not a number.
fn prefix(word: Word<'_>, width: u32) -> Option<Result<u128>> {
    let len: u32 = digits(word.text, 10)?;
    if len > width {
        return Some(Err(word.fail(format!("a prefix has 0 to {width} bits"))));
    }
    let ones = u128::MAX >> (128 - width);
    Some(Ok(ones & !ones.checked_shr(len).unwrap_or(0)))
}

/// `+syn-ack`, `syn|ack`, or numbers with an optional mask; bits without a name as `[200]`.
fn flags(word: Word<'_>, ones: u128, names: &[&str]) -> Result<(u128, u128)> {
    let bit = |name: Word<'_>| {
        let named = names.iter().position(|n| *n == name.text);
        let number = |inner: Word<'_>| digits::<u128>(inner.text, 16);
        let unnamed = || name.strip_brackets('[', ']').and_then(number);
        let bits = named.map(|at| 1 << at).or_else(unnamed);
        bits.filter(|bits| *bits != 0 && bits & !ones == 0)
            .ok_or_else(|| name.fail("not a flag").help(names.join(", ")))
    };
    if word.text.starts_with(|c: char| c.is_ascii_digit()) {
        return masked(word, ones, |w| w.number(ones), |w| w.number(ones));
    }
    if !word.text.starts_with(['+', '-']) {
        let value = word
            .split('|')
            .map(bit)
            .try_fold(0, |acc, b| Ok(acc | b?))?;
        return Ok((value, ones));
    }
    let (mut value, mut mask) = (0, 0);
    let mut at = 0;
    while at < word.text.len() {
        let text = &word.text[at..];
        let end = text[1..]
            .find(['+', '-'])
            .map_or(text.len(), |next| next + 1);
        let flag = bit(Word {
            text: &text[1..end],
            offset: word.offset + at + 1,
        })?;
        if mask & flag != 0 {
            return Err(Word {
                text: &text[1..end],
                offset: word.offset + at + 1,
            }
            .fail("flag given twice"));
        }
        mask |= flag;
        if text.starts_with('+') {
            value |= flag;
        }
        at += end;
    }
    Ok((value, mask))
}

/// `(namespace,type)`.
fn packet_type(word: Word<'_>) -> Result<u128> {
    let fault = || word.fail("not a packet type").help("as in (1,0x800)");
    let inner = word.strip_brackets('(', ')').ok_or_else(fault)?;
    let (space, kind) = inner.split_once(",").ok_or_else(fault)?;
    Ok(space.trim().number(0xffff)? << 16 | kind.trim().number(0xffff)?)
}

/// A kind of BPDU by its name or number.
fn bpdu_type(word: Word<'_>) -> Result<u128> {
    let names = || Kind::ALL.map(Kind::name).join(", ");
    if let Some(kind) = Kind::ALL.iter().find(|kind| kind.name() == word.text) {
        return Ok(*kind as u128);
    }
    let number = word.number(Field::BpduType.largest());
    number.map_err(|_| word.fail("not a kind of BPDU").help(names()))
}

/// Prints a value, with its mask unless that is all ones.
pub(super) fn print_value(
    out: &mut String,
    row: &Row,
    value: u128,
    mask: u128,
    ports: Option<&PortMap>,
) {
    let full = row.field.full_mask();
    let exact = mask & full == full;
    let _ = match row.format {
        Format::Decimal if exact => write!(out, "{value}"),
        Format::Decimal => write!(out, "{value}/{mask:#x}"),
        Format::Hex => {
            hex(out, value);
            if exact {
                Ok(())
            } else {
                out.write_char('/').map(|()| hex(out, mask))
            }
        }
        Format::Ethernet => {
            mac(out, value);
            if exact {
                Ok(())
            } else {
                out.write_char('/').map(|()| mac(out, mask))
            }
        }
        Format::Ipv4 => {
            let address = |bits: u128| Ipv4Addr::from(bits as u32);
            write!(out, "{}", address(value)).and_then(|()| match prefix_len(mask, 32) {
                _ if exact => Ok(()),
                Some(len) => write!(out, "/{len}"),
                None => write!(out, "/{}", address(mask)),
            })
        }
        Format::Ipv6 => {
            write!(out, "{}", Ipv6Addr::from(value)).and_then(|()| match prefix_len(mask, 128) {
                _ if exact => Ok(()),
                Some(len) => write!(out, "/{len}"),
                None => write!(out, "/{}", Ipv6Addr::from(mask)),
            })
        }
        Format::Port10 | Format::Port => {
            print_port(out, crate::types::PortNo(value as u32), ports);
            Ok(())
        }
        Format::Frag => match FRAGMENTS.iter().find(|f| f.1 == value && f.2 == mask) {
            Some(row) => out.write_str(row.0),
            None if value & 1 == 0 => out.write_str("no"),
            None => out.write_str("yes"),
        },
        Format::TcpFlags if exact => {
            print_flags(out, value, TCP_FLAGS);
            Ok(())
        }
        Format::TcpFlags => signed_flags(out, value, mask, TCP_FLAGS),
        Format::TunnelFlags if exact => {
            print_flags(out, value, TUNNEL_FLAGS);
            Ok(())
        }
        Format::TunnelFlags => signed_flags(out, value, mask, TUNNEL_FLAGS),
        Format::PacketType => write!(out, "({},{})", short(value >> 16), short(value & 0xffff)),
        Format::BpduType => match Kind::ALL.get(value as usize) {
            Some(kind) => out.write_str(kind.name()),
            None => write!(out, "{value}"),
        },
    };
}

/// A number in hexadecimal digits, of which one is enough for those that look the same in decimal ones.
fn short(value: u128) -> String {
    match value {
        0..10 => value.to_string(),
        value => format!("{value:#x}"),
    }
}

fn hex(out: &mut String, value: u128) {
    let _ = if value == 0 {
        write!(out, "0")
    } else {
        write!(out, "{value:#x}")
    };
}

fn mac(out: &mut String, value: u128) {
    let _ = write!(out, "{}", packet::MacAddr::from_u64(value as u64));
}

/// The length of a contiguous mask.
fn prefix_len(mask: u128, width: u32) -> Option<u32> {
    let top = mask << (128 - width);
    let len = top.leading_ones();
    (top.checked_shl(len).unwrap_or(0) == 0).then_some(len)
}

fn print_flags(out: &mut String, value: u128, names: &[&str]) {
    let mut rest = value;
    for (at, name) in names
        .iter()
        .enumerate()
        .filter(|(at, _)| value >> at & 1 == 1)
    {
        let bar = if rest == value { "" } else { "|" };
        let _ = write!(out, "{bar}{name}");
        rest &= !(1 << at);
    }
    let bar = if rest == value { "" } else { "|" };
    let _ = match rest {
        0 if value == 0 => write!(out, "0"),
        0 => Ok(()),
        rest => write!(out, "{bar}[{rest:x}]"),
    };
}

/// The flags of a tunnel as a match says them, even if it says all of them.
pub(super) fn print_tunnel_flags(out: &mut String, value: u128, mask: u128) {
    let _ = signed_flags(out, value, mask, TUNNEL_FLAGS);
}

fn signed_flags(out: &mut String, value: u128, mask: u128, names: &[&str]) -> std::fmt::Result {
    for at in (0..128).filter(|at| mask >> at & 1 == 1) {
        let sign = if value >> at & 1 == 1 { '+' } else { '-' };
        match names.get(at) {
            Some(name) => write!(out, "{sign}{name}")?,
            None => write!(out, "{sign}[{:x}]", 1u128 << at)?,
        }
    }
    Ok(())
}

/// The field with this name, alias or wire name.
pub(super) fn field_named(name: &str) -> Option<&'static Row> {
    // Every word of every flow is looked up: a search through the rows took half of the time of reading a flow.
    static NAMES: LazyLock<HashMap<String, &'static Row>> = LazyLock::new(|| {
        let aliases = FIELDS.iter().filter(|row| !row.alias.is_empty());
        let own = FIELDS.iter().map(|row| (row.name.to_owned(), row));
        let own = own.chain(aliases.map(|row| (row.alias.to_owned(), row)));
        let wire = FIELDS.iter().flat_map(|row| {
            let ids = wire_names(row).into_iter().flatten();
            ids.map(move |id| (id, row))
        });
        let second = SECOND_NAMES.iter();
        let second = second.map(|(field, name)| ((*name).to_owned(), field.row()));
        let mut names = HashMap::new();
        for (name, row) in own.chain(wire).chain(second) {
            names.entry(name).or_insert(row);
        }
        names
    });
    NAMES.get(name).copied()
}

/// Beginnings of names of Open vSwitch's fields that are not here, and why.
const FOREIGN: &[(&str, &str)] = &[
    ("ct_", "there is no connection tracking"),
    ("nsh_", "there is no NSH"),
    ("gtpu_", "there are no GTP-U tunnels"),
    ("erspan_", "there are no ERSPAN tunnels"),
];

/// What is wrong with a word that is no field's name: Open vSwitch may know it, or one of these is meant.
pub(super) fn unknown<'n>(
    word: Word<'_>,
    fault: &str,
    known: impl Iterator<Item = &'n str>,
) -> TextError {
    let lower = word.text.to_ascii_lowercase();
    let classes = ["nxm_nx_", "nxoxm_et_", "nxoxm_", "tun_"];
    let stem = classes
        .iter()
        .find_map(|class| lower.strip_prefix(class))
        .unwrap_or(&lower);
    match FOREIGN.iter().find(|(start, _)| stem.starts_with(start)) {
        Some((_, why)) => word.fail("not supported by this switch").help(*why),
        None => word.fail(fault).suggest(known),
    }
}

/// Names of fields and aliases.
pub(super) fn field_names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().flat_map(|row| [row.name, row.alias])
}

/// Where the name of a wire id differs from the field's own.
const STEMS: &[(Field, &str, &str)] = &[
    (Field::TunId, "TUN_ID", "TUNNEL_ID"),
    (Field::TunSrc, "TUN_IPV4_SRC", "TUN_IPV4_SRC"),
    (Field::TunDst, "TUN_IPV4_DST", "TUN_IPV4_DST"),
    (Field::IpSrc, "IP_SRC", "IPV4_SRC"),
    (Field::IpDst, "IP_DST", "IPV4_DST"),
    (Field::Ipv6Label, "IPV6_LABEL", "IPV6_FLABEL"),
    (Field::IpProto, "IP_PROTO", "IP_PROTO"),
    (Field::IpTos, "IP_TOS", "IP_TOS"),
    (Field::IpEcn, "IP_ECN", "IP_ECN"),
    (Field::IpTtl, "IP_TTL", "IP_TTL"),
    (Field::InPortOxm, "IN_PORT", "IN_PORT"),
    (Field::IcmpType, "ICMP_TYPE", "ICMPV4_TYPE"),
    (Field::IcmpCode, "ICMP_CODE", "ICMPV4_CODE"),
    (Field::NdTarget, "ND_TARGET", "IPV6_ND_TARGET"),
    (Field::NdSll, "ND_SLL", "IPV6_ND_SLL"),
    (Field::NdTll, "ND_TLL", "IPV6_ND_TLL"),
];

/// Names of the ids of [`SECOND_IDS`](crate::field::SECOND_IDS).
const SECOND_NAMES: &[(Field, &str)] = &[
    (Field::TcpFlags, "OXM_OF_TCP_FLAGS"),
    (Field::ActsetOutput, "OXM_OF_ACTSET_OUTPUT"),
    (Field::DpHash, "NXOXM_ET_DP_HASH"),
];

/// The names of the NXM and the OXM id.
pub fn wire_names(row: &Row) -> [Option<String>; 2] {
    let stem = STEMS.iter().find(|stem| stem.0 == row.field);
    let own = row.name.to_ascii_uppercase();
    let nxm = row.nxm.map(|id| {
        let class = if id.class == 0 { "NXM_OF" } else { "NXM_NX" };
        format!("{class}_{}", stem.map_or(own.as_str(), |s| s.1))
    });
    let oxm = row.oxm.map(|id| match (id.class, id.experimenter) {
        (0x1000, _) => format!("ERICOXM_OF_ICMPV6_{own}"),
        (_, crate::field::NICIRA) => format!("NXOXM_ET_{own}"),
        (0x8001, _) => own.replace("XREG", "OXM_OF_PKT_REG"),
        (_, crate::field::ONF) => format!("ONFOXM_ET_{own}"),
        (_, crate::field::TSUNAGI) => format!("TSUNAGI_{own}"),
        _ => format!("OXM_OF_{}", stem.map_or(own.as_str(), |s| s.2)),
    });
    [nxm, oxm]
}

/// Bits of a field and their value, as traces show them: `NXM_NX_REG0[0..15]` and `0x3`.
pub fn print_bits(bits: Subfield, value: u128, ports: Option<&PortMap>) -> (String, String) {
    let (mut name, mut text) = (String::new(), String::new());
    print_subfield(&mut name, bits);
    let row = bits.field.row();
    match bits == Subfield::whole(bits.field) {
        true => print_value(&mut text, row, value, row.place.ones(), ports),
        false => hex(&mut text, value),
    }
    (name, text)
}

/// Prints a subfield under its wire name.
pub(super) fn print_subfield(out: &mut String, sub: Subfield) {
    let row = sub.field.row();
    let [nxm, oxm] = wire_names(row);
    out.push_str(nxm.or(oxm).as_deref().unwrap_or(row.name));
    let _ = match (sub.start, sub.width) {
        // How wide a tunnel option is, the switch says.
        (0, _) if sub == Subfield::whole(row.field) && !row.field.is_tun_metadata() => {
            write!(out, "[]")
        }
        (start, 1) => write!(out, "[{start}]"),
        (start, width) => write!(out, "[{start}..{}]", start + width - 1),
    };
}

/// Reads `field`, `field[]`, `field[n]` or `field[from..to]`.
pub fn read_subfield(word: Word<'_>) -> Result<Subfield> {
    let (name, bits) = match word.split_once("[") {
        None => (word, None),
        Some((name, rest)) => match rest.split_once("]") {
            Some((bits, after)) if after.text.is_empty() => (name, Some(bits)),
            _ => return Err(rest.fail("\"]\" is missing at the end")),
        },
    };
    let row =
        field_named(name.text).ok_or_else(|| unknown(name, "no such field", field_names()))?;
    let whole = Subfield::whole(row.field);
    let Some(bits) = bits.filter(|b| !b.text.is_empty()) else {
        return Ok(whole);
    };
    let (first, last) = match bits.split_once("..") {
        Some((first, last)) => (first.int::<u8>()?, last),
        None => (bits.int::<u8>()?, bits),
    };
    let end = last.int::<u8>()?;
    if end >= whole.width {
        return Err(last.fail(format!("{} has bits 0 to {}", row.name, whole.width - 1)));
    }
    if first > end {
        return Err(bits.fail("the first bit is above the last"));
    }
    Ok(Subfield {
        field: row.field,
        start: first,
        width: end - first + 1,
    })
}

#[cfg(test)]
mod tests {
    use crate::text::{PortMap, Style, print_match, read_match};
    use crate::types::Version;

    #[test]
    fn flags_without_a_name_read_back() {
        let ports = PortMap::default();
        for text in [
            "tcp,tcp_flags=[200]",
            "tcp,tcp_flags=syn|[e00]",
            "tcp,tcp_flags=+syn-ack+[200]-[400]",
        ] {
            let matching = read_match(text, &ports).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                format!(
                    "{}",
                    print_match(&matching, &Style::plain(Version::V13, &ports))
                ),
                text
            );
        }
        for bad in ["[2000]", "+[0]", "[x]", "[200", "+[200]-[200]"] {
            let text = format!("tcp,tcp_flags={bad}");
            assert!(read_match(&text, &ports).is_err(), "{text}");
        }
    }
}
