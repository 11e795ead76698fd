//! Direct calls of control's interface: state in, outputs out, on a clock of numbers.

mod bridges;
mod bundles;
mod dumps;
mod entries;
mod flow_mods;
mod flow_table;
mod flows;
mod groups;
mod learn;
mod messages;
mod meters;
mod monitors;
mod ports;
mod resume;
mod stat_triggers;
mod tables;
mod tlv;
mod wide;

use super::*;
use crate::fragment::Secret;
use crate::model::stats::WorkerStats;
use ofp::action::Action;
use ofp::error::OfError;
use ofp::field::Field;
use ofp::message::*;
use ofp::types::{Cookie, PortNo, TableId, Version, Xid};
use std::sync::Arc;

/// A switch with a bridge, a worker's counters and connections.
struct Bed {
    switch: Switch,
    bridge: BridgeId,
    worker: Arc<WorkerStats>,
    now: Time,
    out: Vec<Output>,
}

const RAW: [u8; 80] = [7; 80];

fn conn(number: u64) -> ConnId {
    ConnId(number)
}

fn output(port: u32) -> Action {
    Action::Output {
        port: PortNo(port),
        max_len: 0,
    }
}

/// A match on the ingress port.
fn in_port(port: u32) -> ofp::key::Match {
    let mut matching = ofp::key::Match::default();
    matching.set(Field::InPort.place(), port.into(), u128::MAX);
    matching
}

impl Bed {
    /// A secure bridge, so that it starts without flows.
    fn new() -> Bed {
        Bed::with(BridgeSettings {
            fail_mode: FailMode::Secure,
            ..Default::default()
        })
    }
    fn with(settings: BridgeSettings) -> Bed {
        let stats = Stats::default();
        let worker = stats.register_worker();
        let mut switch = Switch::new(stats, Secret::new(0));
        let now = Time::secs(1000);
        let bridge = switch.add_bridge(now, "br0", settings).expect("valid");
        let mut bed = Bed {
            switch,
            bridge,
            worker,
            now,
            out: Vec::new(),
        };
        bed.publish();
        bed
    }
    fn connect(&mut self, number: u64, kind: ConnKind, version: Version) {
        let settings = ConnSettings {
            bridge: self.bridge,
            kind,
            version,
            packet_in_limit: None,
            events: true,
            auxiliary: None,
        };
        self.switch.connect(self.now, conn(number), settings);
    }
    fn wait(&mut self, secs: u64) {
        self.now = self.now + Time::secs(secs);
        self.switch.tick(self.now, &mut self.out);
        self.publish();
    }
    /// Publishes; there is no reader, so everything settles at once.
    fn publish(&mut self) {
        assert!(self.switch.publish(&mut self.out));
    }
    fn say(&mut self, number: u64, body: Body) {
        let message = Message { xid: Xid(9), body };
        self.switch
            .message(self.now, conn(number), message, &RAW, &mut self.out);
    }
    fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }
    /// What was sent to a connection since the last call; sent to others is lost.
    fn sent(&mut self, number: u64) -> Vec<Body> {
        let to = |output| match output {
            Output::Send(to, message) | Output::SendPacketIn(to, message) if to == conn(number) => {
                Some(message.body)
            }
            _ => None,
        };
        self.outputs().into_iter().filter_map(to).collect()
    }
    /// Says something, publishes, and returns the replies.
    fn ask(&mut self, number: u64, body: Body) -> Vec<Body> {
        self.outputs();
        self.say(number, body);
        self.publish();
        while self.switch.is_dumping(conn(number)) {
            self.switch.dump(self.now, conn(number), &mut self.out);
        }
        self.sent(number)
    }
    fn flow_mod(&mut self, number: u64, flow_mod: FlowMod) -> Result<(), OfError> {
        match &self.ask(number, Body::FlowMod(Box::new(flow_mod)))[..] {
            [] => Ok(()),
            [.., Body::Error(error)] => Err(error.error),
            [Body::FlowRemoved(_), ..] => Ok(()),
            other => panic!("{other:?}"),
        }
    }
    fn flows(&mut self, number: u64, request: FlowStatsRequest) -> Vec<FlowStats> {
        let replies = self.ask(
            number,
            Body::MultipartRequest(MultipartRequest::Flow(Box::new(request))),
        );
        let len = replies.len();
        let mut flows = Vec::new();
        for (at, reply) in replies.into_iter().enumerate() {
            let Body::MultipartReply(reply) = reply else {
                panic!("{reply:?}")
            };
            assert_eq!(reply.more, at + 1 < len);
            let MultipartPart::Flow { flows: part, .. } = reply.part else {
                panic!("not flows")
            };
            flows.extend(part);
        }
        flows
    }
    fn all_flows(&mut self) -> Vec<FlowStats> {
        self.connect(99, ConnKind::Service, Version::V13);
        self.flows(99, every_flow())
    }
    fn credit(&mut self, table: u8, priority: u16, packets: u64) {
        let snapshot = self.switch.publisher.current();
        let view = snapshot.bridge(self.bridge).expect("there");
        let rules = &view.tables[usize::from(table)].rules;
        let rule = rules
            .iter()
            .find(|r| r.priority == priority)
            .expect("there");
        self.worker
            .credit(rule.id, packets, packets * 100, self.now);
    }
}

fn every_flow() -> FlowStatsRequest {
    FlowStatsRequest {
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: ofp::types::GroupId::ANY,
        cookie: Cookie(0),
        cookie_mask: 0,
        matching: Default::default(),
        nicira: false,
    }
}

fn add(priority: u16, actions: Vec<Action>) -> FlowMod {
    FlowMod {
        priority,
        actions,
        table: TableId(0),
        ..Default::default()
    }
}

fn command(command: FlowModCommand) -> FlowMod {
    FlowMod {
        command,
        table: TableId(0),
        ..Default::default()
    }
}
