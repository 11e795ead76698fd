//! The methods of RFC 7047 section 4.1 and of ovsdb-server(7): one row in the table and one function each.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Server, SessionId, Waiting, unknown_database};
use crate::database::{CommitHook, Database};
use crate::error::{Error, ErrorKind, Result};
use crate::jsonrpc::Message;
use crate::monitor::{Form, Monitor};
use crate::value::brief;

/// A request on its way through a method.
struct Request<'a> {
    now: Instant,
    session: SessionId,
    id: &'a Value,
    params: Vec<Value>,
}

/// Gives the result; `None` if the reply comes later.
type Method<H> = fn(&mut Server<H>, Request<'_>) -> Result<Option<Value>>;

/// Name and function of each method. A function of `H` because a `const` cannot be generic.
fn methods<H: CommitHook>() -> [(&'static str, Method<H>); 15] {
    [
        ("echo", |_, r| Ok(Some(Value::Array(r.params)))),
        ("list_dbs", |s, _| {
            Ok(Some(
                s.databases.keys().map(|name| json!(&**name)).collect(),
            ))
        }),
        ("get_schema", |s, r| {
            r.database(s).map(|db| Some(db.schema().to_json()))
        }),
        ("get_server_id", |s, _| Ok(Some(json!(s.id.to_string())))),
        ("set_db_change_aware", |_, _| Ok(Some(json!({})))),
        ("transact", transact),
        ("monitor", |s, r| monitor(s, r, Form::Plain)),
        ("monitor_cond", |s, r| monitor(s, r, Form::Cond)),
        ("monitor_cond_since", |s, r| monitor(s, r, Form::CondSince)),
        ("monitor_cond_change", monitor_cond_change),
        ("monitor_cancel", monitor_cancel),
        ("lock", |s, r| lock(s, r, false)),
        ("steal", |s, r| lock(s, r, true)),
        ("unlock", unlock),
        ("convert", |_, _| {
            Err(Error::new(
                ErrorKind::NotSupported,
                "the schema of this server is fixed",
            ))
        }),
    ]
}

pub(super) fn request<H: CommitHook>(
    server: &mut Server<H>,
    now: Instant,
    session: SessionId,
    id: &Value,
    method: &str,
    params: Vec<Value>,
) -> Result<Option<Value>> {
    let found = methods::<H>().into_iter().find(|(name, _)| *name == method);
    let (_, function) = found.ok_or_else(|| {
        Error::new(
            ErrorKind::UnknownMethod,
            format!("there is no method \"{method}\""),
        )
    })?;
    function(
        server,
        Request {
            now,
            session,
            id,
            params,
        },
    )
}

impl Request<'_> {
    fn param(&self, index: usize) -> Result<&Value> {
        self.params
            .get(index)
            .ok_or_else(|| Error::syntax(format!("parameter {} is missing", index + 1)))
    }

    fn text(&self, index: usize) -> Result<&str> {
        let param = self.param(index)?;
        param.as_str().ok_or_else(|| {
            Error::syntax(format!(
                "parameter {}: {} is not a string",
                index + 1,
                brief(param)
            ))
        })
    }

    fn database<'s, H: CommitHook>(&self, server: &'s Server<H>) -> Result<&'s Database> {
        let name = self.text(0)?;
        server.database(name).ok_or_else(|| unknown_database(name))
    }
}

fn limited<H: CommitHook>(server: &mut Server<H>, limit: usize, what: &str) -> Error {
    server.counters.requests_limited += 1;
    Error::new(
        ErrorKind::ResourcesExhausted,
        format!("{limit} {what} are the limit of a session"),
    )
}

fn transact<H: CommitHook>(
    server: &mut Server<H>,
    mut request: Request<'_>,
) -> Result<Option<Value>> {
    let database = request.database(server)?.name().clone();
    if &*database == crate::open_vswitch::SERVER && !is_read_only(&request.params) {
        return Err(Error::new(
            ErrorKind::NotSupported,
            "database _Server is read-only",
        ));
    }
    let limit = server.limits.waiting;
    if server
        .waiting
        .iter()
        .filter(|w| w.session == request.session)
        .count()
        >= limit
    {
        return Err(limited(server, limit, "waiting transactions"));
    }
    let operations = request.params.split_off(1);
    let id = request.id.clone();
    let waiting = Waiting {
        session: request.session,
        id,
        database,
        operations,
        since: request.now,
        deadline: None,
    };
    server.run(waiting, false);
    Ok(None)
}

fn is_read_only(params: &[Value]) -> bool {
    let reads = |o: &Value| {
        o["op"]
            .as_str()
            .is_some_and(|op| ["select", "wait", "comment", "assert", "abort"].contains(&op))
    };
    params.iter().skip(1).all(reads)
}

fn monitor<H: CommitHook>(
    server: &mut Server<H>,
    request: Request<'_>,
    form: Form,
) -> Result<Option<Value>> {
    let db = request.database(server)?;
    let (id, requests) = (request.param(1)?.clone(), request.param(2)?);
    let monitor = Monitor::new(form, db.schema(), id, requests)?;
    let initial = monitor.initial(db);
    let limit = server.limits.monitors;
    let Some(session) = server.sessions.get_mut(&request.session) else {
        return Ok(None);
    };
    if session.monitors.iter().any(|m| m.id == monitor.id) {
        return Err(Error::syntax(format!(
            "monitor id {} is in use",
            brief(&monitor.id)
        )));
    }
    if session.monitors.len() >= limit {
        return Err(limited(server, limit, "monitors"));
    }
    session.monitors.push(monitor);
    Ok(Some(initial))
}

fn unknown_monitor(id: &Value) -> Error {
    Error::new(
        ErrorKind::UnknownMonitor,
        format!("no monitor has the id {}", brief(id)),
    )
}

fn monitor_cond_change<H: CommitHook>(
    server: &mut Server<H>,
    request: Request<'_>,
) -> Result<Option<Value>> {
    let (old_id, new_id, requests) = (request.param(0)?, request.param(1)?, request.param(2)?);
    let Some(session) = server.sessions.get_mut(&request.session) else {
        return Ok(None);
    };
    if old_id != new_id && session.monitors.iter().any(|m| m.id == *new_id) {
        return Err(Error::syntax(format!(
            "monitor id {} is in use",
            brief(new_id)
        )));
    }
    let monitor = session
        .monitors
        .iter_mut()
        .find(|m| m.id == *old_id)
        .ok_or_else(|| unknown_monitor(old_id))?;
    let hosted = server
        .databases
        .get(&monitor.database)
        .ok_or_else(|| unknown_monitor(old_id))?;
    let update = monitor.change(&hosted.db, new_id.clone(), requests)?;
    // ovsdb-server(7): the reply comes before the update that the new conditions bring.
    server.send(
        request.session,
        Message::reply(request.id.clone(), json!({})),
    );
    if let Some(update) = update {
        server.send(request.session, update);
    }
    Ok(None)
}

fn monitor_cancel<H: CommitHook>(
    server: &mut Server<H>,
    request: Request<'_>,
) -> Result<Option<Value>> {
    let id = request.param(0)?;
    let Some(session) = server.sessions.get_mut(&request.session) else {
        return Ok(None);
    };
    let place = session
        .monitors
        .iter()
        .position(|m| m.id == *id)
        .ok_or_else(|| unknown_monitor(id))?;
    session.monitors.remove(place);
    Ok(Some(json!({})))
}

fn lock<H: CommitHook>(
    server: &mut Server<H>,
    request: Request<'_>,
    steal: bool,
) -> Result<Option<Value>> {
    let (name, session) = (request.text(0)?.to_owned(), request.session);
    let limit = server.limits.locks;
    if server
        .locks
        .values()
        .filter(|queue| queue.contains(&session))
        .count()
        >= limit
    {
        return Err(limited(server, limit, "locks"));
    }
    let queue = server.locks.entry(name.clone()).or_default();
    if queue.contains(&session) && !steal {
        return Err(Error::syntax(format!(
            "this session has lock \"{name}\" or waits for it already"
        )));
    }
    if !steal {
        queue.push_back(session);
        return Ok(Some(json!({ "locked": queue.front() == Some(&session) })));
    }
    let loser = queue.pop_front().filter(|owner| *owner != session);
    queue.retain(|s| *s != session);
    queue.push_front(session);
    if let Some(loser) = loser {
        server.send(loser, Message::notification("stolen", vec![json!(name)]));
    }
    Ok(Some(json!({ "locked": true })))
}

fn unlock<H: CommitHook>(server: &mut Server<H>, request: Request<'_>) -> Result<Option<Value>> {
    let name = request.text(0)?;
    if !server
        .locks
        .get(name)
        .is_some_and(|queue| queue.contains(&request.session))
    {
        return Err(Error::syntax(format!(
            "this session does not have lock \"{name}\""
        )));
    }
    server.release_lock(name, request.session);
    Ok(Some(json!({})))
}
