//! Frames that wait until their tunnel's route and neighbour are known.

use super::execute::{Context, Executor, Nesting, TunnelWords};
use super::trace::Observer;
use crate::edge::{BURST, Frame, Pool};
use crate::model::DropReason;
use crate::model::event::Event;
use crate::model::port::PortView;
use crate::model::tlv::Options;
use crate::model::tunnel::{Ends, Tunnel};
use crate::model::{PortId, Snapshot};
use crate::time::Time;
use packet::bpdu;
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames that may wait for one tunnel: as many as Linux keeps per unresolved neighbour, roughly.
const MAX_WAITING: usize = 64;
/// Tunnels, or ends that packets name, that may have frames waiting.
const MAX_LINES: usize = 1024;
/// Frames that may wait at all workers together: there are some ten thousand buffers for whatever is queued somewhere.
const MAX_FRAMES: usize = 8192;
/// How often it is looked whose time is up, where no route has changed: that takes the longer, the more lines there are.
const ROUND: Time = Time::millis(10);
/// How long a frame waits: three rounds of address resolution.
const PATIENCE: Time = Time::secs(3);
/// How often control is reminded.
const REMINDER: Time = Time::secs(1);

type Frames<F> = VecDeque<(F, TunnelWords, Option<Box<Options>>, Time)>;

struct Line<F> {
    port: PortId,
    /// If the packets name them.
    ends: Option<Ends>,
    /// The port's; one that got its number later has another.
    name: Arc<str>,
    /// Frame, what its packet says of the tunnel, its options, since when; oldest first.
    frames: Frames<F>,
    asked: Time,
}

impl<F> Line<F> {
    /// Whether its frames are a port's.
    fn is_of(&self, port: &PortView) -> bool {
        self.port == port.id && Arc::ptr_eq(&self.name, &port.name)
    }
    /// Asks control for the route. A full ring: the reminder asks again.
    fn question(&self) -> Event {
        let (port, ends) = (self.port, self.ends);
        Event::Resolve { port, ends }
    }
    /// Whether the route is known.
    fn is_open(&self, snapshot: &Snapshot, tunnel: &Tunnel) -> bool {
        match &self.ends {
            None => tunnel.route.is_some(),
            Some(ends) => snapshot.routes.contains_key(ends),
        }
    }
}

/// The lines of one worker.
pub(super) struct Waiting<F> {
    lines: Vec<Line<F>>,
    /// Frames in all lines.
    len: usize,
    /// Of the snapshot that was looked at last.
    version: u64,
    /// When that was.
    looked: Time,
}

impl<F> Default for Waiting<F> {
    fn default() -> Waiting<F> {
        Waiting {
            lines: Vec::new(),
            len: 0,
            version: 0,
            looked: Time::default(),
        }
    }
}

impl<F> Waiting<F> {
    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl<P: Pool> Executor<P> {
    /// Lets go of all frames that wait, and counts them.
    pub fn wait_no_longer(&mut self) {
        self.waiting.len = 0;
        for line in std::mem::take(&mut self.waiting.lines) {
            for (frame, ..) in line.frames {
                self.not_sent(line.port, frame, DropReason::TunnelUnresolved, &mut ());
            }
        }
    }
    /// A frame waits for its tunnel's route, or for that to the ends that its packet names.
    pub fn wait<O: Observer>(
        &mut self,
        cx: Context<'_>,
        port: &PortView,
        ends: Option<Ends>,
        words: &TunnelWords,
        frame: P::Frame,
        o: &mut O,
    ) {
        if self.waiting.len >= MAX_FRAMES / self.mailbox.workers() {
            return self.not_sent(port.id, frame, DropReason::TunnelQueueFull, o);
        }
        let lines = &mut self.waiting.lines;
        let is_it = |line: &Line<P::Frame>| line.is_of(port) && line.ends == ends;
        let at = match lines.iter().position(is_it) {
            Some(at) => at,
            None if lines.len() >= MAX_LINES => {
                return self.not_sent(port.id, frame, DropReason::TunnelQueueFull, o);
            }
            None => {
                let line = Line {
                    port: port.id,
                    ends,
                    name: port.name.clone(),
                    frames: VecDeque::new(),
                    asked: cx.now,
                };
                self.events.push(line.question());
                lines.push(line);
                lines.len() - 1
            }
        };
        let line = &mut lines[at];
        if line.frames.len() >= MAX_WAITING {
            return self.not_sent(port.id, frame, DropReason::TunnelQueueFull, o);
        }
        o.note(format_args!("waits for {}'s neighbour", port.name));
        line.frames
            .push_back((frame, *words, self.sending.clone(), cx.now));
        self.waiting.len += 1;
    }
    /// Sends on what can go now, and gives up on what has waited too long. Called once per poll, for
    /// nothing unless frames wait.
    pub fn retry_waiting<O: Observer>(&mut self, cx: Context<'_>, o: &mut O) {
        let is_new = std::mem::replace(&mut self.waiting.version, cx.snapshot.version)
            != cx.snapshot.version;
        if !is_new && cx.now.since(self.waiting.looked) < ROUND {
            return;
        }
        self.waiting.looked = cx.now;
        for mut line in std::mem::take(&mut self.waiting.lines) {
            let port = cx.snapshot.port(line.port).filter(|port| line.is_of(port));
            let Some((port, tunnel)) = port.and_then(|port| Some((port, port.kind.tunnel()?)))
            else {
                self.waiting.len -= line.frames.len();
                for (frame, ..) in line.frames {
                    self.drop(frame, DropReason::TunnelUnresolved, o);
                }
                continue;
            };
            if is_new && line.is_open(cx.snapshot, tunnel) {
                self.waiting.len -= line.frames.len();
                self.release(cx, port, tunnel, line.frames, o);
                continue;
            }
            while let Some((frame, ..)) = line
                .frames
                .pop_front_if(|(_, _, _, since)| cx.now.since(*since) > PATIENCE)
            {
                self.waiting.len -= 1;
                self.not_sent(line.port, frame, DropReason::TunnelUnresolved, o);
            }
            if line.frames.is_empty() {
                continue;
            }
            if cx.now.since(line.asked) > REMINDER {
                line.asked = cx.now;
                self.events.push(line.question());
            }
            self.waiting.lines.push(line);
        }
    }
    fn release<O: Observer>(
        &mut self,
        cx: Context<'_>,
        port: &PortView,
        tunnel: &Arc<Tunnel>,
        frames: Frames<P::Frame>,
        o: &mut O,
    ) {
        let mut nesting = Nesting::default();
        for (frame, words, options, _) in frames {
            // A line is longer than a burst, and there are many: they share its limits of continuations.
            nesting.origin = (nesting.origin + 1) % BURST as u8;
            self.bpdu = bpdu::recognise_frame(frame.head());
            self.sending = options;
            self.enter_tunnel(cx, nesting, port, tunnel, &words, frame, o);
            self.sending = None;
        }
    }
}
