//! What time ends: flows by their timeouts, learnt addresses by age. And OFPT_FLOW_REMOVED, which is
//! said when no worker uses the flow any more, so that its counters are final.

use super::connection::{EventKind, Late, known_removals};
use super::flow_stats::{counted, duration};
use super::flow_table::{Flow, FlowIndex};
use super::settings::ConnId;
use super::{Output, Switch};
use crate::model::{BridgeId, RuleId};
use crate::time::Time;
use ofp::message::{FlowRemoved, FlowRemovedReason};
use std::collections::VecDeque;
use std::sync::Arc;

/// A rule that was taken out of its table, and somebody wants to hear of it.
pub(super) struct Ended {
    pub(super) slot: RuleId,
    /// To whom it matters: bridge, flow, why, when.
    pub(super) tell: (BridgeId, Flow, FlowRemovedReason, Time),
}

/// Flows that are looked at, or end, at a time.
const TICK_FLOWS: usize = 1 << 12;
/// Ended flows that a connection was not told of, at most: all flows of two full tables. Who is further behind is hung
/// up on.
const MAX_LATE: usize = 1 << 21;
/// How many it is told at a time.
const LATE_PIECE: usize = 1 << 11;

/// Learnt addresses are looked through this often; their age is in whole seconds.
const AGING_INTERVAL: Time = Time::secs(1);

/// Flows with a statistics trigger are looked at this often.
const TRIGGER_INTERVAL: Time = Time::millis(100);

impl Switch {
    /// Ends what has to end by now. Call it at [`Switch::next_tick`], or a few times a second.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.expire_flows(now);
        let ids: Vec<BridgeId> = self.bridges.keys().copied().collect();
        for id in ids {
            self.check_triggers(now, id, out);
        }
        self.ticked = now;
        self.delete_forsaken(now);
        self.expire_paused(now);
        self.tell_changes(out);
        self.expire_bundles(now);
        if now >= self.next_aging {
            self.next_aging = now + AGING_INTERVAL;
            self.age_addresses(now);
        }
    }
    /// Ends flows that are due; if they are very many, not all of them.
    pub(super) fn expire_flows(&mut self, now: Time) {
        self.expiring = None;
        let ids: Vec<BridgeId> = self.bridges.keys().copied().collect();
        let mut left = TICK_FLOWS;
        for id in ids {
            while let Some(index) = self.bridges[&id].flows.due(now) {
                if left == 0 {
                    self.expiring = Some(now);
                    return;
                }
                left -= 1;
                self.flow_due(now, id, index);
            }
        }
    }
    /// When [`Switch::tick`] has something to do again.
    pub fn next_tick(&self) -> Time {
        let flows = self
            .bridges
            .values()
            .filter_map(|b| b.flows.next_deadline());
        let has_triggers = self.bridges.values().any(|b| b.flows.has_triggers());
        let check = has_triggers.then_some(self.ticked + TRIGGER_INTERVAL);
        flows
            .chain(self.next_paused())
            .chain(check)
            .min()
            .map_or(self.next_aging, |next| next.min(self.next_aging))
    }
    fn flow_due(&mut self, now: Time, id: BridgeId, index: FlowIndex) {
        let flows = &mut self.bridges.get_mut(&id).expect("has flows").flows;
        let Some(flow) = flows.get(index) else { return };
        let used = self.stats.rule(flow.rule.id).used;
        let past = |deadline: Option<Time>| deadline.is_some_and(|d| d <= now);
        let reason = if past(flow.hard_deadline()) {
            FlowRemovedReason::HardTimeout
        } else if past(flow.idle_deadline(used)) {
            FlowRemovedReason::IdleTimeout
        } else {
            return flows.reschedule(index, used);
        };
        self.end_flow(now, id, index, reason);
    }
    /// OFPT_FLOW_REMOVED. A reason that a version does not know is a deletion there. A connection that is behind is told
    /// of it when it has read what it was told before.
    fn flow_removed(&mut self, bridge: BridgeId, removed: FlowRemoved, out: &mut Vec<Output>) {
        let removed = Arc::new(removed);
        for (conn, connection) in &mut self.connections {
            let is_known = known_removals(connection.version) >> removed.reason as u32 & 1 != 0;
            let reason = match is_known {
                true => removed.reason,
                false => FlowRemovedReason::Delete,
            };
            if connection.bridge != bridge
                || !connection.wants(EventKind::FlowRemoved, reason as u32)
            {
                continue;
            }
            let late = Late::Removed(removed.clone(), reason);
            if !connection.is_behind {
                out.push(Output::Send(*conn, late.message()));
            } else if connection.late.len() < MAX_LATE {
                connection.late.push_back(late);
            } else {
                connection.late = VecDeque::new();
                out.push(Output::Close(*conn));
            }
        }
    }
    /// Too many messages wait for a connection which tell that flows ended: it is told of others when it has read, in
    /// pieces, by [`Switch::dump`].
    pub fn falls_behind(&mut self, conn: ConnId, out: &mut Vec<Output>) {
        if let Some(connection) = self.connections.get_mut(&conn)
            && !std::mem::replace(&mut connection.is_behind, true)
        {
            out.push(Output::More(conn));
        }
    }
    /// A connection that was behind has read: some of what it was not told. Says whether there is more.
    pub(super) fn catch_up(&mut self, conn: ConnId, out: &mut Vec<Output>) -> bool {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return false;
        };
        let len = connection.late.len().min(LATE_PIECE);
        let messages = connection.late.drain(..len).map(Late::message);
        out.extend(messages.map(|message| Output::Send(conn, message)));
        connection.is_behind = !connection.late.is_empty();
        connection.is_behind
    }
    fn age_addresses(&self, now: Time) {
        for bridge in self.bridges.values() {
            if !bridge.config.macs.is_empty() {
                let limit = Time::secs(u64::from(bridge.settings.mac_aging_secs));
                bridge.config.macs.expire(|entry| entry.used + limit <= now);
            }
        }
    }
    /// No worker uses the rule any more: tells who asked for it, and frees its counters.
    pub(super) fn rule_ended(&mut self, ended: Ended, out: &mut Vec<Output>) {
        let (bridge, flow, reason, ended_at) = ended.tell;
        let (packets, bytes) = counted(&self.stats, &flow);
        let removed = FlowRemoved {
            cookie: flow.rule.cookie,
            priority: flow.rule.priority,
            reason,
            table: flow.rule.table,
            duration: duration(ended_at.since(flow.created)),
            idle_timeout_secs: flow.idle_timeout_secs,
            hard_timeout_secs: flow.hard_timeout_secs,
            packets,
            bytes,
            matching: flow.rule.matching.clone(),
        };
        self.flow_removed(bridge, removed, out);
        self.rule_slots.free(ended.slot.0);
    }
}
