//! `dpdk` ports: any DPDK ethdev, a card or a vdev, attached while the switch runs.
//!
//! The device is shared by its port and its queues, and stopped, closed and detached when the last of them
//! goes; so a worker's queue never outlives it. Calls into C are per burst.

mod attach;
mod offload;

use std::ffi::CStr;
use std::mem::zeroed;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datapath::edge::{BURST, HEADROOM, Port, PortCounters, PortState, Rx, Tx};
use dpdk_sys as sys;

use crate::counters::{Ledger, Queue};
use crate::mempool::{
    DATA_SIZE, LARGE_SIZE, MbufPool, Mempool, Mempools, TAG_ROOM, free_all, held_max,
};
use crate::types::OpenRequest;
use crate::{Error, Mbuf, Result};

use attach::Attached;

/// Keys of the `options` column.
pub(crate) const OPTIONS: &[&str] = &["dpdk-devargs", "n_rxq", "n_txq", "n_rxq_desc", "n_txq_desc"];

/// Descriptors per queue: 1 ms of 64-byte frames at 1 Mpps; devices that want less say so.
const DESCRIPTORS: u16 = 1024;
/// Ethernet header and two VLAN tags: what a frame has beside its MTU.
const FRAME_OVERHEAD: usize = 14 + 2 * 4;
/// `SOCKET_ID_ANY`: memory of whichever NUMA node.
const ANY_SOCKET: u32 = u32::MAX;
/// MTU unless the port asks for another.
const DEFAULT_MTU: u16 = 1500;
/// Offloads that are used where a device has them. VLAN stripping never is: tags stay in the bytes.
const TX_OFFLOADS: u64 = sys::RTE_ETH_TX_OFFLOAD_MULTI_SEGS
    | sys::RTE_ETH_TX_OFFLOAD_IPV4_CKSUM
    | sys::RTE_ETH_TX_OFFLOAD_TCP_CKSUM
    | sys::RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
/// The same, of cards only: vdevs cut in software as we do, if at all, and net_tap refuses full-size segments
/// (it counts the Ethernet header into the MTU).
const CARD_TX_OFFLOADS: u64 = TX_OFFLOADS | sys::RTE_ETH_TX_OFFLOAD_TCP_TSO;
/// What received frames are spread by, over several queues.
const RSS: u64 = sys::RTE_ETH_RSS_IPV4
    | sys::RTE_ETH_RSS_IPV6
    | sys::RTE_ETH_RSS_NONFRAG_IPV4_TCP
    | sys::RTE_ETH_RSS_NONFRAG_IPV4_UDP
    | sys::RTE_ETH_RSS_NONFRAG_IPV6_TCP
    | sys::RTE_ETH_RSS_NONFRAG_IPV6_UDP;

/// A configured and started device.
#[derive(Debug)]
struct Device {
    attached: Attached,
    driver: &'static str,
    rx_len: u16,
    /// Receive queues that it could have.
    rx_max: u16,
    tx_len: u16,
    /// What was asked for.
    mtu: u16,
    tx_offloads: u64,
    ledger: Ledger,
    /// By transmit queue: where there are more workers than queues they share them, and take turns.
    turns: Vec<Mutex<()>>,
    /// Whether that is so. It was told before a worker that shares sends.
    is_shared: AtomicBool,
    pools: Arc<Mempools>,
    /// The receive queues' mbufs. After `attached`: fields are dropped in order, and the device first
    /// has to give back what it holds.
    _mempool: Mempool,
}

/// A `dpdk` port.
#[derive(Debug)]
pub struct EthPort {
    device: Arc<Device>,
    opened_rx: Vec<bool>,
}

/// What the options ask for, checked.
struct Wanted {
    rx_len: u16,
    tx_len: u16,
    rx_descriptors: u16,
    tx_descriptors: u16,
    mtu: u16,
}

impl Wanted {
    fn read(request: &OpenRequest<'_>) -> Result<Wanted> {
        let number = |key: &str, default: u16, max: u32| match request.options.get(key) {
            None => Ok(default),
            Some(text) => match text.parse::<u16>() {
                Ok(value) if (1..=max).contains(&u32::from(value)) => Ok(value),
                _ => Err(Error::Refused(format!(
                    "{key}={text} is not a number from 1 to {max}"
                ))),
            },
        };
        let queues_max = sys::RTE_MAX_QUEUES_PER_PORT;
        Ok(Wanted {
            rx_len: match request.options.get("n_rxq").map(String::as_str) {
                Some("0") => 1,
                _ => number("n_rxq", 1, queues_max)?,
            },
            tx_len: number(
                "n_txq",
                request.workers.clamp(1, queues_max as usize) as u16,
                queues_max,
            )?,
            rx_descriptors: number("n_rxq_desc", DESCRIPTORS, 32_768)?,
            tx_descriptors: number("n_txq_desc", DESCRIPTORS, 32_768)?,
            mtu: request.mtu.unwrap_or(DEFAULT_MTU),
        })
    }
}

/// Checks the code that a call about a device returned.
fn check(code: i32, device: &str, what: &str) -> Result<()> {
    if code < 0 {
        Err(Error::dpdk(format!("{device}: cannot {what}"), code))
    } else {
        Ok(())
    }
}

impl EthPort {
    /// Attaches, configures and starts the device that `options:dpdk-devargs` names.
    pub fn open(request: &OpenRequest<'_>) -> Result<EthPort> {
        let Some(devargs) = request.options.get("dpdk-devargs") else {
            return Err(Error::Refused(format!(
                "{} has no options:dpdk-devargs",
                request.name
            )));
        };
        let wanted = Wanted::read(request)?;
        let attached = attach::attach(devargs, usize::from(wanted.mtu) + FRAME_OVERHEAD)?;
        let device = configure(attached, &wanted, request)?;
        let opened_rx = vec![false; device.rx_len.into()];
        let mut port = EthPort {
            device: Arc::new(device),
            opened_rx,
        };
        if let Some(mac) = request.mac {
            port.set_mac(mac).map_err(Error::Refused)?;
        }
        Ok(port)
    }
}

/// Bytes of an mbuf's buffer for a device's receive queues, headroom included: an ordinary one if the frames
/// fit or the device can spread them over several, else one that holds a whole frame.
fn buffer_size(mtu: u16, can_scatter: bool, buffer_min: usize) -> usize {
    let frame_size = (usize::from(mtu) + FRAME_OVERHEAD).max(buffer_min);
    let is_spread = can_scatter && buffer_min <= DATA_SIZE;
    let data_size = if is_spread {
        DATA_SIZE
    } else {
        frame_size.max(DATA_SIZE)
    };
    (HEADROOM + TAG_ROOM + data_size).min(LARGE_SIZE)
}

/// The largest MTU that DPDK lets a device be configured with: where the driver does not say how much larger
/// than the MTU its frames are, DPDK assumes header and FCS.
fn mtu_max(info: &sys::rte_eth_dev_info) -> u32 {
    const ASSUMED_OVERHEAD: u32 = 18;
    let (mtu, frame_size) = (u32::from(info.max_mtu), info.max_rx_pktlen);
    let is_told = info.max_mtu != u16::MAX && frame_size > mtu;
    let mtu = if is_told {
        mtu
    } else {
        mtu.min(frame_size.saturating_sub(ASSUMED_OVERHEAD))
    };
    mtu.max(info.min_mtu.into())
}

fn configure(attached: Attached, wanted: &Wanted, request: &OpenRequest<'_>) -> Result<Device> {
    let (id, name) = (attached.id, attached.name.clone());
    let info = attached.info()?;
    let rx_len = wanted.rx_len.min(info.max_rx_queues.max(1));
    let tx_len = wanted.tx_len.min(info.max_tx_queues.max(1));
    let can_scatter = info.rx_offload_capa & sys::RTE_ETH_RX_OFFLOAD_SCATTER != 0;
    let buffer_size = buffer_size(wanted.mtu, can_scatter, attached.buffer_min);
    let is_scattered = usize::from(wanted.mtu) + FRAME_OVERHEAD > buffer_size - HEADROOM;

    // SAFETY: a plain C structure, for which all zeroes is the default.
    let mut conf: sys::rte_eth_conf = unsafe { zeroed() };
    conf.rxmode.mtu = u32::from(wanted.mtu).clamp(info.min_mtu.into(), mtu_max(&info));
    if is_scattered && can_scatter {
        conf.rxmode.offloads |= sys::RTE_ETH_RX_OFFLOAD_SCATTER;
    }
    conf.txmode.offloads = info.tx_offload_capa
        & if attached.is_card() {
            CARD_TX_OFFLOADS
        } else {
            TX_OFFLOADS
        };
    let rss = info.flow_type_rss_offloads & RSS;
    if rx_len > 1 && rss != 0 {
        conf.rxmode.mq_mode = sys::RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = rss;
    }
    let (mut rx_descriptors, mut tx_descriptors) = (wanted.rx_descriptors, wanted.tx_descriptors);
    // SAFETY: the device is attached and stopped; all pointers live during their call.
    unsafe {
        check(
            sys::rte_eth_dev_configure(id, rx_len, tx_len, &conf),
            &name,
            "configure it",
        )?;
        let code =
            sys::rte_eth_dev_adjust_nb_rx_tx_desc(id, &mut rx_descriptors, &mut tx_descriptors);
        check(code, &name, "choose descriptors")?;
    }
    // Every descriptor may hold an mbuf, each worker a burst in each direction and its cache, and reassembly what
    // it is allowed to: a flood of fragments must leave the port enough to receive with.
    let descriptors = u32::from(rx_len) * u32::from(rx_descriptors)
        + u32::from(tx_len) * u32::from(tx_descriptors);
    let in_flight = (request.workers as u32 + 1) * 8 * BURST as u32;
    let len = (descriptors + in_flight + held_max(request.workers)).saturating_add(attached.kept);
    let mempool = Mempool::new("port", len, buffer_size, 2 * BURST as u32)?;
    start(
        &attached,
        &mempool,
        (rx_len, rx_descriptors),
        (tx_len, tx_descriptors),
    )?;
    Ok(Device {
        driver: driver(&info),
        attached,
        rx_len,
        rx_max: info.max_rx_queues,
        tx_len,
        mtu: wanted.mtu,
        tx_offloads: conf.txmode.offloads,
        ledger: Ledger::default(),
        turns: (0..tx_len).map(|_| Mutex::new(())).collect(),
        is_shared: AtomicBool::new(false),
        pools: request.pools.clone(),
        _mempool: mempool,
    })
}

/// Sets up the queues (how many, with how many descriptors) and starts the device.
fn start(attached: &Attached, mempool: &Mempool, rx: (u16, u16), tx: (u16, u16)) -> Result<()> {
    let (id, name) = (attached.id, &attached.name);
    let (config, pool) = (std::ptr::null(), mempool.as_ptr());
    // SAFETY: queue numbers are below what was configured, and the pool outlives the device.
    unsafe {
        for queue in 0..rx.0 {
            let code = sys::rte_eth_rx_queue_setup(id, queue, rx.1, ANY_SOCKET, config, pool);
            check(code, name, "set up a receive queue")?;
        }
        for queue in 0..tx.0 {
            let code = sys::rte_eth_tx_queue_setup(id, queue, tx.1, ANY_SOCKET, std::ptr::null());
            check(code, name, "set up a transmit queue")?;
        }
        check(sys::rte_eth_dev_start(id), name, "start it")?;
        // A vdev may know neither; what it delivers is for the switch anyway.
        sys::rte_eth_promiscuous_enable(id);
        sys::rte_eth_allmulticast_enable(id);
        sys::rte_eth_stats_reset(id);
    }
    Ok(())
}

/// The driver's name, which lives as long as the driver is loaded: for ever.
fn driver(info: &sys::rte_eth_dev_info) -> &'static str {
    if info.driver_name.is_null() {
        return "dpdk";
    }
    // SAFETY: a static string of the driver.
    unsafe { CStr::from_ptr(info.driver_name) }
        .to_str()
        .unwrap_or("dpdk")
}

impl Port<Mbuf> for EthPort {
    fn rx_len(&self) -> usize {
        self.device.rx_len.into()
    }

    fn open_rx(&mut self, index: usize) -> std::result::Result<Box<dyn Rx<Mbuf>>, String> {
        match self.opened_rx.get_mut(index) {
            Some(opened @ false) => *opened = true,
            _ => {
                return Err(format!(
                    "{} has no further receive queue",
                    self.device.attached.name
                ));
            }
        }
        // Which is whose is known if there is one for each queue that the device could have.
        let sockets = &self.device.attached.sockets;
        let fd = sockets.get(index).copied();
        Ok(Box::new(EthRx {
            fd: fd.filter(|_| sockets.len() == usize::from(self.device.rx_max)),
            device: self.device.clone(),
            queue: index as u16,
        }))
    }

    fn open_tx(&mut self, worker: usize) -> std::result::Result<Box<dyn Tx<Mbuf>>, String> {
        if worker >= usize::from(self.device.tx_len) {
            self.device.is_shared.store(true, Ordering::Release);
        }
        Ok(Box::new(EthTx {
            counters: self.device.ledger.open_tx(),
            pool: MbufPool::new(self.device.pools.clone()),
            queue: (worker % usize::from(self.device.tx_len)) as u16,
            device: self.device.clone(),
            scratch: Vec::new(),
        }))
    }

    fn state(&self) -> PortState {
        let id = self.device.attached.id;
        let mut state = PortState {
            admin_up: true,
            ..PortState::default()
        };
        // SAFETY: the device is started; each call fills the structure that it is given.
        unsafe {
            let mut link = zeroed::<sys::rte_eth_link>();
            if sys::rte_eth_link_get_nowait(id, &mut link) == 0 {
                state.link_up = link.link_status() != 0;
                let is_known = link.link_speed != u32::MAX;
                state.speed = if is_known {
                    u64::from(link.link_speed) * 1_000_000
                } else {
                    0
                };
            }
            sys::rte_eth_dev_get_mtu(id, &mut state.mtu);
            // What the slots of DPDK's packet socket hold is not what its driver says.
            if self.device.attached.buffer_min > 0 {
                state.mtu = self.device.mtu;
            }
            let mut address = zeroed::<sys::rte_ether_addr>();
            if sys::rte_eth_macaddr_get(id, &mut address) == 0 {
                state.mac = address.addr_bytes;
            }
        }
        state
    }

    fn counters(&self) -> PortCounters {
        let mut counters = self.device.ledger.read();
        // SAFETY: the device is started; the call fills the structure.
        let stats = unsafe {
            let mut stats: sys::rte_eth_stats = zeroed();
            sys::rte_eth_stats_get(self.device.attached.id, &mut stats);
            stats
        };
        counters.rx_packets += stats.ipackets;
        counters.rx_bytes += stats.ibytes;
        counters.tx_packets += stats.opackets;
        counters.tx_bytes += stats.obytes;
        counters.rx_dropped += stats.imissed + stats.rx_nombuf;
        counters.rx_errors += stats.ierrors;
        counters.tx_errors += stats.oerrors;
        counters
    }

    fn custom_counters(&self, out: &mut Vec<(String, u64)>) {
        out.extend(self.device.attached.xstats());
    }

    fn set_mtu(&mut self, mtu: u16) -> std::result::Result<(), String> {
        // A driver that would have to stop for it, or whose buffers are too small, refuses.
        // SAFETY: the device is started.
        let code = unsafe { sys::rte_eth_dev_set_mtu(self.device.attached.id, mtu) };
        let what = format!("set the MTU to {mtu} while it runs");
        check(code, &self.device.attached.name, &what).map_err(|error| error.to_string())
    }

    fn set_mac(&mut self, mac: [u8; 6]) -> std::result::Result<(), String> {
        let mut address = sys::rte_ether_addr { addr_bytes: mac };
        // SAFETY: the device is started; the address is copied.
        let code =
            unsafe { sys::rte_eth_dev_default_mac_addr_set(self.device.attached.id, &mut address) };
        check(code, &self.device.attached.name, "set the address")
            .map_err(|error| error.to_string())
    }

    fn set_up(&mut self, up: bool) -> std::result::Result<(), String> {
        let id = self.device.attached.id;
        // SAFETY: the device is started.
        let code = unsafe {
            if up {
                sys::rte_eth_dev_set_link_up(id)
            } else {
                sys::rte_eth_dev_set_link_down(id)
            }
        };
        match code {
            // Most vdevs have no link to switch; they are always up.
            code if code == -libc::ENOTSUP && up => Ok(()),
            code => check(code, &self.device.attached.name, "switch the link")
                .map_err(|error| error.to_string()),
        }
    }

    fn driver(&self) -> &'static str {
        self.device.driver
    }
}

/// A receive queue. What it delivers is counted by the driver, so that no frame is touched here.
struct EthRx {
    device: Arc<Device>,
    queue: u16,
    fd: Option<RawFd>,
}

impl Rx<Mbuf> for EthRx {
    #[inline]
    fn rx(&mut self, out: &mut Vec<Mbuf>, max: usize) {
        out.reserve(max);
        let start = out.len();
        // SAFETY: the vector has room for `max` more, Mbuf is a transparent pointer, and the driver
        // initialises as many as it returns, all of them ours.
        unsafe {
            let end = out.as_mut_ptr().add(start).cast();
            let len = sys::rte_eth_rx_burst(self.device.attached.id, self.queue, end, max as u16);
            out.set_len(start + len as usize);
        }
    }

    fn fd(&self) -> Option<RawFd> {
        self.fd
    }
}

struct EthTx {
    device: Arc<Device>,
    counters: Arc<Queue>,
    pool: MbufPool,
    queue: u16,
    scratch: Vec<Mbuf>,
}

impl Tx<Mbuf> for EthTx {
    #[inline]
    fn tx(&mut self, frames: &mut Vec<Mbuf>) {
        let offloads = self.device.tx_offloads;
        if offload::is_needed(frames, offloads) {
            let failed = offload::prepare(&mut self.pool, frames, &mut self.scratch, offloads);
            self.counters.errors.add(failed);
        }
        let is_shared = self.device.is_shared.load(Ordering::Acquire);
        let turn = is_shared.then(|| &self.device.turns[usize::from(self.queue)]);
        let _turn = turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        const MAX: usize = u16::MAX as usize;
        let len = frames.len();
        let mut sent = 0;
        while sent < len {
            // SAFETY: the frames from `sent` on are ours; the driver takes over as many as it returns.
            let now = unsafe {
                let start = frames.as_mut_ptr().add(sent).cast();
                sys::rte_eth_tx_burst(
                    self.device.attached.id,
                    self.queue,
                    start,
                    (len - sent).min(MAX) as u16,
                )
            };
            if now == 0 {
                break;
            }
            sent += usize::from(now);
        }
        if sent == len {
            // SAFETY: all are the driver's now, and are forgotten here.
            return unsafe { frames.set_len(0) };
        }
        // SAFETY: the first `sent` frames are the driver's now, and are forgotten here; the rest moves down.
        unsafe {
            frames.set_len(0);
            std::ptr::copy(frames.as_ptr().add(sent), frames.as_mut_ptr(), len - sent);
            frames.set_len(len - sent);
        }
        self.counters.dropped.add((len - sent) as u64);
        free_all(frames);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_hold_the_frames_that_cannot_be_spread() {
        let ordinary = HEADROOM + TAG_ROOM + DATA_SIZE;
        assert_eq!(buffer_size(1500, false, 0), ordinary);
        assert_eq!(buffer_size(9000, true, 0), ordinary);
        assert_eq!(buffer_size(9000, false, 0), HEADROOM + TAG_ROOM + 9022);
        assert_eq!(
            buffer_size(1500, true, 16_384),
            HEADROOM + TAG_ROOM + 16_384
        );
        assert_eq!(buffer_size(u16::MAX, false, 0), LARGE_SIZE);
    }
}
