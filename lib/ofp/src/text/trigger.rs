//! The instruction `stat_trigger` as text, read and printed.

use super::action::Arg;
use super::experimenter::inside;
use super::scan::{Result, Word};
use crate::action::{Action, StatTrigger};
use crate::message::Duration;

const FORM: &str =
    "stat_trigger(packet_count=1000), or periodic, only_first, duration, idle_time, byte_count";
const KEYS: [&str; 6] = [
    "periodic",
    "only_first",
    "duration",
    "idle_time",
    "packet_count",
    "byte_count",
];

/// `stat_trigger([periodic,][only_first,]STATISTIC=THRESHOLD,...)`
pub(super) fn stat_trigger(arg: &Arg<'_, '_>) -> Result<Action> {
    let value = inside(arg, FORM)?;
    let mut trigger = StatTrigger::default();
    for item in value.items_once() {
        let item = item?;
        let thresholds = &mut trigger.thresholds;
        match item.key.text {
            "periodic" => {
                item.bare()?;
                trigger.periodic = true;
            }
            "only_first" => {
                item.bare()?;
                trigger.only_first = true;
            }
            "duration" => thresholds.duration = Some(span(item.need()?)?),
            "idle_time" => thresholds.idle_time = Some(span(item.need()?)?),
            "packet_count" => thresholds.packet_count = Some(count(item.need()?)?),
            "byte_count" => thresholds.byte_count = Some(count(item.need()?)?),
            _ => {
                return Err(item.key.fail("not a key of stat_trigger").suggest(KEYS));
            }
        }
    }
    if trigger.thresholds == Default::default() {
        return Err(value.fail("names no statistic").help(FORM));
    }
    Ok(Action::StatTrigger(Box::new(trigger)))
}

fn count(word: Word<'_>) -> Result<u64> {
    match word.int()? {
        0 => Err(word.fail("nothing is reached at zero")),
        count => Ok(count),
    }
}

/// Seconds, with up to nine digits behind the point.
fn span(word: Word<'_>) -> Result<Duration> {
    let (secs, fraction) = match word.split_once(".") {
        Some((secs, fraction)) => (secs, Some(fraction)),
        None => (word, None),
    };
    let nanos = match fraction {
        None => 0,
        Some(digits) => {
            let is_number = digits.text.bytes().all(|b| b.is_ascii_digit());
            let padded = format!("{:0<9}", digits.text);
            let nanos = padded.parse().ok().filter(|_| is_number);
            nanos
                .filter(|_| padded.len() == 9 && !digits.text.is_empty())
                .ok_or_else(|| word.fail("not seconds").help("as in 10 or 0.5"))?
        }
    };
    match (secs.int()?, nanos) {
        (0, 0) => Err(word.fail("nothing is reached at zero")),
        (secs, nanos) => Ok(Duration { secs, nanos }),
    }
}

/// The instruction as it is typed.
pub(super) fn print(trigger: &StatTrigger) -> String {
    let mut parts = Vec::new();
    for (flag, name) in [
        (trigger.periodic, "periodic"),
        (trigger.only_first, "only_first"),
    ] {
        if flag {
            parts.push(name.to_owned());
        }
    }
    let of = &trigger.thresholds;
    for (name, span) in [("duration", of.duration), ("idle_time", of.idle_time)] {
        if let Some(Duration { secs, nanos }) = span {
            let text = format!("{secs}.{nanos:09}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            parts.push(format!("{name}={text}"));
        }
    }
    let flows = of.flow_count.map(u64::from);
    for (name, count) in [
        ("flow_count", flows),
        ("packet_count", of.packet_count),
        ("byte_count", of.byte_count),
    ] {
        if let Some(count) = count {
            parts.push(format!("{name}={count}"));
        }
    }
    format!("stat_trigger({})", parts.join(","))
}

#[cfg(test)]
mod tests {
    use crate::text::print::{Style, print_actions};
    use crate::text::{PortMap, read_actions};
    use crate::types::Version;

    #[test]
    fn what_is_typed_prints_back() {
        let ports = PortMap::default();
        for text in [
            "output:1,stat_trigger(packet_count=1000)",
            "stat_trigger(periodic,duration=10),goto_table:4",
            "stat_trigger(periodic,only_first,duration=1.5,idle_time=0.000000001,packet_count=3,byte_count=18446744073709551615)",
        ] {
            let actions = read_actions(text, &ports).unwrap();
            assert_eq!(
                print_actions(&actions, &Style::plain(Version::V15, &ports)),
                text
            );
        }
    }

    #[test]
    fn faults_are_pointed_at() {
        let ports = PortMap::default();
        for (text, word, message) in [
            ("stat_trigger", "stat_trigger", "needs a value"),
            ("stat_trigger(periodic)", "periodic", "names no statistic"),
            (
                "stat_trigger(periodic=1,duration=1)",
                "1",
                "periodic takes no value",
            ),
            (
                "stat_trigger(packet_count=0)",
                "0",
                "nothing is reached at zero",
            ),
            (
                "stat_trigger(duration=0.0)",
                "0.0",
                "nothing is reached at zero",
            ),
            ("stat_trigger(duration=1.)", "1.", "not seconds"),
            (
                "stat_trigger(duration=1.0000000001)",
                "1.0000000001",
                "not seconds",
            ),
            ("stat_trigger(duration=+1)", "+1", "not a number"),
            (
                "stat_trigger(flow_count=1)",
                "flow_count",
                "not a key of stat_trigger",
            ),
            (
                "stat_trigger(duration=1,duration=2)",
                "duration",
                "given twice",
            ),
            (
                "goto_table:2,stat_trigger(duration=1)",
                "stat_trigger",
                "must stand before goto_table",
            ),
        ] {
            let error = read_actions(text, &ports).unwrap_err();
            assert_eq!(
                (error.word.as_str(), error.message.as_str()),
                (word, message),
                "{text}"
            );
        }
    }
}
