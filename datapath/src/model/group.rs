//! Groups as the workers see them. Immutable: a change of a group replaces it, keeping its slots.

use super::id::RuleId;
use ofp::action::Action;
use ofp::message::{GroupKind, Selection};
use ofp::types::{BucketId, GroupId, PortNo};

/// One group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// Its number.
    pub id: GroupId,
    /// What it does with its buckets.
    pub kind: GroupKind,
    /// How a select group chooses.
    pub selection: Selection,
    /// In order.
    pub buckets: Box<[BucketView]>,
    /// Where its packets are counted.
    pub counter: RuleId,
}

/// One bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketView {
    /// Its number in the group.
    pub id: BucketId,
    /// Its share of a select group; 0: none.
    pub weight: u16,
    /// It is live while this port is; `ANY`: not asked.
    pub watch_port: PortNo,
    /// It is live while this group has a live bucket; `ANY`: not asked.
    pub watch_group: GroupId,
    /// As installed: executed as an action set.
    pub actions: Box<[Action]>,
    /// Where its packets are counted.
    pub counter: RuleId,
}
