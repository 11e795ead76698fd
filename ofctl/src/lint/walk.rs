//! The way through the tables: those that nobody reaches, and those that packets are sent to in vain.

use super::{Entry, Finding, Severity, by_table, each};
use ofp::action::Action;
use ofp::types::TableId;
use std::collections::{BTreeMap, BTreeSet};

/// The tables that an action goes on with, and its words.
fn next(action: &Action) -> Option<(TableId, Vec<String>)> {
    match action {
        Action::GotoTable(table) => Some((*table, vec![format!("goto_table:{table}")])),
        Action::Resubmit {
            table: Some(table), ..
        } => Some((*table, vec![format!(",{table})"), "resubmit".into()])),
        Action::Reassemble(table) => Some((*table, vec!["reassemble".into()])),
        _ => None,
    }
}

pub(super) fn find(entries: &[&Entry<'_>], findings: &mut Vec<Finding>) {
    let tables = by_table(entries);
    // Flows that flows make: their tables are not empty.
    let mut learnt = BTreeSet::new();
    let mut ways: BTreeMap<TableId, BTreeSet<TableId>> = BTreeMap::new();
    for (table, rules) in &tables {
        for rule in rules {
            each(&rule.flow.actions, &mut |action| {
                if let Some((to, _)) = next(action) {
                    ways.entry(*table).or_default().insert(to);
                }
                if let Action::Learn(learn) = action {
                    learnt.insert(learn.table);
                }
            });
        }
    }
    let mut reached = BTreeSet::from([TableId(0)]);
    let mut ahead = vec![TableId(0)];
    while let Some(table) = ahead.pop() {
        for to in ways.get(&table).into_iter().flatten() {
            if reached.insert(*to) {
                ahead.push(*to);
            }
        }
    }
    for (table, rules) in &tables {
        if !reached.contains(table) {
            let message = format!("no flow leads from table 0 to table {table}");
            let words = [format!("table={table}")];
            findings.push(rules[0].find(Severity::Warning, "table-not-reached", &words, message));
        }
        for rule in rules {
            each(&rule.flow.actions, &mut |action| {
                if let Some((to, words)) = next(action)
                    && !tables.contains_key(&to)
                    && !learnt.contains(&to)
                {
                    let message = format!("this file has no flows in table {to}");
                    findings.push(rule.find(Severity::Info, "empty-table", &words, message));
                }
            });
        }
    }
}
