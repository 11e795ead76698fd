//! Messages, free of version: what a controller and a switch say to each other.
//! Encoding takes the version; decoding yields the same values for all versions.

mod asynchronous;
mod bundle;
mod group;
mod meter;
mod monitor;
mod queue;
mod status;
mod table;
mod tlv;

pub use asynchronous::*;
pub use bundle::*;
pub use group::*;
pub use meter::*;
pub use monitor::*;
pub use queue::*;
pub use status::*;
pub use table::*;
pub use tlv::*;

use crate::action::{Action, PacketInReason};
use crate::bpdu::BpduStats;
use crate::error::OfError;
use crate::key::Match;
use crate::types::{Cookie, GroupId, MeterId, PortNo, TableId, Version, Xid};
use bytes::Bytes;
use packet::MacAddr;

/// A message and its transaction id.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Chosen by the requester, repeated in replies.
    pub xid: Xid,
    /// What is said.
    pub body: Body,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum Body {
    Hello(Hello),
    Error(ErrorBody),
    EchoRequest(Bytes),
    EchoReply(Bytes),
    FeaturesRequest,
    FeaturesReply(Features),
    GetConfigRequest,
    GetConfigReply(SwitchConfig),
    SetConfig(SwitchConfig),
    PacketIn(Box<PacketIn>),
    FlowRemoved(Box<FlowRemoved>),
    PortStatus(PortStatus),
    PacketOut(Box<PacketOut>),
    FlowMod(Box<FlowMod>),
    PortMod(PortMod),
    BarrierRequest,
    BarrierReply,
    RoleRequest(Role),
    RoleReply(Role),
    GetAsyncRequest,
    GetAsyncReply(AsyncConfig),
    SetAsync(AsyncChange),
    MultipartRequest(MultipartRequest),
    MultipartReply(MultipartReply),
    /// NXT_SET_FLOW_FORMAT: whether OpenFlow 1.0 dumps and events use NXM.
    SetFlowFormat(FlowFormat),
    /// NXT_FLOW_MOD_TABLE_ID: whether OpenFlow 1.0 flow mods carry a table number.
    FlowModTableId(bool),
    /// NXT_SET_PACKET_IN_FORMAT.
    SetPacketInFormat(PacketInFormat),
    /// NXT_SET_CONTROLLER_ID.
    SetControllerId(u16),
    GroupMod(Box<GroupMod>),
    MeterMod(Box<MeterMod>),
    TableMod(TableMod),
    BundleControl(BundleControl),
    BundleAdd(Box<BundleAdd>),
    TlvTableMod(TlvTableMod),
    TlvTableRequest,
    TlvTableReply(TlvTable),
    /// NXT_RESUME: a packet-in with its continuation comes back.
    Resume(Box<PacketIn>),
    /// NXT_FLOW_MONITOR_CANCEL: the monitor's id.
    FlowMonitorCancel(u32),
    FlowMonitorPaused,
    FlowMonitorResumed,
    RoleStatus(RoleStatus),
    TableStatus(TableStatus),
    RequestForward(Box<RequestForward>),
    ControllerStatus(ControllerStatus),
    QueueGetConfigRequest(PortNo),
    QueueGetConfigReply {
        port: PortNo,
        queues: Vec<QueueDesc>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
/// OFPT_HELLO.
pub struct Hello {
    /// The header's version.
    pub version: u8,
    /// The version bitmap element, bit `n` = wire version `n`; `None`: not sent.
    pub bitmap: Option<u32>,
}

/// OFPT_ERROR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// What went wrong. Errors that the table does not have keep their numbers.
    pub error: OfError,
    /// The beginning of the offending message (at least 64 bytes), or text for HELLO_FAILED.
    pub data: Bytes,
}

/// OFPT_FEATURES_REPLY.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Bridge id; the lower 48 bits are a MAC address.
    pub datapath_id: u64,
    /// 0: packets are not buffered.
    pub n_buffers: u32,
    /// Tables that controllers see.
    pub n_tables: u8,
    /// 1.3: 0 on the main connection.
    pub auxiliary_id: u8,
    /// Version-neutral bits, see [`capability`].
    pub capabilities: u32,
    /// 1.0 only: bit `n` = action type `n` of OpenFlow 1.0.
    pub actions: u32,
    /// 1.0 only (later versions ask by multipart PORT_DESC).
    pub ports: Vec<PortDesc>,
}

/// Bits of [`Features::capabilities`] (OpenFlow 1.3.5 section 7.3.1; 1.0's STP and ARP_MATCH_IP added).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod capability {
    pub const FLOW_STATS: u32 = 1 << 0;
    pub const TABLE_STATS: u32 = 1 << 1;
    pub const PORT_STATS: u32 = 1 << 2;
    pub const GROUP_STATS: u32 = 1 << 3;
    pub const IP_REASM: u32 = 1 << 5;
    pub const QUEUE_STATS: u32 = 1 << 6;
    /// 1.0 and 1.1.
    pub const ARP_MATCH_IP: u32 = 1 << 7;
    pub const PORT_BLOCKED: u32 = 1 << 8;
    /// 1.4 and later.
    pub const BUNDLES: u32 = 1 << 9;
    /// 1.4 and later.
    pub const FLOW_MONITORING: u32 = 1 << 10;
    /// 1.0: bit 3 on the wire.
    pub const STP: u32 = 1 << 31;
}

/// OFPT_SET_CONFIG and its query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwitchConfig {
    /// OFPC_FRAG_*: 0 normal, 1 drop, 2 reassemble, 3 nx-match.
    pub frag: u8,
    /// 1.1 and 1.2: OFPC_INVALID_TTL_TO_CONTROLLER.
    pub invalid_ttl_to_controller: bool,
    /// Bytes of a packet that a table miss sends.
    pub miss_send_len: u16,
}

/// A port as described to controllers (OpenFlow 1.3.5 section 7.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct PortDesc {
    pub port: PortNo,
    pub hw_addr: MacAddr,
    /// At most 15 bytes on the wire (63 in 1.4+ text); never cut inside a character.
    pub name: String,
    /// See [`port_config`].
    pub config: u32,
    /// See [`port_state`].
    pub state: u32,
    /// OFPPF_* in the layout of 1.1+ (10MB_HD = bit 0 ...).
    pub current: u32,
    pub advertised: u32,
    pub supported: u32,
    pub peer: u32,
    pub current_speed_kbps: u32,
    pub max_speed_kbps: u32,
}

/// OFPPC_*, with the bits of OpenFlow 1.0, which has them all.
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod port_config {
    pub const PORT_DOWN: u32 = 1 << 0;
    pub const NO_STP: u32 = 1 << 1;
    pub const NO_RECV: u32 = 1 << 2;
    pub const NO_RECV_STP: u32 = 1 << 3;
    pub const NO_FLOOD: u32 = 1 << 4;
    pub const NO_FWD: u32 = 1 << 5;
    pub const NO_PACKET_IN: u32 = 1 << 6;
}

/// OFPPS_*: the bits of 1.1+, and 1.0's STP state.
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod port_state {
    pub const LINK_DOWN: u32 = 1 << 0;
    pub const BLOCKED: u32 = 1 << 1;
    pub const LIVE: u32 = 1 << 2;
    /// 1.0: two bits, listen, learn, forward, block.
    pub const STP_MASK: u32 = 3 << 8;
}

/// Which encoding OpenFlow 1.0 uses for matches (NXT_SET_FLOW_FORMAT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the message's")]
pub enum FlowFormat {
    #[default]
    OpenFlow10,
    Nxm,
}

/// Which packet-in message a connection gets (NXT_SET_PACKET_IN_FORMAT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the message's")]
pub enum PacketInFormat {
    #[default]
    Standard = 0,
    Nxt = 1,
    Nxt2 = 2,
}

/// OFPT_PACKET_IN, NXT_PACKET_IN, NXT_PACKET_IN2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PacketIn {
    /// Encoding used or to be used; 1.1+ `Standard` unless the connection chose another.
    pub format: PacketInFormat,
    /// Bytes of the whole packet.
    pub total_len: u32,
    /// Why.
    pub reason: PacketInReason,
    /// Table of the rule that sent it.
    pub table: TableId,
    /// Cookie of that rule; all ones: none.
    pub cookie: Cookie,
    /// Ingress port and the pipeline's metadata fields.
    pub fields: Match,
    /// The packet, cut to the asked length.
    pub data: Bytes,
    /// `userdata` of the action.
    pub userdata: Vec<u8>,
    /// Of a paused packet: to be sent back with [`Body::Resume`] as it is.
    pub continuation: Bytes,
}

/// OFPT_PACKET_OUT. Packets are never buffered, so `data` is the whole packet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PacketOut {
    /// Ingress port, or `CONTROLLER`/`ANY`.
    pub in_port: PortNo,
    /// Pipeline fields beside the ingress port (1.5).
    pub fields: Match,
    /// 0xffffffff: none. Another value is an error (OFPBRC_BUFFER_UNKNOWN).
    pub buffer_id: u32,
    /// What to do.
    pub actions: Vec<Action>,
    /// The packet.
    pub data: Bytes,
}

/// FLOW_MOD's commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u8)]
pub enum FlowModCommand {
    #[default]
    Add = 0,
    Modify = 1,
    ModifyStrict = 2,
    Delete = 3,
    DeleteStrict = 4,
}

/// Flags of a flow (OpenFlow 1.3.5 section 7.3.4.2, bits of 1.3+).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod flow_flag {
    pub const SEND_FLOW_REM: u16 = 1 << 0;
    pub const CHECK_OVERLAP: u16 = 1 << 1;
    pub const RESET_COUNTS: u16 = 1 << 2;
    pub const NO_PACKET_COUNTS: u16 = 1 << 3;
    pub const NO_BYTE_COUNTS: u16 = 1 << 4;
    /// 1.0: emergency flow, refused; this bit is not 1.3's.
    pub const EMERGENCY10: u16 = 1 << 15;
}

/// OFPT_FLOW_MOD, NXT_FLOW_MOD.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct FlowMod {
    pub command: FlowModCommand,
    /// With `cookie_mask` 0, the new cookie of an added or modified flow. All ones in a MODIFY: the
    /// cookie stays, and nothing is added when no flow matches (OpenFlow 1.2 and later).
    /// Otherwise the bits that select flows; what is modified gets `new_cookie`, if given.
    pub cookie: Cookie,
    /// Modify and delete only flows whose cookie has `cookie`'s bits under this mask.
    pub cookie_mask: u64,
    /// For ADD, the cookie given when `cookie_mask` selects too (text form `cookie=V/M,cookie=N`).
    pub new_cookie: Option<Cookie>,
    /// `ALL`: every table for deletes; for ADD without a table, table 0.
    pub table: TableId,
    pub idle_timeout_secs: u16,
    pub hard_timeout_secs: u16,
    pub importance: u16,
    pub priority: u16,
    pub buffer_id: u32,
    /// Delete only flows that output there; `ANY`: no such restriction.
    pub out_port: PortNo,
    pub out_group: GroupId,
    pub flags: u16,
    pub matching: Match,
    pub actions: Vec<Action>,
}

impl Default for FlowMod {
    fn default() -> FlowMod {
        FlowMod {
            command: FlowModCommand::Add,
            cookie: Cookie(0),
            cookie_mask: 0,
            new_cookie: None,
            table: TableId::ALL,
            idle_timeout_secs: 0,
            hard_timeout_secs: 0,
            importance: 0,
            priority: 0x8000,
            buffer_id: u32::MAX,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            flags: 0,
            matching: Match::default(),
            actions: Vec::new(),
        }
    }
}

/// Why a flow went away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u8)]
pub enum FlowRemovedReason {
    IdleTimeout = 0,
    HardTimeout = 1,
    #[default]
    Delete = 2,
    GroupDelete = 3,
    MeterDelete = 4,
    Eviction = 5,
}

/// OFPT_FLOW_REMOVED, NXT_FLOW_REMOVED.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct FlowRemoved {
    pub cookie: Cookie,
    pub priority: u16,
    pub reason: FlowRemovedReason,
    pub table: TableId,
    pub duration: Duration,
    pub idle_timeout_secs: u16,
    pub hard_timeout_secs: u16,
    pub packets: u64,
    pub bytes: u64,
    pub matching: Match,
}

/// A time span as OpenFlow sends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Duration {
    pub secs: u32,
    pub nanos: u32,
}

/// What happened to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u8)]
pub enum PortReason {
    Add = 0,
    Delete = 1,
    Modify = 2,
}

/// OFPT_PORT_STATUS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct PortStatus {
    pub reason: PortReason,
    pub desc: PortDesc,
}

/// OFPT_PORT_MOD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct PortMod {
    pub port: PortNo,
    pub hw_addr: MacAddr,
    pub config: u32,
    pub mask: u32,
    pub advertise: u32,
}

/// OFPT_ROLE_REQUEST and reply; NXT_ROLE_REQUEST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// 0 no change, 1 equal, 2 primary, 3 secondary (as in 1.3).
    pub role: u32,
    /// `None`: not given (Nicira's form).
    pub generation_id: Option<u64>,
    /// 1.5: the controller's own id; `None`: not given.
    pub short_id: Option<u16>,
}

/// Selects flows for FLOW and AGGREGATE statistics.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct FlowStatsRequest {
    pub table: TableId,
    pub out_port: PortNo,
    pub out_group: GroupId,
    pub cookie: Cookie,
    pub cookie_mask: u64,
    pub matching: Match,
    /// Asked with Nicira's message (OpenFlow 1.0): the reply takes the same form.
    pub nicira: bool,
}

/// OFPT_MULTIPART_REQUEST (OFPT_STATS_REQUEST).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum MultipartRequest {
    Desc,
    Flow(Box<FlowStatsRequest>),
    Aggregate(Box<FlowStatsRequest>),
    Table,
    /// `ANY`: all ports.
    Port(PortNo),
    /// `ANY`: all ports; before 1.5 always so.
    PortDesc(PortNo),
    /// Empty: what tables can do is asked for; else it is to be changed.
    TableFeatures(Vec<TableFeaturesChange>),
    /// Ours: BPDUs by kind; `ANY`: all ports.
    Bpdu(PortNo),
    /// `ANY`: all ports; `u32::MAX`: all queues.
    Queue {
        port: PortNo,
        queue: u32,
    },
    QueueDesc {
        port: PortNo,
        queue: u32,
    },
    TableDesc,
    /// `ALL`: every group.
    Group(GroupId),
    /// As above; before 1.5 always `ALL`.
    GroupDesc(GroupId),
    GroupFeatures,
    /// `ALL`: every meter.
    Meter(MeterId),
    MeterConfig(MeterId),
    MeterFeatures,
    FlowMonitor(Vec<MonitorRequest>),
    ControllerStatus,
    /// 1.5: counters of flows without their actions.
    FlowCounts(Box<FlowStatsRequest>),
    BundleFeatures(BundleFeaturesRequest),
    /// Open vSwitch's; here there is no exporter.
    IpfixBridge,
    IpfixFlow,
}

/// OFPT_MULTIPART_REPLY (OFPT_STATS_REPLY).
#[derive(Clone, Debug, PartialEq)]
pub struct MultipartReply {
    /// More parts follow.
    pub more: bool,
    /// This part.
    pub part: MultipartPart,
}

/// A part of a reply.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum MultipartPart {
    Desc(SwitchDesc),
    Flow {
        flows: Vec<FlowStats>,
        nicira: bool,
    },
    Aggregate {
        packets: u64,
        bytes: u64,
        flows: u32,
        nicira: bool,
    },
    Table(Vec<TableStats>),
    Port(Vec<PortStats>),
    PortDesc(Vec<PortDesc>),
    TableFeatures(Vec<TableFeatures>),
    Bpdu(Vec<BpduStats>),
    Queue(Vec<QueueStats>),
    QueueDesc(Vec<QueueDesc>),
    TableDesc(Vec<TableDesc>),
    Group(Vec<GroupStats>),
    GroupDesc(Vec<GroupDesc>),
    GroupFeatures(GroupFeatures),
    Meter(Vec<MeterStats>),
    MeterConfig(Vec<MeterConfig>),
    MeterFeatures(MeterFeatures),
    FlowMonitor(Vec<FlowUpdate>),
    ControllerStatus(Vec<ControllerStatus>),
    FlowCounts(Vec<FlowCounts>),
    BundleFeatures(BundleFeatures),
}

/// OFPMP_DESC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct SwitchDesc {
    pub manufacturer: String,
    pub hardware: String,
    pub software: String,
    pub serial: String,
    pub datapath: String,
}

/// One flow in OFPMP_FLOW.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct FlowStats {
    pub table: TableId,
    pub duration: Duration,
    pub priority: u16,
    pub idle_timeout_secs: u16,
    pub hard_timeout_secs: u16,
    pub importance: u16,
    /// Seconds since last use and last change; `None`: not said (1.3).
    pub idle_age_secs: Option<u32>,
    pub hard_age_secs: Option<u32>,
    pub flags: u16,
    pub cookie: Cookie,
    /// `u64::MAX`: not counted.
    pub packets: u64,
    pub bytes: u64,
    pub matching: Match,
    pub actions: Vec<Action>,
}

/// One flow in OFPMP_FLOW_STATS (1.5).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowCounts {
    /// See [`FlowStats`].
    pub table: TableId,
    /// Its statistics passed a threshold; else it was asked for.
    pub triggered: bool,
    /// See [`FlowStats`].
    pub priority: u16,
    /// See [`FlowStats`].
    pub matching: Match,
    /// What is said of it.
    pub stats: FlowCounters,
}

/// Statistics fields (OXS); `None`: not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct FlowCounters {
    pub duration: Option<Duration>,
    pub idle_time: Option<Duration>,
    pub flow_count: Option<u32>,
    pub packet_count: Option<u64>,
    pub byte_count: Option<u64>,
}

/// One table in OFPMP_TABLE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct TableStats {
    pub table: TableId,
    pub name: String,
    /// 1.1 and 1.2: see [`table_config`].
    pub config: u32,
    /// 1.2: bits of the metadata that can be matched, and written.
    pub metadata: [u64; 2],
    /// 1.1 and 1.2, as a reply says it; `None`: all that this crate knows, which is what is written.
    pub abilities: Option<Box<TableAbilities>>,
    pub max_entries: u32,
    pub active_count: u32,
    pub lookup_count: u64,
    pub matched_count: u64,
}

/// One port in OFPMP_PORT; `u64::MAX`: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub struct PortStats {
    pub port: PortNo,
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_frame_err: u64,
    pub rx_over_err: u64,
    pub rx_crc_err: u64,
    pub collisions: u64,
    /// Since the port was added; 1.3+.
    pub duration: Duration,
    /// 1.4+, Open vSwitch's extension: counters of the port's own, by name.
    pub custom: Vec<(String, u64)>,
    /// 1.4+, Intel's extension, in the order of [`RFC2819`]; `None`: not said.
    pub rfc2819: Option<Box<[u64; RFC2819.len()]>>,
}

/// Names of counters of frames by size and of errors (RFC 2819), and whether they are of sent frames.
pub const RFC2819: [(&str, bool); 21] = [
    ("1_to_64_packets", false),
    ("65_to_127_packets", false),
    ("128_to_255_packets", false),
    ("256_to_511_packets", false),
    ("512_to_1023_packets", false),
    ("1024_to_1522_packets", false),
    ("1523_to_max_packets", false),
    ("1_to_64_packets", true),
    ("65_to_127_packets", true),
    ("128_to_255_packets", true),
    ("256_to_511_packets", true),
    ("512_to_1023_packets", true),
    ("1024_to_1522_packets", true),
    ("1523_to_max_packets", true),
    ("multicast_packets", true),
    ("broadcast_packets", false),
    ("broadcast_packets", true),
    ("undersized_errors", false),
    ("oversize_errors", false),
    ("rx_fragmented_errors", false),
    ("rx_jabber_errors", false),
];

/// Encoding needs to know what a connection negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Protocol version.
    pub version: Version,
    /// 1.0: NXM allowed for flows.
    pub flow_format: FlowFormat,
    /// 1.0: flow mods carry a table number in the command's high byte.
    pub flow_mod_table_id: bool,
}

impl Dialect {
    /// A connection's dialect when nothing but the version is agreed on.
    pub const fn new(version: Version) -> Dialect {
        Dialect {
            version,
            flow_format: FlowFormat::OpenFlow10,
            flow_mod_table_id: false,
        }
    }
}
