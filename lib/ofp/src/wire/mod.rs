//! The wire form of messages. One table says which messages there are; one file per family reads and
//! writes their bodies. Reading returns the protocol error to answer with; writing cannot fail.

pub mod action;
mod asynchronous;
mod bundle;
pub(crate) mod cursor;
mod flow;
mod flow_stats;
mod group;
mod header;
mod instruction;
mod learn;
mod match10;
mod match11;
mod meter;
mod monitor;
mod multipart;
mod oxm;
mod oxs;
mod packet;
mod port;
mod put_action;
mod queue;
mod rows;
mod spread;
mod status;
mod stream;
mod switch;
mod symmetric;
mod table;
mod table_features;
mod tlv;

pub use group::check_buckets;
pub(crate) use group::unsayable_selection;
pub(crate) use header::ENCAPS;
pub use instruction::INSTRUCTIONS;
pub(crate) use oxm::{from_wire, to_wire};
pub(crate) use put_action::is_experimenter;
pub use rows::{Code, MESSAGES, Row, name, row};
pub(crate) use spread::BUNDLE_MAX;
pub use stream::{ReplyStream, fits_replies};

use crate::error::OfError;
use crate::field::{FIELDS, Field, NICIRA, ONF, TSUNAGI};
use crate::key::{Match, VLAN_PRESENT};
use crate::message::{
    Body, Dialect, FlowFormat, Message, MultipartPart, MultipartReply, MultipartRequest,
};
use crate::types::{Version, Xid};
use bytes::{BufMut, Bytes, BytesMut};
use cursor::{Reader, patch_u16};
use oxm::Flavor;
use rows::find;

/// Bytes of the header.
pub const HEADER_SIZE: usize = 8;

/// The header of every message (OpenFlow 1.3.5 section 7.1.1).
///
/// ```text
///  version 8 | type 8 | length 16 | xid 32
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Wire version; not checked.
    pub version: u8,
    /// Message type; its meaning depends on the version.
    pub kind: u8,
    /// Bytes of the message, header included; not checked.
    pub size: u16,
    /// Transaction id.
    pub xid: Xid,
}

impl Header {
    /// Reads a header; `None`: fewer than 8 bytes.
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let b: &[u8; HEADER_SIZE] = bytes.first_chunk()?;
        Some(Header {
            version: b[0],
            kind: b[1],
            size: u16::from_be_bytes([b[2], b[3]]),
            xid: Xid(u32::from_be_bytes([b[4], b[5], b[6], b[7]])),
        })
    }
}

/// What reading a body needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) version: Version,
    /// The whole message, to share bytes with.
    pub(crate) whole: &'a Bytes,
    /// Multipart: more parts follow.
    pub(crate) more: bool,
}

impl Context<'_> {
    /// The rest of the message, without a copy.
    fn share(&self, r: &mut Reader<'_>) -> Bytes {
        self.whole.slice_ref(r.rest())
    }
    /// A part of a multipart reply.
    fn reply(&self, part: MultipartPart) -> Result<Body, OfError> {
        let more = self.more;
        Ok(Body::MultipartReply(MultipartReply { more, part }))
    }
    /// For reading actions.
    fn actions(&self) -> action::Context {
        action::Context {
            version: self.version,
            depth: 0,
        }
    }
}

/// The types that carry other messages: experimenter, multipart request and reply.
const EXPERIMENTER_TYPE: u8 = 4;

const fn multipart_types(version: Version) -> (u8, u8) {
    match version {
        Version::V10 => (16, 17),
        _ => (18, 19),
    }
}

/// In the flags of a multipart header: more parts follow.
const MORE: u16 = 1;
/// Bytes of a message at most.
const MAX_SIZE: usize = u16::MAX as usize;
/// "Experimenter" as a multipart type.
const MULTIPART_EXPERIMENTER: u16 = 0xffff;

/// Reads what stands between the header and the body, and says what the message is.
fn get_code(
    header: Header,
    version: Version,
    r: &mut Reader<'_>,
) -> Result<(Code, bool, OfError), OfError> {
    let (request, reply) = multipart_types(version);
    if header.kind == EXPERIMENTER_TYPE {
        let id = r.u32()?;
        if id != NICIRA && id != ONF {
            return Err(OfError::BadVendor);
        }
        return Ok((Code::Experimenter(id, r.u32()?), false, OfError::BadSubtype));
    }
    if header.kind != request && header.kind != reply {
        return Ok((Code::Type(header.kind), false, OfError::BadType));
    }
    let (kind, more) = (r.u16()?, r.u16()? & MORE != 0);
    r.skip(if version == Version::V10 { 0 } else { 4 })?;
    let asks = header.kind == request;
    if kind != MULTIPART_EXPERIMENTER {
        let code = if asks {
            Code::Request(kind)
        } else {
            Code::Reply(kind)
        };
        return Ok((code, more, OfError::BadStat));
    }
    let id = r.u32()?;
    if ![NICIRA, ONF, TSUNAGI].contains(&id) {
        return Err(OfError::BadVendor);
    }
    let subtype = r.u32()?;
    r.skip(if version == Version::V10 { 4 } else { 0 })?;
    let code = match asks {
        true => Code::ExperimenterRequest(id, subtype),
        false => Code::ExperimenterReply(id, subtype),
    };
    Ok((code, more, OfError::BadSubtype))
}

/// The row that a message's bytes belong to, by the version in its header.
pub fn row_of(bytes: &[u8]) -> Option<&'static Row> {
    let header = Header::parse(bytes)?;
    let version = Version::from_wire(header.version)?;
    let mut r = Reader::new(&bytes[HEADER_SIZE..], OfError::BadLength);
    let (code, ..) = get_code(header, version, &mut r).ok()?;
    find(code, version)
}

impl Message {
    /// Reads one whole message. The error is the one to answer with.
    ///
    /// A hello is read in any version; everything else must have the dialect's.
    pub fn decode(bytes: &Bytes, dialect: &Dialect) -> Result<Message, OfError> {
        let header = Header::parse(bytes).ok_or(OfError::BadLength)?;
        let size = usize::from(header.size);
        if size < HEADER_SIZE || size != bytes.len() {
            return Err(OfError::BadLength);
        }
        let mut r = Reader::new(&bytes[HEADER_SIZE..], OfError::BadLength);
        if header.kind == 0 {
            let body = Body::Hello(symmetric::get_hello(header.version, &mut r)?);
            return Ok(Message {
                xid: header.xid,
                body,
            });
        }
        let version = Version::from_wire(header.version)
            .filter(|version| *version == dialect.version)
            .ok_or(OfError::BadVersion)?;
        let (code, more, unknown) = get_code(header, version, &mut r)?;
        let row = find(code, version).ok_or(unknown)?;
        let context = Context {
            dialect: *dialect,
            version,
            whole: bytes,
            more,
        };
        Ok(Message {
            xid: header.xid,
            body: (row.decode)(&mut r, &context)?,
        })
    }

    /// Appends the message's bytes. What the version cannot say of a body is left out; a body for which
    /// it has no message at all is not written: ask [`row`] first. Nor is one that is longer than a header can say.
    /// Long multipart replies become several messages; for lists that are too long for one buffer see [`ReplyStream`].
    pub fn encode(&self, dialect: &Dialect, out: &mut BytesMut) {
        let start = out.len();
        self.put(dialect, out);
        let is_one = !matches!(self.body, Body::MultipartReply(_));
        if is_one && out.len() - start > MAX_SIZE {
            out.truncate(start);
        }
    }

    /// The same, whatever its size.
    fn put(&self, dialect: &Dialect, out: &mut BytesMut) {
        let Some(row) = row(&self.body, dialect) else {
            return;
        };
        match &self.body {
            // The version in its header is its own.
            Body::Hello(hello) => symmetric::put_hello(out, self.xid, hello),
            Body::MultipartReply(reply) => stream::put_reply(out, self.xid, dialect, row, reply),
            body => put_message(out, dialect.version, row, self.xid, |out| {
                put_body(out, self.xid, dialect, body);
            }),
        }
    }

    /// The bytes of the message.
    pub fn to_bytes(&self, dialect: &Dialect) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(dialect, &mut out);
        out.freeze()
    }
}

/// What follows the header, or the number of a multipart or experimenter message.
fn put_body(out: &mut BytesMut, xid: Xid, dialect: &Dialect, body: &Body) {
    let version = dialect.version;
    match body {
        Body::Error(error) => symmetric::put_error(out, version, error),
        Body::EchoRequest(data) | Body::EchoReply(data) => out.put_slice(data),
        Body::FeaturesReply(features) => switch::put_features(out, version, features),
        Body::GetConfigReply(config) | Body::SetConfig(config) => {
            switch::put_config(out, version, config);
        }
        Body::PacketIn(packet_in) => packet::put_packet_in(out, version, packet_in),
        Body::Resume(packet_in) => packet::put_nx_packet_in2(out, version, packet_in),
        Body::FlowRemoved(removed) => flow::put_flow_removed(out, dialect, removed),
        Body::FlowMod(flow_mod) => flow::put_flow_mod(out, dialect, flow_mod),
        Body::PortStatus(status) => port::put_port_status(out, version, status),
        Body::PacketOut(packet_out) => packet::put_packet_out(out, version, packet_out),
        Body::PortMod(port_mod) => port::put_port_mod(out, version, port_mod),
        Body::TableMod(table_mod) => table::put_table_mod(out, version, table_mod),
        Body::RoleRequest(role) | Body::RoleReply(role) => switch::put_role(out, version, role),
        Body::GetAsyncReply(config) => asynchronous::put_reply(out, version, config),
        Body::SetAsync(change) => asynchronous::put(out, version, change),
        Body::SetFlowFormat(FlowFormat::Nxm) => out.put_u32(switch::FORMAT_NXM),
        Body::SetFlowFormat(FlowFormat::OpenFlow10) => out.put_u32(0),
        Body::FlowModTableId(set) => out.put_u64(u64::from(*set) << 56),
        Body::SetPacketInFormat(format) => out.put_u32(*format as u32),
        Body::SetControllerId(id) => out.put_u64(u64::from(*id)),
        Body::RoleStatus(status) => status::put_role_status(out, status),
        Body::TableStatus(status) => table::put_table_status(out, status),
        Body::RequestForward(forward) => status::put_requestforward(out, dialect, forward),
        Body::ControllerStatus(status) => status::put_controller_status(out, status),
        Body::QueueGetConfigRequest(port) => queue::put_get_config_request(out, version, *port),
        Body::QueueGetConfigReply { port, queues } => {
            queue::put_get_config_reply(out, version, *port, queues);
        }
        Body::MultipartRequest(request) => put_request(out, version, request),
        // Nothing follows; hellos and replies have functions of their own.
        Body::Hello(_)
        | Body::MultipartReply(_)
        | Body::FeaturesRequest
        | Body::GetConfigRequest
        | Body::BarrierRequest
        | Body::BarrierReply
        | Body::GetAsyncRequest
        | Body::TlvTableRequest
        | Body::FlowMonitorPaused
        | Body::FlowMonitorResumed => {}
        Body::GroupMod(m) => group::put_group_mod(out, version, m),
        Body::MeterMod(m) => meter::put_meter_mod(out, m),
        Body::BundleControl(control) => bundle::put_control(out, control),
        Body::BundleAdd(add) => bundle::put_add(out, xid, dialect, add),
        Body::TlvTableMod(m) => tlv::put_table_mod(out, m),
        Body::TlvTableReply(table) => tlv::put_table(out, table),
        Body::FlowMonitorCancel(id) => out.put_u32(*id),
    }
}

/// What a multipart request asks for.
fn put_request(out: &mut BytesMut, version: Version, request: &MultipartRequest) {
    match request {
        MultipartRequest::Flow(q)
        | MultipartRequest::Aggregate(q)
        | MultipartRequest::FlowCounts(q) => {
            flow_stats::put_request(out, version, q);
        }
        MultipartRequest::Port(port) => port::put_stats_request(out, version, *port),
        MultipartRequest::PortDesc(port) => port::put_desc_request(out, version, *port),
        MultipartRequest::Bpdu(port) => out.put_u64(u64::from(port.0) << 32),
        MultipartRequest::Queue { port, queue } | MultipartRequest::QueueDesc { port, queue } => {
            queue::put_request(out, version, *port, *queue);
        }
        MultipartRequest::Desc
        | MultipartRequest::Table
        | MultipartRequest::TableDesc
        | MultipartRequest::ControllerStatus
        | MultipartRequest::IpfixBridge
        | MultipartRequest::IpfixFlow
        | MultipartRequest::GroupFeatures
        | MultipartRequest::MeterFeatures => {}
        MultipartRequest::TableFeatures(list) => table_features::put_request(out, version, list),
        MultipartRequest::Group(group) => group::put_stats_request(out, *group),
        MultipartRequest::GroupDesc(group) => group::put_desc_request(out, version, *group),
        MultipartRequest::Meter(id) | MultipartRequest::MeterConfig(id) => {
            meter::put_meter_id(out, *id);
        }
        MultipartRequest::BundleFeatures(q) => bundle::put_features_request(out, q),
        MultipartRequest::FlowMonitor(list) => monitor::put_requests(out, version, list),
    }
}

/// The first field of a match that a form of flows cannot say; `None`: it can say all.
pub(crate) fn unsayable(matching: &Match, version: Version, nxm: bool) -> Option<Field> {
    let flavor = if nxm {
        Flavor::Nxm
    } else {
        Flavor::Oxm(version)
    };
    let mut said = Match::default();
    if version == Version::V10 && !nxm {
        let mut out = BytesMut::new();
        match10::put(&mut out, matching);
        said = match10::get(&mut Reader::new(&out, OfError::BadLength)).unwrap_or_default();
    } else if version == Version::V11 {
        let mut out = BytesMut::new();
        oxm::put_match(&mut out, matching, version);
        said = oxm::get_match(&mut Reader::new(&out, OfError::BadLength)).unwrap_or_default();
    } else {
        oxm::for_each_entry(matching, flavor, |field, value, mask| {
            if oxm::is_sayable(field, value, flavor) {
                said.set(field.place(), value, mask);
                if let Some(presence) = field.presence().filter(|_| mask == 0) {
                    said.set(presence, 1, 1);
                }
            }
        });
    }
    // Nearly always; what follows looks at every field that there is.
    if said == *matching {
        return None;
    }
    // A frame without a tag has no priority to match.
    let (tag, mask) = matching.get(Field::VlanTci.place());
    let present = u128::from(VLAN_PRESENT);
    let untagged = mask & present != 0 && tag & present == 0;
    let lost = |field: &Field| {
        let tag = matches!(field, Field::VlanTci | Field::VlanPcp);
        let differs = |place| said.get(place) != matching.get(place);
        let is_there = field.presence().is_some_and(differs);
        !(tag && untagged) && (is_there || differs(field.place()))
    };
    let fields = || FIELDS.iter().map(|row| row.field).filter(lost);
    // Fields that share a place are told apart by their prerequisites, if those are there.
    fields()
        .find(|field| field.row().prereq.holds(matching))
        .or_else(|| fields().next())
}

/// Whether a field has a number on the wire.
pub(crate) fn has_id(field: Field) -> bool {
    oxm::id(field, Flavor::Nxm).is_some()
}

/// Writes a header, what stands between it and the body, and the body; then patches the length.
pub(crate) fn put_message(
    out: &mut BytesMut,
    version: Version,
    row: &Row,
    xid: Xid,
    body: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    let (request, reply) = multipart_types(version);
    let kind = match row.code {
        Code::Type(kind) => kind,
        Code::Experimenter(..) => EXPERIMENTER_TYPE,
        Code::Request(_) | Code::ExperimenterRequest(..) => request,
        Code::Reply(_) | Code::ExperimenterReply(..) => reply,
    };
    out.put_u8(version as u8);
    out.put_u8(kind);
    out.put_u16(0);
    out.put_u32(xid.0);
    let multipart = |out: &mut BytesMut, kind: u16| {
        out.put_u32(u32::from(kind) << 16);
        out.put_bytes(0, if version == Version::V10 { 0 } else { 4 });
    };
    match row.code {
        Code::Type(_) => {}
        Code::Experimenter(id, subtype) => {
            out.put_u32(id);
            out.put_u32(subtype);
        }
        Code::Request(kind) | Code::Reply(kind) => multipart(out, kind),
        Code::ExperimenterRequest(id, subtype) | Code::ExperimenterReply(id, subtype) => {
            multipart(out, MULTIPART_EXPERIMENTER);
            out.put_u32(id);
            out.put_u32(subtype);
            out.put_bytes(0, if version == Version::V10 { 4 } else { 0 });
        }
    }
    body(out);
    let size = out.len() - start;
    patch_u16(out, start + 2, size);
}
