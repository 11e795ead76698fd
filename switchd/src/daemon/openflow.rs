//! OpenFlow connections: a task per connection moves bytes between a socket and a session; the daemon
//! gets whole messages and hands the switch's answers back.

use super::controllers::Common;
use super::{Daemon, Event as DaemonEvent};
use bytes::{Bytes, BytesMut};
use datapath::control::{ConnId, ConnKind, ConnSettings, RateLimit};
use ofp::message::Message;
use ofp::session::{Event as SessionEvent, Session, Settings, Side, Versions};
use ofp::types::Version;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

/// A peer that leaves more than this unread is not listened to, and gets no more, until it reads.
const UNREAD_PAUSE_BYTES: usize = 1 << 20;
/// Packet-ins are dropped, and counted, while this many messages wait.
const WAITING_PACKET_INS: usize = 4096;
/// A peer that lets this many messages wait is hung up on; one message holds at most 64 KiB.
const WAITING_LIMIT: usize = 1 << 18;
/// A long reply goes on when a peer has read all but this much.
const ROOM_BYTES: usize = 256 << 10;
/// Flow monitors are paused while this many messages wait.
const WAITING_UPDATES: usize = 256;
/// Requests that wait for a long reply to end. Its connection is not read meanwhile, so these came with it.
const HELD_LIMIT: usize = 1 << 16;
/// What ends a connection is said to a peer for this long; one that reads nothing has it no better.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A peer says hello within this time, or is gone.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// A dialler's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DialerId(pub u64);

/// How a connection came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The switch dialled.
    Dialed(DialerId),
    /// The peer came to the socket of this target, which a row asks for.
    Accepted(Arc<str>),
    /// It came to the bridge's management socket.
    Management,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What the switch calls it.
    pub kind: ConnKind,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it gets events.
    pub events: bool,
    /// A bound on its packet-ins.
    pub packet_in_limit: Option<RateLimit>,
}

/// What a connection's task tells the daemon.
pub enum Event {
    /// Versions are agreed upon.
    Opened(Box<Opened>),
    /// A message, and its bytes to quote in errors.
    Received(ConnId, Message, Bytes),
    /// The peer has read most of what waited: a long reply can go on.
    Room(ConnId),
    /// It is over, and why.
    Closed(ConnId, String),
    /// A controller cannot be reached, or was lost.
    Trouble(DialerId, String),
}

/// A new connection.
pub struct Opened {
    conn: ConnId,
    bridge: Arc<str>,
    peer: Peer,
    version: Version,
    queue: Queue,
    hang_up: oneshot::Sender<()>,
}

/// Messages on their way to the peer.
#[derive(Clone)]
struct Queue {
    sender: mpsc::UnboundedSender<Message>,
    state: Arc<State>,
}

/// What a connection's task and the daemon both know.
#[derive(Default)]
struct State {
    /// Messages in the queue.
    waiting: AtomicUsize,
    /// A reply is not finished: the task says when there is room, and reads no requests.
    has_more: AtomicBool,
}

/// The daemon's end of a connection.
pub struct Conn {
    peer: Peer,
    queue: Queue,
    /// Dropped to end the connection.
    _hang_up: oneshot::Sender<()>,
    /// Packet-ins dropped because the peer does not read.
    dropped: u64,
    /// Requests behind one whose reply is not finished.
    held: VecDeque<(Message, Bytes)>,
}

impl Daemon {
    pub(super) fn opened(&mut self, opened: Opened) {
        let Opened {
            conn,
            bridge,
            peer,
            version,
            queue,
            hang_up,
        } = opened;
        // The bridge may be gone by now: dropping `hang_up` ends the connection.
        let Some(live) = self.bridges.get(&*bridge) else {
            return;
        };
        if let Origin::Dialed(id) = &peer.origin {
            let Some(dialer) = self.dialers.get_mut(id) else {
                return;
            };
            dialer.conn = Some(conn);
            dialer.since = Instant::now();
            dialer.trouble = None;
            let target = &dialer.controller.target;
            tracing::info!(%bridge, %target, version = version.name(), "controller connected");
        }
        let settings = ConnSettings {
            bridge: live.id,
            kind: peer.kind,
            version,
            packet_in_limit: peer.packet_in_limit,
            events: peer.events,
        };
        self.report |= peer.origin != Origin::Management;
        self.switch.connect(self.clock.now(), conn, settings);
        self.conns.insert(
            conn,
            Conn {
                peer,
                queue,
                _hang_up: hang_up,
                dropped: 0,
                held: VecDeque::new(),
            },
        );
        self.follow_controllers();
    }

    /// A message; replies come in the order of the requests.
    pub(super) fn received(&mut self, id: ConnId, message: Message, bytes: Bytes) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        if !conn.held.is_empty() || self.switch.is_dumping(id) {
            conn.held.push_back((message, bytes));
            if conn.held.len() > HELD_LIMIT {
                self.closed(id, "it asks for more than it reads");
            }
            return;
        }
        self.switch
            .message(self.clock.now(), id, message, &bytes, &mut self.outputs);
    }

    /// A reply goes on when the peer has read what there is of it.
    pub(super) fn more(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get(&id) {
            conn.queue.state.has_more.store(true, Release);
        }
    }

    /// The peer has read: the next piece of what it asked for, then what it said meanwhile.
    pub(super) fn room(&mut self, id: ConnId) {
        let now = self.clock.now();
        let more = self.switch.dump(now, id, &mut self.outputs);
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        conn.queue.state.has_more.store(more, Release);
        while !self.switch.is_dumping(id)
            && let Some(conn) = self.conns.get_mut(&id)
            && let Some((message, bytes)) = conn.held.pop_front()
        {
            self.switch
                .message(now, id, message, &bytes, &mut self.outputs);
        }
    }

    pub(super) fn closed(&mut self, conn: ConnId, reason: &str) {
        let Some(closed) = self.conns.remove(&conn) else {
            return;
        };
        self.switch.disconnect(conn);
        self.report |= closed.peer.origin != Origin::Management;
        if closed.dropped > 0 {
            tracing::warn!(
                dropped = closed.dropped,
                "packet-ins were dropped: the peer did not read"
            );
        }
        if let Origin::Dialed(id) = &closed.peer.origin
            && let Some(dialer) = self.dialers.get_mut(id).filter(|d| d.conn == Some(conn))
        {
            dialer.conn = None;
            dialer.since = Instant::now();
            tracing::info!(bridge = dialer.bridge, reason, "controller is gone");
        }
    }

    /// Ends what the tasks of closed sockets and replaced diallers have left: they go without a word.
    pub(super) fn sweep(&mut self) {
        let is_over = |conn: &Conn| conn.queue.sender.is_closed();
        let over = self.conns.iter().filter(|(_, conn)| is_over(conn));
        let over: Vec<ConnId> = over.map(|(id, _)| *id).collect();
        over.into_iter()
            .for_each(|id| self.closed(id, "its socket was closed"));
    }

    /// Whether somebody is connected to a listening target.
    pub(super) fn has_accepted(&self, target: &str) -> bool {
        let came_there =
            |conn: &Conn| matches!(&conn.peer.origin, Origin::Accepted(text) if **text == *target);
        self.conns.values().any(came_there)
    }

    pub(super) fn send(&mut self, id: ConnId, message: Message) {
        let Some(conn) = self.conns.get(&id) else {
            return;
        };
        let waiting = conn.queue.state.waiting.fetch_add(1, Relaxed);
        if waiting > WAITING_LIMIT {
            self.closed(id, "it does not read what it asked for");
            return;
        }
        // An error means that the task is ending; its `Closed` is on the way.
        let _ = conn.queue.sender.send(message);
        if waiting > WAITING_UPDATES {
            self.switch.pause_monitors(id, &mut self.outputs);
        }
    }

    pub(super) fn send_packet_in(&mut self, id: ConnId, message: Message) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        if conn.queue.state.waiting.load(Relaxed) > WAITING_PACKET_INS {
            conn.dropped += 1;
            return;
        }
        self.send(id, message);
    }
}

/// Carries a conversation to its end; returns why it ended.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: Peer,
    common: Common,
) -> String {
    let conn = ConnId(common.numbers.fetch_add(1, Relaxed));
    let (sender, queued) = mpsc::unbounded_channel();
    let queue = Queue {
        sender,
        state: Arc::default(),
    };
    let (hang_up, hung_up) = oneshot::channel();
    let settings = Settings {
        side: Side::Switch,
        versions: Versions::of(&common.versions),
        inactivity_probe: common.probe,
    };
    let started = Instant::now();
    let talk = Talk {
        conn,
        common,
        session: Session::new(settings, Duration::ZERO),
        started,
        state: queue.state.clone(),
        has_asked: false,
        announce: Some((peer, queue, hang_up)),
    };
    talk.run(stream, queued, hung_up).await
}

struct Talk {
    conn: ConnId,
    common: Common,
    session: Session,
    started: Instant,
    state: Arc<State>,
    /// The daemon knows that there is room.
    has_asked: bool,
    /// Given to the daemon when the session is up.
    announce: Option<(Peer, Queue, oneshot::Sender<()>)>,
}

impl Talk {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        stream: S,
        mut queued: mpsc::UnboundedReceiver<Message>,
        mut hung_up: oneshot::Receiver<()>,
    ) -> String {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut input = BytesMut::with_capacity(64 << 10);
        let reason = loop {
            if let Some(reason) = self.events().await {
                // The last words: an error message that says what was wrong.
                let words = writer.write_all(self.session.output());
                let _ = tokio::time::timeout(LAST_WORDS, words).await;
                break reason;
            }
            let deadline = match self.announce {
                Some(_) => Some(HELLO_TIMEOUT),
                None => self.session.deadline(),
            };
            self.ask_for_more().await;
            let timer = sleep_until(self.started, deadline);
            let has_more = self.state.has_more.load(Acquire);
            let output = self.session.output();
            let (is_writing, has_room) = (!output.is_empty(), output.len() < UNREAD_PAUSE_BYTES);
            let may_read = has_room && !has_more;
            tokio::select! {
                read = reader.read_buf(&mut input), if may_read => match read {
                    Ok(0) => break "closed by the peer".to_owned(),
                    Ok(_) => {
                        self.session.feed(self.started.elapsed(), &input);
                        input.clear();
                    }
                    Err(error) => break error.to_string(),
                },
                written = writer.write_buf(output), if is_writing => match written {
                    // Who is not listened to is not asked for signs of life, either.
                    Ok(_) if !may_read => self.session.alive(self.started.elapsed()),
                    Ok(_) => {}
                    Err(error) => break error.to_string(),
                },
                message = queued.recv(), if has_room => match message {
                    Some(message) => self.take(message, &mut queued),
                    None => break "closed by the switch".to_owned(),
                },
                () = timer => match self.announce {
                    Some(_) => break "said no hello".to_owned(),
                    None => self.session.tick(self.started.elapsed()),
                },
                _ = &mut hung_up, if self.announce.is_none() => break "closed by the switch".to_owned(),
            }
        };
        if self.announce.is_none() {
            let event = DaemonEvent::OpenFlow(Event::Closed(self.conn, reason.clone()));
            let _ = self.common.events.send(event).await;
        }
        reason
    }

    /// Encodes what waits, up to the limit of what is written at a time.
    fn take(&mut self, first: Message, queued: &mut mpsc::UnboundedReceiver<Message>) {
        self.session.send_message(&first);
        let mut taken = 1;
        while self.session.output().len() < UNREAD_PAUSE_BYTES
            && let Ok(message) = queued.try_recv()
        {
            self.session.send_message(&message);
            taken += 1;
        }
        self.state.waiting.fetch_sub(taken, Relaxed);
        self.has_asked = false;
    }

    /// Tells the daemon, once, that a reply which is not finished can go on.
    async fn ask_for_more(&mut self) {
        if !self.has_asked
            && self.state.has_more.load(Acquire)
            && self.state.waiting.load(Relaxed) == 0
            && self.session.output().len() < ROOM_BYTES
        {
            self.has_asked = true;
            let event = DaemonEvent::OpenFlow(Event::Room(self.conn));
            // An error means that the switch ends.
            let _ = self.common.events.send(event).await;
        }
    }

    /// Hands on what the session has received; returns why it is over, if it is.
    async fn events(&mut self) -> Option<String> {
        while let Some(event) = self.session.next_event() {
            let event = match event {
                SessionEvent::Up(version) => {
                    let (peer, queue, hang_up) = self.announce.take()?;
                    let (conn, bridge) = (self.conn, self.common.bridge.clone());
                    Event::Opened(Box::new(Opened {
                        conn,
                        bridge,
                        peer,
                        version,
                        queue,
                        hang_up,
                    }))
                }
                SessionEvent::Message(message, bytes) => Event::Received(self.conn, message, bytes),
                // The session has answered it.
                SessionEvent::Malformed(error, _) => {
                    tracing::debug!(bridge = %self.common.bridge, %error, "malformed OpenFlow message");
                    continue;
                }
                SessionEvent::Closed(closed) => return Some(closed.to_string()),
            };
            if self
                .common
                .events
                .send(DaemonEvent::OpenFlow(event))
                .await
                .is_err()
            {
                return Some("the switch ends".into());
            }
        }
        None
    }
}

async fn sleep_until(started: Instant, deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until((started + deadline).into()).await,
        None => std::future::pending().await,
    }
}
