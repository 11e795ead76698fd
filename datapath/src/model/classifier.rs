//! Finds the rule of highest priority that matches a key, in one table.
//!
//! What: rules are grouped by mask; a group is a hash table of the masked key. Groups are searched by
//! their highest priority, and the search ends when no later group can beat what was found.
//! Why not more: this is the simple form; the interface hides how it is done.
//! Invariants: two rules never have the same match and priority (control replaces); a rule is found
//! by `remove` under the same match and priority with which it was inserted.

use super::rule::Rule;
use ofp::key::{Key, Match, MatchWord};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;
use std::sync::Arc;

/// The rules of one table.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    /// By highest priority, descending.
    groups: Vec<Group>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Group {
    mask: Box<[(u8, u64)]>,
    highest: u16,
    /// Number of rules per priority, to keep `highest` when rules go.
    priorities: std::collections::BTreeMap<u16, usize>,
    /// Hash of the masked key, to the rules, by priority descending.
    rules: FxHashMap<u64, Vec<Arc<Rule>>>,
}

fn hash_words(words: &[MatchWord]) -> u64 {
    let mut hasher = FxHasher::default();
    words.iter().for_each(|w| hasher.write_u64(w.value));
    hasher.finish()
}

impl Group {
    fn has_mask(&self, matching: &Match) -> bool {
        let words = matching.words();
        words.len() == self.mask.len()
            && words
                .iter()
                .zip(&self.mask)
                .all(|(w, m)| (w.index, w.mask) == *m)
    }
    #[inline]
    fn lookup(&self, key: &Key) -> Option<&Arc<Rule>> {
        let mut hasher = FxHasher::default();
        self.mask
            .iter()
            .for_each(|&(index, mask)| hasher.write_u64(key.0[index as usize] & mask));
        self.rules
            .get(&hasher.finish())?
            .iter()
            .find(|rule| rule.matching.matches(key))
    }
}

impl Classifier {
    /// Number of rules.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Adds a rule, or replaces the one with the same match and priority.
    pub fn insert(&mut self, rule: Arc<Rule>) {
        let at = self
            .groups
            .iter()
            .position(|g| g.has_mask(&rule.matching))
            .unwrap_or_else(|| {
                self.groups.push(Group {
                    mask: rule
                        .matching
                        .words()
                        .iter()
                        .map(|w| (w.index, w.mask))
                        .collect(),
                    highest: rule.priority,
                    priorities: Default::default(),
                    rules: FxHashMap::default(),
                });
                self.groups.len() - 1
            });
        let group = &mut self.groups[at];
        let rules = group
            .rules
            .entry(hash_words(rule.matching.words()))
            .or_default();
        match rules
            .iter_mut()
            .find(|r| r.priority == rule.priority && r.matching == rule.matching)
        {
            Some(old) => *old = rule,
            None => {
                *group.priorities.entry(rule.priority).or_default() += 1;
                self.len += 1;
                let place = rules.partition_point(|r| r.priority > rule.priority);
                rules.insert(place, rule);
            }
        }
        self.settle(at);
    }
    /// Removes the rule with the same match and priority.
    pub fn remove(&mut self, rule: &Rule) -> Option<Arc<Rule>> {
        let at = self
            .groups
            .iter()
            .position(|g| g.has_mask(&rule.matching))?;
        let group = &mut self.groups[at];
        let hash = hash_words(rule.matching.words());
        let rules = group.rules.get_mut(&hash)?;
        let place = rules
            .iter()
            .position(|r| r.priority == rule.priority && r.matching == rule.matching)?;
        let removed = rules.remove(place);
        if rules.is_empty() {
            group.rules.remove(&hash);
        }
        let count = group
            .priorities
            .get_mut(&rule.priority)
            .expect("counted at insert");
        *count -= 1;
        if *count == 0 {
            group.priorities.remove(&rule.priority);
        }
        self.len -= 1;
        self.settle(at);
        Some(removed)
    }
    /// Restores the order of the groups after the one at `at` changed.
    fn settle(&mut self, at: usize) {
        match self.groups[at].priorities.last_key_value() {
            None => {
                self.groups.remove(at);
            }
            Some((&highest, _)) if self.groups.len() > 1 || self.groups[at].highest != highest => {
                let changed = self.groups[at].highest != highest;
                self.groups[at].highest = highest;
                if changed || at + 1 == self.groups.len() {
                    self.groups.sort_by_key(|g| std::cmp::Reverse(g.highest));
                }
            }
            Some(_) => {}
        }
    }
    /// The matching rule of highest priority.
    #[inline]
    pub fn lookup(&self, key: &Key) -> Option<&Arc<Rule>> {
        let mut best: Option<&Arc<Rule>> = None;
        for group in &self.groups {
            if best.is_some_and(|b| b.priority >= group.highest) {
                break;
            }
            if let Some(rule) = group.lookup(key)
                && best.is_none_or(|b| b.priority < rule.priority)
            {
                best = Some(rule);
            }
        }
        best
    }
    /// All rules, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.groups.iter().flat_map(|g| g.rules.values().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RuleId;
    use ofp::field::Field;
    use ofp::types::{Cookie, TableId};
    use proptest::prelude::*;

    const FIELDS: [Field; 3] = [Field::InPort, Field::IpDst, Field::TcpDst];
    const MASKS: [u128; 4] = [0, 0xf0, 0xff, 0xffff];

    fn rule(id: u32, priority: u16, parts: [(usize, u128); 3]) -> Arc<Rule> {
        let mut matching = Match::default();
        for (field, (mask, value)) in FIELDS.iter().zip(parts) {
            matching.set(field.place(), value, MASKS[mask]);
        }
        let (table, cookie) = (TableId(0), Cookie(0));
        Arc::new(Rule {
            id: RuleId(id),
            table,
            priority,
            matching,
            actions: Box::new([]),
            cookie,
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_linear_scan(
            ops in prop::collection::vec((any::<bool>(), 0..4u16, [(0..4usize, 0..256u128), (0..4usize, 0..256u128), (0..4usize, 0..256u128)]), 1..60),
            keys in prop::collection::vec([0..256u128, 0..256u128, 0..256u128], 1..20),
        ) {
            let (mut tested, mut oracle) = (Classifier::default(), Vec::<Arc<Rule>>::new());
            for (id, (add, priority, parts)) in ops.into_iter().enumerate() {
                let rule = rule(id as u32, priority, parts);
                oracle.retain(|r| (r.priority, &r.matching) != (rule.priority, &rule.matching));
                if add {
                    tested.insert(rule.clone());
                    oracle.push(rule);
                } else {
                    tested.remove(&rule);
                }
                prop_assert_eq!(tested.len(), oracle.len());
            }
            for values in keys {
                let mut key = Key::default();
                FIELDS.iter().zip(values).for_each(|(f, v)| key.set(f.place(), v, u128::MAX));
                let want = oracle.iter().filter(|r| r.matching.matches(&key)).map(|r| r.priority).max();
                let got = tested.lookup(&key);
                prop_assert_eq!(got.map(|r| r.priority), want);
                prop_assert!(got.is_none_or(|r| r.matching.matches(&key)));
            }
        }
    }
}
