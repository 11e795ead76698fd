//! Entries of long replies that are found by their numbers: groups, meters, ports, queues. A cursor goes over the
//! numbers (`dump.rs`), so what comes and goes between two pieces moves nothing else.

use super::Switch;
use super::bridge::Bridge;
use super::dump::PART_BYTES;
use super::group_stats;
use super::meter_stats;
use super::port::Port;
use super::queue::{QUEUE_ALL, Queue};
use super::settings::ConnId;
use crate::time::Time;
use ofp::error::OfError;
use ofp::message::{MultipartPart, MultipartRequest};
use ofp::types::{GroupId, MeterId, PortNo};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a reply is of: a kind, and which of them.
pub(super) enum Entries {
    Groups(GroupId),
    GroupDescs(GroupId),
    Meters(MeterId),
    MeterConfigs(MeterId),
    Ports(PortNo),
    PortDescs(PortNo),
    Bpdus(PortNo),
    /// Of a port, with a number.
    Queues(PortNo, u32),
    QueueDescs(PortNo, u32),
}

/// All numbers of 32 bits.
const ALL: Range<u64> = 0..1 << 32;

/// One number of 32 bits, or all of them.
fn one_or_all(number: u32, is_all: bool) -> Range<u64> {
    let number = u64::from(number);
    if is_all { ALL } else { number..number + 1 }
}

/// Bytes of a port's statistics at most; its description takes less (64, and 32 of properties).
const PORT_BYTES: usize = 320;
/// Bytes of a queue's statistics or description at most.
const QUEUE_BYTES: usize = 64;

impl Entries {
    /// What a request is for, if its reply is made so.
    pub(super) fn of(request: &MultipartRequest) -> Option<Entries> {
        Some(match *request {
            MultipartRequest::Group(group) => Entries::Groups(group),
            MultipartRequest::GroupDesc(group) => Entries::GroupDescs(group),
            MultipartRequest::Meter(meter) => Entries::Meters(meter),
            MultipartRequest::MeterConfig(meter) => Entries::MeterConfigs(meter),
            MultipartRequest::Port(port) => Entries::Ports(port),
            MultipartRequest::PortDesc(port) => Entries::PortDescs(port),
            MultipartRequest::Bpdu(port) => Entries::Bpdus(port),
            MultipartRequest::Queue { port, queue } => Entries::Queues(port, queue),
            MultipartRequest::QueueDesc { port, queue } => Entries::QueueDescs(port, queue),
            _ => return None,
        })
    }
    /// The numbers that are looked through.
    pub(super) fn numbers(&self) -> Range<u64> {
        match *self {
            Entries::Groups(id) | Entries::GroupDescs(id) => one_or_all(id.0, id == GroupId::ALL),
            Entries::Meters(id) | Entries::MeterConfigs(id) => one_or_all(id.0, id == MeterId::ALL),
            Entries::Ports(port) | Entries::PortDescs(port) | Entries::Bpdus(port) => {
                one_or_all(port.0, port == PortNo::ANY)
            }
            // The port's number is the upper half. OpenFlow 1.0 says OFPP_ALL.
            Entries::Queues(port, _) | Entries::QueueDescs(port, _) => {
                let ports = one_or_all(port.0, port == PortNo::ANY || port == PortNo::ALL);
                ports.start << 32..((ports.end - 1) << 32) + (ALL.end - 1)
            }
        }
    }
}

/// Makes a message of what fits in it, and moves the cursor behind that; says whether there is more. `size` is an
/// upper bound of an entry's bytes.
fn fill<T>(
    kind: fn(Vec<T>) -> MultipartPart,
    numbers: &mut Range<u64>,
    entries: impl Iterator<Item = (u64, T)>,
    size: impl Fn(&T) -> usize,
) -> (MultipartPart, bool) {
    let (mut list, mut bytes) = (Vec::new(), 0);
    for (number, entry) in entries {
        bytes += size(&entry);
        if bytes > PART_BYTES && !list.is_empty() {
            return (kind(list), true);
        }
        numbers.start = number + 1;
        list.push(entry);
    }
    (kind(list), false)
}

/// What a map has in a range of numbers.
fn within<'a, K: Copy + Ord + 'a, V>(
    map: &'a BTreeMap<K, V>,
    numbers: &Range<u64>,
    key: fn(u32) -> K,
    number: fn(K) -> u32,
) -> impl Iterator<Item = (u64, &'a V)> + use<'a, K, V> {
    let end = numbers.end;
    let start = u32::try_from(numbers.start).ok().map(key);
    let rest = start.into_iter().flat_map(|start| map.range(start..));
    let rest = rest.map(move |(key, entry)| (u64::from(number(*key)), entry));
    rest.take_while(move |(number, _)| *number < end)
}

impl Switch {
    /// What is wrong with asking for something.
    pub(super) fn check_entries(&self, conn: ConnId, entries: &Entries) -> Result<(), OfError> {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        let error = match *entries {
            Entries::Meters(meter) | Entries::MeterConfigs(meter)
                if meter != MeterId::ALL && !bridge.meters.contains_key(&meter) =>
            {
                OfError::MeterUnknown
            }
            Entries::PortDescs(port)
                if port != PortNo::ANY && !bridge.ports.contains_key(&port) =>
            {
                OfError::BadPort
            }
            Entries::Queues(port, _) | Entries::QueueDescs(port, _)
                if ![PortNo::ANY, PortNo::ALL].contains(&port)
                    && !bridge.ports.contains_key(&port) =>
            {
                OfError::QueueBadPort
            }
            Entries::Queues(_, queue) | Entries::QueueDescs(_, queue)
                if queue != QUEUE_ALL
                    && self
                        .queues(bridge, entries.numbers(), queue)
                        .next()
                        .is_none() =>
            {
                OfError::QueueBadQueue
            }
            _ => return Ok(()),
        };
        Err(error)
    }
    fn ports_of<'a>(
        &'a self,
        bridge: &'a Bridge,
        numbers: &Range<u64>,
    ) -> impl Iterator<Item = (u64, &'a Port)> + use<'a> {
        let ports = within(&bridge.ports, numbers, PortNo, |port| port.0);
        ports.map(|(number, id)| (number, &self.ports[id]))
    }
    /// The queues with a number, or all. The upper half of their numbers here is the port's.
    pub(super) fn queues<'a>(
        &'a self,
        bridge: &'a Bridge,
        numbers: Range<u64>,
        wanted: u32,
    ) -> impl Iterator<Item = (u64, Queue<'a>)> + use<'a> {
        let ports = numbers.start >> 32..((numbers.end - 1) >> 32) + 1;
        let ports = self.ports_of(bridge, &ports);
        ports.flat_map(move |(number, port)| {
            let first = numbers.start.saturating_sub(number << 32) as u32;
            let queues = port.settings.queues.queues.range(first..);
            let queues = queues.filter(move |(n, _)| wanted == QUEUE_ALL || wanted == **n);
            queues.map(move |(n, settings)| {
                let queue = Queue {
                    port,
                    number: *n,
                    settings: *settings,
                };
                (number << 32 | u64::from(*n), queue)
            })
        })
    }
    /// One message, and whether more follow.
    pub(super) fn entries_part(
        &self,
        now: Time,
        conn: ConnId,
        entries: &Entries,
        rest: &mut Range<u64>,
    ) -> (MultipartPart, bool) {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        match *entries {
            Entries::Groups(_) | Entries::GroupDescs(_) => {
                self.groups_part(now, bridge, entries, rest)
            }
            Entries::Meters(_) | Entries::MeterConfigs(_) => {
                meters_part(now, bridge, entries, rest)
            }
            Entries::Queues(_, wanted) => {
                let queues = self.queues(bridge, rest.clone(), wanted);
                let stats = queues.map(|(number, queue)| (number, queue.stats(now)));
                fill(MultipartPart::Queue, rest, stats, |_| QUEUE_BYTES)
            }
            Entries::QueueDescs(_, wanted) => {
                let queues = self.queues(bridge, rest.clone(), wanted);
                let descs = queues.map(|(number, queue)| (number, queue.desc()));
                fill(MultipartPart::QueueDesc, rest, descs, |_| QUEUE_BYTES)
            }
            Entries::Ports(_) | Entries::PortDescs(_) | Entries::Bpdus(_) => {
                self.ports_part(now, bridge, entries, rest)
            }
        }
    }
    fn groups_part(
        &self,
        now: Time,
        bridge: &Bridge,
        entries: &Entries,
        rest: &mut Range<u64>,
    ) -> (MultipartPart, bool) {
        let groups = within(bridge.groups.by_id(), rest, GroupId, |group| group.0);
        if let Entries::GroupDescs(_) = entries {
            let descs = groups.map(|(number, group)| (number, group.desc.clone()));
            return fill(
                MultipartPart::GroupDesc,
                rest,
                descs,
                group_stats::desc_size,
            );
        }
        let stats = groups.map(|(number, group)| (number, self.group_stats(now, bridge, group)));
        fill(MultipartPart::Group, rest, stats, group_stats::stats_size)
    }
    fn ports_part(
        &self,
        now: Time,
        bridge: &Bridge,
        entries: &Entries,
        rest: &mut Range<u64>,
    ) -> (MultipartPart, bool) {
        let ports = self.ports_of(bridge, rest);
        match entries {
            Entries::PortDescs(_) => {
                let descs = ports.map(|(number, port)| (number, port.desc()));
                fill(MultipartPart::PortDesc, rest, descs, |_| PORT_BYTES)
            }
            Entries::Bpdus(_) => {
                let stats = ports.map(|(number, port)| (number, port.bpdu_stats(&self.stats)));
                fill(MultipartPart::Bpdu, rest, stats, |_| PORT_BYTES)
            }
            _ => {
                let stats = ports.map(|(number, port)| (number, port.stats(now, &self.stats)));
                fill(MultipartPart::Port, rest, stats, |_| PORT_BYTES)
            }
        }
    }
}

fn meters_part(
    now: Time,
    bridge: &Bridge,
    entries: &Entries,
    rest: &mut Range<u64>,
) -> (MultipartPart, bool) {
    let meters = within(&bridge.meters, rest, MeterId, |meter| meter.0);
    if let Entries::MeterConfigs(_) = entries {
        let configs = meters.map(|(number, meter)| (number, meter.view.config.clone()));
        return fill(
            MultipartPart::MeterConfig,
            rest,
            configs,
            meter_stats::config_size,
        );
    }
    let stats =
        meters.map(|(number, meter)| (number, meter_stats::meter_stats(now, bridge, meter)));
    fill(MultipartPart::Meter, rest, stats, meter_stats::stats_size)
}
