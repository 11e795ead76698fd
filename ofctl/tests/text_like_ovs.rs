//! Text and bytes without a switch: our tool and the stock one say the same.

use std::io::Write;
use std::process::{Command, Stdio};

/// A tool's output for some arguments and input; `None` if it is not installed.
fn run(program: &str, args: &[&str], input: &str) -> Option<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // A tool that refuses a line does not read the rest.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Some(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
}

fn same(args: &[&str], input: &str) {
    same_lines(args, input, |_| true);
}

/// The lines that count must be the same.
fn same_lines(args: &[&str], input: &str, counts: impl Fn(&str) -> bool) {
    let Some(stock) = run("ovs-ofctl", args, input) else {
        return;
    };
    let ours = run(env!("CARGO_BIN_EXE_ofctl"), args, input).unwrap();
    let counting = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| counts(line));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(counting(&ours), counting(&stock), "{args:?} {input}");
}

/// Messages in hexadecimal.
const MESSAGES: &[&str] = &[
    "0100000800000001",
    "04000010000000010001000800000012",
    "0402000800000001",
    "010300080000000a",
    "0105000800000001",
    "0407000800000001",
    "0109000c000000010000ffff",
    "0409000c000000010001ffff",
    "04180018000000010000000200000000000000000000000a",
    "0419001800000001000000010000000000000000000000ff",
    "041a000800000001",
    "041c0020000000010000000100000002000000030000000400000005000000ff",
    "0414000800000001",
    "0415000800000001",
    "01120008000000ff",
    "010f0020000000010001aabbccddeeff00000010000000100000000000000000",
    "04100028000000010000000100000000aabbccddeeff000000000001000000010000000000000000",
    "0401001400000001000100050400000800000001",
    "0401000c0000000100010005",
    "04120010000000010000000000000000",
    "04120010000000010003000000000000",
    "04120018000000010004000000000000ffffffff00000000",
    "0110000c0000000100000000",
    "011000140000000100040000ffff000000000000",
    "0104001400000001000023200000001000000001",
    "0104001400000001000023200000000c00000002",
    "0104001400000001000023200000000c00000000",
    "010400180000000100002320000000140000000000000005",
    "0104001800000001000023200000000f0100000000000000",
    "0112",
    "0109000c0000000100",
    "010f0020000000010001aabbccddeeff000000100000001000000000",
];

#[test]
fn messages_print_the_same() {
    for message in MESSAGES {
        same(&["ofp-print", message], "");
    }
}

/// Flows whose form on the wire both tools choose alike.
const FLOWS: &[&str] = &[
    "in_port=1,dl_vlan=5,dl_vlan_pcp=3,actions=drop",
    "ip,nw_dst=10.0.0.0/24,actions=mod_dl_dst:00:11:22:33:44:55,dec_ttl,output:2",
    "actions=1,2,local,LOCAL,in_port,normal,flood,all,controller,controller:128,table",
    "reg0[0..15]=5,reg1=0x10/0xf0,metadata=7,actions=load:5->reg0[3..9],move:reg0[0..7]->reg1[8..15],output:reg0[0..15],output:reg0,exit",
    "actions=controller(max_len=100,id=3,reason=no_match,userdata=01.02.03),controller(pause),note:00.11.22",
    "actions=clone(output:1,output:2),enqueue:1:3,set_queue:4,pop_queue,push:reg0,pop:reg1[0..3]",
    "actions=set_tunnel:5,set_tunnel64:6,set_tunnel:0x1ffffffff",
    "ip,actions=mod_nw_src:1.2.3.4,mod_nw_dst:1.2.3.5,mod_nw_tos:4,mod_nw_ecn:2,mod_nw_ttl:33",
    "tcp,actions=mod_tp_src:4,mod_tp_dst:5",
    "ip,actions=set_field:1.2.3.4->ip_src,set_field:00:11:22:33:44:55->eth_dst",
    "dl_vlan=9,actions=mod_vlan_vid:5,mod_vlan_pcp:3,strip_vlan",
    "actions=mod_vlan_vid:5,mod_vlan_pcp:3,mod_dl_src:00:00:00:00:00:01",
    "icmp6,icmp_type=135,nd_target=fe80::1,nd_sll=00:11:22:33:44:55,actions=drop",
    "arp,arp_op=1,arp_spa=1.2.3.4,arp_tpa=10.0.0.0/8,arp_sha=1:2:3:4:5:6,actions=drop",
    "tcp,tcp_flags=+syn-ack,actions=drop",
    "tun_src=1.2.3.0/24,actions=set_field:5/0xf->tun_id,set_field:1.2.3.4/255.0.0.0->tun_src,set_field:7/0xff->tun_gbp_id,set_field:8/8->tun_gbp_flags,set_field:2001:db8::1/32->tun_ipv6_dst",
    "tun_gbp_id=3,actions=load:1->NXM_NX_TUN_FLAGS[],load:5->OXM_OF_TUNNEL_ID[0..23],set_field:oam->tun_flags",
    "ip,ip_frag=later,nw_tos=0x20,nw_ecn=1,nw_ttl=64,actions=drop",
    "tun_id=5,tun_src=1.2.3.4,tun_dst=5.6.7.8,tun_flags=oam,actions=drop",
    "dl_vlan=0xffff,actions=drop",
    "vlan_tci=0x1000/0x1000,actions=drop",
    "dl_vlan_pcp=3,actions=drop",
    "xreg1=0x500000000/0xf00000000,actions=load:0x123->xreg1[],set_field:5/7->reg1",
    "pkt_mark=3,conj_id=4,tunnel_id=5/7,tun_gbp_id=3,tun_gbp_flags=8,actions=drop",
    "in_port=LOCAL,actions=output:2",
    "udp6,udp_dst=4/0xfff0,actions=drop",
    "rarp,actions=drop",
    "mplsm,actions=drop",
    "actions=group:4",
    "actions=output(port=3,max_len=100)",
    "send_flow_rem,check_overlap,idle_timeout=3,hard_timeout=4,priority=9,cookie=0x55,actions=drop",
    "table=3,actions=resubmit(,4),resubmit:5,resubmit(6,7)",
];

#[test]
fn flows_travel_the_same() {
    for version in ["OpenFlow10", "OpenFlow13"] {
        for flow in FLOWS {
            // The stock tool counts forms that say less than the flow as usable, and some that would do as not.
            let is_message = |line: &str| line.contains("_FLOW_MOD");
            let args = ["-O", version, "parse-flows", "-"];
            same_lines(&args, &format!("{flow}\n"), is_message);
        }
    }
}

/// Lists of actions in hexadecimal, and the version that they are in.
const ACTIONS: &[(&str, &str)] = &[
    ("OpenFlow10", "0000 0008 0001 0000"),
    ("OpenFlow10", "0000 0008 fffb 0000  0003 0008 00000000"),
    ("OpenFlow10", "0001 0008 0005 0000 0002 0008 03 000000"),
    (
        "OpenFlow10",
        "0004 0010 001122334455 000000000000 0006 0008 01020304",
    ),
    ("OpenFlow10", "ffff 0010 00002320 0001 0005 00000000"),
    ("OpenFlow10", "ffff 0010 00002320 000e 0005 07 000000"),
    (
        "OpenFlow10",
        "ffff 0018 00002320 0007 00c6 00010004 0000000000000005",
    ),
    ("OpenFlow10", "ffff 0010 00002320 0012 000000000000"),
    ("OpenFlow13", "0000 0010 00000001 ffe5 000000000000"),
    ("OpenFlow13", "0000 0010 fffffffd 0040 000000000000"),
    (
        "OpenFlow13",
        "0011 0008 8100 0000 0019 0010 80000c02 1064 0000 00000000",
    ),
    ("OpenFlow13", "0018 0008 00000000 0017 0008 40 000000"),
    (
        "OpenFlow13",
        "0012 0008 00000000 0016 0008 00000007 0015 0008 00000003",
    ),
    ("OpenFlow13", "0063 0008 00000000"),
];

#[test]
fn actions_print_the_same() {
    for (version, bytes) in ACTIONS {
        same(&["parse-actions", version], &format!("{bytes}\n"));
    }
}

#[test]
fn help_names_every_command() {
    let list = run(env!("CARGO_BIN_EXE_ofctl"), &["list-commands"], "").unwrap();
    let help = run(env!("CARGO_BIN_EXE_ofctl"), &["help"], "").unwrap();
    for line in list.lines() {
        assert!(help.contains(line.trim()), "{line}");
    }
    assert!(list.lines().count() >= 25);
}

/// Small random numbers from a fixed seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
    /// Replaces each `#` by a number of 16 bits at most, each `%` by an octet, each `@` by two hexadecimal digits.
    fn fill(&mut self, template: &str) -> String {
        let mut out = String::new();
        for c in template.chars() {
            match c {
                '#' => out.push_str(&self.below(65000).to_string()),
                '%' => out.push_str(&self.below(256).to_string()),
                '@' => out.push_str(&format!("{:02x}", self.below(256))),
                c => out.push(c),
            }
        }
        out
    }
}

const PLAIN: &[&str] = &[
    "in_port=#",
    "dl_src=@:@:@:@:@:@",
    "dl_dst=@:@:@:@:@:@/@:@:@:@:@:ff",
    "reg3=0x@@@@",
    "reg4=0x@@/0x@ff",
    "metadata=0x@@@@@",
    "tun_id=0x@@@@/0xff@@",
    "pkt_mark=0x@@",
    "conj_id=#",
    "tun_src=%.%.%.%/12",
    "priority=#",
    "tun_ipv6_dst=fe@::@@",
    "table=7",
    "idle_timeout=#",
    "cookie=0x@@@@",
    "send_flow_rem",
];
const TAGS: &[&str] = &["", "dl_vlan=%", "dl_vlan=%,dl_vlan_pcp=3", "dl_vlan=0xffff"];
const NETWORKS: &[&str] = &[
    "",
    "dl_type=0x88@",
    "arp,arp_spa=%.%.%.%/20,arp_op=2",
    "arp,arp_tpa=%.%.%.%,arp_sha=@:@:@:@:@:@",
    "ip,nw_src=%.%.%.%/255.0.255.%",
    "ip,nw_dst=%.%.%.%/9,nw_proto=%",
    "ip,nw_tos=32,nw_ecn=2,nw_ttl=%",
    "ip,nw_frag=later",
    "tcp,tp_dst=#,tcp_flags=+syn-ack",
    "udp,tp_src=0x@/0xf0",
    "sctp,nw_src=%.%.%.%,sctp_dst=#",
    "icmp,icmp_type=%,icmp_code=%",
    "ipv6,ipv6_label=0x@@,ipv6_src=::@@/ffff::ff@",
    "tcp6,ipv6_dst=20@:@@::/29,tcp_src=#",
    "icmp6,icmp_type=135,nd_target=fe80::@@,nd_sll=@:@:@:@:@:@",
    "icmp6,icmp_type=136,nd_tll=@:@:@:@:@:@",
];
const VERBS: &[&str] = &[
    "output:%",
    "load:0x@->reg5[3..10]",
    "load:0x@@@@->reg6",
    "move:reg1[0..7]->reg2[8..15]",
    "set_field:0x@@->reg7",
    "set_field:@:@:@:@:@:@->eth_dst",
    "set_field:0x@@@@@@->tun_id",
    "set_field:0x@@->metadata",
    "set_field:%.%.%.%->tun_dst",
    "resubmit(,20)",
    "resubmit(#,9)",
    "mod_dl_src:@:@:@:@:@:@",
    "push:reg1[3..9]",
    "pop:reg2[0..15]",
    "controller:#",
    "controller(max_len=#,reason=invalid_ttl,id=%)",
    "note:@.@.@",
    "group:#",
    "set_queue:#",
    "exit",
    "normal",
    "output:reg3[0..15]",
    "clone(output:#,resubmit(,3))",
    "output(port=#,max_len=99)",
    "set_field:0x@@/0x@f->reg9",
    "in_port",
];

#[test]
fn random_flows_travel_the_same() {
    let mut dice = Dice(0x5eed);
    let flows: String = (0..500)
        .map(|_| {
            let mut keys: Vec<&str> = PLAIN
                .iter()
                .copied()
                .filter(|_| dice.below(4) == 0)
                .collect();
            keys.extend(
                [dice.one(TAGS), dice.one(NETWORKS)]
                    .into_iter()
                    .filter(|k| !k.is_empty()),
            );
            let actions: Vec<&str> = (0..=dice.below(4)).map(|_| dice.one(VERBS)).collect();
            dice.fill(&format!(
                "{},actions={}\n",
                keys.join(","),
                actions.join(",")
            ))
        })
        .collect();
    for version in ["OpenFlow10", "OpenFlow13"] {
        let args = ["-O", version, "parse-flows", "-"];
        let Some(stock) = run("ovs-ofctl", &args, &flows) else {
            return;
        };
        let ours = run(env!("CARGO_BIN_EXE_ofctl"), &args, &flows).unwrap();
        let stock: Vec<&str> = stock
            .lines()
            .filter(|line| line.contains("_FLOW_MOD"))
            .collect();
        assert_eq!(stock.len(), 500, "{version}");
        let ours = ours.lines().filter(|line| line.contains("_FLOW_MOD"));
        for ((ours, stock), flow) in ours.zip(stock).zip(flows.lines()) {
            assert_eq!(ours, stock, "{version} {flow}");
        }
    }
}

/// Flows that some forms of messages cannot say, or that name a table.
const FORMS: &[&str] = &[
    "table=3,tcp,actions=1",
    "reg1=2,actions=1",
    "table=2,reg1=2,actions=1",
    "metadata=2,actions=1",
    "actions=push_vlan:0x8100,1",
    "actions=meter:1,2",
];

const GROUPS: &[&str] = &[
    "group_id=1,type=all,bucket=actions=output:1",
    "group_id=1,type=all,bucket=actions=output:1,bucket=actions=push_vlan:0x8100",
    "group_id=4,type=select,bucket=weight:5,output:2,bucket=weight:3,output:3",
    "group_id=4,type=ff,bucket=watch_port:2,output:2",
];

#[test]
fn forms_are_the_same() {
    for version in ["OpenFlow10", "OpenFlow11", "OpenFlow12,OpenFlow15"] {
        let both = FORMS.iter().map(|flow| ("parse-flow", flow));
        for (command, text) in both.chain(GROUPS.iter().map(|group| ("parse-group", group))) {
            same(&["-O", version, command, text], "");
        }
    }
    for format in ["nxm", "NXM+table_id"] {
        same(&["-F", format, "parse-flow", "tcp,actions=2"], "");
    }
    let file = "in_port=LOCAL,actions=drop\n# none\ntable=3,dl_vlan=9,actions=2\n";
    same(&["parse-flows", "-"], file);
}

const ETHER_TYPES: &[&str] = &["0800", "0800", "0806", "8035", "86dd", "05ff", "8847", "@@"];
const PROTOCOLS: &[&str] = &["06", "01", "11", "84", "3a", "@"];
const VLANS: &[&str] = &["ffff", "0005", "0fff", "fffe", "@@"];

/// Each line must become the same text as by the stock tool.
fn same_blocks(command: &str, lines: &[String]) {
    let input = format!("{}\n", lines.join("\n"));
    let Some(stock) = run("ovs-ofctl", &[command], &input) else {
        return;
    };
    let ours = run(env!("CARGO_BIN_EXE_ofctl"), &[command], &input).unwrap();
    assert_eq!(stock.split("\n\n").count(), lines.len() + 1);
    for ((ours, stock), line) in ours.split("\n\n").zip(stock.split("\n\n")).zip(lines) {
        assert_eq!(ours, stock, "{command} {line}");
    }
    assert_eq!(ours.len(), stock.len());
}

/// Matches of OpenFlow 1.0; the digits `x` do not matter.
#[test]
fn random_matches_of_10_print_the_same() {
    let mut dice = Dice(0x10);
    let lines: Vec<String> = (0..500)
        .map(|_| {
            let sparse = format!("{:08x}", dice.below(1 << 22) & dice.below(1 << 22));
            let template = [
                dice.one(&["@@@@", &sparse, &sparse, &sparse]),
                dice.one(&["0001", "fff8", "fffe", "ff00", "@@"]),
                "@@@@@@ @@@@@@",
                dice.one(VLANS),
                dice.one(&["00", "07", "@"]),
                dice.one(&["00", "xx"]),
                dice.one(ETHER_TYPES),
                dice.one(&["00", "fc", "@"]),
                dice.one(PROTOCOLS),
                dice.one(&["0000", "xxxx"]),
                "@@@@ @@@@",
                dice.one(&["0007", "@@"]),
                dice.one(&["0008", "00ff", "@@"]),
            ];
            dice.fill(&template.join(" "))
        })
        .collect();
    same_blocks("parse-ofp10-match", &lines);
}

#[test]
fn random_matches_of_11_print_the_same() {
    let mut dice = Dice(0x11);
    let wide = &["0000000000000000", "ffffffffffffffff", "@@@@@@@@"];
    let lines: Vec<String> = (0..500)
        .map(|_| {
            let wildcards = format!("{:08x}", dice.below(1 << 10) & dice.below(1 << 10));
            let template = [
                dice.one(&["0000", "0000", "@@"]),
                dice.one(&["0058", "@@"]),
                dice.one(&["00000001", "00000001", "fffffffe", "@@@@"]),
                &wildcards,
                "@@@@@@",
                dice.one(&["000000000000", "ffffffffffff", "@@@@@@"]),
                "@@@@@@",
                dice.one(&["000000000000", "ffffffffffff", "@@@@@@"]),
                dice.one(VLANS),
                dice.one(&["03", "05", "@"]),
                "00",
                dice.one(ETHER_TYPES),
                dice.one(&["00", "fc", "fc", "@"]),
                dice.one(PROTOCOLS),
                "@@@@",
                dice.one(&["00000000", "ffffffff", "@@@@"]),
                "@@@@",
                dice.one(&["00000000", "ffffffff", "@@@@"]),
                dice.one(&["0007", "@@"]),
                dice.one(&["0008", "00ff", "@@"]),
                dice.one(&["00000007", "@@@@"]),
                "@ @@@ @@@@@@@@",
                dice.one(wide),
            ];
            dice.fill(&template.join(" "))
        })
        .collect();
    same_blocks("parse-ofp11-match", &lines);
}

#[test]
fn tags_have_the_same_forms() {
    let mut dice = Dice(0x8100);
    let masks = [0xffff, 0x1fff, 0x1000, 0xf000, 0xe000, 0x0fff, 0];
    for round in 0..120 {
        let random = dice.below(0x10000);
        let mask = *masks.get(dice.below(10) as usize).unwrap_or(&random);
        let tci = dice.below(0x10000) & if round % 4 == 0 { 0xffff } else { mask };
        same(
            &["check-vlan", &format!("{tci:04x}"), &format!("{mask:04x}")],
            "",
        );
    }
}
