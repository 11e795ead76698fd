//! Matches and instructions as they travel: `parse-nxm`, `parse-oxm`, `parse-instructions`. What stands on standard
//! input is put into a flow message, read as a switch reads it, and printed as it would be sent again.

use super::parse::{entries_of_stdin, hex_bytes, version_named};
use super::{Context, print};
use crate::connection::flow_dialect;
use crate::failure::{Failure, Result};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ofp::error::OfError;
use ofp::field::{FIELDS, Id, NICIRA, Row};
use ofp::message::{Body, FlowMod, Message};
use ofp::text::{PortMap, Style, TextError, Word, nearest, print_actions, wire_names};
use ofp::types::Version;

/// Bytes before the match: of OpenFlow 1.2's message and of Nicira's.
const HEAD: usize = 48;
const FLOW_MOD: u8 = 14;
const EXPERIMENTER: u8 = 4;
/// NXT_FLOW_MOD.
const NX_FLOW_MOD: u32 = 13;
/// The class of ids that an experimenter gives.
const EXPERIMENTER_CLASS: u16 = 0xffff;

pub(super) fn parse_nxm(context: &Context<'_>) -> Result<()> {
    let _ = context;
    matches(Version::V10)
}

pub(super) fn parse_oxm(context: &Context<'_>) -> Result<()> {
    match version_named("parse-oxm", &context.args[0])? {
        Version::V10 | Version::V11 => Err(Failure::plain(
            "parse-oxm: OXM begins with OpenFlow12; parse-nxm reads OpenFlow10's extension",
        )),
        version => matches(version),
    }
}

fn matches(version: Version) -> Result<()> {
    for line in entries_of_stdin()? {
        let bytes = match line.trim() {
            "<any>" => Bytes::new(),
            text => read_entries(text).map_err(Failure::text(text))?,
        };
        print(&match through(version, &bytes, &[]) {
            Ok(flow) => format!("{}\n", print_entries(&sent(version, flow))),
            Err(error) => format!(
                "nx_pull_match() returned error {}\n",
                ofp::text::print::error_name(error)
            ),
        })?;
    }
    Ok(())
}

pub(super) fn parse_instructions(context: &Context<'_>) -> Result<()> {
    let version = version_named("parse-instructions", &context.args[0])?;
    if version < Version::V12 {
        return Err(Failure::plain(
            "parse-instructions wants OpenFlow12 or later",
        ));
    }
    for line in entries_of_stdin()? {
        let bytes = hex_bytes(&line)?;
        let ports = PortMap::default();
        print(&match through(version, &[], &bytes) {
            Ok(flow) => format!(
                "actions={}\n\n",
                print_actions(&flow.actions, &Style::plain(version, &ports))
            ),
            Err(error) => format!(
                "bad {} instructions: {}\n\n",
                version.name(),
                ofp::text::print::error_name(error)
            ),
        })?;
    }
    Ok(())
}

/// What a switch makes of a flow message with this match and these instructions.
pub(super) fn through(
    version: Version,
    matching: &[u8],
    instructions: &[u8],
) -> std::result::Result<FlowMod, OfError> {
    let mut out = BytesMut::new();
    let nxm = version == Version::V10;
    out.put_u8(version as u8);
    out.put_u8(if nxm { EXPERIMENTER } else { FLOW_MOD });
    out.put_u16(0);
    out.put_u32(1);
    if nxm {
        out.put_u32(NICIRA);
        out.put_u32(NX_FLOW_MOD);
        out.put_bytes(0, 8 + 8);
        out.put_u32(u32::MAX);
        out.put_u16(u16::MAX);
        out.put_u16(0);
        out.put_u16(matching.len() as u16);
        out.put_bytes(0, 6);
        out.put_slice(matching);
        out.put_bytes(0, matching.len().next_multiple_of(8) - matching.len());
    } else {
        out.put_bytes(0, 8 + 8 + 2 + 6);
        out.put_u32(u32::MAX);
        out.put_u32(u32::MAX);
        out.put_u32(u32::MAX);
        out.put_u32(0);
        let size = matching.len() + 4;
        out.put_u16(1);
        out.put_u16(size as u16);
        out.put_slice(matching);
        out.put_bytes(0, size.next_multiple_of(8) - size);
    }
    out.put_slice(instructions);
    let size = u16::try_from(out.len()).map_err(|_| OfError::BadLength)?;
    out[2..4].copy_from_slice(&size.to_be_bytes());
    match Message::decode(&out.freeze(), &flow_dialect(version, false))?.body {
        Body::FlowMod(flow) => Ok(*flow),
        _ => Err(OfError::BadType),
    }
}

/// The match as it would be sent.
pub(super) fn sent(version: Version, flow: FlowMod) -> Bytes {
    let message = Message {
        xid: ofp::types::Xid(1),
        body: Body::FlowMod(Box::new(flow)),
    };
    let mut bytes = message.to_bytes(&flow_dialect(version, false));
    let at = |bytes: &Bytes, offset: usize| {
        let pair = bytes.get(offset..offset + 2);
        pair.map_or(0, |pair| usize::from(pair[0]) << 8 | usize::from(pair[1]))
    };
    let (start, size) = match version {
        Version::V10 => (HEAD, at(&bytes, HEAD - 8)),
        _ => (HEAD + 4, at(&bytes, HEAD + 2).saturating_sub(4)),
    };
    bytes.advance(start.min(bytes.len()));
    bytes.truncate(size);
    bytes
}

/// Rows with their wire names.
fn named() -> impl Iterator<Item = (String, &'static Row, Id)> {
    FIELDS.iter().flat_map(|row| {
        let names = wire_names(row).into_iter();
        names
            .zip([row.nxm, row.oxm])
            .filter_map(move |(name, id)| Some((name?, row, id?)))
    })
}

/// `NAME(value), NAME_W(value/mask)`.
fn read_entries(text: &str) -> std::result::Result<Bytes, TextError> {
    let mut out = BytesMut::new();
    for item in Word::new(text).items() {
        let item = item?;
        let value = item
            .value
            .filter(|_| item.parenthesised)
            .ok_or_else(|| item.key.fail("wants (value) or (value/mask)"))?;
        let plain = item.key.text.strip_suffix("_W").unwrap_or(item.key.text);
        let Some((_, _, id)) = named().find(|(name, ..)| name == plain) else {
            let all: Vec<String> = named().map(|(name, ..)| name).collect();
            let error = item.key.fail("no such field");
            return Err(match nearest(plain, all.iter().map(String::as_str)) {
                Some(near) => error.help(format!("did you mean {near}?")),
                None => error,
            });
        };
        let (value, mask) = match value.split_once("/") {
            Some((value, mask)) => (value, Some(mask)),
            None => (value, None),
        };
        let mut payload = BytesMut::new();
        if id.class == EXPERIMENTER_CLASS {
            payload.put_u32(id.experimenter);
        }
        for word in [Some(value), mask].into_iter().flatten() {
            let bytes =
                hex_bytes(word.text).map_err(|_| word.fail("not pairs of hexadecimal digits"))?;
            payload.put_slice(&bytes);
        }
        let size = u8::try_from(payload.len()).map_err(|_| value.fail("too long"))?;
        out.put_u16(id.class);
        out.put_u8(id.field << 1 | u8::from(mask.is_some()));
        out.put_u8(size);
        out.put_slice(&payload);
    }
    Ok(out.freeze())
}

pub(super) fn print_entries(bytes: &Bytes) -> String {
    let mut rest = bytes.clone();
    let mut texts = Vec::new();
    while rest.len() >= 4 {
        let (class, number, size) = (rest.get_u16(), rest.get_u8(), usize::from(rest.get_u8()));
        let mut payload = rest.split_to(size.min(rest.len()));
        let experimenter = match class {
            EXPERIMENTER_CLASS if payload.len() >= 4 => payload.get_u32(),
            _ => 0,
        };
        let is = |id: &Id| {
            id.class == class
                && id.field == number >> 1
                && (class != EXPERIMENTER_CLASS || id.experimenter == experimenter)
        };
        let name = named().find(|(.., id)| is(id)).map(|(name, ..)| name);
        let name = name.unwrap_or_else(|| format!("{class:#06x}:{}", number >> 1));
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        texts.push(match number & 1 {
            0 => format!("{name}({})", hex(&payload)),
            _ => {
                let (value, mask) = payload.split_at(payload.len() / 2);
                format!("{name}_W({}/{})", hex(value), hex(mask))
            }
        });
    }
    match texts.is_empty() {
        true => "<any>".to_owned(),
        false => texts.join(", "),
    }
}
