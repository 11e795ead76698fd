//! Reassembly: any order, duplicates, overlaps; every outcome; against a naive reassembler.

use super::*;
use crate::time::Time;
use proptest::collection::vec;
use proptest::prelude::*;

/// A fragment of 8-byte units `start..start + len` (less `short` bytes if it is the last).
fn part(start: u16, len: usize, more: bool) -> Vec<u8> {
    let whole = payload(9000);
    let from = usize::from(start) * 8;
    let fragment = start | if more { ipv4::MF } else { 0 };
    V4 {
        fragment,
        ..V4::default()
    }
    .frame(&whole[from..from + len * 8])
}

#[test]
fn both_orders() {
    for six in [false, true] {
        for reverse in [false, true] {
            let mut bench = Bench::new(Limits::default());
            let frame = match six {
                true => v6(1, 2, &[], ipproto::UDP, &payload(1530)),
                false => V4 {
                    tags: 1,
                    tos: 2,
                    ..V4::default()
                }
                .frame(&payload(1530)),
            };
            let mut pieces = cut(&mut bench.pool, &frame, 1500, DontFragment::Obey);
            if reverse {
                pieces.reverse();
            }
            // A short last fragment may be padded by Ethernet.
            pieces[0].extend([0; 3]);
            assert_eq!(bench.outcome(&pieces[0]), Outcome::Held);
            assert_eq!(bench.arrive(&pieces[1]), Some(Ok(frame)));
            assert_eq!(bench.table.counts().get(Outcome::Completed), 1);
            bench.end();
        }
    }
}

#[test]
fn whole_packets_are_none_of_our_business() {
    let mut bench = Bench::new(Limits::default());
    for frame in [
        V4 {
            fragment: ipv4::DF,
            ..V4::default()
        }
        .frame(&payload(100)),
        v6(2, 0, &[0, 43], ipproto::UDP, &payload(100)),
        ethernet(0, ethertype::ARP),
        vec![],
    ] {
        assert_eq!(bench.arrive(&frame), None);
    }
    bench.end();
}

#[test]
fn atomic_fragments_are_whole() {
    let mut bench = Bench::new(Limits::default());
    let held = v6_fragment(0, 5, 1, ipproto::UDP, &payload(80));
    assert_eq!(bench.outcome(&held), Outcome::Held);
    // The same id: in isolation from any other.
    let atomic = v6_fragment(1, 5, 0, ipproto::UDP, &payload(50));
    let whole = v6(0, 1, &[], ipproto::UDP, &payload(50));
    assert_eq!(bench.arrive(&[atomic, vec![9]].concat()), Some(Ok(whole)));
    assert_eq!(bench.table.counts().get(Outcome::Atomic), 1);
    assert_eq!(bench.table.held(), [1, 1, 80]);
    bench.end();
}

#[test]
fn what_inspection_refuses() {
    let mut bench = Bench::new(Limits::default());
    let v4 = |fragment, size| {
        V4 {
            fragment,
            ..V4::default()
        }
        .frame(&payload(size))
    };
    let mut bad = v4(ipv4::MF, 8);
    bad[24] ^= 1;
    let mut huge = v6(0, 0, &[0], ipproto::FRAGMENT, &payload(600));
    huge[55] = 63;
    let udp = ipproto::UDP;
    for (frame, outcome) in [
        (bad, Outcome::Malformed),
        (huge, Outcome::Headers),
        (v4(ipv4::MF, 0), Outcome::Empty),
        (v4(ipv4::MF, 12), Outcome::Misaligned),
        (v4(8189, 8), Outcome::Oversize),
        (
            v6_fragment(0, 1, 65528, udp, &payload(8)),
            Outcome::Oversize,
        ),
        // The transport header is cut, the extension header is cut, the next one is missing.
        (
            v6_fragment(0, 1, 1, ipproto::TCP, &payload(16)),
            Outcome::HeaderChain,
        ),
        (
            v6_fragment(0, 1, 1, 60, &[60, 1, 0, 0, 0, 0, 0, 0]),
            Outcome::HeaderChain,
        ),
        (
            v6_fragment(0, 1, 1, 60, &[6, 0, 0, 0, 0, 0, 0, 0]),
            Outcome::HeaderChain,
        ),
    ] {
        assert_eq!(bench.outcome(&frame), outcome);
    }
    assert_eq!(
        bench.outcome(&v4(8188, 8)),
        Outcome::Held,
        "65512 bytes fit"
    );
    let first = v6_fragment(
        0,
        1,
        1,
        60,
        &[17, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert_eq!(bench.outcome(&first), Outcome::Held);
    bench.end();
}

#[test]
fn unfinished_fragments_are_refused() {
    let mut pool = SimPool::default();
    let mut frame = pool.frame(&part(0, 2, true));
    let offload = crate::edge::Offload {
        csum_start: 34,
        ..Default::default()
    };
    frame.set_offload(offload);
    assert_eq!(
        Fragment::inspect(&frame, 0).err(),
        Some(Outcome::Unfinished)
    );
}

#[test]
fn an_overlap_refuses_the_whole_datagram() {
    let mut bench = Bench::new(Limits::default());
    assert_eq!(bench.outcome(&part(0, 4, true)), Outcome::Held);
    assert_eq!(bench.outcome(&part(0, 4, true)), Outcome::Duplicate);
    assert_eq!(bench.outcome(&part(3, 4, true)), Outcome::Overlap);
    assert_eq!(bench.table.held(), [1, 0, 0]);
    assert_eq!(bench.outcome(&part(4, 4, false)), Outcome::Refused);
    assert_eq!(bench.outcome(&part(0, 4, true)), Outcome::Refused);
    // Until it times out, silently.
    bench.now = bench.now + Time::secs(30);
    assert_eq!(bench.outcome(&part(0, 4, true)), Outcome::Held);
    assert!(matches!(bench.arrive(&part(4, 4, false)), Some(Ok(_))));
    assert_eq!(bench.table.counts().get(Outcome::TimedOut), 0);
    bench.end();
}

#[test]
fn a_duplicate_has_the_same_bytes() {
    let mut bench = Bench::new(Limits::default());
    assert_eq!(bench.outcome(&part(5, 4, true)), Outcome::Held);
    let mut other = part(5, 4, true);
    other[40] ^= 1;
    assert_eq!(bench.outcome(&other), Outcome::Overlap);
    bench.end();
}

#[test]
fn more_than_64_fragments_are_refused() {
    let mut bench = Bench::new(Limits::default());
    for unit in (0..FRAGMENTS_MAX as u16).rev() {
        assert_eq!(bench.outcome(&part(unit, 1, true)), Outcome::Held);
    }
    assert_eq!(bench.outcome(&part(64, 1, true)), Outcome::TooMany);
    assert_eq!(bench.outcome(&part(65, 1, false)), Outcome::Refused);
    bench.end();
}

#[test]
fn the_largest_packets() {
    for six in [false, true] {
        let mut bench = Bench::new(Limits::default());
        let mut pieces = match six {
            true => {
                let frame = v6(0, 0, &[], ipproto::UDP, &payload(65535));
                cut(&mut bench.pool, &frame, 1280, DontFragment::Obey)
            }
            false => {
                let frame = V4::default().frame(&payload(65515));
                cut(&mut bench.pool, &frame, 1280, DontFragment::Obey)
            }
        };
        assert!(pieces.len() <= FRAGMENTS_MAX);
        pieces.reverse();
        let (last, others) = pieces.split_last().unwrap();
        for piece in others {
            assert_eq!(bench.outcome(piece), Outcome::Held);
        }
        let whole = bench.arrive(last).unwrap().unwrap();
        assert_eq!(whole.len(), if six { 54 + 65535 } else { 14 + 65535 });
        assert!(bench.arrive(&whole).is_none());
        bench.end();
    }
}

#[test]
fn options_of_the_first_fragment_can_make_it_too_large() {
    let mut bench = Bench::new(Limits::default());
    let whole = payload(65512);
    let mut at = 0;
    while at < whole.len() {
        let size = 32768.min(whole.len() - at);
        let more = at + size < whole.len();
        let fragment = (at / 8) as u16 | if more { ipv4::MF } else { 0 };
        let options = if at == 0 { vec![1; 4] } else { vec![] };
        let frame = V4 {
            fragment,
            options,
            ..V4::default()
        }
        .frame(&whole[at..at + size]);
        let expected = if more {
            Outcome::Held
        } else {
            Outcome::Oversize
        };
        assert_eq!(bench.outcome(&frame), expected);
        at += size;
    }
    bench.end();
}

#[test]
fn congestion_marks() {
    for (first, second, seen) in [
        (2, 3, Some(3)),
        (3, 1, Some(3)),
        (0, 3, None),
        (1, 1, Some(1)),
    ] {
        let mut bench = Bench::new(Limits::default());
        let v4 = |tos: u8, fragment| V4 {
            tos: 0xb8 | tos,
            fragment,
            ..V4::default()
        };
        assert_eq!(
            bench.outcome(&v4(first, ipv4::MF).frame(&payload(16))),
            Outcome::Held
        );
        let result = bench.arrive(&v4(second, 2).frame(&payload(3))).unwrap();
        assert_eq!(result.as_ref().ok().map(|frame| frame[15] & 3), seen);
        assert_eq!(
            bench.table.counts().get(Outcome::Ecn),
            u64::from(seen.is_none())
        );

        let mut six = |class: u8, offset_more| {
            bench.arrive(&v6_fragment(
                0xb8 | class,
                1,
                offset_more,
                ipproto::UDP,
                &payload(16),
            ))
        };
        assert!(six(second, 16).unwrap().is_err());
        let result = six(first, 1).unwrap();
        assert_eq!(result.ok().map(|frame| frame[15] >> 4 & 3), seen);
        bench.end();
    }
}

#[test]
fn what_differs_never_meets() {
    let mut bench = Bench::new(Limits::default());
    assert_eq!(bench.outcome(&part(0, 1, true)), Outcome::Held);
    for change in [14 + 5, 14 + 9, 14 + 15, 14 + 19] {
        let mut other = part(1, 1, false);
        other[change] += 1;
        ipv4::fill_checksum(&mut other[14..]).unwrap();
        assert_eq!(bench.outcome(&other), Outcome::Held, "byte {change}");
    }
    let frame = bench.pool.frame(&part(1, 1, false));
    let elsewhere = Fragment::inspect(&frame, 1).unwrap().unwrap();
    let result = bench
        .table
        .insert(&mut bench.pool, bench.now, frame, &elsewhere);
    assert_eq!(result.err(), Some(Outcome::Held));
    assert!(matches!(bench.arrive(&part(1, 1, false)), Some(Ok(_))));
    bench.end();
}

#[test]
fn all_fragments_have_one_owner() {
    let mut pool = SimPool::default();
    let mut hits = [0; 5];
    for id in 0..500 {
        let mut owner = |fragment| {
            let frame = pool.frame(
                &V4 {
                    id,
                    fragment,
                    ..V4::default()
                }
                .frame(&payload(8)),
            );
            let found = Fragment::inspect(&frame, 0).unwrap().unwrap();
            found.key().owner(&SECRET, 5)
        };
        let first = owner(ipv4::MF);
        assert_eq!(first, owner(77));
        hits[first] += 1;
    }
    assert!(hits.iter().all(|hits| *hits > 50), "{hits:?}");
}

#[test]
fn without_a_buffer_all_of_it_is_dropped() {
    let mut pool = Scarce(SimPool::default(), 0);
    let mut table = Reassembler::new(SECRET, Limits::default());
    let mut last = None;
    for piece in [part(1, 1, false), part(0, 1, true)] {
        let frame = pool.0.frame(&piece);
        let fragment = Fragment::inspect(&frame, 0).unwrap().unwrap();
        last = table
            .insert(&mut pool, Time::secs(1), frame, &fragment)
            .err();
    }
    assert_eq!(last, Some(Outcome::NoMemory));
    assert_eq!((table.held(), pool.0.outstanding()), ([0; 3], 0));
}

#[test]
fn outcomes_stand_in_enum_order() {
    for (index, row) in OUTCOMES.iter().enumerate() {
        assert_eq!(
            (row.0 as usize, row.0.name(), row.0.text()),
            (index, row.1, row.2)
        );
    }
}

/// The naive reassembler: a list, and every question asked of all of it.
#[derive(Default)]
struct Oracle {
    held: Vec<(usize, usize, bool, u8)>,
    refused: bool,
}

impl Oracle {
    fn arrive(
        &mut self,
        start: usize,
        end: usize,
        more: bool,
        variant: u8,
    ) -> Result<Vec<u8>, Outcome> {
        if self.refused {
            return Err(Outcome::Refused);
        }
        if self.held.contains(&(start, end, more, variant)) {
            return Err(Outcome::Duplicate);
        }
        let overlaps = self.held.iter().any(|(s, e, ..)| start < *e && *s < end);
        let last = self.held.iter().find(|row| !row.2).map(|row| row.1);
        let disagrees = match last {
            Some(last) => !more || end > last,
            None => !more && self.held.iter().any(|row| row.1 > end),
        };
        if overlaps || disagrees {
            self.held.clear();
            self.refused = true;
            return Err(Outcome::Overlap);
        }
        self.held.push((start, end, more, variant));
        self.held.sort();
        let size: usize = self.held.iter().map(|row| row.1 - row.0).sum();
        if last.or((!more).then_some(end)) != Some(size) {
            return Err(Outcome::Held);
        }
        let held = std::mem::take(&mut self.held);
        Ok(held
            .into_iter()
            .flat_map(|(s, e, _, v)| content(s, e, v))
            .collect())
    }
}

fn content(start: usize, end: usize, variant: u8) -> Vec<u8> {
    (start..end).map(|i| i as u8 ^ variant).collect()
}

proptest! {
    #[test]
    fn as_the_naive_one_says(parts in vec((0usize..6, 1usize..4, 0usize..8, any::<bool>(), 0u8..8), 1..40), six: bool) {
        let mut bench = Bench::new(Limits::default());
        let mut oracle = Oracle::default();
        for (start, len, short, more, variant) in parts {
            let (start, variant) = (start * 8, variant / 7);
            let end = start + len * 8 - if more { 0 } else { short };
            if start == 0 && !more {
                continue;
            }
            let bytes = content(start, end, variant);
            let frame = match six {
                true => v6_fragment(0, 3, start as u16 | u16::from(more), ipproto::UDP, &bytes),
                false => V4 { fragment: (start / 8) as u16 | if more { ipv4::MF } else { 0 }, ..V4::default() }.frame(&bytes),
            };
            let result = bench.arrive(&frame).unwrap();
            let header = if six { 54 } else { 34 };
            let result = result.map(|whole| whole[header..].to_vec());
            prop_assert_eq!(result, oracle.arrive(start, end, more, variant));
        }
        bench.end();
    }

    #[test]
    fn split_and_shuffled_comes_together(
        six: bool, tags in 0usize..3, size in 1600usize..20_000, mtu in 1280usize..1500, again in 600usize..1500,
        order in vec(any::<u16>(), 128), doubles in vec(0usize..64, 0..20), buffer in 700usize..3000,
    ) {
        // Buffers this small are more than a source may have of these by default.
        let segmented = 4 * FRAGMENTS_MAX;
        let mut bench = Bench::new(Limits { segmented, ..Limits::default() });
        bench.pool = SimPool::with_buffer_size(buffer);
        let frame = match six {
            true => v6(tags, 1, &[ipproto::HOP_BY_HOP, ipproto::ROUTING], ipproto::UDP, &payload(size)),
            false => V4 { tags, options: vec![0x94, 4, 0, 0, 7, 3, 0, 0], ..V4::default() }.frame(&payload(size)),
        };
        // Some of the fragments are split again.
        let pool = &mut bench.pool;
        let cut_again = |(index, piece): (usize, Vec<u8>)| match index % 3 {
            0 => cut(pool, &piece, again, DontFragment::Obey),
            _ => vec![piece],
        };
        let mut splitted = SimPool::default();
        let pieces = cut(&mut splitted, &frame, mtu, DontFragment::Obey).into_iter().enumerate();
        let pieces: Vec<_> = pieces.flat_map(cut_again).collect();
        let indexes = (0..pieces.len()).chain(doubles.into_iter().filter(|i| *i < pieces.len()));
        let mut arrivals: Vec<_> = indexes.zip(order).map(|(index, key)| (key, index)).collect();
        arrivals.sort();
        let mut missing: std::collections::HashSet<_> = (0..pieces.len()).collect();
        for (_, index) in arrivals {
            let is_new = missing.remove(&index);
            let result = bench.arrive(&pieces[index]).unwrap();
            if missing.is_empty() {
                prop_assert_eq!(result, Ok(frame));
                break;
            }
            prop_assert_eq!(result, Err(if is_new { Outcome::Held } else { Outcome::Duplicate }));
        }
        bench.end();
    }

    #[test]
    fn noise_never_panics(
        frames in vec((vec(any::<u8>(), 0..60), any::<bool>(), 12usize..80, any::<u8>(), 0u16..8, any::<bool>()), 1..20),
    ) {
        let mut bench = Bench::new(Limits::default());
        for (noise, six, at, value, offset, more) in frames {
            let aligned = &noise[..noise.len() & !7];
            let mut frame = match six {
                true => v6_fragment(0, 0, (offset * 8) | u16::from(more), ipproto::UDP, aligned),
                false => V4 { fragment: offset | if more { ipv4::MF } else { 0 }, ..V4::default() }.frame(aligned),
            };
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
            if !six {
                let _ = ipv4::fill_checksum(&mut frame[14..]);
            }
            let _ = bench.arrive(&frame);
            let _ = bench.arrive(&noise);
        }
        bench.end();
    }
}
