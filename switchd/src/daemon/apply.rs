//! Makes the switch what the configuration says: compares it with what there is, by name, and does the
//! difference. Removals first, so that names and devices are free for what comes.

use super::Daemon;
use super::controllers::Listener;
use super::hosts::OpenHost;
use super::ports::{LivePort, stable_mac};
use super::snoop::{Snoop, Tap};
use crate::config::Config;
use crate::config::balance::online_cpus;
use crate::config::bridge::{Bridge, FailMode};
use crate::config::port::{Kind, Port as PortConfig};
use crate::config::tunnel::receive_settings;
use crate::home::Home;
use crate::workers::Context;
use datapath::control::{self, BridgeSettings};
use datapath::model::{BridgeId, VlanMode};
use ofp::types::PortNo;
use packet::MacAddr;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// A bridge that is in the switch.
pub struct LiveBridge {
    /// Its number.
    pub id: BridgeId,
    /// Its row.
    pub uuid: ovsdb::Uuid,
    /// Its address.
    pub mac: MacAddr,
    /// Reported to controllers.
    pub datapath_id: u64,
    /// Sockets on which it listens, by target.
    pub listeners: BTreeMap<String, Listener>,
    /// Its controllers' conversations.
    pub tap: Arc<Tap>,
    /// The socket where they can be read.
    pub snoop: Option<Snoop>,
    /// Why a listener is not there.
    pub error: Option<String>,
}

impl Daemon {
    /// Goes from the configuration that is in force to another one.
    pub async fn apply(&mut self, config: Config) {
        let old = std::mem::replace(&mut self.config, config);
        self.remove_ports();
        self.remove_bridges();
        // A port is opened with a transmit queue for each worker.
        if old.global.worker_cpus != self.config.global.worker_cpus {
            self.set_cpus();
        }
        let new = self.config.clone();
        for bridge in new.bridges.values() {
            self.set_bridge(bridge);
        }
        for bridge in new.bridges.values() {
            self.set_ports(bridge);
        }
        self.set_tls(&old);
        self.set_controllers();
        self.set_managers();
        self.set_global(&old);
        // Devices may have brought threads of their own.
        self.keep_off_workers();
        if self.links_due.is_some() {
            self.follow_links();
        }
        if self.routing_due.is_some() {
            self.follow_routing().await;
        }
        self.find_routes(false).await;
        self.publish();
        self.report = true;
        self.report_when_in_force();
    }

    fn remove_ports(&mut self) {
        let mut gone = Vec::new();
        for (name, port) in &self.ports {
            let wanted = self.config.bridges.get(&port.bridge).and_then(|bridge| {
                (*name == bridge.name)
                    .then(|| local_port(bridge))
                    .or_else(|| bridge.ports.get(name).cloned())
            });
            let stays = |wanted| keeps_device(port, &wanted) && !self.takes_over(port, &wanted);
            if !wanted.is_some_and(stays) {
                gone.push(name.clone());
            }
        }
        self.close_ports(&gone);
    }

    /// Whether a tunnel gets settings that another one still has: they may change at once, or swap.
    fn takes_over(&self, port: &LivePort, wanted: &PortConfig) -> bool {
        let received = |kind: &Kind| match kind {
            Kind::Tunnel(tunnel) => Some(receive_settings(&tunnel.config)),
            _ => None,
        };
        let wish = received(&wanted.kind);
        let is_rival = |other: &LivePort| {
            other.config.name != port.config.name && received(&other.config.kind) == wish
        };
        wish.is_some() && port.config.kind != wanted.kind && self.ports.values().any(is_rival)
    }

    fn remove_bridges(&mut self) {
        let wanted = |name: &String, bridge: &LiveBridge| {
            self.config
                .bridges
                .get(name)
                .is_some_and(|config| config.uuid == bridge.uuid)
        };
        let gone: Vec<String> = self
            .bridges
            .iter()
            .filter(|(name, bridge)| !wanted(name, bridge))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            let ports = self.ports.iter().filter(|(_, port)| port.bridge == name);
            let ports: Vec<String> = ports.map(|(port, _)| port.clone()).collect();
            self.close_ports(&ports);
            if let Some(bridge) = self.bridges.remove(&name) {
                self.switch.remove_bridge(bridge.id, &mut self.outputs);
                // The next bridge may get the same id.
                self.addresses_of.remove(&bridge.id);
                tracing::info!(bridge = name, "bridge removed");
            }
        }
        self.publish();
    }

    fn set_bridge(&mut self, bridge: &Bridge) {
        let mac = bridge.hwaddr.unwrap_or_else(|| stable_mac(bridge.uuid));
        let datapath_id = bridge.datapath_id.unwrap_or_else(|| mac.to_u64());
        let settings = bridge_settings(bridge, mac, datapath_id);
        let now = self.clock.now();
        if let Some(live) = self.bridges.get_mut(&bridge.name) {
            live.mac = mac;
            let old = std::mem::replace(&mut live.datapath_id, datapath_id);
            if let Err(error) = self.switch.set_bridge(now, live.id, settings) {
                live.error = Some(error.to_string());
            }
            // There is no message that tells a controller of this.
            if old != datapath_id {
                self.hang_up(&bridge.name);
            }
            return;
        }
        match self.switch.add_bridge(now, &bridge.name, settings) {
            Ok(id) => {
                tracing::info!(bridge = bridge.name, "bridge added");
                let (uuid, listeners) = (bridge.uuid, BTreeMap::new());
                let live = LiveBridge {
                    id,
                    uuid,
                    mac,
                    datapath_id,
                    listeners,
                    tap: Arc::default(),
                    snoop: None,
                    error: None,
                };
                self.bridges.insert(bridge.name.clone(), live);
                self.routing_due = Some(Instant::now());
            }
            Err(error) => tracing::error!(bridge = bridge.name, %error, "bridge is not up"),
        }
    }

    fn set_ports(&mut self, bridge: &Bridge) {
        let local = local_port(bridge);
        let others = bridge
            .ports
            .values()
            .filter(|port| port.name != bridge.name);
        let mut wanted: Vec<&PortConfig> = std::iter::once(&local).chain(others).collect();
        // Who has no number of its own must not take another's.
        wanted.sort_by_key(|port| (port.requested.is_none(), port.stored.is_none()));
        for port in wanted {
            match self.ports.get(&port.name) {
                Some(live) if self.is_as_wanted(live, port) => {}
                Some(_) => self.change_port(&port.name, port.clone()),
                None => self.open_port(&bridge.name, port.clone()),
            }
        }
    }

    /// New connections use new keys; those that there are stay.
    fn set_tls(&mut self, old: &Config) {
        if old.tls != self.config.tls {
            self.tls.store(self.config.tls.clone().map(Arc::new));
        }
    }

    fn set_global(&mut self, old: &Config) {
        let (old, new) = (&old.global, &self.config.global);
        if old.sleep_max_micros != new.sleep_max_micros {
            self.workers.set_sleep_max(
                new.sleep_max_micros
                    .unwrap_or(crate::workers::SLEEP_MAX_MICROS),
            );
        }
        if old.cache_entries != new.cache_entries {
            self.workers.set_cache_entries(new.cache_entries());
        }
        self.workers.set_rules(new.rules, new.auto);
        self.workers.settle();
    }

    /// Puts all threads but the workers on CPUs without one.
    fn keep_off_workers(&self) {
        match self.workers.threads() {
            Some(threads) => self.home.keep_off(&self.workers.cpus(), &threads),
            None => tracing::warn!(
                "which threads are workers is unknown: the others run on their CPUs, too"
            ),
        }
    }

    /// Workers on other CPUs.
    fn set_cpus(&mut self) {
        let cpus = worker_cpus(&self.config.global.worker_cpus, &self.home);
        if cpus == self.workers.cpus() {
            return;
        }
        let context = Context {
            clock: self.clock,
            publisher: self.switch.publisher(),
            stats: &self.stats,
            pools: &self.pools,
            control: self.workers.control(),
        };
        let ports = self.ports.values_mut();
        let ports = ports.filter_map(|port| Some((port.live?.0, port.device.as_deref_mut()?)));
        let hosts = self
            .hosts
            .values_mut()
            .filter_map(|live| live.as_mut().ok());
        let devices = ports.chain(hosts.map(OpenHost::device)).collect();
        match self.workers.restart(&cpus, &context, devices) {
            Ok(()) => tracing::info!(?cpus, "workers started"),
            Err(error) => self.exit = Some(Err(error)),
        }
    }
}

/// The CPUs that workers get: those of the mask that there are; without a mask the last one of ours.
pub fn worker_cpus(mask: &[usize], home: &Home) -> Vec<usize> {
    let online = online_cpus();
    let (there, missing): (Vec<usize>, Vec<usize>) = mask
        .iter()
        .partition(|cpu| online.is_empty() || online.contains(cpu));
    if !missing.is_empty() {
        tracing::warn!(?missing, "pmd-cpu-mask names CPUs that there are not");
    }
    match there.is_empty() {
        true => vec![home.last()],
        false => there,
    }
}

/// The bridge's own interface: as configured, or as it is if nobody said anything.
fn local_port(bridge: &Bridge) -> PortConfig {
    bridge
        .ports
        .get(&bridge.name)
        .cloned()
        .unwrap_or_else(|| PortConfig {
            uuid: bridge.uuid,
            interface: bridge.uuid,
            name: bridge.name.clone(),
            kind: Kind::Internal,
            options: BTreeMap::new(),
            requested: None,
            stored: None,
            mac: None,
            mtu: None,
            vlan: VlanMode::Trunk { trunks: None },
            queues: Default::default(),
            affinity: BTreeMap::new(),
        })
}

/// Whether a port can become what is wanted without closing its device. A number is only given when a
/// port is added; asking for the one that it has changes nothing, and so does asking for none.
fn keeps_device(port: &LivePort, b: &PortConfig) -> bool {
    let a = &port.config;
    let has_number = |n| {
        port.live
            .is_none_or(|(_, number)| [n, PortNo::LOCAL].contains(&number))
    };
    let same_number = a.requested == b.requested || b.requested.is_none_or(has_number);
    let same_kind = match (&a.kind, &b.kind) {
        (Kind::Patch { .. }, Kind::Patch { .. }) | (Kind::Tunnel(_), Kind::Tunnel(_)) => true,
        (Kind::Dpdk { .. }, Kind::Dpdk { .. }) | (Kind::System, Kind::System) => {
            a.kind == b.kind && a.options == b.options
        }
        (x, y) => x == y,
    };
    same_kind && a.interface == b.interface && same_number
}

fn bridge_settings(bridge: &Bridge, mac: MacAddr, datapath_id: u64) -> BridgeSettings {
    let defaults = BridgeSettings::default();
    let mut desc = defaults.desc;
    desc.serial = bridge.serial.clone().unwrap_or(desc.serial);
    desc.datapath = bridge.description.clone().unwrap_or(desc.datapath);
    BridgeSettings {
        mac,
        datapath_id,
        fail_mode: match bridge.fail_mode {
            FailMode::Standalone => control::FailMode::Standalone,
            FailMode::Secure => control::FailMode::Secure,
        },
        has_controllers: bridge.has_primary(),
        reserved: bridge.reserved.clone(),
        mac_aging_secs: bridge.mac_aging_secs as u32,
        mac_table_size: bridge.mac_table_size,
        tables: bridge.tables.clone(),
        desc,
    }
}
