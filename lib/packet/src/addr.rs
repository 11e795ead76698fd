//! Link-layer names: the MAC address and the 24-bit virtual network identifier.

use core::{fmt, str::FromStr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An IEEE 802 MAC address, in wire order.
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// 00:00:00:00:00:00
    pub const ZERO: MacAddr = MacAddr([0; 6]);
    /// ff:ff:ff:ff:ff:ff
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);

    /// The address whose 48 bits are the low bits of `value`; the upper 16 bits are ignored.
    pub const fn from_u64(value: u64) -> MacAddr {
        let b = value.to_be_bytes();
        MacAddr([b[2], b[3], b[4], b[5], b[6], b[7]])
    }

    /// The 48 bits as a number.
    pub const fn to_u64(self) -> u64 {
        let b = self.0;
        u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]])
    }

    /// All bits zero.
    pub const fn is_zero(self) -> bool {
        self.to_u64() == 0
    }

    /// The group bit is set (broadcast included).
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// All bits one.
    pub const fn is_broadcast(self) -> bool {
        self.to_u64() == 0xffff_ffff_ffff
    }

    /// The local bit is set: not assigned by a manufacturer.
    pub const fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }

    /// One host: neither a group nor zero, so fit to be learned.
    pub const fn is_unicast(self) -> bool {
        !self.is_multicast() && !self.is_zero()
    }

    /// 01:80:c2:00:00:00 to :0f, which a bridge never forwards (IEEE 802.1Q-2018 table 8-1).
    pub const fn is_reserved(self) -> bool {
        self.to_u64() & !0xf == 0x0180_c200_0000
    }

    /// The multicast address of an IPv6 group (RFC 2464 section 7).
    pub const fn from_ipv6_multicast(group: core::net::Ipv6Addr) -> MacAddr {
        let b = group.octets();
        MacAddr([0x33, 0x33, b[12], b[13], b[14], b[15]])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not six pairs of hex digits between colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMac;

impl fmt::Display for BadMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a MAC address (like 00:11:22:33:44:55)")
    }
}

impl core::error::Error for BadMac {}

impl FromStr for MacAddr {
    type Err = BadMac;

    /// Six groups of one or two hex digits, between colons.
    fn from_str(text: &str) -> Result<MacAddr, BadMac> {
        let mut bytes = [0; 6];
        let mut groups = text.split(':');
        for byte in &mut bytes {
            let group = groups.next().ok_or(BadMac)?;
            let digits = group.bytes().all(|b| b.is_ascii_hexdigit());
            if !digits || !(1..=2).contains(&group.len()) {
                return Err(BadMac);
            }
            *byte = u8::from_str_radix(group, 16).map_err(|_| BadMac)?;
        }
        groups
            .next()
            .is_none()
            .then_some(MacAddr(bytes))
            .ok_or(BadMac)
    }
}

/// A virtual network identifier: 24 bits (VXLAN, Geneve).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

impl Vni {
    /// The largest one.
    pub const MAX: Vni = Vni(0xff_ffff);

    /// `None` when `value` needs more than 24 bits.
    pub const fn new(value: u32) -> Option<Vni> {
        if value > Vni::MAX.0 {
            None
        } else {
            Some(Vni(value))
        }
    }

    /// As a number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// From wire order.
    pub const fn from_bytes(b: [u8; 3]) -> Vni {
        Vni(u32::from_be_bytes([0, b[0], b[1], b[2]]))
    }

    /// To wire order.
    pub const fn to_bytes(self) -> [u8; 3] {
        let b = self.0.to_be_bytes();
        [b[1], b[2], b[3]]
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds() {
        let mac = |text: &str| text.parse::<MacAddr>().unwrap();
        assert!(mac("01:80:c2:00:00:0e").is_reserved());
        assert!(!mac("01:80:c2:00:00:10").is_reserved());
        assert!(MacAddr::BROADCAST.is_broadcast() && MacAddr::BROADCAST.is_multicast());
        assert!(mac("2:0:0:0:0:1").is_local() && mac("2:0:0:0:0:1").is_unicast());
        assert!(!MacAddr::ZERO.is_unicast());
        let group = "ff02::1:ff00:1".parse().unwrap();
        assert_eq!(
            MacAddr::from_ipv6_multicast(group),
            mac("33:33:ff:00:00:01")
        );
    }

    #[test]
    fn bad_text_is_refused() {
        for text in [
            "",
            "1:2:3:4:5",
            "1:2:3:4:5:6:7",
            "001:2:3:4:5:6",
            "+1:2:3:4:5:6",
            "g:2:3:4:5:6",
            "1::3:4:5:6",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(BadMac), "{text}");
        }
    }

    #[test]
    fn vni_has_24_bits() {
        assert_eq!(Vni::new(1 << 24), None);
        assert_eq!(Vni::from_bytes([1, 2, 3]).get(), 0x010203);
        assert_eq!(Vni::new(0x010203).unwrap().to_bytes(), [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn print_then_read(bytes: [u8; 6]) {
            let mac = MacAddr(bytes);
            prop_assert_eq!(mac.to_string().parse(), Ok(mac));
            prop_assert_eq!(MacAddr::from_u64(mac.to_u64()), mac);
        }

        #[test]
        fn noise_never_panics(text in ".{0,24}") {
            let _ = text.parse::<MacAddr>();
        }
    }
}
