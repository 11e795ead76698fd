//! IPv4 (RFC 791).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+-----------+---+-------------------------------+
//! |   4   |  IHL  |   DSCP    |ECN|          total size           |
//! +-------+-------+-----------+---+-----+-------------------------+
//! |        identification         |0 D M|   fragment offset / 8   |
//! +---------------+---------------+-----+-------------------------+
//! |      TTL      |   protocol    |        header checksum        |
//! +---------------+---------------+-------------------------------+
//! |                        source address                         |
//! +---------------------------------------------------------------+
//! |                      destination address                      |
//! +---------------------------------------------------------------+
//! |                  options, (IHL - 5) * 4 bytes                 |
//! +---------------------------------------------------------------+
//! ```

use crate::{Wire, checksum};
use core::net::Ipv4Addr;
use zerocopy::byteorder::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The fixed 20 bytes.
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
    /// Version (4) and header size in 32-bit words.
    pub version_ihl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// Bytes of header and payload.
    pub total_size: U16,
    /// Identification, for fragments.
    pub id: U16,
    /// Flags and fragment offset.
    pub fragment: U16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Checksum of the header.
    pub checksum: U16,
    /// Source.
    pub src: [u8; 4],
    /// Destination.
    pub dst: [u8; 4],
}

/// Don't fragment.
pub const DF: u16 = 0x4000;
/// More fragments follow.
pub const MF: u16 = 0x2000;
/// Bits of `fragment` that are the offset, in units of 8 bytes.
pub const OFFSET_MASK: u16 = 0x1fff;

impl Header {
    /// A header without options around `payload_size` bytes; the checksum is left to [`fill_checksum`].
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, payload_size: u16) -> Header {
        Header {
            version_ihl: 0x45,
            total_size: U16::new(payload_size.saturating_add(Header::SIZE as u16)),
            ttl: 64,
            protocol,
            src: src.octets(),
            dst: dst.octets(),
            ..Header::default()
        }
    }

    /// The IP version: 4.
    #[inline(always)]
    pub fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Bytes of the header with its options, as the header says (so possibly below 20).
    #[inline(always)]
    pub fn header_size(&self) -> usize {
        usize::from(self.version_ihl & 0xf) * 4
    }

    /// Source address.
    pub fn src(&self) -> Ipv4Addr {
        self.src.into()
    }

    /// Destination address.
    pub fn dst(&self) -> Ipv4Addr {
        self.dst.into()
    }

    /// DSCP: the upper 6 bits of the TOS byte.
    pub fn dscp(&self) -> u8 {
        self.tos >> 2
    }

    /// ECN: the lower 2 bits of the TOS byte.
    pub fn ecn(&self) -> u8 {
        self.tos & 3
    }

    /// Don't fragment.
    pub fn df(&self) -> bool {
        self.fragment.get() & DF != 0
    }

    /// More fragments.
    pub fn mf(&self) -> bool {
        self.fragment.get() & MF != 0
    }

    /// Where this fragment's payload starts, in bytes.
    pub fn fragment_offset_bytes(&self) -> usize {
        usize::from(self.fragment.get() & OFFSET_MASK) * 8
    }

    /// One of several fragments.
    #[inline(always)]
    pub fn is_fragment(&self) -> bool {
        self.fragment.get() & (MF | OFFSET_MASK) != 0
    }

    /// A fragment but not the first: there is no transport header.
    #[inline(always)]
    pub fn is_later_fragment(&self) -> bool {
        self.fragment.get() & OFFSET_MASK != 0
    }

    /// Sets the TTL and keeps the checksum right.
    #[inline]
    pub fn set_ttl(&mut self, ttl: u8) {
        let (old, new) = (u16::from(self.ttl) << 8, u16::from(ttl) << 8);
        self.checksum
            .set(checksum::update16(self.checksum.get(), old, new));
        self.ttl = ttl;
    }

    /// Sets the TOS byte and keeps the checksum right.
    #[inline]
    pub fn set_tos(&mut self, tos: u8) {
        self.checksum.set(checksum::update16(
            self.checksum.get(),
            self.tos.into(),
            tos.into(),
        ));
        self.tos = tos;
    }
}

/// A packet whose sizes fit together.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'b> {
    /// The fixed header.
    pub header: &'b Header,
    /// The options; their size is a multiple of 4.
    pub options: &'b [u8],
    /// What the total size says is payload; link-layer padding is cut off.
    pub payload: &'b [u8],
}

/// Parses the packet at the start of `bytes`.
/// `None` when header size, total size and `bytes` contradict each other.
#[inline]
pub fn packet(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = Header::parse(bytes)?.0;
    let body = bytes
        .get(..header.total_size.get().into())?
        .get(Header::SIZE..)?;
    let options_size = header.header_size().checked_sub(Header::SIZE)?;
    let (options, payload) = body.split_at_checked(options_size)?;
    Some(Packet {
        header,
        options,
        payload,
    })
}

/// Computes the checksum of the header (with options) at the start of `bytes`. `None` when it is cut short.
pub fn fill_checksum(bytes: &mut [u8]) -> Option<()> {
    let size = Header::parse(bytes)?.0.header_size().max(Header::SIZE);
    let whole = bytes.get_mut(..size)?;
    Header::parse_mut(whole)?.0.checksum.set(0);
    let sum = checksum::of(whole);
    Header::parse_mut(whole)?.0.checksum.set(sum);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::testing::header_tests!(
        Header,
        "45 b9 0054 1234 4000 40 01 0000 0a000001 0a000002",
        Header {
            tos: 0xb9,
            id: U16::new(0x1234),
            fragment: U16::new(DF),
            ..Header::new(
                Ipv4Addr::new(10, 0, 0, 1),
                Ipv4Addr::new(10, 0, 0, 2),
                1,
                64
            )
        }
    );

    #[test]
    fn fields() {
        let bytes = hex("45 b9 0054 1234 6005 40 01 0000 0a000001 0a000002");
        let header = Header::parse(&bytes).unwrap().0;
        assert_eq!(
            (header.version(), header.dscp(), header.ecn()),
            (4, 0x2e, 1)
        );
        assert!(header.df() && header.mf() && header.is_fragment() && header.is_later_fragment());
        assert_eq!(header.fragment_offset_bytes(), 40);
        assert_eq!(header.src(), Ipv4Addr::new(10, 0, 0, 1));
    }

    #[test]
    fn sizes_must_fit() {
        let good = hex("46000019 00000000 00000000 00000000 00000000 01010101 aa 0000");
        let whole = packet(&good).unwrap();
        assert_eq!(
            (whole.options, whole.payload),
            (&[1, 1, 1, 1][..], &[0xaa][..])
        );
        for (byte, value) in [(0, 0x44), (0, 0x47), (3, 0x10), (3, 0x30)] {
            let mut bad = good.clone();
            bad[byte] = value;
            assert!(packet(&bad).is_none(), "byte {byte} = {value:#x}");
        }
    }

    #[test]
    fn set_ttl_and_tos_keep_the_checksum() {
        let mut bytes = hex("45 00 0054 1234 4000 40 01 0000 0a000001 0a000002");
        fill_checksum(&mut bytes).unwrap();
        let header = Header::parse_mut(&mut bytes).unwrap().0;
        header.set_ttl(63);
        header.set_tos(0xb8);
        assert_eq!(checksum::of(&bytes), 0);
    }

    proptest! {
        #[test]
        fn noise_never_panics(mut noise in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = packet(&noise);
            let _ = fill_checksum(&mut noise);
        }
    }
}
