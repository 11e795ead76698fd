//! Names of ports and tables for reading texts, asked for when the first one is met.

use super::Context;
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use ofp::text::{PortMap, PortNames};
use ofp::types::{PortNo, TableId};
use std::cell::{OnceCell, RefCell};

/// Port names that are asked for on a connection of their own, and only if they are needed.
pub(crate) struct LazyPorts<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) map: OnceCell<PortMap>,
    pub(super) tables: OnceCell<PortMap>,
    pub(super) failure: RefCell<Option<Failure>>,
}

impl LazyPorts<'_> {
    fn map(&self) -> &PortMap {
        if self.context.options.no_names {
            return self.map.get_or_init(PortMap::default);
        }
        self.map.get_or_init(|| self.fetch(Connection::ports))
    }
    fn fetch(&self, ask: impl Fn(&mut Connection) -> Result<PortMap>) -> PortMap {
        let fetched = self.context.connect().and_then(|mut c| ask(&mut c));
        fetched.unwrap_or_else(|failure| {
            *self.failure.borrow_mut() = Some(failure);
            PortMap::default()
        })
    }
    /// If the names could not be fetched, that is the failure to report.
    pub(super) fn or_failure<T>(&self, result: Result<T>) -> Result<T> {
        match (result, self.failure.take()) {
            (Err(_), Some(failure)) => Err(failure),
            (result, _) => result,
        }
    }
}

impl PortNames for LazyPorts<'_> {
    fn number(&self, name: &str) -> Option<PortNo> {
        self.map().number(name)
    }
    fn names(&self) -> Vec<String> {
        self.map().names()
    }
    fn table(&self, name: &str) -> Option<TableId> {
        if self.context.options.no_names {
            return None;
        }
        let tables = self.tables.get_or_init(|| {
            self.fetch(|connection| {
                let mut map = PortMap::default();
                connection.add_table_names(&mut map).map(|()| map)
            })
        });
        tables.table(name)
    }
}
