//! The tables in memory: complete rows, reference counts and indexes, changed by whole [`Delta`]s only.
//! [`crate::txn::Txn`] makes deltas; nothing here does I/O.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::schema::{ColumnSchema, DatabaseSchema, TableSchema};
use crate::value::{Datum, Name, Row, Uuid};

/// What happened to one row. `old` and `new` are never both absent, and never equal.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    /// The row before; absent if it was inserted.
    pub old: Option<Arc<Row>>,
    /// The row after; absent if it was deleted.
    pub new: Option<Arc<Row>>,
}

impl RowChange {
    /// Whether `column` has another value now; an inserted or deleted row counts as changed in all columns.
    pub fn changes(&self, column: &str) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => old.get(column) != new.get(column),
            _ => true,
        }
    }
}

/// What a transaction changed. It includes what followed from it: rows without references, weak references.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// Changed rows by table.
    pub tables: BTreeMap<Name, BTreeMap<Uuid, RowChange>>,
    /// The transaction's comments.
    pub comment: String,
}

impl Delta {
    /// Whether no row changed.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The changed rows of `table`.
    pub fn table(&self, table: &str) -> impl Iterator<Item = (Uuid, &RowChange)> {
        self.tables
            .get(table)
            .into_iter()
            .flatten()
            .map(|(uuid, change)| (*uuid, change))
    }

    /// Every changed row with its table.
    pub fn changes(&self) -> impl Iterator<Item = (&Name, Uuid, &RowChange)> {
        self.tables.iter().flat_map(|(table, rows)| {
            rows.iter()
                .map(move |(uuid, change)| (table, *uuid, change))
        })
    }

    /// The delta that takes this one back.
    #[must_use]
    pub fn inverted(&self) -> Self {
        let invert = |c: &RowChange| RowChange {
            old: c.new.clone(),
            new: c.old.clone(),
        };
        let tables = self.tables.iter();
        Self {
            tables: tables
                .map(|(t, rows)| {
                    (
                        t.clone(),
                        rows.iter().map(|(u, c)| (*u, invert(c))).collect(),
                    )
                })
                .collect(),
            comment: self.comment.clone(),
        }
    }
}

/// Why the daemon refuses a change; shown to the client as a "constraint violation".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

/// The daemon's say in what clients commit. `()` accepts everything.
pub trait CommitHook {
    /// Called with the database as it would be, before anything is kept or told. A refusal takes everything back.
    /// Not called for the daemon's own updates.
    fn check(&mut self, after: &Database, delta: &Delta) -> Result<(), Refusal>;

    /// Called after a client's transaction became part of the database.
    fn committed(&mut self, after: &Database, delta: &Delta) {
        let _ = (after, delta);
    }
}

impl CommitHook for () {
    fn check(&mut self, _: &Database, _: &Delta) -> Result<(), Refusal> {
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Table {
    schema: TableSchema,
    rows: BTreeMap<Uuid, Arc<Row>>,
    /// How many strong references each row has.
    references: HashMap<Uuid, usize>,
    /// For each index of the schema: the values and the row that has them.
    indexes: Vec<BTreeMap<Vec<Datum>, Uuid>>,
}

/// A database: a schema and the rows that obey it.
#[derive(Debug, Clone)]
pub struct Database {
    schema: Arc<DatabaseSchema>,
    tables: BTreeMap<Name, Table>,
    weak: Vec<WeakColumn>,
}

/// A column with weak references into `target`.
#[derive(Debug, Clone)]
pub(crate) struct WeakColumn {
    pub table: Name,
    pub column: Name,
    pub target: Name,
}

impl Database {
    /// An empty database.
    pub fn new(schema: Arc<DatabaseSchema>) -> Self {
        let table = |t: &TableSchema| Table {
            schema: t.clone(),
            rows: BTreeMap::new(),
            references: HashMap::new(),
            indexes: vec![BTreeMap::new(); t.indexes.len()],
        };
        let tables = schema
            .tables
            .iter()
            .map(|(n, t)| (n.clone(), table(t)))
            .collect();
        let weak = weak_columns(&schema);
        Self {
            schema,
            tables,
            weak,
        }
    }

    /// Its schema.
    pub fn schema(&self) -> &Arc<DatabaseSchema> {
        &self.schema
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.schema.name
    }

    /// The rows of `table` in the order of their UUIDs; none if there is no such table.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Arc<Row>)> {
        self.tables
            .get(table)
            .into_iter()
            .flat_map(|t| t.rows.iter().map(|(u, r)| (*u, r)))
    }

    /// One row.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Arc<Row>> {
        self.tables.get(table)?.rows.get(&uuid)
    }

    /// The only row of a table that has one, like `Open_vSwitch`.
    pub fn singleton(&self, table: &str) -> Option<(Uuid, &Arc<Row>)> {
        self.rows(table).next()
    }

    /// The row that has `value` in the one column of the table's first index (`name` of Bridge, Port, Interface).
    pub fn find(&self, table: &str, value: &str) -> Option<(Uuid, &Arc<Row>)> {
        let table = self.tables.get(table)?;
        let uuid = *table.indexes.first()?.get(&vec![Datum::scalar(value)])?;
        Some((uuid, table.rows.get(&uuid)?))
    }

    /// The rows of `table` that `uuids` name.
    pub fn resolve(
        &self,
        table: &str,
        uuids: impl IntoIterator<Item = Uuid>,
    ) -> impl Iterator<Item = (Uuid, &Arc<Row>)> {
        uuids
            .into_iter()
            .filter_map(move |u| Some((u, self.row(table, u)?)))
    }

    /// Number of rows of `table`.
    pub fn len(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |t| t.rows.len())
    }

    /// Number of rows of all tables.
    pub fn row_count(&self) -> usize {
        self.tables.values().map(|t| t.rows.len()).sum()
    }

    pub(crate) fn weak_columns(&self) -> &[WeakColumn] {
        &self.weak
    }

    pub(crate) fn reference_count(&self, table: &str, uuid: Uuid) -> usize {
        self.tables
            .get(table)
            .and_then(|t| t.references.get(&uuid))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn indexed(&self, table: &str, index: usize, values: &Vec<Datum>) -> Option<Uuid> {
        self.tables
            .get(table)?
            .indexes
            .get(index)?
            .get(values)
            .copied()
    }

    /// Puts a delta into the tables. It must have been made from this very state.
    pub(crate) fn apply(&mut self, delta: &Delta) {
        let schema = self.schema.clone();
        for (name, uuid, change) in delta.changes() {
            let Some(table) = self.tables.get_mut(name) else {
                continue;
            };
            for row in change.old.iter() {
                table.unindex(uuid, row);
                table.rows.remove(&uuid);
            }
            if let Some(row) = &change.new {
                table.rows.insert(uuid, row.clone());
            }
            let Some(table) = schema.tables.get(name) else {
                continue;
            };
            for column in table.columns.values().filter(|c| change.changes(&c.name)) {
                self.count(column, change.old.as_deref(), |n| n.saturating_sub(1));
                self.count(column, change.new.as_deref(), |n| n + 1);
            }
        }
        // New index entries come after all old ones are gone: two rows may swap their values.
        for (name, uuid, change) in delta.changes() {
            if let (Some(table), Some(row)) = (self.tables.get_mut(name), &change.new) {
                table.index(uuid, row);
            }
        }
    }

    fn count(&mut self, column: &ColumnSchema, row: Option<&Row>, change: impl Fn(usize) -> usize) {
        let Some(datum) = row.and_then(|r| r.get(&column.name)) else {
            return;
        };
        for (reference, uuid) in column.ty.references(datum).filter(|(r, _)| r.strong) {
            let Some(table) = self.tables.get_mut(&reference.table) else {
                continue;
            };
            let count = change(table.references.get(&uuid).copied().unwrap_or(0));
            if count == 0 {
                table.references.remove(&uuid);
            } else {
                table.references.insert(uuid, count);
            }
        }
    }
}

impl Table {
    fn index(&mut self, uuid: Uuid, row: &Row) {
        for (columns, index) in self.schema.indexes.iter().zip(&mut self.indexes) {
            index.insert(index_values(columns, row), uuid);
        }
    }

    fn unindex(&mut self, uuid: Uuid, row: &Row) {
        for (columns, index) in self.schema.indexes.iter().zip(&mut self.indexes) {
            let values = index_values(columns, row);
            if index.get(&values) == Some(&uuid) {
                index.remove(&values);
            }
        }
    }
}

/// The values that `row` has in the columns of an index.
pub(crate) fn index_values(columns: &[Name], row: &Row) -> Vec<Datum> {
    columns.iter().filter_map(|c| row.get(c)).cloned().collect()
}

fn weak_columns(schema: &DatabaseSchema) -> Vec<WeakColumn> {
    let mut weak = Vec::new();
    for table in schema.tables.values() {
        for column in table.columns.values() {
            for reference in column
                .ty
                .bases()
                .filter_map(|b| b.reference())
                .filter(|r| !r.strong)
            {
                weak.push(WeakColumn {
                    table: table.name.clone(),
                    column: column.name.clone(),
                    target: reference.table.clone(),
                });
            }
        }
    }
    weak
}
