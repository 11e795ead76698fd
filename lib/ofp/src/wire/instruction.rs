//! Reading instructions (OpenFlow 1.3.5 section 7.2.4) into one list in the order of execution.

use super::action::{Context, get_actions};
use super::cursor::{Layout, Reader, Tlv};
use super::put_action::instruction as number;
use crate::action::Action;
use crate::error::OfError;
use crate::types::{MeterId, TableId, Version};

/// The place of each instruction in the order of section 5.9: meter, apply, clear, write, metadata, goto.
const ORDER: [u16; 6] = [
    number::METER,
    number::APPLY_ACTIONS,
    number::CLEAR_ACTIONS,
    number::WRITE_ACTIONS,
    number::WRITE_METADATA,
    number::GOTO_TABLE,
];

/// Reads a list of instructions.
pub(crate) fn get_instructions(bytes: &[u8], context: Context) -> Result<Vec<Action>, OfError> {
    let mut found: [Option<Vec<Action>>; ORDER.len()] = Default::default();
    for element in Tlv::new(bytes, Layout::Aligned, OfError::InstructionLength) {
        let element = element?;
        // OpenFlow 1.5 has an action in its place.
        let meters = (Version::V13..=Version::V14).contains(&context.version);
        let known = |kind: &u16| *kind == element.kind && (*kind != number::METER || meters);
        let place = ORDER
            .iter()
            .position(known)
            .ok_or(if element.kind == 0xffff {
                OfError::InstructionVendor
            } else {
                OfError::InstructionUnknown
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
