//! Who speaks OpenFlow to a bridge: controllers that it dials, and sockets on which it listens.

use super::openflow::{self, Peer};
use super::{Daemon, Event};
use crate::config::bridge::Controller;
use crate::target::Target;
use datapath::control::ConnKind;
use ofp::types::Version;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// OpenFlow's port (IANA).
const PORT: u16 = 6653;
/// First pause before a controller is dialled again; it doubles up to `max_backoff`.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest a connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections to one bridge at a time, besides its controllers.
const SERVICE_LIMIT: usize = 128;

/// What all connections of a bridge have in common.
#[derive(Clone)]
pub struct Common {
    /// Name of the bridge.
    pub bridge: Arc<str>,
    /// Versions to offer.
    pub versions: Arc<[Version]>,
    /// Echo after this much silence; `None`: never.
    pub probe: Option<Duration>,
    /// To the daemon.
    pub events: mpsc::Sender<Event>,
    /// Gives out connection numbers.
    pub numbers: Arc<AtomicU64>,
}

/// A controller that is dialled until it is dropped.
pub struct Dialer {
    /// As configured.
    pub controller: Controller,
    /// Name of its bridge.
    pub bridge: String,
    /// Versions offered.
    pub versions: Vec<Version>,
    /// The connection, while there is one.
    pub conn: Option<datapath::control::ConnId>,
    /// Since when it is as it is.
    pub since: Instant,
    /// The last trouble.
    pub trouble: Option<String>,
    task: AbortHandle,
}

impl Drop for Dialer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listening socket; closed, and its file removed, when it is dropped.
pub struct Listener {
    /// Versions offered.
    pub versions: Vec<Version>,
    task: AbortHandle,
    file: Option<std::path::PathBuf>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Daemon {
    /// Dials, listens, hangs up: as the configuration says.
    pub fn set_controllers(&mut self) {
        let config = self.config.clone();
        let wanted: BTreeMap<_, _> = config
            .bridges
            .values()
            .flat_map(|bridge| {
                bridge
                    .controllers
                    .values()
                    .map(move |controller| (controller, bridge))
            })
            .filter(|(controller, _)| !controller.target.is_passive())
            .map(|(controller, bridge)| (controller.uuid, (controller, bridge)))
            .collect();
        let is_wanted = |uuid: &ovsdb::Uuid, dialer: &Dialer| {
            wanted.get(uuid).is_some_and(|(controller, bridge)| {
                **controller == dialer.controller && bridge.protocols == dialer.versions
            })
        };
        let gone = self
            .dialers
            .extract_if(.., |uuid, dialer| !is_wanted(uuid, dialer));
        let conns: Vec<_> = gone.filter_map(|(_, dialer)| dialer.conn).collect();
        conns
            .into_iter()
            .for_each(|conn| self.closed(conn, "it is not configured any more"));
        for (uuid, (controller, bridge)) in wanted {
            if !self.dialers.contains_key(&uuid) && self.bridges.contains_key(&bridge.name) {
                let common = self.common(
                    &bridge.name,
                    &bridge.protocols,
                    controller.inactivity_probe_millis,
                );
                let task = tokio::spawn(dial(controller.clone(), common)).abort_handle();
                let dialer = Dialer {
                    controller: controller.clone(),
                    bridge: bridge.name.clone(),
                    versions: bridge.protocols.clone(),
                    conn: None,
                    since: Instant::now(),
                    trouble: None,
                    task,
                };
                self.dialers.insert(uuid, dialer);
            }
        }
        for bridge in config.bridges.values() {
            self.set_listeners(bridge);
        }
    }

    fn set_listeners(&mut self, bridge: &crate::config::bridge::Bridge) {
        let management = self.rundir.file(&format!("{}.mgmt", bridge.name));
        let mut wanted = BTreeMap::from([(
            format!("punix:{}", management.display()),
            Target::PassiveUnix(management),
        )]);
        let passive = bridge
            .controllers
            .iter()
            .filter(|(_, c)| c.target.is_passive());
        wanted.extend(passive.map(|(text, c)| (text.clone(), c.target.clone())));
        let common = self.common(&bridge.name, &bridge.protocols, 0);
        let Some(live) = self.bridges.get_mut(&bridge.name) else {
            return;
        };
        live.listeners
            .retain(|text, l| wanted.contains_key(text) && l.versions == bridge.protocols);
        live.error = None;
        for (text, target) in wanted {
            if live.listeners.contains_key(&text) {
                continue;
            }
            match listen(&target, common.clone()) {
                Ok(mut listener) => {
                    listener.versions = bridge.protocols.clone();
                    live.listeners.insert(text, listener);
                }
                Err(error) => {
                    tracing::error!(bridge = bridge.name, target = text, error, "cannot listen");
                    live.error = Some(format!("cannot listen on {text}: {error}"));
                }
            }
        }
    }

    fn common(&self, bridge: &str, versions: &[Version], probe_millis: u64) -> Common {
        let versions = if versions.is_empty() {
            Version::SUPPORTED
        } else {
            versions
        };
        Common {
            bridge: bridge.into(),
            versions: versions.into(),
            probe: (probe_millis > 0).then(|| Duration::from_millis(probe_millis)),
            events: self.events.clone(),
            numbers: self.numbers.clone(),
        }
    }

    /// A bridge whose controllers have all been away for three probe intervals is on its own
    /// (ovs-vswitchd.conf.db(5), `fail_mode`).
    pub fn follow_controllers(&mut self) {
        for (name, bridge) in &self.bridges {
            let mut dialers = self
                .dialers
                .values()
                .filter(|dialer| dialer.bridge == *name)
                .peekable();
            let is_away = |dialer: &Dialer| {
                let probe = match dialer.controller.inactivity_probe_millis {
                    0 => 5_000,
                    millis => millis,
                };
                dialer.conn.is_none() && dialer.since.elapsed() >= Duration::from_millis(3 * probe)
            };
            let alone = dialers.peek().is_some() && dialers.all(is_away);
            self.switch.set_fail_open(bridge.id, alone);
        }
    }
}

/// Dials for ever.
async fn dial(controller: Controller, common: Common) {
    let backoff_max = Duration::from_millis(controller.max_backoff_millis);
    let mut backoff = BACKOFF_MIN;
    loop {
        let peer = Peer {
            kind: ConnKind::Controller,
            controller: Some(controller.uuid),
        };
        let trouble = match connect(&controller.target).await {
            Ok(stream) => {
                let started = Instant::now();
                let reason = openflow::converse(stream, peer, common.clone()).await;
                if started.elapsed() > Duration::from_secs(1) {
                    backoff = BACKOFF_MIN;
                }
                reason
            }
            Err(error) => error,
        };
        let event = openflow::Event::Trouble(controller.uuid, trouble);
        if common.events.send(Event::OpenFlow(event)).await.is_err() {
            return;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(backoff_max);
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(target: &Target) -> Result<Box<dyn Stream>, String> {
    let attempt = async {
        match target {
            Target::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?) as Box<dyn Stream>),
            _ => {
                let address = target
                    .socket(PORT)
                    .ok_or(std::io::ErrorKind::InvalidInput)?;
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream) as Box<dyn Stream>)
            }
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(std::io::Error::to_string(&error)),
        Err(_) => Err("no answer".into()),
    }
}

fn listen(target: &Target, common: Common) -> Result<Listener, String> {
    let peer = Peer {
        kind: ConnKind::Service,
        controller: None,
    };
    let (task, file) = match target {
        Target::PassiveUnix(path) => {
            let listener = bind_unix(path)?;
            (
                tokio::spawn(accept_loop(UnixAccept(listener), peer, common)),
                Some(path.clone()),
            )
        }
        _ => {
            let address = target.socket(PORT).ok_or("not a listening target")?;
            let listener =
                std::net::TcpListener::bind(address).map_err(|error| error.to_string())?;
            listener
                .set_nonblocking(true)
                .map_err(|error| error.to_string())?;
            let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
            (
                tokio::spawn(accept_loop(TcpAccept(listener), peer, common)),
                None,
            )
        }
    };
    Ok(Listener {
        versions: Vec::new(),
        task: task.abort_handle(),
        file,
    })
}

/// Binds, over a file that a dead process left; one that somebody listens on is an error.
fn bind_unix(path: &Path) -> Result<UnixListener, String> {
    use std::os::unix::fs::FileTypeExt;
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(format!("{}: another process listens here", path.display()));
        }
        let _ = std::fs::remove_file(path);
    }
    UnixListener::bind(path).map_err(|error| format!("{}: {error}", path.display()))
}

struct UnixAccept(UnixListener);
struct TcpAccept(TcpListener);

trait Accept: Send {
    type Stream: Stream + 'static;
    fn accept(&self) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

impl Accept for UnixAccept {
    type Stream = UnixStream;
    async fn accept(&self) -> std::io::Result<UnixStream> {
        Ok(self.0.accept().await?.0)
    }
}

impl Accept for TcpAccept {
    type Stream = TcpStream;
    async fn accept(&self) -> std::io::Result<TcpStream> {
        let (stream, _) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Accepts for ever; connections end with the listener.
async fn accept_loop<A: Accept>(listener: A, peer: Peer, common: Common) {
    let mut open = tokio::task::JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok(stream) if open.len() < SERVICE_LIMIT => {
                let (peer, common) = (peer.clone(), common.clone());
                open.spawn(async move { openflow::converse(stream, peer, common).await });
            }
            Ok(_) => {
                tracing::warn!(bridge = %common.bridge, limit = SERVICE_LIMIT, "too many connections; one was refused")
            }
            // Out of file descriptors, most likely: do not spin.
            Err(error) => {
                tracing::warn!(bridge = %common.bridge, %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
