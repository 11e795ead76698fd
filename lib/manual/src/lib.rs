//! Man pages and shell completions, made from a program's description: its options and its table of commands.
//! `ofctl`, `vsctl` and `switchd` print them for `--man` and `--completions=SHELL`. It reads and writes nothing.

mod page;
mod shell;

pub use page::page;
pub use shell::{SHELLS, completions};

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    /// What is typed.
    pub name: &'static str,
    /// What it is, without a full stop.
    pub about: &'static str,
    /// What follows the name.
    pub usage: &'static str,
    /// Options before the command.
    pub options: Vec<Flag>,
    /// Commands; empty: it has none.
    pub commands: Vec<Command>,
    /// Further sections of the page: heading and text.
    pub notes: Vec<(&'static str, String)>,
}

/// An option.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Its name without dashes.
    pub long: String,
    /// Its letter.
    pub short: Option<char>,
    /// Whether a value follows.
    pub value: Value,
    /// What it does.
    pub doc: String,
}

/// Whether an option has a value, and what that is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Never.
    No,
    /// With `=` only.
    Maybe(String),
    /// Always.
    Yes(String),
}

/// A command.
#[derive(Clone, Debug)]
pub struct Command {
    /// What is typed.
    pub name: &'static str,
    /// Its arguments, as the user reads them. SWITCH and BRIDGE stand for a bridge, `a|b` for words.
    pub arguments: &'static str,
    /// Its own options, with dashes; those that take a value end with `=`.
    pub options: &'static [&'static str],
    /// What it does.
    pub doc: &'static str,
}

/// The options of a program that clap reads, but for those that are hidden.
pub fn flags(mut command: clap::Command) -> Vec<Flag> {
    command.build();
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let flag = |arg: &clap::Arg| {
        let name = arg.get_value_names().and_then(|names| names.first());
        let name = name.map(ToString::to_string).unwrap_or_default();
        let value = match arg.get_num_args() {
            Some(number) if !number.takes_values() => Value::No,
            Some(number) if number.min_values() == 0 => Value::Maybe(name),
            _ => Value::Yes(name),
        };
        Some(Flag {
            long: arg.get_long()?.to_owned(),
            short: arg.get_short(),
            value,
            doc: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        })
    };
    shown.filter_map(flag).collect()
}
