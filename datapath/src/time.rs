//! Time as an argument: monotonic nanoseconds, read once per burst at the rim.

use std::ops::{Add, Sub};

/// A moment, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// A span of whole seconds, to add to a moment.
    pub const fn secs(secs: u64) -> Time {
        Time(secs * 1_000_000_000)
    }
    /// A span of milliseconds.
    pub const fn millis(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }
    /// Whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }
    /// Nanoseconds beyond the whole seconds.
    pub const fn subsec_nanos(self) -> u32 {
        (self.0 % 1_000_000_000) as u32
    }
    /// The span since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Time) -> Time {
        Time(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Time {
    type Output = Time;
    fn add(self, span: Time) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub for Time {
    type Output = Time;
    fn sub(self, span: Time) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}
