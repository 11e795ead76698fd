//! METER_MOD and what is told of meters.

use super::*;
use ofp::types::MeterId;
use std::sync::atomic::Ordering::Relaxed;

fn bed() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V14);
    bed
}

fn band(rate: u32, burst: u32) -> Band {
    Band {
        kind: BandKind::Drop,
        rate,
        burst,
    }
}

fn meter(command: MeterCommand, id: u32, flags: u16, bands: &[Band]) -> MeterMod {
    let config = MeterConfig {
        meter: MeterId(id),
        flags,
        bands: bands.to_vec(),
    };
    MeterMod { command, config }
}

impl Bed {
    fn meter_mod(&mut self, meter_mod: MeterMod) -> Result<(), OfError> {
        let replies = self.ask(1, Body::MeterMod(Box::new(meter_mod)));
        match replies.last() {
            Some(Body::Error(error)) => Err(error.error),
            _ => Ok(()),
        }
    }
    fn meter_part(&mut self, request: MultipartRequest) -> Result<MultipartPart, OfError> {
        match &self.ask(1, Body::MultipartRequest(request))[..] {
            [Body::MultipartReply(reply)] => Ok(reply.part.clone()),
            [Body::Error(error)] => Err(error.error),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn errors_are_those_of_open_vswitch() {
    use MeterCommand::*;
    let drop = [band(100, 0)];
    let remark = |by| {
        [Band {
            kind: BandKind::DscpRemark(by),
            ..band(100, 0)
        }]
    };
    let cases = [
        (meter(Add, 0, 1, &drop), Err(OfError::MeterInvalid)),
        (meter(Add, 1, 1, &drop), Ok(())),
        (meter(Add, 1, 1, &drop), Err(OfError::MeterExists)),
        (meter(Modify, 99, 1, &drop), Err(OfError::MeterUnknown)),
        (meter(Add, 2, 3, &drop), Err(OfError::MeterFlags)),
        (meter(Add, 2, 0, &drop), Err(OfError::MeterFlags)),
        (meter(Add, 2, 17, &drop), Err(OfError::MeterFlags)),
        (meter(Add, 3, 1, &remark(1)), Ok(())),
        (meter(Add, 4, 1, &remark(3)), Err(OfError::MeterBandValue)),
        (
            meter(Add, 4, 1, &[drop[0]; 9]),
            Err(OfError::MeterTooManyBands),
        ),
        (meter(Add, 4, 1, &[]), Err(OfError::MeterTooManyBands)),
        (meter(Add, 4, 1, &[drop[0]; 8]), Ok(())),
        (meter(Add, 5, 1, &[band(0, 0)]), Err(OfError::MeterRate)),
        (
            meter(Add, 0xffff_0001, 1, &drop),
            Err(OfError::MeterInvalid),
        ),
        (meter(Add, MeterId::CONTROLLER.0, 1, &drop), Ok(())),
        (meter(Add, MeterId::SLOWPATH.0, 1, &drop), Ok(())),
        (
            meter(Add, MeterId::ALL.0, 1, &drop),
            Err(OfError::MeterInvalid),
        ),
        (
            meter(Modify, MeterId::CONTROLLER.0, 1, &remark(1)),
            Err(OfError::MeterBand),
        ),
        (meter(Delete, 99, 0, &[]), Ok(())),
        (meter(Delete, MeterId::ALL.0, 0, &[]), Ok(())),
        (meter(Modify, 1, 1, &drop), Err(OfError::MeterUnknown)),
    ];
    let mut bed = bed();
    for (meter_mod, want) in cases {
        assert_eq!(bed.meter_mod(meter_mod.clone()), want, "{meter_mod:?}");
    }
}

#[test]
fn a_meter_is_described_as_it_was_installed_and_counts_on() {
    let mut bed = bed();
    let flags = meter_flag::KBPS | meter_flag::BURST | meter_flag::STATS;
    let add_meter = meter(MeterCommand::Add, 7, flags, &[band(100, 0), band(200, 9)]);
    bed.meter_mod(add_meter.clone()).unwrap();
    assert_eq!(
        bed.meter_part(MultipartRequest::MeterConfig(MeterId(7))),
        Ok(MultipartPart::MeterConfig(vec![add_meter.config]))
    );
    assert_eq!(
        bed.meter_part(MultipartRequest::Meter(MeterId(8))),
        Err(OfError::MeterUnknown)
    );
    bed.flow_mod(1, add(1, vec![Action::Meter(MeterId(7)), output(1)]))
        .unwrap();
    let view = bed
        .switch
        .publisher
        .current()
        .bridge(bed.bridge)
        .unwrap()
        .meters[&MeterId(7)]
        .clone();
    view.seen[0].store(5, Relaxed);
    view.seen[1].store(500, Relaxed);
    view.bands[0].above[0].store(2, Relaxed);
    let modify = meter(MeterCommand::Modify, 7, meter_flag::PKTPS, &[band(50, 0)]);
    bed.meter_mod(modify).unwrap();
    bed.wait(3);
    // A worker that has not seen the change yet.
    view.seen[0].store(6, Relaxed);
    let want = MeterStats {
        meter: MeterId(7),
        flows: 1,
        packets: 6,
        bytes: 500,
        duration: Duration { secs: 3, nanos: 0 },
        bands: vec![(2, 0)],
    };
    assert_eq!(
        bed.meter_part(MultipartRequest::Meter(MeterId::ALL)),
        Ok(MultipartPart::Meter(vec![want]))
    );
}

#[test]
fn what_is_deleted_takes_its_flows_along() {
    let mut bed = bed();
    let metered = FlowMod {
        flags: flow_flag::SEND_FLOW_REM,
        ..add(1, vec![Action::Meter(MeterId(7)), output(1)])
    };
    assert_eq!(bed.flow_mod(1, metered.clone()), Err(OfError::MeterInvalid));
    bed.meter_mod(meter(MeterCommand::Add, 7, meter_flag::KBPS, &[band(1, 1)]))
        .unwrap();
    bed.flow_mod(1, metered).unwrap();
    let delete = meter(MeterCommand::Delete, 7, 0, &[]);
    match &bed.ask(1, Body::MeterMod(Box::new(delete)))[..] {
        [Body::FlowRemoved(removed)] => {
            assert_eq!(removed.reason, FlowRemovedReason::MeterDelete);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bed.all_flows(), []);
}

#[test]
fn the_slow_path_has_a_meter() {
    let mut bed = bed();
    let flags = meter_flag::PKTPS | meter_flag::BURST;
    bed.meter_mod(meter(
        MeterCommand::Add,
        MeterId::SLOWPATH.0,
        flags,
        &[band(1, 3)],
    ))
    .unwrap();
    bed.outputs();
    for _ in 0..5 {
        let punt = crate::model::event::Punt {
            bridge: bed.bridge,
            table: TableId(0),
            cookie: Cookie(0),
            controller: ofp::action::Controller::default(),
            fields: Default::default(),
            in_port: PortNo(1),
            total_len: 60,
            data: vec![0; 60],
            paused: None,
        };
        let event = crate::model::event::Event::Punt(Box::new(punt));
        bed.switch.event(bed.now, event, &mut bed.out);
    }
    assert_eq!(bed.sent(1).len(), 3);
    assert_eq!(bed.switch.counters().packet_ins_metered, 2);
}
