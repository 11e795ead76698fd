//! `watch`: rates of ports or flows, measured between two rounds of counters. On a terminal the screen is drawn anew each
//! time; elsewhere tables follow one another.

use super::{Context, print};
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use ofp::key::Match;
use ofp::message::{Body, FlowStats, FlowStatsRequest, MultipartPart, MultipartRequest, PortStats};
use ofp::text::{PortMap, nearest, print_actions, print_match, print_port};
use ofp::types::{Cookie, GroupId, PortNo, TableId};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Lines of a terminal that does not say.
const LINES: usize = 24;
/// Lines that are no rows.
const HEAD_LINES: usize = 3;
/// Flows that are remembered between two rounds.
const FLOWS_MAX: usize = 1 << 20;

/// What is counted of one thing.
type Counters = [u64; 5];
/// Packets and bytes in, packets and bytes out, drops: per second.
type Rates = [f64; 5];

/// A thing that is watched, by what is printed of it.
struct Row {
    name: String,
    json: Value,
    counters: Counters,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Ports,
    Flows,
}

pub(super) fn watch(context: &Context<'_>) -> Result<()> {
    let what = match context.arg(1) {
        None | Some("ports") => What::Ports,
        Some("flows") => What::Flows,
        Some(word) => {
            let hint = nearest(word, ["flows", "ports"]).unwrap_or("flows or ports");
            return Err(Failure::plain(format!(
                "watch: \"{word}\"; did you mean {hint}?"
            )));
        }
    };
    let options = context.options;
    let interval = match options.interval {
        Some(secs) if secs.is_finite() && (0.01..=86_400.0).contains(&secs) => secs,
        Some(secs) => {
            return Err(Failure::plain(format!(
                "--interval: {secs} is not 0.01 to 86400 seconds"
            )));
        }
        None => 1.0,
    };
    let rounds = match (options.once, options.count) {
        (true, _) => 1,
        (false, count) => count.unwrap_or(u64::MAX),
    };
    let mut connection = context.connect()?;
    let mut ports = connection.ports()?;
    if context.options.show_names() {
        connection.add_table_names(&mut ports)?;
    }
    let mut before = sample(context, &mut connection, what, &ports)?;
    let mut then = Instant::now();
    let redraws = !options.once && !options.json && std::io::stdout().is_terminal();
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_secs_f64(interval));
        let now = sample(context, &mut connection, what, &ports)?;
        let secs = then.elapsed().as_secs_f64();
        then = Instant::now();
        let rows = rates(&before, &now, secs);
        print(&match options.json {
            true => format!("{}\n", in_json(&rows)),
            false => in_text(context.switch(), what, &rows, redraws),
        })?;
        before = now;
    }
    Ok(())
}

fn sample(
    context: &Context<'_>,
    connection: &mut Connection,
    what: What,
    ports: &PortMap,
) -> Result<Vec<Row>> {
    match what {
        What::Ports => {
            let mut rows = Vec::new();
            connection.ask_parts(MultipartRequest::Port(PortNo::ANY), |message| {
                if let Body::MultipartReply(reply) = &message.body
                    && let MultipartPart::Port(stats) = &reply.part
                {
                    rows.extend(stats.iter().map(|stats| port_row(stats, ports)));
                }
                Ok(())
            })?;
            Ok(rows)
        }
        What::Flows => flows(context, connection, ports),
    }
}

fn port_row(stats: &PortStats, ports: &PortMap) -> Row {
    let mut name = String::new();
    print_port(&mut name, stats.port, None);
    if let Some(text) = ports.name(stats.port) {
        name = format!("{name:<5} {text}");
    }
    let known = |value: u64| if value == u64::MAX { 0 } else { value };
    Row {
        json: json!({ "port": stats.port.0, "name": ports.name(stats.port) }),
        name,
        counters: [
            known(stats.rx_packets),
            known(stats.rx_bytes),
            known(stats.tx_packets),
            known(stats.tx_bytes),
            known(stats.rx_dropped).saturating_add(known(stats.tx_dropped)),
        ],
    }
}

fn flows(context: &Context<'_>, connection: &mut Connection, ports: &PortMap) -> Result<Vec<Row>> {
    let nicira = connection.enable_extensions()?;
    let select = FlowStatsRequest {
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        cookie: Cookie(0),
        cookie_mask: 0,
        matching: Match::default(),
        nicira,
    };
    let style = context.style(connection.version(), ports);
    let row = |flow: &FlowStats| {
        let matching = print_match(&flow.matching, &style);
        let actions = print_actions(&flow.actions, &style);
        let (table, priority) = (flow.table, flow.priority);
        let comma = if matching.is_empty() { "" } else { "," };
        Row {
            name: format!("table={table},priority={priority}{comma}{matching} actions={actions}"),
            json: json!({
                "table": table.0, "priority": priority, "match": matching, "actions": actions,
            }),
            counters: [flow.packets, flow.bytes, 0, 0, 0],
        }
    };
    let mut rows = Vec::new();
    connection.ask_parts(MultipartRequest::Flow(Box::new(select)), |message| {
        if let Body::MultipartReply(reply) = &message.body
            && let MultipartPart::Flow { flows, .. } = &reply.part
        {
            if rows.len() + flows.len() > FLOWS_MAX {
                return Err(Failure::plain(format!(
                    "watch: more than {FLOWS_MAX} flows"
                )));
            }
            rows.extend(flows.iter().map(row));
        }
        Ok(())
    })?;
    Ok(rows)
}

/// What there is now, with its rates; what was not there before has none yet.
fn rates<'r>(before: &[Row], now: &'r [Row], secs: f64) -> Vec<(&'r Row, Rates)> {
    let known: HashMap<&str, &Counters> = before
        .iter()
        .map(|row| (row.name.as_str(), &row.counters))
        .collect();
    let rate = |row: &'r Row| {
        let old = known.get(row.name.as_str()).copied();
        let of = |i: usize| {
            let old = old.map_or(row.counters[i], |old| old[i]);
            row.counters[i].saturating_sub(old) as f64 / secs.max(1e-3)
        };
        (row, std::array::from_fn(of))
    };
    let mut rows: Vec<(&Row, Rates)> = now.iter().map(rate).collect();
    // The busiest first; the others as the switch lists them.
    let busy = |rates: &Rates| rates[0] + rates[2];
    rows.sort_by(|a, b| busy(&b.1).total_cmp(&busy(&a.1)));
    rows
}

fn in_json(rows: &[(&Row, Rates)]) -> Value {
    let one = |(row, rates): &(&Row, Rates)| {
        let mut value = row.json.clone();
        let names = ["rx_pps", "rx_bps", "tx_pps", "tx_bps", "drops_per_second"];
        for (index, name) in names.into_iter().enumerate() {
            let bits = if matches!(index, 1 | 3) { 8.0 } else { 1.0 };
            value[name] = json!((rates[index] * bits * 10.0).round() / 10.0);
        }
        value
    };
    rows.iter().map(one).collect()
}

/// `12.3M`.
fn short(value: f64) -> String {
    for (limit, unit) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value >= limit {
            return format!("{:.1}{unit}", value / limit);
        }
    }
    format!("{value:.0}")
}

fn in_text(switch: &str, what: What, rows: &[(&Row, Rates)], redraws: bool) -> String {
    let lines = std::env::var("LINES")
        .ok()
        .and_then(|text| text.parse().ok());
    let most = match redraws {
        true => lines.unwrap_or(LINES).saturating_sub(HEAD_LINES),
        false => usize::MAX,
    };
    // Home, and clear what was there.
    let mut text = if redraws { "\x1b[H\x1b[2J" } else { "" }.to_owned();
    match what {
        What::Ports => {
            text += &format!(
                "{switch}: {:>9} {:>9} {:>9} {:>9} {:>9}  port\n",
                "rx pkt/s", "rx bit/s", "tx pkt/s", "tx bit/s", "drops/s"
            );
        }
        What::Flows => text += &format!("{switch}: {:>9} {:>9}  flow\n", "pkt/s", "bit/s"),
    }
    let blank = " ".repeat(switch.len() + 1);
    for (row, rates) in rows.iter().take(most) {
        let [rx, rx_bytes, tx, tx_bytes, drops] = *rates;
        let (first, second) = (short(rx), short(rx_bytes * 8.0));
        text += &match what {
            What::Flows => format!("{blank} {first:>9} {second:>9}  {}\n", row.name),
            What::Ports => format!(
                "{blank} {first:>9} {second:>9} {:>9} {:>9} {:>9}  {}\n",
                short(tx),
                short(tx_bytes * 8.0),
                short(drops),
                row.name
            ),
        };
    }
    if rows.len() > most {
        text += &format!("{blank} and {} more\n", rows.len() - most);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between() {
        let row = |name: &str, packets| Row {
            name: name.into(),
            json: Value::Null,
            counters: [packets, 10 * packets, 0, 0, 0],
        };
        let before = [row("a", 100), row("b", 5)];
        let now = [row("a", 100), row("b", 25), row("new", 7)];
        let rates = rates(&before, &now, 2.0);
        assert_eq!(rates[0].0.name, "b");
        assert_eq!(rates[0].1, [10.0, 100.0, 0.0, 0.0, 0.0]);
        assert!(rates[1..].iter().all(|row| row.1 == [0.0; 5]));
        assert_eq!(short(12_340_000.0), "12.3M");
        assert_eq!(short(7.4), "7");
    }
}
