//! OFPT_FLOW_MOD: add, modify, delete. Whole or not at all: everything that can fail is asked before
//! anything is changed.

use super::connection::Connection;
use super::dump::actions_size;
use super::expiry::Ended;
use super::flow_table::{Flow, FlowIndex, Selection};
use super::settings::ConnId;
use super::table_mod::tables;
use super::undo::Undo;
use super::{Settling, Switch};
use crate::model::{BridgeId, Change, Rule, RuleId};
use crate::time::Time;
use ofp::action::{Action, Controller, PacketInReason};
use ofp::error::OfError;
use ofp::message::{FlowEvent, FlowMod, FlowModCommand, FlowRemovedReason, FlowStats, flow_flag};
use ofp::types::{Cookie, PortNo, TableId, Version};
use std::sync::Arc;

/// Most flows of one table, as TABLE_FEATURES says.
pub(super) const MAX_ENTRIES: usize = 1_000_000;

/// A MODIFY that leaves the cookie alone (OpenFlow 1.2 and later).
pub(super) const KEEP_COOKIE: Cookie = Cookie(u64::MAX);

/// The flags that a flow keeps and shows, as Open vSwitch does.
const KEPT_FLAGS: u16 = flow_flag::SEND_FLOW_REM
    | flow_flag::CHECK_OVERLAP
    | flow_flag::RESET_COUNTS
    | flow_flag::NO_PACKET_COUNTS
    | flow_flag::NO_BYTE_COUNTS;

impl Switch {
    /// OFPT_FLOW_MOD.
    pub(super) fn flow_mod(
        &mut self,
        now: Time,
        conn: ConnId,
        flow_mod: Box<FlowMod>,
    ) -> Result<(), OfError> {
        self.check_flow_mod(conn, &flow_mod)?;
        let Connection {
            bridge, version, ..
        } = self.connections[&conn];
        use FlowModCommand::*;
        match flow_mod.command {
            Add => self.add_flow(now, bridge, version, *flow_mod),
            Modify | ModifyStrict => self.modify_flows(now, bridge, version, &flow_mod),
            Delete | DeleteStrict => {
                self.delete_flows(now, bridge, &flow_mod);
                Ok(())
            }
        }
    }
    /// What is wrong with a FLOW_MOD, whatever flows there are.
    pub(super) fn check_flow_mod(&self, conn: ConnId, flow_mod: &FlowMod) -> Result<(), OfError> {
        let Connection {
            bridge, version, ..
        } = self.connections[&conn];
        // A bundle's was looked at when it came.
        if !self.is_noting() {
            check(flow_mod, version)?;
        }
        if !matches!(
            flow_mod.command,
            FlowModCommand::Delete | FlowModCommand::DeleteStrict
        ) {
            self.check_used(bridge, &flow_mod.actions)?;
            if let Some(first) = self.bridges[&bridge].config.first_egress {
                check_egress(first, add_table(flow_mod), &flow_mod.actions)?;
            }
            self.check_tlvs(bridge, &flow_mod.matching, &[])?;
        }
        Ok(())
    }
    /// OpenFlow 1.3.5 section 6.4, "Modifying Flow Entries", add.
    pub(super) fn add_flow(
        &mut self,
        now: Time,
        id: BridgeId,
        version: Version,
        flow_mod: FlowMod,
    ) -> Result<(), OfError> {
        let table = add_table(&flow_mod);
        let bridge = &self.bridges[&id];
        let old = bridge
            .flows
            .find(table, flow_mod.priority, &flow_mod.matching);
        // A flow that it replaces does not stand in its way, as with Open vSwitch.
        if old.is_none()
            && flow_mod.flags & flow_flag::CHECK_OVERLAP != 0
            && bridge
                .flows
                .overlaps(table, flow_mod.priority, &flow_mod.matching)
        {
            return Err(OfError::FlowOverlap);
        }
        let is_full = old.is_none() && bridge.flows.len(table) >= bridge.table_limit(table);
        if is_full && (self.rule_slots.room() == 0 || !self.evict(now, id, table)) {
            return Err(OfError::FlowTableFull);
        }
        let bridge = &self.bridges[&id];
        let flags = flow_mod.flags | implied_flags(version, flow_mod.command);
        let keeps = flags & flow_flag::RESET_COUNTS == 0;
        let kept = old
            .filter(|_| keeps)
            .and_then(|index| bridge.flows.get(index));
        let (rule_id, baseline) = match kept.map(|flow| (flow.rule.id, flow.baseline)) {
            Some(slot) => slot,
            None => self.take_rule_slot().ok_or(OfError::FlowTableFull)?,
        };
        let rule = Arc::new(Rule {
            id: rule_id,
            table,
            priority: flow_mod.priority,
            // A copy is as small as can be; to shrink the original leaves holes: 570 bytes a flow, or 640.
            matching: flow_mod.matching.clone(),
            actions: flow_mod.actions.as_slice().into(),
            cookie: flow_mod.new_cookie.unwrap_or(flow_mod.cookie),
        });
        let flow = Flow {
            rule: rule.clone(),
            flags: flags & KEPT_FLAGS,
            idle_timeout_secs: flow_mod.idle_timeout_secs,
            hard_timeout_secs: flow_mod.hard_timeout_secs,
            importance: flow_mod.importance,
            created: now,
            modified: now,
            baseline,
            sequence: 0,
            changed: 0,
            deadline: None,
        };
        let flows = &mut self.bridges.get_mut(&id).expect("seen above").flows;
        let (index, replaced) = match old {
            Some(index) => (index, flows.replace(index, flow)),
            None => (flows.insert(flow), None),
        };
        self.note(|| match &replaced {
            Some(old) => Undo::FlowChanged(id, index, Box::new(old.clone())),
            None => Undo::FlowAdded(id, index),
        });
        self.publisher.stage(Change::AddRule(id, for_workers(rule)));
        self.flow_changed(id, index, FlowEvent::Added);
        if let Some(replaced) = replaced {
            self.forsake(id, &replaced.rule.actions);
            if replaced.rule.id != rule_id {
                self.end_rule_silently(replaced.rule.id);
            }
        }
        Ok(())
    }
    /// Modify: new actions, the same counters. What matches nothing adds, if it gives a cookie and
    /// selects by none: OpenFlow 1.0, and Nicira's form.
    fn modify_flows(
        &mut self,
        now: Time,
        id: BridgeId,
        version: Version,
        flow_mod: &FlowMod,
    ) -> Result<(), OfError> {
        let strict = flow_mod.command == FlowModCommand::ModifyStrict;
        let found = self.bridges[&id]
            .flows
            .select(&selection(flow_mod, strict, false));
        if self.may_modify(now, id, version, flow_mod, found.len())? {
            let change = |index| self.modify_one(now, id, index, flow_mod);
            found.into_iter().for_each(change);
        }
        Ok(())
    }
    /// Whether the flows that a MODIFY has found may be changed. If there are none it may add one.
    pub(super) fn may_modify(
        &mut self,
        now: Time,
        id: BridgeId,
        version: Version,
        flow_mod: &FlowMod,
        found: usize,
    ) -> Result<bool, OfError> {
        let adds = flow_mod.cookie != KEEP_COOKIE && flow_mod.cookie_mask == 0;
        if found == 0 {
            return match adds {
                true => self
                    .add_flow(now, id, version, flow_mod.clone())
                    .map(|()| false),
                false => Ok(false),
            };
        }
        if resets(flow_mod) && self.rule_slots.room() < found {
            return Err(OfError::FlowTableFull);
        }
        Ok(true)
    }
    /// Changes a flow that a MODIFY has found.
    pub(super) fn modify_one(
        &mut self,
        now: Time,
        id: BridgeId,
        index: FlowIndex,
        flow_mod: &FlowMod,
    ) {
        // With a mask the cookie selects; without, it is the new one, or all ones: none is given.
        let cookie = match flow_mod.cookie_mask {
            0 => Some(flow_mod.cookie).filter(|cookie| *cookie != KEEP_COOKIE),
            _ => flow_mod.new_cookie,
        };
        self.modify_flow(now, id, index, &flow_mod.actions, cookie, resets(flow_mod));
    }
    pub(super) fn modify_flow(
        &mut self,
        now: Time,
        id: BridgeId,
        index: FlowIndex,
        actions: &[Action],
        cookie: Option<Cookie>,
        reset: bool,
    ) {
        let Some(old) = self.bridges[&id].flows.get(index).map(|f| f.rule.clone()) else {
            return;
        };
        let used = self.stats.rule(old.id).used;
        let slot = if reset { self.take_rule_slot() } else { None };
        let rule = Arc::new(Rule {
            id: slot.map_or(old.id, |(id, _)| id),
            actions: actions.into(),
            cookie: cookie.unwrap_or(old.cookie),
            ..(*old).clone()
        });
        let noting = self.is_noting();
        let flows = &mut self.bridges.get_mut(&id).expect("has flows").flows;
        let before = flows.get(index).filter(|_| noting).cloned();
        flows.update(index, used, |flow| {
            flow.rule = rule.clone();
            flow.modified = now;
            if let Some((_, baseline)) = slot {
                flow.baseline = baseline;
            }
        });
        if let Some(before) = before {
            self.note(|| Undo::FlowChanged(id, index, Box::new(before)));
        }
        let changed = rule.actions != old.actions || rule.cookie != old.cookie;
        self.publisher.stage(Change::AddRule(id, for_workers(rule)));
        if changed {
            self.flow_changed(id, index, FlowEvent::Modified);
        }
        self.forsake(id, &old.actions);
        if slot.is_some() {
            self.end_rule_silently(old.id);
        }
    }
    fn delete_flows(&mut self, now: Time, id: BridgeId, flow_mod: &FlowMod) {
        let strict = flow_mod.command == FlowModCommand::DeleteStrict;
        let mut found = self.bridges[&id]
            .flows
            .select(&selection(flow_mod, strict, true));
        found.sort_unstable();
        for index in found {
            self.end_flow(now, id, index, FlowRemovedReason::Delete);
        }
    }
    /// Removes a flow; its FLOW_REMOVED follows when no worker uses it any more.
    pub(super) fn end_flow(
        &mut self,
        now: Time,
        id: BridgeId,
        index: FlowIndex,
        reason: FlowRemovedReason,
    ) {
        self.flow_changed(id, index, FlowEvent::Removed(reason));
        let flows = &mut self.bridges.get_mut(&id).expect("has flows").flows;
        let Some(flow) = flows.remove(index) else {
            return;
        };
        self.note(|| Undo::FlowRemoved(id, Box::new(flow.clone())));
        self.publisher
            .stage(Change::RemoveRule(id, flow.rule.clone()));
        self.forsake(id, &flow.rule.actions);
        let slot = flow.rule.id;
        let tell = flow.flags & flow_flag::SEND_FLOW_REM != 0;
        if tell {
            let tell = (id, flow, reason, now);
            self.when_settled(Settling::Rule(Box::new(Ended { slot, tell })));
        } else {
            self.end_rule_silently(slot);
        }
    }
    /// Removes all flows of a bridge without telling anybody, as a change of its controllers does.
    pub(super) fn flush_flows(&mut self, id: BridgeId) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        if bridge.monitors > 0 || tables().any(|table| bridge.tables.has_vacancy_events(table)) {
            let removed = FlowEvent::Removed(FlowRemovedReason::Delete);
            let places = bridge.flows.places();
            places.for_each(|place| self.flow_changed(id, FlowIndex::at(place), removed));
        }
        let bridge = self.bridges.get_mut(&id).expect("seen above");
        for flow in bridge.flows.clear() {
            self.publisher
                .stage(Change::RemoveRule(id, flow.rule.clone()));
            self.end_rule_silently(flow.rule.id);
        }
    }
    /// Frees a rule's slot when no worker uses it any more.
    pub(super) fn end_rule_silently(&mut self, slot: RuleId) {
        self.when_settled(Settling::Slot(slot));
    }
    /// A slot for a new rule's counters, and what they hold already.
    pub(super) fn take_rule_slot(&mut self) -> Option<(RuleId, (u64, u64))> {
        let (slot, used_before) = self.rule_slots.take()?;
        let id = RuleId(slot);
        self.note(|| Undo::Slot(id));
        if !used_before {
            self.stats.reserve_rule(id);
            return Some((id, (0, 0)));
        }
        let totals = self.stats.rule(id);
        Some((id, (totals.packets, totals.bytes)))
    }
}

/// What is wrong with a FLOW_MOD, whatever the tables hold.
pub(super) fn check(flow_mod: &FlowMod, version: Version) -> Result<(), OfError> {
    use FlowModCommand::*;
    let deletes = matches!(flow_mod.command, Delete | DeleteStrict);
    // The switch's own table is no controller's; there is nothing of theirs to delete in it.
    let own = flow_mod.table != TableId::ALL && usize::from(flow_mod.table.0) >= TableId::LEN;
    if own && !deletes {
        return Err(OfError::PermissionsError);
    }
    if flow_mod.flags & flow_flag::EMERGENCY10 != 0 {
        // OpenFlow 1.0.2 section 3.3: an emergency table is optional; without one it is always full.
        return Err(OfError::FlowTableFull);
    }
    if deletes {
        return Ok(());
    }
    if flow_mod.buffer_id != u32::MAX {
        return Err(OfError::BufferUnknown);
    }
    if !fits_replies(flow_mod) {
        return Err(OfError::ActionTooMany);
    }
    let table = add_table(flow_mod);
    super::packet_out::check_actions(&flow_mod.actions, &flow_mod.matching, table, version)
}

/// Bytes of a match in a message at most: a third of the words of a key in full, each with a mask.
const MATCH_MAX: usize = 2048;

/// Whether dumps in every version can show the flow: what is short in one may be long in another.
fn fits_replies(flow_mod: &FlowMod) -> bool {
    // Only what comes near needs a closer look.
    if actions_size(&flow_mod.actions) < usize::from(u16::MAX) / 4 {
        return true;
    }
    // The flows that are modified have matches of their own.
    let more = match flow_mod.command {
        FlowModCommand::Add => 0,
        _ => MATCH_MAX,
    };
    let flow = FlowStats {
        matching: flow_mod.matching.clone(),
        actions: flow_mod.actions.clone(),
        ..FlowStats::default()
    };
    ofp::wire::fits_replies(&flow, more)
}

/// OpenFlow 1.5.1 section 5.1.3: a goto leads from ingress tables to ingress tables only, from egress tables to egress
/// tables. Section 5.10: the action set of the egress tables has the output that began it, and can have no other one and no group.
fn check_egress(first: TableId, table: TableId, actions: &[Action]) -> Result<(), OfError> {
    let is_egress = table >= first;
    let chooses = |action: &Action| matches!(action, Action::Output { .. } | Action::Group(_));
    actions.iter().try_for_each(|action| match action {
        Action::GotoTable(to) if (*to >= first) != is_egress => Err(OfError::InstructionTableId),
        Action::WriteActions(set) if is_egress && set.iter().any(chooses) => {
            Err(OfError::ActionType)
        }
        _ => Ok(()),
    })
}

/// The rule as workers run it. OpenFlow 1.3.5 section 7.4.1: what a table-miss entry (section 5.4: of
/// priority 0, matching everything) sends to the controllers has the reason OFPR_NO_MATCH.
fn for_workers(rule: Arc<Rule>) -> Arc<Rule> {
    let to_controller = |action: &Action| match action {
        Action::Output {
            port: PortNo::CONTROLLER,
            max_len,
        } => Some(*max_len),
        _ => None,
    };
    let is_miss = rule.priority == 0 && rule.matching.words().is_empty();
    if !is_miss
        || !rule
            .actions
            .iter()
            .any(|action| to_controller(action).is_some())
    {
        return rule;
    }
    let reported = |action: &Action| match to_controller(action) {
        Some(max_len) => Action::Controller(Box::new(Controller {
            max_len,
            reason: PacketInReason::NoMatch,
            ..Default::default()
        })),
        None => action.clone(),
    };
    let actions = rule.actions.iter().map(reported).collect();
    Arc::new(Rule {
        actions,
        ..(*rule).clone()
    })
}

/// OpenFlow 1.3.5 section 6.4: "If the OFPFF_RESET_COUNTS flag is set, the flow entry counters must be
/// cleared, otherwise they should be copied from the replaced flow entry." Before 1.2 there was no such
/// flag, and an ADD clears them.
fn implied_flags(version: Version, command: FlowModCommand) -> u16 {
    if version < Version::V12 && command == FlowModCommand::Add {
        flow_flag::RESET_COUNTS
    } else {
        0
    }
}

fn resets(flow_mod: &FlowMod) -> bool {
    flow_mod.flags & flow_flag::RESET_COUNTS != 0
}

/// The table that an ADD without one means.
fn add_table(flow_mod: &FlowMod) -> TableId {
    if flow_mod.table == TableId::ALL {
        TableId(0)
    } else {
        flow_mod.table
    }
}

/// The flows that modify and delete are about; only delete looks at outputs.
pub(super) fn selection(flow_mod: &FlowMod, strict: bool, deletes: bool) -> Selection<'_> {
    Selection {
        table: flow_mod.table,
        priority: strict.then_some(flow_mod.priority),
        matching: &flow_mod.matching,
        cookie: flow_mod.cookie,
        cookie_mask: flow_mod.cookie_mask,
        out_port: if deletes {
            flow_mod.out_port
        } else {
            PortNo::ANY
        },
        out_group: if deletes {
            flow_mod.out_group
        } else {
            ofp::types::GroupId::ANY
        },
    }
}
