//! The TLV map: add, delete, dump.

use super::{Context, print};
use crate::failure::{Failure, Result};
use crate::json;
use ofp::message::{Body, TlvCommand};
use ofp::text::print::print_message;
use ofp::text::{PortMap, read_tlv_table_mod};

fn change(context: &Context<'_>, command: TlvCommand) -> Result<()> {
    let text = context.arg(1).unwrap_or_default();
    let change = read_tlv_table_mod(text, command).map_err(Failure::text(text))?;
    context.connect()?.tell(vec![Body::TlvTableMod(change)])
}

pub(super) fn add_tlv_map(context: &Context<'_>) -> Result<()> {
    change(context, TlvCommand::Add)
}

pub(super) fn del_tlv_map(context: &Context<'_>) -> Result<()> {
    change(context, TlvCommand::Delete)
}

pub(super) fn dump_tlv_map(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    let reply = connection.ask(Body::TlvTableRequest)?;
    match &reply.body {
        Body::TlvTableReply(table) if context.options.json => {
            print(&format!("{}\n", json::tlv_table(table)))
        }
        _ => {
            let ports = PortMap::default();
            print(&print_message(
                &reply,
                &context.style(connection.version(), &ports),
            ))
        }
    }
}
