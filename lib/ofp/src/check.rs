//! Whether a list of actions makes sense for the packets of a match. The switch asks for every
//! flow_mod and packet_out, `ofctl` before it sends one.

use crate::action::{
    Action, Bpdu, FRAGMENT_MTU_MIN, Learn, LearnSource, LearnTarget, Multipath, PacketType,
    PortBundle, StatTrigger, learn_flag,
};
use crate::error::OfError;
use crate::field::{Field, Prereq, Subfield};
use crate::key::{Match, VLAN_PRESENT, word};
use crate::message::{Duration, FlowCounters};
use crate::types::{GroupId, MeterId, PortNo, TableId, Version};
use crate::wire::{BUNDLE_MAX, ENCAPS};
use packet::MacAddr;
use std::borrow::Cow;

/// Largest group number (OFPG_MAX).
const GROUP_MAX: u32 = 0xffff_ff00;
/// VLAN tags that can be told apart; one more cannot be pushed.
const MAX_TAGS: u8 = 2;
/// The namespace of packet types that are ether types (OFPHTN_ETHERTYPE).
const ETHER_TYPES: u16 = 1;

/// Checks a list. Ports from `max_ports` up, other than the reserved ones, do not exist. `table` is
/// where the rule goes; `ALL` for a packet-out.
///
/// OpenFlow 1.1 and later refuse actions on fields that the match does not make sure of; OpenFlow 1.0
/// ignores such an action at run time, except where a value could not be written at all.
pub fn check_actions(
    actions: &[Action],
    matching: &Match,
    table: TableId,
    max_ports: u32,
    version: Version,
) -> Result<(), OfError> {
    let tags = u8::from(Prereq::Vlan.holds(matching));
    let mut check = Check {
        seen: Cow::Borrowed(matching),
        tags,
        table,
        max_ports,
        version,
        is_set: false,
    };
    check.list(actions)
}

/// Whether a match or actions name tunnel options (`tun_metadata<N>`), which mean something only where
/// a switch has mapped them.
pub fn names_tunnel_options(matching: &Match, actions: &[Action]) -> bool {
    let mut found = matching.words().iter().any(|found| {
        let index = usize::from(found.index);
        index >= word::VIRTUAL || index == word::TUN_PRESENT
    });
    for action in actions {
        action.for_each_field(&mut |field| found |= field.is_tun_metadata());
    }
    found
}

/// What is known of the packet at one point of a list.
#[derive(Clone)]
struct Check<'a> {
    seen: Cow<'a, Match>,
    tags: u8,
    table: TableId,
    max_ports: u32,
    version: Version,
    /// Of an action set: what the packet is when that runs, nobody knows yet.
    is_set: bool,
}

impl Check<'_> {
    fn list(&mut self, actions: &[Action]) -> Result<(), OfError> {
        // The packet goes on elsewhere: what follows would never run.
        let before_last = &actions[..actions.len().saturating_sub(1)];
        if before_last
            .iter()
            .any(|action| matches!(action, Action::Reassemble(_)))
        {
            return Err(match self.version {
                Version::V10 => OfError::ActionArgument,
                _ => OfError::UnsupportedOrder,
            });
        }
        // A conjunction says where a packet belongs, not what becomes of it.
        let is_conjunction = |action: &Action| matches!(action, Action::Conjunction { .. });
        let goes_with =
            |action: &Action| is_conjunction(action) || matches!(action, Action::Note(_));
        if actions.iter().any(is_conjunction) && !actions.iter().all(goes_with) {
            return Err(OfError::ActionConjunction);
        }
        actions.iter().try_for_each(|action| self.action(action))
    }

    fn action(&mut self, action: &Action) -> Result<(), OfError> {
        match action {
            Action::Output { port, .. } | Action::OutputTrunc { port, .. } => self.port(*port),
            Action::Enqueue { port, .. } => self.port_with_queues(*port),
            Action::OutputReg { source, .. } => {
                self.field(source.field, OfError::MatchInconsistent)
            }
            Action::Group(GroupId(id)) if *id > GROUP_MAX => Err(OfError::ActionOutGroup),
            Action::SetVlanVid { push, .. } | Action::SetVlanPcp { push, .. } => {
                if !push {
                    return self.soft(Prereq::Vlan);
                }
                self.soft(Prereq::Ethernet)?;
                self.tags = self.tags.max(1);
                self.tag(true);
                Ok(())
            }
            Action::StripVlan => {
                let result = self.soft(Prereq::Vlan);
                self.tags = self.tags.saturating_sub(1);
                self.tag(self.tags > 0);
                result
            }
            Action::PushVlan(tpid) => self.push_vlan(*tpid),
            Action::SetIpv4Src(_) | Action::SetIpv4Dst(_) => self.soft(Prereq::Ipv4),
            Action::SetIpTos(_) | Action::SetIpEcn(_) | Action::SetIpTtl(_) | Action::DecTtl(_) => {
                self.soft(Prereq::Ip)
            }
            Action::SetL4Src(_) | Action::SetL4Dst(_) => self.transport(),
            Action::SetField { field, value, mask } => self.set_field(*field, *value, *mask),
            Action::Load { value, destination } => self.load(*value, *destination),
            Action::Move {
                source,
                destination,
            } => {
                self.field(source.field, OfError::MatchInconsistent)?;
                self.destination(*destination)?;
                let fits = source.width == destination.width;
                if fits {
                    Ok(())
                } else {
                    Err(OfError::ActionArgument)
                }
            }
            Action::StackPush(source) => self.field(source.field, OfError::MatchInconsistent),
            Action::StackPop(destination) => self.destination(*destination),
            // What happens inside does not reach the rest of the list.
            Action::Clone(list) => self.clone().list(list),
            Action::WriteActions(list) => {
                if !list.iter().all(fits_action_set) {
                    return Err(OfError::ActionType);
                }
                let mut set = self.clone();
                set.is_set = true;
                set.list(list)
            }
            Action::GotoTable(table) => self.goto(*table),
            Action::Resubmit {
                table: Some(TableId::ALL),
                ..
            } => Err(OfError::ActionArgument),
            Action::Fragment { mtu, .. } if *mtu < FRAGMENT_MTU_MIN => Err(OfError::ActionArgument),
            Action::Reassemble(table) if usize::from(table.0) >= TableId::LEN => {
                Err(OfError::ActionArgument)
            }
            Action::Bpdu(Bpdu::Tunnel(mac) | Bpdu::Untunnel(mac)) if *mac == MacAddr::ZERO => {
                Err(OfError::ActionArgument)
            }
            Action::SetEthSrc(_) | Action::SetEthDst(_) => self.soft(Prereq::Ethernet),
            Action::PushMpls(kind) => self.push_mpls(*kind),
            Action::PopMpls(kind) => {
                let result = self.soft(Prereq::Mpls);
                self.becomes(*kind);
                result
            }
            Action::SetMplsLabel(_)
            | Action::SetMplsTc(_)
            | Action::SetMplsTtl(_)
            | Action::DecMplsTtl => self.soft(Prereq::Mpls),
            Action::PushPbb(kind) => {
                self.soft(Prereq::Ethernet)?;
                self.becomes(*kind);
                self.tag(false);
                self.tags = 0;
                Ok(())
            }
            Action::PopPbb => {
                let result = self.soft(Prereq::Pbb);
                self.forget();
                result
            }
            Action::Encap(kind) => self.encap(*kind),
            Action::Decap(_) => {
                decapsulate(self.seen.to_mut());
                Ok(())
            }
            // As in Open vSwitch, also where the match is of later fragments, which have no FIN.
            Action::FinTimeout { .. } if self.seen.get(Field::IpProto.place()) == (6, 0xff) => {
                Ok(())
            }
            Action::FinTimeout { .. } => self.soft(Prereq::Tcp),
            Action::Learn(learn) => self.learn_flow(learn),
            Action::Conjunction {
                clause, n_clauses, ..
            } => conjunction(*clause, *n_clauses),
            Action::Multipath(m) => self.multipath(m),
            Action::Bundle(bundle) => self.bundle(bundle),
            Action::CheckPktLarger { destination, .. } => {
                self.destination(*destination)?;
                argument(destination.width == 1)
            }
            Action::Sample(sample) => argument(sample.probability != 0),
            Action::DeleteField(field) => argument(field.is_tun_metadata()),
            Action::StatTrigger(trigger) => stat_trigger(trigger),
            // Those above the largest are the switch's own.
            Action::Meter(id) if *id == MeterId(0) || *id > MeterId::MAX => {
                Err(OfError::MeterInvalid)
            }
            Action::Group(_)
            | Action::Meter(_)
            | Action::CopyTtlOut
            | Action::CopyTtlIn
            | Action::Fragment { .. }
            | Action::Reassemble(_)
            | Action::Bpdu(_)
            | Action::Controller(_)
            | Action::SetTunnel { .. }
            | Action::SetQueue(_)
            | Action::PopQueue
            | Action::Resubmit { .. }
            | Action::Exit
            | Action::Note(_)
            | Action::ClearActions
            | Action::WriteMetadata { .. } => Ok(()),
        }
    }

    /// A field that an action cannot do without: OpenFlow 1.0 lets it be, later versions do not.
    fn soft(&self, prereq: Prereq) -> Result<(), OfError> {
        if self.version == Version::V10 || self.is_set || prereq.holds(&self.seen) {
            Ok(())
        } else {
            Err(OfError::MatchInconsistent)
        }
    }

    fn transport(&self) -> Result<(), OfError> {
        self.soft(Prereq::Tcp)
            .or_else(|_| self.soft(Prereq::Udp))
            .or_else(|_| self.soft(Prereq::Sctp))
    }

    fn field(&self, field: Field, otherwise: OfError) -> Result<(), OfError> {
        let tag = field == Field::VlanVid && !Prereq::Vlan.holds(&self.seen);
        if tag || !field.row().prereq.holds(&self.seen) {
            Err(otherwise)
        } else {
            Ok(())
        }
    }

    fn destination(&self, subfield: Subfield) -> Result<(), OfError> {
        if !subfield.field.row().writable {
            return Err(OfError::SetFieldArgument);
        }
        self.field(subfield.field, OfError::MatchInconsistent)
    }

    fn set_field(&mut self, field: Field, value: u128, mask: u128) -> Result<(), OfError> {
        if !field.row().writable || value & !field.full_mask() != 0 {
            return Err(OfError::SetFieldArgument);
        }
        let present = u128::from(VLAN_PRESENT);
        if field == Field::VlanVid && mask & !value & present != 0 {
            return Err(OfError::SetFieldArgument);
        }
        // OpenFlow 1.0's own action for it adds the tag.
        let pushes = matches!(field, Field::VlanVid | Field::VlanPcp);
        if !(pushes && self.version == Version::V10) {
            self.field(field, OfError::MatchInconsistent)?;
        }
        self.learn(field, value, mask);
        Ok(())
    }

    fn load(&mut self, value: u128, destination: Subfield) -> Result<(), OfError> {
        self.destination(destination)?;
        if destination.width < 128 && value >> destination.width != 0 {
            return Err(OfError::ActionArgument);
        }
        self.learn(
            destination.field,
            value << destination.start,
            destination.mask(),
        );
        Ok(())
    }

    /// Writing the whole tag adds or removes one.
    fn learn(&mut self, field: Field, value: u128, mask: u128) {
        let present = u128::from(VLAN_PRESENT);
        if field == Field::VlanTci && mask & present != 0 {
            self.tags = u8::from(value & present != 0);
            self.tag(self.tags > 0);
        }
    }

    fn tag(&mut self, present: bool) {
        let bit = u128::from(VLAN_PRESENT);
        self.seen
            .to_mut()
            .set(Field::VlanTci.place(), if present { bit } else { 0 }, bit);
    }

    fn push_vlan(&mut self, tpid: u16) -> Result<(), OfError> {
        if !matches!(tpid, 0x8100 | 0x88a8) {
            return Err(OfError::ActionArgument);
        }
        if self.tags >= MAX_TAGS {
            return Err(OfError::ActionTag);
        }
        self.tags += 1;
        self.tag(true);
        Ok(())
    }

    fn push_mpls(&mut self, kind: u16) -> Result<(), OfError> {
        argument(matches!(kind, 0x8847 | 0x8848))?;
        self.soft(Prereq::Ethernet)?;
        // An IP packet, or a label stack; what else MPLS carries, no match can tell (RFC 3032 section 2.2).
        self.becomes(kind);
        Ok(())
    }

    fn encap(&mut self, kind: PacketType) -> Result<(), OfError> {
        argument(ENCAPS.contains(&kind))?;
        encapsulate(self.seen.to_mut(), kind);
        Ok(())
    }

    /// The packet has another ether type: what was known of the headers behind it is not any more.
    fn becomes(&mut self, ether_type: u16) {
        self.forget();
        if ether_type != 0 {
            let place = Field::EthType.place();
            self.seen
                .to_mut()
                .set(place, ether_type.into(), place.ones());
        }
    }

    fn forget(&mut self) {
        for field in [
            Field::PacketType,
            Field::EthType,
            Field::IpProto,
            Field::IpFrag,
        ] {
            self.seen.to_mut().unset(field.place());
        }
    }

    fn learn_flow(&self, learn: &Learn) -> Result<(), OfError> {
        argument(usize::from(learn.table.0) < TableId::LEN)?;
        argument(learn.flags & !learn_flag::ALL == 0)?;
        if let Some(result) = learn.result {
            self.destination(result)?;
            argument(result.width == 1)?;
        }
        // What the learnt flow will match, as far as it is known now.
        let mut new = Check {
            seen: Cow::default(),
            ..self.clone()
        };
        for spec in &learn.specs {
            if let LearnSource::Field(from) = spec.source {
                self.field(from.field, OfError::MatchInconsistent)?;
                argument(from.width == spec.width)?;
            }
            match spec.target {
                LearnTarget::Match(to) => {
                    new.field(to.field, OfError::MatchInconsistent)?;
                    argument(to.width == spec.width)?;
                    let bits = match spec.source {
                        LearnSource::Value(value) => value << to.start,
                        // The packet says it, and the rule may say it of the packet.
                        LearnSource::Field(from) => {
                            let (value, mask) = self.seen.get(from.field.place());
                            if mask & from.mask() != from.mask() {
                                continue;
                            }
                            (value & from.mask()) >> from.start << to.start
                        }
                    };
                    new.seen.to_mut().set(to.field.place(), bits, to.mask());
                }
                LearnTarget::Load(to) => {
                    new.destination(to)?;
                    argument(to.width == spec.width)?;
                }
                LearnTarget::Output => {}
            }
        }
        Ok(())
    }

    fn multipath(&self, m: &Multipath) -> Result<(), OfError> {
        self.destination(m.destination)?;
        let fits = m.destination.width >= 17 || m.n_links <= 1 << m.destination.width;
        argument(fits && (1..=65536).contains(&m.n_links))
    }

    fn bundle(&self, bundle: &PortBundle) -> Result<(), OfError> {
        if let Some(destination) = bundle.destination {
            self.destination(destination)?;
            argument(destination.width >= 16)?;
        }
        argument(bundle.ports.len() <= BUNDLE_MAX)?;
        bundle
            .ports
            .iter()
            .filter(|port| **port != PortNo::ANY)
            .try_for_each(|port| self.port(*port))
    }

    fn port(&self, port: PortNo) -> Result<(), OfError> {
        match port {
            PortNo::IN_PORT
            | PortNo::TABLE
            | PortNo::NORMAL
            | PortNo::FLOOD
            | PortNo::ALL
            | PortNo::CONTROLLER
            | PortNo::LOCAL => Ok(()),
            PortNo(port) if port < self.max_ports && port != 0 => Ok(()),
            _ => Err(OfError::ActionOutPort),
        }
    }

    fn port_with_queues(&self, port: PortNo) -> Result<(), OfError> {
        match port {
            PortNo::IN_PORT | PortNo::LOCAL => Ok(()),
            PortNo(port) if port < self.max_ports && port != 0 => Ok(()),
            _ => Err(OfError::ActionOutPort),
        }
    }

    fn goto(&self, table: TableId) -> Result<(), OfError> {
        let backward = self.table != TableId::ALL && table <= self.table;
        if backward || usize::from(table.0) >= TableId::LEN {
            return Err(OfError::InstructionTableId);
        }
        Ok(())
    }
}

/// What is known of a packet that was one with `seen`, when `encap` has put a header in front.
pub(crate) fn encapsulate(seen: &mut Match, to: PacketType) {
    set_packet_type(seen, to);
    if to.namespace == ETHER_TYPES {
        let place = Field::EthType.place();
        seen.set(place, to.kind.into(), place.ones());
        seen.unset(Field::IpProto.place());
        seen.unset(Field::IpFrag.place());
    }
}

/// The same when `decap` has taken the outermost header away. What was in an Ethernet frame is known by the ether type; of what
/// was in something else nothing is.
pub(crate) fn decapsulate(seen: &mut Match) {
    let unknown = PacketType {
        namespace: u16::MAX,
        kind: u16::MAX,
    };
    let (ether_type, _) = seen.get(Field::EthType.place());
    let to = match Prereq::Ethernet.holds(seen) {
        true => PacketType::ether_type(ether_type as u16),
        false => unknown,
    };
    set_packet_type(seen, to);
}

fn set_packet_type(seen: &mut Match, to: PacketType) {
    seen.set(Field::PacketType.place(), to.into(), u128::MAX);
}

fn argument(fits: bool) -> Result<(), OfError> {
    match fits {
        true => Ok(()),
        false => Err(OfError::ActionArgument),
    }
}

fn conjunction(clause: u8, n_clauses: u8) -> Result<(), OfError> {
    match (2..=64).contains(&n_clauses) && clause < n_clauses {
        true => Ok(()),
        false => Err(OfError::ActionConjunction),
    }
}

/// There has to be something that can be reached, and multiples of it. A flow's `flow_count` is always one.
fn stat_trigger(trigger: &StatTrigger) -> Result<(), OfError> {
    let FlowCounters {
        duration,
        idle_time,
        flow_count,
        packet_count,
        byte_count,
    } = trigger.thresholds;
    let spans = [duration, idle_time].into_iter().flatten();
    let counts = [packet_count, byte_count].into_iter().flatten();
    let given = spans.clone().count() + counts.clone().count();
    let spans_fit = { spans }.all(|span| span != Duration::default() && span.nanos < 1_000_000_000);
    match given > 0 && spans_fit && flow_count.is_none() && { counts }.all(|count| count > 0) {
        true => Ok(()),
        false => Err(OfError::InstructionUnsupported),
    }
}

/// Whether an action can stand in an action set.
pub fn fits_action_set(action: &Action) -> bool {
    !matches!(
        action,
        Action::Enqueue { .. }
            | Action::Resubmit { .. }
            | Action::Exit
            | Action::Note(_)
            | Action::Clone(_)
            | Action::Fragment { .. }
            | Action::Reassemble(_)
            | Action::Bpdu(_)
            | Action::Learn(_)
            | Action::Conjunction { .. }
            | Action::Multipath(_)
            | Action::Bundle(_)
            | Action::FinTimeout { .. }
            | Action::CheckPktLarger { .. }
            | Action::Sample(_)
            | Action::DeleteField(_)
            | Action::OutputReg { .. }
            | Action::OutputTrunc { .. }
            | Action::StackPush(_)
            | Action::StackPop(_)
            | Action::PopQueue
            | Action::Meter(_)
            | Action::ClearActions
            | Action::WriteActions(_)
            | Action::WriteMetadata { .. }
            | Action::StatTrigger(_)
            | Action::GotoTable(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(actions: &[Action], matching: &Match, version: Version) -> Result<(), OfError> {
        check_actions(actions, matching, TableId(3), 0xff00, version)
    }

    fn ip() -> Match {
        let mut m = Match::default();
        m.set(Field::EthType.place(), 0x0800, 0xffff);
        m
    }

    #[test]
    fn meters_have_numbers() {
        let any = Match::default();
        for (meter, want) in [
            (MeterId(0), Err(OfError::MeterInvalid)),
            (MeterId(1), Ok(())),
            (MeterId::MAX, Ok(())),
            (MeterId::CONTROLLER, Err(OfError::MeterInvalid)),
        ] {
            for version in [Version::V13, Version::V15] {
                assert_eq!(check(&[Action::Meter(meter)], &any, version), want);
            }
        }
    }

    #[test]
    fn actions_need_their_fields() {
        let any = Match::default();
        let ttl = [Action::DecTtl(Vec::new())];
        assert_eq!(
            check(&ttl, &any, Version::V13),
            Err(OfError::MatchInconsistent)
        );
        assert_eq!(check(&ttl, &any, Version::V10), Ok(()));
        assert_eq!(check(&ttl, &ip(), Version::V13), Ok(()));
        let vid = Action::SetField {
            field: Field::VlanVid,
            value: 0x1005,
            mask: 0x1fff,
        };
        let pushed = [Action::PushVlan(0x8100), vid.clone()];
        assert_eq!(
            check(&[vid], &any, Version::V13),
            Err(OfError::MatchInconsistent)
        );
        assert_eq!(check(&pushed, &any, Version::V13), Ok(()));
        let port = Action::SetField {
            field: Field::TcpDst,
            value: 80,
            mask: 0xffff,
        };
        assert_eq!(
            check(&[port], &ip(), Version::V10),
            Err(OfError::MatchInconsistent)
        );
    }

    /// A match of later fragments has no ports to ask for, but is of TCP all the same.
    #[test]
    fn timeouts_on_fin_need_tcp() {
        let fin = [Action::FinTimeout {
            idle_secs: 1,
            hard_secs: 1,
        }];
        let mut matching = ip();
        for (field, value, want) in [
            (Field::IpFrag, 0, Err(OfError::MatchInconsistent)),
            (Field::IpProto, 17, Err(OfError::MatchInconsistent)),
            (Field::IpProto, 6, Ok(())),
            (Field::IpFrag, 3, Ok(())),
        ] {
            matching.set(field.place(), value, u128::MAX);
            assert_eq!(
                check(&fin, &matching, Version::V13),
                want,
                "{field:?} {value}"
            );
        }
    }

    #[test]
    fn ports_and_tables_have_to_exist() {
        let any = Match::default();
        let output = |port| {
            [Action::Output {
                port: PortNo(port),
                max_len: 0,
            }]
        };
        for (port, want) in [
            (1, Ok(())),
            (0, Err(OfError::ActionOutPort)),
            (0xff00, Err(OfError::ActionOutPort)),
            (PortNo::NORMAL.0, Ok(())),
            (PortNo::ANY.0, Err(OfError::ActionOutPort)),
        ] {
            assert_eq!(check(&output(port), &any, Version::V13), want, "{port}");
        }
        for (table, want) in [(4, true), (3, false), (253, true), (254, false)] {
            let goto = [Action::GotoTable(TableId(table))];
            assert_eq!(check(&goto, &any, Version::V13).is_ok(), want, "{table}");
        }
    }

    #[test]
    fn an_action_set_holds_no_lists() {
        let fragment = Action::Fragment {
            mtu: 1500,
            ignore_df: false,
        };
        let ours = [
            fragment,
            Action::Reassemble(TableId(1)),
            Action::Bpdu(Bpdu::Count),
        ];
        for action in ours.into_iter().chain([Action::Exit]) {
            let write = [Action::WriteActions(vec![action])];
            assert_eq!(
                check(&write, &Match::default(), Version::V13),
                Err(OfError::ActionType)
            );
        }
    }

    #[test]
    fn an_action_set_runs_on_what_nobody_knows_yet() {
        let any = Match::default();
        let decrement = Action::DecTtl(vec![]);
        let inconsistent = Err(OfError::MatchInconsistent);
        let listed = [decrement.clone()];
        assert_eq!(check(&listed, &any, Version::V13), inconsistent);
        let written = [Action::WriteActions(vec![decrement])];
        assert_eq!(check(&written, &any, Version::V13), Ok(()));
    }

    #[test]
    fn our_actions_have_their_limits() {
        let any = Match::default();
        let fragment = |mtu| Action::Fragment {
            mtu,
            ignore_df: true,
        };
        let tunnel = |mac| Action::Bpdu(Bpdu::Tunnel(mac));
        let wrong = Err(OfError::ActionArgument);
        for (action, want) in [
            (fragment(68), Ok(())),
            (fragment(67), wrong),
            (Action::Reassemble(TableId(253)), Ok(())),
            (Action::Reassemble(TableId(254)), wrong),
            (tunnel(crate::action::BPDU_TUNNEL), Ok(())),
            (tunnel(MacAddr::ZERO), wrong),
        ] {
            for version in [Version::V10, Version::V13] {
                assert_eq!(
                    check(std::slice::from_ref(&action), &any, version),
                    want,
                    "{action:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_follows_reassemble() {
        let any = Match::default();
        let again = Action::Reassemble(TableId(1));
        let lists = [
            vec![again.clone(), Action::Exit],
            vec![again.clone(), Action::GotoTable(TableId(7))],
            vec![Action::Clone(vec![again.clone(), Action::Exit])],
        ];
        for list in lists {
            let order = Err(OfError::UnsupportedOrder);
            assert_eq!(check(&list, &any, Version::V13), order);
            let wrong = Err(OfError::ActionArgument);
            assert_eq!(check(&list, &any, Version::V10), wrong);
        }
        let fits = [Action::Clone(vec![again.clone()]), again];
        assert_eq!(check(&fits, &any, Version::V13), Ok(()));
    }
}
