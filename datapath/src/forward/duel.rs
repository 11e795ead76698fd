//! Whether what a cache did not find is worth the place of something that it has.
//!
//! What: two ways to replace entries compete: always, which pays while the flows that come fit or come and go; and seldom, which
//! pays when there are more flows than entries: some of them stay, and the others cost no entry. Of the sets, a few always
//! do it the one way, a few the other way; the rest does as those do that miss less.
//! Why: no share of hits says by itself which one is better. 30 % may be all that can be had, or far too little.

/// One set of so many leads each way. With fewer sets none does, and all always replace: those that lead would be too many.
const LEADS: usize = 32;
/// One of so many, where seldom.
const SELDOM: u32 = 32;
/// Where the score ends: it turns after 2,000 misses at the earliest, later the less the two ways differ; by chance it hardly ever does.
const END: i32 = 512;
/// What a miss costs with a replacement, and without: if both miss as often, fewer replacements are better.
const ALWAYS_COST: i32 = 9;
const SELDOM_COST: i32 = 8;

/// See the file's description.
#[derive(Debug, Default)]
pub struct Duel {
    /// Above 0: seldom is better.
    score: i32,
    /// Misses where seldom.
    turn: u32,
}

impl Duel {
    /// Whether what was missed in this set of so many, which is full, takes the place of something there.
    pub fn replaces(&mut self, set: usize, sets: usize) -> bool {
        if sets < LEADS {
            return true;
        }
        let seldom = match set % LEADS {
            0 => {
                self.score = (self.score + ALWAYS_COST).min(END);
                false
            }
            1 => {
                self.score = (self.score - SELDOM_COST).max(-END);
                true
            }
            _ => self.score > 0,
        };
        if seldom {
            self.turn = self.turn.wrapping_add(1);
        }
        !seldom || self.turn.is_multiple_of(SELDOM)
    }
}
