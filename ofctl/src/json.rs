//! What dumps print with `--json`: one document per command, names as in the text form.

mod groups;

pub use groups::{
    group_descs, group_features, group_stats, meter_configs, meter_features, meter_stats, tlv_table,
};

use ofp::bpdu::BpduStats;
use ofp::field::Field;
use ofp::message::{
    ActionAbilities, BundleFeatures, Features, FlowCounts, FlowStats, MultipartPart, PortDesc,
    PortStats, QueueDesc, QueueStats, RFC2819, SwitchConfig, SwitchDesc, TableAbilities, TableDesc,
    TableDoing, TableFeatures, TableStats, bundle_flag, flow_flag, table_config,
};
use ofp::text::print::frag_name;
use ofp::text::{Style, print_actions, print_match};
use ofp::types::{PortNo, Version};
use packet::bpdu::Kind;
use serde_json::{Value, json};

fn port(number: PortNo) -> Value {
    if number == PortNo::LOCAL {
        json!("LOCAL")
    } else {
        json!(number.0)
    }
}

/// A counter; `null` if the switch does not count it.
fn count(value: u64) -> Value {
    if value == u64::MAX {
        Value::Null
    } else {
        json!(value)
    }
}

fn seconds(duration: ofp::message::Duration) -> Value {
    json!(f64::from(duration.secs) + f64::from(duration.nanos) / 1e9)
}

/// Flows.
pub fn flows(flows: &[FlowStats], style: &Style<'_>) -> Value {
    flows.iter().map(|flow| one_flow(flow, style)).collect()
}

fn one_flow(flow: &FlowStats, style: &Style<'_>) -> Value {
    let actions: Vec<String> = flow
        .actions
        .iter()
        .map(|action| print_actions(std::slice::from_ref(action), style))
        .collect();
    json!({
        "table": flow.table.0,
        "priority": flow.priority,
        "match": print_match(&flow.matching, style),
        "actions": actions,
        "flags": flags(flow.flags),
        "importance": flow.importance,
        "cookie": format!("{:#x}", flow.cookie.0),
        "duration": seconds(flow.duration),
        "n_packets": count(flow.packets),
        "n_bytes": count(flow.bytes),
        "idle_timeout": flow.idle_timeout_secs,
        "hard_timeout": flow.hard_timeout_secs,
        "idle_age": flow.idle_age_secs,
        "hard_age": flow.hard_age_secs,
    })
}

/// Names of a flow's flags.
fn flags(flags: u16) -> Vec<&'static str> {
    const NAMES: [(u16, &str); 5] = [
        (flow_flag::SEND_FLOW_REM, "send_flow_rem"),
        (flow_flag::CHECK_OVERLAP, "check_overlap"),
        (flow_flag::RESET_COUNTS, "reset_counts"),
        (flow_flag::NO_PACKET_COUNTS, "no_packet_counts"),
        (flow_flag::NO_BYTE_COUNTS, "no_byte_counts"),
    ];
    let set = NAMES.iter().filter(|row| flags & row.0 != 0);
    set.map(|row| row.1).collect()
}

/// Flows without their actions.
pub fn flow_counts(flows: &[FlowCounts], style: &Style<'_>) -> Value {
    let one = |flow: &FlowCounts| {
        json!({
            "table": flow.table.0,
            "priority": flow.priority,
            "match": print_match(&flow.matching, style),
            "reason": if flow.triggered { "stat_trigger" } else { "request" },
            "duration": flow.stats.duration.map(seconds),
            "idle_time": flow.stats.idle_time.map(seconds),
            "n_flows": flow.stats.flow_count,
            "n_packets": flow.stats.packet_count,
            "n_bytes": flow.stats.byte_count,
        })
    };
    flows.iter().map(one).collect()
}

/// What bundles can be.
pub fn bundle_features(f: &BundleFeatures) -> Value {
    let can = |bit: u16| f.capabilities & bit != 0;
    json!({
        "atomic": can(bundle_flag::ATOMIC),
        "ordered": can(bundle_flag::ORDERED),
        "time": can(bundle_flag::TIME),
    })
}

/// The sum of flows' counters.
pub fn aggregate(part: &MultipartPart) -> Value {
    match part {
        MultipartPart::Aggregate {
            packets,
            bytes,
            flows,
            ..
        } => {
            json!({ "packet_count": count(*packets), "byte_count": count(*bytes), "flow_count": flows })
        }
        _ => Value::Null,
    }
}

/// Counters of ports.
pub fn port_stats(stats: &[PortStats], bpdus: &[BpduStats]) -> Value {
    let one = |s: &PortStats| {
        let bpdus = bpdus.iter().find(|b| b.port == s.port).map(|b| {
            let (rx, tx) = b.totals();
            json!({ "rx": rx, "tx": tx })
        });
        json!({
            "bpdus": bpdus,
            "port": port(s.port),
            "rx": { "packets": count(s.rx_packets), "bytes": count(s.rx_bytes), "drop": count(s.rx_dropped),
                    "errs": count(s.rx_errors), "frame": count(s.rx_frame_err), "over": count(s.rx_over_err),
                    "crc": count(s.rx_crc_err) },
            "tx": { "packets": count(s.tx_packets), "bytes": count(s.tx_bytes), "drop": count(s.tx_dropped),
                    "errs": count(s.tx_errors), "coll": count(s.collisions) },
            "duration": seconds(s.duration),
            "rfc2819": s.rfc2819.as_ref().map(|counters| rfc2819(&counters[..])),
        })
    };
    stats.iter().map(one).collect()
}

/// Frames by size, and errors, by direction.
fn rfc2819(counters: &[u64]) -> Value {
    let of = |sent: bool| {
        let rows = RFC2819.iter().zip(counters);
        let rows = rows.filter(|((_, tx), _)| *tx == sent);
        rows.map(|((name, _), value)| ((*name).to_owned(), count(*value)))
            .collect::<Value>()
    };
    json!({ "rx": of(false), "tx": of(true) })
}

/// BPDUs by port and kind; what a tunnel port counts by gpw's names.
pub fn bpdus(bpdus: &[BpduStats], ports: &[PortDesc], stats: &[PortStats]) -> Value {
    let kinds = |total: u64, counts: &[u64]| {
        let all = std::iter::once(("bpdus", total));
        let names = Kind::COUNTED.iter().map(|kind| kind.name());
        let all = all.chain(names.zip(counts.iter().copied()));
        all.map(|(name, count)| (name.to_owned(), json!(count)))
            .collect::<Value>()
    };
    let one = |b: &BpduStats| {
        let (rx, tx) = b.totals();
        let desc = ports.iter().find(|desc| desc.port == b.port);
        let inner = stats.iter().find(|stats| stats.port == b.port);
        let gpw = inner.and_then(|inner| b.gpw(inner)).map(|pairs| {
            let pairs = pairs.into_iter();
            pairs
                .map(|(name, count)| (name.to_owned(), json!(count)))
                .collect::<Value>()
        });
        json!({
            "port": port(b.port),
            "name": desc.map(|desc| &desc.name),
            "rx": kinds(rx, &b.rx),
            "tx": kinds(tx, &b.tx),
            "gpw": gpw,
        })
    };
    bpdus.iter().map(one).collect()
}

/// Descriptions of ports.
pub fn port_descs(descs: &[PortDesc]) -> Value {
    let one = |d: &PortDesc| {
        json!({
            "port": port(d.port),
            "name": d.name,
            "addr": d.hw_addr.to_string(),
            "config": d.config,
            "state": d.state,
            "current": d.current,
            "advertised": d.advertised,
            "supported": d.supported,
            "peer": d.peer,
            "current_speed_kbps": d.current_speed_kbps,
            "max_speed_kbps": d.max_speed_kbps,
        })
    };
    descs.iter().map(one).collect()
}

/// What `show` says.
pub fn switch(features: &Features, descs: &[PortDesc], config: &SwitchConfig) -> Value {
    json!({
        "dpid": format!("{:016x}", features.datapath_id),
        "n_tables": features.n_tables,
        "n_buffers": features.n_buffers,
        "capabilities": features.capabilities,
        "auxiliary_id": features.auxiliary_id,
        "ports": port_descs(descs),
        "frags": frag_name(config.frag),
        "miss_send_len": config.miss_send_len,
    })
}

/// The switch's description.
pub fn desc(desc: &SwitchDesc) -> Value {
    json!({
        "manufacturer": desc.manufacturer,
        "hardware": desc.hardware,
        "software": desc.software,
        "serial": desc.serial,
        "datapath": desc.datapath,
    })
}

/// How IP fragments are matched.
pub fn frags(name: &str) -> Value {
    json!({ "frags": name })
}

/// Counters of tables; before 1.3 also what they can do.
pub fn tables(tables: &[TableStats], version: Version) -> Value {
    let old = version < Version::V13;
    let one = |t: &TableStats| {
        json!({
            "table": t.table.0,
            "name": t.name,
            "active": t.active_count,
            "lookup": t.lookup_count,
            "matched": t.matched_count,
            "max_entries": old.then_some(t.max_entries),
            "config": (old && version > Version::V10).then_some(t.config),
            "metadata_match": (version == Version::V12).then(|| format!("{:#x}", t.metadata[0])),
            "metadata_write": (version == Version::V12).then(|| format!("{:#x}", t.metadata[1])),
            "abilities": t.abilities.as_deref().map(abilities),
        })
    };
    tables.iter().map(one).collect()
}

/// How tables are configured.
pub fn table_descs(descs: &[TableDesc]) -> Value {
    let one = |d: &TableDesc| {
        let has = |bit: u32| d.config & bit != 0;
        let vacancy = has(table_config::VACANCY_EVENTS).then(
            || json!({ "down": d.vacancy.down, "up": d.vacancy.up, "current": d.vacancy.current }),
        );
        json!({
            "table": d.table.0,
            "eviction": has(table_config::EVICTION),
            "eviction_flags": d.eviction_flags,
            "vacancy": vacancy,
        })
    };
    descs.iter().map(one).collect()
}

/// Counters of queues.
pub fn queue_stats(stats: &[QueueStats]) -> Value {
    let one = |s: &QueueStats| {
        json!({
            "port": port(s.port),
            "queue": s.queue,
            "bytes": count(s.tx_bytes),
            "packets": count(s.tx_packets),
            "errors": count(s.tx_errors),
            "duration": seconds(s.duration),
        })
    };
    stats.iter().map(one).collect()
}

/// Queues as configured; rates in tenths of a percent of the port's.
pub fn queue_descs(descs: &[QueueDesc]) -> Value {
    let one = |d: &QueueDesc| {
        json!({
            "port": port(d.port),
            "queue": d.queue,
            "min_rate": d.min_rate,
            "max_rate": d.max_rate,
        })
    };
    descs.iter().map(one).collect()
}

/// What tables can do.
pub fn table_features(tables: &[TableFeatures]) -> Value {
    let one = |t: &TableFeatures| {
        json!({
            "table": t.table.0,
            "name": t.name,
            "max_entries": t.max_entries,
            "metadata_match": format!("{:#x}", t.metadata_match),
            "metadata_write": format!("{:#x}", t.metadata_write),
            "next_tables": t.next_tables.iter().map(|n| n.0).collect::<Vec<u8>>(),
            "capabilities": t.capabilities,
            "abilities": t.abilities.as_deref().map(abilities),
            "packet_types": t.abilities.iter().flat_map(|a| &a.packet_types)
                .map(|p| format!("({},{:#x})", p.namespace, p.kind)).collect::<Vec<_>>(),
        })
    };
    tables.iter().map(one).collect()
}

/// Instructions, actions and fields of a table; numbers of instructions and actions are bits.
fn abilities(t: &TableAbilities) -> Value {
    let names = |fields: &[Field]| -> Vec<&str> { fields.iter().map(|f| f.row().name).collect() };
    let actions = |a: &ActionAbilities| json!({ "actions": format!("{:#x}", a.actions), "set_field": names(&a.fields) });
    let doing = |d: &TableDoing| {
        json!({
            "instructions": format!("{:#x}", d.instructions),
            "write": actions(&d.write),
            "apply": actions(&d.apply),
        })
    };
    let [other, miss] = &t.doing;
    let of_mask = |masked: bool| -> Vec<Field> {
        let fields = t.matching.iter().filter(|row| row.1 == masked);
        fields.map(|row| row.0).collect()
    };
    json!({
        "match": doing(other),
        "miss": doing(miss),
        "arbitrary_mask": names(&of_mask(true)),
        "exact": names(&of_mask(false)),
        "wildcards": names(&t.wildcards),
    })
}
