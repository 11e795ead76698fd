//! The two rings between control and a worker. Both are bounded; what does not fit is counted.

use super::id::BridgeId;
use super::id::PortId;
use super::learnt::{Finished, Learnt};
use super::stats::QueueStats;
use super::tlv::OptionWords;
use super::tunnel::Ends;
use crate::edge::{Rx, Tx};
use ofp::action::{Action, Controller};
use ofp::key::Match;
use ofp::types::{Cookie, PortNo, TableId};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Entries of the ring from a worker to control.
pub const EVENTS: usize = 4096;
/// Entries of the ring from control to a worker (its mailbox).
pub const COMMANDS: usize = 1024;

/// What a worker tells control.
#[derive(Debug)]
pub enum Event {
    /// A packet for the controllers.
    Punt(Box<Punt>),
    /// A flow that a packet taught, or teaches still.
    Learn(Arc<Learnt>),
    /// A connection ends, and a rule's timeouts with it.
    Finish(Arc<Finished>),
    /// All packet-outs up to this number have run, and what they did was told before.
    PacketOuts(u64),
    /// Packets wait for this tunnel's route or neighbour.
    Resolve {
        /// The tunnel's port.
        port: PortId,
        /// The ends, if the packet named them.
        ends: Option<Ends>,
    },
}

/// A packet for the controllers.
#[derive(Debug, Clone, PartialEq)]
pub struct Punt {
    /// Bridge.
    pub bridge: BridgeId,
    /// Table of the rule, or of the miss.
    pub table: TableId,
    /// The rule's cookie; all ones for a packet-out's.
    pub cookie: Cookie,
    /// Length, controller id, reason, user data.
    pub controller: Controller,
    /// Metadata fields, for the packet-in.
    pub fields: Match,
    /// Ingress port.
    pub in_port: PortNo,
    /// Bytes of the whole packet.
    pub total_len: u32,
    /// The packet, cut to `controller.max_len`.
    pub data: Vec<u8>,
    /// The packet stops here; this goes on with it when a controller says so.
    pub paused: Option<Paused>,
}

/// What remains of a paused packet's way. Only workers look into it.
#[derive(Clone)]
pub struct Paused {
    /// The continuation.
    pub way: Arc<dyn Any + Send + Sync>,
    /// What the packet says of the tunnel that it came through.
    pub words: Option<Box<[u64]>>,
    /// The same of its mapped options.
    pub options: Option<Box<OptionWords>>,
}

impl PartialEq for Paused {
    fn eq(&self, other: &Paused) -> bool {
        Arc::ptr_eq(&self.way, &other.way)
            && self.words == other.words
            && self.options == other.options
    }
}

impl fmt::Debug for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Paused")
    }
}

/// Takes a queue back.
pub type Back<F> = Box<dyn FnOnce(Box<dyn Rx<F>>) + Send>;

/// What control tells a worker.
pub enum Command<F> {
    /// Receive from this queue from now on.
    AddRx {
        /// The port.
        port: PortId,
        /// Its queue.
        rx: Box<dyn Rx<F>>,
        /// What is counted of it; which queue it is, too.
        counters: Arc<QueueStats>,
    },
    /// Receive from this queue no more, and hand it back when nothing that came by it is held any more: who polls it
    /// next sends behind what was sent here, so flows stay in order.
    RemoveRx {
        /// As it was added with.
        counters: Arc<QueueStats>,
        /// Gets the queue; dropped if the port goes before, or there is no such queue here.
        back: Back<F>,
    },
    /// Send by this queue from now on.
    AddTx {
        /// The port.
        port: PortId,
        /// Its queue.
        tx: Box<dyn Tx<F>>,
    },
    /// Let go of the port's queues; when it is done, `done` is dropped.
    RemovePort {
        /// The port.
        port: PortId,
        /// Dropped when the queues are.
        done: std::sync::mpsc::Sender<()>,
    },
    /// Begin a new cache of programs, of so many entries.
    CacheEntries(usize),
    /// Run the actions on a packet.
    PacketOut(Box<PacketOut>),
    /// End the worker.
    Stop,
}

/// A packet to run actions on.
#[derive(Debug, Clone, PartialEq)]
pub struct PacketOut {
    /// Bridge.
    pub bridge: BridgeId,
    /// As if received there.
    pub in_port: PortNo,
    /// Fields beside the ingress port that are not the packet's.
    pub fields: Match,
    /// What to do.
    pub actions: Box<[Action]>,
    /// The packet.
    pub data: Vec<u8>,
    /// It was paused, and goes on; `actions` are empty.
    pub paused: Option<Paused>,
    /// Counts control's packet-outs from 1, so that [`Event::PacketOuts`] can tell when this has run; 0: nobody asks.
    pub number: u64,
}
