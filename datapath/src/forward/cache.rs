//! The exact-match cache of one worker: from what a bridge's rules look at in a packet, to its program.
//!
//! What: a set-associative table of fixed size. Half of the hash per way, eight in half a line; beside it the masked key
//! words, and a line with all that most packets need of their program.
//! Validity: an entry is good while its bridge's plan, settings and ports are as they were, and what changed in the
//! tables that its program visited is about other packets. It is checked once per published version, when it is used.
//! Why it cannot hurt: a packet that is not in it is walked through the tables by this worker itself. Programs
//! of many steps do not make it large: when they take too much memory, it begins anew.

use super::program::{Program, Step, Visit};
use crate::model::id::{PortId, RuleId};
use crate::model::plan::ROW;
use crate::model::stats::table_index;
use crate::model::{BridgeId, BridgeView};
use ofp::key::Key;
use ofp::types::TableId;
use packet::bpdu;

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
    /// What [`pack`] wrote.
    pub row: &'a [u64],
    /// Of that.
    pub hash: u64,
    /// The packet's bridge.
    pub bridge: BridgeId,
    /// The bridge.
    pub view: &'a BridgeView,
    /// The published version.
    pub version: u64,
    /// The packet's key, if it is known: without, what was found for an older version is not found.
    pub key: Option<&'a Key>,
}

/// What a row is true for: the bridge with its plan, or the continuation with which the packet goes on there (0: it begins), which belongs to
/// one plan.
#[inline]
pub fn context(bridge: BridgeId, continuation: u64, view: &BridgeView) -> u64 {
    match continuation {
        0 => view.plan.generation ^ u64::from(bridge.0) << 47,
        id => id | 1 << 63,
    }
}

/// Fills a row with its context and what a bridge's rules look at in a packet: `plan` says which bits of which of `words`. Returns its
/// hash. Never 0.
#[inline(always)]
pub fn pack(context: u64, plan: &[(u8, u64)], words: &[u64], row: &mut [u64]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = context;
    if let Some((first, rest)) = row.split_first_mut() {
        *first = context;
        for (word, &(index, mask)) in rest.iter_mut().zip(plan) {
            *word = words[usize::from(index)] & mask;
            hash = (hash.rotate_left(23) ^ *word).wrapping_mul(MULTIPLIER);
        }
    }
    // A port stands at the top of its word, and a product's low bits know nothing of a factor's high ones:
    // mix once more, or flows that differ in ports alone share a set (8,000 five-tuple rules and flows: 390
    // cycles per packet instead of 470).
    hash = (hash ^ hash >> 32).wrapping_mul(MULTIPLIER);
    hash ^= hash >> 32;
    hash | 1 << 63
}

/// Whether two rows are equal.
#[inline(always)]
fn is_same(ours: &[u64], theirs: &[u64]) -> bool {
    let (ours, theirs) = (ours.as_chunks::<ROW>().0, theirs.as_chunks::<ROW>().0);
    ours.iter().zip(theirs).all(|(a, b)| {
        let [a0, a1, a2, a3] = *a;
        let [b0, b1, b2, b3] = *b;
        a0 ^ b0 | a1 ^ b1 | a2 ^ b2 | a3 ^ b3 == 0
    })
}

/// What most programs are, so that they need not be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Something else.
    #[default]
    Program,
    /// One rule of one table outputs the packet as it is.
    Output {
        /// By this port.
        port: PortId,
        /// The table's counters.
        table: u32,
        /// The rule.
        rule: RuleId,
    },
}

impl Kind {
    fn of(bridge: BridgeId, program: &Program) -> Kind {
        let (steps, visits) = (program.steps.as_slice(), program.visits.as_slice());
        match (steps, visits) {
            (
                [
                    Step::Output {
                        port,
                        tunnel,
                        max_size: u32::MAX,
                        ..
                    },
                ],
                [
                    Visit {
                        table,
                        rule: Some(rule),
                        ..
                    },
                ],
            ) if tunnel.is_empty() && program.spare == 0 && program.bpdu == bpdu::Kind::None => {
                Kind::Output {
                    port: *port,
                    table: table_index(bridge, *table) as u32,
                    rule: *rule,
                }
            }
            _ => Kind::Program,
        }
    }
}

/// What is looked at for each packet: half a line.
#[derive(Default)]
#[repr(align(32))]
struct Head {
    /// Of the bridge's ports and settings.
    generation: u64,
    /// The published version that it was last found valid for.
    checked: u64,
    kind: Kind,
    bridge: BridgeId,
}

/// See the file's description.
pub struct Cache {
    /// The upper halves of the hashes; 0 is an empty way.
    tags: Box<[[u32; WAYS]]>,
    heads: Box<[Head]>,
    programs: Box<[Program]>,
    /// `stride` words per entry.
    rows: Box<[u64]>,
    stride: usize,
    /// Ways of a set that are used: all, unless it is a cache of fewer.
    room: usize,
    next_victim: usize,
    /// Bytes that the programs take.
    memory: usize,
    /// Counts what was inserted: entries that were found before may be others' since.
    pub inserted: u64,
}

impl Cache {
    /// An empty cache of at least this many entries; of so many, if they are fewer than a set has. With 0 nothing that is
    /// inserted is found.
    pub fn new(entries: usize) -> Cache {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Cache {
            tags: vec![[0; WAYS]; sets].into(),
            heads: (0..sets * WAYS).map(|_| Head::default()).collect(),
            programs: (0..sets * WAYS).map(|_| Program::default()).collect(),
            rows: Box::default(),
            stride: 0,
            room: entries.min(WAYS),
            next_victim: 0,
            memory: 0,
            inserted: 0,
        }
    }
    /// Makes room for rows of this many words. Called when a new version is seen, not per packet.
    pub fn reserve(&mut self, words: usize) {
        if words > self.stride {
            self.stride = words.next_multiple_of(8);
            self.rows = vec![0; self.stride * self.heads.len()].into();
            self.tags.fill([0; WAYS]);
        }
    }
    /// Words that a row may have.
    #[inline]
    pub fn stride(&self) -> usize {
        self.stride
    }
    #[inline]
    fn set_of(&self, hash: u64) -> usize {
        hash as usize & (self.tags.len() - 1)
    }
    #[inline]
    fn tag_of(hash: u64) -> u32 {
        (hash >> 32) as u32
    }
    /// The ways that may hold it, a byte each. Ask for all packets of a burst, then [`Cache::find_in`]: the memory that
    /// they need is waited for only once.
    #[inline(always)]
    pub fn ways(&self, hash: u64) -> u64 {
        let (tags, tag) = (&self.tags[self.set_of(hash)], Self::tag_of(hash));
        u64::from_le_bytes(tags.map(|other| u8::from(other == tag)))
    }
    /// The entry of a packet, if there is one and it is still true.
    #[inline]
    pub fn find(&mut self, query: &Query<'_>) -> Option<usize> {
        self.find_in(query, self.ways(query.hash))
    }
    /// The same among these ways.
    #[inline(always)]
    pub fn find_in(&mut self, query: &Query<'_>, mut ways: u64) -> Option<usize> {
        let set = self.set_of(query.hash);
        while ways != 0 {
            let way = ways.trailing_zeros() as usize / 8;
            ways &= ways - 1;
            let index = set * WAYS + way;
            if !is_same(query.row, &self.rows[index * self.stride..]) {
                continue;
            }
            let head = &mut self.heads[index];
            if head.checked != query.version {
                let key = query.key?;
                let program = &mut self.programs[index];
                if head.generation != query.view.generation || !renew_all(program, query.view, key)
                {
                    self.tags[set][way] = 0;
                    return None;
                }
                head.checked = query.version;
            }
            return Some(index);
        }
        None
    }
    /// Keeps a program; `program` gets an old one's memory in exchange.
    pub fn insert(&mut self, query: &Query<'_>, program: &mut Program) -> usize {
        self.inserted += 1;
        self.memory += program.memory();
        if self.memory > MAX_MEMORY {
            self.tags.fill([0; WAYS]);
            self.programs.fill_with(Program::default);
            self.memory = program.memory();
        }
        let (set, wanted) = (self.set_of(query.hash), Self::tag_of(query.hash));
        let stale = |tag: &u32| *tag == 0 || *tag == wanted;
        let ways = &mut self.tags[set][..self.room];
        let way = ways.iter().position(stale).unwrap_or_else(|| {
            self.next_victim = (self.next_victim + 1) % self.room.max(1);
            self.next_victim
        });
        if let Some(tag) = ways.get_mut(way) {
            *tag = wanted;
        }
        let index = set * WAYS + way;
        self.rows[index * self.stride..][..query.row.len()].copy_from_slice(query.row);
        self.heads[index] = Head {
            generation: query.view.generation,
            checked: query.version,
            bridge: query.bridge,
            kind: Kind::of(query.bridge, program),
        };
        self.memory -= self.programs[index].memory();
        std::mem::swap(&mut self.programs[index], program);
        index
    }
    /// The bridge and the program of an entry that `find` or `insert` named, until the next `insert`.
    #[inline]
    pub fn entry(&self, index: usize) -> (BridgeId, &Program) {
        (self.heads[index].bridge, &self.programs[index])
    }
    /// What its program is.
    #[inline]
    pub fn kind(&self, index: usize) -> Kind {
        self.heads[index].kind
    }
}

/// Whether all that a packet met still says the same to it.
#[inline(never)]
fn renew_all(program: &mut Program, view: &BridgeView, key: &Key) -> bool {
    renew(&mut program.visits, view, key)
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
    use ofp::key::Key;

    #[test]
    fn large_programs_take_bounded_memory() {
        let mut sim = Sim::new(Options::default());
        let id = sim.add_bridge("br0");
        let snapshot = sim.snapshot();
        let view = snapshot.bridge(id).expect("was added");
        let mut cache = Cache::new(512);
        cache.reserve(ROW);
        let mut program = Program::default();
        for port in 0..400u64 {
            program.clear();
            program.steps.resize(16_384, Step::PopVlan);
            let mut key = Key::default();
            key.0[0] = port << 32;
            let mut row = [0; ROW];
            let query = Query {
                hash: pack(context(id, 0, view), &view.plan.row, &key.0, &mut row),
                row: &row,
                bridge: id,
                view,
                version: 1,
                key: Some(&key),
            };
            let index = cache.insert(&query, &mut program);
            assert_eq!(cache.find(&query), Some(index));
            assert_eq!(cache.entry(index).1.steps.len(), 16_384);
            assert!(cache.memory <= MAX_MEMORY);
        }
        let held = cache.programs.iter().map(Program::memory);
        assert_eq!(held.sum::<usize>(), cache.memory);
    }
}
