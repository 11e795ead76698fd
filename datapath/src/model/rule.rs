//! A rule as the workers see it. Immutable: a change of a flow replaces the rule, keeping its slot.

use ofp::action::Action;
use ofp::key::Match;
use ofp::types::{Cookie, TableId};

/// A rule's slot in the workers' counter slabs. Reused only after every worker has let go of the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// One flow of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Where its counters are.
    pub id: RuleId,
    /// Its table.
    pub table: TableId,
    /// Higher wins.
    pub priority: u16,
    /// Which packets.
    pub matching: Match,
    /// What to do: the actions and instructions as decoded.
    pub actions: Box<[Action]>,
    /// Reported with packet-ins.
    pub cookie: Cookie,
}
