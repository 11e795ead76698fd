//! Runs programs on frames: rewriting, sending through ports of every kind, punting. Holds what that
//! needs and is a worker's own: its pool, its sending queues, its counters, its rings.

use super::continuation::Continuation;
use super::glance::Glances;
use super::learn::Teacher;
use super::mail::Mailbox;
use super::normal::{Memo, Ways};
use super::packet_type;
use super::prepared::Prepared;
use super::program::{Overlay, Step};
use super::pseudowire::Pseudowires;
use super::queue::Queue;
use super::reassembly::Reassembly;
use super::reshape::{is_large, push_mpls};
use super::rewrite;
use super::send::refusal;
use super::too_big::Answers;
use super::trace::Observer;
use super::underlay::Known;
use super::waiting::Waiting;
use crate::edge::{Frame, Pool};
use crate::fragment::{FRAGMENTS_MAX, Ids, Secret, Splitter};
use crate::model::event::{Event, Punt};
use crate::model::id::PortId;
use crate::model::meter::Share;
use crate::model::port::{PortKind, PortView};
use crate::model::stats::WorkerStats;
use crate::model::tlv::{OptionWords, Options};
use crate::model::tunnel::{Remote, TunnelConfig};
use crate::model::{BridgeId, BridgeView, DropReason, Snapshot};
use crate::time::Time;
use crate::tunnel;
use flow::extract::Layout;
use ofp::field::Field;
use ofp::key::{Key, word};
use ofp::message::port_config;
use ofp::types::PortNo;
use packet::bpdu;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Bridges and tunnels, one inside the other, that a packet may go through.
pub(super) const MAX_DEPTH: u8 = 64;
/// Continuations that may come from one received packet: Open vSwitch's limit of lookups.
pub(super) const MAX_CONTINUATIONS: u16 = 4096;

/// The tunnel words of a key, `word::TUN_ID` to `word::TUN_META`.
pub(super) type TunnelWords = [u64; Overlay::WORDS.end - Overlay::WORDS.start];
/// What a packet says of the tunnel that did not come through one, and of which no action said anything.
const UNSAID: TunnelWords = [0; Overlay::WORDS.end - Overlay::WORDS.start];
/// No tunnel words.
pub(super) const NO_WORDS: u32 = u32::MAX;

/// A frame that is to enter a bridge.
pub(super) struct Item<F> {
    pub frame: F,
    pub bridge: BridgeId,
    pub in_port: PortNo,
    /// Index of its tunnel words, or [`NO_WORDS`].
    pub words: u32,
    pub nesting: Nesting,
    /// What remains of its way there; `None`: it begins.
    pub resume: Option<Arc<Continuation>>,
}

impl Item<()> {
    /// The same for a frame.
    pub fn with<F>(self, frame: F) -> Item<F> {
        Item {
            frame,
            bridge: self.bridge,
            in_port: self.in_port,
            words: self.words,
            nesting: self.nesting,
            resume: self.resume,
        }
    }
}

/// Where a frame comes from, by which everything that it becomes is bounded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nesting {
    /// Bridges and tunnels that it is in.
    pub depth: u8,
    /// Which received packet it came from.
    pub origin: u8,
    /// Tunnels that it is in, one inside the other.
    pub tunnels: u8,
}

/// What a burst is handled by.
#[derive(Clone, Copy)]
pub(super) struct Context<'s> {
    pub snapshot: &'s Snapshot,
    pub now: Time,
}

/// Where a frame is.
pub(super) struct Place<'s> {
    pub view: &'s BridgeView,
    pub bridge: BridgeId,
    pub in_port: PortNo,
    pub words: u32,
    pub nesting: Nesting,
    pub layout: Layout,
}

impl Place<'_> {
    /// What goes on there with a continuation, or from the first table.
    pub fn item<F>(&self, frame: F, then: Option<&Arc<Continuation>>) -> Item<F> {
        Item {
            frame,
            bridge: self.bridge,
            in_port: self.in_port,
            words: self.words,
            nesting: self.nesting,
            resume: then.cloned(),
        }
    }
}

/// See the file's description.
pub(super) struct Executor<P: Pool> {
    pub pool: P,
    pub stats: Arc<WorkerStats>,
    pub events: Events,
    pub queues: Vec<Option<Queue<P::Frame>>>,
    /// Ports whose queue is not empty.
    pub dirty: Vec<PortId>,
    /// Frames to give back to the pool.
    pub trash: Vec<P::Frame>,
    /// Frames that go on in another bridge.
    pub pending: Vec<Item<P::Frame>>,
    pub words: Vec<TunnelWords>,
    /// The mapped options of those packets that have some, by the index of their words.
    pub options: Vec<(u32, OptionWords)>,
    /// Options of the packet that is being put into a tunnel.
    pub sending: Option<Box<Options>>,
    /// Continuations so far, by origin.
    pub spent: [u16; crate::edge::BURST],
    pub waiting: Waiting<P::Frame>,
    pub prepared: Prepared,
    pub splitter: Splitter<P::Frame>,
    /// Where a packet's fragments are put, for as long as it takes to send them on.
    pub parts: Vec<P::Frame>,
    /// The same for packets that are split before they enter a tunnel.
    pub inner_parts: Vec<P::Frame>,
    /// Where a packet is made that no single buffer holds.
    pub contiguous: Vec<u8>,
    /// To senders of what is too large.
    pub answers: Answers,
    pub known: Known,
    pub glances: Glances,
    pub pseudowires: Pseudowires<P::Frame>,
    /// What a choice is made by.
    pub key: Box<Key>,
    /// What the frame is whose program runs.
    pub bpdu: bpdu::Kind,
    pub mailbox: Mailbox<P::Frame>,
    pub reassembly: Reassembly<P::Frame>,
    pub teacher: Teacher,
    /// What the last packets did to their meter.
    pub metered: Share,
    /// NORMAL's last decisions.
    pub memo: Memo,
    /// NORMAL's ways through egress tables, by the step's and the port.
    pub egress: FxHashMap<(u64, PortId), Arc<Continuation>>,
    /// The ways of packets without an Ethernet header, by the port that received them and their ether type.
    pub arrivals: FxHashMap<(PortId, u16), Arc<Continuation>>,
}

impl<P: Pool> Executor<P> {
    pub fn new(
        pool: P,
        stats: Arc<WorkerStats>,
        events: rtrb::Producer<Event>,
        secret: Secret,
        mailbox: Mailbox<P::Frame>,
    ) -> Executor<P> {
        let (index, workers) = (mailbox.index(), mailbox.workers());
        Executor {
            inner_parts: Vec::with_capacity(FRAGMENTS_MAX),
            contiguous: Vec::with_capacity(usize::from(u16::MAX) + 1),
            answers: Answers::default(),
            pool,
            stats,
            events: Events {
                ring: events,
                pushed: false,
            },
            queues: Vec::new(),
            dirty: Vec::new(),
            trash: Vec::new(),
            pending: Vec::new(),
            words: Vec::new(),
            options: Vec::new(),
            sending: None,
            spent: [0; crate::edge::BURST],
            waiting: Waiting::default(),
            prepared: Prepared::default(),
            known: Known::default(),
            glances: Glances::default(),
            pseudowires: Pseudowires::default(),
            key: Box::default(),
            bpdu: bpdu::Kind::None,
            mailbox,
            reassembly: Reassembly::new(secret, workers),
            splitter: Splitter::new(Ids::new(secret, index, workers)),
            parts: Vec::with_capacity(FRAGMENTS_MAX),
            teacher: Teacher::default(),
            metered: Share::default(),
            memo: Memo::default(),
            egress: FxHashMap::default(),
            arrivals: FxHashMap::default(),
        }
    }
    /// Lets go of all frames that wait for something. They are counted as dropped.
    pub fn let_go_of_held(&mut self) {
        self.wait_no_longer();
        self.let_go();
        self.forget_parts();
    }
    /// Lets go of all frames and queues.
    pub fn close(&mut self) {
        let queues = std::mem::take(&mut self.queues);
        for queue in queues.into_iter().flatten() {
            self.trash.extend(queue.frames);
        }
        self.dirty.clear();
        self.let_go_of_held();
        self.publish_outcomes();
        self.pool.free(&mut self.trash);
    }
    /// Counts a drop and keeps the frame for freeing.
    pub fn drop<O: Observer>(&mut self, frame: P::Frame, reason: DropReason, o: &mut O) {
        o.drop(reason);
        self.stats.dropped(reason);
        self.trash.push(frame);
    }
    pub fn copy<O: Observer>(&mut self, frame: &P::Frame, o: &mut O) -> Option<P::Frame> {
        let copy = self.pool.copy(frame);
        if copy.is_none() {
            o.drop(DropReason::NoMemory);
            self.stats.dropped(DropReason::NoMemory);
        }
        copy
    }

    /// Runs steps on a frame and disposes of it.
    pub fn run<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &mut Place<'_>,
        steps: &[Step],
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let mut next = 0;
        while let Some(step) = steps.get(next) {
            next += 1;
            let is_last = next == steps.len();
            match step {
                Step::Write(write) => rewrite::write(&mut frame, &at.layout, write),
                Step::PushVlan { tpid, tci } => {
                    if !rewrite::push_vlan(&mut frame, &mut at.layout, *tpid, *tci) {
                        return self.drop(frame, DropReason::NoMemory, o);
                    }
                }
                Step::PopVlan => rewrite::pop_vlan(&mut frame, &mut at.layout),
                Step::Output { .. }
                | Step::Fragment { .. }
                | Step::Reassemble { .. }
                | Step::Reshape { .. }
                | Step::Meter { then: Some(_), .. } => {
                    if is_last {
                        return self.send(cx, at, step, frame, o);
                    }
                    if let Some(copy) = self.copy(&frame, o) {
                        self.send(cx, at, step, copy, o);
                    }
                }
                Step::Flood {
                    in_port,
                    all,
                    tunnel,
                } => match self.flood(cx, at, *in_port, *all, tunnel, frame, is_last, o) {
                    Some(kept) => frame = kept,
                    None => return,
                },
                Step::Normal {
                    in_port,
                    reserved,
                    tunnel,
                    then,
                } => {
                    let from = (*in_port, *reserved);
                    let egress = then.as_deref();
                    let ways = Ways { tunnel, egress };
                    match self.normal(cx, at, from, ways, frame, is_last, o) {
                        Some(kept) => frame = kept,
                        None => return,
                    }
                }
                Step::Effect(effect) => self.effect(cx, at, effect, &frame),
                Step::Drop(reason) => return self.drop(frame, *reason, o),
                Step::Meter { meter, then: None } => match self.metered(cx, meter, frame, o) {
                    Some(kept) => frame = kept,
                    None => return,
                },
                // No device segments what is behind a label.
                Step::PushMpls { .. } if is_large(&frame) => {
                    return self.run_segments(cx, at, &steps[next - 1..], frame, o);
                }
                Step::PushMpls { ether_type, lse } => {
                    if !push_mpls(&mut frame, &mut at.layout, *ether_type, *lse) {
                        return self.drop(frame, DropReason::NoMemory, o);
                    }
                }
                Step::Punt {
                    punt,
                    tunnel,
                    meter,
                } => {
                    if meter
                        .as_ref()
                        .is_none_or(|meter| self.may_punt(cx, meter, &frame, o))
                    {
                        self.punt(at, punt, tunnel, &frame, o);
                    }
                }
                Step::Clone { len } => {
                    let part = &steps[next..next + len];
                    next += len;
                    let layout = at.layout;
                    if next == steps.len() {
                        return self.run(cx, at, part, frame, o);
                    }
                    if let Some(copy) = self.copy(&frame, o) {
                        self.run(cx, at, part, copy, o);
                    }
                    at.layout = layout;
                }
                Step::Select(select) => {
                    let branches = &steps[next..next + select.len];
                    next += select.len;
                    if next == steps.len() {
                        return self.select(cx, at, select, branches, frame, o);
                    }
                    let branch = self.take_branch(cx, at, select, &frame, o);
                    let part = branch.map_or(&[][..], |branch| branch.part(branches));
                    let layout = at.layout;
                    if !part.is_empty()
                        && let Some(copy) = self.copy(&frame, o)
                    {
                        self.run(cx, at, part, copy, o);
                    }
                    at.layout = layout;
                }
            }
        }
        self.trash.push(frame);
    }

    /// Runs a step that one frame leaves by.
    #[inline]
    fn send<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        step: &Step,
        frame: P::Frame,
        o: &mut O,
    ) {
        match step {
            Step::Output {
                port,
                tunnel,
                max_size,
                ..
            } => self.emit(cx, at, *port, tunnel, *max_size, frame, o),
            Step::Fragment { mtu, df, then } => self.fragment(at, (*mtu, *df), then, frame, o),
            Step::Reassemble { then } => self.reassemble(cx, at, then, frame, o),
            Step::Reshape { how, then } => self.reshape(at, how, then, frame, o),
            Step::Meter { meter, then } => {
                if let Some(frame) = self.metered(cx, meter, frame, o) {
                    self.continue_with(at.item(frame, then.as_ref()), o);
                }
            }
            // Others send copies, or none.
            _ => self.trash.push(frame),
        }
    }

    /// Sends to every other port; gives the frame back unless `is_last`.
    #[allow(clippy::too_many_arguments, reason = "they are the step's fields")]
    fn flood<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        in_port: PortNo,
        all: bool,
        tunnel: &Overlay,
        frame: P::Frame,
        is_last: bool,
        o: &mut O,
    ) -> Option<P::Frame> {
        let wanted = |port: &&Arc<PortView>| {
            port.number != in_port
                && (all || port.config & port_config::NO_FLOOD == 0)
                && refusal(port).is_none()
        };
        let members = at.view.members.iter();
        let mut targets = members
            .filter_map(|&id| cx.snapshot.port(id))
            .filter(wanted)
            .peekable();
        if targets.peek().is_none() && is_last {
            self.drop(frame, DropReason::Action, o);
            return None;
        }
        while let Some(port) = targets.next() {
            if is_last && targets.peek().is_none() {
                self.emit(cx, at, port.id, tunnel, u32::MAX, frame, o);
                return None;
            }
            if let Some(copy) = self.copy(&frame, o) {
                self.emit(cx, at, port.id, tunnel, u32::MAX, copy, o);
            }
        }
        Some(frame)
    }

    /// Sends a frame through a port.
    #[allow(clippy::too_many_arguments, reason = "they are the step's fields")]
    #[inline]
    pub fn emit<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        port: PortId,
        tunnel: &Overlay,
        max_size: u32,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let Some(port) = cx.snapshot.port(port) else {
            return self.drop(frame, DropReason::NoPort, o);
        };
        if frame.size() > max_size as usize {
            cut(&mut frame, max_size as usize);
        }
        match &port.kind {
            PortKind::Device => self.transmit(port, frame, o),
            PortKind::Internal => {
                if cx.snapshot.tunnels.is_empty() {
                    self.transmit(port, frame, o);
                } else {
                    self.reach_host(cx, at.nesting, port, frame, o);
                }
            }
            PortKind::Patch { peer } => self.through_patch(cx, at, port, *peer, frame, o),
            // Without words no remote end is named, so that there is nothing to compare.
            PortKind::Tunnel(to) if at.words == NO_WORDS && tunnel.is_empty() => {
                self.enter_tunnel(cx, at.nesting, port, to, &UNSAID, frame, o);
            }
            PortKind::Tunnel(to) => {
                let came = self.words.get(at.words as usize).copied();
                let mut words = came.unwrap_or_default();
                tunnel.lay(&mut words, word::TUN_ID);
                if to.config.remote == Remote::Flow && names_us(&to.config, came, &words) {
                    return self.not_sent(port.id, frame, DropReason::TunnelNoRemote, o);
                }
                if let Some(map) = &at.view.config.tlvs {
                    let options = map.options(&self.option_words(at, tunnel));
                    self.sending = options.map(Box::new);
                }
                self.enter_tunnel(cx, at.nesting, port, to, &words, frame, o);
                self.sending = None;
            }
            // It is no member of a bridge, and no output names it.
            PortKind::Host => self.drop(frame, DropReason::NoPort, o),
        }
    }
    fn through_patch<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        port: &PortView,
        peer: Option<PortId>,
        frame: P::Frame,
        o: &mut O,
    ) {
        let Some(peer) = peer.and_then(|id| cx.snapshot.port(id)) else {
            return self.drop(frame, DropReason::PatchPeer, o);
        };
        let size = frame.size() as u64;
        self.count_sent(port.id, size);
        self.count_received(peer.id, size);
        o.note(format_args!("patch port {} to {}", port.name, peer.name));
        self.go_on(at.nesting, peer.bridge, peer.number, NO_WORDS, frame, o);
    }
    pub fn count_sent(&mut self, port: PortId, bytes: u64) {
        self.stats.ports.add_from(port.0 as usize, 2, [1, bytes]);
        self.count_sent_bpdu(port);
    }
    pub fn count_received(&mut self, port: PortId, bytes: u64) {
        self.stats.ports.add_from(port.0 as usize, 0, [1, bytes]);
    }
    /// Continues a frame in a bridge, with a key of its own.
    pub fn go_on<O: Observer>(
        &mut self,
        nesting: Nesting,
        bridge: BridgeId,
        in_port: PortNo,
        words: u32,
        frame: P::Frame,
        o: &mut O,
    ) {
        let item = Item {
            frame,
            bridge,
            in_port,
            words,
            nesting,
            resume: None,
        };
        self.continue_with(item, o);
    }
    /// Continues a frame, which is one level deeper from now on.
    // Inlined, so that the item is written once, where it goes: to copy it right after it was written in parts waits for
    // the stores (25 cycles).
    #[inline(always)]
    pub fn continue_with<O: Observer>(&mut self, mut item: Item<P::Frame>, o: &mut O) {
        let Nesting { depth, origin, .. } = &mut item.nesting;
        if *depth >= MAX_DEPTH {
            return self.drop(item.frame, DropReason::PatchDepth, o);
        }
        let spent = &mut self.spent[usize::from(*origin) % crate::edge::BURST];
        if *spent >= MAX_CONTINUATIONS {
            return self.drop(item.frame, DropReason::Resubmits, o);
        }
        *spent += 1;
        *depth += 1;
        self.pending.push(item);
    }

    /// Sends a copy to the controllers.
    fn punt<O: Observer>(
        &mut self,
        at: &Place<'_>,
        template: &Punt,
        tunnel: &Overlay,
        frame: &P::Frame,
        o: &mut O,
    ) {
        if self.events.is_full() {
            o.drop(DropReason::PuntFull);
            return self.stats.dropped(DropReason::PuntFull);
        }
        let mut punt = Box::new(template.clone());
        let spare = packet_type::spare_of(&punt.fields);
        punt.total_len = (frame.size().saturating_sub(spare)) as u32;
        punt.data = bytes(frame, spare + usize::from(punt.controller.max_len));
        punt.data.drain(..spare.min(punt.data.len()));
        let mut key = Key::default();
        if let Some(words) = self.words.get(at.words as usize) {
            key.0[Overlay::WORDS].copy_from_slice(words);
            if let Some(paused) = &mut punt.paused {
                paused.words = Some(words.as_slice().into());
                paused.options = self.options_of(at.words).copied().map(Box::new);
            }
        }
        tunnel.lay(&mut key.0, 0);
        for field in TUNNEL_FIELDS {
            let value = key.get(field.place());
            if value != 0 {
                punt.fields.set(field.place(), value, u128::MAX);
            }
        }
        if let Some(map) = &at.view.config.tlvs {
            let words = self.option_words(at, tunnel);
            for (place, value) in map.values(&words) {
                punt.fields.set(place, value, u128::MAX);
            }
        }
        o.note(format_args!(
            "to the controllers ({:?})",
            punt.controller.reason
        ));
        o.punts(&punt);
        if !self.events.push(Event::Punt(punt)) {
            self.stats.dropped(DropReason::PuntFull);
        }
    }
}

/// Whether the remote end is the one to which the packet came: ourselves.
#[cold]
fn names_us(config: &TunnelConfig, came: Option<TunnelWords>, words: &TunnelWords) -> bool {
    let remote = |words: &TunnelWords| config.ends(words).map(|(remote, _)| remote);
    came.is_some_and(|came| remote(&came) == remote(words))
}

/// The ring to control, and whether something was put into it since the rim asked.
pub struct Events {
    ring: rtrb::Producer<Event>,
    pushed: bool,
}

impl Events {
    /// Whether the next event would be lost.
    pub fn is_full(&self) -> bool {
        self.ring.is_full()
    }
    /// Puts an event into the ring; `false`: it was lost.
    pub fn push(&mut self, event: Event) -> bool {
        self.pushed = true;
        self.ring.push(event).is_ok()
    }
    /// Whether there was an event since the last call.
    pub fn take_pushed(&mut self) -> bool {
        std::mem::take(&mut self.pushed)
    }
}

/// What a packet-in says of the tunnel that a packet came through.
const TUNNEL_FIELDS: [Field; 8] = [
    Field::TunId,
    Field::TunSrc,
    Field::TunDst,
    Field::TunIpv6Src,
    Field::TunIpv6Dst,
    Field::TunFlags,
    Field::TunGbpId,
    Field::TunGbpFlags,
];

/// At most `max_size` bytes of a frame, with its checksum finished.
fn bytes<F: Frame>(frame: &F, max_size: usize) -> Vec<u8> {
    let offload = frame.offload();
    let needed = if offload.csum_start == 0 {
        max_size.min(frame.size())
    } else {
        frame.size()
    };
    let mut data = Vec::with_capacity(needed);
    frame.for_each_segment(&mut |segment| {
        let room = needed - data.len();
        data.extend_from_slice(&segment[..segment.len().min(room)]);
    });
    if offload.csum_start != 0 {
        let (start, offset) = (offload.csum_start.into(), offload.csum_offset.into());
        let _ = packet::checksum::complete(&mut data, start, offset);
        data.truncate(max_size);
    }
    data
}

/// Cuts a frame to a size. What was pending is done before, or is beyond doing.
#[cold]
fn cut<F: Frame>(frame: &mut F, size: usize) {
    let _ = tunnel::finish_checksum(frame);
    frame.set_offload(Default::default());
    frame.trim(size);
}
