//! OFPT_MULTIPART_REQUEST: one arm per kind, in parts of bounded size.

use super::Switch;
use super::dump::PART_BYTES;
use super::group_stats;
use super::meter_stats;
use super::settings::ConnId;
use super::table_mod::tables;
use crate::model::BridgeId;
use crate::time::Time;
use ofp::bpdu::BpduStats;
use ofp::error::OfError;
use ofp::message::{
    BundleFeatures, BundleFeaturesRequest, MultipartPart, MultipartReply, MultipartRequest,
    PortStats, TableStats, bundle_features_flag, bundle_flag,
};
use ofp::types::{PortNo, TableId};

/// Entries of a part of a reply: a port's statistics take 112 bytes, a description 64 (1.3).
const PORTS_PER_PART: usize = 256;
/// A table's statistics take 64 bytes (1.0), its features some 3 KiB.
const TABLES_PER_PART: usize = 254;
const TABLE_FEATURES_PER_PART: usize = 8;
/// A queue's statistics take 48 bytes (1.4).
const QUEUES_PER_PART: usize = 512;
/// A controller takes some 300 bytes.
const CONTROLLERS_PER_PART: usize = 128;

impl Switch {
    /// OFPT_MULTIPART_REQUEST; `reply` is called with each part.
    pub(super) fn multipart_request(
        &self,
        now: Time,
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
            Flow(_) | FlowCounts(_) | FlowMonitor(_) => return Err(OfError::BadStat),
            BundleFeatures(request) => part(MultipartPart::BundleFeatures(features_of_bundles(
                &request,
            )?)),
            // There is no exporter.
            IpfixBridge | IpfixFlow => return Err(OfError::NotConfigured),
            Aggregate(request) => part(self.aggregate_stats(conn, &request)),
            Table => in_parts(
                self.table_stats(bridge),
                TABLES_PER_PART,
                MultipartPart::Table,
                part,
            ),
            Port(number) => {
                let ports = self.port_stats(now, conn, number)?;
                in_parts(ports, PORTS_PER_PART, MultipartPart::Port, part);
            }
            Bpdu(number) => {
                let ports = self.bpdu_stats(conn, number);
                in_parts(ports, PORTS_PER_PART, MultipartPart::Bpdu, part);
            }
            PortDesc(number) => {
                let mut ports = self.port_descs(conn);
                if number != PortNo::ANY {
                    ports.retain(|desc| desc.port == number);
                }
                if ports.is_empty() && number != PortNo::ANY {
                    return Err(OfError::BadPort);
                }
                in_parts(ports, PORTS_PER_PART, MultipartPart::PortDesc, part);
            }
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
            Queue { port, queue } => {
                let stats = self.queue_stats(now, conn, port, queue)?;
                in_parts(stats, QUEUES_PER_PART, MultipartPart::Queue, part);
            }
            QueueDesc { port, queue } => {
                let descs = self.queue_descs(conn, port, queue)?;
                in_parts(descs, QUEUES_PER_PART, MultipartPart::QueueDesc, part);
            }
            Group(wanted) => {
                let stats = self.group_stats(now, conn, wanted);
                in_sized_parts(stats, group_stats::stats_size, MultipartPart::Group, part);
            }
            GroupDesc(wanted) => {
                let descs = self.group_descs(conn, wanted);
                in_sized_parts(
                    descs,
                    group_stats::desc_size,
                    MultipartPart::GroupDesc,
                    part,
                );
            }
            Meter(wanted) => {
                let stats = self.meter_stats(now, conn, wanted)?;
                in_sized_parts(stats, meter_stats::stats_size, MultipartPart::Meter, part);
            }
            MeterConfig(wanted) => {
                let configs = self.meter_configs(conn, wanted)?;
                in_sized_parts(
                    configs,
                    meter_stats::config_size,
                    MultipartPart::MeterConfig,
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
    /// TSUNAGI_BPDU.
    fn bpdu_stats(&self, conn: ConnId, number: PortNo) -> Vec<BpduStats> {
        let ports = &self.bridges[&self.connections[&conn].bridge].ports;
        let asked = ports
            .iter()
            .filter(|(other, _)| number == PortNo::ANY || number == **other);
        let stats = asked.map(|(_, id)| self.ports[id].bpdu_stats(&self.stats));
        stats.collect()
    }
    /// OFPMP_PORT_STATS.
    fn port_stats(
        &self,
        now: Time,
        conn: ConnId,
        number: PortNo,
    ) -> Result<Vec<PortStats>, OfError> {
        let connection = &self.connections[&conn];
        let ports = &self.bridges[&connection.bridge].ports;
        if number == PortNo::ANY {
            return Ok(ports
                .values()
                .map(|id| self.ports[id].stats(now, &self.stats))
                .collect());
        }
        let port = ports
            .get(&number)
            .map(|id| self.ports[id].stats(now, &self.stats));
        Ok(port.into_iter().collect())
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

/// Cuts a list into parts of bounded size, at least one; `size` is an upper bound of an entry's bytes.
fn in_sized_parts<T>(
    list: Vec<T>,
    size: fn(&T) -> usize,
    kind: fn(Vec<T>) -> MultipartPart,
    mut part: impl FnMut(MultipartPart),
) {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for entry in list {
        let of_entry = size(&entry);
        if bytes + of_entry > PART_BYTES && !entries.is_empty() {
            part(kind(std::mem::take(&mut entries)));
            bytes = 0;
        }
        bytes += of_entry;
        entries.push(entry);
    }
    part(kind(entries));
}
