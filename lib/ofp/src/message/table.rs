//! Tables: OFPT_TABLE_MOD, OFPT_TABLE_STATUS, OFPMP_TABLE_DESC, OFPMP_TABLE_FEATURES.

use crate::action::PacketType;
use crate::field::Field;
use crate::types::TableId;

/// OFPTC_*: what a table does with misses (1.1, 1.2), when it is full, and when it becomes so (1.4).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod table_config {
    /// 1.1 and 1.2: a miss goes to the controllers.
    pub const MISS_CONTROLLER: u32 = 0;
    pub const MISS_CONTINUE: u32 = 1;
    pub const MISS_DROP: u32 = 2;
    pub const MISS_MASK: u32 = 3;
    pub const EVICTION: u32 = 1 << 2;
    pub const VACANCY_EVENTS: u32 = 1 << 3;
}

/// When a table says how full it is, in percent that are free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacancy {
    /// Said when fewer are free.
    pub down: u8,
    /// Said when more are free again.
    pub up: u8,
    /// What is free now.
    pub current: u8,
}

/// OFPT_TABLE_MOD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct TableMod {
    /// `ALL`: every table.
    pub table: TableId,
    /// See [`table_config`].
    pub config: u32,
    /// OFPTMPEF_*: 1 other, 2 importance, 4 lifetime.
    pub eviction_flags: Option<u32>,
    pub vacancy: Option<Vacancy>,
}

/// One table in OFPMP_TABLE_DESC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct TableDesc {
    pub table: TableId,
    pub config: u32,
    /// OFPTMPEF_*; `u32::MAX`: not said.
    pub eviction_flags: u32,
    pub vacancy: Vacancy,
}

/// OFPT_TABLE_STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStatus {
    /// 3: less is free than `vacancy.down`; 4: more than `vacancy.up`.
    pub reason: u8,
    /// The table.
    pub desc: TableDesc,
}

/// Bits of [`TableFeatures::flags`] (OFPTFF_*, 1.5).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod table_feature {
    pub const INGRESS_TABLE: u32 = 1 << 0;
    pub const EGRESS_TABLE: u32 = 1 << 1;
    pub const FIRST_EGRESS: u32 = 1 << 4;
}

/// One table in OFPMP_TABLE_FEATURES. What a table can match and do follows from the field and
/// action tables and is the same for every table, so it is not repeated here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct TableFeatures {
    pub table: TableId,
    /// 1.5: see [`table_feature`].
    pub flags: u32,
    pub name: String,
    pub metadata_match: u64,
    pub metadata_write: u64,
    /// 1.4+: OFPTC_* that it knows.
    pub capabilities: u32,
    pub max_entries: u32,
    /// Tables that goto may reach: those above this one, up to and including the last.
    pub next_tables: Vec<TableId>,
    /// As a reply says it; `None`: all that this crate knows, which is what is written.
    pub abilities: Option<Box<TableAbilities>>,
}

/// What another switch's table can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableAbilities {
    /// With packets that match a flow, and with those that miss.
    pub doing: [TableDoing; 2],
    /// What can be matched, and whether with any mask.
    pub matching: Vec<(Field, bool)>,
    /// What may be left out of a match.
    pub wildcards: Vec<Field>,
    /// 1.5: which packets it can deal with.
    pub packet_types: Vec<PacketType>,
}

/// Instructions and what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct TableDoing {
    pub next_tables: Vec<TableId>,
    /// Bit `n`: instruction `n`.
    pub instructions: u32,
    pub write: ActionAbilities,
    pub apply: ActionAbilities,
}

/// Actions that an instruction can have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionAbilities {
    /// Bit `n`: the standard's action `n`.
    pub actions: u32,
    /// Those that set_field can set.
    pub fields: Vec<Field>,
}

/// What a request for a change says of a table's abilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Abilities {
    /// Nothing.
    #[default]
    Unsaid,
    /// They are to be those that every table has.
    Own,
    /// They are to be others.
    Other,
}

/// OFPTFC_*, 1.5.
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod table_features_command {
    pub const REPLACE: u8 = 0;
    pub const MODIFY: u8 = 1;
    pub const ENABLE: u8 = 2;
    pub const DISABLE: u8 = 3;
}

/// How a table is to be (a request's entry in OFPMP_TABLE_FEATURES).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFeaturesChange {
    /// 1.5: see [`table_features_command`].
    pub command: u8,
    /// As it shall be.
    pub features: TableFeatures,
    /// Its properties.
    pub abilities: Abilities,
}
