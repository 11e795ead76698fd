//! Ports: numbers, settings, state; and OFPT_PORT_STATUS, which tells controllers of each change.

use super::connection::EventKind;
use super::flow_stats::duration;
use super::settings::{ConfigError, PortSettings, PortType};
use super::{Output, Settling, Switch};
use crate::edge::{PortCounters, PortState};
use crate::model::stats::{PortTotals, Stats};
use crate::model::tunnel::{Ends, Route, Tunnel, TunnelState};
use crate::model::tunnel_stats::{Class, TunnelCounter, TunnelTotals};
use crate::model::{BridgeId, Change, PortId, PortKind, PortView, VlanMode};
use crate::time::Time;
use ofp::bpdu::{BpduStats, OuterStats};
use ofp::message::{Body, PortDesc, PortReason, PortStats, PortStatus, port_config, port_state};
use ofp::types::PortNo;
use packet::MacAddr;
use std::sync::Arc;

/// Largest number of a port, as OpenFlow 1.0 and the `ofport_request` column have it.
const MAX_NUMBER: u16 = 65_279;
/// Of ports that have none.
const NO_BRIDGE: BridgeId = BridgeId(u16::MAX);
/// MTU of ports that have no device of their own.
const VIRTUAL_MTU: u16 = u16::MAX;

/// A port as control knows it.
pub(super) struct Port {
    pub(super) settings: PortSettings,
    /// As last staged.
    pub(super) view: PortView,
    pub(super) state: PortState,
    /// What the device counted, as last told.
    pub(super) device: PortCounters,
    /// What the slot's counters held when the port got it.
    pub(super) baseline: PortTotals,
    /// The same of its tunnel's counters.
    tunnel_baseline: TunnelTotals,
    pub(super) created: Time,
    route: Option<Route>,
    /// Of a tunnel.
    tunnel: Arc<TunnelState>,
}

impl Switch {
    /// Adds a port and gives it a number: the requested one, else the stored one, else the lowest that
    /// is free. A requested number that another port has is not taken from it.
    pub fn add_port(
        &mut self,
        now: Time,
        bridge: BridgeId,
        settings: PortSettings,
        out: &mut Vec<Output>,
    ) -> Result<(PortId, PortNo), ConfigError> {
        let name = settings.name.clone();
        if !self.bridges.contains_key(&bridge) {
            return Err(ConfigError(format!("{name}: no such bridge")));
        }
        if self.names.contains_key(&name) {
            return Err(ConfigError(format!("{name}: another port has this name")));
        }
        self.check_port(&settings, None)?;
        let number = self.choose_number(bridge, &settings)?;
        let too_many = || ConfigError(format!("{name}: too many ports"));
        let (slot, used_before) = self.port_slots.take().ok_or_else(too_many)?;
        let id = PortId(slot);
        self.stats.reserve_port(id);
        let baseline = if used_before {
            self.stats.port(id)
        } else {
            PortTotals::default()
        };
        let is_virtual = matches!(settings.kind, PortType::Patch { .. } | PortType::Tunnel(_));
        let state = PortState {
            link_up: is_virtual,
            admin_up: true,
            mtu: if is_virtual { VIRTUAL_MTU } else { 1500 },
            mac: settings.mac.0,
            ..Default::default()
        };
        let view = PortView {
            id,
            bridge,
            number,
            name: name.as_str().into(),
            kind: PortKind::Device,
            config: 0,
            live: is_virtual,
            mtu: state.mtu,
            mac: settings.mac,
            vlan: settings.vlan.clone(),
        };
        if let PortType::Tunnel(config) = &settings.kind {
            self.stats.reserve_tunnel(id);
            self.tunnels.insert(config, id);
        }
        let (device, route, tunnel) = (PortCounters::default(), None, Arc::default());
        let port = Port {
            settings,
            view,
            state,
            device,
            baseline,
            tunnel_baseline: self.stats.tunnel(id),
            created: now,
            route,
            tunnel,
        };
        self.ports.insert(id, port);
        self.names.insert(name.clone(), id);
        self.bridges
            .get_mut(&bridge)
            .expect("seen above")
            .ports
            .insert(number, id);
        self.stage_port(id);
        self.join_patches(&name);
        self.port_status(id, PortReason::Add, out);
        Ok((id, number))
    }
    /// Changes a port's settings; its name and number stay.
    pub fn set_port(
        &mut self,
        id: PortId,
        settings: PortSettings,
        out: &mut Vec<Output>,
    ) -> Result<(), ConfigError> {
        let Some(port) = self.ports.get(&id) else {
            return Err(ConfigError(format!("{}: no such port", settings.name)));
        };
        if port.settings.name != settings.name {
            let text = format!("{}: a port's name does not change", port.settings.name);
            return Err(ConfigError(text));
        }
        self.check_port(&settings, Some(id))?;
        let port = self.ports.get_mut(&id).expect("seen above");
        let old = std::mem::replace(&mut port.settings, settings);
        let new = &port.settings;
        port.view.vlan = new.vlan.clone();
        if old.kind != new.kind {
            (port.route, port.tunnel) = (None, Arc::default());
            if let PortType::Tunnel(config) = &old.kind {
                self.tunnels.remove(config, id);
            }
            if let PortType::Tunnel(config) = &new.kind {
                self.stats.reserve_tunnel(id);
                self.tunnels.insert(config, id);
            }
        }
        let name = new.name.clone();
        let described = old.mac != new.mac;
        if described {
            (port.state.mac, port.view.mac) = (new.mac.0, new.mac);
        }
        self.stage_port(id);
        self.join_patches(&name);
        if described {
            self.port_status(id, PortReason::Modify, out);
        }
        Ok(())
    }
    /// Removes a port. [`Output::PortGone`] says when its device may be closed.
    pub fn remove_port(&mut self, id: PortId, out: &mut Vec<Output>) {
        self.port_status(id, PortReason::Delete, out);
        let Some(port) = self.ports.remove(&id) else {
            return;
        };
        self.names.remove(&port.settings.name);
        if let PortType::Tunnel(config) = &port.settings.kind {
            self.tunnels.remove(config, id);
        }
        if let Some(bridge) = self.bridges.get_mut(&port.view.bridge) {
            bridge.ports.remove(&port.view.number);
            bridge.config.macs.expire(|entry| entry.port == id);
        }
        self.publisher.stage(Change::RemovePort(id));
        self.join_patches(&port.settings.name);
        self.when_settled(Settling::Port(id, port.view.bridge));
    }
    /// What the device says of itself: link, MTU, address, speed.
    pub fn set_port_state(&mut self, id: PortId, state: PortState, out: &mut Vec<Output>) {
        let Some(port) = self.ports.get_mut(&id) else {
            return;
        };
        if port.state == state {
            return;
        }
        let before = (port.view.clone(), port.desc());
        port.state = state;
        port.view.mtu = state.mtu;
        port.view.mac = MacAddr(state.mac);
        port.set_config_bit(port_config::PORT_DOWN, !state.admin_up);
        let described = before.1 != port.desc();
        if before.0 != port.view {
            self.stage_port(id);
        }
        if described {
            self.port_status(id, PortReason::Modify, out);
        }
    }
    /// What the device counted beside the workers (drops, errors), for port statistics.
    pub fn set_port_counters(&mut self, id: PortId, counters: PortCounters) {
        if let Some(port) = self.ports.get_mut(&id) {
            port.device = counters;
        }
    }
    /// Where a tunnel's packets go; `None`: not known (yet).
    pub fn set_route(&mut self, id: PortId, route: Option<Route>) {
        if let Some(port) = self.ports.get_mut(&id)
            && port.route != route
        {
            port.route = route;
            self.stage_port(id);
        }
    }
    /// The way between two ends that packets of `remote_ip=flow` tunnels name; `None`: forget it.
    pub fn set_flow_route(&mut self, ends: Ends, route: Option<Route>) {
        let route = route.map(Arc::new);
        self.publisher.stage(Change::SetRoute(ends, route));
    }
    /// Adds a port of the host's own stack, by which tunnel packets leave and arrive. It has no bridge, no number, and controllers
    /// do not see it.
    pub fn add_host_port(&mut self, name: &str) -> Result<PortId, ConfigError> {
        let too_many = || ConfigError(format!("{name}: too many ports"));
        let (slot, _) = self.port_slots.take().ok_or_else(too_many)?;
        let id = PortId(slot);
        self.stats.reserve_port(id);
        let view = PortView {
            id,
            bridge: NO_BRIDGE,
            number: PortNo::UNSET,
            name: name.into(),
            kind: PortKind::Host,
            config: 0,
            live: true,
            mtu: VIRTUAL_MTU,
            mac: MacAddr::ZERO,
            vlan: VlanMode::Trunk { trunks: None },
        };
        self.publisher.stage(Change::SetPort(Arc::new(view)));
        Ok(id)
    }
    /// Removes such a port. [`Output::PortGone`] says when its sockets may be closed.
    pub fn remove_host_port(&mut self, id: PortId) {
        self.publisher.stage(Change::RemovePort(id));
        self.when_settled(Settling::Port(id, NO_BRIDGE));
    }
    /// Publishes the port; its kind is derived from its settings here.
    pub(super) fn stage_port(&mut self, id: PortId) {
        let Some(port) = self.ports.get(&id) else {
            return;
        };
        let kind = match &port.settings.kind {
            PortType::Device => PortKind::Device,
            PortType::Internal | PortType::Local => PortKind::Internal,
            PortType::Patch { peer } => PortKind::Patch {
                peer: self.peer(&port.settings.name, peer),
            },
            PortType::Tunnel(config) => PortKind::Tunnel(Arc::new(Tunnel {
                config: config.clone(),
                route: port.route.clone(),
                state: port.tunnel.clone(),
            })),
        };
        let port = self.ports.get_mut(&id).expect("seen above");
        port.view.kind = kind;
        self.publisher
            .stage(Change::SetPort(Arc::new(port.view.clone())));
    }
    /// The other end of a patch: a patch port that names this one.
    fn peer(&self, name: &str, peer: &str) -> Option<PortId> {
        let id = self.names.get(peer)?;
        match &self.ports.get(id)?.settings.kind {
            PortType::Patch { peer } if peer == name => Some(*id),
            _ => None,
        }
    }
    /// A port with this name came, changed or went: patch ports that name it may gain or lose their
    /// other end.
    fn join_patches(&mut self, name: &str) {
        let names_it =
            |port: &&Port| matches!(&port.settings.kind, PortType::Patch { peer } if peer == name);
        let affected: Vec<PortId> = self
            .ports
            .values()
            .filter(names_it)
            .map(|port| port.view.id)
            .collect();
        affected.into_iter().for_each(|id| self.stage_port(id));
    }
    /// Refuses settings that cannot work; `own` is the port that has them already.
    fn check_port(&self, settings: &PortSettings, own: Option<PortId>) -> Result<(), ConfigError> {
        let name = &settings.name;
        let refuse = |text: String| Err(ConfigError(format!("{name}: {text}")));
        if let Some(number) = settings.number_request
            && !(1..=MAX_NUMBER).contains(&number)
        {
            return refuse(format!("ofport_request {number} is not in 1..{MAX_NUMBER}"));
        }
        match &settings.kind {
            PortType::Patch { peer } if peer.is_empty() => {
                refuse("a patch port needs options:peer=PORT".into())
            }
            PortType::Patch { peer } if peer == name => {
                refuse(format!("options:peer={peer} is the port itself"))
            }
            PortType::Tunnel(config) => match self.tunnels.equal(config) {
                Some(other) if Some(other) != own => {
                    let other = self.ports.get(&other).map_or("?", |p| &p.settings.name);
                    refuse(format!(
                        "tunnel {other} has the same remote_ip, local_ip, key and dst_port"
                    ))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
    fn choose_number(
        &self,
        bridge: BridgeId,
        settings: &PortSettings,
    ) -> Result<PortNo, ConfigError> {
        let ports = &self.bridges[&bridge].ports;
        if settings.kind == PortType::Local {
            return match ports.contains_key(&PortNo::LOCAL) {
                true => {
                    let text = format!("{}: the bridge has its own port already", settings.name);
                    Err(ConfigError(text))
                }
                false => Ok(PortNo::LOCAL),
            };
        }
        let free = |number: &PortNo| !ports.contains_key(number);
        let valid = |number: &u16| (1..=MAX_NUMBER).contains(number);
        let wished = [settings.number_request, settings.number_stored];
        let wished = wished
            .into_iter()
            .flatten()
            .filter(valid)
            .map(|n| PortNo(n.into()));
        let all = || (1..=MAX_NUMBER).map(|n| PortNo(n.into()));
        let full = || {
            ConfigError(format!(
                "{}: the bridge has no free port number",
                settings.name
            ))
        };
        wished.chain(all()).find(free).ok_or_else(full)
    }
    /// OFPT_PORT_STATUS.
    pub(super) fn port_status(&mut self, id: PortId, reason: PortReason, out: &mut Vec<Output>) {
        if let Some(port) = self.ports.get(&id) {
            let body = Body::PortStatus(PortStatus {
                reason,
                desc: port.desc(),
            });
            self.send_event(
                port.view.bridge,
                EventKind::PortStatus,
                reason as u32,
                &body,
                out,
            );
        }
    }
}

/// A counter that is not kept.
const UNKNOWN: u64 = u64::MAX;

/// OFPPF_* by speed in Mbit/s, full duplex (OpenFlow 1.3.5 section 7.2.1).
const SPEEDS: &[(u64, u32)] = &[
    (10, 1 << 1),
    (100, 1 << 3),
    (1_000, 1 << 5),
    (10_000, 1 << 6),
    (40_000, 1 << 7),
    (100_000, 1 << 8),
    (1_000_000, 1 << 9),
];
const SPEED_OTHER: u32 = 1 << 10;

impl Port {
    /// Sets or clears a bit of OFPPC_*, and what follows from it.
    pub(super) fn set_config_bit(&mut self, bit: u32, on: bool) {
        let config = &mut self.view.config;
        *config = if on { *config | bit } else { *config & !bit };
        self.view.live = self.state.link_up && self.view.config & port_config::PORT_DOWN == 0;
    }
    /// What went through it since it was added.
    pub(super) fn totals(&self, stats: &Stats) -> PortTotals {
        let (now, before) = (stats.port(self.view.id), &self.baseline);
        PortTotals {
            rx_packets: now.rx_packets.wrapping_sub(before.rx_packets),
            rx_bytes: now.rx_bytes.wrapping_sub(before.rx_bytes),
            tx_packets: now.tx_packets.wrapping_sub(before.tx_packets),
            tx_bytes: now.tx_bytes.wrapping_sub(before.tx_bytes),
            rx_dropped: now.rx_dropped.wrapping_sub(before.rx_dropped),
            tx_dropped: now.tx_dropped.wrapping_sub(before.tx_dropped),
            bpdus: now.bpdus.since(&before.bpdus),
        }
    }
    /// What its tunnel counted; `None`: it is none.
    pub(super) fn tunnel_totals(&self, stats: &Stats) -> Option<TunnelTotals> {
        matches!(self.settings.kind, PortType::Tunnel(_))
            .then(|| stats.tunnel(self.view.id).since(&self.tunnel_baseline))
    }
    /// TSUNAGI_BPDU.
    pub(super) fn bpdu_stats(&self, stats: &Stats) -> BpduStats {
        let totals = self.totals(stats);
        BpduStats {
            port: self.view.number,
            rx: totals.bpdus.rx,
            tx: totals.bpdus.tx,
            outer: self.tunnel_totals(stats).map(|totals| OuterStats {
                rx_packets: totals.get(TunnelCounter::RxPackets),
                rx_bytes: totals.get(TunnelCounter::RxBytes),
                rx_errors: totals.sum(Class::RxError),
                tx_packets: totals.get(TunnelCounter::TxPackets),
                tx_bytes: totals.get(TunnelCounter::TxBytes),
                tx_errors: totals.sum(Class::TxError),
            }),
        }
    }
    /// OFPMP_PORT_STATS.
    pub(super) fn stats(&self, now: Time, stats: &Stats) -> PortStats {
        let totals = self.totals(stats);
        PortStats {
            port: self.view.number,
            rx_packets: totals.rx_packets,
            tx_packets: totals.tx_packets,
            rx_bytes: totals.rx_bytes,
            tx_bytes: totals.tx_bytes,
            rx_dropped: totals.rx_dropped + self.device.rx_dropped,
            tx_dropped: totals.tx_dropped + self.device.tx_dropped,
            rx_errors: self.device.rx_errors,
            tx_errors: self.device.tx_errors,
            rx_frame_err: UNKNOWN,
            rx_over_err: UNKNOWN,
            rx_crc_err: UNKNOWN,
            collisions: UNKNOWN,
            duration: duration(now.since(self.created)),
            custom: Vec::new(),
            rfc2819: None,
        }
    }
    /// As controllers see it.
    pub(super) fn desc(&self) -> PortDesc {
        let mbps = self.state.speed / 1_000_000;
        let known = SPEEDS.iter().find(|(speed, _)| *speed == mbps);
        let current = match (mbps, known) {
            (0, _) => 0,
            (_, Some((_, bit))) => *bit,
            (_, None) => SPEED_OTHER,
        };
        let down = if self.state.link_up {
            0
        } else {
            port_state::LINK_DOWN
        };
        let live = if self.view.live { port_state::LIVE } else { 0 };
        PortDesc {
            port: self.view.number,
            hw_addr: self.view.mac,
            name: self.settings.name.clone(),
            config: self.view.config,
            state: down | live,
            current,
            current_speed_kbps: u32::try_from(self.state.speed / 1000).unwrap_or(u32::MAX),
            ..Default::default()
        }
    }
}
