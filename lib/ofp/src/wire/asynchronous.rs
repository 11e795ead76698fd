//! Which asynchronous messages a controller wants: masks in a struct (Nicira, 1.3), or in properties
//! (1.4 and later, Nicira's second message).

use super::Context;
use super::cursor::{Layout, Reader, Tlv, put_tlv};
use super::rows::{NX_SET_ASYNC, NX_SET_ASYNC2, Row, SET_ASYNC};
use crate::error::OfError;
use crate::message::{AsyncChange, AsyncConfig, Body};
use crate::types::Version;
use bytes::{BufMut, BytesMut};

/// Kinds that the struct has: packet_in, port_status, flow_removed.
const STRUCT_KINDS: usize = 3;
/// The property of each kind for a secondary (OpenFlow 1.5.1 section 7.3.10); the next number is the
/// primary's or equal's.
const PROPERTIES: [u16; 8] = [0, 2, 4, 6, 8, 10, 12, 14];

/// Whether the struct can say it: all of its masks, and no other.
fn fits_struct(change: &AsyncChange) -> bool {
    let kinds = change.kinds();
    let (inside, outside) = kinds.split_at(STRUCT_KINDS);
    inside.iter().flatten().all(Option::is_some) && outside.iter().flatten().all(Option::is_none)
}

/// The messages that say a change: before 1.4, the one with properties for what the struct lacks.
pub(super) fn rows(change: &AsyncChange, version: Version) -> &'static [Row] {
    if version < Version::V14 && !fits_struct(change) {
        &[NX_SET_ASYNC2]
    } else {
        &[SET_ASYNC, NX_SET_ASYNC]
    }
}

fn get_struct(r: &mut Reader<'_>) -> Result<AsyncChange, OfError> {
    let mut change = AsyncChange::default();
    for kind in change.kinds_mut().into_iter().take(STRUCT_KINDS) {
        *kind = [Some(r.u32()?), Some(r.u32()?)];
    }
    r.end().map(|()| change)
}

fn get_properties(r: &mut Reader<'_>) -> Result<AsyncChange, OfError> {
    let mut change = AsyncChange::default();
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::PropertyLength) {
        let element = element?;
        let mut kinds = PROPERTIES.iter().zip(change.kinds_mut());
        let (_, masks) = kinds
            .find(|(property, _)| **property == element.kind & !1)
            .ok_or(OfError::PropertyType)?;
        let mut r = Reader::new(element.body, OfError::PropertyLength);
        let who = usize::from(element.kind & 1 == 0);
        masks[who] = Some(r.u32()?);
        r.end()?;
    }
    Ok(change)
}

fn get(r: &mut Reader<'_>, version: Version) -> Result<AsyncChange, OfError> {
    if version < Version::V14 {
        get_struct(r)
    } else {
        get_properties(r)
    }
}

pub(super) fn get_async_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let config = AsyncConfig::default().with(get(r, c.version)?);
    Ok(Body::GetAsyncReply(config))
}

pub(super) fn set_async(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    Ok(Body::SetAsync(get(r, c.version)?))
}

pub(super) fn nx_set_async(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    Ok(Body::SetAsync(get_struct(r)?))
}

pub(super) fn nx_set_async2(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    Ok(Body::SetAsync(get_properties(r)?))
}

/// Writes masks in the form of the message.
pub(super) fn put(out: &mut BytesMut, version: Version, change: &AsyncChange) {
    let kinds = change.kinds();
    if version < Version::V14 && fits_struct(change) {
        let masks = kinds.iter().take(STRUCT_KINDS).flatten();
        masks.for_each(|mask| out.put_u32(mask.unwrap_or(0)));
        return;
    }
    for (property, [primary, secondary]) in PROPERTIES.iter().zip(kinds) {
        for (kind, mask) in [(*property, secondary), (property + 1, primary)] {
            if let Some(mask) = mask {
                put_tlv(out, Layout::Padded, kind, |o| o.put_u32(mask));
            }
        }
    }
}

/// Writes OFPT_GET_ASYNC_REPLY. OpenFlow 1.3 has a place for three kinds; 1.4 has no flow statistics and no controller status.
pub(super) fn put_reply(out: &mut BytesMut, version: Version, config: &AsyncConfig) {
    let mut change = AsyncChange::from(*config);
    let known = match version {
        v if v < Version::V14 => STRUCT_KINDS,
        Version::V14 => 6,
        _ => PROPERTIES.len(),
    };
    let unknown = change.kinds_mut().into_iter().skip(known);
    unknown.for_each(|masks| *masks = [None; 2]);
    put(out, version, &change);
}
