//! Table statistics and features as text. Tables that are like the one before are not repeated.

use super::Style;
use crate::field::{FIELDS, Row};
use crate::message::{TableFeatures, TableStats};
use crate::types::Version;
use std::fmt::Write;

/// Prints rows of numbered things, with runs of like ones as `tables 2...5: ditto`.
/// `print` gets the row before, so that it can refer to it.
fn with_dittos<T>(
    out: &mut String,
    rows: &[T],
    id: impl Fn(&T) -> u8,
    alike: impl Fn(&T, &T) -> bool,
    print: impl Fn(&mut String, &T, Option<&T>),
) {
    let mut index = 0;
    while index < rows.len() {
        let run = match index {
            0 => 0,
            _ => rows[index..]
                .iter()
                .take_while(|row| alike(row, &rows[index - 1]))
                .count(),
        };
        let _ = match run {
            0 => Ok(()),
            1 => write!(out, "\n  table {}: ditto\n", id(&rows[index])),
            _ => write!(
                out,
                "\n  tables {}...{}: ditto\n",
                id(&rows[index]),
                id(&rows[index + run - 1])
            ),
        };
        if run == 0 {
            let before = index.checked_sub(1).map(|i| &rows[i]);
            out.push('\n');
            print(out, &rows[index], before);
        }
        index += run.max(1);
    }
}

/// OpenFlow 1.0 lists what its twelve-tuple can match.
const MATCHING10: &str = "    matching:\n      exact match or wildcard: in_port eth_{src,dst,type} vlan_{vid,pcp} ip_{src,dst} nw_{proto,tos} tcp_{src,dst}\n";

pub(super) fn table_stats(out: &mut String, tables: &[TableStats], style: &Style<'_>) {
    let counters = |t: &TableStats| {
        (
            t.active_count,
            t.lookup_count,
            t.matched_count,
            t.max_entries,
        )
    };
    let v10 = style.version == Version::V10;
    with_dittos(
        out,
        tables,
        |t| t.table.0,
        |a, b| counters(a) == counters(b) && custom_name(a).is_none() && custom_name(b).is_none(),
        |out, table, before| {
            let name = custom_name(table).map_or(String::new(), |n| format!(" (\"{n}\")"));
            let _ = writeln!(out, "  table {}{name}:", table.table);
            let _ = writeln!(
                out,
                "    active={}, lookup={}, matched={}",
                table.active_count, table.lookup_count, table.matched_count
            );
            match before {
                _ if !v10 => {}
                Some(before) if before.max_entries == table.max_entries => {
                    out.push_str("    (same features)\n")
                }
                _ => {
                    let _ = writeln!(out, "    max_entries={}", table.max_entries);
                    out.push_str(MATCHING10);
                }
            }
        },
    );
}

/// The name of a table that is not its number in words.
fn custom_name(table: &TableStats) -> Option<&str> {
    let plain = table.name.is_empty()
        || table.name == format!("table{}", table.table)
        || table.name == table.table.to_string()
        || table.name == "classifier";
    (!plain).then_some(table.name.as_str())
}

const INSTRUCTIONS: &str = "meter apply_actions clear_actions write_actions write_metadata";
const ACTIONS: &str = "output group set_field strip_vlan push_vlan mod_nw_ttl dec_ttl set_queue";

/// Prints what tables can do, each difference once.
pub fn print_table_features(tables: &[TableFeatures]) -> String {
    let mut out = String::new();
    with_dittos(
        &mut out,
        tables,
        |t| t.table.0,
        |a, b| {
            // Neighbours whose successors are all the tables above them are alike.
            let rest = |t: &TableFeatures| {
                (
                    t.metadata_match,
                    t.metadata_write,
                    t.max_entries,
                    t.next_tables.last().copied(),
                )
            };
            rest(a) == rest(b) && a.next_tables.is_empty() == b.next_tables.is_empty()
        },
        |out, table, before| {
            let _ = writeln!(out, "  table {}:", table.table);
            let _ = writeln!(
                out,
                "    metadata: match={:#x} write={:#x}",
                table.metadata_match, table.metadata_write
            );
            let _ = writeln!(out, "    max_entries={}", table.max_entries);
            out.push_str("    instructions (table miss and others):\n");
            let goto = match (table.next_tables.first(), table.next_tables.last()) {
                (Some(first), Some(last)) => {
                    let _ = writeln!(out, "      next tables: {first}-{last}");
                    " goto_table"
                }
                _ => "",
            };
            let _ = writeln!(out, "      instructions: {INSTRUCTIONS}{goto}");
            if before.is_some() {
                out.push_str("      (same actions)\n    (same matching)\n");
                return;
            }
            let _ = writeln!(
                out,
                "      Write-Actions and Apply-Actions features:\n        actions: {ACTIONS}"
            );
            let _ = writeln!(
                out,
                "        supported on Set-Field: {}",
                field_list(|row| row.writable)
            );
            out.push_str("    matching:\n");
            let _ = writeln!(
                out,
                "      arbitrary mask: {}",
                field_list(|row| row.maskable)
            );
            let _ = writeln!(
                out,
                "      exact match or wildcard: {}",
                field_list(|row| !row.maskable)
            );
        },
    );
    // Tables are set apart by empty lines, which also end the last one.
    out.push('\n');
    out.trim_start_matches('\n').to_owned()
}

fn field_list(select: impl Fn(&Row) -> bool) -> String {
    let on_the_wire = |row: &&Row| row.nxm.is_some() || row.oxm.is_some();
    let names: Vec<&str> = FIELDS
        .iter()
        .filter(on_the_wire)
        .filter(|row| select(row))
        .map(|row| row.name)
        .collect();
    names.join(" ")
}
