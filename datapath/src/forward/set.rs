//! Actions that change fields: on the key, for later lookups, and as steps that change the frame.
//! A field that the packet does not have is left alone, as in Open vSwitch.

use super::pipeline::{Outcome, Walk};
use super::program::{Spot, Step, Write};
use super::trace::Observer;
use crate::model::tlv::TlvMap;
use ofp::action::Action;
use ofp::field::{Field, Prereq, Subfield};
use ofp::key::{FRAG_LATER, Key, Place, VLAN_PRESENT, word};
use ofp::types::PortNo;
use packet::{ethertype, icmpv6, ipproto};

pub(super) fn eth_type(key: &Key) -> u16 {
    key.0[word::ETH_DST] as u16
}
fn vlan_tci(key: &Key) -> u16 {
    key.0[word::ETH_SRC] as u16
}
fn ip_proto(key: &Key) -> u8 {
    (key.0[word::IP] >> 56) as u8
}

/// Whether the packet has what the field requires.
pub fn has(key: &Key, prereq: Prereq) -> bool {
    let is_v4 = eth_type(key) == ethertype::IPV4;
    let is_v6 = eth_type(key) == ethertype::IPV6;
    let transport = |proto: u8| {
        let frag = (key.0[word::IP] >> 32) as u8;
        ip_proto(key) == proto && frag & FRAG_LATER == 0
    };
    let nd_type = |types: &[u8]| {
        let (kind, code) = (
            key.get(Field::Icmpv6Type.place()),
            key.get(Field::Icmpv6Code.place()),
        );
        is_v6
            && transport(ipproto::ICMPV6)
            && code == 0
            && types.iter().any(|t| kind == u128::from(*t))
    };
    match prereq {
        Prereq::None => true,
        Prereq::Ethernet => key.get(Field::PacketType.place()) == 0,
        Prereq::Vlan => vlan_tci(key) & VLAN_PRESENT != 0,
        Prereq::Mpls => ethertype::is_mpls(eth_type(key)),
        Prereq::Pbb => eth_type(key) == ethertype::PBB,
        Prereq::Arp => matches!(eth_type(key), ethertype::ARP | ethertype::RARP),
        Prereq::Ipv4 => is_v4,
        Prereq::Ipv6 => is_v6,
        Prereq::Ip => is_v4 || is_v6,
        Prereq::Tcp => (is_v4 || is_v6) && transport(ipproto::TCP),
        Prereq::Udp => (is_v4 || is_v6) && transport(ipproto::UDP),
        Prereq::Sctp => (is_v4 || is_v6) && transport(ipproto::SCTP),
        Prereq::Icmp4 => is_v4 && transport(ipproto::ICMP),
        Prereq::Icmp6 => is_v6 && transport(ipproto::ICMPV6),
        Prereq::Nd => nd_type(&[icmpv6::NS, icmpv6::NA]),
        Prereq::NdSolicit => nd_type(&[icmpv6::NS]),
        Prereq::NdAdvert => nd_type(&[icmpv6::NA]),
    }
}

/// Where a field is in a frame with this key, and how far its lowest bit is from the spot's.
fn spot(field: Field, is_v6: bool) -> Option<(Spot, u32)> {
    use Field as F;
    Some(match field {
        F::EthSrc => (Spot::EthSrc, 0),
        F::EthDst => (Spot::EthDst, 0),
        F::MplsLabel => (Spot::Mpls, 12),
        F::MplsTc => (Spot::Mpls, 9),
        F::MplsTtl => (Spot::Mpls, 0),
        F::PbbIsid => (Spot::Mpls, 0),
        F::PbbUca => (Spot::Mpls, 27),
        F::IpSrc => (Spot::Ip4Src, 0),
        F::IpDst => (Spot::Ip4Dst, 0),
        F::Ipv6Src => (Spot::Ip6Src, 0),
        F::Ipv6Dst => (Spot::Ip6Dst, 0),
        F::Ipv6Label => (Spot::Ip6Label, 0),
        F::IpTos | F::IpEcn => (if is_v6 { Spot::Ip6Tos } else { Spot::Ip4Tos }, 0),
        F::IpDscp => (if is_v6 { Spot::Ip6Tos } else { Spot::Ip4Tos }, 2),
        F::IpTtl => (if is_v6 { Spot::Ip6Ttl } else { Spot::Ip4Ttl }, 0),
        F::ArpOp => (Spot::ArpOp, 0),
        F::ArpSpa => (Spot::ArpSpa, 0),
        F::ArpTpa => (Spot::ArpTpa, 0),
        F::ArpSha => (Spot::ArpSha, 0),
        F::ArpTha => (Spot::ArpTha, 0),
        F::TcpSrc | F::UdpSrc | F::SctpSrc => (Spot::L4Src, 0),
        F::TcpDst | F::UdpDst | F::SctpDst => (Spot::L4Dst, 0),
        F::IcmpType | F::Icmpv6Type => (Spot::IcmpType, 0),
        F::IcmpCode | F::Icmpv6Code => (Spot::IcmpCode, 0),
        F::NdTarget => (Spot::NdTarget, 0),
        F::NdSll => (Spot::NdSll, 0),
        F::NdTll => (Spot::NdTll, 0),
        _ => return None,
    })
}

impl<O: Observer> Walk<'_, '_, O> {
    /// The bits of a subfield, in the low end.
    pub(super) fn read(&self, source: Subfield) -> u128 {
        let place = self.place(source.field);
        let value = place.map_or(0, |place| self.key.get(place));
        (value & source.mask()) >> source.start
    }
    /// Where a field is in the key; `None`: it is a tunnel option's, and not mapped.
    pub(super) fn place(&self, field: Field) -> Option<Place> {
        let place = field.place();
        match place.is_virtual() {
            false => Some(place),
            true => self.view.config.tlvs.as_ref()?.place(place),
        }
    }
    /// Changes a tunnel option's field; `present`: whether the packet has it then.
    fn change_option(&mut self, field: Field, value: u128, mask: u128, present: bool) -> Outcome {
        if let Some(place) = self.place(field) {
            let presence = TlvMap::presence(field.place());
            for (place, value, mask) in [(place, value, mask), (presence, present.into(), 1)] {
                let mask = mask & place.ones();
                self.key.set(place, value & mask, mask);
                self.tunnel.set(place, value & mask, mask);
            }
        }
        Ok(())
    }

    /// Does an action that changes fields; others have no effect here.
    pub(super) fn set(&mut self, action: &Action) -> Outcome {
        let whole = u128::MAX;
        match action {
            Action::SetField { field, value, mask } => self.set_field(*field, *value, *mask),
            Action::Load { value, destination } => self.load(*destination, *value),
            Action::Move {
                source,
                destination,
            } => {
                if has(&self.key, source.field.row().prereq) {
                    self.load(*destination, self.read(*source))?;
                    self.tell_bits(*destination);
                    Ok(())
                } else {
                    Ok(())
                }
            }
            Action::StackPop(destination) => match self.stack.pop() {
                Some(value) => {
                    self.load(*destination, value)?;
                    self.tell_bits(*destination);
                    Ok(())
                }
                None => {
                    self.observer.warn(format_args!("stack underflow"));
                    Ok(())
                }
            },
            Action::SetVlanVid { vid, push } => self.set_tag(*push, (*vid).into(), 0x0fff),
            Action::SetVlanPcp { pcp, push } => self.set_tag(*push, u128::from(*pcp) << 13, 0xe000),
            Action::StripVlan => self.pop_vlan(),
            Action::PushVlan(tpid) => self.push_vlan(*tpid, 0),
            Action::SetEthSrc(mac) => self.set_field(Field::EthSrc, mac.to_u64().into(), whole),
            Action::SetEthDst(mac) => self.set_field(Field::EthDst, mac.to_u64().into(), whole),
            Action::SetIpv4Src(ip) => self.set_field(Field::IpSrc, ip.to_bits().into(), whole),
            Action::SetIpv4Dst(ip) => self.set_field(Field::IpDst, ip.to_bits().into(), whole),
            Action::SetIpTos(tos) => self.set_field(Field::IpTos, (*tos).into(), 0xfc),
            Action::SetIpEcn(ecn) => self.set_field(Field::IpEcn, (*ecn).into(), whole),
            Action::SetIpTtl(ttl) => self.set_field(Field::IpTtl, (*ttl).into(), whole),
            Action::SetMplsLabel(label) => self.set_field(Field::MplsLabel, (*label).into(), whole),
            Action::SetMplsTc(tc) => self.set_field(Field::MplsTc, (*tc).into(), whole),
            Action::SetMplsTtl(ttl) => self.set_field(Field::MplsTtl, (*ttl).into(), whole),
            Action::SetL4Src(port) => self.set_port(Field::TcpSrc, *port),
            Action::SetL4Dst(port) => self.set_port(Field::TcpDst, *port),
            Action::DeleteField(field) => self.change_option(*field, 0, u128::MAX, false),
            Action::SetTunnel { id, .. } => self.set_field(Field::TunId, (*id).into(), whole),
            _ => Ok(()),
        }
    }
    /// Tells what bits are that an action has computed.
    pub(super) fn tell_bits(&mut self, bits: Subfield) {
        if O::EXPLAINS {
            let value = self.read(bits);
            self.observer.writes(bits, value);
        }
    }
    pub(super) fn load(&mut self, destination: Subfield, value: u128) -> Outcome {
        let mask = destination.mask();
        if destination.field == Field::InPort {
            // OpenFlow 1.0's port: its reserved numbers are wider in the key.
            let old = self.read(Subfield::whole(Field::InPort));
            let new = old & !mask | value << destination.start & mask;
            return self.change(
                Field::InPort,
                PortNo::from_v10(new as u16).0.into(),
                u128::MAX,
            );
        }
        self.set_field(destination.field, value << destination.start & mask, mask)
    }
    /// `mod_tp_src` and `mod_tp_dst`: whichever transport has ports; they are ICMP's type and code
    /// (OpenFlow 1.0 section 5.2.3: `tp_src` and `tp_dst` of ICMP).
    fn set_port(&mut self, field: Field, port: u16) -> Outcome {
        let any = |prereqs: &[Prereq]| prereqs.iter().any(|prereq| has(&self.key, *prereq));
        if any(&[Prereq::Tcp, Prereq::Udp, Prereq::Sctp]) {
            self.change(field, port.into(), u128::MAX)
        } else if any(&[Prereq::Icmp4, Prereq::Icmp6]) {
            let field = match field {
                Field::TcpSrc => Field::IcmpType,
                _ => Field::IcmpCode,
            };
            self.change(field, (port & 0xff).into(), u128::MAX)
        } else {
            Ok(())
        }
    }
    fn set_field(&mut self, field: Field, value: u128, mask: u128) -> Outcome {
        if !has(&self.key, field.row().prereq) {
            return Ok(());
        }
        match field {
            Field::VlanTci | Field::VlanVid => self.set_tci(value, mask & field.place().ones()),
            Field::VlanPcp => self.set_tci(value << 13, (mask & 7) << 13),
            field if field.is_tun_metadata() => self.change_option(field, value, mask, true),
            _ => self.change(field, value, mask),
        }
    }
    /// Changes bits of a field that the packet has.
    pub(super) fn change(&mut self, field: Field, value: u128, mask: u128) -> Outcome {
        let place = field.place();
        let mask = mask & place.ones();
        let value = value & mask;
        self.key.set(place, value, mask);
        self.tunnel.set(place, value, mask);
        match spot(field, eth_type(&self.key) == ethertype::IPV6) {
            None => Ok(()),
            Some((spot, above)) => {
                let shift = spot.row().shift + above;
                self.push(Step::Write(Write {
                    spot,
                    protocol: ip_proto(&self.key),
                    value: value << shift,
                    mask: mask << shift,
                }))
            }
        }
    }

    /// OpenFlow 1.0's VLAN actions: a tag is added, if `push`, where there is none.
    fn set_tag(&mut self, push: bool, value: u128, mask: u128) -> Outcome {
        if push || has(&self.key, Prereq::Vlan) {
            let present = u128::from(VLAN_PRESENT);
            self.set_tci(value | present, mask | present)
        } else {
            Ok(())
        }
    }
    /// Sets bits of the outer tag, of which one says that there is a tag: it comes and goes with that.
    fn set_tci(&mut self, value: u128, mask: u128) -> Outcome {
        let (value, mask) = (value as u16, mask as u16);
        let old = vlan_tci(&self.key);
        let new = old & !mask | value & mask;
        match (old & VLAN_PRESENT != 0, new & VLAN_PRESENT != 0) {
            (false, false) => Ok(()),
            (false, true) => self.push_vlan(ethertype::VLAN, new & !VLAN_PRESENT),
            (true, false) => self.pop_vlan(),
            (true, true) => {
                self.key.set(Field::VlanTci.place(), new.into(), u128::MAX);
                // On the wire that bit is the drop eligible indicator, and stays.
                let mask = u128::from(mask & !VLAN_PRESENT);
                self.push(Step::Write(Write {
                    spot: Spot::VlanTci,
                    protocol: 0,
                    value: u128::from(value) & mask,
                    mask,
                }))
            }
        }
    }
    fn push_vlan(&mut self, tpid: u16, tci: u16) -> Outcome {
        if !self.is_ethernet() {
            return Ok(());
        }
        let inner = &mut self.key.0[word::VLAN_INNER];
        let (bpdu, outer_tpid) = (*inner & 0xffff << 32, *inner >> 16 & 0xffff);
        let old = u64::from(vlan_tci(&self.key));
        self.key.0[word::VLAN_INNER] = old << 48 | bpdu | u64::from(tpid) << 16 | outer_tpid;
        let tagged = tci | VLAN_PRESENT;
        self.key
            .set(Field::VlanTci.place(), tagged.into(), u128::MAX);
        self.push(Step::PushVlan { tpid, tci })
    }
    fn pop_vlan(&mut self) -> Outcome {
        if !has(&self.key, Prereq::Vlan) {
            return Ok(());
        }
        let inner = self.key.0[word::VLAN_INNER];
        self.key
            .set(Field::VlanTci.place(), (inner >> 48).into(), u128::MAX);
        self.key.0[word::VLAN_INNER] = inner & 0xffff << 32 | (inner & 0xffff) << 16;
        self.push(Step::PopVlan)
    }

    /// Whether the packet may go on: it is not IP, or its TTL was above 1 and is one less now.
    pub(super) fn decrement_ttl(&mut self) -> Result<bool, crate::model::DropReason> {
        if !has(&self.key, Prereq::Ip) {
            return Ok(true);
        }
        let ttl = self.key.get(Field::IpTtl.place());
        if ttl <= 1 {
            return Ok(false);
        }
        self.change(Field::IpTtl, ttl - 1, u128::MAX)?;
        Ok(true)
    }
}
