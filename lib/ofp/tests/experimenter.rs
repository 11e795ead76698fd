//! Our experimenter actions and match field: bytes with their text beside them, both ways and in every
//! protocol; properties of both forms; what is refused.

use bytes::Bytes;
use ofp::action::{Action, BPDU_TUNNEL, Bpdu, FRAGMENT_MTU_MIN};
use ofp::error::OfError;
use ofp::field::Field;
use ofp::message::{Body, Dialect, FlowFormat, FlowMod, Message};
use ofp::text::{PortMap, Style, print_actions, print_match, read_actions, read_match};
use ofp::types::{TableId, Version, Xid};
use ofp::usable::{Protocol, usable};
use ofp::wire::action::decode_list;
use packet::MacAddr;
use packet::bpdu::Kind;
use proptest::prelude::*;
use proptest::sample::select;

const VERSIONS: [Version; 2] = [Version::V10, Version::V13];
const NXM: Dialect = Dialect {
    flow_format: FlowFormat::Nxm,
    ..Dialect::new(Version::V10)
};

/// Text, bytes of the action.
const GOLDEN: &[(&str, &str)] = &[
    (
        "fragment(mtu=1500)",
        "ffff 0010 5453554e 0001 05dc 0000 0000",
    ),
    (
        "fragment(mtu=68,df=ignore)",
        "ffff 0010 5453554e 0001 0044 0001 0000",
    ),
    (
        "reassemble(table=253)",
        "ffff 0010 5453554e 0002 fd 00 00000000",
    ),
    (
        "bpdu(count)",
        "ffff 0018 5453554e 0003 00 00 000000000000 000000000000",
    ),
    (
        "bpdu(forward)",
        "ffff 0018 5453554e 0003 01 00 000000000000 000000000000",
    ),
    (
        "bpdu(drop)",
        "ffff 0018 5453554e 0003 02 00 000000000000 000000000000",
    ),
    (
        "bpdu(tunnel)",
        "ffff 0018 5453554e 0003 03 00 01000ccdcdd0 000000000000",
    ),
    (
        "bpdu(untunnel,mac=01:02:03:04:05:06)",
        "ffff 0018 5453554e 0003 04 00 010203040506 000000000000",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn text(actions: &[Action], version: Version) -> String {
    print_actions(actions, &Style::plain(version, &PortMap::default()))
}

fn flow(actions: Vec<Action>) -> FlowMod {
    FlowMod {
        actions,
        ..FlowMod::default()
    }
}

fn encode(flow: FlowMod, dialect: &Dialect) -> Bytes {
    let body = Body::FlowMod(Box::new(flow));
    Message { xid: Xid(1), body }.to_bytes(dialect)
}

fn decode(bytes: &Bytes, dialect: &Dialect) -> FlowMod {
    match Message::decode(bytes, dialect).unwrap().body {
        Body::FlowMod(flow) => *flow,
        other => panic!("{other:?}"),
    }
}

#[test]
fn golden_actions() {
    for (words, hex) in GOLDEN {
        let actions = read_actions(words, &PortMap::default()).unwrap();
        for version in VERSIONS {
            let message = encode(flow(actions.clone()), &Dialect::new(version));
            assert!(message.ends_with(&bytes(hex)), "{words} {version:?}");
            let list = decode_list(&bytes(hex), version);
            assert_eq!(list.as_ref(), Ok(&actions), "{words}");
            assert_eq!(text(&actions, version), *words);
        }
    }
}

#[test]
fn golden_field() {
    let matching = read_match("bpdu_type=mstp", &PortMap::default()).unwrap();
    for dialect in [NXM, Dialect::new(Version::V13)] {
        let flow = FlowMod {
            matching: matching.clone(),
            ..FlowMod::default()
        };
        let message = encode(flow, &dialect);
        let entry = bytes("ffff 0205 5453554e 03");
        let found = message.windows(entry.len()).any(|w| w == entry);
        assert!(found, "{message:02x?}");
        assert_eq!(decode(&message, &dialect).matching, matching);
    }
}

#[test]
fn the_field_can_be_copied_but_not_written() {
    for words in [
        "move:TSUNAGI_BPDU_TYPE[]->NXM_NX_REG0[0..7]",
        "push:TSUNAGI_BPDU_TYPE[0..2]",
        "output:TSUNAGI_BPDU_TYPE[]",
    ] {
        let actions = read_actions(words, &PortMap::default()).unwrap();
        for version in VERSIONS {
            let dialect = Dialect::new(version);
            let back = decode(&encode(flow(actions.clone()), &dialect), &dialect);
            assert_eq!(text(&back.actions, version), words);
        }
    }
    assert!(read_actions("pop:bpdu_type", &PortMap::default()).is_err());
}

#[test]
fn kinds_of_bpdus_have_names_and_numbers() {
    let ports = PortMap::default();
    for kind in Kind::ALL {
        let named = read_match(&format!("bpdu_type={}", kind.name()), &ports).unwrap();
        let numbered = read_match(&format!("bpdu_type={}", kind as u8), &ports).unwrap();
        assert_eq!(named, numbered);
        let style = Style::plain(Version::V13, &ports);
        let printed = print_match(&named, &style);
        assert_eq!(printed, format!("bpdu_type={}", kind.name()));
    }
}

#[test]
fn a_kind_that_is_not_known_is_refused_on_the_wire() {
    let dialect = Dialect::new(Version::V13);
    let matching = read_match("bpdu_type=pvst", &PortMap::default()).unwrap();
    let message = encode(
        FlowMod {
            matching,
            ..FlowMod::default()
        },
        &dialect,
    );
    let entry = bytes("ffff 0205 5453554e 05");
    let at = message
        .windows(entry.len())
        .position(|w| w == entry)
        .unwrap();
    let mut wrong = message.to_vec();
    wrong[at + entry.len() - 1] = 6;
    let refused = Message::decode(&Bytes::from(wrong), &dialect);
    assert_eq!(refused, Err(OfError::MatchValue));
}

/// Bytes, error.
const REFUSED: &[(&str, OfError)] = &[
    (
        "ffff 0010 5453554e 0000 000000000000",
        OfError::ActionSubtype,
    ),
    (
        "ffff 0010 5453554e 0004 000000000000",
        OfError::ActionSubtype,
    ),
    (
        "ffff 0010 5453554f 0001 05dc00000000",
        OfError::ActionVendor,
    ),
    (
        "ffff 0018 5453554e 0001 05dc00000000 0000000000000000",
        OfError::ActionLength,
    ),
    ("ffff 0008 5453554e", OfError::ActionLength),
    (
        "ffff 0010 5453554e 0003 000000000000",
        OfError::ActionLength,
    ),
    (
        "ffff 0010 5453554e 0001 05dc00020000",
        OfError::ActionArgument,
    ),
    (
        "ffff 0010 5453554e 0001 05dc00000001",
        OfError::ActionArgument,
    ),
    (
        "ffff 0010 5453554e 0002 010100000000",
        OfError::ActionArgument,
    ),
    (
        "ffff 0018 5453554e 0003 0500 000000000000 000000000000",
        OfError::ActionArgument,
    ),
    (
        "ffff 0018 5453554e 0003 0001 000000000000 000000000000",
        OfError::ActionArgument,
    ),
    (
        "ffff 0018 5453554e 0003 0000 010203040506 000000000000",
        OfError::ActionArgument,
    ),
    (
        "ffff 0018 5453554e 0003 0300 010203040506 000000000001",
        OfError::ActionArgument,
    ),
];

#[test]
fn malformed_actions_are_refused() {
    for (hex, error) in REFUSED {
        for version in VERSIONS {
            assert_eq!(decode_list(&bytes(hex), version), Err(*error), "{hex}");
        }
    }
}

#[test]
fn every_protocol_can_say_our_actions_and_most_our_field() {
    for (words, _) in GOLDEN {
        let actions = read_actions(words, &PortMap::default()).unwrap();
        let inside = vec![Action::Clone(actions.clone())];
        for list in [actions, inside] {
            assert_eq!(usable(&flow(list)).protocols().count(), Protocol::ALL.len());
        }
    }
    let mut flow = flow(Vec::new());
    flow.matching.set(Field::BpduType.place(), 3, u128::MAX);
    let usable = usable(&flow);
    for protocol in Protocol::ALL {
        // Fixed fields cannot say it.
        let fixed = protocol.version <= Version::V11 && !protocol.nxm;
        assert_eq!(usable.contains(*protocol), !fixed, "{protocol}");
    }
}

fn ours() -> impl Strategy<Value = Action> {
    let mac = || {
        prop_oneof![
            Just(BPDU_TUNNEL),
            any::<[u8; 6]>()
                .prop_map(MacAddr)
                .prop_filter("zero is no address", |mac| *mac != MacAddr::ZERO)
        ]
    };
    prop_oneof![
        (FRAGMENT_MTU_MIN.., any::<bool>())
            .prop_map(|(mtu, ignore_df)| Action::Fragment { mtu, ignore_df }),
        select(&[Bpdu::Count, Bpdu::Forward, Bpdu::Drop]).prop_map(Action::Bpdu),
        mac().prop_map(|mac| Action::Bpdu(Bpdu::Tunnel(mac))),
        mac().prop_map(|mac| Action::Bpdu(Bpdu::Untunnel(mac))),
    ]
}

prop_compose! {
    /// A list of ours, with `clone(...)` in it and `reassemble` at either end of it.
    fn list()(
        mut outer in proptest::collection::vec(ours(), 0..5),
        mut inner in proptest::collection::vec(ours(), 1..5),
        tables in any::<[Option<u8>; 2]>(),
    ) -> Vec<Action> {
        let last = |table: Option<u8>| table.map(|t| Action::Reassemble(TableId(t.min(253))));
        inner.extend(last(tables[0]));
        outer.push(Action::Clone(inner));
        outer.extend(last(tables[1]));
        outer
    }
}

proptest! {
    #[test]
    fn text_and_bytes_come_back(list in list()) {
        for version in VERSIONS {
            let words = text(&list, version);
            let read = read_actions(&words, &PortMap::default());
            prop_assert_eq!(read.as_ref(), Ok(&list), "{}", words);
            let dialect = Dialect::new(version);
            let back = decode(&encode(flow(list.clone()), &dialect), &dialect);
            prop_assert_eq!(&back.actions, &list);
        }
    }

    /// Whatever follows our experimenter id is refused, or is written back as it was.
    #[test]
    fn noise_never_panics(subtype in 0..6_u16, noise in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..30)) {
        let size = (10 + noise.len()).next_multiple_of(8);
        let mut action = bytes("ffff 0000 5453554e");
        action[3] = size as u8;
        action.extend(subtype.to_be_bytes());
        action.extend(&noise);
        action.resize(size, 0);
        for version in VERSIONS {
            if let Ok(list) = decode_list(&action, version) {
                let message = encode(flow(list), &Dialect::new(version));
                prop_assert!(message.ends_with(&action));
            }
        }
    }

    #[test]
    fn noise_as_text_never_panics(words in "(fragment|reassemble|bpdu)(\\(|:)(mtu|df|table|mac|tunnel|count|=|:|,|[0-9]{1,6}|ignore|\\PC){0,6}\\)?") {
        let Ok(list) = read_actions(&words, &PortMap::default()) else { return Ok(()) };
        let printed = text(&list, Version::V13);
        let read = read_actions(&printed, &PortMap::default());
        prop_assert_eq!(read, Ok(list), "{} became {}", words, printed);
    }
}
