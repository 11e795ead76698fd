//! Peers that are no switch, or a bad one: `ofctl` says so soon, and exits with an error.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

fn ofctl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ofctl"))
        .args(args)
        .output()
        .unwrap()
}

/// Answers each connection with some bytes, then reads until the peer hangs up.
fn listener(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp:127.0.0.1:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(answer);
            thread::spawn(move || {
                let mut sink = [0; 1024];
                while stream.read(&mut sink).is_ok_and(|n| n > 0) {}
            });
        }
    });
    target
}

#[test]
fn strangers_are_told_apart() {
    const HELLO13: &[u8] = b"\x04\x00\x00\x08\0\0\0\0";
    const ECHO_STORM: &[u8] =
        b"\x01\x00\x00\x08\0\0\0\0\x01\x02\x00\x08\0\0\0\0\x01\x06\x00\x09\0\0\0\x02\0";
    for (answer, args, want) in [
        (&b""[..], &["-t", "1"][..], "no answer in time"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", &["-t", "1"], "ofctl: "),
        (b"\x01\x00\x00\x03\0\0\0\0", &["-t", "1"], "not OpenFlow"),
        (
            b"\x01\x00\x00\x08\0\0\0\0",
            &["-O", "OpenFlow13"],
            "does not speak OpenFlow13",
        ),
        (HELLO13, &["-t", "1"], "no answer in time"),
        (ECHO_STORM, &["-t", "1"], "cannot decode"),
    ] {
        let target = listener(answer);
        let start = Instant::now();
        let output = ofctl(&[args, &["show", &target]].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && errors.contains(want),
            "{want}: {errors}"
        );
        assert!(start.elapsed() < Duration::from_secs(6), "{errors}");
    }
}

#[test]
fn nobody_at_home_fails_at_once() {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_ofctl"))
        .env("OVS_RUNDIR", "/nonexistent-rundir")
        .args(["-vwarn", "--verbose", "show", "br0"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && errors.contains("/nonexistent-rundir/br0.mgmt"),
        "{errors}"
    );
    assert!(errors.contains("switchd"), "{errors}");
    assert!(start.elapsed() < Duration::from_secs(1));
}
