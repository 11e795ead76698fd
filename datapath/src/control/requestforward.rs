//! OFPT_REQUESTFORWARD: what a controller changed of groups and meters, told to the others that asked
//! for it (OpenFlow 1.4.1 section 7.4.6).

use super::connection::EventKind;
use super::settings::ConnId;
use super::{Output, Switch};
use ofp::message::{Body, GroupCommand, Message, RequestForward};
use ofp::types::Xid;

impl Switch {
    /// Whether somebody else wants to know; `body` is the request.
    pub(super) fn is_forwarded(&self, from: ConnId, body: &Body) -> bool {
        matches!(body, Body::GroupMod(_) | Body::MeterMod(_))
            && self.listeners(from, body).next().is_some()
    }
    /// Tells the others of a request that was obeyed. `existed`: there was such a group, so that
    /// "add or modify", which is no command of the specification, is said as what it was.
    pub(super) fn request_forward(
        &mut self,
        from: ConnId,
        xid: Xid,
        mut request: Body,
        existed: bool,
        out: &mut Vec<Output>,
    ) {
        if let Body::GroupMod(group_mod) = &mut request
            && group_mod.command == GroupCommand::AddOrModify
        {
            group_mod.command = match existed {
                true => GroupCommand::Modify,
                false => GroupCommand::Add,
            };
        }
        let listeners: Vec<ConnId> = self.listeners(from, &request).collect();
        for conn in listeners {
            let request = request.clone();
            let body = Body::RequestForward(Box::new(RequestForward { xid, request }));
            let xid = Xid(0);
            self.when_published(Output::Send(conn, Message { xid, body }), out);
        }
    }
    fn listeners(&self, from: ConnId, body: &Body) -> impl Iterator<Item = ConnId> {
        // OFPRFR_GROUP_MOD, OFPRFR_METER_MOD.
        let reason = match body {
            Body::GroupMod(_) => Some(0),
            Body::MeterMod(_) => Some(1),
            _ => None,
        };
        let bridge = self.connections.get(&from).map(|from| from.bridge);
        let all = self.connections.iter();
        let wanting = all.filter(move |(conn, connection)| {
            let wants = |reason| connection.wants(EventKind::RequestForward, reason);
            **conn != from && Some(connection.bridge) == bridge && reason.is_some_and(wants)
        });
        wanting.map(|(conn, _)| *conn)
    }
}
