//! Replies that are too long to be made at once: the flows of a dump and their sum, groups, meters, ports, queues,
//! the first report of a monitor, what a paused monitor missed.
//!
//! Design: a cursor goes over the places that flows have, or over the numbers of the others (`entries.rs`); each
//! piece is made when the connection has room for it ([`Switch::dump`]), so a reply is never in memory whole, and a
//! slow reader delays nobody else. A piece is bounded by what it says and by what it looks at. Short lists of
//! flows are sorted first; a list of a million comes in the order of places.
//! Invariants: a flow keeps its place while it exists, also when it is replaced, and a group its number, so what
//! exists during the whole dump is reported exactly once; what comes or goes meanwhile, once or not at all.

use super::bridge::Bridge;
use super::connection::Connection;
use super::entries::Entries;
use super::flow_stats::counted;
use super::flow_table::{Flow, FlowIndex, Selection};
use super::settings::ConnId;
use super::{Output, Switch};
use crate::time::Time;
use ofp::action::Action;
use ofp::message::{Body, FlowStatsRequest, FlowUpdate, Message, MultipartPart, MultipartReply};
use ofp::types::Xid;

/// Bytes of one message of a long reply; it can have 65,535 at most.
pub(super) const PART_BYTES: usize = 32 * 1024;
/// Messages that are made at a time.
const PIECE_PARTS: usize = 8;
/// Places that are looked at for a piece: some milliseconds, where a dump selects few of many flows.
const PIECE_PLACES: usize = 1 << 14;
/// Flows that are sorted for a dump at most: 256 KiB while it lasts.
const SORTED: usize = 1 << 16;
/// Long replies that may wait in a connection.
const WAITING: usize = 16;

/// A reply in the making.
pub(super) struct Dump {
    xid: Xid,
    what: What,
    rest: Rest,
    /// The message being made, and an upper bound of its bytes.
    part: Part,
    size: usize,
}

/// What is reported.
pub(super) enum What {
    Flows(Box<FlowStatsRequest>),
    /// Their counters alone.
    Counts(Box<FlowStatsRequest>),
    /// Their sum.
    Aggregate(Box<FlowStatsRequest>),
    /// What has a number.
    Entries(Entries),
    /// The flows that these new monitors see.
    Initial(Vec<u32>),
    /// What changed while monitors were paused, since this moment ([`Flow::changed`]).
    Missed(u64),
}

/// Where the cursor is.
enum Rest {
    Listed(std::vec::IntoIter<FlowIndex>),
    Places(std::ops::Range<u32>),
    Numbers(std::ops::Range<u64>),
}

impl Dump {
    fn new(xid: Xid, what: What, rest: Rest) -> Dump {
        let (part, size) = (Part::of(&what), 0);
        Dump {
            xid,
            what,
            rest,
            part,
            size,
        }
    }
    /// A report of flows to monitors.
    pub(super) fn monitor(xid: Xid, what: What, bridge: &Bridge) -> Dump {
        Dump::new(xid, what, Rest::Places(bridge.flows.places()))
    }
    /// A report of what has a number.
    pub(super) fn entries(xid: Xid, entries: Entries) -> Dump {
        let rest = Rest::Numbers(entries.numbers());
        Dump::new(xid, What::Entries(entries), rest)
    }
    /// Whether the state of a flow at this place will still be reported for a monitor.
    pub(super) fn will_report(&self, monitor: u32, place: FlowIndex) -> bool {
        let concerns = match &self.what {
            What::Flows(_) | What::Counts(_) | What::Aggregate(_) | What::Entries(_) => false,
            What::Initial(ids) => ids.contains(&monitor),
            What::Missed(_) => true,
        };
        concerns && matches!(&self.rest, Rest::Places(rest) if rest.contains(&place.place()))
    }
    /// Since when a monitor missed changes, if this catches up.
    pub(super) fn missed_since(&self) -> Option<u64> {
        match self.what {
            What::Missed(since) => Some(since),
            _ => None,
        }
    }
    fn next(&mut self) -> Option<FlowIndex> {
        match &mut self.rest {
            Rest::Listed(list) => list.next(),
            Rest::Places(places) => places.next().map(FlowIndex::at),
            Rest::Numbers(_) => None,
        }
    }
}

/// What a request selects.
pub(super) fn selection(request: &FlowStatsRequest) -> Selection<'_> {
    Selection {
        table: request.table,
        priority: None,
        matching: &request.matching,
        cookie: request.cookie,
        cookie_mask: request.cookie_mask,
        out_port: request.out_port,
        out_group: request.out_group,
    }
}

/// What a message being made says of flows.
enum Part {
    Flows(Vec<ofp::message::FlowStats>, bool),
    Counts(Vec<ofp::message::FlowCounts>),
    Updates(Vec<FlowUpdate>),
    /// Packets, bytes, flows.
    Sum((u64, u64, u32), bool),
}

impl Part {
    fn of(what: &What) -> Part {
        match what {
            What::Flows(request) => Part::Flows(Vec::new(), request.nicira),
            What::Counts(_) => Part::Counts(Vec::new()),
            What::Aggregate(request) => Part::Sum((0, 0, 0), request.nicira),
            What::Initial(_) | What::Missed(_) | What::Entries(_) => Part::Updates(Vec::new()),
        }
    }
    fn part(self) -> MultipartPart {
        match self {
            Part::Flows(flows, nicira) => MultipartPart::Flow { flows, nicira },
            Part::Counts(flows) => MultipartPart::FlowCounts(flows),
            Part::Updates(updates) => MultipartPart::FlowMonitor(updates),
            Part::Sum((packets, bytes, flows), nicira) => MultipartPart::Aggregate {
                packets,
                bytes,
                flows,
                nicira,
            },
        }
    }
}

impl Switch {
    /// OFPMP_FLOW, OFPMP_FLOW_STATS of 1.5, OFPMP_AGGREGATE.
    pub(super) fn flow_stats(
        &mut self,
        now: Time,
        conn: ConnId,
        xid: Xid,
        what: What,
        out: &mut Vec<Output>,
    ) -> Result<(), ofp::error::OfError> {
        let flows = &self.bridges[&self.connections[&conn].bridge].flows;
        let short = match &what {
            What::Flows(request) | What::Counts(request) | What::Aggregate(request) => {
                flows.select_sorted(&selection(request), SORTED)
            }
            What::Initial(_) | What::Missed(_) | What::Entries(_) => None,
        };
        let rest = match short {
            Some(list) => Rest::Listed(list.into_iter()),
            None => Rest::Places(flows.places()),
        };
        self.start_dump(now, conn, Dump::new(xid, what, rest), out)
    }
    /// Whether a connection may begin one more long reply.
    pub(super) fn may_dump(&self, conn: ConnId) -> Result<(), ofp::error::OfError> {
        match self.connections[&conn].dumps.len() < WAITING {
            true => Ok(()),
            false => Err(ofp::error::OfError::MultipartOverflow),
        }
    }
    /// Makes the first piece of a reply, or lets it wait behind others.
    pub(super) fn start_dump(
        &mut self,
        now: Time,
        conn: ConnId,
        dump: Dump,
        out: &mut Vec<Output>,
    ) -> Result<(), ofp::error::OfError> {
        self.may_dump(conn)?;
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        connection.dumps.push_back(dump);
        if connection.dumps.len() == 1 {
            let mut piece = Vec::new();
            if self.piece(now, conn, &mut piece) {
                out.push(Output::More(conn));
            }
            out.append(&mut piece);
        }
        Ok(())
    }
    /// Whether a reply to a connection is not finished, or a request of it. Its next messages should wait until it
    /// is, so that they are obeyed, and the replies come, in the order of the requests.
    pub fn is_dumping(&self, conn: ConnId) -> bool {
        let connection = self.connections.get(&conn);
        connection.is_some_and(|connection| !connection.dumps.is_empty()) || self.wides.is_of(conn)
    }
    /// The connection has room: emits the next piece of what [`Output::More`] announced. `true`: there is
    /// still more, and it should be called again.
    pub fn dump(&mut self, now: Time, conn: ConnId, out: &mut Vec<Output>) -> bool {
        if !self.connections.contains_key(&conn) {
            return false;
        }
        let is_behind = self.catch_up(conn, out);
        self.resume_monitors(conn);
        let connection = &self.connections[&conn];
        // A long reply does not pile up behind what waits.
        let more = match connection.waits() {
            true => !connection.dumps.is_empty(),
            false => self.piece(now, conn, out),
        };
        more || self.wides.is_of(conn) || is_behind
    }
    /// Emits some messages of the first dump, and those behind it if it ends.
    fn piece(&mut self, now: Time, conn: ConnId, out: &mut Vec<Output>) -> bool {
        let (mut room, mut places) = (PIECE_PARTS, PIECE_PLACES);
        loop {
            let connection = self.connections.get_mut(&conn).expect("seen by callers");
            let Some(mut dump) = connection.dumps.pop_front() else {
                return false;
            };
            let ended = loop {
                if room == 0 {
                    break false;
                }
                room -= 1;
                let Some((part, more)) = self.part(now, conn, &mut dump, &mut places) else {
                    break false;
                };
                let nothing = matches!(&part, MultipartPart::FlowMonitor(list) if list.is_empty());
                if !nothing || dump.missed_since().is_none() {
                    let body = Body::MultipartReply(MultipartReply { more, part });
                    let xid = dump.xid;
                    out.push(Output::Send(conn, Message { xid, body }));
                }
                if !more {
                    break true;
                }
            };
            if !ended {
                let connection = self.connections.get_mut(&conn).expect("seen above");
                connection.dumps.push_front(dump);
                return true;
            }
            if dump.missed_since().is_some() {
                let (xid, body) = (Xid(0), Body::FlowMonitorResumed);
                out.push(Output::Send(conn, Message { xid, body }));
            }
        }
    }
    /// One message, and whether more follow; `None`: enough places were looked at.
    fn part(
        &self,
        now: Time,
        conn: ConnId,
        dump: &mut Dump,
        places: &mut usize,
    ) -> Option<(MultipartPart, bool)> {
        if let (What::Entries(entries), Rest::Numbers(rest)) = (&dump.what, &mut dump.rest) {
            return Some(self.entries_part(now, conn, entries, rest));
        }
        let connection = &self.connections[&conn];
        let flows = &self.bridges[&connection.bridge].flows;
        loop {
            *places = places.checked_sub(1)?;
            let index = dump.next();
            let is_last = index.is_none();
            if let Some(flow) = index.and_then(|index| flows.get(index)) {
                dump.size += self.say_flow(now, connection, &dump.what, flow, &mut dump.part);
            }
            if is_last || dump.size >= PART_BYTES {
                dump.size = 0;
                let part = std::mem::replace(&mut dump.part, Part::of(&dump.what));
                return Some((part.part(), !is_last));
            }
        }
    }
    /// Adds what is to be said of a flow; returns an upper bound of its bytes.
    fn say_flow(
        &self,
        now: Time,
        connection: &Connection,
        what: &What,
        flow: &Flow,
        part: &mut Part,
    ) -> usize {
        match (what, part) {
            (What::Flows(request), Part::Flows(list, _))
                if selection(request).covers(&flow.rule) =>
            {
                list.push(self.stats_of(now, flow));
            }
            (What::Counts(request), Part::Counts(list))
                if selection(request).covers(&flow.rule) =>
            {
                list.push(self.counts_of(now, flow));
            }
            (What::Aggregate(request), Part::Sum((packets, bytes, flows), _))
                if selection(request).covers(&flow.rule) =>
            {
                let of_flow = counted(&self.stats, flow);
                *packets = packets.wrapping_add(of_flow.0);
                *bytes = bytes.wrapping_add(of_flow.1);
                *flows += 1;
                return 0;
            }
            (What::Initial(ids), Part::Updates(list)) => {
                list.extend(connection.initial_update(ids, flow));
            }
            (What::Missed(since), Part::Updates(list)) => {
                list.extend(connection.missed_update(*since, flow));
            }
            _ => return 0,
        }
        encoded_size(flow)
    }
}

/// An upper bound of a flow's bytes in a reply, of any version.
pub(super) fn encoded_size(flow: &Flow) -> usize {
    // A word of the key holds at most four fields; a masked field takes at most 4 + 16 + 16 bytes.
    64 + flow.rule.matching.words().len() * 64 + actions_size(&flow.rule.actions)
}

pub(super) fn actions_size(actions: &[Action]) -> usize {
    let of = |action: &Action| match action {
        Action::WriteActions(nested) | Action::Clone(nested) => 32 + actions_size(nested),
        Action::Note(bytes) => 32 + bytes.len(),
        Action::Controller(controller) => 96 + controller.userdata.len(),
        Action::DecTtl(ids) => 32 + 2 * ids.len(),
        Action::Learn(learn) => 64 + 64 * learn.specs.len(),
        Action::Bundle(bundle) => 64 + 4 * bundle.ports.len(),
        _ => 64,
    };
    actions.iter().map(of).sum()
}
