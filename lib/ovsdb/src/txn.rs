//! A transaction over a [`Database`]: changes on top of it that nobody else sees, turned into a checked [`Delta`] by
//! [`Txn::finish`]. JSON operations ([`crate::transact`]) and the daemon's own updates both go through here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::database::{Database, Delta, RowChange, index_values};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::TableSchema;
use crate::value::{Datum, Name, Row, Uuid};

/// The largest number of rows of a database, all tables together: some ten times what a switch with the most ports needs.
pub const ROW_LIMIT: usize = 1_000_000;

/// An open transaction.
#[derive(Debug)]
pub struct Txn<'a> {
    db: &'a Database,
    changes: BTreeMap<Name, BTreeMap<Uuid, Option<Arc<Row>>>>,
    comment: String,
}

impl<'a> Txn<'a> {
    /// A transaction without changes.
    pub fn new(db: &'a Database) -> Self {
        Self {
            db,
            changes: BTreeMap::new(),
            comment: String::new(),
        }
    }

    /// The database below, without the changes.
    pub fn database(&self) -> &'a Database {
        self.db
    }

    /// A row as this transaction sees it.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Arc<Row>> {
        match self.changes.get(table).and_then(|rows| rows.get(&uuid)) {
            Some(changed) => changed.as_ref(),
            None => self.db.row(table, uuid),
        }
    }

    /// The rows of a table as this transaction sees them.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Arc<Row>)> {
        let changed = self.changes.get(table);
        let same = self
            .db
            .rows(table)
            .filter(move |(uuid, _)| !changed.is_some_and(|c| c.contains_key(uuid)));
        let new = changed
            .into_iter()
            .flatten()
            .filter_map(|(uuid, row)| Some((*uuid, row.as_ref()?)));
        same.chain(new)
    }

    /// Adds text that goes into the log with the transaction.
    pub fn comment(&mut self, text: &str) {
        if !self.comment.is_empty() {
            self.comment.push('\n');
        }
        self.comment.push_str(text);
    }

    /// Inserts a row with the given columns, the others at their defaults.
    pub fn insert(&mut self, table: &str, columns: Row) -> Result<Uuid> {
        let uuid = Uuid::new_v4();
        self.insert_as(table, uuid, columns)?;
        Ok(uuid)
    }

    /// Inserts a row under a UUID that is not in use.
    pub fn insert_as(&mut self, table: &str, uuid: Uuid, columns: Row) -> Result<()> {
        let schema = self.db.schema().table(table)?;
        if self.row(table, uuid).is_some() {
            return Err(Error::new(
                ErrorKind::DuplicateUuid,
                format!("{uuid} is a row of {table} already"),
            ));
        }
        let mut row = schema.default_row();
        for (name, datum) in columns.iter() {
            let column = schema.column(name)?;
            column
                .ty
                .check(datum)
                .map_err(|e| e.at(format!("{table}.{name}")))?;
            row.insert(column.name.clone(), datum.clone());
        }
        row.version = Uuid::new_v4();
        self.put(schema, uuid, Some(Arc::new(row)));
        Ok(())
    }

    /// Sets one column of a row. Whether the column is mutable is the caller's business.
    pub fn set(&mut self, table: &str, uuid: Uuid, column: &str, datum: Datum) -> Result<()> {
        let schema = self.db.schema().table(table)?;
        let column = schema.column(column)?;
        column
            .ty
            .check(&datum)
            .map_err(|e| e.at(format!("{table}.{}", column.name)))?;
        let row = self.row(table, uuid).ok_or_else(|| no_row(table, uuid))?;
        if row.get(&column.name) == Some(&datum) {
            return Ok(());
        }
        let before = self.db.row(table, uuid).cloned();
        let rows = self.changes.entry(schema.name.clone()).or_default();
        // A row that this transaction has changed already is its own, and is not copied again.
        if let Some(row) = rows.entry(uuid).or_insert(before) {
            let row = Arc::make_mut(row);
            row.insert(column.name.clone(), datum);
            row.version = Uuid::new_v4();
        }
        Ok(())
    }

    /// Deletes a row.
    pub fn delete(&mut self, table: &str, uuid: Uuid) -> Result<()> {
        let schema = self.db.schema().table(table)?;
        self.row(table, uuid).ok_or_else(|| no_row(table, uuid))?;
        self.put(schema, uuid, None);
        Ok(())
    }

    fn put(&mut self, schema: &TableSchema, uuid: Uuid, row: Option<Arc<Row>>) {
        let rows = match self.changes.get_mut(&schema.name) {
            Some(rows) => rows,
            None => self.changes.entry(schema.name.clone()).or_default(),
        };
        rows.insert(uuid, row);
    }

    fn changed(&self) -> impl Iterator<Item = (&Name, Uuid, Option<&Arc<Row>>)> {
        self.changes
            .iter()
            .flat_map(|(t, rows)| rows.iter().map(move |(u, r)| (t, *u, r.as_ref())))
    }

    /// Follows references, checks what can be checked only at the end, and gives the result.
    ///
    /// In this order: rows that nothing refers to go, dangling strong references are refused, dangling weak ones are
    /// dropped, indexes and numbers of rows are checked.
    pub fn finish(mut self) -> Result<Delta> {
        let counts = self.collect_garbage();
        self.check_strong_references(&counts)?;
        self.prune_weak_references()?;
        let delta = self.into_delta();
        delta.check_indexes()?;
        delta.check_row_counts()?;
        Ok(delta.delta)
    }

    /// Deletes rows of tables that are not roots and have no strong reference; the changes in the number of references.
    fn collect_garbage(&mut self) -> HashMap<(Name, Uuid), isize> {
        let schema = self.db.schema().clone();
        let mut counts: HashMap<(Name, Uuid), isize> = HashMap::new();
        let mut suspects: Vec<(Name, Uuid)> = Vec::new();
        let count =
            |counts: &mut HashMap<_, isize>, table: &str, row: Option<&Arc<Row>>, by: isize| {
                let mut touched = Vec::new();
                let (Some(table), Some(row)) = (schema.tables.get(table), row) else {
                    return touched;
                };
                for column in table.columns.values() {
                    let Some(datum) = row.get(&column.name) else {
                        continue;
                    };
                    for (reference, uuid) in column.ty.references(datum).filter(|(r, _)| r.strong) {
                        *counts.entry((reference.table.clone(), uuid)).or_default() += by;
                        touched.push((reference.table.clone(), uuid));
                    }
                }
                touched
            };
        for (table, uuid, row) in self.changed() {
            suspects.extend(count(&mut counts, table, self.db.row(table, uuid), -1));
            count(&mut counts, table, row, 1);
            suspects.push((table.clone(), uuid));
        }
        while let Some((table, uuid)) = suspects.pop() {
            let Some(table_schema) = schema.tables.get(&table) else {
                continue;
            };
            let change = counts.get(&(table.clone(), uuid)).copied().unwrap_or(0);
            let referenced = self
                .db
                .reference_count(&table, uuid)
                .saturating_add_signed(change)
                > 0;
            if table_schema.is_root || referenced {
                continue;
            }
            let Some(row) = self.row(&table, uuid).cloned() else {
                continue;
            };
            self.put(table_schema, uuid, None);
            suspects.extend(count(&mut counts, &table, Some(&row), -1));
        }
        counts
    }

    fn check_strong_references(&self, counts: &HashMap<(Name, Uuid), isize>) -> Result<()> {
        let missing = counts.keys().cloned().chain(
            self.changed()
                .filter(|(_, _, row)| row.is_none())
                .map(|(table, uuid, _)| (table.clone(), uuid)),
        );
        for (table, uuid) in missing {
            let change = counts.get(&(table.clone(), uuid)).copied().unwrap_or(0);
            let references = self
                .db
                .reference_count(&table, uuid)
                .saturating_add_signed(change);
            if references > 0 && self.row(&table, uuid).is_none() {
                let text = match self.db.row(&table, uuid) {
                    Some(_) => format!(
                        "cannot delete {table} row {uuid}: {references} reference(s) to it remain"
                    ),
                    None => format!(
                        "{} refers to row {uuid} of table {table}, which does not exist",
                        self.referrer(&table, uuid)
                    ),
                };
                return Err(Error::new(ErrorKind::ReferentialIntegrityViolation, text));
            }
        }
        Ok(())
    }

    /// Which column of which changed row refers to the given one.
    fn referrer(&self, target: &str, uuid: Uuid) -> String {
        for (table, row_uuid, row) in self.changed() {
            let (Some(schema), Some(row)) = (self.db.schema().tables.get(table), row) else {
                continue;
            };
            for column in schema.columns.values() {
                let mut references = row
                    .get(&column.name)
                    .into_iter()
                    .flat_map(|d| column.ty.references(d));
                if references.any(|(r, u)| &*r.table == target && u == uuid) {
                    return format!("column {} of {table} row {row_uuid}", column.name);
                }
            }
        }
        "a row".into()
    }

    fn prune_weak_references(&mut self) -> Result<()> {
        for weak in self.db.weak_columns() {
            let gone: BTreeSet<Uuid> = self
                .changes
                .get(&weak.target)
                .into_iter()
                .flatten()
                .filter(|(_, row)| row.is_none())
                .map(|(uuid, _)| *uuid)
                .collect();
            let changed = self.changes.get(&weak.table);
            let mut prune: Vec<(Uuid, Datum)> = Vec::new();
            for (uuid, row) in self.rows(&weak.table) {
                let Some(datum) = row.get(&weak.column) else {
                    continue;
                };
                let is_changed = changed.is_some_and(|c| c.contains_key(&uuid));
                if datum.is_empty() || (gone.is_empty() && !is_changed) {
                    continue;
                }
                let dangles = |u: Uuid| self.row(&weak.target, u).is_none();
                if datum
                    .uuids()
                    .chain(datum.pairs().filter_map(|(k, _)| k.as_uuid()))
                    .any(dangles)
                {
                    prune.push((uuid, self.without_dangling(weak, datum)));
                }
            }
            for (uuid, datum) in prune {
                self.set(&weak.table, uuid, &weak.column, datum)
                    .map_err(|e| e.at("after removing references to deleted rows"))?;
            }
        }
        Ok(())
    }

    fn without_dangling(&self, weak: &crate::database::WeakColumn, datum: &Datum) -> Datum {
        let schema = self.db.schema();
        let Some(column) = schema
            .tables
            .get(&weak.table)
            .and_then(|t| t.columns.get(&weak.column))
        else {
            return datum.clone();
        };
        let lives = |base: &crate::schema::BaseType, atom: &crate::Atom| {
            let target = base.reference().filter(|r| !r.strong);
            target.is_none_or(|r| {
                atom.as_uuid()
                    .is_some_and(|u| self.row(&r.table, u).is_some())
            })
        };
        let value_lives = |atom: &crate::Atom| {
            column
                .ty
                .value
                .as_ref()
                .is_none_or(|base| lives(base, atom))
        };
        match datum {
            Datum::Set(s) => Datum::Set(
                s.iter()
                    .filter(|a| lives(&column.ty.key, a))
                    .cloned()
                    .collect(),
            ),
            Datum::Map(m) => {
                let pairs = m
                    .iter()
                    .filter(|(k, v)| lives(&column.ty.key, k) && value_lives(v));
                Datum::Map(pairs.map(|(k, v)| (k.clone(), v.clone())).collect())
            }
        }
    }

    fn into_delta(self) -> Checked<'a> {
        let mut delta = Delta {
            tables: BTreeMap::new(),
            comment: self.comment,
        };
        for (table, rows) in self.changes {
            let changes: BTreeMap<Uuid, RowChange> = rows
                .into_iter()
                .map(|(uuid, new)| {
                    (
                        uuid,
                        RowChange {
                            old: self.db.row(&table, uuid).cloned(),
                            new,
                        },
                    )
                })
                .filter(|(_, change)| change.old != change.new)
                .collect();
            if !changes.is_empty() {
                delta.tables.insert(table, changes);
            }
        }
        Checked { db: self.db, delta }
    }
}

/// A delta that still has to pass the checks that need whole tables.
struct Checked<'a> {
    db: &'a Database,
    delta: Delta,
}

impl Checked<'_> {
    fn check_indexes(&self) -> Result<()> {
        for (name, rows) in &self.delta.tables {
            let Some(schema) = self.db.schema().tables.get(name) else {
                continue;
            };
            for (number, columns) in schema.indexes.iter().enumerate() {
                let mut seen: BTreeMap<Vec<Datum>, Uuid> = BTreeMap::new();
                for (uuid, change) in rows {
                    let Some(row) = &change.new else { continue };
                    let values = index_values(columns, row);
                    let kept = self
                        .db
                        .indexed(name, number, &values)
                        .filter(|u| !rows.contains_key(u));
                    if let Some(other) = kept.or_else(|| seen.insert(values.clone(), *uuid)) {
                        let print = |(c, d)| {
                            schema
                                .columns
                                .get(c)
                                .map_or(String::new(), |c| c.ty.print(d))
                        };
                        let values: Vec<String> = columns.iter().zip(&values).map(print).collect();
                        return Err(Error::constraint(format!(
                            "two rows of table {name} would have the same {} ({}): {other} and {uuid}",
                            columns.join(", "),
                            values.join(", "),
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_row_counts(&self) -> Result<()> {
        let mut total = self.db.row_count();
        for (name, rows) in &self.delta.tables {
            let inserted = rows.values().filter(|c| c.old.is_none()).count();
            let deleted = rows.values().filter(|c| c.new.is_none()).count();
            let len = self.db.len(name) + inserted - deleted;
            total = total + inserted - deleted;
            let limit = self.db.schema().tables.get(name).and_then(|t| t.max_rows);
            if let Some(limit) = limit.filter(|limit| len > *limit && inserted > 0) {
                return Err(Error::constraint(format!(
                    "table {name} would have {len} rows, and the schema allows {limit}"
                )));
            }
        }
        if total > ROW_LIMIT && total > self.db.row_count() {
            let text =
                format!("the database would have {total} rows, and {ROW_LIMIT} is the limit");
            return Err(Error::new(ErrorKind::ResourcesExhausted, text));
        }
        Ok(())
    }
}

fn no_row(table: &str, uuid: Uuid) -> Error {
    Error::new(
        ErrorKind::ConstraintViolation,
        format!("table {table} has no row {uuid}"),
    )
}
