//! Ports with their devices: opening, retrying, closing, following the link.

use super::Daemon;
use crate::config::port::{Kind, Port as PortConfig};
use crate::underlay::{Egress, Via};
use datapath::control::{PortSettings, PortType};
use datapath::edge::{Port, PortState};
use datapath::model::PortId;
use datapath::model::tunnel::Exit;
use dpdk::Mbuf;
use dpdk::types::OpenRequest;
use ofp::types::PortNo;
use packet::MacAddr;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A device that could not be opened is tried again this much later, then after twice as long.
const RETRY: Duration = Duration::from_secs(1);
/// The longest pause: what fails after the device was changed costs tens of milliseconds each time.
const RETRY_MAX: Duration = Duration::from_secs(4);
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
    /// The address that the device was asked to have.
    pub mac: Option<MacAddr>,
    /// What is wrong: why it is not in the switch, if it is not.
    pub error: Option<String>,
    /// When to try again, and how long to wait after that.
    retry: Option<(Instant, Duration)>,
    /// The kernel device that was there when it failed.
    failed_with: u32,
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
            mac: None,
            error: None,
            retry: None,
            failed_with: 0,
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
                let mut pause = RETRY;
                if port.error.as_ref() != Some(&error) {
                    tracing::warn!(port = port.config.name, %error, "port is not up");
                } else if let Some((_, last)) = port.retry {
                    pause = (last * 2).min(RETRY_MAX);
                }
                port.device = None;
                port.error = Some(error);
                port.retry = Some((Instant::now() + pause, pause));
            }
        }
    }

    fn bring_up(&mut self, port: &mut LivePort) -> Result<(), String> {
        let bridge = self.bridges.get(&port.bridge).map(|b| b.id);
        let bridge = bridge.ok_or_else(|| format!("bridge {} is not up", port.bridge))?;
        if port.has_device() {
            port.mac = self.wanted_mac(port);
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
        self.workers.set_affinity(id, &port.config.affinity);
        if let Some(device) = &mut port.device
            && let Err(error) = self.workers.add_port(id, device.as_mut())
        {
            self.workers.set_affinity(id, &BTreeMap::new());
            self.switch.remove_port(id, &mut self.outputs);
            return Err(error);
        }
        self.switch
            .set_port_state(id, port.state, &mut self.outputs);
        port.live = Some((id, number));
        if let Kind::Tunnel(tunnel) = &port.config.kind {
            self.underlay.set(id, tunnel);
        }
        if port.has_device() {
            self.links_due = Some(Instant::now());
        }
        let number = port_word(number);
        tracing::info!(
            port = port.config.name,
            bridge = port.bridge,
            number,
            "port added"
        );
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
        let request = OpenRequest {
            name: &config.name,
            options: &config.options,
            workers: self.workers.len(),
            mtu: config.mtu,
            mac: port.mac.map(|mac| mac.0),
            pools: &self.pools,
        };
        (row.open)(&request).map_err(|error| match &config.kind {
            Kind::Dpdk { devargs, .. } if !self.args.pci && is_pci(devargs) => {
                format!("{error}; PCI devices need switchd --pci")
            }
            _ => error.to_string(),
        })
    }

    /// The address that a device shall have: as set; without that an internal one has the bridge's if
    /// it is LOCAL, else a stable one of its own, and other devices keep theirs.
    fn wanted_mac(&self, port: &LivePort) -> Option<MacAddr> {
        let own = match (&port.config.kind, self.bridges.get(&port.bridge)) {
            (Kind::Internal, Some(bridge)) if port.config.name == port.bridge => Some(bridge.mac),
            (Kind::Internal, _) => Some(stable_mac(port.config.interface)),
            _ => None,
        };
        port.config.mac.or(own)
    }

    /// Takes ports out of the switch. Their devices are closed when no worker uses them any more.
    pub fn close_ports(&mut self, names: &[String]) {
        let mut devices = Vec::new();
        for name in names {
            devices.extend(self.close_port(name));
        }
        dpdk::types::close_all(devices);
    }

    fn close_port(&mut self, name: &str) -> Option<Box<dyn Port<Mbuf>>> {
        let mut port = self.ports.remove(name)?;
        let (id, _) = port.live.take()?;
        self.switch.remove_port(id, &mut self.outputs);
        self.underlay.remove(id);
        self.links_due = Some(Instant::now());
        // Workers must not look for the queues any more before they let go of them.
        self.publish();
        if port.device.is_some() {
            self.workers.remove_port(id).wait();
        }
        tracing::info!(port = name, bridge = port.bridge, "port removed");
        port.device
    }

    /// Whether a port is as the configuration says.
    pub fn is_as_wanted(&self, port: &LivePort, config: &PortConfig) -> bool {
        let has_mac = port.device.is_none() || port.mac == self.wanted_mac(port);
        port.config.is_same(config) && has_mac
    }

    /// Applies changed settings to a port that stays. One that is not up is tried again at once.
    pub fn change_port(&mut self, name: &str, config: PortConfig) {
        let Some(mut port) = self.ports.remove(name) else {
            return;
        };
        let old = std::mem::replace(&mut port.config, config);
        port.config.stored = port.config.stored.or(old.stored);
        match port.live {
            Some((id, _)) => self.change_live_port(id, &mut port, &old),
            None => self.try_port(&mut port),
        }
        self.ports.insert(name.to_owned(), port);
    }

    fn change_live_port(&mut self, id: PortId, port: &mut LivePort, old: &PortConfig) {
        let device = self.change_device(port);
        self.workers.set_affinity(id, &port.config.affinity);
        if let Kind::Tunnel(tunnel) = &port.config.kind
            && port.config.kind != old.kind
        {
            self.underlay.set(id, tunnel);
        }
        let switch = self
            .switch
            .set_port(id, settings(port), &mut self.outputs)
            .map_err(|error| error.to_string());
        port.error = device.and(switch).err();
        self.links_due = Some(Instant::now());
    }

    fn change_device(&self, port: &mut LivePort) -> Result<(), String> {
        let mac = self.wanted_mac(port);
        let Some(device) = &mut port.device else {
            return Ok(());
        };
        if let Some(mtu) = port.config.mtu.filter(|mtu| *mtu != port.state.mtu) {
            device.set_mtu(mtu)?;
        }
        if let Some(mac) = mac.filter(|_| mac != port.mac) {
            device.set_mac(mac.0)?;
        }
        port.mac = mac;
        Ok(())
    }

    /// A device of the kernel came or changed: a port that missed it is tried at once, but not again
    /// for what its own attempt did to the device.
    pub fn link_came(&mut self, ifindex: u32, name: &str) {
        if let Some(port) = self.ports.get_mut(name)
            && port.live.is_none()
            && std::mem::replace(&mut port.failed_with, ifindex) != ifindex
        {
            port.retry = Some((Instant::now(), RETRY));
        }
    }

    /// Anything may have happened to the kernel's devices.
    pub fn retry_all(&mut self) {
        let waiting = self.ports.values_mut().filter(|port| port.live.is_none());
        waiting.for_each(|port| port.retry = Some((Instant::now(), RETRY)));
    }

    /// Tries the ports again whose time has come.
    pub fn retry_ports(&mut self, now: Instant) {
        let is_due =
            |port: &&LivePort| port.live.is_none() && port.retry.is_some_and(|(at, _)| at <= now);
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
    pub fn follow_links(&mut self) {
        self.links_due = None;
        let mut gone = Vec::new();
        for (name, port) in &mut self.ports {
            let (Some(device), Some((id, _))) = (&port.device, port.live) else {
                continue;
            };
            let state = device.state();
            if state.ifindex != port.state.ifindex {
                // When it is back it gets its number again.
                let number = port.live.map(|(_, number)| number);
                let config = PortConfig {
                    stored: number,
                    ..port.config.clone()
                };
                gone.push((name.clone(), port.bridge.clone(), config));
            } else if state != port.state {
                tracing::debug!(port = name, ?state, "link changed");
                port.state = state;
                self.report = true;
                self.switch.set_port_state(id, state, &mut self.outputs);
            }
        }
        for (name, bridge, config) in gone {
            tracing::warn!(port = name, "its device is gone");
            self.close_ports(std::slice::from_ref(&name));
            self.open_port(&bridge, config);
            self.report = true;
        }
        if self.set_egresses() {
            self.routing_due = Some(Instant::now());
        }
        self.set_vias();
        self.follow_hosts();
    }

    /// Tells the underlay of all links that tunnels over Ethernet may leave by.
    fn set_vias(&mut self) {
        let mut vias = BTreeMap::new();
        for (name, port) in &self.ports {
            let Some((id, _)) = port.live.filter(|_| port.device.is_some()) else {
                continue;
            };
            let exit = match (&port.config.kind, self.bridges.get(&port.bridge)) {
                (Kind::Internal, Some(bridge)) => Exit::Bridge(bridge.id),
                _ => Exit::Port(id),
            };
            let via = Via {
                exit,
                mac: MacAddr(port.state.mac),
                mtu: port.state.mtu,
                up: port.state.link_up,
            };
            vias.insert(name.clone(), via);
        }
        self.underlay.set_vias(vias);
    }

    /// Tells the underlay of the internal interfaces; says whether they changed.
    fn set_egresses(&mut self) -> bool {
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
        self.underlay.set_egresses(egresses)
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
        Kind::Tunnel(tunnel) => PortType::Tunnel(tunnel.config.clone()),
    };
    let number = |port: Option<PortNo>| port.and_then(|p| u16::try_from(p.0).ok());
    PortSettings {
        name: config.name.clone(),
        kind,
        number_request: number(config.requested),
        number_stored: number(config.stored),
        vlan: config.vlan.clone(),
        queues: config.queues.clone(),
        mac: MacAddr(port.state.mac),
    }
}

/// Whether devargs name a PCI device: `0000:01:00.0` or `01:00.0`, with options behind a comma.
fn is_pci(devargs: &str) -> bool {
    let address = devargs.split(',').next().unwrap_or_default();
    let is_hex = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_hexdigit());
    address.contains(':') && address.split([':', '.']).all(is_hex)
}

/// A port's number as users say it.
pub fn port_word(number: PortNo) -> String {
    match number {
        PortNo::LOCAL => "LOCAL".to_owned(),
        number => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses() {
        assert!(is_pci("0000:01:00.0"));
        assert!(is_pci("01:00.0,txq=2"));
        assert!(!is_pci("net_af_packet0,iface=eth0"));
        assert!(!is_pci(""));
    }
}
