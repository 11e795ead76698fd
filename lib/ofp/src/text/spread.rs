//! `multipath`, `bundle`, `bundle_load`, `check_pkt_larger` and `sample` as text, read and printed.

use super::action::{Arg, writable};
use super::learn::one_bit;
use super::ports::print_port;
use super::print::Style;
use super::scan::{Result, Word};
use super::value::print_subfield;
use crate::action::{Action, HashFields, Multipath, MultipathAlgorithm, PortBundle, Sample};
use crate::field::Subfield;
use crate::types::PortNo;
use crate::wire::BUNDLE_MAX;

const FIELDS: [(&str, HashFields); 7] = [
    ("eth_src", HashFields::EthSrc),
    ("symmetric_l4", HashFields::SymmetricL4),
    ("symmetric_l3l4", HashFields::SymmetricL3L4),
    ("symmetric_l3l4+udp", HashFields::SymmetricL3L4Udp),
    ("nw_src", HashFields::NwSrc),
    ("nw_dst", HashFields::NwDst),
    ("symmetric_l3", HashFields::SymmetricL3),
];
const ALGORITHMS: [(&str, MultipathAlgorithm); 4] = [
    ("modulo_n", MultipathAlgorithm::ModuloN),
    ("hash_threshold", MultipathAlgorithm::HashThreshold),
    ("hrw", MultipathAlgorithm::Hrw),
    ("iter_hash", MultipathAlgorithm::IterHash),
];
/// `true`: active_backup.
const BUNDLE_ALGORITHMS: [(&str, bool); 2] = [("active_backup", true), ("hrw", false)];
const DIRECTIONS: [(&str, u8); 2] = [("ingress", 1), ("egress", 2)];

/// The value of a name of a table.
fn named<T: Copy>(word: Word<'_>, table: &[(&'static str, T)], what: &str) -> Result<T> {
    let row = table.iter().find(|row| row.0 == word.text);
    row.map(|row| row.1).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|row| row.0).collect();
        word.fail(what).help(names.join(", "))
    })
}

fn name<T: Copy + PartialEq>(value: T, table: &[(&'static str, T)]) -> &'static str {
    table
        .iter()
        .find(|row| row.1 == value)
        .map_or("", |row| row.0)
}

/// The words between commas and spaces.
fn words<'a>(value: Word<'a>) -> Vec<Word<'a>> {
    value
        .split(',')
        .flat_map(|part| part.split(' '))
        .map(Word::trim)
        .filter(|word| !word.text.is_empty())
        .collect()
}

/// Bits of a field that these actions have room to name.
fn short(word: Word<'_>) -> Result<Subfield> {
    let bits = writable(word)?;
    match crate::wire::is_experimenter(bits.field) {
        false => Ok(bits),
        true => Err(word
            .fail("this action can not name this field")
            .help("reg0 to reg15 can be named")),
    }
}

/// `multipath(FIELDS,BASIS,ALGORITHM,LINKS,ARGUMENT,DESTINATION)`
pub(super) fn multipath(arg: &Arg<'_, '_>) -> Result<Action> {
    const FORM: &str = "multipath(FIELDS,BASIS,ALGORITHM,LINKS,ARGUMENT,FIELD[BITS])";
    let value = arg.need()?;
    let [fields, basis, algorithm, links, argument, to] = words(value)[..] else {
        return Err(value.fail("needs six values").help(FORM));
    };
    let fields = named(fields, &FIELDS, "nothing that can be hashed")?;
    let algorithm = named(algorithm, &ALGORITHMS, "no such algorithm")?;
    let destination = short(to)?;
    let n_links = links.number(65536)? as u32;
    if n_links == 0 {
        return Err(links.fail("there are 1 to 65536 links"));
    }
    if destination.width < 17 && n_links > 1 << destination.width {
        let (bits, values) = (destination.width, 1u32 << destination.width);
        return Err(links
            .fail(format!("{bits} bits tell {values} links apart"))
            .help("a wider destination, or fewer links"));
    }
    Ok(Action::Multipath(Multipath {
        fields,
        basis: basis.int()?,
        algorithm,
        n_links,
        argument: argument.int()?,
        destination,
    }))
}

/// `bundle(FIELDS,BASIS,ALGORITHM,ofport,members:PORT,...)`; with `load`, a field before the members.
fn read_bundle(arg: &Arg<'_, '_>, load: bool) -> Result<Action> {
    let form = match load {
        true => "bundle_load(FIELDS,BASIS,ALGORITHM,ofport,FIELD[BITS],members:PORT,...)",
        false => "bundle(FIELDS,BASIS,ALGORITHM,ofport,members:PORT,...)",
    };
    let value = arg.need()?;
    let no_members = || value.fail("has no members").help(form);
    let split = |word| value.split_once(word);
    let (head, members) = split("members:")
        .or_else(|| split("slaves:"))
        .ok_or_else(no_members)?;
    let head = words(head);
    let (head, to) = match head.split_last() {
        Some((to, head)) if load => (head, Some(*to)),
        _ => (&head[..], None),
    };
    let &[fields, basis, algorithm, kind] = head else {
        return Err(value.fail("has not as many values as it should").help(form));
    };
    if kind.text != "ofport" {
        return Err(kind.fail("only ports can be chosen").help(form));
    }
    let destination = to.map(short).transpose()?;
    if let (Some(to), Some(..16)) = (to, destination.map(|to| to.width)) {
        return Err(to.fail("a port's number needs 16 bits"));
    }
    let ports: Vec<PortNo> = words(members)
        .into_iter()
        .map(|word| arg.port(word))
        .collect::<Result<_>>()?;
    if ports.len() > BUNDLE_MAX {
        return Err(members.fail(format!("more than {BUNDLE_MAX} members")));
    }
    Ok(Action::Bundle(Box::new(PortBundle {
        active_backup: named(algorithm, &BUNDLE_ALGORITHMS, "no such algorithm")?,
        fields: named(fields, &FIELDS, "nothing that can be hashed")?,
        basis: basis.int()?,
        ports,
        destination,
    })))
}

/// See [`read_bundle`].
pub(super) fn bundle(arg: &Arg<'_, '_>) -> Result<Action> {
    read_bundle(arg, false)
}

/// See [`read_bundle`].
pub(super) fn bundle_load(arg: &Arg<'_, '_>) -> Result<Action> {
    read_bundle(arg, true)
}

/// `check_pkt_larger(SIZE)->FIELD[BIT]`
pub(super) fn check_pkt_larger(arg: &Arg<'_, '_>) -> Result<Action> {
    let to = arg.item.arrow.ok_or_else(|| {
        let fault = arg.item.key.fail("does not say where the answer goes");
        fault.help("check_pkt_larger(1500)->reg0[0]")
    })?;
    Ok(Action::CheckPktLarger {
        size: arg.need()?.int()?,
        destination: one_bit(to)?,
    })
}

/// `sample(probability=N,collector_set_id=N[,...])`
pub(super) fn sample(arg: &Arg<'_, '_>) -> Result<Action> {
    let mut sample = Sample {
        sampling_port: PortNo::ANY,
        ..Sample::default()
    };
    for item in arg.need()?.items_once() {
        let item = item?;
        match item.key.text {
            "probability" => {
                let word = item.need()?;
                sample.probability = word.int()?;
                if sample.probability == 0 {
                    return Err(word.fail("never").help("1 to 65535 of 65535 packets"));
                }
            }
            "collector_set_id" => sample.collector_set = item.need()?.int()?,
            "obs_domain_id" => sample.observation_domain = item.need()?.int()?,
            "obs_point_id" => sample.observation_point = item.need()?.int()?,
            "sampling_port" => sample.sampling_port = arg.port(item.need()?)?,
            _ => sample.direction = named(item.key, &DIRECTIONS, "not a key of sample")?,
        }
    }
    match sample.probability {
        0 => Err(arg
            .item
            .key
            .fail("needs a probability")
            .help("sample(probability=65535,...)")),
        _ => Ok(Action::Sample(Box::new(sample))),
    }
}

/// The action as text, if it is one of these.
pub(super) fn print(action: &Action, style: &Style<'_>) -> Option<String> {
    let bits = |sub| {
        let mut out = String::new();
        print_subfield(&mut out, sub);
        out
    };
    let port = |port| {
        let mut out = String::new();
        print_port(&mut out, port, style.port_names());
        out
    };
    Some(match action {
        Action::Multipath(m) => format!(
            "multipath({},{},{},{},{},{})",
            name(m.fields, &FIELDS),
            m.basis,
            name(m.algorithm, &ALGORITHMS),
            m.n_links,
            m.argument,
            bits(m.destination)
        ),
        Action::Bundle(b) => {
            let ports: Vec<String> = b.ports.iter().map(|p| port(*p)).collect();
            let (verb, to) = match b.destination {
                Some(to) => ("bundle_load", bits(to) + ","),
                None => ("bundle", String::new()),
            };
            format!(
                "{verb}({},{},{},ofport,{to}members:{})",
                name(b.fields, &FIELDS),
                b.basis,
                name(b.active_backup, &BUNDLE_ALGORITHMS),
                ports.join(",")
            )
        }
        Action::CheckPktLarger { size, destination } => {
            format!("check_pkt_larger({size})->{}", bits(*destination))
        }
        Action::Sample(s) => {
            let sampling_port = match s.sampling_port {
                PortNo::ANY => String::new(),
                from => format!(",sampling_port={}", port(from)),
            };
            let direction = match name(s.direction, &DIRECTIONS) {
                "" => String::new(),
                direction => format!(",{direction}"),
            };
            format!(
                "sample(probability={},collector_set_id={},obs_domain_id={},obs_point_id={}{sampling_port}{direction})",
                s.probability, s.collector_set, s.observation_domain, s.observation_point
            )
        }
        _ => return None,
    })
}
