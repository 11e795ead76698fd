//! The TLV map of a bridge: which Geneve option each field `tun_metadata<N>` is, and where its value is in the key.
//!
//! In matches and actions such a field has a virtual place, 128 bits wide; packets have a value of the mapped size, in the
//! words from `TUN_METADATA` on. The last of these words says which fields a packet has (bit N: `tun_metadata<N>`), so that an
//! option of zeros is sent, too. Places stay as they are while a field is mapped, so that rules need no second translation.
//! What we chose not to do: values of more than 16 bytes (Open vSwitch: 124).

use super::DropReason;
use ofp::key::{Match, MatchWord, Place, word};
use ofp::message::TlvMapping;
use packet::geneve::{self, OptionError, TunnelOption};
use std::collections::BTreeMap;

/// Fields that can be mapped.
pub const FIELDS_MAX: u16 = 64;
/// Bytes of a value at most.
pub const VALUE_MAX: u8 = 16;
/// Words for values; one more for [`PRESENT`].
const VALUE_WORDS: usize = word::ETH_DST - word::TUN_METADATA - 1;
/// Bytes of all values at most.
pub const SPACE: u32 = VALUE_WORDS as u32 * 8;
/// The word that says which fields there are.
const PRESENT: usize = word::TUN_PRESENT;
/// A header's options at most: 63 words.
const OPTIONS_SIZE: usize = 252;

/// The option words of a key.
pub type OptionWords = [u64; VALUE_WORDS + 1];

/// Options as they are sent.
#[derive(Clone, Debug)]
pub struct Options {
    bytes: [u8; OPTIONS_SIZE],
    size: usize,
}

impl Options {
    /// The bytes, a multiple of four.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }
}

#[derive(Clone, Copy, Debug)]
struct Mapped {
    mapping: TlvMapping,
    place: Place,
}

/// See the file's description.
#[derive(Clone, Debug, Default)]
pub struct TlvMap(BTreeMap<u16, Mapped>);

/// The number of a virtual place's field.
fn index_of(place: Place) -> u16 {
    (usize::from(place.word).saturating_sub(word::VIRTUAL) / 2) as u16
}

impl TlvMap {
    /// The mappings, by field.
    pub fn mappings(&self) -> impl Iterator<Item = TlvMapping> {
        self.0.values().map(|mapped| mapped.mapping)
    }
    /// The mapping of a field.
    pub fn get(&self, index: u16) -> Option<TlvMapping> {
        self.0.get(&index).map(|mapped| mapped.mapping)
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Maps a field that is not mapped; `false`: there is no room.
    pub fn add(&mut self, mapping: TlvMapping) -> bool {
        let place = self.free_place(mapping.size);
        place.is_some_and(|place| {
            self.0
                .insert(mapping.index, Mapped { mapping, place })
                .is_none()
        })
    }
    /// Takes a mapping away; `false`: there was none.
    pub fn remove(&mut self, index: u16) -> bool {
        self.0.remove(&index).is_some()
    }
    fn free_place(&self, size: u8) -> Option<Place> {
        // By halves of words.
        let mut taken = 0u64;
        for mapped in self.0.values() {
            // Of a wide field both words, whatever it needs of them.
            let ones = match mapped.place.width {
                ..=64 => mapped.place.ones(),
                _ => u128::MAX,
            };
            mapped.place.spread(ones, |word, bits| {
                let half = 2 * (word - word::TUN_METADATA);
                taken |= u64::from(bits >> 32 != 0) << half;
                taken |= u64::from(bits as u32 != 0) << (half + 1);
            });
        }
        let is_free = |first: usize, len: usize| taken >> first & ((1 << len) - 1) == 0;
        let (len, step) = match size {
            0..=4 => (1, 1),
            5..=8 => (2, 2),
            _ => (4, 2),
        };
        let mut halves = (0..=2 * VALUE_WORDS - len).step_by(step);
        let first = halves.find(|first| is_free(*first, len))?;
        let shift = match (len, first % 2) {
            (1, 0) => 32,
            _ => 0,
        };
        Some(Place::new(word::TUN_METADATA + first / 2, shift, size * 8))
    }
    /// Where the field of a virtual place is.
    pub fn place(&self, place: Place) -> Option<Place> {
        Some(self.0.get(&index_of(place))?.place)
    }
    /// The bit that says whether a packet has the field of a virtual place.
    pub fn presence(place: Place) -> Place {
        Place::new(PRESENT, index_of(place) as u8, 1)
    }
    /// A match with real places only; `None`: one of its fields is not mapped.
    pub fn translate(&self, matching: &Match) -> Option<Match> {
        let mut real = Match::default();
        for MatchWord { index, mask, value } in matching.words() {
            let at = usize::from(*index);
            if at < word::VIRTUAL {
                real.set(Place::new(at, 0, 64), (*value).into(), (*mask).into());
            }
        }
        for index in 0..FIELDS_MAX {
            let place = virtual_place(index);
            let (value, mask) = matching.get(place);
            if mask != 0 {
                let to = self.place(place)?;
                real.set(to, value, mask);
            }
        }
        Some(real)
    }
    /// The values of a received packet's options. `None`: there are none that are mapped.
    pub fn read(&self, options: &[u8]) -> Result<Option<OptionWords>, DropReason> {
        let find = |class: u16, kind: u8| {
            let mut all = self.0.values();
            all.find(|mapped| (mapped.mapping.class, mapped.mapping.kind) == (class, kind))
        };
        geneve::check(options, |class, kind| find(class, kind).is_some()).map_err(|error| {
            match error {
                OptionError::CutShort => DropReason::TunnelMalformed,
                OptionError::UnknownCritical => DropReason::TunnelOption,
            }
        })?;
        let mut words = None;
        for TunnelOption { class, kind, value } in geneve::options(options) {
            let Some(Mapped { mapping, place }) = find(class, kind) else {
                continue;
            };
            // As Open vSwitch: of another size than it was mapped with, the packet is wrong.
            if value.len() != usize::from(mapping.size) {
                return Err(DropReason::TunnelOption);
            }
            let words = words.get_or_insert(OptionWords::default());
            let number = value
                .iter()
                .fold(0, |sum, byte| sum << 8 | u128::from(*byte));
            place.spread(place.ones(), |at, mask| {
                words[at - word::TUN_METADATA] &= !mask
            });
            place.spread(number, |at, bits| words[at - word::TUN_METADATA] |= bits);
            words[VALUE_WORDS] |= 1 << mapping.index;
        }
        Ok(words)
    }
    /// The fields that these words have, with their virtual places and values.
    pub fn values<'a>(&'a self, words: &'a OptionWords) -> impl Iterator<Item = (Place, u128)> {
        let has = |mapped: &&Mapped| words[VALUE_WORDS] >> mapped.mapping.index & 1 != 0;
        self.0.values().filter(has).map(|mapped| {
            let value = value(mapped.place, words);
            (virtual_place(mapped.mapping.index), value)
        })
    }
    /// The options to send. `None`: there are none.
    pub fn options(&self, words: &OptionWords) -> Option<Options> {
        let mut options = Options {
            bytes: [0; OPTIONS_SIZE],
            size: 0,
        };
        for (place, value) in self.values(words) {
            let mapping = self.get(index_of(place))?;
            let bytes = value.to_be_bytes();
            let option = TunnelOption {
                class: mapping.class,
                kind: mapping.kind,
                value: &bytes[16 - usize::from(mapping.size.min(VALUE_MAX))..],
            };
            option.emit(&mut options.bytes[options.size..])?;
            options.size += option.size();
        }
        (options.size > 0).then_some(options)
    }
}

fn value(place: Place, words: &OptionWords) -> u128 {
    let at = usize::from(place.word) - word::TUN_METADATA;
    match place.width {
        ..=64 => u128::from(words[at] >> place.shift) & place.ones(),
        _ => (u128::from(words[at]) << 64 | u128::from(words[at + 1])) & place.ones(),
    }
}

/// The place of `tun_metadata<index>` in matches.
pub fn virtual_place(index: u16) -> Place {
    Place::new(word::VIRTUAL + 2 * usize::from(index), 0, 128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(sizes: &[u8]) -> TlvMap {
        let mut map = TlvMap::default();
        for (index, size) in sizes.iter().enumerate() {
            let mapping = TlvMapping {
                class: 0xffff,
                kind: index as u8 * 3,
                size: *size,
                index: index as u16,
            };
            assert!(map.add(mapping));
        }
        map
    }

    #[test]
    fn space_is_shared_out() {
        let mut full = map(&[4; 30]);
        let more = |index, size| TlvMapping {
            class: 1,
            kind: 1,
            size,
            index,
        };
        assert!(!full.add(more(40, 4)));
        assert!(full.remove(3) && !full.add(more(40, 8)) && full.add(more(40, 4)));
        assert!(full.remove(0) && full.remove(1) && full.add(more(41, 8)));
        let mut wide = map(&[16, 12, 4, 16, 16, 16, 16]);
        assert!(wide.add(more(40, 16)) && !wide.add(more(41, 8)) && wide.add(more(41, 4)));
    }

    proptest! {
        #[test]
        fn what_is_sent_is_received(
            sizes in prop::collection::vec(prop::sample::select(vec![4u8, 8, 12, 16]), 1..7),
            values in prop::collection::vec(prop::option::of(any::<u128>()), 7),
        ) {
            let map = map(&sizes);
            let mut words = OptionWords::default();
            let mut sent = Vec::new();
            for (index, (size, value)) in sizes.iter().zip(values).enumerate() {
                let Some(value) = value else { continue };
                let value = value >> (128 - u32::from(*size) * 8);
                let place = virtual_place(index as u16);
                let real = map.place(place).expect("mapped");
                real.spread(value, |at, bits| words[at - word::TUN_METADATA] |= bits);
                words[VALUE_WORDS] |= 1 << index;
                sent.push((place, value));
            }
            prop_assert_eq!(map.values(&words).collect::<Vec<_>>(), sent.clone());
            let options = map.options(&words);
            prop_assert_eq!(options.is_some(), !sent.is_empty());
            if let Some(options) = options {
                prop_assert_eq!(map.read(options.bytes()), Ok(Some(words)));
                prop_assert_eq!(TlvMap::default().read(options.bytes()).is_ok(), sizes.len() < 44);
            }
        }
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = map(&[4, 8, 12, 16]).read(&bytes);
        }
    }
}
