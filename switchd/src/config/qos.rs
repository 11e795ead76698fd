//! QoS and Queue rows: which queues a port has. Nothing is shaped yet; controllers are told of them.

use super::problem::Problem;
use super::row::{Map, Reader};
use datapath::control::{QueueSettings, Queues};
use ovsdb::Database;
use std::collections::BTreeMap;

/// Reads what a Port row's `qos` names.
pub fn read(port: &Reader<'_>, db: &Database, problems: &mut Vec<Problem>) -> Queues {
    let mut rows = port.references("qos", "QoS", db);
    let Some((uuid, row)) = rows.pop() else {
        return Queues::default();
    };
    let qos = Reader::new("QoS", uuid, row);
    let max_rate = rate(&mut qos.map("other_config"), "max-rate", problems);
    let column = qos.column("queues").into_iter();
    let mut queues = BTreeMap::new();
    for (number, uuid) in column.flat_map(|datum| datum.pairs()) {
        let number = number.as_int().and_then(|n| u32::try_from(n).ok());
        let uuid = uuid.as_uuid();
        let row = uuid.and_then(|uuid| Some((uuid, db.row("Queue", uuid)?)));
        if let (Some(number), Some((uuid, row))) = (number, row) {
            let queue = Reader::new("Queue", uuid, row);
            let mut options = queue.map("other_config");
            let settings = QueueSettings {
                min_rate: rate(&mut options, "min-rate", problems),
                max_rate: rate(&mut options, "max-rate", problems),
            };
            queues.insert(number, settings);
        }
    }
    Queues { max_rate, queues }
}

/// In bit/s.
fn rate(options: &mut Map<'_>, key: &str, problems: &mut Vec<Problem>) -> Option<u64> {
    options.number(key, 0..=u64::MAX, problems)
}
