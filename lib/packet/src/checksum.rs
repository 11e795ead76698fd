//! The Internet checksum (RFC 1071): sums, pseudo-headers, incremental updates (RFC 1624), completion.
//! Checksums are `u16` in host order, as a header's `checksum.get()` gives them.

use core::net::{Ipv4Addr, Ipv6Addr};

/// A running one's complement sum. Only the last slice that is added may have an odd size.
// The sum is kept in native byte order and swapped once at the end (RFC 1071 section 2(B)).
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// Nothing added yet.
    pub const fn new() -> Sum {
        Sum(0)
    }

    /// Adds bytes; a missing last byte counts as zero.
    #[inline]
    pub fn bytes(mut self, bytes: &[u8]) -> Sum {
        // 32-bit words in a 64-bit sum cannot overflow below 16 GiB, and the loop vectorises.
        let (words, rest) = bytes.as_chunks::<4>();
        self.0 += words
            .iter()
            .map(|w| u64::from(u32::from_ne_bytes(*w)))
            .sum::<u64>();
        let mut tail = [0; 4];
        tail[..rest.len()].copy_from_slice(rest);
        self.0 += u64::from(u32::from_ne_bytes(tail));
        self
    }

    /// Adds a 16-bit value given in host order.
    #[inline]
    pub const fn u16(self, value: u16) -> Sum {
        Sum(self.0 + value.to_be() as u64)
    }

    /// Adds a 32-bit value given in host order.
    #[inline]
    pub const fn u32(self, value: u32) -> Sum {
        Sum(self.0 + value.to_be() as u64)
    }

    /// The folded sum, not complemented: what a partial checksum field holds.
    #[inline]
    pub const fn fold(self) -> u16 {
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        u16::from_be(sum as u16)
    }

    /// The checksum: the complement of the folded sum.
    #[inline]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }

    /// As [`Sum::finish`], for UDP and friends where zero means "none" (RFC 768).
    #[inline]
    pub const fn finish_nonzero(self) -> u16 {
        nonzero(self.finish())
    }
}

/// Zero becomes 0xffff, which is the same number in one's complement.
#[inline]
pub const fn nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// The checksum of `bytes`.
#[inline]
pub fn of(bytes: &[u8]) -> u16 {
    Sum::new().bytes(bytes).finish()
}

/// The pseudo-header of a transport over IPv4; `size` is that of the transport header and payload.
#[inline]
pub fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, size: u16) -> Sum {
    Sum::new()
        .bytes(&src.octets())
        .bytes(&dst.octets())
        .u16(protocol.into())
        .u16(size)
}

/// The pseudo-header of a transport over IPv6 (RFC 8200 section 8.1).
#[inline]
pub fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, size: u32) -> Sum {
    Sum::new()
        .bytes(&src.octets())
        .bytes(&dst.octets())
        .u32(protocol.into())
        .u32(size)
}

/// The checksum after a 16-bit word changed from `old` to `new`.
// RFC 1624 section 3: "HC' = ~(~HC + ~m + m')"
#[inline]
pub const fn update16(checksum: u16, old: u16, new: u16) -> u16 {
    Sum::new().u16(!checksum).u16(!old).u16(new).finish()
}

/// The checksum after a 32-bit word changed.
#[inline]
pub const fn update32(checksum: u16, old: u32, new: u32) -> u16 {
    Sum::new().u16(!checksum).u32(!old).u32(new).finish()
}

/// The checksum after a 128-bit word (an IPv6 address) changed.
#[inline]
pub fn update128(checksum: u16, old: [u8; 16], new: [u8; 16]) -> u16 {
    update_bytes(checksum, &old, &new)
}

/// The checksum after `old` was replaced by `new`, which start at an even offset.
#[inline]
pub fn update_bytes(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let removed = Sum::new().bytes(old).fold();
    Sum::new().u16(!checksum).u16(!removed).bytes(new).finish()
}

/// The partial checksum (a folded pseudo-header sum, not complemented) after `old` was replaced by `new`.
#[inline]
pub fn update_partial(partial: u16, old: &[u8], new: &[u8]) -> u16 {
    !update_bytes(!partial, old, new)
}

/// Finishes a partial checksum: the 16-bit field at `start + offset` holds the pseudo-header's sum and gets
/// the checksum of `frame[start..]`. `None` (and nothing changed) when the field is not inside the frame.
#[inline]
pub fn complete(frame: &mut [u8], start: usize, offset: usize) -> Option<()> {
    let part = frame.get_mut(start..)?;
    part.get(offset..offset.checked_add(2)?)?;
    let checksum = Sum::new().bytes(part).finish_nonzero();
    part[offset..offset + 2].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;
    use proptest::{collection::vec, prelude::*};

    /// RFC 1071 section 4.1, word by word: the oracle.
    fn slow(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn rfc_1071_example() {
        assert_eq!(of(&hex("0001 f203 f4f5 f6f7")), !0xddf2);
    }

    #[test]
    fn complete_checks_the_bounds() {
        let mut frame = [0; 4];
        assert_eq!(complete(&mut frame, 5, 0), None);
        assert_eq!(complete(&mut frame, 2, 1), None);
        assert_eq!(complete(&mut frame, 2, usize::MAX), None);
        assert_eq!(complete(&mut frame, 2, 0), Some(()));
    }

    proptest! {
        #[test]
        fn fast_is_slow(bytes in vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(of(&bytes), slow(&bytes));
        }

        #[test]
        fn update_is_recompute(mut bytes in vec(any::<u8>(), 40..80), new: [u8; 16], at in 0usize..12) {
            let at = at * 2;
            let before = of(&bytes);
            let old: [u8; 16] = bytes[at..at + 16].try_into().unwrap();
            bytes[at..at + 16].copy_from_slice(&new);
            // 0 and 0xffff are one number; an update may pick the other one only for all-zero data.
            prop_assume!(bytes.iter().any(|b| *b != 0) && before != 0xffff);
            prop_assert_eq!(update128(before, old, new), of(&bytes));
            prop_assert_eq!(update_partial(!before, &old, &new), !of(&bytes));
        }

        #[test]
        fn small_updates_agree(checksum: u16, old: u32, new: u32) {
            let whole = update32(checksum, old, new);
            let high = update16(checksum, (old >> 16) as u16, (new >> 16) as u16);
            prop_assert_eq!(nonzero(whole), nonzero(update16(high, old as u16, new as u16)));
            prop_assert_eq!(nonzero(whole), nonzero(update_bytes(checksum, &old.to_be_bytes(), &new.to_be_bytes())));
        }

        #[test]
        fn completed_sums_to_zero(mut bytes in vec(any::<u8>(), 8..80), src: [u8; 4], dst: [u8; 4]) {
            let pseudo = pseudo_v4(src.into(), dst.into(), 17, bytes.len() as u16);
            bytes[6..8].copy_from_slice(&pseudo.fold().to_be_bytes());
            complete(&mut bytes, 0, 6).unwrap();
            prop_assert_eq!(pseudo.bytes(&bytes).finish(), 0);
        }
    }
}
