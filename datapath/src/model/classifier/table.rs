//! A hash table of rules under one mask: their own, or a coarser one. It knows nothing of other tables.
//!
//! Design: eight 16-bit tags, a part of a hash each, make a bucket that is compared at once; what they belong to is in another
//! array, and is read only where a tag is right. An entry is in the first bucket from its hash's on that has room, so
//! a search ends at the first bucket that is not full.
//! Invariants: at most [`FILL`] entries per bucket on average, so there is always one that is not full; between an
//! entry's first bucket and the one where it is, all are full; a bucket's first lanes are the used ones.

use super::mask::{Words, hash_of_key};
use crate::model::rule::Rule;
use ofp::key::Key;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of a bucket.
const LANES: usize = 8;

/// Entries per bucket on average, before the table grows.
const FILL: usize = 5;

/// The lowest bit of each of a word's lanes.
const ONES: u64 = 0x0001_0001_0001_0001;

/// The tags of one bucket, in turns in two words; 0 is nobody's.
#[derive(Clone, Copy, Debug, Default)]
struct Tags([u64; 2]);

/// What of a hash is in the bucket; never 0.
#[inline(always)]
fn tag_of(hash: u32) -> u64 {
    u64::from(hash & 0xffff | 1)
}

/// The lowest of the lanes that were found.
#[inline(always)]
fn lane_of(found: u64) -> usize {
    found.trailing_zeros() as usize / 8
}

impl Tags {
    /// The first bit of a byte for each lane that has the tag, and sometimes for one behind it whose tag is nearly the same.
    #[inline(always)]
    fn equal(&self, tag: u64) -> u64 {
        let [low, high] = self.0.map(|word| {
            let zero = word ^ (tag * ONES);
            zero.wrapping_sub(ONES) & !zero & ONES << 15
        });
        low >> 15 | high >> 7
    }
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.0[1] >> 48 != 0
    }
    fn get(&self, lane: usize) -> u64 {
        self.0[lane % 2] >> (lane / 2 * 16) & 0xffff
    }
    fn set(&mut self, lane: usize, tag: u64) {
        let (word, shift) = (&mut self.0[lane % 2], lane / 2 * 16);
        *word = *word & !(0xffff << shift) | tag << shift;
    }
    fn len(&self) -> usize {
        let lanes = 0..LANES;
        lanes.take_while(|lane| self.get(*lane) != 0).count()
    }
}

/// A rule in a table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The rule.
    pub(super) rule: Arc<Rule>,
    /// The higher half of its hash in this table.
    high: u16,
    /// A part of the hash of its match under its own mask.
    pub(super) check: u16,
    /// Its priority.
    pub(super) priority: u16,
    /// Number of its mask; [`u16::MAX`]: of one that has a larger number.
    pub(super) mask: u16,
}

impl Entry {
    pub(super) fn new(rule: Arc<Rule>, check: u32, mask: u32) -> Entry {
        Entry {
            high: 0,
            check: (check >> 16) as u16,
            priority: rule.priority,
            mask: u16::try_from(mask).unwrap_or(u16::MAX),
            rule,
        }
    }
}

/// How many rules there are of each priority.
#[derive(Clone, Debug, Default)]
struct Priorities {
    highest: u16,
    /// Of the highest.
    len: usize,
    others: BTreeMap<u16, usize>,
}

impl Priorities {
    fn add(&mut self, priority: u16) {
        if self.len == 0 || priority == self.highest {
            self.highest = priority;
            self.len += 1;
        } else if priority < self.highest {
            *self.others.entry(priority).or_default() += 1;
        } else {
            self.others.insert(self.highest, self.len);
            (self.highest, self.len) = (priority, 1);
        }
    }
    fn remove(&mut self, priority: u16) {
        if priority == self.highest {
            self.len -= 1;
            if self.len == 0
                && let Some((highest, len)) = self.others.pop_last()
            {
                (self.highest, self.len) = (highest, len);
            }
        } else if let Some(len) = self.others.get_mut(&priority) {
            *len -= 1;
            if *len == 0 {
                self.others.remove(&priority);
            }
        }
    }
}

/// See the file's description.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// The bits that are hashed.
    pub(super) words: Words,
    buckets: Box<[Tags]>,
    entries: Box<[Option<Entry>]>,
    /// 32 less the bits that number the buckets.
    spare_bits: u32,
    /// Rules whose mask is not the table's.
    pub(super) foreign: usize,
    len: usize,
    priorities: Priorities,
    /// Masks whose rules may be here.
    pub(super) users: usize,
}

impl Table {
    pub(super) fn new(words: Words) -> Table {
        Table {
            words,
            ..Table::default()
        }
    }
    pub(super) fn len(&self) -> usize {
        self.len
    }
    /// The highest priority; `None` without rules.
    pub(super) fn highest(&self) -> Option<u16> {
        (self.len > 0).then_some(self.priorities.highest)
    }
    #[inline(always)]
    fn home(&self, hash: u32) -> usize {
        (u64::from(hash) >> self.spare_bits) as usize
    }
    #[inline(always)]
    fn next(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.buckets.len() - 1)
    }
    /// Calls `f` with each entry that has this hash, and perhaps with others.
    #[inline(always)]
    pub(super) fn each<'a>(&'a self, hash: u32, mut f: impl FnMut(&'a Entry)) {
        let mut bucket = self.home(hash);
        while let Some(tags) = self.buckets.get(bucket) {
            let mut found = tags.equal(tag_of(hash));
            while found != 0 {
                if let Some(Some(entry)) = self.entries.get(bucket * LANES + lane_of(found)) {
                    f(entry);
                }
                found &= found - 1;
            }
            if !tags.is_full() {
                return;
            }
            bucket = self.next(bucket);
        }
    }
    /// The same for the entries that may match a key.
    #[inline(always)]
    pub(super) fn each_of_key<'a>(&'a self, key: &Key, f: impl FnMut(&'a Entry)) {
        self.each(hash_of_key(&self.words, key), f);
    }
    /// Where the entry with this hash is of which something is true.
    pub(super) fn find(&self, hash: u32, is: impl Fn(&Entry) -> bool) -> Option<usize> {
        let mut bucket = self.home(hash);
        loop {
            let tags = self.buckets.get(bucket)?;
            let mut found = tags.equal(tag_of(hash));
            while found != 0 {
                let place = bucket * LANES + lane_of(found);
                if self.entries[place].as_ref().is_some_and(&is) {
                    return Some(place);
                }
                found &= found - 1;
            }
            if !tags.is_full() {
                return None;
            }
            bucket = self.next(bucket);
        }
    }
    /// How many entries have this hash.
    pub(super) fn count(&self, hash: u32) -> usize {
        let mut len = 0;
        self.each(hash, |_| len += 1);
        len
    }
    /// The entry at a place that was found.
    pub(super) fn at(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place)?.as_ref()
    }
    /// Puts a rule in the place of one with the same match, which was found.
    pub(super) fn exchange(&mut self, place: usize, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let entry = self.entries.get_mut(place)?.as_mut()?;
        self.priorities.add(rule.priority);
        self.priorities.remove(entry.priority);
        entry.priority = rule.priority;
        Some(std::mem::replace(&mut entry.rule, rule))
    }
    /// Adds an entry.
    pub(super) fn insert(&mut self, hash: u32, entry: Entry) {
        if self.len >= self.buckets.len() * FILL {
            self.resize((self.buckets.len() * 2).max(1));
        }
        self.len += 1;
        self.priorities.add(entry.priority);
        self.put(hash, entry);
    }
    fn put(&mut self, hash: u32, mut entry: Entry) {
        let mut bucket = self.home(hash);
        while self.buckets[bucket].is_full() {
            bucket = self.next(bucket);
        }
        let lane = self.buckets[bucket].len();
        self.buckets[bucket].set(lane, tag_of(hash));
        entry.high = (hash >> 16) as u16;
        self.entries[bucket * LANES + lane] = Some(entry);
    }
    /// Removes the entry at a place that was found.
    pub(super) fn remove(&mut self, place: usize) -> Option<Entry> {
        let removed = self.entries.get_mut(place)?.take()?;
        self.len -= 1;
        self.priorities.remove(removed.priority);
        self.close(place);
        if self.len * LANES < self.buckets.len() && self.buckets.len() > 1 {
            self.resize(self.buckets.len() / 2);
        }
        Some(removed)
    }
    /// The hash of the entry at a place, which exists.
    fn hash_at(&self, bucket: usize, lane: usize) -> u32 {
        let high = self.entries[bucket * LANES + lane].as_ref();
        let high = high.map_or(0, |entry| u32::from(entry.high));
        high << 16 | self.buckets[bucket].get(lane) as u32
    }
    /// Closes the gap at a place. What is behind a full bucket may be there only because that was full: it comes back.
    fn close(&mut self, place: usize) {
        let (mut bucket, mut lane) = (place / LANES, place % LANES);
        let mut from = bucket;
        while self.buckets[from].is_full() {
            from = self.next(from);
            let wrap = self.buckets.len() - 1;
            let distance = from.wrapping_sub(bucket) & wrap;
            let passed = |other: &usize| {
                let home = self.home(self.hash_at(from, *other));
                from.wrapping_sub(home) & wrap >= distance
            };
            let other = (0..self.buckets[from].len()).find(passed);
            if let Some(other) = other {
                self.shift((from, other), (bucket, lane));
                (bucket, lane) = (from, other);
            }
        }
        let last = self.buckets[bucket].len() - 1;
        if last != lane {
            self.shift((bucket, last), (bucket, lane));
        }
        self.buckets[bucket].set(last, 0);
    }
    /// Moves an entry to a place that has none; its tag stays behind.
    fn shift(&mut self, from: (usize, usize), to: (usize, usize)) {
        let tag = self.buckets[from.0].get(from.1);
        self.buckets[to.0].set(to.1, tag);
        self.entries
            .swap(to.0 * LANES + to.1, from.0 * LANES + from.1);
    }
    fn resize(&mut self, buckets: usize) {
        let tags = vec![Tags::default(); buckets].into_boxed_slice();
        let mut entries = Vec::new();
        entries.resize_with(buckets * LANES, || None);
        let tags = std::mem::replace(&mut self.buckets, tags);
        let entries = std::mem::replace(&mut self.entries, entries.into_boxed_slice());
        self.spare_bits = 32 - buckets.trailing_zeros().min(32);
        for (place, entry) in entries.into_iter().enumerate() {
            if let Some(entry) = entry {
                let tag = tags[place / LANES].get(place % LANES) as u32;
                self.put(u32::from(entry.high) << 16 | tag, entry);
            }
        }
    }
    /// All rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> + Clone {
        self.entries.iter().flatten().map(|entry| &entry.rule)
    }
}
