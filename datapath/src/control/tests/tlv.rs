//! The TLV map: what is refused, whole or not at all, and what flows may name.

use super::*;

fn mapping(index: u16, kind: u8, size: u8) -> TlvMapping {
    TlvMapping {
        class: 0xffff,
        kind,
        size,
        index,
    }
}

impl Bed {
    fn map(&mut self, command: TlvCommand, mappings: &[TlvMapping]) -> Result<(), OfError> {
        let mappings = mappings.to_vec();
        match &self.ask(1, Body::TlvTableMod(TlvTableMod { command, mappings }))[..] {
            [] => Ok(()),
            [Body::Error(error)] => Err(error.error),
            other => panic!("{other:?}"),
        }
    }
    fn mapped(&mut self) -> Vec<TlvMapping> {
        match &self.ask(1, Body::TlvTableRequest)[..] {
            [Body::TlvTableReply(table)] => table.mappings.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn bed() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Service, Version::V13);
    bed
}

#[test]
fn mappings_come_all_or_none() {
    use TlvCommand::*;
    let mut bed = bed();
    let good = [mapping(0, 1, 4), mapping(63, 2, 16)];
    assert_eq!(bed.map(Add, &good), Ok(()));
    for (wrong, error) in [
        (mapping(64, 9, 4), OfError::TlvBadIndex),
        (mapping(9, 9, 5), OfError::TlvBadLength),
        (mapping(9, 9, 0), OfError::TlvBadLength),
        (mapping(9, 9, 20), OfError::TlvBadLength),
        (mapping(8, 9, 4), OfError::TlvDuplicate),
        (mapping(9, 8, 4), OfError::TlvDuplicate),
        (mapping(0, 9, 4), OfError::TlvMapped),
        (mapping(9, 1, 4), OfError::TlvMapped),
    ] {
        assert_eq!(
            bed.map(Add, &[mapping(8, 8, 4), wrong]),
            Err(error),
            "{wrong:?}"
        );
        assert_eq!(bed.mapped(), good);
    }
    let many: Vec<_> = (1..9).map(|n| mapping(n, n as u8 + 8, 16)).collect();
    assert_eq!(bed.map(Add, &many), Err(OfError::TlvTableFull));
    assert_eq!(bed.map(Delete, &good[..1]), Ok(()));
    assert_eq!(bed.mapped(), good[1..]);
    assert_eq!(bed.map(Clear, &[]), Ok(()));
    assert_eq!(bed.mapped(), []);
}

#[test]
fn what_flows_name_is_mapped() {
    use TlvCommand::*;
    let mut bed = bed();
    let mut flow = add(5, vec![output(1)]);
    flow.matching.set(Field::TunMetadata3.place(), 9, u128::MAX);
    let set = Action::SetField {
        field: Field::TunMetadata3,
        value: 1,
        mask: u128::MAX,
    };
    let writes = add(6, vec![set, output(1)]);
    let mut there = add(7, vec![output(1)]);
    let presence = Field::TunMetadata3.presence().expect("an option");
    there.matching.set(presence, 1, 1);
    for flow in [&flow, &writes, &there] {
        assert_eq!(bed.flow_mod(1, flow.clone()), Err(OfError::FlowTlvUnmapped));
    }
    assert_eq!(bed.map(Add, &[mapping(3, 1, 4)]), Ok(()));
    for flow in [&flow, &writes, &there] {
        assert_eq!(bed.flow_mod(1, flow.clone()), Ok(()));
        assert_eq!(bed.map(Clear, &[]), Err(OfError::TlvInUse));
        let delete = FlowMod {
            matching: flow.matching.clone(),
            ..command(FlowModCommand::Delete)
        };
        assert_eq!(bed.flow_mod(1, delete), Ok(()));
    }
    let mut wide = flow.clone();
    wide.matching
        .set(Field::TunMetadata3.place(), 1 << 32, u128::MAX);
    assert_eq!(bed.flow_mod(1, wide), Err(OfError::MatchValue));
    assert_eq!(bed.map(Delete, &[mapping(3, 1, 4)]), Ok(()));
}

#[test]
fn what_buckets_name_is_mapped() {
    use TlvCommand::*;
    let mut bed = bed();
    let set = Action::SetField {
        field: Field::TunMetadata3,
        value: 1,
        mask: u128::MAX,
    };
    let bucket = Bucket {
        weight: 0,
        actions: vec![set, output(1)],
        ..Default::default()
    };
    let group = |command, buckets| {
        let desc = GroupDesc {
            group: ofp::types::GroupId(1),
            buckets,
            ..Default::default()
        };
        Body::GroupMod(Box::new(GroupMod {
            command,
            bucket: ofp::types::BucketId::ALL,
            desc,
        }))
    };
    let add = group(GroupCommand::Add, vec![bucket]);
    match &bed.ask(1, add.clone())[..] {
        [Body::Error(error)] => assert_eq!(error.error, OfError::FlowTlvUnmapped),
        other => panic!("{other:?}"),
    }
    assert_eq!(bed.map(Add, &[mapping(3, 1, 4)]), Ok(()));
    assert_eq!(bed.ask(1, add), []);
    assert_eq!(bed.map(Delete, &[mapping(3, 1, 4)]), Err(OfError::TlvInUse));
    assert_eq!(bed.ask(1, group(GroupCommand::Delete, Vec::new())), []);
    assert_eq!(bed.map(Clear, &[]), Ok(()));
}
