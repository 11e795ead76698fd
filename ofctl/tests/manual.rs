//! The man page and the completions have every command and option; bash, zsh and fish are asked.

mod shells;

use std::process::Command;

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .output()
        .expect("it starts");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn ofctl(args: &[&str]) -> String {
    output(env!("CARGO_BIN_EXE_ofctl"), args)
}

/// Commands, and long options as the help has them.
fn names() -> (Vec<String>, Vec<String>) {
    let commands = ofctl(&["list-commands"]);
    let commands = commands.lines().filter_map(|line| {
        line.split_whitespace()
            .nth(usize::from(line.starts_with("ofctl")))
    });
    let help = ofctl(&["--help"]);
    let long = |line: &str| {
        line.trim()
            .split([' ', '=', '[', '.'])
            .find(|word| word.starts_with("--"))
            .map(str::to_owned)
    };
    let options = help
        .lines()
        .filter(|line| line.trim().starts_with('-'))
        .filter_map(long);
    (commands.map(str::to_owned).collect(), options.collect())
}

#[test]
fn the_page_has_every_command_and_option_and_roff_takes_it() {
    let page = ofctl(&["--man"]);
    let (commands, options) = names();
    assert!(
        commands.len() > 60 && options.len() > 30,
        "{commands:?} {options:?}"
    );
    for name in commands.iter().chain(&options) {
        assert!(
            page.contains(&format!("\\fB{}", name.replace('-', "\\-")))
                || page.contains(&format!(", \\fB{}", name.replace('-', "\\-"))),
            "{name}"
        );
    }
    let file = std::env::temp_dir().join(format!("ofctl-{}.8", std::process::id()));
    std::fs::write(&file, page).expect("a file");
    let path = file.to_str().expect("a path");
    let mut man = Command::new("man");
    let man = man.args(["--warnings", "-P", "cat", "-l", path]).output();
    std::fs::remove_file(&file).expect("it is there");
    // Where there is no man, there is nothing to ask.
    if let Ok(man) = man {
        assert!(
            man.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&man.stderr)
        );
        assert!(String::from_utf8_lossy(&man.stdout).contains("dump-flows SWITCH [FLOW]"));
    }
}

/// What bash offers for the last of these words.
fn complete(words: &[&str]) -> Vec<String> {
    let directory = std::env::temp_dir().join(format!("ofctl-completions-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    for bridge in ["br0", "lan"] {
        std::fs::write(directory.join(format!("{bridge}.mgmt")), "").expect("a file");
    }
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <('{}' --completions bash); COMP_WORDS=({}); COMP_CWORD={}; _ofctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        env!("CARGO_BIN_EXE_ofctl"),
        quoted.join(" "),
        words.len() - 1
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &script])
        .env("OVS_RUNDIR", &directory)
        .output();
    let output = output.expect("bash starts");
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
    assert_eq!(complete(&["ofctl", "dump-flows"]), ["dump-flows"]);
    assert_eq!(complete(&["ofctl", "--bun"]), ["--bundle"]);
    assert_eq!(complete(&["ofctl", "dump-flows", ""]), ["br0", "lan"]);
    assert_eq!(
        complete(&["ofctl", "-O", "OpenFlow13", "add-flow", "l"]),
        ["lan"]
    );
    assert_eq!(
        complete(&[
            "ofctl",
            "--protocols",
            "=",
            "OpenFlow13",
            "--color",
            "=",
            "always",
            "show",
            "b"
        ]),
        ["br0"]
    );
    assert_eq!(complete(&["ofctl", "watch", "br0", "p"]), ["ports"]);
    assert_eq!(
        complete(&["ofctl", "dump-flows", "br0", ""]),
        Vec::<String>::new()
    );
    let (commands, options) = names();
    assert_eq!(complete(&["ofctl", ""]).len(), commands.len());
    let offered = complete(&["ofctl", "-"]);
    for option in options {
        assert!(offered.contains(&option), "{option}");
    }
}

#[test]
fn zsh_and_fish_complete_commands_options_and_bridges() {
    for (line, words) in [
        ("ofctl dump-fl", &["dump-flow-counts", "dump-flows"][..]),
        ("ofctl dump-flows ", &["br0", "lan"]),
        ("ofctl --bun", &["--bundle"]),
        ("ofctl -O OpenFlow13 add-flow l", &["lan"]),
    ] {
        shells::offers(env!("CARGO_BIN_EXE_ofctl"), "ofctl", line, words);
    }
}
