//! What options of a tunnel become, and which are refused.

use super::*;
use ovsdb::{Datum, Row, Uuid};
use std::sync::Arc;

/// An interface of this type, with `options` as the command line has them.
fn read_options(kind: &str, options: &str) -> Result<TunnelOptions, Vec<String>> {
    let pairs = options
        .split_whitespace()
        .filter_map(|o| o.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let row = Row::new()
        .with("name", Datum::scalar("tun0"))
        .with("type", Datum::scalar(kind))
        .with("options", Datum::map(pairs));
    let row = Arc::new(row);
    let at = Reader::new("Interface", Uuid::new_v4(), &row);
    let mut problems = Vec::new();
    let of = TYPES.iter().find(|of| of.name == kind).expect("a type");
    match read(of, &at, &mut problems) {
        Some(Kind::Tunnel(tunnel)) if problems.is_empty() => Ok(tunnel),
        _ => Err(problems.into_iter().map(|problem| problem.text).collect()),
    }
}

/// The least that makes a tunnel of each type.
fn least(kind: &str) -> &'static str {
    match kind {
        "l2tpv3" => "remote_ip=192.0.2.1 local_session_id=1 peer_session_id=2",
        "gpw" => "remote_ip=fd00::1",
        _ => "remote_ip=192.0.2.1",
    }
}

fn with(kind: &str, more: &str) -> Result<TunnelOptions, Vec<String>> {
    read_options(kind, &format!("{} {more}", least(kind)))
}

/// Option (the types that take it are in the table), words that are right, words that are not.
const WORDS: &[(&str, &[&str], &[&str])] = &[
    (
        "remote_ip",
        &["fd00::2"],
        &[
            "",
            "host.example",
            "224.0.0.1",
            "0.0.0.0",
            "ff02::1",
            "::",
            "10.0.0.300",
            "1.2.3.4/24",
            "::ffff:192.0.2.1",
        ],
    ),
    (
        "local_ip",
        &[],
        &["", "host", "224.0.0.1", "::", "255.255.255.255"],
    ),
    (
        "key",
        &["0", "5", "0xffffff", "flow", "16777215"],
        &["", "abc", "-1", "4294967296", "0x", "1.5", "+1", "Flow"],
    ),
    ("in_key", &["7", "flow"], &["x", "99999999999"]),
    ("out_key", &["7", "flow"], &["x", "99999999999"]),
    (
        "dst_port",
        &["1", "8472", "65535"],
        &["0", "65536", "http", ""],
    ),
    ("local_port", &["1", "65535"], &["0", "65536", "x"]),
    ("udp_sport", &["1", "65535"], &["0", "65536", "x"]),
    ("peer_port", &["1", "65535"], &["0", "65536", "x"]),
    ("udp_dport", &["1", "65535"], &["0", "65536", "x"]),
    ("csum", &["true", "false"], &["maybe", "1", ""]),
    (
        "tos",
        &["inherit", "0", "0xfc", "252"],
        &["3", "256", "x", "0xff"],
    ),
    ("ttl", &["inherit", "1", "255"], &["0", "256", "x"]),
    ("df_default", &["true", "false"], &["maybe", ""]),
    (
        "fragment",
        &["auto", "always", "never", "mtu:1400", "mtu:65535"],
        &["mtu", "mtu:", "mtu:575", "mtu:65536", "mtu:x", "yes", ""],
    ),
    (
        "egress_pkt_mark",
        &["0", "4294967295"],
        &["-1", "4294967296", "x"],
    ),
    ("exts", &["gbp", "gpe"], &["gbq", "gbp;gpe", "gbp,"]),
    ("packet_type", &["legacy_l2"], &["l3", "ethernet", ""]),
    ("encap", &["udp", "ip"], &["tcp", "UDP", ""]),
    (
        "local_session_id",
        &["1", "4294967295", "0x10"],
        &["0", "4294967296", "x", ""],
    ),
    (
        "peer_session_id",
        &["1", "4294967295"],
        &["0", "4294967296", "x", ""],
    ),
    (
        "local_tunnel_id",
        &["1", "4294967295"],
        &["0", "4294967296", "x"],
    ),
    (
        "peer_tunnel_id",
        &["1", "4294967295"],
        &["0", "4294967296", "x"],
    ),
    (
        "cookie",
        &["deadbeef", "0123456789ABCDEF"],
        &[
            "",
            "dead",
            "deadbee",
            "deadbeef0",
            "zzzzzzzz",
            "0xdeadbe",
            "+1234567",
        ],
    ),
    (
        "peer_cookie",
        &["deadbeef", "0123456789abcdef"],
        &["", "dead", "zzzzzzzz"],
    ),
    ("sublayer", &["default", "none"], &["cisco", ""]),
    ("l2spec_type", &["default", "none"], &["cisco", ""]),
    ("pw_type", &["ethernet"], &["atm", ""]),
    ("service_vid", &[], &["0", "4095", "x"]),
    (
        "remote_mac",
        &[],
        &[
            "",
            "zz",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "00:11:22:33:44",
        ],
    ),
    ("via", &[], &["", "a/b"]),
    ("gpw_order", &["little", "big"], &["network", ""]),
    ("gpw_reassembly", &["in-order", "tolerant"], &["any", ""]),
];

#[test]
fn every_word_of_every_option() {
    for row in OPTIONS.iter().filter(|row| row.name != "seq") {
        let found = WORDS.iter().find(|(name, ..)| *name == row.name);
        let (name, right, wrong) = found.unwrap_or_else(|| panic!("no words for {}", row.name));
        for kind in TYPES.iter().filter(|of| row.types.contains(&of.kind)) {
            for word in *right {
                let read = with(kind.name, &format!("{name}={word}"));
                assert!(read.is_ok(), "{} {name}={word}: {read:?}", kind.name);
            }
            for word in *wrong {
                let texts = with(kind.name, &format!("{name}={word}")).expect_err(word);
                let said = format!("options:{name}={word:?} is not {}", row.values);
                assert!(texts.contains(&said), "{} {said}: {texts:?}", kind.name);
            }
        }
    }
}

#[test]
fn what_options_do_not_agree_on() {
    #[rustfmt::skip]
    let wrong = [
        ("vxlan", "", "remote_ip"),
        ("gre", "key=1", "remote_ip"),
        ("l2tpv3", "remote_ip=192.0.2.1 peer_session_id=2", "local_session_id"),
        ("l2tpv3", "remote_ip=192.0.2.1 local_session_id=2", "peer_session_id"),
        ("l2tpv3", "remote_ip=flow local_session_id=1 peer_session_id=2", "flow"),
        ("gpw", "", "remote_mac"),
        ("gpw", "remote_ip=192.0.2.1", "IPv6"),
        ("gpw", "remote_ip=flow", "flow"),
        ("gpw", "remote_mac=02:00:00:00:00:01", "via"),
        ("gpw", "remote_ip=fd00::1 via=eth0", "via"),
        ("gpw", "remote_ip=fd00::1 remote_mac=02:00:00:00:00:01 via=eth0", "remote_mac"),
        ("gpw", "remote_mac=02:00:00:00:00:01 via=eth0 ttl=3", "ttl"),
        ("gpw", "remote_mac=02:00:00:00:00:01 via=eth0 local_ip=fd00::1", "local_ip"),
        ("vxlan", "remote_ip=192.0.2.1 local_ip=flow", "remote_ip=flow"),
        ("vxlan", "remote_ip=192.0.2.1 local_ip=fd00::1", "fd00::1"),
        ("vxlan", "remote_ip=fd00::1 local_ip=192.0.2.1", "192.0.2.1"),
        ("vxlan", "remote_ip=fd00::1 fragment=mtu:1279", "1280"),
        ("vxlan", "remote_ip=flow fragment=mtu:1279", "IPv6 needs"),
        ("gpw", "remote_mac=02:00:00:00:00:01 via=eth0 fragment=mtu:1279", "parts of a frame need"),
        ("vxlan", "remote_ip=192.0.2.1 packet_type=legacy_l3", "gpe"),
        ("vxlan", "remote_ip=192.0.2.1 key=16777216", "16777215"),
        ("gre", "remote_ip=192.0.2.1 seq=both", "true or false"),
        ("l2tpv3", "remote_ip=192.0.2.1 local_session_id=1 peer_session_id=2 seq=true", "none, send, recv or both"),
        ("l2tpv3", "remote_ip=192.0.2.1 local_session_id=1 peer_session_id=2 encap=ip local_port=5", "encap=udp"),
        ("l2tpv3", "remote_ip=192.0.2.1 local_session_id=1 peer_session_id=2 encap=ip csum=true", "encap=udp"),
        ("l2tpv3", "remote_ip=192.0.2.1 local_session_id=1 peer_session_id=2 sublayer=none seq=send", "sublayer"),
        ("l2tpv3", "remote_ip=192.0.2.1 local_session_id=1 peer_session_id=2 pw_type=vlan", "service_vid"),
        ("l2tpv3", "remote_ip=192.0.2.1 local_session_id=1 peer_session_id=2 service_vid=5", "pw_type"),
        ("l2tpv3", "remote_ip=192.0.2.1 local_session_id=1 peer_session_id=2 local_port=5 udp_sport=5", "local_port"),
    ];
    for (kind, options, named) in wrong {
        let texts = read_options(kind, options).expect_err(options);
        assert!(
            texts.len() == 1 && texts[0].contains(named),
            "{options}: {texts:?}"
        );
    }
}

#[test]
fn settings_and_defaults() {
    let config = |kind, more| with(kind, more).expect("right").config;
    let vxlan = config("vxlan", "key=5 out_key=flow local_ip=192.0.2.9 ttl=3");
    assert_eq!(
        (vxlan.port, vxlan.local_port, vxlan.csum),
        (4789, 4789, false)
    );
    assert_eq!(
        (vxlan.in_key, vxlan.out_key, vxlan.ttl),
        (TunnelKey::Value(5), TunnelKey::Flow, ByteChoice::Value(3))
    );
    assert!(config("vxlan", "remote_ip=fd00::1").csum && config("geneve", "csum=true").csum);
    assert_eq!(config("geneve", "").port, 6081);
    assert_eq!(
        config("gre", "seq=true").encap,
        Encap::Gre { sequence: true }
    );
    assert_eq!(config("gre", "packet_type=ptap").layer, Layer::Any);
    assert_eq!(
        config("vxlan", "exts=gpe packet_type=legacy_l3").layer,
        Layer::Ip
    );
    let flow = config("gre", "remote_ip=flow local_ip=flow key=flow");
    assert_eq!((flow.remote, flow.local), (Remote::Flow, Local::Flow));

    let over_udp = config(
        "l2tpv3",
        "local_port=5000 cookie=deadbeef pw_type=vlan service_vid=7 seq=recv",
    );
    assert_eq!((over_udp.local_port, over_udp.port), (5000, 1701));
    assert_eq!(
        (over_udp.in_key, over_udp.out_key),
        (TunnelKey::Value(1), TunnelKey::Value(2))
    );
    let Encap::L2tpv3(session) = over_udp.encap else {
        panic!("another encapsulation")
    };
    assert_eq!(session.cookie.as_bytes(), [0xde, 0xad, 0xbe, 0xef]);
    assert_eq!(
        (session.service_vid, session.sublayer),
        (Some(7), Sublayer::Default)
    );
    assert!(session.receive_sequence && !session.send_sequence);
    let over_ip = config("l2tpv3", "encap=ip remote_ip=fd00::1");
    assert_eq!(
        (over_ip.port, over_ip.local_port, over_ip.csum),
        (0, 0, false)
    );

    let link = read_options("gpw", "remote_mac=02:00:00:00:00:01 via=eth0 gpw_order=big");
    let link = link.expect("right");
    assert_eq!(link.via.as_deref(), Some("eth0"));
    assert!(matches!(link.config.remote, Remote::Link(_)) && link.config.port == 0);
}

#[test]
fn aliases_and_those_without_effect_are_options() {
    let is_option = |name: &str| OPTIONS.iter().any(|row| row.name == name);
    for (alias, name) in ALIASES {
        assert!(is_option(alias) && is_option(name));
    }
    assert!(
        WITHOUT_EFFECT
            .iter()
            .all(|name| is_option(name) && !has_effect(name))
    );
    assert!(has_effect("exts") && !has_effect("bogus"));
}

#[test]
fn the_page_about_tunnels_tells_all() {
    let page = include_str!("../../../../docs/tunnels.md");
    let has_row = |name: &str, text: &str| {
        let start = format!("| `{name}` |");
        page.lines()
            .any(|line| line.starts_with(&start) && line.contains(text))
    };
    for row in OPTIONS {
        assert!(
            has_row(row.name, row.values),
            "{}: {}",
            row.name,
            row.values
        );
    }
    for (_, name, _, text) in datapath::model::tunnel_stats::TUNNEL_COUNTERS {
        assert!(has_row(name, text), "{name}: {text}");
    }
}
