//! The lines of a case about what packets teach, and about those that are paused.

use super::*;
use datapath::model::learnt::Learnt;

impl<'t> Case<'t> {
    /// What control does with a flow that a packet taught.
    pub(super) fn learnt(&mut self, learnt: &Learnt) {
        let flow = &learnt.flow;
        let snapshot = self.sim.snapshot();
        let view = snapshot.bridge(learnt.bridge).expect("a bridge");
        let table = &view.tables[usize::from(flow.table.0)];
        if !table.rules.has(&flow.matching, flow.priority) {
            let rule = Rule {
                id: RuleId(0),
                table: flow.table,
                priority: flow.priority,
                matching: flow.matching.clone(),
                actions: flow.actions.clone().into(),
                cookie: flow.cookie,
            };
            self.sim.add_rule(learnt.bridge, rule);
        }
    }
    /// "[table=N] idle=N hard=N": a TCP connection ended.
    pub(super) fn fin(&mut self, rest: &str) -> Result<()> {
        let first = self.finished.first().ok_or("no connection ended")?;
        let (table, idle, hard) = (first.rule.table, first.idle_secs, first.hard_secs);
        let got = format!("table={table} idle={idle} hard={hard}");
        if got != rest {
            return Err(format!("a connection ended otherwise: {got}"));
        }
        let all = self.finished.drain(..).len();
        match all == self.times() {
            true => Ok(()),
            false => Err(format!("{all} connections ended")),
        }
    }
    /// "[MATCH;] [FRAME]": the packet that was paused first goes on, with other fields and bytes if they are given.
    pub(super) fn resume(&mut self, rest: &str) -> Result<()> {
        self.nothing_left()?;
        let (fields, frame) = rest.split_once(';').unwrap_or(("", rest));
        let fields = read_match(fields, &PortMap::default()).map_err(|e| format!("{e:?}"))?;
        if self.paused.len() < self.times() {
            return Err("no packet was paused".into());
        }
        self.before = self.counters();
        self.ingress = String::new();
        let waiting: Vec<_> = self.paused.drain(..self.times()).collect();
        for punt in waiting {
            let data = match frame.trim() {
                "" => punt.data,
                frame => read(frame)?,
            };
            self.sim.packet_out(PacketOut {
                bridge: punt.bridge,
                in_port: punt.in_port,
                fields: fields.clone(),
                actions: Box::default(),
                data,
                paused: punt.paused,
            });
        }
        self.poll();
        Ok(())
    }
}
