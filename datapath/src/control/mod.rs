//! The writer: what the operator configures and what controllers say becomes changes of the model.
//! Pure: bytes, sockets and clocks are the caller's; `now` is an argument and results are [`Output`]s.
//! One file per message family, handlers named after the message, the dispatch table in `message.rs`.
//!
//! Changes become visible to the workers with [`Switch::publish`], all of a batch at once. What may only
//! be said when every worker has passed them (a BARRIER_REPLY, a FLOW_REMOVED with final counters, the
//! end of a port) waits inside until then.

mod bridge;
mod bundle;
mod changes;
mod config;
mod connection;
mod controller_status;
mod display;
mod dump;
mod entries;
mod eviction;
mod expiry;
mod features;
mod flow_mod;
mod flow_stats;
mod flow_table;
mod group;
mod group_mod;
mod group_stats;
mod learn;
mod message;
mod meter_mod;
mod meter_stats;
mod monitor;
mod multipart;
mod packet_in;
mod packet_out;
mod port;
mod port_mod;
mod queue;
mod requestforward;
mod resume;
mod role;
mod settings;
mod slots;
mod stat_trigger;
mod table_features;
mod table_mod;
mod tlv;
mod undo;
mod users;
mod wide;

#[cfg(test)]
mod tests;

pub use settings::*;

use crate::fragment::Secret;
use crate::model::event::PacketOut;
use crate::model::publish::Publisher;
use crate::model::stats::Stats;
use crate::model::tunnel::Ends;
use crate::model::tunnel::TunnelMap;
use crate::model::{BridgeId, PortId, RuleId};
use crate::time::Time;
use bridge::Bridge;
use connection::{Connection, Late};
use ofp::message::Message;
use port::Port;
use rustc_hash::FxHashMap;
use slots::Slots;
use std::collections::{BTreeMap, VecDeque};

/// What the caller has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this to a connection.
    Send(ConnId, Message),
    /// Send this to a connection, or drop it (and count that) if too much waits there already:
    /// packet-ins only.
    SendPacketIn(ConnId, Message),
    /// A reply to a connection is longer than one piece: when it has room, [`Switch::dump`] gives the next.
    More(ConnId),
    /// What a connection's next messages waited for is done ([`Switch::is_dumping`]).
    Done(ConnId),
    /// Close a connection.
    Close(ConnId),
    /// Give this to a worker, which takes the newest snapshot before it runs it.
    PacketOut(Box<PacketOut>),
    /// Packets wait for this tunnel port's route or neighbour.
    Resolve(PortId, Option<Ends>),
    /// Set a port's device administratively up or down.
    SetPortUp(PortId, bool),
    /// No worker sees this port any more: its device may be closed, its number be used again.
    PortGone(PortId),
    /// No worker sees this bridge any more.
    BridgeGone(BridgeId),
}

/// What control could not do for lack of room, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flow mods refused because a table or the switch was full.
    pub table_full: u64,
    /// Packet-ins over a connection's rate limit.
    pub packet_ins_limited: u64,
    /// Packets for the controllers that a `slowpath` meter stopped.
    pub packet_ins_metered: u64,
    /// Flows that packets taught.
    pub learnt: u64,
    /// The same, not added: the table or the switch was full.
    pub learns_refused: u64,
    /// The same, as there were as many as their `learn` action allows.
    pub learns_limited: u64,
    /// Paused packets that nobody resumed in time, or that gave way to others.
    pub paused_lost: u64,
    /// Group mods refused because there are too many groups or buckets.
    pub groups_full: u64,
    /// Meter mods refused because there are too many meters.
    pub meters_full: u64,
    /// Bundles and messages of bundles refused because there are too many.
    pub bundles_full: u64,
    /// Bundles that were left alone for too long.
    pub bundles_timed_out: u64,
    /// Error replies sent.
    pub errors: u64,
}

/// What happens when the workers have got there.
#[derive(Default)]
struct Waiting {
    /// When the staged changes are published.
    published: Vec<Output>,
    /// When no worker handles packets by anything older.
    settled: Vec<Settling>,
    /// Some of the latter are replies.
    is_awaited: bool,
}

/// What is left to do once no worker uses the old state.
enum Settling {
    Output(Box<Output>),
    /// Nobody wants to hear of the rule that had this slot.
    Slot(RuleId),
    Rule(Box<expiry::Ended>),
    Port(PortId, BridgeId),
    Bridge(BridgeId),
}

/// All bridges of the switch.
pub struct Switch {
    publisher: Publisher,
    secret: Secret,
    stats: Stats,
    bridges: BTreeMap<BridgeId, Bridge>,
    ports: FxHashMap<PortId, Port>,
    names: FxHashMap<String, PortId>,
    tunnels: TunnelMap,
    connections: BTreeMap<ConnId, Connection>,
    rule_slots: Slots,
    port_slots: Slots,
    bridge_slots: Slots,
    /// Since the last publication.
    staged: Waiting,
    /// Published; a worker may still be in a burst that began before.
    passing: Vec<Settling>,
    /// No worker is; not yet done.
    settled: VecDeque<Settling>,
    next_aging: Time,
    /// The last tick.
    ticked: Time,
    counters: Counters,
    changes: changes::Changes,
    lessons: learn::Lessons,
    paused: resume::PausedPackets,
    packet_outs: packet_out::PacketOuts,
    /// While a bundle is committed.
    log: Option<undo::Log>,
    wides: wide::Wides,
    /// More flows have to end by then than were ended yet.
    expiring: Option<Time>,
}

impl Switch {
    /// A switch without bridges. Its hashes of what strangers send are this secret's.
    pub fn new(stats: Stats, secret: Secret) -> Switch {
        use crate::model::{port::MAX_PORTS, stats::MAX_BRIDGES, stats::MAX_RULES};
        Switch {
            secret,
            publisher: Publisher::new(secret),
            stats,
            bridges: BTreeMap::new(),
            ports: FxHashMap::default(),
            names: FxHashMap::default(),
            tunnels: TunnelMap::default(),
            connections: BTreeMap::new(),
            rule_slots: Slots::new(MAX_RULES),
            port_slots: Slots::new(MAX_PORTS),
            bridge_slots: Slots::new(MAX_BRIDGES),
            staged: Waiting::default(),
            passing: Vec::new(),
            settled: VecDeque::new(),
            next_aging: Time::default(),
            ticked: Time::default(),
            counters: Counters::default(),
            changes: changes::Changes::default(),
            lessons: learn::Lessons::default(),
            paused: resume::PausedPackets::default(),
            packet_outs: packet_out::PacketOuts::default(),
            log: None,
            wides: wide::Wides::default(),
            expiring: None,
        }
    }
    /// For workers to make their readers from; publish by [`Switch::publish`].
    pub fn publisher(&mut self) -> &mut Publisher {
        &mut self.publisher
    }
    /// What was refused or dropped so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
    /// Makes the changes since the last call visible to the workers, all at once, and emits what had to
    /// wait for it. `false`: a worker is still in a burst that began before; call again soon (microseconds).
    /// `true`: everything is in force on every worker and nothing waits.
    pub fn publish(&mut self, out: &mut Vec<Output>) -> bool {
        loop {
            let done = self.publish_ready(out);
            if !done || !self.is_busy() {
                return done;
            }
            self.work(out);
        }
    }
    /// The same, but what takes long is left to [`Switch::work`]; while there is such, [`Switch::is_busy`].
    pub fn publish_ready(&mut self, out: &mut Vec<Output>) -> bool {
        loop {
            if !self.publisher.settled() {
                return false;
            }
            let passed = std::mem::take(&mut self.passing);
            match self.settled.is_empty() {
                true => self.settled = passed.into(),
                false => self.settled.extend(passed),
            }
            self.settle_some(out);
            let is_staged = self.is_staged();
            if !is_staged {
                self.wides.start_next();
            }
            if !is_staged || self.wides.is_making() || self.has_backlog() {
                return true;
            }
            if !self.publisher.try_publish() {
                return false;
            }
            let staged = std::mem::take(&mut self.staged);
            out.extend(staged.published);
            self.passing = staged.settled;
        }
    }
    /// Whether changes wait for [`Switch::publish`].
    pub fn is_staged(&self) -> bool {
        self.publisher.is_staged() || !self.staged.is_empty()
    }
    /// Whether somebody waits for that: for a reply, for a packet to be sent.
    pub fn is_awaited(&self) -> bool {
        self.staged.is_awaited || !self.staged.published.is_empty() || !self.passing.is_empty()
    }
    fn settle(&mut self, settling: Settling, out: &mut Vec<Output>) {
        match settling {
            Settling::Output(output) => match *output {
                Output::Send(conn, message) => self.say_settled(conn, message, out),
                output => out.push(output),
            },
            Settling::Slot(slot) => self.rule_slots.free(slot.0),
            Settling::Rule(ended) => self.rule_ended(*ended, out),
            Settling::Port(id, bridge) => {
                if let Some(bridge) = self.bridges.get(&bridge) {
                    bridge.config.macs.expire(|entry| entry.port == id);
                }
                self.port_slots.free(id.0);
                out.push(Output::PortGone(id));
            }
            Settling::Bridge(id) => {
                self.bridge_slots.free(u32::from(id.0));
                out.push(Output::BridgeGone(id));
            }
        }
    }
    /// Says a reply that waited for the workers; what waited behind it goes on.
    fn say_settled(&mut self, conn: ConnId, message: Message, out: &mut Vec<Output>) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return out.push(Output::Send(conn, message));
        };
        connection.waiting -= 1;
        match connection.late.is_empty() {
            true => out.push(Output::Send(conn, message)),
            // Behind the flows that ended before.
            false => connection.late.push_back(Late::Said(message)),
        }
        let has_more = !connection.dumps.is_empty() || !connection.late.is_empty();
        if connection.waiting == 0 && has_more {
            out.push(Output::More(conn));
        }
    }
    /// Emits an output when the changes so far are published; at once if there are none.
    fn when_published(&mut self, output: Output, out: &mut Vec<Output>) {
        if self.publisher.is_staged() {
            self.staged.published.push(output);
        } else {
            out.push(output);
        }
    }
    fn when_settled(&mut self, settling: Settling) {
        self.staged.is_awaited |= !matches!(settling, Settling::Slot(_) | Settling::Rule(_));
        self.staged.settled.push(settling);
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.published.is_empty() && self.settled.is_empty()
    }
}
