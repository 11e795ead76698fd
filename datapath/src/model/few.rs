//! A list that has one entry, nearly always: then it takes no memory of its own. What has the same hash in
//! a table of a million rules.

use std::ops::{Deref, DerefMut};

/// The list.
#[derive(Clone, Debug)]
pub enum Few<T> {
    /// One entry.
    One(T),
    /// Another number of entries.
    More(Vec<T>),
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few::More(Vec::new())
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Few::One(entry) => std::slice::from_ref(entry),
            Few::More(list) => list,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Few::One(entry) => std::slice::from_mut(entry),
            Few::More(list) => list,
        }
    }
}

impl<T> Few<T> {
    /// Inserts an entry in front of the one at `at`.
    pub fn insert(&mut self, at: usize, entry: T) {
        let mut list = match std::mem::take(self) {
            Few::One(first) => vec![first],
            Few::More(list) => list,
        };
        *self = if list.is_empty() {
            Few::One(entry)
        } else {
            list.insert(at, entry);
            Few::More(list)
        };
    }
    /// Removes the entry at `at`, which exists.
    pub fn remove(&mut self, at: usize) -> T {
        match std::mem::take(self) {
            Few::One(entry) => entry,
            Few::More(mut list) => {
                let entry = list.remove(at);
                *self = match list.len() {
                    1 => Few::One(list.remove(0)),
                    _ => Few::More(list),
                };
                entry
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_as_a_vector(ops in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 0..40)) {
            let (mut few, mut list) = (Few::default(), Vec::new());
            for (insert, at, value) in ops {
                if insert {
                    let at = at.index(list.len() + 1);
                    few.insert(at, value);
                    list.insert(at, value);
                } else if !list.is_empty() {
                    let at = at.index(list.len());
                    prop_assert_eq!(few.remove(at), list.remove(at));
                }
                prop_assert_eq!(&few[..], &list[..]);
            }
        }
    }
}
