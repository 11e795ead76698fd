//! From text to bytes.

use super::build::{COMPUTE, build};
use super::table::{Field, Fill, Format, ROWS, Row, find};
use super::{Given, Item, MAX_SIZE, fill};
use crate::print::TCP_FLAG_NAMES;
use core::fmt::{self, Display};
use core::net::{Ipv4Addr, Ipv6Addr};
use ofp::text::digits;
use packet::MacAddr;

/// Why a text is not a frame, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Of the offending word; the first one is 1.
    pub column: usize,
    /// Names the offending word.
    pub message: String,
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl core::error::Error for Error {}

/// More items than this are refused.
const MAX_ITEMS: usize = 64;

/// Reads a frame.
pub fn read(text: &str) -> Result<Vec<u8>, Error> {
    let mut cursor = Cursor { text, at: 0 };
    let mut items = Vec::new();
    cursor.blanks();
    while !cursor.rest().is_empty() {
        let at = cursor.at;
        if items.len() == MAX_ITEMS {
            return cursor.error_at(at, format!("more than {MAX_ITEMS} items"));
        }
        let item = cursor.item()?;
        let may_have_options =
            matches!(items.last(), Some(Item::Header { row, .. }) if row.options);
        if matches!(item, Item::Options(_)) && !may_have_options {
            return cursor.error_at(at, "`opts` must follow `ipv4`, `tcp` or `geneve`".into());
        }
        items.push(item);
        cursor.blanks();
    }
    let frame = build(&items);
    if frame.len() > MAX_SIZE {
        return cursor.error_at(0, format!("the frame has more than {MAX_SIZE} bytes"));
    }
    Ok(frame)
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn error_at<T>(&self, at: usize, message: String) -> Result<T, Error> {
        let column = self.text[..at].chars().count() + 1;
        Err(Error { column, message })
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes characters as long as `wanted` says.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let size = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += size;
        &rest[..size]
    }

    fn accept(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, c: char) -> Result<(), Error> {
        if self.accept(c) {
            Ok(())
        } else {
            self.error_at(self.at, format!("expected `{c}`"))
        }
    }

    fn item(&mut self) -> Result<Item, Error> {
        let at = self.at;
        let name = self.take(|c| c.is_ascii_alphanumeric());
        match name {
            "" => {
                self.expect('"')?;
                let bytes = self.take(|c| c != '"').as_bytes().to_vec();
                self.expect('"')?;
                Ok(Item::Bytes(bytes))
            }
            "hex" => Ok(Item::Bytes(self.hex()?)),
            "opts" => Ok(Item::Options(self.hex()?)),
            "trailer" => Ok(Item::Trailer(self.hex()?)),
            "pad" => Ok(Item::Pad(self.size()?)),
            "fill" => Ok(Item::Bytes(fill(self.size()?).collect())),
            _ => match find(name) {
                Some(row) => Ok(Item::Header {
                    row,
                    given: self.fields(row)?,
                }),
                None => {
                    let names = ROWS
                        .iter()
                        .map(|row| row.name)
                        .chain(["hex", "opts", "trailer", "pad", "fill"]);
                    self.error_at(
                        at,
                        format!("unknown header `{name}`{}", suggest(name, names)),
                    )
                }
            },
        }
    }

    fn hex(&mut self) -> Result<Vec<u8>, Error> {
        self.expect('"')?;
        let at = self.at;
        let text = self.take(|c| c != '"');
        self.expect('"')?;
        let digits: Option<Vec<u8>> = text
            .chars()
            .filter(|c| !c.is_ascii_whitespace())
            .map(|c| c.to_digit(16).map(|digit| digit as u8))
            .collect();
        match digits.filter(|digits| digits.len() % 2 == 0) {
            Some(digits) => Ok(digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect()),
            None => self.error_at(at, format!("`{text}` is not pairs of hex digits")),
        }
    }

    fn size(&mut self) -> Result<usize, Error> {
        self.expect('=')?;
        let at = self.at;
        let word = self.take(|c| c.is_ascii_alphanumeric());
        match word.parse::<usize>() {
            Ok(size) if size > MAX_SIZE => {
                self.error_at(at, format!("`{word}` is more than {MAX_SIZE}"))
            }
            Ok(size) => Ok(size),
            Err(_) => self.error_at(at, format!("`{word}` is not a number")),
        }
    }

    fn fields(&mut self, row: &'static Row) -> Result<Vec<Given>, Error> {
        let mut given = Vec::new();
        if !self.accept('(') {
            return Ok(given);
        }
        self.blanks();
        while !self.accept(')') {
            self.field(row, &mut given)?;
            self.blanks();
            if !self.rest().starts_with(')') {
                if !self.rest().starts_with(',') {
                    return self.error_at(self.at, "expected `)`".into());
                }
                self.at += 1;
                self.blanks();
            }
        }
        Ok(given)
    }

    /// One of `SRC->DST`, `field=value`, `flag`, or (only first) the value of the first field.
    fn field(&mut self, row: &'static Row, given: &mut Vec<Given>) -> Result<(), Error> {
        let at = self.at;
        let word = self.take(|c| !matches!(c, ',' | ')' | '=' | '"') && !c.is_whitespace());
        if let (Some([src, dst]), Some((left, right))) = (row.pair, word.split_once("->")) {
            for (name, text, at) in [(src, left, at), (dst, right, at + left.len() + 2)] {
                if let Some(field) = row.field(name) {
                    given.push(Given {
                        field,
                        value: self.value(field, text, at)?,
                    });
                }
            }
            return Ok(());
        }
        let found = row.field(word);
        if self.accept('=') {
            let at_value = self.at;
            let text = self.take(|c| !matches!(c, ',' | ')' | '=' | '"') && !c.is_whitespace());
            let Some(field) = found else {
                let names = row.fields.iter().map(|field| field.name);
                return self.error_at(
                    at,
                    format!(
                        "`{}` has no field `{word}`{}",
                        row.name,
                        suggest(word, names)
                    ),
                );
            };
            given.push(Given {
                field,
                value: self.value(field, text, at_value)?,
            });
            return Ok(());
        }
        let value = match found {
            Some(field) if field.format == Format::Flag => Some((field, 1)),
            Some(field) if field.name == "csum" && matches!(field.fill, Fill::Absent(_)) => {
                Some((field, COMPUTE))
            }
            None if given.is_empty() && row.pair.is_none() => {
                let field = &row.fields[0];
                Some((field, self.value(field, word, at)?))
            }
            _ => None,
        };
        match value {
            Some((field, value)) => {
                given.push(Given { field, value });
                Ok(())
            }
            None => self.error_at(
                at,
                format!("`{word}`: expected SRC->DST, field=value or a flag"),
            ),
        }
    }

    fn value(&self, field: &'static Field, text: &str, at: usize) -> Result<u128, Error> {
        let value = match field.format {
            Format::Decimal | Format::Hex | Format::Flag => {
                number(text).ok_or_else(|| format!("`{text}` is not a number"))
            }
            Format::Mac => mac(text).map(|mac| mac.to_u64().into()).ok_or_else(|| {
                format!("`{text}` is not a MAC address (like 00:11:22:33:44:55 or ..55)")
            }),
            Format::Ipv4 => text
                .parse()
                .map(|address: Ipv4Addr| address.to_bits().into())
                .map_err(|_| format!("`{text}` is not an IPv4 address")),
            Format::Ipv6 => text
                .parse()
                .map(|address: Ipv6Addr| address.to_bits())
                .map_err(|_| format!("`{text}` is not an IPv6 address")),
            Format::TcpFlags => tcp_flags(text),
        };
        match value {
            Ok(value) if value > field.ones() => self.error_at(
                at,
                format!("`{text}` does not fit into {} bits", field.width),
            ),
            Ok(value) => Ok(value),
            Err(message) => self.error_at(at, message),
        }
    }
}

fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(hex) => digits(hex, 16),
        None => digits(text, 10),
    }
}

/// A whole MAC address, or `..` and its last bytes.
fn mac(text: &str) -> Option<MacAddr> {
    let Some(tail) = text.strip_prefix("..") else {
        return text.parse().ok();
    };
    let missing = 5usize.checked_sub(tail.matches(':').count())?;
    format!("{}{tail}", "0:".repeat(missing)).parse().ok()
}

fn tcp_flags(text: &str) -> Result<u128, String> {
    if let Some(value) = number(text) {
        return Ok(value);
    }
    text.split('|').try_fold(0, |flags, word| {
        let unnamed = || digits(word.strip_prefix('[')?.strip_suffix(']')?, 16);
        let named = || {
            TCP_FLAG_NAMES
                .iter()
                .position(|name| *name == word)
                .map(|bit| 1 << bit)
        };
        let flag = named()
            .or_else(unnamed)
            .ok_or_else(|| format!("`{word}` is not a TCP flag"))?;
        Ok(flags | flag)
    })
}

/// "; is it `X`?" for the name that is nearest to `word`, if one is near.
fn suggest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> String {
    let sorted = |word: &str| {
        let mut letters = word.as_bytes().to_vec();
        letters.sort_unstable();
        letters
    };
    // Swapped letters are the most frequent slip: prefer them among names at the same distance.
    let rank = |name: &'n str| (distance(word, name), sorted(name) != sorted(word), name);
    let nearest = names.map(rank).min();
    match nearest {
        Some((distance, _, name)) if distance <= 2 && distance < name.len() => {
            format!("; is it `{name}`?")
        }
        _ => String::new(),
    }
}

/// Levenshtein's distance. Words are cut at 32 bytes, which no name has.
fn distance(left: &str, right: &str) -> usize {
    let left = &left.as_bytes()[..left.len().min(32)];
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let changed = diagonal + usize::from(*a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
