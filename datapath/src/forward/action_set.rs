//! The action set: at most one action of each kind, executed in the specification's order at the end
//! of the pipeline (OpenFlow 1.3.5 section 5.10, ovs-actions(7) "Action Sets").

use crate::model::DropReason;
use ofp::action::Action;
use ofp::types::PortNo;

/// Different writes kept at most; a pipeline that has more is broken.
const MAX_WRITES: usize = 1024;

/// Written by `write_actions`, emptied by `clear_actions`.
#[derive(Clone, Default)]
pub struct ActionSet<'s> {
    pop_vlan: Option<&'s Action>,
    push_vlan: Option<&'s Action>,
    dec_ttl: Option<&'s Action>,
    /// In the order in which they were written; a later one to the same bits replaces an earlier one.
    writes: Vec<&'s Action>,
    queue: Option<&'s Action>,
    group: Option<&'s Action>,
    output: Option<&'s Action>,
    resubmit: Option<&'s Action>,
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
        let slot = match action {
            StripVlan => &mut self.pop_vlan,
            PushVlan(_) => &mut self.push_vlan,
            DecTtl(_) => &mut self.dec_ttl,
            SetQueue(_) => &mut self.queue,
            Group(_) => &mut self.group,
            Output { .. }
            | OutputReg { .. }
            | OutputTrunc { .. }
            | Enqueue { .. }
            | Controller(_) => &mut self.output,
            Resubmit { .. } => &mut self.resubmit,
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
            | SetTunnel { .. } => {
                self.writes.retain(|other| !same_target(action, other));
                if self.writes.len() >= MAX_WRITES {
                    return Err(DropReason::Resubmits);
                }
                self.writes.push(action);
                return Ok(());
            }
            _ => return Ok(()),
        };
        *slot = Some(action);
        Ok(())
    }
    /// Empties it.
    pub fn clear(&mut self) {
        *self = ActionSet::default();
    }
    /// The port that it outputs to, if it has an output and no group.
    pub fn output_port(&self) -> Option<PortNo> {
        match (self.group, self.output?) {
            (None, Action::Output { port, .. }) => Some(*port),
            _ => None,
        }
    }
    /// The actions in the order of execution.
    pub fn in_order(self) -> impl Iterator<Item = &'s Action> {
        [self.pop_vlan, self.push_vlan, self.dec_ttl]
            .into_iter()
            .flatten()
            .chain(self.writes)
            .chain(self.queue)
            .chain(self.group.or(self.output).or(self.resubmit))
    }
}
