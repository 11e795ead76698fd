//! Meters: token buckets that all workers share, and what happens to packets above a rate.

use crate::time::Time;
use ofp::message::{Band, MeterConfig};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A meter. A change of its bands replaces it; its counters go on in the new one's `counters`.
#[derive(Debug)]
pub struct MeterView {
    /// Rate, unit, bands.
    pub config: MeterConfig,
    /// Packets and bytes that passed through it.
    pub seen: [AtomicU64; 2],
    /// One per band.
    pub bands: Box<[BandState]>,
}

/// The state of a band.
#[derive(Debug, Default)]
pub struct BandState {
    /// When the bucket would be full: nanoseconds of the switch's clock.
    pub full_at: AtomicU64,
    /// Packets and bytes above the rate.
    pub above: [AtomicU64; 2],
}

impl MeterView {
    /// A meter whose buckets are full.
    pub fn new(config: MeterConfig, now: Time) -> MeterView {
        let state = |_: &Band| BandState {
            full_at: AtomicU64::new(now.0),
            ..BandState::default()
        };
        MeterView {
            seen: Default::default(),
            bands: config.bands.iter().map(state).collect(),
            config,
        }
    }
    /// Packets and bytes: of the meter, then above the rate of each band.
    pub fn totals(&self) -> ((u64, u64), Vec<(u64, u64)>) {
        let read = |pair: &[AtomicU64; 2]| (pair[0].load(Relaxed), pair[1].load(Relaxed));
        let bands = self.bands.iter().map(|band| read(&band.above));
        (read(&self.seen), bands.collect())
    }
}
