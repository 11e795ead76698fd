//! A burst that a port received: all of it comes in at one place, and most of its packets are plain and leave by one port as
//! they are. Those are handled in tight passes, without a record for each and without a step from one function to the
//! next; everything else about the burst goes the general way (`burst`), in its turn.

use super::burst::{Brought, Came, Entrance, NO_ENTRY, fill_key};
use super::*;
use crate::forward::cache::{NO_PORT, PlainRow};
use crate::forward::enter::in_port_word;

/// Packets between the one that is parsed and the one that is asked for.
const AHEAD: usize = 8;

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
        match there.is_blind && !sees_words {
            true => self.look_once(cx, &there, in_port),
            false => self.look_at_all(cx, &there, (in_port, words)),
        }
        let mut frames = std::mem::take(&mut self.frames);
        let len = frames.len().min(BURST);
        let mut rest = frames.drain(..);
        let mut at = 0;
        while at < len {
            let left = self.leave(cx, at..len, &mut rest);
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
    /// Fills the rows of all, and finds their entries.
    fn look_at_all(
        &mut self,
        cx: Context<'_>,
        there: &Entrance<'_>,
        (in_port, tunnel): (PortNo, u32),
    ) {
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
        let ahead = frames.iter().skip(AHEAD).map(Some);
        let ahead = ahead.chain(std::iter::repeat(None));
        let places = (seen.hashes.iter_mut().zip(&mut seen.layouts)).zip(&mut seen.sizes);
        let packets = frames.iter().zip(ahead).zip(rows.chunks_exact_mut(stride));
        for (((frame, ahead), row), ((hash, layout), size)) in packets.zip(places) {
            if let Some(ahead) = ahead {
                ahead.prefetch();
            }
            let [line, ..] = row else {
                continue;
            };
            if !sees_words
                && let Some(words) = extract::plain(frame.head(), frame.size(), there.needs_l4)
            {
                *hash = plain.pack(&words, line);
                *layout = extract::PLAIN_LAYOUT;
                *size = frame.size() as u32;
            } else {
                let came = Brought {
                    in_port,
                    words: tunnel,
                    then: None,
                };
                *layout = fill_key(key, executor, there.view, &there.plan, came, frame);
                *hash = cache::pack(there.context, &there.view.plan.row, &key.0, row);
                *size = 0;
            }
        }
        let mut all_ways = [0; BURST];
        for (ways, &hash) in all_ways.iter_mut().zip(&seen.hashes[..frames.len()]) {
            *ways = cache.ways(hash);
        }
        let places = (seen.hashes.iter().zip(&seen.sizes)).zip(&mut seen.entries);
        let packets = all_ways[..frames.len()]
            .iter()
            .zip(rows.chunks_exact(stride));
        for ((&ways, row), ((&hash, &size), entry)) in packets.zip(places) {
            let found = match (row, size) {
                (row, 0) => {
                    let query = Query {
                        row: &row[..lines_of(there.view)],
                        hash,
                        bridge: there.bridge,
                        view: there.view,
                        version: cx.snapshot.version,
                        key: None,
                    };
                    cache.find_in(&query, ways)
                }
                ([line, ..], _) => {
                    let found = cache.find_line(line, hash, ways, cx.snapshot.version);
                    found.map(|(entry, _)| entry)
                }
                _ => None,
            };
            *entry = found.map_or(NO_ENTRY, |entry| entry as u32);
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
            version: cx.snapshot.version,
            key: None,
        };
        let found = self.cache.find(&query);
        let entry = found.map_or(NO_ENTRY, |entry| entry as u32);
        if found.is_none() {
            for index in 1..len {
                self.rows.copy_within(..stride, index * stride);
            }
        }
        self.seen.hashes[..len].fill(hash);
        self.seen.layouts[..len].fill(Layout::default());
        self.seen.entries[..len].fill(entry);
        self.seen.sizes[..len].fill(0);
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
        let (entries, sizes) = (&seen.entries[range.clone()], &seen.sizes[range]);
        let (Some(&first), Some(1..)) = (entries.first(), sizes.first()) else {
            return 0;
        };
        let Some(port) = cache.get(first).map(|head| head.port) else {
            return 0;
        };
        if port == NO_PORT {
            return 0;
        }
        let Some(largest) = executor.takes_up_to(cx, PortId(port)) else {
            return 0;
        };
        let (mut len, mut bytes) = (0, 0);
        for (&entry, &size) in entries.iter().zip(sizes) {
            // Packets that are not plain have no size.
            let fits = (1..=largest).contains(&size);
            if !fits || cache.get(entry).is_none_or(|head| head.port != port) {
                break;
            }
            if entry as usize != run.entry {
                burst::credit_entry(cache, run, &executor.stats, cx.now);
                run.entry = entry as usize;
            }
            run.packets += 1;
            run.bytes += u64::from(size);
            bytes += u64::from(size);
            len += 1;
        }
        run.hits += len as u64;
        executor.queue_all(PortId(port), frames.take(len), bytes);
        len
    }
}
