//! Meters: token buckets that all workers share, and what happens to packets above a rate.
//!
//! A bucket is one word: when it will be full. A packet moves that moment by the time that its bytes (or itself) take at the
//! band's rate, unless it would be further away than the burst takes; then the packet is above the rate, and
//! moves nothing. Workers race by compare and exchange; nobody waits, and the rate is that of all of them together.

use crate::time::Time;
use ofp::message::{Band, BandKind, MeterConfig, meter_flag};
use std::fmt;
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
    /// When the bucket would be full: in fractions of nanoseconds ([`FRACTIONS`]) of the switch's clock.
    pub full_at: AtomicU64,
    /// Packets and bytes above the rate.
    pub above: Arc<[AtomicU64; 2]>,
    /// The time that the burst takes at the rate: how far away that moment may be.
    room: u64,
}

/// Parts of a nanosecond, so that small packets at high rates are measured to less than a percent: one of 64 bytes at 100
/// Gb/s takes 328 parts. The clock then lasts nine years.
const FRACTIONS: u64 = 64;

/// What becomes of a packet that passes a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Pass,
    /// It is dropped.
    Drop,
    /// The drop precedence of its DSCP is raised by this much.
    Remark(u8),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Pass => f.write_str("below its rates"),
            Verdict::Drop => f.write_str("above a drop band's rate"),
            Verdict::Remark(level) => write!(f, "drop precedence raised by {level}"),
        }
    }
}

impl PartialEq for MeterView {
    /// The same meter, with its state.
    fn eq(&self, other: &MeterView) -> bool {
        std::ptr::eq(self, other)
    }
}

impl MeterView {
    /// A meter whose buckets are full.
    pub fn new(config: MeterConfig, now: Time) -> MeterView {
        let state = |band: &Band| BandState {
            full_at: AtomicU64::new(now.0.saturating_mul(FRACTIONS)),
            room: room(band, config.flags),
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
    /// Whether it changes packets.
    pub fn remarks(&self) -> bool {
        let is_remark = |band: &Band| matches!(band.kind, BandKind::DscpRemark(_));
        self.config.bands.iter().any(is_remark)
    }
    /// Passes packets of so many bytes together. They are a frame, or what a large segment stands for: all or none of them are
    /// above a rate. OpenFlow 1.3.5 section 5.7.1: "the meter applies the meter band with the highest configured rate that
    /// is lower than the current measured rate".
    pub fn pass(&self, packets: u64, bytes: u64, now: Time) -> Verdict {
        count(&self.seen, packets, bytes);
        let amount = match self.config.flags & meter_flag::PKTPS {
            0 => bytes.saturating_mul(8),
            _ => packets.saturating_mul(1000),
        };
        let bands = self.config.bands.iter().zip(&self.bands);
        let mut worst: Option<(&Band, &BandState)> = None;
        for (band, state) in bands {
            let fits = state.take(amount, band.rate, now);
            if !fits && worst.is_none_or(|(of, _)| of.rate < band.rate) {
                worst = Some((band, state));
            }
        }
        let Some((band, state)) = worst else {
            return Verdict::Pass;
        };
        count(&state.above, packets, bytes);
        match band.kind {
            BandKind::Drop => Verdict::Drop,
            BandKind::DscpRemark(level) => Verdict::Remark(level),
        }
    }
    /// What would become of packets of so many bytes together, which are not counted.
    pub fn would_pass(&self, packets: u64, bytes: u64, now: Time) -> Verdict {
        // A copy of the buckets, which nobody else looks at.
        let mut copy = MeterView::new(self.config.clone(), now);
        for (state, real) in copy.bands.iter_mut().zip(&self.bands) {
            state.full_at = AtomicU64::new(real.full_at.load(Relaxed));
        }
        copy.pass(packets, bytes, now)
    }
    /// Packets and bytes: of the meter, then above the rate of each band.
    pub fn totals(&self) -> ((u64, u64), Vec<(u64, u64)>) {
        let read = |pair: &[AtomicU64; 2]| (pair[0].load(Relaxed), pair[1].load(Relaxed));
        let bands = self.bands.iter().map(|band| read(&band.above));
        (read(&self.seen), bands.collect())
    }
}

impl BandState {
    /// Takes an amount out of the bucket, if that is in it. The rate is in thousands of what the amount is in (kilobits and bits,
    /// packets and thousandths of packets). What is larger than the burst fits a full bucket, or it never would.
    fn take(&self, amount: u64, rate: u32, now: Time) -> bool {
        if rate == 0 {
            return false;
        }
        let now = now.0.saturating_mul(FRACTIONS);
        let cost = amount.saturating_mul(1_000_000 * FRACTIONS) / u64::from(rate);
        let room = self.room.max(cost);
        let taken = self.full_at.fetch_update(Relaxed, Relaxed, |full_at| {
            let after = full_at.max(now).saturating_add(cost);
            (after - now <= room).then_some(after)
        });
        taken.is_ok()
    }
}

/// The time that a band's burst takes at its rate; without one, a second.
fn room(band: &Band, flags: u16) -> u64 {
    const SECOND: u64 = 1_000_000_000 * FRACTIONS;
    if flags & meter_flag::BURST == 0 || band.burst == 0 {
        return SECOND;
    }
    let room = u128::from(band.burst) * u128::from(SECOND) / u128::from(band.rate.max(1));
    u64::try_from(room).unwrap_or(u64::MAX)
}

fn count(pair: &[AtomicU64; 2], packets: u64, bytes: u64) {
    pair[0].fetch_add(packets, Relaxed);
    pair[1].fetch_add(bytes, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofp::types::MeterId;

    fn meter(flags: u16, bands: &[(BandKind, u32, u32)]) -> MeterView {
        let band = |(kind, rate, burst): &(BandKind, u32, u32)| Band {
            kind: *kind,
            rate: *rate,
            burst: *burst,
        };
        let config = MeterConfig {
            meter: MeterId(1),
            flags,
            bands: bands.iter().map(band).collect(),
        };
        MeterView::new(config, Time::secs(1))
    }
    /// Packets of this size that pass, of one per so many nanoseconds for a while.
    fn passed(meter: &MeterView, size: u64, every: u64, millis: u64) -> u64 {
        let packets = millis * 1_000_000 / every;
        let times = (0..packets).map(|n| Time(1_000_000_000 + n * every));
        times
            .filter(|now| meter.pass(1, size, *now) == Verdict::Pass)
            .count() as u64
    }

    #[test]
    fn rates_are_kept_also_with_small_packets() {
        const BURST: u16 = meter_flag::BURST;
        // 64 bytes at 10 Gb/s: 51.2 ns each; twice as many come.
        let fast = meter(
            meter_flag::KBPS | BURST,
            &[(BandKind::Drop, 10_000_000, 1000)],
        );
        let passed_fast = passed(&fast, 64, 25, 20);
        let right = (20_000_000.0 / 51.2) as u64 + 1_000_000 / 512;
        assert!(passed_fast.abs_diff(right) * 100 < right, "{passed_fast}");
        let packets = meter(meter_flag::PKTPS | BURST, &[(BandKind::Drop, 1000, 10)]);
        assert_eq!(passed(&packets, 1500, 10_000, 1000), 1009);
        let ((seen, _), above) = packets.totals();
        assert_eq!((seen, above[0].0), (100_000, 100_000 - 1009));
        // Without a burst, it is what passes in a second.
        let plain = meter(meter_flag::KBPS, &[(BandKind::Drop, 8, 0)]);
        assert_eq!(passed(&plain, 100, 1000, 1), 10);
        // What is larger than the burst is not stopped for ever.
        let small = meter(meter_flag::KBPS | BURST, &[(BandKind::Drop, 12_000, 1)]);
        assert_eq!(passed(&small, 1500, 1_000_000, 10), 10);
    }

    #[test]
    fn the_highest_rate_that_is_exceeded_counts() {
        let bands = [(BandKind::DscpRemark(1), 10, 10), (BandKind::Drop, 20, 20)];
        let meter = meter(meter_flag::PKTPS | meter_flag::BURST, &bands);
        let now = Time::secs(1);
        let verdicts: Vec<Verdict> = (0..30).map(|_| meter.pass(1, 100, now)).collect();
        let count = |verdict| verdicts.iter().filter(|v| **v == verdict).count();
        let counts = (
            count(Verdict::Pass),
            count(Verdict::Remark(1)),
            count(Verdict::Drop),
        );
        assert_eq!(counts, (10, 10, 10));
        assert_eq!(meter.totals(), ((30, 3000), vec![(10, 1000), (10, 1000)]));
        assert_eq!(meter.pass(1, 100, Time::secs(2)), Verdict::Pass);
    }
}
