//! OFPMP_TABLE_FEATURES (OpenFlow 1.3.5 section 7.3.5.5). What a table can do is generated from the
//! tables of fields, actions and instructions, and is the same for every table.

use super::Context;
use super::action::{ACTIONS, Space};
use super::cursor::{Layout, Reader, Tlv, put_text, put_tlv};
use super::oxm::{self, Flavor};
use super::put_action::instruction;
use crate::error::OfError;
use crate::field::FIELDS;
use crate::message::{Body, MultipartPart, MultipartReply, MultipartRequest, TableFeatures};
use crate::types::{TableId, Version};
use bytes::{BufMut, BytesMut};

const NAME_SIZE: usize = 32;

/// Property types. The number after each is the same property for a table miss.
mod property {
    pub(super) const INSTRUCTIONS: u16 = 0;
    pub(super) const NEXT_TABLES: u16 = 2;
    pub(super) const WRITE_ACTIONS: u16 = 4;
    pub(super) const APPLY_ACTIONS: u16 = 6;
    pub(super) const MATCH: u16 = 8;
    pub(super) const WILDCARDS: u16 = 10;
    pub(super) const WRITE_SETFIELD: u16 = 12;
    pub(super) const APPLY_SETFIELD: u16 = 14;
}

/// A request with a body asks for a change.
pub(super) fn request(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let modify = !r.is_empty();
    Ok(Body::MultipartRequest(MultipartRequest::TableFeatures {
        modify,
    }))
}

pub(super) fn reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let tables = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get(&mut Reader::new(element?.body, OfError::BadLength)))
        .collect::<Result<_, _>>()?;
    let part = MultipartPart::TableFeatures(tables);
    Ok(Body::MultipartReply(MultipartReply { more: c.more, part }))
}

fn get(r: &mut Reader<'_>) -> Result<TableFeatures, OfError> {
    let mut t = TableFeatures {
        table: TableId(r.u8()?),
        ..TableFeatures::default()
    };
    r.skip(5)?;
    t.name = r.text(NAME_SIZE)?;
    t.metadata_match = r.u64()?;
    t.metadata_write = r.u64()?;
    r.skip(4)?;
    t.max_entries = r.u32()?;
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::BadLength) {
        let element = element?;
        if element.kind == property::NEXT_TABLES {
            t.next_tables = element.body.iter().copied().map(TableId).collect();
        }
    }
    Ok(t)
}

pub(super) fn put(out: &mut BytesMut, version: Version, t: &TableFeatures) {
    put_tlv(out, Layout::Record, 0, |o| {
        o.put_u8(t.table.0);
        o.put_bytes(0, 5);
        put_text(o, &t.name, NAME_SIZE);
        o.put_u64(t.metadata_match);
        o.put_u64(t.metadata_write);
        o.put_u32(0);
        o.put_u32(t.max_entries);
        put_properties(o, version, t);
    });
}

/// Instructions that every table has.
const INSTRUCTIONS: [u16; 5] = [
    instruction::GOTO_TABLE,
    instruction::WRITE_METADATA,
    instruction::WRITE_ACTIONS,
    instruction::APPLY_ACTIONS,
    instruction::CLEAR_ACTIONS,
];

fn put_properties(out: &mut BytesMut, version: Version, t: &TableFeatures) {
    let last = t.next_tables.is_empty();
    let mut both = |kind: u16, write: &dyn Fn(&mut BytesMut)| {
        put_tlv(out, Layout::Padded, kind, write);
        put_tlv(out, Layout::Padded, kind + 1, write);
    };
    both(property::INSTRUCTIONS, &|o| {
        for kind in INSTRUCTIONS
            .iter()
            .filter(|kind| !last || **kind != instruction::GOTO_TABLE)
        {
            o.put_u16(*kind);
            o.put_u16(4);
        }
    });
    both(property::NEXT_TABLES, &|o| {
        t.next_tables.iter().for_each(|t| o.put_u8(t.0))
    });
    both(property::WRITE_ACTIONS, &|o| put_actions(o, version));
    both(property::APPLY_ACTIONS, &|o| put_actions(o, version));
    both(property::WRITE_SETFIELD, &|o| {
        put_fields(o, version, true, false)
    });
    both(property::APPLY_SETFIELD, &|o| {
        put_fields(o, version, true, false)
    });
    put_tlv(out, Layout::Padded, property::MATCH, |o| {
        put_fields(o, version, false, true)
    });
    // A field in this list may be left out of a match; only the list above says masks.
    put_tlv(out, Layout::Padded, property::WILDCARDS, |o| {
        put_fields(o, version, false, false)
    });
}

/// The standard's actions of the version.
fn put_actions(out: &mut BytesMut, version: Version) {
    for row in ACTIONS {
        if let Space::Standard(first, last) = row.space
            && (first..=last).contains(&version)
        {
            out.put_u16(row.number);
            out.put_u16(4);
        }
    }
}

/// The fields that can be matched, or set.
fn put_fields(out: &mut BytesMut, version: Version, settable: bool, masks: bool) {
    for row in FIELDS.iter().filter(|row| !settable || row.writable) {
        let standard = row.oxm.is_some_and(|_| row.oxm_since <= version as u8);
        let Some(id) =
            oxm::id(row.field, Flavor::Oxm(version)).filter(|_| standard || row.oxm.is_none())
        else {
            continue;
        };
        oxm::put_header(out, id, masks && row.maskable);
    }
}
