//! OFPT_ROLE_REQUEST: who of several controllers is in charge.

use super::Switch;
use super::connection::ConnRole;
use super::settings::ConnId;
use ofp::error::OfError;
use ofp::message::Role;

const NOCHANGE: u32 = 0;
const EQUAL: u32 = 1;
const PRIMARY: u32 = 2;
const SECONDARY: u32 = 3;

impl ConnRole {
    fn number(self) -> u32 {
        match self {
            ConnRole::Equal => EQUAL,
            ConnRole::Primary => PRIMARY,
            ConnRole::Secondary => SECONDARY,
        }
    }
}

impl Switch {
    /// OFPT_ROLE_REQUEST (OpenFlow 1.3.5 section 6.3.5).
    pub(super) fn role_request(&mut self, conn: ConnId, request: Role) -> Result<Role, OfError> {
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
            // There is one primary: the one before becomes a secondary.
            let others = self
                .connections
                .values_mut()
                .filter(|c| c.bridge == bridge_id);
            others
                .filter(|c| c.role == ConnRole::Primary)
                .for_each(|c| c.role = ConnRole::Secondary);
        }
        let connection = self.connections.get_mut(&conn).expect("dispatched");
        connection.role = role.unwrap_or(connection.role);
        let role = connection.role.number();
        self.update_miss(bridge_id);
        Ok(Role {
            role,
            generation_id,
        })
    }
}
