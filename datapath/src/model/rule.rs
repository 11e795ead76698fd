//! A rule as the workers see it. Immutable: a change of a flow replaces the rule, keeping its slot.

use super::id::RuleId;
use ofp::action::Action;
use ofp::key::Match;
use ofp::types::{Cookie, TableId};

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
