//! Which protocols can say a flow_mod. The tools offer the peer all of them and take one that can.

use crate::action::Action;
use crate::check::check_actions;
use crate::error::OfError;
use crate::field::Subfield;
use crate::message::{
    Bucket, FlowMod, FlowModCommand, GroupCommand, GroupMod, PacketOut, Selection, flow_flag,
};
use crate::types::{GroupId, PortNo, TableId, Version};
use crate::wire;
use std::fmt;

/// A way to send flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The version.
    pub version: Version,
    /// Nicira's form of flows (OpenFlow 1.0 only).
    pub nxm: bool,
}

impl Protocol {
    /// All of them, in the order in which the tools prefer them.
    pub const ALL: &[Protocol] = &[
        Protocol::of(Version::V10),
        Protocol {
            version: Version::V10,
            nxm: true,
        },
        Protocol::of(Version::V11),
        Protocol::of(Version::V12),
        Protocol::of(Version::V13),
        Protocol::of(Version::V14),
        Protocol::of(Version::V15),
    ];

    /// The standard's form of a version.
    pub const fn of(version: Version) -> Protocol {
        Protocol {
            version,
            nxm: false,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.nxm { "NXM" } else { self.version.name() })
    }
}

/// For each protocol, why it cannot say the flow, if so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usable(Vec<(Protocol, Option<String>)>);

impl Usable {
    /// Those that can, the preferred one first.
    pub fn protocols(&self) -> impl Iterator<Item = Protocol> {
        self.0
            .iter()
            .filter(|(_, why)| why.is_none())
            .map(|(protocol, _)| *protocol)
    }
    /// Whether one can.
    pub fn contains(&self, protocol: Protocol) -> bool {
        self.protocols().any(|p| p == protocol)
    }
    /// Why one cannot; `None`: it can.
    pub fn why_not(&self, protocol: Protocol) -> Option<&str> {
        let (_, why) = self.0.iter().find(|(p, _)| *p == protocol)?;
        why.as_deref()
    }
    /// Those that can say this flow and another one.
    pub fn and(mut self, other: &Usable) -> Usable {
        for (protocol, why) in &mut self.0 {
            if why.is_none() {
                *why = other.why_not(*protocol).map(str::to_owned);
            }
        }
        self
    }
}

impl fmt::Display for Usable {
    /// The reasons: `OpenFlow10: tun_id cannot be matched; OpenFlow13: ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (protocol, why) in &self.0 {
            if let Some(why) = why {
                write!(f, "{separator}{protocol}: {why}")?;
                separator = "; ";
            }
        }
        Ok(())
    }
}

/// Which protocols can say a flow_mod.
pub fn usable(flow: &FlowMod) -> Usable {
    let why = |protocol: &Protocol| (*protocol, why_not(flow, *protocol));
    Usable(Protocol::ALL.iter().map(why).collect())
}

/// Whether a protocol can say a flow_mod.
pub fn can_say(flow: &FlowMod, protocol: Protocol) -> bool {
    why_not(flow, protocol).is_none()
}

/// Which protocols can say a group_mod; in OpenFlow 1.0 Nicira's message does, whatever the form of flows.
pub fn usable_group(m: &GroupMod) -> Usable {
    let why = |protocol: &Protocol| (*protocol, why_not_group(m, *protocol));
    Usable(Protocol::ALL.iter().map(why).collect())
}

/// Which protocols can say a packet-out.
pub fn usable_packet_out(packet: &PacketOut) -> Usable {
    let why = |protocol: &Protocol| (*protocol, why_not_packet_out(packet, *protocol));
    Usable(Protocol::ALL.iter().map(why).collect())
}

fn why_not_packet_out(packet: &PacketOut, protocol: Protocol) -> Option<String> {
    let (old, actions) = (protocol.version < Version::V15, &packet.actions);
    if old && !packet.fields.words().is_empty() {
        return Some("only in_port is said of a packet".to_owned());
    }
    if old
        && actions
            .iter()
            .any(|action| matches!(action, Action::Meter(_)))
    {
        return Some("a meter is an instruction, for which a packet-out has no place".to_owned());
    }
    actions
        .iter()
        .find_map(|action| why_not_action(action, protocol))
}

fn why_not_group(m: &GroupMod, protocol: Protocol) -> Option<String> {
    let version = protocol.version;
    let buckets = &m.desc.buckets;
    let old = !matches!(version, Version::V10 | Version::V15);
    let numbered = |(at, bucket): (usize, &Bucket)| usize::try_from(bucket.id.0) == Ok(at);
    let places = matches!(
        m.command,
        GroupCommand::InsertBucket | GroupCommand::RemoveBucket
    );
    if old && places {
        return Some("buckets cannot be inserted or removed".to_owned());
    }
    if old && m.desc.selection != Selection::default() {
        return Some("there is no selection_method".to_owned());
    }
    if old && !buckets.iter().enumerate().all(numbered) {
        return Some("buckets have no ids".to_owned());
    }
    if let Some(field) = wire::unsayable_selection(&m.desc.selection, version) {
        return Some(format!("{} has no number", field.row().name));
    }
    let mut actions = buckets.iter().flat_map(|bucket| &bucket.actions);
    actions.find_map(|action| why_not_action(action, protocol))
}

fn why_not(flow: &FlowMod, protocol: Protocol) -> Option<String> {
    why_not_match(flow, protocol)
        .or_else(|| why_not_rest(flow, protocol))
        .or_else(|| {
            flow.actions
                .iter()
                .find_map(|action| why_not_action(action, protocol))
        })
        .or_else(|| why_not_consistent(flow, protocol))
}

fn why_not_match(flow: &FlowMod, protocol: Protocol) -> Option<String> {
    let field = wire::unsayable(&flow.matching, protocol.version, protocol.nxm)?;
    Some(format!("{} cannot be matched like this", field.row().name))
}

fn why_not_rest(flow: &FlowMod, protocol: Protocol) -> Option<String> {
    let v10 = protocol.version == Version::V10;
    let add = flow.command == FlowModCommand::Add;
    let counts = flow_flag::NO_PACKET_COUNTS | flow_flag::NO_BYTE_COUNTS;
    let deletes = matches!(
        flow.command,
        FlowModCommand::Delete | FlowModCommand::DeleteStrict
    );
    let before = |version: Version| protocol.version < version;
    let why = if flow.cookie_mask != 0 && v10 && !protocol.nxm {
        "flows cannot be selected by cookie"
    } else if flow.cookie_mask != 0 && flow.new_cookie.is_some() && !v10 {
        "flows selected by cookie cannot get a new one"
    } else if flow.table == TableId::ALL && deletes && protocol.version == Version::V11 {
        "flows are deleted in one table"
    } else if flow.out_group != GroupId::ANY && v10 {
        "there is no out_group"
    } else if flow.flags & counts != 0 && before(Version::V13) {
        "counters cannot be switched off"
    } else if flow.flags & flow_flag::RESET_COUNTS != 0 && before(Version::V12) && !add {
        "there is no reset_counts"
    } else if flow.importance != 0 && before(Version::V14) {
        "there is no importance"
    } else if v10 && flow.out_port.to_v10().is_none() {
        "port numbers have 16 bits"
    } else {
        return None;
    };
    Some(why.to_owned())
}

fn why_not_action(action: &Action, protocol: Protocol) -> Option<String> {
    let v10 = protocol.version == Version::V10;
    let far = |port: &PortNo| port.to_v10().is_none();
    let lacks = |s: &Subfield| !wire::has_id(s.field);
    let why = match action {
        Action::PushVlan(_) if v10 => "push_vlan needs OpenFlow 1.1 or later",
        Action::WriteActions(_) if v10 => "write_actions needs OpenFlow 1.1 or later",
        Action::ClearActions if v10 => "clear_actions needs OpenFlow 1.1 or later",
        Action::Meter(_) if protocol.version < Version::V13 => "meter needs OpenFlow 1.3 or later",
        Action::StatTrigger(_) if protocol.version < Version::V15 => {
            "stat_trigger needs OpenFlow 1.5 or later"
        }
        Action::CopyTtlOut | Action::CopyTtlIn if v10 => "copying TTLs needs OpenFlow 1.1 or later",
        Action::PushPbb(_) | Action::PopPbb if protocol.version < Version::V13 => {
            "PBB needs OpenFlow 1.3 or later"
        }
        Action::Encap(_) | Action::Decap(_) if protocol.version < Version::V13 => {
            "encap and decap need OpenFlow 1.3 or later"
        }
        Action::Bundle(bundle) if bundle.ports.iter().any(far) => {
            "this action's port numbers have 16 bits"
        }
        Action::GotoTable(_) if v10 => "goto_table needs OpenFlow 1.1 or later",
        Action::Output { port, .. } | Action::Enqueue { port, .. } if v10 && far(port) => {
            "port numbers have 16 bits"
        }
        Action::OutputTrunc { port, .. }
        | Action::Resubmit {
            in_port: Some(port),
            ..
        } if far(port) => "this action's port number has 16 bits",
        Action::OutputReg { source, .. } | Action::StackPush(source) if lacks(source) => {
            "the field has no number on the wire"
        }
        Action::Load { destination, .. } | Action::StackPop(destination) if lacks(destination) => {
            "the field has no number on the wire"
        }
        Action::Move {
            source,
            destination,
        } if lacks(source) || lacks(destination) => "the field has no number on the wire",
        Action::SetField { field, .. } if !wire::has_id(*field) => {
            "the field has no number on the wire"
        }
        Action::Learn(_) | Action::Multipath(_) | Action::CheckPktLarger { .. }
            if names_unnumbered(action) =>
        {
            "the field has no number on the wire"
        }
        Action::Clone(list) | Action::WriteActions(list) => {
            return list
                .iter()
                .find_map(|action| why_not_action(action, protocol));
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn names_unnumbered(action: &Action) -> bool {
    let mut found = false;
    action.for_each_field(&mut |field| found |= !wire::has_id(field));
    found
}

/// OpenFlow 1.1 and later want the match to make sure of what the actions change.
fn why_not_consistent(flow: &FlowMod, protocol: Protocol) -> Option<String> {
    let v10 = protocol.version == Version::V10;
    let check = |actions: &[Action]| {
        check_actions(
            actions,
            &flow.matching,
            TableId::ALL,
            u32::MAX,
            protocol.version,
        )
    };
    if v10 || check(&flow.actions) != Err(OfError::MatchInconsistent) {
        return None;
    }
    Some("the actions change a field that the match does not make sure of".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;
    use crate::types::MeterId;

    const STANDARD: Protocol = Protocol::ALL[0];
    const NXM: Protocol = Protocol::ALL[1];
    const V13: Protocol = Protocol::of(Version::V13);

    #[test]
    fn the_match_and_the_actions_decide() {
        let mut flow = FlowMod::default();
        flow.matching.set(Field::InPort.place(), 1, u128::MAX);
        assert_eq!(usable(&flow).protocols().count(), 7);
        flow.matching.set(Field::TunId.place(), 5, u128::MAX);
        let u = usable(&flow);
        assert!(!u.contains(STANDARD) && u.contains(NXM) && u.contains(V13));
        assert_eq!(
            u.to_string(),
            "OpenFlow10: tun_id cannot be matched like this; OpenFlow11: tun_id cannot be matched like this"
        );
        flow.actions = vec![Action::DecTtl(Vec::new())];
        assert_eq!(usable(&flow).protocols().collect::<Vec<_>>(), [NXM]);
        flow.actions.push(Action::GotoTable(TableId(3)));
        assert_eq!(usable(&flow).protocols().count(), 0);
    }

    #[test]
    fn packet_outs_say_more_since_1_5() {
        let mut packet = PacketOut::default();
        assert_eq!(usable_packet_out(&packet).protocols().count(), 7);
        packet.actions = vec![Action::CopyTtlIn];
        assert!(!usable_packet_out(&packet).contains(STANDARD));
        assert!(usable_packet_out(&packet).contains(V13));
        let v15 = [Protocol::of(Version::V15)];
        packet.actions = vec![Action::Meter(MeterId(1))];
        let of = |packet: &PacketOut| usable_packet_out(packet).protocols().collect::<Vec<_>>();
        assert_eq!(of(&packet), v15);
        packet.actions.clear();
        packet
            .fields
            .set(Field::PacketType.place(), 0x1_0800, u128::MAX);
        assert_eq!(of(&packet), v15);
    }

    #[test]
    fn a_frame_without_tag_can_be_matched_everywhere() {
        let mut flow = FlowMod::default();
        flow.matching.set(Field::VlanTci.place(), 0, 0xffff);
        assert_eq!(usable(&flow).protocols().count(), 7);
        flow.matching.set(Field::TunTtl.place(), 5, u128::MAX);
        assert_eq!(usable(&flow).protocols().count(), 0);
    }
}
