//! Groups as text: GROUP_MOD and its multipart family.

use super::{Style, print_actions, print_duration};
use crate::message::{
    Bucket, GroupCommand, GroupDesc, GroupFeatures, GroupKind, GroupMod, GroupStats, Selection,
    SelectionMethod,
};
use crate::text::group::{KINDS, METHODS, PLACES};
use crate::text::ports::print_port;
use crate::text::value::print_value;
use crate::types::{BucketId, GroupId, PortNo, Version};
use std::fmt::Write;

/// Whether a version's buckets have ids: 1.5, and Nicira's messages in 1.0.
fn has_bucket_ids(style: &Style<'_>) -> bool {
    matches!(style.version, Version::V10 | Version::V15)
}

fn bucket_id(out: &mut String, name: &str, id: BucketId) {
    let _ = match PLACES.iter().find(|row| row.1 == id) {
        Some((place, _)) => write!(out, "{name}:{place},"),
        None => write!(out, "{name}:{id},"),
    };
}

/// Prints what a GROUP_MOD says: `ADD group_id=1,type=all,bucket=actions=output:1`.
pub fn print_group_mod(m: &GroupMod, style: &Style<'_>) -> String {
    let (word, places) = match m.command {
        GroupCommand::Add => ("ADD", false),
        GroupCommand::Modify => ("MOD", false),
        GroupCommand::Delete => ("DEL", false),
        GroupCommand::AddOrModify => ("ADD_OR_MOD", false),
        GroupCommand::InsertBucket => ("INSERT_BUCKET", true),
        GroupCommand::RemoveBucket => ("REMOVE_BUCKET", true),
    };
    let mut out = format!("{word} ");
    if places {
        bucket_id(&mut out, "command_bucket_id", m.bucket);
    }
    group(&mut out, &m.desc, !places, style);
    out
}

/// Prints one group of a dump, without a newline.
pub fn print_group_desc(desc: &GroupDesc, style: &Style<'_>) -> String {
    let mut out = " ".to_owned();
    group(&mut out, desc, true, style);
    out
}

fn group(out: &mut String, desc: &GroupDesc, with_kind: bool, style: &Style<'_>) {
    let _ = write!(out, "group_id={}", desc.group);
    if with_kind {
        let name = KINDS
            .iter()
            .find(|row| row.1 == desc.kind)
            .map_or("", |row| row.0);
        let _ = write!(out, ",type={name}");
    }
    selection(out, &desc.selection);
    for bucket in &desc.buckets {
        out.push_str(",bucket=");
        print_bucket(out, desc.kind, bucket, style);
    }
}

fn selection(out: &mut String, selection: &Selection) {
    if selection.method != SelectionMethod::Default {
        let name = METHODS
            .iter()
            .find(|row| row.1 == selection.method)
            .map_or("", |row| row.0);
        let _ = write!(out, ",selection_method={name}");
    }
    if selection.parameter != 0 {
        let _ = write!(out, ",selection_method_param={}", selection.parameter);
    }
    let mut names = Vec::new();
    for (field, mask) in &selection.fields {
        let row = field.row();
        let mut text = row.name.to_owned();
        if *mask != field.full_mask() {
            text.push('=');
            print_value(&mut text, row, *mask, row.place.ones(), None);
        }
        names.push(text);
    }
    let _ = match names.as_slice() {
        [] => Ok(()),
        [one] => write!(out, ",fields={one}"),
        many => write!(out, ",fields({})", many.join(",")),
    };
}

fn print_bucket(out: &mut String, kind: GroupKind, bucket: &Bucket, style: &Style<'_>) {
    if has_bucket_ids(style) {
        bucket_id(out, "bucket_id", bucket.id);
    }
    if bucket.weight != u16::from(kind == GroupKind::Select) {
        let _ = write!(out, "weight:{},", bucket.weight);
    }
    if bucket.watch_port != PortNo::ANY {
        out.push_str("watch_port:");
        print_port(out, bucket.watch_port, style.port_names());
        out.push(',');
    }
    if bucket.watch_group != GroupId::ANY {
        let _ = write!(out, "watch_group:{},", bucket.watch_group);
    }
    let _ = write!(out, "actions={}", print_actions(&bucket.actions, style));
}

/// Prints which group is asked for.
pub(super) fn request(out: &mut String, group: GroupId) {
    let _ = match group {
        GroupId::ALL => write!(out, " group_id=ALL"),
        GroupId::ANY => write!(out, " group_id=ANY"),
        group => write!(out, " group_id={group}"),
    };
}

/// Prints the counters of one group, without a newline.
pub fn print_group_stats(stats: &GroupStats) -> String {
    let mut out = format!(" group_id={},", stats.group);
    if stats.duration.secs != u32::MAX {
        out.push_str("duration=");
        print_duration(&mut out, stats.duration);
        out.push(',');
    }
    let _ = write!(
        out,
        "ref_count={},packet_count={},byte_count={}",
        stats.ref_count, stats.packets, stats.bytes
    );
    let known = stats
        .buckets
        .iter()
        .enumerate()
        .filter(|(_, counts)| counts.0 != u64::MAX);
    for (index, (packets, bytes)) in known {
        let _ = write!(
            out,
            ",bucket{index}:packet_count={packets},byte_count={bytes}"
        );
    }
    out
}

/// Actions in the order in which Open vSwitch lists them: name, and the number in 1.0, 1.1 and later.
const ACTIONS: &[(&str, [Option<u8>; 3])] = &[
    ("output", [Some(0), Some(0), Some(0)]),
    ("group", [None, Some(22), Some(22)]),
    ("enqueue", [Some(11), None, None]),
    ("set_field", [None, None, Some(25)]),
    ("set_vlan_vid", [Some(1), Some(1), None]),
    ("set_vlan_pcp", [Some(2), Some(2), None]),
    ("strip_vlan", [Some(3), Some(18), Some(18)]),
    ("push_vlan", [None, Some(17), Some(17)]),
    ("mod_dl_src", [Some(4), Some(3), None]),
    ("mod_dl_dst", [Some(5), Some(4), None]),
    ("mod_nw_src", [Some(6), Some(5), None]),
    ("mod_nw_dst", [Some(7), Some(6), None]),
    ("mod_nw_tos", [Some(8), Some(7), None]),
    ("mod_nw_ecn", [None, Some(8), None]),
    ("mod_nw_ttl", [None, Some(23), Some(23)]),
    ("mod_tp_src", [Some(9), Some(9), None]),
    ("mod_tp_dst", [Some(10), Some(10), None]),
    ("dec_ttl", [None, Some(24), Some(24)]),
    ("set_mpls_label", [None, Some(13), None]),
    ("set_mpls_tc", [None, Some(14), None]),
    ("set_mpls_ttl", [None, Some(15), Some(15)]),
    ("dec_mpls_ttl", [None, Some(16), Some(16)]),
    ("push_mpls", [None, Some(19), Some(19)]),
    ("pop_mpls", [None, Some(20), Some(20)]),
    ("set_queue", [None, Some(21), Some(21)]),
    ("copy_ttl_out", [None, Some(11), Some(11)]),
    ("copy_ttl_in", [None, Some(12), Some(12)]),
    ("push_pbb", [None, None, Some(26)]),
    ("pop_pbb", [None, None, Some(27)]),
    ("copy_field", [None, None, Some(28)]),
    ("meter", [None, None, Some(29)]),
];

/// The names of a bit map of actions.
pub(super) fn action_names(bits: u32, version: Version) -> Vec<&'static str> {
    let column = match version {
        Version::V10 => 0,
        Version::V11 => 1,
        _ => 2,
    };
    let has = |row: &&(&str, [Option<u8>; 3])| row.1[column].is_some_and(|n| bits >> n & 1 == 1);
    ACTIONS.iter().filter(has).map(|row| row.0).collect()
}

/// Prints what groups can be, from the end of the header's line on.
pub fn print_group_features(f: &GroupFeatures, style: &Style<'_>) -> String {
    let kinds = ["all", "select", "indirect", "fast failover"];
    let mut out = format!(
        "\n Group table:\n    Types:  {:#x}\n    Capabilities:  {:#x}\n",
        f.kinds, f.capabilities
    );
    for (index, name) in kinds
        .iter()
        .enumerate()
        .filter(|(index, _)| f.kinds >> index & 1 == 1)
    {
        let names = action_names(f.actions[index], style.version).join(" ");
        let names = if names.is_empty() { "<none>" } else { &names };
        let _ = write!(
            out,
            "    {name} group:\n       max_groups={:#x}\n       actions: {names}\n",
            f.max_groups[index]
        );
    }
    out
}
