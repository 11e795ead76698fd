//! What packets teach, with a whole switch: control and a worker, and what is between them. How soon it is in force, that traffic
//! is not flooded for ever, and that a barrier covers what the packet-outs before it taught.

use datapath::control::{BridgeSettings, ConnId, ConnKind, ConnSettings, FailMode};
use datapath::control::{Output, PortSettings, PortType, Queues, Switch};
use datapath::edge::{Rx, Tx};
use datapath::forward::worker::{Team, Worker};
use datapath::fragment::Secret;
use datapath::model::event::{COMMANDS, Command, EVENTS, Event};
use datapath::model::stats::Stats;
use datapath::model::{BridgeId, PortId, VlanMode};
use datapath::sim::{SimFrame, SimPool};
use datapath::time::Time;
use flow::frametext;
use ofp::message::{Body, FlowModCommand, Message, MeterCommand, PacketOut};
use ofp::text::{PortMap, read_actions, read_flow_mod, read_meter_mod};
use ofp::types::{PortNo, Version, Xid};
use packet::MacAddr;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CONN: ConnId = ConnId(1);

/// A queue in memory.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<VecDeque<SimFrame>>>);

impl Rx<SimFrame> for Wire {
    fn rx(&mut self, out: &mut Vec<SimFrame>, max: usize) {
        let mut frames = self.0.lock().expect("no panics while held");
        let len = frames.len().min(max);
        out.extend(frames.drain(..len));
    }
}

impl Tx<SimFrame> for Wire {
    fn tx(&mut self, frames: &mut Vec<SimFrame>) {
        let mut sent = self.0.lock().expect("no panics while held");
        sent.extend(frames.drain(..));
    }
}

/// Control's side.
struct Control {
    switch: Switch,
    bridge: BridgeId,
    commands: rtrb::Producer<Command<SimFrame>>,
    events: rtrb::Consumer<Event>,
    out: Vec<Output>,
    /// By port: what is received, what was sent.
    wires: Vec<(Wire, Wire)>,
    /// What was said to the connection.
    said: Vec<Body>,
    now: Time,
}

type TestWorker = Worker<SimPool>;

/// A switch with three ports and a worker.
fn switch() -> (Control, TestWorker) {
    let stats = Stats::default();
    let (ring, events) = rtrb::RingBuffer::new(EVENTS);
    let (commands, mailbox) = rtrb::RingBuffer::new(COMMANDS);
    let mut switch = Switch::new(stats.clone(), Secret::new(0));
    let reader = switch.publisher().reader();
    let team = Team::of(1, Secret::new(0)).remove(0);
    let pool = SimPool::default();
    let worker = Worker::new(reader, stats.register_worker(), pool, ring, mailbox, team);
    let now = Time::secs(1000);
    let settings = BridgeSettings {
        fail_mode: FailMode::Secure,
        ..BridgeSettings::default()
    };
    let bridge = switch.add_bridge(now, "br0", settings).expect("valid");
    let connection = ConnSettings {
        bridge,
        kind: ConnKind::Service,
        version: Version::V13,
        packet_in_limit: None,
        events: false,
        auxiliary: None,
    };
    switch.connect(now, CONN, connection);
    let (out, wires, said) = (Vec::new(), Vec::new(), Vec::new());
    let mut control = Control {
        switch,
        bridge,
        commands,
        events,
        out,
        wires,
        said,
        now,
    };
    (1..=3).for_each(|number| control.add_port(number));
    (control, worker)
}

impl Control {
    fn add_port(&mut self, number: u16) {
        let settings = PortSettings {
            name: format!("p{number}"),
            kind: PortType::Device,
            number_request: Some(number),
            number_stored: None,
            vlan: VlanMode::Trunk { trunks: None },
            queues: Queues::default(),
            mac: MacAddr::from_u64(u64::from(number)),
        };
        let added = self
            .switch
            .add_port(self.now, self.bridge, settings, &mut self.out);
        let (port, _): (PortId, PortNo) = added.expect("valid");
        let state = datapath::edge::PortState {
            admin_up: true,
            link_up: true,
            mtu: 1500,
            ..Default::default()
        };
        self.switch.set_port_state(port, state, &mut self.out);
        let wires = (Wire::default(), Wire::default());
        let (rx, tx) = (Box::new(wires.0.clone()), Box::new(wires.1.clone()));
        let _ = self.commands.push(Command::AddRx {
            port,
            rx,
            counters: Default::default(),
        });
        let _ = self.commands.push(Command::AddTx { port, tx });
        self.wires.push(wires);
    }
    fn say(&mut self, body: Body) {
        let message = Message { xid: Xid(1), body };
        self.switch
            .message(self.now, CONN, message, &[0; 8], &mut self.out);
    }
    fn flow(&mut self, text: &str) {
        let flow = read_flow_mod(text, Some(FlowModCommand::Add), &PortMap::default());
        let flow = flow.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        self.say(Body::FlowMod(Box::new(flow)));
    }
    /// What the daemon does in one round of its loop.
    fn round(&mut self) {
        while let Ok(event) = self.events.pop() {
            self.switch.event(self.now, event, &mut self.out);
        }
        self.switch.publish(&mut self.out);
        for output in std::mem::take(&mut self.out) {
            match output {
                Output::PacketOut(packet) => {
                    let _ = self.commands.push(Command::PacketOut(packet));
                }
                Output::Send(_, message) => self.said.push(message.body),
                _ => {}
            }
        }
    }
    fn receive(&self, port: usize, frame: &[u8]) {
        let frame = SimPool::default().frame(frame);
        let mut waiting = self.wires[port - 1].0.0.lock().expect("no panics");
        waiting.push_back(frame);
    }
    /// How many frames each port sent.
    fn sent(&self) -> [usize; 3] {
        std::array::from_fn(|port| {
            let mut sent = self.wires[port].1.0.lock().expect("no panics");
            sent.drain(..).len()
        })
    }
    fn has_replied(&mut self) -> bool {
        let before = self.said.len();
        self.said.retain(|body| *body != Body::BarrierReply);
        assert!(self.said.is_empty(), "{:?}", self.said);
        before > 0
    }
    /// A learning switch of two tables.
    fn learning_switch(&mut self) {
        self.flow("table=0,actions=learn(table=1,priority=7,idle_timeout=60,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),resubmit(,1)");
        self.flow("table=1,priority=0,actions=flood");
    }
}

/// From one of the hosts behind the three ports to another.
fn frame(from: usize, to: usize) -> Vec<u8> {
    let text =
        format!("eth(dst=..0{to},src=..0{from}) ipv4(10.0.0.{from}->10.0.0.{to}) udp(5->6) \"hi\"");
    frametext::read(&text).expect("a frame")
}

#[test]
fn a_barrier_covers_what_packet_outs_taught() {
    let (mut control, mut worker) = switch();
    control.learning_switch();
    control.round();
    worker.poll(control.now);
    for host in 1..=3 {
        let packet_out = PacketOut {
            buffer_id: u32::MAX,
            in_port: PortNo(host),
            actions: read_actions("table", &PortMap::default()).expect("actions"),
            data: frame(host as usize, 9).into(),
            ..PacketOut::default()
        };
        control.say(Body::PacketOut(Box::new(packet_out)));
        control.say(Body::BarrierRequest);
        for _ in 0..3 {
            control.round();
            assert!(!control.has_replied(), "the packet has not even run");
        }
        worker.poll(control.now);
        // It holds the snapshot of its last burst until it polls again or sleeps.
        control.round();
        assert!(!control.has_replied(), "the flow is not in force yet");
        worker.idle();
        control.round();
        assert!(control.has_replied());
        control.sent();
        // From now on, a stranger's packets to that host are not flooded.
        let from = host as usize % 3 + 1;
        control.receive(from, &frame(8, host as usize));
        worker.poll(control.now);
        let mut wanted = [0; 3];
        wanted[host as usize - 1] = 1;
        assert_eq!(control.sent(), wanted, "host {host}");
    }
}

/// No rule looks at packets; one that is added is about packets that begin, whatever register the last one ended with.
#[test]
fn what_a_packet_ends_with_is_not_what_the_next_begins_with() {
    let (mut control, mut worker) = switch();
    let meter = "meter=1,kbps,bands=type=dscp_remark,rate=1000000000,prec_level=1";
    let meter = read_meter_mod(meter, MeterCommand::Add).expect("a meter");
    control.say(Body::MeterMod(Box::new(meter)));
    control.flow("table=0,actions=load:7->NXM_NX_REG0[],resubmit(,1)");
    control.flow("table=1,priority=9,reg0=7,actions=meter:1,resubmit(,2)");
    control.flow("table=2,reg0=7,actions=output:2");
    control.flow("table=2,priority=1,reg0=0,actions=drop");
    control.round();
    for _ in 0..3 {
        control.receive(1, &frame(1, 2));
        worker.poll(control.now);
        assert_eq!(control.sent(), [0, 1, 0]);
    }
    control.flow("table=0,priority=40000,reg0=0,actions=output:3");
    worker.idle();
    control.round();
    control.receive(1, &frame(1, 2));
    worker.poll(control.now);
    assert_eq!(control.sent(), [0, 0, 1]);
}

#[test]
fn replies_behind_a_barrier_wait_with_it() {
    let (mut control, mut worker) = switch();
    control.round();
    let packet_out = PacketOut {
        buffer_id: u32::MAX,
        in_port: PortNo(1),
        actions: read_actions("output:2", &PortMap::default()).expect("actions"),
        data: frame(1, 2).into(),
        ..PacketOut::default()
    };
    control.say(Body::PacketOut(Box::new(packet_out)));
    control.say(Body::BarrierRequest);
    control.say(Body::EchoRequest(Default::default()));
    control.round();
    assert_eq!(control.said, []);
    worker.poll(control.now);
    worker.idle();
    control.round();
    let echo = Body::EchoReply(Default::default());
    assert_eq!(control.said, [Body::BarrierReply, echo]);
}

#[test]
fn what_is_learnt_is_in_force_in_the_next_burst() {
    let (mut control, mut worker) = switch();
    control.learning_switch();
    control.round();
    let mut flooded = 0;
    for turn in 0..300 {
        // Each talks to the two others in turn.
        let from = turn % 3 + 1;
        let to = (from + turn / 3 % 2) % 3 + 1;
        control.receive(from, &frame(from, to));
        worker.poll(control.now);
        worker.idle();
        control.round();
        let sent = control.sent();
        assert_eq!(sent[to - 1], 1, "turn {turn}");
        flooded += usize::from(sent.iter().sum::<usize>() > 1);
        control.now = control.now + Time::millis(1);
    }
    // Nobody has heard of the third host when the first speaks, nor of the second.
    assert_eq!(flooded, 2);
    assert_eq!(control.switch.flows_len(control.bridge), 5);
}

/// A worker and control on threads of their own.
#[test]
fn what_is_learnt_is_in_force_soon() {
    let (mut control, mut worker) = switch();
    control.learning_switch();
    control.round();
    let ends = Arc::new(AtomicBool::new(false));
    let (now, end) = (control.now, ends.clone());
    let thread = std::thread::spawn(move || {
        while !end.load(Relaxed) {
            if worker.poll(now) == 0 {
                worker.idle();
            }
        }
    });
    control.receive(1, &frame(1, 2));
    let (started, mut flooded) = (Instant::now(), 0);
    while control.sent()[2] == 0 {
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    // The answer of the one that was just heard of.
    loop {
        control.round();
        control.receive(2, &frame(2, 1));
        let sent = loop {
            let sent = control.sent();
            if sent[0] > 0 {
                break sent;
            }
            assert!(started.elapsed() < Duration::from_secs(10));
        };
        if sent[2] == 0 {
            break;
        }
        flooded += 1;
    }
    println!("in force after {:?}, {flooded} flooded", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(flooded <= 100, "{flooded}");
    ends.store(true, Relaxed);
    thread.join().expect("no panic");
}
