//! OFPT_PACKET_IN: what a worker punted goes to each connection that wants it, in the connection's own
//! format and length, within its rate limit.

use super::connection::EventKind;
use super::meter_mod::Meter;
use super::{Output, Switch};
use crate::model::event::{Event, Punt};
use crate::model::meter::Verdict;
use crate::time::Time;
use bytes::Bytes;
use ofp::action::PacketInReason;
use ofp::field::Field;
use ofp::message::{Body, Message, PacketIn};
use ofp::types::{MeterId, Version, Xid};

/// Cookie of a packet that no rule sent.
const NO_RULE: u64 = u64::MAX;

/// The reason as a version says it: before 1.4 there were only three; before 1.3 a rule for misses
/// (priority 0, every packet) was a rule as any other.
fn reason_in(version: Version, reason: PacketInReason, implicit: bool) -> PacketInReason {
    use PacketInReason::*;
    match reason {
        ActionSet | Group | PacketOut if version < Version::V14 => Action,
        NoMatch if version < Version::V13 && !implicit => Action,
        reason => reason,
    }
}

impl Switch {
    /// Something that a worker found out.
    pub fn event(&mut self, now: Time, event: Event, out: &mut Vec<Output>) {
        match event {
            Event::Punt(punt) if self.is_slowed(now, &punt) => {
                self.counters.packet_ins_metered += 1;
                self.counters.paused_lost += u64::from(punt.paused.is_some());
            }
            Event::Punt(punt) => self.packet_in(now, &punt, out),
            Event::Learn(learnt) => self.learnt(now, &learnt),
            Event::Finish(finished) => self.finished(&finished),
            Event::PacketOuts(number) => self.packet_outs_run(number),
            Event::Resolve { port, ends } => out.push(Output::Resolve(port, ends)),
        }
        self.delete_forsaken(now);
        self.tell_changes(out);
    }
    /// Whether the bridge's `slowpath` meter stops a packet.
    fn is_slowed(&self, now: Time, punt: &Punt) -> bool {
        let bridge = self.bridges.get(&punt.bridge);
        let meter = bridge.and_then(|bridge| bridge.meters.get(&MeterId::SLOWPATH));
        let verdict = |meter: &Meter| meter.view.pass(1, punt.total_len.into(), now);
        meter.is_some_and(|meter| verdict(meter) == Verdict::Drop)
    }
    fn packet_in(&mut self, now: Time, punt: &Punt, out: &mut Vec<Output>) {
        // What no rule asked for goes only to those whose version says so.
        let implicit =
            punt.controller.reason == PacketInReason::NoMatch && punt.cookie.0 == NO_RULE;
        let mut fields = punt.fields.clone();
        fields.set(Field::InPort.place(), punt.in_port.0.into(), u128::MAX);
        let continuation = match self.hears_of_paused(punt) {
            true => self.keep_paused(now, punt, &fields),
            false => {
                self.counters.paused_lost += u64::from(punt.paused.is_some());
                Bytes::new()
            }
        };
        for (conn, connection) in &mut self.connections {
            let reason = reason_in(connection.version, punt.controller.reason, implicit);
            if connection.bridge != punt.bridge
                || connection.controller_id != punt.controller.id
                || !connection.wants(EventKind::PacketIn, reason as u32)
                || implicit && !connection.wants_misses()
            {
                continue;
            }
            if connection
                .limit
                .as_mut()
                .is_some_and(|limit| !limit.take(now))
            {
                self.counters.packet_ins_limited += 1;
                continue;
            }
            let len = match implicit {
                true => punt.data.len().min(connection.config.miss_send_len.into()),
                false => punt.data.len(),
            };
            let packet_in = PacketIn {
                format: connection.packet_in_format,
                total_len: punt.total_len,
                reason,
                table: punt.table,
                cookie: punt.cookie,
                fields: fields.clone(),
                data: Bytes::copy_from_slice(&punt.data[..len]),
                userdata: punt.controller.userdata.clone(),
                continuation: continuation.clone(),
            };
            let body = Body::PacketIn(Box::new(packet_in));
            let carrier = connection.carrier(*conn, &punt.data);
            let message = Message { xid: Xid(0), body };
            out.push(Output::SendPacketIn(carrier, message));
        }
    }
}
