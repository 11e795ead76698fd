//! Identifications for packets that are split here: unique for as long as possible for each pair of
//! hosts, and not to be guessed by others (RFC 6864, RFC 7739).

use super::hash::Secret;

/// Counters that the pairs of hosts share. A pair that shares one only skips numbers.
const COUNTERS: usize = 1024;

/// The ids of one worker. Workers number disjointly: the id modulo their number says whose it is.
pub struct Ids {
    secret: Secret,
    counters: Box<[u32]>,
    step: u32,
    worker: u32,
}

impl Ids {
    /// The ids of worker number `worker` of `workers`, which all have the same secret.
    pub fn new(secret: Secret, worker: usize, workers: usize) -> Ids {
        // A power of two divides 2^16, so that numbers stay disjoint when they wrap.
        let step = workers.next_power_of_two().min(1 << 8) as u32;
        Ids {
            secret,
            counters: vec![0; COUNTERS].into(),
            step,
            worker: worker as u32 % step,
        }
    }

    /// The next id between two hosts, given as what identifies them (for IPv4 with the protocol). 32 bits; IPv4 uses
    /// the lower 16.
    // RFC 6864 section 4.3: "Sources emitting non-atomic datagrams MUST NOT repeat IPv4 ID values within one MDL
    // for a given source address/destination address/protocol tuple." At 16 bits that holds for 65536 packets.
    pub(super) fn next_id(&mut self, hosts: [u64; 5]) -> u32 {
        let hash = self.secret.hash(hosts);
        let counter = &mut self.counters[hash as usize % COUNTERS];
        let base = (hash >> 32) as u32 & !(self.step - 1);
        loop {
            *counter = counter.wrapping_add(1);
            let id = base.wrapping_add(counter.wrapping_mul(self.step)) | self.worker;
            // Where the host's stack sends, it replaces an id of 0, and differently in each fragment.
            if id as u16 != 0 {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sixteen_bits_last_for_all_of_them() {
        let mut workers: Vec<_> = (0..3).map(|w| Ids::new(Secret::new(7), w, 3)).collect();
        let mut seen = HashSet::new();
        // All but 0.
        for _ in 0..0x3fff {
            for ids in &mut workers {
                assert!(seen.insert(ids.next_id([1, 2, 3, 4, 5]) as u16));
            }
        }
        assert_ne!(
            Ids::new(Secret::new(7), 0, 1).next_id([1, 2, 3, 4, 5]),
            Ids::new(Secret::new(8), 0, 1).next_id([1, 2, 3, 4, 5])
        );
    }
}
