//! Names of ports: the reserved ones of OpenFlow, and those of a switch; and of a switch's tables.

use super::scan::{Result, Word, nearest};
use crate::types::{PortNo, TableId};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// Reserved ports (OpenFlow 1.3.5 section 7.2.1); the first name of a number is the one printed.
pub const RESERVED: &[(&str, PortNo)] = &[
    ("IN_PORT", PortNo::IN_PORT),
    ("TABLE", PortNo::TABLE),
    ("NORMAL", PortNo::NORMAL),
    ("FLOOD", PortNo::FLOOD),
    ("ALL", PortNo::ALL),
    ("CONTROLLER", PortNo::CONTROLLER),
    ("LOCAL", PortNo::LOCAL),
    ("ANY", PortNo::ANY),
    ("NONE", PortNo::ANY),
    ("UNSET", PortNo::UNSET),
];

/// Finds a port, or a table, by its name.
pub trait PortNames {
    /// The port's number.
    fn number(&self, name: &str) -> Option<PortNo>;
    /// Names to suggest.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    /// The number of the table of this name.
    fn table(&self, _name: &str) -> Option<TableId> {
        None
    }
}

/// The ports of a switch, and those of its tables that have names.
#[derive(Clone, Debug, Default)]
pub struct PortMap {
    tables: BTreeMap<TableId, String>,
    by_name: HashMap<String, PortNo>,
    by_number: BTreeMap<PortNo, String>,
}

impl PortMap {
    /// Adds a port. A name that two ports have stands for neither.
    pub fn insert(&mut self, number: PortNo, name: &str) {
        if let Some(other) = self.by_name.insert(name.to_owned(), number)
            && other != number
        {
            self.by_number.remove(&other);
            return;
        }
        self.by_number.insert(number, name.to_owned());
    }
    /// Gives a table a name; an empty one is none, and a number is none that could be told from others.
    pub fn insert_table(&mut self, table: TableId, name: &str) {
        if name.starts_with(|c: char| !c.is_ascii_digit()) {
            self.tables.insert(table, name.to_owned());
        }
    }
    /// The table's name; it has none of its own if another table has the same one.
    pub fn table_name(&self, table: TableId) -> Option<&str> {
        let name = self.tables.get(&table)?;
        (self.table(name) == Some(table)).then_some(name)
    }
    /// The port's name.
    pub fn name(&self, number: PortNo) -> Option<&str> {
        self.by_number.get(&number).map(String::as_str)
    }
}

impl PortNames for PortMap {
    fn number(&self, name: &str) -> Option<PortNo> {
        self.by_name.get(name).copied()
    }
    fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }
    fn table(&self, name: &str) -> Option<TableId> {
        let mut found = self.tables.iter().filter(|(_, other)| *other == name);
        match (found.next(), found.next()) {
            (Some((table, _)), None) => Some(*table),
            _ => None,
        }
    }
}

/// Reads a table: a number up to `most`, or a name of the switch's, quoted if odd.
pub(super) fn read_table(word: Word<'_>, most: u128, names: &dyn PortNames) -> Result<TableId> {
    if !word.text.starts_with(|c: char| c.is_ascii_digit())
        && let Some(table) = names.table(&unquote(word.text))
    {
        return Ok(table);
    }
    let number = word.number(most).map(|t| TableId(t as u8));
    number.map_err(|e| e.help("a table is 0 to 254, or a name of the switch's"))
}

/// A table: its name if `names` has it, or its number.
pub(super) fn shown_table(table: TableId, names: Option<&PortMap>) -> String {
    let name = names.and_then(|map| map.table_name(table));
    name.map_or_else(|| table.to_string(), quoted)
}

/// Reads a port: a number, a reserved name in any case, or a name of the switch's, quoted if odd.
pub fn read_port(word: Word<'_>, names: &dyn PortNames) -> Result<PortNo> {
    if let Some(port) = reserved_or_number(word)? {
        return Ok(port);
    }
    let name = unquote(word.text);
    names.number(&name).ok_or_else(|| {
        let known = names.names();
        let reserved = RESERVED.iter().map(|r| r.0);
        let lower = word.fail("no such port");
        match nearest(&name, known.iter().map(String::as_str).chain(reserved)) {
            Some(near) => lower.help(format!("did you mean \"{near}\"?")),
            None => lower.help("a port is a number, a name of the switch's, or LOCAL, IN_PORT, NORMAL, FLOOD, ALL, CONTROLLER"),
        }
    })
}

/// Reads a port that needs no switch to be known; `None`: it may be a port's name.
pub fn reserved_or_number(word: Word<'_>) -> Result<Option<PortNo>> {
    if let Some(row) = RESERVED
        .iter()
        .find(|r| r.0.eq_ignore_ascii_case(word.text))
    {
        return Ok(Some(row.1));
    }
    if !word.text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    let Ok(number) = word.int::<u32>() else {
        return Ok(None);
    };
    match number {
        0..=0xff00 => Ok(Some(PortNo(number))),
        0xff01..=0xffff => Ok(Some(PortNo::from_v10(number as u16))),
        0xffff_ff00.. => Ok(Some(PortNo(number))),
        _ => Err(word
            .fail("not a port number")
            .help("numbers go from 0 to 65279")),
    }
}

/// Prints a port: its reserved name, its name if `names` has it, or its number.
pub fn print_port(out: &mut String, port: PortNo, names: Option<&PortMap>) {
    let reserved = RESERVED.iter().find(|r| r.1 == port);
    let _ = match (reserved, names.and_then(|map| map.name(port))) {
        (Some((name, _)), _) => write!(out, "{name}"),
        (None, Some(name)) => write!(out, "{}", quoted(name)),
        (None, None) if port.0 >= PortNo::MAX.0 => write!(out, "{}", port.0 & 0xffff),
        (None, None) => write!(out, "{port}"),
    };
}

/// A name as it is printed: in quotes unless it is a plain word that is not reserved.
pub fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !RESERVED.iter().any(|r| r.0.eq_ignore_ascii_case(name));
    if plain {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut name = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            name.push(c);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_printed() {
        let mut map = PortMap::default();
        map.insert(PortNo(1), "p1");
        map.insert(PortNo(2), "odd-port");
        for (text, port, plain, named) in [
            ("local", PortNo::LOCAL, "LOCAL", "LOCAL"),
            ("1", PortNo(1), "1", "p1"),
            ("p1", PortNo(1), "1", "p1"),
            ("\"odd-port\"", PortNo(2), "2", "\"odd-port\""),
            ("65534", PortNo::LOCAL, "LOCAL", "LOCAL"),
            ("4294967288", PortNo::IN_PORT, "IN_PORT", "IN_PORT"),
        ] {
            assert_eq!(read_port(Word::new(text), &map).unwrap(), port);
            let (mut without, mut with) = (String::new(), String::new());
            print_port(&mut without, port, None);
            print_port(&mut with, port, Some(&map));
            assert_eq!((without.as_str(), with.as_str()), (plain, named));
        }
        let error = read_port(Word::new("p11"), &map).unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean \"p1\"?"));
        assert!(read_port(Word::new("70000"), &map).is_err());
    }
}
