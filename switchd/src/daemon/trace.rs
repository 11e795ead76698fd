//! `ofproto/trace` and `ofproto/trace-packet-out`: one packet explained, as the stock `ovs-appctl` asks for it, and
//! with more as `ofctl trace` does. Nothing changes, but `--generate` sends the packet.

use super::Daemon;
use datapath::explain::{Explanation, Node, Packet, explain, hex, placed};
use datapath::forward::worker::Question;
use datapath::model::event::PacketOut;
use datapath::model::{BridgeId, DropReason};
use ofp::action::Action;
use ofp::text::{PortMap, read_actions};
use ofp::types::PortNo;
use serde_json::{Value, json};
use std::fmt::Write;

/// A payload of more is no packet's.
const PAYLOAD_MAX: usize = 65_000;

/// What is asked.
#[derive(Default)]
struct Request<'a> {
    bridge: &'a str,
    /// The flow, the packet, the actions.
    words: Vec<&'a str>,
    generate: bool,
    names: bool,
    json: bool,
    /// Say which frames leave, and why not.
    frames: bool,
    payload: Option<Vec<u8>>,
}

impl<'a> Request<'a> {
    fn read(args: &'a [String]) -> Result<Request<'a>, String> {
        let mut request = Request::default();
        let mut rest = args.iter().map(String::as_str);
        while let Some(word) = rest.next() {
            match word {
                "-generate" | "--generate" => request.generate = true,
                // Nothing that a packet-out does depends on what is cached.
                "-consistent" | "--consistent" => {}
                "--names" => request.names = true,
                "--no-names" => request.names = false,
                "--json" => request.json = true,
                "--frames" => request.frames = true,
                "--l7" => {
                    let text = rest.next().ok_or("Missing argument for option --l7")?;
                    request.payload = Some(hex(text).ok_or("--l7: not hexadecimal")?);
                }
                "--l7-len" => {
                    let text = rest.next().ok_or("Missing argument for option --l7-len")?;
                    let size: usize = ofp::text::digits(text, 10)
                        .filter(|size| *size <= PAYLOAD_MAX)
                        .ok_or(format!("--l7-len: \"{text}\" is not 0 to {PAYLOAD_MAX}"))?;
                    request.payload = Some((0..size).map(|i| i as u8).collect());
                }
                "--ct-next" => return Err("--ct-next: there is no connection tracking".into()),
                option if option.starts_with('-') => {
                    return Err(format!("invalid option {option}"));
                }
                word if request.bridge.is_empty() => request.bridge = word,
                word => request.words.push(word),
            }
        }
        match request.bridge {
            "" => Err("a bridge is missing".into()),
            _ => Ok(request),
        }
    }
}

impl Daemon {
    /// `ofproto/trace BRIDGE FLOW [PACKET] [OPTIONS]`.
    pub fn trace(&mut self, args: &[String]) -> Result<String, String> {
        self.trace_any(args, false)
    }

    /// `ofproto/trace-packet-out BRIDGE FLOW [PACKET] [OPTIONS] ACTIONS`.
    pub fn trace_packet_out(&mut self, args: &[String]) -> Result<String, String> {
        self.trace_any(args, true)
    }

    fn trace_any(&mut self, args: &[String], is_packet_out: bool) -> Result<String, String> {
        let mut request = Request::read(args)?;
        let bridge = self.bridges.get(request.bridge);
        let id = bridge
            .ok_or_else(|| format!("{}: unknown bridge", request.bridge))?
            .id;
        let ports = self.port_map(id);
        let actions = match is_packet_out {
            false => None,
            true => {
                let text = request.words.pop().ok_or("actions are missing")?;
                let actions = read_actions(text, &ports);
                Some(actions.map_err(|error| format!("Bad actions: {text}: {error}"))?)
            }
        };
        let mut packet = Packet::read(&request.words, request.payload.as_deref(), &ports)?;
        let snapshot = self.switch.publisher().current();
        packet.fields = placed(&snapshot, id, &packet)?;
        let question = Question {
            bridge: id,
            in_port: packet.in_port,
            frame: &packet.frame,
            fields: &packet.fields,
            actions: actions.as_deref(),
        };
        let (now, names, teaches) = (self.clock.now(), request.names, request.generate);
        let explanation = explain(&snapshot, &question, now, names, teaches)
            .ok_or_else(|| format!("{}: the bridge is not there yet", request.bridge))?;
        drop(snapshot);
        if request.generate {
            self.generate(id, packet, actions);
        }
        Ok(match (request.json, request.frames) {
            (true, _) => format!("{}\n", in_json(&explanation)),
            (false, true) => format!("{explanation}{}", frames(&explanation)),
            (false, false) => explanation.to_string(),
        })
    }

    /// Sends the packet through the tables, or the actions, as a controller would.
    fn generate(&mut self, bridge: BridgeId, packet: Packet, actions: Option<Vec<Action>>) {
        let table = Action::Output {
            port: PortNo::TABLE,
            max_len: 0,
        };
        self.workers.packet_out(Box::new(PacketOut {
            bridge,
            in_port: packet.in_port,
            actions: actions.unwrap_or_else(|| vec![table]).into(),
            data: packet.frame,
            fields: packet.fields,
            paused: None,
            number: 0,
        }));
    }

    fn port_map(&self, bridge: BridgeId) -> PortMap {
        let mut map = PortMap::default();
        let of_bridge = |name: &str| self.bridges.get(name).is_some_and(|b| b.id == bridge);
        for (name, port) in &self.ports {
            if let Some((_, number)) = port.live.filter(|_| of_bridge(&port.bridge)) {
                map.insert(number, name);
            }
        }
        map
    }
}

/// What left, and why something did not.
fn frames(explanation: &Explanation) -> String {
    let mut text = String::new();
    if !explanation.frames.is_empty() {
        text.push_str("Frames:\n");
    }
    for sent in &explanation.frames {
        let frame = sent.text();
        let port = super::ports::port_word(sent.port);
        let _ = writeln!(text, "  {port} ({}): {frame}", sent.name);
    }
    for reason in &explanation.drops {
        let _ = writeln!(text, "Dropped: {} ({})", reason.text(), reason.name());
    }
    text
}

fn in_json(explanation: &Explanation) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    json!({
        "flow": explanation.flow,
        "bridges": explanation.bridges.iter().map(node).collect::<Vec<_>>(),
        "final_flow": explanation.final_flow.as_ref().unwrap_or(&explanation.flow),
        "megaflow": explanation.megaflow,
        "datapath_actions": explanation.actions,
        "frames": explanation.frames.iter().map(|sent| json!({
            "port": sent.port.0,
            "name": &*sent.name,
            "hex": hex(&sent.bytes),
            "text": sent.text(),
        })).collect::<Vec<_>>(),
        "failure": explanation.failure.map(DropReason::name),
        "drops": explanation.drops.iter().map(|reason| json!({
            "reason": reason.name(),
            "text": reason.text(),
        })).collect::<Vec<_>>(),
    })
}

fn node(node: &Node) -> Value {
    let inner: Vec<Value> = node.nodes.iter().map(self::node).collect();
    json!({
        "kind": format!("{:?}", node.kind).to_lowercase(),
        "text": node.text,
        "nodes": inner,
        "after": node.after,
    })
}
