//! Packets between switch and controller: packet-in in three forms, packet-out.

use super::Context;
use super::action::{get_actions, packet_in_reason};
use super::cursor::{Layout, Reader, Tlv, patch_u16, put_property, put_tlv};
use super::oxm::{self, Flavor};
use super::port::{get_port, put_port};
use super::put_action::{self, put_actions};
use crate::action::PacketInReason;
use crate::error::OfError;
use crate::field::Field;
use crate::key::{Match, WORDS, word};
use crate::message::{Body, PacketIn, PacketInFormat, PacketOut};
use crate::types::{Cookie, PortNo, TableId, Version};
use bytes::{BufMut, BytesMut};

/// Packets are never buffered.
const NO_BUFFER: u32 = u32::MAX;
/// Bytes of a packet in one message; leaves room for metadata.
const MAX_DATA: usize = 62_000;

/// Properties of NXT_PACKET_IN2.
mod property {
    pub(super) const PACKET: u16 = 0;
    pub(super) const FULL_LEN: u16 = 1;
    pub(super) const BUFFER_ID: u16 = 2;
    pub(super) const TABLE_ID: u16 = 3;
    pub(super) const COOKIE: u16 = 4;
    pub(super) const REASON: u16 = 5;
    pub(super) const METADATA: u16 = 6;
    pub(super) const USERDATA: u16 = 7;
    pub(super) const CONTINUATION: u16 = 8;
}

fn get_reason(r: &mut Reader<'_>) -> Result<PacketInReason, OfError> {
    packet_in_reason(r.u8()?).ok_or(OfError::BadType)
}

fn set_in_port(p: &mut PacketIn, port: PortNo) {
    let place = Field::InPort.place();
    p.fields.set(place, u128::from(port.0), u128::MAX);
}

fn in_port(fields: &Match) -> PortNo {
    match fields.get(Field::InPort.place()) {
        (_, 0) => PortNo::ANY,
        (port, _) => PortNo(port as u32),
    }
}

pub(super) fn packet_in(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    r.skip(4)?;
    let mut p = PacketIn {
        table: TableId::ALL,
        cookie: Cookie(u64::MAX),
        ..PacketIn::default()
    };
    match c.version {
        Version::V10 => {
            p.total_len = u32::from(r.u16()?);
            let port = PortNo::from_v10(r.u16()?);
            set_in_port(&mut p, port);
            p.reason = get_reason(r)?;
            r.skip(1)?;
        }
        Version::V11 => {
            // The ingress port, and the one that it is part of.
            let (port, _) = (PortNo(r.u32()?), r.u32()?);
            set_in_port(&mut p, port);
            p.total_len = u32::from(r.u16()?);
            p.reason = get_reason(r)?;
            p.table = TableId(r.u8()?);
        }
        _ => {
            p.total_len = u32::from(r.u16()?);
            p.reason = get_reason(r)?;
            p.table = TableId(r.u8()?);
            if c.version >= Version::V13 {
                p.cookie = Cookie(r.u64()?);
            }
            p.fields = oxm::get_match_with(r, true)?;
            r.skip(2)?;
        }
    }
    p.data = c.share(r);
    Ok(Body::PacketIn(Box::new(p)))
}

pub(super) fn nx_packet_in(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    r.skip(4)?;
    let mut p = PacketIn {
        format: PacketInFormat::Nxt,
        total_len: u32::from(r.u16()?),
        reason: get_reason(r)?,
        table: TableId(r.u8()?),
        cookie: Cookie(r.u64()?),
        ..PacketIn::default()
    };
    let match_size = usize::from(r.u16()?);
    r.skip(6)?;
    p.fields = oxm::get_nxm(r, match_size, true)?.matching;
    r.skip(2)?;
    p.data = c.share(r);
    Ok(Body::PacketIn(Box::new(p)))
}

pub(super) fn nx_packet_in2(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    Ok(Body::PacketIn(Box::new(get_properties(r, c)?)))
}

/// NXT_RESUME has the form of NXT_PACKET_IN2.
pub(super) fn resume(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    Ok(Body::Resume(Box::new(get_properties(r, c)?)))
}

fn get_properties(r: &mut Reader<'_>, c: &Context<'_>) -> Result<PacketIn, OfError> {
    let mut p = PacketIn {
        format: PacketInFormat::Nxt2,
        table: TableId::ALL,
        cookie: Cookie(u64::MAX),
        ..PacketIn::default()
    };
    let mut total_len = None;
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::BadLength) {
        let element = element?;
        let mut r = Reader::new(element.body, OfError::BadLength);
        match element.kind {
            property::PACKET => p.data = c.share(&mut r),
            property::FULL_LEN => total_len = Some(r.u32()?),
            property::TABLE_ID => p.table = TableId(r.u8()?),
            property::COOKIE => {
                r.skip(4)?;
                p.cookie = Cookie(r.u64()?);
            }
            property::REASON => p.reason = get_reason(&mut r)?,
            property::METADATA => p.fields = oxm::get_entries(r.rest(), true)?.matching,
            property::USERDATA => p.userdata = r.rest().to_vec(),
            property::BUFFER_ID => {}
            property::CONTINUATION => {
                r.skip(4)?;
                p.continuation = c.share(&mut r);
            }
            _ => return Err(OfError::PropertyType),
        }
    }
    p.total_len = total_len.unwrap_or(p.data.len() as u32);
    Ok(p)
}

pub(super) fn put_packet_in(out: &mut BytesMut, version: Version, p: &PacketIn) {
    match p.format {
        PacketInFormat::Nxt => put_nx_packet_in(out, p),
        PacketInFormat::Nxt2 => put_nx_packet_in2(out, version, p),
        PacketInFormat::Standard => put_standard(out, version, p),
    }
}

fn data(p: &PacketIn) -> &[u8] {
    &p.data[..p.data.len().min(MAX_DATA)]
}

fn total_len(p: &PacketIn) -> u16 {
    u16::try_from(p.total_len).unwrap_or(u16::MAX)
}

/// Before OpenFlow 1.4 every list of actions is one reason.
fn old_reason(p: &PacketIn) -> u8 {
    match p.reason {
        PacketInReason::ActionSet | PacketInReason::Group | PacketInReason::PacketOut => {
            PacketInReason::Action as u8
        }
        reason => reason as u8,
    }
}

fn put_standard(out: &mut BytesMut, version: Version, p: &PacketIn) {
    out.put_u32(NO_BUFFER);
    let reason = match version {
        v if v < Version::V14 => old_reason(p),
        _ => p.reason as u8,
    };
    match version {
        Version::V10 => {
            out.put_u16(total_len(p));
            put_port(out, version, in_port(&p.fields));
            out.put_u8(reason);
            out.put_u8(0);
        }
        Version::V11 => {
            let port = in_port(&p.fields);
            put_port(out, version, port);
            put_port(out, version, port);
            out.put_u16(total_len(p));
            out.put_u8(reason);
            out.put_u8(p.table.0);
        }
        _ => {
            out.put_u16(total_len(p));
            out.put_u8(reason);
            out.put_u8(p.table.0);
            if version >= Version::V13 {
                out.put_u64(p.cookie.0);
            }
            oxm::put_match(out, &p.fields, version);
            out.put_u16(0);
        }
    }
    out.put_slice(data(p));
}

fn put_nx_packet_in(out: &mut BytesMut, p: &PacketIn) {
    out.put_u32(NO_BUFFER);
    out.put_u16(total_len(p));
    out.put_u8(old_reason(p));
    out.put_u8(p.table.0);
    out.put_u64(p.cookie.0);
    let size_at = out.len();
    out.put_u64(0);
    oxm::put_nxm(out, size_at, &p.fields, Cookie(0), 0);
    out.put_u16(0);
    out.put_slice(data(p));
}

pub(super) fn put_nx_packet_in2(out: &mut BytesMut, _: Version, p: &PacketIn) {
    let rest = properties_behind_packet(p);
    // Headers, the property's own, its padding, and the whole length.
    const AROUND: usize = 16 + 4 + 7 + 8;
    let room = usize::from(u16::MAX).saturating_sub(AROUND + rest.len());
    let data = &p.data[..p.data.len().min(room)];
    put_tlv(out, Layout::Padded, property::PACKET, |o| o.put_slice(data));
    if p.total_len as usize != data.len() {
        put_property(out, property::FULL_LEN, &p.total_len.to_be_bytes());
    }
    out.put_slice(&rest);
}

/// What stands behind the packet and its length, all of which has to be said.
fn properties_behind_packet(p: &PacketIn) -> BytesMut {
    let mut out = BytesMut::new();
    if p.table != TableId::ALL {
        put_property(&mut out, property::TABLE_ID, &[p.table.0]);
    }
    if p.cookie.0 != u64::MAX {
        put_property(&mut out, property::COOKIE, &p.cookie.0.to_be_bytes());
    }
    put_property(&mut out, property::REASON, &[p.reason as u8]);
    put_tlv(&mut out, Layout::Padded, property::METADATA, |o| {
        oxm::put_entries(o, &p.fields, Flavor::Oxm(Version::V15));
    });
    if !p.userdata.is_empty() {
        put_tlv(&mut out, Layout::Padded, property::USERDATA, |o| {
            o.put_slice(&p.userdata)
        });
    }
    if !p.continuation.is_empty() {
        put_tlv(&mut out, Layout::Padded, property::CONTINUATION, |o| {
            o.put_u32(0);
            o.put_slice(&p.continuation);
        });
    }
    out
}

pub(super) fn packet_out(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut p = PacketOut {
        buffer_id: r.u32()?,
        ..PacketOut::default()
    };
    let actions_size;
    if c.version >= Version::V15 {
        actions_size = usize::from(r.u16()?);
        r.skip(2)?;
        p.fields = oxm::get_match(r)?;
        p.in_port = in_port(&p.fields);
        p.fields.unset(Field::InPort.place());
        only_pipeline(&p.fields)?;
    } else {
        p.in_port = get_port(r, c.version)?;
        actions_size = usize::from(r.u16()?);
        r.skip(if c.version == Version::V10 { 0 } else { 6 })?;
    }
    p.actions = get_actions(r.bytes(actions_size)?, c.actions())?;
    p.data = c.share(r);
    Ok(Body::PacketOut(Box::new(p)))
}

/// OpenFlow 1.5.1 section 7.3.6: the match holds pipeline fields only, which come before the headers.
fn only_pipeline(fields: &Match) -> Result<(), OfError> {
    let header = |index: u8| (word::ETH_DST..WORDS).contains(&usize::from(index));
    if fields.words().iter().any(|word| header(word.index)) {
        return Err(OfError::PipelineFieldsOnly);
    }
    Ok(())
}

pub(super) fn put_packet_out(out: &mut BytesMut, version: Version, p: &PacketOut) {
    out.put_u32(p.buffer_id);
    let size_at;
    if version >= Version::V15 {
        size_at = out.len();
        out.put_u32(0);
        let mut fields = p.fields.clone();
        let place = Field::InPort.place();
        fields.set(place, u128::from(p.in_port.0), u128::MAX);
        oxm::put_match(out, &fields, version);
    } else {
        put_port(out, version, p.in_port);
        size_at = out.len();
        out.put_u16(0);
        out.put_bytes(0, if version == Version::V10 { 0 } else { 6 });
    }
    let start = out.len();
    let context = put_action::Context::new(version, &Match::default());
    put_actions(out, &p.actions, context);
    let size = out.len() - start;
    patch_u16(out, size_at, size);
    out.put_slice(&p.data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Dialect, Message};
    use crate::types::Xid;

    #[test]
    fn a_long_packet_with_userdata_is_one_message() {
        let packet_in = PacketIn {
            format: PacketInFormat::Nxt2,
            total_len: 65_000,
            data: vec![7; 65_000].into(),
            userdata: vec![1; 20_000],
            continuation: vec![2; 1000].into(),
            ..PacketIn::default()
        };
        let dialect = Dialect::new(Version::V13);
        let body = Body::PacketIn(Box::new(packet_in.clone()));
        let bytes = Message { xid: Xid(1), body }.to_bytes(&dialect);
        assert!(bytes.len() <= usize::from(u16::MAX), "{}", bytes.len());
        let Ok(Body::PacketIn(read)) = Message::decode(&bytes, &dialect).map(|m| m.body) else {
            panic!("not read");
        };
        assert_eq!(read.total_len, 65_000);
        assert_eq!(
            (&read.userdata, &read.continuation),
            (&packet_in.userdata, &packet_in.continuation)
        );
        assert!(read.data.len() > 40_000 && read.data.iter().all(|byte| *byte == 7));
    }
}
