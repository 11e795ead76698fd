//! Queues: OFPT_QUEUE_GET_CONFIG_REQUEST, OFPMP_QUEUE_DESC, OFPMP_QUEUE. They are as configured; nothing is
//! shaped, so their counters stay at zero.

use super::Switch;
use super::flow_stats::duration;
use super::port::Port;
use super::settings::{ConnId, QueueSettings};
use crate::time::Time;
use ofp::error::OfError;
use ofp::message::{QueueDesc, QueueStats};
use ofp::types::PortNo;

/// OFPQ_ALL.
const ALL: u32 = u32::MAX;

impl Port {
    /// A rate in tenths of a percent of what the port can send.
    fn share(&self, rate: Option<u64>) -> Option<u16> {
        let own = Some(self.state.speed).filter(|speed| *speed > 0);
        let whole = self.settings.queues.max_rate.or(own)?;
        let share = u128::from(rate?) * 1000 / u128::from(whole.max(1));
        Some(share.min(1000) as u16)
    }
}

impl Switch {
    /// The queues that a request is about.
    fn queues(
        &self,
        conn: ConnId,
        number: PortNo,
        queue: u32,
    ) -> Result<Vec<(&Port, u32, QueueSettings)>, OfError> {
        let ports = &self.bridges[&self.connections[&conn].bridge].ports;
        let asked: Vec<&Port> = match number {
            // OpenFlow 1.0 says OFPP_ALL.
            PortNo::ANY | PortNo::ALL => ports.values().map(|id| &self.ports[id]).collect(),
            number => {
                let id = ports.get(&number).ok_or(OfError::QueueBadPort)?;
                vec![&self.ports[id]]
            }
        };
        let mut found = Vec::new();
        for port in asked {
            let queues = port.settings.queues.queues.iter();
            let wanted = queues.filter(|(n, _)| queue == ALL || queue == **n);
            found.extend(wanted.map(|(n, settings)| (port, *n, *settings)));
        }
        if found.is_empty() && queue != ALL {
            return Err(OfError::QueueBadQueue);
        }
        Ok(found)
    }
    /// OFPMP_QUEUE_DESC, and what OFPT_QUEUE_GET_CONFIG_REQUEST asks for.
    pub(super) fn queue_descs(
        &self,
        conn: ConnId,
        number: PortNo,
        queue: u32,
    ) -> Result<Vec<QueueDesc>, OfError> {
        let queues = self.queues(conn, number, queue)?.into_iter();
        let descs = queues.map(|(port, queue, settings)| QueueDesc {
            port: port.view.number,
            queue,
            min_rate: port.share(settings.min_rate),
            max_rate: port.share(settings.max_rate),
        });
        Ok(descs.collect())
    }
    /// OFPMP_QUEUE.
    pub(super) fn queue_stats(
        &self,
        now: Time,
        conn: ConnId,
        number: PortNo,
        queue: u32,
    ) -> Result<Vec<QueueStats>, OfError> {
        let queues = self.queues(conn, number, queue)?.into_iter();
        let stats = queues.map(|(port, queue, _)| QueueStats {
            port: port.view.number,
            queue,
            duration: duration(now.since(port.created)),
            ..QueueStats::default()
        });
        Ok(stats.collect())
    }
}
