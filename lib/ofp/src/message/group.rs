//! Groups: OFPT_GROUP_MOD and its multipart family.

use super::Duration;
use crate::action::Action;
use crate::field::Field;
use crate::types::{BucketId, GroupId, PortNo};

/// What a group does with its buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u8)]
pub enum GroupKind {
    #[default]
    All = 0,
    Select = 1,
    Indirect = 2,
    FastFailover = 3,
}

/// OFPT_GROUP_MOD's commands; numbers of 1.5 and Nicira's extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u16)]
pub enum GroupCommand {
    #[default]
    Add = 0,
    Modify = 1,
    Delete = 2,
    InsertBucket = 3,
    RemoveBucket = 5,
    /// Nicira's.
    AddOrModify = 0x8000,
}

/// A list of actions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct Bucket {
    /// Before 1.5 the position counts.
    pub id: BucketId,
    /// Select groups only.
    pub weight: u16,
    /// Fast failover groups only; `ANY`: none.
    pub watch_port: PortNo,
    /// As above.
    pub watch_group: GroupId,
    pub actions: Vec<Action>,
}

impl Default for Bucket {
    fn default() -> Bucket {
        Bucket {
            id: BucketId::ALL,
            weight: 1,
            watch_port: PortNo::ANY,
            watch_group: GroupId::ANY,
            actions: Vec::new(),
        }
    }
}

/// How a select group chooses (NTR group properties).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SelectionMethod {
    /// Not said: the switch decides.
    #[default]
    Default,
    /// `hash` over the named fields.
    Hash,
    /// `dp_hash`: by the five-tuple.
    DpHash,
}

/// The selection of a select group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// How.
    pub method: SelectionMethod,
    /// `selection_method_param`: varies the hash.
    pub parameter: u64,
    /// Fields that are hashed, each with the bits that count.
    pub fields: Vec<(Field, u128)>,
}

/// What a group is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct GroupDesc {
    pub group: GroupId,
    pub kind: GroupKind,
    pub selection: Selection,
    pub buckets: Vec<Bucket>,
}

/// OFPT_GROUP_MOD, NXT_GROUP_MOD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMod {
    /// What to do.
    pub command: GroupCommand,
    /// Insert and remove: where. [`BucketId::FIRST`], `LAST`, `ALL`, or a bucket's.
    pub bucket: BucketId,
    /// The group as it shall be, or the buckets to insert.
    pub desc: GroupDesc,
}

/// One group in OFPMP_GROUP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct GroupStats {
    pub group: GroupId,
    /// Flows and groups that refer to it.
    pub ref_count: u32,
    pub packets: u64,
    pub bytes: u64,
    pub duration: Duration,
    /// Packets and bytes of each bucket.
    pub buckets: Vec<(u64, u64)>,
}

/// OFPMP_GROUP_FEATURES; arrays by [`GroupKind`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct GroupFeatures {
    /// Bit `n`: kind `n`.
    pub kinds: u32,
    /// OFPGFC_*: 1 select weight, 2 select liveness, 4 chaining, 8 chaining checks.
    pub capabilities: u32,
    pub max_groups: [u32; 4],
    /// Bit `n`: action type `n` of the version.
    pub actions: [u32; 4],
}
