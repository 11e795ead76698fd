//! From bytes to text: take the frame apart, leave out what reading would fill in anyway.

use super::build::{Surroundings, filled, next_by_proto, next_by_type};
use super::table::{Field, Fill, Format, Row, find};
use super::{Given, Item, fill};
use core::fmt::Write;
use core::net::{Ipv4Addr, Ipv6Addr};
use packet::{MacAddr, checksum, gre, icmpv6, udp};

/// The text of a frame. Reading it gives the same bytes; what is not understood is in hex.
pub fn print(frame: &[u8]) -> String {
    let items = take_apart(frame);
    let mut text = String::new();
    let mut offset = 0;
    let trailer_size = |item: &Item| {
        if let Item::Trailer(bytes) = item {
            bytes.len()
        } else {
            0
        }
    };
    let end = frame.len() - items.iter().map(trailer_size).sum::<usize>();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        match item {
            Item::Header { row, given } => {
                let whole = &frame[offset..end];
                let options_size = match items.get(index + 1) {
                    Some(Item::Options(bytes)) => bytes.len(),
                    _ => 0,
                };
                let around = Surroundings::new(&items, index);
                let needed = |given: &&Given| {
                    Some(given.value) != filled(row, given.field, whole, options_size, &around)
                };
                let needed: Vec<&Given> = given.iter().filter(needed).collect();
                print_header(&mut text, row, &needed, whole);
                offset += header_size(row, given);
            }
            Item::Options(bytes) => {
                print_hex(&mut text, "opts", bytes);
                offset += bytes.len();
            }
            Item::Bytes(bytes) => print_payload(&mut text, bytes),
            Item::Trailer(bytes) if bytes.iter().all(|byte| *byte == 0) => {
                push(&mut text, format_args!("pad={}", frame.len()))
            }
            Item::Trailer(bytes) => print_hex(&mut text, "trailer", bytes),
            Item::Pad(size) => push(&mut text, format_args!("pad={size}")),
        }
    }
    text
}

/// Writing to a `String` cannot fail.
fn push(text: &mut String, args: core::fmt::Arguments<'_>) {
    let written = text.write_fmt(args);
    debug_assert!(written.is_ok());
}

fn header_size(row: &Row, given: &[Given]) -> usize {
    row.size
        + 4 * given
            .iter()
            .filter(|given| matches!(given.field.fill, Fill::Absent(_)))
            .count()
}

fn print_header(text: &mut String, row: &Row, needed: &[&Given], whole: &[u8]) {
    push(text, format_args!("{}(", row.name));
    let mut separator = "";
    if let Some([src, dst]) = row.pair {
        let side = |name| {
            row.field(name)
                .map_or(String::new(), |field| value_text(field, field.get(whole)))
        };
        push(text, format_args!("{}->{}", side(src), side(dst)));
        separator = ",";
    }
    let in_pair = |field: &Field| row.pair.is_some_and(|pair| pair.contains(&field.name));
    for Given { field, value } in needed.iter().filter(|given| !in_pair(given.field)) {
        let is_right_sum =
            || field.name == "csum" && *value as u16 == 0 && checksum::of(whole) == 0;
        let bare =
            field.format == Format::Flag || matches!(field.fill, Fill::Absent(_)) && is_right_sum();
        if bare {
            push(text, format_args!("{separator}{}", field.name));
        } else {
            push(
                text,
                format_args!("{separator}{}={}", field.name, value_text(field, *value)),
            );
        }
        separator = ",";
    }
    text.push(')');
}

fn value_text(field: &Field, value: u128) -> String {
    match field.format {
        Format::Decimal | Format::Flag => value.to_string(),
        Format::Hex => format!("{value:#x}"),
        Format::Ipv4 => Ipv4Addr::from_bits(value as u32).to_string(),
        Format::Ipv6 => Ipv6Addr::from_bits(value).to_string(),
        Format::TcpFlags => crate::print::TcpFlags(value as u16).to_string(),
        Format::Mac if value > 0 && value < 256 => format!("..{value:02x}"),
        Format::Mac => MacAddr::from_u64(value as u64).to_string(),
    }
}

fn print_hex(text: &mut String, name: &str, bytes: &[u8]) {
    push(text, format_args!("{name}\""));
    for byte in bytes {
        push(text, format_args!("{byte:02x}"));
    }
    text.push('"');
}

/// Shorter payloads than this are not written as `fill=`.
const MIN_FILL: usize = 8;

fn print_payload(text: &mut String, bytes: &[u8]) {
    let is_text = |byte: &u8| matches!(byte, 0x20..=0x7e) && *byte != b'"';
    if bytes.len() >= MIN_FILL && fill(bytes.len()).eq(bytes.iter().copied()) {
        push(text, format_args!("fill={}", bytes.len()));
    } else if bytes.iter().all(is_text) {
        push(text, format_args!("\"{}\"", String::from_utf8_lossy(bytes)));
    } else {
        print_hex(text, "hex", bytes);
    }
}

/// More headers than this are left as payload.
const MAX_HEADERS: usize = 24;

/// The items of a frame, every header with all its fields.
fn take_apart(frame: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut rest, mut trailer): (&[u8], &[u8]) = (frame, &[]);
    let mut trailer_is_known = false;
    let mut next = Some("eth");
    while let Some(row) = next.and_then(find) {
        let header = rest;
        let Some((given, size)) = parse_header(row, header).filter(|_| items.len() < MAX_HEADERS)
        else {
            break;
        };
        let options_size = options_size(row, header);
        items.push(Item::Header { row, given });
        rest = &header[size..];
        if let Some(options) = options_size
            .and_then(|size| rest.get(..size))
            .filter(|options| !options.is_empty())
        {
            items.push(Item::Options(options.to_vec()));
            rest = &rest[options.len()..];
        }
        if let Some(payload_size) =
            payload_size(row, header, header.len() - rest.len()).filter(|_| !trailer_is_known)
        {
            trailer_is_known = true;
            (rest, trailer) = rest.split_at(payload_size.min(rest.len()));
        }
        next = if options_size.is_some() {
            following(row, header, rest)
        } else {
            None
        };
    }
    if !rest.is_empty() {
        items.push(Item::Bytes(rest.to_vec()));
    }
    if !trailer.is_empty() {
        items.push(Item::Trailer(trailer.to_vec()));
    }
    items
}

/// All fields of a header and its size (without options). `None` when it is cut short or not as the table says.
fn parse_header(row: &'static Row, bytes: &[u8]) -> Option<(Vec<Given>, usize)> {
    let fixed = bytes.get(..row.size)?;
    let mut size = row.size;
    let mut given = Vec::new();
    for field in row.fields {
        let value = match field.fill {
            Fill::Alias => continue,
            Fill::Absent(flag) if fixed[0] & (flag >> 8) as u8 == 0 => continue,
            Fill::Absent(_) => {
                let word = bytes.get(size..size + 4)?.first_chunk::<4>()?;
                size += 4;
                u32::from_be_bytes(*word).into()
            }
            _ => field.get(fixed),
        };
        given.push(Given { field, value });
    }
    let refused = match row.name {
        // Other versions and source routes are not laid out like this.
        "gre" => u16::from_be_bytes([fixed[0], fixed[1]]) & (gre::ROUTING | gre::VERSION_MASK) != 0,
        "hopopts" | "dstopts" => row.get(fixed, "words") != 0,
        "snap" => row.get(fixed, "llc") != 0xaaaa03,
        _ => false,
    };
    (!refused).then_some((given, size))
}

/// Bytes of the options, 0 for headers that have none; `None` when the header's size is impossible.
fn options_size(row: &Row, header: &[u8]) -> Option<usize> {
    let words = match row.name {
        "ipv4" => (row.get(header, "ihl") as usize).checked_sub(5)?,
        "tcp" => (row.get(header, "words") as usize).checked_sub(5)?,
        "geneve" => row.get(header, "words") as usize,
        _ => 0,
    };
    Some(words * 4).filter(|size| row.size + size <= header.len())
}

/// How many bytes behind the header (and options, together `size`) belong to it, if it says so.
fn payload_size(row: &Row, header: &[u8], size: usize) -> Option<usize> {
    match row.name {
        "ipv4" => (row.get(header, "size") as usize).checked_sub(size),
        "ipv6" => Some(row.get(header, "size") as usize),
        "arp" => Some(0),
        "eth" | "vlan" | "svlan" => {
            let size = row.get(header, "type") as usize;
            (size < packet::ethertype::MIN.into()).then_some(size)
        }
        _ => None,
    }
}

/// The header that follows, by what this one says and how `rest` starts.
fn following(row: &Row, header: &[u8], rest: &[u8]) -> Option<&'static str> {
    match row.name {
        "eth" | "vlan" | "svlan" => next_by_type(row.get(header, "type") as u16, rest),
        "snap" if row.get(header, "oui") == 0 => next_by_type(row.get(header, "type") as u16, rest)
            .filter(|name| !matches!(*name, "llc" | "snap")),
        "gre" | "geneve" => next_by_type(row.get(header, "proto") as u16, rest)
            .filter(|name| !matches!(*name, "llc" | "snap")),
        "ipv4" | "ipv6" | "frag" | "hopopts" | "dstopts" if row.get(header, "offset") == 0 => {
            let name = next_by_proto(row.get(header, "proto") as u8)?;
            Some(match (name, rest) {
                ("icmpv6", [icmpv6::NS, 0, ..]) if rest.len() >= 24 => "ns",
                ("icmpv6", [icmpv6::NA, 0, ..]) if rest.len() >= 24 => "na",
                _ => name,
            })
        }
        "udp" => match row.get(header, "dst") as u16 {
            // The second one is Linux's choice before the port was assigned.
            udp::VXLAN_PORT | 8472 => Some("vxlan"),
            udp::GENEVE_PORT => Some("geneve"),
            udp::L2TP_PORT => Some("l2tpv3"),
            _ => None,
        },
        "vxlan" | "pbb" => Some("eth"),
        "gpw" if row.get(header, "control") == 0 => Some("eth"),
        "mpls" if row.get(header, "bos") == 0 => Some("mpls"),
        "mpls" => match rest.first()? >> 4 {
            4 => Some("ipv4"),
            6 => Some("ipv6"),
            _ => None,
        },
        "ns" | "na" | "sll" | "tll" => match rest {
            [icmpv6::SOURCE_LINK, 1, ..] => Some("sll"),
            [icmpv6::TARGET_LINK, 1, ..] => Some("tll"),
            _ => None,
        },
        _ => None,
    }
}
