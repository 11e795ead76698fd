//! The changes of headers that a program begins with, all of them at once: as few wide stores, each checksum updated once. Made
//! when a program is kept, for frames whose headers are where those of its first packet were; others run the steps.

use super::execute::{Context, Executor, Place};
use super::normal::Ways;
use super::program::{Anchor, Course, Cover, Program, Step, Write};
use super::rewrite::{ADDRESSES, checksum_offset, shift_layout};
use super::trace::Observer;
use crate::edge::{Frame, Pool};
use crate::model::DropReason;
use flow::extract::Layout;
use packet::{Wire, ethernet, ipproto, ipv6, vlan};

/// Bytes from the start of a frame that a patch may change: tags, an IPv6 header, and the ports behind it.
const REACH: usize = 96;
/// Where an IPv4 header's checksum is.
const HEADER_CHECKSUM: usize = 10;
/// Tags that a patch may add.
const TAGS_MAX: usize = 2;
const TAG: usize = vlan::Header::SIZE;

/// See the file's description.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    /// Number of steps that it stands for; 0: there is none.
    len: usize,
    /// Bytes that a frame has at least.
    needed: usize,
    layout: Layout,
    words: Vec<Word>,
    header: Sum,
    transport: Sum,
    /// Whether the transport is UDP.
    is_udp: bool,
    tags: Tags,
}

/// A change of eight bytes. Numbers are in the order of the machine: a one's complement sum has none (RFC 1071).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Word {
    /// Which eight bytes of the frame.
    index: usize,
    mask: u64,
    value: u64,
    /// Bits that the IPv4 header's checksum covers.
    header: u64,
    /// Bits that the transport's checksum covers.
    transport: u64,
}

/// A checksum that follows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    /// Where it is; 0: none is to follow.
    at: usize,
    /// The sum of what it covers of the new bits.
    new: u16,
}

/// What happens to the tags.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tags {
    removed: usize,
    added: usize,
    /// The first one is the outer one.
    bytes: [[u8; TAG]; TAGS_MAX],
}

/// What came of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The frame is as after the steps.
    Done,
    /// The frame is unchanged: run the steps.
    Unfit,
    /// There is no room in front of the frame.
    NoRoom,
}

/// The bits that change, and those of them that checksums cover, byte by byte.
struct Image {
    mask: [u8; REACH],
    value: [u8; REACH],
    header: [u8; REACH],
    transport: [u8; REACH],
}

impl Patch {
    /// Forgets what it was made for; its memory is kept.
    pub fn clear(&mut self) {
        let words = std::mem::take(&mut self.words);
        *self = Patch {
            words,
            ..Patch::default()
        };
        self.words.clear();
    }
    /// Bytes of memory that it takes beside itself.
    pub fn memory(&self) -> usize {
        self.words.capacity() * size_of::<Word>()
    }
    /// Number of steps that it stands for; 0: there is none.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether it is for frames with this layout.
    pub fn is_for(&self, layout: &Layout) -> bool {
        self.layout == *layout
    }
    /// Makes it stand for the changes that steps begin with, behind meters, of frames with this layout.
    pub fn make(&mut self, steps: &[Step], layout: &Layout) {
        self.clear();
        let steps = behind_meters(steps);
        let changes =
            |step: &&Step| matches!(step, Step::Write(_) | Step::PushVlan { .. } | Step::PopVlan);
        let len = steps.iter().take_while(changes).count();
        match self.fill(&steps[..len], layout) {
            Some(()) => self.len = len,
            None => self.clear(),
        }
    }
    fn fill(&mut self, steps: &[Step], layout: &Layout) -> Option<()> {
        if steps.is_empty() {
            return None;
        }
        let is_even = layout.l3.is_multiple_of(2) && layout.l4.is_multiple_of(2);
        if layout.frag != 0 || !is_even {
            return None;
        }
        self.layout = *layout;
        self.needed = ethernet::Header::SIZE;
        let mut image = Image {
            mask: [0; REACH],
            value: [0; REACH],
            header: [0; REACH],
            transport: [0; REACH],
        };
        for step in steps {
            match step {
                Step::Write(write) => self.write(write, &mut image)?,
                Step::PushVlan { tpid, tci } => self.tags.push(*tpid, *tci)?,
                Step::PopVlan => self.tags.pop(layout)?,
                _ => return None,
            }
        }
        // Tags that are removed, and their ether type, are there.
        self.needed = self
            .needed
            .max(ethernet::Header::SIZE + self.tags.removed * TAG);
        self.store(&image);
        Some(())
    }
    fn write(&mut self, write: &Write, image: &mut Image) -> Option<()> {
        let (row, layout) = (write.spot.row(), &self.layout);
        let base = match row.anchor {
            Anchor::Ethernet if row.offset >= ADDRESSES => {
                if self.tags.added > 0 {
                    self.tags.write(write);
                    return Some(());
                }
                if self.tags.removed >= layout.tags.into() {
                    return None;
                }
                self.tags.removed * TAG
            }
            Anchor::Ethernet => 0,
            Anchor::L3 if layout.l3 != 0 => layout.l3.into(),
            Anchor::L4 if layout.l4 != 0 => layout.l4.into(),
            _ => return None,
        };
        let place = base + row.offset..base + row.offset + row.size;
        if place.end > REACH {
            return None;
        }
        let covers_header = matches!(row.cover, Cover::Header | Cover::HeaderAndPseudo);
        let covers_transport = self.is_covered(row.cover, write.protocol)?;
        self.needed = self.needed.max(place.end);
        let (mask, value) = (write.mask.to_be_bytes(), write.value.to_be_bytes());
        let bits = mask[16 - row.size..].iter().zip(&value[16 - row.size..]);
        for (at, (mask, value)) in place.zip(bits) {
            image.mask[at] |= mask;
            image.value[at] = image.value[at] & !mask | value;
            image.header[at] |= if covers_header { *mask } else { 0 };
            image.transport[at] |= if covers_transport { *mask } else { 0 };
        }
        if covers_header {
            self.header.at = usize::from(self.layout.l3) + HEADER_CHECKSUM;
        }
        if covers_transport {
            self.is_udp = write.protocol == ipproto::UDP;
            self.transport.at = usize::from(self.layout.l4) + checksum_offset(write.protocol)?;
        }
        Some(())
    }
    /// Whether the transport's checksum covers a spot; `None`: the steps know better.
    fn is_covered(&self, cover: Cover, protocol: u8) -> Option<bool> {
        let (l3, l4) = (usize::from(self.layout.l3), usize::from(self.layout.l4));
        let has_sum = l4 != 0 && checksum_offset(protocol).is_some();
        Some(match cover {
            Cover::No | Cover::Header => false,
            Cover::Transport if protocol == ipproto::SCTP => return None,
            Cover::Transport => has_sum,
            // What is between may be a routing header.
            Cover::PseudoDestination if l4 != 0 && l4 != l3 + ipv6::Header::SIZE => return None,
            Cover::HeaderAndPseudo | Cover::Pseudo | Cover::PseudoDestination => {
                has_sum && !matches!(protocol, ipproto::ICMP | ipproto::IGMP)
            }
        })
    }
    fn store(&mut self, image: &Image) {
        let (mut header, mut transport) = (0, 0);
        let rows = [&image.mask, &image.value, &image.header, &image.transport];
        for index in 0..REACH / 8 {
            let word = |row: &[u8; REACH]| u64::from_ne_bytes(row.as_chunks::<8>().0[index]);
            let [mask, value, of_header, of_transport] = rows.map(word);
            if mask == 0 {
                continue;
            }
            self.needed = self.needed.max(index * 8 + 8);
            header = sum(header, value & of_header);
            transport = sum(transport, value & of_transport);
            self.words.push(Word {
                index,
                mask,
                value,
                header: of_header,
                transport: of_transport,
            });
        }
        for (sum, new) in [(&mut self.header, header), (&mut self.transport, transport)] {
            sum.new = fold(new);
            if sum.at != 0 {
                self.needed = self.needed.max(sum.at + 2);
            }
        }
    }
    /// Changes a frame with this layout.
    #[inline(always)]
    pub fn apply<F: Frame>(&self, frame: &mut F, layout: &Layout) -> Outcome {
        let head = frame.head();
        if *layout != self.layout || head.len() < self.needed || frame.offload().csum_start != 0 {
            return Outcome::Unfit;
        }
        match self.change(frame) {
            true => Outcome::Done,
            false => Outcome::NoRoom,
        }
    }
    /// The same for a frame that is fit for it. `false`: there is no room in front of it.
    #[inline(always)]
    fn change<F: Frame>(&self, frame: &mut F) -> bool {
        let head = frame.head_mut();
        let (mut header, mut transport) = (0, 0);
        let chunks = head.as_chunks_mut::<8>().0;
        for word in &self.words {
            let Some(chunk) = chunks.get_mut(word.index) else {
                break;
            };
            let old = u64::from_ne_bytes(*chunk);
            *chunk = (old & !word.mask | word.value).to_ne_bytes();
            header = sum(header, old & word.header);
            transport = sum(transport, old & word.transport);
        }
        if self.header.at != 0 {
            self.header.follow(head, header, false);
        }
        if self.transport.at != 0 {
            self.transport.follow(head, transport, self.is_udp);
        }
        self.tags.added + self.tags.removed == 0 || self.tags.apply(frame).is_some()
    }
}

impl Sum {
    /// Updates the checksum of a frame in which these bits were others before.
    #[inline(always)]
    fn follow(&self, head: &mut [u8], old: u64, is_udp: bool) {
        let old = fold(old);
        let Some(field) = head.get_mut(self.at..).and_then(|b| b.first_chunk_mut()) else {
            return;
        };
        let sum = u16::from_ne_bytes(*field);
        // RFC 768: "An all zero transmitted checksum value means that the transmitter generated no checksum".
        if old == self.new || is_udp && sum == 0 {
            return;
        }
        // RFC 1624: HC' = ~(~HC + ~m + m').
        let new = u64::from(!sum) + u64::from(!old) + u64::from(self.new);
        *field = match !fold(new) {
            0 if is_udp => [0xff; 2],
            sum => sum.to_ne_bytes(),
        };
    }
}

impl Tags {
    fn push(&mut self, tpid: u16, tci: u16) -> Option<()> {
        if self.added == TAGS_MAX {
            return None;
        }
        self.bytes.copy_within(0..TAGS_MAX - 1, 1);
        let (tpid, tci) = (tpid.to_be_bytes(), tci.to_be_bytes());
        self.bytes[0] = [tpid[0], tpid[1], tci[0], tci[1]];
        self.added += 1;
        Some(())
    }
    fn pop(&mut self, layout: &Layout) -> Option<()> {
        if self.added > 0 {
            self.bytes.copy_within(1..TAGS_MAX, 0);
            self.added -= 1;
        } else if self.removed < layout.tags.into() {
            self.removed += 1;
        } else {
            return None;
        }
        Some(())
    }
    /// Changes the outer tag, which was added.
    fn write(&mut self, write: &Write) {
        let (mask, value) = (write.mask as u16, write.value as u16);
        let outer = &mut self.bytes[0][2..];
        for (byte, (mask, value)) in outer
            .iter_mut()
            .zip(mask.to_be_bytes().into_iter().zip(value.to_be_bytes()))
        {
            *byte = *byte & !mask | value;
        }
    }
    /// Bytes that the frame grows by.
    fn growth(&self) -> isize {
        (self.added as isize - self.removed as isize) * TAG as isize
    }
    #[inline(always)]
    fn apply<F: Frame>(&self, frame: &mut F) -> Option<()> {
        const ONE: usize = ADDRESSES + TAG;
        const TWO: usize = ONE + TAG;
        let addresses: [u8; ADDRESSES] = *frame.head().first_chunk()?;
        match self.growth() {
            0 => {}
            growth @ 1.. => {
                frame.push(growth as usize)?;
            }
            growth => {
                frame.pull(growth.unsigned_abs());
            }
        }
        let head = frame.head_mut();
        match self.added {
            0 => *head.first_chunk_mut()? = addresses,
            1 => {
                let front: &mut [u8; ONE] = head.first_chunk_mut()?;
                front[..ADDRESSES].copy_from_slice(&addresses);
                front[ADDRESSES..].copy_from_slice(&self.bytes[0]);
            }
            _ => {
                let front: &mut [u8; TWO] = head.first_chunk_mut()?;
                front[..ADDRESSES].copy_from_slice(&addresses);
                front[ADDRESSES..].copy_from_slice(self.bytes.as_flattened());
            }
        }
        Some(())
    }
}

/// What comes behind the meters that steps begin with.
fn behind_meters(steps: &[Step]) -> &[Step] {
    let is_meter = |step: &&Step| matches!(step, Step::Meter { then: None, .. });
    &steps[steps.iter().take_while(is_meter).count()..]
}

/// The one's complement sum of two.
#[inline(always)]
fn sum(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u64::from(carry)
}

/// The one's complement sum of the four 16-bit words of `value`.
#[inline(always)]
fn fold(value: u64) -> u16 {
    let sum = (value >> 32) + (value & 0xffff_ffff);
    let sum = (sum >> 32) + (sum >> 16 & 0xffff) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// A frame for which a program has begun.
pub(super) struct Begun<'p, F> {
    pub frame: F,
    /// What is left to do.
    pub steps: &'p [Step],
    is_patched: bool,
}

impl<P: Pool> Executor<P> {
    /// Runs a program: what it begins with at once, if that is possible, then what is left of its steps.
    #[inline]
    pub(super) fn run_patched<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &mut Place<'_>,
        program: &Program,
        frame: P::Frame,
        o: &mut O,
    ) {
        if let Some(begun) = self.begin(cx, at, program, frame, o) {
            self.finish(cx, at, program, begun, o);
        }
    }
    /// What a program begins with: meters, then its patch. `None`: the frame was dropped.
    #[inline(always)]
    pub(super) fn begin<'p, O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        program: &'p Program,
        mut frame: P::Frame,
        o: &mut O,
    ) -> Option<Begun<'p, P::Frame>> {
        let (patch, mut steps) = (&program.patch, program.steps.as_slice());
        while let [Step::Meter { meter, then: None }, rest @ ..] = steps {
            frame = self.metered(cx, meter, frame, o)?;
            steps = rest;
        }
        let mut is_patched = false;
        if patch.len > 0 {
            match patch.apply(&mut frame, &at.layout) {
                Outcome::Done => {
                    steps = steps.get(patch.len..).unwrap_or_default();
                    is_patched = true;
                }
                Outcome::NoRoom => {
                    self.drop(frame, DropReason::NoMemory, o);
                    return None;
                }
                Outcome::Unfit => {}
            }
        }
        Some(Begun {
            frame,
            steps,
            is_patched,
        })
    }
    /// The same for all frames of a burst together, which are so many bytes; returns the bytes of those that are left. `None`:
    /// one of them needs a closer look, or does not pass, and nothing was done.
    #[inline(never)]
    pub(super) fn begin_all(
        &mut self,
        cx: Context<'_>,
        course: &Course<'_>,
        frames: &mut Vec<P::Frame>,
        bytes: u64,
    ) -> Option<u64> {
        let is_fit = |patch: &Patch| {
            let mut heads = frames.iter().map(Frame::head);
            heads.all(|head| head.len() >= patch.needed)
        };
        if !frames.iter().all(|frame| frame.offload().is_finished())
            || !course.patch.is_none_or(is_fit)
        {
            return None;
        }
        let sizes = frames.iter().map(|frame| frame.size() as u64);
        if let Some(meter) = course.meter
            && !self.metered.pass_all(meter, sizes, bytes, cx.now)
        {
            return None;
        }
        let Some(patch) = course.patch else {
            return Some(bytes);
        };
        let (mut index, mut left) = (0, bytes);
        while let Some(frame) = frames.get_mut(index) {
            if patch.change(frame) {
                index += 1;
            } else {
                left -= self.drop_one(frames, index);
            }
        }
        let growth = patch.tags.growth() * frames.len() as isize;
        Some(left.saturating_add_signed(growth as i64))
    }
    /// Drops a frame for which there is no memory; returns its bytes.
    #[cold]
    fn drop_one(&mut self, frames: &mut Vec<P::Frame>, index: usize) -> u64 {
        let frame = frames.remove(index);
        let bytes = frame.size() as u64;
        self.drop(frame, DropReason::NoMemory, &mut ());
        bytes
    }
    /// What comes behind that.
    #[inline]
    pub(super) fn finish<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &mut Place<'_>,
        program: &Program,
        begun: Begun<'_, P::Frame>,
        o: &mut O,
    ) {
        let Begun {
            frame,
            steps,
            is_patched,
        } = begun;
        if let [
            Step::Output {
                port,
                tunnel,
                max_size,
                ..
            },
        ] = steps
        {
            return self.output(cx, at, *port, tunnel, *max_size, frame, o);
        }
        if is_patched {
            let tags = &program.patch.tags;
            at.layout.tags = at.layout.tags + tags.added as u8 - tags.removed as u8;
            shift_layout(&mut at.layout, tags.growth() as i16);
        }
        match steps {
            [Step::Select(select), branches @ ..] if branches.len() == select.len => {
                self.select(cx, at, select, branches, frame, o);
            }
            [
                Step::Normal {
                    in_port,
                    reserved,
                    tunnel,
                    then,
                },
            ] => {
                let (from, egress) = ((*in_port, *reserved), then.as_deref());
                let ways = Ways { tunnel, egress };
                self.normal(cx, at, from, ways, frame, true, o);
            }
            _ => self.run(cx, at, steps, frame, o),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::program::{SPOTS, Spot};
    use crate::forward::rewrite;
    use crate::sim::SimPool;
    use proptest::prelude::*;

    const SPOTS_CHANGED: &[Spot] = &[
        Spot::EthDst,
        Spot::EthSrc,
        Spot::VlanTci,
        Spot::Ip4Tos,
        Spot::Ip4Ttl,
        Spot::Ip4Src,
        Spot::Ip4Dst,
        Spot::Ip6Label,
        Spot::Ip6Src,
        Spot::Ip6Dst,
        Spot::L4Src,
        Spot::L4Dst,
        Spot::IcmpCode,
    ];

    fn steps(protocol: u8) -> impl Strategy<Value = Vec<Step>> {
        let write = (
            prop::sample::select(SPOTS_CHANGED),
            any::<u128>(),
            any::<u128>(),
        );
        let write = write.prop_map(move |(spot, value, mask)| {
            let room = match SPOTS[spot as usize].size {
                16 => u128::MAX,
                size => (1 << (size * 8)) - 1,
            };
            let (mask, value) = (mask & room, value & mask & room);
            Step::Write(Write {
                spot,
                protocol,
                value,
                mask,
            })
        });
        let push = any::<u16>().prop_map(|tci| Step::PushVlan { tpid: 0x8100, tci });
        let step = prop_oneof![4 => write, 1 => push, 1 => Just(Step::PopVlan)];
        prop::collection::vec(step, 1..7)
    }
    /// What steps do one after the other.
    fn run<F: Frame>(steps: &[Step], frame: &mut F, mut layout: Layout) {
        for step in steps {
            match step {
                Step::Write(write) => rewrite::write(frame, &layout, write),
                Step::PushVlan { tpid, tci } => {
                    assert!(rewrite::push_vlan(frame, &mut layout, *tpid, *tci));
                }
                _ => rewrite::pop_vlan(frame, &mut layout),
            }
        }
    }
    /// Both numbers of a sum of nothing are one.
    fn without_zeros(mut bytes: Vec<u8>, sums: &[usize]) -> Vec<u8> {
        for &at in sums {
            if bytes[at..at + 2] == [0xff; 2] {
                bytes[at..at + 2].fill(0);
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_patch_is_its_steps(
            (protocol, steps) in prop::sample::select(vec![6u8, 17, 1, 58, 89]).prop_flat_map(|p| (Just(p), steps(p))),
            bytes in prop::collection::vec(any::<u8>(), 110..130),
            tags in 0..3u8, with_l4: bool, is_v6: bool,
        ) {
            let l3 = 14 + 4 * u16::from(tags);
            let l4 = if with_l4 { l3 + if is_v6 { 40 } else { 20 } } else { 0 };
            let layout = Layout { l2_5: l3, l3, l4, tags, frag: 0 };
            let fits = |step: &Step| match step {
                Step::Write(write) => match write.spot.row().cover {
                    Cover::Pseudo | Cover::PseudoDestination => is_v6,
                    Cover::Header | Cover::HeaderAndPseudo => !is_v6,
                    _ => is_v6 || write.spot != Spot::Ip6Label,
                },
                _ => true,
            };
            let steps: Vec<Step> = steps.into_iter().filter(fits).collect();
            let mut patch = Patch::default();
            patch.make(&steps, &layout);
            let mut pool = SimPool::default();
            let (mut one, mut other) = (pool.frame(&bytes), pool.frame(&bytes));
            match patch.apply(&mut one, &layout) {
                Outcome::Done if patch.len > 0 => {
                    prop_assert_eq!(patch.len, steps.len());
                    run(&steps, &mut other, layout);
                    let by = patch.tags.growth();
                    let sum = |at: usize| at.saturating_add_signed(by);
                    let offset = checksum_offset(protocol).unwrap_or(6);
                    let sums = [sum(usize::from(l3) + 10), sum(usize::from(l4.max(34)) + offset)];
                    prop_assert_eq!(without_zeros(one.bytes(), &sums), without_zeros(other.bytes(), &sums));
                }
                Outcome::Done | Outcome::Unfit => prop_assert_eq!(one.bytes(), other.bytes()),
                Outcome::NoRoom => prop_assert!(false),
            }
            let elsewhere = Layout { l3: l3 + 8, ..layout };
            prop_assert!(patch.len == 0 || patch.apply(&mut other, &elsewhere) == Outcome::Unfit);
        }
    }

    #[test]
    fn usual_changes_have_a_patch() {
        let change = |spot, value, mask| {
            Step::Write(Write {
                spot,
                protocol: 17,
                value,
                mask,
            })
        };
        let steps = [
            change(Spot::EthDst, 9, 0xffff_ffff_ffff),
            change(Spot::Ip4Src, 0x0a09_0909, 0xffff_ffff),
            change(Spot::Ip4Ttl, 63 << 8, 0xff00),
            Step::PushVlan {
                tpid: 0x8100,
                tci: 0,
            },
            change(Spot::VlanTci, 7, 0xfff),
            Step::PopVlan,
            Step::PushVlan {
                tpid: 0x8100,
                tci: 7,
            },
            Step::Drop(DropReason::Action),
        ];
        let mut patch = Patch::default();
        patch.make(&steps, &flow::extract::PLAIN_LAYOUT);
        assert_eq!((patch.len, patch.words.len(), patch.needed), (7, 3, 42));
    }
}
