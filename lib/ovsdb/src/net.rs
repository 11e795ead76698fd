//! The rim of the server: listeners and connections on tokio, each a task; the owner of the [`Server`] gets their events
//! from one channel and drives it. Works on a current-thread runtime. What a client may leave unread is bounded.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::codec::FramedRead;

use crate::database::CommitHook;
use crate::jsonrpc::{Codec, Message};
use crate::server::{Output, Server, SessionId};

/// How many events the channel between connections and owner should hold; when it is full, connections wait.
pub const EVENT_CHANNEL_LEN: usize = 256;

/// The limit of [`Connections::default`]. The first answer with a thousand ports has some 2 MB.
pub const UNREAD_LIMIT_BYTES: usize = 64 << 20;

/// Something happened on a connection.
#[derive(Debug)]
pub enum Event {
    /// A client connected.
    Opened(SessionId, Connection),
    /// It sent a message.
    Received(SessionId, Message),
    /// It is gone, or sent what is not JSON-RPC.
    Closed(SessionId, String),
}

/// The owner's end of a connection.
#[derive(Debug)]
pub struct Connection {
    peer: String,
    queue: mpsc::UnboundedSender<Vec<u8>>,
    unread_bytes: Arc<AtomicUsize>,
    task: AbortHandle,
}

/// A listening socket; dropping it closes it, and removes a unix socket's file. Its connections live on.
#[derive(Debug)]
pub struct Listener {
    task: AbortHandle,
    path: Option<PathBuf>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(path) = &self.path {
            // It may be gone already; there is nobody to tell.
            let _ = fs::remove_file(path);
        }
    }
}

/// Listens on a unix socket. A file that a dead process left is replaced; a live one is an error.
pub fn listen_unix(path: &Path, events: mpsc::Sender<Event>) -> io::Result<Listener> {
    if fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            let text = format!("{}: another process listens here", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o770))?;
    let name = path.display().to_string();
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => open(format!("unix:{name}"), stream, &events).await,
                Err(error) => pause(&name, &error).await,
            }
        }
    });
    Ok(Listener {
        task: task.abort_handle(),
        path: Some(path.to_owned()),
    })
}

/// Listens on a TCP address; also gives the address with the port that was chosen.
pub async fn listen_tcp(
    address: std::net::SocketAddr,
    events: mpsc::Sender<Event>,
) -> io::Result<(Listener, std::net::SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Small messages back and forth: waiting for more to send only costs time.
                    let _ = stream.set_nodelay(true);
                    open(format!("tcp:{peer}"), stream, &events).await;
                }
                Err(error) => pause(&local.to_string(), &error).await,
            }
        }
    });
    Ok((
        Listener {
            task: task.abort_handle(),
            path: None,
        },
        local,
    ))
}

/// Out of file descriptors, most likely: do not spin.
async fn pause(name: &str, error: &io::Error) {
    tracing::warn!(listener = name, %error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Starts the task of a connection and announces it. Also for connections that we made ourselves (managers).
pub async fn open<S>(peer: String, stream: S, events: &mpsc::Sender<Event>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let session = SessionId(NEXT.fetch_add(1, Ordering::Relaxed));
    let (queue, queued) = mpsc::unbounded_channel();
    let unread_bytes = Arc::new(AtomicUsize::new(0));
    // The task begins with its first message only after `Opened` is in the channel.
    let (start, started) = tokio::sync::oneshot::channel::<()>();
    let task = {
        let (events, unread_bytes) = (events.clone(), unread_bytes.clone());
        tokio::spawn(async move {
            if started.await.is_ok() {
                let reason = converse(session, stream, queued, unread_bytes, &events).await;
                // The owner may be gone: then nobody needs to know.
                let _ = events.send(Event::Closed(session, reason)).await;
            }
        })
    };
    let connection = Connection {
        peer,
        queue,
        unread_bytes,
        task: task.abort_handle(),
    };
    if events
        .send(Event::Opened(session, connection))
        .await
        .is_ok()
    {
        let _ = start.send(());
    }
}

/// Reads until the client ends or errs, writes what the owner queues; says why it ended.
async fn converse<S: AsyncRead + AsyncWrite>(
    session: SessionId,
    stream: S,
    mut queued: mpsc::UnboundedReceiver<Vec<u8>>,
    unread_bytes: Arc<AtomicUsize>,
    events: &mpsc::Sender<Event>,
) -> String {
    let (input, mut output) = tokio::io::split(stream);
    let mut messages = FramedRead::new(input, Codec::default());
    let read = async {
        while let Some(message) = messages.next().await {
            if events
                .send(Event::Received(session, message?))
                .await
                .is_err()
            {
                return Ok("the server ends");
            }
        }
        Ok("closed by the client")
    };
    let write = async {
        while let Some(bytes) = queued.recv().await {
            // TLS keeps what the socket does not take until it is flushed.
            let written = async {
                output.write_all(&bytes).await?;
                output.flush().await
            };
            let written = written.await;
            unread_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
            written?;
        }
        Ok("closed by the server")
    };
    let ended: io::Result<&str> = tokio::select! {
        ended = read => ended,
        ended = write => ended,
    };
    match ended {
        Ok(reason) => reason.into(),
        Err(error) => {
            if error.kind() == io::ErrorKind::InvalidData {
                tracing::warn!(session = session.0, %error, "a database client sent what is not JSON-RPC");
                farewell(&mut output, &error).await;
            }
            error.to_string()
        }
    }
}

/// Tells a client what was wrong with its input, as far as it listens; there is no request id to answer to.
async fn farewell(output: &mut (impl AsyncWrite + Unpin), error: &io::Error) {
    let text = Message::error(
        serde_json::Value::Null,
        &crate::Error::syntax(error.to_string()),
    );
    let bytes = text.to_json().to_string();
    let sent =
        tokio::time::timeout(Duration::from_secs(1), output.write_all(bytes.as_bytes())).await;
    if let Ok(Err(error)) = sent {
        tracing::debug!(%error, "the client is gone already");
    }
}

/// The connections of a server, kept by its owner beside it.
#[derive(Debug)]
pub struct Connections {
    by_session: HashMap<SessionId, Connection>,
    unread_limit_bytes: usize,
    /// Clients that were disconnected because they did not read.
    pub overrun: u64,
}

impl Default for Connections {
    fn default() -> Self {
        Self::new(UNREAD_LIMIT_BYTES)
    }
}

impl Connections {
    /// Without connections; a client that leaves more than the limit unread is disconnected.
    pub fn new(unread_limit_bytes: usize) -> Self {
        Self {
            by_session: HashMap::new(),
            unread_limit_bytes,
            overrun: 0,
        }
    }

    /// Takes an event from the channel to the server. Call [`Connections::flush`] after a batch of them.
    pub fn handle<H: CommitHook>(&mut self, server: &mut Server<H>, now: Instant, event: Event) {
        match event {
            Event::Opened(session, connection) => match server.connect(session) {
                Ok(()) => {
                    tracing::debug!(peer = connection.peer, "database client connected");
                    self.by_session.insert(session, connection);
                }
                Err(error) => {
                    tracing::warn!(peer = connection.peer, %error, "database client refused");
                    connection.task.abort();
                }
            },
            Event::Received(session, message) => server.handle(now, session, message),
            Event::Closed(session, reason) => {
                if let Some(connection) = self.by_session.remove(&session) {
                    tracing::debug!(peer = connection.peer, reason, "database client is gone");
                    server.disconnect(session);
                }
            }
        }
    }

    /// Sends what the server has to say, after it made it durable.
    pub fn flush<H: CommitHook>(&mut self, server: &mut Server<H>) {
        for output in server.outputs() {
            match output {
                Output::Send(session, message) => self.send(server, session, &message),
                Output::Close(session, reason) => {
                    if let Some(connection) = self.by_session.remove(&session) {
                        tracing::warn!(
                            peer = connection.peer,
                            reason,
                            "closing a database connection"
                        );
                        connection.task.abort();
                    }
                }
            }
        }
    }

    fn send<H: CommitHook>(
        &mut self,
        server: &mut Server<H>,
        session: SessionId,
        message: &Message,
    ) {
        let Some(connection) = self.by_session.get(&session) else {
            return;
        };
        let bytes = message.to_json().to_string().into_bytes();
        let unread = connection
            .unread_bytes
            .fetch_add(bytes.len(), Ordering::Relaxed);
        if unread > 0 && unread + bytes.len() > self.unread_limit_bytes {
            tracing::warn!(
                peer = connection.peer,
                unread,
                "a database client does not read; closing its connection"
            );
            connection.task.abort();
            self.by_session.remove(&session);
            self.overrun += 1;
            server.disconnect(session);
            return;
        }
        // An error means that the connection is ending; its `Closed` is on the way.
        let _ = connection.queue.send(bytes);
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.by_session.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.by_session.is_empty()
    }
}

/// Serves until all senders of events are gone: for programs that do nothing else. A daemon with more to do
/// puts the same three calls ([`Connections::handle`], [`Server::tick`], [`Connections::flush`]) into its own loop.
pub async fn serve<H: CommitHook>(server: &mut Server<H>, events: &mut mpsc::Receiver<Event>) {
    let mut connections = Connections::default();
    loop {
        let deadline = server.next_deadline();
        let timer = async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => connections.handle(server, Instant::now(), event),
                None => return,
            },
            () = timer => server.tick(Instant::now()),
        }
        // Everything that is here already shares one fsync.
        for _ in 0..EVENT_CHANNEL_LEN {
            let Ok(event) = events.try_recv() else { break };
            connections.handle(server, Instant::now(), event);
        }
        connections.flush(server);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::server::Limits;

    struct Bench {
        server: Server,
        connections: Connections,
        sender: mpsc::Sender<Event>,
        events: mpsc::Receiver<Event>,
    }

    impl Bench {
        fn new(limits: Limits) -> Self {
            let (sender, events) = mpsc::channel(EVENT_CHANNEL_LEN);
            Self {
                server: Server::new((), limits),
                connections: Connections::new(10_000),
                sender,
                events,
            }
        }

        async fn connect(&mut self) -> tokio::io::DuplexStream {
            let (client, ours) = tokio::io::duplex(1000);
            open("test".into(), ours, &self.sender).await;
            self.step().await;
            client
        }

        async fn step(&mut self) {
            let event = self.events.recv().await.expect("an event");
            self.connections
                .handle(&mut self.server, Instant::now(), event);
            self.connections.flush(&mut self.server);
        }
    }

    fn echo(size: usize) -> Vec<u8> {
        Message::request(1, "echo", vec![json!("x".repeat(size))])
            .to_json()
            .to_string()
            .into_bytes()
    }

    /// As a TLS stream does when its socket is full.
    #[tokio::test]
    async fn what_a_stream_keeps_back_is_flushed() {
        let mut bench = Bench::new(Limits::default());
        let (mut client, ours) = tokio::io::duplex(1000);
        let kept = tokio::io::BufWriter::new(ours);
        open("test".into(), kept, &bench.sender).await;
        bench.step().await;
        client.write_all(&echo(10)).await.expect("writes");
        bench.step().await;
        let mut answer = [0; 10];
        let read = tokio::time::timeout(Duration::from_secs(5), client.read_exact(&mut answer));
        assert!(read.await.is_ok_and(|read| read.is_ok()), "no answer");
    }

    /// It may leave one large answer unread, but not more and more of them; others are served on.
    #[tokio::test]
    async fn a_client_that_does_not_read_is_disconnected() {
        let mut bench = Bench::new(Limits::default());
        let (mut deaf, mut good) = (bench.connect().await, bench.connect().await);
        for _ in 0..20 {
            if bench.connections.overrun == 0 {
                deaf.write_all(&echo(900)).await.expect("writes");
                bench.step().await;
            }
        }
        assert_eq!(
            (
                bench.connections.overrun,
                bench.connections.len(),
                bench.server.session_count()
            ),
            (1, 1, 1)
        );
        good.write_all(&echo(10)).await.expect("writes");
        bench.step().await;
        let mut answer = [0; 20];
        good.read_exact(&mut answer).await.expect("is answered");
    }

    #[tokio::test]
    async fn sessions_are_limited_and_end() {
        let mut bench = Bench::new(Limits {
            sessions: 1,
            ..Limits::default()
        });
        let first = bench.connect().await;
        let mut second = bench.connect().await;
        assert_eq!(second.read(&mut [0]).await.expect("closed"), 0);
        drop(first);
        bench.step().await;
        assert!(bench.connections.is_empty() && bench.server.session_count() == 0);
        bench.connect().await;
        assert_eq!(bench.connections.len(), 1);
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let path = std::env::temp_dir().join(format!("ovsdb-net-{}.sock", std::process::id()));
        drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
        let (sender, _events) = mpsc::channel(1);
        let listener = listen_unix(&path, sender.clone()).expect("replaces the dead one");
        let error = listen_unix(&path, sender).expect_err("is in use");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
    }
}
