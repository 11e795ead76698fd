//! Reading and writing bytes: a bounded reader, one cursor for every list of TLVs, and the writer's
//! helpers that patch lengths. Nothing here knows a message.

use crate::error::OfError;
use bytes::{BufMut, BytesMut};
use packet::MacAddr;

/// Reads big-endian numbers; running out of bytes is the error that the owner chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    short: OfError,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`; `short` is the error of a body that ends too early.
    pub(crate) fn new(bytes: &'a [u8], short: OfError) -> Reader<'a> {
        Reader { rest: bytes, short }
    }
    pub(crate) fn bytes(&mut self, size: usize) -> Result<&'a [u8], OfError> {
        let (head, tail) = self.rest.split_at_checked(size).ok_or(self.short)?;
        self.rest = tail;
        Ok(head)
    }
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], OfError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(self.short)?;
        self.rest = tail;
        Ok(*head)
    }
    pub(crate) fn u8(&mut self) -> Result<u8, OfError> {
        Ok(self.array::<1>()?[0])
    }
    pub(crate) fn u16(&mut self) -> Result<u16, OfError> {
        self.array().map(u16::from_be_bytes)
    }
    pub(crate) fn u32(&mut self) -> Result<u32, OfError> {
        self.array().map(u32::from_be_bytes)
    }
    pub(crate) fn u64(&mut self) -> Result<u64, OfError> {
        self.array().map(u64::from_be_bytes)
    }
    pub(crate) fn mac(&mut self) -> Result<MacAddr, OfError> {
        self.array().map(MacAddr)
    }
    /// A big-endian number of up to 16 bytes.
    pub(crate) fn uint(&mut self, size: usize) -> Result<u128, OfError> {
        Ok(self
            .bytes(size)?
            .iter()
            .fold(0, |n, b| n << 8 | u128::from(*b)))
    }
    /// Text in a fixed field, up to the first NUL.
    pub(crate) fn text(&mut self, size: usize) -> Result<String, OfError> {
        let field = self.bytes(size)?;
        let end = field.iter().position(|b| *b == 0).unwrap_or(size);
        Ok(String::from_utf8_lossy(&field[..end]).into_owned())
    }
    pub(crate) fn skip(&mut self, size: usize) -> Result<(), OfError> {
        self.bytes(size).map(|_| ())
    }
    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    pub(crate) fn size(&self) -> usize {
        self.rest.len()
    }
    /// Says that nothing may be left.
    pub(crate) fn end(&self) -> Result<(), OfError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.short)
        }
    }
    /// The rest has to be zero padding.
    pub(crate) fn zeros(&mut self, otherwise: OfError) -> Result<(), OfError> {
        if self.rest().iter().all(|b| *b == 0) {
            Ok(())
        } else {
            Err(otherwise)
        }
    }
}

/// How the elements of a list are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `type` 16, `length` 16 with header and padding, a multiple of 8: actions, instructions.
    Aligned,
    /// `type` 16, `length` 16 with the header; padding to 8 follows uncounted: properties.
    Padded,
    /// `length` 16 first, with everything: entries of a multipart reply.
    Record,
}

/// One element of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    /// Its type; 0 for records.
    pub(crate) kind: u16,
    /// What follows the type and length.
    pub(crate) body: &'a [u8],
}

/// The one cursor over lists of TLVs. Yields an error once, then ends.
pub(crate) struct Tlv<'a> {
    rest: &'a [u8],
    layout: Layout,
    short: OfError,
}

impl<'a> Tlv<'a> {
    pub(crate) fn new(bytes: &'a [u8], layout: Layout, short: OfError) -> Tlv<'a> {
        Tlv {
            rest: bytes,
            layout,
            short,
        }
    }

    fn take(&mut self) -> Option<Element<'a>> {
        let field = |at: usize| {
            self.rest
                .get(at..at + 2)
                .map(|b| u16::from_be_bytes([b[0], b[1]]))
        };
        let (kind, size, header) = match self.layout {
            Layout::Record => (0, field(0)?, 2),
            _ => (field(0)?, field(2)?, 4),
        };
        let size = usize::from(size);
        let aligned = size.is_multiple_of(8) || self.layout != Layout::Aligned;
        if size < header.max(4) || !aligned {
            return None;
        }
        let body = self.rest.get(header..size)?;
        let step = if self.layout == Layout::Padded {
            size.next_multiple_of(8)
        } else {
            size
        };
        // The last property's padding may be missing.
        self.rest = self.rest.get(step..).unwrap_or_default();
        Some(Element { kind, body })
    }
}

impl<'a> Iterator for Tlv<'a> {
    type Item = Result<Element<'a>, OfError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = self.take().ok_or(self.short);
        if element.is_err() {
            self.rest = &[];
        }
        Some(element)
    }
}

/// Appends zeros until the bytes since `start` are a multiple of 8.
pub(crate) fn pad8(out: &mut BytesMut, start: usize) {
    let size = out.len() - start;
    out.put_bytes(0, size.next_multiple_of(8) - size);
}

/// Overwrites 16 bits at `at` with a size; sizes that do not fit are cut (callers split before that).
pub(crate) fn patch_u16(out: &mut BytesMut, at: usize, size: usize) {
    let size = u16::try_from(size).unwrap_or(u16::MAX);
    out[at..at + 2].copy_from_slice(&size.to_be_bytes());
}

/// Writes one element, its length patched after `body` has written the rest.
pub(crate) fn put_tlv(
    out: &mut BytesMut,
    layout: Layout,
    kind: u16,
    body: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    match layout {
        Layout::Record => out.put_u16(0),
        _ => out.put_u32(u32::from(kind) << 16),
    }
    body(out);
    if layout != Layout::Padded {
        pad8(out, start);
    }
    let at = if layout == Layout::Record {
        start
    } else {
        start + 2
    };
    let size = out.len() - start;
    patch_u16(out, at, size);
    pad8(out, start);
}

/// Writes a property that holds one number, in the way of the Nicira extensions: its length counts
/// the padding that brings a number below 32 bits to 32, and 64 bits start at a multiple of 8.
pub(crate) fn put_property(out: &mut BytesMut, kind: u16, number: &[u8]) {
    put_tlv(out, Layout::Padded, kind, |out| {
        if number.len() == 8 {
            out.put_u32(0);
        }
        out.put_slice(number);
        out.put_bytes(0, number.len().next_multiple_of(4) - number.len());
    });
}

/// Writes text into a fixed field, cut at a character, with at least one NUL behind it.
pub(crate) fn put_text(out: &mut BytesMut, text: &str, size: usize) {
    let mut end = text.len().min(size - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.put_slice(&text.as_bytes()[..end]);
    out.put_bytes(0, size - end);
}

/// Writes the low `size` bytes of a number.
pub(crate) fn put_uint(out: &mut BytesMut, value: u128, size: usize) {
    out.put_slice(&value.to_be_bytes()[16 - size..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_back() {
        for layout in [Layout::Aligned, Layout::Padded] {
            let mut out = BytesMut::new();
            put_tlv(&mut out, layout, 7, |o| o.put_slice(b"abc"));
            put_tlv(&mut out, layout, 8, |o| o.put_slice(b"abcd"));
            let list: Result<Vec<_>, _> = Tlv::new(&out, layout, OfError::BadLength).collect();
            let list = list.unwrap();
            assert_eq!((list[0].kind, list[1].kind), (7, 8));
            assert!(list[0].body.starts_with(b"abc") && list[1].body == b"abcd");
        }
    }

    #[test]
    fn bad_lengths_are_errors_once() {
        for bytes in [
            &[0, 0, 0, 3][..],
            &[0, 0, 0, 12, 0, 0, 0, 0],
            &[0, 0, 0],
            &[0, 0, 0, 0],
        ] {
            let mut list = Tlv::new(bytes, Layout::Aligned, OfError::ActionLength);
            assert_eq!(list.next().unwrap().unwrap_err(), OfError::ActionLength);
            assert!(list.next().is_none());
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        let mut out = BytesMut::new();
        put_text(&mut out, "abcé", 5);
        assert_eq!(&out[..], b"abc\0\0");
    }
}
