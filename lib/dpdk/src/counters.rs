//! What the ports of this crate count: one cell per queue and direction, each with a single writer,
//! summed when somebody reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datapath::edge::PortCounters;

/// Counters of one queue in one direction. On cache lines of its own, as its writer is a worker; two, as
/// processors fetch pairs of them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Queue {
    pub(crate) packets: Cell,
    pub(crate) bytes: Cell,
    /// Frames that found no room: the kernel's queue, the device's ring, or no mbuf.
    pub(crate) dropped: Cell,
    /// Frames that could not be carried as they are.
    pub(crate) errors: Cell,
    /// Received frames larger than any buffer. Also counted as errors.
    pub(crate) oversize: Cell,
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// Adds; only the queue's owner calls it, so that no locked instruction is needed.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0
            .store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All queues of a port.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rx: Mutex<Vec<Arc<Queue>>>,
    tx: Mutex<Vec<Arc<Queue>>>,
}

fn open(queues: &Mutex<Vec<Arc<Queue>>>) -> Arc<Queue> {
    let queue = Arc::new(Queue::default());
    queues
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(queue.clone());
    queue
}

fn sum(queues: &Mutex<Vec<Arc<Queue>>>, cell: impl Fn(&Queue) -> &Cell) -> u64 {
    queues
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .map(|queue| cell(queue).get())
        .sum()
}

impl Ledger {
    /// Counters for a receive queue.
    pub(crate) fn open_rx(&self) -> Arc<Queue> {
        open(&self.rx)
    }

    /// Counters for a sender.
    pub(crate) fn open_tx(&self) -> Arc<Queue> {
        open(&self.tx)
    }

    /// The sums.
    pub(crate) fn read(&self) -> PortCounters {
        PortCounters {
            rx_packets: sum(&self.rx, |queue| &queue.packets),
            rx_bytes: sum(&self.rx, |queue| &queue.bytes),
            rx_dropped: sum(&self.rx, |queue| &queue.dropped),
            rx_errors: sum(&self.rx, |queue| &queue.errors),
            tx_packets: sum(&self.tx, |queue| &queue.packets),
            tx_bytes: sum(&self.tx, |queue| &queue.bytes),
            tx_dropped: sum(&self.tx, |queue| &queue.dropped),
            tx_errors: sum(&self.tx, |queue| &queue.errors),
        }
    }

    /// Received frames that were larger than any buffer.
    pub(crate) fn rx_oversize(&self) -> u64 {
        sum(&self.rx, |queue| &queue.oversize)
    }
}
