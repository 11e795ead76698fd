//! The gpw pseudowire's parts: a frame that does not fit becomes two, of which the first has 1280 bytes,
//! and the receiver puts two with the same id together. Headers in front are the tunnel's business.

use super::bytes;
use crate::edge::{Frame, Pool};
use crate::time::Time;
use packet::gpw::{FIRST_SIZE, Part};

macro_rules! outcomes {
    ($($variant:ident $name:literal $text:literal;)*) => {
        /// What happened to a frame or its part, or to a part that waited.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum Outcome { $($variant),* }

        /// Outcome, counter name, explanation; in the order of the enum.
        pub const OUTCOMES: &[(Outcome, &str, &str)] = &[$((Outcome::$variant, $name, $text)),*];
    };
}

outcomes! {
    Whole      "whole"       "a frame that is not split";
    Split      "split"       "a frame was split into two parts";
    Held       "held"        "a part is kept until the other arrives";
    Completed  "completed"   "two parts became a frame";
    Replaced   "replaced"    "a part waited, and one of another frame took its place";
    NoFirst    "no_first"    "a second part without a first one";
    IdMismatch "id_mismatch" "a second part of another frame than the first one; both are dropped";
    TimedOut   "timed_out"   "a part waited too long";
    TooBig     "too_big"     "a frame that does not fit into two parts";
    Unfinished "unfinished"  "a checksum or segmentation is still to be done";
    NoMemory   "no_memory"   "no buffer for the other part, or for the frame";
}

impl Outcome {
    /// Number of outcomes.
    pub const LEN: usize = OUTCOMES.len();
    /// Counter name.
    pub const fn name(self) -> &'static str {
        OUTCOMES[self as usize].1
    }
    /// Explanation.
    pub const fn text(self) -> &'static str {
        OUTCOMES[self as usize].2
    }
}

/// Splits the inner frame if it is larger than `whole_max` bytes ([`packet::gpw::ETHERNET_WHOLE_MAX`] or the like), and
/// appends each part to `out` with its control word. Only the second part is copied; `next_id` is called if the frame is
/// split. A frame that cannot be split is given back unchanged.
pub fn split<P: Pool>(
    pool: &mut P,
    mut frame: P::Frame,
    whole_max: usize,
    next_id: impl FnOnce() -> u16,
    out: &mut Vec<(Part, P::Frame)>,
) -> Result<Outcome, (Outcome, P::Frame)> {
    let size = frame.size();
    if size <= whole_max {
        out.push((Part::Whole, frame));
        return Ok(Outcome::Whole);
    }
    if !frame.offload().is_finished() {
        return Err((Outcome::Unfinished, frame));
    }
    if size > FIRST_SIZE + whole_max || size <= FIRST_SIZE {
        return Err((Outcome::TooBig, frame));
    }
    let Some(mut second) = pool.alloc(size - FIRST_SIZE) else {
        return Err((Outcome::NoMemory, frame));
    };
    bytes::copy(pool, &frame, FIRST_SIZE..size, &mut second, 0);
    frame.trim(FIRST_SIZE);
    let id = next_id();
    out.push((Part::First(id), frame));
    out.push((Part::Second(id), second));
    Ok(Outcome::Split)
}

/// Which orders of arrival are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The second part comes right after the first, as the original program has it: one part waits.
    #[default]
    InOrder,
    /// Either part first, and others between them: [`WAITING_MAX`] parts wait, each in the place that its id says.
    Tolerant,
}

/// Parts that wait in the tolerant mode at most. Ids count up, so the part that takes the place of another one is
/// that of a frame so many split frames later: what was still missing then is lost.
pub const WAITING_MAX: usize = 64;

/// How long a part waits: longer than any reordering. Ids are used again after 16384 split frames, so one that waited
/// longer might meet a stranger.
pub const TIMEOUT: Time = Time::secs(1);

struct Waiting<F> {
    part: Part,
    frame: F,
    deadline: Time,
}

/// Puts the parts from one peer together.
pub struct Reassembler<F> {
    slots: Box<[Option<Waiting<F>>]>,
    counts: [u64; Outcome::LEN],
    pair: Vec<F>,
    trash: Vec<F>,
}

impl<F: Frame> Reassembler<F> {
    /// An empty one.
    pub fn new(mode: Mode) -> Reassembler<F> {
        let len = match mode {
            Mode::InOrder => 1,
            Mode::Tolerant => WAITING_MAX,
        };
        Reassembler {
            slots: (0..len).map(|_| None).collect(),
            counts: [0; Outcome::LEN],
            pair: Vec::with_capacity(2),
            trash: Vec::with_capacity(WAITING_MAX),
        }
    }

    /// How often an outcome was.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }
    /// The same of all outcomes, since the last call.
    pub fn take_counts(&mut self) -> [u64; Outcome::LEN] {
        std::mem::replace(&mut self.counts, [0; Outcome::LEN])
    }

    /// Takes the bytes behind a control word. Returns the inner frame, or what happened instead; the frame is then
    /// held, or freed.
    pub fn insert<P: Pool<Frame = F>>(
        &mut self,
        pool: &mut P,
        now: Time,
        part: Part,
        frame: F,
    ) -> Result<F, Outcome> {
        let result = match part {
            Part::Whole => Ok(frame),
            Part::First(id) | Part::Second(id) => self.take(pool, now, part, id, frame),
        };
        self.count_one(match (&result, part) {
            (Ok(_), Part::Whole) => Outcome::Whole,
            (Ok(_), _) => Outcome::Completed,
            (Err(outcome), _) => *outcome,
        });
        self.empty_trash(pool);
        result
    }

    /// Lets go of parts that waited too long; returns how many there were.
    pub fn expire<P: Pool<Frame = F>>(&mut self, pool: &mut P, now: Time) -> usize {
        for slot in &mut self.slots {
            if let Some(late) = slot.take_if(|waiting| waiting.deadline <= now) {
                self.trash.push(late.frame);
            }
        }
        let len = self.trash.len();
        self.counts[Outcome::TimedOut as usize] += len as u64;
        self.empty_trash(pool);
        len
    }

    /// Lets go of everything. Returns the number of frames.
    pub fn clear<P: Pool<Frame = F>>(&mut self, pool: &mut P) -> u64 {
        let waiting = self.slots.iter_mut().filter_map(Option::take);
        self.trash.extend(waiting.map(|waiting| waiting.frame));
        let len = self.trash.len() as u64;
        self.empty_trash(pool);
        len
    }

    fn count_one(&mut self, outcome: Outcome) {
        self.counts[outcome as usize] += 1;
    }

    fn empty_trash<P: Pool<Frame = F>>(&mut self, pool: &mut P) {
        if !self.trash.is_empty() {
            pool.free(&mut self.trash);
        }
    }

    fn take<P: Pool<Frame = F>>(
        &mut self,
        pool: &mut P,
        now: Time,
        part: Part,
        id: u16,
        frame: F,
    ) -> Result<F, Outcome> {
        let is_in_order = self.slots.len() == 1;
        let at = usize::from(id) % self.slots.len();
        if let Some(late) = self.slots[at].take_if(|waiting| waiting.deadline <= now) {
            self.trash.push(late.frame);
            self.count_one(Outcome::TimedOut);
        }
        match (self.slots[at].take(), part) {
            (Some(other), _) if is_other_half(other.part, part, is_in_order) => {
                let swapped = matches!(part, Part::First(_));
                self.pair.extend([other.frame, frame]);
                if swapped {
                    self.pair.swap(0, 1);
                }
                let whole = pool.join(&mut self.pair).ok_or(Outcome::NoMemory);
                self.trash.append(&mut self.pair);
                whole
            }
            (waiting, Part::Second(_)) if is_in_order => {
                let outcome = match waiting {
                    Some(_) => Outcome::IdMismatch,
                    None => Outcome::NoFirst,
                };
                self.trash.extend(waiting.map(|waiting| waiting.frame));
                self.trash.push(frame);
                Err(outcome)
            }
            (waiting, _) => {
                if let Some(waiting) = waiting {
                    self.trash.push(waiting.frame);
                    self.count_one(Outcome::Replaced);
                }
                let deadline = now + TIMEOUT;
                self.slots[at] = Some(Waiting {
                    part,
                    frame,
                    deadline,
                });
                Err(Outcome::Held)
            }
        }
    }
}

/// Whether two parts are of one frame, in an order that is accepted.
fn is_other_half(earlier: Part, later: Part, is_in_order: bool) -> bool {
    match (earlier, later) {
        (Part::First(a), Part::Second(b)) => a == b,
        (Part::Second(a), Part::First(b)) => a == b && !is_in_order,
        _ => false,
    }
}
