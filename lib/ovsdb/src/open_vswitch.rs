//! The two schemas that the switch serves, `Open_vSwitch` and `_Server`, kept as tables in a form of our own (`*.schema`).
//!
//! A line `table NAME [root] [rows=N] [index=a,b]` opens a table; each line below it is a column: its name, its type and
//! perhaps `ephemeral` (not kept) or `fixed` (not mutable). A type is a base, for a map `base->base`, and how many:
//! nothing = exactly one, `?` = at most one, `*` = any, `+` = at least one, `*N` = at most N.
//! A base is `int`, `int(min..max)` with either side open, `real`, `str`, `bool`, `uuid`, `a|b|c` (one of these strings),
//! `@Table` (a strong reference) or `~Table` (a weak one).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::schema::{
    BaseType, ColumnSchema, ColumnType, Constraint, DatabaseSchema, Reference, TableSchema,
};
use crate::value::{Atom, AtomType};

/// The name of the switch's database.
pub const OPEN_VSWITCH: &str = "Open_vSwitch";

/// The name of the database that describes the others.
pub const SERVER: &str = "_Server";

static SCHEMAS: LazyLock<[Arc<DatabaseSchema>; 2]> = LazyLock::new(|| {
    [
        include_str!("open_vswitch.schema"),
        include_str!("server.schema"),
    ]
    .map(|text| Arc::new(read(text).unwrap_or_else(|line| unreachable!("bad schema line: {line}"))))
});

/// The `Open_vSwitch` schema 8.3.1.
pub fn schema() -> Arc<DatabaseSchema> {
    SCHEMAS[0].clone()
}

/// The `_Server` schema 1.2.0.
pub fn server_schema() -> Arc<DatabaseSchema> {
    SCHEMAS[1].clone()
}

/// Reads the compact form; the error is the offending line.
fn read(text: &str) -> Result<DatabaseSchema, String> {
    let mut schema = DatabaseSchema {
        name: "".into(),
        version: String::new(),
        cksum: None,
        tables: BTreeMap::new(),
    };
    let mut table: Option<TableSchema> = None;
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ok = match (words.as_slice(), &mut table) {
            (["database", name, version], _) => {
                schema.name = (*name).into();
                schema.version = (*version).into();
                Some(())
            }
            (["table", name, attributes @ ..], _) => {
                schema
                    .tables
                    .extend(table.take().map(|t| (t.name.clone(), t)));
                read_table(name, attributes).map(|t| table = Some(t))
            }
            ([name, ty, rest @ ..], Some(table)) => read_column(name, ty, rest).map(|column| {
                table.columns.insert(column.name.clone(), column);
            }),
            _ => None,
        };
        ok.ok_or_else(|| line.to_owned())?;
    }
    schema.tables.extend(table.map(|t| (t.name.clone(), t)));
    Ok(schema)
}

fn read_table(name: &str, attributes: &[&str]) -> Option<TableSchema> {
    let mut table = TableSchema {
        name: name.into(),
        columns: BTreeMap::new(),
        is_root: false,
        max_rows: None,
        indexes: Vec::new(),
    };
    for attribute in attributes {
        match attribute.split_once('=') {
            None if *attribute == "root" => table.is_root = true,
            Some(("rows", n)) => table.max_rows = Some(n.parse().ok()?),
            Some(("index", columns)) => table
                .indexes
                .push(columns.split(',').map(Into::into).collect()),
            _ => return None,
        }
    }
    Some(table)
}

fn read_column(name: &str, ty: &str, rest: &[&str]) -> Option<ColumnSchema> {
    let (key, value) = match ty.split_once("->") {
        Some((key, value)) => (read_base(key)?, Some(read_base(value)?)),
        None => (read_base(ty)?, None),
    };
    let mut column = ColumnSchema {
        name: name.into(),
        ty: ColumnType {
            key,
            value,
            min: 1,
            max: Some(1),
        },
        ephemeral: false,
        mutable: true,
    };
    for word in rest {
        match *word {
            "?" => column.ty.min = 0,
            "*" => (column.ty.min, column.ty.max) = (0, None),
            "+" => column.ty.max = None,
            "ephemeral" => column.ephemeral = true,
            "fixed" => column.mutable = false,
            _ => (column.ty.min, column.ty.max) = (0, Some(word.strip_prefix('*')?.parse().ok()?)),
        }
    }
    Some(column)
}

fn read_base(text: &str) -> Option<BaseType> {
    let (atom, constraint) = match text {
        "int" => (AtomType::Integer, Constraint::Any),
        "real" => (AtomType::Real, Constraint::Any),
        "str" => (AtomType::String, Constraint::Any),
        "bool" => (AtomType::Boolean, Constraint::Any),
        "uuid" => (AtomType::Uuid, Constraint::Any),
        _ if text.starts_with(['@', '~']) => {
            let reference = Reference {
                table: text[1..].into(),
                strong: text.starts_with('@'),
            };
            (AtomType::Uuid, Constraint::Ref(reference))
        }
        _ if text.contains('|') => (
            AtomType::String,
            Constraint::Enum(text.split('|').map(Atom::from).collect()),
        ),
        _ => {
            let (min, max) = text
                .strip_prefix("int(")?
                .strip_suffix(')')?
                .split_once("..")?;
            let bound = |s: &str| {
                if s.is_empty() {
                    Some(None)
                } else {
                    s.parse().ok().map(|i| Some(Atom::Integer(i)))
                }
            };
            (
                AtomType::Integer,
                Constraint::Range(bound(min)?, bound(max)?),
            )
        }
    };
    Some(BaseType { atom, constraint })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str = "/usr/share/openvswitch/vswitch.ovsschema";

    /// Needs Debian's package openvswitch-common, which is among the development packages.
    #[test]
    fn equals_the_stock_schema() {
        let text = std::fs::read_to_string(STOCK)
            .unwrap_or_else(|e| panic!("{STOCK} (openvswitch-common): {e}"));
        let json = serde_json::from_str(&text).expect("stock schema is JSON");
        let mut stock = DatabaseSchema::from_json(&json).expect("stock schema is a schema");
        stock.cksum = None;
        for (name, table) in &stock.tables {
            assert_eq!(schema().tables.get(name), Some(table), "table {name}");
        }
        assert_eq!(*schema(), stock);
    }

    #[test]
    fn print_then_parse() {
        for schema in [schema(), server_schema()] {
            assert_eq!(
                DatabaseSchema::from_json(&schema.to_json()),
                Ok((*schema).clone())
            );
        }
    }
}
