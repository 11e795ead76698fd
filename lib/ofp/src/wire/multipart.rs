//! Multipart (1.0: statistics) messages of no other family: OFPMP_DESC, and our BPDU counters.

use super::Context;
use super::cursor::{Reader, put_text};
use crate::bpdu::BpduStats;
use crate::error::OfError;
use crate::message::{Body, MultipartPart, MultipartRequest, SwitchDesc};
use crate::types::PortNo;
use bytes::BytesMut;

pub(super) fn bpdu_request(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let port = PortNo(r.u32()?);
    r.skip(4)?;
    r.end()?;
    Ok(Body::MultipartRequest(MultipartRequest::Bpdu(port)))
}

pub(super) fn bpdu_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut ports = Vec::new();
    while !r.is_empty() {
        ports.push(BpduStats::get(r)?);
    }
    c.reply(MultipartPart::Bpdu(ports))
}

/// Sizes of the five texts of OFPMP_DESC.
const DESC_SIZES: [usize; 5] = [256, 256, 256, 32, 256];

pub(super) fn desc_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let [a, b, d, e, f] = DESC_SIZES;
    let desc = SwitchDesc {
        manufacturer: r.text(a)?,
        hardware: r.text(b)?,
        software: r.text(d)?,
        serial: r.text(e)?,
        datapath: r.text(f)?,
    };
    r.end()?;
    c.reply(MultipartPart::Desc(desc))
}

pub(super) fn put_desc(out: &mut BytesMut, desc: &SwitchDesc) {
    let texts = [
        &desc.manufacturer,
        &desc.hardware,
        &desc.software,
        &desc.serial,
        &desc.datapath,
    ];
    for (text, size) in texts.into_iter().zip(DESC_SIZES) {
        put_text(out, text, size);
    }
}
