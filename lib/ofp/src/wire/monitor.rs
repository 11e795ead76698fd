//! Flow monitors: Nicira's form (1.0 to 1.2), ONF's (1.3) and the standard's (1.4 and later).

use super::Context;
use super::action::get_actions;
use super::cursor::{Layout, Reader, Tlv, put_tlv};
use super::flow::{get_rule, reason, wire_reason};
use super::oxm;
use super::put_action::{self, put_actions, put_rule};
use crate::action::Action;
use crate::error::OfError;
use crate::key::Match;
use crate::message::{
    Body, FlowEvent, FlowUpdate, FullUpdate, MonitorCommand, MonitorRequest, MultipartPart,
    MultipartRequest, monitor_flag as flag,
};
use crate::types::{Cookie, GroupId, PortNo, TableId, Version, Xid};
use bytes::{BufMut, BytesMut};

/// The flags of Nicira's and ONF's form; `OWN` there is [`flag::NO_ABBREV`] here.
const FLAGS10: u16 = 0x3f;
const FLAGS14: u16 = 0x7f;
/// "At least one of these must be set": without one nothing would be reported after the beginning.
const EVENTS: u16 = flag::ADD | flag::REMOVED | flag::MODIFY;

/// Three forms.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Nicira,
    Onf,
    Standard,
}

fn form(version: Version) -> Form {
    match version {
        Version::V10 | Version::V11 | Version::V12 => Form::Nicira,
        Version::V13 => Form::Onf,
        _ => Form::Standard,
    }
}

/// Reads 1.4's flags. Open vSwitch 3.1 and its tools say `ONLY_OWN` (bit 6) where they mean "my own
/// changes in full", which is `NO_ABBREV` (bit 5). Alone, `ONLY_OWN` would ask for nothing but
/// abbreviated reports of the asker's own changes, so it is taken for what they mean.
fn flags14(wire: u16) -> u16 {
    match wire & (flag::NO_ABBREV | flag::ONLY_OWN) {
        flag::ONLY_OWN => wire ^ (flag::NO_ABBREV | flag::ONLY_OWN),
        _ => wire,
    }
}

/// The opposite: `NO_ABBREV` alone is said as Open vSwitch says it.
fn wire_flags14(flags: u16) -> u16 {
    match flags & (flag::NO_ABBREV | flag::ONLY_OWN) {
        flag::NO_ABBREV => flags ^ (flag::NO_ABBREV | flag::ONLY_OWN),
        _ => flags,
    }
}

fn check(request: MonitorRequest, wire_flags: u16, known: u16) -> Result<MonitorRequest, OfError> {
    let deletes = request.command == MonitorCommand::Delete;
    if deletes || wire_flags & !known == 0 && wire_flags & EVENTS != 0 {
        Ok(request)
    } else {
        Err(OfError::MonitorFlags)
    }
}

pub(super) fn request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut requests = Vec::new();
    while !r.is_empty() {
        requests.push(match form(c.version) {
            Form::Nicira => get_nicira(r)?,
            Form::Onf => get_onf(r)?,
            Form::Standard => get_standard(r)?,
        });
    }
    Ok(Body::MultipartRequest(MultipartRequest::FlowMonitor(
        requests,
    )))
}

fn get_nicira(r: &mut Reader<'_>) -> Result<MonitorRequest, OfError> {
    let (id, flags) = (r.u32()?, r.u16()?);
    let out_port = PortNo::from_v10(r.u16()?);
    let size = usize::from(r.u16()?);
    let table = TableId(r.u8()?);
    r.skip(5)?;
    let matching = oxm::get_nxm(r, size, false)?.matching;
    let out_group = GroupId::ANY;
    let command = MonitorCommand::Add;
    let request = MonitorRequest {
        id,
        command,
        flags,
        table,
        out_port,
        out_group,
        matching,
    };
    check(request, flags, FLAGS10)
}

fn get_onf(r: &mut Reader<'_>) -> Result<MonitorRequest, OfError> {
    let (id, flags, size) = (r.u32()?, r.u16()?, r.u16()?);
    let (out_port, table) = (PortNo(r.u32()?), TableId(r.u8()?));
    r.skip(3)?;
    let matching = get_sized_match(r, size)?;
    let out_group = GroupId::ANY;
    let command = MonitorCommand::Add;
    let request = MonitorRequest {
        id,
        command,
        flags,
        table,
        out_port,
        out_group,
        matching,
    };
    check(request, flags, FLAGS10)
}

/// A standard match whose size is said twice.
fn get_sized_match(r: &mut Reader<'_>, size: u16) -> Result<Match, OfError> {
    let before = *r;
    let (_, own) = (r.u16()?, r.u16()?);
    if own != size {
        return Err(OfError::MatchLength);
    }
    *r = before;
    oxm::get_match(r)
}

fn get_standard(r: &mut Reader<'_>) -> Result<MonitorRequest, OfError> {
    let (id, out_port, out_group) = (r.u32()?, PortNo(r.u32()?), GroupId(r.u32()?));
    let (wire_flags, table) = (r.u16()?, TableId(r.u8()?));
    let command = match r.u8()? {
        0 => MonitorCommand::Add,
        1 => MonitorCommand::Modify,
        2 => MonitorCommand::Delete,
        _ => return Err(OfError::MonitorCommand),
    };
    let matching = oxm::get_match(r)?;
    let flags = flags14(wire_flags);
    let request = MonitorRequest {
        id,
        command,
        flags,
        table,
        out_port,
        out_group,
        matching,
    };
    check(request, wire_flags, FLAGS14)
}

pub(super) fn put_requests(out: &mut BytesMut, version: Version, requests: &[MonitorRequest]) {
    for q in requests {
        out.put_u32(q.id);
        match form(version) {
            Form::Nicira => {
                out.put_u16(q.flags & FLAGS10);
                out.put_u16(q.out_port.to_v10().unwrap_or(u16::MAX));
                let size_at = out.len();
                out.put_u16(0);
                out.put_u8(q.table.0);
                out.put_bytes(0, 5);
                oxm::put_nxm(out, size_at, &q.matching, Cookie(0), 0);
            }
            Form::Onf => {
                out.put_u16(q.flags & FLAGS10);
                let size_at = out.len();
                out.put_u16(0);
                out.put_u32(q.out_port.0);
                out.put_u32(u32::from(q.table.0) << 24);
                put_sized_match(out, version, size_at, &q.matching);
            }
            Form::Standard => {
                out.put_u32(q.out_port.0);
                out.put_u32(q.out_group.0);
                out.put_u16(wire_flags14(q.flags));
                out.put_u8(q.table.0);
                out.put_u8(q.command as u8);
                oxm::put_match(out, &q.matching, version);
            }
        }
    }
}

fn put_sized_match(out: &mut BytesMut, version: Version, size_at: usize, matching: &Match) {
    let start = out.len();
    oxm::put_match(out, matching, version);
    out.copy_within(start + 2..start + 4, size_at);
}

/// Numbers of events in the standard; Nicira's and ONF's have no "initial", so that they are one less.
mod event {
    pub(super) const INITIAL: u16 = 0;
    pub(super) const ADDED: u16 = 1;
    pub(super) const REMOVED: u16 = 2;
    pub(super) const MODIFIED: u16 = 3;
    pub(super) const ABBREV: u16 = 4;
    pub(super) const PAUSED: u16 = 5;
    pub(super) const RESUMED: u16 = 6;
}

pub(super) fn updates(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let updates = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get_update(&mut Reader::new(element?.body, OfError::BadLength), c))
        .collect::<Result<_, _>>()?;
    c.reply(MultipartPart::FlowMonitor(updates))
}

fn get_update(r: &mut Reader<'_>, c: &Context<'_>) -> Result<FlowUpdate, OfError> {
    let standard = form(c.version) == Form::Standard;
    let number = r.u16()?.saturating_add(u16::from(!standard));
    match number {
        event::ABBREV => {
            let xid = Xid(r.u32()?);
            r.end().map(|()| FlowUpdate::Abbreviated(xid))
        }
        event::PAUSED if standard => r.skip(4).map(|()| FlowUpdate::Paused),
        event::RESUMED if standard => r.skip(4).map(|()| FlowUpdate::Resumed),
        event::INITIAL..=event::MODIFIED if standard => get_full14(r, number, c),
        event::ADDED..=event::MODIFIED => get_full10(r, number, c),
        _ => Err(OfError::BadType),
    }
}

fn get_event(number: u16, why: u8) -> Result<FlowEvent, OfError> {
    Ok(match number {
        event::INITIAL => FlowEvent::Initial,
        event::ADDED => FlowEvent::Added,
        event::REMOVED => FlowEvent::Removed(reason(why)?),
        _ => FlowEvent::Modified,
    })
}

/// None at all may mean that they were not asked for.
fn some_actions(actions: Vec<Action>) -> Option<Vec<Action>> {
    Some(actions).filter(|actions| !actions.is_empty())
}

fn get_full10(r: &mut Reader<'_>, number: u16, c: &Context<'_>) -> Result<FlowUpdate, OfError> {
    let event = get_event(number, u8::try_from(r.u16()?).unwrap_or(u8::MAX))?;
    let (priority, idle_timeout_secs, hard_timeout_secs) = (r.u16()?, r.u16()?, r.u16()?);
    let size = r.u16()?;
    let table = TableId(r.u8()?);
    r.skip(1)?;
    let cookie = Cookie(r.u64()?);
    let (matching, actions) = match form(c.version) {
        Form::Nicira => {
            let matching = oxm::get_nxm(r, usize::from(size), false)?.matching;
            (matching, get_actions(r.rest(), c.actions())?)
        }
        _ => (get_sized_match(r, size)?, get_rule(r, c)?),
    };
    let actions = some_actions(actions);
    Ok(FlowUpdate::Full(FullUpdate {
        event,
        table,
        idle_timeout_secs,
        hard_timeout_secs,
        priority,
        cookie,
        matching,
        actions,
    }))
}

fn get_full14(r: &mut Reader<'_>, number: u16, c: &Context<'_>) -> Result<FlowUpdate, OfError> {
    let table = TableId(r.u8()?);
    let event = get_event(number, r.u8()?)?;
    let (idle_timeout_secs, hard_timeout_secs, priority) = (r.u16()?, r.u16()?, r.u16()?);
    r.skip(4)?;
    let cookie = Cookie(r.u64()?);
    let matching = oxm::get_match(r)?;
    let actions = some_actions(get_rule(r, c)?);
    Ok(FlowUpdate::Full(FullUpdate {
        event,
        table,
        idle_timeout_secs,
        hard_timeout_secs,
        priority,
        cookie,
        matching,
        actions,
    }))
}

/// Writes an entry of a report; nothing for what the form says by a message of its own.
pub(super) fn put_update(out: &mut BytesMut, version: Version, update: &FlowUpdate) {
    let standard = form(version) == Form::Standard;
    let short = |out: &mut BytesMut, event: u16, xid: u32| {
        put_tlv(out, Layout::Record, 0, |o| {
            o.put_u16(event - u16::from(!standard));
            o.put_u32(xid);
        });
    };
    match update {
        FlowUpdate::Abbreviated(xid) => short(out, event::ABBREV, xid.0),
        FlowUpdate::Paused if standard => short(out, event::PAUSED, 0),
        FlowUpdate::Resumed if standard => short(out, event::RESUMED, 0),
        FlowUpdate::Paused | FlowUpdate::Resumed => {}
        FlowUpdate::Full(full) => put_tlv(out, Layout::Record, 0, |o| match standard {
            true => put_full14(o, version, full),
            false => put_full10(o, version, full),
        }),
    }
}

fn event_number(event: FlowEvent, version: Version) -> (u16, u8) {
    match event {
        FlowEvent::Initial => (event::INITIAL, 0),
        FlowEvent::Added => (event::ADDED, 0),
        FlowEvent::Removed(reason) => (event::REMOVED, wire_reason(reason, version)),
        FlowEvent::Modified => (event::MODIFIED, 0),
    }
}

fn put_full10(out: &mut BytesMut, version: Version, full: &FullUpdate) {
    // A flow that was there before is an added one there.
    let (number, reason) = event_number(full.event, version);
    out.put_u16(number.saturating_sub(1));
    out.put_u16(u16::from(reason));
    out.put_u16(full.priority);
    out.put_u16(full.idle_timeout_secs);
    out.put_u16(full.hard_timeout_secs);
    let size_at = out.len();
    out.put_u16(0);
    out.put_u8(full.table.0);
    out.put_u8(0);
    out.put_u64(full.cookie.0);
    let actions = full.actions.as_deref().unwrap_or_default();
    let context = put_action::Context::new(version, &full.matching);
    if form(version) == Form::Nicira {
        oxm::put_nxm(out, size_at, &full.matching, Cookie(0), 0);
        put_actions(out, actions, context);
    } else {
        put_sized_match(out, version, size_at, &full.matching);
        put_rule(out, actions, context);
    }
}

fn put_full14(out: &mut BytesMut, version: Version, full: &FullUpdate) {
    let (number, reason) = event_number(full.event, version);
    out.put_u16(number);
    out.put_u8(full.table.0);
    out.put_u8(reason);
    out.put_u16(full.idle_timeout_secs);
    out.put_u16(full.hard_timeout_secs);
    out.put_u16(full.priority);
    out.put_u32(0);
    out.put_u64(full.cookie.0);
    oxm::put_match(out, &full.matching, version);
    let context = put_action::Context::new(version, &full.matching);
    put_rule(out, full.actions.as_deref().unwrap_or_default(), context);
}

pub(super) fn cancel(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let id = r.u32()?;
    r.end().map(|()| Body::FlowMonitorCancel(id))
}
