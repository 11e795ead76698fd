//! Egress tables (OpenFlow 1.5.1 section 5.1.3): what is output to a port goes through the tables from the first egress table
//! on before it leaves, with `actset_output` and an action set of its own that outputs there.
//!
//! It is a clone: nothing of it is left for what follows. Within it, outputs go straight to their ports. A miss drops the
//! packet for that port. FLOOD and ALL are as many outputs. Where NORMAL sends to is only known when the program runs: each of its
//! outputs goes on with a continuation, with the VLAN tag that its port wants.

use super::pipeline::{Entry, Level, Outcome, Scope, Walk};
use super::send::refusal;
use super::trace::Observer;
use ofp::action::Action;
use ofp::message::port_config;
use ofp::types::{PortNo, TableId};

/// A packet is in the egress tables; `None`: the output that began it was taken away, or is done.
pub(super) type Egress = Option<(PortNo, u32)>;

impl<O: Observer> Walk<'_, '_, O> {
    /// The table where an output goes first.
    pub(super) fn egress_table(&self) -> Option<TableId> {
        match self.egress {
            None => self.view.config.first_egress,
            Some(_) => None,
        }
    }
    /// Takes a packet that is output to a port through the egress tables, to the end.
    pub(super) fn through_egress(
        &mut self,
        table: TableId,
        port: PortNo,
        max_size: u32,
    ) -> Outcome {
        let (at, len) = ((self.table, self.cookie), self.levels.len());
        let saved = self.save(Scope::Egress)?;
        self.set.clear();
        self.set_actset_output(port);
        self.egress = Some(Some((port, max_size)));
        self.levels.push(Level {
            actions: &[],
            next: 0,
            table,
            cookie: self.cookie,
            rule: None,
            deepens: false,
            clone: Some(Box::new(saved)),
        });
        self.enter(table, None, Entry::Ordinary, false)?;
        if self.levels.len() == len + 1 {
            self.egress = Some(None);
        }
        self.run(len)?;
        (self.table, self.cookie) = at;
        Ok(())
    }
    /// Whether a table has a next one. Only outputs lead from the ingress tables to the egress tables.
    pub(super) fn has_next(&self, table: TableId) -> bool {
        let next = usize::from(table.0) + 1;
        let first_egress = self.view.config.first_egress;
        let crosses = first_egress.is_some_and(|first| usize::from(first.0) == next);
        next < TableId::LEN && !crosses
    }
    /// The egress tables are done with the packet: it leaves.
    pub(super) fn end_egress(&mut self) -> Outcome {
        let top = self.levels.last().and_then(|level| level.clone.as_ref());
        let is_end = top.is_some_and(|saved| saved.is(Scope::Egress));
        if is_end
            && !self.ended
            && !self.exit
            && let Some(Some((port, max_size))) = self.egress
        {
            self.send(port, max_size)?;
        }
        Ok(())
    }
    /// The output that is still to be made, for a packet that goes on later.
    pub(super) fn egress_left(&mut self) -> Option<Action> {
        let (port, max_size) = self.egress.as_mut()?.take()?;
        let port = if port == self.in_port() {
            PortNo::IN_PORT
        } else {
            port
        };
        Some(match max_size {
            u32::MAX => Action::Output { port, max_len: 0 },
            max_len => Action::OutputTrunc { port, max_len },
        })
    }
    /// FLOOD or ALL, port by port.
    pub(super) fn flood_by_port(&mut self, all: bool) -> Outcome {
        let in_port = self.in_port();
        for id in &self.view.members {
            let Some(port) = self.port_by_id(*id) else {
                continue;
            };
            let floods = all || port.config & port_config::NO_FLOOD == 0;
            if port.number != in_port && floods && refusal(port).is_none() {
                self.send(port.number, u32::MAX)?;
            }
        }
        Ok(())
    }
}
