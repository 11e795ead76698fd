//! Which worker polls which receive queue. Pure: loads in, places out; the words are those of Open vSwitch.

use std::cmp::Reverse;
use std::time::Duration;

/// How queues that nobody pinned are dealt out (`pmd-rxq-assign`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Dearest first, to the workers in turn, forwards and then backwards.
    #[default]
    Cycles,
    /// In their order, to the workers in turn.
    RoundRobin,
    /// Dearest first, each to the worker that has least to do.
    Group,
}

/// Name of each policy.
pub const POLICIES: &[(&str, Policy)] = &[
    ("cycles", Policy::Cycles),
    ("roundrobin", Policy::RoundRobin),
    ("group", Policy::Group),
];

/// How queues are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Those that nobody pinned.
    pub policy: Policy,
    /// Whether a worker with a pinned queue gets no other (`pmd-rxq-isolate`).
    pub isolate: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            policy: Policy::Cycles,
            isolate: true,
        }
    }
}

/// When they are dealt out again by themselves (`pmd-auto-lb`, and what begins like it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auto {
    /// At all.
    pub is_on: bool,
    /// It is looked at this often.
    pub interval: Duration,
    /// If a worker has so much to do, in percent,
    pub load_percent: u64,
    /// and if it makes the loads so much more even, in percent of their variance.
    pub improvement_percent: u64,
}

impl Default for Auto {
    fn default() -> Auto {
        Auto {
            is_on: false,
            interval: Duration::from_secs(60),
            load_percent: 95,
            improvement_percent: 25,
        }
    }
}

/// A receive queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What it costs, in any unit.
    pub load: u64,
    /// The worker that it has to go to.
    pub pinned: Option<usize>,
}

/// Workers that get only queues that are pinned to them. If that would be all, none is: no queue stays unpolled.
pub fn isolated(rules: Rules, workers: usize, items: &[Item]) -> Vec<bool> {
    let mut isolated = vec![false; workers];
    let pins = items.iter().filter_map(|item| item.pinned);
    pins.filter(|_| rules.isolate)
        .for_each(|worker| isolated[worker] = true);
    if isolated.iter().all(|isolated| *isolated) {
        isolated.fill(false);
    }
    isolated
}

/// The worker of each queue, by number.
pub fn assign(rules: Rules, workers: usize, items: &[Item]) -> Vec<usize> {
    let isolated = isolated(rules, workers, items);
    let open: Vec<usize> = (0..workers).filter(|worker| !isolated[*worker]).collect();
    let mut loads = vec![(0u64, 0usize); workers];
    let mut places: Vec<usize> = items.iter().map(|item| item.pinned.unwrap_or(0)).collect();
    let pinned = items
        .iter()
        .filter_map(|item| Some((item.pinned?, item.load)));
    for (worker, load) in pinned {
        loads[worker] = (loads[worker].0 + load, loads[worker].1 + 1);
    }
    let mut free: Vec<usize> = (0..items.len())
        .filter(|item| items[*item].pinned.is_none())
        .collect();
    if rules.policy != Policy::RoundRobin {
        free.sort_by_key(|item| Reverse(items[*item].load));
    }
    for (turn, item) in free.into_iter().enumerate() {
        let (round, step) = (turn / open.len(), turn % open.len());
        let worker = match rules.policy {
            Policy::Cycles if round % 2 == 1 => open[open.len() - 1 - step],
            Policy::Cycles | Policy::RoundRobin => open[step],
            Policy::Group => least(&open, &loads),
        };
        loads[worker] = (loads[worker].0 + items[item].load, loads[worker].1 + 1);
        places[item] = worker;
    }
    places
}

/// The worker among these that has least to do, and the fewest queues.
fn least(open: &[usize], loads: &[(u64, usize)]) -> usize {
    let least = open.iter().min_by_key(|worker| loads[**worker]);
    least.copied().unwrap_or(0)
}

/// Where one more queue goes while the others stay: to the worker that has least to do, in steps of a tenth of a core,
/// as what is measured of quiet queues is chance; of those to the one with the fewest queues. `loads`: percent and queues.
pub fn place(open: &[usize], loads: &[(u64, usize)]) -> usize {
    let coarse: Vec<(u64, usize)> = loads.iter().map(|(load, len)| (load / 10, *len)).collect();
    least(open, &coarse)
}

/// How much more even the loads of the workers that are not isolated become by other places, in percent of their variance.
pub fn improvement(
    rules: Rules,
    workers: usize,
    items: &[Item],
    now: &[usize],
    then: &[usize],
) -> u64 {
    let isolated = isolated(rules, workers, items);
    let variance = |places: &[usize]| {
        let mut loads = vec![0u64; workers];
        for (item, place) in items.iter().zip(places) {
            loads[*place] += item.load;
        }
        let loads: Vec<u128> = (0..workers)
            .filter(|worker| !isolated[*worker])
            .map(|worker| u128::from(loads[worker]))
            .collect();
        let len = loads.len().max(1) as u128;
        let mean = loads.iter().sum::<u128>() / len;
        loads
            .iter()
            .map(|load| load.abs_diff(mean).pow(2))
            .sum::<u128>()
            / len
    };
    let (before, after) = (variance(now), variance(then));
    match before {
        0 => 0,
        _ => (before.saturating_sub(after) * 100 / before) as u64,
    }
}

/// Whether the queues are to be dealt out again: `loads` are those of the workers, in percent.
pub fn is_worth_it(auto: Auto, rules: Rules, loads: &[u64], items: &[Item], now: &[usize]) -> bool {
    let workers = loads.len();
    let isolated = isolated(rules, workers, items);
    let open = || (0..workers).filter(|worker| !isolated[*worker]);
    let has_several = |worker| now.iter().filter(|place| **place == worker).count() > 1;
    let can_help =
        rules.policy != Policy::RoundRobin && open().count() > 1 && open().any(has_several);
    if !auto.is_on || !can_help || !open().any(|worker| loads[worker] >= auto.load_percent) {
        return false;
    }
    let then = assign(rules, workers, items);
    then != now && improvement(rules, workers, items, now, &then) >= auto.improvement_percent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(loads: &[u64]) -> Vec<Item> {
        loads
            .iter()
            .map(|load| Item {
                load: *load,
                pinned: None,
            })
            .collect()
    }

    fn rules(policy: Policy, isolate: bool) -> Rules {
        Rules { policy, isolate }
    }

    #[test]
    fn each_policy_deals_as_it_says() {
        let items = items(&[10, 80, 30, 50]);
        let places = |policy| assign(rules(policy, true), 2, &items);
        assert_eq!(places(Policy::RoundRobin), [0, 1, 0, 1]);
        // 80, 50, 30, 10 to 0, 1, 1, 0.
        assert_eq!(places(Policy::Cycles), [0, 0, 1, 1]);
        // 80 | 50 | 50 + 30 | 80 + 10
        assert_eq!(places(Policy::Group), [0, 0, 1, 1]);
    }

    #[test]
    fn a_pinned_queue_has_its_worker_to_itself_unless_told_otherwise() {
        let mut items = items(&[0, 0, 0, 0]);
        items[2].pinned = Some(0);
        assert_eq!(assign(rules(Policy::Cycles, true), 2, &items), [1, 1, 0, 1]);
        assert_eq!(
            isolated(rules(Policy::Cycles, true), 2, &items),
            [true, false]
        );
        assert_eq!(assign(rules(Policy::Group, false), 2, &items), [1, 0, 0, 1]);
        // All would be isolated: then none is.
        items[3].pinned = Some(1);
        assert_eq!(
            assign(rules(Policy::RoundRobin, true), 2, &items),
            [0, 1, 0, 1]
        );
    }

    #[test]
    fn a_new_queue_goes_where_there_is_room() {
        assert_eq!(place(&[0, 1], &[(3, 2), (1, 1)]), 1);
        assert_eq!(place(&[0, 1], &[(3, 1), (1, 2)]), 0);
        assert_eq!(place(&[0, 1], &[(70, 1), (20, 4)]), 1);
        assert_eq!(place(&[1], &[(0, 0), (90, 4)]), 1);
    }

    #[test]
    fn automatic_balance_looks_at_load_and_gain() {
        let (rules, auto) = (
            Rules::default(),
            Auto {
                is_on: true,
                ..Auto::default()
            },
        );
        let items = items(&[60, 40, 5]);
        let crowded = [0, 0, 1];
        assert!(is_worth_it(auto, rules, &[97, 10], &items, &crowded));
        assert!(!is_worth_it(auto, rules, &[90, 10], &items, &crowded));
        assert!(!is_worth_it(
            Auto::default(),
            rules,
            &[97, 10],
            &items,
            &crowded
        ));
        // As good as it gets already.
        assert!(!is_worth_it(
            auto,
            rules,
            &[97, 10],
            &items,
            &assign(rules, 2, &items)
        ));
        let in_turn = Rules {
            policy: Policy::RoundRobin,
            ..rules
        };
        assert!(!is_worth_it(auto, in_turn, &[97, 10], &items, &crowded));
        // One queue is too much for one worker: moving it helps nobody.
        assert!(!is_worth_it(
            auto,
            rules,
            &[100, 1],
            &self::items(&[100, 1]),
            &[0, 1]
        ));
    }

    #[test]
    fn improvement_is_the_part_of_the_variance_that_goes() {
        let items = items(&[50, 50]);
        assert_eq!(
            improvement(Rules::default(), 2, &items, &[0, 0], &[0, 1]),
            100
        );
        assert_eq!(
            improvement(Rules::default(), 2, &items, &[0, 1], &[0, 0]),
            0
        );
    }

    proptest! {
        #[test]
        fn every_queue_gets_a_worker_that_is_there(
            loads in proptest::collection::vec((0u64..1000, proptest::option::of(0usize..4)), 0..20),
            workers in 4usize..8,
            policy in 0usize..3,
            isolate: bool,
        ) {
            let items: Vec<Item> = loads.into_iter().map(|(load, pinned)| Item { load, pinned }).collect();
            let rules = rules(POLICIES[policy].1, isolate);
            let places = assign(rules, workers, &items);
            let isolated = isolated(rules, workers, &items);
            for (item, place) in items.iter().zip(&places) {
                match item.pinned {
                    Some(worker) => prop_assert_eq!(*place, worker),
                    None => prop_assert!(*place < workers && !isolated[*place]),
                }
            }
            // The greatest and the least load of group's workers differ by no more than the dearest queue.
            if policy == 2 && items.iter().all(|item| item.pinned.is_none()) {
                let load = |worker| items.iter().zip(&places).filter(|(_, place)| **place == worker).map(|(item, _)| item.load).sum::<u64>();
                let loads: Vec<u64> = (0..workers).map(load).collect();
                let dearest = items.iter().map(|item| item.load).max().unwrap_or(0);
                prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= dearest);
            }
        }
    }
}
