//! Every encapsulation: what is put in comes out, and what was damaged on its way never does harm.

use super::{Outer, TUNNELS, congestion, recognise};
use crate::edge::Pool;
use crate::fragment::gpw::Mode;
use crate::model::id::BridgeId;
use crate::model::id::PortId;
use crate::model::tunnel::{Encap, Exit, L2tpv3, Layer, Remote, Route, Tunnel};
use crate::model::tunnel::{TunnelConfig, TunnelKey, TunnelMap};
use crate::sim::{SimFrame, SimPool};
use packet::gpw::{Order, Part};
use packet::l2tpv3::{self, Cookie, Sublayer};
use packet::{MacAddr, checksum, ethertype};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

fn frame(bytes: &[u8]) -> SimFrame {
    let mut pool = SimPool::default();
    let mut frame = pool.alloc(bytes.len()).expect("memory");
    pool.write(&mut frame, 0, bytes);
    frame
}

fn address(v6: bool, host: u8) -> IpAddr {
    match v6 {
        false => Ipv4Addr::new(10, 0, 0, host).into(),
        true => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into(),
    }
}

fn session(over: l2tpv3::Encap, cookie: &[u8], sublayer: Sublayer) -> Encap {
    let cookie = Cookie::new(cookie).expect("a cookie");
    Encap::L2tpv3(L2tpv3 {
        over,
        cookie,
        peer_cookie: cookie,
        sublayer,
        send_sequence: true,
        receive_sequence: false,
        service_vid: None,
    })
}

/// All of them, with their UDP port.
fn encapsulations() -> Vec<(Encap, u16)> {
    let vxlan = |gbp, gpe| (Encap::Vxlan { gbp, gpe }, 4789);
    let gpw = |order| {
        let mode = Mode::InOrder;
        (Encap::Gpw { order, mode }, 0)
    };
    vec![
        vxlan(false, false),
        vxlan(true, false),
        vxlan(false, true),
        (Encap::Gre { sequence: false }, 0),
        (Encap::Gre { sequence: true }, 0),
        (Encap::Geneve, 6081),
        (
            session(l2tpv3::Encap::Udp, &[1; 8], Sublayer::Default),
            1701,
        ),
        (session(l2tpv3::Encap::Udp, &[], Sublayer::None), 1701),
        (session(l2tpv3::Encap::Ip, &[7; 4], Sublayer::Default), 0),
        gpw(Order::Little),
        gpw(Order::Big),
    ]
}

/// A tunnel, its packet with this inside, and a map that knows it.
fn packet(
    which: usize,
    v6: bool,
    csum: bool,
    key: u64,
    inner: &[u8],
) -> (Tunnel, SimFrame, TunnelMap) {
    let (encap, port) = encapsulations().swap_remove(which);
    let key = match encap {
        Encap::Gpw { .. } => TunnelKey::None,
        _ => TunnelKey::Value(key),
    };
    let config = TunnelConfig {
        csum,
        ..TunnelConfig::new(encap, Remote::Ip(address(v6, 2)))
    };
    let config = config.with_port(port).with_key(key);
    let route = Route {
        exit: Exit::Bridge(BridgeId(0)),
        source: Some(address(v6, 1)),
        source_mac: MacAddr::ZERO,
        next_hop_mac: MAC,
        mtu: 1500,
        egress_mtu: 1500,
    };
    let tunnel = Tunnel {
        config,
        route: None,
        state: Arc::default(),
    };
    let mut frame = frame(inner);
    let outer = Outer::new(&tunnel.config, &route, None).expect("one family");
    // A group policy id, for those that carry it.
    let words = [0, 0, 0, 0, 0, 0, 0x1234 << 48 | 8 << 8];
    let sent = outer.encapsulate(&mut frame, &tunnel, &words, &[], Part::Whole, 7);
    sent.expect("it fits");
    // The other end sees the addresses the other way round.
    let mut tunnels = TunnelMap::default();
    let theirs = TunnelConfig {
        remote: Remote::Ip(address(v6, 1)),
        ..tunnel.config.clone()
    };
    tunnels.insert(&theirs, PortId(5));
    (tunnel, frame, tunnels)
}

#[test]
fn every_type_has_a_packet_here() {
    for row in TUNNELS {
        let is_row = |(encap, _): &(Encap, u16)| {
            (encap.kind(), encap.row().protocol) == (row.kind, row.protocol)
        };
        assert!(encapsulations().iter().any(is_row), "{}", row.name);
    }
}

/// RFC 6040 section 4.2, figure 4: a row per inner field, a column per outer field, both in the order of their values.
#[test]
fn congestion_is_figure_4() {
    const NOT: Option<u8> = Some(0);
    const ECT1: Option<u8> = Some(1);
    const ECT0: Option<u8> = Some(2);
    const CE: Option<u8> = Some(3);
    let figure = [
        [NOT, NOT, NOT, None],
        [ECT1, ECT1, ECT1, CE],
        [ECT0, ECT1, ECT0, CE],
        [CE, CE, CE, CE],
    ];
    for inner in 0..4u8 {
        for outer in 0..4u8 {
            let want = figure[usize::from(inner)][usize::from(outer)];
            assert_eq!(
                congestion(outer, inner),
                want,
                "inner {inner}, outer {outer}"
            );
        }
    }
}

proptest! {
    #[test]
    fn what_is_put_in_comes_out(
        which in 0..11usize, v6: bool, csum: bool, key in 1..0xff_ffffu64,
        inner in prop::collection::vec(any::<u8>(), 14..300),
    ) {
        let (tunnel, frame, tunnels) = packet(which, v6, csum, key, &inner);
        let received = recognise(&frame, MAC, &tunnels, |ip| *ip == address(v6, 2));
        let mut received = received.expect("a tunnel's").expect("well formed");
        prop_assert_eq!(tunnels.lookup(&received.lookup), Some(PortId(5)));
        let bytes = frame.bytes();
        prop_assert_eq!(received.accept(&tunnel, &bytes), Ok(()));
        prop_assert_eq!((received.part, received.payload), (Part::Whole, ethertype::TEB));
        prop_assert_eq!(&bytes[received.start..received.end], &inner[..]);
        let has_policy = matches!(tunnel.config.encap, Encap::Vxlan { gbp: true, .. });
        prop_assert_eq!(received.meta, if has_policy { 0x1234 << 48 | 8 << 8 } else { 0 });
    }

    /// Bytes behind the IP header are anything, and so is the size.
    #[test]
    fn damage_never_does_harm(
        which in 0..11usize, v6: bool, layer in 0..3usize,
        changes in prop::collection::vec((34..120usize, any::<u8>()), 0..6), size in 0..200usize, cut: bool,
    ) {
        let (mut tunnel, frame, tunnels) = packet(which, v6, false, 7, &[0x55; 60]);
        tunnel.config.layer = [Layer::Ethernet, Layer::Ip, Layer::Any][layer];
        let mut bytes = frame.bytes();
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(if v6 { at + 20 } else { at }) {
                *byte = value;
            }
        }
        if cut {
            bytes.truncate(size);
            if !v6 && bytes.len() >= 34 {
                let total = (bytes.len() - 14) as u16;
                bytes[16..18].copy_from_slice(&total.to_be_bytes());
                bytes[24..26].fill(0);
                let sum = checksum::of(&bytes[14..34]);
                bytes[24..26].copy_from_slice(&sum.to_be_bytes());
            } else if v6 && bytes.len() >= 54 {
                let payload = (bytes.len() - 54) as u16;
                bytes[18..20].copy_from_slice(&payload.to_be_bytes());
            }
        }
        let damaged = self::frame(&bytes);
        if let Some(Ok(mut received)) = recognise(&damaged, MAC, &tunnels, |_| true)
            && received.accept(&tunnel, &bytes).is_ok()
        {
            prop_assert!(received.start < received.end && received.end <= bytes.len());
        }
    }
}
