//! OFPT_MULTIPART_REQUEST: one arm per kind of those whose replies are short, in parts of bounded size; `dump.rs` and
//! `entries.rs` have the others.

use super::Switch;
use super::group_stats;
use super::meter_stats;
use super::settings::ConnId;
use super::table_mod::tables;
use crate::model::BridgeId;
use ofp::error::OfError;
use ofp::message::{
    BundleFeatures, BundleFeaturesRequest, MultipartPart, MultipartReply, MultipartRequest,
    TableStats, bundle_features_flag, bundle_flag,
};
use ofp::types::TableId;

/// A table's statistics take 64 bytes (1.0), its features some 3 KiB.
const TABLES_PER_PART: usize = 254;
const TABLE_FEATURES_PER_PART: usize = 8;
/// A controller takes some 300 bytes.
const CONTROLLERS_PER_PART: usize = 128;

impl Switch {
    /// OFPT_MULTIPART_REQUEST; `reply` is called with each part.
    pub(super) fn multipart_request(
        &self,
        conn: ConnId,
        request: MultipartRequest,
        reply: &mut dyn FnMut(MultipartReply),
    ) -> Result<(), OfError> {
        let bridge = self.connections[&conn].bridge;
        // All parts but the last say that more follow, so each waits for the next one.
        let mut last: Option<MultipartPart> = None;
        let mut part = |part: MultipartPart| {
            if let Some(before) = last.replace(part) {
                reply(MultipartReply {
                    more: true,
                    part: before,
                });
            }
        };
        use MultipartRequest::*;
        match request {
            Desc => part(MultipartPart::Desc(
                self.bridges[&bridge].settings.desc.clone(),
            )),
            TableDesc => in_parts(
                self.table_descs(bridge),
                TABLES_PER_PART,
                MultipartPart::TableDesc,
                part,
            ),
            ControllerStatus => in_parts(
                self.controller_statuses(bridge),
                CONTROLLERS_PER_PART,
                MultipartPart::ControllerStatus,
                part,
            ),
            // Long ones are given piece by piece.
            Flow(_) | FlowCounts(_) | FlowMonitor(_) | Aggregate(_) => {
                return Err(OfError::BadStat);
            }
            Port(_)
            | PortDesc(_)
            | Bpdu(_)
            | Queue { .. }
            | QueueDesc { .. }
            | Group(_)
            | GroupDesc(_)
            | Meter(_)
            | MeterConfig(_) => return Err(OfError::BadStat),
            BundleFeatures(request) => part(MultipartPart::BundleFeatures(features_of_bundles(
                &request,
            )?)),
            // There is no exporter.
            IpfixBridge | IpfixFlow => return Err(OfError::NotConfigured),
            Table => in_parts(
                self.table_stats(bridge),
                TABLES_PER_PART,
                MultipartPart::Table,
                part,
            ),
            TableFeatures(_) => {
                let features = tables()
                    .map(|table| self.table_features(bridge, table))
                    .collect();
                in_parts(
                    features,
                    TABLE_FEATURES_PER_PART,
                    MultipartPart::TableFeatures,
                    part,
                );
            }
            MeterFeatures => part(MultipartPart::MeterFeatures(meter_stats::METER_FEATURES)),
            GroupFeatures => part(MultipartPart::GroupFeatures(group_stats::group_features(
                self.connections[&conn].version,
            ))),
        }
        if let Some(part) = last {
            reply(MultipartReply { more: false, part });
        }
        Ok(())
    }
    /// OFPMP_TABLE.
    fn table_stats(&self, id: BridgeId) -> Vec<TableStats> {
        let bridge = &self.bridges[&id];
        let stats = |table: TableId| {
            let (lookup_count, matched_count) = self.stats.table(id, table);
            let (lookups_before, matches_before) = bridge.table_baseline[&table];
            TableStats {
                table,
                name: bridge.table_name(table),
                config: bridge.tables.get(table).and_then(|t| t.miss).unwrap_or(0),
                max_entries: bridge.table_limit(table) as u32,
                active_count: bridge.flows.len(table) as u32,
                lookup_count: lookup_count.wrapping_sub(lookups_before),
                matched_count: matched_count.wrapping_sub(matches_before),
                ..TableStats::default()
            }
        };
        tables().map(stats).collect()
    }
}

/// OFPMP_BUNDLE_FEATURES. OpenFlow 1.5.1 section 7.3.5.19: a schedule that cannot be set is refused.
fn features_of_bundles(request: &BundleFeaturesRequest) -> Result<BundleFeatures, OfError> {
    if request.flags & bundle_features_flag::TIME_SET_SCHED != 0 {
        return Err(OfError::MultipartSchedule);
    }
    Ok(BundleFeatures {
        capabilities: bundle_flag::ATOMIC | bundle_flag::ORDERED,
        schedule: None,
    })
}

/// Cuts a list into parts; an empty list is one empty part.
fn in_parts<T>(
    mut list: Vec<T>,
    len: usize,
    kind: fn(Vec<T>) -> MultipartPart,
    mut part: impl FnMut(MultipartPart),
) {
    while list.len() > len {
        let rest = list.split_off(len);
        part(kind(std::mem::replace(&mut list, rest)));
    }
    part(kind(list));
}
