//! Table statistics and features as text. Tables that are like the one before are not repeated.

use super::Style;
use super::status::miss_name;
use crate::field::{FIELDS, Field};
use crate::message::{TableAbilities, TableDoing, TableFeatures, TableStats, table_config};
use crate::types::{TableId, Version};
use std::fmt::Write;

/// A table of a list.
trait Row {
    fn number(&self) -> u8;
    /// Empty: it has none.
    fn name(&self) -> &str;
    /// Whether all but number and name is the same.
    fn is_like(&self, other: &Self) -> bool;
}

/// Prints a list; tables that are like the one before, in runs of those without a name, as `tables 2...5: ditto`.
/// `print` gets the table before, so that it can refer to it.
fn with_dittos<T: Row>(out: &mut String, rows: &[T], print: impl Fn(&mut String, &T, Option<&T>)) {
    let mut run: Option<(u8, u8)> = None;
    let end_of_run = |out: &mut String, run: &mut Option<(u8, u8)>| {
        let _ = match run.take() {
            None => Ok(()),
            Some((first, last)) if first == last => write!(out, "\n  table {first}: ditto\n"),
            Some((first, last)) => write!(out, "\n  tables {first}...{last}: ditto\n"),
        };
    };
    for (index, row) in rows.iter().enumerate() {
        let before = index.checked_sub(1).map(|i| &rows[i]);
        let (like, number) = (
            before.is_some_and(|before| row.is_like(before)),
            row.number(),
        );
        if like && row.name().is_empty() {
            run = Some((run.map_or(number, |run| run.0), number));
            continue;
        }
        end_of_run(out, &mut run);
        let _ = write!(out, "\n  table {number}");
        if !row.name().is_empty() {
            let _ = write!(out, " (\"{}\")", row.name());
        }
        if like {
            out.push_str(": ditto");
        } else {
            out.push_str(":\n");
            print(out, row, before);
        }
    }
    end_of_run(out, &mut run);
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

const SAME_MATCHING: &str = "    (same matching)\n";
/// OpenFlow 1.0 lists what its twelve-tuple can match.
const MATCHING10: &str = "    matching:\n      exact match or wildcard: in_port eth_{src,dst,type} vlan_{vid,pcp} ip_{src,dst} nw_{proto,tos} tcp_{src,dst}\n";

impl Row for TableStats {
    fn number(&self) -> u8 {
        self.table.0
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn is_like(&self, other: &Self) -> bool {
        let counters = |t: &TableStats| (t.active_count, t.lookup_count, t.matched_count);
        counters(self) == counters(other) && same_features(self, other)
    }
}

pub(super) fn table_stats(out: &mut String, tables: &[TableStats], style: &Style<'_>) {
    with_dittos(out, tables, |out, table, before| {
        let _ = writeln!(
            out,
            "    active={}, lookup={}, matched={}",
            table.active_count, table.lookup_count, table.matched_count
        );
        if style.version >= Version::V13 {
            return;
        }
        match before {
            Some(before) if same_features(table, before) => out.push_str("    (same features)\n"),
            _ => stats_features(out, table, before, style.version),
        }
    });
}

fn same_features(a: &TableStats, b: &TableStats) -> bool {
    let features = |t: &TableStats| (t.config, t.max_entries, t.metadata);
    features(a) == features(b) && a.abilities == b.abilities
}

/// What versions before 1.3 say of a table beside its counters.
fn stats_features(out: &mut String, t: &TableStats, before: Option<&TableStats>, version: Version) {
    if version == Version::V12 {
        let [matched, written] = t.metadata;
        let _ = writeln!(out, "    metadata: match={matched:#x} write={written:#x}");
    }
    if version > Version::V10 {
        let _ = writeln!(out, "    config={}", miss_name(t.config));
    }
    let _ = writeln!(out, "    max_entries={}", t.max_entries);
    if version == Version::V10 {
        out.push_str(match before {
            Some(_) => SAME_MATCHING,
            None => MATCHING10,
        });
    }
    if let Some(abilities) = &t.abilities {
        let before = before.and_then(|before| before.abilities.as_deref());
        print_abilities(out, abilities, before);
    }
}

/// Instructions in the order of execution: bit and name.
const INSTRUCTIONS: [(u32, &str); 7] = [
    (6, "meter"),
    (4, "apply_actions"),
    (5, "clear_actions"),
    (3, "write_actions"),
    (2, "write_metadata"),
    (7, "stat_trigger"),
    (1, "goto_table"),
];

/// Actions of 1.1 and later in the order in which they are printed: bit and name.
const ACTIONS: [(u32, &str); 30] = [
    (0, "output"),
    (22, "group"),
    (25, "set_field"),
    (1, "set_vlan_vid"),
    (2, "set_vlan_pcp"),
    (18, "strip_vlan"),
    (17, "push_vlan"),
    (3, "mod_dl_src"),
    (4, "mod_dl_dst"),
    (5, "mod_nw_src"),
    (6, "mod_nw_dst"),
    (7, "mod_nw_tos"),
    (8, "mod_nw_ecn"),
    (23, "mod_nw_ttl"),
    (9, "mod_tp_src"),
    (10, "mod_tp_dst"),
    (24, "dec_ttl"),
    (13, "set_mpls_label"),
    (14, "set_mpls_tc"),
    (15, "set_mpls_ttl"),
    (16, "dec_mpls_ttl"),
    (19, "push_mpls"),
    (20, "pop_mpls"),
    (21, "set_queue"),
    (11, "copy_ttl_out"),
    (12, "copy_ttl_in"),
    (26, "push_pbb"),
    (27, "pop_pbb"),
    (28, "copy_field"),
    (29, "meter"),
];

fn bits(names: &[(u32, &str)], bits: u32) -> String {
    let set = names.iter().filter(|(bit, _)| bits >> bit & 1 == 1);
    let words: Vec<&str> = set.map(|(_, name)| *name).collect();
    match &words[..] {
        [] => "none".to_owned(),
        words => words.join(" "),
    }
}

impl Row for TableFeatures {
    fn number(&self) -> u8 {
        self.table.0
    }
    fn name(&self) -> &str {
        &self.name
    }
    /// Goto reaches the same last table.
    fn is_like(&self, other: &Self) -> bool {
        let rest = |t: &TableFeatures| {
            let (masks, last) = ((t.metadata_match, t.metadata_write), t.next_tables.last());
            let goes = last.copied();
            (masks, t.max_entries, t.capabilities, t.flags, goes)
        };
        let abilities = match (&self.abilities, &other.abilities) {
            (Some(a), Some(b)) => {
                same_instructions(a, b) && same_matching(a, b) && a.packet_types == b.packet_types
            }
            (a, b) => a.is_none() && b.is_none(),
        };
        rest(self) == rest(other) && abilities
    }
}

/// Goto reaches those behind a table, up to the same last one.
fn same_instructions(a: &TableAbilities, b: &TableAbilities) -> bool {
    let goes = |t: &TableAbilities| {
        t.doing
            .each_ref()
            .map(|d| (d.instructions, d.next_tables.last().copied()))
    };
    goes(a) == goes(b) && same_actions(a, b)
}

fn same_actions(a: &TableAbilities, b: &TableAbilities) -> bool {
    let mut pairs = a.doing.iter().zip(&b.doing);
    pairs.all(|(a, b)| (&a.write, &a.apply) == (&b.write, &b.apply))
}

fn same_matching(a: &TableAbilities, b: &TableAbilities) -> bool {
    (&a.matching, &a.wildcards) == (&b.matching, &b.wildcards)
}

/// Prints what tables can do, each difference once.
pub fn print_table_features(tables: &[TableFeatures], version: Version) -> String {
    let mut out = String::new();
    with_dittos(&mut out, tables, |out, table, before| {
        head(out, table, version);
        if let Some(abilities) = &table.abilities {
            let before = before.and_then(|before| before.abilities.as_deref());
            print_abilities(out, abilities, before);
        }
    });
    // Tables are set apart by empty lines, which also end the last one.
    out.push('\n');
    out.trim_start_matches('\n').to_owned()
}

fn head(out: &mut String, table: &TableFeatures, version: Version) {
    let _ = writeln!(
        out,
        "    metadata: match={:#x} write={:#x}",
        table.metadata_match, table.metadata_write
    );
    if version >= Version::V14 {
        for (name, bit) in [
            ("eviction", table_config::EVICTION),
            ("vacancy events", table_config::VACANCY_EVENTS),
        ] {
            let not = if table.capabilities & bit == 0 {
                "not "
            } else {
                ""
            };
            let _ = writeln!(out, "    {name}: {not}supported");
        }
    }
    let _ = writeln!(out, "    max_entries={}", table.max_entries);
}

fn print_abilities(out: &mut String, t: &TableAbilities, before: Option<&TableAbilities>) {
    let [other, miss] = &t.doing;
    // Only long lists are referred to.
    let same =
        before.is_some_and(|before| same_actions(t, before)) && !other.write.fields.is_empty();
    if before.is_some_and(|before| same_instructions(t, before)) {
        out.push_str("    (same instructions)\n");
    } else if other == miss {
        out.push_str("    instructions (table miss and others):\n");
        doing(out, other, same);
    } else {
        out.push_str("    instructions (other than table miss):\n");
        doing(out, other, same);
        out.push_str("    instructions (table miss):\n");
        doing(out, miss, same);
    }
    if before.is_some_and(|before| same_matching(t, before)) {
        return out.push_str(SAME_MATCHING);
    }
    out.push_str("    matching:\n");
    let masked = |wanted: bool| {
        let fields = t.matching.iter().filter(|(_, masked)| *masked == wanted);
        fields.map(|(field, _)| *field).collect::<Vec<_>>()
    };
    let (any, rest) = (masked(true), masked(false));
    let may = |field: &Field| t.wildcards.contains(field);
    let (free, must): (Vec<Field>, Vec<Field>) = rest.into_iter().partition(may);
    for (label, fields) in [
        ("arbitrary mask", any),
        ("exact match or wildcard", free),
        ("must exact match", must),
    ] {
        if !fields.is_empty() {
            let _ = writeln!(out, "      {label}: {}", field_list(&fields));
        }
    }
}

fn doing(out: &mut String, d: &TableDoing, same: bool) {
    if !d.next_tables.is_empty() {
        let _ = writeln!(out, "      next tables: {}", table_ranges(&d.next_tables));
    }
    let _ = writeln!(
        out,
        "      instructions: {}",
        bits(&INSTRUCTIONS, d.instructions)
    );
    let both = "Write-Actions and Apply-Actions";
    let sections = match (same, d.write == d.apply) {
        (true, _) => return out.push_str("      (same actions)\n"),
        (_, true) => vec![(both, &d.write)],
        _ => vec![("Write-Actions", &d.write), ("Apply-Actions", &d.apply)],
    };
    for (label, actions) in sections {
        let _ = writeln!(
            out,
            "      {label} features:\n        actions: {}",
            bits(&ACTIONS, actions.actions)
        );
        if !actions.fields.is_empty() {
            let fields = field_list(&actions.fields);
            let _ = writeln!(out, "        supported on Set-Field: {fields}");
        }
    }
}

/// `1-5,7`
fn table_ranges(tables: &[TableId]) -> String {
    let mut ranges: Vec<(u8, u8)> = Vec::new();
    for table in tables {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(table.0) => *last = table.0,
            _ => ranges.push((table.0, table.0)),
        }
    }
    let words = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(",")
}

/// Names of fields in the order of the table, neighbours that begin alike drawn together.
fn field_list(fields: &[Field]) -> String {
    let known = FIELDS.iter().filter(|row| fields.contains(&row.field));
    let names: Vec<&str> = known.map(|row| row.name).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => draw_together(&names).join(" "),
    }
}

/// `reg0 reg1 eth_src eth_dst`: `reg0...reg1 eth_{src,dst}`.
fn draw_together(names: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = names;
    while let [name, ..] = rest {
        let numbered = number_run(rest);
        let prefix = name
            .split_once('_')
            .map(|(prefix, _)| &name[..=prefix.len()]);
        let alike = |prefix: &str| rest.iter().take_while(|n| n.starts_with(prefix)).count();
        let run = prefix.map_or(1, alike);
        if numbered > 1 {
            words.push(format!("{name}...{}", rest[numbered - 1]));
            rest = &rest[numbered..];
        } else if run > 1 {
            let size = prefix.map_or(0, str::len);
            let inner: Vec<&str> = rest[..run].iter().map(|n| &n[size..]).collect();
            let inner = draw_together(&inner).join(",");
            words.push(format!("{}{{{inner}}}", &name[..size]));
            rest = &rest[run..];
        } else {
            words.push((*name).to_owned());
            rest = &rest[1..];
        }
    }
    words
}

/// How many names count up by one from the first, like `reg0 reg1 reg2`.
fn number_run(names: &[&str]) -> usize {
    let split = |name: &str| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number: Option<u32> = name[stem.len()..].parse().ok();
        number.map(|number| (stem.to_owned(), number))
    };
    let Some((stem, first)) = names.first().and_then(|name| split(name)) else {
        return 1;
    };
    let counts =
        |(index, name): &(usize, &&str)| split(name) == Some((stem.clone(), first + *index as u32));
    names.iter().enumerate().take_while(counts).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::draw_together;

    #[test]
    fn names_are_drawn_together() {
        let names = "tun_id tun_ipv6_src tun_ipv6_dst reg0 reg1 reg2 eth_src ip_frag nw_tos nw_ttl";
        let names: Vec<&str> = names.split(' ').collect();
        assert_eq!(
            draw_together(&names).join(" "),
            "tun_{id,ipv6_{src,dst}} reg0...reg2 eth_src ip_frag nw_{tos,ttl}"
        );
    }
}
