//! NXT_TLV_TABLE_MOD and its query: which Geneve options the fields `tun_metadata<N>` of a bridge are.

use super::Switch;
use super::flow_table::Flow;
use super::group::Group;
use super::settings::ConnId;
use crate::model::BridgeId;
use crate::model::tlv::{FIELDS_MAX, SPACE, TlvMap, VALUE_MAX, virtual_place};
use ofp::action::Action;
use ofp::error::OfError;
use ofp::key::Match;
use ofp::key::word::{TUN_PRESENT, VIRTUAL};
use ofp::message::{TlvCommand, TlvMapping, TlvTable, TlvTableMod};
use ofp::types::GroupId;
use std::sync::Arc;

/// The largest value of an option (RFC 8926 section 3.5: five bits of words).
const OPTION_MAX: u8 = 124;

/// The numbers of the fields `tun_metadata<N>` that a flow names, bit by bit.
fn named(matching: &Match, actions: &[Action]) -> u64 {
    let mut named = 0;
    // The last words of a match: nearly always there are none.
    for word in matching.words().iter().rev() {
        match usize::from(word.index) {
            index if index >= VIRTUAL => named |= 1 << ((index - VIRTUAL) / 2),
            TUN_PRESENT => named |= word.mask,
            index if index < TUN_PRESENT => break,
            _ => {}
        }
    }
    for action in actions {
        action.for_each_field(&mut |field| {
            let place = field.place();
            if place.is_virtual() {
                named |= 1 << ((usize::from(place.word) - VIRTUAL) / 2);
            }
        });
    }
    named
}

/// Adds mappings, all of them or none.
fn add(map: &mut TlvMap, mappings: &[TlvMapping]) -> Result<(), OfError> {
    for (at, mapping) in mappings.iter().enumerate() {
        if mapping.index >= FIELDS_MAX {
            return Err(OfError::TlvBadIndex);
        }
        // Open vSwitch has room for values of up to 124 bytes.
        if !mapping.size.is_multiple_of(4) || mapping.size == 0 || mapping.size > OPTION_MAX {
            return Err(OfError::TlvBadLength);
        }
        let is_same = |other: &TlvMapping| {
            other.index == mapping.index
                || (other.class, other.kind) == (mapping.class, mapping.kind)
        };
        if mappings[..at].iter().any(is_same) {
            return Err(OfError::TlvDuplicate);
        }
        if map.mappings().any(|other| is_same(&other)) {
            // Those of this message were looked at before.
            return Err(OfError::TlvMapped);
        }
        if mapping.size > VALUE_MAX {
            return Err(OfError::TlvBadLength);
        }
        if !map.add(*mapping) {
            return Err(OfError::TlvTableFull);
        }
    }
    Ok(())
}

impl Switch {
    /// Whether the fields `tun_metadata<N>` of a flow are mapped, and its match has no bits beyond their sizes.
    pub(super) fn check_tlvs(
        &self,
        id: BridgeId,
        matching: &Match,
        actions: &[Action],
    ) -> Result<(), OfError> {
        let named = named(matching, actions);
        if named == 0 {
            return Ok(());
        }
        let map = self.bridges[&id].config.tlvs.as_deref();
        for index in (0..FIELDS_MAX).filter(|index| named >> index & 1 != 0) {
            let mapping = map.and_then(|map| map.get(index));
            let mapping = mapping.ok_or(OfError::FlowTlvUnmapped)?;
            let (value, _) = matching.get(virtual_place(index));
            if value.checked_shr(u32::from(mapping.size) * 8).unwrap_or(0) != 0 {
                return Err(OfError::MatchValue);
            }
        }
        Ok(())
    }
    /// Fields that are not a packet's, as workers know them.
    pub(super) fn real_fields(&self, id: BridgeId, fields: &Match) -> Result<Match, OfError> {
        self.check_tlvs(id, fields, &[])?;
        let Some(map) = &self.bridges[&id].config.tlvs else {
            return Ok(fields.clone());
        };
        let mut real = map.translate(fields).ok_or(OfError::FlowTlvUnmapped)?;
        for index in 0..FIELDS_MAX {
            let place = virtual_place(index);
            if fields.get(place).1 != 0 {
                real.set(TlvMap::presence(place), 1, 1);
            }
        }
        Ok(real)
    }
    /// NXT_TLV_TABLE_MOD.
    pub(super) fn tlv_table_mod(
        &mut self,
        conn: ConnId,
        change: &TlvTableMod,
    ) -> Result<(), OfError> {
        let id = self.connections[&conn].bridge;
        let bridge = &self.bridges[&id];
        let mut map = bridge.config.tlvs.as_deref().cloned().unwrap_or_default();
        let gone: u64 = match change.command {
            TlvCommand::Add => {
                add(&mut map, &change.mappings)?;
                0
            }
            TlvCommand::Delete => {
                let mut gone = 0;
                for mapping in &change.mappings {
                    if mapping.index >= FIELDS_MAX {
                        return Err(OfError::TlvBadIndex);
                    }
                    gone |= 1 << mapping.index;
                    map.remove(mapping.index);
                }
                gone
            }
            TlvCommand::Clear => {
                map = TlvMap::default();
                u64::MAX
            }
        };
        let uses = |matching: &Match, actions: &[Action]| named(matching, actions) & gone != 0;
        let flow_uses = |flow: &Flow| uses(&flow.rule.matching, &flow.rule.actions);
        let group_uses = |group: &Arc<Group>| {
            let mut buckets = group.desc.buckets.iter();
            buckets.any(|bucket| uses(&Match::default(), &bucket.actions))
        };
        if gone != 0
            && (bridge.flows.iter().any(flow_uses)
                || bridge.groups.select(GroupId::ALL).any(group_uses))
        {
            return Err(OfError::TlvInUse);
        }
        let bridge = self.bridges.get_mut(&id).expect("seen above");
        bridge.config.tlvs = (!map.is_empty()).then(|| Arc::new(map));
        self.stage_bridge(id);
        Ok(())
    }
    /// NXT_TLV_TABLE_REQUEST.
    pub(super) fn tlv_table_request(&self, conn: ConnId) -> TlvTable {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        let map = bridge.config.tlvs.as_deref();
        TlvTable {
            max_space: SPACE,
            max_fields: FIELDS_MAX,
            mappings: map.map_or(Vec::new(), |map| map.mappings().collect()),
        }
    }
}
