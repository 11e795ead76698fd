//! A burst that a port received: all of it comes in at one place, and most of its packets are plain and leave by one port as
//! they are. Those are handled in tight passes, without a record for each and without a step from one function to the
//! next; everything else about the burst goes the general way (`burst`), in its turn.

use super::burst::{Brought, Came, Entrance, NO_ENTRY, fill_key};
use super::*;
use crate::forward::cache::{Head, PlainRow};
use crate::forward::enter::in_port_word;
use flow::extract::PlainWords;

/// Packets between the one that is parsed and the one that is asked for.
const AHEAD: usize = 8;

/// The words of no plain packet.
const NOTHING: PlainWords = [u64::MAX; 4];

/// Whether two are equal, word by word: to read together what was just written in parts waits for the stores.
#[inline(always)]
fn is_repeated([a, b, c, d]: &PlainWords, [e, f, g, h]: &PlainWords) -> bool {
    a == e && b == f && c == g && d == h
}

impl<P: Pool> Core<P> {
    /// Handles the frames that came in by one port of a bridge, perhaps out of one tunnel, and are not counted as explained.
    pub(super) fn fresh<O: Observer>(
        &mut self,
        cx: Context<'_>,
        (bridge, in_port, words, from): Came,
        o: &mut O,
    ) {
        let Some(view) = cx.snapshot.bridge(bridge) else {
            while let Some(frame) = self.frames.pop() {
                self.executor.drop(frame, DropReason::NoPort, o);
            }
            return;
        };
        let there = Entrance::new(bridge, view);
        let sees_words = words != NO_WORDS && !there.is_flat;
        let all_repeat = match there.is_blind && !sees_words {
            true => {
                self.look_once(cx, &there, in_port);
                false
            }
            false if self.repeats => self.look_at_all::<true>(cx, &there, (in_port, words)),
            false => self.look_at_all::<false>(cx, &there, (in_port, words)),
        };
        if all_repeat && words == NO_WORDS && from.depth == 0 {
            self.record_look(cx, &there);
        }
        // As the beginning of this burst is, the next one may be: few flows, with bursts of their own, or many.
        self.repeats = self.frames.len() > 1 && self.seen[0].hash == self.seen[1].hash;
        let mut frames = std::mem::take(&mut self.frames);
        let len = frames.len().min(BURST);
        let mut rest = frames.drain(..);
        let mut at = 0;
        while at < len {
            let mut left = self.leave(cx, at..len, &mut rest);
            if left == 0 && from.depth == 0 && words == NO_WORDS {
                left = self.run_alike(cx, &there, in_port, at..len, &mut rest, o);
            }
            at += left;
            if left == 0
                && let Some(frame) = rest.next()
            {
                let nesting = Nesting {
                    origin: at as u8,
                    ..from
                };
                self.packet(cx, at, (bridge, in_port, words, nesting), frame, o);
                at += 1;
            }
        }
        drop(rest);
        self.frames = frames;
        self.settle_run(cx.now);
    }
    /// Fills the rows of all, and finds their entries. Returns whether several were seen to be alike, and no other. `REPEATS`: it asks of each packet first whether it is as the one before.
    // Not inlined: it needs all registers.
    #[inline(never)]
    fn look_at_all<const REPEATS: bool>(
        &mut self,
        cx: Context<'_>,
        there: &Entrance<'_>,
        (in_port, tunnel): (PortNo, u32),
    ) -> bool {
        let sees_words = tunnel != NO_WORDS && !there.is_flat;
        let (frames, sets) = (&self.frames, self.cache.sets());
        let plain = PlainRow::new(there.context, in_port_word(in_port), there.view);
        frames.iter().take(AHEAD).for_each(Frame::prefetch);
        // What the one before was, and which packets are as the one before: these need no look of their own. (One flow: 32
        // cycles per packet instead of 37. With many flows it would cost 5.)
        let (mut before, mut hash, mut entry) = (NOTHING, 0, NO_ENTRY);
        let (mut repeats, mut others, mut missed) = (0u64, 0u64, 0u64);
        for (index, (frame, seen)) in frames.iter().zip(self.seen.iter_mut()).enumerate() {
            if let Some(later) = frames.get(index + AHEAD) {
                later.prefetch();
            }
            let size = frame.size();
            let words = match sees_words {
                true => None,
                false => extract::plain(frame.head(), size, there.needs_l4),
            };
            let Some(words) = words else {
                others |= 1 << index;
                before = NOTHING;
                continue;
            };
            let words = plain.masked(&words);
            match REPEATS && is_repeated(&before, &words) {
                true => repeats |= 1 << index,
                false => {
                    hash = plain.hash(&words);
                    entry = sets.likely(hash);
                }
            }
            (before, seen.words, seen.hash) = (words, words, hash);
            (seen.entry, seen.layout) = (entry, extract::PLAIN_LAYOUT);
            (seen.size, seen.is_plain) = (size as u32, true);
        }
        let len = frames.len();
        if others != 0 {
            self.look_closer(there, (in_port, tunnel), others);
        }
        let (cache, version) = (&self.cache, cx.snapshot.version);
        for (index, seen) in self.seen[..len].iter().enumerate() {
            let is_repeat = REPEATS && repeats >> index & 1 != 0;
            let is_found =
                seen.is_plain && cache.is_plain(seen.entry, &plain, &seen.words, version);
            if !is_repeat && !is_found {
                missed |= 1 << index;
            }
        }
        if missed != 0 {
            self.find_others(cx, there, &plain, missed);
        }
        if REPEATS {
            for index in 1..len {
                if repeats >> index & 1 != 0 {
                    self.seen[index].entry = self.seen[index - 1].entry;
                }
            }
        }
        repeats != 0 && repeats.count_ones() as usize + 1 == len
    }
    /// Fills the rows of those of the packets that are not plain, a bit for each.
    #[inline(never)]
    fn look_closer(
        &mut self,
        there: &Entrance<'_>,
        (in_port, words): (PortNo, u32),
        mut others: u64,
    ) {
        let stride = self.cache.stride();
        while others != 0 {
            let index = others.trailing_zeros() as usize;
            others &= others - 1;
            let (seen, frame) = (&mut self.seen[index], &self.frames[index]);
            let came = Brought {
                in_port,
                words,
                then: None,
            };
            let row = &mut self.rows[index * stride..][..lines_of(there.view)];
            let (key, executor) = (&mut self.key, &self.executor);
            seen.layout = fill_key(key, executor, there.view, &there.plan, came, frame);
            seen.hash = cache::pack(there.context, &there.view.plan.row, &key.0, row);
            (seen.size, seen.is_plain) = (0, false);
        }
    }
    /// Finds the entries of those of the packets, a bit for each, that are not plain, or not the first plain one that they may
    /// be.
    #[inline(never)]
    fn find_others(
        &mut self,
        cx: Context<'_>,
        there: &Entrance<'_>,
        plain: &PlainRow,
        mut missed: u64,
    ) {
        let stride = self.cache.stride();
        while missed != 0 {
            let index = missed.trailing_zeros() as usize;
            missed &= missed - 1;
            let seen = &mut self.seen[index];
            let row = &mut self.rows[index * stride..][..lines_of(there.view)];
            let row = match seen.is_plain {
                true => {
                    row[0] = plain.line(&seen.words);
                    &row[..1]
                }
                false => row,
            };
            let query = Query {
                row,
                hash: seen.hash,
                bridge: there.bridge,
                view: there.view,
                snapshot: cx.snapshot,
                key: None,
            };
            let found = self.cache.find(&query);
            seen.entry = found.map_or(NO_ENTRY, |entry| entry as u32);
        }
    }
    /// The same where no rule looks at packets: all have the same row.
    fn look_once(&mut self, cx: Context<'_>, there: &Entrance<'_>, in_port: PortNo) {
        let (len, stride) = (self.frames.len(), self.cache.stride());
        begin(&mut self.key, in_port, None);
        let view = there.view;
        let row = &mut self.rows[..lines_of(view)];
        let hash = cache::pack(there.context, &view.plan.row, &self.key.0, row);
        let query = Query {
            row,
            hash,
            bridge: there.bridge,
            view,
            snapshot: cx.snapshot,
            key: None,
        };
        let found = self.cache.find(&query);
        let entry = found.map_or(NO_ENTRY, |entry| entry as u32);
        if found.is_none() {
            for index in 1..len {
                self.rows.copy_within(..stride, index * stride);
            }
        }
        for seen in &mut self.seen[..len] {
            (seen.hash, seen.entry, seen.layout) = (hash, entry, Layout::default());
            (seen.size, seen.is_plain) = (0, false);
        }
    }
    /// Sends as many of these packets as leave one after the other by one port, with nothing special about them; returns how
    /// many.
    #[inline(always)]
    fn leave(
        &mut self,
        cx: Context<'_>,
        range: std::ops::Range<usize>,
        frames: &mut std::vec::Drain<'_, P::Frame>,
    ) -> usize {
        let Core {
            executor,
            cache,
            seen,
            run,
            ..
        } = self;
        let all = &seen[range];
        let Some(&Seen {
            entry: first,
            size: 1..,
            ..
        }) = all.first()
        else {
            return 0;
        };
        let (stats, now) = (&executor.stats, cx.now);
        let Some(&Head {
            port,
            table,
            mut rule,
            ..
        }) = cache.get(first)
        else {
            return 0;
        };
        if port == NO_PORT {
            return 0;
        }
        let Some(largest) = executor.takes_up_to(cx, PortId(port)) else {
            return 0;
        };
        // Packets of one rule in a row are credited at once, the last ones later: there may be more of them.
        burst::credit_entry(cache, run, stats, now);
        let (mut len, mut packets, mut bytes, mut all_bytes) = (0, 0, 0, 0);
        for &Seen { entry, size, .. } in all {
            let Some(head) = cache.get(entry) else {
                break;
            };
            // Packets that are not plain have no size.
            let fits = size.wrapping_sub(1) < largest;
            if !fits || head.port != port {
                break;
            }
            // What packets meet that a port received is the bridge's first table.
            debug_assert_eq!(head.table, table);
            if head.rule != rule {
                stats.credit(rule, packets, bytes, now);
                all_bytes += bytes;
                (rule, packets, bytes) = (head.rule, 0, 0);
            }
            packets += 1;
            bytes += u64::from(size);
            len += 1;
        }
        let Some(&Seen { entry: last, .. }) = all[..len].last() else {
            return 0;
        };
        burst::credit_matches(run, stats, table, len as u64 - packets);
        (run.entry, run.packets, run.bytes) = (last as usize, packets, bytes);
        run.hits += len as u64;
        executor.queue_all(PortId(port), frames.take(len), all_bytes + bytes);
        len
    }
}
