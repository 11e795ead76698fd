//! The exact-match cache of one worker: from what a bridge's rules look at in a packet, to its program.
//!
//! What: a set-associative table of fixed size. A tag per way, eight in a line; beside it the masked
//! key words and the program. A packet probes one line, then compares one entry.
//! Validity: an entry is good while its bridge's plan, settings and ports are as they were, and what changed in the
//! tables that its program visited is about other packets. It is checked once per published version, when it is used.
//! Why it cannot hurt: a packet that is not in it is walked through the tables by this worker itself. Programs
//! of many steps do not make it large: when they take too much memory, it begins anew.

use super::program::{Program, Step, Visit};
use crate::model::{BridgeId, BridgeView};
use ofp::key::Key;
use ofp::types::TableId;

const WAYS: usize = 8;
/// Entries: several times the flows that it is meant for, as sets that are full lose some of theirs each
/// time round. Measured with 8,000 five-tuple rules and flows: 390 cycles per packet with 8,192 entries,
/// 261 with these.
pub const ENTRIES: usize = 32_768;

/// Bytes that the programs may take: 4 KiB for each of [`ENTRIES`], of which most need a few hundred.
const MAX_MEMORY: usize = 128 << 20;

/// What a program is looked for by.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// Of the rest, see [`hash`].
    pub hash: u64,
    /// The packet's bridge.
    pub bridge: BridgeId,
    /// The continuation with which the packet goes on there; 0: it begins.
    pub continuation: u64,
    /// The bridge.
    pub view: &'a BridgeView,
    /// The published version.
    pub version: u64,
    /// The packet's key.
    pub key: &'a Key,
}

impl Query<'_> {
    /// What the key's words are true for: the bridge's plan, or the continuation, which belongs to one plan.
    #[inline]
    fn context(&self) -> u64 {
        match self.continuation {
            0 => self.view.plan.generation,
            id => id | 1 << 63,
        }
    }
}

#[derive(Default)]
struct Entry {
    bridge: BridgeId,
    /// See [`Query::context`].
    context: u64,
    /// Of the bridge's ports and settings.
    generation: u64,
    /// The published version that it was last found valid for.
    checked: u64,
    program: Program,
}

/// See the file's description.
pub struct Cache {
    /// Hashes; 0 is an empty way.
    tags: Box<[[u64; WAYS]]>,
    entries: Box<[Entry]>,
    /// `stride` words per entry.
    words: Box<[u64]>,
    stride: usize,
    next_victim: usize,
    /// Bytes that the programs take.
    memory: usize,
}

/// The hash of what a bridge's rules look at in a packet that goes on with a continuation (0: it begins). Never 0.
#[inline]
pub fn hash(bridge: BridgeId, continuation: u64, view: &BridgeView, key: &Key) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = continuation << 16 ^ u64::from(bridge.0);
    for &(index, mask) in &view.plan.arrival {
        hash = (hash.rotate_left(23) ^ key.0[usize::from(index)] & mask).wrapping_mul(MULTIPLIER);
    }
    // A port stands at the top of its word, and a product's low bits know nothing of a factor's high ones:
    // mix once more, or flows that differ in ports alone share a set (8,000 five-tuple rules and flows: 390
    // cycles per packet instead of 470).
    hash = (hash ^ hash >> 32).wrapping_mul(MULTIPLIER);
    hash ^= hash >> 32;
    hash | 1 << 63
}

impl Cache {
    /// An empty cache of at least this many entries.
    pub fn new(entries: usize) -> Cache {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Cache {
            tags: vec![[0; WAYS]; sets].into(),
            entries: (0..sets * WAYS).map(|_| Entry::default()).collect(),
            words: Box::default(),
            stride: 0,
            next_victim: 0,
            memory: 0,
        }
    }
    /// Makes room for plans of this many words. Called when a new version is seen, not per packet.
    pub fn reserve(&mut self, words: usize) {
        if words > self.stride {
            self.stride = words.next_multiple_of(8);
            self.words = vec![0; self.stride * self.entries.len()].into();
            self.tags.fill([0; WAYS]);
        }
    }
    #[inline]
    fn set_of(&self, hash: u64) -> usize {
        hash as usize & (self.tags.len() - 1)
    }
    /// The entry of a packet, if there is one and it is still true.
    #[inline]
    pub fn find(&mut self, query: &Query<'_>) -> Option<usize> {
        let Query {
            hash, view, key, ..
        } = *query;
        let (set, context) = (self.set_of(hash), query.context());
        for way in 0..WAYS {
            if self.tags[set][way] != hash {
                continue;
            }
            let index = set * WAYS + way;
            let entry = &mut self.entries[index];
            if entry.bridge != query.bridge || entry.context != context {
                continue;
            }
            let words = &self.words[index * self.stride..][..view.plan.arrival.len()];
            let same = view.plan.arrival.iter().zip(words);
            if !same
                .into_iter()
                .all(|(&(index, mask), word)| key.0[usize::from(index)] & mask == *word)
            {
                continue;
            }
            if entry.checked != query.version {
                if !is_current(entry, view, key) {
                    self.tags[set][way] = 0;
                    return None;
                }
                entry.checked = query.version;
            }
            return Some(index);
        }
        None
    }
    /// Keeps a program; `program` gets an old one's memory in exchange.
    pub fn insert(&mut self, query: &Query<'_>, program: &mut Program) -> usize {
        let Query {
            hash, view, key, ..
        } = *query;
        self.memory += program.memory();
        if self.memory > MAX_MEMORY {
            self.tags.fill([0; WAYS]);
            self.entries.fill_with(Entry::default);
            self.memory = program.memory();
        }
        let set = self.set_of(hash);
        let stale = |tag: &u64| *tag == 0 || *tag == hash;
        let way = self.tags[set].iter().position(stale).unwrap_or_else(|| {
            self.next_victim = (self.next_victim + 1) % WAYS;
            self.next_victim
        });
        let index = set * WAYS + way;
        self.tags[set][way] = hash;
        let words = &mut self.words[index * self.stride..];
        for (word, &(at, mask)) in words.iter_mut().zip(&view.plan.arrival) {
            *word = key.0[usize::from(at)] & mask;
        }
        let entry = &mut self.entries[index];
        self.memory -= entry.program.memory();
        entry.bridge = query.bridge;
        entry.context = query.context();
        entry.generation = view.generation;
        entry.checked = query.version;
        std::mem::swap(&mut entry.program, program);
        index
    }
    /// The bridge and the program of an entry that `find` or `insert` named, until the next `insert`.
    #[inline]
    pub fn entry(&self, index: usize) -> (BridgeId, &Program) {
        let entry = &self.entries[index];
        (entry.bridge, &entry.program)
    }
}

fn is_current(entry: &mut Entry, view: &BridgeView, key: &Key) -> bool {
    let program = &mut entry.program;
    entry.generation == view.generation
        && renew(&mut program.visits, view, key)
        && renew(&mut program.watched, view, key)
        && program.steps.iter_mut().all(|step| match step {
            Step::Select(select) => {
                let mut branches = select.branches.iter_mut();
                branches.all(|branch| renew(&mut branch.visits, view, key))
            }
            _ => true,
        })
}

/// Whether the tables and groups that a packet visited still say the same to it.
fn renew(visits: &mut [Visit], view: &BridgeView, key: &Key) -> bool {
    visits.iter_mut().all(|visit| match visit.table {
        TableId::ALL => view.group_generation(visit.group) == visit.generation,
        table => match view.tables.get(usize::from(table.0)) {
            Some(table) => visit.renew(table, key),
            None => false,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Options, Sim};

    #[test]
    fn large_programs_take_bounded_memory() {
        let mut sim = Sim::new(Options::default());
        let id = sim.add_bridge("br0");
        let snapshot = sim.snapshot();
        let view = snapshot.bridge(id).expect("was added");
        let mut cache = Cache::new(512);
        cache.reserve(view.plan.arrival.len());
        let mut program = Program::default();
        for port in 0..400u64 {
            program.clear();
            program.steps.resize(16_384, Step::PopVlan);
            let mut key = Key::default();
            key.0[0] = port << 32;
            let query = Query {
                hash: hash(id, 0, view, &key),
                bridge: id,
                continuation: 0,
                view,
                version: 1,
                key: &key,
            };
            let index = cache.insert(&query, &mut program);
            assert_eq!(cache.find(&query), Some(index));
            assert_eq!(cache.entry(index).1.steps.len(), 16_384);
            assert!(cache.memory <= MAX_MEMORY);
        }
        let held = cache.entries.iter().map(|entry| entry.program.memory());
        assert_eq!(held.sum::<usize>(), cache.memory);
    }
}
