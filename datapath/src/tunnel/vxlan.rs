//! VXLAN (RFC 7348): a VNI in 8 bytes, inside UDP; with the group policy and the generic protocol extension.

use super::{GBP_FLAGS, GBP_ID, Header, Inside, META, Tunnelled};
use crate::model::DropReason;
use crate::model::tunnel::{Encap, Tunnel, TunnelConfig, TunnelKey, Words};
use packet::vxlan::{FLAG_OAM, FLAG_POLICY, FLAG_PROTOCOL, NEXT_PROTOCOLS};
use packet::vxlan::{POLICY_FLAGS, VERSION_MASK};
use packet::{Vni, Wire, ethertype, vxlan};

fn vni(key: u64) -> Vni {
    Vni::new(key as u32 & 0xff_ffff).unwrap_or_default()
}

/// Whether the tunnel has the group policy extension, and the generic protocol extension.
fn extensions(config: &TunnelConfig) -> (bool, bool) {
    match config.encap {
        Encap::Vxlan { gbp, gpe } => (gbp, gpe),
        _ => (false, false),
    }
}

/// See [`super::Row::prepare`].
pub fn prepare(config: &TunnelConfig, bytes: &mut [u8]) -> usize {
    let key = match config.out_key {
        TunnelKey::Value(key) => key,
        TunnelKey::None | TunnelKey::Flow => 0,
    };
    vxlan::Header::new(vni(key)).emit(bytes);
    vxlan::Header::SIZE
}

/// See [`super::Row::patch`].
pub fn patch(header: &mut [u8], tunnel: &Tunnel, words: &Words, inside: &Inside) {
    let Some((header, _)) = vxlan::Header::parse_mut(header) else {
        return;
    };
    let config = &tunnel.config;
    if config.out_key == TunnelKey::Flow {
        header.vni = vni(words[0]).to_bytes();
    }
    let (gbp, gpe) = extensions(config);
    let (id, flags) = (
        (words[META] >> GBP_ID) as u16,
        (words[META] >> GBP_FLAGS) as u8,
    );
    if gbp && (id != 0 || flags & POLICY_FLAGS != 0) {
        let [high, low] = id.to_be_bytes();
        header.flags |= FLAG_POLICY;
        header.reserved = [flags & POLICY_FLAGS, high, low];
    }
    if gpe {
        let row = NEXT_PROTOCOLS.iter().find(|row| row.0 == inside.payload);
        header.flags |= FLAG_PROTOCOL;
        header.reserved[2] = row.map_or(0, |row| row.1);
    }
}

/// See [`super::Row::parse`].
pub fn parse(bytes: &[u8]) -> Result<Header, DropReason> {
    let malformed = DropReason::TunnelMalformed;
    let (header, _) = vxlan::Header::parse(bytes).ok_or(malformed)?;
    if !header.has_vni() {
        return Err(malformed);
    }
    Ok(Header {
        key: Some(header.vni().get().into()),
        size: vxlan::Header::SIZE,
        csum: false,
        payload: ethertype::TEB,
        is_plain: header.flags & (FLAG_POLICY | FLAG_PROTOCOL) == 0,
    })
}

/// See [`super::Row::accept`]. RFC 7348 section 5: what is no extension of the tunnel's is "ignored on receipt".
pub fn accept(tunnel: &Tunnel, found: &mut Tunnelled, bytes: &[u8]) -> Result<(), DropReason> {
    let (header, _) = vxlan::Header::parse(bytes).ok_or(DropReason::TunnelMalformed)?;
    let (gbp, gpe) = extensions(&tunnel.config);
    if gbp && header.flags & FLAG_POLICY != 0 {
        let [flags, high, low] = header.reserved;
        let id = u16::from_be_bytes([high, low]);
        found.meta |= u64::from(id) << GBP_ID | u64::from(flags & POLICY_FLAGS) << GBP_FLAGS;
    }
    if gpe && header.flags & FLAG_PROTOCOL != 0 {
        if header.flags & VERSION_MASK != 0 {
            return Err(DropReason::TunnelVersion);
        }
        if header.flags & FLAG_OAM != 0 {
            return Err(DropReason::TunnelControl);
        }
        let next = header.reserved[2];
        let row = NEXT_PROTOCOLS.iter().find(|row| row.1 == next);
        found.payload = row.ok_or(DropReason::TunnelProtocol)?.0;
    }
    Ok(())
}
