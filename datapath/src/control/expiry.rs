//! What time ends: flows by their timeouts, learnt addresses by age. And OFPT_FLOW_REMOVED, which is
//! said when no worker uses the flow any more, so that its counters are final.

use super::connection::{EventKind, known_removals};
use super::flow_stats::{counted, duration};
use super::flow_table::{Flow, FlowIndex};
use super::{Output, Switch};
use crate::model::{BridgeId, RuleId};
use crate::time::Time;
use ofp::message::{Body, FlowRemoved, FlowRemovedReason, Message};
use ofp::types::Xid;

/// A rule that was taken out of its table, and somebody wants to hear of it.
pub(super) struct Ended {
    pub(super) slot: RuleId,
    /// To whom it matters: bridge, flow, why, when.
    pub(super) tell: (BridgeId, Flow, FlowRemovedReason, Time),
}

/// Learnt addresses are looked through this often; their age is in whole seconds.
const AGING_INTERVAL: Time = Time::secs(1);

/// Flows with a statistics trigger are looked at this often.
const TRIGGER_INTERVAL: Time = Time::millis(100);

impl Switch {
    /// Ends what has to end by now. Call it at [`Switch::next_tick`], or a few times a second.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        let ids: Vec<BridgeId> = self.bridges.keys().copied().collect();
        for id in ids {
            while let Some(index) = self.bridges[&id].flows.due(now) {
                self.flow_due(now, id, index);
            }
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
    /// OFPT_FLOW_REMOVED. A reason that a version does not know is a deletion there.
    fn flow_removed(&self, bridge: BridgeId, removed: FlowRemoved, out: &mut Vec<Output>) {
        for (conn, connection) in &self.connections {
            let is_known = known_removals(connection.version) >> removed.reason as u32 & 1 != 0;
            let reason = match is_known {
                true => removed.reason,
                false => FlowRemovedReason::Delete,
            };
            if connection.bridge == bridge
                && connection.wants(EventKind::FlowRemoved, reason as u32)
            {
                let removed = FlowRemoved {
                    reason,
                    ..removed.clone()
                };
                let (xid, body) = (Xid(0), Body::FlowRemoved(Box::new(removed)));
                out.push(Output::Send(*conn, Message { xid, body }));
            }
        }
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
