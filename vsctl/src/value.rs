//! Values as users type them: `5`, `1-10`, `"a b"`, `[a, b]`, `{k=v}`, `@row`.
//! Everything is checked against the column's type here, before anything is sent.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::schema::{BaseType, ColumnType};
use ovsdb::value::{Real, parse_uuid};
use ovsdb::{Atom, AtomType, Datum};

use crate::error::{Error, Result, fail};
use crate::symbols::Symbols;

/// The longest range; it is one less than the number of VLANs that `trunks` may hold plus one.
const RANGE_LIMIT: i64 = 4096;

/// What ends a word that is not quoted.
const DELIMITERS: &str = ":=, []{}!<>";

/// Reads a whole value of a column.
pub fn read_datum(text: &str, ty: &ColumnType, symbols: &mut Symbols) -> Result<Datum> {
    let mut reader = Reader { text, at: 0, ty };
    let datum = match &ty.value {
        None => reader.set(symbols)?,
        Some(value) => reader.map(value, symbols)?,
    };
    let (len, what) = (datum.len(), if ty.is_map() { "pair" } else { "value" });
    if len < ty.min {
        fail!(
            "{text}: {len} {what}(s) specified but the minimum number is {}",
            ty.min
        );
    }
    match ty.max {
        Some(max) if len > max => {
            fail!("{text}: {len} {what}(s) specified but the maximum number is {max}")
        }
        _ => Ok(datum),
    }
}

/// Reads `text`, all of it, as one atom; quotes are optional whatever is in it.
pub fn read_atom(text: &str, base: &BaseType, symbols: &mut Symbols) -> Result<Atom> {
    let atom = match base.atom {
        AtomType::Integer => text.parse().ok().map(Atom::Integer),
        AtomType::Real => text.parse().ok().and_then(Real::new).map(Atom::Real),
        AtomType::Boolean => match text {
            "true" | "yes" | "on" | "1" => Some(Atom::Boolean(true)),
            "false" | "no" | "off" | "0" => Some(Atom::Boolean(false)),
            _ => None,
        },
        AtomType::String => Some(Atom::String(unquote(text)?)),
        AtomType::Uuid => match text.starts_with('@') {
            true => Some(Atom::Uuid(symbols.refer(text))),
            false => parse_uuid(text).map(Atom::Uuid),
        },
    };
    let Some(atom) = atom else {
        let want = match base.atom {
            AtomType::Integer => "integer",
            AtomType::Real => "real number",
            AtomType::Boolean => "boolean (use \"true\" or \"false\")",
            AtomType::String => "string",
            AtomType::Uuid => "UUID",
        };
        fail!("\"{text}\" is not a valid {want}");
    };
    base.check(&atom).map_err(|e| Error::Usage(e.to_string()))?;
    Ok(atom)
}

/// The text of a string: as it is, or what a JSON string says.
fn unquote(text: &str) -> Result<String> {
    if text.is_empty() {
        fail!("An empty string is not valid as input; use \"\" to represent the empty string");
    }
    if !text.starts_with('"') {
        return Ok(text.to_owned());
    }
    match quoted_len(text) {
        Some(len) if len == text.len() => {}
        _ => fail!("{text}: missing quote at end of quoted string"),
    }
    match serde_json::from_str(text) {
        Ok(string) => Ok(string),
        Err(_) => fail!("{text}: bad escape in quoted string"),
    }
}

/// The length of the quoted string at the start of `text`, with its quotes; `None` if it does not end.
pub fn quoted_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of the word at the start of `text`: a quoted string, or everything up to a delimiter.
pub fn word_len(text: &str) -> usize {
    match text.starts_with('"') {
        true => quoted_len(text).unwrap_or(text.len()),
        false => text.find(|c| DELIMITERS.contains(c)).unwrap_or(text.len()),
    }
}

/// Reads the elements of a set or a map from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    ty: &'a ColumnType,
}

impl<'a> Reader<'a> {
    fn set(&mut self, symbols: &mut Symbols) -> Result<Datum> {
        let mut atoms = BTreeSet::new();
        let close = self.open('[', ']');
        while self.more(close)? {
            let word = self.word()?;
            for atom in elements(word, &self.ty.key, symbols)? {
                if !atoms.insert(atom) {
                    fail!("{}: set contains duplicate value", self.text);
                }
            }
            self.separator();
        }
        Ok(Datum::Set(atoms))
    }

    fn map(&mut self, value: &BaseType, symbols: &mut Symbols) -> Result<Datum> {
        let mut pairs = BTreeMap::new();
        let close = self.open('{', '}');
        while self.more(close)? {
            let word = self.word()?;
            let key = read_atom(word, &self.ty.key, symbols)?;
            if !self.take('=') {
                fail!(
                    "{}: \"=\" and a value are missing after the key {word}",
                    self.text
                );
            }
            let datum = match self.rest().is_empty() {
                true => read_atom("", value, symbols)?,
                false => read_atom(self.word()?, value, symbols)?,
            };
            if pairs.insert(key, datum).is_some() {
                fail!("{}: map contains duplicate key", self.text);
            }
            self.separator();
        }
        Ok(Datum::Map(pairs))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
    }

    fn take(&mut self, c: char) -> bool {
        let here = self.rest().starts_with(c);
        self.at += if here { c.len_utf8() } else { 0 };
        here
    }

    /// The bracket that has to close the value, if one opens it.
    fn open(&mut self, open: char, close: char) -> Option<char> {
        self.spaces();
        let opened = self.take(open);
        self.spaces();
        opened.then_some(close)
    }

    /// Whether another element follows.
    fn more(&mut self, close: Option<char>) -> Result<bool> {
        match (close, self.rest().is_empty()) {
            (None, end) => Ok(!end),
            (Some(close), true) => fail!("{}: missing \"{close}\" at end of data", self.text),
            (Some(close), false) if !self.take(close) => Ok(true),
            (Some(close), false) => {
                self.spaces();
                match self.rest() {
                    "" => Ok(false),
                    _ => fail!("{}: trailing garbage after \"{close}\"", self.text),
                }
            }
        }
    }

    fn word(&mut self) -> Result<&'a str> {
        let rest = self.rest();
        let len = word_len(rest);
        let after = rest[len..].chars().next();
        match (len, after) {
            (0, Some(c)) => fail!(
                "{}: unexpected \"{c}\" parsing {}{}",
                self.text,
                describe(self.ty),
                quote_hint(c)
            ),
            (_, Some(c)) if !DELIMITERS.contains(c) => {
                fail!("{}: missing quote at end of quoted string", self.text)
            }
            _ => self.at += len,
        }
        Ok(&rest[..len])
    }

    fn separator(&mut self) {
        self.spaces();
        self.take(',');
        self.spaces();
    }
}

fn quote_hint(c: char) -> &'static str {
    match c {
        ':' => " (put the value in double quotes, and these in single quotes: '\"a:b\"')",
        _ => "",
    }
}

/// The atoms of one element of a set: one, or for integers a range `first-last`.
fn elements(word: &str, base: &BaseType, symbols: &mut Symbols) -> Result<Vec<Atom>> {
    if base.atom != AtomType::Integer {
        return Ok(vec![read_atom(word, base, symbols)?]);
    }
    // A sign is not the dash of a range, so the dash is looked for behind the first character.
    let dash = word
        .char_indices()
        .skip(1)
        .find(|(_, c)| *c == '-')
        .map(|(at, _)| at);
    let (first, last) = dash.map_or((word, word), |at| (&word[..at], &word[at + 1..]));
    let (Ok(first), Ok(last)) = (first.parse::<i64>(), last.parse::<i64>()) else {
        fail!("\"{word}\" is not a valid integer or range");
    };
    if last < first {
        fail!("\"{word}\" is not a valid range. Range end cannot be before start.");
    }
    for end in [first, last] {
        base.check(&Atom::Integer(end))
            .map_err(|e| Error::Usage(e.to_string()))?;
    }
    if last.saturating_sub(first) >= RANGE_LIMIT {
        fail!(
            "\"{word}\" is not a valid range. Range size cannot be more than {RANGE_LIMIT} elements."
        );
    }
    Ok((first..=last).map(Atom::Integer).collect())
}

/// A type in words: `set of up to 4096 integers`.
pub fn describe(ty: &ColumnType) -> String {
    let key = ty.key.atom.word();
    let count = match (ty.min, ty.max) {
        (0, None) => String::new(),
        (1, None) => "1 or more ".to_owned(),
        (min, None) => format!("{min} or more "),
        (0, Some(max)) => format!("up to {max} "),
        (min, Some(max)) => format!("{min} to {max} "),
    };
    match &ty.value {
        Some(value) => format!("map of {count}({key}, {}) pairs", value.atom.word()),
        None if ty.is_scalar() => key.to_owned(),
        None => format!("set of {count}{key}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::schema::Constraint;
    use proptest::prelude::*;

    fn integers(max: Option<usize>) -> ColumnType {
        let key = BaseType {
            atom: AtomType::Integer,
            constraint: Constraint::Range(Some(0.into()), Some(4095.into())),
        };
        ColumnType {
            key,
            value: None,
            min: 0,
            max,
        }
    }

    fn of(atom: AtomType, min: usize, max: Option<usize>) -> ColumnType {
        ColumnType {
            key: BaseType::any(atom),
            value: None,
            min,
            max,
        }
    }

    fn strings_to_strings() -> ColumnType {
        ColumnType {
            value: Some(BaseType::any(AtomType::String)),
            ..of(AtomType::String, 0, None)
        }
    }

    fn read(text: &str, ty: &ColumnType) -> std::result::Result<String, String> {
        let datum = read_datum(text, ty, &mut Symbols::default());
        datum
            .map(|datum| ty.print(&datum))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn good_values() {
        let (vlans, map) = (integers(Some(4096)), strings_to_strings());
        for (text, want) in [
            ("1,2", "[1, 2]"),
            ("1 2", "[1, 2]"),
            ("[3, 1]", "[1, 3]"),
            ("1-3", "[1, 2, 3]"),
            ("[]", "[]"),
            ("+5", "[5]"),
        ] {
            assert_eq!(read(text, &vlans).unwrap(), want, "{text}");
        }
        assert_eq!(read(" 10 ", &integers(Some(1))).unwrap(), "10");
        for (text, want) in [
            ("a=b,c=d", "{a=b, c=d}"),
            ("{x=\"a,b\", y=c,}", "{x=\"a,b\", y=c}"),
            ("{}", "{}"),
            ("\"q:r\"=\"\\u0041\"", "{\"q:r\"=A}"),
        ] {
            assert_eq!(read(text, &map).unwrap(), want, "{text}");
        }
        assert_eq!(read("[a]", &of(AtomType::String, 1, Some(1))).unwrap(), "a");
        assert_eq!(
            read("yes", &of(AtomType::Boolean, 1, Some(1))).unwrap(),
            "true"
        );
    }

    #[test]
    fn wrong_values() {
        let (vlans, map, name) = (
            integers(Some(4096)),
            strings_to_strings(),
            of(AtomType::String, 1, Some(1)),
        );
        let cases: [(&ColumnType, &str, &str); 21] = [
            (&vlans, "abc", "\"abc\" is not a valid integer or range"),
            (&vlans, "0-", "\"0-\" is not a valid integer or range"),
            (&vlans, "1-2-3", "\"1-2-3\" is not a valid integer or range"),
            (
                &vlans,
                "3-1",
                "\"3-1\" is not a valid range. Range end cannot be before start.",
            ),
            (
                &vlans,
                "5000",
                "constraint violation: 5000 is not in the valid range 0 to 4095 (inclusive)",
            ),
            (
                &vlans,
                "-5",
                "constraint violation: -5 is not in the valid range 0 to 4095 (inclusive)",
            ),
            (&vlans, "1,2,2", "1,2,2: set contains duplicate value"),
            (&vlans, "[4,5", "[4,5: missing \"]\" at end of data"),
            (
                &vlans,
                "4]",
                "4]: unexpected \"]\" parsing set of up to 4096 integers",
            ),
            (
                &vlans,
                "1,,2",
                "1,,2: unexpected \",\" parsing set of up to 4096 integers",
            ),
            (&map, "{a=b", "{a=b: missing \"}\" at end of data"),
            (&map, "{a=b}x", "{a=b}x: trailing garbage after \"}\""),
            (
                &map,
                "[a=b]",
                "[a=b]: unexpected \"[\" parsing map of (string, string) pairs",
            ),
            (
                &map,
                "a=b=c",
                "a=b=c: unexpected \"=\" parsing map of (string, string) pairs",
            ),
            (&map, "a=b,a=c", "a=b,a=c: map contains duplicate key"),
            (
                &map,
                "a",
                "a: \"=\" and a value are missing after the key a",
            ),
            (
                &map,
                "a=",
                "An empty string is not valid as input; use \"\" to represent the empty string",
            ),
            (
                &name,
                "\"x y",
                "\"x y: missing quote at end of quoted string",
            ),
            (
                &name,
                "\"bad\\q\"",
                "\"bad\\q\": bad escape in quoted string",
            ),
            (
                &name,
                "a b",
                "a b: 2 value(s) specified but the maximum number is 1",
            ),
            (
                &name,
                "[]",
                "[]: 0 value(s) specified but the minimum number is 1",
            ),
        ];
        for (ty, text, want) in cases {
            assert_eq!(read(text, ty).unwrap_err(), want);
        }
        assert!(
            read("tcp:1.2.3.4", &name)
                .unwrap_err()
                .contains("unexpected \":\" parsing string (put the value in double")
        );
        assert_eq!(
            read("zzz", &of(AtomType::Uuid, 1, Some(1))).unwrap_err(),
            "\"zzz\" is not a valid UUID"
        );
        assert_eq!(
            read("0-9223372036854775807", &of(AtomType::Integer, 0, None))
                .unwrap_err()
                .matches("size")
                .count(),
            1
        );
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in "[-a1:=, \\[\\]{}!<>\"\\\\é]{0,16}") {
            for ty in [integers(None), strings_to_strings(), of(AtomType::String, 0, None), of(AtomType::Uuid, 0, None)] {
                let _ = read(&text, &ty);
            }
        }

        #[test]
        fn print_then_read(map in proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..5)) {
            let datum = Datum::map(map);
            let ty = strings_to_strings();
            prop_assert_eq!(read_datum(&ty.print(&datum), &ty, &mut Symbols::default()).unwrap(), datum);
        }
    }
}
