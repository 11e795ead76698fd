//! The standard match of OpenFlow 1.1 (section A.2.3, OFPMT_STANDARD): fixed fields, a bit per
//! wildcard, and masks whose bits that are 1 do not matter.
//!
//! ```text
//!  type 16 = 0 | length 16 = 88 | in_port 32 | wildcards 32 | dl_src 48, mask 48 | dl_dst 48, mask 48
//!  dl_vlan 16 | dl_vlan_pcp 8 | 0 8 | dl_type 16 | nw_tos 8 | nw_proto 8 | nw_src 32, mask 32
//!  nw_dst 32, mask 32 | tp_src 16 | tp_dst 16 | mpls_label 32 | mpls_tc 8 | 0 24 | metadata 64, mask 64
//! ```

use super::cursor::{Reader, put_uint};
use super::match10::{exact, network, transport};
use crate::error::OfError;
use crate::field::{Field, Prereq};
use crate::key::{Match, VLAN_PRESENT};
use crate::types::PortNo;
use bytes::{BufMut, BytesMut};

/// `length`.
pub(super) const SIZE: usize = 88;
/// `type`: OFPMT_STANDARD.
pub(super) const STANDARD: u16 = 0;

const IN_PORT: u32 = 1 << 0;
const DL_VLAN: u32 = 1 << 1;
const DL_VLAN_PCP: u32 = 1 << 2;
const DL_TYPE: u32 = 1 << 3;
const NW_TOS: u32 = 1 << 4;
const NW_PROTO: u32 = 1 << 5;
const TP_SRC: u32 = 1 << 6;
const TP_DST: u32 = 1 << 7;
const MPLS_LABEL: u32 = 1 << 8;
const MPLS_TC: u32 = 1 << 9;
/// OFPFW_ALL
const ALL: u32 = 0x3ff;
/// OFPVID_NONE: no tag. OFPVID_ANY: any tag.
const VLAN_NONE: u16 = 0xffff;
const VLAN_ANY: u16 = 0xfffe;

const VID: u128 = 0x0fff;
const PRESENT: u128 = VLAN_PRESENT as u128;
const PCP: u128 = 0xe000;

/// Reads what follows `type` and `length`. Fields whose prerequisite is missing are ignored, as in 1.0.
pub(super) fn get(r: &mut Reader<'_>) -> Result<Match, OfError> {
    let mut m = Match::default();
    let in_port = r.u32()?;
    let wildcards = r.u32()?;
    let given = |bit: u32| wildcards & bit == 0;
    let mut set = |field: Field, value: u128, mask: u128| {
        m.set(field.place(), value, mask & field.full_mask());
    };
    let all = u128::MAX;
    if given(IN_PORT) {
        if !PortNo(in_port).is_known() {
            return Err(OfError::MatchValue);
        }
        set(Field::InPort, in_port.into(), all);
    }
    for field in [Field::EthSrc, Field::EthDst] {
        let (value, mask) = (r.uint(6)?, !r.uint(6)?);
        set(field, value, mask);
    }
    let (vlan, pcp) = (r.u16()?, r.u8()?);
    r.skip(1)?;
    let (ether_type, tos, protocol) = (r.u16()?, r.u8()?, r.u8()?);
    if given(DL_VLAN) {
        let tci = match vlan {
            VLAN_NONE => (0, 0xffff),
            VLAN_ANY => (PRESENT, PRESENT),
            vid if u128::from(vid) > VID => return Err(OfError::MatchValue),
            vid => (u128::from(vid) | PRESENT, VID | PRESENT),
        };
        set(Field::VlanTci, tci.0, tci.1);
        if given(DL_VLAN_PCP) && vlan != VLAN_NONE {
            if pcp > 7 {
                return Err(OfError::MatchValue);
            }
            set(Field::VlanTci, u128::from(pcp) << 13, PCP);
        }
    }
    if given(DL_TYPE) {
        set(Field::EthType, ether_type.into(), all);
    }
    let addresses = [r.uint(4)?, !r.uint(4)?, r.uint(4)?, !r.uint(4)?];
    let ports = [r.u16()?, r.u16()?];
    let (label, tc) = (r.u32()?, r.u8()?);
    r.skip(3)?;
    let (metadata, metadata_mask) = (r.u64()?, !r.u64()?);
    set(Field::Metadata, metadata.into(), metadata_mask.into());

    if let Some((src, dst, proto)) = network(&m) {
        m.set(src.place(), addresses[0], addresses[1] & src.full_mask());
        m.set(dst.place(), addresses[2], addresses[3] & dst.full_mask());
        if given(NW_PROTO) {
            m.set(proto.place(), protocol.into(), proto.full_mask());
        }
        if given(NW_TOS) && proto == Field::IpProto {
            if tos & 3 != 0 {
                return Err(OfError::MatchValue);
            }
            m.set(Field::IpTos.place(), tos.into(), Field::IpTos.full_mask());
        }
    }
    if let Some((src, dst)) = transport(&m).filter(|_| Prereq::Ipv4.holds(&m)) {
        for (bit, field, value) in [(TP_SRC, src, ports[0]), (TP_DST, dst, ports[1])] {
            if given(bit) {
                // ICMP's fields have half the bits of ports.
                exact(&mut m, field, value.into()).map_err(|_| OfError::MatchField)?;
            }
        }
    }
    if Prereq::Mpls.holds(&m) {
        for (bit, field, value) in [
            (MPLS_LABEL, Field::MplsLabel, label),
            (MPLS_TC, Field::MplsTc, tc.into()),
        ] {
            if given(bit) {
                exact(&mut m, field, value.into())?;
            }
        }
    }
    Ok(m)
}

/// Writes a match with `type` and `length`; what this form cannot say is left out.
pub(super) fn put(out: &mut BytesMut, m: &Match) {
    let mut wildcards = ALL;
    let mut take = |bit: u32, field: Option<Field>| {
        let (value, mask) = field.map_or((0, 0), |field| m.get(field.place()));
        let full = field.map_or(0, Field::full_mask);
        if mask == 0 || mask & full != full {
            return 0;
        }
        wildcards &= !bit;
        value & full
    };
    let is = |prereq: Prereq| prereq.holds(m);
    let network = network(m);
    let transport = transport(m).filter(|_| is(Prereq::Ipv4));
    let in_port = take(IN_PORT, Some(Field::InPort));
    let ether_type = take(DL_TYPE, Some(Field::EthType));
    let tos = take(NW_TOS, is(Prereq::Ipv4).then_some(Field::IpTos));
    let protocol = take(NW_PROTO, network.map(|fields| fields.2));
    let tp_src = take(TP_SRC, transport.map(|fields| fields.0));
    let tp_dst = take(TP_DST, transport.map(|fields| fields.1));
    let label = take(MPLS_LABEL, is(Prereq::Mpls).then_some(Field::MplsLabel));
    let tc = take(MPLS_TC, is(Prereq::Mpls).then_some(Field::MplsTc));
    let (vlan, pcp) = put_vlan(m, &mut wildcards);
    let masked = |out: &mut BytesMut, field: Option<Field>, size: usize| {
        let (value, mask) = field.map_or((0, 0), |field| m.get(field.place()));
        put_uint(out, value & mask, size);
        put_uint(out, !mask, size);
    };

    out.put_u16(STANDARD);
    out.put_u16(SIZE as u16);
    out.put_u32(in_port as u32);
    out.put_u32(wildcards);
    masked(out, Some(Field::EthSrc), 6);
    masked(out, Some(Field::EthDst), 6);
    out.put_u16(vlan);
    out.put_u8(pcp);
    out.put_u8(0);
    out.put_u16(ether_type as u16);
    out.put_u8(tos as u8);
    out.put_u8(protocol as u8);
    masked(out, network.map(|fields| fields.0), 4);
    masked(out, network.map(|fields| fields.1), 4);
    out.put_u16(tp_src as u16);
    out.put_u16(tp_dst as u16);
    out.put_u32(label as u32);
    out.put_u8(tc as u8);
    out.put_bytes(0, 3);
    masked(out, Some(Field::Metadata), 8);
}

fn put_vlan(m: &Match, wildcards: &mut u32) -> (u16, u8) {
    let (tag, mask) = m.get(Field::VlanTci.place());
    if mask & PRESENT == 0 {
        return (0, 0);
    }
    *wildcards &= !DL_VLAN;
    if tag & PRESENT == 0 {
        return (VLAN_NONE, 0);
    }
    let vlan = match mask & VID {
        VID => (tag & VID) as u16,
        _ => VLAN_ANY,
    };
    if mask & PCP != PCP {
        return (vlan, 0);
    }
    *wildcards &= !DL_VLAN_PCP;
    (vlan, (tag >> 13) as u8)
}
