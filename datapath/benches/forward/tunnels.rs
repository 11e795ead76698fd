//! The rows of tunnels: a bridge with a tunnel port, and another one with the address that its packets come from.
//! As in `bench/tunnels.py`.

use super::rig::{Rig, Shape, Underlay};
use super::rows::{FLOWS, flows, lines, udp};
use datapath::model::tunnel::{
    Encap, L2tpv3, Local, Remote, Route, TunnelConfig, TunnelKey, TunnelType,
};
use packet::l2tpv3::{self, Cookie, Sublayer};
use packet::{MacAddr, ethertype, ipproto};
use std::net::{IpAddr, Ipv4Addr};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 9, 1]);
const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 9, 2]);
const KEY: u32 = 42;
/// Bytes of a frame with an MTU of 1500.
const FULL_SIZE: usize = 1514;
const LARGE_FLOWS: u32 = 256;
const MTU: usize = 1500;

/// See the file's description.
pub struct Row {
    /// What it is asked for by.
    pub name: &'static str,
    kind: TunnelType,
    shape: fn(Underlay) -> Shape,
    frames: fn(TunnelType) -> Vec<Vec<u8>>,
    /// Frames that arrive for each one that is counted, and that leave.
    pub counted: [u64; 2],
}

impl Row {
    /// A switch that is ready.
    pub fn rig(&self) -> Rig {
        let shape = (self.shape)(underlay(self.kind));
        let rules = match &shape {
            Shape::Decap(_) => "phy in_port=1,actions=LOCAL\nin_port=9,actions=output:2",
            _ => "phy in_port=LOCAL,actions=output:2\nin_port=1,actions=output:9",
        };
        let mut rig = Rig::shaped((self.frames)(self.kind), shape);
        rig.configure(lines(rules));
        rig
    }
}

fn config(kind: TunnelType) -> TunnelConfig {
    let (encap, port) = match kind {
        TunnelType::Vxlan => {
            let (gbp, gpe) = (false, false);
            (Encap::Vxlan { gbp, gpe }, 4789)
        }
        TunnelType::Gre => (Encap::Gre { sequence: false }, 0),
        TunnelType::Geneve => (Encap::Geneve, 6081),
        TunnelType::L2tpv3 => {
            let settings = L2tpv3 {
                over: l2tpv3::Encap::Udp,
                cookie: Cookie::default(),
                peer_cookie: Cookie::default(),
                sublayer: Sublayer::Default,
                send_sequence: false,
                receive_sequence: false,
                service_vid: None,
            };
            (Encap::L2tpv3(settings), 1701)
        }
        TunnelType::Gpw => {
            let (order, mode) = Default::default();
            (Encap::Gpw { order, mode }, 0)
        }
    };
    let remote = match kind {
        TunnelType::Gpw => Remote::Link(PEER_MAC),
        _ => Remote::Ip(PEER.into()),
    };
    let key = match kind {
        TunnelType::Gpw => TunnelKey::None,
        _ => TunnelKey::Value(KEY.into()),
    };
    let config = TunnelConfig::new(encap, remote);
    TunnelConfig {
        local: Local::Any,
        ..config.with_port(port).with_key(key)
    }
}

/// What is between the IP header (gpw: the Ethernet header) and the frame inside.
fn header(kind: TunnelType, inner: &[u8]) -> Vec<u8> {
    let key = KEY.to_be_bytes();
    let own = match kind {
        TunnelType::Vxlan => [[8, 0, 0, 0], (KEY << 8).to_be_bytes()].concat(),
        TunnelType::Gre => return [[0x20, 0, 0x65, 0x58], key].concat(),
        TunnelType::Geneve => [[0, 0, 0x65, 0x58], (KEY << 8).to_be_bytes()].concat(),
        TunnelType::L2tpv3 => [[0, 3, 0, 0], key, [0; 4]].concat(),
        TunnelType::Gpw => return vec![0; 2],
    };
    let port = config(kind).port;
    let source = match kind {
        TunnelType::L2tpv3 => port,
        _ => 0xc000 | u16::from_be_bytes([inner[34], inner[35]]) & 0x3fff,
    };
    let size = (8 + own.len() + inner.len()) as u16;
    let udp = [source, port, size, 0].map(u16::to_be_bytes);
    [udp.concat(), own].concat()
}

/// What the peer would send.
fn outer(kind: TunnelType, inner: &[u8]) -> Vec<u8> {
    let protocol = match kind {
        TunnelType::Gre => ipproto::GRE,
        _ => ipproto::UDP,
    };
    let payload = [&header(kind, inner), inner].concat();
    let macs = [OUR_MAC.0, PEER_MAC.0].concat();
    if kind == TunnelType::Gpw {
        return [&macs[..], &ethertype::GPW.to_be_bytes(), &payload].concat();
    }
    [
        &macs[..],
        &[8, 0],
        &ip(protocol, 0, 0, payload.len()),
        &payload,
    ]
    .concat()
}

fn ip(protocol: u8, id: u16, fragment: u16, payload: usize) -> Vec<u8> {
    let words = [20 + payload as u16, id, fragment].map(u16::to_be_bytes);
    let (src, dst) = (PEER.octets(), OURS.octets());
    let mut ip = [
        &[0x45, 0][..],
        &words.concat(),
        &[64, protocol, 0, 0],
        &src,
        &dst,
    ]
    .concat();
    let _ = packet::ipv4::fill_checksum(&mut ip);
    ip
}

/// A tunnel packet in fragments.
fn split(number: usize, frame: &[u8]) -> Vec<Vec<u8>> {
    let (room, payload) = ((MTU - 20) & !7, &frame[34..]);
    let parts = payload.chunks(room).enumerate().map(|(index, part)| {
        let at = index * room;
        let more = u16::from(at + part.len() < payload.len()) << 13;
        let ip = ip(frame[23], number as u16, more | (at / 8) as u16, part.len());
        [&frame[..14], &ip, part].concat()
    });
    parts.collect()
}

fn full_size(_: TunnelType) -> Vec<Vec<u8>> {
    let large = |n| {
        let mut frame = udp(n);
        frame.resize(FULL_SIZE, 0);
        let size = (FULL_SIZE - 34) as u16;
        frame[16..18].copy_from_slice(&(size + 20).to_be_bytes());
        frame[24..26].fill(0);
        let _ = packet::ipv4::fill_checksum(&mut frame[14..]);
        frame[38..40].copy_from_slice(&size.to_be_bytes());
        frame
    };
    (0..LARGE_FLOWS).map(large).collect()
}

fn fragments(kind: TunnelType) -> Vec<Vec<u8>> {
    let whole = full_size(kind).into_iter().enumerate();
    let parts = whole.map(|(n, frame)| split(n, &outer(kind, &frame)));
    parts.flatten().collect()
}

fn underlay(kind: TunnelType) -> Underlay {
    Underlay {
        config: config(kind),
        address: OURS.into(),
        mac: OUR_MAC,
        route: |exit| Route {
            exit,
            source: Some(IpAddr::V4(OURS)),
            source_mac: OUR_MAC,
            next_hop_mac: PEER_MAC,
            mtu: MTU as u16,
            egress_mtu: MTU as u16,
        },
    }
}

fn many(_: TunnelType) -> Vec<Vec<u8>> {
    flows(FLOWS)
}

fn one(_: TunnelType) -> Vec<Vec<u8>> {
    flows(1)
}

fn many_received(kind: TunnelType) -> Vec<Vec<u8>> {
    flows(FLOWS)
        .iter()
        .map(|inner| outer(kind, inner))
        .collect()
}

fn one_received(kind: TunnelType) -> Vec<Vec<u8>> {
    flows(1).iter().map(|inner| outer(kind, inner)).collect()
}

macro_rules! rows {
    ($($name:literal $kind:ident $shape:ident $frames:ident $counted:expr;)*) => {
        /// All of them.
        pub const ROWS: &[Row] = &[$(Row {
            name: $name,
            kind: TunnelType::$kind,
            shape: Shape::$shape,
            frames: $frames,
            counted: $counted,
        }),*];
    };
}

rows! {
    "vxlan-encap"      Vxlan  Encap many          [1, 1];
    "vxlan-decap"      Vxlan  Decap many_received [1, 1];
    "vxlan-encap-1"    Vxlan  Encap one           [1, 1];
    "vxlan-decap-1"    Vxlan  Decap one_received  [1, 1];
    "gre-encap"        Gre    Encap many          [1, 1];
    "gre-decap"        Gre    Decap many_received [1, 1];
    "gre-encap-1"      Gre    Encap one           [1, 1];
    "gre-decap-1"      Gre    Decap one_received  [1, 1];
    "geneve-encap"     Geneve Encap many          [1, 1];
    "geneve-decap"     Geneve Decap many_received [1, 1];
    "l2tpv3-encap"     L2tpv3 Encap many          [1, 1];
    "l2tpv3-decap"     L2tpv3 Decap many_received [1, 1];
    "gpw-encap"        Gpw    Encap many          [1, 1];
    "gpw-decap"        Gpw    Decap many_received [1, 1];
    "vxlan-fragment"   Vxlan  Encap full_size     [1, 2];
    "vxlan-reassemble" Vxlan  Decap fragments     [2, 1];
}
