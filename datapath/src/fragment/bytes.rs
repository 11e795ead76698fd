//! Byte ranges of frames that may be segmented: copied, and compared.

use crate::edge::{Frame, Pool};
use std::ops::Range;

/// Copies the bytes `range` of `from` into `to`, from its byte `at` on.
pub(super) fn copy<P: Pool>(
    pool: &mut P,
    from: &P::Frame,
    range: Range<usize>,
    to: &mut P::Frame,
    at: usize,
) {
    if let Some(whole) = to.head_mut().get_mut(at..at + range.len()) {
        each(from, range, &mut |offset, bytes| {
            whole[offset..offset + bytes.len()].copy_from_slice(bytes);
        });
        return;
    }
    each(from, range, &mut |offset, bytes| {
        pool.write(to, at + offset, bytes)
    });
}

/// Whether `size` bytes of `a` from `a_start` on are those of `b` from `b_start` on.
pub(super) fn equal<F: Frame>(a: &F, a_start: usize, b: &F, b_start: usize, size: usize) -> bool {
    let (mut is_equal, mut compared) = (true, 0);
    each(a, a_start..a_start + size, &mut |offset, left| {
        let range = b_start + offset..b_start + offset + left.len();
        each(b, range, &mut |offset, right| {
            is_equal &= left[offset..offset + right.len()] == *right;
            compared += right.len();
        });
    });
    is_equal && compared == size
}

/// Calls `f` with the segments' parts of `range`, and where they are in it.
fn each<F: Frame>(frame: &F, range: Range<usize>, f: &mut dyn FnMut(usize, &[u8])) {
    let mut at = 0;
    frame.for_each_segment(&mut |segment| {
        let (from, to) = (range.start.max(at), range.end.min(at + segment.len()));
        if from < to {
            f(from - range.start, &segment[from - at..to - at]);
        }
        at += segment.len();
    });
}
