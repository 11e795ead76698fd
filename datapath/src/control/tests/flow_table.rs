//! The flow table against a list that is searched from end to end.

use crate::control::flow_table::{Flow, FlowTables, Selection};
use crate::fragment::Secret;
use crate::model::{Rule, RuleId};
use crate::time::Time;
use ofp::action::Action;
use ofp::field::Field;
use ofp::key::Match;
use ofp::types::{Cookie, GroupId, PortNo, TableId};
use proptest::prelude::*;
use std::sync::Arc;

const FIELDS: [Field; 3] = [Field::InPort, Field::IpDst, Field::Ipv6Dst];
const MASKS: [u128; 4] = [0, 0b10, 0b11, 0b11 << 64 | 0b11];

type Parts = [(usize, u128); 3];

/// What an operation is about; its values are few, so that they meet.
#[derive(Clone, Debug)]
struct Operation {
    kind: u8,
    table: u8,
    priority: u16,
    parts: Parts,
    cookie: u64,
    cookie_mask: u64,
    port: u32,
}

fn operation() -> impl Strategy<Value = Operation> {
    let part = || (0..4usize, 0..4u128);
    (
        0..6u8,
        0..3u8,
        0..3u16,
        [part(), part(), part()],
        0..4u64,
        0..4u64,
        1..4u32,
    )
        .prop_map(
            |(kind, table, priority, parts, cookie, cookie_mask, port)| Operation {
                kind,
                table,
                priority,
                parts,
                cookie,
                cookie_mask,
                port,
            },
        )
}

fn matching(parts: &Parts) -> Match {
    let mut matching = Match::default();
    for (field, (mask, value)) in FIELDS.iter().zip(parts) {
        matching.set(field.place(), *value | *value << 64, MASKS[*mask]);
    }
    matching
}

fn flow(operation: &Operation) -> Flow {
    let output = Action::Output {
        port: PortNo(operation.port),
        max_len: 0,
    };
    let actions: Box<[Action]> = match operation.port {
        3 => [Action::WriteActions(vec![output])].into(),
        _ => [output].into(),
    };
    Flow {
        rule: Arc::new(Rule {
            id: RuleId(0),
            table: TableId(operation.table),
            priority: operation.priority,
            matching: matching(&operation.parts),
            actions,
            cookie: Cookie(operation.cookie),
        }),
        flags: 0,
        idle_timeout_secs: operation.port as u16,
        hard_timeout_secs: 0,
        importance: 0,
        created: Time::default(),
        modified: Time::default(),
        baseline: (0, 0),
        sequence: 0,
        changed: 0,
        deadline: None,
    }
}

fn port_of(rule: &Rule) -> PortNo {
    match &rule.actions[0] {
        Action::Output { port, .. } => *port,
        _ => PortNo(3),
    }
}

/// The specification of a selection, rule by rule.
fn selects(selection: &Selection, rule: &Rule) -> bool {
    (selection.table == TableId::ALL || selection.table == rule.table)
        && match selection.priority {
            Some(priority) => priority == rule.priority && rule.matching == *selection.matching,
            None => rule.matching.is_subset_of(selection.matching),
        }
        && (rule.cookie.0 ^ selection.cookie.0) & selection.cookie_mask == 0
        && (selection.out_port == PortNo::ANY || port_of(rule) == selection.out_port)
}

proptest! {
    #[test]
    fn agrees_with_a_list(operations in prop::collection::vec(operation(), 1..80)) {
        let (mut tested, mut list) = (FlowTables::new(Secret::new(0)), Vec::<Arc<Rule>>::new());
        for operation in &operations {
            let wanted = matching(&operation.parts);
            let table = TableId(operation.table);
            let selection = Selection {
                table: if operation.kind % 2 == 0 { table } else { TableId::ALL },
                priority: (operation.kind < 4).then_some(operation.priority),
                matching: &wanted,
                cookie: Cookie(operation.cookie),
                cookie_mask: operation.cookie_mask,
                out_port: if operation.port == 1 { PortNo::ANY } else { PortNo(operation.port) },
                out_group: GroupId::ANY,
            };
            let found = tested.select(&selection);
            let mut got: Vec<_> =
                found.iter().map(|i| Arc::as_ptr(&tested.get(*i).expect("found").rule)).collect();
            let mut want: Vec<_> =
                list.iter().filter(|r| selects(&selection, r)).map(Arc::as_ptr).collect();
            got.sort_unstable();
            want.sort_unstable();
            prop_assert_eq!(got, want);
            let overlap = list.iter().any(|r| {
                (r.table, r.priority) == (table, operation.priority) && r.matching.overlaps(&wanted)
            });
            prop_assert_eq!(tested.overlaps(table, operation.priority, &wanted), overlap);
            if operation.kind < 3 {
                let flow = flow(operation);
                if let Some(old) = tested.find(table, operation.priority, &wanted) {
                    tested.remove(old);
                }
                let same = |r: &Arc<Rule>| {
                    (r.table, r.priority, &r.matching) == (table, operation.priority, &wanted)
                };
                list.retain(|r| !same(r));
                list.push(flow.rule.clone());
                tested.insert(flow);
            } else {
                list.retain(|r| !selects(&selection, r));
                found.into_iter().for_each(|index| drop(tested.remove(index)));
            }
            prop_assert_eq!(tested.len(TableId::ALL), list.len());
            let in_table = list.iter().filter(|r| r.table == table).count();
            prop_assert_eq!(tested.len(table), in_table);
        }
        // The deadlines name each flow once, in order.
        let mut ended = Vec::new();
        while let Some(index) = tested.due(Time::secs(100)) {
            ended.push(tested.remove(index).expect("due").idle_timeout_secs);
        }
        prop_assert_eq!(ended.len(), list.len());
        prop_assert!(ended.is_sorted() && tested.next_deadline().is_none());
    }
}
