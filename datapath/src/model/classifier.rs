//! Finds the rule of highest priority that matches a key, in one table.
//!
//! What: rules are grouped by mask; a group is a hash table of the masked key. Groups are searched by
//! their highest priority, and the search ends when no later group can beat what was found.
//! Why not more: this is the simple form; the interface hides how it is done.
//! Rules that are parts of conjunctive matches are kept apart: where there are none, they cost one comparison.
//! Invariants: two rules never have the same match and priority (control replaces); a rule is found
//! by `remove` under the same match and priority with which it was inserted.

use super::conjunction::{is_conjunctive, resolve};
use super::few::Few;
use super::rule::Rule;
use ofp::key::{Key, Match, MatchWord, WORDS, word};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::hash::Hasher;
use std::sync::Arc;

/// The rules of one table.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    /// By highest priority, descending.
    groups: Vec<Group>,
    len: usize,
    /// The parts of conjunctive matches, if there are any.
    parts: Option<Box<Classifier>>,
}

#[derive(Clone, Debug)]
struct Group {
    mask: Box<[(u8, u64)]>,
    highest: u16,
    /// Number of rules per priority, to keep `highest` when rules go.
    priorities: std::collections::BTreeMap<u16, usize>,
    /// Hash of the masked key, to the rules, by priority descending.
    rules: FxHashMap<u64, Few<Arc<Rule>>>,
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
    /// See [`Match::implies_ethernet`].
    fn implies_ethernet(&self) -> bool {
        let mut header = false;
        for &(index, mask) in &self.mask {
            match usize::from(index) {
                word::PACKET_TYPE if mask >> 32 != 0 => return false,
                word::ETH_DST..WORDS => header = true,
                _ => {}
            }
        }
        header
    }
    /// The rules whose values have the key's hash.
    #[inline]
    fn candidates(&self, key: &Key) -> &[Arc<Rule>] {
        let mut hasher = FxHasher::default();
        self.mask
            .iter()
            .for_each(|&(index, mask)| hasher.write_u64(key.0[index as usize] & mask));
        self.rules.get(&hasher.finish()).map_or(&[], |rules| rules)
    }
    #[inline]
    fn lookup(&self, key: &Key) -> Option<&Arc<Rule>> {
        let mut candidates = self.candidates(key).iter();
        candidates.find(|rule| rule.matching.matches(key))
    }
}

impl Classifier {
    /// Number of rules.
    pub fn len(&self) -> usize {
        self.len + self.parts.as_ref().map_or(0, |parts| parts.len)
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Adds a rule, or replaces the one with the same match and priority.
    pub fn insert(&mut self, rule: Arc<Rule>) {
        if is_conjunctive(&rule) {
            self.remove_ordinary(&rule);
            self.parts.get_or_insert_default().insert_ordinary(rule);
        } else {
            self.remove_part(&rule);
            self.insert_ordinary(rule);
        }
    }
    /// Removes the rule with the same match and priority.
    pub fn remove(&mut self, rule: &Rule) -> Option<Arc<Rule>> {
        self.remove_ordinary(rule)
            .or_else(|| self.remove_part(rule))
    }
    /// Whether there is a rule with this match and priority.
    pub fn has(&self, matching: &Match, priority: u16) -> bool {
        let hash = hash_words(matching.words());
        let parts = self.parts.iter().flat_map(|parts| &parts.groups);
        let mut groups = self.groups.iter().chain(parts);
        groups.any(|group| {
            let same = |rule: &Arc<Rule>| rule.priority == priority && rule.matching == *matching;
            group.has_mask(matching)
                && group
                    .rules
                    .get(&hash)
                    .is_some_and(|rules| rules.iter().any(same))
        })
    }
    fn remove_part(&mut self, rule: &Rule) -> Option<Arc<Rule>> {
        let parts = self.parts.as_mut()?;
        let removed = parts.remove_ordinary(rule);
        if parts.len == 0 {
            self.parts = None;
        }
        removed
    }
    fn insert_ordinary(&mut self, rule: Arc<Rule>) {
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
    fn remove_ordinary(&mut self, rule: &Rule) -> Option<Arc<Rule>> {
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
    /// The matching rule of highest priority; of a conjunctive match, the one that it stands for.
    #[inline]
    pub fn lookup(&self, key: &Key) -> Option<&Arc<Rule>> {
        let best = self.lookup_ordinary(key);
        match &self.parts {
            None => best,
            Some(parts) => self.lookup_parts(parts, key, best),
        }
    }
    #[cold]
    fn lookup_parts<'a>(
        &'a self,
        parts: &'a Classifier,
        key: &Key,
        best: Option<&'a Arc<Rule>>,
    ) -> Option<&'a Arc<Rule>> {
        let mut found = SmallVec::new();
        for group in &parts.groups {
            if best.is_some_and(|best| best.priority >= group.highest) {
                break;
            }
            let beats = |rule: &&Arc<Rule>| {
                best.is_none_or(|best| best.priority < rule.priority) && rule.matching.matches(key)
            };
            found.extend(group.candidates(key).iter().filter(beats));
        }
        resolve(found, key, |key| self.lookup_ordinary(key)).or(best)
    }
    #[inline]
    fn lookup_ordinary(&self, key: &Key) -> Option<&Arc<Rule>> {
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
    /// The same for a packet that is no Ethernet frame: a match that looks at headers and says nothing of the packet's type
    /// is not for it.
    #[cold]
    pub fn lookup_bare(&self, key: &Key) -> Option<&Arc<Rule>> {
        let fits = |group: &&Group| !group.implies_ethernet();
        let ordinary = |key: &Key| {
            let groups = self.groups.iter().filter(fits);
            let found = groups.filter_map(|group| group.lookup(key));
            found.reduce(|best, rule| match rule.priority > best.priority {
                true => rule,
                false => best,
            })
        };
        let best = ordinary(key);
        let groups = self.parts.iter().flat_map(|parts| &parts.groups);
        let parts = groups.filter(fits).flat_map(|group| group.candidates(key));
        let beats = |rule: &&Arc<Rule>| {
            best.is_none_or(|best| best.priority < rule.priority) && rule.matching.matches(key)
        };
        resolve(parts.filter(beats).collect(), key, ordinary).or(best)
    }
    /// All rules, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> + Clone {
        let parts = self.parts.iter().flat_map(|parts| &parts.groups);
        let groups = self.groups.iter().chain(parts);
        groups.flat_map(|g| g.rules.values().flat_map(|rules| rules.iter()))
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

    /// A rule that is a part of a conjunction, or one that matches its id.
    fn conjunctive(
        id: u32,
        priority: u16,
        parts: [(usize, u128); 3],
        of: (u32, u8, u8),
    ) -> Arc<Rule> {
        let mut rule = rule(id, priority, parts).as_ref().clone();
        match of {
            (id, _, 0) => rule
                .matching
                .set(Field::ConjId.place(), id.into(), u128::MAX),
            (id, clause, more) => {
                let action = ofp::action::Action::Conjunction {
                    id,
                    clause: clause % (more + 1),
                    n_clauses: more + 1,
                };
                rule.actions = [action].into();
            }
        }
        Arc::new(rule)
    }

    proptest! {
        #[test]
        fn conjunctions_agree_with_a_linear_scan(
            ops in prop::collection::vec((0..8u8, 0..4u16, [(0..2usize, 0..2u128), (0..2usize, 0..2u128), (0..2usize, 0..2u128)], (0..3u32, 0..3u8, 0..3u8)), 1..60),
            keys in prop::collection::vec([0..256u128, 0..256u128, 0..256u128], 1..20),
        ) {
            let (mut tested, mut oracle) = (Classifier::default(), Vec::<Arc<Rule>>::new());
            for (id, (kind, priority, parts, of)) in ops.into_iter().enumerate() {
                let parts = parts.map(|(mask, value)| (mask, value << 4));
                let rule = match kind {
                    0..5 => conjunctive(id as u32, priority, parts, of),
                    _ => rule(id as u32, priority, parts),
                };
                oracle.retain(|r| (r.priority, &r.matching) != (rule.priority, &rule.matching));
                if kind == 7 {
                    tested.remove(&rule);
                } else {
                    tested.insert(rule.clone());
                    oracle.push(rule);
                }
                prop_assert_eq!(tested.len(), oracle.len());
                prop_assert_eq!(tested.iter().count(), oracle.len());
            }
            for values in keys {
                let mut key = Key::default();
                FIELDS.iter().zip(values).for_each(|(f, v)| key.set(f.place(), v, u128::MAX));
                let want = crate::model::conjunction::scan(oracle.iter(), &key).map(|r| r.priority);
                prop_assert_eq!(tested.lookup(&key).map(|r| r.priority), want);
            }
        }

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
