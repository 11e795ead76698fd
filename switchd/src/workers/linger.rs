//! How long a worker whose queues must be polled goes on doing so before it sleeps: as long as its frames have earned. Pure.

use datapath::time::Time;

/// What a frame earns. Beyond the spins before each sleep, polling for nothing costs no more than this per frame; from a million frames a second
/// on, a worker does not sleep between them.
const EARNED: Time = Time(1_000);
/// No more than this is saved: what polls go on for when a load ends. A sender that is kept from its CPU for a time slice of
/// others still finds the worker awake.
const MOST: Time = Time(20_000_000);

/// What is left of it.
#[derive(Debug, Default)]
pub struct Linger(u64);

impl Linger {
    /// So many frames came.
    pub fn earn(&mut self, frames: usize) {
        let earned = EARNED.0.saturating_mul(frames as u64);
        self.0 = self.0.saturating_add(earned).min(MOST.0);
    }
    /// So long no frame came. Returns whether the worker may go on polling.
    pub fn spend(&mut self, span: Time) -> bool {
        self.0 = self.0.saturating_sub(span.0);
        self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_pay_for_polls() {
        let mut linger = Linger::default();
        assert!(!linger.spend(Time(0)));
        linger.earn(3);
        assert!(linger.spend(Time(2_999)));
        assert!(!linger.spend(Time(1)));
        linger.earn(1);
        assert!(!linger.spend(Time(u64::MAX)));
    }

    #[test]
    fn no_more_is_saved_than_a_load_s_end_may_cost() {
        let mut linger = Linger::default();
        linger.earn(usize::MAX);
        linger.earn(1);
        assert!(linger.spend(Time(MOST.0 - 1)));
        assert!(!linger.spend(Time(1)));
    }
}
