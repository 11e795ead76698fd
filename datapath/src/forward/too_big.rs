//! Frames that do not fit a tunnel which must not fragment: who sent them is told, or they are split inside.

use super::execute::{Context, Executor, NO_WORDS, Nesting, TunnelWords};
use super::trace::Observer;
use crate::edge::{Frame, Pool};
use crate::fragment::DontFragment;
use crate::model::DropReason;
use crate::model::port::PortView;
use crate::model::tunnel::{Route, Tunnel};
use crate::model::tunnel_stats::TunnelCounter;
use crate::time::Time;
use crate::tunnel::too_big::{Remedy, SIZE_MAX, remedy};
use std::sync::Arc;

/// Answers of one worker within [`PERIOD`] at most: as many as hosts need, and no tool for an attack.
const ANSWERS_MAX: u32 = 100;
const PERIOD: Time = Time::millis(100);

/// Bounds the answers.
#[derive(Default)]
pub(super) struct Answers {
    since: Time,
    len: u32,
}

impl Answers {
    /// Whether one more may be given.
    fn take(&mut self, now: Time) -> bool {
        if now.since(self.since) > PERIOD {
            (self.since, self.len) = (now, 0);
        }
        self.len += 1;
        self.len <= ANSWERS_MAX
    }
}

impl<P: Pool> Executor<P> {
    /// A frame is larger than `room`, and the tunnel's packets are not fragmented.
    #[allow(clippy::too_many_arguments, reason = "they are the packet's")]
    #[cold]
    pub fn too_big<O: Observer>(
        &mut self,
        cx: Context<'_>,
        nesting: Nesting,
        port: &PortView,
        tunnel: &Arc<Tunnel>,
        route: &Route,
        words: &TunnelWords,
        room: usize,
        frame: P::Frame,
        o: &mut O,
    ) {
        let mut answer = [0; SIZE_MAX];
        let frame = match remedy(frame.head(), room, &mut answer) {
            Remedy::None => frame,
            Remedy::Split(mtu) => {
                let mut parts = std::mem::take(&mut self.parts);
                let obey = DontFragment::Obey;
                let split = self
                    .splitter
                    .split(&mut self.pool, frame, mtu, obey, &mut parts);
                if split.is_ok() {
                    o.note(format_args!("split inside"));
                    let mut fitting = std::mem::take(&mut self.inner_parts);
                    fitting.append(&mut parts);
                    self.parts = parts;
                    for part in fitting.drain(..) {
                        match part.size() > room {
                            true => self.not_sent(port.id, part, DropReason::TunnelTooBig, o),
                            false => {
                                self.encapsulate(cx, nesting, port, tunnel, route, words, part, o)
                            }
                        }
                    }
                    self.inner_parts = fitting;
                    return;
                }
                self.parts = parts;
                match split {
                    Ok(_) => return,
                    Err((_, frame)) => frame,
                }
            }
            Remedy::Answer(size) => {
                if self.answers.take(cx.now)
                    && let Some(mut reply) = self.pool.alloc(size)
                {
                    reply.set_offload(Default::default());
                    self.pool.write(&mut reply, 0, &answer[..size]);
                    o.note(format_args!("the sender is told"));
                    self.stats.tunnel(port.id, TunnelCounter::TxTooBigReply, 1);
                    self.go_on(nesting, port.bridge, port.number, NO_WORDS, reply, o);
                }
                frame
            }
        };
        self.not_sent(port.id, frame, DropReason::TunnelTooBig, o);
    }
}
