//! Actions that add, remove and change headers on the wire: MPLS, PBB, TTL copies, encap, decap.
//! Read and written side by side.

use super::action::{self as row, Context, Row};
use super::cursor::{Layout, Reader, Tlv};
use super::put_action::{put, put_oxm};
use crate::action::{Action, PacketType};
use crate::error::OfError;
use crate::field::Field;
use crate::types::Version;
use bytes::{BufMut, BytesMut};

/// Ether types of MPLS (RFC 5332).
const MPLS: [u16; 2] = [0x8847, 0x8848];

pub(super) fn push_mpls(ether_type: u16) -> Result<Action, OfError> {
    match MPLS.contains(&ether_type) {
        true => Ok(Action::PushMpls(ether_type)),
        false => Err(OfError::ActionArgument),
    }
}

pub(super) fn set_mpls_label(label: u32) -> Result<Action, OfError> {
    match label {
        0..=0xf_ffff => Ok(Action::SetMplsLabel(label)),
        _ => Err(OfError::ActionArgument),
    }
}

pub(super) fn set_mpls_tc(tc: u8) -> Result<Action, OfError> {
    match tc {
        0..=7 => Ok(Action::SetMplsTc(tc)),
        _ => Err(OfError::ActionArgument),
    }
}

pub(super) fn push_pbb(ether_type: u16) -> Result<Action, OfError> {
    match ether_type {
        packet::ethertype::PBB => Ok(Action::PushPbb(ether_type)),
        _ => Err(OfError::ActionArgument),
    }
}

/// Zeros 16 in front of 32 bits: Nicira's actions keep these at a multiple of 4.
pub(super) fn aligned_u32(r: &mut Reader<'_>) -> Result<u32, OfError> {
    r.skip(2)?;
    r.u32()
}

/// `hdr_size` 16, `new_pkt_type` 32, properties, of which we know none.
pub(super) fn encap(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let _hdr_size = r.u16()?;
    let kind = packet_type(r)?;
    if let Some(property) = Tlv::new(r.rest(), Layout::Padded, OfError::ActionLength).next() {
        property?;
        return Err(OfError::ActionArgument);
    }
    match ENCAPS.contains(&kind) {
        true => Ok(Action::Encap(kind)),
        false => Err(OfError::ActionArgument),
    }
}

/// What can be put in front: Ethernet and MPLS.
pub(crate) const ENCAPS: [PacketType; 3] = [
    PacketType::ETHERNET,
    PacketType::ether_type(MPLS[0]),
    PacketType::ether_type(MPLS[1]),
];

fn packet_type(r: &mut Reader<'_>) -> Result<PacketType, OfError> {
    Ok(PacketType {
        namespace: r.u16()?,
        kind: r.u16()?,
    })
}

/// "Whatever is behind" (OpenFlow 1.5.1 section 7.2.3.11: OFPHTN_ONF, OFPHTO_USE_NEXT_PROTO).
const NEXT_PROTO: PacketType = PacketType {
    namespace: 0,
    kind: 0xfffe,
};

/// Zero 16, `new_pkt_type` 32.
pub(super) fn decap(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    r.skip(2)?;
    let kind = packet_type(r)?;
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::Decap((kind != NEXT_PROTO).then_some(kind)))
}

/// Writes one of these actions, nothing for others.
pub(super) fn put_header(out: &mut BytesMut, action: &Action, version: Version) {
    use Version::{V10, V11, V13};
    let v10 = version == V10;
    let mut number = |rows: [&Row; 2], number: u32, size: usize| {
        put(out, rows[usize::from(!v10)], |o| {
            if v10 && size == 4 {
                o.put_u16(0);
            }
            o.put_uint(u64::from(number), size);
        });
    };
    match *action {
        Action::PushMpls(kind) => number([&row::NX_PUSH_MPLS, &row::PUSH_MPLS], kind.into(), 2),
        Action::PopMpls(kind) => number([&row::NX_POP_MPLS, &row::POP_MPLS], kind.into(), 2),
        Action::SetMplsLabel(label) if version <= V11 => {
            number([&row::NX_SET_MPLS_LABEL, &row::SET_MPLS_LABEL], label, 4);
        }
        Action::SetMplsTc(tc) if version <= V11 => {
            number([&row::NX_SET_MPLS_TC, &row::SET_MPLS_TC], tc.into(), 1);
        }
        Action::SetMplsLabel(label) => put_oxm(out, Field::MplsLabel, label.into(), version),
        Action::SetMplsTc(tc) => put_oxm(out, Field::MplsTc, tc.into(), version),
        Action::SetMplsTtl(ttl) => {
            number([&row::NX_SET_MPLS_TTL, &row::SET_MPLS_TTL], ttl.into(), 1);
        }
        Action::DecMplsTtl => number([&row::NX_DEC_MPLS_TTL, &row::DEC_MPLS_TTL], 0, 1),
        // OpenFlow 1.0 has neither; PBB came with 1.3.
        Action::CopyTtlOut if !v10 => put(out, &row::COPY_TTL_OUT, |o| o.put_u32(0)),
        Action::CopyTtlIn if !v10 => put(out, &row::COPY_TTL_IN, |o| o.put_u32(0)),
        Action::PushPbb(kind) if version >= V13 => put(out, &row::PUSH_PBB, |o| o.put_u16(kind)),
        Action::PopPbb if version >= V13 => put(out, &row::POP_PBB, |o| o.put_u32(0)),
        Action::CopyTtlOut | Action::CopyTtlIn | Action::PushPbb(_) | Action::PopPbb => {}
        Action::Encap(kind) => put_packet_type(out, &row::ENCAP, kind),
        Action::Decap(kind) => put_packet_type(out, &row::DECAP, kind.unwrap_or(NEXT_PROTO)),
        _ => {}
    }
}

fn put_packet_type(out: &mut BytesMut, row: &Row, kind: PacketType) {
    put(out, row, |o| {
        o.put_u16(0);
        o.put_u16(kind.namespace);
        o.put_u16(kind.kind);
    });
}
