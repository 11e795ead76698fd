//! Bundles: control and add messages, the standard's (1.4 and later) and ONF's extension 230 (1.3),
//! which have the same bodies. The message inside is decoded with the bundle's dialect.

use super::cursor::Reader;
use super::{Context, HEADER_SIZE, Header, row_of};
use crate::error::OfError;
use crate::message::{
    Body, BundleAdd, BundleCommand, BundleControl, Dialect, Message, bundle_flag,
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
    Message { xid, body }.encode(dialect, out);
}
