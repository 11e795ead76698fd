//! Writing actions and instructions: from the value to the wire form that the version has, or to
//! what Open vSwitch writes in its place. Never fails: what a version cannot say at all is left out
//! (ask [`usable`](crate::usable) first).

use super::action as row;
use super::action::{Row, Space, controller_property};
use super::cursor::{Layout, put_property, put_tlv};
use super::instruction::put_stat_trigger;
use super::oxm::{self, Flavor};
use super::{header, learn, spread};
use crate::action::{Action, Bpdu, Controller, PacketInReason};
use crate::field::{Field, Prereq, Subfield};
use crate::key::{Match, VLAN_PRESENT};
use crate::types::{PortNo, TableId, Version};
use bytes::{BufMut, BytesMut};
use packet::MacAddr;

/// What writing a list needs to know about the packets that reach it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    version: Version,
    /// There is a VLAN tag at this point of the list.
    tagged: bool,
    /// Transport ports by protocol: TCP unless the match says UDP or SCTP.
    ports: (Field, Field),
}

impl Context {
    pub(crate) fn new(version: Version, matching: &Match) -> Context {
        let ports = if Prereq::Udp.holds(matching) {
            (Field::UdpSrc, Field::UdpDst)
        } else if Prereq::Sctp.holds(matching) {
            (Field::SctpSrc, Field::SctpDst)
        } else {
            (Field::TcpSrc, Field::TcpDst)
        };
        Context {
            version,
            tagged: Prereq::Vlan.holds(matching),
            ports,
        }
    }
}

/// Writes one action of a row; `body` writes what follows the type and length (or subtype).
pub(super) fn put(out: &mut BytesMut, row: &Row, body: impl FnOnce(&mut BytesMut)) {
    let kind = match row.space {
        Space::Standard(..) => row.number,
        Space::Experimenter(_) => 0xffff,
    };
    put_tlv(out, Layout::Aligned, kind, |out| {
        if let Space::Experimenter(id) = row.space {
            out.put_u32(id);
            out.put_u16(row.number);
        }
        body(out);
    });
}

/// Writes a list of actions. Instructions in it are written by [`put_instructions`], or by their
/// Nicira action in OpenFlow 1.0.
pub(crate) fn put_actions(out: &mut BytesMut, actions: &[Action], mut context: Context) {
    for action in actions {
        put_action(out, action, &mut context);
    }
}

fn put_action(out: &mut BytesMut, action: &Action, c: &mut Context) {
    let v10 = c.version == Version::V10;
    match action {
        Action::Output { port, max_len } => put_output(out, *port, *max_len, c),
        Action::Enqueue { port, queue } => put_enqueue(out, *port, *queue, c),
        Action::OutputReg { source, max_len } => put_output_reg(out, *source, *max_len),
        Action::OutputTrunc { port, max_len } => put(out, &row::OUTPUT_TRUNC, |o| {
            o.put_u16(port.to_v10().unwrap_or(0xffff));
            o.put_u32(*max_len);
        }),
        Action::Controller(controller) => put_controller(out, controller),
        Action::Group(id) => put_u32(out, c, &row::NX_GROUP, &row::GROUP, id.0),
        Action::SetVlanVid { .. }
        | Action::SetVlanPcp { .. }
        | Action::StripVlan
        | Action::PushVlan(_) => put_vlan(out, action, c),
        Action::SetEthSrc(_)
        | Action::SetEthDst(_)
        | Action::SetIpv4Src(_)
        | Action::SetIpv4Dst(_)
        | Action::SetIpTos(_)
        | Action::SetIpEcn(_)
        | Action::SetIpTtl(_)
        | Action::SetL4Src(_)
        | Action::SetL4Dst(_) => put_header_field(out, action, c),
        Action::SetField { field, value, mask } => put_set_field(out, *field, *value, *mask, c),
        // OpenFlow 1.5's set-field takes a mask.
        Action::Load { value, destination } if c.version >= Version::V15 => put_set_field(
            out,
            destination.field,
            value << destination.start,
            destination.mask(),
            c,
        ),
        Action::Load { value, destination } => put_loads(out, *destination, *value),
        Action::Move {
            source,
            destination,
        } => put_move(out, *source, *destination, c),
        Action::StackPush(subfield) => put_stack(out, &row::STACK_PUSH, *subfield),
        Action::StackPop(subfield) => put_stack(out, &row::STACK_POP, *subfield),
        Action::DecTtl(ids) => put_dec_ttl(out, ids, c),
        Action::SetTunnel { id, wide } => put_set_tunnel(out, *id, *wide, c),
        Action::SetQueue(queue) => put_u32(out, c, &row::NX_SET_QUEUE, &row::SET_QUEUE, *queue),
        Action::PopQueue => put(out, &row::POP_QUEUE, |o| o.put_bytes(0, 6)),
        Action::Resubmit { in_port, table } => put_resubmit(out, *in_port, *table),
        Action::Exit => put(out, &row::EXIT, |o| o.put_bytes(0, 6)),
        Action::Note(note) => put(out, &row::NOTE, |o| {
            o.put_slice(note);
            o.put_bytes(0, 6_usize.saturating_sub(note.len()));
        }),
        Action::Clone(list) => put(out, &row::CLONE, |o| {
            o.put_bytes(0, 6);
            put_actions(o, list, *c);
        }),
        Action::Fragment { mtu, ignore_df } => put(out, &row::FRAGMENT, |o| {
            o.put_u16(*mtu);
            o.put_u16(if *ignore_df { row::IGNORE_DF } else { 0 });
            o.put_bytes(0, 2);
        }),
        Action::Reassemble(table) => put(out, &row::REASSEMBLE, |o| {
            o.put_u8(table.0);
            o.put_bytes(0, 5);
        }),
        Action::Bpdu(bpdu) => put_bpdu(out, *bpdu),
        Action::WriteMetadata { value, mask } if v10 => put(out, &row::WRITE_METADATA, |o| {
            o.put_bytes(0, 6);
            o.put_u64(*value);
            o.put_u64(*mask);
        }),
        // OpenFlow 1.0 has no goto; a resubmit at the end of the list is the same.
        Action::GotoTable(table) if v10 => put_resubmit(out, None, Some(*table)),
        Action::Learn(l) => learn::put_learn(out, l),
        Action::Conjunction {
            id,
            clause,
            n_clauses,
        } => learn::put_conjunction(out, *id, *clause, *n_clauses),
        Action::FinTimeout {
            idle_secs,
            hard_secs,
        } => learn::put_fin_timeout(out, *idle_secs, *hard_secs),
        Action::Multipath(multipath) => spread::put_multipath(out, multipath),
        Action::Bundle(bundle) => spread::put_bundle(out, bundle),
        Action::CheckPktLarger { size, destination } => {
            spread::put_check_pkt_larger(out, *size, *destination);
        }
        Action::Sample(sample) => spread::put_sample(out, sample),
        Action::DeleteField(field) => spread::put_delete_field(out, *field),
        Action::PushMpls(_)
        | Action::PopMpls(_)
        | Action::SetMplsLabel(_)
        | Action::SetMplsTc(_)
        | Action::SetMplsTtl(_)
        | Action::DecMplsTtl
        | Action::CopyTtlOut
        | Action::CopyTtlIn
        | Action::PushPbb(_)
        | Action::PopPbb
        | Action::Encap(_)
        | Action::Decap(_) => header::put_header(out, action, c.version),
        Action::Meter(id) if c.version >= Version::V15 => {
            put(out, &row::METER15, |o| o.put_u32(id.0));
        }
        Action::Meter(_)
        | Action::ClearActions
        | Action::WriteActions(_)
        | Action::WriteMetadata { .. }
        | Action::StatTrigger(_)
        | Action::GotoTable(_) => {}
    }
}

fn put_move(out: &mut BytesMut, source: Subfield, destination: Subfield, c: &Context) {
    let width = wire_width(source).min(wire_width(destination));
    let v15 = c.version >= Version::V15;
    let row = if v15 {
        &row::COPY_FIELD15
    } else {
        &row::REG_MOVE
    };
    put(out, row, |o| {
        o.put_u16(width);
        o.put_u16(u16::from(source.start));
        o.put_u16(u16::from(destination.start));
        if v15 {
            o.put_u16(0);
        }
        for field in [source.field, destination.field] {
            let flavor = if v15 {
                Flavor::Oxm(Version::V15)
            } else {
                Flavor::Nxm
            };
            oxm::put_field(o, field, flavor);
        }
    });
}

fn put_bpdu(out: &mut BytesMut, bpdu: Bpdu) {
    let (operation, mac) = match bpdu {
        Bpdu::Count => (0, MacAddr::ZERO),
        Bpdu::Forward => (1, MacAddr::ZERO),
        Bpdu::Drop => (2, MacAddr::ZERO),
        Bpdu::Tunnel(mac) => (3, mac),
        Bpdu::Untunnel(mac) => (4, mac),
    };
    put(out, &row::BPDU, |o| {
        o.put_u8(operation);
        o.put_u8(0);
        o.put_slice(&mac.0);
        o.put_bytes(0, 6);
    });
}

/// A number that OpenFlow 1.0 has in a Nicira action, later versions in their own.
fn put_u32(out: &mut BytesMut, c: &Context, nicira: &Row, standard: &Row, number: u32) {
    if c.version == Version::V10 {
        put(out, nicira, |o| {
            o.put_u16(0);
            o.put_u32(number);
        });
    } else {
        put(out, standard, |o| o.put_u32(number));
    }
}

fn put_output(out: &mut BytesMut, port: PortNo, max_len: u16, c: &Context) {
    if c.version == Version::V10 {
        put(out, &row::OUTPUT10, |o| {
            o.put_u16(port.to_v10().unwrap_or(0xffff));
            o.put_u16(max_len);
        });
    } else {
        put(out, &row::OUTPUT, |o| {
            o.put_u32(port.0);
            o.put_u16(max_len);
            o.put_bytes(0, 6);
        });
    }
}

fn put_enqueue(out: &mut BytesMut, port: PortNo, queue: u32, c: &Context) {
    if c.version == Version::V10 {
        put(out, &row::ENQUEUE, |o| {
            o.put_u16(port.to_v10().unwrap_or(0xffff));
            o.put_bytes(0, 6);
            o.put_u32(queue);
        });
    } else {
        put(out, &row::SET_QUEUE, |o| o.put_u32(queue));
        put_output(out, port, u16::MAX, c);
        put(out, &row::POP_QUEUE, |o| o.put_bytes(0, 6));
    }
}

/// `ofs_nbits`.
pub(super) fn packed(subfield: Subfield) -> u16 {
    u16::from(subfield.start) << 6 | (wire_width(subfield) - 1) & 0x3f
}

/// Bits of a subfield on the wire, where some fields are narrower than in the key.
fn wire_width(subfield: Subfield) -> u16 {
    let bits = Subfield::whole(subfield.field).width;
    u16::from(
        bits.saturating_sub(subfield.start)
            .min(subfield.width)
            .max(1),
    )
}

/// Writes the header of a field for Nicira's actions; fields without an id cannot be reached here
/// by anything that was decoded.
pub(super) fn put_field(out: &mut BytesMut, field: Field) {
    match oxm::id(field, Flavor::Nxm) {
        Some(_) => oxm::put_field(out, field, Flavor::Nxm),
        None => out.put_u32(0),
    }
}

/// Whether a field's header has an experimenter's id.
pub(crate) fn is_experimenter(field: Field) -> bool {
    oxm::id(field, Flavor::Nxm).is_some_and(|id| id.class == 0xffff)
}

/// NXAST_REG_LOAD has room for a short header, of a field whose size is known.
fn needs_load2(field: Field) -> bool {
    is_experimenter(field) || field.is_tun_metadata()
}

fn put_output_reg(out: &mut BytesMut, source: Subfield, max_len: u16) {
    if is_experimenter(source.field) {
        put(out, &row::OUTPUT_REG2, |o| {
            o.put_u16(packed(source));
            o.put_u16(max_len);
            put_field(o, source.field);
            o.put_bytes(0, 2);
        });
    } else {
        put(out, &row::OUTPUT_REG, |o| {
            o.put_u16(packed(source));
            put_field(o, source.field);
            o.put_u16(max_len);
            o.put_bytes(0, 6);
        });
    }
}

fn put_stack(out: &mut BytesMut, row: &Row, subfield: Subfield) {
    put(out, row, |o| {
        o.put_u16(u16::from(subfield.start));
        put_field(o, subfield.field);
        o.put_u16(wire_width(subfield));
        o.put_bytes(
            0,
            if is_experimenter(subfield.field) {
                2
            } else {
                6
            },
        );
    });
}

fn put_controller(out: &mut BytesMut, c: &Controller) {
    use controller_property as property;
    if c.userdata.is_empty() && !c.pause && c.meter.is_none() {
        put(out, &row::CONTROLLER, |o| {
            o.put_u16(c.max_len);
            o.put_u16(c.id);
            o.put_u8(c.reason as u8);
            o.put_u8(0);
        });
        return;
    }
    put(out, &row::CONTROLLER2, |o| {
        o.put_bytes(0, 6);
        if c.max_len != u16::MAX {
            put_property(o, property::MAX_LEN, &c.max_len.to_be_bytes());
        }
        if c.id != 0 {
            put_property(o, property::CONTROLLER_ID, &c.id.to_be_bytes());
        }
        if c.reason != PacketInReason::Action {
            put_property(o, property::REASON, &[c.reason as u8]);
        }
        if !c.userdata.is_empty() {
            put_tlv(o, Layout::Padded, property::USERDATA, |o| {
                o.put_slice(&c.userdata)
            });
        }
        if c.pause {
            put_property(o, property::PAUSE, &[]);
        }
        if let Some(meter) = c.meter {
            put_property(o, property::METER_ID, &meter.0.to_be_bytes());
        }
    });
}

fn put_vlan(out: &mut BytesMut, action: &Action, c: &mut Context) {
    let set = match action {
        Action::SetVlanVid { vid, push } => Some((*vid, None, *push)),
        Action::SetVlanPcp { pcp, push } => Some((0, Some(*pcp), *push)),
        _ => None,
    };
    if let Some((vid, pcp, push)) = set {
        if push && !c.tagged && c.version != Version::V10 {
            put(out, &row::PUSH_VLAN, |o| o.put_u16(0x8100));
        }
        c.tagged |= push;
        let vlan_vid = |o: &mut BytesMut| o.put_u16(vid);
        match (c.version, pcp) {
            (Version::V10, None) => put(out, &row::SET_VLAN_VID10, vlan_vid),
            (Version::V11, None) => put(out, &row::SET_VLAN_VID11, vlan_vid),
            (_, None) => put_oxm(
                out,
                Field::VlanVid,
                u128::from(vid | VLAN_PRESENT),
                c.version,
            ),
            (Version::V10, Some(pcp)) => put(out, &row::SET_VLAN_PCP10, |o| o.put_u8(pcp)),
            (Version::V11, Some(pcp)) => put(out, &row::SET_VLAN_PCP11, |o| o.put_u8(pcp)),
            (_, Some(pcp)) => put_oxm(out, Field::VlanPcp, u128::from(pcp), c.version),
        }
        return;
    }
    c.tagged = matches!(action, Action::PushVlan(_));
    match (action, c.version) {
        // OpenFlow 1.0 pushes where it sets.
        (Action::PushVlan(_), Version::V10) => {}
        (Action::PushVlan(tpid), _) => put(out, &row::PUSH_VLAN, |o| o.put_u16(*tpid)),
        (_, Version::V10) => put(out, &row::STRIP_VLAN, |o| o.put_u32(0)),
        _ => put(out, &row::POP_VLAN, |o| o.put_u32(0)),
    }
}

/// OFPAT_SET_FIELD of a whole field. A VLAN id that is set is present.
pub(super) fn put_oxm(out: &mut BytesMut, field: Field, value: u128, version: Version) {
    let present = if field == Field::VlanVid {
        VLAN_PRESENT
    } else {
        0
    };
    let value = value | u128::from(present);
    put(out, &row::SET_FIELD, |o| {
        let flavor = Flavor::Oxm(version);
        oxm::put_entry(o, field, value, field.full_mask(), flavor);
    });
}

/// OFPAT_SET_FIELD of the ingress port, which the standard forbids under its own number.
fn put_in_port(out: &mut BytesMut, value: u128, mask: u128) {
    // A number of 16 bits is as it is on the wire.
    let value = match value >> 16 {
        0 => value as u16,
        _ => oxm::to_wire(Field::InPort, value) as u16,
    };
    let masked = mask & 0xffff != 0xffff;
    put(out, &row::SET_FIELD, |o| {
        if let Some(id) = oxm::id(Field::InPort, Flavor::Nxm) {
            oxm::put_header(o, id, masked);
        }
        o.put_u16(value & mask as u16);
        if masked {
            o.put_u16(mask as u16);
        }
    });
}

/// OFPAT_SET_FIELD of some bits, which OpenFlow 1.5 can say.
fn put_masked(out: &mut BytesMut, field: Field, value: u128, mask: u128) {
    // OpenFlow 1.5.1 section 5.12: "the OFPVID_PRESENT bit must be a 1-bit in oxm_value and in oxm_mask".
    let present = match field {
        Field::VlanVid => u128::from(VLAN_PRESENT),
        _ => 0,
    };
    let (value, mask) = (value | present, mask | present);
    put(out, &row::SET_FIELD, |o| {
        oxm::put_entry(o, field, value, mask, Flavor::Oxm(Version::V15));
    });
}

/// The `mod_...` actions: their own in 1.0 and 1.1, set-field later.
fn put_header_field(out: &mut BytesMut, action: &Action, c: &Context) {
    let v10 = c.version == Version::V10;
    // Row in 1.0, row in 1.1, the bytes; field and value in 1.2 and later.
    let (old, new, value, bytes) = match action {
        Action::SetEthSrc(mac) => (
            Some((&row::SET_DL_SRC10, &row::SET_DL_SRC11)),
            Field::EthSrc,
            u128::from(mac.to_u64()),
            mac.0.to_vec(),
        ),
        Action::SetEthDst(mac) => (
            Some((&row::SET_DL_DST10, &row::SET_DL_DST11)),
            Field::EthDst,
            u128::from(mac.to_u64()),
            mac.0.to_vec(),
        ),
        Action::SetIpv4Src(ip) => (
            Some((&row::SET_NW_SRC10, &row::SET_NW_SRC11)),
            Field::IpSrc,
            u128::from(u32::from(*ip)),
            ip.octets().to_vec(),
        ),
        Action::SetIpv4Dst(ip) => (
            Some((&row::SET_NW_DST10, &row::SET_NW_DST11)),
            Field::IpDst,
            u128::from(u32::from(*ip)),
            ip.octets().to_vec(),
        ),
        Action::SetIpTos(tos) => (
            Some((&row::SET_NW_TOS10, &row::SET_NW_TOS11)),
            Field::IpDscp,
            u128::from(*tos >> 2),
            vec![*tos],
        ),
        Action::SetL4Src(port) => (
            Some((&row::SET_TP_SRC10, &row::SET_TP_SRC11)),
            c.ports.0,
            u128::from(*port),
            port.to_be_bytes().to_vec(),
        ),
        Action::SetL4Dst(port) => (
            Some((&row::SET_TP_DST10, &row::SET_TP_DST11)),
            c.ports.1,
            u128::from(*port),
            port.to_be_bytes().to_vec(),
        ),
        Action::SetIpEcn(ecn) => (None, Field::IpEcn, u128::from(*ecn), vec![*ecn]),
        Action::SetIpTtl(ttl) => {
            if v10 {
                put_loads(out, Subfield::whole(Field::IpTtl), u128::from(*ttl));
            } else {
                put(out, &row::SET_NW_TTL, |o| o.put_u8(*ttl));
            }
            return;
        }
        _ => return,
    };
    match (c.version, old) {
        (Version::V10, Some((row, _))) | (Version::V11, Some((_, row))) => {
            put(out, row, |o| o.put_slice(&bytes));
        }
        (Version::V10, None) => put_loads(out, Subfield::whole(new), value),
        (Version::V11, None) => put(out, &row::SET_NW_ECN11, |o| o.put_slice(&bytes)),
        _ => put_oxm(out, new, value, c.version),
    }
}

/// The OpenFlow 1.0 action that sets a whole field, if there is one.
fn legacy(field: Field, value: u128) -> Option<[Option<Action>; 2]> {
    let mac = packet::MacAddr::from_u64(value as u64);
    let ip = std::net::Ipv4Addr::from(value as u32);
    let vid = Action::SetVlanVid {
        vid: value as u16 & 0xfff,
        push: true,
    };
    let pcp = |pcp: u128| Action::SetVlanPcp {
        pcp: pcp as u8 & 7,
        push: true,
    };
    let tagged = value & u128::from(VLAN_PRESENT) != 0;
    Some(match field {
        Field::VlanTci if tagged => [Some(vid), Some(pcp(value >> 13))],
        Field::VlanTci => [Some(Action::StripVlan), None],
        Field::VlanVid => [Some(vid), None],
        Field::VlanPcp => [Some(pcp(value)), None],
        Field::EthSrc => [Some(Action::SetEthSrc(mac)), None],
        Field::EthDst => [Some(Action::SetEthDst(mac)), None],
        Field::IpSrc => [Some(Action::SetIpv4Src(ip)), None],
        Field::IpDst => [Some(Action::SetIpv4Dst(ip)), None],
        Field::IpTos => [Some(Action::SetIpTos(value as u8 & 0xfc)), None],
        Field::IpDscp => [Some(Action::SetIpTos((value as u8) << 2)), None],
        Field::TcpSrc | Field::UdpSrc => [Some(Action::SetL4Src(value as u16)), None],
        Field::TcpDst | Field::UdpDst => [Some(Action::SetL4Dst(value as u16)), None],
        _ => return None,
    })
}

fn put_set_field(out: &mut BytesMut, field: Field, value: u128, mask: u128, c: &mut Context) {
    let full = field.full_mask();
    let whole = mask & full == full;
    if c.version >= Version::V15 && matches!(field, Field::InPort | Field::InPortOxm) {
        return put_in_port(out, value, mask);
    }
    // The standard's set-field may not set the ingress port.
    if whole && c.version >= Version::V12 && field != Field::InPortOxm {
        put_oxm(out, field, value, c.version);
    } else if c.version >= Version::V15 && field != Field::InPortOxm {
        put_masked(out, field, value, mask);
    } else if whole && let Some(actions) = legacy(field, value) {
        for action in actions.iter().flatten() {
            put_action(out, action, c);
        }
    } else if needs_load2(field) {
        put(out, &row::REG_LOAD2, |o| {
            oxm::put_entry(o, field, value, mask, Flavor::Nxm)
        });
    } else {
        if whole && field == Field::ArpOp {
            return put_loads(out, Subfield::whole(field), value);
        }
        // One load for each run of bits.
        let mut rest = mask & full;
        if field == Field::VlanVid {
            rest &= !u128::from(VLAN_PRESENT);
        }
        while rest != 0 {
            let start = rest.trailing_zeros();
            let width = (rest >> start).trailing_ones();
            let run = Subfield {
                field,
                start: start as u8,
                width: width as u8,
            };
            put_loads(out, run, (value & run.mask()) >> start);
            rest &= !run.mask();
        }
    }
}

/// NXAST_REG_LOAD, which takes 64 bits at most.
fn put_loads(out: &mut BytesMut, destination: Subfield, value: u128) {
    if needs_load2(destination.field) {
        let mask = destination.mask();
        put(out, &row::REG_LOAD2, |o| {
            oxm::put_entry(
                o,
                destination.field,
                value << destination.start,
                mask,
                Flavor::Nxm,
            );
        });
        return;
    }
    let (mut start, mut width, mut value) = (destination.start, destination.width, value);
    if destination.field == Field::InPort && value >> 16 != 0 {
        value = oxm::to_wire(Field::InPort, value);
    }
    loop {
        let part = Subfield {
            field: destination.field,
            start,
            width: width.min(64),
        };
        put(out, &row::REG_LOAD, |o| {
            o.put_u16(packed(part));
            put_field(o, part.field);
            o.put_u64((value & (part.mask() >> part.start)) as u64);
        });
        if width <= 64 {
            return;
        }
        (start, width, value) = (start + 64, width - 64, value >> 64);
    }
}

fn put_dec_ttl(out: &mut BytesMut, ids: &[u16], c: &Context) {
    // Controller 0 alone is what the plain action means.
    if !matches!(ids, [] | [0]) {
        put(out, &row::DEC_TTL_CNT_IDS, |o| {
            o.put_u16(ids.len() as u16);
            o.put_u32(0);
            ids.iter().for_each(|id| o.put_u16(*id));
        });
    } else if c.version == Version::V10 {
        put(out, &row::NX_DEC_TTL, |o| o.put_bytes(0, 6));
    } else {
        put(out, &row::DEC_NW_TTL, |o| o.put_u32(0));
    }
}

fn put_set_tunnel(out: &mut BytesMut, id: u64, wide: bool, c: &Context) {
    match u32::try_from(id) {
        _ if c.version >= Version::V12 => put_oxm(out, Field::TunId, u128::from(id), c.version),
        Ok(id) if !wide => put(out, &row::SET_TUNNEL, |o| {
            o.put_u16(0);
            o.put_u32(id);
        }),
        _ => put(out, &row::SET_TUNNEL64, |o| {
            o.put_bytes(0, 6);
            o.put_u64(id);
        }),
    }
}

fn put_resubmit(out: &mut BytesMut, in_port: Option<PortNo>, table: Option<TableId>) {
    let port = in_port
        .unwrap_or(PortNo::IN_PORT)
        .to_v10()
        .unwrap_or(0xffff);
    put(out, &row::RESUBMIT_TABLE, |o| {
        o.put_u16(port);
        o.put_u8(table.unwrap_or(TableId::ALL).0);
        o.put_bytes(0, 3);
    });
}

/// Instruction types (OpenFlow 1.3.5 section 7.2.4).
pub(super) mod instruction {
    pub(crate) const GOTO_TABLE: u16 = 1;
    pub(crate) const WRITE_METADATA: u16 = 2;
    pub(crate) const WRITE_ACTIONS: u16 = 3;
    pub(crate) const APPLY_ACTIONS: u16 = 4;
    pub(crate) const CLEAR_ACTIONS: u16 = 5;
    pub(crate) const METER: u16 = 6;
    /// Since 1.5.
    pub(crate) const STAT_TRIGGER: u16 = 7;
}

/// Writes a rule's list: actions in OpenFlow 1.0, instructions later.
pub(crate) fn put_rule(out: &mut BytesMut, actions: &[Action], context: Context) {
    if context.version == Version::V10 {
        put_actions(out, actions, context);
    } else {
        put_instructions(out, actions, context);
    }
}

fn put_instructions(out: &mut BytesMut, actions: &[Action], context: Context) {
    let mut apply = BytesMut::new();
    put_actions(&mut apply, actions, context);
    for action in actions {
        if let Action::Meter(id) = action
            && context.version < Version::V15
        {
            put_tlv(out, Layout::Aligned, instruction::METER, |o| {
                o.put_u32(id.0)
            });
        }
    }
    if !apply.is_empty() {
        put_tlv(out, Layout::Aligned, instruction::APPLY_ACTIONS, |o| {
            o.put_u32(0);
            o.put_slice(&apply);
        });
    }
    for action in actions {
        let layout = Layout::Aligned;
        match action {
            Action::ClearActions => {
                put_tlv(out, layout, instruction::CLEAR_ACTIONS, |o| o.put_u32(0));
            }
            Action::WriteActions(list) => put_tlv(out, layout, instruction::WRITE_ACTIONS, |o| {
                o.put_u32(0);
                put_actions(o, list, context);
            }),
            Action::WriteMetadata { value, mask } => {
                put_tlv(out, layout, instruction::WRITE_METADATA, |o| {
                    o.put_u32(0);
                    o.put_u64(*value);
                    o.put_u64(*mask);
                });
            }
            Action::StatTrigger(trigger) if context.version >= Version::V15 => {
                put_tlv(out, layout, instruction::STAT_TRIGGER, |o| {
                    put_stat_trigger(o, trigger);
                });
            }
            Action::GotoTable(table) => {
                put_tlv(out, layout, instruction::GOTO_TABLE, |o| o.put_u8(table.0));
            }
            _ => {}
        }
    }
}
