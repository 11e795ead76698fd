//! Tunnel ports as the workers see them: their settings, the resolved underlay, and the map by which
//! a received tunnel packet finds its port.

use super::port::PortId;
use super::snapshot::BridgeId;
use packet::MacAddr;
use rustc_hash::FxHashMap;
use std::net::IpAddr;

/// A kind of encapsulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TunnelType {
    Vxlan,
    Gre,
}

/// A key (VNI, GRE key) of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TunnelKey {
    /// GRE: no key in the header. VXLAN: 0.
    #[default]
    None,
    /// This one.
    Value(u64),
    /// Sent: the packet's `tun_id`. Received: any, and it becomes `tun_id`.
    Flow,
}

impl TunnelKey {
    /// As received packets are compared with it: "no key or a key of 0" are one (ovs-vswitchd.conf.db(5),
    /// `options:in_key`), and a VXLAN header always has a key.
    pub fn received(self) -> TunnelKey {
        match self {
            TunnelKey::Value(0) => TunnelKey::None,
            key => key,
        }
    }
}

/// A header byte that is set, or copied from the inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteChoice {
    /// This value.
    Value(u8),
    /// The inner IP header's, or 0 (64 for a TTL) if it is not IP.
    Inherit,
}

/// A tunnel port's settings, as `options` say them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TunnelConfig {
    /// Encapsulation.
    pub kind: TunnelType,
    /// The other end.
    pub remote: IpAddr,
    /// Our end; `None`: as the route says, and any of ours when receiving.
    pub local: Option<IpAddr>,
    /// Key expected in received packets.
    pub in_key: TunnelKey,
    /// Key of sent packets.
    pub out_key: TunnelKey,
    /// UDP port; 0 for those without.
    pub port: u16,
    /// Compute the (UDP, GRE) checksum of sent packets.
    pub csum: bool,
    /// DSCP of the outer header; its ECN bits always follow RFC 6040.
    pub tos: ByteChoice,
    /// TTL or hop limit of the outer header.
    pub ttl: ByteChoice,
    /// Set the outer IPv4 header's DF bit.
    pub df: bool,
}

/// Where the packets of a tunnel go: into a bridge, as if its LOCAL interface had sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The underlay bridge.
    pub bridge: BridgeId,
    /// Outer source address.
    pub source: IpAddr,
    /// Our MAC address.
    pub source_mac: MacAddr,
    /// The next hop's.
    pub next_hop_mac: MacAddr,
    /// The underlay's MTU in bytes.
    pub mtu: u16,
}

/// A tunnel: settings, and where its packets go (`None` while route or neighbour is unknown).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Settings.
    pub config: TunnelConfig,
    /// Where to.
    pub route: Option<Route>,
}

/// What a received tunnel packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// Encapsulation.
    pub kind: TunnelType,
    /// UDP destination port, or 0.
    pub port: u16,
    /// Outer source address.
    pub remote: IpAddr,
    /// Outer destination address.
    pub local: IpAddr,
    /// Its key; `None`: the header has none.
    pub key: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    kind: TunnelType,
    port: u16,
    remote: IpAddr,
    local: Option<IpAddr>,
    key: TunnelKey,
}

/// Finds the port of a received tunnel packet: the most specific settings win
/// (ovs-vswitchd.conf.db(5), "Tunnel Options": remote before local before key).
#[derive(Clone, Debug, Default)]
pub struct TunnelMap {
    ports: FxHashMap<Entry, PortId>,
    /// Number of ports per (type, UDP port): is it a tunnel packet at all?
    listening: FxHashMap<(TunnelType, u16), usize>,
}

impl TunnelMap {
    fn entry(config: &TunnelConfig) -> Entry {
        let TunnelConfig {
            kind,
            port,
            remote,
            local,
            in_key,
            ..
        } = *config;
        Entry {
            kind,
            port,
            remote,
            local,
            key: in_key.received(),
        }
    }
    /// The port that has the same settings for received packets.
    pub fn equal(&self, config: &TunnelConfig) -> Option<PortId> {
        self.ports.get(&Self::entry(config)).copied()
    }
    /// Adds a port; settings that are equal to another port's are refused before (see `equal`).
    pub fn insert(&mut self, config: &TunnelConfig, port: PortId) {
        if self.ports.insert(Self::entry(config), port).is_none() {
            *self
                .listening
                .entry((config.kind, config.port))
                .or_default() += 1;
        }
    }
    /// Removes a port.
    pub fn remove(&mut self, config: &TunnelConfig, port: PortId) {
        let entry = Self::entry(config);
        if self.ports.get(&entry) != Some(&port) {
            return;
        }
        self.ports.remove(&entry);
        let of = (config.kind, config.port);
        if let Some(len) = self.listening.get_mut(&of) {
            *len -= 1;
            if *len == 0 {
                self.listening.remove(&of);
            }
        }
    }
    /// Whether there is no tunnel at all.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }
    /// Whether packets of this type (and UDP port) may be a tunnel's.
    #[inline]
    pub fn listens(&self, kind: TunnelType, port: u16) -> bool {
        self.listening.contains_key(&(kind, port))
    }
    /// The port that a packet belongs to.
    pub fn lookup(&self, packet: &Received) -> Option<PortId> {
        let exact = packet.key.map_or(TunnelKey::None, TunnelKey::Value);
        [Some(packet.local), None].into_iter().find_map(|local| {
            [exact.received(), TunnelKey::Flow]
                .into_iter()
                .find_map(|key| {
                    let Received {
                        kind, port, remote, ..
                    } = *packet;
                    self.ports
                        .get(&Entry {
                            kind,
                            port,
                            remote,
                            local,
                            key,
                        })
                        .copied()
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn no_key_and_a_key_of_0_are_one() {
        let remote = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let config = |in_key| TunnelConfig {
            kind: TunnelType::Gre,
            remote,
            local: None,
            in_key,
            out_key: in_key,
            port: 0,
            csum: false,
            tos: ByteChoice::Value(0),
            ttl: ByteChoice::Value(64),
            df: true,
        };
        let packet = |key| Received {
            kind: TunnelType::Gre,
            port: 0,
            remote,
            local: remote,
            key,
        };
        for in_key in [TunnelKey::None, TunnelKey::Value(0)] {
            let mut map = TunnelMap::default();
            map.insert(&config(in_key), PortId(1));
            map.insert(&config(TunnelKey::Value(5)), PortId(2));
            let found = [None, Some(0), Some(5), Some(6)].map(|key| map.lookup(&packet(key)));
            let (first, second) = (Some(PortId(1)), Some(PortId(2)));
            assert_eq!(found, [first, first, second, None]);
            for other in [TunnelKey::None, TunnelKey::Value(0)] {
                assert_eq!(map.equal(&config(other)), first);
            }
            map.remove(&config(in_key), PortId(1));
            assert_eq!(map.lookup(&packet(None)), None);
        }
    }
}
