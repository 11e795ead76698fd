//! All fields of a packet on one line, as Open vSwitch's traces show them, and those that it has not got.

use crate::model::BridgeView;
use crate::model::tlv::OptionWords;
use flow::print::Fields;
use ofp::field::{FIELDS, Field};
use ofp::key::{Key, Match, word};
use ofp::text::{Style, print_match};

/// Fields before the packet's protocol, in this order.
const BEFORE: &[Field] = &[
    Field::PktMark,
    Field::RecircId,
    Field::DpHash,
    Field::ConjId,
];
/// Fields behind the packet's own: those that Open vSwitch does not have, or does not show. 0 is not shown.
const BEHIND: &[Field] = &[
    Field::NdReserved,
    Field::NdOptionsType,
    Field::Ipv6Exthdr,
    Field::PbbIsid,
    Field::PbbUca,
    Field::BpduType,
];
/// Items of a frame's line that a packet without an Ethernet header does not have.
const ETHERNET: &[&str] = &["vlan_tci", "dl_vlan", "dl_src", "dl_dst", "dl_type"];

/// The line. Metadata that is 0 is not shown.
pub(super) fn line(key: &Key, view: &BridgeView, style: &Style<'_>) -> String {
    let mut items = Vec::new();
    items.push(some(key, BEFORE.iter().copied(), style));
    if let Some(queue) = (key.get(Field::SkbPriority.place()) as u32).checked_sub(1) {
        items.push(format!("skb_priority={queue:#x}"));
    }
    let packet = Fields(key).to_string();
    let (protocol, packet) = match packet.split_once(',') {
        Some((protocol, rest)) if !protocol.contains('=') => (protocol, rest),
        _ => ("", packet.as_str()),
    };
    let kind = key.get(Field::PacketType.place()) as u32;
    match kind {
        0 => items.push(protocol.to_owned()),
        kind => items.push(format!("packet_type=({},{:#x})", kind >> 16, kind & 0xffff)),
    }
    items.push(pipeline(key, view, style));
    match kind {
        0 => items.push(packet.to_owned()),
        _ => items.push(bare(packet)),
    }
    items.push(some(key, behind(key), style));
    items.retain(|item| !item.is_empty());
    items.join(",")
}

/// Those of the fields behind the packet's own that it has.
fn behind(key: &Key) -> impl Iterator<Item = Field> {
    let known = super::actions::known(key);
    let has = move |field: &Field| field.row().prereq.holds(&known);
    BEHIND.iter().copied().filter(has)
}

/// Of some fields, those that are not 0.
fn some(key: &Key, fields: impl Iterator<Item = Field>, style: &Style<'_>) -> String {
    let mut items = Vec::new();
    for field in fields {
        let mut matching = Match::default();
        matching.set(field.place(), key.get(field.place()), u128::MAX);
        if key.get(field.place()) != 0 {
            items.push(print_match(&matching, style));
        }
    }
    items.join(",")
}

/// Registers, what a tunnel's header and options say, metadata, and the port.
fn pipeline(key: &Key, view: &BridgeView, style: &Style<'_>) -> String {
    let mut matching = Match::default();
    let is_shown = |field: Field| {
        let register = (Field::Reg0..=Field::Reg31).contains(&field);
        let tunnel = (Field::TunId..=Field::TunGbpFlags).contains(&field);
        register || tunnel || field == Field::Metadata
    };
    for row in FIELDS.iter().filter(|row| is_shown(row.field)) {
        let value = key.get(row.place);
        if value != 0 {
            matching.set(row.place, value, u128::MAX);
        }
    }
    let port = Field::InPortOxm.place();
    matching.set(port, key.get(port), u128::MAX);
    let words: Result<OptionWords, _> = key.0[word::TUN_METADATA..word::ETH_DST].try_into();
    if let (Some(map), Ok(words)) = (&view.config.tlvs, words) {
        for (place, value) in map.values(&words) {
            matching.set(place, value, u128::MAX);
        }
    }
    print_match(&matching, style)
}

/// A frame's line without what the packet in it does not have.
fn bare(line: &str) -> String {
    let is_own = |item: &&str| !ETHERNET.iter().any(|name| item.starts_with(name));
    line.split(',').filter(is_own).collect::<Vec<_>>().join(",")
}
