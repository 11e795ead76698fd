//! The key: everything that a rule can match and an action can read or write, as one fixed array of
//! words. Frames are extracted into it (`flow`), matches select bits of it, tables hash it.
//!
//! The order of the words follows the pipeline (metadata, link, network, transport), so that a
//! prefix of the words is what a shallow parse fills in. Unused bits are always zero.

/// Number of 64-bit words in a key.
pub const WORDS: usize = 61;

/// Word numbers. A 128-bit value takes two words, the high one first.
pub mod word {
    #![allow(
        missing_docs,
        reason = "named after the field that the table places there"
    )]
    pub const IN_PORT: usize = 0; // in_port 32 | actset_output 32
    pub const TUN_ID: usize = 1;
    pub const TUN_IPV4: usize = 2; // src 32 | dst 32
    pub const TUN_IPV6_SRC: usize = 3;
    pub const TUN_IPV6_DST: usize = 5;
    pub const TUN_META: usize = 7; // gbp_id 16 | flags 16 | ttl 8 | tos 8 | gbp_flags 8 | 0
    pub const METADATA: usize = 8;
    pub const REG: usize = 9; // 32 registers, the even one in the high half: 16 words
    pub const MARK: usize = 25; // pkt_mark 32 | dp_hash 32
    pub const PACKET_TYPE: usize = 26; // packet_type 32 | skb_priority 32
    pub const CONJ: usize = 27; // conj_id 32 | recirc_id 32
    pub const TUN_METADATA: usize = 28; // 16 words of Geneve options, shared out by the bridge's TLV map
    pub const ETH_DST: usize = 44; // eth_dst 48 | eth_type 16
    pub const ETH_SRC: usize = 45; // eth_src 48 | vlan_tci 16
    pub const VLAN_INNER: usize = 46; // inner vlan_tci 16 | bpdu_type 16 | outer tpid 16 | inner tpid 16
    pub const MPLS: usize = 47; // first label stack entry 32 | second 32
    pub const MPLS3: usize = 48; // third 32 | 0 7 | PBB uca 1 | PBB isid 24
    pub const IPV4: usize = 49; // src 32 | dst 32 (ARP: spa, tpa)
    pub const IPV6_SRC: usize = 50;
    pub const IPV6_DST: usize = 52;
    pub const IP: usize = 54; // proto 8 | tos 8 | ttl 8 | frag 8 | ipv6 label 32
    pub const L4: usize = 55; // src 16 | dst 16 | tcp flags 16 | IPv6 extension headers 16
    pub const ARP_SHA: usize = 56; // arp_sha or nd_sll 48 | 0
    pub const ARP_THA: usize = 57; // arp_tha or nd_tll 48 | nd options type 8 | 0
    pub const ND_TARGET: usize = 58;
    pub const ND_RESERVED: usize = 60; // nd_reserved 32 | 0
    /// Which tunnel options there are: bit N says that `tun_metadata<N>` is.
    pub const TUN_PRESENT: usize = ETH_DST - 1;
    /// Words from here on are only in matches: `tun_metadata<N>` is at `VIRTUAL + 2 * N`. Which words of
    /// `TUN_METADATA` hold it is up to the bridge's map.
    pub const VIRTUAL: usize = 128;
}

/// The bits of `packet_type` in its word.
const PACKET_TYPE_BITS: u64 = 0xffff_ffff << 32;

/// The bits of a `frag` byte: the packet is a fragment; it is not the first one.
pub const FRAG_ANY: u8 = 1;
/// See [`FRAG_ANY`].
pub const FRAG_LATER: u8 = 2;
/// The bit of `vlan_tci` that says that there is a tag (OpenFlow's OFPVID_PRESENT).
pub const VLAN_PRESENT: u16 = 0x1000;
/// `eth_type` of a frame with an 802.3 length and no SNAP header (OpenFlow 1.0, OFP_DL_TYPE_NOT_ETH_TYPE).
pub const ETH_TYPE_NONE: u16 = 0x05ff;

/// A set of key words, as a bit mask: bit `n` is word `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WordSet(pub u64);

impl WordSet {
    /// No word.
    pub const EMPTY: WordSet = WordSet(0);

    /// Adds one word; those of [`word::VIRTUAL`] are in no key.
    #[inline]
    pub fn insert(&mut self, index: usize) {
        if index < WORDS {
            self.0 |= 1 << index;
        }
    }
    /// Whether the word is in the set.
    #[inline]
    pub fn contains(self, index: usize) -> bool {
        self.0 >> index & 1 != 0
    }
    /// The words that are in either set.
    #[inline]
    pub fn union(self, other: WordSet) -> WordSet {
        WordSet(self.0 | other.0)
    }
    /// Whether a word of the set lies in `from..to`.
    #[inline]
    pub fn intersects(self, from: usize, to: usize) -> bool {
        self.0 & ((1 << to) - (1 << from)) != 0
    }
    /// The word numbers, ascending.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let index = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                index
            })
        })
    }
    /// Number of words.
    #[inline]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The place of a field in the key: `width` bits (1..=128), lowest bit at `shift` of word `word`;
/// wider than 64 bits: words `word` (high) and `word + 1` (low), `shift` 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Word number.
    pub word: u8,
    /// Lowest bit.
    pub shift: u8,
    /// Bits.
    pub width: u8,
}

impl Place {
    /// Shorthand for tables.
    pub const fn new(word: usize, shift: u8, width: u8) -> Place {
        Place {
            word: word as u8,
            shift,
            width,
        }
    }
    /// All bits of the field set, in the low end.
    #[inline]
    pub const fn ones(self) -> u128 {
        if self.width >= 128 {
            u128::MAX
        } else {
            (1 << self.width) - 1
        }
    }
    /// Calls `f` with each key word, and this place's part of `value` shifted into it.
    #[inline]
    pub fn spread(self, value: u128, mut f: impl FnMut(usize, u64)) {
        let word = self.word as usize;
        if self.width > 64 {
            f(word, (value >> 64) as u64);
            f(word + 1, value as u64);
        } else {
            f(word, (value as u64) << self.shift);
        }
    }
    /// Whether it is in matches only (see [`word::VIRTUAL`]).
    #[inline]
    pub const fn is_virtual(self) -> bool {
        self.word as usize >= word::VIRTUAL
    }
    /// The key words that it touches; none if it is virtual.
    #[inline]
    pub const fn words(self) -> WordSet {
        if self.is_virtual() {
            return WordSet::EMPTY;
        }
        let one = 1u64 << self.word;
        WordSet(if self.width > 64 { one | one << 1 } else { one })
    }
}

/// A packet's fields.
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(align(64))]
pub struct Key(pub [u64; WORDS]);

impl Default for Key {
    fn default() -> Key {
        Key([0; WORDS])
    }
}

impl Key {
    /// Reads a field.
    #[inline]
    pub fn get(&self, place: Place) -> u128 {
        let word = place.word as usize;
        if place.width > 64 {
            u128::from(self.0[word]) << 64 | u128::from(self.0[word + 1])
        } else {
            u128::from(self.0[word] >> place.shift) & place.ones()
        }
    }
    /// Writes the bits of `mask` of a field.
    #[inline]
    pub fn set(&mut self, place: Place, value: u128, mask: u128) {
        let value = value & mask;
        let words = &mut self.0;
        let (mut values, mut masks) = ([0u64; 2], [0u64; 2]);
        let first = place.word as usize;
        place.spread(value, |w, v| values[w - first] = v);
        place.spread(mask & place.ones(), |w, m| masks[w - first] = m);
        let len = if place.width > 64 { 2 } else { 1 };
        for i in 0..len {
            words[first + i] = words[first + i] & !masks[i] | values[i] & masks[i];
        }
    }
}

/// One word of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MatchWord {
    /// Word number.
    pub index: u8,
    /// Bits that matter; never 0.
    pub mask: u64,
    /// What they have to be; no bit outside `mask`.
    pub value: u64,
}

/// Which bits of a key matter, and what they have to be. Empty: every packet matches.
///
/// Four words, which is what tells connections apart, are part of it: a switch has millions of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Match(smallvec::SmallVec<[MatchWord; 4]>);

impl Match {
    /// The words, ascending by number.
    #[inline]
    pub fn words(&self) -> &[MatchWord] {
        &self.0
    }
    /// The value and mask of the bits at a place; the mask is 0 if none of them matters.
    pub fn get(&self, place: Place) -> (u128, u128) {
        let word = |index: u8| {
            let found = self.0.binary_search_by_key(&index, |w| w.index);
            found.map_or((0, 0), |at| {
                (u128::from(self.0[at].value), u128::from(self.0[at].mask))
            })
        };
        let (value, mask) = word(place.word);
        if place.width > 64 {
            let low = word(place.word + 1);
            (value << 64 | low.0, mask << 64 | low.1)
        } else {
            (
                value >> place.shift & place.ones(),
                mask >> place.shift & place.ones(),
            )
        }
    }
    /// Adds bits to the match (bits that were there already are replaced).
    pub fn set(&mut self, place: Place, value: u128, mask: u128) {
        let mask = mask & place.ones();
        let mut parts = smallvec::SmallVec::<[(usize, u64, u64); 2]>::new();
        place.spread(mask, |w, m| parts.push((w, m, 0)));
        let mut i = 0;
        place.spread(value & mask, |_, v| {
            parts[i].2 = v;
            i += 1;
        });
        for (word, mask, value) in parts {
            if mask == 0 {
                continue;
            }
            match self.0.binary_search_by_key(&(word as u8), |w| w.index) {
                Ok(at) => {
                    let w = &mut self.0[at];
                    w.value = w.value & !mask | value;
                    w.mask |= mask;
                }
                Err(at) => self.0.insert(
                    at,
                    MatchWord {
                        index: word as u8,
                        mask,
                        value,
                    },
                ),
            }
        }
    }
    /// Removes bits from the match.
    pub fn unset(&mut self, place: Place) {
        place.spread(place.ones(), |word, mask| {
            if let Ok(at) = self.0.binary_search_by_key(&(word as u8), |w| w.index) {
                let w = &mut self.0[at];
                w.mask &= !mask;
                w.value &= !mask;
                if w.mask == 0 {
                    self.0.remove(at);
                }
            }
        });
    }
    /// Whether a packet with this key matches.
    #[inline]
    pub fn matches(&self, key: &Key) -> bool {
        self.0
            .iter()
            .all(|w| key.0[w.index as usize] & w.mask == w.value)
    }
    /// Whether only Ethernet frames match although nothing is said of `packet_type`: a header is looked at (ovs-fields(7):
    /// "when a match on a data field is present without a packet_type match, Open vSwitch acts as though a match on (0,0)
    /// (Ethernet) had been supplied").
    pub fn implies_ethernet(&self) -> bool {
        let types = |w: &&MatchWord| usize::from(w.index) == word::PACKET_TYPE;
        let is_typed = |w: &MatchWord| w.mask & PACKET_TYPE_BITS != 0;
        self.looks_at_headers() && !self.0.iter().find(types).is_some_and(is_typed)
    }
    /// Whether it looks at a header of the packet, and not only at what is known of it besides.
    pub fn looks_at_headers(&self) -> bool {
        let is_header = |w: &MatchWord| (word::ETH_DST..WORDS).contains(&usize::from(w.index));
        self.0.iter().any(is_header)
    }
    /// Forgets that the packet is an Ethernet frame where the rest implies it, so that there is one form to say it.
    pub fn settle_packet_type(&mut self) {
        let place = Place::new(word::PACKET_TYPE, 32, 32);
        if self.get(place) == (0, place.ones()) && self.looks_at_headers() {
            self.unset(place);
        }
    }
    /// The mask and value of one word, with what is implied.
    fn word(&self, index: u8) -> (u64, u64) {
        let found = self.0.binary_search_by_key(&index, |w| w.index);
        let (mask, value) = found.map_or((0, 0), |at| (self.0[at].mask, self.0[at].value));
        match usize::from(index) == word::PACKET_TYPE && self.implies_ethernet() {
            true => (mask | PACKET_TYPE_BITS, value),
            false => (mask, value),
        }
    }
    /// Whether every packet that matches `self` also matches `other` ("`self` is at least as specific").
    pub fn is_subset_of(&self, other: &Match) -> bool {
        other.0.iter().all(|theirs| {
            let (mask, value) = self.word(theirs.index);
            mask & theirs.mask == theirs.mask && value & theirs.mask == theirs.value
        })
    }
    /// Whether some packet could match both.
    pub fn overlaps(&self, other: &Match) -> bool {
        let agrees = |index: u8| {
            let ((ours, value), (theirs, other)) = (self.word(index), other.word(index));
            (value ^ other) & ours & theirs == 0
        };
        self.0.iter().all(|ours| agrees(ours.index)) && agrees(word::PACKET_TYPE as u8)
    }
    /// The key words that the match looks at.
    pub fn word_set(&self) -> WordSet {
        let mut set = WordSet::EMPTY;
        self.0.iter().for_each(|w| set.insert(w.index as usize));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Place = Place::new(word::IPV6_SRC, 0, 128);
    const NARROW: Place = Place::new(word::ETH_SRC, 0, 16);

    #[test]
    fn key_fields_do_not_disturb_each_other() {
        let mut key = Key::default();
        key.set(NARROW, 0x1fff, 0x0fff);
        assert_eq!(key.get(NARROW), 0x0fff);
        key.set(WIDE, u128::MAX, 0xff << 64);
        assert_eq!(key.get(WIDE), 0xff << 64);
        assert_eq!(key.get(Place::new(word::ETH_SRC, 16, 48)), 0);
    }

    #[test]
    fn headers_are_those_of_ethernet_frames() {
        let packet_type = Place::new(word::PACKET_TYPE, 32, 32);
        let with = |packet_type_is: Option<u128>, header: bool| {
            let mut matching = Match::default();
            if let Some(value) = packet_type_is {
                matching.set(packet_type, value, u128::MAX);
            }
            if header {
                matching.set(NARROW, 5, u128::MAX);
            }
            matching
        };
        let (frames, implied) = (with(Some(0), false), with(None, true));
        assert!(implied.implies_ethernet() && !with(Some(1), true).implies_ethernet());
        assert!(implied.is_subset_of(&frames) && !frames.is_subset_of(&implied));
        assert!(!with(None, false).is_subset_of(&frames));
        for bare in [with(Some(1 << 16 | 0x800), false), with(Some(1), true)] {
            assert!(!implied.overlaps(&bare) && !bare.overlaps(&implied));
            assert!(bare.overlaps(&with(None, false)) && !bare.is_subset_of(&frames));
        }
        let mut said = with(Some(0), true);
        said.settle_packet_type();
        assert_eq!(said, implied);
    }

    #[test]
    fn match_relations() {
        let (mut net, mut host) = (Match::default(), Match::default());
        net.set(WIDE, 1 << 64, u128::MAX << 64);
        host.set(WIDE, 1 << 64 | 5, u128::MAX);
        assert!(host.is_subset_of(&net) && !net.is_subset_of(&host) && net.overlaps(&host));
        let mut other = Match::default();
        other.set(WIDE, 2 << 64, u128::MAX << 64);
        assert!(!other.overlaps(&host));
        host.unset(WIDE);
        assert_eq!(host, Match::default());
        let mut key = Key::default();
        key.set(WIDE, 1 << 64 | 9, u128::MAX);
        assert!(net.matches(&key) && !other.matches(&key));
    }
}
