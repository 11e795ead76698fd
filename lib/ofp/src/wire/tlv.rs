//! The TLV map's messages (NXT_TLV_TABLE_*), the same in every version.

use super::Context;
use super::cursor::Reader;
use crate::error::OfError;
use crate::message::{Body, TlvCommand, TlvMapping, TlvTable, TlvTableMod};
use bytes::{BufMut, BytesMut};
use std::collections::HashSet;

/// `tun_metadata<N>`: N is below this.
const FIELDS: u16 = 64;
/// Bytes of an option's value at most (RFC 8926 section 3.5: 31 words).
const MAX_OPTION_SIZE: u8 = 124;

fn get_mappings(r: &mut Reader<'_>) -> Result<Vec<TlvMapping>, OfError> {
    let mut mappings = Vec::new();
    let (mut options, mut fields) = (HashSet::new(), HashSet::new());
    while !r.is_empty() {
        let mapping = TlvMapping {
            class: r.u16()?,
            kind: r.u8()?,
            size: r.u8()?,
            index: r.u16()?,
        };
        r.skip(2)?;
        if mapping.size > MAX_OPTION_SIZE || !mapping.size.is_multiple_of(4) || mapping.size == 0 {
            return Err(OfError::TlvBadLength);
        }
        if mapping.index >= FIELDS {
            return Err(OfError::TlvBadIndex);
        }
        if !options.insert((mapping.class, mapping.kind)) || !fields.insert(mapping.index) {
            return Err(OfError::TlvDuplicate);
        }
        mappings.push(mapping);
    }
    Ok(mappings)
}

fn put_mappings(out: &mut BytesMut, mappings: &[TlvMapping]) {
    for mapping in mappings {
        out.put_u16(mapping.class);
        out.put_u8(mapping.kind);
        out.put_u8(mapping.size);
        out.put_u16(mapping.index);
        out.put_u16(0);
    }
}

pub(super) fn table_mod(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let command = match r.u16()? {
        0 => TlvCommand::Add,
        1 => TlvCommand::Delete,
        2 => TlvCommand::Clear,
        _ => return Err(OfError::TlvBadCommand),
    };
    r.skip(6)?;
    let mappings = get_mappings(r)?;
    Ok(Body::TlvTableMod(TlvTableMod { command, mappings }))
}

pub(super) fn put_table_mod(out: &mut BytesMut, m: &TlvTableMod) {
    out.put_u16(m.command as u16);
    out.put_bytes(0, 6);
    put_mappings(out, &m.mappings);
}

pub(super) fn table_reply(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let (max_space, max_fields) = (r.u32()?, r.u16()?);
    r.skip(10)?;
    let mappings = get_mappings(r)?;
    Ok(Body::TlvTableReply(TlvTable {
        max_space,
        max_fields,
        mappings,
    }))
}

pub(super) fn put_table(out: &mut BytesMut, table: &TlvTable) {
    out.put_u32(table.max_space);
    out.put_u16(table.max_fields);
    out.put_bytes(0, 10);
    put_mappings(out, &table.mappings);
}
