//! The host's network stack as the switch sees it, by rtnetlink: routes to tunnel ends, neighbours,
//! addresses. The kernel is asked per destination and again on a notification; its tables are never
//! mirrored, so a full Internet routing table costs nothing.

use futures::channel::mpsc::UnboundedReceiver;
use futures::{StreamExt, TryStreamExt};
use packet::MacAddr;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{MulticastGroup, RouteMessageBuilder};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// How packets to an address leave this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteAnswer {
    /// The interface.
    pub ifindex: u32,
    /// The router, or the destination itself if it is on the link.
    pub next_hop: IpAddr,
    /// The address that the kernel would send from.
    pub source: Option<IpAddr>,
    /// The route's MTU, if it has one of its own.
    pub mtu: Option<u16>,
    /// The destination is an address of this host.
    pub is_ours: bool,
    /// The address to send from was asked for, and this host does not have it.
    pub is_foreign: bool,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its MTU, or the largest packet if that is smaller.
    pub mtu: u16,
    /// Whether it is up and has a carrier.
    pub up: bool,
}

/// A neighbour: its interface and its IP address.
pub type NeighbourKey = (u32, IpAddr);

/// What the kernel knows of a neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address, while that may be used.
    pub mac: Option<MacAddr>,
    /// Entered by hand: not to be resolved.
    pub is_fixed: bool,
}

/// What changed. It holds each object once, however long it takes until somebody looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Routes or addresses: ask again.
    pub routing: bool,
    /// Links changed or went.
    pub links: bool,
    /// Links that came or changed, with their names.
    pub named: BTreeMap<u32, String>,
    /// Neighbours that came, changed, or went (`None`).
    pub neighbours: HashMap<NeighbourKey, Option<Neighbour>>,
    /// Something was lost, so that anything may have changed.
    pub overrun: bool,
}

type Messages = UnboundedReceiver<(
    NetlinkMessage<RouteNetlinkMessage>,
    rtnetlink::sys::SocketAddr,
)>;

/// A connection to the kernel.
pub struct Kernel {
    handle: rtnetlink::Handle,
}

/// Neighbours in one [`Changes`]; of more of them the whole list is asked for.
const NEIGHBOURS_MAX: usize = 4096;
/// Room for some ten thousand notifications, if the kernel allows it.
const RECEIVE_BUFFER_SIZE: i32 = 4 << 20;
/// Pause before broken notifications are opened again.
const REOPEN: Duration = Duration::from_millis(100);

const GROUPS: &[MulticastGroup] = &[
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

impl Kernel {
    /// Connects; the notifications come out of the second value. Needs a running tokio runtime.
    pub fn connect() -> std::io::Result<(Kernel, Notifications)> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok((Kernel { handle }, Notifications::open()?))
    }

    /// The route to `remote`, from `local` if that is given; `None`: there is none.
    pub async fn route(&self, remote: IpAddr, local: Option<IpAddr>) -> Option<RouteAnswer> {
        let mut answers = self.handle.route().get(question(remote, local)).execute();
        let answer = answers.try_next().await.ok()??;
        let mut answer = read_route(&answer, remote)?;
        if let Some(local) = local {
            answer.is_foreign = !self.is_ours(local).await;
        }
        Some(answer)
    }

    /// Whether this host has an address, in any of its tables.
    async fn is_ours(&self, ip: IpAddr) -> bool {
        let mut answers = self.handle.route().get(question(ip, None)).execute();
        if let Ok(Some(answer)) = answers.try_next().await
            && answer.header.kind == RouteType::Local
        {
            return true;
        }
        let addresses = self.handle.address().get().set_address_filter(ip);
        matches!(addresses.execute().try_next().await, Ok(Some(_)))
    }

    /// An interface, if it is (still) there.
    pub async fn link(&self, ifindex: u32) -> Option<Link> {
        let mut answers = self.handle.link().get().match_index(ifindex).execute();
        let message = answers.try_next().await.ok()??;
        let flags = message.header.flags;
        let mut link = Link {
            name: String::new(),
            mtu: u16::MAX,
            up: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Mtu(mtu) => link.mtu = u16::try_from(mtu).unwrap_or(u16::MAX),
                _ => {}
            }
        }
        Some(link)
    }

    /// All neighbours that the kernel knows something of.
    pub async fn neighbours(&self) -> HashMap<NeighbourKey, Neighbour> {
        let mut found = HashMap::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let request = self.handle.neighbours().get().set_address_family(family);
            let mut answers = request.execute();
            while let Ok(Some(message)) = answers.try_next().await {
                found.extend(read_neighbour(&message));
            }
        }
        found
    }

    /// Asks the kernel to resolve a neighbour now, and to keep it resolved by itself. An entry that the
    /// operator made permanent would not stay as it is: not to be called for that.
    pub async fn keep_resolved(&self, ifindex: u32, ip: IpAddr) {
        let mut request = self.handle.neighbours().add(ifindex, ip).replace();
        let message = request.message_mut();
        message.header.state = NeighbourState::None;
        message
            .attributes
            .push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
        if let Err(error) = request.execute().await {
            tracing::debug!(%ip, ifindex, %error, "the kernel does not resolve this neighbour");
        }
    }

    /// Takes that back: the entry goes, and whoever needs it resolves it again.
    pub async fn forget(&self, ifindex: u32, ip: IpAddr) {
        let neighbours = self.handle.neighbours();
        let mut entry = neighbours.add(ifindex, ip);
        let message = std::mem::take(entry.message_mut());
        if let Err(error) = neighbours.del(message).execute().await {
            tracing::debug!(%ip, ifindex, %error, "the kernel has forgotten this neighbour already");
        }
    }

    /// The host's addresses, each with its interface.
    pub async fn addresses(&self) -> Vec<(u32, IpAddr)> {
        let mut found = Vec::new();
        let mut answers = self.handle.address().get().execute();
        while let Ok(Some(message)) = answers.try_next().await {
            let ifindex = message.header.index;
            let mut address = None;
            for attribute in &message.attributes {
                match attribute {
                    // On a point-to-point link "address" is the peer's; "local" is ours where both are said.
                    AddressAttribute::Local(ip) => address = Some(*ip),
                    AddressAttribute::Address(ip) => address = address.or(Some(*ip)),
                    _ => {}
                }
            }
            found.extend(address.map(|ip| (ifindex, ip)));
        }
        found
    }
}

/// What the kernel tells unasked.
pub struct Notifications {
    messages: Messages,
}

impl Notifications {
    fn open() -> std::io::Result<Notifications> {
        let (mut connection, _, messages) = rtnetlink::new_multicast_connection(GROUPS)?;
        // The kernel allows less without a word; what is lost nevertheless is an overrun.
        let _ = connection
            .socket_mut()
            .socket_mut()
            .set_rx_buf_sz(RECEIVE_BUFFER_SIZE);
        tokio::spawn(connection);
        Ok(Notifications { messages })
    }

    /// Waits for the next one and adds it to `changes`. Nothing is lost if the wait is given up.
    pub async fn next(&mut self, changes: &mut Changes) {
        match self.messages.next().await {
            Some((message, _)) => changes.add(message.payload),
            None => self.reopen(changes).await,
        }
    }

    /// The connection broke: what happened meanwhile is not known.
    async fn reopen(&mut self, changes: &mut Changes) {
        tracing::warn!("the kernel's notifications ended; opening them again");
        tokio::time::sleep(REOPEN).await;
        match Notifications::open() {
            Ok(again) => *self = again,
            Err(error) => tracing::error!(%error, "netlink"),
        }
        changes.overrun = true;
    }
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }

    fn add(&mut self, message: NetlinkPayload<RouteNetlinkMessage>) {
        let message = match message {
            NetlinkPayload::InnerMessage(message) => message,
            NetlinkPayload::Overrun(_) => {
                self.overrun = true;
                return;
            }
            _ => return,
        };
        match message {
            RouteNetlinkMessage::NewNeighbour(neighbour) => {
                self.neighbour(read_neighbour(&neighbour).map(|(key, n)| (key, Some(n))));
            }
            RouteNetlinkMessage::DelNeighbour(neighbour) => {
                self.neighbour(read_neighbour(&neighbour).map(|(key, _)| (key, None)));
            }
            RouteNetlinkMessage::NewLink(link) => {
                self.links = true;
                let name = link.attributes.into_iter().find_map(|a| match a {
                    LinkAttribute::IfName(name) => Some(name),
                    _ => None,
                });
                self.named
                    .extend(name.map(|name| (link.header.index, name)));
            }
            RouteNetlinkMessage::DelLink(_) => self.links = true,
            RouteNetlinkMessage::NewAddress(_)
            | RouteNetlinkMessage::DelAddress(_)
            | RouteNetlinkMessage::NewRoute(_)
            | RouteNetlinkMessage::DelRoute(_)
            | RouteNetlinkMessage::NewRule(_)
            | RouteNetlinkMessage::DelRule(_) => self.routing = true,
            _ => {}
        }
    }

    fn neighbour(&mut self, change: Option<(NeighbourKey, Option<Neighbour>)>) {
        if self.neighbours.len() >= NEIGHBOURS_MAX {
            self.overrun = true;
            return;
        }
        self.neighbours.extend(change);
    }
}

fn question(remote: IpAddr, local: Option<IpAddr>) -> RouteMessage {
    match remote {
        IpAddr::V4(remote) => {
            let mut builder = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(remote, 32);
            if let Some(IpAddr::V4(local)) = local {
                builder = builder.source_prefix(local, 32);
            }
            builder.build()
        }
        IpAddr::V6(remote) => {
            let mut builder =
                RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(remote, 128);
            if let Some(IpAddr::V6(local)) = local {
                builder = builder.source_prefix(local, 128);
            }
            builder.build()
        }
    }
}

fn ip_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

fn read_route(message: &RouteMessage, remote: IpAddr) -> Option<RouteAnswer> {
    if !matches!(message.header.kind, RouteType::Unicast | RouteType::Local) {
        return None;
    }
    let (mut ifindex, mut gateway, mut source, mut mtu) = (None, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => ifindex = Some(*index),
            RouteAttribute::Gateway(address) => gateway = ip_of(address),
            RouteAttribute::Via(via) => {
                use rtnetlink::packet_route::route::RouteVia;
                gateway = match via {
                    RouteVia::Inet(ip) => Some(IpAddr::V4(*ip)),
                    RouteVia::Inet6(ip) => Some(IpAddr::V6(*ip)),
                    _ => None,
                };
            }
            RouteAttribute::PrefSource(address) => source = ip_of(address),
            RouteAttribute::Metrics(metrics) => {
                mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some((*mtu).min(65_535) as u16),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(RouteAnswer {
        ifindex: ifindex?,
        next_hop: gateway.unwrap_or(remote),
        source,
        mtu,
        is_ours: message.header.kind == RouteType::Local,
        is_foreign: false,
    })
}

/// Who, and where.
fn read_neighbour(message: &NeighbourMessage) -> Option<(NeighbourKey, Neighbour)> {
    let (mut ip, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                ip = Some(IpAddr::V4(*v4))
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                ip = Some(IpAddr::V6(*v6))
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr);
            }
            _ => {}
        }
    }
    let usable = !matches!(
        message.header.state,
        NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed
    );
    let neighbour = Neighbour {
        mac: mac.filter(|mac| usable && !mac.is_zero()),
        is_fixed: matches!(
            message.header.state,
            NeighbourState::Permanent | NeighbourState::Noarp
        ),
    };
    Some(((message.header.ifindex, ip?), neighbour))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_kept_once_each() {
        let mut changes = Changes::default();
        assert!(changes.is_empty());
        let key = |n: u32| (1, IpAddr::from(n.to_be_bytes()));
        for round in 0..2 {
            for n in 0..NEIGHBOURS_MAX as u32 / 2 {
                changes.neighbour(Some((key(n), (round == 0).then_some(Neighbour::default()))));
            }
        }
        assert_eq!(changes.neighbours.len(), NEIGHBOURS_MAX / 2);
        assert!(changes.neighbours.values().all(Option::is_none) && !changes.overrun);
        (0..NEIGHBOURS_MAX as u32 + 1).for_each(|n| changes.neighbour(Some((key(n), None))));
        assert!(changes.overrun && changes.neighbours.len() == NEIGHBOURS_MAX);
    }

    #[test]
    fn an_overrun_is_noticed() {
        let mut changes = Changes::default();
        changes.add(NetlinkPayload::Overrun(Vec::new()));
        assert!(changes.overrun && !changes.is_empty());
    }
}
