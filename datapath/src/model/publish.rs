//! How a change becomes visible: all at once, at a burst boundary, without a lock.
//!
//! Design: there are two copies of the switch over shared rules. Workers hold a reference to the
//! current one while they handle a burst. The publisher applies changes to the other, makes it the
//! current one, and applies the same changes to the old copy as soon as no worker holds it.
//! Invariants: only the publisher changes a copy, and only one that it alone holds (`Arc::get_mut`
//! makes sure of it). A sleeping worker holds none. Once `settled` is true, no packet is handled by
//! anything older than the last published state.

use super::snapshot::{Change, Snapshot};
use crate::fragment::Secret;
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

struct Shared {
    version: AtomicU64,
    current: ArcSwap<Snapshot>,
}

/// The writing side; one for the whole switch.
pub struct Publisher {
    shared: Arc<Shared>,
    /// The copy that is not current; a worker may still hold it.
    spare: Arc<Snapshot>,
    /// Published, but not yet applied to `spare`.
    missed: VecDeque<Change>,
    /// Not yet published.
    staged: Vec<Change>,
    /// How many of these are applied to `spare` already.
    prepared: usize,
}

impl Publisher {
    /// Of a switch without anything, whose hashes are this secret's.
    pub fn new(secret: Secret) -> Publisher {
        let empty = || Arc::new(Snapshot::new(secret));
        let current = ArcSwap::new(empty());
        Publisher {
            shared: Arc::new(Shared {
                version: AtomicU64::new(0),
                current,
            }),
            spare: empty(),
            missed: VecDeque::new(),
            staged: Vec::new(),
            prepared: 0,
        }
    }
    /// A reading side for a worker.
    pub fn reader(&self) -> Reader {
        Reader {
            shared: self.shared.clone(),
            held: None,
        }
    }
    /// Adds a change to those that the next `publish` makes visible together.
    pub fn stage(&mut self, change: Change) {
        self.staged.push(change);
    }
    /// How many changes wait to be published.
    pub fn staged(&self) -> usize {
        self.staged.len()
    }
    /// Forgets the staged changes from that place on: they never happened.
    pub fn unstage(&mut self, from: usize) {
        debug_assert!(self.prepared <= from, "nothing of a message is prepared");
        self.staged.truncate(from);
    }
    /// Whether changes wait to be published.
    pub fn is_staged(&self) -> bool {
        !self.staged.is_empty()
    }
    /// Whether no worker holds anything older than what is current.
    pub fn settled(&mut self) -> bool {
        Arc::get_mut(&mut self.spare).is_some()
    }
    /// Makes the staged changes visible, if the spare copy is free; `false`: try again soon
    /// (a worker is still in a burst that began before the last change).
    pub fn try_publish(&mut self) -> bool {
        if self.staged.is_empty() {
            return true;
        }
        if !self.prepare(usize::MAX) {
            return false;
        }
        let Some(spare) = Arc::get_mut(&mut self.spare) else {
            return false;
        };
        self.missed = std::mem::take(&mut self.staged).into();
        self.prepared = 0;
        let version = self.shared.version.load(Relaxed) + 1;
        spare.version = version;
        let next = self.spare.clone();
        self.spare = self.shared.current.swap(next);
        self.shared.version.store(version, Release);
        true
    }
    /// How many changes the next publication has to apply.
    pub fn backlog(&self) -> usize {
        self.missed.len() + self.staged.len() - self.prepared
    }
    /// Applies that many of them beforehand, if the spare copy is free.
    pub fn prepare(&mut self, mut limit: usize) -> bool {
        let Some(spare) = Arc::get_mut(&mut self.spare) else {
            return false;
        };
        let missed = self.missed.len().min(limit);
        self.missed
            .drain(..missed)
            .for_each(|change| spare.apply(&change));
        limit -= missed;
        let end = self.staged.len().min(self.prepared.saturating_add(limit));
        self.staged[self.prepared..end]
            .iter()
            .for_each(|change| spare.apply(change));
        self.prepared = end;
        true
    }
    /// Publishes and waits until every worker has passed a burst boundary.
    pub fn publish_and_settle(&mut self) {
        let wait = || std::thread::sleep(std::time::Duration::from_micros(5));
        while !self.try_publish() {
            wait();
        }
        while !self.settled() {
            wait();
        }
    }
    /// The current state, for reading on the control side.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }
}

/// The reading side of one worker.
pub struct Reader {
    shared: Arc<Shared>,
    held: Option<(u64, Arc<Snapshot>)>,
}

impl Reader {
    /// A side that always reads this state.
    pub fn of(snapshot: Arc<Snapshot>) -> Reader {
        let version = AtomicU64::new(snapshot.version);
        let current = ArcSwap::from(snapshot);
        Reader {
            shared: Arc::new(Shared { version, current }),
            held: None,
        }
    }
    /// The current state; call it once per burst, at its start. One atomic load if nothing changed.
    #[inline]
    pub fn snapshot(&mut self) -> &Arc<Snapshot> {
        let version = self.shared.version.load(Acquire);
        if self.held.as_ref().is_none_or(|(held, _)| *held != version) {
            self.held = None;
            self.held = Some((version, self.shared.current.load_full()));
        }
        &self.held.as_ref().expect("just set").1
    }
    /// Lets go: call it before sleeping.
    #[inline]
    pub fn release(&mut self) {
        self.held = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::BridgeId;
    use std::net::IpAddr;

    fn addresses(n: u8) -> Change {
        Change::SetAddresses(BridgeId(0), Arc::new([IpAddr::from([10, 0, 0, n])]))
    }

    #[test]
    fn both_copies_see_every_change() {
        let mut publisher = Publisher::new(Secret::new(0));
        let mut reader = publisher.reader();
        for n in 1..10 {
            publisher.stage(addresses(n));
            assert!(publisher.try_publish());
            let expected = (BridgeId(0), IpAddr::from([10, 0, 0, n]));
            assert!(reader.snapshot().addresses.contains(&expected));
            assert_eq!(reader.snapshot().addresses.len(), 1);
            assert!(publisher.settled());
        }
    }

    #[test]
    fn a_worker_in_a_burst_holds_the_next_change_back() {
        let mut publisher = Publisher::new(Secret::new(0));
        let mut reader = publisher.reader();
        let held = reader.snapshot().clone();
        publisher.stage(addresses(1));
        assert!(publisher.try_publish());
        assert!(!publisher.settled());
        publisher.stage(addresses(2));
        assert!(!publisher.try_publish());
        drop(held);
        reader.release();
        assert!(publisher.settled() && publisher.try_publish());
        assert_eq!(reader.snapshot().version, 2);
    }
}
