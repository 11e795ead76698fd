//! Threads known to DPDK: a worker registers itself and so gets an lcore id, and with it the
//! mempools' per-lcore caches. Used by `switchd`'s worker threads.

use std::marker::PhantomData;

use dpdk_sys as sys;

use crate::{Error, Result};

/// A counter of time that runs evenly on all cores and costs some 20 cycles to read: the processor's, where it has one.
#[inline]
pub fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed().as_nanos() as u64
    }
}

/// Registers the thread that made it, until it is dropped (on that same thread: it is not `Send`).
#[derive(Debug)]
pub struct WorkerThread {
    here: PhantomData<*mut ()>,
}

impl WorkerThread {
    /// Registers the calling thread. Fails when all of DPDK's lcore ids are taken (128 in Debian).
    pub fn register() -> Result<WorkerThread> {
        // SAFETY: may be called from any thread after the EAL has started; it checks both itself.
        match unsafe { sys::rte_thread_register() } {
            0 => Ok(WorkerThread { here: PhantomData }),
            code => Err(Error::dpdk("cannot register the worker's thread", code)),
        }
    }

    /// The lcore id that this thread was given.
    pub fn lcore(&self) -> u32 {
        // SAFETY: reads a per-thread value.
        unsafe { sys::rte_lcore_id() }
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        // SAFETY: the thread is registered, as this value is its proof.
        unsafe { sys::rte_thread_unregister() }
    }
}
