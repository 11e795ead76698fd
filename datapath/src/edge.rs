//! The only door for packets: what the datapath asks of frames, of pools and of ports.
//! `dpdk` implements these over mbufs, `sim` over vectors in memory.
//!
//! Ownership: a frame has no destructor work. Whoever holds one hands it to a [`Tx`] or back to
//! its [`Pool`], in bulk; the simulated pool counts what is outstanding, so a leak fails a test.

use std::os::fd::RawFd;

pub use packet::offload::{Offload, Segmentation};

/// Frames handled together: the unit of receive, lookup and transmit. Measured with real devices: 2 to 4 cycles per packet less
/// than with 32.
pub const BURST: usize = 64;

/// Bytes kept free in front of a frame: the longest encapsulation (Ethernet 14 + VLAN 4 + IPv6 40 +
/// UDP 8 + Geneve/VXLAN 8 + options 44) rounded up.
pub const HEADROOM: usize = 128;

/// Bytes in flight. All headers are contiguous in `head`; what follows may be further segments.
pub trait Frame: Send + Sized + 'static {
    /// Bytes of the whole frame, Ethernet header included, FCS excluded.
    fn size(&self) -> usize;
    /// The first segment: holds every header, and the whole frame unless it is segmented.
    fn head(&self) -> &[u8];
    /// The first segment, to rewrite.
    fn head_mut(&mut self) -> &mut [u8];
    /// Makes room for `size` bytes in front and returns them, undefined in content. `None` if the
    /// headroom is too small; the frame is then unchanged.
    fn push(&mut self, size: usize) -> Option<&mut [u8]>;
    /// Removes `size` bytes from the front. `false`, and unchanged, if the head is shorter.
    fn pull(&mut self, size: usize) -> bool;
    /// Cuts the frame's end so that `size` bytes remain (no effect if it is shorter already).
    fn trim(&mut self, size: usize);
    /// Calls `f` with each segment in order.
    fn for_each_segment(&self, f: &mut dyn FnMut(&[u8]));
    /// What is still to be done to this frame.
    fn offload(&self) -> Offload;
    /// Replaces the record of what is to be done.
    fn set_offload(&mut self, offload: Offload);
    /// Copies the bytes of another frame behind those of this one, if there is room in its only segment and they are so few that
    /// nothing else is better. `false`: that is not so, and both are unchanged.
    #[inline]
    fn absorb(&mut self, _part: &Self) -> bool {
        false
    }
    /// Hints that the head will be read soon.
    #[inline]
    fn prefetch(&self) {}
}

/// Where frames come from and go back to. One per worker, never shared.
pub trait Pool {
    /// The frames this pool makes.
    type Frame: Frame;
    /// A frame of `size` bytes, undefined in content, with [`HEADROOM`] bytes before it.
    /// The head holds all of it if it fits in one buffer, else the rest is in further segments.
    fn alloc(&mut self, size: usize) -> Option<Self::Frame>;
    /// A second frame with the same bytes and offload record, and [`HEADROOM`] bytes before them.
    /// The head is private to it; later segments may be shared, and are never written.
    fn copy(&mut self, frame: &Self::Frame) -> Option<Self::Frame>;
    /// Takes all frames back, in bulk; the vector is empty afterwards and keeps its capacity.
    fn free(&mut self, frames: &mut Vec<Self::Frame>);
    /// Writes `bytes` at `offset` of a frame, over its segments. Used where payload is copied.
    fn write(&mut self, frame: &mut Self::Frame, offset: usize, bytes: &[u8]);
    /// One frame of the bytes of all these, in their order; the headers are those of the first, and so is the offload
    /// record. The vector is empty afterwards. `None`: no buffer (or no frames), and nothing changed.
    ///
    /// This one copies. A pool whose frames are chains of segments may link them instead, as long as the first
    /// frame's head is large enough for all headers that may be behind one another.
    fn join(&mut self, frames: &mut Vec<Self::Frame>) -> Option<Self::Frame> {
        join_by_copy(self, frames)
    }
}

/// [`Pool::join`] into a new frame.
pub fn join_by_copy<P: Pool + ?Sized>(
    pool: &mut P,
    frames: &mut Vec<P::Frame>,
) -> Option<P::Frame> {
    let offload = frames.first()?.offload();
    let mut whole = pool.alloc(frames.iter().map(Frame::size).sum())?;
    let mut at = 0;
    for frame in frames.iter() {
        frame.for_each_segment(&mut |segment| {
            pool.write(&mut whole, at, segment);
            at += segment.len();
        });
    }
    whole.set_offload(offload);
    pool.free(frames);
    Some(whole)
}

/// The receiving side of one queue of a port; owned by one worker.
pub trait Rx<F>: Send {
    /// Appends at most `max` frames to `out`.
    fn rx(&mut self, out: &mut Vec<F>, max: usize);
    /// A descriptor that becomes readable when frames wait; `None`: must be polled.
    fn fd(&self) -> Option<RawFd> {
        None
    }
}

/// The sending side of a port for one worker.
pub trait Tx<F>: Send {
    /// Sends all frames and leaves the vector empty. What cannot be sent is given back to its pool
    /// and counted by the port.
    fn tx(&mut self, frames: &mut Vec<F>);
}

/// Counters of a port since it was opened. Bytes are frame bytes without FCS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are those of the Interface table's statistics column"
)]
pub struct PortCounters {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_dropped: u64,
    pub rx_errors: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub tx_dropped: u64,
    pub tx_errors: u64,
}

/// State of a port's link and its device's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortState {
    /// Carrier.
    pub link_up: bool,
    /// Administratively up.
    pub admin_up: bool,
    /// Largest layer-3 packet in bytes ("MTU" as Linux says it).
    pub mtu: u16,
    /// The device's own address.
    pub mac: [u8; 6],
    /// Bits per second; 0 = unknown.
    pub speed: u64,
    /// Kernel interface index; 0 = none.
    pub ifindex: u32,
}

/// A device that is open. Owned by the control side; hands out queues for the workers.
pub trait Port<F>: Send {
    /// Number of receive queues.
    fn rx_len(&self) -> usize;
    /// The receiving side of queue `index` (each index is opened once).
    fn open_rx(&mut self, index: usize) -> Result<Box<dyn Rx<F>>, String>;
    /// A sending side for worker `worker`.
    fn open_tx(&mut self, worker: usize) -> Result<Box<dyn Tx<F>>, String>;
    /// Link, MTU, address.
    fn state(&self) -> PortState;
    /// What the device counted, which the switch's own counters do not know (drops, errors).
    fn counters(&self) -> PortCounters;
    /// Further counters of the device by name ("xstats"), appended to `out`.
    fn custom_counters(&self, _out: &mut Vec<(String, u64)>) {}
    /// Changes the MTU.
    fn set_mtu(&mut self, mtu: u16) -> Result<(), String>;
    /// Changes the address (internal ports).
    fn set_mac(&mut self, mac: [u8; 6]) -> Result<(), String>;
    /// Sets the port administratively up or down.
    fn set_up(&mut self, up: bool) -> Result<(), String>;
    /// A word for `status:driver_name`.
    fn driver(&self) -> &'static str;
}
