//! OFPT_PORT_MOD: the configuration bits of a port.

use super::settings::ConnId;
use super::undo::Undo;
use super::{Output, Switch};
use ofp::error::OfError;
use ofp::message::{PortMod, PortReason, port_config};

/// The bits that can be changed. (There is no spanning tree that NO_STP could keep out, but it is kept
/// and shown, as Open vSwitch does.)
const CHANGEABLE: u32 = port_config::PORT_DOWN
    | port_config::NO_STP
    | port_config::NO_RECV
    | port_config::NO_RECV_STP
    | port_config::NO_FLOOD
    | port_config::NO_FWD
    | port_config::NO_PACKET_IN;

impl Switch {
    /// OFPT_PORT_MOD.
    pub(super) fn port_mod(
        &mut self,
        conn: ConnId,
        port_mod: &PortMod,
        out: &mut Vec<Output>,
    ) -> Result<(), OfError> {
        let bridge = &self.bridges[&self.connections[&conn].bridge];
        let id = *bridge
            .ports
            .get(&port_mod.port)
            .ok_or(OfError::PortModBadPort)?;
        let port = self.ports.get_mut(&id).ok_or(OfError::PortModBadPort)?;
        if port.view.mac != port_mod.hw_addr {
            return Err(OfError::PortModBadAddress);
        }
        // OpenFlow 1.3.5 section 7.3.4.3: "Zero all bits to prevent any action taking place." Nothing else is
        // possible with the devices that there are.
        if port_mod.advertise != 0 {
            return Err(OfError::PortModBadAdvertise);
        }
        if port_mod.mask & !CHANGEABLE != 0 {
            return Err(OfError::PortModBadConfig);
        }
        let (before, was_up) = (port.view.clone(), port.state.admin_up);
        for bit in (0..32)
            .map(|n| 1 << n)
            .filter(|bit| port_mod.mask & bit != 0)
        {
            port.set_config_bit(bit, port_mod.config & bit != 0);
        }
        let after = port.view.clone();
        if before == after {
            return Ok(());
        }
        if (before.config ^ after.config) & port_config::PORT_DOWN != 0 {
            let up = after.config & port_config::PORT_DOWN == 0;
            port.state.admin_up = up;
            out.push(Output::SetPortUp(id, up));
        }
        self.note(|| {
            Undo::Other(Box::new(move |switch| {
                if let Some(port) = switch.ports.get_mut(&id) {
                    (port.view, port.state.admin_up) = (before, was_up);
                }
            }))
        });
        self.stage_port(id);
        self.port_status(id, PortReason::Modify, out);
        Ok(())
    }
}
