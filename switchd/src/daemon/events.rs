//! What happens when something happens: connections, workers, the kernel, the clock, commands.

use super::openflow;
use super::ports::port_word;
use super::{BATCH, Daemon, Event, LINK_PAUSE, LiveBridge, ROUTING_PAUSE};
use crate::kernel::Changes;
use crate::underlay::{Changed, Who};
use crate::unixctl;
use datapath::control::Output;
use datapath::model::{BridgeId, PortId};
use std::net::IpAddr;
use std::time::Instant;

/// Status and statistics are written to the database this often, in ticks of 100 ms.
const STATUS_TICKS: u64 = 50;
/// The workers' loads are read.
const LOAD_TICKS: u64 = 100;
/// Controllers' status, ports to be retried.
const SLOW_TICKS: u64 = 5;
/// Path MTUs that were learnt are asked for again: what the kernel has learnt is true for ten minutes.
const LEARNT_TICKS: u64 = 300;

impl Daemon {
    /// One event of a task.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::OpenFlow(event) => self.openflow(event),
            Event::Kernel(changes) => self.kernel_changed(changes),
            Event::PathMtu(ip) => self.underlay.resolve_remote(ip),
            Event::Command(request) => self.command(request),
        }
    }

    fn kernel_changed(&mut self, changes: Changes) {
        let now = Instant::now();
        if changes.routing || changes.overrun {
            self.routing_due.get_or_insert(now + self.routing_pause);
        }
        if changes.links || changes.overrun {
            self.links_due.get_or_insert(now + LINK_PAUSE);
        }
        if changes.overrun {
            tracing::warn!("the kernel's notifications overran; everything is asked for again");
            self.retry_all();
        }
        for (ifindex, name) in &changes.named {
            self.link_came(*ifindex, name);
        }
        for (key, neighbour) in changes.neighbours {
            let routes = self.underlay.neighbour(key, neighbour);
            self.set_routes(routes);
        }
    }

    /// What the workers have to say.
    pub fn worker_events(&mut self) {
        let mut events = Vec::new();
        self.workers.hand_over();
        self.workers.events(BATCH, &mut events);
        let now = self.clock.now();
        for event in events {
            self.switch.event(now, event, &mut self.outputs);
        }
    }

    /// Does what the switch asks for.
    pub fn deliver(&mut self) {
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::Send(conn, message) => self.send(conn, message),
                Output::SendPacketIn(conn, message) => self.send_packet_in(conn, message),
                Output::More(conn) => self.more(conn),
                Output::Done(conn) => self.room(conn),
                Output::Close(conn) => self.closed(conn, "the switch closes it"),
                Output::PacketOut(packet_out) => self.workers.packet_out(packet_out),
                Output::Resolve(port, ends) => self.underlay.resolve(port, ends),
                Output::SetPortUp(port, up) => self.set_port_up(port, up),
                // Queues and devices were taken from the workers when the port was removed.
                Output::PortGone(_) | Output::BridgeGone(_) => {}
            }
        }
    }

    fn set_port_up(&mut self, id: PortId, up: bool) {
        let port = self
            .ports
            .values_mut()
            .find(|port| port.live.is_some_and(|(live, _)| live == id));
        let Some(port) = port else { return };
        if port.device.is_none() {
            port.state.admin_up = up;
        }
        if let Some(device) = &mut port.device {
            if let Err(error) = device.set_up(up) {
                tracing::warn!(
                    port = port.config.name,
                    error,
                    "cannot change the port's state"
                );
            }
            port.state = device.state();
            self.switch
                .set_port_state(id, port.state, &mut self.outputs);
        }
    }

    /// Tells the switch of ways that changed.
    pub fn set_routes(&mut self, routes: Changed) {
        for (who, route) in routes {
            tracing::debug!(?who, ?route, "tunnel route");
            match who {
                Who::Port(port) => self.switch.set_route(port, route),
                Who::Ends(ends) => self.switch.set_flow_route(ends, route),
            }
            self.report = true;
        }
    }

    /// Every 100 ms.
    pub fn tick(&mut self, ticks: u64) {
        let now = Instant::now();
        self.switch.tick(self.clock.now(), &mut self.outputs);
        self.server.tick(now);
        self.retry_ports(now);
        if self.workers.have_died() {
            self.exit = Some(Err("a worker died: see the log for its last words".into()));
        }
        if ticks.is_multiple_of(SLOW_TICKS) {
            self.underlay.resolve_lost();
            if self.hosts.values().any(Result::is_err) {
                self.set_hosts();
            }
            self.sweep();
            self.follow_controllers();
            self.retry_listeners();
        }
        if ticks.is_multiple_of(LOAD_TICKS) {
            self.workers.sample();
        }
        if ticks.is_multiple_of(LEARNT_TICKS) {
            self.underlay.resolve_learnt();
        }
        if ticks.is_multiple_of(STATUS_TICKS) {
            self.report_status();
        }
    }

    /// The kernel spoke of links or routes a while ago: looks at them.
    pub async fn follow_kernel(&mut self) {
        let now = Instant::now();
        if self.links_due.is_some_and(|due| due <= now) {
            self.follow_links();
            // The kernel does not tell of the routes that go with a link.
            self.routing_due.get_or_insert(now + self.routing_pause);
        }
        if self.routing_due.is_some_and(|due| due <= now) {
            self.follow_routing().await;
        }
        self.retry_ports(now);
    }

    /// Asks for the host's addresses and the tunnels' routes.
    pub async fn follow_routing(&mut self) {
        self.routing_due = None;
        let started = Instant::now();
        let addresses: Vec<IpAddr> = self
            .kernel
            .addresses()
            .await
            .into_iter()
            .map(|(_, ip)| ip)
            .collect();
        let addresses: Vec<IpAddr> = addresses
            .into_iter()
            .filter(|ip| !ip.is_loopback())
            .collect();
        if addresses != self.addresses {
            self.addresses = addresses;
            self.addresses_of.clear();
        }
        // Any of the host's addresses may be a tunnel's end, by whichever bridge the packet comes.
        let bridges: Vec<BridgeId> = self.bridges.values().map(|bridge| bridge.id).collect();
        for bridge in bridges {
            if self.addresses_of.insert(bridge) {
                self.switch.set_addresses(bridge, &self.addresses);
            }
        }
        self.find_routes(true).await;
        // However often the kernel's tables change, most of the time is for others.
        self.routing_pause = ROUTING_PAUSE.max(started.elapsed() * 4);
    }

    /// Asks for the tunnels' routes: for all, or those that are due.
    pub async fn find_routes(&mut self, all: bool) {
        if all {
            self.underlay.resolve_all();
        }
        if self.underlay.is_due() {
            let routes = self.underlay.refresh(&self.kernel).await;
            self.set_routes(routes);
            self.set_hosts();
        }
    }

    fn command(&mut self, request: unixctl::Request) {
        let answer = match request.method.as_str() {
            "exit" => {
                self.exit = Some(Ok(()));
                Ok(String::new())
            }
            "version" => Ok(format!("switchd (Tsunagi) {}\n", env!("CARGO_PKG_VERSION"))),
            "list-commands" => Ok(unixctl::COMMANDS.iter().fold(
                "The available commands are:\n".to_owned(),
                |text, (name, args)| format!("{text}  {name:<23} {args}\n"),
            )),
            "fdb/flush" => self.fdb_flush(&request.args),
            "fdb/show" => self.fdb_show(&request.args),
            "coverage/show" => Ok(self.coverage()),
            "dpif-netdev/pmd-perf-show" => self.pmd_perf_show(&request.args),
            "dpif-netdev/pmd-rxq-rebalance" => self.pmd_rxq_rebalance(&request.args),
            "dpif-netdev/pmd-rxq-show" => self.pmd_rxq_show(&request.args),
            "dpif-netdev/pmd-stats-clear" => self.pmd_stats_clear(&request.args),
            "dpif-netdev/pmd-stats-show" => self.pmd_stats_show(&request.args),
            "fragment/show" => Ok(self.fragment_show()),
            "ofproto/trace" => self.trace(&request.args),
            "ofproto/trace-packet-out" => self.trace_packet_out(&request.args),
            "tnl/ports/show" => Ok(self.tunnel_ports_show()),
            "worker/show" => self.worker_show(&request.args),
            "tunnel/show" => self.tunnel_show(&request.args),
            _ => Err(format!(
                "\"{}\" is not a valid command (use \"list-commands\")",
                request.method
            )),
        };
        request.answer(answer);
    }

    fn bridge_named(&self, name: &str) -> Result<&LiveBridge, String> {
        let bridge = self.bridges.get(name);
        bridge.ok_or_else(|| format!("no such bridge {name}"))
    }

    fn fdb_flush(&mut self, args: &[String]) -> Result<String, String> {
        let ids: Vec<BridgeId> = match args {
            [] => self.bridges.values().map(|bridge| bridge.id).collect(),
            [name] => vec![self.bridge_named(name)?.id],
            _ => return Err("\"fdb/flush\" takes at most one argument: a bridge".into()),
        };
        for id in ids {
            self.switch.flush_fdb(id);
        }
        Ok("table successfully flushed\n".into())
    }

    fn fdb_show(&self, args: &[String]) -> Result<String, String> {
        let [name] = args else {
            return Err("\"fdb/show\" takes one argument: a bridge".into());
        };
        let bridge = self.bridge_named(name)?;
        let mut text = " port  VLAN  MAC                Age\n".to_owned();
        for entry in self.switch.fdb(self.clock.now(), bridge.id) {
            let number = self
                .ports
                .values()
                .find_map(|p| p.live.filter(|(id, _)| *id == entry.port));
            let number = number.map_or("?".to_owned(), |(_, number)| port_word(number));
            text += &format!(
                "{number:>5}  {:>4}  {}  {:>3}\n",
                entry.vlan, entry.mac, entry.age_secs
            );
        }
        Ok(text)
    }

    fn coverage(&self) -> String {
        use datapath::model::drop::DROP_REASONS;
        let mut text = String::new();
        for (reason, name, about) in DROP_REASONS {
            text += &format!(
                "drop_{name:<24} {:>12}  {about}\n",
                self.stats.drops(*reason)
            );
        }
        for (outcome, name, about) in datapath::fragment::OUTCOMES {
            text += &format!(
                "fragment_{name:<20} {:>12}  {about}\n",
                self.stats.fragments(*outcome)
            );
        }
        for (effect, name, about) in datapath::model::stats::EFFECTS {
            let count = self.stats.effects(*effect);
            text += &format!("{name:<29} {count:>12}  {about}\n");
        }
        let [bursts, frames, hits, misses] = self.stats.workers();
        text += &format!(
            "{:<29} {bursts:>12}\n{:<29} {frames:>12}\n",
            "worker_bursts", "worker_frames"
        );
        text += &format!(
            "{:<29} {hits:>12}\n{:<29} {misses:>12}\n",
            "worker_cache_hits", "worker_cache_misses"
        );
        text += &format!(
            "{:<29} {:>12}  of each worker, see other_config:flow-cache-entries\n",
            "worker_cache_entries",
            self.config.global.cache_entries()
        );
        text += &format!(
            "{:<29} {:>12}  tunnel packets of no tunnel (remote end, key or session), left to the host\n",
            "tunnel_unclaimed",
            self.stats.unclaimed()
        );
        let snoopers = self.bridges.values().map(|bridge| bridge.tap.lost());
        text += &format!(
            "{:<29} {:>12}  OpenFlow messages not copied to a snooper that did not read\n",
            "snoop_lost",
            snoopers.sum::<u64>()
        );
        for (host, live) in &self.hosts {
            let Ok(open) = live else { continue };
            let name = host.to_string().replace(' ', "_");
            let mut counters = Vec::new();
            open.device.custom_counters(&mut counters);
            let device = open.device.counters();
            counters.push(("rx_dropped".to_owned(), device.rx_dropped));
            counters.push(("tx_dropped".to_owned(), device.tx_dropped));
            for (counter, value) in counters {
                text += &format!("{:<29} {value:>12}\n", format!("{name}_{counter}"));
            }
        }
        let control = self.switch.counters();
        text += &format!("{:<29} {:>12}\n", "control_table_full", control.table_full);
        text += &format!(
            "{:<29} {:>12}\n",
            "control_packet_ins_limited", control.packet_ins_limited
        );
        for (name, count) in [
            ("control_packet_ins_metered", control.packet_ins_metered),
            ("control_learnt", control.learnt),
            ("control_learns_refused", control.learns_refused),
            ("control_learns_limited", control.learns_limited),
            ("control_paused_lost", control.paused_lost),
            ("control_groups_full", control.groups_full),
            ("control_meters_full", control.meters_full),
            ("control_bundles_full", control.bundles_full),
            ("control_bundles_timed_out", control.bundles_timed_out),
            ("control_errors", control.errors),
        ] {
            text += &format!("{name:<29} {count:>12}\n");
        }
        for (name, count, about) in self.openflow_counters() {
            text += &format!("{name:<29} {count:>12}  {about}\n");
        }
        text
    }

    fn openflow(&mut self, event: openflow::Event) {
        match event {
            openflow::Event::Opened(opened) => self.opened(*opened),
            openflow::Event::Received(conn, messages) => self.received(conn, messages),
            openflow::Event::Room(conn) => self.room(conn),
            openflow::Event::Closed(conn, reason) => self.closed(conn, &reason),
            openflow::Event::Trouble(id, trouble) => {
                if let Some(dialer) = self.dialers.get_mut(&id) {
                    if dialer.trouble.as_ref() != Some(&trouble) {
                        let target = &dialer.controller.target;
                        tracing::warn!(bridge = dialer.bridge, %target, trouble, "no controller");
                    }
                    dialer.trouble = Some(trouble);
                }
            }
        }
    }
}
