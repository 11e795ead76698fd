//! OpenFlow as text, as `ovs-ofctl` reads and prints it: flows, matches, actions, messages.
//!
//! Reading is strict and its errors point at a word ([`TextError`]); printing is exact.
//! Nothing here touches a socket or a frame.

mod action;
mod experimenter;
mod flow;
mod matching;
mod ports;
pub mod print;
mod scan;
mod value;

pub use action::read_actions;
pub use flow::{packet_bytes, read_flow_mod, read_flow_stats_request, read_packet_out};
pub use matching::{meets_prerequisite, read_match};
pub use ports::{PortMap, PortNames, RESERVED, print_port, quoted, read_port};
pub use print::{Style, print_actions, print_match, print_message};
pub use scan::{Result, TextError, Word, nearest};
pub use value::wire_names;
