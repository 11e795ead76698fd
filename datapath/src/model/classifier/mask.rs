//! Which bits of a key a rule or a table looks at, the hash of these bits, and the coarser masks under which
//! a rule may be kept instead of its own.

use ofp::key::{Key, MatchWord, word};
use smallvec::SmallVec;

/// Words of a key with the bits that matter, ascending. Four are a connection's.
pub(super) type Words = SmallVec<[(u8, u64); 4]>;

/// One factor per word: odd, and without a pattern.
const FACTORS: [u64; 64] = {
    let (mut factors, mut n) = ([0; 64], 0);
    while n < factors.len() {
        let mut x = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        factors[n] = (x ^ x >> 31) | 1;
        n += 1;
    }
    factors
};

/// A word's share of a hash. Shares are added, so that the processor works at all of them at once.
#[inline(always)]
fn share(index: u8, value: u64) -> u64 {
    let product = u128::from(value) * u128::from(FACTORS[usize::from(index) % FACTORS.len()]);
    (product >> 64) as u64 ^ product as u64
}

/// The hash that sums up shares. What each bit of a word is multiplied with reaches the higher half.
#[inline(always)]
fn settle(sum: u64) -> u32 {
    (sum >> 32) as u32
}

/// The hash of a key under a mask.
#[inline(always)]
pub(super) fn hash_of_key(words: &[(u8, u64)], key: &Key) -> u32 {
    let shares = words
        .iter()
        .map(|&(index, mask)| share(index, key.0[usize::from(index)] & mask));
    settle(shares.fold(0, u64::wrapping_add))
}

/// The hash of a match under a mask that has no bit which is not the match's.
#[inline]
pub(super) fn hash_of_match(words: &[(u8, u64)], matching: &[MatchWord]) -> u32 {
    let mut theirs = matching.iter();
    let shares = words.iter().map(|&(index, mask)| {
        let found = theirs.find(|w| w.index == index);
        share(index, found.map_or(0, |w| w.value & mask))
    });
    settle(shares.fold(0, u64::wrapping_add))
}

/// The hash of a mask itself.
pub(super) fn hash_of_mask(words: impl Iterator<Item = (u8, u64)>) -> u64 {
    words.fold(0, |sum, (index, mask)| {
        (sum ^ share(index, mask)).rotate_left(5)
    })
}

/// How a mask is made coarser: a run of so many bits stays if all of them matter.
struct Step {
    bits: u32,
    /// Whether it looks at the protocol and at ports.
    has_ports: bool,
}

/// From coarse to fine. Addresses tell rules apart best, and have the fewest masks once their lengths are rounded down.
const LADDER: [Step; 3] = [
    Step {
        bits: 16,
        has_ports: false,
    },
    Step {
        bits: 8,
        has_ports: false,
    },
    Step {
        bits: 8,
        has_ports: true,
    },
];

fn round(mask: u64, bits: u32) -> u64 {
    let ones = u64::MAX >> (64 - bits);
    let runs = (0..64).step_by(bits as usize).map(|at| ones << at);
    runs.filter(|run| mask & run == *run).sum()
}

/// The masks under which a rule may be kept, from the coarsest to its own.
pub(super) fn ladder(own: &Words) -> SmallVec<[Words; 4]> {
    let mut steps = SmallVec::<[Words; 4]>::new();
    for Step { bits, has_ports } in LADDER {
        let stays = |index: u8| has_ports || !matches!(usize::from(index), word::IP | word::L4);
        let words = own.iter().filter(|(index, _)| stays(*index));
        let coarse: Words = words
            .map(|&(index, mask)| (index, round(mask, bits)))
            .filter(|(_, mask)| *mask != 0)
            .collect();
        if steps.last() != Some(&coarse) && coarse != *own {
            steps.push(coarse);
        }
    }
    steps.push(own.clone());
    steps
}
