//! Select groups: which bucket a packet takes. A step of the program, as packets that differ in nothing that a rule looks
//! at are to be spread too. A flow's packets take the same bucket on every worker and after every restart.
//!
//! Each live bucket draws a number from the packet's hash, and the best one by its weight wins ("weighted rendezvous": the
//! draws are exponential, with the weights as rates). So shares are as the weights, and a bucket that comes
//! or goes moves no flows but those that it gets or had.

use super::enter::credit_all;
use super::execute::{self, Context, Executor};
use super::program::Visit;
use super::trace::Observer;
use crate::edge::{Frame, Pool};
use crate::model::DropReason;
use crate::model::group::{BucketView, GroupView};
use crate::model::plan::VLAN_LIMIT;
use flow::extract::{self, Depth};
use ofp::field::Field;
use ofp::key::{Key, Place, WORDS, WordSet, word};
use ofp::message::SelectionMethod;
use packet::bpdu;
use std::fmt;

/// The choice that a select group's packets make. The steps of all branches follow it.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// The group, its parameter, and what is hashed that is not the packet's.
    basis: u64,
    /// What is hashed of the packet: key words with their masks.
    words: Box<[(u8, u64)]>,
    extract: extract::Plan,
    /// At least two; the live ones.
    pub branches: Vec<Branch>,
    /// Steps of all branches.
    pub len: usize,
    /// Which of its walk's choices it is: for those who explain it.
    pub number: usize,
    /// Bytes that the steps before have added to the packet.
    pub grown: isize,
}

/// What happens to a packet in a bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// The bucket's number.
    pub bucket: u32,
    /// Its share.
    pub weight: u16,
    /// Its first step, counted from the choice on.
    pub first: usize,
    /// Number of steps.
    pub len: usize,
    /// Lookups, groups and buckets on its way.
    pub visits: Box<[Visit]>,
    /// Why the packet is dropped, if no step sends it.
    pub drop: DropReason,
    /// The BPDU that `bpdu(count)` counts.
    pub bpdu: bpdu::Kind,
}

/// What is hashed unless the group says something else: addresses, VLAN id, types and ports, so that also flows that
/// differ in their MAC addresses alone are spread.
const FLOW: [(u8, u64); 9] = [
    (word::ETH_DST as u8, u64::MAX),
    (word::ETH_SRC as u8, 0xffff_ffff_ffff_1fff),
    (word::IPV4 as u8, u64::MAX),
    (word::IPV6_SRC as u8, u64::MAX),
    (word::IPV6_SRC as u8 + 1, u64::MAX),
    (word::IPV6_DST as u8, u64::MAX),
    (word::IPV6_DST as u8 + 1, u64::MAX),
    (word::IP as u8, 0xff << 56),
    (word::L4 as u8, 0xffff_ffff << 32),
];

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of the product: each bit depends on all of the factors'.
#[inline]
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b | 1);
    (product >> 64) as u64 ^ product as u64
}

/// Adds a word to a hash.
#[inline]
pub(super) fn add(hash: u64, word: u64) -> u64 {
    mix(hash.rotate_left(29) ^ word, MULTIPLIER).wrapping_add(word)
}

impl Select {
    /// The choice of a group for a packet with this key. `place` says where a field is.
    pub fn new(
        group: &GroupView,
        key: &Key,
        grown: isize,
        place: impl Fn(Field) -> Option<Place>,
    ) -> Select {
        let mut basis = add(
            add(MULTIPLIER, group.id.0.into()),
            group.selection.parameter,
        );
        let mut words = Vec::new();
        if group.selection.method == SelectionMethod::Hash {
            for (field, mask) in &group.selection.fields {
                let Some(place) = place(*field) else {
                    continue;
                };
                place.spread(mask & place.ones(), |index, mask| match index {
                    word::ETH_DST..WORDS => words.push((index as u8, mask)),
                    0..word::ETH_DST => basis = add(basis, key.0[index] & mask),
                    _ => {}
                });
            }
        }
        if group.selection.method != SelectionMethod::Hash || group.selection.fields.is_empty() {
            words.extend(FLOW);
        }
        let mut set = WordSet::EMPTY;
        words
            .iter()
            .for_each(|(index, _)| set.insert((*index).into()));
        Select {
            basis,
            words: words.into(),
            extract: extract::Plan::new(set, Depth::None).with_max_tags(VLAN_LIMIT),
            branches: Vec::new(),
            len: 0,
            number: 0,
            grown,
        }
    }
    /// Which branch a frame takes. `key` is overwritten.
    fn choose<F: Frame>(&self, frame: &F, key: &mut Key) -> Option<&Branch> {
        let layout = extract::extract(frame.head(), frame.size(), &self.extract, key);
        if layout.frag != 0 {
            // Later fragments have no ports, and all of a packet's fragments take the same way.
            key.0[word::L4] = 0;
        }
        let fields = self.words.iter();
        let hash = fields.fold(self.basis, |hash, (index, mask)| {
            add(hash, key.0[usize::from(*index)] & mask)
        });
        let draws = self
            .branches
            .iter()
            .map(|branch| (branch.bucket, branch.weight));
        self.branches.get(winner(hash, draws)?)
    }
    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        let visits: usize = self.branches.iter().map(|branch| branch.visits.len()).sum();
        size_of::<Select>()
            + size_of_val(&*self.words)
            + size_of_val(self.branches.as_slice())
            + visits * size_of::<Visit>()
            + self
                .branches
                .iter()
                .flat_map(|branch| &branch.visits)
                .map(Visit::memory)
                .sum::<usize>()
    }
}

/// By what a group's packets choose, in words.
pub(super) struct Method<'g>(pub &'g GroupView);

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("by weight and a hash of ")?;
        let selection = &self.0.selection;
        if selection.method != SelectionMethod::Hash || selection.fields.is_empty() {
            return f.write_str("addresses, VLAN, types and ports");
        }
        for (index, (field, _)) in selection.fields.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            f.write_str(field.row().name)?;
        }
        Ok(())
    }
}

impl Branch {
    /// That of a bucket, still without steps.
    pub fn new(bucket: &BucketView) -> Branch {
        Branch {
            bucket: bucket.id.0,
            weight: bucket.weight,
            first: 0,
            len: 0,
            visits: Box::default(),
            drop: DropReason::Action,
            bpdu: bpdu::Kind::None,
        }
    }
}

/// The index of the one that wins a hash, of numbers with weights; those of weight 0 never do.
pub(super) fn winner(hash: u64, draws: impl Iterator<Item = (u32, u16)>) -> Option<usize> {
    // An exponential draw is the logarithm of an even one, divided by the rate: cost / weight, the least wins.
    let mut best: Option<(u64, u64, usize)> = None;
    for (index, (number, weight)) in draws.enumerate() {
        let weight = u64::from(weight);
        if weight == 0 {
            continue;
        }
        let cost = surprise(add(hash, u64::from(number).wrapping_mul(MULTIPLIER)));
        if best.is_none_or(|(least, of, _)| cost * of < least * weight) {
            best = Some((cost, weight, index));
        }
    }
    best.map(|(_, _, index)| index)
}

/// -log2(draw / 2^64), with 32 bits behind the point; less than 2^39, so that products with weights fit.
#[inline]
fn surprise(draw: u64) -> u64 {
    let draw = draw | 1;
    let zeros = draw.leading_zeros();
    let mantissa = draw << zeros;
    // Between the table's entries it is linear: 24 bits.
    let (index, rest) = (mantissa >> 55 & 0xff, mantissa >> 31 & 0xff_ffff);
    let (low, high) = (LOGARITHMS[index as usize], LOGARITHMS[index as usize + 1]);
    ((u64::from(zeros) + 1) << 32) - (low + (((high - low) * rest) >> 24))
}

/// log2(1 + n / 256), with 32 bits behind the point.
const LOGARITHMS: [u64; 257] = {
    let mut table = [0; 257];
    let mut n = 0;
    while n < 256 {
        // Each squaring yields a bit. 62 bits are behind the point.
        let mut square = (256 + n as u128) << 54;
        let mut bit = 32;
        while bit > 0 {
            bit -= 1;
            square = (square * square) >> 62;
            if square >> 63 != 0 {
                square >>= 1;
                table[n] |= 1 << bit;
            }
        }
        n += 1;
    }
    table[256] = 1 << 32;
    table
};

impl<P: Pool> Executor<P> {
    /// Chooses for a frame, and credits what is on its way.
    #[inline(never)]
    pub(super) fn take_branch<'p, O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &execute::Place<'_>,
        select: &'p Select,
        frame: &P::Frame,
        o: &mut O,
    ) -> Option<&'p Branch> {
        let branch = select.choose(frame, &mut self.key)?;
        o.chooses(select.number, branch.bucket);
        if branch.bpdu != bpdu::Kind::None {
            self.count_bpdu(cx, at.view, at.in_port, branch.bpdu);
        }
        // As all rules on its way, whatever was put in front of the packet meanwhile.
        let bytes = frame.size().saturating_add_signed(-select.grown) as u64;
        credit_all(&self.stats, at.bridge, &branch.visits, 1, bytes, cx.now);
        Some(branch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many of so many flows each gets.
    fn shares(weights: &[(u32, u16)], flows: u64) -> Vec<u64> {
        let mut shares = vec![0; weights.len()];
        for flow in 0..flows {
            let hash = add(MULTIPLIER, flow);
            shares[winner(hash, weights.iter().copied()).expect("weights")] += 1;
        }
        shares
    }

    #[test]
    fn shares_are_as_the_weights() {
        for weights in [
            &[1, 1][..],
            &[1, 2, 3, 10],
            &[65535, 1000, 30000],
            &[7; 30],
            &[5, 0, 5],
        ] {
            let numbered: Vec<_> = (0..).zip(weights.iter().copied()).collect();
            let sum: u64 = weights.iter().copied().map(u64::from).sum();
            const FLOWS: u64 = 1 << 20;
            for (share, weight) in shares(&numbered, FLOWS).iter().zip(weights) {
                let right = FLOWS * u64::from(*weight) / sum;
                assert!(
                    share.abs_diff(right) * 50 <= right,
                    "{share} {right} {weights:?}"
                );
            }
        }
    }

    #[test]
    fn logarithms_are_right() {
        for (n, entry) in LOGARITHMS.iter().enumerate() {
            let right = (1.0 + n as f64 / 256.0).log2();
            assert!((*entry as f64 / 2f64.powi(32) - right).abs() < 1e-9, "{n}");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_that_goes_moves_its_own_flows_only(
            weights in prop::collection::vec(1..100u16, 2..10), gone in 0..10usize, hash: u64,
        ) {
            let numbered: Vec<_> = (0..).zip(weights).collect();
            let gone = gone % numbered.len();
            let before = winner(hash, numbered.iter().copied()).expect("weights");
            let rest = numbered.iter().copied().filter(|(n, _)| *n as usize != gone);
            let rest: Vec<_> = rest.collect();
            let after = winner(hash, rest.iter().copied()).expect("weights");
            prop_assert!(before == gone || rest[after].0 == numbered[before].0);
        }
    }
}
