//! Which bits of a key a rule or a table looks at, the hash of these bits, and the coarser masks under which
//! a rule may be kept instead of its own.

use crate::fragment::Secret;
use ofp::key::{Key, Match, MatchWord, word};
use smallvec::SmallVec;

/// A word of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) index: u8,
    /// The bits that matter.
    pub(super) mask: u64,
    /// What they are multiplied with: odd, and nobody's guess.
    factor: u64,
}

impl Word {
    pub(super) fn new(secret: &Secret, index: u8, mask: u64) -> Word {
        let factor = secret.hash([index.into()]) | 1;
        Word {
            index,
            mask,
            factor,
        }
    }
    /// A word's share of a hash. Shares are added, so that the processor works at all of them at once.
    #[inline(always)]
    fn share(&self, value: u64) -> u64 {
        let product = u128::from(value & self.mask) * u128::from(self.factor);
        (product >> 64) as u64 ^ product as u64
    }
}

/// The words that matter, ascending. Four are a connection's.
pub(super) type Words = SmallVec<[Word; 4]>;

/// What a match looks at.
pub(super) fn words_of(secret: &Secret, matching: &Match) -> Words {
    let words = matching.words().iter();
    words.map(|w| Word::new(secret, w.index, w.mask)).collect()
}

/// The hash that sums up shares. What each bit of a word is multiplied with reaches the higher half.
#[inline(always)]
fn settle(sum: u64) -> u32 {
    (sum >> 32) as u32
}

/// The hash of a key under a mask.
#[inline(always)]
pub(super) fn hash_of_key(words: &[Word], key: &Key) -> u32 {
    let shares = words
        .iter()
        .map(|word| word.share(key.0[usize::from(word.index)]));
    settle(shares.fold(0, u64::wrapping_add))
}

/// The hash of a match under a mask that has no bit which is not the match's.
#[inline]
pub(super) fn hash_of_match(words: &[Word], matching: &[MatchWord]) -> u32 {
    let mut theirs = matching.iter();
    let shares = words.iter().map(|word| {
        let found = theirs.find(|w| w.index == word.index);
        word.share(found.map_or(0, |w| w.value))
    });
    settle(shares.fold(0, u64::wrapping_add))
}

/// The hash of a mask itself.
pub(super) fn hash_of_mask(secret: &Secret, words: impl Iterator<Item = (u8, u64)>) -> u64 {
    words.fold(0, |hash, (index, mask)| {
        secret.hash([hash ^ u64::from(index), mask])
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
        let words = own.iter().filter(|word| stays(word.index));
        let coarse: Words = words
            .map(|word| Word {
                mask: round(word.mask, bits),
                ..*word
            })
            .filter(|word| word.mask != 0)
            .collect();
        if steps.last() != Some(&coarse) && coarse != *own {
            steps.push(coarse);
        }
    }
    steps.push(own.clone());
    steps
}
