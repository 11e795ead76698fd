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
