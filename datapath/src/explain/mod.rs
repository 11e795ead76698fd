//! One packet traced through the switch as it is now: what each table did and why, what left, what was
//! dropped. The layout is that of Open vSwitch's `ofproto/trace`.
//!
//! Design: a worker of its own, with ports in memory, runs the code of the others on a snapshot; an
//! observer writes the tree down. Its counters and events are its own, so that nothing changes.

mod actions;
mod fields;
mod packet;
mod tree;

pub use packet::{Packet, hex};
pub use tree::{Kind, Node};

use crate::edge::Tx;
use crate::forward::worker::{Question, Team, Worker};
use crate::fragment::Secret;
use crate::model::event::Command;
use crate::model::port::PortKind;
use crate::model::publish::Reader;
use crate::model::stats::Stats;
use crate::model::tlv::TlvMap;
use crate::model::{BridgeId, BridgeView, DropReason, Snapshot};
use crate::sim::{SimFrame, SimPool};
use crate::time::Time;
use ofp::field::{FIELDS, Field};
use ofp::key::{Key, Match, WORDS, word};
use ofp::text::{PortMap, Style, print_match};
use ofp::types::{PortNo, Version};
use std::fmt;
use std::sync::Arc;
use tree::Tree;

/// The largest frame that is traced in one piece.
const BUFFER_SIZE: usize = 1 << 17;
/// Events that one packet may cause.
const EVENTS: usize = 4096;

/// A frame that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The port's number in its bridge.
    pub port: PortNo,
    /// Its name.
    pub name: Arc<str>,
    /// The frame.
    pub bytes: Vec<u8>,
}

impl Sent {
    /// The frame in the language of the cases.
    pub fn text(&self) -> String {
        flow::frametext::print(&self.bytes)
    }
}

/// What there is to say of a packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Its fields.
    pub flow: String,
    /// What happened, bridge by bridge.
    pub bridges: Vec<Node>,
    /// Its fields in the end, as the first bridge left them; `None`: unchanged.
    pub final_flow: Option<String>,
    /// The bits that the bridge's rules look at, of this packet.
    pub megaflow: String,
    /// What happened to the frame, in the words of Open vSwitch's datapaths.
    pub actions: String,
    /// What left, in order.
    pub frames: Vec<Sent>,
    /// Why something did not.
    pub drops: Vec<DropReason>,
    /// Why the walk was given up, if it was.
    pub failure: Option<DropReason>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Flow: {}", self.flow)?;
        for bridge in &self.bridges {
            write!(f, "{bridge}")?;
        }
        let unchanged = self.final_flow.as_deref().unwrap_or("unchanged");
        writeln!(f, "\nFinal flow: {unchanged}")?;
        writeln!(f, "Megaflow: {}", self.megaflow)?;
        writeln!(f, "Datapath actions: {}", self.actions)?;
        match self.failure {
            Some(reason) => writeln!(
                f,
                "Translation failed ({}), packet is dropped.",
                reason.text()
            ),
            None => Ok(()),
        }
    }
}

/// Takes what a port would send.
struct Sink;

impl Tx<SimFrame> for Sink {
    fn tx(&mut self, frames: &mut Vec<SimFrame>) {
        frames.clear();
    }
}

/// Traces a packet. `None`: no such bridge. `teaches`: what it teaches will be learnt.
pub fn explain(
    snapshot: &Arc<Snapshot>,
    question: &Question<'_>,
    now: Time,
    names: bool,
    teaches: bool,
) -> Option<Explanation> {
    let view = snapshot.bridge(question.bridge)?;
    let ports = port_map(snapshot, view);
    let style = Style {
        names,
        ..Style::plain(Version::V13, &ports)
    };
    let mut tree = Tree::new(&style, teaches);
    worker(snapshot)?.trace(now, question, &mut tree);
    let before = tree.first_key.take().unwrap_or_default();
    let flow = fields::line(&before, view, &style);
    let after = tree.last_key.as_ref();
    let after = after.map(|key| fields::line(key, view, &style));
    Some(Explanation {
        megaflow: megaflow(view, &before, &style),
        actions: actions::in_words(question, &tree.acts, names),
        final_flow: after.filter(|after| *after != flow),
        flow,
        bridges: tree.bridges(),
        frames: tree.frames(),
        drops: tree.drops,
        failure: tree.failure,
    })
}

/// The fields of a packet where the bridge has them: those of tunnel options are where its map says.
pub fn placed(snapshot: &Snapshot, bridge: BridgeId, packet: &Packet) -> Result<Match, String> {
    let map = snapshot
        .bridge(bridge)
        .and_then(|view| view.config.tlvs.as_deref());
    let mut real = packet.fields.clone();
    for row in FIELDS.iter().filter(|row| row.field.is_tun_metadata()) {
        if packet.fields.get(row.place).1 != 0 {
            let unmapped = format!("{} is not in the bridge's TLV map (add-tlv-map)", row.name);
            map.and_then(|map| map.place(row.place)).ok_or(unmapped)?;
            real.set(TlvMap::presence(row.place), 1, 1);
        }
    }
    match map {
        Some(map) => Ok(map.translate(&real).unwrap_or_default()),
        None => Ok(real),
    }
}

/// A worker of its own, with a queue for every port that has one.
fn worker(snapshot: &Arc<Snapshot>) -> Option<Worker<SimPool>> {
    let stats = Stats::default().register_worker();
    let (events, _) = rtrb::RingBuffer::new(EVENTS);
    let (mut commands, obeyed) = rtrb::RingBuffer::new(snapshot.ports.len() + 1);
    for port in snapshot.ports.iter().flatten() {
        if matches!(
            port.kind,
            PortKind::Device | PortKind::Internal | PortKind::Host
        ) {
            let tx = Box::new(Sink);
            commands.push(Command::AddTx { port: port.id, tx }).ok()?;
        }
    }
    let reader = Reader::of(snapshot.clone());
    let pool = SimPool::with_buffer_size(BUFFER_SIZE);
    let team = Team::of(1, Secret::new(0)).pop()?;
    let mut worker = Worker::new(reader, stats, pool, events, obeyed, team).with_cache_entries(1);
    worker.poll(Time::secs(0));
    Some(worker)
}

fn port_map(snapshot: &Snapshot, view: &BridgeView) -> PortMap {
    let mut map = PortMap::default();
    let ports = view.members.iter().filter_map(|id| snapshot.port(*id));
    ports.for_each(|port| map.insert(port.number, &port.name));
    map
}

/// The bits of the packet that the bridge's plan has.
fn megaflow(view: &BridgeView, key: &Key, style: &Style<'_>) -> String {
    let mut matching = Match::default();
    matching.set(
        Field::InPortOxm.place(),
        key.get(Field::InPortOxm.place()),
        u128::MAX,
    );
    // Of all that rules look at, what a packet of this kind has.
    let known = actions::known(key);
    let masks = Key(view.plan.masks);
    for row in ofp::field::FIELDS {
        let index = usize::from(row.place.word);
        let arrives =
            (1..word::METADATA).contains(&index) || (word::ETH_DST..WORDS).contains(&index);
        if arrives && row.prereq.holds(&known) {
            matching.set(row.place, key.get(row.place), masks.get(row.place));
        }
    }
    format!("recirc_id=0,eth,{}", print_match(&matching, style))
}
