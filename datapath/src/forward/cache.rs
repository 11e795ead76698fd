//! The exact-match cache of one worker: from what a bridge's rules look at in a packet, to its program.
//!
//! What: a set-associative table of fixed size. Two bytes of the hash per way, which are compared at once; beside it one line with what
//! a plain packet looks like and all that is to be known of most programs. The masked key words of other packets have lines of
//! their own; a program itself is kept only if that is not all.
//! Validity: an entry is good while its bridge's plan, settings and ports are as they were, and what changed in the
//! tables that its program visited is about other packets. It is checked once per published version, when it is used.
//! Why it cannot hurt: a packet that is not in it is walked through the tables by this worker itself. Where entries would be
//! replaced in vain, hardly any is (`duel`). Programs
//! of many steps do not make it large: when they take too much memory, it begins anew.

use super::duel::Duel;
use super::program::{Course, Overlay, Program, Step, Visit, only_output};
use crate::model::id::{PortId, RuleId};
use crate::model::plan::{INGRESS, ROW};
use crate::model::stats::{bridge_of, table_index};
use crate::model::{BridgeId, BridgeView, Snapshot};
use flow::extract::{Layout, PlainWords};
use ofp::key::{Key, WORDS};
use ofp::types::TableId;
use packet::bpdu;

const WAYS: usize = 8;
/// Entries: several times the flows that it is meant for, as sets that are full lose some of theirs each
/// time round. Measured with 8,000 five-tuple rules and flows: 390 cycles per packet with 8,192 entries,
/// 261 with these.
pub const ENTRIES: usize = 32_768;

/// Bytes that the programs may take, for each entry, of which most need a few hundred. A smaller cache has the room of one with
/// [`ENTRIES`].
const PROGRAM_ROOM: usize = 4096;

/// Words that are hashed and compared at once: a line of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub struct Line(pub [u64; ROW]);

/// What a program is looked for by.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// What [`pack`] or [`PlainRow`] wrote.
    pub row: &'a [Line],
    /// Of that.
    pub hash: u64,
    /// The packet's bridge.
    pub bridge: BridgeId,
    /// The bridge.
    pub view: &'a BridgeView,
    /// What was published last.
    pub snapshot: &'a Snapshot,
    /// The packet's key, if it is known: without, what was found for an older version is not found.
    pub key: Option<&'a Key>,
}

/// What a row is true for: the bridge with its plan, or the continuation with which the packet goes on there (0: it begins), which belongs to
/// one plan.
#[inline]
pub fn context(bridge: BridgeId, continuation: u64, view: &BridgeView) -> u64 {
    match continuation {
        0 => view.plan.generation ^ u64::from(bridge.0) << 46,
        id => id | 1 << 63,
    }
}

/// Says that a context's row is one of [`PlainRow`]: the bit above a bridge's number.
const PLAIN: u64 = 1 << 62;

/// Odd numbers without a pattern.
const KEYS: [u64; ROW] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
];

/// Two words as one: a product of which each half depends on all bits of both, and the two halves of which meet.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Of a line: pairs, each with keys of its own. They do not wait for one another, as a chain of eight would.
#[inline(always)]
fn hash_of(Line([a, b, c, d, e, f, g, h]): &Line) -> u64 {
    let [ka, kb, kc, kd, ke, kf, kg, kh] = KEYS;
    let (one, two) = (fold(a ^ ka, b ^ kb), fold(c ^ kc, d ^ kd));
    let (three, four) = (fold(e ^ ke, f ^ kf), fold(g ^ kg, h ^ kh));
    one ^ two.rotate_left(11) ^ three.rotate_left(23) ^ four.rotate_left(37)
}

/// The hash of a row from those of its lines: its low half says the set, its upper end the tag, which is never 0.
#[inline(always)]
fn settle(hash: u64) -> u64 {
    let hash = hash.wrapping_mul(KEYS[0]);
    (hash ^ hash >> 32) | 1 << 63
}

/// Fills a row with its context and what a bridge's rules look at in a packet: `plan` says which bits of which of `words`. Returns its
/// hash. Never 0.
#[inline]
pub fn pack(context: u64, plan: &[(u8, u64)], words: &[u64; WORDS], row: &mut [Line]) -> u64 {
    let mut hash = 0u64;
    let mut context = Some(context);
    for (line, part) in row.iter_mut().zip(plan.as_chunks::<ROW>().0) {
        line.0 = part.map(|(index, mask)| words.get(usize::from(index)).map_or(0, |w| w & mask));
        if let Some(context) = context.take() {
            line.0[0] = context;
        }
        hash = hash.rotate_left(29) ^ hash_of(line);
    }
    settle(hash)
}

/// What all plain packets that come in at one place have in common.
#[derive(Clone, Copy)]
pub struct PlainRow {
    context: u64,
    in_port: u64,
    /// Of these two.
    hash: u64,
    masks: PlainWords,
}

impl PlainRow {
    /// For packets with this context, see [`context`], and this word of the ingress port.
    pub fn new(context: u64, in_port: u64, view: &BridgeView) -> PlainRow {
        let (context, in_port) = (context | PLAIN, in_port & INGRESS.1);
        PlainRow {
            context,
            in_port,
            hash: fold(context ^ KEYS[4], in_port ^ KEYS[5]),
            masks: view.plan.plain,
        }
    }
    /// What of these words matters.
    #[inline(always)]
    pub fn masked(&self, [a, b, c, d]: &PlainWords) -> PlainWords {
        let [ma, mb, mc, md] = &self.masks;
        [a & ma, b & mb, c & mc, d & md]
    }
    /// The row for these words, which are masked: of a shape of its own, always one line.
    #[inline]
    pub fn line(&self, [a, b, c, d]: &PlainWords) -> Line {
        Line([self.context, self.in_port, *a, *b, *c, *d, 0, 0])
    }
    /// Of the row for these words, which are masked.
    #[inline(always)]
    pub fn hash(&self, [a, b, c, d]: &PlainWords) -> u64 {
        // Two keys, as these have registers.
        let [ka, kb, ..] = KEYS;
        let (one, two) = (fold(a ^ ka, b ^ kb), fold(c ^ kb, d ^ ka));
        settle(self.hash ^ one ^ two.rotate_left(11))
    }
}

/// Whether two rows are equal.
#[inline(always)]
fn is_same(ours: &[Line], theirs: &[Line]) -> bool {
    ours.iter()
        .zip(theirs)
        .all(|(ours, theirs)| is_same_line(ours, theirs))
}

/// The same for one line: all words, and one jump.
#[inline(always)]
fn is_same_line(Line(ours): &Line, Line(theirs): &Line) -> bool {
    (0..ROW).fold(0, |differ, word| differ | ours[word] ^ theirs[word]) == 0
}

/// The port, the table's counters and the rule of a program that is what most are: one rule of one table, looked up with the key
/// that the packet arrived with, outputs the packet as it is.
fn output_of(bridge: BridgeId, program: &Program) -> Option<(PortId, usize, RuleId)> {
    let (port, tunnel) = only_output(&program.steps)?;
    let (
        [
            Visit {
                table,
                rule: Some(rule),
                looked_up: Some(others),
                ..
            },
        ],
        [],
    ) = (program.visits.as_slice(), program.watched.as_slice())
    else {
        return None;
    };
    let is_whole = tunnel.is_empty() && program.spare == 0 && program.bpdu == bpdu::Kind::None;
    let is_lookup = *table != TableId::ALL && others.is_empty();
    (is_whole && is_lookup).then_some((port, table_index(bridge, *table), *rule))
}

/// Says that a program is not one output. No port has this number.
pub const NO_PORT: u32 = u32::MAX;

/// The one row of a plain packet, if this is one: see [`PlainRow::line`].
#[inline(always)]
fn plain_row(row: &[Line]) -> Option<&[u64; ROW]> {
    row.first()
        .map(|Line(line)| line)
        .filter(|line| line[0] & PLAIN != 0)
}

/// What is looked at for each packet: a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Head {
    /// The row of a plain packet: its words, context and ingress port. The context of others is 0: their rows are elsewhere.
    words: PlainWords,
    context: u64,
    in_port: u32,
    /// The program is one rule of one table that outputs the packet as it is by this port, and is not kept; or it is something
    /// else: [`NO_PORT`].
    pub port: u32,
    /// The counters of the table that is looked up, or of one of the bridge's.
    pub table: u32,
    /// The rule.
    pub rule: RuleId,
    /// The published version that it was last found valid for.
    checked: u64,
}

// One line.
const _: [(); 64] = [(); size_of::<Head>()];

impl Head {
    /// Whether the table still says the same to a packet with this key as after this change.
    #[inline(never)]
    fn is_true(&self, generation: u64, view: &BridgeView, key: &Key) -> bool {
        let table = view.tables.get(self.table as usize % 256);
        table.is_some_and(|table| {
            let is_about = |index: u8| key.0[usize::from(index)];
            table.generation <= generation || !table.recent.is_about(generation, is_about)
        })
    }
    /// Whether it is a plain packet's with this row.
    #[inline(always)]
    fn is_of([context, in_port, words @ .., _, _]: &[u64; ROW], head: &Head) -> bool {
        let theirs = [*context, in_port >> 32];
        head.words == *words && [head.context, u64::from(head.in_port)] == theirs
    }
    const NONE: Head = Head {
        words: [0; 4],
        context: 0,
        in_port: 0,
        checked: 0,
        port: NO_PORT,
        table: 0,
        rule: RuleId(0),
    };
    fn new(query: &Query<'_>, program: &Program) -> Head {
        let other = || {
            (
                PortId(NO_PORT),
                table_index(query.bridge, TableId(0)),
                RuleId(0),
            )
        };
        let (port, table, rule) = output_of(query.bridge, program).unwrap_or_else(other);
        let [context, in_port, a, b, c, d, ..] = plain_row(query.row).unwrap_or(&[0; ROW]);
        Head {
            words: [*a, *b, *c, *d],
            context: *context,
            in_port: (in_port >> 32) as u32,
            checked: query.snapshot.version,
            port: port.0,
            table: table as u32,
            rule,
        }
    }
}

/// See the file's description.
pub struct Cache {
    /// The upper ends of the hashes; 0 is an empty way.
    tags: Box<[Tags]>,
    heads: Box<[Head]>,
    /// The last change that each was found valid after.
    generations: Box<[u64]>,
    programs: Box<[Program]>,
    /// `stride` lines per entry that is not a plain packet's.
    rows: Box<[Line]>,
    stride: usize,
    /// Ways of a set that are used: all, unless it is a cache of fewer.
    room: usize,
    next_victim: usize,
    duel: Duel,
    /// Bytes that the programs take.
    memory: usize,
    max_memory: usize,
    /// How often it began anew: what was found before is not there any more.
    pub cleared: u64,
    /// How many programs it was given: an entry's may be another one after each.
    pub inserted: u64,
}

/// One set's, eight times two bytes. Way 0 is at the bottom of the second word, way 1 of the first one, and so on in turns.
#[derive(Clone, Copy, Default)]
#[repr(align(16))]
struct Tags([u64; 2]);

impl Tags {
    const fn place(way: usize) -> (usize, usize) {
        (1 - way % 2, way / 2 * 16)
    }
    fn set(&mut self, way: usize, tag: u16) {
        let (word, shift) = Self::place(way);
        let word = &mut self.0[word];
        *word = *word & !(0xffff << shift) | u64::from(tag) << shift;
    }
    /// The ways with this tag, a byte each, way 0 lowest; a way above one of these may be there too.
    #[inline(always)]
    fn ways(&self, tag: u16) -> u64 {
        const ONES: u64 = 0x0001_0001_0001_0001;
        // The top bit of each part that is zero: without a jump, and without a register for each way (14 instructions instead
        // of 38).
        let equal = |word: u64| {
            let differ = word ^ (u64::from(tag) * ONES);
            differ.wrapping_sub(ONES) & !differ & ONES << 15
        };
        equal(self.0[0]) | equal(self.0[1]) >> 8
    }
}

/// Where the entries of a cache may be.
#[derive(Clone, Copy)]
pub struct Sets<'c>(&'c [Tags]);

impl Sets<'_> {
    #[inline(always)]
    fn set_of(self, hash: u64) -> usize {
        hash as usize & (self.0.len() - 1)
    }
    /// The ways that may hold it, a byte each. Ask for all packets of a burst, then [`Cache::find_in`]: the memory that
    /// they need is waited for only once.
    #[inline(always)]
    fn ways(self, hash: u64) -> u64 {
        self.0[self.set_of(hash)].ways(Cache::tag_of(hash))
    }
    /// The one entry that may be a plain packet's, to be looked at by [`Cache::is_plain`]: of any number, if there is none.
    #[inline(always)]
    pub fn likely(self, hash: u64) -> u32 {
        let way = self.ways(hash).trailing_zeros() as usize / 8;
        (self.set_of(hash) * WAYS + way) as u32
    }
}

impl Cache {
    /// An empty cache of at least this many entries; of so many, if they are fewer than a set has. With 0 nothing that is
    /// inserted is found.
    pub fn new(entries: usize) -> Cache {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Cache {
            tags: vec![Tags::default(); sets].into(),
            heads: vec![Head::NONE; sets * WAYS].into(),
            generations: vec![0; sets * WAYS].into(),
            programs: (0..sets * WAYS).map(|_| Program::default()).collect(),
            rows: Box::default(),
            stride: 0,
            room: entries.min(WAYS),
            next_victim: 0,
            duel: Duel::default(),
            memory: 0,
            max_memory: entries.max(ENTRIES) * PROGRAM_ROOM,
            cleared: 0,
            inserted: 0,
        }
    }
    /// Makes room for rows of this many lines. Called when a new version is seen, not per packet.
    pub fn reserve(&mut self, lines: usize) {
        if lines > self.stride {
            self.stride = lines;
            self.rows = vec![Line::default(); lines * self.heads.len()].into();
            self.tags.fill(Tags::default());
        }
    }
    /// Lines that a row may have.
    #[inline]
    pub fn stride(&self) -> usize {
        self.stride
    }
    #[inline]
    fn set_of(&self, hash: u64) -> usize {
        self.sets().set_of(hash)
    }
    #[inline]
    fn tag_of(hash: u64) -> u16 {
        (hash >> 48) as u16
    }
    /// The ways that may hold it, a byte each. Ask for all packets of a burst, then [`Cache::find_in`]: the memory that
    /// they need is waited for only once.
    #[inline(always)]
    pub fn ways(&self, hash: u64) -> u64 {
        self.sets().ways(hash)
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
            let head = &mut self.heads[index];
            let is_it = match plain_row(query.row) {
                Some(row) => Head::is_of(row, head),
                None => head.context == 0 && is_same(query.row, &self.rows[index * self.stride..]),
            };
            if !is_it {
                continue;
            }
            if head.checked != query.snapshot.version {
                let (key, view) = (query.key?, query.view);
                let generation = &mut self.generations[index];
                let is_true = view.generation <= *generation
                    && match head.port {
                        NO_PORT => renew_all(&mut self.programs[index], view, key),
                        _ => head.is_true(*generation, view, key),
                    };
                if !is_true {
                    self.tags[set].set(way, 0);
                    return None;
                }
                head.checked = query.snapshot.version;
                *generation = query.snapshot.generation();
            }
            return Some(index);
        }
        None
    }
    /// Where entries may be.
    #[inline]
    pub fn sets(&self) -> Sets<'_> {
        Sets(&self.tags)
    }
    /// Whether this entry is that of a plain packet with these words, which are masked, and was checked for this version.
    #[inline(always)]
    pub fn is_plain(&self, entry: u32, row: &PlainRow, words: &PlainWords, version: u64) -> bool {
        self.get(entry).is_some_and(|head| {
            let ([a, b, c, d], [e, f, g, h]) = (head.words, words);
            let differ = a ^ e | b ^ f | c ^ g | d ^ h;
            let in_port = u64::from(head.in_port) ^ row.in_port >> 32;
            differ | head.context ^ row.context | in_port | head.checked ^ version == 0
        })
    }
    /// Whether the program of a packet that was not found is worth a place. Ask once for each.
    pub fn admits(&mut self, hash: u64) -> bool {
        let set = self.set_of(hash);
        self.room > 0 && (self.free_way(hash).is_some() || self.duel.replaces(set, self.tags.len()))
    }
    /// The way that something new takes without loss: an empty one, or that of what it replaces.
    fn free_way(&self, hash: u64) -> Option<usize> {
        let tags = &self.tags[self.set_of(hash)];
        let free = tags.ways(0) | tags.ways(Self::tag_of(hash));
        // Of no ways, beyond all of them.
        let first = free.trailing_zeros() as usize / 8;
        (first < self.room).then_some(first)
    }
    /// Keeps a program; `program` gets an old one's memory in exchange, unless its head says it all.
    pub fn insert(&mut self, query: &Query<'_>, program: &mut Program) -> usize {
        self.inserted += 1;
        let head = Head::new(query, program);
        if head.port == NO_PORT {
            self.memory += program.memory();
            if self.memory > self.max_memory {
                self.cleared += 1;
                self.tags.fill(Tags::default());
                self.programs.fill_with(Program::default);
                self.memory = program.memory();
            }
        }
        let (set, wanted) = (self.set_of(query.hash), Self::tag_of(query.hash));
        let way = self.free_way(query.hash).unwrap_or_else(|| {
            self.next_victim = (self.next_victim + 1) % self.room.max(1);
            self.next_victim
        });
        if way < self.room {
            self.tags[set].set(way, wanted);
        }
        let index = set * WAYS + way;
        if head.context == 0 {
            self.rows[index * self.stride..][..query.row.len()].copy_from_slice(query.row);
        }
        self.heads[index] = head;
        self.generations[index] = query.snapshot.generation();
        if head.port == NO_PORT {
            self.memory -= self.programs[index].memory();
            std::mem::swap(&mut self.programs[index], program);
        }
        index
    }
    /// The bridge and the program of an entry that `find` or `insert` named, until the next `insert`; if its head does not say it all.
    #[inline]
    pub fn entry(&self, index: usize) -> (BridgeId, &Program) {
        (bridge_of(self.heads[index].table), &self.programs[index])
    }
    /// How the packets of an entry leave whose headers are there, if they all leave in one way.
    #[inline]
    pub fn course(&self, index: usize, layout: &Layout) -> Option<Course<'_>> {
        match self.heads.get(index)?.port {
            NO_PORT => self.programs.get(index)?.course(layout),
            port => Some(Course {
                meter: None,
                patch: None,
                port: PortId(port),
                tunnel: &Overlay::NOTHING,
            }),
        }
    }
    /// What is to be known first of an entry, if there is one of this number.
    #[inline(always)]
    pub fn get(&self, index: u32) -> Option<&Head> {
        self.heads.get(index as usize)
    }
    /// What is to be known first.
    #[inline]
    pub fn head(&self, index: usize) -> &Head {
        &self.heads[index]
    }
}

/// Whether all that a packet met still says the same to it.
#[inline(never)]
pub(super) fn renew_all(program: &mut Program, view: &BridgeView, key: &Key) -> bool {
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
        cache.reserve(1);
        let mut program = Program::default();
        for port in 0..400u64 {
            program.clear();
            program.steps.resize(16_384, Step::PopVlan);
            let mut key = Key::default();
            key.0[0] = port << 32;
            let mut row = [Line::default()];
            let query = Query {
                hash: pack(context(id, 0, view), &view.plan.row, &key.0, &mut row),
                row: &row,
                bridge: id,
                view,
                snapshot: &snapshot,
                key: Some(&key),
            };
            let index = cache.insert(&query, &mut program);
            assert_eq!(cache.find(&query), Some(index));
            assert_eq!(cache.entry(index).1.steps.len(), 16_384);
            assert!(cache.memory <= 128 << 20);
        }
        let held = cache.programs.iter().map(Program::memory);
        assert_eq!(held.sum::<usize>(), cache.memory);
    }
}
