//! Every row of a table has its case: a test that mentions it by the name that users type.

use house::{below, has_word, none, sources};

/// Rows without a case, and why.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Everything that tests: cases, test files, unit tests.
fn tests() -> String {
    let mut text = String::new();
    for file in sources() {
        if file.path.starts_with("tests/house/") {
            continue;
        }
        if file.is_test() || file.path.ends_with(".case") || file.path.ends_with(".py") {
            text.push_str(&file.text);
        } else if let Some((_, unit)) = file.text.split_once("\n#[cfg(test)]\n") {
            text.push_str(unit);
        }
    }
    text
}

/// Only what runs whole switches: cases, and the datapath's and the system tests.
fn switch_tests() -> String {
    let mut files = below("tests/cases/", "case");
    files.extend(below("tests/system/", "py"));
    files.extend(
        below("datapath/", "rs")
            .into_iter()
            .filter(|file| file.is_test()),
    );
    files.iter().map(|file| file.text.as_str()).collect()
}

fn check<'a>(what: &str, text: &str, rows: impl IntoIterator<Item = Vec<&'a str>>) {
    let mut offences = Vec::new();
    for names in rows {
        let has_case = names
            .iter()
            .any(|name| !name.is_empty() && has_word(text, name));
        let is_excepted = EXCEPTIONS.iter().any(|row| names.contains(&row.0));
        if !has_case && !is_excepted {
            offences.push(format!("{what} {}", names[0]));
        }
        if has_case && is_excepted {
            offences.push(format!(
                "{what} {} has a case now: remove its exception",
                names[0]
            ));
        }
    }
    none("Rows without a case:", &offences);
}

#[test]
fn match_fields() {
    // Registers are rows of one kind, and so are tunnel options: a case of one of them is a case of all.
    let is_register = |name: &str| {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        kind.ends_with("reg")
    };
    let is_option = |name: &str| name.starts_with("tun_metadata");
    let rows = ofp::field::FIELDS
        .iter()
        .map(|row| match row.name.trim_start_matches('x') {
            _ if is_option(row.name) => vec!["tun_metadata"],
            _ if !is_register(row.name) => vec![row.name, row.alias],
            short => vec![&row.name[..row.name.len() - short.len() + 3]],
        });
    check("field", &tests(), rows);
}

#[test]
fn drop_reasons() {
    let rows = datapath::model::drop::DROP_REASONS
        .iter()
        .map(|row| vec![row.1]);
    check("drop reason", &switch_tests(), rows);
}

#[test]
fn port_types() {
    let types = dpdk::types::PORT_TYPES
        .iter()
        .map(|row| row.name)
        .chain(datapath::tunnel::TUNNELS.iter().map(|row| row.name))
        .chain(["patch"]);
    let names: Vec<_> = types.map(|name| format!("type={name}")).collect();
    // What has no type is a system port.
    let names = names.iter().map(|name| {
        if name == "type=system" {
            "add-port"
        } else {
            name.as_str()
        }
    });
    check("port type", &switch_tests(), names.map(|name| vec![name]));
}
