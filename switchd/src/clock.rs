//! The monotonic clock, shared by the daemon and its workers.

use datapath::time::Time;
use std::time::Instant;

/// A point from which time is counted.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts counting. One second is added, so that 0 stays "never".
    pub fn start() -> Clock {
        Clock(Instant::now() - std::time::Duration::from_secs(1))
    }
    /// Nanoseconds since then.
    #[inline]
    pub fn now(&self) -> Time {
        Time(self.0.elapsed().as_nanos() as u64)
    }
}
