//! The dispatch table: which message is handled where, and what a secondary may not say.

use super::connection::ConnRole;
use super::dump::{Dump, What};
use super::entries::Entries;
use super::settings::ConnId;
use super::{Output, Settling, Switch};
use crate::time::Time;
use bytes::Bytes;
use ofp::error::OfError;
use ofp::message::{Body, ErrorBody, Message, MultipartPart, MultipartReply, MultipartRequest};
use ofp::types::Xid;

/// What an error quotes of the offending message: OpenFlow 1.3.5 section 7.5.4 asks for at least 64
/// bytes, and a FLOW_MOD with its actions is better read whole.
const QUOTED: usize = 1024;

impl Switch {
    /// A message from a connection. `raw` is its bytes, to quote in an error.
    pub fn message(
        &mut self,
        now: Time,
        conn: ConnId,
        message: Message,
        raw: &[u8],
        out: &mut Vec<Output>,
    ) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let waits = connection.waits();
        let xid = message.xid;
        let mut outputs = Vec::new();
        let role = self.connections[&self.main_of(conn)].role;
        let result = if role == ConnRole::Secondary && changes_state(&message.body) {
            Err(OfError::IsSecondary)
        } else {
            self.changes.cause = Some((conn, xid));
            self.dispatch(now, conn, message, raw, &mut outputs)
        };
        self.delete_forsaken(now);
        self.tell_changes(&mut outputs);
        if self.wides.is_of(conn) {
            out.push(Output::More(conn));
        }
        self.changes.cause = None;
        if let Err(error) = result {
            outputs.push(self.error(conn, xid, error, raw));
        }
        if !waits {
            return out.append(&mut outputs);
        }
        // Replies keep the order of the requests: those behind a barrier wait with it.
        for output in outputs {
            match output {
                Output::Send(to, _) if to == conn => self.send_settled(conn, output),
                other => out.push(other),
            }
        }
    }
    /// A message that could not be decoded.
    pub fn decode_error(
        &mut self,
        conn: ConnId,
        xid: Xid,
        error: OfError,
        raw: &[u8],
        out: &mut Vec<Output>,
    ) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let waits = connection.waits();
        let output = self.error(conn, xid, error, raw);
        if waits {
            self.send_settled(conn, output);
        } else {
            out.push(output);
        }
    }
    fn dispatch(
        &mut self,
        now: Time,
        conn: ConnId,
        Message { xid, body }: Message,
        raw: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        let main = self.main_of(conn);
        let mut reply = |body| out.push(Output::Send(conn, Message { xid, body }));
        match body {
            Body::Hello(_) | Body::EchoReply(_) | Body::Error(_) => {}
            // The session encodes and decodes by them.
            Body::SetFlowFormat(_) | Body::FlowModTableId(_) => {}
            Body::EchoRequest(data) => reply(Body::EchoReply(data)),
            Body::FeaturesRequest => reply(Body::FeaturesReply(self.features_request(conn))),
            Body::GetConfigRequest => reply(Body::GetConfigReply(self.get_config_request(main))),
            Body::SetConfig(config) => self.set_config(main, config)?,
            Body::FlowMod(flow_mod) if self.is_wide(conn, &flow_mod) => {
                self.begin_wide(now, conn, xid, flow_mod, raw)?;
            }
            Body::PacketOut(_)
            | Body::FlowMod(_)
            | Body::GroupMod(_)
            | Body::MeterMod(_)
            | Body::PortMod(_)
            | Body::TableMod(_) => self.change(now, conn, xid, body, out)?,
            Body::BundleControl(control) => {
                self.bundle_control(now, conn, xid, control, raw, out)?;
            }
            Body::BundleAdd(add) => self.bundle_add(now, conn, xid, *add)?,
            Body::BarrierRequest => self.barrier_request(conn, xid),
            Body::QueueGetConfigRequest(port) => {
                let queues = self.queue_get_config(conn, port)?;
                reply(Body::QueueGetConfigReply { port, queues });
            }
            Body::RoleRequest(role) => {
                // The others are told first.
                let role = self.role_request(main, role, out)?;
                let body = Body::RoleReply(role);
                out.push(Output::Send(conn, Message { xid, body }));
            }
            Body::GetAsyncRequest => reply(Body::GetAsyncReply(self.get_async_request(main))),
            Body::SetAsync(wanted) => self.set_async(main, wanted)?,
            Body::MultipartRequest(MultipartRequest::Flow(request)) => {
                self.flow_stats(now, conn, xid, What::Flows(request), out)?;
            }
            Body::MultipartRequest(MultipartRequest::FlowCounts(request)) => {
                self.flow_stats(now, conn, xid, What::Counts(request), out)?;
            }
            Body::MultipartRequest(MultipartRequest::Aggregate(request)) => {
                self.flow_stats(now, conn, xid, What::Aggregate(request), out)?;
            }
            Body::MultipartRequest(MultipartRequest::TableFeatures(changes))
                if !changes.is_empty() =>
            {
                self.change_table_features(conn, &changes)?;
                let tables = changes.iter().map(|change| change.features.table);
                let bridge = self.connections[&conn].bridge;
                let tables = tables.map(|table| self.table_features(bridge, table));
                let part = MultipartPart::TableFeatures(tables.collect());
                let reply = MultipartReply { more: false, part };
                let body = Body::MultipartReply(reply);
                out.push(Output::Send(conn, Message { xid, body }));
            }
            Body::MultipartRequest(MultipartRequest::FlowMonitor(requests)) => {
                self.flow_monitor(now, conn, xid, requests, out)?;
            }
            Body::FlowMonitorCancel(id) => self.flow_monitor_cancel(conn, id)?,
            Body::MultipartRequest(request) => match Entries::of(&request) {
                Some(entries) => {
                    self.check_entries(conn, &entries)?;
                    self.start_dump(now, conn, Dump::entries(xid, entries), out)?;
                }
                None => self.multipart_request(conn, request, &mut |part| {
                    reply(Body::MultipartReply(part));
                })?,
            },
            Body::SetPacketInFormat(format) => self.connection(main).packet_in_format = format,
            Body::TlvTableMod(change) => self.tlv_table_mod(conn, &change)?,
            Body::TlvTableRequest => reply(Body::TlvTableReply(self.tlv_table_request(conn))),
            Body::Resume(packet_in) => self.resume(now, conn, &packet_in, out)?,
            Body::SetControllerId(id) => self.set_controller_id(main, id),
            // What only a switch says.
            Body::FeaturesReply(_)
            | Body::GetConfigReply(_)
            | Body::PacketIn(_)
            | Body::FlowRemoved(_)
            | Body::PortStatus(_)
            | Body::BarrierReply
            | Body::RoleReply(_)
            | Body::GetAsyncReply(_)
            | Body::MultipartReply(_)
            | Body::FlowMonitorPaused
            | Body::FlowMonitorResumed
            | Body::RoleStatus(_)
            | Body::TableStatus(_)
            | Body::RequestForward(_)
            | Body::ControllerStatus(_)
            | Body::QueueGetConfigReply { .. }
            | Body::TlvTableReply(_) => return Err(OfError::BadType),
        }
        Ok(())
    }
    /// What may come in a bundle, too.
    pub(super) fn change(
        &mut self,
        now: Time,
        conn: ConnId,
        xid: Xid,
        body: Body,
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        // What the others are told.
        let told = self.is_forwarded(conn, &body).then(|| body.clone());
        let mut existed = false;
        match body {
            Body::PacketOut(packet_out) => self.packet_out(conn, *packet_out, out)?,
            Body::FlowMod(flow_mod) => self.flow_mod(now, conn, flow_mod)?,
            Body::GroupMod(group_mod) => existed = self.group_mod(now, conn, &group_mod)?,
            Body::MeterMod(meter_mod) => self.meter_mod(now, conn, &meter_mod)?,
            Body::PortMod(port_mod) => self.port_mod(conn, &port_mod, out)?,
            Body::TableMod(table_mod) => self.table_mod(now, conn, &table_mod)?,
            _ => return Err(OfError::BundleMessageUnsupported),
        }
        if let Some(request) = told {
            self.request_forward(conn, xid, request, existed, out);
        }
        Ok(())
    }
    pub(super) fn connection(&mut self, conn: ConnId) -> &mut super::Connection {
        self.connections.get_mut(&conn).expect("dispatched")
    }
    /// OFPT_BARRIER_REQUEST: answered when everything said before is in force on every worker.
    fn barrier_request(&mut self, conn: ConnId, xid: Xid) {
        let message = Message {
            xid,
            body: Body::BarrierReply,
        };
        self.send_settled(conn, Output::Send(conn, message));
    }
    /// Emits a reply when the workers have run the connection's packet-outs, and passed all changes so far
    /// and those that these packets taught.
    pub(super) fn send_settled(&mut self, conn: ConnId, output: Output) {
        let packet_outs = self.packet_outs;
        let connection = self.connection(conn);
        connection.waiting += 1;
        if packet_outs.have_run(connection.packet_out) {
            self.when_settled(Settling::Output(Box::new(output)));
        } else {
            connection.held.push_back((connection.packet_out, output));
        }
    }
    pub(super) fn error(&mut self, conn: ConnId, xid: Xid, error: OfError, raw: &[u8]) -> Output {
        use OfError::{BundleMessageTooMany, BundleTimeout, BundleTooMany};
        use OfError::{FlowTableFull, GroupTooMany, GroupTooManyBuckets, MeterTooMany};
        let counters = &mut self.counters;
        counters.errors += 1;
        match error {
            FlowTableFull => counters.table_full += 1,
            GroupTooMany | GroupTooManyBuckets => counters.groups_full += 1,
            MeterTooMany => counters.meters_full += 1,
            BundleTooMany | BundleMessageTooMany => counters.bundles_full += 1,
            BundleTimeout => counters.bundles_timed_out += 1,
            _ => {}
        }
        let data = quoted(raw);
        let body = Body::Error(ErrorBody { error, data });
        Output::Send(conn, Message { xid, body })
    }
}

/// What an error quotes of a message.
pub(super) fn quoted(raw: &[u8]) -> Bytes {
    Bytes::copy_from_slice(quote(raw))
}

/// The same, where it is.
pub(super) fn quote(raw: &[u8]) -> &[u8] {
    &raw[..raw.len().min(QUOTED)]
}

/// OpenFlow 1.3.5 section 6.3.5: what a secondary is refused with OFPBRC_IS_SECONDARY.
fn changes_state(body: &Body) -> bool {
    matches!(
        body,
        Body::FlowMod(_)
            | Body::PortMod(_)
            | Body::PacketOut(_)
            | Body::GroupMod(_)
            | Body::MeterMod(_)
            | Body::TableMod(_)
            | Body::TlvTableMod(_)
            | Body::BundleControl(_)
            | Body::BundleAdd(_)
            | Body::Resume(_)
    ) || matches!(body, Body::MultipartRequest(MultipartRequest::TableFeatures(changes)) if !changes.is_empty())
}
