//! The extraction plan: which bits of the key the rules of a bridge look at. Nothing else is parsed
//! from a packet, and the cache compares nothing else.

use super::group::GroupView;
use super::rule::Rule;
use flow::extract::{self, Depth};
use ofp::action::{Action, HashFields, Learn, LearnSource};
use ofp::field::{Field, Subfield};
use ofp::key::{Match, Place, VLAN_PRESENT, WORDS, WordSet, word};
use ofp::types::PortNo;
use rustc_hash::FxHashMap;

/// Bits of the key that matter, with a count of the rules that need them.
#[derive(Clone, Debug)]
pub struct Plan {
    users: FxHashMap<(u8, u64), usize>,
    /// The words that matter.
    pub words: WordSet,
    /// The bits of each word that matter.
    pub masks: [u64; WORDS],
    /// How frames are parsed for it.
    pub extract: extract::Plan,
    /// What tells packets apart when they arrive: words that matter and may differ then (registers
    /// and metadata start as 0), with their masks. The ingress port always does.
    pub arrival: Box<[(u8, u64)]>,
    /// The same, with nothing in front, where the cache puts something, and behind, up to a multiple of [`ROW`].
    pub row: Box<[(u8, u64)]>,
    /// The bits that matter of the words of plain packets (`extract::plain`).
    pub plain: extract::PlainWords,
    /// Changes whenever the above does.
    pub generation: u64,
}

/// VLAN tags behind which a packet is looked into: the default of Open vSwitch's `vlan-limit`. What is
/// behind more tags is payload, so flows that match IP do not see it.
pub const VLAN_LIMIT: u8 = 1;

/// The words of tunnel options.
const OPTIONS: std::ops::Range<usize> = word::TUN_METADATA..word::ETH_DST;

/// The word and bits of the ingress port.
pub const INGRESS: (u8, u64) = (word::IN_PORT as u8, 0xffff_ffff_0000_0000);

/// No bit of any word.
const NOTHING: (u8, u64) = (word::IN_PORT as u8, 0);

/// Words that are compared at once.
pub const ROW: usize = 8;

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            users: FxHashMap::default(),
            words: WordSet::EMPTY,
            masks: [0; WORDS],
            extract: extract::Plan::new(WordSet::EMPTY, Depth::None).with_max_tags(VLAN_LIMIT),
            arrival: Box::new([INGRESS]),
            row: row(&[INGRESS]),
            plain: [0; 4],
            generation: 0,
        }
    }
}

impl Plan {
    /// A rule was added; `generation` is that of this change.
    pub fn add(&mut self, rule: &Rule, generation: u64) {
        self.add_uses(&rule.matching, &rule.actions, generation);
    }
    /// A group was added.
    pub fn add_group(&mut self, group: &GroupView, generation: u64) {
        self.add_uses(&hashed(group), &[], generation);
        for bucket in &group.buckets {
            self.add_uses(&Match::default(), &bucket.actions, generation);
        }
    }
    /// A group was removed.
    pub fn remove_group(&mut self, group: &GroupView, generation: u64) {
        self.remove_uses(&hashed(group), &[], generation);
        for bucket in &group.buckets {
            self.remove_uses(&Match::default(), &bucket.actions, generation);
        }
    }
    fn add_uses(&mut self, matching: &Match, actions: &[Action], generation: u64) {
        let mut changed = false;
        for_each_use(matching, actions, |index, mask| {
            let users = self.users.entry((index, mask)).or_default();
            *users += 1;
            changed |= mask & !self.masks[index as usize] != 0;
            self.masks[index as usize] |= mask;
            self.words.insert(index as usize);
        });
        if changed {
            self.settle(generation);
        }
    }
    fn settle(&mut self, generation: u64) {
        self.generation = generation;
        self.extract = extract::Plan::new(self.words, Depth::None).with_max_tags(VLAN_LIMIT);
        let arrives =
            |&index: &usize| (1..word::METADATA).contains(&index) || index >= OPTIONS.start;
        let others = self.words.iter().filter(arrives);
        self.arrival = std::iter::once(INGRESS)
            .chain(others.map(|index| (index as u8, self.masks[index])))
            .collect();
        self.row = row(&self.arrival);
        self.plain = extract::plain_words(&self.masks);
    }
    /// A rule was removed; `generation` is that of this change.
    pub fn remove(&mut self, rule: &Rule, generation: u64) {
        self.remove_uses(&rule.matching, &rule.actions, generation);
    }
    fn remove_uses(&mut self, matching: &Match, actions: &[Action], generation: u64) {
        let mut changed = false;
        for_each_use(matching, actions, |index, mask| {
            if let Some(users) = self.users.get_mut(&(index, mask)) {
                *users -= 1;
                if *users == 0 {
                    self.users.remove(&(index, mask));
                    changed = true;
                }
            }
        });
        if changed {
            let before = (self.words, self.masks);
            (self.words, self.masks) = (WordSet::EMPTY, [0; WORDS]);
            for &(index, mask) in self.users.keys() {
                self.masks[index as usize] |= mask;
                self.words.insert(index as usize);
            }
            // Others may look at the same bits by other masks.
            if before != (self.words, self.masks) {
                self.settle(generation);
            }
        }
    }
}

/// Whole lines of these, behind a free place.
fn row(arrival: &[(u8, u64)]) -> Box<[(u8, u64)]> {
    let used = std::iter::once(NOTHING).chain(arrival.iter().copied());
    let free = (arrival.len() + 1).next_multiple_of(ROW) - arrival.len() - 1;
    used.chain(std::iter::repeat_n(NOTHING, free)).collect()
}

/// What the walk looks at that a group hashes: what is not the packet's, which the step reads itself.
fn hashed(group: &GroupView) -> Match {
    let mut matching = Match::default();
    for (field, mask) in &group.selection.fields {
        let place = field.place();
        if place.is_virtual() {
            OPTIONS.for_each(|index| matching.set(Place::new(index, 0, 64), 0, u128::MAX));
        } else if usize::from(place.word) < word::ETH_DST {
            matching.set(place, 0, *mask);
        }
    }
    matching
}

/// Calls `f` with each key word and mask that a match or actions look at.
fn for_each_use(matching: &Match, actions: &[Action], mut f: impl FnMut(u8, u64)) {
    matching.words().iter().for_each(|w| f(w.index, w.mask));
    for_each_read(actions, &mut |field| match field.place() {
        // Whichever of these it is.
        place if place.is_virtual() => OPTIONS.for_each(|index| f(index as u8, u64::MAX)),
        place => place.spread(place.ones(), |word, mask| f(word as u8, mask)),
    });
    if actions.iter().any(may_pop_vlan) {
        // The tag behind the outer one becomes the outer one.
        f(word::VLAN_INNER as u8, 0xffff_0000_ffff_ffff);
    }
}

/// Whether the outer VLAN tag may go, so that the next one shows.
fn may_pop_vlan(action: &Action) -> bool {
    let is_tag = |field| matches!(field, Field::VlanTci | Field::VlanVid);
    let clears = |value: u128, mask: u128| mask & !value & u128::from(VLAN_PRESENT) != 0;
    match action {
        Action::StripVlan => true,
        Action::SetField { field, value, mask } => is_tag(*field) && clears(*value, *mask),
        Action::Load { value, destination } => {
            is_tag(destination.field) && clears(*value << destination.start, destination.mask())
        }
        Action::Move { destination, .. } | Action::StackPop(destination) => {
            is_tag(destination.field)
        }
        Action::Clone(nested) | Action::WriteActions(nested) => nested.iter().any(may_pop_vlan),
        _ => false,
    }
}

/// Calls `f` with the fields that actions need to know before they can be lowered: their sources, and
/// what decides whether (and where) they apply. NORMAL looks at the frame when it runs.
pub fn for_each_read(actions: &[Action], f: &mut impl FnMut(Field)) {
    for action in actions {
        match action {
            Action::Output { port, .. } => {
                // It is compared with the ingress port, which also NORMAL and FLOOD leave out.
                if *port != PortNo::ANY {
                    f(Field::InPort);
                }
            }
            Action::Enqueue { .. } | Action::OutputTrunc { .. } => f(Field::InPort),
            Action::Controller(_) | Action::Group(_) | Action::Resubmit { .. } => f(Field::InPort),
            Action::OutputReg { source, .. } | Action::StackPush(source) => {
                f(Field::InPort);
                reads(*source, f);
            }
            Action::Move {
                source,
                destination,
            } => {
                reads(*source, f);
                writes(destination.field, f);
            }
            Action::Load { destination, .. } | Action::StackPop(destination) => {
                writes(destination.field, f)
            }
            Action::SetField { field, .. } => writes(*field, f),
            Action::SetVlanVid { .. } | Action::SetVlanPcp { .. } => f(Field::VlanTci),
            Action::StripVlan | Action::PushVlan(_) => f(Field::VlanTci),
            Action::SetIpv4Src(_) | Action::SetIpv4Dst(_) => writes(Field::IpSrc, f),
            Action::SetIpTos(_) | Action::SetIpEcn(_) | Action::SetIpTtl(_) => {
                writes(Field::IpTtl, f)
            }
            Action::SetL4Src(_) | Action::SetL4Dst(_) => writes(Field::TcpSrc, f),
            Action::DecTtl(_) => reads(Subfield::whole(Field::IpTtl), f),
            Action::Clone(nested) | Action::WriteActions(nested) => for_each_read(nested, f),
            Action::SetEthSrc(_) | Action::SetEthDst(_) | Action::SetTunnel { .. } => {}
            Action::SetQueue(_) | Action::PopQueue | Action::Exit | Action::Note(_) => {}
            Action::Meter(_) | Action::ClearActions => {}
            // Whether a packet is large, or a fragment, is seen when the step runs.
            Action::Fragment { .. } | Action::Reassemble(_) => {}
            Action::Bpdu(_) => {
                f(Field::BpduType);
                f(Field::EthDst);
            }
            Action::WriteMetadata { .. } | Action::GotoTable(_) => {}
            Action::StatTrigger(_) => {}
            Action::PushMpls(_) => {
                for field in [
                    Field::MplsLabel,
                    Field::MplsTc,
                    Field::MplsBos,
                    Field::MplsTtl,
                ] {
                    reads(Subfield::whole(field), f);
                }
                reads(Subfield::whole(Field::IpTtl), f);
                f(Field::IpTos);
            }
            Action::PopMpls(_) => f(Field::EthType),
            Action::DecMplsTtl => reads(Subfield::whole(Field::MplsTtl), f),
            Action::SetMplsLabel(_) | Action::SetMplsTc(_) | Action::SetMplsTtl(_) => {
                writes(Field::MplsLabel, f)
            }
            // The frame is looked at when the step runs.
            Action::CopyTtlOut | Action::CopyTtlIn | Action::PushPbb(_) | Action::PopPbb => {}
            Action::Learn(learn) => learn_reads(learn, f),
            // Whether it is TCP; its flags are seen when the step runs.
            Action::FinTimeout { .. } => writes(Field::TcpFlags, f),
            Action::Conjunction { .. } | Action::Sample(_) => {}
            Action::Multipath(multipath) => {
                hash_reads(multipath.fields, f);
                writes(multipath.destination.field, f);
            }
            Action::Bundle(bundle) => {
                f(Field::InPort);
                if !bundle.active_backup {
                    hash_reads(bundle.fields, f);
                }
                if let Some(destination) = bundle.destination {
                    writes(destination.field, f);
                }
            }
            Action::CheckPktLarger { destination, .. } => writes(destination.field, f),
            Action::DeleteField(_) => {}
            Action::Encap(to) => {
                f(Field::EthType);
                for_each_read(&[Action::PushMpls(to.kind)], f);
            }
            Action::Decap(_) => {
                f(Field::EthType);
                f(Field::VlanTci);
                f(Field::MplsBos);
            }
        }
    }
}

fn learn_reads(learn: &Learn, f: &mut impl FnMut(Field)) {
    for spec in &learn.specs {
        if let LearnSource::Field(source) = spec.source {
            reads(source, f);
        }
    }
    if let Some(result) = learn.result {
        writes(result.field, f);
    }
}

/// What a hash is made of.
fn hash_reads(fields: HashFields, f: &mut impl FnMut(Field)) {
    use HashFields::*;
    if fields == EthSrc {
        return f(Field::EthSrc);
    }
    reads(Subfield::whole(Field::IpSrc), f);
    for field in [Field::IpDst, Field::Ipv6Src, Field::Ipv6Dst] {
        f(field);
    }
    if fields == SymmetricL4 {
        [Field::EthSrc, Field::EthDst, Field::VlanVid]
            .into_iter()
            .for_each(&mut *f);
    }
    if matches!(fields, SymmetricL4 | SymmetricL3L4 | SymmetricL3L4Udp) {
        f(Field::TcpSrc);
        f(Field::TcpDst);
    }
}

fn reads(source: Subfield, f: &mut impl FnMut(Field)) {
    f(source.field);
    writes(source.field, f);
}

/// Whether a field exists in a packet, and which checksum covers it, follows from these.
fn writes(field: Field, f: &mut impl FnMut(Field)) {
    use ofp::field::Prereq::*;
    match field.row().prereq {
        None | Ethernet => {}
        Vlan => f(Field::VlanTci),
        Mpls | Pbb | Arp | Ipv4 | Ipv6 | Ip => {
            f(Field::EthType);
            f(Field::IpProto);
            f(Field::IpFrag);
        }
        Tcp | Udp | Sctp | Icmp4 | Icmp6 | Nd | NdSolicit | NdAdvert => {
            f(Field::EthType);
            f(Field::IpProto);
            f(Field::IpFrag);
            f(Field::Icmpv6Type);
            f(Field::Icmpv6Code);
        }
    }
    if matches!(field, Field::VlanTci | Field::VlanVid) {
        f(Field::VlanTci);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RuleId;
    use ofp::types::{Cookie, TableId};

    fn rule(mask: u128) -> Rule {
        let mut matching = Match::default();
        matching.set(Field::IpDst.place(), 0, mask);
        Rule {
            id: RuleId(0),
            table: TableId(0),
            priority: 0,
            matching,
            actions: Box::new([]),
            cookie: Cookie(0),
        }
    }

    #[test]
    fn it_is_the_same_while_the_same_bits_matter() {
        let mut plan = Plan::default();
        plan.add(&rule(0xffff_ff00), 1);
        assert_eq!(plan.generation, 1);
        plan.add(&rule(0xffff_0000), 2);
        plan.remove(&rule(0xffff_0000), 3);
        assert_eq!(plan.generation, 1);
        plan.add(&rule(0xffff_ffff), 4);
        plan.remove(&rule(0xffff_ff00), 5);
        assert_eq!(plan.generation, 4);
        plan.remove(&rule(0xffff_ffff), 6);
        assert_eq!((plan.generation, plan.arrival.len()), (6, 1));
    }
}
