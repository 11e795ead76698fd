//! Splitting: an IP packet in a frame becomes fragments of at most so many bytes.
//! The first fragment is the frame itself, cut; only what follows is copied, once.

use super::bytes;
use super::ids::Ids;
use super::inspect::size_max;
use super::layout::{self, Fault, Layout};
use crate::edge::{Frame, Pool};
use packet::checksum::Sum;
use packet::{Wire, ipv4, ipv6};

macro_rules! refusals {
    ($($variant:ident $name:literal $text:literal;)*) => {
        /// Why a packet that is too large was not split.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum Refusal { $($variant),* }

        /// Refusal, counter name, explanation; in the order of the enum.
        pub const REFUSALS: &[(Refusal, &str, &str)] = &[$((Refusal::$variant, $name, $text)),*];
    };
}

refusals! {
    DontFragment "dont_fragment"  "larger than the MTU, and its sender says not to fragment it";
    NotIp        "not_ip"         "larger than the MTU, and neither IPv4 nor IPv6";
    Malformed    "malformed"      "its IP header contradicts itself, or has a wrong checksum";
    Headers      "headers"        "the headers that each fragment repeats are too large";
    MtuTooSmall  "mtu_too_small"  "the MTU leaves no 8 bytes behind the headers";
    Unfinished   "unfinished"     "a checksum or segmentation is still to be done";
    NoMemory     "no_memory"      "no buffers for the fragments";
}

impl Refusal {
    /// Number of refusals.
    pub const LEN: usize = REFUSALS.len();
    /// Counter name.
    pub const fn name(self) -> &'static str {
        REFUSALS[self as usize].1
    }
    /// Explanation.
    pub const fn text(self) -> &'static str {
        REFUSALS[self as usize].2
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        match fault {
            Fault::NotIp => Refusal::NotIp,
            Fault::Malformed => Refusal::Malformed,
            Fault::Headers => Refusal::Headers,
        }
    }
}

/// What to do with IPv4's DF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DontFragment {
    /// Refuse to split.
    #[default]
    Obey,
    /// Split nevertheless; the fragments are without it.
    Ignore,
}

/// Splits packets for one worker.
pub struct Splitter<F> {
    ids: Ids,
    later: Vec<F>,
    replaced: Vec<F>,
}

/// How one packet is cut.
struct Plan {
    layout: Layout,
    id: u32,
    /// The IPv4 header of later fragments, with the options that are copied.
    later_header: [u8; 60],
    /// IPv4: the sum of these two headers without what differs between fragments.
    header_sums: [u16; 2],
    /// Bytes of IP headers in the first fragment, and in the others.
    header_sizes: [usize; 2],
    /// Bytes of payload in the first fragment, and in the others but the last.
    rooms: [usize; 2],
    /// Bytes of payload in the last fragment at most: only the others are multiples of 8.
    last_room: usize,
}

impl<F: Frame> Splitter<F> {
    /// A splitter that numbers by `ids`.
    pub fn new(ids: Ids) -> Splitter<F> {
        Splitter {
            ids,
            later: Vec::with_capacity(64),
            replaced: Vec::with_capacity(1),
        }
    }

    /// Splits the packet in `frame` into fragments of at most `mtu` bytes, the IP header included, and appends them to
    /// `out` in their order; returns how many there are. What fits is passed on as it is, whatever it is. At most
    /// 8190 fragments come of the largest packet and the smallest MTU that is possible.
    /// A frame that is refused is given back unchanged.
    pub fn split<P: Pool<Frame = F>>(
        &mut self,
        pool: &mut P,
        mut frame: F,
        mtu: usize,
        df: DontFragment,
        out: &mut Vec<F>,
    ) -> Result<usize, (Refusal, F)> {
        let plan = match self.plan(&frame, mtu, df) {
            Ok(Some(plan)) => plan,
            Ok(None) => {
                out.push(frame);
                return Ok(1);
            }
            Err(refusal) => return Err((refusal, frame)),
        };
        if self.copy_later(pool, &frame, &plan).is_none()
            || plan
                .cut_first(pool, &mut frame, &mut self.replaced)
                .is_none()
        {
            pool.free(&mut self.later);
            return Err((Refusal::NoMemory, frame));
        }
        if !self.replaced.is_empty() {
            pool.free(&mut self.replaced);
        }
        out.push(frame);
        let len = 1 + self.later.len();
        out.append(&mut self.later);
        Ok(len)
    }

    /// An id for an IPv4 packet that is not split here but may be on its way; `hosts` as this module has them for IPv4.
    pub fn next_id(&mut self, hosts: [u64; 5]) -> u16 {
        self.ids.next_id(hosts) as u16
    }

    /// `None`: the packet fits.
    #[inline(always)]
    fn plan(&mut self, frame: &F, mtu: usize, df: DontFragment) -> Result<Option<Plan>, Refusal> {
        let (head, size) = (frame.head(), frame.size());
        let l3 = layout::network(head).map_or(0, |found| found.offset);
        if size - l3.min(size) <= mtu {
            return Ok(None);
        }
        if !frame.offload().is_finished() {
            return Err(Refusal::Unfinished);
        }
        let layout = layout::parse(head, size)?;
        if layout.end - layout.l3 <= mtu {
            return Ok(None);
        }
        if layout.dont_fragment && df == DontFragment::Obey {
            return Err(Refusal::DontFragment);
        }
        let (offset, size) = (layout.offset, layout.payload_size());
        let is_beyond = layout.prefix_end - layout.l3 + offset + size > size_max(&layout);
        if layout.more && !size.is_multiple_of(8) || is_beyond {
            return Err(Refusal::Malformed);
        }
        let (mut later_header, mut header_sums) = ([0; 60], [0; 2]);
        let header_sizes = if layout.is_ipv6 {
            [layout.prefix_end - layout.l3 + ipv6::Fragment::SIZE; 2]
        } else {
            let header = &head[layout.l3..layout.prefix_end];
            let later_size = copy_header(header, &mut later_header);
            header_sums = [header, &later_header[..later_size]].map(constant_sum);
            [header.len(), later_size]
        };
        let rooms = header_sizes.map(|header| mtu.saturating_sub(header) & !7);
        if rooms.contains(&0) {
            return Err(Refusal::MtuTooSmall);
        }
        Ok(Some(Plan {
            id: self.id(head, &layout),
            layout,
            later_header,
            header_sums,
            header_sizes,
            rooms,
            last_room: mtu - header_sizes[1],
        }))
    }

    /// The id of the fragments.
    fn id(&mut self, head: &[u8], layout: &Layout) -> u32 {
        let word = |at| {
            let bytes = head.get(at..at + 8).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        let l3 = layout.l3;
        // RFC 6864 section 4: the id of an atomic datagram (DF, and not a fragment) means nothing, it may be
        // that of others; every other one has its own, which its fragments keep.
        let is_fragment = layout.more || layout.offset != 0;
        match layout.is_ipv6 {
            true if layout.has_fragment_header() => layout.id,
            true => {
                let hosts = [word(l3 + 8), word(l3 + 16), word(l3 + 24), word(l3 + 32), 6];
                self.ids.next_id(hosts)
            }
            false if layout.dont_fragment && !is_fragment => {
                let protocol = u64::from(layout.protocol);
                self.ids.next_id([word(l3 + 12), protocol, 0, 0, 4])
            }
            false => layout.id,
        }
    }

    /// Copies what does not fit the first fragment into the others, which are kept in `later`.
    fn copy_later<P: Pool<Frame = F>>(
        &mut self,
        pool: &mut P,
        frame: &F,
        plan: &Plan,
    ) -> Option<()> {
        let layout = &plan.layout;
        let header_end = layout.l3 + plan.header_sizes[1];
        let mut from = layout.payload + plan.rooms[0];
        while from < layout.end {
            let left = layout.end - from;
            let size = if left <= plan.last_room {
                left
            } else {
                plan.rooms[1]
            };
            let mut piece = pool.alloc(header_end + size)?;
            bytes::copy(pool, frame, from..from + size, &mut piece, header_end);
            let is_last = from + size == layout.end;
            let patched = plan
                .repeat(frame.head(), piece.head_mut())
                .and_then(|to| plan.patch(to, 1, from - layout.payload, size, is_last));
            self.later.push(piece);
            patched?;
            from += size;
        }
        Some(())
    }
}

impl Plan {
    /// Makes the first fragment of the whole frame. A frame that had to be replaced is put into `replaced`.
    fn cut_first<P: Pool>(
        &self,
        pool: &mut P,
        frame: &mut P::Frame,
        replaced: &mut Vec<P::Frame>,
    ) -> Option<()> {
        let layout = &self.layout;
        if layout.is_ipv6 && !layout.has_fragment_header() {
            if frame.push(ipv6::Fragment::SIZE).is_none() {
                // No headroom: a copy has it.
                let mut copy = pool.copy(frame)?;
                copy.push(ipv6::Fragment::SIZE)?;
                replaced.push(std::mem::replace(frame, copy));
            }
            let shifted = ipv6::Fragment::SIZE..layout.prefix_end + ipv6::Fragment::SIZE;
            frame.head_mut().copy_within(shifted, 0);
        }
        let size = self.rooms[0];
        frame.trim(layout.l3 + self.header_sizes[0] + size);
        self.patch(frame.head_mut(), 0, 0, size, false)
    }

    /// Copies into a later fragment what it repeats of the frame, and returns these bytes.
    fn repeat<'a>(&self, head: &[u8], to: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let layout = &self.layout;
        let to = to.get_mut(..layout.l3 + self.header_sizes[1])?;
        let copied = if layout.is_ipv6 {
            layout.prefix_end
        } else {
            layout.l3
        };
        let (common, own) = to.split_at_mut(copied);
        common.copy_from_slice(head.get(..copied)?);
        own.copy_from_slice(self.later_header.get(..own.len())?);
        Some(to)
    }

    /// Makes the headers of a fragment right: `payload_size` bytes that start `skipped` bytes into the packet's payload.
    fn patch(
        &self,
        head: &mut [u8],
        which: usize,
        skipped: usize,
        payload_size: usize,
        is_last: bool,
    ) -> Option<()> {
        let layout = &self.layout;
        let more = !is_last || layout.more;
        let offset = layout.offset + skipped;
        let size = self.header_sizes[which] + payload_size;
        if layout.is_ipv6 {
            *head.get_mut(layout.next_at)? = packet::ipproto::FRAGMENT;
            let header = ipv6::Header::at_mut(head, layout.l3)?;
            header.payload_size.set((size - ipv6::Header::SIZE) as u16);
            let fragment = ipv6::Fragment {
                next_header: layout.protocol,
                reserved: 0,
                offset_more: (offset as u16 | u16::from(more)).into(),
                id: self.id.into(),
            };
            fragment.emit(head.get_mut(layout.prefix_end..)?)?;
        } else {
            let header = ipv4::Header::at_mut(head, layout.l3)?;
            let flags = if more { ipv4::MF } else { 0 };
            let (size, id, fragment) = (size as u16, self.id as u16, (offset / 8) as u16 | flags);
            header.total_size.set(size);
            header.id.set(id);
            header.fragment.set(fragment);
            // From the values: to read back what was just written in smaller parts stalls the CPU.
            let sum = Sum::new().u16(self.header_sums[which]).u16(size);
            header.checksum.set(sum.u16(id).u16(fragment).finish());
        }
        Some(())
    }
}

/// The sum of an IPv4 header without size, id, flags, offset and checksum.
fn constant_sum(header: &[u8]) -> u16 {
    let Some(fixed) = ipv4::Header::at(header, 0) else {
        return 0;
    };
    let sum = Sum::new().bytes(header).u16(!fixed.checksum.get());
    let sum = sum.u16(!fixed.total_size.get()).u16(!fixed.id.get());
    sum.u16(!fixed.fragment.get()).fold()
}

/// Copies an IPv4 header with those of its options that every fragment has; returns its size.
// RFC 791 section 3.1: the copied flag of an option's type "indicates that this option is copied into all fragments
// on fragmentation."
fn copy_header(header: &[u8], to: &mut [u8; 60]) -> usize {
    let (fixed, mut options) = header.split_at(ipv4::Header::SIZE);
    to[..fixed.len()].copy_from_slice(fixed);
    let mut size = fixed.len();
    while let [kind, ref behind @ ..] = *options {
        let option_size = match (kind, behind.first()) {
            (0, _) => break,
            (1, _) => 1,
            (_, Some(size)) if (2..=options.len()).contains(&usize::from(*size)) => {
                usize::from(*size)
            }
            // Not an option; nobody can tell what is behind it.
            _ => break,
        };
        let (option, rest) = options.split_at(option_size);
        if kind & 0x80 != 0 {
            to[size..size + option_size].copy_from_slice(option);
            size += option_size;
        }
        options = rest;
    }
    let size = size.next_multiple_of(4);
    to[0] = 0x40 | (size / 4) as u8;
    size
}
