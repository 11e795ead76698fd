//! The two-byte pseudowire, over Ethernet and over IPv6. Its frames may be parts; who splits them and puts them together is
//! `forward`'s business.

use super::{Header, Inside, Tunnelled};
use crate::model::DropReason;
use crate::model::tunnel::{Encap, Tunnel, TunnelConfig, Words};
use packet::ethertype;
use packet::gpw::{self, Order, Part};

fn order(config: &TunnelConfig) -> Order {
    match config.encap {
        Encap::Gpw { order, .. } => order,
        _ => Order::default(),
    }
}

/// See [`super::Row::prepare`].
pub fn prepare(config: &TunnelConfig, bytes: &mut [u8]) -> usize {
    Part::Whole.emit(order(config), bytes);
    gpw::SIZE
}

/// See [`super::Row::patch`].
pub fn patch(header: &mut [u8], tunnel: &Tunnel, _: &Words, inside: &Inside) {
    inside.part.emit(order(&tunnel.config), header);
}

/// See [`super::Row::parse`]. The word's order is the tunnel's to know.
pub fn parse(bytes: &[u8]) -> Result<Header, DropReason> {
    if bytes.len() < gpw::SIZE {
        return Err(DropReason::TunnelMalformed);
    }
    Ok(Header {
        key: None,
        size: gpw::SIZE,
        csum: false,
        payload: ethertype::TEB,
        is_plain: false,
    })
}

/// See [`super::Row::accept`].
pub fn accept(tunnel: &Tunnel, found: &mut Tunnelled, bytes: &[u8]) -> Result<(), DropReason> {
    let (part, _) = Part::parse(bytes, order(&tunnel.config)).ok_or(DropReason::TunnelMalformed)?;
    found.part = part;
    Ok(())
}
