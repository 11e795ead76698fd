//! What routers say of packets that this host sent: raw sockets that receive nothing but ICMP errors. As long as there is one of
//! a protocol, the kernel also learns the path's MTU from "fragmentation needed" and "packet too big" for its packets, which
//! it does only for packets of which it knows a socket.

use std::mem::zeroed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use libc::{c_int, sockaddr_in, sockaddr_in6};

use crate::netdev::owned;
use crate::packet_socket::set_option;
use crate::{Error, Result};

/// A filter of one instruction: nothing passes.
const NOTHING: libc::sock_filter = libc::sock_filter {
    code: (libc::BPF_RET | libc::BPF_K) as u16,
    jt: 0,
    jf: 0,
    k: 0,
};
/// Words of ancillary data: a header, `struct sock_extended_err` and the router's address.
const CONTROL_WORDS: usize = 16;

/// ICMP errors for packets of one IP protocol. Its descriptor has an error when there are some.
#[derive(Debug)]
pub struct ErrorQueue {
    socket: OwnedFd,
    is_v6: bool,
}

impl ErrorQueue {
    /// For the packets of `protocol` that this host sends over IPv4, or IPv6.
    pub fn open(protocol: u8, is_v6: bool) -> Result<ErrorQueue> {
        let (domain, level, option) = match is_v6 {
            false => (libc::AF_INET, libc::IPPROTO_IP, libc::IP_RECVERR),
            true => (libc::AF_INET6, libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        };
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: a plain system call.
        let fd = unsafe { libc::socket(domain, kind, c_int::from(protocol)) };
        let socket = owned(fd, || "cannot open a socket for ICMP errors".into())?;
        let mut filter = NOTHING;
        let program = libc::sock_fprog {
            len: 1,
            filter: &mut filter,
        };
        // SAFETY: the program and its instruction live during the call, which gets the size.
        let code = unsafe {
            let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
            let size = size_of::<libc::sock_fprog>() as u32;
            libc::setsockopt(fd, level, option, (&raw const program).cast(), size)
        };
        if code < 0 {
            return Err(Error::system("cannot filter a socket for ICMP errors"));
        }
        set_option(&socket, level, option, 1, "hear of errors")?;
        Ok(ErrorQueue { socket, is_v6 })
    }

    /// The next destination for which a packet was too big; `None`: there are no more errors.
    pub fn next_too_big(&self) -> Option<IpAddr> {
        loop {
            match self.next() {
                Some((ip, libc::EMSGSIZE)) => return Some(ip),
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// The next error: the packet's destination, and what is wrong.
    fn next(&self) -> Option<(IpAddr, c_int)> {
        let mut control = [0u64; CONTROL_WORDS];
        // SAFETY: plain C structures, for which all zeroes is a value. The message points to the address and the control
        // buffer with their sizes; the macros stay within what the kernel says that it filled, and the data are read if
        // their length allows.
        unsafe {
            let mut address: sockaddr_in6 = zeroed();
            let mut message: libc::msghdr = zeroed();
            message.msg_name = (&raw mut address).cast();
            message.msg_namelen = size_of::<sockaddr_in6>() as u32;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&control);
            let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
            if libc::recvmsg(self.socket.as_raw_fd(), &mut message, flags) < 0 {
                self.clear();
                return None;
            }
            let ip = match self.is_v6 {
                true => Ipv6Addr::from(address.sin6_addr.s6_addr).into(),
                false => {
                    let address = &*(&raw const address).cast::<sockaddr_in>();
                    IpAddr::from(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()))
                }
            };
            let mut errno = 0;
            let size = size_of::<libc::sock_extended_err>() as u32;
            if let Some(header) = libc::CMSG_FIRSTHDR(&message).as_ref()
                && header.cmsg_len >= libc::CMSG_LEN(size) as usize
            {
                let error = libc::CMSG_DATA(header).cast::<libc::sock_extended_err>();
                errno = error.read_unaligned().ee_errno as c_int;
            }
            Some((ip, errno))
        }
    }

    /// Takes the socket's own error back, which tells of the queue.
    fn clear(&self) {
        let mut error: c_int = 0;
        let mut size = size_of::<c_int>() as u32;
        // SAFETY: the call gets the size of what it fills.
        unsafe {
            let (fd, value) = (self.socket.as_raw_fd(), (&raw mut error).cast());
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, value, &mut size);
        }
    }
}

impl AsRawFd for ErrorQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
