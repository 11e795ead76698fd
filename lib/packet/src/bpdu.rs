//! Bridge protocol data units: the spanning tree frames of IEEE 802.1D/Q and of PVST+.
//!
//! ```text
//!  LLC 42 42 03          | protocol 00 00 | version | type | ...
//!  LLC AA AA 03 00 00 0C | type 01 0B     | ...                    (PVST+)
//! ```

use crate::{MacAddr, Wire, ethernet, ethertype, llc};

/// What a frame's BPDU is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// No BPDU.
    #[default]
    None = 0,
    /// Configuration BPDU of the classic protocol.
    Stp = 1,
    /// Rapid spanning tree.
    Rstp = 2,
    /// Multiple spanning trees.
    Mstp = 3,
    /// Topology change notification of the classic protocol.
    Tcn = 4,
    /// Per-VLAN spanning tree.
    Pvst = 5,
}

impl Kind {
    /// All kinds, by number.
    pub const ALL: [Kind; 6] = [
        Kind::None,
        Kind::Stp,
        Kind::Rstp,
        Kind::Mstp,
        Kind::Tcn,
        Kind::Pvst,
    ];

    /// What a counter can be of: every kind but `None`.
    pub const COUNTED: [Kind; 5] = [Kind::Stp, Kind::Rstp, Kind::Mstp, Kind::Tcn, Kind::Pvst];

    /// The kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::None => "none",
            Kind::Stp => "stp",
            Kind::Rstp => "rstp",
            Kind::Mstp => "mstp",
            Kind::Tcn => "tcn",
            Kind::Pvst => "pvst",
        }
    }
}

const PVST: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0x0c, 1, 0x0b];

/// Recognises a BPDU by the payload of an 802.3 frame (what follows the size field).
/// An unknown version counts as the newest that is known, as IEEE 802.1Q section 14.5 asks.
pub fn recognise(payload: &[u8]) -> Kind {
    if payload.starts_with(&PVST) {
        return Kind::Pvst;
    }
    let Some((&llc::STP, rest)) = llc::Header::parse(payload) else {
        return Kind::None;
    };
    match rest {
        [0, 0, _, 0x80, ..] => Kind::Tcn,
        [0, 0, _, 0x00, ..] => Kind::Stp,
        [0, 0, 0..=2, 0x02, ..] => Kind::Rstp,
        [0, 0, _, 0x02, ..] => Kind::Mstp,
        _ => Kind::None,
    }
}

/// Where spanning tree bridges send theirs (IEEE 802.1Q table 8-1, "Nearest Customer Bridge").
pub const GROUP: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0]);
/// Where provider bridges send theirs (the same table).
pub const PROVIDER_GROUP: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 8]);
/// Where PVST+ bridges send theirs.
pub const PVST_GROUP: MacAddr = MacAddr([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd]);
/// Where BPDUs are sent through networks that would keep those of the other addresses to themselves.
pub const TUNNEL_GROUP: MacAddr = MacAddr([0x01, 0, 0x0c, 0xcd, 0xcd, 0xd0]);

/// VLAN tags that a BPDU is looked for behind.
const MAX_TAGS: usize = 2;

/// Whether a frame goes where BPDUs go. Two comparisons for nearly all frames.
#[inline]
pub fn is_addressed(frame: &[u8]) -> bool {
    match frame {
        [1, second, ..] if second & 0x7f == 0 => is_addressed_exactly(frame),
        _ => false,
    }
}
#[inline(never)]
fn is_addressed_exactly(frame: &[u8]) -> bool {
    let dst = frame.first_chunk().map(|bytes| MacAddr(*bytes));
    dst.is_some_and(|dst| [GROUP, PROVIDER_GROUP, PVST_GROUP, TUNNEL_GROUP].contains(&dst))
}

/// Recognises a BPDU by its destination, then by its payload, which may be behind VLAN tags.
#[inline]
pub fn recognise_frame(frame: &[u8]) -> Kind {
    match is_addressed(frame) {
        true => behind_tags(frame),
        false => Kind::None,
    }
}
#[cold]
fn behind_tags(frame: &[u8]) -> Kind {
    match ethernet::payload(frame, MAX_TAGS) {
        Some(found) if found.ether_type < ethertype::MIN => recognise(&frame[found.offset..]),
        _ => Kind::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;
    use proptest::prelude::*;

    #[test]
    fn kinds() {
        let cases = [
            ("424203 0000 00 00", Kind::Stp),
            ("424203 0000 00 80", Kind::Tcn),
            ("424203 0000 02 02", Kind::Rstp),
            ("424203 0000 03 02", Kind::Mstp),
            ("aaaa03 00000c 010b 0000", Kind::Pvst),
            ("aaaa03 00000c 2000", Kind::None),
            ("424203 0001 00 00", Kind::None),
            ("424203 0000 00", Kind::None),
            ("", Kind::None),
        ];
        for (bytes, kind) in cases {
            assert_eq!(recognise(&hex(bytes)), kind, "{bytes}");
        }
        assert!(
            Kind::ALL
                .iter()
                .enumerate()
                .all(|(number, kind)| *kind as usize == number)
        );
    }

    #[test]
    fn frames() {
        let mac = "020000000001";
        let (stp, pvst) = ("424203 0000 00 00", "aaaa03 00000c 010b");
        let cases = [
            (format!("0180c2000000 {mac} 0026 {stp}"), Kind::Stp),
            (format!("0180c2000008 {mac} 0026 {stp}"), Kind::Stp),
            (format!("01000ccdcdd0 {mac} 0026 {stp}"), Kind::Stp),
            (format!("01000ccccccd {mac} 0032 {pvst}"), Kind::Pvst),
            (
                format!("01000ccccccd {mac} 8100 0064 0032 {pvst}"),
                Kind::Pvst,
            ),
            (
                format!("0180c2000000 {mac} 88a8 0064 8100 0001 0026 {stp}"),
                Kind::Stp,
            ),
            (
                format!("0180c2000000 {mac} 8100 4242 4203 0000"),
                Kind::None,
            ),
            (format!("0180c2000000 {mac} 0800 {stp}"), Kind::None),
            (format!("0180c2000001 {mac} 0026 {stp}"), Kind::None),
            (format!("01005e000001 {mac} 0026 {stp}"), Kind::None),
            (format!("020000000002 {mac} 0026 {stp}"), Kind::None),
            (format!("0180c2000000 {mac}"), Kind::None),
        ];
        for (bytes, kind) in cases {
            assert_eq!(recognise_frame(&hex(&bytes)), kind, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = recognise(&noise);
            let to_group = [&GROUP.0, noise.as_slice()].concat();
            let _ = (recognise_frame(&noise), recognise_frame(&to_group));
        }
    }
}
