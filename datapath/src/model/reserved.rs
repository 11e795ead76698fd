//! Destinations that a bridge keeps to itself: which they are, and which of them NORMAL forwards all the same.

use packet::MacAddr;
use std::sync::Arc;

/// Reserved destinations: the first of how many in a row, and whose they are. IEEE's link-local block, and
/// those of vendors' spanning trees, rings and discovery: as Open vSwitch has them (ovs-vswitchd.conf.db(5),
/// "other_config:forward-bpdu").
pub const RESERVED: &[(u64, u64, &str)] = &[
    (0x0180_c200_0000, 16, "IEEE 802.1"),
    (0x00e0_2b00_0000, 1, "EDP"),
    (0x00e0_2b00_0004, 1, "EAPS"),
    (0x00e0_2b00_0006, 1, "EAPS"),
    (0x0100_0c00_0000, 1, "ISL"),
    (0x0100_0ccc_cccc, 1, "CDP, VTP"),
    (0x0100_0ccc_cccd, 1, "PVST+"),
    (0x0100_0ccd_cdcd, 1, "uplink fast"),
    (0x0100_0ccc_ccc7, 1, "PAgP"),
];

/// All reserved addresses that are no groups begin with these three bytes.
pub const UNICAST: u64 = 0x0000_e02b;

/// Whether a bridge keeps frames to this destination to itself, unless it is told otherwise.
#[inline]
pub fn is_reserved(mac: MacAddr) -> bool {
    let mac = mac.to_u64();
    // Most destinations are neither IEEE's nor a vendor's here.
    let is_near = matches!(mac >> 24, 0x0001_80c2 | UNICAST | 0x0001_000c);
    is_near
        && RESERVED
            .iter()
            .any(|(first, len, _)| mac.wrapping_sub(*first) < *len)
}

/// What NORMAL does with reserved destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Forwards them.
    pub forward: bool,
    /// Those that are treated otherwise: forwarded, or kept.
    pub exceptions: Arc<[(MacAddr, bool)]>,
}

impl Policy {
    /// Whether NORMAL drops frames to this destination.
    #[inline]
    pub fn keeps(&self, dst: MacAddr) -> bool {
        is_reserved(dst) && !self.forwards(dst)
    }
    #[cold]
    fn forwards(&self, dst: MacAddr) -> bool {
        let exception = self.exceptions.iter().find(|(mac, _)| *mac == dst);
        exception.map_or(self.forward, |(_, forward)| *forward)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ones() {
        for (first, _, name) in RESERVED {
            let is_group = MacAddr::from_u64(*first).is_multicast();
            assert!(is_group || first >> 24 == UNICAST, "{name}");
        }
        for mac in [
            0x0180_c200_0000,
            0x0180_c200_000f,
            0x0100_0ccc_cccd,
            0x00e0_2b00_0004,
        ] {
            assert!(is_reserved(MacAddr::from_u64(mac)), "{mac:x}");
        }
        for mac in [
            0x0180_c200_0010,
            0x0100_0ccc_ccce,
            0x00e0_2b00_0005,
            0x0100_5e00_0001,
            0,
        ] {
            assert!(!is_reserved(MacAddr::from_u64(mac)), "{mac:x}");
        }
    }

    #[test]
    fn exceptions_both_ways() {
        let [stp, lacp, lldp] = [0, 2, 14].map(|n| MacAddr::from_u64(0x0180_c200_0000 | n));
        let exceptions: Arc<[_]> = [(stp, true), (lacp, false)].into();
        let keeps = |forward| {
            let policy = Policy {
                forward,
                exceptions: exceptions.clone(),
            };
            [stp, lacp, lldp, MacAddr::BROADCAST].map(|mac| policy.keeps(mac))
        };
        assert_eq!(keeps(false), [false, true, true, false]);
        assert_eq!(keeps(true), [false, true, false, false]);
    }
}
