//! Receive queues that go from worker to worker while frames arrive: none is lost, and none overtakes another.

use datapath::edge::{BURST, Offload};
use datapath::model::port::PortKind;
use datapath::model::tunnel::{Encap, Remote, Tunnel, TunnelConfig};
use datapath::model::{BridgeId, PortId, Rule, RuleId};
use datapath::sim::{Options, Sim};
use datapath::time::Time;
use ofp::action::Action;
use ofp::key::Match;
use ofp::types::{Cookie, PortNo, TableId};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const WORKERS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive(usize),
    Poll(usize),
    Move(usize),
}

/// Ports 1 and 2, and what arrives at the first leaves by `to`.
fn bed(to: u32) -> (Sim, BridgeId, [PortId; 2]) {
    let mut sim = Sim::new(Options {
        workers: WORKERS,
        ..Options::default()
    });
    let bridge = sim.add_bridge("br0");
    let ports = [1, 2].map(|number| {
        let view = sim.port_view(bridge, PortNo(number), PortKind::Device);
        sim.set_port(view)
    });
    sim.add_rule(
        bridge,
        Rule {
            id: RuleId(0),
            table: TableId(0),
            priority: 0,
            matching: Match::default(),
            actions: Box::new([Action::Output {
                port: PortNo(to),
                max_len: 0,
            }]),
            cookie: Cookie(0),
        },
    );
    (sim, bridge, ports)
}

fn frame(number: u32) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x88, 0xb5]);
    frame.extend(number.to_be_bytes());
    frame.resize(60, 0);
    frame
}

fn numbers(frames: &[Vec<u8>]) -> Vec<u32> {
    let number = |frame: &Vec<u8>| u32::from_be_bytes([frame[14], frame[15], frame[16], frame[17]]);
    frames.iter().map(number).collect()
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..40usize).prop_map(Step::Arrive),
        (0..WORKERS).prop_map(Step::Poll),
        (0..WORKERS).prop_map(Step::Poll),
        (0..WORKERS).prop_map(Step::Move),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn order_holds_wherever_queues_go(steps in proptest::collection::vec(step(), 1..100)) {
        let (mut sim, _, [input, output]) = bed(2);
        let mut sent = 0;
        for step in steps {
            match step {
                Step::Arrive(len) => for _ in 0..len {
                    sim.send(input, &frame(sent), Offload::default());
                    sent += 1;
                },
                Step::Poll(worker) => sim.poll_worker(worker),
                Step::Move(to) => sim.move_queue(input, to),
            }
        }
        // Enough for what has arrived, and for the last move.
        for _ in 0..2 + sent as usize / BURST {
            (0..WORKERS).for_each(|worker| sim.poll_worker(worker));
        }
        (0..WORKERS).for_each(|worker| sim.poll_worker(worker));
        prop_assert!(!sim.is_moving());
        prop_assert_eq!(numbers(&sim.take(output)), (0..sent).collect::<Vec<_>>());
        sim.stop();
        prop_assert_eq!(sim.outstanding(), 0);
    }
}

#[test]
fn a_queue_waits_for_its_packets_that_wait_for_a_neighbour_but_not_for_ever() {
    let (mut sim, bridge, [input, _]) = bed(3);
    let remote = Remote::Ip(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    let vxlan = Encap::Vxlan {
        gbp: false,
        gpe: false,
    };
    let tunnel = Tunnel {
        config: TunnelConfig::new(vxlan, remote).with_port(4789),
        route: None,
        state: Arc::default(),
    };
    let view = sim.port_view(bridge, PortNo(3), PortKind::Tunnel(Arc::new(tunnel)));
    sim.set_port(view);
    sim.send(input, &frame(0), Offload::default());
    sim.poll(&mut ());
    assert_eq!(sim.outstanding(), 1, "the frame waits");
    let all = |sim: &mut Sim| (0..WORKERS).for_each(|worker| sim.poll_worker(worker));
    sim.move_queue(input, 1);
    all(&mut sim);
    sim.now = sim.now + Time::millis(19);
    all(&mut sim);
    assert!(sim.is_moving());
    sim.now = sim.now + Time::millis(2);
    all(&mut sim);
    assert!(!sim.is_moving());
    sim.stop();
    assert_eq!(sim.outstanding(), 0);
}

#[test]
fn a_port_that_goes_takes_its_queue_along() {
    let (mut sim, _, [input, _]) = bed(2);
    let worker = input.0 as usize % WORKERS;
    sim.move_queue(input, (worker + 1) % WORKERS);
    sim.close_port(input);
    (0..WORKERS).for_each(|worker| sim.poll_worker(worker));
    sim.stop();
    assert_eq!(sim.outstanding(), 0);
}
