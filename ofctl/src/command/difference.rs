//! `diff-flows` and `replace-flows`: two sets of flows, of files or of switches, and what tells them
//! apart. Flows are the same if table, priority and match are; then actions, cookie, timeouts and
//! importance decide. What a switch answers is compared with what it would answer for the file's flow.

use super::change::with_bundles;
use super::source::{Place, Source, read, restrict};
use super::{Context, print};
use crate::connection::{Connection, STANDARD10, flow_dialect};
use crate::failure::{Failure, Result};
use crate::lenient::Reading;
use crate::transmit::{Transmission, has_bundles};
use ofp::action::Action;
use ofp::key::Match;
use ofp::message::{
    Body, FlowFormat, FlowMod, FlowModCommand, FlowStats, FlowStatsRequest, Message, MultipartPart,
    MultipartRequest,
};
use ofp::text::{PortMap, PortNames, Style, print_actions, print_match};
use ofp::types::{Cookie, GroupId, PortNo, TableId, Version, Xid};
use ofp::usable::can_say;
use std::collections::BTreeMap;
use std::path::Path;

/// What makes a flow the one that it is.
type Identity = (TableId, u16, Match);
type Flows = BTreeMap<Identity, Content>;

/// What else there is to a flow.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    cookie: Cookie,
    idle_timeout_secs: u16,
    hard_timeout_secs: u16,
    importance: u16,
    actions: Vec<Action>,
    /// Not compared: older versions do not tell them.
    flags: u16,
    place: Place,
}

impl Content {
    fn is_same(&self, other: &Content) -> bool {
        let of = |c: &Content| {
            (
                c.cookie,
                c.idle_timeout_secs,
                c.hard_timeout_secs,
                c.importance,
            )
        };
        of(self) == of(other) && self.actions == other.actions
    }
    fn of_stats(flow: FlowStats) -> (Identity, Content) {
        let content = Content {
            cookie: flow.cookie,
            idle_timeout_secs: flow.idle_timeout_secs,
            hard_timeout_secs: flow.hard_timeout_secs,
            importance: flow.importance,
            actions: flow.actions,
            flags: flow.flags,
            place: None,
        };
        ((flow.table, flow.priority, flow.matching), content)
    }
    fn of_mod(flow: FlowMod, place: Place) -> (Identity, Content) {
        let content = Content {
            cookie: flow.cookie,
            idle_timeout_secs: flow.idle_timeout_secs,
            hard_timeout_secs: flow.hard_timeout_secs,
            importance: flow.importance,
            actions: flow.actions,
            flags: flow.flags,
            place,
        };
        ((flow.table, flow.priority, flow.matching), content)
    }
    fn to_mod(&self, identity: &Identity, command: FlowModCommand) -> FlowMod {
        let deletes = command == FlowModCommand::DeleteStrict;
        FlowMod {
            command,
            table: identity.0,
            priority: identity.1,
            matching: identity.2.clone(),
            cookie: if deletes { Cookie(0) } else { self.cookie },
            idle_timeout_secs: if deletes { 0 } else { self.idle_timeout_secs },
            hard_timeout_secs: if deletes { 0 } else { self.hard_timeout_secs },
            importance: if deletes { 0 } else { self.importance },
            flags: if deletes { 0 } else { self.flags },
            actions: if deletes {
                Vec::new()
            } else {
                self.actions.clone()
            },
            ..FlowMod::default()
        }
    }
}

/// The flows of a file; `versions` keeps those that can say all of them.
fn of_file(
    name: &str,
    mut versions: Option<&mut Vec<Version>>,
    ports: &dyn PortNames,
    reading: Reading,
) -> Result<Flows> {
    let source = Source::file(name)?;
    let mut flows = Flows::new();
    for (place, line) in source.lines() {
        let flow = read(&place, line, Some(FlowModCommand::Add), ports, reading)?;
        if let Some(versions) = &mut versions {
            restrict(versions, &flow, &place)?;
        }
        let (identity, content) = Content::of_mod(flow, place);
        flows.insert(identity, content);
    }
    Ok(flows)
}

/// The flows that a switch has.
fn of_switch(connection: &mut Connection) -> Result<Flows> {
    let nicira = connection.enable_extensions()?;
    let select = FlowStatsRequest {
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        cookie: Cookie(0),
        cookie_mask: 0,
        matching: Match::default(),
        nicira,
    };
    let mut all = Flows::new();
    connection.ask_parts(MultipartRequest::Flow(Box::new(select)), |message| {
        if let Body::MultipartReply(reply) = &message.body
            && let MultipartPart::Flow { flows, .. } = &reply.part
        {
            all.extend(flows.iter().cloned().map(Content::of_stats));
        }
        Ok(())
    })?;
    Ok(all)
}

/// The flows as a switch would have got them in this version: `mod_nw_src` and `set_field` may be one there.
fn as_sent(flows: Flows, version: Version) -> Flows {
    let sent = |(identity, content): (Identity, Content)| {
        let place = content.place.clone();
        let flow = content.to_mod(&identity, FlowModCommand::Add);
        let dialect = flow_dialect(version, can_say(&flow, STANDARD10));
        let message = Message {
            xid: Xid(0),
            body: Body::FlowMod(Box::new(flow)),
        };
        match Message::decode(&message.to_bytes(&dialect), &dialect).map(|m| m.body) {
            Ok(Body::FlowMod(flow)) => Content::of_mod(*flow, place),
            _ => (identity, content),
        }
    };
    flows.into_iter().map(sent).collect()
}

/// One side of a comparison.
enum Side {
    File(String),
    Switch(String),
}

impl Side {
    /// A name with `/` or `.` at its front is a file, one with `:` a switch, another a file if there is one.
    fn read(word: &str) -> Side {
        let is_file = word.starts_with(['/', '.']) || word == "-";
        if is_file || !word.contains(':') && Path::new(word).exists() {
            Side::File(word.to_owned())
        } else {
            Side::Switch(word.to_owned())
        }
    }
}

/// Names of ports for a file's flows: those of the switch that it is compared with.
fn names(context: &Context<'_>, sides: &[Side; 2], versions: &[Version]) -> Result<PortMap> {
    for side in sides {
        if let Side::Switch(name) = side {
            return context.open(name, versions)?.ports();
        }
    }
    Ok(PortMap::default())
}

pub(super) fn diff_flows(context: &Context<'_>) -> Result<()> {
    let sides = [0, 1].map(|index| Side::read(&context.args[index]));
    let mut versions = context.options.versions()?.0;
    let ports = names(context, &sides, &versions)?;
    let sends = sides.iter().any(|side| matches!(side, Side::Switch(_)));
    let reading = Reading::by(context.options.lenient);
    let mut read = |side: &Side| match side {
        Side::File(name) => {
            of_file(name, sends.then_some(&mut versions), &ports, reading).map(Some)
        }
        Side::Switch(_) => Ok(None),
    };
    let files = [read(&sides[0])?, read(&sides[1])?];
    // Later versions tell more of a flow.
    versions.reverse();
    let mut version = None;
    let mut switches = [None, None];
    for (side, flows) in sides.iter().zip(&mut switches) {
        if let Side::Switch(name) = side {
            let mut connection = context.open(name, &versions)?;
            versions = vec![connection.version()];
            version = Some(connection.version());
            *flows = Some(of_switch(&mut connection)?);
        }
    }
    let [mut left, mut right] = [0, 1].map(|i| files[i].clone().or(switches[i].take()));
    if let Some(version) = version {
        left = left.map(|flows| as_sent(flows, version));
        right = right.map(|flows| as_sent(flows, version));
    }
    let style = context.style(version.unwrap_or(Version::V10), &ports);
    let text = differences(
        &left.unwrap_or_default(),
        &right.unwrap_or_default(),
        &style,
    );
    print(&text)?;
    match text.is_empty() {
        true => Ok(()),
        false => Err(Failure::Status(2)),
    }
}

/// Lines with `-` for what only the left has, `+` for what only the right has.
fn differences(left: &Flows, right: &Flows, style: &Style<'_>) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for identity in left
        .keys()
        .chain(right.keys().filter(|k| !left.contains_key(k)))
    {
        let (a, b) = (left.get(identity), right.get(identity));
        if let (Some(a), Some(b)) = (a, b)
            && a.is_same(b)
        {
            continue;
        }
        let rule = rule_text(identity, style);
        let mut text = String::new();
        for (sign, content) in [('-', a), ('+', b)] {
            if let Some(content) = content {
                text.push_str(&format!("{sign}{rule}{}\n", content_text(content, style)));
            }
        }
        lines.push((rule, text));
    }
    lines.sort();
    lines.into_iter().map(|(_, text)| text).collect()
}

fn rule_text((table, priority, matching): &Identity, style: &Style<'_>) -> String {
    let mut text = match table.0 {
        0 => String::new(),
        table => format!("table={table} "),
    };
    if *priority != 0x8000 {
        text.push_str(&format!("priority={priority},"));
    }
    text.push_str(&print_match(matching, style));
    if matching.words().is_empty() && text.ends_with(',') {
        text.pop();
    }
    text
}

fn content_text(content: &Content, style: &Style<'_>) -> String {
    let mut text = String::new();
    if content.cookie.0 != 0 {
        text.push_str(&format!(" cookie={:#x}", content.cookie.0));
    }
    for (name, value) in [
        ("idle_timeout", content.idle_timeout_secs),
        ("hard_timeout", content.hard_timeout_secs),
        ("importance", content.importance),
    ] {
        if value != 0 {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    format!("{text} actions={}", print_actions(&content.actions, style))
}

/// The versions to replace flows with, in the order to try them: the latest tells most of a flow, and
/// only the later ones have bundles, which `bundle` insists on.
fn latest_first(versions: &[Version], bundle: bool) -> Vec<Version> {
    let mut order = match bundle {
        true => with_bundles(versions),
        false => versions.to_vec(),
    };
    order.sort();
    order.reverse();
    order
}

pub(super) fn replace_flows(context: &Context<'_>) -> Result<()> {
    let mut versions = context.options.versions()?.0;
    let ports = context.lazy_ports();
    let reading = Reading::by(context.options.lenient);
    let wanted = of_file(&context.args[1], Some(&mut versions), &ports, reading);
    let wanted = ports.or_failure(wanted)?;
    let mut connection = context.connect_with(&latest_first(&versions, context.options.bundle))?;
    let present = of_switch(&mut connection)?;
    let version = connection.version();
    let expected = as_sent(wanted.clone(), version);
    if version == Version::V10 {
        connection.tell(vec![
            Body::SetFlowFormat(FlowFormat::Nxm),
            Body::FlowModTableId(true),
        ])?;
    }
    let mut changes = Vec::new();
    for (identity, content) in &present {
        if !expected.contains_key(identity) {
            changes.push((content.to_mod(identity, FlowModCommand::DeleteStrict), None));
        }
    }
    for (identity, content) in &expected {
        let is_there = present.get(identity).is_some_and(|p| p.is_same(content));
        if !is_there || context.options.readd {
            changes.push((
                content.to_mod(identity, FlowModCommand::Add),
                content.place.clone(),
            ));
        }
    }
    send(context, &mut connection, changes)
}

/// As one bundle if the switch can; without one, it is said.
fn send(
    context: &Context<'_>,
    connection: &mut Connection,
    changes: Vec<(FlowMod, Place)>,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let is_able = has_bundles(&connection.version()) && {
        let opened = Transmission::bundle(connection);
        match opened {
            Ok(transmission) => return transmit(transmission, changes),
            Err(Failure::Switch(text)) if context.options.bundle => {
                return Err(Failure::Switch(format!(
                    "{text}ofctl: --bundle: the switch opens no bundle\n"
                )));
            }
            Err(Failure::Switch(_)) => false,
            Err(other) => return Err(other),
        }
    };
    if !is_able {
        eprintln!(
            "ofctl: {}: there are no bundles in {}: flows are replaced one by one",
            context.switch(),
            connection.version().name()
        );
    }
    transmit(Transmission::plain(connection), changes)
}

fn transmit(mut transmission: Transmission<'_>, changes: Vec<(FlowMod, Place)>) -> Result<()> {
    for (flow, place) in changes {
        let standard = can_say(&flow, STANDARD10);
        transmission.add(Body::FlowMod(Box::new(flow)), standard, place)?;
    }
    transmission.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofp::text::read_flow_mod;

    fn flows(text: &str) -> Flows {
        let flow = read_flow_mod(text, None, &PortMap::default()).unwrap();
        Flows::from([Content::of_mod(flow, None)])
    }

    #[test]
    fn flows_are_replaced_by_the_version_that_tells_most() {
        let of = |versions: &[Version], bundle| latest_first(versions, bundle)[0];
        assert_eq!(of(Version::SUPPORTED, false), Version::V15);
        assert_eq!(of(&[Version::V10, Version::V12], false), Version::V12);
        assert_eq!(of(&[Version::V10, Version::V12], true), Version::V15);
        let plain = flows("tcp,actions=normal");
        let more = flows("tcp,actions=normal,stat_trigger(periodic,byte_count=1000000000)");
        let is_same = |version| {
            let sent = [&plain, &more].map(|flows| as_sent(flows.clone(), version));
            differences(
                &sent[0],
                &sent[1],
                &Style::plain(version, &PortMap::default()),
            )
            .is_empty()
        };
        assert!(is_same(Version::V13) && !is_same(Version::V15));
    }
}
