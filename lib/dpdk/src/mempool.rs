//! Where mbufs come from: two mempools, of ordinary buffers (one full-size frame) and of large ones
//! (the rest of a 64 KiB segment), and the handle through which a worker uses them.
//!
//! A frame larger than one ordinary buffer is a head in an ordinary buffer and its rest in large ones:
//! two segments instead of thirty for what TCP hosts on the same machine send.

use std::ffi::{CStr, CString};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use datapath::edge::{BURST, Frame, HEADROOM, Pool, join_by_copy};
use datapath::fragment::Limits;
use dpdk_sys as sys;

use crate::mbuf::Mbuf;
use crate::{Error, Result};

/// Bytes in an ordinary buffer behind the headroom: a frame of MTU 1500 with any tags and encapsulation.
pub(crate) const DATA_SIZE: usize = 2048;
/// Room that receivers leave in front beyond [`HEADROOM`], to put back a VLAN tag that the kernel stripped.
pub(crate) const TAG_ROOM: usize = 16;
/// Bytes in a large buffer. An mbuf cannot describe more.
pub(crate) const LARGE_SIZE: usize = u16::MAX as usize;
/// Mbufs that an lcore keeps to itself: two bursts in each direction, and well below `n / 1.5`.
const CACHE_SIZE: u32 = 256;
/// The same for large ones: half a burst.
const LARGE_CACHE_SIZE: u32 = 32;

/// A frame to which others are linked has so many bytes of headers at least, or all there are, in its first segment:
/// four tunnels in one another, each with all the headroom that there is for one, and as much again.
const LINKED_HEAD_MIN: usize = 8 * HEADROOM;
/// Segments of a joined frame at most: the cards that take fewest take 8.
const LINKED_SEGMENTS_MAX: usize = 8;
/// Joined bytes that are copied into the first frame's buffer if they fit there: the usual rest of a full-size frame in a
/// tunnel. Linking would save 24 cycles here, but costs every port behind it a second descriptor or address.
pub(crate) const EXTEND_MAX: usize = 256;

/// `SOCKET_ID_ANY`: memory of whichever NUMA node.
const ANY_SOCKET: i32 = -1;

/// Fragments that so many workers may hold; it may be that all are of one port.
pub(crate) fn held_max(workers: usize) -> u32 {
    (Limits::for_workers(workers).fragments * workers.max(1)) as u32
}

/// How many mbufs of each kind.
#[derive(Clone, Copy, Debug)]
pub struct PoolSizes {
    /// Ordinary buffers (2.4 KiB each).
    pub ordinary: u32,
    /// Large buffers (64 KiB each, touched only as far as they are used).
    pub large: u32,
}

impl PoolSizes {
    /// What so many workers need.
    pub fn for_workers(workers: usize) -> PoolSizes {
        let workers = workers.clamp(1, 128) as u32;
        // Kernel ports hold no mbufs between bursts, so that hundreds of them share this; a DPDK device
        // brings its own pool, sized by its descriptors. 11,000 may be queued somewhere (a neighbour's answer,
        // a ring), and a worker has its cache (1.5 times its size) and what it lands frames in.
        // Of the large ones, a worker lands in a burst, caches most of one, and has one in flight; reassembly holds some.
        let held_segmented = Limits::for_workers(workers as usize).segmented as u32;
        PoolSizes {
            ordinary: 11_000 + held_max(workers as usize) + workers * 2 * CACHE_SIZE,
            large: 128 + workers * (3 * BURST as u32 + held_segmented),
        }
    }
}

impl Default for PoolSizes {
    fn default() -> Self {
        PoolSizes::for_workers(1)
    }
}

/// One `rte_mempool` of mbufs.
#[derive(Debug)]
pub(crate) struct Mempool(NonNull<sys::rte_mempool>);

// SAFETY: mempools are made for concurrent use: per-lcore caches over a lock-free ring.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// A pool of `len` mbufs with `buffer_size` bytes each, headroom included.
    pub(crate) fn new(
        kind: &str,
        len: u32,
        buffer_size: usize,
        cache_size: u32,
    ) -> Result<Mempool> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{kind}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let c_name = CString::new(name)
            .map_err(|_| Error::Refused("a mempool's name contains NUL".into()))?;
        let buffer_size = u16::try_from(buffer_size).unwrap_or(u16::MAX);
        // DPDK refuses a cache of more than two thirds of the pool.
        let cache_size = cache_size.min(len / 2);
        // SAFETY: asks how the EAL was started.
        let pool = if unsafe { sys::rte_eal_has_hugepages() } != 0 {
            // SAFETY: the name is a C string that is copied.
            unsafe {
                sys::rte_pktmbuf_pool_create(
                    c_name.as_ptr(),
                    len,
                    cache_size,
                    0,
                    buffer_size,
                    ANY_SOCKET,
                )
            }
        } else {
            create_dense(&c_name, len, cache_size, buffer_size)
        };
        NonNull::new(pool).map(Mempool).ok_or_else(|| {
            let mb = (len as usize * (buffer_size as usize + 256)) >> 20;
            Error::dpdk(
                format!(
                    "no memory for {len} mbufs ({mb} MiB); give more with dpdk-extra=\"-m ...\""
                ),
                -1,
            )
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::rte_mempool {
        self.0.as_ptr()
    }

    /// Appends `len` mbufs, each with the usual headroom, no data, no flags. All or none.
    pub(crate) fn alloc_bulk(&self, out: &mut Vec<Mbuf>, len: usize) -> bool {
        out.reserve(len);
        // SAFETY: the vector has room for `len` more, and Mbuf is a transparent pointer to rte_mbuf;
        // on success all `len` are initialised, with a reference count of one that is ours.
        unsafe {
            let end = out.as_mut_ptr().add(out.len()).cast();
            let filled = sys::rte_pktmbuf_alloc_bulk(self.as_ptr(), end, len as u32) == 0;
            if filled {
                out.set_len(out.len() + len);
            }
            filled
        }
    }

    /// One mbuf, with the usual headroom and no data.
    pub(crate) fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: the pool lives as long as self; a mbuf that it returns is ours alone.
        unsafe { Mbuf::from_raw(sys::rte_pktmbuf_alloc(self.as_ptr())) }
    }

    /// Mbufs that are out of the pool and of its caches.
    pub(crate) fn in_use(&self) -> u32 {
        // SAFETY: only reads counters.
        unsafe { sys::rte_mempool_in_use_count(self.as_ptr()) }
    }
}

/// The same as `rte_pktmbuf_pool_create`, which keeps each mbuf from crossing a 4 KiB page where there are no
/// huge pages, and so gives a page to each: 40 % of the memory for devices that are not there then.
fn create_dense(name: &CStr, len: u32, cache_size: u32, buffer_size: u16) -> *mut sys::rte_mempool {
    let element_size = size_of::<sys::rte_mbuf>() as u32 + u32::from(buffer_size);
    let private_size = size_of::<sys::rte_pktmbuf_pool_private>() as u32;
    let mut sizes = sys::rte_pktmbuf_pool_private {
        mbuf_data_room_size: buffer_size,
        ..Default::default()
    };
    let flags = sys::RTE_MEMPOOL_F_NO_IOVA_CONTIG;
    // SAFETY: the steps that rte_pktmbuf_pool_create consists of, in its order; the names and sizes are copied.
    unsafe {
        let pool = sys::rte_mempool_create_empty(
            name.as_ptr(),
            len,
            element_size,
            cache_size,
            private_size,
            ANY_SOCKET,
            flags,
        );
        if pool.is_null() {
            return pool;
        }
        let has_ops =
            sys::rte_mempool_set_ops_byname(pool, c"ring_mp_mc".as_ptr(), ptr::null_mut()) == 0;
        sys::rte_pktmbuf_pool_init(pool, (&raw mut sizes).cast());
        if !has_ops || sys::rte_mempool_populate_default(pool) < 0 {
            sys::rte_mempool_free(pool);
            return ptr::null_mut();
        }
        sys::rte_mempool_obj_iter(pool, Some(sys::rte_pktmbuf_init), ptr::null_mut());
        pool
    }
}

impl Drop for Mempool {
    fn drop(&mut self) {
        match self.in_use() {
            // SAFETY: nothing of the pool is outside of it any more, and nobody else has the pointer.
            0 => unsafe { sys::rte_mempool_free(self.as_ptr()) },
            // Freeing the memory under live mbufs would be worse than losing it.
            len => tracing::warn!("a mempool with {len} mbufs in flight is kept"),
        }
    }
}

/// The process's mbufs. Shared by all ports and workers.
#[derive(Debug)]
pub struct Mempools {
    sizes: PoolSizes,
    pub(crate) ordinary: Mempool,
    pub(crate) large: Mempool,
}

impl Mempools {
    /// Makes both pools. The EAL must have been started.
    pub fn new(sizes: PoolSizes) -> Result<Arc<Mempools>> {
        Ok(Arc::new(Mempools {
            sizes,
            ordinary: Mempool::new(
                "frames",
                sizes.ordinary,
                HEADROOM + TAG_ROOM + DATA_SIZE,
                CACHE_SIZE,
            )?,
            large: Mempool::new("large", sizes.large, LARGE_SIZE, LARGE_CACHE_SIZE)?,
        }))
    }

    /// How many mbufs there are of each kind.
    pub fn sizes(&self) -> PoolSizes {
        self.sizes
    }

    /// Mbufs of each kind that are in use: by frames, ports and tests that leak.
    pub fn in_use(&self) -> PoolSizes {
        PoolSizes {
            ordinary: self.ordinary.in_use(),
            large: self.large.in_use(),
        }
    }

    /// A large mbuf without headroom, to be chained behind a head.
    pub(crate) fn alloc_tail(&self) -> Option<Mbuf> {
        let mut tail = self.large.alloc()?;
        tail.set_data_offset(0);
        Some(tail)
    }
}

/// A worker's handle on the pools: what `datapath` allocates from and frees to.
#[derive(Clone, Debug)]
pub struct MbufPool {
    pools: Arc<Mempools>,
}

impl MbufPool {
    /// A handle; cheap, one per worker.
    pub fn new(pools: Arc<Mempools>) -> MbufPool {
        MbufPool { pools }
    }

    /// The pools behind it.
    pub fn pools(&self) -> &Arc<Mempools> {
        &self.pools
    }
}

/// Frees what a half-built frame holds when an allocation fails on the way.
pub(crate) fn free_one(frame: Mbuf) {
    // SAFETY: the frame is owned, and given up here.
    unsafe { sys::rte_pktmbuf_free_bulk(&mut frame.into_raw(), 1) }
}

/// Gives all frames back to the pools they came from, with one call.
pub(crate) fn free_all(frames: &mut Vec<Mbuf>) {
    if !frames.is_empty() {
        // SAFETY: Mbuf is a transparent pointer, all of them are owned, and the vector forgets them.
        unsafe {
            sys::rte_pktmbuf_free_bulk(frames.as_mut_ptr().cast(), frames.len() as u32);
            frames.set_len(0);
        }
    }
}

impl Pool for MbufPool {
    type Frame = Mbuf;

    fn alloc(&mut self, size: usize) -> Option<Mbuf> {
        let mut frame = self.pools.ordinary.alloc()?;
        let mut left = size - frame.grow(size.min(DATA_SIZE));
        while left > 0 {
            let Some(mut tail) = self.pools.alloc_tail() else {
                free_one(frame);
                return None;
            };
            left -= tail.grow(left.min(LARGE_SIZE));
            frame.append(tail);
        }
        Some(frame)
    }

    fn copy(&mut self, frame: &Mbuf) -> Option<Mbuf> {
        // The head is copied (what does not fit behind the headroom goes into a further segment);
        // later segments are attached by reference, each with an mbuf of its own in this chain.
        let head = frame.head();
        let mut copy = self.alloc(head.len())?;
        self.write(&mut copy, 0, head);
        let mut segment = frame.next();
        while let Some(shared) = segment {
            let Some(reference) = self.pools.ordinary.alloc() else {
                free_one(copy);
                return None;
            };
            // SAFETY: the reference is fresh and ours; `shared` is alive as its frame is borrowed,
            // and attaching counts one more user of its buffer.
            unsafe {
                sys::rte_pktmbuf_attach(reference.as_ptr(), ptr::from_ref(shared).cast_mut())
            };
            copy.append(reference);
            // SAFETY: the segment's chain is borrowed with the frame.
            segment = unsafe { shared.next.as_ref() };
        }
        copy.set_offload(frame.offload());
        Some(copy)
    }

    fn free(&mut self, frames: &mut Vec<Mbuf>) {
        free_all(frames);
    }

    fn write(&mut self, frame: &mut Mbuf, offset: usize, bytes: &[u8]) {
        frame.write(offset, bytes, &self.pools);
    }

    fn join(&mut self, frames: &mut Vec<Mbuf>) -> Option<Mbuf> {
        let (first, later) = frames.split_first_mut()?;
        let rest: usize = later.iter().map(Frame::size).sum();
        let segments = later.iter().map(Mbuf::segments_len).sum::<usize>() + first.segments_len();
        if first.segments_len() == 1 && rest <= EXTEND_MAX.min(first.tailroom()) {
            for part in later {
                first.extend(part);
            }
            let whole = frames.swap_remove(0);
            self.free(frames);
            return Some(whole);
        }
        if first.head().len() < LINKED_HEAD_MIN || segments > LINKED_SEGMENTS_MAX {
            return join_by_copy(self, frames);
        }
        let mut parts = frames.drain(..);
        let mut whole = parts.next()?;
        whole.link(parts);
        Some(whole)
    }
}
