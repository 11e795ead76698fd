//! LLC (IEEE 802.2) and SNAP, behind an Ethernet header whose type is an 802.3 size.
//!
//! ```text
//!  0      1      2      3             6         8
//! +------+------+------+-------------+---------+----
//! | DSAP | SSAP | ctrl | OUI (SNAP)  | type    | payload
//! +------+------+------+-------------+---------+----
//! ```

use crate::Wire;
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 3 bytes of an unnumbered LLC frame.
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
)]
#[repr(C)]
pub struct Header {
    /// Destination service access point.
    pub dsap: u8,
    /// Source service access point.
    pub ssap: u8,
    /// Control: 3 is unnumbered information.
    pub control: u8,
}

/// LLC with the SNAP extension.
#[derive(
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
)]
#[repr(C)]
pub struct Snap {
    /// AA AA 03.
    pub llc: Header,
    /// 00 00 00: `ether_type` is an EtherType; others are an organisation's own.
    pub oui: [u8; 3],
    /// EtherType or protocol of the organisation.
    pub ether_type: U16,
}

/// LLC of SNAP.
pub const SNAP: Header = Header {
    dsap: 0xaa,
    ssap: 0xaa,
    control: 3,
};
/// LLC of the spanning tree protocols.
pub const STP: Header = Header {
    dsap: 0x42,
    ssap: 0x42,
    control: 3,
};

/// The EtherType that a SNAP header with OUI 00-00-00 carries.
#[inline]
pub fn snap_ether_type(bytes: &[u8]) -> Option<u16> {
    let snap = Snap::parse(bytes)?.0;
    (snap.llc == SNAP && snap.oui == [0; 3]).then(|| snap.ether_type.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Snap,
        "aaaa03 000000 0800",
        Snap {
            llc: SNAP,
            oui: [0; 3],
            ether_type: U16::new(0x0800)
        }
    );

    #[test]
    fn only_oui_zero_names_an_ether_type() {
        assert_eq!(snap_ether_type(&hex("aaaa03 000000 86dd")), Some(0x86dd));
        assert_eq!(snap_ether_type(&hex("aaaa03 00000c 010b")), None);
        assert_eq!(snap_ether_type(&hex("424203 000000 0800")), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..10)) {
            let _ = snap_ether_type(&noise);
        }
    }
}
