//! Actions against the stock `ovs-ofctl parse-actions`, in every version: it reads the bytes that we
//! write and prints what we print of them. A row of the table without an action here is an error.

use ofp::action::Action;
use ofp::field::{FIELDS, Field, Subfield};
use ofp::text::{PortMap, Style, print_actions, read_actions};
use ofp::types::Version;
use ofp::wire::action::{ACTIONS, Row, Space, decode_list, encode_list};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

const VERSIONS: [Version; 6] = [
    Version::V10,
    Version::V11,
    Version::V12,
    Version::V13,
    Version::V14,
    Version::V15,
];

/// Texts in the form in which they are printed, in the versions that have them.
const SINCE10: &[&str] = &[
    "learn(table=1)",
    "learn(table=1,idle_timeout=10,hard_timeout=20,fin_idle_timeout=5,fin_hard_timeout=7,priority=10,cookie=0xfedcba9876543210,in_port=99,eth_dst=eth_src,NXM_OF_VLAN_TCI[0..11],load:in_port->NXM_NX_REG1[16..31],output:reg0,eth_type=0x800)",
    "learn(table=1,send_flow_rem,delete_learned,cookie=1,limit=5,result_dst=reg0[3],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->reg1[],reg2=0x55,output:NXM_OF_IN_PORT[],output:reg1[0..15])",
    "learn(limit=4294967295,in_port=LOCAL)",
    "learn(table=2,eth_type=0x800,nw_src=1.2.3.4,dl_dst=00:11:22:33:44:55,load:5->reg1[3..9])",
    "learn(table=2,vlan_vid=5,reg0[3..5]=6,load:0x1234567890123456789012->xxreg1[])",
    "learn(table=2,eth_type=0x86dd,nw_proto=6,ipv6_src=fe80::1,tcp_dst=80)",
    "conjunction(1234,1/2),conjunction(5,3/3),note:00.11.22.33.44.55",
    "multipath(eth_src, 50, modulo_n, 1, 0, NXM_NX_REG0[])",
    "multipath(symmetric_l3l4+udp,1024,hrw,128,0,NXM_NX_REG0[])",
    "multipath(symmetric_l3 1024 iter_hash 128 7 reg0[0..7])",
    "multipath(nw_src,65535,hash_threshold,65536,4294967295,reg0[])",
    "multipath(nw_dst,0,hrw,1,0,reg0[]),multipath(symmetric_l4,0,hrw,1,0,reg0[]),multipath(symmetric_l3l4,0,hrw,1,0,reg0[])",
    "bundle(eth_src,50,hrw,ofport,slaves:1,2)",
    "bundle(symmetric_l4,60,active_backup,ofport,members:2,3)",
    "bundle(symmetric_l3l4,60,hrw,ofport,members:)",
    "bundle_load(symmetric_l4,60,hrw,ofport,NXM_NX_REG0[],members:2,3,4,5,6)",
    "bundle_load(eth_src,60,hrw,ofport,reg0[16..31],slaves:2)",
    "check_pkt_larger(1000)->NXM_NX_XXREG0[4]",
    "check_pkt_larger(100)->reg0[0]",
    "sample(probability=12345,collector_set_id=23456,obs_domain_id=34567,obs_point_id=45678)",
    "sample(probability=12345,collector_set_id=23456,sampling_port=1)",
    "sample(probability=65535,collector_set_id=1,sampling_port=1,egress)",
    "sample(probability=1,collector_set_id=1,ingress)",
    "delete_field:tun_metadata0,delete_field:tun_metadata63",
    "push_mpls:0x8847,push_mpls:0x8848,pop_mpls:0x0800,set_mpls_ttl(255),dec_mpls_ttl",
    "set_mpls_label(1048575),set_mpls_tc(7)",
    "1,LOCAL,IN_PORT,NORMAL,FLOOD,ALL,TABLE,CONTROLLER:128",
    "output:reg0[0..15],output:xxreg1[0..15]",
    "output(port=3,max_len=100),group:5,set_queue:7,pop_queue",
    "enqueue:3:4",
    "controller(reason=no_match,max_len=100,id=3),controller(userdata=00.01.02,pause,meter_id=7),controller(reason=packet_out)",
    "mod_vlan_vid:5,mod_vlan_pcp:3,strip_vlan",
    "mod_dl_src:00:11:22:33:44:55,mod_dl_dst:00:11:22:33:44:66",
    "load:0x5->reg0[3..9],load:0xffffffffffffffff->xreg0[],load:0x3->tun_metadata3[0..7]",
    "move:reg0[0..7]->reg1[8..15],move:xxreg1[]->xxreg2[],move:eth_src[]->eth_dst[]",
    "push:reg0[0..15],pop:reg1[0..15],push:xxreg2,pop:xxreg3[0..63]",
    "set_field:0x5->reg0,set_field:0x10/0xf0->reg1,set_field:0x12345678901234567890->xxreg2",
    "set_field:1.2.3.4->tun_src,set_field:5->tun_id,set_field:0x7->metadata,set_field:0x7/0xff->metadata,set_field:0x5->pkt_mark",
    "set_field:00:11:22:33:44:55->eth_src,set_field:5->in_port",
    "set_tunnel:0x5,set_tunnel64:0x6",
    "resubmit:5,resubmit(,1),resubmit(3,4),exit,note:01.02.03.04.05.06",
    "clone(1,2,clone(3),learn(table=5))",
];
const IPV4: &[&str] = &[
    "mod_nw_src:1.2.3.4,mod_nw_dst:5.6.7.8,mod_nw_tos:32,mod_nw_ecn:1,mod_nw_ttl:9,dec_ttl,dec_ttl(1,2)",
    "mod_tp_src:5,mod_tp_dst:6,fin_timeout(idle_timeout=10,hard_timeout=20),fin_timeout(idle_timeout=10),fin_timeout()",
    "set_field:1.2.3.4->ip_src,set_field:1.2.0.0/255.255.0.0->ip_dst,set_field:5->nw_ttl,set_field:1->nw_ecn,set_field:80->tcp_dst,set_field:80/0xf0->tcp_src",
];
const SINCE11: &[&str] = &[
    "push_vlan:0x8100,push_vlan:0x88a8",
    "set_vlan_vid:5,set_vlan_pcp:3",
];
const SINCE13: &[&str] = &[
    "encap(ethernet),encap(mpls),encap(mpls_mc)",
    "decap(),decap(packet_type(ns=1,type=0x8847)),decap(packet_type(ns=1,type=0))",
];
const SINCE15: &[&str] = &["meter:5"];
/// Registers from 16 on, which the stock tool may be too old for; ours; and the standard's that Open vSwitch does not have.
const UNKNOWN_TO_STOCK: &[(&str, Version)] = &[
    (
        "learn(load:1->reg20[]),check_pkt_larger(100)->reg20[0],output:reg20,load:5->reg20[1..4],move:reg16[]->reg17[]",
        Version::V10,
    ),
    (
        "push:reg20,pop:reg31[3],push:xxreg4,pop:xxreg7[0..63],set_field:5->reg20,set_field:0x10/0xf0->reg31",
        Version::V10,
    ),
    (
        "set_field:0x12345678901234567890->xxreg6,set_field:5->xreg15",
        Version::V10,
    ),
    ("copy_ttl_out,copy_ttl_in", Version::V11),
    ("push_pbb:0x88e7,pop_pbb", Version::V13),
    (
        "fragment(mtu=1500),bpdu(count),reassemble(table=3)",
        Version::V10,
    ),
];
/// Bytes that we read and stock writes nowhere, and what they are.
const READ_ONLY: &[(&str, &str, Version)] = &[
    (
        "NXAST_WRITE_METADATA",
        "ffff002000002320001600000000000000000000000000050000000000 0000ff",
        Version::V10,
    ),
    (
        "NXAST_RESUBMIT",
        "ffff0010000023200001 0003 00000000",
        Version::V10,
    ),
    (
        "NXAST_SAMPLE4",
        "ffff0028000023200033 0005 00000007 00000000 00000003 00000000 00000004 ffff 00 0000000000",
        Version::V13,
    ),
    (
        "ONFACT_COPY_FIELD",
        "ffff00204f4e46000c80 0000 0020 0000 0000 0000 00010004 00010204 00000000",
        Version::V13,
    ),
];

fn texts(version: Version) -> impl Iterator<Item = &'static str> {
    let since = |first: Version, list: &'static [&'static str]| {
        list.iter().copied().filter(move |_| version >= first)
    };
    since(Version::V10, SINCE10)
        .chain(since(Version::V10, IPV4))
        .chain(since(Version::V11, SINCE11))
        .chain(since(Version::V13, SINCE13))
        .chain(since(Version::V15, SINCE15))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn read(text: &str) -> Vec<Action> {
    read_actions(text, &PortMap::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What the stock tool prints for each list; `None`: it is not installed.
fn stock(lists: &[Vec<u8>], version: Version) -> Option<Vec<String>> {
    let mut child = Command::new("ovs-ofctl")
        .args(["parse-actions", version.name()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let input: String = lists.iter().map(|bytes| hex(bytes) + "\n").collect();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    // Each answer ends with an empty line; differences from what it would write stand between.
    Some(
        output
            .split("\n\n")
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect(),
    )
}

#[test]
fn actions_are_written_as_the_stock_tool_reads_them() {
    let mut wrong = Vec::new();
    for version in VERSIONS {
        let lists: Vec<Vec<u8>> = texts(version)
            .map(|text| encode_list(&read(text), version).to_vec())
            .collect();
        let Some(theirs) = stock(&lists, version) else {
            eprintln!("ovs-ofctl is not installed: not compared");
            return;
        };
        assert_eq!(theirs.len(), lists.len(), "{theirs:#?}");
        let ports = PortMap::default();
        let style = Style::plain(version, &ports);
        for ((text, bytes), theirs) in texts(version).zip(&lists).zip(&theirs) {
            let ours = match decode_list(bytes, version) {
                Ok(actions) => format!("actions={}", print_actions(&actions, &style)),
                Err(error) => error.to_string(),
            };
            if ours != *theirs {
                wrong.push(format!(
                    "{version:?} {text}\n  bytes {}\n  stock {theirs}\n  ours  {ours}",
                    hex(bytes)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_read_prints_and_reads_the_same() {
    for version in VERSIONS {
        let ports = PortMap::default();
        let style = Style::plain(version, &ports);
        let ours = UNKNOWN_TO_STOCK
            .iter()
            .filter(|row| row.1 <= version)
            .map(|row| row.0);
        for text in texts(version).chain(ours) {
            let actions = read(text);
            let printed = print_actions(&actions, &style);
            assert_eq!(read(&printed), actions, "{text}");
            let once = decode_list(&encode_list(&actions, version), version)
                .unwrap_or_else(|error| panic!("{version:?} {text}: {error}"));
            let twice = decode_list(&encode_list(&once, version), version).unwrap();
            assert_eq!(once, twice, "{version:?} {text}");
        }
    }
}

/// The rows that a list of bytes uses, clones included.
fn rows(bytes: &[u8], version: Version, into: &mut BTreeSet<&'static str>) {
    let mut rest = bytes;
    while rest.len() >= 4 {
        let (kind, size) = (
            u16::from_be_bytes([rest[0], rest[1]]),
            usize::from(u16::from_be_bytes([rest[2], rest[3]])),
        );
        let here = |row: &&Row| match row.space {
            Space::Standard(first, last) => {
                kind != 0xffff && row.number == kind && (first..=last).contains(&version)
            }
            Space::Experimenter(id) => {
                kind == 0xffff
                    && rest[4..8] == id.to_be_bytes()
                    && rest[8..10] == row.number.to_be_bytes()
            }
        };
        into.extend(ACTIONS.iter().find(here).map(|row| row.name));
        rest = &rest[size..];
    }
}

#[test]
fn every_row_has_its_golden_case() {
    let mut used = BTreeSet::new();
    for version in VERSIONS {
        let ours = UNKNOWN_TO_STOCK
            .iter()
            .filter(|row| row.1 <= version)
            .map(|row| row.0);
        for text in texts(version).chain(ours) {
            rows(&encode_list(&read(text), version), version, &mut used);
        }
    }
    for (name, bytes, version) in READ_ONLY {
        let bytes = unhex(bytes);
        decode_list(&bytes, *version).unwrap_or_else(|error| panic!("{name}: {error}"));
        rows(&bytes, *version, &mut used);
    }
    let missing: Vec<&str> = ACTIONS
        .iter()
        .map(|row| row.name)
        .filter(|name| !used.contains(name))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn what_is_out_of_scope_is_refused_by_name() {
    for text in ["ct(commit)", "ct_clear", "nat", "dec_nsh_ttl", "encap(nsh)"] {
        let error = read_actions(text, &PortMap::default()).unwrap_err();
        assert!(error.message.contains("not supported"), "{text}: {error}");
    }
}

/// Fields that the stock tool may be too old for, or does not have.
fn is_ours(field: Field) -> bool {
    let name = field.row().name;
    let number = |stem: &str| name.strip_prefix(stem).and_then(|n| n.parse::<u8>().ok());
    number("reg").is_some_and(|n| n > 15)
        || number("xreg").is_some_and(|n| n > 7)
        || number("xxreg").is_some_and(|n| n > 3)
        || matches!(
            field,
            Field::PbbIsid | Field::PbbUca | Field::BpduType | Field::Ipv6Exthdr
        )
}

/// A whole value, some bits, a copy: of each field that actions can write.
fn of_field(field: Field) -> Vec<Vec<Action>> {
    let whole = Subfield::whole(field);
    let value = match field {
        Field::VlanVid => 0x1005,
        Field::IpTos => 8,
        Field::ArpOp | Field::InPort | Field::InPortOxm => 3,
        _ => 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef & field.full_mask(),
    };
    let mask = field.full_mask();
    let mut lists = vec![vec![Action::SetField { field, value, mask }]];
    let bits = Subfield {
        field,
        start: whole.width / 4,
        width: (whole.width / 2).max(1),
    };
    let ones = bits.mask() >> bits.start;
    let bits = match field {
        Field::InPort | Field::InPortOxm => whole,
        _ => bits,
    };
    lists.push(vec![Action::Load {
        value: ones & 0x55,
        destination: bits,
    }]);
    let other = Subfield {
        field: Field::Xxreg1,
        start: 0,
        ..whole
    };
    lists.push(vec![
        Action::Move {
            source: whole,
            destination: other,
        },
        Action::Move {
            source: other,
            destination: whole,
        },
        Action::StackPush(bits),
        Action::StackPop(bits),
    ]);
    lists
}

#[test]
fn fields_in_actions_are_written_as_the_stock_tool_reads_them() {
    let mut wrong = Vec::new();
    for version in VERSIONS {
        let fields = FIELDS
            .iter()
            .filter(|row| row.writable && row.nxm.or(row.oxm).is_some());
        let options = |row: &&ofp::field::Row| {
            !row.field.is_tun_metadata() || row.field == Field::TunMetadata7
        };
        let lists: Vec<Vec<Action>> = fields
            .filter(options)
            .filter(|row| !is_ours(row.field))
            .flat_map(|row| of_field(row.field))
            .collect();
        let bytes: Vec<Vec<u8>> = lists
            .iter()
            .map(|list| encode_list(list, version).to_vec())
            .collect();
        let Some(theirs) = stock(&bytes, version) else {
            eprintln!("ovs-ofctl is not installed: not compared");
            return;
        };
        assert_eq!(theirs.len(), lists.len());
        let ports = PortMap::default();
        let style = Style::plain(version, &ports);
        for ((list, bytes), theirs) in lists.iter().zip(&bytes).zip(&theirs) {
            let ours = match decode_list(bytes, version) {
                Ok(actions) => format!("actions={}", print_actions(&actions, &style)),
                Err(error) => error.to_string(),
            };
            if ours != *theirs {
                wrong.push(format!(
                    "{version:?} {list:?}\n  bytes {}\n  stock {theirs}\n  ours  {ours}",
                    hex(bytes)
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
