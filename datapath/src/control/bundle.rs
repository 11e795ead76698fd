//! OFPT_BUNDLE_CONTROL and OFPT_BUNDLE_ADD_MESSAGE: messages that are obeyed together or not at all.
//!
//! A bundle is kept with its connection until it is committed. What is wrong with a message by itself is
//! said when it is added. The commit obeys the messages in order, without publishing in between, so
//! every bundle is atomic and ordered, whether its flags say so or not; if one fails, what the others
//! did is taken back (`undo.rs`). Codes, and what ends a bundle, are as with Open vSwitch.

use super::message::{quote, quoted};
use super::settings::ConnId;
use super::{Output, Switch, flow_mod, group_mod, meter_mod, table_mod};
use crate::time::Time;
use bytes::Bytes;
use ofp::error::OfError;
use ofp::message::{Body, BundleAdd, BundleCommand, BundleControl, Message, bundle_flag};
use ofp::types::{Version, Xid};
use std::collections::BTreeMap;

/// Bundles of a connection at most.
pub(super) const MAX_BUNDLES: usize = 16;
/// Messages in a connection's bundles at most: a full table's flows and some more.
pub(super) const MAX_MESSAGES: usize = 1 << 21;
/// Bytes of these at most.
pub(super) const MAX_BYTES: usize = 256 << 20;
/// The same of all connections together.
const MAX_ALL_MESSAGES: usize = 2 * MAX_MESSAGES;
const MAX_ALL_BYTES: usize = 2 * MAX_BYTES;
/// How long a bundle may be left alone: Open vSwitch's `bundle-idle-timeout`.
pub(super) const IDLE_TIMEOUT: Time = Time::secs(10);
/// The flags that there are.
const FLAGS: u16 = bundle_flag::ATOMIC | bundle_flag::ORDERED;

/// A bundle that is not yet committed.
pub(super) struct Bundle {
    flags: u16,
    closed: bool,
    /// When something was last said of it.
    used: Time,
    /// The message that opened it, to quote.
    opened: (Xid, Bytes),
    /// Each with the end of its quote, which begins where the last one ends.
    messages: Vec<(Message, usize)>,
    /// What errors quote of these, in one piece: a million small ones would cost as much as the messages.
    quotes: Vec<u8>,
    bytes: usize,
}

/// The bundles of a connection.
#[derive(Default)]
pub(super) struct Bundles {
    by_id: BTreeMap<u32, Bundle>,
    messages: usize,
    bytes: usize,
}

impl Bundles {
    /// Opens a bundle.
    fn open(
        &mut self,
        now: Time,
        id: u32,
        flags: u16,
        opened: (Xid, Bytes),
    ) -> Result<&mut Bundle, OfError> {
        if flags & !FLAGS != 0 {
            return Err(OfError::BundleFlags);
        }
        if self.by_id.len() >= MAX_BUNDLES {
            return Err(OfError::BundleTooMany);
        }
        let bundle = Bundle {
            flags,
            closed: false,
            used: now,
            opened,
            messages: Vec::new(),
            quotes: Vec::new(),
            bytes: 0,
        };
        Ok(self.by_id.entry(id).or_insert(bundle))
    }
    /// The open bundle that is meant. One that is closed, or has other flags, is gone.
    fn opened(&mut self, id: u32, flags: u16) -> Result<&mut Bundle, OfError> {
        let bundle = self.by_id.get(&id).ok_or(OfError::BundleId)?;
        let error = match bundle {
            Bundle { closed: true, .. } => OfError::BundleClosed,
            bundle if bundle.flags != flags => OfError::BundleFlags,
            _ => return Ok(self.by_id.get_mut(&id).expect("seen above")),
        };
        self.remove(id);
        Err(error)
    }
    fn remove(&mut self, id: u32) -> Option<Bundle> {
        let bundle = self.by_id.remove(&id)?;
        self.messages -= bundle.messages.len();
        self.bytes -= bundle.bytes;
        Some(bundle)
    }
}

impl Switch {
    /// OFPT_BUNDLE_CONTROL; `raw` is the message's bytes.
    pub(super) fn bundle_control(
        &mut self,
        now: Time,
        conn: ConnId,
        xid: Xid,
        control: BundleControl,
        raw: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        let BundleControl {
            bundle,
            command,
            flags,
        } = control;
        let bundles = &mut self.connection(conn).bundles;
        use BundleCommand::*;
        let reply = match command {
            OpenRequest => {
                if bundles.remove(bundle).is_some() {
                    return Err(OfError::BundleId);
                }
                bundles.open(now, bundle, flags, (xid, quoted(raw)))?;
                OpenReply
            }
            CloseRequest => {
                let bundle = bundles.opened(bundle, flags)?;
                (bundle.closed, bundle.used) = (true, now);
                CloseReply
            }
            CommitRequest => {
                let bundle = bundles.remove(bundle).ok_or(OfError::BundleId)?;
                if bundle.flags != flags {
                    return Err(OfError::BundleFlags);
                }
                self.commit(now, conn, bundle, out)?;
                CommitReply
            }
            DiscardRequest => {
                bundles.remove(bundle).ok_or(OfError::BundleId)?;
                DiscardReply
            }
            OpenReply | CloseReply | CommitReply | DiscardReply => return Err(OfError::BundleType),
        };
        let control = BundleControl {
            bundle,
            command: reply,
            flags: 0,
        };
        let body = Body::BundleControl(control);
        let output = Output::Send(conn, Message { xid, body });
        match command {
            // Said when it is in force on every worker.
            CommitRequest => self.send_settled(conn, output),
            _ => out.push(output),
        }
        Ok(())
    }
    /// OFPT_BUNDLE_ADD_MESSAGE. It opens the bundle, if there is none.
    pub(super) fn bundle_add(
        &mut self,
        now: Time,
        conn: ConnId,
        xid: Xid,
        add: BundleAdd,
    ) -> Result<(), OfError> {
        let BundleAdd {
            bundle: id,
            flags,
            message,
            raw,
        } = add;
        if message.xid != xid {
            return Err(OfError::BundleMessageXid);
        }
        check(&message.body, self.connection(conn).version)?;
        let all = self.connections.values().map(|c| &c.bundles);
        let (messages, bytes) = all.fold((0, 0), |sum, bundles| {
            (sum.0 + bundles.messages, sum.1 + bundles.bytes)
        });
        let bundles = &mut self.connection(conn).bundles;
        if bundles.messages >= MAX_MESSAGES
            || bundles.bytes + raw.len() > MAX_BYTES
            || messages >= MAX_ALL_MESSAGES
            || bytes + raw.len() > MAX_ALL_BYTES
        {
            return Err(OfError::BundleMessageTooMany);
        }
        let bundle = match bundles.opened(id, flags) {
            Err(OfError::BundleId) => bundles.open(now, id, flags, (xid, quoted(&raw))),
            found => found,
        }?;
        bundle.used = now;
        bundle.quotes.extend_from_slice(quote(&raw));
        bundle.messages.push((message, bundle.quotes.len()));
        bundle.bytes += raw.len();
        bundles.messages += 1;
        bundles.bytes += raw.len();
        Ok(())
    }
    /// Obeys all messages, or none. The first one that fails is answered by its own error.
    fn commit(
        &mut self,
        now: Time,
        conn: ConnId,
        bundle: Bundle,
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        let cause = self.changes.cause;
        let mut outputs = Vec::new();
        let (sent, last) = (self.packet_outs.sent, self.connection(conn).packet_out);
        self.begin();
        let mut end = 0;
        for (Message { xid, body }, quote_end) in bundle.messages {
            let start = std::mem::replace(&mut end, quote_end);
            self.changes.cause = Some((conn, xid));
            if let Err(error) = self.change(now, conn, xid, body, &mut outputs) {
                self.take_back();
                (self.packet_outs.sent, self.connection(conn).packet_out) = (sent, last);
                self.changes.cause = cause;
                out.push(self.error(conn, xid, error, &bundle.quotes[start..end]));
                return Err(OfError::BundleMessageFailed);
            }
        }
        self.keep();
        self.changes.cause = cause;
        out.append(&mut outputs);
        Ok(())
    }
    /// Drops the bundles that were left alone for too long.
    pub(super) fn expire_bundles(&mut self, now: Time) {
        let overdue = |bundle: &Bundle| bundle.used + IDLE_TIMEOUT <= now;
        let mut ended = Vec::new();
        for (conn, connection) in &mut self.connections {
            let bundles = &mut connection.bundles;
            let all = bundles.by_id.iter();
            let ids: Vec<u32> = all.filter(|(_, b)| overdue(b)).map(|(id, _)| *id).collect();
            let gone = ids.into_iter().filter_map(|id| bundles.remove(id));
            ended.extend(gone.map(|bundle| (*conn, bundle.opened)));
        }
        for (conn, (xid, raw)) in ended {
            let error = self.error(conn, xid, OfError::BundleTimeout, &raw);
            self.staged.published.push(error);
        }
    }
}

/// What is wrong with a bundled message, whatever the switch holds when the bundle is committed.
fn check(body: &Body, version: Version) -> Result<(), OfError> {
    match body {
        Body::FlowMod(flow_mod) => flow_mod::check(flow_mod, version),
        Body::GroupMod(group_mod) => group_mod::check(group_mod, version),
        Body::MeterMod(meter_mod) => meter_mod::check(meter_mod),
        Body::PacketOut(packet_out) => super::packet_out::check(packet_out, version),
        Body::TableMod(table_mod) => table_mod::check(table_mod, version),
        Body::PortMod(_) => Ok(()),
        _ => Err(OfError::BundleMessageUnsupported),
    }
}
