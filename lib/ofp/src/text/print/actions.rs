//! Actions as text, printed.

use super::Style;
use crate::action::{Action, Controller, PacketInReason, WHOLE_PACKET};
use crate::text::action::reason_name;
use crate::text::ports::print_port;
use crate::text::value::{print_subfield, print_value};
use crate::types::{PortNo, Version};
use std::fmt::Write;

/// Prints a list of actions; `drop` if it is empty.
pub fn print_actions(actions: &[Action], style: &Style<'_>) -> String {
    let mut out = String::new();
    list(&mut out, actions, style);
    out
}

fn list(out: &mut String, actions: &[Action], style: &Style<'_>) {
    if actions.is_empty() {
        out.push_str("drop");
    }
    for (index, action) in actions.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        print(out, action, style);
    }
}

fn print(out: &mut String, action: &Action, style: &Style<'_>) {
    let port = |out: &mut String, port: PortNo| print_port(out, port, style.port_names());
    let hex = |value: u128| {
        if value == 0 {
            "0".to_owned()
        } else {
            format!("{value:#x}")
        }
    };
    let _ = match action {
        Action::Output {
            port: PortNo::CONTROLLER,
            max_len,
        } => write!(out, "CONTROLLER:{max_len}"),
        Action::Output { port: to, .. } => {
            if to.0 < PortNo::MAX.0 {
                out.push_str("output:");
            }
            port(out, *to);
            Ok(())
        }
        Action::OutputReg { source, .. } => {
            out.push_str("output:");
            print_subfield(out, *source);
            Ok(())
        }
        Action::OutputTrunc { port: to, max_len } => {
            out.push_str("output(port=");
            port(out, *to);
            write!(out, ",max_len={max_len})")
        }
        Action::Enqueue { port: to, queue } => {
            out.push_str("enqueue:");
            port(out, *to);
            write!(out, ":{queue}")
        }
        Action::Controller(c) => controller(out, c),
        Action::Group(group) => write!(out, "group:{group}"),
        Action::SetVlanVid { vid, push } => {
            write!(out, "{}_vlan_vid:{vid}", if *push { "mod" } else { "set" })
        }
        Action::SetVlanPcp { pcp, push } => {
            write!(out, "{}_vlan_pcp:{pcp}", if *push { "mod" } else { "set" })
        }
        Action::StripVlan if style.version == Version::V10 => write!(out, "strip_vlan"),
        Action::StripVlan => write!(out, "pop_vlan"),
        Action::PushVlan(tpid) => write!(out, "push_vlan:{tpid:#06x}"),
        Action::SetEthSrc(mac) => write!(out, "mod_dl_src:{mac}"),
        Action::SetEthDst(mac) => write!(out, "mod_dl_dst:{mac}"),
        Action::SetIpv4Src(address) => write!(out, "mod_nw_src:{address}"),
        Action::SetIpv4Dst(address) => write!(out, "mod_nw_dst:{address}"),
        Action::SetIpTos(tos) => write!(out, "mod_nw_tos:{tos}"),
        Action::SetIpEcn(ecn) => write!(out, "mod_nw_ecn:{ecn}"),
        Action::SetIpTtl(ttl) => write!(out, "mod_nw_ttl:{ttl}"),
        Action::SetL4Src(number) => write!(out, "mod_tp_src:{number}"),
        Action::SetL4Dst(number) => write!(out, "mod_tp_dst:{number}"),
        Action::SetField { field, value, mask } => {
            out.push_str("set_field:");
            print_value(out, field.row(), *value, *mask, style.port_names());
            write!(out, "->{}", field.row().name)
        }
        Action::Load { value, destination } => {
            let _ = write!(out, "load:{}->", hex(*value));
            print_subfield(out, *destination);
            Ok(())
        }
        Action::Move {
            source,
            destination,
        } => {
            out.push_str("move:");
            print_subfield(out, *source);
            out.push_str("->");
            print_subfield(out, *destination);
            Ok(())
        }
        Action::StackPush(sub) => {
            out.push_str("push:");
            print_subfield(out, *sub);
            Ok(())
        }
        Action::StackPop(sub) => {
            out.push_str("pop:");
            print_subfield(out, *sub);
            Ok(())
        }
        Action::DecTtl(ids) if ids.is_empty() => write!(out, "dec_ttl"),
        Action::DecTtl(ids) => {
            let ids: Vec<String> = ids.iter().map(u16::to_string).collect();
            write!(out, "dec_ttl({})", ids.join(","))
        }
        Action::SetTunnel { id, wide } => {
            let wide = *wide || *id > u64::from(u32::MAX);
            write!(
                out,
                "set_tunnel{}:{}",
                if wide { "64" } else { "" },
                format_args!("{id:#x}")
            )
        }
        Action::SetQueue(queue) => write!(out, "set_queue:{queue}"),
        Action::PopQueue => write!(out, "pop_queue"),
        Action::Resubmit { in_port, table } => match (in_port, table) {
            (Some(to), None) => {
                out.push_str("resubmit:");
                port(out, *to);
                Ok(())
            }
            (in_port, table) => {
                out.push_str("resubmit(");
                if let Some(to) = in_port {
                    port(out, *to);
                }
                out.push(',');
                if let Some(table) = table {
                    let _ = write!(out, "{table}");
                }
                write!(out, ")")
            }
        },
        Action::Exit => write!(out, "exit"),
        Action::Note(bytes) => write!(out, "note:{}", dotted(bytes)),
        Action::Clone(inner) => {
            out.push_str("clone(");
            list(out, inner, style);
            write!(out, ")")
        }
        Action::Meter(meter) => write!(out, "meter:{meter}"),
        Action::ClearActions => write!(out, "clear_actions"),
        Action::WriteActions(inner) => {
            out.push_str("write_actions(");
            list(out, inner, style);
            write!(out, ")")
        }
        Action::WriteMetadata { value, mask } => {
            let _ = write!(out, "write_metadata:{}", hex(u128::from(*value)));
            if *mask == u64::MAX {
                Ok(())
            } else {
                write!(out, "/{}", hex(u128::from(*mask)))
            }
        }
        Action::GotoTable(table) => write!(out, "goto_table:{table}"),
    };
}

fn controller(out: &mut String, c: &Controller) -> std::fmt::Result {
    let simple = Controller {
        max_len: c.max_len,
        ..Controller::default()
    };
    if *c == simple {
        return write!(out, "CONTROLLER:{}", c.max_len);
    }
    let mut parts = Vec::new();
    if c.reason != PacketInReason::Action {
        parts.push(format!("reason={}", reason_name(c.reason)));
    }
    if c.max_len != WHOLE_PACKET {
        parts.push(format!("max_len={}", c.max_len));
    }
    if c.id != 0 {
        parts.push(format!("id={}", c.id));
    }
    if !c.userdata.is_empty() {
        parts.push(format!("userdata={}", dotted(&c.userdata)));
    }
    if c.pause {
        parts.push("pause".to_owned());
    }
    if let Some(meter) = c.meter {
        parts.push(format!("meter_id={meter}"));
    }
    write!(out, "controller({})", parts.join(","))
}

/// `00.11.22`
pub(super) fn dotted(bytes: &[u8]) -> String {
    let octets: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    octets.join(".")
}
