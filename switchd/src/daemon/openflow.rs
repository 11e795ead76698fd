//! OpenFlow connections: a task per connection moves bytes between a socket and a session; the daemon
//! gets whole messages and hands the switch's answers back.

use super::controllers::Common;
use super::snoop::Tap;
use super::{Daemon, Event as DaemonEvent};
use bytes::{Bytes, BytesMut};
use datapath::control::{Auxiliary, ConnId, ConnKind, ConnSettings, RateLimit};
use ofp::message::{Body, Message, MultipartPart};
use ofp::session::{Event as SessionEvent, Session, Settings, Side, Versions};
use ofp::types::Version;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

/// A peer that leaves more than this unread is not listened to, and gets no more, until it reads.
const UNREAD_PAUSE_BYTES: usize = 1 << 20;
/// Packet-ins are dropped, and counted, while this many messages wait, or so many bytes.
const WAITING_PACKET_INS: usize = 4096;
const WAITING_PACKET_IN_BYTES: usize = 16 << 20;
/// A peer that lets this many messages wait, or so many bytes, is hung up on.
const WAITING_LIMIT: usize = 1 << 18;
const WAITING_BYTES: usize = 256 << 20;
/// What a message takes in a queue if its size is not looked at.
const MESSAGE_BYTES: usize = 256;
/// Messages of one connection that the daemon has not yet handled: at least, and at most. A connection's
/// share grows with each message that was handled quickly, and shrinks with each that was not, so that
/// who asks for much does not stand in front of the others for long.
const SHARE: std::ops::RangeInclusive<usize> = 8..=512;
/// A message that takes longer to handle is slow: a hundred times what a flow takes.
const SLOW: Duration = Duration::from_millis(1);
/// A long reply goes on when a peer has read all but this much.
const ROOM_BYTES: usize = 256 << 10;
/// Flow monitors are paused while this many messages wait.
const WAITING_UPDATES: usize = 256;
/// The end of flows is told later while this many messages wait: two pieces of a wide DELETE may wait, and not each of
/// its million messages.
const WAITING_REMOVALS: usize = 1 << 13;
/// Requests that wait for a long reply to end. Its connection is not read meanwhile, so these came with it:
/// a share, and what follows before the connection's task knows.
const HELD_LIMIT: usize = 4096;
/// Messages that are handed on together: a flow_mod takes as long as a microsecond, handing it on by itself half of that.
const TOGETHER: usize = 32;
/// Who begins a message ends it within this time, or is gone.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
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
    /// The switch dialled beside a main connection: that one, and the auxiliary's number.
    Auxiliary(ConnId, u8),
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
    /// Messages, each with its bytes to quote in errors.
    Received(ConnId, Vec<(Message, Bytes)>),
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
struct Queue {
    sender: mpsc::UnboundedSender<Message>,
    state: Arc<State>,
}

impl Drop for Queue {
    /// Nobody gives back what was taken of the share any more: who waits for it need not.
    fn drop(&mut self) {
        self.state.share.close();
    }
}

/// What a connection's task and the daemon both know.
struct State {
    /// Messages in the queue.
    waiting: AtomicUsize,
    /// Their bytes, about.
    bytes: AtomicUsize,
    /// A reply is not finished: the task says when there is room, and reads no requests.
    has_more: AtomicBool,
    /// What of the connection's share is left.
    share: Semaphore,
    /// The task is to look again: there is more, or no more.
    look: Notify,
}

impl State {
    fn new() -> State {
        State {
            waiting: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            has_more: AtomicBool::new(false),
            share: Semaphore::new(*SHARE.start()),
            look: Notify::new(),
        }
    }
}

/// About what a message takes while it waits: packets are looked at, replies in pieces are as long as they may be.
fn size_of(message: &Message) -> usize {
    match &message.body {
        Body::PacketIn(packet_in) => MESSAGE_BYTES + packet_in.data.len(),
        Body::MultipartReply(reply) => match &reply.part {
            MultipartPart::FlowMonitor(updates) => MESSAGE_BYTES * (1 + updates.len()),
            _ => 64 << 10,
        },
        Body::Error(error) => MESSAGE_BYTES + error.data.len(),
        _ => MESSAGE_BYTES,
    }
}

/// What the rim did to connections, since the start.
#[derive(Default)]
pub struct Counters {
    /// Packet-ins dropped because the peer does not read.
    packet_ins_unread: AtomicU64,
    /// Messages that could not be read; each was answered by an error.
    malformed: AtomicU64,
    /// How often a connection was not listened to until its peer had read.
    held_back: AtomicU64,
    /// Connections ended by the switch as the peer said no hello, stalled, or did not read.
    hung_up: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
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
    /// See [`SHARE`].
    share: usize,
    /// They end with it.
    _auxiliaries: JoinSet<()>,
}

impl Conn {
    /// A message was handled in this time: the connection may send so many.
    fn handled(&mut self, took: Duration) -> usize {
        let (grows, shrinks) = match took < SLOW {
            true => (self.share < *SHARE.end(), false),
            false => (false, self.share > *SHARE.start()),
        };
        self.share = self.share + usize::from(grows) - usize::from(shrinks);
        1 + usize::from(grows) - usize::from(shrinks)
    }
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
        let auxiliary = match peer.origin {
            Origin::Auxiliary(main, id) => Some(Auxiliary { main, id }),
            _ => None,
        };
        // So may the main connection.
        if auxiliary.is_some_and(|auxiliary| !self.conns.contains_key(&auxiliary.main)) {
            return;
        }
        let settings = ConnSettings {
            auxiliary,
            bridge: live.id,
            kind: peer.kind,
            version,
            packet_in_limit: peer.packet_in_limit,
            events: peer.events,
        };
        self.report |= peer.origin != Origin::Management;
        self.switch.connect(self.clock.now(), conn, settings);
        let auxiliaries = self.dial_auxiliaries(conn, version, &peer.origin);
        self.conns.insert(
            conn,
            Conn {
                peer,
                queue,
                _hang_up: hang_up,
                dropped: 0,
                held: VecDeque::new(),
                share: *SHARE.start(),
                _auxiliaries: auxiliaries,
            },
        );
        self.follow_controllers();
    }

    /// Messages; their connection may send others.
    pub(super) fn received(&mut self, id: ConnId, messages: Vec<(Message, Bytes)>) {
        let (mut before, mut permits) = (Instant::now(), 0);
        for (message, bytes) in messages {
            self.obey(id, message, bytes);
            let now = Instant::now();
            let conn = self.conns.get_mut(&id);
            permits += conn.map_or(0, |conn| conn.handled(now - before));
            before = now;
        }
        if let Some(conn) = self.conns.get(&id) {
            conn.queue.state.share.add_permits(permits);
        }
    }

    /// Replies come in the order of the requests.
    fn obey(&mut self, id: ConnId, message: Message, bytes: Bytes) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        if !conn.held.is_empty() || self.switch.is_dumping(id) {
            conn.held.push_back((message, bytes));
            if conn.held.len() > HELD_LIMIT {
                Counters::add(&self.openflow.hung_up);
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
            conn.queue.state.look.notify_one();
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
        // While a change is made, or the workers are waited for, there is nothing to ask for.
        if !(more && self.switch.is_delayed(id)) {
            conn.queue.state.look.notify_one();
        }
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
        let is_of = |c: &Conn| matches!(c.peer.origin, Origin::Auxiliary(main, _) if main == conn);
        self.conns.retain(|_, other| !is_of(other));
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
        let state = &conn.queue.state;
        let waiting = state.waiting.fetch_add(1, Relaxed);
        let bytes = state.bytes.fetch_add(size_of(&message), Relaxed);
        if waiting > WAITING_LIMIT || bytes > WAITING_BYTES {
            Counters::add(&self.openflow.hung_up);
            self.closed(id, "it does not read what it asked for");
            return;
        }
        let is_removal = matches!(message.body, Body::FlowRemoved(_));
        // An error means that the task is ending; its `Closed` is on the way.
        let _ = conn.queue.sender.send(message);
        if waiting > WAITING_UPDATES {
            self.switch.pause_monitors(id, &mut self.outputs);
        }
        if is_removal && waiting > WAITING_REMOVALS {
            self.switch.falls_behind(id, &mut self.outputs);
        }
    }

    pub(super) fn send_packet_in(&mut self, id: ConnId, message: Message) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let state = &conn.queue.state;
        if state.waiting.load(Relaxed) > WAITING_PACKET_INS
            || state.bytes.load(Relaxed) > WAITING_PACKET_IN_BYTES
        {
            conn.dropped += 1;
            Counters::add(&self.openflow.packet_ins_unread);
            return;
        }
        self.send(id, message);
    }

    /// Names, numbers and meanings, for `coverage/show`: what waits now, and what happened.
    pub(super) fn openflow_counters(&self) -> [(&'static str, u64, &'static str); 8] {
        let sum = |of: fn(&Conn) -> usize| self.conns.values().map(of).sum::<usize>() as u64;
        let since = |counter: &AtomicU64| counter.load(Relaxed);
        let counters = &self.openflow;
        [
            ("openflow_connections", self.conns.len() as u64, "open now"),
            (
                "openflow_waiting",
                sum(|conn| conn.queue.state.waiting.load(Relaxed)),
                "messages that wait now for peers to read",
            ),
            (
                "openflow_waiting_bytes",
                sum(|conn| conn.queue.state.bytes.load(Relaxed)),
                "their bytes, about",
            ),
            (
                "openflow_held",
                sum(|conn| conn.held.len()),
                "requests that wait now behind a long reply",
            ),
            (
                "openflow_packet_ins_unread",
                since(&counters.packet_ins_unread),
                "packet-ins dropped: the peer does not read",
            ),
            (
                "openflow_malformed",
                since(&counters.malformed),
                "messages that could not be read, answered by errors",
            ),
            (
                "openflow_held_back",
                since(&counters.held_back),
                "times that a peer was not listened to until it had read",
            ),
            (
                "openflow_hung_up",
                since(&counters.hung_up),
                "connections ended: no hello, a stall, or nothing read",
            ),
        ]
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
        state: Arc::new(State::new()),
    };
    let (hang_up, hung_up) = oneshot::channel();
    let settings = Settings {
        side: Side::Switch,
        versions: Versions::of(&common.versions),
        inactivity_probe: common.probe,
    };
    let started = Instant::now();
    let is_watched = peer.origin != Origin::Management;
    let talk = Talk {
        conn,
        tap: is_watched.then(|| common.tap.clone()),
        copied: 0,
        common,
        session: Session::new(settings, Duration::ZERO),
        started,
        state: queue.state.clone(),
        has_asked: false,
        is_held_back: false,
        is_unflushed: false,
        announce: Some((peer, queue, hang_up)),
    };
    talk.run(stream, queued, hung_up).await
}

struct Talk {
    conn: ConnId,
    /// Who snoops on it; nobody snoops on those who only manage.
    tap: Option<Arc<Tap>>,
    /// Bytes of the output that were copied there.
    copied: usize,
    common: Common,
    session: Session,
    started: Instant,
    state: Arc<State>,
    /// The daemon knows that there is room.
    has_asked: bool,
    /// It is not listened to.
    is_held_back: bool,
    /// What was written may wait in the stream: TLS keeps what the socket does not take.
    is_unflushed: bool,
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
            let over = self.events().await;
            self.copy_output();
            if let Some(reason) = over {
                // The last words: an error message that says what was wrong.
                let words = async {
                    writer.write_all(self.session.output()).await?;
                    writer.flush().await
                };
                let _ = tokio::time::timeout(LAST_WORDS, words).await;
                break reason;
            }
            self.ask_for_more().await;
            let may_read = self.may_listen();
            let (deadline, stalls) = self.deadline(may_read);
            let timer = sleep_until(self.started, deadline);
            let state = self.state.clone();
            let output = self.session.output();
            let is_writing = !output.is_empty() || self.is_unflushed;
            let has_room = output.len() < UNREAD_PAUSE_BYTES;
            tokio::select! {
                read = reader.read_buf(&mut input), if may_read => match read {
                    Ok(0) => break "closed by the peer".to_owned(),
                    Ok(_) => {
                        self.session.feed(self.started.elapsed(), &input);
                        input.clear();
                    }
                    Err(error) => break error.to_string(),
                },
                written = write(&mut writer, output), if is_writing => match written {
                    Ok(n) => {
                        self.copied -= n;
                        self.is_unflushed = n > 0;
                        // Who is not listened to is not asked for signs of life, either.
                        if !may_read {
                            self.session.alive(self.started.elapsed());
                        }
                    }
                    Err(error) => break error.to_string(),
                },
                message = queued.recv(), if has_room => match message {
                    Some(message) => self.take(message, &mut queued),
                    None => break "closed by the switch".to_owned(),
                },
                // A piece may have said nothing, and there is more.
                () = state.look.notified() => self.has_asked = false,
                () = timer => match stalls {
                    Some(stalled) => {
                        Counters::add(&self.common.counters.hung_up);
                        break stalled.to_owned();
                    }
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

    /// Whether the peer may be listened to: it reads what it asked for.
    fn may_listen(&mut self) -> bool {
        let may = self.session.output().len() < UNREAD_PAUSE_BYTES
            && self.state.bytes.load(Relaxed) < UNREAD_PAUSE_BYTES
            && !self.state.has_more.load(Acquire);
        if !may && !self.is_held_back {
            Counters::add(&self.common.counters.held_back);
        }
        self.is_held_back = !may;
        may
    }

    /// When the peer has to have said something; and what ends the connection then, if that ends it.
    fn deadline(&self, may_read: bool) -> (Option<Duration>, Option<&'static str>) {
        if self.announce.is_some() {
            return (Some(HELLO_TIMEOUT), Some("said no hello"));
        }
        let probe = self.session.deadline();
        let begun = self.session.unfinished_since().filter(|_| may_read);
        match begun.map(|begun| begun + STALL_TIMEOUT) {
            Some(stall) if probe.is_none_or(|probe| stall < probe) => {
                (Some(stall), Some("stopped in the middle of a message"))
            }
            _ => (probe, None),
        }
    }

    /// Encodes what waits, up to the limit of what is written at a time.
    fn take(&mut self, first: Message, queued: &mut mpsc::UnboundedReceiver<Message>) {
        self.session.send_message(&first);
        let (mut taken, mut bytes) = (1, size_of(&first));
        while self.session.output().len() < UNREAD_PAUSE_BYTES
            && let Ok(message) = queued.try_recv()
        {
            self.session.send_message(&message);
            taken += 1;
            bytes += size_of(&message);
        }
        self.state.waiting.fetch_sub(taken, Relaxed);
        self.state.bytes.fetch_sub(bytes, Relaxed);
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

    /// What was added to the output since, to those who snoop.
    fn copy_output(&mut self) {
        let output = self.session.output();
        let fresh = std::mem::replace(&mut self.copied, output.len());
        if let Some(tap) = self.tap.as_ref().filter(|tap| tap.is_open()) {
            tap.copy(&output[fresh..]);
        }
    }

    /// The same for what came in: before an event, what the session dealt with itself.
    fn copy_input(&mut self, event: Option<&SessionEvent>) {
        let Some(tap) = &self.tap else {
            return;
        };
        for bytes in self.session.take_handled() {
            tap.copy(&bytes);
        }
        if let Some(SessionEvent::Message(_, bytes) | SessionEvent::Malformed(_, bytes)) = event {
            tap.copy(bytes);
        }
        self.session.keep_handled(tap.is_open());
    }

    /// Hands on what the session has received, as long as there is room for the replies; returns why it is
    /// over, if it is.
    async fn events(&mut self) -> Option<String> {
        const END: &str = "the switch ends";
        let mut together = Vec::new();
        while self.may_listen() {
            let event = self.session.next_event();
            self.copy_input(event.as_ref());
            let (message, bytes) = match event {
                Some(SessionEvent::Message(message, bytes)) => (message, bytes),
                Some(SessionEvent::Up(version)) => {
                    let opened = self.open(version)?;
                    if !self.tell(opened).await {
                        return Some(END.into());
                    }
                    continue;
                }
                // The session has answered it.
                Some(SessionEvent::Malformed(error, _)) => {
                    Counters::add(&self.common.counters.malformed);
                    tracing::debug!(bridge = %self.common.bridge, %error, "malformed OpenFlow message");
                    continue;
                }
                Some(SessionEvent::Closed(closed)) => {
                    self.hand_on(&mut together).await;
                    return Some(closed.to_string());
                }
                None => break,
            };
            // The daemon gives back what it takes of the share, or ends the connection.
            let share = &self.state.share;
            let permit = match share.try_acquire() {
                Ok(permit) => Ok(permit),
                Err(_) if !self.hand_on(&mut together).await => return Some(END.into()),
                Err(_) => share.acquire().await,
            };
            if let Ok(permit) = permit {
                permit.forget();
            }
            let is_quick = matches!(message.body, Body::FlowMod(_) | Body::BundleAdd(_));
            together.push((message, bytes));
            let goes = !is_quick || together.len() >= TOGETHER;
            if goes && !self.hand_on(&mut together).await {
                return Some(END.into());
            }
        }
        match self.hand_on(&mut together).await {
            true => None,
            false => Some(END.into()),
        }
    }

    /// What the daemon is told when versions are agreed upon.
    fn open(&mut self, version: Version) -> Option<Event> {
        let (peer, queue, hang_up) = self.announce.take()?;
        Some(Event::Opened(Box::new(Opened {
            conn: self.conn,
            bridge: self.common.bridge.clone(),
            peer,
            version,
            queue,
            hang_up,
        })))
    }

    /// Gives messages to the daemon; `false`: there is none any more.
    async fn hand_on(&self, messages: &mut Vec<(Message, Bytes)>) -> bool {
        let messages = std::mem::take(messages);
        messages.is_empty() || self.tell(Event::Received(self.conn, messages)).await
    }

    async fn tell(&self, event: Event) -> bool {
        let event = DaemonEvent::OpenFlow(event);
        self.common.events.send(event).await.is_ok()
    }
}

/// Writes some of the output, and says how much; if there is none, nothing is left in the stream afterwards.
async fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    output: &mut BytesMut,
) -> std::io::Result<usize> {
    if output.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    writer.write_buf(output).await
}

async fn sleep_until(started: Instant, deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until((started + deadline).into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a TLS stream does when its socket is full.
    #[tokio::test]
    async fn what_a_stream_keeps_back_is_flushed() {
        let (ours, mut peer) = tokio::io::duplex(1 << 10);
        let (events, _kept) = mpsc::channel(1);
        let common = Common {
            bridge: "br0".into(),
            versions: Version::SUPPORTED.into(),
            probe: None,
            events,
            numbers: Arc::default(),
            counters: Arc::default(),
            tap: Arc::default(),
        };
        let peer_of = Peer {
            kind: ConnKind::Service,
            origin: Origin::Management,
            events: true,
            packet_in_limit: None,
        };
        let task = tokio::spawn(converse(tokio::io::BufWriter::new(ours), peer_of, common));
        let mut hello = [0; 8];
        let read = tokio::time::timeout(Duration::from_secs(5), peer.read_exact(&mut hello)).await;
        assert!(read.is_ok_and(|read| read.is_ok()), "no hello");
        assert_eq!(hello[1], 0);
        task.abort();
    }
}
