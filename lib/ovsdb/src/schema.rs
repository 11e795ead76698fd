//! Schemas of RFC 7047 section 3.2: what tables and columns a database has and what a column may hold.
//! Parses and prints the JSON form, reads data of a column's type and checks them with texts that name the word.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::value::{Atom, AtomType, Datum, Name, Names, Row, brief, no_names, pair, tagged};

/// Which values of an atomic type are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Constraint {
    /// All of them.
    #[default]
    Any,
    /// One of these.
    Enum(BTreeSet<Atom>),
    /// A number (of the base type) in this inclusive range.
    Range(Option<Atom>, Option<Atom>),
    /// A string of so many characters.
    Length(usize, usize),
    /// The UUID of a row of this table.
    Ref(Reference),
}

/// What a UUID column refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The table whose rows it names.
    pub table: Name,
    /// A strong reference keeps its row alive; a weak one vanishes with it.
    pub strong: bool,
}

/// An atomic type and its constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseType {
    /// The type of the atom.
    pub atom: AtomType,
    /// Which of its values are allowed.
    pub constraint: Constraint,
}

/// What a column may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// Type of a set's elements or of a map's keys.
    pub key: BaseType,
    /// Type of a map's values; `None` for a set.
    pub value: Option<BaseType>,
    /// Least number of elements, 0 or 1.
    pub min: usize,
    /// Largest number of elements; `None` is "unlimited".
    pub max: Option<usize>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSchema {
    /// Its name.
    pub name: Name,
    /// What it may hold.
    pub ty: ColumnType,
    /// Not kept across a restart.
    pub ephemeral: bool,
    /// May change after the row was inserted.
    pub mutable: bool,
}

/// A table of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// Its name.
    pub name: Name,
    /// Its columns, without `_uuid` and `_version`.
    pub columns: BTreeMap<Name, ColumnSchema>,
    /// Rows live without references to them.
    pub is_root: bool,
    /// Largest number of rows.
    pub max_rows: Option<usize>,
    /// Sets of columns that no two rows share.
    pub indexes: Vec<Vec<Name>>,
}

/// A database: tables by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSchema {
    /// Its name, the first word of most requests.
    pub name: Name,
    /// `x.y.z`.
    pub version: String,
    /// The publisher's checksum, if it has one; kept, not verified.
    pub cksum: Option<String>,
    /// Its tables.
    pub tables: BTreeMap<Name, TableSchema>,
}

impl BaseType {
    /// All values of `atom`.
    pub fn any(atom: AtomType) -> Self {
        Self {
            atom,
            constraint: Constraint::Any,
        }
    }

    /// The reference that a UUID of this type is.
    pub fn reference(&self) -> Option<&Reference> {
        match &self.constraint {
            Constraint::Ref(r) => Some(r),
            _ => None,
        }
    }

    /// Checks one atom; the error names it and what is allowed.
    pub fn check(&self, atom: &Atom) -> Result<()> {
        if atom.atom_type() != self.atom {
            return Err(Error::syntax(format!(
                "{atom} is not a valid {}",
                self.atom.word()
            )));
        }
        let refuse = |text: String| Err(Error::constraint(text));
        match &self.constraint {
            Constraint::Enum(allowed) if !allowed.contains(atom) => {
                let words: Vec<_> = allowed.iter().map(Atom::to_string).collect();
                refuse(format!(
                    "{atom} is not one of the allowed values ([{}])",
                    words.join(", ")
                ))
            }
            Constraint::Range(Some(min), Some(max)) if atom < min || atom > max => refuse(format!(
                "{atom} is not in the valid range {min} to {max} (inclusive)"
            )),
            Constraint::Range(Some(min), None) if atom < min => {
                refuse(format!("{atom} is less than minimum allowed value {min}"))
            }
            Constraint::Range(None, Some(max)) if atom > max => refuse(format!(
                "{atom} is greater than maximum allowed value {max}"
            )),
            Constraint::Length(min, max) => {
                let len = atom.as_str().map_or(0, |s| s.chars().count());
                if len < *min {
                    return refuse(format!(
                        "{atom} length {len} is less than minimum allowed length {min}"
                    ));
                }
                if len > *max {
                    return refuse(format!(
                        "{atom} length {len} is greater than maximum allowed length {max}"
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn from_json(json: &Value) -> Result<Self> {
        if let Some(word) = json.as_str() {
            return atom_type(word).map(Self::any);
        }
        let object = json
            .as_object()
            .ok_or_else(|| Error::syntax(format!("{} is not a type", brief(json))))?;
        let atom = atom_type(text(object, "type")?)?;
        let bound = |key: &str, ty: AtomType| {
            object
                .get(key)
                .map(|v| Atom::from_json(v, ty, &no_names))
                .transpose()
                .map_err(|e| e.at(key))
        };
        let constraint = if let Some(allowed) = object.get("enum") {
            let set = ColumnType {
                key: Self::any(atom),
                value: None,
                min: 0,
                max: None,
            };
            Constraint::Enum(
                set.datum_from_json(allowed, &no_names)?
                    .atoms()
                    .cloned()
                    .collect(),
            )
        } else {
            match atom {
                AtomType::Integer | AtomType::Real => {
                    let (min, max) = match atom {
                        AtomType::Real => ("minReal", "maxReal"),
                        _ => ("minInteger", "maxInteger"),
                    };
                    match (bound(min, atom)?, bound(max, atom)?) {
                        (None, None) => Constraint::Any,
                        (min, max) => Constraint::Range(min, max),
                    }
                }
                AtomType::String => {
                    let len = |key| {
                        Ok::<_, Error>(
                            bound(key, AtomType::Integer)?
                                .and_then(|a| usize::try_from(a.as_int()?).ok()),
                        )
                    };
                    match (len("minLength")?, len("maxLength")?) {
                        (None, None) => Constraint::Any,
                        (min, max) => {
                            Constraint::Length(min.unwrap_or(0), max.unwrap_or(usize::MAX))
                        }
                    }
                }
                AtomType::Uuid => match object.get("refTable").and_then(Value::as_str) {
                    None => Constraint::Any,
                    Some(table) => Constraint::Ref(Reference {
                        table: table.into(),
                        strong: object
                            .get("refType")
                            .and_then(Value::as_str)
                            .unwrap_or("strong")
                            == "strong",
                    }),
                },
                AtomType::Boolean => Constraint::Any,
            }
        };
        Ok(Self { atom, constraint })
    }

    fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("type".into(), json!(self.atom.word()));
        let mut put = |key: &str, value: Value| {
            out.insert(key.into(), value);
        };
        match &self.constraint {
            Constraint::Any => return json!(self.atom.word()),
            Constraint::Enum(allowed) => put("enum", Datum::Set(allowed.clone()).to_json()),
            Constraint::Range(min, max) => {
                let suffix = if self.atom == AtomType::Real {
                    "Real"
                } else {
                    "Integer"
                };
                for (side, bound) in [("min", min), ("max", max)] {
                    if let Some(bound) = bound {
                        put(&format!("{side}{suffix}"), bound.to_json());
                    }
                }
            }
            Constraint::Length(min, max) => {
                if *min > 0 {
                    put("minLength", json!(min));
                }
                if *max < usize::MAX {
                    put("maxLength", json!(max));
                }
            }
            Constraint::Ref(r) => {
                put("refTable", json!(&*r.table));
                if !r.strong {
                    put("refType", json!("weak"));
                }
            }
        }
        Value::Object(out)
    }
}

impl ColumnType {
    /// Exactly one of `key`.
    pub fn scalar(key: BaseType) -> Self {
        Self {
            key,
            value: None,
            min: 1,
            max: Some(1),
        }
    }

    /// Whether it holds a map.
    pub fn is_map(&self) -> bool {
        self.value.is_some()
    }

    /// Whether it holds exactly one atom.
    pub fn is_scalar(&self) -> bool {
        !self.is_map() && self.min == 1 && self.max == Some(1)
    }

    /// Whether it holds none or one atom.
    pub fn is_optional(&self) -> bool {
        !self.is_map() && self.min == 0 && self.max == Some(1)
    }

    /// Whether changes of it are sent as differences ([`Datum::diff`]) and not as new values.
    pub fn has_diff(&self) -> bool {
        self.max != Some(1)
    }

    /// The base types in it: key and value.
    pub fn bases(&self) -> impl Iterator<Item = &BaseType> {
        std::iter::once(&self.key).chain(&self.value)
    }

    /// Every reference that `datum`, which has this type, holds.
    pub fn references<'a>(
        &'a self,
        datum: &'a Datum,
    ) -> impl Iterator<Item = (&'a Reference, crate::Uuid)> {
        let keys = self.key.reference().into_iter().flat_map(move |r| {
            datum
                .atoms()
                .chain(datum.pairs().map(|(k, _)| k))
                .filter_map(move |a| Some((r, a.as_uuid()?)))
        });
        let values = self
            .value
            .as_ref()
            .and_then(BaseType::reference)
            .into_iter()
            .flat_map(move |r| {
                datum
                    .pairs()
                    .filter_map(move |(_, v)| Some((r, v.as_uuid()?)))
            });
        keys.chain(values)
    }

    /// What the column holds when nobody set it.
    pub fn default_datum(&self) -> Datum {
        match (&self.value, self.min) {
            (None, 0) => Datum::empty(),
            (None, _) => Datum::scalar(self.key.default_atom()),
            (Some(_), 0) => Datum::empty_map(),
            (Some(value), _) => Datum::map([(self.key.default_atom(), value.default_atom())]),
        }
    }

    /// Checks the number of elements and each of them.
    pub fn check(&self, datum: &Datum) -> Result<()> {
        if matches!(datum, Datum::Map(_)) != self.is_map() {
            let (want, got) = if self.is_map() {
                ("map", "set")
            } else {
                ("set", "map")
            };
            return Err(Error::syntax(format!(
                "a {want} is wanted here, not a {got}"
            )));
        }
        self.check_len(datum)?;
        for atom in datum.atoms() {
            self.key.check(atom)?;
        }
        for (key, value) in datum.pairs() {
            self.key.check(key)?;
            if let Some(ty) = &self.value {
                ty.check(value).map_err(|e| e.at(key))?;
            }
        }
        Ok(())
    }

    fn check_len(&self, datum: &Datum) -> Result<()> {
        let len = datum.len();
        if len < self.min || self.max.is_some_and(|max| len > max) {
            let max = self.max.map_or("unlimited".into(), |m| m.to_string());
            let kind = if self.is_map() { "map" } else { "set" };
            let min = self.min;
            return Err(Error::constraint(format!(
                "{kind} must have {min} to {max} members but {len} are present"
            )));
        }
        Ok(())
    }

    /// Reads an RFC 7047 `<value>` of this type and checks it.
    pub fn datum_from_json(&self, json: &Value, names: &Names<'_>) -> Result<Datum> {
        let datum = self.parse_datum(json, names)?;
        // Of a value on the wire, the number of elements is its form.
        self.check_len(&datum)
            .map_err(|e| Error::syntax(e.details))?;
        self.check(&datum)?;
        Ok(datum)
    }

    /// Reads a `<value>` of this type without checking number and constraints (for conditions and differences).
    pub fn parse_datum(&self, json: &Value, names: &Names<'_>) -> Result<Datum> {
        let atom = |v: &Value, ty: &BaseType| Atom::from_json(v, ty.atom, names);
        let repeated = |a: &Atom| Error::constraint(format!("{a} is here more than once"));
        match (tagged(json), &self.value) {
            (Some(("map", items)), Some(value)) => {
                let mut out = BTreeMap::new();
                for item in items {
                    let (k, v) = pair(item)?;
                    let (k, v) = (atom(k, &self.key)?, atom(v, value)?);
                    if out.insert(k.clone(), v).is_some() {
                        return Err(repeated(&k));
                    }
                }
                Ok(Datum::Map(out))
            }
            // An empty set is good as an empty map: some clients send it.
            (Some(("set", [])), Some(_)) => Ok(Datum::empty_map()),
            (_, Some(_)) => Err(Error::syntax(format!("{} is not a map", brief(json)))),
            (Some(("set", items)), None) => {
                let mut out = BTreeSet::new();
                for item in items {
                    let item = atom(item, &self.key)?;
                    if out.contains(&item) {
                        return Err(repeated(&item));
                    }
                    out.insert(item);
                }
                Ok(Datum::Set(out))
            }
            (_, None) => atom(json, &self.key).map(Datum::scalar),
        }
    }

    /// Prints a datum of this type as `ovs-vsctl` does: `a`, `[a, b]`, `{k=v}`.
    pub fn print(&self, datum: &Datum) -> String {
        let list: Vec<String> = datum
            .atoms()
            .map(Atom::to_string)
            .chain(datum.pairs().map(|(k, v)| format!("{k}={v}")))
            .collect();
        match datum {
            Datum::Map(_) => format!("{{{}}}", list.join(", ")),
            Datum::Set(_) if self.max == Some(1) && list.len() == 1 => list.concat(),
            Datum::Set(_) => format!("[{}]", list.join(", ")),
        }
    }

    fn from_json(json: &Value) -> Result<Self> {
        let Some(object) = json.as_object() else {
            return BaseType::from_json(json).map(Self::scalar);
        };
        let key = BaseType::from_json(
            object
                .get("key")
                .ok_or_else(|| Error::syntax("a type without \"key\""))?,
        )?;
        let value = object.get("value").map(BaseType::from_json).transpose()?;
        let min = count(object, "min")?.unwrap_or(1);
        let max = match object.get("max") {
            Some(Value::String(s)) if s == "unlimited" => None,
            _ => Some(count(object, "max")?.unwrap_or(1)),
        };
        if min > 1 || max.is_some_and(|max| max == 0 || max < min) {
            return Err(Error::syntax(format!(
                "{}: min is 0 or 1, and max at least 1",
                brief(json)
            )));
        }
        Ok(Self {
            key,
            value,
            min,
            max,
        })
    }

    fn to_json(&self) -> Value {
        let key = self.key.to_json();
        if self.is_scalar() && key.is_string() {
            return key;
        }
        let mut out = Map::from_iter([("key".to_owned(), key)]);
        if let Some(value) = &self.value {
            out.insert("value".into(), value.to_json());
        }
        if self.min != 1 {
            out.insert("min".into(), json!(self.min));
        }
        match self.max {
            Some(1) => None,
            Some(max) => out.insert("max".into(), json!(max)),
            None => out.insert("max".into(), json!("unlimited")),
        };
        Value::Object(out)
    }
}

impl TableSchema {
    /// The column `name`, or an error that names it.
    pub fn column(&self, name: &str) -> Result<&ColumnSchema> {
        self.columns.get(name).ok_or_else(|| {
            Error::new(
                crate::ErrorKind::UnknownColumn,
                format!("No column {name} in table {}.", self.name),
            )
        })
    }

    /// The column `name` if it may change after the row was inserted.
    pub fn mutable_column(&self, name: &str) -> Result<&ColumnSchema> {
        let column = self.column(name)?;
        if column.mutable {
            return Ok(column);
        }
        Err(Error::constraint(format!(
            "cannot change immutable column {name} in table {}",
            self.name
        )))
    }

    /// A row in which every column has its default.
    pub fn default_row(&self) -> Row {
        self.columns
            .values()
            .map(|c| (c.name.clone(), c.ty.default_datum()))
            .collect()
    }

    fn from_json(name: &str, json: &Value) -> Result<Self> {
        let object = object(json)?;
        let mut columns = BTreeMap::new();
        for (name, json) in self::object(object.get("columns").unwrap_or(&Value::Null))? {
            let column =
                ColumnSchema::from_json(name, json).map_err(|e| e.at(format!("column {name}")))?;
            columns.insert(column.name.clone(), column);
        }
        let mut indexes = Vec::new();
        for index in object
            .get("indexes")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let names = index
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let names: Vec<Name> = names.map(Name::from).collect();
            if names.is_empty() || !names.iter().all(|n| columns.contains_key(n)) {
                return Err(Error::syntax(format!("{} is not an index", brief(index))));
            }
            indexes.push(names);
        }
        Ok(Self {
            name: name.into(),
            columns,
            is_root: flag(object, "isRoot", false)?,
            max_rows: count(object, "maxRows")?,
            indexes,
        })
    }

    fn to_json(&self) -> Value {
        let columns: Map<_, _> = self
            .columns
            .iter()
            .map(|(n, c)| (n.to_string(), c.to_json()))
            .collect();
        let mut out = Map::from_iter([("columns".to_owned(), Value::Object(columns))]);
        if self.is_root {
            out.insert("isRoot".into(), json!(true));
        }
        if let Some(max) = self.max_rows {
            out.insert("maxRows".into(), json!(max));
        }
        if !self.indexes.is_empty() {
            let indexes: Vec<Vec<&str>> = self
                .indexes
                .iter()
                .map(|i| i.iter().map(|n| &**n).collect())
                .collect();
            out.insert("indexes".into(), json!(indexes));
        }
        Value::Object(out)
    }
}

impl ColumnSchema {
    fn from_json(name: &str, json: &Value) -> Result<Self> {
        let object = object(json)?;
        Ok(Self {
            name: name.into(),
            ty: ColumnType::from_json(object.get("type").unwrap_or(&Value::Null))?,
            ephemeral: flag(object, "ephemeral", false)?,
            mutable: flag(object, "mutable", true)?,
        })
    }

    fn to_json(&self) -> Value {
        let mut out = Map::from_iter([("type".to_owned(), self.ty.to_json())]);
        if self.ephemeral {
            out.insert("ephemeral".into(), json!(true));
        }
        if !self.mutable {
            out.insert("mutable".into(), json!(false));
        }
        Value::Object(out)
    }
}

impl DatabaseSchema {
    /// The table `name`, or an error that names it.
    pub fn table(&self, name: &str) -> Result<&TableSchema> {
        self.tables
            .get(name)
            .ok_or_else(|| Error::syntax(format!("No table named {name}.")))
    }

    /// Reads a `<database-schema>`. As RFC 7047 has it, if no table is a root, then all are.
    pub fn from_json(json: &Value) -> Result<Self> {
        let object = object(json)?;
        let mut tables = BTreeMap::new();
        for (name, json) in self::object(object.get("tables").unwrap_or(&Value::Null))? {
            let table =
                TableSchema::from_json(name, json).map_err(|e| e.at(format!("table {name}")))?;
            tables.insert(table.name.clone(), table);
        }
        if !tables.values().any(|t| t.is_root) {
            tables.values_mut().for_each(|t| t.is_root = true);
        }
        let schema = Self {
            name: text(object, "name")?.into(),
            version: object
                .get("version")
                .and_then(Value::as_str)
                .unwrap_or("0.0.0")
                .into(),
            cksum: object.get("cksum").and_then(Value::as_str).map(Into::into),
            tables,
        };
        schema.check_references()?;
        Ok(schema)
    }

    fn check_references(&self) -> Result<()> {
        for table in self.tables.values() {
            for column in table.columns.values() {
                for reference in column.ty.bases().filter_map(BaseType::reference) {
                    self.table(&reference.table)
                        .map_err(|e| e.at(format!("{}.{}", table.name, column.name)))?;
                }
            }
        }
        Ok(())
    }

    /// Prints the `<database-schema>`.
    pub fn to_json(&self) -> Value {
        let tables: Map<_, _> = self
            .tables
            .iter()
            .map(|(n, t)| (n.to_string(), t.to_json()))
            .collect();
        let mut out = json!({ "name": &*self.name, "version": self.version, "tables": tables });
        if let Some(cksum) = &self.cksum {
            out["cksum"] = json!(cksum);
        }
        out
    }
}

impl fmt::Display for DatabaseSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

impl BaseType {
    fn default_atom(&self) -> Atom {
        match &self.constraint {
            Constraint::Enum(allowed) => {
                let default = self.atom.default_atom();
                if allowed.contains(&default) {
                    default
                } else {
                    allowed.first().cloned().unwrap_or(default)
                }
            }
            _ => self.atom.default_atom(),
        }
    }
}

fn atom_type(word: &str) -> Result<AtomType> {
    AtomType::from_word(word).ok_or_else(|| Error::syntax(format!("{word} is not an atomic type")))
}

fn object(json: &Value) -> Result<&Map<String, Value>> {
    json.as_object()
        .ok_or_else(|| Error::syntax(format!("{} is not an object", brief(json))))
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str> {
    object
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| Error::syntax(format!("\"{key}\" is missing or not a string")))
}

fn flag(object: &Map<String, Value>, key: &str, default: bool) -> Result<bool> {
    match object.get(key) {
        None => Ok(default),
        Some(Value::Bool(b)) => Ok(*b),
        Some(_) => Err(Error::syntax(format!("\"{key}\" is not a boolean"))),
    }
}

fn count(object: &Map<String, Value>, key: &str) -> Result<Option<usize>> {
    match object.get(key) {
        None => Ok(None),
        Some(v) => v
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .map(Some)
            .ok_or_else(|| Error::syntax(format!("\"{key}\" is not a count"))),
    }
}
