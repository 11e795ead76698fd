//! Ports: description, status, modification (OpenFlow 1.0 section 5.2.1, 1.3.5 section 7.2.1).

use super::Context;
use super::cursor::{Reader, put_text};
use crate::error::OfError;
use crate::message::{Body, PortDesc, PortMod, PortReason, PortStatus, port_config, port_state};
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

fn get_desc(r: &mut Reader<'_>, version: Version) -> Result<PortDesc, OfError> {
    let v10 = version == Version::V10;
    let port = get_port(r, version)?;
    r.skip(if v10 { 0 } else { 4 })?;
    let hw_addr = r.mac()?;
    r.skip(if v10 { 0 } else { 2 })?;
    let name = r.text(NAME_SIZE)?;
    let (config, state) = (r.u32()?, r.u32()?);
    let features = |bits: u32| if v10 { features_from_v10(bits) } else { bits };
    let mut desc = PortDesc {
        port,
        hw_addr,
        name,
        config,
        state,
        current: features(r.u32()?),
        advertised: features(r.u32()?),
        supported: features(r.u32()?),
        peer: features(r.u32()?),
        ..PortDesc::default()
    };
    if !v10 {
        desc.current_speed_kbps = r.u32()?;
        desc.max_speed_kbps = r.u32()?;
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
    put_port(out, version, desc.port);
    out.put_bytes(0, if v10 { 0 } else { 4 });
    out.put_slice(&desc.hw_addr.0);
    out.put_bytes(0, if v10 { 0 } else { 2 });
    put_text(out, &desc.name, NAME_SIZE);
    out.put_u32(if v10 {
        desc.config
    } else {
        desc.config & CONFIG11
    });
    out.put_u32(desc.state & if v10 { STATE10 } else { STATE11 });
    for bits in [desc.current, desc.advertised, desc.supported, desc.peer] {
        out.put_u32(if v10 { features_to_v10(bits) } else { bits });
    }
    if !v10 {
        out.put_u32(desc.current_speed_kbps);
        out.put_u32(desc.max_speed_kbps);
    }
}

pub(super) fn port_status(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let reason = match r.u8()? {
        0 => PortReason::Add,
        1 => PortReason::Delete,
        2 => PortReason::Modify,
        _ => return Err(OfError::BadType),
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
    let (config, mask, advertise) = (r.u32()?, r.u32()?, r.u32()?);
    r.skip(4)?;
    r.end()?;
    let known = if v10 { 0x7f } else { CONFIG11 };
    if mask & !known != 0 {
        return Err(OfError::PortModBadConfig);
    }
    let advertise = if v10 {
        features_from_v10(advertise)
    } else {
        advertise
    };
    Ok(Body::PortMod(PortMod {
        port,
        hw_addr,
        config: config & known,
        mask,
        advertise,
    }))
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
    out.put_u32(if v10 {
        features_to_v10(port_mod.advertise)
    } else {
        port_mod.advertise
    });
    out.put_u32(0);
}
