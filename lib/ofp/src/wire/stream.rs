//! Multipart replies of any length: entries are collected into messages of at most 64 KiB, each but
//! the last marked as having more behind it.

use super::cursor::patch_u16;
use super::rows::{FLOW_REPLY, NX_FLOW_REPLY};
use super::{
    HEADER_SIZE, MAX_SIZE, MORE, Row, bundle, flow_stats, group, meter, monitor, multipart, port,
    put_message, queue, status, table, table_features,
};
use crate::message::{Dialect, FlowStats, MultipartPart, MultipartReply};
use crate::types::{Version, Xid};
use bytes::{BufMut, BytesMut};

/// Room for what replies of another kind, and flow updates, say beside a flow's match and actions.
const ROOM: usize = 256;

/// Whether a flow, and `more` bytes, fit each message that tells of it, in every version.
pub fn fits_replies(flow: &FlowStats, more: usize) -> bool {
    let mut message = BytesMut::new();
    Version::SUPPORTED.iter().all(|version| {
        [false, true].iter().all(|nicira| {
            message.clear();
            flow_stats::put_flow(&mut message, *version, *nicira, flow);
            message.len() + ROOM + more <= MAX_SIZE
        })
    })
}

/// A reply being written. Finished messages are appended to the caller's buffer one by one, so that
/// the caller can send them before it asks for the next entries: a reply is never in memory whole.
#[derive(Debug)]
pub struct ReplyStream {
    version: Version,
    nicira: bool,
    xid: Xid,
    row: Row,
    /// The message being filled.
    message: BytesMut,
    /// Bytes of it before the first entry.
    start: usize,
}

impl ReplyStream {
    /// A FLOW reply; `nicira` as in the request.
    pub fn flows(xid: Xid, dialect: &Dialect, nicira: bool) -> ReplyStream {
        let row = if nicira { NX_FLOW_REPLY } else { FLOW_REPLY };
        ReplyStream {
            nicira,
            ..ReplyStream::new(xid, dialect, row)
        }
    }

    fn new(xid: Xid, dialect: &Dialect, row: Row) -> ReplyStream {
        let mut message = BytesMut::new();
        put_message(&mut message, dialect.version, &row, xid, |_| ());
        let start = message.len();
        ReplyStream {
            version: dialect.version,
            nicira: false,
            xid,
            row,
            message,
            start,
        }
    }

    /// Adds a flow; appends a message to `out` when one is full.
    pub fn flow(&mut self, flow: &FlowStats, out: &mut BytesMut) {
        let (version, nicira) = (self.version, self.nicira);
        self.entry(out, |o| flow_stats::put_flow(o, version, nicira, flow));
    }

    /// Adds an entry. One that fills a message alone is left out: the switch refuses flows ([`fits_replies`]) and groups that would.
    fn entry(&mut self, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
        let before = self.message.len();
        write(&mut self.message);
        if self.message.len() <= MAX_SIZE {
            return;
        }
        let entry = self.message.split_off(before);
        if self.start + entry.len() > MAX_SIZE {
            return;
        }
        self.close(out, true);
        put_message(&mut self.message, self.version, &self.row, self.xid, |_| ());
        self.message.put_slice(&entry);
    }

    /// Adds entries.
    fn all<T>(&mut self, out: &mut BytesMut, entries: &[T], write: impl Fn(&mut BytesMut, &T)) {
        entries
            .iter()
            .for_each(|entry| self.entry(out, |o| write(o, entry)));
    }

    /// Appends the message that is being filled.
    fn close(&mut self, out: &mut BytesMut, more: bool) {
        let size = self.message.len();
        patch_u16(&mut self.message, 2, size);
        patch_u16(
            &mut self.message,
            HEADER_SIZE + 2,
            usize::from(if more { MORE } else { 0 }),
        );
        out.put_slice(&self.message);
        self.message.clear();
    }

    /// Appends the last message, which may be empty of entries.
    pub fn finish(mut self, out: &mut BytesMut) {
        self.close(out, false);
    }
}

/// Writes a reply, in several messages if it does not fit one.
pub(super) fn put_reply(
    out: &mut BytesMut,
    xid: Xid,
    dialect: &Dialect,
    row: &Row,
    reply: &MultipartReply,
) {
    let version = dialect.version;
    let mut s = ReplyStream::new(xid, dialect, *row);
    match &reply.part {
        MultipartPart::Desc(desc) => s.entry(out, |o| multipart::put_desc(o, desc)),
        MultipartPart::Flow { flows, nicira } => {
            s.nicira = *nicira;
            flows.iter().for_each(|flow| s.flow(flow, out));
        }
        MultipartPart::Aggregate {
            packets,
            bytes,
            flows,
            ..
        } => s.entry(out, |o| {
            flow_stats::put_aggregate(o, version, *packets, *bytes, *flows);
        }),
        MultipartPart::Table(tables) => s.all(out, tables, |o, t| table::put_stats(o, version, t)),
        MultipartPart::Port(ports) => s.all(out, ports, |o, p| port::put_stats(o, version, p)),
        MultipartPart::PortDesc(ports) => s.all(out, ports, |o, p| port::put_desc(o, version, p)),
        MultipartPart::TableFeatures(tables) => {
            s.all(out, tables, |o, t| table_features::put(o, version, t));
        }
        MultipartPart::Bpdu(ports) => s.all(out, ports, |o, p| p.put(o)),
        MultipartPart::Queue(queues) => s.all(out, queues, |o, q| queue::put_stats(o, version, q)),
        MultipartPart::QueueDesc(queues) => {
            s.all(out, queues, |o, q| queue::put_desc(o, version, q));
        }
        MultipartPart::TableDesc(tables) => s.all(out, tables, table::put_desc),
        MultipartPart::ControllerStatus(list) => s.all(out, list, status::put_controller_status),
        MultipartPart::Group(groups) => s.all(out, groups, |o, g| group::put_stats(o, version, g)),
        MultipartPart::GroupDesc(groups) => {
            s.all(out, groups, |o, g| group::put_desc(o, version, g))
        }
        MultipartPart::GroupFeatures(f) => s.entry(out, |o| group::put_features(o, f)),
        MultipartPart::Meter(meters) => s.all(out, meters, meter::put_stats),
        MultipartPart::MeterConfig(meters) => s.all(out, meters, meter::put_config),
        MultipartPart::MeterFeatures(f) => s.entry(out, |o| meter::put_features(o, version, f)),
        MultipartPart::FlowCounts(flows) => s.all(out, flows, flow_stats::put_counts),
        MultipartPart::BundleFeatures(f) => s.entry(out, |o| bundle::put_features(o, f)),
        MultipartPart::FlowMonitor(list) => {
            s.all(out, list, |o, u| monitor::put_update(o, version, u));
        }
    }
    s.close(out, reply.more);
}
