//! Ways of tunnels, without a kernel.

use super::*;

fn underlay() -> (Underlay, Who, RouteAnswer) {
    let remote = IpAddr::from([10, 0, 0, 2]);
    let vxlan = Encap::Vxlan {
        gbp: false,
        gpe: false,
    };
    let config = TunnelConfig::new(vxlan, Remote::Ip(remote)).with_port(4789);
    let answer = RouteAnswer {
        ifindex: 7,
        next_hop: remote,
        source: Some(IpAddr::from([10, 0, 0, 1])),
        mtu: None,
        is_ours: false,
        is_foreign: false,
    };
    let mut underlay = Underlay::default();
    let options = TunnelOptions { config, via: None };
    underlay.set(PortId(1), &options);
    (underlay, Who::Port(PortId(1)), answer)
}

fn egress(mtu: u16) -> BTreeMap<u32, Egress> {
    let egress = Egress {
        name: "br0".into(),
        bridge: BridgeId(0),
        mac: MacAddr([2; 6]),
        mtu,
        up: true,
    };
    BTreeMap::from([(7, egress)])
}

#[test]
fn a_route_follows_its_interface() {
    let (mut underlay, port, answer) = underlay();
    let mac = Some(MacAddr([4; 6]));
    assert!(underlay.is_due() && underlay.set_egresses(egress(1500)));
    let mtu = |changed: Option<(Who, Option<Route>)>| changed?.1.map(|route| route.mtu);
    assert_eq!(mtu(underlay.update(port, Some(answer), mac)), Some(1500));
    assert_eq!(underlay.update(port, Some(answer), mac), None);
    assert!(!underlay.set_egresses(egress(1500)) && underlay.set_egresses(egress(9000)));
    assert_eq!(mtu(underlay.update(port, Some(answer), mac)), Some(9000));
}

#[test]
fn a_lost_neighbour_is_a_lost_route() {
    let (mut underlay, port, answer) = underlay();
    underlay.set_egresses(egress(1500));
    underlay.update(port, Some(answer), Some(MacAddr([4; 6])));
    let lost = underlay.neighbour((7, answer.next_hop), None);
    assert_eq!(lost, [(port, None)]);
    assert!(underlay.neighbour((8, answer.next_hop), None).is_empty());
    let pairs = underlay.status(PortId(1)).pairs;
    assert!(
        pairs.iter().any(
            |(key, text)| *key == "tunnel_trouble" && text.contains("10.0.0.2 does not answer")
        )
    );
}

#[test]
fn another_interface_is_the_kernels() {
    let (mut underlay, port, answer) = underlay();
    let link = Link {
        name: "eth0".into(),
        mtu: 1500,
        up: true,
    };
    underlay.links.insert(7, link);
    underlay.update(port, Some(answer), None);
    let listener = Host::Listener(Protocol::Udp(4789));
    let wanted = underlay.wanted();
    assert_eq!(wanted, BTreeSet::from([Host::Sender, listener.clone()]));
    let via = Via {
        exit: Exit::Port(PortId(9)),
        mac: MacAddr::ZERO,
        mtu: u16::MAX,
        up: true,
    };
    underlay.set_host(Host::Sender, Some(Ok(via)));
    underlay.set_host(listener.clone(), Some(Err("taken".into())));
    assert_eq!(underlay.reconsider(), [(port, None)]);
    assert_eq!(underlay.error(PortId(1)).as_deref(), Some("taken"));
    underlay.set_host(listener, Some(Ok(via)));
    let changed = underlay.reconsider();
    let route = changed[0].1.as_ref().expect("a route");
    assert_eq!((route.exit, route.mtu), (via.exit, 1500));
    let pairs = underlay.status(PortId(1)).pairs;
    let has = |key, text: &str| pairs.contains(&(key, text.to_owned()));
    assert!(has("tunnel_underlay", "kernel") && has("tunnel_egress_iface", "eth0"));
    assert!(has("tunnel_fragments", "yes"));
    // The route is gone: nothing is closed. The tunnel is gone: everything is.
    underlay.update(port, None, None);
    assert_eq!(underlay.wanted().len(), 2);
    underlay.remove(PortId(1));
    assert!(underlay.wanted().is_empty() && underlay.is_due());
}

#[test]
fn a_link_local_remote_needs_a_bridge() {
    let remote: IpAddr = "fe80::2".parse().expect("an address");
    let config = TunnelConfig::new(Encap::Gre { sequence: false }, Remote::Ip(remote));
    let answer = RouteAnswer {
        ifindex: 7,
        next_hop: remote,
        source: Some("fe80::1".parse().expect("an address")),
        mtu: None,
        is_ours: false,
        is_foreign: false,
    };
    let mut underlay = Underlay::default();
    underlay.set(PortId(1), &TunnelOptions { config, via: None });
    let who = Who::Port(PortId(1));
    underlay.update(who, Some(answer), None);
    let trouble = underlay.tunnels[&who].way.trouble.clone();
    assert!(trouble.is_some_and(|text| text.contains("link-local")));
    underlay.set_egresses(egress(1500));
    let changed = underlay.update(who, Some(answer), Some(MacAddr([4; 6])));
    assert!(changed.is_some_and(|(_, route)| route.is_some()));
}

/// A tunnel whose packets name their ends.
fn flow_tunnel() -> (Underlay, PortId) {
    let encap = Encap::Gre { sequence: false };
    let config = TunnelConfig::new(encap, Remote::Flow);
    let mut underlay = Underlay::default();
    underlay.set(PortId(1), &TunnelOptions { config, via: None });
    (underlay, PortId(1))
}

fn ends(n: u32) -> Ends {
    (IpAddr::from(n.to_be_bytes()), None)
}

#[test]
fn ends_are_bounded() {
    let (mut underlay, port) = flow_tunnel();
    for n in 0..ENDS_MAX as u32 + 1 {
        underlay.resolve(port, Some(ends(n)));
        underlay.resolve(port, Some(ends(0)));
    }
    assert_eq!(underlay.tunnels.len(), ENDS_MAX + 1);
    assert_eq!(underlay.forgotten, [ends(1)]);
    // They come back before that was said: their way is all that is said of them.
    underlay.resolve(port, Some(ends(1)));
    assert_eq!(underlay.forgotten, [ends(2)]);
    assert!(underlay.tunnels[&Who::Ends(ends(1))].is_new);
}

#[test]
fn only_tunnels_whose_packets_name_ends_ask_for_them() {
    let (mut underlay, port) = flow_tunnel();
    underlay.remove(port);
    underlay.resolve(port, Some(ends(1)));
    let (mut other, ..) = self::underlay();
    other.resolve(PortId(1), Some(ends(1)));
    assert_eq!((underlay.tunnels.len(), other.tunnels.len()), (0, 1));
}

#[test]
fn addresses_of_the_wrong_host_are_said() {
    let (mut underlay, port, answer) = underlay();
    underlay.set_egresses(egress(1500));
    let mac = Some(MacAddr([4; 6]));
    let mut ours = answer;
    ours.is_ours = true;
    let mut foreign = answer;
    foreign.is_foreign = true;
    let cases = [
        (ours, "10.0.0.2 is an", false),
        (foreign, "10.0.0.1 is not an", true),
    ];
    for (answer, trouble, is_sent) in cases {
        let changed = underlay.update(port, Some(answer), mac);
        assert_eq!(changed.is_some_and(|(_, route)| route.is_some()), is_sent);
        let pairs = underlay.status(PortId(1)).pairs;
        assert!(pairs.iter().any(|(_, text)| text.contains(trouble)));
    }
}
