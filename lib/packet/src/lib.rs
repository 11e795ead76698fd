//! Frames as bytes: one file per header, each with the header's picture, its zerocopy struct and its tests.
//!
//! Everything here is a pure function over slices. A short or malformed header is `None`, never a panic.
//! This crate has never heard of OpenFlow, ports or time.

pub mod addr;
pub mod arp;
pub mod bpdu;
pub mod checksum;
pub mod ethernet;
pub mod ethertype;
pub mod geneve;
pub mod gpw;
pub mod gre;
pub mod gso;
pub mod icmpv4;
pub mod icmpv6;
pub mod igmp;
pub mod ipproto;
pub mod ipv4;
pub mod ipv6;
pub mod l2tpv3;
pub mod llc;
pub mod mpls;
pub mod offload;
pub mod pbb;
pub mod sctp;
pub mod tcp;
pub mod udp;
pub mod virtio;
pub mod vlan;
pub mod vxlan;
mod wire;

#[cfg(test)]
mod testing;

pub use addr::{MacAddr, Vni};
pub use wire::Wire;
