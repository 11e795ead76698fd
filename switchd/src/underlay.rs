//! Where tunnel packets go: asks the kernel for the route and the neighbour of each tunnel's remote
//! address, and again when it says that something changed. Knows nothing of frames.
//!
//! A route that leaves by a bridge's internal interface is native: the datapath builds whole frames. One that leaves by any
//! other interface is the kernel's: packets leave and arrive by sockets of the host, which the daemon opens as `wanted` says.

use crate::config::tunnel::TunnelOptions;
use crate::kernel::{Kernel, Link, Neighbour, NeighbourKey, RouteAnswer};
use datapath::model::tunnel::{
    Encap, Ends, Exit, Fragmentation, Remote, Route, TunnelConfig, TunnelKey,
};
use datapath::model::{BridgeId, PortId};
use dpdk::host_socket::Protocol;
use packet::{MacAddr, l2tpv3};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// Remote ends that packets named, at most; those asked for longest ago are forgotten first.
const ENDS_MAX: usize = 4096;

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

/// A link by which tunnels over Ethernet may leave: a port of the switch, a bridge, or a device of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// How.
    pub exit: Exit,
    /// Our address there.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u16,
    /// Whether it is up.
    pub up: bool,
}

/// Whose way it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A tunnel's.
    Port(PortId),
    /// That of packets which name their ends.
    Ends(Ends),
}

/// Sockets of the host that tunnels need.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// Those that send, whatever it is.
    Sender,
    /// Those that receive a protocol.
    Listener(Protocol),
    /// A packet socket at this device.
    Link(String),
}

/// A tunnel, or a pair of ends.
#[derive(Clone, Debug)]
enum Target {
    /// To a host.
    Ip {
        remote: IpAddr,
        local: Option<IpAddr>,
        /// By what its packets arrive; not for ends, whose tunnels have it.
        protocol: Option<Protocol>,
    },
    /// To a station on a link.
    Link { via: String, mac: MacAddr },
    /// Each packet says.
    Flow(Protocol),
}

/// Remote and local address.
type Question = (IpAddr, Option<IpAddr>);

impl Target {
    fn question(&self) -> Option<Question> {
        match self {
            Target::Ip { remote, local, .. } => Some((*remote, *local)),
            _ => None,
        }
    }
}

/// What is known of one tunnel's way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Way {
    answer: Option<RouteAnswer>,
    mac: Option<MacAddr>,
    trouble: Option<String>,
    /// As the datapath knows it.
    route: Option<Route>,
}

struct Tunnel {
    /// Not of ends.
    config: Option<TunnelConfig>,
    target: Target,
    way: Way,
    /// When it was last asked for, in questions.
    asked: u64,
    /// Nobody was told of its way.
    is_new: bool,
}

/// Ways that changed.
pub type Changed = Vec<(Who, Option<Route>)>;

/// All tunnels' ways.
#[derive(Default)]
pub struct Underlay {
    tunnels: BTreeMap<Who, Tunnel>,
    /// Tunnels whose way is to be asked for.
    due: BTreeSet<Who>,
    /// Tunnels whose neighbour the kernel has let go of.
    lost: HashSet<Who>,
    /// Internal interfaces by kernel index.
    egresses: BTreeMap<u32, Egress>,
    /// Other interfaces that routes leave by.
    links: BTreeMap<u32, Link>,
    /// The switch's own ports and bridges.
    vias: BTreeMap<String, Via>,
    /// The host's sockets that are open (the number that the switch gave them, and for a link what it is), or why not.
    hosts: BTreeMap<Host, Result<Via, String>>,
    /// Neighbours that the kernel was asked to keep resolved.
    kept: HashSet<NeighbourKey>,
    /// Tunnels went: neighbours and sockets may not be needed any more.
    is_stale: bool,
    /// Ends that were forgotten, and not said to be.
    forgotten: Vec<Ends>,
    questions: u64,
}

/// What to show of a tunnel, in the Interface's `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelStatus {
    /// Keys and values.
    pub pairs: Vec<(&'static str, String)>,
}

impl Underlay {
    /// Adds a tunnel, or changes its settings. Its way is unknown until `refresh`.
    pub fn set(&mut self, port: PortId, options: &TunnelOptions) {
        let config = &options.config;
        let protocol = protocol(config);
        let target = match config.remote {
            Remote::Ip(remote) => Target::Ip {
                remote,
                local: config.local_ip(),
                protocol: Some(protocol),
            },
            Remote::Link(mac) => Target::Link {
                via: options.via.clone().unwrap_or_default(),
                mac,
            },
            Remote::Flow => Target::Flow(protocol),
        };
        let tunnel = Tunnel {
            config: Some(config.clone()),
            target,
            way: Way::default(),
            asked: 0,
            is_new: true,
        };
        self.is_stale |= self.tunnels.insert(Who::Port(port), tunnel).is_some();
        self.due.insert(Who::Port(port));
    }
    /// Forgets a tunnel.
    pub fn remove(&mut self, port: PortId) {
        self.is_stale |= self.tunnels.remove(&Who::Port(port)).is_some();
    }
    /// Packets wait for this tunnel: its way, and its neighbour, are to be asked for again.
    pub fn resolve(&mut self, port: PortId, ends: Option<Ends>) {
        let is_flow = |tunnel: &Tunnel| matches!(tunnel.target, Target::Flow(_));
        let who = match ends {
            None => Who::Port(port),
            // The tunnel may have gone, or become another one, since the packet asked.
            Some(_) if !self.tunnels.get(&Who::Port(port)).is_some_and(is_flow) => return,
            Some(ends) => self.note_ends(ends),
        };
        if let Some(tunnel) = self.tunnels.get(&who) {
            self.kept
                .retain(|key| Some(*key) != tunnel.way.answer.map(neighbour_of));
            self.due.insert(who);
        }
    }
    /// Packets name these ends: remembers them, instead of others if there are too many.
    fn note_ends(&mut self, ends: Ends) -> Who {
        let who = Who::Ends(ends);
        self.questions += 1;
        let asked = self.questions;
        if let Some(tunnel) = self.tunnels.get_mut(&who) {
            tunnel.asked = asked;
            return who;
        }
        let known = self.tunnels.range(Who::Ends(FIRST_ENDS)..);
        let known = known.map(|(who, tunnel)| (tunnel.asked, *who));
        let (len, oldest) = known.fold((0, None), |(len, oldest), one| {
            (len + 1, oldest.map_or(Some(one), |o| Some(one.min(o))))
        });
        if len >= ENDS_MAX
            && let Some((_, Who::Ends(oldest))) = oldest
        {
            self.forget_ends(oldest);
        }
        // Forgotten a moment ago: it must not be said after their new way.
        self.forgotten.retain(|forgotten| *forgotten != ends);
        let (remote, local) = ends;
        let target = Target::Ip {
            remote,
            local,
            protocol: None,
        };
        let tunnel = Tunnel {
            config: None,
            target,
            way: Way::default(),
            asked,
            is_new: true,
        };
        self.tunnels.insert(who, tunnel);
        who
    }
    fn forget_ends(&mut self, ends: Ends) {
        self.tunnels.remove(&Who::Ends(ends));
        self.forgotten.push(ends);
        self.is_stale = true;
    }
    /// All ways are to be asked for again.
    pub fn resolve_all(&mut self) {
        self.due.extend(self.tunnels.keys());
    }
    /// The ways to this address are to be asked for again: its path's MTU changed.
    pub fn resolve_remote(&mut self, ip: IpAddr) {
        let tunnels = self.tunnels.iter();
        let its = tunnels.filter(|(_, t)| t.target.question().is_some_and(|(r, _)| r == ip));
        self.due.extend(its.map(|(who, _)| *who));
    }
    /// The ways whose MTU is not the interface's are to be asked for again: what the kernel has learnt expires, of which it does
    /// not tell.
    pub fn resolve_learnt(&mut self) {
        let tunnels = self.tunnels.iter();
        let its = tunnels.filter(|(_, t)| t.way.answer.is_some_and(|a| a.mtu.is_some()));
        self.due.extend(its.map(|(who, _)| *who));
    }
    /// The neighbours that were lost are asked for again. Call it now and then: who flushes the kernel's
    /// table does so until it is empty, and must not meet them again at once.
    pub fn resolve_lost(&mut self) {
        self.due.extend(self.lost.drain());
    }
    /// Whether there is something to ask for.
    pub fn is_due(&self) -> bool {
        !self.due.is_empty() || self.is_stale
    }
    /// The internal interfaces as they are now; says whether that is news.
    pub fn set_egresses(&mut self, egresses: BTreeMap<u32, Egress>) -> bool {
        self.kept
            .retain(|(ifindex, _)| egresses.contains_key(ifindex));
        let is_new = self.egresses != egresses;
        self.egresses = egresses;
        is_new
    }
    /// The switch's ports and bridges as they are now, by name.
    pub fn set_vias(&mut self, vias: BTreeMap<String, Via>) {
        if self.vias == vias {
            return;
        }
        let taken = |links: &BTreeMap<u32, Link>, vias: &BTreeMap<String, Via>| -> Vec<bool> {
            let names = links.values().map(|link| vias.contains_key(&link.name));
            names.collect()
        };
        let is_taken_anew = taken(&self.links, &self.vias) != taken(&self.links, &vias);
        self.vias = vias;
        let tunnels = self.tunnels.iter();
        let affected = tunnels.filter(|(_, tunnel)| match tunnel.target {
            Target::Link { .. } => true,
            _ => is_taken_anew && tunnel.way.answer.is_some(),
        });
        self.due.extend(affected.map(|(who, _)| *who));
    }
    /// Sockets of the host were opened, could not be, or were closed (`None`); says whether that is news.
    pub fn set_host(&mut self, host: Host, state: Option<Result<Via, String>>) -> bool {
        let before = match &state {
            Some(state) => self.hosts.insert(host, state.clone()),
            None => self.hosts.remove(&host),
        };
        before != state
    }
    /// The IP protocols of the tunnels' packets.
    pub fn protocols(&self) -> BTreeSet<u8> {
        let protocols = self.tunnels.values().filter_map(|t| match &t.target {
            Target::Ip { protocol, .. } => *protocol,
            Target::Flow(protocol) => Some(*protocol),
            Target::Link { .. } => None,
        });
        protocols.map(Protocol::number).collect()
    }
    /// The sockets of the host that the tunnels need now.
    pub fn wanted(&self) -> BTreeSet<Host> {
        let mut wanted = BTreeSet::new();
        for tunnel in self.tunnels.values() {
            // Without a route nothing is opened, and nothing closed: it may be back soon.
            let (by_kernel, is_open) = match tunnel.way.answer {
                Some(answer) => (!self.egresses.contains_key(&answer.ifindex), false),
                None => (false, true),
            };
            let needs = |host: &Host| by_kernel || is_open && self.hosts.contains_key(host);
            match &tunnel.target {
                Target::Ip { protocol, .. } => {
                    let listener = protocol.map(Host::Listener);
                    wanted.extend(
                        [Some(Host::Sender), listener]
                            .into_iter()
                            .flatten()
                            .filter(needs),
                    );
                }
                Target::Flow(protocol) => {
                    wanted.insert(Host::Listener(*protocol));
                }
                Target::Link { via, .. } if self.vias.contains_key(via) => {}
                Target::Link { via, .. } => {
                    wanted.insert(Host::Link(via.clone()));
                }
            }
        }
        wanted
    }
    /// Asks for the ways that are due; returns the tunnels whose route changed.
    pub async fn refresh(&mut self, kernel: &Kernel) -> Changed {
        let due = std::mem::take(&mut self.due);
        // Many tunnels share their ends: each question is asked once, and for neighbours only one.
        let mut answers: HashMap<Question, Option<RouteAnswer>> = HashMap::new();
        let mut links: HashSet<u32> = HashSet::new();
        let mut neighbours = None;
        let mut changed = Vec::new();
        for who in due {
            let Some(tunnel) = self.tunnels.get(&who) else {
                continue;
            };
            let before = tunnel.way.answer;
            let Some(question) = tunnel.target.question() else {
                changed.extend(self.update(who, None, None));
                continue;
            };
            let answer = match answers.get(&question) {
                Some(answer) => *answer,
                None => {
                    let answer = kernel.route(question.0, question.1).await;
                    answers.insert(question, answer);
                    answer
                }
            };
            let by_egress = |answer: &RouteAnswer| self.egresses.contains_key(&answer.ifindex);
            let by_egress = answer.filter(|answer| !answer.is_ours && by_egress(answer));
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
            } else if let Some(ifindex) = answer.map(|answer| answer.ifindex)
                && links.insert(ifindex)
            {
                match kernel.link(ifindex).await {
                    Some(link) => self.links.insert(ifindex, link),
                    None => self.links.remove(&ifindex),
                };
            }
            self.is_stale |= before != answer;
            changed.extend(self.update(who, answer, mac));
        }
        if std::mem::take(&mut self.is_stale) {
            self.forget_unused(kernel).await;
        }
        let forgotten = self.forgotten.drain(..);
        changed.extend(forgotten.map(|ends| (Who::Ends(ends), None)));
        changed
    }
    /// Nobody needs the neighbours of tunnels that are gone or go another way, and without tunnels that take ends from packets
    /// nobody needs those.
    async fn forget_unused(&mut self, kernel: &Kernel) {
        let is_flow = |tunnel: &Tunnel| matches!(tunnel.target, Target::Flow(_));
        if !self.tunnels.values().any(is_flow) {
            let ends = self
                .tunnels
                .extract_if(Who::Ends(FIRST_ENDS).., |_, _| true);
            let ends = ends.filter_map(|(who, _)| match who {
                Who::Ends(ends) => Some(ends),
                Who::Port(_) => None,
            });
            self.forgotten.extend(ends);
        }
        let tunnels = self.tunnels.values();
        let answers: Vec<RouteAnswer> = tunnels.filter_map(|tunnel| tunnel.way.answer).collect();
        let used: HashSet<NeighbourKey> = answers.iter().copied().map(neighbour_of).collect();
        self.links
            .retain(|ifindex, _| answers.iter().any(|answer| answer.ifindex == *ifindex));
        let unused: Vec<NeighbourKey> = self.kept.extract_if(|key| !used.contains(key)).collect();
        for (ifindex, ip) in unused {
            kernel.forget(ifindex, ip).await;
        }
    }
    /// A neighbour came, changed or went (`None`); returns the tunnels whose route changed.
    pub fn neighbour(&mut self, key: NeighbourKey, neighbour: Option<Neighbour>) -> Changed {
        let is_its = |tunnel: &Tunnel| tunnel.way.answer.map(neighbour_of) == Some(key);
        let its = self.tunnels.iter().filter(|(_, tunnel)| is_its(tunnel));
        let its: Vec<(Who, Option<RouteAnswer>)> =
            its.map(|(who, tunnel)| (*who, tunnel.way.answer)).collect();
        if neighbour.is_none() && self.kept.remove(&key) {
            self.lost.extend(its.iter().map(|(who, _)| *who));
        }
        let mac = neighbour.and_then(|neighbour| neighbour.mac);
        its.into_iter()
            .filter_map(|(who, answer)| self.update(who, answer, mac))
            .collect()
    }
    /// After `set_vias` or `set_host`: returns the tunnels whose route changed.
    pub fn reconsider(&mut self) -> Changed {
        let all: Vec<(Who, Way)> = self
            .tunnels
            .iter()
            .map(|(who, tunnel)| (*who, tunnel.way.clone()))
            .collect();
        all.into_iter()
            .filter_map(|(who, way)| self.update(who, way.answer, way.mac))
            .collect()
    }
    fn update(
        &mut self,
        who: Who,
        answer: Option<RouteAnswer>,
        mac: Option<MacAddr>,
    ) -> Option<(Who, Option<Route>)> {
        let tunnel = self.tunnels.get(&who)?;
        let (route, trouble) = match &tunnel.target {
            Target::Ip {
                remote,
                local,
                protocol,
            } => self.judge((*remote, *local), *protocol, answer, mac),
            Target::Link { via, mac } => self.judge_link(via, *mac),
            Target::Flow(protocol) => (None, self.trouble_of(&Host::Listener(*protocol))),
        };
        let tunnel = self.tunnels.get_mut(&who)?;
        let is_new = std::mem::take(&mut tunnel.is_new);
        let is_same = !is_new && tunnel.way.route == route && tunnel.way.trouble == trouble;
        tunnel.way = Way {
            answer,
            mac,
            trouble,
            route: route.clone(),
        };
        (!is_same).then_some((who, route))
    }
    /// The route for the datapath, if everything is known, and what is wrong.
    fn judge(
        &self,
        (remote, local): Question,
        protocol: Option<Protocol>,
        answer: Option<RouteAnswer>,
        mac: Option<MacAddr>,
    ) -> (Option<Route>, Option<String>) {
        let Some(answer) = answer else {
            let from = local.map(|local| format!(" from {local}"));
            let text = format!("no route to {remote}{}", from.unwrap_or_default());
            return (None, Some(text));
        };
        if answer.is_ours {
            return (None, Some(format!("{remote} is an address of this host")));
        }
        let Some(source) = local.or(answer.source) else {
            let text = format!("no address of ours to reach {remote} from");
            return (None, Some(text));
        };
        let foreign = format!("local_ip {source} is not an address of this host");
        let foreign = answer.is_foreign.then_some(foreign);
        let route = |exit, ours, next_hop_mac, mtu: u16| Route {
            exit,
            source: Some(source),
            source_mac: ours,
            next_hop_mac,
            mtu: answer.mtu.unwrap_or(mtu).min(mtu),
            egress_mtu: mtu,
        };
        if let Some(egress) = self.egresses.get(&answer.ifindex) {
            let trouble = match mac {
                _ if !egress.up => Some(format!("{} is down", egress.name)),
                None => Some(format!("{} does not answer yet", answer.next_hop)),
                Some(_) => foreign,
            };
            let exit = Exit::Bridge(egress.bridge);
            let route = mac.map(|mac| route(exit, egress.mac, mac, egress.mtu));
            return (route, trouble);
        }
        let (exit, link) = match self.kernel_exit(remote, protocol, answer.ifindex) {
            Ok(found) => found,
            Err(trouble) => return (None, trouble),
        };
        let is_port = |via: &Via| matches!(via.exit, Exit::Port(_));
        let trouble = match self.vias.get(&link.name) {
            // Sent packets would leave, but the host gets none of what such a port receives.
            Some(via) if is_port(via) => Some(format!(
                "the route to {remote} leaves by {}, which is a port of a bridge: addresses and routes belong to the bridge's own interface",
                link.name
            )),
            _ if !link.up => Some(format!("{} is down", link.name)),
            _ => foreign,
        };
        let zero = MacAddr::ZERO;
        (Some(route(exit, zero, zero, link.mtu)), trouble)
    }
    /// The sockets that send by one of the kernel's interfaces; if they cannot, what is wrong, as far as it is known.
    fn kernel_exit(
        &self,
        remote: IpAddr,
        protocol: Option<Protocol>,
        ifindex: u32,
    ) -> Result<(Exit, &Link), Option<String>> {
        if let IpAddr::V6(ip) = remote
            && ip.is_unicast_link_local()
        {
            // Sockets would have to say by which interface, which is not said to them.
            let text = format!(
                "{remote} is a link-local address: tunnels to those leave by a bridge's own interface only"
            );
            return Err(Some(text));
        }
        let Some(link) = self.links.get(&ifindex) else {
            let text = format!("the route to {remote} leaves by a device that is gone");
            return Err(Some(text));
        };
        let listener = protocol.and_then(|protocol| self.trouble_of(&Host::Listener(protocol)));
        if let Some(trouble) = listener.or_else(|| self.trouble_of(&Host::Sender)) {
            return Err(Some(trouble));
        }
        match self.hosts.get(&Host::Sender) {
            Some(Ok(sender)) => Ok((sender.exit, link)),
            _ => Err(None),
        }
    }
    fn judge_link(&self, via: &str, mac: MacAddr) -> (Option<Route>, Option<String>) {
        let host = Host::Link(via.to_owned());
        let link = match (self.vias.get(via), self.hosts.get(&host)) {
            (Some(link), _) | (None, Some(Ok(link))) => link,
            (None, Some(Err(error))) => return (None, Some(error.clone())),
            (None, None) => return (None, None),
        };
        let trouble = (!link.up).then(|| format!("{via} is down"));
        let route = Route {
            exit: link.exit,
            source: None,
            source_mac: link.mac,
            next_hop_mac: mac,
            mtu: link.mtu,
            egress_mtu: link.mtu,
        };
        (Some(route), trouble)
    }
    /// Why sockets of the host are not open.
    fn trouble_of(&self, host: &Host) -> Option<String> {
        self.hosts.get(host)?.as_ref().err().cloned()
    }
    /// What keeps a tunnel from working that only the operator can mend: a port that is taken, a device that is missing.
    pub fn error(&self, port: PortId) -> Option<String> {
        let tunnel = self.tunnels.get(&Who::Port(port))?;
        let host = match &tunnel.target {
            Target::Ip { protocol, .. } => {
                let answer = tunnel.way.answer?;
                let by_kernel = !self.egresses.contains_key(&answer.ifindex);
                Host::Listener((*protocol).filter(|_| by_kernel)?)
            }
            Target::Flow(protocol) => Host::Listener(*protocol),
            Target::Link { via, .. } => Host::Link(via.clone()),
        };
        self.trouble_of(&host)
    }
    /// The interface by which a tunnel's packets leave, whether it is up, and the word for the underlay.
    fn leaves_by<'a>(&'a self, tunnel: &'a Tunnel) -> Option<(&'a str, bool, &'static str)> {
        if let Target::Link { via, .. } = &tunnel.target {
            let host = self.hosts.get(&Host::Link(via.clone()));
            let (link, word) = match (self.vias.get(via), host) {
                (Some(link), _) => (link, "native"),
                (None, host) => (host?.as_ref().ok()?, "kernel"),
            };
            return Some((via, link.up, word));
        }
        let answer = tunnel.way.answer.filter(|answer| !answer.is_ours);
        let ifindex = answer?.ifindex;
        if let Some(egress) = self.egresses.get(&ifindex) {
            return Some((&egress.name, egress.up, "native"));
        }
        let link = self.links.get(&ifindex)?;
        Some((&link.name, link.up, "kernel"))
    }
    /// What to show.
    pub fn status(&self, port: PortId) -> TunnelStatus {
        let tunnel = self.tunnels.get(&Who::Port(port));
        tunnel.map_or_else(TunnelStatus::default, |tunnel| self.status_of(tunnel))
    }
    /// The same of the ends that packets named.
    pub fn ends(&self) -> impl Iterator<Item = (Ends, TunnelStatus)> {
        self.tunnels.iter().filter_map(|(who, tunnel)| match who {
            Who::Ends(ends) => Some((*ends, self.status_of(tunnel))),
            Who::Port(_) => None,
        })
    }
    fn status_of(&self, tunnel: &Tunnel) -> TunnelStatus {
        let mut pairs = Vec::new();
        if let Some((name, up, underlay)) = self.leaves_by(tunnel) {
            let carrier = if up { "up" } else { "down" };
            pairs.push(("tunnel_egress_iface", name.to_owned()));
            pairs.push(("tunnel_egress_iface_carrier", carrier.to_owned()));
            pairs.push(("tunnel_underlay", underlay.to_owned()));
        }
        if let Some(route) = &tunnel.way.route {
            let source = route.source.map(|source| source.to_string());
            pairs.push(match source {
                Some(source) => ("tunnel_local_ip", source),
                None => ("tunnel_local_mac", route.source_mac.to_string()),
            });
            pairs.push(("tunnel_path_mtu", route.mtu.to_string()));
            let fragments = tunnel.config.as_ref().map(|config| {
                let is_split = fragments(config, route);
                if is_split { "yes" } else { "no" }.to_owned()
            });
            pairs.extend(fragments.map(|word| ("tunnel_fragments", word)));
        }
        if let Some(trouble) = &tunnel.way.trouble {
            pairs.push(("tunnel_trouble", trouble.clone()));
        }
        TunnelStatus { pairs }
    }
}

/// The least in their order.
const FIRST_ENDS: Ends = (IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), None);

/// By what a tunnel's packets arrive.
fn protocol(config: &TunnelConfig) -> Protocol {
    match &config.encap {
        Encap::Vxlan { .. } | Encap::Geneve => Protocol::Udp(config.local_port),
        Encap::Gre { .. } => Protocol::Gre,
        Encap::L2tpv3(session) => match session.over {
            l2tpv3::Encap::Udp => Protocol::Udp(config.local_port),
            l2tpv3::Encap::Ip => Protocol::L2tp,
        },
        Encap::Gpw { .. } => Protocol::Gpw,
    }
}

/// Bytes in front of a frame inside a tunnel, but for the link's header.
fn overhead(config: &TunnelConfig, is_v6: bool) -> usize {
    const UDP: usize = 8;
    let ip = if is_v6 { 40 } else { 20 };
    match &config.encap {
        Encap::Vxlan { .. } | Encap::Geneve => ip + UDP + 8,
        Encap::Gre { sequence } => {
            let words = [config.csum, config.out_key != TunnelKey::None, *sequence];
            ip + 4 + 4 * words.iter().filter(|is_there| **is_there).count()
        }
        Encap::L2tpv3(session) => {
            let before = match session.over {
                l2tpv3::Encap::Udp => UDP + 4,
                l2tpv3::Encap::Ip => 0,
            };
            let sublayer = match session.sublayer {
                l2tpv3::Sublayer::None => 0,
                l2tpv3::Sublayer::Default => 4,
            };
            ip + before + 4 + session.cookie.as_bytes().len() + sublayer
        }
        Encap::Gpw { .. } if config.remote_ip().is_none() => packet::gpw::SIZE,
        Encap::Gpw { .. } => ip + packet::gpw::SIZE,
    }
}

/// Whether a full-size frame inside is split.
fn fragments(config: &TunnelConfig, route: &Route) -> bool {
    /// Ethernet with an MTU of 1500.
    const FULL_SIZE: usize = 1514;
    let is_v6 = route.source.is_some_and(|source| source.is_ipv6());
    let limit = match config.fragmentation {
        Fragmentation::Never => return false,
        Fragmentation::Auto => route.mtu,
        Fragmentation::Always if is_v6 => 1280,
        Fragmentation::Always => route.egress_mtu,
        Fragmentation::Mtu(mtu) => mtu.min(route.mtu),
    };
    FULL_SIZE + overhead(config, is_v6) > limit.into()
}

/// Whose MAC address a route's packets need.
fn neighbour_of(answer: RouteAnswer) -> NeighbourKey {
    (answer.ifindex, answer.next_hop)
}

#[cfg(test)]
mod tests;
