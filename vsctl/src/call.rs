//! The command line as calls: split at `--`, each part with its own options, its command's row of the table and its arguments.

use crate::commands::{COMMANDS, Command};
use crate::error::{Result, fail};
use crate::suggest::hint;

/// One command of the line.
#[derive(Debug)]
pub struct Call<'a> {
    /// Its row of the table.
    pub command: &'static Command,
    /// What follows the name.
    pub args: &'a [String],
    options: Vec<(&'static str, Option<&'a str>)>,
}

impl<'a> Call<'a> {
    /// Splits `args` into calls. At least one.
    pub fn parse_all(args: &'a [String]) -> Result<Vec<Self>> {
        let parts: Vec<_> = args
            .split(|arg| arg == "--")
            .filter(|part| !part.is_empty())
            .collect();
        if parts.is_empty() {
            fail!("missing command name (use --help for help)");
        }
        parts.into_iter().map(Self::parse).collect()
    }

    fn parse(part: &'a [String]) -> Result<Self> {
        let count = part.iter().take_while(|arg| arg.starts_with('-')).count();
        let (options, rest) = part.split_at(count);
        let Some((name, args)) = rest.split_first() else {
            fail!("missing command name (use --help for help)");
        };
        let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
            fail!(
                "unknown command '{name}'; use --help for help{}",
                hint(name, COMMANDS.iter().map(|c| c.name))
            );
        };
        let mut call = Self {
            command,
            args,
            options: Vec::new(),
        };
        for option in options {
            call.add_option(option)?;
        }
        call.check_count()?;
        Ok(call)
    }

    fn add_option(&mut self, text: &'a str) -> Result<()> {
        let (name, value) = text
            .split_once('=')
            .map_or((text, None), |(name, value)| (name, Some(value)));
        let known = self.command.options;
        let bare = |option: &&str| option.trim_end_matches('=') == name;
        let near: Vec<_> = match known.iter().find(|option| bare(option)) {
            Some(option) => vec![option],
            None => known
                .iter()
                .filter(|option| option.starts_with(name) && name.len() > 2)
                .collect(),
        };
        let [option] = near.as_slice() else {
            let names = known.iter().map(|option| option.trim_end_matches('='));
            fail!(
                "'{}' command has no '{name}' option{}",
                self.command.name,
                hint(name, names)
            );
        };
        let name: &'static str = option.trim_end_matches('=');
        match (option.ends_with('='), value) {
            (true, None) => fail!(
                "missing argument to '{name}' option on '{}' command",
                self.command.name
            ),
            (false, Some(_)) => fail!(
                "'{name}' option on '{}' does not accept an argument",
                self.command.name
            ),
            _ if self.has(name) => fail!("'{name}' option specified multiple times"),
            (_, value) => self.options.push((name, value)),
        }
        Ok(())
    }

    fn check_count(&self) -> Result<()> {
        let Command { name, min, max, .. } = self.command;
        let count = self.args.len();
        if count < *min {
            fail!("'{name}' command requires at least {min} arguments");
        }
        if count > *max {
            let note = match self.args.iter().any(|arg| arg.starts_with('-')) {
                true => {
                    " (note that options must precede command names and follow a \"--\" argument)"
                }
                false => "",
            };
            fail!("'{name}' command takes at most {max} arguments{note}");
        }
        Ok(())
    }

    /// Whether an option is there.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == option)
    }

    /// The value of an option.
    pub fn value(&self, option: &str) -> Option<&'a str> {
        self.options.iter().find(|(name, _)| *name == option)?.1
    }

    /// An argument, counted from 0. The table's `min` says which are there.
    pub fn arg(&self, index: usize) -> &'a str {
        self.args.get(index).map_or("", String::as_str)
    }

    /// The call as it was typed, options first.
    pub fn typed(&self) -> String {
        let options = self.options.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => (*name).to_owned(),
        });
        let words: Vec<_> = options
            .chain([self.command.name.to_owned()])
            .chain(self.args.iter().cloned())
            .collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::options::Options;

    fn typed(line: &str) -> std::result::Result<Vec<String>, String> {
        let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
        Call::parse_all(&args)
            .map(|calls| calls.iter().map(Call::typed).collect())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn lines_split_into_calls() {
        assert_eq!(
            typed("-- --may-exist add-br br0 -- --id=@x create QoS type=a --").unwrap(),
            ["--may-exist add-br br0", "--id=@x create QoS type=a"]
        );
        assert_eq!(
            typed("--may add-br br0").unwrap(),
            ["--may-exist add-br br0"]
        );
    }

    #[test]
    fn errors_name_the_word() {
        for (line, want) in [
            ("frob", "unknown command 'frob'; use --help for help"),
            (
                "lst-br",
                "unknown command 'lst-br'; use --help for help (did you mean list-br?)",
            ),
            ("--", "missing command name (use --help for help)"),
            (
                "list-br -- --may-exist",
                "missing command name (use --help for help)",
            ),
            ("add-br", "'add-br' command requires at least 1 arguments"),
            ("list-br x", "'list-br' command takes at most 0 arguments"),
            (
                "--may-exist list-br",
                "'list-br' command has no '--may-exist' option",
            ),
            (
                "--may-exits add-br b",
                "'add-br' command has no '--may-exits' option (did you mean --may-exist?)",
            ),
            (
                "--id get Bridge b",
                "missing argument to '--id' option on 'get' command",
            ),
            (
                "--if-exists=1 del-br b",
                "'--if-exists' option on 'del-br' does not accept an argument",
            ),
            (
                "--if-exists --if-exists del-br b",
                "'--if-exists' option specified multiple times",
            ),
        ] {
            assert_eq!(typed(line).unwrap_err(), want);
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(args in proptest::collection::vec("(-|--|-t|-f|--id|--db|add-br|set|[a-z=é-]{0,4}){0,2}", 0..5)) {
            if let Ok((_, rest)) = Options::parse(&args, None) {
                let _ = Call::parse_all(rest);
            }
        }
    }
}
