//! Mbufs: frames as DPDK has them.
//!
//! # Ownership
//! What: an [`Mbuf`] is the only pointer to the first segment of a frame, and so to its chain.
//! Why no `Drop`: freeing packet by packet costs a call each and loses packets at high rates; frames
//! die in bulk, in `Pool::free` or inside a driver. So whoever holds an `Mbuf` must pass it on; one that
//! is forgotten is a leak (never a dangling pointer), and the tests count the mbufs in use.
//! Invariants: the first segment's buffer is private to its frame (reference count one, not attached);
//! later segments may be attached to buffers that other frames also use, and are then never written:
//! [`Mbuf::write`] gives the frame a buffer of its own first. Lengths are kept as DPDK wants them:
//! `pkt_len` and `nb_segs` in the first segment, `data_len` in each.
//! What we chose not to do: C calls per packet. Every edit here is a few stores to the struct.

use std::ptr::{self, NonNull};

use datapath::edge::{Frame, Offload, Segmentation};
use dpdk_sys as sys;

use crate::mempool::{EXTEND_MAX, LARGE_SIZE, Mempools, free_one};
use crate::{Error, Result};

/// Says that the `hash` word holds an [`Offload`] record. A receiving driver overwrites `ol_flags`, so
/// that a received frame has none. Bit 40 is the last of DPDK's dynamic flags; drivers are given low ones.
const OFFLOAD_BIT: u32 = 40;
const OFFLOAD_FLAG: u64 = 1 << OFFLOAD_BIT;

/// Reserves the dynamic flag, so that no driver uses it for something else.
pub(crate) fn reserve_offload_flag() -> Result<()> {
    let mut params = sys::rte_mbuf_dynflag::default();
    for (to, from) in params.name.iter_mut().zip(b"tsunagi_offload\0") {
        *to = *from as std::ffi::c_char;
    }
    // SAFETY: the name is terminated and copied.
    let bit = unsafe { sys::rte_mbuf_dynflag_register_bitnum(&params, OFFLOAD_BIT) };
    if bit == OFFLOAD_BIT as i32 {
        Ok(())
    } else {
        Err(Error::dpdk("cannot reserve an mbuf flag", -1))
    }
}

/// A frame: see the top of this file for who may free it.
#[repr(transparent)]
#[derive(Debug)]
#[must_use = "a frame that is not passed on is leaked"]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// SAFETY: an mbuf belongs to whoever holds it, on any thread; shared buffers are counted atomically.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Takes ownership of an mbuf that came from C.
    ///
    /// # Safety
    /// `raw` is null, or the first segment of a frame that nobody else holds.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: *mut sys::rte_mbuf) -> Option<Mbuf> {
        NonNull::new(raw).map(Mbuf)
    }

    /// Gives ownership to C.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut sys::rte_mbuf {
        self.0.as_ptr()
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut sys::rte_mbuf {
        self.0.as_ptr()
    }

    #[inline]
    fn get(&self) -> &sys::rte_mbuf {
        // SAFETY: the pointer is valid as long as the frame is owned, which self proves.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut sys::rte_mbuf {
        // SAFETY: as in `get`; &mut self makes it exclusive.
        unsafe { self.0.as_mut() }
    }

    /// The second segment.
    #[inline]
    pub(crate) fn next(&self) -> Option<&sys::rte_mbuf> {
        // SAFETY: the chain belongs to the frame.
        unsafe { self.get().next.as_ref() }
    }

    /// Number of segments.
    #[inline]
    pub fn segments_len(&self) -> usize {
        self.get().nb_segs as usize
    }

    /// Whether something of an [`Offload`] record is left to be done.
    #[inline]
    pub(crate) fn has_offload(&self) -> bool {
        self.get().ol_flags & OFFLOAD_FLAG != 0
    }

    /// Bytes that [`Frame::push`] can still put in front.
    #[inline]
    pub fn headroom(&self) -> usize {
        self.get().data_off as usize
    }

    /// Moves the start of an empty segment's data within its buffer.
    pub(crate) fn set_data_offset(&mut self, offset: usize) {
        let mbuf = self.get_mut();
        debug_assert!(mbuf.data_len == 0 && offset <= mbuf.buf_len as usize);
        mbuf.data_off = offset as u16;
    }

    /// Where an empty segment's data would start, and how many bytes fit there: for scatter input.
    #[inline]
    pub(crate) fn room(&self) -> (*mut u8, usize) {
        let mbuf = self.get();
        // SAFETY: data_off is at most buf_len.
        (
            unsafe { data(mbuf) },
            (mbuf.buf_len - mbuf.data_off) as usize,
        )
    }

    /// Sets the sizes of a one-segment frame whose bytes were written by someone else; returns `size`.
    ///
    /// # Panics
    /// In debug builds, if the segment is not that large.
    #[inline]
    pub(crate) fn grow(&mut self, size: usize) -> usize {
        debug_assert!(size <= self.room().1);
        let mbuf = self.get_mut();
        mbuf.data_len = size as u16;
        mbuf.pkt_len = size as u32;
        size
    }

    /// Chains a one-segment frame behind this one.
    pub(crate) fn append(&mut self, tail: Mbuf) {
        let tail_size = tail.get().data_len as u32;
        let head = self.get_mut();
        let mut last: *mut sys::rte_mbuf = head;
        // SAFETY: the chain belongs to this frame.
        unsafe {
            while !(*last).next.is_null() {
                last = (*last).next;
            }
            (*last).next = tail.into_raw();
        }
        head.nb_segs += 1;
        head.pkt_len += tail_size;
    }

    /// Chains all segments of other frames behind those of this one, without the empty ones.
    pub(crate) fn link(&mut self, parts: impl Iterator<Item = Mbuf>) {
        let head = self.as_ptr();
        let mut last = head;
        // SAFETY: all chains are ours. Only a first segment can be empty, as pulling leaves it in place.
        unsafe {
            for part in parts {
                let mut start = part.into_raw();
                let mut len = std::mem::replace(&mut (*start).nb_segs, 1);
                (*head).pkt_len += (*start).pkt_len;
                if (*start).data_len == 0 {
                    let next = std::mem::replace(&mut (*start).next, ptr::null_mut());
                    free_one(Mbuf(NonNull::new_unchecked(start)));
                    (start, len) = (next, len - 1);
                }
                while !(*last).next.is_null() {
                    last = (*last).next;
                }
                (*last).next = start;
                (*head).nb_segs += len;
            }
        }
    }

    /// Bytes that fit behind a frame of one segment, in its buffer.
    #[inline]
    pub(crate) fn tailroom(&self) -> usize {
        let mbuf = self.get();
        usize::from(mbuf.buf_len - mbuf.data_off - mbuf.data_len)
    }

    /// Copies the bytes of another frame behind those of this one, which has one segment and room for them.
    pub(crate) fn extend(&mut self, part: &Mbuf) {
        debug_assert!(self.segments_len() == 1 && part.size() <= self.tailroom());
        for piece in part.iovecs() {
            let mbuf = self.get_mut();
            // SAFETY: the first segment's buffer is private to its frame, and has room behind its data.
            unsafe {
                let end = data(mbuf).add(mbuf.data_len as usize);
                ptr::copy_nonoverlapping(piece.iov_base.cast(), end, piece.iov_len);
            }
            mbuf.data_len += piece.iov_len as u16;
            mbuf.pkt_len += piece.iov_len as u32;
        }
    }

    /// The segments as (address, size), for scatter output.
    #[inline]
    pub(crate) fn iovecs(&self) -> impl Iterator<Item = libc::iovec> + '_ {
        std::iter::successors(Some(self.get()), |segment| {
            // SAFETY: the chain belongs to the frame, which is borrowed.
            unsafe { segment.next.as_ref() }
        })
        .map(|segment| libc::iovec {
            // SAFETY: data_off is at most buf_len.
            iov_base: unsafe { data(segment) }.cast(),
            iov_len: segment.data_len as usize,
        })
    }

    /// Writes `bytes` at `offset`, over the segments; what lies beyond the frame's end is left out.
    /// A buffer that other frames use is replaced by a copy first; if there is no mbuf for that, nothing more is written.
    pub(crate) fn write(&mut self, mut offset: usize, mut bytes: &[u8], pools: &Mempools) {
        let mut link: *mut *mut sys::rte_mbuf = ptr::null_mut();
        let mut segment = self.0.as_ptr();
        // SAFETY: `segment` walks the chain, which is ours; `link` is the pointer that led to it.
        unsafe {
            while !segment.is_null() && !bytes.is_empty() {
                let size = (*segment).data_len as usize;
                if offset < size {
                    if !link.is_null() && is_shared(&*segment) {
                        let Some(own) = private_copy(&*segment, pools) else {
                            return;
                        };
                        (*segment).next = ptr::null_mut();
                        *link = own;
                        free_one(Mbuf(NonNull::new_unchecked(segment)));
                        segment = own;
                    }
                    let (now, later) = bytes.split_at(bytes.len().min(size - offset));
                    ptr::copy_nonoverlapping(now.as_ptr(), data(&*segment).add(offset), now.len());
                    bytes = later;
                    offset = 0;
                } else {
                    offset -= size;
                }
                link = &raw mut (*segment).next;
                segment = *link;
            }
        }
    }

    /// Brings the first `size` bytes together in the first segment. `false` if the frame is shorter,
    /// or the first segment's buffer too small.
    pub fn pull_up(&mut self, size: usize) -> bool {
        if size <= self.get().data_len as usize {
            return true;
        }
        let (head, (_, room)) = (self.0.as_ptr(), self.room());
        if size > self.size() || size > room {
            return false;
        }
        // SAFETY: the chain is ours; the head has room for `size` bytes, and the others hold what is missing.
        unsafe {
            while ((*head).data_len as usize) < size {
                let next = (*head).next;
                let moved = (size - (*head).data_len as usize).min((*next).data_len as usize);
                ptr::copy_nonoverlapping(
                    data(&*next),
                    data(&*head).add((*head).data_len as usize),
                    moved,
                );
                (*head).data_len += moved as u16;
                (*next).data_off += moved as u16;
                (*next).data_len -= moved as u16;
                if (*next).data_len == 0 {
                    (*head).next = (*next).next;
                    (*head).nb_segs -= 1;
                    (*next).next = ptr::null_mut();
                    free_one(Mbuf(NonNull::new_unchecked(next)));
                }
            }
        }
        true
    }
}

/// Start of a segment's data.
///
/// # Safety
/// The mbuf is valid: `data_off` is at most `buf_len`.
#[inline]
unsafe fn data(segment: &sys::rte_mbuf) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { segment.buf_addr.cast::<u8>().add(segment.data_off as usize) }
}

/// Whether other frames may see the segment's bytes: it is attached to a buffer, or others are attached to its.
fn is_shared(segment: &sys::rte_mbuf) -> bool {
    segment.ol_flags & (sys::RTE_MBUF_F_INDIRECT | sys::RTE_MBUF_F_EXTERNAL) != 0
        || segment.refcnt != 1
}

/// A large mbuf with the same bytes and the same rest of the chain.
///
/// # Safety
/// The segment is valid, and the caller replaces it by the result in its chain.
unsafe fn private_copy(segment: &sys::rte_mbuf, pools: &Mempools) -> Option<*mut sys::rte_mbuf> {
    let mut own = pools.alloc_tail()?;
    let size = (segment.data_len as usize).min(LARGE_SIZE);
    // SAFETY: a large buffer holds whatever a segment can.
    unsafe { ptr::copy_nonoverlapping(data(segment), own.room().0, size) };
    own.grow(size);
    own.get_mut().next = segment.next;
    Some(own.into_raw())
}

/// The record as one word: start, offset, kind, segment size; 16 bits each.
fn pack(offload: Offload) -> u64 {
    let kind = match offload.segmentation {
        Segmentation::None => 0u64,
        Segmentation::Tcp4 => 1,
        Segmentation::Tcp6 => 2,
        Segmentation::Udp => 3,
    };
    u64::from(offload.csum_start)
        | u64::from(offload.csum_offset) << 16
        | kind << 32
        | u64::from(offload.segment_size) << 48
}

fn unpack(word: u64) -> Offload {
    Offload {
        csum_start: word as u16,
        csum_offset: (word >> 16) as u16,
        segmentation: match (word >> 32) as u16 {
            1 => Segmentation::Tcp4,
            2 => Segmentation::Tcp6,
            3 => Segmentation::Udp,
            _ => Segmentation::None,
        },
        segment_size: (word >> 48) as u16,
    }
}

impl Frame for Mbuf {
    #[inline]
    fn size(&self) -> usize {
        self.get().pkt_len as usize
    }

    #[inline]
    fn head(&self) -> &[u8] {
        let mbuf = self.get();
        // SAFETY: data_off + data_len is at most buf_len, and the bytes belong to the frame.
        unsafe { std::slice::from_raw_parts(data(mbuf), mbuf.data_len as usize) }
    }

    #[inline]
    fn head_mut(&mut self) -> &mut [u8] {
        let mbuf = self.get_mut();
        // SAFETY: as in `head`; the first segment is private to its frame.
        unsafe { std::slice::from_raw_parts_mut(data(mbuf), mbuf.data_len as usize) }
    }

    #[inline]
    fn push(&mut self, size: usize) -> Option<&mut [u8]> {
        let mbuf = self.get_mut();
        let head_size = size.checked_add(mbuf.data_len as usize)?;
        if size > mbuf.data_off as usize || head_size > u16::MAX as usize {
            return None;
        }
        mbuf.data_off -= size as u16;
        mbuf.data_len = head_size as u16;
        mbuf.pkt_len += size as u32;
        self.head_mut().get_mut(..size)
    }

    #[inline]
    fn pull(&mut self, size: usize) -> bool {
        let mbuf = self.get_mut();
        if size > mbuf.data_len as usize {
            return false;
        }
        mbuf.data_off += size as u16;
        mbuf.data_len -= size as u16;
        mbuf.pkt_len -= size as u32;
        true
    }

    fn trim(&mut self, size: usize) {
        if size >= self.size() {
            return;
        }
        let mut left = size;
        let head = self.as_ptr();
        let mut segment = head;
        // SAFETY: the chain is ours, and so are the mbufs of attached segments; the sizes sum up to
        // more than `size`, so that the walk ends inside the chain.
        unsafe {
            (*head).pkt_len = size as u32;
            (*head).nb_segs = 1;
            loop {
                let now = left.min((*segment).data_len as usize);
                (*segment).data_len = now as u16;
                left -= now;
                if left == 0 {
                    break;
                }
                segment = (*segment).next;
                (*head).nb_segs += 1;
            }
            if let Some(rest) = NonNull::new((*segment).next) {
                (*segment).next = ptr::null_mut();
                free_one(Mbuf(rest));
            }
        }
    }

    fn for_each_segment(&self, f: &mut dyn FnMut(&[u8])) {
        for part in self.iovecs() {
            // SAFETY: an iovec of this frame, which is borrowed.
            f(unsafe { std::slice::from_raw_parts(part.iov_base.cast(), part.iov_len) });
        }
    }

    #[inline]
    fn offload(&self) -> Offload {
        let mbuf = self.get();
        if !self.has_offload() {
            return Offload::default();
        }
        // SAFETY: the 8 bytes of the `hash` union, written by `set_offload`.
        unpack(unsafe { ptr::read_unaligned((&raw const mbuf.__bindgen_anon_2).cast()) })
    }

    #[inline]
    fn set_offload(&mut self, offload: Offload) {
        let mbuf = self.get_mut();
        if offload.is_finished() {
            mbuf.ol_flags &= !OFFLOAD_FLAG;
            return;
        }
        mbuf.ol_flags |= OFFLOAD_FLAG;
        // SAFETY: the 8 bytes of the `hash` union; what a driver wrote there is not used.
        unsafe { ptr::write_unaligned((&raw mut mbuf.__bindgen_anon_2).cast(), pack(offload)) };
    }

    #[inline]
    fn absorb(&mut self, part: &Mbuf) -> bool {
        let is_one = (self.get().nb_segs, part.get().nb_segs) == (1, 1);
        let fits = is_one && part.size() <= EXTEND_MAX.min(self.tailroom());
        if fits {
            self.extend(part);
        }
        fits
    }

    #[inline]
    fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch never faults.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(data(self.get()).cast());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offload_record_fits_the_word_of_the_mbuf() {
        assert_eq!(size_of::<sys::rte_mbuf__bindgen_ty_2>(), size_of::<u64>());
        for segmentation in [
            Segmentation::None,
            Segmentation::Tcp4,
            Segmentation::Tcp6,
            Segmentation::Udp,
        ] {
            let offload = Offload {
                csum_start: 34,
                csum_offset: 16,
                segmentation,
                segment_size: 1448,
            };
            assert_eq!(unpack(pack(offload)), offload);
        }
    }
}
