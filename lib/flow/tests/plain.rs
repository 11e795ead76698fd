//! `extract::plain` says what `extract` says, or nothing: for every frame that differs from a plain one in one byte, cut to every
//! length, and for noise.

use flow::extract::{Depth, PLAIN_LAYOUT, Plan, extract, lay_plain, plain};
use ofp::key::{Key, WordSet};
use packet::ipproto;
use proptest::{collection::vec, prelude::*};

/// An IPv4 packet of this protocol in 62 bytes.
fn frame(protocol: u8) -> Vec<u8> {
    let mut frame = vec![0; 62];
    frame[..12].copy_from_slice(&[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1]);
    frame[12..24].copy_from_slice(&[8, 0, 0x45, 0xb8, 0, 48, 0, 0, 0x40, 0, 64, protocol]);
    frame[26..38].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2, 4, 210, 0, 53]);
    frame[38..40].copy_from_slice(&28u16.to_be_bytes());
    // Where TCP has it, a header of five words.
    frame[46] = 0x50;
    frame
}

/// Whether it is said to be plain; then all else agrees.
fn agrees(head: &[u8], size: usize, with_l4: bool) -> Result<bool, String> {
    let Some(words) = plain(head, size, with_l4) else {
        return Ok(false);
    };
    let mut key = Key::default();
    let depth = if with_l4 { Depth::L4 } else { Depth::L3 };
    let layout = extract(head, size, &Plan::new(WordSet::EMPTY, depth), &mut key);
    let mut wanted = Key::default();
    lay_plain(&words, &mut wanted);
    match (layout, &key) == (PLAIN_LAYOUT, &wanted) {
        true => Ok(true),
        false => Err(format!(
            "{head:02x?}, {size} bytes, with_l4 {with_l4}: {key:?}, not {wanted:?}; {layout:?}"
        )),
    }
}

#[test]
fn near_plain_frames_agree() {
    for protocol in [ipproto::UDP, ipproto::TCP, ipproto::ICMP, ipproto::SCTP] {
        let whole = frame(protocol);
        let mut plain_ones = 0;
        for with_l4 in [false, true] {
            for at in 0..whole.len() {
                for value in 0..=255 {
                    let mut changed = whole.clone();
                    changed[at] = value;
                    plain_ones +=
                        usize::from(agrees(&changed, changed.len(), with_l4).expect("agrees"));
                }
            }
            for len in 0..whole.len() {
                // Cut short, or the rest is in another segment.
                for size in [len, whole.len(), 1500] {
                    agrees(&whole[..len], size, with_l4).expect("agrees");
                }
            }
        }
        // It is not only to be true, but for usual packets, too.
        let is_usual = [ipproto::UDP, ipproto::TCP].contains(&protocol);
        assert!(plain_ones > 10_000 || !is_usual, "{protocol}: {plain_ones}");
    }
}

proptest! {
    #[test]
    fn noise_agrees(
        noise in vec(any::<u8>(), 0..100), like in 0..62usize, protocol in prop::sample::select(vec![6u8, 17, 1, 58]),
        more in 0..3usize, changes in vec((0..62usize, any::<u8>()), 0..4), with_l4 in any::<bool>(),
    ) {
        // As far as `like`, it is a plain one.
        let mut frame = frame(protocol);
        for (place, byte) in frame.iter_mut().zip(&noise).skip(like) {
            *place = *byte;
        }
        for (at, value) in changes {
            frame[at] = value;
        }
        for len in [frame.len(), noise.len().min(frame.len())] {
            agrees(&frame[..len], len + more, with_l4).map_err(TestCaseError::fail)?;
        }
        agrees(&noise, noise.len() + more, with_l4).map_err(TestCaseError::fail)?;
    }
}
