//! The whole switch at one moment, as the workers read it; and the changes that lead to the next one.

use super::classifier::Classifier;
use super::group::GroupView;
use super::id::{BridgeId, PortId};
use super::learnt::Limits;
use super::mac::MacTable;
use super::meter::MeterView;
use super::plan::Plan;
use super::port::{PortKind, PortView};
use super::recent::Recent;
use super::reserved;
use super::rule::Rule;
use super::tlv::TlvMap;
use super::tunnel::{Ends, Exit, Remote, Route, Tunnel, TunnelMap};
use crate::fragment::Secret;
use ofp::key::{Match, word};
use ofp::types::{GroupId, MeterId, PortNo, TableId};
use packet::MacAddr;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What happens to packets that no rule of a table matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Miss {
    /// Dropped (OpenFlow 1.3 and later).
    #[default]
    Drop,
    /// Sent to the controllers (OpenFlow 1.0).
    Controller,
    /// Looked up in the next table (OFPTC_TABLE_MISS_CONTINUE, OpenFlow 1.1 and 1.2).
    Continue,
}

/// What is set for a bridge as a whole.
#[derive(Clone)]
pub struct BridgeConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Its LOCAL port's address.
    pub mac: MacAddr,
    /// Where packets start: table 0, or the switch's own table 254 while it forwards on its own.
    pub first_table: TableId,
    /// Where packets that are output to a port go before they leave (OpenFlow 1.5.1 section 5.1.4); `None`: nowhere.
    pub first_egress: Option<TableId>,
    /// Which Geneve options the fields `tun_metadata<N>` are.
    pub tlvs: Option<Arc<TlvMap>>,
    /// For every table that `misses` does not name.
    pub miss: Miss,
    /// What controllers of 1.1 and 1.2 said of single tables.
    pub misses: BTreeMap<TableId, Miss>,
    /// Bytes of a missed packet that controllers get.
    pub miss_send_len: u16,
    /// OFPC_FRAG_*: 0 normal, 1 drop, 2 reassemble, 3 nx-match.
    pub frag: u8,
    /// What NORMAL does with reserved destinations.
    pub reserved: reserved::Policy,
    /// Learnt addresses.
    pub macs: Arc<MacTable>,
}

impl BridgeConfig {
    /// What becomes of packets that no rule of a table matches.
    pub fn miss_of(&self, table: TableId) -> Miss {
        self.misses.get(&table).copied().unwrap_or(self.miss)
    }
}

/// A table of a bridge.
#[derive(Clone, Debug)]
pub struct TableView {
    /// Its rules.
    pub rules: Classifier,
    /// Changes with every change of the rules: a cached answer is good while this is the same, or what changed since is
    /// about other packets.
    pub generation: u64,
    /// The last changes of the rules.
    pub recent: Recent,
}

impl TableView {
    fn new(secret: Secret) -> TableView {
        TableView {
            rules: Classifier::new(secret),
            generation: 0,
            recent: Recent::default(),
        }
    }
    fn changed(&mut self, rule: &Rule, generation: u64) {
        self.generation = generation;
        self.recent.note(rule, generation);
    }
}

/// A bridge.
#[derive(Clone)]
pub struct BridgeView {
    /// Settings.
    pub config: Arc<BridgeConfig>,
    /// 255 tables; number 254 is the switch's own.
    pub tables: Box<[TableView]>,
    /// What has to be extracted from its packets.
    pub plan: Plan,
    /// Groups, each with a number that changes when the group does.
    pub groups: FxHashMap<GroupId, (u64, Arc<GroupView>)>,
    /// Meters.
    pub meters: FxHashMap<MeterId, Arc<MeterView>>,
    /// How many flows there are of those that `learn` actions limit.
    pub limits: Limits,
    /// Ports by number.
    pub ports: FxHashMap<PortNo, PortId>,
    /// Ports in the order of their numbers.
    pub members: Vec<PortId>,
    /// The interface named as the bridge.
    pub local: Option<PortId>,
    /// Changes with every change of ports or settings.
    pub generation: u64,
}

/// The whole switch.
#[derive(Clone)]
pub struct Snapshot {
    /// What the hashes of its rules and of what packets teach are made with.
    secret: Secret,
    /// Counts the published states.
    pub version: u64,
    /// By [`BridgeId`].
    pub bridges: Vec<Option<BridgeView>>,
    /// By [`PortId`].
    pub ports: Vec<Option<Arc<PortView>>>,
    /// By what received tunnel packets say.
    pub tunnels: TunnelMap,
    /// The host's addresses on a bridge's internal interfaces: tunnel packets to these are ours.
    pub addresses: FxHashSet<(BridgeId, IpAddr)>,
    /// Ways to the remote ends that packets name themselves (`remote_ip=flow`).
    pub routes: FxHashMap<Ends, Arc<Route>>,
    /// Ports by which pseudowires over Ethernet leave, with the number of these: their packets are taken out of what the port
    /// receives.
    pub links: FxHashMap<PortId, usize>,
    generation: u64,
}

/// One step from a snapshot to the next.
#[derive(Clone)]
pub enum Change {
    /// Adds a bridge or changes its settings.
    SetBridge(BridgeId, Arc<BridgeConfig>),
    /// Removes a bridge with its rules; its ports were removed before.
    RemoveBridge(BridgeId),
    /// Adds a port or changes its settings.
    SetPort(Arc<PortView>),
    /// Removes a port.
    RemovePort(PortId),
    /// Adds a rule, or replaces the one with the same table, match and priority.
    AddRule(BridgeId, Arc<Rule>),
    /// Removes a rule.
    RemoveRule(BridgeId, Arc<Rule>),
    /// Adds a group or replaces it.
    SetGroup(BridgeId, Arc<GroupView>),
    /// Removes a group; no rule refers to it any more.
    RemoveGroup(BridgeId, GroupId),
    /// Adds a meter or replaces it.
    SetMeter(BridgeId, Arc<MeterView>),
    /// Removes a meter; no rule refers to it any more.
    RemoveMeter(BridgeId, MeterId),
    /// The host's addresses on a bridge's internal interfaces.
    SetAddresses(BridgeId, Arc<[IpAddr]>),
    /// The way between two ends; `None`: forget it.
    SetRoute(Ends, Option<Arc<Route>>),
}

impl BridgeView {
    /// The rule with real places instead of those of `tun_metadata<N>`. `None`: a field is not mapped.
    fn real(&self, rule: &Arc<Rule>) -> Option<Arc<Rule>> {
        let last = rule.matching.words().last();
        if last.is_none_or(|last| usize::from(last.index) < word::VIRTUAL) {
            return Some(rule.clone());
        }
        let matching = self.config.tlvs.as_ref()?.translate(&rule.matching)?;
        let rule = rule.as_ref().clone();
        Some(Arc::new(Rule { matching, ..rule }))
    }
    /// Whether a table has a rule with this match and priority.
    pub fn has_rule(&self, table: TableId, matching: &Match, priority: u16) -> bool {
        let Some(table) = self.tables.get(usize::from(table.0)) else {
            return false;
        };
        match &self.config.tlvs {
            None => table.rules.has(matching, priority),
            Some(map) => map
                .translate(matching)
                .is_some_and(|matching| table.rules.has(&matching, priority)),
        }
    }
    fn add_rule(&mut self, rule: &Arc<Rule>, generation: u64) {
        let Some(rule) = &self.real(rule) else {
            return;
        };
        let Some(table) = self.tables.get_mut(usize::from(rule.table.0)) else {
            return;
        };
        // First added: what both rules look at does not go in between.
        self.plan.add(rule, generation);
        if let Some(old) = table.rules.remove(rule) {
            self.plan.remove(&old, generation);
            self.limits.remove(&old);
        }
        table.rules.insert(rule.clone());
        table.changed(rule, generation);
        let tables = &self.tables;
        self.limits.add(rule, |table, cookie| {
            let table = tables.get(usize::from(table.0));
            let rules = table.into_iter().flat_map(|table| table.rules.iter());
            rules.filter(|rule| rule.cookie == cookie).count()
        });
    }
    fn remove_rule(&mut self, rule: &Arc<Rule>, generation: u64) {
        let Some(rule) = &self.real(rule) else {
            return;
        };
        let Some(table) = self.tables.get_mut(usize::from(rule.table.0)) else {
            return;
        };
        if let Some(old) = table.rules.remove(rule) {
            self.plan.remove(&old, generation);
            self.limits.remove(&old);
            table.changed(rule, generation);
        }
    }
    /// Changes when the group does; 0: there is none.
    pub fn group_generation(&self, group: GroupId) -> u64 {
        self.groups
            .get(&group)
            .map_or(0, |(generation, _)| *generation)
    }
}

impl Snapshot {
    /// A switch without anything, whose hashes are this secret's.
    pub fn new(secret: Secret) -> Snapshot {
        Snapshot {
            secret,
            version: 0,
            bridges: Vec::new(),
            ports: Vec::new(),
            tunnels: TunnelMap::default(),
            addresses: FxHashSet::default(),
            routes: FxHashMap::default(),
            links: FxHashMap::default(),
            generation: 0,
        }
    }
    /// A bridge.
    #[inline]
    pub fn bridge(&self, id: BridgeId) -> Option<&BridgeView> {
        self.bridges.get(usize::from(id.0))?.as_ref()
    }
    /// A port.
    #[inline]
    pub fn port(&self, id: PortId) -> Option<&Arc<PortView>> {
        self.ports.get(id.0 as usize)?.as_ref()
    }
    /// A bridge's port by number.
    #[inline]
    pub fn port_by_number(&self, bridge: BridgeId, number: PortNo) -> Option<&Arc<PortView>> {
        self.port(*self.bridge(bridge)?.ports.get(&number)?)
    }
    /// Its last change. Whatever has a smaller number, or the same one, was there then.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation
    }
    fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }
    /// Takes one step. Steps for what does not exist have no effect.
    pub fn apply(&mut self, change: &Change) {
        let generation = self.next_generation();
        match change {
            Change::SetBridge(id, config) => self.set_bridge(*id, config, generation),
            Change::RemoveBridge(id) => {
                if let Some(bridge) = self.bridges.get_mut(usize::from(id.0)) {
                    *bridge = None;
                }
                self.addresses.retain(|(bridge, _)| bridge != id);
            }
            Change::SetPort(port) => {
                self.remove_port(port.id, generation);
                self.add_port(port, generation);
            }
            Change::RemovePort(id) => self.remove_port(*id, generation),
            Change::AddRule(id, rule) => {
                if let Some(bridge) = self.bridge_mut(*id) {
                    bridge.add_rule(rule, generation);
                }
            }
            Change::RemoveRule(id, rule) => {
                if let Some(bridge) = self.bridge_mut(*id) {
                    bridge.remove_rule(rule, generation);
                }
            }
            Change::SetGroup(id, group) => {
                if let Some(bridge) = self.bridge_mut(*id) {
                    bridge.plan.add_group(group, generation);
                    let entry = (generation, group.clone());
                    if let Some((_, old)) = bridge.groups.insert(group.id, entry) {
                        bridge.plan.remove_group(&old, generation);
                    }
                }
            }
            Change::RemoveGroup(id, group) => {
                if let Some(bridge) = self.bridge_mut(*id)
                    && let Some((_, old)) = bridge.groups.remove(group)
                {
                    bridge.plan.remove_group(&old, generation);
                }
            }
            Change::SetMeter(id, meter) => {
                if let Some(bridge) = self.bridge_mut(*id) {
                    bridge.meters.insert(meter.config.meter, meter.clone());
                    bridge.generation = generation;
                }
            }
            Change::RemoveMeter(id, meter) => {
                if let Some(bridge) = self.bridge_mut(*id) {
                    bridge.meters.remove(meter);
                    bridge.generation = generation;
                }
            }
            Change::SetAddresses(id, addresses) => {
                self.addresses.retain(|(bridge, _)| bridge != id);
                self.addresses.extend(addresses.iter().map(|&a| (*id, a)));
            }
            Change::SetRoute(ends, Some(route)) => {
                self.routes.insert(*ends, route.clone());
            }
            Change::SetRoute(ends, None) => {
                self.routes.remove(ends);
            }
        }
    }
    fn bridge_mut(&mut self, id: BridgeId) -> Option<&mut BridgeView> {
        self.bridges.get_mut(usize::from(id.0))?.as_mut()
    }
    fn set_bridge(&mut self, id: BridgeId, config: &Arc<BridgeConfig>, generation: u64) {
        let index = usize::from(id.0);
        if self.bridges.len() <= index {
            self.bridges.resize_with(index + 1, || None);
        }
        let bridge = self.bridges[index].get_or_insert_with(|| BridgeView {
            config: config.clone(),
            tables: vec![TableView::new(self.secret); TableId::LEN + 1].into(),
            plan: Plan::default(),
            groups: FxHashMap::default(),
            meters: FxHashMap::default(),
            limits: Limits::default(),
            ports: FxHashMap::default(),
            members: Vec::new(),
            local: None,
            generation,
        });
        bridge.config = config.clone();
        bridge.generation = generation;
    }
    fn add_port(&mut self, port: &Arc<PortView>, generation: u64) {
        let index = port.id.0 as usize;
        if self.ports.len() <= index {
            self.ports.resize_with(index + 1, || None);
        }
        self.ports[index] = Some(port.clone());
        if let PortKind::Tunnel(tunnel) = &port.kind {
            self.tunnels.insert(&tunnel.config, port.id);
            if let Some(link) = link_of(tunnel) {
                *self.links.entry(link).or_default() += 1;
            }
        }
        let ports = &self.ports;
        if let Some(Some(bridge)) = self.bridges.get_mut(usize::from(port.bridge.0)) {
            bridge.ports.insert(port.number, port.id);
            let number = |id: &PortId| ports[id.0 as usize].as_ref().map(|p| p.number);
            let place = bridge
                .members
                .partition_point(|id| number(id) < Some(port.number));
            bridge.members.insert(place, port.id);
            if port.number == PortNo::LOCAL {
                bridge.local = Some(port.id);
            }
            bridge.generation = generation;
        }
    }
    fn remove_port(&mut self, id: PortId, generation: u64) {
        let Some(port) = self.ports.get_mut(id.0 as usize).and_then(Option::take) else {
            return;
        };
        if let PortKind::Tunnel(tunnel) = &port.kind {
            self.tunnels.remove(&tunnel.config, id);
            if let Some(link) = link_of(tunnel)
                && let Some(len) = self.links.get_mut(&link)
            {
                *len -= 1;
                if *len == 0 {
                    self.links.remove(&link);
                }
            }
        }
        if let Some(Some(bridge)) = self.bridges.get_mut(usize::from(port.bridge.0)) {
            bridge.ports.remove(&port.number);
            bridge.members.retain(|m| *m != id);
            if bridge.local == Some(id) {
                bridge.local = None;
            }
            bridge.generation = generation;
        }
    }
}

/// The port whose received frames have to be looked through for a tunnel's packets.
fn link_of(tunnel: &Tunnel) -> Option<PortId> {
    match (tunnel.config.remote, tunnel.route.as_ref()?.exit) {
        (Remote::Link(_), Exit::Port(port)) => Some(port),
        _ => None,
    }
}
