//! Fragments: packets split to fit an MTU, and put together again. IPv4, IPv6, and the two parts of the
//! gpw pseudowire. Pure functions and tables; time is an argument, and frames come from a pool.
//!
//! # What
//! [`Splitter`] makes fragments of one packet. [`Fragment::inspect`] recognises one, whose [`Key`] names the worker
//! that owns its datagram; that worker's [`Reassembler`] holds it until the others are here. [`gpw`] does both
//! for a pseudowire that has its own, simpler way.
//!
//! # Why
//! A 1500-byte frame in a tunnel is a packet of 1550 or more bytes, and most networks carry 1500. Whoever drops
//! what does not fit, or leaves it to the ends to find out, gets connections that open and then hang.
//! So splitting and reassembly have to be as ordinary as forwarding: at line rate, and safe to leave open to the
//! whole network, as a reassembler is memory that strangers fill.
//!
//! # Design
//! *Splitting.* The first fragment is the original frame, cut; only what is behind it is copied, once. In the common
//! case, a full-size frame in a tunnel, that is about a hundred bytes. Nothing is changed before all buffers are there, so
//! that a refused packet is still whole: its sender can be told.
//!
//! *Reassembly.* Fragments of a datagram are a list in the order of their offsets. Whether one is a duplicate, an overlap, or
//! new is seen from its neighbours in the list, and a datagram is complete when the payload that is held is as large as
//! the last fragment says, since no bytes are held twice. The pool joins the frames, if it can without copying.
//!
//! *Fairness.* What a flood can take is bounded three times. All that is held has limits, in datagrams, in fragments (each is
//! a buffer, however small), and in bytes. Sources are dealt to 256 groups by a keyed hash, and a group has at most a
//! quarter; beyond it, the group's own least recently used datagram goes. And when everything is full, the group that has
//! most gives. So a flood from one address takes from itself only. One from many forged addresses fills all groups
//! alike: then each group's least recently used datagram goes, and one whose fragments arrive together, as honest
//! ones do, is complete long before its turn comes. Refusing newcomers instead would block them all for 30 seconds.
//!
//! # Invariants
//! - Bytes of a datagram are held once, fragments in order; a datagram that is refused holds none.
//! - A frame is in exactly one place: held, returned, or freed into the pool that the call was given.
//! - `end` is known exactly if the last fragment is here, and nothing held reaches beyond it.
//! - All arrays have their size from the beginning; inserting takes no heap memory.
//! - No loop is longer than 64 fragments, 256 groups, or what it frees.
//!
//! # Concurrency
//! None: each worker has its own. Fragments of one datagram that arrive at different workers are sent to the one that
//! [`Key::owner`] names, with what `inspect` found. It has to be the same [`Secret`] everywhere. [`Ids`] of
//! different workers never meet.
//!
//! # What we chose not to do
//! - Answer with ICMP "time exceeded" when fragments are missing: that is a host's business, and would be a reflector.
//! - Reassemble jumbograms, or more than 64 fragments: honest packets never have them.
//! - Guess at overlaps. RFC 5722 is for IPv6; IPv4 datagrams are refused in the same way, as nothing honest overlaps.
//!   An exact duplicate is no overlap: networks make them, and RFC 8200 section 4.5 allows to drop just these.
//! - Protect 16-bit ids that wrap within 30 seconds (RFC 4963): above some 2000 split packets a second between two
//!   hosts, a lost fragment can be replaced by a stranger of the same id. Only a checksum inside tells; let tunnels over
//!   IPv4 have one, or better go over IPv6.

mod bytes;
pub mod gpw;
mod hash;
mod ids;
mod inspect;
mod layout;
mod outcome;
mod reassemble;
mod split;
mod store;
#[cfg(test)]
mod tests;

pub use hash::Secret;
pub use ids::Ids;
pub use inspect::{Fragment, Key};
pub use outcome::{Counts, OUTCOMES, Outcome};
pub use reassemble::{EXPIRE_MAX, FRAGMENTS_MAX, Limits, Reassembler, SHARES};
pub use split::{DontFragment, REFUSALS, Refusal, Splitter};
