//! Numbers in texts have no sign.

use ofp::text::*;

#[test]
fn no_number_has_a_plus() {
    let ports = PortMap::default();
    for text in [
        "table=+1,actions=drop",
        "priority=+1,actions=drop",
        "cookie=+1,actions=drop",
        "idle_timeout=+1,actions=drop",
        "ip,nw_src=10.0.0.0/+8,actions=drop",
        "ip,nw_src=10.0.0.+1,actions=drop",
        "ipv6,ipv6_src=fe80::/+8,actions=drop",
        "ip,nw_proto=+6,actions=drop",
        "in_port=+1,actions=drop",
        "dl_vlan=+1,actions=drop",
        "dl_type=0x+800,actions=drop",
        "reg0=+1,actions=drop",
        "reg0=1/+1,actions=drop",
        "tcp,tp_dst=+80,actions=drop",
        "tcp,tcp_flags=+[+200],actions=drop",
        "dl_src=+1:2:3:4:5:6,actions=drop",
        "actions=output:+1",
        "actions=output:NXM_NX_REG0[+0..+15]",
        "actions=resubmit(+1,2)",
        "actions=resubmit(,+2)",
        "actions=load:+1->reg0",
        "actions=load:1->NXM_NX_REG0[+1]",
        "actions=set_field:+1->reg0",
        "actions=set_queue:+1",
        "actions=group:+1",
        "actions=meter:+1",
        "actions=goto_table:+1",
        "actions=write_metadata:+1",
        "actions=write_metadata:1/+1",
        "actions=push_vlan:+33024",
        "actions=controller(max_len=+1)",
        "actions=conjunction(+1,1/2)",
        "actions=conjunction(1,+1/2)",
        "actions=conjunction(1,1/+2)",
        "actions=learn(table=+1)",
        "actions=multipath(eth_src,+50,modulo_n,1,0,NXM_NX_REG0[])",
        "actions=bundle(eth_src,+0,hrw,ofport,members:4,8)",
        "actions=sample(probability=+5)",
        "actions=check_pkt_larger(+100)->NXM_NX_REG0[0]",
        "actions=fragment(mtu=+1500)",
        "actions=stat_trigger(packet_count=+1)",
        "actions=encap(mpls),dec_ttl(+1)",
        "actions=note:+1",
    ] {
        assert!(read_flow_mod(text, None, &ports).is_err(), "{text}");
    }
    for text in [
        "group_id=+1,type=all",
        "group_id=1,type=select,bucket=weight:+1,output:1",
        "group_id=1,type=ff,bucket=watch_port:+1,output:1",
        "group_id=1,type=all,bucket=bucket_id:+1,output:1",
    ] {
        assert!(read_group_mod(text, None, &ports).is_err(), "{text}");
    }
    for text in [
        "meter=+1,kbps,bands=type=drop,rate=1",
        "meter=1,kbps,bands=type=drop,rate=+1",
        "meter=1,kbps,burst,bands=type=drop,rate=1,burst_size=+1",
    ] {
        let add = ofp::message::MeterCommand::Add;
        assert!(read_meter_mod(text, add).is_err(), "{text}");
    }
    for text in ["table=+1", "out_port=+1", "out_group=+1"] {
        assert!(read_monitor_request(text, &ports).is_err(), "{text}");
    }
    for text in [
        "{class=+1,type=0,len=4}->tun_metadata0",
        "{class=1,type=0,len=+4}->tun_metadata0",
        "{class=1,type=0,len=4}->tun_metadata+0",
    ] {
        let add = ofp::message::TlvCommand::Add;
        assert!(read_tlv_table_mod(text, add).is_err(), "{text}");
    }
}
