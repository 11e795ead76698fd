//! Properties of the wire form: what was written is read back, in every protocol that can say it;
//! bytes of any kind are read without a panic, and what is read can be written.

use bytes::Bytes;
use ofp::action::*;
use ofp::bpdu::{BpduStats, OuterStats};
use ofp::error::{ERRORS, OfError};
use ofp::field::{FIELDS, Field, Subfield};
use ofp::key::Match;
use ofp::message::*;
use ofp::types::{Cookie, GroupId, MeterId, PortNo, TableId, Version, Xid};
use ofp::usable::{Protocol, usable};
use packet::MacAddr;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const V10: Dialect = Dialect::new(Version::V10);
const V13: Dialect = Dialect::new(Version::V13);
const NXM: Dialect = Dialect {
    version: Version::V10,
    flow_format: FlowFormat::Nxm,
    flow_mod_table_id: true,
};

fn dialect(protocol: Protocol) -> Dialect {
    let table = Dialect {
        flow_mod_table_id: true,
        ..V10
    };
    match (protocol.version, protocol.nxm) {
        (Version::V10, false) => table,
        (Version::V10, true) => NXM,
        (version, _) => Dialect::new(version),
    }
}

fn decode(bytes: &[u8], dialect: &Dialect) -> Result<Message, OfError> {
    Message::decode(&Bytes::copy_from_slice(bytes), dialect)
}

fn again(body: &Body, dialect: &Dialect) -> Body {
    let bytes = Message {
        xid: Xid(7),
        body: body.clone(),
    }
    .to_bytes(dialect);
    let message = Message::decode(&bytes, dialect)
        .unwrap_or_else(|error| panic!("{error:?} in {dialect:?}: {body:#?}"));
    assert_eq!(message.xid, Xid(7));
    message.body
}

/// What the later fields need.
const BASES: &[&[(Field, u128)]] = &[
    &[],
    &[(Field::EthType, 0x0800)],
    &[(Field::EthType, 0x86dd)],
    &[(Field::EthType, 0x0806)],
    &[(Field::EthType, 0x8847)],
    &[(Field::EthType, 0x0800), (Field::IpProto, 6)],
    &[(Field::EthType, 0x86dd), (Field::IpProto, 17)],
    &[(Field::EthType, 0x0800), (Field::IpProto, 132)],
    &[(Field::EthType, 0x0800), (Field::IpProto, 1)],
    &[
        (Field::EthType, 0x86dd),
        (Field::IpProto, 58),
        (Field::Icmpv6Type, 135),
    ],
    &[(Field::VlanVid, 0x1005), (Field::EthType, 0x0806)],
    &[(Field::VlanTci, 0)],
];

prop_compose! {
    /// A match that starts with what the later fields need, then some of the fields that fit.
    fn matching()(
        base in select(BASES),
        picks in proptest::collection::vec((any::<Index>(), any::<u128>(), any::<u128>(), any::<bool>()), 0..6),
    ) -> Match {
        let mut m = Match::default();
        for (field, value) in base {
            m.set(field.place(), *value, u128::MAX);
        }
        for (index, value, mask, masked) in picks {
            let row = index.get(FIELDS);
            let full = row.field.full_mask();
            let has_id = row.nxm.is_some() || row.oxm.is_some();
            let free = m.get(row.place).1 == 0;
            let port = matches!(row.field, Field::InPort | Field::InPortOxm);
            let vlan = matches!(row.field, Field::VlanTci | Field::VlanVid | Field::VlanPcp);
            // What a packet is comes first.
            let late = row.field == Field::PacketType && !m.words().is_empty();
            if has_id && free && !vlan && !late && row.prereq.holds(&m) && !base.iter().any(|b| b.0 == row.field) {
                let mask = if masked && row.maskable { mask & full } else { full };
                let value = value & if port { 0xfe } else { full };
                m.set(row.place, value.min(row.field.largest()), mask);
            }
        }
        // Masking may have taken away what another field needs; such a match cannot be said.
        m
    }
}

fn subfield(writable: bool) -> impl Strategy<Value = Subfield> {
    let fields: Vec<Field> = FIELDS
        .iter()
        .filter(|row| row.nxm.or(row.oxm).is_some_and(|id| id.class != 0xffff))
        .filter(|row| !writable || row.writable)
        .map(|row| row.field)
        .filter(|field| !matches!(field, Field::InPort | Field::VlanVid))
        .collect();
    (select(fields), any::<u8>(), any::<u8>()).prop_map(|(field, start, width)| {
        let bits = field.place().width;
        let start = start % bits;
        Subfield {
            field,
            start,
            width: (width % (bits - start) + 1).min(64),
        }
    })
}

fn port() -> impl Strategy<Value = PortNo> {
    prop_oneof![
        (1..0xff00_u32).prop_map(PortNo),
        (0xffff_fff8_u32..=0xffff_fffe).prop_map(PortNo)
    ]
}

fn bpdu() -> impl Strategy<Value = Bpdu> {
    let mac = || any::<[u8; 6]>().prop_map(MacAddr);
    prop_oneof![
        select(&[Bpdu::Count, Bpdu::Forward, Bpdu::Drop]),
        mac().prop_map(Bpdu::Tunnel),
        mac().prop_map(Bpdu::Untunnel),
    ]
}

fn simple_action() -> impl Strategy<Value = Action> {
    let settable: Vec<Field> = FIELDS
        .iter()
        .filter(|r| r.writable && r.nxm.or(r.oxm).is_some())
        .map(|r| r.field)
        .collect();
    prop_oneof![
        (port(), any::<u16>()).prop_map(|(port, max_len)| Action::Output { port, max_len }),
        (subfield(false), any::<u16>())
            .prop_map(|(source, max_len)| Action::OutputReg { source, max_len }),
        (port(), 14_u32..).prop_map(|(port, max_len)| Action::OutputTrunc { port, max_len }),
        (port(), any::<u32>()).prop_map(|(port, queue)| Action::Enqueue { port, queue }),
        (
            any::<u16>(),
            any::<u16>(),
            proptest::collection::vec(any::<u8>(), 0..9),
            any::<bool>()
        )
            .prop_map(
                |(max_len, id, userdata, pause)| Action::Controller(Box::new(Controller {
                    max_len,
                    id,
                    userdata,
                    pause,
                    reason: PacketInReason::InvalidTtl,
                    meter: pause.then_some(MeterId(3)),
                }))
            ),
        (0..0xffff_ff00_u32).prop_map(|id| Action::Group(GroupId(id))),
        (0..0x1000_u16, any::<bool>()).prop_map(|(vid, push)| Action::SetVlanVid { vid, push }),
        (0..8_u8, any::<bool>()).prop_map(|(pcp, push)| Action::SetVlanPcp { pcp, push }),
        Just(Action::StripVlan),
        select(&[0x8100, 0x88a8]).prop_map(Action::PushVlan),
        any::<[u8; 6]>().prop_map(|mac| Action::SetEthSrc(MacAddr(mac))),
        any::<[u8; 6]>().prop_map(|mac| Action::SetEthDst(MacAddr(mac))),
        any::<u32>().prop_map(|ip| Action::SetIpv4Src(ip.into())),
        any::<u32>().prop_map(|ip| Action::SetIpv4Dst(ip.into())),
        any::<u8>().prop_map(|tos| Action::SetIpTos(tos & 0xfc)),
        (0..4_u8).prop_map(Action::SetIpEcn),
        any::<u8>().prop_map(Action::SetIpTtl),
        any::<u16>().prop_map(Action::SetL4Src),
        any::<u16>().prop_map(Action::SetL4Dst),
        (
            select(settable),
            any::<u128>(),
            any::<u128>(),
            any::<bool>()
        )
            .prop_map(|(field, value, mask, whole)| {
                let whole = whole || !field.row().maskable;
                let mask = if whole {
                    field.full_mask()
                } else {
                    mask & field.full_mask()
                };
                Action::SetField {
                    field,
                    value: value & mask,
                    mask,
                }
            }),
        (subfield(true), any::<u64>()).prop_map(|(destination, value)| Action::Load {
            value: u128::from(value) & (destination.mask() >> destination.start),
            destination,
        }),
        (subfield(false), subfield(true)).prop_map(|(mut source, mut destination)| {
            source.width = source.width.min(destination.width);
            destination.width = source.width;
            Action::Move {
                source,
                destination,
            }
        }),
        subfield(false).prop_map(Action::StackPush),
        subfield(true).prop_map(Action::StackPop),
        proptest::collection::vec(any::<u16>(), 0..4).prop_map(Action::DecTtl),
        (any::<u64>(), any::<bool>()).prop_map(|(id, wide)| Action::SetTunnel { id, wide }),
        any::<u32>().prop_map(Action::SetQueue),
        Just(Action::PopQueue),
        (
            proptest::option::of(port()),
            proptest::option::of(0..255_u8)
        )
            .prop_map(|(in_port, table)| {
                Action::Resubmit {
                    in_port,
                    table: table.map(TableId),
                }
            }),
        Just(Action::Exit),
        flow_action(),
        header_action(),
        (FRAGMENT_MTU_MIN.., any::<bool>())
            .prop_map(|(mtu, ignore_df)| Action::Fragment { mtu, ignore_df }),
        bpdu().prop_map(Action::Bpdu),
        (0..254_u8).prop_map(|table| Action::Reassemble(TableId(table))),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Action::Note),
    ]
}

fn learn_spec() -> impl Strategy<Value = LearnSpec> {
    (subfield(true), subfield(false), any::<u128>(), 0..5_u8).prop_map(
        |(mut to, mut from, value, form)| {
            let width = to.width.min(from.width);
            (to.width, from.width) = (width, width);
            let value = LearnSource::Value(value & ((1 << width) - 1));
            let (source, target) = match form {
                0 => (value, LearnTarget::Match(to)),
                1 => (value, LearnTarget::Load(to)),
                2 => (LearnSource::Field(from), LearnTarget::Match(to)),
                3 => (LearnSource::Field(from), LearnTarget::Load(to)),
                _ => (LearnSource::Field(from), LearnTarget::Output),
            };
            LearnSpec {
                width,
                source,
                target,
            }
        },
    )
}

prop_compose! {
    fn learn()(
        numbers in any::<[u16; 5]>(), cookie in any::<u64>(), flags in 0..4_u16, table in 0..254_u8,
        limit in select(&[0, 1, u32::MAX]), result in proptest::option::of(subfield(true)),
        specs in proptest::collection::vec(learn_spec(), 0..4),
    ) -> Learn {
        let result = result.map(|bits| Subfield { width: 1, ..bits });
        Learn {
            idle_timeout_secs: numbers[0], hard_timeout_secs: numbers[1], priority: numbers[2],
            fin_idle_timeout_secs: numbers[3], fin_hard_timeout_secs: numbers[4],
            cookie: Cookie(cookie), table: TableId(table), limit, result, specs,
            flags: flags | if result.is_some() { 4 } else { 0 },
        }
    }
}

/// Actions about flows, and those that choose.
fn flow_action() -> impl Strategy<Value = Action> {
    let fields = select(&HashFields::ALL);
    let ports = proptest::collection::vec(port(), 0..5);
    prop_oneof![
        learn().prop_map(|learn| Action::Learn(Box::new(learn))),
        (any::<u32>(), 2..65_u8, any::<u8>()).prop_map(|(id, n_clauses, clause)| {
            Action::Conjunction {
                id,
                clause: clause % n_clauses,
                n_clauses,
            }
        }),
        any::<[u16; 2]>().prop_map(|[idle_secs, hard_secs]| Action::FinTimeout {
            idle_secs,
            hard_secs
        }),
        (
            fields.clone(),
            any::<u16>(),
            select(&MultipathAlgorithm::ALL),
            1..65537_u32,
            any::<u32>(),
            subfield(true)
        )
            .prop_map(
                |(fields, basis, algorithm, n_links, argument, destination)| Action::Multipath(
                    Multipath {
                        fields,
                        basis,
                        algorithm,
                        n_links,
                        argument,
                        destination,
                    }
                )
            ),
        (
            any::<bool>(),
            fields,
            any::<u16>(),
            ports,
            proptest::option::of(subfield(true))
        )
            .prop_map(
                |(active_backup, fields, basis, ports, destination)| Action::Bundle(Box::new(
                    PortBundle {
                        active_backup,
                        fields,
                        basis,
                        ports,
                        destination,
                    }
                ))
            ),
        (any::<u16>(), subfield(true)).prop_map(|(size, bits)| Action::CheckPktLarger {
            size,
            destination: Subfield { width: 1, ..bits },
        }),
        (1_u16.., any::<[u32; 3]>(), port(), 0..3_u8).prop_map(
            |(probability, ids, sampling_port, direction)| {
                Action::Sample(Box::new(Sample {
                    probability,
                    collector_set: ids[0],
                    observation_domain: ids[1],
                    observation_point: ids[2],
                    sampling_port,
                    direction,
                }))
            }
        ),
        select(&[Field::TunMetadata0, Field::TunMetadata63]).prop_map(Action::DeleteField),
    ]
}

/// Actions that add, remove and change headers.
fn header_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        select(&[0x8847, 0x8848]).prop_map(Action::PushMpls),
        any::<u16>().prop_map(Action::PopMpls),
        (0..0x10_0000_u32).prop_map(Action::SetMplsLabel),
        (0..8_u8).prop_map(Action::SetMplsTc),
        any::<u8>().prop_map(Action::SetMplsTtl),
        Just(Action::DecMplsTtl),
        Just(Action::CopyTtlOut),
        Just(Action::CopyTtlIn),
        Just(Action::PushPbb(0x88e7)),
        Just(Action::PopPbb),
        select(vec![PacketType::ETHERNET, PacketType::ether_type(0x8847)]).prop_map(Action::Encap),
        select(vec![
            None,
            Some(PacketType::ETHERNET),
            Some(PacketType::ether_type(0x0800))
        ])
        .prop_map(Action::Decap),
    ]
}

prop_compose! {
    fn stat_trigger()(
        periodic in any::<bool>(), only_first in any::<bool>(),
        duration in proptest::option::of((1..u32::MAX, 0..1_000_000_000_u32)),
        idle in proptest::option::of((any::<u32>(), 1..1_000_000_000_u32)),
        packet_count in proptest::option::of(1..u64::MAX), bytes in 1..u64::MAX,
    ) -> Action {
        let span = |(secs, nanos)| Duration { secs, nanos };
        let thresholds = FlowCounters {
            duration: duration.map(span), idle_time: idle.map(span), flow_count: None,
            packet_count, byte_count: Some(bytes),
        };
        Action::StatTrigger(Box::new(StatTrigger { periodic, only_first, thresholds }))
    }
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let list = proptest::collection::vec(simple_action(), 0..5);
    let nested = || proptest::option::of(proptest::collection::vec(simple_action(), 0..3));
    (
        list,
        nested(),
        nested(),
        any::<Option<u64>>(),
        proptest::option::of(stat_trigger()),
        any::<Option<u8>>(),
    )
        .prop_map(|(mut list, clone, write, metadata, trigger, goto)| {
            list.extend(clone.map(Action::Clone));
            list.extend(write.map(Action::WriteActions));
            list.extend(metadata.map(|value| Action::WriteMetadata {
                value,
                mask: u64::MAX,
            }));
            list.extend(trigger);
            list.extend(goto.map(|table| Action::GotoTable(TableId(table))));
            list
        })
}

prop_compose! {
    fn flow_mod()(
        command in select(&[FlowModCommand::Add, FlowModCommand::Modify, FlowModCommand::ModifyStrict,
                            FlowModCommand::Delete, FlowModCommand::DeleteStrict]),
        cookie in any::<u64>(), cookie_mask in select(&[0, u64::MAX, 0xff]),
        table in 0..254_u8, idle in any::<u16>(), hard in any::<u16>(), priority in any::<u16>(),
        out_port in port(), flags in 0..4_u16,
        matching in matching(), actions in actions(),
    ) -> FlowMod {
        let delete = matches!(command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
        let add = command == FlowModCommand::Add;
        let cookie_mask = if add { 0 } else { cookie_mask };
        FlowMod {
            command, cookie_mask,
            cookie: Cookie(if cookie_mask != 0 { cookie & cookie_mask } else { cookie }),
            table: TableId(table), idle_timeout_secs: idle, hard_timeout_secs: hard, priority,
            out_port: if delete { out_port } else { PortNo::ANY },
            flags: flags | if add { flow_flag::RESET_COUNTS } else { 0 },
            matching, actions, ..FlowMod::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flow_mods_come_back(flow in flow_mod()) {
        for protocol in usable(&flow).protocols() {
            let dialect = dialect(protocol);
            let Body::FlowMod(once) = again(&Body::FlowMod(Box::new(flow.clone())), &dialect) else {
                panic!("not a flow_mod");
            };
            let mut want = flow.matching.clone();
            if dialect.version > Version::V11 && want.get(Field::VlanTci.place()) == (0, 0xffff) {
                // Later versions say "no tag" with the id alone.
                want.unset(Field::VlanTci.place());
                want.set(Field::VlanVid.place(), 0, u128::MAX);
            }
            prop_assert_eq!(&once.matching, &want, "{:?}", protocol);
            prop_assert_eq!((once.command, once.table, once.priority), (flow.command, flow.table, flow.priority));
            prop_assert_eq!((once.cookie_mask, once.flags), (flow.cookie_mask, flow.flags));
            prop_assert_eq!(once.out_port, flow.out_port);
            // The first trip chooses the version's words; after that nothing changes.
            let body = Body::FlowMod(once);
            prop_assert_eq!(again(&body, &dialect), body);
        }
    }

    #[test]
    fn flows_in_replies_and_events_come_back(
        matching in matching(), actions in actions(), counters in any::<[u64; 3]>(), small in any::<[u16; 3]>(),
    ) {
        let flow = FlowStats {
            table: TableId(3), duration: Duration { secs: 5, nanos: 6 }, priority: small[0],
            idle_timeout_secs: small[1], hard_timeout_secs: small[2], cookie: Cookie(counters[0]),
            packets: counters[1], bytes: counters[2], matching: matching.clone(), actions: actions.clone(),
            ..FlowStats::default()
        };
        let removed = FlowRemoved {
            matching: matching.clone(), cookie: Cookie(counters[0]), table: TableId(4),
            packets: counters[1], ..FlowRemoved::default()
        };
        let probe = FlowMod { matching, actions, ..FlowMod::default() };
        for protocol in usable(&probe).protocols() {
            let dialect = dialect(protocol);
            let nicira = protocol.nxm;
            let part = MultipartPart::Flow { flows: vec![flow.clone(), flow.clone()], nicira };
            let once = again(&Body::MultipartReply(MultipartReply { more: true, part }), &dialect);
            prop_assert_eq!(again(&once, &dialect), once.clone());
            let Body::MultipartReply(MultipartReply { more: true, part: MultipartPart::Flow { flows, .. } }) = once else {
                panic!("{once:?}");
            };
            prop_assert_eq!((flows[1].packets, flows[1].priority), (flow.packets, flow.priority));
            let once = again(&Body::FlowRemoved(Box::new(removed.clone())), &dialect);
            prop_assert_eq!(again(&once, &dialect), once);
        }
    }

    #[test]
    fn packets_come_back(
        data in proptest::collection::vec(any::<u8>(), 0..100), port in 1..0xff00_u32,
        actions in proptest::collection::vec(simple_action(), 0..4), userdata in any::<[u8; 3]>(),
    ) {
        let mut fields = Match::default();
        fields.set(Field::InPort.place(), u128::from(port), u128::MAX);
        let data = Bytes::from(data);
        for dialect in dialects() {
            for format in [PacketInFormat::Standard, PacketInFormat::Nxt, PacketInFormat::Nxt2] {
                let standard = format == PacketInFormat::Standard;
                let plain = dialect.version == Version::V10 && standard;
                let no_cookie = dialect.version < Version::V13 && standard;
                let mut p = PacketIn {
                    format, total_len: 200, reason: PacketInReason::InvalidTtl, fields: fields.clone(),
                    table: if plain { TableId::ALL } else { TableId(3) },
                    cookie: if no_cookie { Cookie(u64::MAX) } else { Cookie(5) },
                    data: data.clone(), userdata: Vec::new(), ..PacketIn::default()
                };
                if format == PacketInFormat::Nxt2 {
                    p.userdata = userdata.to_vec();
                }
                let body = Body::PacketIn(Box::new(p));
                prop_assert_eq!(again(&body, &dialect), body);
            }
            let out = PacketOut { in_port: PortNo(port), buffer_id: u32::MAX, actions: actions.clone(), data: data.clone(), ..PacketOut::default() };
            let once = again(&Body::PacketOut(Box::new(out)), &dialect);
            prop_assert_eq!(again(&once, &dialect), once);
        }
    }

    #[test]
    fn noise_never_panics(
        version in 1..=6_u8, kind in 0..40_u8, body in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        read_anything(version, kind, &body);
    }

    /// Noise that gets past the first checks of multipart and experimenter messages.
    #[test]
    fn deeper_noise_never_panics(
        version in 1..=6_u8, kind in select(&[4_u8, 16, 17, 18, 19]),
        subtype in 0..32_u8, body in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut bytes = vec![0, 0, 0x23, 0x20, 0, 0, 0, subtype];
        bytes.extend(&body);
        read_anything(version, kind, &bytes);
        let onf = [1911_u16, 2300, 2301, 2350][usize::from(subtype & 3)].to_be_bytes();
        let mut bytes = vec![0x4f, 0x4e, 0x46, 0, 0, 0, onf[0], onf[1]];
        bytes.extend(&body);
        read_anything(version, kind, &bytes);
        // 1.1 and later have four bytes more in a multipart header.
        let mut bytes = vec![0, subtype, 0, 0, 0, 0, 0, 0];
        bytes.extend(&body);
        read_anything(version, kind, &bytes);
        let mut bytes = vec![0, subtype, 0, 0];
        bytes.extend(&body);
        read_anything(version, kind, &bytes);
        let mut bytes = vec![0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x23, 0x20, 0, 0, 0, subtype & 1];
        bytes.extend(&body);
        read_anything(version, kind, &bytes);
    }

    #[test]
    fn mutants_never_panic(
        flow in flow_mod(), hits in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6), cut in any::<Index>(),
    ) {
        for dialect in dialects() {
            let message = Message { xid: Xid(1), body: Body::FlowMod(Box::new(flow.clone())) };
            let mut bytes = message.to_bytes(&dialect).to_vec();
            for (at, byte) in &hits {
                let at = 8 + at.index(bytes.len() - 8);
                bytes[at] = *byte;
            }
            if let Ok(read) = decode(&bytes, &dialect) {
                read.to_bytes(&dialect);
            }
            let size = 8 + cut.index(bytes.len() - 8);
            bytes.truncate(size);
            bytes[2..4].copy_from_slice(&(size as u16).to_be_bytes());
            let _ = decode(&bytes, &dialect);
        }
    }
}

/// Reads a body as a message of its own; what can be read can be written, and read again.
fn read_anything(version: u8, kind: u8, body: &[u8]) {
    let size = (8 + body.len()) as u16;
    let mut bytes = vec![version, kind, (size >> 8) as u8, size as u8, 0, 0, 0, 1];
    bytes.extend_from_slice(body);
    let version = Version::from_wire(version).unwrap();
    for dialect in [Dialect::new(version), Dialect { version, ..NXM }] {
        if let Ok(message) = decode(&bytes, &dialect) {
            let written = message.to_bytes(&dialect);
            assert!(
                Message::decode(&written, &dialect).is_ok(),
                "{message:?} {written:?}"
            );
        }
    }
}

/// Every version, and OpenFlow 1.0 with Nicira's flows.
fn dialects() -> impl Iterator<Item = Dialect> {
    Version::SUPPORTED
        .iter()
        .map(|version| Dialect::new(*version))
        .chain([NXM])
}

fn every_version(body: Body) {
    for dialect in dialects().filter(|dialect| ofp::wire::row(&body, dialect).is_some()) {
        assert_eq!(again(&body, &dialect), body, "{dialect:?}");
    }
}

#[test]
fn simple_messages_come_back() {
    let port = PortDesc {
        port: PortNo(3),
        hw_addr: MacAddr([1, 2, 3, 4, 5, 6]),
        name: "eth0".into(),
        config: port_config::PORT_DOWN | port_config::NO_PACKET_IN,
        state: port_state::LINK_DOWN,
        current: 1 << 6 | 1 << 11 | 1 << 15,
        ..PortDesc::default()
    };
    let config = SwitchConfig {
        frag: 1,
        invalid_ttl_to_controller: false,
        miss_send_len: 128,
    };
    let masks = AsyncChange {
        packet_in: [1, 2].map(Some),
        port_status: [3, 4].map(Some),
        flow_removed: [5, 6].map(Some),
        ..AsyncChange::default()
    };
    let port_mod = PortMod {
        port: PortNo::LOCAL,
        mask: 1,
        config: 1,
        ..PortMod::default()
    };
    for body in [
        Body::EchoRequest(Bytes::from_static(b"x")),
        Body::FeaturesRequest,
        Body::GetConfigRequest,
        Body::GetConfigReply(config),
        Body::SetConfig(config),
        Body::PortStatus(PortStatus {
            reason: PortReason::Modify,
            desc: port.clone(),
        }),
        Body::PortMod(port_mod),
        Body::BarrierRequest,
        Body::BarrierReply,
        Body::SetAsync(masks),
        Body::FlowModTableId(true),
        Body::SetPacketInFormat(PacketInFormat::Nxt2),
        Body::SetControllerId(5),
        Body::MultipartRequest(MultipartRequest::Desc),
        Body::MultipartRequest(MultipartRequest::Table),
        Body::MultipartRequest(MultipartRequest::Port(PortNo::ANY)),
        Body::MultipartRequest(MultipartRequest::PortDesc(PortNo::ANY)),
        Body::MultipartRequest(MultipartRequest::Bpdu(PortNo::LOCAL)),
        Body::MultipartReply(MultipartReply {
            more: false,
            part: MultipartPart::Bpdu(vec![
                BpduStats {
                    port: PortNo(1),
                    rx: [1, 2, 3, 4, 5],
                    tx: [6, 7, 8, 9, u64::MAX],
                    outer: None,
                },
                BpduStats {
                    port: PortNo::LOCAL,
                    outer: Some(OuterStats {
                        rx_packets: 1,
                        tx_errors: 2,
                        ..OuterStats::default()
                    }),
                    ..BpduStats::default()
                },
            ]),
        }),
        Body::MultipartRequest(MultipartRequest::Queue {
            port: PortNo::ANY,
            queue: u32::MAX,
        }),
        Body::MultipartReply(MultipartReply {
            more: false,
            part: MultipartPart::Queue(Vec::new()),
        }),
        Body::MultipartReply(MultipartReply {
            more: true,
            part: MultipartPart::Desc(SwitchDesc {
                serial: "7".into(),
                ..SwitchDesc::default()
            }),
        }),
        Body::MultipartReply(MultipartReply {
            more: false,
            part: MultipartPart::PortDesc(vec![port; 3]),
        }),
    ] {
        every_version(body);
    }
    again(&Body::GetAsyncRequest, &V13);
    again(&Body::SetFlowFormat(FlowFormat::Nxm), &V10);
    let role = Role {
        role: 2,
        ..Role::default()
    };
    assert_eq!(
        again(&Body::RoleRequest(role), &V10),
        Body::RoleRequest(role)
    );
    let role = Role {
        role: 2,
        generation_id: Some(9),
        short_id: None,
    };
    assert_eq!(again(&Body::RoleReply(role), &V13), Body::RoleReply(role));
}

#[test]
fn every_error_comes_back_where_the_version_can_say_it() {
    let data = Bytes::from_static(b"the offending message");
    for row in ERRORS {
        for dialect in dialects() {
            let body = Body::Error(ErrorBody {
                error: row.error,
                data: data.clone(),
            });
            let Body::Error(back) = again(&body, &dialect) else {
                panic!()
            };
            assert_eq!(back.data, data);
            match row.number(dialect.version) {
                // Some errors share numbers.
                Some(number) => {
                    let back = back.error.row().and_then(|row| row.number(dialect.version));
                    assert_eq!(back, Some(number), "{}", row.name);
                }
                None => assert_eq!(back.error, OfError::Unencodable, "{}", row.name),
            }
        }
    }
}
