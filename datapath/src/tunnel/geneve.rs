//! Geneve (RFC 8926): a VNI in 8 bytes, with options behind, inside UDP.

use super::{FLAG_OAM, Header, Inside, META, Tunnelled};
use crate::model::DropReason;
use crate::model::tunnel::{Tunnel, TunnelConfig, TunnelKey, Words};
use packet::geneve::{self, CONTROL};
use packet::{Vni, Wire, ethertype};

fn vni(key: u64) -> Vni {
    Vni::new(key as u32 & 0xff_ffff).unwrap_or_default()
}

/// See [`super::Row::prepare`].
pub fn prepare(config: &TunnelConfig, bytes: &mut [u8]) -> usize {
    let key = match config.out_key {
        TunnelKey::Value(key) => key,
        TunnelKey::None | TunnelKey::Flow => 0,
    };
    geneve::Header::new(vni(key), ethertype::TEB).emit(bytes);
    geneve::Header::SIZE
}

/// See [`super::Row::patch`].
pub fn patch(header: &mut [u8], tunnel: &Tunnel, words: &Words, inside: &Inside) {
    let Some((header, options)) = geneve::Header::parse_mut(header) else {
        return;
    };
    header.version_size = (options.len() / 4) as u8;
    if geneve::options(options).any(|option| option.is_critical()) {
        header.flags |= geneve::CRITICAL;
    }
    if tunnel.config.out_key == TunnelKey::Flow {
        header.vni = vni(words[0]).to_bytes();
    }
    if words[META] & FLAG_OAM != 0 {
        header.flags |= CONTROL;
    }
    header.protocol.set(inside.payload);
}

/// See [`super::Row::parse`].
pub fn parse(bytes: &[u8]) -> Result<Header, DropReason> {
    let malformed = DropReason::TunnelMalformed;
    let (header, _) = geneve::Header::parse(bytes).ok_or(malformed)?;
    // RFC 8926 section 3.4: "Packets received by a tunnel endpoint with an unknown version MUST be dropped."
    if header.version() != 0 {
        return Err(DropReason::TunnelVersion);
    }
    let size = geneve::Header::SIZE + header.options_size();
    if size > bytes.len() {
        return Err(malformed);
    }
    let protocol = header.protocol.get();
    Ok(Header {
        key: Some(header.vni().get().into()),
        size,
        csum: false,
        payload: protocol,
        is_plain: header.version_size == 0 && header.flags == 0 && protocol == ethertype::TEB,
    })
}

/// See [`super::Row::accept`].
pub fn accept(_: &Tunnel, found: &mut Tunnelled, bytes: &[u8]) -> Result<(), DropReason> {
    let (header, options, _) = geneve::parse(bytes).ok_or(DropReason::TunnelMalformed)?;
    found.options_size = options.len();
    // As Open vSwitch, which lets rules decide about control packets.
    if header.is_control() {
        found.meta |= FLAG_OAM;
    }
    Ok(())
}
