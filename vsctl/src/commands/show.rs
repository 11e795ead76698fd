//! The overview, and the commands that look at nothing.

use ovsdb::{Datum, Row, Uuid};

use super::Context;
use crate::call::Call;
use crate::error::Result;
use crate::output::{Cell, Item, Node, Output};

/// What `show` says about the rows of a table, in order.
struct Shown {
    table: &'static str,
    /// The column with the row's name; the root has none and goes by its UUID.
    name: Option<&'static str>,
    columns: &'static [Column],
}

enum Column {
    /// Its value, unless it is the default.
    Value(&'static str),
    /// The rows of this table that it refers to.
    Rows(&'static str, &'static str),
    /// The pairs of a map whose key begins so.
    Keys(&'static str, &'static str),
}
use Column::{Keys, Rows, Value};

const SHOWN: &[Shown] = &[
    Shown {
        table: "Open_vSwitch",
        name: None,
        columns: &[
            Rows("manager_options", "Manager"),
            Rows("bridges", "Bridge"),
            Value("ovs_version"),
        ],
    },
    Shown {
        table: "Bridge",
        name: Some("name"),
        columns: &[
            Rows("controller", "Controller"),
            Value("fail_mode"),
            Value("datapath_type"),
            Rows("ports", "Port"),
        ],
    },
    Shown {
        table: "Port",
        name: Some("name"),
        columns: &[
            Value("tag"),
            Value("trunks"),
            Rows("interfaces", "Interface"),
        ],
    },
    Shown {
        table: "Interface",
        name: Some("name"),
        columns: &[
            Value("type"),
            Value("options"),
            Value("error"),
            Keys("status", "tunnel_"),
        ],
    },
    Shown {
        table: "Controller",
        name: Some("target"),
        columns: &[Value("is_connected")],
    },
    Shown {
        table: "Manager",
        name: Some("target"),
        columns: &[Value("is_connected")],
    },
];

/// `init`
pub fn init(context: &mut Context<'_>, _: &Call<'_>) -> Result<Output> {
    context.root().map(|_| Output::None)
}

/// `comment [WORD]...`: the whole command line goes into the log anyway.
pub fn comment(_: &mut Context<'_>, _: &Call<'_>) -> Result<Output> {
    Ok(Output::None)
}

/// `show`
pub fn show(context: &mut Context<'_>, _: &Call<'_>) -> Result<Output> {
    let root = context.draft.now().singleton("Open_vSwitch");
    match root.and_then(|(uuid, row)| node(context, "Open_vSwitch", uuid, row)) {
        Some(node) => Ok(Output::Tree(node)),
        None => Ok(Output::None),
    }
}

/// A row and what hangs below it. The depth is that of [`SHOWN`], whose references lead to no table above.
fn node(context: &Context<'_>, table: &str, uuid: Uuid, row: &Row) -> Option<Node> {
    let shown = SHOWN.iter().find(|shown| shown.table == table)?;
    let kind = shown.name.map(|column| (shown.table, column));
    let name = shown
        .name
        .and_then(|column| cell(context, table, column, row.get(column)?));
    let items = shown
        .columns
        .iter()
        .filter_map(|column| item(context, shown.table, column, row));
    Some(Node {
        kind,
        name: name.unwrap_or_else(|| Cell::uuid(uuid)),
        items: items.collect(),
    })
}

fn item(context: &Context<'_>, table: &str, column: &Column, row: &Row) -> Option<Item> {
    match column {
        Value(column) => {
            let datum = row.get(*column)?;
            let default = context
                .schema
                .tables
                .get(table)?
                .columns
                .get(*column)?
                .ty
                .default_datum();
            (*datum != default).then_some(Item::Value(column, cell(context, table, column, datum)?))
        }
        Keys(column, prefix) => {
            let known = row
                .get(*column)?
                .pairs()
                .filter(|(key, _)| key.as_str().is_some_and(|key| key.starts_with(prefix)));
            let datum = Datum::map(known.map(|(key, value)| (key.clone(), value.clone())));
            (!datum.is_empty())
                .then_some(Item::Value(column, cell(context, table, column, &datum)?))
        }
        Rows(column, to) => {
            let rows = row
                .uuids(column)
                .filter_map(|uuid| Some((uuid, context.draft.now().row(to, uuid)?)));
            Some(Item::Nodes(
                column,
                rows.filter_map(|(uuid, row)| node(context, to, uuid, row))
                    .collect(),
            ))
        }
    }
}

fn cell(context: &Context<'_>, table: &str, column: &str, datum: &Datum) -> Option<Cell> {
    let ty = context
        .schema
        .tables
        .get(table)?
        .columns
        .get(column)?
        .ty
        .clone();
    Some(Cell::Datum(ty, datum.clone()))
}
