//! Meters: OFPT_METER_MOD and its multipart family.

use super::Duration;
use crate::types::MeterId;

/// Flags of a meter (OpenFlow 1.3.5 section 7.3.4.5).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod meter_flag {
    pub const KBPS: u16 = 1 << 0;
    pub const PKTPS: u16 = 1 << 1;
    pub const BURST: u16 = 1 << 2;
    pub const STATS: u16 = 1 << 3;
}

/// What a band does with packets above its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandKind {
    /// Drops them.
    Drop,
    /// Raises the drop precedence of their DSCP by this much.
    DscpRemark(u8),
}

/// A rate, and what happens above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// What happens.
    pub kind: BandKind,
    /// kb/s or packets/s, by the meter's flags.
    pub rate: u32,
    /// kb or packets; counts if the meter has the burst flag.
    pub burst: u32,
}

/// A meter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct MeterConfig {
    pub meter: MeterId,
    /// See [`meter_flag`].
    pub flags: u16,
    pub bands: Vec<Band>,
}

/// OFPT_METER_MOD's commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u16)]
pub enum MeterCommand {
    #[default]
    Add = 0,
    Modify = 1,
    Delete = 2,
}

/// OFPT_METER_MOD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct MeterMod {
    pub command: MeterCommand,
    pub config: MeterConfig,
}

/// One meter in OFPMP_METER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct MeterStats {
    pub meter: MeterId,
    pub flows: u32,
    pub packets: u64,
    pub bytes: u64,
    pub duration: Duration,
    /// Packets and bytes above each band's rate.
    pub bands: Vec<(u64, u64)>,
}

/// OFPMP_METER_FEATURES.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct MeterFeatures {
    pub max_meters: u32,
    /// Bit `n`: band type `n`.
    pub band_types: u32,
    pub capabilities: u32,
    pub max_bands: u8,
    pub max_color: u8,
    /// 1.5: OFPMFF_*.
    pub features: u32,
}
