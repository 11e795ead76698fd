//! The rim in memory: frames, pool, ports and clock for tests, and a switch made of them.
//! The pool counts what is outstanding, so a frame that is lost or freed twice fails a test.

use crate::edge::{Frame, HEADROOM, Offload, Pool, Rx, Tx};
use crate::forward::trace::Observer;
use crate::forward::worker::{Team, Worker};
use crate::fragment::Secret;
use crate::model::event::{COMMANDS, Command, EVENTS, Event, PacketOut};
use crate::model::group::{BucketView, GroupView};
use crate::model::id::BridgeId;
use crate::model::id::PortId;
use crate::model::id::RuleId;
use crate::model::mac::MacTable;
use crate::model::port::{PortKind, PortView, VlanMode};
use crate::model::publish::{Publisher, Reader};
use crate::model::rule::Rule;
use crate::model::snapshot::{BridgeConfig, Change, Miss};
use crate::model::stats::{QueueStats, Stats};
use crate::time::Time;
use crate::tunnel;
use ofp::message::{FlowModCommand, GroupDesc};
use ofp::text::{PortMap, read_flow_mod};
use ofp::types::{BucketId, PortNo, TableId};
use packet::MacAddr;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex};

/// Bytes that a frame takes behind its own.
const ABSORBED_MAX: usize = 256;

/// A frame in memory: one buffer, and one more segment if it is longer than that.
#[derive(Clone, Debug)]
pub struct SimFrame {
    buffer: Vec<u8>,
    start: usize,
    tail: Vec<u8>,
    offload: Offload,
}

impl SimFrame {
    fn with_size(size: usize, buffer_size: usize) -> SimFrame {
        let head = size.min(buffer_size);
        SimFrame {
            buffer: vec![0xa5; HEADROOM + head],
            start: HEADROOM,
            tail: vec![0xa5; size - head],
            offload: Offload::default(),
        }
    }
    /// All bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.buffer[self.start..].to_vec();
        bytes.extend(&self.tail);
        bytes
    }
}

impl Frame for SimFrame {
    fn size(&self) -> usize {
        self.buffer.len() - self.start + self.tail.len()
    }
    fn head(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
    fn head_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..]
    }
    fn push(&mut self, size: usize) -> Option<&mut [u8]> {
        self.start = self.start.checked_sub(size)?;
        Some(&mut self.buffer[self.start..self.start + size])
    }
    fn pull(&mut self, size: usize) -> bool {
        let fits = size <= self.head().len();
        self.start += if fits { size } else { 0 };
        fits
    }
    fn trim(&mut self, size: usize) {
        let head = self.head().len();
        self.tail.truncate(size.saturating_sub(head));
        self.buffer.truncate(self.start + size.min(head));
    }
    fn for_each_segment(&self, f: &mut dyn FnMut(&[u8])) {
        f(self.head());
        if !self.tail.is_empty() {
            f(&self.tail);
        }
    }
    fn offload(&self) -> Offload {
        self.offload
    }
    fn set_offload(&mut self, offload: Offload) {
        self.offload = offload;
    }
    fn absorb(&mut self, part: &SimFrame) -> bool {
        let fits = self.tail.is_empty() && part.size() <= ABSORBED_MAX;
        if fits {
            part.for_each_segment(&mut |segment| self.buffer.extend(segment));
        }
        fits
    }
}

/// Frames that somebody holds.
type Outstanding = Arc<AtomicI64>;

/// Makes frames and counts them.
pub struct SimPool {
    outstanding: Outstanding,
    buffer_size: usize,
}

impl Default for SimPool {
    fn default() -> SimPool {
        SimPool {
            outstanding: Outstanding::default(),
            buffer_size: Options::default().buffer_size,
        }
    }
}

impl SimPool {
    /// A pool whose frames have first segments of at most so many bytes.
    pub fn with_buffer_size(buffer_size: usize) -> SimPool {
        SimPool {
            buffer_size,
            ..SimPool::default()
        }
    }
    /// Frames that somebody holds.
    pub fn outstanding(&self) -> i64 {
        self.outstanding.load(Relaxed)
    }
    /// A frame of these bytes.
    pub fn frame(&mut self, bytes: &[u8]) -> SimFrame {
        self.outstanding.fetch_add(1, Relaxed);
        let mut frame = SimFrame::with_size(bytes.len(), self.buffer_size);
        self.write(&mut frame, 0, bytes);
        frame
    }
}

impl Pool for SimPool {
    type Frame = SimFrame;
    fn alloc(&mut self, size: usize) -> Option<SimFrame> {
        self.outstanding.fetch_add(1, Relaxed);
        Some(SimFrame::with_size(size, self.buffer_size))
    }
    fn copy(&mut self, frame: &SimFrame) -> Option<SimFrame> {
        self.outstanding.fetch_add(1, Relaxed);
        let mut buffer = vec![0xa5; HEADROOM];
        buffer.extend(frame.head());
        Some(SimFrame {
            buffer,
            start: HEADROOM,
            tail: frame.tail.clone(),
            offload: frame.offload,
        })
    }
    fn free(&mut self, frames: &mut Vec<SimFrame>) {
        self.outstanding.fetch_sub(frames.len() as i64, Relaxed);
        frames.clear();
    }
    fn write(&mut self, frame: &mut SimFrame, offset: usize, bytes: &[u8]) {
        let head = frame.buffer.len() - frame.start;
        for (at, byte) in (offset..).zip(bytes) {
            match at.checked_sub(head) {
                None => frame.buffer[frame.start + at] = *byte,
                Some(at) => frame.tail[at] = *byte,
            }
        }
    }
}

/// Both directions of a port in memory.
#[derive(Clone, Default)]
struct Wires {
    towards: Arc<Mutex<VecDeque<SimFrame>>>,
    sent: Arc<Mutex<Vec<SimFrame>>>,
}

impl Rx<SimFrame> for Wires {
    fn rx(&mut self, out: &mut Vec<SimFrame>, max: usize) {
        let mut waiting = self.towards.lock().expect("no panics while held");
        let len = waiting.len().min(max);
        out.extend(waiting.drain(..len));
    }
}

impl Tx<SimFrame> for Wires {
    fn tx(&mut self, frames: &mut Vec<SimFrame>) {
        let mut sent = self.sent.lock().expect("no panics while held");
        sent.append(frames);
    }
}

struct SimWorker {
    worker: Worker<SimPool>,
    commands: rtrb::Producer<Command<SimFrame>>,
    events: rtrb::Consumer<Event>,
}

/// A receive queue between two workers.
struct Moving {
    port: PortId,
    rx: Receiver<Box<dyn Rx<SimFrame>>>,
}

/// What a simulated switch is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Workers; ports are dealt to them in turn.
    pub workers: usize,
    /// Entries of each worker's cache.
    pub cache_entries: usize,
    /// Bytes of a frame's first segment.
    pub buffer_size: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            workers: 1,
            cache_entries: 64,
            buffer_size: 2048,
        }
    }
}

/// The rule of a flow as controllers say it; it has no counters yet. Panics where the text is none.
pub fn rule(text: &str) -> Rule {
    let flow = read_flow_mod(text, Some(FlowModCommand::Add), &PortMap::default());
    let flow = flow.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    Rule {
        id: RuleId(0),
        table: match flow.table {
            TableId::ALL => TableId(0),
            table => table,
        },
        priority: flow.priority,
        matching: flow.matching,
        actions: flow.actions.into(),
        cookie: flow.cookie,
    }
}

/// A switch without I/O: bridges, ports and rules as changes of a snapshot, workers that are polled.
pub struct Sim {
    /// Counters.
    pub stats: Stats,
    /// The clock.
    pub now: Time,
    publisher: Publisher,
    workers: Vec<SimWorker>,
    wires: HashMap<PortId, Wires>,
    /// The counters of each port's receive queue, by which workers know it, and whose it is.
    queues: HashMap<PortId, (Arc<QueueStats>, usize)>,
    moving: Vec<Moving>,
    outstanding: Outstanding,
    options: Options,
    bridges_len: u16,
    ports_len: u32,
    rules_len: u32,
    /// Changes wait for [`Sim::publish`].
    holds: bool,
}

impl Sim {
    /// A switch without bridges.
    pub fn new(options: Options) -> Sim {
        let (stats, publisher) = (Stats::default(), Publisher::new(Secret::new(0)));
        let outstanding = Outstanding::default();
        let make = |team| {
            let (events_in, events) = rtrb::RingBuffer::new(EVENTS);
            let (commands, commands_out) = rtrb::RingBuffer::new(COMMANDS);
            let pool = SimPool {
                outstanding: outstanding.clone(),
                buffer_size: options.buffer_size,
            };
            let (reader, counters) = (publisher.reader(), stats.register_worker());
            let worker = Worker::new(reader, counters, pool, events_in, commands_out, team);
            SimWorker {
                worker: worker.with_cache_entries(options.cache_entries),
                commands,
                events,
            }
        };
        let team = Team::of(options.workers, Secret::new(0));
        let workers = team.into_iter().map(make).collect();
        Sim {
            workers,
            stats,
            publisher,
            outstanding,
            options,
            now: Time::secs(1),
            wires: HashMap::new(),
            queues: HashMap::new(),
            moving: Vec::new(),
            bridges_len: 0,
            ports_len: 0,
            rules_len: 0,
            holds: false,
        }
    }
    /// Makes a change visible; after [`Sim::hold`], only with those that follow.
    pub fn change(&mut self, change: Change) {
        self.publisher.stage(change);
        if !self.holds {
            self.publish();
        }
    }
    /// Changes wait for [`Sim::publish`], which makes them visible at once.
    pub fn hold(&mut self) {
        self.holds = true;
    }
    /// Makes all changes visible.
    pub fn publish(&mut self) {
        self.holds = false;
        // A worker sleeps between polls here, so that publishing never has to wait.
        self.workers.iter_mut().for_each(|w| w.worker.idle());
        assert!(self.publisher.try_publish(), "no worker holds a snapshot");
    }
    /// The current state.
    pub fn snapshot(&self) -> Arc<crate::model::Snapshot> {
        self.publisher.current()
    }
    /// For a worker that is not the simulation's own.
    pub fn reader(&self) -> Reader {
        self.publisher.reader()
    }
    /// Adds a bridge with ordinary settings.
    pub fn add_bridge(&mut self, name: &str) -> BridgeId {
        let id = BridgeId(self.bridges_len);
        self.bridges_len += 1;
        self.stats.reserve_bridge(id);
        let config = BridgeConfig {
            name: name.into(),
            mac: MacAddr::from_u64(0x0200_0000_0000 | u64::from(id.0)),
            first_table: TableId(0),
            first_egress: None,
            tlvs: None,
            misses: Default::default(),
            miss: Miss::Drop,
            miss_send_len: 128,
            frag: 0,
            reserved: Default::default(),
            macs: Arc::new(MacTable::new(1024)),
        };
        self.change(Change::SetBridge(id, Arc::new(config)));
        id
    }
    /// A port of a bridge, not yet added: alive, a trunk, MTU 1500.
    pub fn port_view(&mut self, bridge: BridgeId, number: PortNo, kind: PortKind) -> PortView {
        let id = PortId(self.ports_len);
        self.ports_len += 1;
        self.stats.reserve_port(id);
        PortView {
            id,
            bridge,
            number,
            name: format!("p{}.{number}", bridge.0).into(),
            kind,
            config: 0,
            live: true,
            mtu: 1500,
            mac: MacAddr::from_u64(0x0200_0000_ff00 | u64::from(id.0)),
            vlan: VlanMode::Trunk { trunks: None },
        }
    }
    /// Adds a port or changes its settings.
    pub fn set_port(&mut self, port: PortView) -> PortId {
        let id = port.id;
        if matches!(port.kind, PortKind::Tunnel(_)) {
            self.stats.reserve_tunnel(id);
        }
        let moves = matches!(
            port.kind,
            PortKind::Device | PortKind::Internal | PortKind::Host
        );
        self.change(Change::SetPort(Arc::new(port)));
        if moves && !self.wires.contains_key(&id) {
            let wires = Wires::default();
            let receiver = id.0 as usize % self.workers.len();
            for (index, worker) in self.workers.iter_mut().enumerate() {
                let tx = Box::new(wires.clone());
                let add = Command::AddTx { port: id, tx };
                worker.commands.push(add).expect("room in the ring");
                if index == receiver {
                    let rx = Box::new(wires.clone());
                    let counters = Arc::<QueueStats>::default();
                    self.queues.insert(id, (counters.clone(), index));
                    let add = Command::AddRx {
                        port: id,
                        rx,
                        counters,
                    };
                    worker.commands.push(add).expect("room in the ring");
                }
            }
            self.wires.insert(id, wires);
            self.poll(&mut ());
        }
        id
    }
    /// Adds devices to a bridge: ports 1 to `len`.
    pub fn add_devices(&mut self, bridge: BridgeId, len: u32) -> Vec<PortId> {
        let add = |number| {
            let view = self.port_view(bridge, PortNo(number), PortKind::Device);
            self.set_port(view)
        };
        (1..=len).map(add).collect()
    }
    /// Takes a port's queues from the workers.
    pub fn close_port(&mut self, port: PortId) {
        for worker in &mut self.workers {
            let done = std::sync::mpsc::channel().0;
            let remove = Command::RemovePort { port, done };
            worker.commands.push(remove).expect("room in the ring");
        }
        self.wires.remove(&port);
        self.poll(&mut ());
    }
    /// Another worker is to have a port's receive queue: it gets it when the one that has it gives it back.
    pub fn move_queue(&mut self, port: PortId, to: usize) {
        let (counters, worker) = self.queues.get_mut(&port).expect("a port with a queue");
        let from = std::mem::replace(worker, to);
        if self.moving.iter().any(|moving| moving.port == port) {
            return;
        }
        let (sender, rx) = channel();
        let counters = counters.clone();
        let back = Box::new(move |rx| drop(sender.send(rx)));
        let remove = Command::RemoveRx { counters, back };
        let worker = &mut self.workers[from];
        worker.commands.push(remove).expect("room in the ring");
        self.moving.push(Moving { port, rx });
    }
    /// Each worker begins a new cache of this size before its next burst.
    pub fn set_cache_entries(&mut self, entries: usize) {
        for worker in &mut self.workers {
            let command = Command::CacheEntries(entries);
            worker.commands.push(command).expect("room in the ring");
        }
    }
    /// Whether receive queues are between two workers.
    pub fn is_moving(&self) -> bool {
        !self.moving.is_empty()
    }
    /// Lets one worker do what there is to do once, and hands over what it gave back.
    pub fn poll_worker(&mut self, worker: usize) {
        self.workers[worker].worker.poll(self.now);
        for Moving { port, rx } in std::mem::take(&mut self.moving) {
            match rx.try_recv() {
                Ok(rx) => {
                    let (counters, to) = self.queues[&port].clone();
                    let add = Command::AddRx { port, rx, counters };
                    let to = &mut self.workers[to];
                    to.commands.push(add).expect("room in the ring");
                }
                Err(TryRecvError::Empty) => self.moving.push(Moving { port, rx }),
                // The port went before.
                Err(TryRecvError::Disconnected) => {}
            }
        }
    }
    /// Adds a rule; its id is new.
    pub fn add_rule(&mut self, bridge: BridgeId, mut rule: Rule) -> RuleId {
        rule.id = self.new_counter();
        let id = rule.id;
        self.change(Change::AddRule(bridge, Arc::new(rule)));
        id
    }
    /// Adds the rule of a flow, see [`rule`].
    pub fn add_flow(&mut self, bridge: BridgeId, text: &str) -> RuleId {
        self.add_rule(bridge, rule(text))
    }
    /// Adds a group or replaces it; it gets new counters.
    pub fn set_group(&mut self, bridge: BridgeId, desc: &GroupDesc) -> Arc<GroupView> {
        let counter = self.new_counter();
        let buckets = desc.buckets.iter().zip(0..);
        let buckets = buckets.map(|(bucket, index)| BucketView {
            id: BucketId(if bucket.id == BucketId::ALL {
                index
            } else {
                bucket.id.0
            }),
            weight: bucket.weight,
            watch_port: bucket.watch_port,
            watch_group: bucket.watch_group,
            actions: bucket.actions.as_slice().into(),
            counter: self.new_counter(),
        });
        let group = Arc::new(GroupView {
            id: desc.group,
            kind: desc.kind,
            selection: desc.selection.clone(),
            buckets: buckets.collect(),
            counter,
        });
        self.change(Change::SetGroup(bridge, group.clone()));
        group
    }
    fn new_counter(&mut self) -> RuleId {
        let id = RuleId(self.rules_len);
        self.rules_len += 1;
        self.stats.reserve_rule(id);
        id
    }
    /// A frame arrives at a port.
    pub fn send(&mut self, port: PortId, bytes: &[u8], offload: Offload) {
        self.outstanding.fetch_add(1, Relaxed);
        let mut frame = SimFrame::with_size(bytes.len(), self.options.buffer_size);
        let head = frame.head().len();
        frame.head_mut().copy_from_slice(&bytes[..head]);
        frame.tail.copy_from_slice(&bytes[head..]);
        frame.offload = offload;
        let wires = &self.wires[&port];
        let mut towards = wires.towards.lock().expect("no panics while held");
        towards.push_back(frame);
    }
    /// A controller's packet.
    pub fn packet_out(&mut self, packet: PacketOut) {
        let command = Command::PacketOut(Box::new(packet));
        let worker = &mut self.workers[0];
        worker.commands.push(command).expect("room in the ring");
    }
    /// Lets all workers do what there is to do.
    pub fn poll<O: Observer>(&mut self, o: &mut O) {
        let now = self.now;
        loop {
            let each = self.workers.iter_mut();
            let handled: usize = each.map(|w| w.worker.poll_explained(now, o)).sum();
            if handled == 0 {
                break;
            }
        }
    }
    /// What a port sent since the last call, as bytes with finished checksums.
    pub fn take(&mut self, port: PortId) -> Vec<Vec<u8>> {
        let Some(wires) = self.wires.get(&port) else {
            return Vec::new();
        };
        let mut sent = wires.sent.lock().expect("no panics while held");
        self.outstanding.fetch_sub(sent.len() as i64, Relaxed);
        let finish = |mut frame: SimFrame| {
            tunnel::finish_checksum(&mut frame).expect("the checksum is inside the frame");
            frame.bytes()
        };
        sent.drain(..).map(finish).collect()
    }
    /// What the workers told since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        let each = self.workers.iter_mut();
        each.flat_map(|w| std::iter::from_fn(|| w.events.pop().ok()))
            .collect()
    }
    /// Frames that somebody holds: 0 when nothing waits.
    pub fn outstanding(&self) -> i64 {
        self.outstanding.load(Relaxed)
    }
    /// Stops the workers.
    pub fn stop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.commands.push(Command::Stop);
        }
        // Twice, for what one that stopped later sent to one that had stopped.
        self.poll(&mut ());
        self.poll(&mut ());
        assert!(self.workers.iter().all(|w| w.worker.is_stopped()));
    }
}
