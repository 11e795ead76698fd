//! Where tunnel packets go: asks the kernel for the route and the neighbour of each tunnel's remote
//! address, and again when it says that something changed. Knows nothing of frames.

use crate::kernel::{Kernel, Neighbour, NeighbourKey, RouteAnswer};
use datapath::model::tunnel::{Exit, Route, TunnelConfig};
use datapath::model::{BridgeId, PortId};
use packet::MacAddr;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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

/// What is known of one tunnel's way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Way {
    answer: Option<RouteAnswer>,
    mac: Option<MacAddr>,
    trouble: Option<String>,
    /// As the datapath knows it.
    route: Option<Route>,
}

/// All tunnels' ways.
#[derive(Default)]
pub struct Underlay {
    tunnels: BTreeMap<PortId, (TunnelConfig, Way)>,
    /// Tunnels whose way is to be asked for.
    due: BTreeSet<PortId>,
    /// Tunnels whose neighbour the kernel has let go of.
    lost: HashSet<PortId>,
    /// Internal interfaces by kernel index.
    egresses: BTreeMap<u32, Egress>,
    /// Neighbours that the kernel was asked to keep resolved.
    kept: HashSet<NeighbourKey>,
    /// Tunnels went: some of these may not be needed any more.
    is_kept_stale: bool,
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
        self.due.insert(port);
    }
    /// Forgets a tunnel.
    pub fn remove(&mut self, port: PortId) {
        self.is_kept_stale |= self.tunnels.remove(&port).is_some();
    }
    /// Packets wait for this tunnel: its way, and its neighbour, are to be asked for again.
    pub fn resolve(&mut self, port: PortId) {
        if let Some((_, way)) = self.tunnels.get(&port) {
            self.kept
                .retain(|key| Some(*key) != way.answer.map(neighbour_of));
            self.due.insert(port);
        }
    }
    /// All ways are to be asked for again.
    pub fn resolve_all(&mut self) {
        self.due.extend(self.tunnels.keys());
    }
    /// The neighbours that were lost are asked for again. Call it now and then: who flushes the kernel's
    /// table does so until it is empty, and must not meet them again at once.
    pub fn resolve_lost(&mut self) {
        self.due.extend(self.lost.drain());
    }
    /// Whether there is something to ask for.
    pub fn is_due(&self) -> bool {
        !self.due.is_empty() || self.is_kept_stale
    }
    /// The internal interfaces as they are now; says whether that is news.
    pub fn set_egresses(&mut self, egresses: BTreeMap<u32, Egress>) -> bool {
        self.kept
            .retain(|(ifindex, _)| egresses.contains_key(ifindex));
        let is_new = self.egresses != egresses;
        self.egresses = egresses;
        is_new
    }
    /// Asks for the ways that are due; returns the tunnels whose route changed.
    pub async fn refresh(&mut self, kernel: &Kernel) -> Vec<(PortId, Option<Route>)> {
        let due = std::mem::take(&mut self.due);
        // Many tunnels share their ends: each question is asked once, and for neighbours only one.
        let mut answers: HashMap<Question, Option<RouteAnswer>> = HashMap::new();
        let mut neighbours = None;
        let mut changed = Vec::new();
        for port in due {
            let Some((config, way)) = self.tunnels.get(&port) else {
                continue;
            };
            let Some(remote) = config.remote_ip() else {
                continue;
            };
            let question = (remote, config.local_ip());
            let before = way.answer;
            let answer = match answers.get(&question) {
                Some(answer) => *answer,
                None => {
                    let answer = kernel.route(question.0, question.1).await;
                    answers.insert(question, answer);
                    answer
                }
            };
            let by_egress = answer.filter(|a| self.egresses.contains_key(&a.ifindex));
            let mut mac = None;
            if let Some(key) = by_egress.map(neighbour_of) {
                if neighbours.is_none() {
                    neighbours = Some(kernel.neighbours().await);
                }
                let known = neighbours.as_ref().and_then(|all| all.get(&key));
                let known = known.copied().unwrap_or_default();
                mac = known.mac;
                // The kernel would let go of an address that was entered by hand.
                if !known.is_fixed && self.kept.insert(key) {
                    kernel.keep_resolved(key.0, key.1).await;
                }
            }
            self.is_kept_stale |= before != answer;
            changed.extend(self.update(port, answer, mac));
        }
        if std::mem::take(&mut self.is_kept_stale) {
            self.forget_unused(kernel).await;
        }
        changed
    }
    /// Nobody needs the neighbours of tunnels that are gone or go another way.
    async fn forget_unused(&mut self, kernel: &Kernel) {
        let ways = self.tunnels.values();
        let used: HashSet<NeighbourKey> = ways
            .filter_map(|(_, way)| way.answer.map(neighbour_of))
            .collect();
        let unused: Vec<NeighbourKey> = self.kept.extract_if(|key| !used.contains(key)).collect();
        for (ifindex, ip) in unused {
            kernel.forget(ifindex, ip).await;
        }
    }
    /// A neighbour came, changed or went (`None`); returns the tunnels whose route changed.
    pub fn neighbour(
        &mut self,
        key: NeighbourKey,
        neighbour: Option<Neighbour>,
    ) -> Vec<(PortId, Option<Route>)> {
        let is_its = |way: &Way| way.answer.map(neighbour_of) == Some(key);
        let ports = self.tunnels.iter().filter(|(_, (_, way))| is_its(way));
        let ports: Vec<(PortId, Option<RouteAnswer>)> =
            ports.map(|(port, (_, way))| (*port, way.answer)).collect();
        if neighbour.is_none() && self.kept.remove(&key) {
            self.lost.extend(ports.iter().map(|(port, _)| *port));
        }
        let mac = neighbour.and_then(|neighbour| neighbour.mac);
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
        let (config, _) = self.tunnels.get(&port)?;
        let remote = config.remote_ip()?;
        let trouble = match answer {
            None => Some(match config.local_ip() {
                Some(local) => format!("no route to {remote} from {local}"),
                None => format!("no route to {remote}"),
            }),
            Some(answer) => match self.egresses.get(&answer.ifindex) {
                None => Some(format!(
                    "the route to {remote} leaves by interface {}, which is not an internal interface of a bridge",
                    answer.ifindex
                )),
                Some(egress) if !egress.up => Some(format!("{} is down", egress.name)),
                Some(_) if mac.is_none() => {
                    Some(format!("{} does not answer yet", answer.next_hop))
                }
                Some(_) => None,
            },
        };
        let route = self.route(config, answer, mac);
        let (_, way) = self.tunnels.get_mut(&port)?;
        let is_same = way.route == route && way.trouble == trouble;
        *way = Way {
            answer,
            mac,
            trouble,
            route: route.clone(),
        };
        (!is_same).then_some((port, route))
    }
    /// The route for the datapath, if everything is known.
    fn route(
        &self,
        config: &TunnelConfig,
        answer: Option<RouteAnswer>,
        mac: Option<MacAddr>,
    ) -> Option<Route> {
        let answer = answer?;
        let egress = self.egresses.get(&answer.ifindex)?;
        Some(Route {
            exit: Exit::Bridge(egress.bridge),
            source: Some(config.local_ip().or(answer.source)?),
            source_mac: egress.mac,
            next_hop_mac: mac?,
            mtu: answer.mtu.unwrap_or(egress.mtu).min(egress.mtu),
            egress_mtu: egress.mtu,
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
        if let Some(route) = &way.route {
            pairs.extend(
                route
                    .source
                    .map(|source| ("tunnel_local_ip", source.to_string())),
            );
            pairs.push(("tunnel_path_mtu", route.mtu.to_string()));
        }
        if let Some(trouble) = &way.trouble {
            pairs.push(("tunnel_trouble", trouble.clone()));
        }
        TunnelStatus { pairs }
    }
}

/// Whose MAC address a route's packets need.
fn neighbour_of(answer: RouteAnswer) -> NeighbourKey {
    (answer.ifindex, answer.next_hop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datapath::model::tunnel::{Encap, Remote};

    fn underlay() -> (Underlay, PortId, RouteAnswer) {
        let remote = IpAddr::from([10, 0, 0, 2]);
        let vxlan = Encap::Vxlan {
            gbp: false,
            gpe: false,
        };
        let config = TunnelConfig::new(vxlan, Remote::Ip(remote)).with_port(4789);
        let answer = RouteAnswer {
            ifindex: 7,
            next_hop: remote,
            source: Some(IpAddr::from([10, 0, 0, 1])),
            mtu: None,
        };
        let mut underlay = Underlay::default();
        underlay.set(PortId(1), config);
        (underlay, PortId(1), answer)
    }

    fn egress(mtu: u16) -> BTreeMap<u32, Egress> {
        let egress = Egress {
            name: "br0".into(),
            bridge: BridgeId(0),
            mac: MacAddr([2; 6]),
            mtu,
            up: true,
        };
        BTreeMap::from([(7, egress)])
    }

    #[test]
    fn a_route_follows_its_interface() {
        let (mut underlay, port, answer) = underlay();
        let mac = Some(MacAddr([4; 6]));
        assert!(underlay.is_due() && underlay.set_egresses(egress(1500)));
        let mtu = |changed: Option<(PortId, Option<Route>)>| changed?.1.map(|route| route.mtu);
        assert_eq!(mtu(underlay.update(port, Some(answer), mac)), Some(1500));
        assert_eq!(underlay.update(port, Some(answer), mac), None);
        assert!(!underlay.set_egresses(egress(1500)) && underlay.set_egresses(egress(9000)));
        assert_eq!(mtu(underlay.update(port, Some(answer), mac)), Some(9000));
    }

    #[test]
    fn a_lost_neighbour_is_a_lost_route() {
        let (mut underlay, port, answer) = underlay();
        underlay.set_egresses(egress(1500));
        underlay.update(port, Some(answer), Some(MacAddr([4; 6])));
        let lost = underlay.neighbour((7, answer.next_hop), None);
        assert_eq!(lost, [(port, None)]);
        assert!(underlay.neighbour((8, answer.next_hop), None).is_empty());
        let pairs = underlay.status(port).pairs;
        assert!(pairs.iter().any(
            |(key, text)| *key == "tunnel_trouble" && text.contains("10.0.0.2 does not answer")
        ));
    }
}
