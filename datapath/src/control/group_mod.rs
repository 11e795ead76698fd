//! OFPT_GROUP_MOD: add, modify, delete, insert and remove buckets. Whole or not at all: everything that
//! can fail is asked before anything is changed.
//!
//! A modified group starts to count again; one whose buckets come and go counts on.

use super::Switch;
use super::group::{Group, Slot};
use super::settings::ConnId;
use super::undo::Undo;
use super::users::Used;
use crate::model::{BridgeId, Change};
use crate::time::Time;
use ofp::action::Action;
use ofp::check;
use ofp::error::OfError;
use ofp::key::Match;
use ofp::message::{
    Bucket, FlowRemovedReason, GroupCommand, GroupDesc, GroupKind, GroupMod, Selection,
};
use ofp::types::{BucketId, GroupId, PortNo, TableId, Version};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Most groups of one kind, as GROUP_FEATURES says.
pub(super) const MAX_GROUPS: usize = 1 << 20;
/// Bytes of a group in GROUP_DESC at most, in any version; a message has 65,535.
const MAX_BYTES: usize = 65_000;

impl Switch {
    /// OFPT_GROUP_MOD; says whether there was such a group.
    pub(super) fn group_mod(
        &mut self,
        now: Time,
        conn: ConnId,
        group_mod: &GroupMod,
    ) -> Result<bool, OfError> {
        let connection = &self.connections[&conn];
        let (id, version) = (connection.bridge, connection.version);
        check(group_mod, version)?;
        for bucket in &group_mod.desc.buckets {
            self.check_tlvs(id, &Match::default(), &bucket.actions)?;
        }
        let old = self.bridges[&id].groups.get(group_mod.desc.group).cloned();
        let existed = old.is_some();
        use GroupCommand::*;
        match (group_mod.command, old) {
            (Add, Some(_)) => Err(OfError::GroupExists),
            (Modify | InsertBucket | RemoveBucket, None) => Err(OfError::GroupUnknown),
            (Add | AddOrModify, None) => {
                self.install(id, numbered(&group_mod.desc), now, None, &[])
            }
            (Modify | AddOrModify, Some(old)) => {
                self.install(id, numbered(&group_mod.desc), old.created, None, &[])
            }
            (Delete, _) => {
                self.delete_groups(now, id, group_mod.desc.group);
                Ok(())
            }
            (InsertBucket, Some(old)) => self.insert_bucket(id, &old, group_mod),
            (RemoveBucket, Some(old)) => self.remove_bucket(id, &old, group_mod),
        }
        .map(|()| existed)
    }
    fn insert_bucket(
        &mut self,
        id: BridgeId,
        old: &Group,
        group_mod: &GroupMod,
    ) -> Result<(), OfError> {
        let mut desc = old.desc.clone();
        let ids: FxHashSet<BucketId> = desc.buckets.iter().map(|bucket| bucket.id).collect();
        let place = match group_mod.bucket {
            BucketId::FIRST => 0,
            BucketId::LAST => desc.buckets.len(),
            after => 1 + place_of(&desc, after)?,
        };
        let mut new = numbered(&group_mod.desc).buckets;
        if new.iter().any(|bucket| ids.contains(&bucket.id)) {
            return Err(OfError::GroupBucketExists);
        }
        if desc.kind != GroupKind::Select {
            // The message does not know what kind of group it is for.
            new.iter_mut().for_each(|bucket| bucket.weight = 0);
        }
        let mut kept: Vec<_> = old.buckets.iter().copied().map(Some).collect();
        kept.splice(place..place, new.iter().map(|_| None));
        desc.buckets.splice(place..place, new);
        self.install(id, desc, old.created, Some(old.slot), &kept)
    }
    fn remove_bucket(
        &mut self,
        id: BridgeId,
        old: &Group,
        group_mod: &GroupMod,
    ) -> Result<(), OfError> {
        let mut desc = old.desc.clone();
        let mut kept: Vec<_> = old.buckets.iter().copied().map(Some).collect();
        let len = kept.len();
        let gone = match group_mod.bucket {
            BucketId::ALL => 0..len,
            BucketId::FIRST => 0..len.min(1),
            BucketId::LAST => len.saturating_sub(1)..len,
            one => place_of(&desc, one).map(|place| place..place + 1)?,
        };
        desc.buckets.drain(gone.clone());
        kept.drain(gone);
        self.install(id, desc, old.created, Some(old.slot), &kept)
    }
    /// Installs a group in the place of the one with its number. It and its buckets go on counting where
    /// they did; what has no place yet (`None`, or beyond the list) gets one.
    fn install(
        &mut self,
        id: BridgeId,
        desc: GroupDesc,
        created: Time,
        slot: Option<Slot>,
        buckets: &[Option<Slot>],
    ) -> Result<(), OfError> {
        check_desc(&desc)?;
        let groups = &self.bridges[&id].groups;
        let old = groups.get(desc.group);
        if old.is_none_or(|old| old.desc.kind != desc.kind) && groups.len(desc.kind) >= MAX_GROUPS {
            return Err(OfError::GroupTooMany);
        }
        if groups.makes_loop(&desc) {
            return Err(OfError::GroupLoop);
        }
        if self.rule_slots.room() < 1 + desc.buckets.len() {
            return Err(OfError::GroupTooManyBuckets);
        }
        let mut take = || self.take_rule_slot().expect("there is room");
        let slot = slot.unwrap_or_else(&mut take);
        let place = |n: usize| buckets.get(n).copied().flatten();
        let buckets = (0..desc.buckets.len()).map(|n| place(n).unwrap_or_else(&mut take));
        let buckets = buckets.collect();
        let group = Group {
            desc,
            created,
            slot,
            buckets,
        };
        self.set_group(id, group.desc.group, Some(Arc::new(group)));
        Ok(())
    }
    fn delete_groups(&mut self, now: Time, id: BridgeId, wanted: GroupId) {
        let bridge = &self.bridges[&id];
        let ids: Vec<GroupId> = bridge.groups.select(wanted).map(|g| g.desc.group).collect();
        for group in ids {
            let mut flows: Vec<_> = self.bridges[&id].flows.users(Used::Group(group)).collect();
            flows.sort_unstable();
            for index in flows {
                self.end_flow(now, id, index, FlowRemovedReason::GroupDelete);
            }
            self.set_group(id, group, None);
        }
    }
    /// Removes all groups of a bridge, whose flows are gone.
    pub(super) fn flush_groups(&mut self, id: BridgeId) {
        if self.bridges.contains_key(&id) {
            self.delete_groups(Time::default(), id, GroupId::ALL);
        }
    }
    /// Puts a group in the place of what is there, or nothing; places that are not used any more are
    /// free when no worker counts there.
    fn set_group(&mut self, id: BridgeId, number: GroupId, group: Option<Arc<Group>>) {
        self.publisher.stage(match &group {
            Some(group) => Change::SetGroup(id, Arc::new(group.view())),
            None => Change::RemoveGroup(id, number),
        });
        let slots = |group: &Group| {
            let all = std::iter::once(group.slot).chain(group.buckets.iter().copied());
            all.map(|(slot, _)| slot).collect::<FxHashSet<_>>()
        };
        let used = group.as_deref().map(slots).unwrap_or_default();
        let groups = &mut self.bridges.get_mut(&id).expect("has groups").groups;
        let old = groups.set(number, group);
        if let Some(old) = &old {
            let free = slots(old).into_iter().filter(|slot| !used.contains(slot));
            free.for_each(|slot| self.end_rule_silently(slot));
        }
        let undo = move |switch: &mut Switch| {
            let bridge = switch.bridges.get_mut(&id);
            bridge.map(|bridge| bridge.groups.set(number, old));
        };
        self.note(|| Undo::Other(Box::new(undo)));
    }
}

fn place_of(desc: &GroupDesc, id: BucketId) -> Result<usize, OfError> {
    let place = desc.buckets.iter().position(|bucket| bucket.id == id);
    place.ok_or(OfError::GroupUnknownBucket)
}

/// What is wrong with a GROUP_MOD, whatever groups there are. The codes are Open vSwitch's.
pub(super) fn check(group_mod: &GroupMod, version: Version) -> Result<(), OfError> {
    use GroupCommand::*;
    let GroupMod {
        command,
        bucket,
        desc,
    } = group_mod;
    let or = |fine: bool, error: OfError| if fine { Ok(()) } else { Err(error) };
    let places = [BucketId::FIRST, BucketId::LAST];
    match command {
        Delete => return or(desc.buckets.is_empty(), OfError::GroupInvalid),
        RemoveBucket => {
            let names =
                *bucket <= BucketId::MAX || *bucket == BucketId::ALL || places.contains(bucket);
            or(names && desc.buckets.is_empty(), OfError::GroupBucket)?;
        }
        InsertBucket => {
            let names = *bucket <= BucketId::MAX || places.contains(bucket);
            or(names && !desc.buckets.is_empty(), OfError::GroupBucket)?;
        }
        // Before there was no such field.
        Add | Modify | AddOrModify if version >= Version::V15 => {
            or(*bucket == BucketId::ALL, OfError::GroupBucket)?;
        }
        Add | Modify | AddOrModify => {}
    }
    or(desc.group <= GroupId::MAX, OfError::GroupInvalid)?;
    check_buckets(desc, version)?;
    match command {
        InsertBucket | RemoveBucket => Ok(()),
        _ => check_desc(desc),
    }
}

/// Numbers and actions of the buckets of a message.
fn check_buckets(desc: &GroupDesc, version: Version) -> Result<(), OfError> {
    let buckets = &desc.buckets;
    let unnumbered = buckets.iter().all(|bucket| bucket.id == BucketId::ALL);
    if !unnumbered || version >= Version::V15 {
        let mut ids = FxHashSet::default();
        let fine = |bucket: &Bucket| bucket.id <= BucketId::MAX && ids.insert(bucket.id);
        if !buckets.iter().all(fine) {
            return Err(OfError::GroupBucket);
        }
    }
    let mut actions = buckets.iter().flat_map(|bucket| &bucket.actions);
    actions.try_for_each(check_action)
}

/// Whether a bucket may have an action. Which packets it gets is not known, so prerequisites are not
/// asked for: an action that a packet has no field for leaves it as it is, as with Open vSwitch.
fn check_action(action: &Action) -> Result<(), OfError> {
    if !check::fits_action_set(action) && !matches!(action, Action::Resubmit { .. }) {
        return Err(OfError::ActionType);
    }
    let (list, any) = (std::slice::from_ref(action), Match::default());
    match super::packet_out::check_actions(list, &any, TableId::ALL, Version::V10) {
        Err(OfError::MatchInconsistent) => Ok(()),
        result => result,
    }
}

/// What is wrong with a group as it would be.
fn check_desc(desc: &GroupDesc) -> Result<(), OfError> {
    let GroupDesc { kind, buckets, .. } = desc;
    if *kind == GroupKind::Indirect && buckets.len() != 1
        || *kind != GroupKind::Select && desc.selection != Selection::default()
    {
        return Err(OfError::GroupInvalid);
    }
    for bucket in buckets {
        let watches = bucket.watch_port != PortNo::ANY || bucket.watch_group != GroupId::ANY;
        match kind {
            GroupKind::Select => {}
            _ if bucket.weight != 0 => return Err(OfError::GroupInvalid),
            GroupKind::All | GroupKind::Indirect if watches => return Err(OfError::GroupWatch),
            GroupKind::FastFailover if !watches => return Err(OfError::GroupInvalid),
            _ => {}
        }
        let port = bucket.watch_port;
        let real = port.is_real() && port <= PortNo::MAX10;
        if !real && port != PortNo::ANY && port != PortNo::LOCAL
            || bucket.watch_group > GroupId::MAX && bucket.watch_group != GroupId::ANY
        {
            return Err(OfError::GroupBadWatch);
        }
    }
    if super::group_stats::desc_size(desc) > MAX_BYTES {
        return Err(OfError::GroupTooManyBuckets);
    }
    Ok(())
}

/// The group with numbers for its buckets: their places, where the message (before 1.5) has none.
fn numbered(desc: &GroupDesc) -> GroupDesc {
    let mut desc = desc.clone();
    for (place, bucket) in desc.buckets.iter_mut().enumerate() {
        if bucket.id == BucketId::ALL {
            bucket.id = BucketId(place as u32);
        }
    }
    desc
}
