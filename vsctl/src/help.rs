//! The texts about the program, made from its tables.

use crate::commands::{COMMANDS, Command, Family};
use crate::lookup::{HANDLES, Handle};
use crate::options::{FLAGS, Print, Value};

/// The text that an option asks for.
pub fn text(print: Print) -> String {
    match print {
        Print::Help => help(),
        Print::Version => format!("vsctl (Tsunagi) {}\n", env!("CARGO_PKG_VERSION")),
        Print::Commands => COMMANDS
            .iter()
            .map(|c| format!("{},{},{}\n", brackets(c), c.name, c.args))
            .collect(),
        Print::Man => manual::page(&program()),
        Print::Completions(shell) => manual::completions(&program(), shell).unwrap_or_default(),
        Print::Options => FLAGS.iter().map(option_lines).collect(),
    }
}

/// The program, for its man page and completions.
fn program() -> manual::Program {
    let flag = |flag: &crate::options::Flag| manual::Flag {
        long: flag.long.to_owned(),
        short: flag.short,
        value: match flag.value {
            Value::No => manual::Value::No,
            Value::Maybe(name) => manual::Value::Maybe(name.to_owned()),
            Value::Yes(name) => manual::Value::Yes(name.to_owned()),
        },
        doc: match flag.doc {
            "" => "accepted, so that existing scripts run".to_owned(),
            doc => doc.to_owned(),
        },
    };
    let command = |command: &Command| manual::Command {
        name: command.name,
        arguments: command.args,
        options: command.options,
        doc: command.doc,
    };
    manual::Program {
        name: "vsctl",
        about: "configures the switch through its database",
        usage: "[OPTION]... [--] [OPTION]... COMMAND [ARGUMENT]... [-- [OPTION]... COMMAND [ARGUMENT]...]...",
        options: FLAGS.iter().map(flag).collect(),
        commands: COMMANDS.iter().map(command).collect(),
        notes: vec![
            ("TRANSACTIONS", "All commands of a line are one transaction: all of them happen, or none.".to_owned()),
            (
                "EXIT STATUS",
                "0: done. 1: refused, nothing is changed. 2: br-exists says no. 65: stored and applied, but a port or listener does not work."
                    .to_owned(),
            ),
            ("SEE ALSO", "switchd(8), ofctl(8). The database is that of ovs-vswitchd.conf.db(5).".to_owned()),
        ],
    }
}

fn brackets(command: &Command) -> String {
    command
        .options
        .iter()
        .map(|option| format!("[{option}] "))
        .collect()
}

/// What stands for the values of the commands' options.
const VALUES: [(&str, &str); 3] = [
    ("--columns=", "COLUMN[,COLUMN]..."),
    ("--id=", "@NAME"),
    ("--inactivity-probe=", "MSECS"),
];

fn with_values(options: &str) -> String {
    VALUES
        .iter()
        .fold(options.to_owned(), |text, (option, value)| {
            text.replace(option, &format!("{option}{value}"))
        })
}

fn option_lines(flag: &crate::options::Flag) -> String {
    let (long, short) = match flag.value {
        Value::No => (String::new(), String::new()),
        Value::Yes(name) | Value::Maybe(name) => (format!("={name}"), format!(" {name}")),
    };
    let short = flag
        .short
        .map_or(String::new(), |letter| format!("-{letter}{short}\n"));
    format!("--{}{long}\n{short}", flag.long)
}

fn help() -> String {
    let mut text = String::from(
        "vsctl: configures the switch through its database\n\
         usage: vsctl [OPTION]... [--] [OPTION]... COMMAND [ARG]... [-- [OPTION]... COMMAND [ARG]...]...\n\
         All commands of a line are one transaction: all of them happen, or none.\n",
    );
    for (family, heading) in Family::HEADINGS {
        text += &format!("\n{heading}:\n");
        for command in COMMANDS.iter().filter(|command| command.family == *family) {
            let options = with_values(&brackets(command));
            let usage = format!("{options}{} {}", command.name, command.args);
            text += &entry(usage.trim_end(), command.doc);
        }
    }
    text += "\nOptions:\n";
    for flag in FLAGS.iter().filter(|flag| !flag.doc.is_empty()) {
        let short = flag
            .short
            .map_or(String::new(), |letter| format!("-{letter}, "));
        let value = match flag.value {
            Value::No => String::new(),
            Value::Yes(name) => format!("={name}"),
            Value::Maybe(name) => format!("[={name}]"),
        };
        text += &entry(&format!("{short}--{}{value}", flag.long), flag.doc);
    }
    text += "\nRecords go by UUID (4 hex digits or more of it), by @NAME, and:\n";
    for (table, handle) in HANDLES {
        text += &match handle {
            Handle::Only => entry(table, "as \".\""),
            Handle::Column(column) => entry(table, &format!("by {column}")),
            Handle::Via(from, column) => entry(
                table,
                &format!("by the name of the {from} whose {column} it is"),
            ),
        };
    }
    text
}

/// Two columns; a long left one pushes the right one to the next line.
fn entry(left: &str, right: &str) -> String {
    match left.len() {
        0..30 => format!("  {left:30}{right}\n"),
        _ => format!("  {left}\n  {:30}{right}\n", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_the_texts() {
        let (help, commands, options) = (
            text(Print::Help),
            text(Print::Commands),
            text(Print::Options),
        );
        for command in COMMANDS {
            assert!(help.contains(command.doc), "{}", command.name);
            assert!(commands.contains(&format!(",{},{}\n", command.name, command.args)));
        }
        for flag in FLAGS {
            assert!(help.contains(flag.doc) && options.contains(&format!("--{}", flag.long)));
        }
        assert!(text(Print::Version).starts_with("vsctl "));
    }
}
