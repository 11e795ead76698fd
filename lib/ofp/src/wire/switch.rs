//! What a controller asks and sets about the whole switch and its own connection: features,
//! configuration, role, asynchronous messages, Nicira's formats.

use super::Context;
use super::cursor::Reader;
use super::port;
use crate::error::OfError;
use crate::message::{Body, Features, FlowFormat, PacketInFormat, Role, SwitchConfig, capability};
use crate::types::Version;
use bytes::{BufMut, BytesMut};

/// OpenFlow 1.0's capability STP is bit 3, which later means GROUP_STATS.
const STP10: u32 = 1 << 3;
/// NXFF_NXM.
pub(super) const FORMAT_NXM: u32 = 2;

pub(super) fn features_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let v10 = c.version == Version::V10;
    let mut features = Features {
        datapath_id: r.u64()?,
        n_buffers: r.u32()?,
        n_tables: r.u8()?,
        auxiliary_id: r.u8()?,
        ..Features::default()
    };
    r.skip(2)?;
    features.capabilities = r.u32()?;
    features.actions = r.u32()?;
    if v10 {
        features.auxiliary_id = 0;
        if features.capabilities & STP10 != 0 {
            features.capabilities = features.capabilities & !STP10 | capability::STP;
        }
    } else {
        features.actions = 0;
    }
    if c.version < Version::V13 {
        features.ports = port::get_descs(r, c.version)?;
    }
    r.end()?;
    Ok(Body::FeaturesReply(features))
}

pub(super) fn put_features(out: &mut BytesMut, version: Version, features: &Features) {
    let v10 = version == Version::V10;
    let start = out.len();
    let mut capabilities = features.capabilities & !capability::STP;
    if version < Version::V14 {
        capabilities &= !(capability::BUNDLES | capability::FLOW_MONITORING);
    }
    if v10 {
        let stp = features.capabilities & capability::STP != 0;
        capabilities = capabilities & 0xff & !STP10 | if stp { STP10 } else { 0 };
    }
    // OpenFlow 1.2 dropped OFPC_ARP_MATCH_IP.
    if version >= Version::V12 {
        capabilities &= !capability::ARP_MATCH_IP;
    }
    out.put_u64(features.datapath_id);
    out.put_u32(features.n_buffers);
    out.put_u8(features.n_tables);
    out.put_u8(if version >= Version::V13 {
        features.auxiliary_id
    } else {
        0
    });
    out.put_u16(0);
    out.put_u32(capabilities);
    out.put_u32(if v10 { features.actions } else { 0 });
    if version < Version::V13 {
        // As many as fit: the rest is learnt by PORT_DESC.
        let limit = usize::from(u16::MAX) - 128;
        for desc in &features.ports {
            if out.len() - start < limit {
                port::put_desc(out, version, desc);
            }
        }
    }
}

/// OFPC_INVALID_TTL_TO_CONTROLLER, in 1.1 and 1.2.
const INVALID_TTL: u16 = 1 << 2;

const fn config_flags(version: Version) -> u16 {
    match version {
        Version::V11 | Version::V12 => 3 | INVALID_TTL,
        _ => 3,
    }
}

pub(super) fn get_config(r: &mut Reader<'_>, version: Version) -> Result<SwitchConfig, OfError> {
    let flags = r.u16()?;
    if flags & !config_flags(version) != 0 {
        return Err(OfError::ConfigFlags);
    }
    let config = SwitchConfig {
        frag: (flags & 3) as u8,
        invalid_ttl_to_controller: flags & INVALID_TTL != 0,
        miss_send_len: r.u16()?,
    };
    r.end().map(|()| config)
}

pub(super) fn put_config(out: &mut BytesMut, version: Version, config: &SwitchConfig) {
    let invalid_ttl = if config.invalid_ttl_to_controller {
        INVALID_TTL
    } else {
        0
    };
    out.put_u16((u16::from(config.frag & 3) | invalid_ttl) & config_flags(version));
    out.put_u16(config.miss_send_len);
}

/// A controller without an id of its own (OpenFlow 1.5).
const NO_ID: u16 = u16::MAX;

pub(super) fn get_role(r: &mut Reader<'_>, version: Version) -> Result<Role, OfError> {
    let role = r.u32()?;
    let short_id = r.u16()?;
    r.skip(2)?;
    let generation_id = r.u64()?;
    r.end()?;
    if role > 3 {
        return Err(OfError::RoleBad);
    }
    Ok(Role {
        role,
        generation_id: Some(generation_id),
        short_id: Some(short_id).filter(|id| version >= Version::V15 && *id != NO_ID),
    })
}

/// Nicira's roles count from 0 (equal), the standard's from 1.
pub(super) fn get_nx_role(r: &mut Reader<'_>) -> Result<Role, OfError> {
    let role = r.u32()?;
    r.end()?;
    if role > 2 {
        return Err(OfError::RoleBad);
    }
    Ok(Role {
        role: role + 1,
        ..Role::default()
    })
}

pub(super) fn put_role(out: &mut BytesMut, version: Version, role: &Role) {
    if version < Version::V12 {
        return out.put_u32(role.role.saturating_sub(1));
    }
    out.put_u32(role.role);
    out.put_u16(match version {
        v if v < Version::V15 => 0,
        _ => role.short_id.unwrap_or(NO_ID),
    });
    out.put_u16(0);
    out.put_u64(role.generation_id.unwrap_or(u64::MAX));
}

pub(super) fn set_flow_format(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let format = match r.u32()? {
        0 => FlowFormat::OpenFlow10,
        FORMAT_NXM => FlowFormat::Nxm,
        _ => return Err(OfError::PermissionsError),
    };
    r.end().map(|()| Body::SetFlowFormat(format))
}

pub(super) fn flow_mod_table_id(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let set = r.u8()? != 0;
    r.skip(7)?;
    r.end().map(|()| Body::FlowModTableId(set))
}

pub(super) fn set_packet_in_format(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let format = match r.u32()? {
        0 => PacketInFormat::Standard,
        1 => PacketInFormat::Nxt,
        2 => PacketInFormat::Nxt2,
        _ => return Err(OfError::PermissionsError),
    };
    r.end().map(|()| Body::SetPacketInFormat(format))
}

pub(super) fn set_controller_id(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    r.skip(6)?;
    let id = r.u16()?;
    r.end().map(|()| Body::SetControllerId(id))
}
