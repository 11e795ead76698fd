//! Golden bytes: every kind of message that we write, with what the stock `ovs-ofctl ofp-print` says
//! of it beside it, in `golden/messages.txt`. The bytes are compared always, the text where the stock
//! tool is installed. `GOLDEN=write` rewrites the file; read the difference before it is committed.

mod samples;

use ofp::message::{Dialect, Message};
use ofp::types::Version;
use samples::messages;
use std::fmt::Write;
use std::process::Command;

/// What the stock tool says; `None`: it is not installed.
fn stock(hex: &str) -> Option<String> {
    let run = Command::new("ovs-ofctl")
        .args(["ofp-print", hex, "2"])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&run.stdout).trim_end().to_owned())
}

fn path() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages.txt")
}

#[test]
fn messages_are_as_they_were_and_as_the_stock_tool_reads_them() {
    let golden = std::fs::read_to_string(path()).unwrap_or_default();
    let mut text = String::new();
    let mut wrong = Vec::new();
    let mut entries = golden
        .split("\n\n## ")
        .map(|entry| entry.trim_start_matches("## ").trim_end());
    for (what, bytes, _) in messages() {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let mut lines = entries.next().unwrap_or_default().splitn(3, '\n');
        let (title, old) = (
            lines.next().unwrap_or_default(),
            lines.next().unwrap_or_default(),
        );
        let said = lines.next().unwrap_or_default();
        let says = stock(&hex).unwrap_or_else(|| said.to_owned());
        if (title, old, said) != (&what, &hex, &says) {
            wrong.push(format!("{what}\n  was {old}\n  is  {hex}\n{said}\n{says}"));
        }
        write!(text, "## {what}\n{hex}\n{says}\n\n").unwrap();
    }
    if std::env::var("GOLDEN").is_ok_and(|mode| mode == "write") {
        std::fs::write(path(), text.trim_end().to_owned() + "\n").unwrap();
        return;
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn golden_bytes_are_read_and_written_again() {
    // An enqueue becomes three actions in later versions.
    let all = messages().into_iter();
    for (what, bytes, dialect) in all.filter(|(what, ..)| !what.contains("enqueue")) {
        let dialect = match what.contains("OFPT_HELLO") {
            true => Dialect::new(Version::V13),
            false => dialect,
        };
        let message =
            Message::decode(&bytes, &dialect).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(message.to_bytes(&dialect), bytes, "{what}: {message:#?}");
    }
}
