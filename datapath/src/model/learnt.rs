//! What packets teach: the flows of `learn` actions and what `fin_timeout` sees, on their way from a worker to control; and how
//! many flows there are of those that a `learn` action limits.

use super::id::BridgeId;
use super::rule::Rule;
use ofp::action::{Action, Learn};
use ofp::message::FlowMod;
use ofp::types::{Cookie, TableId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A flow that a packet taught.
#[derive(Clone, Debug, PartialEq)]
pub struct Learnt {
    /// Where.
    pub bridge: BridgeId,
    /// The flow; its command is a strict modify, which adds what is not there.
    pub flow: FlowMod,
    /// Flows with its cookie in its table at most; 0: no limit.
    pub limit: u32,
}

/// A TCP FIN or RST passed a rule with a `fin_timeout` action.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Where.
    pub bridge: BridgeId,
    /// The rule.
    pub rule: Arc<Rule>,
    /// Its idle timeout from now on, at most; 0: unchanged.
    pub idle_secs: u16,
    /// The same for the hard timeout.
    pub hard_secs: u16,
}

/// Calls `f` with every `learn` action of a list, and of the lists in it.
pub fn for_each_learn(actions: &[Action], f: &mut impl FnMut(&Learn)) {
    for action in actions {
        match action {
            Action::Learn(learn) => f(learn),
            Action::Clone(nested) | Action::WriteActions(nested) => for_each_learn(nested, f),
            _ => {}
        }
    }
}

/// How many flows a table has with a cookie, for those that some `learn` action limits. Nothing where there is none.
#[derive(Clone, Debug, Default)]
pub struct Limits(FxHashMap<(TableId, Cookie), Limited>);

#[derive(Clone, Debug)]
struct Limited {
    /// Actions that limit it.
    users: usize,
    flows: usize,
}

impl Limits {
    /// Flows with this cookie in this table, if an action limits them.
    pub fn flows(&self, table: TableId, cookie: Cookie) -> Option<usize> {
        Some(self.0.get(&(table, cookie))?.flows)
    }
    /// A rule is there now. `count` says how many rules of a table have a cookie, this one included.
    pub fn add(&mut self, rule: &Rule, count: impl Fn(TableId, Cookie) -> usize) {
        if let Some(limited) = self.0.get_mut(&(rule.table, rule.cookie)) {
            limited.flows += 1;
        }
        for_each_learn(&rule.actions, &mut |learn| {
            if learn.limit > 0 {
                let limited = self.0.entry((learn.table, learn.cookie));
                let limited = limited.or_insert_with(|| Limited {
                    users: 0,
                    flows: count(learn.table, learn.cookie),
                });
                limited.users += 1;
            }
        });
    }
    /// A rule is gone.
    pub fn remove(&mut self, rule: &Rule) {
        if let Some(limited) = self.0.get_mut(&(rule.table, rule.cookie)) {
            limited.flows = limited.flows.saturating_sub(1);
        }
        for_each_learn(&rule.actions, &mut |learn| {
            let key = (learn.table, learn.cookie);
            if learn.limit > 0
                && let Some(limited) = self.0.get_mut(&key)
            {
                limited.users -= 1;
                if limited.users == 0 {
                    self.0.remove(&key);
                }
            }
        });
    }
}
