//! Actions and instructions, the same values on the wire, as text and in the tables of the switch.

use crate::field::{Field, Subfield};
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
/// OpenFlow 1.3.5 section 5.9 executes them: meter, applied actions, clear, write, metadata, goto.
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
    /// Instruction: go on in a later table.
    GotoTable(TableId),
}
