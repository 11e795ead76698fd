//! Keeps the host stack out of a port: what a device receives is for the switch alone.
//!
//! An nftables chain at the device's ingress hook, with the policy "drop", sits behind the packet sockets
//! and before the host's protocols. Its table belongs to our netlink socket (`flags owner`), so that the
//! kernel removes it when the socket closes, `kill -9` included. The device's addresses and routes stay as they are.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::netdev::owned;
use crate::{Error, Result};

const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM << 8 | libc::NFT_MSG_NEWTABLE as u16;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | libc::NFT_MSG_NEWCHAIN as u16;
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
/// The table belongs to the socket that made it (`NFT_TABLE_F_OWNER`, Linux 5.12).
const TABLE_OWNED: u32 = 2;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
/// Set in the type of an attribute that holds attributes.
const NESTED: u16 = 1 << 15;
/// Bytes of `struct nlmsghdr`.
const HEADER_SIZE: usize = 16;

/// The rule, in force as long as this lives.
#[derive(Debug)]
pub struct Isolation {
    _socket: OwnedFd,
}

impl Isolation {
    /// Drops what `device` (in this thread's network namespace) delivers to the host stack.
    pub fn new(device: &str) -> Result<Isolation> {
        let what = || format!("{device}: cannot keep the host stack out (nftables, netdev family)");
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: a plain system call.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_NETFILTER) };
        let socket = owned(fd, what)?;
        let table = format!("tsunagi-{}-{device}", std::process::id());
        let request = transaction(&table, device);
        // SAFETY: the buffer is `request.len()` bytes; unconnected netlink sockets send to the kernel.
        let sent = unsafe {
            libc::send(
                socket.as_raw_fd(),
                request.as_ptr().cast(),
                request.len(),
                0,
            )
        };
        if sent < 0 {
            return Err(Error::system(what()));
        }
        // The kernel has answered when send returns; no answer in the queue would mean that it took
        // the transaction without a word, so that reading never waits.
        let mut answer = [0u8; 4096];
        let mut acknowledged = 0;
        while acknowledged < 2 {
            // SAFETY: the buffer is as large as said.
            let size = unsafe {
                libc::recv(
                    socket.as_raw_fd(),
                    answer.as_mut_ptr().cast(),
                    answer.len(),
                    libc::MSG_DONTWAIT,
                )
            };
            if size <= 0 {
                return Err(Error::system(what()));
            }
            for errno in errors(answer.get(..size as usize).unwrap_or_default()) {
                if errno != 0 {
                    let source = std::io::Error::from_raw_os_error(errno);
                    return Err(Error::System {
                        what: what(),
                        source,
                    });
                }
                acknowledged += 1;
            }
        }
        Ok(Isolation { _socket: socket })
    }
}

/// A netlink batch under construction.
#[derive(Default)]
struct Batch(Vec<u8>);

impl Batch {
    /// One message; `body` adds its attributes.
    fn message(
        &mut self,
        kind: u16,
        flags: i32,
        family: i32,
        resource: u16,
        body: impl FnOnce(&mut Self),
    ) {
        let start = self.0.len();
        let flags = (libc::NLM_F_REQUEST | flags) as u16;
        self.0.extend(0u32.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(flags.to_ne_bytes());
        self.0.extend([0; 8]);
        // struct nfgenmsg: family, version, resource id.
        self.0.extend([family as u8, 0]);
        self.0.extend(resource.to_be_bytes());
        body(self);
        let size = (self.0.len() - start) as u32;
        self.0[start..start + 4].copy_from_slice(&size.to_ne_bytes());
    }

    /// One attribute; `value` adds its bytes.
    fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        value(self);
        let size = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&size.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, |batch| batch.0.extend(value.to_be_bytes()));
    }

    fn string(&mut self, kind: u16, value: &str) {
        self.attribute(kind, |batch| {
            batch.0.extend(value.bytes());
            batch.0.push(0);
        });
    }
}

/// "Make this table, which is mine, with one chain at the device's ingress that drops."
fn transaction(table: &str, device: &str) -> Vec<u8> {
    let mut batch = Batch::default();
    let create = libc::NLM_F_CREATE | libc::NLM_F_ACK;
    batch.message(BATCH_BEGIN, 0, libc::AF_UNSPEC, SUBSYSTEM, |_| ());
    batch.message(NEW_TABLE, create, libc::NFPROTO_NETDEV, 0, |message| {
        message.string(TABLE_NAME, table);
        message.number(TABLE_FLAGS, TABLE_OWNED);
    });
    batch.message(NEW_CHAIN, create, libc::NFPROTO_NETDEV, 0, |message| {
        message.string(CHAIN_TABLE, table);
        message.string(CHAIN_NAME, "ingress");
        message.attribute(CHAIN_HOOK | NESTED, |hook| {
            hook.number(HOOK_NUMBER, libc::NF_NETDEV_INGRESS as u32);
            hook.number(HOOK_PRIORITY, 0);
            hook.string(HOOK_DEVICE, device);
        });
        message.number(CHAIN_POLICY, libc::NF_DROP as u32);
        message.string(CHAIN_TYPE, "filter");
    });
    batch.message(BATCH_END, 0, libc::AF_UNSPEC, SUBSYSTEM, |_| ());
    batch.0
}

/// The errno of each NLMSG_ERROR message in a datagram; 0 is an acknowledgement.
fn errors(mut datagram: &[u8]) -> Vec<i32> {
    let mut found = Vec::new();
    while let (Some(size), Some(kind)) = (datagram.first_chunk::<4>(), datagram.get(4..6)) {
        let size = u32::from_ne_bytes(*size) as usize;
        if kind == (libc::NLMSG_ERROR as u16).to_ne_bytes()
            && let Some(code) = datagram
                .get(HEADER_SIZE..)
                .and_then(|rest| rest.first_chunk::<4>())
        {
            found.push(i32::from_ne_bytes(*code).wrapping_neg());
        }
        datagram = datagram
            .get(size.max(HEADER_SIZE).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_attributes_are_aligned_and_sized() {
        let batch = transaction("t", "eth0");
        let mut rest = batch.as_slice();
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let size = u32::from_ne_bytes(*rest.first_chunk().unwrap()) as usize;
            assert_eq!(size % 4, 0);
            kinds.push(u16::from_ne_bytes([rest[4], rest[5]]));
            rest = &rest[size..];
        }
        assert_eq!(kinds, [BATCH_BEGIN, NEW_TABLE, NEW_CHAIN, BATCH_END]);
    }

    #[test]
    fn answers_of_any_bytes_end() {
        let mut answer = Vec::new();
        answer.extend(36u32.to_ne_bytes());
        answer.extend((libc::NLMSG_ERROR as u16).to_ne_bytes());
        answer.extend([0; 10]);
        answer.extend((-libc::EPERM).to_ne_bytes());
        answer.extend([0; 16]);
        assert_eq!(errors(&answer), [libc::EPERM]);
        for end in 0..answer.len() {
            errors(&answer[..end]);
        }
        assert_eq!(errors(&[0; 64]), Vec::<i32>::new());
        errors(&[0xff; 64]);
    }
}
