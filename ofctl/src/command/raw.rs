//! Requests whose answers are Open vSwitch's own business: IPFIX statistics and connection tracking. Their bytes are
//! written here, and a switch that does not do them says so itself.

use super::{Context, print};
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use bytes::{BufMut, BytesMut};
use ofp::field::NICIRA;
use ofp::text::digits;
use ofp::types::Version;

/// NXST_IPFIX_BRIDGE and NXST_IPFIX_FLOW.
const IPFIX_BRIDGE: u32 = 3;
const IPFIX_FLOW: u32 = 4;
/// NXT_CT_FLUSH_ZONE and NXT_CT_FLUSH.
const CT_FLUSH_ZONE: u32 = 29;
const CT_FLUSH: u32 = 32;
/// NXT_CT_ZONE_ID, a property of NXT_CT_FLUSH.
const CT_ZONE_ID: u16 = 2;
/// OFPT_VENDOR, OFPT_EXPERIMENTER.
const EXPERIMENTER: u8 = 4;
/// The statistics type of extensions.
const EXPERIMENTER_STATISTICS: u16 = 0xffff;

pub(super) fn dump_ipfix_bridge(context: &Context<'_>) -> Result<()> {
    ipfix(context, IPFIX_BRIDGE)
}

pub(super) fn dump_ipfix_flow(context: &Context<'_>) -> Result<()> {
    ipfix(context, IPFIX_FLOW)
}

fn ipfix(context: &Context<'_>, subtype: u32) -> Result<()> {
    let mut connection = context.connect()?;
    let v10 = connection.version() == Version::V10;
    let kind = match connection.version() {
        Version::V10 => 16,
        _ => 18,
    };
    let mut body = BytesMut::new();
    body.put_u16(EXPERIMENTER_STATISTICS);
    body.put_u16(0);
    if !v10 {
        body.put_u32(0);
    }
    body.put_u32(NICIRA);
    body.put_u32(subtype);
    if v10 {
        body.put_u32(0);
    }
    let text = connection.ask_bytes(kind, &body)?;
    print(&match context.options.json {
        true => format!("{}\n", serde_json::json!({ "reply": text.trim_end() })),
        false => text,
    })
}

pub(super) fn ct_flush_zone(context: &Context<'_>) -> Result<()> {
    let zone = zone(&context.args[1])?;
    let mut body = BytesMut::new();
    body.put_u32(NICIRA);
    body.put_u32(CT_FLUSH_ZONE);
    body.put_bytes(0, 6);
    body.put_u16(zone);
    tell(&mut context.connect()?, &body)
}

pub(super) fn ct_flush(context: &Context<'_>) -> Result<()> {
    let mut body = BytesMut::new();
    body.put_u32(NICIRA);
    body.put_u32(CT_FLUSH);
    body.put_bytes(0, 8);
    for word in &context.args[1..] {
        match word.strip_prefix("zone=") {
            Some(number) => {
                body.put_u16(CT_ZONE_ID);
                body.put_u16(6);
                body.put_u16(zone(number)?);
                body.put_u16(0);
            }
            None => {
                return Err(Failure::plain(format!(
                    "ct-flush: \"{word}\": only zone=N is known; tuples of connections are not"
                )));
            }
        }
    }
    tell(&mut context.connect()?, &body)
}

fn zone(word: &str) -> Result<u16> {
    digits(word, 10)
        .ok_or_else(|| Failure::plain(format!("\"{word}\" is not a zone of 0 to 65535")))
}

fn tell(connection: &mut Connection, body: &[u8]) -> Result<()> {
    connection.tell_bytes(EXPERIMENTER, body)
}
