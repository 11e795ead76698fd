//! Where flows, groups and other entries are written down: an argument, a file, standard input.

use crate::failure::{Failure, Result};
use crate::lenient::{self, Reading};
use ofp::message::{FlowMod, FlowModCommand};
use ofp::text::{PortNames, read_flow_mod};
use ofp::types::{TableId, Version};
use ofp::usable::{Protocol, Usable, can_say, usable};
use std::io::Read;

/// File and line of a text.
pub(crate) type Place = Option<(String, usize)>;

/// Texts, one per line, or one as an argument.
pub(super) struct Source {
    text: String,
    /// The file's name; `None`: the text is one entry.
    file: Option<String>,
}

impl Source {
    /// An entry, or `-` for many on standard input.
    pub(super) fn argument(word: Option<&str>) -> Result<Source> {
        match word {
            Some("-") => Source::file("-"),
            word => Ok(Source {
                text: word.unwrap_or_default().to_owned(),
                file: None,
            }),
        }
    }
    /// A file of entries, or `-`.
    pub(super) fn file(name: &str) -> Result<Source> {
        let text = match name {
            "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            }
            name => std::fs::read_to_string(name),
        };
        let text = text.map_err(|error| Failure::plain(format!("{name}: {error}")))?;
        Ok(Source {
            text,
            file: Some(match name {
                "-" => "<stdin>".into(),
                name => name.to_owned(),
            }),
        })
    }
    /// The entries, with their places. Comments begin with `#`.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Place, &str)> {
        let whole = self.file.is_none().then_some((None, self.text.as_str()));
        let lines = self.file.iter().flat_map(|file| {
            self.text.lines().enumerate().filter_map(|(index, line)| {
                let line = line.split('#').next().unwrap_or_default();
                (!line.trim().is_empty()).then(|| (Some((file.clone(), index + 1)), line))
            })
        });
        whole.into_iter().chain(lines)
    }
}

/// Reads a flow; one that names no table is for the first.
pub(super) fn read(
    place: &Place,
    line: &str,
    command: Option<FlowModCommand>,
    ports: &dyn PortNames,
    reading: Reading,
) -> Result<FlowMod> {
    let mut flow = read_as_written(place, line, command, ports, reading)?;
    let deletes = matches!(
        flow.command,
        FlowModCommand::Delete | FlowModCommand::DeleteStrict
    );
    if flow.table == TableId::ALL && !deletes {
        flow.table = TableId(0);
    }
    Ok(flow)
}

/// Reads a flow and says which text it was if it is wrong.
pub(super) fn read_as_written(
    place: &Place,
    line: &str,
    command: Option<FlowModCommand>,
    ports: &dyn PortNames,
    reading: Reading,
) -> Result<FlowMod> {
    let shown = match place {
        Some((file, line)) => format!("{file}:{line}: "),
        None => String::new(),
    };
    let flow = |text: &str| read_flow_mod(text, command, ports);
    lenient::read(line, reading, &shown, flow)
        .map_err(|(line, error)| Failure::text_at(place.clone(), &line, error))
}

/// Keeps the versions that can say the flow; an error, with the reasons, if none can.
pub(super) fn restrict(versions: &mut Vec<Version>, flow: &FlowMod, place: &Place) -> Result<()> {
    let can = |version: &Version| {
        let mut forms = Protocol::ALL.iter().filter(|p| p.version == *version);
        forms.any(|protocol| can_say(flow, *protocol))
    };
    let left: Vec<Version> = versions.iter().copied().filter(can).collect();
    if left.is_empty() {
        return keep(versions, &usable(flow), "flow", place);
    }
    *versions = left;
    Ok(())
}

/// Keeps the versions that can say something; an error, with the reasons, if none can.
pub(super) fn keep(
    versions: &mut Vec<Version>,
    usable: &Usable,
    what: &str,
    place: &Place,
) -> Result<()> {
    let can = |version: &Version| usable.protocols().any(|p| p.version == *version);
    let left: Vec<Version> = versions.iter().copied().filter(can).collect();
    if left.is_empty() {
        let place = match place {
            Some((file, line)) => format!("{file}:{line}: "),
            None => String::new(),
        };
        let mut reasons: Vec<String> = Protocol::ALL
            .iter()
            .filter(|p| versions.contains(&p.version))
            .filter_map(|p| Some(format!("{}: {}", p.version.name(), usable.why_not(*p)?)))
            .collect();
        reasons.dedup();
        return Err(Failure::plain(format!(
            "{place}no allowed version can say this {what}: {}",
            reasons.join("; ")
        )));
    }
    *versions = left;
    Ok(())
}
