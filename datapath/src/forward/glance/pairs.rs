//! Received tunnel packets in two fragments, one behind the other, that are told at a glance: a burst of such pairs is put together and
//! opened as a whole, without a place in the reassembler's table.
//!
//! The second fragment says that it begins where the first one ends, and that it is the last: so the two are the packet, none is
//! missing, and none overlaps. Where something of the packet is held already (a duplicate, a part of something forged), where the
//! packet is another worker's, and where anything is unusual, they go the long way (`reassembly`).
//! Counters: those of the long way.
//! Measured: 200 cycles per full-size frame instead of 744, of which the bench's copies take 120; 446 instructions per fragment instead of 2,290.

use super::*;
use crate::forward::reassembly::host_zone;
use crate::fragment::Fragment;

/// IPv4's "more fragments", at offset 0; in the word that begins with the total size.
const FIRST: u64 = 0x2000_0000;
const ECN: u64 = 3;

/// Where two fragments, and the frame in them, end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    ends: [usize; 2],
    whole: Seen,
}

impl Glance {
    /// The same as [`Glance::see`], of a packet in two fragments.
    #[inline(always)]
    fn see_parts<F: Frame>(&self, [first, last]: &[F; 2]) -> Option<Parts> {
        let [whole, rest] = [first.head(), last.head()];
        if self.protocol == NO_PROTOCOL {
            return None;
        }
        let [a, b]: [&[u8; LEAST]; 2] = [whole.first_chunk()?, rest.first_chunk()?];
        let [types, last_types] = [a, b].map(|head| at(head, L3 - 6));
        let [sizes, last_sizes] = [a, b].map(|head| at(head, L3 + 2));
        let [first_end, last_end] = [sizes, last_sizes].map(|sizes| L3 + (sizes >> 48) as usize);
        let transport = at(a, L4);
        let header = header_at(whole, self.at)?;
        let differs = (at(a, 0) ^ self.link[0]) >> 16
            | (at(b, 0) ^ self.link[0]) >> 16
            | at(a, L3 + 12) ^ self.addresses
            | at(b, L3 + 12) ^ self.addresses
            | (header[0] ^ self.header[0]) & self.mask[0]
            | (header[1] ^ self.header[1]) & self.mask[1]
            | (types >> 8 & 0xff_ffff) ^ u64::from(PLAIN)
            | (last_types >> 8 & 0xff_ffff) ^ u64::from(PLAIN)
            | (types | last_types) & ECN
            | sizes & 0x3fff_0000 ^ FIRST
            // The id, and the protocol.
            | (sizes ^ last_sizes) & 0xffff_0000_00ff
            | (sizes & 0xff) ^ u64::from(self.protocol);
        let begins = L4 + ((last_sizes >> 16 & 0x3fff) << 3) as usize;
        let whole_end = first_end + last_end.checked_sub(L4)?;
        let end = match self.protocol {
            ipproto::UDP => {
                if transport >> 32 & 0xffff != self.port || transport & 0xffff != 0 {
                    return None;
                }
                L4 + (transport >> 16 & 0xffff) as usize
            }
            _ => whole_end,
        };
        let sums = [a, b].map(|head| [L3, L3 + 8, L3 + 12].map(|place| at(head, place)));
        let are_right = sums.map(|[x, y, z]| is_right([x, y, z & 0xffff_ffff]));
        if differs != 0
            || begins != first_end
            || last_end == L4
            || first_end > whole.len()
            || last_end > rest.len()
            || [whole.len(), rest.len()] != [first.size(), last.size()]
            || whole_end - L3 > usize::from(u16::MAX)
            || end > whole_end
            || are_right != [true; 2]
            || !last.offload().is_finished()
            || !self.is_usual(first, end.min(first_end))
        {
            return None;
        }
        Some(Parts {
            ends: [first_end, last_end],
            whole: Seen {
                end,
                tos: types as u8,
                ttl: (sizes >> 8) as u8,
            },
        })
    }
}

impl<P: Pool> Executor<P> {
    /// Puts frames for the host together and opens them, if at a glance they are pairs of fragments of one tunnel's packets with nothing
    /// special about them; nothing is done if not.
    pub fn join_all(
        &mut self,
        cx: Context<'_>,
        by: &PortView,
        frames: &mut Vec<P::Frame>,
    ) -> Option<Opened> {
        let glance = self.glances.get(cx.snapshot, by.id, frames.first()?)?;
        let to = cx.snapshot.port(glance.to)?;
        let (pairs, []) = frames.as_chunks::<2>() else {
            return None;
        };
        let mut all = [Parts::default(); BURST / 2];
        let len = all.get(..pairs.len())?.len();
        let is_known = self.knows_fragments();
        for (pair, parts) in pairs.iter().zip(&mut all) {
            *parts = glance.see_parts(pair)?;
            if is_known {
                let zone = host_zone(by.bridge);
                let fragment = Fragment::inspect(&pair[0], zone).ok().flatten()?;
                if !self.reassembly.is_new(&self.mailbox, &fragment) {
                    return None;
                }
            }
        }
        let first = all[0].whole;
        let is_same = |parts: &Parts| (parts.whole.tos, parts.whole.ttl) == (first.tos, first.ttl);
        if !all[..len].iter().all(is_same) {
            return None;
        }
        let (start, words) = (glance.start, glance.words(first));
        std::mem::swap(frames, &mut self.parts);
        let mut fragments = std::mem::take(&mut self.parts);
        let mut rest = fragments.drain(..);
        let (mut outer, mut bytes) = (0, 0);
        for Parts { ends, whole } in &all[..len] {
            let (Some(mut head), Some(mut tail)) = (rest.next(), rest.next()) else {
                break;
            };
            cut(&mut head, start, ends[0]);
            cut(&mut tail, L4, ends[1]);
            let table = self.reassembly.table();
            let pair = [head, tail];
            let Some(mut frame) = table.join_cut(&mut self.pool, pair, &mut self.trash) else {
                continue;
            };
            outer += (start + frame.size()) as u64;
            cut(&mut frame, 0, whole.end - start);
            bytes += frame.size() as u64;
            frames.push(frame);
        }
        drop(rest);
        self.parts = fragments;
        self.count_lost(&mut ());
        let (packets, index) = (frames.len() as u64, to.id.0 as usize);
        let counter = TunnelCounter::RxPackets as usize;
        self.stats
            .tunnels
            .add_from(index, counter, [packets, outer]);
        self.stats
            .tunnel(to.id, TunnelCounter::RxReassembled, packets);
        self.stats.ports.add_from(index, 0, [packets, bytes]);
        // Each of them went on once.
        self.spent.fill(1);
        self.words.push(words);
        Some(Opened {
            bridge: to.bridge,
            in_port: to.number,
            words: self.words.len() as u32 - 1,
            bytes,
        })
    }
}

/// Leaves the bytes from `start` to `end` of a frame.
#[inline(always)]
fn cut<F: Frame>(frame: &mut F, start: usize, end: usize) {
    if end < frame.size() {
        frame.trim(end);
    }
    frame.pull(start);
}
