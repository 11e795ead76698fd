//! Finds the rule of highest priority that matches a key, in one table of a bridge.
//!
//! What: rules are kept in hash tables, each of which hashes the bits of one mask. A search asks the tables in the order of their
//! highest priority, and ends when no later one can beat what was found.
//! Why: access lists have thousands of masks (lengths of two prefixes, ranges of ports). A table for each of them is
//! what a search costs; one table for all is a list.
//!
//! Design: while there are at most [`FEW_MASKS`] masks, each has its own table: ports, exact matches, the prefixes of a small
//! network. Of more masks, rules with different masks share tables: a mask has a ladder of coarser ones (`mask::ladder`:
//! prefixes are rounded down to whole octets, protocol and ports are left out), and a rule goes to the coarsest table
//! of them in which fewer than [`CROWD`] rules have its value, and otherwise where that costs least; a new table
//! costs as much as [`NEW_TABLE`] rules under one value. A mask with a large part of all rules has a table of its own in any case.
//! In a shared table an entry has a part of its rule's hash under the rule's own mask, so that rules are read that match, and hardly
//! ever others. Each change also looks at one mask, and moves what it has in small tables to coarser ones, so that tables
//! do not remain for rules that came early, or for the company they had.
//! Of rules with one match and several priorities a table has the best one; the others are hidden until that goes.
//! Rules that are parts of conjunctive matches are kept apart: where there are none, they cost one comparison. Each of them counts,
//! so that they hide nothing.
//!
//! Bound: a search visits T tables, and reads C entries in them that have the packet's value: about 10 and 5 ns each. Of rules by IPv4
//! addresses, protocol and ports, with any prefixes and ranges, T is some tens, as their rounded masks are few (five
//! lengths of each address), and C some tens: 0.1 to 1.3 us for 1,000 to 100,000 rules. For masks of any kind T is bounded by
//! the number of rules, and of masks (four tables each), only: one rule for each set of registers, or of other words, that a match may
//! look at takes a table for each set, as nothing is alike in these to share one. Who writes rules decides that, packets do not.
//! C is less than T * [`NEW_TABLE`], but for hashes that collide; of parts of conjunctive matches also for one match with many priorities.
//! A change costs a microsecond: at most four tables are asked, at most [`SMALL_TABLE`] rules move, and a table that doubles is a
//! hash table that does.
//!
//! Secret: what hashes are made with is the switch's own and made anew when it starts. Packets choose the values that are hashed, and
//! with `learn` those of rules; who cannot see the secret cannot compute which of them meet in one bucket, and what he finds
//! to meet by trying does so until the next start only. It is no cryptography: who can time the search of single packets exactly, many
//! times, may learn which values meet. What does not depend on it stays as it is: rules under one coarse mask's value, see the bound.
//! It costs nothing: a word's factor is beside its mask, instead of in a table of constants.
//!
//! Invariants: two rules never have the same match and priority (control replaces); a rule is found by `remove` under the same
//! match and priority with which it was inserted; a rule is in one of its mask's places, and these count their rules.

mod hidden;
mod mask;
mod table;
#[cfg(test)]
mod tests;

use super::conjunction::{is_conjunctive, resolve};
use super::few::Few;
use super::rule::Rule;
use crate::fragment::Secret;
use hidden::{Hidden, Under};
use mask::{Words, hash_of_key, hash_of_mask, hash_of_match, ladder, words_of};
use ofp::key::{Key, Match};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::sync::Arc;
use table::{Entry, Table};

/// Masks that have tables of their own, if there are no more.
const FEW_MASKS: usize = 12;
/// A mask with at least so many rules, and this part of all, has a table of its own in any case.
const MANY_RULES: usize = 1024;
/// See [`MANY_RULES`].
const LARGE_PART: usize = 16;
/// Rules of a table that is given up if they fit elsewhere.
const SMALL_TABLE: usize = 32;
/// Rules that are under one value when another one moves there: fewer than make a new table, lest it comes and goes.
const LIFTED_CROWD: usize = 16;
/// Masks without rules that are kept.
const IDLE_MASKS: usize = 4;
/// Rules that are kept under the same value of a mask that is not theirs.
const CROWD: usize = 8;
/// Rules under the same value that cost as much as one table more.
const NEW_TABLE: usize = 32;

/// The rules of one table.
#[derive(Clone, Debug)]
pub struct Classifier {
    secret: Secret,
    /// Tables with rules: highest priority and number, in the order of a search.
    order: Vec<(Reverse<u16>, u32)>,
    tables: Vec<Table>,
    masks: Vec<Mask>,
    /// Numbers of tables by the hash of their mask.
    table_numbers: FxHashMap<u64, Few<u32>>,
    /// Numbers of masks by their hash.
    mask_numbers: FxHashMap<u64, Few<u32>>,
    /// Numbers that nobody has.
    free_tables: Vec<u32>,
    free_masks: Vec<u32>,
    /// Masks that had no rules when they were noted here, the oldest first.
    idle_masks: Vec<u32>,
    masks_in_use: usize,
    /// Which mask is tidied next.
    next_mask: usize,
    len: usize,
    /// The parts of conjunctive matches, if there are any.
    parts: Option<Box<Classifier>>,
    /// Rules that are not in a table, as one with the same match is better.
    hidden: Hidden,
    /// Whether there are such, see [`Hidden`]: not of parts.
    hides: bool,
}

/// The mask of some rules.
#[derive(Clone, Debug)]
struct Mask {
    words: Words,
    /// Number of rules.
    len: usize,
    /// Where they may be, from the coarsest mask to their own.
    places: SmallVec<[Place; 4]>,
}

#[derive(Clone, Debug)]
struct Place {
    table: u32,
    /// Number of the mask's rules that are there.
    len: usize,
}

/// Where a rule is.
struct Found {
    /// Which of its mask's places.
    at: usize,
    /// That place's table.
    table: u32,
    /// Where in the table.
    within: usize,
    /// The rule's priority.
    priority: u16,
}

impl Mask {
    fn is_of(&self, matching: &Match) -> bool {
        let words = matching.words().iter().map(|w| (w.index, w.mask));
        words.eq(self.words.iter().map(|w| (w.index, w.mask)))
    }
}

impl Classifier {
    /// One without rules, whose hashes are this secret's.
    pub fn new(secret: Secret) -> Classifier {
        Classifier {
            secret,
            order: Vec::new(),
            tables: Vec::new(),
            masks: Vec::new(),
            table_numbers: FxHashMap::default(),
            mask_numbers: FxHashMap::default(),
            free_tables: Vec::new(),
            free_masks: Vec::new(),
            idle_masks: Vec::new(),
            masks_in_use: 0,
            next_mask: 0,
            len: 0,
            parts: None,
            hidden: Hidden::default(),
            hides: true,
        }
    }
    /// The hash of a match's mask.
    fn hash_of(&self, matching: &Match) -> u64 {
        let words = matching.words().iter().map(|w| (w.index, w.mask));
        hash_of_mask(&self.secret, words)
    }
    /// The hash of a mask.
    fn hash_of_words(&self, words: &Words) -> u64 {
        hash_of_mask(&self.secret, words.iter().map(|w| (w.index, w.mask)))
    }
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
            let secret = self.secret;
            let parts = self.parts.get_or_insert_with(|| {
                let hides = false;
                Box::new(Classifier {
                    hides,
                    ..Classifier::new(secret)
                })
            });
            parts.insert_ordinary(rule);
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
        let has = |classifier: &Classifier| {
            classifier.mask_number(matching).is_some_and(|number| {
                let found = classifier.find(number, matching, priority);
                found.is_some_and(|found| found.priority == priority)
                    || classifier
                        .hidden
                        .has(classifier.under(number, matching), matching, priority)
            })
        };
        has(self) || self.parts.as_deref().is_some_and(has)
    }
    fn remove_part(&mut self, rule: &Rule) -> Option<Arc<Rule>> {
        let parts = self.parts.as_mut()?;
        let removed = parts.remove_ordinary(rule);
        if parts.len == 0 {
            self.parts = None;
        }
        removed
    }
    fn mask_number(&self, matching: &Match) -> Option<u32> {
        let numbers = self.mask_numbers.get(&self.hash_of(matching))?;
        let is = |number: &&u32| self.masks[**number as usize].is_of(matching);
        numbers.iter().find(is).copied()
    }
    /// What hidden rules with this match are found by.
    fn under(&self, number: u32, matching: &Match) -> Under {
        let words = &self.masks[number as usize].words;
        (number, hash_of_match(words, matching.words()))
    }
    /// Where a rule is; if rules hide others, that with this match, whatever its priority.
    fn find(&self, number: u32, matching: &Match, priority: u16) -> Option<Found> {
        let is = |entry: &Entry| {
            (self.hides || entry.priority == priority) && entry.rule.matching == *matching
        };
        let places = self.masks[number as usize].places.iter().enumerate();
        let mut used = places.filter(|(_, place)| place.len > 0);
        used.find_map(|(at, place)| {
            let table = &self.tables[place.table as usize];
            let within = table.find(hash_of_match(&table.words, matching.words()), is)?;
            Some(Found {
                at,
                table: place.table,
                within,
                priority: table.at(within)?.priority,
            })
        })
    }
    fn insert_ordinary(&mut self, rule: Arc<Rule>) {
        let number = self.mask_number(&rule.matching);
        let number = number.unwrap_or_else(|| self.add_mask(&rule.matching));
        if let Some(found) = self.find(number, &rule.matching, rule.priority) {
            let worse = match rule.priority >= found.priority {
                true => self.exchange(&found, rule.clone()),
                false => Some(rule.clone()),
            };
            if let Some(worse) = worse.filter(|_| rule.priority != found.priority) {
                self.len += usize::from(self.hide(number, worse));
            }
            return;
        }
        let mask = &self.masks[number as usize];
        let (at, hash) = self.place(mask, &rule.matching);
        self.masks_in_use += usize::from(mask.len == 0);
        self.len += 1;
        self.put(number, at, hash, rule);
        self.tidy();
    }
    /// Keeps a rule than which another one with the same match is better. `false`: in the place of one with the same priority.
    fn hide(&mut self, number: u32, rule: Arc<Rule>) -> bool {
        let under = self.under(number, &rule.matching);
        self.hidden.insert(under, rule).is_none()
    }
    /// Puts a rule in the place of one with the same match.
    fn exchange(&mut self, found: &Found, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        self.change(found.table, |table| table.exchange(found.within, rule))
    }
    /// Puts a rule into one of its mask's places.
    fn put(&mut self, number: u32, at: usize, hash: u32, rule: Arc<Rule>) {
        let mask = &mut self.masks[number as usize];
        let is_foreign = at + 1 < mask.places.len();
        let check = match is_foreign {
            true => hash_of_match(&mask.words, rule.matching.words()),
            false => hash,
        };
        mask.len += 1;
        mask.places[at].len += 1;
        let table = mask.places[at].table;
        let entry = Entry::new(rule, check, number);
        self.change(table, |table| {
            table.foreign += usize::from(is_foreign);
            table.insert(hash, entry);
        });
    }
    /// Takes the rule that was found there out of one of its mask's places.
    fn take(&mut self, number: u32, at: usize, found: usize) -> Option<Arc<Rule>> {
        let mask = &mut self.masks[number as usize];
        mask.len -= 1;
        mask.places[at].len -= 1;
        let table = mask.places[at].table;
        let is_foreign = at + 1 < mask.places.len();
        let taken = self.change(table, |table| {
            table.foreign -= usize::from(is_foreign);
            table.remove(found)
        });
        taken.map(|entry| entry.rule)
    }
    /// Looks at the next mask: what it has in small tables moves to coarser ones where there is room, so that no table
    /// stays for a few rules that came while there were few masks, or while others were there.
    fn tidy(&mut self) {
        if self.masks_in_use <= FEW_MASKS {
            return;
        }
        self.next_mask = (self.next_mask + 1) % self.masks.len();
        let (number, mask) = (self.next_mask as u32, &self.masks[self.next_mask]);
        for at in 1..mask.places.len() {
            let place = &self.masks[number as usize].places[at];
            let table = &self.tables[place.table as usize];
            if place.len == 0 || table.len() > SMALL_TABLE {
                continue;
            }
            let mask = &self.masks[number as usize];
            let rules = table.rules().filter(|rule| mask.is_of(&rule.matching));
            let rules: SmallVec<[Arc<Rule>; 8]> = rules.cloned().collect();
            rules.iter().for_each(|rule| self.lift(number, at, rule));
        }
    }
    /// Moves a rule to a coarser place than `at`, if there is room.
    fn lift(&mut self, number: u32, at: usize, rule: &Arc<Rule>) {
        let mask = &self.masks[number as usize];
        let words = rule.matching.words();
        let room = mask.places[..at]
            .iter()
            .enumerate()
            .find_map(|(to, place)| {
                let table = &self.tables[place.table as usize];
                let hash = hash_of_match(&table.words, words);
                let has_room = table.len() > 0 && table.count(hash) < LIFTED_CROWD;
                has_room.then_some((to, hash))
            });
        let Some((to, hash)) = room else {
            return;
        };
        let table = &self.tables[mask.places[at].table as usize];
        let is = |entry: &Entry| Arc::ptr_eq(&entry.rule, rule);
        if let Some(found) = table.find(hash_of_match(&table.words, words), is)
            && let Some(rule) = self.take(number, at, found)
        {
            self.put(number, to, hash, rule);
        }
    }
    /// Which of its mask's places a new rule takes, and its hash there.
    fn place(&self, mask: &Mask, matching: &Match) -> (usize, u32) {
        let own = mask.places.len() - 1;
        let is_alone = self.masks_in_use <= FEW_MASKS
            || mask.len >= MANY_RULES && mask.len * LARGE_PART >= self.len;
        let hash = |at: usize| {
            let table = &self.tables[mask.places[at].table as usize];
            hash_of_match(&table.words, matching.words())
        };
        if is_alone {
            return (own, hash(own));
        }
        let mut best = (usize::MAX, own, 0);
        for at in 0..=own {
            let (hash, table) = (hash(at), &self.tables[mask.places[at].table as usize]);
            let crowd = table.count(hash);
            let is_new = table.len() == 0;
            if crowd < CROWD && !is_new {
                return (at, hash);
            }
            let cost = crowd + if is_new { NEW_TABLE } else { 0 };
            if cost < best.0 {
                best = (cost, at, hash);
            }
        }
        (best.1, best.2)
    }
    fn remove_ordinary(&mut self, rule: &Rule) -> Option<Arc<Rule>> {
        let number = self.mask_number(&rule.matching)?;
        let found = self.find(number, &rule.matching, rule.priority)?;
        let under = self.under(number, &rule.matching);
        if found.priority != rule.priority {
            let removed = self.hidden.remove(under, &rule.matching, rule.priority)?;
            self.len -= 1;
            return Some(removed);
        }
        self.len -= 1;
        if let Some(next) = self.hidden.take_best(under, &rule.matching) {
            return self.exchange(&found, next);
        }
        let removed = self.take(number, found.at, found.within);
        if self.masks[number as usize].len == 0 {
            self.masks_in_use -= 1;
            self.rest(number);
        }
        self.tidy();
        removed
    }
    /// A mask has no more rules. It is kept for a while, as a rule that is replaced goes and comes back.
    fn rest(&mut self, number: u32) {
        if self.idle_masks.contains(&number) {
            return;
        }
        if self.idle_masks.len() >= IDLE_MASKS {
            let oldest = self.idle_masks.remove(0);
            if self.masks[oldest as usize].len == 0 {
                self.remove_mask(oldest);
            }
        }
        self.idle_masks.push(number);
    }
    /// Changes a table, and puts it where it then belongs in the order of a search.
    fn change<T>(&mut self, number: u32, change: impl FnOnce(&mut Table) -> T) -> T {
        let table = &mut self.tables[number as usize];
        let before = table.highest();
        let result = change(table);
        let after = table.highest();
        if before != after {
            if let Some(before) = before
                && let Ok(at) = self.order.binary_search(&(Reverse(before), number))
            {
                self.order.remove(at);
            }
            if let Some(after) = after
                && let Err(at) = self.order.binary_search(&(Reverse(after), number))
            {
                self.order.insert(at, (Reverse(after), number));
            }
        }
        result
    }
    fn add_mask(&mut self, matching: &Match) -> u32 {
        let words = words_of(&self.secret, matching);
        let ladder = ladder(&words).into_iter();
        let places = ladder.map(|words| Place {
            table: self.use_table(words),
            len: 0,
        });
        let mask = Mask {
            places: places.collect(),
            words,
            len: 0,
        };
        let number = keep(&mut self.masks, &mut self.free_masks, mask);
        let hash = self.hash_of(matching);
        let numbers = self.mask_numbers.entry(hash).or_default();
        numbers.insert(0, number);
        number
    }
    fn remove_mask(&mut self, number: u32) {
        let hash = self.hash_of_words(&self.masks[number as usize].words);
        let mask = &mut self.masks[number as usize];
        let places = std::mem::take(&mut mask.places);
        forget(&mut self.mask_numbers, hash, number);
        self.free_masks.push(number);
        for place in places {
            let table = &mut self.tables[place.table as usize];
            table.users -= 1;
            if table.users == 0 {
                let words = std::mem::take(table).words;
                let hash = self.hash_of_words(&words);
                forget(&mut self.table_numbers, hash, place.table);
                self.free_tables.push(place.table);
            }
        }
    }
    /// The table with this mask, which now has one user more.
    fn use_table(&mut self, words: Words) -> u32 {
        let hash = self.hash_of_words(&words);
        let numbers = self.table_numbers.entry(hash).or_default();
        let is = |number: &&u32| self.tables[**number as usize].words == words;
        let number = numbers.iter().find(is).copied().unwrap_or_else(|| {
            let number = keep(&mut self.tables, &mut self.free_tables, Table::new(words));
            numbers.insert(0, number);
            number
        });
        self.tables[number as usize].users += 1;
        number
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
        parts.all(key, above(best), |rule| found.push(rule));
        resolve(found, key, |key| self.lookup_ordinary(key)).or(best)
    }
    #[inline]
    fn lookup_ordinary(&self, key: &Key) -> Option<&Arc<Rule>> {
        let mut best: Option<&Arc<Rule>> = None;
        // What a rule's priority has to reach.
        let mut bar = 0;
        for &(Reverse(highest), number) in &self.order {
            if u32::from(highest) < bar {
                break;
            }
            let table = &self.tables[number as usize];
            let is_own = table.foreign == 0;
            table.each_of_key(key, |entry| {
                if u32::from(entry.priority) >= bar
                    && (is_own || self.may_match(entry, key))
                    && entry.rule.matching.matches(key)
                {
                    bar = u32::from(entry.priority) + 1;
                    best = Some(&entry.rule);
                }
            });
        }
        best
    }
    /// Whether the key has the entry's hash under the entry's own mask.
    #[inline(always)]
    fn may_match(&self, entry: &Entry, key: &Key) -> bool {
        entry.mask == u16::MAX
            || (hash_of_key(&self.masks[usize::from(entry.mask)].words, key) >> 16) as u16
                == entry.check
    }
    /// All ordinary rules that match, and have at least this priority.
    fn all<'a>(&'a self, key: &Key, bar: u32, mut f: impl FnMut(&'a Arc<Rule>)) {
        let has_better = |(highest, _): &&(Reverse<u16>, u32)| u32::from(highest.0) >= bar;
        for &(_, number) in self.order.iter().take_while(has_better) {
            let table = &self.tables[number as usize];
            let is_own = table.foreign == 0;
            table.each_of_key(key, |entry| {
                if u32::from(entry.priority) >= bar
                    && (is_own || self.may_match(entry, key))
                    && entry.rule.matching.matches(key)
                {
                    f(&entry.rule);
                }
            });
        }
    }
    /// The same for a packet that is no Ethernet frame: a match that looks at headers and says nothing of the packet's type
    /// is not for it.
    #[cold]
    pub fn lookup_bare(&self, key: &Key) -> Option<&Arc<Rule>> {
        let ordinary = |key: &Key| {
            let mut best: Option<&Arc<Rule>> = None;
            self.all(key, 0, |rule| {
                if !rule.matching.implies_ethernet()
                    && best.is_none_or(|best| best.priority < rule.priority)
                {
                    best = Some(rule);
                }
            });
            best
        };
        let best = ordinary(key);
        let mut parts = SmallVec::new();
        if let Some(all) = &self.parts {
            all.all(key, above(best), |rule| {
                if !rule.matching.implies_ethernet() {
                    parts.push(rule);
                }
            });
        }
        resolve(parts, key, ordinary).or(best)
    }
    /// How many tables of hashes a search looks into to find this, give or take one: those that could have a better rule,
    /// and one that has this.
    pub fn probes(&self, found: Option<&Arc<Rule>>) -> usize {
        let Some(rule) = found else {
            return self.order.len();
        };
        let could_beat = |(highest, _): &(Reverse<u16>, u32)| highest.0 > rule.priority;
        (self.order.partition_point(could_beat) + 1).min(self.order.len())
    }
    /// All rules, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> + Clone {
        let parts = self.parts.iter().flat_map(|parts| &parts.tables);
        let tables = self.tables.iter().chain(parts);
        tables.flat_map(Table::rules).chain(self.hidden.iter())
    }
}

/// The least priority that is better than this rule's.
fn above(best: Option<&Arc<Rule>>) -> u32 {
    best.map_or(0, |best| u32::from(best.priority) + 1)
}

/// Puts a value where there is room; its number.
fn keep<T>(all: &mut Vec<T>, free: &mut Vec<u32>, value: T) -> u32 {
    match free.pop() {
        Some(number) => {
            all[number as usize] = value;
            number
        }
        None => {
            all.push(value);
            (all.len() - 1) as u32
        }
    }
}

/// Removes a number from a list of these.
fn forget(numbers: &mut FxHashMap<u64, Few<u32>>, hash: u64, number: u32) {
    if let Some(same) = numbers.get_mut(&hash) {
        if let Some(at) = same.iter().position(|other| *other == number) {
            same.remove(at);
        }
        if same.is_empty() {
            numbers.remove(&hash);
        }
    }
}
