//! What a switch tells controllers about each other: OFPT_ROLE_STATUS, OFPT_REQUESTFORWARD,
//! OFPT_CONTROLLER_STATUS.

use super::Body;
use crate::types::Xid;

/// Why a role changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u8)]
pub enum RoleReason {
    /// Another controller became primary.
    PrimaryRequest = 0,
    Config = 1,
    Experimenter = 2,
}

/// OFPT_ROLE_STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct RoleStatus {
    /// As in `Role`.
    pub role: u32,
    pub reason: RoleReason,
    pub generation_id: u64,
}

/// OFPT_REQUESTFORWARD: another controller changed a group or a meter.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestForward {
    /// Of the request.
    pub xid: Xid,
    /// A `GroupMod` or a `MeterMod`.
    pub request: Body,
}

/// One controller (OFPT_CONTROLLER_STATUS and OFPMP_CONTROLLER_STATUS; OpenFlow 1.5.1 section 7.4.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct ControllerStatus {
    pub short_id: u16,
    /// As in `Role`.
    pub role: u32,
    /// OFPCSR_*: 0 request, 1 channel status, 2 role, 3 added, 4 removed, 5 short id, 6 experimenter.
    pub reason: u8,
    pub connected: bool,
    pub uri: String,
}
