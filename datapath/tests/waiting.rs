//! Frames that wait for their tunnels' route: all of them go on when it is known, however many they are, and
//! through no other tunnel.

use datapath::edge::Offload;
use datapath::model::port::{PortKind, PortView};
use datapath::model::tunnel::{Encap, Exit, Remote, Route, Tunnel, TunnelConfig};
use datapath::model::{BridgeId, Change, DropReason, PortId, Rule, RuleId};
use datapath::sim::{Options, Sim};
use datapath::time::Time;
use ofp::action::Action;
use ofp::key::Match;
use ofp::types::{Cookie, PortNo, TableId};
use packet::MacAddr;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// More frames than continuations that a single received one may make (4096).
const TUNNELS: u32 = 100;
const FRAMES: usize = 50;

fn rule(port: PortNo) -> Rule {
    let actions = Box::new([Action::Output { port, max_len: 0 }]);
    Rule {
        id: RuleId(0),
        table: TableId(0),
        priority: 0,
        matching: Match::default(),
        actions,
        cookie: Cookie(0),
    }
}

fn tunnel(number: u32, underlay: Option<BridgeId>) -> PortKind {
    let vxlan = Encap::Vxlan {
        gbp: false,
        gpe: false,
    };
    let remote = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | number));
    let config = TunnelConfig::new(vxlan, Remote::Ip(remote)).with_port(4789);
    let route = underlay.map(|bridge| Route {
        exit: Exit::Bridge(bridge),
        source: Some(IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9))),
        source_mac: MacAddr::ZERO,
        next_hop_mac: MacAddr::ZERO,
        mtu: 1500,
        egress_mtu: 1500,
    });
    PortKind::Tunnel(Arc::new(Tunnel {
        config,
        route,
        state: Arc::default(),
    }))
}

/// A bridge that sends what comes from its device to `port`, and one that sends all to its device.
fn bed(port: PortNo) -> (Sim, [BridgeId; 2], PortId, PortId) {
    let mut sim = Sim::new(Options::default());
    let bridges = [("br0", port), ("br-phy", PortNo(1))].map(|(name, port)| {
        let id = sim.add_bridge(name);
        sim.add_rule(id, rule(port));
        id
    });
    let [inside, outside] = bridges.map(|bridge| {
        let view = sim.port_view(bridge, PortNo(1), PortKind::Device);
        sim.set_port(view)
    });
    (sim, bridges, inside, outside)
}

#[test]
fn all_go_on_at_once() {
    let (mut sim, bridges, inside, outside) = bed(PortNo::FLOOD);
    let [overlay, underlay] = bridges;
    let views: Vec<PortView> = (0..TUNNELS)
        .map(|n| sim.port_view(overlay, PortNo(n + 2), tunnel(n, None)))
        .collect();
    for view in &views {
        sim.set_port(view.clone());
    }
    (0..FRAMES).for_each(|_| sim.send(inside, &[0x22; 60], Offload::default()));
    sim.poll(&mut ());
    assert!(sim.take(outside).is_empty());
    for (n, view) in views.into_iter().enumerate() {
        let kind = tunnel(n as u32, Some(underlay));
        sim.set_port(PortView { kind, ..view });
    }
    sim.poll(&mut ());
    assert_eq!(sim.take(outside).len(), FRAMES * TUNNELS as usize);
    sim.stop();
    assert_eq!(sim.outstanding(), 0);
}

#[test]
fn none_goes_on_through_another_tunnel() {
    let (mut sim, bridges, inside, outside) = bed(PortNo(2));
    let [overlay, underlay] = bridges;
    let view = sim.port_view(overlay, PortNo(2), tunnel(1, None));
    let id = sim.set_port(view.clone());
    sim.send(inside, &[0x22; 60], Offload::default());
    sim.poll(&mut ());
    // It goes, and another one gets its number before the worker looks again.
    sim.change(Change::RemovePort(id));
    let (kind, name) = (tunnel(2, Some(underlay)), "other".into());
    sim.set_port(PortView { kind, name, ..view });
    sim.send(inside, &[0x33; 60], Offload::default());
    sim.poll(&mut ());
    let sent = sim.take(outside);
    assert!(sent.len() == 1 && sent[0].ends_with(&[0x33; 60]));
    sim.stop();
    assert_eq!(sim.outstanding(), 0);
}

#[test]
fn they_take_a_bounded_part_of_the_buffers() {
    let (mut sim, [overlay, _], inside, _) = bed(PortNo::FLOOD);
    for n in 0..200 {
        let view = sim.port_view(overlay, PortNo(n + 2), tunnel(n, None));
        sim.set_port(view);
    }
    (0..64).for_each(|_| sim.send(inside, &[0x22; 60], Offload::default()));
    sim.poll(&mut ());
    let lost = sim.stats.drops(DropReason::TunnelQueueFull);
    assert_eq!((sim.outstanding(), lost), (8192, 200 * 64 - 8192));
    sim.now = sim.now + Time::millis(3001);
    sim.poll(&mut ());
    assert_eq!(sim.outstanding(), 0);
    sim.send(inside, &[0x22; 60], Offload::default());
    sim.poll(&mut ());
    assert_eq!(sim.outstanding(), 200);
    sim.stop();
    assert_eq!(sim.outstanding(), 0);
}

#[test]
fn none_is_left_of_a_device_that_goes() {
    let (mut sim, [overlay, _], inside, _) = bed(PortNo(2));
    let view = sim.port_view(overlay, PortNo(2), tunnel(1, None));
    sim.set_port(view);
    sim.send(inside, &[0x22; 60], Offload::default());
    sim.poll(&mut ());
    assert_eq!(sim.outstanding(), 1);
    sim.change(Change::RemovePort(inside));
    sim.close_port(inside);
    assert_eq!(sim.outstanding(), 0);
    sim.stop();
}
