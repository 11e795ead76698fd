//! Groups, meters and the TLV map as JSON.

use super::{count, port, seconds};
use ofp::message::{
    BandKind, GroupDesc, GroupFeatures, GroupKind, GroupStats, MeterConfig, MeterFeatures,
    MeterStats, SelectionMethod, TlvTable, meter_flag,
};
use ofp::text::{Style, print_actions};
use ofp::types::{GroupId, MeterId, PortNo};
use serde_json::{Value, json};

const KINDS: [(GroupKind, &str); 4] = [
    (GroupKind::All, "all"),
    (GroupKind::Select, "select"),
    (GroupKind::Indirect, "indirect"),
    (GroupKind::FastFailover, "ff"),
];

fn kind_name(kind: GroupKind) -> &'static str {
    let row = KINDS.iter().find(|row| row.0 == kind);
    row.map_or("", |row| row.1)
}

/// What groups are.
pub fn group_descs(groups: &[GroupDesc], style: &Style<'_>) -> Value {
    groups
        .iter()
        .map(|group| group_desc(group, style))
        .collect()
}

fn group_desc(group: &GroupDesc, style: &Style<'_>) -> Value {
    let watch_port = |number: PortNo| match number {
        PortNo::ANY => Value::Null,
        number => port(number),
    };
    let watch_group = |number: GroupId| match number {
        GroupId::ANY => Value::Null,
        number => json!(number.0),
    };
    let actions = |list: &[ofp::action::Action]| -> Vec<String> {
        let one = |action| print_actions(std::slice::from_ref(action), style);
        list.iter().map(one).collect()
    };
    let bucket = |b: &ofp::message::Bucket| {
        json!({
            "bucket_id": b.id.0,
            "weight": b.weight,
            "watch_port": watch_port(b.watch_port),
            "watch_group": watch_group(b.watch_group),
            "actions": actions(&b.actions),
        })
    };
    let selection = &group.selection;
    let field = |(field, mask): &(ofp::field::Field, u128)| json!({ "name": field.row().name, "mask": format!("{mask:#x}") });
    json!({
        "group_id": group.group.0,
        "type": kind_name(group.kind),
        "selection_method": match selection.method {
            SelectionMethod::Default => Value::Null,
            SelectionMethod::Hash => json!("hash"),
            SelectionMethod::DpHash => json!("dp_hash"),
        },
        "selection_method_param": selection.parameter,
        "fields": selection.fields.iter().map(field).collect::<Vec<Value>>(),
        "buckets": group.buckets.iter().map(bucket).collect::<Vec<Value>>(),
    })
}

fn counters((packets, bytes): &(u64, u64)) -> Value {
    json!({ "packet_count": count(*packets), "byte_count": count(*bytes) })
}

/// A duration; `null` if the version does not say it.
fn duration(duration: ofp::message::Duration) -> Value {
    match duration.secs {
        u32::MAX => Value::Null,
        _ => seconds(duration),
    }
}

/// Counters of groups.
pub fn group_stats(stats: &[GroupStats]) -> Value {
    let one = |s: &GroupStats| {
        json!({
            "group_id": s.group.0,
            "duration": duration(s.duration),
            "ref_count": s.ref_count,
            "packet_count": count(s.packets),
            "byte_count": count(s.bytes),
            "buckets": s.buckets.iter().map(counters).collect::<Vec<Value>>(),
        })
    };
    stats.iter().map(one).collect()
}

/// What groups can be.
pub fn group_features(f: &GroupFeatures) -> Value {
    let kind = |(index, row): (usize, &(GroupKind, &str))| {
        json!({
            "type": row.1,
            "supported": f.kinds >> index & 1 == 1,
            "max_groups": f.max_groups[index],
            "actions": format!("{:#x}", f.actions[index]),
        })
    };
    json!({
        "capabilities": f.capabilities,
        "types": KINDS.iter().enumerate().map(kind).collect::<Vec<Value>>(),
    })
}

fn meter(id: MeterId) -> Value {
    match id {
        MeterId::SLOWPATH => json!("slowpath"),
        MeterId::CONTROLLER => json!("controller"),
        id => json!(id.0),
    }
}

/// What meters are.
pub fn meter_configs(meters: &[MeterConfig]) -> Value {
    let one = |m: &MeterConfig| {
        let has = |bit: u16| m.flags & bit != 0;
        let band = |b: &ofp::message::Band| {
            let (kind, level) = match b.kind {
                BandKind::Drop => ("drop", None),
                BandKind::DscpRemark(level) => ("dscp_remark", Some(level)),
            };
            json!({ "type": kind, "rate": b.rate, "burst_size": b.burst, "prec_level": level })
        };
        json!({
            "meter": meter(m.meter),
            "kbps": has(meter_flag::KBPS),
            "pktps": has(meter_flag::PKTPS),
            "burst": has(meter_flag::BURST),
            "stats": has(meter_flag::STATS),
            "bands": m.bands.iter().map(band).collect::<Vec<Value>>(),
        })
    };
    meters.iter().map(one).collect()
}

/// Counters of meters.
pub fn meter_stats(stats: &[MeterStats]) -> Value {
    let one = |s: &MeterStats| {
        json!({
            "meter": meter(s.meter),
            "flow_count": s.flows,
            "packet_in_count": count(s.packets),
            "byte_in_count": count(s.bytes),
            "duration": seconds(s.duration),
            "bands": s.bands.iter().map(counters).collect::<Vec<Value>>(),
        })
    };
    stats.iter().map(one).collect()
}

/// What meters can be.
pub fn meter_features(f: &MeterFeatures) -> Value {
    json!({
        "max_meter": f.max_meters,
        "max_bands": f.max_bands,
        "max_color": f.max_color,
        "band_types": f.band_types,
        "capabilities": f.capabilities,
        "features": f.features,
    })
}

/// The TLV map.
pub fn tlv_table(table: &TlvTable) -> Value {
    let mapping = |m: &ofp::message::TlvMapping| json!({ "class": m.class, "type": m.kind, "len": m.size, "field": format!("tun_metadata{}", m.index) });
    json!({
        "max_option_space": table.max_space,
        "max_fields": table.max_fields,
        "mappings": table.mappings.iter().map(mapping).collect::<Vec<Value>>(),
    })
}
