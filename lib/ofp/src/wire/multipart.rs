//! Multipart (1.0: statistics): requests, and the entries of replies.

use super::cursor::{Layout, Reader, Tlv, put_text, put_tlv};
use super::flow::{get_duration, get_rule, put_duration};
use super::port::{get_descs, get_port, put_port};
use super::put_action::{self, put_rule};
use super::{
    AGGREGATE_REQUEST, BPDU_REQUEST, Context, DESC_REQUEST, FLOW_REQUEST, NX_AGGREGATE_REQUEST,
    NX_FLOW_REQUEST, PORT_DESC_REQUEST, PORT_REQUEST, QUEUE_REQUEST, TABLE_FEATURES_REQUEST,
    TABLE_REQUEST,
};
use super::{match10, oxm, put_message};
use crate::bpdu::BpduStats;
use crate::error::OfError;
use crate::message::{
    Body, Dialect, Duration, FlowStats, FlowStatsRequest, MultipartPart, MultipartReply,
    MultipartRequest, PortStats, SwitchDesc, TableStats,
};
use crate::types::{Cookie, GroupId, PortNo, TableId, Version, Xid};
use bytes::{BufMut, BytesMut};

const TABLE_NAME_SIZE: usize = 32;

fn reply(c: &Context<'_>, part: MultipartPart) -> Result<Body, OfError> {
    Ok(Body::MultipartReply(MultipartReply { more: c.more, part }))
}

pub(super) fn get_flow_request(
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

pub(super) fn get_nx_flow_request(r: &mut Reader<'_>) -> Result<FlowStatsRequest, OfError> {
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

fn put_flow_request(out: &mut BytesMut, version: Version, q: &FlowStatsRequest) {
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
        oxm::put_match(out, &q.matching);
    }
}

pub(super) fn port_request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let port = get_port(r, c.version)?;
    r.skip(if c.version == Version::V10 { 6 } else { 4 })?;
    r.end()?;
    Ok(Body::MultipartRequest(MultipartRequest::Port(port)))
}

pub(super) fn bpdu_request(r: &mut Reader<'_>, _: &Context<'_>) -> Result<Body, OfError> {
    let port = PortNo(r.u32()?);
    r.skip(4)?;
    r.end()?;
    Ok(Body::MultipartRequest(MultipartRequest::Bpdu(port)))
}

pub(super) fn bpdu_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut ports = Vec::new();
    while !r.is_empty() {
        ports.push(BpduStats::get(r)?);
    }
    reply(c, MultipartPart::Bpdu(ports))
}

pub(super) fn queue_request(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let port = get_port(r, c.version)?;
    r.skip(if c.version == Version::V10 { 2 } else { 0 })?;
    let queue = r.u32()?;
    r.end()?;
    Ok(Body::MultipartRequest(MultipartRequest::Queue {
        port,
        queue,
    }))
}

pub(super) fn put_request(
    out: &mut BytesMut,
    xid: Xid,
    dialect: &Dialect,
    request: &MultipartRequest,
) {
    let version = dialect.version;
    let v10 = version == Version::V10;
    let row = match request {
        MultipartRequest::Desc => &DESC_REQUEST,
        MultipartRequest::Flow(q) if q.nicira => &NX_FLOW_REQUEST,
        MultipartRequest::Flow(_) => &FLOW_REQUEST,
        MultipartRequest::Aggregate(q) if q.nicira => &NX_AGGREGATE_REQUEST,
        MultipartRequest::Aggregate(_) => &AGGREGATE_REQUEST,
        MultipartRequest::Table => &TABLE_REQUEST,
        MultipartRequest::Port(_) => &PORT_REQUEST,
        MultipartRequest::PortDesc => &PORT_DESC_REQUEST,
        MultipartRequest::TableFeatures { .. } => &TABLE_FEATURES_REQUEST,
        MultipartRequest::Bpdu(_) => &BPDU_REQUEST,
        MultipartRequest::Queue { .. } => &QUEUE_REQUEST,
        _ => return,
    };
    put_message(out, version, row, xid, |o| match request {
        MultipartRequest::Flow(q) | MultipartRequest::Aggregate(q) => {
            put_flow_request(o, version, q);
        }
        MultipartRequest::Port(port) => {
            put_port(o, version, *port);
            o.put_bytes(0, if v10 { 6 } else { 4 });
        }
        MultipartRequest::Bpdu(port) => {
            o.put_u32(port.0);
            o.put_u32(0);
        }
        MultipartRequest::Queue { port, queue } => {
            put_port(o, version, *port);
            o.put_bytes(0, if v10 { 2 } else { 0 });
            o.put_u32(*queue);
        }
        MultipartRequest::Desc
        | MultipartRequest::Table
        | MultipartRequest::PortDesc
        | MultipartRequest::TableFeatures { .. } => {}
        _ => {}
    });
}

/// Sizes of the five texts of OFPMP_DESC.
const DESC_SIZES: [usize; 5] = [256, 256, 256, 32, 256];

pub(super) fn desc_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let [a, b, d, e, f] = DESC_SIZES;
    let desc = SwitchDesc {
        manufacturer: r.text(a)?,
        hardware: r.text(b)?,
        software: r.text(d)?,
        serial: r.text(e)?,
        datapath: r.text(f)?,
    };
    r.end()?;
    reply(c, MultipartPart::Desc(desc))
}

pub(super) fn put_desc(out: &mut BytesMut, desc: &SwitchDesc) {
    let texts = [
        &desc.manufacturer,
        &desc.hardware,
        &desc.software,
        &desc.serial,
        &desc.datapath,
    ];
    for (text, size) in texts.into_iter().zip(DESC_SIZES) {
        put_text(out, text, size);
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
    reply(
        c,
        MultipartPart::Flow {
            flows,
            nicira: false,
        },
    )
}

pub(super) fn nx_flow_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let flows = Tlv::new(r.rest(), Layout::Record, OfError::BadLength)
        .map(|element| get_nx_flow(&mut Reader::new(element?.body, OfError::BadLength), c))
        .collect::<Result<_, _>>()?;
    reply(
        c,
        MultipartPart::Flow {
            flows,
            nicira: true,
        },
    )
}

fn get_flow(r: &mut Reader<'_>, c: &Context<'_>) -> Result<FlowStats, OfError> {
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
        f.flags = r.u16()?;
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
            o.put_u16(f.flags & 0x1f);
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
            oxm::put_match(o, &f.matching);
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
    let (packets, bytes, flows) = (r.u64()?, r.u64()?, r.u32()?);
    r.skip(4)?;
    r.end()?;
    reply(
        c,
        MultipartPart::Aggregate {
            packets,
            bytes,
            flows,
            nicira,
        },
    )
}

pub(super) fn table_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut tables = Vec::new();
    while !r.is_empty() {
        let mut t = TableStats {
            table: TableId(r.u8()?),
            ..TableStats::default()
        };
        r.skip(3)?;
        if c.version == Version::V10 {
            t.name = r.text(TABLE_NAME_SIZE)?;
            r.skip(4)?;
            t.max_entries = r.u32()?;
        }
        t.active_count = r.u32()?;
        t.lookup_count = r.u64()?;
        t.matched_count = r.u64()?;
        tables.push(t);
    }
    reply(c, MultipartPart::Table(tables))
}

pub(super) fn put_table(out: &mut BytesMut, version: Version, t: &TableStats) {
    out.put_u32(u32::from(t.table.0) << 24);
    if version == Version::V10 {
        put_text(out, &t.name, TABLE_NAME_SIZE);
        out.put_u32(match10::ALL);
        out.put_u32(t.max_entries);
    }
    out.put_u32(t.active_count);
    out.put_u64(t.lookup_count);
    out.put_u64(t.matched_count);
}

pub(super) fn port_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let mut ports = Vec::new();
    while !r.is_empty() {
        let port = get_port(r, c.version)?;
        r.skip(if c.version == Version::V10 { 6 } else { 4 })?;
        let mut p = PortStats {
            port,
            rx_packets: r.u64()?,
            tx_packets: r.u64()?,
            rx_bytes: r.u64()?,
            tx_bytes: r.u64()?,
            rx_dropped: r.u64()?,
            tx_dropped: r.u64()?,
            rx_errors: r.u64()?,
            tx_errors: r.u64()?,
            rx_frame_err: r.u64()?,
            rx_over_err: r.u64()?,
            rx_crc_err: r.u64()?,
            collisions: r.u64()?,
            duration: Duration::default(),
        };
        if c.version >= Version::V13 {
            p.duration = get_duration(r)?;
        }
        ports.push(p);
    }
    reply(c, MultipartPart::Port(ports))
}

pub(super) fn put_port_stats(out: &mut BytesMut, version: Version, p: &PortStats) {
    put_port(out, version, p.port);
    out.put_bytes(0, if version == Version::V10 { 6 } else { 4 });
    for counter in [
        p.rx_packets,
        p.tx_packets,
        p.rx_bytes,
        p.tx_bytes,
        p.rx_dropped,
        p.tx_dropped,
        p.rx_errors,
        p.tx_errors,
        p.rx_frame_err,
        p.rx_over_err,
        p.rx_crc_err,
        p.collisions,
    ] {
        out.put_u64(counter);
    }
    if version >= Version::V13 {
        put_duration(out, p.duration);
    }
}

pub(super) fn port_desc_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    reply(c, MultipartPart::PortDesc(get_descs(r, c.version)?))
}

/// Queues are not told apart yet: the entries are checked for their size only.
pub(super) fn queue_reply(r: &mut Reader<'_>, c: &Context<'_>) -> Result<Body, OfError> {
    let size = if c.version < Version::V13 { 32 } else { 40 };
    if !r.size().is_multiple_of(size) {
        return Err(OfError::BadLength);
    }
    reply(c, MultipartPart::Queue(Vec::new()))
}
