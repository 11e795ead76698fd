//! A keyed hash of a few words: who cannot see the key cannot choose packets that meet in one place.
//! All workers of a switch have the same key, so that they agree who owns a packet. Tables of rules have one, too.

/// The key of all hashes of a switch. It comes from the rim, which has a source of randomness.
#[derive(Clone, Copy)]
pub struct Secret([u64; 3]);

impl Secret {
    /// A key made of random bits.
    pub const fn new(seed: u128) -> Secret {
        let (high, low) = ((seed >> 64) as u64, seed as u64);
        // Odd constants of many bits, so that a poor seed still mixes.
        Secret([
            high ^ 0x9e37_79b9_7f4a_7c15,
            low ^ 0xc2b2_ae3d_27d4_eb4f,
            high.rotate_left(32) ^ low ^ 0x1656_67b1_9e37_79f9,
        ])
    }

    /// The hash of any number of words, one after the other: slower.
    pub fn hash_all(&self, words: impl Iterator<Item = u64>) -> u64 {
        words.fold(self.0[2], |hash, word| self.hash([hash, word]))
    }

    /// The hash of some words.
    #[inline]
    pub fn hash<const N: usize>(&self, words: [u64; N]) -> u64 {
        // Two at a time: each multiplication waits for the one before.
        let mut hash = self.0[0];
        let (pairs, rest) = words.as_chunks::<2>();
        for [a, b] in pairs {
            hash = fold(hash ^ a, self.0[1] ^ b).wrapping_add(*a);
        }
        for word in rest {
            hash = fold(hash ^ word, self.0[1]).wrapping_add(*word);
        }
        fold(hash, self.0[2])
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Both halves of the product: each of its bits depends on all of the factors'.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// Scales a hash to `0..len` by its upper bits; the lower ones are left for tables.
#[inline]
pub(super) fn scale(hash: u64, len: usize) -> usize {
    (((hash >> 32) * len as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_spread() {
        let secret = Secret::new(0);
        let mut hits = [0; 16];
        for word in 0..16_000u64 {
            hits[scale(secret.hash([word, 7]), 16)] += 1;
        }
        assert!(
            hits.iter().all(|hits| (800..1200).contains(hits)),
            "{hits:?}"
        );
        let low: std::collections::HashSet<_> = (0..1000u64)
            .map(|word| secret.hash([word]) & 0xffff)
            .collect();
        assert!(low.len() > 950);
        assert_ne!(secret.hash([1]), Secret::new(1).hash([1]));
    }
}
