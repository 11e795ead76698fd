//! Bundles: control and add messages, the standard's (1.4 and later) and ONF's extension 230 (1.3),
//! which have the same bodies. The message inside is decoded with the bundle's dialect.

use super::cursor::{Layout, Reader, Tlv, put_tlv};
use super::{Context, HEADER_SIZE, Header, row_of};
use crate::error::OfError;
use crate::message::{
    Body, BundleAdd, BundleCommand, BundleControl, BundleFeatures, BundleFeaturesRequest,
    BundleSchedule, BundleTime, Dialect, Message, MultipartPart, MultipartRequest, bundle_flag,
};
use crate::types::Xid;
use bytes::{BufMut, BytesMut};

/// What a bundle can carry; everything else, a bundle's own messages first of all, is refused unread.
const BUNDLED: &[&str] = &[
    "OFPT_FLOW_MOD",
    "NXT_FLOW_MOD",
    "OFPT_GROUP_MOD",
    "NXT_GROUP_MOD",
    "OFPT_PORT_MOD",
    "OFPT_METER_MOD",
    "OFPT_PACKET_OUT",
];
const FLAGS: u16 = bundle_flag::ATOMIC | bundle_flag::ORDERED;

fn flags(flags: u16) -> Result<u16, OfError> {
    match flags & !FLAGS {
        0 => Ok(flags),
        _ => Err(OfError::BundleFlags),
    }
}

/// There are experimenter properties and, in 1.5, times; we have none of them.
fn no_properties(r: &mut Reader<'_>) -> Result<(), OfError> {
    r.zeros(OfError::PropertyType)
}

pub(super) fn control(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    use BundleCommand::{
        CloseReply, CloseRequest, CommitReply, CommitRequest, DiscardReply, DiscardRequest,
        OpenReply, OpenRequest,
    };
    let bundle = r.u32()?;
    let commands = [
        OpenRequest,
        OpenReply,
        CloseRequest,
        CloseReply,
        CommitRequest,
        CommitReply,
        DiscardRequest,
        DiscardReply,
    ];
    let command = commands
        .get(usize::from(r.u16()?))
        .copied()
        .ok_or(OfError::BundleType)?;
    let flags = flags(r.u16()?)?;
    no_properties(r)?;
    Ok(Body::BundleControl(BundleControl {
        bundle,
        command,
        flags,
    }))
}

pub(super) fn put_control(out: &mut BytesMut, c: &BundleControl) {
    out.put_u32(c.bundle);
    out.put_u16(c.command as u16);
    out.put_u16(c.flags);
}

pub(super) fn add(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let outer = Header::parse(c.whole).ok_or(OfError::BadLength)?;
    let bundle = r.u32()?;
    r.skip(2)?;
    let flags = flags(r.u16()?)?;
    let mut rest = c.share(r);
    let inner = Header::parse(&rest).ok_or(OfError::BundleMessageLength)?;
    let size = usize::from(inner.size);
    if size < HEADER_SIZE || size > rest.len() {
        return Err(OfError::BundleMessageLength);
    }
    if inner.version != outer.version {
        return Err(OfError::BundleVersion);
    }
    if inner.xid != outer.xid {
        return Err(OfError::BundleMessageXid);
    }
    let raw = rest.split_to(size);
    no_properties(&mut Reader::new(&rest, OfError::BadLength))?;
    let carried = row_of(&raw).is_some_and(|row| BUNDLED.contains(&row.name));
    if !carried {
        return Err(OfError::BundleMessageUnsupported);
    }
    let message = Message::decode(&raw, &c.dialect)?;
    Ok(Body::BundleAdd(Box::new(BundleAdd {
        bundle,
        flags,
        message,
        raw,
    })))
}

/// The message inside gets the bundle message's transaction id, as it has to have.
pub(super) fn put_add(out: &mut BytesMut, xid: Xid, dialect: &Dialect, a: &BundleAdd) {
    out.put_u32(a.bundle);
    out.put_u16(0);
    out.put_u16(a.flags);
    let body = a.message.body.clone();
    Message { xid, body }.put(dialect, out);
}

/// OFPTMPBF_TIME_CAPABILITY: zero 32, then four times of 64, 32 and zero 32 bits.
const TIME_CAPABILITY: u16 = 1;
/// OFPTMPBF_EXPERIMENTER.
const EXPERIMENTER: u16 = 0xffff;

/// OpenFlow 1.5.1 section 7.3.5.19: `flags` 32, zero 32, properties.
pub(super) fn features_request(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let flags = r.u32()?;
    r.skip(4)?;
    let schedule = get_schedule(r, true)?;
    let request = BundleFeaturesRequest { flags, schedule };
    Ok(Body::MultipartRequest(MultipartRequest::BundleFeatures(
        request,
    )))
}

pub(super) fn put_features_request(out: &mut BytesMut, q: &BundleFeaturesRequest) {
    out.put_u32(q.flags);
    out.put_u32(0);
    put_schedule(out, q.schedule.as_ref());
}

/// `capabilities` 16, zero 48, properties.
pub(super) fn features_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let capabilities = r.u16()?;
    r.skip(6)?;
    let schedule = get_schedule(r, false)?;
    c.reply(MultipartPart::BundleFeatures(BundleFeatures {
        capabilities,
        schedule,
    }))
}

pub(super) fn put_features(out: &mut BytesMut, f: &BundleFeatures) {
    out.put_u16(f.capabilities);
    out.put_bytes(0, 6);
    put_schedule(out, f.schedule.as_ref());
}

/// What a request has to have understood is refused if it is not; of a reply it is skipped.
fn get_schedule(r: &mut Reader<'_>, strict: bool) -> Result<Option<BundleSchedule>, OfError> {
    let mut schedule = None;
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::PropertyLength) {
        let element = element?;
        match element.kind {
            TIME_CAPABILITY => {
                let mut r = Reader::new(element.body, OfError::PropertyLength);
                r.skip(4)?;
                schedule = Some(BundleSchedule {
                    accuracy: get_time(&mut r)?,
                    max_future: get_time(&mut r)?,
                    max_past: get_time(&mut r)?,
                    timestamp: get_time(&mut r)?,
                });
                r.end()?;
            }
            EXPERIMENTER if strict => return Err(OfError::PropertyVendor),
            _ if strict => return Err(OfError::PropertyType),
            _ => {}
        }
    }
    Ok(schedule)
}

fn put_schedule(out: &mut BytesMut, schedule: Option<&BundleSchedule>) {
    let Some(s) = schedule else {
        return;
    };
    put_tlv(out, Layout::Padded, TIME_CAPABILITY, |o| {
        o.put_u32(0);
        for time in [s.accuracy, s.max_future, s.max_past, s.timestamp] {
            o.put_u64(time.secs);
            o.put_u32(time.nanos);
            o.put_u32(0);
        }
    });
}

fn get_time(r: &mut Reader<'_>) -> Result<BundleTime, OfError> {
    let (secs, nanos) = (r.u64()?, r.u32()?);
    r.skip(4)?;
    Ok(BundleTime { secs, nanos })
}
