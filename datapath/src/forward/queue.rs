//! What waits for ports: a queue for each that this worker may send through, handed over at the end of a burst, or when it
//! is long.

use super::execute::{Context, Executor, Place};
use super::program::{Course, Overlay};
use super::trace::Observer;
use crate::edge::{BURST, Frame, Pool, Segmentation, Tx};
use crate::model::DropReason;
use crate::model::id::PortId;
use crate::model::port::{PortKind, PortView};
use packet::{Wire as _, bpdu, ethernet};
use std::sync::atomic::Ordering::Relaxed;

/// A port's queue is flushed when it is this long, and at the end of the burst. Twice as long, the copies of what is flooded to 200 ports
/// would be more than a pool has.
const FLUSH_LEN: usize = BURST;

/// A port's sending queue, with what waits for it.
pub(super) struct Queue<F> {
    pub tx: Box<dyn Tx<F>>,
    pub frames: Vec<F>,
    pub bytes: u64,
}

impl<P: Pool> Executor<P> {
    pub fn add_queue(&mut self, port: PortId, tx: Box<dyn Tx<P::Frame>>) {
        let index = port.0 as usize;
        if self.queues.len() <= index {
            self.queues.resize_with(index + 1, || None);
        }
        self.queues[index] = Some(Queue {
            tx,
            frames: Vec::new(),
            bytes: 0,
        });
    }
    pub fn remove_queue(&mut self, port: PortId) {
        if let Some(queue) = self.queues.get_mut(port.0 as usize).and_then(Option::take) {
            for frame in queue.frames {
                self.stats.ports.add(port.0 as usize, 5, 1);
                self.drop(frame, DropReason::PortDown, &mut ());
            }
        }
        self.dirty.retain(|dirty| *dirty != port);
        // What is held may be in the device's own buffers, which go with it.
        self.let_go_of_held();
    }
    /// Hands over what waits for ports, and what is done with; tells what was metered.
    pub fn flush(&mut self) {
        self.metered.settle();
        while let Some(port) = self.dirty.pop() {
            self.flush_port(port);
        }
        if !self.trash.is_empty() {
            self.pool.free(&mut self.trash);
        }
        self.publish_outcomes();
        self.prepared.credit(&self.stats);
    }
    fn flush_port(&mut self, port: PortId) {
        if let Some(Some(queue)) = self.queues.get_mut(port.0 as usize)
            && !queue.frames.is_empty()
        {
            let index = port.0 as usize;
            let packets = queue.frames.len() as u64;
            let bytes = std::mem::take(&mut queue.bytes);
            self.stats.ports.add_from(index, 2, [packets, bytes]);
            let batches = &self.stats.batches;
            batches.store(batches.load(Relaxed) + 1, Relaxed);
            queue.tx.tx(&mut queue.frames);
        }
    }
    /// Puts a frame into a port's queue.
    #[inline]
    pub fn transmit<O: Observer>(&mut self, port: &PortView, frame: P::Frame, o: &mut O) {
        let (size, mtu) = (frame.size(), usize::from(port.mtu));
        // Tags are looked for only in a frame that would be too large without any.
        if size > mtu + ethernet::Header::SIZE
            && mtu != 0
            && size > mtu + link_size(frame.head())
            && frame.offload().segmentation == Segmentation::None
        {
            self.stats.ports.add(port.id.0 as usize, 5, 1);
            return self.drop(frame, DropReason::MtuExceeded, o);
        }
        self.transmit_any(port, frame, o);
    }
    /// The same for frames of any size.
    #[inline(always)]
    pub fn transmit_any<O: Observer>(&mut self, port: &PortView, frame: P::Frame, o: &mut O) {
        let index = port.id.0 as usize;
        let Some(Some(queue)) = self.queues.get_mut(index) else {
            self.stats.ports.add(index, 5, 1);
            return self.drop(frame, DropReason::PortDown, o);
        };
        o.note(format_args!("sent through {}", port.name));
        o.sends(port, frame.head());
        queue.bytes += frame.size() as u64;
        if queue.frames.is_empty() {
            self.dirty.push(port.id);
        }
        queue.frames.push(frame);
        if queue.frames.len() >= FLUSH_LEN {
            self.flush_port(port.id);
        }
        self.count_sent_bpdu(port.id);
    }
    /// Bytes of the largest frame that goes into a port's queue without a closer look; `None`: none does.
    #[inline]
    pub fn takes_up_to(&self, cx: Context<'_>, port: PortId) -> Option<u32> {
        let view = cx.snapshot.port(port)?;
        let is_queue = match view.kind {
            PortKind::Device => true,
            PortKind::Internal => cx.snapshot.tunnels.is_empty(),
            _ => false,
        };
        let has_queue = matches!(self.queues.get(port.0 as usize), Some(Some(_)));
        (is_queue && has_queue).then_some(match u32::from(view.mtu) {
            0 => u32::MAX,
            mtu => mtu + ethernet::Header::SIZE as u32,
        })
    }
    /// Sends a frame through a port: at once, if that is one's that takes it as it is; else as [`Executor::emit`] does.
    /// Measured: 75 of 113 instructions less.
    #[allow(clippy::too_many_arguments, reason = "they are the step's fields")]
    #[inline(always)]
    pub fn output<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        port: PortId,
        tunnel: &Overlay,
        max_size: u32,
        frame: P::Frame,
        o: &mut O,
    ) {
        let (size, largest) = (frame.size(), self.takes_up_to(cx, port).unwrap_or(0));
        if O::EXPLAINS || size > largest.min(max_size) as usize || self.bpdu != bpdu::Kind::None {
            return self.emit(cx, at, port, tunnel, max_size, frame, o);
        }
        self.queue_one(port, frame);
    }
    /// Puts a frame into the queue of a port that takes it, see [`Executor::takes_up_to`]; it is no BPDU.
    #[inline(always)]
    pub fn queue_one(&mut self, port: PortId, frame: P::Frame) {
        let Some(Some(queue)) = self.queues.get_mut(port.0 as usize) else {
            return self.trash.push(frame);
        };
        if queue.frames.is_empty() {
            self.dirty.push(port);
        }
        queue.bytes += frame.size() as u64;
        queue.frames.push(frame);
        if queue.frames.len() >= FLUSH_LEN {
            self.flush_port(port);
        }
    }
    /// Puts frames into the queue of a port that takes them, see [`Executor::takes_up_to`]; none of them is a BPDU.
    #[inline]
    pub fn queue_all(&mut self, port: PortId, frames: impl Iterator<Item = P::Frame>, bytes: u64) {
        let Some(Some(queue)) = self.queues.get_mut(port.0 as usize) else {
            return self.trash.extend(frames);
        };
        if queue.frames.is_empty() {
            self.dirty.push(port);
        }
        queue.bytes += bytes;
        queue.frames.extend(frames);
        if queue.frames.len() >= FLUSH_LEN {
            self.flush_port(port);
        }
    }
    /// Sends all frames their way, if that ends in a device's queue, and none of them needs a closer look: runts are refused, what
    /// may not fit is measured, and BPDUs are counted, one by one. `false`: nothing was done.
    pub fn transmit_all(
        &mut self,
        cx: Context<'_>,
        course: &Course<'_>,
        frames: &mut Vec<P::Frame>,
        bytes: u64,
    ) -> bool {
        let Some(largest) = self.takes_up_to(cx, course.port) else {
            return false;
        };
        let begun = match bytes_of_usual(frames, largest) {
            Some(_) if course.is_bare() => Some(bytes),
            Some(_) => self.begin_all(cx, course, frames, bytes),
            None => None,
        };
        let Some(bytes) = begun else {
            return false;
        };
        self.queue_burst(course.port, frames, bytes);
        true
    }
    /// [`Executor::queue_all`] of a whole burst: where nothing waits, its vector is the queue's, and nothing is copied.
    #[inline]
    pub fn queue_burst(&mut self, port: PortId, frames: &mut Vec<P::Frame>, bytes: u64) {
        if frames.is_empty() {
            return;
        }
        match self.queues.get_mut(port.0 as usize) {
            Some(Some(queue)) if queue.frames.is_empty() => {
                std::mem::swap(&mut queue.frames, frames);
                queue.bytes += bytes;
                self.dirty.push(port);
                if queue.frames.len() >= FLUSH_LEN {
                    self.flush_port(port);
                }
            }
            _ => self.queue_all(port, frames.drain(..), bytes),
        }
    }
}

/// Bytes of frames that a port takes which takes up to so many bytes; `None`: one of them is larger, a runt, or goes where BPDUs go.
// A function of its own has its sums in registers: inlined, they are in memory, 3 cycles per packet.
#[inline(never)]
pub(super) fn bytes_of_usual<F: Frame>(frames: &[F], largest: u32) -> Option<u64> {
    let (mut bytes, mut fit) = (0, true);
    for frame in frames {
        let (size, head) = (frame.size(), frame.head());
        let link: &[u8; ethernet::Header::SIZE] = head.first_chunk()?;
        fit &= size <= largest as usize;
        if bpdu::is_addressed(link) {
            return None;
        }
        bytes += size as u64;
    }
    fit.then_some(bytes)
}

/// Bytes of the Ethernet header with its tags.
pub(super) fn link_size(head: &[u8]) -> usize {
    ethernet::payload(head, 2).map_or(ethernet::Header::SIZE, |payload| payload.offset)
}
