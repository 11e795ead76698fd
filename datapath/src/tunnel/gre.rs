//! GRE (RFC 2784) with key and sequence number (RFC 2890), directly over IP.

use super::{Header, Inside};
use crate::model::DropReason;
use crate::model::tunnel::{Encap, Tunnel, TunnelConfig, TunnelKey, Words};
use packet::ethertype;
use packet::gre::{CHECKSUM, Gre};
use std::sync::atomic::Ordering::Relaxed;

fn numbers(config: &TunnelConfig) -> bool {
    matches!(config.encap, Encap::Gre { sequence: true })
}

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
        sequence: numbers(config).then_some(0),
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

/// See [`super::Row::patch`]: key and sequence number are what comes last.
pub fn patch(header: &mut [u8], tunnel: &Tunnel, words: &Words, inside: &Inside) {
    let config = &tunnel.config;
    if let Some(field) = header.get_mut(2..4) {
        field.copy_from_slice(&inside.payload.to_be_bytes());
    }
    let mut words_behind = header.rchunks_exact_mut(4);
    if numbers(config)
        && let Some(field) = words_behind.next()
    {
        let number = tunnel.state.sequence.fetch_add(1, Relaxed);
        field.copy_from_slice(&number.to_be_bytes());
    }
    if config.out_key == TunnelKey::Flow
        && let Some(field) = words_behind.next()
    {
        field.copy_from_slice(&(words[0] as u32).to_be_bytes());
    }
}

/// See [`super::Row::parse`]. Received numbers are not looked at: neither Open vSwitch nor RFC 2890 asks for it.
pub fn parse(bytes: &[u8]) -> Result<Header, DropReason> {
    let (gre, payload) = Gre::parse(bytes).ok_or(DropReason::TunnelMalformed)?;
    Ok(Header {
        key: gre.key.map(u64::from),
        size: bytes.len() - payload.len(),
        csum: gre.checksum,
        payload: gre.protocol,
        is_plain: gre.protocol == ethertype::TEB,
    })
}
