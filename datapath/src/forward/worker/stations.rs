//! Packets of a burst that run NORMAL and nothing else: what each asks of the MAC table is found out for all of them, then
//! the table is asked for all, so that its memory is waited for at once. What moves, is flooded or kept back, or leaves with
//! another tag goes the general way, in its turn.

use super::alike::is_usual;
use super::burst::Seen;
use super::*;
use crate::forward::normal::{Change, Memo, Ways, change};
use crate::forward::send::refusal;
use crate::model::mac::{Address, MacTable, Sighting};
use crate::model::reserved;
use packet::{ethertype, vlan};
use std::hint::black_box;
use std::vec::Drain;

/// The bits of [`Memo::stations`] that say that one of the two is a group.
const GROUPS: u64 = 1 << 56 | 1 << 8;

/// The VLAN that a packet is in, and its tag.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tags(u32);

impl Tags {
    const IS_TAGGED: u32 = 1 << 16;

    /// Of a packet whose VLAN is not known yet.
    #[inline(always)]
    fn of(stations: [u64; 2]) -> Tags {
        let word = stations[1] as u32;
        match ethertype::is_vlan((word >> 16) as u16) {
            true => Tags(word & 0xffff | Tags::IS_TAGGED),
            false => Tags(0),
        }
    }
    fn within(self, vlan: u16) -> Tags {
        Tags(self.0 | u32::from(vlan) << 17)
    }
    fn vlan(self) -> u16 {
        (self.0 >> 17) as u16
    }
    fn tci(self) -> Option<u16> {
        (self.0 & Tags::IS_TAGGED != 0).then_some(self.0 as u16)
    }
}

/// What NORMAL asks of a packet.
#[derive(Clone, Copy)]
struct Pair<'t> {
    src: Address<'t>,
    dst: Address<'t>,
    tags: Tags,
    size: u32,
}

/// A port by which packets with such tags leave as they came.
struct Way {
    port: PortId,
    tags: Tags,
    /// Bytes of the largest one; 0: none leaves so.
    largest: u32,
}

/// Packets that leave one after the other by one port.
#[derive(Default)]
struct Together {
    len: usize,
    bytes: u64,
}

/// The step, and where its packets come from.
pub(super) struct Normal<'a> {
    cx: Context<'a>,
    macs: &'a MacTable,
    from: (PortNo, bool),
    tunnel: &'a Overlay,
    ingress: &'a PortView,
}

impl<'a> Normal<'a> {
    /// Of a program that is this step.
    #[inline(always)]
    pub fn of(cx: Context<'a>, at: &Place<'a>, program: &'a Program) -> Option<Normal<'a>> {
        match program.steps.as_slice() {
            [
                Step::Normal {
                    in_port,
                    reserved,
                    tunnel,
                    then: None,
                },
            ] => Some(Normal {
                cx,
                macs: &at.view.config.macs,
                from: (*in_port, *reserved),
                tunnel,
                ingress: cx.snapshot.port(*at.view.ports.get(in_port)?)?,
            }),
            _ => None,
        }
    }
    /// Forwards the first of these packets, as many as run the program of the very first one and are not special; how many these
    /// are, and their bytes.
    #[inline(never)]
    pub fn forward<P: Pool, O: Observer>(
        &self,
        executor: &mut Executor<P>,
        at: &mut Place<'_>,
        (begin, all): (usize, &[Seen]),
        frames: &mut Drain<'_, P::Frame>,
        o: &mut O,
    ) -> (usize, u64) {
        let mut is_asked = false;
        // As the first two are, all may be: between the same stations.
        if let [first, rest @ ..] = frames.as_slice()
            && let Some(stations) = Memo::stations(first.head())
            && rest
                .first()
                .is_none_or(|second| Memo::stations(second.head()) == Some(stations))
        {
            let port = executor.memo.recall(self.cx, at, self.from, first.head());
            if let Some(port) = port
                && let Some(largest) = executor.takes_up_to(self.cx, port)
            {
                let way = (largest, stations);
                let (len, bytes) = alike(all, frames.as_slice(), way);
                if len > 0 {
                    executor.queue_all(port, frames.take(len), bytes);
                    return (len, bytes);
                }
            }
            is_asked = true;
        }
        let mut pairs = [None; BURST];
        let looked = self.look(all, frames.as_slice(), &mut pairs);
        let pairs = pairs.get(..looked.0).unwrap_or_default();
        self.send_all(executor, at, (begin, all), (pairs, is_asked), frames, o);
        looked
    }
    /// Finds out what packets ask, up to the first one that is special.
    #[inline(always)]
    fn look<F: Frame>(
        &self,
        all: &[Seen],
        frames: &[F],
        pairs: &mut [Option<Pair<'a>>; BURST],
    ) -> (usize, u64) {
        let entry = all.first().map_or(burst::NO_ENTRY, |first| first.entry);
        let mut admitted = (Tags(0), self.ingress.vlan.admit(0));
        let (mut len, mut bytes, mut lines) = (0, 0, 0);
        for ((seen, frame), pair) in all.iter().zip(frames).zip(pairs) {
            let (head, size) = (frame.head(), frame.size());
            if seen.entry != entry || seen.layout.frag != 0 {
                break;
            }
            match Memo::stations(head) {
                Some(stations) if stations[0] & GROUPS == 0 => {
                    let tags = Tags::of(stations);
                    if admitted.0 != tags {
                        let vid = tags.tci().unwrap_or(0) & vlan::VID_MASK;
                        admitted = (tags, self.ingress.vlan.admit(vid));
                    }
                    let [a, b] = stations;
                    let (src, dst) = ((a & 0xffff) << 32 | b >> 32, a >> 16);
                    if let Some(vlan) = admitted.1
                        && dst >> 24 != reserved::UNICAST
                    {
                        let [src, dst] = [src, dst].map(|mac| self.macs.address(mac, vlan));
                        lines ^= src.touch() ^ dst.touch();
                        *pair = Some(Pair {
                            src,
                            dst,
                            tags: tags.within(vlan),
                            size: size as u32,
                        });
                    }
                }
                _ if !is_usual(head, &seen.layout) => break,
                _ => {}
            }
            len += 1;
            bytes += size as u64;
        }
        black_box(lines);
        (len, bytes)
    }
    /// Sends them; what becomes of the first one is remembered, if that was asked for before.
    #[inline(always)]
    fn send_all<P: Pool, O: Observer>(
        &self,
        executor: &mut Executor<P>,
        at: &mut Place<'_>,
        (begin, all): (usize, &[Seen]),
        (pairs, is_asked): (&[Option<Pair<'_>>], bool),
        frames: &mut Drain<'_, P::Frame>,
        o: &mut O,
    ) {
        let sighting = Sighting::new(self.ingress.id, self.cx.now);
        let mut way = Way {
            port: self.ingress.id,
            tags: Tags(0),
            largest: 0,
        };
        let mut together = Together::default();
        for (index, pair) in pairs.iter().enumerate() {
            if let Some(Pair {
                src,
                dst,
                tags,
                size,
            }) = pair
                && src.is_seen(sighting)
                && let Some(port) = dst.port()
            {
                if port != way.port || *tags != way.tags {
                    together.send(executor, &way, frames);
                    way = self.way(executor, port, *tags);
                    if index == 0
                        && is_asked
                        && *size <= way.largest
                        && let Some(first) = frames.as_slice().first()
                    {
                        executor.memo.keep(self.from, first.head(), port);
                    }
                }
                if *size <= way.largest {
                    together.len += 1;
                    together.bytes += u64::from(*size);
                    continue;
                }
            }
            together.send(executor, &way, frames);
            let (Some(frame), Some(seen)) = (frames.next(), all.get(index)) else {
                break;
            };
            at.nesting.origin = (begin + index) as u8;
            at.layout = seen.layout;
            executor.bpdu = bpdu::Kind::None;
            let ways = Ways {
                tunnel: self.tunnel,
                egress: None,
            };
            executor.normal(self.cx, at, self.from, ways, frame, true, o);
        }
        together.send(executor, &way, frames);
    }
    /// How packets with such tags leave by a port.
    #[inline]
    fn way<P: Pool>(&self, executor: &Executor<P>, port: PortId, tags: Tags) -> Way {
        let leaves_so = |view: &&Arc<PortView>| {
            view.id != self.ingress.id
                && view.vlan.carries(tags.vlan())
                && refusal(view).is_none()
                && change(view, (tags.vlan(), tags.tci())) == Change::None
        };
        let view = self.cx.snapshot.port(port).filter(leaves_so);
        let largest = view.and_then(|_| executor.takes_up_to(self.cx, port));
        Way {
            port,
            tags,
            largest: largest.unwrap_or(0),
        }
    }
}

impl Together {
    /// Puts them into the port's queue, and begins anew.
    #[inline(always)]
    fn send<P: Pool>(
        &mut self,
        executor: &mut Executor<P>,
        way: &Way,
        frames: &mut Drain<'_, P::Frame>,
    ) {
        let Together { len, bytes } = std::mem::take(self);
        if len > 0 {
            executor.queue_all(way.port, frames.take(len), bytes);
        }
    }
}

/// How many of the first of these packets run one program, are not special, go between these stations and are not too large;
/// and their bytes.
#[inline]
fn alike<F: Frame>(
    all: &[Seen],
    frames: &[F],
    (largest, stations): (u32, [u64; 2]),
) -> (usize, u64) {
    let entry = all.first().map_or(burst::NO_ENTRY, |first| first.entry);
    let (mut len, mut bytes) = (0, 0);
    for (seen, frame) in all.iter().zip(frames) {
        let (head, size) = (frame.head(), frame.size());
        let is_it = seen.entry == entry
            && is_usual(head, &seen.layout)
            && Memo::stations(head) == Some(stations);
        if !is_it || size > largest as usize {
            break;
        }
        (len, bytes) = (len + 1, bytes + size as u64);
    }
    (len, bytes)
}
