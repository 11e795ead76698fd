//! The prepared outer headers that one worker has: one per tunnel, and a bounded number for the ends that packets name.

use crate::model::id::PortId;
use crate::model::tunnel::{Ends, Remote, Route, Tunnel, Words};
use crate::tunnel::Outer;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Headers for ends that packets name; another one takes the place of one with the same hash.
const NAMED_LEN: usize = 256;

/// A header, and what it was made for: held here, so that nothing else can have its address.
struct Named {
    tunnel: Arc<Tunnel>,
    ends: Ends,
    route: Route,
    outer: Outer,
}

/// See the file's description.
#[derive(Default)]
pub(super) struct Prepared {
    /// By port.
    by_port: Vec<Option<(Arc<Tunnel>, Outer)>>,
    /// By the hash of port and ends.
    named: Vec<Option<Box<Named>>>,
}

impl Prepared {
    /// The header of a tunnel's packets on this route. `None`: their addresses are of different families.
    #[inline]
    pub fn outer(
        &mut self,
        port: PortId,
        tunnel: &Arc<Tunnel>,
        route: &Route,
        words: &Words,
    ) -> Option<&Outer> {
        if tunnel.config.remote == Remote::Flow {
            return self.named(port, tunnel, route, words);
        }
        let index = port.0 as usize;
        if self.by_port.len() <= index {
            self.by_port.resize_with(index + 1, || None);
        }
        let slot = &mut self.by_port[index];
        if slot
            .as_ref()
            .is_none_or(|(made, _)| !Arc::ptr_eq(made, tunnel))
        {
            *slot = Outer::new(&tunnel.config, route, None).map(|outer| (tunnel.clone(), outer));
        }
        slot.as_ref().map(|(_, outer)| outer)
    }
    #[cold]
    fn named(
        &mut self,
        port: PortId,
        tunnel: &Arc<Tunnel>,
        route: &Route,
        words: &Words,
    ) -> Option<&Outer> {
        let ends = tunnel.config.ends(words)?;
        let mut hasher = FxHasher::default();
        (port, ends).hash(&mut hasher);
        if self.named.is_empty() {
            self.named.resize_with(NAMED_LEN, || None);
        }
        let slot = &mut self.named[hasher.finish() as usize % NAMED_LEN];
        let is_it = |named: &Named| {
            Arc::ptr_eq(&named.tunnel, tunnel) && named.ends == ends && named.route == *route
        };
        if !slot.as_deref().is_some_and(is_it) {
            *slot = Outer::new(&tunnel.config, route, Some(ends)).map(|outer| {
                Box::new(Named {
                    tunnel: tunnel.clone(),
                    ends,
                    route: route.clone(),
                    outer,
                })
            });
        }
        slot.as_ref().map(|named| &named.outer)
    }
}
