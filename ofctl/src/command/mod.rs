//! The table of commands; one file per family. A command gets the options and its own words, and
//! prints to standard output.

mod bpdu;
mod bundle;
mod change;
mod difference;
mod encode;
mod fixed;
mod flow;
mod flow_monitor;
mod forms;
mod group;
mod lazy;
mod lint;
mod meter;
mod monitor;
mod packet;
mod parse;
mod pcap;
mod port;
mod queue;
mod raw;
mod source;
mod switch;
mod table;
mod tlv;
mod trace;
mod watch;
mod wireform;

use lazy::LazyPorts;
pub(crate) use source::Place;

use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::options::Options;
use ofp::message::{Body, MultipartPart, MultipartRequest};
use ofp::text::print::print_message;
use ofp::text::{PortMap, Style, nearest};
use ofp::types::Version;
use std::cell::{OnceCell, RefCell};
use std::io::Write;
use std::time::Instant;

/// A row of the table.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// Its arguments, as the user reads them; `[x]` may be left out.
    pub(crate) arguments: &'static str,
    pub(crate) help: &'static str,
    run: fn(&Context<'_>) -> Result<()>,
    /// `--read-only` refuses it.
    writes: bool,
}

const fn row(
    name: &'static str,
    arguments: &'static str,
    run: fn(&Context<'_>) -> Result<()>,
    help: &'static str,
) -> Command {
    Command {
        name,
        arguments,
        help,
        run,
        writes: false,
    }
}

pub(crate) const COMMANDS: &[Command] = &[
    row(
        "show",
        "SWITCH",
        switch::show,
        "what the switch is and which ports it has",
    ),
    row(
        "dump-desc",
        "SWITCH",
        switch::dump_desc,
        "the switch's description",
    ),
    row(
        "dump-tables",
        "SWITCH",
        switch::dump_tables,
        "counters of the tables",
    ),
    row(
        "dump-table-features",
        "SWITCH",
        table::dump_table_features,
        "what the tables can do",
    ),
    row(
        "dump-table-desc",
        "SWITCH",
        table::dump_table_desc,
        "what the tables do when they are full",
    ),
    row(
        "mod-table",
        "SWITCH TABLE SETTING",
        table::mod_table,
        "drop, continue or controller (1.1, 1.2); name:NAME (1.3); evict, noevict, vacancy:LOW,HIGH, novacancy (1.4)",
    )
    .writes(),
    row(
        "queue-stats",
        "SWITCH [PORT] [QUEUE]",
        queue::queue_stats,
        "counters of queues",
    ),
    row(
        "queue-get-config",
        "SWITCH [PORT] [QUEUE]",
        queue::queue_get_config,
        "how queues are configured",
    ),
    row(
        "dump-ipfix-bridge",
        "SWITCH",
        raw::dump_ipfix_bridge,
        "statistics of the bridge's IPFIX exporter",
    ),
    row(
        "dump-ipfix-flow",
        "SWITCH",
        raw::dump_ipfix_flow,
        "statistics of flows' IPFIX exporters",
    ),
    row(
        "ct-flush-zone",
        "SWITCH ZONE",
        raw::ct_flush_zone,
        "forget a zone's connections",
    )
    .writes(),
    row(
        "ct-flush",
        "SWITCH [zone=N]",
        raw::ct_flush,
        "forget connections",
    )
    .writes(),
    row(
        "get-frags",
        "SWITCH",
        switch::get_frags,
        "how IP fragments are matched",
    ),
    row(
        "set-frags",
        "SWITCH MODE",
        switch::set_frags,
        "set that: normal, drop, reassemble or nx-match",
    )
    .writes(),
    row(
        "probe",
        "SWITCH",
        switch::probe,
        "exit with 0 if the switch answers",
    ),
    row(
        "ping",
        "SWITCH [SIZE]",
        switch::ping,
        "round trips of 10 echo requests",
    ),
    row(
        "benchmark",
        "SWITCH SIZE COUNT",
        switch::benchmark,
        "how fast COUNT echo requests are answered",
    ),
    row(
        "dump-flows",
        "SWITCH [FLOW]",
        flow::dump_flows,
        "the flows that match FLOW",
    ),
    row(
        "dump-flow-counts",
        "SWITCH [FLOW]",
        flow::dump_flow_counts,
        "their counters without their actions (OpenFlow 1.5)",
    ),
    row(
        "dump-aggregate",
        "SWITCH [FLOW]",
        flow::dump_aggregate,
        "the sum of their counters",
    ),
    row(
        "add-flow",
        "SWITCH FLOW",
        change::add_flow,
        "add one flow; - reads many from standard input",
    )
    .writes(),
    row(
        "add-flows",
        "SWITCH FILE",
        change::add_flows,
        "add the flows of a file, or - for standard input",
    )
    .writes(),
    row(
        "mod-flows",
        "SWITCH FLOW",
        change::mod_flows,
        "change the actions of matching flows",
    )
    .writes(),
    row(
        "del-flows",
        "SWITCH [FLOW]",
        change::del_flows,
        "delete matching flows",
    )
    .writes(),
    row(
        "replace-flows",
        "SWITCH FILE",
        difference::replace_flows,
        "make the flows those of a file: only the difference is sent, as one bundle",
    )
    .writes(),
    row(
        "diff-flows",
        "SOURCE1 SOURCE2",
        difference::diff_flows,
        "what tells two files or switches apart; exit status 2 if something does",
    ),
    row(
        "add-group",
        "SWITCH GROUP",
        group::add_group,
        "add one group; - reads many from standard input",
    ).writes(),
    row(
        "add-groups",
        "SWITCH FILE",
        group::add_groups,
        "add, modify and delete the groups of a file",
    ).writes(),
    row(
        "mod-group",
        "SWITCH GROUP",
        group::mod_group,
        "change a group; --may-create: or add it",
    ).writes(),
    row(
        "del-groups",
        "SWITCH [GROUP]",
        group::del_groups,
        "delete a group, or all of them",
    ).writes(),
    row(
        "insert-buckets",
        "SWITCH GROUP",
        group::insert_buckets,
        "insert buckets at command_bucket_id",
    ).writes(),
    row(
        "remove-buckets",
        "SWITCH GROUP",
        group::remove_buckets,
        "remove the bucket command_bucket_id, or all",
    ).writes(),
    row(
        "dump-groups",
        "SWITCH [GROUP]",
        group::dump_groups,
        "the groups",
    ),
    row(
        "dump-group-stats",
        "SWITCH [GROUP]",
        group::dump_group_stats,
        "counters of the groups",
    ),
    row(
        "dump-group-features",
        "SWITCH",
        group::dump_group_features,
        "what groups can be",
    ),
    row(
        "add-meter",
        "SWITCH METER",
        meter::add_meter,
        "add a meter",
    ).writes(),
    row(
        "mod-meter",
        "SWITCH METER",
        meter::mod_meter,
        "change a meter",
    ).writes(),
    row(
        "del-meter",
        "SWITCH [METER]",
        meter::del_meters,
        "delete a meter",
    ).writes(),
    row(
        "del-meters",
        "SWITCH [METER]",
        meter::del_meters,
        "delete a meter, or all of them",
    ).writes(),
    row(
        "dump-meter",
        "SWITCH [METER]",
        meter::dump_meters,
        "a meter",
    ),
    row(
        "dump-meters",
        "SWITCH [METER]",
        meter::dump_meters,
        "the meters",
    ),
    row(
        "meter-stats",
        "SWITCH [METER]",
        meter::meter_stats,
        "counters of the meters",
    ),
    row(
        "meter-features",
        "SWITCH",
        meter::meter_features,
        "what meters can be",
    ),
    row(
        "bundle",
        "SWITCH FILE",
        bundle::bundle,
        "do a file of flows, groups and packet-outs all or not at all",
    ).writes(),
    row(
        "dump-bundle-features",
        "SWITCH",
        bundle::dump_bundle_features,
        "what bundles can be (OpenFlow 1.5)",
    ),
    row(
        "add-tlv-map",
        "SWITCH MAP",
        tlv::add_tlv_map,
        "give tunnel options to fields: {class=0xffff,type=0,len=4}->tun_metadata0",
    ).writes(),
    row(
        "del-tlv-map",
        "SWITCH [MAP]",
        tlv::del_tlv_map,
        "take them back; all if none is named",
    ).writes(),
    row(
        "dump-tlv-map",
        "SWITCH",
        tlv::dump_tlv_map,
        "which tunnel options have which fields",
    ),
    row(
        "packet-out",
        "SWITCH PACKET-OUT [ACTIONS] [HEX]",
        packet::packet_out,
        "handle a packet: \"in_port=P packet=HEX actions=...\", or P ACTIONS HEX",
    )
    .writes(),
    row(
        "monitor",
        "SWITCH [MISSLEN] [invalid_ttl] [resume] [watch:FLOWS]...",
        monitor::monitor,
        "print packets and events until stopped; resume: let paused packets go on; watch: changes of flows",
    ),
    row(
        "snoop",
        "SWITCH",
        monitor::snoop,
        "print what the switch and its controllers say to each other",
    ),
    row(
        "dump-ports",
        "SWITCH [PORT]",
        port::dump_ports,
        "counters of the ports",
    ),
    row(
        "dump-ports-desc",
        "SWITCH [PORT]",
        port::dump_ports_desc,
        "descriptions of the ports",
    ),
    row(
        "bpdu",
        "SWITCH [PORT]",
        bpdu::bpdu,
        "spanning tree frames by port, direction and kind; --gpwstats: a tunnel as gpwstats printed it",
    ),
    row(
        "mod-port",
        "SWITCH PORT ACTION",
        port::mod_port,
        "up, down, or [no-]flood, [no-]forward, [no-]receive, [no-]receive-stp, [no-]packet-in, [no-]stp",
    )
    .writes(),
    row(
        "trace",
        "BRIDGE FLOW [PACKET]",
        trace::trace,
        "what happens to a packet and why: a flow as in in_port=1,tcp,nw_dst=10.0.0.1, a frame in hexadecimal or as eth(...) ipv4(...); --generate sends it",
    ),
    row(
        "show-workers",
        "",
        trace::show_workers,
        "the switch's threads: time, packets per burst, cache, and which receive queues they poll; since ovs-appctl dpif-netdev/pmd-stats-clear",
    ),
    row(
        "watch",
        "BRIDGE [ports|flows]",
        watch::watch,
        "packets and bits per second, the busiest first; --interval, --count, --once",
    ),
    row(
        "lint",
        "FILE",
        lint::lint,
        "what is suspicious in a file of flows; exit status 1 if something is",
    ),
    row(
        "parse-flow",
        "FLOW",
        parse::parse_flow,
        "print a flow as it would be sent",
    ),
    row(
        "parse-flows",
        "FILE",
        parse::parse_flows,
        "print the flows of a file as they would be sent",
    ),
    row(
        "parse-group",
        "GROUP",
        parse::parse_group,
        "print a group as it would be sent",
    ),
    row(
        "parse-actions",
        "VERSION",
        parse::parse_actions,
        "print the actions whose bytes stand on standard input",
    ),
    row(
        "parse-nxm",
        "",
        wireform::parse_nxm,
        "print the NXM matches on standard input as they would be sent",
    ),
    row(
        "parse-nx-match",
        "",
        wireform::parse_nxm,
        "the same",
    ),
    row(
        "parse-oxm",
        "VERSION",
        wireform::parse_oxm,
        "print the OXM matches on standard input as they would be sent",
    ),
    row(
        "parse-ofp10-match",
        "",
        fixed::parse_ofp10_match,
        "print the OpenFlow 1.0 matches whose bytes stand on standard input, and what is not kept of them",
    ),
    row(
        "parse-ofp11-match",
        "",
        fixed::parse_ofp11_match,
        "the same for OpenFlow 1.1",
    ),
    row(
        "check-vlan",
        "TCI MASK",
        fixed::check_vlan,
        "print a match of the VLAN tag in every form, and what is read from it",
    ),
    row(
        "parse-instructions",
        "VERSION",
        wireform::parse_instructions,
        "print the instructions whose bytes stand on standard input",
    ),
    row(
        "ofp-parse",
        "FILE",
        pcap::ofp_parse,
        "print the OpenFlow messages of a file",
    ),
    row(
        "ofp-parse-pcap",
        "FILE [TCP-PORT]...",
        pcap::ofp_parse_pcap,
        "print the OpenFlow messages of a capture",
    ),
    row(
        "parse-pcap",
        "FILE",
        pcap::parse_pcap,
        "print the fields of a capture's packets",
    ),
    row(
        "parse-packet",
        "[FILE]",
        pcap::parse_packet,
        "print the fields of a packet's bytes",
    ),
    row(
        "compose-packet",
        "FLOW [HEX]",
        encode::compose_packet,
        "print a packet with these fields, and this payload",
    ),
    row(
        "parse-key-value",
        "TEXT [TEXT]...",
        encode::parse_key_value,
        "print the items of a text",
    ),
    row(
        "encode-hello",
        "BITMAP",
        encode::encode_hello,
        "print a hello for these versions",
    ),
    row(
        "encode-error-reply",
        "ERROR HEX",
        encode::encode_error_reply,
        "print the error message for a message",
    ),
    row(
        "print-error",
        "ERROR",
        encode::print_error,
        "print an error's numbers in every version",
    ),
    row(
        "ofp-print",
        "HEX [VERBOSITY]",
        parse::ofp_print,
        "print an OpenFlow message",
    ),
    row(
        "list-commands",
        "",
        list_commands,
        "this list without explanations",
    ),
    row("help", "", help, "this list"),
];

impl Command {
    /// A command that changes something.
    const fn writes(mut self) -> Command {
        self.writes = true;
        self
    }
    fn arity(&self) -> (usize, usize) {
        let words = self.arguments.split_whitespace();
        let most = match self.arguments.ends_with("...") {
            true => usize::MAX,
            false => words.clone().count(),
        };
        (words.filter(|w| !w.starts_with('[')).count(), most)
    }
}

/// What a command gets.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a Options,
    /// Its arguments.
    pub(crate) args: &'a [String],
    deadline: Option<Instant>,
}

/// Runs the command that the words name.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Some((name, args)) = options.words.split_first() else {
        return Err(Failure::plain("no command; `ofctl help` lists them"));
    };
    let Some(command) = COMMANDS.iter().find(|c| c.name == name) else {
        let hint = match nearest(name, COMMANDS.iter().map(|c| c.name)) {
            Some(near) => format!("; did you mean {near}?"),
            None => "; `ofctl help` lists them".to_owned(),
        };
        return Err(Failure::plain(format!("no command \"{name}\"{hint}")));
    };
    let (least, most) = command.arity();
    if args.len() < least || args.len() > most {
        let usage = format!("ofctl {} {}", command.name, command.arguments);
        return Err(Failure::plain(format!(
            "\"{name}\" got {} arguments; usage: {}",
            args.len(),
            usage.trim_end()
        )));
    }
    if options.read_only && command.writes {
        return Err(Failure::plain(format!(
            "--read-only: \"{name}\" changes the switch"
        )));
    }
    options.check_flow_format()?;
    let deadline = options.time_limit().map(|limit| Instant::now() + limit);
    (command.run)(&Context {
        options,
        args,
        deadline,
    })
}

impl Context<'_> {
    /// The switch that the first argument names.
    fn switch(&self) -> &str {
        &self.args[0]
    }
    /// An argument that may be left out.
    fn arg(&self, index: usize) -> Option<&str> {
        self.args.get(index).map(String::as_str)
    }
    /// Connects with the preferred version.
    fn connect(&self) -> Result<Connection> {
        self.connect_with(&self.options.versions()?.0)
    }
    fn connect_with(&self, versions: &[Version]) -> Result<Connection> {
        self.open(self.switch(), versions)
    }
    /// Those of the allowed versions that can do what is asked, the lowest first.
    fn versions_that(&self, can: impl Fn(&Version) -> bool, what: &str) -> Result<Vec<Version>> {
        let mut versions = self.options.versions()?.0;
        versions.retain(&can);
        if versions.is_empty() {
            let able = Version::SUPPORTED.iter().filter(|v| can(v));
            let able: Vec<&str> = able.map(|v| v.name()).collect();
            return Err(Failure::plain(format!(
                "{what} needs {}",
                able.join(" or ")
            )));
        }
        Ok(versions)
    }
    /// Connects to a switch.
    fn open(&self, switch: &str, versions: &[Version]) -> Result<Connection> {
        let tls = self.options.tls()?;
        Connection::open(switch, versions, self.deadline, tls.as_ref())
    }
    /// The switch's port names, fetched when one is looked up.
    fn lazy_ports(&self) -> LazyPorts<'_> {
        LazyPorts {
            context: self,
            map: OnceCell::new(),
            tables: OnceCell::new(),
            failure: RefCell::new(None),
        }
    }
    /// The port names to print with; empty if numbers are asked for.
    fn names_to_show(&self, connection: &mut Connection) -> Result<PortMap> {
        if self.options.show_names() {
            connection.ports()
        } else {
            Ok(PortMap::default())
        }
    }
    /// The same with names of tables.
    fn all_names_to_show(&self, connection: &mut Connection) -> Result<PortMap> {
        let mut names = self.names_to_show(connection)?;
        if self.options.show_names() {
            connection.add_table_names(&mut names)?;
        }
        Ok(names)
    }
    /// How to print.
    fn style<'p>(&self, version: Version, ports: &'p PortMap) -> Style<'p> {
        Style {
            names: self.options.show_names(),
            stats: self.options.show_stats(),
            frame: Some(&crate::connection::describe_packet),
            hex: self.options.more > 0,
            ..Style::plain(version, ports)
        }
    }
}

/// Asks for a dump and prints it, or with `--json` what `to_json` makes of all of it.
fn dump(
    context: &Context<'_>,
    versions: &[Version],
    request: MultipartRequest,
    to_json: impl Fn(&MultipartPart) -> serde_json::Value,
) -> Result<()> {
    let mut connection = context.connect_with(versions)?;
    let ports = context.names_to_show(&mut connection)?;
    let style = context.style(connection.version(), &ports);
    let mut parts: Vec<serde_json::Value> = Vec::new();
    connection.ask_parts(request, |message| match &message.body {
        Body::MultipartReply(reply) if context.options.json => {
            parts.push(to_json(&reply.part));
            Ok(())
        }
        _ => print(&print_message(message, &style)),
    })?;
    if !context.options.json {
        return Ok(());
    }
    // A dump of many is one list, however many messages it took.
    let whole = match parts.as_slice() {
        [one] => one.clone(),
        many => many
            .iter()
            .filter_map(|part| part.as_array())
            .flatten()
            .cloned()
            .collect(),
    };
    print(&format!("{whole}\n"))
}

/// Writes to standard output.
fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn list_commands(_: &Context<'_>) -> Result<()> {
    let lines: Vec<String> = COMMANDS
        .iter()
        .map(|c| format!("{} {}", c.name, c.arguments))
        .collect();
    print(
        &lines
            .iter()
            .map(|l| format!("  {}\n", l.trim_end()))
            .collect::<String>(),
    )
}

fn help(_: &Context<'_>) -> Result<()> {
    let usage = "ofctl [OPTIONS] COMMAND [ARGUMENTS]; `ofctl --help` explains the options.\n\n";
    print(&format!("{usage}{}", list()))
}

/// All commands with their explanations.
pub(crate) fn list() -> String {
    let mut out = "Commands:\n".to_owned();
    for c in COMMANDS {
        out.push_str(&format!(
            "  {:<34} {}\n",
            format!("{} {}", c.name, c.arguments),
            c.help
        ));
    }
    out.push_str("\nA SWITCH is a bridge's name, a socket's path, unix:PATH or tcp:HOST[:PORT].\n");
    out.push_str(
        "FLOW and PACKET-OUT are written as for ovs-ofctl: ovs-fields(7), ovs-actions(7); and fragment, reassemble, bpdu.\n",
    );
    out
}
