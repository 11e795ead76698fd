//! Commands that read and change any column of any table.

use ovsdb::schema::{ColumnSchema, ColumnType, TableSchema};
use ovsdb::value::parse_uuid;
use ovsdb::{Atom, Datum, Row, Uuid};

use super::Context;
use crate::argument::{Condition, Place};
use crate::call::Call;
use crate::error::{Error, Result, fail};
use crate::lookup;
use crate::output::{Cell, Output, Table};
use crate::value::read_datum;

/// A column of output: `None` is the UUID.
type Shown<'a> = Option<&'a ColumnSchema>;

/// The columns that `--columns` wants, or all of them.
fn shown<'a>(table: &'a TableSchema, call: &Call<'_>) -> Result<Vec<Shown<'a>>> {
    let Some(names) = call.value("--columns") else {
        return Ok([None]
            .into_iter()
            .chain(table.columns.values().map(Some))
            .collect());
    };
    let names = names.split([',', ' ']).filter(|name| !name.is_empty());
    let column = |name| {
        if name == "_uuid" {
            Ok(None)
        } else {
            lookup::column(table, name).map(Some)
        }
    };
    let columns: Vec<_> = names.map(column).collect::<Result<_>>()?;
    if columns.is_empty() {
        fail!("must specify at least one column name");
    }
    Ok(columns)
}

fn cell(column: Shown<'_>, uuid: Uuid, row: &Row) -> Cell {
    match column {
        None => Cell::uuid(uuid),
        Some(column) => {
            let datum = row
                .get(&column.name)
                .cloned()
                .unwrap_or_else(|| column.ty.default_datum());
            Cell::Datum(column.ty.clone(), datum)
        }
    }
}

fn printed<'r>(columns: &[Shown<'_>], rows: impl IntoIterator<Item = (Uuid, &'r Row)>) -> Output {
    let headings = columns
        .iter()
        .map(|column| column.map_or("_uuid", |column| &column.name).to_owned())
        .collect();
    let cells = |(uuid, row)| {
        columns
            .iter()
            .map(|column| cell(*column, uuid, row))
            .collect()
    };
    Output::Table(Table {
        headings,
        rows: rows.into_iter().map(cells).collect(),
    })
}

/// The rows of a table by name, so that equal databases print equally.
fn sorted<'r>(context: &'r Context<'_>, table: &TableSchema) -> Vec<(Uuid, &'r Row)> {
    let mut rows: Vec<_> = context.draft.now().rows(&table.name).collect();
    rows.sort_by_key(|(uuid, row)| (row.str("name").to_owned(), *uuid));
    rows
}

/// The rows that `words` name, in that order.
fn rows_of(
    context: &Context<'_>,
    call: &Call<'_>,
    table: &TableSchema,
    words: &[String],
) -> Result<Vec<Uuid>> {
    let rows: Vec<_> = words
        .iter()
        .map(|word| context.find_row(call, table, word))
        .collect::<Result<_>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// `[--if-exists] [--columns=COLUMN[,COLUMN]...] list TABLE [RECORD]...`
pub fn list(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let table = lookup::table(context.schema, call.arg(0))?;
    let columns = shown(table, call)?;
    if call.args.len() == 1 {
        return Ok(printed(&columns, sorted(context, table)));
    }
    let rows = rows_of(context, call, table, &call.args[1..])?;
    let now = context.draft.now();
    Ok(printed(
        &columns,
        rows.into_iter()
            .filter_map(|uuid| Some((uuid, now.row(&table.name, uuid)?))),
    ))
}

fn conditions<'a>(
    context: &mut Context<'_>,
    table: &'a TableSchema,
    texts: &[String],
) -> Result<Vec<Condition<'a>>> {
    texts
        .iter()
        .map(|text| Condition::parse(table, text, &mut context.symbols))
        .collect()
}

/// `[--columns=COLUMN[,COLUMN]...] find TABLE [COLUMN[:KEY]=VALUE]...`
pub fn find(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let table = lookup::table(context.schema, call.arg(0))?;
    let columns = shown(table, call)?;
    let conditions = conditions(context, table, &call.args[1..])?;
    let fulfils = |(_, row): &(Uuid, &Row)| conditions.iter().all(|condition| condition.holds(row));
    Ok(printed(
        &columns,
        sorted(context, table).into_iter().filter(fulfils),
    ))
}

/// `[--if-exists] [--id=@NAME] get TABLE RECORD [COLUMN[:KEY]]...`
pub fn get(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let id = call.value("--id");
    if id.is_some() && call.has("--if-exists") {
        fail!("--if-exists and --id may not be specified together");
    }
    let (table, Some(uuid)) = context.named_row(call)? else {
        return Ok(Output::None);
    };
    if let Some(name) = id {
        context.symbols.bind(name, uuid)?;
    }
    let mut lines = Vec::new();
    for text in &call.args[2..] {
        let place = match text.as_str() {
            "_uuid" => None,
            text => Some(Place::parse(table, text, &mut context.symbols)?),
        };
        let Some(row) = context.draft.now().row(&table.name, uuid) else {
            continue;
        };
        lines.push(match place {
            None => Cell::uuid(uuid),
            Some(Place { column, key: None }) => cell(Some(column), uuid, row),
            Some(Place {
                column,
                key: Some(key),
            }) => value_of(table, column, &key, row, call)?,
        });
    }
    Ok(if lines.is_empty() {
        Output::None
    } else {
        Output::Lines(lines)
    })
}

/// The value of a key of a map.
fn value_of(
    table: &TableSchema,
    column: &ColumnSchema,
    key: &Atom,
    row: &Row,
    call: &Call<'_>,
) -> Result<Cell> {
    let pair = row
        .get(&column.name)
        .and_then(|map| map.pairs().find(|(k, _)| *k == key));
    match pair {
        Some((_, value)) => Ok(Cell::atom(value.clone())),
        None if call.has("--if-exists") => Ok(Cell::Text(String::new())),
        None => {
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            fail!(
                "no key \"{key}\" in {} record \"{}\" column {}",
                table.name,
                call.arg(1),
                column.name
            )
        }
    }
}

/// `[--if-exists] set TABLE RECORD COLUMN[:KEY]=VALUE...`
pub fn set(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let (table, Some(uuid)) = context.named_row(call)? else {
        return Ok(Output::None);
    };
    for text in &call.args[2..] {
        context.assign(table, uuid, text)?;
    }
    Ok(Output::None)
}

/// The column of a row that `add` and `remove` change.
struct Elements<'a> {
    table: &'a TableSchema,
    uuid: Uuid,
    column: &'a ColumnSchema,
    /// The type of what is added or removed: any number of elements.
    ty: ColumnType,
    datum: Datum,
}

impl<'a> Elements<'a> {
    fn of(context: &Context<'a>, call: &Call<'_>) -> Result<Option<Self>> {
        let (table, Some(uuid)) = context.named_row(call)? else {
            return Ok(None);
        };
        let column = lookup::column(table, call.arg(2))?;
        context.check_mutable(table, uuid, &column.name)?;
        let ty = ColumnType {
            min: 1,
            max: None,
            ..column.ty.clone()
        };
        let row = context.draft.now().row(&table.name, uuid);
        let datum = row
            .and_then(|row| row.get(&column.name).cloned())
            .unwrap_or_else(|| column.ty.default_datum());
        Ok(Some(Self {
            table,
            uuid,
            column,
            ty,
            datum,
        }))
    }

    /// Checks the number of elements, and stores them.
    fn store(self, context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
        let (
            name,
            len,
            Self {
                table,
                uuid,
                column,
                datum,
                ..
            },
        ) = (call.command.name, self.datum.len(), self);
        let what = if column.ty.is_map() {
            "pairs"
        } else {
            "values"
        };
        let place = format!(
            "\"{name}\" operation would put {len} {what} in column {} of table {}",
            column.name, table.name
        );
        match column.ty.max {
            Some(max) if len > max => fail!("{place} but the maximum number is {max}"),
            _ if len < column.ty.min => {
                fail!("{place} but the minimum number is {}", column.ty.min)
            }
            _ => context
                .draft
                .merge(&table.name, uuid, &column.name, |now| *now = datum),
        }
        Ok(Output::None)
    }
}

/// `[--if-exists] add TABLE RECORD COLUMN [KEY=]VALUE...`
pub fn add(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let Some(mut elements) = Elements::of(context, call)? else {
        return Ok(Output::None);
    };
    for text in &call.args[3..] {
        let added = read_datum(text, &elements.ty, &mut context.symbols)?;
        context.touch(&elements.table.name, &elements.column.name, &added);
        match (&mut elements.datum, added) {
            (Datum::Set(set), Datum::Set(added)) => set.extend(added),
            (Datum::Map(map), Datum::Map(added)) => {
                for (key, value) in added {
                    map.entry(key).or_insert(value);
                }
            }
            _ => {}
        }
    }
    elements.store(context, call)
}

/// `[--if-exists] remove TABLE RECORD COLUMN KEY|VALUE|KEY=VALUE...`
pub fn remove(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let Some(mut elements) = Elements::of(context, call)? else {
        return Ok(Output::None);
    };
    let keys = ColumnType {
        value: None,
        ..elements.ty.clone()
    };
    for text in &call.args[3..] {
        let removed = match read_datum(text, &elements.ty, &mut context.symbols) {
            Err(_) if elements.ty.is_map() => read_datum(text, &keys, &mut context.symbols)?,
            removed => removed?,
        };
        match (&mut elements.datum, removed) {
            (Datum::Set(set), Datum::Set(removed)) => set.retain(|atom| !removed.contains(atom)),
            (Datum::Map(map), Datum::Set(keys)) => map.retain(|key, _| !keys.contains(key)),
            (Datum::Map(map), Datum::Map(pairs)) => {
                map.retain(|key, value| pairs.get(key) != Some(value))
            }
            _ => {}
        }
    }
    elements.store(context, call)
}

/// `[--if-exists] clear TABLE RECORD COLUMN...`
pub fn clear(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let (table, Some(uuid)) = context.named_row(call)? else {
        return Ok(Output::None);
    };
    for name in &call.args[2..] {
        let column = lookup::column(table, name)?;
        context.check_mutable(table, uuid, &column.name)?;
        if column.ty.min > 0 {
            fail!(
                "\"clear\" operation cannot be applied to column {} of table {}, which is not allowed to be empty",
                column.name,
                table.name
            );
        }
        context
            .draft
            .replace(&table.name, uuid, &column.name, column.ty.default_datum());
    }
    Ok(Output::None)
}

/// `[--id=@NAME|--id=UUID] create TABLE COLUMN[:KEY]=VALUE...`
pub fn create(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let table = lookup::table(context.schema, call.arg(0))?;
    let id = call.value("--id");
    let chosen = id.and_then(parse_uuid);
    if chosen.is_some_and(|uuid| context.draft.now().row(&table.name, uuid).is_some()) {
        fail!(
            "table {} has a record {} already",
            table.name,
            id.unwrap_or_default()
        );
    }
    let stand_in = match id.filter(|_| chosen.is_none()) {
        Some(name) => Some(context.symbols.create(name)?),
        None => None,
    };
    if id.is_none() && !table.is_root {
        let warning = format!(
            "applying \"create\" command to table {} without --id option will have no effect",
            table.name
        );
        context.warnings.push(warning);
    }
    let uuid = context.draft.insert(table, stand_in, chosen);
    for text in &call.args[1..] {
        context.assign(table, uuid, text)?;
    }
    Ok(Output::Lines(vec![Cell::uuid(uuid)]))
}

/// `[--if-exists] destroy TABLE RECORD...`, `--all destroy TABLE`
pub fn destroy(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let table = lookup::table(context.schema, call.arg(0))?;
    let (all, words) = (call.has("--all"), &call.args[1..]);
    match (all, words.is_empty()) {
        (true, false) => fail!("--all and records argument should not be specified together"),
        (false, true) => context
            .warnings
            .push("either --all or records argument should be specified".into()),
        _ => {}
    }
    let mut gone = rows_of(context, call, table, words)?;
    if all {
        gone.extend(context.draft.now().rows(&table.name).map(|(uuid, _)| uuid));
    }
    gone.into_iter()
        .for_each(|uuid| context.draft.delete(&table.name, uuid));
    Ok(Output::None)
}

/// `wait-until TABLE RECORD [COLUMN[:KEY]=VALUE]...`
pub fn wait_until(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let table = lookup::table(context.schema, call.arg(0))?;
    let conditions = conditions(context, table, &call.args[2..])?;
    let now = context.draft.now();
    let uuid = lookup::find_row(now, &table.name, call.arg(1), &context.symbols)?;
    match uuid.and_then(|uuid| now.row(&table.name, uuid)) {
        Some(row) if conditions.iter().all(|condition| condition.holds(row)) => Ok(Output::None),
        _ => Err(Error::NotYet),
    }
}
