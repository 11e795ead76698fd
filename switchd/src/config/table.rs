//! Flow_Table rows: names and limits of a bridge's tables.

use super::problem::Problem;
use super::row::Reader;
use datapath::control::TableSettings;
use ofp::text::{Word, read_subfield};
use ofp::types::TableId;
use ovsdb::Database;
use std::collections::BTreeMap;

/// What OpenFlow can say of a table's name.
const NAME_SIZE: usize = 31;

/// Reads the rows that a bridge's `flow_tables` names.
pub fn read(
    bridge: &Reader<'_>,
    db: &Database,
    problems: &mut Vec<Problem>,
) -> BTreeMap<TableId, TableSettings> {
    let column = bridge.column("flow_tables").into_iter();
    let mut tables = BTreeMap::new();
    for (number, uuid) in column.flat_map(|datum| datum.pairs()) {
        let (Some(number), Some(uuid)) = (number.as_int(), uuid.as_uuid()) else {
            continue;
        };
        let number = u8::try_from(number).ok();
        let Some(number) = number.filter(|n| usize::from(*n) < TableId::LEN) else {
            let text = format!("flow_tables: a bridge has tables 0 to {}", TableId::LEN - 1);
            bridge.problem(problems, text);
            continue;
        };
        if let Some(row) = db.row("Flow_Table", uuid) {
            let row = Reader::new("Flow_Table", uuid, row);
            tables.insert(TableId(number), table(&row, problems));
        }
    }
    tables
}

fn table(at: &Reader<'_>, problems: &mut Vec<Problem>) -> TableSettings {
    let name = at.string("name").to_owned();
    if name.len() > NAME_SIZE {
        let text = format!("name {name:?} is longer than {NAME_SIZE} bytes");
        at.problem(problems, text);
    }
    let mut groups = Vec::new();
    for word in at.column("groups").into_iter().flat_map(|d| d.strings()) {
        match read_subfield(Word::new(word)) {
            Ok(subfield) => groups.push(subfield),
            Err(error) => at.problem(problems, format!("groups: {word:?}: {error}")),
        }
    }
    TableSettings {
        name,
        flow_limit: at
            .int("flow_limit")
            .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        evict: at.string("overflow_policy") == "evict",
        groups,
    }
}
