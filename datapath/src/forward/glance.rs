//! Received tunnel packets that are told at a glance.
//!
//! What: once a packet was recognised, accepted and found to be a port's the long way (`underlay`), the next one whose outer headers say the same
//! is that port's as well: a handful of words are compared, and what differs between packets (sizes, TTL, the header's checksum) is
//! checked. A burst of one tunnel's packets is opened as a whole.
//! Validity: for one published version; the long way finds out again.
//! Nearly the same is done for packets in two fragments (`pairs`).
//! What does not come here: IPv6, other fragments, UDP and GRE checksums, options and extensions, sequence numbers, parts.

mod pairs;

use super::execute::{Context, Executor, Nesting, TunnelWords};
use super::trace::Observer;
use super::underlay::{fill_words, take_congestion};
use crate::edge::{BURST, Frame, Pool};
use crate::model::id::PortId;
use crate::model::port::PortView;
use crate::model::tunnel::{Encap, Layer, Tunnel, TunnelState};
use crate::model::tunnel_stats::TunnelCounter;
use crate::model::{BridgeId, Snapshot};
use crate::tunnel::{Tunnelled, l2tpv3};
use ofp::key::word;
use ofp::message::port_config;
use ofp::types::PortNo;
use packet::gpw::Part;
use packet::{Wire, ethernet, ethertype, gre, ipproto, ipv4, udp};
use std::sync::Arc;

/// Tunnels that are remembered.
const KNOWN_LEN: usize = 64;
const L3: usize = ethernet::Header::SIZE;
const L4: usize = L3 + ipv4::Header::SIZE;
/// Outer headers with a frame inside are so long at least: GRE's without a key.
const LEAST: usize = L4 + 4 + ethernet::Header::SIZE;
/// Instead of a protocol of IP: the tunnel's header is directly behind Ethernet's. (0 is that of IPv6's hop-by-hop options.)
const NO_PROTOCOL: u8 = 0;
/// Ether type, version and size of an IPv4 header without options.
const PLAIN: u32 = (ethertype::IPV4 as u32) << 8 | 0x45;

/// What the packets of one tunnel have in common.
#[derive(Clone, Debug)]
struct Glance {
    /// The port by which they reach the host.
    by: PortId,
    /// That of the tunnel.
    to: PortId,
    /// Addresses, ether type, and the two bytes behind it: all of them are compared over Ethernet, of IP the destination alone.
    link: [u64; 2],
    /// Source and destination.
    addresses: u64,
    protocol: u8,
    /// UDP's destination.
    port: u64,
    /// Where the tunnel's own header is, and its bits that are compared.
    at: usize,
    header: [u64; 2],
    mask: [u64; 2],
    /// L2TPv3: while the peer's packets have no numbers.
    state: Option<Arc<TunnelState>>,
    /// Where the frame inside is.
    start: usize,
    words: TunnelWords,
}

/// What differs between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Where the frame inside ends.
    end: usize,
    tos: u8,
    ttl: u8,
}

/// See the file's description.
#[derive(Default)]
pub(super) struct Glances {
    /// The published version that all this is true for.
    version: u64,
    slots: Vec<Option<Glance>>,
}

/// A burst that was opened.
pub(super) struct Opened {
    pub bridge: BridgeId,
    pub in_port: PortNo,
    /// Index of the tunnel words of all.
    pub words: u32,
    /// Bytes of all frames.
    pub bytes: u64,
}

#[inline(always)]
fn at(head: &[u8; LEAST], place: usize) -> u64 {
    let bytes = head.get(place..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Sixteen bytes from there on.
#[inline(always)]
fn header_at(head: &[u8], place: usize) -> Option<[u64; 2]> {
    let bytes = u128::from_be_bytes(*head.get(place..)?.first_chunk()?);
    Some([(bytes >> 64) as u64, bytes as u64])
}

/// Whether the sum of an IPv4 header without options is right: of its bytes as they come, three words.
#[inline(always)]
fn is_right(words: [u64; 3]) -> bool {
    const LOW: u64 = 0xffff_ffff;
    let sum: u64 = words.iter().map(|word| (word >> 32) + (word & LOW)).sum();
    let sum = (sum >> 32) + (sum & LOW);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    (sum >> 16) + (sum & 0xffff) == 0xffff
}

impl Glance {
    /// Of a packet that is the tunnel's. `None`: what it is like is not told at a glance.
    fn new(
        by: &PortView,
        to: &PortView,
        tunnel: &Tunnel,
        found: &Tunnelled,
        head: &[u8],
    ) -> Option<Glance> {
        let whole = head;
        let head: &[u8; LEAST] = whole.first_chunk()?;
        let is_link = found.lookup.local.is_none();
        let protocol = match is_link {
            true => NO_PROTOCOL,
            false => head[L3 + 9],
        };
        let (at_header, port) = match protocol {
            NO_PROTOCOL => (L3, 0),
            ipproto::UDP => (L4 + udp::Header::SIZE, at(head, L4) >> 32 & 0xffff),
            ipproto::GRE | ipproto::L2TP => (L4, 0),
            _ => return None,
        };
        let bits = |bytes: usize| match bytes {
            0 => 0,
            bytes => u64::MAX << (64 - 8 * bytes.min(8)),
        };
        let size = found.start.checked_sub(at_header)?;
        let mask = match size {
            0..=16 => [bits(size), bits(size.saturating_sub(8))],
            _ => return None,
        };
        let header = header_at(whole, at_header)?;
        let has_sum = protocol == ipproto::GRE && header[0] >> 48 & u64::from(gre::CHECKSUM) != 0;
        let is_simple = match &tunnel.config.encap {
            Encap::Vxlan { .. } | Encap::Gre { .. } | Encap::Geneve => found.is_plain,
            Encap::L2tpv3(settings) => {
                !settings.receive_sequence
                    && settings.service_vid.is_none()
                    && !l2tpv3::has_numbers(&tunnel.state)
            }
            Encap::Gpw { .. } => is_link,
        };
        let is_usual = is_link || at(head, L3 - 6) >> 8 & 0xff_ffff == u64::from(PLAIN);
        let is_plain = is_simple
            && is_usual
            && found.part == Part::Whole
            && found.payload == ethertype::TEB
            && found.header == at_header
            && tunnel.config.layer == Layer::Ethernet;
        let state = matches!(tunnel.config.encap, Encap::L2tpv3(_)).then(|| tunnel.state.clone());
        let mut words = TunnelWords::default();
        fill_words(&mut words, found);
        let is_open = to.config & (port_config::NO_RECV | port_config::PORT_DOWN) == 0;
        (is_plain && is_open && !has_sum).then_some(Glance {
            by: by.id,
            to: to.id,
            link: [at(head, 0), at(head, 8)],
            addresses: at(head, L3 + 12),
            protocol,
            port,
            at: at_header,
            header,
            mask,
            state,
            start: found.start,
            words,
        })
    }
    /// What differs, if a frame is such a packet.
    #[inline(always)]
    fn see<F: Frame>(&self, frame: &F) -> Option<Seen> {
        let (whole, size) = (frame.head(), frame.size());
        let head: &[u8; LEAST] = whole.first_chunk()?;
        if self.protocol == NO_PROTOCOL {
            let is_same = [at(head, 0), at(head, 8)] == self.link;
            return (is_same && self.is_usual(frame, size)).then_some(Seen {
                end: size,
                ..Seen::default()
            });
        }
        let (types, sizes) = (at(head, L3 - 6), at(head, L3 + 2));
        let (addresses, transport) = (at(head, L3 + 12), at(head, L4));
        let ip_end = L3 + (sizes >> 48) as usize;
        let header = header_at(whole, self.at)?;
        // One jump: next to all packets are those that they seem to be.
        let differs = (at(head, 0) ^ self.link[0]) >> 16
            | addresses ^ self.addresses
            | (header[0] ^ self.header[0]) & self.mask[0]
            | (header[1] ^ self.header[1]) & self.mask[1]
            | (types >> 8 & 0xff_ffff) ^ u64::from(PLAIN)
            | sizes & 0x3fff_0000
            | (sizes & 0xff) ^ u64::from(self.protocol);
        let end = match self.protocol {
            ipproto::UDP => {
                if transport >> 32 & 0xffff != self.port || transport & 0xffff != 0 {
                    return None;
                }
                L4 + (transport >> 16 & 0xffff) as usize
            }
            _ => ip_end,
        };
        let last = at(head, L3 + 12) as u32;
        let sum = [at(head, L3), at(head, L3 + 8), u64::from(last)];
        if differs != 0
            || ip_end > size
            || end > ip_end
            || !is_right(sum)
            || !self.is_usual(frame, end)
        {
            return None;
        }
        Some(Seen {
            end,
            tos: types as u8,
            ttl: (sizes >> 8) as u8,
        })
    }
    /// Whether the frame inside, which ends there, has a header without tags, and nothing is to be done to it.
    #[inline(always)]
    fn is_usual<F: Frame>(&self, frame: &F, end: usize) -> bool {
        let ether_type = frame.head().get(self.start + 12..self.start + 14);
        let is_tagged = |bytes: &[u8]| {
            let ether_type = bytes.first_chunk().map_or(0, |b| u16::from_be_bytes(*b));
            ethertype::is_vlan(ether_type)
        };
        self.start + ethernet::Header::SIZE <= end
            && ether_type.is_some_and(|bytes| !is_tagged(bytes))
            && frame.offload().is_finished()
            && !self.state.as_deref().is_some_and(l2tpv3::has_numbers)
    }
    /// The tunnel words of such a packet.
    fn words(&self, seen: Seen) -> TunnelWords {
        let mut words = self.words;
        words[word::TUN_META - word::TUN_ID] =
            u64::from(seen.ttl) << 24 | u64::from(seen.tos) << 16;
        words
    }
}

/// Takes the outer headers off.
#[inline(always)]
fn strip<F: Frame>(frame: &mut F, glance: &Glance, seen: Seen) {
    if seen.end < frame.size() {
        frame.trim(seen.end);
    }
    frame.pull(glance.start);
}

impl Glances {
    #[inline(always)]
    fn index(head: &[u8]) -> usize {
        let word = |place: usize| {
            let bytes = head.get(place..).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        let (transport, types) = (word(L4), word(L3 - 6));
        if types >> 16 & 0xffff == u64::from(ethertype::GPW) {
            return (types.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % KNOWN_LEN;
        }
        let key = match head.get(L3 + 9) {
            Some(&ipproto::UDP) => word(L4 + udp::Header::SIZE + 4) >> 32,
            Some(&ipproto::GRE) if transport >> 48 & u64::from(gre::KEY) != 0 => {
                transport & 0xffff_ffff
            }
            Some(&ipproto::L2TP) => transport >> 32,
            _ => 0,
        };
        let hash = word(L3 + 12) ^ key.rotate_left(24);
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % KNOWN_LEN
    }
    /// What a packet has to be compared with.
    #[inline(always)]
    fn get<F: Frame>(&self, snapshot: &Snapshot, by: PortId, frame: &F) -> Option<&Glance> {
        if self.version != snapshot.version {
            return None;
        }
        let glance = self.slots.get(Glances::index(frame.head()))?.as_ref()?;
        (glance.by == by).then_some(glance)
    }
    /// The tunnel of such a packet, and what is its own, if that is told at a glance.
    #[inline(always)]
    fn find<F: Frame>(
        &self,
        snapshot: &Snapshot,
        by: PortId,
        frame: &F,
    ) -> Option<(&Glance, Seen)> {
        let glance = self.get(snapshot, by, frame)?;
        let seen = glance.see(frame)?;
        Some((glance, seen))
    }
    /// Remembers a packet that was found the long way.
    pub fn note(
        &mut self,
        snapshot: &Snapshot,
        (by, to): (&PortView, &PortView),
        tunnel: &Tunnel,
        found: &Tunnelled,
        head: &[u8],
    ) {
        if self.version != snapshot.version || self.slots.is_empty() {
            self.version = snapshot.version;
            self.slots.clear();
            self.slots.resize(KNOWN_LEN, None);
        }
        let glance = Glance::new(by, to, tunnel, found, head);
        if let Some(slot) = self.slots.get_mut(Glances::index(head))
            && glance.is_some()
        {
            *slot = glance;
        }
    }
}

impl<P: Pool> Executor<P> {
    /// Opens a packet for the host that is a tunnel's at a glance. Gives back what is not.
    #[inline]
    pub fn open_at_once<O: Observer>(
        &mut self,
        cx: Context<'_>,
        mut nesting: Nesting,
        by: &PortView,
        was_split: bool,
        mut frame: P::Frame,
        o: &mut O,
    ) -> Option<P::Frame> {
        let found = self.glances.find(cx.snapshot, by.id, &frame);
        let Some((glance, seen)) = found else {
            return Some(frame);
        };
        let Some(to) = cx.snapshot.port(glance.to) else {
            return Some(frame);
        };
        let (counter, outer) = (TunnelCounter::RxPackets, frame.size() as u64);
        self.stats.tunnel_packet(to.id, counter, outer);
        if was_split {
            self.stats.tunnel(to.id, TunnelCounter::RxReassembled, 1);
        }
        strip(&mut frame, glance, seen);
        if seen.tos & 3 != 0
            && let Err(reason) = take_congestion(&mut frame, seen.tos)
        {
            self.not_received(to.id, frame, reason, o);
            return None;
        }
        self.words.push(glance.words(seen));
        self.count_received(to.id, frame.size() as u64);
        let words = self.words.len() as u32 - 1;
        nesting.tunnels = nesting.tunnels.saturating_sub(1);
        self.go_on(nesting, to.bridge, to.number, words, frame, o);
        None
    }
    /// Opens frames for the host, if at a glance all are packets of one tunnel with nothing special about them; nothing is done if not.
    pub fn open_all(
        &mut self,
        cx: Context<'_>,
        by: &PortView,
        frames: &mut [P::Frame],
    ) -> Option<Opened> {
        let (glance, first) = self.glances.find(cx.snapshot, by.id, frames.first()?)?;
        let to = cx.snapshot.port(glance.to)?;
        let mut ends = [0; BURST];
        if first.tos & 3 != 0 || frames.len() > BURST {
            return None;
        }
        for (frame, end) in frames.iter().zip(&mut ends) {
            let seen = glance.see(frame)?;
            if (seen.tos, seen.ttl) != (first.tos, first.ttl) {
                return None;
            }
            *end = seen.end;
        }
        let (mut outer, mut bytes) = (0, 0);
        for (frame, end) in frames.iter_mut().zip(ends) {
            outer += frame.size() as u64;
            strip(frame, glance, Seen { end, ..first });
            bytes += frame.size() as u64;
        }
        let (packets, index) = (frames.len() as u64, to.id.0 as usize);
        let counter = TunnelCounter::RxPackets as usize;
        self.stats
            .tunnels
            .add_from(index, counter, [packets, outer]);
        self.stats.ports.add_from(index, 0, [packets, bytes]);
        // Each of them went on once.
        self.spent.fill(1);
        self.words.push(glance.words(first));
        Some(Opened {
            bridge: to.bridge,
            in_port: to.number,
            words: self.words.len() as u32 - 1,
            bytes,
        })
    }
}
