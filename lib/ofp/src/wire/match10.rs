//! `struct ofp_match` of OpenFlow 1.0 (section 5.2.3): twelve fields, a bit per wildcard, and two
//! prefix lengths.

use super::cursor::Reader;
use crate::error::OfError;
use crate::field::{Field, Prereq};
use crate::key::{Match, VLAN_PRESENT};
use crate::types::PortNo;
use bytes::{BufMut, BytesMut};

const IN_PORT: u32 = 1 << 0;
const DL_VLAN: u32 = 1 << 1;
const DL_SRC: u32 = 1 << 2;
const DL_DST: u32 = 1 << 3;
const DL_TYPE: u32 = 1 << 4;
const NW_PROTO: u32 = 1 << 5;
const TP_SRC: u32 = 1 << 6;
const TP_DST: u32 = 1 << 7;
const NW_SRC_SHIFT: u32 = 8;
const NW_DST_SHIFT: u32 = 14;
const DL_VLAN_PCP: u32 = 1 << 20;
const NW_TOS: u32 = 1 << 21;
/// `OFPFW_ALL`, prefix lengths as Open vSwitch writes them.
pub(crate) const ALL: u32 = 0x3820ff;
/// `OFP_VLAN_NONE`: only frames without a tag.
const VLAN_NONE: u16 = 0xffff;

/// The bits of the VLAN tag that a match looks at.
const VID: u128 = 0x0fff;
const PRESENT: u128 = VLAN_PRESENT as u128;
const PCP: u128 = 0xe000;

/// Under which fields the transport's ports go, by what else is matched.
pub(super) fn transport(matching: &Match) -> Option<(Field, Field)> {
    [
        (Prereq::Tcp, Field::TcpSrc, Field::TcpDst),
        (Prereq::Udp, Field::UdpSrc, Field::UdpDst),
        (Prereq::Sctp, Field::SctpSrc, Field::SctpDst),
        (Prereq::Icmp4, Field::IcmpType, Field::IcmpCode),
        (Prereq::Icmp6, Field::Icmpv6Type, Field::Icmpv6Code),
    ]
    .into_iter()
    .find(|(prereq, ..)| prereq.holds(matching))
    .map(|(_, source, destination)| (source, destination))
}

/// The network layer's fields: addresses and protocol, by the Ethernet type.
pub(super) fn network(matching: &Match) -> Option<(Field, Field, Field)> {
    if Prereq::Arp.holds(matching) {
        Some((Field::ArpSpa, Field::ArpTpa, Field::ArpOp))
    } else if Prereq::Ipv4.holds(matching) {
        Some((Field::IpSrc, Field::IpDst, Field::IpProto))
    } else {
        None
    }
}

/// Says a whole field; a number that has no room in it is an error.
pub(super) fn exact(matching: &mut Match, field: Field, value: u128) -> Result<(), OfError> {
    if value & !field.full_mask() != 0 {
        return Err(OfError::MatchValue);
    }
    matching.set(field.place(), value, field.full_mask());
    Ok(())
}

/// Reads a match. Fields whose prerequisite is missing are ignored, as the standard says.
pub(crate) fn get(r: &mut Reader<'_>) -> Result<Match, OfError> {
    let mut m = Match::default();
    let wildcards = r.u32()?;
    let given = |bit: u32| wildcards & bit == 0;
    let in_port = r.u16()?;
    let (source, destination) = (r.mac()?, r.mac()?);
    let (vlan, pcp) = (r.u16()?, r.u8()?);
    r.skip(1)?;
    let eth_type = r.u16()?;
    let (tos, protocol) = (r.u8()?, r.u8()?);
    r.skip(2)?;
    let (nw_src, nw_dst) = (r.u32()?, r.u32()?);
    let (tp_src, tp_dst) = (r.u16()?, r.u16()?);

    if given(IN_PORT) {
        exact(
            &mut m,
            Field::InPort,
            u128::from(PortNo::from_v10(in_port).0),
        )?;
    }
    if given(DL_SRC) {
        exact(&mut m, Field::EthSrc, u128::from(source.to_u64()))?;
    }
    if given(DL_DST) {
        exact(&mut m, Field::EthDst, u128::from(destination.to_u64()))?;
    }
    let mut tci_mask = 0;
    if given(DL_VLAN) && vlan == VLAN_NONE {
        exact(&mut m, Field::VlanTci, 0)?;
    } else {
        let (vlan, pcp) = (u128::from(vlan), u128::from(pcp));
        if given(DL_VLAN) && vlan > VID || given(DL_VLAN_PCP) && pcp > PCP >> 13 {
            return Err(OfError::MatchValue);
        }
        let tag = vlan & VID | pcp << 13 & PCP | PRESENT;
        tci_mask |= if given(DL_VLAN) { VID | PRESENT } else { 0 };
        tci_mask |= if given(DL_VLAN_PCP) { PCP | PRESENT } else { 0 };
        m.set(Field::VlanTci.place(), tag, tci_mask);
    }
    if given(DL_TYPE) {
        exact(&mut m, Field::EthType, u128::from(eth_type))?;
    }
    // OpenFlow 1.0 knows nothing of IPv6, but Open vSwitch lets its class, protocol and ports be matched.
    let ip = Prereq::Ipv4.holds(&m) || Prereq::Ipv6.holds(&m);
    if given(NW_TOS) && ip {
        // The lower two bits are not of the field; controllers send them as they come in packets.
        exact(&mut m, Field::IpTos, u128::from(tos) & 0xfc)?;
    }
    let Some((src, dst, proto)) = network(&m) else {
        if ip && given(NW_PROTO) {
            exact(&mut m, Field::IpProto, u128::from(protocol))?;
            ports(&mut m, wildcards, tp_src, tp_dst)?;
        }
        return Ok(m);
    };
    // "... the number of bits to wildcard from the least significant ... 32 and higher wildcard the entire field".
    let prefix = |shift: u32| {
        let bits = wildcards >> shift & 0x3f;
        u128::from(u32::MAX.checked_shl(bits).unwrap_or(0))
    };
    m.set(src.place(), u128::from(nw_src), prefix(NW_SRC_SHIFT));
    m.set(dst.place(), u128::from(nw_dst), prefix(NW_DST_SHIFT));
    if given(NW_PROTO) {
        exact(&mut m, proto, u128::from(protocol))?;
    }
    ports(&mut m, wildcards, tp_src, tp_dst)?;
    Ok(m)
}

fn ports(m: &mut Match, wildcards: u32, tp_src: u16, tp_dst: u16) -> Result<(), OfError> {
    if let Some((source, destination)) = transport(m) {
        for (bit, field, value) in [(TP_SRC, source, tp_src), (TP_DST, destination, tp_dst)] {
            if wildcards & bit == 0 {
                exact(m, field, u128::from(value))?;
            }
        }
    }
    Ok(())
}

/// Writes a match; what this form cannot say is left out.
pub(crate) fn put(out: &mut BytesMut, m: &Match) {
    let mut wildcards = ALL;
    let mut take = |bit: u32, field: Field| {
        let (value, mask) = m.get(field.place());
        let given = mask & field.full_mask() == field.full_mask();
        wildcards &= if given { !bit } else { u32::MAX };
        if given { value } else { 0 }
    };
    let in_port = PortNo(take(IN_PORT, Field::InPort) as u32);
    let source = take(DL_SRC, Field::EthSrc);
    let destination = take(DL_DST, Field::EthDst);
    let eth_type = take(DL_TYPE, Field::EthType);
    let (mut tos, mut protocol, mut tp) = (0, 0, (0, 0));
    if network(m).is_some() || Prereq::Ipv6.holds(m) {
        protocol = take(NW_PROTO, Field::IpProto);
    }
    if Prereq::Ipv4.holds(m) || Prereq::Ipv6.holds(m) {
        tos = take(NW_TOS, Field::IpTos);
    }
    if let Some((source, destination)) = transport(m) {
        tp = (take(TP_SRC, source), take(TP_DST, destination));
    }
    let mut address = |field: Field, shift: u32| {
        let (value, mask) = m.get(field.place());
        let bits = (mask as u32).trailing_zeros();
        wildcards = wildcards & !(0x3f << shift) | bits << shift;
        value as u32
    };
    let nw = match network(m) {
        Some((src, dst, _)) => (address(src, NW_SRC_SHIFT), address(dst, NW_DST_SHIFT)),
        None => (0, 0),
    };
    let (vlan, pcp) = put_vlan(m, &mut wildcards);

    out.put_u32(wildcards);
    out.put_u16(in_port.to_v10().unwrap_or(0));
    out.put_slice(&source.to_be_bytes()[10..]);
    out.put_slice(&destination.to_be_bytes()[10..]);
    out.put_u16(vlan);
    out.put_u8(pcp);
    out.put_u8(0);
    out.put_u16(eth_type as u16);
    out.put_u8(tos as u8 & 0xfc);
    out.put_u8(protocol as u8);
    out.put_u16(0);
    out.put_u32(nw.0);
    out.put_u32(nw.1);
    out.put_u16(tp.0 as u16);
    out.put_u16(tp.1 as u16);
}

fn put_vlan(m: &Match, wildcards: &mut u32) -> (u16, u8) {
    let (tag, mask) = m.get(Field::VlanTci.place());
    if mask & PRESENT != 0 && tag & PRESENT == 0 {
        *wildcards &= !(DL_VLAN | DL_VLAN_PCP);
        return (VLAN_NONE, 0);
    }
    let (mut vlan, mut pcp) = (0, 0);
    if mask & (VID | PRESENT) == VID | PRESENT {
        *wildcards &= !DL_VLAN;
        vlan = (tag & VID) as u16;
    }
    if mask & (PCP | PRESENT) == PCP | PRESENT {
        *wildcards &= !DL_VLAN_PCP;
        pcp = (tag >> 13) as u8;
    }
    (vlan, pcp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_open_vswitch_lets_be_matched_of_ipv6() {
        let mut m = Match::default();
        for (field, value) in [
            (Field::EthType, 0x86dd),
            (Field::IpTos, 32),
            (Field::IpProto, 17),
            (Field::UdpDst, 53),
        ] {
            exact(&mut m, field, value).expect("fits");
        }
        let mut bytes = BytesMut::new();
        put(&mut bytes, &m);
        let mut reader = Reader::new(&bytes, OfError::MatchLength);
        assert_eq!(get(&mut reader), Ok(m));
    }
}
