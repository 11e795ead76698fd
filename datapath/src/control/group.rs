//! A bridge's groups as control knows them: what was installed, where it is counted, who names whom.

use super::users::{Used, Users};
use crate::model::RuleId;
use crate::model::group::{BucketView, GroupView};
use crate::time::Time;
use ofp::message::{GroupDesc, GroupKind};
use ofp::types::GroupId;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where something is counted, and what the counters held when it got the place: packets, bytes.
pub(super) type Slot = (RuleId, (u64, u64));

/// A group.
pub(super) struct Group {
    /// As installed; every bucket has a number.
    pub(super) desc: GroupDesc,
    pub(super) created: Time,
    pub(super) slot: Slot,
    /// Of the buckets, in order.
    pub(super) buckets: Vec<Slot>,
}

impl Group {
    /// As the workers see it.
    pub(super) fn view(&self) -> GroupView {
        let bucket = |(bucket, slot): (&ofp::message::Bucket, &Slot)| BucketView {
            id: bucket.id,
            weight: bucket.weight,
            watch_port: bucket.watch_port,
            watch_group: bucket.watch_group,
            actions: bucket.actions.clone().into(),
            counter: slot.0,
        };
        GroupView {
            id: self.desc.group,
            kind: self.desc.kind,
            selection: self.desc.selection.clone(),
            buckets: self
                .desc
                .buckets
                .iter()
                .zip(&self.buckets)
                .map(bucket)
                .collect(),
            counter: self.slot.0,
        }
    }
}

/// Calls `f` with each group that another forwards to or watches.
fn for_each_next(desc: &GroupDesc, f: &mut impl FnMut(GroupId)) {
    for bucket in &desc.buckets {
        if bucket.watch_group != GroupId::ANY {
            f(bucket.watch_group);
        }
        super::users::for_each_used(&bucket.actions, &mut |used| {
            if let Used::Group(group) = used {
                f(group);
            }
        });
    }
}

/// A bridge's groups.
#[derive(Default)]
pub(super) struct Groups {
    by_id: BTreeMap<GroupId, Arc<Group>>,
    of_kind: [usize; 4],
    /// Which groups forward to a group, or watch it.
    users: Users<GroupId>,
}

impl Groups {
    pub(super) fn get(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.by_id.get(&id)
    }
    /// All groups.
    pub(super) fn by_id(&self) -> &BTreeMap<GroupId, Arc<Group>> {
        &self.by_id
    }
    /// One group, or all.
    pub(super) fn select(&self, id: GroupId) -> impl Iterator<Item = &Arc<Group>> {
        let range = if id == GroupId::ALL {
            GroupId(0)..=GroupId::MAX
        } else {
            id..=id
        };
        self.by_id.range(range).map(|(_, group)| group)
    }
    pub(super) fn len(&self, kind: GroupKind) -> usize {
        self.of_kind[kind as usize]
    }
    /// How many groups forward to this one or watch it.
    pub(super) fn users_len(&self, id: GroupId) -> usize {
        self.users.len(Used::Group(id))
    }
    /// Puts a group in the place of the one with its number, or nothing; returns what was there.
    pub(super) fn set(&mut self, id: GroupId, group: Option<Arc<Group>>) -> Option<Arc<Group>> {
        let users = &mut self.users;
        let old = self.by_id.remove(&id);
        if let Some(old) = &old {
            self.of_kind[old.desc.kind as usize] -= 1;
            for_each_next(&old.desc, &mut |next| users.forget(id, Used::Group(next)));
        }
        if let Some(group) = group {
            self.of_kind[group.desc.kind as usize] += 1;
            for_each_next(&group.desc, &mut |next| users.insert(id, Used::Group(next)));
            self.by_id.insert(id, group);
        }
        old
    }
    /// Whether a group that is installed so would reach itself.
    pub(super) fn makes_loop(&self, desc: &GroupDesc) -> bool {
        let (mut found, mut seen) = (false, FxHashSet::default());
        let mut left = Vec::new();
        for_each_next(desc, &mut |next| left.push(next));
        // Nobody comes back to a group that nobody names.
        if self.users_len(desc.group) == 0 {
            return left.contains(&desc.group);
        }
        while let (false, Some(group)) = (found, left.pop()) {
            found = group == desc.group;
            if seen.insert(group)
                && let Some(group) = self.by_id.get(&group)
            {
                for_each_next(&group.desc, &mut |next| left.push(next));
            }
        }
        found
    }
}
