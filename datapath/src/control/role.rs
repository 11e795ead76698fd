//! OFPT_ROLE_REQUEST: who of several controllers is in charge; OFPT_ROLE_STATUS, which tells who is not
//! any more.

use super::connection::{ConnRole, EventKind};
use super::controller_status::ControllerReason;
use super::settings::ConnId;
use super::{Output, Switch};
use ofp::error::OfError;
use ofp::message::{Body, Message, Role, RoleReason, RoleStatus};
use ofp::types::Xid;

const NOCHANGE: u32 = 0;
const EQUAL: u32 = 1;
const PRIMARY: u32 = 2;
const SECONDARY: u32 = 3;

impl ConnRole {
    pub(super) fn number(self) -> u32 {
        match self {
            ConnRole::Equal => EQUAL,
            ConnRole::Primary => PRIMARY,
            ConnRole::Secondary => SECONDARY,
        }
    }
}

impl Switch {
    /// OFPT_ROLE_REQUEST (OpenFlow 1.3.5 section 6.3.5).
    pub(super) fn role_request(
        &mut self,
        conn: ConnId,
        request: Role,
        out: &mut Vec<Output>,
    ) -> Result<Role, OfError> {
        let bridge_id = self.connections[&conn].bridge;
        let bridge = self
            .bridges
            .get_mut(&bridge_id)
            .expect("outlives its connections");
        let role = match request.role {
            NOCHANGE => None,
            EQUAL => Some(ConnRole::Equal),
            PRIMARY => Some(ConnRole::Primary),
            SECONDARY => Some(ConnRole::Secondary),
            _ => return Err(OfError::RoleBad),
        };
        let ranked = matches!(role, Some(ConnRole::Primary | ConnRole::Secondary));
        if let (true, Some(id)) = (ranked, request.generation_id) {
            // "if ((int64_t)(generation_id - cached_generation_id) < 0)" it is stale.
            let newest = bridge.generation_id.unwrap_or(id);
            if (id.wrapping_sub(newest) as i64) < 0 {
                return Err(OfError::RoleStale);
            }
            bridge.generation_id = Some(id);
        }
        let generation_id = request
            .generation_id
            .map(|_| bridge.generation_id.unwrap_or(u64::MAX));
        if role == Some(ConnRole::Primary) {
            self.demote_others(conn, out);
        }
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        let names_itself = request.short_id.is_some() && connection.short_id != request.short_id;
        connection.short_id = request.short_id.or(connection.short_id);
        let short_id = connection.short_id;
        let before = connection.role;
        connection.role = role.unwrap_or(before);
        if before != connection.role {
            self.controller_changed(conn, ControllerReason::Role, out);
        }
        if names_itself {
            self.controller_changed(conn, ControllerReason::ShortId, out);
        }
        let connection = &self.connections[&conn];
        let role = connection.role.number();
        self.update_miss(bridge_id);
        Ok(Role {
            role,
            generation_id,
            short_id,
        })
    }
    /// There is one primary: the one before becomes a secondary, and is told.
    fn demote_others(&mut self, conn: ConnId, out: &mut Vec<Output>) {
        let bridge = self.connections[&conn].bridge;
        let generation_id = self.bridges[&bridge].generation_id.unwrap_or(u64::MAX);
        let status = RoleStatus {
            role: SECONDARY,
            reason: RoleReason::PrimaryRequest,
            generation_id,
        };
        let others = self.connections.iter_mut();
        let demoted: Vec<ConnId> = others
            .filter(|(other, c)| **other != conn && c.bridge == bridge)
            .filter(|(_, c)| c.role == ConnRole::Primary)
            .map(|(other, c)| {
                c.role = ConnRole::Secondary;
                *other
            })
            .collect();
        for other in demoted {
            let reason = status.reason as u32;
            if self.connections[&other].wants(EventKind::RoleStatus, reason) {
                let body = Body::RoleStatus(status);
                out.push(Output::Send(other, Message { xid: Xid(0), body }));
            }
            self.controller_changed(other, ControllerReason::Role, out);
        }
    }
}
