//! What the operator sets: bridges, ports and connections, as the database rows say it. Whoever calls
//! control has parsed the text; what is wrong between values is refused here, in words for the row.

use crate::model::id::BridgeId;
use crate::model::tunnel::TunnelConfig;
use crate::model::{PortId, VlanMode, reserved};
use ofp::field::Subfield;
use ofp::message::SwitchDesc;
use ofp::types::{TableId, Version};
use packet::MacAddr;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a setting was refused: one sentence for the row, naming the offending word.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// What a bridge does while it has no controller (Bridge table, `fail_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the column's")]
pub enum FailMode {
    #[default]
    Standalone,
    Secure,
}

/// A table's settings (Flow_Table table).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableSettings {
    /// `name`; empty: controllers name it.
    pub name: String,
    /// `flow_limit`.
    pub flow_limit: Option<u32>,
    /// `overflow_policy` is `evict`.
    pub evict: bool,
    /// `groups`: the largest group of flows with the same values of these loses one first.
    pub groups: Vec<Subfield>,
}

/// A bridge's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct BridgeSettings {
    /// Its LOCAL port's address.
    pub mac: MacAddr,
    /// Reported to controllers.
    pub datapath_id: u64,
    /// Without a controller.
    pub fail_mode: FailMode,
    /// Whether controllers are configured. A change flushes all flows.
    pub has_controllers: bool,
    /// What NORMAL does with reserved destinations.
    pub reserved: reserved::Policy,
    /// `mac-aging-time`, 15..=3600.
    pub mac_aging_secs: u32,
    /// `mac-table-size`, 10..=1,000,000.
    pub mac_table_size: u32,
    /// `flow_tables`.
    pub tables: BTreeMap<TableId, TableSettings>,
    /// Reported to controllers.
    pub desc: SwitchDesc,
}

impl Default for BridgeSettings {
    fn default() -> BridgeSettings {
        let text = |s: &str| s.to_owned();
        BridgeSettings {
            mac: MacAddr::from_u64(0),
            datapath_id: 0,
            fail_mode: FailMode::Standalone,
            has_controllers: false,
            reserved: reserved::Policy::default(),
            mac_aging_secs: 300,
            mac_table_size: 8192,
            tables: BTreeMap::new(),
            desc: SwitchDesc {
                manufacturer: text("Tsunagi"),
                hardware: text("Tsunagi"),
                software: text(env!("CARGO_PKG_VERSION")),
                serial: text("None"),
                datapath: text("None"),
            },
        }
    }
}

/// What a port is, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortType {
    /// A device whose frames the workers move (`system`, `dpdk`).
    Device,
    /// A tap (`internal`).
    Internal,
    /// The bridge's own interface: an internal port with the number LOCAL.
    Local,
    /// The port of another bridge with this name, which has to name this one.
    Patch {
        /// Its name.
        peer: String,
    },
    /// A tunnel.
    Tunnel(TunnelConfig),
}

/// A queue's settings; rates in bit/s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of other_config")]
pub struct QueueSettings {
    pub min_rate: Option<u64>,
    pub max_rate: Option<u64>,
}

/// A port's queues (QoS and Queue tables).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Of all together, in bit/s.
    pub max_rate: Option<u64>,
    /// By number.
    pub queues: BTreeMap<u32, QueueSettings>,
}

/// A port's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Interface name; one port of the whole switch has it.
    pub name: String,
    /// What it is.
    pub kind: PortType,
    /// `ofport_request`, 1..=65279.
    pub number_request: Option<u16>,
    /// The number that it had, from the database; taken if it is free.
    pub number_stored: Option<u16>,
    /// For NORMAL.
    pub vlan: VlanMode,
    /// What controllers are told of its queues.
    pub queues: Queues,
    /// Its address, until [`super::Switch::set_port_state`] says otherwise.
    pub mac: MacAddr,
}

impl PortSettings {
    /// A port with this name and kind: any number, a trunk of all VLANs.
    pub fn new(name: &str, kind: PortType) -> PortSettings {
        PortSettings {
            name: name.to_owned(),
            kind,
            number_request: None,
            number_stored: None,
            vlan: VlanMode::Trunk { trunks: None },
            queues: Queues::default(),
            mac: MacAddr::from_u64(0),
        }
    }
}

/// A connection's number, given by who accepts connections; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnKind {
    /// A configured controller, which the switch connects to.
    Controller,
    /// Whoever connected to the switch (`<bridge>.mgmt`, `ptcp:`, `punix:`): gets no events before it
    /// asks for them by SET_CONFIG with a miss_send_len above 0.
    Service,
}

/// A bound on packet-ins (Controller table, `controller_rate_limit` and `controller_burst_limit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Packets per second.
    pub rate: u32,
    /// Packets at once.
    pub burst: u32,
}

/// A controller that a bridge is configured to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerSettings {
    /// Where it is, as OFPT_CONTROLLER_STATUS says it.
    pub uri: String,
    /// Its connection, while there is one.
    pub conn: Option<ConnId>,
}

/// What makes a connection an auxiliary one (OpenFlow 1.3.5 section 6.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auxiliary {
    /// The main connection, which has its role and its settings.
    pub main: ConnId,
    /// From 1.
    pub id: u8,
}

/// A connection's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnSettings {
    /// Its bridge.
    pub bridge: BridgeId,
    /// Who.
    pub kind: ConnKind,
    /// Negotiated.
    pub version: Version,
    /// `None`: no limit here.
    pub packet_in_limit: Option<RateLimit>,
    /// Whether it gets events at all (`enable_async_messages`).
    pub events: bool,
    /// `None`: a main connection.
    pub auxiliary: Option<Auxiliary>,
}

/// A learnt address as `fdb/show` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct FdbEntry {
    pub port: PortId,
    pub vlan: u16,
    pub mac: MacAddr,
    pub age_secs: u64,
}
