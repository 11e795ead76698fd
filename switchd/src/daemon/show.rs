//! What `ovs-appctl` shows of tunnels and fragments.

use super::Daemon;
use super::ports::{LivePort, port_word};
use crate::config::port::Kind;
use crate::config::tunnel::TunnelOptions;
use datapath::fragment::{FRAGMENTS_MAX, Limits, OUTCOMES};
use datapath::model::PortId;
use datapath::model::tunnel::{Remote, Tunnel};
use datapath::model::tunnel_stats::TUNNEL_COUNTERS;
use datapath::tunnel::Outer;
use packet::{Wire, ethernet, ipproto};
use std::collections::BTreeMap;
use std::fmt::Write;

impl Daemon {
    /// The tunnels, by name, with their numbers if they are in the switch.
    fn tunnels(&self) -> impl Iterator<Item = (&String, &LivePort, &TunnelOptions)> {
        self.ports
            .iter()
            .filter_map(|(name, port)| match &port.config.kind {
                Kind::Tunnel(tunnel) => Some((name, port, tunnel)),
                _ => None,
            })
    }

    /// `tunnel/show [port]`: of one tunnel, also the counters that are 0.
    pub fn tunnel_show(&self, args: &[String]) -> Result<String, String> {
        let wanted = match args {
            [] => None,
            [name] => Some(name),
            _ => return Err("\"tunnel/show\" takes at most one argument: a tunnel".into()),
        };
        let of = |name: &String| wanted.is_none_or(|wanted| wanted == name);
        let texts: Vec<String> = self
            .tunnels()
            .filter(|(name, ..)| of(name))
            .map(|(name, port, _)| self.tunnel_text(name, port, wanted.is_some()))
            .collect();
        match wanted {
            Some(name) if texts.is_empty() => Err(format!("no tunnel named {name}")),
            _ => Ok(texts.join("\n")),
        }
    }

    fn tunnel_text(&self, name: &str, port: &LivePort, all: bool) -> String {
        let mut text = format!("{name}: bridge {}", port.bridge);
        let Some((id, number)) = port.live else {
            let error = port.error.as_deref().unwrap_or("not in the switch");
            return format!("{text}\n  error: {error}\n");
        };
        let tunnel = self.switch.tunnel(id);
        let kind = tunnel.map_or("?", |tunnel| tunnel.config.encap.row().name);
        text += &format!(", port {}, type {kind}\n", port_word(number));
        let options = port.config.options.iter();
        let options: Vec<String> = options.map(|(key, word)| format!("{key}={word}")).collect();
        text += &format!("  options: {}\n", options.join(", "));
        for (key, word) in self.underlay.status(id).pairs {
            text += &format!("  {key}: {word}\n");
        }
        if tunnel.is_some_and(|tunnel| tunnel.config.remote == Remote::Flow) {
            text += &self.ends();
        }
        text += &tunnel.map(sizes).unwrap_or_default();
        text + &self.tunnel_counters(id, all)
    }

    fn tunnel_counters(&self, id: PortId, all: bool) -> String {
        let Some(totals) = self.switch.tunnel_counters(id) else {
            return String::new();
        };
        let rows = TUNNEL_COUNTERS
            .iter()
            .filter(|(counter, ..)| all || totals.get(*counter) > 0);
        rows.map(|(counter, name, _, about)| {
            format!("  {name:<22} {:>12}  {about}\n", totals.get(*counter))
        })
        .collect()
    }

    /// The remote ends that packets named, and the way to each; tunnels share them.
    fn ends(&self) -> String {
        let lines = self.underlay.ends().map(|((remote, local), status)| {
            let local = local.map_or_else(String::new, |local| format!(" from {local}"));
            let pairs = status.pairs.iter();
            let pairs: Vec<String> = pairs.map(|(key, word)| format!("{key}={word}")).collect();
            format!("  to {remote}{local}: {}\n", pairs.join(", "))
        });
        lines.collect()
    }

    /// `tnl/ports/show`
    pub fn tunnel_ports_show(&self) -> String {
        let mut listening: BTreeMap<(String, u16), Vec<&str>> = BTreeMap::new();
        for (name, port, TunnelOptions { config, .. }) in self.tunnels() {
            if port.live.is_some() {
                let row = config.encap.row();
                let carrier = match (config.remote_ip(), config.local_port, row.protocol) {
                    (_, port, _) if port != 0 => format!("{} UDP", row.name),
                    (None, _, _) if config.remote != Remote::Flow => {
                        format!("{} Ethernet", row.name)
                    }
                    (.., ipproto::UDP) => format!("{} IP", row.name),
                    (.., protocol) => format!("{} IP protocol {protocol}", row.name),
                };
                let tunnels = listening.entry((carrier, config.local_port));
                tunnels.or_default().push(name);
            }
        }
        let mut text = "Listening ports:\n".to_owned();
        for ((carrier, port), tunnels) in listening {
            let port = if port == 0 {
                String::new()
            } else {
                format!(" {port}")
            };
            text += &format!("  {carrier}{port}: {}\n", tunnels.join(", "));
        }
        text
    }

    /// `fragment/show`
    pub fn fragment_show(&self) -> String {
        let mut text = String::new();
        for (outcome, name, about) in OUTCOMES {
            let count = self.stats.fragments(*outcome);
            let _ = writeln!(text, "{name:<16} {count:>12}  {about}");
        }
        let len = self.workers.len();
        let limits = Limits::for_workers(len);
        let limit = [limits.datagrams, limits.fragments, limits.bytes];
        let names = ["datagrams", "fragments", "bytes"];
        for ((name, held), limit) in names.iter().zip(self.stats.held()).zip(limit) {
            let _ = writeln!(
                text,
                "held_{name:<11} {held:>12}  of at most {limit} for each of {len} workers"
            );
        }
        let [v4, v6] = [limits.ipv4_timeout, limits.ipv6_timeout].map(|time| time.as_secs());
        let _ = writeln!(
            text,
            "at most {FRAGMENTS_MAX} fragments of a packet; {v4} s (IPv4) or {v6} s (IPv6) for all to arrive"
        );
        text
    }
}

/// What the outer header costs, and what fits beside it.
fn sizes(tunnel: &Tunnel) -> String {
    let outer = tunnel
        .route
        .as_ref()
        .and_then(|route| Outer::new(&tunnel.config, route, None));
    outer.map_or_else(String::new, |outer| {
        let room = outer.room(&tunnel.config, &Default::default());
        let limit = outer.limit();
        let size = (limit + ethernet::Header::SIZE).saturating_sub(room);
        format!("  outer header: {size} bytes, Ethernet included\n  sent whole: frames of up to {room} bytes\n")
    })
}
