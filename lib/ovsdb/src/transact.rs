//! The operations of RFC 7047 section 5.2 on a [`Txn`], from the JSON of a `transact` request to its JSON results.
//! One row in `OPERATIONS` and one function per operation. All or nothing: the caller applies the delta, or drops it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::condition::{ColumnRef, Condition};
use crate::database::{Database, Delta};
use crate::error::{Error, ErrorKind, Result};
use crate::mutate::Mutation;
use crate::schema::TableSchema;
use crate::txn::Txn;
use crate::value::{Datum, Name, Row, Uuid, brief, parse_uuid};

/// What became of a transaction.
#[derive(Debug)]
pub enum Outcome {
    /// It succeeded: the results, and what to apply.
    Commit {
        /// One per operation.
        results: Vec<Value>,
        /// What changed; may be empty.
        delta: Delta,
    },
    /// It failed: the results that RFC 7047 wants, with the error among them.
    Failed(Vec<Value>),
    /// A `wait` operation does not hold yet: run the transaction again after the next commit, for this long.
    Wait {
        /// Counted from the first run; `None` is for ever.
        timeout: Option<Duration>,
    },
}

/// What a transaction may ask about its session.
pub struct Context<'a> {
    /// Whether the session owns this lock (operation `assert`).
    pub owns_lock: &'a dyn Fn(&str) -> bool,
    /// A waiting transaction whose time is over fails with "timed out".
    pub is_last_try: bool,
}

/// An operation may end the transaction without an error of its own.
enum Stop {
    Error(Error),
    Wait(Option<Duration>),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

struct Run<'a> {
    txn: Txn<'a>,
    names: BTreeMap<String, Uuid>,
    defined: BTreeSet<String>,
    context: &'a Context<'a>,
}

type Operation = for<'a> fn(&mut Run<'a>, &Fields<'_>) -> std::result::Result<Value, Stop>;

/// Name, members besides `op`, and what it does.
const OPERATIONS: [(&str, &[&str], Operation); 10] = [
    ("insert", &["table", "row", "uuid-name", "uuid"], insert),
    ("select", &["table", "where", "columns"], select),
    ("update", &["table", "where", "row"], update),
    ("mutate", &["table", "where", "mutations"], mutate),
    ("delete", &["table", "where"], delete),
    (
        "wait",
        &["table", "where", "columns", "until", "rows", "timeout"],
        wait,
    ),
    ("commit", &["durable"], |_, _| Ok(json!({}))),
    ("abort", &[], |_, _| {
        Err(Error::new(ErrorKind::Aborted, "aborted by request").into())
    }),
    ("comment", &["comment"], comment),
    ("assert", &["lock"], assert_lock),
];

/// Runs the operations (the params of `transact` without the database's name).
pub fn run(db: &Database, operations: &[Value], context: &Context<'_>) -> Outcome {
    let mut results = Vec::with_capacity(operations.len());
    let fail = |mut results: Vec<Value>, error: &Error| {
        results.push(error.to_json());
        // RFC 7047 section 4.1.3: operations that were not tried have the result null.
        results.resize(operations.len().max(results.len()), Value::Null);
        Outcome::Failed(results)
    };
    let mut run = Run {
        txn: Txn::new(db),
        names: uuid_names(operations),
        defined: BTreeSet::new(),
        context,
    };
    for operation in operations {
        match run.operation(operation) {
            Ok(result) => results.push(result),
            Err(Stop::Error(error)) => return fail(results, &error),
            Err(Stop::Wait(timeout)) => return Outcome::Wait { timeout },
        }
    }
    match run.txn.finish() {
        Ok(delta) => Outcome::Commit { results, delta },
        Err(error) => fail(results, &error),
    }
}

/// Gives every `uuid-name` its UUID beforehand, because an operation may use a name that a later one defines.
fn uuid_names(operations: &[Value]) -> BTreeMap<String, Uuid> {
    let mut names = BTreeMap::new();
    for operation in operations {
        if let (Some(name), Some("insert")) =
            (operation["uuid-name"].as_str(), operation["op"].as_str())
        {
            let chosen = operation.get("uuid").and_then(chosen_uuid);
            names
                .entry(name.to_owned())
                .or_insert_with(|| chosen.unwrap_or_else(Uuid::new_v4));
        }
    }
    names
}

/// The member `uuid` of an insert: the bare text, or `["uuid", text]`.
fn chosen_uuid(json: &Value) -> Option<Uuid> {
    json.as_str().or(json[1].as_str()).and_then(parse_uuid)
}

/// The members of an operation.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key)
    }

    fn need(&self, key: &str) -> Result<&'a Value> {
        self.get(key)
            .ok_or_else(|| Error::syntax(format!("an operation lacks its member \"{key}\"")))
    }

    fn text(&self, key: &str) -> Result<&'a str> {
        let value = self.need(key)?;
        value
            .as_str()
            .ok_or_else(|| Error::syntax(format!("\"{key}\": {} is not a string", brief(value))))
    }

    fn object(&self, key: &str) -> Result<&'a Map<String, Value>> {
        let value = self.need(key)?;
        value
            .as_object()
            .ok_or_else(|| Error::syntax(format!("\"{key}\": {} is not an object", brief(value))))
    }

    fn array(&self, key: &str) -> Result<&'a Vec<Value>> {
        let value = self.need(key)?;
        value
            .as_array()
            .ok_or_else(|| Error::syntax(format!("\"{key}\": {} is not an array", brief(value))))
    }
}

impl<'a> Run<'a> {
    fn operation(&mut self, json: &Value) -> std::result::Result<Value, Stop> {
        let object = json.as_object().ok_or_else(|| {
            Error::syntax(format!(
                "{} is not an operation (a JSON object)",
                brief(json)
            ))
        })?;
        let fields = Fields(object);
        let name = fields.text("op")?;
        let Some((_, members, function)) = OPERATIONS.iter().find(|(n, ..)| *n == name) else {
            return Err(Error::syntax(format!("No operation \"{name}\".")).into());
        };
        if let Some(extra) = object
            .keys()
            .find(|k| *k != "op" && !members.contains(&k.as_str()))
        {
            return Err(
                Error::syntax(format!("operation {name} has no member \"{extra}\"")).into(),
            );
        }
        function(self, &fields)
    }

    fn table(&self, fields: &Fields<'_>) -> Result<&'a TableSchema> {
        self.txn.database().schema().table(fields.text("table")?)
    }

    fn name(&self, name: &str) -> Option<Uuid> {
        self.names.get(name).copied()
    }

    /// The UUIDs of the rows that the operation's `where` selects.
    fn matching(&self, table: &TableSchema, fields: &Fields<'_>) -> Result<Vec<Uuid>> {
        let condition = Condition::from_json(table, fields.need("where")?, &|n| self.name(n))?;
        if let Some(uuid) = condition.only_row() {
            let row = self
                .txn
                .row(&table.name, uuid)
                .filter(|row| condition.holds(uuid, row));
            return Ok(row.map(|_| uuid).into_iter().collect());
        }
        Ok(self
            .txn
            .rows(&table.name)
            .filter(|(uuid, row)| condition.holds(*uuid, row))
            .map(|(uuid, _)| uuid)
            .collect())
    }

    /// Reads a `<row>`: the columns that it sets.
    fn row(&self, table: &TableSchema, json: &Map<String, Value>) -> Result<Row> {
        let mut row = Row::new();
        for (name, value) in json {
            let column = table.column(name)?;
            let place = || format!("{}.{name}", table.name);
            let datum = column
                .ty
                .datum_from_json(value, &|n| self.name(n))
                .map_err(|e| e.at(place()))?;
            row.insert(column.name.clone(), datum);
        }
        Ok(row)
    }
}

fn insert(run: &mut Run<'_>, fields: &Fields<'_>) -> std::result::Result<Value, Stop> {
    let table = run.table(fields)?;
    let row = match fields.get("row") {
        Some(_) => run.row(table, fields.object("row")?)?,
        None => Row::new(),
    };
    let mut uuid = match fields.get("uuid") {
        None => Uuid::new_v4(),
        Some(json) => chosen_uuid(json)
            .ok_or_else(|| Error::syntax(format!("\"uuid\": {} is not a UUID", brief(json))))?,
    };
    if fields.get("uuid-name").is_some() {
        let name = fields.text("uuid-name")?;
        if !run.defined.insert(name.to_owned()) {
            let text = format!("uuid-name \"{name}\" is defined twice in this transaction");
            return Err(Error::new(ErrorKind::DuplicateUuid, text).into());
        }
        uuid = run.name(name).unwrap_or(uuid);
    }
    run.txn.insert_as(&table.name, uuid, row)?;
    Ok(json!({ "uuid": ["uuid", uuid.to_string()] }))
}

fn select(run: &mut Run<'_>, fields: &Fields<'_>) -> std::result::Result<Value, Stop> {
    let table = run.table(fields)?;
    let columns = ColumnRef::list(table, fields.get("columns"))?;
    let mut rows = Vec::new();
    for uuid in run.matching(table, fields)? {
        let Some(row) = run.txn.row(&table.name, uuid) else {
            continue;
        };
        let row: Map<_, _> = columns
            .iter()
            .map(|c| (c.name().to_owned(), c.value(uuid, row).to_json()))
            .collect();
        rows.push(Value::Object(row));
    }
    Ok(json!({ "rows": rows }))
}

fn update(run: &mut Run<'_>, fields: &Fields<'_>) -> std::result::Result<Value, Stop> {
    let table = run.table(fields)?;
    let row = run.row(table, fields.object("row")?)?;
    for name in row.keys() {
        table.mutable_column(name)?;
    }
    let uuids = run.matching(table, fields)?;
    for uuid in &uuids {
        for (column, datum) in row.iter() {
            run.txn.set(&table.name, *uuid, column, datum.clone())?;
        }
    }
    Ok(json!({ "count": uuids.len() }))
}

fn mutate(run: &mut Run<'_>, fields: &Fields<'_>) -> std::result::Result<Value, Stop> {
    let table = run.table(fields)?;
    let mut mutations: Vec<(Name, Mutation)> = Vec::new();
    for json in fields.array("mutations")? {
        let (column, mutation) = Mutation::from_json(table, json, &|n| run.name(n))?;
        mutations.push((column, mutation));
    }
    let uuids = run.matching(table, fields)?;
    for uuid in &uuids {
        for (column, mutation) in &mutations {
            let place = |e: Error| e.at(format!("{}.{column}", table.name));
            let old = run
                .txn
                .row(&table.name, *uuid)
                .and_then(|row| row.get(column));
            let new = mutation
                .apply(old.unwrap_or(&Datum::empty()))
                .map_err(place)?;
            run.txn.set(&table.name, *uuid, column, new)?;
        }
    }
    Ok(json!({ "count": uuids.len() }))
}

fn delete(run: &mut Run<'_>, fields: &Fields<'_>) -> std::result::Result<Value, Stop> {
    let table = run.table(fields)?;
    let uuids = run.matching(table, fields)?;
    for uuid in &uuids {
        run.txn.delete(&table.name, *uuid)?;
    }
    Ok(json!({ "count": uuids.len() }))
}

fn wait(run: &mut Run<'_>, fields: &Fields<'_>) -> std::result::Result<Value, Stop> {
    let table = run.table(fields)?;
    let columns = ColumnRef::list(table, fields.get("columns"))?;
    let columns: Vec<_> = columns
        .into_iter()
        .filter(|c| fields.get("columns").is_some() || matches!(c, ColumnRef::Named(..)))
        .collect();
    let equal = match fields.text("until")? {
        "==" => true,
        "!=" => false,
        word => {
            return Err(Error::syntax(format!(
                "\"until\": \"{word}\" is neither \"==\" nor \"!=\""
            ))
            .into());
        }
    };
    let timeout = match fields.get("timeout") {
        None | Some(Value::Null) => None,
        Some(json) => {
            let wrong = || {
                Error::syntax(format!(
                    "\"timeout\": {} is not a number of milliseconds",
                    brief(json)
                ))
            };
            Some(Duration::from_millis(json.as_u64().ok_or_else(wrong)?))
        }
    };
    let mut wanted = BTreeSet::new();
    for json in fields.array("rows")? {
        let object = json
            .as_object()
            .ok_or_else(|| Error::syntax(format!("{} is not a row", brief(json))))?;
        wanted.insert(wanted_row(run, &columns, object)?);
    }
    let project = |uuid, row: &Row| {
        columns
            .iter()
            .map(|c| c.value(uuid, row))
            .collect::<Vec<_>>()
    };
    let uuids = run.matching(table, fields)?;
    let found: BTreeSet<Vec<Datum>> = uuids
        .iter()
        .filter_map(|u| run.txn.row(&table.name, *u).map(|row| project(*u, row)))
        .collect();
    if (found == wanted) == equal {
        return Ok(json!({}));
    }
    if run.context.is_last_try || timeout.is_some_and(|t| t.is_zero()) {
        let text = format!(
            "the rows of table {} do not become as \"wait\" wants them",
            table.name
        );
        return Err(Error::new(ErrorKind::TimedOut, text).into());
    }
    Err(Stop::Wait(timeout))
}

/// A row of a `wait`, in the order of its columns.
fn wanted_row(
    run: &Run<'_>,
    columns: &[ColumnRef],
    object: &Map<String, Value>,
) -> Result<Vec<Datum>> {
    if let Some(extra) = object
        .keys()
        .find(|k| !columns.iter().any(|c| c.name() == k.as_str()))
    {
        return Err(Error::syntax(format!(
            "\"rows\" has column {extra}, which is not among the columns"
        )));
    }
    let value = |c: &ColumnRef| match object.get(c.name()) {
        Some(json) => c
            .column_type()
            .parse_datum(json, &|n| run.name(n))
            .map_err(|e| e.at(c.name())),
        None => Ok(c.column_type().default_datum()),
    };
    columns.iter().map(value).collect()
}

fn comment(run: &mut Run<'_>, fields: &Fields<'_>) -> std::result::Result<Value, Stop> {
    run.txn.comment(fields.text("comment")?);
    Ok(json!({}))
}

fn assert_lock(run: &mut Run<'_>, fields: &Fields<'_>) -> std::result::Result<Value, Stop> {
    let lock = fields.text("lock")?;
    if (run.context.owns_lock)(lock) {
        return Ok(json!({}));
    }
    Err(Error::new(
        ErrorKind::NotOwner,
        format!("this session does not own lock \"{lock}\""),
    )
    .into())
}
