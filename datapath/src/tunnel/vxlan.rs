//! VXLAN (RFC 7348): a VNI in 8 bytes, inside UDP.

use super::Header;
use crate::model::tunnel::{TunnelConfig, TunnelKey};
use packet::{Vni, Wire, vxlan};

fn vni(key: u64) -> Vni {
    Vni::new(key as u32 & 0xff_ffff).unwrap_or_default()
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

/// See [`super::Row::set_key`].
pub fn set_key(header: &mut [u8], key: u64) {
    if let Some((header, _)) = vxlan::Header::parse_mut(header) {
        header.vni = vni(key).to_bytes();
    }
}

/// See [`super::Row::parse`].
pub fn parse(bytes: &[u8]) -> Option<Header> {
    let (header, _) = vxlan::Header::parse(bytes)?;
    header.has_vni().then(|| Header {
        key: Some(header.vni().get().into()),
        size: vxlan::Header::SIZE,
        csum: false,
    })
}
