//! Flow monitors, bundles and the TLV map as text.

use super::flows::removed_reason;
use super::{Style, header, print_actions};
use crate::message::{
    BundleAdd, BundleCommand, BundleControl, BundleFeatures, BundleFeaturesRequest, BundleSchedule,
    Dialect, FlowEvent, FlowUpdate, MonitorCommand, MonitorRequest, TlvCommand, TlvMapping,
    TlvTable, TlvTableMod, bundle_features_flag, bundle_flag, monitor_flag,
};
use crate::text::matching::print_match;
use crate::text::monitor::FLAGS;
use crate::text::ports::print_port;
use crate::types::{GroupId, PortNo, TableId};
use crate::wire;
use std::fmt::Write;

/// Prints what a monitor watches, on a line of its own that begins with a space.
pub(super) fn request(out: &mut String, q: &MonitorRequest, style: &Style<'_>) {
    let _ = write!(out, "\n id={}", q.id);
    match q.command {
        MonitorCommand::Delete => {
            out.push_str(" command=delete");
            return;
        }
        MonitorCommand::Modify => out.push_str(" command=modify"),
        MonitorCommand::Add => {}
    }
    let mut names: Vec<&str> = FLAGS
        .iter()
        .filter(|f| q.flags & f.1 != 0)
        .map(|f| f.0)
        .collect();
    if q.flags & monitor_flag::ONLY_OWN != 0 {
        names.push("only_own");
    }
    let _ = write!(out, " flags={}", names.join(","));
    if q.out_port != PortNo::ANY {
        out.push_str(" out_port=");
        print_port(out, q.out_port, style.port_names());
    }
    if q.out_group != GroupId::ANY {
        let _ = write!(out, " out_group={}", q.out_group);
    }
    if q.table != TableId::ALL {
        let _ = write!(out, " table={}", q.table);
    }
    let before = out.len();
    out.push(' ');
    print_match(out, &q.matching, style.port_names());
    if out.len() == before + 1 {
        out.pop();
    }
}

/// Prints one entry of a report: ` event=ADDED table=0 cookie=0 ip actions=drop`.
pub fn print_flow_update(update: &FlowUpdate, style: &Style<'_>) -> String {
    let mut out = " event=".to_owned();
    let FlowUpdate::Full(full) = update else {
        let _ = match update {
            FlowUpdate::Abbreviated(xid) => write!(out, "ABBREV xid={:#x}", xid.0),
            FlowUpdate::Paused => write!(out, "PAUSED"),
            _ => write!(out, "RESUMED"),
        };
        return out;
    };
    let _ = match full.event {
        FlowEvent::Initial => write!(out, "INITIAL"),
        FlowEvent::Added => write!(out, "ADDED"),
        FlowEvent::Removed(reason) => write!(out, "DELETED reason={}", removed_reason(reason)),
        FlowEvent::Modified => write!(out, "MODIFIED"),
    };
    let _ = write!(out, " table={}", full.table);
    for (name, secs) in [
        ("idle", full.idle_timeout_secs),
        ("hard", full.hard_timeout_secs),
    ] {
        if secs != 0 {
            let _ = write!(out, " {name}_timeout={secs}");
        }
    }
    let _ = match full.cookie.0 {
        0 => write!(out, " cookie=0 "),
        cookie => write!(out, " cookie={cookie:#x} "),
    };
    print_match(&mut out, &full.matching, style.port_names());
    if let Some(actions) = full.actions.as_ref().filter(|actions| !actions.is_empty()) {
        if !out.ends_with(' ') {
            out.push(' ');
        }
        let _ = write!(out, "actions={}", print_actions(actions, style));
    }
    out.truncate(out.trim_end().len());
    out
}

fn bundle_head(out: &mut String, bundle: u32, command: Option<BundleCommand>, flags: u16) {
    let _ = match bundle {
        0 => write!(out, "\n bundle_id=0"),
        bundle => write!(out, "\n bundle_id={bundle:#x}"),
    };
    let name = command.map(|command| match command {
        BundleCommand::OpenRequest => "OPEN_REQUEST",
        BundleCommand::OpenReply => "OPEN_REPLY",
        BundleCommand::CloseRequest => "CLOSE_REQUEST",
        BundleCommand::CloseReply => "CLOSE_REPLY",
        BundleCommand::CommitRequest => "COMMIT_REQUEST",
        BundleCommand::CommitReply => "COMMIT_REPLY",
        BundleCommand::DiscardRequest => "DISCARD_REQUEST",
        BundleCommand::DiscardReply => "DISCARD_REPLY",
    });
    if let Some(name) = name {
        let _ = write!(out, " type={name}");
    }
    let known = [
        ("atomic", bundle_flag::ATOMIC),
        ("ordered", bundle_flag::ORDERED),
    ];
    let names: Vec<&str> = known
        .iter()
        .filter(|f| flags & f.1 != 0)
        .map(|f| f.0)
        .collect();
    let _ = write!(
        out,
        " flags={}",
        if names.is_empty() {
            "0".into()
        } else {
            names.join(" ")
        }
    );
}

pub(super) fn bundle_control(out: &mut String, c: &BundleControl) {
    bundle_head(out, c.bundle, Some(c.command), c.flags);
}

pub(super) fn bundle_features_request(out: &mut String, q: &BundleFeaturesRequest) {
    if q.flags & bundle_features_flag::TIMESTAMP != 0 {
        out.push_str(" timestamp");
    }
    if q.flags & bundle_features_flag::TIME_SET_SCHED != 0 {
        out.push_str(" set_schedule");
    }
    schedule(out, q.schedule.as_ref());
}

/// Prints what bundles can be: ` capabilities: atomic ordered`.
pub fn print_bundle_features(f: &BundleFeatures) -> String {
    let mut out = " capabilities:".to_owned();
    for (name, bit) in [
        ("atomic", bundle_flag::ATOMIC),
        ("ordered", bundle_flag::ORDERED),
        ("time", bundle_flag::TIME),
    ] {
        if f.capabilities & bit != 0 {
            let _ = write!(out, " {name}");
        }
    }
    if f.capabilities == 0 {
        out.push_str(" none");
    }
    schedule(&mut out, f.schedule.as_ref());
    out
}

fn schedule(out: &mut String, schedule: Option<&BundleSchedule>) {
    let Some(s) = schedule else {
        return;
    };
    for (name, time) in [
        ("accuracy", s.accuracy),
        ("max_future", s.max_future),
        ("max_past", s.max_past),
        ("timestamp", s.timestamp),
    ] {
        let _ = write!(out, " {name}={}.{:09}s", time.secs, time.nanos);
    }
}

/// Prints a bundle's message and the one in it.
pub(super) fn bundle_add(out: &mut String, a: &BundleAdd, style: &Style<'_>) {
    bundle_head(out, a.bundle, None, a.flags);
    let row = wire::row_of(&a.raw).map(|row| row.name);
    let dialect = Dialect::new(style.version);
    let name = row.unwrap_or_else(|| wire::name(&a.message.body, &dialect));
    let _ = write!(out, "\n{}", header(name, a.message.xid, style.version));
    super::body(out, &a.message.body, style);
}

fn mappings(out: &mut String, mappings: &[TlvMapping]) {
    out.push_str(" mapping table:\n  class  type  length  match field\n ------  ----  ------  --------------");
    for m in mappings {
        let hex = |number: u16| {
            if number == 0 {
                "0".to_owned()
            } else {
                format!("{number:#x}")
            }
        };
        let (class, kind) = (hex(m.class), hex(u16::from(m.kind)));
        let _ = write!(
            out,
            "\n {class:>6}  {kind:>4}  {:>6}  tun_metadata{}",
            m.size, m.index
        );
    }
}

pub(super) fn tlv_table_mod(out: &mut String, m: &TlvTableMod) {
    out.push_str(match m.command {
        TlvCommand::Add => "\n ADD",
        TlvCommand::Delete => "\n DEL",
        TlvCommand::Clear => "\n CLEAR",
    });
    if m.command != TlvCommand::Clear {
        mappings(out, &m.mappings);
    }
}

/// Prints the TLV map, from the end of the header's line on, without a newline at the end.
pub fn print_tlv_table(table: &TlvTable) -> String {
    let space: u32 = table.mappings.iter().map(|m| u32::from(m.size)).sum();
    let mut out = format!(
        "\n max option space={} max fields={}\n allocated option space={space}\n\n",
        table.max_space, table.max_fields
    );
    mappings(&mut out, &table.mappings);
    out
}
