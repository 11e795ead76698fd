//! GRE (RFC 2784) with its key (RFC 2890), carrying Ethernet frames, directly over IP.

use super::Header;
use crate::model::tunnel::{TunnelConfig, TunnelKey};
use packet::ethertype;
use packet::gre::{CHECKSUM, Gre};

/// See [`super::Row::prepare`].
pub fn prepare(config: &TunnelConfig, bytes: &mut [u8]) -> usize {
    let gre = Gre {
        protocol: ethertype::TEB,
        // Summed over the whole packet later; an all-zero field is what that starts from.
        checksum: false,
        key: match config.out_key {
            TunnelKey::None => None,
            TunnelKey::Value(key) => Some(key as u32),
            TunnelKey::Flow => Some(0),
        },
        sequence: None,
    };
    let size = gre.size();
    if !config.csum {
        gre.emit(bytes);
        return size;
    }
    gre.emit(&mut bytes[..size]);
    bytes[0] |= (CHECKSUM >> 8) as u8;
    bytes.copy_within(4..size, 8);
    bytes[4..8].fill(0);
    size + 4
}

/// See [`super::Row::set_key`]: the key is what comes last.
pub fn set_key(header: &mut [u8], key: u64) {
    if let Some(field) = header.last_chunk_mut::<4>() {
        *field = (key as u32).to_be_bytes();
    }
}

/// See [`super::Row::parse`].
pub fn parse(bytes: &[u8]) -> Option<Header> {
    let (gre, payload) = Gre::parse(bytes)?;
    (gre.protocol == ethertype::TEB).then(|| Header {
        key: gre.key.map(u64::from),
        size: bytes.len() - payload.len(),
        csum: gre.checksum,
    })
}
