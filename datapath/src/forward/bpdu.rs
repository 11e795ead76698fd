//! BPDUs on their way through the switch: the ports' counters of them, and the `bpdu(...)` action.
//!
//! A frame is looked at once when it enters a bridge (received, through a patch port, out of a tunnel). What it
//! is stands in the executor while its program runs, so that sending tests one byte. Tunnel ports count
//! what is inside: after decapsulation, before encapsulation. What an action makes of a frame's
//! destination changes nothing about what it is.

use super::execute::{Context, Executor};
use super::pipeline::{Outcome, Walk};
use super::trace::Observer;
use crate::edge::Pool;
use crate::model::id::PortId;
use crate::model::{BridgeView, DropReason};
use ofp::action::{Action, Bpdu};
use ofp::field::Field;
use ofp::key::word;
use ofp::types::PortNo;
use packet::MacAddr;
use packet::bpdu::{self, Kind};

impl<P: Pool> Executor<P> {
    /// A frame enters a bridge.
    #[inline]
    pub fn look_for_bpdu(
        &mut self,
        cx: Context<'_>,
        view: &BridgeView,
        in_port: PortNo,
        head: &[u8],
    ) {
        self.bpdu = bpdu::recognise_frame(head);
        if self.bpdu != Kind::None {
            self.count_received_bpdu(cx, view, in_port);
        }
    }
    #[cold]
    fn count_received_bpdu(&mut self, cx: Context<'_>, view: &BridgeView, in_port: PortNo) {
        let port = view
            .ports
            .get(&in_port)
            .filter(|id| cx.snapshot.port(**id).is_some());
        if let Some(port) = port {
            self.stats.received_bpdu(*port, self.bpdu);
        }
    }
    /// The frame whose program runs leaves through a port.
    #[inline]
    pub fn count_sent_bpdu(&self, port: PortId) {
        if self.bpdu != Kind::None {
            self.stats.sent_bpdu(port, self.bpdu);
        }
    }
    /// `bpdu(count)`: what was not recognised when it arrived counts as received, and when it is sent.
    #[cold]
    pub fn count_bpdu(&mut self, cx: Context<'_>, view: &BridgeView, in_port: PortNo, kind: Kind) {
        if self.bpdu == Kind::None {
            self.bpdu = kind;
            self.count_received_bpdu(cx, view, in_port);
        }
    }
}

/// The destination of a BPDU of this kind.
fn group(kind: Kind) -> MacAddr {
    match kind {
        Kind::Pvst => bpdu::PVST_GROUP,
        _ => bpdu::GROUP,
    }
}

impl<O: Observer> Walk<'_, '_, O> {
    /// `bpdu(...)`: has no effect on what is no BPDU.
    pub(super) fn bpdu(&mut self, action: Bpdu) -> Outcome {
        let number = self.key.get(Field::BpduType.place()) as usize;
        let kind = Kind::ALL.get(number).copied().unwrap_or_default();
        if kind == Kind::None {
            return Ok(());
        }
        let dst = self.key.0[word::ETH_DST] >> 16;
        match action {
            Bpdu::Count => self.program.bpdu = kind,
            Bpdu::Forward => self.reserved = true,
            Bpdu::Drop => {
                self.exit = true;
                self.program.drop = DropReason::Bpdu;
            }
            Bpdu::Tunnel(mac) => return self.set(&Action::SetEthDst(mac)),
            Bpdu::Untunnel(mac) if mac.to_u64() == dst => {
                return self.set(&Action::SetEthDst(group(kind)));
            }
            Bpdu::Untunnel(_) => {}
        }
        Ok(())
    }
}
