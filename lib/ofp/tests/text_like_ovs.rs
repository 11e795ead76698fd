//! Flow text against the stock `ovs-ofctl`: what both read prints the same.

use ofp::text::{PortMap, Style, print, read_flow_mod};
use ofp::types::Version;
use std::process::Command;

/// Flows whose text does not depend on the version they travel in.
const FLOWS: &[&str] = &[
    "in_port=1,dl_vlan=5,dl_vlan_pcp=3,actions=drop",
    "ip,nw_dst=10.0.0.0/24,actions=dec_ttl,output:2",
    "table=1,cookie=0x12,priority=7,tcp,tp_dst=80,actions=resubmit(,1),resubmit(3,4),resubmit:5,resubmit(6)",
    "vlan_tci=0x1123/0x1fff,actions=1,2,local,LOCAL,in_port,normal,flood,all,controller,controller:128,table",
    "reg0[0..15]=5,reg1=0x10/0xf0,metadata=7,actions=load:5->reg0[3..9],move:reg0[0..7]->reg1[8..15],output:reg0[0..15],output:reg0,exit",
    "actions=controller(max_len=100,id=3,reason=no_match,userdata=01.02.03),controller(pause),controller(meter_id=7)",
    "actions=note:00.11.22.33.44.55",
    "actions=clone(output:1,output:2),push:reg0,pop:reg1[0..3],set_queue:4,pop_queue",
    "icmp6,ipv6_dst=ff00::/8,actions=flood",
    "icmp6,icmp_type=135,nd_target=fe80::1,nd_sll=00:11:22:33:44:55,actions=drop",
    "icmp6,icmpv6_type=135,icmpv6_code=0,nd_target=fe80::/10,actions=drop",
    "icmp6,icmp_type=136,nd_tll=1:2:3:4:5:6/ff:0:0:0:0:0,actions=drop",
    "arp,arp_op=1,arp_spa=1.2.3.4,arp_tpa=10.0.0.0/8,arp_sha=1:2:3:4:5:6,actions=drop",
    "arp,nw_proto=1,nw_src=1.2.3.4,arp_tha=1:2:3:4:5:6,actions=drop",
    "tcp,tcp_flags=+syn-ack,actions=drop",
    "tcp,tcp_flags=0x12,actions=drop",
    "tcp,tcp_flags=0,actions=drop",
    "tcp,tcp_flags=0x800,actions=drop",
    "tcp,tcp_flags=2/2,actions=drop",
    "tcp,tcp_flags=syn|ack,tp_src=1/1,actions=drop",
    "ip,ip_frag=later,nw_tos=0x20,nw_ecn=1,nw_ttl=64,actions=drop",
    "ip,nw_frag=first,actions=drop",
    "ip,nw_frag=yes,actions=drop",
    "ip,nw_frag=no,ip_dscp=5,actions=drop",
    "ip,nw_frag=not_later,ip_ecn=3,actions=drop",
    "tun_id=5,tun_src=1.2.3.4,tun_dst=5.6.7.8,tun_flags=oam,actions=drop",
    "tun_id=5/0xff,tun_src=1.2.3.0/24,tun_dst=1.2.3.4/255.0.255.0,tun_flags=1,actions=drop",
    "tun_ipv6_src=::1/64,tun_ipv6_dst=2001:db8::/ffff::ffff,tun_gbp_id=3/0xff,tun_flags=0,actions=drop",
    "actions=set_field:5->tun_id,set_field:1.2.3.4->tun_src,set_field:5.6.7.8->tun_dst,set_field:::1->tun_ipv6_src,set_field:2001:db8::1->tun_ipv6_dst",
    "actions=set_field:7->tun_gbp_id,set_field:0x8->tun_gbp_flags,set_field:oam->tun_flags,set_field:0->tun_flags",
    "actions=load:5->NXM_NX_TUN_ID[0..23],load:0x1020304->NXM_NX_TUN_IPV4_SRC[],load:1->tun_dst[],load:7->NXM_NX_TUN_GBP_ID[],load:8->NXM_NX_TUN_GBP_FLAGS[],load:1->NXM_NX_TUN_FLAGS[0]",
    "actions=move:NXM_NX_TUN_ID[0..31]->NXM_NX_REG0[],move:tun_src->tun_dst,move:NXM_NX_TUN_IPV6_SRC[]->NXM_NX_TUN_IPV6_DST[],move:tun_gbp_id->NXM_NX_REG1[0..15],move:tun_gbp_flags[]->NXM_NX_REG2[0..7],push:tun_flags,pop:NXM_NX_TUN_GBP_FLAGS[3]",
    "tun_flags=-oam,tun_ipv6_src=::1,tun_ipv6_dst=2001:db8::/32,actions=drop",
    "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,dl_src=00:01:02:03:04:05,dl_type=0x1234,actions=drop",
    "dl_type=0x0800,nw_proto=6,actions=drop",
    "dl_type=0x0800,nw_proto=47,actions=drop",
    "dl_type=0x86dd,nw_proto=6,tp_dst=1,actions=drop",
    "ipv6,nw_proto=58,actions=drop",
    "ipv6,ipv6_label=0x123,actions=drop",
    "ipv6,ipv6_label=0x123/0xfff,actions=drop",
    "ipv6,ipv6_src=2001:db8::1/ffff::ffff,ipv6_dst=::ffff:1.2.3.4,actions=drop",
    "mpls,mpls_label=5,mpls_tc=3,mpls_bos=1,mpls_ttl=7,actions=drop",
    "mplsm,actions=drop",
    "vlan_tci=0/0x1fff,actions=drop",
    "vlan_tci=0x1000/0x1000,actions=drop",
    "vlan_tci=0x7000/0xf000,actions=drop",
    "vlan_tci=0x1005/0x100f,actions=drop",
    "vlan_tci=0x1005/0x1fff,vlan_pcp=3,actions=drop",
    "vlan_vid=0x1005/0x1fff,actions=drop",
    "dl_vlan_pcp=3,actions=drop",
    "dl_vlan=0,actions=drop",
    "dl_vlan=010,actions=drop",
    "xreg0=0x5,actions=drop",
    "xreg1=0x500000000/0xf00000000,actions=load:0x123->xreg1[]",
    "pkt_mark=3,conj_id=4,tunnel_id=5/7,tun_gbp_id=3,tun_gbp_flags=8,actions=drop",
    "actset_output=3,actions=drop",
    "packet_type=(1,0x800),actions=drop",
    "in_port=LOCAL,actions=output:2",
    "in_port_oxm=3,actions=drop",
    "sctp,sctp_dst=4,actions=drop",
    "sctp6,sctp_src=9,actions=drop",
    "udp6,udp_dst=4/0xfff0,actions=drop",
    "udp,udp_src=4,actions=drop",
    "icmp,icmp_type=3,icmp_code=4,actions=drop",
    "icmp,tp_src=8,tp_dst=1,actions=drop",
    "rarp,arp_op=3,actions=drop",
    "eth,actions=drop",
    "actions=group:4",
    "actions=output(port=3,max_len=100)",
    "actions=output:1, , output:2",
    "table=1 priority=5 ip   nw_dst=1.2.3.4 , actions=1 2 ,3",
    "ip,nw_src=1.2.3.4/255.255.255.255,nw_dst=1.2.3.4/1.2.3.4,actions=drop",
    "ip,nw_dst=*,nw_src=0.0.0.0/0,actions=drop",
    "tun_id=*,dl_src=00:00:00:00:00:01/00:00:00:00:00:00,actions=drop",
    "duration=5s,n_packets=5,n_bytes=4,idle_age=5,hard_age=4,idle_timeout=3,hard_timeout=7,send_flow_rem,check_overlap,actions=drop",
    "actions=resubmit:local,resubmit(in_port,2),resubmit(,254)",
    "actions=move:reg0[3]->reg1[4],move:reg0[]->metadata[0..31],move:eth_src[]->xreg0[0..47],move:tun_id[]->xreg1",
    "ip,actions=move:ip_src->reg0,move:ip_dst->reg1[],move:nw_ttl->reg2[0..7],move:OXM_OF_IPV4_SRC[]->NXM_NX_REG3[]",
    "arp,actions=move:arp_sha->eth_dst,move:arp_op->NXM_OF_ARP_OP[],move:arp_spa[]->arp_tpa[]",
    "actions=write_metadata:5/0xff",
];

/// What the stock tool prints for each flow, without the header.
fn stock(flows: &[&str], version: Version) -> Option<Vec<String>> {
    let path = std::env::temp_dir().join(format!(
        "text-like-ovs-{}.{}",
        std::process::id(),
        version.name()
    ));
    std::fs::write(&path, flows.join("\n")).unwrap();
    let run = Command::new("ovs-ofctl")
        .args(["-O", version.name(), "parse-flows"])
        .arg(&path)
        .output();
    std::fs::remove_file(&path).unwrap();
    let output = run.ok()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| line.contains("FLOW_MOD"));
    Some(
        lines
            .filter_map(|line| Some(line.split_once("): ")?.1.to_owned()))
            .collect(),
    )
}

#[test]
fn flows_print_as_the_stock_tool_prints_them() {
    let Some(expected) = stock(FLOWS, Version::V13) else {
        eprintln!("ovs-ofctl is not installed: not compared");
        return;
    };
    assert_eq!(expected.len(), FLOWS.len());
    let ports = PortMap::default();
    let style = Style::plain(Version::V13, &ports);
    let mut wrong = Vec::new();
    for (text, expected) in FLOWS.iter().zip(&expected) {
        let ours = match read_flow_mod(text, None, &ports) {
            Ok(flow) => print::print_flow_mod(&flow, &style),
            Err(error) => error.to_string(),
        };
        if ours != *expected {
            wrong.push(format!("{text}\n  stock {expected}\n  ours  {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
