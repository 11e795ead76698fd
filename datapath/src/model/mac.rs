//! The MAC table of a learning switch: looked up and filled by all workers, aged by control.
//!
//! Why atomics and not the snapshot: the reply to a flooded frame may come microseconds later, on
//! another worker, and has to find what was learnt. An entry is two words, the key (VLAN and MAC) and
//! the value (port and time of last use), in sets of eight: two lines, of which the second is for full sets. A reader reads key, value, key: if the
//! entry was replaced in between it sees that and takes it as unknown. A full set loses its oldest
//! entry; in a full table, an empty set takes the place of the next set's. An address scan can only recycle entries; the table's size is fixed.
//! Which set is an address's depends on a secret: nobody can compute addresses that push a chosen one out.

use super::id::PortId;
use crate::fragment::Secret;
use crate::time::Time;
use packet::MacAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

const WAYS: usize = 8;
const USED: u64 = 1 << 63;

#[derive(Default)]
struct Way {
    key: AtomicU64,
    value: AtomicU64,
}

/// Four ways are one line.
#[derive(Default)]
#[repr(align(64))]
struct Set {
    ways: [Way; WAYS],
}

impl Set {
    /// The way that holds a key.
    #[inline]
    fn find(&self, key: u64) -> Option<&Way> {
        self.ways.iter().find(|way| way.key.load(Acquire) == key)
    }
    /// The way that was used the longest time ago, and its key.
    fn oldest(&self) -> Option<(&Way, u64)> {
        let ways = self.ways.iter().map(|way| (way, way.key.load(Relaxed)));
        ways.filter(|(_, key)| key & USED != 0)
            .min_by_key(|(way, _)| way.value.load(Relaxed) as u32)
    }
}

impl Way {
    /// Puts an entry in the place of the one with the key `old`, if that is still there.
    fn replace(&self, old: u64, key: u64, value: u64) -> bool {
        // 1 is nobody's key: what is written in between is not found.
        if self.key.compare_exchange(old, 1, AcqRel, Relaxed).is_err() {
            return false;
        }
        self.value.store(value, Release);
        self.key.store(key, Release);
        true
    }
    /// Removes the entry with this key, if it is still there.
    fn remove(&self, key: u64) -> bool {
        self.key.compare_exchange(key, 0, AcqRel, Relaxed).is_ok()
    }
}

/// A bridge's learnt addresses.
pub struct MacTable {
    sets: Box<[Set]>,
    len: AtomicU32,
    limit: u32,
    /// What keys are multiplied with: odd.
    factor: u64,
    /// Counts what makes an answer another one.
    changes: AtomicU64,
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

/// An address in a VLAN, and the set that it belongs to: many are made before the first one is looked up.
#[derive(Clone, Copy)]
pub struct Address<'t> {
    key: u64,
    set: &'t Set,
}

/// A port and a second, as entries have them.
#[derive(Clone, Copy)]
pub struct Sighting(u64);

impl Sighting {
    /// Behind this port, now.
    pub fn new(port: PortId, now: Time) -> Sighting {
        Sighting(value_of(port, now))
    }
}

impl Address<'_> {
    /// Begins to wait for the memory that its lookup needs; what it returns is nothing to go by.
    #[inline(always)]
    pub fn touch(&self) -> u64 {
        self.set.ways[0].key.load(Relaxed)
    }
    /// The port behind which it is.
    #[inline(always)]
    pub fn port(&self) -> Option<PortId> {
        let way = self.set.find(self.key)?;
        let value = way.value.load(Acquire);
        (way.key.load(Acquire) == self.key).then_some(PortId((value >> 32) as u32))
    }
    /// Notes that it was seen where it was before. `false`: it was elsewhere, or nowhere, and has to be learnt.
    #[inline(always)]
    pub fn is_seen(&self, Sighting(new): Sighting) -> bool {
        let Some(way) = self.set.find(self.key) else {
            return false;
        };
        let old = way.value.load(Relaxed);
        if old != new && old >> 32 == new >> 32 {
            way.value.store(new, Release);
        }
        old >> 32 == new >> 32
    }
}

/// Of an address as a number.
#[inline(always)]
fn key_of(mac: u64, vlan: u16) -> u64 {
    USED | u64::from(vlan & 0xfff) << 48 | mac
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
            factor: 0x9e37_79b9_7f4a_7c15,
            changes: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            learned: AtomicU64::new(0),
        }
    }
    /// The same with a secret, before anything is learnt.
    pub fn with_secret(mut self, secret: Secret) -> MacTable {
        self.factor = secret.hash([self.limit.into()]) | 1;
        self
    }
    #[inline]
    fn set_of(&self, key: u64) -> &Set {
        &self.sets[self.index_of(key)]
    }
    #[inline]
    fn index_of(&self, key: u64) -> usize {
        // Each bit of the product's upper half depends on all of the key.
        let product = u128::from(key) * u128::from(self.factor);
        let hash = (product >> 64) as u64 ^ product as u64;
        hash as usize & (self.sets.len() - 1)
    }
    /// Changes when an entry is made, moved or removed: until then an answer, and what was learnt, stay true. Ask before.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes.load(Acquire)
    }
    fn changed(&self) {
        self.changes.fetch_add(1, Release);
    }
    /// An address, given as a number.
    #[inline(always)]
    pub fn address(&self, mac: u64, vlan: u16) -> Address<'_> {
        let key = key_of(mac, vlan);
        let set = self.set_of(key);
        Address { key, set }
    }
    /// The port behind which an address is.
    #[inline]
    pub fn lookup(&self, mac: MacAddr, vlan: u16) -> Option<PortId> {
        self.address(mac.to_u64(), vlan).port()
    }
    /// Notes that an address was seen behind a port. Writes only if the port or the second changed.
    #[inline]
    pub fn learn(&self, mac: MacAddr, vlan: u16, port: PortId, now: Time) {
        let Address { key, set } = self.address(mac.to_u64(), vlan);
        let Some(way) = set.find(key) else {
            return self.insert(set, key, value_of(port, now));
        };
        let (old, new) = (way.value.load(Relaxed), value_of(port, now));
        if old != new {
            way.value.store(new, Release);
            if old >> 32 != new >> 32 {
                self.moved.fetch_add(1, Relaxed);
                self.changed();
            }
        }
    }
    #[cold]
    fn insert(&self, set: &Set, key: u64, value: u64) {
        self.learned.fetch_add(1, Relaxed);
        if self.len.load(Relaxed) >= self.limit && set.oldest().is_none() {
            self.make_room(key);
        }
        let has_room = self.len.load(Relaxed) < self.limit;
        if has_room && set.ways.iter().any(|way| way.replace(0, key, value)) {
            self.len.fetch_add(1, Relaxed);
        } else if let Some((way, old)) = set.oldest()
            && way.replace(old, key, value)
        {
            self.evicted.fetch_add(1, Relaxed);
        }
        self.changed();
    }
    /// Removes the oldest entry of the first set behind a key's own that has one.
    fn make_room(&self, key: u64) {
        let own = self.index_of(key);
        let mut others = self.sets[own + 1..].iter().chain(&self.sets[..own]);
        if let Some((way, old)) = others.find_map(Set::oldest)
            && way.remove(old)
        {
            self.len.fetch_sub(1, Relaxed);
            self.evicted.fetch_add(1, Relaxed);
        }
    }
    /// Removes the entries for which `stale` says so (aging, a port that went away, a flush).
    pub fn expire(&self, stale: impl Fn(&MacEntry) -> bool) {
        for way in self.sets.iter().flat_map(|set| &set.ways) {
            let key = way.key.load(Acquire);
            if key & USED != 0 && stale(&entry(key, way.value.load(Acquire))) && way.remove(key) {
                self.len.fetch_sub(1, Relaxed);
                self.changed();
            }
        }
    }
    /// All entries, in no order.
    pub fn entries(&self) -> Vec<MacEntry> {
        let ways = self.sets.iter().flat_map(|set| &set.ways);
        ways.map(|way| (way.key.load(Acquire), way.value.load(Acquire)))
            .filter(|(key, _)| key & USED != 0)
            .map(|(key, value)| entry(key, value))
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
    fn sets_are_a_secret() {
        let tables = [1, 2].map(|seed| MacTable::new(1 << 10).with_secret(Secret::new(seed)));
        let keys = (0..1 << 16).map(|n| USED | 0x0200_0000_0000 | n);
        let met = |table: &MacTable, keys: &[u64]| {
            let mut met = vec![0; table.sets.len()];
            keys.iter().for_each(|key| met[table.index_of(*key)] += 1);
            met.into_iter().max().unwrap_or(0)
        };
        let all: Vec<u64> = keys.collect();
        let crowd = all.iter().filter(|key| tables[0].index_of(**key) == 5);
        let crowd: Vec<u64> = crowd.copied().collect();
        assert!(crowd.len() > 100 && met(&tables[0], &crowd) == crowd.len());
        assert!(met(&tables[1], &crowd) <= WAYS);
        // Neighbours, also in the upper bits, are spread by any of them.
        for table in [MacTable::new(1 << 10)].iter().chain(&tables) {
            assert!(met(table, &all) < 2 * all.len() / table.sets.len());
            let few: Vec<u64> = (0..1000).map(|n| USED | 7 << 48 | n << 24).collect();
            assert!(met(table, &few) <= 2 * WAYS, "{}", met(table, &few));
        }
    }
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
