//! Ports with their devices: opening, retrying, closing, following the link.

use super::Daemon;
use crate::config::port::{Kind, Port as PortConfig};
use crate::underlay::Egress;
use datapath::control::{PortSettings, PortType};
use datapath::edge::{Port, PortState};
use datapath::model::PortId;
use dpdk::Mbuf;
use dpdk::types::OpenRequest;
use ofp::types::PortNo;
use packet::MacAddr;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A device that could not be opened is tried again this much later.
const RETRY: Duration = Duration::from_secs(1);
/// MTU of ports without a device (tunnels, patch ports), as the stock switch reports it.
const VIRTUAL_MTU: u16 = 65_000;

/// A configured port.
pub struct LivePort {
    /// Bridge that it belongs to, by name.
    pub bridge: String,
    /// As configured.
    pub config: PortConfig,
    /// Its numbers, once it is in the switch.
    pub live: Option<(PortId, PortNo)>,
    /// The open device; tunnels and patch ports have none.
    pub device: Option<Box<dyn Port<Mbuf>>>,
    /// What the device says of itself.
    pub state: PortState,
    /// Why it is not in the switch.
    pub error: Option<String>,
    /// When to try again.
    pub retry: Option<Instant>,
}

impl LivePort {
    fn has_device(&self) -> bool {
        matches!(
            self.config.kind,
            Kind::System | Kind::Internal | Kind::Dpdk { .. }
        )
    }
}

/// An address that stays the same over restarts: from the row's id, locally administered.
pub fn stable_mac(uuid: ovsdb::Uuid) -> MacAddr {
    let bytes = uuid.as_bytes();
    MacAddr([
        bytes[0] & 0xfc | 0x02,
        bytes[1],
        bytes[2],
        bytes[3],
        bytes[4],
        bytes[5],
    ])
}

impl Daemon {
    /// Brings a port up. What fails is kept with its error, and retried.
    pub fn open_port(&mut self, bridge: &str, config: PortConfig) {
        let mut port = LivePort {
            bridge: bridge.to_owned(),
            config,
            live: None,
            device: None,
            state: PortState::default(),
            error: None,
            retry: None,
        };
        self.try_port(&mut port);
        self.ports.insert(port.config.name.clone(), port);
    }

    fn try_port(&mut self, port: &mut LivePort) {
        match self.bring_up(port) {
            Ok(()) => {
                port.error = None;
                port.retry = None;
            }
            Err(error) => {
                if port.error.as_ref() != Some(&error) {
                    tracing::warn!(port = port.config.name, %error, "port is not up");
                }
                port.device = None;
                port.error = Some(error);
                port.retry = Some(Instant::now() + RETRY);
            }
        }
    }

    fn bring_up(&mut self, port: &mut LivePort) -> Result<(), String> {
        let bridge = self.bridges.get(&port.bridge).map(|b| b.id);
        let bridge = bridge.ok_or_else(|| format!("bridge {} is not up", port.bridge))?;
        if port.has_device() {
            let mut device = self.open_device(port)?;
            port.state = device.state();
            if !matches!(port.config.kind, Kind::Internal) && !port.state.admin_up {
                device.set_up(true)?;
                port.state = device.state();
            }
            port.device = Some(device);
        } else {
            port.state = PortState {
                link_up: true,
                admin_up: true,
                mtu: VIRTUAL_MTU,
                ..PortState::default()
            };
            port.state.mac = stable_mac(port.config.interface).0;
        }
        let settings = settings(port);
        let (now, out) = (self.clock.now(), &mut self.outputs);
        let (id, number) = self
            .switch
            .add_port(now, bridge, settings, out)
            .map_err(|e| e.to_string())?;
        if let Some(device) = &mut port.device
            && let Err(error) = self.workers.add_port(id, device.as_mut())
        {
            self.switch.remove_port(id, &mut self.outputs);
            return Err(error);
        }
        self.switch
            .set_port_state(id, port.state, &mut self.outputs);
        port.live = Some((id, number));
        if let Kind::Tunnel(config) = &port.config.kind {
            self.underlay.set(id, config.clone());
            self.routing_due = Some(Instant::now());
        }
        if matches!(port.config.kind, Kind::Internal) {
            self.links_due = Some(Instant::now());
        }
        tracing::info!(port = port.config.name, bridge = port.bridge, %number, "port added");
        Ok(())
    }

    fn open_device(&self, port: &LivePort) -> Result<Box<dyn Port<Mbuf>>, String> {
        let config = &port.config;
        let word = match config.kind {
            Kind::Internal => "internal",
            Kind::Dpdk { .. } => "dpdk",
            _ => "system",
        };
        let row = dpdk::types::find(word).ok_or_else(|| format!("type {word} has no driver"))?;
        let mac = match config.kind {
            Kind::Internal => Some(self.internal_mac(port).0),
            _ => config.mac.map(|mac| mac.0),
        };
        let request = OpenRequest {
            name: &config.name,
            options: &config.options,
            workers: self.workers.len(),
            mtu: config.mtu,
            mac,
            pools: &self.pools,
        };
        (row.open)(&request).map_err(|error| error.to_string())
    }

    /// An internal interface's address: as set, for LOCAL the bridge's, else a stable one of its own.
    fn internal_mac(&self, port: &LivePort) -> MacAddr {
        let of_bridge = || match self.bridges.get(&port.bridge) {
            Some(bridge) if port.config.name == port.bridge => Some(bridge.mac),
            _ => None,
        };
        port.config
            .mac
            .or_else(of_bridge)
            .unwrap_or_else(|| stable_mac(port.config.interface))
    }

    /// Takes ports out of the switch. Their devices are closed when no worker uses them any more.
    pub async fn close_ports(&mut self, names: &[String]) {
        let mut devices = Vec::new();
        for name in names {
            devices.extend(self.close_port(name).await);
        }
        dpdk::types::close_all(devices);
    }

    async fn close_port(&mut self, name: &str) -> Option<Box<dyn Port<Mbuf>>> {
        let mut port = self.ports.remove(name)?;
        let (id, _) = port.live.take()?;
        self.switch.remove_port(id, &mut self.outputs);
        self.underlay.remove(id);
        // Workers must not look for the queues any more before they let go of them.
        self.publish().await;
        if port.device.is_some() {
            self.workers.remove_port(id).wait();
        }
        tracing::info!(port = name, bridge = port.bridge, "port removed");
        port.device
    }

    /// Applies changed settings to a port that stays.
    pub fn change_port(&mut self, name: &str, config: PortConfig) {
        let Some(port) = self.ports.get_mut(name) else {
            return;
        };
        let (old, new) = (std::mem::replace(&mut port.config, config), &port.config);
        if let Some(device) = &mut port.device {
            let mtu = new
                .mtu
                .filter(|_| old.mtu != new.mtu)
                .map(|mtu| device.set_mtu(mtu));
            let mac = new
                .mac
                .filter(|_| old.mac != new.mac)
                .map(|mac| device.set_mac(mac.0));
            port.error = mtu.into_iter().chain(mac).find_map(Result::err);
        }
        let Some((id, _)) = port.live else {
            port.retry = Some(Instant::now());
            return;
        };
        if let Kind::Tunnel(tunnel) = &port.config.kind {
            self.underlay.set(id, tunnel.clone());
            self.routing_due = Some(Instant::now());
        }
        let settings = settings(port);
        if let Err(error) = self.switch.set_port(id, settings, &mut self.outputs) {
            self.ports.get_mut(name).expect("just looked up").error = Some(error.to_string());
        }
        self.links_due = Some(Instant::now());
    }

    /// Tries the ports again whose time has come.
    pub fn retry_ports(&mut self, now: Instant) {
        let is_due =
            |port: &&LivePort| port.live.is_none() && port.retry.is_some_and(|at| at <= now);
        let due: Vec<String> = self
            .ports
            .values()
            .filter(is_due)
            .map(|p| p.config.name.clone())
            .collect();
        for name in &due {
            if let Some(mut port) = self.ports.remove(name) {
                self.try_port(&mut port);
                self.ports.insert(name.clone(), port);
            }
        }
        self.report |= !due.is_empty();
    }

    /// Reads what all devices say of themselves; a port whose device is gone is closed and retried.
    pub async fn follow_links(&mut self) {
        let mut gone = Vec::new();
        for (name, port) in &mut self.ports {
            let (Some(device), Some((id, _))) = (&port.device, port.live) else {
                continue;
            };
            let state = device.state();
            if state.ifindex != port.state.ifindex {
                gone.push((name.clone(), port.bridge.clone(), port.config.clone()));
            } else if state != port.state {
                tracing::debug!(port = name, ?state, "link changed");
                port.state = state;
                self.report = true;
                self.switch.set_port_state(id, state, &mut self.outputs);
            }
        }
        for (name, bridge, config) in gone {
            tracing::warn!(port = name, "its device is gone");
            self.close_ports(std::slice::from_ref(&name)).await;
            self.open_port(&bridge, config);
            self.report = true;
        }
        self.set_egresses();
    }

    fn set_egresses(&mut self) {
        let mut egresses = BTreeMap::new();
        for port in self
            .ports
            .values()
            .filter(|port| matches!(port.config.kind, Kind::Internal))
        {
            let Some(bridge) = self
                .bridges
                .get(&port.bridge)
                .filter(|_| port.live.is_some())
            else {
                continue;
            };
            let egress = Egress {
                name: port.config.name.clone(),
                bridge: bridge.id,
                mac: MacAddr(port.state.mac),
                mtu: port.state.mtu,
                up: port.state.admin_up,
            };
            egresses.insert(port.state.ifindex, egress);
        }
        self.underlay.set_egresses(egresses);
    }
}

/// The settings as the switch takes them.
fn settings(port: &LivePort) -> PortSettings {
    let config = &port.config;
    let kind = match &config.kind {
        Kind::System | Kind::Dpdk { .. } => PortType::Device,
        Kind::Internal if config.name == port.bridge => PortType::Local,
        Kind::Internal => PortType::Internal,
        Kind::Patch { peer } => PortType::Patch { peer: peer.clone() },
        Kind::Tunnel(tunnel) => PortType::Tunnel(tunnel.clone()),
    };
    let number = |port: Option<PortNo>| port.and_then(|p| u16::try_from(p.0).ok());
    PortSettings {
        name: config.name.clone(),
        kind,
        number_request: number(config.requested),
        number_stored: number(config.stored),
        vlan: config.vlan.clone(),
        mac: MacAddr(port.state.mac),
    }
}
