//! What can happen to a fragment, or to a datagram that waits for the rest: one row each, counted.

macro_rules! outcomes {
    ($($variant:ident $name:literal $text:literal;)*) => {
        /// What happened to a fragment, or to an incomplete datagram.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum Outcome { $($variant),* }

        /// Outcome, counter name, explanation; in the order of the enum.
        pub const OUTCOMES: &[(Outcome, &str, &str)] = &[$((Outcome::$variant, $name, $text)),*];
    };
}

outcomes! {
    Held         "held"           "kept until the others arrive";
    Completed    "completed"      "the last missing fragment: the packet goes on whole";
    Atomic       "atomic"         "the whole packet in one fragment (RFC 6946)";
    Duplicate    "duplicate"      "the same bytes as a fragment that is here already; dropped";
    Malformed    "malformed"      "an IP header that contradicts itself, or has a wrong checksum";
    Headers      "headers"        "the headers before the payload are too large";
    Empty        "empty"          "a fragment without payload";
    Misaligned   "misaligned"     "not the last fragment, and not a multiple of 8 bytes";
    Oversize     "oversize"       "the packet would be larger than 65535 bytes";
    HeaderChain  "header_chain"   "the first fragment does not have all headers (RFC 7112)";
    Unfinished   "unfinished"     "a checksum or segmentation of the fragment is still to be done";
    Overlap      "overlap"        "fragments overlap, or disagree on the end: the datagram is refused (RFC 5722)";
    TooMany      "too_many"       "more than 64 fragments: the datagram is refused";
    Refused      "refused"        "a fragment of a datagram that is refused";
    Ecn          "ecn"            "congestion was marked on a part, and another part cannot say so (RFC 3168)";
    TimedOut     "timed_out"      "the others did not arrive in time";
    SourceShare  "source_share"   "the datagram's source holds more than its share";
    Evicted      "evicted"        "the tables are full, and the datagram's source held most of them";
    NoMemory     "no_memory"      "no buffer to put the packet together in";
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

/// How often each happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts([u64; Outcome::LEN]);

impl Default for Counts {
    fn default() -> Counts {
        Counts([0; Outcome::LEN])
    }
}

impl Counts {
    /// It happened once more.
    #[inline]
    pub fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }
    /// What came after `before`, here and in `others`.
    pub fn since(&self, others: &Counts, before: &Counts) -> Counts {
        let sum = |at: usize| self.0[at] + others.0[at] - before.0[at];
        Counts(std::array::from_fn(sum))
    }
    /// Puts these to it.
    pub fn add_all(&mut self, others: &Counts) {
        let both = self.0.iter_mut().zip(others.0);
        both.for_each(|(count, other)| *count += other);
    }
    /// How often it happened.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }
}
