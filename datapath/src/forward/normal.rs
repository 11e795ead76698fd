//! NORMAL: the learning switch, with Open vSwitch's VLAN modes (ovs-vswitchd.conf.db(5), Port table,
//! and ovs-actions(7), "The OVS Normal Pipeline"). A run-time step: what was learnt decides.

use super::continuation::Continuation;
use super::execute::{Context, Executor, Place};
use super::program::Overlay;
use super::rewrite;
use super::send::refusal;
use super::trace::Observer;
use crate::edge::{Frame, Pool};
use crate::model::id::PortId;
use crate::model::port::{PortView, VlanMode};
use crate::model::{BridgeId, BridgeView, DropReason};
use flow::extract::Layout;
use ofp::message::port_config;
use ofp::types::PortNo;
use packet::{MacAddr, Wire, ethernet, ethertype, vlan};
use std::sync::Arc;

/// Ways through egress tables that a worker keeps.
const EGRESS_LEN: usize = 1024;

/// How a frame leaves.
#[derive(Clone, Copy)]
pub struct Ways<'s> {
    /// What actions wrote to the tunnel's words.
    pub tunnel: &'s Overlay,
    /// Through the egress tables, if there are any.
    pub egress: Option<&'s Continuation>,
}

/// Pairs of stations that a worker remembers: a power of two.
const MEMO_LEN: usize = 256;

/// Where frames between two stations went: true as long as the bridge's ports, and what it has learnt, are as they were, and for a
/// second, as the time of the last use has to be noted.
/// Measured: 115 cycles per packet less.
pub(super) struct Memo {
    /// What its entries are true for.
    bridge: BridgeId,
    version: u64,
    changes: u64,
    second: u64,
    /// Entries of other epochs are not.
    epoch: u32,
    entries: Box<[Remembered]>,
}

/// Frames that leave by this port as they came.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Remembered {
    stations: [u64; 2],
    from: u64,
    epoch: u32,
    port: PortId,
}

impl Default for Memo {
    fn default() -> Memo {
        let nothing = Remembered {
            stations: [0; 2],
            from: 0,
            epoch: 0,
            port: PortId(0),
        };
        Memo {
            bridge: BridgeId(0),
            version: 0,
            changes: 0,
            second: 0,
            epoch: 0,
            entries: vec![nothing; MEMO_LEN].into(),
        }
    }
}

impl Memo {
    /// Both addresses, the ether type, and the outer tag if there is one.
    #[inline]
    pub fn stations(head: &[u8]) -> Option<[u64; 2]> {
        let bytes: &[u8; ethernet::Header::SIZE + vlan::Header::SIZE] = head.first_chunk()?;
        let [a, b] = [0, 8].map(|at: usize| bytes[at..].first_chunk().copied().unwrap_or_default());
        let (a, b) = (u64::from_be_bytes(a), u64::from_be_bytes(b));
        let is_tagged = ethertype::is_vlan((b >> 16) as u16);
        Some([a, if is_tagged { b } else { b & !0xffff }])
    }
    fn from((in_port, reserved): (PortNo, bool)) -> u64 {
        u64::from(in_port.0) << 1 | u64::from(reserved)
    }
    #[inline]
    fn index([a, b]: [u64; 2]) -> usize {
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        let hash = (a ^ b.rotate_left(29)).wrapping_mul(MULTIPLIER);
        (hash >> 32) as usize % MEMO_LEN
    }
    /// Where such a frame went. Also makes ready to remember it.
    #[inline]
    pub fn recall(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        from: (PortNo, bool),
        head: &[u8],
    ) -> Option<PortId> {
        let (version, second) = (cx.snapshot.version, cx.now.as_secs());
        let changes = at.view.config.macs.changes();
        let is_true = self.version == version && self.changes == changes && self.second == second;
        if !is_true || self.bridge != at.bridge {
            self.begin(at.bridge, version, changes, second);
            return None;
        }
        let stations = Memo::stations(head)?;
        let entry = self.entries.get(Memo::index(stations))?;
        let is_it = entry.epoch == self.epoch
            && entry.stations == stations
            && entry.from == Memo::from(from);
        is_it.then_some(entry.port)
    }
    #[inline(never)]
    fn begin(&mut self, bridge: BridgeId, version: u64, changes: u64, second: u64) {
        (self.bridge, self.version, self.changes, self.second) = (bridge, version, changes, second);
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // Once in four billion times: entries of that epoch might be there still.
            self.entries.iter_mut().for_each(|entry| entry.epoch = 0);
            self.epoch = 1;
        }
    }
    /// Remembers it, if it was asked for before anything was learnt.
    pub fn keep(&mut self, from: (PortNo, bool), head: &[u8], port: PortId) {
        if let Some(stations) = Memo::stations(head)
            && let Some(entry) = self.entries.get_mut(Memo::index(stations))
        {
            *entry = Remembered {
                stations,
                from: Memo::from(from),
                epoch: self.epoch,
                port,
            };
        }
    }
}

/// What NORMAL looks at.
struct Headers {
    dst: MacAddr,
    src: MacAddr,
    /// The outer tag.
    tci: Option<u16>,
}

fn headers(head: &[u8]) -> Option<Headers> {
    let link = ethernet::Header::parse(head)?.0;
    let tci = match link.ether_type.get() {
        kind if ethertype::is_vlan(kind) => {
            // "Drop malformed frames": a tag that is cut short.
            Some(vlan::Header::at(head, ethernet::Header::SIZE)?.tci.get())
        }
        _ => None,
    };
    Some(Headers {
        dst: link.dst,
        src: link.src,
        tci,
    })
}

fn in_list(trunks: &Option<Box<[u64; 64]>>, vlan: u16) -> bool {
    trunks
        .as_ref()
        .is_none_or(|bits| bits[usize::from(vlan >> 6) & 63] >> (vlan & 63) & 1 != 0)
}

impl VlanMode {
    /// The VLAN that a frame belongs to which came in with this id in its tag (0: none, or in a
    /// priority tag). `None`: it is not allowed in.
    pub fn admit(&self, vid: u16) -> Option<u16> {
        match self {
            VlanMode::Access { tag } => (vid == 0).then_some(*tag),
            VlanMode::Trunk { trunks } => in_list(trunks, vid).then_some(vid),
            VlanMode::Native { tag, .. } if vid == 0 => Some(*tag),
            VlanMode::Native { trunks, .. } => in_list(trunks, vid).then_some(vid),
        }
    }
    /// Whether the port is one of a VLAN's.
    pub fn carries(&self, vlan: u16) -> bool {
        match self {
            VlanMode::Access { tag } => *tag == vlan,
            VlanMode::Trunk { trunks } => in_list(trunks, vlan),
            VlanMode::Native { tag, trunks, .. } => *tag == vlan || in_list(trunks, vlan),
        }
    }
    /// Whether a VLAN's frames leave here without their tag, priority and all.
    pub fn strips(&self, vlan: u16) -> bool {
        match self {
            VlanMode::Access { .. } => true,
            VlanMode::Native { tag, tagged, .. } => !tagged && *tag == vlan,
            VlanMode::Trunk { .. } => false,
        }
    }
    /// The id in the tag of a VLAN's frames that leave here; 0: they leave without, or in a priority tag.
    pub fn leave(&self, vlan: u16) -> u16 {
        match self {
            VlanMode::Access { .. } => 0,
            VlanMode::Native {
                tag, tagged: false, ..
            } if *tag == vlan => 0,
            VlanMode::Trunk { .. } | VlanMode::Native { .. } => vlan,
        }
    }
}

/// Where a frame goes.
enum Decision<'s> {
    Drop(DropReason),
    Port(&'s Arc<PortView>),
    Flood,
}

impl<P: Pool> Executor<P> {
    /// Forwards a frame as a learning switch; gives it back unless `is_last`.
    #[allow(clippy::too_many_arguments, reason = "they are the step's fields")]
    pub fn normal<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        (in_port, reserved): (PortNo, bool),
        ways: Ways<'_>,
        frame: P::Frame,
        is_last: bool,
        o: &mut O,
    ) -> Option<P::Frame> {
        o.normal();
        let from = (in_port, reserved);
        let may_recall = is_last && ways.egress.is_none() && !O::EXPLAINS;
        if may_recall && let Some(port) = self.memo.recall(cx, at, from, frame.head()) {
            self.output(cx, at, port, ways.tunnel, u32::MAX, frame, o);
            return None;
        }
        let Some(headers) = headers(frame.head()) else {
            return self.refuse(frame, DropReason::Malformed, is_last, o);
        };
        let ingress = at.view.ports.get(&in_port).copied();
        let ingress = ingress.and_then(|id| cx.snapshot.port(id));
        let vid = headers.tci.unwrap_or(0) & vlan::VID_MASK;
        let vlan = match ingress {
            Some(port) => match port.vlan.admit(vid) {
                Some(vlan) => vlan,
                None => return self.refuse(frame, DropReason::VlanDisallowed, is_last, o),
            },
            // A controller's own packet: a trunk that nothing is learnt from.
            None if in_port == PortNo::CONTROLLER || in_port == PortNo::ANY => vid,
            None => return self.refuse(frame, DropReason::NoPort, is_last, o),
        };
        if let Some(port) = ingress {
            if !reserved && at.view.config.reserved.keeps(headers.dst) {
                return self.refuse(frame, DropReason::ReservedAddress, is_last, o);
            }
            if headers.src.is_unicast() && !O::PRETENDS {
                at.view
                    .config
                    .macs
                    .learn(headers.src, vlan, port.id, cx.now);
            }
        }
        let tags = (vlan, headers.tci);
        match decide(cx, at.view, ingress.map(|port| port.id), headers.dst, vlan) {
            Decision::Drop(reason) => self.refuse(frame, reason, is_last, o),
            Decision::Port(port) => {
                o.note(format_args!(
                    "NORMAL: forwarding to learned port {} in VLAN {vlan}",
                    port.name
                ));
                if may_recall && ingress.is_some() && change(port, tags) == Change::None {
                    self.memo.keep(from, frame.head(), port.id);
                }
                if is_last {
                    self.leave(cx, at, port, tags, ways, frame, o);
                    return None;
                }
                if let Some(copy) = self.copy(&frame, o) {
                    self.leave(cx, at, port, tags, ways, copy, o);
                }
                Some(frame)
            }
            Decision::Flood => {
                o.note(format_args!(
                    "NORMAL: no learned MAC for destination, flooding in VLAN {vlan}"
                ));
                let ingress = ingress.map(|port| port.id);
                let wanted = |port: &&Arc<PortView>| {
                    Some(port.id) != ingress
                        && port.config & port_config::NO_FLOOD == 0
                        && port.vlan.carries(vlan)
                        && refusal(port).is_none()
                };
                let members = at.view.members.iter();
                let mut targets = members
                    .filter_map(|&id| cx.snapshot.port(id))
                    .filter(wanted)
                    .peekable();
                if targets.peek().is_none() {
                    return self.refuse(frame, DropReason::Action, is_last, o);
                }
                while let Some(port) = targets.next() {
                    if is_last && targets.peek().is_none() {
                        self.leave(cx, at, port, tags, ways, frame, o);
                        return None;
                    }
                    if let Some(copy) = self.copy(&frame, o) {
                        self.leave(cx, at, port, tags, ways, copy, o);
                    }
                }
                Some(frame)
            }
        }
    }
    /// Counts a drop; gives the frame back unless `is_last`.
    fn refuse<O: Observer>(
        &mut self,
        frame: P::Frame,
        reason: DropReason,
        is_last: bool,
        o: &mut O,
    ) -> Option<P::Frame> {
        if is_last {
            self.drop(frame, reason, o);
            return None;
        }
        o.drop(reason);
        self.stats.dropped(reason);
        Some(frame)
    }
    /// Sends a frame of a VLAN through a port, tagged as that wants it.
    #[allow(clippy::too_many_arguments, reason = "they are the step's fields")]
    fn leave<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        port: &PortView,
        tags: (u16, Option<u16>),
        ways: Ways<'_>,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        // Nobody looks at this frame's layout any more.
        let mut layout = Layout::default();
        match change(port, tags) {
            Change::None => {}
            Change::Push(vid) => {
                if !rewrite::push_vlan(&mut frame, &mut layout, ethertype::VLAN, vid) {
                    return self.drop(frame, DropReason::NoMemory, o);
                }
            }
            Change::Pop => rewrite::pop_vlan(&mut frame, &mut layout),
            Change::Write(tci) => {
                let head = frame.head_mut();
                if let Some(tag) = vlan::Header::at_mut(head, ethernet::Header::SIZE) {
                    tag.tci.set(tci);
                }
            }
        }
        match ways.egress {
            None => self.emit(cx, at, port.id, ways.tunnel, u32::MAX, frame, o),
            Some(egress) => {
                let then = self.egress(egress, port);
                self.continue_with(at.item(frame, Some(&then)), o);
            }
        }
    }
    /// The way of what NORMAL sends to a port. It is kept, so that the programs of its packets can be.
    fn egress(&mut self, egress: &Continuation, port: &PortView) -> Arc<Continuation> {
        if self.egress.len() >= EGRESS_LEN {
            self.egress.clear();
        }
        let of_port = self.egress.entry((egress.id(), port.id));
        let towards = || Arc::new(egress.towards(port.number));
        of_port.or_insert_with(towards).clone()
    }
}

/// What a port changes of a frame's outer tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Push(u16),
    Pop,
    Write(u16),
}

/// What becomes of the outer tag of a VLAN's frame that leaves by a port.
#[inline]
pub(super) fn change(port: &PortView, (vlan, tci): (u16, Option<u16>)) -> Change {
    let vid = port.vlan.leave(vlan);
    match tci {
        None if vid != 0 => Change::Push(vid),
        // A trunk keeps a priority that is not 0, as in Open vSwitch.
        Some(tci) if vid == 0 && (port.vlan.strips(vlan) || tci >> 13 == 0) => Change::Pop,
        Some(tci) if tci & vlan::VID_MASK != vid => Change::Write(tci & !vlan::VID_MASK | vid),
        _ => Change::None,
    }
}

fn decide<'s>(
    cx: Context<'s>,
    view: &BridgeView,
    ingress: Option<PortId>,
    dst: MacAddr,
    vlan: u16,
) -> Decision<'s> {
    if dst.is_multicast() {
        return Decision::Flood;
    }
    match view.config.macs.lookup(dst, vlan) {
        None => Decision::Flood,
        Some(id) if Some(id) == ingress => Decision::Drop(DropReason::Recirculation),
        Some(id) => match cx.snapshot.port(id) {
            None => Decision::Flood,
            // It was learnt before the port's VLANs changed.
            Some(port) if !port.vlan.carries(vlan) => Decision::Flood,
            Some(port) => match refusal(port) {
                Some(reason) => Decision::Drop(reason),
                None => Decision::Port(port),
            },
        },
    }
}
