//! Groups and meters in a case, and what they count.

use super::case::{Result, parse};
use datapath::model::BridgeId;
use datapath::model::group::GroupView;
use datapath::model::meter::MeterView;
use datapath::model::snapshot::Change;
use datapath::sim::Sim;
use ofp::message::{GroupCommand, MeterCommand};
use ofp::text::{PortMap, read_group_mod, read_meter_mod};
use ofp::types::GroupId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Those of a case; the last one of each number counts.
#[derive(Default)]
pub struct Gauges {
    groups: BTreeMap<GroupId, Arc<GroupView>>,
    meters: BTreeMap<u32, Arc<MeterView>>,
}

impl Gauges {
    /// `group GROUP`: adds a group or replaces it.
    pub fn group(&mut self, sim: &mut Sim, bridge: BridgeId, text: &str) -> Result<()> {
        let group = read_group_mod(text, Some(GroupCommand::Add), &PortMap::default());
        let group = group.map_err(|error| format!("{error:?}"))?;
        let view = sim.set_group(bridge, &group.desc);
        self.groups.insert(view.id, view);
        Ok(())
    }
    /// `ungroup NUMBER`: removes it.
    pub fn ungroup(&mut self, sim: &mut Sim, bridge: BridgeId, text: &str) -> Result<()> {
        let id = GroupId(parse(text)?);
        sim.change(Change::RemoveGroup(bridge, id));
        self.groups.remove(&id);
        Ok(())
    }
    /// `meter METER`: adds a meter or replaces it.
    pub fn meter(&mut self, sim: &mut Sim, bridge: BridgeId, text: &str) -> Result<()> {
        let meter = read_meter_mod(text, MeterCommand::Add);
        let config = meter.map_err(|error| format!("{error:?}"))?.config;
        let id = config.meter.0;
        let view = Arc::new(MeterView::new(config, sim.now));
        sim.change(Change::SetMeter(bridge, view.clone()));
        self.meters.insert(id, view);
        Ok(())
    }
    /// Adds `groupN.packets`, `groupN.bucketM.packets`, `meterN.packets`, `meterN.bandM.packets`, and the same in bytes.
    pub fn count(&self, sim: &Sim, all: &mut BTreeMap<String, u64>) {
        let mut put = |name: String, packets: u64, bytes: u64| {
            all.insert(format!("{name}.packets"), packets);
            all.insert(format!("{name}.bytes"), bytes);
        };
        for (id, group) in &self.groups {
            let totals = sim.stats.rule(group.counter);
            put(format!("group{id}"), totals.packets, totals.bytes);
            for bucket in &group.buckets {
                let totals = sim.stats.rule(bucket.counter);
                let name = format!("group{id}.bucket{}", bucket.id);
                put(name, totals.packets, totals.bytes);
            }
        }
        for (id, meter) in &self.meters {
            let (seen, bands) = meter.totals();
            put(format!("meter{id}"), seen.0, seen.1);
            for (index, (packets, bytes)) in bands.into_iter().enumerate() {
                put(format!("meter{id}.band{index}"), packets, bytes);
            }
        }
    }
}
