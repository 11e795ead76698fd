//! Limits: time, space, and who has to give way when others flood.

use super::*;
use crate::time::Time;

fn fragment(src: u32, id: u16, start: u16, more: bool, size: usize) -> Vec<u8> {
    let fragment = start | if more { ipv4::MF } else { 0 };
    let src = Ipv4Addr::from(src);
    V4 {
        src,
        id,
        fragment,
        ..V4::default()
    }
    .frame(&payload(size))
}

const HONEST: u32 = 0x0a00_0001;

#[test]
fn incomplete_datagrams_time_out() {
    let mut bench = Bench::new(Limits::default());
    assert_eq!(
        bench.outcome(&fragment(HONEST, 1, 0, true, 8)),
        Outcome::Held
    );
    assert_eq!(
        bench.outcome(&v6_fragment(0, 1, 1, 17, &payload(8))),
        Outcome::Held
    );
    bench.now = bench.now + Time::secs(29);
    assert_eq!(
        bench.outcome(&fragment(HONEST, 1, 5, true, 8)),
        Outcome::Held
    );
    assert_eq!(bench.table.expire(&mut bench.pool, bench.now), 0);
    // From the first fragment on, whatever comes later.
    bench.now = bench.now + Time::secs(1);
    assert_eq!(bench.table.expire(&mut bench.pool, bench.now), 1);
    assert_eq!(bench.table.held(), [1, 1, 8]);
    bench.now = bench.now + Time::secs(30);
    assert_eq!(bench.table.expire(&mut bench.pool, bench.now), 1);
    assert_eq!(bench.table.counts().get(Outcome::TimedOut), 2);
    assert_eq!(bench.pool.outstanding(), 0);
    // One that nobody expired yet is not joined with what comes too late.
    assert_eq!(
        bench.outcome(&fragment(HONEST, 2, 0, true, 8)),
        Outcome::Held
    );
    bench.now = bench.now + Time::secs(31);
    assert_eq!(
        bench.outcome(&fragment(HONEST, 2, 1, false, 8)),
        Outcome::Held
    );
    assert_eq!(bench.table.counts().get(Outcome::TimedOut), 3);
    bench.end();
}

#[test]
fn expiry_is_done_in_steps() {
    let mut bench = Bench::new(Limits::default());
    for id in 0..100 {
        assert_eq!(
            bench.outcome(&fragment(HONEST, id, 0, true, 8)),
            Outcome::Held
        );
    }
    let later = bench.now + Time::secs(31);
    assert_eq!(bench.table.expire(&mut bench.pool, later), EXPIRE_MAX);
    assert_eq!(bench.table.expire(&mut bench.pool, later), 100 - EXPIRE_MAX);
    bench.end();
}

#[test]
fn a_source_has_its_share() {
    let mut bench = Bench::new(Limits::default());
    let limits = Limits::default();
    assert_eq!(
        bench.outcome(&fragment(HONEST, 1, 0, true, 800)),
        Outcome::Held
    );
    for id in 0..20_000u32 {
        let outcome = bench.outcome(&fragment(0x0b00_0001, id as u16, 0, true, 8));
        assert!(matches!(outcome, Outcome::Held | Outcome::Duplicate));
        assert!(bench.table.held()[0] <= limits.datagrams / SHARES + 1);
    }
    let whole = bench.arrive(&fragment(HONEST, 1, 100, false, 8)).unwrap();
    assert!(whole.is_ok());
    assert!(bench.table.counts().get(Outcome::SourceShare) > 19_000);
    assert_eq!(bench.table.counts().get(Outcome::Evicted), 0);
    bench.end();
}

#[test]
fn bytes_are_limited_too() {
    let mut bench = Bench::new(Limits {
        bytes: 4 << 16,
        ..Limits::default()
    });
    let mut most = 0;
    for id in 0..600 {
        let _ = bench.outcome(&fragment(u32::from(id) % 7, id, 0, true, 1480));
        most = most.max(bench.table.held()[2]);
        assert!(most <= 4 << 16);
    }
    assert!(most > (4 << 16) - 1480, "all of it is used: {most}");
    assert!(bench.table.counts().get(Outcome::Evicted) > 0);
    // A datagram that alone is more than a share cannot be: that is why limits have a minimum.
    bench.end();
}

#[test]
fn frames_of_several_segments_are_few() {
    let mut bench = Bench::new(Limits {
        segmented: 20,
        ..Limits::default()
    });
    for id in 0..600 {
        let src = u32::from(id) % 50;
        assert_eq!(
            bench.outcome(&fragment(src, id, 0, true, 4000)),
            Outcome::Held
        );
        assert!(bench.table.held()[1] <= 20);
    }
    assert_eq!(bench.table.held()[1], 20);
    assert!(bench.table.counts().get(Outcome::Evicted) > 0);
    // Others find room nevertheless.
    let _ = bench.outcome(&fragment(HONEST, 1, 0, true, 80));
    assert_eq!(bench.table.held()[1], 21);
    bench.end();
}

#[test]
fn those_with_most_give_way() {
    let mut bench = Bench::new(Limits {
        datagrams: 400,
        ..Limits::default()
    });
    assert_eq!(
        bench.outcome(&fragment(HONEST, 1, 0, true, 80)),
        Outcome::Held
    );
    // Eight sources fill the table many times; none of them is the honest one, whose datagram is the oldest of all.
    for round in 0..5000u32 {
        let src = 0x0b00_0000 + round % 8;
        assert_eq!(
            bench.outcome(&fragment(src, (round / 8) as u16, 0, true, 8)),
            Outcome::Held
        );
    }
    assert_eq!(bench.table.held()[0], 400);
    assert!(matches!(
        bench.arrive(&fragment(HONEST, 1, 10, false, 8)),
        Some(Ok(_))
    ));
    bench.end();
}

#[test]
fn a_flood_from_everywhere_leaves_memory_bounded_and_others_served() {
    let limits = Limits::default();
    let mut bench = Bench::new(limits);
    let mut random = 1u32;
    for round in 0..60_000u32 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let frame = fragment(random, round as u16, (random >> 20) as u16, true, 8);
        let outcome = bench.outcome(&frame);
        assert!(matches!(outcome, Outcome::Held), "{outcome:?}");
        // An honest datagram whose fragments arrive a hundred flood packets apart.
        if round % 1000 == 0 {
            let id = (round / 1000) as u16;
            assert_eq!(
                bench.outcome(&fragment(HONEST, id, 185, false, 50)),
                Outcome::Held
            );
        }
        if round % 1000 == 100 {
            let id = (round / 1000) as u16;
            let whole = bench.arrive(&fragment(HONEST, id, 0, true, 1480)).unwrap();
            assert!(whole.is_ok(), "round {round}");
        }
        let [datagrams, fragments, bytes] = bench.table.held();
        assert!(datagrams <= limits.datagrams && fragments <= limits.fragments);
        assert!(bytes <= limits.bytes);
    }
    assert_eq!(bench.table.counts().get(Outcome::Completed), 60);
    bench.end();
}

#[test]
fn one_datagram_cannot_take_what_its_source_may_not_have() {
    // The smallest limits: a share is one datagram.
    let mut bench = Bench::new(Limits {
        datagrams: 1,
        fragments: 1,
        bytes: 1,
        ..Limits::default()
    });
    assert_eq!(
        bench.outcome(&fragment(HONEST, 1, 0, true, 8)),
        Outcome::Held
    );
    assert_eq!(
        bench.outcome(&fragment(HONEST, 2, 0, true, 8)),
        Outcome::Held
    );
    assert_eq!(bench.table.counts().get(Outcome::SourceShare), 1);
    assert!(matches!(
        bench.arrive(&fragment(HONEST, 2, 1, false, 8)),
        Some(Ok(_))
    ));
    bench.end();
}
