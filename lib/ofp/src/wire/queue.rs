//! Queues: OFPT_QUEUE_GET_CONFIG (1.0 to 1.3), OFPMP_QUEUE_DESC (1.4 and later), OFPMP_QUEUE.

use super::Context;
use super::cursor::{Layout, Reader, Tlv, patch_u16, put_tlv};
use super::flow::{get_duration, put_duration};
use super::port::{UNKNOWN_DURATION, get_port, put_port};
use crate::error::OfError;
use crate::message::{Body, MultipartPart, MultipartRequest, QueueDesc, QueueStats};
use crate::types::{PortNo, Version};
use bytes::{BufMut, BytesMut};

mod property {
    pub(super) const MIN_RATE: u16 = 1;
    pub(super) const MAX_RATE: u16 = 2;
}

/// A rate above 1000 tenths of a percent says that there is none.
const NO_RATE: u16 = 1000;

pub(super) fn get_config_request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let port = get_port(r, c.version)?;
    r.skip(if c.version == Version::V10 { 2 } else { 4 })?;
    r.end().map(|()| Body::QueueGetConfigRequest(port))
}

pub(super) fn put_get_config_request(out: &mut BytesMut, version: Version, port: PortNo) {
    put_port(out, version, port);
    out.put_bytes(0, if version == Version::V10 { 2 } else { 4 });
}

/// Reads the rates of a queue. Before 1.4 four bytes of padding come first, and six behind.
fn get_rates(bytes: &[u8], version: Version, desc: &mut QueueDesc) -> Result<(), OfError> {
    for element in Tlv::new(bytes, Layout::Padded, OfError::BadLength) {
        let element = element?;
        let mut r = Reader::new(element.body, OfError::BadLength);
        r.skip(if version < Version::V14 { 4 } else { 0 })?;
        let place = match element.kind {
            property::MIN_RATE => &mut desc.min_rate,
            property::MAX_RATE => &mut desc.max_rate,
            _ => continue,
        };
        *place = Some(r.u16()?).filter(|rate| *rate <= NO_RATE);
    }
    Ok(())
}

fn put_rates(out: &mut BytesMut, version: Version, desc: &QueueDesc) {
    let old = version < Version::V14;
    for (kind, rate) in [
        (property::MIN_RATE, desc.min_rate),
        (property::MAX_RATE, desc.max_rate),
    ] {
        if let Some(rate) = rate {
            put_tlv(out, Layout::Padded, kind, |o| {
                o.put_bytes(0, if old { 4 } else { 0 });
                o.put_u16(rate);
                o.put_bytes(0, if old { 6 } else { 2 });
            });
        }
    }
}

pub(super) fn get_config_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let port = get_port(r, c.version)?;
    r.skip(if c.version == Version::V10 { 6 } else { 4 })?;
    let mut queues = Vec::new();
    while !r.is_empty() {
        let mut desc = QueueDesc {
            port,
            queue: r.u32()?,
            ..QueueDesc::default()
        };
        let with_port = c.version >= Version::V12;
        if with_port {
            desc.port = PortNo(r.u32()?);
        }
        let size = usize::from(r.u16()?);
        r.skip(if with_port { 6 } else { 2 })?;
        let rates = size.checked_sub(if with_port { 16 } else { 8 });
        let rates = r.bytes(rates.ok_or(OfError::BadLength)?)?;
        get_rates(rates, c.version, &mut desc)?;
        queues.push(desc);
    }
    Ok(Body::QueueGetConfigReply { port, queues })
}

pub(super) fn put_get_config_reply(
    out: &mut BytesMut,
    version: Version,
    port: PortNo,
    queues: &[QueueDesc],
) {
    put_port(out, version, port);
    out.put_bytes(0, if version == Version::V10 { 6 } else { 4 });
    for desc in queues {
        let start = out.len();
        out.put_u32(desc.queue);
        if version >= Version::V12 {
            put_port(out, version, desc.port);
        }
        let size_at = out.len();
        out.put_u16(0);
        out.put_bytes(0, if version >= Version::V12 { 6 } else { 2 });
        put_rates(out, version, desc);
        let size = out.len() - start;
        patch_u16(out, size_at, size);
    }
}

pub(super) fn desc_request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let (port, queue) = (get_port(r, c.version)?, r.u32()?);
    let request = MultipartRequest::QueueDesc { port, queue };
    r.end().map(|()| Body::MultipartRequest(request))
}

pub(super) fn desc_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut queues = Vec::new();
    while !r.is_empty() {
        let mut desc = QueueDesc {
            port: get_port(r, c.version)?,
            queue: r.u32()?,
            ..QueueDesc::default()
        };
        let size = usize::from(r.u16()?);
        r.skip(6)?;
        let rates = r.bytes(size.checked_sub(16).ok_or(OfError::BadLength)?)?;
        get_rates(rates, c.version, &mut desc)?;
        queues.push(desc);
    }
    c.reply(MultipartPart::QueueDesc(queues))
}

pub(super) fn put_desc(out: &mut BytesMut, version: Version, desc: &QueueDesc) {
    let start = out.len();
    put_port(out, version, desc.port);
    out.put_u32(desc.queue);
    out.put_u64(0);
    put_rates(out, version, desc);
    let size = out.len() - start;
    patch_u16(out, start + 8, size);
}

pub(super) fn stats_request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let port = get_port(r, c.version)?;
    r.skip(if c.version == Version::V10 { 2 } else { 0 })?;
    let queue = r.u32()?;
    let request = MultipartRequest::Queue { port, queue };
    r.end().map(|()| Body::MultipartRequest(request))
}

/// A port and a queue, as both requests have them.
pub(super) fn put_request(out: &mut BytesMut, version: Version, port: PortNo, queue: u32) {
    put_port(out, version, port);
    out.put_bytes(0, if version == Version::V10 { 2 } else { 0 });
    out.put_u32(queue);
}

pub(super) fn stats_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut queues = Vec::new();
    if c.version >= Version::V14 {
        for element in Tlv::new(r.rest(), Layout::Record, OfError::BadLength) {
            let mut r = Reader::new(element?.body, OfError::BadLength);
            r.skip(6)?;
            queues.push(get_stats(&mut r, c.version)?);
        }
    }
    while !r.is_empty() {
        queues.push(get_stats(r, c.version)?);
    }
    c.reply(MultipartPart::Queue(queues))
}

fn get_stats(r: &mut Reader<'_>, version: Version) -> Result<QueueStats, OfError> {
    let port = get_port(r, version)?;
    r.skip(if version == Version::V10 { 2 } else { 0 })?;
    let mut stats = QueueStats {
        port,
        queue: r.u32()?,
        tx_bytes: r.u64()?,
        tx_packets: r.u64()?,
        tx_errors: r.u64()?,
        ..QueueStats::default()
    };
    stats.duration = match version {
        v if v < Version::V13 => UNKNOWN_DURATION,
        _ => get_duration(r)?,
    };
    Ok(stats)
}

pub(super) fn put_stats(out: &mut BytesMut, version: Version, q: &QueueStats) {
    if version >= Version::V14 {
        /// Bytes of an entry without properties.
        const SIZE: u64 = 48;
        out.put_u64(SIZE << 48);
    }
    put_request(out, version, q.port, q.queue);
    out.put_u64(q.tx_bytes);
    out.put_u64(q.tx_packets);
    out.put_u64(q.tx_errors);
    if version >= Version::V13 {
        put_duration(out, q.duration);
    }
}
