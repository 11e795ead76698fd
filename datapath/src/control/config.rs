//! OFPT_SET_CONFIG and its query, OFPT_SET_ASYNC and its query, and Nicira's per-connection settings.

use super::Switch;
use super::connection::{DEFAULT_MISS_SEND_LEN, known_removals};
use super::settings::{ConnId, ConnKind};
use ofp::error::OfError;
use ofp::message::{ASYNC_KINDS, AsyncChange, AsyncConfig, SwitchConfig};
use ofp::types::Version;

/// OFPC_FRAG_*.
const FRAG_NX_MATCH: u8 = 3;

/// Reasons of the kinds of events, in the order of [`AsyncChange::kinds`] (OpenFlow 1.5.1 section 7.3.10).
const KNOWN_REASONS: [u32; ASYNC_KINDS] = [0x3f, 0x7, 0x3f, 0x7, 0x18, 0x3, 0x3, 0x7f];

impl Switch {
    /// OFPT_GET_CONFIG_REQUEST.
    pub(super) fn get_config_request(&self, conn: ConnId) -> SwitchConfig {
        let connection = &self.connections[&conn];
        SwitchConfig {
            frag: self.bridges[&connection.bridge].config.frag,
            ..connection.config
        }
    }
    /// OFPT_SET_CONFIG. Fragment handling is the bridge's, the rest is the connection's.
    pub(super) fn set_config(&mut self, conn: ConnId, config: SwitchConfig) -> Result<(), OfError> {
        if config.frag > FRAG_NX_MATCH {
            return Err(OfError::ConfigFlags);
        }
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        connection.config = config;
        // A packet whose TTL expires is sent to those who ask for it here (1.1, 1.2), or by SET_ASYNC.
        if config.invalid_ttl_to_controller {
            connection.wanted.packet_in[0] |= 1 << 2;
        }
        let id = connection.bridge;
        let bridge = self.bridges.get_mut(&id).expect("outlives its connections");
        if bridge.config.frag != config.frag {
            bridge.config.frag = config.frag;
            self.stage_bridge(id);
        }
        self.update_miss(id);
        Ok(())
    }
    /// OFPT_GET_ASYNC_REQUEST.
    pub(super) fn get_async_request(&self, conn: ConnId) -> AsyncConfig {
        let connection = &self.connections[&conn];
        let wanted = connection.wanted;
        let known = |masks: [u32; 2], reasons: u32| masks.map(|mask| mask & reasons);
        let removals = known_removals(connection.version);
        match connection.version {
            // Later versions have more reasons, and more kinds.
            version if version < Version::V14 => AsyncConfig {
                packet_in: known(wanted.packet_in, 0b111),
                port_status: known(wanted.port_status, 0b111),
                flow_removed: known(wanted.flow_removed, removals),
                ..AsyncConfig::default()
            },
            Version::V14 => AsyncConfig {
                flow_stats: [0, 0],
                controller_status: [0, 0],
                ..wanted
            },
            _ => wanted,
        }
    }
    /// OFPT_SET_ASYNC. Who asks for events wants some: a service connection has them from now on.
    pub(super) fn set_async(&mut self, conn: ConnId, wanted: AsyncChange) -> Result<(), OfError> {
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        let masks = wanted.kinds().into_iter().zip(KNOWN_REASONS);
        let unknown = |(masks, known): ([Option<u32>; 2], u32)| {
            masks.iter().flatten().any(|mask| mask & !known != 0)
        };
        // Before 1.4 there is no such error, and controllers set all bits.
        if connection.version >= Version::V14 && { masks }.any(unknown) {
            return Err(OfError::AsyncInvalid);
        }
        connection.wanted = connection.wanted.with(wanted);
        if connection.kind == ConnKind::Service && connection.config.miss_send_len == 0 {
            connection.config.miss_send_len = DEFAULT_MISS_SEND_LEN;
        }
        let bridge = connection.bridge;
        self.update_miss(bridge);
        Ok(())
    }
    /// NXT_SET_CONTROLLER_ID.
    pub(super) fn set_controller_id(&mut self, conn: ConnId, id: u16) {
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        connection.controller_id = id;
        let bridge = connection.bridge;
        self.update_miss(bridge);
    }
}
