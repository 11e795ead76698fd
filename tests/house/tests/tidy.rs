//! Manners: sizes of files, how they open, words that mean something unfinished, links that lead somewhere.

use house::{below, has_word, none, sources, top};
use std::path::Path;

/// Lines of a source file at most; what is longer is split by meaning.
const LINES_MAX: usize = 800;

#[test]
fn files_are_short() {
    let mut offences = Vec::new();
    for file in ["rs", "py", "sh"]
        .iter()
        .flat_map(|extension| below("", extension))
    {
        let len = file.text.lines().count();
        if len > LINES_MAX {
            offences.push(format!("{}: {len} lines", file.path));
        }
    }
    none("Files have at most 800 lines:", &offences);
}

/// A text without the line that says what runs it.
fn behind_interpreter(text: &str) -> &str {
    let is_there = text.starts_with("#!/");
    let rest = text.split_once('\n').filter(|_| is_there);
    rest.map_or(text, |(_, rest)| rest)
}

#[test]
fn files_open_with_what_they_are() {
    let mut offences = Vec::new();
    for (extension, opening) in [("rs", "//! "), ("py", "\"\"\"")] {
        let files = below("", extension)
            .into_iter()
            .filter(|file| !behind_interpreter(&file.text).starts_with(opening));
        offences.extend(files.map(|file| file.path));
    }
    none(
        "A file opens with one to five lines that say what it is, who calls it, what it never does:",
        &offences,
    );
}

#[test]
fn nothing_is_unfinished() {
    let words = [
        "TODO",
        "FIXME",
        "XXX ",
        "XXX:",
        "HACK",
        "dbg!",
        "todo!",
        "unimplemented!",
        "#[ignore",
        "allow(dead_code)",
        "pytest.mark.skip",
        "pytest.skip",
        "xfail",
    ];
    let mut offences = Vec::new();
    for file in sources()
        .into_iter()
        .filter(|file| !file.path.starts_with("tests/house/") && file.path != "Cargo.lock")
    {
        for (number, line) in file.text.lines().enumerate() {
            let hits = words.iter().filter(|word| has_word(line, word));
            offences.extend(hits.map(|word| format!("{}:{}: {word}", file.path, number + 1)));
        }
    }
    none("Finish it, or leave it out:", &offences);
}

#[test]
fn nothing_mentions_where_it_was_made() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("../", "shared"),
        concat!("/root", "/"),
    ];
    let mut offences = Vec::new();
    for file in sources()
        .into_iter()
        .filter(|file| file.path != "Cargo.lock")
    {
        for (number, line) in file.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                offences.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none("The project stands for itself:", &offences);
}

#[test]
fn links_lead_somewhere() {
    let mut offences = Vec::new();
    for page in below("", "md") {
        let directory = top().join(&page.path);
        let directory = directory.parent().unwrap_or(Path::new(""));
        for target in page
            .text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or("");
            if !target.contains("://") && !file.is_empty() && !directory.join(file).exists() {
                offences.push(format!("{}: {target}", page.path));
            }
        }
        // Code and files are named in backquotes; what looks like a path of ours has to be there.
        for word in page.text.split('`').skip(1).step_by(2) {
            let is_path = [
                "lib/",
                "datapath/",
                "switchd/src",
                "ofctl/src",
                "vsctl/src",
                "tests/",
                "docs/",
                "demo/",
                "bench/",
                "tools/",
            ]
            .iter()
            .any(|start| word.starts_with(start));
            let is_plain = word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if is_path && is_plain && !top().join(word).exists() {
                offences.push(format!("{}: `{word}`", page.path));
            }
        }
    }
    none("These are named, and do not exist:", &offences);
}
