//! Options and arguments of the command line.

use crate::failure::{Failure, Result};
use clap::{ArgAction, Parser};
use ofp::types::Version;
use std::io::IsTerminal;
use std::time::Duration;

/// Drives an OpenFlow switch.
#[derive(Parser, Debug)]
#[command(name = "ofctl", version, about, args_override_self = true)]
pub struct Options {
    /// Versions to offer, as in OpenFlow10,OpenFlow13; by default all, and the one that suits.
    #[arg(short = 'O', long, value_name = "VERSIONS")]
    pub protocols: Option<String>,
    /// Flow formats to use: openflow10, nxm, oxm, or any.
    #[arg(short = 'F', long, value_name = "FORMATS")]
    pub flow_format: Option<String>,
    /// Packet-in format to ask for: standard, nxt_packet_in or nxt_packet_in2.
    #[arg(short = 'P', long, value_name = "FORMAT")]
    pub packet_in_format: Option<String>,
    /// Modify and delete only the flow with exactly this match and priority.
    #[arg(long)]
    pub strict: bool,
    /// Do it all or not at all, as one bundle.
    #[arg(long)]
    pub bundle: bool,
    /// mod-group: add the group if it is not there.
    #[arg(long)]
    pub may_create: bool,
    /// replace-flows: add the flows that have not changed too.
    #[arg(long)]
    pub readd: bool,
    /// Refuse commands that change something.
    #[arg(long)]
    pub read_only: bool,
    /// monitor, snoop, ofp-parse-pcap: print the time of each message.
    #[arg(long)]
    pub timestamp: bool,
    /// monitor: be the controller of this id, which controller(id=...) names.
    #[arg(long, value_name = "ID")]
    pub controller_id: Option<u16>,
    /// monitor, snoop: take commands on this socket; none: on no socket.
    #[arg(long, value_name = "SOCKET")]
    pub unixctl: Option<String>,
    /// monitor, snoop: write the process id to a file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "ofctl.pid")]
    pub pidfile: Option<String>,
    /// Replace another process's file.
    #[arg(long)]
    pub overwrite_pidfile: bool,
    /// monitor, snoop: go into the background when all is ready.
    #[arg(long)]
    pub detach: bool,
    /// The working directory stays the same in any case; for scripts that say so.
    #[arg(long, hide = true)]
    no_chdir: bool,
    /// watch: measure once.
    #[arg(long)]
    pub once: bool,
    /// watch: seconds between two rounds.
    #[arg(long, value_name = "SECONDS")]
    pub interval: Option<f64>,
    /// watch: rounds.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// trace: send the packet, too.
    #[arg(long)]
    pub generate: bool,
    /// Colours for flows: always, never or auto.
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_value = "never", default_missing_value = "auto")]
    color: String,
    /// Take what Open vSwitch takes without a word (a field without its protocol), with a warning.
    #[arg(long)]
    pub lenient: bool,
    /// Show ports by name.
    #[arg(long, overrides_with = "no_names")]
    names: bool,
    /// Show ports by number.
    #[arg(long, overrides_with = "names")]
    pub no_names: bool,
    /// Show the counters of flows (the default).
    #[arg(long, overrides_with = "no_stats")]
    stats: bool,
    /// Leave out the counters of flows.
    #[arg(long, overrides_with = "stats")]
    no_stats: bool,
    /// Sort flows, by priority or a field.
    #[arg(long, value_name = "FIELD", num_args = 0..=1, require_equals = true, default_missing_value = "priority", action = ArgAction::Append)]
    pub sort: Vec<String>,
    /// Sort flows downwards, by priority or a field.
    #[arg(long, value_name = "FIELD", num_args = 0..=1, require_equals = true, default_missing_value = "priority", action = ArgAction::Append)]
    pub rsort: Vec<String>,
    /// Say more; twice: print packets in hexadecimal too.
    #[arg(short, long, action = ArgAction::Count)]
    pub more: u8,
    /// Give up after this many seconds.
    #[arg(short, long, value_name = "SECONDS", env = "OVS_CTL_TIMEOUT")]
    timeout: Option<u64>,
    /// Our private key, for an ssl: switch.
    #[arg(short = 'p', long, value_name = "FILE")]
    private_key: Option<std::path::PathBuf>,
    /// Our certificate, for an ssl: switch.
    #[arg(short = 'c', long, value_name = "FILE")]
    certificate: Option<std::path::PathBuf>,
    /// The certificate of the CA that signed the switch's.
    #[arg(short = 'C', long, value_name = "FILE")]
    ca_cert: Option<std::path::PathBuf>,
    /// As --ca-cert; if there is no such file, trust the switch's CA and store it there.
    #[arg(long, value_name = "FILE")]
    bootstrap_ca_cert: Option<std::path::PathBuf>,
    /// Print what show, get-frags, bpdu and the dump commands answer as JSON.
    #[arg(long)]
    pub json: bool,
    /// bpdu: print a tunnel port's counters as the gpwstats program does.
    #[arg(long)]
    pub gpwstats: bool,
    /// Print the man page.
    #[arg(long)]
    pub man: bool,
    /// Print the completions for a shell: bash, zsh or fish.
    #[arg(long, value_name = "SHELL", value_parser = ::manual::SHELLS)]
    pub completions: Option<String>,
    /// The command and its arguments.
    #[arg(value_name = "COMMAND", allow_hyphen_values = false)]
    pub words: Vec<String>,
}

/// The command line without `-v` and `--verbose`, which scripts pass to the stock tool; there is no
/// log here whose level they could set.
pub fn words(words: impl Iterator<Item = String>) -> Vec<String> {
    let is_log_level = |word: &String| {
        word.starts_with("-v") || word == "--verbose" || word.starts_with("--verbose=")
    };
    words.filter(|word| !is_log_level(word)).collect()
}

impl Options {
    /// The versions to try, the preferred one first, and whether the user chose them.
    pub fn versions(&self) -> Result<(Vec<Version>, bool)> {
        let Some(list) = &self.protocols else {
            return Ok((Version::SUPPORTED.to_vec(), false));
        };
        let mut versions = list
            .split(',')
            .map(version)
            .collect::<Result<Vec<Version>>>()?;
        versions.sort();
        versions.dedup();
        versions.reverse();
        Ok((versions, true))
    }
    /// Keys and certificates; `None`: none is named.
    pub fn tls(&self) -> Result<Option<tls::Files>> {
        let options = tls::Options {
            private_key: self.private_key.clone(),
            certificate: self.certificate.clone(),
            ca_cert: self.ca_cert.clone(),
            bootstrap_ca_cert: self.bootstrap_ca_cert.clone(),
        };
        options.files().map_err(Failure::plain)
    }
    /// Whether to print names of ports.
    pub fn show_names(&self) -> bool {
        self.names || !self.no_names && std::io::stdout().is_terminal()
    }
    /// Whether to print in colours.
    pub fn show_colors(&self) -> Result<bool> {
        crate::color::wanted(&self.color).ok_or_else(|| {
            Failure::plain(format!(
                "--color: \"{}\" is not always, never or auto",
                self.color
            ))
        })
    }
    /// Whether to print counters.
    pub fn show_stats(&self) -> bool {
        !self.no_stats
    }
    /// How long the whole command may take.
    pub fn time_limit(&self) -> Option<Duration> {
        self.timeout.filter(|t| *t > 0).map(Duration::from_secs)
    }
    /// Checks `-F`.
    pub fn check_flow_format(&self) -> Result<()> {
        let known = [
            "any",
            "openflow10",
            "openflow10+table_id",
            "openflow10-table_id",
            "nxm",
            "nxm+table_id",
            "nxm-table_id",
            "oxm",
        ];
        let Some(list) = &self.flow_format else {
            return Ok(());
        };
        for name in list.split(',') {
            let lower = name.to_ascii_lowercase();
            if !known.contains(&lower.as_str()) && !lower.starts_with("oxm-") {
                return Err(Failure::plain(format!(
                    "-F: no flow format \"{name}\": openflow10, nxm, oxm or any"
                )));
            }
        }
        Ok(())
    }
}

/// Reads `OpenFlow13`, `1.3` or `13`.
fn version(name: &str) -> Result<Version> {
    let all = (1..=6).filter_map(Version::from_wire);
    let short = name
        .trim()
        .to_ascii_lowercase()
        .replace("openflow", "")
        .replace('.', "");
    let found = all
        .into_iter()
        .find(|v| v.name().ends_with(&short) && short.len() == 2);
    match found {
        Some(version) if Version::SUPPORTED.contains(&version) => Ok(version),
        Some(version) => Err(Failure::plain(format!(
            "-O: {} is not supported, {} are",
            version.name(),
            supported()
        ))),
        None => Err(Failure::plain(format!(
            "-O: no OpenFlow version \"{name}\": {}",
            supported()
        ))),
    }
}

fn supported() -> String {
    let names: Vec<&str> = Version::SUPPORTED.iter().map(|v| v.name()).collect();
    names.join(", ")
}
