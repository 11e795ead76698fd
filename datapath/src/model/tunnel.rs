//! Tunnel ports as the workers see them: their settings, the resolved underlay, and the map by which
//! a received tunnel packet finds its port.

use super::id::BridgeId;
use super::id::PortId;
use ofp::key::{Place, word};
use packet::MacAddr;
use packet::l2tpv3::{Cookie, Sublayer};
use rustc_hash::FxHashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A kind of encapsulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TunnelType {
    Vxlan,
    Gre,
    Geneve,
    L2tpv3,
    Gpw,
}

/// An encapsulation, with what only it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Encap {
    /// VXLAN (RFC 7348).
    Vxlan {
        /// `exts=gbp`: the group policy extension (draft-smith-vxlan-group-policy).
        gbp: bool,
        /// `exts=gpe`: the generic protocol extension (draft-ietf-nvo3-vxlan-gpe).
        gpe: bool,
    },
    /// GRE (RFC 2784, RFC 2890).
    Gre {
        /// Sent packets are numbered.
        sequence: bool,
    },
    /// Geneve (RFC 8926).
    Geneve,
    /// L2TPv3 (RFC 3931); session ids are the tunnel's keys.
    L2tpv3(L2tpv3),
    /// The two-byte pseudowire.
    Gpw {
        /// Of the control word's bytes.
        order: packet::gpw::Order,
        /// How parts are put together.
        mode: crate::fragment::gpw::Mode,
    },
}

/// What only an L2TPv3 session has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct L2tpv3 {
    /// Over UDP, or over IP.
    pub over: packet::l2tpv3::Encap,
    /// In sent packets.
    pub cookie: Cookie,
    /// Expected in received packets.
    pub peer_cookie: Cookie,
    /// Both directions.
    pub sublayer: Sublayer,
    /// Sent packets are numbered; else they are from when the peer's are (as Linux does it).
    pub send_sequence: bool,
    /// Received packets must be numbered, and in order.
    pub receive_sequence: bool,
    /// An Ethernet VLAN pseudowire (RFC 4719 section 3.2): each frame has this service tag here; the other end's id may
    /// be another one.
    pub service_vid: Option<u16>,
}

impl Encap {
    /// Its kind.
    pub const fn kind(&self) -> TunnelType {
        match self {
            Encap::Vxlan { .. } => TunnelType::Vxlan,
            Encap::Gre { .. } => TunnelType::Gre,
            Encap::Geneve => TunnelType::Geneve,
            Encap::L2tpv3(_) => TunnelType::L2tpv3,
            Encap::Gpw { .. } => TunnelType::Gpw,
        }
    }
}

/// The other end of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remote {
    /// This host.
    Ip(IpAddr),
    /// Sent: the packet's `tun_dst` or `tun_ipv6_dst`. Received: any.
    Flow,
    /// A station on the link (gpw over Ethernet).
    Link(MacAddr),
}

/// Our end of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Local {
    /// As the route says, and any of ours when receiving.
    #[default]
    Any,
    /// This address.
    Ip(IpAddr),
    /// Sent: the packet's `tun_src` or `tun_ipv6_src`, if it has one. Received: any.
    Flow,
}

/// The bit of the key's tunnel words that says that a packet is sent without its Ethernet header, by tunnels that carry both.
pub const BARE: Place = Place::new(word::TUN_META, 0, 1);

/// What a tunnel's packets hold (Open vSwitch's `options:packet_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Ethernet frames (`legacy_l2`).
    #[default]
    Ethernet,
    /// IP packets (`legacy_l3`): sent without their Ethernet header, and received ones get one.
    Ip,
    /// What the tunnel's header says (`ptap`); frames are sent whole.
    Any,
}

/// What happens to a tunnel packet that is larger than its path allows (`options:fragment`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fragmentation {
    /// It is split.
    #[default]
    Auto,
    /// As above, and nothing that the path says is trusted: IPv4 packets never have DF and are split at the egress
    /// interface's MTU, IPv6 packets at 1280 bytes, which every path carries (RFC 8200 section 5).
    Always,
    /// The sender of the frame inside is told (ICMP, ICMPv6); inner IPv4 packets without DF are split instead.
    Never,
    /// It is split at this size, or at the path's MTU if that is smaller.
    Mtu(u16),
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
    pub encap: Encap,
    /// The other end.
    pub remote: Remote,
    /// Our end.
    pub local: Local,
    /// Key expected in received packets.
    pub in_key: TunnelKey,
    /// Key of sent packets.
    pub out_key: TunnelKey,
    /// UDP port that packets are sent to; 0 for encapsulations without.
    pub port: u16,
    /// UDP port that packets are received at; 0 as above.
    pub local_port: u16,
    /// Compute the (UDP, GRE) checksum of sent packets.
    pub csum: bool,
    /// DSCP of the outer header; its ECN bits always follow RFC 6040.
    pub tos: ByteChoice,
    /// TTL or hop limit of the outer header.
    pub ttl: ByteChoice,
    /// Set the outer IPv4 header's DF bit on what is not split.
    pub df: bool,
    /// What is too large.
    pub fragmentation: Fragmentation,
    /// What is inside.
    pub layer: Layer,
}

impl TunnelConfig {
    /// A tunnel with the defaults of Open vSwitch: no key, no UDP ports, TTL 64, DF.
    pub fn new(encap: Encap, remote: Remote) -> TunnelConfig {
        TunnelConfig {
            encap,
            remote,
            local: Local::Any,
            in_key: TunnelKey::None,
            out_key: TunnelKey::None,
            port: 0,
            local_port: 0,
            csum: false,
            tos: ByteChoice::Value(0),
            ttl: ByteChoice::Value(64),
            df: true,
            fragmentation: Fragmentation::Auto,
            layer: Layer::Ethernet,
        }
    }
    /// The same with its UDP port, to which packets are sent and at which they are received.
    pub fn with_port(mut self, port: u16) -> TunnelConfig {
        (self.port, self.local_port) = (port, port);
        self
    }
    /// The same with its key, in both directions.
    pub fn with_key(mut self, key: TunnelKey) -> TunnelConfig {
        (self.in_key, self.out_key) = (key, key);
        self
    }
    /// The ends that a packet names, by what it says of its tunnel; for remote ends of [`Remote::Flow`]. `None`: it names none, or one
    /// of another family than our own.
    pub fn ends(&self, words: &Words) -> Option<Ends> {
        let at = |index: usize| words[index - word::TUN_ID];
        let long = |index: usize| u128::from(at(index)) << 64 | u128::from(at(index + 1));
        let (src, dst) = ((at(word::TUN_IPV4) >> 32) as u32, at(word::TUN_IPV4) as u32);
        let (remote, source): (IpAddr, IpAddr) = match dst {
            0 => (
                Ipv6Addr::from_bits(long(word::TUN_IPV6_DST)).into(),
                Ipv6Addr::from_bits(long(word::TUN_IPV6_SRC)).into(),
            ),
            _ => (
                Ipv4Addr::from_bits(dst).into(),
                Ipv4Addr::from_bits(src).into(),
            ),
        };
        let local = match self.local {
            Local::Any => None,
            Local::Ip(ip) => Some(ip),
            Local::Flow => Some(source).filter(|ip| !ip.is_unspecified()),
        };
        let is_host = !remote.is_unspecified() && !remote.is_multicast();
        let is_family = local.is_none_or(|ip| ip.is_ipv4() == remote.is_ipv4());
        (is_host && is_family).then_some((remote, local))
    }
    /// The encapsulation's kind.
    pub const fn kind(&self) -> TunnelType {
        self.encap.kind()
    }
    /// The other end's address, if it is always the same.
    pub const fn remote_ip(&self) -> Option<IpAddr> {
        match self.remote {
            Remote::Ip(ip) => Some(ip),
            Remote::Flow | Remote::Link(_) => None,
        }
    }
    /// Our address, if it is set.
    pub const fn local_ip(&self) -> Option<IpAddr> {
        match self.local {
            Local::Ip(ip) => Some(ip),
            Local::Any | Local::Flow => None,
        }
    }
}

/// How a tunnel's packets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Into this bridge, as if its LOCAL interface had sent them (the native underlay).
    Bridge(BridgeId),
    /// By this port as they are: one of the host's sockets (the kernel underlay), or the link of a pseudowire over Ethernet.
    Port(PortId),
}

/// Where the packets of a tunnel go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// How they leave.
    pub exit: Exit,
    /// Outer source address; `None` over Ethernet.
    pub source: Option<IpAddr>,
    /// Our MAC address.
    pub source_mac: MacAddr,
    /// The next hop's. (Zero where the host's kernel adds the link header.)
    pub next_hop_mac: MacAddr,
    /// The path's MTU in bytes, as far as the kernel knows.
    pub mtu: u16,
    /// The egress interface's own MTU in bytes.
    pub egress_mtu: u16,
}

/// What a tunnel's packets have in common beyond its settings: numbers that any worker takes. It stays while settings and
/// route change.
#[derive(Debug, Default)]
pub struct TunnelState {
    /// The next sequence number (GRE, L2TPv3).
    pub sequence: AtomicU32,
    /// What is known of the peer's numbers; its meaning is the encapsulation's.
    pub received: AtomicU64,
    /// Split frames so far (gpw).
    pub splits: AtomicU32,
}

/// A tunnel: settings, and where its packets go (`None` while route or neighbour is unknown).
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Settings.
    pub config: TunnelConfig,
    /// Where to; not for a remote end that each packet names, see `Snapshot::routes`.
    pub route: Option<Route>,
    /// Numbers.
    pub state: Arc<TunnelState>,
}

impl PartialEq for Tunnel {
    fn eq(&self, other: &Tunnel) -> bool {
        self.config == other.config
            && self.route == other.route
            && Arc::ptr_eq(&self.state, &other.state)
    }
}

/// What a packet says of its tunnel: the words `TUN_ID` to `TUN_META` of its key.
pub type Words = [u64; word::METADATA - word::TUN_ID];

/// The ends of a tunnel packet that names its own remote end: remote, and local if it is given.
pub type Ends = (IpAddr, Option<IpAddr>);

/// Who sent a tunnel packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A host.
    Ip(IpAddr),
    /// A station on the link.
    Link(MacAddr),
}

/// What a received tunnel packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// Encapsulation.
    pub kind: TunnelType,
    /// UDP destination port, or 0.
    pub port: u16,
    /// Outer source address.
    pub remote: Peer,
    /// Outer destination address; `None` over Ethernet.
    pub local: Option<IpAddr>,
    /// Its key; `None`: the header has none.
    pub key: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    kind: TunnelType,
    port: u16,
    /// `None`: any.
    remote: Option<Peer>,
    local: Option<IpAddr>,
    key: TunnelKey,
}

/// Finds the port of a received tunnel packet: the most specific settings win.
#[derive(Clone, Debug, Default)]
pub struct TunnelMap {
    ports: FxHashMap<Entry, PortId>,
    /// Number of ports per (type, UDP port): is it a tunnel packet at all?
    listening: FxHashMap<(TunnelType, u16), usize>,
    /// Number of ports per remote address; `None`: those whose packets may come from any.
    remotes: FxHashMap<Option<IpAddr>, usize>,
}

impl TunnelMap {
    fn entry(config: &TunnelConfig) -> Entry {
        Entry {
            kind: config.kind(),
            port: config.local_port,
            remote: match config.remote {
                Remote::Ip(ip) => Some(Peer::Ip(ip)),
                Remote::Link(mac) => Some(Peer::Link(mac)),
                Remote::Flow => None,
            },
            local: config.local_ip(),
            key: config.in_key.received(),
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
                .entry((config.kind(), config.local_port))
                .or_default() += 1;
            if !matches!(config.remote, Remote::Link(_)) {
                *self.remotes.entry(config.remote_ip()).or_default() += 1;
            }
        }
    }
    /// Removes a port.
    pub fn remove(&mut self, config: &TunnelConfig, port: PortId) {
        let entry = Self::entry(config);
        if self.ports.get(&entry) != Some(&port) {
            return;
        }
        self.ports.remove(&entry);
        let of = (config.kind(), config.local_port);
        if let Some(len) = self.listening.get_mut(&of) {
            *len -= 1;
            if *len == 0 {
                self.listening.remove(&of);
            }
        }
        let of = config.remote_ip();
        if let Some(len) = self.remotes.get_mut(&of)
            && !matches!(config.remote, Remote::Link(_))
        {
            *len -= 1;
            if *len == 0 {
                self.remotes.remove(&of);
            }
        }
    }
    /// Whether a host may be the other end of a tunnel.
    pub fn may_come_from(&self, remote: IpAddr) -> bool {
        self.remotes.contains_key(&Some(remote)) || self.remotes.contains_key(&None)
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
        let find = |key, remote, local| {
            let Received { kind, port, .. } = *packet;
            self.ports.get(&Entry {
                kind,
                port,
                remote,
                local,
                key,
            })
        };
        // The order of Open vSwitch's search: key before remote before local.
        for key in [exact.received(), TunnelKey::Flow] {
            for remote in [Some(packet.remote), None] {
                for local in [packet.local, None] {
                    if let Some(port) = find(key, remote, local) {
                        return Some(*port);
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_and_a_key_of_0_are_one() {
        let remote = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let gre = Encap::Gre { sequence: false };
        let config = |in_key| TunnelConfig::new(gre.clone(), Remote::Ip(remote)).with_key(in_key);
        let packet = |key| Received {
            kind: TunnelType::Gre,
            port: 0,
            remote: Peer::Ip(remote),
            local: Some(remote),
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
