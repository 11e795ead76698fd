//! What the switch says back through the database: numbers, errors, states, statistics.

use super::{DATABASE, Daemon};
use crate::config::{effect, port::Kind};
use datapath::model::tunnel_stats::{TunnelCounter, TunnelTotals};
use ofp::bpdu::BpduStats;
use ofp::message::PortStats;
use ovsdb::{Datum, Result, Txn, Uuid};
use packet::bpdu;
use std::time::Instant;

/// Columns of one row, to be written if they differ.
type Columns = Vec<(&'static str, Datum)>;

/// Columns that say nothing of an interface that is not in the switch.
const OF_LIVE_PORTS: &[&str] = &[
    "mac_in_use",
    "ifindex",
    "admin_state",
    "link_state",
    "mtu",
    "link_speed",
];
/// Number of an interface that is not in the switch.
const NO_PORT: i64 = -1;

fn set(txn: &mut Txn<'_>, table: &str, uuid: Uuid, columns: Columns) -> Result<()> {
    for (column, datum) in columns {
        let is_same = |row: &std::sync::Arc<ovsdb::Row>| row.get(column) == Some(&datum);
        if txn.row(table, uuid).is_some_and(|row| !is_same(row)) {
            txn.set(table, uuid, column, datum)?;
        }
    }
    Ok(())
}

fn strings(pairs: impl IntoIterator<Item = (&'static str, String)>) -> Datum {
    Datum::map(pairs)
}

impl Daemon {
    fn update(&mut self, what: &str, change: impl FnOnce(&mut Txn<'_>) -> Result<()>) {
        if let Err(error) = self.server.update(DATABASE, change) {
            tracing::error!(%error, "cannot write {what} to the database");
        }
    }

    /// Once, when the daemon starts.
    pub fn describe_switch(&mut self, dpdk: &str) {
        let types = Datum::set(crate::config::port::type_names());
        let columns: Columns = vec![
            ("iface_types", types),
            ("datapath_types", Datum::set(["netdev", "system"])),
            ("ovs_version", Datum::scalar(env!("CARGO_PKG_VERSION"))),
            ("dpdk_initialized", Datum::scalar(true)),
            ("dpdk_version", Datum::scalar(dpdk)),
        ];
        self.update("the description of the switch", |txn| {
            let root = txn
                .database()
                .singleton("Open_vSwitch")
                .map(|(uuid, _)| uuid);
            let root = match root {
                Some(root) => root,
                None => txn.insert("Open_vSwitch", ovsdb::Row::new())?,
            };
            set(txn, "Open_vSwitch", root, columns)
        });
    }

    /// Says what became of changes once they are in force.
    pub fn report_when_in_force(&mut self) {
        if !self.switch.is_busy() && std::mem::take(&mut self.report) {
            self.report_applied();
        }
    }

    /// After a configuration was applied, a link or a controller came or went: numbers, errors and states,
    /// and `cur_cfg` so that clients go on.
    fn report_applied(&mut self) {
        self.report_no_effect();
        let interfaces = self.interfaces();
        let bridges = self.bridge_columns();
        let controllers = self.controller_columns();
        let no_effect = self.said_no_effect.join(",");
        self.update("the result of a change", |txn| {
            for (uuid, columns) in interfaces {
                set(txn, "Interface", uuid, columns)?;
            }
            for (uuid, columns) in bridges {
                set(txn, "Bridge", uuid, columns)?;
            }
            for (uuid, columns) in controllers {
                set(txn, "Controller", uuid, columns)?;
            }
            let Some((root, row)) = txn.database().singleton("Open_vSwitch") else {
                return Ok(());
            };
            let next = row
                .get("next_cfg")
                .cloned()
                .unwrap_or_else(|| Datum::scalar(0i64));
            let mut ids: Vec<(String, String)> = row
                .get("external_ids")
                .into_iter()
                .flat_map(Datum::pairs)
                .filter_map(|(k, v)| Some((k.as_str()?.to_owned(), v.as_str()?.to_owned())))
                .filter(|(key, _)| key != NO_EFFECT_KEY)
                .collect();
            if !no_effect.is_empty() {
                ids.push((NO_EFFECT_KEY.to_owned(), no_effect));
            }
            set(
                txn,
                "Open_vSwitch",
                root,
                vec![("cur_cfg", next), ("external_ids", Datum::map(ids))],
            )
        });
    }

    /// Columns and keys that have no effect: said in the log once, and kept for `vsctl` to warn.
    fn report_no_effect(&mut self) {
        let Some(db) = self.server.database(DATABASE) else {
            return;
        };
        let found = effect::without_effect(db);
        for item in found
            .iter()
            .filter(|item| !self.said_no_effect.contains(item))
        {
            tracing::warn!(setting = item, "stored, but it has no effect yet");
        }
        self.said_no_effect = found;
    }

    fn interfaces(&self) -> Vec<(Uuid, Columns)> {
        let mut rows: Vec<(Uuid, Columns)> = Vec::new();
        for port in self.ports.values() {
            let number = port.live.map_or(NO_PORT, |(_, number)| port_number(number));
            let error = port.live.and_then(|(id, _)| self.underlay.error(id));
            let error = port.error.clone().or(error);
            let is_up = |up: bool| Datum::scalar(if up { "up" } else { "down" });
            let mut columns: Columns = vec![
                ("error", Datum::optional(error)),
                ("ofport", Datum::scalar(number)),
            ];
            if port.live.is_some() {
                let state = &port.state;
                columns.extend([
                    (
                        "mac_in_use",
                        Datum::scalar(packet::MacAddr(state.mac).to_string()),
                    ),
                    ("ifindex", Datum::scalar(i64::from(state.ifindex))),
                    ("admin_state", is_up(state.admin_up)),
                    ("link_state", is_up(state.link_up)),
                    ("mtu", Datum::scalar(i64::from(state.mtu))),
                    ("status", self.interface_status(port)),
                ]);
                let speed = (state.speed > 0).then_some(state.speed as i64);
                columns.push(("link_speed", Datum::optional(speed)));
            } else {
                let unknown = OF_LIVE_PORTS.iter();
                columns.extend(unknown.map(|column| (*column, Datum::empty())));
                let maps = ["status", "statistics"];
                columns.extend(maps.map(|column| (column, Datum::empty_map())));
            }
            rows.push((port.config.interface, columns));
        }
        // Rows that a database file brought along although they cannot work.
        for problem in self
            .server
            .hook
            .problems()
            .filter(|problem| problem.table == "Interface")
        {
            let error = ("error", Datum::scalar(problem.text.clone()));
            rows.push((
                problem.uuid,
                vec![error, ("ofport", Datum::scalar(NO_PORT))],
            ));
        }
        rows
    }

    fn interface_status(&self, port: &super::ports::LivePort) -> Datum {
        match (&port.config.kind, port.live, &port.device) {
            (Kind::Tunnel(_), Some((id, _)), _) => strings(self.underlay.status(id).pairs),
            (_, _, Some(device)) => strings([
                ("driver_name", device.driver().to_owned()),
                // A device may have fewer than were asked for.
                ("n_rxq", device.rx_len().to_string()),
            ]),
            _ => Datum::empty_map(),
        }
    }

    fn bridge_columns(&self) -> Vec<(Uuid, Columns)> {
        let columns = self.bridges.values().map(|bridge| {
            let id = Datum::scalar(format!("{:016x}", bridge.datapath_id));
            let trouble = bridge.error.iter().map(|error| ("error", error.clone()));
            (
                bridge.uuid,
                vec![("datapath_id", id), ("status", strings(trouble))],
            )
        });
        columns.collect()
    }

    /// Regularly: states and statistics. These columns are not kept in the file.
    pub fn report_status(&mut self) {
        let interfaces = self.interfaces();
        let statistics = self.statistics();
        let controllers = self.controller_columns();
        let managers = self.manager_columns();
        self.update("the status", |txn| {
            for (uuid, columns) in interfaces.into_iter().chain(statistics) {
                set(txn, "Interface", uuid, columns)?;
            }
            for (uuid, columns) in controllers {
                set(txn, "Controller", uuid, columns)?;
            }
            for (uuid, columns) in managers {
                set(txn, "Manager", uuid, columns)?;
            }
            Ok(())
        });
    }

    fn statistics(&mut self) -> Vec<(Uuid, Columns)> {
        let now = self.clock.now();
        let mut rows = Vec::new();
        let mut custom = Vec::new();
        for port in self.ports.values() {
            let Some((id, _)) = port.live else { continue };
            if let Some(device) = &port.device {
                self.switch.set_port_counters(id, device.counters());
                custom.clear();
                device.custom_counters(&mut custom);
            }
            let Some(stats) = self.switch.port_counters(now, id) else {
                continue;
            };
            let known = |(name, value): &(&str, u64)| {
                (*value != u64::MAX).then(|| ((*name).to_owned(), *value as i64))
            };
            let fields = [
                ("rx_packets", stats.rx_packets),
                ("rx_bytes", stats.rx_bytes),
                ("rx_dropped", stats.rx_dropped),
                ("rx_errors", stats.rx_errors),
                ("rx_frame_err", stats.rx_frame_err),
                ("rx_over_err", stats.rx_over_err),
                ("rx_crc_err", stats.rx_crc_err),
                ("tx_packets", stats.tx_packets),
                ("tx_bytes", stats.tx_bytes),
                ("tx_dropped", stats.tx_dropped),
                ("tx_errors", stats.tx_errors),
                ("collisions", stats.collisions),
            ];
            let mut pairs: Vec<(String, i64)> = fields.iter().filter_map(known).collect();
            if let Some(bpdus) = self.switch.bpdu_counters(id) {
                pairs.extend(bpdu_pairs(&bpdus, &stats));
            }
            if let Some(totals) = self.switch.tunnel_counters(id) {
                pairs.extend(tunnel_pairs(&totals));
            }
            pairs.extend(custom.drain(..).map(|(name, value)| (name, value as i64)));
            rows.push((
                port.config.interface,
                vec![("statistics", Datum::map(pairs))],
            ));
        }
        rows
    }

    fn manager_columns(&self) -> Vec<(Uuid, Columns)> {
        let managers = self.config.managers.values().map(|(uuid, _)| {
            let trouble = self
                .manager_trouble
                .get(uuid)
                .map(|error| ("last_error", error.clone()));
            (*uuid, vec![("status", strings(trouble))])
        });
        managers.collect()
    }

    fn controller_columns(&self) -> Vec<(Uuid, Columns)> {
        let now = Instant::now();
        let columns = self.dialers.values().map(|dialer| {
            let is_connected = dialer.conn.is_some();
            let secs = now.duration_since(dialer.since).as_secs().to_string();
            let mut status = vec![
                (
                    "state",
                    if is_connected { "ACTIVE" } else { "BACKOFF" }.to_owned(),
                ),
                (
                    if is_connected {
                        "sec_since_connect"
                    } else {
                        "sec_since_disconnect"
                    },
                    secs,
                ),
            ];
            status.extend(
                dialer
                    .trouble
                    .iter()
                    .map(|trouble| ("last_error", trouble.clone())),
            );
            let role = dialer.conn.and_then(|conn| self.switch.role(conn));
            let role = role.map(|role| match role {
                2 => "master",
                3 => "slave",
                _ => "other",
            });
            let columns = vec![
                ("is_connected", Datum::scalar(is_connected)),
                ("status", strings(status)),
                ("role", Datum::optional(role)),
            ];
            (dialer.controller.uuid, columns)
        });
        let bridges = self.config.bridges.values();
        let passive = bridges
            .flat_map(|bridge| &bridge.controllers)
            .filter(|(_, controller)| controller.target.is_passive())
            .map(|(target, controller)| {
                let is_connected = Datum::scalar(self.has_accepted(target));
                (controller.uuid, vec![("is_connected", is_connected)])
            });
        columns.chain(passive).collect()
    }
}

/// BPDUs by direction and, if there were any, by kind; a tunnel's counters by gpw's names.
fn bpdu_pairs(bpdus: &BpduStats, stats: &PortStats) -> Vec<(String, i64)> {
    let (rx, tx) = bpdus.totals();
    let mut pairs = Vec::new();
    for (direction, total, kinds) in [("rx", rx, bpdus.rx), ("tx", tx, bpdus.tx)] {
        pairs.push((format!("{direction}_bpdus"), total as i64));
        let seen = bpdu::Kind::COUNTED.iter().zip(kinds);
        let seen = seen.filter(|(_, count)| *count > 0);
        pairs.extend(seen.map(|(kind, count)| {
            let name = format!("{direction}_bpdu_{}", kind.name());
            (name, count as i64)
        }));
    }
    let gpw = bpdus.gpw(stats).into_iter().flatten();
    pairs.extend(gpw.map(|(name, value)| (name.to_owned(), value as i64)));
    pairs
}

/// What happened to a tunnel's packets: how many there were, and what else there was.
fn tunnel_pairs(totals: &TunnelTotals) -> Vec<(String, i64)> {
    const MAIN_LEN: usize = TunnelCounter::TxBytes as usize + 1;
    let counters = totals.iter().enumerate();
    let shown = counters.filter(|(index, (_, count))| *index < MAIN_LEN || *count > 0);
    shown
        .map(|(_, (name, count))| (format!("tunnel_{name}"), count as i64))
        .collect()
}

/// Where settings without effect are listed for `vsctl`.
const NO_EFFECT_KEY: &str = "tsunagi-no-effect";

fn port_number(number: ofp::types::PortNo) -> i64 {
    match number {
        ofp::types::PortNo::LOCAL => 65_534,
        number => i64::from(number.0),
    }
}
