//! A bridge's flows as control finds them: by table, match and priority; by a match that is wider than
//! theirs; by when they end. No messages, no counters, no workers.
//!
//! Design: in a table, flows are grouped by mask, as in the workers' classifier. A strict command, an
//! ADD and a non-strict command with a group's own mask cost one hash look-up; a wider match looks at
//! the flows of those groups only whose mask has all its bits.
//! Invariants: two flows of a table never have the same match and priority; a flow with a timeout is in
//! `deadlines` exactly once, no later than it could end.

use super::eviction::Eviction;
use super::stat_trigger::Triggers;
use super::users::{Used, Users};
use crate::fragment::Secret;
use crate::model::Rule;
use crate::model::few::Few;
use crate::model::learnt::Limits;
use crate::time::Time;
use ofp::action::Action;
use ofp::field::Subfield;
use ofp::key::{Match, MatchWord};
use ofp::types::{Cookie, GroupId, PortNo, TableId};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A flow's place in [`FlowTables`]; used again after the flow is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FlowIndex(u32);

impl FlowIndex {
    /// The flow at a place.
    pub(super) fn at(place: u32) -> FlowIndex {
        FlowIndex(place)
    }
    /// Its place.
    pub(super) fn place(self) -> u32 {
        self.0
    }
}

/// A flow: the rule that workers see, and what only control and users need.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) rule: Arc<Rule>,
    pub(super) flags: u16,
    pub(super) idle_timeout_secs: u16,
    pub(super) hard_timeout_secs: u16,
    pub(super) importance: u16,
    pub(super) created: Time,
    /// Last change of its actions; the hard timeout counts from here.
    pub(super) modified: Time,
    /// What its slot's counters held when it got the slot: packets, bytes.
    pub(super) baseline: (u64, u64),
    /// Counts additions and changes: when it came, which is the order of a dump.
    pub(super) sequence: u64,
    /// The same of its last change.
    pub(super) changed: u64,
    /// Where it is in `deadlines`.
    pub(super) deadline: Option<Time>,
}

impl Flow {
    /// When the hard timeout ends it.
    pub(super) fn hard_deadline(&self) -> Option<Time> {
        let secs = u64::from(self.hard_timeout_secs);
        (secs > 0).then(|| self.modified + Time::secs(secs))
    }
    /// When the idle timeout ends it, if it was last used then.
    pub(super) fn idle_deadline(&self, used: Time) -> Option<Time> {
        let secs = u64::from(self.idle_timeout_secs);
        (secs > 0).then(|| used.max(self.modified).max(self.created) + Time::secs(secs))
    }
    /// When to look at it next.
    fn next_deadline(&self, used: Time) -> Option<Time> {
        let both = [self.hard_deadline(), self.idle_deadline(used)];
        both.into_iter().flatten().min()
    }
}

/// Which flows a command is about.
pub(super) struct Selection<'a> {
    /// `ALL`: every table.
    pub(super) table: TableId,
    /// `Some`: strict, exactly this match and priority; `None`: at least as specific as the match.
    pub(super) priority: Option<u16>,
    pub(super) matching: &'a Match,
    pub(super) cookie: Cookie,
    pub(super) cookie_mask: u64,
    /// `ANY`: no such restriction.
    pub(super) out_port: PortNo,
    pub(super) out_group: GroupId,
}

impl Selection<'_> {
    /// Whether a non-strict command is about this flow.
    pub(super) fn covers(&self, rule: &Rule) -> bool {
        (self.table == TableId::ALL || self.table == rule.table)
            && rule.matching.is_subset_of(self.matching)
            && self.admits(rule)
    }
    /// The restrictions beside table, match and priority.
    fn admits(&self, rule: &Rule) -> bool {
        (rule.cookie.0 ^ self.cookie.0) & self.cookie_mask == 0
            && (self.out_port == PortNo::ANY || outputs_to(&rule.actions, self.out_port))
            && (self.out_group == GroupId::ANY || uses_group(&rule.actions, self.out_group))
    }
}

/// Whether a list of actions, or one nested in it, outputs to a port.
fn outputs_to(actions: &[Action], wanted: PortNo) -> bool {
    actions.iter().any(|action| match action {
        Action::Output { port, .. }
        | Action::OutputTrunc { port, .. }
        | Action::Enqueue { port, .. } => *port == wanted,
        Action::Controller(_) => wanted == PortNo::CONTROLLER,
        Action::WriteActions(nested) | Action::Clone(nested) => outputs_to(nested, wanted),
        _ => false,
    })
}

fn uses_group(actions: &[Action], wanted: GroupId) -> bool {
    actions.iter().any(|action| match action {
        Action::Group(group) => *group == wanted,
        Action::WriteActions(nested) | Action::Clone(nested) => uses_group(nested, wanted),
        _ => false,
    })
}

/// The flows of one mask.
struct Group {
    mask: Box<[(u8, u64)]>,
    /// By the hash of their values; of one hash in the order of their priorities, the highest first.
    flows: FxHashMap<u64, Few<FlowIndex>>,
}

/// Where flows of a priority begin among those of one hash; one that has left its slot is of that priority.
fn place_in(slots: &[Option<Flow>], same: &[FlowIndex], priority: u16) -> usize {
    let flow = |index: &FlowIndex| slots[index.0 as usize].as_ref();
    same.partition_point(|index| flow(index).is_some_and(|flow| flow.rule.priority > priority))
}

fn hash_of(secret: &Secret, matching: &Match) -> u64 {
    secret.hash_all(matching.words().iter().map(|w| w.value))
}

/// Whether each bit of the mask `inner` is one of the mask `outer`.
fn is_within<'a>(
    mut inner: impl Iterator<Item = (u8, u64)>,
    outer: impl Iterator<Item = &'a (u8, u64)> + Clone,
) -> bool {
    inner.all(|(index, mask)| {
        let theirs = outer
            .clone()
            .find(|(i, _)| *i == index)
            .map_or(0, |(_, m)| *m);
        mask & !theirs == 0
    })
}

fn parts(words: &[MatchWord]) -> impl Iterator<Item = (u8, u64)> + Clone {
    words.iter().map(|w| (w.index, w.mask))
}

impl Group {
    fn has_mask(&self, matching: &Match) -> bool {
        parts(matching.words()).eq(self.mask.iter().copied())
    }
}

/// One table.
#[derive(Default)]
struct Table {
    /// In no order; found by `by_mask`.
    groups: FxHashMap<Box<[(u8, u64)]>, Group>,
    len: usize,
}

/// Where a flow is filed by time.
#[derive(Default)]
struct Clock {
    deadlines: BTreeSet<(Time, FlowIndex)>,
    /// Tables that evict flows when they are full.
    evictions: FxHashMap<TableId, Eviction>,
}

impl Clock {
    fn insert(&mut self, index: FlowIndex, flow: &Flow) {
        if let Some(deadline) = flow.deadline {
            self.deadlines.insert((deadline, index));
            if let Some(eviction) = self.evictions.get_mut(&flow.rule.table) {
                eviction.insert(index, flow);
            }
        }
    }
    fn remove(&mut self, index: FlowIndex, flow: &Flow) {
        if let Some(deadline) = flow.deadline {
            self.deadlines.remove(&(deadline, index));
            if let Some(eviction) = self.evictions.get_mut(&flow.rule.table) {
                eviction.remove(index, flow);
            }
        }
    }
}

/// A bridge's flows.
pub(super) struct FlowTables {
    secret: Secret,
    slots: Vec<Option<Flow>>,
    free: Vec<u32>,
    tables: std::collections::BTreeMap<TableId, Table>,
    clock: Clock,
    /// Which flows name a group or a meter.
    users: Users<FlowIndex>,
    limits: Limits,
    triggers: Triggers,
    sequence: u64,
}

impl FlowTables {
    /// No flows. Those that packets teach are found by hashes of this secret.
    pub(super) fn new(secret: Secret) -> FlowTables {
        FlowTables {
            secret,
            slots: Vec::new(),
            free: Vec::new(),
            tables: Default::default(),
            clock: Clock::default(),
            users: Users::default(),
            limits: Limits::default(),
            triggers: Triggers::default(),
            sequence: 0,
        }
    }
    /// Number of flows of a table; `ALL`: of all.
    pub(super) fn len(&self, table: TableId) -> usize {
        match table {
            TableId::ALL => self.slots.len() - self.free.len(),
            _ => self.tables.get(&table).map_or(0, |t| t.len),
        }
    }
    /// Flows of a table with a cookie, if a `learn` action of some flow limits their number.
    pub(super) fn limited(&self, table: TableId, cookie: Cookie) -> Option<usize> {
        self.limits.flows(table, cookie)
    }
    /// A rule is in its slot now.
    fn count(&mut self, rule: &Rule) {
        let flows = || self.slots.iter().flatten();
        self.limits.add(rule, |table, cookie| {
            let same = |flow: &&Flow| (flow.rule.table, flow.rule.cookie) == (table, cookie);
            flows().filter(same).count()
        });
    }
    /// All flows, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.slots.iter().flatten()
    }
    /// The flow with these counters: all flows are looked at.
    pub(super) fn place_of(&self, slot: crate::model::RuleId) -> Option<FlowIndex> {
        let has = |flow: &Option<Flow>| flow.as_ref().is_some_and(|flow| flow.rule.id == slot);
        Some(FlowIndex(self.slots.iter().position(has)? as u32))
    }
    /// A flow.
    pub(super) fn get(&self, index: FlowIndex) -> Option<&Flow> {
        self.slots.get(index.0 as usize)?.as_ref()
    }
    fn rule(&self, index: FlowIndex) -> &Rule {
        &self.slots[index.0 as usize]
            .as_ref()
            .expect("indexed flows exist")
            .rule
    }
    /// The flow of a table with this match and priority.
    pub(super) fn find(
        &self,
        table: TableId,
        priority: u16,
        matching: &Match,
    ) -> Option<FlowIndex> {
        let mask: SmallVec<[(u8, u64); 16]> = parts(matching.words()).collect();
        let group = self.tables.get(&table)?.groups.get(&mask[..])?;
        let same = group.flows.get(&hash_of(&self.secret, matching))?;
        let mut same = same[place_in(&self.slots, same, priority)..].iter();
        let rule = |index: &&FlowIndex| self.rule(**index);
        same.by_ref()
            .take_while(|index| rule(index).priority == priority)
            .find(|index| rule(index).matching == *matching)
            .copied()
    }
    /// Adds a flow; there is none with its table, match and priority. Sets `sequence` and `deadline`.
    pub(super) fn insert(&mut self, mut flow: Flow) -> FlowIndex {
        self.sequence += 1;
        (flow.sequence, flow.changed) = (self.sequence, self.sequence);
        flow.deadline = flow.next_deadline(Time::default());
        self.insert_as(flow)
    }
    /// Adds a flow with the `sequence`, `changed` and `deadline` that it has.
    pub(super) fn insert_as(&mut self, flow: Flow) -> FlowIndex {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        let index = FlowIndex(slot);
        let table = self.tables.entry(flow.rule.table).or_default();
        let mask: SmallVec<[(u8, u64); 16]> = parts(flow.rule.matching.words()).collect();
        let hash = hash_of(&self.secret, &flow.rule.matching);
        let group = match table.groups.get_mut(&mask[..]) {
            Some(group) => group,
            None => table.groups.entry(mask[..].into()).or_insert(Group {
                mask: mask[..].into(),
                flows: FxHashMap::default(),
            }),
        };
        let same = group.flows.entry(hash).or_default();
        let at = place_in(&self.slots, same, flow.rule.priority);
        same.insert(at, index);
        table.len += 1;
        self.users.add(index, &flow.rule.actions);
        self.clock.insert(index, &flow);
        let rule = flow.rule.clone();
        self.triggers.changed(index, None, Some(&rule));
        self.slots[slot as usize] = Some(flow);
        self.count(&rule);
        index
    }
    /// Puts a flow in the place of one with the same table, match and priority; returns that one.
    pub(super) fn replace(&mut self, index: FlowIndex, mut flow: Flow) -> Option<Flow> {
        self.sequence += 1;
        flow.sequence = self.get(index)?.sequence;
        flow.changed = self.sequence;
        flow.deadline = flow.next_deadline(Time::default());
        self.replace_as(index, flow)
    }
    /// The same, but the flow keeps its `sequence`, `changed` and `deadline`.
    pub(super) fn replace_as(&mut self, index: FlowIndex, flow: Flow) -> Option<Flow> {
        let place = self.slots.get_mut(index.0 as usize)?.as_mut()?;
        self.clock.remove(index, place);
        self.clock.insert(index, &flow);
        self.users.remove(index, &place.rule.actions);
        self.users.add(index, &flow.rule.actions);
        let rule = flow.rule.clone();
        let old = std::mem::replace(place, flow);
        self.limits.remove(&old.rule);
        self.count(&rule);
        self.triggers.changed(index, Some(&old.rule), Some(&rule));
        Some(old)
    }
    /// Changes a flow's values (not its table, match and priority), and when to look at it again.
    pub(super) fn update(&mut self, index: FlowIndex, used: Time, change: impl FnOnce(&mut Flow)) {
        let Some(Some(flow)) = self.slots.get_mut(index.0 as usize) else {
            return;
        };
        let before = flow.rule.clone();
        change(flow);
        let after = flow.rule.clone();
        self.sequence += 1;
        flow.changed = self.sequence;
        if !Arc::ptr_eq(&before, &after) {
            self.users.remove(index, &before.actions);
            self.users.add(index, &after.actions);
            self.limits.remove(&before);
            self.count(&after);
            self.triggers.changed(index, Some(&before), Some(&after));
        }
        self.reschedule(index, used);
    }
    /// A flow's hard timeout starts again. That is no change that others have to see.
    pub(super) fn touch(&mut self, index: FlowIndex, used: Time, now: Time) {
        if let Some(Some(flow)) = self.slots.get_mut(index.0 as usize) {
            flow.modified = now;
            self.reschedule(index, used);
        }
    }
    /// Finds out when to look at a flow again; it was last used at `used`.
    pub(super) fn reschedule(&mut self, index: FlowIndex, used: Time) {
        let Some(Some(flow)) = self.slots.get_mut(index.0 as usize) else {
            return;
        };
        let deadline = flow.next_deadline(used);
        if deadline != flow.deadline {
            self.clock.remove(index, flow);
            flow.deadline = deadline;
            self.clock.insert(index, flow);
        }
    }
    /// The flows whose statistics are compared with thresholds.
    pub(super) fn triggers(&mut self) -> &mut Triggers {
        &mut self.triggers
    }
    /// Whether there are any.
    pub(super) fn has_triggers(&self) -> bool {
        !self.triggers.is_empty()
    }
    /// The flows that name a group or a meter, in no order.
    pub(super) fn users(&self, used: Used) -> impl Iterator<Item = FlowIndex> {
        self.users.of(used)
    }
    /// How many these are.
    pub(super) fn users_len(&self, used: Used) -> usize {
        self.users.len(used)
    }
    /// Removes a flow.
    pub(super) fn remove(&mut self, index: FlowIndex) -> Option<Flow> {
        let flow = self.slots.get_mut(index.0 as usize)?.take()?;
        self.free.push(index.0);
        self.users.remove(index, &flow.rule.actions);
        self.clock.remove(index, &flow);
        self.limits.remove(&flow.rule);
        self.triggers.changed(index, Some(&flow.rule), None);
        let table = self
            .tables
            .get_mut(&flow.rule.table)
            .expect("has its table");
        let mask: SmallVec<[(u8, u64); 16]> = parts(flow.rule.matching.words()).collect();
        let group = table.groups.get_mut(&mask[..]).expect("has its group");
        let hash = hash_of(&self.secret, &flow.rule.matching);
        let same = group.flows.get_mut(&hash).expect("is in its group");
        let from = place_in(&self.slots, same, flow.rule.priority);
        if let Some(at) = same[from..].iter().position(|i| *i == index) {
            same.remove(from + at);
        }
        if same.is_empty() {
            group.flows.remove(&hash);
        }
        if group.flows.is_empty() {
            table.groups.remove(&mask[..]);
        }
        table.len -= 1;
        if table.len == 0 {
            self.tables.remove(&flow.rule.table);
        }
        Some(flow)
    }
    /// Removes all flows.
    pub(super) fn clear(&mut self) -> Vec<Flow> {
        let mut old = std::mem::replace(self, FlowTables::new(self.secret));
        // Who compares moments sees that time goes on; tables evict as before.
        self.sequence = old.sequence;
        for (table, eviction) in old.clock.evictions.drain() {
            self.clock.evictions.insert(table, eviction.emptied());
        }
        old.slots.into_iter().flatten().collect()
    }
    fn tables(&self, table: TableId) -> impl Iterator<Item = &Table> {
        let wanted = move |id: TableId| table == TableId::ALL || table == id;
        self.tables
            .iter()
            .filter(move |(id, _)| wanted(**id))
            .map(|(_, table)| table)
    }
    /// The flows that a command is about, in no order.
    pub(super) fn select(&self, selection: &Selection) -> Vec<FlowIndex> {
        let mut found = Vec::new();
        if let Some(priority) = selection.priority {
            let tables: SmallVec<[TableId; 8]> = match selection.table {
                TableId::ALL => self.tables.keys().copied().collect(),
                table => [table].into_iter().collect(),
            };
            found.extend(
                tables
                    .iter()
                    .filter_map(|t| self.find(*t, priority, selection.matching)),
            );
        } else {
            for table in self.tables(selection.table) {
                self.select_in(table, selection.matching, &mut found);
            }
        }
        found.retain(|index| selection.admits(self.rule(*index)));
        found
    }
    fn select_in(&self, table: &Table, wide: &Match, found: &mut Vec<FlowIndex>) {
        for group in table.groups.values() {
            if group.has_mask(wide) {
                let same = group.flows.get(&hash_of(&self.secret, wide));
                let same = same.map_or(&[][..], |same| same);
                let same = same.iter();
                found.extend(same.filter(|i| self.rule(**i).matching == *wide));
            } else if is_within(parts(wide.words()), group.mask.iter()) {
                let all = group.flows.values().flat_map(|same| same.iter());
                found.extend(all.filter(|i| self.rule(**i).matching.is_subset_of(wide)));
            }
        }
    }
    /// Whether more flows than `limit` have to be looked at for a command.
    pub(super) fn is_wide(&self, selection: &Selection, limit: usize) -> bool {
        if selection.priority.is_some() || self.len(selection.table) <= limit {
            return false;
        }
        let wide = selection.matching;
        let groups = self
            .tables(selection.table)
            .flat_map(|table| table.groups.values());
        let mut looked = groups
            .filter(|group| is_within(parts(wide.words()), group.mask.iter()))
            .scan(0, |sum, group| {
                *sum += match group.has_mask(wide) {
                    true => 1,
                    false => group.flows.len(),
                };
                Some(*sum)
            });
        looked.any(|sum| sum > limit)
    }
    /// The flows that a command is about, by table, then priority (the highest first), then age; `None`: more than
    /// `limit` would have to be looked at.
    pub(super) fn select_sorted(
        &self,
        selection: &Selection,
        limit: usize,
    ) -> Option<Vec<FlowIndex>> {
        if self.is_wide(selection, limit) {
            return None;
        }
        let mut found = self.select(selection);
        if found.len() > limit {
            return None;
        }
        let order = |index: &FlowIndex| {
            let flow = self.get(*index)?;
            let rule = &flow.rule;
            Some((rule.table, std::cmp::Reverse(rule.priority), flow.sequence))
        };
        found.sort_by_cached_key(order);
        Some(found)
    }
    /// Every place that a flow may have now.
    pub(super) fn places(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }
    /// The moment of the last addition or change, see [`Flow::changed`].
    pub(super) fn moment(&self) -> u64 {
        self.sequence
    }
    /// Whether a flow of the same table and priority could match a packet that `matching` matches too.
    pub(super) fn overlaps(&self, table: TableId, priority: u16, matching: &Match) -> bool {
        let Some(table) = self.tables.get(&table) else {
            return false;
        };
        let bits: SmallVec<[(u8, u64); 16]> = parts(matching.words()).collect();
        let hits = |index: &FlowIndex| {
            let rule = self.rule(*index);
            rule.priority == priority && rule.matching.overlaps(matching)
        };
        table.groups.values().any(|group| {
            if is_within(group.mask.iter().copied(), bits.iter()) {
                let word = |at: u8| matching.words().iter().find(|w| w.index == at);
                let masked = |(at, mask): &(u8, u64)| word(*at).map_or(0, |w| w.value & mask);
                let hash = self.secret.hash_all(group.mask.iter().map(masked));
                group
                    .flows
                    .get(&hash)
                    .is_some_and(|same| same.iter().any(hits))
            } else {
                group.flows.values().flat_map(|same| same.iter()).any(hits)
            }
        })
    }
    /// How a table evicts flows, by OFPTMPEF_* and the fields that group them; `None`: not at all.
    pub(super) fn set_eviction(&mut self, table: TableId, how: Option<(u32, Vec<Subfield>)>) {
        let Some((flags, fields)) = how else {
            self.clock.evictions.remove(&table);
            return;
        };
        let current = self.clock.evictions.get(&table);
        if current.is_some_and(|eviction| eviction.is(flags, &fields)) {
            return;
        }
        let mut eviction = Eviction::new(flags, fields);
        let flows = self.slots.iter().enumerate();
        let flows = flows.filter_map(|(place, flow)| Some((place, flow.as_ref()?)));
        flows
            .filter(|(_, flow)| flow.rule.table == table)
            .for_each(|(place, flow)| eviction.insert(FlowIndex(place as u32), flow));
        self.clock.evictions.insert(table, eviction);
    }
    /// The flow of a table that is evicted next.
    pub(super) fn victim(&self, table: TableId) -> Option<FlowIndex> {
        self.clock.evictions.get(&table)?.victim()
    }
    /// A flow that may have ended by now. Calling `reschedule` or `remove` on it moves on to the next one.
    pub(super) fn due(&self, now: Time) -> Option<FlowIndex> {
        let (deadline, index) = self.clock.deadlines.first()?;
        (*deadline <= now).then_some(*index)
    }
    /// When the next flow may end.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.clock.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
