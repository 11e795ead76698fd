//! Conjunctive matches (ovs-fields(7)): rules with `conjunction(ID, K/N)` actions stand for another one, that
//! matches `conj_id=ID`; it is looked for when a packet matches a rule of each of the N dimensions.
//! Used by the classifier, for tables that have such rules.

use super::rule::Rule;
use ofp::action::Action;
use ofp::field::Field;
use ofp::key::Key;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::sync::Arc;

/// Whether a rule is a part of a conjunctive match, so that its actions are never executed.
pub fn is_conjunctive(rule: &Rule) -> bool {
    let is = |action: &Action| matches!(action, Action::Conjunction { .. });
    rule.actions.iter().any(is)
}

/// What is known of one conjunction at one priority.
struct Seen {
    id: u32,
    n_clauses: u8,
    clauses: u64,
}

impl Seen {
    fn is_complete(&self) -> bool {
        self.clauses.count_ones() == u32::from(self.n_clauses)
    }
}

/// The rule that a table's conjunctive rules lead to.
///
/// `parts` are the conjunctive rules that match the key, and that beat its ordinary rule; `ordinary` finds the best ordinary
/// rule of a key. The highest priority with a complete conjunction wins; what the search with its `conj_id` finds is the
/// answer, of whatever priority, and if it finds nothing the conjunction is as if it were not there. At one priority the
/// least id is tried first (Open vSwitch leaves that open).
pub fn resolve<'a>(
    mut parts: SmallVec<[&'a Arc<Rule>; 16]>,
    key: &Key,
    ordinary: impl Fn(&Key) -> Option<&'a Arc<Rule>>,
) -> Option<&'a Arc<Rule>> {
    parts.sort_by_key(|rule| Reverse(rule.priority));
    let mut searched: Option<Key> = None;
    for same in parts.chunk_by(|a, b| a.priority == b.priority) {
        for id in complete(same) {
            let key = searched.get_or_insert_with(|| key.clone());
            key.set(Field::ConjId.place(), id.into(), u128::MAX);
            if let Some(rule) = ordinary(key) {
                return Some(rule);
            }
        }
    }
    None
}

/// The conjunctions all of whose dimensions these rules have, by id.
fn complete(rules: &[&Arc<Rule>]) -> impl Iterator<Item = u32> + use<> {
    let mut seen = SmallVec::<[Seen; 8]>::new();
    for action in rules.iter().flat_map(|rule| &rule.actions) {
        let Action::Conjunction {
            id,
            clause,
            n_clauses,
        } = *action
        else {
            continue;
        };
        let clauses = 1u64.checked_shl(clause.into()).unwrap_or(0);
        match seen
            .iter_mut()
            .find(|seen| (seen.id, seen.n_clauses) == (id, n_clauses))
        {
            Some(seen) => seen.clauses |= clauses,
            None => seen.push(Seen {
                id,
                n_clauses,
                clauses,
            }),
        }
    }
    seen.sort_by_key(|seen| seen.id);
    let complete = seen.into_iter().filter(Seen::is_complete);
    complete.map(|seen| seen.id)
}

/// The same answer as the classifier's, rule by rule: the oracle of tests.
pub fn scan<'a>(
    rules: impl Iterator<Item = &'a Arc<Rule>> + Clone,
    key: &Key,
) -> Option<&'a Arc<Rule>> {
    let ordinary = |key: &Key| {
        let rules = rules.clone().filter(|rule| !is_conjunctive(rule));
        rules
            .filter(|rule| rule.matching.matches(key))
            .max_by_key(|rule| rule.priority)
    };
    let best = ordinary(key);
    let parts: Vec<_> = rules
        .clone()
        .filter(|rule| is_conjunctive(rule) && rule.matching.matches(key))
        .filter(|rule| best.is_none_or(|best| best.priority < rule.priority))
        .collect();
    let mut priorities: Vec<u16> = parts.iter().map(|rule| rule.priority).collect();
    priorities.sort_unstable();
    for priority in priorities.into_iter().rev() {
        let here = parts.iter().filter(|rule| rule.priority == priority);
        let mut dimensions: Vec<(u32, u8, u8)> = here
            .flat_map(|rule| &rule.actions)
            .filter_map(|action| match *action {
                Action::Conjunction {
                    id,
                    clause,
                    n_clauses,
                } => Some((id, n_clauses, clause)),
                _ => None,
            })
            .collect();
        dimensions.sort_unstable();
        dimensions.dedup();
        for of_one in dimensions.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (id, n_clauses, _) = of_one[0];
            if of_one.len() == usize::from(n_clauses) {
                let mut key = key.clone();
                key.set(Field::ConjId.place(), id.into(), u128::MAX);
                if let Some(found) = ordinary(&key) {
                    return Some(found);
                }
            }
        }
    }
    best
}
