//! Which packets the last changes of a table may be about: what a cache remembers of others is still true.
//!
//! What: per few thousand changes, the masks of the rules that came or went, and a Bloom filter of their values. A packet that
//! none of these rules can match meets the same rule as before.
//! Why: under a hundred thousand changes a second each of a cache's entries is asked for a hundred times a second. A look
//! here costs some nanoseconds, where walking through the tables again costs hundreds.
//! Invariants: "no" is certain, "yes" is not. What is too old or too much to be remembered is "yes".

use super::conjunction::is_conjunctive;
use super::rule::Rule;
use ofp::key::word;
use std::collections::VecDeque;

/// Changes of one part at most.
const CHANGES: usize = 4096;
/// Masks of one part at most: a look costs a hash of each.
const MASKS: usize = 8;
/// Parts at most.
const PARTS: usize = 4;
/// Words of a filter, two bits each for a change: half a percent of looks say yes without need.
const WORDS: usize = 2048;

type Mask = Box<[(u8, u64)]>;

/// See the file's description.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// The oldest first.
    parts: VecDeque<Part>,
    /// The last change that is not remembered.
    forgotten: u64,
}

#[derive(Clone, Debug)]
struct Part {
    masks: Vec<Mask>,
    filter: Box<[u64]>,
    len: usize,
    /// Of its last change.
    generation: u64,
    /// One of them may be about any packet.
    is_about_all: bool,
}

/// The hash of masked words.
#[inline]
fn hash(words: impl Iterator<Item = u64>) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = words.fold(0u64, |hash, word| {
        (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER)
    });
    // As in the cache: a product's high bits know all of its factors, its low ones do not.
    (mixed ^ mixed >> 32).wrapping_mul(MULTIPLIER)
}

/// Where a hash is in a filter: the word, and its bits.
#[inline]
fn place(hash: u64) -> (usize, u64) {
    let word = (hash >> 53) as usize % WORDS;
    (word, 1 << (hash >> 47 & 63) | 1 << (hash >> 41 & 63))
}

impl Part {
    fn new() -> Part {
        Part {
            masks: Vec::new(),
            filter: vec![0; WORDS].into(),
            len: 0,
            generation: 0,
            is_about_all: false,
        }
    }
    fn has_mask(&mut self, rule: &Rule) -> bool {
        let words = rule.matching.words();
        let mask = || words.iter().map(|w| (w.index, w.mask));
        if self
            .masks
            .iter()
            .any(|known| mask().eq(known.iter().copied()))
        {
            return true;
        }
        let has_room = self.masks.len() < MASKS;
        if has_room {
            self.masks.push(mask().collect());
        }
        has_room
    }
    #[inline]
    fn is_about(&self, key: &impl Fn(u8) -> u64) -> bool {
        self.is_about_all
            || self.masks.iter().any(|mask| {
                let values = mask.iter().map(|&(index, mask)| key(index) & mask);
                let (word, bits) = place(hash(values));
                self.filter[word] & bits == bits
            })
    }
}

impl Recent {
    /// A rule came or went.
    pub fn note(&mut self, rule: &Rule, generation: u64) {
        if self.parts.back().is_none_or(|part| part.len >= CHANGES) {
            if self.parts.len() >= PARTS
                && let Some(oldest) = self.parts.pop_front()
            {
                self.forgotten = oldest.generation;
            }
            self.parts.push_back(Part::new());
        }
        let Some(part) = self.parts.back_mut() else {
            return;
        };
        (part.generation, part.len) = (generation, part.len + 1);
        // A packet has no conjunction's id when it is looked up first.
        let mut words = rule.matching.words().iter();
        let has_id = words.any(|w| usize::from(w.index) == word::CONJ);
        if has_id || is_conjunctive(rule) || !part.has_mask(rule) {
            part.is_about_all = true;
            return;
        }
        let values = rule.matching.words().iter().map(|w| w.value);
        let (word, bits) = place(hash(values));
        part.filter[word] |= bits;
    }
    /// Whether a change after `generation` may be about the packet with these key words.
    #[inline]
    pub fn is_about(&self, generation: u64, key: impl Fn(u8) -> u64) -> bool {
        let later = |part: &&Part| part.generation > generation;
        generation < self.forgotten
            || self
                .parts
                .iter()
                .rev()
                .take_while(later)
                .any(|part| part.is_about(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RuleId;
    use ofp::field::Field;
    use ofp::key::{Key, Match};
    use ofp::types::{Cookie, TableId};
    use proptest::prelude::*;

    fn rule(values: [(u128, u128); 2]) -> Rule {
        let mut matching = Match::default();
        for (field, (value, mask)) in [Field::IpDst, Field::TcpDst].iter().zip(values) {
            matching.set(field.place(), value, mask);
        }
        Rule {
            id: RuleId(0),
            table: TableId(0),
            priority: 0,
            matching,
            actions: Box::new([]),
            cookie: Cookie(0),
        }
    }

    proptest! {
        #[test]
        fn what_a_change_is_about_is_never_missed(
            changes in prop::collection::vec([(0..32u128, 0..16u128), (0..32u128, 0..16u128)], 1..60),
            since in 0..60u64,
            values in [0..32u128, 0..32u128],
        ) {
            let mut recent = Recent::default();
            let mut key = Key::default();
            key.set(Field::IpDst.place(), values[0], u128::MAX);
            key.set(Field::TcpDst.place(), values[1], u128::MAX);
            let mut is_about = false;
            for (at, values) in changes.into_iter().enumerate() {
                let (rule, generation) = (rule(values), at as u64 + 1);
                recent.note(&rule, generation);
                is_about |= generation > since && rule.matching.matches(&key);
            }
            prop_assert!(!is_about || recent.is_about(since, |index| key.0[usize::from(index)]));
        }
    }

    #[test]
    fn others_are_not_touched_and_old_changes_are_forgotten() {
        let mut recent = Recent::default();
        let all = (PARTS * CHANGES) as u64;
        for n in 1..=all {
            recent.note(&rule([(n.into(), u128::MAX), (80, u128::MAX)]), n);
        }
        let mut key = Key::default();
        key.set(Field::TcpDst.place(), 80, u128::MAX);
        let mut about = 0;
        for n in 0..1000 {
            key.set(Field::IpDst.place(), 0x0a00_0000 + n, u128::MAX);
            about += usize::from(recent.is_about(all - 1000, |i| key.0[usize::from(i)]));
        }
        assert!(about < 30, "{about} of 1000");
        key.set(Field::IpDst.place(), all.into(), u128::MAX);
        assert!(recent.is_about(all - 1000, |i| key.0[usize::from(i)]));
        assert!(!recent.is_about(all, |i| key.0[usize::from(i)]));
        key.set(Field::IpDst.place(), 0x0a00_0000, u128::MAX);
        assert!(!recent.is_about(0, |i| key.0[usize::from(i)]) || about > 0);
        recent.note(&rule([(0, 0), (0, 0)]), all + 1);
        assert!(recent.is_about(0, |i| key.0[usize::from(i)]));
    }
}
