//! Completions for shells: commands, options, and bridges by the sockets in the run-time directory.

use crate::{Flag, Program, Value};
use std::fmt::Write;

/// The shells.
pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The completions for a shell; `None`: there are none for it.
pub fn completions(program: &Program, shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash(program)),
        "zsh" => Some(zsh(program)),
        "fish" => Some(fish(program)),
        _ => None,
    }
}

/// Where bridges have their sockets, `BRIDGE.mgmt`.
const RUNDIR: &str = "${OVS_RUNDIR:-/var/run/openvswitch}";

/// What an argument can be.
enum Kind {
    Bridge,
    Words(String),
    Other,
}

fn kind(argument: &str) -> Kind {
    let word = argument.trim_matches(['[', ']', '.']);
    let is_literal = |c: char| c.is_ascii_lowercase() || c == '|' || c == '-';
    match word {
        "SWITCH" | "BRIDGE" | "PARENT" => Kind::Bridge,
        _ if word.contains('|') && word.chars().all(is_literal) => {
            Kind::Words(word.replace('|', " "))
        }
        _ => Kind::Other,
    }
}

fn with_dashes(flag: &Flag) -> Vec<String> {
    let long = format!("--{}", flag.long);
    let short = flag.short.map(|letter| format!("-{letter}"));
    short.into_iter().chain([long]).collect()
}

/// Options of the program and of its commands.
fn all_options(program: &Program) -> Vec<String> {
    let mut options: Vec<_> = program.options.iter().flat_map(with_dashes).collect();
    let own = program.commands.iter().flat_map(|command| command.options);
    options.extend(own.map(|option| option.to_string()));
    options.sort();
    options.dedup();
    options
}

fn bash(program: &Program) -> String {
    let name = program.name;
    let commands: Vec<_> = program
        .commands
        .iter()
        .map(|command| command.name)
        .collect();
    let valued = program
        .options
        .iter()
        .filter(|flag| matches!(flag.value, Value::Yes(_)));
    let valued: Vec<_> = valued.flat_map(with_dashes).collect();
    let mut arguments = String::new();
    for command in &program.commands {
        for (place, argument) in command.arguments.split_whitespace().enumerate() {
            let _ = match kind(argument) {
                Kind::Bridge => writeln!(
                    arguments,
                    "        {}:{place}) words=$bridges ;;",
                    command.name
                ),
                Kind::Words(words) => writeln!(
                    arguments,
                    "        {}:{place}) words='{words}' ;;",
                    command.name
                ),
                Kind::Other => Ok(()),
            };
        }
    }
    format!(
        r#"# bash completion of {name}: source it, or put it into /usr/share/bash-completion/completions.
_{name}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words='' bridges='' command='' place=-1 i
    for i in "{RUNDIR}"/*.mgmt; do
        [[ -e $i ]] && i=${{i##*/}} && bridges+=" ${{i%.mgmt}}"
    done
    # The command, and which of its arguments this is.
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
        --) command='' place=-1 ;;
        =) ((i++)) ;;
        {valued}) [[ ${{COMP_WORDS[i + 1]}} == = ]] || ((i++)) ;;
        -?*) ;;
        *) [[ $command ]] || command=${{COMP_WORDS[i]}}; ((place++)) ;;
        esac
    done
    case $command:$place in
        :*) words='{commands}' ;;
{arguments}    esac
    [[ $word == -* ]] && words='{options}'
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o bashdefault -o default -F _{name} {name}
"#,
        valued = valued.join("|"),
        commands = commands.join(" "),
        options = all_options(program).join(" "),
    )
}

/// Text inside single quotes, without what zsh's `_arguments` and `_describe` take for something else.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|c| !"[]`\\".contains(*c)).collect();
    text.replace(':', " -").replace('\'', r"'\''")
}

fn zsh(program: &Program) -> String {
    let name = program.name;
    let mut text = format!("#compdef {name}\n_{name}_argument() {{\n    local -a bridges\n");
    let _ = writeln!(
        text,
        "    bridges=({RUNDIR}/*.mgmt(N:t:r))\n    compadd -a bridges\n    _files\n}}"
    );
    // Not "commands": that is a parameter of the shell's own.
    text += "local -a verbs\nverbs=(\n";
    for command in &program.commands {
        let _ = writeln!(text, "    '{}:{}'", command.name, quoted(command.doc));
    }
    text += ")\n_arguments \\\n";
    for flag in &program.options {
        let value = match &flag.value {
            Value::No => ("", String::new()),
            Value::Maybe(name) => ("=-", format!("::{}:", quoted(name))),
            Value::Yes(name) => ("=", format!(":{}:_files", quoted(name))),
        };
        let _ = writeln!(
            text,
            "    '--{}{}[{}]{}' \\",
            flag.long,
            value.0,
            quoted(&flag.doc),
            value.1
        );
    }
    if !program.commands.is_empty() {
        let _ = writeln!(
            text,
            "    '1:command:{{_describe command verbs}}' '*:argument:_{name}_argument' \\"
        );
    }
    text + "    && return 0\n"
}

fn fish(program: &Program) -> String {
    let name = program.name;
    let quoted = |text: &str| text.replace('\\', "").replace('\'', r"\'");
    let mut text =
        format!("# fish completion of {name}: put it into ~/.config/fish/completions.\n");
    for command in &program.commands {
        let doc = quoted(command.doc);
        let _ = writeln!(
            text,
            "complete -c {name} -n __fish_use_subcommand -a {} -d '{doc}'",
            command.name
        );
    }
    for flag in &program.options {
        let short = flag
            .short
            .map_or(String::new(), |letter| format!(" -s {letter}"));
        let value = if matches!(flag.value, Value::Yes(_)) {
            " -r"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "complete -c {name} -l {}{short}{value} -d '{}'",
            flag.long,
            quoted(&flag.doc)
        );
    }
    if !program.commands.is_empty() {
        let _ = writeln!(
            text,
            "set -q OVS_RUNDIR; and set -l rundir $OVS_RUNDIR; or set -l rundir /var/run/openvswitch\n\
             complete -c {name} -n 'not __fish_use_subcommand' -a \"(path basename $rundir/*.mgmt | path change-extension '')\""
        );
    }
    text
}
