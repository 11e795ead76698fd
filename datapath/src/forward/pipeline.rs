//! The walk through a bridge's tables, and the lowering of what it finds into a `Program`.
//!
//! What: starting with table 0 (or a packet-out's list), actions are applied to the key, so that later
//! lookups see what earlier actions did; what has to happen to the frame becomes steps.
//! Why: a program is concrete (no field is looked up again), so it can be kept and run on every packet
//! that has the same key.
//! Design: no recursion. A list of actions is a level on an explicit stack; resubmit pushes one, goto
//! replaces the top one, clone pushes one that restores the state when it ends. The action set is a
//! list of its own at the very end, and at that of each clone (as Open vSwitch has it). What happens to the packet
//! before it goes on ends a branch with a continuation. A group's bucket is a clone with an action set of its own; a select
//! group's buckets are branches, of which each packet takes one when the program runs.
//! Invariants: the outcome depends on the key's bits in the bridge's plan, its tables and its ports,
//! and on nothing else. Open vSwitch's limits hold; exceeding one drops the packet with its reason.

use super::action_set::ActionSet;
use super::egress::Egress;
use super::learn::count_drop;
use super::packet_type::{bareness, spare};
use super::program::{Overlay, Program, Step, Visit};
use super::reshape::Reshape;
use super::set::has;
use super::trace::Observer;
use crate::fragment::DontFragment;
use crate::model::conjunction;

use crate::model::port::PortView;
use crate::model::rule::Rule;
use crate::model::snapshot::Miss;
use crate::model::snapshot::TableView;
use crate::model::{BridgeId, BridgeView, DropReason, Snapshot};
use ofp::action::{Action, Controller, PacketInReason, WHOLE_PACKET};
use ofp::field::{Field, Prereq};
use ofp::key::{Key, word};
use ofp::message::port_config;
use ofp::types::{Cookie, PortNo, TableId};
use smallvec::SmallVec;
use std::sync::Arc;

// Open vSwitch's limits: nested lookups, lookups, and 64 KiB of stack, here in 16-byte entries.
pub(super) const MAX_DEPTH: usize = 64;
pub(super) const MAX_LOOKUPS: usize = 4096;
const MAX_STACK_LEN: usize = 65_536 / 16;
/// Steps of one program. A packet that needs more is a loop.
const MAX_STEPS: usize = 16_384;

/// A list of actions on its way.
pub(super) struct Level<'s> {
    pub actions: &'s [Action],
    pub next: usize,
    pub table: TableId,
    pub cookie: Cookie,
    /// Whose actions they are, if they are a rule's.
    pub rule: Option<&'s Arc<Rule>>,
    pub deepens: bool,
    pub clone: Option<Box<Saved<'s>>>,
}

/// What a clone does not change: the state before it, and where its first step is.
pub(super) struct Saved<'s> {
    key: Key,
    set: ActionSet<'s>,
    tunnel: Overlay,
    reserved: bool,
    stack: Vec<u128>,
    grown: isize,
    in_group: bool,
    egress: Option<Egress>,
    first: usize,
    scope: Scope,
}

/// Why the state is saved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// A `clone(...)`: a step before says how long it is.
    Clone,
    /// A group's bucket: as a clone.
    Bucket,
    /// One of several ways, of which a step before chooses one.
    Branch,
    /// The egress tables, for one port: as a clone.
    Egress,
}

impl Saved<'_> {
    pub(super) fn is(&self, scope: Scope) -> bool {
        self.scope == scope
    }
}

/// How a table is entered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// At the start, by goto, or by a packet-out's `output:table`: a miss is honoured.
    Ordinary,
    /// By resubmit: a miss has no effect.
    Resubmit,
}

/// A packet on its way through a bridge's tables.
pub struct Walk<'s, 'w, O> {
    snapshot: &'s Snapshot,
    bridge: BridgeId,
    pub(super) view: &'s BridgeView,
    pub(super) key: Key,
    /// The key that it began with.
    arrived: &'w Key,
    pub(super) program: &'w mut Program,
    pub(super) levels: SmallVec<[Level<'s>; 4]>,
    pub(super) set: ActionSet<'s>,
    /// While the action set is executed: on top of how many levels.
    pub(super) in_set: Option<usize>,
    set_ended: bool,
    /// What is left of it: the next one last.
    pub(super) set_rest: Vec<&'s Action>,
    /// This branch goes on elsewhere: nothing follows here, up to the end of the innermost clone.
    pub(super) ended: bool,
    pub(super) packet_out: bool,
    pub(super) stack: Vec<u128>,
    pub(super) tunnel: Overlay,
    /// NORMAL forwards to reserved destinations too.
    pub(super) reserved: bool,
    /// While it is in the egress tables.
    pub(super) egress: Option<Egress>,
    /// A bucket's actions are on their way.
    pub(super) in_group: bool,
    /// Bytes that the steps so far add to the packet.
    pub(super) grown: isize,
    pub(super) depth: usize,
    pub(super) lookups: usize,
    pub(super) exit: bool,
    pub(super) table: TableId,
    pub(super) cookie: Cookie,
    pub(super) observer: &'w mut O,
}

/// The walk ends here, and the packet with it.
pub(super) type Outcome = Result<(), DropReason>;

impl<'s, 'w, O: Observer> Walk<'s, 'w, O> {
    /// A walk of a packet with this key. `None`: no such bridge.
    pub fn new(
        snapshot: &'s Snapshot,
        bridge: BridgeId,
        key: &'w Key,
        program: &'w mut Program,
        observer: &'w mut O,
    ) -> Option<Walk<'s, 'w, O>> {
        let view = snapshot.bridge(bridge)?;
        program.clear();
        program.spare = spare(key);
        Some(Walk {
            snapshot,
            bridge,
            view,
            key: key.clone(),
            arrived: key,
            program,
            levels: SmallVec::new(),
            set: ActionSet::default(),
            in_set: None,
            set_ended: false,
            set_rest: Vec::new(),
            ended: false,
            packet_out: false,
            stack: Vec::new(),
            tunnel: bareness(key),
            reserved: false,
            egress: None,
            in_group: false,
            grown: 0,
            depth: 0,
            lookups: 0,
            exit: false,
            table: TableId(0),
            cookie: Cookie(u64::MAX),
            observer,
        })
    }
    /// From the bridge's first table.
    pub fn tables(mut self) {
        let outcome = self
            .enter(self.view.config.first_table, None, Entry::Ordinary, false)
            .and_then(|()| self.finish());
        self.conclude(outcome);
    }
    /// Through a packet-out's list.
    pub fn packet_out(mut self, actions: &'s [Action]) {
        self.packet_out = true;
        self.levels.push(Level {
            actions,
            next: 0,
            table: TableId(0),
            cookie: self.cookie,
            rule: None,
            deepens: false,
            clone: None,
        });
        let outcome = self.finish();
        self.conclude(outcome);
    }
    pub(super) fn conclude(&mut self, outcome: Outcome) {
        if let Err(reason) = outcome {
            self.observer.fails(reason);
        }
        self.observer.ends(&self.key);
        if let Err(reason) = outcome {
            self.program.steps.clear();
            self.program.drop = reason;
        }
        // What happens to a frame after it left for the last time is of no consequence.
        let steps = &mut self.program.steps;
        while steps.last().is_some_and(|s| !s.matters()) {
            steps.pop();
        }
        // What happens last needs no copy.
        let mut at = 0;
        while let Some(step) = steps.get(at) {
            match step {
                Step::Clone { len } if at + 1 + len == steps.len() => drop(steps.remove(at)),
                Step::Clone { len } => at += 1 + len,
                Step::Select(select) => at += 1 + select.len,
                _ => at += 1,
            }
        }
        count_drop(self.program);
    }
    pub(super) fn bridge(&self) -> BridgeId {
        self.bridge
    }
    /// The rule whose actions are applied.
    pub(super) fn rule(&self) -> Option<Arc<Rule>> {
        self.levels.last()?.rule.cloned()
    }
    pub(super) fn note(&mut self, text: std::fmt::Arguments<'_>) {
        self.observer.note(text);
    }
    pub(super) fn finish(&mut self) -> Outcome {
        self.run(0)?;
        self.run_set()
    }
    /// Executes the action set: at the end of the pipeline, and of each clone.
    fn run_set(&mut self) -> Outcome {
        if self.set.is_empty() {
            return Ok(());
        }
        let mut actions: Vec<&'s Action> = std::mem::take(&mut self.set).in_order().collect();
        actions.reverse();
        let len = self.levels.len();
        let deepens = usize::from(len > 0);
        if self.depth + deepens > MAX_DEPTH {
            return Err(DropReason::Depth);
        }
        self.depth += deepens;
        let before = self.in_set.replace(len);
        let rest = std::mem::replace(&mut self.set_rest, actions);
        while !(self.exit || self.set_ended || self.ended)
            && let Some(action) = self.set_rest.pop()
        {
            self.apply(action)?;
            self.run(len)?;
        }
        self.depth -= deepens;
        (self.in_set, self.set_ended, self.set_rest) = (before, false, rest);
        Ok(())
    }
    /// Until no more than `len` levels are left.
    pub(super) fn run(&mut self, len: usize) -> Outcome {
        while self.levels.len() > len
            && let Some(level) = self.levels.last_mut()
        {
            let Some(action) = level
                .actions
                .get(level.next)
                .filter(|_| !self.exit && !self.ended)
            else {
                if level.clone.is_some() {
                    self.run_set()?;
                    self.end_egress()?;
                }
                self.leave();
                continue;
            };
            level.next += 1;
            (self.table, self.cookie) = (level.table, level.cookie);
            self.apply(action)?;
        }
        Ok(())
    }
    /// The top level has ended.
    fn leave(&mut self) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        self.depth -= usize::from(level.deepens);
        if let Some(saved) = level.clone {
            let (steps, first) = (&mut self.program.steps, saved.first);
            while steps.len() > first && steps.last().is_some_and(|s| !s.matters()) {
                steps.pop();
            }
            if saved.scope != Scope::Branch {
                if steps[first..].iter().all(Step::sends) {
                    // Nothing changes the frame: no copy is needed to keep the original.
                    steps.remove(first - 1);
                } else {
                    let len = steps.len() - first;
                    steps[first - 1] = Step::Clone { len };
                }
            }
            // What happens in a bucket does not end what follows it.
            self.exit &= saved.scope == Scope::Clone;
            self.egress = saved.egress;
            (self.key, self.set) = (saved.key, saved.set);
            (self.tunnel, self.reserved) = (saved.tunnel, saved.reserved);
            (self.stack, self.grown) = (saved.stack, saved.grown);
            self.in_group = saved.in_group;
            self.ended = false;
        }
    }
    pub(super) fn in_port(&self) -> PortNo {
        PortNo((self.key.0[word::IN_PORT] >> 32) as u32)
    }
    fn set_in_port(&mut self, port: PortNo) {
        self.key
            .set(Field::InPortOxm.place(), port.0.into(), u128::MAX);
    }
    pub(super) fn push(&mut self, step: Step) -> Outcome {
        if self.program.steps.len() >= MAX_STEPS {
            return Err(DropReason::Resubmits);
        }
        self.grown += step.growth();
        self.program.steps.push(step);
        Ok(())
    }

    /// Looks up a table; the rule's actions become the top level.
    pub(super) fn enter(
        &mut self,
        table: TableId,
        in_port: Option<PortNo>,
        entry: Entry,
        deepens: bool,
    ) -> Outcome {
        if deepens && self.depth >= MAX_DEPTH {
            return Err(DropReason::Depth);
        }
        if self.lookups >= MAX_LOOKUPS {
            return Err(DropReason::Resubmits);
        }
        self.lookups += 1;
        let Some(view) = self.view.tables.get(usize::from(table.0)) else {
            return Ok(());
        };
        let kept = self.in_port();
        if let Some(port) = in_port {
            self.set_in_port(port);
        }
        let rule = match self.is_ethernet() {
            _ if O::LINEAR => conjunction::scan(self.fitting(view.rules.iter()), &self.key),
            true => view.rules.lookup(&self.key),
            false => view.rules.lookup_bare(&self.key),
        };
        self.program.probes += view.rules.probes(rule) as u32;
        let found = rule.map(|rule| rule.id);
        let visit = Visit::of_lookup((table, view.generation), found, &self.key, self.arrived);
        self.program.visits.push(visit);
        self.set_in_port(kept);
        self.observer.depth(self.levels.len());
        self.observer.table(table, rule.map(Arc::as_ref));
        if O::EXPLAINS
            && let Some(rule) = rule
        {
            self.tell_clauses(view, rule);
        }
        match rule {
            Some(rule) => {
                self.program.drop = DropReason::Action;
                self.push_level(rule, deepens);
                Ok(())
            }
            None if entry == Entry::Ordinary => self.miss(table),
            None => {
                self.observer.miss(false);
                Ok(())
            }
        }
    }
    /// Tells by which conjunctive rules a rule was found, if it has a `conj_id`.
    #[cold]
    fn tell_clauses(&mut self, view: &TableView, found: &Rule) {
        let (wanted, mask) = found.matching.get(Field::ConjId.place());
        if mask == 0 || self.key.get(Field::ConjId.place()) == wanted {
            return;
        }
        for rule in view.rules.iter() {
            for action in rule.actions.iter() {
                if let Action::Conjunction {
                    id,
                    clause,
                    n_clauses,
                } = *action
                    && u128::from(id) == wanted
                    && rule.matching.matches(&self.key)
                {
                    self.observer.clause(rule, clause, n_clauses);
                }
            }
        }
    }
    fn push_level(&mut self, rule: &'s Arc<Rule>, deepens: bool) {
        self.depth += usize::from(deepens);
        self.levels.push(Level {
            actions: &rule.actions,
            next: 0,
            table: rule.table,
            cookie: rule.cookie,
            rule: Some(rule),
            deepens,
            clone: None,
        });
    }
    fn miss(&mut self, table: TableId) -> Outcome {
        self.program.drop = DropReason::NoRule;
        let silent = self
            .port(self.in_port())
            .is_some_and(|port| port.config & port_config::NO_PACKET_IN != 0);
        let miss = self.view.config.miss_of(table);
        let drops = miss == Miss::Drop || silent;
        self.observer.miss(!drops);
        match miss {
            Miss::Controller if !silent => {}
            Miss::Continue if self.has_next(table) => {
                return self.enter(TableId(table.0 + 1), None, Entry::Ordinary, false);
            }
            _ => return Ok(()),
        }
        (self.table, self.cookie) = (table, Cookie(u64::MAX));
        self.punt(Controller {
            max_len: self.view.config.miss_send_len,
            reason: PacketInReason::NoMatch,
            ..Controller::default()
        })
    }
    pub(super) fn port_by_id(&self, id: crate::model::PortId) -> Option<&'s Arc<PortView>> {
        self.snapshot.port(id)
    }
    pub(super) fn port(&self, number: PortNo) -> Option<&'s Arc<PortView>> {
        self.snapshot.port(*self.view.ports.get(&number)?)
    }

    /// Does one action.
    fn apply(&mut self, action: &'s Action) -> Outcome {
        self.observer.depth(self.levels.len());
        self.observer.action(action);
        match action {
            Action::Output { port, max_len } => self.output(*port, *max_len, u32::MAX),
            Action::OutputTrunc { port, max_len } => self.output(*port, WHOLE_PACKET, *max_len),
            Action::Enqueue { port, queue } => {
                let before = self.queue();
                self.set_queue(Some(*queue));
                self.output(*port, WHOLE_PACKET, u32::MAX)?;
                self.key
                    .set(Field::SkbPriority.place(), before.into(), u128::MAX);
                Ok(())
            }
            Action::OutputReg { source, max_len } => {
                let port = port_of(self.read(*source));
                self.note(format_args!("output port is {port}"));
                self.output(port, *max_len, u32::MAX)
            }
            Action::Group(group) => self.group(*group),
            Action::Controller(controller) if controller.pause => self.pause(controller),
            Action::Multipath(multipath) => self.multipath(multipath),
            Action::Bundle(bundle) => self.bundle(bundle),
            Action::Encap(to) => self.encap(*to),
            Action::Decap(to) => self.decap(*to),
            Action::SetQueue(queue) => {
                self.set_queue(Some(*queue));
                Ok(())
            }
            Action::PopQueue => {
                self.set_queue(None);
                self.note(format_args!("queue = 0"));
                Ok(())
            }
            Action::Meter(meter) => self.meter(*meter),
            Action::PushMpls(ether_type) => self.push_mpls(*ether_type),
            Action::PopMpls(ether_type) => self.pop_mpls(*ether_type),
            Action::DecMplsTtl => self.dec_mpls_ttl(),
            Action::PushPbb(_) => self.push_pbb(),
            Action::PopPbb => self.pop_pbb(),
            Action::CopyTtlOut => self.reshape(Reshape::CopyTtlOut),
            Action::CopyTtlIn => self.reshape(Reshape::CopyTtlIn),
            Action::CheckPktLarger { size, destination } => {
                self.check_pkt_larger(*size, *destination)
            }
            Action::Controller(controller) => self.punt(controller.as_ref().clone()),
            Action::Resubmit { in_port, table } => {
                let to = table.unwrap_or(self.table);
                self.enter(to, *in_port, Entry::Resubmit, to <= self.table)
            }
            Action::GotoTable(table) => self.goto_table(*table),
            Action::Clone(actions) => self.clone_packet(actions),
            Action::Exit => {
                self.exit = true;
                Ok(())
            }
            Action::ClearActions => {
                self.tell_action_set("was");
                self.set.clear();
                self.egress = self.egress.map(|_| None);
                self.set_actset_output(PortNo::UNSET);
                Ok(())
            }
            Action::WriteActions(actions) => {
                for action in actions {
                    self.set.write(action)?;
                }
                self.tell_action_set("is");
                self.set_actset_output(self.set.output_port().unwrap_or(PortNo::UNSET));
                Ok(())
            }
            Action::WriteMetadata { value, mask } => {
                let word = &mut self.key.0[word::METADATA];
                *word = *word & !mask | value & mask;
                Ok(())
            }
            // Control looks at the rule's counters.
            Action::StatTrigger(_) => Ok(()),
            Action::StackPush(source) => {
                if self.stack.len() >= MAX_STACK_LEN {
                    return Err(DropReason::StackOverflow);
                }
                let value = self.read(*source);
                self.stack.push(value);
                Ok(())
            }
            Action::DecTtl(ids) => self.dec_ttl(ids),
            Action::Bpdu(action) => self.bpdu(*action),
            Action::Fragment { mtu, ignore_df } => {
                let df = match ignore_df {
                    true => DontFragment::Ignore,
                    false => DontFragment::Obey,
                };
                let (mtu, then) = (*mtu, self.suspend(None));
                self.push(Step::Fragment { mtu, df, then })
            }
            Action::Reassemble(table) => {
                let then = self.suspend(Some(*table));
                self.push(Step::Reassemble { then })
            }
            Action::Learn(learn) => self.learn(learn),
            Action::FinTimeout {
                idle_secs,
                hard_secs,
            } => self.fin_timeout(*idle_secs, *hard_secs),
            Action::Sample(sample) => self.sample(sample),
            // They are never executed: a conjunctive match leads to another rule.
            Action::Conjunction { .. } => Ok(()),
            Action::Note(_) => Ok(()),
            Action::SetField { .. }
            | Action::Load { .. }
            | Action::Move { .. }
            | Action::StackPop(_)
            | Action::SetVlanVid { .. }
            | Action::SetVlanPcp { .. }
            | Action::StripVlan
            | Action::PushVlan(_)
            | Action::SetEthSrc(_)
            | Action::SetEthDst(_)
            | Action::SetIpv4Src(_)
            | Action::SetIpv4Dst(_)
            | Action::SetIpTos(_)
            | Action::SetIpEcn(_)
            | Action::SetIpTtl(_)
            | Action::SetMplsLabel(_)
            | Action::SetMplsTc(_)
            | Action::SetMplsTtl(_)
            | Action::SetL4Src(_)
            | Action::SetL4Dst(_)
            | Action::DeleteField(_)
            | Action::SetTunnel { .. } => self.set(action),
        }
    }
    fn goto_table(&mut self, table: TableId) -> Outcome {
        // Nothing follows a goto: the next table's level takes the place of this one.
        let is_clone = |level: &Level<'_>| level.clone.is_some();
        let ended = match self.levels.last() {
            Some(level) if !is_clone(level) => self.levels.pop(),
            _ => None,
        };
        let deepens = ended.is_some_and(|level| level.deepens);
        let len = self.levels.len();
        self.enter(table, None, Entry::Ordinary, false)?;
        match self.levels.get_mut(len) {
            Some(level) => level.deepens = deepens,
            None => self.depth -= usize::from(deepens),
        }
        Ok(())
    }
    pub(super) fn set_actset_output(&mut self, port: PortNo) {
        self.key
            .set(Field::ActsetOutput.place(), port.0.into(), u128::MAX);
    }
    fn clone_packet(&mut self, actions: &'s [Action]) -> Outcome {
        let saved = self.save(Scope::Clone)?;
        self.levels.push(Level {
            actions,
            next: 0,
            table: self.table,
            cookie: self.cookie,
            rule: self.levels.last().and_then(|level| level.rule),
            deepens: false,
            clone: Some(Box::new(saved)),
        });
        Ok(())
    }
    /// Keeps what a clone, or one way of several, does not change.
    pub(super) fn save(&mut self, scope: Scope) -> Result<Saved<'s>, DropReason> {
        if scope != Scope::Branch {
            self.push(Step::Clone { len: 0 })?;
        }
        Ok(Saved {
            key: self.key.clone(),
            set: self.set.clone(),
            tunnel: self.tunnel.clone(),
            reserved: self.reserved,
            stack: self.stack.clone(),
            grown: self.grown,
            in_group: self.in_group,
            egress: self.egress,
            first: self.program.steps.len(),
            scope,
        })
    }
    /// The current list ends, as Open vSwitch does it, when the TTL would expire.
    fn dec_ttl(&mut self, ids: &[u16]) -> Outcome {
        if self.decrement_ttl()? {
            return Ok(());
        }
        let family = match has(&self.key, Prereq::Ipv6) {
            true => "IPv6",
            false => "IPv4",
        };
        self.expire(family);
        let len = self.levels.len();
        let everyone = [0];
        for &id in if ids.is_empty() { &everyone } else { ids } {
            self.punt(Controller {
                max_len: WHOLE_PACKET,
                id,
                reason: PacketInReason::InvalidTtl,
                ..Controller::default()
            })?;
        }
        self.end_list(len);
        Ok(())
    }
    /// The TTL is used up.
    pub(super) fn expire(&mut self, family: &str) {
        self.observer
            .warn(format_args!("{family} decrement TTL exception"));
        self.program.drop = DropReason::TtlExpired;
    }
    /// Nothing of the list follows that is the top one of so many, or of the set.
    pub(super) fn end_list(&mut self, len: usize) {
        match self.levels.last_mut() {
            Some(level) if self.in_set != Some(len) => level.next = level.actions.len(),
            _ => self.set_ended = true,
        }
    }

    fn tell_action_set(&mut self, verb: &str) {
        if O::EXPLAINS {
            self.observer.action_set(verb, self.set.clone().in_order());
        }
    }
}

/// The port that a field's value names. Numbers of 16 bits are OpenFlow 1.0's, as in Open vSwitch, where
/// LOCAL is 0xfffe; wider ones are those of later versions. What is neither names none.
pub(super) fn port_of(value: u128) -> PortNo {
    match (u16::try_from(value), u32::try_from(value)) {
        (Ok(number), _) => PortNo::from_v10(number),
        (_, Ok(number)) => PortNo(number),
        _ => PortNo::UNSET,
    }
}
