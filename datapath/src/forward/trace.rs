//! The walk of one packet, explained by the code that does it. Workers use the observer `()`, which
//! compiles to nothing.

use crate::model::event::Punt;
use crate::model::port::PortView;
use crate::model::rule::Rule;
use crate::model::{BridgeView, DropReason};
use ofp::action::Action;
use ofp::field::Subfield;
use ofp::key::Key;
use ofp::message::FlowMod;
use ofp::text::{PortMap, Style, print_actions, print_match};
use ofp::types::{GroupId, MeterId, TableId, Version};
use std::fmt::Write;

/// Is told what happens to a packet.
pub trait Observer {
    /// Every packet is walked through the tables, not answered from the cache.
    const EXPLAINS: bool = true;
    /// Tables are searched rule by rule: the oracle of tests.
    const LINEAR: bool = false;
    /// The packet is made up: nothing is learnt from it.
    const PRETENDS: bool = false;
    /// A packet enters a bridge, by words that say how.
    fn enters(&mut self, bridge: &BridgeView, how: std::fmt::Arguments<'_>);
    /// A lookup.
    fn table(&mut self, table: TableId, rule: Option<&Rule>);
    /// What comes next happens under so many lists of actions.
    fn depth(&mut self, _levels: usize) {}
    /// No rule matched; whether the packet goes to the controllers for that.
    fn miss(&mut self, _punted: bool) {}
    /// The packet comes in with these fields.
    fn begins(&mut self, _key: &Key) {}
    /// The walk is over, and the packet's fields are these now.
    fn ends(&mut self, _key: &Key) {}
    /// This branch of the walk, a clone's or the packet's, goes on later: by this number.
    fn suspends(&mut self, _number: u64, _clone: bool) {}
    /// A packet goes on by this number.
    fn resumes(&mut self, _number: u64) {}
    /// The walk is given up, and with it the packet.
    fn fails(&mut self, _reason: DropReason) {}
    /// Conjunctive rules led to the rule that was looked up: one of them, with its dimension and how many there are.
    fn clause(&mut self, _rule: &Rule, _clause: u8, _n_clauses: u8) {}
    /// What the action set is now, or was; by a verb.
    fn action_set<'a>(&mut self, _verb: &str, _actions: impl Iterator<Item = &'a Action>) {}
    /// An action has written to bits of a field.
    fn writes(&mut self, _bits: Subfield, _value: u128) {}
    /// The packet goes through a bucket, under so many lists; `choice`: if it is the one that is chosen there.
    fn bucket(&mut self, _bucket: u32, _levels: usize, _choice: Option<usize>) {}
    /// A packet has chosen a bucket.
    fn chooses(&mut self, _choice: usize, _bucket: u32) {}
    /// This flow is learnt.
    fn learns(&mut self, _flow: &FlowMod) {}
    /// A frame passes a meter, and what comes of it.
    fn metered(&mut self, _meter: MeterId, _verdict: std::fmt::Arguments<'_>) {}
    /// Something is not done.
    fn warn(&mut self, text: std::fmt::Arguments<'_>) {
        self.note(text);
    }
    /// An output does not happen.
    fn suppresses(&mut self, reason: DropReason) {
        self.note(format_args!("no output: {}", reason.text()));
    }
    /// What a group does, and which way it has.
    fn group(&mut self, group: GroupId, text: std::fmt::Arguments<'_>) {
        self.note(format_args!("group {group}: {text}"));
    }
    /// The learning switch is about to forward.
    fn normal(&mut self) {}
    /// A frame leaves by a port.
    fn sends(&mut self, _port: &PortView, _frame: &[u8]) {}
    /// A copy goes to the controllers.
    fn punts(&mut self, _punt: &Punt) {}
    /// An action takes place.
    fn action(&mut self, action: &Action);
    /// Anything else worth saying.
    fn note(&mut self, text: std::fmt::Arguments<'_>);
    /// The packet, or a copy, ends here.
    fn drop(&mut self, reason: DropReason);
}

impl Observer for () {
    const EXPLAINS: bool = false;
    #[inline(always)]
    fn enters(&mut self, _: &BridgeView, _: std::fmt::Arguments<'_>) {}
    #[inline(always)]
    fn table(&mut self, _: TableId, _: Option<&Rule>) {}
    #[inline(always)]
    fn action(&mut self, _: &Action) {}
    #[inline(always)]
    fn note(&mut self, _: std::fmt::Arguments<'_>) {}
    #[inline(always)]
    fn drop(&mut self, _: DropReason) {}
    #[inline(always)]
    fn suppresses(&mut self, _: DropReason) {}
    #[inline(always)]
    fn group(&mut self, _: GroupId, _: std::fmt::Arguments<'_>) {}
}

/// Searches linearly and says nothing.
#[derive(Default)]
pub struct Linear;

impl Observer for Linear {
    const LINEAR: bool = true;
    fn enters(&mut self, _: &BridgeView, _: std::fmt::Arguments<'_>) {}
    fn table(&mut self, _: TableId, _: Option<&Rule>) {}
    fn action(&mut self, _: &Action) {}
    fn note(&mut self, _: std::fmt::Arguments<'_>) {}
    fn drop(&mut self, _: DropReason) {}
}

/// Writes it down, one line per event.
#[derive(Default)]
pub struct Text(pub String);

impl Text {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{text}");
    }
}

impl Observer for Text {
    fn enters(&mut self, bridge: &BridgeView, how: std::fmt::Arguments<'_>) {
        self.line(format_args!("bridge(\"{}\"): {how}", bridge.config.name));
    }
    fn table(&mut self, table: TableId, rule: Option<&Rule>) {
        match rule {
            Some(rule) => {
                let ports = PortMap::default();
                let text = print_match(&rule.matching, &Style::plain(Version::V13, &ports));
                let comma = if text.is_empty() { "" } else { "," };
                let priority = rule.priority;
                self.line(format_args!("{table:>2}. {text}{comma}priority={priority}"));
            }
            None => self.line(format_args!("{table:>2}. no match")),
        }
    }
    fn action(&mut self, action: &Action) {
        let ports = PortMap::default();
        let style = Style::plain(Version::V13, &ports);
        let text = print_actions(std::slice::from_ref(action), &style);
        self.line(format_args!("    {text}"));
    }
    fn chooses(&mut self, _: usize, bucket: u32) {
        self.line(format_args!("    -> bucket {bucket} is chosen"));
    }
    fn note(&mut self, text: std::fmt::Arguments<'_>) {
        self.line(format_args!("    -> {text}"));
    }
    fn drop(&mut self, reason: DropReason) {
        self.line(format_args!(
            "    dropped: {} ({})",
            reason.name(),
            reason.text()
        ));
    }
}
