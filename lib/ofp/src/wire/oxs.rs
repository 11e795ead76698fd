//! Statistics of flows as OpenFlow 1.5 writes them: `struct ofp_stats` (OpenFlow 1.5.1 section 7.2.4),
//! a list of entries as in a match.
//!
//! ```text
//!  reserved 16 | length 16 | entries | padding to 8
//!  entry: class 16 (0x8002) | field 7 | reserved 1 | length 8 | value
//! ```

use super::cursor::{Reader, pad8, patch_u16};
use super::flow::{get_duration, put_duration};
use crate::error::OfError;
use crate::message::FlowCounters;
use bytes::{BufMut, BytesMut};

const OPENFLOW_BASIC: u16 = 0x8002;

mod field {
    pub(super) const DURATION: u8 = 0;
    pub(super) const IDLE_TIME: u8 = 1;
    pub(super) const FLOW_COUNT: u8 = 3;
    pub(super) const PACKET_COUNT: u8 = 4;
    pub(super) const BYTE_COUNT: u8 = 5;
}

/// Reads statistics with their padding; entries that are not known are skipped.
pub(super) fn get(r: &mut Reader<'_>) -> Result<FlowCounters, OfError> {
    get_entries(r, OfError::BadLength, None)
}

/// Reads the thresholds of OFPIT_STAT_TRIGGER: what is not known, or given twice, is not supported.
pub(super) fn get_thresholds(r: &mut Reader<'_>) -> Result<FlowCounters, OfError> {
    let unknown = Some(OfError::InstructionUnsupported);
    get_entries(r, OfError::InstructionLength, unknown)
}

/// `unknown`: the error of an entry that is not known or given twice; `None`: such are taken.
fn get_entries(
    r: &mut Reader<'_>,
    short: OfError,
    unknown: Option<OfError>,
) -> Result<FlowCounters, OfError> {
    r.skip(2)?;
    let size = usize::from(r.u16()?);
    let entries = size.checked_sub(4).ok_or(short)?;
    let mut entries = Reader::new(r.bytes(entries)?, short);
    r.skip(size.next_multiple_of(8) - size)?;
    let mut seen = 0u128;
    let mut stats = FlowCounters::default();
    while !entries.is_empty() {
        let (class, number, size) = (entries.u16()?, entries.u8()? >> 1, entries.u8()?);
        let mut value = Reader::new(entries.bytes(usize::from(size))?, short);
        let is_known = class == OPENFLOW_BASIC && number <= field::BYTE_COUNT && number != 2;
        let is_first = seen >> number & 1 == 0;
        seen |= 1 << number;
        if let Some(error) = unknown.filter(|_| !is_known || !is_first) {
            return Err(error);
        }
        if !is_known {
            continue;
        }
        match number {
            field::DURATION => stats.duration = Some(get_duration(&mut value)?),
            field::IDLE_TIME => stats.idle_time = Some(get_duration(&mut value)?),
            field::FLOW_COUNT => stats.flow_count = Some(value.u32()?),
            field::PACKET_COUNT => stats.packet_count = Some(value.u64()?),
            _ => stats.byte_count = Some(value.u64()?),
        }
        value.end()?;
    }
    Ok(stats)
}

/// Writes statistics with their padding.
pub(super) fn put(out: &mut BytesMut, stats: &FlowCounters) {
    let start = out.len();
    out.put_u32(0);
    let entry = |out: &mut BytesMut, number: u8, size: u8| {
        out.put_u16(OPENFLOW_BASIC);
        out.put_u8(number << 1);
        out.put_u8(size);
    };
    if let Some(duration) = stats.duration {
        entry(out, field::DURATION, 8);
        put_duration(out, duration);
    }
    if let Some(idle) = stats.idle_time {
        entry(out, field::IDLE_TIME, 8);
        put_duration(out, idle);
    }
    if let Some(flows) = stats.flow_count {
        entry(out, field::FLOW_COUNT, 4);
        out.put_u32(flows);
    }
    if let Some(packets) = stats.packet_count {
        entry(out, field::PACKET_COUNT, 8);
        out.put_u64(packets);
    }
    if let Some(bytes) = stats.byte_count {
        entry(out, field::BYTE_COUNT, 8);
        out.put_u64(bytes);
    }
    let size = out.len() - start;
    patch_u16(out, start + 2, size);
    pad8(out, start);
}
