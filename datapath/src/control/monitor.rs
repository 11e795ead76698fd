//! Flow monitors (OpenFlow 1.4 section 7.3.5.17; Nicira's and ONF's for older versions): connections
//! that are told of the flows of a bridge, first as they are, then as they change.
//!
//! A connection that does not read is told less: while too much waits for it, additions and changes
//! are held back ("paused"), and when it has caught up it is told what it missed, as the flows are then.
//! A removal is told all the same if it had heard of the flow.

use super::changes::FlowChange;
use super::connection::Connection;
use super::dump::{Dump, What};
use super::flow_table::{Flow, Selection};
use super::settings::ConnId;
use super::{Output, Switch};
use crate::model::Rule;
use crate::time::Time;
use ofp::error::OfError;
use ofp::message::{
    Body, FlowEvent, FlowUpdate, FullUpdate, Message, MonitorCommand, MonitorRequest,
    MultipartPart, MultipartReply, monitor_flag,
};
use ofp::types::{Cookie, TableId, Xid};
use std::collections::BTreeMap;

/// Monitors of one connection at most.
const MAX_MONITORS: usize = 1024;
/// Updates in one message at most.
const UPDATES: usize = 64;
/// All flags that there are.
const KNOWN_FLAGS: u16 = 0x7f;

/// A connection's monitors.
#[derive(Default)]
pub(super) struct Monitors {
    by_id: BTreeMap<u32, MonitorRequest>,
    /// Too much waits for the connection, since this moment ([`Flow::changed`]).
    paused: Option<u64>,
}

impl Monitors {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// Whether a monitor sees a rule.
fn sees(monitor: &MonitorRequest, rule: &Rule) -> bool {
    let selection = Selection {
        table: monitor.table,
        priority: None,
        matching: &monitor.matching,
        cookie: Cookie(0),
        cookie_mask: 0,
        out_port: monitor.out_port,
        out_group: monitor.out_group,
    };
    selection.covers(rule)
}

/// The flag that asks for an event.
fn asked_by(event: FlowEvent) -> u16 {
    match event {
        FlowEvent::Initial => monitor_flag::INITIAL,
        FlowEvent::Added => monitor_flag::ADD,
        FlowEvent::Removed(_) => monitor_flag::REMOVED,
        FlowEvent::Modified => monitor_flag::MODIFY,
    }
}

fn update(event: FlowEvent, rule: &Rule, timeouts: [u16; 2], flags: u16) -> FlowUpdate {
    let with_actions = flags & monitor_flag::INSTRUCTIONS != 0;
    FlowUpdate::Full(FullUpdate {
        event,
        table: rule.table,
        idle_timeout_secs: timeouts[0],
        hard_timeout_secs: timeouts[1],
        priority: rule.priority,
        cookie: rule.cookie,
        matching: rule.matching.clone(),
        actions: with_actions.then(|| rule.actions.to_vec()),
    })
}

fn of_flow(event: FlowEvent, flow: &Flow, flags: u16) -> FlowUpdate {
    let timeouts = [flow.idle_timeout_secs, flow.hard_timeout_secs];
    update(event, &flow.rule, timeouts, flags)
}

impl Connection {
    /// Flags of the monitors that want to hear of an event of a rule; 0: none does.
    fn interest(
        &self,
        event: FlowEvent,
        rule: &Rule,
        is_told: impl Fn(u32, &MonitorRequest) -> bool,
    ) -> u16 {
        let monitors = self.monitors.by_id.iter();
        let interested = monitors
            .filter(|(_, m)| m.flags & asked_by(event) != 0)
            .filter(|(id, m)| is_told(**id, m) && sees(m, rule));
        interested.fold(0, |flags, (_, m)| flags | m.flags)
    }
    /// A flow as it is, for new monitors.
    pub(super) fn initial_update(&self, ids: &[u32], flow: &Flow) -> Option<FlowUpdate> {
        let event = FlowEvent::Initial;
        let flags = self.interest(event, &flow.rule, |id, _| ids.contains(&id));
        (flags != 0).then(|| of_flow(event, flow, flags))
    }
    /// A flow that was added or changed after `since`.
    pub(super) fn missed_update(&self, since: u64, flow: &Flow) -> Option<FlowUpdate> {
        if flow.changed <= since {
            return None;
        }
        let event = match flow.sequence > since {
            true => FlowEvent::Added,
            false => FlowEvent::Modified,
        };
        let flags = self.interest(event, &flow.rule, |_, _| true);
        (flags != 0).then(|| of_flow(event, flow, flags))
    }
    /// Whether a monitor is told of a change now: not while it is paused, and not before a cursor that
    /// will report the flow as it is then. Of a removal it is told if it had heard of the flow.
    fn hears(&self, monitor: u32, change: &FlowChange) -> bool {
        let is_removal = matches!(change.event, FlowEvent::Removed(_));
        let known_since = |since: u64| is_removal && change.sequence <= since;
        let pending = self
            .dumps
            .iter()
            .filter(|d| d.will_report(monitor, change.place));
        self.monitors.paused.is_none_or(known_since) && { pending }
            .all(|dump| dump.missed_since().is_some_and(known_since))
    }
    /// What it is told of a change.
    fn update(
        &self,
        conn: ConnId,
        change: &FlowChange,
        abbreviated: &mut bool,
    ) -> Option<FlowUpdate> {
        let own = change.cause.filter(|(cause, _)| *cause == conn);
        let flags = self.interest(change.event, &change.rule, |id, monitor| {
            let only_own = monitor.flags & monitor_flag::ONLY_OWN != 0;
            (own.is_some() || !only_own) && self.hears(id, change)
        });
        if flags == 0 {
            return None;
        }
        match own {
            Some((_, xid)) if flags & monitor_flag::NO_ABBREV == 0 => {
                (!std::mem::replace(abbreviated, true)).then_some(FlowUpdate::Abbreviated(xid))
            }
            _ => {
                let timeouts = [change.idle_timeout_secs, change.hard_timeout_secs];
                Some(update(change.event, &change.rule, timeouts, flags))
            }
        }
    }
    fn catches_up(&self) -> bool {
        self.dumps.iter().any(|d| d.missed_since().is_some())
    }
}

impl Switch {
    /// OFPMP_FLOW_MONITOR: all of it or nothing.
    pub(super) fn flow_monitor(
        &mut self,
        now: Time,
        conn: ConnId,
        xid: Xid,
        requests: Vec<MonitorRequest>,
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        self.may_dump(conn)?;
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        let bridge = connection.bridge;
        let mut monitors = connection.monitors.by_id.clone();
        let mut new = Vec::new();
        for request in requests {
            let id = request.id;
            check(&request)?;
            match (request.command, monitors.contains_key(&id)) {
                (MonitorCommand::Add, true) => return Err(OfError::MonitorExists),
                (MonitorCommand::Modify | MonitorCommand::Delete, false) => {
                    return Err(OfError::MonitorUnknown);
                }
                (MonitorCommand::Delete, true) => {
                    monitors.remove(&id);
                    continue;
                }
                _ => {}
            }
            if request.flags & monitor_flag::INITIAL != 0 {
                new.push(id);
            }
            monitors.insert(id, request);
        }
        if monitors.len() > MAX_MONITORS {
            return Err(OfError::MonitorUnsupported);
        }
        connection.monitors.by_id = monitors;
        self.count_monitors(bridge);
        let dump = Dump::monitor(xid, What::Initial(new), &self.bridges[&bridge]);
        self.start_dump(now, conn, dump, out)
    }
    /// NXT_FLOW_MONITOR_CANCEL.
    pub(super) fn flow_monitor_cancel(&mut self, conn: ConnId, id: u32) -> Result<(), OfError> {
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        let bridge = connection.bridge;
        let removed = connection.monitors.by_id.remove(&id);
        removed.ok_or(OfError::MonitorUnknown)?;
        self.count_monitors(bridge);
        Ok(())
    }
    /// Connections or their monitors came or went.
    pub(super) fn count_monitors(&mut self, id: crate::model::BridgeId) {
        let of_bridge = self.connections.values().filter(|c| c.bridge == id);
        let len = of_bridge.map(|c| c.monitors.len()).sum();
        if let Some(bridge) = self.bridges.get_mut(&id) {
            bridge.monitors = len;
        }
    }
    /// Reports changes to the monitors that see them.
    pub(super) fn monitor_changes(&self, changes: &[FlowChange], out: &mut Vec<Output>) {
        let with_monitors = self
            .connections
            .iter()
            .filter(|(_, c)| c.monitors.len() > 0);
        for (conn, connection) in with_monitors {
            let mut abbreviated = false;
            let of_bridge = changes.iter().filter(|c| c.bridge == connection.bridge);
            let updates: Vec<FlowUpdate> = of_bridge
                .filter_map(|change| connection.update(*conn, change, &mut abbreviated))
                .collect();
            let mut parts = updates.chunks(UPDATES).peekable();
            while let Some(part) = parts.next() {
                let reply = MultipartReply {
                    more: parts.peek().is_some(),
                    part: MultipartPart::FlowMonitor(part.to_vec()),
                };
                let (xid, body) = (Xid(0), Body::MultipartReply(reply));
                out.push(Output::Send(*conn, Message { xid, body }));
            }
        }
    }
    /// Too much waits for a connection: its monitors are paused until [`Switch::dump`] is called for it.
    pub fn pause_monitors(&mut self, conn: ConnId, out: &mut Vec<Output>) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if connection.monitors.len() == 0 || connection.monitors.paused.is_some() {
            return;
        }
        let flows = &self.bridges[&connection.bridge].flows;
        connection.monitors.paused = Some(flows.moment());
        let (xid, body) = (Xid(0), Body::FlowMonitorPaused);
        out.push(Output::More(conn));
        out.push(Output::Send(conn, Message { xid, body }));
    }
    /// The connection has read what waited: what its monitors missed is the next dump.
    pub(super) fn resume_monitors(&mut self, conn: ConnId) {
        let connection = self.connections.get_mut(&conn).expect("seen by callers");
        // One after the other: what it catches up on is older.
        if connection.catches_up() {
            return;
        }
        if let Some(since) = connection.monitors.paused.take() {
            let bridge = &self.bridges[&connection.bridge];
            let dump = Dump::monitor(Xid(0), What::Missed(since), bridge);
            connection.dumps.push_back(dump);
        }
    }
}

/// What is wrong with a request, whatever monitors there are.
fn check(request: &MonitorRequest) -> Result<(), OfError> {
    if request.command == MonitorCommand::Delete {
        return Ok(());
    }
    if request.table != TableId::ALL && usize::from(request.table.0) >= TableId::LEN {
        return Err(OfError::MonitorTableId);
    }
    let wanted =
        monitor_flag::INITIAL | monitor_flag::ADD | monitor_flag::REMOVED | monitor_flag::MODIFY;
    if request.flags & wanted == 0 || request.flags & !KNOWN_FLAGS != 0 {
        return Err(OfError::MonitorFlags);
    }
    Ok(())
}
