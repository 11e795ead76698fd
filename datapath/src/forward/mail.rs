//! Frames that one worker hands to another: those of which another worker holds the rest. One bounded ring per ordered
//! pair of workers; what finds its ring full is dropped and counted.

use super::execute::{Executor, Item, NO_WORDS, Nesting, TunnelWords};
use super::trace::Observer;
use crate::edge::{BURST, Frame, Pool};
use crate::fragment::Fragment;
use crate::model::DropReason;
use crate::model::id::PortId;
use crate::model::tlv::OptionWords;
use crate::tunnel::Tunnelled;
use packet::bpdu;

/// Entries of all rings to one worker together, and of one ring: a burst at least, and several if there are few workers.
/// Each holds a frame, of which the pool has some ten thousand for all queues.
const LEN: usize = 512;
const RING_LEN: std::ops::RangeInclusive<usize> = BURST..=4 * BURST;
/// Most workers.
pub const MAX_WORKERS: usize = 128;

/// A frame on its way to another worker.
pub struct Mail<F> {
    pub(super) frame: F,
    pub(super) what: What,
}

/// What is to be done with it there.
pub(super) enum What {
    /// It is put to the others of its packet.
    Fragment {
        fragment: Fragment,
        /// Of the tunnel that it came through, if `then` says that there are any.
        words: TunnelWords,
        /// The same of its mapped options.
        options: Option<Box<OptionWords>>,
        then: Then,
    },
    /// It is put to the other part of a pseudowire's frame.
    Part {
        to: PortId,
        nesting: Nesting,
        tunnelled: Tunnelled,
    },
}

/// How a packet goes on that was put together.
pub(super) enum Then {
    /// In a bridge.
    Bridge(Item<()>),
    /// To the host, unless it is a tunnel's, by this port.
    Host(PortId, Nesting),
}

impl Then {
    /// The item that says where and how deep it is, if it goes on in a bridge.
    pub fn item(&mut self) -> Option<&mut Item<()>> {
        match self {
            Then::Bridge(item) => Some(item),
            Then::Host(..) => None,
        }
    }
}

/// One worker's ends of the rings.
pub struct Mailbox<F> {
    index: usize,
    /// By worker; none to itself.
    to: Vec<Option<rtrb::Producer<Mail<F>>>>,
    from: Vec<rtrb::Consumer<Mail<F>>>,
    /// Which of these comes first the next time.
    turn: usize,
    /// To whom something was sent since the rim asked: bit by worker.
    mailed: u128,
}

impl<F: Frame> Mailbox<F> {
    /// Those of so many workers, at most [`MAX_WORKERS`], in the order of their numbers.
    pub fn connect(workers: usize) -> Vec<Mailbox<F>> {
        let workers = workers.clamp(1, MAX_WORKERS);
        let make = |index| Mailbox {
            index,
            to: Vec::with_capacity(workers),
            from: Vec::with_capacity(workers),
            turn: 0,
            mailed: 0,
        };
        let mut all: Vec<Mailbox<F>> = (0..workers).map(make).collect();
        let len = (LEN / workers).clamp(*RING_LEN.start(), *RING_LEN.end());
        for from in 0..workers {
            for to in 0..workers {
                if from == to {
                    all[from].to.push(None);
                    continue;
                }
                let (producer, consumer) = rtrb::RingBuffer::new(len);
                all[from].to.push(Some(producer));
                all[to].from.push(consumer);
            }
        }
        all
    }
    /// Whose it is.
    pub fn index(&self) -> usize {
        self.index
    }
    /// Number of workers.
    pub(super) fn workers(&self) -> usize {
        self.to.len()
    }
    /// To whom something was sent since the last call, bit by worker: the rim wakes them.
    pub(super) fn take_mailed(&mut self) -> u128 {
        std::mem::take(&mut self.mailed)
    }
    /// What another worker sent; each in its turn, as one may send more than there is time for.
    pub(super) fn receive(&mut self) -> Option<Mail<F>> {
        let len = self.from.len();
        let (first, turn) = (self.turn, &mut self.turn);
        let mut order = (first..first + len).map(|at| at % len);
        order.find_map(|at| {
            let mail = self.from[at].pop().ok()?;
            *turn = at + 1;
            Some(mail)
        })
    }
    /// The ring to another worker, if it has room, and that has not ended.
    fn ring(&mut self, to: usize) -> Option<&mut rtrb::Producer<Mail<F>>> {
        let ring = self.to.get_mut(to)?.as_mut()?;
        (!ring.is_full() && !ring.is_abandoned()).then_some(ring)
    }
}

impl<P: Pool> Executor<P> {
    /// Hands a frame to another worker.
    pub fn post<O: Observer>(&mut self, to: usize, mail: Mail<P::Frame>, o: &mut O) {
        let Some(ring) = self.mailbox.ring(to) else {
            return self.drop(mail.frame, DropReason::MailFull, o);
        };
        // There is room: nobody else fills it.
        let _ = ring.push(mail);
        self.mailbox.mailed |= 1 << to;
        o.note(format_args!("handed to worker {to}"));
    }
    /// Does what another worker asked for. `origin`: which one of a burst it is.
    pub fn open_mail<O: Observer>(
        &mut self,
        cx: super::execute::Context<'_>,
        origin: u8,
        mail: Mail<P::Frame>,
        o: &mut O,
    ) {
        let Mail { frame, what } = mail;
        // Neither a fragment nor a part is one.
        self.bpdu = bpdu::Kind::None;
        match what {
            What::Fragment {
                fragment,
                words,
                options,
                mut then,
            } => {
                if let Some(item) = then.item() {
                    item.nesting.origin = origin;
                    if item.words != NO_WORDS {
                        item.words = self.words.len() as u32;
                        self.words.push(words);
                        self.options.extend(options.map(|of| (item.words, *of)));
                    }
                }
                self.insert(cx, &fragment, then, frame, o);
            }
            What::Part {
                to,
                mut nesting,
                tunnelled,
            } => {
                nesting.origin = origin;
                self.part_was_mailed(cx, nesting, to, &tunnelled, frame, o);
            }
        }
    }
}
