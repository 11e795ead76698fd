//! What a flow has counted, and how multipart replies say it.

use super::Switch;
use super::flow_table::Flow;
use crate::model::stats::Stats;
use crate::time::Time;
use ofp::message::{Duration, FlowCounters, FlowCounts, FlowStats};

/// A span as messages say it.
pub(super) fn duration(span: Time) -> Duration {
    let secs = u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    Duration {
        secs,
        // Milliseconds, as Open vSwitch reports them: the tools print three digits then.
        nanos: span.subsec_nanos() / 1_000_000 * 1_000_000,
    }
}

/// A flow's packets and bytes.
pub(super) fn counted(stats: &Stats, flow: &Flow) -> (u64, u64) {
    let totals = stats.rule(flow.rule.id);
    let (packets, bytes) = flow.baseline;
    (
        totals.packets.wrapping_sub(packets),
        totals.bytes.wrapping_sub(bytes),
    )
}

impl Switch {
    /// A flow as OFPMP_FLOW says it.
    pub(super) fn stats_of(&self, now: Time, flow: &Flow) -> FlowStats {
        let totals = self.stats.rule(flow.rule.id);
        let age = |since: Time| u32::try_from(now.since(since).as_secs()).unwrap_or(u32::MAX);
        let used = totals.used.max(flow.created);
        let (packets, bytes) = flow.baseline;
        FlowStats {
            table: flow.rule.table,
            duration: duration(now.since(flow.created)),
            priority: flow.rule.priority,
            idle_timeout_secs: flow.idle_timeout_secs,
            hard_timeout_secs: flow.hard_timeout_secs,
            importance: flow.importance,
            idle_age_secs: Some(age(used)),
            hard_age_secs: Some(age(flow.modified)),
            flags: flow.flags,
            cookie: flow.rule.cookie,
            packets: totals.packets.wrapping_sub(packets),
            bytes: totals.bytes.wrapping_sub(bytes),
            matching: flow.rule.matching.clone(),
            actions: flow.rule.actions.to_vec(),
        }
    }
    /// A flow as OFPMP_FLOW_STATS of 1.5 says it.
    pub(super) fn counts_of(&self, now: Time, flow: &Flow) -> FlowCounts {
        let full = self.stats.rule(flow.rule.id);
        let (packets, bytes) = counted(&self.stats, flow);
        FlowCounts {
            table: flow.rule.table,
            triggered: false,
            priority: flow.rule.priority,
            matching: flow.rule.matching.clone(),
            stats: FlowCounters {
                duration: Some(duration(now.since(flow.created))),
                idle_time: Some(duration(now.since(full.used.max(flow.created)))),
                flow_count: None,
                packet_count: Some(packets),
                byte_count: Some(bytes),
            },
        }
    }
}
