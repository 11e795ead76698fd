//! Runs `tests/cases/**/*.case`: what is sent into a simulated switch, and what has to come out.
//!
//! Every case is run seven times: with the cache, without, with one entry, with every frame sent twice (the second one is
//! answered from the cache), with frames in segments, with an observer (which walks always), and with several workers.
//! A failing one prints its trace.
//!
//! Lines (`#` begins a comment; a port is a number or `local` of bridge br0, or `BRIDGE/NUMBER`):
//! ```text
//! bridge NAME|br0 [miss=controller] [frag=drop|normal|nx-match|reassemble] [forward-bpdu] [forward=MAC] [keep=MAC]
//!             [address=IP] [egress=TABLE]
//! port   PORT [internal] [peer=PORT] [down] [no-recv] [no-fwd] [no-flood] [no-packet-in] [mtu=N]
//!             [access=VID] [trunks=VID,VID] [native-tagged=VID] [native-untagged=VID] [mac=MAC]
//!             [vxlan|gre remote=IP [local=IP] [key=K|flow] [in_key=] [out_key=] [csum] [ttl=N|inherit]
//!             [tos=N|inherit] [no-df] [route=BRIDGE source=IP source-mac=MAC next-hop=MAC]]
//! flow   [BRIDGE:]FLOW            del    [BRIDGE:]FLOW          time   MILLISECONDS
//! group  [BRIDGE:]GROUP           ungroup [BRIDGE:]NUMBER       meter  [BRIDGE:]METER
//! send   [partial] [gso=N] PORT FRAME                           out    in_port=PORT,actions FRAME
//! want   PORT FRAME               punt   REASON [table=N] [in_port=N] [id=N] [FIELD=VALUE ...] FRAME
//! stat   NAME+N ...               (nothing else changed)
//! fin    table=N idle=N hard=N    (a TCP connection ended, at a rule of this table; learnt flows are added at once)
//! resume [MATCH;] [FRAME]         (a packet of `controller(pause)` goes on, its punt was wanted)
//! tlv    MAPPINGS                 (of bridge br0)
//! once                            (no frame is sent twice: fragments that come again are others)
//! ```

#[path = "cases/case.rs"]
mod case;
#[path = "cases/gauges.rs"]
mod gauges;
#[path = "cases/pending.rs"]
mod pending;
#[path = "cases/tunnel.rs"]
mod tunnel;

use case::Mode;
use std::path::{Path, PathBuf};

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("the directory of the cases")
        .map(|entry| entry.expect("a directory entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "case") {
            out.push(path);
        }
    }
}

const MODES: [Mode; 7] = [
    Mode::Cached,
    Mode::Uncached,
    Mode::OneEntry,
    Mode::Twice,
    Mode::Segmented,
    Mode::Explained,
    Mode::Spread,
];

#[test]
fn all() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    assert!(!paths.is_empty(), "no cases in {}", root.display());
    let only = std::env::var("CASE").unwrap_or_default();
    let mut failed = Vec::new();
    for path in paths {
        let name = path
            .strip_prefix(&root)
            .unwrap_or(&path)
            .display()
            .to_string();
        if !name.contains(&only) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable case");
        for mode in MODES {
            if mode == Mode::Twice && text.lines().any(|line| line == "once") {
                continue;
            }
            if let Err(error) = case::run(&text, mode) {
                let trace = case::trace(&text);
                failed.push(format!("{name} ({mode:?}): {error}\n--- trace\n{trace}"));
                break;
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} failed\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// Frames with other bytes and sizes than the cases have: nothing panics, and nothing is lost.
#[test]
fn damaged_frames_do_no_harm() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut paths = Vec::new();
    for dir in ["fragment", "tunnel", "bpdu"] {
        files(&root.join(dir), &mut paths);
    }
    // ROUNDS=30 takes a minute.
    let rounds = std::env::var("ROUNDS").map_or(1u64, |rounds| rounds.parse().expect("a number"));
    for round in 0..rounds {
        for (index, path) in paths.iter().enumerate() {
            let text = std::fs::read_to_string(path).expect("a readable case");
            for mode in [Mode::Cached, Mode::Segmented, Mode::Spread] {
                let seed = round * 1000 + index as u64 + 1;
                let result = case::damage(&text, mode, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                assert_eq!(result, Ok(()), "{} ({mode:?}), {seed}", path.display());
            }
        }
    }
}

/// Drop reasons that a case cannot bring about: an exhausted pool, full queues.
const NOT_BY_A_CASE: &[&str] = &["no_memory", "punt_full", "tunnel_queue_full", "mail_full"];

#[test]
fn every_drop_reason_has_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a readable case");
    let text: String = paths.iter().map(read).collect();
    for (_, name, _) in datapath::model::drop::DROP_REASONS {
        let is_counted = text.contains(&format!("drop.{name}+"));
        assert!(is_counted || NOT_BY_A_CASE.contains(name), "{name}");
    }
}
