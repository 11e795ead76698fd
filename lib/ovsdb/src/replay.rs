//! Reads the records of a log, ours or a stock server's, into a [`Database`]. Used by [`crate::log`] on opening.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::database::Database;
use crate::error::{Error, Result};
use crate::schema::DatabaseSchema;
use crate::txn::Txn;
use crate::value::{Name, Row, Uuid, brief, no_names, parse_uuid};

/// The state of the rows after the records that were read so far.
pub(crate) struct Replay {
    schema: Arc<DatabaseSchema>,
    file_schema: DatabaseSchema,
    rows: BTreeMap<Name, BTreeMap<Uuid, Row>>,
    dropped: BTreeSet<String>,
}

impl Replay {
    /// From the first record. The file must hold a database of the name that we want.
    pub(crate) fn new(json: &Value, schema: Arc<DatabaseSchema>) -> Result<Self> {
        let mut file_schema = DatabaseSchema::from_json(json)?;
        file_schema.cksum = None;
        if file_schema.name != schema.name {
            let text = format!(
                "the file holds a database {}, not {}",
                file_schema.name, schema.name
            );
            return Err(Error::constraint(text));
        }
        Ok(Self {
            schema,
            file_schema,
            rows: BTreeMap::new(),
            dropped: BTreeSet::new(),
        })
    }

    /// The version of the file if its schema is not ours.
    pub(crate) fn converted_from(&self) -> Option<String> {
        let same = DatabaseSchema {
            cksum: None,
            ..(*self.schema).clone()
        } == self.file_schema;
        (!same).then(|| self.file_schema.version.clone())
    }

    /// Tables and columns in the file that our schema does not have.
    pub(crate) fn dropped(&self) -> Vec<String> {
        self.dropped.iter().cloned().collect()
    }

    /// One transaction record.
    pub(crate) fn transaction(&mut self, json: &Value) -> Result<()> {
        let object = json
            .as_object()
            .ok_or_else(|| Error::syntax(format!("{} is not a record", brief(json))))?;
        let is_diff = json["_is_diff"] == true;
        for (name, rows) in object.iter().filter(|(name, _)| !name.starts_with('_')) {
            let Some(table) = self.schema.tables.get(name.as_str()) else {
                self.dropped.insert(name.clone());
                continue;
            };
            let table_rows = self.rows.entry(table.name.clone()).or_default();
            for (uuid, change) in rows.as_object().into_iter().flatten() {
                let uuid = parse_uuid(uuid)
                    .ok_or_else(|| Error::syntax(format!("{uuid} is not a UUID")))?;
                let Some(columns) = change.as_object() else {
                    table_rows.remove(&uuid);
                    continue;
                };
                let row = table_rows
                    .entry(uuid)
                    .or_insert_with(|| table.default_row());
                for (column, value) in columns {
                    let Some(column) = table.columns.get(column.as_str()) else {
                        self.dropped.insert(format!("{name}.{column}"));
                        continue;
                    };
                    let datum = column
                        .ty
                        .parse_datum(value, &no_names)
                        .map_err(|e| e.at(&column.name))?;
                    let datum = match row.get(&column.name) {
                        // As the stock server does: a difference from the default is the value itself.
                        Some(old)
                            if is_diff
                                && column.ty.has_diff()
                                && *old != column.ty.default_datum() =>
                        {
                            old.apply_diff(&datum)
                        }
                        _ => datum,
                    };
                    row.insert(column.name.clone(), datum);
                }
            }
        }
        Ok(())
    }

    /// The database, checked as a whole. Ephemeral columns have their defaults.
    pub(crate) fn database(self) -> Result<Database> {
        let mut db = Database::new(self.schema);
        let mut txn = Txn::new(&db);
        for (table, rows) in self.rows {
            for (uuid, mut row) in rows {
                let columns = db.schema().table(&table)?.columns.values();
                for column in columns.filter(|c| c.ephemeral) {
                    row.remove(&column.name);
                }
                txn.insert_as(&table, uuid, row)?;
            }
        }
        let delta = txn.finish()?;
        db.apply(&delta);
        Ok(db)
    }
}
