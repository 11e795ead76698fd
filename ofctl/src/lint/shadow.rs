//! Rules that no packet reaches: those that a rule of a higher priority hides, and those that another line
//! replaces. Rules with the same mask are in one map, so that a large file takes seconds.

use super::{Entry, Finding, Severity, by_table};
use ofp::key::Match;
use std::collections::HashMap;

/// The bits that matter, by key word.
type Mask = Vec<(u8, u64)>;

fn mask_of(matching: &Match) -> Mask {
    let words = matching.words().iter();
    words.map(|word| (word.index, word.mask)).collect()
}

/// The values of a rule under another one's mask; `None`: that one looks at bits that this rule leaves open.
fn under(matching: &Match, mask: &Mask) -> Option<Vec<u64>> {
    let words = matching.words();
    let value = |(index, mask): &(u8, u64)| {
        let at = words.binary_search_by_key(index, |w| w.index).ok()?;
        (words[at].mask & mask == *mask).then_some(words[at].value & mask)
    };
    mask.iter().map(value).collect()
}

pub(super) fn find(entries: &[&Entry<'_>], findings: &mut Vec<Finding>) {
    for rules in by_table(entries).values() {
        // For each mask and value, the rule of the highest priority.
        let mut groups: HashMap<Mask, HashMap<Vec<u64>, usize>> = HashMap::new();
        let mut seen: HashMap<(u16, &Match), usize> = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            let flow = &rule.flow;
            if let Some(first) = seen.insert((flow.priority, &flow.matching), index) {
                findings.push(duplicate(rules[first], rule));
            }
            let mask = mask_of(&flow.matching);
            let values = flow.matching.words().iter().map(|w| w.value).collect();
            let best = groups.entry(mask).or_default().entry(values);
            let best = best.or_insert(index);
            if rules[*best].flow.priority < flow.priority {
                *best = index;
            }
        }
        for rule in rules {
            let hides = |group: (&Mask, &HashMap<Vec<u64>, usize>)| {
                let best = *group.1.get(&under(&rule.flow.matching, group.0)?)?;
                (rules[best].flow.priority > rule.flow.priority).then_some(best)
            };
            let hiding = groups.iter().filter_map(hides);
            if let Some(best) = hiding.min_by_key(|best| rules[*best].line) {
                findings.push(unreachable(rules[best], rule));
            }
        }
    }
}

fn duplicate(first: &Entry<'_>, second: &Entry<'_>) -> Finding {
    let message = format!(
        "the same match and priority as in line {}, which it replaces",
        first.line
    );
    let words = [second.matching()];
    let mut finding = second.find(Severity::Warning, "duplicate", &words, message);
    finding.help = Some("remove one of them, or change a priority".into());
    finding
}

fn unreachable(above: &Entry<'_>, rule: &Entry<'_>) -> Finding {
    let message = format!(
        "no packet reaches it: \"{}\" in line {} matches all of them with a higher priority",
        above.matching(),
        above.line
    );
    let words = [rule.matching()];
    let mut finding = rule.find(Severity::Warning, "unreachable", &words, message);
    finding.help = Some(format!("give it a priority above {}", above.flow.priority));
    finding
}
