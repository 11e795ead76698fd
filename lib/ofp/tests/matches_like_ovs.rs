//! Matches against the stock `ovs-ofctl`, in every version: it reads the FLOW_MODs that we write and
//! prints what we print of them. A row of the table of fields without a match here is an error.

use ofp::field::{FIELDS, Field};
use ofp::key::Match;
use ofp::message::{Body, Dialect, FlowFormat, FlowMod, Message};
use ofp::text::{PortMap, Style, print, print_match, read_flow_mod, read_flow_mod_leniently};
use ofp::types::{Version, Xid};
use ofp::usable::{Protocol, usable};
use std::process::Command;

/// Matches that the stock tool knows, in any order of their fields.
const MATCHES: &[&str] = &[
    "pkt_mark=1,dp_hash=2,conj_id=3,recirc_id=5,actset_output=LOCAL",
    "dp_hash=2/3,pkt_mark=1/0xff,conj_id=0xffffffff,actset_output=5",
    "in_port=1,metadata=5/0xff,tun_id=0x1234567890",
    "in_port_oxm=LOCAL",
    "reg0=1,reg1=2/3,reg14=5,reg15=0xffffffff",
    "reg2=1,reg3=1,reg4=1,reg5=1,reg6=1,reg7=1,reg8=1,reg9=1,reg10=1,reg11=1,reg12=1,reg13=1",
    "xreg0=5,xreg3=0x1/0xff00000001",
    "xxreg0=5,xxreg3=1/0x10000000000000001",
    "reg0[3..9]=5,xxreg1[64]=1,metadata[0..7]=3,eth_src[40]=1",
    "tun_id=5/0xff,tun_src=1.2.3.4,tun_dst=10.0.0.0/8,tun_gbp_id=3/0xff,tun_gbp_flags=8,tun_flags=+oam",
    "tun_ipv6_src=::1,tun_ipv6_dst=2001:db8::/32,tun_gbp_id=3",
    "tun_metadata0=0x1234,tun_metadata1=5/0xf,tun_metadata63=0x1122334455667788990011",
    "packet_type=(1,0x800)",
    "packet_type=(1,0x800),nw_src=1.2.3.4,nw_proto=6,tp_dst=80",
    "packet_type=(1,0x86dd),ipv6_src=::1,nw_proto=58,icmp_type=135,nd_target=fe80::1",
    "packet_type=(1,0x8847),mpls_label=5,mpls_ttl=3",
    "packet_type=(1,0x806),arp_op=1,arp_spa=1.2.3.4",
    "dl_vlan=5,dl_vlan_pcp=3",
    "dl_vlan=0xffff",
    "vlan_tci=0x1000/0x1000",
    "vlan_tci=0x1123/0x1fff,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00",
    "vlan_tci=0x1005/0x100f",
    "vlan_vid=0x1005,vlan_pcp=3",
    "dl_src=00:01:02:03:04:05/ff:ff:ff:00:00:00,dl_dst=00:00:00:00:00:01,dl_type=0x88cc",
    "mpls,mpls_label=1048575,mpls_tc=7,mpls_bos=1,mpls_ttl=255",
    "mplsm,mpls_label=0,mpls_bos=0",
    "ip,nw_src=10.0.0.1,nw_dst=10.0.0.0/255.0.255.0,nw_proto=47,nw_tos=32,nw_ecn=1,nw_ttl=64",
    "ip,ip_dscp=8,nw_frag=first",
    "ip,nw_frag=later",
    "ipv6,nw_frag=not_later,ipv6_label=0x12345,ipv6_src=fe80::/10,ipv6_dst=::1",
    "ipv6,ipv6_label=0x5/0xff",
    "arp,arp_op=2,arp_spa=1.2.3.4,arp_tpa=10.0.0.0/8,arp_sha=1:2:3:4:5:6,arp_tha=0:0:0:0:0:1/0:0:0:0:0:ff",
    "rarp,arp_op=3",
    "tcp,tp_src=80,tp_dst=0x50/0xf0,tcp_flags=+syn-ack",
    "tcp6,tcp_src=80,tcp_flags=0x12",
    "udp,udp_src=53,udp_dst=0x35/0xff",
    "udp6,tp_dst=53",
    "sctp,sctp_src=5,sctp_dst=6",
    "sctp6,tp_src=1/1",
    "icmp,icmp_type=8,icmp_code=0",
    "icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=00:11:22:33:44:55,nd_reserved=5,nd_options_type=1",
    "icmp6,icmp_type=136,icmp_code=0,nd_target=fe80::/10,nd_tll=00:11:22:33:44:55/ff:ff:00:00:00:00",
    "icmp6,icmpv6_type=128,icmpv6_code=1",
];

/// Matches that it may be too old for, or does not have; ours.
const OURS: &[&str] = &[
    "reg16=1,reg17=1,reg18=1,reg19=1,reg20=1,reg21=1,reg22=1,reg23=1,reg24=1,reg25=1,reg26=1,reg27=1,reg28=1,reg29=1,reg30=1,reg31=5/7",
    "xreg8=1,xreg15=1/3,xxreg5=1,xxreg7=5/7",
    "dl_type=0x88e7,pbb_isid=70000,pbb_uca=1",
    "dl_type=0x88e7,pbb_isid=0x10000/0xff0000",
    "ipv6,ipv6_exthdr=0x101",
    "ipv6,ipv6_exthdr=0x1/0x1",
    "bpdu_type=stp",
    "packet_type=(0,0),ip",
];

/// Fields without a number on the wire: OpenFlow does not say them.
const SILENT: &[&str] = &["tun_ttl", "tun_tos", "skb_priority"];

fn dialect(protocol: Protocol) -> Dialect {
    let format = match protocol.nxm {
        true => FlowFormat::Nxm,
        false => FlowFormat::OpenFlow10,
    };
    Dialect {
        flow_format: format,
        ..Dialect::new(protocol.version)
    }
}

fn read(text: &str) -> FlowMod {
    let text = format!("{text},actions=drop");
    read_flow_mod(&text, None, &PortMap::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn again(flow: &FlowMod, dialect: &Dialect) -> (bytes::Bytes, FlowMod) {
    let message = Message {
        xid: Xid(1),
        body: Body::FlowMod(Box::new(flow.clone())),
    };
    let bytes = message.to_bytes(dialect);
    match Message::decode(&bytes, dialect).map(|message| message.body) {
        Ok(Body::FlowMod(flow)) => (bytes, *flow),
        other => panic!("{other:?}"),
    }
}

/// What the stock tool prints for each message; `None`: it is not installed.
fn stock(messages: &[bytes::Bytes], name: &str) -> Option<Vec<String>> {
    let path = std::env::temp_dir().join(format!("matches-like-ovs.{}.{name}", std::process::id()));
    std::fs::write(&path, messages.concat()).unwrap();
    let run = Command::new("ovs-ofctl")
        .arg("ofp-parse")
        .arg(&path)
        .output();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8(run.ok()?.stdout).unwrap();
    let lines = text.lines().filter(|line| line.contains("FLOW_MOD"));
    Some(
        lines
            .map(|line| {
                line.split_once("): ")
                    .map_or(line, |(_, rest)| rest)
                    .to_owned()
            })
            .collect(),
    )
}

#[test]
fn matches_are_written_as_the_stock_tool_reads_them() {
    let mut wrong = Vec::new();
    let mut none = 0;
    for protocol in Protocol::ALL {
        let dialect = dialect(*protocol);
        let flows: Vec<(&str, FlowMod)> = MATCHES.iter().map(|text| (*text, read(text))).collect();
        let (sayable, not): (Vec<_>, Vec<_>) = flows
            .iter()
            .partition(|(_, flow)| usable(flow).contains(*protocol));
        none += not.len();
        let pairs: Vec<_> = sayable
            .iter()
            .map(|(_, flow)| again(flow, &dialect))
            .collect();
        let messages: Vec<_> = pairs.iter().map(|pair| pair.0.clone()).collect();
        let Some(theirs) = stock(&messages, &protocol.to_string()) else {
            eprintln!("ovs-ofctl is not installed: not compared");
            return;
        };
        assert_eq!(theirs.len(), messages.len());
        let ports = PortMap::default();
        let style = Style::plain(protocol.version, &ports);
        for (((text, _), (bytes, once)), theirs) in sayable.iter().zip(&pairs).zip(&theirs) {
            let ours = print::print_flow_mod(once, &style);
            if ours != *theirs {
                wrong.push(format!(
                    "{protocol} {text}\n  stock {theirs}\n  ours  {ours}\n  {bytes:02x?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{none} matches of all versions cannot be said");
}

#[test]
fn matches_survive_the_wire_and_the_text() {
    for text in MATCHES.iter().chain(OURS) {
        let flow = read(text);
        let ports = PortMap::default();
        for protocol in Protocol::ALL {
            if !usable(&flow).contains(*protocol) {
                continue;
            }
            let once = again(&flow, &dialect(*protocol)).1;
            let same = once.matching == flow.matching
                || text.contains("0xffff")
                || text.contains("tun_metadata");
            let style = Style::plain(protocol.version, &ports);
            assert!(
                same,
                "{protocol} {text}: {}",
                print_match(&once.matching, &style)
            );
        }
        let style = Style::plain(Version::V13, &ports);
        let printed = print_match(&flow.matching, &style);
        let read = read(&printed).matching;
        assert_eq!(read, flow.matching, "{text}: {printed}");
    }
}

#[test]
fn newer_versions_say_what_older_ones_say() {
    for text in MATCHES.iter().chain(OURS) {
        let u = usable(&read(text));
        for version in [Version::V12, Version::V13, Version::V14, Version::V15] {
            assert!(u.contains(Protocol::of(version)), "{version:?} {text}: {u}");
        }
    }
}

#[test]
fn every_field_has_its_golden_case() {
    let said =
        |matching: &Match, field: Field| matching.get(field.place()).1 & field.full_mask() != 0;
    let all: Vec<(Match, &str)> = MATCHES
        .iter()
        .chain(OURS)
        .map(|text| (read(text).matching, *text))
        .collect();
    for row in FIELDS {
        let found = all
            .iter()
            .any(|(matching, _)| said(matching, row.field) && row.prereq.holds(matching));
        // One option stands for all 64.
        assert!(
            found || SILENT.contains(&row.name) || row.field.is_tun_metadata(),
            "{} has no case",
            row.name
        );
    }
}

/// What Open vSwitch lets pass, and what is left of it.
#[test]
fn lenient_reading_warns() {
    let ports = PortMap::default();
    let style = Style::plain(Version::V13, &ports);
    for (text, left) in [
        ("nw_dst=10.0.0.1", ""),
        ("ip,tcp_dst=80", "ip"),
        ("ip,tp_src=80", "ip"),
        ("dl_vlan=5000", "dl_vlan=904"),
        ("dl_vlan_pcp=9", "dl_vlan_pcp=1"),
        ("tcp,nw_tos=3", "tcp,nw_tos=0"),
        ("arp,arp_op=300", "arp,arp_op=44"),
        ("icmp6,nd_target=::1", "icmp6"),
        ("tcp_flags=+syn", ""),
        ("vlan_vid=5", "vlan_tci=0x0005/0x1fff"),
        (
            "packet_type=(1,0x800),dl_src=00:00:00:00:00:01",
            "packet_type=(1,0x800)",
        ),
        ("priority=5,priority=6,ip", "ip"),
        ("ip,nw_src=1.2.3.4,nw_src=1.2.3.5", "ip,nw_src=1.2.3.5"),
    ] {
        let text = format!("{text},actions=drop");
        assert!(read_flow_mod(&text, None, &ports).is_err(), "{text}");
        let (flow, warnings) = read_flow_mod_leniently(&text, None, &ports).unwrap();
        assert_eq!(print_match(&flow.matching, &style), left, "{text}");
        assert_eq!(warnings.len(), 1, "{text}: {warnings:?}");
    }
    for text in [
        "ip,nw_proto=256",
        "ip,nw_frag=foo",
        "in_port=70000",
        "nw_dts=1.2.3.4",
    ] {
        let text = format!("{text},actions=drop");
        assert!(
            read_flow_mod_leniently(&text, None, &ports).is_err(),
            "{text}"
        );
    }
}
