//! Settings of workers and their queues: CPUs, how queues are dealt out, which one is pinned where.

use super::problem::Problem;
use super::row::Map;
use crate::workers::assign::{Auto, POLICIES, Policy, Rules};
use ofp::text::digits;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most CPUs that a mask can name.
const CPUS: usize = 128;
/// Most queues of a port.
pub const QUEUES_MAX: u64 = 64;

/// `pmd-rxq-assign` and `pmd-rxq-isolate`. The latter is only heard with the assignment `group`: the two may be set one after the other.
pub fn rules(options: &mut Map<'_>, problems: &mut Vec<Problem>) -> Rules {
    let policy = options.parse("pmd-rxq-assign", problems, |word| {
        let row = POLICIES.iter().find(|(name, _)| *name == word);
        row.map(|(_, policy)| *policy)
            .ok_or("cycles, roundrobin or group".to_owned())
    });
    let policy = policy.unwrap_or_default();
    let isolate = options.bool("pmd-rxq-isolate", problems).unwrap_or(true);
    let isolate = isolate || policy != Policy::Group;
    Rules { policy, isolate }
}

/// `pmd-auto-lb` and what begins like it.
pub fn auto(options: &mut Map<'_>, problems: &mut Vec<Problem>) -> Auto {
    let default = Auto::default();
    let minutes = options.number("pmd-auto-lb-rebal-interval", 0..=20_000, problems);
    let interval = minutes.filter(|minutes| *minutes > 0);
    let mut percent = |key| options.number(key, 0..=100, problems);
    let load = percent("pmd-auto-lb-load-threshold");
    let improvement = percent("pmd-auto-lb-improvement-threshold");
    Auto {
        is_on: options.bool("pmd-auto-lb", problems).unwrap_or(false),
        interval: interval.map_or(default.interval, |minutes| {
            Duration::from_secs(60 * minutes)
        }),
        load_percent: load.unwrap_or(default.load_percent),
        improvement_percent: improvement.unwrap_or(default.improvement_percent),
    }
}

/// Longest sleep in microseconds: `pmd-sleep-max`, or `pmd-maxsleep` as older versions of Open vSwitch say.
pub fn sleep_max(options: &mut Map<'_>, problems: &mut Vec<Problem>) -> Option<u64> {
    let mut read = |key| {
        options.parse(key, problems, |word| {
            digits(word, 10)
                .filter(|micros| *micros <= 10_000)
                .ok_or("microseconds, 0 to 10000".into())
        })
    };
    let (new, old) = (read("pmd-sleep-max"), read("pmd-maxsleep"));
    new.or(old)
}

/// `pmd-cpu-mask`: at least one of its CPUs has to be there.
pub fn worker_cpus(word: &str) -> Result<Vec<usize>, String> {
    let cpus = cpu_mask(word)?;
    let online = online_cpus();
    let is_there = online.is_empty() || cpus.iter().any(|cpu| online.contains(cpu));
    is_there
        .then_some(cpus)
        .ok_or_else(|| format!("a CPU mask with a CPU that is online: {online:?} are"))
}

/// CPUs of a hexadecimal mask, `0x` optional, as the stock switch reads it.
fn cpu_mask(word: &str) -> Result<Vec<usize>, String> {
    let hex = word
        .strip_prefix("0x")
        .or(word.strip_prefix("0X"))
        .unwrap_or(word);
    let mask: u128 = digits(hex, 16).ok_or("a hexadecimal CPU mask such as 0x6")?;
    if mask == 0 {
        return Err("a CPU mask with at least one CPU".into());
    }
    Ok((0..CPUS).filter(|cpu| mask >> cpu & 1 != 0).collect())
}

/// The CPUs of this machine that run; none if it does not say.
pub fn online_cpus() -> Vec<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    cpu_list(text.trim()).unwrap_or_default()
}

/// `0-3,6` as Linux says it.
fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(first..=last.min(first + 8192));
    }
    Some(cpus)
}

/// `pmd-rxq-affinity`: CPU by queue.
pub fn affinity(word: &str) -> Result<BTreeMap<usize, usize>, String> {
    let right =
        || format!("QUEUE:CPU,... such as 0:3,1:5, queues below {QUEUES_MAX}, CPUs below {CPUS}");
    let mut affinity = BTreeMap::new();
    let pairs = word.split([',', ' ']).filter(|pair| !pair.is_empty());
    for pair in pairs {
        let (queue, cpu) = pair.split_once(':').ok_or_else(right)?;
        let below = |word, limit| digits::<u64>(word, 10).filter(|n| *n < limit);
        let pair = below(queue, QUEUES_MAX).zip(below(cpu, CPUS as u64));
        let (queue, cpu) = pair.ok_or_else(right)?;
        if affinity.insert(queue as usize, cpu as usize).is_some() {
            return Err(format!("one CPU for each queue: {queue} has two"));
        }
    }
    Ok(affinity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_masks() {
        assert_eq!(cpu_mask("0x6"), Ok(vec![1, 2]));
        assert_eq!(cpu_mask("1"), Ok(vec![0]));
        assert!(cpu_mask("0").is_err() && cpu_mask("zz").is_err());
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(cpu_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(cpu_list("0"), Some(vec![0]));
        assert_eq!(cpu_list("x"), None);
    }

    #[test]
    fn affinities() {
        assert_eq!(affinity("0:3,2:0"), Ok(BTreeMap::from([(0, 3), (2, 0)])));
        assert_eq!(affinity(""), Ok(BTreeMap::new()));
        for wrong in [
            "0", "0:", "a:1", "0:1,0:2", "64:1", "0:128", "-1:0", "0:1:2",
        ] {
            assert!(affinity(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn noise_never_panics(word in ".{0,40}") {
            let _ = (affinity(&word), cpu_mask(&word));
        }
    }
}
