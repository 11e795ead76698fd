//! The database server without I/O: sessions send messages in, outputs come out, time is an argument.
//!
//! What: owns databases with their logs, monitors, locks and waiting transactions. `net` (or a test) moves the bytes.
//! Concurrency: one owner. A client's transaction runs to its end within [`Server::handle`]; what it means for
//! others and its reply wait in the outputs until [`Server::outputs`] made it durable, so a batch of clients shares one fsync.
//! Invariants: nobody sees a change, by reply or by update, that a crash could take back; a session sees the updates of
//! its own transaction before the reply to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use serde_json::{Value, json};

use crate::database::{CommitHook, Database, Delta};
use crate::error::{Error, ErrorKind, Result};
use crate::jsonrpc::Message;
use crate::log::Log;
use crate::monitor::Monitor;
use crate::open_vswitch::{SERVER, server_schema};
use crate::transact::{self, Context, Outcome};
use crate::txn::Txn;
use crate::value::{Datum, Name, Row, Uuid};

mod methods;

/// Names a client's connection. The owner of the connections chooses the numbers, and never twice the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Something for the owner of the connections to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a message.
    Send(SessionId, Message),
    /// Close the connection, and say why in the log.
    Close(SessionId, String),
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; a switch has some ten clients.
    pub sessions: usize,
    /// Monitors of one session.
    pub monitors: usize,
    /// Waiting transactions of one session.
    pub waiting: usize,
    /// Locks that one session owns or waits for.
    pub locks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 1024,
            monitors: 64,
            waiting: 16,
            locks: 64,
        }
    }
}

/// What happened, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions that were turned away.
    pub sessions_refused: u64,
    /// Transactions of clients that succeeded.
    pub transactions: u64,
    /// Transactions of clients that failed.
    pub transactions_failed: u64,
    /// Of these, the ones that the commit hook refused.
    pub transactions_refused: u64,
    /// Requests that a limit forbade.
    pub requests_limited: u64,
    /// Writes or fsyncs of a log that failed.
    pub log_errors: u64,
}

#[derive(Debug)]
struct Hosted {
    db: Database,
    log: Option<Log>,
}

#[derive(Debug, Default)]
struct Session {
    monitors: Vec<Monitor>,
}

/// A transaction whose `wait` does not hold yet.
#[derive(Debug)]
struct Waiting {
    session: SessionId,
    id: Value,
    database: Name,
    operations: Vec<Value>,
    since: Instant,
    deadline: Option<Instant>,
}

/// The server. `H` is the daemon's say in what clients commit.
#[derive(Debug)]
pub struct Server<H: CommitHook = ()> {
    /// The commit hook, for the daemon to reach its own state.
    pub hook: H,
    id: Uuid,
    limits: Limits,
    counters: Counters,
    databases: BTreeMap<Name, Hosted>,
    sessions: BTreeMap<SessionId, Session>,
    /// Who owns a lock, and who waits for it, in order.
    locks: BTreeMap<String, VecDeque<SessionId>>,
    waiting: Vec<Waiting>,
    /// Databases that changed since their waiting transactions ran last.
    changed: BTreeSet<Name>,
    outputs: Vec<Output>,
}

impl<H: CommitHook> Server<H> {
    /// A server with just the database `_Server`.
    pub fn new(hook: H, limits: Limits) -> Self {
        let mut server = Self {
            hook,
            id: Uuid::new_v4(),
            limits,
            counters: Counters::default(),
            databases: BTreeMap::new(),
            sessions: BTreeMap::new(),
            locks: BTreeMap::new(),
            waiting: Vec::new(),
            changed: BTreeSet::new(),
            outputs: Vec::new(),
        };
        server.host(Database::new(server_schema()), None);
        server
    }

    /// Serves a database; without a log it is gone when the process ends.
    pub fn host(&mut self, db: Database, log: Option<Log>) {
        let name = db.name().clone();
        let row = Row::new()
            .with("name", Datum::scalar(&*name))
            .with("model", Datum::scalar("standalone"))
            .with("connected", Datum::scalar(true))
            .with("leader", Datum::scalar(true))
            .with("schema", Datum::scalar(db.schema().to_json().to_string()));
        self.databases.insert(name, Hosted { db, log });
        if let Err(error) = self.update(SERVER, |txn| txn.insert("Database", row)) {
            tracing::error!(%error, "database is not listed in _Server");
        }
    }

    /// A database.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.get(name).map(|hosted| &hosted.db)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Number of sessions.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The daemon's own transaction: no commit hook, the same checks, log and updates. Nothing happens if it fails.
    /// Columns that are ephemeral are not logged; a transaction that touches only such costs no fsync.
    pub fn update<T>(
        &mut self,
        database: &str,
        change: impl FnOnce(&mut Txn<'_>) -> Result<T>,
    ) -> Result<T> {
        let hosted = self
            .databases
            .get(database)
            .ok_or_else(|| unknown_database(database))?;
        let mut txn = Txn::new(&hosted.db);
        let result = change(&mut txn)?;
        let delta = txn.finish()?;
        let name = hosted.db.name().clone();
        self.commit(&name, &delta, false)?;
        self.retry();
        Ok(result)
    }

    /// A client connected. An error is the reason to close the connection at once.
    pub fn connect(&mut self, session: SessionId) -> Result<()> {
        if self.sessions.len() >= self.limits.sessions {
            self.counters.sessions_refused += 1;
            let text = format!("{} sessions are the limit", self.limits.sessions);
            return Err(Error::new(ErrorKind::ResourcesExhausted, text));
        }
        self.sessions.insert(session, Session::default());
        Ok(())
    }

    /// A client is gone: its monitors, locks and waiting transactions go too.
    pub fn disconnect(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        self.waiting.retain(|w| w.session != session);
        let locks: Vec<String> = self
            .locks
            .iter()
            .filter(|(_, q)| q.contains(&session))
            .map(|(l, _)| l.clone())
            .collect();
        locks
            .iter()
            .for_each(|lock| self.release_lock(lock, session));
    }

    /// A client sent a message. What follows from it is in the outputs.
    pub fn handle(&mut self, now: Instant, session: SessionId, message: Message) {
        if !self.sessions.contains_key(&session) {
            return;
        }
        match message {
            Message::Request { id, method, params } => {
                let reply = match methods::request(self, now, session, &id, &method, params) {
                    Ok(Some(result)) => Some(Message::reply(id, result)),
                    Ok(None) => None,
                    Err(error) => Some(Message::error(id, &error)),
                };
                reply
                    .into_iter()
                    .for_each(|reply| self.send(session, reply));
            }
            Message::Notification { method, params } if method == "cancel" => {
                let canceled = Error::new(ErrorKind::Canceled, "cancelled by request");
                let is_it = |w: &Waiting| w.session == session && params.first() == Some(&w.id);
                for waiting in self
                    .waiting
                    .extract_if(.., |w| is_it(w))
                    .collect::<Vec<_>>()
                {
                    self.send(session, Message::error(waiting.id, &canceled));
                }
            }
            // Answers to our echo requests, and notifications that we need not know.
            Message::Notification { .. } | Message::Response { .. } => {}
        }
        self.retry();
    }

    /// When [`Server::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|w| w.deadline).min()
    }

    /// Fails the transactions whose waiting time is over.
    pub fn tick(&mut self, now: Instant) {
        let expired: Vec<_> = self
            .waiting
            .extract_if(.., |w| w.deadline.is_some_and(|d| d <= now))
            .collect();
        for waiting in expired {
            self.run(waiting, true);
        }
        self.retry();
    }

    /// Makes everything durable that was committed, and only then hands out what to send.
    ///
    /// If the disk refuses, no client learns of an unsure transaction: all connections are closed, and all later
    /// transactions that would have to be logged fail.
    pub fn outputs(&mut self) -> Vec<Output> {
        let mut failed = None;
        for hosted in self.databases.values_mut() {
            let Some(log) = &mut hosted.log else { continue };
            match log.sync() {
                Ok(()) if log.wants_compaction() => {
                    if let Err(error) = log.compact(&hosted.db) {
                        self.counters.log_errors += 1;
                        tracing::error!(%error, database = %hosted.db.name(), "cannot compact the database file");
                    }
                }
                Ok(()) => {}
                Err(error) => failed = Some(error),
            }
        }
        let outputs = std::mem::take(&mut self.outputs);
        let Some(error) = failed else { return outputs };
        self.counters.log_errors += 1;
        tracing::error!(%error, "the database file cannot be written; closing all sessions");
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        sessions
            .iter()
            .for_each(|session| self.disconnect(*session));
        self.outputs.clear();
        sessions
            .into_iter()
            .map(|s| Output::Close(s, format!("the database file cannot be written: {error}")))
            .collect()
    }

    fn send(&mut self, session: SessionId, message: Message) {
        self.outputs.push(Output::Send(session, message));
    }

    /// Starts or retries a transaction; it may go (back) to the waiting ones.
    fn run(&mut self, waiting: Waiting, is_last_try: bool) {
        let Some(hosted) = self.databases.get(&waiting.database) else {
            return;
        };
        let locks = &self.locks;
        let owns_lock =
            |lock: &str| locks.get(lock).and_then(VecDeque::front) == Some(&waiting.session);
        let context = Context {
            owns_lock: &owns_lock,
            is_last_try,
        };
        let results = match transact::run(&hosted.db, &waiting.operations, &context) {
            Outcome::Wait { timeout } => {
                let deadline = timeout.and_then(|t| waiting.since.checked_add(t));
                return self.waiting.push(Waiting {
                    deadline,
                    ..waiting
                });
            }
            Outcome::Failed(results) => {
                self.counters.transactions_failed += 1;
                results
            }
            Outcome::Commit { mut results, delta } => {
                match self.commit(&waiting.database, &delta, true) {
                    Ok(()) => self.counters.transactions += 1,
                    Err(error) => {
                        self.counters.transactions_failed += 1;
                        results.push(error.to_json());
                    }
                }
                results
            }
        };
        self.send(
            waiting.session,
            Message::reply(waiting.id, Value::Array(results)),
        );
    }

    /// Makes a delta part of the database: hook, log, updates; or an error, and nothing happened.
    fn commit(&mut self, database: &Name, delta: &Delta, is_client: bool) -> Result<()> {
        let hosted = self
            .databases
            .get_mut(database)
            .ok_or_else(|| unknown_database(database))?;
        if delta.is_empty() {
            return Ok(());
        }
        hosted.db.apply(delta);
        let mut checked = Ok(());
        if is_client {
            checked = self.hook.check(&hosted.db, delta).map_err(|refusal| {
                self.counters.transactions_refused += 1;
                Error::constraint(refusal.0)
            });
        }
        let logged = checked.and_then(|()| match &mut hosted.log {
            Some(log) => log.append(delta).map_err(|error| {
                self.counters.log_errors += 1;
                Error::new(
                    ErrorKind::Io,
                    format!("the database file cannot be written: {error}"),
                )
            }),
            None => Ok(()),
        });
        if let Err(error) = logged {
            hosted.db.apply(&delta.inverted());
            return Err(error);
        }
        if is_client {
            self.hook.committed(&hosted.db, delta);
        }
        for (id, session) in &self.sessions {
            for monitor in session.monitors.iter().filter(|m| m.database == *database) {
                self.outputs.extend(
                    monitor
                        .update(delta)
                        .map(|message| Output::Send(*id, message)),
                );
            }
        }
        self.changed.insert(database.clone());
        Ok(())
    }

    /// Runs the waiting transactions of databases that changed again, until none of them changes anything.
    fn retry(&mut self) {
        while let Some(database) = self.changed.pop_first() {
            let waiting: Vec<_> = self
                .waiting
                .extract_if(.., |w| w.database == database)
                .collect();
            waiting.into_iter().for_each(|w| self.run(w, false));
        }
    }

    fn release_lock(&mut self, lock: &str, session: SessionId) {
        let Some(queue) = self.locks.get_mut(lock) else {
            return;
        };
        let was_owner = queue.front() == Some(&session);
        queue.retain(|s| *s != session);
        match queue.front().copied() {
            None => {
                self.locks.remove(lock);
            }
            Some(next) if was_owner => {
                self.send(next, Message::notification("locked", vec![json!(lock)]))
            }
            Some(_) => {}
        }
    }
}

fn unknown_database(name: &str) -> Error {
    Error::new(
        ErrorKind::UnknownDatabase,
        format!("no database is named {name}"),
    )
}
