//! The lines of a case about what packets teach, controllers' packets, those that are paused, and tunnel options.

use super::*;
use datapath::model::event::PacketOut;
use datapath::model::learnt::Learnt;
use datapath::model::tlv::TlvMap;
use ofp::message::TlvCommand;
use ofp::text::{read_actions, read_tlv_table_mod};

impl<'t> Case<'t> {
    /// What control does with a flow that a packet taught.
    pub(super) fn learnt(&mut self, learnt: &Learnt) {
        let flow = &learnt.flow;
        let snapshot = self.sim.snapshot();
        let view = snapshot.bridge(learnt.bridge).expect("a bridge");
        if !view.has_rule(flow.table, &flow.matching, flow.priority) {
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
                number: 0,
            });
        }
        self.poll();
        Ok(())
    }
    /// "MAPPINGS" of bridge br0: which Geneve options the fields `tun_metadata<N>` are.
    pub(super) fn tlv(&mut self, rest: &str) -> Result<()> {
        let change = read_tlv_table_mod(rest, TlvCommand::Add).map_err(|e| format!("{e:?}"))?;
        let mut map = TlvMap::default();
        for mapping in change.mappings {
            if !map.add(mapping) {
                return Err("no room".into());
            }
        }
        let id = self.bridges["br0"];
        let config = self.configs.get_mut(&id).ok_or("no such bridge")?;
        config.tlvs = Some(Arc::new(map));
        let change = Change::SetBridge(id, Arc::new(config.clone()));
        self.sim.change(change);
        Ok(())
    }
    /// "in_port=PORT,ACTIONS FRAME": a controller's packet.
    pub(super) fn packet_out(&mut self, rest: &str) -> Result<()> {
        self.nothing_left()?;
        let fault = "out in_port=PORT,ACTIONS FRAME";
        let (list, text) = rest.split_once(' ').ok_or(fault)?;
        let (port, actions) = list.split_once(',').ok_or(fault)?;
        let (bridge, in_port) = self.place(port.strip_prefix("in_port=").ok_or(fault)?)?;
        let actions = read_actions(actions, &PortMap::default());
        let packet = PacketOut {
            bridge,
            in_port,
            fields: Default::default(),
            actions: actions.map_err(|error| format!("{error:?}"))?.into(),
            data: read(text)?,
            paused: None,
            number: 0,
        };
        self.before = self.counters();
        self.ingress = String::new();
        for _ in 0..self.times() {
            self.sim.packet_out(packet.clone());
        }
        self.poll();
        Ok(())
    }
}
