//! The extraction plan: which bits of the key the rules of a bridge look at. Nothing else is parsed
//! from a packet, and the cache compares nothing else.

use super::rule::Rule;
use ofp::action::Action;
use ofp::field::{Field, Subfield};
use ofp::key::{WORDS, WordSet};
use rustc_hash::FxHashMap;

/// Bits of the key that matter, with a count of the rules that need them.
#[derive(Clone, Debug)]
pub struct Plan {
    users: FxHashMap<(u8, u64), usize>,
    /// The words that matter.
    pub words: WordSet,
    /// The bits of each word that matter.
    pub masks: [u64; WORDS],
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            users: FxHashMap::default(),
            words: WordSet::EMPTY,
            masks: [0; WORDS],
        }
    }
}

impl Plan {
    /// A rule was added.
    pub fn add(&mut self, rule: &Rule) {
        for_each_use(rule, |index, mask| {
            let users = self.users.entry((index, mask)).or_default();
            *users += 1;
            self.masks[index as usize] |= mask;
            self.words.insert(index as usize);
        });
    }
    /// A rule was removed.
    pub fn remove(&mut self, rule: &Rule) {
        let mut changed = false;
        for_each_use(rule, |index, mask| {
            if let Some(users) = self.users.get_mut(&(index, mask)) {
                *users -= 1;
                if *users == 0 {
                    self.users.remove(&(index, mask));
                    changed = true;
                }
            }
        });
        if changed {
            (self.words, self.masks) = (WordSet::EMPTY, [0; WORDS]);
            for &(index, mask) in self.users.keys() {
                self.masks[index as usize] |= mask;
                self.words.insert(index as usize);
            }
        }
    }
}

/// Calls `f` with each key word and mask that a rule's match or actions look at.
fn for_each_use(rule: &Rule, mut f: impl FnMut(u8, u64)) {
    rule.matching
        .words()
        .iter()
        .for_each(|w| f(w.index, w.mask));
    for_each_read(&rule.actions, &mut |field| {
        field
            .place()
            .spread(field.place().ones(), |word, mask| f(word as u8, mask));
    });
}

/// Calls `f` with the fields that actions need to know before they can be lowered: their sources, and
/// what decides whether (and where) they apply. NORMAL and dec_ttl look at the frame when they run.
pub fn for_each_read(actions: &[Action], f: &mut impl FnMut(Field)) {
    for action in actions {
        match action {
            Action::Output { port, .. } => {
                // An output is compared with the ingress port, which also NORMAL and FLOOD leave out.
                let _ = port;
                f(Field::InPort);
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
            Action::DecTtl(_) => writes(Field::IpTtl, f),
            Action::Clone(nested) | Action::WriteActions(nested) => for_each_read(nested, f),
            Action::SetEthSrc(_) | Action::SetEthDst(_) | Action::SetTunnel { .. } => {}
            Action::SetQueue(_) | Action::PopQueue | Action::Exit | Action::Note(_) => {}
            Action::Meter(_) | Action::ClearActions => {}
            Action::WriteMetadata { .. } | Action::GotoTable(_) => {}
        }
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
        None => {}
        Vlan => f(Field::VlanTci),
        Mpls | Arp | Ipv4 | Ipv6 | Ip => {
            f(Field::EthType);
            f(Field::IpProto);
            f(Field::IpFrag);
        }
        Tcp | Udp | Sctp | Icmp4 | Icmp6 | Nd | NdSolicit | NdAdvert => {
            f(Field::EthType);
            f(Field::IpProto);
            f(Field::IpFrag);
            f(Field::Icmpv6Type);
        }
    }
    if matches!(field, Field::VlanTci | Field::VlanVid) {
        f(Field::VlanTci);
    }
}
