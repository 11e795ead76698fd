//! OFPT_PACKET_OUT: a controller's packet, handed to a worker with its actions. And what actions may
//! say, wherever they come from.

use super::settings::ConnId;
use super::{Output, Switch};
use crate::model::event;
use ofp::action::Action;
use ofp::error::OfError;
use ofp::field::Field;
use ofp::key::Match;
use ofp::message::PacketOut;
use ofp::types::{PortNo, TableId, Version};

impl Switch {
    /// OFPT_PACKET_OUT.
    pub(super) fn packet_out(
        &mut self,
        conn: ConnId,
        packet_out: PacketOut,
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        let connection = &self.connections[&conn];
        if packet_out.buffer_id != u32::MAX {
            return Err(OfError::BufferUnknown);
        }
        if !is_ingress(packet_out.in_port) {
            return Err(OfError::BadPort);
        }
        if packet_out.data.len() < 14 {
            return Err(match connection.version {
                Version::V10 => OfError::BadLength,
                _ => OfError::BadPacket,
            });
        }
        // Nothing is known of the packet: actions on fields that it does not have do nothing.
        let mut matching = Match::default();
        matching.set(
            Field::InPort.place(),
            packet_out.in_port.0.into(),
            u128::MAX,
        );
        check_nested(&packet_out.actions, TableId::ALL)?;
        let command = event::PacketOut {
            bridge: connection.bridge,
            in_port: packet_out.in_port,
            actions: packet_out.actions.into(),
            data: packet_out.data.to_vec(),
        };
        self.when_published(Output::PacketOut(Box::new(command)), out);
        Ok(())
    }
}

/// Whether a packet can come from there.
fn is_ingress(port: PortNo) -> bool {
    let reserved = [PortNo::LOCAL, PortNo::CONTROLLER, PortNo::ANY];
    port <= PortNo::MAX10 || reserved.contains(&port)
}

/// Whether a rule of `table` with this match may have these actions.
pub(super) fn check_actions(
    actions: &[Action],
    _matching: &Match,
    table: TableId,
    _version: Version,
) -> Result<(), OfError> {
    check_nested(actions, table)
}

/// What this switch does not have: groups, meters, queues and ports beyond OpenFlow 1.0's numbers.
fn check_nested(actions: &[Action], table: TableId) -> Result<(), OfError> {
    for action in actions {
        match action {
            Action::Output { port, .. } | Action::OutputTrunc { port, .. } => check_output(*port)?,
            Action::Enqueue { port, .. } => check_output(*port)?,
            Action::Group(_) => return Err(OfError::ActionOutGroup),
            Action::Meter(_) => return Err(OfError::MeterUnknown),
            Action::Controller(c) if c.meter.is_some() => return Err(OfError::MeterUnknown),
            Action::Controller(c) if c.pause => return Err(OfError::ActionArgument),
            Action::GotoTable(next) => {
                let later = table == TableId::ALL || next.0 > table.0;
                if !later || usize::from(next.0) >= TableId::LEN {
                    return Err(OfError::InstructionTableId);
                }
            }
            Action::Resubmit {
                table: Some(next), ..
            } if *next != TableId::ALL && usize::from(next.0) >= TableId::LEN => {
                return Err(OfError::ActionArgument);
            }
            Action::WriteActions(nested) | Action::Clone(nested) => check_nested(nested, table)?,
            _ => {}
        }
    }
    Ok(())
}

/// OFPBAC_BAD_OUT_PORT. A number that no port has yet is good: the packets go nowhere.
fn check_output(port: PortNo) -> Result<(), OfError> {
    let reserved = [
        PortNo::IN_PORT,
        PortNo::TABLE,
        PortNo::NORMAL,
        PortNo::FLOOD,
        PortNo::ALL,
        PortNo::CONTROLLER,
        PortNo::LOCAL,
    ];
    let real = port.0 != 0 && port <= PortNo::MAX10;
    if real || reserved.contains(&port) {
        Ok(())
    } else {
        Err(OfError::ActionOutPort)
    }
}
