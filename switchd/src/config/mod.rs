//! From database rows to what the switch should be. Pure: the commit hook and the daemon read the same
//! values with the same functions, so what the database accepts is what the switch can be asked to do.

pub mod balance;
pub mod bridge;
pub mod effect;
pub mod port;
pub mod problem;
pub mod qos;
pub mod row;
pub mod table;
pub mod tunnel;

use crate::target::Target;
use crate::workers::assign::{Auto, Rules};
use bridge::Bridge;
use ofp::text::digits;
use ovsdb::Database;
use problem::Problem;
use std::collections::BTreeMap;

/// What the whole database asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Bridges by name.
    pub bridges: BTreeMap<String, Bridge>,
    /// Managers by target.
    pub managers: BTreeMap<String, (ovsdb::Uuid, Target)>,
    /// `other_config` of the Open_vSwitch row.
    pub global: Global,
    /// Keys and certificates for `ssl:` and `pssl:` (the SSL table).
    pub tls: Option<tls::Files>,
}

/// Bound of `flow-cache-entries`: some 300 MB for each worker, and what long programs take.
const CACHE_ENTRIES_MAX: usize = 1 << 20;

/// Settings of the whole switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Global {
    /// CPUs for workers (`pmd-cpu-mask`); empty: chosen by the daemon.
    pub worker_cpus: Vec<usize>,
    /// Longest sleep of an idle worker in microseconds (`pmd-sleep-max`); `None`: not set.
    pub sleep_max_micros: Option<u64>,
    /// Entries of each worker's cache of programs (`flow-cache-entries`); `None`: not set.
    pub cache_entries: Option<usize>,
    /// How receive queues are dealt out to workers.
    pub rules: Rules,
    /// Whether that is done again by itself.
    pub auto: Auto,
    /// Further arguments for DPDK (`dpdk-extra`).
    pub dpdk_extra: Vec<String>,
}

impl Config {
    /// Reads the database. What is wrong is said in the problems, and left out of the result.
    pub fn read(db: &Database) -> (Config, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut config = Config::default();
        if let Some((uuid, root)) = db.singleton("Open_vSwitch") {
            let at = row::Reader::new("Open_vSwitch", uuid, root);
            config.global = Global::read(&at, &mut problems);
            for (uuid, row) in at.references("ssl", "SSL", db) {
                let at = row::Reader::new("SSL", uuid, row);
                config.tls = Some(tls::Files {
                    private_key: at.string("private_key").into(),
                    certificate: at.string("certificate").into(),
                    ca_cert: at.string("ca_cert").into(),
                    bootstrap: at.is_set("bootstrap_ca_cert"),
                });
            }
            for (uuid, row) in at.references("manager_options", "Manager", db) {
                let at = row::Reader::new("Manager", uuid, row);
                let text = at.string("target");
                match text.parse() {
                    Ok(target) => {
                        config.managers.insert(text.to_owned(), (uuid, target));
                    }
                    Err(right) => at.problem(
                        &mut problems,
                        format!("manager target {text:?} is not {right}"),
                    ),
                }
            }
            for (uuid, row) in at.references("bridges", "Bridge", db) {
                let at = row::Reader::new("Bridge", uuid, row);
                let bridge = Bridge::read(&at, db, &mut problems);
                config.bridges.insert(bridge.name.clone(), bridge);
            }
        }
        tunnel::find_clashes(&config, &mut problems);
        bridge::find_clashes(&config, &mut problems);
        (config, problems)
    }
}

impl Global {
    /// Entries of each worker's cache of programs.
    pub fn cache_entries(&self) -> usize {
        self.cache_entries
            .unwrap_or(datapath::forward::CACHE_ENTRIES)
    }
    fn read(at: &row::Reader<'_>, problems: &mut Vec<Problem>) -> Global {
        let mut options = at.map("other_config");
        let worker_cpus = options
            .parse("pmd-cpu-mask", problems, balance::worker_cpus)
            .unwrap_or_default();
        let sleep_max_micros = balance::sleep_max(&mut options, problems);
        let rules = balance::rules(&mut options, problems);
        let auto = balance::auto(&mut options, problems);
        let cache_entries = options.parse("flow-cache-entries", problems, |word| {
            digits(word, 10)
                .filter(|entries| *entries <= CACHE_ENTRIES_MAX)
                .ok_or(format!(
                    "a number of entries, 0 (no cache) to {CACHE_ENTRIES_MAX}"
                ))
        });
        let dpdk_extra = options.get("dpdk-extra").unwrap_or_default();
        let dpdk_extra = dpdk_extra.split_whitespace().map(str::to_owned).collect();
        Global {
            worker_cpus,
            sleep_max_micros,
            cache_entries,
            rules,
            auto,
            dpdk_extra,
        }
    }
}
