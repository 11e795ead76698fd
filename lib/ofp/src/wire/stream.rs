//! Multipart replies of any length: entries are collected into messages of at most 64 KiB, each but
//! the last marked as having more behind it.

use super::cursor::patch_u16;
use super::{
    AGGREGATE_REPLY, BPDU_REPLY, DESC_REPLY, FLOW_REPLY, HEADER_SIZE, MORE, NX_AGGREGATE_REPLY,
    NX_FLOW_REPLY, PORT_DESC_REPLY, PORT_REPLY, QUEUE_REPLY, Row, TABLE_FEATURES_REPLY,
    TABLE_REPLY,
};
use super::{multipart, port, put_message, table_features};
use crate::message::{Dialect, FlowStats, MultipartPart, MultipartReply};
use crate::types::{Version, Xid};
use bytes::{BufMut, BytesMut};

/// Bytes of a message at most.
const MAX_SIZE: usize = u16::MAX as usize;

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
        self.entry(out, |o| multipart::put_flow(o, version, nicira, flow));
    }

    /// Adds an entry. One that fills a message alone is left out: none that came in by a message is so long.
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
pub(super) fn put_reply(out: &mut BytesMut, xid: Xid, dialect: &Dialect, reply: &MultipartReply) {
    let version = dialect.version;
    let row = match &reply.part {
        MultipartPart::Desc(_) => DESC_REPLY,
        MultipartPart::Flow { nicira: true, .. } => NX_FLOW_REPLY,
        MultipartPart::Flow { .. } => FLOW_REPLY,
        MultipartPart::Aggregate { nicira: true, .. } => NX_AGGREGATE_REPLY,
        MultipartPart::Aggregate { .. } => AGGREGATE_REPLY,
        MultipartPart::Table(_) => TABLE_REPLY,
        MultipartPart::Port(_) => PORT_REPLY,
        MultipartPart::PortDesc(_) => PORT_DESC_REPLY,
        MultipartPart::TableFeatures(_) => TABLE_FEATURES_REPLY,
        MultipartPart::Bpdu(_) => BPDU_REPLY,
        MultipartPart::Queue(_) => QUEUE_REPLY,
        _ => return,
    };
    let mut s = ReplyStream::new(xid, dialect, row);
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
            o.put_u64(*packets);
            o.put_u64(*bytes);
            o.put_u32(*flows);
            o.put_u32(0);
        }),
        MultipartPart::Table(tables) => {
            tables
                .iter()
                .for_each(|t| s.entry(out, |o| multipart::put_table(o, version, t)));
        }
        MultipartPart::Port(ports) => {
            ports
                .iter()
                .for_each(|p| s.entry(out, |o| multipart::put_port_stats(o, version, p)));
        }
        MultipartPart::PortDesc(ports) => {
            ports
                .iter()
                .for_each(|p| s.entry(out, |o| port::put_desc(o, version, p)));
        }
        MultipartPart::TableFeatures(tables) => {
            tables
                .iter()
                .for_each(|t| s.entry(out, |o| table_features::put(o, version, t)));
        }
        MultipartPart::Bpdu(ports) => {
            ports.iter().for_each(|p| s.entry(out, |o| p.put(o)));
        }
        MultipartPart::Queue(_) => {}
        _ => {}
    }
    s.close(out, reply.more);
}
