//! Flow monitors: OFPMP_FLOW_MONITOR (1.4), ONF's for 1.3, Nicira's for 1.0.

use super::FlowRemovedReason;
use crate::action::Action;
use crate::key::Match;
use crate::types::{Cookie, GroupId, PortNo, TableId, Xid};

/// OFPFMF_*: what a monitor reports (bits of 1.4).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod monitor_flag {
    pub const INITIAL: u16 = 1 << 0;
    pub const ADD: u16 = 1 << 1;
    pub const REMOVED: u16 = 1 << 2;
    pub const MODIFY: u16 = 1 << 3;
    pub const INSTRUCTIONS: u16 = 1 << 4;
    /// Own changes are told whole (Nicira's NXFMF_OWN means this).
    pub const NO_ABBREV: u16 = 1 << 5;
    /// Others' changes are not told.
    pub const ONLY_OWN: u16 = 1 << 6;
}

/// What to do with a monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u8)]
pub enum MonitorCommand {
    #[default]
    Add = 0,
    Modify = 1,
    Delete = 2,
}

/// One monitor that is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct MonitorRequest {
    pub id: u32,
    pub command: MonitorCommand,
    /// See [`monitor_flag`].
    pub flags: u16,
    pub table: TableId,
    pub out_port: PortNo,
    pub out_group: GroupId,
    pub matching: Match,
}

/// Why a flow is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum FlowEvent {
    Initial,
    Added,
    Removed(FlowRemovedReason),
    Modified,
}

/// A flow as it is, or was, and what happened to it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct FullUpdate {
    pub event: FlowEvent,
    pub table: TableId,
    pub idle_timeout_secs: u16,
    pub hard_timeout_secs: u16,
    pub priority: u16,
    pub cookie: Cookie,
    pub matching: Match,
    /// If they were asked for.
    pub actions: Option<Vec<Action>>,
}

/// One entry of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum FlowUpdate {
    /// A flow.
    Full(FullUpdate),
    /// What the same connection did with this transaction.
    Abbreviated(Xid),
    /// Reports are held back, as too many wait.
    Paused,
    /// They go on; what was missed comes as additions and modifications.
    Resumed,
}
