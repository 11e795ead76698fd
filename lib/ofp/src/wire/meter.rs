//! Meters: METER_MOD and their multipart family (OpenFlow 1.3 and later).

use super::Context;
use super::cursor::{Layout, Reader, Tlv, patch_u16, put_tlv};
use super::flow::{get_duration, put_duration};
use crate::error::OfError;
use crate::message::{
    Band, BandKind, Body, MeterCommand, MeterConfig, MeterFeatures, MeterMod, MeterStats,
    MultipartPart, meter_flag,
};
use crate::types::{MeterId, Version};
use bytes::{BufMut, BytesMut};

/// Band types (OpenFlow 1.3.5 section 7.3.4.5).
const DROP: u16 = 1;
const DSCP_REMARK: u16 = 2;
/// Bytes of each band behind its type and length.
const BAND_SIZE: usize = 12;
const FLAGS: u16 = meter_flag::KBPS | meter_flag::PKTPS | meter_flag::BURST | meter_flag::STATS;

fn get_bands(r: &mut Reader<'_>) -> Result<Vec<Band>, OfError> {
    let bands = Tlv::new(r.rest(), Layout::Padded, OfError::BadLength);
    let band = |kind, body: &[u8]| {
        let r = &mut Reader::new(body, OfError::BadLength);
        let (rate, burst) = (r.u32()?, r.u32()?);
        let level = r.u32()?;
        r.end()?;
        let kind = match kind {
            DROP => BandKind::Drop,
            _ => BandKind::DscpRemark((level >> 24) as u8),
        };
        Ok(Band { kind, rate, burst })
    };
    bands
        .map(|element| match element? {
            e if !matches!(e.kind, DROP | DSCP_REMARK) => Err(OfError::MeterBand),
            e if e.body.len() != BAND_SIZE => Err(OfError::BadLength),
            e => band(e.kind, e.body),
        })
        .collect()
}

fn put_bands(out: &mut BytesMut, bands: &[Band]) {
    for band in bands {
        let (kind, level) = match band.kind {
            BandKind::Drop => (DROP, 0),
            BandKind::DscpRemark(level) => (DSCP_REMARK, level),
        };
        put_tlv(out, Layout::Padded, kind, |o| {
            o.put_u32(band.rate);
            o.put_u32(band.burst);
            o.put_u32(u32::from(level) << 24);
        });
    }
}

pub(super) fn meter_mod(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let command = match r.u16()? {
        0 => MeterCommand::Add,
        1 => MeterCommand::Modify,
        2 => MeterCommand::Delete,
        _ => return Err(OfError::MeterCommand),
    };
    let (flags, meter) = (r.u16()?, MeterId(r.u32()?));
    if command == MeterCommand::Delete {
        // What a meter was like does not matter when it goes.
        let config = MeterConfig {
            meter,
            ..MeterConfig::default()
        };
        return Ok(Body::MeterMod(Box::new(MeterMod { command, config })));
    }
    let both = meter_flag::KBPS | meter_flag::PKTPS;
    if flags & both == both || flags & !FLAGS != 0 {
        return Err(OfError::MeterFlags);
    }
    let config = MeterConfig {
        meter,
        flags,
        bands: get_bands(r)?,
    };
    Ok(Body::MeterMod(Box::new(MeterMod { command, config })))
}

pub(super) fn put_meter_mod(out: &mut BytesMut, m: &MeterMod) {
    out.put_u16(m.command as u16);
    let MeterConfig {
        meter,
        flags,
        bands,
    } = &m.config;
    out.put_u16(*flags);
    out.put_u32(meter.0);
    put_bands(out, bands);
}

/// METER and METER_CONFIG: which one.
pub(super) fn get_meter_id(r: &mut Reader<'_>) -> Result<MeterId, OfError> {
    let meter = MeterId(r.u32()?);
    r.skip(4)?;
    r.end().map(|()| meter)
}

pub(super) fn put_meter_id(out: &mut BytesMut, meter: MeterId) {
    out.put_u32(meter.0);
    out.put_u32(0);
}

pub(super) fn config_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let get = |body| {
        let r = &mut Reader::new(body, OfError::BadLength);
        let (flags, meter) = (r.u16()?, MeterId(r.u32()?));
        Ok(MeterConfig {
            meter,
            flags,
            bands: get_bands(r)?,
        })
    };
    let configs = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get(element?.body))
        .collect::<Result<_, _>>()?;
    c.reply(MultipartPart::MeterConfig(configs))
}

pub(super) fn put_config(out: &mut BytesMut, config: &MeterConfig) {
    put_tlv(out, Layout::Record, 0, |o| {
        o.put_u16(config.flags);
        o.put_u32(config.meter.0);
        put_bands(o, &config.bands);
    });
}

/// Bytes of a meter's statistics before those of its bands.
const STATS_SIZE: usize = 40;

pub(super) fn stats_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut all = Vec::new();
    while !r.is_empty() {
        let (meter, size) = (MeterId(r.u32()?), usize::from(r.u16()?));
        // The number and the size itself were read.
        let bands = size.checked_sub(STATS_SIZE).ok_or(OfError::BadLength)?;
        r.skip(6)?;
        let mut stats = MeterStats {
            meter,
            flows: r.u32()?,
            packets: r.u64()?,
            bytes: r.u64()?,
            duration: get_duration(r)?,
            bands: Vec::new(),
        };
        let mut bands = Reader::new(r.bytes(bands)?, OfError::BadLength);
        while !bands.is_empty() {
            stats.bands.push((bands.u64()?, bands.u64()?));
        }
        all.push(stats);
    }
    c.reply(MultipartPart::Meter(all))
}

pub(super) fn put_stats(out: &mut BytesMut, stats: &MeterStats) {
    let start = out.len();
    out.put_u32(stats.meter.0);
    out.put_u64(0);
    out.put_u32(stats.flows);
    out.put_u64(stats.packets);
    out.put_u64(stats.bytes);
    put_duration(out, stats.duration);
    for (packets, bytes) in &stats.bands {
        out.put_u64(*packets);
        out.put_u64(*bytes);
    }
    let size = out.len() - start;
    patch_u16(out, start + 4, size);
}

/// OpenFlow 1.5 adds a word of features, which Open vSwitch does not send and refuses to read.
pub(super) fn features_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut f = MeterFeatures {
        max_meters: r.u32()?,
        band_types: r.u32()?,
        capabilities: r.u32()?,
        max_bands: r.u8()?,
        max_color: r.u8()?,
        features: 0,
    };
    r.skip(2)?;
    if c.version == Version::V15 && !r.is_empty() {
        f.features = r.u32()?;
        r.skip(4)?;
    }
    r.end()?;
    c.reply(MultipartPart::MeterFeatures(f))
}

/// The word of 1.5 is left out if it says nothing, so that Open vSwitch's tools can read the rest.
pub(super) fn put_features(out: &mut BytesMut, version: Version, f: &MeterFeatures) {
    out.put_u32(f.max_meters);
    out.put_u32(f.band_types);
    out.put_u32(f.capabilities);
    out.put_u8(f.max_bands);
    out.put_u8(f.max_color);
    out.put_u16(0);
    if version == Version::V15 && f.features != 0 {
        out.put_u32(f.features);
        out.put_u32(0);
    }
}
