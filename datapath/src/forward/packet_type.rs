//! `encap` and `decap`: what a packet begins with (OpenFlow 1.5.1 section 7.2.3.11).
//!
//! A packet that is not an Ethernet frame has an Ethernet header all the same while it is here, with addresses of zeros and the
//! packet's type: headers are found as ever, and putting an Ethernet header in front changes nothing but the
//! key's `packet_type`. Nobody else sees those bytes: rules that look at headers match frames only, unless they name the packet's type
//! (`Classifier::lookup_bare`), no field of the header is there to be read or written, sizes do not count it, and controllers and tunnels get
//! the packet without it. It leaves through tunnels that carry such packets; through other ports it does not.
//!
//! Such packets are made by `decap` and `encap`, come from controllers, and out of tunnels that say what is in them. These go on
//! with a continuation that begins at the first table, so that the way of all others has nothing to ask.

use super::continuation::Continuation;
use super::execute::{Context, Executor};
use super::pipeline::{Outcome, Walk};
use super::program::Overlay;
use super::reshape::Reshape;
use super::set::{eth_type, has};
use super::trace::Observer;
use crate::edge::Pool;
use crate::model::port::{PortKind, PortView};
use crate::model::tunnel::{BARE, Layer};
use crate::model::{DropReason, Rule};
use flow::bare::SPARE;
use ofp::action::PacketType;
use ofp::field::{Field, Prereq};
use ofp::key::{Key, Match, Place, word};
use packet::ethertype;
use std::sync::Arc;

/// The type of Ethernet frames.
const ETHERNET: PacketType = PacketType::ETHERNET;
/// The namespace of ether types.
const ETHER_TYPES: u16 = 1;
/// In `decap`: whatever is behind.
const NEXT: u16 = 0xfffe;
const PLACE: Place = Place::new(word::PACKET_TYPE, 32, 32);

/// How many bytes in front of the packet with this key are none of its own.
pub(super) fn spare(key: &Key) -> u8 {
    match key.get(PLACE) {
        0 => 0,
        _ => SPARE as u8,
    }
}
/// The same of a packet with these fields.
pub(super) fn spare_of(fields: &Match) -> usize {
    match fields.get(PLACE) {
        (0, _) => 0,
        _ => SPARE,
    }
}
/// What tunnels are told of the packet with this key: nothing, if it is a frame.
pub(super) fn bareness(key: &Key) -> Overlay {
    let mut tunnel = Overlay::default();
    if key.get(PLACE) != 0 {
        tunnel.set(BARE, 1, u128::MAX);
    }
    tunnel
}

/// Ways that a worker keeps: of a few types by each of some ports. When there are more, it begins anew.
const ARRIVALS_LEN: usize = 1024;

impl<P: Pool> Executor<P> {
    /// The packet that a tunnel port received last has no Ethernet header; it goes on with these words, if at all.
    #[cold]
    pub(super) fn arrives_bare(
        &mut self,
        cx: Context<'_>,
        to: &PortView,
        words: u32,
        ether_type: u16,
    ) {
        let last = self.pending.last_mut().filter(|item| item.words == words);
        let (Some(item), Some(view)) = (last, cx.snapshot.bridge(to.bridge)) else {
            return;
        };
        if self.arrivals.len() >= ARRIVALS_LEN {
            self.arrivals.clear();
        }
        let fresh = || Arc::new(Continuation::of_bare(view, to.number, ether_type));
        let way = self
            .arrivals
            .entry((to.id, ether_type))
            .or_insert_with(fresh);
        if !way.leads(view, to.number) {
            *way = fresh();
        }
        item.resume = Some(way.clone());
    }
}

impl<O: Observer> Walk<'_, '_, O> {
    /// What the packet begins with.
    pub(super) fn packet_type(&self) -> PacketType {
        self.key.get(PLACE).into()
    }
    /// Whether it begins with an Ethernet header.
    pub(super) fn is_ethernet(&self) -> bool {
        self.key.get(PLACE) == 0
    }
    /// Those of a table's rules that are for such a packet.
    pub(super) fn fitting<'r>(
        &self,
        rules: impl Iterator<Item = &'r Arc<Rule>> + Clone,
    ) -> impl Iterator<Item = &'r Arc<Rule>> + Clone {
        let any = self.is_ethernet();
        rules.filter(move |rule| any || !rule.matching.implies_ethernet())
    }
    pub(super) fn set_packet_type(&mut self, kind: PacketType) {
        self.key.set(PLACE, kind.into(), u128::MAX);
        // For tunnels that carry both.
        let bare = u128::from(kind != ETHERNET);
        self.tunnel.set(BARE, bare, u128::MAX);
    }
    /// The packet's ether type is another one: of what is no frame it is the type.
    pub(super) fn becomes(&mut self, ether_type: u16) {
        if !self.is_ethernet() {
            self.set_packet_type(PacketType::ether_type(ether_type));
        }
    }
    pub(super) fn encap(&mut self, to: PacketType) -> Outcome {
        let is_mpls = to.namespace == ETHER_TYPES && ethertype::is_mpls(to.kind);
        match self.packet_type() {
            ETHERNET if is_mpls => {
                self.set_packet_type(to);
                self.reshape(Reshape::EncapFrame(to.kind))
            }
            from if from.namespace == ETHER_TYPES && is_mpls => self.push_mpls(to.kind),
            from if from != ETHERNET && to == ETHERNET => {
                self.set_packet_type(to);
                Ok(())
            }
            _ => Err(DropReason::PacketType),
        }
    }
    pub(super) fn decap(&mut self, to: Option<PacketType>) -> Outcome {
        let to = to.filter(|to| to.namespace != NEXT);
        match self.packet_type() {
            ETHERNET => {
                let kind = PacketType::ether_type(eth_type(&self.key));
                // Whatever the operand says: the frame's own type is known.
                if kind.kind < ethertype::MIN || has(&self.key, Prereq::Vlan) {
                    return Err(DropReason::PacketType);
                }
                self.change(Field::EthDst, 0, u128::MAX)?;
                self.change(Field::EthSrc, 0, u128::MAX)?;
                self.set_packet_type(kind);
                Ok(())
            }
            from if from.namespace == ETHER_TYPES && ethertype::is_mpls(from.kind) => {
                let is_last = self.key.get(Field::MplsBos.place()) == 1;
                match to {
                    Some(ETHERNET) if is_last => {
                        self.set_packet_type(ETHERNET);
                        self.reshape(Reshape::DecapFrame)
                    }
                    Some(to) if to.namespace == ETHER_TYPES => self.pop_mpls(to.kind),
                    _ => Err(DropReason::PacketType),
                }
            }
            _ => Err(DropReason::PacketType),
        }
    }
    /// A backbone header is an Ethernet header: what has none of those does not get one.
    pub(super) fn push_pbb(&mut self) -> Outcome {
        match self.is_ethernet() {
            true => self.reshape(Reshape::PushPbb),
            false => Ok(()),
        }
    }
    /// Behind a backbone header is a frame, whatever was in front of it.
    pub(super) fn pop_pbb(&mut self) -> Outcome {
        if self.packet_type() == PacketType::ether_type(ethertype::PBB) {
            self.set_packet_type(ETHERNET);
        }
        self.reshape(Reshape::PopPbb)
    }
    /// Whether a port carries the packet.
    pub(super) fn carries(&self, port: &PortView) -> bool {
        let carries_others = |kind: &PortKind| match kind {
            PortKind::Tunnel(tunnel) => tunnel.config.layer != Layer::Ethernet,
            _ => false,
        };
        self.is_ethernet() || carries_others(&port.kind)
    }
}
