//! Select groups: which bucket a packet takes. A step of the program, as packets that differ in nothing that a rule looks
//! at are to be spread too. A flow's packets take the same bucket on every worker and after every restart.
//!
//! Each live bucket draws a number from the packet's hash, and the best one by its weight wins ("weighted rendezvous": the
//! draws are exponential, with the weights as rates). So shares are as the weights, and a bucket that comes
//! or goes moves no flows but those that it gets or had.

use super::enter::credit_all;
use super::execute::{self, Context, Executor};
use super::program::{Step, Visit};
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
    /// What is hashed of the packet: key words with their masks. `None`: its [`Flow`].
    words: Option<Box<[(u8, u64)]>>,
    extract: extract::Plan,
    /// At least two; the live ones.
    pub branches: Vec<Branch>,
    /// Steps of all branches.
    pub len: usize,
    /// Which of its walk's choices it is: for those who explain it.
    pub number: usize,
    /// Bytes that the steps before have added to the packet.
    pub grown: isize,
    /// Whether all branches have the same weight.
    is_even: bool,
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
struct Flow {
    /// `ETH_DST`, `ETH_SRC`, `IPV4`, `IP`, `L4`.
    words: [u64; 5],
    /// `IPV6_SRC` and `IPV6_DST`.
    ipv6: [u64; 4],
}

impl Flow {
    /// The words that it is of.
    const WORDS: [usize; 9] = [
        word::ETH_DST,
        word::ETH_SRC,
        word::IPV4,
        word::IP,
        word::L4,
        word::IPV6_SRC,
        word::IPV6_SRC + 1,
        word::IPV6_DST,
        word::IPV6_DST + 1,
    ];

    fn of(key: &Key) -> Flow {
        let [a, b, c, d, e, ipv6 @ ..] = Flow::WORDS.map(|at| key.0[at]);
        Flow {
            words: [a, b, c, d, e],
            ipv6,
        }
    }
    /// Two words for each multiplication: half of the cycles that one by one takes.
    #[inline(always)]
    fn hash(&self, basis: u64) -> u64 {
        // Any numbers will do: digits of pi.
        const SALTS: [u64; 8] = [
            0x243f_6a88_85a3_08d3,
            0x1319_8a2e_0370_7344,
            0xa409_3822_299f_31d0,
            0x082e_fa98_ec4e_6c89,
            0x4528_21e6_38d0_1377,
            0xbe54_66cf_34e9_0c6c,
            0xc0ac_29b7_c97c_50dd,
            0x3f84_d5b5_b547_0917,
        ];
        let both = |at: usize, a: u64, b: u64| {
            let product = u128::from(a ^ SALTS[at]) * u128::from(b ^ SALTS[at + 1]);
            (product >> 64) as u64 ^ product as u64
        };
        let [dst, src, ipv4, ip, l4] = self.words;
        let link = both(0, dst, src & 0xffff_ffff_ffff_1fff);
        let network = both(2, ipv4, l4 & 0xffff_ffff << 32 | ip >> 56);
        let hash = basis ^ link.wrapping_add(network.rotate_left(32));
        match self.ipv6 {
            [0, 0, 0, 0] => hash,
            [a, b, c, d] => hash.wrapping_add(both(4, a, b) ^ both(6, c, d).rotate_left(32)),
        }
    }
}

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
        let is_flow =
            group.selection.method != SelectionMethod::Hash || group.selection.fields.is_empty();
        if !is_flow {
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
        let mut set = WordSet::EMPTY;
        match is_flow {
            true => Flow::WORDS.iter().for_each(|index| set.insert(*index)),
            false => words
                .iter()
                .for_each(|(index, _)| set.insert((*index).into())),
        }
        Select {
            basis,
            words: (!is_flow).then(|| words.into()),
            extract: extract::Plan::new(set, Depth::None).with_max_tags(VLAN_LIMIT),
            branches: Vec::new(),
            len: 0,
            number: 0,
            grown,
            is_even: true,
        }
    }
    /// Adds a branch.
    pub fn add(&mut self, branch: Branch) {
        let first = self.branches.first();
        self.is_even &= first.is_none_or(|first| first.weight == branch.weight);
        self.branches.push(branch);
    }
    /// What a packet's choice depends on. `key` may be overwritten.
    #[inline]
    fn hash<F: Frame>(&self, frame: &F, key: &mut Key) -> u64 {
        if self.words.is_none()
            && let Some(words) = extract::plain(frame.head(), frame.size(), true)
        {
            let (words, ipv6) = (extract::key_words(&words), [0; 4]);
            return Flow { words, ipv6 }.hash(self.basis);
        }
        self.hash_any(frame, key)
    }
    #[inline(never)]
    fn hash_any<F: Frame>(&self, frame: &F, key: &mut Key) -> u64 {
        let layout = extract::extract(frame.head(), frame.size(), &self.extract, key);
        if layout.frag != 0 {
            // Later fragments have no ports, and all of a packet's fragments take the same way.
            key.0[word::L4] = 0;
        }
        match &self.words {
            None => Flow::of(key).hash(self.basis),
            Some(words) => words.iter().fold(self.basis, |hash, (index, mask)| {
                add(hash, key.0[usize::from(*index)] & mask)
            }),
        }
    }
    /// Which branch a frame takes. `key` may be overwritten.
    #[inline]
    fn choose<F: Frame>(&self, frame: &F, key: &mut Key) -> Option<&Branch> {
        let hash = self.hash(frame, key);
        let branches = self.branches.iter();
        if self.is_even {
            // Of equal weights the largest draw wins, whatever its logarithm is.
            return branches
                .rev()
                .max_by_key(|branch| draw(hash, branch.bucket) | 1);
        }
        let draws = branches.map(|branch| (branch.bucket, branch.weight));
        self.branches.get(winner(hash, draws)?)
    }
    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        let visits: usize = self.branches.iter().map(|branch| branch.visits.len()).sum();
        size_of::<Select>()
            + self.words.as_deref().map_or(0, size_of_val)
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
    /// Its steps, of those of all branches.
    #[inline]
    pub fn part<'s>(&self, steps: &'s [Step]) -> &'s [Step] {
        steps
            .get(self.first..self.first + self.len)
            .unwrap_or_default()
    }
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

/// What a number draws with a hash.
#[inline]
fn draw(hash: u64, number: u32) -> u64 {
    add(hash, u64::from(number).wrapping_mul(MULTIPLIER))
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
        let cost = surprise(draw(hash, number));
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
    /// Chooses for a frame, of which nothing else becomes. `steps` are those of all branches.
    #[inline]
    pub(super) fn select<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &mut execute::Place<'_>,
        select: &Select,
        steps: &[Step],
        frame: P::Frame,
        o: &mut O,
    ) {
        let branch = self.take_branch(cx, at, select, &frame, o);
        let Some((drop, part)) = branch.map(|branch| (branch.drop, branch.part(steps))) else {
            return self.trash.push(frame);
        };
        match part {
            [] => self.drop(frame, drop, o),
            [
                Step::Output {
                    port,
                    tunnel,
                    max_size,
                    ..
                },
            ] => self.output(cx, at, *port, tunnel, *max_size, frame, o),
            part => self.run(cx, at, part, frame, o),
        }
    }
    /// Chooses for a frame, and credits what is on its way.
    #[inline]
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

    /// Also flows that differ in little, and by any of what is hashed.
    #[test]
    fn flows_are_spread() {
        for at in 0..9 {
            for shift in [0, 16, 32, 40] {
                let mut counts = [0u32; 8];
                for n in 0..8000u64 {
                    let mut words = [0; 9];
                    words[at] = n << shift;
                    // What is not hashed of these words.
                    match at {
                        1 if shift == 0 => words[1] = n % 4096 + ((n / 4096) << 16),
                        3 => words[3] = n << 56,
                        4 => words[4] = n << (32 + shift / 3),
                        _ => {}
                    }
                    let [a, b, c, d, e, ipv6 @ ..] = words;
                    let hash = Flow {
                        words: [a, b, c, d, e],
                        ipv6,
                    }
                    .hash(7);
                    let weights = (0..8).map(|bucket| (bucket, 3));
                    counts[winner(hash, weights).expect("weights")] += 1;
                }
                // 256 protocols take a bucket all together.
                let most = if at == 3 { 2000 } else { 1200 };
                let is_right = |count: &u32| (800..most).contains(count);
                assert!(
                    at == 3 || counts.iter().all(is_right),
                    "{at} {shift} {counts:?}"
                );
                assert!(counts.iter().all(|count| *count > 400), "{at} {counts:?}");
            }
        }
    }

    proptest! {
        /// A short way to the winner among equals.
        #[test]
        fn of_equals_the_largest_draw_wins(hash: u64, len in 1..20u32, weight in 1..9u16) {
            let winner = winner(hash, (0..len).map(|number| (number, weight))).expect("weights");
            let draws: Vec<u64> = (0..len).map(|number| draw(hash, number) | 1).collect();
            // The logarithm has 32 bits behind the point.
            let best = draws.iter().max().expect("some");
            prop_assert!(best - draws[winner] <= best >> 31);
        }
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
