//! Bundles: OFPT_BUNDLE_CONTROL and OFPT_BUNDLE_ADD_MESSAGE (OpenFlow 1.4; ONF extension 230 for 1.3).

use super::Message;
use bytes::Bytes;

/// What is asked or answered; numbers of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u16)]
pub enum BundleCommand {
    OpenRequest = 0,
    OpenReply = 1,
    CloseRequest = 2,
    CloseReply = 3,
    CommitRequest = 4,
    CommitReply = 5,
    DiscardRequest = 6,
    DiscardReply = 7,
}

/// Flags of a bundle.
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod bundle_flag {
    pub const ATOMIC: u16 = 1 << 0;
    pub const ORDERED: u16 = 1 << 1;
    /// 1.5: at a time; here only to be printed.
    pub const TIME: u16 = 1 << 2;
}

/// OFPT_BUNDLE_CONTROL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct BundleControl {
    pub bundle: u32,
    pub command: BundleCommand,
    /// See [`bundle_flag`].
    pub flags: u16,
}

/// Bits of [`BundleFeaturesRequest::flags`] (OFPBF_*, 1.5).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod bundle_features_flag {
    pub const TIMESTAMP: u32 = 1 << 0;
    pub const TIME_SET_SCHED: u32 = 1 << 1;
}

/// A moment, or a span, of scheduled bundles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct BundleTime {
    pub secs: u64,
    pub nanos: u32,
}

/// How bundles are scheduled (OFPTMPBF_TIME_CAPABILITY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct BundleSchedule {
    pub accuracy: BundleTime,
    pub max_future: BundleTime,
    pub max_past: BundleTime,
    pub timestamp: BundleTime,
}

/// OFPMP_BUNDLE_FEATURES, asked for (1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BundleFeaturesRequest {
    /// See [`bundle_features_flag`].
    pub flags: u32,
    /// How the controller wants it.
    pub schedule: Option<BundleSchedule>,
}

/// OFPMP_BUNDLE_FEATURES, answered (1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BundleFeatures {
    /// See [`bundle_flag`].
    pub capabilities: u16,
    /// `None`: bundles cannot be scheduled.
    pub schedule: Option<BundleSchedule>,
}

/// OFPT_BUNDLE_ADD_MESSAGE.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct BundleAdd {
    pub bundle: u32,
    pub flags: u16,
    pub message: Message,
    /// Its bytes, to quote in an error.
    pub raw: Bytes,
}
