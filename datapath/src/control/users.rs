//! Who names whom: flows the groups and meters of their actions, and the flows that they teach; groups the groups of their
//! buckets. A group or meter that is named by a flow does not go without the flow.

use super::learn::for_each_lesson;
use ofp::action::Action;
use ofp::types::{Cookie, GroupId, MeterId, TableId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::hash::Hash;

/// What actions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Used {
    Group(GroupId),
    Meter(MeterId),
    /// Flows of a table with a cookie, which go with the last flow that teaches them.
    Lesson(TableId, Cookie),
}

/// Calls `f` with all that actions name, which may be more than once.
pub(super) fn for_each_used(actions: &[Action], f: &mut impl FnMut(Used)) {
    for action in actions {
        match action {
            Action::Group(group) => f(Used::Group(*group)),
            Action::Meter(meter) => f(Used::Meter(*meter)),
            Action::Controller(controller) => {
                if let Some(meter) = controller.meter {
                    f(Used::Meter(meter));
                }
            }
            Action::Learn(_) => for_each_lesson(std::slice::from_ref(action), |table, cookie| {
                f(Used::Lesson(table, cookie));
            }),
            Action::WriteActions(nested) | Action::Clone(nested) => for_each_used(nested, f),
            _ => {}
        }
    }
}

/// The users of each used thing. What uses nothing costs nothing.
pub(super) struct Users<T> {
    by_used: FxHashMap<Used, FxHashSet<T>>,
}

impl<T> Default for Users<T> {
    fn default() -> Users<T> {
        Users {
            by_used: FxHashMap::default(),
        }
    }
}

impl<T: Copy + Eq + Hash> Users<T> {
    /// `user` has these actions from now on (in addition to what it had).
    pub(super) fn add(&mut self, user: T, actions: &[Action]) {
        for_each_used(actions, &mut |used| self.insert(user, used));
    }
    /// `user` does not have these actions any more, nor others that name the same.
    pub(super) fn remove(&mut self, user: T, actions: &[Action]) {
        for_each_used(actions, &mut |used| self.forget(user, used));
    }
    /// `user` uses this from now on.
    pub(super) fn insert(&mut self, user: T, used: Used) {
        self.by_used.entry(used).or_default().insert(user);
    }
    /// `user` does not use this any more.
    pub(super) fn forget(&mut self, user: T, used: Used) {
        if let Some(users) = self.by_used.get_mut(&used) {
            users.remove(&user);
            if users.is_empty() {
                self.by_used.remove(&used);
            }
        }
    }
    /// Who uses it, in no order.
    pub(super) fn of(&self, used: Used) -> impl Iterator<Item = T> {
        self.by_used.get(&used).into_iter().flatten().copied()
    }
    /// How many use it.
    pub(super) fn len(&self, used: Used) -> usize {
        self.by_used.get(&used).map_or(0, FxHashSet::len)
    }
}
