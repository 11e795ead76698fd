//! What happens to a packet as a tree: bridges, tables, actions, remarks; and how it is printed.

use super::Sent;
use super::actions::Act;
use crate::forward::trace::Observer;
use crate::model::event::Punt;
use crate::model::port::PortView;
use crate::model::rule::Rule;
use crate::model::{BridgeView, DropReason};
use ofp::action::Action;
use ofp::field::Subfield;
use ofp::key::Key;
use ofp::message::{FlowMod, flow_flag};
use ofp::text::{Style, print_actions, print_bits, print_match};
use ofp::types::{GroupId, MeterId, PortNo, TableId};
use std::fmt;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The packet enters a bridge.
    Bridge,
    /// A lookup, or the action set.
    Table,
    /// A bucket of a group.
    Bucket,
    /// An action takes place.
    Action,
    /// More on what is above it.
    Detail,
    /// Something did not happen.
    Warning,
    /// The walk was given up.
    Error,
}

impl Kind {
    /// Whether other nodes are in it.
    fn is_inner(self) -> bool {
        matches!(self, Kind::Bridge | Kind::Table)
    }
}

/// What is known of a node when the program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    None,
    /// Where the learning switch forwards.
    Normal,
    /// A meter is passed.
    Meter,
    /// A bucket, if it is what packets choose there.
    Choice(usize, u32),
    /// The packet goes on later, by this number; whether it is a clone.
    Later(u64, bool),
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// In words.
    pub text: String,
    /// What happened in it.
    pub nodes: Vec<Node>,
    /// What is known of it only after it: of a bridge, what became of the frames.
    pub after: Vec<String>,
    mark: Mark,
}

impl Node {
    fn new(kind: Kind, text: String) -> Node {
        Node {
            kind,
            text,
            nodes: Vec::new(),
            after: Vec::new(),
            mark: Mark::None,
        }
    }
    /// Puts a remark behind the node of this mark that `skip` others precede.
    fn remark(&mut self, mark: Mark, skip: &mut usize, text: &str) -> bool {
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if node.mark == mark && *skip == 0 {
                let detail = Node::new(Kind::Detail, text.to_owned());
                self.nodes.insert(index + 1, detail);
                return true;
            }
            *skip -= usize::from(node.mark == mark);
            if node.remark(mark, skip, text) {
                return true;
            }
        }
        false
    }
    /// Puts what happened later in its place; gives it back if there is none.
    fn splice(&mut self, number: u64, mut later: Vec<Node>) -> Result<(), Vec<Node>> {
        let is_place = |node: &Node| matches!(node.mark, Mark::Later(of, _) if of == number);
        if let Some(index) = self.nodes.iter().position(is_place) {
            self.nodes.splice(index..=index, later);
            return Ok(());
        }
        for node in &mut self.nodes {
            match node.splice(number, later) {
                Ok(()) => return Ok(()),
                Err(back) => later = back,
            }
        }
        Err(later)
    }
    /// Takes away the places of what did not happen.
    fn settle(&mut self) {
        self.nodes
            .retain(|node| !matches!(node.mark, Mark::Later(..)));
        self.nodes.iter_mut().for_each(Node::settle);
    }
    /// Whether the packet, and no clone of it, goes on by this number.
    fn awaits(&self, number: u64) -> bool {
        self.mark == Mark::Later(number, false) || self.nodes.iter().any(|node| node.awaits(number))
    }
    /// Of the buckets of a choice only the one that was chosen is left.
    fn choose(&mut self, choice: usize, bucket: u32) {
        let is_other = |node: &Node| matches!(node.mark, Mark::Choice(of, other) if of == choice && other != bucket);
        self.nodes.retain(|node| !is_other(node));
        let chosen = Mark::Choice(choice, bucket);
        match self.nodes.iter().position(|node| node.mark == chosen) {
            Some(index) => {
                let text = format!("using bucket {bucket}");
                self.nodes.insert(index, Node::new(Kind::Detail, text));
            }
            None => {
                let nodes = self.nodes.iter_mut();
                nodes.for_each(|node| node.choose(choice, bucket));
            }
        }
    }
}

/// Spaces of one level.
const INDENT: usize = 4;

impl fmt::Display for Node {
    /// A bridge and all that is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}\n{}", self.text, "-".repeat(self.text.len()))?;
        print(f, &self.nodes, 0)?;
        for text in &self.after {
            writeln!(f, "{:INDENT$} -> {text}", "")?;
        }
        Ok(())
    }
}

/// A table that nothing follows stands where the table above it stands: a pipeline of gotos is no
/// staircase. What has something behind it stands one level deeper, and what is in it two.
fn print(f: &mut fmt::Formatter<'_>, nodes: &[Node], level: usize) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        let is_inner = !node.kind.is_inner() || index + 1 < nodes.len();
        let (sign, end) = match node.kind {
            Kind::Detail => (" -> ", ""),
            Kind::Warning => (" >> ", ""),
            Kind::Error => (" >>>> ", " <<<<"),
            Kind::Bridge | Kind::Table | Kind::Bucket | Kind::Action => ("", ""),
        };
        let indent = INDENT * (level + usize::from(is_inner));
        writeln!(f, "{:indent$}{sign}{}{end}", "", node.text)?;
        print(f, &node.nodes, level + 2 * usize::from(is_inner))?;
    }
    Ok(())
}

/// A node that is being filled.
struct Open {
    node: Node,
    /// Its actions take place under so many lists.
    level: usize,
}

/// Writes the tree down.
pub(super) struct Tree<'s> {
    style: &'s Style<'s>,
    bridges: Vec<Node>,
    /// From the bridge inwards.
    open: Vec<Open>,
    depth: usize,
    /// The table that comes next follows a goto.
    goes_on: bool,
    /// The walk is over: what is said now is about frames.
    is_running: bool,
    /// How many NORMALs and meters of this bridge's walk have been run.
    normals: usize,
    meters: usize,
    in_set: bool,
    packet_out: bool,
    /// What is learnt will be.
    teaches: bool,
    /// What goes on where the walk before ended.
    resumed: Option<u64>,
    /// It is the first bridge's packet.
    is_first: bool,
    /// The first bridge's first and last key.
    pub(super) first_key: Option<Key>,
    pub(super) last_key: Option<Key>,
    pub(super) failure: Option<DropReason>,
    pub(super) acts: Vec<Act>,
    pub(super) drops: Vec<DropReason>,
}

impl<'s> Tree<'s> {
    pub(super) fn new(style: &'s Style<'s>, teaches: bool) -> Tree<'s> {
        Tree {
            style,
            bridges: Vec::new(),
            open: Vec::new(),
            depth: 0,
            goes_on: false,
            is_running: false,
            normals: 0,
            meters: 0,
            in_set: false,
            packet_out: false,
            teaches,
            resumed: None,
            is_first: true,
            first_key: None,
            last_key: None,
            failure: None,
            acts: Vec::new(),
            drops: Vec::new(),
        }
    }
    /// The bridges in the order in which they were entered.
    pub(super) fn bridges(&mut self) -> Vec<Node> {
        self.close(0, true);
        self.bridges.iter_mut().for_each(Node::settle);
        std::mem::take(&mut self.bridges)
    }
    /// What left.
    pub(super) fn frames(&self) -> Vec<Sent> {
        let sent = self.acts.iter().filter_map(|act| match act {
            Act::Send(sent) => Some(sent.clone()),
            Act::Punt(_) | Act::Tunnel(_) => None,
        });
        sent.collect()
    }
    /// Closes the nodes whose lists have ended.
    fn close(&mut self, level: usize, bridge: bool) {
        while let Some(open) = self.open.last() {
            let is_bridge = self.open.len() == 1;
            if !bridge && (is_bridge || open.level <= level) {
                return;
            }
            self.close_last();
        }
    }
    fn close_last(&mut self) {
        let Some(Open { node, .. }) = self.open.pop() else {
            return;
        };
        match self.open.last_mut() {
            Some(parent) => parent.node.nodes.push(node),
            None => self.push_bridge(node),
        }
    }
    /// A bridge, or what happened later in one that was entered before, as the same packet.
    fn push_bridge(&mut self, mut node: Node) {
        let Some(number) = self.resumed.take() else {
            return self.bridges.push(node);
        };
        // Behind what says how it was entered.
        let how = node.nodes.drain(..1.min(node.nodes.len())).next();
        let mut later = std::mem::take(&mut node.nodes);
        for bridge in &mut self.bridges {
            match bridge.splice(number, later) {
                Ok(()) => return bridge.after.append(&mut node.after),
                Err(back) => later = back,
            }
        }
        node.nodes = how.into_iter().chain(later).collect();
        self.bridges.push(node);
    }
    fn open(&mut self, kind: Kind, text: String, level: usize) {
        let node = Node::new(kind, text);
        self.open.push(Open { node, level });
    }
    fn add(&mut self, kind: Kind, text: String) {
        if let Some(open) = self.open.last_mut() {
            open.node.nodes.push(Node::new(kind, text));
        }
    }
    /// Marks the node that was added last.
    fn mark(&mut self, mark: Mark) {
        let nodes = self.open.last_mut().map(|open| &mut open.node.nodes);
        if let Some(node) = nodes.and_then(|nodes| nodes.last_mut()) {
            node.mark = mark;
        }
    }
    /// Puts a remark behind a node that the program comes to.
    fn remark(&mut self, mark: Mark, skip: usize, text: &str) {
        if let Some(bridge) = self.open.first_mut() {
            bridge.node.remark(mark, &mut { skip }, text);
        }
    }
}

/// Drops that the tree explains where they happen.
fn is_told(reason: DropReason) -> bool {
    matches!(
        reason,
        DropReason::Action
            | DropReason::NoRule
            | DropReason::TtlExpired
            | DropReason::Recirculation
            | DropReason::PortDown
            | DropReason::NoPort
            | DropReason::NoForward
    )
}

impl Observer for Tree<'_> {
    const PRETENDS: bool = true;

    fn enters(&mut self, bridge: &BridgeView, how: fmt::Arguments<'_>) {
        self.close(0, true);
        (self.depth, self.goes_on, self.is_running) = (0, false, false);
        (self.in_set, self.packet_out) = (false, false);
        (self.normals, self.meters) = (0, 0);
        let first = self.bridges.is_empty();
        self.is_first = first;
        self.open(
            Kind::Bridge,
            format!("bridge(\"{}\")", bridge.config.name),
            0,
        );
        if !first {
            self.add(Kind::Detail, how.to_string());
        }
    }
    fn depth(&mut self, levels: usize) {
        self.depth = levels;
    }
    fn table(&mut self, table: TableId, rule: Option<&Rule>) {
        let level = self.depth + 1;
        self.close(if self.goes_on { level } else { self.depth }, false);
        (self.goes_on, self.in_set) = (false, false);
        let text = match rule {
            Some(rule) => {
                let matching = print_match(&rule.matching, self.style);
                let comma = if matching.is_empty() { "" } else { ", " };
                let cookie = match rule.cookie.0 {
                    0 => String::new(),
                    cookie => format!(", cookie {cookie:#x}"),
                };
                let priority = rule.priority;
                format!("{table:>2}. {matching}{comma}priority {priority}{cookie}")
            }
            None => format!("{table:>2}. No match."),
        };
        self.open(Kind::Table, text, level);
        if rule.is_some_and(|rule| rule.actions.is_empty()) {
            self.add(Kind::Action, "drop".into());
        }
    }
    fn miss(&mut self, punted: bool) {
        let text = if punted { "CONTROLLER" } else { "drop" };
        self.add(Kind::Action, text.into());
    }
    fn action(&mut self, action: &Action) {
        self.packet_out |= self.open.len() == 1;
        if self.depth > 0 || self.packet_out {
            self.close(self.depth, false);
        } else if self.in_set {
            self.close(0, false);
        } else {
            // What the pipeline does in the end stands in its first table.
            while self.open.len() > 2 {
                self.close_last();
            }
            self.in_set = true;
            self.open(Kind::Table, "--. Executing action set:".into(), 0);
        }
        let text = print_actions(std::slice::from_ref(action), self.style);
        self.add(Kind::Action, text);
        self.goes_on = matches!(action, Action::GotoTable(_));
        match action {
            Action::Output { port, .. } if *port == PortNo::NORMAL => self.mark(Mark::Normal),
            Action::Meter(_) => self.mark(Mark::Meter),
            _ => {}
        }
    }
    fn note(&mut self, text: fmt::Arguments<'_>) {
        let text = text.to_string();
        if !self.is_running {
            self.add(Kind::Detail, text);
        } else if let Some(text) = text.strip_prefix("NORMAL: ") {
            let text = text.strip_suffix(" in VLAN 0").unwrap_or(text);
            self.remark(Mark::Normal, self.normals.saturating_sub(1), text);
        } else if !text.starts_with("sent through") && !text.starts_with("to the controllers") {
            if let Some(tunnel) = text.strip_prefix("encapsulated by ") {
                self.acts.push(Act::Tunnel(tunnel.to_owned()));
            }
            match self.open.first_mut() {
                Some(open) => open.node.after.push(text),
                None => {
                    if let Some(bridge) = self.bridges.last_mut() {
                        bridge.after.push(text);
                    }
                }
            }
        }
    }
    fn warn(&mut self, text: fmt::Arguments<'_>) {
        self.add(Kind::Warning, text.to_string());
    }
    fn suppresses(&mut self, reason: DropReason) {
        let (kind, text) = match reason {
            DropReason::Recirculation => {
                (Kind::Warning, "skipping output to input port".to_owned())
            }
            DropReason::NoPort => (Kind::Warning, "Nonexistent output port".to_owned()),
            DropReason::NoForward => (Kind::Detail, "OFPPC_NO_FWD set, skipping output".to_owned()),
            reason => (Kind::Warning, format!("no output: {}", reason.text())),
        };
        self.add(kind, text);
    }
    fn group(&mut self, _: GroupId, text: fmt::Arguments<'_>) {
        self.add(Kind::Detail, text.to_string());
    }
    fn bucket(&mut self, bucket: u32, levels: usize, choice: Option<usize>) {
        // Whatever is open deeper was a bucket's.
        self.close(levels, false);
        self.open(Kind::Bucket, format!("bucket {bucket}"), levels + 1);
        if let (Some(choice), Some(open)) = (choice, self.open.last_mut()) {
            open.node.mark = Mark::Choice(choice, bucket);
        }
    }
    fn chooses(&mut self, choice: usize, bucket: u32) {
        if let Some(bridge) = self.open.first_mut() {
            bridge.node.choose(choice, bucket);
        }
    }
    fn clause(&mut self, rule: &Rule, clause: u8, n_clauses: u8) {
        let matching = print_match(&rule.matching, self.style);
        let number = u32::from(clause) + 1;
        let text = format!("conjunction, clause {number}/{n_clauses}: {matching}");
        self.add(Kind::Detail, text);
    }
    fn action_set<'a>(&mut self, verb: &str, actions: impl Iterator<Item = &'a Action>) {
        let actions: Vec<Action> = actions.cloned().collect();
        let text = match actions.as_slice() {
            [] => format!("action set {verb} empty"),
            actions => {
                let text = print_actions(actions, self.style);
                format!("action set {verb}: {text}")
            }
        };
        self.add(Kind::Detail, text);
    }
    fn writes(&mut self, bits: Subfield, value: u128) {
        let ports = self.style.names.then_some(self.style.ports);
        let (name, value) = print_bits(bits, value, ports);
        self.add(Kind::Detail, format!("{name} is now {value}"));
    }
    fn learns(&mut self, flow: &FlowMod) {
        self.add(Kind::Detail, learnt(flow, self.style));
        if !self.teaches {
            let text = "suppressing side effects, so learn action ignored";
            self.add(Kind::Warning, text.into());
        }
    }
    fn metered(&mut self, meter: MeterId, verdict: fmt::Arguments<'_>) {
        let text = format!("meter {meter} now: {verdict}");
        self.remark(Mark::Meter, self.meters, &text);
        self.meters += 1;
    }
    fn fails(&mut self, reason: DropReason) {
        let text = match reason {
            DropReason::Depth => "over max translation depth 64".to_owned(),
            reason => reason.text().to_owned(),
        };
        self.add(Kind::Error, text);
        self.failure.get_or_insert(reason);
    }
    fn drop(&mut self, reason: DropReason) {
        self.drops.push(reason);
        let text = format!("dropped: {} ({})", reason.text(), reason.name());
        match self.open.first_mut() {
            Some(open) if !is_told(reason) => {
                open.node.after.push(text);
            }
            _ => {}
        }
    }
    fn suspends(&mut self, number: u64, clone: bool) {
        self.add(Kind::Detail, String::new());
        self.mark(Mark::Later(number, clone));
    }
    fn resumes(&mut self, number: u64) {
        self.resumed = Some(number);
        self.is_first = self
            .bridges
            .first()
            .is_some_and(|bridge| bridge.awaits(number));
    }
    fn begins(&mut self, key: &Key) {
        self.first_key.get_or_insert_with(|| key.clone());
    }
    fn ends(&mut self, key: &Key) {
        // All but the bridge.
        self.close(0, false);
        while self.open.len() > 1 {
            self.close_last();
        }
        self.is_running = true;
        if self.is_first {
            self.last_key = Some(key.clone());
        }
    }
    fn normal(&mut self) {
        self.normals += 1;
    }
    fn sends(&mut self, port: &PortView, frame: &[u8]) {
        self.acts.push(Act::Send(Sent {
            port: port.number,
            name: port.name.clone(),
            bytes: frame.to_vec(),
        }));
    }
    fn punts(&mut self, punt: &Punt) {
        self.acts.push(Act::Punt(punt.clone()));
    }
}

/// A flow that is learnt, in the order of Open vSwitch's traces.
fn learnt(flow: &FlowMod, style: &Style<'_>) -> String {
    let mut items = vec![format!("table={}", flow.table)];
    let matching = print_match(&flow.matching, style);
    items.extend(Some(matching).filter(|matching| !matching.is_empty()));
    items.push(format!("priority={}", flow.priority));
    let more = [
        (
            "cookie",
            format!("{:#x}", flow.cookie.0),
            flow.cookie.0 != 0,
        ),
        (
            "idle",
            flow.idle_timeout_secs.to_string(),
            flow.idle_timeout_secs != 0,
        ),
        (
            "hard",
            flow.hard_timeout_secs.to_string(),
            flow.hard_timeout_secs != 0,
        ),
    ];
    let more = more.into_iter().filter(|(.., is_there)| *is_there);
    items.extend(more.map(|(name, value, _)| format!("{name}={value}")));
    if flow.flags & flow_flag::SEND_FLOW_REM != 0 {
        items.push("send_flow_rem".into());
    }
    let actions = match flow.actions.as_slice() {
        [] => "drop".to_owned(),
        actions => print_actions(actions, style),
    };
    items.push(format!("actions={actions}"));
    items.join(" ")
}
