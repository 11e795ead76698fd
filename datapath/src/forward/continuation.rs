//! What remains of a walk where what happens to the packet decides what is looked up next: its fragments, or the
//! packet that they were, re-enter the pipeline with it and a fresh key. The one way to do that.
//!
//! What: `Walk::suspend` ends the branch of the walk that it is in (a clone's, or all of it) and keeps its remaining
//! actions, its action set and everything of the key that is not the packet's. `Walk::resume` goes on from there.
//! Why an id: a continuation belongs to a program, which is kept by the cache; so what comes after it can be kept too, by
//! the packet's key and this id. An id is never used twice: another program's continuation has another one.
//! Invariants: it owns what it needs, as rules may go while fragments are held. Its actions may look at fields
//! that no rule looks at any more, so what is not of the bridge's present plan is extracted in full and not cached.

use super::action_set::ActionSet;
use super::enter::begin;
use super::packet_type::bareness;
use super::pipeline::{Entry, Level, Outcome, Scope, Walk};
use super::program::Overlay;
use super::trace::Observer;
use crate::model::{BridgeView, Rule};
use ofp::action::{Action, PacketType};
use ofp::field::Field;
use ofp::key::{Key, Match, word};
use ofp::types::{Cookie, PortNo, TableId};
use packet::bpdu;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The key's words that are neither a tunnel's nor the packet's: registers, metadata, marks.
const WORDS: Range<usize> = word::METADATA..word::ETH_DST;

/// What a walk's level has still to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Remaining {
    pub actions: Box<[Action]>,
    pub table: TableId,
    pub cookie: Cookie,
    pub rule: Option<Arc<Rule>>,
    pub deepens: bool,
}

/// See the file's description.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// Not 0.
    id: u64,
    /// That of the one that it was made of; its own, if it was not.
    origin: u64,
    /// The plan's generation for which the cache may keep what comes of it; `None`: a packet-out's, which comes once.
    plan: Option<u64>,
    /// This table first.
    table: Option<TableId>,
    /// Whose actions came last.
    at: (TableId, Cookie),
    /// Outermost first.
    levels: Box<[Remaining]>,
    set: Box<[Action]>,
    /// In the egress tables.
    is_egress: bool,
    /// The action set was being executed, or has been.
    in_set: bool,
    is_set_done: bool,
    in_group: bool,
    /// Ports, and the words of `WORDS`.
    ports: u64,
    words: [u64; WORDS.end - WORDS.start],
    tunnel: Overlay,
    stack: Box<[u128]>,
    reserved: bool,
    depth: usize,
    lookups: usize,
    /// The BPDU that the part before counted.
    bpdu: bpdu::Kind,
}

impl Continuation {
    /// Its number.
    pub(super) fn id(&self) -> u64 {
        self.id
    }
    /// The number that the walk that ended with it told.
    pub(super) fn origin(&self) -> u64 {
        self.origin
    }
    /// What it is remembered by, if programs that begin with it may be kept for this bridge.
    #[inline]
    pub(super) fn cached_as(&self, view: &BridgeView) -> Option<u64> {
        (self.plan == Some(view.plan.generation)).then_some(self.id)
    }
    /// Whether it begins where packets come in.
    pub(super) fn begins(&self) -> bool {
        self.plan.is_some() && self.lookups == 0
    }
    /// Whether it is that of packets which come to this bridge by a port now.
    pub(super) fn leads(&self, view: &BridgeView, in_port: PortNo) -> bool {
        self.plan == Some(view.plan.generation)
            && self.table == Some(view.config.first_table)
            && self.ports >> 32 == u64::from(in_port.0)
    }
    /// Writes to a key what is not the packet's.
    pub(super) fn lay(&self, key: &mut Key) {
        key.0[word::IN_PORT] = self.ports;
        key.0[WORDS].copy_from_slice(&self.words);
        self.tunnel.lay(&mut key.0, 0);
    }
    /// The BPDU that the part before counted.
    pub(super) fn bpdu(&self) -> bpdu::Kind {
        self.bpdu
    }
    /// The way from a bridge's first table of a packet that came without an Ethernet header, but has this ether type.
    pub(super) fn of_bare(view: &BridgeView, in_port: PortNo, ether_type: u16) -> Continuation {
        let mut key = Key::default();
        begin(&mut key, in_port, None);
        let packet_type = u128::from(PacketType::ether_type(ether_type));
        key.set(Field::PacketType.place(), packet_type, u128::MAX);
        Continuation {
            id: next_id(),
            origin: 0,
            plan: Some(view.plan.generation),
            table: Some(view.config.first_table),
            at: (TableId(0), Cookie(u64::MAX)),
            levels: Box::default(),
            set: Box::default(),
            is_egress: false,
            in_set: false,
            is_set_done: false,
            in_group: false,
            ports: key.0[word::IN_PORT],
            words: std::array::from_fn(|index| key.0[WORDS.start + index]),
            tunnel: bareness(&key),
            stack: Box::default(),
            reserved: false,
            depth: 0,
            lookups: 0,
            bpdu: bpdu::Kind::None,
        }
    }
    /// The same with one action before all others, and an id of its own.
    pub(super) fn after(&self, action: Action) -> Continuation {
        let mut then = self.clone();
        then.id = next_id();
        let mut levels = then.levels.into_vec();
        let top = Remaining {
            actions: Box::new([action]),
            table: self.at.0,
            cookie: self.at.1,
            rule: None,
            deepens: false,
        };
        levels.push(top);
        then.levels = levels.into();
        then
    }
    /// The same with an output to this port at the end, and an id of its own.
    pub(super) fn towards(&self, port: PortNo) -> Continuation {
        let mut then = self.clone();
        then.id = next_id();
        then.ports = then.ports >> 32 << 32 | u64::from(port.0);
        then.set = Box::new([Action::Output { port, max_len: 0 }]);
        then
    }
    /// Bytes of memory that it takes, roughly.
    pub fn memory(&self) -> usize {
        let actions: usize = self.levels.iter().map(|level| level.actions.len()).sum();
        size_of::<Continuation>()
            + (actions + self.set.len()) * size_of::<Action>()
            + size_of_val(&*self.stack)
            + self.tunnel.memory()
    }
}

/// A number that was not used before. The workers share it, as fragments go from one to another.
fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed) + 1
}

impl<'s, O: Observer> Walk<'s, '_, O> {
    /// Ends this branch of the walk; what remains of it goes on later, in `table` if that is given.
    pub(super) fn suspend(&mut self, table: Option<TableId>) -> Arc<Continuation> {
        let clone = self.levels.iter().rposition(|level| level.clone.is_some());
        let first = clone.unwrap_or(0);
        let levels = self.levels[first..].iter().map(|level| Remaining {
            actions: level.actions[level.next.min(level.actions.len())..].into(),
            table: level.table,
            cookie: level.cookie,
            rule: level.rule.cloned(),
            deepens: level.deepens,
        });
        let mut levels: Vec<Remaining> = levels.collect();
        // The set of the clone is executed above its level, that of the packet above none.
        let above = clone.map_or(0, |at| at + 1);
        let is_set_done = self.in_set.is_some_and(|len| len >= above);
        let at = (self.table, self.cookie);
        let outermost = |actions: Box<[Action]>| Remaining {
            actions,
            table: at.0,
            cookie: at.1,
            rule: None,
            deepens: false,
        };
        if is_set_done && !self.set_rest.is_empty() {
            let rest = self.set_rest.iter().rev().copied().cloned();
            levels.insert(0, outermost(rest.collect()));
        }
        self.ended = true;
        let is_egress = self.egress.is_some();
        // A clone in the egress tables does not take the output along that the packet is there for.
        let saved = clone.and_then(|at| self.levels[at].clone.as_ref());
        let leaves = saved.is_some_and(|saved| saved.is(Scope::Egress));
        let mut last = leaves.then(|| self.egress_left()).flatten();
        if is_set_done {
            levels.splice(0..0, last.take().map(|last| outermost(Box::new([last]))));
        }
        let set = std::mem::take(&mut self.set).in_order().cloned();
        let then = Arc::new(Continuation {
            levels: levels.into(),
            set: set.chain(last).collect(),
            is_egress,
            in_set: self.in_set.is_some(),
            is_set_done,
            ..self.entrance(table)
        });
        self.observer.suspends(then.id, clone.is_some());
        then
    }
    /// The way through the egress tables from `table` on, of what NORMAL sends: see [`Continuation::towards`].
    pub(super) fn beyond(&self, table: TableId) -> Arc<Continuation> {
        Arc::new(Continuation {
            is_egress: true,
            ..self.entrance(Some(table))
        })
    }
    /// A table is entered with everything of the key that is not the packet's.
    fn entrance(&self, table: Option<TableId>) -> Continuation {
        let id = next_id();
        Continuation {
            id,
            origin: id,
            plan: (!self.packet_out).then_some(self.view.plan.generation),
            table,
            at: (self.table, self.cookie),
            levels: Box::default(),
            set: Box::default(),
            is_egress: false,
            in_set: false,
            is_set_done: false,
            in_group: self.in_group,
            ports: self.key.0[word::IN_PORT],
            words: std::array::from_fn(|index| self.key.0[WORDS.start + index]),
            tunnel: self.tunnel.clone(),
            stack: self.stack.as_slice().into(),
            reserved: self.reserved,
            depth: self.depth,
            lookups: self.lookups,
            bpdu: self.program.bpdu,
        }
    }
    /// Goes on; the walk's key has been laid over.
    pub fn resume(self, then: &'s Continuation) {
        self.resume_with(then, &Match::default());
    }
    /// The same with other values of some fields.
    pub(super) fn resume_with(mut self, then: &'s Continuation, fields: &Match) {
        self.tunnel = then.tunnel.clone();
        self.set_fields(fields);
        let outcome = self.go_on(then);
        self.conclude(outcome);
    }
    fn go_on(&mut self, then: &'s Continuation) -> Outcome {
        self.levels.extend(then.levels.iter().map(|level| Level {
            actions: &level.actions,
            next: 0,
            table: level.table,
            cookie: level.cookie,
            rule: level.rule.as_ref(),
            deepens: level.deepens,
            clone: None,
        }));
        self.set = ActionSet::default();
        for action in &then.set {
            self.set.write(action)?;
        }
        (self.table, self.cookie) = then.at;
        self.egress = then.is_egress.then_some(None);
        self.packet_out = then.plan.is_none();
        self.in_set = then.in_set.then_some(0);
        self.in_group = then.in_group;
        self.stack.extend_from_slice(&then.stack);
        self.reserved = then.reserved;
        (self.depth, self.lookups) = (then.depth, then.lookups);
        if let Some(table) = then.table {
            let len = self.levels.len();
            self.enter(table, None, Entry::Ordinary, false)?;
            if then.is_egress && self.levels.len() == len {
                // A miss takes the output away.
                self.set.clear();
            }
        }
        match then.is_set_done {
            true => self.run(0),
            false => self.finish(),
        }
    }
}
