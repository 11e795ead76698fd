//! Actions as text, read: one table of names and readers. What it yields prints back the same
//! ([`print_actions`](super::print::print_actions)).

use super::ports::{PortNames, read_port, read_table, reserved_or_number};
use super::scan::{Item, Result, TextError, Word};
use super::value::{ethernet, field_named, field_names, ipv4, read_subfield, read_value, unknown};
use super::{experimenter, header, learn, spread, trigger};
use crate::action::{Action, Controller, PacketInReason, WHOLE_PACKET};
use crate::check::fits_action_set;
use crate::field::{Field, Subfield};
use crate::types::{GroupId, MeterId, PortNo};
use packet::MacAddr;
use std::net::Ipv4Addr;

/// How deep `clone` and `write_actions` may nest.
const DEPTH_LIMIT: usize = 8;
/// Actions in one list at most; OpenFlow's 64 KiB messages hold no more.
const LEN_LIMIT: usize = 8192;

/// What a reader of the table gets.
pub(super) struct Arg<'a, 'p> {
    pub(super) item: Item<'a>,
    pub(super) ports: &'p dyn PortNames,
    depth: usize,
}

type Reader = fn(&Arg<'_, '_>) -> Result<Action>;

/// Name and reader of each action that is not simply a port.
const ACTIONS: &[(&str, Reader)] = &[
    ("output", output),
    ("enqueue", enqueue),
    ("controller", controller),
    ("group", |a| Ok(Action::Group(GroupId(a.need()?.int()?)))),
    ("mod_vlan_vid", |a| vlan_vid(a, true)),
    ("set_vlan_vid", |a| vlan_vid(a, true)),
    ("mod_vlan_pcp", |a| vlan_pcp(a, true)),
    ("set_vlan_pcp", |a| vlan_pcp(a, true)),
    ("strip_vlan", |a| a.nothing(Action::StripVlan)),
    ("pop_vlan", |a| a.nothing(Action::StripVlan)),
    ("push_vlan", push_vlan),
    ("mod_dl_src", |a| Ok(Action::SetEthSrc(mac(a)?))),
    ("mod_dl_dst", |a| Ok(Action::SetEthDst(mac(a)?))),
    ("mod_nw_src", |a| Ok(Action::SetIpv4Src(address(a)?))),
    ("mod_nw_dst", |a| Ok(Action::SetIpv4Dst(address(a)?))),
    ("mod_nw_tos", mod_nw_tos),
    ("mod_nw_ecn", |a| {
        Ok(Action::SetIpEcn(a.need()?.number(3)? as u8))
    }),
    ("mod_nw_ttl", |a| Ok(Action::SetIpTtl(a.need()?.int()?))),
    ("set_nw_ttl", |a| Ok(Action::SetIpTtl(a.need()?.int()?))),
    ("mod_tp_src", |a| Ok(Action::SetL4Src(a.need()?.int()?))),
    ("mod_tp_dst", |a| Ok(Action::SetL4Dst(a.need()?.int()?))),
    ("set_field", set_field),
    ("load", load),
    ("move", move_bits),
    ("push", |a| Ok(Action::StackPush(read_subfield(a.need()?)?))),
    ("pop", |a| Ok(Action::StackPop(writable(a.need()?)?))),
    ("dec_ttl", dec_ttl),
    ("set_tunnel", set_tunnel),
    ("set_tunnel64", |a| {
        Ok(Action::SetTunnel {
            id: a.need()?.int()?,
            wide: true,
        })
    }),
    ("set_queue", |a| Ok(Action::SetQueue(a.need()?.int()?))),
    ("pop_queue", |a| a.nothing(Action::PopQueue)),
    ("resubmit", resubmit),
    ("exit", |a| a.nothing(Action::Exit)),
    ("note", note),
    ("clone", |a| Ok(Action::Clone(nested(a)?))),
    ("push_mpls", header::push_mpls),
    ("pop_mpls", |a| Ok(Action::PopMpls(a.need()?.int()?))),
    ("set_mpls_label", |a| {
        Ok(Action::SetMplsLabel(a.need()?.number(0xf_ffff)? as u32))
    }),
    ("set_mpls_tc", |a| {
        Ok(Action::SetMplsTc(a.need()?.number(7)? as u8))
    }),
    ("set_mpls_ttl", |a| Ok(Action::SetMplsTtl(a.need()?.int()?))),
    ("dec_mpls_ttl", |a| a.nothing(Action::DecMplsTtl)),
    ("copy_ttl_out", |a| a.nothing(Action::CopyTtlOut)),
    ("copy_ttl_in", |a| a.nothing(Action::CopyTtlIn)),
    ("push_pbb", header::push_pbb),
    ("pop_pbb", |a| a.nothing(Action::PopPbb)),
    ("encap", header::encap),
    ("decap", header::decap),
    ("learn", learn::learn),
    ("conjunction", learn::conjunction),
    ("fin_timeout", learn::fin_timeout),
    ("multipath", spread::multipath),
    ("bundle", spread::bundle),
    ("bundle_load", spread::bundle_load),
    ("check_pkt_larger", spread::check_pkt_larger),
    ("sample", spread::sample),
    ("delete_field", delete_field),
    ("fragment", experimenter::fragment),
    ("reassemble", experimenter::reassemble),
    ("bpdu", experimenter::bpdu),
    ("meter", meter),
    ("clear_actions", |a| a.nothing(Action::ClearActions)),
    ("write_actions", write_actions),
    ("write_metadata", write_metadata),
    ("stat_trigger", trigger::stat_trigger),
    ("goto_table", |a| {
        Ok(Action::GotoTable(read_table(a.need()?, 254, a.ports)?))
    }),
];

/// Actions of Open vSwitch that are refused by name.
const UNSUPPORTED: &[&str] = &["ct", "ct_clear", "nat", "dec_nsh_ttl"];

/// The names of actions as text; those of Open vSwitch's that are refused by name.
pub fn action_names() -> (impl Iterator<Item = &'static str>, &'static [&'static str]) {
    (ACTIONS.iter().map(|row| row.0), UNSUPPORTED)
}

/// Reads a whole list: what follows `actions=`. `drop` and nothing are the empty list.
pub(super) fn read_list(
    text: Word<'_>,
    ports: &dyn PortNames,
    depth: usize,
) -> Result<Vec<Action>> {
    let mut actions = Vec::new();
    let mut drop: Option<Word<'_>> = None;
    for item in text.items() {
        let item = item?;
        if item.key.text.eq_ignore_ascii_case("drop") {
            item.bare()?;
            drop = Some(item.key);
            continue;
        }
        if actions.len() == LEN_LIMIT {
            return Err(item.key.fail(format!("more than {LEN_LIMIT} actions")));
        }
        let action = read_one(&Arg { item, ports, depth })?;
        if depth > 0 && rank(&action) != APPLY {
            return Err(item
                .key
                .fail("is an instruction, not an action, so it can not be nested"));
        }
        in_order(&actions, &action, item.key)?;
        actions.push(action);
    }
    match drop {
        Some(word) if !actions.is_empty() => {
            Err(word.fail("drop stands alone").help("leave it out"))
        }
        _ => Ok(actions),
    }
}

fn read_one(arg: &Arg<'_, '_>) -> Result<Action> {
    let key = arg.item.key;
    let name = key.text.to_ascii_lowercase();
    if let Some(arrow) = arg.item.arrow
        && name != "check_pkt_larger"
    {
        return Err(arrow.fail(format!("{} has no destination", key.text)));
    }
    if let Some((_, read)) = ACTIONS.iter().find(|row| row.0 == name) {
        return read(arg);
    }
    if UNSUPPORTED.contains(&name.as_str()) {
        return Err(key
            .fail("not supported by this switch")
            .help("there is no connection tracking and no NSH"));
    }
    let unknown = || {
        // Of names that are as near, the first: who writes "dop" means "drop" and not "pop".
        let often = ["drop", "normal", "flood", "all", "local", "in_port"];
        let names = ACTIONS.iter().map(|row| row.0);
        key.fail("no such action")
            .suggest(often.into_iter().chain(names))
    };
    if arg.item.value.is_some() {
        return Err(unknown());
    }
    let port = reserved_or_number(key)?.or_else(|| arg.ports.number(key.text));
    output_to(key, port.ok_or_else(unknown)?)
}

const APPLY: u8 = 1;

/// Whether only a flow has a place for it; a meter is an action since OpenFlow 1.5.
pub(super) fn is_of_flows(action: &Action) -> bool {
    rank(action) != APPLY && !matches!(action, Action::Meter(_))
}

/// The order of instructions (OpenFlow 1.5.1 section 5.5).
fn rank(action: &Action) -> u8 {
    match action {
        Action::Meter(_) => 0,
        Action::ClearActions => 2,
        Action::WriteActions(_) => 3,
        Action::WriteMetadata { .. } => 4,
        Action::StatTrigger(_) => 5,
        Action::GotoTable(_) => 6,
        _ => APPLY,
    }
}

const RANKS: [&str; 7] = [
    "meter",
    "actions",
    "clear_actions",
    "write_actions",
    "write_metadata",
    "stat_trigger",
    "goto_table",
];

fn in_order(before: &[Action], action: &Action, key: Word<'_>) -> Result<()> {
    let last = match before.last() {
        None => return Ok(()),
        Some(Action::Reassemble(table)) => {
            return Err(key
                .fail("nothing can follow reassemble")
                .help(format!("the packet goes on in table {table}")));
        }
        Some(last) => rank(last),
    };
    let this = rank(action);
    if this < last {
        let names = (RANKS[usize::from(this)], RANKS[usize::from(last)]);
        return Err(key
            .fail(format!("must stand before {}", names.1))
            .help(format!(
                "instructions run in the order {}",
                RANKS.join(", ")
            )));
    }
    if this == last && this != APPLY {
        return Err(key.fail("given twice"));
    }
    Ok(())
}

impl<'a> Arg<'a, '_> {
    pub(super) fn need(&self) -> Result<Word<'a>> {
        self.item.need()
    }
    fn nothing(&self, action: Action) -> Result<Action> {
        match self.item.value {
            Some(value) if !value.text.is_empty() => {
                Err(value.fail(format!("{} takes no value", self.item.key.text)))
            }
            _ => Ok(action),
        }
    }
    pub(super) fn port(&self, word: Word<'_>) -> Result<PortNo> {
        read_port(word, self.ports)
    }
    /// The values in parentheses, or between colons.
    fn list(&self) -> Result<Vec<Word<'a>>> {
        let value = self.need()?;
        let separator = if self.item.parenthesised { ',' } else { ':' };
        Ok(value.split(separator).map(Word::trim).collect())
    }
}

fn output_to(word: Word<'_>, port: PortNo) -> Result<Action> {
    match port {
        PortNo::ANY | PortNo::UNSET => Err(word.fail("nothing can be output there")),
        PortNo::CONTROLLER => Ok(Action::Output {
            port,
            max_len: WHOLE_PACKET,
        }),
        _ => Ok(Action::Output { port, max_len: 0 }),
    }
}

fn output(arg: &Arg<'_, '_>) -> Result<Action> {
    let value = arg.need()?;
    if value.text.contains("port=") || value.text.contains("max_len=") {
        let (mut port, mut max_len) = (None, None);
        for item in value.items_once() {
            let item = item?;
            match item.key.text {
                "port" => port = Some(arg.port(item.need()?)?),
                "max_len" => max_len = Some((item.need()?, item.need()?.int()?)),
                _ => {
                    return Err(item
                        .key
                        .fail("not a key of output")
                        .help("port and max_len"));
                }
            }
        }
        return match (port, max_len) {
            (Some(_), Some((word, 0..14))) => Err(word.fail("too short, the least is 14")),
            (Some(port), Some((_, max_len))) => Ok(Action::OutputTrunc { port, max_len }),
            _ => Err(value
                .fail("needs port and max_len")
                .help("output(port=1,max_len=100)")),
        };
    }
    if let Some(port) = reserved_or_number(value)?.or_else(|| arg.ports.number(value.text)) {
        return output_to(value, port);
    }
    let name = value.text.split('[').next().unwrap_or_default();
    if field_named(name).is_some() {
        return Ok(Action::OutputReg {
            source: read_subfield(value)?,
            max_len: WHOLE_PACKET,
        });
    }
    output_to(value, arg.port(value)?)
}

fn enqueue(arg: &Arg<'_, '_>) -> Result<Action> {
    match arg.list()?.as_slice() {
        [port, queue] => Ok(Action::Enqueue {
            port: arg.port(*port)?,
            queue: queue.int()?,
        }),
        _ => Err(arg
            .need()?
            .fail("needs a port and a queue")
            .help("enqueue:PORT:QUEUE")),
    }
}

const REASONS: &[(&str, PacketInReason)] = &[
    ("no_match", PacketInReason::NoMatch),
    ("action", PacketInReason::Action),
    ("invalid_ttl", PacketInReason::InvalidTtl),
    ("action_set", PacketInReason::ActionSet),
    ("group", PacketInReason::Group),
    ("packet_out", PacketInReason::PacketOut),
];

/// A reason's name.
pub(super) fn reason_name(reason: PacketInReason) -> &'static str {
    REASONS
        .iter()
        .find(|r| r.1 == reason)
        .map_or("unknown", |r| r.0)
}

fn controller(arg: &Arg<'_, '_>) -> Result<Action> {
    let simple = |max_len| Action::Output {
        port: PortNo::CONTROLLER,
        max_len,
    };
    let Some(value) = arg.item.value else {
        return Ok(simple(WHOLE_PACKET));
    };
    if !arg.item.parenthesised {
        return Ok(simple(value.int()?));
    }
    let mut c = Controller {
        max_len: WHOLE_PACKET,
        ..Controller::default()
    };
    for item in value.items_once() {
        let item = item?;
        match item.key.text {
            "max_len" => c.max_len = item.need()?.int()?,
            "id" => c.id = item.need()?.int()?,
            "reason" => {
                let word = item.need()?;
                let row = REASONS.iter().find(|r| r.0 == word.text);
                c.reason = row
                    .ok_or_else(|| {
                        word.fail("no such reason")
                            .suggest(REASONS.iter().map(|r| r.0))
                    })?
                    .1;
            }
            "userdata" => c.userdata = bytes(item.need()?)?,
            "pause" => {
                item.bare()?;
                c.pause = true;
            }
            "meter_id" => c.meter = Some(MeterId(item.need()?.int()?)),
            _ => {
                let keys = ["max_len", "id", "reason", "userdata", "pause", "meter_id"];
                return Err(item.key.fail("not a key of controller").suggest(keys));
            }
        }
    }
    let default = Controller {
        max_len: c.max_len,
        ..Controller::default()
    };
    Ok(if c == default {
        simple(c.max_len)
    } else {
        Action::Controller(Box::new(c))
    })
}

/// Hexadecimal octets, with dots between them or not.
fn bytes(word: Word<'_>) -> Result<Vec<u8>> {
    let fault = || {
        word.fail("not pairs of hexadecimal digits")
            .help("as in 00.11.ab")
    };
    let digits: Vec<u8> = word
        .text
        .bytes()
        .filter(|b| *b != b'.')
        .map(|b| char::from(b).to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()
        .ok_or_else(fault)?;
    match digits.len() % 2 {
        0 => Ok(digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()),
        _ => Err(fault()),
    }
}

fn meter(arg: &Arg<'_, '_>) -> Result<Action> {
    let word = arg.need()?;
    let help = format!("a meter is 1 to {}", MeterId::MAX);
    match word.number(u128::from(MeterId::MAX.0)) {
        Ok(0) => Err(word.fail("no such meter").help(help)),
        number => Ok(Action::Meter(MeterId(
            number.map_err(|e| e.help(help))? as u32
        ))),
    }
}

fn vlan_vid(arg: &Arg<'_, '_>, push: bool) -> Result<Action> {
    let word = arg.need()?;
    let vid = word
        .number(0xfff)
        .map_err(|e| e.help("a VLAN id is 0 to 4095"))?;
    Ok(Action::SetVlanVid {
        vid: vid as u16,
        push,
    })
}

fn vlan_pcp(arg: &Arg<'_, '_>, push: bool) -> Result<Action> {
    Ok(Action::SetVlanPcp {
        pcp: arg.need()?.number(7)? as u8,
        push,
    })
}

fn push_vlan(arg: &Arg<'_, '_>) -> Result<Action> {
    let word = arg.need()?;
    match word.int()? {
        tpid @ (0x8100 | 0x88a8) => Ok(Action::PushVlan(tpid)),
        _ => Err(word
            .fail("not a VLAN tag's Ethertype")
            .help("0x8100 or 0x88a8")),
    }
}

fn mac(arg: &Arg<'_, '_>) -> Result<MacAddr> {
    Ok(MacAddr::from_u64(ethernet(arg.need()?)? as u64))
}

fn address(arg: &Arg<'_, '_>) -> Result<Ipv4Addr> {
    Ok(Ipv4Addr::from(ipv4(arg.need()?)? as u32))
}

fn mod_nw_tos(arg: &Arg<'_, '_>) -> Result<Action> {
    let word = arg.need()?;
    match word.int::<u8>()? {
        tos if tos & 3 == 0 => Ok(Action::SetIpTos(tos)),
        _ => Err(word
            .fail("the lower two bits are ECN")
            .help("a multiple of 4; mod_nw_ecn sets the others")),
    }
}

/// The two sides of `a->b`.
pub(super) fn arrow<'a>(word: Word<'a>) -> Result<(Word<'a>, Word<'a>)> {
    let sides = word.split_once("->");
    sides.ok_or_else(|| {
        word.fail("\"->\" and the field are missing")
            .help("VALUE->FIELD")
    })
}

pub(super) fn writable(word: Word<'_>) -> Result<Subfield> {
    let sub = read_subfield(word)?;
    if !sub.field.row().writable {
        return Err(word.fail("this field can not be written"));
    }
    Ok(sub)
}

fn set_field(arg: &Arg<'_, '_>) -> Result<Action> {
    let (left, name) = arrow(arg.need()?)?;
    let row = field_named(name.text).ok_or_else(|| {
        if name.text.contains('[') {
            let fault = name.fail("no such field");
            fault.help("load takes bits of a field")
        } else {
            unknown(name, "no such field", field_names())
        }
    })?;
    if !row.writable {
        return Err(name.fail("this field can not be written"));
    }
    let (value, mask) = read_value(row, left, arg.ports)?;
    if row.field == Field::IpTos && value & 3 != 0 {
        return Err(left.fail("the lower two bits of nw_tos are ECN"));
    }
    Ok(Action::SetField {
        field: row.field,
        value: value & mask,
        mask,
    })
}

fn load(arg: &Arg<'_, '_>) -> Result<Action> {
    let (left, right) = arrow(arg.need()?)?;
    let destination = writable(right)?;
    let ones = destination.mask() >> destination.start;
    let value = left
        .number(ones)
        .map_err(|e| e.help(format!("{} takes {} bits", right.text, destination.width)))?;
    Ok(Action::Load { value, destination })
}

fn move_bits(arg: &Arg<'_, '_>) -> Result<Action> {
    let whole = arg.need()?;
    let (left, right) = arrow(whole)?;
    let (source, destination) = (read_subfield(left)?, writable(right)?);
    if source.width != destination.width {
        return Err(whole.fail(format!(
            "from {} bits to {} bits",
            source.width, destination.width
        )));
    }
    Ok(Action::Move {
        source,
        destination,
    })
}

fn delete_field(arg: &Arg<'_, '_>) -> Result<Action> {
    let word = arg.need()?;
    let row = field_named(word.text);
    match row.filter(|row| row.field.is_tun_metadata()) {
        Some(row) => Ok(Action::DeleteField(row.field)),
        None => Err(word
            .fail("not a field that can be deleted")
            .help("tun_metadata0 to tun_metadata63")),
    }
}

fn dec_ttl(arg: &Arg<'_, '_>) -> Result<Action> {
    let ids = match arg.item.value {
        Some(value) if !value.text.is_empty() => value
            .split(',')
            .map(|w| w.trim().int())
            .collect::<Result<_>>()?,
        _ => Vec::new(),
    };
    Ok(Action::DecTtl(ids))
}

fn set_tunnel(arg: &Arg<'_, '_>) -> Result<Action> {
    let id: u64 = arg.need()?.int()?;
    Ok(Action::SetTunnel {
        id,
        wide: id > u64::from(u32::MAX),
    })
}

fn resubmit(arg: &Arg<'_, '_>) -> Result<Action> {
    let (port, to) = match arg.item.value {
        Some(value) if arg.item.parenthesised => match value.split_once(",") {
            Some((port, to)) => (port.trim(), Some(to.trim())),
            None => (value.trim(), None),
        },
        Some(value) => (value, None),
        None => {
            return Err(arg
                .item
                .key
                .fail("needs a port or a table")
                .help("resubmit(PORT,TABLE)"));
        }
    };
    if let Some((_, extra)) = to.and_then(|t| t.split_once(",")) {
        return Err(extra.fail("resubmit takes a port and a table"));
    }
    let to = to.filter(|t| !t.text.is_empty());
    let in_port = match port.text {
        "" => None,
        _ => Some(arg.port(port)?).filter(|p| *p != PortNo::IN_PORT),
    };
    if in_port.is_none() && to.is_none() && port.text.is_empty() {
        return Err(arg
            .item
            .key
            .fail("needs a port or a table")
            .help("resubmit(PORT,TABLE)"));
    }
    Ok(Action::Resubmit {
        in_port,
        table: to.map(|to| read_table(to, 254, arg.ports)).transpose()?,
    })
}

fn note(arg: &Arg<'_, '_>) -> Result<Action> {
    Ok(Action::Note(arg.item.value.map_or(Ok(Vec::new()), bytes)?))
}

fn nested(arg: &Arg<'_, '_>) -> Result<Vec<Action>> {
    let Some(value) = arg.item.value else {
        return Ok(Vec::new());
    };
    if arg.depth == DEPTH_LIMIT {
        return Err(arg
            .item
            .key
            .fail(format!("nested more than {DEPTH_LIMIT} deep")));
    }
    read_list(value, arg.ports, arg.depth + 1)
}

fn write_actions(arg: &Arg<'_, '_>) -> Result<Action> {
    let actions = nested(arg)?;
    let unfit = !actions.iter().all(fits_action_set);
    match arg.item.value {
        Some(value) if unfit => Err(value.fail("holds an action that can not be in an action set")),
        _ => Ok(Action::WriteActions(actions)),
    }
}

fn write_metadata(arg: &Arg<'_, '_>) -> Result<Action> {
    let word = arg.need()?;
    let (value, mask) = match word.split_once("/") {
        None => (word.int()?, u64::MAX),
        Some((value, mask)) => (value.int()?, mask.bits64()?),
    };
    Ok(Action::WriteMetadata { value, mask })
}

/// Reads a list of actions alone, as in `output:1,dec_ttl`.
pub fn read_actions(
    text: &str,
    ports: &dyn PortNames,
) -> std::result::Result<Vec<Action>, TextError> {
    read_list(Word::new(text), ports, 0)
}
