//! The table of messages: name, versions, number and reader of each, and which row says a body.

use super::cursor::Reader;
use super::{
    Context, asynchronous, bundle, flow, flow_stats, group, meter, monitor, multipart, packet,
    port, queue, status, switch, symmetric, table, table_features, tlv,
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
    GROUP_MOD           "OFPT_GROUP_MOD"          V11 V14 Type(15), group::group_mod;
    GROUP_MOD15         "OFPT_GROUP_MOD"          V15 V15 Type(15), group::group_mod15;
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
    METER_MOD           "OFPT_METER_MOD"          V13 V15 Type(29), meter::meter_mod;
    ROLE_STATUS         "OFPT_ROLE_STATUS"        V14 V15 Type(30), status::role_status;
    TABLE_STATUS        "OFPT_TABLE_STATUS"       V14 V15 Type(31), table::table_status;
    REQUESTFORWARD      "OFPT_REQUESTFORWARD"     V14 V15 Type(32), status::requestforward;
    BUNDLE_CONTROL      "OFPT_BUNDLE_CONTROL"     V14 V15 Type(33), bundle::control;
    BUNDLE_ADD          "OFPT_BUNDLE_ADD_MESSAGE" V14 V15 Type(34), bundle::add;
    CONTROLLER_STATUS   "OFPT_CONTROLLER_STATUS"  V15 V15 Type(35), status::controller_status;

    ONF_ROLE_STATUS     "ONFT_ROLE_STATUS"        V13 V13 onf(1911), status::role_status;
    ONF_REQUESTFORWARD  "ONFT_REQUESTFORWARD"     V13 V13 onf(2350), status::requestforward;
    ONF_MONITOR_CANCEL  "ONFT_FLOW_MONITOR_CANCEL" V13 V13 onf(1870), monitor::cancel;
    ONF_MONITOR_PAUSED  "ONFT_FLOW_MONITOR_PAUSED" V13 V13 onf(1871), |r, _| empty(r, Body::FlowMonitorPaused);
    ONF_MONITOR_RESUMED "ONFT_FLOW_MONITOR_RESUMED" V13 V13 onf(1872), |r, _| empty(r, Body::FlowMonitorResumed);
    ONF_BUNDLE_CONTROL  "ONFT_BUNDLE_CONTROL"     V13 V13 onf(2300), bundle::control;
    ONF_BUNDLE_ADD      "ONFT_BUNDLE_ADD_MESSAGE" V13 V13 onf(2301), bundle::add;

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
    NX_MONITOR_CANCEL   "NXT_FLOW_MONITOR_CANCEL"  V10 V12 nx(21), monitor::cancel;
    NX_MONITOR_PAUSED   "NXT_FLOW_MONITOR_PAUSED"  V10 V12 nx(22), |r, _| empty(r, Body::FlowMonitorPaused);
    NX_MONITOR_RESUMED  "NXT_FLOW_MONITOR_RESUMED" V10 V12 nx(23), |r, _| empty(r, Body::FlowMonitorResumed);
    TLV_TABLE_MOD       "NXT_TLV_TABLE_MOD"        V10 V15 nx(24), tlv::table_mod;
    TLV_TABLE_REQUEST   "NXT_TLV_TABLE_REQUEST"    V10 V15 nx(25), |r, _| empty(r, Body::TlvTableRequest);
    TLV_TABLE_REPLY     "NXT_TLV_TABLE_REPLY"      V10 V15 nx(26), tlv::table_reply;
    NX_SET_ASYNC2       "NXT_SET_ASYNC_CONFIG2"    V10 V13 nx(27), asynchronous::nx_set_async2;
    RESUME              "NXT_RESUME"               V10 V15 nx(28), packet::resume;
    NX_PACKET_IN2       "NXT_PACKET_IN2"           V10 V15 nx(30), packet::nx_packet_in2;
    NX_GROUP_MOD        "NXT_GROUP_MOD"            V10 V14 nx(31), group::group_mod15;

    DESC_REQUEST        "OFPST_DESC request"      V10 V15 Request(0),  |r, _| ask(r, MultipartRequest::Desc);
    FLOW_REQUEST        "OFPST_FLOW request"      V10 V15 Request(1),  |r, c| Ok(ask_flows(flow_stats::get_request(r, c)?));
    AGGREGATE_REQUEST   "OFPST_AGGREGATE request" V10 V15 Request(2),  |r, c| Ok(ask_aggregate(flow_stats::get_request(r, c)?));
    TABLE_REQUEST       "OFPST_TABLE request"     V10 V15 Request(3),  |r, _| ask(r, MultipartRequest::Table);
    PORT_REQUEST        "OFPST_PORT request"      V10 V15 Request(4),  port::stats_request;
    QUEUE_REQUEST       "OFPST_QUEUE request"     V10 V15 Request(5),  queue::stats_request;
    GROUP_REQUEST       "OFPST_GROUP request"     V11 V15 Request(6), group::stats_request;
    GROUP_DESC_REQUEST  "OFPST_GROUP_DESC request" V11 V15 Request(7), group::desc_request;
    GROUP_FEATURES_REQUEST "OFPST_GROUP_FEATURES request" V12 V15 Request(8), |r, _| ask(r, MultipartRequest::GroupFeatures);
    METER_REQUEST       "OFPST_METER request"     V13 V15 Request(9), |r, _| Ok(Body::MultipartRequest(MultipartRequest::Meter(meter::get_meter_id(r)?)));
    METER_CONFIG_REQUEST "OFPST_METER_CONFIG request" V13 V15 Request(10), |r, _| Ok(Body::MultipartRequest(MultipartRequest::MeterConfig(meter::get_meter_id(r)?)));
    METER_FEATURES_REQUEST "OFPST_METER_FEATURES request" V13 V15 Request(11), |r, _| ask(r, MultipartRequest::MeterFeatures);
    TABLE_FEATURES_REQUEST "OFPST_TABLE_FEATURES request" V13 V15 Request(12), table_features::request;
    PORT_DESC_REQUEST   "OFPST_PORT_DESC request" V10 V15 Request(13), port::desc_request;
    TABLE_DESC_REQUEST  "OFPST_TABLE_DESC request" V14 V15 Request(14), |r, _| ask(r, MultipartRequest::TableDesc);
    QUEUE_DESC_REQUEST  "OFPST_QUEUE_DESC request" V14 V15 Request(15), queue::desc_request;
    MONITOR_REQUEST     "OFPST_FLOW_MONITOR request" V14 V15 Request(16), monitor::request;
    CONTROLLER_STATUS_REQUEST "OFPST_CONTROLLER_STATUS request" V15 V15 Request(18), |r, _| ask(r, MultipartRequest::ControllerStatus);
    FLOW_COUNTS_REQUEST "OFPST_FLOW_STATS request" V15 V15 Request(17), |r, c| Ok(Body::MultipartRequest(MultipartRequest::FlowCounts(Box::new(flow_stats::get_request(r, c)?))));
    BUNDLE_FEATURES_REQUEST "OFPST_BUNDLE_FEATURES request" V15 V15 Request(19), bundle::features_request;
    NX_FLOW_REQUEST     "NXST_FLOW request"       V10 V11 ExperimenterRequest(NICIRA, 0), |r, _| Ok(ask_flows(flow_stats::get_nx_request(r)?));
    NX_AGGREGATE_REQUEST "NXST_AGGREGATE request" V10 V11 ExperimenterRequest(NICIRA, 1), |r, _| Ok(ask_aggregate(flow_stats::get_nx_request(r)?));
    NX_MONITOR_REQUEST  "NXST_FLOW_MONITOR request" V10 V12 ExperimenterRequest(NICIRA, 2), monitor::request;
    IPFIX_BRIDGE_REQUEST "NXST_IPFIX_BRIDGE request" V10 V15 ExperimenterRequest(NICIRA, 3), |r, _| ask(r, MultipartRequest::IpfixBridge);
    IPFIX_FLOW_REQUEST  "NXST_IPFIX_FLOW request" V10 V15 ExperimenterRequest(NICIRA, 4), |r, _| ask(r, MultipartRequest::IpfixFlow);
    NX_GROUP_REQUEST    "NXST_GROUP request"      V10 V10 ExperimenterRequest(NICIRA, 7), group::stats_request;
    NX_GROUP_DESC_REQUEST "NXST_GROUP_DESC request" V10 V10 ExperimenterRequest(NICIRA, 8), group::desc_request;
    NX_GROUP_FEATURES_REQUEST "NXST_GROUP_FEATURES request" V10 V11 ExperimenterRequest(NICIRA, 9), |r, _| ask(r, MultipartRequest::GroupFeatures);
    ONF_MONITOR_REQUEST "ONFST_FLOW_MONITOR request" V13 V13 ExperimenterRequest(ONF, 1870), monitor::request;
    BPDU_REQUEST        "TSUNAGI_BPDU request"    V10 V15 ExperimenterRequest(TSUNAGI, 1), multipart::bpdu_request;

    DESC_REPLY          "OFPST_DESC reply"        V10 V15 Reply(0),  multipart::desc_reply;
    FLOW_REPLY          "OFPST_FLOW reply"        V10 V15 Reply(1),  flow_stats::flow_reply;
    AGGREGATE_REPLY     "OFPST_AGGREGATE reply"   V10 V15 Reply(2),  |r, c| flow_stats::aggregate_reply(r, c, false);
    TABLE_REPLY         "OFPST_TABLE reply"       V10 V15 Reply(3),  table::stats_reply;
    PORT_REPLY          "OFPST_PORT reply"        V10 V15 Reply(4),  port::stats_reply;
    QUEUE_REPLY         "OFPST_QUEUE reply"       V10 V15 Reply(5),  queue::stats_reply;
    GROUP_REPLY         "OFPST_GROUP reply"       V11 V15 Reply(6), group::stats_reply;
    GROUP_DESC_REPLY    "OFPST_GROUP_DESC reply"  V11 V15 Reply(7), group::desc_reply;
    GROUP_FEATURES_REPLY "OFPST_GROUP_FEATURES reply" V12 V15 Reply(8), group::features_reply;
    METER_REPLY         "OFPST_METER reply"       V13 V15 Reply(9), meter::stats_reply;
    METER_CONFIG_REPLY  "OFPST_METER_CONFIG reply" V13 V15 Reply(10), meter::config_reply;
    METER_FEATURES_REPLY "OFPST_METER_FEATURES reply" V13 V15 Reply(11), meter::features_reply;
    TABLE_FEATURES_REPLY "OFPST_TABLE_FEATURES reply" V13 V15 Reply(12), table_features::reply;
    PORT_DESC_REPLY     "OFPST_PORT_DESC reply"   V10 V15 Reply(13), port::desc_reply;
    TABLE_DESC_REPLY    "OFPST_TABLE_DESC reply"  V14 V15 Reply(14), table::desc_reply;
    QUEUE_DESC_REPLY    "OFPST_QUEUE_DESC reply"  V14 V15 Reply(15), queue::desc_reply;
    MONITOR_REPLY       "OFPST_FLOW_MONITOR reply" V14 V15 Reply(16), monitor::updates;
    CONTROLLER_STATUS_REPLY "OFPST_CONTROLLER_STATUS reply" V15 V15 Reply(18), status::controller_status_reply;
    FLOW_COUNTS_REPLY   "OFPST_FLOW_STATS reply"  V15 V15 Reply(17), flow_stats::counts_reply;
    BUNDLE_FEATURES_REPLY "OFPST_BUNDLE_FEATURES reply" V15 V15 Reply(19), bundle::features_reply;
    NX_FLOW_REPLY       "NXST_FLOW reply"         V10 V11 ExperimenterReply(NICIRA, 0), flow_stats::nx_flow_reply;
    NX_AGGREGATE_REPLY  "NXST_AGGREGATE reply"    V10 V11 ExperimenterReply(NICIRA, 1), |r, c| flow_stats::aggregate_reply(r, c, true);
    NX_MONITOR_REPLY    "NXST_FLOW_MONITOR reply" V10 V12 ExperimenterReply(NICIRA, 2), monitor::updates;
    NX_GROUP_REPLY      "NXST_GROUP reply"        V10 V10 ExperimenterReply(NICIRA, 7), group::stats_reply;
    NX_GROUP_DESC_REPLY "NXST_GROUP_DESC reply"   V10 V10 ExperimenterReply(NICIRA, 8), group::desc_reply;
    NX_GROUP_FEATURES_REPLY "NXST_GROUP_FEATURES reply" V10 V11 ExperimenterReply(NICIRA, 9), group::features_reply;
    ONF_MONITOR_REPLY   "ONFST_FLOW_MONITOR reply" V13 V13 ExperimenterReply(ONF, 1870), monitor::updates;
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
        Body::QueueGetConfigRequest(_) => &[QUEUE_GET_CONFIG_REQUEST, QUEUE_GET_CONFIG_REQUEST10],
        Body::QueueGetConfigReply { .. } => &[QUEUE_GET_CONFIG_REPLY, QUEUE_GET_CONFIG_REPLY10],
        Body::GroupMod(m) if group::fits_standard(m) => &[GROUP_MOD, GROUP_MOD15, NX_GROUP_MOD],
        Body::GroupMod(_) => &[GROUP_MOD15, NX_GROUP_MOD],
        Body::MeterMod(_) => &[METER_MOD],
        Body::BundleControl(_) => &[BUNDLE_CONTROL, ONF_BUNDLE_CONTROL],
        Body::BundleAdd(_) => &[BUNDLE_ADD, ONF_BUNDLE_ADD],
        Body::TlvTableMod(_) => &[TLV_TABLE_MOD],
        Body::TlvTableRequest => &[TLV_TABLE_REQUEST],
        Body::TlvTableReply(_) => &[TLV_TABLE_REPLY],
        Body::FlowMonitorCancel(_) => &[NX_MONITOR_CANCEL, ONF_MONITOR_CANCEL],
        Body::FlowMonitorPaused => &[NX_MONITOR_PAUSED, ONF_MONITOR_PAUSED],
        Body::FlowMonitorResumed => &[NX_MONITOR_RESUMED, ONF_MONITOR_RESUMED],
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
        MultipartRequest::FlowCounts(_) => &[FLOW_COUNTS_REQUEST],
        MultipartRequest::BundleFeatures(_) => &[BUNDLE_FEATURES_REQUEST],
        MultipartRequest::IpfixBridge => &[IPFIX_BRIDGE_REQUEST],
        MultipartRequest::IpfixFlow => &[IPFIX_FLOW_REQUEST],
        MultipartRequest::Group(_) => &[GROUP_REQUEST, NX_GROUP_REQUEST],
        MultipartRequest::GroupDesc(_) => &[GROUP_DESC_REQUEST, NX_GROUP_DESC_REQUEST],
        MultipartRequest::GroupFeatures => &[GROUP_FEATURES_REQUEST, NX_GROUP_FEATURES_REQUEST],
        MultipartRequest::Meter(_) => &[METER_REQUEST],
        MultipartRequest::MeterConfig(_) => &[METER_CONFIG_REQUEST],
        MultipartRequest::MeterFeatures => &[METER_FEATURES_REQUEST],
        MultipartRequest::FlowMonitor(_) => {
            &[MONITOR_REQUEST, ONF_MONITOR_REQUEST, NX_MONITOR_REQUEST]
        }
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
        MultipartPart::FlowCounts(_) => &[FLOW_COUNTS_REPLY],
        MultipartPart::BundleFeatures(_) => &[BUNDLE_FEATURES_REPLY],
        MultipartPart::Group(_) => &[GROUP_REPLY, NX_GROUP_REPLY],
        MultipartPart::GroupDesc(_) => &[GROUP_DESC_REPLY, NX_GROUP_DESC_REPLY],
        MultipartPart::GroupFeatures(_) => &[GROUP_FEATURES_REPLY, NX_GROUP_FEATURES_REPLY],
        MultipartPart::Meter(_) => &[METER_REPLY],
        MultipartPart::MeterConfig(_) => &[METER_CONFIG_REPLY],
        MultipartPart::MeterFeatures(_) => &[METER_FEATURES_REPLY],
        MultipartPart::FlowMonitor(_) => &[MONITOR_REPLY, ONF_MONITOR_REPLY, NX_MONITOR_REPLY],
    }
}
