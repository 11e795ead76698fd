//! docs/reference/messages.md.

use super::{code, head, owner, row, table, versions};
use ofp::wire::{Code, MESSAGES, Row};

/// Who sends a message.
#[derive(Clone, Copy)]
enum Sender {
    Both,
    Controller,
    Switch,
}
use Sender::{Both, Controller, Switch};

/// What a message is for. `X request` and `X reply`, `X_REQUEST` and `X_REPLY` are in one row, `X`, named without its prefix: a message is the
/// same, whoever numbered it.
const DOCS: &[(&str, Sender, &str)] = &[
    ("HELLO", Both, "which versions each end speaks"),
    (
        "ERROR",
        Both,
        "a message could not be obeyed; see [errors.md](errors.md)",
    ),
    (
        "ECHO",
        Both,
        "whether the other end is there; the reply has the request's bytes",
    ),
    (
        "FEATURES",
        Controller,
        "datapath id, number of tables, abilities; before 1.3 also the ports",
    ),
    (
        "GET_CONFIG",
        Controller,
        "treatment of fragments, bytes of packets that miss",
    ),
    ("SET_CONFIG", Controller, "sets that"),
    (
        "PACKET_IN",
        Switch,
        "a packet for the controller, with its fields, reason, table and cookie",
    ),
    (
        "PACKET_IN2",
        Switch,
        "the same with `userdata` and, of paused packets, a continuation",
    ),
    (
        "FLOW_REMOVED",
        Switch,
        "a flow is gone: why, and its final counters",
    ),
    ("PORT_STATUS", Switch, "a port came, went or changed"),
    ("PACKET_OUT", Controller, "a packet and what to do with it"),
    ("FLOW_MOD", Controller, "add, modify or delete flows"),
    (
        "GROUP_MOD",
        Controller,
        "add, modify or delete groups, insert or remove buckets",
    ),
    ("PORT_MOD", Controller, "how a port behaves"),
    (
        "TABLE_MOD",
        Controller,
        "a table's miss (1.1, 1.2), eviction and vacancy events (1.4 and later)",
    ),
    (
        "BARRIER",
        Controller,
        "the reply comes when everything before is in force on every worker",
    ),
    ("QUEUE_GET_CONFIG", Controller, "the queues of a port"),
    (
        "ROLE",
        Controller,
        "be the primary, a secondary or an equal controller",
    ),
    (
        "GET_ASYNC",
        Controller,
        "which events this controller wants",
    ),
    ("SET_ASYNC", Controller, "sets that"),
    (
        "SET_ASYNC_CONFIG",
        Controller,
        "sets that, in OpenFlow 1.3's form",
    ),
    (
        "SET_ASYNC_CONFIG2",
        Controller,
        "sets that, in OpenFlow 1.4's form",
    ),
    ("METER_MOD", Controller, "add, modify or delete a meter"),
    ("ROLE_STATUS", Switch, "this controller's role was changed"),
    (
        "TABLE_STATUS",
        Switch,
        "a table has become full, or has room again",
    ),
    (
        "REQUESTFORWARD",
        Switch,
        "another controller has changed a group or a meter",
    ),
    (
        "BUNDLE_CONTROL",
        Both,
        "open, close, commit or discard a bundle; the switch confirms",
    ),
    ("BUNDLE_ADD_MESSAGE", Controller, "a message for a bundle"),
    (
        "CONTROLLER_STATUS",
        Switch,
        "another controller came, went or changed its role",
    ),
    ("FLOW_MONITOR_CANCEL", Controller, "end a flow monitor"),
    (
        "FLOW_MONITOR_PAUSED",
        Switch,
        "monitor updates are held back until the connection has room",
    ),
    (
        "FLOW_MONITOR_RESUMED",
        Switch,
        "they go on, and what was missed has been told",
    ),
    (
        "SET_FLOW_FORMAT",
        Controller,
        "1.0: flows in Nicira's form from now on",
    ),
    (
        "FLOW_MOD_TABLE_ID",
        Controller,
        "1.0: FLOW_MOD names a table from now on",
    ),
    (
        "SET_PACKET_IN_FORMAT",
        Controller,
        "which form of PACKET_IN this controller gets",
    ),
    (
        "SET_CONTROLLER_ID",
        Controller,
        "the id by which `controller(id=...)` names this controller",
    ),
    (
        "TLV_TABLE_MOD",
        Controller,
        "which Geneve option each `tun_metadata` field is",
    ),
    ("TLV_TABLE", Controller, "asks for that"),
    ("RESUME", Controller, "a paused packet goes on"),
    (
        "DESC",
        Controller,
        "who made the switch, and what it is called",
    ),
    ("FLOW", Controller, "flows with their counters"),
    (
        "FLOW_STATS",
        Controller,
        "counters of flows, without their actions",
    ),
    (
        "BUNDLE_FEATURES",
        Controller,
        "what bundles can be: atomic and ordered, not scheduled",
    ),
    (
        "IPFIX_BRIDGE",
        Controller,
        "counters of the bridge's IPFIX exporter: there is none, and the answer says so",
    ),
    (
        "IPFIX_FLOW",
        Controller,
        "counters of the flows' IPFIX exporters: likewise",
    ),
    ("AGGREGATE", Controller, "the sum of flows' counters"),
    ("TABLE", Controller, "counters of the tables"),
    ("PORT", Controller, "counters of the ports"),
    ("QUEUE", Controller, "counters of queues"),
    ("GROUP", Controller, "counters of groups and buckets"),
    ("GROUP_DESC", Controller, "groups as they were installed"),
    ("GROUP_FEATURES", Controller, "what groups can be"),
    ("METER", Controller, "counters of meters and bands"),
    ("METER_CONFIG", Controller, "meters as they were installed"),
    ("METER_FEATURES", Controller, "what meters can be"),
    (
        "TABLE_FEATURES",
        Controller,
        "what tables can do; changes names, and where the egress tables begin",
    ),
    ("PORT_DESC", Controller, "the ports"),
    (
        "TABLE_DESC",
        Controller,
        "what tables do when they are full",
    ),
    ("QUEUE_DESC", Controller, "the queues"),
    (
        "FLOW_MONITOR",
        Controller,
        "flows as they are and, from then on, their changes",
    ),
    (
        "BPDU",
        Controller,
        "spanning tree frames by port, direction and kind: [experimenter.md](../experimenter.md)",
    ),
];

/// The page.
pub fn page() -> String {
    let mut page = head(
        "Messages",
        "Every message here is read, written and printed (`ofctl ofp-print HEX`), and the switch obeys every one that is for a switch. \
         The number is the message's type; of multipart messages (1.0: statistics), the multipart type; of experimenter messages, who numbered it and how.",
    );
    let names: Vec<_> = MESSAGES.iter().map(|row| subject(row.name).0).collect();
    let strangers = DOCS.iter().filter(|row| !names.contains(&row.0));
    house::none(
        "Sentences without a message:",
        &strangers.map(|row| row.0.to_owned()).collect::<Vec<_>>(),
    );
    page += &table(&["message", "number", "versions", "sent by", "what it is for"]);
    for message in MESSAGES {
        page += &line(message);
    }
    page
}

/// A message's name without prefix and direction, and who sends it if the name says it.
fn subject(name: &str) -> (&str, Option<Sender>) {
    let name = name.split_once('_').map_or(name, |(_, rest)| rest);
    for (end, sender) in [
        (" request", Controller),
        ("_REQUEST", Controller),
        (" reply", Switch),
        ("_REPLY", Switch),
    ] {
        if let Some(stem) = name.strip_suffix(end) {
            return (stem, Some(sender));
        }
    }
    (name, None)
}

fn line(message: &Row) -> String {
    let (subject, said) = subject(message.name);
    let found = DOCS.iter().find(|row| row.0 == subject);
    let (_, sender, doc) = found.unwrap_or_else(|| panic!("{subject} has no sentence"));
    let sender = match (sender, said) {
        (Both, _) => "both",
        (_, Some(Switch)) | (Switch, None) => "switch",
        _ => "controller",
    };
    let number = match message.code {
        Code::Type(number) => format!("{number}"),
        Code::Request(number) | Code::Reply(number) => format!("multipart {number}"),
        Code::Experimenter(who, number) => format!("{} {number}", owner(who)),
        Code::ExperimenterRequest(who, number) | Code::ExperimenterReply(who, number) => {
            format!("multipart {} {number}", owner(who))
        }
    };
    let name = message.name.split(' ').next().unwrap_or_default();
    let what = message.name[name.len()..].to_owned();
    row(&[
        code(name) + &what,
        number,
        versions(message.first, message.last),
        sender.to_owned(),
        doc.to_string(),
    ])
}
