//! Tunnel packets that leave at once.
//!
//! What: a tunnel packet goes through the underlay's bridge as any other frame (`underlay`). Where that bridge looks at nothing that differs
//! between the packets of one tunnel, and sends them to a device, its answer is kept with the tunnel's prepared header: the packet is put
//! into the device's queue where it was made.
//! Validity: the answer is a program of that bridge, good for one published version, and renewed as the cache's entries are.
//! Counters: those of the bridge's rules and tables, of the tunnel and its port are added up, and credited when the poll ends.
//! What does not come here: what an observer looks at, what waits for a checksum or has to be cut, BPDUs.

use super::cache::renew_all;
use super::enter::{begin, credit, takes_fragments};
use super::execute::{Context, Executor, MAX_CONTINUATIONS, MAX_DEPTH, Nesting, TunnelWords};
use super::pipeline::Walk;
use super::prepared::{At, Slot};
use super::program::{Overlay, Program, Step};
use super::trace::Observer;
use crate::edge::{BURST, Frame, Pool};
use crate::model::id::PortId;
use crate::model::port::{PortKind, PortView};
use crate::model::stats::WorkerStats;
use crate::model::tunnel::{Fragmentation, Tunnel};
use crate::model::tunnel_stats::TunnelCounter;
use crate::model::{BridgeId, BridgeView, DropReason, Snapshot};
use crate::time::Time;
use flow::extract;
use ofp::key::{Key, word};
use ofp::types::PortNo;
use packet::{Wire, bpdu, ethernet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Packets that are not credited yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub packets: u64,
    pub bytes: u64,
}

impl Run {
    #[inline(always)]
    fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }
}

/// The way of a tunnel's packets through the underlay's bridge.
pub(super) struct Way {
    /// The published version that this is true for.
    version: u64,
    /// The device that it leads to; `None`: each packet has to go there itself.
    port: Option<PortId>,
    /// Bytes of a frame that [`Executor::encapsulate_at_once`] takes, at most; 0: none.
    room: usize,
    /// The same, in fragments.
    split_room: usize,
    bridge: BridgeId,
    /// Of the bridge's ports and settings, and of its plan.
    generations: [u64; 2],
    program: Program,
    run: Run,
    used: Time,
}

impl Default for Way {
    fn default() -> Way {
        Way {
            version: u64::MAX,
            port: None,
            room: 0,
            split_room: 0,
            bridge: BridgeId(0),
            generations: [0; 2],
            program: Program::default(),
            run: Run::default(),
            used: Time::default(),
        }
    }
}

/// The bits of a key's word that differ between the packets of one tunnel: sizes and ids are in none.
fn varying(index: usize) -> u64 {
    match index {
        // All but the protocol.
        word::IP => u64::MAX >> 8,
        word::L4 => u64::MAX,
        _ => 0,
    }
}

/// Whether a bridge looks at nothing that differs between a tunnel's packets.
fn is_uniform(view: &BridgeView) -> bool {
    let mut words = view.plan.words.iter();
    !takes_fragments(view.config.frag)
        && words.all(|index| view.plan.masks[index] & varying(index) == 0)
}

/// The device that a program is one output to.
fn device(snapshot: &Snapshot, program: &Program) -> Option<PortId> {
    let [
        Step::Output {
            port,
            max_size: u32::MAX,
            ..
        },
    ] = program.steps.as_slice()
    else {
        return None;
    };
    let is_plain = program.bpdu == bpdu::Kind::None && program.spare == 0;
    let is_device = matches!(snapshot.port(*port)?.kind, PortKind::Device);
    (is_plain && is_device).then_some(*port)
}

impl Way {
    /// Looks for the way of a packet like this one.
    #[cold]
    #[inline(never)]
    fn find(&mut self, snapshot: &Snapshot, bridge: BridgeId, head: &[u8], size: usize) {
        let known = self.port.take();
        (self.version, self.bridge, self.room) = (snapshot.version, bridge, 0);
        let view = snapshot.bridge(bridge);
        let Some(view) = view.filter(|view| is_uniform(view) && !bpdu::is_addressed(head)) else {
            return;
        };
        let mut key = Key::default();
        begin(&mut key, PortNo::LOCAL, None);
        extract::extract(head, size, &view.plan.extract, &mut key);
        let generations = [view.generation, view.plan.generation];
        let is_true = known.is_some()
            && self.generations == generations
            && renew_all(&mut self.program, view, &key);
        if !is_true {
            self.generations = generations;
            let (program, nobody) = (&mut self.program, &mut ());
            if let Some(walk) = Walk::new(snapshot, bridge, &key, program, nobody) {
                walk.tables();
            }
        }
        self.port = device(snapshot, &self.program);
    }
}

impl Slot {
    /// Bytes of a frame that may be sent at once, at most.
    fn room(&self, port: &PortView) -> usize {
        let largest = match usize::from(port.mtu) {
            0 => usize::MAX,
            mtu => mtu + ethernet::Header::SIZE,
        };
        let room = self.outer.room(&self.tunnel.config, &Default::default());
        match self.outer.is_simple() {
            true => room.min(largest.saturating_sub(self.outer.size())),
            false => 0,
        }
    }
    /// Bytes of a frame that may be sent at once in fragments, at most.
    fn split_room(&self) -> usize {
        let is_split = self.tunnel.config.fragmentation != Fragmentation::Never;
        match is_split && self.outer.is_simply_split() {
            true => usize::from(u16::MAX) - self.outer.size(),
            false => 0,
        }
    }
    /// Whether a frame is too large for the tunnel's path, and not only for the device; and in one piece.
    #[inline(never)]
    fn has_to_split<F: Frame>(&self, frame: &F) -> bool {
        let size = frame.size();
        let room = self.outer.room(&self.tunnel.config, &Default::default());
        size > room && frame.head().len() == size
    }
    /// The same, 0 if its way is not known.
    #[inline(always)]
    fn room_now(&self, snapshot: &Snapshot) -> usize {
        match self.way.version == snapshot.version {
            true => self.way.room,
            false => 0,
        }
    }
    /// See [`super::prepared::Prepared::credit`].
    pub fn credit(&mut self, stats: &WorkerStats) {
        let (Run { packets, bytes }, way) = (std::mem::take(&mut self.sent), &mut self.way);
        if packets > 0 {
            let (port, outer) = (
                self.port.0 as usize,
                bytes + packets * self.outer.size() as u64,
            );
            stats.ports.add_from(port, 2, [packets, bytes]);
            let first = TunnelCounter::TxPackets as usize;
            stats.tunnels.add_from(port, first, [packets, outer]);
            way.run.add(packets, outer);
        }
        let Run { packets, bytes } = std::mem::take(&mut way.run);
        // Without a packet its program may be long gone, and its rules' places others'.
        if packets > 0 {
            credit(stats, way.bridge, &way.program, packets, bytes, way.used);
            let hits = &stats.worker[2];
            hits.store(hits.load(Relaxed) + packets, Relaxed);
        }
    }
}

impl<P: Pool> Executor<P> {
    /// Sends a tunnel packet on its way through the underlay's bridge, if that way is known. Gives it back if it is not.
    #[inline]
    pub fn depart_at_once<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        (at, bridge): (At, BridgeId),
        frame: P::Frame,
        o: &mut O,
    ) -> Option<P::Frame> {
        let Some(slot) = self.prepared.slot(at) else {
            return Some(frame);
        };
        if slot.way.version != cx.snapshot.version || slot.way.bridge != bridge {
            slot.credit(&self.stats);
            let (head, size) = (frame.head(), frame.size());
            slot.way.find(cx.snapshot, bridge, head, size);
            let port = slot.way.port.and_then(|port| cx.snapshot.port(port));
            slot.way.room = port.map_or(0, |port| slot.room(port));
            slot.way.split_room = match slot.way.room {
                0 => 0,
                _ => slot.split_room(),
            };
        }
        let Some(port) = slot.way.port.and_then(|port| cx.snapshot.port(port)) else {
            return Some(frame);
        };
        if !spend(&mut self.spent, nesting) {
            return Some(frame);
        }
        let (way, size) = (&mut slot.way, frame.size() as u64);
        let is_first = way.run.packets == 0;
        way.used = cx.now;
        way.run.add(1, size);
        if is_first {
            self.prepared.dirty.push(at);
        }
        // What the port sends is a tunnel packet, whatever is in it.
        let inside = std::mem::take(&mut self.bpdu);
        self.transmit(port, frame, o);
        self.bpdu = inside;
        None
    }
    /// Puts a frame into a tunnel and sends it on its way, if it is one of those that most are. Gives it back if it is not.
    #[inline(always)]
    pub fn encapsulate_at_once<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        words: &TunnelWords,
        mut frame: P::Frame,
        o: &mut O,
    ) -> Option<P::Frame> {
        let index = port.id.0;
        let slot = self.prepared.by_port.get_mut(index as usize);
        let Some(Some(slot)) = slot else {
            return Some(frame);
        };
        let (size, room) = (frame.size(), slot.room_now(cx.snapshot));
        if O::EXPLAINS
            || nesting.tunnels > 0
            || room == 0
            || size > room && (size > slot.way.split_room || !slot.has_to_split(&frame))
            || self.sending.is_some()
            || self.bpdu != bpdu::Kind::None
            || !frame.offload().is_finished()
            || !spend(&mut self.spent, nesting)
        {
            return Some(frame);
        }
        if size > room {
            self.split_at_once(cx, port, words, frame, o);
            return None;
        }
        let id = match slot.outer.ids_of() {
            None => 0,
            Some(hosts) => self.splitter.next_id(hosts),
        };
        if !slot.outer.put(&mut frame, &slot.tunnel, words, id) {
            self.not_sent(port.id, frame, DropReason::NoMemory, o);
            return None;
        }
        if slot.sent.packets == 0 {
            slot.way.used = cx.now;
            self.prepared.dirty.push(At::Port(index));
        }
        slot.sent.add(1, size as u64);
        match slot.way.port.and_then(|port| cx.snapshot.port(port)) {
            Some(port) => self.transmit_any(port, frame, o),
            None => self.drop(frame, DropReason::NoPort, o),
        }
        None
    }
    /// The same of one that is too large for one packet, and becomes fragments.
    fn split_at_once<O: Observer>(
        &mut self,
        cx: Context<'_>,
        port: &PortView,
        words: &TunnelWords,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let Some(Some(slot)) = self.prepared.by_port.get_mut(port.id.0 as usize) else {
            return self.drop(frame, DropReason::TunnelUnresolved, o);
        };
        let id = self.splitter.next_id(slot.outer.hosts());
        let (size, inside) = (frame.size() as u64, (&*slot.tunnel, words));
        let device = slot.way.port.and_then(|port| cx.snapshot.port(port));
        let (pool, parts) = (&mut self.pool, &mut self.parts);
        if !slot.outer.put_split(pool, &mut frame, inside, id, parts) {
            self.trash.append(&mut self.parts);
            return self.not_sent(port.id, frame, DropReason::NoMemory, o);
        }
        let bytes = self
            .parts
            .iter()
            .map(|part| part.size() as u64)
            .sum::<u64>();
        let Run { packets, bytes } = Run {
            packets: 1 + self.parts.len() as u64,
            bytes: bytes + frame.size() as u64,
        };
        if slot.way.run.packets == 0 {
            slot.way.used = cx.now;
            self.prepared.dirty.push(At::Port(port.id.0));
        }
        slot.way.run.add(packets, bytes);
        let (index, first) = (port.id.0 as usize, TunnelCounter::TxPackets as usize);
        self.stats.ports.add_from(index, 2, [1, size]);
        self.stats.tunnels.add_from(index, first, [packets, bytes]);
        self.stats.tunnel(port.id, TunnelCounter::TxFragmented, 1);
        self.stats
            .tunnel(port.id, TunnelCounter::TxFragments, packets);
        let Some(device) = device else {
            self.trash.append(&mut self.parts);
            return self.drop(frame, DropReason::NoPort, o);
        };
        self.transmit(device, frame, o);
        let mut parts = std::mem::take(&mut self.parts);
        for part in parts.drain(..) {
            self.transmit(device, part, o);
        }
        self.parts = parts;
    }
    /// Puts all frames into a tunnel and sends them on their way, if all are of those that most are; nothing is done if not. Their
    /// ways begin: they came in just now.
    pub fn encapsulate_all(
        &mut self,
        cx: Context<'_>,
        (port, tunnel): (&PortView, &Arc<Tunnel>),
        overlay: &Overlay,
        frames: &mut Vec<P::Frame>,
        bytes: u64,
    ) -> bool {
        let Some(Some(slot)) = self.prepared.by_port.get_mut(port.id.0 as usize) else {
            return false;
        };
        let room = slot.room_now(cx.snapshot);
        let fits = |frame: &P::Frame| {
            let head = frame.head();
            head.len() >= ethernet::Header::SIZE
                && frame.size() <= room
                && !bpdu::is_addressed(head)
                && frame.offload().is_finished()
        };
        if room == 0 || slot.outer.ids_of().is_some() || !frames.iter().all(fits) {
            return false;
        }
        let Some(device) = slot
            .way
            .port
            .filter(|device| matches!(self.queues.get(device.0 as usize), Some(Some(_))))
        else {
            return false;
        };
        let mut words = TunnelWords::default();
        overlay.lay(&mut words, word::TUN_ID);
        let (mut bytes, len) = (bytes, frames.len() as u64);
        let refused = frames.extract_if(.., |frame| {
            let (size, is_put) = (
                frame.size() as u64,
                slot.outer.put(frame, tunnel, &words, 0),
            );
            bytes -= if is_put { 0 } else { size };
            !is_put
        });
        self.trash.extend(refused);
        let packets = frames.len() as u64;
        let outer = bytes + packets * slot.outer.size() as u64;
        if slot.sent.packets == 0 {
            slot.way.used = cx.now;
            self.prepared.dirty.push(At::Port(port.id.0));
        }
        slot.sent.add(packets, bytes);
        for _ in packets..len {
            self.count_not_sent(port.id, DropReason::NoMemory, &mut ());
        }
        self.queue_all(device, frames.drain(..), outer);
        true
    }
}

/// Whether one more packet may come of the received one, and counts it.
#[inline(always)]
fn spend(spent: &mut [u16; BURST], nesting: Nesting) -> bool {
    let Some(spent) = spent.get_mut(usize::from(nesting.origin)) else {
        return false;
    };
    let may = nesting.depth < MAX_DEPTH && *spent < MAX_CONTINUATIONS;
    *spent += u16::from(may);
    may
}
