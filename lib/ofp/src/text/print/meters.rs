//! Meters as text: METER_MOD and its multipart family.

use super::print_duration;
use crate::message::{
    Band, BandKind, MeterCommand, MeterConfig, MeterFeatures, MeterMod, MeterStats, meter_flag,
};
use crate::text::meter::{FLAGS, NAMED};
use crate::types::MeterId;
use std::fmt::Write;

fn print_id(meter: MeterId) -> String {
    match NAMED.iter().find(|row| row.1 == meter) {
        Some((name, _)) => (*name).to_owned(),
        None if meter > MeterId::MAX => "unknown".to_owned(),
        None => meter.to_string(),
    }
}

/// The names of bits, and what is left of them as a number.
fn names(bits: u32, known: &[(&str, u32)]) -> String {
    let has = |row: &&(&str, u32)| bits & row.1 == row.1;
    let mut words: Vec<String> = known
        .iter()
        .filter(has)
        .map(|row| row.0.to_owned())
        .collect();
    let rest = bits & !known.iter().fold(0, |all, row| all | row.1);
    if rest != 0 {
        words.push(format!("{rest:#x}"));
    }
    if words.is_empty() {
        "0".to_owned()
    } else {
        words.join(" ")
    }
}

/// Prints a meter with its bands, over several lines, without a newline at the end.
pub fn print_meter_config(config: &MeterConfig) -> String {
    let mut out = format!("meter={} ", print_id(config.meter));
    for (name, _) in FLAGS.iter().filter(|row| config.flags & row.1 != 0) {
        let _ = write!(out, "{name} ");
    }
    let rest = config.flags & !FLAGS.iter().fold(0, |all, row| all | row.1);
    if rest != 0 {
        let _ = write!(out, "flags:{rest:#x} ");
    }
    out.push_str("bands=");
    for band in &config.bands {
        print_band(&mut out, config.flags, band);
    }
    out
}

fn print_band(out: &mut String, flags: u16, band: &Band) {
    let name = match band.kind {
        BandKind::Drop => "drop",
        BandKind::DscpRemark(_) => "dscp_remark",
    };
    let _ = write!(out, "\ntype={name} rate={}", band.rate);
    if flags & meter_flag::BURST != 0 {
        let _ = write!(out, " burst_size={}", band.burst);
    }
    if let BandKind::DscpRemark(level) = band.kind {
        let _ = write!(out, " prec_level={level}");
    }
}

/// Prints what a METER_MOD says: `ADD meter=1 kbps bands=` and a line per band.
pub fn print_meter_mod(m: &MeterMod) -> String {
    let word = match m.command {
        MeterCommand::Add => "ADD",
        MeterCommand::Modify => "MOD",
        MeterCommand::Delete => "DEL",
    };
    format!("{word} {}", print_meter_config(&m.config))
}

pub(super) fn request(out: &mut String, meter: MeterId) {
    let _ = write!(out, " meter={}", print_id(meter));
}

pub(super) fn configs(out: &mut String, configs: &[MeterConfig]) {
    let texts: Vec<String> = configs.iter().map(print_meter_config).collect();
    let _ = write!(out, "\n{}", texts.join("\n\n"));
}

/// Prints the counters of one meter, over several lines, without a newline at the end.
pub fn print_meter_stats(stats: &MeterStats) -> String {
    let mut out = format!(
        "meter:{} flow_count:{} packet_in_count:{} byte_in_count:{} duration:",
        print_id(stats.meter),
        stats.flows,
        stats.packets,
        stats.bytes
    );
    print_duration(&mut out, stats.duration);
    out.push_str(" bands:");
    for (index, (packets, bytes)) in stats.bands.iter().enumerate() {
        let _ = write!(out, "\n{index}: packet_count:{packets} byte_count:{bytes}");
    }
    out
}

pub(super) fn stats(out: &mut String, stats: &[MeterStats]) {
    let texts: Vec<String> = stats.iter().map(print_meter_stats).collect();
    let _ = write!(out, "\n{}", texts.join("\n\n"));
}

/// Prints what meters can be, from the end of the header's line on.
pub fn print_meter_features(f: &MeterFeatures) -> String {
    let flags: Vec<(&str, u32)> = FLAGS.iter().map(|row| (row.0, u32::from(row.1))).collect();
    let mut out = format!(
        "\nmax_meter:{} max_bands:{} max_color:{}\nband_types: {}\ncapabilities: {}\n",
        f.max_meters,
        f.max_bands,
        f.max_color,
        names(f.band_types, &[("drop", 1 << 1), ("dscp_remark", 1 << 2)]),
        names(f.capabilities, &flags),
    );
    if f.features != 0 {
        let known = [("action_set", 1), ("any_position", 2), ("multi_list", 4)];
        let _ = writeln!(out, "features: {}", names(f.features, &known));
    }
    out
}
