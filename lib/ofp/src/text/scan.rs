//! Words of flow text and where they stand, the key-value grammar they form, and the error that
//! points at one of them. Bounded by the length of the text; never panics.

use std::fmt;

/// Why a text was refused: the word, where it is, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The offending word.
    pub word: String,
    /// Its column in the text, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub message: String,
    /// What would be right, if that is known.
    pub help: Option<String>,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "column {}: \"{}\": {}",
            self.column, self.word, self.message
        )?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TextError {}

impl TextError {
    /// Adds what would be right.
    pub fn help(mut self, help: impl Into<String>) -> TextError {
        self.help = Some(help.into());
        self
    }
    /// Adds the nearest of some names as a suggestion, if one is near.
    pub fn suggest<'n>(self, names: impl IntoIterator<Item = &'n str>) -> TextError {
        match nearest(&self.word, names) {
            Some(name) => self.help(format!("did you mean \"{name}\"?")),
            None => self,
        }
    }
    /// Lists the verbs that a text may begin with, if the error is about the lone word at its beginning
    /// and nothing is suggested yet.
    pub(super) fn list_verbs<'n>(
        self,
        text: Word<'_>,
        verbs: impl IntoIterator<Item = &'n str>,
    ) -> TextError {
        let (first, rest) = text.cut_word();
        let is_verb = self.column == first.offset + 1
            && self.word == first.text
            && rest.text.starts_with(char::is_whitespace);
        if !is_verb || self.help.is_some() {
            return self;
        }
        let verbs: Vec<&str> = verbs.into_iter().collect();
        self.help(format!("a verb is one of {}", verbs.join(", ")))
    }
}

/// Result of reading text.
pub type Result<T> = std::result::Result<T, TextError>;

/// A part of a text that knows where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// The characters.
    pub text: &'a str,
    /// Bytes before it in the whole text.
    pub offset: usize,
}

impl<'a> Word<'a> {
    /// A whole text.
    pub fn new(text: &'a str) -> Word<'a> {
        Word { text, offset: 0 }
    }
    /// An error that points here.
    pub fn fail(self, message: impl Into<String>) -> TextError {
        TextError {
            word: self.text.to_owned(),
            column: self.offset + 1,
            message: message.into(),
            help: None,
        }
    }
    fn range(self, from: usize, to: usize) -> Word<'a> {
        Word {
            text: &self.text[from..to],
            offset: self.offset + from,
        }
    }
    /// Without surrounding white space.
    pub fn trim(self) -> Word<'a> {
        let from = self.text.len() - self.text.trim_start().len();
        self.range(from, from + self.text.trim().len())
    }
    /// The parts before and after the first `separator`.
    pub fn split_once(self, separator: &str) -> Option<(Word<'a>, Word<'a>)> {
        let at = self.text.find(separator)?;
        Some((
            self.range(0, at),
            self.range(at + separator.len(), self.text.len()),
        ))
    }
    /// The parts between separators.
    pub fn split(self, separator: char) -> impl Iterator<Item = Word<'a>> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let word = rest?;
            match word.text.find(separator) {
                Some(at) => {
                    rest = Some(word.range(at + separator.len_utf8(), word.text.len()));
                    Some(word.range(0, at))
                }
                None => rest.take(),
            }
        })
    }
    /// Where it ends in the whole text.
    pub(super) fn end(self) -> usize {
        self.offset + self.text.len()
    }
    /// The part from a place of the whole text on.
    pub(super) fn from(self, offset: usize) -> Word<'a> {
        let from = offset.clamp(self.offset, self.end()) - self.offset;
        self.range(from, self.text.len())
    }
    /// The part before a place of the whole text, without the separators there; `None`: all of it.
    pub(super) fn until(self, offset: Option<usize>) -> Word<'a> {
        let to = offset.map_or(self.text.len(), |at| {
            at.clamp(self.offset, self.end()) - self.offset
        });
        let kept = self.text[..to].trim_end_matches(is_separator);
        self.range(0, kept.len())
    }
    /// The first word up to a comma or white space, and all that is behind it.
    pub fn cut_word(self) -> (Word<'a>, Word<'a>) {
        let end = self.text.find(is_separator).unwrap_or(self.text.len());
        (self.range(0, end), self.range(end, self.text.len()))
    }
    /// What is between an opening and a closing bracket at the end.
    pub fn strip_brackets(self, open: char, close: char) -> Option<Word<'a>> {
        let inner = self.text.strip_prefix(open)?.strip_suffix(close)?;
        Some(self.range(open.len_utf8(), open.len_utf8() + inner.len()))
    }
    /// A number of at most `max`: decimal, hexadecimal with `0x`, octal with `0`.
    pub fn number(self, max: u128) -> Result<u128> {
        let value = unsigned(self.text).ok_or_else(|| self.fail("not a number"))?;
        if value > max {
            let limit = if max > 0xffff_ffff {
                format!("{max:#x}")
            } else {
                max.to_string()
            };
            return Err(self.fail(format!("too large, the most is {limit}")));
        }
        Ok(value)
    }
    /// A number that fits the type.
    pub fn int<T: TryFrom<u128> + Max>(self) -> Result<T> {
        let value = self.number(T::MAX)?;
        T::try_from(value).map_err(|_| self.fail("too large"))
    }
    /// As [`int`](Word::int); `-1` is all ones.
    pub fn bits64(self) -> Result<u64> {
        if self.text == "-1" {
            Ok(u64::MAX)
        } else {
            self.int()
        }
    }
    /// The items of a key-value text in which a key stands once.
    pub fn items_once(self) -> impl Iterator<Item = Result<Item<'a>>> {
        let mut seen = Vec::new();
        self.items().map(move |item| {
            let item = item?;
            if seen.contains(&item.key.text) {
                return Err(item.key.fail("given twice"));
            }
            seen.push(item.key.text);
            Ok(item)
        })
    }
    /// The items of a key-value text.
    pub fn items(self) -> Items<'a> {
        Items { rest: self }
    }
}

/// Largest value of an unsigned type.
pub trait Max {
    /// That value.
    const MAX: u128;
}
impl Max for u8 {
    const MAX: u128 = u8::MAX as u128;
}
impl Max for u16 {
    const MAX: u128 = u16::MAX as u128;
}
impl Max for u32 {
    const MAX: u128 = u32::MAX as u128;
}
impl Max for u64 {
    const MAX: u128 = u64::MAX as u128;
}

/// Decimal, `0x` hexadecimal or `0` octal.
fn unsigned(text: &str) -> Option<u128> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    self::digits(digits, radix)
}

/// A number of digits alone, without a sign; `None`: it is none, or does not fit.
pub fn digits<T: TryFrom<u128>>(text: &str, radix: u32) -> Option<T> {
    let number = u128::from_str_radix(text, radix).ok()?;
    T::try_from(number).ok().filter(|_| !text.starts_with('+'))
}

/// A key with its value.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The key.
    pub key: Word<'a>,
    /// What follows `=` or `:`, or stands in parentheses.
    pub value: Option<Word<'a>>,
    /// The value stands in parentheses.
    pub parenthesised: bool,
    /// What follows `->` behind the parentheses.
    pub arrow: Option<Word<'a>>,
    /// The rest of the text, from the value on.
    rest: Word<'a>,
}

impl<'a> Item<'a> {
    /// The value, or an error that says that there is none.
    pub fn need(&self) -> Result<Word<'a>> {
        match self.value {
            Some(value) if !value.text.is_empty() => Ok(value),
            _ => Err(self.key.fail("needs a value")),
        }
    }
    /// An error if there is a value.
    pub fn bare(&self) -> Result<()> {
        match self.value {
            Some(value) => Err(value.fail(format!("{} takes no value", self.key.text))),
            None => Ok(()),
        }
    }
    /// The value and everything behind it, to the end of the text.
    pub fn all_that_follows(&self) -> Word<'a> {
        self.rest
    }
}

/// `key`, `key=value`, `key:value` and `key(value)`, separated by commas or white space. A value
/// ends at a separator outside of brackets and quotes.
pub struct Items<'a> {
    rest: Word<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>>;

    fn next(&mut self) -> Option<Result<Item<'a>>> {
        let text = self.rest.text;
        let start = text.len() - text.trim_start_matches(is_separator).len();
        let body = self.rest.range(start, text.len());
        if body.text.is_empty() {
            return None;
        }
        let key_end = key_end(body.text);
        let key = body.range(0, key_end);
        let item = match body.text[key_end..].chars().next() {
            Some('=' | ':') => value_end(body, key_end + 1).map(|end| {
                let value = body.range(key_end + 1, end);
                self.rest = body.range(end, body.text.len());
                Item {
                    key,
                    value: Some(value),
                    parenthesised: false,
                    arrow: None,
                    rest: body.range(key_end + 1, body.text.len()),
                }
            }),
            Some('(') => closing(body, key_end).and_then(|close| {
                let value = body.range(key_end + 1, close);
                let behind = close + 1;
                let mut end = behind;
                if body.text[behind..].starts_with("->") {
                    end = value_end(body, behind + 2)?;
                }
                self.rest = body.range(end, body.text.len());
                Ok(Item {
                    key,
                    value: Some(value),
                    parenthesised: true,
                    arrow: (end > behind).then(|| body.range(behind + 2, end)),
                    rest: self.rest,
                })
            }),
            _ => {
                self.rest = body.range(key_end, body.text.len());
                Ok(Item {
                    key,
                    value: None,
                    parenthesised: false,
                    arrow: None,
                    rest: self.rest,
                })
            }
        };
        if item.is_err() {
            self.rest = body.range(body.text.len(), body.text.len());
        }
        Some(item)
    }
}

fn is_separator(c: char) -> bool {
    c == ',' || c.is_whitespace()
}

fn key_end(text: &str) -> usize {
    if text.starts_with('"') {
        return quoted_end(text, 0).unwrap_or(text.len());
    }
    text.find(|c| is_separator(c) || matches!(c, '=' | ':' | '('))
        .unwrap_or(text.len())
}

/// The end of a quoted string that starts at `from`.
fn quoted_end(text: &str, from: usize) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(from + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Where the value that starts at `from` ends.
fn value_end(word: Word<'_>, from: usize) -> Result<usize> {
    let bytes = word.text.as_bytes();
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b',' | b' ' | b'\t' | b'\r' | b'\n' => return Ok(at),
            b'(' | b'[' | b'{' => at = closing(word, at)?,
            b'"' => {
                let end = quoted_end(word.text, at);
                at =
                    end.ok_or_else(|| word.range(at, bytes.len()).fail("quote is not closed"))? - 1;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(at)
}

/// The bracket that closes the one at `open`.
fn closing(word: Word<'_>, open: usize) -> Result<usize> {
    let mut depth = 0usize;
    let mut at = open;
    let bytes = word.text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'"' => match quoted_end(word.text, at) {
                Some(end) => at = end - 1,
                None => break,
            },
            _ => {}
        }
        if depth == 0 {
            return Ok(at);
        }
        at += 1;
    }
    let fault = word.range(open, bytes.len()).fail("bracket is not closed");
    Err(fault)
}

/// What it costs to cut a name short (`prio`) or to say too much, however many letters.
const PREFIX_COST: usize = 3;

/// The name that is most like `word`, if one is like it at all.
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.to_ascii_lowercase();
    if word.len() > 40 {
        return None;
    }
    let limit = 1 + word.len() / 4;
    let rank = |name: &'n str| {
        let is_prefix =
            word.len().min(name.len()) >= 3 && (name.starts_with(&word) || word.starts_with(name));
        let edits = distance(&word, name);
        let cost = if is_prefix {
            edits.min(PREFIX_COST)
        } else {
            edits
        };
        (cost <= limit || is_prefix).then_some((cost, name))
    };
    let names = names.into_iter().filter(|name| !name.is_empty());
    let best = names.filter_map(rank).min_by_key(|&(cost, _)| cost);
    best.map(|(_, name)| name)
}

/// Number of characters to insert, delete, replace or swap with a neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (above[j] + 1)
                .min(row[j - 1] + 1)
                .min(above[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(&str, Option<&str>)> {
        let items = Word::new(text).items();
        items
            .map(|i| i.unwrap())
            .map(|i| (i.key.text, i.value.map(|v| v.text)))
            .collect()
    }

    #[test]
    fn verbs_are_listed_for_a_lone_word_at_the_beginning() {
        let said = |text| {
            let word = Word::new(text);
            let error = word.cut_word().0.fail("bad");
            error.list_verbs(word, ["add", "delete"]).help
        };
        let verbs = "a verb is one of add, delete";
        assert_eq!(said("ad actions=drop").as_deref(), Some(verbs));
        assert_eq!(said("ad,actions=drop"), None);
        assert_eq!(said("ad"), None);
    }

    #[test]
    fn items_split_at_separators_outside_of_brackets() {
        assert_eq!(
            pairs("a=1, b(c,d) e:f(g,h),\"x,y\"=2,, z"),
            [
                ("a", Some("1")),
                ("b", Some("c,d")),
                ("e", Some("f(g,h)")),
                ("\"x,y\"", Some("2")),
                ("z", None)
            ]
        );
    }

    #[test]
    fn numbers_have_three_bases() {
        assert_eq!(Word::new("0x10").number(255).unwrap(), 16);
        assert_eq!(Word::new("010").number(255).unwrap(), 8);
        assert_eq!(Word::new("0").number(255).unwrap(), 0);
        for bad in ["", "0x", "-1", "+1", "1x", "256", "0x+1", "09"] {
            assert!(Word::new(bad).number(255).is_err(), "{bad}");
        }
    }

    #[test]
    fn nearest_finds_slips_of_the_keyboard() {
        assert_eq!(nearest("nw_dts", ["nw_src", "nw_dst"]), Some("nw_dst"));
        assert_eq!(nearest("ouput", ["output", "note"]), Some("output"));
        assert_eq!(nearest("prio", ["in_port", "priority"]), Some("priority"));
        assert_eq!(nearest("tcp_scr", ["tcp", "tcp_src"]), Some("tcp_src"));
        assert_eq!(nearest("completely", ["output", "note"]), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in "\\PC{0,60}|[a-c(\\[\\]){}\",=: ]{0,40}") {
            for item in Word::new(&text).items() {
                let _ = item;
            }
            let _ = Word::new(&text).number(u128::MAX);
            let _ = nearest(&text, ["output"]);
        }
    }
}
