//! Where a packet goes: the steps that outputs become, and what controllers get of it.

use super::packet_type::spare;
use super::pipeline::{Entry, Outcome, Walk};
use super::program::Step;
use super::trace::Observer;
use crate::model::DropReason;
use crate::model::event::{Paused, Punt};
use crate::model::port::PortView;
use ofp::action::{Controller, PacketInReason};
use ofp::field::{FIELDS, Field};
use ofp::key::{Key, Match, word};
use ofp::message::port_config;
use ofp::types::PortNo;

impl<O: Observer> Walk<'_, '_, O> {
    /// The queue of the ports that packets are sent to: 0 if none is chosen, else one more than its number.
    pub(super) fn queue(&self) -> u32 {
        self.key.get(Field::SkbPriority.place()) as u32
    }
    pub(super) fn set_queue(&mut self, queue: Option<u32>) {
        let queue = queue.map_or(0, |queue| u128::from(queue) + 1);
        self.key.set(Field::SkbPriority.place(), queue, u128::MAX);
    }
    pub(super) fn output(&mut self, port: PortNo, max_len: u16, max_size: u32) -> Outcome {
        let in_port = self.in_port();
        match port {
            PortNo::IN_PORT => self.send(in_port, max_size),
            PortNo::TABLE => self.enter(self.view.config.first_table, None, Entry::Ordinary, true),
            // There are no addresses to learn and to look for, and few ports carry it.
            PortNo::NORMAL | PortNo::FLOOD | PortNo::ALL if !self.is_ethernet() => {
                self.flood_by_port(port == PortNo::ALL)
            }
            PortNo::NORMAL => {
                let then = self.egress_table().map(|table| self.beyond(table));
                self.push(Step::Normal {
                    in_port,
                    reserved: self.reserved,
                    tunnel: self.tunnel.clone(),
                    then,
                })
            }
            PortNo::FLOOD | PortNo::ALL if self.egress_table().is_some() => {
                self.flood_by_port(port == PortNo::ALL)
            }
            PortNo::FLOOD | PortNo::ALL => self.push(Step::Flood {
                in_port,
                all: port == PortNo::ALL,
                tunnel: self.tunnel.clone(),
            }),
            PortNo::CONTROLLER => {
                let reason = match () {
                    () if self.packet_out => PacketInReason::PacketOut,
                    () if self.in_group => PacketInReason::Group,
                    () if self.in_set.is_some() => PacketInReason::ActionSet,
                    () => PacketInReason::Action,
                };
                self.punt(Controller {
                    max_len,
                    reason,
                    ..Controller::default()
                })
            }
            PortNo::ANY | PortNo::UNSET => Ok(()),
            port if port == in_port => self.suppress(DropReason::Recirculation),
            port => self.send(port, max_size),
        }
    }
    pub(super) fn suppress(&mut self, reason: DropReason) -> Outcome {
        self.observer.suppresses(reason);
        self.program.drop = reason;
        Ok(())
    }
    pub(super) fn send(&mut self, number: PortNo, max_size: u32) -> Outcome {
        let Some(port) = self.port(number) else {
            return self.suppress(DropReason::NoPort);
        };
        if !self.carries(port) {
            return self.suppress(DropReason::NotEthernet);
        }
        match (refusal(port), self.egress_table()) {
            (Some(reason), _) => self.suppress(reason),
            (None, Some(table)) => self.through_egress(table, number, max_size),
            (None, None) => self.push(Step::Output {
                port: port.id,
                tunnel: self.tunnel.clone(),
                max_size: max_size.saturating_add(spare(&self.key).into()),
                queue: self.queue(),
            }),
        }
    }
    pub(super) fn punt(&mut self, controller: Controller) -> Outcome {
        self.punt_with(controller, None)
    }
    pub(super) fn punt_with(&mut self, controller: Controller, paused: Option<Paused>) -> Outcome {
        let punt = Box::new(Punt {
            bridge: self.bridge(),
            table: self.table,
            cookie: self.cookie,
            controller,
            fields: metadata(&self.key),
            in_port: self.in_port(),
            total_len: 0,
            data: Vec::new(),
            paused,
        });
        let meter = self.controller_meter(punt.controller.meter);
        let tunnel = self.tunnel.clone();
        self.push(Step::Punt {
            punt,
            tunnel,
            meter,
        })
    }
}

/// Why nothing may be sent through a port.
pub(super) fn refusal(port: &PortView) -> Option<DropReason> {
    if port.config & port_config::NO_FWD != 0 {
        Some(DropReason::NoForward)
    } else if port.config & port_config::PORT_DOWN != 0 {
        Some(DropReason::PortDown)
    } else {
        None
    }
}

/// Metadata, registers and mark, those that are not 0, as a packet-in carries them; and what it is, if it is no Ethernet frame.
fn metadata(key: &Key) -> Match {
    let mut fields = Match::default();
    let packet_type = key.get(Field::PacketType.place());
    if packet_type != 0 {
        fields.set(Field::PacketType.place(), packet_type, u128::MAX);
    }
    let in_words = |place: ofp::key::Place| {
        (word::METADATA..=word::MARK).contains(&usize::from(place.word)) && place.width <= 64
    };
    let wide = |field| field >= Field::Xreg0 && field <= Field::Xreg7;
    for row in FIELDS
        .iter()
        .filter(|r| in_words(r.place) && r.nxm.or(r.oxm).is_some())
    {
        let value = key.get(row.place);
        if value != 0 && !wide(row.field) && row.field != Field::DpHash {
            fields.set(row.place, value, u128::MAX);
        }
    }
    fields
}
