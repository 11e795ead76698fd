//! The switch as a whole: what it is, its tables, its settings, whether it is there.

use super::{Context, print};
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::json;
use bytes::Bytes;
use ofp::message::{
    Body, MultipartPart, MultipartReply, MultipartRequest, SwitchConfig, TableStats,
};
use ofp::text::PortMap;
use ofp::text::digits;
use ofp::text::print::{frag_name, print_message};
use ofp::types::{PortNo, Version};
use ofp::wire::HEADER_SIZE;
use std::time::{Duration, Instant};

/// Fragment modes by number.
const FRAG_MODES: u8 = 4;

pub(super) fn show(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    let ports = PortMap::default();
    let style = context.style(connection.version(), &ports);
    let features = connection.ask(Body::FeaturesRequest)?;
    if context.options.json {
        let descs = connection.port_descs()?;
        let config = config(context, &mut connection)?;
        return match &features.body {
            Body::FeaturesReply(features) => {
                print(&format!("{}\n", json::switch(features, &descs, &config)))
            }
            _ => Err(wrong_reply(context)),
        };
    }
    print(&print_message(&features, &style))?;
    if connection.version() >= Version::V13 {
        connection.ask_parts(MultipartRequest::PortDesc(PortNo::ANY), |message| {
            print(&print_message(message, &style))
        })?;
    }
    let config = connection.ask(Body::GetConfigRequest)?;
    print(&print_message(&config, &style))
}

pub(super) fn wrong_reply(context: &Context<'_>) -> Failure {
    Failure::plain(format!("{}: a reply of the wrong kind", context.switch()))
}

/// Prints each part of a multipart reply.
fn dump(
    context: &Context<'_>,
    connection: &mut Connection,
    request: MultipartRequest,
) -> Result<()> {
    let ports = PortMap::default();
    let style = context.style(connection.version(), &ports);
    connection.ask_parts(request, |message| print(&print_message(message, &style)))
}

pub(super) fn dump_desc(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    if !context.options.json {
        return dump(context, &mut connection, MultipartRequest::Desc);
    }
    connection.ask_parts(MultipartRequest::Desc, |message| match &message.body {
        Body::MultipartReply(MultipartReply {
            part: MultipartPart::Desc(desc),
            ..
        }) => print(&format!("{}\n", json::desc(desc))),
        _ => Err(wrong_reply(context)),
    })
}

/// The parts of a reply put together, so that runs of like tables are not cut at a part's end.
pub(super) fn gather(
    connection: &mut Connection,
    request: MultipartRequest,
) -> Result<Option<ofp::message::Message>> {
    let mut whole: Option<ofp::message::Message> = None;
    connection.ask_parts(request, |message| {
        let Some(Body::MultipartReply(first)) = whole.as_mut().map(|m| &mut m.body) else {
            whole = Some(message.clone());
            return Ok(());
        };
        first.more = false;
        if let Body::MultipartReply(next) = &message.body {
            match (&mut first.part, &next.part) {
                (MultipartPart::Table(all), MultipartPart::Table(more)) => {
                    all.extend_from_slice(more)
                }
                (MultipartPart::TableDesc(all), MultipartPart::TableDesc(more)) => {
                    all.extend_from_slice(more)
                }
                (MultipartPart::TableFeatures(all), MultipartPart::TableFeatures(more)) => {
                    all.extend_from_slice(more)
                }
                _ => {}
            }
        }
        Ok(())
    })?;
    Ok(whole)
}

pub(super) fn dump_tables(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    let whole = gather(&mut connection, MultipartRequest::Table)?;
    let tables: &[TableStats] = match whole.as_ref().map(|m| &m.body) {
        Some(Body::MultipartReply(MultipartReply {
            part: MultipartPart::Table(tables),
            ..
        })) => tables,
        _ => return Err(wrong_reply(context)),
    };
    if context.options.json {
        return print(&format!("{}\n", json::tables(tables, connection.version())));
    }
    let ports = PortMap::default();
    let style = context.style(connection.version(), &ports);
    whole.map_or(Ok(()), |message| print(&print_message(&message, &style)))
}

fn config(context: &Context<'_>, connection: &mut Connection) -> Result<SwitchConfig> {
    match connection.ask(Body::GetConfigRequest)?.body {
        Body::GetConfigReply(config) => Ok(config),
        _ => Err(wrong_reply(context)),
    }
}

pub(super) fn get_frags(context: &Context<'_>) -> Result<()> {
    let mut connection = context.connect()?;
    let name = frag_name(config(context, &mut connection)?.frag);
    print(&match context.options.json {
        true => format!("{}\n", json::frags(name)),
        false => format!("{name}\n"),
    })
}

pub(super) fn set_frags(context: &Context<'_>) -> Result<()> {
    let mode = context.args[1].as_str();
    let frag = (0..FRAG_MODES).find(|frag| frag_name(*frag) == mode);
    let frag = frag.ok_or_else(|| {
        Failure::plain(format!(
            "set-frags: no mode \"{mode}\": normal, drop, reassemble or nx-match"
        ))
    })?;
    let mut connection = context.connect()?;
    let old = config(context, &mut connection)?;
    connection.tell(vec![Body::SetConfig(SwitchConfig { frag, ..old })])?;
    let now = config(context, &mut connection)?;
    if now.frag == frag {
        return Ok(());
    }
    Err(Failure::plain(format!(
        "{}: the switch stays at {}",
        context.switch(),
        frag_name(now.frag)
    )))
}

pub(super) fn probe(context: &Context<'_>) -> Result<()> {
    match context
        .connect()?
        .ask(Body::EchoRequest(Bytes::new()))?
        .body
    {
        Body::EchoReply(_) => Ok(()),
        _ => Err(wrong_reply(context)),
    }
}

pub(super) fn ping(context: &Context<'_>) -> Result<()> {
    /// A message is 64 KiB at most, its header is 8 bytes.
    const MOST: usize = 65535 - 8;
    let size = match context.arg(1) {
        None => 64,
        Some(word) => digits(word, 10)
            .filter(|size| *size <= MOST)
            .ok_or_else(|| {
                Failure::plain(format!(
                    "ping: \"{word}\" is not a size of 0 to {MOST} bytes"
                ))
            })?,
    };
    let data: Bytes = (0..size).map(|i| i as u8).collect();
    let mut connection = context.connect()?;
    for round in 0..10 {
        let start = Instant::now();
        let reply = connection.ask(Body::EchoRequest(data.clone()))?;
        let took = start.elapsed().as_secs_f64() * 1000.0;
        match reply.body {
            Body::EchoReply(back) if back == data => {
                print(&format!(
                    "{size} bytes from {}: xid={:08x} time={took:.1} ms\n",
                    context.switch(),
                    reply.xid.0
                ))?;
            }
            _ => {
                return Err(Failure::plain(format!(
                    "{}: the reply does not repeat the request",
                    context.switch()
                )));
            }
        }
        if round < 9 {
            std::thread::sleep(Duration::from_millis(if size == 64 { 0 } else { 10 }));
        }
    }
    Ok(())
}

pub(super) fn benchmark(context: &Context<'_>) -> Result<()> {
    let number = |index: usize, what: &str, most: usize| {
        let word = &context.args[index];
        let value = digits::<usize>(word, 10);
        value.filter(|value| *value <= most).ok_or_else(|| {
            Failure::plain(format!(
                "benchmark: \"{word}\" is not {what} of 0 to {most}"
            ))
        })
    };
    let size = number(1, "a size", usize::from(u16::MAX) - HEADER_SIZE)?;
    let count = number(2, "a number", usize::MAX)?;
    let whole = size + HEADER_SIZE;
    print(&format!(
        "Sending {count} packets * {whole} bytes (with header) = {} bytes total\n",
        count.saturating_mul(whole)
    ))?;
    let data = Bytes::from(vec![0; size]);
    let mut connection = context.connect()?;
    let start = Instant::now();
    for _ in 0..count {
        connection.ask(Body::EchoRequest(data.clone()))?;
    }
    let secs = start.elapsed().as_secs_f64();
    let rate = |amount: usize| (amount as f64 / secs.max(1e-9)).round();
    print(&format!(
        "Finished in {:.1} ms ({} packets/s) ({} bytes/s)\n",
        secs * 1000.0,
        rate(count),
        rate(count.saturating_mul(whole))
    ))
}
