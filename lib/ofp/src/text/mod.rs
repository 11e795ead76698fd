//! OpenFlow as text, as `ovs-ofctl` reads and prints it: flows, matches, actions, messages.
//!
//! Reading is strict and its errors point at a word ([`TextError`]); printing is exact.
//! Nothing here touches a socket or a frame.

mod action;
mod experimenter;
mod flow;
mod group;
mod header;
mod learn;
mod lenient;
mod matching;
mod meter;
mod monitor;
mod ports;
pub mod print;
mod scan;
mod spread;
mod tlv;
mod trigger;
mod value;

pub use action::{action_names, read_actions};
pub use flow::{
    packet_bytes, read_flow_mod, read_flow_mod_leniently, read_flow_stats_request,
    read_flow_stats_request_leniently, read_packet_out,
};
pub use group::{read_group_id, read_group_mod};
pub use matching::{meets_prerequisite, read_match};
pub use meter::{read_meter_id, read_meter_mod};
pub use monitor::read_monitor_request;
pub use ports::{PortMap, PortNames, RESERVED, print_port, quoted, read_port};
pub use print::{Style, print_actions, print_match, print_message};
pub use scan::{Result, TextError, Word, digits, nearest};
pub use tlv::read_tlv_table_mod;
pub use value::{print_bits, read_subfield, wire_names};
