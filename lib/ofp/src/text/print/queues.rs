//! Queues as text: how they are configured, and their counters.

use super::{Style, count, print_duration};
use crate::message::{QueueDesc, QueueStats};
use crate::text::ports::print_port;
use crate::types::PortNo;
use std::fmt::Write;

/// `u32::MAX` of a queue: all of them.
const ALL: u32 = u32::MAX;

fn port(out: &mut String, port: PortNo, style: &Style<'_>) {
    out.push_str(" port=");
    print_port(out, port, style.port_names());
}

/// Of OFPT_QUEUE_GET_CONFIG_REQUEST: every queue of a port.
pub(super) fn get_config_request(out: &mut String, asked: PortNo, style: &Style<'_>) {
    port(out, asked, style);
}

/// Of OFPMP_QUEUE_DESC.
pub(super) fn desc_request(out: &mut String, asked: PortNo, queue: u32, style: &Style<'_>) {
    port(out, asked, style);
    if queue != ALL {
        let _ = write!(out, " queue={queue}");
    }
}

/// Of OFPMP_QUEUE.
pub(super) fn stats_request(out: &mut String, asked: PortNo, queue: u32, style: &Style<'_>) {
    port(out, asked, style);
    let _ = match queue {
        ALL => write!(out, " queue=ALL"),
        queue => write!(out, " queue={queue}"),
    };
}

/// Prints queues by port, then number, with their rates in percent.
pub(super) fn descs(out: &mut String, queues: &[QueueDesc], style: &Style<'_>) {
    let mut order: Vec<&QueueDesc> = queues.iter().collect();
    order.sort_by_key(|desc| (desc.port, desc.queue));
    let mut before = None;
    for desc in order {
        if before != Some(desc.port) {
            // The first one stands behind the message's name.
            out.push_str(if before.is_none() { " port=" } else { "port=" });
            print_port(out, desc.port, style.port_names());
            out.push('\n');
            before = Some(desc.port);
        }
        let _ = write!(out, "queue {}:", desc.queue);
        for (name, rate) in [("min_rate", desc.min_rate), ("max_rate", desc.max_rate)] {
            if let Some(rate) = rate {
                let _ = write!(out, " {name}:{}.{}%", rate / 10, rate % 10);
            }
        }
        out.push('\n');
    }
}

pub(super) fn stats(out: &mut String, queues: &[QueueStats], style: &Style<'_>) {
    let _ = writeln!(out, " {} queues", queues.len());
    for q in queues {
        out.push_str("  port ");
        print_port(out, q.port, style.port_names());
        let _ = write!(
            out,
            " queue {}: bytes={}, pkts={}, errors={}, duration=",
            q.queue,
            count(q.tx_bytes),
            count(q.tx_packets),
            count(q.tx_errors),
        );
        match q.duration.secs {
            u32::MAX => out.push('?'),
            _ => print_duration(out, q.duration),
        }
        out.push('\n');
    }
}
