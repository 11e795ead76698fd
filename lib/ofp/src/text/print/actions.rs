//! Actions as text, printed.

use super::Style;
use crate::action::{Action, Controller, PacketInReason, WHOLE_PACKET};
use crate::field::Subfield;
use crate::text::action::reason_name;
use crate::text::ports::{print_port, shown_table};
use crate::text::value::{print_subfield, print_value};
use crate::text::{experimenter, header, learn, spread, trigger};
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

/// Prints one action; each family below takes what it knows.
fn print(out: &mut String, action: &Action, style: &Style<'_>) {
    let known = output(out, action, style).is_some()
        || set_header(out, action, style).is_some()
        || field(out, action, style).is_some()
        || control(out, action, style).is_some()
        || experimenter::print(action)
            .or_else(|| header::print(action))
            .or_else(|| learn::print(action, style))
            .or_else(|| spread::print(action, style))
            .map(|text| out.push_str(&text))
            .is_some();
    debug_assert!(known, "{action:?} has no text");
}

/// `Some` if it was printed; writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) -> Option<()> {
    out.write_fmt(text).ok()
}

pub(in crate::text) fn hex(value: u128) -> String {
    match value {
        0 => "0".to_owned(),
        value => format!("{value:#x}"),
    }
}

fn port(port: PortNo, style: &Style<'_>) -> String {
    let mut out = String::new();
    print_port(&mut out, port, style.port_names());
    out
}

fn bits(sub: Subfield) -> String {
    let mut out = String::new();
    print_subfield(&mut out, sub);
    out
}

/// Where packets go.
fn output(out: &mut String, action: &Action, style: &Style<'_>) -> Option<()> {
    match action {
        Action::Output {
            port: PortNo::CONTROLLER,
            max_len,
        } => put(out, format_args!("CONTROLLER:{max_len}")),
        Action::Output { port: to, .. } => {
            let verb = if to.0 < PortNo::MAX.0 { "output:" } else { "" };
            put(out, format_args!("{verb}{}", port(*to, style)))
        }
        Action::OutputReg { source, .. } => put(out, format_args!("output:{}", bits(*source))),
        Action::OutputTrunc { port: to, max_len } => put(
            out,
            format_args!("output(port={},max_len={max_len})", port(*to, style)),
        ),
        Action::Enqueue { port: to, queue } => {
            put(out, format_args!("enqueue:{}:{queue}", port(*to, style)))
        }
        Action::Controller(c) => controller(out, c).ok(),
        Action::Group(group) => put(out, format_args!("group:{group}")),
        Action::SetQueue(queue) => put(out, format_args!("set_queue:{queue}")),
        Action::PopQueue => put(out, format_args!("pop_queue")),
        _ => None,
    }
}

/// Changes of headers, one action each.
fn set_header(out: &mut String, action: &Action, style: &Style<'_>) -> Option<()> {
    let verb = |push: &bool| if *push { "mod" } else { "set" };
    match action {
        Action::SetVlanVid { vid, push } => put(out, format_args!("{}_vlan_vid:{vid}", verb(push))),
        Action::SetVlanPcp { pcp, push } => put(out, format_args!("{}_vlan_pcp:{pcp}", verb(push))),
        Action::StripVlan if style.version == Version::V10 => put(out, format_args!("strip_vlan")),
        Action::StripVlan => put(out, format_args!("pop_vlan")),
        Action::PushVlan(tpid) => put(out, format_args!("push_vlan:{tpid:#06x}")),
        Action::SetEthSrc(mac) => put(out, format_args!("mod_dl_src:{mac}")),
        Action::SetEthDst(mac) => put(out, format_args!("mod_dl_dst:{mac}")),
        Action::SetIpv4Src(address) => put(out, format_args!("mod_nw_src:{address}")),
        Action::SetIpv4Dst(address) => put(out, format_args!("mod_nw_dst:{address}")),
        Action::SetIpTos(tos) => put(out, format_args!("mod_nw_tos:{tos}")),
        Action::SetIpEcn(ecn) => put(out, format_args!("mod_nw_ecn:{ecn}")),
        Action::SetIpTtl(ttl) => put(out, format_args!("mod_nw_ttl:{ttl}")),
        Action::SetL4Src(number) => put(out, format_args!("mod_tp_src:{number}")),
        Action::SetL4Dst(number) => put(out, format_args!("mod_tp_dst:{number}")),
        Action::DecTtl(ids) if ids.is_empty() => put(out, format_args!("dec_ttl")),
        Action::DecTtl(ids) => {
            let ids: Vec<String> = ids.iter().map(u16::to_string).collect();
            put(out, format_args!("dec_ttl({})", ids.join(",")))
        }
        Action::SetTunnel { id, wide } => {
            let wide = if *wide || *id > u64::from(u32::MAX) {
                "64"
            } else {
                ""
            };
            put(out, format_args!("set_tunnel{wide}:{id:#x}"))
        }
        _ => None,
    }
}

/// Changes of any field.
fn field(out: &mut String, action: &Action, style: &Style<'_>) -> Option<()> {
    match action {
        Action::SetField { field, value, mask } => {
            out.push_str("set_field:");
            print_value(out, field.row(), *value, *mask, style.port_names());
            put(out, format_args!("->{}", field.row().name))
        }
        Action::Load { value, destination } => put(
            out,
            format_args!("load:{}->{}", hex(*value), bits(*destination)),
        ),
        Action::Move {
            source,
            destination,
        } => put(
            out,
            format_args!("move:{}->{}", bits(*source), bits(*destination)),
        ),
        Action::StackPush(sub) => put(out, format_args!("push:{}", bits(*sub))),
        Action::StackPop(sub) => put(out, format_args!("pop:{}", bits(*sub))),
        Action::DeleteField(field) => put(out, format_args!("delete_field:{}", field.row().name)),
        Action::WriteMetadata {
            value,
            mask: u64::MAX,
        } => put(
            out,
            format_args!("write_metadata:{}", hex(u128::from(*value))),
        ),
        Action::WriteMetadata { value, mask } => put(
            out,
            format_args!(
                "write_metadata:{}/{}",
                hex(u128::from(*value)),
                hex(u128::from(*mask))
            ),
        ),
        _ => None,
    }
}

/// What happens next.
fn control(out: &mut String, action: &Action, style: &Style<'_>) -> Option<()> {
    match action {
        Action::Resubmit {
            in_port: Some(to),
            table: None,
        } => put(out, format_args!("resubmit:{}", port(*to, style))),
        Action::Resubmit { in_port, table } => {
            let to = in_port.map_or(String::new(), |to| port(to, style));
            let table = table.map_or(String::new(), |table| {
                shown_table(table, style.port_names())
            });
            put(out, format_args!("resubmit({to},{table})"))
        }
        Action::Exit => put(out, format_args!("exit")),
        Action::Note(bytes) => put(out, format_args!("note:{}", dotted(bytes))),
        Action::Clone(inner) => put(out, format_args!("clone({})", print_actions(inner, style))),
        Action::Meter(meter) => put(out, format_args!("meter:{meter}")),
        Action::ClearActions => put(out, format_args!("clear_actions")),
        Action::WriteActions(inner) => put(
            out,
            format_args!("write_actions({})", print_actions(inner, style)),
        ),
        Action::StatTrigger(trigger) => put(out, format_args!("{}", trigger::print(trigger))),
        Action::GotoTable(table) => {
            let table = shown_table(*table, style.port_names());
            put(out, format_args!("goto_table:{table}"))
        }
        _ => None,
    }
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
