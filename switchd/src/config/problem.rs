//! What is wrong with the configuration: which row, which column, and what would be right.

use ovsdb::Uuid;
use std::fmt;

/// A wrong value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Table of the row.
    pub table: &'static str,
    /// The row.
    pub uuid: Uuid,
    /// Name of what the row describes.
    pub name: String,
    /// The sentence for the user; names the offending word and what would be right.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// The candidate that is nearest to a mistyped word, if one is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = candidates
        .into_iter()
        .min_by_key(|candidate| distance(word, candidate))?;
    (distance(word, best) <= word.len().div_ceil(3)).then_some(best)
}

/// Edit distance: inserted, deleted and replaced characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y)).min(above.min(row[j]) + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near() {
        assert_eq!(
            nearest("remote-ip", ["remote_ip", "local_ip"]),
            Some("remote_ip")
        );
        assert_eq!(nearest("foo", ["tos", "ttl"]), None);
        assert_eq!(nearest("bogus", ["remote_ip", "local_ip"]), None);
    }
}
