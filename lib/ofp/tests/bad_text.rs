//! Wrong flow text: the word that is blamed, its column, and what is suggested.

use ofp::message::FlowModCommand;
use ofp::text::{
    PortMap, read_actions, read_flow_mod, read_flow_stats_request, read_match, read_packet_out,
};
use ofp::types::PortNo;

fn ports() -> PortMap {
    let mut map = PortMap::default();
    map.insert(PortNo(1), "p1");
    map
}

/// Text, word, column, a part of the message with its help.
const FLOWS: &[(&str, &str, usize, &str)] = &[
    (
        "nw_dst=10.0.0.1,actions=drop",
        "nw_dst",
        1,
        "needs ip or arp or rarp (say \"ip,nw_dst=10.0.0.1\")",
    ),
    (
        "ip,tcp_dst=80,actions=drop",
        "tcp_dst",
        4,
        "needs tcp or tcp6",
    ),
    ("udp,tcp_dst=80,actions=drop", "tcp_dst", 5, "needs tcp"),
    (
        "tp_dst=80,actions=drop",
        "tp_dst",
        1,
        "needs tcp or tcp6 or udp",
    ),
    ("ip,ipv6_dst=::1,actions=drop", "ipv6_dst", 4, "needs ipv6"),
    ("ipv6,nw_src=::1,actions=drop", "nw_src", 6, "use ipv6_src"),
    ("arp,nw_ttl=3,actions=drop", "nw_ttl", 5, "needs ip or ipv6"),
    (
        "icmp6,nd_target=::1,actions=drop",
        "nd_target",
        7,
        "icmp_type=135",
    ),
    ("mpls_label=3,actions=drop", "mpls_label", 1, "needs mpls"),
    (
        "dl_vlan=5000,actions=drop",
        "5000",
        9,
        "0 to 4095, or 0xffff",
    ),
    ("dl_vlan=5/7,actions=drop", "5/7", 9, "not a VLAN id"),
    ("dl_vlan_pcp=9,actions=drop", "9", 13, "the most is 7"),
    (
        "vlan_vid=5,actions=drop",
        "5",
        10,
        "vlan_vid=0x1005, or dl_vlan=5",
    ),
    (
        "ip,nw_dst=1.2.3.4.5,actions=drop",
        "1.2.3.4.5",
        11,
        "not an IPv4 address",
    ),
    ("ip,nw_dst=1.2.3.4/33,actions=drop", "33", 19, "0 to 32"),
    (
        "ipv6,ipv6_src=1.2.3.4,actions=drop",
        "1.2.3.4",
        15,
        "not an IPv6 address",
    ),
    (
        "dl_src=00:11:22:33:44,actions=drop",
        "00:11:22:33:44",
        8,
        "not a MAC address",
    ),
    (
        "dl_src=00:11:22:33:44:zz,actions=drop",
        "00:11:22:33:44:zz",
        8,
        "not a MAC address",
    ),
    (
        "tcp,tp_dst=99999,actions=drop",
        "99999",
        12,
        "the most is 65535",
    ),
    ("in_port=p3,actions=drop", "p3", 9, "did you mean \"p1\"?"),
    ("in_port=70000,actions=drop", "70000", 9, "65279"),
    ("table=300,actions=drop", "300", 7, "0 to 254"),
    ("table=255,actions=drop", "255", 7, "0 to 254"),
    ("priority=70000,actions=drop", "70000", 10, "65535"),
    ("priority=x,actions=drop", "x", 10, "not a number"),
    ("idle_timeout=65536,actions=drop", "65536", 14, "65535"),
    ("cookie=1/2,actions=drop", "1/2", 8, "no mask"),
    ("cookie=0xzz,actions=drop", "0xzz", 8, "not a number"),
    (
        "in_port=1,in_port=2,actions=drop",
        "in_port",
        11,
        "given twice",
    ),
    (
        "cookie=1,cookie=2,actions=drop",
        "cookie",
        10,
        "given twice",
    ),
    (
        "send_flow_rem=0,actions=drop",
        "0",
        15,
        "send_flow_rem takes no value",
    ),
    ("tcp=5,actions=drop", "5", 5, "tcp takes no value"),
    ("actions=drop:5", "5", 14, "drop takes no value"),
    (
        "actions=controller(max_len=5,max_len=6)",
        "max_len",
        30,
        "given twice",
    ),
    (
        "actions=controller(pause=no)",
        "no",
        26,
        "pause takes no value",
    ),
    (
        "actions=output(port=1,max_len=50,port=2)",
        "port",
        34,
        "given twice",
    ),
    (
        "actions=learn(table=1,load:1->reg0,load:2->reg1,table=2)",
        "table",
        49,
        "given twice",
    ),
    (
        "actions=learn(send_flow_rem=0)",
        "0",
        29,
        "send_flow_rem takes no value",
    ),
    (
        "tcp,actions=fin_timeout(idle_timeout=5,idle_timeout=6)",
        "idle_timeout",
        40,
        "given twice",
    ),
    (
        "actions=sample(probability=1,probability=2)",
        "probability",
        30,
        "given twice",
    ),
    ("actions=meter:0", "0", 15, "1 to"),
    (
        "priority=1,priority=1,actions=drop",
        "priority",
        12,
        "given twice",
    ),
    (
        "reg0=1,reg0[0..3]=1,actions=drop",
        "reg0[0..3]",
        8,
        "given twice",
    ),
    ("tcp,nw_proto=17,actions=drop", "nw_proto", 5, "contradicts"),
    ("ip,arp,actions=drop", "arp", 4, "contradicts"),
    (
        "dl_type=0x800/0xff00,actions=drop",
        "0x800/0xff00",
        9,
        "can not be masked",
    ),
    (
        "reg0=0x1ffffffff,actions=drop",
        "0x1ffffffff",
        6,
        "too large",
    ),
    ("reg0[0..3]=16,actions=drop", "16", 12, "the most is 15"),
    ("reg0[0..40]=1,actions=drop", "40", 9, "bits 0 to 31"),
    ("reg0[5..3]=1,actions=drop", "5..3", 6, "above the last"),
    ("reg99=1,actions=drop", "reg99", 1, "did you mean \"reg9\"?"),
    (
        "nw_dts=1.2.3.4,actions=drop",
        "nw_dts",
        1,
        "did you mean \"nw_dst\"?",
    ),
    ("tpc,actions=drop", "tpc", 1, "did you mean \"tcp\"?"),
    ("ip,nw_tos=3,actions=drop", "3", 11, "nw_tos=0,nw_ecn=3"),
    ("ip,nw_frag=maybe,actions=drop", "maybe", 12, "not_later"),
    ("tcp,tcp_flags=+foo,actions=drop", "foo", 16, "syn"),
    ("tcp,tcp_flags=+syn-syn,actions=drop", "syn", 20, "twice"),
    ("packet_type=1,actions=drop", "1", 13, "(1,0x800)"),
    ("out_port=1,actions=drop", "out_port", 1, "no meaning"),
    ("ip,nw_dst=,actions=drop", "nw_dst", 4, "needs a value"),
    ("in_port,actions=drop", "in_port", 1, "needs a value"),
    ("ip", "ip", 1, "actions are missing"),
    ("actions=ouput:1", "ouput", 9, "did you mean \"output\"?"),
    ("actions=p2", "p2", 9, "no such action"),
    ("actions=output:p2", "p2", 16, "no such port"),
    ("actions=output:", "output", 9, "needs a value"),
    ("actions=any", "any", 9, "nothing can be output"),
    ("actions=drop,1", "drop", 9, "stands alone"),
    (
        "actions=goto_table:1,2",
        "2",
        22,
        "must stand before goto_table",
    ),
    (
        "actions=goto_table:1,goto_table:2",
        "goto_table",
        22,
        "given twice",
    ),
    (
        "table=3,actions=goto_table:2",
        "goto_table:2",
        17,
        "a table above 3",
    ),
    ("actions=clone(goto_table:1)", "goto_table", 15, "nested"),
    ("actions=clone(1", "(1", 14, "not closed"),
    ("actions=mod_vlan_vid:4096", "4096", 22, "0 to 4095"),
    ("actions=push_vlan:0x9100", "0x9100", 19, "0x8100 or 0x88a8"),
    ("actions=set_field:1", "1", 19, "\"->\""),
    ("actions=set_field:1->foo", "foo", 22, "no such field"),
    ("actions=set_field:1->reg0[0..3]", "reg0[0..3]", 22, "load"),
    (
        "actions=set_field:1->eth_type",
        "eth_type",
        22,
        "can not be written",
    ),
    ("actions=load:300->reg0[0..7]", "300", 14, "8 bits"),
    (
        "actions=move:reg0[]->reg1[0..3]",
        "reg0[]->reg1[0..3]",
        14,
        "32 bits to 4 bits",
    ),
    (
        "actions=set_field:1.2.3.4->ip_src",
        "ip_src",
        28,
        "needs ip",
    ),
    ("actions=resubmit(1,300)", "300", 20, "0 to 254"),
    ("actions=resubmit", "resubmit", 9, "resubmit(PORT,TABLE)"),
    ("actions=note:0g", "0g", 14, "hexadecimal"),
    (
        "actions=controller(foo=1)",
        "foo",
        20,
        "not a key of controller",
    ),
    (
        "actions=controller(reason=acton)",
        "acton",
        27,
        "did you mean \"action\"?",
    ),
    ("actions=enqueue:1", "1", 17, "enqueue:PORT:QUEUE"),
    ("actions=exit:5", "5", 14, "takes no value"),
    (
        "actions=write_actions(resubmit(,1))",
        "resubmit(,1)",
        23,
        "action set",
    ),
    (
        "actions=output(port=1,max_len=3)",
        "3",
        31,
        "the least is 14",
    ),
    (
        "ip,mod_nw_tos:5,actions=drop",
        "mod_nw_tos",
        4,
        "no such key",
    ),
    ("ip,actions=mod_nw_tos:5", "5", 23, "ECN"),
    (
        "bpdu_type=foo,actions=drop",
        "foo",
        11,
        "none, stp, rstp, mstp, tcn, pvst",
    ),
    ("bpdu_type=6,actions=drop", "6", 11, "none, stp"),
    ("bpdu_type[]=6,actions=drop", "6", 13, "the most is 5"),
    (
        "bpdu_type=stp/1,actions=drop",
        "stp/1",
        11,
        "not a kind of BPDU",
    ),
    (
        "actions=set_field:1->bpdu_type",
        "bpdu_type",
        22,
        "can not be written",
    ),
    ("actions=fragment", "fragment", 9, "fragment(mtu=1500)"),
    ("actions=fragment()", "fragment", 9, "fragment(mtu=1500)"),
    ("actions=fragment:1500", "1500", 18, "in parentheses"),
    ("actions=fragment(1500)", "1500", 18, "mtu and df"),
    ("actions=fragment(mtu=67)", "67", 22, "68 to 65535"),
    ("actions=fragment(mtu=65536)", "65536", 22, "68 to 65535"),
    ("actions=fragment(mtu=x)", "x", 22, "68 to 65535"),
    ("actions=fragment(df=ignore)", "df=ignore", 18, "needs mtu"),
    (
        "actions=fragment(mtu=1500,df=keep)",
        "keep",
        30,
        "df=ignore",
    ),
    ("actions=fragment(mtu=1500,df)", "df", 27, "needs a value"),
    (
        "actions=fragment(mtu=1500,mtu=1500)",
        "mtu",
        27,
        "given twice",
    ),
    ("actions=reassemble", "reassemble", 9, "reassemble(table=1)"),
    ("actions=reassemble(1)", "1", 20, "reassemble(table=1)"),
    ("actions=reassemble(table=254)", "254", 26, "0 to 253"),
    (
        "actions=reassemble(table=1,table=2)",
        "table",
        28,
        "given twice",
    ),
    (
        "actions=reassemble(table=1),output:2",
        "output",
        29,
        "nothing can follow reassemble (the packet goes on in table 1)",
    ),
    (
        "actions=reassemble(table=1),goto_table:2",
        "goto_table",
        29,
        "nothing can follow",
    ),
    (
        "actions=clone(reassemble(table=1),2),3",
        "2",
        35,
        "nothing can follow",
    ),
    (
        "actions=write_actions(reassemble(table=1))",
        "reassemble(table=1)",
        23,
        "action set",
    ),
    (
        "actions=write_actions(fragment(mtu=99))",
        "fragment(mtu=99)",
        23,
        "action set",
    ),
    (
        "actions=write_actions(bpdu(drop))",
        "bpdu(drop)",
        23,
        "action set",
    ),
    ("actions=bpdu", "bpdu", 9, "bpdu(count)"),
    (
        "actions=bpdu(cuont)",
        "cuont",
        14,
        "count, forward, drop, tunnel or untunnel",
    ),
    (
        "actions=bpdu(count,mac=1:2:3:4:5:6)",
        "mac",
        20,
        "only tunnel and untunnel",
    ),
    (
        "actions=bpdu(mac=1:2:3:4:5:6)",
        "mac=1:2:3:4:5:6",
        14,
        "what to do",
    ),
    ("actions=bpdu(count,drop)", "drop", 20, "one thing"),
    ("actions=bpdu(count=1)", "1", 20, "takes no value"),
    (
        "actions=bpdu(tunnel,mac=1:2)",
        "1:2",
        25,
        "not a MAC address",
    ),
    (
        "actions=bpdu(tunnel,mac=0:0:0:0:0:0)",
        "0:0:0:0:0:0",
        25,
        "01:00:0c:cd:cd:d0",
    ),
    ("in_port=\"p1,actions=drop", "\"p1,actions=drop", 9, "quote"),
];

#[test]
fn flows_are_refused_at_the_word_that_is_wrong() {
    let ports = ports();
    let mut wrong = Vec::new();
    for (text, word, column, part) in FLOWS {
        match read_flow_mod(text, None, &ports) {
            Ok(_) => wrong.push(format!("{text}: accepted")),
            Err(e)
                if (e.word.as_str(), e.column) == (*word, *column)
                    && e.to_string().contains(part) => {}
            Err(e) => wrong.push(format!("{text}: {e}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_port_name_alone_outputs_there() {
    let read = |text| read_flow_mod(text, None, &ports());
    assert_eq!(read("actions=p1"), read("actions=output:p1"));
    assert!(read("actions=p1").is_ok());
}

#[test]
fn keys_without_meaning_are_refused() {
    let ports = ports();
    for (command, text) in [
        (FlowModCommand::Delete, "priority=3,ip"),
        (FlowModCommand::Modify, "priority=3,ip,actions=drop"),
        (FlowModCommand::Delete, "ip,actions=drop"),
        (FlowModCommand::Delete, "cookie=1,ip"),
        (FlowModCommand::Delete, "send_flow_rem,ip"),
        (FlowModCommand::Delete, "idle_timeout=3"),
        (FlowModCommand::Add, "out_group=3,actions=drop"),
    ] {
        assert!(
            read_flow_mod(text, Some(command), &ports).is_err(),
            "{text}"
        );
    }
    assert!(
        read_flow_stats_request("cookie=5", &ports)
            .unwrap_err()
            .to_string()
            .contains("cookie=5/-1")
    );
    assert!(read_match("ip,actions=drop", &ports).is_err());
    assert!(read_actions("ip", &ports).is_err());
    for text in [
        "",
        "packet=00",
        "packet=000000000000000000000000000",
        "in_port=9x packet=00 actions=1",
    ] {
        assert!(read_packet_out(text, &ports).is_err(), "{text}");
    }
    // It has no place for instructions, but for the one that is an action in 1.5.
    for (actions, is_taken) in [
        ("output:1,goto_table:1", false),
        ("clear_actions", false),
        ("write_actions(output:1)", false),
        ("write_metadata:1", false),
        ("stat_trigger(packet_count=1)", false),
        ("meter:1,output:1", true),
    ] {
        let text = format!("in_port=1 packet=00112233445566778899aabb0800 actions={actions}");
        assert_eq!(read_packet_out(&text, &ports).is_ok(), is_taken, "{text}");
    }
}

#[test]
fn no_tag_stays_valid() {
    for text in [
        "dl_vlan=0xffff,actions=drop",
        "dl_vlan=65535,actions=drop",
        "vlan_vid=0,actions=drop",
        "vlan_tci=0,actions=drop",
    ] {
        assert!(read_flow_mod(text, None, &ports()).is_ok(), "{text}");
    }
}

mod noise {
    use super::*;
    use proptest::prelude::*;

    /// Pieces that flows are made of, and some that they are not.
    fn piece() -> impl Strategy<Value = String> {
        let words = [
            "ip",
            "tcp",
            "arp",
            "icmp6",
            "nw_dst=",
            "10.0.0.1",
            "/8",
            "reg0[",
            "0..3]",
            "=5",
            "dl_vlan=7",
            "actions=",
            "output:1",
            "clone(",
            ")",
            "set_field:",
            "->reg1",
            "load:3->",
            "resubmit(,",
            "controller(",
            "\"",
            "[",
            "]",
            "in_port=p1",
            "cookie=1/2",
            "table=3",
            "write_actions(",
            "goto_table:9",
            "fragment(mtu=",
            "reassemble(table=1)",
            "bpdu(tunnel,mac=",
            "bpdu_type=",
            "*",
            ",",
            " ",
            "é",
        ];
        prop_oneof![
            prop::sample::select(words.to_vec()).prop_map(str::to_owned),
            "\\PC{0,6}"
        ]
    }

    proptest! {
        #[test]
        fn noise_never_panics(pieces in prop::collection::vec(piece(), 0..14)) {
            let text = pieces.concat();
            let ports = ports();
            if let Err(error) = read_flow_mod(&text, None, &ports) {
                prop_assert!(error.column >= 1 && error.column <= text.len() + 1);
            }
            let _ = read_flow_stats_request(&text, &ports);
            let _ = read_packet_out(&text, &ports);
            let _ = read_actions(&text, &ports);
        }
    }
}
