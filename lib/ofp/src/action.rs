//! Actions and instructions, the same values on the wire, as text and in the tables of the switch.

use crate::field::{Field, Subfield};
use crate::message::FlowCounters;
use crate::types::{GroupId, MeterId, PortNo, TableId};
use packet::MacAddr;
use std::net::Ipv4Addr;

/// `max_len` of an output to the controller that means "the whole packet" (OFPCML_NO_BUFFER).
pub const WHOLE_PACKET: u16 = 0xffff;

/// Why a packet is sent to the controllers (OpenFlow 1.3.5 section 7.4.1, and later versions').
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the specification's")]
#[repr(u8)]
pub enum PacketInReason {
    NoMatch = 0,
    #[default]
    Action = 1,
    InvalidTtl = 2,
    ActionSet = 3,
    Group = 4,
    PacketOut = 5,
}

/// The `controller(...)` action (NXAST_CONTROLLER, NXAST_CONTROLLER2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Controller {
    /// Bytes of the packet to send at most.
    pub max_len: u16,
    /// Which controllers: those that chose this id; 0 by default.
    pub id: u16,
    /// Reason to report.
    pub reason: PacketInReason,
    /// Carried to the controller unchanged.
    pub userdata: Vec<u8>,
    /// Stop here until the controller resumes the packet.
    pub pause: bool,
    /// Meter to pass; `None`: none.
    pub meter: Option<MeterId>,
}

/// A packet type: what a packet begins with (OpenFlow 1.5.1 section 7.2.3.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PacketType {
    /// 0: ONF's own, 1: ether types, 0xfffe: "as it is" in decap.
    pub namespace: u16,
    /// 0 in namespace 0: Ethernet.
    pub kind: u16,
}

impl PacketType {
    /// An Ethernet frame.
    pub const ETHERNET: PacketType = PacketType {
        namespace: 0,
        kind: 0,
    };
    /// What an ether type says.
    pub const fn ether_type(kind: u16) -> PacketType {
        PacketType { namespace: 1, kind }
    }
}

impl From<PacketType> for u128 {
    /// The value of the field `packet_type`.
    fn from(of: PacketType) -> u128 {
        u128::from(of.namespace) << 16 | u128::from(of.kind)
    }
}

impl From<u128> for PacketType {
    fn from(value: u128) -> PacketType {
        PacketType {
            namespace: (value >> 16) as u16,
            kind: value as u16,
        }
    }
}

/// A hash over a packet's fields (NX_HASH_FIELDS_*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are as written")]
#[repr(u16)]
pub enum HashFields {
    #[default]
    EthSrc = 0,
    SymmetricL4 = 1,
    SymmetricL3L4 = 2,
    SymmetricL3L4Udp = 3,
    NwSrc = 4,
    NwDst = 5,
    SymmetricL3 = 6,
}

impl HashFields {
    /// In the order of their numbers.
    pub const ALL: [HashFields; 7] = [
        HashFields::EthSrc,
        HashFields::SymmetricL4,
        HashFields::SymmetricL3L4,
        HashFields::SymmetricL3L4Udp,
        HashFields::NwSrc,
        HashFields::NwDst,
        HashFields::SymmetricL3,
    ];
}

/// How a link is chosen by a hash (NX_MP_ALG_*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are as written")]
#[repr(u16)]
pub enum MultipathAlgorithm {
    #[default]
    ModuloN = 0,
    HashThreshold = 1,
    Hrw = 2,
    IterHash = 3,
}

impl MultipathAlgorithm {
    /// In the order of their numbers.
    pub const ALL: [MultipathAlgorithm; 4] = [
        MultipathAlgorithm::ModuloN,
        MultipathAlgorithm::HashThreshold,
        MultipathAlgorithm::Hrw,
        MultipathAlgorithm::IterHash,
    ];
}

/// The `multipath(...)` action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multipath {
    /// What is hashed.
    pub fields: HashFields,
    /// Varies the hash.
    pub basis: u16,
    /// How it becomes a link.
    pub algorithm: MultipathAlgorithm,
    /// Number of links, 1 to 65,536.
    pub n_links: u32,
    /// For the algorithm.
    pub argument: u32,
    /// Where the link's number goes.
    pub destination: Subfield,
}

/// The `bundle(...)` and `bundle_load(...)` actions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortBundle {
    /// The first port that is up, instead of one by highest random weight.
    pub active_backup: bool,
    /// What is hashed.
    pub fields: HashFields,
    /// Varies the hash.
    pub basis: u16,
    /// At most 2048.
    pub ports: Vec<PortNo>,
    /// `Some`: the port's number goes there; `None`: output.
    pub destination: Option<Subfield>,
}

/// Where a learnt value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LearnSource {
    /// The packet's field.
    Field(Subfield),
    /// A constant of the destination's width.
    Value(u128),
}

/// What a learnt value becomes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LearnTarget {
    /// A match on these bits.
    Match(Subfield),
    /// An action that loads them.
    Load(Subfield),
    /// An output to this port.
    Output,
}

/// One specification of the `learn(...)` action: `width` bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LearnSpec {
    /// Bits.
    pub width: u8,
    /// From.
    pub source: LearnSource,
    /// To.
    pub target: LearnTarget,
}

/// Flags of [`Learn`] (NX_LEARN_F_*).
pub mod learn_flag {
    /// The new flow's removal is reported.
    pub const SEND_FLOW_REM: u16 = 1;
    /// Learnt flows go with the rule that learnt them.
    pub const DELETE_LEARNED: u16 = 2;
    /// A bit says whether there was room.
    pub const WRITE_RESULT: u16 = 4;
    /// All of them.
    pub const ALL: u16 = 7;
}

/// The `learn(...)` action: a flow made of the packet's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Learn {
    /// Of the new flow.
    pub idle_timeout_secs: u16,
    /// Of the new flow.
    pub hard_timeout_secs: u16,
    /// Of the new flow.
    pub priority: u16,
    /// Of the new flow.
    pub cookie: crate::types::Cookie,
    /// See [`learn_flag`].
    pub flags: u16,
    /// Of the new flow.
    pub table: TableId,
    /// Its `fin_timeout`, if not 0.
    pub fin_idle_timeout_secs: u16,
    /// The same for the hard timeout.
    pub fin_hard_timeout_secs: u16,
    /// Flows with the same cookie and table at most; 0: no limit (LEARN2).
    pub limit: u32,
    /// With `write_result`: the bit that says whether the limit was kept.
    pub result: Option<Subfield>,
    /// What it matches and does.
    pub specs: Vec<LearnSpec>,
}

/// The `sample(...)` action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Of 65,535 packets, this many.
    pub probability: u16,
    /// Which Flow_Sample_Collector_Set.
    pub collector_set: u32,
    /// Carried in the sample.
    pub observation_domain: u32,
    /// Carried in the sample.
    pub observation_point: u32,
    /// Carried in the sample; `ANY`: none.
    pub sampling_port: PortNo,
    /// 0: as is, 1: ingress, 2: egress.
    pub direction: u8,
}

/// The `stat_trigger(...)` instruction: the controllers are told of the flow's statistics when one of them has
/// reached its threshold (OpenFlow 1.5.1 section 7.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatTrigger {
    /// Each multiple of a threshold counts, not only the threshold.
    pub periodic: bool,
    /// Only the threshold that is reached first counts.
    pub only_first: bool,
    /// At least one; more than zero. `flow_count` is none: a flow is one.
    pub thresholds: FlowCounters,
}

/// Least `mtu` of [`Action::Fragment`]: a full IPv4 header with 8 bytes of payload (RFC 791 section 3.2).
pub const FRAGMENT_MTU_MIN: u16 = 68;

/// Where [`Bpdu::Tunnel`] sends frames, so that bridges in between take them for data.
pub const BPDU_TUNNEL: MacAddr = packet::bpdu::TUNNEL_GROUP;

/// What the `bpdu(...)` action does to a frame whose `bpdu_type` is not `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bpdu {
    /// Counts it at the ingress port.
    Count,
    /// NORMAL forwards it, although its destination is reserved.
    Forward,
    /// Drops it.
    Drop,
    /// Sets its destination to this one.
    Tunnel(MacAddr),
    /// Gives one with this destination the one of its protocol back.
    Untunnel(MacAddr),
}

/// One action or instruction. A rule's list holds the instructions in the order in which
/// OpenFlow 1.3.5 section 5.9 executes them: meter, applied actions, clear, write, metadata, goto; 1.5's statistics
/// trigger stands before goto.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// To a port, real or reserved. `max_len` counts only for `CONTROLLER`.
    Output {
        /// Where to.
        port: PortNo,
        /// Bytes for the controller at most.
        max_len: u16,
    },
    /// To the port whose number a field holds.
    OutputReg {
        /// The bits that hold the number.
        source: Subfield,
        /// Bytes for the controller at most.
        max_len: u16,
    },
    /// To a port, cut to a size.
    OutputTrunc {
        /// Where to.
        port: PortNo,
        /// Bytes of the frame at most.
        max_len: u32,
    },
    /// To a queue of a port.
    Enqueue {
        /// Where to.
        port: PortNo,
        /// Its queue.
        queue: u32,
    },
    /// To the controllers.
    Controller(Box<Controller>),
    /// To a group.
    Group(GroupId),

    /// Set the VLAN id. OpenFlow 1.0 (`push`) adds a tag where there is none.
    SetVlanVid {
        /// 12 bits.
        vid: u16,
        /// Add a tag if there is none.
        push: bool,
    },
    /// Set the VLAN priority; `push` as above.
    SetVlanPcp {
        /// 3 bits.
        pcp: u8,
        /// Add a tag if there is none.
        push: bool,
    },
    /// Remove the outer tag, if there is one (`strip_vlan`, `pop_vlan`).
    StripVlan,
    /// Add a tag with this TPID.
    PushVlan(u16),
    /// OpenFlow 1.0 `mod_dl_src`.
    SetEthSrc(MacAddr),
    /// OpenFlow 1.0 `mod_dl_dst`.
    SetEthDst(MacAddr),
    /// OpenFlow 1.0 `mod_nw_src`.
    SetIpv4Src(Ipv4Addr),
    /// OpenFlow 1.0 `mod_nw_dst`.
    SetIpv4Dst(Ipv4Addr),
    /// OpenFlow 1.0 `mod_nw_tos`: the upper 6 bits of the octet.
    SetIpTos(u8),
    /// `mod_nw_ecn`.
    SetIpEcn(u8),
    /// `mod_nw_ttl`.
    SetIpTtl(u8),
    /// `mod_tp_src`.
    SetL4Src(u16),
    /// `mod_tp_dst`.
    SetL4Dst(u16),
    /// Set bits of a field (OFPAT_SET_FIELD).
    SetField {
        /// The field.
        field: Field,
        /// Its new bits.
        value: u128,
        /// Which bits; all for standard OpenFlow.
        mask: u128,
    },
    /// Set bits of a field (NXAST_REG_LOAD).
    Load {
        /// The new bits.
        value: u128,
        /// Where.
        destination: Subfield,
    },
    /// Copy bits between fields (NXAST_REG_MOVE).
    Move {
        /// From.
        source: Subfield,
        /// To; of the same width.
        destination: Subfield,
    },
    /// Push bits to the stack.
    StackPush(Subfield),
    /// Pop bits from the stack.
    StackPop(Subfield),
    /// Decrement the IP TTL or hop limit; controllers with one of these ids learn of an expired one.
    DecTtl(Vec<u16>),
    /// Set the tunnel id (NXAST_SET_TUNNEL, and SET_TUNNEL64 when it was typed or is too wide).
    SetTunnel {
        /// The id.
        id: u64,
        /// Written as `set_tunnel64`.
        wide: bool,
    },
    /// Choose the queue of later outputs.
    SetQueue(u32),
    /// Back to the queue of before.
    PopQueue,
    /// Look up again, then go on with the next action.
    Resubmit {
        /// As if received there; `None`: unchanged.
        in_port: Option<PortNo>,
        /// In this table; `None`: the current one.
        table: Option<TableId>,
    },
    /// Stop here.
    Exit,
    /// Bytes without effect.
    Note(Vec<u8>),
    /// Apply a list to a copy of the packet.
    Clone(Vec<Action>),
    /// An IP packet that is larger becomes fragments: what follows, and later tables, apply to each of them.
    Fragment {
        /// Bytes of an IP packet at most.
        mtu: u16,
        /// Split IPv4 packets that ask not to be (DF) too; they are dropped otherwise.
        ignore_df: bool,
    },
    /// Fragments are held; the packet that they were (or that was whole) goes on in a table. Nothing follows it.
    Reassemble(TableId),
    /// Something about spanning tree frames; others pass unchanged.
    Bpdu(Bpdu),
    /// Add an MPLS label stack entry; the ether type is 0x8847 or 0x8848.
    PushMpls(u16),
    /// Remove the outer label stack entry; what is behind the last one has this ether type.
    PopMpls(u16),
    /// Set the outer label: 20 bits.
    SetMplsLabel(u32),
    /// Set the outer traffic class: 3 bits.
    SetMplsTc(u8),
    /// Set the outer TTL.
    SetMplsTtl(u8),
    /// Decrement the outer MPLS TTL; one that would expire goes to the controllers.
    DecMplsTtl,
    /// Copy the TTL outwards, from the next header to the outermost.
    CopyTtlOut,
    /// Copy the TTL inwards, from the outermost header to the next.
    CopyTtlIn,
    /// Add a PBB service instance header (IEEE 802.1ah); the ether type is 0x88e7.
    PushPbb(u16),
    /// Remove the PBB service instance header.
    PopPbb,
    /// Add or refresh a flow made of this packet's fields (NXAST_LEARN, LEARN2).
    Learn(Box<Learn>),
    /// This rule is one of several that stand for another one (NXAST_CONJUNCTION).
    Conjunction {
        /// The `conj_id` that the other one matches.
        id: u32,
        /// Which dimension this rule belongs to: from 0; written from 1.
        clause: u8,
        /// How many there are: 2 to 64.
        n_clauses: u8,
    },
    /// Choose a link by a hash of the packet's fields (NXAST_MULTIPATH).
    Multipath(Multipath),
    /// Output to one of several ports, or load its number (NXAST_BUNDLE, BUNDLE_LOAD).
    Bundle(Box<PortBundle>),
    /// The rule's timeouts shrink when a TCP FIN or RST passes (NXAST_FIN_TIMEOUT); 0: unchanged.
    FinTimeout {
        /// New idle timeout at most.
        idle_secs: u16,
        /// New hard timeout at most.
        hard_secs: u16,
    },
    /// Whether the packet is larger than this becomes a bit (NXAST_CHECK_PKT_LARGER).
    CheckPktLarger {
        /// Bytes, from the Ethernet header on.
        size: u16,
        /// One bit.
        destination: Subfield,
    },
    /// Sample packets (NXAST_SAMPLE to SAMPLE4).
    Sample(Box<Sample>),
    /// Remove a tunnel option (NXAST_DELETE_FIELD).
    DeleteField(Field),
    /// Put a header in front (NXAST_ENCAP); the value is the packet type of the new packet.
    Encap(PacketType),
    /// Remove the outer header (NXAST_DECAP); `None`: what is behind says what it is.
    Decap(Option<PacketType>),

    /// Instruction: pass a meter.
    Meter(MeterId),
    /// Instruction: empty the action set.
    ClearActions,
    /// Instruction: merge into the action set.
    WriteActions(Vec<Action>),
    /// Instruction: set bits of the metadata.
    WriteMetadata {
        /// The new bits.
        value: u64,
        /// Which bits.
        mask: u64,
    },
    /// Instruction: tell the controllers of the flow's statistics.
    StatTrigger(Box<StatTrigger>),
    /// Instruction: go on in a later table.
    GotoTable(TableId),
}

impl Action {
    /// Calls `f` with each field that the action, or one in it, names.
    pub fn for_each_field(&self, f: &mut dyn FnMut(Field)) {
        match self {
            Action::OutputReg { source, .. } | Action::StackPush(source) => f(source.field),
            Action::SetField { field, .. } | Action::DeleteField(field) => f(*field),
            Action::Load { destination, .. }
            | Action::StackPop(destination)
            | Action::CheckPktLarger { destination, .. } => f(destination.field),
            Action::Move {
                source,
                destination,
            } => {
                f(source.field);
                f(destination.field);
            }
            Action::Multipath(multipath) => f(multipath.destination.field),
            Action::Bundle(bundle) => {
                if let Some(destination) = bundle.destination {
                    f(destination.field);
                }
            }
            Action::Learn(learn) => {
                if let Some(result) = learn.result {
                    f(result.field);
                }
                for spec in &learn.specs {
                    if let LearnSource::Field(from) = spec.source {
                        f(from.field);
                    }
                    if let LearnTarget::Match(to) | LearnTarget::Load(to) = spec.target {
                        f(to.field);
                    }
                }
            }
            Action::Clone(list) | Action::WriteActions(list) => {
                list.iter().for_each(|action| action.for_each_field(f));
            }
            _ => {}
        }
    }
}
