//! The wire form of messages. One table says which messages there are; one file per family reads and
//! writes their bodies. Reading returns the protocol error to answer with; writing cannot fail.

pub mod action;
pub(crate) mod cursor;
mod flow;
mod instruction;
mod match10;
mod multipart;
mod oxm;
mod packet;
mod port;
mod put_action;
mod stream;
mod switch;
mod symmetric;
mod table_features;

pub use stream::ReplyStream;

use crate::error::OfError;
use crate::field::{FIELDS, Field, NICIRA, TSUNAGI};
use crate::key::{Match, VLAN_PRESENT};
use crate::message::{Body, Dialect, FlowFormat, Message, MultipartRequest};
use crate::types::{Version, Xid};
use bytes::{BufMut, Bytes, BytesMut};
use cursor::{Reader, patch_u16};
use oxm::Flavor;

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

/// How a message says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The header's type.
    Type(u8),
    /// A multipart (1.0: statistics) type, asked for.
    Request(u16),
    /// The same, answered.
    Reply(u16),
    /// Experimenter (1.0: vendor) message: id and type.
    Experimenter(u32, u32),
    /// Experimenter multipart: id and type, asked for.
    ExperimenterRequest(u32, u32),
    /// The same, answered.
    ExperimenterReply(u32, u32),
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

type Decode = fn(&mut Reader<'_>, &Context<'_>) -> Result<Body, OfError>;

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The specification's name.
    pub name: &'static str,
    /// How it says what it is.
    pub code: Code,
    /// First version that has it so.
    pub first: Version,
    /// Last version that has it so.
    pub last: Version,
    decode: Decode,
}

macro_rules! rows {
    ($($row:ident $name:literal $first:ident $last:ident $code:expr, $decode:expr;)*) => {
        $(pub(crate) const $row: Row = Row {
            name: $name, code: $code, first: Version::$first, last: Version::$last, decode: $decode,
        };)*
        /// The table.
        pub const MESSAGES: &[Row] = &[$($row),*];
    };
}

const fn nx(subtype: u32) -> Code {
    Code::Experimenter(NICIRA, subtype)
}

use Code::{ExperimenterReply, ExperimenterRequest, Reply, Request, Type};

// Constant, name, first and last version, code, reader.
rows! {
    HELLO               "OFPT_HELLO"              V10 V15 Type(0),  symmetric::hello;
    ERROR               "OFPT_ERROR"              V10 V15 Type(1),  symmetric::error;
    ECHO_REQUEST        "OFPT_ECHO_REQUEST"       V10 V15 Type(2),  |r, c| Ok(Body::EchoRequest(c.share(r)));
    ECHO_REPLY          "OFPT_ECHO_REPLY"         V10 V15 Type(3),  |r, c| Ok(Body::EchoReply(c.share(r)));
    FEATURES_REQUEST    "OFPT_FEATURES_REQUEST"   V10 V15 Type(5),  |r, _| empty(r, Body::FeaturesRequest);
    FEATURES_REPLY      "OFPT_FEATURES_REPLY"     V10 V15 Type(6),  switch::features_reply;
    GET_CONFIG_REQUEST  "OFPT_GET_CONFIG_REQUEST" V10 V15 Type(7),  |r, _| empty(r, Body::GetConfigRequest);
    GET_CONFIG_REPLY    "OFPT_GET_CONFIG_REPLY"   V10 V15 Type(8),  |r, _| Ok(Body::GetConfigReply(switch::get_config(r)?));
    SET_CONFIG          "OFPT_SET_CONFIG"         V10 V15 Type(9),  |r, _| Ok(Body::SetConfig(switch::get_config(r)?));
    PACKET_IN           "OFPT_PACKET_IN"          V10 V15 Type(10), packet::packet_in;
    FLOW_REMOVED        "OFPT_FLOW_REMOVED"       V10 V15 Type(11), flow::flow_removed;
    PORT_STATUS         "OFPT_PORT_STATUS"        V10 V15 Type(12), port::port_status;
    PACKET_OUT          "OFPT_PACKET_OUT"         V10 V15 Type(13), packet::packet_out;
    FLOW_MOD            "OFPT_FLOW_MOD"           V10 V15 Type(14), flow::flow_mod;
    PORT_MOD10          "OFPT_PORT_MOD"           V10 V10 Type(15), port::port_mod;
    PORT_MOD            "OFPT_PORT_MOD"           V11 V13 Type(16), port::port_mod;
    BARRIER_REQUEST10   "OFPT_BARRIER_REQUEST"    V10 V10 Type(18), |r, _| empty(r, Body::BarrierRequest);
    BARRIER_REPLY10     "OFPT_BARRIER_REPLY"      V10 V10 Type(19), |r, _| empty(r, Body::BarrierReply);
    BARRIER_REQUEST     "OFPT_BARRIER_REQUEST"    V11 V15 Type(20), |r, _| empty(r, Body::BarrierRequest);
    BARRIER_REPLY       "OFPT_BARRIER_REPLY"      V11 V15 Type(21), |r, _| empty(r, Body::BarrierReply);
    ROLE_REQUEST        "OFPT_ROLE_REQUEST"       V12 V15 Type(24), |r, _| Ok(Body::RoleRequest(switch::get_role(r)?));
    ROLE_REPLY          "OFPT_ROLE_REPLY"         V12 V15 Type(25), |r, _| Ok(Body::RoleReply(switch::get_role(r)?));
    GET_ASYNC_REQUEST   "OFPT_GET_ASYNC_REQUEST"  V13 V13 Type(26), |r, _| empty(r, Body::GetAsyncRequest);
    GET_ASYNC_REPLY     "OFPT_GET_ASYNC_REPLY"    V13 V13 Type(27), |r, _| Ok(Body::GetAsyncReply(switch::get_async(r)?));
    SET_ASYNC           "OFPT_SET_ASYNC"          V13 V13 Type(28), |r, _| Ok(Body::SetAsync(switch::get_async(r)?));

    NX_ROLE_REQUEST     "NXT_ROLE_REQUEST"         V10 V11 nx(10), |r, _| Ok(Body::RoleRequest(switch::get_nx_role(r)?));
    NX_ROLE_REPLY       "NXT_ROLE_REPLY"           V10 V11 nx(11), |r, _| Ok(Body::RoleReply(switch::get_nx_role(r)?));
    SET_FLOW_FORMAT     "NXT_SET_FLOW_FORMAT"      V10 V11 nx(12), switch::set_flow_format;
    NX_FLOW_MOD         "NXT_FLOW_MOD"             V10 V11 nx(13), flow::nx_flow_mod;
    NX_FLOW_REMOVED     "NXT_FLOW_REMOVED"         V10 V11 nx(14), flow::nx_flow_removed;
    FLOW_MOD_TABLE_ID   "NXT_FLOW_MOD_TABLE_ID"    V10 V15 nx(15), switch::flow_mod_table_id;
    SET_PACKET_IN_FORMAT "NXT_SET_PACKET_IN_FORMAT" V10 V15 nx(16), switch::set_packet_in_format;
    NX_PACKET_IN        "NXT_PACKET_IN"            V10 V15 nx(17), packet::nx_packet_in;
    NX_SET_ASYNC        "NXT_SET_ASYNC_CONFIG"     V10 V12 nx(19), |r, _| Ok(Body::SetAsync(switch::get_async(r)?));
    SET_CONTROLLER_ID   "NXT_SET_CONTROLLER_ID"    V10 V15 nx(20), switch::set_controller_id;
    NX_PACKET_IN2       "NXT_PACKET_IN2"           V10 V15 nx(30), packet::nx_packet_in2;

    DESC_REQUEST        "OFPST_DESC request"      V10 V15 Request(0),  |r, _| ask(r, MultipartRequest::Desc);
    FLOW_REQUEST        "OFPST_FLOW request"      V10 V15 Request(1),  |r, c| Ok(ask_flows(multipart::get_flow_request(r, c)?));
    AGGREGATE_REQUEST   "OFPST_AGGREGATE request" V10 V15 Request(2),  |r, c| Ok(ask_aggregate(multipart::get_flow_request(r, c)?));
    TABLE_REQUEST       "OFPST_TABLE request"     V10 V15 Request(3),  |r, _| ask(r, MultipartRequest::Table);
    PORT_REQUEST        "OFPST_PORT request"      V10 V15 Request(4),  multipart::port_request;
    QUEUE_REQUEST       "OFPST_QUEUE request"     V10 V15 Request(5),  multipart::queue_request;
    TABLE_FEATURES_REQUEST "OFPST_TABLE_FEATURES request" V13 V15 Request(12), table_features::request;
    PORT_DESC_REQUEST   "OFPST_PORT_DESC request" V10 V15 Request(13), |r, _| ask(r, MultipartRequest::PortDesc);
    NX_FLOW_REQUEST     "NXST_FLOW request"       V10 V11 ExperimenterRequest(NICIRA, 0), |r, _| Ok(ask_flows(multipart::get_nx_flow_request(r)?));
    NX_AGGREGATE_REQUEST "NXST_AGGREGATE request" V10 V11 ExperimenterRequest(NICIRA, 1), |r, _| Ok(ask_aggregate(multipart::get_nx_flow_request(r)?));

    DESC_REPLY          "OFPST_DESC reply"        V10 V15 Reply(0),  multipart::desc_reply;
    FLOW_REPLY          "OFPST_FLOW reply"        V10 V15 Reply(1),  multipart::flow_reply;
    AGGREGATE_REPLY     "OFPST_AGGREGATE reply"   V10 V15 Reply(2),  |r, c| multipart::aggregate_reply(r, c, false);
    TABLE_REPLY         "OFPST_TABLE reply"       V10 V15 Reply(3),  multipart::table_reply;
    PORT_REPLY          "OFPST_PORT reply"        V10 V15 Reply(4),  multipart::port_reply;
    QUEUE_REPLY         "OFPST_QUEUE reply"       V10 V15 Reply(5),  multipart::queue_reply;
    TABLE_FEATURES_REPLY "OFPST_TABLE_FEATURES reply" V13 V15 Reply(12), table_features::reply;
    PORT_DESC_REPLY     "OFPST_PORT_DESC reply"   V10 V15 Reply(13), multipart::port_desc_reply;
    NX_FLOW_REPLY       "NXST_FLOW reply"         V10 V11 ExperimenterReply(NICIRA, 0), multipart::nx_flow_reply;
    BPDU_REQUEST        "TSUNAGI_BPDU request"    V10 V15 ExperimenterRequest(TSUNAGI, 1), multipart::bpdu_request;
    BPDU_REPLY          "TSUNAGI_BPDU reply"      V10 V15 ExperimenterReply(TSUNAGI, 1), multipart::bpdu_reply;
    NX_AGGREGATE_REPLY  "NXST_AGGREGATE reply"    V10 V11 ExperimenterReply(NICIRA, 1), |r, c| multipart::aggregate_reply(r, c, true);
}

fn empty(r: &Reader<'_>, body: Body) -> Result<Body, OfError> {
    r.end().map(|()| body)
}

fn ask(r: &Reader<'_>, request: MultipartRequest) -> Result<Body, OfError> {
    empty(r, Body::MultipartRequest(request))
}

fn ask_flows(request: crate::message::FlowStatsRequest) -> Body {
    Body::MultipartRequest(MultipartRequest::Flow(Box::new(request)))
}

fn ask_aggregate(request: crate::message::FlowStatsRequest) -> Body {
    Body::MultipartRequest(MultipartRequest::Aggregate(Box::new(request)))
}

impl Context<'_> {
    /// The rest of the message, without a copy.
    fn share(&self, r: &mut Reader<'_>) -> Bytes {
        self.whole.slice_ref(r.rest())
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
        if id != NICIRA {
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
    if id != NICIRA && id != TSUNAGI {
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

fn find(code: Code, version: Version) -> Option<&'static Row> {
    let here = |row: &&Row| row.code == code && (row.first..=row.last).contains(&version);
    MESSAGES.iter().find(here)
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

    /// Appends the message's bytes. What the version cannot say is left out. Long multipart replies
    /// become several messages; for lists that are too long for one buffer see [`ReplyStream`].
    pub fn encode(&self, dialect: &Dialect, out: &mut BytesMut) {
        let (version, xid) = (dialect.version, self.xid);
        match &self.body {
            // These choose their form by more than the version.
            Body::Hello(hello) => symmetric::put_hello(out, xid, hello),
            Body::PacketIn(packet_in) => packet::put_packet_in(out, xid, dialect, packet_in),
            Body::FlowRemoved(removed) => flow::put_flow_removed(out, xid, dialect, removed),
            Body::FlowMod(flow_mod) => flow::put_flow_mod(out, xid, dialect, flow_mod),
            Body::MultipartRequest(request) => multipart::put_request(out, xid, dialect, request),
            Body::MultipartReply(reply) => stream::put_reply(out, xid, dialect, reply),
            body => put_message(out, version, plain_row(body, version), xid, |out| {
                put_plain(out, version, body);
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

/// The row of a body whose form the version decides.
const fn plain_row(body: &Body, version: Version) -> &'static Row {
    let v10 = matches!(version, Version::V10);
    match body {
        Body::Error(_) => &ERROR,
        Body::EchoRequest(_) => &ECHO_REQUEST,
        Body::EchoReply(_) => &ECHO_REPLY,
        Body::FeaturesRequest => &FEATURES_REQUEST,
        Body::FeaturesReply(_) => &FEATURES_REPLY,
        Body::GetConfigRequest => &GET_CONFIG_REQUEST,
        Body::GetConfigReply(_) => &GET_CONFIG_REPLY,
        Body::SetConfig(_) => &SET_CONFIG,
        Body::PortStatus(_) => &PORT_STATUS,
        Body::PacketOut(_) => &PACKET_OUT,
        Body::PortMod(_) if v10 => &PORT_MOD10,
        Body::PortMod(_) => &PORT_MOD,
        Body::BarrierRequest if v10 => &BARRIER_REQUEST10,
        Body::BarrierRequest => &BARRIER_REQUEST,
        Body::BarrierReply if v10 => &BARRIER_REPLY10,
        Body::BarrierReply => &BARRIER_REPLY,
        Body::RoleRequest(_) if v10 => &NX_ROLE_REQUEST,
        Body::RoleRequest(_) => &ROLE_REQUEST,
        Body::RoleReply(_) if v10 => &NX_ROLE_REPLY,
        Body::RoleReply(_) => &ROLE_REPLY,
        Body::GetAsyncRequest => &GET_ASYNC_REQUEST,
        Body::GetAsyncReply(_) => &GET_ASYNC_REPLY,
        Body::SetAsync(_) if v10 => &NX_SET_ASYNC,
        Body::SetAsync(_) => &SET_ASYNC,
        Body::SetFlowFormat(_) => &SET_FLOW_FORMAT,
        Body::FlowModTableId(_) => &FLOW_MOD_TABLE_ID,
        Body::SetPacketInFormat(_) => &SET_PACKET_IN_FORMAT,
        Body::SetControllerId(_) => &SET_CONTROLLER_ID,
        // Written by their own functions.
        Body::Hello(_) => &HELLO,
        Body::PacketIn(_) => &PACKET_IN,
        Body::FlowRemoved(_) => &FLOW_REMOVED,
        Body::FlowMod(_) => &FLOW_MOD,
        Body::MultipartRequest(_) => &DESC_REQUEST,
        Body::MultipartReply(_) => &DESC_REPLY,
        _ => &ERROR,
    }
}

/// What follows the header of such a body.
fn put_plain(out: &mut BytesMut, version: Version, body: &Body) {
    match body {
        Body::Error(error) => symmetric::put_error(out, version, error),
        Body::EchoRequest(data) | Body::EchoReply(data) => out.put_slice(data),
        Body::FeaturesReply(features) => switch::put_features(out, version, features),
        Body::GetConfigReply(config) | Body::SetConfig(config) => switch::put_config(out, config),
        Body::PortStatus(status) => port::put_port_status(out, version, status),
        Body::PacketOut(packet_out) => packet::put_packet_out(out, version, packet_out),
        Body::PortMod(port_mod) => port::put_port_mod(out, version, port_mod),
        Body::RoleRequest(role) | Body::RoleReply(role) => switch::put_role(out, version, role),
        Body::GetAsyncReply(config) | Body::SetAsync(config) => switch::put_async(out, config),
        Body::SetFlowFormat(FlowFormat::Nxm) => out.put_u32(switch::FORMAT_NXM),
        Body::SetFlowFormat(FlowFormat::OpenFlow10) => out.put_u32(0),
        Body::FlowModTableId(set) => out.put_u64(u64::from(*set) << 56),
        Body::SetPacketInFormat(format) => out.put_u32(*format as u32),
        Body::SetControllerId(id) => out.put_u64(u64::from(*id)),
        _ => {}
    }
}

/// The first field of a match that a form of flows cannot say; `None`: it can say all.
pub(crate) fn unsayable(matching: &Match, version: Version, nxm: bool) -> Option<Field> {
    let flavor = if nxm { Flavor::Nxm } else { Flavor::Oxm };
    let mut said = Match::default();
    if version == Version::V10 && !nxm {
        let mut out = BytesMut::new();
        match10::put(&mut out, matching);
        said = match10::get(&mut Reader::new(&out, OfError::BadLength)).unwrap_or_default();
    } else {
        oxm::for_each_entry(matching, flavor, |field, value, mask| {
            if oxm::is_sayable(field, value, flavor) {
                said.set(field.place(), value, mask);
            }
        });
    }
    // A frame without a tag has no priority to match.
    let (tag, mask) = matching.get(Field::VlanTci.place());
    let present = u128::from(VLAN_PRESENT);
    let untagged = mask & present != 0 && tag & present == 0;
    let lost = |field: &Field| {
        let tag = matches!(field, Field::VlanTci | Field::VlanPcp);
        !(tag && untagged) && said.get(field.place()) != matching.get(field.place())
    };
    let fields = || FIELDS.iter().map(|row| row.field).filter(lost);
    // Fields that share a place are told apart by their prerequisites, if those are there.
    fields()
        .find(|field| field.row().prereq.holds(matching))
        .or_else(|| fields().next())
}

/// Whether a field has a number on the wire.
pub(crate) fn has_id(field: Field) -> bool {
    oxm::id(field, Flavor::Oxm).is_some()
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
