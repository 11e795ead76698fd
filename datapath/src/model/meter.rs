//! Meters: token buckets that all workers share, and what happens to packets above a rate.

use crate::time::Time;
use ofp::message::{Band, MeterConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A meter. A change of its bands replaces it; the new one shares its counters.
#[derive(Debug)]
pub struct MeterView {
    /// Rate, unit, bands.
    pub config: MeterConfig,
    /// Packets and bytes that passed through it.
    pub seen: Arc<[AtomicU64; 2]>,
    /// One per band.
    pub bands: Box<[BandState]>,
}

/// The state of a band.
#[derive(Debug, Default)]
pub struct BandState {
    /// When the bucket would be full: nanoseconds of the switch's clock.
    pub full_at: AtomicU64,
    /// Packets and bytes above the rate.
    pub above: Arc<[AtomicU64; 2]>,
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
    /// What takes the place of a meter: its buckets are full, it counts on.
    pub fn succeed(&self, config: MeterConfig, now: Time) -> MeterView {
        let mut next = MeterView::new(config, now);
        next.seen = self.seen.clone();
        for (band, before) in next.bands.iter_mut().zip(&self.bands) {
            band.above = before.above.clone();
        }
        next
    }
    /// Packets and bytes: of the meter, then above the rate of each band.
    pub fn totals(&self) -> ((u64, u64), Vec<(u64, u64)>) {
        let read = |pair: &[AtomicU64; 2]| (pair[0].load(Relaxed), pair[1].load(Relaxed));
        let bands = self.bands.iter().map(|band| read(&band.above));
        (read(&self.seen), bands.collect())
    }
}
