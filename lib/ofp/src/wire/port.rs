//! Ports: description, status, modification, statistics (OpenFlow 1.0 section 5.2.1, 1.3.5 section
//! 7.2.1; with properties since 1.4.1).

use super::Context;
use super::cursor::{Layout, Reader, Tlv, patch_u16, put_text, put_tlv};
use super::flow::{get_duration, put_duration};
use crate::error::OfError;
use crate::message::{
    Body, Duration, MultipartPart, MultipartRequest, PortDesc, PortMod, PortReason, PortStats,
    PortStatus, RFC2819, port_config, port_state,
};
use crate::types::{PortNo, Version};
use bytes::{BufMut, BytesMut};

const NAME_SIZE: usize = 16;

/// The configuration bits that 1.1 and later have.
const CONFIG11: u32 =
    port_config::PORT_DOWN | port_config::NO_RECV | port_config::NO_FWD | port_config::NO_PACKET_IN;
const STATE10: u32 = port_state::LINK_DOWN | port_state::STP_MASK;
const STATE11: u32 = port_state::LINK_DOWN | port_state::BLOCKED | port_state::LIVE;

/// Reads a port number in the version's size.
pub(super) fn get_port(r: &mut Reader<'_>, version: Version) -> Result<PortNo, OfError> {
    Ok(match version {
        Version::V10 => PortNo::from_v10(r.u16()?),
        _ => PortNo(r.u32()?),
    })
}

/// Writes a port number in the version's size; what 1.0 cannot say becomes "none".
pub(super) fn put_port(out: &mut BytesMut, version: Version, port: PortNo) {
    match version {
        Version::V10 => out.put_u16(port.to_v10().unwrap_or(0xffff)),
        _ => out.put_u32(port.0),
    }
}

/// Feature bits 7 to 11 of 1.0 (copper, fiber, autonegotiation, pause, asymmetric pause) are bits 11
/// to 15 of 1.1 and later, which has faster speeds between.
fn features_from_v10(bits: u32) -> u32 {
    bits & 0x7f | (bits & 0xf80) << 4
}

fn features_to_v10(bits: u32) -> u32 {
    bits & 0x7f | (bits & 0xf800) >> 4
}

/// The property of Ethernet ports, in all three messages that have properties.
const ETHERNET: u16 = 0;

/// The Ethernet property of a list; `None`: it has none. Others are skipped.
fn ethernet(bytes: &[u8]) -> Result<Option<Reader<'_>>, OfError> {
    let mut found = None;
    for element in Tlv::new(bytes, Layout::Padded, OfError::PropertyLength) {
        let element = element?;
        if element.kind == ETHERNET {
            found = Some(Reader::new(element.body, OfError::PropertyLength));
        }
    }
    Ok(found)
}

/// What 1.4 and later say in a property, in the layout of 1.1 and later.
fn get_link(r: &mut Reader<'_>, desc: &mut PortDesc) -> Result<(), OfError> {
    desc.current = r.u32()?;
    desc.advertised = r.u32()?;
    desc.supported = r.u32()?;
    desc.peer = r.u32()?;
    desc.current_speed_kbps = r.u32()?;
    desc.max_speed_kbps = r.u32()?;
    Ok(())
}

fn put_link(out: &mut BytesMut, desc: &PortDesc) {
    for word in [
        desc.current,
        desc.advertised,
        desc.supported,
        desc.peer,
        desc.current_speed_kbps,
        desc.max_speed_kbps,
    ] {
        out.put_u32(word);
    }
}

fn get_desc(r: &mut Reader<'_>, version: Version) -> Result<PortDesc, OfError> {
    /// Bytes of 1.4's form before its properties.
    const SIZE14: usize = 40;
    let v10 = version == Version::V10;
    let port = get_port(r, version)?;
    let size = match version {
        Version::V10 => 0,
        v if v < Version::V14 => r.skip(4).map(|()| 0)?,
        _ => usize::from(r.u16()?),
    };
    r.skip(if version >= Version::V14 { 2 } else { 0 })?;
    let mut desc = PortDesc {
        port,
        hw_addr: r.mac()?,
        ..PortDesc::default()
    };
    r.skip(if v10 { 0 } else { 2 })?;
    desc.name = r.text(NAME_SIZE)?;
    (desc.config, desc.state) = (r.u32()?, r.u32()?);
    if v10 {
        desc.current = features_from_v10(r.u32()?);
        desc.advertised = features_from_v10(r.u32()?);
        desc.supported = features_from_v10(r.u32()?);
        desc.peer = features_from_v10(r.u32()?);
    } else if version < Version::V14 {
        get_link(r, &mut desc)?;
    } else {
        let properties = r.bytes(size.checked_sub(SIZE14).ok_or(OfError::BadLength)?)?;
        if let Some(mut r) = ethernet(properties)? {
            r.skip(4)?;
            get_link(&mut r, &mut desc)?;
            r.end()?;
        }
    }
    Ok(desc)
}

/// Reads descriptions up to the end.
pub(super) fn get_descs(r: &mut Reader<'_>, version: Version) -> Result<Vec<PortDesc>, OfError> {
    let mut ports = Vec::new();
    while !r.is_empty() {
        ports.push(get_desc(r, version)?);
    }
    Ok(ports)
}

pub(super) fn put_desc(out: &mut BytesMut, version: Version, desc: &PortDesc) {
    let v10 = version == Version::V10;
    let start = out.len();
    put_port(out, version, desc.port);
    out.put_bytes(0, if v10 { 0 } else { 4 });
    out.put_slice(&desc.hw_addr.0);
    out.put_bytes(0, if v10 { 0 } else { 2 });
    put_text(out, &desc.name, NAME_SIZE);
    if v10 {
        out.put_u32(desc.config);
        out.put_u32(desc.state & STATE10);
        for bits in [desc.current, desc.advertised, desc.supported, desc.peer] {
            out.put_u32(features_to_v10(bits));
        }
        return;
    }
    out.put_u32(desc.config & CONFIG11);
    out.put_u32(desc.state & STATE11);
    if version < Version::V14 {
        put_link(out, desc);
        return;
    }
    put_tlv(out, Layout::Padded, ETHERNET, |o| {
        o.put_u32(0);
        put_link(o, desc);
    });
    let size = out.len() - start;
    patch_u16(out, start + 4, size);
}

/// Since 1.5 one port can be asked for.
pub(super) fn desc_request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut port = PortNo::ANY;
    if c.version >= Version::V15 {
        port = get_port(r, c.version)?;
        r.skip(4)?;
    }
    let request = MultipartRequest::PortDesc(port);
    r.end().map(|()| Body::MultipartRequest(request))
}

pub(super) fn put_desc_request(out: &mut BytesMut, version: Version, port: PortNo) {
    if version >= Version::V15 {
        put_port(out, version, port);
        out.put_u32(0);
    }
}

pub(super) fn desc_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    c.reply(MultipartPart::PortDesc(get_descs(r, c.version)?))
}

pub(super) fn port_status(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let reason = match r.u8()? {
        0 => PortReason::Add,
        1 => PortReason::Delete,
        2 => PortReason::Modify,
        _ => return Err(OfError::BadReason),
    };
    r.skip(7)?;
    let desc = get_desc(r, c.version)?;
    r.end()?;
    Ok(Body::PortStatus(PortStatus { reason, desc }))
}

pub(super) fn put_port_status(out: &mut BytesMut, version: Version, status: &PortStatus) {
    out.put_u8(status.reason as u8);
    out.put_bytes(0, 7);
    put_desc(out, version, &status.desc);
}

pub(super) fn port_mod(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let v10 = c.version == Version::V10;
    let port = get_port(r, c.version)?;
    r.skip(if v10 { 0 } else { 4 })?;
    let hw_addr = r.mac()?;
    r.skip(if v10 { 0 } else { 2 })?;
    let (config, mask) = (r.u32()?, r.u32()?);
    let advertise = match c.version {
        v if v < Version::V14 => {
            let bits = r.u32()?;
            r.skip(4)?;
            r.end()?;
            if v10 { features_from_v10(bits) } else { bits }
        }
        _ => get_advertise(r)?,
    };
    let known = if v10 { 0x7f } else { CONFIG11 };
    if mask & !known != 0 {
        return Err(OfError::PortModBadConfig);
    }
    Ok(Body::PortMod(PortMod {
        port,
        hw_addr,
        config: config & known,
        mask,
        advertise,
    }))
}

/// A port_mod asks for something, so unlike a description it has no unknown properties.
fn get_advertise(r: &mut Reader<'_>) -> Result<u32, OfError> {
    let mut advertise = 0;
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::PropertyLength) {
        let element = element?;
        match element.kind {
            ETHERNET => {
                let mut r = Reader::new(element.body, OfError::PropertyLength);
                advertise = r.u32()?;
                r.end()?;
            }
            0xffff => return Err(OfError::PropertyVendor),
            _ => return Err(OfError::PropertyType),
        }
    }
    Ok(advertise)
}

pub(super) fn put_port_mod(out: &mut BytesMut, version: Version, port_mod: &PortMod) {
    let v10 = version == Version::V10;
    put_port(out, version, port_mod.port);
    out.put_bytes(0, if v10 { 0 } else { 4 });
    out.put_slice(&port_mod.hw_addr.0);
    out.put_bytes(0, if v10 { 0 } else { 2 });
    let known = if v10 { 0x7f } else { CONFIG11 };
    out.put_u32(port_mod.config & known);
    out.put_u32(port_mod.mask & known);
    match version {
        Version::V10 => out.put_u64(u64::from(features_to_v10(port_mod.advertise)) << 32),
        v if v < Version::V14 => out.put_u64(u64::from(port_mod.advertise) << 32),
        _ => {
            if port_mod.advertise != 0 {
                put_tlv(out, Layout::Padded, ETHERNET, |o| {
                    o.put_u32(port_mod.advertise);
                });
            }
        }
    }
}

pub(super) fn stats_request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let port = get_port(r, c.version)?;
    r.skip(if c.version == Version::V10 { 6 } else { 4 })?;
    r.end()?;
    Ok(Body::MultipartRequest(MultipartRequest::Port(port)))
}

pub(super) fn put_stats_request(out: &mut BytesMut, version: Version, port: PortNo) {
    put_port(out, version, port);
    out.put_bytes(0, if version == Version::V10 { 6 } else { 4 });
}

pub(super) fn stats_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut ports = Vec::new();
    if c.version >= Version::V14 {
        for element in Tlv::new(r.rest(), Layout::Record, OfError::BadLength) {
            ports.push(get_stats14(&mut Reader::new(
                element?.body,
                OfError::BadLength,
            ))?);
        }
    }
    while !r.is_empty() {
        ports.push(get_stats(r, c.version)?);
    }
    c.reply(MultipartPart::Port(ports))
}

/// The counters that all versions have at one place.
fn get_counters(r: &mut Reader<'_>, port: PortNo) -> Result<PortStats, OfError> {
    Ok(PortStats {
        port,
        rx_packets: r.u64()?,
        tx_packets: r.u64()?,
        rx_bytes: r.u64()?,
        tx_bytes: r.u64()?,
        rx_dropped: r.u64()?,
        tx_dropped: r.u64()?,
        rx_errors: r.u64()?,
        tx_errors: r.u64()?,
        ..PortStats::default()
    })
}

/// Those of Ethernet, which are in a property since 1.4.
fn get_ethernet_counters(r: &mut Reader<'_>, p: &mut PortStats) -> Result<(), OfError> {
    p.rx_frame_err = r.u64()?;
    p.rx_over_err = r.u64()?;
    p.rx_crc_err = r.u64()?;
    p.collisions = r.u64()?;
    Ok(())
}

fn get_stats(r: &mut Reader<'_>, version: Version) -> Result<PortStats, OfError> {
    let port = get_port(r, version)?;
    r.skip(if version == Version::V10 { 6 } else { 4 })?;
    let mut p = get_counters(r, port)?;
    get_ethernet_counters(r, &mut p)?;
    p.duration = match version {
        v if v < Version::V13 => UNKNOWN_DURATION,
        _ => get_duration(r)?,
    };
    Ok(p)
}

/// What is said of an age that is not known.
pub(super) const UNKNOWN_DURATION: Duration = Duration {
    secs: u32::MAX,
    nanos: u32::MAX,
};

fn get_stats14(r: &mut Reader<'_>) -> Result<PortStats, OfError> {
    r.skip(2)?;
    let port = PortNo(r.u32()?);
    let duration = get_duration(r)?;
    let mut p = PortStats {
        duration,
        ..get_counters(r, port)?
    };
    [p.rx_frame_err, p.rx_over_err, p.rx_crc_err, p.collisions] = [u64::MAX; 4];
    let properties = r.rest();
    if let Some(mut r) = ethernet(properties)? {
        r.skip(4)?;
        get_ethernet_counters(&mut r, &mut p)?;
        r.end()?;
    }
    for element in Tlv::new(properties, Layout::Padded, OfError::PropertyLength) {
        let element = element?;
        if element.kind == EXPERIMENTER {
            get_intel(element.body, &mut p)?;
        }
    }
    Ok(p)
}

/// Properties of experimenters.
const EXPERIMENTER: u16 = 0xffff;
/// Whose the properties of counters are, and their types there (as Open vSwitch sends them).
const INTEL: u32 = 0xaa01;
const INTEL_RFC2819: u32 = 1;
const INTEL_CUSTOM: u32 = 2;

/// Reads `experimenter` 32, `type` 32, and what follows. What is not known is skipped.
fn get_intel(body: &[u8], p: &mut PortStats) -> Result<(), OfError> {
    let mut r = Reader::new(body, OfError::PropertyLength);
    match (r.u32()?, r.u32()?) {
        (INTEL, INTEL_RFC2819) => p.rfc2819 = Some(Box::new(get_rfc2819(&mut r)?)),
        (INTEL, INTEL_CUSTOM) => get_custom(&mut r, &mut p.custom)?,
        _ => {}
    }
    Ok(())
}

/// Zero 32, and the counters.
fn get_rfc2819(r: &mut Reader<'_>) -> Result<[u64; RFC2819.len()], OfError> {
    r.skip(4)?;
    let mut counters = [0; RFC2819.len()];
    for counter in &mut counters {
        *counter = r.u64()?;
    }
    r.end().map(|()| counters)
}

fn put_rfc2819(out: &mut BytesMut, counters: &[u64]) {
    put_tlv(out, Layout::Padded, EXPERIMENTER, |o| {
        o.put_u32(INTEL);
        o.put_u32(INTEL_RFC2819);
        o.put_u32(0);
        counters.iter().for_each(|counter| o.put_u64(*counter));
    });
}

/// 0 16, `count` 16, and as often a name with its length in a byte, and a number.
fn get_custom(r: &mut Reader<'_>, custom: &mut Vec<(String, u64)>) -> Result<(), OfError> {
    r.skip(2)?;
    for _ in 0..r.u16()? {
        let size = usize::from(r.u8()?);
        let name = String::from_utf8_lossy(r.bytes(size)?).into_owned();
        custom.push((name, r.u64()?));
    }
    Ok(())
}

fn put_custom(out: &mut BytesMut, custom: &[(String, u64)]) {
    put_tlv(out, Layout::Padded, EXPERIMENTER, |o| {
        o.put_u32(INTEL);
        o.put_u32(INTEL_CUSTOM);
        o.put_u16(0);
        let said = custom.iter().filter(|(name, _)| name.len() <= 255);
        o.put_u16(said.clone().count() as u16);
        for (name, value) in said {
            o.put_u8(name.len() as u8);
            o.put_slice(name.as_bytes());
            o.put_u64(*value);
        }
    });
}

pub(super) fn put_stats(out: &mut BytesMut, version: Version, p: &PortStats) {
    let counters = |out: &mut BytesMut| {
        for counter in [
            p.rx_packets,
            p.tx_packets,
            p.rx_bytes,
            p.tx_bytes,
            p.rx_dropped,
            p.tx_dropped,
            p.rx_errors,
            p.tx_errors,
        ] {
            out.put_u64(counter);
        }
    };
    let ethernet = |out: &mut BytesMut| {
        for counter in [p.rx_frame_err, p.rx_over_err, p.rx_crc_err, p.collisions] {
            out.put_u64(counter);
        }
    };
    if version >= Version::V14 {
        return put_tlv(out, Layout::Record, 0, |o| {
            o.put_u16(0);
            put_port(o, version, p.port);
            put_duration(o, p.duration);
            counters(o);
            put_tlv(o, Layout::Padded, ETHERNET, |o| {
                o.put_u32(0);
                ethernet(o);
            });
            if let Some(counters) = &p.rfc2819 {
                put_rfc2819(o, &counters[..]);
            }
            if !p.custom.is_empty() {
                put_custom(o, &p.custom);
            }
        });
    }
    put_stats_request(out, version, p.port);
    counters(out);
    ethernet(out);
    if version == Version::V13 {
        put_duration(out, p.duration);
    }
}
