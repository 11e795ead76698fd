//! Tables: OFPT_TABLE_MOD, OFPMP_TABLE_DESC, OFPT_TABLE_STATUS; what happens when a table is full; and
//! their names and limits, which the operator sets.
//!
//! A full table refuses a flow, or evicts one if the operator (`overflow_policy=evict`) or a controller
//! (OFPTC_EVICTION) says so. Only flows with a timeout are evicted, as with Open vSwitch: of the largest
//! group those of the lowest importance, of these the one that expires first.

use super::bridge::Bridge;
use super::connection::EventKind;
use super::flow_mod::MAX_ENTRIES;
use super::settings::{ConnId, TableSettings};
use super::undo::Undo;
use super::{Output, Switch};
use crate::model::BridgeId;
use crate::model::snapshot::Miss;
use crate::time::Time;
use ofp::error::OfError;
use ofp::message::{
    Body, FlowRemovedReason, TableDesc, TableMod, TableStatus, Vacancy, table_config,
};
use ofp::types::{TableId, Version};
use std::collections::BTreeMap;

/// OFPTMPEF_*.
pub(super) mod eviction_flag {
    pub(in super::super) const OTHER: u32 = 1;
    pub(in super::super) const IMPORTANCE: u32 = 2;
    pub(in super::super) const LIFETIME: u32 = 4;
    pub(in super::super) const ALL: u32 = OTHER | IMPORTANCE | LIFETIME;
}

/// OFPTR_*.
const VACANCY_DOWN: u8 = 3;
const VACANCY_UP: u8 = 4;
/// A victim that was used lately is not the first to expire; after so many the next one is taken as it is.
const LOOKS: usize = 64;

/// The tables that controllers see.
pub(super) fn tables() -> impl Iterator<Item = TableId> {
    (0..TableId::LEN).map(|n| TableId(n as u8))
}

/// What differs from a table that nobody said anything about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    /// As a controller named it.
    pub(super) name: String,
    /// OFPTC_TABLE_MISS_*, if a controller of 1.1 or 1.2 said.
    pub(super) miss: Option<u32>,
    /// OFPTC_EVICTION.
    eviction: bool,
    eviction_flags: u32,
    /// OFPTC_VACANCY_EVENTS: the next one that is due.
    vacancy_event: Option<u8>,
    vacancy_down: u8,
    vacancy_up: u8,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            name: String::new(),
            miss: None,
            eviction: false,
            eviction_flags: eviction_flag::ALL,
            vacancy_event: None,
            vacancy_down: 0,
            vacancy_up: 0,
        }
    }
}

/// A bridge's tables.
#[derive(Default)]
pub(super) struct Tables {
    by_id: BTreeMap<TableId, Table>,
}

impl Tables {
    /// A table; `None`: nobody said anything about it.
    pub(super) fn get(&self, table: TableId) -> Option<&Table> {
        self.by_id.get(&table)
    }
    /// Names a table, for controllers.
    pub(super) fn set_name(&mut self, table: TableId, name: &str) {
        if self.get(table).map_or("", |t| &t.name) != name {
            self.by_id.entry(table).or_default().name = name.to_owned();
        }
    }
    /// Whether somebody wants to know how full a table is.
    pub(super) fn has_vacancy_events(&self, table: TableId) -> bool {
        let events = |t: &Table| t.vacancy_event.is_some();
        !self.by_id.is_empty() && self.get(table).is_some_and(events)
    }
}

impl Bridge {
    /// What the operator says of a table.
    fn table_settings(&self, table: TableId) -> Option<&TableSettings> {
        self.settings.tables.get(&table)
    }
    /// Its name: the operator's, else a controller's, else none.
    pub(super) fn table_name(&self, table: TableId) -> String {
        let configured = self.table_settings(table).map(|t| t.name.as_str());
        let configured = configured.filter(|name| !name.is_empty());
        let given = || self.tables.get(table).map(|t| t.name.as_str());
        configured.or_else(given).unwrap_or_default().to_owned()
    }
    /// Flows that fit.
    pub(super) fn table_limit(&self, table: TableId) -> usize {
        let limit = self.table_settings(table).and_then(|t| t.flow_limit);
        limit.map_or(MAX_ENTRIES, |limit| (limit as usize).min(MAX_ENTRIES))
    }
    /// Whether a full table evicts; by which OFPTMPEF_*.
    fn eviction(&self, table: TableId) -> Option<u32> {
        let configured = self.table_settings(table).is_some_and(|t| t.evict);
        let state = self.tables.get(table);
        let wanted = configured || state.is_some_and(|t| t.eviction);
        wanted.then(|| state.map_or(eviction_flag::ALL, |t| t.eviction_flags))
    }
    /// Tells the flow table how it evicts.
    fn follow_eviction(&mut self, table: TableId) {
        let flags = self.eviction(table);
        let groups = self.table_settings(table).map(|t| t.groups.clone());
        let how = flags.map(|flags| (flags, groups.unwrap_or_default()));
        self.flows.set_eviction(table, how);
    }
    /// Percent of a table that are free.
    fn vacancy(&self, table: TableId) -> u8 {
        let limit = self.table_limit(table);
        let free = limit.saturating_sub(self.flows.len(table));
        (free * 100).checked_div(limit).unwrap_or(100) as u8
    }
    /// OFPMP_TABLE_DESC.
    fn table_desc(&self, table: TableId) -> TableDesc {
        let state = self.tables.get(table).cloned().unwrap_or_default();
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        TableDesc {
            table,
            config: bit(state.eviction, table_config::EVICTION)
                | bit(state.vacancy_event.is_some(), table_config::VACANCY_EVENTS),
            eviction_flags: state.eviction_flags,
            vacancy: Vacancy {
                down: state.vacancy_down,
                up: state.vacancy_up,
                current: self.vacancy(table),
            },
        }
    }
}

impl Switch {
    /// OFPT_TABLE_MOD.
    pub(super) fn table_mod(
        &mut self,
        now: Time,
        conn: ConnId,
        table_mod: &TableMod,
    ) -> Result<(), OfError> {
        let (id, version) = (
            self.connections[&conn].bridge,
            self.connections[&conn].version,
        );
        check(table_mod, version)?;
        let list: Vec<TableId> = match table_mod.table {
            TableId::ALL => tables().collect(),
            table => vec![table],
        };
        self.note_tables(id);
        for table in list {
            self.change_table(id, table, version, table_mod);
            self.follow_table(now, id, table);
        }
        if version < Version::V13 {
            self.stage_misses(id);
        }
        Ok(())
    }
    /// Writes down what the tables are like.
    fn note_tables(&mut self, id: BridgeId) {
        if !self.is_noting() {
            return;
        }
        let bridge = &self.bridges[&id];
        let (before, misses) = (bridge.tables.by_id.clone(), bridge.config.misses.clone());
        let undo = move |switch: &mut Switch| {
            let bridge = switch.bridges.get_mut(&id).expect("has the bundle");
            bridge.tables.by_id = before;
            bridge.config.misses = misses;
            tables().for_each(|table| bridge.follow_eviction(table));
        };
        self.note(|| Undo::Other(Box::new(undo)));
    }
    fn change_table(
        &mut self,
        id: BridgeId,
        table: TableId,
        version: Version,
        table_mod: &TableMod,
    ) {
        let bridge = self.bridges.get_mut(&id).expect("outlives its connections");
        let vacancy = bridge.vacancy(table);
        let state = bridge.tables.by_id.entry(table).or_default();
        if version < Version::V13 {
            state.miss = Some(table_mod.config & table_config::MISS_MASK);
        }
        if version < Version::V14 {
            return;
        }
        state.eviction = table_mod.config & table_config::EVICTION != 0;
        state.eviction_flags = table_mod.eviction_flags.unwrap_or(state.eviction_flags);
        if let Some(limits) = table_mod.vacancy {
            (state.vacancy_down, state.vacancy_up) = (limits.down, limits.up);
        }
        let wanted = table_mod.config & table_config::VACANCY_EVENTS != 0;
        let next = if vacancy < state.vacancy_up {
            VACANCY_UP
        } else {
            VACANCY_DOWN
        };
        state.vacancy_event = wanted.then(|| state.vacancy_event.unwrap_or(next));
        if *state == Table::default() {
            bridge.tables.by_id.remove(&table);
        }
    }
    /// A table evicts as it is set to, and what is above the limit at once.
    fn follow_table(&mut self, now: Time, id: BridgeId, table: TableId) {
        let bridge = self.bridges.get_mut(&id).expect("seen by callers");
        bridge.follow_eviction(table);
        let above = |bridge: &Bridge| bridge.flows.len(table) > bridge.table_limit(table);
        while above(&self.bridges[&id]) && self.evict(now, id, table) {}
    }
    /// The operator's settings of the tables changed.
    pub(super) fn follow_tables(&mut self, now: Time, id: BridgeId) {
        tables().for_each(|table| self.follow_table(now, id, table));
    }
    /// Publishes what becomes of packets that a table has no rule for.
    fn stage_misses(&mut self, id: BridgeId) {
        let bridge = self.bridges.get_mut(&id).expect("seen by callers");
        let miss = |(table, state): (&TableId, &Table)| {
            let miss = match state.miss? {
                table_config::MISS_CONTINUE => Miss::Continue,
                table_config::MISS_DROP => Miss::Drop,
                _ => return None,
            };
            Some((*table, miss))
        };
        bridge.config.misses = bridge.tables.by_id.iter().filter_map(miss).collect();
        self.stage_bridge(id);
    }
    /// Makes room for one flow in a full table; `false`: there is no flow that may go.
    pub(super) fn evict(&mut self, now: Time, id: BridgeId, table: TableId) -> bool {
        let mut victim = None;
        for _ in 0..LOOKS {
            let flows = &mut self.bridges.get_mut(&id).expect("has flows").flows;
            let found = flows.victim(table);
            let Some(flow) = found.filter(|_| found != victim).and_then(|i| flows.get(i)) else {
                break;
            };
            victim = found;
            let used = self.stats.rule(flow.rule.id).used;
            found.inspect(|index| flows.reschedule(*index, used));
        }
        if let Some(victim) = victim {
            self.end_flow(now, id, victim, FlowRemovedReason::Eviction);
        }
        victim.is_some()
    }
    /// OFPT_TABLE_STATUS, if a table's vacancy crossed the limit that is next.
    pub(super) fn table_status(&mut self, id: BridgeId, table: TableId, out: &mut Vec<Output>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let vacancy = bridge.vacancy(table);
        let Some(state) = bridge.tables.by_id.get_mut(&table) else {
            return;
        };
        let reason = match vacancy {
            low if low < state.vacancy_down => VACANCY_DOWN,
            high if high > state.vacancy_up => VACANCY_UP,
            _ => return,
        };
        if state.vacancy_event != Some(reason) {
            return;
        }
        state.vacancy_event = Some(VACANCY_DOWN + VACANCY_UP - reason);
        let desc = bridge.table_desc(table);
        let body = Body::TableStatus(TableStatus { reason, desc });
        self.send_event(id, EventKind::TableStatus, reason.into(), &body, out);
    }
    /// OFPMP_TABLE_DESC.
    pub(super) fn table_descs(&self, id: BridgeId) -> Vec<TableDesc> {
        let bridge = &self.bridges[&id];
        tables().map(|table| bridge.table_desc(table)).collect()
    }
}

/// What is wrong with a TABLE_MOD, whatever the tables are.
pub(super) fn check(table_mod: &TableMod, version: Version) -> Result<(), OfError> {
    let TableMod { table, config, .. } = *table_mod;
    if table != TableId::ALL && usize::from(table.0) >= TableId::LEN {
        return Err(OfError::TableModBadTable);
    }
    // OpenFlow 1.3.5 section 7.3.3: OFPTC_DEPRECATED_MASK, "Deprecated bits".
    let known = if version < Version::V14 {
        table_config::MISS_MASK
    } else {
        table_config::EVICTION | table_config::VACANCY_EVENTS
    };
    let no_miss = version < Version::V13 && config & table_config::MISS_MASK == 3;
    let flags = table_mod.eviction_flags.unwrap_or(0);
    let bad_vacancy = |v: Vacancy| v.down > v.up || v.up > 100;
    if config & !known != 0
        || no_miss
        || flags & !eviction_flag::ALL != 0
        || table_mod.vacancy.is_some_and(bad_vacancy)
    {
        return Err(OfError::TableModBadConfig);
    }
    Ok(())
}
