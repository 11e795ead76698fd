//! FLOW_MODs that may be about very many flows: a MODIFY or DELETE that is not strict is obeyed in pieces, between
//! which others are served.
//!
//! What others see: packets meet the change whole, as nothing is published while it is being made; so what other
//! connections change meanwhile is published with it, and their barriers and packet-outs wait for that. The
//! connection's own next messages wait until it is made ([`Switch::is_dumping`]). It is about the flows that there were
//! when it came: those that others add meanwhile stay as they are; those that others change meanwhile are changed by
//! them first if it has not come there yet. One is made at a time; what is staged is published before the next.
//! In a bundle it is made at once, as all of the bundle is.

use super::flow_mod::selection;
use super::flow_table::FlowIndex;
use super::settings::ConnId;
use super::{Output, Switch};
use crate::model::BridgeId;
use crate::time::Time;
use bytes::Bytes;
use ofp::error::OfError;
use ofp::message::{FlowMod, FlowModCommand, FlowRemovedReason};
use ofp::types::{Version, Xid};
use std::collections::VecDeque;

/// Flows that are looked at, at once: a request that may be about more is made in pieces.
const AT_ONCE: usize = 1 << 13;
/// Places that are looked at in a piece, and flows that are changed in one: some milliseconds each.
const PIECE_PLACES: usize = 1 << 14;
const PIECE_FLOWS: usize = 1 << 11;
/// Changes that are applied to what will be published, and ended rules that are told of, in a piece.
const PIECE_CHANGES: usize = 1 << 12;
const PIECE_SETTLED: usize = 1 << 11;

/// A FLOW_MOD that is being obeyed.
pub(super) struct Wide {
    conn: ConnId,
    bridge: BridgeId,
    version: Version,
    /// When it came: by the clock, and as [`super::flow_table::Flow::sequence`] counts.
    now: Time,
    moment: u64,
    xid: Xid,
    flow_mod: Box<FlowMod>,
    /// To quote.
    raw: Bytes,
    /// Places that were not looked at yet.
    rest: std::ops::Range<u32>,
    /// The flows that it is about.
    found: Vec<FlowIndex>,
    /// How many of them are dealt with.
    done: usize,
}

/// Those that are not finished, by when they came.
#[derive(Default)]
pub(super) struct Wides {
    made: Option<Wide>,
    waiting: VecDeque<Wide>,
}

impl Wides {
    /// Whether one is being made: nothing may be published.
    pub(super) fn is_making(&self) -> bool {
        self.made.is_some()
    }
    /// Whether a connection waits for one.
    pub(super) fn is_of(&self, conn: ConnId) -> bool {
        let mut all = self.made.iter().chain(&self.waiting);
        all.any(|wide| wide.conn == conn)
    }
    /// A bridge is gone, and its connections with it; another one may get its number.
    pub(super) fn forget(&mut self, bridge: BridgeId) {
        self.made.take_if(|wide| wide.bridge == bridge);
        self.waiting.retain(|wide| wide.bridge != bridge);
    }
    /// What was staged before is published: the next one's turn.
    pub(super) fn start_next(&mut self) {
        if self.made.is_none() {
            self.made = self.waiting.pop_front();
        }
    }
}

impl Switch {
    /// Whether a FLOW_MOD has to be made in pieces.
    pub(super) fn is_wide(&self, conn: ConnId, flow_mod: &FlowMod) -> bool {
        let flows = &self.bridges[&self.connections[&conn].bridge].flows;
        match flow_mod.command {
            FlowModCommand::Modify => flows.is_wide(&selection(flow_mod, false, false), AT_ONCE),
            FlowModCommand::Delete => flows.is_wide(&selection(flow_mod, false, true), AT_ONCE),
            _ => false,
        }
    }
    /// Begins one. What is wrong with it by itself is said at once.
    pub(super) fn begin_wide(
        &mut self,
        now: Time,
        conn: ConnId,
        xid: Xid,
        flow_mod: Box<FlowMod>,
        raw: &[u8],
    ) -> Result<(), OfError> {
        self.check_flow_mod(conn, &flow_mod)?;
        let connection = &self.connections[&conn];
        let (bridge, version) = (connection.bridge, connection.version);
        let flows = &self.bridges[&bridge].flows;
        self.wides.waiting.push_back(Wide {
            conn,
            bridge,
            version,
            now,
            moment: flows.moment(),
            xid,
            flow_mod,
            raw: super::message::quoted(raw),
            rest: flows.places(),
            found: Vec::new(),
            done: 0,
        });
        Ok(())
    }
    /// Whether a connection waits for something else than to have room: for a request of it to be made
    /// ([`Output::Done`] says when it is), or for the workers ([`Output::More`], if there is more to say then).
    pub fn is_delayed(&self, conn: ConnId) -> bool {
        let connection = self.connections.get(&conn);
        self.wides.is_of(conn) || connection.is_some_and(|connection| connection.waiting > 0)
    }
    /// Whether there is work that is done in pieces: call [`Switch::work`] soon, and others in between.
    pub fn is_busy(&self) -> bool {
        !self.settled.is_empty()
            || self.wides.is_making()
            || self.expiring.is_some()
            || self.publisher.backlog() > PIECE_CHANGES
    }
    /// Whether a publication would take long.
    pub(super) fn has_backlog(&self) -> bool {
        self.publisher.backlog() > PIECE_CHANGES
    }
    /// Does a piece of the work that there is; call [`Switch::publish_ready`] afterwards.
    pub fn work(&mut self, out: &mut Vec<Output>) {
        self.settle_some(out);
        if let Some(mut wide) = self.wides.made.take() {
            match self.wide_piece(&mut wide) {
                false => self.wides.made = Some(wide),
                true => out.push(Output::Done(wide.conn)),
            }
            self.changes.cause = None;
        }
        if let Some(now) = self.expiring {
            self.expire_flows(now);
            self.delete_forsaken(now);
        }
        self.tell_changes(out);
        if self.has_backlog() {
            self.publisher.prepare(PIECE_CHANGES);
        }
    }
    /// Tells of what no worker uses any more.
    pub(super) fn settle_some(&mut self, out: &mut Vec<Output>) {
        let len = self.settled.len().min(PIECE_SETTLED);
        let settled: Vec<_> = self.settled.drain(..len).collect();
        for settling in settled {
            self.settle(settling, out);
        }
    }
    /// A piece of one; `true`: it is finished.
    fn wide_piece(&mut self, wide: &mut Wide) -> bool {
        self.changes.cause = Some((wide.conn, wide.xid));
        if !wide.rest.is_empty() {
            self.look_for(wide);
            // What matches nothing may add a flow, and what needs too much room is refused: known in the end.
            if wide.rest.is_empty()
                && wide.flow_mod.command == FlowModCommand::Modify
                && let Err(error) = self.check_modify(wide)
            {
                let error = self.error(wide.conn, wide.xid, error, &wide.raw);
                if self.connections.contains_key(&wide.conn) {
                    self.send_settled(wide.conn, error);
                }
                return true;
            }
            return wide.rest.is_empty() && wide.found.is_empty();
        }
        self.change_some(wide);
        let is_finished = wide.done == wide.found.len();
        if is_finished {
            self.delete_forsaken(wide.now);
        }
        is_finished
    }
    fn is_about(&self, wide: &Wide, index: FlowIndex) -> bool {
        let deletes = wide.flow_mod.command == FlowModCommand::Delete;
        let flow = self.bridges[&wide.bridge].flows.get(index);
        flow.is_some_and(|flow| {
            flow.sequence <= wide.moment
                && selection(&wide.flow_mod, false, deletes).covers(&flow.rule)
        })
    }
    fn look_for(&self, wide: &mut Wide) {
        let places = wide.rest.by_ref().take(PIECE_PLACES).collect::<Vec<_>>();
        let places = places.into_iter().map(FlowIndex::at);
        let found: Vec<_> = places.filter(|index| self.is_about(wide, *index)).collect();
        wide.found.extend(found);
    }
    /// A MODIFY knows all its flows. What it names may have gone since it came.
    fn check_modify(&mut self, wide: &Wide) -> Result<(), OfError> {
        self.check_used(wide.bridge, &wide.flow_mod.actions)?;
        self.may_modify(
            wide.now,
            wide.bridge,
            wide.version,
            &wide.flow_mod,
            wide.found.len(),
        )
        .map(|_| ())
    }
    /// Why flows end that it comes to: a group or meter that a MODIFY names may have gone since it began, and with it
    /// those that it had come to.
    fn ends(&self, wide: &Wide) -> Option<FlowRemovedReason> {
        if wide.flow_mod.command != FlowModCommand::Modify {
            return Some(FlowRemovedReason::Delete);
        }
        match self.check_used(wide.bridge, &wide.flow_mod.actions) {
            Err(OfError::ActionOutGroup) => Some(FlowRemovedReason::GroupDelete),
            Err(OfError::MeterInvalid) => Some(FlowRemovedReason::MeterDelete),
            _ => None,
        }
    }
    fn change_some(&mut self, wide: &mut Wide) {
        let ends = self.ends(wide);
        let end = wide.found.len().min(wide.done + PIECE_FLOWS);
        for place in wide.done..end {
            let index = wide.found[place];
            // Another connection may have been here since it was found.
            if !self.is_about(wide, index) {
                continue;
            }
            let (now, id) = (wide.now, wide.bridge);
            match ends {
                None => self.modify_one(now, id, index, &wide.flow_mod),
                Some(reason) => self.end_flow(now, id, index, reason),
            }
        }
        wide.done = end;
    }
}
