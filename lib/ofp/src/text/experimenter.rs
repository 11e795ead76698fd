//! Our experimenter actions as text, read and printed: `fragment`, `reassemble`, `bpdu`.

use super::action::Arg;
use super::scan::{Item, Result, Word};
use super::value::ethernet;
use crate::action::{Action, BPDU_TUNNEL, Bpdu, FRAGMENT_MTU_MIN};
use crate::types::TableId;
use packet::MacAddr;

/// What `bpdu(...)` can do; the last two take `mac=`.
const BPDU: &[(&str, Bpdu)] = &[
    ("count", Bpdu::Count),
    ("forward", Bpdu::Forward),
    ("drop", Bpdu::Drop),
    ("tunnel", Bpdu::Tunnel(BPDU_TUNNEL)),
    ("untunnel", Bpdu::Untunnel(BPDU_TUNNEL)),
];
const BPDU_WORDS: &str = "count, forward, drop, tunnel or untunnel";

/// What stands in the parentheses; `form` is said where there are none.
pub(super) fn inside<'a>(arg: &Arg<'a, '_>, form: &str) -> Result<Word<'a>> {
    let item = &arg.item;
    match item.value {
        Some(value) if item.parenthesised && !value.text.trim().is_empty() => Ok(value),
        Some(value) if !item.parenthesised => Err(value
            .fail(format!("{} has its values in parentheses", item.key.text))
            .help(form)),
        _ => Err(item.key.fail("needs a value").help(form)),
    }
}

/// Keeps the value of a key that may be given once.
fn once<T>(slot: &mut Option<T>, item: &Item<'_>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(item.key.fail("given twice")),
    }
}

/// `fragment(mtu=N[,df=ignore])`
pub(super) fn fragment(arg: &Arg<'_, '_>) -> Result<Action> {
    const FORM: &str = "fragment(mtu=1500), or fragment(mtu=1500,df=ignore)";
    let value = inside(arg, FORM)?;
    let (mut mtu, mut ignore_df) = (None, None);
    for item in value.items() {
        let item = item?;
        match item.key.text {
            "mtu" => once(&mut mtu, &item, self::mtu(item.need()?)?)?,
            "df" => match item.need()? {
                word if word.text == "ignore" => once(&mut ignore_df, &item, ())?,
                word => {
                    return Err(word.fail("not what can be done about DF").help(
                        "df=ignore; without df such packets are dropped if they are larger",
                    ));
                }
            },
            _ => return Err(item.key.fail("not a key of fragment").help("mtu and df")),
        }
    }
    match mtu {
        Some(mtu) => Ok(Action::Fragment {
            mtu,
            ignore_df: ignore_df.is_some(),
        }),
        None => Err(value.fail("needs mtu").help(FORM)),
    }
}

fn mtu(word: Word<'_>) -> Result<u16> {
    let range = format!("an mtu is {FRAGMENT_MTU_MIN} to {}", u16::MAX);
    match word.int::<u16>() {
        Ok(mtu) if mtu < FRAGMENT_MTU_MIN => Err(word.fail("too small").help(range)),
        result => result.map_err(|e| e.help(range)),
    }
}

/// `reassemble(table=N)`
pub(super) fn reassemble(arg: &Arg<'_, '_>) -> Result<Action> {
    const FORM: &str = "reassemble(table=1)";
    const LAST: usize = TableId::LEN - 1;
    let value = inside(arg, FORM)?;
    let mut table = None;
    for item in value.items() {
        let item = item?;
        match item.key.text {
            "table" => {
                let number = item.need()?.number(LAST as u128);
                let number = number.map_err(|e| e.help(format!("a table is 0 to {LAST}")))?;
                once(&mut table, &item, TableId(number as u8))?;
            }
            _ => return Err(item.key.fail("not a key of reassemble").help(FORM)),
        }
    }
    let table = table.ok_or_else(|| value.fail("needs a table").help(FORM))?;
    Ok(Action::Reassemble(table))
}

/// `bpdu(count|forward|drop|tunnel[,mac=MAC]|untunnel[,mac=MAC])`
pub(super) fn bpdu(arg: &Arg<'_, '_>) -> Result<Action> {
    let value = inside(arg, "bpdu(count), or forward, drop, tunnel, untunnel")?;
    let (mut what, mut address) = (None, None);
    for item in value.items() {
        let item = item?;
        if item.key.text == "mac" {
            once(
                &mut address,
                &item,
                (item.key, tunnel_address(item.need()?)?),
            )?;
            continue;
        }
        let row = BPDU.iter().find(|row| row.0 == item.key.text);
        let unknown = || item.key.fail("nothing that bpdu does").help(BPDU_WORDS);
        let row = row.ok_or_else(unknown)?;
        if let Some(value) = item.value {
            return Err(value.fail(format!("{} takes no value", row.0)));
        }
        if what.replace(row.1).is_some() {
            return Err(item
                .key
                .fail("a bpdu action does one thing")
                .help("write several actions"));
        }
    }
    let what = what.ok_or_else(|| value.fail("does not say what to do").help(BPDU_WORDS))?;
    Ok(Action::Bpdu(match (what, address) {
        (what, None) => what,
        (Bpdu::Tunnel(_), Some((_, mac))) => Bpdu::Tunnel(mac),
        (Bpdu::Untunnel(_), Some((_, mac))) => Bpdu::Untunnel(mac),
        (_, Some((key, _))) => {
            return Err(key
                .fail("has no meaning here")
                .help("only tunnel and untunnel take mac"));
        }
    }))
}

fn tunnel_address(word: Word<'_>) -> Result<MacAddr> {
    match MacAddr::from_u64(ethernet(word)? as u64) {
        MacAddr::ZERO => Err(word
            .fail("no frame can be sent there")
            .help(format!("{BPDU_TUNNEL} is taken without mac"))),
        mac => Ok(mac),
    }
}

/// The action as text, if it is one of ours.
pub(super) fn print(action: &Action) -> Option<String> {
    Some(match action {
        Action::Fragment { mtu, ignore_df } => {
            let df = if *ignore_df { ",df=ignore" } else { "" };
            format!("fragment(mtu={mtu}{df})")
        }
        Action::Reassemble(table) => format!("reassemble(table={table})"),
        Action::Bpdu(bpdu) => {
            let mac = match bpdu {
                Bpdu::Tunnel(mac) | Bpdu::Untunnel(mac) if *mac != BPDU_TUNNEL => {
                    format!(",mac={mac}")
                }
                _ => String::new(),
            };
            format!("bpdu({}{mac})", bpdu_word(*bpdu))
        }
        _ => return None,
    })
}

fn bpdu_word(bpdu: Bpdu) -> &'static str {
    let same =
        |row: &&(&str, Bpdu)| std::mem::discriminant(&row.1) == std::mem::discriminant(&bpdu);
    BPDU.iter().find(same).map_or("", |row| row.0)
}
