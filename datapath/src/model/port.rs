//! Ports as the workers see them.

use super::id::{BridgeId, PortId};
use super::tunnel::Tunnel;
use ofp::types::PortNo;
use packet::MacAddr;
use std::sync::Arc;

/// Most ports that one switch can have.
pub const MAX_PORTS: usize = 65_536;

/// How NORMAL treats a port's VLANs (Port table, `vlan_mode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VlanMode {
    /// Untagged frames belong to `tag`; tagged ones are dropped.
    Access {
        /// 0..=4095.
        tag: u16,
    },
    /// Tagged frames of the listed VLANs (all if the list is `None`); untagged ones are VLAN 0.
    Trunk {
        /// Bit set of 4096 bits.
        trunks: Option<Box<[u64; 64]>>,
    },
    /// As trunk, but untagged frames belong to `tag`; `tag` leaves tagged (`native-tagged`) or untagged.
    Native {
        /// 0..=4095.
        tag: u16,
        /// Bit set of 4096 bits.
        trunks: Option<Box<[u64; 64]>>,
        /// Whether `tag` leaves with its tag.
        tagged: bool,
    },
}

/// What a port is.
#[derive(Clone, Debug, PartialEq)]
pub enum PortKind {
    /// Moves frames by queues that the workers hold under this port's id.
    Device,
    /// As `Device`; the bridge's own interface or another tap. Tunnel packets that are sent to one
    /// of the host's addresses through it are decapsulated instead.
    Internal,
    /// Frames go on in the peer's bridge; `None`: no peer yet.
    Patch {
        /// The other end.
        peer: Option<PortId>,
    },
    /// Frames are encapsulated.
    Tunnel(Arc<Tunnel>),
    /// The host's own stack as an underlay: what it sends up are tunnel packets (with headers that say whose), and nothing
    /// else; it belongs to no bridge.
    Host,
}

impl PortKind {
    /// The tunnel, if it is one.
    #[inline]
    pub fn tunnel(&self) -> Option<&Arc<Tunnel>> {
        match self {
            PortKind::Tunnel(tunnel) => Some(tunnel),
            _ => None,
        }
    }
}

/// A port.
#[derive(Clone, Debug, PartialEq)]
pub struct PortView {
    /// Its index.
    pub id: PortId,
    /// Its bridge.
    pub bridge: BridgeId,
    /// Its OpenFlow number.
    pub number: PortNo,
    /// Interface name.
    pub name: Arc<str>,
    /// What it is.
    pub kind: PortKind,
    /// `ofp::message::port_config` bits.
    pub config: u32,
    /// Link up: frames may be sent to it.
    pub live: bool,
    /// Largest layer-3 packet in bytes.
    pub mtu: u16,
    /// Its own address.
    pub mac: MacAddr,
    /// For NORMAL.
    pub vlan: VlanMode,
}
