//! Tables: OFPT_TABLE_MOD, OFPMP_TABLE_DESC, OFPT_TABLE_STATUS, and OFPMP_TABLE, whose entries tell
//! what tables can do in 1.1 and 1.2.

use super::action::{ACTIONS, Space};
use super::cursor::{Layout, Reader, Tlv, put_text, put_tlv};
use super::{Context, match10};
use crate::error::OfError;
use crate::field::{FIELDS, Field, Id};
use crate::message::{
    Body, MultipartPart, TableAbilities, TableDesc, TableDoing, TableMod, TableStats, TableStatus,
    Vacancy, table_config,
};
use crate::types::{TableId, Version};
use bytes::{BufMut, BytesMut};

const NAME_SIZE: usize = 32;

/// Properties of a table's configuration (OpenFlow 1.4.1 section 7.3.4.1).
mod property {
    pub(super) const EVICTION: u16 = 2;
    pub(super) const VACANCY: u16 = 3;
}

/// What the properties say.
#[derive(Default)]
struct Properties {
    eviction_flags: Option<u32>,
    vacancy: Option<Vacancy>,
}

fn get_properties(r: &mut Reader<'_>) -> Result<Properties, OfError> {
    let mut properties = Properties::default();
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::PropertyLength) {
        let element = element?;
        let mut r = Reader::new(element.body, OfError::PropertyLength);
        match element.kind {
            property::EVICTION => properties.eviction_flags = Some(r.u32()?),
            property::VACANCY => {
                properties.vacancy = Some(Vacancy {
                    down: r.u8()?,
                    up: r.u8()?,
                    current: r.u8()?,
                });
                r.skip(1)?;
            }
            _ => return Err(OfError::PropertyType),
        }
        r.end()?;
    }
    Ok(properties)
}

fn put_properties(out: &mut BytesMut, eviction_flags: Option<u32>, vacancy: Option<Vacancy>) {
    if let Some(flags) = eviction_flags {
        put_tlv(out, Layout::Padded, property::EVICTION, |o| {
            o.put_u32(flags)
        });
    }
    if let Some(v) = vacancy {
        put_tlv(out, Layout::Padded, property::VACANCY, |o| {
            o.put_slice(&[v.down, v.up, v.current, 0]);
        });
    }
}

/// The configuration bits of a version: 1.3 has none but says that the old ones are ignored.
const fn known_config(version: Version) -> u32 {
    match version {
        Version::V10 | Version::V11 | Version::V12 | Version::V13 => table_config::MISS_MASK,
        _ => table_config::EVICTION | table_config::VACANCY_EVENTS,
    }
}

pub(super) fn table_mod(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let table = TableId(r.u8()?);
    r.skip(3)?;
    let config = r.u32()?;
    if config & !known_config(c.version) != 0 || config == table_config::MISS_MASK {
        return Err(OfError::TableModBadConfig);
    }
    let properties = match c.version {
        v if v < Version::V14 => r.end().map(|()| Properties::default())?,
        _ => get_properties(r)?,
    };
    if properties.vacancy.is_some_and(|v| v.current != 0) {
        return Err(OfError::PropertyValue);
    }
    Ok(Body::TableMod(TableMod {
        table,
        config,
        eviction_flags: properties.eviction_flags,
        vacancy: properties.vacancy,
    }))
}

pub(super) fn put_table_mod(out: &mut BytesMut, version: Version, table_mod: &TableMod) {
    out.put_u32(u32::from(table_mod.table.0) << 24);
    out.put_u32(table_mod.config & known_config(version));
    if version >= Version::V14 {
        put_properties(out, table_mod.eviction_flags, table_mod.vacancy);
    }
}

/// Reads `struct ofp_table_desc` after its length.
fn get_desc(r: &mut Reader<'_>) -> Result<TableDesc, OfError> {
    let table = TableId(r.u8()?);
    r.skip(1)?;
    let config = r.u32()?;
    let properties = get_properties(r)?;
    Ok(TableDesc {
        table,
        config,
        eviction_flags: properties.eviction_flags.unwrap_or(u32::MAX),
        vacancy: properties.vacancy.unwrap_or_default(),
    })
}

fn get_descs(r: &mut Reader<'_>) -> Result<Vec<TableDesc>, OfError> {
    Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get_desc(&mut Reader::new(element?.body, OfError::BadLength)))
        .collect()
}

pub(super) fn desc_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    c.reply(MultipartPart::TableDesc(get_descs(r)?))
}

pub(super) fn put_desc(out: &mut BytesMut, desc: &TableDesc) {
    put_tlv(out, Layout::Record, 0, |o| {
        o.put_u8(desc.table.0);
        o.put_u8(0);
        o.put_u32(desc.config);
        let flags = Some(desc.eviction_flags).filter(|flags| *flags != u32::MAX);
        let events = desc.config & table_config::VACANCY_EVENTS != 0;
        put_properties(o, flags, events.then_some(desc.vacancy));
    });
}

pub(super) fn table_status(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let reason = r.u8()?;
    if !(3..=4).contains(&reason) {
        return Err(OfError::BadReason);
    }
    r.skip(7)?;
    match <[TableDesc; 1]>::try_from(get_descs(r)?) {
        Ok([desc]) => Ok(Body::TableStatus(TableStatus { reason, desc })),
        Err(_) => Err(OfError::BadLength),
    }
}

pub(super) fn put_table_status(out: &mut BytesMut, status: &TableStatus) {
    out.put_u8(status.reason);
    out.put_bytes(0, 7);
    put_desc(out, &status.desc);
}

pub(super) fn stats_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut tables = Vec::new();
    while !r.is_empty() {
        tables.push(get_stats(r, c.version)?);
    }
    c.reply(MultipartPart::Table(tables))
}

fn get_stats(r: &mut Reader<'_>, version: Version) -> Result<TableStats, OfError> {
    let mut t = TableStats {
        table: TableId(r.u8()?),
        ..TableStats::default()
    };
    match version {
        Version::V10 => {
            r.skip(3)?;
            t.name = r.text(NAME_SIZE)?;
            r.skip(4)?;
        }
        Version::V11 => {
            r.skip(7)?;
            t.name = r.text(NAME_SIZE)?;
            let (wildcards, matching) = (r.u32()?, r.u32()?);
            let field = |bit: usize| FIELDS11.get(bit).copied();
            let mut abilities = get_matching(u64::from(wildcards), u64::from(matching), field);
            get_doing(r, &mut abilities.doing[0])?;
            t.abilities = Some(alike_at_misses(abilities));
            t.config = r.u32()?;
        }
        Version::V12 => {
            r.skip(7)?;
            t.name = r.text(NAME_SIZE)?;
            let (matching, wildcards) = (r.u64()?, r.u64()?);
            let mut abilities = get_matching(wildcards, matching, oxm_field);
            let doing = &mut abilities.doing[0];
            (doing.write.actions, doing.apply.actions) = (r.u32()?, r.u32()?);
            doing.write.fields = fields(r.u64()?, oxm_field);
            doing.apply.fields = fields(r.u64()?, oxm_field);
            t.metadata = [r.u64()?, r.u64()?];
            doing.instructions = r.u32()?;
            t.abilities = Some(alike_at_misses(abilities));
            t.config = r.u32()?;
        }
        _ => r.skip(3)?,
    }
    if version < Version::V13 {
        t.max_entries = r.u32()?;
    }
    t.active_count = r.u32()?;
    t.lookup_count = r.u64()?;
    t.matched_count = r.u64()?;
    Ok(t)
}

/// The fields that have a bit.
fn fields(bits: u64, field: impl Fn(usize) -> Option<Field>) -> Vec<Field> {
    let set = (0..64).filter(|bit| bits >> bit & 1 == 1);
    set.filter_map(field).collect()
}

fn get_matching(
    wildcards: u64,
    matching: u64,
    field: impl Fn(usize) -> Option<Field>,
) -> TableAbilities {
    let exact = fields(matching, &field);
    TableAbilities {
        matching: exact.into_iter().map(|field| (field, false)).collect(),
        wildcards: fields(wildcards, field),
        ..TableAbilities::default()
    }
}

/// 1.1's instructions and actions.
fn get_doing(r: &mut Reader<'_>, doing: &mut TableDoing) -> Result<(), OfError> {
    doing.instructions = r.u32()?;
    doing.write.actions = r.u32()?;
    doing.apply.actions = r.u32()?;
    Ok(())
}

/// Before 1.3 nothing else is said of misses.
fn alike_at_misses(mut abilities: TableAbilities) -> Box<TableAbilities> {
    abilities.doing[1] = abilities.doing[0].clone();
    Box::new(abilities)
}

/// The field with a number in the standard's class, if 1.2 has it.
fn oxm_field(number: usize) -> Option<Field> {
    let here = |id: &Id| id.class == 0x8000 && usize::from(id.field) == number;
    let mut known = FIELDS
        .iter()
        .filter(|row| row.oxm_since <= Version::V12 as u8);
    let row = known.find(|row| row.oxm.as_ref().is_some_and(here));
    row.map(|row| row.field)
}

/// Those of some fields, a bit each, that actions may write.
fn writable(bits: u64) -> u64 {
    let may = |bit: &usize| oxm_field(*bit).is_some_and(|field| field.row().writable);
    let set = (0..64).filter(|bit| bits >> bit & 1 == 1);
    set.filter(may).fold(0, |all, bit| all | 1 << bit)
}

pub(super) fn put_stats(out: &mut BytesMut, version: Version, t: &TableStats) {
    out.put_u32(u32::from(t.table.0) << 24);
    match version {
        Version::V10 => {
            put_text(out, &t.name, NAME_SIZE);
            out.put_u32(match10::ALL);
        }
        Version::V11 => {
            out.put_u32(0);
            put_text(out, &t.name, NAME_SIZE);
            // Wildcards and fields of the standard's match: all.
            out.put_u32(ALL_FIELDS11);
            out.put_u32(ALL_FIELDS11);
            out.put_u32(instructions(t.table));
            let actions = standard_actions(version);
            out.put_u32(actions);
            out.put_u32(actions);
            out.put_u32(t.config);
        }
        Version::V12 => {
            out.put_u32(0);
            put_text(out, &t.name, NAME_SIZE);
            out.put_u64(FIELDS12);
            out.put_u64(FIELDS12);
            let actions = standard_actions(version);
            out.put_u32(actions);
            out.put_u32(actions);
            let fields = writable(FIELDS12);
            out.put_u64(fields);
            out.put_u64(fields);
            out.put_u64(u64::MAX);
            out.put_u64(u64::MAX);
            out.put_u32(instructions(t.table));
            out.put_u32(t.config);
        }
        _ => {}
    }
    if version < Version::V13 {
        out.put_u32(t.max_entries);
    }
    out.put_u32(t.active_count);
    out.put_u64(t.lookup_count);
    out.put_u64(t.matched_count);
}

/// Fields by their bit in OFPFMF_* (OpenFlow 1.1 section A.3.5.3); bit 10, the match's type, is none.
const FIELDS11: [Field; 16] = [
    Field::InPort,
    Field::VlanVid,
    Field::VlanPcp,
    Field::EthType,
    Field::IpTos,
    Field::IpProto,
    Field::TcpSrc,
    Field::TcpDst,
    Field::MplsLabel,
    Field::MplsTc,
    Field::InPort,
    Field::EthSrc,
    Field::EthDst,
    Field::IpSrc,
    Field::IpDst,
    Field::Metadata,
];
const ALL_FIELDS11: u32 = 0xffff & !(1 << 10);

/// Instructions 1 to 5 (OpenFlow 1.1 and 1.2), a bit each; the last table goes nowhere.
fn instructions(table: TableId) -> u32 {
    let is_last = usize::from(table.0) + 1 >= TableId::LEN;
    if is_last { 0x3c } else { 0x3e }
}
/// OXM fields of OpenFlow 1.2, a bit each: `in_port` to `mpls_tc`, without `in_phy_port`, which is
/// never told from `in_port` here.
const FIELDS12: u64 = 0xf_ffff_fffd;

/// The standard's actions of a version, a bit each.
fn standard_actions(version: Version) -> u32 {
    let here = ACTIONS.iter().filter(|row| match row.space {
        Space::Standard(first, last) => (first..=last).contains(&version),
        Space::Experimenter(_) => false,
    });
    here.fold(0, |bits, row| bits | 1 << (row.number & 31))
}
