//! The classifier is as a linear scan.

use super::*;
use crate::fragment::Secret;
use crate::model::id::RuleId;
use ofp::field::Field;
use ofp::types::{Cookie, TableId};
use proptest::prelude::*;

const FIELDS: [Field; 3] = [Field::InPort, Field::IpDst, Field::TcpDst];
const MASKS: [u128; 4] = [0, 0xf0, 0xff, 0xffff];

fn rule(id: u32, priority: u16, parts: [(usize, u128); 3]) -> Arc<Rule> {
    let mut matching = Match::default();
    for (field, (mask, value)) in FIELDS.iter().zip(parts) {
        matching.set(field.place(), value, MASKS[mask]);
    }
    let (table, cookie) = (TableId(0), Cookie(0));
    Arc::new(Rule {
        id: RuleId(id),
        table,
        priority,
        matching,
        actions: Box::new([]),
        cookie,
    })
}

/// A rule that is a part of a conjunction, or one that matches its id.
fn conjunctive(id: u32, priority: u16, parts: [(usize, u128); 3], of: (u32, u8, u8)) -> Arc<Rule> {
    let mut rule = rule(id, priority, parts).as_ref().clone();
    match of {
        (id, _, 0) => rule
            .matching
            .set(Field::ConjId.place(), id.into(), u128::MAX),
        (id, clause, more) => {
            let action = ofp::action::Action::Conjunction {
                id,
                clause: clause % (more + 1),
                n_clauses: more + 1,
            };
            rule.actions = [action].into();
        }
    }
    Arc::new(rule)
}

const ADDRESSES: [Field; 4] = [Field::IpSrc, Field::IpDst, Field::TcpSrc, Field::TcpDst];

/// A rule as access lists have them: lengths of prefixes, and few values, so that many rules share coarse masks.
fn listed(id: u32, priority: u16, lengths: [u32; 4], values: u32) -> Arc<Rule> {
    let mut matching = Match::default();
    for (n, (field, length)) in ADDRESSES.iter().zip(lengths).enumerate() {
        let width = u32::from(field.place().width);
        let mask = ((1u128 << length) - 1) << (width - length);
        matching.set(field.place(), value_of(n, values), mask);
    }
    let rule = rule(id, priority, [(0, 0); 3]).as_ref().clone();
    Arc::new(Rule { matching, ..rule })
}

/// One of four values of a field, of which three differ in the last bits only.
fn value_of(field: usize, values: u32) -> u128 {
    [0x0a01, 0x0a02, 0x0a03, 0x8001][(values >> (2 * field) & 3) as usize]
        << if field < 2 { 16 } else { 0 }
}

fn listed_key(values: u32) -> Key {
    let mut key = Key::default();
    for (n, field) in ADDRESSES.iter().enumerate() {
        key.set(field.place(), value_of(n, values), u128::MAX);
    }
    key
}

/// The n-th rule of a list with many masks.
fn nth(n: u32) -> Arc<Rule> {
    let mut state = (u64::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = |below: u64| {
        state = (state ^ state >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (state >> 33) % below
    };
    let mut matching = Match::default();
    for (field, bits) in ADDRESSES.iter().zip([32, 32, 16, 16]) {
        let mask = u128::MAX << next(bits + 1);
        matching.set(field.place(), next(1 << bits).into(), mask);
    }
    let rule = rule(n, next(1000) as u16, [(0, 0); 3]).as_ref().clone();
    Arc::new(Rule { matching, ..rule })
}

#[test]
fn churn_leaves_no_more_tables_than_there_were() {
    const LEN: u32 = 2000;
    let mut tested = Classifier::new(Secret::new(0));
    (0..LEN).for_each(|n| tested.insert(nth(n)));
    let masks = tested.masks_in_use;
    let (fresh, mut most) = (tested.order.len(), 0);
    assert!(masks > 1000 && fresh < 100, "{masks} masks, {fresh} tables");
    for n in LEN..10 * LEN {
        assert!(tested.remove(&nth(n - LEN)).is_some());
        tested.insert(nth(n));
        most = most.max(tested.order.len());
    }
    assert_eq!(tested.len(), LEN as usize);
    assert!(most < 2 * fresh, "{most} tables, {fresh} at first");
    for n in 9 * LEN..10 * LEN {
        assert!(tested.remove(&nth(n)).is_some());
    }
    assert_eq!(
        (tested.len(), tested.order.len(), tested.masks_in_use),
        (0, 0, 0)
    );
    let kept = tested.masks.len() - tested.free_masks.len();
    assert!(kept <= IDLE_MASKS, "{kept} masks");
    assert!(tested.tables.iter().all(|table| table.len() == 0));
}

#[test]
fn what_most_rules_look_at_has_a_table_of_its_own() {
    let mut tested = Classifier::new(Secret::new(0));
    (0..200).for_each(|n| tested.insert(nth(n)));
    let exact = |n: u32| {
        let mut matching = Match::default();
        for (at, field) in ADDRESSES.iter().enumerate() {
            matching.set(field.place(), u128::from(n >> (4 * at)), u128::MAX);
        }
        Arc::new(Rule {
            matching,
            ..nth(n).as_ref().clone()
        })
    };
    (0..20_000).for_each(|n| tested.insert(exact(n)));
    let number = tested.mask_number(&exact(0).matching).expect("has a mask");
    let places = &tested.masks[number as usize].places;
    let own = places.last().expect("its own");
    assert!(own.len > 18_000 && tested.tables[own.table as usize].foreign == 0);
}

/// The largest number of these keys that meet under one of 1,024 values of a hash's upper bits, by which tables choose buckets.
fn crowd(secret: Secret, keys: &[Key]) -> usize {
    let words = words_of(&secret, &exact_addresses());
    let mut met = vec![0; 1024];
    for key in keys {
        met[hash_of_key(&words, key) as usize >> 22] += 1;
    }
    met.into_iter().max().unwrap_or_default()
}

fn exact_addresses() -> Match {
    let mut matching = Match::default();
    let places = ADDRESSES.iter().map(|field| field.place());
    places.for_each(|place| matching.set(place, 0, u128::MAX));
    matching
}

/// A key with these values of [`ADDRESSES`].
fn addressed(values: [u32; 4]) -> Key {
    let mut key = Key::default();
    for (field, value) in ADDRESSES.iter().zip(values) {
        key.set(field.place(), value.into(), u128::MAX);
    }
    key
}

#[test]
fn what_crowds_one_secret_is_spread_with_another() {
    let known = Secret::new(1);
    let words = words_of(&known, &exact_addresses());
    let keys = (0..1 << 20).map(|n| addressed([0x0a00_0000 | n, 0x0a63_0001, n >> 3 & 0xffff, 80]));
    let crowded: Vec<Key> = keys
        .filter(|key| hash_of_key(&words, key) >> 22 == 7)
        .collect();
    assert!(crowded.len() > 800 && crowd(known, &crowded) == crowded.len());
    for seed in 2..20 {
        let met = crowd(Secret::new(seed), &crowded);
        assert!(met < 12, "{met} of {} with {seed}", crowded.len());
    }
}

#[test]
fn every_secret_spreads_neighbours() {
    let sets: [fn(u32) -> [u32; 4]; 5] = [
        |n| [n, 0, 0, 0],
        |n| [0x0a00_0001, n << 8, 0, 0],
        |n| [n, n, 0, 0],
        |n| [0, 0, n, n],
        |n| [n << 20, 1 << 31, n, 0],
    ];
    for (nth, set) in sets.into_iter().enumerate() {
        let keys: Vec<Key> = (0..4096).map(|n| addressed(set(n))).collect();
        for seed in [0, 1, 2, 3, 1 << 64, u128::MAX, 0x1234_5678_9abc_def0 << 30] {
            let met = crowd(Secret::new(seed), &keys);
            assert!(met < 40, "{met} of set {nth} with {seed}");
        }
    }
}

#[test]
fn one_match_with_many_priorities_is_read_once() {
    const LEN: u32 = 20_000;
    let mut tested = Classifier::new(Secret::new(0));
    let nth = |n: u32| {
        rule(
            n,
            (n * 7919 % LEN) as u16,
            [(3, 1), (2, n as u128 % 2), (0, 0)],
        )
    };
    (0..LEN).for_each(|n| tested.insert(nth(n)));
    let entries = |tested: &Classifier| tested.tables.iter().map(Table::len).sum::<usize>();
    assert_eq!((tested.len(), entries(&tested)), (LEN as usize, 2));
    assert_eq!(tested.iter().count(), LEN as usize);
    let mut key = Key::default();
    key.set(FIELDS[0].place(), 1, u128::MAX);
    let mut all: Vec<_> = (0..LEN).step_by(2).map(nth).collect();
    all.sort_by_key(|rule| Reverse(rule.priority));
    for best in all {
        assert!(tested.lookup(&key).is_some_and(|found| found.id == best.id));
        assert!(tested.has(&best.matching, best.priority));
        assert!(
            tested
                .remove(&best)
                .is_some_and(|found| found.id == best.id)
        );
    }
    assert!(tested.lookup(&key).is_none());
    assert_eq!((tested.len(), entries(&tested)), (LEN as usize / 2, 1));
}

proptest! {
    #[test]
    fn many_masks_agree_with_a_linear_scan(
        ops in prop::collection::vec((0..4u8, 0..6u16, [0..33u32, 0..33u32, 0..17u32, 0..17u32], any::<u32>()), 1..500),
        keys in prop::collection::vec(any::<u32>(), 1..40),
    ) {
        let (mut tested, mut oracle) = (Classifier::new(Secret::new(0)), Vec::<Arc<Rule>>::new());
        for (id, (kind, priority, lengths, values)) in ops.into_iter().enumerate() {
            let chosen = (!oracle.is_empty()).then(|| oracle[values as usize % oracle.len()].clone());
            match (kind, chosen) {
                (0, Some(rule)) => {
                    prop_assert!(tested.has(&rule.matching, rule.priority));
                    prop_assert_eq!(tested.remove(&rule).map(|r| r.id), Some(rule.id));
                    prop_assert!(!tested.has(&rule.matching, rule.priority));
                    oracle.retain(|r| r.id != rule.id);
                }
                (1, Some(rule)) => {
                    let other = Rule { id: RuleId(id as u32), ..rule.as_ref().clone() };
                    oracle.retain(|r| r.id != rule.id);
                    oracle.push(Arc::new(other.clone()));
                    tested.insert(Arc::new(other));
                }
                _ => {
                    let rule = listed(id as u32, priority, lengths, values);
                    oracle.retain(|r| (r.priority, &r.matching) != (rule.priority, &rule.matching));
                    oracle.push(rule.clone());
                    tested.insert(rule);
                }
            }
            prop_assert_eq!(tested.len(), oracle.len());
        }
        let mut ids: Vec<u32> = tested.iter().map(|r| r.id.0).collect();
        ids.sort_unstable();
        let mut all: Vec<u32> = oracle.iter().map(|r| r.id.0).collect();
        all.sort_unstable();
        prop_assert_eq!(ids, all);
        for values in keys {
            let key = listed_key(values);
            let best = |fits: &dyn Fn(&Rule) -> bool| {
                let matching = oracle.iter().filter(|r| r.matching.matches(&key) && fits(r));
                matching.map(|r| r.priority).max()
            };
            let got = tested.lookup(&key);
            prop_assert_eq!(got.map(|r| r.priority), best(&|_| true));
            prop_assert!(got.is_none_or(|r| r.matching.matches(&key)));
            let bare = tested.lookup_bare(&key).map(|r| r.priority);
            prop_assert_eq!(bare, best(&|rule| !rule.matching.implies_ethernet()));
        }
    }

    #[test]
    fn a_table_finds_what_is_in_it(
        ops in prop::collection::vec((any::<bool>(), 0..6u32, 0..3u16), 1..400),
    ) {
        let (mut table, mut oracle) = (Table::default(), Vec::<(u32, u32, u16)>::new());
        for (id, (add, n, priority)) in ops.into_iter().enumerate() {
            // The same bucket, neighbours, the last one that is followed by the first; the same tags.
            let hash = [0, 1, 0x4000_0000, 0x4000_0001, 0xffff_0000, 0x8000_0000][n as usize];
            if add {
                let entry = Entry::new(rule(id as u32, priority, [(0, 0); 3]), 0, 0);
                table.insert(hash, entry);
                oracle.push((hash, id as u32, priority));
            } else if let Some(at) = oracle.iter().position(|(h, ..)| *h == hash) {
                let (_, id, _) = oracle.remove(at);
                let place = table.find(hash, |entry| entry.rule.id.0 == id);
                prop_assert!(place.is_some_and(|place| table.remove(place).is_some()));
            }
            prop_assert_eq!(table.len(), oracle.len());
            prop_assert_eq!(table.highest(), oracle.iter().map(|o| o.2).max());
            for &(hash, id, _) in &oracle {
                prop_assert!(table.find(hash, |entry| entry.rule.id.0 == id).is_some());
            }
        }
    }

    #[test]
    fn conjunctions_agree_with_a_linear_scan(
        ops in prop::collection::vec((0..8u8, 0..4u16, [(0..2usize, 0..2u128), (0..2usize, 0..2u128), (0..2usize, 0..2u128)], (0..3u32, 0..3u8, 0..3u8)), 1..60),
        keys in prop::collection::vec([0..256u128, 0..256u128, 0..256u128], 1..20),
    ) {
        let (mut tested, mut oracle) = (Classifier::new(Secret::new(0)), Vec::<Arc<Rule>>::new());
        for (id, (kind, priority, parts, of)) in ops.into_iter().enumerate() {
            let parts = parts.map(|(mask, value)| (mask, value << 4));
            let rule = match kind {
                0..5 => conjunctive(id as u32, priority, parts, of),
                _ => rule(id as u32, priority, parts),
            };
            oracle.retain(|r| (r.priority, &r.matching) != (rule.priority, &rule.matching));
            if kind == 7 {
                tested.remove(&rule);
            } else {
                tested.insert(rule.clone());
                oracle.push(rule);
            }
            prop_assert_eq!(tested.len(), oracle.len());
            prop_assert_eq!(tested.iter().count(), oracle.len());
        }
        for values in keys {
            let mut key = Key::default();
            FIELDS.iter().zip(values).for_each(|(f, v)| key.set(f.place(), v, u128::MAX));
            let want = crate::model::conjunction::scan(oracle.iter(), &key).map(|r| r.priority);
            prop_assert_eq!(tested.lookup(&key).map(|r| r.priority), want);
        }
    }

    #[test]
    fn agrees_with_a_linear_scan(
        ops in prop::collection::vec((any::<bool>(), 0..4u16, [(0..4usize, 0..256u128), (0..4usize, 0..256u128), (0..4usize, 0..256u128)]), 1..60),
        keys in prop::collection::vec([0..256u128, 0..256u128, 0..256u128], 1..20),
    ) {
        let (mut tested, mut oracle) = (Classifier::new(Secret::new(0)), Vec::<Arc<Rule>>::new());
        for (id, (add, priority, parts)) in ops.into_iter().enumerate() {
            let rule = rule(id as u32, priority, parts);
            oracle.retain(|r| (r.priority, &r.matching) != (rule.priority, &rule.matching));
            if add {
                tested.insert(rule.clone());
                oracle.push(rule);
            } else {
                tested.remove(&rule);
            }
            prop_assert_eq!(tested.len(), oracle.len());
        }
        for values in keys {
            let mut key = Key::default();
            FIELDS.iter().zip(values).for_each(|(f, v)| key.set(f.place(), v, u128::MAX));
            let want = oracle.iter().filter(|r| r.matching.matches(&key)).map(|r| r.priority).max();
            let got = tested.lookup(&key);
            prop_assert_eq!(got.map(|r| r.priority), want);
            prop_assert!(got.is_none_or(|r| r.matching.matches(&key)));
        }
    }

    #[test]
    fn few_matches_with_many_priorities_agree_with_a_linear_scan(
        ops in prop::collection::vec((0..5u8, any::<u16>(), 0..3u128, any::<prop::sample::Index>(), 0..3u8), 1..200),
    ) {
        let (mut tested, mut oracle) = (Classifier::new(Secret::new(0)), Vec::<Arc<Rule>>::new());
        for (id, (kind, priority, value, chosen, clause)) in ops.into_iter().enumerate() {
            let parts = [(2, value), (0, 0), (0, 0)];
            // Low priorities meet others of the same match.
            let priority = if kind == 1 { priority % 8 } else { priority };
            let rule = match kind {
                0 if !oracle.is_empty() => oracle[chosen.index(oracle.len())].clone(),
                4 => conjunctive(id as u32, priority, parts, (1, clause, 1)),
                _ => rule(id as u32, priority, parts),
            };
            let len = oracle.len();
            oracle.retain(|r| (r.priority, &r.matching) != (rule.priority, &rule.matching));
            if kind == 0 {
                prop_assert_eq!(tested.remove(&rule).is_some(), oracle.len() < len);
            } else {
                tested.insert(rule.clone());
                oracle.push(rule.clone());
            }
            prop_assert_eq!(tested.has(&rule.matching, rule.priority), kind != 0);
            prop_assert_eq!((tested.len(), tested.iter().count()), (oracle.len(), oracle.len()));
            for value in 0..3 {
                let mut key = Key::default();
                key.set(FIELDS[0].place(), value, u128::MAX);
                let want = crate::model::conjunction::scan(oracle.iter(), &key).map(|r| r.id);
                prop_assert_eq!(tested.lookup(&key).map(|r| r.id), want);
            }
        }
        let mut tables = tested.tables.iter();
        prop_assert!(tables.all(|table| table.len() <= 3));
    }
}
