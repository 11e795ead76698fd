//! Greetings, errors, features and settings as text.

use super::{Style, error_name, ports, print_wire};
use crate::error::OfError;
use crate::message::{
    ASYNC_KINDS, AsyncChange, AsyncConfig, ErrorBody, Features, FlowFormat, Hello, PacketInFormat,
    Role, SwitchConfig, SwitchDesc, capability,
};
use crate::types::Version;
use std::fmt::Write;

/// Capabilities in the order in which they are printed.
const CAPABILITIES: &[(u32, &str)] = &[
    (capability::FLOW_STATS, "FLOW_STATS"),
    (capability::TABLE_STATS, "TABLE_STATS"),
    (capability::PORT_STATS, "PORT_STATS"),
    (capability::GROUP_STATS, "GROUP_STATS"),
    (capability::IP_REASM, "IP_REASM"),
    (capability::QUEUE_STATS, "QUEUE_STATS"),
    (capability::ARP_MATCH_IP, "ARP_MATCH_IP"),
    (capability::STP, "STP"),
    (capability::PORT_BLOCKED, "PORT_BLOCKED"),
    (capability::BUNDLES, "BUNDLES"),
    (capability::FLOW_MONITORING, "FLOW_MONITORING"),
];

/// OpenFlow 1.0's action types by number, in the order in which they are printed.
const ACTIONS10: &[(u32, &str)] = &[
    (0, "output"),
    (11, "enqueue"),
    (1, "set_vlan_vid"),
    (2, "set_vlan_pcp"),
    (3, "strip_vlan"),
    (4, "mod_dl_src"),
    (5, "mod_dl_dst"),
    (6, "mod_nw_src"),
    (7, "mod_nw_dst"),
    (8, "mod_nw_tos"),
    (9, "mod_tp_src"),
    (10, "mod_tp_dst"),
];

pub(super) fn hello(out: &mut String, hello: &Hello) {
    let bits = hello
        .bitmap
        .unwrap_or_else(|| (2u32 << u32::from(hello.version).min(30)) - 2);
    let versions: Vec<String> = (0..32)
        .filter(|n| bits >> n & 1 == 1)
        .map(|n| format!("{n:#04x}"))
        .collect();
    let _ = write!(out, "\n version bitmap: {}", versions.join(", "));
}

/// The error's name, and what it is about: text, or the beginning of a message.
pub(super) fn error(out: &mut String, error: &ErrorBody, style: &Style<'_>) {
    let _ = writeln!(out, " {}", error_name(error.error));
    if error.error == OfError::HelloIncompatible {
        let _ = writeln!(out, "{}", String::from_utf8_lossy(&error.data));
    } else if error.data.is_empty() {
        out.push_str("OpenFlow message is empty\n");
    } else {
        out.push_str(&print_wire(&error.data, style));
    }
}

pub(super) fn features(out: &mut String, features: &Features, style: &Style<'_>) {
    let _ = write!(
        out,
        " dpid:{:016x}\nn_tables:{}, n_buffers:{}",
        features.datapath_id, features.n_tables, features.n_buffers
    );
    if features.auxiliary_id != 0 {
        let _ = write!(out, ", auxiliary_id:{}", features.auxiliary_id);
    }
    out.push_str("\ncapabilities:");
    for (_, name) in CAPABILITIES
        .iter()
        .filter(|row| features.capabilities & row.0 != 0)
    {
        let _ = write!(out, " {name}");
    }
    out.push('\n');
    if style.version == Version::V10 {
        out.push_str("actions:");
        for (_, name) in ACTIONS10
            .iter()
            .filter(|row| features.actions >> row.0 & 1 == 1)
        {
            let _ = write!(out, " {name}");
        }
        out.push('\n');
    }
    ports::sorted(out, &features.ports, style);
}

/// A fragment mode's name.
pub fn frag_name(frag: u8) -> &'static str {
    ["normal", "drop", "reassemble", "nx-match"][usize::from(frag & 3)]
}

pub(super) fn switch_config(out: &mut String, config: &SwitchConfig) {
    let _ = write!(out, " frags={}", frag_name(config.frag));
    if config.invalid_ttl_to_controller {
        out.push_str(" invalid_ttl_to_controller");
    }
    let _ = write!(out, " miss_send_len={}", config.miss_send_len);
}

pub(super) fn desc(out: &mut String, desc: &SwitchDesc) {
    out.push('\n');
    for (label, value) in [
        ("Manufacturer", &desc.manufacturer),
        ("Hardware", &desc.hardware),
        ("Software", &desc.software),
        ("Serial Num", &desc.serial),
        ("DP Description", &desc.datapath),
    ] {
        let _ = writeln!(out, "{label}: {value}");
    }
}

/// A role's name.
pub(super) fn role_name(role: u32) -> &'static str {
    ["nochange", "equal", "primary", "secondary"]
        .get(role as usize)
        .unwrap_or(&"unknown")
}

pub(super) fn role(out: &mut String, role: &Role) {
    let _ = write!(out, " role={}", role_name(role.role));
    if let Some(id) = role.generation_id.filter(|id| *id != u64::MAX) {
        let _ = write!(out, " generation_id={id}");
    }
    if let Some(id) = role.short_id {
        let _ = write!(out, " short_id={id}");
    }
}

/// Reasons by kind of asynchronous message, a bit each; an empty name has none.
const REASONS: [(&str, &[&str]); ASYNC_KINDS] = [
    (
        "PACKET_IN",
        &[
            "no_match",
            "action",
            "invalid_ttl",
            "action_set",
            "group",
            "packet_out",
        ],
    ),
    ("PORT_STATUS", &["add", "delete", "modify"]),
    (
        "FLOW_REMOVED",
        &[
            "idle",
            "hard",
            "delete",
            "group_delete",
            "meter_delete",
            "eviction",
        ],
    ),
    (
        "ROLE_STATUS",
        &[
            "primary_request",
            "configuration_changed",
            "experimenter_data_changed",
        ],
    ),
    ("TABLE_STATUS", &["", "", "", "vacancy_down", "vacancy_up"]),
    (
        "REQUESTFORWARD",
        &["group_mod_request", "meter_mod_request"],
    ),
    ("FLOW_STATS", &["request", "stat_trigger"]),
    (
        "CONT_STATUS",
        &[
            "request",
            "channel_status",
            "role",
            "controller_added",
            "controller_removed",
            "short_id",
            "experimenter",
        ],
    ),
];

pub(super) fn async_config(out: &mut String, config: &AsyncConfig, style: &Style<'_>) {
    let kinds = AsyncChange::from(*config).kinds();
    for (index, who) in ["primary", "secondary"].into_iter().enumerate() {
        let _ = write!(out, "\n {who}:\n");
        for ((label, names), masks) in REASONS.iter().zip(kinds) {
            let bits = masks[index].unwrap_or(0);
            // The stock tools do not know of the last two kinds.
            if matches!(*label, "FLOW_STATS" | "CONT_STATUS") && bits == 0 {
                continue;
            }
            let _ = write!(out, "{label:>16}:");
            // Before 1.4 every list of actions is one reason.
            let known = match *label {
                "PACKET_IN" if style.version < Version::V14 => 3,
                _ => names.len(),
            };
            let on: Vec<&str> = names[..known]
                .iter()
                .enumerate()
                .filter(|(n, name)| bits >> n & 1 == 1 && !name.is_empty())
                .map(|(_, name)| *name)
                .collect();
            let _ = match &on[..] {
                [] => writeln!(out, " (off)"),
                on => writeln!(out, " {}", on.join(" ")),
            };
        }
    }
}

pub(super) fn flow_format(out: &mut String, format: FlowFormat) {
    out.push_str(match format {
        FlowFormat::OpenFlow10 => " format=openflow10",
        FlowFormat::Nxm => " format=nxm",
    });
}

pub(super) fn packet_in_format(out: &mut String, format: PacketInFormat) {
    out.push_str(match format {
        PacketInFormat::Standard => " format=standard",
        PacketInFormat::Nxt => " format=nxt_packet_in",
        PacketInFormat::Nxt2 => " format=nxt_packet_in2",
    });
}

/// Bytes in rows of sixteen, with their characters if `text`.
pub fn hex_dump(data: &[u8], text: bool) -> String {
    /// Columns before the characters.
    const WIDTH: usize = 10 + 3 * 16;
    let mut out = String::new();
    for (row, bytes) in data.chunks(16).enumerate() {
        let mut line = format!("{:08x}  ", row * 16);
        for (index, byte) in bytes.iter().enumerate() {
            let _ = write!(line, "{byte:02x}{}", if index == 7 { '-' } else { ' ' });
        }
        if text {
            let printable = |b: &u8| {
                if (0x20..0x7f).contains(b) {
                    char::from(*b)
                } else {
                    '.'
                }
            };
            let shown: String = bytes.iter().map(printable).collect();
            line = format!("{line:<WIDTH$}|{shown:<16}|");
        }
        let line = line.trim_end();
        // Half a row has no second half to be told from.
        let bare = line.strip_suffix('-').filter(|_| !text);
        out.push_str(bare.unwrap_or(line));
        out.push('\n');
    }
    out
}
