//! Paused packets, `controller(pause)` and NXT_RESUME: what remains of a packet's way waits here while a controller looks at it.
//!
//! The packet-in carries a token. It is the output of a keyed hash (SipHash, the key is this process's and never leaves it), so
//! it cannot be guessed; it is good once, on the bridge where the packet was paused, and for `TIMEOUT`. Open vSwitch puts
//! the state itself there, so that a controller could make one up; here a controller can only give back what it got.
//! Bounds: `LIMIT` packets; the oldest gives way, and is counted.

use super::connection::Connection;
use super::settings::ConnId;
use super::{Output, Switch};
use crate::model::BridgeId;
use crate::model::event::{self, Paused, Punt};
use crate::time::Time;
use bytes::{BufMut, Bytes, BytesMut};
use flow::bare::{SPARE, framed, type_of};
use ofp::error::OfError;
use ofp::field::Field;
use ofp::key::{Match, Place, word};
use ofp::message::{PacketIn, PacketInFormat};
use ofp::types::PortNo;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// Packets that wait at most. One takes a few hundred bytes; its own bytes are only in the packet-in.
const LIMIT: usize = 8192;
/// For so long.
const TIMEOUT: Time = Time::secs(60);
/// The type of the property that our token is, which Open vSwitch's tools skip.
const TOKEN_TYPE: u16 = 0x5453;
/// Bytes of that: type, length, four of padding, the token.
const TOKEN_SIZE: usize = 24;

struct Waiting {
    bridge: BridgeId,
    paused: Paused,
    in_port: PortNo,
    /// As the controllers got them.
    fields: Match,
}

/// See the file's description.
#[derive(Default)]
pub(super) struct PausedPackets {
    waiting: FxHashMap<u128, Waiting>,
    /// In the order of time; some may be gone already.
    since: VecDeque<(Time, u128)>,
    keys: [RandomState; 2],
    last: u64,
}

impl PausedPackets {
    fn token(&mut self) -> u128 {
        self.last += 1;
        let [high, low] = self.keys.each_ref().map(|key| key.hash_one(self.last));
        u128::from(high) << 64 | u128::from(low)
    }
}

fn property(token: u128) -> Bytes {
    let mut bytes = BytesMut::with_capacity(TOKEN_SIZE);
    bytes.put_u16(TOKEN_TYPE);
    bytes.put_u16(TOKEN_SIZE as u16);
    bytes.put_u32(0);
    bytes.put_u128(token);
    bytes.freeze()
}

/// The token of a property.
fn token_of(bytes: &[u8]) -> Option<u128> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let token = u128::from_be_bytes(*rest.first_chunk()?);
    (*head == [0x54, 0x53, 0, TOKEN_SIZE as u8, 0, 0, 0, 0]).then_some(token)
}

/// The fields that differ from what was told, with their new values; none of the packet's own.
fn changed(told: &Match, given: &Match) -> Match {
    let mut changed = Match::default();
    let indexes = told.words().iter().chain(given.words()).map(|w| w.index);
    for index in indexes.filter(|index| usize::from(*index) < word::ETH_DST) {
        let place = Place::new(index.into(), 0, 64);
        let ((old, told), (new, given)) = (told.get(place), given.get(place));
        let mask = (old ^ new) & (told | given);
        changed.set(place, new & mask, mask);
    }
    changed
}

impl Switch {
    /// Whether somebody can resume a packet: only NXT_PACKET_IN2 carries the token.
    pub(super) fn hears_of_paused(&self, punt: &Punt) -> bool {
        let hears = |connection: &Connection| {
            connection.bridge == punt.bridge
                && connection.controller_id == punt.controller.id
                && connection.packet_in_format == PacketInFormat::Nxt2
                && connection.has_events()
        };
        punt.paused.is_some() && self.connections.values().any(hears)
    }
    /// Keeps what remains of a packet's way; the bytes are for the controllers.
    pub(super) fn keep_paused(&mut self, now: Time, punt: &Punt, fields: &Match) -> Bytes {
        let Some(paused) = &punt.paused else {
            return Bytes::new();
        };
        while self.paused.waiting.len() >= LIMIT
            && let Some((_, token)) = self.paused.since.pop_front()
        {
            self.lose_paused(token);
        }
        let token = self.paused.token();
        let waiting = Waiting {
            bridge: punt.bridge,
            paused: paused.clone(),
            in_port: punt.in_port,
            fields: fields.clone(),
        };
        self.paused.waiting.insert(token, waiting);
        self.paused.since.push_back((now, token));
        // One that waits for long must not keep the times of all that went on.
        let PausedPackets { waiting, since, .. } = &mut self.paused;
        if since.len() > 2 * LIMIT {
            since.retain(|(_, token)| waiting.contains_key(token));
        }
        property(token)
    }
    /// Forgets the packets of a bridge that goes: another one will have its number.
    pub(super) fn flush_paused(&mut self, id: BridgeId) {
        let before = self.paused.waiting.len();
        self.paused.waiting.retain(|_, paused| paused.bridge != id);
        self.counters.paused_lost += (before - self.paused.waiting.len()) as u64;
    }
    fn lose_paused(&mut self, token: u128) {
        if self.paused.waiting.remove(&token).is_some() {
            self.counters.paused_lost += 1;
        }
    }
    /// Forgets packets that nobody resumed in time.
    pub(super) fn expire_paused(&mut self, now: Time) {
        while let Some((since, token)) = self.paused.since.front().copied()
            && (since + TIMEOUT <= now || !self.paused.waiting.contains_key(&token))
        {
            self.paused.since.pop_front();
            self.lose_paused(token);
        }
    }
    /// How many wait, and how long the list of their times is.
    #[cfg(test)]
    pub(super) fn paused_len(&self) -> (usize, usize) {
        (self.paused.waiting.len(), self.paused.since.len())
    }
    /// When the next one is forgotten.
    pub(super) fn next_paused(&self) -> Option<Time> {
        self.paused.since.front().map(|(since, _)| *since + TIMEOUT)
    }
    /// NXT_RESUME.
    pub(super) fn resume(
        &mut self,
        now: Time,
        conn: ConnId,
        given: &PacketIn,
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        self.expire_paused(now);
        let bridge = self.connections[&conn].bridge;
        let token = token_of(&given.continuation).ok_or(OfError::ResumeStale)?;
        let waiting = self.paused.waiting.get(&token);
        if waiting.is_none_or(|waiting| waiting.bridge != bridge) {
            return Err(OfError::ResumeStale);
        }
        let frame = framed(&given.data, type_of(&given.fields));
        if frame.is_none_or(|frame| frame.len() < SPARE) {
            return Err(OfError::BadPacket);
        }
        let fields = self.real_fields(bridge, &given.fields)?;
        let Some(waiting) = self.paused.waiting.remove(&token) else {
            return Err(OfError::ResumeStale);
        };
        let (port, mask) = given.fields.get(Field::InPort.place());
        let command = event::PacketOut {
            bridge,
            in_port: match mask {
                0 => waiting.in_port,
                _ => PortNo(port as u32),
            },
            fields: changed(&waiting.fields, &fields),
            actions: Box::default(),
            data: given.data.to_vec(),
            paused: Some(waiting.paused),
            number: 0,
        };
        self.send_packet_out(conn, command, out);
        Ok(())
    }
}
