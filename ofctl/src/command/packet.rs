//! Packets: out to the switch, and in from it.

use super::{Context, print};
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use ofp::message::{Body, PacketInFormat, PacketOut, SwitchConfig};
use ofp::text::print::print_message;
use ofp::text::{nearest, read_packet_out};
use std::time::Duration;

/// Monitoring waits as long as nobody stops it.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

pub(super) fn packet_out(context: &Context<'_>) -> Result<()> {
    let ports = context.lazy_ports();
    let text = match &context.args[1..] {
        [text] => text.clone(),
        // As scripts wrote it before there were keys.
        [port, actions, packet] => format!("in_port={port} packet={packet} actions={actions}"),
        _ => {
            return Err(Failure::plain(
                "packet-out: IN_PORT wants ACTIONS and a packet",
            ));
        }
    };
    let text = text.as_str();
    let out: PacketOut =
        ports.or_failure(read_packet_out(text, &ports).map_err(Failure::text(text)))?;
    let mut connection = context.connect()?;
    connection.tell(vec![Body::PacketOut(Box::new(out))])
}

const FORMATS: &[(&str, PacketInFormat)] = &[
    ("standard", PacketInFormat::Standard),
    ("openflow10", PacketInFormat::Standard),
    ("nxt_packet_in", PacketInFormat::Nxt),
    ("nxm", PacketInFormat::Nxt),
    ("nxt_packet_in2", PacketInFormat::Nxt2),
];

fn choose_format(context: &Context<'_>, connection: &mut Connection) -> Result<()> {
    let Some(name) = &context.options.packet_in_format else {
        // The one that says most; a switch that does not know it keeps to the standard.
        return match connection.tell(vec![Body::SetPacketInFormat(PacketInFormat::Nxt2)]) {
            Err(Failure::Switch(_)) => Ok(()),
            other => other,
        };
    };
    let Some((_, format)) = FORMATS.iter().find(|f| f.0 == name) else {
        let hint = nearest(name, FORMATS.iter().map(|f| f.0))
            .map_or(String::new(), |n| format!("; did you mean {n}?"));
        return Err(Failure::plain(format!(
            "-P: no packet-in format \"{name}\"{hint}"
        )));
    };
    connection.tell(vec![Body::SetPacketInFormat(*format)])
}

pub(super) fn monitor(context: &Context<'_>) -> Result<()> {
    let (mut miss_send_len, mut invalid_ttl) = (None, false);
    for word in &context.args[1..] {
        match word.as_str() {
            "invalid_ttl" => invalid_ttl = true,
            number => {
                let len: u16 = number.parse().map_err(|_| {
                    Failure::plain(format!(
                        "monitor: \"{number}\" is not a length of 0 to 65535"
                    ))
                })?;
                miss_send_len = Some(len);
            }
        }
    }
    let mut connection = context.connect()?;
    choose_format(context, &mut connection)?;
    if miss_send_len.is_some() || invalid_ttl {
        let old = match connection.ask(Body::GetConfigRequest)?.body {
            Body::GetConfigReply(config) => config,
            _ => SwitchConfig::default(),
        };
        connection.tell(vec![Body::SetConfig(SwitchConfig {
            miss_send_len: miss_send_len.unwrap_or(old.miss_send_len),
            invalid_ttl_to_controller: invalid_ttl,
            ..old
        })])?;
    }
    let ports = context.names_to_show(&mut connection)?;
    let style = context.style(connection.version(), &ports);
    loop {
        let message = connection.receive(FOREVER)?;
        print(&print_message(&message, &style))?;
    }
}
