//! The two-byte pseudowire header "gpw": an Ethernet frame, or one of its two parts, behind Ethernet
//! (EtherType 0x96fc) or IPv6 (next header 252).
//!
//! ```text
//! +-+-+---------------------------+
//! |F|S|            id             |   F: a part; S: the second one; id: 14 bits. A whole frame: 0.
//! +-+-+---------------------------+
//! ```
//!
//! The picture is the documented one. The program in the field writes the word as its machine has it,
//! which is [`Order::Little`] on every machine it runs on: the first part with id 2 is `02 80`.

use crate::{ethernet, ipv6};

/// EtherType of the pseudowire over Ethernet.
pub const ETHER_TYPE: u16 = crate::ethertype::GPW;
/// Next header of the pseudowire over IPv6.
pub const NEXT_HEADER: u8 = crate::ipproto::GPW;
/// Bytes of the control word.
pub const SIZE: usize = 2;
/// The largest frame that is sent, Ethernet header included: what 1500 bytes of MTU allow.
pub const FRAME_SIZE_MAX: usize = 1514;
/// Bytes of the outer headers over Ethernet.
pub const ETHERNET_OVERHEAD: usize = size_of::<ethernet::Header>() + SIZE;
/// Bytes of the outer headers over IPv6.
pub const IPV6_OVERHEAD: usize = size_of::<ethernet::Header>() + size_of::<ipv6::Header>() + SIZE;
/// Inner frames above this size are split over Ethernet: 1498.
pub const ETHERNET_WHOLE_MAX: usize = FRAME_SIZE_MAX - ETHERNET_OVERHEAD;
/// Inner frames above this size are split over IPv6: 1458.
pub const IPV6_WHOLE_MAX: usize = FRAME_SIZE_MAX - IPV6_OVERHEAD;
/// Inner bytes in the first part, always; the second has the rest.
pub const FIRST_SIZE: usize = 1280;

const PART: u16 = 0x8000;
const SECOND: u16 = 0x4000;
const ID_MASK: u16 = 0x3fff;

/// How the word lies on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// As deployed.
    #[default]
    Little,
    /// As documented.
    Big,
}

/// What the word says of the bytes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A whole frame.
    Whole,
    /// Its first 1280 bytes; the id is the same in both parts.
    First(u16),
    /// The rest.
    Second(u16),
}

impl Part {
    /// Reads the word; returns it and what follows. `None` when it is cut short. Every word has a meaning:
    /// as in the original, one that is not 0 is a part, whatever its top bit says.
    #[inline]
    pub fn parse(packet: &[u8], order: Order) -> Option<(Part, &[u8])> {
        let (bytes, rest) = packet.split_first_chunk::<SIZE>()?;
        let word = match order {
            Order::Little => u16::from_le_bytes(*bytes),
            Order::Big => u16::from_be_bytes(*bytes),
        };
        let part = match word {
            0 => Part::Whole,
            _ if word & SECOND == 0 => Part::First(word & ID_MASK),
            _ => Part::Second(word & ID_MASK),
        };
        Some((part, rest))
    }

    /// The word as bytes; ids are cut to 14 bits.
    #[inline]
    pub const fn to_bytes(self, order: Order) -> [u8; SIZE] {
        let word = match self {
            Part::Whole => 0,
            Part::First(id) => PART | id & ID_MASK,
            Part::Second(id) => PART | SECOND | id & ID_MASK,
        };
        match order {
            Order::Little => word.to_le_bytes(),
            Order::Big => word.to_be_bytes(),
        }
    }

    /// Writes the word to the start of `bytes`; returns what follows it.
    #[inline]
    pub fn emit(self, order: Order, bytes: &mut [u8]) -> Option<&mut [u8]> {
        let (word, rest) = bytes.split_first_chunk_mut::<SIZE>()?;
        *word = self.to_bytes(order);
        Some(rest)
    }
}

/// The id of a sender's split frame with this index, 14 bits. The first is 2, as in the original.
pub const fn split_id(index: u32) -> u16 {
    (index as u16).wrapping_add(2) & ID_MASK
}

/// The ids of a sender, of which only split frames take one. The first is 2, as in the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids(u16);

impl Default for Ids {
    fn default() -> Ids {
        Ids(1)
    }
}

impl Ids {
    /// The next id, 14 bits.
    #[inline]
    pub fn next_id(&mut self) -> u16 {
        self.0 = self.0.wrapping_add(1);
        self.0 & ID_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;
    use proptest::prelude::*;

    #[test]
    fn words_as_deployed_and_as_documented() {
        let golden = [
            (Part::Whole, "0000", "0000"),
            (Part::First(2), "0280", "8002"),
            (Part::Second(2), "02c0", "c002"),
            (Part::First(0x3fff), "ffbf", "bfff"),
            (Part::Second(0), "00c0", "c000"),
        ];
        for (part, little, big) in golden {
            for (order, bytes) in [(Order::Little, little), (Order::Big, big)] {
                assert_eq!(part.to_bytes(order)[..], hex(bytes), "{part:?} {order:?}");
                let packet = [&hex(bytes)[..], &[7]].concat();
                assert_eq!(Part::parse(&packet, order), Some((part, &[7][..])));
            }
        }
    }

    #[test]
    fn thresholds() {
        assert_eq!((ETHERNET_OVERHEAD, IPV6_OVERHEAD), (16, 56));
        assert_eq!((ETHERNET_WHOLE_MAX, IPV6_WHOLE_MAX), (1498, 1458));
        // A 1514-byte frame leaves as 1296 + 250 bytes over Ethernet, 1336 + 290 over IPv6.
        let parts = |overhead| (FIRST_SIZE + overhead, 1514 - FIRST_SIZE + overhead);
        assert_eq!(parts(ETHERNET_OVERHEAD), (1296, 250));
        assert_eq!(parts(IPV6_OVERHEAD), (1336, 290));
    }

    #[test]
    fn a_word_without_the_top_bit_is_a_part() {
        let parse = |word: u16| Part::parse(&word.to_be_bytes(), Order::Big).unwrap().0;
        assert_eq!(parse(5), Part::First(5));
        assert_eq!(parse(SECOND | 5), Part::Second(5));
        assert_eq!(Part::parse(&[1], Order::Big), None);
    }

    #[test]
    fn ids_start_at_two_and_wrap_at_14_bits() {
        let mut ids = Ids::default();
        assert!((0..0x2_0000).all(|index| split_id(index) == ids.next_id()));
        let mut ids = Ids::default();
        assert_eq!(ids.next_id(), 2);
        let last = (0..0x3fff).map(|_| ids.next_id()).last();
        assert_eq!(last, Some(1));
        assert!((0..0x2_0000).all(|_| ids.next_id() <= 0x3fff));
    }

    proptest! {
        #[test]
        fn emit_then_parse(id in 0u16..0x4000, second: bool, big: bool) {
            let part = if second { Part::Second(id) } else { Part::First(id) };
            let order = if big { Order::Big } else { Order::Little };
            let mut bytes = [0xa5; 3];
            prop_assert_eq!(&*part.emit(order, &mut bytes).unwrap(), &[0xa5]);
            prop_assert_eq!(Part::parse(&bytes, order), Some((part, &[0xa5][..])));
            prop_assert!(part.emit(order, &mut bytes[..1]).is_none());
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..4)) {
            prop_assert_eq!(Part::parse(&noise, Order::Little).is_some(), noise.len() >= SIZE);
        }
    }
}
