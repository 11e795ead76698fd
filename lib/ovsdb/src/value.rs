//! Values of RFC 7047 section 5.1: atoms, data (sets and maps) and rows, to and from JSON.
//! Everything is ordered, so equal data print equally. Types and constraints live in [`crate::schema`].

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde_json::{Value, json};
pub use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};

/// A table or column name; cheap to clone, looks up as `&str`.
pub type Name = Arc<str>;

/// Reads the 36-character form `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, and no other.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

/// A real number with a total order; `-0` is `0`, infinities and NaN do not exist in JSON.
#[derive(Debug, Clone, Copy)]
pub struct Real(f64);

impl Real {
    /// `None` for what JSON cannot carry.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}
impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Real {}

/// The five atomic types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AtomType {
    /// 64-bit signed.
    Integer,
    /// A finite double.
    Real,
    /// true or false.
    Boolean,
    /// UTF-8.
    String,
    /// A row's name.
    Uuid,
}

impl AtomType {
    /// All of them with the words that schemas use.
    pub const WORDS: [(Self, &'static str); 5] = [
        (Self::Integer, "integer"),
        (Self::Real, "real"),
        (Self::Boolean, "boolean"),
        (Self::String, "string"),
        (Self::Uuid, "uuid"),
    ];

    /// The word that schemas use.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].1
    }

    /// The type of a schema's word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(_, w)| *w == word)
            .map(|(t, _)| *t)
    }

    /// The value that a column has when nobody set it.
    pub fn default_atom(self) -> Atom {
        match self {
            Self::Integer => Atom::Integer(0),
            Self::Real => Atom::Real(Real(0.0)),
            Self::Boolean => Atom::Boolean(false),
            Self::String => Atom::String(String::new()),
            Self::Uuid => Atom::Uuid(Uuid::nil()),
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// 64-bit signed.
    Integer(i64),
    /// A finite double.
    Real(Real),
    /// true or false.
    Boolean(bool),
    /// UTF-8.
    String(String),
    /// A row's name.
    Uuid(Uuid),
}

/// Turns the name of `["named-uuid", name]` into a UUID; `None` if it is not defined.
pub type Names<'a> = dyn Fn(&str) -> Option<Uuid> + 'a;

/// A [`Names`] without names: every named UUID is an error.
pub fn no_names(_: &str) -> Option<Uuid> {
    None
}

impl Atom {
    /// Its type.
    pub fn atom_type(&self) -> AtomType {
        match self {
            Self::Integer(_) => AtomType::Integer,
            Self::Real(_) => AtomType::Real,
            Self::Boolean(_) => AtomType::Boolean,
            Self::String(_) => AtomType::String,
            Self::Uuid(_) => AtomType::Uuid,
        }
    }

    /// The RFC 7047 `<atom>`.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Integer(i) => json!(i),
            Self::Real(r) => json!(r.0),
            Self::Boolean(b) => json!(b),
            Self::String(s) => json!(s),
            Self::Uuid(u) => json!(["uuid", u.to_string()]),
        }
    }

    /// Reads an `<atom>` of a known type. A whole number is good as an integer and as a real.
    pub fn from_json(json: &Value, ty: AtomType, names: &Names<'_>) -> Result<Self> {
        let wrong = || Error::syntax(format!("{} is not a valid {}", brief(json), ty.word()));
        match (ty, json) {
            (AtomType::Integer, Value::Number(n)) => n
                .as_i64()
                .or_else(|| n.as_f64().and_then(whole))
                .map(Self::Integer)
                .ok_or_else(wrong),
            (AtomType::Real, Value::Number(n)) => n
                .as_f64()
                .and_then(Real::new)
                .map(Self::Real)
                .ok_or_else(wrong),
            (AtomType::Boolean, Value::Bool(b)) => Ok(Self::Boolean(*b)),
            (AtomType::String, Value::String(s)) => Ok(Self::String(s.clone())),
            (AtomType::Uuid, Value::Array(a)) => uuid_from_json(a, names)?.ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    /// Reads an `<atom>` of whatever type it looks like (a whole number is an integer).
    pub fn from_untyped_json(json: &Value) -> Result<Self> {
        let ty = match json {
            Value::Number(n) if n.is_f64() => AtomType::Real,
            Value::Number(_) => AtomType::Integer,
            Value::Bool(_) => AtomType::Boolean,
            Value::String(_) => AtomType::String,
            _ => AtomType::Uuid,
        };
        Self::from_json(json, ty, &no_names)
    }

    /// The text of a string atom.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The number of an integer atom.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Integer(i) => Some(*i),
            _ => None,
        }
    }

    /// The value of a boolean atom.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(b) => Some(*b),
            _ => None,
        }
    }

    /// The value of a UUID atom.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(u) => Some(*u),
            _ => None,
        }
    }
}

fn whole(f: f64) -> Option<i64> {
    // 2^63 is the first double above every i64.
    let limit = 9_223_372_036_854_775_808.0;
    (f.fract() == 0.0 && f >= -limit && f < limit).then_some(f as i64)
}

fn uuid_from_json(pair: &[Value], names: &Names<'_>) -> Result<Option<Atom>> {
    let [Value::String(tag), Value::String(text)] = pair else {
        return Ok(None);
    };
    match tag.as_str() {
        "uuid" => Ok(parse_uuid(text).map(Atom::Uuid)),
        "named-uuid" => names(text).map(|u| Some(Atom::Uuid(u))).ok_or_else(|| {
            Error::new(
                ErrorKind::ReferentialIntegrityViolation,
                format!("no insert operation defines uuid-name \"{text}\""),
            )
        }),
        _ => Ok(None),
    }
}

/// JSON for an error message: at most some 80 characters of it.
pub(crate) fn brief(json: &Value) -> String {
    let mut text = json.to_string();
    if let Some((cut, _)) = text.char_indices().nth(80) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

impl From<i64> for Atom {
    fn from(v: i64) -> Self {
        Self::Integer(v)
    }
}
impl From<bool> for Atom {
    fn from(v: bool) -> Self {
        Self::Boolean(v)
    }
}
impl From<&str> for Atom {
    fn from(v: &str) -> Self {
        Self::String(v.to_owned())
    }
}
impl From<String> for Atom {
    fn from(v: String) -> Self {
        Self::String(v)
    }
}
impl From<Uuid> for Atom {
    fn from(v: Uuid) -> Self {
        Self::Uuid(v)
    }
}

/// As `ovs-vsctl` prints it: a string is quoted unless it is a plain identifier.
impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(i) => write!(f, "{i}"),
            Self::Real(r) => write!(f, "{}", r.0),
            Self::Boolean(b) => write!(f, "{b}"),
            Self::String(s) if is_plain(s) => f.write_str(s),
            Self::String(s) => write!(f, "{}", json!(s)),
            Self::Uuid(u) => write!(f, "{u}"),
        }
    }
}

fn is_plain(s: &str) -> bool {
    s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && s.chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && !matches!(s, "true" | "false")
        && parse_uuid(s).is_none()
}

/// What a column of a row holds. A scalar is a set of one; an absent optional is an empty set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Datum {
    /// Distinct atoms of one type.
    Set(BTreeSet<Atom>),
    /// Distinct keys, each with a value.
    Map(BTreeMap<Atom, Atom>),
}

impl Datum {
    /// The empty set.
    pub fn empty() -> Self {
        Self::Set(BTreeSet::new())
    }

    /// The empty map.
    pub fn empty_map() -> Self {
        Self::Map(BTreeMap::new())
    }

    /// A set of one, which is also how a scalar looks.
    pub fn scalar(atom: impl Into<Atom>) -> Self {
        Self::Set(BTreeSet::from([atom.into()]))
    }

    /// A set of one or none.
    pub fn optional(atom: Option<impl Into<Atom>>) -> Self {
        Self::Set(atom.into_iter().map(Into::into).collect())
    }

    /// A set.
    pub fn set<A: Into<Atom>>(atoms: impl IntoIterator<Item = A>) -> Self {
        Self::Set(atoms.into_iter().map(Into::into).collect())
    }

    /// A map.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        )
    }

    /// Number of atoms or pairs.
    pub fn len(&self) -> usize {
        match self {
            Self::Set(s) => s.len(),
            Self::Map(m) => m.len(),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The atoms of a set; a map has none.
    pub fn atoms(&self) -> impl Iterator<Item = &Atom> {
        match self {
            Self::Set(s) => Some(s.iter()),
            Self::Map(_) => None,
        }
        .into_iter()
        .flatten()
    }

    /// The pairs of a map; a set has none.
    pub fn pairs(&self) -> impl Iterator<Item = (&Atom, &Atom)> {
        match self {
            Self::Set(_) => None,
            Self::Map(m) => Some(m.iter()),
        }
        .into_iter()
        .flatten()
    }

    /// The only atom of a set of one.
    pub fn as_atom(&self) -> Option<&Atom> {
        match self {
            Self::Set(s) if s.len() == 1 => s.first(),
            _ => None,
        }
    }

    /// The only string.
    pub fn as_str(&self) -> Option<&str> {
        self.as_atom()?.as_str()
    }

    /// The only integer.
    pub fn as_int(&self) -> Option<i64> {
        self.as_atom()?.as_int()
    }

    /// The only boolean.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_atom()?.as_bool()
    }

    /// The only UUID.
    pub fn as_uuid(&self) -> Option<Uuid> {
        self.as_atom()?.as_uuid()
    }

    /// The value that a map of strings has for `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs()
            .find(|(k, _)| k.as_str() == Some(key))?
            .1
            .as_str()
    }

    /// The UUIDs of a set, or among a map's values.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> {
        self.atoms()
            .chain(self.pairs().map(|(_, v)| v))
            .filter_map(Atom::as_uuid)
    }

    /// The strings of a set.
    pub fn strings(&self) -> impl Iterator<Item = &str> {
        self.atoms().filter_map(Atom::as_str)
    }

    /// The integers of a set.
    pub fn ints(&self) -> impl Iterator<Item = i64> {
        self.atoms().filter_map(Atom::as_int)
    }

    /// The RFC 7047 `<value>`; a set of one is the bare atom.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Set(s) if s.len() == 1 => s.first().map_or(Value::Null, Atom::to_json),
            Self::Set(s) => json!(["set", s.iter().map(Atom::to_json).collect::<Vec<_>>()]),
            Self::Map(m) => {
                let pairs: Vec<_> = m
                    .iter()
                    .map(|(k, v)| json!([k.to_json(), v.to_json()]))
                    .collect();
                json!(["map", pairs])
            }
        }
    }

    /// Reads a `<value>` of whatever types it looks like. With a schema at hand, use `ColumnType::datum_from_json`.
    pub fn from_untyped_json(json: &Value) -> Result<Self> {
        match tagged(json) {
            Some(("set", items)) => items
                .iter()
                .map(Atom::from_untyped_json)
                .collect::<Result<_>>()
                .map(Self::Set),
            Some(("map", items)) => items
                .iter()
                .map(|item| {
                    let (k, v) = pair(item)?;
                    Ok((Atom::from_untyped_json(k)?, Atom::from_untyped_json(v)?))
                })
                .collect::<Result<_>>()
                .map(Self::Map),
            _ => Atom::from_untyped_json(json).map(Self::scalar),
        }
    }

    /// The difference that turns `self` into `new`, as `update2` and the log carry it: for a set the elements that are in one only;
    /// for a map the pairs that are in one only, and the new value of a key whose value changed.
    /// Only for columns that can hold more than one element: a column with at most one carries its new value instead.
    #[must_use]
    pub fn diff(&self, new: &Self) -> Self {
        match (self, new) {
            (Self::Set(a), Self::Set(b)) => Self::Set(a.symmetric_difference(b).cloned().collect()),
            (Self::Map(a), Self::Map(b)) => {
                let gone = a.iter().filter(|(k, _)| !b.contains_key(k));
                let come = b.iter().filter(|(k, v)| a.get(k) != Some(v));
                Self::Map(
                    gone.chain(come)
                        .map(|(k, v)| (k.clone(), v.clone()))
                        .collect(),
                )
            }
            _ => new.clone(),
        }
    }

    /// The inverse of [`Datum::diff`]: `old.apply_diff(&old.diff(&new)) == new`.
    #[must_use]
    pub fn apply_diff(&self, diff: &Self) -> Self {
        match (self, diff) {
            (Self::Set(a), Self::Set(d)) => Self::Set(a.symmetric_difference(d).cloned().collect()),
            (Self::Map(a), Self::Map(d)) => {
                let mut out = a.clone();
                for (k, v) in d {
                    if out.get(k) == Some(v) {
                        out.remove(k);
                    } else {
                        out.insert(k.clone(), v.clone());
                    }
                }
                Self::Map(out)
            }
            _ => diff.clone(),
        }
    }
}

/// `["set", [...]]` and `["map", [...]]` as tag and items.
pub(crate) fn tagged(json: &Value) -> Option<(&str, &[Value])> {
    match json.as_array()?.as_slice() {
        [Value::String(tag), Value::Array(items)] => Some((tag, items)),
        _ => None,
    }
}

/// A two-element array.
pub(crate) fn pair(json: &Value) -> Result<(&Value, &Value)> {
    match json.as_array().map(Vec::as_slice) {
        Some([a, b]) => Ok((a, b)),
        _ => Err(Error::syntax(format!("{} is not a pair", brief(json)))),
    }
}

/// A row: a datum for each column. Rows in a database are complete; rows of clients may hold some columns only.
#[derive(Debug, Clone, Default)]
pub struct Row {
    columns: BTreeMap<Name, Datum>,
    pub(crate) version: Uuid,
}

/// The columns decide; `_version` does not take part.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns
    }
}
impl Eq for Row {}

impl Row {
    /// A row without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same row with `column` set; for building rows in one expression.
    #[must_use]
    pub fn with(mut self, column: &str, datum: Datum) -> Self {
        self.columns.insert(column.into(), datum);
        self
    }

    /// Its `_version`, new whenever the row changes.
    pub fn version(&self) -> Uuid {
        self.version
    }

    /// A string column's text, `""` if it is absent or empty.
    pub fn str(&self, column: &str) -> &str {
        self.opt_str(column).unwrap_or("")
    }

    /// An optional string column's text.
    pub fn opt_str(&self, column: &str) -> Option<&str> {
        self.columns.get(column)?.as_str()
    }

    /// An integer column's value.
    pub fn int(&self, column: &str) -> Option<i64> {
        self.columns.get(column)?.as_int()
    }

    /// A boolean column's value, `false` if it is absent.
    pub fn bool(&self, column: &str) -> bool {
        self.columns
            .get(column)
            .and_then(Datum::as_bool)
            .unwrap_or(false)
    }

    /// The value of `key` in a column that maps strings to strings.
    pub fn key(&self, column: &str, key: &str) -> Option<&str> {
        self.columns.get(column)?.get(key)
    }

    /// The references in a column.
    pub fn uuids(&self, column: &str) -> impl Iterator<Item = Uuid> {
        self.columns.get(column).into_iter().flat_map(Datum::uuids)
    }

    /// The RFC 7047 `<row>`.
    pub fn to_json(&self) -> Value {
        Value::Object(
            self.columns
                .iter()
                .map(|(c, d)| (c.to_string(), d.to_json()))
                .collect(),
        )
    }
}

impl Deref for Row {
    type Target = BTreeMap<Name, Datum>;
    fn deref(&self) -> &Self::Target {
        &self.columns
    }
}
impl DerefMut for Row {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.columns
    }
}
impl FromIterator<(Name, Datum)> for Row {
    fn from_iter<I: IntoIterator<Item = (Name, Datum)>>(iter: I) -> Self {
        Self {
            columns: iter.into_iter().collect(),
            version: Uuid::nil(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn atoms() -> impl Strategy<Value = BTreeSet<Atom>> {
        prop_oneof![
            prop::collection::btree_set(any::<i64>().prop_map(Atom::Integer), 0..6),
            prop::collection::btree_set(any::<bool>().prop_map(Atom::Boolean), 0..3),
            prop::collection::btree_set(".*".prop_map(Atom::String), 0..6),
            prop::collection::btree_set(
                any::<u128>().prop_map(|u| Atom::Uuid(Uuid::from_u128(u))),
                0..6
            ),
        ]
    }

    fn map() -> impl Strategy<Value = Datum> {
        prop::collection::btree_map("[a-d]", "[xyz]", 0..4).prop_map(Datum::map)
    }

    proptest! {
        #[test]
        fn emit_then_parse(set in atoms(), map in map()) {
            for datum in [Datum::Set(set), map] {
                prop_assert_eq!(Datum::from_untyped_json(&datum.to_json()), Ok(datum));
            }
        }

        #[test]
        fn diff_then_apply(a in prop::collection::btree_set(0..8i64, 0..6), b in prop::collection::btree_set(0..8i64, 0..6), m in map(), n in map()) {
            let (a, b) = (Datum::set(a), Datum::set(b));
            prop_assert_eq!(a.apply_diff(&a.diff(&b)), b);
            prop_assert_eq!(m.apply_diff(&m.diff(&n)), n);
        }

        #[test]
        fn noise_never_panics(text in "[\\[\\]{}\":,a0.e-]{0,60}") {
            if let Ok(json) = serde_json::from_str(&text) {
                let _ = Datum::from_untyped_json(&json);
            }
        }
    }

    #[test]
    fn texts() {
        let print = |atom: Atom| atom.to_string();
        assert_eq!(print("br-int.0".into()), "br-int.0");
        for quoted in ["10.0.0.2", "", "true", "a b", "3f"] {
            assert_eq!(print(quoted.into()), format!("\"{quoted}\""));
        }
        assert_eq!(print(Atom::Integer(-3)), "-3");
    }

    #[test]
    fn typed_atoms() {
        let parse = |text: &str, ty| {
            Atom::from_json(&serde_json::from_str(text).expect("JSON"), ty, &no_names)
        };
        assert_eq!(parse("3.0", AtomType::Integer), Ok(Atom::Integer(3)));
        assert!(parse("3.5", AtomType::Integer).is_err());
        assert!(parse("9223372036854775808", AtomType::Integer).is_err());
        assert!(
            parse("\"3\"", AtomType::Integer)
                .is_err_and(|e| e.details == "\"3\" is not a valid integer")
        );
        assert_eq!(parse("3", AtomType::Real), Ok(Atom::Real(Real(3.0))));
        assert_eq!(parse("-0.0", AtomType::Real), Ok(Atom::Real(Real(0.0))));
        assert!(parse("[\"uuid\",\"f\"]", AtomType::Uuid).is_err());
        assert!(
            parse("[\"named-uuid\",\"f\"]", AtomType::Uuid)
                .is_err_and(|e| e.details.contains("\"f\""))
        );
    }
}
