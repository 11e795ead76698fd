//! The nearest known word to a mistyped one, for error messages.

/// ` (did you mean X?)` with the nearest candidate, or nothing if none is near.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!(" (did you mean {near}?)"))
}

/// What it costs to cut a word short or to say too much (`add-bridge`), however many letters.
const PREFIX_COST: usize = 3;

/// The candidate with the fewest edits, if a third of the word or less has to change, or one that
/// begins or goes on like the word.
fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = fold(word);
    let limit = word.len().div_ceil(3);
    let rank = |candidate: &'a str| {
        let letters = fold(candidate);
        let same = word.iter().zip(&letters).take_while(|(a, b)| a == b);
        let shared = same.count();
        let is_prefix = shared >= 3 && shared == word.len().min(letters.len());
        let edits = distance(&word, &letters);
        let cost = if is_prefix {
            edits.min(PREFIX_COST)
        } else {
            edits
        };
        (cost <= limit || is_prefix).then_some((cost, std::cmp::Reverse(shared), candidate))
    };
    let best = candidates.into_iter().filter_map(rank).min();
    best.map(|(.., candidate)| candidate)
}

/// `-` and `_` are typed for each other, and case is not remembered.
fn fold(word: &str) -> Vec<char> {
    word.chars()
        .map(|c| {
            if c == '_' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut edits = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                edits = edits.min(before[j - 2] + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested() {
        let known = ["options", "other_config", "ofport"];
        assert_eq!(hint("optionz", known), " (did you mean options?)");
        assert_eq!(hint("Other-Confg", known), " (did you mean other_config?)");
        assert_eq!(hint("oprt", ["port", "bridge"]), " (did you mean port?)");
        let commands = ["add", "add-bond", "add-br", "list"];
        assert_eq!(hint("add-bridge", commands), " (did you mean add-br?)");
        assert_eq!(hint("colour", known), "");
        assert_eq!(hint("", known), "");
    }

    #[test]
    fn distance_counts_edits() {
        let count = |a: &str, b: &str| distance(&fold(a), &fold(b));
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", "acb"), 1);
        assert_eq!(count("kitten", "sitting"), 3);
    }
}
