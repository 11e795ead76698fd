//! The program's description, for its man page and completions.

use crate::command::{COMMANDS, Command};
use crate::options::Options;
use ::manual::{Program, completions, flags, page};
use clap::CommandFactory;

/// What `--man` and `--completions` print; `None`: neither is given.
pub(crate) fn text(options: &Options) -> Option<String> {
    match &options.completions {
        Some(shell) => completions(&program(), shell),
        None => options.man.then(|| page(&program())),
    }
}

fn described(command: &Command) -> ::manual::Command {
    ::manual::Command {
        name: command.name,
        arguments: command.arguments,
        options: &[],
        doc: command.help,
    }
}

fn program() -> Program {
    Program {
        name: "ofctl",
        about: "drives an OpenFlow switch",
        usage: "[OPTION]... COMMAND [ARGUMENT]...",
        options: flags(Options::command()),
        commands: COMMANDS.iter().map(described).collect(),
        notes: vec![
            (
                "SWITCHES",
                "A SWITCH is a bridge of this machine by its name, a socket by its path, or tcp:HOST[:PORT], ssl:HOST[:PORT] or unix:PATH. \
                 A BRIDGE is a bridge of this machine."
                    .to_owned(),
            ),
            (
                "ENVIRONMENT",
                "OVS_RUNDIR: the directory of the bridges' sockets, /var/run/openvswitch by default.".to_owned(),
            ),
            (
                "SEE ALSO",
                "vsctl(8), switchd(8). Flows are those of ovs-ofctl(8), ovs-fields(7) and ovs-actions(7).".to_owned(),
            ),
        ],
    }
}
