//! Options of tunnel interfaces (ovs-vswitchd.conf.db(5), "Tunnel Options").

use super::Config;
use super::port::Kind;
use super::problem::Problem;
use super::row::{Map, Reader};
use datapath::model::tunnel::{
    ByteChoice, Encap, Local, Remote, TunnelConfig, TunnelKey, TunnelType,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the options of a tunnel say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelOptions {
    /// For the datapath.
    pub config: TunnelConfig,
    /// `options:via`: the port, bridge or network device by which a tunnel over Ethernet leaves.
    pub via: Option<String>,
}

/// Options that tunnel interfaces take.
pub const OPTIONS: &[&str] = &[
    "remote_ip",
    "local_ip",
    "key",
    "in_key",
    "out_key",
    "dst_port",
    "csum",
    "tos",
    "ttl",
    "df_default",
    "egress_pkt_mark",
    "exts",
    "packet_type",
    "seq",
];

/// `type=vxlan`.
pub fn vxlan(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    let (gbp, gpe) = (false, false);
    read(at, problems, Encap::Vxlan { gbp, gpe }, 24)
}

/// `type=gre`.
pub fn gre(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    read(at, problems, Encap::Gre { sequence: false }, 32)
}

fn read(at: &Reader<'_>, problems: &mut Vec<Problem>, encap: Encap, key_bits: u32) -> Option<Kind> {
    let before = problems.len();
    let mut options = at.map("options");
    let remote = remote_ip(at, &mut options, problems)?;
    let local = options.parse("local_ip", problems, |word| local_ip(word, remote));
    let mut key = |name| options.parse(name, problems, |word| tunnel_key(word, key_bits));
    let both = key("key");
    let (in_key, out_key) = (key("in_key").or(both), key("out_key").or(both));
    let kind = encap.kind();
    let port = match kind {
        TunnelType::Vxlan => options
            .number("dst_port", 1..=65_535, problems)
            .unwrap_or(4789) as u16,
        _ => {
            if let Some(word) = options.get("dst_port") {
                options.wrong(
                    "dst_port",
                    word,
                    "an option of GRE, which has no ports",
                    problems,
                );
            }
            0
        }
    };
    // RFC 6935 allows a zero UDP checksum over IPv6 to tunnels only by choice; RFC 7348 prefers it over IPv4.
    let csum_default = kind == TunnelType::Vxlan && remote.is_ipv6();
    let config = TunnelConfig {
        local: local.map_or(Local::Any, Local::Ip),
        in_key: in_key.unwrap_or_default(),
        out_key: out_key.unwrap_or_default(),
        csum: options.bool("csum", problems).unwrap_or(csum_default),
        tos: options
            .parse("tos", problems, tos)
            .unwrap_or(ByteChoice::Value(0)),
        ttl: options
            .parse("ttl", problems, ttl)
            .unwrap_or(ByteChoice::Value(64)),
        df: options.bool("df_default", problems).unwrap_or(true),
        ..TunnelConfig::new(encap, Remote::Ip(remote)).with_port(port)
    };
    (problems.len() == before).then_some(Kind::Tunnel(TunnelOptions { config, via: None }))
}

fn remote_ip(
    at: &Reader<'_>,
    options: &mut Map<'_>,
    problems: &mut Vec<Problem>,
) -> Option<IpAddr> {
    let kind = at.string("type");
    let text = match options
        .get("remote_ip")
        .map(|word| (word, word.parse::<IpAddr>()))
    {
        Some((_, Ok(ip))) if !ip.is_multicast() && !ip.is_unspecified() => return Some(ip),
        Some((word, Ok(_))) => format!("options:remote_ip={word:?} is not a unicast address"),
        Some((word, Err(_))) => {
            format!("options:remote_ip={word:?} is not an IPv4 or IPv6 address")
        }
        None => format!("{kind} type requires valid 'remote_ip' argument"),
    };
    at.problem(problems, text);
    None
}

fn local_ip(word: &str, remote: IpAddr) -> Result<IpAddr, String> {
    let ip: IpAddr = word.parse().map_err(|_| "an IPv4 or IPv6 address")?;
    if ip.is_multicast() || ip.is_unspecified() {
        return Err("a unicast address".into());
    }
    match (ip, remote) {
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => Ok(ip),
        (_, IpAddr::V4(_)) => Err("an IPv4 address, as remote_ip is".into()),
        (_, IpAddr::V6(_)) => Err("an IPv6 address, as remote_ip is".into()),
    }
}

/// A number of at most `bits` bits, decimal or 0x hexadecimal, or `flow`.
fn tunnel_key(word: &str, bits: u32) -> Result<TunnelKey, String> {
    if word == "flow" {
        return Ok(TunnelKey::Flow);
    }
    let number = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    };
    let number = number.filter(|n| n >> bits == 0).map(TunnelKey::Value);
    number.ok_or_else(|| format!("a number from 0 to {}, or flow", (1u64 << bits) - 1))
}

fn byte(word: &str) -> Option<u8> {
    match word.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn tos(word: &str) -> Result<ByteChoice, String> {
    if word == "inherit" {
        return Ok(ByteChoice::Inherit);
    }
    let tos = byte(word).filter(|tos| tos & 3 == 0).map(ByteChoice::Value);
    tos.ok_or("inherit, or a TOS byte whose two ECN bits are 0 (a multiple of 4, up to 252)".into())
}

fn ttl(word: &str) -> Result<ByteChoice, String> {
    if word == "inherit" {
        return Ok(ByteChoice::Inherit);
    }
    let ttl = byte(word).filter(|ttl| *ttl != 0).map(ByteChoice::Value);
    ttl.ok_or("inherit, or a number from 1 to 255".into())
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

/// A received packet must belong to one port: two tunnels with equal receive settings are refused.
pub fn find_equal(config: &Config, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for port in config
        .bridges
        .values()
        .flat_map(|bridge| bridge.ports.values())
    {
        let Kind::Tunnel(TunnelOptions { config: tunnel, .. }) = &port.kind else {
            continue;
        };
        if let Some(other) = seen.insert(receive_settings(tunnel), &port.name) {
            problems.push(Problem {
                table: "Interface",
                uuid: port.interface,
                name: port.name.clone(),
                text: format!("has the same remote_ip, local_ip, key and port as tunnel {other}: change one of them"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_bytes() {
        assert_eq!(tunnel_key("0xffffff", 24), Ok(TunnelKey::Value(0xff_ffff)));
        assert_eq!(tunnel_key("flow", 24), Ok(TunnelKey::Flow));
        assert!(tunnel_key("16777216", 24).is_err() && tunnel_key("abc", 24).is_err());
        assert_eq!(ttl("inherit"), Ok(ByteChoice::Inherit));
        assert!(ttl("foo").is_err() && ttl("0").is_err() && tos("3").is_err());
        assert_eq!(tos("0xfc"), Ok(ByteChoice::Value(0xfc)));
    }
}
