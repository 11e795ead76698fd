//! A switch with two ports in memory, whose frames cost what a device's do: a buffer is taken, the bytes are copied
//! into it, and it is given back.

use datapath::control::*;
use datapath::edge::{Frame, HEADROOM, Offload, Pool, PortState, Rx, Tx};
use datapath::forward::worker::{Team, Worker};
use datapath::fragment::Secret;
use datapath::model::event::{COMMANDS, Command, EVENTS, Event};
use datapath::model::id::{BridgeId, PortId};
use datapath::model::stats::Stats;
use datapath::model::tunnel::{Exit, Route, TunnelConfig};
use datapath::time::Time;
use ofp::message::*;
use ofp::text::{PortMap, read_flow_mod, read_group_mod, read_meter_mod};
use ofp::types::{Version, Xid};
use packet::MacAddr;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Bytes of a buffer, headroom included.
const BUFFER: usize = 2048;
/// Between two polls.
const TICK: Time = Time(2_000);
const CONN: ConnId = ConnId(1);
/// To the underlay's bridge.
const UNDERLAY: ConnId = ConnId(2);
const RAW: [u8; 96] = [0; 96];

struct Buffer {
    start: u16,
    end: u16,
    offload: Offload,
    bytes: [u8; BUFFER],
}

/// A frame in one buffer; a pointer to move, as an mbuf is.
pub struct BenchFrame(Box<Buffer>);

impl BenchFrame {
    fn new() -> BenchFrame {
        BenchFrame(Box::new(Buffer {
            start: HEADROOM as u16,
            end: HEADROOM as u16,
            offload: Offload::default(),
            bytes: [0; BUFFER],
        }))
    }
    fn fill(&mut self, bytes: &[u8]) {
        let buffer = &mut *self.0;
        buffer.start = HEADROOM as u16;
        buffer.end = (HEADROOM + bytes.len()) as u16;
        buffer.offload = Offload::default();
        buffer.bytes[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
    }
}

impl Frame for BenchFrame {
    fn size(&self) -> usize {
        usize::from(self.0.end - self.0.start)
    }
    fn head(&self) -> &[u8] {
        &self.0.bytes[usize::from(self.0.start)..usize::from(self.0.end)]
    }
    fn head_mut(&mut self) -> &mut [u8] {
        &mut self.0.bytes[usize::from(self.0.start)..usize::from(self.0.end)]
    }
    fn push(&mut self, size: usize) -> Option<&mut [u8]> {
        self.0.start = self.0.start.checked_sub(size as u16)?;
        let start = usize::from(self.0.start);
        Some(&mut self.0.bytes[start..start + size])
    }
    fn pull(&mut self, size: usize) -> bool {
        let fits = size <= self.size();
        self.0.start += if fits { size as u16 } else { 0 };
        fits
    }
    fn trim(&mut self, size: usize) {
        self.0.end = self.0.end.min(self.0.start + size as u16);
    }
    fn for_each_segment(&self, f: &mut dyn FnMut(&[u8])) {
        f(self.head());
    }
    fn offload(&self) -> Offload {
        self.0.offload
    }
    fn set_offload(&mut self, offload: Offload) {
        self.0.offload = offload;
    }
    fn absorb(&mut self, part: &BenchFrame) -> bool {
        let (end, size) = (usize::from(self.0.end), part.size());
        self.0.bytes[end..end + size].copy_from_slice(part.head());
        self.0.end += size as u16;
        true
    }
}

/// Buffers that nobody uses.
type Free = Arc<Mutex<Vec<BenchFrame>>>;

struct BenchPool(Free);

impl Pool for BenchPool {
    type Frame = BenchFrame;
    fn alloc(&mut self, size: usize) -> Option<BenchFrame> {
        let mut frame = self.0.lock().ok()?.pop()?;
        frame.0.start = HEADROOM as u16;
        frame.0.end = (HEADROOM + size) as u16;
        frame.0.offload = Offload::default();
        Some(frame)
    }
    fn copy(&mut self, frame: &BenchFrame) -> Option<BenchFrame> {
        let mut copy = self.alloc(0)?;
        copy.fill(frame.head());
        copy.0.offload = frame.0.offload;
        Some(copy)
    }
    fn free(&mut self, frames: &mut Vec<BenchFrame>) {
        self.0.lock().expect("nobody panics").append(frames);
    }
    fn write(&mut self, frame: &mut BenchFrame, offset: usize, bytes: &[u8]) {
        frame.head_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    fn join(&mut self, frames: &mut Vec<BenchFrame>) -> Option<BenchFrame> {
        let (first, later) = frames.split_first_mut()?;
        for part in later {
            let end = usize::from(first.0.end);
            let size = part.size();
            first.0.bytes[end..end + size].copy_from_slice(part.head());
            first.0.end += size as u16;
        }
        let whole = frames.swap_remove(0);
        self.free(frames);
        Some(whole)
    }
}

/// Gives the same frames again and again.
struct Replay {
    free: Free,
    frames: Arc<[Vec<u8>]>,
    next: usize,
}

impl Rx<BenchFrame> for Replay {
    fn rx(&mut self, out: &mut Vec<BenchFrame>, max: usize) {
        let mut free = self.free.lock().expect("nobody panics");
        let first = free.len().saturating_sub(max);
        for mut frame in free.drain(first..) {
            frame.fill(&self.frames[self.next]);
            self.next += 1;
            if self.next == self.frames.len() {
                self.next = 0;
            }
            out.push(frame);
        }
    }
}

/// Takes what is sent, and counts it.
struct Sink {
    free: Free,
    sent: Arc<Mutex<u64>>,
}

impl Tx<BenchFrame> for Sink {
    fn tx(&mut self, frames: &mut Vec<BenchFrame>) {
        *self.sent.lock().expect("nobody panics") += frames.len() as u64;
        self.free.lock().expect("nobody panics").append(frames);
    }
}

/// See the file's description.
pub struct Rig {
    switch: Switch,
    bridge: BridgeId,
    port_2: PortId,
    worker: Worker<BenchPool>,
    _commands: rtrb::Producer<Command<BenchFrame>>,
    _events: rtrb::Consumer<Event>,
    now: Time,
    sent: Arc<Mutex<u64>>,
    out: Vec<Output>,
}

/// An address that port 2 knows of. The first one is that of the rows' frames.
pub fn behind_port_2(n: u32) -> [u8; 6] {
    let [a, b, c, d] = n.to_be_bytes();
    [2, 0, a, b, c, d ^ 2]
}

/// Where a tunnel's packets come from, and go to.
pub struct Underlay {
    pub config: TunnelConfig,
    /// Of the underlay's bridge.
    pub address: IpAddr,
    pub mac: MacAddr,
    pub route: fn(Exit) -> Route,
}

/// What there is beside the ports 1 and 2: for tunnels, a second bridge, and a tunnel port 9 in the first.
pub enum Shape {
    /// Nothing.
    Plain,
    /// Frames arrive in the first bridge, and leave by the second.
    Encap(Underlay),
    /// The other way.
    Decap(Underlay),
}

impl Rig {
    /// A bridge with the ports 1 and 2; `frames` arrive at the first one.
    pub fn new(frames: Vec<Vec<u8>>) -> Rig {
        Rig::shaped(frames, Shape::Plain)
    }
    /// The same, with a tunnel.
    pub fn shaped(frames: Vec<Vec<u8>>, shape: Shape) -> Rig {
        let stats = Stats::default();
        let counters = stats.register_worker();
        let mut switch = Switch::new(stats, Secret::new(0));
        let now = Time::secs(1000);
        let settings = BridgeSettings {
            has_controllers: true,
            mac_table_size: 65_536,
            ..Default::default()
        };
        let mut out = Vec::new();
        let bridge = switch
            .add_bridge(now, "br0", settings.clone())
            .expect("valid");
        let mut bridges = [bridge; 2];
        let (underlay, at) = match shape {
            Shape::Plain => (None, 0),
            Shape::Encap(underlay) => (Some(underlay), 1),
            Shape::Decap(underlay) => (Some(underlay), 0),
        };
        let mut conns = vec![(CONN, bridge)];
        if let Some(underlay) = underlay {
            let settings = BridgeSettings {
                mac: underlay.mac,
                ..settings
            };
            let under = switch.add_bridge(now, "br-phy", settings).expect("valid");
            bridges[at] = under;
            conns.push((UNDERLAY, under));
            switch.set_addresses(under, &[underlay.address]);
            let settings = PortSettings::new("br-phy", PortType::Local);
            let added = switch.add_port(now, under, settings, &mut out);
            let state = PortState {
                link_up: true,
                admin_up: true,
                mtu: 1500,
                mac: underlay.mac.0,
                ..Default::default()
            };
            switch.set_port_state(added.expect("valid").0, state, &mut out);
            let mut settings = PortSettings::new("tun", PortType::Tunnel(underlay.config));
            settings.number_request = Some(9);
            let added = switch.add_port(now, bridge, settings, &mut out);
            let route = (underlay.route)(Exit::Bridge(under));
            switch.set_route(added.expect("valid").0, Some(route));
        }
        let buffers: Free = Arc::new(Mutex::new((0..512).map(|_| BenchFrame::new()).collect()));
        let sent = Arc::new(Mutex::new(0));
        let (events_in, events) = rtrb::RingBuffer::new(EVENTS);
        let (mut commands, commands_out) = rtrb::RingBuffer::new(COMMANDS);
        let team = Team::of(1, Secret::new(1)).pop().expect("one");
        let (pool, reader) = (BenchPool(buffers.clone()), switch.publisher().reader());
        let worker = Worker::new(reader, counters, pool, events_in, commands_out, team);
        let frames: Arc<[Vec<u8>]> = frames.into();
        let mut port_2 = PortId(0);
        for number in 1..=2 {
            let mut settings = PortSettings::new(&format!("p{number}"), PortType::Device);
            settings.number_request = Some(number);
            let place = bridges[number as usize - 1];
            let added = switch.add_port(now, place, settings, &mut out);
            let (port, _) = added.expect("valid");
            port_2 = port;
            let state = PortState {
                link_up: true,
                admin_up: true,
                mtu: 1500,
                mac: [2, 0, 0, 0, 1, number as u8],
                ..Default::default()
            };
            switch.set_port_state(port, state, &mut out);
            let (free, sent) = (buffers.clone(), sent.clone());
            let tx = Box::new(Sink { free, sent });
            commands.push(Command::AddTx { port, tx }).expect("room");
            if number == 1 {
                let rx = Box::new(Replay {
                    free: buffers.clone(),
                    frames: frames.clone(),
                    next: 0,
                });
                commands
                    .push(Command::AddRx {
                        port,
                        rx,
                        counters: Default::default(),
                    })
                    .expect("room");
            }
        }
        for (conn, bridge) in conns {
            let settings = ConnSettings {
                bridge,
                kind: ConnKind::Service,
                version: Version::V13,
                packet_in_limit: None,
                events: false,
                auxiliary: None,
            };
            switch.connect(now, conn, settings);
        }
        let mut rig = Rig {
            switch,
            bridge,
            port_2,
            worker,
            _commands: commands,
            _events: events,
            now,

            sent,
            out,
        };
        rig.publish();
        rig
    }
    fn publish(&mut self) {
        self.worker.idle();
        assert!(self.switch.publish(&mut self.out), "nobody reads");
        for output in self.out.drain(..) {
            if let Output::Send(_, message) = output
                && let Body::Error(error) = message.body
            {
                panic!("{error:?}");
            }
        }
    }
    /// A line as `ofctl` takes them, behind `group`, `meter`, `phy` (a flow for the underlay's bridge) or nothing; `learn N`:
    /// so many addresses are behind port 2, as [`behind_port_2`] says.
    pub fn configure(&mut self, lines: impl IntoIterator<Item = String>) {
        let ports = PortMap::default();
        for line in lines {
            let (conn, line) = match line.strip_prefix("phy ") {
                Some(rest) => (UNDERLAY, rest),
                None => (CONN, line.as_str()),
            };
            if let Some(count) = line.strip_prefix("learn ") {
                self.learn(count.parse().expect("a number"));
                continue;
            }
            let body = match line.split_once(' ') {
                Some(("group", rest)) => {
                    let group = read_group_mod(rest, Some(GroupCommand::Add), &ports);
                    Body::GroupMod(Box::new(group.expect("a group")))
                }
                Some(("meter", rest)) => {
                    let meter = read_meter_mod(rest, MeterCommand::Add);
                    Body::MeterMod(Box::new(meter.expect("a meter")))
                }
                _ => {
                    let flow = read_flow_mod(line, Some(FlowModCommand::Add), &ports);
                    Body::FlowMod(Box::new(flow.expect("a flow")))
                }
            };
            let message = Message { xid: Xid(1), body };
            self.switch
                .message(self.now, conn, message, &RAW, &mut self.out);
        }
        self.publish();
    }
    /// As [`Rig::forward`], by another name: what is counted there does not begin with what happens once.
    #[inline(never)]
    pub fn warm(&mut self, polls: usize) {
        self.turn(polls);
    }
    fn learn(&mut self, count: u32) {
        let snapshot = self.switch.publisher().current();
        let bridge = snapshot.bridge(self.bridge).expect("it is published");
        for n in 0..count {
            let mac = MacAddr(behind_port_2(n));
            bridge.config.macs.learn(mac, 0, self.port_2, self.now);
        }
    }
    /// Forwards for so many polls; the frames that left. `bench/instructions` counts what happens in here.
    #[inline(never)]
    pub fn forward(&mut self, polls: usize) -> u64 {
        self.turn(polls)
    }
    fn turn(&mut self, polls: usize) -> u64 {
        let before = *self.sent.lock().expect("nobody panics");
        for _ in 0..polls {
            // As slow as it goes: the clock only has to move.
            self.now = self.now + TICK;
            self.worker.poll(self.now);
        }
        *self.sent.lock().expect("nobody panics") - before
    }
}
