//! One OpenFlow connection without I/O: bytes in, messages out, for either side. It negotiates the
//! version, answers echo requests and malformed messages, and finds out when the peer is silent.
//! The owner moves the bytes and says what time it is.

use crate::error::OfError;
use crate::message::{Body, Dialect, ErrorBody, FlowFormat, Hello, Message, PacketInFormat};
use crate::types::{Version, Xid};
use crate::wire::{HEADER_SIZE, Header};
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::time::Duration;

/// Bytes of an offending message that an error quotes; the standard asks for at least 64.
const QUOTE_SIZE: usize = 256;

/// A set of versions: bit `n` is wire version `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions(pub u32);

impl Versions {
    /// Every version that this crate speaks.
    pub fn all() -> Versions {
        Versions::of(Version::SUPPORTED)
    }
    /// The given ones.
    pub fn of(versions: &[Version]) -> Versions {
        Versions(
            versions
                .iter()
                .fold(0, |bits, version| bits | 1 << *version as u32),
        )
    }
    /// Whether a version is in it.
    pub const fn contains(self, version: Version) -> bool {
        self.0 >> version as u32 & 1 != 0
    }
    /// Those in both.
    pub const fn and(self, other: Versions) -> Versions {
        Versions(self.0 & other.0)
    }
    /// The highest one.
    pub fn highest(self) -> Option<Version> {
        (1..=6)
            .rev()
            .filter_map(Version::from_wire)
            .find(|version| self.contains(*version))
    }
    /// The lowest one.
    pub fn lowest(self) -> Option<Version> {
        (1..=6)
            .filter_map(Version::from_wire)
            .find(|version| self.contains(*version))
    }
}

impl fmt::Display for Versions {
    /// `0x01, 0x04`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for bit in (0..32).filter(|bit| self.0 >> bit & 1 != 0) {
            write!(f, "{separator}{bit:#04x}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Which side we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A switch: malformed messages are answered with errors.
    Switch,
    /// A controller or a tool: malformed messages are only reported.
    Controller,
}

/// How a session behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which side we are.
    pub side: Side,
    /// Versions that we accept.
    pub versions: Versions,
    /// Silence after which the peer is asked for a sign of life; as much again and the session is
    /// closed. `None`: never.
    pub inactivity_probe: Option<Duration>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The version is agreed on.
    Up(Version),
    /// A message, and its bytes, which an error reply quotes.
    Message(Message, Bytes),
    /// A message that could not be read. A switch has answered it already.
    Malformed(OfError, Bytes),
    /// Over: send what is still to be sent, then close the connection.
    Closed(Closed),
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// No common version.
    #[error("version negotiation failed (we support {ours}, peer supports {theirs})")]
    NoCommonVersion {
        /// Ours.
        ours: Versions,
        /// The peer's, as far as its hello says.
        theirs: Versions,
    },
    /// The peer did not accept our hello.
    #[error("peer refused the connection: {0}")]
    Refused(String),
    /// The first message was not a hello.
    #[error("peer sent message type {0} instead of a hello")]
    NoHello(u8),
    /// The stream of messages cannot be followed any more.
    #[error("peer sent a message of {0} bytes, less than its header")]
    Framing(u16),
    /// The peer is silent.
    #[error("no response to inactivity probe after {} seconds", .0.as_secs_f32())]
    Inactive(Duration),
}

#[derive(Debug)]
enum State {
    /// Our hello is sent; the peer's is awaited.
    Hello,
    Up,
    Closed,
}

/// A connection.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: State,
    dialect: Dialect,
    packet_in_format: PacketInFormat,
    input: BytesMut,
    output: BytesMut,
    next_xid: u32,
    last_heard: Duration,
    /// When the first bytes of what is in the input came.
    begun: Duration,
    /// The last probe without reply, and when it was sent.
    probe: Option<(Xid, Duration)>,
    closing: Option<Closed>,
    /// Copies of messages that the session dealt with itself, if the owner wants them.
    handled: Option<Vec<Bytes>>,
}

impl Session {
    /// Starts a session; our hello is ready to be sent. `now` is monotonic, from any beginning.
    pub fn new(settings: Settings, now: Duration) -> Session {
        let version = settings.versions.highest().unwrap_or(Version::V10);
        let mut session = Session {
            settings,
            state: State::Hello,
            dialect: Dialect::new(version),
            packet_in_format: PacketInFormat::Standard,
            input: BytesMut::new(),
            output: BytesMut::new(),
            next_xid: 1,
            last_heard: now,
            begun: now,
            probe: None,
            closing: None,
            handled: None,
        };
        // OpenFlow 1.0 knows no elements, so a peer of that version is not bothered with one.
        let only_v10 = settings.versions == Versions::of(&[Version::V10]);
        let bitmap = (!only_v10).then_some(settings.versions.0);
        session.send(Body::Hello(Hello {
            version: version as u8,
            bitmap,
        }));
        session
    }

    /// The version and formats in use.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }
    /// The agreed version; `None` before the hellos are exchanged.
    pub fn version(&self) -> Option<Version> {
        matches!(self.state, State::Up).then_some(self.dialect.version)
    }
    /// The form of packet-ins that the peer asked for.
    pub fn packet_in_format(&self) -> PacketInFormat {
        self.packet_in_format
    }
    /// Whether nothing more will come.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Keeps, or not, copies of the messages that are no event: hellos, echoes.
    pub fn keep_handled(&mut self, keep: bool) {
        self.handled = keep.then(|| self.handled.take().unwrap_or_default());
    }
    /// Takes those copies: they came after the last event, and before the next.
    pub fn take_handled(&mut self) -> Vec<Bytes> {
        self.handled
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// A transaction id that this session has not used lately.
    pub fn allocate_xid(&mut self) -> Xid {
        let xid = self.next_xid;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        Xid(xid)
    }

    /// Queues a message of ours under a new transaction id.
    pub fn send(&mut self, body: Body) -> Xid {
        let xid = self.allocate_xid();
        self.send_message(&Message { xid, body });
        xid
    }

    /// Queues a reply.
    pub fn reply(&mut self, xid: Xid, body: Body) {
        self.send_message(&Message { xid, body });
    }

    /// Queues a message. Settings of Nicira's formats count for what is sent after them.
    pub fn send_message(&mut self, message: &Message) {
        if self.is_closed() {
            return;
        }
        let before = self.output.len();
        message.encode(&self.dialect, &mut self.output);
        let is_lost =
            self.output.len() == before && crate::wire::row(&message.body, &self.dialect).is_some();
        if is_lost && self.settings.side == Side::Switch && message.xid != Xid(0) {
            self.too_long(message.xid);
        }
        if self.settings.side == Side::Controller {
            self.adopt(&message.body);
        }
    }

    /// Says that a reply is longer than a message can be.
    fn too_long(&mut self, xid: Xid) {
        let error = OfError::MultipartOverflow;
        let data = Bytes::new();
        let body = Body::Error(ErrorBody { error, data });
        Message { xid, body }.encode(&self.dialect, &mut self.output);
    }

    /// Queues an error about a message, whose beginning is quoted.
    pub fn send_error(&mut self, error: OfError, offending: &Bytes) {
        let xid = Header::parse(offending).map_or(Xid(0), |header| header.xid);
        let data = offending.slice(..offending.len().min(QUOTE_SIZE));
        self.send_message(&Message {
            xid,
            body: Body::Error(ErrorBody { error, data }),
        });
    }

    /// Bytes to write; take from the front what was written.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Gives it bytes that were read. Afterwards call [`next_event`](Session::next_event) until there is none; then less
    /// than one message (64 KiB) stays buffered.
    pub fn feed(&mut self, now: Duration, bytes: &[u8]) {
        if !bytes.is_empty() && !self.is_closed() {
            if self.input.is_empty() {
                self.begun = now;
            }
            self.last_heard = now;
            self.input.extend_from_slice(bytes);
        }
    }

    /// The peer has given another sign of life than bytes: it reads.
    pub fn alive(&mut self, now: Duration) {
        self.last_heard = self.last_heard.max(now);
    }

    /// Looks at the clock: asks a silent peer for a sign of life, or gives it up.
    pub fn tick(&mut self, now: Duration) {
        let Some(interval) = self.settings.inactivity_probe else {
            return;
        };
        let silent = now.saturating_sub(self.last_heard);
        if self.is_closed() || silent < interval {
            return;
        }
        if silent >= interval * 2 {
            self.closing.get_or_insert(Closed::Inactive(silent));
        } else if matches!(self.state, State::Up) && !self.is_probed() {
            self.probe = Some((self.send(Body::EchoRequest(Bytes::new())), now));
        }
    }

    /// Whether a probe was sent since the peer was heard last.
    fn is_probed(&self) -> bool {
        self.probe.is_some_and(|(_, sent)| sent > self.last_heard)
    }

    /// Since when a message is not complete, if [`next_event`](Session::next_event) has none.
    pub fn unfinished_since(&self) -> Option<Duration> {
        (!self.input.is_empty()).then_some(self.begun)
    }

    /// When [`tick`](Session::tick) has something to do next.
    pub fn deadline(&self) -> Option<Duration> {
        let interval = self
            .settings
            .inactivity_probe
            .filter(|_| !self.is_closed())?;
        let waits = self.is_probed() || matches!(self.state, State::Hello);
        Some(self.last_heard + interval * if waits { 2 } else { 1 })
    }

    /// What happened next; `None`: more bytes or time are needed.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if self.is_closed() {
                return None;
            }
            if let Some(reason) = self.closing.take() {
                self.state = State::Closed;
                self.input.clear();
                return Some(Event::Closed(reason));
            }
            let bytes = self.next_message()?;
            let copy = self.handled.is_some().then(|| bytes.clone());
            let event = match self.state {
                State::Hello => self.negotiate(&bytes),
                _ => self.receive(bytes),
            };
            let carried = matches!(event, Some(Event::Message(..) | Event::Malformed(..)));
            if let (Some(handled), Some(copy), false) = (&mut self.handled, copy, carried) {
                handled.push(copy);
            }
            if event.is_some() {
                return event;
            }
        }
    }

    /// Cuts the next whole message off the input.
    fn next_message(&mut self) -> Option<Bytes> {
        let header = Header::parse(&self.input)?;
        let size = usize::from(header.size);
        if size < HEADER_SIZE {
            // Where the next message begins cannot be known.
            let quote = self.input.split().freeze();
            if self.settings.side == Side::Switch {
                self.send_error(OfError::BadLength, &quote);
            }
            self.state = State::Up;
            self.closing = Some(Closed::Framing(header.size));
            return None;
        }
        if self.input.len() < size {
            return None;
        }
        self.begun = self.last_heard;
        Some(self.input.split_to(size).freeze())
    }

    /// The first message has to be a hello.
    fn negotiate(&mut self, bytes: &Bytes) -> Option<Event> {
        let header = Header::parse(bytes)?;
        let ours = self.settings.versions;
        if header.kind == 1 {
            self.closing = Some(Closed::Refused(refusal(bytes)));
            return None;
        }
        let Ok(Message {
            body: Body::Hello(hello),
            ..
        }) = Message::decode(bytes, &self.dialect)
        else {
            self.send_error(OfError::BadType, bytes);
            self.closing = Some(Closed::NoHello(header.kind));
            return None;
        };
        let (common, theirs) = agree(ours, &hello);
        if let Some(version) = common {
            self.dialect = Dialect::new(version);
            self.state = State::Up;
            return Some(Event::Up(version));
        }
        // The error goes out in a version that the peer can read, if there is one.
        let speak = Version::from_wire(hello.version).filter(|v| *v <= self.dialect.version);
        self.dialect.version = speak.or(ours.lowest()).unwrap_or(Version::V10);
        let text = format!("We support {ours}, you support {theirs}, no common version.");
        let body = ErrorBody {
            error: OfError::HelloIncompatible,
            data: Bytes::from(text),
        };
        self.reply(header.xid, Body::Error(body));
        self.closing = Some(Closed::NoCommonVersion { ours, theirs });
        None
    }

    /// A message after the hellos. What the session deals with itself is no event.
    fn receive(&mut self, bytes: Bytes) -> Option<Event> {
        match Message::decode(&bytes, &self.dialect) {
            Err(error) => {
                let is_error = Header::parse(&bytes).is_some_and(|header| header.kind == 1);
                if self.settings.side == Side::Switch && !is_error {
                    self.send_error(error, &bytes);
                }
                Some(Event::Malformed(error, bytes))
            }
            Ok(Message {
                body: Body::Hello(_),
                ..
            }) => None,
            Ok(Message {
                xid,
                body: Body::EchoRequest(data),
            }) => {
                self.reply(xid, Body::EchoReply(data));
                None
            }
            Ok(Message {
                xid,
                body: Body::EchoReply(_),
            }) if self.probe.is_some_and(|(probe, _)| probe == xid) => {
                self.probe = None;
                None
            }
            Ok(message) => {
                if self.settings.side == Side::Switch {
                    self.adopt(&message.body);
                }
                Some(Event::Message(message, bytes))
            }
        }
    }

    /// Takes over what the controller says about formats.
    fn adopt(&mut self, body: &Body) {
        match body {
            Body::SetFlowFormat(format) => self.dialect.flow_format = *format,
            Body::FlowModTableId(set) => self.dialect.flow_mod_table_id = *set,
            Body::SetPacketInFormat(format) => self.packet_in_format = *format,
            _ => {}
        }
    }
}

/// The version to speak, and what the peer supports as far as it says.
fn agree(ours: Versions, hello: &Hello) -> (Option<Version>, Versions) {
    // OpenFlow 1.3.5 section 6.3.1: with both bitmaps, "the negotiated version must be the highest
    // version in both sets"; otherwise "the smaller of the version number that was sent and the one
    // that was received in the version fields".
    match hello.bitmap {
        Some(bitmap) => (ours.and(Versions(bitmap)).highest(), Versions(bitmap)),
        None => {
            let theirs = Versions((1 << (u32::from(hello.version).min(30) + 1)) - 2);
            let version = match ours.highest() {
                Some(highest) if highest as u8 <= hello.version => Some(highest),
                _ => Version::from_wire(hello.version).filter(|v| ours.contains(*v)),
            };
            (version, theirs)
        }
    }
}

/// The text of a HELLO_FAILED error, cleaned for people's eyes.
fn refusal(bytes: &Bytes) -> String {
    let text = bytes.get(HEADER_SIZE + 4..).unwrap_or_default();
    let text: String = String::from_utf8_lossy(text)
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    if text.is_empty() {
        "no reason given".to_owned()
    } else {
        text
    }
}

impl Settings {
    /// A side with every version and without probes.
    pub fn new(side: Side) -> Settings {
        Settings {
            side,
            versions: Versions::all(),
            inactivity_probe: None,
        }
    }
}

impl Dialect {
    /// Whether flows go in Nicira's form.
    pub fn nxm(&self) -> bool {
        self.version == Version::V10 && self.flow_format == FlowFormat::Nxm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn session(side: Side, versions: &[Version]) -> Session {
        let settings = Settings {
            versions: Versions::of(versions),
            ..Settings::new(side)
        };
        Session::new(settings, at(0))
    }

    /// Moves bytes both ways until nothing moves; returns both sides' events.
    fn exchange(a: &mut Session, b: &mut Session) -> [Vec<Event>; 2] {
        let mut events = [Vec::new(), Vec::new()];
        for _ in 0..10 {
            let (to_b, to_a) = (a.output().split(), b.output().split());
            b.feed(at(0), &to_b);
            a.feed(at(0), &to_a);
            events[0].extend(std::iter::from_fn(|| a.next_event()));
            events[1].extend(std::iter::from_fn(|| b.next_event()));
        }
        events
    }

    fn negotiated(ours: &[Version], theirs: &[Version]) -> Option<Version> {
        let (mut a, mut b) = (
            session(Side::Switch, ours),
            session(Side::Controller, theirs),
        );
        exchange(&mut a, &mut b);
        assert_eq!(a.version(), b.version());
        a.version()
    }

    #[test]
    fn the_highest_common_version_is_agreed_on() {
        use Version::{V10, V13, V14};
        assert_eq!(negotiated(&[V10, V13], &[V10, V13]), Some(V13));
        assert_eq!(negotiated(&[V10, V13], &[V10]), Some(V10));
        assert_eq!(negotiated(&[V10, V13], &[V10, V14]), Some(V10));
        assert_eq!(negotiated(&[V10], &[V13]), None);
    }

    #[test]
    fn no_common_version_is_said_to_both_sides() {
        let mut a = session(Side::Switch, &[Version::V13]);
        let mut b = session(Side::Controller, &[Version::V10]);
        let [ours, theirs] = exchange(&mut a, &mut b);
        let (v13, v10) = (Versions::of(&[Version::V13]), Versions::of(&[Version::V10]));
        let reason = Closed::NoCommonVersion {
            ours: v13,
            theirs: v10,
        };
        assert_eq!(ours, [Event::Closed(reason)]);
        assert!(matches!(&theirs[..], [Event::Closed(_)]), "{theirs:?}");
        assert!(a.is_closed() && b.is_closed());
    }

    #[test]
    fn messages_go_both_ways_and_echoes_are_answered() {
        let mut switch = session(Side::Switch, &[Version::V13]);
        let mut tool = session(Side::Controller, &[Version::V13]);
        exchange(&mut switch, &mut tool);
        let xid = tool.send(Body::EchoRequest(Bytes::from_static(b"ping")));
        tool.send(Body::BarrierRequest);
        let [at_switch, at_tool] = exchange(&mut switch, &mut tool);
        let Event::Message(echo, _) = &at_tool[0] else {
            panic!("{at_tool:?}")
        };
        assert_eq!(
            (echo.xid, &echo.body),
            (xid, &Body::EchoReply(Bytes::from_static(b"ping")))
        );
        let barrier =
            |e: &Event| matches!(e, Event::Message(m, _) if m.body == Body::BarrierRequest);
        assert!(at_switch.iter().any(barrier));
    }

    #[test]
    fn malformed_messages_are_answered_with_their_bytes() {
        let mut switch = session(Side::Switch, &[Version::V13]);
        let mut tool = session(Side::Controller, &[Version::V13]);
        exchange(&mut switch, &mut tool);
        for (bytes, error) in [
            (&[4, 99, 0, 8, 0, 0, 0, 7][..], OfError::BadType),
            (
                &[4, 18, 0, 16, 0, 0, 0, 7, 0, 99, 0, 0, 0, 0, 0, 0],
                OfError::BadStat,
            ),
            (&[1, 5, 0, 8, 0, 0, 0, 7], OfError::BadVersion),
            (&[4, 5, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0], OfError::BadLength),
            (
                &[4, 4, 0, 16, 0, 0, 0, 7, 9, 9, 9, 9, 0, 0, 0, 0],
                OfError::BadVendor,
            ),
        ] {
            tool.output().extend_from_slice(bytes);
            let [_, at_tool] = exchange(&mut switch, &mut tool);
            let Event::Message(reply, _) = &at_tool[0] else {
                panic!("{at_tool:?}")
            };
            let data = Bytes::copy_from_slice(bytes);
            assert_eq!(
                reply,
                &Message {
                    xid: Xid(7),
                    body: Body::Error(ErrorBody { error, data })
                }
            );
        }
        tool.output()
            .extend_from_slice(&[4, 0, 0, 7, 0, 0, 0, 7, 1]);
        let [at_switch, _] = exchange(&mut switch, &mut tool);
        assert_eq!(at_switch, [Event::Closed(Closed::Framing(7))]);
    }

    #[test]
    fn a_silent_peer_is_probed_and_given_up() {
        let mut settings = Settings::new(Side::Switch);
        settings.inactivity_probe = Some(at(5));
        let mut switch = Session::new(settings, at(0));
        let mut tool = session(Side::Controller, &[Version::V13]);
        exchange(&mut switch, &mut tool);
        switch.tick(at(4));
        assert!(switch.output().is_empty());
        assert_eq!(switch.deadline(), Some(at(5)));
        switch.tick(at(5));
        let probe = switch.output().split();
        tool.feed(at(5), &probe);
        assert_eq!(tool.next_event(), None);
        let answer = tool.output().split();
        switch.feed(at(6), &answer);
        assert_eq!(switch.next_event(), None);
        switch.tick(at(11));
        switch.tick(at(16));
        assert_eq!(
            switch.next_event(),
            Some(Event::Closed(Closed::Inactive(at(10))))
        );
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..200_usize) {
            for side in [Side::Switch, Side::Controller] {
                let mut s = session(side, &[Version::V10, Version::V13]);
                s.feed(at(0), &[4, 0, 0, 8, 0, 0, 0, 1]);
                let (head, tail) = noise.split_at(cut.min(noise.len()));
                s.feed(at(0), head);
                while s.next_event().is_some() {}
                s.feed(at(0), tail);
                while s.next_event().is_some() {}
            }
        }
    }
}
