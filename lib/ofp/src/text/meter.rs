//! Meters as text: what `add-meter`, `mod-meter`, `del-meters` and the dumps of meters take.

use super::scan::{Item, Result, Word};
use crate::message::{Band, BandKind, MeterCommand, MeterConfig, MeterMod, meter_flag};
use crate::types::MeterId;

/// Meters with a name; the first name of a number is the one printed.
pub(super) const NAMED: &[(&str, MeterId)] = &[
    ("slowpath", MeterId::SLOWPATH),
    ("controller", MeterId::CONTROLLER),
    ("all", MeterId::ALL),
];

/// Flags: word, bit.
pub(super) const FLAGS: &[(&str, u16)] = &[
    ("kbps", meter_flag::KBPS),
    ("pktps", meter_flag::PKTPS),
    ("burst", meter_flag::BURST),
    ("stats", meter_flag::STATS),
];

const KEYS: &[&str] = &["meter", "kbps", "pktps", "burst", "stats", "bands"];
const BAND_KEYS: &[&str] = &["type", "rate", "burst_size", "prec_level"];

fn meter_id(word: Word<'_>) -> Result<MeterId> {
    if let Some(row) = NAMED
        .iter()
        .find(|row| row.0.eq_ignore_ascii_case(word.text))
    {
        return Ok(row.1);
    }
    let help = format!(
        "a meter is 1 to {}, controller, slowpath or all",
        MeterId::MAX
    );
    match word.number(u128::from(MeterId::MAX.0)) {
        Ok(0) => Err(word.fail("no such meter").help(help)),
        number => number
            .map(|number| MeterId(number as u32))
            .map_err(|error| error.help(help)),
    }
}

/// Reads which meter to dump or delete: `meter=1`, `1`, or `all`; nothing means all.
pub fn read_meter_id(text: &str) -> Result<MeterId> {
    let word = Word::new(text).trim();
    if word.text.is_empty() {
        return Ok(MeterId::ALL);
    }
    match word.split_once("=") {
        Some((key, value)) if key.text == "meter" => meter_id(value),
        Some((key, _)) => Err(key.fail("has no meaning here").help("meter=1")),
        None => meter_id(word),
    }
}

/// Reads a meter to add or modify.
pub fn read_meter_mod(text: &str, command: MeterCommand) -> Result<MeterMod> {
    if command == MeterCommand::Delete {
        let meter = read_meter_id(text)?;
        return Ok(MeterMod {
            command,
            config: MeterConfig {
                meter,
                ..MeterConfig::default()
            },
        });
    }
    let whole = Word::new(text).trim();
    let mut meter = None;
    let mut flags = 0;
    let mut bands: Vec<Draft<'_>> = Vec::new();
    for item in whole.items() {
        let item = item?;
        let key = item.key;
        if matches!(key.text, "band" | "bands") {
            // Its value is the first key of a band; the others follow.
            let value = item.value.ok_or_else(|| key.fail("needs a value"))?;
            bands.push(Draft::new(value));
            for first in value.items() {
                take(&mut bands, first?)?;
            }
        } else if BAND_KEYS.contains(&key.text) {
            take(&mut bands, item)?;
        } else if key.text == "meter" {
            if meter.is_some() {
                return Err(key.fail("given twice"));
            }
            let value = item.need()?;
            meter = Some(meter_id(value)?);
            if meter == Some(MeterId::ALL) {
                return Err(value.fail("only one meter at a time can be made so"));
            }
        } else if let Some((_, bit)) = FLAGS.iter().find(|row| row.0 == key.text) {
            item.bare()?;
            flags |= bit;
        } else {
            let known = KEYS.iter().chain(BAND_KEYS).copied();
            return Err(key.fail("no such key of a meter").suggest(known));
        }
    }
    let meter = meter.ok_or_else(|| whole.fail("the meter is missing").help("meter=1"))?;
    let unit = flags & (meter_flag::KBPS | meter_flag::PKTPS);
    if unit.count_ones() != 1 {
        return Err(whole
            .fail("the unit of the rates is missing, or there are two")
            .help("kbps or pktps"));
    }
    if bands.is_empty() {
        return Err(whole
            .fail("bands are missing")
            .help("band=type=drop,rate=1000"));
    }
    let bands = bands
        .into_iter()
        .map(|band| band.finish(flags))
        .collect::<Result<_>>()?;
    Ok(MeterMod {
        command,
        config: MeterConfig {
            meter,
            flags,
            bands,
        },
    })
}

/// A band so far.
struct Draft<'a> {
    word: Word<'a>,
    remarks: Option<bool>,
    rate: Option<u32>,
    burst: Option<(Word<'a>, u32)>,
    level: Option<(Word<'a>, u8)>,
}

/// Gives a key to the last band; another `type` begins a new one.
fn take<'a>(bands: &mut Vec<Draft<'a>>, item: Item<'a>) -> Result<()> {
    let key = item.key;
    if key.text == "type" && bands.last().is_some_and(|band| band.remarks.is_some()) {
        bands.push(Draft::new(key));
    }
    let Some(band) = bands.last_mut() else {
        return Err(key
            .fail("belongs to a band")
            .help("band=type=drop,rate=1000"));
    };
    let value = item.need()?;
    let twice = match key.text {
        "type" => {
            let remarks = match value.text {
                "drop" => false,
                "dscp_remark" => true,
                _ => {
                    return Err(value
                        .fail("no such type of band")
                        .help("drop or dscp_remark"));
                }
            };
            band.remarks.replace(remarks).is_some()
        }
        "rate" => band.rate.replace(value.int()?).is_some(),
        "burst_size" => band.burst.replace((key, value.int()?)).is_some(),
        "prec_level" => band.level.replace((key, value.int()?)).is_some(),
        _ => {
            return Err(key
                .fail("no such key of a band")
                .suggest(BAND_KEYS.iter().copied()));
        }
    };
    if twice {
        Err(key.fail("given twice"))
    } else {
        Ok(())
    }
}

impl<'a> Draft<'a> {
    fn new(word: Word<'a>) -> Draft<'a> {
        Draft {
            word,
            remarks: None,
            rate: None,
            burst: None,
            level: None,
        }
    }

    fn finish(self, flags: u16) -> Result<Band> {
        let missing = |what: &str, help: &str| {
            Err(self
                .word
                .fail(format!("the band's {what} is missing"))
                .help(help))
        };
        let kind = match (self.remarks, self.level) {
            (None, _) => return missing("type", "type=drop or type=dscp_remark"),
            (Some(true), None) => return missing("prec_level", "prec_level=1"),
            (Some(true), Some((_, level))) => BandKind::DscpRemark(level),
            (Some(false), Some((key, _))) => {
                return Err(key.fail("only bands of type dscp_remark have one"));
            }
            (Some(false), None) => BandKind::Drop,
        };
        let Some(rate) = self.rate else {
            return missing("rate", "rate=1000");
        };
        let burst = match (self.burst, flags & meter_flag::BURST != 0) {
            (Some((_, size)), true) => size,
            (None, false) => 0,
            (None, true) => return missing("burst_size", "burst_size=1000, or no burst flag"),
            (Some((key, _)), false) => {
                return Err(key.fail("needs the flag burst").help("kbps,burst,band=..."));
            }
        };
        Ok(Band { kind, rate, burst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_is_read() {
        let text = "meter=1,kbps,burst,stats,band=type=drop,rate=1000,burst_size=0 band=type=dscp_remark rate=5 burst_size=6 prec_level=2";
        let m = read_meter_mod(text, MeterCommand::Add).unwrap();
        let bands = [
            Band {
                kind: BandKind::Drop,
                rate: 1000,
                burst: 0,
            },
            Band {
                kind: BandKind::DscpRemark(2),
                rate: 5,
                burst: 6,
            },
        ];
        let flags = meter_flag::KBPS | meter_flag::BURST | meter_flag::STATS;
        assert_eq!(
            m.config,
            MeterConfig {
                meter: MeterId(1),
                flags,
                bands: bands.into()
            }
        );
        let short = "meter=2 pktps bands=type=drop,rate=1,type=drop,rate=2";
        assert_eq!(
            read_meter_mod(short, MeterCommand::Add)
                .unwrap()
                .config
                .bands
                .len(),
            2
        );
        assert_eq!(read_meter_id("").unwrap(), MeterId::ALL);
        assert_eq!(
            read_meter_id("meter=controller").unwrap(),
            MeterId::CONTROLLER
        );
    }

    #[test]
    fn mistakes_are_shown_with_what_would_be_right() {
        for (text, word, message) in [
            (
                "kbps,band=type=drop,rate=1",
                "kbps,band=type=drop,rate=1",
                "the meter is missing",
            ),
            ("meter=0,kbps,band=type=drop,rate=1", "0", "no such meter"),
            ("meter=1,kbps", "meter=1,kbps", "bands are missing"),
            (
                "meter=1,kbps,band=rate=1",
                "rate=1",
                "the band's type is missing",
            ),
            (
                "meter=1,kbps,band=type=drop",
                "type=drop",
                "the band's rate is missing",
            ),
            (
                "meter=1,kbps,burst,band=type=drop,rate=1",
                "type=drop",
                "the band's burst_size is missing",
            ),
            (
                "meter=1,kbps,band=type=drop,rate=1,burst_size=1",
                "burst_size",
                "needs the flag burst",
            ),
            (
                "meter=1,kbps,band=type=drop,rate=1,prec_level=1",
                "prec_level",
                "only bands of type dscp_remark have one",
            ),
            (
                "meter=1,kbps,band=type=mark,rate=1",
                "mark",
                "no such type of band",
            ),
            (
                "meter=1,kbs,band=type=drop,rate=1",
                "kbs",
                "no such key of a meter",
            ),
            ("meter=1,kbps,rate=1", "rate", "belongs to a band"),
        ] {
            let error = read_meter_mod(text, MeterCommand::Add).unwrap_err();
            assert_eq!(
                (error.word.as_str(), error.message.as_str()),
                (word, message),
                "{text}"
            );
        }
    }
}
