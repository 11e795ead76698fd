//! Which columns and keys have an effect. The others are stored, so that existing scripts run, and the
//! log and `vsctl` say that they have none yet.

use super::problem::nearest;
use super::tunnel;
use ovsdb::{Database, Datum};

/// `table.column`, and its keys that have an effect if it is a map of settings. Columns that the daemon
/// writes, references between rows, and free text (external_ids) are not settings.
const SETTINGS: &[(&str, &str, Effect)] = &[
    (
        "Open_vSwitch",
        "other_config",
        Effect::Keys(&[
            "pmd-cpu-mask",
            "pmd-sleep-max",
            "flow-cache-entries",
            "pmd-maxsleep",
            "pmd-rxq-assign",
            "pmd-rxq-isolate",
            "pmd-auto-lb",
            "pmd-auto-lb-rebal-interval",
            "pmd-auto-lb-load-threshold",
            "pmd-auto-lb-improvement-threshold",
            "dpdk-extra",
            "dpdk-init",
        ]),
    ),
    ("Open_vSwitch", "manager_options", Effect::Whole),
    ("Open_vSwitch", "ssl", Effect::Whole),
    ("Bridge", "fail_mode", Effect::Whole),
    ("Bridge", "protocols", Effect::Whole),
    ("Bridge", "controller", Effect::Whole),
    (
        "Bridge",
        "other_config",
        Effect::Keys(&[
            "datapath-id",
            "hwaddr",
            "mac-aging-time",
            "mac-table-size",
            "forward-bpdu",
            "forward-reserved",
            "dp-desc",
            "dp-sn",
        ]),
    ),
    ("Bridge", "mirrors", Effect::None),
    ("Bridge", "netflow", Effect::None),
    ("Bridge", "sflow", Effect::None),
    ("Bridge", "ipfix", Effect::None),
    ("Bridge", "stp_enable", Effect::None),
    ("Bridge", "rstp_enable", Effect::None),
    ("Bridge", "mcast_snooping_enable", Effect::None),
    ("Bridge", "flood_vlans", Effect::None),
    ("Bridge", "flow_tables", Effect::Whole),
    ("Flow_Table", "prefixes", Effect::None),
    ("Bridge", "auto_attach", Effect::None),
    ("Port", "tag", Effect::Whole),
    ("Port", "trunks", Effect::Whole),
    ("Port", "vlan_mode", Effect::Whole),
    ("Port", "cvlans", Effect::None),
    ("Port", "qos", Effect::None),
    ("Port", "protected", Effect::None),
    ("Port", "lacp", Effect::None),
    ("Port", "bond_mode", Effect::None),
    ("Port", "other_config", Effect::Keys(&[])),
    ("Interface", "type", Effect::Whole),
    ("Interface", "ofport_request", Effect::Whole),
    ("Interface", "mac", Effect::Whole),
    ("Interface", "mtu_request", Effect::Whole),
    (
        "Interface",
        "options",
        Effect::Options(&["peer", "dpdk-devargs", "n_rxq", "n_rxq_desc", "n_txq_desc"]),
    ),
    ("Interface", "ingress_policing_rate", Effect::None),
    ("Interface", "ingress_policing_burst", Effect::None),
    ("Interface", "bfd", Effect::Keys(&[])),
    ("Interface", "lldp", Effect::Keys(&[])),
    ("Interface", "cfm_mpid", Effect::None),
    (
        "Interface",
        "other_config",
        Effect::Keys(&["pmd-rxq-affinity"]),
    ),
    ("Controller", "target", Effect::Whole),
    ("Controller", "max_backoff", Effect::Whole),
    ("Controller", "inactivity_probe", Effect::Whole),
    (
        "Controller",
        "other_config",
        Effect::Keys(&["aux-connections"]),
    ),
    ("Controller", "connection_mode", Effect::None),
    ("Controller", "controller_queue_size", Effect::None),
];

enum Effect {
    /// The column has an effect.
    Whole,
    /// These keys have; others have not.
    Keys(&'static [&'static str]),
    /// These keys have, and those of tunnels that say so.
    Options(&'static [&'static str]),
    /// The column has none.
    None,
}

/// Settings in the database that have no effect, as `Table.column` or `Table.column:key`, and ` (did you mean X?)` behind
/// a key that is near one that has; sorted.
pub fn without_effect(db: &Database) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    for (table, column, effect) in SETTINGS {
        let values = db.rows(table).filter_map(|(_, row)| row.get(*column));
        match effect {
            Effect::Whole => {}
            Effect::None => {
                if values.into_iter().any(is_set) {
                    found.insert(format!("{table}.{column}"));
                }
            }
            Effect::Keys(keys) | Effect::Options(keys) => {
                let is_option = matches!(effect, Effect::Options(_));
                let set = values
                    .flat_map(Datum::pairs)
                    .filter_map(|(key, _)| key.as_str());
                found.extend(
                    set.filter(|key| !keys.contains(key))
                        .filter(|key| !is_option || !tunnel::has_effect(key))
                        .map(|key| {
                            let near = nearest(key, keys.iter().copied());
                            let hint = near.map(|near| format!(" (did you mean {near}?)"));
                            format!("{table}.{column}:{key}{}", hint.unwrap_or_default())
                        }),
                );
            }
        }
    }
    found.extend(isolation_without_effect(db));
    found.into_iter().collect()
}

/// `pmd-rxq-isolate=false` is only heard with `pmd-rxq-assign=group`.
fn isolation_without_effect(db: &Database) -> Option<String> {
    let row = db.singleton("Open_vSwitch")?.1;
    let has = |key: &str, value: &str| {
        let mut pairs = row.get("other_config").into_iter().flat_map(Datum::pairs);
        pairs.any(|(k, v)| k.as_str() == Some(key) && v.as_str() == Some(value))
    };
    let is_moot = has("pmd-rxq-isolate", "false") && !has("pmd-rxq-assign", "group");
    is_moot.then(|| {
        "Open_vSwitch.other_config:pmd-rxq-isolate (pmd-rxq-assign is not group)".to_owned()
    })
}

/// Whether a column holds something else than its default.
fn is_set(datum: &Datum) -> bool {
    !datum.is_empty()
        && datum.as_bool() != Some(false)
        && datum.as_int() != Some(0)
        && datum.as_str() != Some("")
}
