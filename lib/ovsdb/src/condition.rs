//! Conditions of RFC 7047 section 5.1: `[column, function, value]` clauses that all have to hold for a row.
//! Used by the operations of a transaction and by conditional monitors.

use std::sync::LazyLock;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{BaseType, ColumnType, TableSchema};
use crate::value::{AtomType, Datum, Name, Names, Row, Uuid, brief};

static UUID_TYPE: LazyLock<ColumnType> =
    LazyLock::new(|| ColumnType::scalar(BaseType::any(AtomType::Uuid)));

/// A column of a table, or one of the two that every table has.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnRef {
    /// `_uuid`.
    Uuid,
    /// `_version`.
    Version,
    /// A column of the schema, with its type.
    Named(Name, ColumnType),
}

impl ColumnRef {
    /// The column `name` of `table`.
    pub fn find(table: &TableSchema, name: &str) -> Result<Self> {
        Ok(match name {
            "_uuid" => Self::Uuid,
            "_version" => Self::Version,
            _ => table
                .column(name)
                .map(|c| Self::Named(c.name.clone(), c.ty.clone()))?,
        })
    }

    /// The columns that a JSON array names; all of them if it is absent.
    pub fn list(table: &TableSchema, json: Option<&Value>) -> Result<Vec<Self>> {
        let Some(json) = json.filter(|j| !j.is_null()) else {
            let named = table
                .columns
                .values()
                .map(|c| Self::Named(c.name.clone(), c.ty.clone()));
            return Ok([Self::Uuid, Self::Version]
                .into_iter()
                .chain(named)
                .collect());
        };
        let wrong = || Error::syntax(format!("{} is not a list of column names", brief(json)));
        let names = json.as_array().ok_or_else(wrong)?;
        names
            .iter()
            .map(|n| Self::find(table, n.as_str().ok_or_else(wrong)?))
            .collect()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Uuid => "_uuid",
            Self::Version => "_version",
            Self::Named(name, _) => name,
        }
    }

    /// Its type.
    pub fn column_type(&self) -> &ColumnType {
        match self {
            Self::Uuid | Self::Version => &UUID_TYPE,
            Self::Named(_, ty) => ty,
        }
    }

    /// What a row holds there.
    pub fn value(&self, uuid: Uuid, row: &Row) -> Datum {
        match self {
            Self::Uuid => Datum::scalar(uuid),
            Self::Version => Datum::scalar(row.version()),
            Self::Named(name, _) => row.get(name).cloned().unwrap_or_else(Datum::empty),
        }
    }
}

/// The functions of RFC 7047.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Less,
    LessEqual,
    Equal,
    NotEqual,
    GreaterEqual,
    Greater,
    Includes,
    Excludes,
}

const FUNCTIONS: [(&str, Function); 8] = [
    ("<", Function::Less),
    ("<=", Function::LessEqual),
    ("==", Function::Equal),
    ("!=", Function::NotEqual),
    (">=", Function::GreaterEqual),
    (">", Function::Greater),
    ("includes", Function::Includes),
    ("excludes", Function::Excludes),
];

/// One clause.
#[derive(Debug, Clone, PartialEq)]
enum Clause {
    /// `true` or `false`, which monitors know.
    Always(bool),
    Compare(ColumnRef, Function, Datum),
}

/// Clauses that must all hold. The empty one holds for every row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Condition(Vec<Clause>);

impl Condition {
    /// Reads the `where` of an operation or a monitor.
    pub fn from_json(table: &TableSchema, json: &Value, names: &Names<'_>) -> Result<Self> {
        let clauses = json
            .as_array()
            .ok_or_else(|| Error::syntax(format!("{} is not a condition", brief(json))))?;
        clauses
            .iter()
            .map(|c| Clause::from_json(table, c, names))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether it holds for a row.
    pub fn holds(&self, uuid: Uuid, row: &Row) -> bool {
        self.0.iter().all(|c| c.holds(uuid, row))
    }

    /// Whether one of the clauses holds, or there are none: monitors combine clauses so.
    pub fn any_holds(&self, uuid: Uuid, row: &Row) -> bool {
        self.0.is_empty() || self.0.iter().any(|c| c.holds(uuid, row))
    }

    /// The only row that it can hold for, if a clause says so: saves a scan of the table.
    pub fn only_row(&self) -> Option<Uuid> {
        self.0.iter().find_map(|clause| match clause {
            Clause::Compare(ColumnRef::Uuid, Function::Equal | Function::Includes, datum) => {
                datum.as_uuid()
            }
            _ => None,
        })
    }
}

impl Clause {
    fn from_json(table: &TableSchema, json: &Value, names: &Names<'_>) -> Result<Self> {
        if let Value::Bool(always) = json {
            return Ok(Self::Always(*always));
        }
        let wrong = || {
            Error::syntax(format!(
                "{} is not a condition [column, function, value]",
                brief(json)
            ))
        };
        let Some([Value::String(column), Value::String(function), value]) =
            json.as_array().map(Vec::as_slice)
        else {
            return Err(wrong());
        };
        let column = ColumnRef::find(table, column)?;
        let Some((_, function)) = FUNCTIONS.iter().find(|(word, _)| word == function) else {
            let text = format!("\"{function}\" is not a function of conditions");
            return Err(Error::new(ErrorKind::UnknownFunction, text));
        };
        let ty = column.column_type();
        use Function::*;
        if matches!(function, Less | LessEqual | GreaterEqual | Greater) {
            let number = matches!(ty.key.atom, AtomType::Integer | AtomType::Real);
            if !number || ty.is_map() || ty.max != Some(1) {
                return Err(Error::syntax(format!(
                    "column {} has no order for a comparison",
                    column.name()
                )));
            }
        }
        let datum = ty
            .parse_datum(value, names)
            .map_err(|e| e.at(column.name()))?;
        Ok(Self::Compare(column, *function, datum))
    }

    fn holds(&self, uuid: Uuid, row: &Row) -> bool {
        let (column, function, wanted) = match self {
            Self::Always(always) => return *always,
            Self::Compare(column, function, wanted) => (column, function, wanted),
        };
        let have = column.value(uuid, row);
        let both = !have.is_empty() && !wanted.is_empty();
        match function {
            Function::Less => both && have < *wanted,
            Function::LessEqual => both && have <= *wanted,
            Function::GreaterEqual => both && have >= *wanted,
            Function::Greater => both && have > *wanted,
            Function::Equal => have == *wanted,
            Function::NotEqual => have != *wanted,
            Function::Includes => shared(&have, wanted) == wanted.len(),
            Function::Excludes => shared(&have, wanted) == 0,
        }
    }
}

/// How many elements of `wanted` are in `have`.
fn shared(have: &Datum, wanted: &Datum) -> usize {
    match (have, wanted) {
        (Datum::Set(have), Datum::Set(wanted)) => wanted.intersection(have).count(),
        (Datum::Map(have), Datum::Map(wanted)) => wanted
            .iter()
            .filter(|(k, v)| have.get(k) == Some(v))
            .count(),
        _ => 0,
    }
}
