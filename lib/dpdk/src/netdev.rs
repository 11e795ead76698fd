//! A kernel network device as its ioctls show it: flags, MTU, address, speed. Used by the kernel ports,
//! on the control side only. The socket decides the network namespace, so that a port stays in the one it was opened in.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use datapath::edge::PortState;

use crate::{Error, Result};

/// `SIOCETHTOOL` command "get settings", the old one, which every device answers.
const ETHTOOL_GSET: u32 = 1;

/// `struct ethtool_cmd`.
#[repr(C)]
#[derive(Default)]
struct EthtoolCmd {
    cmd: u32,
    supported: u32,
    advertising: u32,
    speed: u16,
    duplex_to_mdio: [u8; 6],
    max_tx_rx: [u32; 2],
    speed_hi: u16,
    rest: [u8; 14],
}

/// A device by name, and a socket to ask about it.
#[derive(Clone, Debug)]
pub(crate) struct Netdev {
    name: String,
    socket: Arc<OwnedFd>,
}

/// Takes ownership of a descriptor that a system call returned, or says why there is none.
pub(crate) fn owned(fd: i32, what: impl FnOnce() -> String) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(Error::system(what()));
    }
    // SAFETY: the descriptor was just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// An `ifreq` for a name. Names are 1 to 15 bytes.
pub(crate) fn ifreq(name: &str) -> Result<libc::ifreq> {
    let is_valid = (1..libc::IFNAMSIZ).contains(&name.len()) && !name.contains(['/', ':', '\0']);
    if !is_valid || name.chars().any(char::is_whitespace) {
        return Err(Error::Refused(format!(
            "\"{name}\" cannot be the name of a network device: 1 to 15 characters, no slash, colon or blank"
        )));
    }
    // SAFETY: a plain C structure, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as std::ffi::c_char;
    }
    Ok(request)
}

impl Netdev {
    /// The device `name` in the namespace of `socket`.
    pub(crate) fn new(name: &str, socket: Arc<OwnedFd>) -> Netdev {
        Netdev {
            name: name.to_string(),
            socket,
        }
    }

    /// The device `name` in this thread's namespace.
    pub(crate) fn here(name: &str) -> Result<Netdev> {
        // SAFETY: a plain system call.
        let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        Ok(Netdev::new(
            name,
            Arc::new(owned(fd, || "cannot open a socket".into())?),
        ))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Calls `request` with an ifreq that `fill` prepared.
    fn ioctl(
        &self,
        request: libc::c_ulong,
        what: &str,
        fill: impl FnOnce(&mut libc::ifreq),
    ) -> Result<libc::ifreq> {
        let mut ifreq = ifreq(&self.name)?;
        fill(&mut ifreq);
        // SAFETY: each request of this file reads and writes one ifreq (and what its ifr_data points to).
        if unsafe { libc::ioctl(self.socket.as_raw_fd(), request as _, &mut ifreq) } < 0 {
            return Err(match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ENODEV) => {
                    Error::Refused(format!("there is no network device \"{}\"", self.name))
                }
                source => Error::System {
                    what: format!("{}: cannot {what}", self.name),
                    source,
                },
            });
        }
        Ok(ifreq)
    }

    pub(crate) fn index(&self) -> Result<i32> {
        let answer = self.ioctl(libc::SIOCGIFINDEX as _, "get the index", |_| ())?;
        // SAFETY: the member that this request fills.
        Ok(unsafe { answer.ifr_ifru.ifru_ifindex })
    }

    fn flags(&self) -> Result<i32> {
        let answer = self.ioctl(libc::SIOCGIFFLAGS as _, "get the flags", |_| ())?;
        // SAFETY: the member that this request fills.
        Ok(i32::from(unsafe { answer.ifr_ifru.ifru_flags }))
    }

    pub(crate) fn set_up(&self, up: bool) -> Result<()> {
        let flags = self.flags()?;
        let flags = if up {
            flags | libc::IFF_UP
        } else {
            flags & !libc::IFF_UP
        };
        self.ioctl(libc::SIOCSIFFLAGS as _, "set the flags", |ifreq| {
            ifreq.ifr_ifru.ifru_flags = flags as i16
        })?;
        Ok(())
    }

    pub(crate) fn mtu(&self) -> Result<u16> {
        let answer = self.ioctl(libc::SIOCGIFMTU as _, "get the MTU", |_| ())?;
        // SAFETY: the member that this request fills.
        Ok(u16::try_from(unsafe { answer.ifr_ifru.ifru_mtu }).unwrap_or(u16::MAX))
    }

    pub(crate) fn set_mtu(&self, mtu: u16) -> Result<()> {
        let what = format!("set the MTU to {mtu}");
        self.ioctl(libc::SIOCSIFMTU as _, &what, |ifreq| {
            ifreq.ifr_ifru.ifru_mtu = mtu.into()
        })?;
        Ok(())
    }

    /// The hardware type (`ARPHRD_*`) and address.
    pub(crate) fn address(&self) -> Result<(u16, [u8; 6])> {
        let answer = self.ioctl(libc::SIOCGIFHWADDR as _, "get the address", |_| ())?;
        // SAFETY: the member that this request fills.
        let address = unsafe { answer.ifr_ifru.ifru_hwaddr };
        let mut mac = [0; 6];
        mac.iter_mut()
            .zip(address.sa_data)
            .for_each(|(to, from)| *to = from as u8);
        Ok((address.sa_family, mac))
    }

    pub(crate) fn set_mac(&self, mac: [u8; 6]) -> Result<()> {
        self.ioctl(libc::SIOCSIFHWADDR as _, "set the address", |ifreq| {
            // SAFETY: a plain C structure, for which all zeroes is a value.
            let mut address: libc::sockaddr = unsafe { zeroed() };
            address.sa_family = libc::ARPHRD_ETHER;
            address
                .sa_data
                .iter_mut()
                .zip(mac)
                .for_each(|(to, from)| *to = from as std::ffi::c_char);
            ifreq.ifr_ifru.ifru_hwaddr = address;
        })?;
        Ok(())
    }

    /// Bits per second; 0 if the device does not say.
    fn speed(&self) -> u64 {
        let mut command = EthtoolCmd {
            cmd: ETHTOOL_GSET,
            ..EthtoolCmd::default()
        };
        let data: *mut EthtoolCmd = &mut command;
        let answer = self.ioctl(libc::SIOCETHTOOL as _, "get the speed", |ifreq| {
            ifreq.ifr_ifru.ifru_data = data.cast()
        });
        let mbps = u32::from(command.speed_hi) << 16 | u32::from(command.speed);
        if answer.is_err() || mbps == u32::MAX {
            0
        } else {
            u64::from(mbps) * 1_000_000
        }
    }

    /// All of it; a device that is gone has no index and no link.
    pub(crate) fn state(&self) -> PortState {
        let flags = self.flags().unwrap_or(0);
        PortState {
            link_up: flags & libc::IFF_RUNNING != 0,
            admin_up: flags & libc::IFF_UP != 0,
            mtu: self.mtu().unwrap_or(0),
            mac: self.address().map_or([0; 6], |(_, mac)| mac),
            speed: self.speed(),
            ifindex: self.index().map_or(0, |index| index as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(ifreq("eth0").is_ok() && ifreq("123456789012345").is_ok());
        for name in ["", "1234567890123456", "a b", "a/b", "a:b", "a\0b"] {
            assert!(ifreq(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_has_no_state() {
        let netdev = Netdev::here("no-such-device").unwrap();
        assert_eq!(netdev.state(), PortState::default());
        assert_eq!(
            netdev.index().unwrap_err().to_string(),
            "there is no network device \"no-such-device\""
        );
    }

    #[test]
    fn the_ethtool_structure_has_the_kernels_size() {
        assert_eq!(size_of::<EthtoolCmd>(), 44);
        assert_eq!(std::mem::offset_of!(EthtoolCmd, speed_hi), 28);
    }
}
