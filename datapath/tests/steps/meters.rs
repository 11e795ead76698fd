//! Meters: what is above a rate is dropped or remarked, and what comes afterwards sees it.

use super::bed::{Bed, UDP};
use datapath::model::DropReason;
use datapath::model::meter::MeterView;
use datapath::model::snapshot::Change;
use datapath::time::Time;
use ofp::action::{Action, Controller};
use ofp::message::{Band, BandKind, MeterConfig, meter_flag};
use ofp::types::{MeterId, PortNo, TableId};
use std::sync::Arc;

fn meter(bed: &mut Bed, id: MeterId, kind: BandKind, packets: u32) -> Arc<MeterView> {
    let config = MeterConfig {
        meter: id,
        flags: meter_flag::PKTPS | meter_flag::BURST,
        bands: vec![Band {
            kind,
            rate: 1,
            burst: packets,
        }],
    };
    let meter = Arc::new(MeterView::new(config, bed.sim.now));
    bed.sim.change(Change::SetMeter(bed.bridge, meter.clone()));
    meter
}

fn output(port: u32) -> Action {
    Action::Output {
        port: PortNo(port),
        max_len: 0,
    }
}

#[test]
fn what_is_above_the_rate_is_dropped_before_what_follows() {
    let mut bed = Bed::new();
    let view = meter(&mut bed, MeterId(5), BandKind::Drop, 3);
    let actions = vec![
        Action::Clone(vec![Action::Meter(MeterId(5)), output(2)]),
        output(3),
    ];
    bed.rule("in_port=1", actions);
    let sent: Vec<usize> = (0..5).map(|_| bed.send_once(UDP, &mut ()).len()).collect();
    assert_eq!(sent, [2, 2, 2, 1, 1]);
    assert_eq!(bed.sim.stats.drops(DropReason::Meter), 2);
    let size = flow::frametext::read(UDP).expect("a frame").len() as u64;
    assert_eq!(view.totals(), ((5, 5 * size), vec![(2, 2 * size)]));
    bed.sim.now = bed.sim.now + Time::secs(1);
    // One more in a second.
    let sent: Vec<usize> = (0..2).map(|_| bed.send_once(UDP, &mut ()).len()).collect();
    assert_eq!(sent, [2, 1]);
}

#[test]
fn what_is_remarked_is_looked_up_so() {
    let mut bed = Bed::new();
    meter(&mut bed, MeterId(1), BandKind::DscpRemark(1), 2);
    bed.rule(
        "in_port=1",
        vec![Action::Meter(MeterId(1)), Action::GotoTable(TableId(1))],
    );
    bed.flow("table=1,ip,ip_dscp=10,actions=output:2");
    bed.flow("table=1,ip,ip_dscp=12,actions=output:3");
    let frame = "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,tos=41) udp(5000->6000) \"hi\"";
    let sent: Vec<String> = (0..4)
        .map(|_| bed.send_once(frame, &mut ()).concat())
        .collect();
    let remarked = format!("3 {}", frame.replace("tos=41", "tos=49"));
    let as_it_was = format!("2 {frame}");
    assert_eq!(
        sent,
        [&as_it_was, &as_it_was, &remarked, &remarked].map(String::as_str)
    );
}

#[test]
fn packets_for_controllers_pass_the_meter_of_the_action_or_that_of_all() {
    let mut bed = Bed::new();
    let own = meter(&mut bed, MeterId(7), BandKind::Drop, 1);
    let all = meter(&mut bed, MeterId::CONTROLLER, BandKind::Drop, 2);
    let punt = |meter| {
        Action::Controller(Box::new(Controller {
            max_len: 0xffff,
            meter,
            ..Controller::default()
        }))
    };
    bed.rule(
        "in_port=1",
        vec![punt(Some(MeterId(7))), punt(None), output(2)],
    );
    for _ in 0..4 {
        assert_eq!(bed.send_once(UDP, &mut ()).len(), 1);
    }
    assert_eq!(bed.sim.events().len(), 3);
    assert_eq!((own.totals().0.0, all.totals().0.0), (4, 4));
    assert_eq!(bed.sim.stats.drops(DropReason::Meter), 5);
}
