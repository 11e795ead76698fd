//! The command line.

use clap::Parser;
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
    /// Log JSON objects instead of text.
    #[arg(long)]
    pub log_json: bool,
}
