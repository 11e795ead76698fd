//! A burst like the one before: all that a port received left by one port as it was, by one kept program, and what it
//! receives next does so, too. The general way records this, [`Core::go_straight`] asks it first; it handles whole
//! bursts only, and leaves everything else as it is.
//!
//! What is remembered is true for one published version, and as long as no program is kept anew and no queue goes.

use super::burst::{Entrance, Seen};
use super::*;
use flow::extract::PlainWords;

/// Packets between the one that is parsed and the one that is asked for.
const AHEAD: usize = 8;

/// Where the last burst of a port went.
#[derive(Clone, Copy)]
pub(super) struct Straight {
    version: u64,
    /// See [`Cache::inserted`].
    inserted: u64,
    entry: usize,
    port: PortId,
    /// As they were: the entry's program does nothing else.
    is_bare: bool,
    layout: Layout,
    /// Only frames like these.
    look: Option<Look>,
}

/// What rules look at in plain packets, and what they saw.
#[derive(Clone, Copy)]
struct Look {
    masks: PlainWords,
    words: PlainWords,
    needs_l4: bool,
}

impl Look {
    /// Bytes of these frames, if all are plain packets that look like that and are at most so large.
    // See `queue::bytes_of_usual`.
    #[inline(never)]
    fn bytes<F: Frame>(&self, frames: &[F], largest: u32) -> Option<u64> {
        let (mut bytes, mut differ, mut fit) = (0, 0, true);
        frames.iter().take(AHEAD).for_each(Frame::prefetch);
        for (index, frame) in frames.iter().enumerate() {
            if let Some(later) = frames.get(index + AHEAD) {
                later.prefetch();
            }
            let size = frame.size();
            let words = extract::plain(frame.head(), size, self.needs_l4)?;
            for ((word, mask), known) in words.iter().zip(&self.masks).zip(&self.words) {
                differ |= word & mask ^ known;
            }
            fit &= size <= largest as usize;
            bytes += size as u64;
        }
        (differ == 0 && fit).then_some(bytes)
    }
}

impl<P: Pool> Core<P> {
    /// Remembers that a burst of frames with this layout ran one program, if all of them leave in one way.
    pub(super) fn record(&mut self, cx: Context<'_>, entry: usize, layout: &Layout) {
        self.straight = self.cache.course(entry, layout).map(|course| Straight {
            version: cx.snapshot.version,
            inserted: self.cache.inserted,
            entry,
            port: course.port,
            is_bare: course.is_bare(),
            layout: *layout,
            look: None,
        });
    }
    /// The same of a burst whose packets were all as the first one, which rules have looked at.
    pub(super) fn record_look(&mut self, cx: Context<'_>, there: &Entrance<'_>) {
        let Seen {
            words,
            entry,
            layout,
            is_plain: true,
            ..
        } = self.seen[0]
        else {
            return;
        };
        self.record(cx, entry as usize, &layout);
        if let Some(straight) = &mut self.straight {
            straight.look = Some(Look {
                masks: there.view.plan.plain,
                words,
                needs_l4: there.needs_l4,
            });
        }
    }
    /// Sends what a port received where its last burst went. `false`: it may not go there, and nothing was done.
    /// Measured with real devices: 13 of 66 cycles per packet less where a rule looks at packets, 3 of 49 where none does. Where
    /// packets go through seven tables: 108 of 276 instructions less; through a meter: 221 of 346; are changed: 224 of 630.
    #[inline]
    pub(super) fn go_straight(&mut self, cx: Context<'_>, id: PortId, last: &Straight) -> bool {
        if last.version != cx.snapshot.version || last.inserted != self.cache.inserted {
            return false;
        }
        let Some(largest) = self.executor.takes_up_to(cx, last.port) else {
            return false;
        };
        let bytes = match &last.look {
            None => queue::bytes_of_usual(&self.frames, largest),
            Some(look) => look.bytes(&self.frames, largest),
        };
        let Some(bytes) = bytes else {
            return false;
        };
        let packets = self.frames.len() as u64;
        let begun = match last.is_bare {
            true => Some(bytes),
            false => self.begin_straight(cx, last, bytes),
        };
        let Some(left) = begun else {
            return false;
        };
        self.executor.stats.received(id, packets, bytes);
        self.executor.queue_burst(last.port, &mut self.frames, left);
        let run = &mut self.run;
        (run.entry, run.packets, run.bytes) = (last.entry, packets, bytes);
        run.hits += packets;
        self.settle_run(cx.now);
        true
    }
    /// What happens to all frames before they leave; see [`Executor::begin_all`].
    #[inline(never)]
    fn begin_straight(&mut self, cx: Context<'_>, last: &Straight, bytes: u64) -> Option<u64> {
        let course = self.cache.course(last.entry, &last.layout)?;
        self.executor
            .begin_all(cx, &course, &mut self.frames, bytes)
    }
}
