//! OVSDB (RFC 7047): values, schema, transactions, monitors, log, server core and client.
//!
//! [`value`] and [`schema`] say what data is, [`database`] holds it, [`transact`] changes it all-or-nothing,
//! [`monitor`] tells clients, [`log`] keeps it, [`server`] puts them together without I/O; [`jsonrpc`] is the wire,
//! [`net`] moves its bytes, and [`client`] is the other end.
//!
//! A daemon owns a [`Server`], gives it a say of its own ([`CommitHook`]), and changes rows by [`Server::update`]:
//!
//! ```
//! use ovsdb::server::{Limits, Server};
//! use ovsdb::{Database, Datum, Row, open_vswitch};
//!
//! // A daemon opens a file instead: `log::Log::open(path, open_vswitch::schema())`.
//! let mut server = Server::new((), Limits::default());
//! server.host(Database::new(open_vswitch::schema()), None);
//! let root = server.update("Open_vSwitch", |txn| txn.insert("Open_vSwitch", Row::new()))?;
//! server.update("Open_vSwitch", |txn| {
//!     let bridge = txn.insert("Bridge", Row::new().with("name", Datum::scalar("br0")))?;
//!     txn.set("Open_vSwitch", root, "bridges", Datum::scalar(bridge))
//! })?;
//! let db = server.database("Open_vSwitch").expect("is hosted");
//! let (_, bridge) = db.find("Bridge", "br0").expect("was inserted");
//! assert_eq!(bridge.str("name"), "br0");
//! # Ok::<(), ovsdb::Error>(())
//! ```

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
