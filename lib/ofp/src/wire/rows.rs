//! The table of messages: name, versions, number and reader of each, and which row says a body.

use super::cursor::Reader;
use super::{
    Context, asynchronous, flow, flow_stats, multipart, packet, port, queue, status, switch,
    symmetric, table, table_features,
};
use crate::error::OfError;
use crate::field::{NICIRA, ONF, TSUNAGI};
use crate::message::{
    Body, Dialect, FlowStatsRequest, MultipartPart, MultipartRequest, PacketInFormat,
};
use crate::types::Version;

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
    pub(super) decode: Decode,
}

impl Row {
    /// Whether a version has it so.
    pub fn is_in(&self, version: Version) -> bool {
        (self.first..=self.last).contains(&version)
    }
}

macro_rules! rows {
    ($($row:ident $name:literal $first:ident $last:ident $code:expr, $decode:expr;)*) => {
        $(pub(super) const $row: Row = Row {
            name: $name, code: $code, first: Version::$first, last: Version::$last, decode: $decode,
        };)*
        /// The table.
        pub const MESSAGES: &[Row] = &[$($row),*];
    };
}

const fn nx(subtype: u32) -> Code {
    Code::Experimenter(NICIRA, subtype)
}
const fn onf(subtype: u32) -> Code {
    Code::Experimenter(ONF, subtype)
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
    GET_CONFIG_REPLY    "OFPT_GET_CONFIG_REPLY"   V10 V15 Type(8),  |r, c| Ok(Body::GetConfigReply(switch::get_config(r, c.version)?));
    SET_CONFIG          "OFPT_SET_CONFIG"         V10 V15 Type(9),  |r, c| Ok(Body::SetConfig(switch::get_config(r, c.version)?));
    PACKET_IN           "OFPT_PACKET_IN"          V10 V15 Type(10), packet::packet_in;
    FLOW_REMOVED        "OFPT_FLOW_REMOVED"       V10 V15 Type(11), flow::flow_removed;
    PORT_STATUS         "OFPT_PORT_STATUS"        V10 V15 Type(12), port::port_status;
    PACKET_OUT          "OFPT_PACKET_OUT"         V10 V15 Type(13), packet::packet_out;
    FLOW_MOD            "OFPT_FLOW_MOD"           V10 V15 Type(14), flow::flow_mod;
    PORT_MOD10          "OFPT_PORT_MOD"           V10 V10 Type(15), port::port_mod;
    PORT_MOD            "OFPT_PORT_MOD"           V11 V15 Type(16), port::port_mod;
    TABLE_MOD           "OFPT_TABLE_MOD"          V11 V15 Type(17), table::table_mod;
    BARRIER_REQUEST10   "OFPT_BARRIER_REQUEST"    V10 V10 Type(18), |r, _| empty(r, Body::BarrierRequest);
    BARRIER_REPLY10     "OFPT_BARRIER_REPLY"      V10 V10 Type(19), |r, _| empty(r, Body::BarrierReply);
    BARRIER_REQUEST     "OFPT_BARRIER_REQUEST"    V11 V15 Type(20), |r, _| empty(r, Body::BarrierRequest);
    BARRIER_REPLY       "OFPT_BARRIER_REPLY"      V11 V15 Type(21), |r, _| empty(r, Body::BarrierReply);
    QUEUE_GET_CONFIG_REQUEST10 "OFPT_QUEUE_GET_CONFIG_REQUEST" V10 V10 Type(20), queue::get_config_request;
    QUEUE_GET_CONFIG_REPLY10 "OFPT_QUEUE_GET_CONFIG_REPLY" V10 V10 Type(21), queue::get_config_reply;
    QUEUE_GET_CONFIG_REQUEST "OFPT_QUEUE_GET_CONFIG_REQUEST" V11 V13 Type(22), queue::get_config_request;
    QUEUE_GET_CONFIG_REPLY "OFPT_QUEUE_GET_CONFIG_REPLY" V11 V13 Type(23), queue::get_config_reply;
    ROLE_REQUEST        "OFPT_ROLE_REQUEST"       V12 V15 Type(24), |r, c| Ok(Body::RoleRequest(switch::get_role(r, c.version)?));
    ROLE_REPLY          "OFPT_ROLE_REPLY"         V12 V15 Type(25), |r, c| Ok(Body::RoleReply(switch::get_role(r, c.version)?));
    GET_ASYNC_REQUEST   "OFPT_GET_ASYNC_REQUEST"  V13 V15 Type(26), |r, _| empty(r, Body::GetAsyncRequest);
    GET_ASYNC_REPLY     "OFPT_GET_ASYNC_REPLY"    V13 V15 Type(27), asynchronous::get_async_reply;
    SET_ASYNC           "OFPT_SET_ASYNC"          V13 V15 Type(28), asynchronous::set_async;
    ROLE_STATUS         "OFPT_ROLE_STATUS"        V14 V15 Type(30), status::role_status;
    TABLE_STATUS        "OFPT_TABLE_STATUS"       V14 V15 Type(31), table::table_status;
    REQUESTFORWARD      "OFPT_REQUESTFORWARD"     V14 V15 Type(32), status::requestforward;
    CONTROLLER_STATUS   "OFPT_CONTROLLER_STATUS"  V15 V15 Type(35), status::controller_status;

    ONF_ROLE_STATUS     "ONFT_ROLE_STATUS"        V13 V13 onf(1911), status::role_status;
    ONF_REQUESTFORWARD  "ONFT_REQUESTFORWARD"     V13 V13 onf(2350), status::requestforward;

    NX_ROLE_REQUEST     "NXT_ROLE_REQUEST"         V10 V15 nx(10), |r, _| Ok(Body::RoleRequest(switch::get_nx_role(r)?));
    NX_ROLE_REPLY       "NXT_ROLE_REPLY"           V10 V15 nx(11), |r, _| Ok(Body::RoleReply(switch::get_nx_role(r)?));
    SET_FLOW_FORMAT     "NXT_SET_FLOW_FORMAT"      V10 V10 nx(12), switch::set_flow_format;
    NX_FLOW_MOD         "NXT_FLOW_MOD"             V10 V15 nx(13), flow::nx_flow_mod;
    NX_FLOW_REMOVED     "NXT_FLOW_REMOVED"         V10 V15 nx(14), flow::nx_flow_removed;
    FLOW_MOD_TABLE_ID   "NXT_FLOW_MOD_TABLE_ID"    V10 V15 nx(15), switch::flow_mod_table_id;
    SET_PACKET_IN_FORMAT "NXT_SET_PACKET_IN_FORMAT" V10 V15 nx(16), switch::set_packet_in_format;
    NX_PACKET_IN        "NXT_PACKET_IN"            V10 V15 nx(17), packet::nx_packet_in;
    NX_SET_ASYNC        "NXT_SET_ASYNC_CONFIG"     V10 V15 nx(19), asynchronous::nx_set_async;
    SET_CONTROLLER_ID   "NXT_SET_CONTROLLER_ID"    V10 V15 nx(20), switch::set_controller_id;
    NX_SET_ASYNC2       "NXT_SET_ASYNC_CONFIG2"    V10 V13 nx(27), asynchronous::nx_set_async2;
    RESUME              "NXT_RESUME"               V10 V15 nx(28), packet::resume;
    NX_PACKET_IN2       "NXT_PACKET_IN2"           V10 V15 nx(30), packet::nx_packet_in2;

    DESC_REQUEST        "OFPST_DESC request"      V10 V15 Request(0),  |r, _| ask(r, MultipartRequest::Desc);
    FLOW_REQUEST        "OFPST_FLOW request"      V10 V15 Request(1),  |r, c| Ok(ask_flows(flow_stats::get_request(r, c)?));
    AGGREGATE_REQUEST   "OFPST_AGGREGATE request" V10 V15 Request(2),  |r, c| Ok(ask_aggregate(flow_stats::get_request(r, c)?));
    TABLE_REQUEST       "OFPST_TABLE request"     V10 V15 Request(3),  |r, _| ask(r, MultipartRequest::Table);
    PORT_REQUEST        "OFPST_PORT request"      V10 V15 Request(4),  port::stats_request;
    QUEUE_REQUEST       "OFPST_QUEUE request"     V10 V15 Request(5),  queue::stats_request;
    TABLE_FEATURES_REQUEST "OFPST_TABLE_FEATURES request" V13 V15 Request(12), table_features::request;
    PORT_DESC_REQUEST   "OFPST_PORT_DESC request" V10 V15 Request(13), port::desc_request;
    TABLE_DESC_REQUEST  "OFPST_TABLE_DESC request" V14 V15 Request(14), |r, _| ask(r, MultipartRequest::TableDesc);
    QUEUE_DESC_REQUEST  "OFPST_QUEUE_DESC request" V14 V15 Request(15), queue::desc_request;
    CONTROLLER_STATUS_REQUEST "OFPST_CONTROLLER_STATUS request" V15 V15 Request(18), |r, _| ask(r, MultipartRequest::ControllerStatus);
    NX_FLOW_REQUEST     "NXST_FLOW request"       V10 V11 ExperimenterRequest(NICIRA, 0), |r, _| Ok(ask_flows(flow_stats::get_nx_request(r)?));
    NX_AGGREGATE_REQUEST "NXST_AGGREGATE request" V10 V11 ExperimenterRequest(NICIRA, 1), |r, _| Ok(ask_aggregate(flow_stats::get_nx_request(r)?));
    BPDU_REQUEST        "TSUNAGI_BPDU request"    V10 V15 ExperimenterRequest(TSUNAGI, 1), multipart::bpdu_request;

    DESC_REPLY          "OFPST_DESC reply"        V10 V15 Reply(0),  multipart::desc_reply;
    FLOW_REPLY          "OFPST_FLOW reply"        V10 V15 Reply(1),  flow_stats::flow_reply;
    AGGREGATE_REPLY     "OFPST_AGGREGATE reply"   V10 V15 Reply(2),  |r, c| flow_stats::aggregate_reply(r, c, false);
    TABLE_REPLY         "OFPST_TABLE reply"       V10 V15 Reply(3),  table::stats_reply;
    PORT_REPLY          "OFPST_PORT reply"        V10 V15 Reply(4),  port::stats_reply;
    QUEUE_REPLY         "OFPST_QUEUE reply"       V10 V15 Reply(5),  queue::stats_reply;
    TABLE_FEATURES_REPLY "OFPST_TABLE_FEATURES reply" V13 V15 Reply(12), table_features::reply;
    PORT_DESC_REPLY     "OFPST_PORT_DESC reply"   V10 V15 Reply(13), port::desc_reply;
    TABLE_DESC_REPLY    "OFPST_TABLE_DESC reply"  V14 V15 Reply(14), table::desc_reply;
    QUEUE_DESC_REPLY    "OFPST_QUEUE_DESC reply"  V14 V15 Reply(15), queue::desc_reply;
    CONTROLLER_STATUS_REPLY "OFPST_CONTROLLER_STATUS reply" V15 V15 Reply(18), status::controller_status_reply;
    NX_FLOW_REPLY       "NXST_FLOW reply"         V10 V11 ExperimenterReply(NICIRA, 0), flow_stats::nx_flow_reply;
    NX_AGGREGATE_REPLY  "NXST_AGGREGATE reply"    V10 V11 ExperimenterReply(NICIRA, 1), |r, c| flow_stats::aggregate_reply(r, c, true);
    BPDU_REPLY          "TSUNAGI_BPDU reply"      V10 V15 ExperimenterReply(TSUNAGI, 1), multipart::bpdu_reply;
}

fn empty(r: &Reader<'_>, body: Body) -> Result<Body, OfError> {
    r.end().map(|()| body)
}

fn ask(r: &Reader<'_>, request: MultipartRequest) -> Result<Body, OfError> {
    empty(r, Body::MultipartRequest(request))
}

fn ask_flows(request: FlowStatsRequest) -> Body {
    Body::MultipartRequest(MultipartRequest::Flow(Box::new(request)))
}

fn ask_aggregate(request: FlowStatsRequest) -> Body {
    Body::MultipartRequest(MultipartRequest::Aggregate(Box::new(request)))
}

/// The row with a code in a version.
pub(super) fn find(code: Code, version: Version) -> Option<&'static Row> {
    let here = |row: &&Row| row.code == code && row.is_in(version);
    MESSAGES.iter().find(here)
}

/// The row that says a body in a dialect; `None`: the version has no such message.
pub fn row(body: &Body, dialect: &Dialect) -> Option<&'static Row> {
    let here = |row: &&Row| row.is_in(dialect.version);
    rows(body, dialect).iter().find(here)
}

/// A body's name in a dialect; that of another version if this one has no such message.
pub fn name(body: &Body, dialect: &Dialect) -> &'static str {
    let rows = || rows(body, dialect).iter();
    let here = rows().find(|row| row.is_in(dialect.version));
    here.or(rows().next())
        .map_or("(unknown message)", |row| row.name)
}

/// The forms of a body, the preferred one first.
fn rows(body: &Body, dialect: &Dialect) -> &'static [Row] {
    let nxm = dialect.nxm();
    match body {
        Body::Hello(_) => &[HELLO],
        Body::Error(_) => &[ERROR],
        Body::EchoRequest(_) => &[ECHO_REQUEST],
        Body::EchoReply(_) => &[ECHO_REPLY],
        Body::FeaturesRequest => &[FEATURES_REQUEST],
        Body::FeaturesReply(_) => &[FEATURES_REPLY],
        Body::GetConfigRequest => &[GET_CONFIG_REQUEST],
        Body::GetConfigReply(_) => &[GET_CONFIG_REPLY],
        Body::SetConfig(_) => &[SET_CONFIG],
        Body::PacketIn(packet) => match packet.format {
            PacketInFormat::Standard => &[PACKET_IN],
            PacketInFormat::Nxt => &[NX_PACKET_IN],
            PacketInFormat::Nxt2 => &[NX_PACKET_IN2],
        },
        Body::FlowRemoved(_) if nxm => &[NX_FLOW_REMOVED],
        Body::FlowRemoved(_) => &[FLOW_REMOVED],
        Body::PortStatus(_) => &[PORT_STATUS],
        Body::PacketOut(_) => &[PACKET_OUT],
        Body::FlowMod(_) if nxm => &[NX_FLOW_MOD],
        Body::FlowMod(_) => &[FLOW_MOD],
        Body::PortMod(_) => &[PORT_MOD, PORT_MOD10],
        Body::BarrierRequest => &[BARRIER_REQUEST, BARRIER_REQUEST10],
        Body::BarrierReply => &[BARRIER_REPLY, BARRIER_REPLY10],
        Body::RoleRequest(_) => &[ROLE_REQUEST, NX_ROLE_REQUEST],
        Body::RoleReply(_) => &[ROLE_REPLY, NX_ROLE_REPLY],
        Body::GetAsyncRequest => &[GET_ASYNC_REQUEST],
        Body::GetAsyncReply(_) => &[GET_ASYNC_REPLY],
        Body::SetAsync(change) => asynchronous::rows(change, dialect.version),
        Body::MultipartRequest(request) => request_rows(request),
        Body::MultipartReply(reply) => part_rows(&reply.part),
        Body::SetFlowFormat(_) => &[SET_FLOW_FORMAT],
        Body::FlowModTableId(_) => &[FLOW_MOD_TABLE_ID],
        Body::SetPacketInFormat(_) => &[SET_PACKET_IN_FORMAT],
        Body::SetControllerId(_) => &[SET_CONTROLLER_ID],
        Body::TableMod(_) => &[TABLE_MOD],
        Body::Resume(_) => &[RESUME],
        Body::RoleStatus(_) => &[ROLE_STATUS, ONF_ROLE_STATUS],
        Body::TableStatus(_) => &[TABLE_STATUS],
        Body::RequestForward(_) => &[REQUESTFORWARD, ONF_REQUESTFORWARD],
        Body::ControllerStatus(_) => &[CONTROLLER_STATUS],
        Body::QueueGetConfigRequest(_) => {
            &[QUEUE_GET_CONFIG_REQUEST, QUEUE_GET_CONFIG_REQUEST10]
        }
        Body::QueueGetConfigReply { .. } => &[QUEUE_GET_CONFIG_REPLY, QUEUE_GET_CONFIG_REPLY10],
        Body::GroupMod(_)
        | Body::MeterMod(_)
        | Body::BundleControl(_)
        | Body::BundleAdd(_)
        | Body::TlvTableMod(_)
        | Body::TlvTableRequest
        | Body::TlvTableReply(_)
        | Body::FlowMonitorCancel(_)
        | Body::FlowMonitorPaused
        | Body::FlowMonitorResumed => &[],
    }
}

fn request_rows(request: &MultipartRequest) -> &'static [Row] {
    match request {
        MultipartRequest::Desc => &[DESC_REQUEST],
        MultipartRequest::Flow(q) if q.nicira => &[NX_FLOW_REQUEST],
        MultipartRequest::Flow(_) => &[FLOW_REQUEST],
        MultipartRequest::Aggregate(q) if q.nicira => &[NX_AGGREGATE_REQUEST],
        MultipartRequest::Aggregate(_) => &[AGGREGATE_REQUEST],
        MultipartRequest::Table => &[TABLE_REQUEST],
        MultipartRequest::Port(_) => &[PORT_REQUEST],
        MultipartRequest::PortDesc(_) => &[PORT_DESC_REQUEST],
        MultipartRequest::TableFeatures { .. } => &[TABLE_FEATURES_REQUEST],
        MultipartRequest::Bpdu(_) => &[BPDU_REQUEST],
        MultipartRequest::Queue { .. } => &[QUEUE_REQUEST],
        MultipartRequest::QueueDesc { .. } => &[QUEUE_DESC_REQUEST],
        MultipartRequest::TableDesc => &[TABLE_DESC_REQUEST],
        MultipartRequest::ControllerStatus => &[CONTROLLER_STATUS_REQUEST],
        MultipartRequest::Group(_)
        | MultipartRequest::GroupDesc(_)
        | MultipartRequest::GroupFeatures
        | MultipartRequest::Meter(_)
        | MultipartRequest::MeterConfig(_)
        | MultipartRequest::MeterFeatures
        | MultipartRequest::FlowMonitor(_) => &[],
    }
}

fn part_rows(part: &MultipartPart) -> &'static [Row] {
    match part {
        MultipartPart::Desc(_) => &[DESC_REPLY],
        MultipartPart::Flow { nicira: true, .. } => &[NX_FLOW_REPLY],
        MultipartPart::Flow { .. } => &[FLOW_REPLY],
        MultipartPart::Aggregate { nicira: true, .. } => &[NX_AGGREGATE_REPLY],
        MultipartPart::Aggregate { .. } => &[AGGREGATE_REPLY],
        MultipartPart::Table(_) => &[TABLE_REPLY],
        MultipartPart::Port(_) => &[PORT_REPLY],
        MultipartPart::PortDesc(_) => &[PORT_DESC_REPLY],
        MultipartPart::TableFeatures(_) => &[TABLE_FEATURES_REPLY],
        MultipartPart::Bpdu(_) => &[BPDU_REPLY],
        MultipartPart::Queue(_) => &[QUEUE_REPLY],
        MultipartPart::QueueDesc(_) => &[QUEUE_DESC_REPLY],
        MultipartPart::TableDesc(_) => &[TABLE_DESC_REPLY],
        MultipartPart::ControllerStatus(_) => &[CONTROLLER_STATUS_REPLY],
        MultipartPart::Group(_)
        | MultipartPart::GroupDesc(_)
        | MultipartPart::GroupFeatures(_)
        | MultipartPart::Meter(_)
        | MultipartPart::MeterConfig(_)
        | MultipartPart::MeterFeatures(_)
        | MultipartPart::FlowMonitor(_) => &[],
    }
}
