//! Several packet sockets that share what one device receives, as the receive queues of a `system` port: the kernel
//! hashes each flow to one of them, so flows stay in order. Used by `packet_socket`.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::packet_socket::set_option;
use crate::{Error, Result};

/// `PACKET_FANOUT_FLAG_UNIQUEID`: the kernel chooses the group's number.
const UNIQUE: i32 = 0x2000;
/// Classic BPF: what the kernel knows of a packet beside its bytes begins here, and this is its direction.
const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Takes nothing.
const NOTHING: &[libc::sock_filter] = &[statement(libc::BPF_RET | libc::BPF_K, 0)];
/// Takes what does not leave by the device: a group does not heed its sockets' `PACKET_IGNORE_OUTGOING`.
const ARRIVING: &[libc::sock_filter] = &[
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, PACKET_TYPE),
    libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: 1,
        k: libc::PACKET_OUTGOING as u32,
    },
    statement(libc::BPF_RET | libc::BPF_K, 0),
    statement(libc::BPF_RET | libc::BPF_K, u32::MAX),
];

fn filter(socket: &OwnedFd, program: &'static [libc::sock_filter]) -> Result<()> {
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, which is static, during the call, and writes nothing; its size is given.
    let code = unsafe {
        let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
        let size = size_of::<libc::sock_fprog>() as u32;
        let value = (&raw const program).cast();
        libc::setsockopt(socket.as_raw_fd(), level, option, value, size)
    };
    match code {
        0 => Ok(()),
        _ => Err(Error::system("socket: cannot attach a filter")),
    }
}

/// A socket is about to be bound that will be one of several: it takes nothing until they share, else each would have all.
pub(crate) fn prepare(socket: &OwnedFd) -> Result<()> {
    filter(socket, NOTHING)
}

/// Makes bound sockets share what arrives.
pub(crate) fn share<'a>(sockets: impl Iterator<Item = &'a OwnedFd> + Clone) -> Result<()> {
    let what = "share a device between queues";
    let mut value = (libc::PACKET_FANOUT_HASH as i32 | UNIQUE) << 16;
    for (index, socket) in sockets.clone().enumerate() {
        set_option(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, value, what)?;
        if index == 0 {
            value = group(socket)? | (libc::PACKET_FANOUT_HASH as i32) << 16;
        }
    }
    sockets
        .into_iter()
        .try_for_each(|socket| filter(socket, ARRIVING))
}

/// The number of a socket's group.
fn group(socket: &OwnedFd) -> Result<i32> {
    let (mut value, mut size) = (0i32, size_of::<i32>() as u32);
    // SAFETY: the value is an int, and its size is given.
    let code = unsafe {
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_FANOUT);
        let place = (&raw mut value).cast();
        libc::getsockopt(socket.as_raw_fd(), level, option, place, &mut size)
    };
    match code {
        0 => Ok(value & 0xffff),
        _ => Err(Error::system("socket: cannot learn of its group")),
    }
}
