//! Queues: OFPT_QUEUE_GET_CONFIG_REQUEST, OFPMP_QUEUE_DESC, OFPMP_QUEUE (in parts: `entries.rs`). They are as
//! configured; nothing is shaped, so their counters stay at zero.

use super::Switch;
use super::entries::Entries;
use super::flow_stats::duration;
use super::port::Port;
use super::settings::{ConnId, QueueSettings};
use crate::time::Time;
use ofp::error::OfError;
use ofp::message::{QueueDesc, QueueStats};
use ofp::types::PortNo;

/// OFPQ_ALL.
pub(super) const QUEUE_ALL: u32 = u32::MAX;

/// Queues that one message tells of: one takes 48 bytes, and there is only one message.
const QUEUES: usize = 1024;

/// A port's queue.
pub(super) struct Queue<'a> {
    pub(super) port: &'a Port,
    pub(super) number: u32,
    pub(super) settings: QueueSettings,
}

impl Queue<'_> {
    /// A rate in tenths of a percent of what the port can send.
    fn share(&self, rate: Option<u64>) -> Option<u16> {
        let own = Some(self.port.state.speed).filter(|speed| *speed > 0);
        let whole = self.port.settings.queues.max_rate.or(own)?;
        let share = u128::from(rate?) * 1000 / u128::from(whole.max(1));
        Some(share.min(1000) as u16)
    }
    /// As OFPMP_QUEUE_DESC says it, and OFPT_QUEUE_GET_CONFIG_REPLY.
    pub(super) fn desc(&self) -> QueueDesc {
        QueueDesc {
            port: self.port.view.number,
            queue: self.number,
            min_rate: self.share(self.settings.min_rate),
            max_rate: self.share(self.settings.max_rate),
        }
    }
    /// As OFPMP_QUEUE says it.
    pub(super) fn stats(&self, now: Time) -> QueueStats {
        QueueStats {
            port: self.port.view.number,
            queue: self.number,
            duration: duration(now.since(self.port.created)),
            ..QueueStats::default()
        }
    }
}

impl Switch {
    /// What OFPT_QUEUE_GET_CONFIG_REQUEST asks for.
    pub(super) fn queue_get_config(
        &self,
        conn: ConnId,
        port: PortNo,
    ) -> Result<Vec<QueueDesc>, OfError> {
        let asked = Entries::QueueDescs(port, QUEUE_ALL);
        self.check_entries(conn, &asked)?;
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        let queues = self.queues(bridge, asked.numbers(), QUEUE_ALL);
        let descs: Vec<_> = { queues }
            .take(QUEUES + 1)
            .map(|(_, queue)| queue.desc())
            .collect();
        match descs.len() <= QUEUES {
            true => Ok(descs),
            // Some of them would look like all: the controller can ask by port, or in a later version.
            false => Err(OfError::MultipartOverflow),
        }
    }
}
