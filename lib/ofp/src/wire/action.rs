//! The table of actions on the wire: a row is a wire form (name, space, number, size, reader).
//! Writing goes from the value to the row that the version has for it, or to what stands in for it.

use super::cursor::{Layout, Reader, Tlv};
use super::oxm;
use super::{header, learn, spread};
use crate::action::{Action, Bpdu, Controller, PacketInReason};
use crate::error::OfError;
use crate::field::{Field, NICIRA, ONF, Subfield, TSUNAGI};
use crate::types::{GroupId, MeterId, PortNo, TableId, Version};
use packet::MacAddr;
use std::net::Ipv4Addr;

/// Where an action's number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The standard's, from one version to another.
    Standard(Version, Version),
    /// Inside an experimenter action: `experimenter` 32, `subtype` 16.
    Experimenter(u32),
}

/// Reads what follows the type and length (or the subtype).
type Decode = fn(&mut Reader<'_>, Context) -> Result<Action, OfError>;

/// A wire form.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The specification's name.
    pub name: &'static str,
    /// Where the number counts.
    pub space: Space,
    /// Type, or subtype of the experimenter.
    pub number: u16,
    /// Bytes on the wire, at least.
    pub size: u16,
    /// It can be longer, by multiples of 8.
    pub longer: bool,
    decode: Decode,
}

/// What reading a list needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) version: Version,
    /// How deep in nested lists.
    pub(crate) depth: u8,
}

/// Lists in lists at most; each level costs stack.
const MAX_DEPTH: u8 = 32;

macro_rules! rows {
    ($($row:ident $name:literal $space:expr, $number:literal, $size:literal $longer:ident, $decode:expr;)*) => {
        $(pub(super) const $row: Row = Row {
            name: $name, space: $space, number: $number, size: $size,
            longer: rows!(@$longer), decode: $decode,
        };)*
        /// The table.
        pub const ACTIONS: &[Row] = &[$($row),*];
    };
    (@fixed) => { false };
    (@longer) => { true };
}

const V10: Space = Space::Standard(Version::V10, Version::V10);
const V11: Space = Space::Standard(Version::V11, Version::V11);
const V11_UP: Space = Space::Standard(Version::V11, Version::V15);
const V12_UP: Space = Space::Standard(Version::V12, Version::V15);
const V13_UP: Space = Space::Standard(Version::V13, Version::V15);
const V15: Space = Space::Standard(Version::V15, Version::V15);
const NX: Space = Space::Experimenter(NICIRA);
const OURS: Space = Space::Experimenter(TSUNAGI);

rows! {
    OUTPUT10       "OFPAT_OUTPUT"        V10, 0, 8 fixed,       |r, _| output(PortNo::from_v10(r.u16()?), r.u16()?);
    SET_VLAN_VID10 "OFPAT_SET_VLAN_VID"  V10, 1, 8 fixed,       |r, _| set_vlan_vid(r.u16()?, true);
    SET_VLAN_PCP10 "OFPAT_SET_VLAN_PCP"  V10, 2, 8 fixed,       |r, _| set_vlan_pcp(r.u8()?, true);
    STRIP_VLAN     "OFPAT_STRIP_VLAN"    V10, 3, 8 fixed,       |_, _| Ok(Action::StripVlan);
    SET_DL_SRC10   "OFPAT_SET_DL_SRC"    V10, 4, 16 fixed,      |r, _| Ok(Action::SetEthSrc(r.mac()?));
    SET_DL_DST10   "OFPAT_SET_DL_DST"    V10, 5, 16 fixed,      |r, _| Ok(Action::SetEthDst(r.mac()?));
    SET_NW_SRC10   "OFPAT_SET_NW_SRC"    V10, 6, 8 fixed,       |r, _| Ok(Action::SetIpv4Src(Ipv4Addr::from(r.u32()?)));
    SET_NW_DST10   "OFPAT_SET_NW_DST"    V10, 7, 8 fixed,       |r, _| Ok(Action::SetIpv4Dst(Ipv4Addr::from(r.u32()?)));
    SET_NW_TOS10   "OFPAT_SET_NW_TOS"    V10, 8, 8 fixed,       |r, _| set_nw_tos(r.u8()?);
    SET_TP_SRC10   "OFPAT_SET_TP_SRC"    V10, 9, 8 fixed,       |r, _| Ok(Action::SetL4Src(r.u16()?));
    SET_TP_DST10   "OFPAT_SET_TP_DST"    V10, 10, 8 fixed,      |r, _| Ok(Action::SetL4Dst(r.u16()?));
    ENQUEUE        "OFPAT_ENQUEUE"       V10, 11, 16 fixed,     enqueue;

    OUTPUT         "OFPAT_OUTPUT"        V11_UP, 0, 16 fixed,   |r, _| output(PortNo(r.u32()?), r.u16()?);
    SET_VLAN_VID11 "OFPAT_SET_VLAN_VID"  V11, 1, 8 fixed,       |r, _| set_vlan_vid(r.u16()?, false);
    SET_VLAN_PCP11 "OFPAT_SET_VLAN_PCP"  V11, 2, 8 fixed,       |r, _| set_vlan_pcp(r.u8()?, false);
    SET_DL_SRC11   "OFPAT_SET_DL_SRC"    V11, 3, 16 fixed,      |r, _| Ok(Action::SetEthSrc(r.mac()?));
    SET_DL_DST11   "OFPAT_SET_DL_DST"    V11, 4, 16 fixed,      |r, _| Ok(Action::SetEthDst(r.mac()?));
    SET_NW_SRC11   "OFPAT_SET_NW_SRC"    V11, 5, 8 fixed,       |r, _| Ok(Action::SetIpv4Src(Ipv4Addr::from(r.u32()?)));
    SET_NW_DST11   "OFPAT_SET_NW_DST"    V11, 6, 8 fixed,       |r, _| Ok(Action::SetIpv4Dst(Ipv4Addr::from(r.u32()?)));
    SET_NW_TOS11   "OFPAT_SET_NW_TOS"    V11, 7, 8 fixed,       |r, _| set_nw_tos(r.u8()?);
    SET_NW_ECN11   "OFPAT_SET_NW_ECN"    V11, 8, 8 fixed,       |r, _| set_nw_ecn(r.u8()?);
    SET_TP_SRC11   "OFPAT_SET_TP_SRC"    V11, 9, 8 fixed,       |r, _| Ok(Action::SetL4Src(r.u16()?));
    SET_TP_DST11   "OFPAT_SET_TP_DST"    V11, 10, 8 fixed,      |r, _| Ok(Action::SetL4Dst(r.u16()?));
    COPY_TTL_OUT   "OFPAT_COPY_TTL_OUT"  V11_UP, 11, 8 fixed,   |_, _| Ok(Action::CopyTtlOut);
    COPY_TTL_IN    "OFPAT_COPY_TTL_IN"   V11_UP, 12, 8 fixed,   |_, _| Ok(Action::CopyTtlIn);
    SET_MPLS_LABEL "OFPAT_SET_MPLS_LABEL" V11, 13, 8 fixed,     |r, _| header::set_mpls_label(r.u32()?);
    SET_MPLS_TC    "OFPAT_SET_MPLS_TC"   V11, 14, 8 fixed,      |r, _| header::set_mpls_tc(r.u8()?);
    SET_MPLS_TTL   "OFPAT_SET_MPLS_TTL"  V11_UP, 15, 8 fixed,   |r, _| Ok(Action::SetMplsTtl(r.u8()?));
    DEC_MPLS_TTL   "OFPAT_DEC_MPLS_TTL"  V11_UP, 16, 8 fixed,   |_, _| Ok(Action::DecMplsTtl);
    PUSH_VLAN      "OFPAT_PUSH_VLAN"     V11_UP, 17, 8 fixed,   |r, _| push_vlan(r.u16()?);
    POP_VLAN       "OFPAT_POP_VLAN"      V11_UP, 18, 8 fixed,   |_, _| Ok(Action::StripVlan);
    PUSH_MPLS      "OFPAT_PUSH_MPLS"     V11_UP, 19, 8 fixed,   |r, _| header::push_mpls(r.u16()?);
    POP_MPLS       "OFPAT_POP_MPLS"      V11_UP, 20, 8 fixed,   |r, _| Ok(Action::PopMpls(r.u16()?));
    SET_QUEUE      "OFPAT_SET_QUEUE"     V11_UP, 21, 8 fixed,   |r, _| Ok(Action::SetQueue(r.u32()?));
    GROUP          "OFPAT_GROUP"         V11_UP, 22, 8 fixed,   |r, _| Ok(Action::Group(GroupId(r.u32()?)));
    SET_NW_TTL     "OFPAT_SET_NW_TTL"    V11_UP, 23, 8 fixed,   |r, _| Ok(Action::SetIpTtl(r.u8()?));
    DEC_NW_TTL     "OFPAT_DEC_NW_TTL"    V11_UP, 24, 8 fixed,   |_, _| Ok(Action::DecTtl(Vec::new()));
    SET_FIELD      "OFPAT_SET_FIELD"     V12_UP, 25, 8 longer,  standard_set_field;
    PUSH_PBB       "OFPAT_PUSH_PBB"      V13_UP, 26, 8 fixed,   |r, _| header::push_pbb(r.u16()?);
    POP_PBB        "OFPAT_POP_PBB"       V13_UP, 27, 8 fixed,   |_, _| Ok(Action::PopPbb);
    COPY_FIELD15   "OFPAT_COPY_FIELD"    V15, 28, 24 longer,    |r, _| copy_field(r, true);
    METER15        "OFPAT_METER"         V15, 29, 8 fixed,      |r, _| Ok(Action::Meter(MeterId(r.u32()?)));

    RESUBMIT       "NXAST_RESUBMIT"      NX, 1, 16 fixed,       |r, _| resubmit(r.u16()?, TableId::ALL);
    SET_TUNNEL     "NXAST_SET_TUNNEL"    NX, 2, 16 fixed,       set_tunnel;
    NX_SET_QUEUE   "NXAST_SET_QUEUE"     NX, 4, 16 fixed,       |r, _| { r.skip(2)?; Ok(Action::SetQueue(r.u32()?)) };
    POP_QUEUE      "NXAST_POP_QUEUE"     NX, 5, 16 fixed,       |_, _| Ok(Action::PopQueue);
    REG_MOVE       "NXAST_REG_MOVE"      NX, 6, 24 longer,      |r, _| copy_field(r, false);
    REG_LOAD       "NXAST_REG_LOAD"      NX, 7, 24 fixed,       reg_load;
    NOTE           "NXAST_NOTE"          NX, 8, 16 longer,      |r, _| Ok(Action::Note(r.rest().to_vec()));
    SET_TUNNEL64   "NXAST_SET_TUNNEL64"  NX, 9, 24 fixed,       set_tunnel64;
    MULTIPATH      "NXAST_MULTIPATH"     NX, 10, 32 fixed,      spread::multipath;
    BUNDLE         "NXAST_BUNDLE"        NX, 12, 32 longer,     spread::bundle;
    BUNDLE_LOAD    "NXAST_BUNDLE_LOAD"   NX, 13, 32 longer,     spread::bundle_load;
    RESUBMIT_TABLE "NXAST_RESUBMIT_TABLE" NX, 14, 16 fixed,     |r, _| resubmit(r.u16()?, TableId(r.u8()?));
    OUTPUT_REG     "NXAST_OUTPUT_REG"    NX, 15, 24 fixed,      output_reg;
    LEARN          "NXAST_LEARN"         NX, 16, 32 longer,     learn::learn;
    EXIT           "NXAST_EXIT"          NX, 17, 16 fixed,      |_, _| Ok(Action::Exit);
    NX_DEC_TTL     "NXAST_DEC_TTL"       NX, 18, 16 fixed,      |_, _| Ok(Action::DecTtl(Vec::new()));
    FIN_TIMEOUT    "NXAST_FIN_TIMEOUT"   NX, 19, 16 fixed,      learn::fin_timeout;
    CONTROLLER     "NXAST_CONTROLLER"    NX, 20, 16 fixed,      controller;
    DEC_TTL_CNT_IDS "NXAST_DEC_TTL_CNT_IDS" NX, 21, 16 longer,  dec_ttl_cnt_ids;
    WRITE_METADATA "NXAST_WRITE_METADATA" NX, 22, 32 fixed,     write_metadata;
    NX_PUSH_MPLS   "NXAST_PUSH_MPLS"     NX, 23, 16 fixed,      |r, _| header::push_mpls(r.u16()?);
    NX_POP_MPLS    "NXAST_POP_MPLS"      NX, 24, 16 fixed,      |r, _| Ok(Action::PopMpls(r.u16()?));
    NX_SET_MPLS_TTL "NXAST_SET_MPLS_TTL" NX, 25, 16 fixed,      |r, _| Ok(Action::SetMplsTtl(r.u8()?));
    NX_DEC_MPLS_TTL "NXAST_DEC_MPLS_TTL" NX, 26, 16 fixed,      |_, _| Ok(Action::DecMplsTtl);
    STACK_PUSH     "NXAST_STACK_PUSH"    NX, 27, 24 fixed,      |r, _| Ok(Action::StackPush(stack(r)?));
    STACK_POP      "NXAST_STACK_POP"     NX, 28, 24 fixed,      |r, _| Ok(Action::StackPop(writable(stack(r)?)?));
    SAMPLE         "NXAST_SAMPLE"        NX, 29, 24 fixed,      spread::sample;
    NX_SET_MPLS_LABEL "NXAST_SET_MPLS_LABEL" NX, 30, 16 fixed,  |r, _| header::set_mpls_label(header::aligned_u32(r)?);
    NX_SET_MPLS_TC "NXAST_SET_MPLS_TC"   NX, 31, 16 fixed,      |r, _| header::set_mpls_tc(r.u8()?);
    OUTPUT_REG2    "NXAST_OUTPUT_REG2"   NX, 32, 24 fixed,      output_reg2;
    REG_LOAD2      "NXAST_REG_LOAD2"     NX, 33, 16 longer,     set_field;
    CONJUNCTION    "NXAST_CONJUNCTION"   NX, 34, 16 fixed,      learn::conjunction;
    CONTROLLER2    "NXAST_CONTROLLER2"   NX, 37, 16 longer,     controller2;
    SAMPLE2        "NXAST_SAMPLE2"       NX, 38, 32 fixed,      spread::sample3;
    OUTPUT_TRUNC   "NXAST_OUTPUT_TRUNC"  NX, 39, 16 fixed,      output_trunc;
    NX_GROUP       "NXAST_GROUP"         NX, 40, 16 fixed,      |r, _| { r.skip(2)?; Ok(Action::Group(GroupId(r.u32()?))) };
    SAMPLE3        "NXAST_SAMPLE3"       NX, 41, 32 fixed,      spread::sample3;
    CLONE          "NXAST_CLONE"         NX, 42, 16 longer,     clone;
    LEARN2         "NXAST_LEARN2"        NX, 45, 40 longer,     learn::learn2;
    ENCAP          "NXAST_ENCAP"         NX, 46, 16 longer,     header::encap;
    DECAP          "NXAST_DECAP"         NX, 47, 16 fixed,      header::decap;
    CHECK_PKT_LARGER "NXAST_CHECK_PKT_LARGER" NX, 49, 24 fixed, spread::check_pkt_larger;
    DELETE_FIELD   "NXAST_DELETE_FIELD"  NX, 50, 24 fixed,      spread::delete_field;
    SAMPLE4        "NXAST_SAMPLE4"       NX, 51, 40 fixed,      spread::sample4;
    COPY_FIELD     "ONFACT_COPY_FIELD"   Space::Experimenter(ONF), 3200, 24 longer, |r, _| { r.skip(2)?; copy_field(r, true) };

    FRAGMENT       "TSUNAGI_FRAGMENT"    OURS, 1, 16 fixed,     fragment;
    REASSEMBLE     "TSUNAGI_REASSEMBLE"  OURS, 2, 16 fixed,     reassemble;
    BPDU           "TSUNAGI_BPDU"        OURS, 3, 24 fixed,     bpdu;
}

/// The flag of `TSUNAGI_FRAGMENT` that splits packets with DF too.
pub(super) const IGNORE_DF: u16 = 1;

/// `mtu` 16, `flags` 16, zeros.
fn fragment(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let (mtu, flags) = (r.u16()?, r.u16()?);
    r.zeros(OfError::ActionArgument)?;
    if flags & !IGNORE_DF != 0 {
        return Err(OfError::ActionArgument);
    }
    Ok(Action::Fragment {
        mtu,
        ignore_df: flags & IGNORE_DF != 0,
    })
}

/// `table` 8, zeros.
fn reassemble(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let table = TableId(r.u8()?);
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::Reassemble(table))
}

/// `operation` 8, zero 8, `address` 48 (of operations 3 and 4, otherwise zero), zeros.
fn bpdu(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let (operation, zero, mac) = (r.u8()?, r.u8()?, r.mac()?);
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::Bpdu(match (operation, zero, mac) {
        (0, 0, MacAddr::ZERO) => Bpdu::Count,
        (1, 0, MacAddr::ZERO) => Bpdu::Forward,
        (2, 0, MacAddr::ZERO) => Bpdu::Drop,
        (3, 0, mac) => Bpdu::Tunnel(mac),
        (4, 0, mac) => Bpdu::Untunnel(mac),
        _ => return Err(OfError::ActionArgument),
    }))
}

/// Reads a list of actions that stands alone.
pub fn decode_list(bytes: &[u8], version: Version) -> Result<Vec<Action>, OfError> {
    get_actions(bytes, Context { version, depth: 0 })
}

/// Writes a list of actions that stands alone, with nothing known of the packets that reach it.
pub fn encode_list(actions: &[Action], version: Version) -> bytes::Bytes {
    let mut out = bytes::BytesMut::new();
    let context = super::put_action::Context::new(version, &crate::key::Match::default());
    super::put_action::put_actions(&mut out, actions, context);
    out.freeze()
}

/// Reads a list of actions.
pub(crate) fn get_actions(bytes: &[u8], context: Context) -> Result<Vec<Action>, OfError> {
    if context.depth > MAX_DEPTH {
        return Err(OfError::ActionTooMany);
    }
    Tlv::new(bytes, Layout::Aligned, OfError::ActionLength)
        .map(|element| {
            let element = element?;
            get_action(element.kind, element.body, context)
        })
        .collect()
}

/// The standard's action with this number.
fn standard(kind: u16, version: Version) -> Option<&'static Row> {
    ACTIONS.iter().find(|row| match row.space {
        Space::Standard(first, last) => (first..=last).contains(&version) && row.number == kind,
        Space::Experimenter(_) => false,
    })
}

fn get_action(kind: u16, body: &[u8], context: Context) -> Result<Action, OfError> {
    let mut r = Reader::new(body, OfError::ActionLength);
    let row = if kind == 0xffff {
        let experimenter = r.u32()?;
        if ![NICIRA, ONF, TSUNAGI].contains(&experimenter) {
            return Err(OfError::ActionVendor);
        }
        let subtype = r.u16()?;
        let here =
            |row: &&Row| row.space == Space::Experimenter(experimenter) && row.number == subtype;
        ACTIONS.iter().find(here).ok_or(OfError::ActionSubtype)?
    } else {
        // What only 1.1 has is read later, too, as Open vSwitch does; set-field is written.
        standard(kind, context.version)
            .or_else(|| standard(kind, context.version.min(Version::V11)))
            .ok_or(OfError::ActionType)?
    };
    let (size, least) = (body.len() + 4, usize::from(row.size));
    if size < least || size > least && !row.longer {
        return Err(OfError::ActionLength);
    }
    (row.decode)(&mut r, context)
}

fn output(port: PortNo, max_len: u16) -> Result<Action, OfError> {
    // It has no meaning for other ports than the controllers', and comes back as it was.
    Ok(Action::Output { port, max_len })
}

fn enqueue(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let port = PortNo::from_v10(r.u16()?);
    r.skip(6)?;
    Ok(Action::Enqueue {
        port,
        queue: r.u32()?,
    })
}

fn set_vlan_vid(vid: u16, push: bool) -> Result<Action, OfError> {
    if vid > 0xfff {
        return Err(OfError::ActionArgument);
    }
    Ok(Action::SetVlanVid { vid, push })
}

fn set_vlan_pcp(pcp: u8, push: bool) -> Result<Action, OfError> {
    if pcp > 7 {
        return Err(OfError::ActionArgument);
    }
    Ok(Action::SetVlanPcp { pcp, push })
}

fn set_nw_tos(tos: u8) -> Result<Action, OfError> {
    if tos & 3 != 0 {
        return Err(OfError::ActionArgument);
    }
    Ok(Action::SetIpTos(tos))
}

fn set_nw_ecn(ecn: u8) -> Result<Action, OfError> {
    if ecn > 3 {
        return Err(OfError::ActionArgument);
    }
    Ok(Action::SetIpEcn(ecn))
}

fn push_vlan(tpid: u16) -> Result<Action, OfError> {
    match tpid {
        0x8100 | 0x88a8 => Ok(Action::PushVlan(tpid)),
        _ => Err(OfError::ActionArgument),
    }
}

/// OFPAT_SET_FIELD, which takes a mask since 1.5.
fn standard_set_field(r: &mut Reader<'_>, context: Context) -> Result<Action, OfError> {
    let header = oxm::get_header(&mut r.clone());
    if context.version < Version::V15 && header.is_ok_and(|header| header.masked) {
        return Err(OfError::SetFieldMask);
    }
    set_field(r, context)
}

/// OFPAT_SET_FIELD and NXAST_REG_LOAD2: one entry, then zeros.
fn set_field(r: &mut Reader<'_>, context: Context) -> Result<Action, OfError> {
    let entry = oxm::get_entry(r).map_err(|error| match error {
        OfError::MatchField => OfError::SetFieldType,
        OfError::MatchLength => OfError::SetFieldLength,
        OfError::ActionLength => OfError::ActionLength,
        _ => OfError::SetFieldArgument,
    })?;
    r.zeros(OfError::SetFieldArgument)?;
    let oxm::Entry {
        field, value, mask, ..
    } = entry;
    let present = u128::from(crate::key::VLAN_PRESENT);
    // OpenFlow 1.5.1 section 5.12: "the OFPVID_PRESENT bit must be a 1-bit in oxm_value and in oxm_mask".
    let untagged = field == Field::VlanVid && value & mask & present == 0;
    let standard_in_port = field == Field::InPortOxm && context.version != Version::V10;
    if !field.row().writable || untagged || standard_in_port {
        return Err(OfError::SetFieldArgument);
    }
    Ok(Action::SetField { field, value, mask })
}

fn resubmit(port: u16, table: TableId) -> Result<Action, OfError> {
    let port = PortNo::from_v10(port);
    Ok(Action::Resubmit {
        in_port: (port != PortNo::IN_PORT).then_some(port),
        table: (table != TableId::ALL).then_some(table),
    })
}

fn set_tunnel(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    r.skip(2)?;
    Ok(Action::SetTunnel {
        id: u64::from(r.u32()?),
        wide: false,
    })
}

fn set_tunnel64(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    r.skip(6)?;
    Ok(Action::SetTunnel {
        id: r.u64()?,
        wide: true,
    })
}

/// The field whose header comes next, without a mask.
pub(super) fn whole_field(r: &mut Reader<'_>) -> Result<Field, OfError> {
    let header = oxm::get_header(r).map_err(|error| match error {
        OfError::MatchLength => OfError::MatchField,
        error => error,
    })?;
    header
        .field
        .filter(|_| !header.masked)
        .ok_or(OfError::MatchField)
}

/// Bits `start..start + width` of the field whose header comes next.
pub(super) fn subfield(r: &mut Reader<'_>, start: u16, width: u16) -> Result<Subfield, OfError> {
    let field = whole_field(r)?;
    let bits = u16::from(Subfield::whole(field).width);
    if width == 0 || start.checked_add(width).is_none_or(|end| end > bits) {
        return Err(OfError::SetFieldLength);
    }
    Ok(Subfield {
        field,
        start: start as u8,
        width: width as u8,
    })
}

/// `ofs_nbits`: 10 bits of offset, 6 bits of width less one.
pub(super) fn packed_subfield(r: &mut Reader<'_>, packed: u16) -> Result<Subfield, OfError> {
    subfield(r, packed >> 6, (packed & 0x3f) + 1)
}

pub(super) fn writable(subfield: Subfield) -> Result<Subfield, OfError> {
    if subfield.field.row().writable {
        Ok(subfield)
    } else {
        Err(OfError::SetFieldArgument)
    }
}

fn copy_field(r: &mut Reader<'_>, gap: bool) -> Result<Action, OfError> {
    let (width, from, to) = (r.u16()?, r.u16()?, r.u16()?);
    if gap {
        r.skip(2)?;
    }
    let source = subfield(r, from, width)?;
    let destination = writable(subfield(r, to, width)?)?;
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::Move {
        source,
        destination,
    })
}

fn reg_load(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let packed = r.u16()?;
    let destination = packed_subfield(r, packed).map_err(|error| match error {
        OfError::MatchField => OfError::SetFieldType,
        error => error,
    });
    let destination = writable(destination?)?;
    let value = u128::from(r.u64()?);
    if value >> destination.width != 0 {
        return Err(OfError::ActionArgument);
    }
    Ok(Action::Load { value, destination })
}

fn output_reg(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let packed = r.u16()?;
    let source = packed_subfield(r, packed)?;
    let max_len = r.u16()?;
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::OutputReg { source, max_len })
}

fn output_reg2(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let (packed, max_len) = (r.u16()?, r.u16()?);
    let source = packed_subfield(r, packed)?;
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::OutputReg { source, max_len })
}

fn stack(r: &mut Reader<'_>) -> Result<Subfield, OfError> {
    let start = r.u16()?;
    // The width stands behind the header, so look there first.
    let mut ahead = *r;
    whole_field(&mut ahead)?;
    let width = ahead.u16()?;
    ahead.zeros(OfError::ActionArgument)?;
    subfield(r, start, width)
}

pub(super) fn packet_in_reason(reason: u8) -> Option<PacketInReason> {
    use PacketInReason as P;
    [
        P::NoMatch,
        P::Action,
        P::InvalidTtl,
        P::ActionSet,
        P::Group,
        P::PacketOut,
    ]
    .get(usize::from(reason))
    .copied()
}

fn controller(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let (max_len, id) = (r.u16()?, r.u16()?);
    let reason = packet_in_reason(r.u8()?).ok_or(OfError::ActionArgument)?;
    Ok(Action::Controller(Box::new(Controller {
        max_len,
        id,
        reason,
        ..Controller::default()
    })))
}

/// Properties of NXAST_CONTROLLER2.
pub(super) mod controller_property {
    pub(crate) const MAX_LEN: u16 = 0;
    pub(crate) const CONTROLLER_ID: u16 = 1;
    pub(crate) const REASON: u16 = 2;
    pub(crate) const USERDATA: u16 = 3;
    pub(crate) const PAUSE: u16 = 4;
    pub(crate) const METER_ID: u16 = 5;
}

fn controller2(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    use controller_property as property;
    r.skip(6)?;
    let mut c = Controller {
        max_len: u16::MAX,
        ..Controller::default()
    };
    for element in Tlv::new(r.rest(), Layout::Padded, OfError::ActionLength) {
        let element = element?;
        let mut r = Reader::new(element.body, OfError::ActionLength);
        match element.kind {
            property::MAX_LEN => c.max_len = r.u16()?,
            property::CONTROLLER_ID => c.id = r.u16()?,
            property::REASON => {
                c.reason = packet_in_reason(r.u8()?).ok_or(OfError::ActionArgument)?;
            }
            property::USERDATA => c.userdata = r.rest().to_vec(),
            property::PAUSE => c.pause = true,
            property::METER_ID => c.meter = Some(MeterId(r.u32()?)).filter(|id| *id != MeterId(0)),
            _ => return Err(OfError::ActionArgument),
        }
    }
    Ok(Action::Controller(Box::new(c)))
}

fn dec_ttl_cnt_ids(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let len = r.u16()?;
    r.skip(4)?;
    let ids: Result<Vec<u16>, _> = (0..len).map(|_| r.u16()).collect();
    r.zeros(OfError::ActionArgument)?;
    let ids = ids?;
    if ids.is_empty() {
        Err(OfError::ActionLength)
    } else {
        Ok(Action::DecTtl(ids))
    }
}

fn write_metadata(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    r.skip(6)?;
    Ok(Action::WriteMetadata {
        value: r.u64()?,
        mask: r.u64()?,
    })
}

fn output_trunc(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let port = PortNo::from_v10(r.u16()?);
    let max_len = r.u32()?;
    // An Ethernet header has to be left.
    if max_len < 14 {
        return Err(OfError::ActionArgument);
    }
    Ok(Action::OutputTrunc { port, max_len })
}

fn clone(r: &mut Reader<'_>, context: Context) -> Result<Action, OfError> {
    r.skip(6)?;
    let context = Context {
        depth: context.depth + 1,
        ..context
    };
    Ok(Action::Clone(get_actions(r.rest(), context)?))
}
