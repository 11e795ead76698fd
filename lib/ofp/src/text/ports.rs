//! Names of ports: the reserved ones of OpenFlow, and those of a switch.

use super::scan::{Result, Word, nearest};
use crate::types::PortNo;
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

/// Finds a port by its name.
pub trait PortNames {
    /// The port's number.
    fn number(&self, name: &str) -> Option<PortNo>;
    /// Names to suggest.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The ports of a switch.
#[derive(Clone, Debug, Default)]
pub struct PortMap {
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
