//! The man page and the completions have every command and option; bash, zsh and fish are asked.

#[path = "../../ofctl/tests/shells/mod.rs"]
mod shells;

use std::process::Command;

fn vsctl(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vsctl"))
        .args(args)
        .output();
    let output = output.expect("it starts");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_page_has_every_command_and_option() {
    let page = vsctl(&["--man"]);
    for line in vsctl(&["--commands"]).lines() {
        let name = line.split(',').nth(1).expect("a name").replace('-', "\\-");
        assert!(page.contains(&format!("\\fB{name}\\fR")), "{line}");
    }
    for line in vsctl(&["--options"]).lines() {
        let name = line
            .split(['=', ' '])
            .next()
            .expect("a name")
            .replace('-', "\\-");
        assert!(page.contains(&format!("\\fB{name}\\fR")), "{line}");
    }
}

/// What bash offers for the last of these words.
fn complete(words: &[&str]) -> Vec<String> {
    let directory = std::env::temp_dir().join(format!("vsctl-completions-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::write(directory.join("br0.mgmt"), "").expect("a file");
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <('{}' --completions=bash); COMP_WORDS=({}); COMP_CWORD={}; _vsctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        env!("CARGO_BIN_EXE_vsctl"),
        quoted.join(" "),
        words.len() - 1
    );
    let mut bash = Command::new("bash");
    let bash = bash
        .args(["--norc", "-c", &script])
        .env("OVS_RUNDIR", &directory);
    let output = bash.output().expect("bash starts");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn bash_completes_commands_options_and_bridges() {
    assert_eq!(complete(&["vsctl", "add-b"]), ["add-br", "add-bond"]);
    assert_eq!(complete(&["vsctl", "--may"]), ["--may-exist"]);
    assert_eq!(
        complete(&["vsctl", "--timeout", "3", "add-port", ""]),
        ["br0"]
    );
    assert_eq!(
        complete(&["vsctl", "add-br", "x", "--", "--if-exists", "del-br", "b"]),
        ["br0"]
    );
    assert_eq!(
        complete(&["vsctl", "set-fail-mode", "br0", "s"]),
        ["standalone", "secure"]
    );
}

#[test]
fn zsh_and_fish_complete_commands_and_options() {
    for (line, words) in [
        ("vsctl del-b", &["del-br"][..]),
        ("vsctl --no-w", &["--no-wait"]),
    ] {
        shells::offers(env!("CARGO_BIN_EXE_vsctl"), "vsctl", line, words);
    }
}
