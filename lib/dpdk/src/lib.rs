//! The safe rim over DPDK and the kernel's packet interfaces: EAL, mempools, mbufs and ports.
//!
//! Everything here implements `datapath::edge`: [`Mbuf`] is a frame, [`MbufPool`] a pool, and each
//! row of [`types::PORT_TYPES`] opens a port. Who may free an mbuf is told in `mbuf.rs`. This crate
//! never looks at flows; `switchd` is its only user.
#![allow(unsafe_code)] // This is where the unsafe calls live; each says why it is sound.

pub mod affinity;
pub mod counters;
pub mod eal;
pub mod error_queue;
pub mod ethdev;
mod fanout;
mod finish;
pub mod host_socket;
pub mod isolate;
mod landing;
mod mbuf;
mod mempool;
mod netdev;
pub mod packet_socket;
pub mod poll;
pub mod tap;
mod thread;
pub mod types;

pub use mbuf::Mbuf;
pub use mempool::{MbufPool, Mempools, PoolSizes};
pub use thread::{WorkerThread, cycles};

use std::io;

/// What can go wrong outside the packet path, in words for the row of the interface that has it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A DPDK function refused.
    #[error("{what}: {reason}")]
    Dpdk {
        /// What was tried.
        what: String,
        /// DPDK's word for the reason.
        reason: String,
    },
    /// A system call refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The request itself cannot work.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// A DPDK function returned `code`: a negative errno, or -1 with the errno in `rte_errno`.
    fn dpdk(what: impl Into<String>, code: i32) -> Error {
        // SAFETY: both functions only read; rte_strerror returns a string that stays valid on this thread.
        let reason = unsafe {
            let errno = if code == -1 {
                dpdk_sys::dpdk_errno()
            } else {
                -code
            };
            std::ffi::CStr::from_ptr(dpdk_sys::rte_strerror(errno))
                .to_string_lossy()
                .into_owned()
        };
        Error::Dpdk {
            what: what.into(),
            reason,
        }
    }

    /// The last system call failed.
    fn system(what: impl Into<String>) -> Error {
        Error::System {
            what: what.into(),
            source: io::Error::last_os_error(),
        }
    }
}

/// The result of anything that is not the packet path.
pub type Result<T> = std::result::Result<T, Error>;
