//! The options before the first command: one table, read as `getopt_long` reads them
//! (`--opt=X`, `--opt X`, `-oX`, unique abbreviations), because scripts for the stock tool do all of that.

use std::str::FromStr;
use std::time::Duration;

use ovsdb::client::Target;

use crate::commands::COMMANDS;
use crate::error::{Result, fail};
use crate::output::{DataFormat, Style, TableFormat};
use crate::suggest::hint;

/// What the options say.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database server.
    pub db: Target,
    /// For a server that is reached by TLS.
    pub tls: tls::Options,
    /// Wait for the switch to apply the change.
    pub wait: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// Try again and again to connect.
    pub retry: bool,
    /// The most that the run may take.
    pub timeout: Option<Duration>,
    /// How output looks.
    pub style: Style,
    /// Print this instead of doing anything.
    pub print: Option<Print>,
}

/// Texts about the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Print {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `--commands`
    Commands,
    /// `--options`
    Options,
    /// `--man`
    Man,
    /// `--completions`, for bash, zsh and fish.
    Completions(&'static str),
}

/// One option.
pub struct Flag {
    /// Its name without dashes.
    pub long: &'static str,
    /// Its letter.
    pub short: Option<char>,
    /// Whether a value follows, and what it is called in the help.
    pub value: Value,
    /// What it does.
    pub apply: fn(&mut Options, &str) -> Result<()>,
    /// What the help says; `""` for those that are accepted only so that existing scripts run.
    pub doc: &'static str,
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Never.
    No,
    /// With `=` only.
    Maybe(&'static str),
    /// Always.
    Yes(&'static str),
}

fn ignore(_: &mut Options, _: &str) -> Result<()> {
    Ok(())
}

const fn flag(
    long: &'static str,
    short: Option<char>,
    value: Value,
    apply: fn(&mut Options, &str) -> Result<()>,
    doc: &'static str,
) -> Flag {
    Flag {
        long,
        short,
        value,
        apply,
        doc,
    }
}

/// All options.
pub const FLAGS: &[Flag] = &[
    flag(
        "db",
        None,
        Value::Yes("ADDRESS"),
        |o, v| {
            o.db = v.parse()?;
            Ok(())
        },
        "use the database at ADDRESS",
    ),
    flag(
        "no-wait",
        None,
        Value::No,
        |o, _| {
            o.wait = false;
            Ok(())
        },
        "do not wait until the switch has applied the change",
    ),
    flag(
        "dry-run",
        None,
        Value::No,
        |o, _| {
            o.dry_run = true;
            Ok(())
        },
        "change nothing",
    ),
    flag(
        "oneline",
        None,
        Value::No,
        |o, _| {
            o.style.oneline = true;
            Ok(())
        },
        "print the output of each command on one line",
    ),
    flag(
        "timeout",
        Some('t'),
        Value::Yes("SECS"),
        set_timeout,
        "give up after SECS seconds ($OVS_CTL_TIMEOUT)",
    ),
    flag(
        "retry",
        None,
        Value::No,
        |o, _| {
            o.retry = true;
            Ok(())
        },
        "keep trying to connect",
    ),
    flag(
        "private-key",
        Some('p'),
        Value::Yes("FILE"),
        |o, v| {
            o.tls.private_key = Some(v.into());
            Ok(())
        },
        "our private key, for ssl:",
    ),
    flag(
        "certificate",
        Some('c'),
        Value::Yes("FILE"),
        |o, v| {
            o.tls.certificate = Some(v.into());
            Ok(())
        },
        "our certificate, for ssl:",
    ),
    flag(
        "ca-cert",
        Some('C'),
        Value::Yes("FILE"),
        |o, v| {
            o.tls.ca_cert = Some(v.into());
            Ok(())
        },
        "the certificate of the CA that signed the server's, for ssl:",
    ),
    flag(
        "bootstrap-ca-cert",
        None,
        Value::Yes("FILE"),
        |o, v| {
            o.tls.bootstrap_ca_cert = Some(v.into());
            Ok(())
        },
        "as --ca-cert; if there is no such file, trust the server's CA and store it there",
    ),
    flag(
        "format",
        Some('f'),
        Value::Yes("FORMAT"),
        |o, v| {
            o.style.table = word(TableFormat::WORDS, v, "output")?;
            Ok(())
        },
        "print tables as table, list, html, csv or json",
    ),
    flag(
        "data",
        Some('d'),
        Value::Yes("FORMAT"),
        |o, v| {
            o.style.data = word(DataFormat::WORDS, v, "data")?;
            Ok(())
        },
        "print values as string, bare or json",
    ),
    flag(
        "no-headings",
        None,
        Value::No,
        no_headings,
        "print tables without their headings",
    ),
    flag("no-heading", None, Value::No, no_headings, ""),
    flag(
        "pretty",
        None,
        Value::No,
        |o, _| {
            o.style.pretty = true;
            Ok(())
        },
        "print JSON on many lines",
    ),
    flag(
        "bare",
        None,
        Value::No,
        bare,
        "same as --format=list --data=bare --no-headings",
    ),
    flag(
        "max-column-width",
        None,
        Value::Yes("N"),
        max_width,
        "cut the columns of tables at N characters",
    ),
    flag(
        "json",
        None,
        Value::No,
        |o, _| {
            o.style.json = true;
            Ok(())
        },
        "print one JSON value per command",
    ),
    flag(
        "verbose",
        Some('v'),
        Value::Maybe("SPEC"),
        ignore,
        "accepted, there is nothing to log",
    ),
    flag(
        "no-syslog",
        None,
        Value::No,
        ignore,
        "accepted, nothing goes to syslog",
    ),
    flag("log-file", None, Value::Maybe("FILE"), ignore, ""),
    flag("syslog-method", None, Value::Yes("METHOD"), ignore, ""),
    flag("syslog-target", None, Value::Yes("TARGET"), ignore, ""),
    flag("leader-only", None, Value::No, ignore, ""),
    flag("no-leader-only", None, Value::No, ignore, ""),
    flag("shuffle-remotes", None, Value::No, ignore, ""),
    flag("no-shuffle-remotes", None, Value::No, ignore, ""),
    flag(
        "commands",
        None,
        Value::No,
        |o, _| {
            o.print = Some(Print::Commands);
            Ok(())
        },
        "print the syntax of all commands",
    ),
    flag(
        "options",
        None,
        Value::No,
        |o, _| {
            o.print = Some(Print::Options);
            Ok(())
        },
        "print all options",
    ),
    flag(
        "man",
        None,
        Value::No,
        |o, _| {
            o.print = Some(Print::Man);
            Ok(())
        },
        "print the man page",
    ),
    flag(
        "completions",
        None,
        Value::Yes("SHELL"),
        |o, v| {
            let Some(shell) = manual::SHELLS.into_iter().find(|shell| *shell == v) else {
                fail!("--completions: \"{v}\" is not bash, zsh or fish");
            };
            o.print = Some(Print::Completions(shell));
            Ok(())
        },
        "print the completions for a shell: bash, zsh or fish",
    ),
    flag(
        "help",
        Some('h'),
        Value::No,
        |o, _| {
            o.print = Some(Print::Help);
            Ok(())
        },
        "print this",
    ),
    flag(
        "version",
        Some('V'),
        Value::No,
        |o, _| {
            o.print = Some(Print::Version);
            Ok(())
        },
        "print the version",
    ),
];

fn set_timeout(options: &mut Options, text: &str) -> Result<()> {
    match text.parse() {
        Ok(secs @ 1_u32..) => options.timeout = Some(Duration::from_secs(secs.into())),
        _ => fail!("value {text} on -t or --timeout is invalid"),
    }
    Ok(())
}

fn no_headings(options: &mut Options, _: &str) -> Result<()> {
    options.style.headings = false;
    Ok(())
}

fn bare(options: &mut Options, _: &str) -> Result<()> {
    options.style.table = TableFormat::List;
    options.style.data = DataFormat::Bare;
    no_headings(options, "")
}

fn max_width(options: &mut Options, text: &str) -> Result<()> {
    match usize::from_str(text) {
        Ok(width @ 1..) => options.style.max_width = Some(width),
        _ => fail!("value {text} on --max-column-width is invalid"),
    }
    Ok(())
}

fn word<T: Copy>(words: &[(&str, T)], text: &str, what: &str) -> Result<T> {
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => fail!(
            "unknown {what} format \"{text}\"{}",
            hint(text, words.iter().map(|(word, _)| *word))
        ),
    }
}

impl Options {
    /// What holds if nothing is said; `timeout_env` is the value of `OVS_CTL_TIMEOUT`.
    fn new(timeout_env: Option<&str>) -> Result<Self> {
        let mut options = Self {
            db: Target::default(),
            tls: tls::Options::default(),
            wait: true,
            dry_run: false,
            retry: false,
            timeout: None,
            style: Style::default(),
            print: None,
        };
        match timeout_env {
            Some(text) if text.parse() != Ok(0_u32) => set_timeout(&mut options, text)?,
            _ => {}
        }
        Ok(options)
    }

    /// Takes the options off the front of `args`; what is left begins with the first command's own options, with its name or with `--`.
    pub fn parse<'a>(
        mut args: &'a [String],
        timeout_env: Option<&str>,
    ) -> Result<(Self, &'a [String])> {
        let mut options = Self::new(timeout_env)?;
        while let Some((arg, rest)) = args.split_first() {
            let used = if let Some(long) = arg.strip_prefix("--").filter(|long| !long.is_empty()) {
                options.long(long, rest)?
            } else if let Some(letters) = arg
                .strip_prefix('-')
                .filter(|letters| !letters.is_empty() && *letters != "-")
            {
                Some(options.letters(letters, rest)?)
            } else {
                None
            };
            match used {
                Some(used) => args = &rest[used..],
                None => break,
            }
        }
        Ok((options, args))
    }

    /// One `--option`; the number of further arguments that it took, or `None` if it belongs to a command.
    fn long(&mut self, text: &str, rest: &[String]) -> Result<Option<usize>> {
        let (name, given) = text
            .split_once('=')
            .map_or((text, None), |(name, value)| (name, Some(value)));
        let Some(flag) = find_flag(name)? else {
            return Ok(None);
        };
        match (flag.value, given, rest.first()) {
            (Value::No, Some(_), _) => fail!("option '--{}' doesn't allow an argument", flag.long),
            (Value::Yes(_), None, None) => fail!("option '--{}' requires an argument", flag.long),
            (Value::Yes(_), None, Some(next)) => (flag.apply)(self, next).map(|()| Some(1)),
            (_, given, _) => (flag.apply)(self, given.unwrap_or("")).map(|()| Some(0)),
        }
    }

    /// `-abc`; the number of further arguments that it took.
    fn letters(&mut self, letters: &str, rest: &[String]) -> Result<usize> {
        for (at, letter) in letters.char_indices() {
            let Some(flag) = FLAGS.iter().find(|flag| flag.short == Some(letter)) else {
                fail!("invalid option -- '{letter}'");
            };
            let value = &letters[at + letter.len_utf8()..];
            match (flag.value, value, rest.first()) {
                (Value::No, _, _) => (flag.apply)(self, "")?,
                (Value::Yes(_), "", None) => fail!("option requires an argument -- '{letter}'"),
                (Value::Yes(_), "", Some(next)) => return (flag.apply)(self, next).map(|()| 1),
                (_, value, _) => return (flag.apply)(self, value).map(|()| 0),
            }
        }
        Ok(0)
    }
}

/// The option that `name` is or abbreviates; `None` if it is (or abbreviates) an option of some command.
fn find_flag(name: &str) -> Result<Option<&'static Flag>> {
    if let Some(flag) = FLAGS.iter().find(|flag| flag.long == name) {
        return Ok(Some(flag));
    }
    let of_commands = || {
        COMMANDS
            .iter()
            .flat_map(|command| command.options)
            .map(|o| o.trim_matches(['-', '=']))
    };
    if of_commands().any(|option| option == name) {
        return Ok(None);
    }
    let near: Vec<_> = FLAGS
        .iter()
        .filter(|flag| flag.long.starts_with(name))
        .collect();
    match near.as_slice() {
        [flag] => Ok(Some(flag)),
        [] if of_commands().any(|option| option.starts_with(name)) => Ok(None),
        [] => {
            let known = FLAGS.iter().map(|flag| flag.long).chain(of_commands());
            fail!("unrecognized option '--{name}'{}", hint(name, known))
        }
        _ => {
            let near: Vec<_> = near
                .iter()
                .map(|flag| format!("'--{}'", flag.long))
                .collect();
            fail!(
                "option '--{name}' is ambiguous; possibilities: {}",
                near.join(" ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> std::result::Result<(Options, Vec<String>), String> {
        let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
        Options::parse(&args, None)
            .map(|(o, rest)| (o, rest.to_vec()))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn options_end_where_the_command_begins() {
        for line in [
            "--no-wait -t5 --db=unix:/x list-br",
            "--no-w -t 5 --db unix:/x list-br",
            "--timeout=5 --no-wait --db=unix:/x list-br",
        ] {
            let (options, rest) = parse(line).unwrap();
            assert_eq!(
                (options.wait, options.timeout),
                (false, Some(Duration::from_secs(5))),
                "{line}"
            );
            assert_eq!(options.db.to_string(), "unix:/x");
            assert_eq!(rest, ["list-br"]);
        }
        assert_eq!(parse("--may-exist add-br br0").unwrap().1[0], "--may-exist");
        assert_eq!(parse("--oneline -- list-br").unwrap().1[0], "--");
    }

    #[test]
    fn errors_name_the_option() {
        let error = |line| parse(line).unwrap_err();
        assert_eq!(error("--bogus"), "unrecognized option '--bogus'");
        assert_eq!(
            error("--onelin3 x"),
            "unrecognized option '--onelin3' (did you mean oneline?)"
        );
        assert_eq!(error("-t"), "option requires an argument -- 't'");
        assert_eq!(
            error("-t x list-br"),
            "value x on -t or --timeout is invalid"
        );
        assert_eq!(
            error("--oneline=x"),
            "option '--oneline' doesn't allow an argument"
        );
        assert_eq!(error("-X"), "invalid option -- 'X'");
        assert_eq!(
            error("-f jsn x"),
            "unknown output format \"jsn\" (did you mean json?)"
        );
        assert!(error("--no x").contains("ambiguous"));
    }

    #[test]
    fn the_environment_sets_a_timeout() {
        let args = ["list-br".to_owned()];
        assert_eq!(
            Options::parse(&args, Some("7")).unwrap().0.timeout,
            Some(Duration::from_secs(7))
        );
        assert_eq!(Options::parse(&args, Some("0")).unwrap().0.timeout, None);
        assert!(Options::parse(&args, Some("x")).is_err());
    }
}
