//! Ports as text: descriptions, statistics, PORT_STATUS and PORT_MOD.

use super::{Style, count, print_duration};
use crate::bpdu::BpduStats;
use crate::message::{
    PortDesc, PortMod, PortReason, PortStats, PortStatus, RFC2819, port_config, port_state,
};
use crate::text::ports::print_port;
use crate::types::{PortNo, Version};
use packet::bpdu::Kind;
use std::fmt::Write;

/// Bits of a port's configuration by name.
pub(crate) const CONFIG: &[(u32, &str)] = &[
    (port_config::PORT_DOWN, "PORT_DOWN"),
    (port_config::NO_STP, "NO_STP"),
    (port_config::NO_RECV, "NO_RECV"),
    (port_config::NO_RECV_STP, "NO_RECV_STP"),
    (port_config::NO_FLOOD, "NO_FLOOD"),
    (port_config::NO_FWD, "NO_FWD"),
    (port_config::NO_PACKET_IN, "NO_PACKET_IN"),
];

/// Link modes in the layout of OpenFlow 1.1+: name of each bit.
const FEATURES: &[&str] = &[
    "10MB-HD",
    "10MB-FD",
    "100MB-HD",
    "100MB-FD",
    "1GB-HD",
    "1GB-FD",
    "10GB-FD",
    "40GB-FD",
    "100GB-FD",
    "1TB-FD",
    "OTHER",
    "COPPER",
    "FIBER",
    "AUTO_NEG",
    "AUTO_PAUSE",
    "AUTO_PAUSE_ASYM",
];

/// Speed in kbps of each link mode.
const SPEEDS: &[u32] = &[
    10_000,
    10_000,
    100_000,
    100_000,
    1_000_000,
    1_000_000,
    10_000_000,
    40_000_000,
    100_000_000,
    1_000_000_000,
];

fn names(out: &mut String, mut bits: u32, table: impl Iterator<Item = (u32, &'static str)>) {
    if bits == 0 {
        out.push('0');
        return;
    }
    let mut first = true;
    for (bit, name) in table {
        if bits & bit != 0 {
            let _ = write!(out, "{}{name}", if first { "" } else { " " });
            first = false;
            bits &= !bit;
        }
    }
    if bits != 0 {
        let _ = write!(out, "{}{bits:#x}", if first { "" } else { " " });
    }
}

fn state(out: &mut String, desc: &PortDesc, version: Version) {
    let stp = desc.state & port_state::STP_MASK;
    let bits = desc.state & !port_state::STP_MASK;
    if version != Version::V10 {
        let table = [
            (port_state::LINK_DOWN, "LINK_DOWN"),
            (port_state::BLOCKED, "BLOCKED"),
            (port_state::LIVE, "LIVE"),
        ];
        return names(out, bits, table.into_iter());
    }
    let down = bits & port_state::LINK_DOWN != 0;
    let stp = ["", "STP_LEARN", "STP_FORWARD", "STP_BLOCK"][(stp >> 8) as usize];
    let _ = match (down, stp) {
        (false, "") => write!(out, "0"),
        (true, "") => write!(out, "LINK_DOWN"),
        (false, stp) => write!(out, "{stp}"),
        (true, stp) => write!(out, "LINK_DOWN {stp}"),
    };
}

fn max_speed(features: u32) -> u32 {
    SPEEDS
        .iter()
        .enumerate()
        .filter(|(bit, _)| features >> bit & 1 == 1)
        .map(|(_, kbps)| *kbps)
        .max()
        .unwrap_or(0)
}

/// Prints a port's description, four or more lines.
pub fn print_port_desc(desc: &PortDesc, style: &Style<'_>) -> String {
    let mut out = " ".to_owned();
    print_port(&mut out, desc.port, None);
    let _ = write!(
        out,
        "({}): addr:{}\n     config:     ",
        desc.name, desc.hw_addr
    );
    names(&mut out, desc.config, CONFIG.iter().copied());
    out.push_str("\n     state:      ");
    state(&mut out, desc, style.version);
    out.push('\n');
    for (label, bits) in [
        ("current", desc.current),
        ("advertised", desc.advertised),
        ("supported", desc.supported),
        ("peer", desc.peer),
    ] {
        if bits != 0 {
            let _ = write!(out, "     {:<12}", format!("{label}:"));
            names(
                &mut out,
                bits,
                FEATURES
                    .iter()
                    .enumerate()
                    .map(|(bit, name)| (1 << bit, *name)),
            );
            out.push('\n');
        }
    }
    let (current, max) = match style.version {
        Version::V10 => (max_speed(desc.current), max_speed(desc.supported)),
        _ => (desc.current_speed_kbps, desc.max_speed_kbps),
    };
    let _ = writeln!(
        out,
        "     speed: {} Mbps now, {} Mbps max",
        current / 1000,
        max / 1000
    );
    out
}

/// Prints descriptions, lowest number first.
pub(super) fn sorted(out: &mut String, descs: &[PortDesc], style: &Style<'_>) {
    let mut order: Vec<&PortDesc> = descs.iter().collect();
    order.sort_by_key(|desc| desc.port);
    order
        .iter()
        .for_each(|desc| out.push_str(&print_port_desc(desc, style)));
}

/// `  port  1: `. Numbers stand in two columns at least; names follow the width of the stock tools.
fn port_label(number: PortNo, style: &Style<'_>) -> String {
    let mut port = String::new();
    print_port(&mut port, number, style.port_names());
    let is_short = style.port_names().is_some() || port.len() < 2;
    let gap = if number.0 < 0xffff_ff00 && is_short {
        " "
    } else {
        ""
    };
    format!("  port {gap}{port}: ")
}

/// Prints a port's BPDUs by kind, a line per direction.
pub fn print_bpdu_stats(stats: &BpduStats, style: &Style<'_>) -> String {
    let (rx, tx) = stats.totals();
    let mut out = port_label(stats.port, style);
    let mut line = |direction: &str, total: u64, kinds: &[u64]| {
        let _ = write!(out, "{direction} bpdus={total}");
        for (kind, count) in Kind::COUNTED.iter().zip(kinds) {
            let _ = write!(out, ", {}={count}", kind.name());
        }
        out.push('\n');
    };
    line("rx", rx, &stats.rx);
    line("           tx", tx, &stats.tx);
    out
}

/// Prints a port's counters, two lines to four.
pub fn print_port_stats(stats: &PortStats, style: &Style<'_>) -> String {
    let mut out = port_label(stats.port, style);
    let _ = writeln!(
        out,
        "rx pkts={}, bytes={}, drop={}, errs={}, frame={}, over={}, crc={}",
        count(stats.rx_packets),
        count(stats.rx_bytes),
        count(stats.rx_dropped),
        count(stats.rx_errors),
        count(stats.rx_frame_err),
        count(stats.rx_over_err),
        count(stats.rx_crc_err),
    );
    let _ = writeln!(
        out,
        "           tx pkts={}, bytes={}, drop={}, errs={}, coll={}",
        count(stats.tx_packets),
        count(stats.tx_bytes),
        count(stats.tx_dropped),
        count(stats.tx_errors),
        count(stats.collisions),
    );
    if style.version >= Version::V13 && stats.duration.secs != u32::MAX {
        out.push_str("           duration=");
        print_duration(&mut out, stats.duration);
        out.push('\n');
    }
    if let Some(counters) = &stats.rfc2819 {
        for (label, sent) in [("rx", false), ("tx", true)] {
            let rows = RFC2819.iter().zip(&counters[..]);
            let said = rows.filter(|((_, tx), value)| *tx == sent && **value != u64::MAX);
            let words = said.map(|((name, _), value)| format!("{name}={value}, "));
            let words: String = words.collect();
            if !words.is_empty() {
                let _ = writeln!(out, "           {label} rfc2819 {words}");
            }
        }
    }
    if !stats.custom.is_empty() {
        out.push_str("           CUSTOM Statistics");
        for (index, (name, value)) in stats.custom.iter().enumerate() {
            let gap = match index % 3 {
                0 => "\n                      ",
                _ => " ",
            };
            let _ = write!(out, "{gap}{name}={value},");
        }
        out.push('\n');
    }
    let bpdus = style.bpdus.iter().find(|bpdus| bpdus.port == stats.port);
    if let Some((rx, tx)) = bpdus.map(BpduStats::totals)
        && rx + tx > 0
    {
        let _ = writeln!(out, "           bpdus: rx={rx}, tx={tx}");
    }
    out
}

pub(super) fn port_status(out: &mut String, status: &PortStatus, style: &Style<'_>) {
    let reason = match status.reason {
        PortReason::Add => "ADD",
        PortReason::Delete => "DEL",
        PortReason::Modify => "MOD",
    };
    let _ = write!(out, " {reason}:{}", print_port_desc(&status.desc, style));
}

pub(super) fn port_mod(out: &mut String, port_mod: &PortMod, style: &Style<'_>) {
    out.push_str(" port: ");
    print_port(out, port_mod.port, style.port_names());
    let _ = write!(out, ": addr:{}\n     config: ", port_mod.hw_addr);
    names(out, port_mod.config, CONFIG.iter().copied());
    out.push_str("\n     mask:   ");
    names(out, port_mod.mask, CONFIG.iter().copied());
    out.push_str("\n     advertise: ");
    match port_mod.advertise {
        0 => out.push_str("UNCHANGED"),
        bits => names(
            out,
            bits,
            FEATURES
                .iter()
                .enumerate()
                .map(|(bit, name)| (1 << bit, *name)),
        ),
    }
    out.push('\n');
}
