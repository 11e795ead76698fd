//! Random FLOW_MODs against the specification's words on a list of flows; what the workers see is the
//! same; and no counter slot is lost.

use super::*;
use ofp::key::Match;
use proptest::prelude::*;

const FIELDS: [Field; 3] = [Field::InPort, Field::IpDst, Field::Ipv6Dst];
const MASKS: [u128; 4] = [0, 0b10, 0b11, 0b11 << 64 | 0b11];

fn matching() -> impl Strategy<Value = Match> {
    let part = || (0..4usize, 0..4u128);
    [part(), part(), part()].prop_map(|parts| {
        let mut matching = Match::default();
        for (field, (mask, value)) in FIELDS.iter().zip(parts) {
            matching.set(field.place(), value | value << 64, MASKS[mask]);
        }
        matching
    })
}

fn flow_mod() -> impl Strategy<Value = FlowMod> {
    use FlowModCommand::*;
    let command = prop_oneof![4 => Just(Add), 1 => Just(Modify), 1 => Just(ModifyStrict),
        1 => Just(Delete), 1 => Just(DeleteStrict)];
    let numbers = (
        0..3u8,
        0..3u16,
        0..4u64,
        prop_oneof![Just(0u64), 1..4u64],
        1..4u32,
        0..4u16,
    );
    (command, matching(), numbers, any::<bool>(), any::<bool>()).prop_map(
        |(command, matching, (table, priority, cookie, mask, port, out_port), all, nested)| {
            let deletes = matches!(command, Delete | DeleteStrict);
            let output = output(port);
            FlowMod {
                command,
                table: if deletes && all {
                    TableId::ALL
                } else {
                    TableId(table)
                },
                priority,
                matching,
                cookie: Cookie(cookie),
                cookie_mask: if command == Add { 0 } else { mask },
                new_cookie: (command != Add && mask != 0 && all).then_some(Cookie(9)),
                out_port: if deletes && out_port != 0 {
                    PortNo(out_port.into())
                } else {
                    PortNo::ANY
                },
                flags: if all { flow_flag::RESET_COUNTS } else { 0 },
                actions: if nested {
                    vec![Action::WriteActions(vec![output])]
                } else {
                    vec![output]
                },
                ..Default::default()
            }
        },
    )
}

/// A flow of the list: what dumps show of it.
type Listed = (u8, u16, Match, u64, Vec<Action>);

fn port_of(actions: &[Action]) -> PortNo {
    match &actions[0] {
        Action::Output { port, .. } => *port,
        Action::WriteActions(nested) => port_of(nested),
        other => panic!("{other:?}"),
    }
}

/// OpenFlow 1.3.5 section 6.4, word by word, on a list.
fn apply(list: &mut Vec<Listed>, m: &FlowMod) {
    use FlowModCommand::*;
    let same = |f: &Listed| (f.1, &f.2) == (m.priority, &m.matching);
    let selected = |f: &Listed| {
        (m.table == TableId::ALL || m.table.0 == f.0)
            && match m.command {
                Add | ModifyStrict | DeleteStrict => same(f),
                Modify | Delete => f.2.is_subset_of(&m.matching),
            }
            && (f.3 ^ m.cookie.0) & m.cookie_mask == 0
            && (m.out_port == PortNo::ANY || port_of(&f.4) == m.out_port)
    };
    let flow = (
        m.table.0,
        m.priority,
        m.matching.clone(),
        m.cookie.0,
        m.actions.clone(),
    );
    match m.command {
        Delete | DeleteStrict => list.retain(|f| !selected(f)),
        Add => {
            list.retain(|f| !selected(f));
            list.push(flow);
        }
        Modify | ModifyStrict => {
            let found: Vec<_> = list.iter_mut().filter(|f| selected(f)).collect();
            if found.is_empty() && m.cookie_mask == 0 {
                list.push(flow);
                return;
            }
            let cookie = if m.cookie_mask == 0 {
                Some(m.cookie)
            } else {
                m.new_cookie
            };
            for f in found {
                f.3 = cookie.map_or(f.3, |c| c.0);
                f.4 = m.actions.clone();
            }
        }
    }
}

proptest! {
    #[test]
    fn follow_the_specification(mods in prop::collection::vec(flow_mod(), 1..60), together in 1..7usize) {
        let mut bed = Bed::new();
        bed.connect(1, ConnKind::Controller, Version::V13);
        let room = bed.switch.rule_slots.room();
        let mut list: Vec<Listed> = Vec::new();
        for batch in mods.chunks(together) {
            for flow_mod in batch {
                apply(&mut list, flow_mod);
                bed.say(1, Body::FlowMod(Box::new(flow_mod.clone())));
            }
            bed.publish();
            prop_assert_eq!(bed.outputs(), []);
            list.sort_by_key(|f| format!("{f:?}"));
            let mut shown: Vec<Listed> = bed
                .all_flows()
                .into_iter()
                .map(|f| (f.table.0, f.priority, f.matching, f.cookie.0, f.actions))
                .collect();
            shown.sort_by_key(|f| format!("{f:?}"));
            prop_assert_eq!(&shown, &list);
            let snapshot = bed.switch.publisher.current();
            let tables = &snapshot.bridge(bed.bridge).expect("there").tables;
            let mut seen: Vec<Listed> = tables
                .iter()
                .flat_map(|t| t.rules.iter())
                .map(|r| {
                    (r.table.0, r.priority, r.matching.clone(), r.cookie.0, r.actions.to_vec())
                })
                .collect();
            seen.sort_by_key(|f| format!("{f:?}"));
            prop_assert_eq!(&seen, &list);
            drop(snapshot);
            prop_assert_eq!(bed.switch.rule_slots.room(), room - list.len());
        }
    }
}
