//! Meters on a packet's way. One that only drops is a step; after one that changes the packet, what remains of the walk goes on
//! with a continuation, as it may look at what was changed.

use super::execute::{Context, Executor};
use super::pipeline::{Outcome, Walk};
use super::program::Step;
use super::trace::Observer;
use crate::edge::{Frame, Pool, Segmentation};
use crate::model::DropReason;
use crate::model::meter::{MeterView, Verdict};
use flow::extract::{self, Depth};
use ofp::key::{WordSet, word};
use ofp::types::MeterId;
use packet::{Wire, ethertype, ipv4, ipv6};
use std::sync::Arc;

impl<O: Observer> Walk<'_, '_, O> {
    /// Passes a meter.
    pub(super) fn meter(&mut self, id: MeterId) -> Outcome {
        let Some(meter) = self.view.meters.get(&id).cloned() else {
            self.note(format_args!("meter {id}: there is none"));
            return Ok(());
        };
        let then = meter.remarks().then(|| self.suspend(None));
        self.push(Step::Meter { meter, then })
    }
    /// The meter for packets to the controllers: one that the action says, or that of all.
    pub(super) fn controller_meter(&self, id: Option<MeterId>) -> Option<Arc<MeterView>> {
        let meters = &self.view.meters;
        meters.get(&id.unwrap_or(MeterId::CONTROLLER)).cloned()
    }
}

impl<P: Pool> Executor<P> {
    /// Passes a frame through a meter.
    pub(super) fn pass_meter<O: Observer>(
        &mut self,
        cx: Context<'_>,
        meter: &Arc<MeterView>,
        frame: &P::Frame,
        o: &mut O,
    ) -> Verdict {
        if O::PRETENDS {
            // The packet is none that counts, and goes on to show what would come of others.
            let verdict = meter.would_pass(packets_of(frame), frame.size() as u64, cx.now);
            o.metered(meter.config.meter, format_args!("{verdict}"));
            return Verdict::Pass;
        }
        let (packets, bytes) = (packets_of(frame), frame.size() as u64);
        let verdict = self.metered.pass(meter, packets, bytes, cx.now);
        o.note(format_args!("meter {}: {verdict}", meter.config.meter));
        verdict
    }
    /// Passes a frame through a meter; gives it back unless it is dropped.
    #[inline]
    pub(super) fn metered<O: Observer>(
        &mut self,
        cx: Context<'_>,
        meter: &Arc<MeterView>,
        mut frame: P::Frame,
        o: &mut O,
    ) -> Option<P::Frame> {
        match self.pass_meter(cx, meter, &frame, o) {
            Verdict::Pass => Some(frame),
            Verdict::Remark(level) => {
                self.remark(&mut frame, level);
                Some(frame)
            }
            Verdict::Drop => {
                self.drop(frame, DropReason::Meter, o);
                None
            }
        }
    }
    /// Whether a copy of a frame may go to the controllers.
    #[inline(never)]
    pub(super) fn may_punt<O: Observer>(
        &mut self,
        cx: Context<'_>,
        meter: &Arc<MeterView>,
        frame: &P::Frame,
        o: &mut O,
    ) -> bool {
        let passes = self.pass_meter(cx, meter, frame, o) != Verdict::Drop;
        if !passes {
            o.drop(DropReason::Meter);
            self.stats.dropped(DropReason::Meter);
        }
        passes
    }
    /// Raises the drop precedence of an IP packet whose DSCP is one of the assured forwarding classes (RFC 2597: 1 to 3, in
    /// bits 1 and 2 of the DSCP; classes 1 to 4 above them). Others have no precedence.
    #[inline(never)]
    fn remark(&mut self, frame: &mut P::Frame, level: u8) {
        let mut words = WordSet::EMPTY;
        words.insert(word::IP);
        let plan = extract::Plan::new(words, Depth::L3);
        let layout = extract::extract(frame.head(), frame.size(), &plan, &mut self.key);
        let ether_type = self.key.0[word::ETH_DST] as u16;
        let (head, l3) = (frame.head_mut(), usize::from(layout.l3));
        match ether_type {
            ethertype::IPV4 if l3 != 0 => {
                if let Some(header) = ipv4::Header::at_mut(head, l3) {
                    header.set_tos(raised(header.tos, level));
                }
            }
            ethertype::IPV6 if l3 != 0 => {
                if let Some(header) = ipv6::Header::at_mut(head, l3) {
                    header.set_traffic_class(raised(header.traffic_class(), level));
                }
            }
            _ => {}
        }
    }
}

/// A TOS byte with a higher drop precedence.
fn raised(tos: u8, level: u8) -> u8 {
    let (class, precedence) = (tos >> 5, tos >> 3 & 3);
    let is_assured = (1..=4).contains(&class) && precedence != 0 && tos & 4 == 0;
    if !is_assured {
        return tos;
    }
    tos & !0x18 | precedence.saturating_add(level).min(3) << 3
}

/// The packets that a frame stands for.
#[inline]
pub(super) fn packets_of<F: Frame>(frame: &F) -> u64 {
    let offload = frame.offload();
    if offload.segmentation == Segmentation::None || offload.segment_size == 0 {
        return 1;
    }
    // 8 bytes: the shortest transport header.
    let headers = usize::from(offload.csum_start) + 8;
    let payload = frame.size().saturating_sub(headers);
    payload.div_ceil(offload.segment_size.into()).max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::raised;

    #[test]
    fn assured_forwarding_gets_a_higher_drop_precedence() {
        let dscp = |dscp: u8, level| raised(dscp << 2 | 1, level) >> 2;
        // AF11, AF12, AF13; AF43 stays; EF and best effort have none.
        let rows = [
            (10, 1, 12),
            (10, 2, 14),
            (12, 9, 14),
            (38, 1, 38),
            (46, 1, 46),
            (0, 1, 0),
            (8, 1, 8),
        ];
        for (before, level, after) in rows {
            assert_eq!(dscp(before, level), after);
        }
    }
}
