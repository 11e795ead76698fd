//! Groups: add, modify, delete, dump.

use super::change::{no_bundles, with_bundles};
use super::source::{Source, keep};
use super::{Context, print};
use crate::failure::{Failure, Result};
use crate::json;
use crate::transmit::Transmission;
use ofp::message::{
    Body, GroupCommand, GroupDesc, Message, MultipartPart, MultipartReply, MultipartRequest,
};
use ofp::text::print::print_message;
use ofp::text::{read_group_id, read_group_mod};
use ofp::types::GroupId;
use ofp::usable::usable_group;

pub(super) fn add_group(context: &Context<'_>) -> Result<()> {
    change(context, Source::argument(context.arg(1))?, None)
}

pub(super) fn add_groups(context: &Context<'_>) -> Result<()> {
    change(context, Source::file(&context.args[1])?, None)
}

pub(super) fn mod_group(context: &Context<'_>) -> Result<()> {
    let command = match context.options.may_create {
        true => GroupCommand::AddOrModify,
        false => GroupCommand::Modify,
    };
    change(context, Source::argument(context.arg(1))?, Some(command))
}

pub(super) fn del_groups(context: &Context<'_>) -> Result<()> {
    change(
        context,
        Source::argument(context.arg(1))?,
        Some(GroupCommand::Delete),
    )
}

pub(super) fn insert_buckets(context: &Context<'_>) -> Result<()> {
    change(
        context,
        Source::argument(context.arg(1))?,
        Some(GroupCommand::InsertBucket),
    )
}

pub(super) fn remove_buckets(context: &Context<'_>) -> Result<()> {
    change(
        context,
        Source::argument(context.arg(1))?,
        Some(GroupCommand::RemoveBucket),
    )
}

/// Reads all groups first, so that a mistake in one leaves the switch as it was; then sends them.
fn change(context: &Context<'_>, source: Source, command: Option<GroupCommand>) -> Result<()> {
    let ports = context.lazy_ports();
    let mut versions = context.options.versions()?.0;
    if context.options.bundle {
        versions = with_bundles(&versions);
    }
    let mut mods = Vec::new();
    for (place, line) in source.lines() {
        let fault = |error| Failure::text_at(place.clone(), line, error);
        let group = ports.or_failure(read_group_mod(line, command, &ports).map_err(fault))?;
        keep(&mut versions, &usable_group(&group), "group", &place)?;
        mods.push((group, place));
    }
    let mut connection = context.connect_with(&versions)?;
    let mut transmission = match context.options.bundle {
        true => Transmission::bundle(&mut connection).map_err(no_bundles)?,
        false => Transmission::plain(&mut connection),
    };
    for (group, place) in mods {
        transmission.add(Body::GroupMod(Box::new(group)), false, place)?;
    }
    transmission.finish()
}

/// Which group is asked for; all if none is named.
fn selection(context: &Context<'_>) -> Result<GroupId> {
    match context.arg(1) {
        None | Some("") => Ok(GroupId::ALL),
        Some(text) => read_group_id(text).map_err(Failure::text(text)),
    }
}

pub(super) fn dump_groups(context: &Context<'_>) -> Result<()> {
    let group = selection(context)?;
    let mut connection = context.connect()?;
    let ports = context.all_names_to_show(&mut connection)?;
    let style = context.style(connection.version(), &ports);
    let mut all: Vec<GroupDesc> = Vec::new();
    connection.ask_parts(MultipartRequest::GroupDesc(group), |message| {
        let Body::MultipartReply(MultipartReply {
            more,
            part: MultipartPart::GroupDesc(groups),
        }) = &message.body
        else {
            return print(&print_message(message, &style));
        };
        // Between 1.1 and 1.4 the switch cannot be asked for one group.
        let wanted = |desc: &&GroupDesc| group == GroupId::ALL || desc.group == group;
        let groups: Vec<GroupDesc> = groups.iter().filter(wanted).cloned().collect();
        if context.options.json {
            all.extend(groups);
            return Ok(());
        }
        let part = MultipartPart::GroupDesc(groups);
        let body = Body::MultipartReply(MultipartReply { more: *more, part });
        print(&print_message(&Message { body, ..*message }, &style))
    })?;
    match context.options.json {
        true => print(&format!("{}\n", json::group_descs(&all, &style))),
        false => Ok(()),
    }
}

pub(super) fn dump_group_stats(context: &Context<'_>) -> Result<()> {
    let request = MultipartRequest::Group(selection(context)?);
    let versions = context.options.versions()?.0;
    super::dump(context, &versions, request, |part| match part {
        MultipartPart::Group(stats) => json::group_stats(stats),
        _ => serde_json::Value::Null,
    })
}

pub(super) fn dump_group_features(context: &Context<'_>) -> Result<()> {
    let versions = context.options.versions()?.0;
    super::dump(
        context,
        &versions,
        MultipartRequest::GroupFeatures,
        |part| match part {
            MultipartPart::GroupFeatures(features) => json::group_features(features),
            _ => serde_json::Value::Null,
        },
    )
}
