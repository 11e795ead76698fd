//! The host's own stack as an underlay: sockets by which tunnel packets arrive and leave where the kernel routes them.
//!
//! A listener is a UDP socket bound to a port, or raw sockets of one IP protocol, a receive queue per version of IP. What
//! arrives is made a whole frame again: Ethernet without addresses, an IP header of what the kernel says of the packet, and for
//! UDP a header without checksum, as the kernel has verified it. Fragments are put together by the kernel. A sender
//! takes such frames of any protocol, and gives all behind their Ethernet header to the kernel as it is, headers included.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datapath::edge::{Frame, Port, PortCounters, PortState, Rx, Tx};
use libc::{c_int, iovec, mmsghdr, sockaddr_in, sockaddr_in6};
use packet::{Wire, ethernet, ethertype, ipproto, ipv4, ipv6, udp};

use crate::counters::{Ledger, Queue};
use crate::landing::{Landing, with_landing};
use crate::mempool::{MbufPool, Mempools, free_all, free_one};
use crate::netdev::owned;
use crate::packet_socket::{SOCKET_BUFFER_SIZE, set_option};
use crate::{Error, Mbuf, Result, finish};

/// What a listener receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Datagrams for this UDP port.
    Udp(u16),
    /// GRE.
    Gre,
    /// L2TPv3 over IP.
    L2tp,
    /// The two-byte pseudowire, over IPv6 only.
    Gpw,
}

impl Protocol {
    /// As IP headers have it.
    pub const fn number(self) -> u8 {
        match self {
            Protocol::Udp(_) => ipproto::UDP,
            Protocol::Gre => ipproto::GRE,
            Protocol::L2tp => ipproto::L2TP,
            Protocol::Gpw => ipproto::GPW,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protocol::Udp(port) => write!(f, "UDP port {port}"),
            Protocol::Gre => f.write_str("GRE"),
            Protocol::L2tp => f.write_str("L2TP"),
            Protocol::Gpw => f.write_str("gpw"),
        }
    }
}

/// A version of IP, in the words of its sockets.
struct Version {
    domain: c_int,
    ether_type: u16,
    /// The level of its options, and of what it says of a received packet.
    level: c_int,
    info: c_int,
    class: c_int,
    hops: c_int,
    /// Options of a listener: which, its value, what it is for.
    listen: &'static [(c_int, c_int, &'static str)],
    /// Options of a sender.
    send: &'static [(c_int, c_int, &'static str)],
}

// The path's MTU is the switch's business: what it lets pass leaves if the interface carries it. "Probe" still has the kernel
// learn from ICMP.
const V4: Version = Version {
    domain: libc::AF_INET,
    ether_type: ethertype::IPV4,
    level: libc::IPPROTO_IP,
    info: libc::IP_PKTINFO,
    class: libc::IP_TOS,
    hops: libc::IP_TTL,
    listen: &[
        (libc::IP_PKTINFO, 1, "learn of destinations"),
        (libc::IP_RECVTOS, 1, "learn of the TOS"),
        (libc::IP_RECVTTL, 1, "learn of the TTL"),
    ],
    send: &[
        (libc::IP_HDRINCL, 1, "send IP headers"),
        (
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_PROBE,
            "leave the path's MTU to the switch",
        ),
        (libc::IP_FREEBIND, 1, "send from any address"),
    ],
};
const V6: Version = Version {
    domain: libc::AF_INET6,
    ether_type: ethertype::IPV6,
    level: libc::IPPROTO_IPV6,
    info: libc::IPV6_PKTINFO,
    class: libc::IPV6_TCLASS,
    hops: libc::IPV6_HOPLIMIT,
    listen: &[
        (libc::IPV6_RECVPKTINFO, 1, "learn of destinations"),
        (libc::IPV6_RECVTCLASS, 1, "learn of the traffic class"),
        (libc::IPV6_RECVHOPLIMIT, 1, "learn of the hop limit"),
    ],
    send: &[
        (libc::IPV6_HDRINCL, 1, "send IP headers"),
        (
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_PROBE,
            "leave the path's MTU to the switch",
        ),
        (libc::IPV6_FREEBIND, 1, "send from any address"),
    ],
};
/// `UDP_NO_CHECK6_RX`: datagrams without a checksum are received. RFC 6935 section 5 allows them to tunnels.
const UDP_NO_CHECK6_RX: c_int = 102;
/// `SO_MEMINFO`, and the place of the datagrams that found no room in its answer.
const SO_MEMINFO: c_int = 55;
const SK_MEMINFO_DROPS: usize = 8;

/// Why the kernel did not send, and the counter's name; the last one is for all others.
const REFUSALS: &[(c_int, &str)] = &[
    (libc::ENETUNREACH, "tx_no_route"),
    (libc::EHOSTUNREACH, "tx_no_host"),
    (libc::EMSGSIZE, "tx_too_big"),
    (libc::EPERM, "tx_forbidden"),
    (libc::ENOBUFS, "tx_no_buffers"),
    (libc::ENETDOWN, "tx_link_down"),
    (0, "tx_other_errors"),
];

/// A socket of one version of IP.
struct Socket {
    version: &'static Version,
    fd: OwnedFd,
}

struct Device {
    /// What its listeners receive; `None`: it only sends.
    protocol: Option<Protocol>,
    sockets: Vec<Socket>,
    pools: Arc<Mempools>,
    ledger: Ledger,
    refusals: [AtomicU64; REFUSALS.len()],
}

/// The sockets of a protocol, or those that send.
pub struct HostSocket {
    device: Arc<Device>,
    opened: usize,
}

fn socket(version: &Version, kind: c_int, protocol: c_int) -> Result<OwnedFd> {
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a plain system call.
    let fd = unsafe { libc::socket(version.domain, kind, protocol) };
    owned(fd, || "cannot open a socket".into())
}

impl HostSocket {
    /// Receives packets of `protocol` that the host gets, whichever of its addresses they are for.
    pub fn listen(protocol: Protocol, pools: &Arc<Mempools>) -> Result<HostSocket> {
        let versions: &[&Version] = match protocol {
            Protocol::Gpw => &[&V6],
            _ => &[&V4, &V6],
        };
        HostSocket::open(Some(protocol), versions, pools, |version| match protocol {
            Protocol::Udp(port) => bound(version, port),
            _ => listener(version, libc::SOCK_RAW, protocol.number().into()),
        })
    }

    /// Sends packets of any protocol; receives nothing.
    pub fn sender(pools: &Arc<Mempools>) -> Result<HostSocket> {
        HostSocket::open(None, &[&V4, &V6], pools, |version| {
            let fd = socket(version, libc::SOCK_RAW, libc::IPPROTO_RAW)?;
            for &(option, value, what) in version.send {
                set_option(&fd, version.level, option, value, what)?;
            }
            let (option, what) = (libc::SO_SNDBUFFORCE, "size the send buffer");
            set_option(&fd, libc::SOL_SOCKET, option, SOCKET_BUFFER_SIZE, what)?;
            Ok(fd)
        })
    }

    fn open(
        protocol: Option<Protocol>,
        versions: &[&'static Version],
        pools: &Arc<Mempools>,
        make: impl Fn(&Version) -> Result<OwnedFd>,
    ) -> Result<HostSocket> {
        let mut sockets = Vec::new();
        for version in versions {
            match make(version) {
                Ok(fd) => sockets.push(Socket { version, fd }),
                // A host without IPv6.
                Err(Error::System { source, .. })
                    if source.raw_os_error() == Some(libc::EAFNOSUPPORT) => {}
                Err(error) => return Err(error),
            }
        }
        let device = Device {
            protocol,
            sockets,
            pools: pools.clone(),
            ledger: Ledger::default(),
            refusals: Default::default(),
        };
        Ok(HostSocket {
            device: Arc::new(device),
            opened: 0,
        })
    }
}

fn listener(version: &Version, kind: c_int, protocol: c_int) -> Result<OwnedFd> {
    let fd = socket(version, kind, protocol)?;
    for &(option, value, what) in version.listen {
        set_option(&fd, version.level, option, value, what)?;
    }
    let (option, what) = (libc::SO_RCVBUFFORCE, "size the receive buffer");
    set_option(&fd, libc::SOL_SOCKET, option, SOCKET_BUFFER_SIZE, what)?;
    Ok(fd)
}

/// A UDP socket that receives at `port`, at any address.
fn bound(version: &Version, port: u16) -> Result<OwnedFd> {
    let fd = listener(version, libc::SOCK_DGRAM, libc::IPPROTO_UDP)?;
    if version.domain == libc::AF_INET6 {
        let (level, option) = (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY);
        set_option(&fd, level, option, 1, "leave IPv4 to the other socket")?;
        let (option, what) = (UDP_NO_CHECK6_RX, "receive without checksums");
        set_option(&fd, libc::IPPROTO_UDP, option, 1, what)?;
    }
    // SAFETY: a plain C structure, for which all zeroes (any address) is a value; a sockaddr_in6 begins with family and
    // port as a sockaddr_in does, and is larger.
    let code = unsafe {
        let mut address: sockaddr_in6 = zeroed();
        address.sin6_family = version.domain as u16;
        address.sin6_port = port.to_be();
        let size = size_of::<sockaddr_in6>() as u32;
        libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size)
    };
    if code == 0 {
        return Ok(fd);
    }
    let error = io::Error::last_os_error();
    Err(match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Error::Refused(format!(
            "UDP port {port} is used by another socket, or by a tunnel device of the kernel (see `ss -lunp` and `ip -d link show type vxlan`)"
        )),
        _ => Error::System {
            what: format!("cannot receive at UDP port {port}"),
            source: error,
        },
    })
}

impl Port<Mbuf> for HostSocket {
    fn rx_len(&self) -> usize {
        match self.device.protocol {
            Some(_) => self.device.sockets.len(),
            None => 0,
        }
    }

    fn open_rx(&mut self, index: usize) -> std::result::Result<Box<dyn Rx<Mbuf>>, String> {
        if index != self.opened || index >= self.rx_len() {
            return Err("the host's sockets have no further receive queue".into());
        }
        self.opened += 1;
        Ok(Box::new(HostRx {
            counters: self.device.ledger.open_rx(),
            device: self.device.clone(),
            index,
        }))
    }

    fn open_tx(&mut self, _worker: usize) -> std::result::Result<Box<dyn Tx<Mbuf>>, String> {
        Ok(Box::new(HostTx {
            counters: self.device.ledger.open_tx(),
            pool: MbufPool::new(self.device.pools.clone()),
            device: self.device.clone(),
            finished: Vec::new(),
        }))
    }

    fn state(&self) -> PortState {
        PortState {
            link_up: true,
            admin_up: true,
            mtu: u16::MAX,
            ..PortState::default()
        }
    }

    fn counters(&self) -> PortCounters {
        let mut counters = self.device.ledger.read();
        if self.device.protocol.is_some() {
            counters.rx_dropped += self.device.sockets.iter().map(dropped).sum::<u64>();
        }
        counters
    }

    fn custom_counters(&self, out: &mut Vec<(String, u64)>) {
        if self.device.protocol.is_some() {
            out.push(("rx_oversize".into(), self.device.ledger.rx_oversize()));
            return;
        }
        let refusals = REFUSALS.iter().zip(&self.device.refusals);
        out.extend(refusals.map(|((_, name), n)| ((*name).into(), n.load(Ordering::Relaxed))));
    }

    fn set_mtu(&mut self, _mtu: u16) -> std::result::Result<(), String> {
        Err("the host's interfaces have the MTU".into())
    }

    fn set_mac(&mut self, _mac: [u8; 6]) -> std::result::Result<(), String> {
        Err("sockets of the host have no MAC address".into())
    }

    fn set_up(&mut self, _up: bool) -> std::result::Result<(), String> {
        Err("sockets of the host are always up".into())
    }

    fn driver(&self) -> &'static str {
        "host_socket"
    }
}

/// Packets that found a socket's receive buffer full.
fn dropped(socket: &Socket) -> u64 {
    let mut info = [0u32; SK_MEMINFO_DROPS + 1];
    let mut size = size_of_val(&info) as u32;
    // SAFETY: the call gets the size of what it fills.
    unsafe {
        let fd = socket.fd.as_raw_fd();
        let value = info.as_mut_ptr().cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, SO_MEMINFO, value, &mut size);
    }
    info[SK_MEMINFO_DROPS].into()
}

/// The receiving side of one version of IP.
struct HostRx {
    device: Arc<Device>,
    index: usize,
    counters: Arc<Queue>,
}

impl Rx<Mbuf> for HostRx {
    fn rx(&mut self, out: &mut Vec<Mbuf>, max: usize) {
        with_landing(&self.device.pools, |landing| {
            self.recv_burst(landing, out, max)
        });
    }

    fn fd(&self) -> Option<RawFd> {
        Some(self.device.sockets[self.index].fd.as_raw_fd())
    }
}

impl HostRx {
    fn recv_burst(&self, landing: &mut Landing, out: &mut Vec<Mbuf>, max: usize) {
        let socket = &self.device.sockets[self.index];
        let len = landing.prepare(max);
        let messages = landing.datagrams(len);
        // SAFETY: each message points to its landing slot, which has the sizes that it says.
        let received = unsafe {
            let (fd, messages) = (socket.fd.as_raw_fd(), messages.as_mut_ptr());
            libc::recvmmsg(
                fd,
                messages,
                len as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let (mut packets, mut bytes) = (0, 0);
        for index in 0..usize::try_from(received).unwrap_or(0) {
            let message = landing.message(index);
            if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                self.counters.errors.add(1);
                self.counters.oversize.add(1);
                continue;
            }
            let arrival = Arrival::of(message, landing.sender(index), socket.version);
            let size = message.msg_len as usize;
            let Some(mut frame) = landing.take_datagram(index, size) else {
                self.counters.errors.add(1);
                continue;
            };
            frame.set_offload(Default::default());
            if self
                .complete(&mut frame, socket.version, &arrival)
                .is_none()
            {
                self.counters.errors.add(1);
                free_one(frame);
                continue;
            }
            packets += 1;
            bytes += frame.size() as u64;
            out.push(frame);
        }
        self.counters.packets.add(packets);
        self.counters.bytes.add(bytes);
    }

    /// Puts the headers that the kernel took back in front.
    fn complete(&self, frame: &mut Mbuf, version: &Version, arrival: &Arrival) -> Option<()> {
        let protocol = self.device.protocol?;
        if let Protocol::Udp(port) = protocol {
            let size = u16::try_from(frame.size()).ok()?;
            // RFC 768: "An all zero transmitted checksum value means that the transmitter generated no checksum".
            udp::Header::new(arrival.port, port, size).emit(frame.push(udp::Header::SIZE)?)?;
        }
        let has_header = version.domain == libc::AF_INET && !matches!(protocol, Protocol::Udp(_));
        if !has_header {
            let size = u16::try_from(frame.size()).ok()?;
            match (arrival.src?, arrival.dst?) {
                (IpAddr::V4(src), IpAddr::V4(dst)) => {
                    let mut header = ipv4::Header::new(src, dst, protocol.number(), size);
                    (header.tos, header.ttl) = (arrival.class, arrival.hops);
                    let bytes = frame.push(ipv4::Header::SIZE)?;
                    header.emit(bytes)?;
                    ipv4::fill_checksum(bytes)?;
                }
                (IpAddr::V6(src), IpAddr::V6(dst)) => {
                    let mut header = ipv6::Header::new(src, dst, protocol.number(), size);
                    header.set_traffic_class(arrival.class);
                    header.hop_limit = arrival.hops;
                    header.emit(frame.push(ipv6::Header::SIZE)?)?;
                }
                _ => return None,
            }
        }
        let link = ethernet::Header {
            ether_type: version.ether_type.into(),
            ..Default::default()
        };
        link.emit(frame.push(ethernet::Header::SIZE)?)?;
        Some(())
    }
}

/// What the kernel says of a packet that it has taken the headers off.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arrival {
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    /// The UDP source port.
    port: u16,
    class: u8,
    hops: u8,
}

impl Arrival {
    fn of(message: &mmsghdr, sender: &sockaddr_in6, version: &Version) -> Arrival {
        let mut arrival = Arrival {
            port: u16::from_be(sender.sin6_port),
            ..Arrival::default()
        };
        arrival.src = Some(if version.domain == libc::AF_INET {
            // SAFETY: the kernel wrote a sockaddr_in, which is smaller.
            let sender = unsafe { &*std::ptr::from_ref(sender).cast::<sockaddr_in>() };
            Ipv4Addr::from(sender.sin_addr.s_addr.to_ne_bytes()).into()
        } else {
            Ipv6Addr::from(sender.sin6_addr.s6_addr).into()
        });
        // SAFETY: the kernel filled the control buffer and said how much of it; the macros stay within that, and each
        // length is compared before the data are read.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(&message.msg_hdr);
            while let Some(header) = control.as_ref() {
                arrival.note(header, version);
                control = libc::CMSG_NXTHDR(&message.msg_hdr, control);
            }
        }
        arrival
    }

    /// # Safety
    /// The header stands in a control buffer that holds as many bytes as it says.
    unsafe fn note(&mut self, header: &libc::cmsghdr, version: &Version) {
        if header.cmsg_level != version.level {
            return;
        }
        // SAFETY: plain bytes behind the header, as the caller promises.
        let data = unsafe {
            let start = libc::CMSG_DATA(header);
            let before = libc::CMSG_LEN(0) as usize;
            std::slice::from_raw_parts(start, header.cmsg_len.saturating_sub(before))
        };
        // An int, or a byte.
        let byte = match data {
            [a, b, c, d, ..] => i32::from_ne_bytes([*a, *b, *c, *d]) as u8,
            [a, ..] => *a,
            [] => return,
        };
        match header.cmsg_type {
            kind if kind == version.class => self.class = byte,
            kind if kind == version.hops => self.hops = byte,
            kind if kind == version.info => self.dst = destination(data, version),
            _ => {}
        }
    }
}

/// The destination in a `struct in_pktinfo` (behind interface and own address), or in a `struct in6_pktinfo`.
fn destination(info: &[u8], version: &Version) -> Option<IpAddr> {
    match version.domain {
        libc::AF_INET => {
            let bytes: [u8; 4] = info.get(8..12)?.try_into().ok()?;
            Some(bytes.into())
        }
        _ => {
            let bytes: [u8; 16] = info.get(..16)?.try_into().ok()?;
            Some(bytes.into())
        }
    }
}

/// Room for a `struct in6_pktinfo` with its header, in words for the alignment.
const INFO_WORDS: usize = 5;

/// Packets on their way to the kernel: what each `sendmmsg` needs beside the frames, which stay the caller's.
#[derive(Default)]
struct Departure {
    iovecs: Vec<iovec>,
    controls: Vec<[u64; INFO_WORDS]>,
    receivers: Vec<sockaddr_in6>,
    messages: Vec<mmsghdr>,
}

thread_local! {
    static DEPARTURE: RefCell<Departure> = RefCell::default();
}

/// The addresses of a frame's IP header, if it is of this version: source, destination.
fn ends(head: &[u8], version: &Version) -> Option<(IpAddr, IpAddr)> {
    let at = ethernet::Header::SIZE;
    let link = ethernet::Header::parse(head)?.0;
    if link.ether_type.get() != version.ether_type {
        return None;
    }
    Some(match version.domain {
        libc::AF_INET => {
            let header = ipv4::Header::at(head, at)?;
            (header.src().into(), header.dst().into())
        }
        _ => {
            let header = ipv6::Header::at(head, at)?;
            (header.src().into(), header.dst().into())
        }
    })
}

impl Departure {
    /// Loads the frames of one version of IP.
    fn load(&mut self, frames: &[Mbuf], version: &Version) {
        self.iovecs.clear();
        self.controls.clear();
        self.receivers.clear();
        self.messages.clear();
        // Pointers into these follow: they must not move any more.
        let segments = frames.iter().map(Mbuf::segments_len).sum();
        self.iovecs.reserve(segments);
        self.controls.reserve(frames.len());
        self.receivers.reserve(frames.len());
        for frame in frames {
            if let Some((src, dst)) = ends(frame.head(), version) {
                self.add(frame, version, src, dst);
            }
        }
    }

    fn add(&mut self, frame: &Mbuf, version: &Version, src: IpAddr, dst: IpAddr) {
        let (start, index) = (self.iovecs.len(), self.messages.len());
        self.iovecs.extend(frame.iovecs());
        let first = &mut self.iovecs[start];
        // SAFETY: the first segment has an Ethernet header, as its addresses were read behind it.
        first.iov_base = unsafe { first.iov_base.byte_add(ethernet::Header::SIZE) };
        first.iov_len -= ethernet::Header::SIZE;
        self.receivers.push(address(dst));
        self.controls.push([0; INFO_WORDS]);
        // SAFETY: a plain C structure, for which all zeroes is a value.
        let mut message: mmsghdr = unsafe { zeroed() };
        let header = &mut message.msg_hdr;
        header.msg_iov = &raw mut self.iovecs[start];
        header.msg_iovlen = self.iovecs.len() - start;
        header.msg_name = (&raw mut self.receivers[index]).cast();
        header.msg_namelen = match version.domain {
            libc::AF_INET => size_of::<sockaddr_in>() as u32,
            _ => size_of::<sockaddr_in6>() as u32,
        };
        header.msg_control = (&raw mut self.controls[index]).cast();
        header.msg_controllen = size_of::<[u64; INFO_WORDS]>();
        // The kernel routes by the source as well: rules may look at it.
        let mut info = [0u8; size_of::<libc::in6_pktinfo>()];
        let size = match src {
            // Behind the interface.
            IpAddr::V4(src) => {
                info[4..8].copy_from_slice(&src.octets());
                size_of::<libc::in_pktinfo>()
            }
            IpAddr::V6(src) => {
                info[..16].copy_from_slice(&src.octets());
                size_of::<libc::in6_pktinfo>()
            }
        };
        // SAFETY: the control buffer has room for one header and either structure.
        unsafe {
            let control = libc::CMSG_FIRSTHDR(header);
            (*control).cmsg_level = version.level;
            (*control).cmsg_type = version.info;
            (*control).cmsg_len = libc::CMSG_LEN(size as u32) as usize;
            std::ptr::copy_nonoverlapping(info.as_ptr(), libc::CMSG_DATA(control), size);
            header.msg_controllen = libc::CMSG_SPACE(size as u32) as usize;
        }
        self.messages.push(message);
    }
}

/// As the kernel takes it: a `sockaddr_in` or a `sockaddr_in6`.
fn address(ip: IpAddr) -> sockaddr_in6 {
    // SAFETY: plain C structures, for which all zeroes is a value; a sockaddr_in is the smaller one.
    unsafe {
        let mut address: sockaddr_in6 = zeroed();
        match ip {
            IpAddr::V4(ip) => {
                let short = &mut *(&raw mut address).cast::<sockaddr_in>();
                short.sin_family = libc::AF_INET as u16;
                short.sin_addr.s_addr = u32::from_ne_bytes(ip.octets());
            }
            IpAddr::V6(ip) => {
                address.sin6_family = libc::AF_INET6 as u16;
                address.sin6_addr.s6_addr = ip.octets();
            }
        }
        address
    }
}

/// A sending side. The kernel lets any number of threads send through one socket.
struct HostTx {
    device: Arc<Device>,
    counters: Arc<Queue>,
    pool: MbufPool,
    finished: Vec<Mbuf>,
}

impl Tx<Mbuf> for HostTx {
    fn tx(&mut self, frames: &mut Vec<Mbuf>) {
        if frames.iter().any(|frame| !frame.offload().is_finished()) {
            let is_needed = |offload: datapath::edge::Offload| !offload.is_finished();
            let failed = finish::finish_all(&mut self.pool, frames, &mut self.finished, is_needed);
            self.counters.errors.add(failed);
        }
        let mut known = 0;
        for socket in &self.device.sockets {
            known += DEPARTURE.with_borrow_mut(|departure| {
                departure.load(frames, socket.version);
                self.send_burst(socket, &mut departure.messages);
                departure.messages.len()
            });
        }
        self.counters.errors.add((frames.len() - known) as u64);
        free_all(frames);
    }
}

impl HostTx {
    fn send_burst(&self, socket: &Socket, messages: &mut [mmsghdr]) {
        let (mut sent, mut bytes, mut done) = (0, 0, 0);
        while done < messages.len() {
            let rest = &mut messages[done..];
            // SAFETY: each message points to buffers of a frame that lives until the end of the burst.
            let code = unsafe {
                let (fd, len) = (socket.fd.as_raw_fd(), rest.len() as u32);
                libc::sendmmsg(fd, rest.as_mut_ptr(), len, libc::MSG_DONTWAIT)
            };
            if code > 0 {
                let now = &rest[..code as usize];
                sent += now.len();
                let size = |message: &mmsghdr| message.msg_len as usize + ethernet::Header::SIZE;
                bytes += now.iter().map(size).sum::<usize>();
                done += now.len();
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                // The socket's buffer is full, and so it is for the rest.
                Some(libc::EAGAIN) => {
                    self.counters.dropped.add((messages.len() - done) as u64);
                    break;
                }
                error => {
                    let known = REFUSALS.iter().position(|(code, _)| Some(*code) == error);
                    let index = known.unwrap_or(REFUSALS.len() - 1);
                    self.device.refusals[index].fetch_add(1, Ordering::Relaxed);
                    self.counters.errors.add(1);
                    done += 1;
                }
            }
        }
        self.counters.packets.add(sent as u64);
        self.counters.bytes.add(bytes as u64);
    }
}
