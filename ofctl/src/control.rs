//! Our own control socket, for `ovs-appctl` to a running `monitor` or `snoop`: commands arrive on a channel, and the loop
//! that owns the connection answers them. Also the process id file and going into the background.

use crate::failure::{Failure, Result};
use crate::target::rundir;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, SyncSender};

/// Commands that wait; a client that sends more has to.
const WAITING: usize = 16;
/// The longest request.
const REQUEST_MAX: usize = 1 << 20;
/// Tells the process in the background that it is there.
const DETACHED: &str = "OFCTL_DETACHED";

/// A command and where its answer goes.
pub struct Request {
    /// Its name.
    pub method: String,
    /// Its arguments.
    pub args: Vec<String>,
    reply: SyncSender<std::result::Result<String, String>>,
}

impl Request {
    /// Answers it; a client that is gone does not mind.
    pub fn answer(self, answer: std::result::Result<String, String>) {
        let _ = self.reply.try_send(answer);
    }
}

/// The socket; its file goes when it is dropped.
pub struct Control {
    path: PathBuf,
    /// Commands.
    pub requests: Receiver<Request>,
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A file in the directory of the sockets, unless the name says where.
pub fn place(name: &str) -> PathBuf {
    rundir().join(name)
}

impl Control {
    /// Listens.
    pub fn listen(path: &Path) -> Result<Control> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path)
            .map_err(|error| Failure::plain(format!("{}: {error}", path.display())))?;
        let (sender, requests) = mpsc::sync_channel(WAITING);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || converse(stream, &sender));
            }
        });
        Ok(Control {
            path: path.to_owned(),
            requests,
        })
    }
}

/// Carries a client's requests to the loop and its answers back.
fn converse(mut stream: UnixStream, requests: &SyncSender<Request>) -> Option<()> {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let mut values = serde_json::Deserializer::from_slice(&received).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            let used = values.byte_offset();
            received.drain(..used);
            let (reply, answer) = mpsc::sync_channel(1);
            let words = value["params"].as_array().into_iter().flatten();
            requests
                .send(Request {
                    method: value["method"].as_str().unwrap_or_default().to_owned(),
                    args: words.filter_map(Value::as_str).map(str::to_owned).collect(),
                    reply,
                })
                .ok()?;
            let (result, error) = match answer.recv().ok()? {
                Ok(text) => (json!(text), Value::Null),
                Err(text) => (Value::Null, json!(text + "\n")),
            };
            let answer = json!({ "id": value["id"], "result": result, "error": error });
            stream.write_all(answer.to_string().as_bytes()).ok()?;
            continue;
        }
        let len = stream
            .read(&mut chunk)
            .ok()
            .filter(|len| *len > 0 && received.len() < REQUEST_MAX)?;
        received.extend_from_slice(&chunk[..len]);
    }
}

/// The process id in a file, as long as this lives.
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes it; another process's is left alone unless `overwrite`.
    pub fn write(path: &Path, overwrite: bool) -> Result<PidFile> {
        let other = std::fs::read_to_string(path).ok();
        let other = other.and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(pid) = other.filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
            && !overwrite
        {
            return Err(Failure::plain(format!(
                "{}: process {pid} runs already; --overwrite-pidfile replaces the file",
                path.display()
            )));
        }
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| Failure::plain(format!("{}: {error}", path.display())))?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// `--detach`: the first process starts a second one that does the work, and ends when that is ready.
/// Whether this is the first one, whose work is done.
pub fn detach() -> Result<bool> {
    if std::env::var_os(DETACHED).is_some() {
        return Ok(false);
    }
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut words = std::env::args_os();
    let program = std::env::current_exe()?;
    let child = Command::new(program)
        .args(words.by_ref().skip(1))
        .env(DETACHED, "1")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .process_group(0)
        .spawn()?;
    let mut ready = [0];
    match ours.read(&mut ready) {
        Ok(1) => Ok(true),
        _ => {
            let status = child.wait_with_output()?.status;
            Err(Failure::Status(status.code().unwrap_or(1) as u8))
        }
    }
}

/// The process in the background is ready: the one that started it may end.
pub fn ready() -> Result<()> {
    if std::env::var_os(DETACHED).is_some() {
        let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
        UnixStream::from(socket).write_all(&[1])?;
    }
    Ok(())
}
