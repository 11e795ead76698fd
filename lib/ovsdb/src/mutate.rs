//! Mutations of RFC 7047 section 5.1: `[column, mutator, value]` of the operation `mutate`.

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{BaseType, ColumnType, TableSchema};
use crate::value::{Atom, AtomType, Datum, Name, Names, Real, brief, tagged};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Insert,
    Delete,
}

const MUTATORS: [(&str, Mutator); 7] = [
    ("+=", Mutator::Add),
    ("-=", Mutator::Subtract),
    ("*=", Mutator::Multiply),
    ("/=", Mutator::Divide),
    ("%=", Mutator::Remainder),
    ("insert", Mutator::Insert),
    ("delete", Mutator::Delete),
];

/// One mutation of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutation {
    mutator: Mutator,
    argument: Datum,
}

impl Mutation {
    /// Reads `[column, mutator, value]`.
    pub fn from_json(table: &TableSchema, json: &Value, names: &Names<'_>) -> Result<(Name, Self)> {
        let Some([Value::String(column), Value::String(word), value]) =
            json.as_array().map(Vec::as_slice)
        else {
            return Err(Error::syntax(format!(
                "{} is not a mutation [column, mutator, value]",
                brief(json)
            )));
        };
        let column = table.mutable_column(column)?;
        let Some(&(_, mutator)) = MUTATORS.iter().find(|(w, _)| w == word) else {
            let text = format!("\"{word}\" is not a mutator");
            return Err(Error::new(ErrorKind::UnknownMutator, text));
        };
        let ty = argument_type(&column.ty, mutator, word, value).map_err(|e| e.at(&column.name))?;
        let argument = ty
            .parse_datum(value, names)
            .map_err(|e| e.at(&column.name))?;
        Ok((column.name.clone(), Self { mutator, argument }))
    }

    /// The value after the mutation; whether the column may hold it is checked by the transaction.
    pub fn apply(&self, old: &Datum) -> Result<Datum> {
        match (self.mutator, old, &self.argument) {
            (Mutator::Insert, Datum::Set(old), Datum::Set(new)) => Ok(Datum::Set(old | new)),
            (Mutator::Delete, Datum::Set(old), Datum::Set(gone)) => Ok(Datum::Set(old - gone)),
            (Mutator::Insert, Datum::Map(old), Datum::Map(new)) => {
                // RFC 7047 section 5.1: a key that is there already keeps its value.
                Ok(Datum::Map(
                    new.clone().into_iter().chain(old.clone()).collect(),
                ))
            }
            (Mutator::Delete, Datum::Map(old), gone) => {
                let goes = |k: &Atom, v: &Atom| match gone {
                    Datum::Set(keys) => keys.contains(k),
                    Datum::Map(pairs) => pairs.get(k) == Some(v),
                };
                let kept = old.iter().filter(|(k, v)| !goes(k, v));
                Ok(Datum::Map(
                    kept.map(|(k, v)| (k.clone(), v.clone())).collect(),
                ))
            }
            (_, Datum::Set(old), argument) => {
                let Some(argument) = argument.as_atom() else {
                    return Err(Error::syntax("an arithmetic mutation needs one number"));
                };
                let new = old
                    .iter()
                    .map(|atom| self.mutator.compute(atom, argument))
                    .collect::<Result<_>>()?;
                if old.len() != std::collections::BTreeSet::len(&new) {
                    return Err(Error::constraint("the mutation makes two elements equal"));
                }
                Ok(Datum::Set(new))
            }
            _ => Err(Error::syntax("the mutation does not fit the column's type")),
        }
    }
}

/// The type of the value that a mutator takes on a column.
fn argument_type(
    ty: &ColumnType,
    mutator: Mutator,
    word: &str,
    value: &Value,
) -> Result<ColumnType> {
    let free = |key: &BaseType, value: Option<BaseType>| ColumnType {
        key: key.clone(),
        value,
        min: 0,
        max: None,
    };
    match mutator {
        Mutator::Insert | Mutator::Delete if ty.is_scalar() => Err(Error::syntax(format!(
            "mutator \"{word}\" is for sets and maps, and this column holds one value"
        ))),
        Mutator::Insert => Ok(free(&ty.key, ty.value.clone())),
        // From a map, pairs can be deleted, or keys whatever their values.
        Mutator::Delete if tagged(value).is_some_and(|(tag, _)| tag == "map") => {
            Ok(free(&ty.key, ty.value.clone()))
        }
        Mutator::Delete => Ok(free(&ty.key, None)),
        _ if ty.is_map() || !matches!(ty.key.atom, AtomType::Integer | AtomType::Real) => {
            Err(Error::syntax(format!("mutator \"{word}\" is for numbers")))
        }
        Mutator::Remainder if ty.key.atom == AtomType::Real => {
            Err(Error::syntax("mutator \"%=\" is for integers"))
        }
        _ => Ok(ColumnType::scalar(BaseType::any(ty.key.atom))),
    }
}

impl Mutator {
    fn compute(self, a: &Atom, b: &Atom) -> Result<Atom> {
        let zero = || Error::new(ErrorKind::DomainError, "division by zero");
        let range = || {
            Error::new(
                ErrorKind::RangeError,
                format!("the result for {a} is out of range"),
            )
        };
        match (a, b) {
            (Atom::Integer(_), Atom::Integer(0))
                if matches!(self, Self::Divide | Self::Remainder) =>
            {
                Err(zero())
            }
            (Atom::Integer(a), Atom::Integer(b)) => match self {
                Self::Add => a.checked_add(*b),
                Self::Subtract => a.checked_sub(*b),
                Self::Multiply => a.checked_mul(*b),
                Self::Divide => a.checked_div(*b),
                _ => a.checked_rem(*b),
            }
            .map(Atom::Integer)
            .ok_or_else(range),
            (Atom::Real(_), Atom::Real(b)) if self == Self::Divide && b.get() == 0.0 => Err(zero()),
            (Atom::Real(a), Atom::Real(b)) => {
                let (a, b) = (a.get(), b.get());
                Real::new(match self {
                    Self::Add => a + b,
                    Self::Subtract => a - b,
                    Self::Multiply => a * b,
                    _ => a / b,
                })
                .map(Atom::Real)
                .ok_or_else(range)
            }
            _ => Err(Error::syntax(format!(
                "{a} and {b} are not numbers of the same type"
            ))),
        }
    }
}
