//! OFPIT_STAT_TRIGGER (OpenFlow 1.5.1 section 7.2.5): flows whose statistics have reached a threshold are told to the
//! controllers, by an OFPMP_FLOW_STATS reply that nobody asked for. Only flows with this instruction are
//! looked at, a bounded number of them at a tick.

use super::connection::EventKind;
use super::dump::{PART_BYTES, encoded_size};
use super::flow_table::FlowIndex;
use super::{Output, Switch};
use crate::model::BridgeId;
use crate::model::Rule;
use crate::time::Time;
use ofp::action::{Action, StatTrigger};
use ofp::message::{Body, Duration, FlowCounters, FlowCounts, MultipartPart, MultipartReply};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// OFPFSR_STAT_TRIGGER.
pub(super) const STAT_TRIGGER: u32 = 1;

/// Flows of a bridge that are looked at at a tick, which is ten times a second: about half a millisecond.
pub(super) const LOOKED_AT: usize = 4096;

/// Statistics that have thresholds: duration, idle time, packets, bytes.
const STATISTICS: usize = 4;

/// Spans as nanoseconds.
fn numbers(of: &FlowCounters) -> [Option<u64>; STATISTICS] {
    let span = |span: Duration| u64::from(span.secs) * 1_000_000_000 + u64::from(span.nanos);
    let (duration, idle_time) = (of.duration.map(span), of.idle_time.map(span));
    [duration, idle_time, of.packet_count, of.byte_count]
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// How many times each threshold is reached, as far as is told.
    reached: [u64; STATISTICS],
    /// The threshold that was reached first.
    first: Option<usize>,
}

impl Progress {
    /// Whether there is something to tell now. A statistic that falls (the idle time does) can reach its
    /// threshold again.
    fn advance(&mut self, trigger: &StatTrigger, now: &FlowCounters) -> bool {
        let mut tells = false;
        let pairs = numbers(now).into_iter().zip(numbers(&trigger.thresholds));
        for (at, pair) in pairs.enumerate() {
            let (Some(value), Some(threshold)) = pair else {
                continue;
            };
            let most = if trigger.periodic { u64::MAX } else { 1 };
            let times = value.checked_div(threshold).unwrap_or(0).min(most);
            let counts = match self.first.filter(|_| trigger.only_first) {
                None => true,
                Some(first) => trigger.periodic && first == at,
            };
            if times > self.reached[at] && counts {
                tells = true;
                self.first = self.first.or(Some(at));
            }
            self.reached[at] = times;
        }
        tells
    }
}

fn trigger_of(rule: &Rule) -> Option<&StatTrigger> {
    // It stands last, or before a goto.
    rule.actions
        .iter()
        .rev()
        .take(2)
        .find_map(|action| match action {
            Action::StatTrigger(trigger) => Some(&**trigger),
            _ => None,
        })
}

/// A bridge's flows with triggers.
#[derive(Default)]
pub(super) struct Triggers {
    flows: BTreeMap<FlowIndex, Progress>,
    /// The flow that was looked at last.
    last: Option<FlowIndex>,
}

impl Triggers {
    /// Whether no flow has one.
    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
    /// The rule here is a new one; `before`: the one whose place it takes. What is told of the same trigger over
    /// the same counters is not told again.
    pub(super) fn changed(&mut self, index: FlowIndex, before: Option<&Rule>, rule: Option<&Rule>) {
        let old = before.and_then(trigger_of);
        let new = rule.and_then(trigger_of);
        let same_counters = before.map(|rule| rule.id) == rule.map(|rule| rule.id);
        match new {
            None if old.is_none() => {}
            None => drop(self.flows.remove(&index)),
            Some(_) if old == new && same_counters => {}
            Some(_) => drop(self.flows.insert(index, Progress::default())),
        }
    }
    /// Some flows in turn, each once at most.
    fn turn(&mut self) -> Vec<FlowIndex> {
        let start = self.last.map_or(Unbounded, Excluded);
        let behind = self.flows.range((start, Unbounded));
        // From the beginning up to where it started.
        let before = self.last.map(|last| self.flows.range(..=last));
        let all = behind.chain(before.into_iter().flatten());
        let turn: Vec<FlowIndex> = all.take(LOOKED_AT).map(|(index, _)| *index).collect();
        self.last = turn.last().copied().or(self.last);
        turn
    }
}

impl Switch {
    /// Looks at the statistics of flows with triggers and tells who wants to know.
    pub(super) fn check_triggers(&mut self, now: Time, id: BridgeId, out: &mut Vec<Output>) {
        let bridge = self.bridges.get_mut(&id).expect("listed");
        if bridge.flows.triggers().is_empty() {
            return;
        }
        let mut triggers = std::mem::take(bridge.flows.triggers());
        let (mut list, mut size) = (Vec::new(), 0);
        for index in triggers.turn() {
            let flow = self.bridges[&id].flows.get(index);
            let watched = flow.and_then(|flow| {
                let progress = triggers.flows.get_mut(&index)?;
                Some((flow, trigger_of(&flow.rule)?, progress))
            });
            let Some((flow, trigger, progress)) = watched else {
                continue;
            };
            let triggered = true;
            let counts = FlowCounts {
                triggered,
                ..self.counts_of(now, flow)
            };
            if !progress.advance(trigger, &counts.stats) {
                continue;
            }
            list.push(counts);
            size += encoded_size(flow);
            if size >= PART_BYTES {
                size = 0;
                self.tell_statistics(id, std::mem::take(&mut list), out);
            }
        }
        if !list.is_empty() {
            self.tell_statistics(id, list, out);
        }
        let bridge = self.bridges.get_mut(&id).expect("seen above");
        *bridge.flows.triggers() = triggers;
    }
    /// OFPMP_FLOW_STATS, unasked.
    fn tell_statistics(&self, id: BridgeId, flows: Vec<FlowCounts>, out: &mut Vec<Output>) {
        let part = MultipartPart::FlowCounts(flows);
        let body = Body::MultipartReply(MultipartReply { more: false, part });
        self.send_event(id, EventKind::FlowStats, STAT_TRIGGER, &body, out);
    }
}
