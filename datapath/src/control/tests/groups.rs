//! GROUP_MOD and what is told of groups.

use super::*;
use crate::model::RuleId;
use ofp::types::{BucketId, GroupId, Version};

fn bed(version: Version) -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, version);
    bed
}

/// A bucket with this number (`ALL`: none) that outputs there.
fn bucket(id: BucketId, port: u32) -> Bucket {
    Bucket {
        id,
        weight: 0,
        actions: vec![output(port)],
        ..Default::default()
    }
}

fn group(command: GroupCommand, id: u32, buckets: Vec<Bucket>) -> GroupMod {
    GroupMod {
        command,
        bucket: BucketId::ALL,
        desc: GroupDesc {
            group: GroupId(id),
            buckets,
            ..Default::default()
        },
    }
}

fn add_group(id: u32, ports: &[u32]) -> GroupMod {
    let buckets = ports.iter().map(|port| bucket(BucketId::ALL, *port));
    group(GroupCommand::Add, id, buckets.collect())
}

fn numbered(id: u32, ids: &[u32]) -> GroupMod {
    let buckets = ids.iter().map(|n| bucket(BucketId(*n), *n));
    group(GroupCommand::Add, id, buckets.collect())
}

impl Bed {
    fn group_mod(&mut self, group_mod: GroupMod) -> Result<(), OfError> {
        let replies = self.ask(1, Body::GroupMod(Box::new(group_mod)));
        match replies.last() {
            Some(Body::Error(error)) => Err(error.error),
            _ => Ok(()),
        }
    }
    fn part(&mut self, request: MultipartRequest) -> MultipartPart {
        match &self.ask(1, Body::MultipartRequest(request))[..] {
            [Body::MultipartReply(reply)] => reply.part.clone(),
            other => panic!("{other:?}"),
        }
    }
    fn groups(&mut self) -> Vec<GroupDesc> {
        match self.part(MultipartRequest::GroupDesc(GroupId::ALL)) {
            MultipartPart::GroupDesc(groups) => groups,
            other => panic!("{other:?}"),
        }
    }
    fn group_stats(&mut self, id: u32) -> GroupStats {
        match self.part(MultipartRequest::Group(GroupId(id))) {
            MultipartPart::Group(groups) => groups[0].clone(),
            other => panic!("{other:?}"),
        }
    }
    /// The numbers of a group's buckets, in order.
    fn ids(&mut self, id: u32) -> Vec<u32> {
        let groups = self.groups();
        let group = groups.iter().find(|g| g.group == GroupId(id)).unwrap();
        group.buckets.iter().map(|bucket| bucket.id.0).collect()
    }
    /// Where a group and its buckets are counted.
    fn slots(&self, id: u32) -> (RuleId, Vec<RuleId>) {
        let snapshot = self.switch.publisher.current();
        let (_, view) = &snapshot.bridge(self.bridge).unwrap().groups[&GroupId(id)];
        let buckets = view.buckets.iter().map(|bucket| bucket.counter);
        (view.counter, buckets.collect())
    }
}

#[test]
fn a_group_is_described_as_it_was_installed() {
    let mut bed = bed(Version::V13);
    let select = GroupMod {
        desc: GroupDesc {
            group: GroupId(7),
            kind: GroupKind::Select,
            selection: Selection {
                method: SelectionMethod::Hash,
                parameter: 5,
                fields: vec![(Field::IpDst, 0xffff_ffff)],
            },
            buckets: vec![
                Bucket {
                    weight: 100,
                    ..bucket(BucketId::ALL, 1)
                },
                Bucket {
                    weight: 0,
                    watch_port: PortNo(3),
                    ..bucket(BucketId::ALL, 2)
                },
            ],
        },
        ..add_group(7, &[])
    };
    bed.group_mod(select.clone()).unwrap();
    bed.group_mod(add_group(3, &[9])).unwrap();
    let groups = bed.groups();
    let ids: Vec<_> = groups.iter().map(|group| group.group.0).collect();
    assert_eq!(ids, [3, 7]);
    let mut want = select.desc;
    (want.buckets[0].id, want.buckets[1].id) = (BucketId(0), BucketId(1));
    assert_eq!(groups[1], want);
}

#[test]
fn errors_are_those_of_open_vswitch() {
    use super::GroupCommand::*;
    use OfError::{
        ActionOutPort, ActionType, GroupBadWatch, GroupExists, GroupInvalid, GroupLoop,
        GroupUnknown, GroupWatch,
    };
    let with = |kind, bucket: Bucket| {
        let mut group_mod = group(Add, 1, vec![bucket]);
        group_mod.desc.kind = kind;
        group_mod
    };
    let one = bucket(BucketId::ALL, 1);
    let watch = |port| Bucket {
        watch_port: PortNo(port),
        ..one.clone()
    };
    let acting = |action| Bucket {
        actions: vec![action],
        ..one.clone()
    };
    let cases = [
        (add_group(5, &[1]), Err(GroupExists)),
        (group(Modify, 6, vec![]), Err(GroupUnknown)),
        (group(Delete, 6, vec![]), Ok(())),
        (group(Delete, 5, vec![one.clone()]), Err(GroupInvalid)),
        (add_group(0xffff_ff01, &[]), Err(GroupInvalid)),
        (add_group(u32::MAX, &[]), Err(GroupInvalid)),
        (
            with(
                GroupKind::All,
                Bucket {
                    weight: 1,
                    ..one.clone()
                },
            ),
            Err(GroupInvalid),
        ),
        (with(GroupKind::All, watch(1)), Err(GroupWatch)),
        (
            with(GroupKind::FastFailover, one.clone()),
            Err(GroupInvalid),
        ),
        (
            with(GroupKind::FastFailover, watch(70_000)),
            Err(GroupBadWatch),
        ),
        (
            with(GroupKind::All, acting(output(0xff00))),
            Err(ActionOutPort),
        ),
        (
            with(GroupKind::All, acting(Action::GotoTable(TableId(3)))),
            Err(ActionType),
        ),
        (
            with(GroupKind::All, acting(Action::Group(GroupId(1)))),
            Err(GroupLoop),
        ),
        (
            with(GroupKind::All, acting(Action::Group(GroupId(99)))),
            Ok(()),
        ),
        (
            with(GroupKind::All, acting(Action::DecTtl(vec![]))),
            Err(GroupExists),
        ),
        (
            group(AddOrModify, 1, vec![acting(Action::DecTtl(vec![]))]),
            Ok(()),
        ),
    ];
    let mut bed = bed(Version::V13);
    bed.group_mod(add_group(5, &[1])).unwrap();
    for (group_mod, want) in cases {
        assert_eq!(bed.group_mod(group_mod.clone()), want, "{group_mod:?}");
    }
    let mut indirect = add_group(2, &[1, 2]);
    indirect.desc.kind = GroupKind::Indirect;
    assert_eq!(bed.group_mod(indirect), Err(GroupInvalid));
}

#[test]
fn groups_do_not_forward_to_each_other_in_a_loop() {
    let to = |command, id, next| {
        let forward = Bucket {
            actions: vec![Action::Group(GroupId(next))],
            ..bucket(BucketId::ALL, 1)
        };
        group(command, id, vec![forward])
    };
    let mut bed = bed(Version::V13);
    use GroupCommand::*;
    bed.group_mod(to(Add, 1, 2)).unwrap();
    bed.group_mod(to(Add, 2, 3)).unwrap();
    assert_eq!(bed.group_mod(to(Add, 3, 1)), Err(OfError::GroupLoop));
    bed.group_mod(to(Add, 3, 4)).unwrap();
    assert_eq!(bed.group_mod(to(Modify, 3, 2)), Err(OfError::GroupLoop));
    assert_eq!(bed.group_stats(3).ref_count, 1);
    bed.group_mod(group(Delete, 2, vec![])).unwrap();
    bed.group_mod(to(Modify, 3, 1)).unwrap();
    assert_eq!(bed.group_mod(to(Add, 2, 3)), Err(OfError::GroupLoop));
}

#[test]
fn buckets_come_and_go() {
    let mut bed = bed(Version::V15);
    bed.group_mod(numbered(1, &[5, 6])).unwrap();
    let buckets = |command, place, ids: &[u32]| GroupMod {
        command,
        bucket: place,
        ..numbered(1, ids)
    };
    use GroupCommand::*;
    for (command, place, ids, want) in [
        (
            InsertBucket,
            BucketId::LAST,
            &[5][..],
            Err(OfError::GroupBucketExists),
        ),
        (InsertBucket, BucketId::LAST, &[7], Ok(&[5, 6, 7][..])),
        (InsertBucket, BucketId::FIRST, &[8, 2], Ok(&[8, 2, 5, 6, 7])),
        (InsertBucket, BucketId(5), &[9], Ok(&[8, 2, 5, 9, 6, 7])),
        (
            InsertBucket,
            BucketId(99),
            &[10],
            Err(OfError::GroupUnknownBucket),
        ),
        (
            InsertBucket,
            BucketId::ALL,
            &[10],
            Err(OfError::GroupBucket),
        ),
        (
            InsertBucket,
            BucketId::LAST,
            &[10, 10],
            Err(OfError::GroupBucket),
        ),
        (InsertBucket, BucketId::LAST, &[], Err(OfError::GroupBucket)),
        (
            RemoveBucket,
            BucketId(98),
            &[],
            Err(OfError::GroupUnknownBucket),
        ),
        (RemoveBucket, BucketId(9), &[], Ok(&[8, 2, 5, 6, 7])),
        (RemoveBucket, BucketId::FIRST, &[], Ok(&[2, 5, 6, 7])),
        (RemoveBucket, BucketId::LAST, &[], Ok(&[2, 5, 6])),
        (
            RemoveBucket,
            BucketId::LAST,
            &[1],
            Err(OfError::GroupBucket),
        ),
        (RemoveBucket, BucketId::ALL, &[], Ok(&[])),
        (RemoveBucket, BucketId::LAST, &[], Ok(&[])),
    ] {
        let result = bed.group_mod(buckets(command, place, ids));
        assert_eq!(result, want.map(|_| ()), "{command:?} {place:?} {ids:?}");
        if let Ok(want) = want {
            assert_eq!(bed.ids(1), want);
        }
    }
    let mut at_place = numbered(2, &[1]);
    at_place.bucket = BucketId(1);
    assert_eq!(bed.group_mod(at_place), Err(OfError::GroupBucket));
    let unnumbered = numbered(2, &[u32::MAX]);
    assert_eq!(bed.group_mod(unnumbered), Err(OfError::GroupBucket));
}

#[test]
fn counters_go_on_while_buckets_come_and_go() {
    let mut bed = bed(Version::V15);
    bed.group_mod(numbered(1, &[5, 6])).unwrap();
    bed.flow_mod(1, add(1, vec![Action::Group(GroupId(1))]))
        .unwrap();
    let (own, buckets) = bed.slots(1);
    bed.worker.credit(own, 3, 300, bed.now);
    bed.worker.credit(buckets[1], 2, 200, bed.now);
    bed.wait(4);
    let removed = GroupMod {
        command: GroupCommand::RemoveBucket,
        bucket: BucketId::FIRST,
        ..numbered(1, &[])
    };
    bed.group_mod(removed).unwrap();
    let want = GroupStats {
        group: GroupId(1),
        ref_count: 1,
        packets: 3,
        bytes: 300,
        duration: Duration { secs: 4, nanos: 0 },
        buckets: vec![(2, 200)],
    };
    assert_eq!(bed.group_stats(1), want);
    let mut modified = numbered(1, &[5, 6]);
    modified.command = GroupCommand::Modify;
    bed.group_mod(modified).unwrap();
    let want = GroupStats {
        packets: 0,
        bytes: 0,
        buckets: vec![(0, 0); 2],
        ..want
    };
    assert_eq!(bed.group_stats(1), want);
}

#[test]
fn what_is_deleted_takes_its_flows_along() {
    let mut bed = bed(Version::V13);
    let to = |group| vec![Action::WriteActions(vec![Action::Group(GroupId(group))])];
    assert_eq!(bed.flow_mod(1, add(1, to(1))), Err(OfError::ActionOutGroup));
    bed.group_mod(add_group(1, &[1, 2])).unwrap();
    bed.group_mod(add_group(2, &[1])).unwrap();
    for (priority, group) in [(1, 1), (2, 1), (3, 2)] {
        let flags = flow_flag::SEND_FLOW_REM;
        bed.flow_mod(
            1,
            FlowMod {
                flags,
                ..add(priority, to(group))
            },
        )
        .unwrap();
    }
    let room = bed.switch.rule_slots.room();
    assert_eq!(bed.group_stats(1).ref_count, 2);
    let delete = group(GroupCommand::Delete, 1, vec![]);
    let told = bed.ask(1, Body::GroupMod(Box::new(delete)));
    let reasons: Vec<_> = told
        .iter()
        .map(|body| match body {
            Body::FlowRemoved(removed) => (removed.priority, removed.reason),
            other => panic!("{other:?}"),
        })
        .collect();
    let reason = FlowRemovedReason::GroupDelete;
    assert_eq!(reasons, [(1, reason), (2, reason)]);
    assert_eq!(bed.switch.rule_slots.room(), room + 5);
    assert_eq!(bed.all_flows().len(), 1);
    bed.group_mod(group(GroupCommand::Delete, GroupId::ALL.0, vec![]))
        .unwrap();
    assert_eq!((bed.all_flows().len(), bed.groups().len()), (0, 0));
    let snapshot = bed.switch.publisher.current();
    assert!(snapshot.bridge(bed.bridge).unwrap().groups.is_empty());
}
