//! Queues: counters and configuration.

use super::{Context, print};
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::json;
use ofp::message::{Body, MultipartPart, MultipartRequest, QueueDesc, QueueStats};
use ofp::text::digits;
use ofp::text::print::print_message;
use ofp::types::{PortNo, Version};

/// Every queue (OFPQ_ALL).
const ALL_QUEUES: u32 = u32::MAX;

/// The port and the queue of the arguments; both may be left out, or be ALL or ANY.
fn selection(context: &Context<'_>, connection: &mut Connection) -> Result<(PortNo, u32)> {
    let is_all = |word: &str| word.eq_ignore_ascii_case("all") || word.eq_ignore_ascii_case("any");
    let port = match context.arg(1) {
        None => PortNo::ANY,
        Some(word) if is_all(word) => PortNo::ANY,
        Some(word) => connection.find_port(word)?,
    };
    let port = match (connection.version(), port) {
        // OpenFlow 1.0.2 section 5.3.5: "All ports if OFPT_ALL."
        (Version::V10, PortNo::ANY) => PortNo::ALL,
        (_, port) => port,
    };
    let queue = match context.arg(2) {
        None => ALL_QUEUES,
        Some(word) if is_all(word) => ALL_QUEUES,
        Some(word) => digits(word, 10).ok_or_else(|| {
            Failure::plain(format!("\"{word}\" is not a queue: a number, or ALL"))
        })?,
    };
    Ok((port, queue))
}

pub(super) fn queue_stats(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    let (port, queue) = selection(context, &mut connection)?;
    let ports = context.names_to_show(&mut connection)?;
    let style = context.style(connection.version(), &ports);
    let mut all: Vec<QueueStats> = Vec::new();
    connection.ask_parts(MultipartRequest::Queue { port, queue }, |message| {
        if let (Body::MultipartReply(reply), true) = (&message.body, context.options.json) {
            if let MultipartPart::Queue(stats) = &reply.part {
                all.extend_from_slice(stats);
            }
            return Ok(());
        }
        print(&print_message(message, &style))
    })?;
    match context.options.json {
        true => print(&format!("{}\n", json::queue_stats(&all))),
        false => Ok(()),
    }
}

pub(super) fn queue_get_config(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    let (port, queue) = selection(context, &mut connection)?;
    let ports = context.names_to_show(&mut connection)?;
    let style = context.style(connection.version(), &ports);
    let mut all: Vec<QueueDesc> = Vec::new();
    if connection.version() >= Version::V14 {
        connection.ask_parts(MultipartRequest::QueueDesc { port, queue }, |message| {
            if let (Body::MultipartReply(reply), true) = (&message.body, context.options.json) {
                if let MultipartPart::QueueDesc(descs) = &reply.part {
                    all.extend_from_slice(descs);
                }
                return Ok(());
            }
            print(&print_message(message, &style))
        })?;
    } else {
        for port in asked(&mut connection, port)? {
            let message = connection.ask(Body::QueueGetConfigRequest(port))?;
            match (&message.body, context.options.json) {
                (Body::QueueGetConfigReply { queues, .. }, true) => all.extend_from_slice(queues),
                _ => print(&print_message(&message, &style))?,
            }
        }
    }
    match context.options.json {
        true => print(&format!("{}\n", json::queue_descs(&all))),
        false => Ok(()),
    }
}

/// OpenFlow 1.0 has no word for all ports: each is asked by itself.
fn asked(connection: &mut Connection, port: PortNo) -> Result<Vec<PortNo>> {
    if port != PortNo::ALL || connection.version() != Version::V10 {
        return Ok(vec![port]);
    }
    let descs = connection.port_descs()?;
    let ports = descs.iter().map(|desc| desc.port);
    Ok(ports.filter(|port| *port <= PortNo::MAX10).collect())
}
