//! The readers: everything that happens to a packet. A worker takes bursts from its ports, finds a
//! program for each packet (`cache`, or a walk of the `pipeline`), and runs it (`execute`).
//! Never locks, logs or panics; takes no memory for a packet whose program is known.

mod action_set;
mod bpdu;
pub mod cache;
pub mod continuation;
mod direct;
mod duel;
mod egress;
mod enter;
mod execute;
mod fragment;
mod glance;
mod group;
mod hashing;
mod learn;
pub mod mail;
mod meter;
mod normal;
mod packet_type;
mod patch;
mod pause;
pub mod pipeline;
mod prepared;
pub mod program;
mod pseudowire;
mod queue;
mod reassembly;
mod reshape;
mod rewrite;
mod select;
mod send;
mod set;
mod shortcut;
mod too_big;
pub mod trace;
mod underlay;
mod waiting;
pub mod worker;

pub use cache::ENTRIES as CACHE_ENTRIES;
