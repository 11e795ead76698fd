//! The action set: at most one action of each kind, executed in the specification's order at the end
//! of the pipeline (OpenFlow 1.3.5 section 5.10, ovs-actions(7) "Action Sets").

use crate::model::DropReason;
use ofp::action::Action;
use ofp::types::PortNo;
use smallvec::SmallVec;

/// Different writes kept at most; a pipeline that has more is broken.
const MAX_WRITES: usize = 1024;

/// Actions of which a set has one each, in the order of execution; fields are written between `DecMplsTtl` and `Meter`. The
/// last three exclude each other: the first one of them counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    CopyTtlIn,
    PopVlan,
    PopMpls,
    PopPbb,
    Decap,
    Encap,
    PushMpls,
    PushPbb,
    PushVlan,
    CopyTtlOut,
    DecTtl,
    DecMplsTtl,
    Meter,
    Queue,
    Group,
    Output,
    Resubmit,
}

const KINDS: usize = Kind::Resubmit as usize + 1;

/// Written by `write_actions`, emptied by `clear_actions`.
#[derive(Clone, Default)]
pub struct ActionSet<'s> {
    once: [Option<&'s Action>; KINDS],
    /// In the order in which they were written; a later one to the same bits replaces an earlier one.
    writes: Vec<&'s Action>,
    /// Whether something was written since it was cleared.
    is_written: bool,
}

fn same_target(a: &Action, b: &Action) -> bool {
    match (a, b) {
        (
            Action::SetField {
                field: a, mask: m, ..
            },
            Action::SetField {
                field: b, mask: n, ..
            },
        ) => a == b && m == n,
        (Action::Load { destination: a, .. }, Action::Load { destination: b, .. }) => a == b,
        (Action::Move { .. }, _) => a == b,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

impl<'s> ActionSet<'s> {
    /// Adds an action, in the place of an earlier one of its kind. Others than those of the
    /// specification's list have no place in a set and are left out.
    pub fn write(&mut self, action: &'s Action) -> Result<(), DropReason> {
        use Action::*;
        let kind = match action {
            CopyTtlIn => Kind::CopyTtlIn,
            StripVlan => Kind::PopVlan,
            PopMpls(_) => Kind::PopMpls,
            PopPbb => Kind::PopPbb,
            Decap(_) => Kind::Decap,
            Encap(_) => Kind::Encap,
            PushMpls(_) => Kind::PushMpls,
            PushPbb(_) => Kind::PushPbb,
            PushVlan(_) => Kind::PushVlan,
            CopyTtlOut => Kind::CopyTtlOut,
            DecTtl(_) => Kind::DecTtl,
            DecMplsTtl => Kind::DecMplsTtl,
            Meter(_) => Kind::Meter,
            SetQueue(_) => Kind::Queue,
            Group(_) => Kind::Group,
            Output { .. }
            | OutputReg { .. }
            | OutputTrunc { .. }
            | Enqueue { .. }
            | Controller(_) => Kind::Output,
            Resubmit { .. } => Kind::Resubmit,
            SetVlanVid { .. }
            | SetVlanPcp { .. }
            | SetEthSrc(_)
            | SetEthDst(_)
            | SetIpv4Src(_)
            | SetIpv4Dst(_)
            | SetIpTos(_)
            | SetIpEcn(_)
            | SetIpTtl(_)
            | SetL4Src(_)
            | SetL4Dst(_)
            | SetField { .. }
            | Load { .. }
            | Move { .. }
            | SetMplsLabel(_)
            | SetMplsTc(_)
            | SetMplsTtl(_)
            | SetTunnel { .. } => {
                self.writes.retain(|other| !same_target(action, other));
                if self.writes.len() >= MAX_WRITES {
                    return Err(DropReason::Resubmits);
                }
                self.writes.push(action);
                self.is_written = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.once[kind as usize] = Some(action);
        self.is_written = true;
        Ok(())
    }
    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.is_written
    }
    /// Empties it.
    pub fn clear(&mut self) {
        *self = ActionSet::default();
    }
    /// The port that it outputs to, if it has an output and no group.
    pub fn output_port(&self) -> Option<PortNo> {
        match (
            self.once[Kind::Group as usize],
            self.once[Kind::Output as usize]?,
        ) {
            (None, Action::Output { port, .. }) => Some(*port),
            _ => None,
        }
    }
    /// The actions in the order of execution.
    pub fn in_order(self) -> impl Iterator<Item = &'s Action> {
        let (before, rest) = self.once.split_at(Kind::Meter as usize);
        let (quality, last) = rest.split_at(Kind::Group as usize - Kind::Meter as usize);
        let last = last.iter().flatten().next().copied();
        let before: SmallVec<[&'s Action; 4]> = before.iter().flatten().copied().collect();
        let quality: SmallVec<[&'s Action; 2]> = quality.iter().flatten().copied().collect();
        before
            .into_iter()
            .chain(self.writes)
            .chain(quality)
            .chain(last)
    }
}
