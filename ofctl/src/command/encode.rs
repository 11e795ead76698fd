//! Bytes from words, and small languages by themselves: hellos, errors, packets, key-value texts.

use super::parse::{hex_bytes, print_wire};
use super::{Context, print};
use crate::failure::{Failure, Result};
use bytes::{BufMut, Bytes, BytesMut};
use ofp::error::{ERRORS, Number, Row};
use ofp::field::{Field, NICIRA};
use ofp::key::Key;
use ofp::message::{Body, Dialect, ErrorBody, Message};
use ofp::text::print::hex_dump;
use ofp::text::{PortMap, Word, nearest, read_match};
use ofp::types::Version;
use ofp::wire::Header;

/// Bytes of the message that an error quotes.
const QUOTED: usize = 64;
/// Bytes behind the headers of a packet that is made.
const PAYLOAD_SIZE: usize = 64;

pub(super) fn encode_hello(context: &Context<'_>) -> Result<()> {
    let word = &context.args[0];
    let bitmap: u32 = Word::new(word).int().map_err(Failure::text(word))?;
    if bitmap & !1 == 0 {
        return Err(Failure::plain(format!(
            "encode-hello: \"{word}\" names no version: bit N is wire version N, from 1 on"
        )));
    }
    let highest = bitmap.ilog2();
    // A switch that speaks everything up to its version need not list it.
    let is_contiguous = bitmap | 1 == u32::MAX >> (31 - highest);
    let mut bytes = BytesMut::new();
    bytes.put_u8(highest as u8);
    bytes.put_u8(0);
    bytes.put_u16(if is_contiguous { 8 } else { 16 });
    bytes.put_u32(1);
    if !is_contiguous {
        bytes.put_u16(1);
        bytes.put_u16(8);
        bytes.put_u32(bitmap);
    }
    let bytes = bytes.freeze();
    print(&hex_dump(&bytes, false))?;
    print_wire(&bytes, false)
}

fn error_named(name: &str) -> Result<&'static Row> {
    ERRORS.iter().find(|row| row.name == name).ok_or_else(|| {
        // Words are compared in small letters.
        let names: Vec<String> = ERRORS.iter().map(|row| row.name.to_lowercase()).collect();
        let near = nearest(name, names.iter().map(String::as_str));
        let hint = near.map_or(String::new(), |near| {
            format!("; did you mean {}?", near.to_uppercase())
        });
        Failure::plain(format!("no error \"{name}\"{hint}"))
    })
}

pub(super) fn print_error(context: &Context<'_>) -> Result<()> {
    let row = error_named(&context.args[0])?;
    for version in (1..=6).filter_map(Version::from_wire) {
        let (vendor, kind, code) = match row.number(version) {
            None => continue,
            Some(Number::Standard(kind, code)) => ("0".to_owned(), kind, code),
            Some(Number::Nicira(kind, code)) => (format!("{NICIRA:#x}"), kind, code),
            Some(Number::Experimenter(id, kind)) => (format!("{id:#x}"), kind, 0),
        };
        let digits = version.name().trim_start_matches("OpenFlow");
        let (major, minor) = digits.split_at(1);
        print(&format!(
            "OpenFlow {major}.{minor}: vendor {vendor}, type {kind}, code {code}\n"
        ))?;
    }
    Ok(())
}

pub(super) fn encode_error_reply(context: &Context<'_>) -> Result<()> {
    let row = error_named(&context.args[0])?;
    let request = hex_bytes(&context.args[1])?;
    let header = Header::parse(&request)
        .ok_or_else(|| Failure::plain("encode-error-reply: a message has 8 bytes at least"))?;
    let version = Version::from_wire(header.version).ok_or_else(|| {
        Failure::plain(format!("there is no wire version {:#04x}", header.version))
    })?;
    let reply = Message {
        xid: header.xid,
        body: Body::Error(ErrorBody {
            error: row.error,
            data: request.slice(..request.len().min(QUOTED)),
        }),
    };
    print(&hex_dump(&reply.to_bytes(&Dialect::new(version)), false))
}

pub(super) fn compose_packet(context: &Context<'_>) -> Result<()> {
    let text = &context.args[0];
    let matching = read_match(text, &PortMap::default()).map_err(Failure::text(text))?;
    let payload = match context.arg(1) {
        Some(word) => hex_bytes(word)?,
        // Only transport protocols have a payload that nothing else explains.
        None if matching.get(Field::IpProto.place()).1 == 0 => Bytes::new(),
        None => (0..PAYLOAD_SIZE).map(|i| i as u8).collect::<Bytes>(),
    };
    let mut key = Key::default();
    for part in matching.words() {
        if let Some(word) = key.0.get_mut(usize::from(part.index)) {
            *word |= part.value;
        }
    }
    print(&hex_dump(&flow::compose(&key, &payload), false))
}

pub(super) fn parse_key_value(context: &Context<'_>) -> Result<()> {
    for text in context.args {
        let mut items = Vec::new();
        for item in Word::new(text).items() {
            let item = item.map_err(Failure::text(text))?;
            items.push(match item.value {
                Some(value) => format!("{}={}", item.key.text, value.text),
                None => item.key.text.to_owned(),
            });
        }
        print(&format!("{}\n", items.join(", ")))?;
    }
    Ok(())
}
