//! Queues: OFPT_QUEUE_GET_CONFIG (1.0 to 1.3), OFPMP_QUEUE_DESC (1.4), OFPMP_QUEUE.

use super::Duration;
use crate::types::PortNo;

/// A queue as configured; rates in tenths of a percent of the port's speed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct QueueDesc {
    pub port: PortNo,
    pub queue: u32,
    pub min_rate: Option<u16>,
    pub max_rate: Option<u16>,
}

/// One queue in OFPMP_QUEUE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct QueueStats {
    pub port: PortNo,
    pub queue: u32,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub duration: Duration,
}
