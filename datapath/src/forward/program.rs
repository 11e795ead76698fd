//! What a walk through the pipeline comes down to for one kind of packet: concrete steps, and who is
//! credited. Made by `pipeline`, kept by `cache`, run by `execute`. The only lowered form of actions.

use super::continuation::Continuation;
use super::learn::Effect;
use super::patch::Patch;
use super::reshape::Reshape;
use super::select::Select;
use crate::fragment::DontFragment;
use crate::model::id::PortId;
use crate::model::id::RuleId;
use crate::model::meter::MeterView;
use crate::model::{DropReason, TableView, event::Punt};
use flow::extract::Layout;
use ofp::key::{Key, Match, MatchWord, Place, word};
use ofp::types::{GroupId, PortNo, TableId};
use packet::bpdu;
use std::ops::Range;
use std::sync::Arc;

/// The lowered form of everything that happens to a packet in one bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// In order. A list that sends ends with a step that sends: that one moves the frame.
    pub steps: Vec<Step>,
    /// The tables looked up, in order.
    pub visits: Vec<Visit>,
    /// What it depends on without a lookup: tables, groups.
    pub watched: Vec<Visit>,
    /// Tables of hashes that these lookups looked into.
    pub probes: u32,
    /// Why the packet is dropped, if no step sends it.
    pub drop: DropReason,
    /// The BPDU that `bpdu(count)` counts.
    pub bpdu: bpdu::Kind,
    /// Bytes in front of its packets that are none of theirs.
    pub spare: u8,
    /// What its first steps come down to.
    pub patch: Patch,
    /// It is kept, has steps, and counts and drops as these say.
    pub is_simple: bool,
}

impl Default for Program {
    fn default() -> Program {
        Program {
            steps: Vec::new(),
            visits: Vec::new(),
            watched: Vec::new(),
            probes: 0,
            drop: DropReason::Action,
            bpdu: bpdu::Kind::None,
            spare: 0,
            patch: Patch::default(),
            is_simple: false,
        }
    }
}

impl Program {
    /// Makes it ready to be kept: its first packet's headers are there.
    pub fn seal(&mut self, layout: &Layout) {
        self.patch.make(&self.steps, layout);
        self.is_simple = !self.steps.is_empty()
            && self.bpdu == bpdu::Kind::None
            && self.drop != DropReason::TtlExpired;
    }
    /// See [`Course`]; of frames with this layout.
    #[inline]
    pub fn course(&self, layout: &Layout) -> Option<Course<'_>> {
        let (meter, steps) = match self.steps.as_slice() {
            [Step::Meter { meter, then: None }, steps @ ..] => (Some(meter), steps),
            steps => (None, steps),
        };
        let (port, tunnel) = only_output(steps.get(self.patch.len()..)?)?;
        let has_patch = self.patch.len() > 0;
        let is_one = self.is_simple && (!has_patch || self.patch.is_for(layout));
        is_one.then_some(Course {
            meter,
            patch: has_patch.then_some(&self.patch),
            port,
            tunnel,
        })
    }
    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        let owned = self.steps.iter().map(|step| match step {
            Step::Punt { .. } => size_of::<Punt>(),
            Step::Effect(effect) => effect.memory(),
            Step::Fragment { then, .. } | Step::Reassemble { then } => then.memory(),
            Step::Select(select) => select.memory(),
            Step::Meter { then, .. } | Step::Normal { then, .. } => {
                then.as_ref().map_or(0, |then| then.memory())
            }
            Step::Reshape { how, then } => how.memory() + then.memory(),
            _ => 0,
        });
        let visits = self.visits.iter().map(Visit::memory);
        self.steps.capacity() * size_of::<Step>()
            + self.visits.capacity() * size_of::<Visit>()
            + self.watched.capacity() * size_of::<Visit>()
            + owned.sum::<usize>()
            + visits.sum::<usize>()
            + self.patch.memory()
    }
    /// Makes it empty; its memory is kept.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.visits.clear();
        self.probes = 0;
        self.watched.clear();
        self.drop = DropReason::Action;
        self.bpdu = bpdu::Kind::None;
        self.spare = 0;
        self.patch.clear();
        self.is_simple = false;
    }
}

/// What frames of a program go through that all leave in one way: perhaps a meter, perhaps a patch, and a port.
#[derive(Clone, Copy)]
pub struct Course<'p> {
    /// Before anything else.
    pub meter: Option<&'p Arc<MeterView>>,
    /// What is changed then.
    pub patch: Option<&'p Patch>,
    /// By which they leave.
    pub port: PortId,
    /// What is written, if that is a tunnel's.
    pub tunnel: &'p Overlay,
}

impl Course<'_> {
    /// Whether they leave as they are, with nobody asked.
    #[inline]
    pub fn is_bare(&self) -> bool {
        self.meter.is_none() && self.patch.is_none()
    }
}

/// One lookup, or one look at a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The table; `ALL`, whose counters nobody reads: it is a group's.
    pub table: TableId,
    /// The group.
    pub group: GroupId,
    /// The state of the table's rules, or of the group, that this is true for.
    pub generation: u64,
    /// The rule that matched; the group, or its bucket, that the packet goes through.
    pub rule: Option<RuleId>,
    /// Of a lookup: the key's words that were others than when the packet arrived. `None`: any change counts.
    pub looked_up: Option<Box<[(u8, u64)]>>,
}

impl Visit {
    /// A look at a table's rules as a whole.
    pub fn of_table(table: TableId, generation: u64) -> Visit {
        Visit {
            table,
            group: GroupId::ANY,
            generation,
            rule: None,
            looked_up: None,
        }
    }
    /// A lookup in a table, with this key of a packet that arrived with that one.
    pub fn of_lookup(
        view: (TableId, u64),
        rule: Option<RuleId>,
        key: &Key,
        arrived: &Key,
    ) -> Visit {
        let words = key.0.iter().zip(&arrived.0).enumerate();
        let others = words.filter(|(_, (now, before))| now != before);
        // Most are: all words are compared at once.
        let is_same = key.0 == arrived.0;
        let others = match is_same {
            true => Box::default(),
            false => others.map(|(at, (now, _))| (at as u8, *now)).collect(),
        };
        Visit {
            rule,
            looked_up: Some(others),
            ..Visit::of_table(view.0, view.1)
        }
    }
    /// Bytes of memory that it takes beside itself.
    pub fn memory(&self) -> usize {
        self.looked_up
            .as_ref()
            .map_or(0, |words| size_of_val(&**words))
    }
    /// Makes it true for a table as it is now, if what changed since is not about packets that arrive with this key.
    #[inline]
    pub fn renew(&mut self, table: &TableView, key: &Key) -> bool {
        let is_same = self.generation == table.generation;
        let is_true = is_same
            || self.looked_up.as_ref().is_some_and(|words| {
                let other = |index: u8| words.iter().find(|(at, _)| *at == index);
                let word =
                    |index: u8| other(index).map_or(key.0[usize::from(index)], |(_, word)| *word);
                !table.recent.is_about(self.generation, word)
            });
        self.generation = table.generation;
        is_true
    }
    /// A look at a group, credited to itself, a bucket or nobody.
    pub fn of_group(group: GroupId, generation: u64, rule: Option<RuleId>) -> Visit {
        Visit {
            table: TableId::ALL,
            group,
            generation,
            rule,
            looked_up: None,
        }
    }
}

/// One thing to do to a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Change bits of a header.
    Write(Write),
    /// Put a VLAN tag in front of the others.
    PushVlan {
        /// 0x8100 or 0x88a8.
        tpid: u16,
        /// Priority, DEI and id.
        tci: u16,
    },
    /// Remove the outer VLAN tag.
    PopVlan,
    /// Send through a port.
    Output {
        /// Which one.
        port: PortId,
        /// For a tunnel.
        tunnel: Overlay,
        /// Bytes of the frame at most.
        max_size: u32,
        /// The port's queue, from 1; 0: none is chosen. What it is like is the port's to know.
        queue: u32,
    },
    /// Send through every port that floods (or every port) but this one.
    Flood {
        /// Left out.
        in_port: PortNo,
        /// Also through those that do not flood.
        all: bool,
        /// As above.
        tunnel: Overlay,
    },
    /// The learning switch.
    Normal {
        /// Where the frame came in.
        in_port: PortNo,
        /// Reserved destinations too, as `bpdu(forward)` said.
        reserved: bool,
        /// As above.
        tunnel: Overlay,
        /// Each output goes on with this, in the egress tables.
        then: Option<Arc<Continuation>>,
    },
    /// A copy to the controllers.
    Punt {
        /// Everything but the frame, and what the tunnel that it came through says.
        punt: Box<Punt>,
        /// As above.
        tunnel: Overlay,
        /// To be passed before.
        meter: Option<Arc<MeterView>>,
    },
    /// What is too large becomes fragments; each of them, or the frame as it is, goes on by itself.
    Fragment {
        /// Bytes of a fragment at most, from the IP header on.
        mtu: u16,
        /// What to do with IPv4's DF.
        df: DontFragment,
        /// What follows.
        then: Arc<Continuation>,
    },
    /// A fragment is held; the packet that it belongs to goes on, or the frame as it is.
    Reassemble {
        /// What follows.
        then: Arc<Continuation>,
    },
    /// Something else happens than to the frame.
    Effect(Box<Effect>),
    /// The packet ends here.
    Drop(DropReason),
    /// The next `len` steps happen to a copy.
    Clone {
        /// Number of steps.
        len: usize,
    },
    /// Of the next steps, some happen to a copy: those of the branch that the packet takes.
    Select(Box<Select>),
    /// Passes a meter, which may drop the packet.
    Meter {
        /// Which one.
        meter: Arc<MeterView>,
        /// What follows, if it may change the packet.
        then: Option<Arc<Continuation>>,
    },
    /// Puts a label behind the VLAN tags.
    PushMpls {
        /// 0x8847 or 0x8848.
        ether_type: u16,
        /// The label stack entry.
        lse: u32,
    },
    /// The packet becomes another one, which is looked at anew.
    Reshape {
        /// How.
        how: Box<Reshape>,
        /// What follows.
        then: Arc<Continuation>,
    },
}

/// The port by which frames leave as they are, if that is all that steps do, and what it would write to a tunnel.
#[inline]
pub fn only_output(steps: &[Step]) -> Option<(PortId, &Overlay)> {
    match steps {
        [
            Step::Output {
                port,
                tunnel,
                max_size: u32::MAX,
                ..
            },
        ] => Some((*port, tunnel)),
        _ => None,
    }
}

/// What actions wrote to the key's tunnel words: laid over those that the packet came with. Free if that is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay(Option<Arc<Match>>);

impl Overlay {
    /// The key words that are a tunnel's.
    pub const WORDS: Range<usize> = word::TUN_ID..word::METADATA;

    /// Nothing was written.
    pub const NOTHING: Overlay = Overlay(None);

    /// Those that are its options'.
    pub const OPTIONS: Range<usize> = word::TUN_METADATA..word::ETH_DST;

    /// An action wrote to a field, which may be another one than a tunnel's.
    pub fn set(&mut self, place: Place, value: u128, mask: u128) {
        let at = usize::from(place.word);
        if Self::WORDS.contains(&at) || Self::OPTIONS.contains(&at) {
            Arc::make_mut(self.0.get_or_insert_default()).set(place, value, mask);
        }
    }
    /// Nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
    /// Writes it to a key's words, of which `words` are those from number `first` on.
    #[inline]
    pub fn lay(&self, words: &mut [u64], first: usize) {
        let Some(written) = &self.0 else {
            return;
        };
        for MatchWord { index, mask, value } in written.words() {
            let at = usize::from(*index).checked_sub(first);
            if let Some(word) = at.and_then(|at| words.get_mut(at)) {
                *word = *word & !mask | value;
            }
        }
    }
    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, |written| {
            size_of::<Match>() + size_of_val(written.words())
        })
    }
}

impl Step {
    /// Whether a copy of the frame leaves, and the frame itself stays as it is.
    pub fn sends(&self) -> bool {
        self.matters() && !matches!(self, Step::Select(_) | Step::Meter { .. })
    }
    /// Whether anything is different afterwards but the frame.
    pub fn matters(&self) -> bool {
        !matches!(
            self,
            Step::Write(_)
                | Step::PushVlan { .. }
                | Step::PopVlan
                | Step::PushMpls { .. }
                | Step::Clone { .. }
        )
    }
    /// Bytes that it adds to the frame.
    pub fn growth(&self) -> isize {
        match self {
            Step::PushVlan { .. } | Step::PushMpls { .. } => 4,
            Step::PopVlan => -4,
            _ => 0,
        }
    }
}

/// A change of header bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub spot: Spot,
    /// The packet's transport protocol, whose checksum may cover the spot.
    pub protocol: u8,
    /// The new bits, as they stand in the spot's window; none outside `mask`.
    pub value: u128,
    /// Which bits of the window.
    pub mask: u128,
}

/// From where a spot's offset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Anchor {
    Ethernet,
    Mpls,
    L3,
    L4,
    /// The value of ND's source link-layer address option.
    NdSource,
    /// The value of ND's target link-layer address option.
    NdTarget,
}

/// Which checksums have to follow a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// None.
    No,
    /// The IPv4 header's.
    Header,
    /// The IPv4 header's, and the transport's by its pseudo-header.
    HeaderAndPseudo,
    /// The transport's by its pseudo-header.
    Pseudo,
    /// As above, unless a routing header says that this is not the final destination.
    PseudoDestination,
    /// The transport's.
    Transport,
}

/// A place in a frame: a window of `size` bytes that starts at an even distance from the start of
/// whatever checksum covers it; the field's lowest bit is `shift` bits above the window's lowest.
#[derive(Clone, Copy, Debug)]
pub struct SpotRow {
    /// From where `offset` counts.
    pub anchor: Anchor,
    /// In bytes.
    pub offset: usize,
    /// In bytes, 2 to 16.
    pub size: usize,
    /// In bits.
    pub shift: u32,
    /// Checksums that follow.
    pub cover: Cover,
}

macro_rules! spots {
    ($($name:ident $anchor:ident $offset:literal $size:literal $shift:literal $cover:ident;)*) => {
        /// A place in a frame that actions can write.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum Spot { $($name),* }

        /// The table, in the order of the enum.
        pub const SPOTS: &[SpotRow] = &[$(SpotRow {
            anchor: Anchor::$anchor, offset: $offset, size: $size, shift: $shift, cover: Cover::$cover,
        }),*];
    };
}

// Anchor, offset, window, shift, checksums.
spots! {
    EthDst    Ethernet  0  6 0 No;
    EthSrc    Ethernet  6  6 0 No;
    VlanTci   Ethernet 14  2 0 No;
    Mpls      Mpls      0  4 0 No;
    Ip4Tos    L3        0  2 0 Header;
    Ip4Ttl    L3        8  2 8 Header;
    Ip4Src    L3       12  4 0 HeaderAndPseudo;
    Ip4Dst    L3       16  4 0 HeaderAndPseudo;
    Ip6Tos    L3        0  2 4 No;
    Ip6Label  L3        0  4 0 No;
    Ip6Ttl    L3        6  2 0 No;
    Ip6Src    L3        8 16 0 Pseudo;
    Ip6Dst    L3       24 16 0 PseudoDestination;
    ArpOp     L3        6  2 0 No;
    ArpSha    L3        8  6 0 No;
    ArpSpa    L3       14  4 0 No;
    ArpTha    L3       18  6 0 No;
    ArpTpa    L3       24  4 0 No;
    L4Src     L4        0  2 0 Transport;
    L4Dst     L4        2  2 0 Transport;
    IcmpType  L4        0  2 8 Transport;
    IcmpCode  L4        0  2 0 Transport;
    NdTarget  L4        8 16 0 Transport;
    NdSll     NdSource  0  6 0 Transport;
    NdTll     NdTarget  0  6 0 Transport;
}

impl Spot {
    /// The spot's row.
    #[inline]
    pub const fn row(self) -> &'static SpotRow {
        &SPOTS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs are read for each packet: what is larger and rare is boxed.
    #[test]
    fn steps_are_small() {
        assert!(size_of::<Step>() <= size_of::<Write>());
    }
}
