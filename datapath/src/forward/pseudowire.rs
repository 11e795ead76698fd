//! gpw pseudowires: frames that are sent in two parts, and parts that are put together. Each pseudowire's parts are held by one
//! worker.

use super::execute::{Context, Executor, Nesting, TunnelWords};
use super::mail::{Mail, What};
use super::trace::Observer;
use crate::edge::{Frame, Pool};
use crate::fragment::gpw::{Mode, Outcome, Reassembler, split};
use crate::model::id::PortId;
use crate::model::port::PortView;
use crate::model::tunnel::{Encap, Exit, Peer, Received, Remote, Route, Tunnel};
use crate::model::tunnel::{TunnelConfig, TunnelState, TunnelType};
use crate::model::tunnel_stats::TunnelCounter;
use crate::model::{DropReason, Snapshot};
use crate::time::Time;
use crate::tunnel::Tunnelled;
use packet::gpw::{FIRST_SIZE, Part, split_id};
use packet::{Wire, ethernet, ethertype};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How often it is looked for parts that waited too long.
const EXPIRY: Time = Time::millis(100);

struct Pseudowire<F> {
    /// The tunnel's: another one is another tunnel.
    state: Arc<TunnelState>,
    parts: Reassembler<F>,
}

/// The parts that one worker holds: of each pseudowire at most as many as its mode allows.
pub(super) struct Pseudowires<F> {
    wires: FxHashMap<PortId, Pseudowire<F>>,
    looked: Time,
    /// The parts of a frame, while they are sent.
    pub halves: Vec<(Part, F)>,
}

impl<F> Default for Pseudowires<F> {
    fn default() -> Pseudowires<F> {
        Pseudowires {
            wires: FxHashMap::default(),
            looked: Time::default(),
            halves: Vec::with_capacity(2),
        }
    }
}

impl<F> Pseudowires<F> {
    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.wires.is_empty()
    }
}

/// What counts an outcome, and the frames that it loses.
const COUNTERS: &[(Outcome, TunnelCounter, u64)] = &[
    (Outcome::Held, TunnelCounter::Held, 0),
    (Outcome::Completed, TunnelCounter::Completed, 0),
    (Outcome::Replaced, TunnelCounter::Replaced, 1),
    (Outcome::NoFirst, TunnelCounter::NoFirst, 1),
    (Outcome::IdMismatch, TunnelCounter::IdMismatch, 2),
    (Outcome::TimedOut, TunnelCounter::TimedOut, 1),
    (Outcome::NoMemory, TunnelCounter::NoMemory, 2),
];

/// Whether a frame that was received by `link` is a pseudowire's that leaves by it, and meant for us. Other frames, whatever
/// their EtherType, are the bridge's.
pub(super) fn arrives_by(snapshot: &Snapshot, link: PortId, head: &[u8]) -> bool {
    let Some((header, _)) = ethernet::Header::parse(head) else {
        return false;
    };
    if header.ether_type.get() != ethertype::GPW {
        return false;
    }
    let found = snapshot.tunnels.lookup(&Received {
        kind: TunnelType::Gpw,
        port: 0,
        remote: Peer::Link(header.src),
        local: None,
        key: None,
    });
    let tunnel = found.and_then(|id| snapshot.port(id)?.kind.tunnel());
    let route = tunnel.and_then(|tunnel| tunnel.route.as_ref());
    route.is_some_and(|route| route.exit == Exit::Port(link) && route.source_mac == header.dst)
}

/// Whether a tunnel's packets may arrive by this port: over Ethernet, those of a known station on another link are somebody
/// else's.
pub(super) fn may_arrive_by(tunnel: &Tunnel, by: &PortView) -> bool {
    let exit = match tunnel.config.remote {
        Remote::Link(_) => tunnel.route.as_ref().map(|route| route.exit),
        Remote::Ip(_) | Remote::Flow => return true,
    };
    exit == Some(Exit::Port(by.id)) || exit == Some(Exit::Bridge(by.bridge))
}

/// Whether a tunnel sends frames of this size in two parts, if they do not fit.
pub(super) fn can_halve(config: &TunnelConfig, size: usize) -> bool {
    matches!(config.encap, Encap::Gpw { .. }) && size > FIRST_SIZE
}

impl<P: Pool> Executor<P> {
    /// Sends a frame that is larger than `room` in two parts.
    #[allow(clippy::too_many_arguments, reason = "they are the packet's")]
    pub fn send_halves<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        tunnel: &Arc<Tunnel>,
        route: &Route,
        words: &TunnelWords,
        room: usize,
        frame: P::Frame,
        o: &mut O,
    ) {
        let size = frame.size() as u64;
        let mut halves = std::mem::take(&mut self.pseudowires.halves);
        let next_id = || split_id(tunnel.state.splits.fetch_add(1, Relaxed));
        match split(&mut self.pool, frame, room, next_id, &mut halves) {
            Ok(_) => {
                self.stats.tunnel(port.id, TunnelCounter::Split, 1);
                self.count_sent(port.id, size);
                o.note(format_args!("in two parts"));
                for (part, frame) in halves.drain(..) {
                    self.encapsulate_part(cx, nesting, port, tunnel, route, words, part, frame, o);
                }
            }
            Err((outcome, frame)) => {
                let reason = match outcome {
                    Outcome::NoMemory => DropReason::NoMemory,
                    _ => DropReason::TunnelTooBig,
                };
                self.not_sent(port.id, frame, reason, o);
            }
        }
        self.pseudowires.halves = halves;
    }
    /// A part has arrived, and goes to the worker that holds the others of its pseudowire.
    #[allow(clippy::too_many_arguments, reason = "they are the packet's")]
    pub fn part_arrived<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        to: &PortView,
        tunnel: &Tunnel,
        tunnelled: &Tunnelled,
        frame: P::Frame,
        o: &mut O,
    ) {
        let owner = to.id.0 as usize % self.mailbox.workers();
        if owner != self.mailbox.index() {
            let what = What::Part {
                to: to.id,
                nesting,
                tunnelled: *tunnelled,
            };
            return self.post(owner, Mail { frame, what }, o);
        }
        if let Some(frame) = self.put_together(cx.now, to.id, tunnel, tunnelled.part, frame, o) {
            self.surface(nesting, to, tunnel, tunnelled, frame, o);
        }
    }
    /// The same, handed over by another worker.
    pub fn part_was_mailed<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        to: PortId,
        tunnelled: &Tunnelled,
        frame: P::Frame,
        o: &mut O,
    ) {
        let to = cx.snapshot.port(to);
        match to.and_then(|to| Some((to, to.kind.tunnel()?))) {
            Some((to, tunnel)) => self.part_arrived(cx, nesting, to, tunnel, tunnelled, frame, o),
            None => self.drop(frame, DropReason::TunnelUnknown, o),
        }
    }
    /// Puts a part to the other one. Gives back the frame if it is whole.
    fn put_together<O: Observer>(
        &mut self,
        now: Time,
        port: PortId,
        tunnel: &Tunnel,
        part: Part,
        frame: P::Frame,
        o: &mut O,
    ) -> Option<P::Frame> {
        let mode = match tunnel.config.encap {
            Encap::Gpw { mode, .. } => mode,
            _ => Mode::default(),
        };
        let new = || Pseudowire {
            state: tunnel.state.clone(),
            parts: Reassembler::new(mode),
        };
        let wire = self.pseudowires.wires.entry(port).or_insert_with(new);
        let mut lost = 0;
        if !Arc::ptr_eq(&wire.state, &tunnel.state) {
            lost = wire.parts.clear(&mut self.pool);
            *wire = new();
        }
        let result = wire.parts.insert(&mut self.pool, now, part, frame);
        let counts = wire.parts.take_counts();
        self.lose_parts(port, lost, o);
        self.count_parts(port, &counts, o);
        result
            .inspect_err(|outcome| o.note(format_args!("part: {}", outcome.text())))
            .ok()
    }
    fn count_parts<O: Observer>(&mut self, port: PortId, counts: &[u64; Outcome::LEN], o: &mut O) {
        let mut lost = 0;
        for (outcome, counter, frames) in COUNTERS {
            let times = counts[*outcome as usize];
            if times != 0 {
                self.stats.tunnel(port, *counter, times);
                lost += times * frames;
            }
        }
        self.lose_parts(port, lost, o);
    }
    /// Counts parts that are lost.
    pub fn lose_parts<O: Observer>(&mut self, port: PortId, lost: u64, o: &mut O) {
        if lost != 0 {
            self.stats.ports.add(port.0 as usize, 4, lost);
            o.drop(DropReason::TunnelPart);
            self.stats.dropped_all(DropReason::TunnelPart, lost);
        }
    }
    /// Lets go of parts that waited too long, and of those of pseudowires that are gone. Called once per poll.
    #[cold]
    pub fn expire_parts<O: Observer>(&mut self, cx: Context<'_>, o: &mut O) {
        if cx.now.since(self.pseudowires.looked) < EXPIRY {
            return;
        }
        self.pseudowires.looked = cx.now;
        let mut wires = std::mem::take(&mut self.pseudowires.wires);
        wires.retain(|id, wire| {
            let port = cx.snapshot.port(*id);
            let tunnel = port.and_then(|port| port.kind.tunnel());
            if !tunnel.is_some_and(|tunnel| Arc::ptr_eq(&tunnel.state, &wire.state)) {
                let lost = wire.parts.clear(&mut self.pool);
                self.lose_parts(*id, lost, o);
                return false;
            }
            if wire.parts.expire(&mut self.pool, cx.now) > 0 {
                self.count_parts(*id, &wire.parts.take_counts(), o);
            }
            true
        });
        self.pseudowires.wires = wires;
    }
    /// Lets go of all parts, and counts them.
    pub fn forget_parts(&mut self) {
        for (port, mut wire) in std::mem::take(&mut self.pseudowires.wires) {
            let lost = wire.parts.clear(&mut self.pool);
            self.lose_parts(port, lost, &mut ());
        }
    }
}
