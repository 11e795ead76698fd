//! Reassembly: fragments in any order become the packet that they were. One [`Reassembler`] per
//! worker; what it holds is bounded in datagrams, fragments, bytes, per source and in time.

use super::bytes;
use super::hash::Secret;
use super::inspect::{Fragment, Key, size_max};
use super::layout::Layout;
use super::outcome::{Counts, Outcome};
use super::store::{GROUPS, NONE, Piece, Store, Usage};
use crate::edge::{Frame, Pool};
use crate::time::Time;
use packet::checksum::Sum;
use packet::{Wire, ipv4, ipv6};

/// Fragments of one datagram at most: 64 KiB at IPv6's smallest MTU are 54.
pub const FRAGMENTS_MAX: usize = 64;
/// A source holds at most one part in so many of a table.
pub const SHARES: usize = 4;
/// Datagrams that one call of [`Reassembler::expire`] times out at most, so that none takes long.
pub const EXPIRE_MAX: usize = 64;

/// What one reassembler may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Incomplete datagrams.
    pub datagrams: usize,
    /// Fragments of them: each occupies a buffer.
    pub fragments: usize,
    /// Bytes of their payload.
    pub bytes: usize,
    /// Fragments in frames of more than one segment, of which there are fewer.
    pub segmented: usize,
    /// How long an IPv4 datagram waits after its first fragment.
    pub ipv4_timeout: Time,
    /// The same for IPv6.
    // RFC 8200 section 4.5: "within 60 seconds of the reception of the first-arriving fragment".
    pub ipv6_timeout: Time,
}

impl Limits {
    /// Of each of so many workers. Whoever makes the buffers that frames arrive in has to have so many more of them as
    /// all may hold: else a flood of fragments takes all that a port receives with.
    pub fn for_workers(workers: usize) -> Limits {
        // Eight workers hold 32768 buffers, 75 MB; more than eight share these.
        let fragments = (32_768 / workers.max(1)).clamp(512, 4096);
        Limits {
            datagrams: fragments / 2,
            fragments,
            bytes: fragments * 1024,
            // Each has one of the pool's large buffers: a quarter of these is enough for a 64 KiB packet.
            segmented: 64,
            ipv4_timeout: Time::secs(30),
            ipv6_timeout: Time::secs(60),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::for_workers(1)
    }
}

/// Puts fragments together. Holds frames of the pool that each call is given.
pub struct Reassembler<F> {
    secret: Secret,
    store: Store<F>,
    limit: Usage,
    share: Usage,
    timeouts: [Time; 2],
    counts: Counts,
    trash: Vec<F>,
    /// Frames that went to the trash since somebody asked.
    dropped: u64,
    parts: Vec<F>,
}

/// Where a fragment goes among those that are here.
enum Place {
    /// Behind this one ([`NONE`]: in front).
    Behind(u32),
    /// It is here.
    Duplicate,
    /// It covers bytes that others have, or that are beyond the end.
    Overlap,
}

impl<F: Frame> Reassembler<F> {
    /// An empty one. Limits below what four sources with one 64 KiB packet each need are raised to that.
    pub fn new(secret: Secret, limits: Limits) -> Reassembler<F> {
        let limit = Usage {
            datagrams: limits.datagrams.max(SHARES),
            fragments: limits.fragments.max(SHARES * FRAGMENTS_MAX),
            bytes: limits.bytes.max(SHARES << 16),
            segmented: limits.segmented.max(SHARES),
        };
        Reassembler {
            secret,
            store: Store::new(limit),
            limit,
            share: Usage {
                datagrams: limit.datagrams / SHARES,
                fragments: limit.fragments / SHARES,
                bytes: limit.bytes / SHARES,
                segmented: limit.segmented / SHARES,
            },
            timeouts: [limits.ipv4_timeout, limits.ipv6_timeout],
            counts: Counts::default(),
            trash: Vec::with_capacity(limit.fragments + 1),
            dropped: 0,
            parts: Vec::with_capacity(FRAGMENTS_MAX),
        }
    }

    /// How often everything happened. Outcomes of [`Fragment::inspect`] are counted by whoever called it.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Frames that were dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Datagrams, fragments and bytes that are held.
    #[inline]
    pub fn held(&self) -> [usize; 3] {
        let held = self.store.total;
        [held.datagrams, held.fragments, held.bytes]
    }

    /// Takes a frame that [`Fragment::inspect`] said this of. Returns the whole packet, with the Ethernet header and
    /// tags of its first fragment, or what happened instead; the frame is then held, or freed.
    pub fn insert<P: Pool<Frame = F>>(
        &mut self,
        pool: &mut P,
        now: Time,
        frame: F,
        fragment: &Fragment,
    ) -> Result<F, Outcome> {
        let result = self.take(pool, now, frame, fragment);
        self.counts.add(match result {
            Ok(_) if fragment.is_atomic() => Outcome::Atomic,
            Ok(_) => Outcome::Completed,
            Err(outcome) => outcome,
        });
        self.empty_trash(pool);
        result
    }

    /// Whether something is held of this datagram, or it is refused.
    pub fn holds(&self, key: &Key) -> bool {
        let is_here = || self.store.find(key, key.hash(&self.secret)).is_some();
        self.store.total.datagrams > 0 && is_here()
    }
    /// Whether these two are a whole packet, in order, of which nothing else is here: neither has to be held.
    #[inline]
    pub fn is_pair(&self, first: &Fragment, last: &Fragment) -> bool {
        first.begins()
            && !last.layout.more
            && last.layout.offset == first.range().end
            && first.key == last.key
            && !self.holds(&first.key)
    }
    /// Puts two fragments together that are a pair, as if they had been held.
    pub fn join_pair<P: Pool<Frame = F>>(
        &mut self,
        pool: &mut P,
        (mut first, begin): (F, &Fragment),
        (mut last, end): (F, &Fragment),
    ) -> Result<F, Outcome> {
        first.trim(begin.layout.end);
        last.trim(end.layout.end);
        let seen = 1 << begin.ecn | 1 << end.ecn;
        let joined = match last.pull(end.layout.payload) {
            true => join(&mut first, &begin.layout, begin.ecn, end.range().end, seen),
            false => Err(Outcome::Malformed),
        };
        self.parts.push(first);
        self.parts.push(last);
        let whole = joined.and_then(|()| pool.join(&mut self.parts).ok_or(Outcome::NoMemory));
        self.trash.append(&mut self.parts);
        self.counts.add(Outcome::Held);
        self.counts
            .add(whole.as_ref().err().copied().unwrap_or(Outcome::Completed));
        self.empty_trash(pool);
        whole
    }

    /// The same of two that are cut already: the first one has as many of its headers as are wanted, the second one its payload alone.
    /// What is used up goes to `done`. `None`: there is no buffer, and both are dropped.
    pub fn join_cut<P: Pool<Frame = F>>(
        &mut self,
        pool: &mut P,
        [mut first, last]: [F; 2],
        done: &mut Vec<F>,
    ) -> Option<F> {
        let whole = if first.absorb(&last) {
            done.push(last);
            Some(first)
        } else {
            self.parts.extend([first, last]);
            let whole = pool.join(&mut self.parts);
            self.trash.append(&mut self.parts);
            self.empty_trash(pool);
            whole
        };
        self.counts.add(Outcome::Held);
        self.counts.add(match whole {
            Some(_) => Outcome::Completed,
            None => Outcome::NoMemory,
        });
        whole
    }

    /// Lets go of what waited too long, at most [`EXPIRE_MAX`] datagrams; returns how many there were.
    pub fn expire<P: Pool<Frame = F>>(&mut self, pool: &mut P, now: Time) -> usize {
        let mut len = 0;
        for version in 0..self.timeouts.len() {
            while let Some(index) = self.store.oldest(version) {
                if len == EXPIRE_MAX || self.store.datagram(index).deadline > now {
                    break;
                }
                self.time_out(index);
                len += 1;
            }
        }
        self.empty_trash(pool);
        len
    }

    /// Lets go of everything.
    pub fn clear<P: Pool<Frame = F>>(&mut self, pool: &mut P) {
        for version in 0..self.timeouts.len() {
            while let Some(index) = self.store.oldest(version) {
                self.store.remove(index, &mut self.trash);
            }
        }
        self.empty_trash(pool);
    }

    fn empty_trash<P: Pool<Frame = F>>(&mut self, pool: &mut P) {
        if !self.trash.is_empty() {
            self.dropped += self.trash.len() as u64;
            pool.free(&mut self.trash);
        }
    }

    fn time_out(&mut self, index: u32) {
        if !self.store.datagram(index).is_refused {
            self.counts.add(Outcome::TimedOut);
        }
        self.store.remove(index, &mut self.trash);
    }

    fn take<P: Pool<Frame = F>>(
        &mut self,
        pool: &mut P,
        now: Time,
        frame: F,
        fragment: &Fragment,
    ) -> Result<F, Outcome> {
        if fragment.is_atomic() {
            // RFC 6946 section 4: it "MUST be processed in isolation from any other fragments".
            let mut frame = frame;
            frame.trim(fragment.layout.end);
            let size = fragment.layout.payload_size();
            let whole = restore(&mut frame, &fragment.layout, size, fragment.ecn);
            return match whole {
                Some(()) => Ok(frame),
                None => self.drop(frame, Outcome::Malformed),
            };
        }
        let index = match self.datagram(now, fragment) {
            Ok(index) => index,
            Err(outcome) => return self.drop(frame, outcome),
        };
        if self.store.datagram(index).is_refused {
            return self.drop(frame, Outcome::Refused);
        }
        let behind = match self.place(index, &frame, fragment) {
            Place::Behind(behind) => behind,
            Place::Duplicate => return self.drop(frame, Outcome::Duplicate),
            Place::Overlap => return self.refuse(index, frame, Outcome::Overlap),
        };
        if self.store.datagram(index).held.fragments == FRAGMENTS_MAX {
            return self.refuse(index, frame, Outcome::TooMany);
        }
        let group = self.store.datagram(index).group;
        let need = Usage {
            datagrams: 0,
            fragments: 1,
            bytes: fragment.range().len(),
            segmented: usize::from(is_segmented(&frame)),
        };
        if let Err(outcome) = self.make_room(group, need, index) {
            self.store.remove(index, &mut self.trash);
            return self.drop(frame, outcome);
        }
        self.keep(index, behind, frame, fragment);
        let datagram = self.store.datagram(index);
        if datagram.end == Some(datagram.held.bytes) {
            self.complete(pool, index)
        } else {
            Err(Outcome::Held)
        }
    }

    fn drop(&mut self, frame: F, outcome: Outcome) -> Result<F, Outcome> {
        self.trash.push(frame);
        Err(outcome)
    }

    // RFC 8200 section 4.5: "If any of the fragments being reassembled overlap with any other fragments being
    // reassembled for the same packet, reassembly of that packet must be abandoned and all the fragments that have
    // been received for that packet must be discarded". RFC 5722 section 4 adds those "not yet received".
    fn refuse(&mut self, index: u32, frame: F, outcome: Outcome) -> Result<F, Outcome> {
        self.store.release(index, &mut self.trash);
        self.store.datagram(index).is_refused = true;
        self.drop(frame, outcome)
    }

    /// The fragment's datagram, if need be a new one.
    fn datagram(&mut self, now: Time, fragment: &Fragment) -> Result<u32, Outcome> {
        let hash = fragment.key.hash(&self.secret);
        if let Some(index) = self.store.find(&fragment.key, hash) {
            if self.store.datagram(index).deadline > now {
                return Ok(index);
            }
            self.time_out(index);
        }
        let group = (fragment.key.source_hash(&self.secret) % GROUPS as u64) as u8;
        let need = Usage {
            datagrams: 1,
            ..Usage::default()
        };
        let deadline = now + self.timeouts[usize::from(fragment.key.is_ipv6())];
        self.make_room(group, need, NONE)?;
        Ok(self.store.add(fragment.key, hash, group, deadline))
    }

    /// Makes room for what a source needs: first from what it holds above its share itself, then from the group
    /// of sources that holds most. Never takes `kept`; fails if that is all that there is to take.
    fn make_room(&mut self, group: u8, need: Usage, kept: u32) -> Result<(), Outcome> {
        loop {
            let group = usize::from(group);
            let (from, outcome) = if !self.store.groups[group].plus(need).fits(self.share) {
                (group, Outcome::SourceShare)
            } else if !self.store.total.plus(need).fits(self.limit) {
                (self.largest(need), Outcome::Evicted)
            } else {
                return Ok(());
            };
            let index = self.store.least_used(from, kept).ok_or(outcome)?;
            // One that is refused was counted when that happened.
            if !self.store.datagram(index).is_refused {
                self.counts.add(outcome);
            }
            self.store.remove(index, &mut self.trash);
        }
    }

    /// The group that holds most of what is short.
    fn largest(&self, need: Usage) -> usize {
        let total = self.store.total.plus(need);
        let amount = |group: &Usage| {
            if total.datagrams > self.limit.datagrams {
                group.datagrams
            } else if total.fragments > self.limit.fragments {
                group.fragments
            } else if total.segmented > self.limit.segmented {
                group.segmented
            } else {
                group.bytes
            }
        };
        let groups = self.store.groups.iter().map(amount).enumerate();
        groups.max_by_key(|(_, held)| *held).map_or(0, |row| row.0)
    }

    fn place(&mut self, index: u32, frame: &F, fragment: &Fragment) -> Place {
        let range = fragment.range();
        let datagram = self.store.datagram(index);
        let (first, last, end) = (datagram.first, datagram.last, datagram.end);
        // Most arrive in order, and the next best is the reverse.
        let mut behind = NONE;
        let mut at = first;
        if last != NONE && self.store.piece(last).start < range.start {
            (behind, at) = (last, NONE);
        }
        while at != NONE && self.store.piece(at).start < range.start {
            (behind, at) = (at, self.store.piece(at).next);
        }
        if at != NONE {
            let next = self.store.piece(at);
            let is_last = end == Some(next.end) && next.end == range.end;
            let is_same = next.start == range.start
                && next.end == range.end
                && is_last != fragment.layout.more;
            if let (true, Some(other)) = (is_same, &next.frame) {
                let from = fragment.layout.payload;
                return match bytes::equal(other, next.payload, frame, from, range.len()) {
                    true => Place::Duplicate,
                    false => Place::Overlap,
                };
            }
            if next.start < range.end {
                return Place::Overlap;
            }
        }
        let overlaps_prev = behind != NONE && self.store.piece(behind).end > range.start;
        let is_beyond = match (end, fragment.layout.more) {
            (Some(end), true) => range.end >= end,
            (Some(_), false) => true,
            (None, false) => last != NONE && self.store.piece(last).end > range.end,
            (None, true) => false,
        };
        if overlaps_prev || is_beyond {
            Place::Overlap
        } else {
            Place::Behind(behind)
        }
    }

    /// Keeps a fragment; of all but the first, only the payload.
    fn keep(&mut self, index: u32, behind: u32, mut frame: F, fragment: &Fragment) {
        let range = fragment.range();
        frame.trim(fragment.layout.end);
        // What is in front is in the head: inspected.
        let is_pulled = range.start > 0 && frame.pull(fragment.layout.payload);
        let datagram = self.store.datagram(index);
        datagram.ecn |= 1 << fragment.ecn;
        if range.start == 0 {
            datagram.head = Some((fragment.layout, fragment.ecn));
        }
        if !fragment.layout.more {
            datagram.end = Some(range.end);
        }
        let piece = Piece {
            is_segmented: is_segmented(&frame),
            frame: Some(frame),
            payload: if is_pulled {
                0
            } else {
                fragment.layout.payload
            },
            start: range.start,
            end: range.end,
            next: NONE,
        };
        self.store.insert(index, behind, piece);
    }

    /// Puts a datagram together of which all fragments are here.
    fn complete<P: Pool<Frame = F>>(&mut self, pool: &mut P, index: u32) -> Result<F, Outcome> {
        let datagram = self.store.datagram(index);
        let (head, ecn, size) = (datagram.head, datagram.ecn, datagram.held.bytes);
        self.store.remove(index, &mut self.parts);
        let result = match (head, self.parts.first_mut()) {
            (Some((layout, codepoint)), Some(first)) => join(first, &layout, codepoint, size, ecn),
            _ => Err(Outcome::Malformed),
        };
        let whole = result.and_then(|()| pool.join(&mut self.parts).ok_or(Outcome::NoMemory));
        self.trash.append(&mut self.parts);
        whole
    }
}

/// Whether a frame has more than one segment.
fn is_segmented<F: Frame>(frame: &F) -> bool {
    frame.size() > frame.head().len()
}

/// Makes the headers in the first fragment's frame those of the whole packet.
fn join<F: Frame>(
    first: &mut F,
    layout: &Layout,
    codepoint: u8,
    size: usize,
    seen: u8,
) -> Result<(), Outcome> {
    let ecn = congestion(seen, codepoint).ok_or(Outcome::Ecn)?;
    if layout.prefix_end - layout.l3 + size > size_max(layout) {
        return Err(Outcome::Oversize);
    }
    restore(first, layout, size, ecn).ok_or(Outcome::Malformed)
}

/// The ECN codepoint of a packet of which the first fragment has `first`, and all have those in the set `seen`.
// RFC 3168 section 5.3: "if any fragment of an IP packet to be reassembled has the CE codepoint set, then [...] Set the
// CE codepoint on the reassembled packet. However, this MUST NOT occur if any of the other fragments contributing to
// this reassembly carries the Not-ECT codepoint." Then the other choice is left: "The packet is dropped".
fn congestion(seen: u8, first: u8) -> Option<u8> {
    const NOT_ECT: u8 = 0;
    const CE: u8 = 3;
    match (seen & 1 << CE != 0, seen & 1 << NOT_ECT != 0) {
        (true, true) => None,
        (true, false) => Some(CE),
        // Half of it cannot be marked, so it must not be marked later.
        (false, true) => Some(NOT_ECT),
        (false, false) => Some(first),
    }
}

/// Removes what made `frame` a fragment; `size` is that of the whole payload.
fn restore<F: Frame>(frame: &mut F, layout: &Layout, size: usize, ecn: u8) -> Option<()> {
    if layout.is_ipv6 {
        let bytes = frame.head_mut();
        *bytes.get_mut(layout.next_at)? = layout.protocol;
        let header = ipv6::Header::at_mut(bytes, layout.l3)?;
        let extensions = layout.prefix_end - layout.l3 - ipv6::Header::SIZE;
        header.payload_size.set((extensions + size) as u16);
        header.set_traffic_class(header.traffic_class() & !3 | ecn);
        let moved = bytes.get_mut(..layout.payload)?;
        moved.copy_within(..layout.prefix_end, ipv6::Fragment::SIZE);
        frame.pull(ipv6::Fragment::SIZE).then_some(())
    } else {
        let bytes = frame.head_mut();
        let header = ipv4::Header::at_mut(bytes, layout.l3)?;
        let total_size = (layout.prefix_end - layout.l3 + size) as u16;
        let tos = header.tos & !3 | ecn;
        // It was right: what changes is taken out, and added. To read back what was just written in smaller parts
        // stalls the CPU.
        let sum = Sum::new()
            .u16(!header.checksum.get())
            .u16(!header.total_size.get())
            .u16(total_size)
            .u16(!header.fragment.get())
            .u16(!u16::from(header.tos))
            .u16(tos.into());
        header.total_size.set(total_size);
        header.fragment.set(0);
        header.tos = tos;
        header.checksum.set(sum.finish());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn congestion_marks_survive() {
        let set = |codepoints: &[u8]| codepoints.iter().fold(0, |set, c| set | 1 << c);
        assert_eq!(congestion(set(&[0]), 0), Some(0));
        assert_eq!(congestion(set(&[1]), 1), Some(1));
        assert_eq!(congestion(set(&[1, 2]), 2), Some(2));
        assert_eq!(congestion(set(&[2, 3]), 2), Some(3));
        assert_eq!(congestion(set(&[1, 2, 3]), 1), Some(3));
        assert_eq!(congestion(set(&[0, 3]), 3), None);
        assert_eq!(congestion(set(&[0, 2]), 2), Some(0));
    }
}
