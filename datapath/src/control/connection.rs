//! Connections as control knows them: who is there, and which events they want.

use super::bundle::Bundles;
use super::dump::Dump;
use super::monitor::Monitors;
use super::settings::{Auxiliary, ConnId, ConnKind, ConnSettings};
use super::stat_trigger::STAT_TRIGGER;
use super::{Output, Switch};
use crate::model::BridgeId;
use crate::time::Time;
use ofp::message::{
    AsyncConfig, Body, FlowRemoved, FlowRemovedReason, Message, PacketInFormat, SwitchConfig,
};
use ofp::types::{Version, Xid};
use rustc_hash::FxHasher;
use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::Arc;

/// OFP_DEFAULT_MISS_SEND_LEN.
pub(super) const DEFAULT_MISS_SEND_LEN: u16 = 128;

/// What a connection may do and gets (OpenFlow 1.3.5 section 6.3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ConnRole {
    #[default]
    Equal,
    Primary,
    Secondary,
}

/// A connection.
pub(super) struct Connection {
    pub(super) bridge: BridgeId,
    pub(super) kind: ConnKind,
    pub(super) version: Version,
    pub(super) events: bool,
    pub(super) config: SwitchConfig,
    pub(super) role: ConnRole,
    /// As the controller calls itself (1.5).
    pub(super) short_id: Option<u16>,
    /// For [equal and primary, secondary].
    pub(super) wanted: AsyncConfig,
    pub(super) packet_in_format: PacketInFormat,
    pub(super) controller_id: u16,
    pub(super) limit: Option<Bucket>,
    /// Replies that wait for the workers; later ones wait behind them.
    pub(super) waiting: usize,
    /// Those of them that wait for packet-outs first, with the last one's number.
    pub(super) held: VecDeque<(u64, Output)>,
    /// Number of its last packet-out.
    pub(super) packet_out: u64,
    /// Long replies that are not finished.
    pub(super) dumps: VecDeque<Dump>,
    pub(super) monitors: Monitors,
    /// It does not read as fast as flows end ([`Switch::falls_behind`]).
    pub(super) is_behind: bool,
    /// What it is told when it has read.
    pub(super) late: VecDeque<Late>,
    pub(super) bundles: Bundles,
    pub(super) auxiliary: Option<Auxiliary>,
    /// Of a main connection: its auxiliary ones.
    auxiliaries: Vec<ConnId>,
}

/// What a connection that is behind is told later.
pub(super) enum Late {
    /// Several connections may be told of the same.
    Removed(Arc<FlowRemoved>, FlowRemovedReason),
    Said(Message),
}

impl Late {
    /// As it is said.
    pub(super) fn message(self) -> Message {
        match self {
            Late::Said(message) => message,
            Late::Removed(removed, reason) => {
                let removed = FlowRemoved {
                    reason,
                    ..Arc::unwrap_or_clone(removed)
                };
                let (xid, body) = (Xid(0), Body::FlowRemoved(Box::new(removed)));
                Message { xid, body }
            }
        }
    }
}

/// A token bucket; a token is a packet.
pub(super) struct Bucket {
    rate: u64,
    burst: u64,
    /// In packets times 10^9.
    tokens: u64,
    filled: Time,
}

impl Bucket {
    fn new(rate: u32, burst: u32, now: Time) -> Bucket {
        let (rate, burst) = (u64::from(rate), u64::from(burst.max(1)) * 1_000_000_000);
        Bucket {
            rate,
            burst,
            tokens: burst,
            filled: now,
        }
    }
    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let gained = self.rate.saturating_mul(now.since(self.filled).0);
        self.tokens = self.tokens.saturating_add(gained).min(self.burst);
        self.filled = now;
        let enough = self.tokens >= 1_000_000_000;
        self.tokens -= if enough { 1_000_000_000 } else { 0 };
        enough
    }
}

/// The kinds of events that a connection can choose from.
#[derive(Clone, Copy)]
pub(super) enum EventKind {
    PacketIn,
    PortStatus,
    FlowRemoved,
    RoleStatus,
    TableStatus,
    RequestForward,
    FlowStats,
    ControllerStatus,
}

impl EventKind {
    /// The first version that can say it; ONF's extensions of 1.3 count.
    const fn since(self) -> Version {
        match self {
            EventKind::PacketIn | EventKind::PortStatus | EventKind::FlowRemoved => Version::V10,
            EventKind::RoleStatus => Version::V13,
            EventKind::TableStatus => Version::V14,
            EventKind::RequestForward => Version::V14,
            EventKind::FlowStats | EventKind::ControllerStatus => Version::V15,
        }
    }
}

/// What each version has by default. OpenFlow 1.3.5 section 6.3.5: a secondary gets port status only;
/// 1.4.1 section 7.4.4: "the corresponding controller must be informed" that its role was changed.
/// Packet-ins of an expired TTL, and others' requests, have to be asked for. (Packet-in reasons of 1.4 are
/// said as older ones to older versions, so they are on for these, too.)
const fn default_events(version: Version) -> AsyncConfig {
    AsyncConfig {
        packet_in: [0b11_1011, 0],
        port_status: [0b111, 0b111],
        flow_removed: [known_removals(version), 0],
        role_status: [0b111, 0b111],
        table_status: [0b1_1000, 0],
        requestforward: [0, 0],
        flow_stats: [1 << STAT_TRIGGER, 0],
        controller_status: [0b111_1111, 0],
    }
}

/// Reasons of FLOW_REMOVED that a version knows: 1.0 has no groups; meters and eviction came with 1.4.
pub(super) const fn known_removals(version: Version) -> u32 {
    match version {
        Version::V10 => 0b111,
        Version::V11 | Version::V12 | Version::V13 => 0b1111,
        _ => 0b11_1111,
    }
}

impl Connection {
    fn new(now: Time, settings: ConnSettings) -> Connection {
        let ConnSettings {
            bridge,
            kind,
            version,
            packet_in_limit,
            events,
            auxiliary,
        } = settings;
        let miss_send_len = match kind {
            ConnKind::Controller => DEFAULT_MISS_SEND_LEN,
            ConnKind::Service => 0,
        };
        Connection {
            bridge,
            kind,
            version,
            events,
            config: SwitchConfig {
                miss_send_len,
                ..Default::default()
            },
            role: ConnRole::Equal,
            short_id: None,
            wanted: default_events(version),
            packet_in_format: PacketInFormat::default(),
            controller_id: 0,
            limit: packet_in_limit.map(|l| Bucket::new(l.rate, l.burst, now)),
            waiting: 0,
            held: VecDeque::new(),
            packet_out: 0,
            dumps: VecDeque::new(),
            monitors: Monitors::default(),
            is_behind: false,
            late: VecDeque::new(),
            bundles: Bundles::default(),
            auxiliary,
            auxiliaries: Vec::new(),
        }
    }
    /// Which connection takes a packet to the controller: the main one, `conn`, or an auxiliary, so that those of
    /// one pair of stations stay in order.
    pub(super) fn carrier(&self, conn: ConnId, packet: &[u8]) -> ConnId {
        if self.auxiliaries.is_empty() {
            return conn;
        }
        let mut hasher = FxHasher::default();
        hasher.write(&packet[..packet.len().min(2 * 6)]);
        // The high bits of the hash are the good ones.
        let all = self.auxiliaries.len() as u64 + 1;
        let choice = ((hasher.finish() >> 32) * all) >> 32;
        match choice.checked_sub(1) {
            Some(index) => self.auxiliaries[index as usize],
            None => conn,
        }
    }
    /// Whether replies wait for others that were not said yet.
    pub(super) fn waits(&self) -> bool {
        self.waiting > 0 || !self.late.is_empty()
    }
    /// Whether it gets events at all. Auxiliary connections get packets, see [`Connection::carrier`].
    pub(super) fn has_events(&self) -> bool {
        self.events
            && self.auxiliary.is_none()
            && (self.kind == ConnKind::Controller || self.config.miss_send_len > 0)
    }
    /// Whether it wants an event; `reason` is the wire's number.
    pub(super) fn wants(&self, kind: EventKind, reason: u32) -> bool {
        let masks = match kind {
            EventKind::PacketIn => self.wanted.packet_in,
            EventKind::PortStatus => self.wanted.port_status,
            EventKind::FlowRemoved => self.wanted.flow_removed,
            EventKind::RoleStatus => self.wanted.role_status,
            EventKind::TableStatus => self.wanted.table_status,
            EventKind::RequestForward => self.wanted.requestforward,
            EventKind::FlowStats => self.wanted.flow_stats,
            EventKind::ControllerStatus => self.wanted.controller_status,
        };
        let mask = masks[usize::from(self.role == ConnRole::Secondary)];
        self.version >= kind.since() && self.has_events() && mask >> reason & 1 != 0
    }
    /// Whether packets that no rule matches go there: before OpenFlow 1.3 they do.
    pub(super) fn wants_misses(&self) -> bool {
        self.version < Version::V13 && self.controller_id == 0 && self.wants(EventKind::PacketIn, 0)
    }
}

impl Switch {
    /// A connection is up: versions are negotiated.
    pub fn connect(&mut self, now: Time, conn: ConnId, settings: ConnSettings) {
        if !self.bridges.contains_key(&settings.bridge) {
            return;
        }
        if let Some(Auxiliary { main, .. }) = settings.auxiliary {
            let Some(main) = self.connections.get_mut(&main) else {
                return;
            };
            main.auxiliaries.push(conn);
        }
        self.connections
            .insert(conn, Connection::new(now, settings));
        self.update_miss(settings.bridge);
    }
    /// The connection that has a connection's role and settings: an auxiliary one's is the main one.
    pub(super) fn main_of(&self, conn: ConnId) -> ConnId {
        let auxiliary = self.connections.get(&conn).and_then(|c| c.auxiliary);
        auxiliary.map_or(conn, |auxiliary| auxiliary.main)
    }
    /// A connection is gone, and its auxiliary ones with it. What still waits for it is emitted nevertheless,
    /// for nobody.
    pub fn disconnect(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.remove(&conn) {
            for auxiliary in &connection.auxiliaries {
                self.connections.remove(auxiliary);
            }
            let main = connection.auxiliary.map(|auxiliary| auxiliary.main);
            if let Some(main) = main.and_then(|main| self.connections.get_mut(&main)) {
                main.auxiliaries.retain(|auxiliary| *auxiliary != conn);
            }
            self.count_monitors(connection.bridge);
            self.update_miss(connection.bridge);
        }
    }
    /// Sends an event to the connections of a bridge that want it.
    pub(super) fn send_event(
        &self,
        bridge: BridgeId,
        kind: EventKind,
        reason: u32,
        body: &Body,
        out: &mut Vec<Output>,
    ) {
        for (conn, connection) in &self.connections {
            if connection.bridge == bridge && connection.wants(kind, reason) {
                let message = Message {
                    xid: Xid(0),
                    body: body.clone(),
                };
                out.push(Output::Send(*conn, message));
            }
        }
    }
}
