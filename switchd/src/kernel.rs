//! The host's network stack as the switch sees it, by rtnetlink: routes to tunnel ends, neighbours,
//! addresses. The kernel is asked per destination and again on a notification; its tables are never
//! mirrored, so a full Internet routing table costs nothing.

use futures::channel::mpsc::UnboundedReceiver;
use futures::{StreamExt, TryStreamExt};
use packet::MacAddr;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{MulticastGroup, RouteMessageBuilder};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
}

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// Routes or addresses: ask again.
    Routing,
    /// A link came, went or changed.
    Link,
    /// A neighbour's address is known now, or not any more.
    Neighbour {
        /// On this interface.
        ifindex: u32,
        /// Who.
        ip: IpAddr,
        /// Where; `None`: not known.
        mac: Option<MacAddr>,
    },
}

type Messages = UnboundedReceiver<(
    NetlinkMessage<RouteNetlinkMessage>,
    rtnetlink::sys::SocketAddr,
)>;

/// A connection to the kernel.
pub struct Kernel {
    handle: rtnetlink::Handle,
}

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
        let (connection, _, messages) = rtnetlink::new_multicast_connection(GROUPS)?;
        tokio::spawn(connection);
        Ok((Kernel { handle }, Notifications { messages }))
    }

    /// The route to `remote`, from `local` if that is given; `None`: there is none.
    pub async fn route(&self, remote: IpAddr, local: Option<IpAddr>) -> Option<RouteAnswer> {
        let mut answers = self.handle.route().get(question(remote, local)).execute();
        let answer = answers.try_next().await.ok()??;
        read_route(&answer, remote)
    }

    /// The address of a neighbour, if the kernel knows it.
    pub async fn neighbour(&self, ifindex: u32, ip: IpAddr) -> Option<MacAddr> {
        read_neighbour(&self.neighbour_entry(ifindex, ip).await?)?.2
    }
    async fn neighbour_entry(&self, ifindex: u32, ip: IpAddr) -> Option<NeighbourMessage> {
        let family = match ip {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        let mut request = self.handle.neighbours().get().set_address_family(family);
        request.message_mut().header.ifindex = ifindex;
        let mut answers = request.execute();
        while let Ok(Some(message)) = answers.try_next().await {
            if read_neighbour(&message).is_some_and(|found| (found.0, found.1) == (ifindex, ip)) {
                return Some(message);
            }
        }
        None
    }

    /// Asks the kernel to resolve a neighbour now, and to keep it resolved by itself; an entry that the
    /// operator made permanent stays as it is.
    pub async fn keep_resolved(&self, ifindex: u32, ip: IpAddr) {
        let entry = self.neighbour_entry(ifindex, ip).await;
        if entry.is_some_and(|entry| entry.header.state == NeighbourState::Permanent) {
            return;
        }
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
    /// The next one; `None`: the connection ended.
    pub async fn next(&mut self) -> Option<Notification> {
        loop {
            let (message, _) = self.messages.next().await?;
            let NetlinkPayload::InnerMessage(message) = message.payload else {
                continue;
            };
            return Some(match message {
                RouteNetlinkMessage::NewNeighbour(neighbour) => match read_neighbour(&neighbour) {
                    Some((ifindex, ip, mac)) => Notification::Neighbour { ifindex, ip, mac },
                    None => continue,
                },
                RouteNetlinkMessage::DelNeighbour(neighbour) => match read_neighbour(&neighbour) {
                    Some((ifindex, ip, _)) => Notification::Neighbour {
                        ifindex,
                        ip,
                        mac: None,
                    },
                    None => continue,
                },
                RouteNetlinkMessage::NewLink(_) | RouteNetlinkMessage::DelLink(_) => {
                    Notification::Link
                }
                RouteNetlinkMessage::NewAddress(_)
                | RouteNetlinkMessage::DelAddress(_)
                | RouteNetlinkMessage::NewRoute(_)
                | RouteNetlinkMessage::DelRoute(_)
                | RouteNetlinkMessage::NewRule(_)
                | RouteNetlinkMessage::DelRule(_) => Notification::Routing,
                _ => continue,
            });
        }
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
    if message.header.kind != RouteType::Unicast {
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
    })
}

/// Interface, IP address, and the MAC address while it may be used.
fn read_neighbour(message: &NeighbourMessage) -> Option<(u32, IpAddr, Option<MacAddr>)> {
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
    Some((
        message.header.ifindex,
        ip?,
        mac.filter(|mac| usable && !mac.is_zero()),
    ))
}
