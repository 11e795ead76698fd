//! Flows and packets as text: FLOW_MOD, flow statistics, FLOW_REMOVED, PACKET_IN, PACKET_OUT.

use super::actions::dotted;
use super::config::hex_dump;
use super::{Style, print_actions, print_duration};
use crate::field::Field;
use crate::key::Match;
use crate::message::flow_flag;
use crate::message::{
    FlowCounts, FlowMod, FlowModCommand, FlowRemoved, FlowRemovedReason, FlowStats,
    FlowStatsRequest, PacketIn, PacketOut,
};
use crate::text::action::reason_name;
use crate::text::flow::FLAGS;
use crate::text::matching::print_match;
use crate::text::ports::{print_port, shown_table};
use crate::types::{PortNo, TableId, Version};
use std::fmt::Write;

/// Priority of a flow that names none.
const DEFAULT_PRIORITY: u16 = 0x8000;

fn priority_and_match(out: &mut String, priority: u16, matching: &Match, style: &Style<'_>) {
    let from = out.len();
    print_match(out, matching, style.port_names());
    if priority != DEFAULT_PRIORITY {
        let comma = if out.len() > from { "," } else { "" };
        out.insert_str(from, &format!("priority={priority}{comma}"));
    }
}

fn space(out: &mut String) {
    if !out.ends_with(' ') {
        out.push(' ');
    }
}

/// OpenFlow 1.0 and 1.1 have two flags; the others are implied there, not said.
fn known_flags(style: &Style<'_>) -> u16 {
    match style.version {
        Version::V10 | Version::V11 => flow_flag::SEND_FLOW_REM | flow_flag::CHECK_OVERLAP,
        _ => u16::MAX,
    }
}

fn flags(out: &mut String, flags: u16) {
    for (name, _) in FLAGS.iter().filter(|row| flags & row.1 != 0) {
        let _ = write!(out, "{name} ");
    }
}

/// Prints what a FLOW_MOD says: `ADD table:1 ip actions=drop`. An ADD to no table in particular names none.
pub fn print_flow_mod(flow: &FlowMod, style: &Style<'_>) -> String {
    let names_none = flow.command == FlowModCommand::Add && flow.table == TableId::ALL;
    flow_mod(flow, style, !names_none)
}

/// As above, as it travelled: with the number that stands for no table.
pub(super) fn travelled(flow: &FlowMod, style: &Style<'_>) -> String {
    flow_mod(flow, style, true)
}

fn flow_mod(flow: &FlowMod, style: &Style<'_>, names_table: bool) -> String {
    let mut out = match flow.command {
        FlowModCommand::Add => "ADD",
        FlowModCommand::Modify => "MOD",
        FlowModCommand::ModifyStrict => "MOD_STRICT",
        FlowModCommand::Delete => "DEL",
        FlowModCommand::DeleteStrict => "DEL_STRICT",
    }
    .to_owned();
    if flow.table.0 != 0 && names_table {
        let table = shown_table(flow.table, style.port_names());
        let _ = write!(out, " table:{table}");
    }
    out.push(' ');
    priority_and_match(&mut out, flow.priority, &flow.matching, style);
    space(&mut out);
    let selects = flow.cookie_mask != 0;
    let new_cookie = if selects {
        flow.new_cookie
    } else {
        Some(flow.cookie)
    };
    let cookie_matters = !matches!(
        flow.command,
        FlowModCommand::Delete | FlowModCommand::DeleteStrict
    );
    if let Some(cookie) = new_cookie.filter(|c| cookie_matters && c.0 != 0 && c.0 != u64::MAX) {
        let _ = write!(out, "cookie:{:#x} ", cookie.0);
    }
    if selects {
        let _ = write!(out, "cookie:{:#x}/{:#x} ", flow.cookie.0, flow.cookie_mask);
    }
    for (name, value) in [
        ("idle", flow.idle_timeout_secs),
        ("hard", flow.hard_timeout_secs),
        ("importance", flow.importance),
    ] {
        if value != 0 {
            let _ = write!(out, "{name}:{value} ");
        }
    }
    if flow.buffer_id != u32::MAX {
        let _ = write!(out, "buf:{:#x} ", flow.buffer_id);
    }
    if flow.out_port != PortNo::ANY {
        out.push_str("out_port:");
        print_port(&mut out, flow.out_port, style.port_names());
        out.push(' ');
    }
    flags(&mut out, flow.flags & known_flags(style));
    let _ = write!(out, "actions={}", print_actions(&flow.actions, style));
    out
}

/// Prints one flow of a dump, beginning with a space, without a newline.
pub fn print_flow_stats(flow: &FlowStats, style: &Style<'_>) -> String {
    let mut out = " ".to_owned();
    if style.stats || flow.cookie.0 != 0 {
        let _ = write!(out, "cookie={:#x}, ", flow.cookie.0);
    }
    if style.stats {
        out.push_str("duration=");
        print_duration(&mut out, flow.duration);
        let _ = write!(
            out,
            ", table={}, n_packets={}, n_bytes={}, ",
            shown_table(flow.table, style.port_names()),
            flow.packets,
            flow.bytes
        );
    } else if flow.table.0 != 0 {
        let table = shown_table(flow.table, style.port_names());
        let _ = write!(out, "table={table}, ");
    }
    for (name, value) in [
        ("idle_timeout", flow.idle_timeout_secs),
        ("hard_timeout", flow.hard_timeout_secs),
    ] {
        if value != 0 {
            let _ = write!(out, "{name}={value}, ");
        }
    }
    flags(&mut out, flow.flags);
    if flow.importance != 0 {
        let _ = write!(out, "importance={}, ", flow.importance);
    }
    if style.stats && style.ages {
        if let Some(age) = flow.idle_age_secs {
            let _ = write!(out, "idle_age={age}, ");
        }
        if let Some(age) = flow.hard_age_secs.filter(|age| *age != flow.duration.secs) {
            let _ = write!(out, "hard_age={age}, ");
        }
    }
    priority_and_match(&mut out, flow.priority, &flow.matching, style);
    space(&mut out);
    let _ = write!(out, "actions={}", print_actions(&flow.actions, style));
    out
}

/// Prints one flow of a dump without actions, beginning with a space, without a newline.
pub fn print_flow_counts(flow: &FlowCounts, style: &Style<'_>) -> String {
    let mut out = " ".to_owned();
    let stats = &flow.stats;
    for (name, span) in [("duration", stats.duration), ("idle_time", stats.idle_time)] {
        if let Some(span) = span {
            let _ = write!(out, "{name}=");
            print_duration(&mut out, span);
            out.push_str(", ");
        }
    }
    let _ = write!(out, "table={}, ", flow.table);
    for (name, count) in [
        ("n_flows", stats.flow_count.map(u64::from)),
        ("n_packets", stats.packet_count),
        ("n_bytes", stats.byte_count),
    ] {
        if let Some(count) = count {
            let _ = write!(out, "{name}={count}, ");
        }
    }
    if flow.triggered {
        out.push_str("reason=stat_trigger, ");
    }
    priority_and_match(&mut out, flow.priority, &flow.matching, style);
    let size = out.trim_end_matches([',', ' ']).len();
    out.truncate(size);
    out
}

pub(super) fn stats_request(out: &mut String, select: &FlowStatsRequest, style: &Style<'_>) {
    if select.table != TableId::ALL {
        let _ = write!(out, " table={}", select.table);
    }
    if select.out_port != PortNo::ANY {
        out.push_str(" out_port=");
        print_port(out, select.out_port, style.port_names());
    }
    out.push(' ');
    print_match(out, &select.matching, style.port_names());
}

/// Why a flow went away, in a word.
pub(super) fn removed_reason(reason: FlowRemovedReason) -> &'static str {
    match reason {
        FlowRemovedReason::IdleTimeout => "idle",
        FlowRemovedReason::HardTimeout => "hard",
        FlowRemovedReason::Delete => "delete",
        FlowRemovedReason::GroupDelete => "group_delete",
        FlowRemovedReason::MeterDelete => "meter_delete",
        FlowRemovedReason::Eviction => "eviction",
    }
}

pub(super) fn flow_removed(out: &mut String, removed: &FlowRemoved, style: &Style<'_>) {
    out.push(' ');
    priority_and_match(out, removed.priority, &removed.matching, style);
    let _ = write!(out, " reason={}", removed_reason(removed.reason));
    if removed.table != TableId::ALL {
        let _ = write!(out, " table_id={}", removed.table);
    }
    if removed.cookie.0 != 0 {
        let _ = write!(out, " cookie:{:#x}", removed.cookie.0);
    }
    out.push_str(" duration");
    print_duration(out, removed.duration);
    let _ = write!(out, " idle{}", removed.idle_timeout_secs);
    if removed.hard_timeout_secs != 0 {
        let _ = write!(out, " hard{}", removed.hard_timeout_secs);
    }
    let _ = write!(out, " pkts{} bytes{}", removed.packets, removed.bytes);
}

pub(super) fn packet_in(out: &mut String, packet: &PacketIn, style: &Style<'_>) {
    if packet.table != TableId(0) && packet.table != TableId::ALL {
        let _ = write!(out, " table_id={}", packet.table);
    }
    if packet.cookie.0 != u64::MAX {
        let _ = write!(out, " cookie={:#x}", packet.cookie.0);
    }
    let _ = write!(out, " total_len={} ", packet.total_len);
    print_match(out, &packet.fields, style.port_names());
    let _ = write!(
        out,
        " (via {}) data_len={} (unbuffered)",
        reason_name(packet.reason),
        packet.data.len()
    );
    if packet.total_len as usize != packet.data.len() {
        out.push_str(" (***total_len != data_len***)");
    }
    out.push('\n');
    if !packet.userdata.is_empty() {
        let _ = writeln!(out, " userdata={}", dotted(&packet.userdata));
    }
    frame(out, &packet.data, &packet.fields, style);
}

pub(super) fn packet_out(out: &mut String, packet: &PacketOut, style: &Style<'_>) {
    out.push_str(" in_port=");
    print_port(out, packet.in_port, style.port_names());
    let _ = write!(out, " actions={}", print_actions(&packet.actions, style));
    if packet.buffer_id == u32::MAX {
        let _ = writeln!(out, " data_len={}", packet.data.len());
        frame(out, &packet.data, &packet.fields, style);
    } else {
        let _ = write!(out, " buffer={:#010x}", packet.buffer_id);
    }
}

fn frame(out: &mut String, data: &[u8], fields: &Match, style: &Style<'_>) {
    if data.is_empty() {
        return;
    }
    let (packet_type, _) = fields.get(Field::PacketType.place());
    if let Some(describe) = style.frame {
        let _ = writeln!(out, "{}", describe(data, packet_type.into()));
    }
    if style.hex {
        out.push_str(&hex_dump(data, false));
    }
}
