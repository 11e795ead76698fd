//! Extensible matches: one entry is a field's id, value and mask. Nicira's NXM and OpenFlow's OXM
//! have the same layout and differ in the ids that are preferred; either is read anywhere.

use super::cursor::{Reader, pad8, patch_u16, put_uint};
use super::match11;
use crate::error::OfError;
use crate::field::{FIELDS, Field, Id, Row, SECOND_IDS};
use crate::key::{Match, Place, VLAN_PRESENT, word};
use crate::types::{Cookie, PortNo, Version};
use bytes::{BufMut, BytesMut};

/// Which ids are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    Nxm,
    /// Those that the version has; Nicira's for the rest.
    Oxm(Version),
}

/// A value for some bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) field: Field,
    pub(crate) value: u128,
    pub(crate) mask: u128,
    /// A mask was written.
    pub(crate) masked: bool,
}

/// A header: the field, if it is known, and the size of what follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) field: Option<Field>,
    pub(crate) masked: bool,
    pub(crate) size: usize,
    raw: u32,
}

/// NXM_NX_COOKIE and its masked form: selects rules by cookie inside a Nicira match. The number is
/// that of `mpls_ttl`; the sizes differ.
const COOKIE: [u32; 2] = [1 << 16 | 30 << 9 | 8, 1 << 16 | 30 << 9 | 1 << 8 | 16];

/// NXM, OXM, packet registers, Ericsson's.
const CLASSES: [u16; 5] = [0x0000, 0x0001, 0x8000, 0x8001, 0x1000];
const NONE: u8 = u8::MAX;

/// Row numbers by class and field number, so that reading a match does not search.
const INDEX: [[u8; 128]; CLASSES.len()] = {
    let mut index = [[NONE; 128]; CLASSES.len()];
    let mut row = 0;
    while row < FIELDS.len() {
        let ids = [FIELDS[row].nxm, FIELDS[row].oxm];
        let mut i = 0;
        while i < ids.len() {
            let mut class = 0;
            while class < CLASSES.len() {
                if let Some(id) = ids[i]
                    && id.class == CLASSES[class]
                {
                    index[class][id.field as usize] = row as u8;
                }
                class += 1;
            }
            i += 1;
        }
        row += 1;
    }
    index
};

/// The row with an id, and that id.
fn find(class: u16, number: u8, experimenter: u32) -> Option<(&'static Row, Id)> {
    let same = |id: &Id| (id.class, id.field, id.experimenter) == (class, number, experimenter);
    let second = || {
        let row = SECOND_IDS.iter().find(|row| same(&row.1))?;
        Some((row.0.row(), row.1))
    };
    find_first(class, number, same).or_else(second)
}

fn find_first(class: u16, number: u8, same: impl Fn(&Id) -> bool) -> Option<(&'static Row, Id)> {
    let row = match CLASSES.iter().position(|c| *c == class) {
        Some(class) => FIELDS.get(usize::from(INDEX[class][usize::from(number)]))?,
        None => FIELDS
            .iter()
            .find(|row| row.oxm.as_ref().is_some_and(&same))?,
    };
    let id = [row.nxm, row.oxm].into_iter().flatten().find(same)?;
    Some((row, id))
}

/// The id of a field for writing.
pub(crate) fn id(field: Field, flavor: Flavor) -> Option<Id> {
    let row = field.row();
    if let Flavor::Oxm(version) = flavor
        && let Some(second) = SECOND_IDS.iter().find(|second| second.0 == field)
        && second.2 <= version as u8
    {
        return Some(second.1);
    }
    match flavor {
        Flavor::Nxm => row.nxm.or(row.oxm),
        Flavor::Oxm(version) if row.oxm_since <= version as u8 => row.oxm.or(row.nxm),
        Flavor::Oxm(_) => row.nxm.or(row.oxm),
    }
}

/// Bytes of a tunnel option at most (Geneve's 31 words); headers without a value say this much.
const OPTION_MAX: usize = 124;

/// Bytes that say a value of a tunnel option: its size is that of its value or mask.
fn option_size(bits: u128) -> u8 {
    ((128 - bits.leading_zeros()).div_ceil(8)).max(1) as u8
}

/// Reads a header. The value's and mask's size must fit the field.
pub(crate) fn get_header(r: &mut Reader<'_>) -> Result<Header, OfError> {
    let raw = r.u32()?;
    let (class, number) = ((raw >> 16) as u16, (raw >> 9 & 0x7f) as u8);
    let masked = raw >> 8 & 1 != 0;
    let mut size = (raw & 0xff) as usize;
    let mut experimenter = 0;
    if class == 0xffff {
        experimenter = r.u32()?;
        size = size.checked_sub(4).ok_or(OfError::MatchLength)?;
    }
    if COOKIE.contains(&raw) {
        return Ok(Header {
            field: None,
            masked,
            size,
            raw,
        });
    }
    let field = match find(class, number, experimenter) {
        Some((row, _)) if row.field.is_tun_metadata() => {
            // Nothing but a mask of no bits: the option is there.
            if size == 0 && !masked
                || size > OPTION_MAX << u8::from(masked)
                || masked && !size.is_multiple_of(2)
            {
                return Err(OfError::MatchLength);
            }
            Some(row.field)
        }
        Some((row, id)) => {
            if size != usize::from(id.size) << u8::from(masked) {
                return Err(OfError::MatchLength);
            }
            Some(row.field)
        }
        None => None,
    };
    Ok(Header {
        field,
        masked,
        size,
        raw,
    })
}

/// Converts a wire number to the field's own form: 16-bit ports become 32-bit ones.
pub(crate) fn from_wire(field: Field, value: u128) -> u128 {
    match field {
        Field::InPort => u128::from(PortNo::from_v10(value as u16).0),
        _ => value,
    }
}

/// The opposite; a port that 16 bits cannot say becomes "none".
pub(crate) fn to_wire(field: Field, value: u128) -> u128 {
    match field {
        Field::InPort => u128::from(PortNo(value as u32).to_v10().unwrap_or(u16::MAX)),
        _ => value,
    }
}

/// Whether there are a number for the field and room for the value.
pub(crate) fn is_sayable(field: Field, value: u128, flavor: Flavor) -> bool {
    let far = field == Field::InPort && PortNo(value as u32).to_v10().is_none();
    id(field, flavor).is_some() && !far
}

/// Reads the value, and the mask if there is one, that follow a known field's header.
pub(crate) fn get_payload(
    r: &mut Reader<'_>,
    field: Field,
    header: Header,
) -> Result<Entry, OfError> {
    let size = header.size >> u8::from(header.masked);
    if size > 16 {
        // Longer tunnel options are not kept here.
        return Err(OfError::MatchLength);
    }
    let full = field.full_mask();
    let value = r.uint(size)?;
    let mask = if header.masked {
        r.uint(size)?
    } else {
        u128::MAX
    };
    if value & !mask != 0 {
        return Err(OfError::MatchWildcards);
    }
    let value = from_wire(field, value);
    if value & !full != 0 || value > field.largest() {
        return Err(OfError::MatchValue);
    }
    let every_bit = if size == 16 {
        u128::MAX
    } else {
        (1 << (size * 8)) - 1
    };
    // A mask says how much of a tunnel option matters, without one all of it does.
    let whole = !header.masked || mask == every_bit && !field.is_tun_metadata();
    let mask = if whole { full } else { mask & full };
    Ok(Entry {
        field,
        value,
        mask,
        masked: header.masked,
    })
}

/// Reads one entry of a known field. An action may set some bits of a field that matches know whole.
pub(crate) fn get_entry(r: &mut Reader<'_>) -> Result<Entry, OfError> {
    let header = get_header(r)?;
    let field = header.field.ok_or(OfError::MatchField)?;
    get_payload(r, field, header)
}

/// A match, and the rules' cookies that it selects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    pub(crate) matching: Match,
    pub(crate) cookie: Cookie,
    pub(crate) cookie_mask: u64,
}

/// Reads a list of entries. `loose` skips fields that are not known and asks for no prerequisites:
/// the metadata of packet-ins, where the sender decides what is worth saying.
pub(crate) fn get_entries(bytes: &[u8], loose: bool) -> Result<Entries, OfError> {
    let mut r = Reader::new(bytes, OfError::MatchLength);
    let mut entries = Entries::default();
    while !r.is_empty() {
        let header = get_header(&mut r)?;
        if COOKIE.contains(&header.raw) {
            if entries.cookie_mask != 0 {
                return Err(OfError::MatchDuplicate);
            }
            let value = r.u64()?;
            entries.cookie_mask = if header.masked { r.u64()? } else { u64::MAX };
            if value & !entries.cookie_mask != 0 {
                return Err(OfError::MatchWildcards);
            }
            entries.cookie = Cookie(value);
            continue;
        }
        let Some(field) = header.field else {
            if !loose {
                return Err(OfError::MatchField);
            }
            r.skip(header.size)?;
            continue;
        };
        let entry = get_payload(&mut r, field, header)?;
        let partial = entry.mask != field.full_mask() && entry.mask != 0;
        if partial && !field.row().maskable {
            return Err(OfError::MatchMask);
        }
        if field == Field::InPortOxm && !loose && !PortNo(entry.value as u32).is_known() {
            return Err(OfError::MatchValue);
        }
        let matching = &mut entries.matching;
        if !loose && !field.row().prereq.holds(matching) {
            return Err(OfError::MatchPrerequisite);
        }
        let is_said = matching.get(field.place()).1 & field.full_mask() != 0;
        let is_implied = field == Field::PacketType && !loose && matching.looks_at_headers();
        if is_said || is_implied {
            return Err(OfError::MatchDuplicate);
        }
        if let Some(presence) = field.presence().filter(|_| entry.mask == 0) {
            if matching.get(presence).1 != 0 {
                return Err(OfError::MatchDuplicate);
            }
            matching.set(presence, 1, 1);
        }
        matching.set(field.place(), entry.value, entry.mask);
    }
    entries.matching.settle_packet_type();
    Ok(entries)
}

/// The id of a tunnel option, with the size that the header of a value has.
fn sized(field: Field, id: Id, bits: u128) -> Id {
    match field.is_tun_metadata() {
        true => Id {
            size: option_size(bits),
            ..id
        },
        false => id,
    }
}

/// Writes the header of a field, as actions do that name one.
pub(crate) fn put_field(out: &mut BytesMut, field: Field, flavor: Flavor) {
    if let Some(id) = id(field, flavor) {
        let size = match field.is_tun_metadata() {
            true => OPTION_MAX as u8,
            false => id.size,
        };
        put_header(out, Id { size, ..id }, false);
    }
}

/// Writes a header without value.
pub(crate) fn put_header(out: &mut BytesMut, id: Id, masked: bool) {
    let experimenter = id.class == 0xffff;
    let size = (id.size << u8::from(masked)) + if experimenter { 4 } else { 0 };
    let number = u16::from(id.field) << 9 | u16::from(masked) << 8 | u16::from(size);
    out.put_u16(id.class);
    out.put_u16(number);
    if experimenter {
        out.put_u32(id.experimenter);
    }
}

/// Writes an entry; nothing if the field has no id.
pub(crate) fn put_entry(out: &mut BytesMut, field: Field, value: u128, mask: u128, flavor: Flavor) {
    let full = field.full_mask();
    let Some(id) = id(field, flavor) else {
        return;
    };
    let wire = to_wire(field, value & mask & full);
    let masked = mask & full != full;
    let mut id = sized(field, id, if masked { mask } else { value });
    if mask == 0 && field.is_tun_metadata() {
        id.size = 0;
    }
    put_header(out, id, masked);
    put_uint(out, wire, usize::from(id.size));
    if masked {
        put_uint(out, mask & full, usize::from(id.size));
    }
}

/// Whether the VLAN bits of a match can be said as vlan_vid and vlan_pcp.
fn vlan_fits_oxm(matching: &Match) -> bool {
    let (value, mask) = matching.get(Field::VlanTci.place());
    let present = u128::from(VLAN_PRESENT);
    match mask >> 13 {
        0 => true,
        7 => mask & present != 0 || value & present != 0,
        _ => false,
    }
}

fn register_width(flavor: Flavor) -> u8 {
    match flavor {
        Flavor::Oxm(Version::V15) => 64,
        _ => 32,
    }
}

fn is_register(place: Place) -> bool {
    (word::REG..word::MARK).contains(&usize::from(place.word))
}

/// Whether a match says these bits with this row: several rows may share a place.
fn chosen(row: &Row, matching: &Match, flavor: Flavor) -> bool {
    match row.field {
        Field::InPort | Field::IpTos => flavor == Flavor::Nxm,
        Field::InPortOxm | Field::IpDscp => flavor != Flavor::Nxm,
        Field::VlanTci => flavor == Flavor::Nxm || !vlan_fits_oxm(matching),
        Field::VlanVid | Field::VlanPcp => flavor != Flavor::Nxm && vlan_fits_oxm(matching),
        // Registers are said one by one, and as OpenFlow 1.5's pairs from there on.
        _ if is_register(row.place) => row.place.width == register_width(flavor),
        _ => row.prereq.holds(matching),
    }
}

/// Calls `entry` with each field of a match, in an order in which prerequisites come first.
pub(crate) fn for_each_entry(
    matching: &Match,
    flavor: Flavor,
    mut entry: impl FnMut(Field, u128, u128),
) {
    let words = matching.word_set().0;
    let is_virtual = matching
        .words()
        .last()
        .is_some_and(|word| usize::from(word.index) >= word::VIRTUAL);
    let touched = |row: &&Row| match row.place.is_virtual() {
        true => is_virtual,
        false => row.place.words().0 & words != 0,
    };
    for row in FIELDS.iter().filter(touched) {
        let (value, mask) = matching.get(row.place);
        let full = row.field.full_mask();
        let sayable = mask & full == full || row.maskable;
        let needs_tag = row.field == Field::VlanPcp && !row.prereq.holds(matching);
        if mask & full != 0 && sayable && !needs_tag && chosen(row, matching, flavor) {
            entry(row.field, value, mask);
        }
    }
    // An option that is there, with whatever value: an entry without bits.
    if words >> word::TUN_PRESENT & 1 != 0 {
        let is_there = |row: &&Row| {
            let has = |place| matching.get(place).0 != 0;
            row.field.presence().is_some_and(has) && matching.get(row.place).1 == 0
        };
        let there = FIELDS.iter().filter(is_there);
        there.for_each(|row| entry(row.field, 0, 0));
    }
}

/// Writes the entries of a match.
pub(crate) fn put_entries(out: &mut BytesMut, matching: &Match, flavor: Flavor) {
    for_each_entry(matching, flavor, |field, value, mask| {
        put_entry(out, field, value, mask, flavor);
    });
}

/// Writes the entry that selects rules by cookie (Nicira's form).
pub(crate) fn put_cookie(out: &mut BytesMut, cookie: Cookie, mask: u64) {
    if mask == u64::MAX {
        out.put_u32(COOKIE[0]);
        out.put_u64(cookie.0);
    } else if mask != 0 {
        out.put_u32(COOKIE[1]);
        out.put_u64(cookie.0 & mask);
        out.put_u64(mask);
    }
}

/// `type` of `struct ofp_match`: OXM (OpenFlow 1.3.5 section 7.2.3.1).
const OFPMT_OXM: u16 = 1;

/// Reads `struct ofp_match` with its padding.
pub(crate) fn get_match(r: &mut Reader<'_>) -> Result<Match, OfError> {
    get_match_with(r, false)
}

/// Reads `struct ofp_match`; `loose` as in [`get_entries`].
pub(crate) fn get_match_with(r: &mut Reader<'_>, loose: bool) -> Result<Match, OfError> {
    let (kind, size) = (r.u16()?, usize::from(r.u16()?));
    match kind {
        match11::STANDARD if size == match11::SIZE => return match11::get(r),
        match11::STANDARD => return Err(OfError::MatchLength),
        OFPMT_OXM => {}
        _ => return Err(OfError::MatchType),
    }
    let entries = size.checked_sub(4).ok_or(OfError::MatchLength)?;
    let bytes = r.bytes(entries).map_err(|_| OfError::MatchLength)?;
    r.skip(size.next_multiple_of(8) - size)
        .map_err(|_| OfError::MatchLength)?;
    Ok(get_entries(bytes, loose)?.matching)
}

/// Writes `struct ofp_match` with its padding; OpenFlow 1.1 has its own.
pub(crate) fn put_match(out: &mut BytesMut, matching: &Match, version: Version) {
    if version <= Version::V11 {
        return match11::put(out, matching);
    }
    let start = out.len();
    out.put_u16(OFPMT_OXM);
    out.put_u16(0);
    put_entries(out, matching, Flavor::Oxm(version));
    let size = out.len() - start;
    patch_u16(out, start + 2, size);
    pad8(out, start);
}

/// Reads a Nicira match of a given size, with the padding behind it.
pub(crate) fn get_nxm(r: &mut Reader<'_>, size: usize, loose: bool) -> Result<Entries, OfError> {
    let entries = get_entries(r.bytes(size).map_err(|_| OfError::MatchLength)?, loose)?;
    r.skip(size.next_multiple_of(8) - size)
        .map_err(|_| OfError::MatchLength)?;
    Ok(entries)
}

/// Writes a Nicira match whose size goes to `size_at`.
pub(crate) fn put_nxm(
    out: &mut BytesMut,
    size_at: usize,
    matching: &Match,
    cookie: Cookie,
    cookie_mask: u64,
) {
    let start = out.len();
    put_entries(out, matching, Flavor::Nxm);
    put_cookie(out, cookie, cookie_mask);
    let size = out.len() - start;
    patch_u16(out, size_at, size);
    pad8(out, start);
}
