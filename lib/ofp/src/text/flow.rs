//! Whole flows as text: what `add-flow`, `mod-flows`, `del-flows` and `dump-flows` take, and packet-outs.

use super::action::{is_of_flows, read_list};
use super::lenient::Judge;
use super::matching::{MatchReader, match_names, meets_prerequisite, prerequisite_words};
use super::ports::{PortNames, read_port, read_table};
use super::scan::{Item, Result, TextError, Word};
use super::value::unknown;
use crate::action::Action;
use crate::check;
use crate::field::Field;
use crate::key::{Match, VLAN_PRESENT};
use crate::message::{FlowMod, FlowModCommand, FlowStatsRequest, PacketOut, flow_flag};
use crate::types::{Cookie, GroupId, PortNo, TableId};

/// Which keys a text may have besides its match.
#[derive(Clone, Copy, PartialEq)]
struct Allowed {
    actions: bool,
    priority: bool,
    timeouts: bool,
    out_port: bool,
    new_cookie: bool,
    cookie_mask: bool,
}

const fn allowed(command: FlowModCommand) -> Allowed {
    use FlowModCommand::{Add, Delete, DeleteStrict, Modify};
    let deletes = matches!(command, Delete | DeleteStrict);
    Allowed {
        actions: !deletes,
        priority: !matches!(command, Delete | Modify),
        timeouts: !deletes,
        out_port: deletes,
        new_cookie: !deletes,
        cookie_mask: !matches!(command, Add),
    }
}

/// For requests of statistics.
const SELECT: Allowed = Allowed {
    actions: false,
    priority: false,
    timeouts: false,
    out_port: true,
    new_cookie: false,
    cookie_mask: true,
};

/// Keys of printed flows that say nothing about a flow to be installed.
const IGNORED: &[&str] = &[
    "duration",
    "n_packets",
    "n_bytes",
    "idle_age",
    "hard_age",
    "no_readonly_table",
    "allow_hidden_fields",
];

/// Flags: name, bit.
pub(super) const FLAGS: &[(&str, u16)] = &[
    ("send_flow_rem", flow_flag::SEND_FLOW_REM),
    ("check_overlap", flow_flag::CHECK_OVERLAP),
    ("reset_counts", flow_flag::RESET_COUNTS),
    ("no_packet_counts", flow_flag::NO_PACKET_COUNTS),
    ("no_byte_counts", flow_flag::NO_BYTE_COUNTS),
];

const KEYS: &[&str] = &[
    "table",
    "priority",
    "cookie",
    "idle_timeout",
    "hard_timeout",
    "importance",
    "out_port",
    "out_group",
    "actions",
];

/// Commands that may stand at the beginning of a flow: word, command.
const COMMANDS: &[(&str, FlowModCommand)] = &[
    ("add", FlowModCommand::Add),
    ("modify_strict", FlowModCommand::ModifyStrict),
    ("modify", FlowModCommand::Modify),
    ("delete_strict", FlowModCommand::DeleteStrict),
    ("delete", FlowModCommand::Delete),
];

/// Reads a flow to add, modify or delete. With `command` `None` the text may begin with a command
/// (`delete ip`); without one it adds.
pub fn read_flow_mod(
    text: &str,
    command: Option<FlowModCommand>,
    ports: &dyn PortNames,
) -> Result<FlowMod> {
    judged_flow_mod(text, command, ports, &mut Judge::default())
}

/// As [`read_flow_mod`], but what Open vSwitch lets pass passes: a field whose prerequisite is missing
/// is left out, a number that is too large is cut, what is given twice counts the last time. The
/// warnings say what was wrong.
pub fn read_flow_mod_leniently(
    text: &str,
    command: Option<FlowModCommand>,
    ports: &dyn PortNames,
) -> Result<(FlowMod, Vec<TextError>)> {
    let mut judge = Judge::lenient();
    let flow = judged_flow_mod(text, command, ports, &mut judge)?;
    Ok((flow, judge.warnings()))
}

fn judged_flow_mod(
    text: &str,
    command: Option<FlowModCommand>,
    ports: &dyn PortNames,
    judge: &mut Judge,
) -> Result<FlowMod> {
    let word = Word::new(text).trim();
    let (command, rest) = match command {
        Some(command) => return Fields::new(command, allowed(command), ports).read(word, judge),
        None => leading_command(word),
    };
    let flow = Fields::new(command, allowed(command), ports).read(rest, judge);
    flow.map_err(|error| error.list_verbs(word, COMMANDS.iter().map(|row| row.0)))
}

/// Reads which flows `dump-flows` and `dump-aggregate` are to select.
pub fn read_flow_stats_request(text: &str, ports: &dyn PortNames) -> Result<FlowStatsRequest> {
    judged_request(text, ports, &mut Judge::default())
}

/// As [`read_flow_stats_request`], in the way of [`read_flow_mod_leniently`].
pub fn read_flow_stats_request_leniently(
    text: &str,
    ports: &dyn PortNames,
) -> Result<(FlowStatsRequest, Vec<TextError>)> {
    let mut judge = Judge::lenient();
    let request = judged_request(text, ports, &mut judge)?;
    Ok((request, judge.warnings()))
}

fn judged_request(
    text: &str,
    ports: &dyn PortNames,
    judge: &mut Judge,
) -> Result<FlowStatsRequest> {
    let flow = Fields::new(FlowModCommand::Delete, SELECT, ports).read(Word::new(text), judge)?;
    Ok(FlowStatsRequest {
        table: flow.table,
        out_port: flow.out_port,
        out_group: flow.out_group,
        cookie: flow.cookie,
        cookie_mask: flow.cookie_mask,
        matching: flow.matching,
        nicira: false,
    })
}

fn leading_command(word: Word<'_>) -> (FlowModCommand, Word<'_>) {
    let (first, rest) = word.cut_word();
    match COMMANDS.iter().find(|c| c.0 == first.text) {
        Some((_, command)) => (*command, rest),
        None => (FlowModCommand::Add, word),
    }
}

/// The flow so far.
struct Fields<'a, 'p> {
    flow: FlowMod,
    allowed: Allowed,
    matching: MatchReader<'a>,
    seen: Vec<&'a str>,
    actions: Option<Word<'a>>,
    ports: &'p dyn PortNames,
}

impl<'a, 'p> Fields<'a, 'p> {
    fn new(command: FlowModCommand, allowed: Allowed, ports: &'p dyn PortNames) -> Fields<'a, 'p> {
        Fields {
            flow: FlowMod {
                command,
                ..FlowMod::default()
            },
            allowed,
            matching: MatchReader::default(),
            seen: Vec::new(),
            actions: None,
            ports,
        }
    }

    fn read(mut self, text: Word<'a>, judge: &mut Judge) -> Result<FlowMod> {
        for item in text.items() {
            let item = item?;
            if matches!(item.key.text, "actions" | "action") {
                if !self.allowed.actions {
                    return Err(item.key.fail("has no meaning here"));
                }
                item.value.ok_or_else(|| item.key.fail("needs a value"))?;
                self.actions = Some(item.all_that_follows());
                break;
            }
            self.item(item, judge)?;
        }
        self.flow.matching = self.matching.finish_with(self.ports, judge)?;
        match self.actions {
            Some(word) => {
                self.flow.actions = read_list(word, self.ports, 0)?;
                consistent(&self.flow, word)?;
            }
            None if self.allowed.actions => {
                return Err(text
                    .fail("actions are missing")
                    .help("end with actions=..., or actions=drop"));
            }
            None => {}
        }
        Ok(self.flow)
    }

    fn item(&mut self, item: Item<'a>, judge: &mut Judge) -> Result<()> {
        let key = item.key;
        let name = key.text;
        if IGNORED.contains(&name) {
            return Ok(());
        }
        if let Some((_, bit)) = FLAGS.iter().find(|f| f.0 == name) {
            if !self.allowed.timeouts {
                return Err(key.fail("has no meaning here"));
            }
            if let Err(fault) = item.bare() {
                judge.fault(fault)?;
            }
            self.flow.flags |= bit;
            return Ok(());
        }
        if !KEYS.contains(&name) {
            return match self.matching.take(item) {
                true => Ok(()),
                false => {
                    let known = match_names().chain(KEYS.iter().copied());
                    Err(unknown(key, "no such key or protocol", known))
                }
            };
        }
        let value = item.need()?;
        // One selects, the other is the new one.
        let is_mask = name == "cookie" && value.text.contains('/');
        let said = if is_mask { "cookie mask" } else { name };
        if !is_mask && self.seen.contains(&said) {
            judge.fault(key.fail("given twice"))?;
        }
        self.seen.push(said);
        let refuse = |may: bool| {
            if may {
                Ok(())
            } else {
                Err(key.fail("has no meaning here"))
            }
        };
        match name {
            "table" => self.flow.table = table(value, !self.allowed.actions, self.ports)?,
            "priority" => {
                refuse(self.allowed.priority)
                    .map_err(|e| e.help("only --strict compares priorities"))?;
                self.flow.priority = value.int()?;
            }
            "cookie" => self.cookie(value)?,
            "out_port" => {
                refuse(self.allowed.out_port)?;
                self.flow.out_port = read_port(value, self.ports)?;
            }
            "out_group" => {
                refuse(self.allowed.out_port)?;
                self.flow.out_group = GroupId(value.int()?);
            }
            timeout => {
                refuse(self.allowed.timeouts)?;
                let number = value.int()?;
                match timeout {
                    "idle_timeout" => self.flow.idle_timeout_secs = number,
                    "hard_timeout" => self.flow.hard_timeout_secs = number,
                    _ => self.flow.importance = number,
                }
            }
        }
        Ok(())
    }

    fn cookie(&mut self, value: Word<'a>) -> Result<()> {
        match value.split_once("/") {
            Some((cookie, mask)) if self.allowed.cookie_mask => {
                if self.flow.cookie_mask != 0 {
                    return Err(value.fail("a second cookie mask"));
                }
                if self.seen.contains(&"cookie") {
                    self.flow.new_cookie = Some(self.flow.cookie);
                }
                self.flow.cookie = Cookie(cookie.bits64()?);
                self.flow.cookie_mask = mask.bits64()?;
            }
            Some(_) => return Err(value.fail("an added flow's cookie has no mask")),
            None if !self.allowed.new_cookie => {
                return Err(value
                    .fail("needs a mask here")
                    .help(format!("cookie={}/-1", value.text)));
            }
            None if self.flow.cookie_mask != 0 => {
                self.flow.new_cookie = Some(Cookie(value.bits64()?))
            }
            None => self.flow.cookie = Cookie(value.bits64()?),
        }
        Ok(())
    }
}

fn table(word: Word<'_>, or_all: bool, names: &dyn PortNames) -> Result<TableId> {
    if or_all && word.text.eq_ignore_ascii_case("all") {
        return Ok(TableId::ALL);
    }
    read_table(word, if or_all { 255 } else { 254 }, names)
}

/// What an action writes or reads, and whether the match makes sure that it is there.
fn consistent(flow: &FlowMod, word: Word<'_>) -> Result<()> {
    if let Some(Action::GotoTable(to)) = flow.actions.last() {
        let from = if flow.table == TableId::ALL {
            0
        } else {
            flow.table.0
        };
        // OpenFlow 1.3.5 section 5.9: "The table-id must be greater than the current table-id."
        if to.0 <= from {
            let at = word.text.rfind("goto_table").unwrap_or(0);
            let place = Word {
                text: &word.text[at..],
                offset: word.offset + at,
            };
            return Err(place
                .fail("goes back")
                .help(format!("a table above {from}; resubmit(,{to}) may go back")));
        }
    }
    let mut matching = flow.matching.clone();
    list_is_consistent(&mut matching, &flow.actions, word)
}

fn list_is_consistent(matching: &mut Match, actions: &[Action], word: Word<'_>) -> Result<()> {
    for action in actions {
        let fields: [Option<Field>; 2] = match action {
            Action::SetField { field, .. } => [Some(*field), None],
            Action::Load { destination, .. } => [Some(destination.field), None],
            Action::Move {
                source,
                destination,
            } => [Some(source.field), Some(destination.field)],
            Action::StackPush(sub) | Action::StackPop(sub) => [Some(sub.field), None],
            _ => [None, None],
        };
        if let Some(field) = fields
            .into_iter()
            .flatten()
            .find(|f| !meets_prerequisite(matching, *f))
        {
            let name = field.row().name;
            let names = [name, field.row().alias];
            let at = names
                .iter()
                .filter(|n| !n.is_empty())
                .find_map(|n| word.text.rfind(n));
            let place = match at {
                Some(at) => Word {
                    text: &word.text[at..at + name.len().min(word.text.len() - at)],
                    offset: word.offset + at,
                },
                None => word,
            };
            let needs = prerequisite_words(field);
            return Err(place.fail(format!("{name} needs {needs} in the match")));
        }
        match action {
            Action::PushVlan(_) | Action::SetVlanVid { .. } | Action::SetVlanPcp { .. } => {
                let present = u128::from(VLAN_PRESENT);
                matching.unset(Field::VlanTci.place());
                matching.set(Field::VlanTci.place(), present, present);
            }
            Action::StripVlan => matching.unset(Field::VlanTci.place()),
            Action::PushMpls(kind) | Action::PopMpls(kind) | Action::PushPbb(kind) => {
                becomes(matching, *kind);
            }
            Action::Encap(kind) => check::encapsulate(matching, *kind),
            Action::Decap(_) => check::decapsulate(matching),
            Action::PopPbb => becomes(matching, 0),
            Action::Clone(inner) | Action::WriteActions(inner) => {
                list_is_consistent(&mut matching.clone(), inner, word)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The packet has another ether type (0: who knows), and what was said of the headers behind is not true any more.
fn becomes(matching: &mut Match, ether_type: u16) {
    for field in [
        Field::PacketType,
        Field::EthType,
        Field::IpProto,
        Field::IpFrag,
    ] {
        matching.unset(field.place());
    }
    if ether_type != 0 {
        let place = Field::EthType.place();
        matching.set(place, ether_type.into(), place.ones());
    }
}

/// Reads a packet-out: `in_port=1 packet=<hex> actions=...`, with fields that are not the packet's own.
pub fn read_packet_out(text: &str, ports: &dyn PortNames) -> Result<PacketOut> {
    let whole = Word::new(text);
    let mut out = PacketOut {
        in_port: PortNo::CONTROLLER,
        buffer_id: u32::MAX,
        ..PacketOut::default()
    };
    let (mut packet, mut actions) = (None, false);
    let mut fields = MatchReader::default();
    for item in whole.items_once() {
        let item = item?;
        match item.key.text {
            "in_port" => out.in_port = read_port(item.need()?, ports)?,
            "packet" => {
                let digits = item.need()?;
                out.data = packet_bytes(digits)?.into();
                packet = Some(digits);
            }
            "actions" | "action" => {
                let list = item.all_that_follows();
                out.actions = read_list(list, ports, 0)?;
                if out.actions.iter().any(is_of_flows) {
                    return Err(list
                        .fail("an instruction, for which a packet-out has no place")
                        .help("actions only; the action table looks the packet up"));
                }
                actions = true;
                break;
            }
            _ => {
                let key = item.key;
                if !fields.take(item) {
                    let keys = ["in_port", "packet_type", "packet", "actions"];
                    return Err(key.fail("no such key").suggest(keys));
                }
            }
        }
    }
    out.fields = fields.finish(ports)?;
    if out.fields.looks_at_headers() {
        return Err(whole
            .fail("a field of the packet's headers")
            .help("the packet says it itself"));
    }
    let is_frame = out.fields.get(Field::PacketType.place()).0 == 0;
    match (packet, actions) {
        (None, _) => Err(whole
            .fail("the packet is missing")
            .help("packet=<hexadecimal digits>")),
        (_, false) => Err(whole
            .fail("actions are missing")
            .help("end with actions=...")),
        (Some(digits), _) if is_frame && out.data.len() < 14 => {
            Err(digits.fail("too short for an Ethernet header of 14 bytes"))
        }
        _ => Ok(out),
    }
}

/// A packet in hexadecimal digits.
pub fn packet_bytes(word: Word<'_>) -> Result<Vec<u8>> {
    let fault = || word.fail("not pairs of hexadecimal digits");
    let digits: Option<Vec<u8>> = word
        .text
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    let digits = digits.filter(|d| d.len() % 2 == 0).ok_or_else(fault)?;
    match digits.len() / 2 {
        0 => Err(word.fail("no packet")),
        1..=0xffff => Ok(digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()),
        _ => Err(word.fail("too long for a packet")),
    }
}
