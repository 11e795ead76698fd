//! The control socket of a daemon, as `ovs-appctl` speaks to it: JSON-RPC, one request, one answer.

use crate::failure::{Failure, Result};
use crate::target::rundir;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An answer that takes longer will not come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer.
const ANSWER_MAX: usize = 64 << 20;

/// The switch's socket: its pid file says which.
pub fn switch_socket() -> Result<PathBuf> {
    let dir = rundir();
    let pid_file = dir.join("ovs-vswitchd.pid");
    let pid = std::fs::read_to_string(&pid_file).map_err(|error| {
        Failure::plain(format!(
            "{}: {error}; does switchd run with --rundir {}?",
            pid_file.display(),
            dir.display()
        ))
    })?;
    Ok(dir.join(format!("ovs-vswitchd.{}.ctl", pid.trim())))
}

/// Asks a daemon; its error is a failure.
pub fn ask(
    socket: &Path,
    method: &str,
    args: &[String],
    limit: Option<Duration>,
) -> Result<String> {
    let failed = |error: std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => "; does switchd run?",
            ErrorKind::WouldBlock => "; no answer in time",
            _ => "",
        };
        Failure::plain(format!("{}: {error}{hint}", socket.display()))
    };
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    let limit = limit.unwrap_or(ANSWER_TIMEOUT);
    stream.set_read_timeout(Some(limit)).map_err(failed)?;
    stream.set_write_timeout(Some(limit)).map_err(failed)?;
    let request = json!({ "id": 0, "method": method, "params": args });
    stream
        .write_all(request.to_string().as_bytes())
        .map_err(failed)?;
    let mut received = Vec::new();
    let mut chunk = [0; 16384];
    loop {
        let len = stream.read(&mut chunk).map_err(failed)?;
        received.extend_from_slice(&chunk[..len]);
        let mut values = serde_json::Deserializer::from_slice(&received).into_iter::<Value>();
        match values.next() {
            Some(Ok(answer)) => {
                return match (&answer["result"], &answer["error"]) {
                    (_, Value::String(error)) => Err(Failure::plain(error.trim_end())),
                    (Value::String(text), _) => Ok(text.clone()),
                    _ => Err(Failure::plain("the switch's answer is not text")),
                };
            }
            _ if len == 0 || received.len() > ANSWER_MAX => {
                return Err(Failure::plain(format!(
                    "{}: that is no answer",
                    socket.display()
                )));
            }
            _ => {}
        }
    }
}
