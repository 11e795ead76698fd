//! Rules that no search can find, as a better one has the same match: they are kept beside the tables, and come back when that
//! one goes. So a search does not go through all of them, however many priorities one match has.

use crate::model::few::Few;
use crate::model::rule::Rule;
use ofp::key::Match;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of a mask, and the hash of a match under it.
pub(super) type Under = (u32, u32);

/// The rules: of a match the best one first. Different matches with one hash are hardly ever in one list.
#[derive(Clone, Debug, Default)]
pub(super) struct Hidden(BTreeMap<(Under, Reverse<u16>), Few<Arc<Rule>>>);

fn has_match(matching: &Match) -> impl Fn(&Arc<Rule>) -> bool {
    |rule| rule.matching == *matching
}

impl Hidden {
    /// Adds a rule; returns the one with the same match and priority that was there.
    pub(super) fn insert(&mut self, under: Under, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let same = self.0.entry((under, Reverse(rule.priority))).or_default();
        match same.iter().position(has_match(&rule.matching)) {
            Some(at) => Some(std::mem::replace(&mut same[at], rule)),
            None => {
                same.insert(0, rule);
                None
            }
        }
    }
    /// Whether there is a rule with this match and priority.
    pub(super) fn has(&self, under: Under, matching: &Match, priority: u16) -> bool {
        let same = self.0.get(&(under, Reverse(priority)));
        same.is_some_and(|same| same.iter().any(has_match(matching)))
    }
    /// Removes it.
    pub(super) fn remove(
        &mut self,
        under: Under,
        matching: &Match,
        priority: u16,
    ) -> Option<Arc<Rule>> {
        let key = (under, Reverse(priority));
        let same = self.0.get_mut(&key)?;
        let at = same.iter().position(has_match(matching))?;
        let removed = same.remove(at);
        if same.is_empty() {
            self.0.remove(&key);
        }
        Some(removed)
    }
    /// Removes the best rule with this match.
    pub(super) fn take_best(&mut self, under: Under, matching: &Match) -> Option<Arc<Rule>> {
        let first = (under, Reverse(u16::MAX));
        let all = self.0.range(first..=(under, Reverse(0)));
        let mut rules = all.flat_map(|(_, same)| same.iter());
        let priority = rules.find(|rule| rule.matching == *matching)?.priority;
        self.remove(under, matching, priority)
    }
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> + Clone {
        self.0.values().flat_map(|same| same.iter())
    }
}
