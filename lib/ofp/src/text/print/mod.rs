//! Printing messages in the words and the layout of Open vSwitch's tools, so that scripts that read
//! those read ours. One file per family; [`print_message`] is the table of all.

mod actions;
mod config;
mod flows;
mod groups;
mod meters;
mod monitors;
mod ports;
mod queues;
mod status;
mod tables;

pub(super) use actions::hex;
pub use actions::print_actions;
pub use config::{frag_name, hex_dump};
pub use flows::{print_flow_counts, print_flow_mod, print_flow_stats};
pub use groups::{print_group_desc, print_group_features, print_group_mod, print_group_stats};
pub use meters::{print_meter_config, print_meter_features, print_meter_mod, print_meter_stats};
pub use monitors::{print_bundle_features, print_flow_update, print_tlv_table};
pub use ports::{print_bpdu_stats, print_port_desc, print_port_stats};
pub use status::print_table_desc;
pub use tables::print_table_features;

use super::matching;
use super::ports::PortMap;
use crate::action::PacketType;
use crate::bpdu::BpduStats;
use crate::error::{ERRORS, OfError};
use crate::key::Match;
use crate::message::{
    AsyncConfig, Body, Dialect, Duration, FlowFormat, Message, MultipartPart, MultipartReply,
    MultipartRequest, QueueDesc,
};
use crate::types::{Version, Xid};
use crate::wire::{self, HEADER_SIZE, Header};
use bytes::Bytes;
use std::fmt::Write;

/// Says in one line what is in a packet of a type.
pub type Describe<'a> = dyn Fn(&[u8], PacketType) -> String + 'a;

/// How to print.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    /// Ports by name where they have one.
    pub names: bool,
    /// Counters and ages of flows.
    pub stats: bool,
    /// Ages that only Nicira's and 1.5's statistics have.
    pub ages: bool,
    /// Names of ports.
    pub ports: &'a PortMap,
    /// The version whose words are used.
    pub version: Version,
    /// Says what is in a frame; this crate does not look into frames.
    pub frame: Option<&'a Describe<'a>>,
    /// Frames in hexadecimal too.
    pub hex: bool,
    /// BPDUs, for the ports that have any.
    pub bpdus: &'a [BpduStats],
}

impl<'a> Style<'a> {
    /// Numbers instead of names, with statistics.
    pub fn plain(version: Version, ports: &'a PortMap) -> Style<'a> {
        Style {
            names: false,
            stats: true,
            ages: true,
            ports,
            version,
            frame: None,
            hex: false,
            bpdus: &[],
        }
    }
    pub(super) fn port_names(&self) -> Option<&'a PortMap> {
        self.names.then_some(self.ports)
    }
}

/// Prints a match; nothing for the one that every packet matches.
pub fn print_match(matching: &Match, style: &Style<'_>) -> String {
    let mut out = String::new();
    matching::print_match(&mut out, matching, style.port_names());
    out
}

/// `NAME (OF1.3) (xid=0x1):`
fn header(name: &str, xid: Xid, version: Version) -> String {
    let version = match version {
        Version::V10 => "",
        Version::V11 => " (OF1.1)",
        Version::V12 => " (OF1.2)",
        Version::V13 => " (OF1.3)",
        Version::V14 => " (OF1.4)",
        Version::V15 => " (OF1.5)",
    };
    format!("{name}{version} (xid={:#x}):", xid.0)
}

/// Prints a message, ending with a newline.
pub fn print_message(message: &Message, style: &Style<'_>) -> String {
    let dialect = Dialect::new(style.version);
    let mut out = header(
        wire::name(&message.body, &dialect),
        message.xid,
        style.version,
    );
    body(&mut out, &message.body, style);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Prints the bytes of a message under the name that they have, which says how it travelled
/// (`NXT_FLOW_MOD`). Bytes that cannot be read, or were cut, are shown in hexadecimal.
pub fn print_wire(bytes: &Bytes, style: &Style<'_>) -> String {
    let hex = |note: String| format!("{note}\n{}", hex_dump(bytes, true));
    let Some(head) = Header::parse(bytes) else {
        return hex(format!(
            "OpenFlow packet too short (only {} bytes):",
            bytes.len()
        ));
    };
    let version = Version::from_wire(head.version).unwrap_or(style.version);
    let style = Style { version, ..*style };
    let name = wire::row_of(bytes).map_or("(unknown message)", |row| row.name);
    let mut out = header(name, head.xid, version);
    let (size, len) = (usize::from(head.size), bytes.len());
    if len != size && size >= HEADER_SIZE {
        let how = if len < size { "truncated to" } else { "is" };
        out.push_str(&hex(format!("\n(***{how} {len} bytes from {size}***)")));
        return out;
    }
    let dialect = Dialect {
        version,
        flow_format: FlowFormat::Nxm,
        flow_mod_table_id: version == Version::V10,
    };
    match Message::decode(bytes, &dialect) {
        Ok(message) => body(&mut out, &message.body, &style),
        Err(error) => out.push_str(&hex(format!(" ***decode error: {}***", error_name(error)))),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn body(out: &mut String, body: &Body, style: &Style<'_>) {
    match body {
        Body::Hello(hello) => config::hello(out, hello),
        Body::Error(error) => config::error(out, error, style),
        Body::EchoRequest(data) | Body::EchoReply(data) => {
            let _ = writeln!(out, " {} bytes of payload", data.len());
            if style.hex {
                out.push_str(&hex_dump(data, true));
            }
        }
        Body::FeaturesReply(features) => config::features(out, features, style),
        Body::GetConfigReply(c) | Body::SetConfig(c) => config::switch_config(out, c),
        Body::PacketIn(packet) => flows::packet_in(out, packet, style),
        Body::FlowRemoved(removed) => flows::flow_removed(out, removed, style),
        Body::PortStatus(status) => ports::port_status(out, status, style),
        Body::PacketOut(packet) => flows::packet_out(out, packet, style),
        Body::FlowMod(flow) => {
            out.push(' ');
            out.push_str(&flows::travelled(flow, style));
        }
        Body::PortMod(port_mod) => ports::port_mod(out, port_mod, style),
        Body::RoleRequest(role) | Body::RoleReply(role) => config::role(out, role),
        Body::GetAsyncReply(c) => config::async_config(out, c, style),
        Body::SetAsync(c) => config::async_config(out, &AsyncConfig::default().with(*c), style),
        Body::SetFlowFormat(format) => config::flow_format(out, *format),
        Body::FlowModTableId(on) => {
            let _ = write!(out, " {}", if *on { "enable" } else { "disable" });
        }
        Body::SetPacketInFormat(format) => config::packet_in_format(out, *format),
        Body::SetControllerId(id) => {
            let _ = write!(out, " id={id}");
        }
        Body::GroupMod(m) => {
            let _ = write!(out, "\n {}", print_group_mod(m, style));
        }
        Body::MeterMod(m) => {
            let _ = write!(out, " {}", print_meter_mod(m));
        }
        Body::BundleControl(control) => monitors::bundle_control(out, control),
        Body::BundleAdd(add) => monitors::bundle_add(out, add, style),
        Body::TlvTableMod(m) => monitors::tlv_table_mod(out, m),
        Body::TlvTableReply(table) => out.push_str(&print_tlv_table(table)),
        Body::FlowMonitorCancel(id) => {
            let _ = write!(out, " id={id}");
        }
        Body::TlvTableRequest | Body::FlowMonitorPaused | Body::FlowMonitorResumed => {}
        Body::MultipartRequest(r) => request(out, r, style),
        Body::MultipartReply(r) => reply(out, r, style),
        Body::Resume(packet) => flows::packet_in(out, packet, style),
        Body::TableMod(table_mod) => status::table_mod(out, table_mod, style.version),
        Body::TableStatus(table) => status::table_status(out, table),
        Body::RoleStatus(role) => status::role_status(out, role),
        Body::RequestForward(forward) => status::requestforward(out, forward, style),
        Body::ControllerStatus(controller) => status::controller_status(out, controller),
        Body::QueueGetConfigRequest(port) => queues::get_config_request(out, *port, style),
        Body::QueueGetConfigReply { port, queues } => {
            // All stand under the port that was asked for, which may be any.
            let under = |desc: &QueueDesc| QueueDesc {
                port: *port,
                ..desc.clone()
            };
            let queues: Vec<QueueDesc> = queues.iter().map(under).collect();
            queues::descs(out, &queues, style);
        }
        Body::FeaturesRequest
        | Body::GetConfigRequest
        | Body::BarrierRequest
        | Body::BarrierReply
        | Body::GetAsyncRequest => {}
    }
}

fn request(out: &mut String, request: &MultipartRequest, style: &Style<'_>) {
    match request {
        MultipartRequest::Flow(select)
        | MultipartRequest::Aggregate(select)
        | MultipartRequest::FlowCounts(select) => {
            flows::stats_request(out, select, style);
        }
        MultipartRequest::Port(port) | MultipartRequest::Bpdu(port) => {
            out.push_str(" port_no=");
            super::ports::print_port(out, *port, style.port_names());
        }
        MultipartRequest::PortDesc(port) => {
            out.push_str(" port=");
            super::ports::print_port(out, *port, style.port_names());
        }
        MultipartRequest::Queue { port, queue } => {
            queues::stats_request(out, *port, *queue, style);
        }
        MultipartRequest::QueueDesc { port, queue } => {
            queues::desc_request(out, *port, *queue, style);
        }
        MultipartRequest::Group(group) | MultipartRequest::GroupDesc(group) => {
            groups::request(out, *group);
        }
        MultipartRequest::Meter(meter) | MultipartRequest::MeterConfig(meter) => {
            meters::request(out, *meter);
        }
        MultipartRequest::FlowMonitor(list) => {
            list.iter().for_each(|q| monitors::request(out, q, style));
        }
        MultipartRequest::BundleFeatures(q) => monitors::bundle_features_request(out, q),
        MultipartRequest::GroupFeatures
        | MultipartRequest::MeterFeatures
        | MultipartRequest::Desc
        | MultipartRequest::Table
        | MultipartRequest::TableDesc
        | MultipartRequest::ControllerStatus
        | MultipartRequest::IpfixBridge
        | MultipartRequest::IpfixFlow
        | MultipartRequest::TableFeatures { .. } => {}
    }
}

fn reply(out: &mut String, reply: &MultipartReply, style: &Style<'_>) {
    if reply.more {
        out.push_str(" flags=[more]");
    }
    match &reply.part {
        MultipartPart::Desc(desc) => config::desc(out, desc),
        MultipartPart::Flow { flows, .. } => {
            for flow in flows {
                out.push('\n');
                out.push_str(&print_flow_stats(flow, style));
            }
        }
        MultipartPart::Aggregate {
            packets,
            bytes,
            flows,
            ..
        } => {
            let _ = write!(
                out,
                " packet_count={packets} byte_count={bytes} flow_count={flows}"
            );
        }
        MultipartPart::Table(tables) => tables::table_stats(out, tables, style),
        MultipartPart::Port(stats) => {
            let _ = writeln!(out, " {} ports", stats.len());
            stats
                .iter()
                .for_each(|s| out.push_str(&print_port_stats(s, style)));
        }
        MultipartPart::PortDesc(descs) => {
            out.push('\n');
            ports::sorted(out, descs, style);
        }
        MultipartPart::TableFeatures(tables) => {
            out.push('\n');
            out.push_str(&print_table_features(tables, style.version));
        }
        MultipartPart::Bpdu(stats) => {
            let _ = writeln!(out, " {} ports", stats.len());
            stats
                .iter()
                .for_each(|s| out.push_str(&print_bpdu_stats(s, style)));
        }
        MultipartPart::FlowCounts(flows) => {
            lines(out, flows.iter().map(|f| print_flow_counts(f, style)));
        }
        MultipartPart::BundleFeatures(f) => out.push_str(&print_bundle_features(f)),
        MultipartPart::Group(groups) => {
            lines(out, groups.iter().map(print_group_stats));
        }
        MultipartPart::GroupDesc(groups) => {
            lines(out, groups.iter().map(|g| print_group_desc(g, style)));
        }
        MultipartPart::GroupFeatures(f) => out.push_str(&print_group_features(f, style)),
        MultipartPart::Meter(stats) => meters::stats(out, stats),
        MultipartPart::MeterConfig(configs) => meters::configs(out, configs),
        MultipartPart::MeterFeatures(f) => out.push_str(&print_meter_features(f)),
        MultipartPart::FlowMonitor(updates) => {
            lines(out, updates.iter().map(|u| print_flow_update(u, style)));
        }
        MultipartPart::Queue(stats) => queues::stats(out, stats, style),
        MultipartPart::QueueDesc(descs) => queues::descs(out, descs, style),
        MultipartPart::TableDesc(tables) => {
            tables
                .iter()
                .for_each(|desc| out.push_str(&print_table_desc(desc)));
        }
        MultipartPart::ControllerStatus(list) => {
            for controller in list {
                out.push_str("\n ");
                status::controller_status(out, controller);
            }
        }
    }
}

/// Entries, each on a line of its own.
fn lines(out: &mut String, entries: impl Iterator<Item = String>) {
    for entry in entries {
        out.push('\n');
        out.push_str(&entry);
    }
}

/// An error's name.
pub fn error_name(error: OfError) -> String {
    match ERRORS.iter().find(|row| row.error == error) {
        Some(row) => row.name.to_owned(),
        None => match error {
            OfError::Other { kind, code } => format!("type {kind} code {code}"),
            other => other.to_string(),
        },
    }
}

/// A counter; `?` if it is not known.
fn count(value: u64) -> String {
    match value {
        u64::MAX => "?".to_owned(),
        value => value.to_string(),
    }
}

/// `1.005s`, or `1s`.
fn print_duration(out: &mut String, duration: Duration) {
    let _ = write!(out, "{}", duration.secs);
    if duration.nanos != 0 && duration.nanos != u32::MAX {
        // Milliseconds at least; micro- and nanoseconds if there are any.
        let nanos = format!("{:09}", duration.nanos);
        let digits = match duration.nanos {
            n if n % 1_000_000 == 0 => 3,
            n if n % 1_000 == 0 => 6,
            _ => 9,
        };
        let _ = write!(out, ".{}", &nanos[..digits]);
    }
    out.push('s');
}
