//! A switch in memory with four ports, for rules, groups and meters given as values.

use datapath::edge::Offload;
use datapath::forward::trace::Observer;
use datapath::model::group::GroupView;
use datapath::model::id::{BridgeId, PortId};
use datapath::model::snapshot::Change;
use datapath::model::{Rule, RuleId};
use datapath::sim::{Options, Sim};
use flow::frametext;
use ofp::action::Action;
use ofp::message::{Bucket, GroupDesc, GroupKind, Selection};
use ofp::types::GroupId;
use std::sync::Arc;

pub const UDP: &str = "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2) udp(5000->6000) \"hi\"";

pub struct Bed {
    pub sim: Sim,
    pub bridge: BridgeId,
    pub ports: Vec<PortId>,
}

impl Bed {
    pub fn new() -> Bed {
        let mut sim = Sim::new(Options::default());
        let bridge = sim.add_bridge("br0");
        let ports = sim.add_devices(bridge, 4);
        Bed { sim, bridge, ports }
    }
    pub fn flow(&mut self, text: &str) -> RuleId {
        self.sim.add_flow(self.bridge, text)
    }
    /// Packets that match this go on with these actions.
    pub fn rule(&mut self, matching: &str, actions: Vec<Action>) -> RuleId {
        let id = self.flow(&format!("{matching},actions=drop"));
        let snapshot = self.sim.snapshot();
        let tables = &snapshot.bridge(self.bridge).expect("a bridge").tables;
        let mut rules = tables.iter().flat_map(|table| table.rules.iter());
        let rule = rules.find(|rule| rule.id == id).expect("was added");
        let rule = Rule {
            actions: actions.into(),
            ..rule.as_ref().clone()
        };
        self.sim.add_rule(self.bridge, rule)
    }
    pub fn group(&mut self, id: u32, kind: GroupKind, buckets: Vec<Bucket>) -> Arc<GroupView> {
        self.select(id, kind, Selection::default(), buckets)
    }
    pub fn select(
        &mut self,
        id: u32,
        kind: GroupKind,
        selection: Selection,
        buckets: Vec<Bucket>,
    ) -> Arc<GroupView> {
        let desc = GroupDesc {
            group: GroupId(id),
            kind,
            selection,
            buckets,
        };
        self.sim.set_group(self.bridge, &desc)
    }
    pub fn up(&mut self, port: usize, live: bool) {
        let snapshot = self.sim.snapshot();
        let mut view = snapshot
            .port(self.ports[port - 1])
            .expect("a port")
            .as_ref()
            .clone();
        view.live = live;
        self.sim.change(Change::SetPort(Arc::new(view)));
    }
    /// What comes out when this goes in at port 1, with the same frame sent twice: the second is answered from the cache.
    pub fn send(&mut self, frame: &str) -> Vec<String> {
        let first = self.send_once(frame, &mut ());
        assert_eq!(first, self.send_once(frame, &mut ()));
        first
    }
    pub fn send_once<O: Observer>(&mut self, frame: &str, o: &mut O) -> Vec<String> {
        let bytes = frametext::read(frame).expect("a frame");
        self.sim.send(self.ports[0], &bytes, Offload::default());
        self.sim.poll(o);
        let mut out = Vec::new();
        for (port, number) in self.ports.iter().zip(1..) {
            let frames = self.sim.take(*port);
            out.extend(
                frames
                    .iter()
                    .map(|f| format!("{number} {}", frametext::print(f))),
            );
        }
        out
    }
    pub fn packets(&self, counter: RuleId) -> u64 {
        self.sim.stats.rule(counter).packets
    }
    pub fn bytes(&self, counter: RuleId) -> u64 {
        self.sim.stats.rule(counter).bytes
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.sim.stop();
        assert_eq!(self.sim.outstanding(), 0, "frames were lost");
    }
}
