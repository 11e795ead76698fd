//! One case: its lines, read and executed one after the other.

#[path = "taught.rs"]
mod taught;

use super::gauges::Gauges;
use super::pending::pending;
use super::tunnel::{SETTINGS, encapsulation, value};
use datapath::edge::Offload;
use datapath::forward::trace::{Observer, Text};
use datapath::model::event::Event;
use datapath::model::id::BridgeId;
use datapath::model::id::PortId;
use datapath::model::learnt::Finished;
use datapath::model::port::{PortKind, PortView, VlanMode};
use datapath::model::reserved::Policy;
use datapath::model::snapshot::{BridgeConfig, Change, Miss};
use datapath::model::tunnel::{
    ByteChoice, Encap, Exit, Fragmentation, L2tpv3, Layer, Local, Remote, Route, Tunnel,
    TunnelConfig, TunnelKey,
};
use datapath::model::{Rule, RuleId};
use datapath::sim::{Options, Sim};
use datapath::time::Time;
use flow::frametext;
use ofp::message::{FlowModCommand, port_config};
use ofp::text::{PortMap, read_flow_mod, read_match};
use ofp::types::{Cookie, PortNo, TableId};
use packet::MacAddr;
use packet::l2tpv3;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub type Result<T> = std::result::Result<T, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Cached,
    /// Every packet is walked through the tables.
    Uncached,
    /// A cache of one entry.
    OneEntry,
    Twice,
    /// Frames of several segments, the first one of an odd size.
    Segmented,
    Explained,
    /// Several workers, each with some of the ports.
    Spread,
}

struct Case<'t> {
    sim: Sim,
    mode: Mode,
    bridges: BTreeMap<String, BridgeId>,
    ports: BTreeMap<String, PortId>,
    views: BTreeMap<PortId, PortView>,
    configs: BTreeMap<BridgeId, BridgeConfig>,
    rules: Vec<(BridgeId, Rule, &'t str)>,
    gauges: Gauges,
    /// Frames that came out and are not wanted yet, by port name.
    out: Vec<(String, Vec<u8>)>,
    punts: Vec<datapath::model::event::Punt>,
    /// Packets that were wanted, and wait.
    paused: Vec<datapath::model::event::Punt>,
    /// What FINs and RSTs said.
    finished: Vec<Arc<Finished>>,
    before: BTreeMap<String, u64>,
    ingress: String,
    trace: Text,
    /// Frames are sent damaged, by numbers that follow from this one.
    damage: Option<u64>,
}

pub fn run(text: &str, mode: Mode) -> Result<()> {
    let mut case = Case::new(mode);
    case.execute(text)?;
    case.end()
}

/// What happens to the packets of a case, in words.
pub fn trace(text: &str) -> String {
    let mut case = Case::new(Mode::Explained);
    let _ = case.execute_without_checks(text);
    case.trace.0
}

/// Sends the frames of a case damaged, many times; all that is asked is that every one of them is freed at the end.
pub fn damage(text: &str, mode: Mode, seed: u64) -> Result<()> {
    let mut case = Case::new(mode);
    case.damage = Some(seed | 1);
    case.execute_without_checks(text)?;
    (case.out, case.punts) = (Vec::new(), Vec::new());
    case.finished.clear();
    case.end()
}

/// A number that nobody expects, after this one (xorshift).
fn next(number: &mut u64) -> usize {
    *number ^= *number << 13;
    *number ^= *number >> 7;
    *number ^= *number << 17;
    (*number >> 8) as usize
}

/// Changes bytes, or the size; often what is left has a right IPv4 checksum.
fn damaged(bytes: &[u8], number: &mut u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..next(number) % 4 {
        let at = next(number) % bytes.len();
        bytes[at] = match next(number) % 4 {
            0 => 0,
            1 => 0xff,
            2 => bytes[at] ^ 1 << (next(number) % 8),
            _ => next(number) as u8,
        };
    }
    match next(number) % 8 {
        0 => bytes.truncate(1 + next(number) % bytes.len()),
        1 => bytes.resize(bytes.len() + next(number) % 1500, 0xa5),
        _ => {}
    }
    if !next(number).is_multiple_of(8)
        && let Some(link) = packet::ethernet::payload(&bytes, 2)
        && link.ether_type == packet::ethertype::IPV4
    {
        let _ = packet::ipv4::fill_checksum(&mut bytes[link.offset..]);
    }
    bytes
}

/// Has a bridge treat a reserved destination in a way of its own.
fn except(policy: &mut Policy, mac: &str, forward: bool) -> Result<()> {
    let mac = mac.parse().map_err(err("mac"))?;
    let before = policy.exceptions.iter().copied();
    policy.exceptions = before.chain([(mac, forward)]).collect();
    Ok(())
}

pub fn err<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> String + '_ {
    move |e| format!("{what}: {e}")
}

pub fn parse<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| format!("cannot read \"{text}\""))
}

impl<'t> Case<'t> {
    fn new(mode: Mode) -> Case<'t> {
        let mut options = Options::default();
        if mode == Mode::Segmented {
            options.buffer_size = 125;
        }
        if mode == Mode::Spread {
            options.workers = 3;
        }
        match mode {
            Mode::Uncached => options.cache_entries = 0,
            Mode::OneEntry => options.cache_entries = 1,
            _ => {}
        }
        Case {
            sim: Sim::new(options),
            mode,
            bridges: BTreeMap::new(),
            ports: BTreeMap::new(),
            views: BTreeMap::new(),
            configs: BTreeMap::new(),
            rules: Vec::new(),
            gauges: Gauges::default(),
            out: Vec::new(),
            punts: Vec::new(),
            paused: Vec::new(),
            finished: Vec::new(),
            before: BTreeMap::new(),
            ingress: String::new(),
            trace: Text::default(),
            damage: None,
        }
    }
    fn lines(text: &'t str) -> impl Iterator<Item = (usize, &'t str, &'t str)> {
        let lines = text.lines().enumerate();
        lines.filter_map(|(index, line)| {
            // A comment stands at the beginning of a line, or after two blanks.
            let line = line.split("  #").next().unwrap_or("").trim();
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            (!line.is_empty() && !line.starts_with('#')).then_some((index + 1, word, rest.trim()))
        })
    }
    fn execute(&mut self, text: &'t str) -> Result<()> {
        self.bridge("br0")?;
        (1..=4).try_for_each(|number| self.port(&number.to_string()))?;
        for (number, word, rest) in Self::lines(text) {
            self.line(word, rest)
                .map_err(|error| format!("line {number}: {error}"))?;
        }
        Ok(())
    }
    fn execute_without_checks(&mut self, text: &'t str) -> Result<()> {
        self.bridge("br0")?;
        (1..=4).try_for_each(|number| self.port(&number.to_string()))?;
        for (_, word, rest) in Self::lines(text) {
            if !matches!(word, "want" | "punt" | "stat" | "fin") {
                self.out.clear();
                self.punts.clear();
                self.finished.clear();
                self.line(word, rest)?;
            }
        }
        Ok(())
    }
    fn line(&mut self, word: &str, rest: &'t str) -> Result<()> {
        match word {
            "once" => Ok(()),
            "bridge" => self.bridge(rest),
            "port" => self.port(rest),
            "flow" => self.flow(rest),
            "del" => self.del(rest),
            "group" | "ungroup" | "meter" => self.gauge(word, rest),
            "time" => {
                self.sim.now = self.sim.now + Time::millis(parse(rest)?);
                self.poll();
                Ok(())
            }
            "route" => self.route(rest),
            "send" => self.send(rest),
            "out" => self.packet_out(rest),
            "want" => self.want(rest),
            "punt" => self.punt(rest),
            "stat" => self.stat(rest),
            "fin" => self.fin(rest),
            "tlv" => self.tlv(rest),
            "resume" => self.resume(rest),
            other => Err(format!("no such line: \"{other}\"")),
        }
    }
    fn end(&mut self) -> Result<()> {
        self.nothing_left()?;
        self.sim.stop();
        match self.sim.outstanding() {
            0 => Ok(()),
            n => Err(format!("{n} frames were lost")),
        }
    }
    fn times(&self) -> usize {
        if self.mode == Mode::Twice { 2 } else { 1 }
    }

    fn bridge(&mut self, rest: &str) -> Result<()> {
        let mut words = rest.split_whitespace();
        let name = words.next().ok_or("a bridge needs a name")?;
        let id = match self.bridges.get(name) {
            Some(id) => *id,
            None => {
                let id = self.sim.add_bridge(name);
                self.bridges.insert(name.into(), id);
                let snapshot = self.sim.snapshot();
                let config = &snapshot.bridge(id).ok_or("no such bridge")?.config;
                self.configs.insert(id, config.as_ref().clone());
                id
            }
        };
        let config = self.configs.get_mut(&id).ok_or("no such bridge")?;
        let mut addresses = Vec::<IpAddr>::new();
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("miss", "controller") => config.miss = Miss::Controller,
                ("frag", "normal") => config.frag = 0,
                ("frag", "drop") => config.frag = 1,
                ("frag", "reassemble") => config.frag = 2,
                ("frag", "nx-match") => config.frag = 3,
                ("egress", table) => config.first_egress = Some(TableId(parse(table)?)),
                ("forward-bpdu", _) => config.reserved.forward = true,
                ("forward", mac) => except(&mut config.reserved, mac, true)?,
                ("keep", mac) => except(&mut config.reserved, mac, false)?,
                ("address", ip) => addresses.push(parse(ip)?),
                _ => return Err(format!("no such bridge setting: \"{word}\"")),
            }
        }
        let change = Change::SetBridge(id, Arc::new(config.clone()));
        self.sim.change(change);
        if !addresses.is_empty() {
            self.sim.change(Change::SetAddresses(id, addresses.into()));
        }
        Ok(())
    }
    /// "2" and "br1/2" to bridge and number.
    fn place(&self, name: &str) -> Result<(BridgeId, PortNo)> {
        let (bridge, number) = name.split_once('/').unwrap_or(("br0", name));
        let bridge = *self
            .bridges
            .get(bridge)
            .ok_or_else(|| format!("no such bridge: {bridge}"))?;
        let number = match number {
            "local" => PortNo::LOCAL,
            "controller" => PortNo::CONTROLLER,
            number => PortNo(parse(number)?),
        };
        Ok((bridge, number))
    }
    fn port_id(&self, name: &str) -> Result<PortId> {
        let id = self.ports.get(name).copied();
        id.ok_or_else(|| format!("no such port: {name}"))
    }
    fn port(&mut self, rest: &str) -> Result<()> {
        let mut words = rest.split_whitespace();
        let name = words.next().ok_or("a port needs a number")?;
        let id = match self.ports.get(name) {
            Some(id) => *id,
            None => {
                let (bridge, number, kind) = match name {
                    "host" => (BridgeId(u16::MAX), PortNo::UNSET, PortKind::Host),
                    name => match self.place(name)? {
                        (bridge, PortNo::LOCAL) => (bridge, PortNo::LOCAL, PortKind::Internal),
                        (bridge, number) => (bridge, number, PortKind::Device),
                    },
                };
                let mut view = self.sim.port_view(bridge, number, kind);
                view.name = name.into();
                self.ports.insert(name.into(), view.id);
                self.views.insert(view.id, view.clone());
                view.id
            }
        };
        let mut view = self.views[&id].clone();
        let settings: Vec<&str> = words.collect();
        for setting in &settings {
            self.port_setting(&mut view, setting)?;
        }
        if let Some(encap) = encapsulation(&settings)? {
            view.kind = PortKind::Tunnel(Arc::new(self.tunnel(encap, &settings)?));
        }
        self.views.insert(id, view.clone());
        self.sim.set_port(view);
        self.poll();
        Ok(())
    }
    fn port_setting(&self, view: &mut PortView, word: &str) -> Result<()> {
        let list = |text: &str| -> Result<Option<Box<[u64; 64]>>> {
            let mut bits = Box::new([0u64; 64]);
            for vid in text.split(',') {
                let vid: usize = parse(vid)?;
                bits[vid / 64] |= 1 << (vid % 64);
            }
            Ok(Some(bits))
        };
        match word.split_once('=').unwrap_or((word, "")) {
            ("internal", _) => view.kind = PortKind::Internal,
            ("peer", peer) => {
                let peer = self.ports.get(peer).copied();
                view.kind = PortKind::Patch { peer };
            }
            ("down", _) => view.config |= port_config::PORT_DOWN,
            ("no-recv", _) => view.config |= port_config::NO_RECV,
            ("no-fwd", _) => view.config |= port_config::NO_FWD,
            ("no-flood", _) => view.config |= port_config::NO_FLOOD,
            ("no-packet-in", _) => view.config |= port_config::NO_PACKET_IN,
            ("mtu", mtu) => view.mtu = parse(mtu)?,
            ("mac", mac) => view.mac = mac.parse().map_err(err("mac"))?,
            ("access", tag) => view.vlan = VlanMode::Access { tag: parse(tag)? },
            ("trunks", vids) => {
                view.vlan = VlanMode::Trunk {
                    trunks: list(vids)?,
                }
            }
            ("native-tagged", tag) => {
                view.vlan = VlanMode::Native {
                    tag: parse(tag)?,
                    trunks: None,
                    tagged: true,
                }
            }
            ("native-untagged", tag) => {
                view.vlan = VlanMode::Native {
                    tag: parse(tag)?,
                    trunks: None,
                    tagged: false,
                }
            }
            (word, _) if SETTINGS.contains(&word) => {}
            _ => return Err(format!("no such port setting: \"{word}\"")),
        }
        Ok(())
    }
    fn tunnel(&self, encap: Encap, settings: &[&str]) -> Result<Tunnel> {
        let value = |name: &str| value(settings, name);
        let key = |name: &str| -> Result<TunnelKey> {
            Ok(match value(name).or(value("key")) {
                None => TunnelKey::None,
                Some("flow") => TunnelKey::Flow,
                Some(text) => TunnelKey::Value(parse(text)?),
            })
        };
        let byte = |name: &str, default: u8| -> Result<ByteChoice> {
            Ok(match value(name) {
                None => ByteChoice::Value(default),
                Some("inherit") => ByteChoice::Inherit,
                Some(text) => ByteChoice::Value(parse(text)?),
            })
        };
        let remote = match value("remote").ok_or("a tunnel needs remote=")? {
            "flow" => Remote::Flow,
            text => match text.parse() {
                Ok(ip) => Remote::Ip(ip),
                Err(_) => Remote::Link(text.parse().map_err(err("remote"))?),
            },
        };
        let default_port = match &encap {
            Encap::Vxlan { .. } => 4789,
            Encap::Geneve => 6081,
            Encap::L2tpv3(L2tpv3 { over, .. }) if *over == l2tpv3::Encap::Udp => 1701,
            _ => 0,
        };
        let port = value("dst_port").map_or(Ok(default_port), parse)?;
        let config = TunnelConfig {
            local: match value("local") {
                Some("flow") => Local::Flow,
                Some(text) => Local::Ip(parse(text)?),
                None => Local::Any,
            },
            port,
            local_port: value("local_port").map_or(Ok(port), parse)?,
            layer: match value("layer") {
                Some("ip") => Layer::Ip,
                Some("any") => Layer::Any,
                _ => Layer::Ethernet,
            },
            in_key: key("in_key")?,
            out_key: key("out_key")?,
            csum: settings.contains(&"csum"),
            tos: byte("tos", 0)?,
            ttl: byte("ttl", 64)?,
            df: !settings.contains(&"no-df"),
            fragmentation: match value("fragment") {
                None | Some("auto") => Fragmentation::Auto,
                Some("always") => Fragmentation::Always,
                Some("never") => Fragmentation::Never,
                Some(mtu) => Fragmentation::Mtu(parse(mtu)?),
            },
            ..TunnelConfig::new(encap, remote)
        };
        let route = self.way(settings)?;
        Ok(Tunnel {
            config,
            route,
            state: Arc::default(),
        })
    }

    /// The route that settings say.
    fn way(&self, settings: &[&str]) -> Result<Option<Route>> {
        let value = |name: &str| value(settings, name);
        let mac = |name: &str, default: u64| -> Result<MacAddr> {
            let text = value(name).map(|text| text.parse().map_err(err("mac")));
            text.unwrap_or(Ok(MacAddr::from_u64(default)))
        };
        // A bridge, one of the ports that are no bridge's, or a port as a pseudowire's link.
        let exit = match (value("route"), value("via")) {
            (None, None) => None,
            (None, Some(port)) => Some(Exit::Port(self.port_id(port)?)),
            (Some("host"), _) => Some(Exit::Port(self.port_id("host")?)),
            (Some(bridge), _) => Some(Exit::Bridge(self.place(&format!("{bridge}/local"))?.0)),
        };
        Ok(match exit {
            None => None,
            Some(exit) => Some(Route {
                exit,
                source: value("source").map(parse).transpose()?,
                source_mac: mac("source-mac", 0x0a)?,
                next_hop_mac: mac("next-hop", 0x0b)?,
                mtu: value("path-mtu").map_or(Ok(1500), parse)?,
                egress_mtu: 1500,
            }),
        })
    }
    /// "REMOTE route=BRIDGE source=IP ...": the way to an end that packets name themselves; `local=IP` if they name that too.
    fn route(&mut self, rest: &str) -> Result<()> {
        let settings: Vec<&str> = rest.split_whitespace().collect();
        let remote: IpAddr = parse(settings.first().ok_or("route REMOTE ...")?)?;
        let local = value(&settings, "local").map(parse).transpose()?;
        let route = self.way(&settings)?.map(Arc::new);
        self.sim.change(Change::SetRoute((remote, local), route));
        self.poll();
        Ok(())
    }

    /// An optional bridge, and the text behind it.
    fn bridge_of(&self, rest: &'t str) -> (BridgeId, &'t str) {
        match rest.split_once(':') {
            Some((name, flow)) if self.bridges.contains_key(name) => {
                (self.bridges[name], flow.trim())
            }
            _ => (self.bridges["br0"], rest),
        }
    }
    fn flow(&mut self, rest: &'t str) -> Result<()> {
        let (bridge, text) = self.bridge_of(rest);
        let flow = read_flow_mod(text, Some(FlowModCommand::Add), &PortMap::default())
            .map_err(|error| format!("{error:?}"))?;
        let rule = Rule {
            id: RuleId(0),
            table: TableId(if flow.table == TableId::ALL {
                0
            } else {
                flow.table.0
            }),
            priority: flow.priority,
            matching: flow.matching,
            actions: flow.actions.into(),
            cookie: flow.cookie,
        };
        let id = self.sim.add_rule(bridge, rule.clone());
        let rule = Rule { id, ..rule };
        self.rules.push((bridge, rule, rest));
        Ok(())
    }
    fn gauge(&mut self, word: &str, rest: &'t str) -> Result<()> {
        let (bridge, text) = self.bridge_of(rest);
        let (gauges, sim) = (&mut self.gauges, &mut self.sim);
        match word {
            "group" => gauges.group(sim, bridge, text),
            "ungroup" => gauges.ungroup(sim, bridge, text),
            _ => gauges.meter(sim, bridge, text),
        }
    }
    fn del(&mut self, rest: &str) -> Result<()> {
        let at = self.rules.iter().position(|(_, _, text)| *text == rest);
        let (bridge, rule, _) = self.rules.remove(at.ok_or("no such flow line")?);
        self.sim.change(Change::RemoveRule(bridge, Arc::new(rule)));
        Ok(())
    }

    fn send(&mut self, rest: &str) -> Result<()> {
        self.nothing_left()?;
        let (mut partial, mut gso, mut rest) = (false, 0, rest);
        loop {
            let (word, behind) = rest.split_once(' ').ok_or("send PORT FRAME")?;
            match word.split_once('=').unwrap_or((word, "")) {
                ("partial", _) => partial = true,
                ("gso", size) => gso = parse(size)?,
                _ => break,
            }
            rest = behind.trim();
        }
        let (port, text) = rest.split_once(' ').ok_or("send PORT FRAME")?;
        let id = self.port_id(port)?;
        let mut bytes = read(text)?;
        let offload = if partial || gso != 0 {
            pending(&mut bytes, gso)?
        } else {
            Offload::default()
        };
        self.before = self.counters();
        self.ingress = counter_prefix(port);
        for _ in 0..self.times() {
            self.sim.send(id, &bytes, offload);
        }
        if let Some(number) = &mut self.damage {
            for _ in 0..24 {
                self.sim.send(id, &damaged(&bytes, number), offload);
            }
        }
        self.poll();
        Ok(())
    }
    fn poll(&mut self) {
        match self.mode {
            Mode::Explained => {
                let mut text = std::mem::take(&mut self.trace);
                self.poll_with(&mut text);
                self.trace = text;
            }
            _ => self.poll_with(&mut ()),
        }
        for (name, id) in self.ports.clone() {
            let frames = self.sim.take(id);
            self.out
                .extend(frames.into_iter().map(|f| (name.clone(), f)));
        }
        for event in self.sim.events() {
            match event {
                Event::Punt(punt) => self.punts.push(*punt),
                Event::Resolve { .. } | Event::PacketOuts(_) => {}
                Event::Learn(learnt) => self.learnt(&learnt),
                Event::Finish(finished) => self.finished.push(finished),
            }
        }
    }
    fn poll_with<O: Observer>(&mut self, o: &mut O) {
        self.sim.poll(o);
    }
    fn nothing_left(&self) -> Result<()> {
        if let Some((port, frame)) = self.out.first() {
            return Err(format!("not wanted: {port} {}", frametext::print(frame)));
        }
        match self.punts.first() {
            Some(punt) => Err(format!("not wanted: {}", show_punt(punt))),
            None if !self.finished.is_empty() => Err("not wanted: a connection's end".into()),
            None => Ok(()),
        }
    }
    fn want(&mut self, rest: &str) -> Result<()> {
        let (port, text) = rest.split_once(' ').ok_or("want PORT FRAME")?;
        let wanted = read(text)?;
        for _ in 0..self.times() {
            let same = |(at, frame): &(String, Vec<u8>)| at == port && *frame == wanted;
            let Some(at) = self.out.iter().position(same) else {
                let got = self.out.iter();
                let got: Vec<String> = got
                    .map(|(port, frame)| format!("  got {port} {}", frametext::print(frame)))
                    .collect();
                let wanted = frametext::print(&wanted);
                return Err(format!("want {port} {wanted}\n{}", got.join("\n")));
            };
            self.out.remove(at);
        }
        Ok(())
    }
    fn punt(&mut self, rest: &str) -> Result<()> {
        let at = rest
            .find("eth(")
            .or(rest.find("hex\""))
            .unwrap_or(rest.len());
        let (fields, frame) = rest.split_at(at);
        let frame = if frame.is_empty() {
            None
        } else {
            Some(read(frame)?)
        };
        for _ in 0..self.times() {
            let matches = |punt: &datapath::model::event::Punt| -> Result<bool> {
                // Of a packet without an Ethernet header, the header in the case is none of its bytes.
                let spare = match flow::bare::type_of(&punt.fields).namespace {
                    0 => 0,
                    _ => flow::bare::SPARE,
                };
                let is_same = |frame: &Vec<u8>| frame[spare..] == punt.data;
                Ok(fits(punt, fields)? && frame.as_ref().is_none_or(is_same))
            };
            let mut found = None;
            for (index, punt) in self.punts.iter().enumerate() {
                if matches(punt)? {
                    found = Some(index);
                    break;
                }
            }
            let Some(index) = found else {
                let got: Vec<String> = self.punts.iter().map(show_punt).collect();
                return Err(format!("no such punt; got\n  {}", got.join("\n  ")));
            };
            let punt = self.punts.remove(index);
            self.paused.extend(punt.paused.is_some().then_some(punt));
        }
        Ok(())
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (name, &bridge) in &self.bridges {
            let prefix = if name == "br0" {
                String::new()
            } else {
                format!("{name}/")
            };
            for table in 0..=254 {
                let (lookups, matched) = self.sim.stats.table(bridge, TableId(table));
                all.insert(format!("{prefix}table{table}.matched"), matched);
                all.insert(format!("{prefix}table{table}.missed"), lookups - matched);
            }
        }
        for (name, &id) in &self.ports {
            let totals = self.sim.stats.port(id);
            let prefix = counter_prefix(name);
            let mut put = |counter: &str, value| all.insert(format!("{prefix}.{counter}"), value);
            put("rx_packets", totals.rx_packets);
            put("tx_packets", totals.tx_packets);
            put("rx_bytes", totals.rx_bytes);
            put("tx_bytes", totals.tx_bytes);
            put("rx_dropped", totals.rx_dropped);
            put("tx_dropped", totals.tx_dropped);
            let bpdus = totals.bpdus.rx.iter().zip(totals.bpdus.tx);
            for (kind, (rx, tx)) in packet::bpdu::Kind::COUNTED.iter().zip(bpdus) {
                put(&format!("rx_bpdu_{}", kind.name()), *rx);
                put(&format!("tx_bpdu_{}", kind.name()), tx);
            }
            if matches!(self.views[&id].kind, PortKind::Tunnel(_)) {
                for (name, value) in self.sim.stats.tunnel(id).iter() {
                    put(&format!("tunnel_{name}"), value);
                }
            }
        }
        for &(reason, name, _) in datapath::model::drop::DROP_REASONS {
            all.insert(format!("drop.{name}"), self.sim.stats.drops(reason));
        }
        all.insert("unclaimed".to_owned(), self.sim.stats.unclaimed());
        for &(outcome, name, _) in datapath::fragment::OUTCOMES {
            all.insert(
                format!("fragment.{name}"),
                self.sim.stats.fragments(outcome),
            );
        }
        self.gauges.count(&self.sim, &mut all);
        for (_, rule, _) in &self.rules {
            let totals = self.sim.stats.rule(rule.id);
            let Cookie(cookie) = rule.cookie;
            all.insert(format!("cookie{cookie}.packets"), totals.packets);
            all.insert(format!("cookie{cookie}.bytes"), totals.bytes);
        }
        all
    }
    fn stat(&mut self, rest: &str) -> Result<()> {
        let mut wanted = BTreeMap::new();
        for word in rest.split_whitespace() {
            let (name, amount) = word.split_once('+').ok_or("stat NAME+N")?;
            let amount: u64 = parse(amount)?;
            wanted.insert(name.to_owned(), amount * self.times() as u64);
        }
        let ingress = format!("{}.rx_packets", self.ingress);
        // Bytes, rules and what `send` implies count only if they are named.
        let implied = |name: &str| {
            let ends = ["bytes", ".tunnel_rx_packets", ".tunnel_tx_packets"];
            ends.iter().any(|end| name.ends_with(end))
                || ["cookie", "group", "meter"]
                    .iter()
                    .any(|start| name.starts_with(start))
                || name == ingress
        };
        for (name, after) in self.counters() {
            let changed = after - self.before.get(&name).copied().unwrap_or(0);
            let expected = wanted.remove(&name);
            if expected.is_some() || !implied(&name) {
                let expected = expected.unwrap_or(0);
                if changed != expected {
                    return Err(format!("{name}+{changed}, expected +{expected}"));
                }
            }
        }
        match wanted.keys().next() {
            Some(name) => Err(format!("no such counter: {name}")),
            None => Ok(()),
        }
    }
}

fn counter_prefix(port: &str) -> String {
    match port.split_once('/') {
        Some((bridge, number)) => format!("{bridge}/port{number}"),
        None => format!("port{port}"),
    }
}

fn read(text: &str) -> Result<Vec<u8>> {
    frametext::read(text.trim()).map_err(err("frame"))
}

fn show_punt(punt: &datapath::model::event::Punt) -> String {
    format!(
        "punt {:?} table={} in_port={} id={} cookie={} fields={:?} {}",
        punt.controller.reason,
        punt.table,
        punt.in_port,
        punt.controller.id,
        punt.cookie,
        punt.fields,
        frametext::print(&punt.data)
    )
}

fn fits(punt: &datapath::model::event::Punt, fields: &str) -> Result<bool> {
    let mut words = fields.split_whitespace();
    let reason = words.next().ok_or("punt REASON")?;
    let name = format!("{:?}", punt.controller.reason).to_lowercase();
    let mut fits = name == reason.replace('_', "");
    let mut rest = Vec::new();
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("table", n) => fits &= punt.table == TableId(parse(n)?),
            ("in_port", n) => fits &= punt.in_port == PortNo(parse(n)?),
            ("id", n) => fits &= punt.controller.id == parse::<u16>(n)?,
            ("cookie", n) => fits &= punt.cookie == Cookie(parse(n)?),
            ("total", n) => fits &= punt.total_len == parse::<u32>(n)?,
            _ => rest.push(word),
        }
    }
    let wanted = read_match(&rest.join(","), &PortMap::default());
    Ok(fits && punt.fields == wanted.map_err(|error| format!("{error:?}"))?)
}
