//! From items to bytes, the last one first: what is behind a header is known when it is filled in.

use super::table::{ETHER_TYPES, Field, Fill, PROTOCOLS, Row, UNKNOWN_PROTO, UNKNOWN_TYPE};
use super::{Given, Item};
use packet::checksum::{self, Sum};
use packet::{ethertype, sctp};

/// The value of a field that is to be computed, though it is given (the `csum` of GRE).
pub const COMPUTE: u128 = u128::MAX;

/// The frame that the items describe.
pub fn build(items: &[Item]) -> Vec<u8> {
    let (mut frame, mut options) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate().rev() {
        match item {
            Item::Header { row, given } => {
                let surroundings = Surroundings::new(items, index);
                frame = header(row, given, &options, &frame, &surroundings);
                options = Vec::new();
            }
            Item::Options(bytes) => options = [bytes.as_slice(), &options].concat(),
            Item::Bytes(bytes) => frame = [bytes.as_slice(), &frame].concat(),
            Item::Trailer(_) | Item::Pad(_) => {}
        }
    }
    for item in items {
        match item {
            Item::Trailer(bytes) => frame.extend(bytes),
            Item::Pad(size) => frame.resize(frame.len().max(*size), 0),
            _ => {}
        }
    }
    frame
}

/// A header (with its options) and what is behind it.
fn header(
    row: &Row,
    given: &[Given],
    options: &[u8],
    behind: &[u8],
    around: &Surroundings,
) -> Vec<u8> {
    let mut fixed = vec![0; row.size];
    let is_given = |field: &Field| given.iter().any(|given| given.field.name == field.name);
    for field in row.fields {
        if let Fill::Value(value) = field.fill {
            field.set(&mut fixed, value);
        }
    }
    let mut words = Vec::new();
    for field in row.fields {
        for Given { value, .. } in given.iter().filter(|given| given.field.name == field.name) {
            match field.fill {
                Fill::Absent(flag) => {
                    fixed[0] |= (flag >> 8) as u8;
                    let word = if *value == COMPUTE { 0 } else { *value as u32 };
                    words.extend(word.to_be_bytes());
                }
                _ => field.set(&mut fixed, *value),
            }
        }
    }
    let mut whole = [&fixed, &words, options, behind].concat();
    // Checksums come last: they cover the other fields.
    for is_checksum in [false, true] {
        for field in row.fields {
            if field.fill.is_checksum() == is_checksum
                && !is_given(field)
                && let Some(value) = filled(row, field, &whole, options.len(), around)
            {
                field.set(&mut whole, value);
            }
        }
    }
    if given.iter().any(|given| given.value == COMPUTE) {
        let sum = checksum::of(&whole);
        whole[row.size..row.size + 2].copy_from_slice(&sum.to_be_bytes());
    }
    whole
}

/// What the items around a header say.
pub struct Surroundings {
    next: Option<&'static str>,
    /// Source and destination of the IP header before, both of 4 or of 16 bytes.
    addresses: Option<(Vec<u8>, Vec<u8>)>,
}

impl Surroundings {
    /// The surroundings of the item with this index.
    pub fn new(items: &[Item], index: usize) -> Surroundings {
        let name = |item: &Item| match item {
            Item::Header { row, .. } => Some(row.name),
            _ => None,
        };
        let next = items[index + 1..]
            .iter()
            .find(|item| !matches!(item, Item::Options(_)))
            .and_then(name);
        let addresses = items[..index].iter().rev().find_map(|item| match item {
            Item::Header { row, given } if matches!(row.name, "ipv4" | "ipv6") => {
                let bytes = |name: &str| {
                    let found = given.iter().find(|given| given.field.name == name);
                    let value = found.map_or(0, |given| given.value).to_be_bytes();
                    value[if row.name == "ipv4" { 12 } else { 0 }..].to_vec()
                };
                Some((bytes("src"), bytes("dst")))
            }
            _ => None,
        });
        Surroundings { next, addresses }
    }
}

impl Fill {
    fn is_checksum(self) -> bool {
        matches!(
            self,
            Fill::HeaderChecksum | Fill::PlainChecksum | Fill::PseudoChecksum | Fill::Crc
        )
    }
}

/// What a field is filled with if it is not given. `whole` is its header (all other fields as they are to be),
/// options and all behind it. `None` for fields that are not filled.
pub fn filled(
    row: &Row,
    field: &Field,
    whole: &[u8],
    options_size: usize,
    around: &Surroundings,
) -> Option<u128> {
    let header_size = row.size + options_size;
    let behind = whole.len().saturating_sub(header_size);
    let sum_from = |start: Sum, part: &[u8]| {
        let mut part = part.to_vec();
        field.set(&mut part, 0);
        u128::from(start.bytes(&part).finish())
    };
    let value = match field.fill {
        Fill::Value(value) => value,
        Fill::Alias | Fill::Absent(_) => return None,
        Fill::NextType => match around.next {
            Some("llc" | "snap") => behind as u128,
            next => by_name(ETHER_TYPES, next)
                .map_or(UNKNOWN_TYPE, |(ether_type, _)| *ether_type)
                .into(),
        },
        Fill::NextProto => by_name(PROTOCOLS, around.next)
            .map_or(UNKNOWN_PROTO, |(proto, _)| *proto)
            .into(),
        Fill::WholeSize => whole.len() as u128,
        Fill::PayloadSize => behind as u128,
        Fill::HeaderWords => header_size as u128 / 4,
        Fill::OptionWords => options_size as u128 / 4,
        Fill::HeaderChecksum => sum_from(Sum::new(), whole.get(..header_size).unwrap_or(whole)),
        Fill::PlainChecksum => sum_from(Sum::new(), whole),
        Fill::PseudoChecksum => {
            let sum = sum_from(pseudo(row, whole.len(), around), whole);
            if row.name == "udp" && sum == 0 {
                0xffff
            } else {
                sum
            }
        }
        Fill::Crc => {
            let mut part = whole.to_vec();
            sctp::fill_checksum(&mut part)?;
            field.get(&part)
        }
        Fill::Bottom => u128::from(around.next != Some("mpls")),
    };
    Some(value & field.ones())
}

fn by_name<'t, T>(table: &'t [(T, &str)], name: Option<&str>) -> Option<&'t (T, &'t str)> {
    table.iter().find(|(_, candidate)| Some(*candidate) == name)
}

fn pseudo(row: &Row, size: usize, around: &Surroundings) -> Sum {
    let Some((src, dst)) = &around.addresses else {
        return Sum::new();
    };
    let protocol = by_name(PROTOCOLS, Some(row.name)).map_or(0, |(protocol, _)| *protocol);
    Sum::new()
        .bytes(src)
        .bytes(dst)
        .u16(protocol.into())
        .u32(size as u32)
}

/// The header that an EtherType announces in front of `rest`.
pub fn next_by_type(ether_type: u16, rest: &[u8]) -> Option<&'static str> {
    if ether_type < ethertype::MIN {
        return Some(if rest.starts_with(&[0xaa, 0xaa, 3]) {
            "snap"
        } else {
            "llc"
        });
    }
    ETHER_TYPES
        .iter()
        .find(|(candidate, _)| *candidate == ether_type)
        .map(|(_, name)| *name)
}

/// The header that an IP protocol announces.
pub fn next_by_proto(protocol: u8) -> Option<&'static str> {
    PROTOCOLS
        .iter()
        .find(|(candidate, _)| *candidate == protocol)
        .map(|(_, name)| *name)
}
