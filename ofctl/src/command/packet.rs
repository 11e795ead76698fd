//! Packets that the switch is to handle.

use super::Context;
use super::source::keep;
use crate::failure::{Failure, Result};
use ofp::message::{Body, PacketOut};
use ofp::text::read_packet_out;
use ofp::usable::usable_packet_out;

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
    let mut versions = context.options.versions()?.0;
    keep(&mut versions, &usable_packet_out(&out), "packet-out", &None)?;
    let mut connection = context.connect_with(&versions)?;
    connection.tell(vec![Body::PacketOut(Box::new(out))])
}
