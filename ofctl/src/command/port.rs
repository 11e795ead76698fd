//! Ports: counters, descriptions, settings.

use super::{Context, print};
use crate::failure::{Failure, Result};
use crate::json;
use ofp::message::{
    Body, MultipartPart, MultipartReply, MultipartRequest, PortDesc, PortMod, PortStats,
    port_config,
};
use ofp::text::print::{print_message, print_port_desc};
use ofp::text::{Style, nearest};
use ofp::types::{PortNo, Version};

pub(super) fn dump_ports(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    let port = match context.arg(1) {
        Some(word) => connection.find_port(word)?,
        None => PortNo::ANY,
    };
    let ports = context.names_to_show(&mut connection)?;
    let bpdus = connection.bpdus(port)?.unwrap_or_default();
    let style = Style {
        bpdus: &bpdus,
        ..context.style(connection.version(), &ports)
    };
    let mut all: Vec<PortStats> = Vec::new();
    connection.ask_parts(MultipartRequest::Port(port), |message| {
        match (&message.body, context.options.json) {
            (
                Body::MultipartReply(MultipartReply {
                    part: MultipartPart::Port(stats),
                    ..
                }),
                true,
            ) => {
                all.extend_from_slice(stats);
                Ok(())
            }
            _ => print(&print_message(message, &style)),
        }
    })?;
    if context.options.json {
        print(&format!("{}\n", json::port_stats(&all, &bpdus)))?;
    }
    Ok(())
}

pub(super) fn dump_ports_desc(context: &Context<'_>) -> Result<()> {
    // OpenFlow 1.0 has no such request of its own; its switches that know Open vSwitch's do.
    let mut connection = context.connect()?;
    let only = context
        .arg(1)
        .map(|word| connection.find_port(word))
        .transpose()?;
    let ports = ofp::text::PortMap::default();
    let style = context.style(connection.version(), &ports);
    let mut all: Vec<PortDesc> = Vec::new();
    connection.ask_parts(MultipartRequest::PortDesc(PortNo::ANY), |message| {
        let Body::MultipartReply(MultipartReply {
            part: MultipartPart::PortDesc(descs),
            ..
        }) = &message.body
        else {
            return Ok(());
        };
        all.extend(
            descs
                .iter()
                .filter(|d| only.is_none_or(|port| d.port == port))
                .cloned(),
        );
        if context.options.json {
            return Ok(());
        }
        match only {
            None => print(&print_message(message, &style)),
            Some(_) => print(
                &all.iter()
                    .map(|d| print_port_desc(d, &style))
                    .collect::<String>(),
            ),
        }
    })?;
    if context.options.json {
        print(&format!("{}\n", json::port_descs(&all)))?;
    }
    Ok(())
}

/// What `mod-port` can do: word, bit, value.
const ACTIONS: &[(&str, u32, bool)] = &[
    ("up", port_config::PORT_DOWN, false),
    ("down", port_config::PORT_DOWN, true),
    ("stp", port_config::NO_STP, false),
    ("no-stp", port_config::NO_STP, true),
    ("noflood", port_config::NO_FLOOD, true),
    ("receive", port_config::NO_RECV, false),
    ("no-receive", port_config::NO_RECV, true),
    ("receive-stp", port_config::NO_RECV_STP, false),
    ("no-receive-stp", port_config::NO_RECV_STP, true),
    ("flood", port_config::NO_FLOOD, false),
    ("no-flood", port_config::NO_FLOOD, true),
    ("forward", port_config::NO_FWD, false),
    ("no-forward", port_config::NO_FWD, true),
    ("packet-in", port_config::NO_PACKET_IN, false),
    ("no-packet-in", port_config::NO_PACKET_IN, true),
];

pub(super) fn mod_port(context: &Context<'_>) -> Result<()> {
    let word = context.args[2].as_str();
    let Some(&(_, bit, on)) = ACTIONS.iter().find(|row| row.0 == word) else {
        let hint = nearest(word, ACTIONS.iter().map(|row| row.0))
            .map_or(String::new(), |n| format!("; did you mean {n}?"));
        return Err(Failure::plain(format!(
            "mod-port: no action \"{word}\"{hint}"
        )));
    };
    let (mut versions, chosen) = context.options.versions()?;
    // OpenFlow 1.1 and later have no bits for these.
    let old = port_config::NO_STP | port_config::NO_RECV_STP | port_config::NO_FLOOD;
    if bit & old != 0 {
        versions.retain(|v| *v == Version::V10);
        if chosen && versions.is_empty() {
            return Err(Failure::plain(format!("mod-port: {word} needs OpenFlow10")));
        }
    }
    let mut connection = context.connect_with(&versions)?;
    let port = connection.find_port(&context.args[1])?;
    let descs = connection.port_descs()?;
    let desc = descs.iter().find(|d| d.port == port);
    let desc = desc.ok_or_else(|| {
        Failure::plain(format!(
            "{}: no port \"{}\"",
            context.switch(),
            context.args[1]
        ))
    })?;
    let config = if on { bit } else { 0 };
    connection.tell(vec![Body::PortMod(PortMod {
        port,
        hw_addr: desc.hw_addr,
        config,
        mask: bit,
        advertise: 0,
    })])
}
