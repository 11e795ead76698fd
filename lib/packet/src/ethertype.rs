//! EtherType values (IEEE 802 numbers), in host byte order.

/// Values below this are an 802.3 length.
pub const MIN: u16 = 0x0600;
/// IPv4.
pub const IPV4: u16 = 0x0800;
/// Address Resolution Protocol.
pub const ARP: u16 = 0x0806;
/// Transparent Ethernet bridging: an Ethernet frame inside (GRE, Geneve).
pub const TEB: u16 = 0x6558;
/// Reverse ARP.
pub const RARP: u16 = 0x8035;
/// 802.1Q customer tag.
pub const VLAN: u16 = 0x8100;
/// IPv6.
pub const IPV6: u16 = 0x86dd;
/// Slow protocols: LACP and friends.
pub const SLOW: u16 = 0x8809;
/// MPLS unicast.
pub const MPLS: u16 = 0x8847;
/// MPLS with upstream-assigned labels.
pub const MPLS_MULTICAST: u16 = 0x8848;
/// 802.1ad service tag.
pub const SVLAN: u16 = 0x88a8;
/// 802.1ah provider backbone bridge.
pub const PBB: u16 = 0x88e7;
/// LLDP.
pub const LLDP: u16 = 0x88cc;
/// The gpw pseudowire; nobody registered it.
pub const GPW: u16 = 0x96fc;
/// Network service header.
pub const NSH: u16 = 0x894f;

/// A tag of 802.1Q or 802.1ad follows.
pub const fn is_vlan(ether_type: u16) -> bool {
    matches!(ether_type, VLAN | SVLAN)
}

/// An MPLS label stack follows.
pub const fn is_mpls(ether_type: u16) -> bool {
    matches!(ether_type, MPLS | MPLS_MULTICAST)
}
