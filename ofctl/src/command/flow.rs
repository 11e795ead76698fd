//! Flows that are asked for: dumps, sorted and in colour, and sums.

use super::{Context, print};
use crate::color;
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::json;
use crate::lenient::{self, Reading};
use ofp::field::{FIELDS, Field};
use ofp::message::{Body, FlowStats, FlowStatsRequest, MultipartPart, MultipartRequest};
use ofp::text::print::{print_flow_stats, print_message};
use ofp::text::{nearest, read_flow_stats_request};
use ofp::types::Version;
use std::cmp::Ordering;
use std::io::{BufWriter, Write};

fn selection(context: &Context<'_>) -> Result<FlowStatsRequest> {
    let ports = context.lazy_ports();
    let text = context.arg(1).unwrap_or_default();
    let reading = Reading::by(context.options.lenient);
    let select = |text: &str| read_flow_stats_request(text, &ports);
    let select = lenient::read(text, reading, "", select);
    ports.or_failure(select.map_err(|(text, error)| Failure::text(&text)(error)))
}

/// Connects for statistics; OpenFlow 1.0 needs Nicira's form to say all of a flow.
fn connect_for_stats(context: &Context<'_>, select: &mut FlowStatsRequest) -> Result<Connection> {
    let mut connection = context.connect()?;
    select.nicira = connection.enable_extensions()?;
    Ok(connection)
}

pub(super) fn dump_flows(context: &Context<'_>) -> Result<()> {
    let options = context.options;
    let order = criteria(options)?;
    let mut select = selection(context)?;
    let mut connection = connect_for_stats(context, &mut select)?;
    let paint = options.show_colors()?;
    let raw = order.is_empty() && !options.show_names() && options.show_stats() && !options.json;
    let ports = context.all_names_to_show(&mut connection)?;
    let mut style = context.style(connection.version(), &ports);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let request = MultipartRequest::Flow(Box::new(select));
    if raw {
        return connection.ask_parts(request, |message| {
            for line in print_message(message, &style).split_inclusive('\n') {
                match paint && line.starts_with(' ') {
                    true => out.write_all(color::flow(line).as_bytes())?,
                    false => out.write_all(line.as_bytes())?,
                }
            }
            Ok(())
        });
    }
    // Ages are an extension that only the switch's own form shows.
    style.ages = connection.version() > Version::V13;
    let mut all = Vec::new();
    let keep = !order.is_empty() || options.json;
    connection.ask_parts(request, |message| {
        if let Body::MultipartReply(reply) = &message.body
            && let MultipartPart::Flow { flows, .. } = &reply.part
        {
            match keep {
                true => all.extend_from_slice(flows),
                false => write_flows(&mut out, flows, &style, paint)?,
            }
        }
        Ok(())
    })?;
    all.sort_by(|a, b| compare(&order, a, b));
    match options.json {
        true => Ok(writeln!(out, "{}", json::flows(&all, &style))?),
        false => write_flows(&mut out, &all, &style, paint),
    }
}

fn write_flows(
    out: &mut impl Write,
    flows: &[FlowStats],
    style: &ofp::text::Style<'_>,
    paint: bool,
) -> Result<()> {
    for flow in flows {
        let line = print_flow_stats(flow, style);
        match paint {
            true => writeln!(out, "{}", color::flow(&line))?,
            false => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

/// What to sort by, and whether downwards.
enum Criterion {
    Priority(bool),
    Field(Field, bool),
}

fn criteria(options: &crate::options::Options) -> Result<Vec<Criterion>> {
    let up = options.sort.iter().map(|name| (name, false));
    let down = options.rsort.iter().map(|name| (name, true));
    up.chain(down)
        .map(|(name, down)| {
            if name == "priority" {
                return Ok(Criterion::Priority(down));
            }
            let row = FIELDS
                .iter()
                .find(|row| row.name == name || !row.alias.is_empty() && row.alias == name);
            let hint = || {
                nearest(name, FIELDS.iter().map(|row| row.name))
                    .map_or(String::new(), |n| format!("; did you mean {n}?"))
            };
            row.map(|row| Criterion::Field(row.field, down))
                .ok_or_else(|| Failure::plain(format!("--sort: no field \"{name}\"{}", hint())))
        })
        .collect()
}

fn compare(order: &[Criterion], a: &FlowStats, b: &FlowStats) -> Ordering {
    for criterion in order {
        let (ordering, down) = match criterion {
            Criterion::Priority(down) => (a.priority.cmp(&b.priority), *down),
            Criterion::Field(field, down) => {
                let (left, left_mask) = a.matching.get(field.place());
                let (right, right_mask) = b.matching.get(field.place());
                // Flows without the field stand at the end, whichever way the others are sorted.
                match (left_mask != 0).cmp(&(right_mask != 0)) {
                    Ordering::Equal => (left.cmp(&right), *down),
                    missing => return missing.reverse(),
                }
            }
        };
        if ordering != Ordering::Equal {
            return if down { ordering.reverse() } else { ordering };
        }
    }
    Ordering::Equal
}

pub(super) fn dump_flow_counts(context: &Context<'_>) -> Result<()> {
    let select = selection(context)?;
    let versions = context.versions_that(|v| *v >= Version::V15, "dump-flow-counts")?;
    let mut connection = context.connect_with(&versions)?;
    let ports = context.all_names_to_show(&mut connection)?;
    let style = context.style(connection.version(), &ports);
    let mut all = Vec::new();
    connection.ask_parts(
        MultipartRequest::FlowCounts(Box::new(select)),
        |message| match &message.body {
            Body::MultipartReply(reply) => match &reply.part {
                MultipartPart::FlowCounts(flows) if context.options.json => {
                    all.extend_from_slice(flows);
                    Ok(())
                }
                _ => print(&print_message(message, &style)),
            },
            _ => print(&print_message(message, &style)),
        },
    )?;
    match context.options.json {
        true => print(&format!("{}\n", json::flow_counts(&all, &style))),
        false => Ok(()),
    }
}

pub(super) fn dump_aggregate(context: &Context<'_>) -> Result<()> {
    let mut select = selection(context)?;
    let mut connection = connect_for_stats(context, &mut select)?;
    let ports = ofp::text::PortMap::default();
    let style = context.style(connection.version(), &ports);
    connection.ask_parts(
        MultipartRequest::Aggregate(Box::new(select)),
        |message| match (&message.body, context.options.json) {
            (Body::MultipartReply(reply), true) => {
                print(&format!("{}\n", json::aggregate(&reply.part)))
            }
            _ => print(&print_message(message, &style)),
        },
    )
}
