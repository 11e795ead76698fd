//! Managers: further places from which the database is reached, as `manager_options` says. Listening
//! sockets, and clients that the daemon dials by itself.

use super::{DATABASE_PORT, Daemon};
use crate::target::Target;
use ovsdb::net;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Pause before a manager is dialled again.
const REDIAL: Duration = Duration::from_secs(1);

/// A manager; its socket or its dialling ends when it is dropped. Open connections live on.
pub enum Manager {
    /// Listens.
    Listener { _listener: net::Listener },
    /// Dials.
    Dialer(AbortHandle),
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Manager::Dialer(task) = self {
            task.abort();
        }
    }
}

impl Daemon {
    /// Listens and dials as the configuration says. What cannot be listened on is said in the log, and
    /// in the Manager's `status`.
    pub async fn set_managers(&mut self) {
        let wanted: BTreeMap<String, (ovsdb::Uuid, Target)> = self.config.managers.clone();
        self.managers.retain(|text, _| wanted.contains_key(text));
        for (text, (uuid, target)) in wanted {
            if self.managers.contains_key(&text) {
                continue;
            }
            match open(&target, self.db_events.clone()).await {
                Ok(manager) => {
                    self.manager_trouble.remove(&uuid);
                    self.managers.insert(text, manager);
                }
                Err(error) => {
                    tracing::error!(target = text, %error, "cannot listen for managers");
                    self.manager_trouble.insert(uuid, error.to_string());
                }
            }
        }
    }
}

async fn open(target: &Target, events: mpsc::Sender<net::Event>) -> std::io::Result<Manager> {
    Ok(match (target, target.socket(DATABASE_PORT)) {
        (Target::PassiveUnix(path), _) => Manager::Listener {
            _listener: net::listen_unix(path, events)?,
        },
        (Target::PassiveTcp(..), Some(address)) => Manager::Listener {
            _listener: net::listen_tcp(address, events).await?.0,
        },
        _ => Manager::Dialer(tokio::spawn(dial(target.clone(), events)).abort_handle()),
    })
}

/// Dials for ever, one connection at a time.
async fn dial(target: Target, events: mpsc::Sender<net::Event>) {
    loop {
        let (done, ended) = oneshot::channel();
        let opened = match &target {
            Target::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => {
                    net::open(
                        format!("unix:{}", path.display()),
                        Watched {
                            stream,
                            _done: done,
                        },
                        &events,
                    )
                    .await;
                    true
                }
                Err(_) => false,
            },
            target => match target.socket(DATABASE_PORT) {
                Some(address) => match TcpStream::connect(address).await {
                    Ok(stream) => {
                        net::open(
                            format!("tcp:{address}"),
                            Watched {
                                stream,
                                _done: done,
                            },
                            &events,
                        )
                        .await;
                        true
                    }
                    Err(_) => false,
                },
                None => return,
            },
        };
        if opened {
            // Ends, with an error, when the stream is dropped.
            let _ = ended.await;
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
