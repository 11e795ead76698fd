//! Text and bytes without a switch: what a flow becomes, what bytes mean.

use super::forms::{Form, Forms};
use super::source::{Source, keep, read, read_as_written, restrict};
use super::{Context, print as write};
use crate::connection::describe_packet;
use crate::failure::{Failure, Result};
use crate::lenient::Reading;
use bytes::Bytes;
use ofp::message::{Body, GroupCommand, Message};
use ofp::text::{PortMap, Style, print, read_group_mod};
use ofp::types::{Version, Xid};
use ofp::usable::usable_group;
use std::io::Read;

/// Says which forms there are for what was read, and takes the preferred one of those allowed.
fn choose(context: &Context<'_>, usable: Forms) -> Result<&'static Form> {
    let allowed = Forms::allowed(context.options)?;
    write(&format!("usable protocols: {usable}\n"))?;
    usable.and(allowed).first()
}

pub(super) fn print_wire(bytes: &Bytes, hex: bool) -> Result<()> {
    let ports = PortMap::default();
    let style = Style {
        frame: Some(&describe_packet),
        hex,
        ..Style::plain(Version::V10, &ports)
    };
    write(&print::print_wire(bytes, &style))
}

pub(super) fn parse_flow(context: &Context<'_>) -> Result<()> {
    parse_source(context, &Source::argument(Some(&context.args[0]))?)
}

pub(super) fn parse_flows(context: &Context<'_>) -> Result<()> {
    parse_source(context, &Source::file(&context.args[0])?)
}

/// Prints flows as they would arrive.
fn parse_source(context: &Context<'_>, source: &Source) -> Result<()> {
    let ports = PortMap::default();
    let reading = Reading::by(context.options.lenient);
    let mut usable = Forms::ALL;
    for (place, line) in source.lines() {
        let flow = read_as_written(&place, line, None, &ports, reading)?;
        usable = usable.and(Forms::of_flow(&flow));
    }
    let form = choose(context, usable).or_else(|failure| {
        // The flow at fault, with the reasons, if it is a single one.
        let mut versions = context.options.versions()?.0;
        for (place, line) in source.lines() {
            let flow = read(&place, line, None, &ports, reading.again())?;
            restrict(&mut versions, &flow, &place)?;
        }
        Err(failure)
    })?;
    write(&format!("chosen protocol: {}\n", form.name))?;
    for (xid, (place, line)) in (1..).zip(source.lines()) {
        let flow = match form.dialect().flow_mod_table_id {
            true => read_as_written(&place, line, None, &ports, reading.again()),
            false => read(&place, line, None, &ports, reading.again()),
        }?;
        let body = Body::FlowMod(Box::new(flow));
        let xid = Xid(xid);
        print_wire(&Message { xid, body }.to_bytes(&form.dialect()), false)?;
    }
    Ok(())
}

/// Prints a group as it would arrive.
pub(super) fn parse_group(context: &Context<'_>) -> Result<()> {
    let text = &context.args[0];
    let group = read_group_mod(text, Some(GroupCommand::Add), &PortMap::default())
        .map_err(Failure::text(text))?;
    let usable = usable_group(&group);
    let form = choose(context, Forms::of(&usable)).or_else(|_| {
        let mut versions = context.options.versions()?.0;
        keep(&mut versions, &usable, "group", &None)?;
        Err(Failure::plain("no usable protocol"))
    })?;
    let version = form.protocol.version;
    write(&format!("chosen version: {}\n", version.name()))?;
    let body = Body::GroupMod(Box::new(group));
    let xid = Xid(1);
    print_wire(&Message { xid, body }.to_bytes(&form.dialect()), false)
}

/// Bytes written as hexadecimal digits, with white space between them.
pub(super) fn hex_bytes(text: &str) -> Result<Bytes> {
    let digits: String = text.split_whitespace().collect();
    let fault = || Failure::plain(format!("\"{}\" is not hexadecimal", text.trim()));
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return Err(fault());
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| ofp::text::digits(&digits[at..at + 2], 16).ok_or_else(fault))
        .collect()
}

pub(super) fn ofp_print(context: &Context<'_>) -> Result<()> {
    let bytes = hex_bytes(&context.args[0])?;
    let verbosity = match context.arg(1) {
        None => u32::from(context.options.more),
        Some(word) => ofp::text::digits(word, 10)
            .ok_or_else(|| Failure::plain(format!("\"{word}\" is not a number")))?,
    };
    print_wire(&bytes, verbosity > 0)
}

/// The version of this name.
pub(super) fn version_named(command: &str, name: &str) -> Result<Version> {
    let all = (1..=6).filter_map(Version::from_wire);
    all.into_iter()
        .find(|version| version.name() == name)
        .ok_or_else(|| {
            Failure::plain(format!(
                "{command}: no version \"{name}\": OpenFlow10 to OpenFlow15"
            ))
        })
}

/// The lines of standard input that say something.
pub(super) fn entries_of_stdin() -> Result<Vec<String>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    Ok(lines
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect())
}

pub(super) fn parse_actions(context: &Context<'_>) -> Result<()> {
    let version = version_named("parse-actions", &context.args[0])?;
    let ports = PortMap::default();
    for line in entries_of_stdin()? {
        let bytes = hex_bytes(&line)?;
        match ofp::wire::action::decode_list(&bytes, version) {
            Ok(actions) => {
                let list = ofp::text::print_actions(&actions, &Style::plain(version, &ports));
                write(&format!("actions={list}\n\n"))?;
            }
            Err(error) => write(&format!(
                "bad {} actions: {}\n\n",
                version.name(),
                print::error_name(error)
            ))?,
        }
    }
    Ok(())
}
