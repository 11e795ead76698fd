//! What packets teach: flows of `learn` actions, and timeouts that a TCP FIN or RST shortens. Each is applied as if a controller
//! had said it, but nobody is told of an error: it is counted.

use super::Switch;
use super::flow_mod::KEEP_COOKIE;
use super::flow_table::{Flow, FlowIndex, Selection};
use super::users::Used;
use crate::model::learnt::{Finished, Learnt, for_each_learn};
use crate::model::{BridgeId, Rule};
use crate::time::Time;
use ofp::action::Action;
use ofp::key::{Match, word};
use ofp::message::{FlowMod, FlowRemovedReason};
use ofp::types::{Cookie, GroupId, PortNo, TableId, Version};
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;

/// NX_LEARN_F_DELETE_LEARNED.
const DELETE_LEARNED: u16 = 2;

/// A table's flows of one cookie.
pub(super) type Lesson = (BridgeId, TableId, Cookie);

/// What is known of flows that packets taught.
#[derive(Default)]
pub(super) struct Lessons {
    /// Whose last teacher may be gone.
    forsaken: FxHashSet<Lesson>,
}

/// Calls `f` with the table and cookie of each action that wants its flows deleted with it.
pub(super) fn for_each_lesson(actions: &[Action], mut f: impl FnMut(TableId, Cookie)) {
    for_each_learn(actions, &mut |learn| {
        if learn.flags & DELETE_LEARNED != 0 {
            f(learn.table, learn.cookie);
        }
    });
}

/// All flows of a lesson.
fn of_lesson<'a>((_, table, cookie): Lesson, any: &'a Match) -> Selection<'a> {
    Selection {
        table,
        priority: None,
        matching: any,
        cookie,
        cookie_mask: u64::MAX,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
    }
}

/// Whether a flow is what a packet teaches, so that it only has to be kept alive. A modify leaves the timeouts and
/// flags alone.
fn is_taught(flow: &Flow, taught: &FlowMod) -> bool {
    *flow.rule.actions == *taught.actions
        && (flow.rule.cookie == taught.cookie || taught.cookie == KEEP_COOKIE)
}

impl Switch {
    /// A flow that a packet taught: a strict modify, that adds what is not there. One that is there already
    /// lives on; nothing changes for the workers.
    pub(super) fn learnt(&mut self, now: Time, learnt: &Learnt) {
        let (id, flow) = (learnt.bridge, &learnt.flow);
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        if usize::from(flow.table.0) >= TableId::LEN {
            return;
        }
        let found = bridge.flows.find(flow.table, flow.priority, &flow.matching);
        if let Some(index) = found {
            return self.taught_again(now, id, index, flow);
        }
        let lesson = (id, flow.table, flow.cookie);
        if learnt.limit > 0 && self.count_lesson(lesson) >= learnt.limit as usize {
            self.counters.learns_limited += 1;
            return;
        }
        // Its fields may have been mapped when the packet came.
        let fits = self.check_tlvs(id, &flow.matching, &flow.actions);
        match fits.and_then(|()| self.add_flow(now, id, Version::V13, flow.clone())) {
            Ok(()) => self.counters.learnt += 1,
            Err(_) => self.counters.learns_refused += 1,
        }
    }
    fn taught_again(&mut self, now: Time, id: BridgeId, index: FlowIndex, taught: &FlowMod) {
        let bridge = self.bridges.get_mut(&id).expect("seen by the caller");
        let Some(flow) = bridge.flows.get(index) else {
            return;
        };
        if is_taught(flow, taught) {
            let used = self.stats.rule(flow.rule.id).used;
            bridge.flows.touch(index, used, now);
        } else {
            let cookie = Some(taught.cookie).filter(|cookie| *cookie != KEEP_COOKIE);
            self.modify_flow(now, id, index, &taught.actions, cookie, false);
        }
    }
    /// Flows of a lesson: known where a flow limits them, which may be gone by now.
    fn count_lesson(&self, lesson: Lesson) -> usize {
        let (id, table, cookie) = lesson;
        let flows = &self.bridges[&id].flows;
        let known = flows.limited(table, cookie);
        known.unwrap_or_else(|| flows.select(&of_lesson(lesson, &Match::default())).len())
    }
    /// A flow has these actions no more. What they taught is looked at when the message or event is done with.
    pub(super) fn forsake(&mut self, id: BridgeId, actions: &[Action]) {
        for_each_lesson(actions, |table, cookie| {
            self.lessons.forsaken.insert((id, table, cookie));
        });
    }
    /// ovs-actions(7), `delete_learned`: "when the last learn action with this flag and particular table and cookie values is
    /// removed, the switch deletes all of the flows in the specified table with the specified cookie."
    pub(super) fn delete_forsaken(&mut self, now: Time) {
        // Those that are deleted may have taught others.
        while !self.lessons.forsaken.is_empty() {
            let mut lessons = std::mem::take(&mut self.lessons.forsaken);
            let is_taught = |(id, table, cookie): &Lesson| {
                let bridge = self.bridges.get(id);
                bridge.is_some_and(|b| b.flows.users_len(Used::Lesson(*table, *cookie)) == 0)
            };
            lessons.retain(is_taught);
            let bridges: BTreeSet<BridgeId> = lessons.iter().map(|(id, ..)| *id).collect();
            for id in bridges {
                // All flows are looked at once, however many lessons there are.
                let flows = &self.bridges[&id].flows;
                let taught = flows.places().map(FlowIndex::at).filter(|index| {
                    let flow = flows.get(*index);
                    flow.is_some_and(|f| lessons.contains(&(id, f.rule.table, f.rule.cookie)))
                });
                for index in taught.collect::<Vec<_>>() {
                    self.end_flow(now, id, index, FlowRemovedReason::Delete);
                }
            }
        }
    }
    /// A TCP FIN or RST passed a rule: its timeouts are at most those of its `fin_timeout` from now on.
    pub(super) fn finished(&mut self, finished: &Finished) {
        let Some(bridge) = self.bridges.get_mut(&finished.bridge) else {
            return;
        };
        let rule = &finished.rule;
        let flows = &bridge.flows;
        let found = flows.find(rule.table, rule.priority, &rule.matching);
        // A rule that matches tunnel options has them at other places there.
        let options = word::TUN_METADATA..word::ETH_DST;
        let mut words = rule.matching.words().iter();
        let has_options = words.any(|w| options.contains(&w.index.into()));
        let found = match has_options {
            true => flows.place_of(rule.id),
            false => found,
        };
        let Some(index) = found else {
            return;
        };
        // Its slot may be another one's by now.
        let place = |rule: &Rule| (rule.id, rule.table, rule.priority);
        let flow = flows.get(index);
        if flow.is_some_and(|flow| place(&flow.rule) == place(rule)) {
            let used = self.stats.rule(rule.id).used;
            bridge.flows.update(index, used, |flow| {
                shorten(&mut flow.idle_timeout_secs, finished.idle_secs);
                shorten(&mut flow.hard_timeout_secs, finished.hard_secs);
            });
        }
    }
}

/// 0 is no timeout, and no bound.
fn shorten(timeout_secs: &mut u16, at_most: u16) {
    if at_most != 0 && (*timeout_secs == 0 || *timeout_secs > at_most) {
        *timeout_secs = at_most;
    }
}
