//! What happens to a packet as a tree: bridges, tables, actions, remarks; and how it is printed.

use super::Sent;
use super::actions::Act;
use crate::forward::trace::Observer;
use crate::model::event::Punt;
use crate::model::port::PortView;
use crate::model::rule::Rule;
use crate::model::{BridgeView, DropReason};
use ofp::action::Action;
use ofp::key::Key;
use ofp::text::{Style, print_actions, print_match};
use ofp::types::TableId;
use std::fmt;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The packet enters a bridge.
    Bridge,
    /// A lookup, or the action set.
    Table,
    /// An action takes place.
    Action,
    /// More on what is above it.
    Detail,
    /// Something did not happen.
    Warning,
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
        let is_table = matches!(node.kind, Kind::Table | Kind::Bridge);
        let is_inner = !is_table || index + 1 < nodes.len();
        let sign = match node.kind {
            Kind::Detail => " -> ",
            Kind::Warning => " >> ",
            Kind::Bridge | Kind::Table | Kind::Action => "",
        };
        let indent = INDENT * (level + usize::from(is_inner));
        writeln!(f, "{:indent$}{sign}{}", "", node.text)?;
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
    /// Where NORMAL stands in the bridge that is entered, in order; how many have been run.
    normals: Vec<Vec<usize>>,
    normals_run: usize,
    in_set: bool,
    packet_out: bool,
    /// The first bridge's last key.
    pub(super) key: Option<Key>,
    pub(super) acts: Vec<Act>,
    pub(super) drops: Vec<DropReason>,
}

impl<'s> Tree<'s> {
    pub(super) fn new(style: &'s Style<'s>) -> Tree<'s> {
        Tree {
            style,
            bridges: Vec::new(),
            open: Vec::new(),
            depth: 0,
            goes_on: false,
            is_running: false,
            normals: Vec::new(),
            normals_run: 0,
            in_set: false,
            packet_out: false,
            key: None,
            acts: Vec::new(),
            drops: Vec::new(),
        }
    }
    /// The bridges in the order in which they were entered.
    pub(super) fn bridges(&mut self) -> Vec<Node> {
        self.close(0, true);
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
            let Some(Open { node, .. }) = self.open.pop() else {
                return;
            };
            match self.open.last_mut() {
                Some(parent) => parent.node.nodes.push(node),
                None => self.bridges.push(node),
            }
        }
    }
    fn open(&mut self, kind: Kind, text: String, level: usize) {
        let (nodes, after) = (Vec::new(), Vec::new());
        let node = Node {
            kind,
            text,
            nodes,
            after,
        };
        self.open.push(Open { node, level });
    }
    fn add(&mut self, kind: Kind, text: String) {
        if let Some(open) = self.open.last_mut() {
            open.node.nodes.push(Node {
                kind,
                text,
                nodes: Vec::new(),
                after: Vec::new(),
            });
        }
    }
    /// The node that was added last, as a path from the bridge.
    fn path(&self) -> Vec<usize> {
        let last = self.open.len().saturating_sub(1);
        let indexes = self.open.iter().enumerate();
        indexes
            .map(|(i, open)| open.node.nodes.len() - usize::from(i == last))
            .collect()
    }
    /// Puts a remark behind the NORMAL that is being run.
    fn remark_normal(&mut self, text: &str) {
        let run = self.normals_run.saturating_sub(1);
        let Some(path) = self.normals.get(run).cloned() else {
            return;
        };
        let Some((last, inner)) = path.split_last() else {
            return;
        };
        let mut node = match self.open.first_mut() {
            Some(open) => &mut open.node,
            None => return,
        };
        for index in inner {
            match node.nodes.get_mut(*index) {
                Some(next) => node = next,
                None => return,
            }
        }
        let detail = Node {
            kind: Kind::Detail,
            text: text.to_owned(),
            nodes: Vec::new(),
            after: Vec::new(),
        };
        node.nodes.insert((*last + 1).min(node.nodes.len()), detail);
        // What stood behind it has moved.
        for other in self.normals.iter_mut().skip(run + 1) {
            if other.len() >= path.len()
                && other[..path.len() - 1] == *inner
                && other[path.len() - 1] > *last
            {
                other[path.len() - 1] += 1;
            }
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
        self.normals.clear();
        self.normals_run = 0;
        let first = self.bridges.is_empty();
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
        } else if !self.in_set {
            // What the pipeline does in the end stands below its last table.
            self.close(1, false);
            self.in_set = true;
            self.open(Kind::Table, "--. Executing action set:".into(), 1);
        }
        let text = print_actions(std::slice::from_ref(action), self.style);
        self.add(Kind::Action, text);
        self.goes_on = matches!(action, Action::GotoTable(_));
        if matches!(action, Action::Output { port, .. } if *port == ofp::types::PortNo::NORMAL) {
            let path = self.path();
            self.normals.push(path);
        }
    }
    fn note(&mut self, text: fmt::Arguments<'_>) {
        let text = text.to_string();
        if !self.is_running {
            match text.strip_prefix("no output: ") {
                Some(why) if why == DropReason::Recirculation.text() => {
                    self.add(Kind::Warning, "skipping output to input port".into());
                }
                Some(why) => self.add(Kind::Warning, format!("no output: {why}")),
                None => self.add(Kind::Detail, text),
            }
        } else if let Some(text) = text.strip_prefix("NORMAL: ") {
            self.remark_normal(text.strip_suffix(" in VLAN 0").unwrap_or(text));
        } else if !text.starts_with("sent through") && !text.starts_with("to the controllers") {
            if let Some(tunnel) = text.strip_prefix("encapsulated by ") {
                self.acts.push(Act::Tunnel(tunnel.to_owned()));
            }
            match self.open.first_mut().or(None) {
                Some(open) => open.node.after.push(text),
                None => {
                    if let Some(bridge) = self.bridges.last_mut() {
                        bridge.after.push(text);
                    }
                }
            }
        }
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
    fn ends(&mut self, key: &Key) {
        self.close(0, false);
        self.is_running = true;
        self.key.get_or_insert_with(|| key.clone());
    }
    fn normal(&mut self) {
        self.normals_run += 1;
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
