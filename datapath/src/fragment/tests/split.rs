//! Splitting: sizes, offsets, options, ids; what is refused stays as it was.

use super::*;
use crate::edge::{Offload, Segmentation};
use proptest::collection::vec;
use proptest::prelude::*;

fn v4_header(frame: &[u8], l3: usize) -> ipv4::Header {
    assert_eq!(
        packet::checksum::of(&frame[l3..][..usize::from(frame[l3] & 15) * 4]),
        0
    );
    *ipv4::Header::at(frame, l3).unwrap()
}

#[test]
fn ipv4_sizes_and_offsets() {
    let mut pool = SimPool::default();
    // A full-size frame in VXLAN.
    let frame = V4 {
        id: 0xabcd,
        tos: 0xb9,
        ..V4::default()
    }
    .frame(&payload(1530));
    let pieces = cut(&mut pool, &frame, 1500, DontFragment::Obey);
    let headers: Vec<_> = pieces.iter().map(|piece| v4_header(piece, 14)).collect();
    let said: Vec<_> = headers
        .iter()
        .map(|h| (h.total_size.get(), h.fragment.get(), h.id.get(), h.tos))
        .collect();
    assert_eq!(
        said,
        [(1500, ipv4::MF, 0xabcd, 0xb9), (70, 185, 0xabcd, 0xb9)]
    );
    assert_eq!([pieces[0].len(), pieces[1].len()], [1514, 84]);
    assert_eq!([&pieces[0][34..], &pieces[1][34..]].concat(), payload(1530));
    assert_eq!(pieces[0][..14], frame[..14]);
    assert_eq!(pool.outstanding(), 0);
}

#[test]
fn ipv6_sizes_and_offsets() {
    let mut pool = SimPool::default();
    let frame = v6(1, 0xb8, &[], ipproto::UDP, &payload(1530));
    let pieces = cut(&mut pool, &frame, 1500, DontFragment::Obey);
    let said: Vec<_> = pieces
        .iter()
        .map(|piece| {
            let header = ipv6::Header::at(piece, 18).unwrap();
            let fragment = ipv6::Fragment::at(piece, 58).unwrap();
            assert_eq!(
                (header.next_header, header.traffic_class()),
                (ipproto::FRAGMENT, 0xb8)
            );
            assert_eq!((fragment.next_header, fragment.reserved), (ipproto::UDP, 0));
            (
                header.payload_size.get(),
                fragment.offset_more.get(),
                fragment.id,
            )
        })
        .collect();
    assert_eq!((said[0].0, said[0].1), (1456, 1));
    assert_eq!((said[1].0, said[1].1), (90, 1448));
    assert_eq!(said[0].2, said[1].2);
    let other = cut(&mut pool, &frame, 1500, DontFragment::Obey);
    assert_eq!(
        ipv6::Fragment::at(&other[0], 58).unwrap().id,
        said[0].2,
        "the same generator"
    );
}

#[test]
fn each_packet_has_its_own_id() {
    let mut pool = SimPool::default();
    let mut splitter = Splitter::new(Ids::new(SECRET, 0, 1));
    let mut ids = |bytes: &[u8]| {
        let (frame, mut out) = (pool.frame(bytes), Vec::new());
        let _ = splitter.split(&mut pool, frame, 600, DontFragment::Ignore, &mut out);
        let word = |frame: &SimFrame| match bytes[12] {
            0x86 => ipv6::Fragment::at(frame.head(), 54).unwrap().id.get(),
            _ => v4_header(frame.head(), 14).id.get().into(),
        };
        let found: Vec<u32> = out.iter().map(word).collect();
        assert!(found.len() == 2 && found[0] == found[1]);
        pool.free(&mut out);
        found[0]
    };
    let six = v6(0, 0, &[], ipproto::UDP, &payload(1000));
    assert_ne!(ids(&six), ids(&six));
    // Of an atomic datagram the id means nothing; of another one it is its own.
    let atomic = V4 {
        id: 9,
        fragment: ipv4::DF,
        ..V4::default()
    }
    .frame(&payload(1000));
    assert_ne!(ids(&atomic), ids(&atomic));
    let other = V4 {
        id: 9,
        ..V4::default()
    }
    .frame(&payload(1000));
    assert_eq!((ids(&other), ids(&other)), (9, 9));
}

#[test]
fn the_last_fragment_need_not_be_a_multiple_of_8() {
    let mut pool = SimPool::default();
    // 56 bytes of room for payload in all but the last, 61 in that.
    for (size, len) in [(56, 1), (61, 1), (62, 2), (56 + 61, 2), (56 + 62, 3)] {
        let frame = V4::default().frame(&payload(size));
        let pieces = cut(&mut pool, &frame, 81, DontFragment::Obey);
        assert_eq!(pieces.len(), len, "{size}");
        assert!(pieces.iter().all(|piece| piece.len() <= 14 + 81));
    }
}

#[test]
fn options_are_copied_by_their_bit() {
    let mut pool = SimPool::default();
    // Record route (not copied), no-op, router alert (copied), end.
    let options = vec![7, 7, 4, 0, 0, 0, 0, 1, 0x94, 4, 0, 0, 0, 0, 0, 0];
    let frame = V4 {
        options: options.clone(),
        ..V4::default()
    }
    .frame(&payload(100));
    let pieces = cut(&mut pool, &frame, 100, DontFragment::Obey);
    assert_eq!(pieces.len(), 2);
    assert_eq!(v4_header(&pieces[0], 14).header_size(), 36);
    assert_eq!(pieces[0][34..50], options);
    assert_eq!(v4_header(&pieces[1], 14).header_size(), 24);
    assert_eq!(pieces[1][34..38], [0x94, 4, 0, 0]);
    // A broken option ends the list.
    for broken in [
        vec![0x94, 0, 0, 0],
        vec![0x94, 9, 0, 0],
        vec![1, 1, 1, 0x94],
    ] {
        let frame = V4 {
            options: broken,
            ..V4::default()
        }
        .frame(&payload(100));
        let pieces = cut(&mut pool, &frame, 100, DontFragment::Obey);
        assert_eq!(v4_header(&pieces[1], 14).header_size(), 20);
    }
}

#[test]
fn extension_headers_stay_in_front_or_go_inside() {
    use ipproto::{DESTINATION, HOP_BY_HOP, ROUTING, UDP};
    let mut pool = SimPool::default();
    for (extensions, prefix) in [
        (&[HOP_BY_HOP][..], 1),
        (&[HOP_BY_HOP, DESTINATION, ROUTING, DESTINATION][..], 3),
        (&[DESTINATION][..], 0),
    ] {
        let frame = v6(0, 0, extensions, UDP, &payload(400));
        let pieces = cut(&mut pool, &frame, 300, DontFragment::Obey);
        for piece in &pieces {
            let layout = layout::parse(piece, piece.len()).unwrap();
            assert_eq!(layout.prefix_end, 54 + prefix * 8);
            assert!(layout.has_fragment_header() && piece[layout.next_at] == ipproto::FRAGMENT);
            let first = extensions.get(prefix).copied().unwrap_or(UDP);
            assert_eq!(layout.protocol, first);
        }
    }
}

/// What the splitter says to a frame that it refuses, which it leaves as it was.
fn refusal(bytes: &[u8], offload: Offload, mtu: usize, buffers: usize) -> Refusal {
    let mut pool = Scarce(SimPool::default(), buffers);
    let mut frame = pool.0.frame(bytes);
    frame.set_offload(offload);
    let mut splitter = Splitter::new(Ids::new(SECRET, 0, 1));
    let mut out = Vec::new();
    let result = splitter.split(&mut pool, frame, mtu, DontFragment::Obey, &mut out);
    let (refusal, frame) = result.expect_err("refused");
    assert_eq!(frame.bytes(), bytes);
    assert!(out.is_empty());
    assert_eq!(pool.0.outstanding(), 1);
    refusal
}

#[test]
fn every_refusal() {
    let good = V4::default().frame(&payload(1530));
    let none = Offload::default();
    let wrong = |at: usize, value: u8| {
        let mut frame = good.clone();
        frame[at] ^= value;
        refusal(&frame, none, 1500, 9)
    };
    assert_eq!(wrong(24, 1), Refusal::Malformed, "checksum");
    assert_eq!(wrong(16, 0x20), Refusal::Malformed, "size");
    assert_eq!(wrong(13, 6), Refusal::NotIp);
    let df = V4 {
        fragment: ipv4::DF,
        ..V4::default()
    }
    .frame(&payload(1530));
    assert_eq!(refusal(&df, none, 1500, 9), Refusal::DontFragment);
    assert_eq!(refusal(&good, none, 27, 9), Refusal::MtuTooSmall);
    assert_eq!(refusal(&good, none, 0, 9), Refusal::MtuTooSmall);
    let odd = V4 {
        fragment: ipv4::MF,
        ..V4::default()
    }
    .frame(&payload(1531));
    assert_eq!(refusal(&odd, none, 1500, 9), Refusal::Malformed);
    let beyond = V4 {
        fragment: 0x1fff,
        ..V4::default()
    }
    .frame(&payload(1530));
    assert_eq!(refusal(&beyond, none, 1500, 9), Refusal::Malformed);
    let pending = Offload {
        segmentation: Segmentation::Udp,
        segment_size: 9,
        ..none
    };
    assert_eq!(refusal(&good, pending, 1500, 9), Refusal::Unfinished);
    let chain = vec![ipproto::HOP_BY_HOP; 33];
    let long = v6(0, 0, &chain, ipproto::UDP, &payload(1530));
    assert_eq!(
        refusal(&long, none, 1500, 9),
        Refusal::Malformed,
        "too many headers"
    );
    let mut long = v6(0, 0, &[ipproto::HOP_BY_HOP], ipproto::UDP, &payload(1530));
    long[55] = 63;
    assert_eq!(refusal(&long, none, 1500, 9), Refusal::Headers);
    let six = v6(0, 0, &[], ipproto::UDP, &payload(3000));
    for buffers in 0..2 {
        assert_eq!(refusal(&good, none, 600, buffers), Refusal::NoMemory);
        assert_eq!(refusal(&six, none, 1500, buffers), Refusal::NoMemory);
    }
    for (index, row) in REFUSALS.iter().enumerate() {
        assert_eq!(
            (row.0 as usize, row.0.name(), row.0.text()),
            (index, row.1, row.2)
        );
    }
}

#[test]
fn what_fits_is_passed_on_whatever_it_is() {
    let mut pool = SimPool::default();
    for frame in [
        V4 {
            fragment: ipv4::DF,
            ..V4::default()
        }
        .frame(&payload(1480)),
        ethernet(2, 0x1234),
        vec![1, 2, 3],
        // Padding does not count.
        [V4::default().frame(&payload(20)), vec![0; 1600]].concat(),
    ] {
        assert_eq!(cut(&mut pool, &frame, 1500, DontFragment::Obey), [frame]);
    }
    assert_eq!(pool.outstanding(), 0);
}

#[test]
fn a_frame_without_headroom_is_copied() {
    let mut pool = SimPool::default();
    let bytes = v6(0, 0, &[], ipproto::UDP, &payload(1530));
    let mut frame = pool.frame(&bytes);
    frame.push(crate::edge::HEADROOM - 4).unwrap().fill(0);
    // The frame now starts in its headroom: give it a packet there.
    let size = frame.size();
    let longer = v6(0, 0, &[], ipproto::UDP, &payload(size - 54));
    pool.write(&mut frame, 0, &longer);
    let mut splitter = Splitter::new(Ids::new(SECRET, 0, 1));
    let mut out = Vec::new();
    let len = splitter.split(&mut pool, frame, 1500, DontFragment::Obey, &mut out);
    assert_eq!(len.ok(), Some(2));
    assert_eq!(pool.outstanding(), 2);
    pool.free(&mut out);
}

proptest! {
    #[test]
    fn fragments_fit_and_hold_the_payload(
        six: bool, tags in 0usize..3, size in 0usize..9000, mtu in 68usize..3000, buffer in 600usize..4000,
    ) {
        let mut pool = SimPool::with_buffer_size(buffer);
        let frame = match six {
            true => v6(tags, 0, &[ipproto::HOP_BY_HOP], ipproto::UDP, &payload(size)),
            false => V4 { tags, ..V4::default() }.frame(&payload(size)),
        };
        let pieces = cut(&mut pool, &frame, mtu, DontFragment::Obey);
        let mut whole: Vec<u8> = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let layout = layout::parse(piece, piece.len()).unwrap();
            prop_assert!(piece.len() - layout.l3 <= mtu);
            prop_assert_eq!(layout.end, piece.len());
            prop_assert_eq!(layout.offset, whole.len());
            prop_assert_eq!(layout.more, index + 1 < pieces.len());
            whole.extend(&piece[layout.payload..]);
        }
        prop_assert_eq!(whole, payload(size));
        prop_assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn noise_never_panics(noise in vec(any::<u8>(), 0..200), at in 12usize..90, value: u8, six: bool, mtu in 0usize..200) {
        let mut pool = SimPool::default();
        let mut near = match six {
            true => v6(0, 0, &[0, 43, 60], ipproto::FRAGMENT, &noise),
            false => V4 { options: vec![0x94, 4, 0, 0], fragment: 3, ..V4::default() }.frame(&noise),
        };
        if let Some(byte) = near.get_mut(at) {
            *byte = value;
        }
        if !six {
            let _ = ipv4::fill_checksum(&mut near[14..]);
        }
        for bytes in [noise, near] {
            let (frame, mut out) = (pool.frame(&bytes), Vec::new());
            let mut splitter = Splitter::new(Ids::new(SECRET, 0, 1));
            match splitter.split(&mut pool, frame, mtu, DontFragment::Ignore, &mut out) {
                Ok(len) => prop_assert_eq!(len, out.len()),
                Err((_, frame)) => out.push(frame),
            }
            pool.free(&mut out);
            prop_assert_eq!(pool.outstanding(), 0);
        }
    }
}
