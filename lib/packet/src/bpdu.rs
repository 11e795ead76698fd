//! Bridge protocol data units: the spanning tree frames of IEEE 802.1D/Q and of PVST+.
//!
//! ```text
//!  LLC 42 42 03          | protocol 00 00 | version | type | ...
//!  LLC AA AA 03 00 00 0C | type 01 0B     | ...                    (PVST+)
//! ```

use crate::{Wire, llc};

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

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..12)) {
            let _ = recognise(&noise);
        }
    }
}
