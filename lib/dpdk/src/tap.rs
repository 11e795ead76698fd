//! `internal` ports and a bridge's LOCAL: a tap device with the kernel's offload header.
//! It exists as long as the port does, and vanishes with the process. One system call per frame, which is
//! what the kernel offers; checksums and segments stay as the host made them, as with packet sockets.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, OnceLock};

use datapath::edge::{Frame, Offload, Port, PortCounters, PortState, Rx, Segmentation, Tx};

use crate::counters::{Ledger, Queue};
use crate::landing::{with_departure, with_landing};
use crate::mempool::{MbufPool, Mempools, free_all};
use crate::netdev::{Netdev, ifreq};
use crate::types::OpenRequest;
use crate::{Error, Mbuf, Result, finish};

const OFFLOADS: u32 = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
/// UDP segmentation: Linux 6.2.
const UDP_OFFLOADS: u32 = libc::TUN_F_USO4 | libc::TUN_F_USO6;

#[derive(Debug)]
struct Device {
    file: OwnedFd,
    pools: Arc<Mempools>,
    ledger: Ledger,
    can_segment_udp: bool,
}

/// An `internal` port.
#[derive(Debug)]
pub struct Tap {
    netdev: Netdev,
    device: Arc<Device>,
    is_rx_open: bool,
}

/// Opens the clone device and says what kind of interface is wanted. The descriptor's interface is made by TUNSETIFF.
fn open_clone() -> Result<OwnedFd> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .map(OwnedFd::from)
        .map_err(|source| Error::System {
            what: "cannot open /dev/net/tun".into(),
            source,
        })
}

fn attach(file: &OwnedFd, name: &str) -> Result<()> {
    let mut request = ifreq(name)?;
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
    request.ifr_ifru.ifru_flags = flags as i16;
    // SAFETY: the request takes one ifreq.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request) } < 0 {
        return Err(match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EBUSY) => {
                Error::Refused(format!("a network device \"{name}\" exists already"))
            }
            source => Error::System {
                what: format!("cannot make the tap {name}"),
                source,
            },
        });
    }
    Ok(())
}

/// Says what we can take. `false` if the kernel does not know one of them.
fn offer(file: &OwnedFd, offloads: u32) -> bool {
    // SAFETY: the request takes its argument by value.
    unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            libc::TUNSETOFFLOAD as _,
            libc::c_ulong::from(offloads),
        ) == 0
    }
}

/// Whether this kernel takes and gives UDP segmentation in its header: Linux 6.2 and later do.
pub(crate) fn kernel_segments_udp() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release
            .split('.')
            .map(|word| word.parse::<u32>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 2)
    })
}

impl Tap {
    /// Makes the tap `request.name` in this thread's network namespace. It is down until it is set up.
    pub fn open(request: &OpenRequest<'_>) -> Result<Tap> {
        let file = open_clone()?;
        attach(&file, request.name)?;
        let can_segment_udp = kernel_segments_udp() && offer(&file, OFFLOADS | UDP_OFFLOADS);
        if !can_segment_udp && !offer(&file, OFFLOADS) {
            return Err(Error::system(format!(
                "{}: the tap refuses offloads",
                request.name
            )));
        }
        let netdev = Netdev::here(request.name)?;
        if let Some(mac) = request.mac {
            netdev.set_mac(mac)?;
        }
        if let Some(mtu) = request.mtu {
            netdev.set_mtu(mtu)?;
        }
        let device = Device {
            file,
            pools: request.pools.clone(),
            ledger: Ledger::default(),
            can_segment_udp,
        };
        Ok(Tap {
            netdev,
            device: Arc::new(device),
            is_rx_open: false,
        })
    }
}

impl Port<Mbuf> for Tap {
    fn rx_len(&self) -> usize {
        1
    }

    fn open_rx(&mut self, index: usize) -> std::result::Result<Box<dyn Rx<Mbuf>>, String> {
        if index != 0 || self.is_rx_open {
            return Err(format!(
                "{} has no further receive queue",
                self.netdev.name()
            ));
        }
        self.is_rx_open = true;
        Ok(Box::new(TapRx {
            counters: self.device.ledger.open_rx(),
            device: self.device.clone(),
        }))
    }

    fn open_tx(&mut self, _worker: usize) -> std::result::Result<Box<dyn Tx<Mbuf>>, String> {
        Ok(Box::new(TapTx {
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
        self.device.ledger.read()
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
        "tun"
    }
}

struct TapRx {
    device: Arc<Device>,
    counters: Arc<Queue>,
}

impl Rx<Mbuf> for TapRx {
    fn rx(&mut self, out: &mut Vec<Mbuf>, max: usize) {
        let (mut packets, mut bytes) = (0, 0);
        with_landing(&self.device.pools, |landing| {
            for index in 0..landing.prepare(max) {
                let parts = landing.iovec(index);
                // SAFETY: the parts are the slot's buffers, with their sizes.
                let size = unsafe {
                    libc::readv(
                        self.device.file.as_raw_fd(),
                        parts.as_ptr(),
                        parts.len() as i32,
                    )
                };
                // Empty (EAGAIN), or somebody deleted the device (EBADFD).
                let Ok(size) = usize::try_from(size) else {
                    break;
                };
                if size == landing.slot_size(index) {
                    self.counters.errors.add(1);
                    self.counters.oversize.add(1);
                    continue;
                }
                match landing.take(index, size) {
                    Some(frame) => {
                        packets += 1;
                        bytes += frame.size() as u64;
                        out.push(frame);
                    }
                    None => self.counters.errors.add(1),
                }
            }
        });
        self.counters.packets.add(packets);
        self.counters.bytes.add(bytes);
    }

    fn fd(&self) -> Option<RawFd> {
        Some(self.device.file.as_raw_fd())
    }
}

struct TapTx {
    device: Arc<Device>,
    counters: Arc<Queue>,
    pool: MbufPool,
    finished: Vec<Mbuf>,
}

impl Tx<Mbuf> for TapTx {
    fn tx(&mut self, frames: &mut Vec<Mbuf>) {
        let is_refused = |offload: Offload| offload.segmentation == Segmentation::Udp;
        if !self.device.can_segment_udp && frames.iter().any(|frame| is_refused(frame.offload())) {
            let failed = finish::finish_all(&mut self.pool, frames, &mut self.finished, is_refused);
            self.counters.errors.add(failed);
        }
        let (mut packets, mut bytes) = (0, 0);
        with_departure(frames, |departure| {
            for (message, frame) in departure.messages().iter().zip(frames.iter()) {
                // SAFETY: the message's parts are the frame's buffers, with their sizes.
                let written = unsafe {
                    let fd = self.device.file.as_raw_fd();
                    libc::writev(
                        fd,
                        message.msg_hdr.msg_iov,
                        message.msg_hdr.msg_iovlen as i32,
                    )
                };
                if written >= 0 {
                    packets += 1;
                    bytes += frame.size() as u64;
                    continue;
                }
                match io::Error::last_os_error().raw_os_error() {
                    // EIO: the interface is down. EAGAIN: the host does not keep up.
                    Some(libc::EIO | libc::EAGAIN | libc::ENOBUFS) => self.counters.dropped.add(1),
                    _ => self.counters.errors.add(1),
                }
            }
        });
        self.counters.packets.add(packets);
        self.counters.bytes.add(bytes);
        free_all(frames);
    }
}
