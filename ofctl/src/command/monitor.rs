//! `monitor` and `snoop`: what a switch says, as it says it, until stopped. A control socket takes commands meanwhile.

use super::{Context, flow_monitor, print};
use crate::connection::Connection;
use crate::control::{Control, PidFile, Request, detach, place, ready};
use crate::failure::{Failure, Result};
use crate::stamp;
use bytes::Bytes;
use ofp::message::{Body, Message, MultipartRequest, PacketIn, PacketInFormat, SwitchConfig};
use ofp::text::digits;
use ofp::text::print::{print_message, print_wire};
use ofp::text::{PortMap, nearest, read_packet_out};
use ofp::usable::{Protocol, usable_packet_out};
use std::fs::File;
use std::io::Write;
use std::time::Duration;

/// Monitoring waits as long as nobody stops it.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);
/// With a control socket, commands are looked for this often.
const LOOK_AROUND: Duration = Duration::from_millis(50);

const FORMATS: &[(&str, PacketInFormat)] = &[
    ("standard", PacketInFormat::Standard),
    ("openflow10", PacketInFormat::Standard),
    ("nxt_packet_in", PacketInFormat::Nxt),
    ("nxm", PacketInFormat::Nxt),
    ("nxt_packet_in2", PacketInFormat::Nxt2),
];

fn choose_format(context: &Context<'_>, connection: &mut Connection) -> Result<()> {
    let Some(name) = &context.options.packet_in_format else {
        // The one that says most; a switch that does not know it keeps to the standard.
        return match connection.tell(vec![Body::SetPacketInFormat(PacketInFormat::Nxt2)]) {
            Err(Failure::Switch(_)) => Ok(()),
            other => other,
        };
    };
    let Some((_, format)) = FORMATS.iter().find(|f| f.0 == name) else {
        let hint = nearest(name, FORMATS.iter().map(|f| f.0))
            .map_or(String::new(), |n| format!("; did you mean {n}?"));
        return Err(Failure::plain(format!(
            "-P: no packet-in format \"{name}\"{hint}"
        )));
    };
    connection.tell(vec![Body::SetPacketInFormat(*format)])
}

/// What the words behind the switch ask for.
#[derive(Default)]
struct Wishes<'a> {
    miss_send_len: Option<u16>,
    invalid_ttl: bool,
    resume: bool,
    /// What follows each `watch:`.
    watch: Vec<&'a str>,
}

impl<'a> Wishes<'a> {
    fn read(words: &'a [String]) -> Result<Wishes<'a>> {
        let mut wishes = Wishes::default();
        for word in words {
            if let Some(flows) = word.strip_prefix("watch:") {
                wishes.watch.push(flows);
                continue;
            }
            match word.as_str() {
                "invalid_ttl" => wishes.invalid_ttl = true,
                "resume" => wishes.resume = true,
                number => {
                    let len = digits(number, 10).ok_or_else(|| {
                        Failure::plain(format!(
                            "monitor: \"{number}\" is not a length of 0 to 65535, invalid_ttl, resume or watch:"
                        ))
                    })?;
                    wishes.miss_send_len = Some(len);
                }
            }
        }
        Ok(wishes)
    }

    fn tell(&self, connection: &mut Connection) -> Result<()> {
        if self.miss_send_len.is_none() && !self.invalid_ttl {
            return Ok(());
        }
        let old = match connection.ask(Body::GetConfigRequest)?.body {
            Body::GetConfigReply(config) => config,
            _ => SwitchConfig::default(),
        };
        connection.tell(vec![Body::SetConfig(SwitchConfig {
            miss_send_len: self.miss_send_len.unwrap_or(old.miss_send_len),
            invalid_ttl_to_controller: self.invalid_ttl,
            ..old
        })])
    }
}

pub(super) fn monitor(context: &Context<'_>) -> Result<()> {
    let wishes = Wishes::read(&context.args[1..])?;
    let Some(mut session) = Session::start(context)? else {
        return Ok(());
    };
    let mut versions = context.options.versions()?.0;
    let watched = flow_monitor::requests(context, &wishes.watch, &mut versions)?;
    let mut connection = context.connect_with(&versions)?;
    choose_format(context, &mut connection)?;
    if let Some(id) = context.options.controller_id {
        connection.tell(vec![Body::SetControllerId(id)])?;
    }
    wishes.tell(&mut connection)?;
    let ports = context.all_names_to_show(&mut connection)?;
    if !watched.is_empty() {
        let request = MultipartRequest::FlowMonitor(watched);
        connection.send(Body::MultipartRequest(request))?;
    }
    ready()?;
    let style = context.style(connection.version(), &ports);
    while let Some(bytes) = session.next(context, &mut connection)? {
        let Some(message) = connection.open_message(&bytes)? else {
            continue;
        };
        session.print(context, &print_message(&message, &style))?;
        if let (Body::PacketIn(packet), true) = (message.body, wishes.resume)
            && !packet.continuation.is_empty()
        {
            resume(&mut connection, packet)?;
        }
    }
    Ok(())
}

/// A paused packet goes on.
fn resume(connection: &mut Connection, packet: Box<PacketIn>) -> Result<()> {
    connection.send(Body::Resume(packet)).map(|_| ())
}

pub(super) fn snoop(context: &Context<'_>) -> Result<()> {
    let switch = context.switch();
    let target = match switch.contains([':', '/']) {
        true => switch.to_owned(),
        false => format!("unix:{}", place(&format!("{switch}.snoop")).display()),
    };
    let Some(mut session) = Session::start(context)? else {
        return Ok(());
    };
    let mut connection = context.open(&target, &context.options.versions()?.0)?;
    ready()?;
    let ports = PortMap::default();
    let style = context.style(connection.version(), &ports);
    while let Some(bytes) = session.next(context, &mut connection)? {
        session.print(context, &print_wire(&bytes, &style))?;
    }
    Ok(())
}

/// What goes on beside the connection.
struct Session {
    control: Option<Control>,
    _pid_file: Option<PidFile>,
    /// Instead of standard output.
    file: Option<File>,
    /// Messages are left unread.
    is_blocked: bool,
    barrier: Option<(ofp::types::Xid, Request)>,
}

impl Session {
    /// Makes the files that are asked for. `None`: a process in the background does the work.
    fn start(context: &Context<'_>) -> Result<Option<Session>> {
        let options = context.options;
        if options.detach && detach()? {
            return Ok(None);
        }
        let pid_file = match &options.pidfile {
            Some(name) => Some(PidFile::write(&place(name), options.overwrite_pidfile)?),
            None => None,
        };
        let wants_control = options.detach || options.pidfile.is_some();
        let control = match options.unixctl.as_deref() {
            Some("none") => None,
            Some(name) => Some(Control::listen(&place(name))?),
            None if wants_control => {
                let name = format!("ofctl.{}.ctl", std::process::id());
                Some(Control::listen(&place(&name))?)
            }
            None => None,
        };
        Ok(Some(Session {
            control,
            _pid_file: pid_file,
            file: None,
            is_blocked: false,
            barrier: None,
        }))
    }

    /// The next message; `None`: it was told to end.
    fn next(
        &mut self,
        context: &Context<'_>,
        connection: &mut Connection,
    ) -> Result<Option<Bytes>> {
        loop {
            while let Some(request) = self
                .control
                .as_ref()
                .and_then(|control| control.requests.try_recv().ok())
            {
                if !self.obey(context, connection, request)? {
                    return Ok(None);
                }
            }
            if self.is_blocked {
                std::thread::sleep(LOOK_AROUND);
                continue;
            }
            let limit = match self.control {
                Some(_) => LOOK_AROUND,
                None => FOREVER,
            };
            if let Some(bytes) = connection.receive_within(limit)? {
                let header = ofp::wire::Header::parse(&bytes);
                if let Some((xid, _)) = &self.barrier
                    && header.is_some_and(|header| header.xid == *xid)
                    && let Some((_, request)) = self.barrier.take()
                {
                    request.answer(Ok(String::new()));
                }
                return Ok(Some(bytes));
            }
        }
    }

    /// Does what the control socket says; `false`: it is to end.
    fn obey(
        &mut self,
        context: &Context<'_>,
        connection: &mut Connection,
        request: Request,
    ) -> Result<bool> {
        let answer = match request.method.as_str() {
            "exit" => {
                request.answer(Ok(String::new()));
                // The answer's thread gets its turn.
                std::thread::sleep(LOOK_AROUND);
                return Ok(false);
            }
            "ofctl/block" => {
                self.is_blocked = true;
                Ok(String::new())
            }
            "ofctl/unblock" => {
                self.is_blocked = false;
                Ok(String::new())
            }
            "ofctl/barrier" => {
                let xid = connection.send(Body::BarrierRequest)?;
                self.barrier = Some((xid, request));
                return Ok(true);
            }
            "ofctl/send" => self.send(context, connection, &request.args),
            "ofctl/packet-out" => self.packet_out(context, connection, &request.args),
            "ofctl/set-output-file" => match request.args.as_slice() {
                [name] => File::create(name)
                    .map(|file| {
                        self.file = Some(file);
                        String::new()
                    })
                    .map_err(|error| format!("{name}: {error}")),
                _ => Err("ofctl/set-output-file wants a file".into()),
            },
            "version" => Ok(format!("ofctl (Tsunagi) {}\n", env!("CARGO_PKG_VERSION"))),
            "list-commands" => Ok(format!(
                "The available commands are:\n{}",
                COMMANDS
                    .iter()
                    .map(|(name, args)| format!("  {name:<23} {args}\n"))
                    .collect::<String>()
            )),
            other => Err(format!(
                "\"{other}\" is not a valid command (use \"list-commands\" to see a list of valid commands)"
            )),
        };
        request.answer(answer);
        Ok(true)
    }

    fn send(
        &mut self,
        context: &Context<'_>,
        connection: &mut Connection,
        args: &[String],
    ) -> std::result::Result<String, String> {
        let mut reply = String::new();
        for word in args {
            let bytes = super::parse::hex_bytes(word).map_err(|error| error.to_string())?;
            let ports = PortMap::default();
            let style = context.style(connection.version(), &ports);
            let text = format!("send: {}", print_wire(&bytes, &style));
            self.print(context, &text)
                .map_err(|error| error.to_string())?;
            connection
                .write(&bytes)
                .map_err(|error| error.to_string())?;
            reply = "sent\n".into();
        }
        Ok(reply)
    }

    fn packet_out(
        &mut self,
        context: &Context<'_>,
        connection: &mut Connection,
        args: &[String],
    ) -> std::result::Result<String, String> {
        let [text] = args else {
            return Err("ofctl/packet-out wants one packet-out".into());
        };
        let out = read_packet_out(text, &PortMap::default()).map_err(|error| error.to_string())?;
        let usable = usable_packet_out(&out);
        if let Some(why) = usable.why_not(Protocol::of(connection.version())) {
            return Err(format!("{}: {why}", connection.version().name()));
        }
        let ports = PortMap::default();
        let style = context.style(connection.version(), &ports);
        let body = Body::PacketOut(Box::new(out));
        let xid = connection
            .send(body.clone())
            .map_err(|error| error.to_string())?;
        self.print(context, &print_message(&Message { xid, body }, &style))
            .map_err(|error| error.to_string())?;
        Ok(String::new())
    }

    fn print(&mut self, context: &Context<'_>, text: &str) -> Result<()> {
        let stamp = match context.options.timestamp {
            true => format!("{}: ", stamp::now()),
            false => String::new(),
        };
        match &mut self.file {
            Some(file) => Ok(write!(file, "{stamp}{text}")?),
            None => print(&format!("{stamp}{text}")),
        }
    }
}

/// What the control socket takes.
const COMMANDS: &[(&str, &str)] = &[
    ("exit", ""),
    ("list-commands", ""),
    ("ofctl/barrier", ""),
    ("ofctl/block", ""),
    (
        "ofctl/packet-out",
        "\"in_port=<port> packet=<hex data> actions=...\"",
    ),
    ("ofctl/send", "OFMSG..."),
    ("ofctl/set-output-file", "FILE"),
    ("ofctl/unblock", ""),
    ("version", ""),
];
