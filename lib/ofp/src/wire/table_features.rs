//! OFPMP_TABLE_FEATURES (OpenFlow 1.3.5 section 7.3.5.5). What a table can do is generated from the
//! tables of fields, actions and instructions, and is the same for every table.

use super::Context;
use super::action::{ACTIONS, Space};
use super::cursor::{Layout, Reader, Tlv, put_text, put_tlv};
use super::oxm::{self, Flavor};
use super::put_action::instruction;
use crate::action::PacketType;
use crate::error::OfError;
use crate::field::{FIELDS, Field};
use crate::message::{
    Abilities, Body, MultipartPart, MultipartReply, MultipartRequest, TableAbilities,
    TableFeatures, TableFeaturesChange,
};
use crate::types::{TableId, Version};
use bytes::{BufMut, BytesMut};

const NAME_SIZE: usize = 32;
/// OFPAT_EXPERIMENTER.
const EXPERIMENTER: u16 = 0xffff;

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
    pub(super) const WRITE_COPYFIELD: u16 = 18;
    pub(super) const APPLY_COPYFIELD: u16 = 20;
    /// It has none for a table miss.
    pub(super) const PACKET_TYPES: u16 = 22;
}

/// A request with a body asks for a change.
pub(super) fn request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let changes = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| {
            let mut r = Reader::new(element?.body, OfError::BadLength);
            let (command, mut features) = get_head(&mut r, c.version)?;
            let abilities = get_abilities(r.rest(), c.version, &mut features)?;
            Ok(TableFeaturesChange {
                command,
                features,
                abilities,
            })
        })
        .collect::<Result<_, OfError>>()?;
    Ok(Body::MultipartRequest(MultipartRequest::TableFeatures(
        changes,
    )))
}

pub(super) fn put_request(out: &mut BytesMut, version: Version, changes: &[TableFeaturesChange]) {
    for change in changes {
        put_tlv(out, Layout::Record, 0, |o| {
            put_head(o, version, change.command, &change.features);
            if change.abilities == Abilities::Own {
                put_properties(o, version, &change.features);
            }
        });
    }
}

/// Compares what a change says of a table's abilities with what every table has; the order does not count.
fn get_abilities(
    bytes: &[u8],
    version: Version,
    features: &mut TableFeatures,
) -> Result<Abilities, OfError> {
    if bytes.is_empty() {
        return Ok(Abilities::Unsaid);
    }
    let last = TableId::LEN as u8;
    features.next_tables = (features.table.0.saturating_add(1)..last)
        .map(TableId)
        .collect();
    let mut own = BytesMut::new();
    put_properties(&mut own, version, features);
    let sorted = |bytes| {
        let elements = Tlv::new(bytes, Layout::Padded, OfError::BadLength);
        let mut list = elements
            .map(|element| element.map(|e| (e.kind, e.body.to_vec())))
            .collect::<Result<Vec<_>, _>>()?;
        list.sort_unstable();
        Ok::<_, OfError>(list)
    };
    let (said, mut own) = (sorted(bytes)?, sorted(&own)?);
    // Types of packets may be left out.
    let types = |kind: u16| kind == property::PACKET_TYPES;
    if !said.iter().any(|(kind, _)| types(*kind)) {
        own.retain(|(kind, _)| !types(*kind));
    }
    Ok(if said == own {
        Abilities::Own
    } else {
        Abilities::Other
    })
}

pub(super) fn reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let tables = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| {
            get(
                &mut Reader::new(element?.body, OfError::BadLength),
                c.version,
            )
        })
        .collect::<Result<_, _>>()?;
    let part = MultipartPart::TableFeatures(tables);
    Ok(Body::MultipartReply(MultipartReply { more: c.more, part }))
}

/// Reads `struct ofp_table_features` without its length and properties: the command, and the rest.
fn get_head(r: &mut Reader<'_>, version: Version) -> Result<(u8, TableFeatures), OfError> {
    let mut t = TableFeatures {
        table: TableId(r.u8()?),
        ..TableFeatures::default()
    };
    let command = match version {
        Version::V15 => {
            let command = r.u8()?;
            t.flags = r.u32()?;
            command
        }
        _ => r.skip(5).map(|()| 0)?,
    };
    t.name = r.text(NAME_SIZE)?;
    t.metadata_match = r.u64()?;
    t.metadata_write = r.u64()?;
    t.capabilities = r.u32()?;
    t.max_entries = r.u32()?;
    Ok((command, t))
}

fn put_head(out: &mut BytesMut, version: Version, command: u8, t: &TableFeatures) {
    out.put_u8(t.table.0);
    if version >= Version::V15 {
        out.put_u8(command);
        out.put_u32(t.flags);
    } else {
        out.put_bytes(0, 5);
    }
    put_text(out, &t.name, NAME_SIZE);
    out.put_u64(t.metadata_match);
    out.put_u64(t.metadata_write);
    out.put_u32(t.capabilities);
    out.put_u32(t.max_entries);
}

fn get(r: &mut Reader<'_>, version: Version) -> Result<TableFeatures, OfError> {
    let (_, mut t) = get_head(r, version)?;
    let mut abilities = TableAbilities::default();
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::BadLength) {
        let element = element?;
        get_property(element.kind, element.body, &mut abilities)?;
    }
    t.next_tables = abilities.doing[0].next_tables.clone();
    t.abilities = Some(Box::new(abilities));
    Ok(t)
}

/// Reads one property; an odd number is what an even one is, for a table miss.
fn get_property(kind: u16, body: &[u8], t: &mut TableAbilities) -> Result<(), OfError> {
    match kind {
        property::MATCH => t.matching = get_fields(body)?,
        property::WILDCARDS => {
            let fields = get_fields(body)?;
            t.wildcards = fields.into_iter().map(|(field, _)| field).collect();
        }
        property::PACKET_TYPES => t.packet_types = get_packet_types(body)?,
        _ => {
            let doing = &mut t.doing[usize::from(kind & 1)];
            match kind & !1 {
                property::INSTRUCTIONS => doing.instructions = get_kinds(body)?,
                property::NEXT_TABLES => {
                    doing.next_tables = body.iter().copied().map(TableId).collect();
                }
                property::WRITE_ACTIONS => doing.write.actions = get_kinds(body)?,
                property::APPLY_ACTIONS => doing.apply.actions = get_kinds(body)?,
                property::WRITE_SETFIELD => doing.write.fields = settable(body)?,
                property::APPLY_SETFIELD => doing.apply.fields = settable(body)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Types of instructions or actions, a bit each; those of experimenters have none.
fn get_kinds(body: &[u8]) -> Result<u32, OfError> {
    let mut bits = 0;
    let mut r = Reader::new(body, OfError::PropertyLength);
    while !r.is_empty() {
        let (kind, size) = (r.u16()?, usize::from(r.u16()?));
        r.skip(size.checked_sub(4).ok_or(OfError::PropertyLength)?)?;
        bits |= 1_u32.checked_shl(u32::from(kind)).unwrap_or(0);
    }
    Ok(bits)
}

/// Fields, and whether their header says a mask; those that are not known are skipped.
fn get_fields(body: &[u8]) -> Result<Vec<(Field, bool)>, OfError> {
    let mut fields = Vec::new();
    let mut r = Reader::new(body, OfError::PropertyLength);
    while !r.is_empty() {
        let header = oxm::get_header(&mut r)?;
        fields.extend(header.field.map(|field| (field, header.masked)));
    }
    Ok(fields)
}

/// A field of a match each, with a value.
fn get_packet_types(body: &[u8]) -> Result<Vec<PacketType>, OfError> {
    let mut types = Vec::new();
    let mut r = Reader::new(body, OfError::PropertyLength);
    while !r.is_empty() {
        let header = oxm::get_header(&mut r)?;
        let mut value = Reader::new(r.bytes(header.size)?, OfError::PropertyLength);
        if header.field == Some(Field::PacketType) {
            types.push(PacketType {
                namespace: value.u16()?,
                kind: value.u16()?,
            });
        }
    }
    Ok(types)
}

/// Ethernet, and what is left when that is taken off.
const PACKET_TYPES: [PacketType; 5] = [
    PacketType::ETHERNET,
    PacketType::ether_type(0x0800),
    PacketType::ether_type(0x86dd),
    PacketType::ether_type(0x8847),
    PacketType::ether_type(0x8848),
];

fn put_packet_types(out: &mut BytesMut, version: Version) {
    let Some(id) = oxm::id(Field::PacketType, Flavor::Oxm(version)) else {
        return;
    };
    put_tlv(out, Layout::Padded, property::PACKET_TYPES, |o| {
        for kind in PACKET_TYPES {
            oxm::put_header(o, id, false);
            o.put_u16(kind.namespace);
            o.put_u16(kind.kind);
        }
    });
}

fn settable(body: &[u8]) -> Result<Vec<Field>, OfError> {
    let fields = get_fields(body)?;
    Ok(fields.into_iter().map(|(field, _)| field).collect())
}

pub(super) fn put(out: &mut BytesMut, version: Version, t: &TableFeatures) {
    put_tlv(out, Layout::Record, 0, |o| {
        put_head(o, version, 0, t);
        put_properties(o, version, t);
    });
}

/// Instructions that every table has. A meter is an action since 1.5, which has the trigger.
const INSTRUCTIONS: [u16; 7] = [
    instruction::GOTO_TABLE,
    instruction::WRITE_METADATA,
    instruction::WRITE_ACTIONS,
    instruction::APPLY_ACTIONS,
    instruction::CLEAR_ACTIONS,
    instruction::METER,
    instruction::STAT_TRIGGER,
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
            .filter(|kind| version < Version::V15 || **kind != instruction::METER)
            .filter(|kind| version >= Version::V15 || **kind != instruction::STAT_TRIGGER)
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
    if version >= Version::V15 {
        both(property::WRITE_COPYFIELD, &|o| {
            put_fields(o, version, true, false)
        });
        both(property::APPLY_COPYFIELD, &|o| {
            put_fields(o, version, true, false)
        });
    }
    put_tlv(out, Layout::Padded, property::MATCH, |o| {
        put_fields(o, version, false, true)
    });
    // A field in this list may be left out of a match; only the list above says masks.
    put_tlv(out, Layout::Padded, property::WILDCARDS, |o| {
        put_fields(o, version, false, false)
    });
    if version >= Version::V15 {
        put_packet_types(out, version);
    }
}

/// The standard's actions of the version, and whose other actions there are.
fn put_actions(out: &mut BytesMut, version: Version) {
    let mut experimenters = Vec::new();
    for row in ACTIONS {
        match row.space {
            Space::Standard(first, last) if (first..=last).contains(&version) => {
                out.put_u16(row.number);
                out.put_u16(4);
            }
            Space::Standard(..) => {}
            Space::Experimenter(id) => experimenters.push(id),
        }
    }
    experimenters.sort_unstable();
    experimenters.dedup();
    for id in experimenters {
        out.put_u16(EXPERIMENTER);
        out.put_u16(8);
        out.put_u32(id);
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
