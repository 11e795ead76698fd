//! What is suspicious in a file of flows: rules that no packet reaches, words that cannot be right. It reads only the file.

mod shadow;
mod walk;

use ofp::action::Action;
use ofp::field::Field;
use ofp::message::{FlowMod, FlowModCommand};
use ofp::text::{PortMap, PortNames, TextError, Word, read_actions, read_flow_mod};
use ofp::types::{GroupId, MeterId, PortNo, TableId};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// May be right, in another file's company.
    Info,
    /// Has no effect, or not the one that was meant.
    Warning,
    /// The switch would refuse it.
    Error,
}

impl Severity {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Its kind, in a word.
    pub kind: &'static str,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// The word that it is about.
    pub word: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: column {}: {}: \"{}\": {}",
            self.line,
            self.column,
            self.severity.name(),
            self.word,
            self.message
        )?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl Finding {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "severity": self.severity.name(),
            "kind": self.kind,
            "line": self.line,
            "column": self.column,
            "word": self.word,
            "message": self.message,
            "help": self.help,
        })
    }
    fn of_text(line: usize, shift: usize, error: TextError) -> Finding {
        Finding {
            severity: Severity::Error,
            kind: "syntax",
            line,
            column: error.column + shift,
            word: error.word,
            message: error.message,
            help: error.help,
        }
    }
}

/// A flow and where it stands.
struct Entry<'t> {
    line: usize,
    text: &'t str,
    flow: FlowMod,
}

impl Entry<'_> {
    /// A finding on the last of these words that the line has.
    fn find(
        &self,
        severity: Severity,
        kind: &'static str,
        words: &[String],
        message: String,
    ) -> Finding {
        let place = words
            .iter()
            .filter(|word| !word.is_empty())
            .find_map(|word| self.text.rfind(word.as_str()).map(|at| (at, word.clone())));
        let (at, word) = place.unwrap_or_else(|| {
            let trimmed = self.text.trim();
            let at = self.text.len() - self.text.trim_start().len();
            (at, trimmed.to_owned())
        });
        Finding {
            severity,
            kind,
            line: self.line,
            column: at + 1,
            word,
            message,
            help: None,
        }
    }
    fn matching(&self) -> String {
        let trimmed = self.text.trim();
        let end = trimmed.find("action").unwrap_or(trimmed.len());
        trimmed[..end].trim_end_matches([',', ' ']).to_owned()
    }
}

/// There is no switch to ask for the ports' names: each is one port.
#[derive(Default)]
struct AnyName(RefCell<HashMap<String, PortNo>>);

/// Where made-up numbers of ports begin.
const MADE_UP: u32 = 0x8000;

impl PortNames for AnyName {
    fn number(&self, name: &str) -> Option<PortNo> {
        let mut names = self.0.borrow_mut();
        let next = PortNo(MADE_UP + names.len() as u32);
        let plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.@".contains(c));
        plain.then(|| *names.entry(name.to_owned()).or_insert(next))
    }
}

/// What a file is about beside flows.
#[derive(Default)]
struct Defined {
    groups: BTreeSet<GroupId>,
    meters: BTreeSet<MeterId>,
}

/// Looks at a whole file: flows, or the lines of a bundle. In the order of the lines.
pub fn lint(text: &str) -> Vec<Finding> {
    let names = AnyName::default();
    let mut findings = Vec::new();
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut defined = Defined::default();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.split('#').next().unwrap_or_default();
        let start = line.len() - line.trim_start().len();
        let first = line.split_whitespace().next().unwrap_or_default();
        let body = match first {
            "" | "packet-out" => continue,
            "group" => {
                let id = value_of(line, "group_id").map(GroupId);
                defined.groups.extend(id);
                continue;
            }
            "meter" => {
                defined.meters.extend(value_of(line, "meter").map(MeterId));
                continue;
            }
            "flow" => start + first.len(),
            _ => 0,
        };
        match read_flow_mod(&line[body..], None, &names) {
            Err(error) => findings.push(Finding::of_text(number, body, error)),
            Ok(mut flow) => {
                let text = Word {
                    text: &line[body..],
                    offset: body,
                };
                if let Some(list) = list_of_actions(text) {
                    bare_names(number, list, &mut findings);
                }
                if flow.table == TableId::ALL {
                    flow.table = TableId(0);
                }
                entries.push(Entry {
                    line: number,
                    text: line,
                    flow,
                });
            }
        }
    }
    let added: Vec<&Entry<'_>> = entries
        .iter()
        .filter(|entry| entry.flow.command == FlowModCommand::Add)
        .collect();
    shadow::find(&added, &mut findings);
    walk::find(&added, &mut findings);
    for entry in &added {
        actions(entry, &defined, &mut findings);
    }
    findings.sort_by_key(|finding| (finding.line, finding.column));
    findings
}

/// `name=NUMBER` in a line.
fn value_of(line: &str, name: &str) -> Option<u32> {
    let items = Word::new(line).items().flatten();
    let mut values = items.filter(|item| item.key.text == name);
    values.next()?.value?.int().ok()
}

/// What stands behind `actions=`.
fn list_of_actions(flow: Word<'_>) -> Option<Word<'_>> {
    let mut items = flow.items().flatten();
    let item = items.find(|item| matches!(item.key.text, "actions" | "action"))?;
    Some(item.all_that_follows())
}

/// Words that are actions only as names of ports; one that is almost another action was hardly meant so.
fn bare_names(line: usize, list: Word<'_>, findings: &mut Vec<Finding>) {
    for item in list.items().flatten() {
        let key = item.key;
        match item.value {
            Some(inner) if matches!(key.text, "clone" | "write_actions") => {
                bare_names(line, inner, findings);
            }
            Some(_) => {}
            // The switch would know its ports' names: without them only actions are left.
            None => {
                let Err(error) = read_actions(key.text, &PortMap::default()) else {
                    continue;
                };
                let near = error.help;
                let help = near.map(|near| format!("{near} A port is output:{}", key.text));
                findings.push(Finding {
                    severity: match help {
                        Some(_) => Severity::Error,
                        None => Severity::Info,
                    },
                    kind: "bare-name",
                    line,
                    column: key.offset + 1,
                    word: key.text.to_owned(),
                    message: "taken as the name of a port".into(),
                    help,
                });
            }
        }
    }
}

/// Calls `f` with every action, also those in lists of others.
fn each(actions: &[Action], f: &mut impl FnMut(&Action)) {
    for action in actions {
        f(action);
        if let Action::Clone(inner) | Action::WriteActions(inner) = action {
            each(inner, f);
        }
    }
}

/// What is odd in one list of actions.
fn actions(entry: &Entry<'_>, defined: &Defined, findings: &mut Vec<Finding>) {
    let flow = &entry.flow;
    let (in_port, mask) = flow.matching.get(Field::InPortOxm.place());
    let in_port = (mask == Field::InPortOxm.place().ones()).then_some(PortNo(in_port as u32));
    let moves_port = flow.actions.iter().any(writes_in_port);
    each(&flow.actions, &mut |action| match action {
        Action::Output { port, .. } if Some(*port) == in_port && !moves_port => {
            let words = [format!("output:{port}"), "output:".into(), "actions".into()];
            let mut finding = entry.find(
                Severity::Warning,
                "output-to-ingress",
                &words,
                "a packet is not sent back to the port that it came by".into(),
            );
            finding.help = Some("say in_port".into());
            findings.push(finding);
        }
        Action::Group(group) if !defined.groups.contains(group) => {
            findings.push(entry.find(
                Severity::Info,
                "undefined-group",
                &[format!("group:{group}")],
                "this file does not define the group".into(),
            ));
        }
        Action::Meter(meter) if !defined.meters.contains(meter) => {
            findings.push(entry.find(
                Severity::Info,
                "undefined-meter",
                &[format!("meter:{meter}")],
                "this file does not define the meter".into(),
            ));
        }
        _ => {}
    });
    if let Some(at) = flow.actions.iter().position(|a| *a == Action::Exit)
        && at + 1 < flow.actions.len()
    {
        findings.push(entry.find(
            Severity::Warning,
            "after-exit",
            &["exit".into()],
            "what stands behind it is never done".into(),
        ));
    }
    without_effect(entry, findings);
}

fn writes_in_port(action: &Action) -> bool {
    match action {
        Action::SetField { field, .. } => matches!(field, Field::InPort | Field::InPortOxm),
        Action::Load { destination, .. } | Action::Move { destination, .. } => {
            matches!(destination.field, Field::InPort | Field::InPortOxm)
        }
        _ => false,
    }
}

/// Changes of the packet behind the last action that sends it or hands it on.
fn without_effect(entry: &Entry<'_>, findings: &mut Vec<Finding>) {
    let actions = &entry.flow.actions;
    let changes = |action: &Action| match action {
        Action::SetField { field, .. } => field.row().place.word >= FIRST_HEADER_WORD,
        Action::SetEthSrc(_)
        | Action::SetEthDst(_)
        | Action::SetVlanVid { .. }
        | Action::SetVlanPcp { .. }
        | Action::StripVlan
        | Action::PushVlan(_)
        | Action::DecTtl(_)
        | Action::SetIpTos(_)
        | Action::SetIpTtl(_) => true,
        _ => false,
    };
    let len = actions.iter().rev().take_while(|a| changes(a)).count();
    let sends = actions.len() > len;
    if len > 0 && sends {
        findings.push(entry.find(
            Severity::Warning,
            "change-after-output",
            &["actions".into()],
            format!("the last {len} of its actions change a packet that is not sent any more"),
        ));
    } else if len > 0 {
        findings.push(entry.find(
            Severity::Warning,
            "change-without-output",
            &["actions".into()],
            "the packet is changed, and then dropped".into(),
        ));
    }
}

/// Words of the key from this one on are of the packet itself.
const FIRST_HEADER_WORD: u8 = ofp::key::word::ETH_DST as u8;

/// Flows by table.
fn by_table<'a, 't>(entries: &[&'a Entry<'t>]) -> BTreeMap<TableId, Vec<&'a Entry<'t>>> {
    let mut tables: BTreeMap<TableId, Vec<&Entry<'_>>> = BTreeMap::new();
    for entry in entries {
        tables.entry(entry.flow.table).or_default().push(entry);
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<(usize, usize, &'static str)> {
        let findings = lint(text).into_iter();
        findings.map(|f| (f.line, f.column, f.kind)).collect()
    }

    #[test]
    fn each_kind_is_found_where_it_stands() {
        for (text, want) in [
            (
                "priority=5,ip,actions=1\npriority=4,arp,actions=2\n",
                vec![],
            ),
            ("ip,tcp_dst=80,actions=1\n", vec![(1, 4, "syntax")]),
            ("table=3,actions=goto_table:2\n", vec![(1, 17, "syntax")]),
            (
                "priority=9,ip,actions=1\n\npriority=5,tcp,actions=2\n",
                vec![(3, 1, "unreachable")],
            ),
            ("ip,actions=1\nip,actions=2\n", vec![(2, 1, "duplicate")]),
            ("actions=1\nactions=2\n", vec![(2, 1, "duplicate")]),
            (
                "in_port=1,actions=drop\ntable=4,actions=1\n",
                vec![(2, 1, "table-not-reached")],
            ),
            (
                "actions=resubmit(,4)\ntable=4,actions=goto_table:5\n",
                vec![(2, 17, "empty-table")],
            ),
            (
                "in_port=3,actions=output:3\n",
                vec![(1, 19, "output-to-ingress")],
            ),
            ("actions=group:7\n", vec![(1, 9, "undefined-group")]),
            (
                "group add group_id=7,type=all,bucket=1\nflow add actions=group:7\n",
                vec![],
            ),
            ("ip,actions=exit,output:1\n", vec![(1, 12, "after-exit")]),
            (
                "ip,actions=output:1,dec_ttl\n",
                vec![(1, 4, "change-after-output")],
            ),
            ("in_port=eth0,actions=output:\"eth-1\" # comment\n", vec![]),
            ("ip,actions=normal,eth0\n", vec![(1, 19, "bare-name")]),
            ("flow add actions=dop\n", vec![(1, 18, "bare-name")]),
            ("actions=clone(1,nrmal),2\n", vec![(1, 17, "bare-name")]),
            ("actions=output:dop,in_port,2,strip_vlan,local\n", vec![]),
        ] {
            assert_eq!(found(text), want, "{text}");
        }
    }

    #[test]
    fn a_name_of_a_port_is_no_fault_unless_it_is_almost_an_action() {
        let of = |text| lint(text).remove(0);
        assert_eq!(of("actions=eth0").severity, Severity::Info);
        let near = of("actions=dop");
        assert_eq!(near.severity, Severity::Error);
        let help = "did you mean \"drop\"? A port is output:dop";
        assert_eq!(near.help.as_deref(), Some(help));
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in "[ -~\n]{0,200}") {
            lint(&text);
        }

        #[test]
        fn a_wider_match_above_hides_and_nothing_else_does(
            prefixes in proptest::collection::vec((0u32..4, 0u32..33, 1u16..5), 1..12),
        ) {
            let text: String = prefixes
                .iter()
                .map(|(net, len, priority)| {
                    let net = std::net::Ipv4Addr::from(net << 30);
                    format!("priority={priority},ip,nw_dst={net}/{len},actions=1\n")
                })
                .collect();
            let kinds: Vec<&str> = lint(&text).iter().map(|f| f.kind).collect();
            let any = !kinds.is_empty();
            let covers = |a: &(u32, u32, u16), b: &(u32, u32, u16)| {
                let mask = u32::MAX.checked_shl(32 - a.1).unwrap_or(0);
                a.1 <= b.1 && a.0 << 30 & mask == b.0 << 30 & mask
            };
            let same = |a: &(u32, u32, u16), b: &(u32, u32, u16)| {
                a.2 == b.2 && covers(a, b) && covers(b, a)
            };
            let expected = prefixes.iter().enumerate().any(|(i, a)| {
                prefixes.iter().enumerate().any(|(j, b)| {
                    i != j && (a.2 > b.2 && covers(a, b) || same(a, b))
                })
            });
            prop_assert_eq!(any, expected, "{}", text);
        }
    }
}
