//! Frames that wait for their tunnels' route: all of them go on when it is known, however many they are.

use datapath::edge::Offload;
use datapath::model::port::{PortKind, PortView};
use datapath::model::tunnel::{ByteChoice, Route, Tunnel, TunnelConfig, TunnelKey, TunnelType};
use datapath::model::{BridgeId, Rule, RuleId};
use datapath::sim::{Options, Sim};
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
    let config = TunnelConfig {
        kind: TunnelType::Vxlan,
        remote: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | number)),
        local: None,
        in_key: TunnelKey::None,
        out_key: TunnelKey::None,
        port: 4789,
        csum: false,
        tos: ByteChoice::Value(0),
        ttl: ByteChoice::Value(64),
        df: true,
    };
    let route = underlay.map(|bridge| Route {
        bridge,
        source: IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9)),
        source_mac: MacAddr::ZERO,
        next_hop_mac: MacAddr::ZERO,
        mtu: 1500,
    });
    PortKind::Tunnel(Arc::new(Tunnel { config, route }))
}

#[test]
fn all_go_on_at_once() {
    let mut sim = Sim::new(Options::default());
    let (overlay, underlay) = (sim.add_bridge("br0"), sim.add_bridge("br-phy"));
    let view = sim.port_view(overlay, PortNo(1), PortKind::Device);
    let inside = sim.set_port(view);
    let view = sim.port_view(underlay, PortNo(1), PortKind::Device);
    let outside = sim.set_port(view);
    sim.add_rule(overlay, rule(PortNo::FLOOD));
    sim.add_rule(underlay, rule(PortNo(1)));
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
