//! Packets without an Ethernet header. Wherever frames are looked at they have one all the same, with addresses of zeros and
//! the packet's type, so that there is one way to find headers; this is where it is put in front.

use ofp::action::PacketType;
use ofp::field::Field;
use ofp::key::Match;
use packet::{MacAddr, Wire, ethernet, ethertype};
use std::borrow::Cow;

/// Bytes of that header, which are none of the packet's.
pub const SPARE: usize = ethernet::Header::SIZE;

/// The type that a packet with these fields has.
pub fn type_of(fields: &Match) -> PacketType {
    fields.get(Field::PacketType.place()).0.into()
}

/// A packet of this type as a frame. `None`: nothing is known of such a type.
pub fn framed(bytes: &[u8], packet_type: PacketType) -> Option<Cow<'_, [u8]>> {
    if packet_type == PacketType::ETHERNET {
        return Some(Cow::Borrowed(bytes));
    }
    let kind = packet_type.kind;
    if packet_type != PacketType::ether_type(kind) || kind < ethertype::MIN {
        return None;
    }
    let header = ethernet::Header {
        dst: MacAddr::ZERO,
        src: MacAddr::ZERO,
        ether_type: kind.into(),
    };
    let mut frame = vec![0; SPARE];
    header.emit(&mut frame);
    frame.extend_from_slice(bytes);
    Some(Cow::Owned(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_stands_in_front_of_what_has_none() {
        let framed = |kind| framed(&[0x45], kind).map(Cow::into_owned);
        assert_eq!(framed(PacketType::ETHERNET), Some(vec![0x45]));
        let with = framed(PacketType::ether_type(0x0800));
        assert_eq!(with.as_deref().map(|f| &f[12..]), Some(&[8, 0, 0x45][..]));
        assert_eq!(framed(PacketType::ether_type(5)), None);
        assert_eq!(framed(0xffff_u128.into()), None);
    }
}
