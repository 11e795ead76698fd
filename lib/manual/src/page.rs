//! A man page in roff's `man` macros.

use crate::{Flag, Program, Value};
use std::fmt::Write;

/// The man page, for section 8.
pub fn page(program: &Program) -> String {
    let name = program.name;
    let mut page = format!(
        ".TH {} 8 \"\" \"Tsunagi {}\" \"Tsunagi\"\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    );
    let _ = writeln!(page, ".SH NAME\n{name} \\- {}", text(program.about));
    let _ = writeln!(page, ".SH SYNOPSIS\n.B {name}\n{}", text(program.usage));
    if !program.commands.is_empty() {
        page += ".SH COMMANDS\n";
    }
    for command in &program.commands {
        let options: String = command
            .options
            .iter()
            .map(|option| format!("[{option}] "))
            .collect();
        let (options, arguments) = (text(&options), text(command.arguments));
        let usage = format!("{options}\\fB{}\\fR {arguments}", text(command.name));
        let _ = writeln!(page, ".TP\n{}\n{}", usage.trim_end(), text(command.doc));
    }
    page += ".SH OPTIONS\n";
    for flag in &program.options {
        let _ = writeln!(page, ".TP\n{}\n{}", title(flag), text(&flag.doc));
    }
    for (heading, note) in &program.notes {
        let _ = writeln!(page, ".SH {heading}");
        for paragraph in note.split("\n\n") {
            let _ = writeln!(page, ".PP\n{}", text(paragraph.trim()));
        }
    }
    page
}

fn title(flag: &Flag) -> String {
    let short = flag
        .short
        .map_or(String::new(), |letter| format!("\\fB\\-{letter}\\fR, "));
    let value = match &flag.value {
        Value::No => String::new(),
        Value::Yes(name) => format!("=\\fI{}\\fR", text(name)),
        Value::Maybe(name) => format!("[=\\fI{}\\fR]", text(name)),
    };
    format!("{short}\\fB\\-\\-{}\\fR{value}", text(&flag.long))
}

/// Text that roff takes for nothing else.
fn text(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let line = |line: &str| match line.starts_with(['.', '\'']) {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    };
    escaped.lines().map(line).collect::<Vec<_>>().join("\n")
}
