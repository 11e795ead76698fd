//! Meters: add, modify, delete, dump. They exist since OpenFlow 1.3.

use super::Context;
use crate::failure::{Failure, Result};
use crate::json;
use ofp::message::{Body, MeterCommand, MultipartPart, MultipartRequest};
use ofp::text::{read_meter_id, read_meter_mod};
use ofp::types::{MeterId, Version};
use serde_json::Value;

fn versions(context: &Context<'_>) -> Result<Vec<Version>> {
    context.versions_that(|version| *version >= Version::V13, "a meter")
}

fn change(context: &Context<'_>, command: MeterCommand) -> Result<()> {
    let text = context.arg(1).unwrap_or_default();
    let meter = read_meter_mod(text, command).map_err(Failure::text(text))?;
    let mut connection = context.connect_with(&versions(context)?)?;
    connection.tell(vec![Body::MeterMod(Box::new(meter))])
}

pub(super) fn add_meter(context: &Context<'_>) -> Result<()> {
    change(context, MeterCommand::Add)
}

pub(super) fn mod_meter(context: &Context<'_>) -> Result<()> {
    change(context, MeterCommand::Modify)
}

pub(super) fn del_meters(context: &Context<'_>) -> Result<()> {
    change(context, MeterCommand::Delete)
}

fn selection(context: &Context<'_>) -> Result<MeterId> {
    let text = context.arg(1).unwrap_or_default();
    read_meter_id(text).map_err(Failure::text(text))
}

pub(super) fn dump_meters(context: &Context<'_>) -> Result<()> {
    let request = MultipartRequest::MeterConfig(selection(context)?);
    super::dump(context, &versions(context)?, request, |part| match part {
        MultipartPart::MeterConfig(meters) => json::meter_configs(meters),
        _ => Value::Null,
    })
}

pub(super) fn meter_stats(context: &Context<'_>) -> Result<()> {
    let request = MultipartRequest::Meter(selection(context)?);
    super::dump(context, &versions(context)?, request, |part| match part {
        MultipartPart::Meter(stats) => json::meter_stats(stats),
        _ => Value::Null,
    })
}

pub(super) fn meter_features(context: &Context<'_>) -> Result<()> {
    let request = MultipartRequest::MeterFeatures;
    super::dump(context, &versions(context)?, request, |part| match part {
        MultipartPart::MeterFeatures(features) => json::meter_features(features),
        _ => Value::Null,
    })
}
