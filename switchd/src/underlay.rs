//! Where tunnel packets go: asks the kernel for the route and the neighbour of each tunnel's remote
//! address, and again when it says that something changed. Knows nothing of frames.

use crate::kernel::{Kernel, RouteAnswer};
use datapath::model::tunnel::{Route, TunnelConfig};
use datapath::model::{BridgeId, PortId};
use packet::MacAddr;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// A bridge's internal interface, by which an underlay is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Its name.
    pub name: String,
    /// Its bridge.
    pub bridge: BridgeId,
    /// Its address.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u16,
    /// Whether it is up.
    pub up: bool,
}

/// Remote and local address.
type Question = (IpAddr, Option<IpAddr>);
/// The route, and the neighbour's address if it is known.
type Answer = (Option<RouteAnswer>, Option<MacAddr>);

/// What is known of one tunnel's way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Way {
    answer: Option<RouteAnswer>,
    mac: Option<MacAddr>,
    trouble: Option<String>,
}

/// All tunnels' ways.
#[derive(Default)]
pub struct Underlay {
    tunnels: BTreeMap<PortId, (TunnelConfig, Way)>,
    /// Internal interfaces by kernel index.
    egresses: BTreeMap<u32, Egress>,
    /// Neighbours that the kernel was asked to keep resolved.
    kept: HashSet<(u32, IpAddr)>,
}

/// What to show of a tunnel, in the Interface's `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelStatus {
    /// Keys and values.
    pub pairs: Vec<(&'static str, String)>,
}

impl Underlay {
    /// Adds a tunnel, or changes its settings. Its way is unknown until `refresh`.
    pub fn set(&mut self, port: PortId, config: TunnelConfig) {
        self.tunnels.insert(port, (config, Way::default()));
    }
    /// Forgets a tunnel.
    pub fn remove(&mut self, port: PortId) {
        self.tunnels.remove(&port);
    }
    /// Whether there is nothing to ask for.
    pub fn is_empty(&self) -> bool {
        self.tunnels.is_empty()
    }
    /// The internal interfaces as they are now.
    pub fn set_egresses(&mut self, egresses: BTreeMap<u32, Egress>) {
        self.egresses = egresses;
    }
    /// Asks for all tunnels' ways; returns those whose route changed.
    pub async fn refresh(&mut self, kernel: &Kernel) -> Vec<(PortId, Option<Route>)> {
        let ports: Vec<PortId> = self.tunnels.keys().copied().collect();
        // Many tunnels share their ends: each question is asked once.
        let mut answers: BTreeMap<Question, Answer> = BTreeMap::new();
        let mut changed = Vec::new();
        for port in ports {
            let Some((config, _)) = self.tunnels.get(&port) else {
                continue;
            };
            let question = (config.remote, config.local);
            let (answer, mac) = match answers.get(&question) {
                Some(answer) => *answer,
                None => {
                    let answer = self.ask(kernel, question).await;
                    answers.insert(question, answer);
                    answer
                }
            };
            changed.extend(self.update(port, answer, mac));
        }
        changed
    }
    /// Packets wait for this tunnel: asks for its way again.
    pub async fn resolve(
        &mut self,
        kernel: &Kernel,
        port: PortId,
    ) -> Option<(PortId, Option<Route>)> {
        let (config, way) = self.tunnels.get(&port)?;
        if let Some(answer) = way.answer {
            self.kept.remove(&(answer.ifindex, answer.next_hop));
        }
        let (answer, mac) = self.ask(kernel, (config.remote, config.local)).await;
        self.update(port, answer, mac)
    }
    async fn ask(&mut self, kernel: &Kernel, (remote, local): Question) -> Answer {
        let Some(answer) = kernel.route(remote, local).await else {
            return (None, None);
        };
        if !self.egresses.contains_key(&answer.ifindex) {
            return (Some(answer), None);
        }
        let mac = kernel.neighbour(answer.ifindex, answer.next_hop).await;
        if self.kept.insert((answer.ifindex, answer.next_hop)) {
            kernel.keep_resolved(answer.ifindex, answer.next_hop).await;
        }
        (Some(answer), mac)
    }
    /// A neighbour is known now, or not any more; returns the tunnels whose route changed.
    pub fn neighbour(
        &mut self,
        ifindex: u32,
        ip: IpAddr,
        mac: Option<MacAddr>,
    ) -> Vec<(PortId, Option<Route>)> {
        let is_its = |way: &Way| {
            way.answer
                .is_some_and(|a| (a.ifindex, a.next_hop) == (ifindex, ip))
        };
        let ports = self.tunnels.iter().filter(|(_, (_, way))| is_its(way));
        let ports: Vec<(PortId, Option<RouteAnswer>)> =
            ports.map(|(port, (_, way))| (*port, way.answer)).collect();
        if mac.is_none() {
            self.kept.remove(&(ifindex, ip));
        }
        ports
            .into_iter()
            .filter_map(|(port, answer)| self.update(port, answer, mac))
            .collect()
    }
    fn update(
        &mut self,
        port: PortId,
        answer: Option<RouteAnswer>,
        mac: Option<MacAddr>,
    ) -> Option<(PortId, Option<Route>)> {
        let (config, way) = self.tunnels.get_mut(&port)?;
        let trouble = match answer {
            None => Some(format!("no route to {}", config.remote)),
            Some(answer) => match self.egresses.get(&answer.ifindex) {
                None => Some(format!(
                    "the route to {} leaves by interface {}, which is not an internal interface of a bridge",
                    config.remote, answer.ifindex
                )),
                Some(egress) if !egress.up => Some(format!("{} is down", egress.name)),
                Some(_) if mac.is_none() => {
                    Some(format!("{} does not answer yet", answer.next_hop))
                }
                Some(_) => None,
            },
        };
        let next = Way {
            answer,
            mac,
            trouble,
        };
        if *way == next {
            return None;
        }
        *way = next;
        Some((port, self.route(port)))
    }
    /// The route for the datapath, if everything is known.
    pub fn route(&self, port: PortId) -> Option<Route> {
        let (config, way) = self.tunnels.get(&port)?;
        let answer = way.answer?;
        let egress = self.egresses.get(&answer.ifindex)?;
        Some(Route {
            bridge: egress.bridge,
            source: config.local.or(answer.source)?,
            source_mac: egress.mac,
            next_hop_mac: way.mac?,
            mtu: answer.mtu.unwrap_or(egress.mtu).min(egress.mtu),
        })
    }
    /// What to show.
    pub fn status(&self, port: PortId) -> TunnelStatus {
        let mut pairs = Vec::new();
        let Some((_, way)) = self.tunnels.get(&port) else {
            return TunnelStatus::default();
        };
        if let Some(answer) = way.answer
            && let Some(egress) = self.egresses.get(&answer.ifindex)
        {
            pairs.push(("tunnel_egress_iface", egress.name.clone()));
            pairs.push((
                "tunnel_egress_iface_carrier",
                if egress.up { "up" } else { "down" }.to_owned(),
            ));
            pairs.push(("tunnel_underlay", "native".to_owned()));
        }
        if let Some(route) = self.route(port) {
            pairs.push(("tunnel_local_ip", route.source.to_string()));
            pairs.push(("tunnel_path_mtu", route.mtu.to_string()));
        }
        if let Some(trouble) = &way.trouble {
            pairs.push(("tunnel_trouble", trouble.clone()));
        }
        TunnelStatus { pairs }
    }
}
