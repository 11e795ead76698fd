//! `COLUMN[:KEY][OPERATOR VALUE]`, the argument of the database commands, and what its operators mean.

use std::cmp::Ordering;

use ovsdb::schema::{ColumnSchema, ColumnType, TableSchema};
use ovsdb::{Atom, Datum, Row};

use crate::error::{Result, fail};
use crate::lookup;
use crate::symbols::Symbols;
use crate::value::{read_atom, read_datum, word_len};

/// What stands between column and value.
#[derive(Debug, Clone, Copy)]
pub enum Operator {
    /// Ordering of the whole datum: by size, then element by element.
    Compare(fn(Ordering) -> bool),
    /// Relation of two sets: whether each is a subset of the other (left in right, right in left).
    Relate(fn(bool, bool) -> bool),
    /// No element of the left one is in the right one.
    Disjoint,
}

/// All operators, in the order in which error messages name them.
pub const OPERATORS: &[(&str, Operator)] = &[
    ("=", Operator::Compare(Ordering::is_eq)),
    ("!=", Operator::Compare(Ordering::is_ne)),
    ("<", Operator::Compare(Ordering::is_lt)),
    (">", Operator::Compare(Ordering::is_gt)),
    ("<=", Operator::Compare(Ordering::is_le)),
    (">=", Operator::Compare(Ordering::is_ge)),
    ("{=}", Operator::Relate(|left, right| left && right)),
    ("{!=}", Operator::Relate(|left, right| !(left && right))),
    ("{<}", Operator::Relate(|left, right| left && !right)),
    ("{>}", Operator::Relate(|left, right| !left && right)),
    ("{<=}", Operator::Relate(|left, _| left)),
    ("{>=}", Operator::Relate(|_, right| right)),
    ("{in}", Operator::Relate(|left, _| left)),
    ("{not-in}", Operator::Disjoint),
];

/// An argument taken apart; nothing is checked against a schema yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts<'a> {
    column: &'a str,
    key: Option<&'a str>,
    rest: &'a str,
}

fn take_apart(text: &str) -> Result<Parts<'_>> {
    let (column, rest) = text.split_at(word_len(text));
    if column.is_empty() {
        fail!("{text}: missing column name");
    }
    Ok(match rest.strip_prefix(':') {
        Some(rest) => {
            let (key, rest) = rest.split_at(word_len(rest));
            Parts {
                column,
                key: Some(key),
                rest,
            }
        }
        None => Parts {
            column,
            key: None,
            rest,
        },
    })
}

/// A column, or one key of a map column.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The column.
    pub column: &'a ColumnSchema,
    /// The key, if one is given.
    pub key: Option<Atom>,
}

impl<'a> Place<'a> {
    fn new(
        table: &'a TableSchema,
        parts: Parts<'_>,
        verb: &str,
        symbols: &mut Symbols,
    ) -> Result<Self> {
        let column = lookup::column(table, parts.column)?;
        if parts.key.is_some() && !column.ty.is_map() {
            fail!(
                "cannot specify key to {verb} for non-map column {}",
                column.name
            );
        }
        let key = parts
            .key
            .map(|key| read_atom(key, &column.ty.key, symbols))
            .transpose()?;
        Ok(Self { column, key })
    }

    /// Reads `COLUMN[:KEY]`.
    pub fn parse(table: &'a TableSchema, text: &str, symbols: &mut Symbols) -> Result<Self> {
        let parts = take_apart(text)?;
        let place = Self::new(table, parts, "get", symbols)?;
        match parts.rest {
            "" => Ok(place),
            rest => fail!("{text}: trailing garbage \"{rest}\" in argument"),
        }
    }
}

/// `COLUMN[:KEY]=VALUE`, read and checked.
#[derive(Debug)]
pub struct Assignment<'a> {
    /// Where.
    pub place: Place<'a>,
    /// What; a map of one if a key is given.
    pub datum: Datum,
}

impl<'a> Assignment<'a> {
    /// Reads an assignment to a row of `table`.
    pub fn parse(table: &'a TableSchema, text: &str, symbols: &mut Symbols) -> Result<Self> {
        let parts = take_apart(text)?;
        let place = Place::new(table, parts, "set", symbols)?;
        let Some(value) = parts
            .rest
            .strip_prefix('=')
            .filter(|value| !value.is_empty())
        else {
            fail!("{text}: argument does not end in \"=\" followed by a value.");
        };
        let ty = &place.column.ty;
        let datum = match (&place.key, &ty.value) {
            (Some(key), Some(base)) => {
                Datum::map([(key.clone(), read_atom(value, base, symbols)?)])
            }
            _ => read_datum(value, ty, symbols)?,
        };
        Ok(Self { place, datum })
    }
}

/// `COLUMN[:KEY]OPERATOR VALUE`, read and checked.
#[derive(Debug)]
pub struct Condition<'a> {
    place: Place<'a>,
    operator: Operator,
    datum: Datum,
}

impl<'a> Condition<'a> {
    /// Reads a condition on rows of `table`.
    pub fn parse(table: &'a TableSchema, text: &str, symbols: &mut Symbols) -> Result<Self> {
        let parts = take_apart(text)?;
        let place = Place::new(table, parts, "check", symbols)?;
        let fitting = OPERATORS
            .iter()
            .filter(|(word, _)| parts.rest.starts_with(word));
        let found = fitting
            .max_by_key(|(word, _)| word.len())
            .map(|(word, op)| (*op, &parts.rest[word.len()..]));
        let Some((operator, value)) = found.filter(|(_, value)| !value.is_empty()) else {
            let words: Vec<_> = OPERATORS
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            let (last, others) = words
                .split_last()
                .map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
            fail!(
                "{text}: argument does not end in {}, or {last} followed by a value.",
                others.join(", ")
            );
        };
        let ty = &place.column.ty;
        let datum = match (&place.key, &ty.value, operator) {
            (Some(_), Some(base), Operator::Compare(_)) => {
                Datum::scalar(read_atom(value, base, symbols)?)
            }
            (Some(_), Some(base), _) => read_datum(
                value,
                &ColumnType {
                    key: base.clone(),
                    value: None,
                    min: 0,
                    max: None,
                },
                symbols,
            )?,
            (_, _, Operator::Compare(_)) => read_datum(value, ty, symbols)?,
            _ => read_datum(
                value,
                &ColumnType {
                    min: 0,
                    max: None,
                    ..ty.clone()
                },
                symbols,
            )?,
        };
        Ok(Self {
            place,
            operator,
            datum,
        })
    }

    /// Whether a row fulfils it.
    pub fn holds(&self, row: &Row) -> bool {
        let Some(datum) = row.get(&self.place.column.name) else {
            return false;
        };
        let of_key;
        let datum = match &self.place.key {
            None => datum,
            Some(key) => {
                let value = datum
                    .pairs()
                    .find(|(k, _)| *k == key)
                    .map(|(_, value)| value.clone());
                if value.is_none() && matches!(self.operator, Operator::Compare(_)) {
                    return false;
                }
                of_key = Datum::optional(value);
                &of_key
            }
        };
        match self.operator {
            Operator::Compare(wanted) => wanted(compare(datum, &self.datum)),
            Operator::Relate(wanted) => {
                wanted(subset(datum, &self.datum), subset(&self.datum, datum))
            }
            Operator::Disjoint => !intersects(datum, &self.datum),
        }
    }
}

/// The larger number of elements wins, then the first different key, then the first different value.
fn compare(a: &Datum, b: &Datum) -> Ordering {
    let keys = |datum: &Datum| {
        datum
            .atoms()
            .chain(datum.pairs().map(|(key, _)| key))
            .cloned()
            .collect::<Vec<_>>()
    };
    let values = |datum: &Datum| {
        datum
            .pairs()
            .map(|(_, value)| value.clone())
            .collect::<Vec<_>>()
    };
    a.len()
        .cmp(&b.len())
        .then_with(|| keys(a).cmp(&keys(b)))
        .then_with(|| values(a).cmp(&values(b)))
}

fn subset(a: &Datum, b: &Datum) -> bool {
    match (a, b) {
        (Datum::Set(a), Datum::Set(b)) => a.is_subset(b),
        (Datum::Map(a), Datum::Map(b)) => a.iter().all(|(key, value)| b.get(key) == Some(value)),
        _ => false,
    }
}

fn intersects(a: &Datum, b: &Datum) -> bool {
    match (a, b) {
        (Datum::Set(a), Datum::Set(b)) => !a.is_disjoint(b),
        (Datum::Map(a), Datum::Map(b)) => a.iter().any(|(key, value)| b.get(key) == Some(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::schema::DatabaseSchema;
    use proptest::prelude::*;
    use serde_json::json;

    fn schema() -> DatabaseSchema {
        let set = json!({"type": {"key": "integer", "min": 0, "max": "unlimited"}});
        let map =
            json!({"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}});
        let columns = json!({"set": set, "map": map, "tag": {"type": {"key": "integer", "min": 0, "max": 1}}, "name": {"type": "string"}});
        DatabaseSchema::from_json(
            &json!({"name": "D", "version": "1.0.0", "tables": {"T": {"columns": columns}}}),
        )
        .unwrap()
    }

    fn row() -> Row {
        let map = Datum::map([("mtu", "9000"), ("a", "b")]);
        Row::new()
            .with("set", Datum::set([1, 2]))
            .with("map", map)
            .with("tag", Datum::empty())
            .with("name", Datum::scalar("p2"))
    }

    fn holds(text: &str) -> std::result::Result<bool, String> {
        let schema = schema();
        let condition = Condition::parse(&schema.tables["T"], text, &mut Symbols::default());
        condition
            .map(|condition| condition.holds(&row()))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn conditions() {
        for text in [
            "set=1,2",
            "set{=}[2,1]",
            "set!=1",
            "set>9",
            "set<1,3",
            "set{>}1",
            "set{>=}1",
            "set{<}1,2,3",
            "set{<=}1,2",
            "set{in}1,2,3",
            "set{not-in}3",
            "name=p2",
            "name<p3",
            "name>=p2",
            "map:mtu=9000",
            "map:mtu!=1500",
            "map:x{!=}1500",
            "map:x{=}[]",
            "map:mtu{in}9000,1",
            "map{>=}a=b",
            "map!={}",
            "tag=[]",
            "tag{<=}5",
            "tag{not-in}5",
        ] {
            assert_eq!(holds(text), Ok(true), "{text}");
        }
        for text in [
            "set=1",
            "set{=}1",
            "set{<}1,2",
            "set{>}1,2",
            "set{not-in}2",
            "name!=p2",
            "map:x!=1500",
            "map:mtu=1500",
            "tag=5",
            "tag>0",
        ] {
            assert_eq!(holds(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn errors() {
        assert!(
            holds("set")
                .unwrap_err()
                .ends_with("\"{<=}\", \"{>=}\", \"{in}\", or \"{not-in}\" followed by a value.")
        );
        assert!(
            holds("set{bad}1")
                .unwrap_err()
                .starts_with("set{bad}1: argument does not end in \"=\", \"!=\", ")
        );
        assert_eq!(holds(":x=1").unwrap_err(), ":x=1: missing column name");
        assert_eq!(
            holds("tag:1=1").unwrap_err(),
            "cannot specify key to check for non-map column tag"
        );
        assert_eq!(
            holds("tag=x").unwrap_err(),
            "\"x\" is not a valid integer or range"
        );
    }

    #[test]
    fn assignments() {
        let schema = schema();
        let assign = |text| {
            let assignment = Assignment::parse(&schema.tables["T"], text, &mut Symbols::default());
            assignment
                .map(|a| (a.place.key.is_some(), a.place.column.ty.print(&a.datum)))
                .map_err(|e| e.to_string())
        };
        assert_eq!(assign("map:a=b,c=d"), Ok((true, "{a=\"b,c=d\"}".into())));
        assert_eq!(assign("map=a=b,c=d"), Ok((false, "{a=b, c=d}".into())));
        assert_eq!(assign("map:\"q:r\"=s"), Ok((true, "{\"q:r\"=s}".into())));
        assert_eq!(assign("set=1-3"), Ok((false, "[1, 2, 3]".into())));
        for text in ["map", "map:a", "map:a=", "set!=1"] {
            assert_eq!(
                assign(text),
                Err(format!(
                    "{text}: argument does not end in \"=\" followed by a value."
                ))
            );
        }
        assert!(
            assign("map:=x")
                .unwrap_err()
                .starts_with("An empty string is not valid")
        );
        assert_eq!(
            assign("tag:1=1").unwrap_err(),
            "cannot specify key to set for non-map column tag"
        );
    }

    #[test]
    fn places() {
        let schema = schema();
        let error = Place::parse(&schema.tables["T"], "map:a:b", &mut Symbols::default())
            .unwrap_err()
            .to_string();
        assert_eq!(error, "map:a:b: trailing garbage \":b\" in argument");
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in "(map|set|name)?[-a1:=,\\[\\]{}!<>\"é]{0,12}") {
            let _ = holds(&text);
        }
    }
}
