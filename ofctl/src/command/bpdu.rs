//! BPDU counters: a switch of ours answers with them, no other one.

use super::{Context, print};
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::json;
use ofp::bpdu::BpduStats;
use ofp::message::{Body, MultipartPart, MultipartReply, MultipartRequest, PortStats};
use ofp::text::print::print_bpdu_stats;
use ofp::types::PortNo;

pub(super) fn bpdu(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    let port = match context.arg(1) {
        Some(word) => connection.find_port(word)?,
        None => PortNo::ANY,
    };
    let fail = |text: String| Failure::plain(format!("{}: {text}", context.switch()));
    let bpdus = connection.bpdus(port)?;
    let mut bpdus = bpdus.ok_or_else(|| fail("the switch does not count BPDUs".into()))?;
    if let (Some(word), []) = (context.arg(1), bpdus.as_slice()) {
        return Err(fail(format!("no port {word}")));
    }
    bpdus.sort_by_key(|stats| stats.port);
    if context.options.gpwstats {
        let text = gpwstats(&bpdus, &port_stats(&mut connection, port)?);
        let text = text.ok_or_else(|| fail("--gpwstats needs one port, a tunnel's".into()))?;
        return print(&text);
    }
    if context.options.json {
        let stats = port_stats(&mut connection, port)?;
        let descs = connection.port_descs()?;
        return print(&format!("{}\n", json::bpdus(&bpdus, &descs, &stats)));
    }
    let ports = context.names_to_show(&mut connection)?;
    let style = context.style(connection.version(), &ports);
    let lines = bpdus.iter().map(|stats| print_bpdu_stats(stats, &style));
    print(&lines.collect::<String>())
}

fn port_stats(connection: &mut Connection, port: PortNo) -> Result<Vec<PortStats>> {
    let mut all = Vec::new();
    connection.ask_parts(MultipartRequest::Port(port), |message| {
        if let Body::MultipartReply(MultipartReply {
            part: MultipartPart::Port(stats),
            ..
        }) = &message.body
        {
            all.extend_from_slice(stats);
        }
        Ok(())
    })?;
    Ok(all)
}

/// As gpwstats prints: a line per counter, the value in 20 columns.
fn gpwstats(bpdus: &[BpduStats], stats: &[PortStats]) -> Option<String> {
    let ([bpdus], [stats]) = (bpdus, stats) else {
        return None;
    };
    let line = |(name, value)| format!("{:<24}{value:>20}\n", format!("gpwstats.{name}"));
    Some(bpdus.gpw(stats)?.into_iter().map(line).collect())
}
