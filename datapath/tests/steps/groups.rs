//! Groups, as values: which buckets packets go through, what is left of them afterwards, and who counts them.

use super::bed::{Bed, UDP};
use datapath::forward::trace::Text;
use datapath::model::DropReason;
use datapath::model::event::Event;
use datapath::model::snapshot::Change;
use flow::frametext;
use ofp::action::PacketInReason;
use ofp::message::{Bucket, GroupKind, Selection, SelectionMethod};
use ofp::text::{PortMap, read_actions};
use ofp::types::{GroupId, PortNo};

fn bucket(actions: &str) -> Bucket {
    Bucket {
        actions: read_actions(actions, &PortMap::default()).expect("actions"),
        ..Bucket::default()
    }
}
fn weighted(weight: u16, actions: &str) -> Bucket {
    Bucket {
        weight,
        ..bucket(actions)
    }
}
fn watching(port: u32, actions: &str) -> Bucket {
    Bucket {
        watch_port: PortNo(port),
        ..bucket(actions)
    }
}
/// The frame with this destination, at this port.
fn at(port: u32, dst: &str) -> String {
    format!("{port} {}", UDP.replace("..02", dst))
}

#[test]
fn all_sends_a_copy_through_each_bucket_and_leaves_nothing_behind() {
    let mut bed = Bed::new();
    let buckets = vec![
        bucket("output:2,mod_dl_dst:00:00:00:00:00:09"),
        bucket("push_vlan:0x8100,output:3"),
        bucket("drop"),
    ];
    let group = bed.group(7, GroupKind::All, buckets);
    bed.flow("in_port=1,actions=group:7,output:4");
    // A bucket is an action set: fields are set before the output, whatever was written first.
    let tagged = "3 eth(dst=..02,src=..01) vlan() ipv4(10.0.0.1->10.0.0.2) udp(5000->6000) \"hi\"";
    let out = bed.send(UDP);
    assert_eq!(out, [at(2, "..09"), tagged.to_owned(), at(4, "..02")]);
    let size = frametext::read(UDP).expect("a frame").len() as u64;
    assert_eq!(
        (bed.packets(group.counter), bed.bytes(group.counter)),
        (2, 2 * size)
    );
    for bucket in &group.buckets {
        assert_eq!(
            (bed.packets(bucket.counter), bed.bytes(bucket.counter)),
            (2, 2 * size)
        );
    }
}

#[test]
fn an_indirect_group_is_part_of_an_action_set() {
    let mut bed = Bed::new();
    let group = bed.group(
        1,
        GroupKind::Indirect,
        vec![bucket("set_field:00:00:00:00:00:07->eth_dst,output:2")],
    );
    bed.flow("in_port=1,actions=write_actions(group:1,output:3)");
    assert_eq!(bed.send(UDP), [at(2, "..07")]);
    // The cache sees that the group is another one.
    let other = bed.group(1, GroupKind::Indirect, vec![bucket("output:4")]);
    assert_eq!(bed.send(UDP), [at(4, "..02")]);
    assert_eq!(
        (bed.packets(group.counter), bed.packets(other.counter)),
        (2, 2)
    );
    bed.sim.change(Change::RemoveGroup(bed.bridge, GroupId(1)));
    assert!(bed.send(UDP).is_empty());
    assert_eq!(bed.sim.stats.drops(DropReason::NoGroup), 2);
}

#[test]
fn fast_failover_follows_ports_and_groups() {
    let mut bed = Bed::new();
    let watch = Bucket {
        watch_group: GroupId(2),
        ..bucket("group:2")
    };
    let buckets = vec![watching(2, "output:2"), watch];
    let group = bed.group(1, GroupKind::FastFailover, buckets);
    bed.group(2, GroupKind::FastFailover, vec![watching(3, "output:3")]);
    bed.flow("in_port=1,actions=group:1");
    assert_eq!(bed.send(UDP), [at(2, "..02")]);
    bed.up(2, false);
    assert_eq!(bed.send(UDP), [at(3, "..02")]);
    bed.up(3, false);
    assert!(bed.send(UDP).is_empty());
    assert_eq!(bed.sim.stats.drops(DropReason::NoBucket), 2);
    bed.group(2, GroupKind::FastFailover, vec![bucket("output:4")]);
    assert_eq!(bed.send(UDP), [at(4, "..02")]);
    bed.up(2, true);
    assert_eq!(bed.send(UDP), [at(2, "..02")]);
    let counts: Vec<u64> = group
        .buckets
        .iter()
        .map(|b| bed.packets(b.counter))
        .collect();
    assert_eq!((counts, bed.packets(group.counter)), (vec![4, 4], 8));
}

#[test]
fn a_select_group_spreads_flows_that_differ_in_their_addresses_alone() {
    let mut bed = Bed::new();
    let buckets = vec![
        weighted(1, "output:2"),
        weighted(3, "output:3"),
        weighted(0, "output:4"),
    ];
    let group = bed.group(1, GroupKind::Select, buckets);
    bed.flow("actions=group:1");
    let mut seen = [0u64; 5];
    const FLOWS: u32 = 20_000;
    for flow in 0..FLOWS {
        let frame = format!(
            "eth(dst=00:00:00:00:00:02,src=00:00:00:00:{:02x}:{:02x}) arp(10.0.0.1->10.0.0.2)",
            flow >> 8,
            flow & 255
        );
        let out = bed.send_once(&frame, &mut ());
        let port: usize = out[0][..1].parse().expect("a port");
        assert_eq!(out.len(), 1);
        seen[port] += 1;
    }
    assert!(seen[2].abs_diff(5000) < 100, "{seen:?}");
    assert_eq!(seen[4], 0);
    let counts: Vec<u64> = group
        .buckets
        .iter()
        .map(|b| bed.packets(b.counter))
        .collect();
    assert_eq!(counts, seen[2..]);
    assert_eq!(bed.packets(group.counter), u64::from(FLOWS));
    // One program serves them all.
    assert_eq!(bed.sim.stats.workers()[3], 1);
}

#[test]
fn what_a_bucket_looks_up_counts_if_it_is_taken() {
    let mut bed = Bed::new();
    let selection = Selection {
        method: SelectionMethod::Hash,
        parameter: 3,
        fields: vec![(ofp::field::Field::UdpSrc, 1)],
    };
    let buckets = vec![
        bucket("set_field:1->reg0,resubmit(,1)"),
        bucket("push_vlan:0x8100,resubmit(,1)"),
    ];
    bed.select(1, GroupKind::Select, selection, buckets);
    bed.flow("table=0,in_port=1,actions=push_vlan:0x8100,clone(group:1),strip_vlan,output:4");
    let first = bed.flow("table=1,reg0=1,actions=strip_vlan,output:2");
    let second = bed.flow("table=1,reg0=0,actions=output:3");
    let mut ways = Vec::new();
    for port in [5000, 5001, 5002] {
        let out = bed.send(&UDP.replace("5000", &port.to_string()));
        assert_eq!(out.len(), 2);
        assert!(out[1].starts_with("4 eth(dst=..02,src=..01) ipv4"));
        ways.push(out[0][..1].to_owned());
    }
    // The lowest bit of the port decides, and nothing else.
    assert_eq!(ways[0], ways[2]);
    assert_ne!(ways[0], ways[1]);
    let two = |rule| bed.packets(rule) == 2;
    assert!(two(first) != two(second));
    assert_eq!(bed.packets(first) + bed.packets(second), 6);
    // As it arrived, without the tags.
    let size = frametext::read(UDP).expect("a frame").len() as u64;
    assert_eq!(bed.bytes(first), bed.packets(first) * size);
    assert_eq!(bed.bytes(second), bed.packets(second) * size);
}

#[test]
fn dead_buckets_of_a_select_group_get_nothing_and_a_change_of_what_they_look_up_shows() {
    let mut bed = Bed::new();
    let buckets = vec![
        watching(2, "output:2"),
        watching(3, "resubmit(,1)"),
        watching(4, "output:4"),
    ];
    bed.group(1, GroupKind::Select, buckets);
    bed.flow("actions=group:1");
    bed.flow("table=1,priority=1,actions=output:3");
    let frame = |flow: u32| UDP.replace("5000", &(flow + 1000).to_string());
    let way = |bed: &mut Bed, flow| bed.send(&frame(flow)).concat()[..1].to_owned();
    let before: Vec<String> = (0..300).map(|flow| way(&mut bed, flow)).collect();
    bed.up(2, false);
    for (flow, before) in before.iter().enumerate() {
        let after = way(&mut bed, flow as u32);
        // Only the dead bucket's flows move.
        assert!(after == *before || before == "2" && after != "2");
    }
    bed.flow("table=1,priority=2,actions=mod_dl_dst:00:00:00:00:00:05,output:3");
    let flow = before.iter().position(|port| port == "3").expect("some") as u32;
    let out = bed.send(&frame(flow));
    assert_eq!(out, [format!("3 {}", frame(flow).replace("..02", "..05"))]);
}

#[test]
fn groups_that_are_a_loop_end() {
    let mut bed = Bed::new();
    bed.group(
        1,
        GroupKind::All,
        vec![bucket("group:2"), bucket("output:3")],
    );
    bed.group(
        2,
        GroupKind::All,
        vec![bucket("group:1"), bucket("group:1")],
    );
    bed.flow("actions=group:1");
    assert!(bed.send(UDP).is_empty());
    assert_eq!(bed.sim.stats.drops(DropReason::Depth), 2);
    bed.group(
        3,
        GroupKind::FastFailover,
        vec![Bucket {
            watch_group: GroupId(3),
            ..bucket("output:2")
        }],
    );
    bed.flow("priority=40000,actions=group:3");
    assert!(bed.send(UDP).is_empty());
}

#[test]
fn a_packet_that_a_bucket_sends_to_the_controllers_says_so_and_a_trace_tells_why() {
    let mut bed = Bed::new();
    bed.group(
        1,
        GroupKind::Select,
        vec![bucket("output:CONTROLLER"), bucket("output:CONTROLLER")],
    );
    bed.flow("actions=group:1");
    let mut trace = Text::default();
    bed.send_once(UDP, &mut trace);
    let events = bed.sim.events();
    let [Event::Punt(punt)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(punt.controller.reason, PacketInReason::Group);
    for words in ["group 1: by weight and a hash of addresses", "is chosen"] {
        assert!(trace.0.contains(words), "{}", trace.0);
    }
}
