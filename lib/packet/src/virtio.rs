//! The header that Linux puts before frames of tap devices and packet sockets (`struct virtio_net_hdr`),
//! and its meaning as an [`Offload`].
//!
//! ```text
//!  0       1          2          4          6            8             10
//! +-------+----------+----------+----------+------------+-------------+
//! | flags | gso type | hdr size | gso size | csum start | csum offset |
//! +-------+----------+----------+----------+------------+-------------+
//! ```

use crate::offload::{Offload, Segmentation};
use zerocopy::byteorder::native_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The legacy header of 10 bytes, in native byte order.
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
    /// [`NEEDS_CSUM`], [`DATA_VALID`].
    pub flags: u8,
    /// One of the `GSO_` constants, possibly with [`GSO_ECN`].
    pub gso_type: u8,
    /// Bytes of all headers; a hint.
    pub header_size: U16,
    /// Payload bytes per segment.
    pub gso_size: U16,
    /// Where the checksummed part starts.
    pub csum_start: U16,
    /// Where in that part the checksum goes.
    pub csum_offset: U16,
}

/// The checksum is partial.
pub const NEEDS_CSUM: u8 = 1;
/// The checksum was verified.
pub const DATA_VALID: u8 = 2;
/// Not to be segmented.
pub const GSO_NONE: u8 = 0;
/// TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// UDP datagrams of equal size.
pub const GSO_UDP_L4: u8 = 5;
/// Flag: the first segment has CWR.
pub const GSO_ECN: u8 = 0x80;

impl Header {
    /// What is left to be done with the frame. `None` for a kind of segmentation that nobody negotiated.
    pub fn offload(&self) -> Option<Offload> {
        let segmentation = match self.gso_type & !GSO_ECN {
            GSO_NONE => Segmentation::None,
            GSO_TCPV4 => Segmentation::Tcp4,
            GSO_TCPV6 => Segmentation::Tcp6,
            GSO_UDP_L4 => Segmentation::Udp,
            _ => return None,
        };
        let mut offload = Offload {
            segmentation,
            ..Offload::default()
        };
        if segmentation != Segmentation::None {
            offload.segment_size = self.gso_size.get();
        }
        if self.flags & NEEDS_CSUM != 0 {
            offload.csum_start = self.csum_start.get();
            offload.csum_offset = self.csum_offset.get();
        }
        Some(offload)
    }

    /// The header for a frame with this record, whose headers have `header_size` bytes.
    pub fn new(offload: &Offload, header_size: u16) -> Header {
        let mut header = Header {
            gso_type: match offload.segmentation {
                Segmentation::None => return Header::default().with_checksum(offload),
                Segmentation::Tcp4 => GSO_TCPV4,
                Segmentation::Tcp6 => GSO_TCPV6,
                Segmentation::Udp => GSO_UDP_L4,
            },
            ..Header::default().with_checksum(offload)
        };
        header.gso_size.set(offload.segment_size);
        header.header_size.set(header_size);
        header
    }

    fn with_checksum(mut self, offload: &Offload) -> Header {
        if offload.csum_start != 0 {
            self.flags = NEEDS_CSUM;
            self.csum_start.set(offload.csum_start);
            self.csum_offset.set(offload.csum_offset);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wire;
    use proptest::prelude::*;

    #[test]
    fn offload_survives_the_round_trip() {
        let segmentation = Segmentation::Tcp4;
        let offload = Offload {
            csum_start: 34,
            csum_offset: 16,
            segmentation,
            segment_size: 1448,
        };
        assert_eq!(Header::new(&offload, 66).offload(), Some(offload));
        assert_eq!(Header::new(&Offload::default(), 66), Header::default());
        assert_eq!(
            Header {
                gso_type: 3,
                ..Header::default()
            }
            .offload(),
            None
        );
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise: [u8; 10]) {
            let _ = Header::parse(&noise).unwrap().0.offload();
        }
    }
}
