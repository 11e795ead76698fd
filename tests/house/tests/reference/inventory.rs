//! docs/reference/inventory.md: what a controller or an administrator may look for, and whether it is here. What proves a line is a row of
//! the code's tables; a line whose row is gone fails.

use super::{code, head, row, table};
use ofp::field::FIELDS;
use ofp::text::action_names;
use ofp::wire::MESSAGES;
use std::collections::BTreeSet;

/// A line: what, the rows that prove it, what there is to know of it.
type Line = (&'static str, Has, &'static str);

/// Whether it is here.
enum Has {
    /// Match fields; `N` stands for every number.
    Fields(&'static [&'static str]),
    /// Actions, as typed.
    Actions(&'static [&'static str]),
    /// Messages, by name without a prefix.
    Messages(&'static [&'static str]),
    /// Commands of ofctl.
    Commands(&'static [&'static str]),
    /// Options of ofctl, without dashes.
    Options(&'static [&'static str]),
    /// It is, and no table has it.
    Yes,
    /// It is not: why.
    No(&'static str),
}
use Has::{Actions, Commands, Fields, Messages, No, Options, Yes};

const NO_CT: &str = "there is no connection tracking";
const NO_NSH: &str = "network service headers are out of scope";

const SESSION: &[Line] = &[
    (
        "Versions 1.0, 1.1, 1.2, 1.3, 1.4, 1.5",
        Messages(&["HELLO"]),
        "all at once, or those of `Bridge.protocols`; version bitmaps",
    ),
    (
        "Echo and inactivity probes",
        Messages(&["ECHO_REQUEST", "ECHO_REPLY"]),
        "in both directions",
    ),
    (
        "Errors",
        Messages(&["ERROR"]),
        "with the numbers of each version: [errors.md](errors.md)",
    ),
    (
        "Features, configuration",
        Messages(&["FEATURES_REQUEST", "GET_CONFIG_REQUEST", "SET_CONFIG"]),
        "no buffers; fragments normal, drop, reassemble or nx-match",
    ),
    (
        "Packet-in",
        Messages(&["PACKET_IN", "PACKET_IN2", "SET_PACKET_IN_FORMAT"]),
        "each version's form and Nicira's two; rate limits; dropped ones are counted",
    ),
    (
        "Pause and resume",
        Messages(&["RESUME"]),
        "a packet waits for a minute",
    ),
    (
        "Packet-out",
        Messages(&["PACKET_OUT"]),
        "with fields in 1.5",
    ),
    (
        "Flow mods",
        Messages(&["FLOW_MOD", "FLOW_MOD_TABLE_ID", "SET_FLOW_FORMAT"]),
        "strict or not, cookies, out_port, out_group, importance, timeouts, all flags; 1.0's emergency flows are refused",
    ),
    (
        "Flow removed",
        Messages(&["FLOW_REMOVED"]),
        "also of groups, meters and eviction",
    ),
    (
        "Port status and port mods",
        Messages(&["PORT_STATUS", "PORT_MOD"]),
        "advertised speeds are refused",
    ),
    (
        "Groups",
        Messages(&["GROUP_MOD", "GROUP", "GROUP_DESC", "GROUP_FEATURES"]),
        "all, select (`hash`, `dp_hash`, weights), indirect, fast failover; chains; buckets inserted and removed; in every version",
    ),
    (
        "Meters",
        Messages(&["METER_MOD", "METER", "METER_CONFIG", "METER_FEATURES"]),
        "kbps and pktps, burst, statistics; drop and DSCP remark; `controller`, `slowpath`",
    ),
    (
        "Table mods",
        Messages(&["TABLE_MOD", "TABLE_STATUS", "TABLE_DESC"]),
        "misses, eviction, vacancy events",
    ),
    (
        "Barriers",
        Messages(&["BARRIER_REQUEST", "BARRIER_REPLY"]),
        "answered when the change is in force on every worker",
    ),
    (
        "Roles",
        Messages(&["ROLE_REQUEST", "ROLE_STATUS"]),
        "with generation ids",
    ),
    (
        "Asynchronous messages by kind and reason",
        Messages(&[
            "SET_ASYNC",
            "GET_ASYNC_REQUEST",
            "SET_ASYNC_CONFIG",
            "SET_ASYNC_CONFIG2",
            "SET_CONTROLLER_ID",
        ]),
        "",
    ),
    (
        "Bundles",
        Messages(&["BUNDLE_CONTROL", "BUNDLE_ADD_MESSAGE"]),
        "atomic, ordered; flows, groups, meters, ports, tables, packet-outs; all or nothing, seen at one instant",
    ),
    ("Scheduled bundles", No("their flag is refused"), ""),
    (
        "Requests forwarded to other controllers",
        Messages(&["REQUESTFORWARD"]),
        "1.3 by the ONF's extension",
    ),
    ("Controller status", Messages(&["CONTROLLER_STATUS"]), "1.5"),
    (
        "Multipart: description, flows, aggregate, tables, ports",
        Messages(&["DESC", "FLOW", "AGGREGATE", "TABLE", "PORT", "PORT_DESC"]),
        "in pieces; a long dump costs next to no memory",
    ),
    (
        "Multipart: queues",
        Messages(&["QUEUE", "QUEUE_DESC", "QUEUE_GET_CONFIG_REQUEST"]),
        "as QoS and Queue rows say; nothing is shaped",
    ),
    (
        "Multipart: table features",
        Messages(&["TABLE_FEATURES"]),
        "also to set names and where the egress tables begin; other changes are refused",
    ),
    (
        "Flow monitors",
        Messages(&[
            "FLOW_MONITOR",
            "FLOW_MONITOR_CANCEL",
            "FLOW_MONITOR_PAUSED",
            "FLOW_MONITOR_RESUMED",
        ]),
        "1.4 and later, 1.3 by the ONF's, 1.0 to 1.2 by Nicira's extension",
    ),
    (
        "Tunnel option map",
        Messages(&["TLV_TABLE_MOD", "TLV_TABLE_REQUEST", "TLV_TABLE_REPLY"]),
        "64 fields of at most 16 bytes, 120 bytes in all",
    ),
    (
        "IPFIX statistics",
        No("there is no IPFIX exporter; asking is answered with an error"),
        "",
    ),
    ("Flushing connections", No(NO_CT), ""),
    (
        "Connections",
        Yes,
        "`tcp:`, `ssl:`, `unix:`, `ptcp:`, `pssl:`, `punix:`; several controllers; backoff, probes, rate limits; `BRIDGE.mgmt`",
    ),
    (
        "TLS",
        Yes,
        "with keys from the SSL table; bootstrap of the CA",
    ),
    (
        "In-band control",
        No("`connection_mode` has no effect, and is named so"),
        "",
    ),
    (
        "`BRIDGE.snoop`",
        Yes,
        "what the bridge and its controllers say to each other",
    ),
    ("Fail modes", Yes, "standalone and secure"),
];

const FIELD_LINES: &[Line] = &[
    (
        "Ingress and pipeline",
        Fields(&[
            "in_port",
            "in_port_oxm",
            "metadata",
            "actset_output",
            "conj_id",
            "packet_type",
            "pkt_mark",
            "skb_priority",
            "dp_hash",
            "recirc_id",
        ]),
        "",
    ),
    (
        "Registers",
        Fields(&[
            "reg0", "reg15", "reg16", "reg31", "xreg0", "xreg15", "xxreg0", "xxreg7",
        ]),
        "32 of 32 bits, in twos and fours, too",
    ),
    (
        "Ethernet and VLAN",
        Fields(&[
            "eth_src", "eth_dst", "eth_type", "vlan_tci", "vlan_vid", "vlan_pcp",
        ]),
        "the outer tag is matched; any number of tags is carried",
    ),
    (
        "IPv4 and IPv6",
        Fields(&[
            "ip_src",
            "ip_dst",
            "ipv6_src",
            "ipv6_dst",
            "ipv6_label",
            "nw_proto",
            "nw_tos",
            "ip_dscp",
            "nw_ecn",
            "nw_ttl",
            "ip_frag",
        ]),
        "",
    ),
    ("IPv6 extension headers", Fields(&["ipv6_exthdr"]), ""),
    (
        "ARP and RARP",
        Fields(&["arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"]),
        "",
    ),
    (
        "TCP, UDP, SCTP, ICMP",
        Fields(&[
            "tcp_src",
            "tcp_dst",
            "tcp_flags",
            "udp_src",
            "udp_dst",
            "sctp_src",
            "sctp_dst",
            "icmp_type",
            "icmp_code",
            "icmpv6_type",
            "icmpv6_code",
        ]),
        "",
    ),
    (
        "Neighbour discovery",
        Fields(&[
            "nd_target",
            "nd_sll",
            "nd_tll",
            "nd_reserved",
            "nd_options_type",
        ]),
        "",
    ),
    (
        "MPLS",
        Fields(&["mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl"]),
        "of the outermost label; any number is carried",
    ),
    (
        "Provider backbone bridging",
        Fields(&["pbb_isid", "pbb_uca"]),
        "",
    ),
    (
        "Tunnels",
        Fields(&[
            "tun_id",
            "tun_src",
            "tun_dst",
            "tun_ipv6_src",
            "tun_ipv6_dst",
            "tun_flags",
            "tun_ttl",
            "tun_tos",
            "tun_gbp_id",
            "tun_gbp_flags",
        ]),
        "",
    ),
    (
        "Tunnel options",
        Fields(&["tun_metadata0", "tun_metadata63"]),
        "Geneve, by the tunnel option map",
    ),
    ("BPDUs", Fields(&["bpdu_type"]), "our own"),
    (
        "Connection tracking: ct_state, ct_zone, ct_mark, ct_label, ct_nw_*, ct_ipv6_*, ct_tp_*",
        No(NO_CT),
        "",
    ),
    ("NSH: nsh_*", No(NO_NSH), ""),
    (
        "ERSPAN: tun_erspan_*",
        No("ERSPAN tunnels are out of scope"),
        "",
    ),
    (
        "GTP-U: tun_gtpu_*",
        No("GTP-U tunnels are out of scope"),
        "",
    ),
];

const ACTION_LINES: &[Line] = &[
    (
        "Output",
        Actions(&[
            "output",
            "controller",
            "enqueue",
            "group",
            "bundle",
            "bundle_load",
        ]),
        "to ports, reserved ports, fields; cut; to a group",
    ),
    (
        "VLAN",
        Actions(&[
            "mod_vlan_vid",
            "set_vlan_vid",
            "mod_vlan_pcp",
            "set_vlan_pcp",
            "strip_vlan",
            "pop_vlan",
            "push_vlan",
        ]),
        "",
    ),
    (
        "MPLS",
        Actions(&[
            "push_mpls",
            "pop_mpls",
            "set_mpls_label",
            "set_mpls_tc",
            "set_mpls_ttl",
            "dec_mpls_ttl",
        ]),
        "",
    ),
    ("PBB", Actions(&["push_pbb", "pop_pbb"]), ""),
    ("Copied TTLs", Actions(&["copy_ttl_in", "copy_ttl_out"]), ""),
    (
        "Addresses and ports",
        Actions(&[
            "mod_dl_src",
            "mod_dl_dst",
            "mod_nw_src",
            "mod_nw_dst",
            "mod_nw_tos",
            "mod_nw_ecn",
            "mod_nw_ttl",
            "set_nw_ttl",
            "mod_tp_src",
            "mod_tp_dst",
            "dec_ttl",
        ]),
        "",
    ),
    (
        "Fields",
        Actions(&[
            "set_field",
            "load",
            "move",
            "push",
            "pop",
            "set_tunnel",
            "set_tunnel64",
            "delete_field",
            "write_metadata",
        ]),
        "with masks and parts",
    ),
    (
        "Queues",
        Actions(&["set_queue", "pop_queue"]),
        "chosen and counted by nothing yet: no port shapes",
    ),
    (
        "Control flow",
        Actions(&["resubmit", "goto_table", "clone", "exit", "note"]),
        "`resubmit(...,ct)` is refused",
    ),
    (
        "Learning and conjunctions",
        Actions(&["learn", "conjunction", "fin_timeout"]),
        "",
    ),
    ("Choosing links", Actions(&["multipath"]), ""),
    ("Packet sizes", Actions(&["check_pkt_larger"]), ""),
    (
        "Samples",
        Actions(&["sample"]),
        "chosen packets are counted; there are no collectors",
    ),
    (
        "Packet types",
        Actions(&["encap", "decap"]),
        "Ethernet and MPLS",
    ),
    (
        "Instructions",
        Actions(&[
            "meter",
            "clear_actions",
            "write_actions",
            "write_metadata",
            "stat_trigger",
            "goto_table",
        ]),
        "in their fixed order; `stat_trigger` is not Open vSwitch's",
    ),
    (
        "Fragments and BPDUs",
        Actions(&["fragment", "reassemble", "bpdu"]),
        "our own: [experimenter.md](../experimenter.md)",
    ),
    ("encap(nsh), dec_nsh_ttl", No(NO_NSH), ""),
    ("ct, ct_clear, nat", No(NO_CT), ""),
];

const TABLE_LINES: &[Line] = &[
    (
        "254 tables of up to 1,000,000 flows",
        Yes,
        "with names; `Flow_Table` rows",
    ),
    (
        "Strict and loose changes, overlap check, cookies, timeouts, importance",
        Messages(&["FLOW_MOD"]),
        "",
    ),
    (
        "Eviction, vacancy",
        Messages(&["TABLE_MOD", "TABLE_STATUS"]),
        "by importance and what is left of the time, fairly by groups of fields",
    ),
    ("Egress tables", Messages(&["TABLE_FEATURES"]), "1.5"),
    (
        "Conjunctive matches",
        Actions(&["conjunction"]),
        "a table without them pays nothing",
    ),
    (
        "Atomic updates",
        Messages(&["BUNDLE_CONTROL"]),
        "each packet sees a message or a bundle wholly or not at all",
    ),
    (
        "`prefixes` of Flow_Table",
        No("stored, without effect, and named so: there are no megaflows that it could widen"),
        "",
    ),
    (
        "Limits",
        Yes,
        "64 nested lookups, 4096 for a packet, 64 KiB of stack: each has a [drop reason](drops.md)",
    ),
];

const COMMAND_LINES: &[Line] = &[
    (
        "Switch",
        Commands(&[
            "show",
            "dump-desc",
            "dump-tables",
            "dump-table-features",
            "dump-table-desc",
            "mod-table",
            "get-frags",
            "set-frags",
            "probe",
            "ping",
            "benchmark",
        ]),
        "",
    ),
    (
        "Flows",
        Commands(&[
            "dump-flows",
            "dump-aggregate",
            "dump-flow-counts",
            "add-flow",
            "add-flows",
            "mod-flows",
            "del-flows",
            "replace-flows",
            "diff-flows",
        ]),
        "",
    ),
    (
        "Groups",
        Commands(&[
            "add-group",
            "add-groups",
            "mod-group",
            "del-groups",
            "insert-buckets",
            "remove-buckets",
            "dump-groups",
            "dump-group-stats",
            "dump-group-features",
        ]),
        "",
    ),
    (
        "Meters",
        Commands(&[
            "add-meter",
            "mod-meter",
            "del-meter",
            "del-meters",
            "dump-meter",
            "dump-meters",
            "meter-stats",
            "meter-features",
        ]),
        "",
    ),
    (
        "Ports and queues",
        Commands(&[
            "dump-ports",
            "dump-ports-desc",
            "mod-port",
            "queue-stats",
            "queue-get-config",
        ]),
        "",
    ),
    (
        "Packets, bundles, tunnel options",
        Commands(&[
            "packet-out",
            "bundle",
            "dump-bundle-features",
            "add-tlv-map",
            "del-tlv-map",
            "dump-tlv-map",
        ]),
        "",
    ),
    (
        "Watching",
        Commands(&["monitor", "snoop"]),
        "with `--detach`, `--pidfile`, `--unixctl` and the commands of its socket",
    ),
    (
        "Files and texts",
        Commands(&[
            "ofp-parse",
            "ofp-parse-pcap",
            "ofp-print",
            "parse-flow",
            "parse-flows",
            "parse-group",
            "parse-actions",
            "parse-instructions",
            "parse-nxm",
            "parse-nx-match",
            "parse-oxm",
            "parse-ofp10-match",
            "parse-ofp11-match",
            "check-vlan",
            "parse-pcap",
            "parse-packet",
            "parse-key-value",
            "compose-packet",
            "encode-hello",
            "encode-error-reply",
            "print-error",
        ]),
        "",
    ),
    (
        "IPFIX, connections",
        Commands(&[
            "dump-ipfix-bridge",
            "dump-ipfix-flow",
            "ct-flush",
            "ct-flush-zone",
        ]),
        "they ask, for other switches; ours answers with an error",
    ),
    ("About itself", Commands(&["help", "list-commands"]), ""),
    (
        "Options",
        Options(&[
            "protocols",
            "flow_format",
            "packet_in_format",
            "strict",
            "bundle",
            "may_create",
            "readd",
            "read_only",
            "names",
            "no_names",
            "stats",
            "no_stats",
            "sort",
            "rsort",
            "color",
            "more",
            "timeout",
            "timestamp",
            "unixctl",
            "pidfile",
            "detach",
            "private_key",
            "certificate",
            "ca_cert",
            "bootstrap_ca_cert",
        ]),
        "",
    ),
    (
        "More than the stock tool",
        Commands(&["trace", "watch", "lint", "bpdu", "show-workers"]),
        "",
    ),
    (
        "More options",
        Options(&[
            "json", "lenient", "generate", "once", "interval", "count", "gpwstats",
        ]),
        "",
    ),
];

const SECTIONS: &[(&str, &[Line])] = &[
    ("Connections and messages", SESSION),
    ("Match fields", FIELD_LINES),
    ("Actions", ACTION_LINES),
    ("Tables", TABLE_LINES),
    ("Commands of ofctl", COMMAND_LINES),
];

/// The page.
pub fn page() -> String {
    let mut page = head(
        "Inventory",
        "What is here, and what is not. Whatever is not is refused, with an error that says so; columns of the database that have no effect \
         yet are stored and named in `Open_vSwitch.external_ids:tsunagi-no-effect`.",
    );
    let known = Known::new();
    let mut offences = Vec::new();
    for (title, lines) in SECTIONS {
        page += &format!("## {title}\n\n{}", table(&["what", "status", "by", "note"]));
        for (what, has, note) in *lines {
            let (status, by) = known.status(has, &mut offences);
            page += &row(&[what.to_string(), status, by, note.to_string()]);
        }
        page.push('\n');
    }
    known.everything_has_a_line(&mut offences);
    house::none(
        "Lines of the inventory that no table has, or rows without a line:",
        &offences,
    );
    page.trim_end().to_owned() + "\n"
}

/// The names in the tables.
struct Known {
    fields: BTreeSet<String>,
    actions: BTreeSet<String>,
    messages: BTreeSet<String>,
    commands: BTreeSet<String>,
    options: BTreeSet<String>,
}

/// ofctl is a program, which has no tables to link: they are read. What stands between `before` and `after`.
fn scrape(path: &str, before: &str, after: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(house::top().join(path)).expect("the source is there");
    let words = text.split(before).skip(1);
    words
        .filter_map(|rest| Some(rest.split_once(after)?.0.trim().to_owned()))
        .collect()
}

impl Known {
    fn new() -> Known {
        let message = |name: &str| {
            let stem = name.split_once('_').map_or(name, |(_, rest)| rest);
            stem.split(' ').next().unwrap_or(stem).to_owned()
        };
        let mut commands = scrape("ofctl/src/command/mod.rs", "row(\n        \"", "\"");
        commands.extend(scrape("ofctl/src/command/mod.rs", " row(\"", "\""));
        let mut options = scrape("ofctl/src/options.rs", "    pub ", ":");
        options.extend(scrape("ofctl/src/options.rs", "]\n    ", ":"));
        Self {
            fields: FIELDS.iter().map(|row| row.name.to_owned()).collect(),
            actions: action_names().0.map(str::to_owned).collect(),
            messages: MESSAGES.iter().map(|row| message(row.name)).collect(),
            commands,
            options: options
                .into_iter()
                .map(|name| name.trim_start_matches("pub ").to_owned())
                .collect(),
        }
    }

    /// A line's status and what it is by.
    fn status(&self, has: &Has, offences: &mut Vec<String>) -> (String, String) {
        let (names, known, shown): (&[&str], _, fn(&str) -> String) = match has {
            Fields(names) => (names, &self.fields, code),
            Actions(names) => (names, &self.actions, code),
            Messages(names) => (names, &self.messages, code),
            Commands(names) => (names, &self.commands, code),
            Options(names) => (names, &self.options, |name| {
                code(&format!("--{}", name.replace('_', "-")))
            }),
            Yes => return ("supported".to_owned(), String::new()),
            No(why) => return (format!("not supported: {why}"), String::new()),
        };
        offences.extend(
            names
                .iter()
                .filter(|name| !known.contains(**name))
                .map(|name| format!("{name} is in no table")),
        );
        let shown: Vec<_> = names.iter().map(|name| shown(name)).collect();
        ("supported".to_owned(), shown.join(", "))
    }

    /// Every field, action and command is in a line; registers and tunnel options by their first.
    fn everything_has_a_line(&self, offences: &mut Vec<String>) {
        let lines = || {
            SECTIONS
                .iter()
                .flat_map(|section| section.1)
                .map(|line| &line.1)
        };
        let mut said = BTreeSet::new();
        for has in lines() {
            if let Fields(names) | Actions(names) | Commands(names) = has {
                said.extend(names.iter().copied());
            }
        }
        let all = self
            .fields
            .iter()
            .chain(&self.actions)
            .chain(&self.commands);
        let stem = |name: &str| {
            name.trim_end_matches(|c: char| c.is_ascii_digit())
                .to_owned()
                + "0"
        };
        let missing =
            all.filter(|name| !said.contains(name.as_str()) && !said.contains(stem(name).as_str()));
        offences.extend(missing.map(|name| format!("{name} has no line")));
    }
}
