//! OFPMP_METER, OFPMP_METER_CONFIG (in parts: `entries.rs`), OFPMP_METER_FEATURES.

use super::bridge::Bridge;
use super::flow_stats::duration;
use super::meter_mod::{MAX_BANDS, MAX_METERS, Meter};
use super::users::Used;
use crate::time::Time;
use ofp::message::{MeterConfig, MeterFeatures, MeterStats, meter_flag};

/// OFPMP_METER_FEATURES.
pub(super) const METER_FEATURES: MeterFeatures = MeterFeatures {
    max_meters: MAX_METERS as u32,
    // OFPMBT_DROP, OFPMBT_DSCP_REMARK.
    band_types: 1 << 1 | 1 << 2,
    capabilities: (meter_flag::KBPS | meter_flag::PKTPS | meter_flag::BURST | meter_flag::STATS)
        as u32,
    max_bands: MAX_BANDS as u8,
    max_color: 0,
    features: 0,
};

/// A meter as OFPMP_METER says it.
pub(super) fn meter_stats(now: Time, bridge: &Bridge, meter: &Meter) -> MeterStats {
    let ((packets, bytes), bands) = meter.view.totals();
    let id = meter.view.config.meter;
    MeterStats {
        meter: id,
        flows: bridge.flows.users_len(Used::Meter(id)) as u32,
        packets,
        bytes,
        duration: duration(now.since(meter.created)),
        bands,
    }
}

/// A meter's bytes in OFPMP_METER.
pub(super) fn stats_size(stats: &MeterStats) -> usize {
    40 + 16 * stats.bands.len()
}

/// A meter's bytes in OFPMP_METER_CONFIG.
pub(super) fn config_size(config: &MeterConfig) -> usize {
    8 + 16 * config.bands.len()
}
