//! MPLS labels, PBB headers, TTLs and sizes.

use super::bed::{Bed, UDP};
use datapath::model::DropReason;
use ofp::action::Action;
use ofp::field::{Field, Subfield};
use ofp::types::{PortNo, TableId};

fn output(port: u32) -> Action {
    Action::Output {
        port: PortNo(port),
        max_len: 0,
    }
}
fn to(table: u8) -> Action {
    Action::Resubmit {
        in_port: None,
        table: Some(TableId(table)),
    }
}
fn set(field: Field, value: u128) -> Action {
    let mask = u128::MAX;
    Action::SetField { field, value, mask }
}
/// The packet behind these headers, at a port.
fn behind(port: u32, headers: &str) -> String {
    format!("{port} {}", UDP.replace("ipv4", &format!("{headers} ipv4")))
}

#[test]
fn labels_are_pushed_and_popped_and_what_is_behind_them_shows() {
    let mut bed = Bed::new();
    let push = vec![
        Action::PushMpls(0x8847),
        Action::SetMplsLabel(100),
        Action::SetMplsTc(5),
        Action::PushMpls(0x8847),
        Action::SetMplsLabel(200),
        Action::SetMplsTtl(9),
        to(1),
    ];
    bed.rule("in_port=1,udp", push);
    bed.rule(
        "table=1,mpls,mpls_label=200,mpls_ttl=9,mpls_bos=0",
        vec![output(2), to(2)],
    );
    bed.rule(
        "table=2,mpls",
        vec![
            Action::PopMpls(0x8847),
            Action::PopMpls(0x0800),
            to(3),
            output(4),
        ],
    );
    bed.rule("table=3,udp,tp_dst=6000,nw_ttl=64", vec![output(3)]);
    let labels = "mpls(label=200,tc=5,ttl=9) mpls(label=100,tc=5)";
    assert_eq!(
        bed.send(UDP),
        [behind(2, labels), format!("3 {UDP}"), format!("4 {UDP}")]
    );
    assert_eq!(bed.sim.stats.workers()[3], 3);
}

#[test]
fn labels_of_a_set_are_popped_before_others_are_pushed() {
    let mut bed = Bed::new();
    let write = vec![
        output(2),
        set(Field::MplsLabel, 7),
        Action::PushMpls(0x8847),
        Action::PopMpls(0x0800),
        Action::DecTtl(vec![]),
    ];
    bed.rule("in_port=1,mpls", vec![Action::WriteActions(write)]);
    let out = bed.send(&behind(1, "mpls(label=100,ttl=9)")[2..]);
    // What was popped is behind the label again.
    assert_eq!(out, [behind(2, "mpls(label=7)")]);
}

#[test]
fn a_label_that_would_expire_is_for_the_controllers() {
    let mut bed = Bed::new();
    bed.rule("in_port=1,mpls", vec![Action::DecMplsTtl, output(2)]);
    let frame = |ttl: u8| {
        behind(
            2,
            &format!("mpls(label=100,ttl={ttl}) mpls(label=5) mpls(label=6) mpls(label=7)"),
        )
    };
    assert_eq!(bed.send(&frame(9)[2..]), [frame(8)]);
    assert!(bed.send(&frame(1)[2..]).is_empty());
    assert_eq!(bed.sim.events().len(), 2);
    assert_eq!(bed.sim.stats.drops(DropReason::TtlExpired), 2);
}

#[test]
fn ttls_are_copied_between_the_outermost_headers() {
    let mut bed = Bed::new();
    let stack = |outer: u8, inner: u8, ip: u8| {
        let labels = format!("mpls(label=1,ttl={outer}) mpls(label=2,ttl={inner})");
        behind(2, &labels).replace("10.0.0.2)", &format!("10.0.0.2,ttl={ip})"))
    };
    bed.rule(
        "priority=5,mpls,mpls_label=1",
        vec![
            Action::CopyTtlOut,
            to(1),
            Action::PopMpls(0x8847),
            Action::CopyTtlIn,
            output(3),
        ],
    );
    bed.rule("table=1,mpls,mpls_ttl=20", vec![output(2)]);
    let out = bed.send(&stack(10, 20, 30)[2..]);
    let popped = behind(3, "mpls(label=2,ttl=20)").replace("10.0.0.2)", "10.0.0.2,ttl=20)");
    assert_eq!(out, [stack(20, 20, 30), popped]);
}

#[test]
fn a_backbone_header_is_put_in_front_and_removed() {
    let mut bed = Bed::new();
    bed.rule(
        "in_port=1",
        vec![
            Action::PushPbb(0x88e7),
            set(Field::EthDst, 9),
            output(2),
            to(1),
        ],
    );
    bed.rule(
        "table=1,dl_type=0x88e7,dl_dst=00:00:00:00:00:09",
        vec![Action::PushVlan(0x88a8), Action::PopPbb, to(2)],
    );
    bed.rule("table=2,vlan_tci=0x100a/0x1fff", vec![output(3)]);
    let tagged = UDP.replace("ipv4", "vlan(vid=10,pcp=6) ipv4");
    let out = bed.send(&tagged);
    assert_eq!(out.len(), 2);
    assert_eq!(out[1], format!("3 {tagged}"));
    let bytes = flow::frametext::read(&out[0][2..]).expect("a frame");
    let inner = flow::frametext::read(&tagged).expect("a frame");
    assert_eq!(
        bytes[..18],
        [
            0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 1, 0x88, 0xe7, 0xc0, 0, 0, 0
        ]
    );
    assert_eq!(bytes[18..], inner);
}

#[test]
fn the_size_of_a_packet_is_a_bit() {
    let mut bed = Bed::new();
    let check = Action::CheckPktLarger {
        size: 44,
        destination: Subfield {
            field: Field::Reg3,
            start: 4,
            width: 1,
        },
    };
    bed.rule("in_port=1", vec![check, to(1), output(4)]);
    bed.flow("table=1,reg3=0x10,actions=output:2");
    bed.flow("table=1,reg3=0,actions=output:3");
    let larger = UDP.replace("hi", "hi!");
    assert_eq!(bed.send(UDP), [format!("3 {UDP}"), format!("4 {UDP}")]);
    assert_eq!(
        bed.send(&larger),
        [format!("2 {larger}"), format!("4 {larger}")]
    );
}
