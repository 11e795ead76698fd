//! `lint`: what is suspicious in a file of flows.

use super::{Context, print};
use crate::failure::{Failure, Result};
use crate::lint::{Severity, lint as look};
use serde_json::Value;
use std::io::Read;

pub(super) fn lint(context: &Context<'_>) -> Result<()> {
    let name = context.args[0].as_str();
    let text = match name {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        name => std::fs::read_to_string(name),
    };
    let text = text.map_err(|error| Failure::plain(format!("{name}: {error}")))?;
    let findings = look(&text);
    if context.options.json {
        let all: Value = findings.iter().map(|finding| finding.json()).collect();
        print(&format!("{all}\n"))?;
    } else {
        let lines = findings.iter().map(|finding| format!("{name}:{finding}\n"));
        print(&lines.collect::<String>())?;
    }
    match findings.iter().any(|f| f.severity > Severity::Info) {
        true => Err(Failure::Status(1)),
        false => Ok(()),
    }
}
