//! Frames whose checksum is unfinished.

use super::case::Result;
use datapath::edge::{Offload, Segmentation};
use packet::{checksum, ipproto};

/// Makes the frame's checksum unfinished, as a host's stack hands it over.
pub fn pending(bytes: &mut [u8], segment_size: u16) -> Result<Offload> {
    let mut key = ofp::key::Key::default();
    let layout = flow::extract(bytes, bytes.len(), &flow::Plan::FULL, &mut key);
    let get = |field: ofp::field::Field| key.get(field.place());
    let protocol = get(ofp::field::Field::IpProto) as u8;
    let l4 = usize::from(layout.l4);
    let is_v6 = get(ofp::field::Field::EthType) == 0x86dd;
    let (offset, segmentation) = match (protocol, is_v6) {
        (ipproto::TCP, false) => (16, Segmentation::Tcp4),
        (ipproto::TCP, true) => (16, Segmentation::Tcp6),
        (ipproto::UDP, _) => (6, Segmentation::Udp),
        _ => return Err("neither TCP nor UDP".into()),
    };
    let size = bytes.len() - l4;
    let pseudo = if is_v6 {
        let address = |at: usize| <[u8; 16]>::try_from(&bytes[at..at + 16]).expect("16 bytes");
        let l3 = usize::from(layout.l3);
        let (src, dst) = (address(l3 + 8).into(), address(l3 + 24).into());
        checksum::pseudo_v6(src, dst, protocol, size as u32)
    } else {
        let address = |field| std::net::Ipv4Addr::from_bits(get(field) as u32);
        let (src, dst) = (
            address(ofp::field::Field::IpSrc),
            address(ofp::field::Field::IpDst),
        );
        checksum::pseudo_v4(src, dst, protocol, size as u16)
    };
    bytes[l4 + offset..l4 + offset + 2].copy_from_slice(&pseudo.fold().to_be_bytes());
    Ok(Offload {
        csum_start: layout.l4,
        csum_offset: offset as u16,
        segmentation: if segment_size == 0 {
            Segmentation::None
        } else {
            segmentation
        },
        segment_size,
    })
}
