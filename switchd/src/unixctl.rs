//! The control socket of the stock `ovs-appctl`: JSON-RPC on `<rundir>/ovs-vswitchd.<pid>.ctl`.

use futures::StreamExt;
use ovsdb::jsonrpc::{Codec, Message};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::FramedRead;

/// Name and arguments of each command.
pub const COMMANDS: &[(&str, &str)] = &[
    ("coverage/show", ""),
    (
        "dpif-netdev/pmd-perf-show",
        "[-nh] [-it len] [-ms len] [-pmd core] [dp]",
    ),
    ("dpif-netdev/pmd-rxq-rebalance", "[dp]"),
    ("dpif-netdev/pmd-rxq-show", "[-pmd core] [-secs secs] [dp]"),
    ("dpif-netdev/pmd-stats-clear", "[-pmd core] [dp]"),
    ("dpif-netdev/pmd-stats-show", "[-pmd core] [dp]"),
    ("exit", "[--cleanup]"),
    ("fdb/flush", "[bridge]"),
    ("fdb/show", "bridge"),
    ("fragment/show", ""),
    ("list-commands", ""),
    (
        "ofproto/trace",
        "bridge flow [packet] [--generate] [--names] [--l7 hex] [--l7-len n] [--frames] [--json]",
    ),
    (
        "ofproto/trace-packet-out",
        "bridge flow [packet] [options] actions",
    ),
    ("tnl/ports/show", "[-v]"),
    ("tunnel/show", "[port]"),
    ("version", ""),
    ("worker/show", "[--json]"),
];

/// A command.
pub struct Request {
    /// Its name.
    pub method: String,
    /// Its arguments.
    pub args: Vec<String>,
    reply: oneshot::Sender<Result<String, String>>,
}

impl Request {
    /// Answers it; a client that is gone does not mind.
    pub fn answer(self, answer: Result<String, String>) {
        let _ = self.reply.send(answer);
    }
}

/// The listening socket; its file goes when it is dropped.
pub struct Socket {
    path: PathBuf,
    task: tokio::task::AbortHandle,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Listens; commands go to `requests`.
pub fn listen(
    path: &Path,
    requests: mpsc::Sender<crate::daemon::Event>,
) -> std::io::Result<Socket> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, requests.clone()));
        }
    });
    Ok(Socket {
        path: path.to_owned(),
        task: task.abort_handle(),
    })
}

async fn converse(stream: UnixStream, requests: mpsc::Sender<crate::daemon::Event>) {
    let (input, mut output) = stream.into_split();
    let mut messages = FramedRead::new(input, Codec::default());
    while let Some(Ok(message)) = messages.next().await {
        let Message::Request { id, method, params } = message else {
            continue;
        };
        let args = params
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let (reply, answer) = oneshot::channel();
        let request = Request {
            method,
            args,
            reply,
        };
        if requests
            .send(crate::daemon::Event::Command(request))
            .await
            .is_err()
        {
            return;
        }
        let (result, error) = match answer.await {
            Ok(Ok(text)) => (Value::String(text), Value::Null),
            // `ovs-appctl` prints it as it is.
            Ok(Err(text)) => (Value::Null, Value::String(text + "\n")),
            Err(_) => return,
        };
        let reply = serde_json::json!({ "id": id, "result": result, "error": error });
        if output
            .write_all(reply.to_string().as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}
