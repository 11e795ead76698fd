//! OFPT_FEATURES_REQUEST.

use super::Switch;
use super::settings::ConnId;
use ofp::message::{Features, PortDesc, capability};
use ofp::types::{TableId, Version};

/// OpenFlow 1.0's actions: output, set_vlan_vid, set_vlan_pcp, strip_vlan, the set_* family up to
/// set_tp_dst, and enqueue (bits 0 to 11).
const ACTIONS10: u32 = 0xfff;

impl Switch {
    /// OFPT_FEATURES_REQUEST.
    pub(super) fn features_request(&self, conn: ConnId) -> Features {
        let connection = &self.connections[&conn];
        let bridge = &self.bridges[&connection.bridge];
        let before_13 = connection.version < Version::V13;
        let since_13 = if before_13 {
            0
        } else {
            capability::GROUP_STATS
        };
        let since_14 = if connection.version < Version::V14 {
            0
        } else {
            capability::BUNDLES | capability::FLOW_MONITORING
        };
        let before = if before_13 {
            capability::ARP_MATCH_IP
        } else {
            0
        };
        Features {
            datapath_id: bridge.settings.datapath_id,
            n_buffers: 0,
            n_tables: TableId::LEN as u8,
            auxiliary_id: connection.auxiliary.map_or(0, |auxiliary| auxiliary.id),
            capabilities: capability::FLOW_STATS
                | capability::TABLE_STATS
                | capability::PORT_STATS
                | capability::QUEUE_STATS
                | capability::IP_REASM
                | since_13
                | since_14
                | before,
            actions: if connection.version == Version::V10 {
                ACTIONS10
            } else {
                0
            },
            ports: if before_13 {
                self.port_descs(conn)
            } else {
                Vec::new()
            },
        }
    }
    /// The ports of a connection's bridge, by number.
    pub(super) fn port_descs(&self, conn: ConnId) -> Vec<PortDesc> {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        bridge
            .ports
            .values()
            .map(|id| self.ports[id].desc())
            .collect()
    }
}
