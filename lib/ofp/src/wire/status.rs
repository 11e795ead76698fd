//! What a switch tells controllers about each other: OFPT_ROLE_STATUS, OFPT_REQUESTFORWARD (both also
//! as ONF's extensions of 1.3), OFPT_CONTROLLER_STATUS and its multipart.

use super::cursor::{Layout, Reader, Tlv, pad8, patch_u16, put_tlv};
use super::{Context, HEADER_SIZE};
use crate::error::OfError;
use crate::message::{
    Body, ControllerStatus, Dialect, Message, MultipartPart, RequestForward, RoleReason, RoleStatus,
};
use bytes::{BufMut, BytesMut};

pub(super) fn role_status(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let role = r.u32()?;
    let reason = match r.u8()? {
        0 => RoleReason::PrimaryRequest,
        1 => RoleReason::Config,
        2 => RoleReason::Experimenter,
        _ => return Err(OfError::BadReason),
    };
    r.skip(3)?;
    let generation_id = r.u64()?;
    // Properties are experimenters' only.
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::PropertyLength) {
        element?;
    }
    if role > 3 {
        return Err(OfError::RoleBad);
    }
    Ok(Body::RoleStatus(RoleStatus {
        role,
        reason,
        generation_id,
    }))
}

pub(super) fn put_role_status(out: &mut BytesMut, status: &RoleStatus) {
    out.put_u32(status.role);
    out.put_u8(status.reason as u8);
    out.put_bytes(0, 3);
    out.put_u64(status.generation_id);
}

/// The forwarded request is a whole message in the same version.
pub(super) fn requestforward(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let inner = c.share(r);
    // A request that forwards a request would nest without end.
    let kind = *inner.get(1).ok_or(OfError::BadLength)?;
    let size = usize::from(u16::from_be_bytes([
        *inner.get(2).ok_or(OfError::BadLength)?,
        *inner.get(3).ok_or(OfError::BadLength)?,
    ]));
    if !FORWARDED.contains(&kind) {
        return Err(OfError::BadType);
    }
    // The outer message may be padded.
    if size < HEADER_SIZE || size > inner.len() {
        return Err(OfError::BadLength);
    }
    let message = Message::decode(&inner.slice(..size), &c.dialect)?;
    Ok(Body::RequestForward(Box::new(RequestForward {
        xid: message.xid,
        request: message.body,
    })))
}

/// OFPT_GROUP_MOD and OFPT_METER_MOD.
const FORWARDED: [u8; 2] = [15, 29];

pub(super) fn put_requestforward(out: &mut BytesMut, dialect: &Dialect, forward: &RequestForward) {
    let message = Message {
        xid: forward.xid,
        body: forward.request.clone(),
    };
    message.put(dialect, out);
}

/// OFPCSPT_URI.
const URI: u16 = 0;

/// Reads `struct ofp_controller_status` (OpenFlow 1.5.1 section 7.3.5.19) after its length.
fn get_status(r: &mut Reader<'_>) -> Result<ControllerStatus, OfError> {
    let mut status = ControllerStatus {
        short_id: r.u16()?,
        role: r.u32()?,
        reason: r.u8()?,
        connected: r.u8()? == 0,
        ..ControllerStatus::default()
    };
    r.skip(6)?;
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::PropertyLength) {
        let element = element?;
        if element.kind == URI {
            let text = element.body.split(|b| *b == 0).next().unwrap_or_default();
            status.uri = String::from_utf8_lossy(text).into_owned();
        }
    }
    Ok(status)
}

fn get_statuses(r: &mut Reader<'_>) -> Result<Vec<ControllerStatus>, OfError> {
    Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get_status(&mut Reader::new(element?.body, OfError::BadLength)))
        .collect()
}

pub(super) fn controller_status(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    match <[ControllerStatus; 1]>::try_from(get_statuses(r)?) {
        Ok([status]) => Ok(Body::ControllerStatus(status)),
        Err(_) => Err(OfError::BadLength),
    }
}

pub(super) fn controller_status_reply(
    r: &mut Reader<'_>,
    c: &Context<'_>,
) -> Result<Body, OfError> {
    c.reply(MultipartPart::ControllerStatus(get_statuses(r)?))
}

/// Bytes of a URI at most.
const MAX_URI: usize = 1024;

pub(super) fn put_controller_status(out: &mut BytesMut, status: &ControllerStatus) {
    let start = out.len();
    out.put_u16(0);
    out.put_u16(status.short_id);
    out.put_u32(status.role);
    out.put_u8(status.reason);
    out.put_u8(if status.connected { 0 } else { 1 });
    out.put_bytes(0, 6);
    put_tlv(out, Layout::Padded, URI, |o| {
        let uri = status.uri.as_bytes();
        o.put_slice(&uri[..uri.len().min(MAX_URI)]);
    });
    pad8(out, start);
    let size = out.len() - start;
    patch_u16(out, start, size);
}
