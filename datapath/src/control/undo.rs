//! How changes are taken back: while a bundle is committed, handlers write down what was there before.
//!
//! Invariant: what handlers of bundled messages say or stage goes by `when_published`, `when_settled`,
//! the publisher and the list of changes, so that [`Switch::take_back`] cuts it off; what they change in
//! the switch itself they write down by [`Switch::note`]. Nothing is copied but what is changed.

use super::Switch;
use super::flow_table::{Flow, FlowIndex, FlowTables};
use crate::model::{BridgeId, RuleId};

/// What has to be done to take one change back.
pub(super) enum Undo {
    /// A flow was added here.
    FlowAdded(BridgeId, FlowIndex),
    /// The flow here was like this before it was changed.
    FlowChanged(BridgeId, FlowIndex, Box<Flow>),
    /// This flow was removed.
    FlowRemoved(BridgeId, Box<Flow>),
    /// A slot was taken.
    Slot(RuleId),
    /// Whatever else.
    Other(Box<dyn FnOnce(&mut Switch) + Send>),
}

/// What was changed so far, and where what was staged for it begins.
pub(super) struct Log {
    undo: Vec<Undo>,
    staged: usize,
    published: usize,
    settled: usize,
    told: usize,
}

impl Switch {
    /// From now on, changes are written down.
    pub(super) fn begin(&mut self) {
        self.log = Some(Log {
            undo: Vec::new(),
            staged: self.publisher.staged(),
            published: self.staged.published.len(),
            settled: self.staged.settled.len(),
            told: self.changes.flows.len(),
        });
    }
    /// What was changed since `begin` stays.
    pub(super) fn keep(&mut self) {
        self.log = None;
    }
    /// Takes back what was changed since `begin`, the last change first.
    pub(super) fn take_back(&mut self) {
        let Some(log) = self.log.take() else { return };
        self.publisher.unstage(log.staged);
        self.staged.published.truncate(log.published);
        self.staged.settled.truncate(log.settled);
        self.changes.flows.truncate(log.told);
        log.undo.into_iter().rev().for_each(|undo| self.undo(undo));
    }
    /// Writes down how to take back a change, if a bundle is being committed.
    #[inline]
    pub(super) fn note(&mut self, undo: impl FnOnce() -> Undo) {
        if let Some(log) = &mut self.log {
            log.undo.push(undo());
        }
    }
    /// Whether a bundle is being committed.
    pub(super) fn is_noting(&self) -> bool {
        self.log.is_some()
    }
    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::FlowAdded(id, index) => drop(self.flows(id).remove(index)),
            Undo::FlowChanged(id, index, flow) => {
                self.flows(id).replace_as(index, *flow);
            }
            Undo::FlowRemoved(id, flow) => drop(self.flows(id).insert_as(*flow)),
            Undo::Slot(slot) => self.rule_slots.free(slot.0),
            Undo::Other(undo) => undo(self),
        }
    }
    fn flows(&mut self, id: BridgeId) -> &mut FlowTables {
        let bridge = self.bridges.get_mut(&id);
        &mut bridge.expect("has the bundle's connection").flows
    }
}
