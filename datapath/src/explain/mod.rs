//! One packet traced through the switch as it is now: what each table did and why, what left, what was
//! dropped. The layout is that of Open vSwitch's `ofproto/trace`.
//!
//! Design: a worker of its own, with ports in memory, runs the code of the others on a snapshot; an
//! observer writes the tree down. Its counters and events are its own, so that nothing changes.

mod actions;
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
use crate::model::{BridgeView, DropReason, Snapshot};
use crate::sim::{SimFrame, SimPool};
use crate::time::Time;
use flow::bare::{framed, type_of};
use flow::extract;
use flow::print::Fields;
use ofp::field::Field;
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
        writeln!(f, "Datapath actions: {}", self.actions)
    }
}

/// Takes what a port would send.
struct Sink;

impl Tx<SimFrame> for Sink {
    fn tx(&mut self, frames: &mut Vec<SimFrame>) {
        frames.clear();
    }
}

/// Traces a packet. `None`: no such bridge.
pub fn explain(
    snapshot: &Arc<Snapshot>,
    question: &Question<'_>,
    now: Time,
    names: bool,
) -> Option<Explanation> {
    let view = snapshot.bridge(question.bridge)?;
    let ports = port_map(snapshot, view);
    let style = Style {
        names,
        ..Style::plain(Version::V13, &ports)
    };
    let mut tree = Tree::new(&style);
    worker(snapshot)?.trace(now, question, &mut tree);
    let before = arriving(question);
    let flow = fields(&before, &style);
    let after = tree.key.as_ref().map(|key| fields(key, &style));
    Some(Explanation {
        megaflow: megaflow(view, &before, &style),
        actions: actions::in_words(question.frame, &tree.acts, names),
        final_flow: after.filter(|after| *after != flow),
        flow,
        bridges: tree.bridges(),
        frames: tree.frames(),
        drops: tree.drops,
    })
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

/// The packet's key when it comes in.
fn arriving(question: &Question<'_>) -> Key {
    let mut key = Key::default();
    let frame = framed(question.frame, type_of(question.fields)).unwrap_or_default();
    extract::extract(&frame, frame.len(), &extract::Plan::FULL, &mut key);
    key.set(
        Field::InPortOxm.place(),
        question.in_port.0.into(),
        u128::MAX,
    );
    for part in question.fields.words() {
        let word = &mut key.0[usize::from(part.index)];
        *word = *word & !part.mask | part.value;
    }
    key
}

/// All fields of a key: those of the pipeline that are not 0, then the packet's.
fn fields(key: &Key, style: &Style<'_>) -> String {
    let mut pipeline = Match::default();
    for row in ofp::field::FIELDS {
        let index = usize::from(row.place.word);
        let is_ours = index == word::IN_PORT && row.field == Field::InPortOxm
            || (word::TUN_ID..word::ETH_DST).contains(&index) && row.place.width <= 64;
        let is_narrow = !(row.field >= Field::Xreg0 && row.field <= Field::Xreg7);
        // The places of tunnel options are the bridge's to say, not the key's.
        if is_ours && is_narrow && key.get(row.place) != 0 {
            pipeline.set(row.place, key.get(row.place), u128::MAX);
        }
    }
    let pipeline = print_match(&pipeline, style);
    let packet = Fields(key).to_string();
    // The protocol stands first.
    match packet.split_once(',') {
        Some((protocol, rest)) if !protocol.contains('=') => {
            format!("{protocol},{pipeline},{rest}")
        }
        _ => format!("{pipeline},{packet}"),
    }
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
