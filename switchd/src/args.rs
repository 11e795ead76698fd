//! The command line.

use clap::{CommandFactory, Parser};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
It stays in the foreground and logs to standard error; SIGTERM or `ovs-appctl
exit` ends it. Its process id is in RUNDIR/ovs-vswitchd.pid. The database server
is part of it: there is no ovsdb-server to start. Then:
  vsctl add-br br0; vsctl show; ofctl dump-flows br0";

/// An OpenFlow switch over DPDK, configured like Open vSwitch.
#[derive(Parser, Clone, Debug)]
#[command(name = "switchd", version, after_help = AFTER_HELP)]
pub struct Args {
    /// Directory of the sockets: db.sock, BRIDGE.mgmt, and of the pid file.
    #[arg(long, env = "OVS_RUNDIR", default_value = "/var/run/openvswitch")]
    pub rundir: PathBuf,
    /// Directory of the database file.
    #[arg(long, env = "OVS_DBDIR", default_value = "/etc/openvswitch")]
    pub dbdir: PathBuf,
    /// Listen for database clients here too, e.g. ptcp:6640:127.0.0.1 (may be repeated).
    #[arg(long, value_name = "TARGET")]
    pub remote: Vec<crate::target::Target>,
    /// Do not use huge pages even if there are some.
    #[arg(long)]
    pub no_huge: bool,
    /// MiB of memory for packet buffers.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub memory: u32,
    /// Probe PCI devices for `type=dpdk` ports.
    #[arg(long)]
    pub pci: bool,
    /// What to log, e.g. info, debug, switchd=trace (see also RUST_LOG).
    #[arg(long, default_value = "info", env = "RUST_LOG")]
    pub log: String,
    /// Print the man page and end.
    #[arg(long)]
    pub man: bool,
    /// Print the completions for a shell and end: bash, zsh or fish.
    #[arg(long, value_name = "SHELL", value_parser = manual::SHELLS)]
    pub completions: Option<String>,
    /// Log JSON objects instead of text.
    #[arg(long)]
    pub log_json: bool,
}

impl Args {
    /// What `--man` and `--completions` print; `None`: neither is given.
    pub fn manual(&self) -> Option<String> {
        let program = || {
            manual::Program {
            name: "switchd",
            about: "an OpenFlow switch over DPDK, configured like Open vSwitch",
            usage: "[OPTION]...",
            options: manual::flags(Args::command()),
            commands: Vec::new(),
            notes: vec![
                ("NOTES", AFTER_HELP.to_owned()),
                (
                    "ENVIRONMENT",
                    "OVS_RUNDIR, OVS_DBDIR, RUST_LOG: what --rundir, --dbdir and --log are by default.".to_owned(),
                ),
                ("SEE ALSO", "vsctl(8), ofctl(8)".to_owned()),
            ],
        }
        };
        match &self.completions {
            Some(shell) => manual::completions(&program(), shell),
            None => self.man.then(|| manual::page(&program())),
        }
    }
}
