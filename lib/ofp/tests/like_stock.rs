//! Messages print as the stock `ovs-ofctl ofp-parse` prints them, in every version.

mod samples;

use bytes::Bytes;
use ofp::text::{PortMap, Style, print};
use std::collections::BTreeMap;
use std::process::Command;

/// What the stock tool says of each message, by its transaction id; `None`: it is not installed.
fn stock(messages: &[Bytes]) -> Option<BTreeMap<usize, String>> {
    let path = std::env::temp_dir().join(format!("like-stock-{}", std::process::id()));
    std::fs::write(&path, messages.concat()).unwrap();
    let run = Command::new("ovs-ofctl")
        .arg("ofp-parse")
        .arg(&path)
        .output();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8_lossy(&run.ok()?.stdout).into_owned();
    let mut said = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        let xid = line
            .split_once("(xid=0x")
            .and_then(|(_, rest)| usize::from_str_radix(rest.split_once("):")?.0, 16).ok());
        // Messages inside errors have a low transaction id.
        current = xid.filter(|xid| *xid >= FIRST).or(current);
        let text: &mut String = said.entry(current.unwrap_or(0)).or_default();
        text.push_str(line);
        text.push('\n');
    }
    Some(said)
}

/// Some messages of OpenFlow 1.5 the stock tool does not know, and of our fields and actions some.
const UNKNOWN: [&str; 6] = [
    "CONTROLLER_STATUS",
    "OFPST_FLOW_STATS",
    "OFPST_BUNDLE_FEATURES",
    "OFPST_TABLE reply OpenFlow11",
    "OFPST_TABLE reply OpenFlow12",
    "OFPST_TABLE_FEATURES reply",
];

/// Transaction id of the first message.
const FIRST: usize = 0x10000;

#[test]
fn messages_print_as_the_stock_tool_prints_them() {
    let number = |(index, (_, bytes, _)): (usize, &(String, Bytes, _))| {
        let mut bytes = bytes.to_vec();
        bytes[4..8].copy_from_slice(&((FIRST + index) as u32).to_be_bytes());
        Bytes::from(bytes)
    };
    let samples: Vec<_> = samples::messages()
        .into_iter()
        .filter(|(what, ..)| !UNKNOWN.iter().any(|name| what.contains(name)))
        .collect();
    let messages: Vec<Bytes> = samples.iter().enumerate().map(number).collect();
    let Some(said) = stock(&messages) else {
        eprintln!("ovs-ofctl is not installed: not compared");
        return;
    };
    let ports = PortMap::default();
    let mut wrong = Vec::new();
    for (index, bytes) in messages.iter().enumerate() {
        let (what, _, dialect) = &samples[index];
        let style = Style {
            hex: true,
            ..Style::plain(dialect.version, &ports)
        };
        let ours = print::print_wire(bytes, &style);
        let Some(theirs) = said.get(&(FIRST + index)) else {
            wrong.push(format!("{what}: nothing said"));
            continue;
        };
        // What is in a frame is said by who looks into frames.
        let packet = what.contains("PACKET_") || what.contains("RESUME");
        let cut = |text: &str| match packet {
            true => text.lines().next().unwrap_or_default().to_owned(),
            false => text.trim_end().to_owned(),
        };
        // The stock tool cannot print the flags of evictions.
        let theirs = theirs.replace(
            "eviction=***error***",
            "eviction=on eviction_flags=OTHER|LIFETIME",
        );
        let (ours, theirs) = (cut(&ours), cut(&theirs));
        if ours != theirs {
            wrong.push(format!("## {what}\n-- stock\n{theirs}\n-- ours\n{ours}\n"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
