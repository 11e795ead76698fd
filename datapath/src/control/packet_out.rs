//! OFPT_PACKET_OUT: a controller's packet, handed to a worker with its actions. And what actions may
//! say, wherever they come from.

use super::settings::ConnId;
use super::users::{Used, for_each_used};
use super::{Output, Settling, Switch};
use crate::model::{BridgeId, event};
use flow::bare::{SPARE, framed, type_of};
use ofp::action::Action;
use ofp::check;
use ofp::error::OfError;
use ofp::field::Field;
use ofp::key::{Key, Match};
use ofp::message::PacketOut;
use ofp::types::{PortNo, TableId, Version};

/// Packet-outs are counted; one worker runs them in order.
#[derive(Clone, Copy, Default)]
pub(super) struct PacketOuts {
    /// So many were sent.
    pub(super) sent: u64,
    /// So many are known to have run.
    run: u64,
}

impl PacketOuts {
    /// Whether the one of this number has run.
    pub(super) fn have_run(self, number: u64) -> bool {
        number <= self.run
    }
}

impl Switch {
    /// OFPT_PACKET_OUT.
    pub(super) fn packet_out(
        &mut self,
        conn: ConnId,
        packet_out: PacketOut,
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        let connection = &self.connections[&conn];
        check(&packet_out, connection.version)?;
        self.check_used(connection.bridge, &packet_out.actions)?;
        let command = event::PacketOut {
            bridge: connection.bridge,
            in_port: packet_out.in_port,
            fields: self.real_fields(connection.bridge, &packet_out.fields)?,
            actions: packet_out.actions.into(),
            data: packet_out.data.to_vec(),
            paused: None,
            number: 0,
        };
        self.send_packet_out(conn, command, out);
        Ok(())
    }
    /// Gives a connection's packet to a worker, when it can meet what was said before.
    pub(super) fn send_packet_out(
        &mut self,
        conn: ConnId,
        mut command: event::PacketOut,
        out: &mut Vec<Output>,
    ) {
        self.packet_outs.sent += 1;
        command.number = self.packet_outs.sent;
        self.connection(conn).packet_out = command.number;
        let output = Output::PacketOut(Box::new(command));
        match self.is_noting() {
            // Packets meet the whole bundle, and keep its order.
            true => self.staged.published.push(output),
            false => self.when_published(output, out),
        }
    }
    /// All packet-outs up to this one have run, and what they taught was heard: replies that waited for them
    /// wait for that to be in force.
    pub(super) fn packet_outs_run(&mut self, number: u64) {
        self.packet_outs.run = number;
        let mut outputs = Vec::new();
        for connection in self.connections.values_mut() {
            while let Some((_, output)) = connection.held.pop_front_if(|(of, _)| *of <= number) {
                outputs.push(output);
            }
        }
        for output in outputs {
            self.when_settled(Settling::Output(Box::new(output)));
        }
    }
    /// Whether the groups and meters that actions name are there.
    pub(super) fn check_used(&self, id: BridgeId, actions: &[Action]) -> Result<(), OfError> {
        self.check_tlvs(id, &Match::default(), actions)?;
        let bridge = &self.bridges[&id];
        let mut result = Ok(());
        for_each_used(actions, &mut |used| match used {
            Used::Group(group) if bridge.groups.get(group).is_none() => {
                result = Err(OfError::ActionOutGroup);
            }
            Used::Meter(meter) if !bridge.meters.contains_key(&meter) => {
                result = Err(OfError::MeterInvalid);
            }
            _ => {}
        });
        result
    }
}

/// What is wrong with a PACKET_OUT, whatever groups and meters there are.
pub(super) fn check(packet_out: &PacketOut, version: Version) -> Result<(), OfError> {
    if packet_out.buffer_id != u32::MAX {
        return Err(OfError::BufferUnknown);
    }
    if !is_ingress(packet_out.in_port) {
        return Err(OfError::BadPort);
    }
    let packet_type = type_of(&packet_out.fields);
    let frame = framed(&packet_out.data, packet_type);
    let Some(frame) = frame.filter(|frame| frame.len() >= SPARE) else {
        return Err(match version {
            Version::V10 => OfError::BadLength,
            _ => OfError::BadPacket,
        });
    };
    let mut matching = known(&frame);
    matching.set(Field::PacketType.place(), packet_type.into(), u128::MAX);
    check_actions(&packet_out.actions, &matching, TableId::ALL, version)
}

/// Whether a packet can come from there.
fn is_ingress(port: PortNo) -> bool {
    let reserved = [PortNo::LOCAL, PortNo::CONTROLLER, PortNo::ANY];
    port <= PortNo::MAX10 || reserved.contains(&port)
}

/// What the actions' prerequisites ask of a packet.
const ASKED: [Field; 5] = [
    Field::EthType,
    Field::VlanTci,
    Field::IpProto,
    Field::IpFrag,
    Field::Icmpv6Type,
];

/// A packet's headers, as the match that makes sure of them.
fn known(data: &[u8]) -> Match {
    let (mut key, mut matching) = (Key::default(), Match::default());
    flow::extract(data, data.len(), &flow::Plan::FULL, &mut key);
    for place in ASKED.map(Field::place) {
        matching.set(place, key.get(place), u128::MAX);
    }
    matching
}

/// Whether a rule of `table` with this match may have these actions.
pub(super) fn check_actions(
    actions: &[Action],
    matching: &Match,
    table: TableId,
    version: Version,
) -> Result<(), OfError> {
    let max_ports = PortNo::MAX10.0 + 1;
    check::check_actions(actions, matching, table, max_ports, version)?;
    if !actions.is_sorted_by_key(turn) {
        return Err(OfError::UnsupportedOrder);
    }
    check_conjunction(actions)?;
    check_supported(actions)
}

/// When an instruction is executed (OpenFlow 1.3.5 section 5.9). OpenFlow 1.0's list with Nicira's
/// instructions has the same order, so that later versions can show it.
fn turn(action: &Action) -> u8 {
    match action {
        Action::Meter(_) => 0,
        Action::ClearActions => 2,
        Action::WriteActions(_) => 3,
        Action::WriteMetadata { .. } => 4,
        Action::StatTrigger(_) => 5,
        Action::GotoTable(_) => 6,
        _ => 1,
    }
}

/// ovs-actions(7): "A flow that has one or more conjunction actions may not have any other actions except for note
/// actions." They would never be executed.
fn check_conjunction(actions: &[Action]) -> Result<(), OfError> {
    let is_part = |action: &Action| matches!(action, Action::Conjunction { .. });
    let fits = |action: &Action| is_part(action) || matches!(action, Action::Note(_));
    if actions.iter().any(is_part) && !actions.iter().all(fits) {
        return Err(OfError::ActionConjunction);
    }
    Ok(())
}

/// What makes no sense here.
fn check_supported(actions: &[Action]) -> Result<(), OfError> {
    actions.iter().try_for_each(|action| match action {
        // Of 65,535 packets, none would be a sample of nothing.
        Action::Sample(sample) if sample.probability == 0 => Err(OfError::ActionArgument),
        Action::WriteActions(nested) | Action::Clone(nested) => check_supported(nested),
        _ => Ok(()),
    })
}
