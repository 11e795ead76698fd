//! OVSDB (RFC 7047): values, schema, transactions, monitors, log, server core and client.
//!
//! [`value`] and [`schema`] say what data is, [`database`] holds it, [`transact`] changes it all-or-nothing,
//! [`monitor`] tells clients, [`log`] keeps it, [`server`] puts them together without I/O; [`jsonrpc`] is the wire.

pub mod client;
pub mod condition;
pub mod database;
pub mod error;
pub mod jsonrpc;
pub mod log;
pub mod monitor;
pub mod mutate;
pub mod net;
pub mod open_vswitch;
mod replay;
pub mod schema;
pub mod server;
mod sha1;
pub mod transact;
pub mod txn;
pub mod value;

pub use database::{CommitHook, Database, Delta, Refusal, RowChange};
pub use error::{Error, ErrorKind, Result};
pub use server::{Output, Server, SessionId};
pub use txn::Txn;
pub use value::{Atom, AtomType, Datum, Name, Row, Uuid};
