//! What zsh and fish offer for a line, by a program's completions; and that these load without complaint.

use std::path::Path;
use std::process::Command;

/// Runs a session of zsh in a terminal of its own: its completion system tells what it adds to the list.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PROMPT=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u; LISTMAX=9999"
zpty -w inner 'compadd() { if [[ " $* " == *" "-[OAD]" "* ]]; then builtin compadd "$@"; return; fi
    local -a hits; builtin compadd -A hits "$@"; (( $#hits )) && print -rl -- "" HIT:${^hits}; builtin compadd "$@" }; print $((6*7))ready'
zpty -r inner out '*42ready*'
zpty -w -n inner "$2"$'\t\025print $((6*7))done\n'
zpty -r inner out '*42done*'
print -r -- $out
zpty -d inner
"#;

/// What a shell says; `None` if it is not installed.
fn said(shell: &str, args: &[&str], directory: &Path) -> Option<String> {
    let output = Command::new(shell)
        .args(args)
        .current_dir(directory)
        .env("OVS_RUNDIR", directory.join("run"))
        .output();
    let Ok(output) = output else {
        eprintln!("{shell} is not installed: not asked");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{shell} {args:?}: {errors}"
    );
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks both shells what they offer for `line`: these words must be among it, and nothing else that begins with `-` or
/// is a command of the program.
pub fn offers(program: &str, name: &str, line: &str, words: &[&str]) {
    let directory = std::env::temp_dir().join(format!("{name}-shells-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("run")).unwrap();
    for bridge in ["br0", "lan"] {
        std::fs::write(directory.join("run").join(format!("{bridge}.mgmt")), "").unwrap();
    }
    for (shell, file) in [
        ("zsh", format!("_{name}")),
        ("fish", format!("{name}.fish")),
    ] {
        let text = Command::new(program)
            .arg(format!("--completions={shell}"))
            .output()
            .unwrap();
        std::fs::write(directory.join(file), text.stdout).unwrap();
    }
    let here = directory.to_str().unwrap();
    let zsh = || {
        said("zsh", &["-f", "-c", ZSH, "zsh", here, line], &directory).map(|text| {
            let hits = text.lines().filter_map(|line| line.split("HIT:").nth(1));
            hits.map(|hit| hit.trim().to_owned()).collect::<Vec<_>>()
        })
    };
    // What is typed while its editor takes the terminal over may be lost: then it says nothing at all.
    let zsh = (0..10)
        .map(|_| zsh())
        .find(|hits| hits.as_ref().is_none_or(|hits| !hits.is_empty()))
        .unwrap_or(Some(Vec::new()));
    let ask = format!("source {name}.fish; complete -C '{line}'");
    let fish = said("fish", &["--no-config", "-c", &ask], &directory).map(|text| {
        let hits = text.lines().filter_map(|line| line.split('\t').next());
        hits.map(str::to_owned).collect::<Vec<_>>()
    });
    for (shell, offered) in [("zsh", zsh), ("fish", fish)] {
        // Files of the directory are offered as well.
        let mut offered = match offered {
            Some(offered) => offered,
            None => continue,
        };
        offered.retain(|word| !word.contains(name) && !word.starts_with("run"));
        offered.sort();
        offered.dedup();
        assert_eq!(offered, words, "{shell}: {line}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
