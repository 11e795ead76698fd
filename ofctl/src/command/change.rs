//! Flows that are added, modified and deleted: one by one, or with `--bundle` all or none.

use super::Context;
use super::source::{Source, read, restrict};
use crate::connection::STANDARD10;
use crate::failure::{Failure, Result};
use crate::lenient::Reading;
use crate::transmit::{Transmission, has_bundles};
use ofp::message::{Body, FlowFormat, FlowMod, FlowModCommand};
use ofp::types::{TableId, Version};
use ofp::usable::can_say;

pub(super) fn add_flow(context: &Context<'_>) -> Result<()> {
    change(context, Source::argument(context.arg(1))?, None)
}

pub(super) fn add_flows(context: &Context<'_>) -> Result<()> {
    change(context, Source::file(&context.args[1])?, None)
}

pub(super) fn mod_flows(context: &Context<'_>) -> Result<()> {
    let command = if context.options.strict {
        FlowModCommand::ModifyStrict
    } else {
        FlowModCommand::Modify
    };
    change(context, Source::argument(context.arg(1))?, Some(command))
}

pub(super) fn del_flows(context: &Context<'_>) -> Result<()> {
    let command = if context.options.strict {
        FlowModCommand::DeleteStrict
    } else {
        FlowModCommand::Delete
    };
    change(context, Source::argument(context.arg(1))?, Some(command))
}

/// The versions that have bundles, of those that the user allows; all that have them if none of these
/// does: `--bundle` says what is wanted.
pub(crate) fn with_bundles(versions: &[Version]) -> Vec<Version> {
    let some: Vec<Version> = versions.iter().copied().filter(has_bundles).collect();
    match some.is_empty() {
        true => Version::SUPPORTED
            .iter()
            .copied()
            .filter(has_bundles)
            .collect(),
        false => some,
    }
}

/// OpenFlow 1.1 has no word for all tables; the stock tool then deletes flows of the first, and so do we
/// where no other version is allowed. Whether it was so.
fn in_first_table(flow: &mut FlowMod, versions: &[Version]) -> bool {
    let deletes = matches!(
        flow.command,
        FlowModCommand::Delete | FlowModCommand::DeleteStrict
    );
    let narrows = deletes && flow.table == TableId::ALL && versions == [Version::V11];
    if narrows {
        flow.table = TableId(0);
    }
    narrows
}

/// Reads all flows first, so that a mistake in one leaves the switch as it was; then sends them.
fn change(context: &Context<'_>, source: Source, command: Option<FlowModCommand>) -> Result<()> {
    let ports = context.lazy_ports();
    let mut versions = context.options.versions()?.0;
    if context.options.bundle {
        versions = with_bundles(&versions);
    }
    // Whether OpenFlow 1.0's own message can say each flow.
    let reading = Reading::by(context.options.lenient);
    let mut standard = Vec::new();
    let mut is_narrowed = false;
    for (place, line) in source.lines() {
        let mut flow = ports.or_failure(read(&place, line, command, &ports, reading))?;
        is_narrowed |= in_first_table(&mut flow, &versions);
        restrict(&mut versions, &flow, &place)?;
        standard.push(versions.contains(&Version::V10) && can_say(&flow, STANDARD10));
    }
    if is_narrowed {
        eprintln!("ofctl: OpenFlow11 deletes flows of one table: of table 0 if none is named");
    }
    let mut connection = context.connect_with(&versions)?;
    if connection.version() == Version::V10 {
        connection.tell(vec![
            Body::SetFlowFormat(FlowFormat::Nxm),
            Body::FlowModTableId(true),
        ])?;
    }
    let mut transmission = match context.options.bundle {
        true => Transmission::bundle(&mut connection).map_err(no_bundles)?,
        false => Transmission::plain(&mut connection),
    };
    for ((place, line), standard) in source.lines().zip(standard) {
        let mut flow = read(&place, line, command, &ports, reading.again())?;
        in_first_table(&mut flow, &versions);
        transmission.add(Body::FlowMod(Box::new(flow)), standard, place)?;
    }
    transmission.finish()
}

pub(super) fn no_bundles(failure: Failure) -> Failure {
    match failure {
        Failure::Switch(text) => Failure::Switch(format!(
            "{text}ofctl: --bundle: the switch opens no bundle\n"
        )),
        other => other,
    }
}
