//! Options of tunnel interfaces (ovs-vswitchd.conf.db(5), "Tunnel Options"): read row by row, held against each other, made
//! into the settings that the datapath takes; and tunnels held against each other.

pub mod options;

use super::Config;
use super::port::Kind;
use super::problem::Problem;
use super::row::Reader;
use datapath::model::tunnel::{
    ByteChoice, Encap, Fragmentation, L2tpv3, Layer, Local, Remote, TunnelConfig, TunnelKey,
    TunnelType,
};
use datapath::tunnel::TUNNELS;
use options::{ALIASES, Draft, OPTIONS, TYPES, Type, WITHOUT_EFFECT};
use packet::l2tpv3::{self, Sublayer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What the options of a tunnel say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelOptions {
    /// For the datapath.
    pub config: TunnelConfig,
    /// `options:via`: the port, bridge or network device by which a tunnel over Ethernet leaves.
    pub via: Option<String>,
}

/// The type of this name, if the datapath has it.
pub fn find(name: &str) -> Option<&'static Type> {
    types().find(|row| row.name == name)
}

/// The types that the datapath has.
pub fn types() -> impl Iterator<Item = &'static Type> {
    let has = |kind| TUNNELS.iter().any(|row| row.kind == kind);
    TYPES.iter().filter(move |row| has(row.kind))
}

/// The options of a type.
pub fn options_of(kind: TunnelType) -> impl Iterator<Item = &'static options::Row> {
    OPTIONS.iter().filter(move |row| row.types.contains(&kind))
}

/// Whether an option of this name changes something.
pub fn has_effect(name: &str) -> bool {
    OPTIONS.iter().any(|row| row.name == name) && !WITHOUT_EFFECT.contains(&name)
}

/// Reads the options of a tunnel. `None`: they are wrong, and that was said.
pub fn read(of: &Type, at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    let before = problems.len();
    let mut map = at.map("options");
    let mut draft = Draft::default();
    for row in options_of(of.kind) {
        let read = |word: &str| (row.read)(&mut draft, word).ok_or(row.values.to_owned());
        map.parse(row.name, problems, read);
    }
    let mut wrong = |text: String| at.problem(problems, text);
    for (alias, name) in ALIASES {
        if map.get(alias).is_some() && map.get(name).is_some() {
            wrong(format!(
                "options:{alias} is another name of options:{name}: give one of them"
            ));
        }
    }
    let keys = map.keys();
    let mut draft = Disagreements {
        of,
        has: &|key| keys.contains(&key),
        draft,
        wrong: &mut wrong,
    };
    let remote = draft.remote();
    draft.carrier(remote);
    draft.header();
    let draft = draft.draft;
    if problems.len() != before {
        return None;
    }
    let via = draft.via.clone();
    let config = config(of, draft, remote?);
    Some(Kind::Tunnel(TunnelOptions { config, via }))
}

/// What options that are right one by one do not agree on.
struct Disagreements<'a> {
    of: &'a Type,
    /// Whether an option was given, right or wrong.
    has: &'a dyn Fn(&str) -> bool,
    draft: Draft,
    wrong: &'a mut dyn FnMut(String),
}

impl Disagreements<'_> {
    fn say(&mut self, text: impl Into<String>) {
        (self.wrong)(text.into());
    }
    /// The remote end, which every tunnel has.
    fn remote(&mut self) -> Option<Remote> {
        let (has_ip, has_mac) = ((self.has)("remote_ip"), (self.has)("remote_mac"));
        match (self.of.kind, has_ip, has_mac) {
            (TunnelType::Gpw, true, true) => self.say(
                "options:remote_mac and options:remote_ip are both given: a pseudowire goes over Ethernet or over IPv6",
            ),
            (TunnelType::Gpw, false, false) => self.say(
                "gpw type requires valid 'remote_ip' argument (an IPv6 address), or 'remote_mac' with 'via'",
            ),
            (kind, false, _) if kind != TunnelType::Gpw => {
                let name = self.of.name;
                self.say(format!("{name} type requires valid 'remote_ip' argument"));
            }
            _ => {}
        }
        self.draft.remote
    }
    /// What the remote end asks of the way to it.
    fn carrier(&mut self, remote: Option<Remote>) {
        let Some(remote) = remote else { return };
        if self.draft.local == Some(Local::Flow) && remote != Remote::Flow {
            self.say("options:local_ip=\"flow\" needs remote_ip=flow");
        }
        let family = |ip: IpAddr| if ip.is_ipv4() { "an IPv4" } else { "an IPv6" };
        if let (Some(Local::Ip(local)), Remote::Ip(remote)) = (self.draft.local, remote)
            && local.is_ipv4() != remote.is_ipv4()
        {
            let right = family(remote);
            self.say(format!(
                "options:local_ip=\"{local}\" is not {right} address, as remote_ip is"
            ));
        }
        if let Some(Fragmentation::Mtu(mtu)) = self.draft.fragment
            && !matches!(remote, Remote::Ip(IpAddr::V4(_)))
            && mtu < 1280
        {
            // RFC 8200 section 5: "IPv6 requires that every link in the Internet have an MTU of 1280 octets or greater."
            let who = match remote {
                Remote::Link(_) => "the two parts of a frame need",
                _ => "IPv6 needs",
            };
            self.say(format!(
                "options:fragment=\"mtu:{mtu}\" is not mtu:N with N from 1280 to 65535, which {who}"
            ));
        }
        let is_link = matches!(remote, Remote::Link(_));
        match (is_link, self.draft.via.is_some()) {
            (true, false) if !(self.has)("via") => self.say(
                "options:remote_mac needs options:via: the name of a port, a bridge or a network device",
            ),
            (false, true) => {
                self.say("options:via is for remote_mac: a route leads to a remote_ip");
            }
            _ => {}
        }
        for name in OVER_IP {
            if is_link && (self.has)(name) {
                self.say(format!(
                    "options:{name} is for tunnels over IP, and remote_mac goes over Ethernet"
                ));
            }
        }
    }
    /// What the parts of the header ask of each other.
    fn header(&mut self) {
        let is_gpe = matches!(self.draft.extensions, Some((_, true)));
        if self.of.kind == TunnelType::Vxlan
            && !is_gpe
            && self.draft.layer.is_some_and(|l| l != Layer::Ethernet)
        {
            self.say("options:packet_type other than legacy_l2 needs exts=gpe");
        }
        if self.of.kind != TunnelType::L2tpv3 {
            return;
        }
        for name in ["local_session_id", "peer_session_id"] {
            if !(self.has)(name) {
                self.say(format!(
                    "l2tpv3 type requires '{name}' argument: a number from 1 to 4294967295"
                ));
            }
        }
        for name in OVER_UDP {
            if self.draft.encap == Some(l2tpv3::Encap::Ip) && (self.has)(name) {
                self.say(format!("options:{name} needs encap=udp"));
            }
        }
        let sequence = self.draft.sequence.unwrap_or_default();
        if self.draft.sublayer == Some(Sublayer::None) && sequence != (false, false) {
            self.say("options:seq needs sublayer=default, which has the numbers");
        }
        let (is_vlan, has_vid) = (self.draft.is_vlan == Some(true), (self.has)("service_vid"));
        if is_vlan && !has_vid {
            self.say("options:pw_type=\"vlan\" needs options:service_vid: a number from 1 to 4094");
        }
        if has_vid && !is_vlan {
            self.say("options:service_vid needs pw_type=vlan");
        }
    }
}

/// Options that need an IP header.
const OVER_IP: &[&str] = &["local_ip", "tos", "ttl"];
/// Options of L2TPv3 that need a UDP header.
const OVER_UDP: &[&str] = &["local_port", "peer_port", "udp_sport", "udp_dport", "csum"];

/// The settings, with defaults for what was not said.
fn config(of: &Type, draft: Draft, remote: Remote) -> TunnelConfig {
    let encap = encap(of.kind, &draft);
    let over_udp = match &encap {
        Encap::L2tpv3(session) => session.over == l2tpv3::Encap::Udp,
        _ => of.port != 0,
    };
    let port = |said: Option<u16>| if over_udp { said.unwrap_or(of.port) } else { 0 };
    let is_ipv6 = matches!(remote, Remote::Ip(IpAddr::V6(_)));
    let session = |id: Option<u32>| id.map(|id| TunnelKey::Value(id.into()));
    let in_key = draft.in_key.or(draft.key).or(session(draft.local_session));
    let out_key = draft.out_key.or(draft.key).or(session(draft.peer_session));
    TunnelConfig {
        local: draft.local.unwrap_or_default(),
        in_key: in_key.unwrap_or_default(),
        out_key: out_key.unwrap_or_default(),
        port: port(draft.peer_port),
        local_port: port(draft.local_port),
        // RFC 6935 allows a zero UDP checksum over IPv6 to tunnels only by choice; RFC 7348 prefers it over IPv4.
        csum: draft.csum.unwrap_or(over_udp && is_ipv6),
        tos: draft.tos.unwrap_or(ByteChoice::Value(0)),
        ttl: draft.ttl.unwrap_or(ByteChoice::Value(64)),
        df: draft.df.unwrap_or(true),
        fragmentation: draft.fragment.unwrap_or_default(),
        layer: draft.layer.unwrap_or_default(),
        ..TunnelConfig::new(encap, remote)
    }
}

fn encap(kind: TunnelType, draft: &Draft) -> Encap {
    let (send, receive) = draft.sequence.unwrap_or_default();
    match kind {
        TunnelType::Vxlan => {
            let (gbp, gpe) = draft.extensions.unwrap_or_default();
            Encap::Vxlan { gbp, gpe }
        }
        TunnelType::Gre => Encap::Gre { sequence: send },
        TunnelType::Geneve => Encap::Geneve,
        TunnelType::L2tpv3 => Encap::L2tpv3(L2tpv3 {
            over: draft.encap.unwrap_or_default(),
            cookie: draft.cookie.unwrap_or_default(),
            peer_cookie: draft.peer_cookie.unwrap_or_default(),
            sublayer: draft.sublayer.unwrap_or_default(),
            send_sequence: send,
            receive_sequence: receive,
            service_vid: draft.service_vid,
        }),
        TunnelType::Gpw => Encap::Gpw {
            order: draft.order.unwrap_or_default(),
            mode: draft.mode.unwrap_or_default(),
        },
    }
}

/// What a received packet must say to belong to a tunnel.
pub fn receive_settings(tunnel: &TunnelConfig) -> impl Ord + use<> {
    let remote = match tunnel.remote {
        Remote::Ip(ip) => (Some(ip), None),
        Remote::Link(mac) => (None, Some(mac)),
        Remote::Flow => (None, None),
    };
    let in_key = match tunnel.in_key.received() {
        TunnelKey::None => None,
        TunnelKey::Value(key) => Some(key),
        TunnelKey::Flow => Some(u64::MAX),
    };
    (
        tunnel.kind(),
        tunnel.local_port,
        remote,
        tunnel.local_ip(),
        in_key,
    )
}

/// A received packet must belong to one port: two tunnels with equal receive settings are refused, and two types at one
/// UDP port. What a tunnel goes `via` must not be a tunnel itself.
pub fn find_clashes(config: &Config, problems: &mut Vec<Problem>) {
    let ports = || config.bridges.values().flat_map(|b| b.ports.values());
    let virtuals: BTreeSet<&str> = ports()
        .filter(|port| matches!(port.kind, Kind::Tunnel(_) | Kind::Patch { .. }))
        .map(|port| port.name.as_str())
        .collect();
    let mut seen = BTreeMap::new();
    let mut listening: BTreeMap<u16, (TunnelType, &str)> = BTreeMap::new();
    for port in ports() {
        let Kind::Tunnel(TunnelOptions {
            config: tunnel,
            via,
        }) = &port.kind
        else {
            continue;
        };
        let mut wrong = |text| {
            problems.push(Problem {
                table: "Interface",
                uuid: port.interface,
                name: port.name.clone(),
                text,
            });
        };
        if let Some(other) = seen.insert(receive_settings(tunnel), &port.name) {
            let same = told_apart_by(tunnel);
            wrong(format!(
                "has the same {same} as tunnel {other}: change one of them"
            ));
        }
        if tunnel.local_port != 0 {
            let (kind, other) = *listening
                .entry(tunnel.local_port)
                .or_insert((tunnel.kind(), &port.name));
            if kind != tunnel.kind() {
                let (name, number) = (kind.name(), tunnel.local_port);
                wrong(format!(
                    "receives at UDP port {number}, where {name} tunnel {other} does: change one of them"
                ));
            }
        }
        if let Some(via) = via.as_deref().filter(|via| virtuals.contains(via)) {
            wrong(format!(
                "options:via={via:?} is a tunnel or a patch port, not a port with a device, a bridge or a network device"
            ));
        }
    }
}

/// The options by which received packets find their tunnel.
fn told_apart_by(tunnel: &TunnelConfig) -> &'static str {
    match (tunnel.kind(), tunnel.remote) {
        (TunnelType::Vxlan | TunnelType::Geneve, _) => "remote_ip, local_ip, key and dst_port",
        (TunnelType::Gre, _) => "remote_ip, local_ip and key",
        (TunnelType::L2tpv3, _) => "remote_ip, local_ip, local_port and local_session_id",
        (TunnelType::Gpw, Remote::Link(_)) => "remote_mac",
        (TunnelType::Gpw, _) => "remote_ip and local_ip",
    }
}

#[cfg(test)]
mod tests;
