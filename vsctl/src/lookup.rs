//! What users call tables, columns and rows: any case, `-` for `_`, abbreviations, names, `.`, beginnings of UUIDs.

use ovsdb::client::Replica;
use ovsdb::schema::{ColumnSchema, DatabaseSchema, TableSchema};
use ovsdb::value::parse_uuid;
use ovsdb::{Atom, Uuid};

use crate::error::{Result, fail};
use crate::suggest::hint;
use crate::symbols::Symbols;

/// How rows of a table may be called, besides by UUID.
#[derive(Debug, Clone, Copy)]
pub enum Handle {
    /// `.`, the only row.
    Only,
    /// By the value of this column.
    Column(&'static str),
    /// The row that this column of this table refers to, in the row that is called so.
    Via(&'static str, &'static str),
}

/// The handles of the tables that have any.
pub const HANDLES: &[(&str, Handle)] = &[
    ("AutoAttach", Handle::Via("Bridge", "auto_attach")),
    ("Bridge", Handle::Column("name")),
    ("Controller", Handle::Via("Bridge", "controller")),
    ("Flow_Sample_Collector_Set", Handle::Column("id")),
    ("Flow_Table", Handle::Column("name")),
    ("IPFIX", Handle::Via("Bridge", "ipfix")),
    ("Interface", Handle::Column("name")),
    ("Manager", Handle::Column("target")),
    ("Mirror", Handle::Column("name")),
    ("NetFlow", Handle::Via("Bridge", "netflow")),
    ("Open_vSwitch", Handle::Only),
    ("Port", Handle::Column("name")),
    ("QoS", Handle::Via("Port", "qos")),
    ("SSL", Handle::Only),
    ("sFlow", Handle::Via("Bridge", "sflow")),
];

/// The fewest hex digits that abbreviate a UUID.
const UUID_PREFIX_MIN: usize = 4;

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// The items that `name` is, or else abbreviates.
fn matching<'a, T>(
    name: &str,
    items: impl Iterator<Item = &'a T> + Clone,
    name_of: impl Fn(&T) -> &str,
) -> Vec<&'a T> {
    let name = fold(name);
    let exact: Vec<_> = items
        .clone()
        .filter(|item| fold(name_of(item)) == name)
        .collect();
    match exact.is_empty() {
        false => exact,
        true => items
            .filter(|item| !name.is_empty() && fold(name_of(item)).starts_with(&name))
            .collect(),
    }
}

/// The table that the user means.
pub fn table<'a>(schema: &'a DatabaseSchema, name: &str) -> Result<&'a TableSchema> {
    let near = matching(name, schema.tables.values(), |table| &table.name);
    match near.as_slice() {
        [table] => Ok(table),
        [] => fail!(
            "unknown table \"{name}\"{}",
            hint(name, schema.tables.keys().map(|name| &**name))
        ),
        _ => fail!(
            "\"{name}\" matches multiple table names: {}",
            names(near.iter().map(|table| &*table.name))
        ),
    }
}

/// The column of `table` that the user means. `_uuid` is none.
pub fn column<'a>(table: &'a TableSchema, name: &str) -> Result<&'a ColumnSchema> {
    let near = matching(name, table.columns.values(), |column| &column.name);
    match near.as_slice() {
        [column] => Ok(column),
        [] => fail!(
            "{} does not contain a column whose name matches \"{name}\"{}",
            table.name,
            hint(name, table.columns.keys().map(|name| &**name))
        ),
        _ => fail!(
            "{} contains more than one column whose name matches \"{name}\": {}",
            table.name,
            names(near.iter().map(|column| &*column.name))
        ),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The row of `table` that the user means; `None` if there is none.
pub fn find_row(
    rows: &Replica,
    table: &str,
    word: &str,
    symbols: &Symbols,
) -> Result<Option<Uuid>> {
    if word.starts_with('@') {
        return match symbols.get(word) {
            Some(uuid) => Ok(rows.row(table, uuid).map(|_| uuid)),
            None => fail!("row id \"{word}\" is not defined before this command"),
        };
    }
    if let Some(uuid) = parse_uuid(word).filter(|uuid| rows.row(table, *uuid).is_some()) {
        return Ok(Some(uuid));
    }
    let found = match HANDLES.iter().find(|(name, _)| *name == table) {
        Some((_, Handle::Only)) if word == "." => rows.rows(table).map(|(uuid, _)| uuid).collect(),
        Some((_, Handle::Column(column))) => called(rows, table, column, word),
        Some((_, Handle::Via(from, column))) => {
            let from_rows = called(rows, from, "name", word)
                .into_iter()
                .filter_map(|uuid| rows.row(from, uuid));
            from_rows
                .flat_map(|row| row.uuids(column))
                .filter(|uuid| rows.row(table, *uuid).is_some())
                .collect()
        }
        _ => Vec::new(),
    };
    match found.as_slice() {
        [uuid] => Ok(Some(*uuid)),
        [] => by_prefix(rows, table, word),
        _ => fail!("multiple rows in {table} match \"{word}\""),
    }
}

/// The row that must be there.
pub fn row(rows: &Replica, table: &str, word: &str, symbols: &Symbols) -> Result<Uuid> {
    if let Some(uuid) = find_row(rows, table, word, symbols)? {
        return Ok(uuid);
    }
    let known: Vec<_> = match HANDLES.iter().find(|(name, _)| *name == table) {
        Some((_, Handle::Column(column))) => {
            rows.rows(table).map(|(_, row)| row.str(column)).collect()
        }
        _ => Vec::new(),
    };
    fail!("no row \"{word}\" in table {table}{}", hint(word, known))
}

fn called(rows: &Replica, table: &str, column: &str, word: &str) -> Vec<Uuid> {
    let is = |atom: &Atom| {
        atom.as_str()
            .map_or_else(|| atom.to_string() == word, |text| text == word)
    };
    let rows = rows.rows(table).filter(|(_, row)| {
        row.get(column)
            .and_then(|datum| datum.as_atom())
            .is_some_and(is)
    });
    rows.map(|(uuid, _)| uuid).collect()
}

fn by_prefix(rows: &Replica, table: &str, word: &str) -> Result<Option<Uuid>> {
    let digits = word.bytes().filter(u8::is_ascii_hexdigit).count();
    if digits < UUID_PREFIX_MIN || !word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        return Ok(None);
    }
    let prefix = word.to_ascii_lowercase();
    let mut near = rows
        .rows(table)
        .map(|(uuid, _)| uuid)
        .filter(|uuid| uuid.to_string().starts_with(&prefix));
    match (near.next(), near.next()) {
        (Some(_), Some(_)) => {
            fail!("\"{word}\" is the beginning of more than one UUID in table {table}")
        }
        (first, _) => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::{Datum, Row};
    use serde_json::json;

    fn schema() -> DatabaseSchema {
        let columns = json!({"fail_mode": {"type": "string"}, "flood_vlans": {"type": "string"}, "flow": {"type": "string"}, "flow_tables": {"type": "string"}});
        let json = json!({"name": "D", "version": "1.0.0", "tables": {
            "Open_vSwitch": {"columns": columns}, "Port": {"columns": {}}, "Controller": {"columns": {}}, "CT_Zone": {"columns": {}},
        }});
        DatabaseSchema::from_json(&json).unwrap()
    }

    #[test]
    fn tables_and_columns() {
        let schema = schema();
        let table = |name| {
            table(&schema, name)
                .map(|t| t.name.to_string())
                .map_err(|e| e.to_string())
        };
        for name in ["Open_vSwitch", "open-VSWITCH", "open", "o"] {
            assert_eq!(table(name).unwrap(), "Open_vSwitch");
        }
        assert_eq!(
            table("c").unwrap_err(),
            "\"c\" matches multiple table names: CT_Zone, Controller"
        );
        assert_eq!(
            table("prot").unwrap_err(),
            "unknown table \"prot\" (did you mean Port?)"
        );
        assert!(table("").is_err());
        let column = |name| {
            column(&schema.tables["Open_vSwitch"], name)
                .map(|c| c.name.to_string())
                .map_err(|e| e.to_string())
        };
        assert_eq!(column("Fail-Mode").unwrap(), "fail_mode");
        assert_eq!(column("flow").unwrap(), "flow");
        let ambiguous = "Open_vSwitch contains more than one column whose name matches \"fl\": flood_vlans, flow, flow_tables";
        assert_eq!(column("fl").unwrap_err(), ambiguous);
        assert!(
            column("fial_mode")
                .unwrap_err()
                .ends_with("(did you mean fail_mode?)")
        );
        assert!(column("_uuid").is_err());
    }

    #[test]
    fn rows() {
        let (mut rows, mut symbols) = (Replica::default(), Symbols::default());
        let uuid = |n: u8| Uuid::from_bytes([n; 16]);
        rows.put(
            "Bridge",
            uuid(0x11),
            Row::new()
                .with("name", Datum::scalar("br0"))
                .with("controller", Datum::scalar(uuid(0x22))),
        );
        rows.put("Controller", uuid(0x22), Row::new());
        rows.put("Open_vSwitch", uuid(0x33), Row::new());
        rows.put("Queue", uuid(0x44), Row::new());
        symbols.bind("@q", uuid(0x44)).unwrap();
        for (table, word, want) in [
            ("Bridge", "br0", 0x11),
            ("Bridge", "1111", 0x11),
            ("Controller", "br0", 0x22),
            ("Open_vSwitch", ".", 0x33),
            ("Queue", "@q", 0x44),
            ("Queue", "44444444-4444-4444-4444-444444444444", 0x44),
            ("Queue", "44444444-44", 0x44),
        ] {
            assert_eq!(
                row(&rows, table, word, &symbols).unwrap(),
                uuid(want),
                "{table} {word}"
            );
        }
        for (table, word) in [
            ("Bridge", "br9"),
            ("Bridge", "111"),
            ("Queue", "."),
            ("Queue", "55"),
            ("Controller", "br1"),
        ] {
            assert_eq!(
                find_row(&rows, table, word, &symbols).unwrap(),
                None,
                "{table} {word}"
            );
        }
        let error = row(&rows, "Bridge", "br9", &symbols)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "no row \"br9\" in table Bridge (did you mean br0?)");
    }
}
