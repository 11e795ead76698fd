//! Actions that choose, measure and count on the wire: multipath, bundle, bundle_load,
//! check_pkt_larger, sample. Read and written side by side.

use super::action::{self as row, Context, packed_subfield, subfield, writable};
use super::cursor::Reader;
use super::put_action::{packed, put, put_field};
use crate::action::{Action, HashFields, Multipath, MultipathAlgorithm, PortBundle, Sample};
use crate::error::OfError;
use crate::field::Field;
use crate::types::PortNo;
use bytes::{BufMut, BytesMut};

/// `NXM_OF_IN_PORT`, the only kind of thing that a bundle chooses from.
const PORTS: u32 = 2;
/// NX_BD_ALG_*
const ACTIVE_BACKUP: u16 = 0;
const HRW: u16 = 1;
/// Ports of a bundle at most (BUNDLE_MAX_SLAVES).
pub(crate) const BUNDLE_MAX: usize = 2048;

fn hash_fields(number: u16) -> Result<HashFields, OfError> {
    HashFields::ALL
        .into_iter()
        .find(|fields| *fields as u16 == number)
        .ok_or(OfError::ActionArgument)
}

/// `fields` 16, `basis` 16, zero 16, `algorithm` 16, `max_link` 16, `argument` 32, zero 16,
/// `ofs_nbits` 16, `destination` 32.
pub(super) fn multipath(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let (fields, basis) = (hash_fields(r.u16()?)?, r.u16()?);
    r.skip(2)?;
    let number = r.u16()?;
    let algorithm = MultipathAlgorithm::ALL
        .into_iter()
        .find(|algorithm| *algorithm as u16 == number)
        .ok_or(OfError::ActionArgument)?;
    let (max_link, argument) = (r.u16()?, r.u32()?);
    r.skip(2)?;
    let packed = r.u16()?;
    let destination = writable(packed_subfield(r, packed)?)?;
    Ok(Action::Multipath(Multipath {
        fields,
        basis,
        algorithm,
        n_links: u32::from(max_link) + 1,
        argument,
        destination,
    }))
}

pub(super) fn put_multipath(out: &mut BytesMut, m: &Multipath) {
    put(out, &row::MULTIPATH, |o| {
        o.put_u16(m.fields as u16);
        o.put_u16(m.basis);
        o.put_u16(0);
        o.put_u16(m.algorithm as u16);
        o.put_u16(m.n_links.saturating_sub(1) as u16);
        o.put_u32(m.argument);
        o.put_u16(0);
        o.put_u16(packed(m.destination));
        put_field(o, m.destination.field);
    });
}

/// `algorithm` 16, `fields` 16, `basis` 16, `port_type` 32, `n_ports` 16, `ofs_nbits` 16,
/// `destination` 32, zero 32; then 16 bits for each port.
fn get_bundle(r: &mut Reader<'_>, load: bool) -> Result<Action, OfError> {
    let active_backup = match r.u16()? {
        ACTIVE_BACKUP => true,
        HRW => false,
        _ => return Err(OfError::ActionArgument),
    };
    let (fields, basis) = (hash_fields(r.u16()?)?, r.u16()?);
    if r.u32()? != PORTS {
        return Err(OfError::ActionArgument);
    }
    let (len, packed) = (usize::from(r.u16()?), r.u16()?);
    if len > BUNDLE_MAX {
        return Err(OfError::ActionArgument);
    }
    let destination = if load {
        Some(writable(packed_subfield(r, packed)?)?)
    } else {
        if packed != 0 || r.u32()? != 0 {
            return Err(OfError::ActionArgument);
        }
        None
    };
    if r.u32()? != 0 {
        return Err(OfError::ActionArgument);
    }
    let ports: Result<_, OfError> = (0..len).map(|_| Ok(PortNo::from_v10(r.u16()?))).collect();
    let ports = ports?;
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::Bundle(Box::new(PortBundle {
        active_backup,
        fields,
        basis,
        ports,
        destination,
    })))
}

pub(super) fn bundle(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    get_bundle(r, false)
}

pub(super) fn bundle_load(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    get_bundle(r, true)
}

pub(super) fn put_bundle(out: &mut BytesMut, b: &PortBundle) {
    let row = match b.destination {
        Some(_) => &row::BUNDLE_LOAD,
        None => &row::BUNDLE,
    };
    put(out, row, |o| {
        o.put_u16(if b.active_backup { ACTIVE_BACKUP } else { HRW });
        o.put_u16(b.fields as u16);
        o.put_u16(b.basis);
        o.put_u32(PORTS);
        o.put_u16(b.ports.len() as u16);
        match b.destination {
            Some(destination) => {
                o.put_u16(packed(destination));
                put_field(o, destination.field);
            }
            None => o.put_bytes(0, 6),
        }
        o.put_u32(0);
        for port in &b.ports {
            o.put_u16(port.to_v10().unwrap_or(0xffff));
        }
    });
}

/// `size` 16, `offset` 16, `destination`, zeros.
pub(super) fn check_pkt_larger(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let (size, start) = (r.u16()?, r.u16()?);
    let destination = writable(subfield(r, start, 1)?)?;
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::CheckPktLarger { size, destination })
}

pub(super) fn put_check_pkt_larger(
    out: &mut BytesMut,
    size: u16,
    destination: crate::field::Subfield,
) {
    put(out, &row::CHECK_PKT_LARGER, |o| {
        o.put_u16(size);
        o.put_u16(u16::from(destination.start));
        put_field(o, destination.field);
        // 24 bytes, however long the header.
        let rest = if super::put_action::is_experimenter(destination.field) {
            2
        } else {
            6
        };
        o.put_bytes(0, rest);
    });
}

/// `probability` 16, `collector_set` 32, `observation_domain` 32, `observation_point` 32.
pub(super) fn sample(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    get_sample(r).map(|sample| Action::Sample(Box::new(sample)))
}

fn get_sample(r: &mut Reader<'_>) -> Result<Sample, OfError> {
    let sample = Sample {
        probability: r.u16()?,
        collector_set: r.u32()?,
        observation_domain: r.u32()?,
        observation_point: r.u32()?,
        sampling_port: PortNo::ANY,
        direction: 0,
    };
    match sample.probability {
        0 => Err(OfError::ActionArgument),
        _ => Ok(sample),
    }
}

/// Behind that: `sampling_port` 16, `direction` 8, zeros. SAMPLE2 has no direction.
pub(super) fn sample3(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let mut sample = get_sample(r)?;
    where_sampled(r, &mut sample)?;
    Ok(Action::Sample(Box::new(sample)))
}

fn where_sampled(r: &mut Reader<'_>, sample: &mut Sample) -> Result<(), OfError> {
    sample.sampling_port = PortNo::from_v10(r.u16()?);
    sample.direction = r.u8()?;
    r.zeros(OfError::ActionArgument)?;
    match sample.direction {
        0..=2 => Ok(()),
        _ => Err(OfError::ActionArgument),
    }
}

/// Observation domain and point may come from fields here, which is not supported: `probability` 16,
/// `collector_set` 32, then twice `source` 32 (0: a number) and `number` 32; the rest as above.
pub(super) fn sample4(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let mut sample = Sample {
        probability: r.u16()?,
        collector_set: r.u32()?,
        ..Sample::default()
    };
    for number in [
        &mut sample.observation_domain,
        &mut sample.observation_point,
    ] {
        if r.u32()? != 0 {
            return Err(OfError::ActionArgument);
        }
        *number = r.u32()?;
    }
    where_sampled(r, &mut sample)?;
    match sample.probability {
        0 => Err(OfError::ActionArgument),
        _ => Ok(Action::Sample(Box::new(sample))),
    }
}

pub(super) fn put_sample(out: &mut BytesMut, s: &Sample) {
    let row = match (s.direction, s.sampling_port) {
        (0, PortNo::ANY) => &row::SAMPLE,
        (0, _) => &row::SAMPLE2,
        _ => &row::SAMPLE3,
    };
    put(out, row, |o| {
        o.put_u16(s.probability);
        o.put_u32(s.collector_set);
        o.put_u32(s.observation_domain);
        o.put_u32(s.observation_point);
        if row.size > 24 {
            o.put_u16(s.sampling_port.to_v10().unwrap_or(0xffff));
            o.put_u8(s.direction);
            o.put_bytes(0, 5);
        }
    });
}

/// The field's header, zeros up to 24 bytes.
pub(super) fn delete_field(r: &mut Reader<'_>, _: Context) -> Result<Action, OfError> {
    let field = super::action::whole_field(r)?;
    r.zeros(OfError::ActionArgument)?;
    Ok(Action::DeleteField(field))
}

pub(super) fn put_delete_field(out: &mut BytesMut, field: Field) {
    put(out, &row::DELETE_FIELD, |o| {
        put_field(o, field);
        o.put_bytes(0, 10);
    });
}
