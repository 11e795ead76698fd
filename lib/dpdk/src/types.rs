//! The port types that have a device behind them: one row each. To add one: a row, and a file that opens it.
//! Tunnels and patch ports are virtual and belong to `datapath`.

use std::collections::BTreeMap;
use std::sync::Arc;

use datapath::edge::Port;

use crate::ethdev::EthPort;
use crate::mempool::Mempools;
use crate::packet_socket::PacketSocket;
use crate::tap::Tap;
use crate::{Mbuf, Result};

/// What is known when a port is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest<'a> {
    /// The interface's name.
    pub name: &'a str,
    /// Its `options` column; keys that the row does not accept were refused before.
    pub options: &'a BTreeMap<String, String>,
    /// Number of workers, each of which will open one sending side.
    pub workers: usize,
    /// `mtu_request`, if there is one.
    pub mtu: Option<u16>,
    /// The address that it shall have, if that was said.
    pub mac: Option<[u8; 6]>,
    /// Where frames come from.
    pub pools: &'a Arc<Mempools>,
}

/// A row of the table.
#[derive(Debug)]
pub struct PortType {
    /// The word in the `type` column.
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// Whether a device of the port's name must exist before.
    pub needs_device: bool,
    /// Whether frames must be polled for, as no descriptor tells of them.
    pub is_polled: bool,
    /// Keys of the `options` column that it reads.
    pub options: &'static [&'static str],
    /// One sentence for the reference.
    pub about: &'static str,
    /// Opens one.
    pub open: fn(&OpenRequest<'_>) -> Result<Box<dyn Port<Mbuf>>>,
}

/// All types.
pub const PORT_TYPES: &[PortType] = &[
    PortType {
        name: "system",
        aliases: &[""],
        needs_device: true,
        is_polled: false,
        options: &["n_rxq"],
        about: "A network device of the kernel, by a packet socket. The host stack no longer sees what it receives.",
        open: |request| Ok(Box::new(PacketSocket::open(request)?)),
    },
    PortType {
        name: "internal",
        aliases: &[],
        needs_device: false,
        is_polled: false,
        options: &[],
        about: "A tap that is made for the port: how the host itself takes part in the bridge's network.",
        open: |request| Ok(Box::new(Tap::open(request)?)),
    },
    PortType {
        name: "tap",
        aliases: &[],
        needs_device: false,
        is_polled: false,
        options: &[],
        about: "The same as internal.",
        open: |request| Ok(Box::new(Tap::open(request)?)),
    },
    PortType {
        name: "dpdk",
        aliases: &[],
        needs_device: false,
        is_polled: true,
        options: crate::ethdev::OPTIONS,
        about: "A device of DPDK: a network card, or any virtual device, as options:dpdk-devargs says.",
        open: |request| Ok(Box::new(EthPort::open(request)?)),
    },
];

/// The row of a type's word.
pub fn find(name: &str) -> Option<&'static PortType> {
    PORT_TYPES
        .iter()
        .find(|row| row.name == name || row.aliases.contains(&name))
}

/// Closes many ports at once, whose queues were dropped before. The kernel waits for an RCU grace period (some
/// 12 ms) with each packet socket and with each isolation. The waits for sockets of several threads are one, those
/// for isolations stay one after the other: 200 ports take 2.7 seconds like this, and 5 without threads.
pub fn close_all(ports: Vec<Box<dyn Port<Mbuf>>>) {
    const THREADS: usize = 32;
    let share = ports.len().div_ceil(THREADS).max(1);
    let mut rest = ports.into_iter();
    std::thread::scope(|scope| {
        loop {
            let part: Vec<_> = rest.by_ref().take(share).collect();
            if part.is_empty() {
                break;
            }
            scope.spawn(move || drop(part));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique() {
        let words: Vec<_> = PORT_TYPES
            .iter()
            .flat_map(|row| row.aliases.iter().chain([&row.name]))
            .collect();
        let unique: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(words.len(), unique.len());
        assert_eq!(find("").map(|row| row.name), Some("system"));
        assert!(find("warp").is_none());
    }
}
