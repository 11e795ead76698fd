//! Commands that need no switch: what they print, and how they fail.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Done {
    out: String,
    errors: String,
    status: i32,
}

fn ofctl(args: &[&str], input: &[u8]) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ofctl"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may be gone.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Done {
        out: text(&output.stdout),
        errors: text(&output.stderr),
        status: output.status.code().unwrap_or(-1),
    }
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ofctl-offline-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The stock tool's output, if it is installed.
fn stock(args: &[&str], input: &[u8]) -> Option<String> {
    let mut child = Command::new("ovs-ofctl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let _ = child.stdin.take()?.write_all(input);
    Some(String::from_utf8_lossy(&child.wait_with_output().ok()?.stdout).into_owned())
}

#[test]
fn encoders_and_decoders_say_what_the_stock_tool_says() {
    let frame = b"\xff\xff\xff\xff\xff\xff\x02\x02\x02\x02\x02\x02\x08\x06".as_slice();
    for (args, input) in [
        (&["encode-hello", "0x12"][..], &b""[..]),
        (&["encode-hello", "0x7e"], b""),
        (&["print-error", "OFPBRC_BAD_TABLE_ID"], b""),
        (&["print-error", "OFPBIC_DUP_INST"], b""),
        (
            &["encode-error-reply", "OFPBRC_BAD_TYPE", "010a0008000000ff"],
            b"",
        ),
        (
            &["encode-error-reply", "OFPBIC_DUP_INST", "040a0008000000ff"],
            b"",
        ),
        (&["parse-key-value", "a=1,b:2,c(d,e)", "x y=4 z"], b""),
        (&["compose-packet", "udp", "20"], b""),
        (&["parse-packet"], frame),
        (
            &["ofp-parse", "-"],
            b"\x01\x00\x00\x08\x00\x00\x00\x05\x01\x05\x00\x08\x00\x00\x00\x06",
        ),
        (
            &["parse-nxm"],
            b"NXM_OF_ETH_TYPE(0800), NXM_OF_IP_SRC_W(0a000000/ff000000)\n<any>\n",
        ),
        (
            &["parse-oxm", "OpenFlow12"],
            b"OXM_OF_VLAN_VID(1005), OXM_OF_VLAN_PCP(03)\n",
        ),
        (
            &["parse-instructions", "OpenFlow13"],
            b"0001 0008 05 000000\n0009 0008 00000000\n",
        ),
    ] {
        let ours = ofctl(args, input);
        assert_eq!(ours.status, 0, "{args:?} {}", ours.errors);
        if let Some(stock) = stock(args, input) {
            assert_eq!(ours.out, stock, "{args:?}");
        }
    }
}

/// A capture of Ethernet frames.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        for word in [
            1_700_000_003,
            123_456,
            frame.len() as u32,
            frame.len() as u32,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

fn segment(ports: [u16; 2], seq: u32, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xaa; 12];
    frame.extend(b"\x08\x00\x45\x00");
    frame.extend((40 + data.len() as u16).to_be_bytes());
    frame.extend(b"\0\0\0\0\x40\x06\0\0\x0a\0\0\x01\x0a\0\0\x02");
    ports
        .iter()
        .for_each(|port| frame.extend(port.to_be_bytes()));
    frame.extend(seq.to_be_bytes());
    frame.extend(b"\0\0\0\0\x50\x18\0\x64\0\0\0\0");
    frame.extend(data);
    frame
}

#[test]
fn captures_are_read_stream_by_stream() {
    let echo = b"\x01\x02\x00\x0c\x00\x00\x00\x06\xde\xad\xbe\xef";
    let frames = [
        segment([1234, 6653], 1, &echo[..5]),
        segment([1234, 6653], 6, &echo[5..]),
        segment([6653, 1234], 9, b"\x01\x00\x00\x08\0\0\0\x05"),
        segment([999, 1234], 9, b"\x01\x00\x00\x08\0\0\0\x05"),
        vec![0xff; 30],
    ];
    let path = file("pcap", &pcap(&frames));
    let name = path.to_str().unwrap();
    for args in [
        &["ofp-parse-pcap", name][..],
        &["--timestamp", "ofp-parse-pcap", name, "999"],
        &["parse-pcap", name],
    ] {
        let ours = ofctl(args, b"");
        assert_eq!(ours.status, 0, "{args:?} {}", ours.errors);
        if let Some(stock) = stock(args, b"") {
            assert_eq!(ours.out, stock, "{args:?}");
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn diff_flows_of_files_tells_by_its_status() {
    let a = file(
        "a",
        b"priority=5,ip,actions=1\narp,cookie=5,idle_timeout=30,actions=drop\n",
    );
    let b = file(
        "b",
        b"priority=5,ip,actions=2\narp,cookie=5,idle_timeout=30,actions=drop\n",
    );
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let done = ofctl(&["diff-flows", a, b], b"");
    let want = "-priority=5,ip actions=output:1\n+priority=5,ip actions=output:2\n";
    assert_eq!(
        (done.status, done.out.as_str()),
        (2, want),
        "{}",
        done.errors
    );
    assert_eq!(ofctl(&["diff-flows", a, a], b"").status, 0);
    assert_eq!(ofctl(&["diff-flows", a, "/nonexistent"], b"").status, 1);
    [a, b]
        .iter()
        .for_each(|path| std::fs::remove_file(path).unwrap());
}

#[test]
fn lint_finds_and_says_where() {
    let done = ofctl(
        &["lint", "-"],
        b"priority=9,ip,actions=1\npriority=5,tcp,actions=2\n",
    );
    assert_eq!(done.status, 1);
    let want = "-:2: column 1: warning: \"priority=5,tcp\": no packet reaches it";
    assert!(done.out.starts_with(want), "{}", done.out);
    let done = ofctl(&["--json", "lint", "-"], b"ip,tcp_dst=80,actions=1\n");
    let found: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (found[0]["kind"].as_str(), found[0]["column"].as_u64()),
        (Some("syntax"), Some(4))
    );
    let done = ofctl(
        &["lint", "-"],
        b"priority=9,tcp,actions=1\npriority=5,ip,actions=group:3\n",
    );
    assert_eq!(
        done.status, 0,
        "what may be right in company is no fault: {}",
        done.out
    );
}

#[test]
fn lenient_takes_what_open_vswitch_takes_and_says_so() {
    let flow = "ip,tcp_dst=80,actions=drop";
    assert_eq!(ofctl(&["parse-flow", flow], b"").status, 1);
    let done = ofctl(&["--lenient", "parse-flow", flow], b"");
    assert!(done.out.contains("ADD ip actions=drop"), "{}", done.out);
    assert!(
        done.errors.contains("warning: \"tcp_dst=80\" is left out"),
        "{}",
        done.errors
    );
    let done = ofctl(
        &["--lenient", "parse-flow", "dl_vlan=5000,actions=drop"],
        b"",
    );
    assert!(
        done.out.contains("dl_vlan=904") && done.errors.contains("904"),
        "{}",
        done.errors
    );
}

#[test]
fn bad_words_are_named() {
    for (args, want) in [
        (&["encode-hello", "x"][..], "\"x\""),
        (&["encode-hello", "0"], "no version"),
        (
            &["print-error", "OFPGMFC_GROUP_EXIST"],
            "OFPGMFC_GROUP_EXISTS",
        ),
        (&["encode-error-reply", "OFPBRC_BAD_TYPE", "00"], "8 bytes"),
        (
            &["encode-error-reply", "OFPBRC_BAD_TYPE", "090a0008000000ff"],
            "0x09",
        ),
        (&["compose-packet", "bogus=1"], "bogus"),
        (&["ofp-parse", "/nonexistent"], "/nonexistent"),
        (&["ofp-parse-pcap", "/dev/null"], "no pcap file"),
        (&["ofp-parse-pcap", "/dev/null", "x"], "\"x\""),
        (&["parse-oxm", "OpenFlow10"], "OpenFlow12"),
        (&["parse-oxm", "OpenFlow9"], "OpenFlow9"),
        (&["lint", "/nonexistent"], "/nonexistent"),
        (&["watch", "br0", "flow"], "did you mean flows"),
        (&["--interval", "0", "watch", "br0"], "--interval"),
        (&["mod-table", "br0", "300", "evict"], "\"300\""),
        (&["mod-table", "br0", "1", "evcit"], "did you mean evict"),
        (
            &["mod-table", "br0", "1", "vacancy:80,20"],
            "20 is not above 80",
        ),
        (
            &["-O", "OpenFlow10", "mod-table", "br0", "1", "evict"],
            "needs OpenFlow14",
        ),
        (
            &["-O", "OpenFlow10", "dump-table-desc", "br0"],
            "needs OpenFlow14",
        ),
        (&["benchmark", "br0", "x", "1"], "\"x\""),
        (&["ct-flush-zone", "br0", "99999"], "\"99999\""),
        (&["--read-only", "del-flows", "br0"], "--read-only"),
        (
            &["--color=maybe", "dump-flows", "tcp:127.0.0.1:1"],
            "127.0.0.1",
        ),
        (&["trace", "tcp:127.0.0.1:1", "ip"], "not a bridge's name"),
        (&["del-groups", "br0", "1"], "(group_id=1)"),
        (&["monitor", "br0", "invalid_tll"], "invalid_ttl"),
    ] {
        let done = ofctl(args, b"");
        assert_eq!(done.status, 1, "{args:?} {} {}", done.out, done.errors);
        assert!(done.errors.contains(want), "{args:?}: {}", done.errors);
    }
}

#[test]
fn what_is_not_here_is_refused_with_the_reason() {
    for (flow, word, why) in [
        (
            "ip,ct_state=+trk,actions=drop",
            "ct_state",
            "connection tracking",
        ),
        ("nsh_spi=1,actions=drop", "nsh_spi", "NSH"),
        (
            "actions=set_field:1->tun_gtpu_flags",
            "tun_gtpu_flags",
            "GTP-U",
        ),
        (
            "actions=load:1->NXM_NX_CT_MARK[]",
            "NXM_NX_CT_MARK",
            "connection tracking",
        ),
        ("tun_erspan_idx=1,actions=drop", "tun_erspan_idx", "ERSPAN"),
        ("ip,actions=ct(commit)", "ct", "connection tracking"),
        ("ip,actions=nat", "nat", "connection tracking"),
    ] {
        let done = ofctl(&["parse-flow", flow], b"");
        let errors = done.errors;
        let want = format!("\"{word}\": not supported by this switch");
        assert!(
            done.status == 1 && errors.contains(&want),
            "{flow}: {errors}"
        );
        assert!(errors.contains(why), "{flow}: {errors}");
    }
}
