//! Packets cut into smaller ones: large segments into the packets that they stand for, and IP packets into fragments.

use super::continuation::Continuation;
use super::execute::{Executor, Place};
use super::queue::link_size;
use super::trace::Observer;
use crate::edge::{Frame, Pool, Segmentation};
use crate::fragment::{DontFragment, Refusal};
use crate::model::DropReason;
use crate::tunnel;
use packet::gso::Segments;
use std::sync::Arc;

impl From<Refusal> for DropReason {
    fn from(refusal: Refusal) -> DropReason {
        match refusal {
            Refusal::DontFragment => DropReason::FragmentDf,
            Refusal::Malformed | Refusal::Unfinished | Refusal::NotIp => {
                DropReason::FragmentMalformed
            }
            Refusal::Headers | Refusal::MtuTooSmall => DropReason::FragmentMtu,
            Refusal::NoMemory => DropReason::NoMemory,
        }
    }
}

impl<P: Pool> Executor<P> {
    /// Runs `fragment(...)`: each fragment goes on by itself.
    pub fn fragment<O: Observer>(
        &mut self,
        at: &Place<'_>,
        (mtu, df): (u16, DontFragment),
        then: &Arc<Continuation>,
        frame: P::Frame,
        o: &mut O,
    ) {
        let mut go_on = |to: &mut Self, frame: P::Frame, o: &mut O| {
            to.continue_with(at.item(frame, Some(then)), o);
        };
        match self.fragments(frame, mtu.into(), df, o, &mut go_on) {
            Ok(()) => {}
            Err((reason, frame)) => self.drop(frame, reason, o),
        }
    }
    /// Cuts a large segment into the packets that it stands for, and hands each to `each` with nothing pending.
    #[cold]
    pub fn segments<O: Observer>(
        &mut self,
        frame: P::Frame,
        o: &mut O,
        mut each: impl FnMut(&mut Self, P::Frame, &mut O),
    ) {
        let offload = frame.offload();
        let Some(plan) = Segments::new(frame.head(), frame.size(), &offload) else {
            return self.drop(frame, DropReason::Malformed, o);
        };
        for index in 0..plan.len() {
            let payload = plan.payload(index);
            let size = plan.header_size() + payload.len();
            let Some(mut part) = self.pool.alloc(size) else {
                o.drop(DropReason::NoMemory);
                self.stats.dropped(DropReason::NoMemory);
                continue;
            };
            part.set_offload(Default::default());
            let fill = |bytes: &mut [u8]| {
                let (headers, body) = bytes.split_at_mut(plan.header_size());
                headers.copy_from_slice(&frame.head()[..plan.header_size()]);
                copy_range(&frame, payload.start, body);
                plan.patch(index, bytes)
            };
            // Its checksum is that of contiguous bytes; a buffer may be shorter than a jumbo packet.
            let filled = if part.head().len() == size {
                fill(part.head_mut())
            } else {
                self.contiguous.resize(size, 0);
                let filled = fill(&mut self.contiguous);
                self.pool.write(&mut part, 0, &self.contiguous);
                filled
            };
            match filled {
                Some(()) => each(self, part, o),
                None => self.drop(part, DropReason::Malformed, o),
            }
        }
        self.trash.push(frame);
    }

    /// Makes fragments of at most `mtu` bytes of an IP packet and hands each to `each`; what fits goes on as it is, and so
    /// does what is not IP. A frame that is refused is given back with nothing pending, if it is one packet; those that a large
    /// segment stands for are dropped.
    pub fn fragments<O: Observer>(
        &mut self,
        mut frame: P::Frame,
        mtu: usize,
        df: DontFragment,
        o: &mut O,
        each: &mut impl FnMut(&mut Self, P::Frame, &mut O),
    ) -> Result<(), (DropReason, P::Frame)> {
        if frame.size() <= mtu + link_size(frame.head()) {
            each(self, frame, o);
            return Ok(());
        }
        if frame.offload().segmentation != Segmentation::None {
            self.segments(frame, o, |to, part, o| {
                if let Err((reason, part)) = to.fragments(part, mtu, df, o, each) {
                    to.drop(part, reason, o);
                }
            });
            return Ok(());
        }
        if let Err(reason) = tunnel::finish_checksum(&mut frame) {
            return Err((reason, frame));
        }
        let mut parts = std::mem::take(&mut self.parts);
        let splitter = &mut self.splitter;
        let result = splitter.split(&mut self.pool, frame, mtu, df, &mut parts);
        if let Ok(len @ 2..) = result {
            o.note(format_args!("fragmented into {len}"));
        }
        for part in parts.drain(..) {
            each(self, part, o);
        }
        self.parts = parts;
        match result {
            Ok(_) => Ok(()),
            // It is nobody's to split.
            Err((Refusal::NotIp, frame)) => {
                each(self, frame, o);
                Ok(())
            }
            Err((refusal, frame)) => Err((refusal.into(), frame)),
        }
    }
}

/// Copies a frame's bytes from `start` on until `target` is full.
fn copy_range<F: Frame>(frame: &F, start: usize, target: &mut [u8]) {
    let (mut at, end) = (0, start + target.len());
    frame.for_each_segment(&mut |segment| {
        let (from, to) = (start.max(at), end.min(at + segment.len()));
        if from < to {
            target[from - start..to - start].copy_from_slice(&segment[from - at..to - at]);
        }
        at += segment.len();
    });
}
