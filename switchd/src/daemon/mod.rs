//! The daemon's state and its loop. Everything that happens (a database client, a controller, a worker,
//! the kernel, the clock) is one event; all events that are there are handled, then the changes are
//! published to the workers at once, then what waited for that is sent.

mod apply;
mod check;
mod controllers;
mod events;
mod hosts;
mod managers;
mod openflow;
mod pmd;
mod ports;
mod show;
mod snoop;
mod status;
mod trace;

use crate::args::Args;
use crate::clock::Clock;
use crate::config::{Config, Global};
use crate::home::Home;
use crate::kernel::{Changes, Kernel, Notifications};
use crate::pmtu;
use crate::rundir::RunDir;
use crate::stream::Tls;
use crate::underlay::{Host, Underlay};
use crate::unixctl;
use crate::workers::{Context, Workers, secret};
use apply::LiveBridge;
use check::Check;
use controllers::Dialer;
use datapath::control::{ConnId, Output, Switch};
use datapath::model::BridgeId;
use datapath::model::stats::Stats;
use dpdk::Mempools;
use dpdk::poll::{Poll, Waker};
use hosts::LiveHost;
use managers::Manager;
use openflow::{Conn, DialerId};
use ovsdb::net::{self, Connections};
use ovsdb::{Database, Server};
use ports::LivePort;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Name of the database.
pub const DATABASE: &str = "Open_vSwitch";
/// OVSDB's port (IANA).
const DATABASE_PORT: u16 = 6640;
/// Events of one kind handled before the others get their turn.
const BATCH: usize = 256;
/// A turn of events ends after this time, too: most are quick, but who asks for all flows may ask often.
const TURN: Duration = Duration::from_millis(20);
/// What controllers change becomes visible together, at most this long after the first of it, if none of them waits for
/// it: each publication makes workers look again whether what they remember is still true.
const PUBLISH_PAUSE: Duration = Duration::from_millis(5);
/// Events that may wait; who has more waits, and its peer.
const EVENTS: usize = 4096;
/// Turns that tasks get at the end, for what they still have to write.
const LAST_TURNS: usize = 8;
/// Routes are asked for again this long after the kernel spoke of a change: one dump instead of many.
const ROUTING_PAUSE: Duration = Duration::from_millis(20);
/// The same for links.
const LINK_PAUSE: Duration = Duration::from_millis(2);

/// Events for the daemon's loop, from its tasks.
pub enum Event {
    /// From an OpenFlow connection.
    OpenFlow(openflow::Event),
    /// From the kernel.
    Kernel(Changes),
    /// A packet to there was too big for a router.
    PathMtu(IpAddr),
    /// A command on the control socket, and where its answer goes.
    Command(unixctl::Request),
}

/// The daemon.
pub struct Daemon {
    args: Args,
    rundir: RunDir,
    clock: Clock,
    /// Where the workers are not, all others are.
    home: Home,
    switch: Switch,
    stats: Stats,
    server: Server<Check>,
    clients: Connections,
    workers: Workers,
    pools: Arc<Mempools>,
    kernel: Kernel,
    underlay: Underlay,
    /// The configuration that was applied last.
    config: Config,
    bridges: BTreeMap<String, LiveBridge>,
    ports: BTreeMap<String, LivePort>,
    /// The host's own sockets, for tunnels that the kernel routes.
    hosts: BTreeMap<Host, LiveHost>,
    /// Who hears of ICMP errors, by IP protocol.
    path_mtu: BTreeMap<u8, pmtu::Watch>,
    conns: HashMap<ConnId, Conn>,
    dialers: BTreeMap<DialerId, Dialer>,
    managers: BTreeMap<String, Manager>,
    /// For `ssl:` and `pssl:`.
    tls: Tls,
    manager_trouble: HashMap<ovsdb::Uuid, String>,
    /// To this loop, from database connections.
    db_events: mpsc::Sender<net::Event>,
    numbers: Arc<AtomicU64>,
    openflow: Arc<openflow::Counters>,
    outputs: Vec<Output>,
    /// The host's addresses, and the bridges that were told.
    addresses: Vec<IpAddr>,
    addresses_of: HashSet<BridgeId>,
    events: mpsc::Sender<Event>,
    /// The workers are told of changes then.
    publish_due: Option<Instant>,
    routing_due: Option<Instant>,
    /// After a notification.
    routing_pause: Duration,
    links_due: Option<Instant>,
    /// States changed that the database is to say.
    report: bool,
    /// Set when the loop is to end.
    exit: Option<Result<(), String>>,
    said_no_effect: Vec<String>,
}

/// What `Daemon::new` needs from `main`.
pub struct Start {
    /// The command line.
    pub args: Args,
    /// The directory, taken.
    pub rundir: RunDir,
    /// The database and its file.
    pub database: (Database, ovsdb::log::Log),
    /// Where frames come from.
    pub pools: Arc<Mempools>,
    /// A sentence on DPDK.
    pub dpdk: String,
    /// The CPUs that were ours.
    pub home: Home,
    /// Caught since before anything was made that would stay behind.
    pub signals: Signals,
}

/// The signals that end the daemon.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches them from now on. Needs a tokio runtime.
    pub fn catch() -> Result<Signals, String> {
        let catch = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
        Ok(Signals {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
        })
    }
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Daemon {
    /// Starts workers and tasks; then the loop, until SIGTERM, SIGINT or `exit`.
    pub async fn run(start: Start) -> Result<(), String> {
        let clock = Clock::start();
        let stats = Stats::default();
        let mut switch = Switch::new(stats.clone(), secret());
        let mut server = Server::new(Check::default(), Default::default());
        let (db, log) = start.database;
        for problem in server.hook.load(&db) {
            tracing::error!(%problem, "the database has a row that cannot work");
        }
        server.host(db, Some(log));
        let config = server.hook.take().unwrap_or_default();
        let wake = Poll::new().map_err(|e| e.to_string())?;
        let workers = start_workers(
            &config,
            &mut switch,
            &stats,
            &start.pools,
            clock,
            &start.home,
            wake.waker(),
        )?;
        let (kernel, notifications) = Kernel::connect().map_err(|e| format!("netlink: {e}"))?;
        let (events, received) = mpsc::channel(EVENTS);
        let (db_events, database) = mpsc::channel(net::EVENT_CHANNEL_LEN);
        let inputs = Inputs {
            notifications,
            events: received,
            database,
            signals: start.signals,
        };
        let config_of_workers = config.global.worker_cpus.clone();
        let mut daemon = Daemon {
            args: start.args,
            rundir: start.rundir,
            clock,
            home: start.home,
            switch,
            stats,
            server,
            clients: Connections::default(),
            workers,
            pools: start.pools,
            kernel,
            underlay: Underlay::default(),
            config: Config {
                global: Global {
                    worker_cpus: config_of_workers,
                    ..Global::default()
                },
                ..Config::default()
            },
            bridges: BTreeMap::new(),
            ports: BTreeMap::new(),
            hosts: BTreeMap::new(),
            path_mtu: BTreeMap::new(),
            conns: HashMap::new(),
            dialers: BTreeMap::new(),
            managers: BTreeMap::new(),
            tls: Tls::default(),
            manager_trouble: HashMap::new(),
            db_events,
            numbers: Arc::new(AtomicU64::new(1)),
            openflow: Arc::default(),
            outputs: Vec::new(),
            addresses: Vec::new(),
            addresses_of: HashSet::new(),
            events,
            publish_due: None,
            routing_due: None,
            routing_pause: ROUTING_PAUSE,
            links_due: None,
            report: false,
            exit: None,
            said_no_effect: Vec::new(),
        };
        let ended = daemon
            .serve(config, &start.dpdk, wake.waker(), inputs)
            .await;
        tracing::info!("switchd ends");
        daemon.close();
        ended
    }

    /// Brings everything up; then the loop.
    async fn serve(
        &mut self,
        config: Config,
        dpdk: &str,
        worker_events: Waker,
        mut inputs: Inputs,
    ) -> Result<(), String> {
        self.apply(config).await;
        self.describe_switch(dpdk);
        // The sockets appear when the stored configuration is in force, and not before.
        let _listeners = self.listen().await?;
        tokio::spawn(forward_notifications(
            inputs.notifications,
            self.events.clone(),
        ));
        let worker_events = WorkerEvents::new(worker_events)?;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticks = 0u64;
        tracing::info!(pid = std::process::id(), rundir = %self.args.rundir.display(), "switchd is ready");
        let ended = loop {
            let mut can_wait = false;
            tokio::select! {
                event = inputs.database.recv() => {
                    let more = std::iter::from_fn(|| inputs.database.try_recv().ok());
                    for event in event.into_iter().chain(more).take(BATCH) {
                        self.clients.handle(&mut self.server, Instant::now(), event);
                    }
                }
                Some(event) = inputs.events.recv() => {
                    can_wait = self.turn(event, &mut inputs.events);
                }
                () = sleep_until(self.publish_due) => {}
                () = worker_events.wait() => self.worker_events(),
                // The tasks have their turn first.
                () = tokio::task::yield_now(), if self.switch.is_busy() => {}
                () = sleep_until(self.links_due.into_iter().chain(self.routing_due).min()) => {
                    self.follow_kernel().await;
                }
                _ = tick.tick() => {
                    ticks += 1;
                    self.tick(ticks);
                }
                () = inputs.signals.wait() => self.exit = Some(Ok(())),
            }
            self.settle(can_wait).await;
            if let Some(ended) = self.exit.take() {
                break ended;
            }
        };
        // The answer to who asked for the end.
        for _ in 0..LAST_TURNS {
            tokio::task::yield_now().await;
        }
        ended
    }

    /// Handles this event and those behind it. Returns whether they were controllers' only. Who sends without pause has
    /// no more of the time than what is done in pieces.
    fn turn(&mut self, first: Event, events: &mut mpsc::Receiver<Event>) -> bool {
        let started = Instant::now();
        let more = std::iter::from_fn(|| events.try_recv().ok());
        let mut is_openflow = true;
        for event in std::iter::once(first).chain(more).take(BATCH) {
            is_openflow &= matches!(event, Event::OpenFlow(_));
            self.event(event);
            if started.elapsed() > TURN {
                break;
            }
        }
        let spent = started.elapsed();
        while self.switch.is_busy() && started.elapsed() < 2 * spent {
            self.switch.work(&mut self.outputs);
            self.deliver();
        }
        is_openflow
    }

    /// After a batch: applies a changed configuration, publishes, sends what waited. Changes that nobody waits for can
    /// wait for others.
    async fn settle(&mut self, can_wait: bool) {
        if let Some(config) = self.server.hook.take() {
            self.apply(config).await;
        }
        self.workers.settle();
        // At each turn, as the loop may never be idle.
        if self.switch.is_busy() {
            self.switch.work(&mut self.outputs);
        }
        let now = Instant::now();
        let can_wait = can_wait && self.switch.is_staged() && !self.switch.is_awaited();
        if can_wait && now < *self.publish_due.get_or_insert(now + PUBLISH_PAUSE) {
            self.deliver();
        } else {
            self.publish();
        }
        if self.underlay.is_due() {
            self.find_routes(false).await;
            self.publish();
        }
        self.report_when_in_force();
        self.clients.flush(&mut self.server);
    }

    /// Makes all staged changes visible to the workers and does what followed.
    fn publish(&mut self) {
        self.publish_due = None;
        let mut tries = 0u32;
        loop {
            let done = self.switch.publish_ready(&mut self.outputs);
            self.deliver();
            if done && self.outputs.is_empty() {
                return;
            }
            tries += 1;
            match tries {
                0..20 => std::thread::yield_now(),
                _ => std::thread::sleep(Duration::from_micros(20)),
            }
        }
    }

    /// The sockets of database clients and of `ovs-appctl`.
    async fn listen(&self) -> Result<Sockets, String> {
        let events = &self.db_events;
        let path = self.rundir.file("db.sock");
        let main = net::listen_unix(&path, events.clone()).map_err(|e| e.to_string())?;
        let mut remotes = Vec::new();
        for target in &self.args.remote {
            if !target.is_passive() {
                return Err(format!(
                    "--remote {target}: use ptcp:[PORT][:ADDRESS], pssl:[PORT][:ADDRESS] or punix:FILE"
                ));
            }
            let opened = managers::open(target, events.clone(), &self.tls);
            remotes.push(opened.map_err(|error| format!("--remote {target}: {error}"))?);
        }
        let control = self
            .rundir
            .file(&format!("ovs-vswitchd.{}.ctl", std::process::id()));
        let control = unixctl::listen(&control, self.events.clone())
            .map_err(|error| format!("{}: {error}", control.display()))?;
        Ok(Sockets {
            _main: main,
            _remotes: remotes,
            _control: control,
        })
    }

    /// Ends everything that would outlive the process.
    fn close(&mut self) {
        self.workers.stop();
        self.conns.clear();
        self.dialers.clear();
        self.managers.clear();
        self.bridges.clear();
        self.hosts.clear();
        let ports = std::mem::take(&mut self.ports);
        dpdk::types::close_all(ports.into_values().filter_map(|port| port.device).collect());
    }
}

/// Open as long as it lives.
struct Sockets {
    _main: net::Listener,
    _remotes: Vec<Manager>,
    _control: unixctl::Socket,
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Collects what the kernel says until the loop takes it: a flood makes no queue longer.
async fn forward_notifications(mut notifications: Notifications, events: mpsc::Sender<Event>) {
    let mut changes = Changes::default();
    loop {
        tokio::select! {
            permit = events.reserve(), if !changes.is_empty() => match permit {
                Ok(permit) => permit.send(Event::Kernel(std::mem::take(&mut changes))),
                Err(_) => return,
            },
            () = notifications.next(&mut changes) => {}
        }
    }
}

fn start_workers(
    config: &Config,
    switch: &mut Switch,
    stats: &Stats,
    pools: &Arc<Mempools>,
    clock: Clock,
    home: &Home,
    control: Waker,
) -> Result<Workers, String> {
    let cpus = apply::worker_cpus(&config.global.worker_cpus, home);
    let context = Context {
        clock,
        publisher: switch.publisher(),
        stats,
        pools,
        control,
    };
    let mut workers = Workers::start(&cpus, &context)?;
    if config.global.cache_entries.is_some() {
        workers.set_cache_entries(config.global.cache_entries());
    }
    workers.set_sleep_max(
        config
            .global
            .sleep_max_micros
            .unwrap_or(crate::workers::SLEEP_MAX_MICROS),
    );
    tracing::info!(?cpus, "workers started");
    Ok(workers)
}

/// Where events come from.
struct Inputs {
    notifications: Notifications,
    events: mpsc::Receiver<Event>,
    database: mpsc::Receiver<net::Event>,
    signals: Signals,
}

/// The eventfd that workers write to, readable by tokio.
struct WorkerEvents(tokio::io::unix::AsyncFd<EventFd>);

struct EventFd(Waker);

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd()
    }
}

impl WorkerEvents {
    #[expect(
        unsafe_code,
        reason = "tokio has no safe way for a descriptor that is shared"
    )]
    fn new(waker: Waker) -> Result<WorkerEvents, String> {
        use tokio::io::{Interest, unix::AsyncFd};
        // SAFETY: the waker owns a share of the eventfd, which stays open as long as the AsyncFd owns the waker.
        let fd = unsafe { AsyncFd::register_with_interest(EventFd(waker), Interest::READABLE) };
        fd.map(WorkerEvents)
            .map_err(|error| format!("worker events: {error}"))
    }
    /// Returns when a worker has written, and takes that back.
    async fn wait(&self) {
        if let Ok(mut guard) = self.0.readable().await {
            self.0.get_ref().0.drain();
            guard.clear_ready();
        }
    }
}
