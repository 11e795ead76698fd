//! A Bridge row and what hangs on it: ports, interfaces, controllers.

use super::Config;
use super::port::Port;
use super::problem::Problem;
use super::row::Reader;
use super::table;
use crate::target::Target;
use datapath::control::{RateLimit, TableSettings};
use datapath::model::reserved::{Policy, RESERVED, is_reserved};
use ofp::text::digits;
use ofp::types::{TableId, Version};
use ovsdb::{Database, Datum, Uuid};
use packet::MacAddr;
use std::collections::BTreeMap;

/// A controller that comes back is to take over within a second: dialled at least twice a second,
/// unless `max_backoff` says otherwise.
const MAX_BACKOFF_MILLIS: u64 = 500;
/// Auxiliary connections to one controller: each takes a place of the controller's, too.
const MAX_AUXILIARIES: u64 = 16;

/// What a bridge does while its controllers are away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailMode {
    /// Learns and forwards by itself.
    #[default]
    Standalone,
    /// Keeps its flows, and does nothing else.
    Secure,
}

/// A bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Bridge {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// `other_config:datapath-id`.
    pub datapath_id: Option<u64>,
    /// `other_config:hwaddr`.
    pub hwaddr: Option<MacAddr>,
    /// `fail_mode`.
    pub fail_mode: FailMode,
    /// `protocols`; empty: all.
    pub protocols: Vec<Version>,
    /// `other_config:mac-aging-time`.
    pub mac_aging_secs: u64,
    /// `other_config:mac-table-size`.
    pub mac_table_size: u32,
    /// `other_config:forward-bpdu` and `other_config:forward-reserved`.
    pub reserved: Policy,
    /// `other_config:dp-desc`.
    pub description: Option<String>,
    /// `other_config:dp-sn`.
    pub serial: Option<String>,
    /// `flow_tables`.
    pub tables: BTreeMap<TableId, TableSettings>,
    /// By target.
    pub controllers: BTreeMap<String, Controller>,
    /// By interface name.
    pub ports: BTreeMap<String, Port>,
}

/// A controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Controller {
    /// Its row.
    pub uuid: Uuid,
    /// Where.
    pub target: Target,
    /// `max_backoff`.
    pub max_backoff_millis: u64,
    /// `inactivity_probe`; 0: never.
    pub inactivity_probe_millis: u64,
    /// `type`: whether it is in charge of the bridge. Who connects to the switch is not, by default.
    pub is_primary: bool,
    /// `enable_async_messages`.
    pub events: bool,
    /// `controller_rate_limit`, `controller_burst_limit`.
    pub packet_in_limit: Option<RateLimit>,
    /// `other_config:aux-connections`: connections beside the main one.
    pub auxiliaries: u8,
}

impl Bridge {
    /// Whether somebody is to be in charge of it.
    pub fn has_primary(&self) -> bool {
        self.controllers.values().any(|c| c.is_primary)
    }
}

impl Bridge {
    /// Reads a row and the rows below it.
    pub fn read(at: &Reader<'_>, db: &Database, problems: &mut Vec<Problem>) -> Bridge {
        let name = at.string("name");
        // Its management socket is a file of this name.
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            let text = format!("bridge name {name:?} cannot be a file's: no '/', no '.' in front");
            at.problem(problems, text);
        }
        let mut options = at.map("other_config");
        let datapath_id = options.parse("datapath-id", problems, |word| {
            let hex = word.strip_prefix("0x").unwrap_or(word);
            let id = digits(hex, 16).filter(|id| *id != 0 && hex.len() <= 16);
            id.ok_or("1 to 16 hexadecimal digits, not all 0".into())
        });
        let hwaddr = options.parse("hwaddr", problems, |word| {
            let mac = word
                .parse()
                .ok()
                .filter(|mac: &MacAddr| !mac.is_multicast() && !mac.is_zero());
            mac.ok_or("a unicast MAC address such as 00:11:22:33:44:55".into())
        });
        let mac_aging_secs = options
            .number("mac-aging-time", 15..=3600, problems)
            .unwrap_or(300);
        let mac_table_size = options
            .number("mac-table-size", 10..=1_000_000, problems)
            .unwrap_or(8192);
        let exceptions = options.parse("forward-reserved", problems, exceptions);
        let reserved = Policy {
            forward: options.bool("forward-bpdu", problems).unwrap_or(false),
            exceptions: exceptions.unwrap_or_default().into(),
        };
        let mut ports = BTreeMap::new();
        for (uuid, row) in at.references("ports", "Port", db) {
            let port = Reader::new("Port", uuid, row);
            Port::read(&port, at.string("name"), db, problems, &mut ports);
        }
        Bridge {
            uuid: at.uuid,
            name: at.string("name").to_owned(),
            datapath_id,
            hwaddr,
            fail_mode: match at.string("fail_mode") {
                "secure" => FailMode::Secure,
                _ => FailMode::Standalone,
            },
            protocols: protocols(at, problems),
            mac_aging_secs,
            mac_table_size: mac_table_size as u32,
            reserved,
            description: options.get("dp-desc").map(str::to_owned),
            serial: options.get("dp-sn").map(str::to_owned),
            tables: table::read(at, db, problems),
            controllers: controllers(at, db, problems),
            ports,
        }
    }
}

/// Reserved destinations that NORMAL forwards, or drops if `!` stands in front: `MAC[,MAC]...`.
fn exceptions(list: &str) -> Result<Vec<(MacAddr, bool)>, String> {
    let mut found: Vec<(MacAddr, bool)> = Vec::new();
    for word in list.split(',').map(str::trim) {
        let (text, forward) = match word.strip_prefix('!') {
            Some(text) => (text, false),
            None => (word, true),
        };
        let mac = text.parse().ok().filter(|mac| is_reserved(*mac));
        let mac = mac.ok_or_else(|| format!("a list of reserved addresses ({})", reserved()))?;
        if found.iter().any(|(other, _)| *other == mac) {
            return Err(format!(
                "a list of different addresses ({mac} is there twice)"
            ));
        }
        found.push((mac, forward));
    }
    Ok(found)
}

/// The reserved addresses in words.
fn reserved() -> String {
    let rows = RESERVED.iter().map(|(first, len, whose)| {
        let first_of = MacAddr::from_u64(*first);
        match len {
            1 => format!("{first_of} {whose}"),
            _ => format!("{first_of} to :{:02x} {whose}", (first + len - 1) & 0xff),
        }
    });
    rows.collect::<Vec<String>>().join(", ")
}

/// The versions that are allowed and spoken; empty if nobody restricted them.
fn protocols(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Vec<Version> {
    let names: Vec<&str> = at
        .column("protocols")
        .into_iter()
        .flat_map(|d| d.strings())
        .collect();
    let spoken = Version::SUPPORTED.iter().copied();
    let versions: Vec<Version> = spoken.filter(|v| names.contains(&v.name())).collect();
    if versions.is_empty() && !names.is_empty() {
        let spoken: Vec<&str> = Version::SUPPORTED.iter().map(|v| v.name()).collect();
        let text = format!(
            "protocols={} has no version that is spoken here: {}",
            names.join(","),
            spoken.join(", ")
        );
        at.problem(problems, text);
    }
    versions
}

fn controllers(
    at: &Reader<'_>,
    db: &Database,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Controller> {
    let mut controllers = BTreeMap::new();
    for (uuid, row) in at.references("controller", "Controller", db) {
        let row = Reader::new("Controller", uuid, row);
        let text = row.string("target");
        match text.parse::<Target>() {
            Ok(target) => {
                let millis = |column, default| row.int(column).map_or(default, |n| n.max(0) as u64);
                let number = |column| row.int(column).and_then(|n| u32::try_from(n).ok());
                let limit = |rate| RateLimit {
                    rate,
                    burst: number("controller_burst_limit").unwrap_or(rate / 4),
                };
                let mut options = row.map("other_config");
                let auxiliaries = options.number("aux-connections", 0..=MAX_AUXILIARIES, problems);
                let auxiliaries = auxiliaries.unwrap_or(0) as u8;
                if auxiliaries > 0 && target.is_passive() {
                    let text = format!(
                        "aux-connections={auxiliaries}: the switch does not dial {text:?}, who comes there may come more often"
                    );
                    row.problem(problems, text);
                }
                let controller = Controller {
                    uuid,
                    auxiliaries,
                    is_primary: match row.string("type") {
                        "" => !target.is_passive(),
                        word => word == "primary",
                    },
                    events: row.column("enable_async_messages").and_then(Datum::as_bool)
                        != Some(false),
                    packet_in_limit: number("controller_rate_limit").map(limit),
                    target,
                    max_backoff_millis: millis("max_backoff", MAX_BACKOFF_MILLIS),
                    inactivity_probe_millis: millis("inactivity_probe", 5_000),
                };
                controllers.insert(text.to_owned(), controller);
            }
            Err(right) => row.problem(
                problems,
                format!("controller target {text:?} is not {right}"),
            ),
        }
    }
    controllers
}

/// Two bridges must not claim one interface, one datapath id, or one listening target.
pub fn find_clashes(config: &Config, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<String, &Bridge> = BTreeMap::new();
    for bridge in config.bridges.values() {
        let local = (!bridge.ports.contains_key(&bridge.name)).then_some(&bridge.name);
        let ports = bridge
            .ports
            .keys()
            .chain(local)
            .map(|name| (format!("interface {name}"), "it belongs to"));
        let ids = bridge
            .datapath_id
            .iter()
            .map(|id| (format!("datapath-id {id:016x}"), "it is that of"));
        let passive = bridge
            .controllers
            .iter()
            .filter(|(_, c)| c.target.is_passive());
        let passive =
            passive.map(|(text, _)| (format!("listening target {text}"), "it belongs to"));
        for (what, belongs) in ports.chain(ids).chain(passive) {
            if let Some(other) = seen.insert(what.clone(), bridge) {
                let text = format!("cannot use {what}: {belongs} bridge {} already", other.name);
                let (uuid, name) = (bridge.uuid, bridge.name.clone());
                problems.push(Problem {
                    table: "Bridge",
                    uuid,
                    name,
                    text,
                });
            }
        }
    }
}
