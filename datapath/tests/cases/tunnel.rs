//! A tunnel's settings in a case.

use super::case::{Result, err, parse};
use datapath::model::tunnel::{Encap, L2tpv3};
use packet::l2tpv3;

/// What a case may say of a tunnel.
pub const SETTINGS: &[&str] = &[
    "vxlan",
    "gre",
    "geneve",
    "l2tpv3",
    "gpw",
    "remote",
    "local",
    "key",
    "in_key",
    "out_key",
    "csum",
    "ttl",
    "tos",
    "no-df",
    "dst_port",
    "local_port",
    "route",
    "via",
    "source",
    "source-mac",
    "next-hop",
    "gbp",
    "path-mtu",
    "fragment",
    "gpe",
    "seq",
    "layer",
    "encap",
    "cookie",
    "peer-cookie",
    "sublayer",
    "send-seq",
    "recv-seq",
    "service-vid",
    "big",
    "tolerant",
];

/// The value of a setting that has one.
pub fn value<'s>(settings: &[&'s str], name: &str) -> Option<&'s str> {
    let words = settings.iter().filter_map(|word| word.split_once('='));
    words.filter(|(key, _)| *key == name).map(|(_, v)| v).next()
}

/// The encapsulation that settings name, if they are a tunnel's.
pub fn encapsulation(settings: &[&str]) -> Result<Option<Encap>> {
    let has = |name: &str| settings.contains(&name);
    let value = |name: &str| value(settings, name);
    let cookie = |name: &str| -> Result<l2tpv3::Cookie> {
        let digits = value(name).unwrap_or("");
        let bytes = (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).map_err(err("cookie")));
        let bytes: Result<Vec<u8>> = bytes.collect();
        l2tpv3::Cookie::new(&bytes?).ok_or("a cookie has 0, 4 or 8 bytes".into())
    };
    let kind = settings
        .iter()
        .find(|word| ["vxlan", "gre", "geneve", "l2tpv3", "gpw"].contains(word));
    Ok(Some(match kind {
        None => return Ok(None),
        Some(&"vxlan") => Encap::Vxlan {
            gbp: has("gbp"),
            gpe: has("gpe"),
        },
        Some(&"gre") => Encap::Gre {
            sequence: has("seq"),
        },
        Some(&"geneve") => Encap::Geneve,
        Some(&"gpw") => Encap::Gpw {
            order: if has("big") {
                packet::gpw::Order::Big
            } else {
                packet::gpw::Order::Little
            },
            mode: if has("tolerant") {
                datapath::fragment::gpw::Mode::Tolerant
            } else {
                datapath::fragment::gpw::Mode::InOrder
            },
        },
        Some(_) => Encap::L2tpv3(L2tpv3 {
            over: match value("encap") {
                Some("ip") => l2tpv3::Encap::Ip,
                _ => l2tpv3::Encap::Udp,
            },
            cookie: cookie("cookie")?,
            peer_cookie: cookie("peer-cookie")?,
            sublayer: match value("sublayer") {
                Some("none") => l2tpv3::Sublayer::None,
                _ => l2tpv3::Sublayer::Default,
            },
            send_sequence: has("send-seq"),
            receive_sequence: has("recv-seq"),
            service_vid: value("service-vid").map(parse).transpose()?,
        }),
    }))
}
