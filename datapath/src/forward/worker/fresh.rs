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
        let Core {
            executor,
            cache,
            frames,
            key,
            rows,
            seen,
            ..
        } = self;
        let plain = PlainRow::new(there.context, in_port_word(in_port), there.view);
        let stride = cache.stride().max(1);
        frames.iter().take(AHEAD).for_each(Frame::prefetch);
        // What the one before was, and which packets are as the one before: these need no look of their own. (One flow: 32
        // cycles per packet instead of 37. With many flows it would cost 5.)
        let (mut before, mut hash) = (NOTHING, 0);
        let mut repeats = 0u32;
        for (index, (frame, seen)) in frames.iter().zip(seen.iter_mut()).enumerate() {
            if let Some(later) = frames.get(index + AHEAD) {
                later.prefetch();
            }
            let size = frame.size();
            if !sees_words && let Some(words) = extract::plain(frame.head(), size, there.needs_l4) {
                let words = plain.masked(&words);
                match REPEATS && is_repeated(&before, &words) {
                    true => repeats |= 1 << index,
                    false => hash = plain.hash(&words),
                }
                (before, seen.words, seen.hash) = (words, words, hash);
                seen.layout = extract::PLAIN_LAYOUT;
                (seen.size, seen.is_plain) = (size as u32, true);
            } else {
                let came = Brought {
                    in_port,
                    words: tunnel,
                    then: None,
                };
                let row = &mut rows[index * stride..][..lines_of(there.view)];
                seen.layout = fill_key(key, executor, there.view, &there.plan, came, frame);
                seen.hash = cache::pack(there.context, &there.view.plan.row, &key.0, row);
                (seen.size, seen.is_plain) = (0, false);
                before = NOTHING;
            }
        }
        let is_repeat = |index: usize| REPEATS && repeats >> index & 1 != 0;
        let seen = &mut seen[..frames.len()];
        for (index, seen) in seen.iter_mut().enumerate() {
            if !is_repeat(index) {
                seen.entry = cache.likely(seen.hash);
            }
        }
        let mut entry = NO_ENTRY;
        for (index, seen) in seen.iter_mut().enumerate() {
            if !is_repeat(index) {
                let version = cx.snapshot.version;
                if seen.is_plain && cache.is_plain(seen.entry, &plain, &seen.words, version) {
                    entry = seen.entry;
                    continue;
                }
                let line;
                let row = match seen.is_plain {
                    true => {
                        line = [plain.line(&seen.words)];
                        &line[..]
                    }
                    false => &rows[index * stride..][..lines_of(there.view)],
                };
                let query = Query {
                    row,
                    hash: seen.hash,
                    bridge: there.bridge,
                    view: there.view,
                    snapshot: cx.snapshot,
                    key: None,
                };
                entry = find_other(cache, &query);
            }
            seen.entry = entry;
        }
        repeats != 0 && repeats.count_ones() as usize + 1 == frames.len()
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
            if !fits || (head.port, head.table) != (port, table) {
                break;
            }
            if head.rule != rule {
                stats.credit(rule, packets, bytes, now);
                (rule, packets, bytes) = (head.rule, 0, 0);
            }
            packets += 1;
            bytes += u64::from(size);
            all_bytes += u64::from(size);
            len += 1;
        }
        let Some(&Seen { entry: last, .. }) = all[..len].last() else {
            return 0;
        };
        burst::credit_matches(run, stats, table, len as u64 - packets);
        (run.entry, run.packets, run.bytes) = (last as usize, packets, bytes);
        run.hits += len as u64;
        executor.queue_all(PortId(port), frames.take(len), all_bytes);
        len
    }
}

/// The entry of a packet that is not a plain one's, or not the first that it may be.
#[inline(never)]
fn find_other(cache: &mut Cache, query: &Query<'_>) -> u32 {
    cache.find(query).map_or(NO_ENTRY, |entry| entry as u32)
}
