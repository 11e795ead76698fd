//! Mbufs and pools against vectors of bytes.

mod common;

use common::{bytes, frame, pools};
use datapath::edge::{Frame, HEADROOM, Offload, Pool, Segmentation};
use dpdk::{Mbuf, MbufPool};
use proptest::prelude::*;

#[test]
fn frames_have_headroom_and_large_ones_two_segments() {
    let mut pool = MbufPool::new(pools());
    let mut frames = Vec::new();
    for (size, segments) in [
        (0, 1),
        (60, 1),
        (2048, 1),
        (2049, 2),
        (65_549, 2),
        (70_000, 3),
    ] {
        let made = pool.alloc(size).unwrap();
        assert_eq!((made.size(), made.segments_len()), (size, segments));
        assert_eq!(made.headroom(), HEADROOM);
        frames.push(made);
    }
    pool.free(&mut frames);
    let in_use = pool.pools().in_use();
    assert_eq!((in_use.ordinary, in_use.large), (0, 0));
}

#[test]
fn an_empty_pool_says_so_and_leaks_nothing() {
    let mut pool = MbufPool::new(pools());
    let mut frames = Vec::new();
    while let Some(made) = pool.alloc(3000) {
        frames.push(made);
    }
    assert_eq!(frames.len(), 128, "as many as there are large mbufs");
    assert_eq!(pool.pools().in_use().ordinary, 128);
    pool.free(&mut frames);
    assert_eq!(pool.pools().in_use().ordinary, 0);
}

#[test]
fn a_copy_shares_the_tail_until_somebody_writes() {
    let mut pool = MbufPool::new(pools());
    let data: Vec<u8> = (0..30_000u32).map(|i| i as u8).collect();
    let mut one = frame(&mut pool, &data);
    let offload = Offload {
        csum_start: 34,
        csum_offset: 16,
        segmentation: Segmentation::Tcp4,
        segment_size: 1448,
    };
    one.set_offload(offload);
    let mut two = pool.copy(&one).unwrap();
    assert_eq!(
        (bytes(&two), two.offload(), two.headroom()),
        (data.clone(), offload, HEADROOM)
    );
    assert_eq!(pool.pools().in_use().large, 1, "the tail is shared");

    pool.write(&mut two, 10, &[0xff; 20_000]);
    assert_eq!(bytes(&one), data);
    let mut changed = data.clone();
    changed[10..20_010].fill(0xff);
    assert_eq!(bytes(&two), changed);

    // The original is the one that others look at, now.
    let three = pool.copy(&one).unwrap();
    pool.write(&mut one, 29_999, &[1, 2, 3]);
    assert_eq!(bytes(&three), data);
    assert_eq!(bytes(&one)[29_998..], [data[29_998], 1]);
    one.trim(5000);
    assert_eq!(bytes(&three), data);
    pool.free(&mut vec![two, one, three]);
    assert_eq!(
        (pool.pools().in_use().ordinary, pool.pools().in_use().large),
        (0, 0)
    );
}

#[test]
fn headers_can_be_pulled_up() {
    let mut pool = MbufPool::new(pools());
    let data: Vec<u8> = (0..4000u32).map(|i| i as u8).collect();
    let mut one = frame(&mut pool, &data);
    assert!(one.pull(2040));
    assert_eq!(one.head().len(), 8);
    assert!(one.pull_up(10) && one.head() == &data[2040..2050]);
    assert!(!one.pull_up(5000));
    let mut short = frame(&mut pool, &data[..2050]);
    assert!(short.pull(2000) && short.pull_up(50));
    assert_eq!(
        (short.segments_len(), bytes(&short)),
        (1, data[2000..2050].to_vec())
    );
    pool.free(&mut vec![one, short]);
    assert_eq!(
        (pool.pools().in_use().ordinary, pool.pools().in_use().large),
        (0, 0)
    );
}

/// The sizes of a frame's segments.
fn segments(frame: &Mbuf) -> Vec<usize> {
    let mut sizes = Vec::new();
    frame.for_each_segment(&mut |part| sizes.push(part.len()));
    assert_eq!(sizes.len(), frame.segments_len());
    sizes
}

#[test]
fn frames_are_joined_without_copying_what_is_large() {
    let mut pool = MbufPool::new(pools());
    let data: Vec<u8> = (0..60_000u32).map(|i| (i ^ i >> 8) as u8).collect();
    for (parts, expected) in [
        (&[1514, 100][..], &[1614][..]),
        (&[1514, 0], &[1514]),
        (&[1514, 100, 100, 56], &[1770]),
        (&[2000, 100], &[2000, 100]),
        (&[1514, 1480, 1480], &[1514, 1480, 1480]),
        (&[1514, 3000], &[1514, 2048, 952]),
        (&[3000, 100], &[2048, 952, 100]),
        // Headers may be in what follows.
        (&[1000, 1000], &[2000]),
        // More segments than some cards take.
        (&[1480; 8], &[1480; 8]),
        (&[1480; 9], &[2048, 9 * 1480 - 2048]),
    ] {
        let mut frames = Vec::new();
        let mut at = 0;
        for size in parts {
            frames.push(frame(&mut pool, &data[at..at + size]));
            at += size;
        }
        let whole = pool.join(&mut frames).expect("mbufs");
        assert_eq!(segments(&whole), expected);
        assert_eq!(bytes(&whole), data[..at]);
        pool.free(&mut vec![whole]);
        let in_use = pool.pools().in_use();
        assert_eq!((frames.len(), in_use.ordinary, in_use.large), (0, 0, 0));
    }
    assert!(pool.join(&mut Vec::new()).is_none());
}

#[derive(Clone, Debug)]
enum Edit {
    Push(Vec<u8>),
    Pull(usize),
    Trim(usize),
    Write(usize, Vec<u8>),
    Copy,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..150).prop_map(Edit::Push),
        (0usize..3000).prop_map(Edit::Pull),
        (0usize..5000).prop_map(Edit::Trim),
        (0usize..5000, prop::collection::vec(any::<u8>(), 0..400))
            .prop_map(|(at, data)| Edit::Write(at, data)),
        Just(Edit::Copy),
    ];
    prop::collection::vec(edit, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn edits_do_what_they_do_to_a_vector(data in prop::collection::vec(any::<u8>(), 0..5000), edits in edits()) {
        thread_local! {
            static POOL: MbufPool = MbufPool::new(pools());
        }
        let mut pool = POOL.with(Clone::clone);
        let mut model = data;
        let mut real = frame(&mut pool, &model);
        let mut old = Vec::new();
        for edit in edits {
            match edit {
                Edit::Push(data) => {
                    let room = real.headroom();
                    if let Some(space) = real.push(data.len()) {
                        space.copy_from_slice(&data);
                        model.splice(0..0, data);
                    } else {
                        prop_assert!(data.len() > room);
                    }
                }
                Edit::Pull(size) => {
                    let head_size = real.head().len();
                    prop_assert_eq!(real.pull(size), size <= head_size);
                    if size <= head_size {
                        model.drain(..size);
                    }
                }
                Edit::Trim(size) => {
                    real.trim(size);
                    model.truncate(size);
                }
                Edit::Write(at, data) => {
                    pool.write(&mut real, at, &data);
                    for (to, from) in model.iter_mut().skip(at).zip(data) {
                        *to = from;
                    }
                }
                Edit::Copy => {
                    let copy = pool.copy(&real).expect("an mbuf");
                    old.push((std::mem::replace(&mut real, copy), model.clone()));
                }
            }
            prop_assert_eq!(real.size(), model.len());
            prop_assert_eq!(bytes(&real), model.clone());
        }
        for (frame, model) in &old {
            prop_assert_eq!(bytes(frame), model.clone());
        }
        let mut all: Vec<_> = old.into_iter().map(|(frame, _)| frame).collect();
        all.push(real);
        pool.free(&mut all);
        prop_assert_eq!((pool.pools().in_use().ordinary, pool.pools().in_use().large), (0, 0));
    }

    #[test]
    fn a_joined_frame_is_the_bytes_of_all(parts in prop::collection::vec((0usize..4000, 0usize..2100, 0usize..4000), 1..12), cut in 0usize..20_000) {
        thread_local! {
            static POOL: MbufPool = MbufPool::new(pools());
        }
        let mut pool = POOL.with(Clone::clone);
        let (mut frames, mut model) = (Vec::new(), Vec::new());
        for (at, (size, pulled, trimmed)) in parts.into_iter().enumerate() {
            let data: Vec<u8> = (0..size).map(|i| (i ^ i >> 8 ^ at) as u8).collect();
            let mut part = frame(&mut pool, &data);
            let pulled = if part.pull(pulled) { pulled } else { 0 };
            part.trim(trimmed);
            model.extend(data[pulled..].iter().take(trimmed));
            frames.push(part);
        }
        let offload = Offload { csum_start: 34, csum_offset: 6, ..Offload::default() };
        frames[0].set_offload(offload);
        let mut whole = pool.join(&mut frames).expect("mbufs");
        prop_assert_eq!(whole.offload(), offload);
        prop_assert_eq!(whole.size(), model.len());
        prop_assert_eq!(&bytes(&whole), &model);
        prop_assert!(whole.head().len() >= model.len().min(1024));
        prop_assert!(!segments(&whole)[1..].contains(&0));
        let copy = pool.copy(&whole).expect("mbufs");
        whole.trim(cut);
        pool.write(&mut whole, 0, &[0xff; 20_000]);
        prop_assert_eq!(&bytes(&copy), &model);
        prop_assert_eq!(bytes(&whole), vec![0xff; cut.min(model.len())]);
        pool.free(&mut vec![whole, copy]);
        prop_assert_eq!((pool.pools().in_use().ordinary, pool.pools().in_use().large), (0, 0));
    }
}
