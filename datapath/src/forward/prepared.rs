//! The prepared outer headers that one worker has: one per tunnel, and a bounded number for the ends that packets name. With
//! each, the way that its packets take, and what is to be credited to it at the end of a poll.

use super::direct::{Run, Way};
use crate::model::id::PortId;
use crate::model::stats::WorkerStats;
use crate::model::tunnel::{Ends, Remote, Route, Tunnel, Words};
use crate::tunnel::Outer;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Headers for ends that packets name; another one takes the place of one with the same hash.
const NAMED_LEN: usize = 256;

/// A header, and what it was made for: held here, so that nothing else can have its address.
pub(super) struct Slot {
    pub port: PortId,
    pub tunnel: Arc<Tunnel>,
    pub outer: Outer,
    pub way: Way,
    /// What was sent at once and is not counted yet: frames, and their own bytes.
    pub sent: Run,
}

/// One for the ends that packets name.
struct Named {
    ends: Ends,
    route: Route,
    slot: Slot,
}

/// Which header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// That of a port's tunnel.
    Port(u32),
    /// One for ends that packets name.
    Named(u32),
}

/// See the file's description.
#[derive(Default)]
pub(super) struct Prepared {
    /// By port.
    pub by_port: Vec<Option<Box<Slot>>>,
    /// By the hash of port and ends.
    named: Vec<Option<Box<Named>>>,
    /// Those with something to credit.
    pub dirty: Vec<At>,
}

impl Slot {
    fn new(port: PortId, tunnel: &Arc<Tunnel>, route: &Route, ends: Option<Ends>) -> Option<Slot> {
        Some(Slot {
            port,
            tunnel: tunnel.clone(),
            outer: Outer::new(&tunnel.config, route, ends)?,
            way: Way::default(),
            sent: Run::default(),
        })
    }
}

impl Prepared {
    /// The header of a tunnel's packets on this route. `None`: their addresses are of different families.
    #[inline]
    pub fn outer(
        &mut self,
        stats: &WorkerStats,
        port: PortId,
        tunnel: &Arc<Tunnel>,
        route: &Route,
        words: &Words,
    ) -> Option<(At, &Outer)> {
        if tunnel.config.remote == Remote::Flow {
            return self.named(stats, port, tunnel, route, words);
        }
        let index = port.0 as usize;
        let is_it = |slot: &Slot| Arc::ptr_eq(&slot.tunnel, tunnel);
        if !self
            .by_port
            .get(index)
            .is_some_and(|slot| slot.as_deref().is_some_and(is_it))
        {
            self.credit(stats);
            if self.by_port.len() <= index {
                self.by_port.resize_with(index + 1, || None);
            }
            self.by_port[index] = Slot::new(port, tunnel, route, None).map(Box::new);
        }
        let slot = self.by_port.get(index)?.as_deref()?;
        Some((At::Port(port.0), &slot.outer))
    }
    #[cold]
    fn named(
        &mut self,
        stats: &WorkerStats,
        port: PortId,
        tunnel: &Arc<Tunnel>,
        route: &Route,
        words: &Words,
    ) -> Option<(At, &Outer)> {
        let ends = tunnel.config.ends(words)?;
        let mut hasher = FxHasher::default();
        (port, ends).hash(&mut hasher);
        if self.named.is_empty() {
            self.named.resize_with(NAMED_LEN, || None);
        }
        let index = hasher.finish() as usize % NAMED_LEN;
        let is_it = |named: &Named| {
            Arc::ptr_eq(&named.slot.tunnel, tunnel) && named.ends == ends && named.route == *route
        };
        if !self.named[index].as_deref().is_some_and(is_it) {
            self.credit(stats);
            self.named[index] = Slot::new(port, tunnel, route, Some(ends)).map(|slot| {
                let route = route.clone();
                Box::new(Named { ends, route, slot })
            });
        }
        let named = self.named[index].as_deref()?;
        Some((At::Named(index as u32), &named.slot.outer))
    }
    /// One that [`Prepared::outer`] named.
    #[inline]
    pub fn slot(&mut self, at: At) -> Option<&mut Slot> {
        match at {
            At::Port(index) => self.by_port.get_mut(index as usize)?.as_deref_mut(),
            At::Named(index) => {
                let named = self.named.get_mut(index as usize)?.as_deref_mut();
                named.map(|named| &mut named.slot)
            }
        }
    }
    /// Credits what was sent at once.
    pub fn credit(&mut self, stats: &WorkerStats) {
        while let Some(at) = self.dirty.pop() {
            if let Some(slot) = self.slot(at) {
                slot.credit(stats);
            }
        }
    }
}
