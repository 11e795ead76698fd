//! `learn`, `conjunction` and `fin_timeout` as text, read and printed.

use super::action::Arg;
use super::scan::{Item, Result, Word};
use super::value::{
    field_named, field_names, print_subfield, print_value, read_subfield, read_value,
};
use crate::action::{Action, Learn, LearnSource, LearnSpec, LearnTarget, learn_flag};
use crate::field::Subfield;
use crate::text::print::Style;
use crate::types::{Cookie, TableId};
use crate::wire::{from_wire, to_wire};
use std::fmt::Write;

/// Priority of a flow that does not say one.
const PRIORITY: u16 = 0x8000;
/// Where a flow is learnt if the action does not say it.
const TABLE: TableId = TableId(1);

/// Keys of `learn` that are no specifications.
const KEYS: &[&str] = &[
    "table",
    "idle_timeout",
    "hard_timeout",
    "fin_idle_timeout",
    "fin_hard_timeout",
    "priority",
    "cookie",
    "send_flow_rem",
    "delete_learned",
    "limit",
    "result_dst",
    "load",
    "output",
];

/// `learn(table=T,...,FIELD=VALUE,FIELD=FIELD,FIELD[BITS],load:FROM->TO,output:FIELD)`
pub(super) fn learn(arg: &Arg<'_, '_>) -> Result<Action> {
    let mut learn = Learn {
        priority: PRIORITY,
        table: TABLE,
        ..Learn::default()
    };
    let value = arg.item.value.unwrap_or(Word {
        text: "",
        ..arg.item.key
    });
    let mut seen = Vec::new();
    for item in value.items() {
        let item = item?;
        let name = item.key.text;
        // Fields, loads and outputs may come again and again.
        if KEYS.contains(&name) && !matches!(name, "load" | "output") && seen.contains(&name) {
            return Err(item.key.fail("given twice"));
        }
        seen.push(name);
        match name {
            "table" => {
                let number = item.need()?.number(254);
                learn.table = TableId(number.map_err(|e| e.help("a table is 0 to 253"))? as u8);
            }
            "idle_timeout" => learn.idle_timeout_secs = item.need()?.int()?,
            "hard_timeout" => learn.hard_timeout_secs = item.need()?.int()?,
            "fin_idle_timeout" => learn.fin_idle_timeout_secs = item.need()?.int()?,
            "fin_hard_timeout" => learn.fin_hard_timeout_secs = item.need()?.int()?,
            "priority" => learn.priority = item.need()?.int()?,
            "cookie" => learn.cookie = Cookie(item.need()?.int()?),
            "limit" => learn.limit = item.need()?.int()?,
            "send_flow_rem" | "delete_learned" => {
                item.bare()?;
                learn.flags |= match name {
                    "send_flow_rem" => learn_flag::SEND_FLOW_REM,
                    _ => learn_flag::DELETE_LEARNED,
                };
            }
            "result_dst" => {
                learn.result = Some(one_bit(item.need()?)?);
                learn.flags |= learn_flag::WRITE_RESULT;
            }
            _ => learn.specs.push(spec(&item, arg)?),
        }
    }
    Ok(Action::Learn(Box::new(learn)))
}

/// A bit that an action writes.
pub(super) fn one_bit(word: Word<'_>) -> Result<Subfield> {
    let bit = super::action::writable(word)?;
    match bit.width {
        1 => Ok(bit),
        width => Err(word
            .fail(format!("{width} bits where one is needed"))
            .help(format!("{}[0]", bit.field.row().name))),
    }
}

fn spec(item: &Item<'_>, arg: &Arg<'_, '_>) -> Result<LearnSpec> {
    match item.key.text {
        "load" => {
            let word = item.need()?;
            let (from, to) = super::action::arrow(word)?;
            let to = super::action::writable(to)?;
            let source = match from.text.starts_with(|c: char| c.is_ascii_digit()) {
                true => LearnSource::Value(from.number(to.mask() >> to.start)?),
                false => LearnSource::Field(same_width(from, to)?),
            };
            Ok(LearnSpec {
                width: to.width,
                source,
                target: LearnTarget::Load(to),
            })
        }
        "output" => {
            let from = read_subfield(item.need()?)?;
            Ok(LearnSpec {
                width: from.width,
                source: LearnSource::Field(from),
                target: LearnTarget::Output,
            })
        }
        _ => matched(item, arg),
    }
}

fn same_width(word: Word<'_>, to: Subfield) -> Result<Subfield> {
    let from = read_subfield(word)?;
    match from.width == to.width {
        true => Ok(from),
        false => Err(word.fail(format!("from {} bits to {} bits", from.width, to.width))),
    }
}

/// `FIELD=VALUE`, `FIELD=FIELD`, `FIELD[BITS]=...`, or a field that stays the same.
fn matched(item: &Item<'_>, arg: &Arg<'_, '_>) -> Result<LearnSpec> {
    let key = item.key;
    let name = key.text.split('[').next().unwrap_or_default();
    if field_named(name).is_none() {
        let names = field_names().chain(KEYS.iter().copied());
        return Err(key
            .fail("neither a key of learn nor a field")
            .suggest(names));
    }
    let to = read_subfield(key)?;
    let source = match item.value {
        None => LearnSource::Field(to),
        Some(value) => constant(value, to, arg).map_or_else(
            |fault| match same_width(value, to) {
                Ok(from) => Ok(LearnSource::Field(from)),
                Err(_)
                    if field_named(value.text.split('[').next().unwrap_or_default()).is_none() =>
                {
                    Err(fault)
                }
                Err(other) => Err(other),
            },
            |value| Ok(LearnSource::Value(value)),
        )?,
    };
    Ok(LearnSpec {
        width: to.width,
        source,
        target: LearnTarget::Match(to),
    })
}

/// A number for some bits; for a whole field as matches write it.
fn constant(word: Word<'_>, to: Subfield, arg: &Arg<'_, '_>) -> Result<u128> {
    let ones = to.mask() >> to.start;
    if to != Subfield::whole(to.field) {
        return word.number(ones);
    }
    let (value, mask) = read_value(to.field.row(), word, arg.ports)?;
    let value = to_wire(to.field, value);
    match mask & ones == ones {
        true if value <= ones => Ok(value),
        true => Err(word.fail(format!("more than {} bits", to.width))),
        false => Err(word.fail("a learnt match has no mask")),
    }
}

/// `conjunction(ID,CLAUSE/CLAUSES)`
pub(super) fn conjunction(arg: &Arg<'_, '_>) -> Result<Action> {
    let value = arg.need()?;
    let fault = || {
        let fault = value.fail("needs an id, and which clause of how many");
        fault.help("conjunction(1,2/3)")
    };
    let (id, clauses) = value.split_once(",").ok_or_else(fault)?;
    let (clause, n_clauses) = clauses.split_once("/").ok_or_else(fault)?;
    let (id, clause, n_clauses) = (id.trim(), clause.trim(), n_clauses.trim());
    let of: u8 = n_clauses.int()?;
    if !(2..=64).contains(&of) {
        return Err(n_clauses.fail("a conjunction has 2 to 64 clauses"));
    }
    let this: u8 = clause.int()?;
    if !(1..=of).contains(&this) {
        return Err(clause.fail(format!("clauses are numbered 1 to {of}")));
    }
    Ok(Action::Conjunction {
        id: id.int()?,
        clause: this - 1,
        n_clauses: of,
    })
}

/// `fin_timeout([idle_timeout=N][,hard_timeout=N])`
pub(super) fn fin_timeout(arg: &Arg<'_, '_>) -> Result<Action> {
    let (mut idle_secs, mut hard_secs) = (0, 0);
    for item in arg.item.value.iter().flat_map(|value| value.items_once()) {
        let item = item?;
        match item.key.text {
            "idle_timeout" => idle_secs = item.need()?.int()?,
            "hard_timeout" => hard_secs = item.need()?.int()?,
            _ => {
                let keys = ["idle_timeout", "hard_timeout"];
                return Err(item.key.fail("not a key of fin_timeout").suggest(keys));
            }
        }
    }
    Ok(Action::FinTimeout {
        idle_secs,
        hard_secs,
    })
}

/// The action as text, if it is one of these.
pub(super) fn print(action: &Action, style: &Style<'_>) -> Option<String> {
    Some(match action {
        Action::Learn(learn) => print_learn(learn, style),
        Action::Conjunction {
            id,
            clause,
            n_clauses,
        } => format!("conjunction({id},{}/{n_clauses})", u16::from(*clause) + 1),
        Action::FinTimeout {
            idle_secs,
            hard_secs,
        } => {
            let part = |name: &str, secs: u16| (secs != 0).then(|| format!("{name}={secs}"));
            let parts = [
                part("idle_timeout", *idle_secs),
                part("hard_timeout", *hard_secs),
            ];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("fin_timeout({})", parts.join(","))
        }
        _ => return None,
    })
}

fn print_learn(learn: &Learn, style: &Style<'_>) -> String {
    let mut out = format!("learn(table={}", learn.table);
    for (name, number, default) in [
        ("idle_timeout", learn.idle_timeout_secs, 0),
        ("hard_timeout", learn.hard_timeout_secs, 0),
        ("fin_idle_timeout", learn.fin_idle_timeout_secs, 0),
        ("fin_hard_timeout", learn.fin_hard_timeout_secs, 0),
        ("priority", learn.priority, PRIORITY),
    ] {
        if number != default {
            let _ = write!(out, ",{name}={number}");
        }
    }
    for (bit, name) in [
        (learn_flag::SEND_FLOW_REM, ",send_flow_rem"),
        (learn_flag::DELETE_LEARNED, ",delete_learned"),
    ] {
        if learn.flags & bit != 0 {
            out.push_str(name);
        }
    }
    if learn.cookie.0 != 0 {
        let _ = write!(out, ",cookie={:#x}", learn.cookie.0);
    }
    if learn.limit != 0 {
        let _ = write!(out, ",limit={}", learn.limit);
    }
    if let Some(result) = learn.result {
        out.push_str(",result_dst=");
        print_subfield(&mut out, result);
    }
    for spec in &learn.specs {
        out.push(',');
        print_spec(&mut out, spec, style);
    }
    out.push(')');
    out
}

fn print_spec(out: &mut String, spec: &LearnSpec, style: &Style<'_>) {
    let source = |out: &mut String| match spec.source {
        LearnSource::Field(from) => print_subfield(out, from),
        LearnSource::Value(value) => out.push_str(&super::print::hex(value)),
    };
    match (&spec.target, &spec.source) {
        (LearnTarget::Match(to), LearnSource::Value(value)) if *to == Subfield::whole(to.field) => {
            let row = to.field.row();
            let _ = write!(out, "{}=", row.name);
            let value = from_wire(to.field, *value);
            print_value(out, row, value, row.place.ones(), style.port_names());
        }
        (LearnTarget::Match(to), from) => {
            print_subfield(out, *to);
            if *from != LearnSource::Field(*to) {
                out.push('=');
                source(out);
            }
        }
        (LearnTarget::Load(to), _) => {
            out.push_str("load:");
            source(out);
            out.push_str("->");
            print_subfield(out, *to);
        }
        (LearnTarget::Output, _) => {
            out.push_str("output:");
            source(out);
        }
    }
}
