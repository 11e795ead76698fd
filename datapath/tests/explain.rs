//! Traces: what they say, and that they change nothing.

use datapath::edge::Offload;
use datapath::explain::{Packet, explain};
use datapath::forward::worker::Question;
use datapath::model::{BridgeId, PortId};
use datapath::sim::{Options, Sim};
use ofp::key::Match;
use ofp::text::PortMap;
use ofp::types::PortNo;
use proptest::prelude::*;

struct Bed {
    sim: Sim,
    bridge: BridgeId,
    ports: Vec<PortId>,
}

fn bed(flows: &[&str]) -> Bed {
    let mut sim = Sim::new(Options::default());
    let bridge = sim.add_bridge("br0");
    let ports = sim.add_devices(bridge, 3);
    for text in flows {
        sim.add_flow(bridge, text);
    }
    Bed { sim, bridge, ports }
}

impl Bed {
    fn explain(&self, packet: &Packet) -> datapath::explain::Explanation {
        let question = Question {
            bridge: self.bridge,
            in_port: packet.in_port,
            frame: &packet.frame,
            fields: &packet.fields,
            actions: None,
        };
        let snapshot = self.sim.snapshot();
        explain(&snapshot, &question, self.sim.now, false, false).expect("the bridge is there")
    }
    fn text(&self, words: &[&str]) -> String {
        let packet = Packet::read(words, None, &PortMap::default()).expect("a packet");
        self.explain(&packet).to_string()
    }
}

const FLOWS: &[&str] = &[
    "priority=100,ip,nw_dst=10.0.0.0/24,actions=dec_ttl,resubmit(,1),output:2",
    "priority=50,arp,actions=NORMAL",
    "priority=40,ipv6,actions=clone(resubmit(,2)),goto_table:3",
    "table=1,tcp,tp_dst=80,actions=set_field:00:11:22:33:44:55->eth_dst,output:3",
    "table=3,cookie=0x77,actions=write_actions(output:2),goto_table:4",
    "table=4,actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:1,in_port",
];

#[test]
fn a_trace_says_what_each_table_does() {
    let bed = bed(FLOWS);
    let text = bed.text(&["in_port=1,tcp,nw_dst=10.0.0.1,nw_ttl=64,tp_dst=80"]);
    let want = "
bridge(\"br0\")
-------------
 0. ip,nw_dst=10.0.0.0/24, priority 100
    dec_ttl
    resubmit(,1)
     1. tcp,tp_dst=80, priority 32768
            set_field:00:11:22:33:44:55->eth_dst
            output:3
    output:2

Final flow: tcp,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:11:22:33:44:55,nw_src=0.0.0.0,nw_dst=10.0.0.1,nw_tos=0,nw_ecn=0,nw_ttl=63,nw_frag=no,tp_src=0,tp_dst=80,tcp_flags=0
Megaflow: recirc_id=0,eth,tcp,in_port=1,vlan_tci=0x0000,nw_dst=10.0.0.0/24,nw_ttl=64,nw_frag=no,tp_dst=80
Datapath actions: set(eth(dst=00:11:22:33:44:55)),set(ipv4(ttl=63)),3,2
";
    assert_eq!(text.split_once('\n').unwrap().1, want, "{text}");
    let text = bed.text(&["in_port=2,ipv6"]);
    let want = "
 0. ipv6, priority 40
    clone(resubmit(,2))
    resubmit(,2)
     2. No match.
            drop
    goto_table:3
     3. priority 32768, cookie 0x77
            write_actions(output:2)
             -> action set is: output:2
            goto_table:4
         4. priority 32768
            push_vlan:0x8100
            set_field:4101->vlan_vid
            output:1
            IN_PORT
--. Executing action set:
    output:2
     >> skipping output to input port
";
    assert!(text.contains(want), "{text}");
    assert!(
        text.ends_with("Datapath actions: push_vlan(vid=5,pcp=0),1,2\n"),
        "{text}"
    );
    let text = bed.text(&["in_port=1", "eth() ipv4(1.2.3.4->5.6.7.8) udp(1->2)"]);
    assert!(
        text.contains(" 0. No match.\n    drop\n\nFinal flow: unchanged"),
        "{text}"
    );
    assert!(text.ends_with("Datapath actions: drop\n"), "{text}");
}

#[test]
fn a_trace_changes_nothing() {
    let mut bed = bed(FLOWS);
    let arp = "eth(src=..05) arp(10.0.0.1->10.0.0.2)";
    for _ in 0..2 {
        let text = bed.text(&["in_port=1", arp]);
        assert!(
            text.contains("no learned MAC for destination, flooding"),
            "{text}"
        );
    }
    let back = "eth(src=..06,dst=..05) arp(10.0.0.2->10.0.0.1)";
    let text = bed.text(&["in_port=2", back]);
    assert!(
        text.ends_with("Datapath actions: 1,3\n"),
        "nothing was learnt: {text}"
    );
    assert_eq!(bed.sim.stats.workers()[1], 0);
    // A real one teaches.
    let frame = flow::frametext::read(arp).unwrap();
    bed.sim.send(bed.ports[0], &frame, Offload::default());
    bed.sim.poll(&mut ());
    let text = bed.text(&["in_port=2", back]);
    assert!(text.contains("forwarding to learned port"), "{text}");
    assert!(text.ends_with("Datapath actions: 1\n"), "{text}");
}

proptest! {
    #[test]
    fn noise_is_traced(
        frame in proptest::collection::vec(any::<u8>(), 14..120),
        kind in prop_oneof![Just(0x0800u16), Just(0x0806), Just(0x86dd), Just(0x8100), any::<u16>()],
        port in 0u32..5,
    ) {
        let mut frame = frame;
        frame[12..14].copy_from_slice(&kind.to_be_bytes());
        let packet = Packet { in_port: PortNo(port), frame, fields: Match::default() };
        let text = bed(FLOWS).explain(&packet).to_string();
        prop_assert!(text.contains("Datapath actions: "));
    }

    #[test]
    fn words_are_packets_or_not(text in "[ -~]{0,60}", more in "[ -~]{0,60}") {
        let _ = Packet::read(&[&text], None, &PortMap::default());
        let _ = Packet::read(&[&text, &more], None, &PortMap::default());
    }
}

#[test]
fn a_packet_without_an_ethernet_header() {
    let bed = bed(&[
        "priority=3,ip,actions=output:1",
        "priority=2,packet_type=(1,0x800),nw_dst=10.0.0.2,actions=output:2,encap(ethernet),output:3",
        "priority=1,actions=drop",
    ]);
    let text =
        bed.text(&["packet_type=(1,0x800),in_port=1,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64"]);
    let flow = "Flow: packet_type=(1,0x800),in_port=1,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_proto=0,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no\n";
    assert!(text.starts_with(flow), "{text}");
    let rule = " 0. packet_type=(1,0x800),nw_dst=10.0.0.2, priority 2\n";
    assert!(text.contains(rule), "{text}");
    let end = "push_eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),3\n";
    assert!(text.ends_with(end), "{text}");
    let bytes = "4500001400000000400066e80a0000010a000002";
    let given = bed.text(&["packet_type=(1,0x800),in_port=1", bytes]);
    assert!(given.starts_with(flow), "{given}");
}
