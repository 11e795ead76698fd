//! Bundles: flows, groups and packets of a file, done all or not at all.

use super::change::{no_bundles, with_bundles};
use super::source::{Place, Source, keep, read, restrict};
use super::{Context, LazyPorts, print};
use crate::failure::{Failure, Result};
use crate::json;
use crate::lenient::Reading;
use crate::transmit::Transmission;
use ofp::message::{Body, BundleFeaturesRequest, MultipartPart, MultipartRequest};
use ofp::text::print::print_message;
use ofp::text::{nearest, read_group_mod, read_packet_out};
use ofp::types::Version;
use ofp::usable::{usable_group, usable_packet_out};

/// What a line can begin with.
const KINDS: [&str; 3] = ["flow", "group", "packet-out"];

pub(super) fn bundle(context: &Context<'_>) -> Result<()> {
    let source = Source::file(&context.args[1])?;
    let ports = context.lazy_ports();
    let mut versions = with_bundles(&context.options.versions()?.0);
    let reading = Reading::by(context.options.lenient);
    let mut bodies = Vec::new();
    for (place, line) in source.lines() {
        let body = ports.or_failure(read_line(&place, line, &mut versions, &ports, reading))?;
        bodies.push((body, place));
    }
    let mut connection = context.connect_with(&versions)?;
    let mut transmission = Transmission::bundle(&mut connection).map_err(no_bundles)?;
    for (body, place) in bodies {
        transmission.add(body, false, place)?;
    }
    transmission.finish()
}

pub(super) fn dump_bundle_features(context: &Context<'_>) -> Result<()> {
    let versions = context.versions_that(|v| *v >= Version::V15, "dump-bundle-features")?;
    let mut connection = context.connect_with(&versions)?;
    let ports = ofp::text::PortMap::default();
    let style = context.style(connection.version(), &ports);
    let request = MultipartRequest::BundleFeatures(BundleFeaturesRequest::default());
    connection.ask_parts(request, |message| match &message.body {
        Body::MultipartReply(reply) if context.options.json => match &reply.part {
            MultipartPart::BundleFeatures(f) => print(&format!("{}\n", json::bundle_features(f))),
            _ => Ok(()),
        },
        _ => print(&print_message(message, &style)),
    })
}

fn read_line(
    place: &Place,
    line: &str,
    versions: &mut Vec<Version>,
    ports: &LazyPorts<'_>,
    reading: Reading,
) -> Result<Body> {
    let line = line.trim();
    let (kind, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let fault = |error| Failure::text_at(place.clone(), rest, error);
    match kind {
        "flow" => {
            let flow = read(place, rest, None, ports, reading)?;
            restrict(versions, &flow, place)?;
            Ok(Body::FlowMod(Box::new(flow)))
        }
        "group" => {
            let group = read_group_mod(rest, None, ports).map_err(fault)?;
            keep(versions, &usable_group(&group), "group", place)?;
            Ok(Body::GroupMod(Box::new(group)))
        }
        "packet-out" => {
            let packet = read_packet_out(rest, ports).map_err(fault)?;
            keep(versions, &usable_packet_out(&packet), "packet-out", place)?;
            Ok(Body::PacketOut(Box::new(packet)))
        }
        other => {
            let hint =
                nearest(other, KINDS).map_or(String::new(), |n| format!("; did you mean {n}?"));
            let place = match place {
                Some((file, line)) => format!("{file}:{line}: "),
                None => String::new(),
            };
            Err(Failure::plain(format!(
                "{place}\"{other}\": a line of a bundle begins with {}{hint}",
                KINDS.join(", ")
            )))
        }
    }
}
