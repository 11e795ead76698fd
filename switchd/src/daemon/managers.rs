//! Managers: further places from which the database is reached, as `manager_options` says. Listening
//! sockets, and clients that the daemon dials by itself.

use super::{DATABASE_PORT, Daemon};
use crate::stream::{self, SocketFile, Tls};
use crate::target::Target;
use ovsdb::net;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Pause before a manager is dialled again.
const REDIAL: Duration = Duration::from_secs(1);

/// A manager; its socket or its dialling ends when it is dropped. Open connections live on.
pub struct Manager {
    task: AbortHandle,
    _file: Option<SocketFile>,
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Daemon {
    /// Listens and dials as the configuration says. What cannot be listened on is said in the log, and
    /// in the Manager's `status`.
    pub fn set_managers(&mut self) {
        let wanted: BTreeMap<String, (ovsdb::Uuid, Target)> = self.config.managers.clone();
        self.managers.retain(|text, _| wanted.contains_key(text));
        for (text, (uuid, target)) in wanted {
            if self.managers.contains_key(&text) {
                continue;
            }
            match open(&target, self.db_events.clone(), &self.tls) {
                Ok(manager) => {
                    self.manager_trouble.remove(&uuid);
                    self.managers.insert(text, manager);
                }
                Err(error) => {
                    tracing::error!(target = text, error, "cannot listen for managers");
                    self.manager_trouble.insert(uuid, error);
                    self.report = true;
                }
            }
        }
    }
}

/// Listens, or dials, for the database.
pub fn open(
    target: &Target,
    events: mpsc::Sender<net::Event>,
    tls: &Tls,
) -> Result<Manager, String> {
    let (task, file) = if target.is_passive() {
        let (listener, file) = stream::Listener::bind(target, DATABASE_PORT, tls)?;
        (tokio::spawn(accept(listener, events)), file)
    } else {
        let task = tokio::spawn(dial(target.clone(), events, tls.clone()));
        (task, None)
    };
    Ok(Manager {
        task: task.abort_handle(),
        _file: file,
    })
}

/// Accepts for ever.
async fn accept(listener: stream::Listener, events: mpsc::Sender<net::Event>) {
    loop {
        match listener.accept().await {
            Ok((arrival, name)) => {
                let events = events.clone();
                tokio::spawn(async move {
                    match arrival.handshake().await {
                        Ok(stream) => net::open(name, stream, &events).await,
                        Err(error) => tracing::warn!(peer = name, error, "no TLS connection"),
                    }
                });
            }
            // Out of file descriptors, most likely: do not spin.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a database client");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Dials for ever, one connection at a time.
async fn dial(target: Target, events: mpsc::Sender<net::Event>, tls: Tls) {
    loop {
        match stream::connect(&target, DATABASE_PORT, &tls).await {
            Ok(stream) => {
                let (done, ended) = oneshot::channel();
                let watched = Watched {
                    stream,
                    _done: done,
                };
                net::open(target.to_string(), watched, &events).await;
                // Ends, with an error, when the stream is dropped.
                let _ = ended.await;
            }
            Err(error) => tracing::debug!(%target, error, "cannot reach a manager"),
        }
        tokio::time::sleep(REDIAL).await;
    }
}

/// A stream that tells when it is dropped.
struct Watched<S> {
    stream: S,
    _done: oneshot::Sender<()>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
