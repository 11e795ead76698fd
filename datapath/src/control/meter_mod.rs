//! OFPT_METER_MOD: add, modify (the counters go on), delete (with the flows that name the meter).

use super::Switch;
use super::settings::ConnId;
use super::undo::Undo;
use super::users::Used;
use crate::model::meter::MeterView;
use crate::model::{BridgeId, Change};
use crate::time::Time;
use ofp::error::OfError;
use ofp::message::{BandKind, FlowRemovedReason, MeterCommand, MeterConfig, MeterMod, meter_flag};
use ofp::types::MeterId;
use std::sync::Arc;

/// Most meters of a bridge, as METER_FEATURES says; Open vSwitch's limit.
pub(super) const MAX_METERS: usize = 1 << 18;
/// Most bands of a meter.
pub(super) const MAX_BANDS: usize = 8;
/// The flags that there are.
const FLAGS: u16 = meter_flag::KBPS | meter_flag::PKTPS | meter_flag::BURST | meter_flag::STATS;
/// Meters that no flow needs to name: packets to the controllers pass the one in their worker (a
/// `controller(meter_id=...)` names another), and all that workers hand to control the other (`packet_in.rs`).
const VIRTUAL: [MeterId; 2] = [MeterId::SLOWPATH, MeterId::CONTROLLER];

/// A meter as control knows it.
#[derive(Clone)]
pub(super) struct Meter {
    pub(super) view: Arc<MeterView>,
    pub(super) created: Time,
}

impl Switch {
    /// OFPT_METER_MOD.
    pub(super) fn meter_mod(
        &mut self,
        now: Time,
        conn: ConnId,
        meter_mod: &MeterMod,
    ) -> Result<(), OfError> {
        let id = self.connections[&conn].bridge;
        check(meter_mod)?;
        let config = &meter_mod.config;
        let meters = &self.bridges[&id].meters;
        let meter = match (meter_mod.command, meters.get(&config.meter)) {
            (MeterCommand::Add, Some(_)) => return Err(OfError::MeterExists),
            (MeterCommand::Add, None) if meters.len() >= MAX_METERS => {
                return Err(OfError::MeterTooMany);
            }
            (MeterCommand::Add, None) => Meter {
                view: Arc::new(MeterView::new(config.clone(), now)),
                created: now,
            },
            (MeterCommand::Modify, None) => return Err(OfError::MeterUnknown),
            (MeterCommand::Modify, Some(old)) => Meter {
                view: Arc::new(old.view.succeed(config.clone(), now)),
                created: old.created,
            },
            (MeterCommand::Delete, _) => {
                self.delete_meters(now, id, config.meter);
                return Ok(());
            }
        };
        self.set_meter(id, config.meter, Some(meter));
        Ok(())
    }
    fn delete_meters(&mut self, now: Time, id: BridgeId, wanted: MeterId) {
        let bridge = &self.bridges[&id];
        let meters = bridge.meters.range(range(wanted));
        let ids: Vec<MeterId> = meters.map(|(meter, _)| *meter).collect();
        for meter in ids {
            let mut flows: Vec<_> = self.bridges[&id].flows.users(Used::Meter(meter)).collect();
            flows.sort_unstable();
            for index in flows {
                self.end_flow(now, id, index, FlowRemovedReason::MeterDelete);
            }
            self.set_meter(id, meter, None);
        }
    }
    /// Removes all meters of a bridge, whose flows are gone.
    pub(super) fn flush_meters(&mut self, id: BridgeId) {
        if self.bridges.contains_key(&id) {
            self.delete_meters(Time::default(), id, MeterId::ALL);
        }
    }
    /// Puts a meter in the place of what is there, or nothing.
    fn set_meter(&mut self, id: BridgeId, number: MeterId, meter: Option<Meter>) {
        self.publisher.stage(match &meter {
            Some(meter) => Change::SetMeter(id, meter.view.clone()),
            None => Change::RemoveMeter(id, number),
        });
        let meters = &mut self.bridges.get_mut(&id).expect("has meters").meters;
        let old = match meter {
            Some(meter) => meters.insert(number, meter),
            None => meters.remove(&number),
        };
        self.note(|| {
            Undo::Other(Box::new(move |switch| {
                if let Some(bridge) = switch.bridges.get_mut(&id) {
                    bridge.meters.remove(&number);
                    bridge.meters.extend(old.map(|old| (number, old)));
                }
            }))
        });
    }
}

/// One meter, or all.
fn range(wanted: MeterId) -> std::ops::RangeInclusive<MeterId> {
    match wanted {
        MeterId::ALL => MeterId(0)..=MeterId::ALL,
        one => one..=one,
    }
}

/// What is wrong with a METER_MOD, whatever meters there are. The codes are Open vSwitch's.
pub(super) fn check(meter_mod: &MeterMod) -> Result<(), OfError> {
    if meter_mod.command == MeterCommand::Delete {
        return Ok(());
    }
    let MeterConfig {
        meter,
        flags,
        bands,
    } = &meter_mod.config;
    // One unit and not both, as with Open vSwitch.
    let units = (flags & (meter_flag::KBPS | meter_flag::PKTPS)).count_ones();
    if units != 1 || flags & !FLAGS != 0 {
        return Err(OfError::MeterFlags);
    }
    for band in bands {
        if band.rate == 0 {
            return Err(OfError::MeterRate);
        }
        if VIRTUAL.contains(meter) && band.kind != BandKind::Drop {
            return Err(OfError::MeterBand);
        }
        // There are three precedences to drop in each class (RFC 2597): 1 or 2 steps.
        if matches!(band.kind, BandKind::DscpRemark(0 | 3..)) {
            return Err(OfError::MeterBandValue);
        }
    }
    if (meter.0 == 0 || *meter > MeterId::MAX) && !VIRTUAL.contains(meter) {
        return Err(OfError::MeterInvalid);
    }
    if bands.is_empty() || bands.len() > MAX_BANDS {
        return Err(OfError::MeterTooManyBands);
    }
    Ok(())
}
