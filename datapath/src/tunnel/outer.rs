//! The outer headers: prepared once per tunnel, copied and patched per packet, and parsed again at the
//! other end.

mod put;

use super::inner::Summary;
use super::{Header, Inside, Row, TUNNELS, always_varies, l2tpv3, sum, varies};
use crate::edge::{Frame, HEADROOM};
use crate::model::DropReason;
use crate::model::tunnel::{
    BARE, ByteChoice, Encap, Ends, Fragmentation, Layer, Peer, Remote, Route,
};
use crate::model::tunnel::{Tunnel, TunnelConfig, TunnelMap, TunnelType, Words};
use ofp::key::word;
use packet::checksum::{self, Sum};
use packet::gpw::Part;
use packet::{MacAddr, Wire, ethernet, ethertype, ipproto, ipv4, ipv6, udp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Source ports of encapsulated packets: Open vSwitch's default of `tnl/egress_port_range`.
const SOURCE_PORTS: std::ops::Range<u32> = 32_768..61_000;
const L3: usize = ethernet::Header::SIZE;
/// RFC 8200 section 5: every link carries packets of this size.
const MIN_MTU_V6: usize = 1280;

/// A prepared outer header: Ethernet, IP (but for a pseudowire over Ethernet), perhaps UDP, and the tunnel's.
#[derive(Clone, Debug)]
pub struct Outer {
    bytes: [u8; HEADROOM],
    size: usize,
    /// Behind the IP header.
    l4: usize,
    /// Where the tunnel's own header is.
    tunnel: usize,
    is_v6: bool,
    row: &'static Row,
    /// The tunnel's header differs from packet to packet.
    varies: bool,
    /// Even where packets say nothing of the tunnel.
    always_varies: bool,
    /// UDP source port; 0: as the packet's flow says.
    source_port: u16,
    /// Every frame has this service tag.
    service_vid: Option<u16>,
    /// Bytes that are taken off a frame: its Ethernet header, where IP packets are sent without one.
    stripped: usize,
    /// UDP destination port.
    target_port: u16,
    /// Of the outer header's DSCP and congestion bits: those that are always the same, and which are the inner header's.
    tos: (u8, u8),
    /// TTL or hop limit; or the inner header's.
    ttl: u8,
    inherits_ttl: bool,
    /// See [`Outer::is_simple`].
    is_simple: bool,
    /// Of what never changes below the checksum: IPv4 header, or pseudo-header.
    pseudo: u16,
    /// Of the prepared IPv4 header, in which everything that is patched is 0.
    header_sum: u16,
    /// Bytes of a packet that is sent whole, at most.
    limit: usize,
    /// Of the outer IPv4 header.
    df: bool,
    /// What tells this pair of hosts from others, for ids.
    hosts: [u64; 5],
}

impl Outer {
    /// Bytes of a header of Ethernet, IPv6, UDP and Geneve.
    pub const SIZE_MAX: usize = 14 + 40 + 8 + 8;

    /// The header of a tunnel's packets on this route. `flow` are the ends that a packet names, for tunnels whose packets do.
    /// `None`: addresses of different families.
    pub fn new(config: &TunnelConfig, route: &Route, flow: Option<Ends>) -> Option<Outer> {
        let row = config.encap.row();
        let remote = match config.remote {
            Remote::Ip(ip) => Some(ip),
            Remote::Flow => Some(flow?.0),
            Remote::Link(_) => None,
        };
        let mut outer = Outer {
            bytes: [0; HEADROOM],
            size: 0,
            l4: 0,
            tunnel: 0,
            is_v6: remote.is_some_and(|ip| ip.is_ipv6()),
            row,
            varies: varies(config),
            always_varies: always_varies(config),
            source_port: 0,
            service_vid: None,
            target_port: config.port,
            tos: (0, 0),
            ttl: 0,
            inherits_ttl: config.ttl == ByteChoice::Inherit,
            is_simple: false,
            stripped: match config.layer {
                Layer::Ip => L3,
                Layer::Ethernet | Layer::Any => 0,
            },
            pseudo: 0,
            header_sum: 0,
            limit: limit(config, route, remote),
            df: config.df && config.fragmentation != Fragmentation::Always,
            hosts: [0; 5],
        };
        if let Encap::L2tpv3(settings) = &config.encap {
            (outer.source_port, outer.service_vid) = (config.local_port, settings.service_vid);
        }
        let named = flow.and_then(|ends| ends.1);
        let source = named.or(config.local_ip()).or(route.source);
        let (dst, ether_type) = match (config.remote, remote) {
            (Remote::Link(mac), _) => (mac, ethertype::GPW),
            (_, Some(IpAddr::V6(_))) => (route.next_hop_mac, ethertype::IPV6),
            _ => (route.next_hop_mac, ethertype::IPV4),
        };
        let link = ethernet::Header {
            dst,
            src: route.source_mac,
            ether_type: ether_type.into(),
        };
        let rest = link.emit(&mut outer.bytes)?;
        match (source, remote) {
            (_, None) => outer.l4 = L3,
            (Some(IpAddr::V4(src)), Some(IpAddr::V4(dst))) => {
                let mut header = ipv4::Header::new(src, dst, row.protocol, 0);
                header.fragment.set(if outer.df { ipv4::DF } else { 0 });
                (header.tos, header.ttl) = (0, 0);
                header.total_size.set(0);
                header.id.set(0);
                header.checksum.set(0);
                header.emit(rest)?;
                let emitted = outer.bytes.get(L3..L3 + ipv4::Header::SIZE)?;
                outer.header_sum = Sum::new().bytes(emitted).fold();
                outer.l4 = L3 + ipv4::Header::SIZE;
                outer.pseudo = checksum::pseudo_v4(src, dst, row.protocol, 0).fold();
                let ends = u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits());
                outer.hosts = [ends, row.protocol.into(), 0, 0, 4];
            }
            (Some(IpAddr::V6(src)), Some(IpAddr::V6(dst))) => {
                ipv6::Header::new(src, dst, row.protocol, 0).emit(rest)?;
                outer.l4 = L3 + ipv6::Header::SIZE;
                outer.pseudo = checksum::pseudo_v6(src, dst, row.protocol, 0).fold();
            }
            _ => return None,
        }
        outer.tunnel = outer.l4;
        if row.protocol == ipproto::UDP {
            udp::Header::new(0, config.port, 0).emit(&mut outer.bytes[outer.l4..])?;
            outer.tunnel += udp::Header::SIZE;
        }
        outer.size = outer.tunnel + (row.prepare)(config, &mut outer.bytes[outer.tunnel..]);
        // RFC 6040 section 4.1: in "normal mode" the ECN field is copied to the outer header; in "compatibility mode", for
        // receivers that would lose a mark, it is Not-ECT.
        let ecn = if row.knows_ecn { 3 } else { 0 };
        outer.tos = match config.tos {
            ByteChoice::Value(tos) => (tos & 0xfc, ecn),
            ByteChoice::Inherit => (0, 0xfc | ecn),
        };
        outer.ttl = match config.ttl {
            ByteChoice::Value(ttl) => ttl,
            ByteChoice::Inherit => 0,
        };
        outer.is_simple = !outer.is_v6
            && !config.csum
            && config.layer == Layer::Ethernet
            && outer.service_vid.is_none();
        Some(outer)
    }
    /// Whether [`Outer::put`] may be used.
    #[inline]
    pub fn is_simple(&self) -> bool {
        self.is_simple
    }
    /// Whether [`Outer::put_split`] may be used for packets that are too large.
    #[inline]
    pub fn is_simply_split(&self) -> bool {
        self.is_simple && self.l4 != L3
    }
    /// What its packets' ids are drawn for if they are fragmented here.
    #[inline]
    pub fn hosts(&self) -> [u64; 5] {
        self.hosts
    }
    /// Its size without options.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes of an IP packet that is sent whole, at most.
    pub fn limit(&self) -> usize {
        self.limit
    }
    /// Bytes of an inner frame with these words that needs not be split, at most.
    pub fn room(&self, config: &TunnelConfig, words: &Words) -> usize {
        (self.limit + L3 + self.stripped(config, words)).saturating_sub(self.size)
    }
    /// Bytes in front of it that do not go along.
    pub fn stripped(&self, config: &TunnelConfig, words: &Words) -> usize {
        let is_bare = || words[word::TUN_META - word::TUN_ID] >> BARE.shift & 1 != 0;
        match config.layer {
            Layer::Any if is_bare() => L3,
            _ => self.stripped,
        }
    }
    /// What the ids of its packets are drawn for, if they may be fragmented on their way (RFC 6864 section 4: that of an
    /// atomic datagram means nothing).
    pub fn ids_of(&self) -> Option<[u64; 5]> {
        (!self.is_v6 && !self.df).then_some(self.hosts)
    }
    /// The UDP source port of a flow's packets.
    #[inline(always)]
    fn source_port_of(&self, inner: &Summary) -> u16 {
        let ports = SOURCE_PORTS.end - SOURCE_PORTS.start;
        let offset = (u64::from(inner.hash) * u64::from(ports)) >> 32;
        match self.source_port {
            0 => (SOURCE_PORTS.start + offset as u32) as u16,
            port => port,
        }
    }
    /// Puts the header, with these options behind it, in front of a frame on which nothing is pending. `ip_id` is for packets that
    /// may be fragmented on their way.
    pub fn encapsulate<F: Frame>(
        &self,
        frame: &mut F,
        tunnel: &Tunnel,
        words: &Words,
        options: &[u8],
        part: Part,
        ip_id: u16,
    ) -> Result<(), DropReason> {
        let config = &tunnel.config;
        let inner = Summary::of(frame.head());
        let mut inside = Inside {
            payload: ethertype::TEB,
            part,
        };
        let stripped = self.stripped(config, words);
        if stripped != 0 {
            inside.payload = payload_type(config, frame.head())?;
        }
        let packet_size = self.size - L3 + options.len() + frame.size() - stripped;
        if packet_size > usize::from(u16::MAX) {
            return Err(DropReason::TunnelTooBig);
        }
        if let Some(vid) = self.service_vid
            && !l2tpv3::has_service_tag(frame, vid)
        {
            return Err(DropReason::TunnelVlan);
        }
        if stripped != 0 {
            frame.pull(stripped);
        }
        let size = self.size + options.len();
        let bytes = frame.push(size).ok_or(DropReason::NoMemory)?;
        bytes[..self.size].copy_from_slice(&self.bytes[..self.size]);
        if !options.is_empty() {
            bytes[self.size..].copy_from_slice(options);
        }
        let (below, header) = bytes.split_at_mut(self.tunnel);
        if self.varies {
            (self.row.patch)(header, tunnel, words, &inside);
        }
        if self.l4 == L3 {
            return Ok(());
        }
        let (link_and_ip, transport) = below.split_at_mut(self.l4);
        self.patch_ip(&mut link_and_ip[L3..], packet_size, &inner, ip_id);
        let l4_size = (packet_size - (self.l4 - L3)) as u16;
        let is_udp = self.tunnel != self.l4;
        if is_udp && let Some((header, _)) = udp::Header::parse_mut(transport) {
            header.src.set(self.source_port_of(&inner));
            header.size.set(l4_size);
        }
        // RFC 8200 section 8.1: without a choice of the user's, a UDP packet over IPv6 has its checksum.
        let is_chosen = config.remote != Remote::Flow;
        if (config.csum || is_udp && self.is_v6 && !is_chosen) && self.row.csum_offset != 0 {
            let body = sum(frame, self.l4, frame.size());
            let checksum = if is_udp {
                let pseudo = Sum::new().u16(self.pseudo).u16(l4_size);
                pseudo.u16(body).finish_nonzero()
            } else {
                !body
            };
            let at = self.l4 + self.row.csum_offset;
            if let Some(field) = frame.head_mut().get_mut(at..at + 2) {
                field.copy_from_slice(&checksum.to_be_bytes());
            }
        }
        Ok(())
    }
    fn patch_ip(&self, ip: &mut [u8], size: usize, inner: &Summary, ip_id: u16) {
        let (fixed, taken) = self.tos;
        let tos = fixed | inner.tos.unwrap_or(0) & taken;
        let ttl = match self.inherits_ttl {
            true => inner.ttl.unwrap_or(64),
            false => self.ttl,
        };
        if self.is_v6 {
            if let Some((header, _)) = ipv6::Header::parse_mut(ip) {
                header.payload_size.set((size - ipv6::Header::SIZE) as u16);
                header.set_traffic_class(tos);
                header.hop_limit = ttl;
            }
        } else if let Some((header, _)) = ipv4::Header::parse_mut(ip) {
            header.total_size.set(size as u16);
            header.tos = tos;
            header.ttl = ttl;
            header.id.set(ip_id);
            // From the values: to read back what was just written in smaller parts stalls the CPU (27 of
            // 185 cycles of an encapsulation).
            let sum = Sum::new().u16(self.header_sum).u16(size as u16).u16(ip_id);
            let sum = sum.u16(tos.into()).u16(u16::from(ttl) << 8);
            header.checksum.set(sum.finish());
        }
    }
}

/// Bytes of a packet that is sent whole, at most.
fn limit(config: &TunnelConfig, route: &Route, remote: Option<IpAddr>) -> usize {
    let path = usize::from(route.mtu);
    match (config.fragmentation, remote) {
        (Fragmentation::Auto | Fragmentation::Never, _) => path,
        (Fragmentation::Mtu(mtu), _) => path.min(mtu.into()),
        (Fragmentation::Always, Some(IpAddr::V6(_))) => MIN_MTU_V6,
        (Fragmentation::Always, _) => route.egress_mtu.into(),
    }
}

/// A received tunnel packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// What finds the tunnel's port.
    pub lookup: crate::model::tunnel::Received,
    /// Bytes in front of the frame inside.
    pub start: usize,
    /// Where the frame inside ends (behind it is padding of the outer frame).
    pub end: usize,
    /// Of the outer IP header.
    pub tos: u8,
    /// Of the outer IP header.
    pub ttl: u8,
    /// Where the tunnel's own header is.
    pub header: usize,
    /// EtherType of what is inside.
    pub payload: u16,
    /// Which part of a frame it is (gpw).
    pub part: Part,
    /// Further bits of the key's word `TUN_META`.
    pub meta: u64,
    /// Bytes of options at the end of the tunnel's own header, as far as they are to be looked at.
    pub options_size: usize,
    /// See [`Header::is_plain`].
    pub is_plain: bool,
}

impl Received {
    /// The options of a packet that was accepted.
    pub fn options<'a>(&self, head: &'a [u8]) -> Option<&'a [u8]> {
        head.get(self.start.checked_sub(self.options_size)?..self.start)
    }
    /// Reads the rest of the packet, as the tunnel's settings explain it.
    #[inline]
    pub fn accept(&mut self, tunnel: &Tunnel, head: &[u8]) -> Result<(), DropReason> {
        if !self.is_plain || tunnel.config.layer != Layer::Ethernet {
            self.accept_specific(tunnel, head)?;
        }
        let least = match (self.payload, self.part) {
            (_, Part::First(_) | Part::Second(_)) => 1,
            (ethertype::IPV4, _) => ipv4::Header::SIZE,
            (ethertype::IPV6, _) => ipv6::Header::SIZE,
            _ => ethernet::Header::SIZE,
        };
        if self.start + least > self.end {
            return Err(DropReason::TunnelMalformed);
        }
        Ok(())
    }
    #[cold]
    fn accept_specific(&mut self, tunnel: &Tunnel, head: &[u8]) -> Result<(), DropReason> {
        let bytes = head.get(self.header..self.end.min(head.len()));
        let accept = tunnel.config.encap.row().accept;
        accept(tunnel, self, bytes.ok_or(DropReason::TunnelMalformed)?)?;
        match (tunnel.config.layer, self.payload) {
            (Layer::Ethernet | Layer::Any, ethertype::TEB) => Ok(()),
            (Layer::Ip | Layer::Any, kind) if carries(&tunnel.config, kind) => Ok(()),
            _ => Err(DropReason::TunnelProtocol),
        }
    }
}

/// Whether a tunnel's header can say that a packet of this type is in it: GRE has a field for ether types.
fn carries(config: &TunnelConfig, ether_type: u16) -> bool {
    match (&config.encap, config.layer) {
        (Encap::Gre { .. }, Layer::Any) => {
            ether_type >= ethertype::MIN && !ethertype::is_vlan(ether_type)
        }
        _ => matches!(ether_type, ethertype::IPV4 | ethertype::IPV6),
    }
}

/// The EtherType of a frame without tags whose payload the tunnel carries by itself.
fn payload_type(config: &TunnelConfig, head: &[u8]) -> Result<u16, DropReason> {
    let link = ethernet::Header::parse(head).map(|(link, _)| link.ether_type.get());
    link.filter(|ether_type| carries(config, *ether_type))
        .ok_or(DropReason::TunnelProtocol)
}

struct Ip<A> {
    src: A,
    dst: A,
    protocol: u8,
    l4: usize,
    end: usize,
    /// It fits into the frame, and its checksum is right.
    is_valid: bool,
    tos: u8,
    ttl: u8,
    /// Of the pseudo-header, but for the size.
    pseudo: Sum,
}

// Addresses that are copied as wholes after they were written as parts stall the CPU: the parts of
// recognition are inlined, once for each version of IP, so that they stay in registers.

/// The IPv4 header of an unfragmented packet. Whether it is right is looked at when it is known to be ours.
#[inline(always)]
fn parse_ipv4(head: &[u8], size: usize) -> Option<Ip<Ipv4Addr>> {
    let header = ipv4::Header::at(head, L3)?;
    let l4 = L3 + header.header_size();
    let end = L3 + usize::from(header.total_size.get());
    let (src, dst) = (header.src(), header.dst());
    if header.is_fragment() || header.header_size() < ipv4::Header::SIZE || l4 > end {
        return None;
    }
    Some(Ip {
        src,
        dst,
        protocol: header.protocol,
        l4,
        end,
        is_valid: end <= size && checksum::of(head.get(L3..l4)?) == 0,
        tos: header.tos,
        ttl: header.ttl,
        pseudo: checksum::pseudo_v4(src, dst, header.protocol, 0),
    })
}

/// The same for IPv6.
#[inline(always)]
fn parse_ipv6(head: &[u8], size: usize) -> Option<Ip<Ipv6Addr>> {
    let header = ipv6::Header::at(head, L3)?;
    let rest = L3 + ipv6::Header::SIZE;
    let end = rest + usize::from(header.payload_size.get());
    let (src, dst) = (header.src(), header.dst());
    let (protocol, l4) = match header.next_header {
        next if ipv6::is_extension(next) => behind_extensions(next, head, rest, end)?,
        next => (next, rest),
    };
    Some(Ip {
        src,
        dst,
        protocol,
        l4,
        end,
        is_valid: end <= size,
        tos: header.traffic_class(),
        ttl: header.hop_limit,
        pseudo: checksum::pseudo_v6(src, dst, protocol, 0),
    })
}

/// The protocol behind the extension headers of an unfragmented packet, and where it starts. Linux sends the
/// tunnel encapsulation limit of RFC 2473 in one, if not told otherwise.
#[cold]
fn behind_extensions(next: u8, head: &[u8], at: usize, end: usize) -> Option<(u8, usize)> {
    let upper = ipv6::upper(next, head.get(at..end.min(head.len()))?)?;
    (!upper.is_fragment).then_some((upper.protocol, at + upper.offset))
}

/// Whether a frame that is about to reach the host is a tunnel's. `mac` is the host's address;
/// `is_ours` says whether an IP address is. `None`: it is not ours, or not a tunnel packet.
#[inline]
pub fn recognise<F: Frame>(
    frame: &F,
    mac: MacAddr,
    tunnels: &TunnelMap,
    is_ours: impl FnMut(&IpAddr) -> bool,
) -> Option<Result<Received, DropReason>> {
    let (head, size) = (frame.head(), frame.size());
    let link = ethernet::Header::parse(head)?.0;
    if link.dst != mac && !mac.is_zero() {
        return None;
    }
    match link.ether_type.get() {
        ethertype::IPV4 => recognise_ip(frame, &parse_ipv4(head, size)?, tunnels, is_ours),
        ethertype::IPV6 => recognise_ip(frame, &parse_ipv6(head, size)?, tunnels, is_ours),
        _ => recognise_link(frame, tunnels),
    }
}

#[inline(always)]
fn recognise_ip<F: Frame, A: Copy + Into<IpAddr>>(
    frame: &F,
    ip: &Ip<A>,
    tunnels: &TunnelMap,
    mut is_ours: impl FnMut(&IpAddr) -> bool,
) -> Option<Result<Received, DropReason>> {
    let head = frame.head();
    if !is_ours(&ip.dst.into()) {
        return None;
    }
    let (port, before) = match ip.protocol {
        ipproto::UDP => {
            let header = udp::Header::at(head, ip.l4)?;
            (header.dst.get(), udp::Header::SIZE)
        }
        _ => (0, 0),
    };
    let listens = |row: &&Row| row.protocol == ip.protocol && tunnels.listens(row.kind, port);
    let row = TUNNELS.iter().find(listens)?;
    Some(open(frame, ip, row, port, before))
}

/// The same for a pseudowire over Ethernet.
#[cold]
fn recognise_link<F: Frame>(
    frame: &F,
    tunnels: &TunnelMap,
) -> Option<Result<Received, DropReason>> {
    let (link, rest) = ethernet::Header::parse(frame.head())?;
    let kind = TunnelType::Gpw;
    if link.ether_type.get() != ethertype::GPW || !tunnels.listens(kind, 0) {
        return None;
    }
    let row = TUNNELS.iter().find(|row| row.kind == kind)?;
    Some((row.parse)(rest).map(|header| Received {
        lookup: crate::model::tunnel::Received {
            kind,
            port: 0,
            remote: Peer::Link(link.src),
            local: None,
            key: header.key,
        },
        start: L3 + header.size,
        end: frame.size(),
        tos: 0,
        ttl: 0,
        header: L3,
        payload: header.payload,
        part: Part::Whole,
        meta: 0,
        options_size: 0,
        is_plain: header.is_plain,
    }))
}

/// Checks the rest of a packet that is a tunnel's.
#[inline(always)]
fn open<F: Frame, A: Copy + Into<IpAddr>>(
    frame: &F,
    ip: &Ip<A>,
    row: &Row,
    port: u16,
    before: usize,
) -> Result<Received, DropReason> {
    let malformed = DropReason::TunnelMalformed;
    if !ip.is_valid {
        return Err(malformed);
    }
    let head = frame.head();
    let mut end = ip.end;
    // Our own stack's checksums may be unfinished; it vouches for them.
    let pending = usize::from(frame.offload().csum_start) == ip.l4;
    if before != 0 {
        let header = udp::Header::at(head, ip.l4).ok_or(malformed)?;
        end = ip.l4 + usize::from(header.size.get());
        if end > ip.end || end < ip.l4 + before {
            return Err(malformed);
        }
        // RFC 6935 section 5: a tunnel's zero checksum is accepted over IPv6 as well.
        let wrong = || {
            let pseudo = ip.pseudo.u16(header.size.get());
            pseudo.u16(sum(frame, ip.l4, end)).finish() != 0
        };
        if header.checksum.get() != 0 && !pending && wrong() {
            return Err(malformed);
        }
    }
    let tunnel = head
        .get(ip.l4 + before..end.min(head.len()))
        .ok_or(malformed)?;
    let Header {
        key,
        size,
        csum,
        payload,
        is_plain,
    } = (row.parse)(tunnel)?;
    if csum && !pending && sum(frame, ip.l4, end) != 0xffff {
        return Err(malformed);
    }
    let header = ip.l4 + before;
    Ok(Received {
        lookup: crate::model::tunnel::Received {
            kind: row.kind,
            port,
            remote: Peer::Ip(ip.src.into()),
            local: Some(ip.dst.into()),
            key,
        },
        start: header + size,
        end,
        tos: ip.tos,
        ttl: ip.ttl,
        header,
        payload,
        part: Part::Whole,
        meta: 0,
        options_size: 0,
        is_plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Pool;
    use crate::model::id::BridgeId;
    use crate::model::id::PortId;
    use crate::model::tunnel::{Encap, Exit, Remote, TunnelKey, TunnelType};
    use crate::sim::{SimFrame, SimPool};
    use proptest::prelude::*;
    use std::sync::Arc;

    const VXLAN: Encap = Encap::Vxlan {
        gbp: false,
        gpe: false,
    };
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn frame(bytes: &[u8]) -> SimFrame {
        let mut pool = SimPool::default();
        let mut frame = pool.alloc(bytes.len()).expect("memory");
        pool.write(&mut frame, 0, bytes);
        frame
    }

    fn config(kind: TunnelType, v6: bool, key: TunnelKey, csum: bool, df: bool) -> TunnelConfig {
        let (encap, port) = match kind {
            TunnelType::Vxlan => (VXLAN, 4789),
            _ => (Encap::Gre { sequence: false }, 0),
        };
        TunnelConfig {
            csum,
            tos: ByteChoice::Value(0xb8),
            ttl: ByteChoice::Inherit,
            df,
            ..TunnelConfig::new(encap, Remote::Ip(address(v6, 2)))
        }
        .with_port(port)
        .with_key(key)
    }

    /// As Linux sends it.
    fn with_encapsulation_limit(mut bytes: Vec<u8>) -> Vec<u8> {
        let size = u16::from_be_bytes([bytes[18], bytes[19]]) + 8;
        bytes[18..20].copy_from_slice(&size.to_be_bytes());
        let next = std::mem::replace(&mut bytes[20], ipproto::DESTINATION);
        bytes.splice(54..54, [next, 0, 4, 1, 4, 1, 1, 0]);
        bytes
    }

    fn address(v6: bool, host: u8) -> IpAddr {
        match v6 {
            false => Ipv4Addr::new(10, 0, 0, host).into(),
            true => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into(),
        }
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(
            inner in prop::collection::vec(any::<u8>(), 14..300),
            is_gre: bool, v6: bool, csum: bool, df: bool, key in 0..0xff_ffffu64, form in 0..3, limit: bool,
        ) {
            let kind = if is_gre { TunnelType::Gre } else { TunnelType::Vxlan };
            let form = [TunnelKey::None, TunnelKey::Value(key), TunnelKey::Flow][form as usize];
            let config = config(kind, v6, form, csum, df);
            let route = Route {
                exit: Exit::Bridge(BridgeId(0)),
                source: Some(address(v6, 1)),
                source_mac: MacAddr::ZERO,
                next_hop_mac: MAC,
                mtu: 1500,
                egress_mtu: 1500,
            };
            let mut frame = frame(&inner);
            let outer = Outer::new(&config, &route, None).expect("one family");
            let tunnel = Tunnel { config, route: None, state: Arc::default() };
            let words = [key, 0, 0, 0, 0, 0, 0];
            outer.encapsulate(&mut frame, &tunnel, &words, &[], Part::Whole, 7).expect("it fits");
            let config = tunnel.config.clone();
            if v6 && limit {
                frame = self::frame(&with_encapsulation_limit(frame.bytes().to_vec()));
            }
            // The other end sees the addresses the other way round.
            let mut tunnels = TunnelMap::default();
            tunnels.insert(&TunnelConfig { remote: Remote::Ip(address(v6, 1)), ..config }, PortId(5));
            let received = recognise(&frame, MAC, &tunnels, |ip| *ip == address(v6, 2));
            let mut received = received.expect("a tunnel's").expect("well formed");
            received.accept(&tunnel, &frame.bytes()).expect("well formed");
            let sent = match form {
                TunnelKey::None if is_gre => None,
                TunnelKey::None => Some(0),
                _ => Some(key),
            };
            prop_assert_eq!(received.lookup.key, sent);
            prop_assert_eq!(&frame.bytes()[received.start..received.end], &inner[..]);
            prop_assert_eq!(tunnels.lookup(&received.lookup), Some(PortId(5)));
        }

        #[test]
        fn noise_never_panics(
            kind in 0..4usize, rest in prop::collection::vec(any::<u8>(), 0..100), flip in 0..60usize,
        ) {
            let starts: [&[u8]; 4] = [
                &[0x08, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0],
                &[0x08, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 47, 0, 0],
                &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 50, 17, 64],
                &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 50, 47, 64],
            ];
            let mut bytes = [&MAC.0[..], &[0; 6], starts[kind], &rest].concat();
            if kind < 2 && bytes.len() >= 34 {
                bytes[24..26].fill(0);
                let sum = checksum::of(&bytes[14..34]);
                bytes[24..26].copy_from_slice(&sum.to_be_bytes());
            }
            if let Some(byte) = bytes.get_mut(flip) {
                *byte ^= 1;
            }
            let mut tunnels = TunnelMap::default();
            for kind in [TunnelType::Vxlan, TunnelType::Gre] {
                tunnels.insert(&config(kind, false, TunnelKey::Flow, false, true), PortId(1));
            }
            let _ = recognise(&frame(&bytes), MAC, &tunnels, |_| true);
        }
    }
}
