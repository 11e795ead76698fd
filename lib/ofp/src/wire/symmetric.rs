//! Messages that either side sends: hello, error (echo is a row).

use super::cursor::{Layout, Reader, Tlv, patch_u16, put_tlv};
use super::{Context, HEADER_SIZE};
use crate::error::{ERRORS, Number, OfError};
use crate::field::NICIRA;
use crate::message::{Body, ErrorBody, Hello};
use crate::types::{Version, Xid};
use bytes::{BufMut, BytesMut};

/// The hello element that holds version bits (OpenFlow 1.3.5 section 7.5.1).
const VERSION_BITMAP: u16 = 1;
/// Error type of Nicira's errors in OpenFlow 1.0 and 1.1; the numbers follow in the body.
const NICIRA_ERROR: u16 = 0xb0c2;
/// Error type of experimenter errors.
const EXPERIMENTER_ERROR: u16 = 0xffff;

pub(super) fn hello(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    get_hello(c.version as u8, r).map(Body::Hello)
}

/// Reads a hello. Elements that make no sense are ignored: OpenFlow 1.3.5 section 7.5.1,
/// "implementations must ignore (skip) all elements of a Hello message that they do not support".
pub(super) fn get_hello(version: u8, r: &mut Reader<'_>) -> Result<Hello, OfError> {
    let mut bitmap = None;
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::BadLength).flatten() {
        if element.kind == VERSION_BITMAP && bitmap.is_none() {
            bitmap = element
                .body
                .first_chunk()
                .map(|word| u32::from_be_bytes(*word));
        }
    }
    Ok(Hello { version, bitmap })
}

/// Writes a hello, whose version is its own.
pub(super) fn put_hello(out: &mut BytesMut, xid: Xid, hello: &Hello) {
    let start = out.len();
    out.put_u8(hello.version);
    out.put_u8(0);
    out.put_u16(HEADER_SIZE as u16);
    out.put_u32(xid.0);
    if let Some(bitmap) = hello.bitmap {
        put_tlv(out, Layout::Padded, VERSION_BITMAP, |o| o.put_u32(bitmap));
        let size = out.len() - start;
        patch_u16(out, start + 2, size);
    }
}

pub(super) fn error(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let (kind, code) = (r.u16()?, r.u16()?);
    let mut number = Number::Standard(kind, code);
    let mut ahead = *r;
    if kind == NICIRA_ERROR && ahead.u32() == Ok(NICIRA) && ahead.size() >= 4 {
        number = Number::Nicira(ahead.u16()?, ahead.u16()?);
        *r = ahead;
    } else if kind == EXPERIMENTER_ERROR
        && let Ok(id) = ahead.u32()
    {
        number = Number::Experimenter(id, code);
        *r = ahead;
    }
    let known = ERRORS
        .iter()
        .find(|row| row.number(c.version) == Some(number));
    let error = known.map_or(OfError::Other { kind, code }, |row| row.error);
    Ok(Body::Error(ErrorBody {
        error,
        data: c.share(r),
    }))
}

pub(super) fn put_error(out: &mut BytesMut, version: Version, body: &ErrorBody) {
    match body.error.number(version) {
        Number::Standard(kind, code) => {
            out.put_u16(kind);
            out.put_u16(code);
        }
        Number::Experimenter(id, kind) => {
            out.put_u16(EXPERIMENTER_ERROR);
            out.put_u16(kind);
            out.put_u32(id);
        }
        Number::Nicira(kind, code) => {
            out.put_u16(NICIRA_ERROR);
            out.put_u16(0);
            out.put_u32(NICIRA);
            out.put_u16(kind);
            out.put_u16(code);
        }
    }
    // A message is never longer than its 16-bit length says.
    out.put_slice(&body.data[..body.data.len().min(60_000)]);
}
