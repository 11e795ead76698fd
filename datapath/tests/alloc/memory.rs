//! Frames, a pool and ports that take no memory once they are made.

use datapath::edge::{BURST, Frame, HEADROOM, Offload, Pool, Rx, Tx};
use datapath::forward::worker::{Team, Worker};
use datapath::fragment::Secret;
use datapath::model::event::{COMMANDS, Command, EVENTS, Event};
use datapath::model::group::{BucketView, GroupView};
use datapath::model::id::BridgeId;
use datapath::model::id::PortId;
use datapath::model::mac::MacTable;
use datapath::model::meter::MeterView;
use datapath::model::port::{PortKind, PortView, VlanMode};
use datapath::model::publish::Publisher;
use datapath::model::snapshot::{BridgeConfig, Change, Miss};
use datapath::model::stats::Stats;
use datapath::model::tunnel::{Encap, Exit, Remote, Route, Tunnel, TunnelConfig, TunnelKey};
use datapath::model::{Rule, RuleId};
use datapath::time::Time;
use flow::frametext;
use ofp::message::{FlowModCommand, GroupCommand, MeterCommand};
use ofp::text::{PortMap, read_flow_mod, read_group_mod, read_meter_mod};
use ofp::types::{PortNo, TableId};
use packet::MacAddr;
use std::sync::{Arc, Mutex};

const SIZE: usize = 512;
/// Workers: frames arrive at the first one, and fragments belong to any.
const WORKERS: usize = 3;

pub struct MemFrame {
    bytes: Box<[u8; SIZE]>,
    start: usize,
    end: usize,
    offload: Offload,
}

impl Frame for MemFrame {
    fn size(&self) -> usize {
        self.end - self.start
    }
    fn head(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
    fn head_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }
    fn push(&mut self, size: usize) -> Option<&mut [u8]> {
        self.start = self.start.checked_sub(size)?;
        Some(&mut self.bytes[self.start..self.start + size])
    }
    fn pull(&mut self, size: usize) -> bool {
        let fits = size <= self.size();
        self.start += if fits { size } else { 0 };
        fits
    }
    fn trim(&mut self, size: usize) {
        self.end = self.end.min(self.start + size);
    }
    fn for_each_segment(&self, f: &mut dyn FnMut(&[u8])) {
        f(self.head());
    }
    fn offload(&self) -> Offload {
        self.offload
    }
    fn set_offload(&mut self, offload: Offload) {
        self.offload = offload;
    }
}

/// Frames that nobody uses, shared by pool and ports.
#[derive(Clone)]
pub struct Shelf(Arc<Mutex<Vec<MemFrame>>>);

impl Shelf {
    pub fn new(len: usize) -> Shelf {
        let make = |_| MemFrame {
            bytes: Box::new([0; SIZE]),
            start: HEADROOM,
            end: HEADROOM,
            offload: Offload::default(),
        };
        Shelf(Arc::new(Mutex::new((0..len).map(make).collect())))
    }
    pub fn take(&self, bytes: &[u8]) -> Option<MemFrame> {
        let mut frame = self.0.lock().expect("no panics while held").pop()?;
        frame.start = HEADROOM;
        frame.end = HEADROOM + bytes.len();
        frame.offload = Offload::default();
        frame.head_mut().copy_from_slice(bytes);
        Some(frame)
    }
}

impl Pool for Shelf {
    type Frame = MemFrame;
    fn alloc(&mut self, size: usize) -> Option<MemFrame> {
        self.take(&[0; SIZE][..size])
    }
    fn copy(&mut self, frame: &MemFrame) -> Option<MemFrame> {
        self.take(frame.head())
    }
    fn free(&mut self, frames: &mut Vec<MemFrame>) {
        self.0.lock().expect("no panics while held").append(frames);
    }
    fn write(&mut self, frame: &mut MemFrame, offset: usize, bytes: &[u8]) {
        frame.head_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

#[derive(Clone)]
struct Wire {
    shelf: Shelf,
    waiting: Arc<Mutex<Vec<MemFrame>>>,
    sent: Arc<Mutex<u64>>,
}

impl Rx<MemFrame> for Wire {
    fn rx(&mut self, out: &mut Vec<MemFrame>, max: usize) {
        let mut waiting = self.waiting.lock().expect("no panics while held");
        let at = waiting.len().saturating_sub(max);
        out.extend(waiting.drain(at..));
    }
}

impl Tx<MemFrame> for Wire {
    fn tx(&mut self, frames: &mut Vec<MemFrame>) {
        *self.sent.lock().expect("no panics while held") += frames.len() as u64;
        self.shelf.free(frames);
    }
}

/// Two bridges: br0 with devices 1 to 3, a patch port 4 and a tunnel 5; br1 with devices 1 and 2.
pub struct Bed {
    publisher: Publisher,
    stats: Stats,
    /// Frames arrive at the first one.
    workers: Vec<Worker<Shelf>>,
    shelf: Shelf,
    wires: Vec<Wire>,
    commands: Vec<rtrb::Producer<Command<MemFrame>>>,
    _events: Vec<rtrb::Consumer<Event>>,
    ports_len: u32,
    rules_len: u32,
    now: Time,
}

impl Bed {
    pub fn new() -> Bed {
        let (publisher, stats, shelf) = (
            Publisher::new(Secret::new(0)),
            Stats::default(),
            Shelf::new(4096),
        );
        let (mut workers, mut commands, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for team in Team::of(WORKERS, Secret::new(0)) {
            let (events_in, events_out) = rtrb::RingBuffer::new(EVENTS);
            let (commands_in, commands_out) = rtrb::RingBuffer::new(COMMANDS);
            let (reader, counters) = (publisher.reader(), stats.register_worker());
            let pool = shelf.clone();
            let worker = Worker::new(reader, counters, pool, events_in, commands_out, team);
            workers.push(worker);
            commands.push(commands_in);
            events.push(events_out);
        }
        let mut bed = Bed {
            publisher,
            stats,
            workers,
            shelf,
            wires: Vec::new(),
            commands,
            _events: events,
            ports_len: 0,
            rules_len: 0,
            now: Time::secs(1),
        };
        for bridge in [BridgeId(0), BridgeId(1)] {
            bed.stats.reserve_bridge(bridge);
            let config = BridgeConfig {
                name: "br".into(),
                mac: MacAddr::ZERO,
                first_table: TableId(0),
                first_egress: None,
                tlvs: None,
                misses: Default::default(),
                miss: Miss::Drop,
                miss_send_len: 128,
                frag: 0,
                reserved: Default::default(),
                macs: Arc::new(MacTable::new(8192)),
            };
            bed.change(Change::SetBridge(bridge, Arc::new(config)));
        }
        for number in 1..=3 {
            bed.port(0, number, PortKind::Device);
        }
        bed.port(
            0,
            4,
            PortKind::Patch {
                peer: Some(PortId(7)),
            },
        );
        bed.port(0, 5, PortKind::Tunnel(Arc::new(tunnel())));
        bed.port(1, 1, PortKind::Device);
        bed.port(1, 2, PortKind::Device);
        bed.port(
            1,
            4,
            PortKind::Patch {
                peer: Some(PortId(3)),
            },
        );
        bed
    }
    fn change(&mut self, change: Change) {
        self.publisher.stage(change);
        self.workers.iter_mut().for_each(Worker::idle);
        assert!(self.publisher.try_publish());
    }
    fn port(&mut self, bridge: u16, number: u32, kind: PortKind) {
        let id = PortId(self.ports_len);
        self.ports_len += 1;
        self.stats.reserve_port(id);
        let wire = Wire {
            shelf: self.shelf.clone(),
            waiting: Arc::default(),
            sent: Arc::default(),
        };
        if kind == PortKind::Device {
            for worker in 0..WORKERS {
                let tx = Box::new(wire.clone());
                self.command(worker, Command::AddTx { port: id, tx });
            }
            let rx = Box::new(wire.clone());
            self.command(
                0,
                Command::AddRx {
                    port: id,
                    rx,
                    counters: Default::default(),
                },
            );
        }
        self.wires.push(wire);
        self.change(Change::SetPort(Arc::new(PortView {
            id,
            bridge: BridgeId(bridge),
            number: PortNo(number),
            name: "port".into(),
            kind,
            config: 0,
            live: true,
            mtu: 1500,
            mac: MacAddr::ZERO,
            vlan: VlanMode::Trunk { trunks: None },
        })));
    }
    fn command(&mut self, worker: usize, command: Command<MemFrame>) {
        let ring = &mut self.commands[worker];
        ring.push(command).expect("room in the ring");
    }
    fn counter(&mut self) -> RuleId {
        let id = RuleId(self.rules_len);
        self.rules_len += 1;
        self.stats.reserve_rule(id);
        id
    }
    fn group(&mut self, text: &str) {
        let group = read_group_mod(text, Some(GroupCommand::Add), &PortMap::default());
        let desc = group.expect("a group").desc;
        let buckets = desc.buckets.iter().map(|bucket| BucketView {
            id: bucket.id,
            weight: bucket.weight,
            watch_port: bucket.watch_port,
            watch_group: bucket.watch_group,
            actions: bucket.actions.as_slice().into(),
            counter: self.counter(),
        });
        let group = GroupView {
            id: desc.group,
            kind: desc.kind,
            selection: desc.selection.clone(),
            buckets: buckets.collect(),
            counter: self.counter(),
        };
        self.change(Change::SetGroup(BridgeId(0), Arc::new(group)));
    }
    /// Adds a flow, `group GROUP` or `meter METER`; `br1:` before it means the other bridge.
    pub fn flow(&mut self, text: &str) {
        if let Some(text) = text.strip_prefix("group ") {
            return self.group(text);
        }
        if let Some(text) = text.strip_prefix("meter ") {
            let meter = read_meter_mod(text, MeterCommand::Add).expect("a meter");
            let meter = Arc::new(MeterView::new(meter.config, self.now));
            return self.change(Change::SetMeter(BridgeId(0), meter));
        }
        let (bridge, text) = match text.strip_prefix("br1:") {
            Some(text) => (BridgeId(1), text),
            None => (BridgeId(0), text),
        };
        let flow = read_flow_mod(text, Some(FlowModCommand::Add), &PortMap::default());
        let flow = flow.expect("a flow");
        let id = self.counter();
        let table = if flow.table == TableId::ALL {
            TableId(0)
        } else {
            flow.table
        };
        let rule = Rule {
            id,
            table,
            priority: flow.priority,
            matching: flow.matching,
            actions: flow.actions.into(),
            cookie: flow.cookie,
        };
        self.change(Change::AddRule(bridge, Arc::new(rule)));
    }
    /// Frames of as many flows.
    pub fn frames(&self, len: u32) -> Vec<Vec<u8>> {
        let frame = |n| {
            let text = format!(
                "eth(dst=..02,src=..01) ipv4(10.0.{}.{}->10.1.0.1) udp(5000->6000) fill=100",
                n / 256,
                n % 256
            );
            frametext::read(&text).expect("a frame")
        };
        (0..len).map(frame).collect()
    }
    /// All frames arrive at port 1 of br0 and are handled.
    pub fn round(&mut self, frames: &[Vec<u8>]) -> usize {
        let mut handled = 0;
        for burst in frames.chunks(BURST) {
            let mut waiting = self.wires[0].waiting.lock().expect("no panics while held");
            for frame in burst {
                waiting.push(self.shelf.take(frame).expect("a frame on the shelf"));
            }
            drop(waiting);
            handled += self.workers[0].poll(self.now);
            self.workers[1..].iter_mut().for_each(|other| {
                other.poll(self.now);
            });
        }
        handled
    }
    /// Frames that left through any port.
    pub fn sent(&self) -> u64 {
        let each = self.wires.iter();
        each.map(|wire| *wire.sent.lock().expect("no panics while held"))
            .sum()
    }
}

fn tunnel() -> Tunnel {
    let vxlan = Encap::Vxlan {
        gbp: false,
        gpe: false,
    };
    Tunnel {
        config: TunnelConfig {
            out_key: TunnelKey::Value(7),
            ..TunnelConfig::new(vxlan, Remote::Ip([192, 168, 0, 2].into()))
        }
        .with_port(4789),
        route: Some(Route {
            exit: Exit::Bridge(BridgeId(1)),
            source: Some([192, 168, 0, 1].into()),
            source_mac: MacAddr::ZERO,
            next_hop_mac: MacAddr::BROADCAST,
            mtu: 1500,
            egress_mtu: 1500,
        }),
        state: Arc::default(),
    }
}
