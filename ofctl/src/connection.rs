//! One OpenFlow connection: negotiates a version, sends requests, collects replies. Synchronous, with
//! bounded buffers; echo requests are answered while it waits.

use crate::failure::{Failure, Result};
use crate::target::{Stream, Target};
use bytes::{BufMut, Bytes, BytesMut};
use ofp::action::PacketType;
use ofp::bpdu::BpduStats;
use ofp::message::{
    Body, Dialect, ErrorBody, FlowFormat, FlowMod, Hello, Message, MultipartPart, MultipartRequest,
};
use ofp::text::{PortMap, Style, print};
use ofp::types::{PortNo, TableId, Version, Xid};
use ofp::usable::Protocol;
use ofp::wire::{HEADER_SIZE, Header};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A switch that does not answer a hello for this long is not one.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// A reply that takes longer will not come.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Transaction ids count through the whole command.
static NEXT_XID: AtomicU32 = AtomicU32::new(1);

fn next_xid() -> Xid {
    Xid(NEXT_XID.fetch_add(1, Ordering::Relaxed))
}

/// An open connection.
pub struct Connection {
    stream: Stream,
    name: String,
    /// What both sides speak.
    pub dialect: Dialect,
    received: BytesMut,
    deadline: Option<Instant>,
}

/// What came instead of a reply.
enum Refusal {
    Version,
    Failure(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal::Failure(failure)
    }
}

/// Appends a message's bytes, if they are as many as a message can have.
fn encode(message: &Message, dialect: &Dialect, out: &mut BytesMut) -> Result<()> {
    let before = out.len();
    message.encode(dialect, out);
    // What the version has no message for is left out.
    match out.len() > before || ofp::wire::row(&message.body, dialect).is_none() {
        true => Ok(()),
        false => Err(Failure::plain(
            "this does not fit an OpenFlow message, which has 65535 bytes at most",
        )),
    }
}

impl Connection {
    /// Connects with the first of the versions that the switch speaks.
    pub fn open(
        name: &str,
        versions: &[Version],
        deadline: Option<Instant>,
        tls: Option<&tls::Files>,
    ) -> Result<Connection> {
        let target = Target::read(name)?;
        for version in versions {
            match Connection::with_version(name, &target, *version, deadline, tls) {
                Ok(connection) => return Ok(connection),
                Err(Refusal::Version) => {}
                Err(Refusal::Failure(failure)) => return Err(failure),
            }
        }
        let tried: Vec<&str> = versions.iter().map(|v| v.name()).collect();
        Err(Failure::plain(format!(
            "{name}: the switch does not speak {}; see the bridge's protocols column",
            tried.join(" or ")
        )))
    }

    fn with_version(
        name: &str,
        target: &Target,
        version: Version,
        deadline: Option<Instant>,
        tls: Option<&tls::Files>,
    ) -> std::result::Result<Connection, Refusal> {
        let dialect = Dialect {
            version,
            flow_format: FlowFormat::Nxm,
            flow_mod_table_id: version == Version::V10,
        };
        let mut connection = Connection {
            stream: target.connect(deadline, tls)?,
            name: name.to_owned(),
            dialect,
            received: BytesMut::new(),
            deadline,
        };
        let hello = Hello {
            version: version as u8,
            bitmap: Some(1 << (version as u8)),
        };
        connection.send(Body::Hello(hello))?;
        let bytes = connection.receive_bytes(HELLO_TIMEOUT)?;
        let theirs = match Message::decode(&bytes, &dialect) {
            Ok(Message {
                body: Body::Hello(hello),
                ..
            }) => hello,
            Ok(Message {
                body: Body::Error(_),
                ..
            })
            | Err(_) => return Err(Refusal::Version),
            Ok(other) => {
                return Err(Failure::plain(format!(
                    "{name}: expected a hello, got {:?}",
                    other.xid
                ))
                .into());
            }
        };
        let speaks = match theirs.bitmap {
            Some(bitmap) => bitmap >> (version as u8) & 1 == 1,
            None => theirs.version >= version as u8,
        };
        if speaks {
            Ok(connection)
        } else {
            Err(Refusal::Version)
        }
    }

    /// The version in use.
    pub fn version(&self) -> Version {
        self.dialect.version
    }

    /// Sends a message and returns its transaction id.
    pub fn send(&mut self, body: Body) -> Result<Xid> {
        let xid = next_xid();
        let mut out = BytesMut::new();
        self.append(xid, body, &mut out)?;
        self.write(&out)?;
        Ok(xid)
    }

    /// Appends a message's bytes to a buffer for [`write`](Connection::write), with a new transaction id.
    pub fn encode(&self, body: Body, out: &mut BytesMut) -> Result<Xid> {
        let xid = next_xid();
        self.append(xid, body, out)?;
        Ok(xid)
    }

    /// As [`encode`](Connection::encode), for a flow that OpenFlow 1.0's own message can say or not.
    pub fn encode_flow(&self, flow: FlowMod, standard: bool, out: &mut BytesMut) -> Result<Xid> {
        let xid = next_xid();
        let body = Body::FlowMod(Box::new(flow));
        let dialect = flow_dialect(self.version(), standard);
        encode(&Message { xid, body }, &dialect, out)?;
        Ok(xid)
    }

    /// As [`encode`](Connection::encode), for a message that travels in another one with the same id.
    pub fn encode_wrapped(
        &self,
        body: Body,
        wrap: impl FnOnce(Message) -> Body,
        out: &mut BytesMut,
    ) -> Result<Xid> {
        let xid = next_xid();
        self.append(xid, wrap(Message { xid, body }), out)?;
        Ok(xid)
    }

    fn append(&self, xid: Xid, body: Body, out: &mut BytesMut) -> Result<()> {
        encode(&Message { xid, body }, &self.dialect, out)
    }

    /// Writes encoded messages.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.limit(REPLY_TIMEOUT)?;
        let name = &self.name;
        self.stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush())
            .map_err(|error| broken(name, error))
    }

    fn limit(&self, most: Duration) -> Result<()> {
        let left = match self.deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(most),
            None => most,
        };
        if left.is_zero() {
            return Err(Failure::TimedOut(self.name.clone()));
        }
        Ok(self.stream.set_timeout(Some(left))?)
    }

    /// Receives the bytes of one whole message.
    fn receive_bytes(&mut self, most: Duration) -> Result<Bytes> {
        loop {
            if let Some(header) = Header::parse(&self.received) {
                let size = usize::from(header.size);
                if size < HEADER_SIZE {
                    return Err(Failure::plain(format!(
                        "{}: that is not OpenFlow",
                        self.name
                    )));
                }
                if self.received.len() >= size {
                    return Ok(self.received.split_to(size).freeze());
                }
            }
            self.limit(most)?;
            let mut chunk = [0; 16384];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    return Err(Failure::plain(format!(
                        "{}: the switch closed the connection",
                        self.name
                    )));
                }
                Ok(n) => self.received.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&self.name, error)),
            }
        }
    }

    /// The bytes of the next message; `None`: none came within this time.
    pub fn receive_within(&mut self, most: Duration) -> Result<Option<Bytes>> {
        match self.receive_bytes(most) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Failure::TimedOut(_)) if self.deadline.is_none_or(|d| d > Instant::now()) => {
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// What is in a message; `None`: an echo request, which is answered.
    pub fn open_message(&mut self, bytes: &Bytes) -> Result<Option<Message>> {
        let message = match Message::decode(bytes, &self.dialect) {
            Ok(message) => message,
            Err(error) => {
                let dump = print::hex_dump(bytes, true);
                return Err(Failure::plain(format!(
                    "{}: cannot decode a message: {error}\n{dump}",
                    self.name
                )));
            }
        };
        match message.body {
            Body::EchoRequest(data) => {
                let mut out = BytesMut::new();
                self.append(message.xid, Body::EchoReply(data), &mut out)?;
                self.write(&out)?;
                Ok(None)
            }
            _ => Ok(Some(message)),
        }
    }

    /// Sends a message that is given as its type and body, and prints what is answered.
    pub fn ask_bytes(&mut self, kind: u8, body: &[u8]) -> Result<String> {
        let xid = self.send_bytes(kind, body)?;
        loop {
            let bytes = self.receive_bytes(REPLY_TIMEOUT)?;
            if Header::parse(&bytes).is_some_and(|header| header.xid == xid) {
                let ports = PortMap::default();
                let style = Style::plain(self.version(), &ports);
                return Ok(print::print_wire(&bytes, &style));
            }
        }
    }

    /// Sends a message that is given as its type and body, and a barrier; an error is a failure.
    pub fn tell_bytes(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        self.send_bytes(kind, body)?;
        self.tell(Vec::new())
    }

    fn send_bytes(&mut self, kind: u8, body: &[u8]) -> Result<Xid> {
        let xid = next_xid();
        let mut out = BytesMut::new();
        out.put_u8(self.version() as u8);
        out.put_u8(kind);
        out.put_u16((HEADER_SIZE + body.len()) as u16);
        out.put_u32(xid.0);
        out.put_slice(body);
        self.write(&out)?;
        Ok(xid)
    }

    /// Receives a message; echo requests are answered and not returned.
    pub fn receive(&mut self, most: Duration) -> Result<Message> {
        loop {
            let bytes = self.receive_bytes(most)?;
            if let Some(message) = self.open_message(&bytes)? {
                return Ok(message);
            }
        }
    }

    /// Waits for the message with this id; an error is a failure.
    pub fn reply(&mut self, xid: Xid) -> Result<Message> {
        loop {
            let message = self.receive(REPLY_TIMEOUT)?;
            if message.xid == xid {
                return match message.body {
                    Body::Error(ref error) => Err(self.refused(xid, error)),
                    _ => Ok(message),
                };
            }
        }
    }

    /// Sends a request and waits for its reply.
    pub fn ask(&mut self, body: Body) -> Result<Message> {
        let xid = self.send(body)?;
        self.reply(xid)
    }

    /// Sends a multipart request; `part` gets each part of the reply as it arrives.
    pub fn ask_parts(
        &mut self,
        request: MultipartRequest,
        mut part: impl FnMut(&Message) -> Result<()>,
    ) -> Result<()> {
        let xid = self.send(Body::MultipartRequest(request))?;
        loop {
            let message = self.reply(xid)?;
            let Body::MultipartReply(reply) = &message.body else {
                return Err(Failure::plain(format!(
                    "{}: a reply of the wrong kind",
                    self.name
                )));
            };
            part(&message)?;
            if !reply.more {
                return Ok(());
            }
        }
    }

    /// Sends messages that have no reply, and a barrier; the first error is a failure.
    pub fn tell(&mut self, bodies: Vec<Body>) -> Result<()> {
        let mut out = BytesMut::new();
        for body in bodies {
            self.encode(body, &mut out)?;
        }
        self.write(&out)?;
        let barrier = self.send(Body::BarrierRequest)?;
        let mut first = None;
        self.wait_barrier(barrier, |xid, error| {
            first.get_or_insert_with(|| (xid, error.clone()));
        })?;
        match first {
            Some((xid, error)) => Err(self.refused(xid, &error)),
            None => Ok(()),
        }
    }

    /// Waits for a barrier's reply, and gives the errors that come before it to `on_error`.
    pub fn wait_barrier(
        &mut self,
        barrier: Xid,
        mut on_error: impl FnMut(Xid, &ErrorBody),
    ) -> Result<()> {
        loop {
            let message = self.receive(REPLY_TIMEOUT)?;
            match &message.body {
                Body::Error(error) => on_error(message.xid, error),
                Body::BarrierReply if message.xid == barrier => return Ok(()),
                _ => {}
            }
        }
    }

    /// Waits for a message's answer; it and errors before it, also its own, go to `on_error`.
    pub fn wait_answer(
        &mut self,
        xid: Xid,
        mut on_error: impl FnMut(Xid, &ErrorBody),
    ) -> Result<()> {
        loop {
            let message = self.receive(REPLY_TIMEOUT)?;
            if let Body::Error(error) = &message.body {
                on_error(message.xid, error);
            }
            if message.xid == xid {
                return Ok(());
            }
        }
    }

    /// An error of the switch's: its name, the message that it complains about, and what it means.
    pub fn refused(&self, xid: Xid, error: &ErrorBody) -> Failure {
        Failure::Switch(self.describe_error(xid, error))
    }

    /// The text of [`refused`](Connection::refused).
    pub fn describe_error(&self, xid: Xid, error: &ErrorBody) -> String {
        let ports = PortMap::default();
        let style = Style {
            frame: Some(&describe_packet),
            ..Style::plain(self.version(), &ports)
        };
        let body = Body::Error(error.clone());
        let mut out = print::print_message(&Message { xid, body }, &style);
        out.push_str(&format!("ofctl: {}: {}\n", self.name, error.error));
        out
    }

    /// BPDUs of a port, or of all. `None`: the switch does not know this request.
    pub fn bpdus(&mut self, port: PortNo) -> Result<Option<Vec<BpduStats>>> {
        let xid = self.send(Body::MultipartRequest(MultipartRequest::Bpdu(port)))?;
        let mut all = Vec::new();
        loop {
            let message = self.receive(REPLY_TIMEOUT)?;
            match message.body {
                _ if message.xid != xid => {}
                Body::Error(_) => return Ok(None),
                Body::MultipartReply(reply) => {
                    if let MultipartPart::Bpdu(part) = reply.part {
                        all.extend(part);
                    }
                    if !reply.more {
                        return Ok(Some(all));
                    }
                }
                _ => {}
            }
        }
    }

    /// The names of the switch's ports.
    pub fn ports(&mut self) -> Result<PortMap> {
        let mut map = PortMap::default();
        for desc in self.port_descs()? {
            map.insert(desc.port, &desc.name);
        }
        Ok(map)
    }

    /// Adds the names of the switch's tables, if it says them.
    pub fn add_table_names(&mut self, map: &mut PortMap) -> Result<()> {
        let request = match self.version() {
            version if version >= Version::V13 => MultipartRequest::TableFeatures(Vec::new()),
            _ => MultipartRequest::Table,
        };
        let mut add = |table: TableId, name: &str| {
            // What the stock switch calls tables that nobody named.
            if name != format!("table{table}") && name != "classifier" {
                map.insert_table(table, name);
            }
        };
        self.ask_parts(request, |message| {
            if let Body::MultipartReply(reply) = &message.body {
                match &reply.part {
                    MultipartPart::TableFeatures(tables) => {
                        tables.iter().for_each(|t| add(t.table, &t.name));
                    }
                    MultipartPart::Table(tables) => {
                        tables.iter().for_each(|t| add(t.table, &t.name));
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// The switch's ports.
    pub fn port_descs(&mut self) -> Result<Vec<ofp::message::PortDesc>> {
        let mut all = Vec::new();
        if self.version() == Version::V10 {
            let message = self.ask(Body::FeaturesRequest)?;
            if let Body::FeaturesReply(features) = message.body {
                all = features.ports;
            }
            return Ok(all);
        }
        self.ask_parts(MultipartRequest::PortDesc(PortNo::ANY), |message| {
            if let Body::MultipartReply(reply) = &message.body
                && let MultipartPart::PortDesc(descs) = &reply.part
            {
                all.extend_from_slice(descs);
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// The port of a name or number that `mod-port` and others take.
    pub fn find_port(&mut self, word: &str) -> Result<PortNo> {
        let map = self.ports()?;
        ofp::text::read_port(ofp::text::Word::new(word), &map).map_err(Failure::text(word))
    }

    /// Lets OpenFlow 1.0 carry what Nicira's extensions can say; whether it does.
    pub fn enable_extensions(&mut self) -> Result<bool> {
        if self.version() != Version::V10 {
            return Ok(false);
        }
        match self.tell(vec![Body::SetFlowFormat(FlowFormat::Nxm)]) {
            Ok(()) => Ok(true),
            // A switch without them still speaks the standard.
            Err(Failure::Switch(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

/// OpenFlow 1.0's own way to say flows.
pub const STANDARD10: Protocol = Protocol {
    version: Version::V10,
    nxm: false,
};

/// How to send a flow: in OpenFlow 1.0 the standard's message if that can say it, else Nicira's.
pub fn flow_dialect(version: Version, standard: bool) -> Dialect {
    let flow_format = match standard {
        true => FlowFormat::OpenFlow10,
        false => FlowFormat::Nxm,
    };
    Dialect {
        version,
        flow_format,
        flow_mod_table_id: version == Version::V10,
    }
}

/// The line that says what is in a packet of a type, which is Ethernet for most.
pub fn describe_packet(data: &[u8], packet_type: PacketType) -> String {
    flow::print::packet_of(data, packet_type)
}

/// The same for a frame.
pub fn describe_frame(frame: &[u8]) -> String {
    describe_packet(frame, PacketType::ETHERNET)
}

fn broken(name: &str, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Failure::TimedOut(name.to_owned()),
        _ => Failure::plain(format!("{name}: {error}")),
    }
}
