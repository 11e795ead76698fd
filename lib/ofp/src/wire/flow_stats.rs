//! Flows in multipart messages: OFPMP_FLOW and OFPMP_AGGREGATE, in the standard's form and in Nicira's.

use super::cursor::{Layout, Reader, Tlv, put_tlv};
use super::flow::{counted, get_duration, get_rule, known_flags, put_duration};
use super::oxs;
use super::port::{get_port, put_port};
use super::put_action::{self, put_rule};
use super::{Context, match10, oxm};
use crate::error::OfError;
use crate::message::{
    Body, Duration, FlowCounters, FlowCounts, FlowStats, FlowStatsRequest, MultipartPart,
};
use crate::types::{Cookie, GroupId, PortNo, TableId, Version};
use bytes::{BufMut, BytesMut};

pub(super) fn get_request(
    r: &mut Reader<'_>,
    c: &Context<'_>,
) -> Result<FlowStatsRequest, OfError> {
    let mut q = FlowStatsRequest {
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        cookie: Cookie(0),
        cookie_mask: 0,
        matching: Default::default(),
        nicira: false,
    };
    if c.version == Version::V10 {
        q.matching = match10::get(r)?;
        q.table = TableId(r.u8()?);
        r.skip(1)?;
        q.out_port = get_port(r, c.version)?;
    } else {
        q.table = TableId(r.u8()?);
        r.skip(3)?;
        q.out_port = PortNo(r.u32()?);
        q.out_group = GroupId(r.u32()?);
        r.skip(4)?;
        q.cookie = Cookie(r.u64()?);
        q.cookie_mask = r.u64()?;
        q.cookie.0 &= q.cookie_mask;
        q.matching = oxm::get_match(r)?;
    }
    r.end().map(|()| q)
}

pub(super) fn get_nx_request(r: &mut Reader<'_>) -> Result<FlowStatsRequest, OfError> {
    let out_port = PortNo::from_v10(r.u16()?);
    let match_size = usize::from(r.u16()?);
    let table = TableId(r.u8()?);
    r.skip(3)?;
    let entries = oxm::get_nxm(r, match_size, false)?;
    r.end()?;
    Ok(FlowStatsRequest {
        table,
        out_port,
        out_group: GroupId::ANY,
        cookie: entries.cookie,
        cookie_mask: entries.cookie_mask,
        matching: entries.matching,
        nicira: true,
    })
}

pub(super) fn put_request(out: &mut BytesMut, version: Version, q: &FlowStatsRequest) {
    if q.nicira {
        put_port(out, Version::V10, q.out_port);
        let size_at = out.len();
        out.put_u16(0);
        out.put_u8(q.table.0);
        out.put_bytes(0, 3);
        oxm::put_nxm(out, size_at, &q.matching, q.cookie, q.cookie_mask);
    } else if version == Version::V10 {
        match10::put(out, &q.matching);
        out.put_u8(q.table.0);
        out.put_u8(0);
        put_port(out, version, q.out_port);
    } else {
        out.put_u32(u32::from(q.table.0) << 24);
        out.put_u32(q.out_port.0);
        out.put_u32(q.out_group.0);
        out.put_u32(0);
        out.put_u64(q.cookie.0);
        out.put_u64(q.cookie_mask);
        oxm::put_match(out, &q.matching, version);
    }
}

/// Ages are sent as one more than they are; 0: not known.
fn get_age(r: &mut Reader<'_>) -> Result<Option<u32>, OfError> {
    Ok(u32::from(r.u16()?).checked_sub(1))
}

fn put_age(out: &mut BytesMut, age: Option<u32>) {
    let wire = age.map_or(0, |age| {
        u16::try_from(age.saturating_add(1)).unwrap_or(u16::MAX)
    });
    out.put_u16(wire);
}

pub(super) fn flow_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let flows = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get_flow(&mut Reader::new(element?.body, OfError::BadLength), c))
        .collect::<Result<_, _>>()?;
    c.reply(MultipartPart::Flow {
        flows,
        nicira: false,
    })
}

pub(super) fn nx_flow_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let flows = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get_nx_flow(&mut Reader::new(element?.body, OfError::BadLength), c))
        .collect::<Result<_, _>>()?;
    c.reply(MultipartPart::Flow {
        flows,
        nicira: true,
    })
}

fn get_flow(r: &mut Reader<'_>, c: &Context<'_>) -> Result<FlowStats, OfError> {
    if c.version >= Version::V15 {
        return get_flow15(r, c);
    }
    let v10 = c.version == Version::V10;
    let mut f = FlowStats {
        table: TableId(r.u8()?),
        ..FlowStats::default()
    };
    r.skip(1)?;
    if v10 {
        f.matching = match10::get(r)?;
    }
    f.duration = get_duration(r)?;
    f.priority = r.u16()?;
    f.idle_timeout_secs = r.u16()?;
    f.hard_timeout_secs = r.u16()?;
    if v10 {
        r.skip(6)?;
    } else {
        f.flags = r.u16()? & known_flags(c.version);
        let importance = r.u16()?;
        f.importance = if c.version >= Version::V14 {
            importance
        } else {
            0
        };
        r.skip(2)?;
    }
    f.cookie = Cookie(r.u64()?);
    f.packets = r.u64()?;
    f.bytes = r.u64()?;
    if !v10 {
        f.matching = oxm::get_match(r)?;
    }
    f.actions = get_rule(r, c)?;
    Ok(f)
}

/// OpenFlow 1.5.1 section 7.3.5.2: counters and ages are statistics fields behind the match.
fn get_flow15(r: &mut Reader<'_>, c: &Context<'_>) -> Result<FlowStats, OfError> {
    r.skip(2)?;
    let mut f = FlowStats {
        table: TableId(r.u8()?),
        ..FlowStats::default()
    };
    r.skip(1)?;
    f.priority = r.u16()?;
    f.idle_timeout_secs = r.u16()?;
    f.hard_timeout_secs = r.u16()?;
    f.flags = r.u16()?;
    f.importance = r.u16()?;
    f.cookie = Cookie(r.u64()?);
    f.matching = oxm::get_match(r)?;
    let stats = oxs::get(r)?;
    f.duration = stats.duration.unwrap_or_default();
    f.idle_age_secs = stats.idle_time.map(|idle| idle.secs);
    f.packets = stats.packet_count.unwrap_or(u64::MAX);
    f.bytes = stats.byte_count.unwrap_or(u64::MAX);
    f.actions = get_rule(r, c)?;
    Ok(f)
}

fn put_flow15(out: &mut BytesMut, f: &FlowStats) {
    put_tlv(out, Layout::Record, 0, |o| {
        o.put_u16(0);
        o.put_u8(f.table.0);
        o.put_u8(0);
        o.put_u16(f.priority);
        o.put_u16(f.idle_timeout_secs);
        o.put_u16(f.hard_timeout_secs);
        o.put_u16(f.flags & known_flags(Version::V15));
        o.put_u16(f.importance);
        o.put_u64(f.cookie.0);
        oxm::put_match(o, &f.matching, Version::V15);
        let stats = FlowCounters {
            duration: Some(f.duration),
            idle_time: f.idle_age_secs.map(|secs| Duration { secs, nanos: 0 }),
            ..counted(f.packets, f.bytes)
        };
        oxs::put(o, &stats);
        put_rule(
            o,
            &f.actions,
            put_action::Context::new(Version::V15, &f.matching),
        );
    });
}

/// OpenFlow 1.5.1 section 7.3.5.4: `length` 16, zero 16, `table` 8, `reason` 8, `priority` 16, match, statistics.
pub(super) fn counts_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let get = |body| {
        let mut r = Reader::new(body, OfError::BadLength);
        r.skip(2)?;
        let counts = FlowCounts {
            table: TableId(r.u8()?),
            triggered: r.u8()? == STAT_TRIGGER,
            priority: r.u16()?,
            matching: oxm::get_match(&mut r)?,
            stats: oxs::get(&mut r)?,
        };
        r.end().map(|()| counts)
    };
    let flows = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get(element?.body))
        .collect::<Result<_, _>>()?;
    c.reply(MultipartPart::FlowCounts(flows))
}

/// OFPFSR_STAT_TRIGGER.
const STAT_TRIGGER: u8 = 1;

pub(super) fn put_counts(out: &mut BytesMut, f: &FlowCounts) {
    put_tlv(out, Layout::Record, 0, |o| {
        o.put_u16(0);
        o.put_u8(f.table.0);
        o.put_u8(if f.triggered { STAT_TRIGGER } else { 0 });
        o.put_u16(f.priority);
        oxm::put_match(o, &f.matching, Version::V15);
        oxs::put(o, &f.stats);
    });
}

fn get_nx_flow(r: &mut Reader<'_>, c: &Context<'_>) -> Result<FlowStats, OfError> {
    let mut f = FlowStats {
        table: TableId(r.u8()?),
        ..FlowStats::default()
    };
    r.skip(1)?;
    f.duration = get_duration(r)?;
    f.priority = r.u16()?;
    f.idle_timeout_secs = r.u16()?;
    f.hard_timeout_secs = r.u16()?;
    let match_size = usize::from(r.u16()?);
    f.idle_age_secs = get_age(r)?;
    f.hard_age_secs = get_age(r)?;
    f.cookie = Cookie(r.u64()?);
    f.packets = r.u64()?;
    f.bytes = r.u64()?;
    f.matching = oxm::get_nxm(r, match_size, false)?.matching;
    f.actions = super::action::get_actions(r.rest(), c.actions())?;
    Ok(f)
}

pub(super) fn put_flow(out: &mut BytesMut, version: Version, nicira: bool, f: &FlowStats) {
    let v10 = version == Version::V10;
    if version >= Version::V15 {
        return put_flow15(out, f);
    }
    put_tlv(out, Layout::Record, 0, |o| {
        o.put_u8(f.table.0);
        o.put_u8(0);
        if v10 && !nicira {
            match10::put(o, &f.matching);
        }
        put_duration(o, f.duration);
        o.put_u16(f.priority);
        o.put_u16(f.idle_timeout_secs);
        o.put_u16(f.hard_timeout_secs);
        let size_at = o.len();
        if nicira {
            o.put_u16(0);
            put_age(o, f.idle_age_secs);
            put_age(o, f.hard_age_secs);
        } else if v10 {
            o.put_bytes(0, 6);
        } else {
            o.put_u16(match version {
                // The flags are told since 1.3.
                v if v < Version::V13 => 0,
                _ => f.flags & known_flags(version),
            });
            o.put_u16(if version >= Version::V14 {
                f.importance
            } else {
                0
            });
            o.put_u16(0);
        }
        o.put_u64(f.cookie.0);
        o.put_u64(f.packets);
        o.put_u64(f.bytes);
        if nicira {
            oxm::put_nxm(o, size_at, &f.matching, Cookie(0), 0);
        } else if !v10 {
            oxm::put_match(o, &f.matching, version);
        }
        put_rule(
            o,
            &f.actions,
            put_action::Context::new(version, &f.matching),
        );
    });
}

pub(super) fn aggregate_reply(
    r: &mut Reader<'_>,
    c: &Context<'_>,
    nicira: bool,
) -> Result<Body, OfError> {
    let (packets, bytes, flows);
    if c.version >= Version::V15 {
        let stats = oxs::get(r)?;
        packets = stats.packet_count.unwrap_or(u64::MAX);
        bytes = stats.byte_count.unwrap_or(u64::MAX);
        flows = stats.flow_count.unwrap_or(0);
    } else {
        (packets, bytes, flows) = (r.u64()?, r.u64()?, r.u32()?);
        r.skip(4)?;
    }
    r.end()?;
    c.reply(MultipartPart::Aggregate {
        packets,
        bytes,
        flows,
        nicira,
    })
}

pub(super) fn put_aggregate(
    out: &mut BytesMut,
    version: Version,
    packets: u64,
    bytes: u64,
    flows: u32,
) {
    if version >= Version::V15 {
        let stats = FlowCounters {
            flow_count: Some(flows),
            ..counted(packets, bytes)
        };
        return oxs::put(out, &stats);
    }
    out.put_u64(packets);
    out.put_u64(bytes);
    out.put_u32(flows);
    out.put_u32(0);
}
