//! Actions about flows on the wire: learn, conjunction, fin_timeout. Read and written side by side,
//! for the table in `action` and the writer in `put_action`.

use super::action::{self as row, Context, subfield, whole_field, writable};
use super::cursor::{Reader, put_uint};
use super::put_action::{put, put_field};
use crate::action::{Action, Learn, LearnSource, LearnSpec, LearnTarget, learn_flag};
use crate::error::OfError;
use crate::field::Subfield;
use crate::types::{Cookie, TableId};
use bytes::{BufMut, BytesMut};

/// `NX_LEARN_N_BITS_MASK`: the width in a specification's header.
const WIDTH: u16 = 0x3ff;
/// In the header: the source is a constant.
const CONSTANT: u16 = 1 << 13;
/// In the header: what it becomes.
const TARGET: u16 = 3 << 11;
const LOAD: u16 = 1 << 11;
const OUTPUT: u16 = 2 << 11;
/// Bits of the header without a meaning.
const RESERVED: u16 = !(WIDTH | CONSTANT | TARGET);

/// `idle` 16, `hard` 16, `priority` 16, `cookie` 64, `flags` 16, `table` 8, zero 8, `fin_idle` 16, `fin_hard` 16.
fn get_head(r: &mut Reader<'_>, flags: u16) -> Result<Learn, OfError> {
    let mut learn = Learn {
        idle_timeout_secs: r.u16()?,
        hard_timeout_secs: r.u16()?,
        priority: r.u16()?,
        cookie: Cookie(r.u64()?),
        flags: r.u16()?,
        table: TableId(r.u8()?),
        ..Learn::default()
    };
    r.skip(1)?;
    learn.fin_idle_timeout_secs = r.u16()?;
    learn.fin_hard_timeout_secs = r.u16()?;
    if learn.flags & !flags != 0 || learn.table == TableId::ALL {
        return Err(OfError::ActionArgument);
    }
    Ok(learn)
}

pub(super) fn learn(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let mut learn = get_head(r, learn_flag::SEND_FLOW_REM | learn_flag::DELETE_LEARNED)?;
    learn.specs = specs(r)?;
    Ok(Action::Learn(Box::new(learn)))
}

/// Behind the head: `limit` 32, `result_offset` 16, zero 16, and with WRITE_RESULT the result's field.
pub(super) fn learn2(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let mut learn = get_head(r, learn_flag::ALL)?;
    learn.limit = r.u32()?;
    let start = r.u16()?;
    if r.u16()? != 0 {
        return Err(OfError::ActionArgument);
    }
    if learn.flags & learn_flag::WRITE_RESULT != 0 {
        learn.result = Some(writable(subfield(r, start, 1)?)?);
    }
    learn.specs = specs(r)?;
    Ok(Action::Learn(Box::new(learn)))
}

/// Specifications up to a header of zeros, or the end.
fn specs(r: &mut Reader<'_>) -> Result<Vec<LearnSpec>, OfError> {
    let mut specs = Vec::new();
    while !r.is_empty() {
        let header = r.u16()?;
        if header == 0 {
            break;
        }
        specs.push(spec(r, header)?);
    }
    r.zeros(OfError::ActionArgument)?;
    Ok(specs)
}

fn spec(r: &mut Reader<'_>, header: u16) -> Result<LearnSpec, OfError> {
    let width = header & WIDTH;
    if header & RESERVED != 0 || !(1..=128).contains(&width) {
        return Err(OfError::ActionArgument);
    }
    let source = if header & CONSTANT != 0 {
        let value = r.uint(constant_size(width))?;
        if width < 128 && value >> width != 0 {
            return Err(OfError::ActionArgument);
        }
        LearnSource::Value(value)
    } else {
        LearnSource::Field(placed(r, width)?)
    };
    let target = match header & TARGET {
        0 => LearnTarget::Match(placed(r, width)?),
        LOAD => LearnTarget::Load(writable(placed(r, width)?)?),
        // What an output goes to is what a field holds.
        OUTPUT if header & CONSTANT == 0 => LearnTarget::Output,
        _ => return Err(OfError::ActionArgument),
    };
    Ok(LearnSpec {
        width: width as u8,
        source,
        target,
    })
}

/// A field's header, then where in it the bits start.
fn placed(r: &mut Reader<'_>, width: u16) -> Result<Subfield, OfError> {
    let mut ahead = *r;
    whole_field(&mut ahead)?;
    let start = ahead.u16()?;
    let found = subfield(r, start, width)?;
    r.skip(2)?;
    Ok(found)
}

/// Bytes of a constant: whole 16-bit words.
fn constant_size(width: u16) -> usize {
    usize::from(width.div_ceil(16)) * 2
}

pub(super) fn put_learn(out: &mut BytesMut, learn: &Learn) {
    let second = learn.limit != 0 || learn.result.is_some();
    let row = if second { &row::LEARN2 } else { &row::LEARN };
    put(out, row, |o| {
        o.put_u16(learn.idle_timeout_secs);
        o.put_u16(learn.hard_timeout_secs);
        o.put_u16(learn.priority);
        o.put_u64(learn.cookie.0);
        o.put_u16(learn.flags);
        o.put_u8(learn.table.0);
        o.put_u8(0);
        o.put_u16(learn.fin_idle_timeout_secs);
        o.put_u16(learn.fin_hard_timeout_secs);
        if second {
            o.put_u32(learn.limit);
            o.put_u16(learn.result.map_or(0, |result| u16::from(result.start)));
            o.put_u16(0);
            if let Some(result) = learn.result {
                put_field(o, result.field);
            }
        }
        learn.specs.iter().for_each(|spec| put_spec(o, spec));
    });
}

fn put_spec(out: &mut BytesMut, spec: &LearnSpec) {
    let width = u16::from(spec.width);
    let source = match spec.source {
        LearnSource::Value(_) => CONSTANT,
        LearnSource::Field(_) => 0,
    };
    let target = match spec.target {
        LearnTarget::Match(_) => 0,
        LearnTarget::Load(_) => LOAD,
        LearnTarget::Output => OUTPUT,
    };
    out.put_u16(source | target | width);
    match spec.source {
        LearnSource::Value(value) => put_uint(out, value, constant_size(width)),
        LearnSource::Field(from) => put_placed(out, from),
    }
    match spec.target {
        LearnTarget::Match(to) | LearnTarget::Load(to) => put_placed(out, to),
        LearnTarget::Output => {}
    }
}

fn put_placed(out: &mut BytesMut, bits: Subfield) {
    put_field(out, bits.field);
    out.put_u16(u16::from(bits.start));
}

/// `clause` 8, `n_clauses` 8, `id` 32.
pub(super) fn conjunction(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    Ok(Action::Conjunction {
        clause: r.u8()?,
        n_clauses: r.u8()?,
        id: r.u32()?,
    })
}

pub(super) fn put_conjunction(out: &mut BytesMut, id: u32, clause: u8, n_clauses: u8) {
    put(out, &row::CONJUNCTION, |o| {
        o.put_u8(clause);
        o.put_u8(n_clauses);
        o.put_u32(id);
    });
}

/// `idle` 16, `hard` 16, zero 16.
pub(super) fn fin_timeout(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    Ok(Action::FinTimeout {
        idle_secs: r.u16()?,
        hard_secs: r.u16()?,
    })
}

pub(super) fn put_fin_timeout(out: &mut BytesMut, idle: u16, hard: u16) {
    put(out, &row::FIN_TIMEOUT, |o| {
        o.put_u16(idle);
        o.put_u16(hard);
        o.put_u16(0);
    });
}
