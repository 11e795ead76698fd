//! The MAC table of a learning switch: looked up and filled by all workers, aged by control.
//!
//! Why atomics and not the snapshot: the reply to a flooded frame may come microseconds later, on
//! another worker, and has to find what was learnt. An entry is two words, the key (VLAN and MAC) and
//! the value (port and time of last use), in sets of eight. A reader reads key, value, key: if the
//! entry was replaced in between it sees that and takes it as unknown. A full set loses its oldest
//! entry; in a full table, an empty set takes the place of the next set's. An address scan can only recycle entries; the table's size is fixed.

use super::id::PortId;
use crate::time::Time;
use packet::MacAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

const WAYS: usize = 8;
const USED: u64 = 1 << 63;

#[derive(Default)]
struct Set {
    keys: [AtomicU64; WAYS],
    values: [AtomicU64; WAYS],
}

impl Set {
    /// The way that was used the longest time ago, and its key.
    fn oldest(&self) -> Option<(usize, u64)> {
        let ways = (0..WAYS).map(|way| (way, self.keys[way].load(Relaxed)));
        ways.filter(|(_, key)| key & USED != 0)
            .min_by_key(|(way, _)| self.values[*way].load(Relaxed) as u32)
    }
    /// Puts an entry in the place of the one with the key `old`, if that is still there.
    fn replace(&self, way: usize, old: u64, key: u64, value: u64) -> bool {
        let slot = &self.keys[way];
        // 1 is nobody's key: what is written in between is not found.
        if slot.compare_exchange(old, 1, AcqRel, Relaxed).is_err() {
            return false;
        }
        self.values[way].store(value, Release);
        slot.store(key, Release);
        true
    }
}

/// A bridge's learnt addresses.
pub struct MacTable {
    sets: Box<[Set]>,
    len: AtomicU32,
    limit: u32,
    /// Moves of an address to another port, entries lost to others, and learnt entries.
    pub moved: AtomicU64,
    /// Entries that were replaced while still in use.
    pub evicted: AtomicU64,
    /// Entries made.
    pub learned: AtomicU64,
}

/// An entry as shown to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct MacEntry {
    pub mac: MacAddr,
    pub vlan: u16,
    pub port: PortId,
    pub used: Time,
}

fn key_of(mac: MacAddr, vlan: u16) -> u64 {
    USED | u64::from(vlan & 0xfff) << 48 | mac.to_u64()
}

fn value_of(port: PortId, now: Time) -> u64 {
    u64::from(port.0) << 32 | (now.as_secs() & 0xffff_ffff)
}

impl MacTable {
    /// A table for at most `limit` addresses (`mac-table-size`, 10..=1,000,000).
    pub fn new(limit: u32) -> MacTable {
        let sets = (limit as usize * 2)
            .div_ceil(WAYS)
            .next_power_of_two()
            .max(8);
        MacTable {
            sets: (0..sets).map(|_| Set::default()).collect(),
            len: AtomicU32::new(0),
            limit,
            moved: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            learned: AtomicU64::new(0),
        }
    }
    #[inline]
    fn set_of(&self, key: u64) -> &Set {
        &self.sets[self.index_of(key)]
    }
    #[inline]
    fn index_of(&self, key: u64) -> usize {
        // A multiplicative hash; its high bits are the well mixed ones.
        let hash = (key ^ key >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 32) as usize & (self.sets.len() - 1)
    }
    /// The port behind which an address is.
    #[inline]
    pub fn lookup(&self, mac: MacAddr, vlan: u16) -> Option<PortId> {
        let key = key_of(mac, vlan);
        let set = self.set_of(key);
        for way in 0..WAYS {
            if set.keys[way].load(Acquire) == key {
                let value = set.values[way].load(Acquire);
                return (set.keys[way].load(Acquire) == key)
                    .then_some(PortId((value >> 32) as u32));
            }
        }
        None
    }
    /// Notes that an address was seen behind a port. Writes only if the port or the second changed.
    #[inline]
    pub fn learn(&self, mac: MacAddr, vlan: u16, port: PortId, now: Time) {
        let key = key_of(mac, vlan);
        let set = self.set_of(key);
        for way in 0..WAYS {
            if set.keys[way].load(Acquire) == key {
                let (old, new) = (set.values[way].load(Relaxed), value_of(port, now));
                if old != new {
                    if old >> 32 != new >> 32 {
                        self.moved.fetch_add(1, Relaxed);
                    }
                    set.values[way].store(new, Release);
                }
                return;
            }
        }
        self.insert(set, key, value_of(port, now));
    }
    #[cold]
    fn insert(&self, set: &Set, key: u64, value: u64) {
        self.learned.fetch_add(1, Relaxed);
        if self.len.load(Relaxed) >= self.limit && set.oldest().is_none() {
            self.make_room(key);
        }
        if self.len.load(Relaxed) < self.limit {
            for way in 0..WAYS {
                if set.replace(way, 0, key, value) {
                    self.len.fetch_add(1, Relaxed);
                    return;
                }
            }
        }
        if let Some((way, old)) = set.oldest()
            && set.replace(way, old, key, value)
        {
            self.evicted.fetch_add(1, Relaxed);
        }
    }
    /// Removes the oldest entry of the first set behind a key's own that has one.
    fn make_room(&self, key: u64) {
        let own = self.index_of(key);
        let mut others = self.sets[own + 1..].iter().chain(&self.sets[..own]);
        let found = others.find_map(|set| set.oldest().map(|(way, old)| (&set.keys[way], old)));
        if let Some((slot, old)) = found
            && slot.compare_exchange(old, 0, AcqRel, Relaxed).is_ok()
        {
            self.len.fetch_sub(1, Relaxed);
            self.evicted.fetch_add(1, Relaxed);
        }
    }
    /// Removes the entries for which `stale` says so (aging, a port that went away, a flush).
    pub fn expire(&self, stale: impl Fn(&MacEntry) -> bool) {
        for set in &self.sets {
            for way in 0..WAYS {
                let key = set.keys[way].load(Acquire);
                if key & USED != 0
                    && stale(&entry(key, set.values[way].load(Acquire)))
                    && set.keys[way]
                        .compare_exchange(key, 0, AcqRel, Relaxed)
                        .is_ok()
                {
                    self.len.fetch_sub(1, Relaxed);
                }
            }
        }
    }
    /// All entries, in no order.
    pub fn entries(&self) -> Vec<MacEntry> {
        let ways = self.sets.iter().flat_map(|s| s.keys.iter().zip(&s.values));
        ways.map(|(k, v)| (k.load(Acquire), v.load(Acquire)))
            .filter(|(k, _)| k & USED != 0)
            .map(|(k, v)| entry(k, v))
            .collect()
    }
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len.load(Relaxed) as usize
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn entry(key: u64, value: u64) -> MacEntry {
    MacEntry {
        mac: MacAddr::from_u64(key & 0xffff_ffff_ffff),
        vlan: (key >> 48) as u16 & 0xfff,
        port: PortId((value >> 32) as u32),
        used: Time::secs(value & 0xffff_ffff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_moves_expires_and_stays_bounded() {
        let table = MacTable::new(16);
        let mac = |n| MacAddr::from_u64(n);
        table.learn(mac(1), 5, PortId(7), Time::secs(1));
        assert_eq!(table.lookup(mac(1), 5), Some(PortId(7)));
        assert_eq!(table.lookup(mac(1), 6), None);
        table.learn(mac(1), 5, PortId(8), Time::secs(2));
        assert_eq!(
            (table.lookup(mac(1), 5), table.moved.load(Relaxed)),
            (Some(PortId(8)), 1)
        );
        (2..10_000).for_each(|n| table.learn(mac(n), 0, PortId(1), Time::secs(3)));
        assert!(table.len() <= 16 && table.entries().len() <= 16);
        assert!(table.evicted.load(Relaxed) > 0);
        // A full table learns what is new wherever it belongs.
        for n in 10_000..10_100 {
            table.learn(mac(n), 0, PortId(2), Time::secs(3));
            assert_eq!(table.lookup(mac(n), 0), Some(PortId(2)));
            assert!(table.len() <= 16 && table.entries().len() <= 16);
        }
        table.expire(|e| e.used < Time::secs(4));
        assert!(table.is_empty() && table.entries().is_empty());
    }
}
