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
use crate::model::{BridgeView, DropReason};
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
        (vlan, tci): (u16, Option<u16>),
        ways: Ways<'_>,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let vid = port.vlan.leave(vlan);
        // Nobody looks at this frame's layout any more.
        let mut layout = Layout::default();
        let has_room = match tci {
            None if vid != 0 => rewrite::push_vlan(&mut frame, &mut layout, ethertype::VLAN, vid),
            // A trunk keeps a priority that is not 0, as in Open vSwitch.
            Some(tci) if vid == 0 && (port.vlan.strips(vlan) || tci >> 13 == 0) => {
                rewrite::pop_vlan(&mut frame, &mut layout);
                true
            }
            Some(tci) if tci & vlan::VID_MASK != vid => {
                let head = frame.head_mut();
                if let Some(tag) = vlan::Header::at_mut(head, ethernet::Header::SIZE) {
                    tag.tci.set(tci & !vlan::VID_MASK | vid);
                }
                true
            }
            _ => true,
        };
        if !has_room {
            return self.drop(frame, DropReason::NoMemory, o);
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
