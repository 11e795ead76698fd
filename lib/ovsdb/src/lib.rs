//! OVSDB (RFC 7047): values, schema, transactions, monitors, log, server core and client.
//!
//! [`value`] and [`schema`] say what data is, [`database`] holds it, [`transact`] changes it all-or-nothing,
//! [`monitor`] tells clients, [`log`] keeps it, [`server`] puts them together without I/O; [`jsonrpc`] is the wire.

pub mod client;
pub mod error;
pub mod jsonrpc;
pub mod schema;
pub mod value;

pub use error::{Error, ErrorKind, Result};
pub use value::{Atom, AtomType, Datum, Name, Row, Uuid};
