//! A Port row and its Interface row: what the port is, its number and its VLANs.

use super::balance::{QUEUES_MAX, affinity};
use super::problem::{Problem, nearest};
use super::row::Reader;
use super::tunnel::{self, TunnelOptions};
use datapath::control::Queues;
use datapath::model::VlanMode;
use ofp::types::PortNo;
use ovsdb::{Database, Uuid};
use packet::MacAddr;
use std::collections::BTreeMap;

/// What a port is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A network device of the kernel.
    System,
    /// A tap; the bridge's own interface if it has the bridge's name.
    Internal,
    /// A DPDK device.
    Dpdk {
        /// `options:dpdk-devargs`.
        devargs: String,
    },
    /// One end of a pair.
    Patch {
        /// `options:peer`.
        peer: String,
    },
    /// A tunnel.
    Tunnel(TunnelOptions),
}

/// A port with its interface.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The Port row.
    pub uuid: Uuid,
    /// The Interface row.
    pub interface: Uuid,
    /// Name of the interface.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// `options`, for the device's driver.
    pub options: BTreeMap<String, String>,
    /// `ofport_request`.
    pub requested: Option<PortNo>,
    /// `ofport`, as it was before.
    pub stored: Option<PortNo>,
    /// `mac`.
    pub mac: Option<MacAddr>,
    /// `mtu_request`.
    pub mtu: Option<u16>,
    /// `vlan_mode`, `tag`, `trunks`.
    pub vlan: VlanMode,
    /// `qos`.
    pub queues: Queues,
    /// `other_config:pmd-rxq-affinity`: the CPU that polls a receive queue, by queue.
    pub affinity: BTreeMap<usize, usize>,
}

/// A type of interface: how its options are read. `None`: the options are wrong, and that was said.
type ReadKind = fn(&Reader<'_>, &mut Vec<Problem>) -> Option<Kind>;

/// Type, its accepted option names, how it is read. Tunnels have a table of their own.
const TYPES: &[(&str, &[&str], ReadKind)] = &[
    ("", SYSTEM_OPTIONS, system),
    ("system", SYSTEM_OPTIONS, system),
    ("internal", &[], |_, _| Some(Kind::Internal)),
    ("tap", &[], |_, _| Some(Kind::Internal)),
    ("patch", &["peer"], patch),
    ("dpdk", DPDK_OPTIONS, dpdk),
];

const SYSTEM_OPTIONS: &[&str] = &["n_rxq"];

const DPDK_OPTIONS: &[&str] = &[
    "dpdk-devargs",
    "n_rxq",
    "n_rxq_desc",
    "n_txq_desc",
    "rx-flow-ctrl",
    "tx-flow-ctrl",
    "flow-ctrl-autoneg",
    "dpdk-lsc-interrupt",
    "dpdk-vf-mac",
    "rx-steering",
];

/// Names of all types, for `iface_types`.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    let names = TYPES.iter().map(|(name, ..)| *name);
    let tunnels = tunnel::types().map(|row| row.name);
    names.filter(|name| !name.is_empty()).chain(tunnels)
}

impl Port {
    /// Whether the user asks for the same; the daemon itself writes `ofport`.
    pub fn is_same(&self, other: &Port) -> bool {
        *self
            == Port {
                stored: self.stored,
                ..other.clone()
            }
    }
    /// Reads a Port row and its interfaces into `ports`.
    pub fn read(
        at: &Reader<'_>,
        bridge: &str,
        db: &Database,
        problems: &mut Vec<Problem>,
        ports: &mut BTreeMap<String, Port>,
    ) {
        let interfaces = at.references("interfaces", "Interface", db);
        if interfaces.len() > 1 {
            at.problem(
                problems,
                "bonds (a port with several interfaces) are not supported".into(),
            );
            return;
        }
        for (uuid, row) in interfaces {
            let interface = Reader::new("Interface", uuid, row);
            let name = interface.string("name");
            let Some(mut kind) = read_kind(&interface, problems) else {
                continue;
            };
            if name == bridge {
                kind = Kind::Internal;
            }
            let number = |column| {
                let number = interface.int(column).filter(|n| (1..=65_279).contains(n));
                number.map(|n| PortNo(n as u32))
            };
            let port = Port {
                uuid: at.uuid,
                interface: uuid,
                name: name.to_owned(),
                kind,
                options: interface.map("options").all(),
                requested: number("ofport_request"),
                stored: number("ofport"),
                mac: mac(&interface, problems),
                mtu: mtu(&interface, problems),
                vlan: vlan(at, problems),
                queues: super::qos::read(at, db, problems),
                affinity: interface
                    .map("other_config")
                    .parse("pmd-rxq-affinity", problems, affinity)
                    .unwrap_or_default(),
            };
            if let Some(other) = ports.insert(name.to_owned(), port) {
                let text = format!("interface {name} is another port's already");
                if other.uuid != at.uuid {
                    at.problem(problems, text);
                }
            }
        }
    }
}

/// Descriptors that a queue may have; what a device can do of that is said when it is opened.
const DESCRIPTORS_MAX: u64 = 32_768;

/// The least that IPv4 needs (RFC 791 section 3.2).
const MTU_MIN: u16 = 68;

fn mtu(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<u16> {
    let wanted = at.int("mtu_request")?;
    let mtu = u16::try_from(wanted).ok().filter(|mtu| *mtu >= MTU_MIN);
    if mtu.is_none() {
        let text = format!("mtu_request={wanted} is not {MTU_MIN} to {}", u16::MAX);
        at.problem(problems, text);
    }
    mtu
}

fn read_kind(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    let name = at.string("name");
    if name.is_empty() || name.len() > 255 || name.contains(['/', '\0', '\n']) {
        at.problem(
            problems,
            format!("interface name {name:?} is not 1 to 255 characters without '/'"),
        );
        return None;
    }
    let word = at.string("type");
    let before = problems.len();
    let kind = if let Some((_, allowed, read)) = TYPES.iter().find(|(name, ..)| *name == word) {
        unknown_options(at, allowed, problems);
        read(at, problems)
    } else if let Some(row) = tunnel::find(word) {
        let allowed: Vec<&str> = tunnel::options_of(row.kind).map(|row| row.name).collect();
        unknown_options(at, &allowed, problems);
        tunnel::read(row, at, problems)
    } else {
        let names: Vec<&str> = type_names().collect();
        let hint = nearest(word, names.iter().copied()).map(|n| format!("; did you mean {n}?"));
        let hint = hint.unwrap_or_else(|| format!("; types are {}", names.join(", ")));
        at.problem(problems, format!("type {word:?} is not supported{hint}"));
        None
    };
    kind.filter(|_| problems.len() == before)
}

/// Options that a type does not take: refused with the nearest one that it does, or all of them.
fn unknown_options(at: &Reader<'_>, allowed: &[&str], problems: &mut Vec<Problem>) {
    let word = at.string("type");
    for key in at
        .map("options")
        .keys()
        .into_iter()
        .filter(|key| !allowed.contains(key))
    {
        let hint = nearest(key, allowed.iter().copied()).map(|n| format!("; did you mean {n}?"));
        let hint = hint.unwrap_or_else(|| match allowed {
            [] => "; it takes none".to_owned(),
            _ => format!("; its options are {}", allowed.join(", ")),
        });
        at.problem(
            problems,
            format!("option {key:?} is unknown for type {word:?}{hint}"),
        );
    }
}

fn patch(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    match at.map("options").get("peer") {
        Some(peer) if peer == at.string("name") => {
            at.problem(
                problems,
                format!("options:peer={peer:?} is the port itself, not another patch port"),
            );
            None
        }
        Some(peer) if !peer.is_empty() => Some(Kind::Patch {
            peer: peer.to_owned(),
        }),
        _ => {
            at.problem(
                problems,
                "patch type requires valid 'peer' argument: the name of another patch port".into(),
            );
            None
        }
    }
}

fn system(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    at.map("options").number("n_rxq", 0..=QUEUES_MAX, problems);
    Some(Kind::System)
}

fn dpdk(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    let mut options = at.map("options");
    options.number("n_rxq", 0..=QUEUES_MAX, problems);
    options.number("n_rxq_desc", 1..=DESCRIPTORS_MAX, problems);
    options.number("n_txq_desc", 1..=DESCRIPTORS_MAX, problems);
    match options.get("dpdk-devargs") {
        Some(devargs) if !devargs.is_empty() => Some(Kind::Dpdk {
            devargs: devargs.to_owned(),
        }),
        _ => {
            let text = "dpdk type requires 'dpdk-devargs' argument: a PCI address, or a virtual device such as net_null0";
            at.problem(problems, text.into());
            None
        }
    }
}

fn mac(at: &Reader<'_>, problems: &mut Vec<Problem>) -> Option<MacAddr> {
    let word = at.column("mac")?.as_str()?;
    let mac = word
        .parse()
        .ok()
        .filter(|mac: &MacAddr| !mac.is_multicast() && !mac.is_zero());
    if mac.is_none() {
        at.problem(
            problems,
            format!("mac {word:?} is not a unicast MAC address such as 00:11:22:33:44:55"),
        );
    }
    mac
}

fn vlan(at: &Reader<'_>, problems: &mut Vec<Problem>) -> VlanMode {
    let tag = at.int("tag").map(|n| n as u16);
    let ids: Vec<i64> = at
        .column("trunks")
        .into_iter()
        .flat_map(|d| d.ints())
        .collect();
    let trunks = (!ids.is_empty()).then(|| {
        let mut bits = Box::new([0u64; 64]);
        ids.iter()
            .for_each(|id| bits[(*id as usize & 0xfff) / 64] |= 1 << (id % 64));
        bits
    });
    match (at.string("vlan_mode"), tag) {
        ("access", tag) => VlanMode::Access {
            tag: tag.unwrap_or(0),
        },
        ("trunk", _) => VlanMode::Trunk { trunks },
        ("native-tagged", tag) => VlanMode::Native {
            tag: tag.unwrap_or(0),
            trunks,
            tagged: true,
        },
        ("native-untagged", tag) => VlanMode::Native {
            tag: tag.unwrap_or(0),
            trunks,
            tagged: false,
        },
        ("", Some(tag)) if trunks.is_none() => VlanMode::Access { tag },
        ("", Some(tag)) => VlanMode::Native {
            tag,
            trunks,
            tagged: true,
        },
        ("", None) => VlanMode::Trunk { trunks },
        (mode, _) => {
            let right = "access, trunk, native-tagged or native-untagged";
            at.problem(
                problems,
                format!("vlan_mode {mode:?} is not supported: use {right}"),
            );
            VlanMode::Trunk { trunks }
        }
    }
}
