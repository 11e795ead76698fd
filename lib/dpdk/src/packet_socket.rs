//! `system` ports: a kernel network device by a packet socket (AF_PACKET) with the kernel's offload header.
//!
//! Each burst is one `recvmmsg` straight into mbufs and one `sendmmsg` out of them. Checksums that the
//! sending host left unfinished and segments of up to 64 KiB stay as they are, described by the frame's
//! `Offload`. A VLAN tag that the kernel took out is put back. Nothing is ever cut short: a frame larger
//! than any buffer is dropped and counted, and so is one whose kind of segmentation the kernel cannot express
//! (UDP segments before Linux 6.2, segments inside a tunnel). What the port receives is kept from the host stack (`isolate`).

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datapath::edge::{Frame, Offload, Port, PortCounters, PortState, Rx, Segmentation, Tx};
use packet::ethertype;

use crate::counters::{Ledger, Queue};
use crate::isolate::Isolation;
use crate::landing::{Landing, VNET_SIZE, with_departure, with_landing};
use crate::mempool::{MbufPool, Mempools, free_all};
use crate::netdev::{Netdev, owned};
use crate::types::OpenRequest;
use crate::{Error, Mbuf, Result, fanout, finish, tap};

/// Bytes that may wait in a socket for the worker, and that may be on their way out of one: some 60
/// segments of 64 KiB, or 10 ms of 3 Gbit/s. Used only as far as packets are there.
pub(crate) const SOCKET_BUFFER_SIZE: i32 = 4 << 20;

/// The socket, as the port and its queues share it.
#[derive(Debug)]
struct Device {
    /// Each is a receive queue; the first one sends.
    sockets: Vec<Arc<OwnedFd>>,
    pools: Arc<Mempools>,
    ledger: Ledger,
    /// Frames that the kernel dropped as the socket's buffer was full. It forgets them when it tells.
    kernel_dropped: AtomicU64,
    /// Whether the kernel takes UDP segmentation from us.
    can_segment_udp: bool,
    /// None: the device stays the host's.
    _isolation: Option<Isolation>,
}

/// A `system` port.
#[derive(Debug)]
pub struct PacketSocket {
    netdev: Netdev,
    device: Arc<Device>,
    opened_rx: Vec<bool>,
}

pub(crate) fn set_option(
    fd: &OwnedFd,
    level: i32,
    option: i32,
    value: i32,
    what: &str,
) -> Result<()> {
    // SAFETY: the value is an int, and its size is given.
    let code = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<i32>() as u32,
        )
    };
    if code < 0 {
        Err(Error::system(format!("socket: cannot {what}")))
    } else {
        Ok(())
    }
}

/// The options of every packet socket: which, its value, and what it is for.
const OPTIONS: &[(i32, i32, i32, &str)] = &[
    (libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1, "keep offloads"),
    (
        libc::SOL_PACKET,
        libc::PACKET_AUXDATA,
        1,
        "learn of VLAN tags",
    ),
    (
        libc::SOL_PACKET,
        libc::PACKET_IGNORE_OUTGOING,
        1,
        "ignore what the host sends",
    ),
    (
        libc::SOL_SOCKET,
        libc::SO_RCVBUFFORCE,
        SOCKET_BUFFER_SIZE,
        "size the receive buffer",
    ),
    (
        libc::SOL_SOCKET,
        libc::SO_SNDBUFFORCE,
        SOCKET_BUFFER_SIZE,
        "size the send buffer",
    ),
];

impl PacketSocket {
    /// Opens `request.name` in this thread's network namespace.
    pub fn open(request: &OpenRequest<'_>) -> Result<PacketSocket> {
        let wanted = request.options.get("n_rxq").map(String::as_str);
        let queues = wanted
            .map_or(Ok(1), str::parse::<usize>)
            .map_err(|_| Error::Refused("n_rxq is not a number".into()))?;
        let port = PacketSocket::open_for(request.name, None, queues.max(1), request.pools)?;
        if let Some(mtu) = request.mtu {
            port.netdev.set_mtu(mtu)?;
        }
        Ok(port)
    }

    /// Takes part in the frames of one EtherType that the device `name` receives for the host. The device stays the host's.
    pub fn open_ether_type(
        name: &str,
        ether_type: u16,
        pools: &Arc<Mempools>,
    ) -> Result<PacketSocket> {
        PacketSocket::open_for(name, Some(ether_type), 1, pools)
    }

    fn open_for(
        name: &str,
        ether_type: Option<u16>,
        queues: usize,
        pools: &Arc<Mempools>,
    ) -> Result<PacketSocket> {
        let sockets: Vec<_> = (0..queues).map(|_| open_socket()).collect::<Result<_>>()?;
        let netdev = Netdev::new(name, sockets[0].clone());
        let index = netdev.index()?;
        if netdev.address()?.0 != libc::ARPHRD_ETHER {
            return Err(Error::Refused(format!("{name} is not an Ethernet device")));
        }
        let isolation = match ether_type {
            None => Some(Isolation::new(name)?),
            Some(_) => None,
        };
        if ether_type.is_none() {
            make_promiscuous(&sockets[0], index, name)?;
        }
        // Before Linux 6.13 only sockets of a device that is up may share it.
        if queues > 1 {
            netdev.set_up(true)?;
        }
        let ether_type = ether_type.unwrap_or(libc::ETH_P_ALL as u16);
        for socket in &sockets {
            if queues > 1 {
                fanout::prepare(socket)?;
            }
            bind(socket, index, ether_type, name)?;
        }
        if queues > 1 {
            fanout::share(sockets.iter().map(AsRef::as_ref))?;
        }
        let device = Device {
            sockets,
            pools: pools.clone(),
            ledger: Ledger::default(),
            kernel_dropped: AtomicU64::new(0),
            can_segment_udp: tap::kernel_segments_udp(),
            _isolation: isolation,
        };
        Ok(PacketSocket {
            netdev,
            device: Arc::new(device),
            opened_rx: vec![false; queues],
        })
    }
}

/// A packet socket that receives nothing yet: protocol 0 until it is bound.
fn open_socket() -> Result<Arc<OwnedFd>> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a plain system call.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    let socket = owned(fd, || "cannot open a packet socket".into())?;
    for &(level, option, value, what) in OPTIONS {
        set_option(&socket, level, option, value, what)?;
    }
    Ok(Arc::new(socket))
}

/// What the kernel dropped since it was asked last, as the socket's buffer was full.
fn dropped(socket: &OwnedFd) -> u64 {
    // SAFETY: a plain C structure; the call gets its size.
    unsafe {
        let mut stats: libc::tpacket_stats = zeroed();
        let mut size = size_of::<libc::tpacket_stats>() as u32;
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        let place = (&raw mut stats).cast();
        libc::getsockopt(socket.as_raw_fd(), level, option, place, &mut size);
        u64::from(stats.tp_drops)
    }
}

/// The device `index` receives everything, whoever it is for.
fn make_promiscuous(socket: &OwnedFd, index: i32, name: &str) -> Result<()> {
    // SAFETY: a plain C structure, for which all zeroes is a value; the call gets its size.
    let code = unsafe {
        let mut membership: libc::packet_mreq = zeroed();
        membership.mr_ifindex = index;
        membership.mr_type = libc::PACKET_MR_PROMISC as u16;
        let size = size_of::<libc::packet_mreq>() as u32;
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP);
        let value = (&raw const membership).cast();
        libc::setsockopt(socket.as_raw_fd(), level, option, value, size)
    };
    if code < 0 {
        return Err(Error::system(format!("{name}: cannot make it promiscuous")));
    }
    Ok(())
}

/// Receives the frames of a type from the device `index`.
fn bind(socket: &OwnedFd, index: i32, ether_type: u16, name: &str) -> Result<()> {
    // SAFETY: a plain C structure, for which all zeroes is a value; the call gets its size.
    let code = unsafe {
        let mut address: libc::sockaddr_ll = zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ether_type.to_be();
        address.sll_ifindex = index;
        let size = size_of::<libc::sockaddr_ll>() as u32;
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size)
    };
    if code < 0 {
        let text = format!("{name}: cannot bind a packet socket");
        return Err(Error::system(text));
    }
    Ok(())
}

impl Port<Mbuf> for PacketSocket {
    fn rx_len(&self) -> usize {
        self.opened_rx.len()
    }

    fn open_rx(&mut self, index: usize) -> std::result::Result<Box<dyn Rx<Mbuf>>, String> {
        let Some(opened @ false) = self.opened_rx.get_mut(index) else {
            let name = self.netdev.name();
            return Err(format!("{name} has no further receive queue"));
        };
        *opened = true;
        Ok(Box::new(PacketRx {
            counters: self.device.ledger.open_rx(),
            socket: self.device.sockets[index].clone(),
            device: self.device.clone(),
        }))
    }

    fn open_tx(&mut self, _worker: usize) -> std::result::Result<Box<dyn Tx<Mbuf>>, String> {
        Ok(Box::new(PacketTx {
            counters: self.device.ledger.open_tx(),
            pool: MbufPool::new(self.device.pools.clone()),
            device: self.device.clone(),
            finished: Vec::new(),
        }))
    }

    fn state(&self) -> PortState {
        self.netdev.state()
    }

    fn counters(&self) -> PortCounters {
        let fresh = self
            .device
            .sockets
            .iter()
            .map(|socket| dropped(socket))
            .sum();
        let dropped = self
            .device
            .kernel_dropped
            .fetch_add(fresh, Ordering::Relaxed)
            + fresh;
        let mut counters = self.device.ledger.read();
        counters.rx_dropped += dropped;
        counters
    }

    fn custom_counters(&self, out: &mut Vec<(String, u64)>) {
        out.push(("rx_oversize".into(), self.device.ledger.rx_oversize()));
    }

    fn set_mtu(&mut self, mtu: u16) -> std::result::Result<(), String> {
        self.netdev.set_mtu(mtu).map_err(|error| error.to_string())
    }

    fn set_mac(&mut self, mac: [u8; 6]) -> std::result::Result<(), String> {
        self.netdev.set_mac(mac).map_err(|error| error.to_string())
    }

    fn set_up(&mut self, up: bool) -> std::result::Result<(), String> {
        self.netdev.set_up(up).map_err(|error| error.to_string())
    }

    fn driver(&self) -> &'static str {
        "packet_socket"
    }
}

/// The receiving side.
///
/// `recvmmsg` instead of a mapped ring, as measured on a veth pair with a sender on one core and the receiver on
/// the other (thousands of frames per second received; nanoseconds of processor time per frame, both sides):
///
/// | frames | TPACKET_V2, 1,024 slots of 2 KiB | `recvmmsg` of 32 |
/// |---|---|---|
/// | 60 bytes, as fast as possible | 136 to 220 k, 1,630 to 1,900 ns | 350 to 416 k, 1,590 to 1,740 ns |
/// | 1,514 bytes, as fast as possible | 140 to 169 k, 1,690 to 2,020 ns | 149 to 304 k, 1,910 to 2,810 ns |
/// | 1,514 bytes, in bursts of 32 each 0.2 ms | 60 k, 4,360 ns | 81 k, 4,000 ns |
///
/// The ring saves the call but copies twice, drops earlier, and pins its memory even when the port is idle.
struct PacketRx {
    device: Arc<Device>,
    socket: Arc<OwnedFd>,
    counters: Arc<Queue>,
}

impl Rx<Mbuf> for PacketRx {
    fn rx(&mut self, out: &mut Vec<Mbuf>, max: usize) {
        with_landing(&self.device.pools, |landing| {
            self.recv_burst(landing, out, max)
        });
    }

    fn fd(&self) -> Option<RawFd> {
        Some(self.socket.as_raw_fd())
    }
}

impl PacketRx {
    fn recv_burst(&self, landing: &mut Landing, out: &mut Vec<Mbuf>, max: usize) {
        let len = landing.prepare(max);
        let messages = landing.messages(len);
        // SAFETY: each message points to its landing slot, which has the sizes that it says.
        let received = unsafe {
            let fd = self.socket.as_raw_fd();
            libc::recvmmsg(
                fd,
                messages.as_mut_ptr(),
                len as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if received < 0 {
            // EINVAL: a kind of segmentation that the kernel's header cannot tell; that frame is gone.
            if io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
                self.counters.errors.add(1);
            }
            return;
        }
        let (mut packets, mut bytes) = (0, 0);
        for index in 0..received as usize {
            if let Some(frame) = self.received(landing, index) {
                packets += 1;
                bytes += frame.size() as u64;
                out.push(frame);
            }
        }
        self.counters.packets.add(packets);
        self.counters.bytes.add(bytes);
    }

    /// The frame of slot `index`, with its VLAN tag.
    fn received(&self, landing: &mut Landing, index: usize) -> Option<Mbuf> {
        let message = landing.message(index);
        if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            self.counters.errors.add(1);
            self.counters.oversize.add(1);
            return None;
        }
        let tag = vlan_tag(message);
        let size = message.msg_len as usize;
        let Some(mut frame) = landing.take(index, size) else {
            self.counters.errors.add(1);
            return None;
        };
        if let Some(tag) = tag {
            insert_tag(&mut frame, tag);
        }
        Some(frame)
    }
}

/// The tag that the kernel stripped, from the message's ancillary data: type and control information.
fn vlan_tag(message: &libc::mmsghdr) -> Option<[u8; 4]> {
    // SAFETY: the kernel filled the control buffer and said how much of it; CMSG_FIRSTHDR checks that
    // a whole header is there, and the length is compared before the data are read.
    let auxdata = unsafe {
        let control = libc::CMSG_FIRSTHDR(&message.msg_hdr).as_ref()?;
        let is_auxdata =
            control.cmsg_level == libc::SOL_PACKET && control.cmsg_type == libc::PACKET_AUXDATA;
        if !is_auxdata
            || control.cmsg_len < libc::CMSG_LEN(size_of::<libc::tpacket_auxdata>() as u32) as usize
        {
            return None;
        }
        libc::CMSG_DATA(control)
            .cast::<libc::tpacket_auxdata>()
            .read_unaligned()
    };
    if auxdata.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let has_type = auxdata.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
    let kind = if has_type {
        auxdata.tp_vlan_tpid
    } else {
        ethertype::VLAN
    };
    let ([k0, k1], [t0, t1]) = (kind.to_be_bytes(), auxdata.tp_vlan_tci.to_be_bytes());
    Some([k0, k1, t0, t1])
}

/// Puts a tag behind the addresses. Landing slots have room for it in front (`TAG_ROOM`).
fn insert_tag(frame: &mut Mbuf, tag: [u8; 4]) {
    const ADDRESSES_SIZE: usize = 12;
    let mut offload = frame.offload();
    if frame.head().len() < ADDRESSES_SIZE || frame.push(tag.len()).is_none() {
        return;
    }
    let head = frame.head_mut();
    head.copy_within(tag.len()..tag.len() + ADDRESSES_SIZE, 0);
    head[ADDRESSES_SIZE..ADDRESSES_SIZE + tag.len()].copy_from_slice(&tag);
    // The kernel counted from the stripped frame.
    offload.shift(tag.len() as isize);
    frame.set_offload(offload);
}

/// A sending side. The kernel lets any number of threads send through one socket.
struct PacketTx {
    device: Arc<Device>,
    counters: Arc<Queue>,
    pool: MbufPool,
    finished: Vec<Mbuf>,
}

impl Tx<Mbuf> for PacketTx {
    fn tx(&mut self, frames: &mut Vec<Mbuf>) {
        let is_refused = |offload: Offload| offload.segmentation == Segmentation::Udp;
        if !self.device.can_segment_udp && frames.iter().any(|frame| is_refused(frame.offload())) {
            let failed = finish::finish_all(&mut self.pool, frames, &mut self.finished, is_refused);
            self.counters.errors.add(failed);
        }
        self.send_burst(frames);
        free_all(frames);
    }
}

impl PacketTx {
    fn send_burst(&mut self, frames: &[Mbuf]) {
        let (mut sent, mut bytes, mut done) = (0, 0, 0);
        with_departure(frames, |departure| {
            let messages = departure.messages();
            while done < messages.len() {
                let rest = &mut messages[done..];
                // SAFETY: each message points to buffers of a frame that lives until the end of the burst.
                let code = unsafe {
                    let fd = self.device.sockets[0].as_raw_fd();
                    libc::sendmmsg(fd, rest.as_mut_ptr(), rest.len() as u32, libc::MSG_DONTWAIT)
                };
                if code > 0 {
                    let now = &rest[..code as usize];
                    sent += now.len();
                    bytes += now
                        .iter()
                        .map(|message| message.msg_len as usize - VNET_SIZE)
                        .sum::<usize>();
                    done += now.len();
                    continue;
                }
                match io::Error::last_os_error().raw_os_error() {
                    Some(libc::EINTR) => {}
                    // The device's queue refused this frame.
                    Some(libc::ENOBUFS) => {
                        self.counters.dropped.add(1);
                        done += 1;
                    }
                    // The socket's buffer is full, or the device is down: so it is for the rest.
                    Some(libc::EAGAIN | libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => {
                        self.counters.dropped.add((messages.len() - done) as u64);
                        break;
                    }
                    // Larger than the MTU, or headers that the kernel does not believe.
                    _ => {
                        self.counters.errors.add(1);
                        done += 1;
                    }
                }
            }
        });
        self.counters.packets.add(sent as u64);
        self.counters.bytes.add(bytes as u64);
    }
}
