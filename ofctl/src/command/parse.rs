//! Text and bytes without a switch: what a flow becomes, what bytes mean.

use super::source::{Source, read, restrict};
use super::{Context, print as write};
use crate::connection::{STANDARD10, describe_frame, flow_dialect};
use crate::failure::{Failure, Result};
use crate::lenient::Reading;
use bytes::Bytes;
use ofp::message::{Body, FlowMod, Message};
use ofp::text::{PortMap, Style, print};
use ofp::types::{Version, Xid};
use std::io::Read;

/// Prints a flow as it would arrive.
fn print_flow(xid: u32, flow: FlowMod, version: Version) -> Result<()> {
    let standard = ofp::usable::can_say(&flow, STANDARD10);
    let dialect = flow_dialect(version, standard);
    let bytes = Message {
        xid: Xid(xid),
        body: Body::FlowMod(Box::new(flow)),
    }
    .to_bytes(&dialect);
    print_wire(&bytes, false)
}

pub(super) fn print_wire(bytes: &Bytes, hex: bool) -> Result<()> {
    let ports = PortMap::default();
    let style = Style {
        frame: Some(&describe_frame),
        hex,
        ..Style::plain(Version::V10, &ports)
    };
    write(&print::print_wire(bytes, &style))
}

pub(super) fn parse_flow(context: &Context<'_>) -> Result<()> {
    let flow = read(
        &None,
        &context.args[0],
        None,
        &PortMap::default(),
        Reading::by(context.options.lenient),
    )?;
    let mut versions = context.options.versions()?.0;
    restrict(&mut versions, &flow, &None)?;
    print_flow(1, flow, versions[0])
}

pub(super) fn parse_flows(context: &Context<'_>) -> Result<()> {
    let source = Source::file(&context.args[0])?;
    let ports = PortMap::default();
    let mut versions = context.options.versions()?.0;
    let reading = Reading::by(context.options.lenient);
    for (place, line) in source.lines() {
        let flow = read(&place, line, None, &ports, reading)?;
        restrict(&mut versions, &flow, &place)?;
    }
    for (xid, (place, line)) in (1..).zip(source.lines()) {
        let flow = read(&place, line, None, &ports, reading.again())?;
        print_flow(xid, flow, versions[0])?;
    }
    Ok(())
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
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| fault()))
        .collect()
}

pub(super) fn ofp_print(context: &Context<'_>) -> Result<()> {
    let bytes = hex_bytes(&context.args[0])?;
    let verbosity = match context.arg(1) {
        None => u32::from(context.options.more),
        Some(word) => word
            .parse()
            .map_err(|_| Failure::plain(format!("\"{word}\" is not a number")))?,
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
