//! What a flow has counted, and the parts of multipart replies that tell it.

use super::Switch;
use super::bridge::Bridge;
use super::flow_table::{Flow, Selection};
use super::settings::ConnId;
use crate::model::stats::Stats;
use crate::time::Time;
use ofp::action::Action;
use ofp::message::{Duration, FlowStats, FlowStatsRequest, MultipartPart};

/// Bytes of one part of a long reply; a message can have 65,535 at most.
const PART_BYTES: usize = 32 * 1024;

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
    /// The flows that a request selects, by table, then priority (the highest first), then age.
    fn selected<'a>(&self, bridge: &'a Bridge, request: &FlowStatsRequest) -> Vec<&'a Flow> {
        let selection = Selection {
            table: request.table,
            priority: None,
            matching: &request.matching,
            cookie: request.cookie,
            cookie_mask: request.cookie_mask,
            out_port: request.out_port,
            out_group: request.out_group,
        };
        let found = bridge.flows.select(&selection);
        let mut flows: Vec<&Flow> = found.iter().filter_map(|i| bridge.flows.get(*i)).collect();
        let order = |f: &&Flow| (f.rule.table, std::cmp::Reverse(f.rule.priority), f.sequence);
        flows.sort_unstable_by_key(order);
        flows
    }
    /// OFPMP_FLOW.
    pub(super) fn flow_stats(
        &self,
        now: Time,
        conn: ConnId,
        request: &FlowStatsRequest,
        part: &mut dyn FnMut(MultipartPart),
    ) {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        let nicira = request.nicira;
        let (mut flows, mut size) = (Vec::new(), 0);
        for flow in self.selected(bridge, request) {
            let of_flow = encoded_size(flow);
            if size + of_flow > PART_BYTES && !flows.is_empty() {
                part(MultipartPart::Flow {
                    flows: std::mem::take(&mut flows),
                    nicira,
                });
                size = 0;
            }
            size += of_flow;
            flows.push(self.stats_of(now, flow));
        }
        part(MultipartPart::Flow { flows, nicira });
    }
    fn stats_of(&self, now: Time, flow: &Flow) -> FlowStats {
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
    /// OFPMP_AGGREGATE.
    pub(super) fn aggregate_stats(
        &self,
        conn: ConnId,
        request: &FlowStatsRequest,
    ) -> MultipartPart {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        let flows = self.selected(bridge, request);
        let sum = flows.iter().map(|flow| counted(&self.stats, flow));
        let (packets, bytes) = sum.fold((0u64, 0u64), |a, b| {
            (a.0.wrapping_add(b.0), a.1.wrapping_add(b.1))
        });
        let flows = flows.len() as u32;
        MultipartPart::Aggregate {
            packets,
            bytes,
            flows,
            nicira: request.nicira,
        }
    }
}

/// An upper bound of a flow's bytes in a reply, of any version.
fn encoded_size(flow: &Flow) -> usize {
    // A word of the key holds at most four fields; a masked field takes at most 4 + 16 + 16 bytes.
    64 + flow.rule.matching.words().len() * 64 + actions_size(&flow.rule.actions)
}

fn actions_size(actions: &[Action]) -> usize {
    let of = |action: &Action| match action {
        Action::WriteActions(nested) | Action::Clone(nested) => 32 + actions_size(nested),
        Action::Note(bytes) => 32 + bytes.len(),
        Action::Controller(controller) => 96 + controller.userdata.len(),
        Action::DecTtl(ids) => 32 + 2 * ids.len(),
        _ => 64,
    };
    actions.iter().map(of).sum()
}
