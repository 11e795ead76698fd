//! The one way to look at bytes as a header: a bounds check, then plain field access.
//! Every header struct of this crate has it; callers never index bytes by hand.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A fixed-size header. All methods return `None` when `bytes` is too short for it.
pub trait Wire: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Sized {
    /// Bytes of the fixed part.
    const SIZE: usize = size_of::<Self>();

    /// The header at the start of `bytes`, and what follows it.
    #[inline(always)]
    fn parse(bytes: &[u8]) -> Option<(&Self, &[u8])> {
        Self::ref_from_prefix(bytes).ok()
    }

    /// As [`Wire::parse`], for changing it in place.
    #[inline(always)]
    fn parse_mut(bytes: &mut [u8]) -> Option<(&mut Self, &mut [u8])> {
        Self::mut_from_prefix(bytes).ok()
    }

    /// The header that starts `offset` bytes into `bytes`.
    #[inline(always)]
    fn at(bytes: &[u8], offset: usize) -> Option<&Self> {
        Some(Self::parse(bytes.get(offset..)?)?.0)
    }

    /// As [`Wire::at`], for changing it in place.
    #[inline(always)]
    fn at_mut(bytes: &mut [u8], offset: usize) -> Option<&mut Self> {
        Some(Self::parse_mut(bytes.get_mut(offset..)?)?.0)
    }

    /// Writes the header to the start of `bytes`; returns what follows it.
    #[inline(always)]
    fn emit<'b>(&self, bytes: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let (head, rest) = bytes.split_at_mut_checked(Self::SIZE)?;
        head.copy_from_slice(self.as_bytes());
        Some(rest)
    }
}

impl<T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned> Wire for T {}
