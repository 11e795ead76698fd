//! Does in software what a frame still needs and its port cannot do: checksums, segmentation, and
//! bringing segments together. The arithmetic is `packet::gso`; here are the mbufs.

use datapath::edge::{Frame, HEADROOM, Offload, Pool, Segmentation};
use packet::{checksum, gso};

use crate::mbuf::Mbuf;
use crate::mempool::{DATA_SIZE, LARGE_SIZE, MbufPool, free_one};

/// Finishes the frames whose record says so; the others stay as they are, all in order.
/// Returns how many could not be finished (and are dropped). `scratch` keeps its capacity.
pub(crate) fn finish_all(
    pool: &mut MbufPool,
    frames: &mut Vec<Mbuf>,
    scratch: &mut Vec<Mbuf>,
    is_needed: impl Fn(Offload) -> bool,
) -> u64 {
    let mut failed = 0;
    for frame in frames.drain(..) {
        if is_needed(frame.offload()) {
            failed += u64::from(finish(pool, frame, scratch).is_none());
        } else {
            scratch.push(frame);
        }
    }
    std::mem::swap(frames, scratch);
    failed
}

/// Appends the finished packets of `frame` to `out`: itself, or its segments. `None` if that cannot be done.
fn finish(pool: &mut MbufPool, mut frame: Mbuf, out: &mut Vec<Mbuf>) -> Option<()> {
    if frame.offload().segmentation != Segmentation::None {
        let done = segment(pool, &frame, out);
        free_one(frame);
        return done;
    }
    let mut offload = frame.offload();
    let done = match frame.segments_len() {
        1 => gso::finish_checksum(frame.head_mut(), &mut offload),
        _ => finish_segmented_checksum(&mut frame, offload),
    };
    if done.is_none() {
        free_one(frame);
        return None;
    }
    frame.set_offload(Offload::default());
    out.push(frame);
    Some(())
}

fn segment(pool: &mut MbufPool, frame: &Mbuf, out: &mut Vec<Mbuf>) -> Option<()> {
    let plan = gso::Segments::new(frame.head(), frame.size(), &frame.offload())?;
    for index in 0..plan.len() {
        let payload = plan.payload(index);
        let mut packet = alloc_contiguous(pool, plan.header_size() + payload.len())?;
        let (headers, rest) = packet.head_mut().split_at_mut(plan.header_size());
        headers.copy_from_slice(frame.head().get(..plan.header_size())?);
        read(frame, payload.start, rest);
        if plan.patch(index, packet.head_mut()).is_none() {
            free_one(packet);
            return None;
        }
        out.push(packet);
    }
    Some(())
}

/// A one-segment frame of `size` bytes, undefined in content.
fn alloc_contiguous(pool: &mut MbufPool, size: usize) -> Option<Mbuf> {
    if size <= DATA_SIZE {
        return pool.alloc(size);
    }
    if size > LARGE_SIZE - HEADROOM {
        return None;
    }
    let mut frame = pool.pools().large.alloc()?;
    frame.grow(size);
    Some(frame)
}

/// Copies the frame's bytes from `offset` on into `to`, as far as there are any.
fn read(frame: &Mbuf, mut offset: usize, mut to: &mut [u8]) {
    frame.for_each_segment(&mut |part| {
        let skip = offset.min(part.len());
        offset -= skip;
        let size = (part.len() - skip).min(to.len());
        let (now, later) = std::mem::take(&mut to).split_at_mut(size);
        now.copy_from_slice(&part[skip..skip + size]);
        to = later;
    });
}

/// The checksum over a frame of several segments, which may start at odd offsets.
fn finish_segmented_checksum(frame: &mut Mbuf, offload: Offload) -> Option<()> {
    let start = usize::from(offload.csum_start);
    let field = start + usize::from(offload.csum_offset);
    if field + 2 > frame.head().len() {
        return None;
    }
    let mut sum = checksum::Sum::new();
    let (mut skip, mut is_odd) = (start, false);
    frame.for_each_segment(&mut |part| {
        let bytes = part.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(part.len());
        let folded = checksum::Sum::new().bytes(bytes).fold();
        // RFC 1071 section 2(B): the sum of bytes that are shifted by one is the swapped sum.
        sum = sum.u16(if is_odd { folded.swap_bytes() } else { folded });
        is_odd ^= bytes.len() % 2 == 1;
    });
    frame.head_mut()[field..field + 2].copy_from_slice(&sum.finish_nonzero().to_be_bytes());
    Some(())
}

/// The frame in one segment. Gives it back if there is no buffer for it.
pub(crate) fn linearise(pool: &mut MbufPool, mut frame: Mbuf) -> Result<Mbuf, Mbuf> {
    let size = frame.size();
    if frame.pull_up(size) {
        return Ok(frame);
    }
    let Some(mut whole) = alloc_contiguous(pool, size) else {
        return Err(frame);
    };
    read(&frame, 0, whole.head_mut());
    whole.set_offload(frame.offload());
    free_one(frame);
    Ok(whole)
}
