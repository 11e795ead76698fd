//! What users see of the switch's state beside OpenFlow: learnt addresses, totals.

use super::Switch;
use super::settings::{ConnId, FdbEntry};
use crate::model::stats::PortTotals;
use crate::model::tunnel::Tunnel;
use crate::model::{BridgeId, PortId, PortKind};
use crate::time::Time;
use ofp::bpdu::BpduStats;
use ofp::message::PortStats;
use ofp::types::{PortNo, TableId};

impl Switch {
    /// A bridge's learnt addresses, by VLAN and address.
    pub fn fdb(&self, now: Time, id: BridgeId) -> Vec<FdbEntry> {
        let Some(bridge) = self.bridges.get(&id) else {
            return Vec::new();
        };
        let entries = bridge.config.macs.entries().into_iter();
        let mut list: Vec<FdbEntry> = entries
            .map(|e| FdbEntry {
                port: e.port,
                vlan: e.vlan,
                mac: e.mac,
                age_secs: now.since(e.used).as_secs(),
            })
            .collect();
        list.sort_unstable_by_key(|e| (e.vlan, e.mac));
        list
    }
    /// Forgets a bridge's learnt addresses.
    pub fn flush_fdb(&mut self, id: BridgeId) {
        if let Some(bridge) = self.bridges.get(&id) {
            bridge.config.macs.expire(|_| true);
        }
    }
    /// What went through a port since it was added.
    pub fn port_totals(&self, id: PortId) -> Option<PortTotals> {
        Some(self.ports.get(&id)?.totals(&self.stats))
    }
    /// A port's counters as OFPMP_PORT_STATS says them.
    pub fn port_counters(&self, now: Time, id: PortId) -> Option<PortStats> {
        Some(self.ports.get(&id)?.stats(now, &self.stats))
    }
    /// A port's BPDUs, and its tunnel's counters, as TSUNAGI_BPDU says them.
    pub fn bpdu_counters(&self, id: PortId) -> Option<BpduStats> {
        Some(self.ports.get(&id)?.bpdu_stats(&self.stats))
    }
    /// A tunnel's counters.
    pub fn tunnel_counters(&self, id: PortId) -> Option<crate::model::tunnel_stats::TunnelTotals> {
        self.ports.get(&id)?.tunnel_totals(&self.stats)
    }
    /// A tunnel: its settings, and where its packets go.
    pub fn tunnel(&self, id: PortId) -> Option<&Tunnel> {
        match &self.ports.get(&id)?.view.kind {
            PortKind::Tunnel(tunnel) => Some(tunnel),
            _ => None,
        }
    }
    /// A connection's role, as OFPT_ROLE_REQUEST numbers it.
    pub fn role(&self, conn: ConnId) -> Option<u32> {
        Some(self.connections.get(&conn)?.role as u32 + 1)
    }
    /// A port's number.
    pub fn port_number(&self, id: PortId) -> Option<PortNo> {
        Some(self.ports.get(&id)?.view.number)
    }
    /// A port by its interface name, in any bridge.
    pub fn port_by_name(&self, name: &str) -> Option<PortId> {
        self.names.get(name).copied()
    }
    /// Number of flows of a bridge.
    pub fn flows_len(&self, id: BridgeId) -> usize {
        self.bridges
            .get(&id)
            .map_or(0, |bridge| bridge.flows.len(TableId::ALL))
    }
    /// The workers' counters.
    pub fn stats(&self) -> &crate::model::stats::Stats {
        &self.stats
    }
}
