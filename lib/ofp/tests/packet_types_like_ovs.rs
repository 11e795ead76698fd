//! What flows may do with packets that have no Ethernet header: the stock `ovs-ofctl` takes and refuses the same ones.

use ofp::check::check_actions;
use ofp::message::{Body, Dialect, Message};
use ofp::text::{PortMap, read_flow_mod};
use ofp::types::{TableId, Version, Xid};
use std::process::Command;

const MATCHES: &[&str] = &[
    "in_port=1",
    "ip",
    "tcp",
    "dl_type=0x1234",
    "mpls",
    "packet_type=(0,0),ip",
    "packet_type=(1,0x800)",
    "packet_type=(1,0x800),nw_proto=6,tp_dst=80",
    "packet_type=(1,0x800),ip",
    "packet_type=(1,0x800),dl_dst=00:00:00:00:00:01",
    "packet_type=(1,0x800),vlan_tci=0",
    "packet_type=(1,0x86dd),ipv6_dst=::1",
    "packet_type=(1,0x8847),mpls_label=5",
    "packet_type=(1,5)",
];

const ACTIONS: &[&str] = &[
    "drop",
    "set_field:00:00:00:00:00:01->eth_dst",
    "mod_dl_src:00:00:00:00:00:01",
    "set_field:1.2.3.4->ip_dst",
    "dec_ttl",
    "push_vlan:0x8100",
    "mod_vlan_vid:5",
    "push_mpls:0x8847",
    "encap(ethernet),set_field:00:00:00:00:00:01->eth_dst",
    "encap(ethernet),dec_ttl",
    "encap(mpls),set_field:5->mpls_label",
    "encap(mpls),push_mpls:0x8847",
    "encap(mpls),encap(ethernet),set_field:00:00:00:00:00:01->eth_dst",
    "decap(),set_field:00:00:00:00:00:01->eth_dst",
    "decap(),set_field:80->tcp_dst",
    "decap(),dec_ttl",
    "decap(),push_mpls:0x8847",
    "decap(packet_type(ns=1,type=0x86dd)),dec_ttl",
    "decap(packet_type(ns=0,type=0)),set_field:00:00:00:00:00:01->eth_dst",
    "clone(decap()),set_field:00:00:00:00:00:01->eth_dst",
];

/// The line that shows the flow, if it is taken.
fn ours(text: &str) -> Option<String> {
    let flow = read_flow_mod(text, None, &PortMap::default()).ok()?;
    let ports = PortMap::default();
    let style = ofp::text::Style::plain(Version::V13, &ports);
    let body = Body::FlowMod(Box::new(flow));
    let bytes = Message { xid: Xid(1), body }.to_bytes(&Dialect::new(Version::V13));
    let message = Message::decode(&bytes, &Dialect::new(Version::V13)).ok()?;
    if let Body::FlowMod(flow) = &message.body {
        let (actions, matching) = (&flow.actions, &flow.matching);
        check_actions(actions, matching, TableId(0), 0xff00, Version::V13).ok()?;
    }
    Some(ofp::text::print_message(&message, &style).trim().to_owned())
}

fn theirs(text: &str) -> Option<Option<String>> {
    let mut command = Command::new("ovs-ofctl");
    let output = command.args(["-O", "OpenFlow13", "parse-flow", text]);
    let output = output.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("ADD"));
    Some(line.map(|line| line.trim().to_owned()))
}

#[test]
fn the_same_flows_are_taken() {
    let mut different = Vec::new();
    for matching in MATCHES {
        for actions in ACTIONS {
            let text = format!("{matching},actions={actions}");
            let Some(theirs) = theirs(&text) else {
                return;
            };
            let ours = ours(&text);
            if ours != theirs {
                different.push(format!("{text}\n  {ours:?}\n  {theirs:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
