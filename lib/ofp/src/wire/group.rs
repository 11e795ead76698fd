//! Groups: GROUP_MOD in its forms (OpenFlow 1.1, OpenFlow 1.5, Nicira's), and their multipart family.

use super::Context;
use super::action::get_actions;
use super::cursor::{Layout, Reader, Tlv, patch_u16, put_text, put_tlv, put_uint};
use super::flow::{get_duration, put_duration};
use super::oxm::{self, Flavor};
use super::put_action::{self, put_actions};
use crate::error::OfError;
use crate::field::Field;
use crate::key::Match;
use crate::message::{
    Body, Bucket, Duration, GroupCommand, GroupDesc, GroupFeatures, GroupKind, GroupMod,
    GroupStats, MultipartPart, MultipartRequest, Selection, SelectionMethod,
};
use crate::types::{BucketId, GroupId, PortNo, Version};
use bytes::{BufMut, BytesMut};
use std::collections::HashSet;

/// Properties of buckets (OpenFlow 1.5.1 section 7.3.4.3.1).
mod bucket_property {
    pub(super) const WEIGHT: u16 = 0;
    pub(super) const WATCH_PORT: u16 = 1;
    pub(super) const WATCH_GROUP: u16 = 2;
}
/// "Experimenter" as a property.
const EXPERIMENTER: u16 = 0xffff;
/// Netronome's experimenter id and the type of its selection method.
const NTR: u32 = 0x154d;
const SELECTION_METHOD: u32 = 1;
/// Bytes of a selection method's name, with the NUL.
const METHOD_SIZE: usize = 16;
const METHODS: &[(&str, SelectionMethod)] = &[
    ("hash", SelectionMethod::Hash),
    ("dp_hash", SelectionMethod::DpHash),
];

/// Which layout of buckets a message has: 1.5's, which Nicira's messages share.
fn is_new(version: Version) -> bool {
    version == Version::V15 || version == Version::V10
}

fn kind(byte: u8) -> Result<GroupKind, OfError> {
    use GroupKind::{All, FastFailover, Indirect, Select};
    let kinds = [All, Select, Indirect, FastFailover];
    kinds
        .get(usize::from(byte))
        .copied()
        .ok_or(OfError::GroupType)
}

fn command(number: u16) -> Result<GroupCommand, OfError> {
    use GroupCommand::{Add, AddOrModify, Delete, InsertBucket, Modify, RemoveBucket};
    let commands = [Add, Modify, Delete, InsertBucket, RemoveBucket, AddOrModify];
    let found = commands
        .into_iter()
        .find(|command| *command as u16 == number);
    found.ok_or(OfError::GroupCommand)
}

/// The weight of a bucket that says none.
fn default_weight(kind: GroupKind) -> u16 {
    u16::from(kind == GroupKind::Select)
}

fn watch_port(number: u32) -> Result<PortNo, OfError> {
    match number {
        0..0xff00 | 0xffff_ff00.. => Ok(PortNo(number)),
        _ => Err(OfError::GroupBadWatch),
    }
}

fn get_buckets(
    bytes: &[u8],
    kind: GroupKind,
    new: bool,
    c: &Context<'_>,
) -> Result<Vec<Bucket>, OfError> {
    let mut buckets = Vec::new();
    for element in Tlv::new(bytes, Layout::Record, OfError::GroupBucket) {
        let r = &mut Reader::new(element?.body, OfError::GroupBucket);
        buckets.push(match new {
            true => get_bucket15(r, kind, c)?,
            false => get_bucket11(r, BucketId(buckets.len() as u32), c)?,
        });
    }
    let mut seen = HashSet::new();
    match buckets.iter().all(|bucket| seen.insert(bucket.id)) {
        true => Ok(buckets),
        false => Err(OfError::GroupBucket),
    }
}

fn get_bucket11(r: &mut Reader<'_>, id: BucketId, c: &Context<'_>) -> Result<Bucket, OfError> {
    let weight = r.u16()?;
    let watch_port = watch_port(r.u32()?)?;
    let watch_group = GroupId(r.u32()?);
    r.skip(4)?;
    let actions = get_actions(r.rest(), c.actions())?;
    Ok(Bucket {
        id,
        weight,
        watch_port,
        watch_group,
        actions,
    })
}

fn get_bucket15(r: &mut Reader<'_>, kind: GroupKind, c: &Context<'_>) -> Result<Bucket, OfError> {
    let size = usize::from(r.u16()?);
    let id = BucketId(r.u32()?);
    if id > BucketId::MAX {
        return Err(OfError::GroupBucket);
    }
    let actions = get_actions(r.bytes(size)?, c.actions())?;
    let weight = default_weight(kind);
    let mut bucket = Bucket {
        id,
        weight,
        actions,
        ..Bucket::default()
    };
    for property in Tlv::new(r.rest(), Layout::Padded, OfError::PropertyLength) {
        let property = property?;
        let mut value = Reader::new(property.body, OfError::PropertyLength);
        match property.kind {
            bucket_property::WEIGHT => {
                bucket.weight = value.u16()?;
                value.skip(2)?;
            }
            bucket_property::WATCH_PORT => bucket.watch_port = watch_port(value.u32()?)?,
            bucket_property::WATCH_GROUP => bucket.watch_group = GroupId(value.u32()?),
            EXPERIMENTER => return Err(OfError::PropertyVendor),
            _ => return Err(OfError::PropertyType),
        }
        value.end()?;
    }
    Ok(bucket)
}

fn put_buckets(out: &mut BytesMut, version: Version, new: bool, desc: &GroupDesc) {
    let context = put_action::Context::new(version, &Match::default());
    for bucket in &desc.buckets {
        put_tlv(out, Layout::Record, 0, |o| match new {
            true => put_bucket15(o, desc.kind, bucket, context),
            false => {
                o.put_u16(bucket.weight);
                o.put_u32(bucket.watch_port.0);
                o.put_u32(bucket.watch_group.0);
                o.put_u32(0);
                put_actions(o, &bucket.actions, context);
            }
        });
    }
}

fn put_bucket15(out: &mut BytesMut, kind: GroupKind, b: &Bucket, context: put_action::Context) {
    let size_at = out.len();
    out.put_u16(0);
    out.put_u32(b.id.0);
    let start = out.len();
    put_actions(out, &b.actions, context);
    let size = out.len() - start;
    patch_u16(out, size_at, size);
    let property = |out: &mut BytesMut, kind, value: u32| {
        put_tlv(out, Layout::Padded, kind, |o| o.put_u32(value));
    };
    if kind == GroupKind::Select || b.weight != 0 {
        property(out, bucket_property::WEIGHT, u32::from(b.weight) << 16);
    }
    if b.watch_port != PortNo::ANY {
        property(out, bucket_property::WATCH_PORT, b.watch_port.0);
    }
    if b.watch_group != GroupId::ANY {
        property(out, bucket_property::WATCH_GROUP, b.watch_group.0);
    }
}

/// Reads the properties of a group: how it selects.
fn get_properties(bytes: &[u8], kind: GroupKind) -> Result<Selection, OfError> {
    let mut selection = Selection::default();
    for property in Tlv::new(bytes, Layout::Padded, OfError::PropertyLength) {
        let property = property?;
        if property.kind != EXPERIMENTER {
            return Err(OfError::PropertyType);
        }
        let r = &mut Reader::new(property.body, OfError::PropertyLength);
        match (r.u32()?, r.u32()?) {
            (NTR, SELECTION_METHOD) => selection = get_selection(r)?,
            (NTR, _) => return Err(OfError::PropertySubtype),
            _ => return Err(OfError::PropertyVendor),
        }
        if kind != GroupKind::Select {
            return Err(OfError::PropertyValue);
        }
    }
    Ok(selection)
}

fn get_selection(r: &mut Reader<'_>) -> Result<Selection, OfError> {
    r.skip(4)?;
    let name = r.text(METHOD_SIZE)?;
    let method = METHODS
        .iter()
        .find(|row| row.0 == name)
        .ok_or(OfError::PropertyValue)?
        .1;
    let mut selection = Selection {
        method,
        parameter: r.u64()?,
        fields: Vec::new(),
    };
    let mut fields = Reader::new(r.rest(), OfError::PropertyLength);
    while !fields.is_empty() {
        if method != SelectionMethod::Hash {
            return Err(OfError::PropertyValue);
        }
        let header = oxm::get_header(&mut fields)?;
        let field = header.field.ok_or(OfError::MatchField)?;
        if header.masked {
            return Err(OfError::MatchMask);
        }
        // The value is the mask of the bits that count.
        let mask = fields.uint(header.size)? & field.place().ones();
        if mask == 0 || mask != field.full_mask() && !field.row().maskable {
            return Err(OfError::MatchMask);
        }
        if selection.fields.iter().any(|known| known.0 == field) {
            return Err(OfError::MatchDuplicate);
        }
        selection.fields.push((field, mask));
    }
    selection.fields.sort();
    Ok(selection)
}

fn put_selection(out: &mut BytesMut, version: Version, selection: &Selection) {
    let Some((name, _)) = METHODS.iter().find(|row| row.1 == selection.method) else {
        return;
    };
    let flavor = if version == Version::V10 {
        Flavor::Nxm
    } else {
        Flavor::Oxm(version)
    };
    put_tlv(out, Layout::Padded, EXPERIMENTER, |o| {
        o.put_u32(NTR);
        o.put_u32(SELECTION_METHOD);
        o.put_u32(0);
        put_text(o, name, METHOD_SIZE);
        o.put_u64(selection.parameter);
        for (field, mask) in &selection.fields {
            if let Some(id) = oxm::id(*field, flavor) {
                oxm::put_header(o, id, false);
                put_uint(o, *mask, usize::from(id.size));
            }
        }
    });
}

/// What 1.5's messages have behind the group's number and the bytes of its buckets.
fn get_rest15(
    r: &mut Reader<'_>,
    desc: &mut GroupDesc,
    size: usize,
    c: &Context<'_>,
) -> Result<(), OfError> {
    desc.buckets = get_buckets(r.bytes(size)?, desc.kind, true, c)?;
    desc.selection = get_properties(r.rest(), desc.kind)?;
    Ok(())
}

fn put_rest15(out: &mut BytesMut, version: Version, size_at: usize, desc: &GroupDesc) {
    let start = out.len();
    put_buckets(out, version, true, desc);
    let size = out.len() - start;
    patch_u16(out, size_at, size);
    put_selection(out, version, &desc.selection);
}

fn get_head(r: &mut Reader<'_>) -> Result<GroupMod, OfError> {
    let mut m = GroupMod {
        command: command(r.u16()?)?,
        bucket: BucketId::ALL,
        ..GroupMod::default()
    };
    m.desc.kind = kind(r.u8()?)?;
    r.skip(1)?;
    m.desc.group = GroupId(r.u32()?);
    Ok(m)
}

/// 1.1 to 1.4.
pub(super) fn group_mod(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut m = get_head(r)?;
    m.desc.buckets = get_buckets(r.rest(), m.desc.kind, false, c)?;
    check(m, c.version)
}

/// 1.5, and Nicira's for the versions before.
pub(super) fn group_mod15(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut m = get_head(r)?;
    let size = usize::from(r.u16()?);
    r.skip(2)?;
    m.bucket = BucketId(r.u32()?);
    get_rest15(r, &mut m.desc, size, c)?;
    check(m, c.version)
}

/// What can be said about a request without knowing the group.
fn check(m: GroupMod, version: Version) -> Result<Body, OfError> {
    use GroupCommand::{Delete, InsertBucket, RemoveBucket};
    let GroupDesc {
        group,
        kind,
        buckets,
        selection,
    } = &m.desc;
    let places = matches!(m.command, InsertBucket | RemoveBucket);
    let place = m.bucket <= BucketId::MAX || m.bucket >= BucketId::FIRST;
    if !place || !places && m.bucket != BucketId::ALL {
        return Err(OfError::GroupBucket);
    }
    match m.command {
        // OpenFlow 1.3.5 section 6.5: a DELETE has no buckets.
        Delete if buckets.is_empty() || version < Version::V13 => {}
        Delete => return Err(OfError::GroupInvalid),
        _ if *group > GroupId::MAX => return Err(OfError::GroupInvalid),
        RemoveBucket if !buckets.is_empty() => return Err(OfError::GroupBucket),
        // Their kind is the group's, which the switch knows.
        InsertBucket | RemoveBucket if *selection != Selection::default() => {
            return Err(OfError::PropertyValue);
        }
        InsertBucket | RemoveBucket => {}
        _ => check_buckets(*kind, buckets)?,
    }
    Ok(Body::GroupMod(Box::new(m)))
}

/// Whether a group of this kind may have these buckets (OpenFlow 1.3.5 section 7.3.4.3).
pub fn check_buckets(kind: GroupKind, buckets: &[Bucket]) -> Result<(), OfError> {
    if kind == GroupKind::Indirect && buckets.len() != 1 {
        return Err(OfError::GroupInvalid);
    }
    for bucket in buckets {
        let watches = bucket.watch_port != PortNo::ANY || bucket.watch_group != GroupId::ANY;
        // "The weight field is only defined for select groups", and 0 elsewhere.
        if bucket.weight != 0 && kind != GroupKind::Select {
            return Err(OfError::GroupInvalid);
        }
        match kind {
            GroupKind::All | GroupKind::Indirect if watches => {
                return Err(OfError::GroupWatch);
            }
            GroupKind::FastFailover if !watches => return Err(OfError::GroupInvalid),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the form of 1.1 to 1.4 can say a request.
pub(crate) fn fits_standard(m: &GroupMod) -> bool {
    let command = matches!(
        m.command,
        GroupCommand::Add | GroupCommand::Modify | GroupCommand::Delete | GroupCommand::AddOrModify
    );
    command && m.desc.selection == Selection::default()
}

/// Writes a GROUP_MOD: between 1.1 and 1.4 Nicira's message says what the standard's cannot.
pub(super) fn put_group_mod(out: &mut BytesMut, version: Version, m: &GroupMod) {
    out.put_u16(m.command as u16);
    out.put_u8(m.desc.kind as u8);
    out.put_u8(0);
    out.put_u32(m.desc.group.0);
    if !is_new(version) && fits_standard(m) {
        return put_buckets(out, version, false, &m.desc);
    }
    let size_at = out.len();
    out.put_u32(0);
    // "All" where there is no place to say.
    let places = matches!(
        m.command,
        GroupCommand::InsertBucket | GroupCommand::RemoveBucket
    );
    let place = if places { m.bucket } else { BucketId::ALL };
    out.put_u32(place.0);
    put_rest15(out, version, size_at, &m.desc);
}

fn get_group_id(r: &mut Reader<'_>) -> Result<GroupId, OfError> {
    let group = GroupId(r.u32()?);
    r.skip(4)?;
    r.end().map(|()| group)
}

pub(super) fn stats_request(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    Ok(Body::MultipartRequest(MultipartRequest::Group(
        get_group_id(r)?,
    )))
}

pub(super) fn put_stats_request(out: &mut BytesMut, group: GroupId) {
    out.put_u64(u64::from(group.0) << 32);
}

/// GROUP_DESC has no body between 1.1 and 1.4.
pub(super) fn desc_request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let group = match is_new(c.version) {
        true => get_group_id(r)?,
        false => r.end().map(|()| GroupId::ALL)?,
    };
    Ok(Body::MultipartRequest(MultipartRequest::GroupDesc(group)))
}

pub(super) fn put_desc_request(out: &mut BytesMut, version: Version, group: GroupId) {
    if is_new(version) {
        put_stats_request(out, group);
    }
}

pub(super) fn desc_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let get = |body| {
        let r = &mut Reader::new(body, OfError::BadLength);
        let mut desc = GroupDesc {
            kind: kind(r.u8()?)?,
            ..GroupDesc::default()
        };
        r.skip(1)?;
        desc.group = GroupId(r.u32()?);
        if is_new(c.version) {
            let size = usize::from(r.u16()?);
            r.skip(6)?;
            get_rest15(r, &mut desc, size, c)?;
        } else {
            desc.buckets = get_buckets(r.rest(), desc.kind, false, c)?;
        }
        Ok(desc)
    };
    let descs = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get(element?.body))
        .collect::<Result<_, _>>()?;
    c.reply(MultipartPart::GroupDesc(descs))
}

pub(super) fn put_desc(out: &mut BytesMut, version: Version, desc: &GroupDesc) {
    put_tlv(out, Layout::Record, 0, |o| {
        o.put_u8(desc.kind as u8);
        o.put_u8(0);
        o.put_u32(desc.group.0);
        if is_new(version) {
            let size_at = o.len();
            o.put_u64(0);
            put_rest15(o, version, size_at, desc);
        } else {
            put_buckets(o, version, false, desc);
        }
    });
}

/// 1.1 and 1.2 do not say how long a group has been there.
fn has_duration(version: Version) -> bool {
    !matches!(version, Version::V11 | Version::V12)
}

pub(super) fn stats_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let get = |body| {
        let r = &mut Reader::new(body, OfError::BadLength);
        r.skip(2)?;
        let (group, ref_count) = (GroupId(r.u32()?), r.u32()?);
        r.skip(4)?;
        let (packets, bytes) = (r.u64()?, r.u64()?);
        let duration = match has_duration(c.version) {
            true => get_duration(r)?,
            false => Duration {
                secs: u32::MAX,
                nanos: u32::MAX,
            },
        };
        let mut buckets = Vec::new();
        while !r.is_empty() {
            buckets.push((r.u64()?, r.u64()?));
        }
        Ok(GroupStats {
            group,
            ref_count,
            packets,
            bytes,
            duration,
            buckets,
        })
    };
    let stats = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get(element?.body))
        .collect::<Result<_, _>>()?;
    c.reply(MultipartPart::Group(stats))
}

pub(super) fn put_stats(out: &mut BytesMut, version: Version, stats: &GroupStats) {
    put_tlv(out, Layout::Record, 0, |o| {
        o.put_u16(0);
        o.put_u32(stats.group.0);
        o.put_u32(stats.ref_count);
        o.put_u32(0);
        o.put_u64(stats.packets);
        o.put_u64(stats.bytes);
        if has_duration(version) {
            put_duration(o, stats.duration);
        }
        for (packets, bytes) in &stats.buckets {
            o.put_u64(*packets);
            o.put_u64(*bytes);
        }
    });
}

pub(super) fn features_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut f = GroupFeatures {
        kinds: r.u32()?,
        capabilities: r.u32()?,
        ..Default::default()
    };
    for word in f.max_groups.iter_mut().chain(&mut f.actions) {
        *word = r.u32()?;
    }
    r.end()?;
    c.reply(MultipartPart::GroupFeatures(f))
}

pub(super) fn put_features(out: &mut BytesMut, f: &GroupFeatures) {
    let head = [f.kinds, f.capabilities];
    for word in head.iter().chain(&f.max_groups).chain(&f.actions) {
        out.put_u32(*word);
    }
}

/// The first field of a selection that a version has no number for.
pub(crate) fn unsayable_selection(selection: &Selection, version: Version) -> Option<Field> {
    let flavor = if version == Version::V10 {
        Flavor::Nxm
    } else {
        Flavor::Oxm(version)
    };
    let mut fields = selection.fields.iter().map(|entry| entry.0);
    fields.find(|field| oxm::id(*field, flavor).is_none())
}
