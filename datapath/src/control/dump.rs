//! Replies that are too long to be made at once: the flows of a dump, the first report of a monitor,
//! what a paused monitor missed.
//!
//! Design: a cursor goes over the places that flows have; each piece is made when the connection has
//! room for it ([`Switch::dump`]), so a reply is never in memory whole, and a slow reader delays nobody
//! else. Short lists are sorted first; a list of a million flows comes in the order of places.
//! Invariants: a flow keeps its place while it exists, also when it is replaced, so each flow that
//! exists during the whole dump is reported exactly once.

use super::bridge::Bridge;
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
/// Flows that are sorted for a dump at most: 256 KiB while it lasts.
const SORTED: usize = 1 << 16;
/// Long replies that may wait in a connection.
const WAITING: usize = 16;

/// A reply in the making.
pub(super) struct Dump {
    xid: Xid,
    what: What,
    rest: Rest,
}

/// What is reported.
pub(super) enum What {
    Flows(Box<FlowStatsRequest>),
    /// Their counters alone.
    Counts(Box<FlowStatsRequest>),
    /// The flows that these new monitors see.
    Initial(Vec<u32>),
    /// What changed while monitors were paused, since this moment ([`Flow::changed`]).
    Missed(u64),
}

/// Where the cursor is.
enum Rest {
    Listed(std::vec::IntoIter<FlowIndex>),
    Places(std::ops::Range<u32>),
}

impl Dump {
    /// A report of flows to monitors.
    pub(super) fn monitor(xid: Xid, what: What, bridge: &Bridge) -> Dump {
        let rest = Rest::Places(bridge.flows.places());
        Dump { xid, what, rest }
    }
    /// Whether the state of a flow at this place will still be reported for a monitor.
    pub(super) fn will_report(&self, monitor: u32, place: FlowIndex) -> bool {
        let concerns = match &self.what {
            What::Flows(_) | What::Counts(_) => false,
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

/// Entries of a message being made.
enum Part {
    Flows(Vec<ofp::message::FlowStats>, bool),
    Counts(Vec<ofp::message::FlowCounts>),
    Updates(Vec<FlowUpdate>),
}

impl Part {
    fn of(what: &What) -> Part {
        match what {
            What::Flows(request) => Part::Flows(Vec::new(), request.nicira),
            What::Counts(_) => Part::Counts(Vec::new()),
            What::Initial(_) | What::Missed(_) => Part::Updates(Vec::new()),
        }
    }
    fn part(self) -> MultipartPart {
        match self {
            Part::Flows(flows, nicira) => MultipartPart::Flow { flows, nicira },
            Part::Counts(flows) => MultipartPart::FlowCounts(flows),
            Part::Updates(updates) => MultipartPart::FlowMonitor(updates),
        }
    }
}

impl Switch {
    /// OFPMP_FLOW, and OFPMP_FLOW_STATS of 1.5.
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
            What::Flows(request) | What::Counts(request) => {
                flows.select_sorted(&selection(request), SORTED)
            }
            What::Initial(_) | What::Missed(_) => None,
        };
        let rest = match short {
            Some(list) => Rest::Listed(list.into_iter()),
            None => Rest::Places(flows.places()),
        };
        self.start_dump(now, conn, Dump { xid, what, rest }, out)
    }
    /// Makes the first piece of a reply, or lets it wait behind others.
    pub(super) fn start_dump(
        &mut self,
        now: Time,
        conn: ConnId,
        dump: Dump,
        out: &mut Vec<Output>,
    ) -> Result<(), ofp::error::OfError> {
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        if connection.dumps.len() >= WAITING {
            return Err(ofp::error::OfError::MultipartOverflow);
        }
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
    /// Whether a reply to a connection is not finished. Its next messages should wait until it is, so that
    /// the replies come in the order of the requests.
    pub fn is_dumping(&self, conn: ConnId) -> bool {
        let connection = self.connections.get(&conn);
        connection.is_some_and(|connection| !connection.dumps.is_empty())
    }
    /// The connection has room: emits the next piece of what [`Output::More`] announced. `true`: there is
    /// still more, and it should be called again.
    pub fn dump(&mut self, now: Time, conn: ConnId, out: &mut Vec<Output>) -> bool {
        let Some(connection) = self.connections.get(&conn) else {
            return false;
        };
        let waits = connection.waiting > 0;
        let mut piece = Vec::new();
        self.resume_monitors(conn);
        let more = self.piece(now, conn, &mut piece);
        for output in piece {
            if waits {
                self.send_settled(conn, output);
            } else {
                out.push(output);
            }
        }
        more
    }
    /// Emits some messages of the first dump, and those behind it if it ends.
    fn piece(&mut self, now: Time, conn: ConnId, out: &mut Vec<Output>) -> bool {
        let mut room = PIECE_PARTS;
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
                let (part, more) = self.part(now, conn, &mut dump);
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
    /// One message, and whether more follow.
    fn part(&self, now: Time, conn: ConnId, dump: &mut Dump) -> (MultipartPart, bool) {
        let connection = &self.connections[&conn];
        let flows = &self.bridges[&connection.bridge].flows;
        let mut part = Part::of(&dump.what);
        let mut size = 0;
        loop {
            let Some(index) = dump.next() else {
                return (part.part(), false);
            };
            let Some(flow) = flows.get(index) else {
                continue;
            };
            let before = size;
            match (&dump.what, &mut part) {
                (What::Flows(request), Part::Flows(list, _)) => {
                    if selection(request).covers(&flow.rule) {
                        list.push(self.stats_of(now, flow));
                        size += encoded_size(flow);
                    }
                }
                (What::Counts(request), Part::Counts(list)) => {
                    if selection(request).covers(&flow.rule) {
                        list.push(self.counts_of(now, flow));
                        size += encoded_size(flow);
                    }
                }
                (What::Initial(ids), Part::Updates(list)) => {
                    list.extend(connection.initial_update(ids, flow));
                    size += encoded_size(flow);
                }
                (What::Missed(since), Part::Updates(list)) => {
                    list.extend(connection.missed_update(*since, flow));
                    size += encoded_size(flow);
                }
                _ => unreachable!("the part is of the same kind"),
            }
            if size > before && size >= PART_BYTES {
                return (part.part(), true);
            }
        }
    }
}

/// An upper bound of a flow's bytes in a reply, of any version.
fn encoded_size(flow: &Flow) -> usize {
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
