//! The gpw pseudowire's two parts: as the original splits and joins them, and in any order.

use super::super::gpw::{Mode, OUTCOMES, Outcome, Reassembler, TIMEOUT, WAITING_MAX, split};
use super::*;
use crate::time::Time;
use ::packet::gpw::{ETHERNET_WHOLE_MAX, FIRST_SIZE, IPV6_WHOLE_MAX, Ids, Part};
use proptest::prelude::*;

struct Wire {
    pool: SimPool,
    ids: Ids,
    table: Reassembler<SimFrame>,
    now: Time,
}

impl Wire {
    fn new(mode: Mode) -> Wire {
        Wire {
            pool: SimPool::default(),
            ids: Ids::default(),
            table: Reassembler::new(mode),
            now: Time::secs(1),
        }
    }
    fn send(&mut self, bytes: &[u8], whole_max: usize) -> Vec<(Part, Vec<u8>)> {
        let (frame, mut out) = (self.pool.frame(bytes), Vec::new());
        let done = split(
            &mut self.pool,
            frame,
            whole_max,
            || self.ids.next_id(),
            &mut out,
        );
        let expected = if bytes.len() > whole_max {
            Outcome::Split
        } else {
            Outcome::Whole
        };
        assert_eq!(done.ok(), Some(expected));
        let (parts, mut frames): (Vec<_>, Vec<_>) = out.into_iter().unzip();
        let bytes: Vec<_> = frames.iter().map(SimFrame::bytes).collect();
        self.pool.free(&mut frames);
        parts.into_iter().zip(bytes).collect()
    }
    fn arrive(&mut self, part: Part, bytes: &[u8]) -> Result<Vec<u8>, Outcome> {
        let frame = self.pool.frame(bytes);
        let whole = self.table.insert(&mut self.pool, self.now, part, frame)?;
        let bytes = whole.bytes();
        self.pool.free(&mut vec![whole]);
        Ok(bytes)
    }
    fn end(mut self) {
        self.table.clear(&mut self.pool);
        assert_eq!(self.pool.outstanding(), 0);
    }
}

#[test]
fn split_as_the_original() {
    let mut wire = Wire::new(Mode::InOrder);
    for (size, whole_max, second) in [
        (1498, ETHERNET_WHOLE_MAX, None),
        (1499, ETHERNET_WHOLE_MAX, Some(219)),
        (1514, ETHERNET_WHOLE_MAX, Some(234)),
        (1458, IPV6_WHOLE_MAX, None),
        (1459, IPV6_WHOLE_MAX, Some(179)),
        (1518, IPV6_WHOLE_MAX, Some(238)),
    ] {
        let parts = wire.send(&payload(size), whole_max);
        let sizes: Vec<_> = parts.iter().map(|(_, bytes)| bytes.len()).collect();
        match second {
            None => assert_eq!((sizes, parts[0].0), (vec![size], Part::Whole)),
            Some(second) => assert_eq!(sizes, [FIRST_SIZE, second]),
        }
    }
    let parts = wire.send(&payload(1514), ETHERNET_WHOLE_MAX);
    assert_eq!([parts[0].0, parts[1].0], [Part::First(6), Part::Second(6)]);
    wire.end();
}

#[test]
fn what_cannot_be_split() {
    let mut wire = Wire::new(Mode::InOrder);
    let mut refused = |size, pending| {
        let mut frame = wire.pool.frame(&payload(size));
        let offload = crate::edge::Offload {
            csum_start: pending,
            ..Default::default()
        };
        frame.set_offload(offload);
        let mut out = Vec::new();
        let result = split(&mut wire.pool, frame, 1498, || wire.ids.next_id(), &mut out);
        let (outcome, frame) = result.expect_err("refused");
        assert_eq!(frame.bytes(), payload(size));
        wire.pool.free(&mut vec![frame]);
        outcome
    };
    assert_eq!(refused(1280 + 1499, 0), Outcome::TooBig);
    assert_eq!(refused(1600, 34), Outcome::Unfinished);
    wire.end();
}

#[test]
fn in_order_rules_of_the_original() {
    use Part::{First, Second, Whole};
    let mut wire = Wire::new(Mode::InOrder);
    assert_eq!(wire.arrive(Second(1), b"b"), Err(Outcome::NoFirst));
    assert_eq!(wire.arrive(First(1), b"a"), Err(Outcome::Held));
    assert_eq!(
        wire.arrive(Whole, b"w"),
        Ok(b"w".to_vec()),
        "the part still waits"
    );
    assert_eq!(wire.arrive(Second(1), b"b"), Ok(b"ab".to_vec()));
    // A new first part takes the place of the old one.
    assert_eq!(wire.arrive(First(2), b"a"), Err(Outcome::Held));
    assert_eq!(wire.arrive(First(3), b"c"), Err(Outcome::Held));
    assert_eq!(wire.table.count(Outcome::Replaced), 1);
    // Another id: both go.
    assert_eq!(wire.arrive(Second(2), b"b"), Err(Outcome::IdMismatch));
    assert_eq!(wire.arrive(Second(3), b"d"), Err(Outcome::NoFirst));
    assert_eq!(
        (
            wire.table.count(Outcome::Whole),
            wire.table.count(Outcome::Completed)
        ),
        (1, 1)
    );
    wire.end();
}

#[test]
fn parts_do_not_wait_for_ever() {
    for mode in [Mode::InOrder, Mode::Tolerant] {
        let mut wire = Wire::new(mode);
        assert_eq!(wire.arrive(Part::First(1), b"a"), Err(Outcome::Held));
        wire.now = wire.now + TIMEOUT;
        assert!(wire.arrive(Part::Second(1), b"b").is_err());
        assert_eq!(wire.table.count(Outcome::TimedOut), 1);
        let _ = wire.arrive(Part::First(2), b"a");
        wire.now = wire.now + TIMEOUT;
        assert!(wire.table.expire(&mut wire.pool, wire.now) > 0);
        assert_eq!(wire.pool.outstanding(), 0);
    }
}

#[test]
fn tolerant_of_order_but_bounded() {
    let mut wire = Wire::new(Mode::Tolerant);
    for id in 0..1000 {
        assert_eq!(wire.arrive(Part::Second(id), b"b"), Err(Outcome::Held));
        assert!(wire.pool.outstanding() <= WAITING_MAX as i64);
    }
    assert_eq!(
        wire.table.count(Outcome::Replaced),
        1000 - WAITING_MAX as u64
    );
    assert_eq!(wire.arrive(Part::First(999), b"a"), Ok(b"ab".to_vec()));
    assert_eq!(wire.arrive(Part::First(940), b"a"), Ok(b"ab".to_vec()));
    wire.end();
}

#[test]
fn without_a_buffer() {
    let mut pool = Scarce(SimPool::default(), 0);
    let frame = pool.0.frame(&payload(1500));
    let (mut ids, mut out) = (Ids::default(), Vec::new());
    let result = split(&mut pool, frame, 1498, || ids.next_id(), &mut out);
    let (outcome, frame) = result.expect_err("refused");
    assert_eq!((outcome, frame.bytes()), (Outcome::NoMemory, payload(1500)));
    let mut table = Reassembler::new(Mode::InOrder);
    let now = Time::secs(1);
    let held = table.insert(&mut pool, now, Part::First(1), frame);
    assert_eq!(held.err(), Some(Outcome::Held));
    let frame = pool.0.frame(b"b");
    let lost = table.insert(&mut pool, now, Part::Second(1), frame);
    assert_eq!(lost.err(), Some(Outcome::NoMemory));
    assert_eq!(pool.0.outstanding(), 0);
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

proptest! {
    #[test]
    fn split_then_join(size in 60usize..2738, six: bool, mode: bool) {
        let mut wire = Wire::new(if mode { Mode::Tolerant } else { Mode::InOrder });
        let whole_max = if six { IPV6_WHOLE_MAX } else { ETHERNET_WHOLE_MAX };
        let parts = wire.send(&payload(size), whole_max);
        prop_assert!(parts.iter().all(|(_, bytes)| bytes.len() <= whole_max));
        let results: Vec<_> = parts.iter().map(|(part, bytes)| wire.arrive(*part, bytes)).collect();
        prop_assert_eq!(results.last(), Some(&Ok(payload(size))));
        wire.end();
    }

    /// Parts of some frames, neighbours swapped at random: all frames arrive.
    #[test]
    fn reordered_parts_meet(swaps in proptest::collection::vec(any::<bool>(), 30)) {
        let mut wire = Wire::new(Mode::Tolerant);
        let mut parts: Vec<_> = (0..16).flat_map(|n| wire.send(&payload(1500 + n), 1498)).collect();
        for (index, swap) in swaps.iter().enumerate() {
            if *swap {
                parts.swap(index, index + 1);
            }
        }
        let whole = parts.iter().filter_map(|(part, bytes)| wire.arrive(*part, bytes).ok());
        let mut sizes: Vec<_> = whole.map(|frame| frame.len()).collect();
        sizes.sort();
        prop_assert_eq!(sizes, (1500..1516).collect::<Vec<_>>());
        prop_assert_eq!(wire.pool.outstanding(), 0);
    }
}
