//! Who may use whom: the architecture invariants of ARCHITECTURE.md, read from Cargo.toml files and from the code.

use house::{Source, below, none};
use std::collections::BTreeSet;

/// Each crate, where it lives, and the crates of ours that it may depend on.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("packet", "lib/packet", &[]),
    ("ofp", "lib/ofp", &["packet"]),
    ("flow", "lib/flow", &["packet", "ofp"]),
    ("tls", "lib/tls", &[]),
    ("manual", "lib/manual", &[]),
    ("ovsdb", "lib/ovsdb", &["tls"]),
    ("dpdk-sys", "lib/dpdk-sys", &[]),
    ("datapath", "datapath", &["packet", "ofp", "flow"]),
    ("dpdk", "lib/dpdk", &["packet", "datapath", "dpdk-sys"]),
    (
        "switchd",
        "switchd",
        &[
            "packet", "ofp", "ovsdb", "tls", "manual", "datapath", "dpdk",
        ],
    ),
    (
        "ofctl",
        "ofctl",
        &["packet", "ofp", "flow", "tls", "manual"],
    ),
    ("vsctl", "vsctl", &["ovsdb", "tls", "manual"]),
    ("house", "tests/house", &["ofp", "datapath", "dpdk"]),
];

/// External crates that only these of ours may depend on, outside their tests.
const RESERVED: &[(&str, &[&str])] = &[
    ("tokio", &["ovsdb", "switchd", "vsctl", "ofctl"]),
    ("rtnetlink", &["switchd"]),
    ("libc", &["dpdk", "switchd"]),
    ("tracing", &["ovsdb", "tls", "dpdk", "switchd"]),
    ("rustls", &["tls", "ofctl"]),
    ("tokio-rustls", &["ovsdb", "switchd"]),
    ("bindgen", &["dpdk-sys"]),
];

/// Code that is unsafe outside `dpdk-sys` and `dpdk`, and why it has to be.
const UNSAFE: &[(&str, &str)] = &[
    (
        "datapath/tests/alloc.rs",
        "a counting allocator, to see that a known packet takes no heap memory",
    ),
    (
        "datapath/tests/pieces.rs",
        "a counting allocator, to see that a long reply takes little memory",
    ),
    (
        "lib/ofp/tests/fuzz.rs",
        "a counting allocator, to see how much memory a message takes to decode",
    ),
    (
        "switchd/src/",
        "calls of the kernel that the standard library does not wrap",
    ),
];

/// The names in a section of a Cargo.toml.
fn dependencies(manifest: &str, sections: &[&str]) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            inside = sections.contains(&section.trim_end_matches(']'));
        } else if let (true, Some(name)) = (
            inside,
            line.split(['.', ' ', '='])
                .next()
                .filter(|name| !name.is_empty()),
        ) {
            names.insert(name.to_owned());
        }
    }
    names
}

fn manifests() -> Vec<Source> {
    let mut found = below("", "toml");
    found.retain(|source| source.path.ends_with("/Cargo.toml"));
    found
}

#[test]
fn every_crate_has_its_row() {
    let known: BTreeSet<_> = CRATES
        .iter()
        .map(|row| format!("{}/Cargo.toml", row.1))
        .collect();
    let found: BTreeSet<_> = manifests().into_iter().map(|source| source.path).collect();
    assert_eq!(known, found);
}

#[test]
fn crates_depend_only_on_those_below() {
    let ours: BTreeSet<_> = CRATES.iter().map(|row| row.0).collect();
    let mut offences = Vec::new();
    for manifest in manifests() {
        let Some((name, _, allowed)) = CRATES
            .iter()
            .find(|row| format!("{}/Cargo.toml", row.1) == manifest.path)
        else {
            continue;
        };
        let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
        for dependency in dependencies(&manifest.text, &sections) {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                offences.push(format!("{name} depends on {dependency}"));
            }
        }
        for dependency in dependencies(&manifest.text, &["dependencies", "build-dependencies"]) {
            let row = RESERVED.iter().find(|row| row.0 == dependency);
            if row.is_some_and(|row| !row.1.contains(name)) {
                offences.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    none(
        "A new edge between crates is decided in ARCHITECTURE.md and here:",
        &offences,
    );
}

#[test]
fn the_datapath_has_no_rim() {
    let rim = [
        "std::fs",
        "std::io",
        "std::net::Tcp",
        "std::net::Udp",
        "std::os::unix",
        "std::process",
        "std::env",
        "thread::spawn",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "Instant",
        "SystemTime",
        "async fn",
        ".await",
        "dpdk::",
    ];
    let files = below("datapath/src/", "rs");
    let offences: Vec<_> = files
        .iter()
        .filter(|file| !file.is_test())
        .flat_map(|file| file.find(&rim))
        .collect();
    none(
        "`datapath` has no files, sockets, clocks, threads and no DPDK; what it needs is an argument:",
        &offences,
    );
}

#[test]
fn libraries_of_bytes_have_no_rim() {
    let rim = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "UnixStream",
        "Instant",
        "SystemTime",
        "std::thread",
        "async fn",
    ];
    let files = ["lib/packet/src/", "lib/ofp/src/", "lib/flow/src/"]
        .map(|directory| below(directory, "rs"))
        .concat();
    let offences: Vec<_> = files.iter().flat_map(|file| file.find(&rim)).collect();
    none("`packet`, `ofp` and `flow` are pure:", &offences);
}

#[test]
fn control_and_forward_meet_only_in_the_model() {
    let mut offences = Vec::new();
    for (directory, others) in [
        (
            "datapath/src/control/",
            [
                "crate::forward",
                "super::forward",
                "datapath::forward",
                "forward::",
            ],
        ),
        (
            "datapath/src/forward/",
            [
                "crate::control",
                "super::control",
                "datapath::control",
                "control::",
            ],
        ),
        (
            "datapath/src/model/",
            ["crate::control", "crate::forward", "control::", "forward::"],
        ),
    ] {
        let files = below(directory, "rs");
        offences.extend(
            files
                .iter()
                .filter(|file| !file.is_test())
                .flat_map(|file| file.find(&others)),
        );
    }
    none(
        "`control` and `forward` never import each other, `model` neither:",
        &offences,
    );
}

#[test]
fn forward_takes_no_lock_logs_nothing_and_never_panics() {
    let slow = [
        "Mutex",
        "RwLock",
        "tracing",
        "info!",
        "warn!",
        "error!",
        "debug!",
        "println!",
        "eprintln!",
        "format!",
        "to_string()",
        ".unwrap()",
        ".expect(",
        "panic!",
        "unreachable!",
        "assert!",
        "assert_eq!",
    ];
    let mut files = below("datapath/src/forward/", "rs");
    // Tracing a packet for a person writes text, outside the packet path.
    files.retain(|file| !file.path.contains("/trace") && !file.is_test());
    let offences: Vec<_> = files.iter().flat_map(|file| file.find(&slow)).collect();
    none(
        "`forward` takes no lock, formats and logs nothing, and never panics:",
        &offences,
    );
}

/// What forwarding calls outside `forward`. Not `model/stats.rs`, where control registers workers under a lock that workers never take, and
/// not `dpdk/src/ethdev.rs`, where workers that share a transmit queue, as there are more of them than queues, take turns.
const BELOW_FORWARD: &[&str] = &[
    "datapath/src/edge.rs",
    "datapath/src/fragment/",
    "datapath/src/model/",
    "datapath/src/tunnel/",
    "lib/dpdk/src/finish.rs",
    "lib/dpdk/src/host_socket.rs",
    "lib/dpdk/src/landing.rs",
    "lib/dpdk/src/mbuf.rs",
    "lib/dpdk/src/packet_socket.rs",
    "lib/dpdk/src/tap.rs",
    "lib/flow/src/extract.rs",
    "lib/packet/src/",
];

#[test]
fn what_forward_calls_takes_no_lock_and_logs_nothing() {
    let slow = ["Mutex", "RwLock", "tracing::", "println!", "log::"];
    let mut files = Vec::new();
    for place in BELOW_FORWARD {
        let found = below(place, "rs");
        assert!(!found.is_empty(), "{place} is gone: say where it went");
        files.extend(found);
    }
    files.retain(|file| file.path != "datapath/src/model/stats.rs" && !file.is_test());
    let offences: Vec<_> = files.iter().flat_map(|file| file.find(&slow)).collect();
    none("A packet waits for no lock and no log:", &offences);
}

#[test]
fn unsafe_code_stays_in_its_places() {
    let mut offences = Vec::new();
    for file in below("", "rs") {
        let is_allowed = file.path.starts_with("lib/dpdk")
            || UNSAFE.iter().any(|row| file.path.starts_with(row.0));
        if !is_allowed && !file.path.starts_with("tests/house/") {
            offences.extend(file.find(&["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]));
        }
    }
    none(
        "`unsafe` needs a row, with its reason, in this test:",
        &offences,
    );
}
