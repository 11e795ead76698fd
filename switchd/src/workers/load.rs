//! How much workers and queues had to do in the last minute, from counters that only grow.

use std::collections::VecDeque;

/// Readings that are kept: a minute, one each ten seconds.
const KEPT: usize = 6;

/// What was read of a counter, and when by another one.
#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<(u64, u64)>);

impl History {
    /// Begins to look at a counter.
    pub fn since(time: u64, count: u64) -> History {
        History(VecDeque::from([(time, count)]))
    }
    /// Notes a reading.
    pub fn note(&mut self, time: u64, count: u64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((time, count));
    }
    /// What came since the oldest reading, and in what time.
    pub fn recent(&self, time: u64, count: u64) -> (u64, u64) {
        self.within(u64::MAX, time, count)
    }
    /// What came since the reading that is nearest to so long ago, and in what time.
    pub fn within(&self, span: u64, time: u64, count: u64) -> (u64, u64) {
        let is_off = |&&(then, _): &&(u64, u64)| time.saturating_sub(then).abs_diff(span);
        let &(then, was) = self.0.iter().min_by_key(is_off).unwrap_or(&(time, count));
        (time.saturating_sub(then), count.saturating_sub(was))
    }
    /// The same in percent of the time.
    pub fn percent(&self, span: u64, time: u64, count: u64) -> u64 {
        let (time, count) = self.within(span, time, count);
        (u128::from(count) * 100 / u128::from(time.max(1))) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_counts() {
        let mut history = History::since(0, 0);
        assert_eq!(history.percent(u64::MAX, 10, 5), 50);
        for n in 1..=KEPT as u64 {
            history.note(n * 10, 100);
        }
        // The reading at 0 is forgotten.
        assert_eq!(history.recent(70, 130), (60, 30));
        assert_eq!(history.percent(60, 70, 130), 50);
        assert_eq!(history.within(12, 70, 130), (10, 30));
        assert_eq!(History::default().percent(60, 7, 7), 0);
    }
}
