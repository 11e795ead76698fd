//! What controllers are told about each other and about tables, as text.

use super::config::role_name;
use super::{Style, body};
use crate::message::{
    Body, ControllerStatus, RequestForward, RoleReason, RoleStatus, TableDesc, TableMod,
    TableStatus, table_config,
};
use crate::types::{TableId, Version};
use std::fmt::Write;

pub(super) fn role_status(out: &mut String, status: &RoleStatus) {
    let _ = write!(out, " role={}", role_name(status.role));
    if status.generation_id != u64::MAX {
        let _ = write!(out, " generation_id={}", status.generation_id);
    }
    let reason = match status.reason {
        RoleReason::PrimaryRequest => "primary_request",
        RoleReason::Config => "configuration_changed",
        RoleReason::Experimenter => "experimenter_data_changed",
    };
    let _ = write!(out, " reason={reason}");
}

pub(super) fn requestforward(out: &mut String, forward: &RequestForward, style: &Style<'_>) {
    let reason = match &forward.request {
        Body::GroupMod(_) => "group_mod",
        Body::MeterMod(_) => "meter_mod",
        _ => "unknown",
    };
    let _ = write!(out, " reason={reason}");
    body(out, &forward.request, style);
}

/// OFPCSR_*.
const CONTROLLER_REASONS: [&str; 7] = [
    "request",
    "channel_status",
    "role",
    "controller_added",
    "controller_removed",
    "short_id",
    "experimenter",
];

pub(super) fn controller_status(out: &mut String, status: &ControllerStatus) {
    let reason = CONTROLLER_REASONS.get(usize::from(status.reason));
    let channel = if status.connected { "up" } else { "down" };
    let _ = write!(
        out,
        " short_id={} role={} reason={} channel={channel}",
        status.short_id,
        role_name(status.role),
        reason.unwrap_or(&"unknown"),
    );
    if !status.uri.is_empty() {
        let _ = write!(out, " uri={}", status.uri);
    }
}

/// OFPTMPEF_*, a bit each.
const EVICTION_FLAGS: [&str; 3] = ["OTHER", "IMPORTANCE", "LIFETIME"];

fn eviction_flags(out: &mut String, flags: u32) {
    out.push_str(" eviction_flags=");
    if flags == u32::MAX {
        return out.push_str("(default)");
    }
    let set = EVICTION_FLAGS.iter().enumerate();
    let mut names: Vec<String> = set
        .filter(|(bit, _)| flags >> bit & 1 == 1)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let rest = flags & !0x7;
    if rest != 0 || names.is_empty() {
        names.push(match rest {
            0 => "0".to_owned(),
            rest => format!("{rest:#x}"),
        });
    }
    out.push_str(&names.join("|"));
}

fn on(config: u32, bit: u32) -> &'static str {
    if config & bit != 0 { "on" } else { "off" }
}

pub(super) fn table_mod(out: &mut String, m: &TableMod, version: Version) {
    let _ = match m.table {
        TableId::ALL => write!(out, " table_id: ALL_TABLES"),
        table => write!(out, " table_id={table}"),
    };
    if version < Version::V13 {
        let _ = write!(out, ", flow_miss_config={}", miss_name(m.config));
    }
    if version < Version::V14 {
        return;
    }
    let _ = write!(out, ", eviction={}", on(m.config, table_config::EVICTION));
    if let Some(flags) = m.eviction_flags {
        eviction_flags(out, flags);
    }
    let _ = write!(
        out,
        ", vacancy={}",
        on(m.config, table_config::VACANCY_EVENTS)
    );
    if m.config & table_config::VACANCY_EVENTS != 0 {
        let vacancy = m.vacancy.unwrap_or_default();
        let _ = write!(out, " vacancy:{},{}", vacancy.down, vacancy.up);
    }
}

/// What a table does with packets that match nothing (1.1 and 1.2).
pub(super) fn miss_name(config: u32) -> &'static str {
    ["controller", "continue", "drop", "unknown"][(config & table_config::MISS_MASK) as usize]
}

/// Prints a table's configuration, three lines.
pub fn print_table_desc(desc: &TableDesc) -> String {
    let mut out = format!("\n  table {}:\n", desc.table);
    let _ = write!(
        out,
        "   eviction={}",
        on(desc.config, table_config::EVICTION)
    );
    eviction_flags(&mut out, desc.eviction_flags);
    let _ = write!(
        out,
        "\n   vacancy={}",
        on(desc.config, table_config::VACANCY_EVENTS)
    );
    if desc.config & table_config::VACANCY_EVENTS != 0 {
        let v = desc.vacancy;
        let _ = write!(
            out,
            " vacancy_down={}% vacancy_up={}% vacancy={}%",
            v.down, v.up, v.current
        );
    }
    out.push('\n');
    out
}

pub(super) fn table_status(out: &mut String, status: &TableStatus) {
    let reason = match status.reason {
        3 => "VACANCY_DOWN",
        _ => "VACANCY_UP",
    };
    let desc = print_table_desc(&status.desc);
    let _ = write!(out, " reason={reason}\ntable_desc:-{desc}");
}
