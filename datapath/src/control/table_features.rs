//! OFPMP_TABLE_FEATURES: what tables can do, and what of it can be changed: their names, and where the egress
//! tables begin (1.5). All tables can do the same, always.

use super::Switch;
use super::settings::ConnId;
use super::table_mod::tables;
use crate::model::BridgeId;
use ofp::error::OfError;
use ofp::message::{
    Abilities, TableFeatures, TableFeaturesChange, table_config, table_feature,
    table_features_command as command,
};
use ofp::types::{TableId, Version};

const KNOWN_FLAGS: u32 =
    table_feature::INGRESS_TABLE | table_feature::EGRESS_TABLE | table_feature::FIRST_EGRESS;

impl Switch {
    /// What a table can do.
    pub(super) fn table_features(&self, id: BridgeId, table: TableId) -> TableFeatures {
        let bridge = &self.bridges[&id];
        let flags = match bridge.config.first_egress {
            Some(first) if table == first => {
                table_feature::EGRESS_TABLE | table_feature::FIRST_EGRESS
            }
            Some(first) if table > first => table_feature::EGRESS_TABLE,
            _ => table_feature::INGRESS_TABLE,
        };
        TableFeatures {
            table,
            flags,
            name: bridge.table_name(table),
            metadata_match: u64::MAX,
            metadata_write: u64::MAX,
            capabilities: table_config::EVICTION | table_config::VACANCY_EVENTS,
            max_entries: bridge.table_limit(table) as u32,
            next_tables: tables().filter(|next| *next > table).collect(),
            abilities: None,
        }
    }
    /// Changes tables: all of a request or nothing.
    pub(super) fn change_table_features(
        &mut self,
        conn: ConnId,
        changes: &[TableFeaturesChange],
    ) -> Result<(), OfError> {
        let connection = &self.connections[&conn];
        let (id, version) = (connection.bridge, connection.version);
        for (at, change) in changes.iter().enumerate() {
            let is_same =
                |other: &TableFeaturesChange| other.features.table == change.features.table;
            if changes[..at].iter().any(is_same) {
                return Err(OfError::TableFeaturesDuplicate);
            }
            self.check_table_features(id, version, change)?;
        }
        let bridge = self.bridges.get_mut(&id).expect("outlives its connections");
        let mut first_egress = bridge.config.first_egress;
        for TableFeaturesChange { features, .. } in changes {
            bridge.tables.set_name(features.table, &features.name);
            if version >= Version::V15 {
                let is_first = features.flags & table_feature::FIRST_EGRESS != 0;
                match (is_first, first_egress == Some(features.table)) {
                    (true, _) => first_egress = Some(features.table),
                    (false, true) => first_egress = None,
                    (false, false) => {}
                }
            }
        }
        if bridge.config.first_egress != first_egress {
            bridge.config.first_egress = first_egress;
            self.stage_bridge(id);
        }
        Ok(())
    }
    fn check_table_features(
        &self,
        id: BridgeId,
        version: Version,
        change: &TableFeaturesChange,
    ) -> Result<(), OfError> {
        let wanted = &change.features;
        if usize::from(wanted.table.0) >= TableId::LEN {
            return Err(OfError::TableFeaturesTable);
        }
        let current = self.table_features(id, wanted.table);
        let unlike = |wanted: u64, current: u64| wanted != 0 && wanted != current;
        let newer = version >= Version::V15;
        if change.command > command::DISABLE {
            return Err(OfError::TableFeaturesCommand);
        }
        // A table is always enabled.
        if change.command == command::DISABLE || change.abilities == Abilities::Other {
            return Err(OfError::TableFeaturesPermissions);
        }
        if unlike(wanted.metadata_match, current.metadata_match)
            || unlike(wanted.metadata_write, current.metadata_write)
        {
            return Err(OfError::TableFeaturesMetadata);
        }
        if unlike(wanted.max_entries.into(), current.max_entries.into()) {
            return Err(match newer {
                true => OfError::TableFeaturesMaxEntries,
                false => OfError::TableFeaturesPermissions,
            });
        }
        // Packets start in table 0, which is an ingress table, therefore.
        let egress = table_feature::EGRESS_TABLE | table_feature::FIRST_EGRESS;
        if newer
            && (wanted.flags & !KNOWN_FLAGS != 0
                || wanted.table == TableId(0) && wanted.flags & egress != 0)
        {
            return Err(OfError::TableFeaturesFeatures);
        }
        Ok(())
    }
}
