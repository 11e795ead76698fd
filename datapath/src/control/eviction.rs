//! Which flow of a full table goes first: an index over the flows that have a timeout, kept only for
//! tables that evict.

use super::flow_table::{Flow, FlowIndex};
use super::table_mod::eviction_flag;
use crate::model::Rule;
use crate::time::Time;
use ofp::field::Subfield;
use std::collections::{BTreeMap, BTreeSet};

/// Groups of the same size that are compared; there may be as many as flows.
const TIES: usize = 16;

/// The values of the subfields by which flows are grouped.
type Group = Box<[u128]>;
/// Flows of a group in the order in which they go: importance, end, place.
type Order = BTreeSet<(u16, Time, FlowIndex)>;

/// The flows of a table that may be evicted.
#[derive(Debug)]
pub(super) struct Eviction {
    flags: u32,
    fields: Vec<Subfield>,
    groups: BTreeMap<Group, Order>,
    sizes: BTreeSet<(usize, Group)>,
}

impl Eviction {
    /// Without flows. `flags`: OFPTMPEF_*.
    pub(super) fn new(flags: u32, fields: Vec<Subfield>) -> Eviction {
        Eviction {
            flags,
            fields,
            groups: BTreeMap::new(),
            sizes: BTreeSet::new(),
        }
    }
    /// The same without flows.
    pub(super) fn emptied(self) -> Eviction {
        Eviction::new(self.flags, self.fields)
    }
    /// Whether it evicts in this way.
    pub(super) fn is(&self, flags: u32, fields: &[Subfield]) -> bool {
        self.flags == flags && self.fields == fields
    }
    /// "If a flow does not specify a given field, that field's value is treated as 0."
    fn group(&self, rule: &Rule) -> Group {
        let value = |s: &Subfield| {
            let (value, _) = rule.matching.get(s.field.place());
            (value & s.mask()) >> s.start
        };
        self.fields.iter().map(value).collect()
    }
    fn key(&self, index: FlowIndex, flow: &Flow, deadline: Time) -> (u16, Time, FlowIndex) {
        let asked = |flag| self.flags & flag != 0;
        let importance = match asked(eviction_flag::IMPORTANCE) {
            true => flow.importance,
            false => 0,
        };
        let end = match asked(eviction_flag::LIFETIME) {
            true => deadline,
            false => Time::default(),
        };
        (importance, end, index)
    }
    /// A flow came; without a timeout it cannot be evicted.
    pub(super) fn insert(&mut self, index: FlowIndex, flow: &Flow) {
        let Some(deadline) = flow.deadline else {
            return;
        };
        let (group, key) = (self.group(&flow.rule), self.key(index, flow, deadline));
        let members = self.groups.entry(group.clone()).or_default();
        let before = members.len();
        if members.insert(key) {
            let after = members.len();
            self.resize(group, before, after);
        }
    }
    /// A flow goes.
    pub(super) fn remove(&mut self, index: FlowIndex, flow: &Flow) {
        let Some(deadline) = flow.deadline else {
            return;
        };
        let (group, key) = (self.group(&flow.rule), self.key(index, flow, deadline));
        if let Some(members) = self.groups.get_mut(&group)
            && members.remove(&key)
        {
            let after = members.len();
            if after == 0 {
                self.groups.remove(&group);
            }
            self.resize(group, after + 1, after);
        }
    }
    fn resize(&mut self, group: Group, before: usize, after: usize) {
        let mut entry = (before, group);
        self.sizes.remove(&entry);
        entry.0 = after;
        if after > 0 {
            self.sizes.insert(entry);
        }
    }
    /// Which goes first.
    pub(super) fn victim(&self) -> Option<FlowIndex> {
        let (largest, _) = self.sizes.last()?;
        let groups = self.sizes.iter().rev();
        let groups = groups.take_while(|(size, _)| size == largest).take(TIES);
        let firsts = groups.filter_map(|(_, group)| self.groups.get(group)?.first());
        firsts.min().map(|(_, _, index)| *index)
    }
}
