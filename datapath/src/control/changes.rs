//! The one place that every change of a flow passes: additions, modifications, removals, whoever causes
//! them. What has to be told of them is collected here and said when the input is dealt with.
//!
//! Invariant: nothing is told of a change that was taken back: who undoes changes without passing here
//! truncates [`Changes::flows`] to its length before them.

use super::flow_table::FlowIndex;
use super::settings::ConnId;
use super::{Output, Switch};
use crate::model::{BridgeId, Rule};
use ofp::message::FlowEvent;
use ofp::types::{TableId, Xid};
use std::sync::Arc;

/// A change of a flow, as it was right after it (or before, if it was removed).
pub(super) struct FlowChange {
    pub(super) bridge: BridgeId,
    pub(super) place: FlowIndex,
    pub(super) event: FlowEvent,
    pub(super) rule: Arc<Rule>,
    pub(super) idle_timeout_secs: u16,
    pub(super) hard_timeout_secs: u16,
    /// [`super::flow_table::Flow::sequence`].
    pub(super) sequence: u64,
    /// Whose message it was.
    pub(super) cause: Option<(ConnId, Xid)>,
}

/// What changed since it was last told.
#[derive(Default)]
pub(super) struct Changes {
    /// Whose message is being obeyed.
    pub(super) cause: Option<(ConnId, Xid)>,
    /// Of bridges that somebody monitors.
    pub(super) flows: Vec<FlowChange>,
    /// Tables whose number of flows changed, where somebody asked for vacancy events.
    pub(super) tables: Vec<(BridgeId, TableId)>,
}

impl Switch {
    /// A flow was added or changed, or is about to be removed.
    pub(super) fn flow_changed(&mut self, id: BridgeId, place: FlowIndex, event: FlowEvent) {
        let bridge = &self.bridges[&id];
        let Some(flow) = bridge.flows.get(place) else {
            return;
        };
        let table = flow.rule.table;
        if event != FlowEvent::Modified
            && bridge.tables.has_vacancy_events(table)
            && self.changes.tables.last() != Some(&(id, table))
        {
            self.changes.tables.push((id, table));
        }
        if bridge.monitors > 0 {
            self.changes.flows.push(FlowChange {
                bridge: id,
                place,
                event,
                rule: flow.rule.clone(),
                idle_timeout_secs: flow.idle_timeout_secs,
                hard_timeout_secs: flow.hard_timeout_secs,
                sequence: flow.sequence,
                cause: self.changes.cause,
            });
        }
    }
    /// Tells the changes to those who asked for them.
    pub(super) fn tell_changes(&mut self, out: &mut Vec<Output>) {
        if !self.changes.flows.is_empty() {
            let flows = std::mem::take(&mut self.changes.flows);
            self.monitor_changes(&flows, out);
        }
        if !self.changes.tables.is_empty() {
            let mut tables = std::mem::take(&mut self.changes.tables);
            tables.sort_unstable();
            tables.dedup();
            for (bridge, table) in tables {
                self.table_status(bridge, table, out);
            }
        }
    }
}
