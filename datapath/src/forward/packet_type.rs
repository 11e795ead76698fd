//! `encap` and `decap`: what a packet begins with (OpenFlow 1.5.1 section 7.2.3.11).
//!
//! A packet that is not an Ethernet frame has an Ethernet header all the same while it is here, with addresses of zeros and the
//! packet's type; the key's `packet_type` says that it is none. So headers are found as ever, and putting
//! an Ethernet header in front changes nothing but that word. Such packets leave through tunnels that carry them, without
//! it; through other ports they do not.

use super::pipeline::{Outcome, Walk};
use super::reshape::Reshape;
use super::set::{eth_type, has};
use super::trace::Observer;
use crate::model::DropReason;
use crate::model::port::{PortKind, PortView};
use crate::model::tunnel::{BARE, Layer};
use ofp::action::PacketType;
use ofp::field::{Field, Prereq};
use ofp::key::{Place, word};
use packet::ethertype;

/// The type of Ethernet frames.
const ETHERNET: PacketType = PacketType {
    namespace: 0,
    kind: 0,
};
/// The namespace of ether types.
const ETHER_TYPES: u16 = 1;
/// In `decap`: whatever is behind.
const NEXT: u16 = 0xfffe;
const PLACE: Place = Place::new(word::PACKET_TYPE, 32, 32);

impl<O: Observer> Walk<'_, '_, O> {
    /// What the packet begins with.
    fn packet_type(&self) -> PacketType {
        let value = self.key.get(PLACE) as u32;
        PacketType {
            namespace: (value >> 16) as u16,
            kind: value as u16,
        }
    }
    /// Whether it begins with an Ethernet header.
    pub(super) fn is_ethernet(&self) -> bool {
        self.key.get(PLACE) == 0
    }
    fn set_packet_type(&mut self, kind: PacketType) {
        let value = u128::from(kind.namespace) << 16 | u128::from(kind.kind);
        self.key.set(PLACE, value, u128::MAX);
        // For tunnels that carry both.
        let bare = u128::from(kind != ETHERNET);
        self.tunnel.set(BARE, bare, u128::MAX);
    }
    pub(super) fn encap(&mut self, to: PacketType) -> Outcome {
        let is_mpls = to.namespace == ETHER_TYPES && ethertype::is_mpls(to.kind);
        match self.packet_type() {
            ETHERNET if is_mpls => {
                self.set_packet_type(to);
                self.reshape(Reshape::EncapFrame(to.kind))
            }
            from if from.namespace == ETHER_TYPES && is_mpls => {
                self.push_mpls(to.kind)?;
                self.set_packet_type(to);
                Ok(())
            }
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
                let kind = PacketType {
                    namespace: ETHER_TYPES,
                    kind: eth_type(&self.key),
                };
                let is_other = to.is_some_and(|to| to != kind);
                if is_other || kind.kind < ethertype::MIN || has(&self.key, Prereq::Vlan) {
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
                    Some(to) if to.namespace == ETHER_TYPES => {
                        self.set_packet_type(to);
                        self.reshape(Reshape::PopMpls(to.kind))
                    }
                    _ => Err(DropReason::PacketType),
                }
            }
            _ => Err(DropReason::PacketType),
        }
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
