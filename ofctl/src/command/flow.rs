//! Flows: add, modify, delete, dump.

use super::{Context, print};
use crate::connection::{Connection, STANDARD10};
use crate::failure::{Failure, Result};
use crate::json;
use bytes::BytesMut;
use ofp::field::{FIELDS, Field};
use ofp::message::{
    Body, FlowMod, FlowModCommand, FlowStats, FlowStatsRequest, MultipartPart, MultipartRequest,
};
use ofp::text::print::{print_flow_stats, print_message};
use ofp::text::{PortNames, nearest, read_flow_mod, read_flow_stats_request};
use ofp::types::{TableId, Version, Xid};
use ofp::usable::{Protocol, Usable, usable};
use std::cmp::Ordering;
use std::io::{BufWriter, Read, Write};

/// Bytes of flow mods between two barriers: fits the buffers of a socket, so that neither side can
/// block the other, and bounds what has to be remembered of what was sent.
const BATCH_SIZE: usize = 48 << 10;
/// Refused flows that are shown.
const SHOWN_ERRORS: usize = 20;

pub(super) fn add_flow(context: &Context<'_>) -> Result<()> {
    change(context, Source::argument(context.arg(1))?, None)
}

pub(super) fn add_flows(context: &Context<'_>) -> Result<()> {
    change(context, Source::file(&context.args[1])?, None)
}

pub(super) fn mod_flows(context: &Context<'_>) -> Result<()> {
    let command = if context.options.strict {
        FlowModCommand::ModifyStrict
    } else {
        FlowModCommand::Modify
    };
    change(context, Source::argument(context.arg(1))?, Some(command))
}

pub(super) fn del_flows(context: &Context<'_>) -> Result<()> {
    let command = if context.options.strict {
        FlowModCommand::DeleteStrict
    } else {
        FlowModCommand::Delete
    };
    change(context, Source::argument(context.arg(1))?, Some(command))
}

/// Where flows are written down.
pub(super) struct Source {
    text: String,
    /// The file's name; `None`: the text is one flow.
    file: Option<String>,
}

impl Source {
    /// A flow, or `-` for flows on standard input.
    fn argument(word: Option<&str>) -> Result<Source> {
        match word {
            Some("-") => Source::file("-"),
            word => Ok(Source {
                text: word.unwrap_or_default().to_owned(),
                file: None,
            }),
        }
    }
    /// A file of flows, or `-`.
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
            file: Some(if name == "-" {
                "<stdin>".into()
            } else {
                name.to_owned()
            }),
        })
    }
    /// The flows, with their places. Comments begin with `#`.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Option<(String, usize)>, &str)> {
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

/// Reads a flow and says which text it was if it is wrong.
pub(super) fn read(
    place: &Option<(String, usize)>,
    line: &str,
    command: Option<FlowModCommand>,
    ports: &dyn PortNames,
) -> Result<FlowMod> {
    let mut flow = read_flow_mod(line, command, ports)
        .map_err(|error| Failure::text_at(place.clone(), line, error))?;
    let deletes = matches!(
        flow.command,
        FlowModCommand::Delete | FlowModCommand::DeleteStrict
    );
    if flow.table == TableId::ALL && !deletes {
        flow.table = TableId(0);
    }
    Ok(flow)
}

/// Keeps the versions that can say the flow; an error, with the reasons, if none can.
pub(super) fn restrict(
    versions: &mut Vec<Version>,
    flow: &FlowMod,
    place: &Option<(String, usize)>,
) -> Result<Usable> {
    let usable = usable(flow);
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
            "{place}no allowed version can say this flow: {}",
            reasons.join("; ")
        )));
    }
    *versions = left;
    Ok(usable)
}

/// Reads all flows first, so that a mistake in one leaves the switch as it was; then sends them.
fn change(context: &Context<'_>, source: Source, command: Option<FlowModCommand>) -> Result<()> {
    let ports = context.lazy_ports();
    let mut versions = context.options.versions()?.0;
    // Whether OpenFlow 1.0's own message can say each flow.
    let mut standard = Vec::new();
    for (place, line) in source.lines() {
        let flow = ports.or_failure(read(&place, line, command, &ports))?;
        let usable = restrict(&mut versions, &flow, &place)?;
        standard.push(usable.contains(STANDARD10));
    }
    let mut connection = context.connect_with(&versions)?;
    if connection.version() == Version::V10 {
        connection.tell(vec![
            Body::SetFlowFormat(ofp::message::FlowFormat::Nxm),
            Body::FlowModTableId(true),
        ])?;
    }
    let mut batch = Batch::default();
    for ((place, line), standard) in source.lines().zip(standard) {
        let flow = read(&place, line, command, &ports)?;
        let xid = connection.encode_flow(flow, standard, &mut batch.bytes);
        batch.sent.push((xid, place));
        if batch.bytes.len() >= BATCH_SIZE {
            batch.flush(&mut connection)?;
        }
    }
    batch.flush(&mut connection)
}

/// Flow mods on their way between two barriers.
#[derive(Default)]
struct Batch {
    bytes: BytesMut,
    sent: Vec<(Xid, Option<(String, usize)>)>,
}

impl Batch {
    /// Sends what is there and waits until the switch has done it; errors are mapped to their lines.
    fn flush(&mut self, connection: &mut Connection) -> Result<()> {
        let barrier = connection.encode(Body::BarrierRequest, &mut self.bytes);
        connection.write(&self.bytes)?;
        let mut errors = Vec::new();
        connection.wait_barrier(barrier, |xid, error| errors.push((xid, error.clone())))?;
        if !errors.is_empty() {
            let mut text = String::new();
            for (xid, error) in errors.iter().take(SHOWN_ERRORS) {
                let sent = self.sent.binary_search_by_key(xid, |s| s.0).ok();
                if let Some((file, line)) = sent.and_then(|at| self.sent[at].1.as_ref()) {
                    text.push_str(&format!("{file}:{line}: "));
                }
                text.push_str(&connection.describe_error(*xid, error));
            }
            if errors.len() > SHOWN_ERRORS {
                text.push_str(&format!(
                    "ofctl: and {} more errors\n",
                    errors.len() - SHOWN_ERRORS
                ));
            }
            return Err(Failure::Switch(text));
        }
        self.bytes.clear();
        self.sent.clear();
        Ok(())
    }
}

fn selection(context: &Context<'_>) -> Result<FlowStatsRequest> {
    let ports = context.lazy_ports();
    let text = context.arg(1).unwrap_or_default();
    ports.or_failure(read_flow_stats_request(text, &ports).map_err(Failure::text(text)))
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
    let raw = order.is_empty() && !options.show_names() && options.show_stats() && !options.json;
    let ports = context.names_to_show(&mut connection)?;
    let mut style = context.style(connection.version(), &ports);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let request = MultipartRequest::Flow(Box::new(select));
    if raw {
        return connection.ask_parts(request, |message| {
            Ok(out.write_all(print_message(message, &style).as_bytes())?)
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
                false => write_flows(&mut out, flows, &style)?,
            }
        }
        Ok(())
    })?;
    all.sort_by(|a, b| compare(&order, a, b));
    match options.json {
        true => Ok(writeln!(out, "{}", json::flows(&all, &style))?),
        false => write_flows(&mut out, &all, &style),
    }
}

fn write_flows(
    out: &mut impl Write,
    flows: &[FlowStats],
    style: &ofp::text::Style<'_>,
) -> Result<()> {
    for flow in flows {
        writeln!(out, "{}", print_flow_stats(flow, style))?;
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
