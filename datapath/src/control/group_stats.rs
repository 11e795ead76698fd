//! OFPMP_GROUP, OFPMP_GROUP_DESC (in parts: `entries.rs`), OFPMP_GROUP_FEATURES.

use super::Switch;
use super::bridge::Bridge;
use super::dump::actions_size;
use super::flow_stats::duration;
use super::group::{Group, Slot};
use super::group_mod::MAX_GROUPS;
use super::users::Used;
use crate::time::Time;
use ofp::action::Action;
use ofp::message::{Bucket, GroupDesc, GroupFeatures, GroupStats};
use ofp::types::Version;

/// OFPGFC_*: select groups have weights, watch, forward to groups, and loops of these are refused.
const CAPABILITIES: u32 = 0b1111;
/// Actions of buckets by their numbers in OpenFlow 1.0 (Nicira's groups): all from output to enqueue.
const ACTIONS10: u32 = 0xfff;
/// In 1.1: all from output to dec_nw_ttl.
const ACTIONS11: u32 = 0x1ff_ffff;
/// Since 1.2: output; copy TTL out and in (11, 12); the MPLS and VLAN ones, set_queue, group, the IP TTL
/// ones, set_field (15 to 25); push and pop PBB (26, 27).
const ACTIONS12: u32 = 1 | 0b11 << 11 | 0x1fff << 15;

impl Switch {
    /// A group as OFPMP_GROUP says it.
    pub(super) fn group_stats(&self, now: Time, bridge: &Bridge, group: &Group) -> GroupStats {
        let id = group.desc.group;
        let users = bridge.flows.users_len(Used::Group(id)) + bridge.groups.users_len(id);
        let (packets, bytes) = self.counted_at(group.slot);
        let buckets = group.buckets.iter().map(|slot| self.counted_at(*slot));
        GroupStats {
            group: id,
            ref_count: users as u32,
            packets,
            bytes,
            duration: duration(now.since(group.created)),
            buckets: buckets.collect(),
        }
    }
    fn counted_at(&self, (slot, (packets, bytes)): Slot) -> (u64, u64) {
        let now = self.stats.rule(slot);
        (
            now.packets.wrapping_sub(packets),
            now.bytes.wrapping_sub(bytes),
        )
    }
}

/// OFPMP_GROUP_FEATURES.
pub(super) fn group_features(version: Version) -> GroupFeatures {
    let actions = match version {
        Version::V10 => ACTIONS10,
        Version::V11 => ACTIONS11,
        _ => ACTIONS12,
    };
    GroupFeatures {
        kinds: 0b1111,
        capabilities: CAPABILITIES,
        max_groups: [MAX_GROUPS as u32; 4],
        actions: [actions; 4],
    }
}

/// An upper bound of a group's bytes in OFPMP_GROUP.
pub(super) fn stats_size(stats: &GroupStats) -> usize {
    40 + 16 * stats.buckets.len()
}

/// An upper bound of a group's bytes in OFPMP_GROUP_DESC, of any version.
pub(super) fn desc_size(desc: &GroupDesc) -> usize {
    let of_action = |action: &Action| match action {
        Action::Output { .. } => 16,
        Action::Group(_) => 8,
        other => actions_size(std::slice::from_ref(other)),
    };
    // Number, lengths, and the properties for weight, port and group.
    let of = |bucket: &Bucket| 32 + bucket.actions.iter().map(of_action).sum::<usize>();
    // A selection's field takes at most 4 + 16 bytes, with a mask 16 more.
    64 + 40 * desc.selection.fields.len() + desc.buckets.iter().map(of).sum::<usize>()
}
