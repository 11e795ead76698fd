//! Monitors: what a client wants to see of a database, and the updates that a [`Delta`] means for it.
//! RFC 7047 section 4.1.5 and the conditional monitors that `ovs-vsctl` uses. Pure: the server sends what this composes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::condition::{ColumnRef, Condition};
use crate::database::{Database, Delta, RowChange};
use crate::error::{Error, Result};
use crate::jsonrpc::Message;
use crate::schema::{DatabaseSchema, TableSchema};
use crate::value::{Name, Row, Uuid, brief, no_names};

/// The three methods that make a monitor; each has its own form of updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `monitor`, `update`: whole rows, old and new.
    Plain,
    /// `monitor_cond`, `update2`: conditions, differences.
    Cond,
    /// `monitor_cond_since`, `update3`: the same, with transaction ids.
    CondSince,
}

/// The kinds of updates that a client can select.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Initial,
    Insert,
    Delete,
    Modify,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Initial, "initial"),
    (Kind::Insert, "insert"),
    (Kind::Delete, "delete"),
    (Kind::Modify, "modify"),
];

/// Which kinds a column is wanted in.
#[derive(Debug, Clone, Copy)]
struct Select([bool; 4]);

impl Select {
    fn has(self, kind: Kind) -> bool {
        self.0[kind as usize]
    }

    fn from_json(json: Option<&Value>) -> Result<Self> {
        let mut select = Self([true; 4]);
        for (word, value) in json.and_then(Value::as_object).into_iter().flatten() {
            let place = KINDS.iter().position(|(_, w)| w == word);
            match (place, value) {
                (Some(place), Value::Bool(wanted)) => select.0[place] = *wanted,
                _ => {
                    return Err(Error::syntax(format!(
                        "\"select\" has a bad member \"{word}\""
                    )));
                }
            }
        }
        Ok(select)
    }
}

#[derive(Debug)]
struct TableMonitor {
    columns: Vec<(ColumnRef, Select)>,
    select: Select,
    condition: Condition,
}

/// One client's view of a database.
#[derive(Debug)]
pub struct Monitor {
    /// The client's name for it: any JSON value.
    pub id: Value,
    /// The database it looks at.
    pub database: Name,
    form: Form,
    tables: BTreeMap<Name, TableMonitor>,
}

/// The transaction id of servers that keep no history.
const NO_TXN_ID: Uuid = Uuid::nil();

impl Monitor {
    /// Reads the params after the database's name: the id and the requests.
    pub fn new(form: Form, schema: &DatabaseSchema, id: Value, requests: &Value) -> Result<Self> {
        let requests = requests
            .as_object()
            .ok_or_else(|| Error::syntax(format!("{} is not monitor requests", brief(requests))))?;
        let mut tables = BTreeMap::new();
        for (name, json) in requests {
            let table = schema.table(name)?;
            let monitor = TableMonitor::from_json(form, table, json).map_err(|e| e.at(name))?;
            tables.insert(table.name.clone(), monitor);
        }
        Ok(Self {
            id,
            database: schema.name.clone(),
            form,
            tables,
        })
    }

    /// The result of the request that made the monitor: the rows that are there.
    pub fn initial(&self, db: &Database) -> Value {
        let mut out = Map::new();
        for (name, table) in &self.tables {
            let rows: Map<_, _> = db
                .rows(name)
                .filter(|(uuid, row)| table.condition.any_holds(*uuid, row))
                .filter_map(|(uuid, row)| {
                    Some((
                        uuid.to_string(),
                        table.shown(self.form, Kind::Initial, uuid, row)?,
                    ))
                })
                .collect();
            if !rows.is_empty() {
                out.insert(name.to_string(), Value::Object(rows));
            }
        }
        match self.form {
            Form::CondSince => json!([false, NO_TXN_ID.to_string(), out]),
            _ => Value::Object(out),
        }
    }

    /// The notification that `delta` means for this client, if it can see any of it.
    pub fn update(&self, delta: &Delta) -> Option<Message> {
        let mut out = Map::new();
        for (name, table) in &self.tables {
            let rows: Map<_, _> = delta
                .table(name)
                .filter_map(|(uuid, change)| {
                    Some((uuid.to_string(), table.changed(self.form, uuid, change)?))
                })
                .collect();
            if !rows.is_empty() {
                out.insert(name.to_string(), Value::Object(rows));
            }
        }
        self.notification(out)
    }

    /// Changes conditions (`monitor_cond_change`); the notification for rows that come into view or leave it.
    pub fn change(
        &mut self,
        db: &Database,
        new_id: Value,
        requests: &Value,
    ) -> Result<Option<Message>> {
        if self.form == Form::Plain {
            return Err(Error::syntax("a plain monitor has no conditions to change"));
        }
        let requests = requests
            .as_object()
            .ok_or_else(|| Error::syntax(format!("{} is not conditions", brief(requests))))?;
        let mut changed = Vec::new();
        for (name, json) in requests {
            let schema = db.schema().table(name)?;
            if !self.tables.contains_key(&schema.name) {
                return Err(Error::syntax(format!(
                    "table {name} is not in this monitor"
                )));
            }
            changed.push((schema.name.clone(), condition(schema, &requests_of(json))?));
        }
        let mut out = Map::new();
        for (name, new) in changed {
            let Some(table) = self.tables.get_mut(&name) else {
                continue;
            };
            let old = std::mem::replace(&mut table.condition, new);
            let mut rows = Map::new();
            for (uuid, row) in db.rows(&name) {
                let shown = match (
                    old.any_holds(uuid, row),
                    table.condition.any_holds(uuid, row),
                ) {
                    (false, true) => table.shown(self.form, Kind::Insert, uuid, row),
                    (true, false) => table.shown(self.form, Kind::Delete, uuid, row),
                    _ => None,
                };
                rows.extend(shown.map(|shown| (uuid.to_string(), shown)));
            }
            if !rows.is_empty() {
                out.insert(name.to_string(), Value::Object(rows));
            }
        }
        self.id = new_id;
        Ok(self.notification(out))
    }

    fn notification(&self, tables: Map<String, Value>) -> Option<Message> {
        if tables.is_empty() {
            return None;
        }
        let (id, tables) = (self.id.clone(), Value::Object(tables));
        Some(match self.form {
            Form::Plain => Message::notification("update", vec![id, tables]),
            Form::Cond => Message::notification("update2", vec![id, tables]),
            Form::CondSince => {
                Message::notification("update3", vec![id, json!(NO_TXN_ID.to_string()), tables])
            }
        })
    }
}

/// A table's requests: an object, or an array of them.
fn requests_of(json: &Value) -> Vec<&Value> {
    json.as_array()
        .map_or_else(|| vec![json], |list| list.iter().collect())
}

/// The condition of a table's requests together: a row is seen if one of them wants it.
fn condition(table: &TableSchema, requests: &[&Value]) -> Result<Condition> {
    let mut clauses = Vec::new();
    for request in requests {
        match request.get("where") {
            Some(Value::Array(list)) if !list.is_empty() => clauses.extend(list.iter().cloned()),
            // A request without a condition wants all rows.
            None | Some(Value::Null | Value::Array(_)) => return Ok(Condition::default()),
            // The bare booleans of the first clients.
            Some(Value::Bool(always)) => clauses.push(json!(always)),
            Some(other) => {
                return Err(Error::syntax(format!(
                    "\"where\": {} is not a condition",
                    brief(other)
                )));
            }
        }
    }
    match clauses.is_empty() {
        true => Ok(Condition::default()),
        false => Condition::from_json(table, &Value::Array(clauses), &no_names),
    }
}

impl TableMonitor {
    fn from_json(form: Form, table: &TableSchema, json: &Value) -> Result<Self> {
        let requests = requests_of(json);
        let mut monitor = Self {
            columns: Vec::new(),
            select: Select([false; 4]),
            condition: Condition::default(),
        };
        let members: &[&str] = match form {
            Form::Plain => &["columns", "select"],
            _ => &["columns", "select", "where"],
        };
        for request in &requests {
            let object = request.as_object().ok_or_else(|| {
                Error::syntax(format!("{} is not a monitor request", brief(request)))
            })?;
            if let Some(extra) = object.keys().find(|k| !members.contains(&k.as_str())) {
                return Err(Error::syntax(format!(
                    "a monitor request has no member \"{extra}\""
                )));
            }
            let select = Select::from_json(object.get("select"))?;
            for (all, one) in monitor.select.0.iter_mut().zip(select.0) {
                *all |= one;
            }
            let all_named = object.get("columns").is_none_or(Value::is_null);
            for column in ColumnRef::list(table, object.get("columns"))? {
                if all_named && !matches!(column, ColumnRef::Named(..)) {
                    continue;
                }
                if monitor.columns.iter().any(|(c, _)| *c == column) {
                    return Err(Error::syntax(format!(
                        "column {} is monitored twice",
                        column.name()
                    )));
                }
                monitor.columns.push((column, select));
            }
        }
        if form != Form::Plain {
            monitor.condition = condition(table, &requests)?;
        }
        Ok(monitor)
    }

    /// The update for a row that is there, comes into view, or leaves it.
    fn shown(&self, form: Form, kind: Kind, uuid: Uuid, row: &Row) -> Option<Value> {
        if !self.select.has(kind) {
            return None;
        }
        let plain = form == Form::Plain;
        if kind == Kind::Delete && !plain {
            return Some(json!({ "delete": null }));
        }
        let mut out = Map::new();
        for (column, _) in self.columns.iter().filter(|(_, select)| select.has(kind)) {
            let value = column.value(uuid, row);
            // Clients of update2 and update3 know the defaults.
            if plain || value != column.column_type().default_datum() {
                out.insert(column.name().into(), value.to_json());
            }
        }
        let word = match (plain, kind) {
            (true, Kind::Delete) => "old",
            (true, _) => "new",
            (false, _) => KINDS[kind as usize].1,
        };
        Some(Value::Object(Map::from_iter([(
            word.to_owned(),
            Value::Object(out),
        )])))
    }

    /// The update for a row that a transaction changed.
    fn changed(&self, form: Form, uuid: Uuid, change: &RowChange) -> Option<Value> {
        let seen = |row: &&std::sync::Arc<Row>| self.condition.any_holds(uuid, row);
        match (
            change.old.as_ref().filter(seen),
            change.new.as_ref().filter(seen),
        ) {
            (None, None) => None,
            (None, Some(new)) => self.shown(form, Kind::Insert, uuid, new),
            (Some(old), None) => self.shown(form, Kind::Delete, uuid, old),
            (Some(old), Some(new)) => self.modified(form, uuid, old, new),
        }
    }

    fn modified(&self, form: Form, uuid: Uuid, old: &Row, new: &Row) -> Option<Value> {
        let (mut before, mut after, mut differs) = (Map::new(), Map::new(), false);
        for (column, _) in self
            .columns
            .iter()
            .filter(|(_, select)| select.has(Kind::Modify))
        {
            let (was, is) = (column.value(uuid, old), column.value(uuid, new));
            let same = was == is;
            differs |= !same;
            match form {
                Form::Plain => {
                    if !same {
                        before.insert(column.name().into(), was.to_json());
                    }
                    after.insert(column.name().into(), is.to_json());
                }
                _ if same => {}
                _ => {
                    let value = if column.column_type().has_diff() {
                        was.diff(&is)
                    } else {
                        is
                    };
                    after.insert(column.name().into(), value.to_json());
                }
            }
        }
        if !differs {
            return None;
        }
        Some(match form {
            Form::Plain => json!({ "old": before, "new": after }),
            _ => json!({ "modify": after }),
        })
    }
}
