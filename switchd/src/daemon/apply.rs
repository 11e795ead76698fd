//! Makes the switch what the configuration says: compares it with what there is, by name, and does the
//! difference. Removals first, so that names and devices are free for what comes.

use super::Daemon;
use super::controllers::Listener;
use super::ports::stable_mac;
use crate::config::Config;
use crate::config::bridge::{Bridge, FailMode};
use crate::config::port::{Kind, Port as PortConfig};
use datapath::control::{self, BridgeSettings};
use datapath::model::{BridgeId, VlanMode};
use packet::MacAddr;
use std::collections::BTreeMap;

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
    /// Why a listener is not there.
    pub error: Option<String>,
}

impl Daemon {
    /// Goes from the configuration that is in force to another one.
    pub async fn apply(&mut self, config: Config) {
        let old = std::mem::replace(&mut self.config, config);
        self.remove_ports().await;
        self.remove_bridges().await;
        let new = self.config.clone();
        for bridge in new.bridges.values() {
            self.set_bridge(bridge);
        }
        for bridge in new.bridges.values() {
            self.set_ports(bridge).await;
        }
        self.set_controllers();
        self.set_managers().await;
        self.set_global(&old);
        self.follow_links().await;
        self.follow_routing().await;
        self.publish().await;
        self.report_applied();
    }

    async fn remove_ports(&mut self) {
        let mut gone = Vec::new();
        for (name, port) in &self.ports {
            let wanted = self.config.bridges.get(&port.bridge).and_then(|bridge| {
                (*name == bridge.name)
                    .then(|| local_port(bridge))
                    .or_else(|| bridge.ports.get(name).cloned())
            });
            if wanted.is_none_or(|wanted| !is_same_device(&wanted, &port.config)) {
                gone.push(name.clone());
            }
        }
        self.close_ports(&gone).await;
    }

    async fn remove_bridges(&mut self) {
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
            self.close_ports(&ports).await;
            if let Some(bridge) = self.bridges.remove(&name) {
                self.switch.remove_bridge(bridge.id, &mut self.outputs);
                tracing::info!(bridge = name, "bridge removed");
            }
        }
        self.publish().await;
    }

    fn set_bridge(&mut self, bridge: &Bridge) {
        let mac = bridge.hwaddr.unwrap_or_else(|| stable_mac(bridge.uuid));
        let datapath_id = bridge.datapath_id.unwrap_or_else(|| mac.to_u64());
        let settings = bridge_settings(bridge, mac, datapath_id);
        let now = self.clock.now();
        if let Some(live) = self.bridges.get_mut(&bridge.name) {
            live.mac = mac;
            live.datapath_id = datapath_id;
            if let Err(error) = self.switch.set_bridge(now, live.id, settings) {
                live.error = Some(error.to_string());
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
                    error: None,
                };
                self.bridges.insert(bridge.name.clone(), live);
            }
            Err(error) => tracing::error!(bridge = bridge.name, %error, "bridge is not up"),
        }
    }

    async fn set_ports(&mut self, bridge: &Bridge) {
        let local = local_port(bridge);
        let others = bridge
            .ports
            .values()
            .filter(|port| port.name != bridge.name);
        for port in std::iter::once(&local).chain(others) {
            match self.ports.get(&port.name) {
                Some(live) if live.config.is_same(port) => {}
                Some(_) => self.change_port(&port.name, port.clone()),
                None => self.open_port(&bridge.name, port.clone()),
            }
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
        if old.worker_cpus != new.worker_cpus && !self.bridges.is_empty() {
            tracing::info!("pmd-cpu-mask takes effect when the daemon starts");
        }
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
        })
}

/// Whether a port can be changed into another without closing its device.
fn is_same_device(a: &PortConfig, b: &PortConfig) -> bool {
    let same_kind = match (&a.kind, &b.kind) {
        (Kind::Patch { .. }, Kind::Patch { .. }) | (Kind::Tunnel(_), Kind::Tunnel(_)) => true,
        (Kind::Dpdk { .. }, Kind::Dpdk { .. }) => a.kind == b.kind && a.options == b.options,
        (x, y) => x == y,
    };
    same_kind && a.interface == b.interface && a.requested == b.requested
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
        has_controllers: !bridge.controllers.is_empty(),
        forward_bpdu: bridge.forward_bpdu,
        mac_aging_secs: bridge.mac_aging_secs as u32,
        mac_table_size: bridge.mac_table_size,
        desc,
    }
}
