//! OFPMP_METER, OFPMP_METER_CONFIG, OFPMP_METER_FEATURES.

use super::Switch;
use super::flow_stats::duration;
use super::meter_mod::{MAX_BANDS, MAX_METERS, range};
use super::settings::ConnId;
use super::users::Used;
use crate::time::Time;
use ofp::error::OfError;
use ofp::message::{MeterConfig, MeterFeatures, MeterStats, meter_flag};
use ofp::types::MeterId;

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

impl Switch {
    /// OFPMP_METER.
    pub(super) fn meter_stats(
        &self,
        now: Time,
        conn: ConnId,
        wanted: MeterId,
    ) -> Result<Vec<MeterStats>, OfError> {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        let stats = |(id, meter): (&MeterId, &super::meter_mod::Meter)| {
            let ((packets, bytes), bands) = meter.view.totals();
            MeterStats {
                meter: *id,
                flows: bridge.flows.users_len(Used::Meter(*id)) as u32,
                packets,
                bytes,
                duration: duration(now.since(meter.created)),
                bands,
            }
        };
        known(
            wanted,
            bridge.meters.range(range(wanted)).map(stats).collect(),
        )
    }
    /// OFPMP_METER_CONFIG.
    pub(super) fn meter_configs(
        &self,
        conn: ConnId,
        wanted: MeterId,
    ) -> Result<Vec<MeterConfig>, OfError> {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        let configs = bridge.meters.range(range(wanted));
        known(
            wanted,
            configs
                .map(|(_, meter)| meter.view.config.clone())
                .collect(),
        )
    }
}

/// Asking for one that is not there is an error.
fn known<T>(wanted: MeterId, found: Vec<T>) -> Result<Vec<T>, OfError> {
    if wanted != MeterId::ALL && found.is_empty() {
        return Err(OfError::MeterUnknown);
    }
    Ok(found)
}

/// A meter's bytes in OFPMP_METER.
pub(super) fn stats_size(stats: &MeterStats) -> usize {
    40 + 16 * stats.bands.len()
}

/// A meter's bytes in OFPMP_METER_CONFIG.
pub(super) fn config_size(config: &MeterConfig) -> usize {
    8 + 16 * config.bands.len()
}
