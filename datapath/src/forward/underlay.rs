//! Between overlay and underlay: frames into tunnels, and frames out of them.

use super::execute::{Context, Executor, NO_WORDS, Nesting, Place, TunnelWords};
use super::mail::Then;
use super::prepared::At;
use super::program::Overlay;
use super::pseudowire::{can_halve, may_arrive_by};
use super::reassembly::Purpose;
use super::trace::Observer;
use crate::edge::{Frame, HEADROOM, Pool, Segmentation};
use crate::fragment::{DontFragment, Refusal};
use crate::model::id::PortId;
use crate::model::port::{PortKind, PortView};
use crate::model::tlv::{OptionWords, Options, TlvMap};
use crate::model::tunnel::{Encap, Exit, Fragmentation, Layer, Peer, Received, Remote};
use crate::model::tunnel::{Route, Tunnel, TunnelConfig};
use crate::model::tunnel_stats::TunnelCounter;
use crate::model::{BridgeId, DropReason, Snapshot};
use crate::tunnel::too_big::is_minimal;
use crate::tunnel::{self, Outer, Tunnelled};
use flow::bare::SPARE;
use ofp::key::word;
use ofp::types::PortNo;
use packet::gpw::Part;
use packet::{MacAddr, Wire, ethernet, ethertype, ipv4, ipv6};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Tunnels one inside the other: what RFC 2473 section 6.6 proposes. More are a loop.
const MAX_TUNNELS: u8 = 4;

/// Tunnels that are remembered.
const KNOWN_LEN: usize = 64;

/// To which ports received tunnel packets were found to belong, by what they say of themselves: one
/// comparison instead of the map's search by ever less specific settings, which took 24 % of the 391 cycles of
/// decapsulation.
#[derive(Default)]
pub(super) struct Known {
    /// Of the snapshot that all this is true for.
    version: u64,
    ours: Option<(BridgeId, IpAddr)>,
    /// Who may be the other end of a tunnel.
    peer: Option<IpAddr>,
    ports: Vec<Option<(Received, PortId)>>,
}

impl Known {
    #[inline]
    pub fn refresh(&mut self, snapshot: &Snapshot) {
        if self.version != snapshot.version {
            self.version = snapshot.version;
            self.ours = None;
            self.peer = None;
            self.ports.clear();
            self.ports.resize(KNOWN_LEN, None);
        }
    }
    #[inline]
    pub fn is_ours(&mut self, snapshot: &Snapshot, bridge: BridgeId, ip: &IpAddr) -> bool {
        if self
            .ours
            .as_ref()
            .is_some_and(|ours| ours.0 == bridge && ours.1 == *ip)
        {
            return true;
        }
        let address = (bridge, *ip);
        let is_ours = snapshot.addresses.contains(&address);
        if is_ours {
            self.ours = Some(address);
        }
        is_ours
    }
    #[inline]
    pub fn may_come_from(&mut self, snapshot: &Snapshot, ip: IpAddr) -> bool {
        if self.peer == Some(ip) {
            return true;
        }
        let may = snapshot.tunnels.may_come_from(ip);
        if may {
            self.peer = Some(ip);
        }
        may
    }
    #[inline(always)]
    fn port(&mut self, snapshot: &Snapshot, received: &Received) -> Option<PortId> {
        let remote = match received.remote {
            Peer::Ip(IpAddr::V4(ip)) => u64::from(ip.to_bits()),
            Peer::Ip(IpAddr::V6(ip)) => ip.to_bits() as u64,
            Peer::Link(mac) => mac.to_u64(),
        };
        let hash = (remote ^ received.key.unwrap_or(0).rotate_left(32))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = self.ports.get_mut((hash >> 32) as usize % KNOWN_LEN)?;
        if let Some((known, port)) = slot
            && known == received
        {
            return Some(*port);
        }
        let port = snapshot.tunnels.lookup(received)?;
        *slot = Some((*received, port));
        Some(port)
    }
}

impl<P: Pool> Executor<P> {
    /// A frame leaves through a tunnel port.
    #[allow(clippy::too_many_arguments, reason = "they are the step's fields")]
    pub fn enter_tunnel<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        tunnel: &Arc<Tunnel>,
        words: &TunnelWords,
        frame: P::Frame,
        o: &mut O,
    ) {
        let unusual = self.encapsulate_at_once(cx, nesting, port, words, frame, o);
        let Some(mut frame) = unusual else {
            return;
        };
        if nesting.tunnels >= MAX_TUNNELS {
            return self.not_sent(port.id, frame, DropReason::TunnelNested, o);
        }
        let (route, ends) = match tunnel.config.remote {
            Remote::Ip(_) | Remote::Link(_) => (tunnel.route.as_ref(), None),
            Remote::Flow => match tunnel.config.ends(words) {
                Some(ends) => (cx.snapshot.routes.get(&ends).map(AsRef::as_ref), Some(ends)),
                None => return self.not_sent(port.id, frame, DropReason::TunnelNoRemote, o),
            },
        };
        let Some(route) = route else {
            return self.wait(cx, port, ends, words, frame, o);
        };
        if frame.offload().segmentation != Segmentation::None {
            // Each part becomes a tunnel packet of its own.
            return self.segments(frame, o, |to, part, o| {
                to.encapsulate(cx, nesting, port, tunnel, route, words, part, o);
            });
        }
        match tunnel::finish_checksum(&mut frame) {
            Ok(()) => self.encapsulate(cx, nesting, port, tunnel, route, words, frame, o),
            Err(reason) => self.not_sent(port.id, frame, reason, o),
        }
    }
    #[allow(clippy::too_many_arguments, reason = "they are the step's fields")]
    #[inline]
    pub fn encapsulate<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        tunnel: &Arc<Tunnel>,
        route: &Route,
        words: &TunnelWords,
        frame: P::Frame,
        o: &mut O,
    ) {
        let part = Part::Whole;
        self.encapsulate_part(cx, nesting, port, tunnel, route, words, part, frame, o);
    }
    /// The same of a frame that may be a pseudowire's part. What is not whole is counted by who cut it.
    #[allow(clippy::too_many_arguments, reason = "they are the packet's")]
    #[inline]
    pub fn encapsulate_part<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        tunnel: &Arc<Tunnel>,
        route: &Route,
        words: &TunnelWords,
        part: Part,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let size = frame.size();
        if nesting.tunnels > 0 {
            // Its room in front may be used up.
            let Some(copy) = self.pool.copy(&frame) else {
                return self.not_sent(port.id, frame, DropReason::NoMemory, o);
            };
            self.trash.push(std::mem::replace(&mut frame, copy));
        }
        if self.sending.is_some() {
            frame = self.with_room(frame);
        }
        let found = self
            .prepared
            .outer(&self.stats, port.id, tunnel, route, words);
        let Some((at, outer)) = found else {
            return self.not_sent(port.id, frame, DropReason::TunnelUnresolved, o);
        };
        let options = self
            .sending
            .as_deref()
            .filter(|_| tunnel.config.encap == Encap::Geneve);
        let options = options.map_or(&[][..], Options::bytes);
        let room = outer.room(&tunnel.config, words);
        let (limit, room) = (outer.limit(), room.saturating_sub(options.len()));
        if size > room && part == Part::Whole && can_halve(&tunnel.config, size) {
            return self.send_halves(cx, nesting, port, tunnel, route, words, room, frame, o);
        }
        if size > room
            && tunnel.config.fragmentation == Fragmentation::Never
            && !is_minimal(frame.head(), size)
        {
            return self.too_big(cx, nesting, port, tunnel, route, words, room, frame, o);
        }
        let own_size = size.saturating_sub(outer.stripped(&tunnel.config, words)) as u64;
        let id = outer
            .ids_of()
            .map_or(0, |hosts| self.splitter.next_id(hosts));
        if let Err(reason) = outer.encapsulate(&mut frame, tunnel, words, options, part, id) {
            return self.not_sent(port.id, frame, reason, o);
        }
        o.note(format_args!("encapsulated by {}", port.name));
        if O::EXPLAINS {
            let outer = flow::print::packet(frame.head());
            o.note(format_args!("outer header: {outer}"));
        }
        let whole_size = (part == Part::Whole).then_some(own_size);
        if size > room {
            return self.depart_split(cx, nesting, port, (route, at), limit, whole_size, frame, o);
        }
        if let Some(size) = whole_size {
            self.count_sent(port.id, size);
        }
        let outer_size = frame.size() as u64;
        self.stats
            .tunnel_packet(port.id, TunnelCounter::TxPackets, outer_size);
        self.depart(cx, nesting, (route, at), frame, o);
    }
    /// A frame with room in front for the options that it gets, beside the outer header; or the frame as it is.
    #[cold]
    fn with_room(&mut self, frame: P::Frame) -> P::Frame {
        let size = self
            .sending
            .as_deref()
            .map_or(0, |options| options.bytes().len());
        if size <= HEADROOM - Outer::SIZE_MAX {
            return frame;
        }
        let Some(mut larger) = self.pool.alloc(size + frame.size()) else {
            return frame;
        };
        let mut at = size;
        frame.for_each_segment(&mut |segment| {
            self.pool.write(&mut larger, at, segment);
            at += segment.len();
        });
        larger.set_offload(frame.offload());
        larger.pull(size);
        self.trash.push(frame);
        larger
    }
    /// Sends a tunnel packet on its way in fragments. `whole_size`: that of the frame inside, if it counts as sent then.
    #[allow(clippy::too_many_arguments, reason = "they are the packet's")]
    fn depart_split<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        way: (&Route, At),
        limit: usize,
        whole_size: Option<u64>,
        frame: P::Frame,
        o: &mut O,
    ) {
        let mut parts = std::mem::take(&mut self.parts);
        let split = self.splitter.split(
            &mut self.pool,
            frame,
            limit,
            DontFragment::Ignore,
            &mut parts,
        );
        match split {
            Ok(len) => {
                o.note(format_args!("in {len} fragments"));
                if let Some(size) = whole_size {
                    self.count_sent(port.id, size);
                }
                self.stats.tunnel(port.id, TunnelCounter::TxFragmented, 1);
                self.stats
                    .tunnel(port.id, TunnelCounter::TxFragments, len as u64);
                for part in parts.drain(..) {
                    let size = part.size() as u64;
                    self.stats
                        .tunnel_packet(port.id, TunnelCounter::TxPackets, size);
                    self.depart(cx, nesting, way, part, o);
                }
            }
            Err((refusal, frame)) => {
                o.note(format_args!("not split: {}", refusal.text()));
                let reason = match refusal {
                    Refusal::NoMemory => DropReason::NoMemory,
                    _ => DropReason::TunnelTooBig,
                };
                self.not_sent(port.id, frame, reason, o);
            }
        }
        self.parts = parts;
    }
    /// Drops what a tunnel port was to send.
    #[cold]
    pub fn not_sent<O: Observer>(
        &mut self,
        port: PortId,
        frame: P::Frame,
        reason: DropReason,
        o: &mut O,
    ) {
        self.count_not_sent(port, reason, o);
        self.trash.push(frame);
    }
    /// Counts a frame that a tunnel port was to send.
    #[cold]
    pub fn count_not_sent<O: Observer>(&mut self, port: PortId, reason: DropReason, o: &mut O) {
        self.stats.ports.add(port.0 as usize, 5, 1);
        self.stats.tunnel(port, TunnelCounter::sent(reason), 1);
        o.drop(reason);
        self.stats.dropped(reason);
    }
    /// Drops what a tunnel port received.
    #[cold]
    pub fn not_received<O: Observer>(
        &mut self,
        port: PortId,
        frame: P::Frame,
        reason: DropReason,
        o: &mut O,
    ) {
        self.stats.ports.add(port.0 as usize, 4, 1);
        self.stats.tunnel(port, TunnelCounter::received(reason), 1);
        self.drop(frame, reason, o);
    }
    /// Sends a tunnel packet on its way.
    #[inline(always)]
    fn depart<O: Observer>(
        &mut self,
        cx: Context<'_>,
        mut nesting: Nesting,
        (route, at): (&Route, At),
        mut frame: P::Frame,
        o: &mut O,
    ) {
        match route.exit {
            Exit::Bridge(bridge) => {
                if !O::EXPLAINS {
                    match self.depart_at_once(cx, nesting, (at, bridge), frame, o) {
                        Some(other) => frame = other,
                        None => return,
                    }
                }
                nesting.tunnels += 1;
                self.go_on(nesting, bridge, PortNo::LOCAL, NO_WORDS, frame, o);
            }
            Exit::Port(id) => match cx.snapshot.port(id) {
                Some(port) => {
                    // What the port sends is a tunnel packet, whatever is in it.
                    let inside = std::mem::take(&mut self.bpdu);
                    self.transmit(port, frame, o);
                    self.bpdu = inside;
                }
                None => self.drop(frame, DropReason::NoPort, o),
            },
        }
    }
    /// A frame for the host: a tunnel packet goes on inside instead; parts of one are held.
    pub fn reach_host<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        frame: P::Frame,
        o: &mut O,
    ) {
        let mut frame = frame;
        // A fragment is not opened, and most are IPv4's.
        if O::EXPLAINS || !is_part(frame.head()) {
            match self.open_for_host(cx, nesting, port, false, frame, o) {
                Some(other) => frame = other,
                None => return,
            }
        }
        if !self.is_tunnel_part(cx, port, frame.head()) {
            return self.transmit(port, frame, o);
        }
        let then = Then::Host(port.id, nesting);
        if let Some(frame) = self.hold(cx, Purpose::Host, port.bridge, then, frame, o) {
            self.transmit(port, frame, o);
        }
    }
    /// A packet for the host that was put together here: what is no tunnel's reaches it as large as it is.
    pub fn reach_host_whole<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        frame: P::Frame,
        o: &mut O,
    ) {
        if let Some(frame) = self.open_for_host(cx, nesting, port, true, frame, o) {
            self.transmit_any(port, frame, o);
        }
    }
    /// Opens a tunnel packet for the host, which may have been put together here; gives back what is none.
    #[inline]
    fn open_for_host<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        was_split: bool,
        mut frame: P::Frame,
        o: &mut O,
    ) -> Option<P::Frame> {
        if !O::EXPLAINS {
            frame = self.open_at_once(cx, nesting, port, was_split, frame, o)?;
        }
        let known = &mut self.known;
        known.refresh(cx.snapshot);
        let is_ours = |ip: &IpAddr| known.is_ours(cx.snapshot, port.bridge, ip);
        let mut found = tunnel::recognise(&frame, port.mac, &cx.snapshot.tunnels, is_ours);
        let tunnelled = match &mut found {
            None => return Some(frame),
            Some(Err(reason)) => {
                self.drop(frame, *reason, o);
                return None;
            }
            Some(Ok(tunnelled)) => tunnelled,
        };
        let Some(to) = self.known.port(cx.snapshot, &tunnelled.lookup) else {
            // Nobody's: the host may know it, or say that it does not.
            let unclaimed = &self.stats.unclaimed;
            unclaimed.store(unclaimed.load(Relaxed) + 1, Relaxed);
            return Some(frame);
        };
        if was_split {
            self.stats.tunnel(to, TunnelCounter::RxReassembled, 1);
        }
        self.decapsulated(cx, nesting, port, to, tunnelled, frame, o);
        None
    }
    /// A tunnel packet that came from the host's stack, or by a pseudowire's link.
    pub fn leave_tunnel<O: Observer>(
        &mut self,
        cx: Context<'_>,
        origin: u8,
        port: &PortView,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let nesting = Nesting {
            origin,
            ..Nesting::default()
        };
        self.known.refresh(cx.snapshot);
        let mut found = tunnel::recognise(&frame, MacAddr::ZERO, &cx.snapshot.tunnels, |_| true);
        let tunnelled = match &mut found {
            Some(Ok(tunnelled)) => Ok(tunnelled),
            Some(Err(reason)) => Err(*reason),
            None => Err(DropReason::TunnelUnknown),
        };
        let found = tunnelled.and_then(|tunnelled| {
            let to = self.known.port(cx.snapshot, &tunnelled.lookup);
            to.map(|to| (to, tunnelled))
                .ok_or(DropReason::TunnelUnknown)
        });
        match found {
            Ok((to, tunnelled)) => {
                if matches!(port.kind, PortKind::Host) {
                    tunnel::note_unfinished(&mut frame, tunnelled.start);
                }
                self.decapsulated(cx, nesting, port, to, tunnelled, frame, o);
            }
            Err(reason) => {
                self.stats.ports.add(port.id.0 as usize, 4, 1);
                self.drop(frame, reason, o);
            }
        }
    }
    /// A tunnel's packet, which `by` received, has reached its port.
    #[allow(clippy::too_many_arguments, reason = "they are the packet's")]
    #[inline(always)]
    fn decapsulated<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        by: &PortView,
        to: PortId,
        tunnelled: &mut Tunnelled,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let to = cx.snapshot.port(to);
        let found = to.and_then(|to| Some((to, to.kind.tunnel()?)));
        let Some((to, tunnel)) = found else {
            return self.drop(frame, DropReason::TunnelUnknown, o);
        };
        let accepted = match may_arrive_by(tunnel, by) {
            true => tunnelled.accept(tunnel, frame.head()),
            false => Err(DropReason::TunnelProtocol),
        };
        if accepted == Err(DropReason::TunnelProtocol) && matches!(by.kind, PortKind::Internal) {
            // The host may know what to do with it.
            return self.transmit(by, frame, o);
        }
        let outer_size = frame.size() as u64;
        self.stats
            .tunnel_packet(to.id, TunnelCounter::RxPackets, outer_size);
        let options = match accepted {
            Ok(()) if tunnelled.options_size > 0 => options(cx, to, tunnelled, frame.head()),
            accepted => accepted.map(|()| None),
        };
        if !O::EXPLAINS && accepted.is_ok() && matches!(by.kind, PortKind::Internal) {
            let (ports, head) = ((by, &**to), frame.head());
            self.glances
                .note(cx.snapshot, ports, tunnel, tunnelled, head);
        }
        let options = match options.and_then(|read| strip(&mut frame, tunnelled).map(|()| read)) {
            Ok(options) => options,
            Err(reason) => return self.not_received(to.id, frame, reason, o),
        };
        if tunnelled.part != Part::Whole {
            return self.part_arrived(cx, nesting, to, tunnel, tunnelled, frame, o);
        }
        let index = self.words.len();
        self.surface(nesting, to, tunnel, tunnelled, frame, o);
        if self.words.len() == index {
            return;
        }
        if let Some(options) = options {
            self.options.push((index as u32, options));
        }
        if tunnelled.payload != ethertype::TEB && tunnel.config.layer == Layer::Any {
            self.arrives_bare(cx, to, index as u32, tunnelled.payload);
        }
    }
    /// What a packet's tunnel options say, by the index of its tunnel words.
    #[inline]
    pub fn options_of(&self, words: u32) -> Option<&OptionWords> {
        if self.options.is_empty() {
            return None;
        }
        let at = self
            .options
            .binary_search_by_key(&words, |(index, _)| *index);
        Some(&self.options[at.ok()?].1)
    }
    /// The tunnel options of a packet as actions left them.
    pub fn option_words(&self, at: &Place<'_>, tunnel: &Overlay) -> OptionWords {
        let mut words = self.options_of(at.words).copied().unwrap_or_default();
        tunnel.lay(&mut words, word::TUN_METADATA);
        words
    }
    /// A tunnel's frame, whole and without its outer headers, goes on in the tunnel port's bridge.
    #[inline(always)]
    pub fn surface<O: Observer>(
        &mut self,
        mut nesting: Nesting,
        to: &PortView,
        tunnel: &Tunnel,
        tunnelled: &Tunnelled,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        if let Err(reason) = finish(&mut frame, tunnelled, &tunnel.config) {
            return self.not_received(to.id, frame, reason, o);
        }
        let spare = match tunnelled.payload {
            ethertype::TEB => 0,
            _ => SPARE,
        };
        self.count_received(to.id, frame.size().saturating_sub(spare) as u64);
        o.note(format_args!("decapsulated by {}", to.name));
        // Filled in place: a copy would wait for the stores.
        self.words.push(TunnelWords::default());
        if let Some(words) = self.words.last_mut() {
            fill_words(words, tunnelled);
        }
        let words = self.words.len() as u32 - 1;
        nesting.tunnels = nesting.tunnels.saturating_sub(1);
        self.go_on(nesting, to.bridge, to.number, words, frame, o);
    }
}

/// Whether a frame without tags has a fragment of an IPv4 packet in it.
#[inline]
fn is_part(head: &[u8]) -> bool {
    match head.get(12..22) {
        Some(&[8, 0, first, .., high, low]) => {
            first >> 4 == 4 && u16::from_be_bytes([high, low]) & 0x3fff != 0
        }
        _ => false,
    }
}

/// Reads the options of a packet by the map of the bridge that it comes to.
#[cold]
fn options(
    cx: Context<'_>,
    to: &PortView,
    tunnelled: &Tunnelled,
    head: &[u8],
) -> Result<Option<OptionWords>, DropReason> {
    let bytes = tunnelled.options(head).ok_or(DropReason::TunnelMalformed)?;
    let view = cx.snapshot.bridge(to.bridge);
    match view.and_then(|view| view.config.tlvs.as_deref()) {
        Some(map) => map.read(bytes),
        None => TlvMap::default().read(bytes),
    }
}

/// Takes the outer headers off. A packet that was not in an Ethernet frame gets a header, with addresses of zeros; for
/// tunnels that say what is in them it is not there (see `packet_type`).
fn strip<F: Frame>(frame: &mut F, tunnelled: &Tunnelled) -> Result<(), DropReason> {
    frame.trim(tunnelled.end);
    if !frame.pull(tunnelled.start) {
        return Err(DropReason::TunnelMalformed);
    }
    let mut offload = frame.offload();
    if usize::from(offload.csum_start) >= tunnelled.start {
        offload.shift(-(tunnelled.start as isize));
    } else {
        // What was pending was the outer headers'.
        offload = Default::default();
    }
    if tunnelled.payload != ethertype::TEB {
        let bytes = frame.push(SPARE);
        let header = ethernet::Header {
            dst: MacAddr::ZERO,
            src: MacAddr::ZERO,
            ether_type: tunnelled.payload.into(),
        };
        header.emit(bytes.ok_or(DropReason::NoMemory)?);
        if offload.csum_start != 0 {
            offload.shift(SPARE as isize);
        }
    }
    frame.set_offload(offload);
    Ok(())
}

/// Lets the inner frame have what only the outer headers said: congestion marks go over to it, and the service tag of a VLAN
/// pseudowire becomes ours.
fn finish<F: Frame>(
    frame: &mut F,
    tunnelled: &Tunnelled,
    config: &TunnelConfig,
) -> Result<(), DropReason> {
    if let Encap::L2tpv3(settings) = &config.encap
        && let Some(vid) = settings.service_vid
    {
        tunnel::l2tpv3::rewrite_service_tag(frame, vid)?;
    }
    take_congestion(frame, tunnelled.tos)
}

/// Lets the inner frame have the congestion mark of a header with this byte.
pub(super) fn take_congestion<F: Frame>(frame: &mut F, outer: u8) -> Result<(), DropReason> {
    let head = frame.head_mut();
    let Some(payload) = ethernet::payload(head, 2) else {
        return Err(DropReason::TunnelMalformed);
    };
    match payload.ether_type {
        ethertype::IPV4 => {
            if let Some(header) = ipv4::Header::at_mut(head, payload.offset) {
                let tos = header.tos;
                let ecn = tunnel::congestion(outer, tos).ok_or(DropReason::TunnelEcn)?;
                if ecn != tos & 3 {
                    header.set_tos(tos & 0xfc | ecn);
                }
            }
        }
        ethertype::IPV6 => {
            if let Some(header) = ipv6::Header::at_mut(head, payload.offset) {
                let class = header.traffic_class();
                let ecn = tunnel::congestion(outer, class).ok_or(DropReason::TunnelEcn)?;
                if ecn != class & 3 {
                    header.set_traffic_class(class & 0xfc | ecn);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Fills the key's tunnel words of a received packet; they are 0 before.
#[inline]
pub(super) fn fill_words(words: &mut TunnelWords, tunnelled: &Tunnelled) {
    let mut set = |index: usize, value: u64| words[index - word::TUN_ID] = value;
    set(word::TUN_ID, tunnelled.lookup.key.unwrap_or(0));
    match (&tunnelled.lookup.remote, &tunnelled.lookup.local) {
        (Peer::Ip(IpAddr::V4(src)), Some(IpAddr::V4(dst))) => {
            let (src, dst) = (u64::from(src.to_bits()), u64::from(dst.to_bits()));
            set(word::TUN_IPV4, src << 32 | dst);
        }
        (Peer::Ip(IpAddr::V6(src)), Some(IpAddr::V6(dst))) => {
            let (src, dst) = (src.to_bits(), dst.to_bits());
            set(word::TUN_IPV6_SRC, (src >> 64) as u64);
            set(word::TUN_IPV6_SRC + 1, src as u64);
            set(word::TUN_IPV6_DST, (dst >> 64) as u64);
            set(word::TUN_IPV6_DST + 1, dst as u64);
        }
        _ => {}
    }
    let meta = u64::from(tunnelled.ttl) << 24 | u64::from(tunnelled.tos) << 16;
    set(word::TUN_META, meta | tunnelled.meta);
}
