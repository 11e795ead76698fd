//! docs/reference/errors.md.

use super::{code, head, row, table, version};
use ofp::error::{ERRORS, Number};
use ofp::types::Version;

/// The page.
pub fn page() -> String {
    let mut page = head(
        "Errors",
        "What the switch answers to a message that it cannot obey, with the message's first bytes. Numbers are type and code: `1,6`. \
         `nx1,513` is Nicira's form inside type 0xb0c2, `nx:2` and `onf:2300` are experimenter errors (type 0xffff). An error that a version \
         cannot say (`-`) is sent as NXBRC_UNENCODABLE_ERROR. `ofctl print-error NAME` prints one row.",
    );
    let all = || (1..=6).filter_map(Version::from_wire);
    let columns: Vec<_> = all().map(version).collect();
    let columns = columns.iter().map(String::as_str);
    let columns = ["error"].into_iter().chain(columns).chain(["meaning"]);
    page += &table(&columns.collect::<Vec<_>>());
    for error in ERRORS {
        let mut cells = vec![code(error.name)];
        cells.extend(all().map(|v| number(error.number(v))));
        cells.push(error.error.to_string());
        page += &row(&cells);
    }
    page
}

fn number(number: Option<Number>) -> String {
    match number {
        None => "-".to_owned(),
        Some(Number::Standard(kind, code)) => format!("{kind},{code}"),
        Some(Number::Nicira(kind, code)) => format!("nx{kind},{code}"),
        Some(Number::Experimenter(ofp::field::ONF, kind)) => format!("onf:{kind}"),
        Some(Number::Experimenter(_, kind)) => format!("nx:{kind}"),
    }
}
