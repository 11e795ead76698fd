//! Reading a row: columns by name, references followed, map columns with parsed values.

use super::problem::Problem;
use ovsdb::{Database, Datum, Row, Uuid};
use std::sync::Arc;

/// A row and where it stands.
pub struct Reader<'a> {
    /// Its table.
    pub table: &'static str,
    /// Its id.
    pub uuid: Uuid,
    row: &'a Row,
}

impl<'a> Reader<'a> {
    /// Looks at a row.
    pub fn new(table: &'static str, uuid: Uuid, row: &'a Arc<Row>) -> Reader<'a> {
        Reader { table, uuid, row }
    }
    /// A column's value.
    pub fn column(&self, column: &str) -> Option<&'a Datum> {
        self.row.get(column)
    }
    /// A string, or "".
    pub fn string(&self, column: &str) -> &'a str {
        self.column(column)
            .and_then(Datum::as_str)
            .unwrap_or_default()
    }
    /// Whether a boolean column is true.
    pub fn is_set(&self, column: &str) -> bool {
        self.column(column).and_then(Datum::as_bool) == Some(true)
    }
    /// An integer, if there is one.
    pub fn int(&self, column: &str) -> Option<i64> {
        self.column(column).and_then(Datum::as_int)
    }
    /// The rows that a column refers to.
    pub fn references<'d>(
        &self,
        column: &str,
        table: &'static str,
        db: &'d Database,
    ) -> Vec<(Uuid, &'d Arc<Row>)> {
        let uuids = self.column(column).into_iter().flat_map(Datum::uuids);
        uuids
            .filter_map(|uuid| Some((uuid, db.row(table, uuid)?)))
            .collect()
    }
    /// A map column, to be read key by key.
    pub fn map(&self, column: &'static str) -> Map<'_> {
        Map {
            at: self,
            column,
            name: self.name(),
        }
    }
    /// Notes that a value is wrong.
    pub fn problem(&self, problems: &mut Vec<Problem>, text: String) {
        problems.push(Problem {
            table: self.table,
            uuid: self.uuid,
            name: self.name(),
            text,
        });
    }
    /// What users call it.
    pub fn name(&self) -> String {
        ["name", "target"]
            .iter()
            .map(|c| self.string(c))
            .find(|n| !n.is_empty())
            .unwrap_or(self.table)
            .to_owned()
    }
}

/// A map of strings.
pub struct Map<'a> {
    at: &'a Reader<'a>,
    column: &'static str,
    name: String,
}

impl<'a> Map<'a> {
    /// The value of a key.
    pub fn get(&mut self, key: &str) -> Option<&'a str> {
        self.at.column(self.column)?.get(key)
    }
    /// The keys.
    pub fn keys(&self) -> Vec<&'a str> {
        let pairs = self
            .at
            .column(self.column)
            .into_iter()
            .flat_map(Datum::pairs);
        pairs.filter_map(|(key, _)| key.as_str()).collect()
    }
    /// All keys and values.
    pub fn all(&self) -> std::collections::BTreeMap<String, String> {
        let pairs = self
            .at
            .column(self.column)
            .into_iter()
            .flat_map(Datum::pairs);
        pairs
            .filter_map(|(k, v)| Some((k.as_str()?.to_owned(), v.as_str()?.to_owned())))
            .collect()
    }
    /// The parsed value of a key. `parse` fails with what would be right.
    pub fn parse<T>(
        &mut self,
        key: &str,
        problems: &mut Vec<Problem>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let word = self.get(key)?;
        parse(word)
            .map_err(|right| self.wrong(key, word, &right, problems))
            .ok()
    }
    /// `true` or `false`.
    pub fn bool(&mut self, key: &str, problems: &mut Vec<Problem>) -> Option<bool> {
        self.parse(key, problems, |word| {
            word.parse().map_err(|_| "true or false".to_owned())
        })
    }
    /// A decimal number in a range.
    pub fn number(
        &mut self,
        key: &str,
        range: std::ops::RangeInclusive<u64>,
        problems: &mut Vec<Problem>,
    ) -> Option<u64> {
        self.parse(key, problems, |word| {
            let number = ofp::text::digits(word, 10).filter(|n| range.contains(n));
            number.ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
        })
    }
    /// Notes that a key's value is wrong.
    pub fn wrong(&self, key: &str, word: &str, right: &str, problems: &mut Vec<Problem>) {
        let text = format!("{}:{key}={word:?} is not {right}", self.column);
        problems.push(Problem {
            table: self.at.table,
            uuid: self.at.uuid,
            name: self.name.clone(),
            text,
        });
    }
}
