//! The pages of docs/reference are what the tables of the code say, and nothing else. `make docs` writes them; a page that differs
//! fails here. What tables do not say (a sentence for each row) is in the files beside this one, and a row without one fails, too.

mod actions;
mod errors;
mod fields;
mod inventory;
mod messages;

use ofp::types::Version;
use std::fmt::Write;

/// Makes a page.
type Page = fn() -> String;

/// The pages by name.
const PAGES: &[(&str, Page)] = &[
    ("fields", fields::page),
    ("actions", actions::page),
    ("messages", messages::page),
    ("errors", errors::page),
    ("drops", drops),
    ("inventory", inventory::page),
];

/// Set by `make docs`: write instead of comparing.
const WRITE: &str = "TSUNAGI_WRITE_DOCS";

#[test]
fn pages_say_what_the_tables_say() {
    let directory = house::top().join("docs/reference");
    let mut stale = Vec::new();
    for (name, page) in PAGES {
        let (path, wanted) = (directory.join(format!("{name}.md")), page());
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&path, wanted).expect("docs/reference can be written");
        } else if std::fs::read_to_string(&path).ok().as_deref() != Some(wanted.as_str()) {
            stale.push(format!("docs/reference/{name}.md"));
        }
    }
    house::none(
        "Pages that are out of date; `make docs` writes them:",
        &stale,
    );
}

fn drops() -> String {
    let mut page = head(
        "Drop reasons",
        "Every packet that goes nowhere is counted by one of these. `ovs-appctl coverage/show` prints the counters, `ofctl trace` the reason.",
    );
    page += &table(&["counter", "the packet was"]);
    for (_, name, text) in datapath::model::drop::DROP_REASONS {
        page += &row(&[code(name), text.to_string()]);
    }
    page
}

/// The beginning of a page.
fn head(title: &str, text: &str) -> String {
    format!(
        "# {title}\n\nThis page is made from the code's own tables by `make docs`.\n\n{text}\n\n"
    )
}

/// The heading of a table.
fn table(columns: &[&str]) -> String {
    let mut text = row(&columns.iter().map(|c| c.to_string()).collect::<Vec<_>>());
    let _ = writeln!(text, "|{}", " --- |".repeat(columns.len()));
    text
}

/// A row of a table.
fn row(cells: &[String]) -> String {
    let mut text = String::from("|");
    for cell in cells {
        let _ = write!(text, " {} |", cell.replace('|', "\\|"));
    }
    text + "\n"
}

fn code(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("`{text}`"),
    }
}

/// `1.3`
fn version(version: Version) -> String {
    format!("1.{}", version as u8 - 1)
}

/// `1.0`, `1.3-1.5`
fn versions(first: Version, last: Version) -> String {
    match first == last {
        true => version(first),
        false => format!("{}-{}", version(first), version(last)),
    }
}

/// Who defines what has this experimenter id.
fn owner(experimenter: u32) -> &'static str {
    match experimenter {
        ofp::field::NICIRA => "Nicira",
        ofp::field::ONF => "ONF",
        ofp::field::TSUNAGI => "Tsunagi",
        _ => "experimenter",
    }
}

/// The sentence of a row.
fn doc(docs: &[(&str, &'static str)], name: &str) -> &'static str {
    let found = docs.iter().find(|row| row.0 == name);
    found
        .unwrap_or_else(|| panic!("{name} has no sentence in tests/house/tests/reference"))
        .1
}

/// Fails for sentences of rows that there are not.
fn no_strangers<'a>(docs: &[(&str, &str)], names: impl Iterator<Item = &'a str>) {
    let names: Vec<_> = names.collect();
    let strangers = docs.iter().filter(|row| !names.contains(&row.0));
    house::none(
        "Sentences without a row:",
        &strangers.map(|row| row.0.to_owned()).collect::<Vec<_>>(),
    );
}
