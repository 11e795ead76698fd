//! Sockets of the host's stack: opened when a tunnel needs them, closed when none does, retried when they fail.

use super::Daemon;
use crate::pmtu;
use crate::underlay::{Host, Via};
use crate::workers::Device;
use datapath::edge::{Port, PortState};
use datapath::model::PortId;
use datapath::model::tunnel::Exit;
use dpdk::Mbuf;
use dpdk::host_socket::HostSocket;
use dpdk::packet_socket::PacketSocket;
use packet::{MacAddr, ethertype};
use std::fmt;
use std::time::{Duration, Instant};

/// What could not be opened is tried again this much later.
const RETRY: Duration = Duration::from_secs(1);

/// Sockets that tunnels need; or why they are not open, and when to try again.
pub type LiveHost = Result<OpenHost, (String, Instant)>;

/// Open sockets.
pub struct OpenHost {
    /// The switch's number for them.
    id: PortId,
    /// As ports have it.
    pub device: Box<dyn Port<Mbuf>>,
    /// The kernel's number of the link that they are at: its name may become that of another one.
    ifindex: u32,
}

impl OpenHost {
    /// Its number.
    pub fn id(&self) -> PortId {
        self.id
    }
    /// With its number.
    pub fn device(&mut self) -> Device<'_> {
        (self.id, self.device.as_mut())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Sender => f.write_str("host"),
            Host::Listener(protocol) => write!(f, "host {protocol}"),
            Host::Link(name) => write!(f, "gpw at {name}"),
        }
    }
}

fn via(id: PortId, state: &PortState) -> Via {
    Via {
        exit: Exit::Port(id),
        mac: MacAddr(state.mac),
        mtu: state.mtu,
        up: state.link_up,
    }
}

impl Daemon {
    /// Opens what is needed and closes what is not; the routes that this changes go to the switch.
    pub fn set_hosts(&mut self) {
        self.set_path_mtu_watches();
        let wanted = self.underlay.wanted();
        let gone = self.hosts.keys().filter(|host| !wanted.contains(host));
        let gone: Vec<Host> = gone.cloned().collect();
        let now = Instant::now();
        let is_missing = |host: &Host| match self.hosts.get(host) {
            None => true,
            Some(live) => live.as_ref().is_err_and(|(_, retry)| *retry <= now),
        };
        let missing: Vec<Host> = wanted.into_iter().filter(is_missing).collect();
        for host in &gone {
            self.close_host(host);
        }
        for host in &missing {
            self.open_host(host);
        }
        if !gone.is_empty() || !missing.is_empty() {
            let routes = self.underlay.reconsider();
            self.set_routes(routes);
        }
    }

    fn open_host(&mut self, host: &Host) {
        let live = self.try_host(host);
        let state = match &live {
            Ok(open) => {
                tracing::info!(%host, "the host's sockets are open");
                Ok(via(open.id, &open.device.state()))
            }
            Err(error) => {
                let was = self.hosts.get(host).and_then(|live| live.as_ref().err());
                if was.is_none_or(|(was, _)| was != error) {
                    tracing::warn!(%host, error, "the host's sockets are not open");
                }
                Err(error.clone())
            }
        };
        self.underlay.set_host(host.clone(), Some(state));
        let live = live.map_err(|error| (error, Instant::now() + RETRY));
        self.hosts.insert(host.clone(), live);
    }

    fn try_host(&mut self, host: &Host) -> Result<OpenHost, String> {
        let pools = &self.pools;
        let boxed = |port| Box::new(port) as Box<dyn Port<Mbuf>>;
        let device = match host {
            Host::Sender => HostSocket::sender(pools).map(boxed),
            Host::Listener(protocol) => HostSocket::listen(*protocol, pools).map(boxed),
            Host::Link(name) => PacketSocket::open_ether_type(name, ethertype::GPW, pools)
                .map(|port| Box::new(port) as Box<dyn Port<Mbuf>>),
        };
        let mut device = device.map_err(|error| error.to_string())?;
        let ifindex = device.state().ifindex;
        let id = self.switch.add_host_port(&host.to_string());
        let id = id.map_err(|error| error.to_string())?;
        if let Err(error) = self.workers.add_port(id, device.as_mut()) {
            self.switch.remove_host_port(id);
            return Err(error);
        }
        Ok(OpenHost {
            id,
            device,
            ifindex,
        })
    }

    fn close_host(&mut self, host: &Host) {
        self.underlay.set_host(host.clone(), None);
        let Some(Ok(OpenHost { id, device, .. })) = self.hosts.remove(host) else {
            return;
        };
        let routes = self.underlay.reconsider();
        self.set_routes(routes);
        self.switch.remove_host_port(id);
        // Workers must not look for the queues any more before they let go of them.
        self.publish();
        self.workers.remove_port(id).wait();
        drop(device);
        tracing::info!(%host, "the host's sockets are closed");
    }

    /// Reads what the links say of themselves; one whose device is gone, or another one, is opened again.
    pub fn follow_hosts(&mut self) {
        let mut replaced = Vec::new();
        let mut is_new = false;
        for (host, live) in &self.hosts {
            let (Host::Link(_), Ok(open)) = (host, live) else {
                continue;
            };
            let state = open.device.state();
            if state.ifindex != open.ifindex || state.ifindex == 0 {
                replaced.push(host.clone());
                continue;
            }
            is_new |= self
                .underlay
                .set_host(host.clone(), Some(Ok(via(open.id, &state))));
        }
        for host in &replaced {
            self.close_host(host);
            self.open_host(host);
        }
        if is_new || !replaced.is_empty() {
            let routes = self.underlay.reconsider();
            self.set_routes(routes);
        }
    }

    /// Hears of ICMP errors for what the tunnels send.
    fn set_path_mtu_watches(&mut self) {
        let wanted = self.underlay.protocols();
        self.path_mtu
            .retain(|protocol, _| wanted.contains(protocol));
        for protocol in wanted {
            self.path_mtu
                .entry(protocol)
                .or_insert_with(|| pmtu::Watch::start(protocol, &self.events));
        }
    }
}
