//! The source tree as the tests of this crate see it: files, and Rust code without comments and unit tests.
//! It reads files; it compiles and runs nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// Names of what holds no sources of ours.
const NOT_OURS: &[&str] = &[
    "target",
    ".git",
    ".venv",
    ".cache",
    "__pycache__",
    ".pytest_cache",
    "proptest-regressions",
];

/// A file: its path from the top with `/`, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// Such as `lib/packet/src/arp.rs`.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// The top of the tree.
pub fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// All text files, sorted by path.
pub fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&top(), &top(), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// All files with this extension below a directory (`""`: all).
pub fn below(directory: &str, extension: &str) -> Vec<Source> {
    let ends = format!(".{extension}");
    let mut found = sources();
    found.retain(|source| source.path.starts_with(directory) && source.path.ends_with(&ends));
    found
}

fn collect(top: &Path, directory: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        } else if path.is_dir() {
            collect(top, &path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path
                .strip_prefix(top)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            found.push(Source { path, text });
        }
    }
}

impl Source {
    /// The lines of code with their numbers: without comments, and without what follows `#[cfg(test)]` at the left margin.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self
            .text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line));
        let lines = lines.take_while(|(_, line)| *line != "#[cfg(test)]");
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Whether the whole file is tests: in a `tests` directory, or named so.
    pub fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs" || part == "testing.rs")
    }

    /// Lines of code that contain one of these words, as `path:line: word`. A word is matched at its left edge.
    pub fn find(&self, words: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in self.code() {
            let hits = words.iter().filter(|word| has_word(line, word));
            found.extend(hits.map(|word| format!("{}:{number}: {word}", self.path)));
        }
        found
    }
}

/// Whether `line` contains `word`, not preceded by a letter, digit or underscore.
pub fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Fails the test with all the offences, one per line.
///
/// # Panics
/// If there are any.
pub fn none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}\n  {}", offences.join("\n  "));
}
