//! `learn`, `fin_timeout` and `sample`: what a packet does to the switch, beside being forwarded.
//!
//! What: the walk makes the concrete flow; the program has a step that tells control of it, each time a packet passes, so that
//! the flow stays as long as it is taught. Control applies it as a strict FLOW_MOD (modify, or add).
//! How soon: the worker puts an event into its ring and wakes control by its descriptor at the end of the burst; control adds
//! the flow and publishes at once. The next burst after that sees it: tens of microseconds later on a machine that is not
//! overloaded. Packets of the same burst do not, nor do those that arrive before control has run. What a packet-out taught is
//! in force when a barrier that the same connection sends after it is answered (`tests/learning.rs`).
//! How often: the same flow is told of once per `PAUSE` by each worker. A worker remembers what it told by a keyed
//! hash, in a table of fixed size, so that strangers cannot make it large or make two flows meet in it. If the flow is not
//! there (somebody deleted it, or control had no room), it is told of again after `PAUSE_ABSENT`.
//! What we chose not to do: rules are never added by workers themselves; there is one writer.

use super::execute::{Context, Executor, Place};
use super::pipeline::{Outcome, Walk, port_of};
use super::program::{Program, Step, Visit};
use super::set::has;
use super::trace::Observer;
use crate::edge::{Frame, Pool};
use crate::model::event::Event;
use crate::model::learnt::{Finished, Learnt};
use crate::model::stats::Effect as Counter;
use crate::time::Time;
use ofp::action::{Action, Learn, LearnSource, LearnTarget, Sample};
use ofp::field::{Field, Prereq, Subfield};
use ofp::message::{FlowMod, FlowModCommand, flow_flag};
use ofp::types::PortNo;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

/// A flow that is there is told of this often: its hard timeout, of a second or more, starts again.
const PAUSE: Time = Time::millis(500);
/// One that is not there this often: control needs less to add it.
const PAUSE_ABSENT: Time = Time::millis(2);
/// Flows that a worker remembers to have told of. More make it tell of some again before their time.
const TOLD_LEN: usize = 4096;

/// NX_LEARN_F_*.
mod flag {
    pub const SEND_FLOW_REM: u16 = 1;
    pub const WRITE_RESULT: u16 = 4;
}

/// Something that happens beside forwarding when a packet passes.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It teaches a flow.
    Learn {
        /// The flow.
        flow: Arc<Learnt>,
        /// Of the flow, keyed.
        hash: u64,
    },
    /// A TCP FIN or RST shortens a rule's timeouts.
    FinTimeout(Arc<Finished>),
    /// It teaches nothing, as there is no room.
    Limited,
    /// It is chosen for a sample by chance: so many of 65,535.
    Sample(u16),
}

impl Effect {
    /// Bytes of memory that it takes, roughly.
    pub fn memory(&self) -> usize {
        let owned = match self {
            Effect::Learn { flow, .. } => {
                let flow = &flow.flow;
                size_of::<Learnt>()
                    + size_of_val(flow.matching.words())
                    + size_of_val(&*flow.actions)
            }
            Effect::FinTimeout(_) => size_of::<Finished>(),
            Effect::Limited | Effect::Sample(_) => 0,
        };
        size_of::<Effect>() + owned
    }
}

/// What was told of last under a hash.
#[derive(Clone, Copy, Default)]
struct Told {
    hash: u64,
    at: Time,
    /// The state of the flow's table that it was last seen in; 0: not seen.
    seen: u64,
}

/// What a worker told control of, and the state of its dice.
pub(super) struct Teacher {
    told: Box<[Told]>,
    dice: u64,
}

impl Default for Teacher {
    fn default() -> Teacher {
        Teacher {
            told: vec![Told::default(); TOLD_LEN].into(),
            dice: RandomState::new().hash_one(0) | 1,
        }
    }
}

impl Teacher {
    /// A number that strangers cannot foresee (xorshift, from a random start).
    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice
    }
    /// Whether a flow is to be told of now.
    fn is_due(&mut self, cx: Context<'_>, learnt: &Learnt, hash: u64) -> bool {
        let told = &mut self.told[hash as usize % TOLD_LEN];
        if told.hash != hash {
            return true;
        }
        let ago = cx.now.since(told.at);
        if ago >= PAUSE {
            return true;
        }
        let flow = &learnt.flow;
        let view = cx.snapshot.bridge(learnt.bridge);
        let Some(table) = view.and_then(|view| view.tables.get(usize::from(flow.table.0))) else {
            return false;
        };
        if told.seen == table.generation {
            return false;
        }
        if view.is_some_and(|view| view.has_rule(flow.table, &flow.matching, flow.priority)) {
            told.seen = table.generation;
            return false;
        }
        ago >= PAUSE_ABSENT
    }
    fn told(&mut self, at: Time, hash: u64) {
        let seen = 0;
        self.told[hash as usize % TOLD_LEN] = Told { hash, at, seen };
    }
}

fn hash(flow: &FlowMod) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one((
        (flow.table, flow.priority, &flow.matching, &flow.actions),
        (
            flow.cookie,
            flow.idle_timeout_secs,
            flow.hard_timeout_secs,
            flow.flags,
        ),
    ))
}

impl<'s, O: Observer> Walk<'s, '_, O> {
    /// `learn(...)`.
    pub(super) fn learn(&mut self, learn: &'s Learn) -> Outcome {
        let flow = self.taught(learn);
        if O::EXPLAINS {
            self.observer.learns(&flow);
        }
        let room = learn.limit == 0 || self.has_room(learn, &flow);
        if learn.flags & flag::WRITE_RESULT != 0
            && let Some(result) = learn.result
        {
            self.load(result, room.into())?;
        }
        if !room {
            self.observer.warn(format_args!(
                "nothing is learnt: {} flows at most",
                learn.limit
            ));
            return self.push(Step::Effect(Box::new(Effect::Limited)));
        }
        let hash = hash(&flow);
        let flow = Arc::new(Learnt {
            bridge: self.bridge(),
            flow,
            limit: learn.limit,
        });
        self.push(Step::Effect(Box::new(Effect::Learn { flow, hash })))
    }
    /// Whether the flow is there or may be added. The program is true while the table is as it is.
    fn has_room(&mut self, learn: &Learn, flow: &FlowMod) -> bool {
        let Some(table) = self.view.tables.get(usize::from(learn.table.0)) else {
            return true;
        };
        let watched = Visit::of_table(learn.table, table.generation);
        self.program.watched.push(watched);
        let flows = self.view.limits.flows(learn.table, learn.cookie);
        flows.is_none_or(|flows| flows < learn.limit as usize)
            || self
                .view
                .has_rule(learn.table, &flow.matching, flow.priority)
    }
    /// The flow that this packet teaches.
    fn taught(&self, learn: &Learn) -> FlowMod {
        let mut flow = FlowMod {
            command: FlowModCommand::ModifyStrict,
            cookie: learn.cookie,
            table: learn.table,
            idle_timeout_secs: learn.idle_timeout_secs,
            hard_timeout_secs: learn.hard_timeout_secs,
            priority: learn.priority,
            ..FlowMod::default()
        };
        if learn.flags & flag::SEND_FLOW_REM != 0 {
            flow.flags |= flow_flag::SEND_FLOW_REM;
        }
        let (idle_secs, hard_secs) = (learn.fin_idle_timeout_secs, learn.fin_hard_timeout_secs);
        if idle_secs != 0 || hard_secs != 0 {
            flow.actions.push(Action::FinTimeout {
                idle_secs,
                hard_secs,
            });
        }
        for spec in &learn.specs {
            let value = match &spec.source {
                LearnSource::Field(source) => self.read(*source),
                LearnSource::Value(value) => *value,
            };
            match &spec.target {
                LearnTarget::Match(bits) => match_bits(&mut flow, *bits, value),
                LearnTarget::Load(destination) => flow.actions.push(Action::Load {
                    value,
                    destination: *destination,
                }),
                LearnTarget::Output => flow.actions.extend(output(value)),
            }
        }
        flow
    }
    /// `fin_timeout(...)`.
    pub(super) fn fin_timeout(&mut self, idle_secs: u16, hard_secs: u16) -> Outcome {
        let Some(rule) = self.rule().filter(|_| has(&self.key, Prereq::Tcp)) else {
            return Ok(());
        };
        let finished = Arc::new(Finished {
            bridge: self.bridge(),
            rule,
            idle_secs,
            hard_secs,
        });
        self.push(Step::Effect(Box::new(Effect::FinTimeout(finished))))
    }
    /// `sample(...)`.
    pub(super) fn sample(&mut self, sample: &Sample) -> Outcome {
        self.push(Step::Effect(Box::new(Effect::Sample(sample.probability))))
    }
}

/// Has a flow match bits of a field.
fn match_bits(flow: &mut FlowMod, bits: Subfield, value: u128) {
    if bits == Subfield::whole(Field::InPort) {
        // OpenFlow 1.0's number: its reserved ones are wider in the key.
        let port = PortNo::from_v10(value as u16);
        return flow
            .matching
            .set(Field::InPort.place(), port.0.into(), u128::MAX);
    }
    flow.matching
        .set(bits.field.place(), value << bits.start, bits.mask());
}

/// An output to the port that a value names, if it may be one.
fn output(value: u128) -> Option<Action> {
    let port = port_of(value);
    let reserved = [PortNo::IN_PORT, PortNo::FLOOD, PortNo::LOCAL, PortNo::ALL];
    let fits = port <= PortNo::MAX10 || reserved.contains(&port);
    fits.then_some(Action::Output { port, max_len: 0 })
}

impl<P: Pool> Executor<P> {
    /// Runs a step that does not touch the frame.
    #[cold]
    pub(super) fn effect(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        effect: &Effect,
        frame: &P::Frame,
    ) {
        let (event, sent, lost) = match effect {
            Effect::Learn { flow, hash } => {
                if !self.teacher.is_due(cx, flow, *hash) {
                    return;
                }
                (
                    Event::Learn(flow.clone()),
                    Counter::Learnt,
                    Counter::LearnLost,
                )
            }
            Effect::Limited => return self.stats.effect(Counter::LearnLimit),
            Effect::FinTimeout(finished) => {
                if !ends_connection(frame.head(), at) {
                    return;
                }
                (
                    Event::Finish(finished.clone()),
                    Counter::Finished,
                    Counter::FinishedLost,
                )
            }
            Effect::Sample(probability) => {
                // Of the numbers 0 to 65,534, so many are less than the probability.
                if self.teacher.roll() % 0xffff < u64::from(*probability) {
                    self.stats.effect(Counter::Sampled);
                }
                return;
            }
        };
        if self.events.is_full() || !self.events.push(event) {
            return self.stats.effect(lost);
        }
        self.stats.effect(sent);
        if let Effect::Learn { hash, .. } = effect {
            self.teacher.told(cx.now, *hash);
        }
    }
}

/// Whether a TCP packet has FIN or RST.
fn ends_connection(head: &[u8], at: &Place<'_>) -> bool {
    const FIN_OR_RST: u8 = 1 | 4;
    let flags = head.get(usize::from(at.layout.l4) + 13);
    at.layout.l4 != 0 && flags.is_some_and(|flags| flags & FIN_OR_RST != 0)
}

/// A program that only has effects drops its packet, which is counted.
pub(super) fn count_drop(program: &mut Program) {
    let is_effect = |step: &Step| matches!(step, Step::Effect(_));
    if !program.steps.is_empty() && program.steps.iter().all(is_effect) {
        program.steps.push(Step::Drop(program.drop));
    }
}
