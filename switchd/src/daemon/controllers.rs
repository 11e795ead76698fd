//! Who speaks OpenFlow to a bridge: controllers that it dials, and sockets on which it listens.

use super::apply::LiveBridge;
use super::openflow::{self, DialerId, Origin, Peer};
use super::snoop::{Snoop, Tap};
use super::{Daemon, Event};
use crate::config::bridge::{Bridge, Controller};
use crate::stream::{self, SocketFile, Tls};
use crate::target::Target;
use datapath::control::{ConnId, ConnKind, ControllerSettings};
use ofp::types::Version;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// OpenFlow's port (IANA).
const PORT: u16 = 6653;
/// First pause before a controller is dialled again; it doubles up to `max_backoff`.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
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
    /// Who snoops.
    pub tap: Arc<Tap>,
    /// To the daemon.
    pub events: mpsc::Sender<Event>,
    /// Gives out connection numbers.
    pub numbers: Arc<AtomicU64>,
    /// What happens to connections.
    pub counters: Arc<openflow::Counters>,
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

impl Dialer {
    /// Whether it dials as a row says, whichever row that is.
    fn serves(&self, controller: &Controller, bridge: &Bridge) -> bool {
        let uuid = self.controller.uuid;
        let wanted = Controller {
            uuid,
            ..controller.clone()
        };
        self.controller == wanted && self.bridge == bridge.name && self.versions == bridge.protocols
    }
}

impl Peer {
    /// What a controller's row says of who is there; who has no row gets what it asks for.
    fn new(origin: Origin, controller: Option<&Controller>) -> Peer {
        Peer {
            kind: match controller.is_some_and(|c| c.is_primary) {
                true => ConnKind::Controller,
                false => ConnKind::Service,
            },
            origin,
            events: controller.is_none_or(|c| c.events),
            packet_in_limit: controller.and_then(|c| c.packet_in_limit),
        }
    }
    /// Whether a row says the same.
    fn is_of(&self, controller: Option<&Controller>) -> bool {
        *self == Peer::new(self.origin.clone(), controller)
    }
}

/// A listening socket; closed, and its file removed, when it is dropped.
pub struct Listener {
    /// Versions offered.
    pub versions: Vec<Version>,
    /// Who comes there.
    peer: Peer,
    task: AbortHandle,
    _file: Option<SocketFile>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Daemon {
    /// Dials, listens, hangs up: as the configuration says.
    pub fn set_controllers(&mut self) {
        let config = std::mem::take(&mut self.config);
        let mut missing: Vec<(&Controller, &Bridge)> = config
            .bridges
            .values()
            .flat_map(|bridge| bridge.controllers.values().map(move |c| (c, bridge)))
            .filter(|(controller, _)| !controller.target.is_passive())
            .collect();
        // Who configures the same target again gets a new row, but keeps the connection.
        let is_gone = |_: &DialerId, dialer: &mut Dialer| {
            let found = missing
                .iter()
                .position(|(controller, bridge)| dialer.serves(controller, bridge));
            let row = found.map(|index| missing.swap_remove(index).0.uuid);
            dialer.controller.uuid = row.unwrap_or(dialer.controller.uuid);
            row.is_none()
        };
        let gone = self.dialers.extract_if(.., is_gone);
        let conns: Vec<_> = gone.filter_map(|(_, dialer)| dialer.conn).collect();
        for conn in conns {
            self.closed(conn, "it is not configured any more");
        }
        for (controller, bridge) in missing {
            if self.bridges.contains_key(&bridge.name) {
                self.add_dialer(controller, bridge);
            }
        }
        for bridge in config.bridges.values() {
            self.set_listeners(bridge);
        }
        self.config = config;
    }

    fn add_dialer(&mut self, controller: &Controller, bridge: &Bridge) {
        let probe = controller.inactivity_probe_millis;
        let common = self.common(&bridge.name, &bridge.protocols, probe);
        let id = DialerId(self.numbers.fetch_add(1, Relaxed));
        let dialer = Dialer {
            controller: controller.clone(),
            bridge: bridge.name.clone(),
            versions: bridge.protocols.clone(),
            conn: None,
            since: Instant::now(),
            trouble: None,
            task: tokio::spawn(dial(
                Origin::Dialed(id),
                controller.clone(),
                common,
                self.tls.clone(),
            ))
            .abort_handle(),
        };
        self.dialers.insert(id, dialer);
    }

    /// The auxiliary connections that go with a main one (OpenFlow 1.3.5 section 6.3.6): of its version, to the
    /// same place, as long as what is returned lives.
    pub fn dial_auxiliaries(&self, main: ConnId, version: Version, origin: &Origin) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let dialer = match origin {
            Origin::Dialed(id) if version >= Version::V13 => self.dialers.get(id),
            _ => None,
        };
        if let Some(Dialer {
            controller, bridge, ..
        }) = dialer
        {
            for id in 1..=controller.auxiliaries {
                let probe = controller.inactivity_probe_millis;
                let common = self.common(bridge, &[version], probe);
                let origin = Origin::Auxiliary(main, id);
                tasks.spawn(dial(origin, controller.clone(), common, self.tls.clone()));
            }
        }
        tasks
    }

    /// Ends the connections to a bridge's controllers. They are dialled again.
    pub fn hang_up(&mut self, bridge: &str) {
        let of_bridge = self.dialers.values().filter(|d| d.bridge == bridge);
        let conns: Vec<_> = of_bridge.filter_map(|d| d.conn).collect();
        for conn in conns {
            self.closed(conn, "the bridge's datapath id changed");
        }
    }

    /// Tries again to listen where that failed.
    pub fn retry_listeners(&mut self) {
        let config = std::mem::take(&mut self.config);
        for bridge in config.bridges.values() {
            let has_failed = |live: &LiveBridge| live.error.is_some();
            if self.bridges.get(&bridge.name).is_some_and(has_failed) {
                self.set_listeners(bridge);
                self.report = true;
            }
        }
        self.config = config;
    }

    fn set_listeners(&mut self, bridge: &Bridge) {
        let management = self.rundir.file(&format!("{}.mgmt", bridge.name));
        let snoop = self.rundir.file(&format!("{}.snoop", bridge.name));
        let text = format!("punix:{}", management.display());
        let mut wanted = BTreeMap::from([(text, (Target::PassiveUnix(management), None))]);
        let passive = bridge.controllers.iter();
        let passive = passive.filter(|(_, c)| c.target.is_passive());
        wanted.extend(passive.map(|(text, c)| (text.clone(), (c.target.clone(), Some(c)))));
        let common = self.common(&bridge.name, &bridge.protocols, 0);
        let tls = self.tls.clone();
        let Some(live) = self.bridges.get_mut(&bridge.name) else {
            return;
        };
        let stays = |text: &String, listener: &mut Listener| {
            let is_same = |(_, c): &(_, Option<&Controller>)| listener.peer.is_of(*c);
            wanted.get(text).is_some_and(is_same) && listener.versions == bridge.protocols
        };
        live.listeners.retain(stays);
        let before = live.error.take();
        for (text, (target, controller)) in wanted {
            if live.listeners.contains_key(&text) {
                continue;
            }
            let origin = match controller {
                Some(_) => Origin::Accepted(text.as_str().into()),
                None => Origin::Management,
            };
            let peer = Peer::new(origin, controller);
            match listen(&target, peer, common.clone(), &bridge.protocols, &tls) {
                Ok(listener) => {
                    live.listeners.insert(text, listener);
                }
                Err(error) => {
                    live.error = Some(format!("cannot listen on {text}: {error}"));
                }
            }
        }
        if live.snoop.is_none() {
            match stream::Listener::bind(&Target::PassiveUnix(snoop), PORT, &tls) {
                Ok(listener) => live.snoop = Some(Snoop::start(listener, live.tap.clone())),
                Err(error) => live.error = Some(format!("cannot listen on {error}")),
            }
        }
        if let Some(error) = live.error.as_ref().filter(|_| live.error != before) {
            tracing::error!(bridge = bridge.name, error, "a socket is missing");
        }
    }

    fn common(&self, bridge: &str, versions: &[Version], probe_millis: u64) -> Common {
        let versions = if versions.is_empty() {
            Version::SUPPORTED
        } else {
            versions
        };
        let tap = self.bridges.get(bridge).map(|live| live.tap.clone());
        Common {
            bridge: bridge.into(),
            versions: versions.into(),
            probe: (probe_millis > 0).then(|| Duration::from_millis(probe_millis)),
            tap: tap.unwrap_or_default(),
            events: self.events.clone(),
            numbers: self.numbers.clone(),
            counters: self.openflow.clone(),
        }
    }

    /// A bridge whose controllers have all been away for three probe intervals is on its own
    /// (ovs-vswitchd.conf.db(5), `fail_mode`).
    pub fn follow_controllers(&mut self) {
        for (name, bridge) in &self.bridges {
            let mut dialers = self
                .dialers
                .values()
                .filter(|dialer| dialer.bridge == *name && dialer.controller.is_primary)
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
            let of_bridge = self
                .dialers
                .values()
                .filter(|dialer| dialer.bridge == *name);
            let configured = of_bridge.map(|dialer| ControllerSettings {
                uri: dialer.controller.target.to_string(),
                conn: dialer.conn,
            });
            self.switch
                .set_controllers(bridge.id, configured.collect(), &mut self.outputs);
        }
    }
}

/// Dials for ever.
async fn dial(origin: Origin, controller: Controller, common: Common, tls: Tls) {
    let backoff_max = Duration::from_millis(controller.max_backoff_millis);
    let mut backoff = BACKOFF_MIN;
    loop {
        let peer = Peer::new(origin.clone(), Some(&controller));
        let trouble = match stream::connect(&controller.target, PORT, &tls).await {
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
        match origin {
            Origin::Dialed(id) => {
                let event = openflow::Event::Trouble(id, trouble);
                if common.events.send(Event::OpenFlow(event)).await.is_err() {
                    return;
                }
            }
            _ => tracing::debug!(bridge = %common.bridge, trouble, "no auxiliary connection"),
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(backoff_max);
    }
}

fn listen(
    target: &Target,
    peer: Peer,
    common: Common,
    versions: &[Version],
    tls: &Tls,
) -> Result<Listener, String> {
    let (listener, file) = stream::Listener::bind(target, PORT, tls)?;
    let task = tokio::spawn(accept_loop(listener, peer.clone(), common));
    Ok(Listener {
        versions: versions.to_vec(),
        peer,
        task: task.abort_handle(),
        _file: file,
    })
}

/// Accepts for ever; connections end with the listener.
async fn accept_loop(listener: stream::Listener, peer: Peer, common: Common) {
    let mut open = tokio::task::JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((arrival, name)) if open.len() < SERVICE_LIMIT => {
                let (peer, common) = (peer.clone(), common.clone());
                open.spawn(async move {
                    match arrival.handshake().await {
                        Ok(stream) => openflow::converse(stream, peer, common).await,
                        Err(error) => {
                            tracing::warn!(bridge = %common.bridge, peer = name, error, "no TLS connection");
                            error
                        }
                    }
                });
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
