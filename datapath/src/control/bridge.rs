//! Bridges: settings, what packets meet where no flow decides (miss, fail-open), and the flush.

use super::flow_table::FlowTables;
use super::group::Groups;
use super::meter_mod::Meter;
use super::settings::{BridgeSettings, ConfigError, ControllerSettings, FailMode};
use super::table_mod::{Tables, tables};
use super::{Settling, Switch};
use crate::control::Output;
use crate::model::mac::MacTable;
use crate::model::snapshot::{BridgeConfig, Miss};
use crate::model::{BridgeId, Change, PortId, Rule, RuleId};
use crate::time::Time;
use ofp::action::Action;
use ofp::key::Match;
use ofp::types::{Cookie, MeterId, PortNo, TableId, Version};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The table that controllers do not see: it holds the rule of a bridge that lost its controllers.
const OWN_TABLE: TableId = TableId(TableId::LEN as u8);

/// A bridge as control knows it.
pub(super) struct Bridge {
    pub(super) settings: BridgeSettings,
    /// As last staged.
    pub(super) config: BridgeConfig,
    pub(super) flows: FlowTables,
    pub(super) groups: Groups,
    pub(super) meters: BTreeMap<MeterId, Meter>,
    pub(super) ports: BTreeMap<PortNo, PortId>,
    pub(super) tables: Tables,
    /// Monitors of all its connections.
    pub(super) monitors: usize,
    /// Who is configured.
    pub(super) controllers: Vec<ControllerSettings>,
    /// Largest generation id of a role request.
    pub(super) generation_id: Option<u64>,
    /// What the tables' counters (lookups, matches) held when the bridge got its number.
    pub(super) table_baseline: FxHashMap<TableId, (u64, u64)>,
    /// The rule of table 254, while it is in use.
    standalone: Option<Arc<Rule>>,
}

/// Refuses settings that are out of range.
fn check(settings: &BridgeSettings) -> Result<(), ConfigError> {
    let BridgeSettings {
        mac_aging_secs,
        mac_table_size,
        ..
    } = *settings;
    if !(15..=3600).contains(&mac_aging_secs) {
        let text = format!("mac-aging-time {mac_aging_secs} is not in 15..3600 (seconds)");
        return Err(ConfigError(text));
    }
    if !(10..=1_000_000).contains(&mac_table_size) {
        let text = format!("mac-table-size {mac_table_size} is not in 10..1000000");
        return Err(ConfigError(text));
    }
    Ok(())
}

impl Switch {
    /// Adds a bridge without ports.
    pub fn add_bridge(
        &mut self,
        now: Time,
        name: &str,
        settings: BridgeSettings,
    ) -> Result<BridgeId, ConfigError> {
        check(&settings)?;
        if self.bridges.values().any(|b| &*b.config.name == name) {
            return Err(ConfigError(format!("bridge {name} exists already")));
        }
        let too_many = || ConfigError(format!("bridge {name}: too many bridges"));
        let (number, _) = self.bridge_slots.take().ok_or_else(too_many)?;
        let id = BridgeId(number as u16);
        self.stats.reserve_bridge(id);
        let table_baseline = tables().map(|t| (t, self.stats.table(id, t))).collect();
        let config = BridgeConfig {
            name: name.into(),
            mac: settings.mac,
            first_table: TableId(0),
            first_egress: None,
            tlvs: None,
            miss: Miss::Drop,
            misses: Default::default(),
            miss_send_len: 0,
            frag: 0,
            reserved: settings.reserved.clone(),
            macs: Arc::new(MacTable::new(settings.mac_table_size).with_secret(self.secret)),
        };
        self.publisher
            .stage(Change::SetBridge(id, Arc::new(config.clone())));
        let bridge = Bridge {
            settings,
            config,
            flows: FlowTables::new(self.secret),
            groups: Groups::default(),
            meters: BTreeMap::new(),
            ports: BTreeMap::new(),
            tables: Tables::default(),
            monitors: 0,
            controllers: Vec::new(),
            generation_id: None,
            table_baseline,
            standalone: None,
        };
        self.bridges.insert(id, bridge);
        self.follow_tables(now, id);
        self.add_default_flow(now, id);
        Ok(id)
    }
    /// Changes a bridge's settings. Gaining or losing controllers flushes the flows, and so does a
    /// change of the fail mode of a bridge without controllers, as with Open vSwitch.
    pub fn set_bridge(
        &mut self,
        now: Time,
        id: BridgeId,
        settings: BridgeSettings,
    ) -> Result<(), ConfigError> {
        check(&settings)?;
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return Err(ConfigError("no such bridge".into()));
        };
        let old = std::mem::replace(&mut bridge.settings, settings);
        let new = &bridge.settings;
        bridge.config.mac = new.mac;
        bridge.config.reserved = new.reserved.clone();
        if old.mac_table_size != new.mac_table_size {
            bridge.config.macs =
                Arc::new(MacTable::new(new.mac_table_size).with_secret(self.secret));
        }
        let flush = old.has_controllers != new.has_controllers
            || !new.has_controllers && old.fail_mode != new.fail_mode;
        let staged = (bridge.config.mac, &bridge.config.reserved) != (old.mac, &old.reserved)
            || old.mac_table_size != new.mac_table_size;
        let new_tables = old.tables != new.tables;
        if staged {
            self.stage_bridge(id);
        }
        if new_tables {
            self.follow_tables(now, id);
        }
        if flush {
            self.set_fail_open(id, false);
            self.flush_flows(id);
            self.flush_groups(id);
            self.flush_meters(id);
            self.add_default_flow(now, id);
        } else if old.fail_mode != self.bridges[&id].settings.fail_mode {
            let fail_open = self.bridges[&id].standalone.is_some();
            self.set_fail_open(id, fail_open);
        }
        Ok(())
    }
    /// Removes a bridge with its ports and flows and closes its connections.
    pub fn remove_bridge(&mut self, id: BridgeId, out: &mut Vec<Output>) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        let of_bridge = |(conn, c): (&_, &super::Connection)| (c.bridge == id).then_some(*conn);
        let conns: Vec<_> = self.connections.iter().filter_map(of_bridge).collect();
        for conn in conns {
            self.connections.remove(&conn);
            out.push(Output::Close(conn));
        }
        let ports: Vec<PortId> = bridge.ports.values().copied().collect();
        ports
            .into_iter()
            .for_each(|port| self.remove_port(port, out));
        self.set_fail_open(id, false);
        self.flush_flows(id);
        self.flush_groups(id);
        self.flush_meters(id);
        self.flush_paused(id);
        self.bridges.remove(&id);
        self.wides.forget(id);
        self.publisher.stage(Change::RemoveBridge(id));
        self.when_settled(Settling::Bridge(id));
    }
    /// The host's addresses on a bridge's internal interfaces: tunnel packets to these are ours.
    pub fn set_addresses(&mut self, id: BridgeId, addresses: &[IpAddr]) {
        if self.bridges.contains_key(&id) {
            self.publisher
                .stage(Change::SetAddresses(id, addresses.into()));
        }
    }
    /// Tells whether all controllers of a bridge are out of reach. A `standalone` bridge then forwards
    /// by NORMAL alone; the controllers' flows stay in their tables and are obeyed again afterwards
    /// (Open vSwitch deletes them). A `secure` bridge goes on with the flows that it has.
    pub fn set_fail_open(&mut self, id: BridgeId, fail_open: bool) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let wanted = fail_open && bridge.settings.fail_mode == FailMode::Standalone;
        match (wanted, bridge.standalone.take()) {
            (true, None) => {
                let Some((slot, _)) = self.rule_slots.take() else {
                    return;
                };
                self.stats.reserve_rule(RuleId(slot));
                let rule = Arc::new(Rule {
                    id: RuleId(slot),
                    table: OWN_TABLE,
                    priority: 0,
                    matching: Match::default(),
                    actions: [NORMAL].into(),
                    cookie: Cookie(0),
                });
                bridge.standalone = Some(rule.clone());
                bridge.config.first_table = OWN_TABLE;
                self.publisher.stage(Change::AddRule(id, rule));
                self.stage_bridge(id);
            }
            (false, Some(rule)) => {
                bridge.config.first_table = TableId(0);
                self.stage_bridge(id);
                self.publisher.stage(Change::RemoveRule(id, rule.clone()));
                self.end_rule_silently(rule.id);
            }
            (_, unchanged) => bridge.standalone = unchanged,
        }
    }
    /// Publishes the bridge's settings.
    pub(super) fn stage_bridge(&mut self, id: BridgeId) {
        if let Some(bridge) = self.bridges.get(&id) {
            let config = Arc::new(bridge.config.clone());
            self.publisher.stage(Change::SetBridge(id, config));
        }
    }
    /// What the connections' versions and wishes mean for packets that no rule matches.
    pub(super) fn update_miss(&mut self, id: BridgeId) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let of_bridge = self.connections.values().filter(|c| c.bridge == id);
        let len = of_bridge
            .filter(|c| c.wants_misses())
            .map(|c| c.config.miss_send_len)
            .max();
        let miss = if len.is_some() {
            Miss::Controller
        } else {
            Miss::Drop
        };
        let config = &mut bridge.config;
        if (config.miss, config.miss_send_len) != (miss, len.unwrap_or(0)) {
            (config.miss, config.miss_send_len) = (miss, len.unwrap_or(0));
            self.stage_bridge(id);
        }
    }
    /// A standalone bridge without controllers is a learning switch, by a flow that users see.
    fn add_default_flow(&mut self, now: Time, id: BridgeId) {
        let settings = &self.bridges[&id].settings;
        if settings.has_controllers || settings.fail_mode != FailMode::Standalone {
            return;
        }
        let flow = ofp::message::FlowMod {
            priority: 0,
            table: TableId(0),
            actions: vec![NORMAL],
            ..Default::default()
        };
        // The tables were flushed: it can only fail when the whole switch is full of rules.
        let _ = self.add_flow(now, id, Version::V13, flow);
    }
}

const NORMAL: Action = Action::Output {
    port: PortNo::NORMAL,
    max_len: 0,
};
