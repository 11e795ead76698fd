//! What `ovs-appctl dpif-netdev/pmd-...` shows of workers and their queues, in the words of the stock switch as far as
//! they say something here: a "pmd thread" is a worker, an "emc hit" a packet whose program the cache knew, a "megaflow hit" one
//! whose tables were walked.

use super::Daemon;
use crate::unixctl::COMMANDS;
use crate::workers::{QueueView, Totals, WorkerView};
use datapath::model::PortId;
use datapath::model::stats::BURST_CLASSES;
use serde_json::{Value, json};
use std::fmt::Write;

/// Options and their words.
const PMD: &str = "-pmd";
/// The datapath's name, which may be said.
const DATAPATHS: [&str; 2] = ["netdev@ovs-netdev", "ovs-netdev"];

/// What a command's arguments say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// One worker's CPU.
    cpu: Option<usize>,
    /// Without histograms.
    brief: bool,
    /// How far back loads are told.
    secs: Option<u64>,
    /// Options that ask for histories of polls, which nobody keeps.
    histories: Vec<&'static str>,
}

/// Loads are told of a minute at most, and in steps of as many seconds as there are between readings.
const SECS_MAX: u64 = 60;
const SECS_STEP: u64 = 10;

impl Asked {
    fn read(command: &str, args: &[String]) -> Result<Asked, String> {
        let mut asked = Asked::default();
        let mut words = args.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                PMD => {
                    let cpu = words.next().and_then(|word| word.parse().ok());
                    asked.cpu = Some(cpu.ok_or("-pmd takes the number of a CPU")?);
                }
                "-nh" if command == "pmd-perf-show" => asked.brief = true,
                "-secs" if command == "pmd-rxq-show" => {
                    let secs = words.next().and_then(|word| word.parse::<u64>().ok());
                    let secs = secs.filter(|secs| *secs > 0);
                    asked.secs = Some(secs.ok_or("-secs takes a number of seconds")?);
                }
                "-it" | "-ms" if command == "pmd-perf-show" => {
                    let option = if word == "-it" { "-it" } else { "-ms" };
                    let len = words.next().and_then(|word| word.parse::<u32>().ok());
                    if len.ok_or_else(|| format!("{option} takes a number"))? > 0 {
                        asked.histories.push(option);
                    }
                }
                dp if DATAPATHS.contains(&dp) => {}
                other => {
                    return Err(format!(
                        "\"dpif-netdev/{command}\" does not know {other:?}: it takes {} (the datapath: {})",
                        words_of(command),
                        DATAPATHS[1]
                    ));
                }
            }
        }
        Ok(asked)
    }
}

/// What a command takes, as `list-commands` says it.
fn words_of(command: &str) -> &'static str {
    let is = |name: &str| name.strip_prefix("dpif-netdev/") == Some(command);
    let row = COMMANDS.iter().find(|(name, _)| is(name));
    row.map_or("", |(_, words)| words)
}

impl Daemon {
    fn port_name(&self, id: PortId) -> String {
        let mut port = self.ports.iter();
        let port = port.find(|(_, port)| port.live.is_some_and(|(live, _)| live == id));
        let host = || {
            self.hosts
                .iter()
                .find(|(_, live)| live.as_ref().is_ok_and(|open| open.id() == id))
        };
        match port {
            Some((name, _)) => name.clone(),
            None => host().map_or_else(|| id.0.to_string(), |(host, _)| host.to_string()),
        }
    }

    fn asked_views(&self, asked: &Asked) -> Result<Vec<WorkerView>, String> {
        let views = self
            .workers
            .views(asked.cpu, asked.secs.unwrap_or(SECS_MAX));
        match asked.cpu {
            Some(cpu) if views.is_empty() => Err(format!("there is no worker on CPU {cpu}")),
            _ => Ok(views),
        }
    }

    /// `dpif-netdev/pmd-rxq-rebalance`
    pub fn pmd_rxq_rebalance(&mut self, args: &[String]) -> Result<String, String> {
        Asked::read("pmd-rxq-rebalance", args)?;
        self.workers.rebalance();
        Ok("pmd rxq rebalance requested.\n".to_owned())
    }

    /// `dpif-netdev/pmd-stats-clear`
    pub fn pmd_stats_clear(&mut self, args: &[String]) -> Result<String, String> {
        let asked = Asked::read("pmd-stats-clear", args)?;
        self.asked_views(&asked)?;
        self.workers.clear(asked.cpu);
        Ok(String::new())
    }

    /// `dpif-netdev/pmd-rxq-show`
    pub fn pmd_rxq_show(&self, args: &[String]) -> Result<String, String> {
        let mut asked = Asked::read("pmd-rxq-show", args)?;
        let secs = asked.secs.unwrap_or(SECS_MAX).min(SECS_MAX);
        let secs = secs.next_multiple_of(SECS_STEP);
        asked.secs = Some(secs);
        let mut text = format!("Displaying last {secs} seconds pmd usage %\n");
        for view in self.asked_views(&asked)? {
            let _ = writeln!(text, "{}:\n  isolated : {}", title(&view), view.isolated);
            let mut queues: Vec<(String, &QueueView)> = Vec::new();
            for queue in &view.queues {
                queues.push((self.port_name(queue.port), queue));
            }
            queues.sort_by(|a, b| (&a.0, a.1.index).cmp(&(&b.0, b.1.index)));
            for (name, queue) in queues {
                let _ = writeln!(
                    text,
                    "  port: {name:<16}  queue-id: {:2} (enabled)   pmd usage: {:2} %",
                    queue.index, queue.percent
                );
            }
            let queues: u64 = view.queues.iter().map(|queue| queue.percent).sum();
            let _ = writeln!(
                text,
                "  overhead: {:2} %",
                view.percent.saturating_sub(queues)
            );
        }
        Ok(text)
    }

    /// `dpif-netdev/pmd-stats-show`
    pub fn pmd_stats_show(&self, args: &[String]) -> Result<String, String> {
        let asked = Asked::read("pmd-stats-show", args)?;
        let hz = self.workers.hz();
        let views = self.asked_views(&asked)?;
        Ok(views.iter().map(|view| stats_text(view, hz)).collect())
    }

    /// `dpif-netdev/pmd-perf-show`
    pub fn pmd_perf_show(&self, args: &[String]) -> Result<String, String> {
        let asked = Asked::read("pmd-perf-show", args)?;
        let hz = self.workers.hz();
        let views = self.asked_views(&asked)?;
        let notes = asked.histories.iter();
        let mut text: String = notes
            .map(|option| format!("{option}: polls are counted, but no history of them is kept\n"))
            .collect();
        text.extend(views.iter().map(|view| perf_text(view, hz, asked.brief)));
        Ok(text)
    }
}

impl Daemon {
    /// `worker/show [--json]`
    pub fn worker_show(&self, args: &[String]) -> Result<String, String> {
        let views = self.workers.views(None, SECS_MAX);
        match args {
            [] => Ok(views.iter().map(|view| self.worker_text(view)).collect()),
            [word] if word == "--json" => {
                let workers: Vec<Value> = views.iter().map(|view| self.worker_json(view)).collect();
                let all = json!({ "hz": self.workers.hz(), "workers": workers });
                serde_json::to_string_pretty(&all)
                    .map(|text| text + "\n")
                    .map_err(|error| error.to_string())
            }
            _ => Err("\"worker/show\" takes --json, or nothing".into()),
        }
    }

    fn worker_text(&self, view: &WorkerView) -> String {
        let (t, hz) = (&view.totals, self.workers.hz());
        let busy = cycles(t.busy_nanos, hz);
        let seconds = view.age.as_secs_f64().max(1e-9);
        let part = |nanos: u64| nanos as f64 / 1e7 / seconds;
        let mut text = format!(
            "worker {} on CPU {}{}, in {seconds:.1} s:\n",
            view.index,
            view.cpu,
            if view.isolated { ", isolated" } else { "" }
        );
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<8} {value}");
        };
        line(
            "time",
            format!(
                "{:.1} % busy, {:.1} % polling for nothing, {:.1} % asleep ({} sleeps); last minute {} % busy",
                part(t.busy_nanos),
                part(t.idle_nanos),
                part(t.slept_nanos),
                t.sleeps,
                view.percent
            ),
        );
        line(
            "packets",
            format!(
                "{} received, {} sent, {:.0} busy cycles each",
                t.packets,
                t.sent,
                ratio(busy, t.packets)
            ),
        );
        let classes =
            (0..BURST_CLASSES).map(|class| format!("{}: {}", class_name(class), t.classes[class]));
        line(
            "bursts",
            format!(
                "{}, {:.1} packets each ({})",
                t.bursts,
                ratio(t.packets, t.bursts),
                classes.collect::<Vec<_>>().join(", ")
            ),
        );
        line(
            "cache",
            format!(
                "{} hits, {} misses ({:.1} %), {} of them not kept, {:.2} tables looked up per miss, {:.2} classifier steps each",
                t.hits,
                t.misses,
                percent(t.misses, t.hits + t.misses),
                t.unkept,
                ratio(t.lookups, t.misses),
                ratio(t.probes, t.lookups)
            ),
        );
        for queue in &view.queues {
            line(
                "queue",
                format!(
                    "{} {}: {} packets so far, {} % of the worker in the last minute{}",
                    self.port_name(queue.port),
                    queue.index,
                    queue.packets,
                    queue.percent,
                    if queue.pinned { ", pinned" } else { "" }
                ),
            );
        }
        text
    }

    fn worker_json(&self, view: &WorkerView) -> Value {
        let (t, hz) = (&view.totals, self.workers.hz());
        let classes = (0..BURST_CLASSES).map(|class| (class_name(class), json!(t.classes[class])));
        let queues = view.queues.iter().map(|queue| {
            json!({
                "port": self.port_name(queue.port),
                "queue": queue.index,
                "pinned": queue.pinned,
                "packets": queue.packets,
                "percent_of_worker": queue.percent,
            })
        });
        json!({
            "worker": view.index,
            "cpu": view.cpu,
            "isolated": view.isolated,
            "seconds": view.age.as_secs_f64(),
            "percent_busy": view.percent,
            "cycles_busy": cycles(t.busy_nanos, hz),
            "cycles_idle": cycles(t.idle_nanos, hz),
            "cycles_asleep": cycles(t.slept_nanos, hz),
            "sleeps": t.sleeps,
            "polls": t.polls,
            "polls_busy": t.busy_polls,
            "packets": t.packets,
            "packets_sent": t.sent,
            "bursts": t.bursts,
            "bursts_by_packets": classes.collect::<serde_json::Map<_, _>>(),
            "cache_hits": t.hits,
            "cache_misses": t.misses,
            "cache_not_kept": t.unkept,
            "lookups": t.lookups,
            "classifier_steps": t.probes,
            "queues": queues.collect::<Vec<_>>(),
        })
    }
}

/// How many packets the bursts of a class have.
fn class_name(class: usize) -> String {
    let (first, last) = (1 << class, (2 << class) - 1);
    match class {
        0 => "1".to_owned(),
        _ if class + 1 == BURST_CLASSES => format!("{first}"),
        _ => format!("{first}-{last}"),
    }
}

fn title(view: &WorkerView) -> String {
    format!("pmd thread numa_id 0 core_id {}", view.cpu)
}

fn cycles(nanos: u64, hz: u64) -> u64 {
    (u128::from(nanos) * u128::from(hz) / 1_000_000_000) as u64
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * ratio(part, whole)
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn stats_text(view: &WorkerView, hz: u64) -> String {
    let t = &view.totals;
    let (idle, busy) = (cycles(t.idle_nanos, hz), cycles(t.busy_nanos, hz));
    let passes = t.hits + t.misses;
    let mut text = format!("{}:\n", title(view));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name}: {value}");
    };
    line("packets received", t.packets.to_string());
    line(
        "packet recirculations",
        passes.saturating_sub(t.packets).to_string(),
    );
    line(
        "avg. datapath passes per packet",
        format!("{:.2}", ratio(passes, t.packets)),
    );
    line("phwol hits", "0".into());
    line("mfex opt hits", "0".into());
    line("simple match hits", "0".into());
    line("emc hits", t.hits.to_string());
    line("smc hits", "0".into());
    line("megaflow hits", t.misses.to_string());
    line(
        "avg. subtable lookups per megaflow hit",
        format!("{:.2}", ratio(t.probes, t.misses)),
    );
    line("miss with success upcall", "0".into());
    line("miss with failed upcall", "0".into());
    line(
        "avg. packets per output batch",
        format!("{:.2}", ratio(t.sent, t.batches)),
    );
    line(
        "idle cycles",
        format!("{idle} ({:.2}%)", percent(idle, idle + busy)),
    );
    line(
        "processing cycles",
        format!("{busy} ({:.2}%)", percent(busy, idle + busy)),
    );
    if t.packets > 0 {
        line(
            "avg cycles per packet",
            format!(
                "{:.2} ({}/{})",
                ratio(idle + busy, t.packets),
                idle + busy,
                t.packets
            ),
        );
        line(
            "avg processing cycles per packet",
            format!("{:.2} ({busy}/{})", ratio(busy, t.packets), t.packets),
        );
    }
    text
}

fn perf_text(view: &WorkerView, hz: u64, brief: bool) -> String {
    let t = &view.totals;
    let (idle, busy) = (cycles(t.idle_nanos, hz), cycles(t.busy_nanos, hz));
    let used = idle + busy;
    let total = cycles(view.age.as_nanos() as u64, hz);
    let seconds = view.age.as_secs_f64().max(1e-9);
    let mut text = format!(
        "\nMeasurement duration: {seconds:.3} s\n\n{}:\n\n",
        title(view)
    );
    let mut line = |name: &str, value: u64, note: String| {
        let _ = writeln!(text, "  {name:<20} {value:>12}  {note}");
    };
    line(
        "Iterations:",
        t.polls,
        format!("({:.2} us/it)", ratio(view.age.as_micros() as u64, t.polls)),
    );
    line(
        "- Used TSC cycles:",
        used,
        format!("({:5.1} % of total cycles)", percent(used, total)),
    );
    line(
        "- idle iterations:",
        t.polls.saturating_sub(t.busy_polls),
        format!("({:5.1} % of used cycles)", percent(idle, used)),
    );
    line(
        "- busy iterations:",
        t.busy_polls,
        format!("({:5.1} % of used cycles)", percent(busy, used)),
    );
    line(
        "- sleep iterations:",
        t.sleeps,
        format!("({:5.1} % of iterations)", percent(t.sleeps, t.polls)),
    );
    let slept = t.slept_nanos / 1000;
    line(
        "Sleep time (us):",
        slept,
        format!("({:3.0} us/iteration avg.)", ratio(slept, t.sleeps)),
    );
    if t.packets == 0 {
        line("Rx packets:", 0, String::new());
    } else {
        let kpps = t.packets as f64 / seconds / 1000.0;
        line(
            "Rx packets:",
            t.packets,
            format!("({kpps:.0} Kpps, {:.0} cycles/pkt)", ratio(busy, t.packets)),
        );
        let passes = t.hits + t.misses;
        line(
            "Datapath passes:",
            passes,
            format!("({:.2} passes/pkt)", ratio(passes, t.packets)),
        );
        line(
            "- EMC hits:",
            t.hits,
            format!("({:5.1} %)", percent(t.hits, passes)),
        );
        line(
            "- Megaflow hits:",
            t.misses,
            format!(
                "({:5.1} %, {:.2} subtbl lookups/hit)",
                percent(t.misses, passes),
                ratio(t.probes, t.misses)
            ),
        );
        line("- Upcalls:", 0, "(  0.0 %, 0.0 us/upcall)".into());
        line("- Lost upcalls:", 0, "(  0.0 %)".into());
    }
    if t.sent == 0 {
        line("Tx packets:", 0, String::new());
    } else {
        let kpps = t.sent as f64 / seconds / 1000.0;
        line("Tx packets:", t.sent, format!("({kpps:.0} Kpps)"));
    }
    if !brief && t.bursts > 0 {
        text += &histogram(t);
    }
    text + "\n"
}

/// Bursts by their size.
fn histogram(t: &Totals) -> String {
    let mut text = format!(
        "\n  packets/batch (mean {:.2}):\n",
        ratio(t.packets, t.bursts)
    );
    for class in 0..BURST_CLASSES {
        let range = class_name(class);
        let count = t.classes[class];
        let _ = writeln!(
            text,
            "  {range:>7} {count:>14} ({:5.1} %)",
            percent(count, t.bursts)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let read = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            Asked::read("pmd-perf-show", &args)
        };
        assert_eq!(read(&[]), Ok(Asked::default()));
        assert_eq!(
            read(&["-nh", "-pmd", "3", "ovs-netdev"]),
            Ok(Asked {
                cpu: Some(3),
                brief: true,
                ..Asked::default()
            })
        );
        let histories = read(&["-it", "5", "-ms", "0"]).map(|asked| asked.histories);
        assert_eq!(histories, Ok(vec!["-it"]));
        for wrong in [
            &["-pmd"][..],
            &["-pmd", "x"],
            &["-it"],
            &["-ms", "-1"],
            &["-secs", "5"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        let rxq = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            Asked::read("pmd-rxq-show", &args)
        };
        assert_eq!(rxq(&["-secs", "5"]).map(|asked| asked.secs), Ok(Some(5)));
        assert!(
            rxq(&["-nh"]).is_err() && rxq(&["-secs", "0"]).is_err() && rxq(&["-secs"]).is_err()
        );
    }

    #[test]
    fn large_counts_are_percentages() {
        assert_eq!(percent(u64::MAX / 2, u64::MAX), 50.0);
        assert_eq!(percent(0, 0), 0.0);
    }
}
