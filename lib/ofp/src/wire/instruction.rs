//! Reading instructions (OpenFlow 1.3.5 section 7.2.4) into one list in the order of execution.

use super::action::{Context, get_actions};
use super::cursor::{Layout, Reader, Tlv};
use super::oxs;
use super::put_action::instruction as number;
use crate::action::{Action, StatTrigger};
use crate::error::OfError;
use crate::types::{MeterId, TableId, Version};
use bytes::{BufMut, BytesMut};

/// The specification's name, number, first and last version of each instruction, in the order of section 5.9.
/// OpenFlow 1.5 has an action in the meter's place.
pub const INSTRUCTIONS: [(&str, u16, Version, Version); 7] = [
    ("OFPIT_METER", number::METER, Version::V13, Version::V14),
    (
        "OFPIT_APPLY_ACTIONS",
        number::APPLY_ACTIONS,
        Version::V11,
        Version::V15,
    ),
    (
        "OFPIT_CLEAR_ACTIONS",
        number::CLEAR_ACTIONS,
        Version::V11,
        Version::V15,
    ),
    (
        "OFPIT_WRITE_ACTIONS",
        number::WRITE_ACTIONS,
        Version::V11,
        Version::V15,
    ),
    (
        "OFPIT_WRITE_METADATA",
        number::WRITE_METADATA,
        Version::V11,
        Version::V15,
    ),
    (
        "OFPIT_STAT_TRIGGER",
        number::STAT_TRIGGER,
        Version::V15,
        Version::V15,
    ),
    (
        "OFPIT_GOTO_TABLE",
        number::GOTO_TABLE,
        Version::V11,
        Version::V15,
    ),
];

/// Reads a list of instructions.
pub(crate) fn get_instructions(bytes: &[u8], context: Context) -> Result<Vec<Action>, OfError> {
    let mut found: [Option<Vec<Action>>; INSTRUCTIONS.len()] = Default::default();
    for element in Tlv::new(bytes, Layout::Aligned, OfError::InstructionLength) {
        let element = element?;
        let known = |row: &(_, u16, _, _)| {
            row.1 == element.kind && (row.2..=row.3).contains(&context.version)
        };
        let place = INSTRUCTIONS
            .iter()
            .position(known)
            .ok_or(match element.kind {
                0xffff => OfError::InstructionVendor,
                _ => OfError::InstructionUnknown,
            })?;
        if found[place].is_some() {
            return Err(OfError::InstructionDuplicate);
        }
        found[place] = Some(get_instruction(element.kind, element.body, context)?);
    }
    Ok(found.into_iter().flatten().flatten().collect())
}

fn get_instruction(kind: u16, body: &[u8], context: Context) -> Result<Vec<Action>, OfError> {
    let mut r = Reader::new(body, OfError::InstructionLength);
    let single = match kind {
        number::METER => Action::Meter(MeterId(r.u32()?)),
        number::GOTO_TABLE => {
            let table = TableId(r.u8()?);
            r.skip(3)?;
            Action::GotoTable(table)
        }
        number::WRITE_METADATA => {
            r.skip(4)?;
            Action::WriteMetadata {
                value: r.u64()?,
                mask: r.u64()?,
            }
        }
        number::STAT_TRIGGER => Action::StatTrigger(Box::new(get_stat_trigger(&mut r)?)),
        number::CLEAR_ACTIONS => {
            r.skip(4)?;
            Action::ClearActions
        }
        number::WRITE_ACTIONS => {
            r.skip(4)?;
            Action::WriteActions(get_actions(r.rest(), context)?)
        }
        _ => {
            r.skip(4)?;
            return get_actions(r.rest(), context);
        }
    };
    r.end()?;
    Ok(vec![single])
}

/// OFPSTF_*.
const PERIODIC: u32 = 1;
const ONLY_FIRST: u32 = 2;

/// OpenFlow 1.5.1 section 7.2.5: `flags` 32, thresholds as statistics.
fn get_stat_trigger(r: &mut Reader<'_>) -> Result<StatTrigger, OfError> {
    let flags = r.u32()?;
    if flags & !(PERIODIC | ONLY_FIRST) != 0 {
        return Err(OfError::InstructionUnsupported);
    }
    Ok(StatTrigger {
        periodic: flags & PERIODIC != 0,
        only_first: flags & ONLY_FIRST != 0,
        thresholds: oxs::get_thresholds(r)?,
    })
}

pub(super) fn put_stat_trigger(out: &mut BytesMut, trigger: &StatTrigger) {
    let flag = |on: bool, flag: u32| if on { flag } else { 0 };
    out.put_u32(flag(trigger.periodic, PERIODIC) | flag(trigger.only_first, ONLY_FIRST));
    oxs::put(out, &trigger.thresholds);
}
