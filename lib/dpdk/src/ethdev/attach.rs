//! Finding a device by its devargs, making it if it is a vdev, and taking it away again.

use std::ffi::{CStr, CString};
use std::mem::zeroed;
use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};

use dpdk_sys as sys;

use super::check;
use crate::{Error, Result};

/// One attach or detach at a time, and the names of the devices that are attached by us.
static ATTACHED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// An ethdev that is ours alone. Dropping it stops, closes and detaches it.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) id: u16,
    pub(super) name: String,
    /// Bytes of data that its receive buffers must hold, if the devargs decide that.
    pub(super) buffer_min: usize,
    /// Mbufs that it keeps for itself.
    pub(super) kept: u32,
    /// Descriptors that are readable when frames wait, in the order of its receive queues, as far as it has such.
    pub(super) sockets: Vec<RawFd>,
    /// Whether we made it appear, and so have to make it disappear.
    is_probed: bool,
}

/// The device's name, which is what stands before the first comma.
fn device_name(devargs: &str) -> &str {
    let name = devargs.split(',').next().unwrap_or_default();
    name.strip_prefix("vdev:")
        .or(name.strip_prefix("pci:"))
        .unwrap_or(name)
}

/// The value of `key=` in devargs.
fn argument<'a>(devargs: &'a str, key: &str) -> Option<&'a str> {
    devargs
        .split(',')
        .skip(1)
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// DPDK's own packet socket cuts frames down to its slots (2,048 bytes unless told otherwise) without a word.
/// So its slots are made as large as the frames; its header takes 32 + 20 bytes of each, rounded to 16.
/// Returns the devargs, and the size of the buffers that such slots need.
fn with_slot_size(devargs: &str, frame_size: usize) -> (String, usize) {
    const DEFAULT: usize = 2048;
    const SLOT_HEADER: usize = 80;
    let is_packet_socket = ["net_af_packet", "eth_af_packet"]
        .iter()
        .any(|name| device_name(devargs).starts_with(name));
    if !is_packet_socket {
        return (devargs.to_string(), 0);
    }
    if let Some(size) = argument(devargs, "framesz").and_then(|text| text.parse().ok()) {
        return (devargs.to_string(), size);
    }
    let size = (frame_size + SLOT_HEADER).next_power_of_two().max(DEFAULT);
    let block_size = size.max(4096);
    (
        format!("{devargs},framesz={size},blocksz={block_size}"),
        size,
    )
}

/// The packet sockets of this process. DPDK's driver over such sockets has one for each receive queue, opened in their
/// order, so that the descriptors ascend; it tells nobody, but they become readable when frames wait, as others do.
fn packet_sockets() -> Vec<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let fds = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut fds: Vec<RawFd> = fds.filter(|fd| is_packet_socket(*fd)).collect();
    fds.sort_unstable();
    fds
}

fn is_packet_socket(fd: RawFd) -> bool {
    let (mut domain, mut size) = (0i32, size_of::<i32>() as u32);
    // SAFETY: the value is an int, and its size is given; what is no socket is refused.
    let code = unsafe {
        let place = (&raw mut domain).cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, place, &mut size)
    };
    code == 0 && domain == libc::AF_PACKET
}

/// A pcap file that is replayed for ever is read into mbufs first: how many at most, by the file's size and
/// the smallest frames (16 bytes before each of 60). Zero for other devices.
fn replayed_len(devargs: &str) -> u32 {
    const RECORD_SIZE_MIN: u64 = 16 + 60;
    if argument(devargs, "infinite_rx").is_none_or(|value| value == "0") {
        return 0;
    }
    let file = argument(devargs, "rx_pcap").and_then(|path| std::fs::metadata(path).ok());
    file.map_or(0, |file| {
        u32::try_from(file.len() / RECORD_SIZE_MIN).unwrap_or(u32::MAX / 2)
    })
}

/// Attaches the device for frames of up to `frame_size` bytes.
pub(super) fn attach(devargs: &str, frame_size: usize) -> Result<Attached> {
    let name = device_name(devargs).to_string();
    let (devargs, buffer_min) = with_slot_size(devargs, frame_size);
    let kept = replayed_len(&devargs);
    let nul = |_| Error::Refused("dpdk-devargs contains a NUL byte".into());
    let c_name = CString::new(name.as_str()).map_err(nul)?;
    let c_devargs = CString::new(devargs.as_str()).map_err(nul)?;
    if name.is_empty() {
        return Err(Error::Refused("dpdk-devargs is empty".into()));
    }
    let mut attached = ATTACHED.lock().unwrap_or_else(PoisonError::into_inner);
    if attached.contains(&name) {
        return Err(Error::Refused(format!(
            "the DPDK device {name} is in use by another port"
        )));
    }
    let mut id = 0;
    // Only packet sockets have slots.
    let before = (buffer_min > 0).then(packet_sockets);
    // SAFETY: C strings that live during the calls; no other attach or detach runs.
    let is_probed = unsafe {
        let exists = sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) == 0;
        if !exists {
            let code = sys::rte_dev_probe(c_devargs.as_ptr());
            check(code, &name, &format!("attach it (dpdk-devargs={devargs})"))?;
            if sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) != 0 {
                return Err(Error::Refused(format!(
                    "{name}: DPDK attached it, but made no Ethernet port"
                )));
            }
        }
        !exists
    };
    attached.push(name.clone());
    let mut sockets = before.as_ref().map_or_else(Vec::new, |_| packet_sockets());
    sockets.retain(|fd| before.as_ref().is_some_and(|before| !before.contains(fd)));
    Ok(Attached {
        id,
        name,
        buffer_min,
        kept,
        sockets,
        is_probed,
    })
}

impl Attached {
    /// Whether it is a piece of hardware: those are named by their bus address.
    pub(super) fn is_card(&self) -> bool {
        self.name.contains(':')
    }

    pub(super) fn info(&self) -> Result<sys::rte_eth_dev_info> {
        // SAFETY: the call fills the structure.
        unsafe {
            let mut info: sys::rte_eth_dev_info = zeroed();
            check(
                sys::rte_eth_dev_info_get(self.id, &mut info),
                &self.name,
                "ask what it can do",
            )?;
            Ok(info)
        }
    }

    /// The driver's own counters, by name.
    pub(super) fn xstats(&self) -> Vec<(String, u64)> {
        // SAFETY: with no room, both calls return how many there are; then they fill at most that many.
        // Each name is terminated.
        unsafe {
            let len = sys::rte_eth_xstats_get_names(self.id, std::ptr::null_mut(), 0);
            let Ok(len) = usize::try_from(len) else {
                return Vec::new();
            };
            let mut names: Vec<sys::rte_eth_xstat_name> = vec![zeroed(); len];
            let mut values: Vec<sys::rte_eth_xstat> = vec![zeroed(); len];
            let named = sys::rte_eth_xstats_get_names(self.id, names.as_mut_ptr(), len as u32);
            let valued = sys::rte_eth_xstats_get(self.id, values.as_mut_ptr(), len as u32);
            let valid = usize::try_from(named.min(valued)).unwrap_or(0).min(len);
            let text = |name: &sys::rte_eth_xstat_name| {
                CStr::from_ptr(name.name.as_ptr())
                    .to_string_lossy()
                    .into_owned()
            };
            values[..valid]
                .iter()
                .filter_map(|value| Some((text(names.get(value.id as usize)?), value.value)))
                .collect()
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut attached = ATTACHED.lock().unwrap_or_else(PoisonError::into_inner);
        // The device can only be asked for while it is open.
        let device = self.info().map_or(std::ptr::null_mut(), |info| info.device);
        // SAFETY: nobody has a queue of it any more; no other attach or detach runs.
        let code = unsafe {
            sys::rte_eth_dev_stop(self.id);
            sys::rte_eth_dev_close(self.id);
            if self.is_probed && !device.is_null() {
                sys::rte_dev_remove(device)
            } else {
                0
            }
        };
        if code < 0 {
            tracing::warn!(
                "DPDK device {} does not go away: {}",
                self.name,
                Error::dpdk("detach", code)
            );
        }
        attached.retain(|name| *name != self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devargs_are_read() {
        assert_eq!(device_name("net_null0,size=64,copy=0"), "net_null0");
        assert_eq!(device_name("vdev:net_ring1"), "net_ring1");
        assert_eq!(device_name("0000:01:00.0"), "0000:01:00.0");
        assert_eq!(argument("a,size=64,b=2", "size"), Some("64"));
        assert_eq!(argument("size=64", "size"), None);
    }

    #[test]
    fn slots_hold_the_frames() {
        assert_eq!(with_slot_size("net_null0", 9022), ("net_null0".into(), 0));
        let (devargs, size) = with_slot_size("net_af_packet0,iface=v0", 1522);
        assert_eq!(
            (devargs.as_str(), size),
            ("net_af_packet0,iface=v0,framesz=2048,blocksz=4096", 2048)
        );
        assert_eq!(with_slot_size("net_af_packet0,iface=v0", 9022).1, 16_384);
        assert_eq!(
            with_slot_size("net_af_packet0,framesz=4096", 9022),
            ("net_af_packet0,framesz=4096".into(), 4096)
        );
    }
}
