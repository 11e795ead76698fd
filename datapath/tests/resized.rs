//! The cache of a worker gets another size while two ports forward: every packet leaves where the rules say, and is counted.

use datapath::edge::Offload;
use datapath::model::RuleId;
use datapath::model::id::{BridgeId, PortId};
use datapath::sim::{Options, Sim};
use flow::frametext;
use ofp::types::TableId;
use proptest::prelude::*;

/// What there is to forward, by rules of its own: two flows of two ports each.
const RULES: [&str; 4] = [
    "table=0,in_port=1,ip,nw_dst=10.0.0.1,actions=output:3",
    "table=0,in_port=2,ip,nw_dst=10.0.0.1,actions=output:4",
    "table=0,in_port=1,ip,nw_dst=10.0.0.2,actions=mod_nw_tos:8,output:4",
    "table=0,in_port=2,ip,nw_dst=10.0.0.2,actions=output:3,output:4",
];
/// The ports that a rule outputs to.
const LEAVES: [&[usize]; 4] = [&[2], &[3], &[3], &[2, 3]];

struct Bed {
    sim: Sim,
    bridge: BridgeId,
    ports: Vec<PortId>,
    rules: Vec<RuleId>,
    /// Packets of each rule, and packets that left by each port.
    came: [u64; RULES.len()],
    left: [u64; 4],
}

impl Bed {
    fn new(cache_entries: usize) -> Bed {
        let mut sim = Sim::new(Options {
            cache_entries,
            ..Options::default()
        });
        let bridge = sim.add_bridge("br0");
        let ports = sim.add_devices(bridge, 4);
        let rules = RULES.iter().map(|text| sim.add_flow(bridge, text));
        let rules = rules.collect();
        Bed {
            sim,
            bridge,
            ports,
            rules,
            came: [0; RULES.len()],
            left: [0; 4],
        }
    }
    /// So many packets of a rule arrive; they wait for the next poll.
    fn arrive(&mut self, rule: usize, len: u64) {
        let text = format!(
            "eth(dst=..02,src=..01) ipv4(10.9.0.1->10.0.0.{}) udp(5->6) \"hi\"",
            rule / 2 + 1
        );
        let frame = frametext::read(&text).expect("a frame");
        for _ in 0..len {
            self.sim
                .send(self.ports[rule % 2], &frame, Offload::default());
        }
        self.came[rule] += len;
        LEAVES[rule].iter().for_each(|port| self.left[*port] += len);
    }
    fn check(&mut self) {
        self.sim.poll(&mut ());
        let sent = |port: &PortId| self.sim.stats.port(*port).tx_packets;
        let sent: Vec<u64> = self.ports.iter().map(sent).collect();
        assert_eq!(sent, self.left);
        let counted = |rule: &RuleId| self.sim.stats.rule(*rule).packets;
        let counted: Vec<u64> = self.rules.iter().map(counted).collect();
        assert_eq!(counted, self.came);
        let all = self.came.iter().sum();
        assert_eq!(self.sim.stats.table(self.bridge, TableId(0)), (all, all));
        for port in &self.ports {
            self.sim.take(*port);
        }
        assert_eq!(self.sim.outstanding(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_cache_of_another_size_loses_nothing(
        first in 0..3usize,
        steps in prop::collection::vec((prop::option::weighted(0.3, 0..3usize), 0..4usize, 0..4usize, 1..40u64), 1..40),
    ) {
        const SIZES: [usize; 3] = [64, 0, 1];
        let mut bed = Bed::new(SIZES[first]);
        for (size, one, other, len) in steps {
            if let Some(size) = size {
                bed.sim.set_cache_entries(SIZES[size]);
            }
            bed.arrive(one, len);
            bed.arrive(other, 32);
            bed.check();
        }
        bed.sim.stop();
        assert_eq!(bed.sim.outstanding(), 0);
    }
}
