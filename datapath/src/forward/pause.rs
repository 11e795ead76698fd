//! `controller(pause)`: the packet stops, a controller looks at it, and NXT_RESUME has it go on where it stopped, with the
//! stack, the action set and the actions that were left.
//!
//! The walk ends its branch with a continuation, as `fragment` does. That travels with the packet-in to control, which keeps it
//! and gives the controller a token for it; resumed, it comes back by a worker's mailbox with the packet and those fields
//! that the controller changed. It is not cached: controllers decide about each packet.

use super::continuation::Continuation;
use super::pipeline::{Outcome, Walk};
use super::trace::Observer;
use crate::model::event::Paused;
use ofp::action::{Controller, WHOLE_PACKET};
use ofp::field::Field;
use ofp::key::{Match, MatchWord, Place, word};
use std::sync::Arc;

impl<'s, O: Observer> Walk<'s, '_, O> {
    /// The packet goes to the controllers as a whole, and nowhere else before it is resumed.
    pub(super) fn pause(&mut self, controller: &Controller) -> Outcome {
        let way = self.suspend(None);
        self.note(format_args!(
            "the packet waits until a controller resumes it"
        ));
        let controller = Controller {
            max_len: WHOLE_PACKET,
            ..controller.clone()
        };
        let paused = Paused {
            way,
            words: None,
            options: None,
        };
        self.punt_with(controller, Some(paused))
    }
    /// Sets fields that are not the packet's, before the walk begins or goes on.
    pub(super) fn set_fields(&mut self, fields: &Match) {
        let real = fields
            .words()
            .iter()
            .filter(|w| usize::from(w.index) < word::ETH_DST);
        for MatchWord { index, mask, value } in real {
            let place = Place::new((*index).into(), 0, 64);
            self.key.set(place, (*value).into(), (*mask).into());
            self.tunnel.set(place, (*value).into(), (*mask).into());
        }
        if fields.get(Field::PacketType.place()).1 != 0 {
            self.set_packet_type(self.packet_type());
        }
    }
}

/// What a paused packet goes on with.
pub(super) fn continuation(paused: &Paused) -> Option<Arc<Continuation>> {
    paused.way.clone().downcast().ok()
}
