//! OFPT_CONTROLLER_STATUS and OFPMP_CONTROLLER_STATUS (OpenFlow 1.5.1 section 7.4.8): controllers are told of
//! each other. Who is configured is the caller's knowledge, see [`Switch::set_controllers`].

use super::connection::{ConnRole, EventKind};
use super::settings::{ConnId, ControllerSettings};
use super::{Output, Switch};
use crate::model::BridgeId;
use ofp::message::{Body, ControllerStatus};

/// OFPCID_UNDEFINED.
const NO_SHORT_ID: u16 = 0;

/// OFPCSR_*: why a status is told.
#[derive(Clone, Copy)]
pub(super) enum ControllerReason {
    Request = 0,
    ChannelStatus = 1,
    Role = 2,
    Added = 3,
    Removed = 4,
    ShortId = 5,
}

impl Switch {
    /// The controllers that a bridge is configured to have, and their connections.
    pub fn set_controllers(
        &mut self,
        id: BridgeId,
        controllers: Vec<ControllerSettings>,
        out: &mut Vec<Output>,
    ) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        if bridge.controllers == controllers {
            return;
        }
        let old = std::mem::replace(&mut bridge.controllers, controllers.clone());
        for before in &old {
            if !controllers.iter().any(|c| c.uri == before.uri) {
                self.controller_status(id, before, ControllerReason::Removed, out);
            }
        }
        for now in &controllers {
            match old.iter().find(|c| c.uri == now.uri) {
                None => self.controller_status(id, now, ControllerReason::Added, out),
                Some(before) if before.conn != now.conn => {
                    self.controller_status(id, now, ControllerReason::ChannelStatus, out);
                }
                Some(_) => {}
            }
        }
    }
    /// Something about a connection changed; nobody is told if it is no configured controller's.
    pub(super) fn controller_changed(
        &self,
        conn: ConnId,
        reason: ControllerReason,
        out: &mut Vec<Output>,
    ) {
        let id = self.connections[&conn].bridge;
        let mut controllers = self.bridges[&id].controllers.iter();
        if let Some(controller) = controllers.find(|c| c.conn == Some(conn)) {
            self.controller_status(id, controller, reason, out);
        }
    }
    /// OFPT_CONTROLLER_STATUS.
    fn controller_status(
        &self,
        id: BridgeId,
        controller: &ControllerSettings,
        reason: ControllerReason,
        out: &mut Vec<Output>,
    ) {
        let body = Body::ControllerStatus(self.status_of(controller, reason));
        let kind = EventKind::ControllerStatus;
        self.send_event(id, kind, reason as u32, &body, out);
    }
    /// OFPMP_CONTROLLER_STATUS.
    pub(super) fn controller_statuses(&self, id: BridgeId) -> Vec<ControllerStatus> {
        let controllers = self.bridges[&id].controllers.iter();
        let statuses = controllers.map(|c| self.status_of(c, ControllerReason::Request));
        statuses.collect()
    }
    fn status_of(
        &self,
        controller: &ControllerSettings,
        reason: ControllerReason,
    ) -> ControllerStatus {
        let conn = controller.conn.and_then(|conn| self.connections.get(&conn));
        ControllerStatus {
            short_id: conn.and_then(|c| c.short_id).unwrap_or(NO_SHORT_ID),
            role: conn.map_or(ConnRole::Equal, |c| c.role).number(),
            reason: reason as u8,
            connected: conn.is_some(),
            uri: controller.uri.clone(),
        }
    }
}
