//! Flows: flow_mod and flow_removed, each in the standard's form and in Nicira's.

use super::action::get_actions;
use super::cursor::Reader;
use super::instruction::get_instructions;
use super::oxs;
use super::port::put_port;
use super::put_action::{self, put_rule};
use super::{Context, match10, oxm};
use crate::action::Action;
use crate::error::OfError;
use crate::message::{
    Body, Dialect, Duration, FlowCounters, FlowMod, FlowModCommand, FlowRemoved, FlowRemovedReason,
    flow_flag,
};
use crate::types::{Cookie, GroupId, PortNo, TableId, Version};
use bytes::{BufMut, BytesMut};

/// OpenFlow 1.0's flag bits on the wire.
const FLAGS10: u16 = flow_flag::SEND_FLOW_REM | flow_flag::CHECK_OVERLAP;
const EMERGENCY10: u16 = 1 << 2;
/// Those of 1.1 (two), 1.2 (and RESET_COUNTS), 1.3 and later (and NO_PACKET_COUNTS, NO_BYTE_COUNTS).
pub(super) const fn known_flags(version: Version) -> u16 {
    match version {
        Version::V10 | Version::V11 => FLAGS10,
        Version::V12 => 0x7,
        _ => 0x1f,
    }
}
/// In a MODIFY: keep the cookie; do not add.
const KEEP: Cookie = Cookie(u64::MAX);

/// Reads a rule's actions: a list in 1.0, instructions later.
pub(super) fn get_rule(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Vec<Action>, OfError> {
    match c.version {
        Version::V10 => get_actions(r.rest(), c.actions()),
        _ => get_instructions(r.rest(), c.actions()),
    }
}

fn command(byte: u16) -> Result<FlowModCommand, OfError> {
    use FlowModCommand as F;
    [
        F::Add,
        F::Modify,
        F::ModifyStrict,
        F::Delete,
        F::DeleteStrict,
    ]
    .get(usize::from(byte))
    .copied()
    .ok_or(OfError::FlowCommand)
}

fn is_delete(command: FlowModCommand) -> bool {
    matches!(
        command,
        FlowModCommand::Delete | FlowModCommand::DeleteStrict
    )
}

/// 1.0's `command` may hold the table in its high byte.
fn get_command10(r: &mut Reader<'_>, dialect: &Dialect, m: &mut FlowMod) -> Result<(), OfError> {
    let wire = r.u16()?;
    if dialect.flow_mod_table_id {
        m.table = TableId((wire >> 8) as u8);
        m.command = command(wire & 0xff)?;
    } else {
        m.command = command(wire)?;
    }
    Ok(())
}

/// What follows the command in 1.0's and Nicira's form, up to the flags.
fn get_middle10(r: &mut Reader<'_>, m: &mut FlowMod) -> Result<(), OfError> {
    m.idle_timeout_secs = r.u16()?;
    m.hard_timeout_secs = r.u16()?;
    m.priority = r.u16()?;
    m.buffer_id = r.u32()?;
    m.out_port = PortNo::from_v10(r.u16()?);
    let flags = r.u16()?;
    if flags & EMERGENCY10 != 0 {
        let timeouts = m.idle_timeout_secs != 0 || m.hard_timeout_secs != 0;
        return Err(if timeouts {
            OfError::FlowEmergency
        } else {
            OfError::FlowTableFull
        });
    }
    if flags & !FLAGS10 != 0 {
        return Err(OfError::FlowFlags);
    }
    m.flags = flags;
    if m.command == FlowModCommand::Add {
        // Adding always resets counters there; later versions have a flag for it.
        m.flags |= flow_flag::RESET_COUNTS;
    }
    Ok(())
}

/// Values that a command does not use are the default ones, so that equal requests are equal.
fn settle(mut m: FlowMod) -> Body {
    if !is_delete(m.command) {
        m.out_port = PortNo::ANY;
        m.out_group = GroupId::ANY;
    } else if m.cookie_mask == 0 {
        m.cookie = Cookie(0);
    }
    Body::FlowMod(Box::new(m))
}

pub(super) fn flow_mod(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut m = FlowMod::default();
    if c.version == Version::V10 {
        m.matching = match10::get(r)?;
        m.cookie = Cookie(r.u64()?);
        get_command10(r, &c.dialect, &mut m)?;
        get_middle10(r, &mut m)?;
        m.actions = get_rule(r, c)?;
        return Ok(settle(m));
    }
    m.cookie = Cookie(r.u64()?);
    m.cookie_mask = r.u64()?;
    m.table = TableId(r.u8()?);
    m.command = command(u16::from(r.u8()?))?;
    m.idle_timeout_secs = r.u16()?;
    m.hard_timeout_secs = r.u16()?;
    m.priority = r.u16()?;
    m.buffer_id = r.u32()?;
    m.out_port = PortNo(r.u32()?);
    m.out_group = GroupId(r.u32()?);
    m.flags = r.u16()?;
    let importance = r.u16()?;
    m.importance = if c.version >= Version::V14 {
        importance
    } else {
        0
    };
    if m.flags & !known_flags(c.version) != 0 {
        return Err(OfError::FlowFlags);
    }
    // Since 1.2: "For OFPFC_DELETE* commands, OFPTT_ALL can also be used" (section A.3.4.1).
    if m.table == TableId::ALL && (!is_delete(m.command) || c.version == Version::V11) {
        return Err(OfError::FlowTableId);
    }
    match m.command {
        FlowModCommand::Add => {
            m.cookie_mask = 0;
            if c.version == Version::V11 {
                m.flags |= flow_flag::RESET_COUNTS;
            }
        }
        FlowModCommand::Modify | FlowModCommand::ModifyStrict if m.cookie_mask == 0 => {
            // What is not there to be modified is added by 1.1, with this cookie.
            if c.version > Version::V11 {
                m.cookie = KEEP;
            }
        }
        _ => m.cookie.0 &= m.cookie_mask,
    }
    m.matching = oxm::get_match(r)?;
    m.actions = get_rule(r, c)?;
    Ok(settle(m))
}

pub(super) fn nx_flow_mod(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut m = FlowMod {
        cookie: Cookie(r.u64()?),
        ..FlowMod::default()
    };
    get_command10(r, &c.dialect, &mut m)?;
    get_middle10(r, &mut m)?;
    let match_size = usize::from(r.u16()?);
    r.skip(6)?;
    let entries = oxm::get_nxm(r, match_size, false)?;
    m.matching = entries.matching;
    if entries.cookie_mask != 0 {
        // "Add" has nothing to select.
        if m.command == FlowModCommand::Add {
            return Err(OfError::MatchField);
        }
        m.new_cookie = (m.cookie != KEEP && !is_delete(m.command)).then_some(m.cookie);
        m.cookie = entries.cookie;
        m.cookie_mask = entries.cookie_mask;
    }
    m.actions = get_rule(r, c)?;
    Ok(settle(m))
}

pub(super) fn put_flow_mod(out: &mut BytesMut, dialect: &Dialect, m: &FlowMod) {
    let version = dialect.version;
    let context = put_action::Context::new(version, &m.matching);
    let nxm = dialect.nxm();
    if version != Version::V10 {
        put_standard(out, version, m);
        oxm::put_match(out, &m.matching, version);
        return put_rule(out, &m.actions, context);
    }
    if !nxm {
        match10::put(out, &m.matching);
    }
    let new = match m.cookie_mask {
        0 => m.cookie,
        _ => m.new_cookie.unwrap_or(if is_delete(m.command) {
            Cookie(0)
        } else {
            KEEP
        }),
    };
    out.put_u64(new.0);
    let table = if dialect.flow_mod_table_id {
        u16::from(m.table.0) << 8
    } else {
        0
    };
    out.put_u16(table | m.command as u16);
    out.put_u16(m.idle_timeout_secs);
    out.put_u16(m.hard_timeout_secs);
    out.put_u16(m.priority);
    out.put_u32(m.buffer_id);
    put_port(out, version, m.out_port);
    out.put_u16(m.flags & FLAGS10);
    if nxm {
        let size_at = out.len();
        out.put_u64(0);
        oxm::put_nxm(out, size_at, &m.matching, m.cookie, m.cookie_mask);
    }
    put_rule(out, &m.actions, context);
}

fn put_standard(out: &mut BytesMut, version: Version, m: &FlowMod) {
    let add = m.command == FlowModCommand::Add;
    let cookie = match m.cookie_mask {
        0 if add || version == Version::V11 && !is_delete(m.command) => m.cookie,
        0 => Cookie(0),
        _ if add => m.new_cookie.unwrap_or(m.cookie),
        _ => m.cookie,
    };
    let table = match m.table {
        TableId::ALL if !is_delete(m.command) => TableId(0),
        table => table,
    };
    out.put_u64(cookie.0);
    out.put_u64(if add { 0 } else { m.cookie_mask });
    out.put_u8(table.0);
    out.put_u8(m.command as u8);
    out.put_u16(m.idle_timeout_secs);
    out.put_u16(m.hard_timeout_secs);
    out.put_u16(m.priority);
    out.put_u32(m.buffer_id);
    out.put_u32(m.out_port.0);
    out.put_u32(m.out_group.0);
    out.put_u16(m.flags & known_flags(version));
    out.put_u16(if version >= Version::V14 {
        m.importance
    } else {
        0
    });
}

pub(super) fn reason(byte: u8) -> Result<FlowRemovedReason, OfError> {
    use FlowRemovedReason as F;
    [
        F::IdleTimeout,
        F::HardTimeout,
        F::Delete,
        F::GroupDelete,
        F::MeterDelete,
        F::Eviction,
    ]
    .get(usize::from(byte))
    .copied()
    .ok_or(OfError::BadType)
}

/// The reason's number before 1.4 (which adds meter_delete) and 1.1 (group_delete, as Open vSwitch
/// sends it also in 1.0).
pub(super) fn wire_reason(reason: FlowRemovedReason, version: Version) -> u8 {
    match reason {
        FlowRemovedReason::MeterDelete if version < Version::V14 => FlowRemovedReason::Delete as u8,
        FlowRemovedReason::Eviction if version < Version::V14 => FlowRemovedReason::Delete as u8,
        reason => reason as u8,
    }
}

pub(super) fn get_duration(r: &mut Reader<'_>) -> Result<Duration, OfError> {
    Ok(Duration {
        secs: r.u32()?,
        nanos: r.u32()?,
    })
}

pub(super) fn put_duration(out: &mut BytesMut, duration: Duration) {
    out.put_u32(duration.secs);
    out.put_u32(duration.nanos);
}

pub(super) fn flow_removed(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    if c.version >= Version::V15 {
        return flow_removed15(r);
    }
    let v10 = c.version == Version::V10;
    let mut f = FlowRemoved {
        table: TableId::ALL,
        ..FlowRemoved::default()
    };
    if v10 {
        f.matching = match10::get(r)?;
    }
    f.cookie = Cookie(r.u64()?);
    f.priority = r.u16()?;
    f.reason = reason(r.u8()?)?;
    let table = r.u8()?;
    f.duration = get_duration(r)?;
    f.idle_timeout_secs = r.u16()?;
    // 1.0 and 1.1 have padding here.
    let hard_timeout_secs = r.u16()?;
    if !v10 {
        f.table = TableId(table);
    }
    if c.version >= Version::V12 {
        f.hard_timeout_secs = hard_timeout_secs;
    }
    f.packets = r.u64()?;
    f.bytes = r.u64()?;
    if !v10 {
        f.matching = oxm::get_match(r)?;
    }
    r.end()?;
    Ok(Body::FlowRemoved(Box::new(f)))
}

/// OpenFlow 1.5.1 section 7.4.3: counters and duration are statistics fields behind the match.
fn flow_removed15(r: &mut Reader<'_>) -> Result<Body, OfError> {
    let mut f = FlowRemoved {
        table: TableId(r.u8()?),
        reason: reason(r.u8()?)?,
        priority: r.u16()?,
        idle_timeout_secs: r.u16()?,
        hard_timeout_secs: r.u16()?,
        cookie: Cookie(r.u64()?),
        matching: oxm::get_match(r)?,
        ..FlowRemoved::default()
    };
    let stats = oxs::get(r)?;
    r.end()?;
    f.duration = stats.duration.unwrap_or_default();
    f.packets = stats.packet_count.unwrap_or(u64::MAX);
    f.bytes = stats.byte_count.unwrap_or(u64::MAX);
    Ok(Body::FlowRemoved(Box::new(f)))
}

fn put_flow_removed15(out: &mut BytesMut, f: &FlowRemoved) {
    out.put_u8(f.table.0);
    out.put_u8(f.reason as u8);
    out.put_u16(f.priority);
    out.put_u16(f.idle_timeout_secs);
    out.put_u16(f.hard_timeout_secs);
    out.put_u64(f.cookie.0);
    oxm::put_match(out, &f.matching, Version::V15);
    let stats = FlowCounters {
        duration: Some(f.duration),
        ..counted(f.packets, f.bytes)
    };
    oxs::put(out, &stats);
}

/// Counters as statistics fields; those that are not known are left out.
pub(super) fn counted(packets: u64, bytes: u64) -> FlowCounters {
    let known = |count: u64| Some(count).filter(|count| *count != u64::MAX);
    FlowCounters {
        packet_count: known(packets),
        byte_count: known(bytes),
        ..FlowCounters::default()
    }
}

pub(super) fn nx_flow_removed(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let mut f = FlowRemoved {
        cookie: Cookie(r.u64()?),
        priority: r.u16()?,
        reason: reason(r.u8()?)?,
        // One more than the table; 0: not known.
        table: TableId(r.u8()?.wrapping_sub(1)),
        duration: get_duration(r)?,
        idle_timeout_secs: r.u16()?,
        ..FlowRemoved::default()
    };
    let match_size = usize::from(r.u16()?);
    f.packets = r.u64()?;
    f.bytes = r.u64()?;
    f.matching = oxm::get_nxm(r, match_size, false)?.matching;
    r.end()?;
    Ok(Body::FlowRemoved(Box::new(f)))
}

pub(super) fn put_flow_removed(out: &mut BytesMut, dialect: &Dialect, f: &FlowRemoved) {
    let (version, nxm) = (dialect.version, dialect.nxm());
    let v10 = version == Version::V10;
    if version >= Version::V15 {
        return put_flow_removed15(out, f);
    }
    if v10 && !nxm {
        match10::put(out, &f.matching);
    }
    out.put_u64(f.cookie.0);
    out.put_u16(f.priority);
    out.put_u8(wire_reason(f.reason, version));
    out.put_u8(match (v10, nxm) {
        (_, true) => f.table.0.wrapping_add(1),
        (true, _) => 0,
        _ => f.table.0,
    });
    put_duration(out, f.duration);
    out.put_u16(f.idle_timeout_secs);
    let size_at = out.len();
    out.put_u16(if version >= Version::V12 {
        f.hard_timeout_secs
    } else {
        0
    });
    out.put_u64(f.packets);
    out.put_u64(f.bytes);
    if nxm {
        oxm::put_nxm(out, size_at, &f.matching, Cookie(0), 0);
    } else if !v10 {
        oxm::put_match(out, &f.matching, version);
    }
}
