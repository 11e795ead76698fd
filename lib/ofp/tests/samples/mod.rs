//! Messages of every kind in every version, for the tests that compare bytes and text with the stock
//! tools.

use bytes::Bytes;
use ofp::action::PacketInReason;
use ofp::error::OfError;
use ofp::field::Field;
use ofp::key::Match;
use ofp::message::*;
use ofp::text::{PortMap, read_flow_mod};
use ofp::types::{BucketId, Cookie, GroupId, PortNo, TableId, Version, Xid};
use ofp::usable::{Protocol, usable};
use packet::MacAddr;

pub const V10: Dialect = Dialect::new(Version::V10);
pub const TABLE: Dialect = Dialect {
    flow_mod_table_id: true,
    ..V10
};
pub const NXM: Dialect = Dialect {
    flow_format: FlowFormat::Nxm,
    ..TABLE
};
const V13: Dialect = Dialect::new(Version::V13);

/// A dialect of each version.
pub fn dialects() -> impl Iterator<Item = Dialect> {
    (1..=6).filter_map(Version::from_wire).map(Dialect::new)
}

/// Flows, and the protocols in which they are written.
const FLOWS: &[(&str, &[Dialect])] = &[
    (
        "table=3,in_port=1,dl_vlan=5,dl_vlan_pcp=3,actions=strip_vlan,normal",
        &[TABLE, NXM, V13],
    ),
    (
        "priority=7,tcp,nw_src=10.0.0.0/8,nw_dst=1.2.3.4,nw_tos=32,tp_src=1,tp_dst=80,actions=2",
        &[V10, NXM, V13],
    ),
    (
        "dl_vlan=0xffff,actions=mod_vlan_vid:5,mod_vlan_pcp:3,output:1",
        &[V10, NXM, V13],
    ),
    ("vlan_tci=0x1000/0x1000,actions=flood", &[NXM, V13]),
    (
        "arp,arp_op=1,arp_spa=1.2.3.4,arp_tpa=10.0.0.0/8,arp_sha=1:2:3:4:5:6,arp_tha=0:0:0:0:0:1,actions=local",
        &[NXM, V13],
    ),
    (
        "udp6,ipv6_src=fe80::/10,ipv6_dst=::1,ipv6_label=5,nw_ttl=64,nw_ecn=2,udp_dst=4/0xfff0,actions=all",
        &[NXM, V13],
    ),
    (
        "icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=00:11:22:33:44:55,actions=in_port",
        &[NXM, V13],
    ),
    (
        "icmp6,icmp_type=136,nd_tll=1:2:3:4:5:6,actions=drop",
        &[NXM, V13],
    ),
    (
        "icmp,icmp_type=8,icmp_code=0,actions=controller:128",
        &[V10, NXM, V13],
    ),
    (
        "sctp,sctp_src=1,sctp_dst=2,ip_frag=no,actions=drop",
        &[NXM, V13],
    ),
    (
        "tcp,tcp_flags=+syn-ack,ip_frag=not_later,actions=drop",
        &[NXM, V13],
    ),
    (
        "mpls,mpls_label=5,mpls_tc=3,mpls_bos=1,mpls_ttl=7,actions=drop",
        &[NXM, V13],
    ),
    (
        "tun_id=5,tun_src=1.2.3.4,tun_dst=5.6.7.8,tun_ipv6_src=::1,tun_flags=oam,tun_gbp_id=3,tun_gbp_flags=8,actions=drop",
        &[NXM, V13],
    ),
    (
        "tun_id=5/0xff,tun_src=1.2.3.0/24,tun_ipv6_dst=2001:db8::/32,tun_gbp_id=3/0xff,actions=set_field:5->tun_id,set_field:1.2.3.4->tun_dst,set_field:::1->tun_ipv6_src,set_field:7->tun_gbp_id,set_field:8->tun_gbp_flags,set_field:oam->tun_flags",
        &[NXM, V13],
    ),
    (
        "reg0=1,reg15=5/0xff,metadata=7/0xf,pkt_mark=3,conj_id=4,actset_output=3,actions=drop",
        &[NXM, V13],
    ),
    (
        "dl_src=01:00:00:00:00:00/01:00:00:00:00:00,dl_dst=00:01:02:03:04:05,dl_type=0x1234,actions=drop",
        &[NXM, V13],
    ),
    (
        "ip,cookie=0x123,idle_timeout=5,hard_timeout=6,send_flow_rem,check_overlap,actions=mod_dl_src:1:2:3:4:5:6,mod_dl_dst:0:0:0:0:0:1,mod_nw_src:1.2.3.4,mod_nw_dst:5.6.7.8,mod_nw_tos:32,mod_nw_ecn:1,mod_nw_ttl:9,dec_ttl,dec_ttl(1,2),output:3",
        &[V10, NXM, V13],
    ),
    (
        "udp,actions=mod_tp_src:5,mod_tp_dst:6,output:3",
        &[V10, NXM, V13],
    ),
    (
        "actions=set_field:5->reg0,set_field:0x10/0xf0->reg1,load:7->reg2[3..9],move:reg0[0..7]->reg1[8..15],push:reg0,pop:reg1[0..3],output:reg0[0..15]",
        &[V10, NXM, V13],
    ),
    (
        "ipv6,actions=set_field:fe80::1->ipv6_src,set_field:7->metadata,set_field:5->xreg1,output:3",
        &[V10, V13],
    ),
    (
        "actions=set_tunnel:5,set_tunnel64:6,set_queue:3,pop_queue,group:4,enqueue(3,4),output(port=3,max_len=100)",
        &[V10, V13],
    ),
    (
        "actions=controller(max_len=100,id=3,reason=no_match),controller(max_len=9,userdata=01.02.03,pause,meter_id=7)",
        &[V10, V13],
    ),
    (
        "actions=resubmit:5,resubmit(,1),resubmit(3,4),clone(output:1,exit),note:01.02.03.04.05.06,exit",
        &[V10, V13],
    ),
    (
        "tcp,actions=push_vlan:0x88a8,set_field:4101->vlan_vid,set_field:3->vlan_pcp,set_field:80->tcp_dst,group:5",
        &[V13],
    ),
    (
        "ip,no_packet_counts,no_byte_counts,reset_counts,actions=dec_ttl,clear_actions,write_actions(set_field:1.2.3.4->ip_dst,output:2),write_metadata:5/0xff,goto_table:4",
        &[V13],
    ),
    ("modify cookie=5/7,ip,actions=drop", &[NXM, V13]),
    ("modify_strict cookie=9,ip,actions=2", &[V10]),
    ("delete out_port=3,ip", &[V10, NXM, V13]),
    (
        "delete_strict table=4,cookie=1/-1,out_group=3,udp,udp_src=4",
        &[V13],
    ),
];

fn port(port: PortNo, name: &str) -> PortDesc {
    PortDesc {
        port,
        hw_addr: MacAddr([0xaa, 0x55, 0, 0, 0, 7]),
        name: name.into(),
        config: port_config::PORT_DOWN | port_config::NO_FLOOD,
        state: port_state::LINK_DOWN,
        current: 1 << 6 | 1 << 11,
        supported: 1 << 6 | 1 << 13,
        current_speed_kbps: 10_000_000,
        ..PortDesc::default()
    }
}

fn matching(text: &str) -> Match {
    read_flow_mod(text, None, &PortMap::default())
        .unwrap()
        .matching
}

fn flow_stats(text: &str) -> FlowStats {
    let flow = read_flow_mod(text, None, &PortMap::default()).unwrap();
    FlowStats {
        table: flow.table,
        duration: Duration {
            secs: 5,
            nanos: 21_000_000,
        },
        priority: flow.priority,
        idle_timeout_secs: 60,
        idle_age_secs: Some(3),
        hard_age_secs: Some(5),
        flags: flow_flag::SEND_FLOW_REM,
        cookie: flow.cookie,
        packets: 7,
        bytes: 700,
        matching: flow.matching,
        actions: flow.actions,
        ..FlowStats::default()
    }
}

fn reply(part: MultipartPart) -> Body {
    Body::MultipartReply(MultipartReply { more: false, part })
}

/// Bodies that are written in both versions.
fn common() -> Vec<Body> {
    let data = Bytes::from_static(&[1, 14, 0, 72, 0, 0, 0, 9]);
    let config = SwitchConfig {
        frag: 1,
        miss_send_len: 128,
        ..SwitchConfig::default()
    };
    let error = |error| {
        Body::Error(ErrorBody {
            error,
            data: data.clone(),
        })
    };
    vec![
        Body::EchoRequest(Bytes::from_static(b"abc")),
        Body::EchoReply(Bytes::from_static(b"abc")),
        error(OfError::BadLength),
        error(OfError::MatchPrerequisite),
        error(OfError::InstructionDuplicate),
        error(OfError::FlowOverlap),
        Body::FeaturesRequest,
        Body::FeaturesReply(Features {
            datapath_id: 0xaa55_0000_0007,
            n_tables: 254,
            capabilities: capability::FLOW_STATS | capability::PORT_STATS | capability::QUEUE_STATS,
            actions: 0xfff,
            ports: vec![port(PortNo(1), "p1"), port(PortNo::LOCAL, "br0")],
            ..Features::default()
        }),
        Body::GetConfigRequest,
        Body::GetConfigReply(config),
        Body::SetConfig(config),
        Body::PortStatus(PortStatus {
            reason: PortReason::Modify,
            desc: port(PortNo(3), "p3"),
        }),
        Body::PortMod(PortMod {
            port: PortNo(3),
            config: 1,
            mask: 1,
            ..PortMod::default()
        }),
        Body::BarrierRequest,
        Body::BarrierReply,
        Body::RoleRequest(Role {
            role: 2,
            generation_id: Some(5),
            ..Role::default()
        }),
        Body::RoleReply(Role {
            role: 3,
            generation_id: Some(5),
            ..Role::default()
        }),
        Body::SetAsync(AsyncChange {
            packet_in: [3, 0].map(Some),
            port_status: [7, 7].map(Some),
            flow_removed: [15, 0].map(Some),
            ..AsyncChange::default()
        }),
        Body::FlowModTableId(true),
        Body::SetPacketInFormat(PacketInFormat::Nxt2),
        Body::SetControllerId(5),
        Body::MultipartRequest(MultipartRequest::Desc),
        Body::MultipartRequest(MultipartRequest::Table),
        Body::MultipartRequest(MultipartRequest::Port(PortNo::ANY)),
        Body::MultipartRequest(MultipartRequest::PortDesc(PortNo::ANY)),
        Body::MultipartRequest(MultipartRequest::Queue {
            port: PortNo::ANY,
            queue: u32::MAX,
        }),
        reply(MultipartPart::Desc(SwitchDesc {
            manufacturer: "Someone".into(),
            hardware: "Something".into(),
            software: "1.0".into(),
            serial: "None".into(),
            datapath: "br0".into(),
        })),
        reply(MultipartPart::Table(vec![TableStats {
            table: TableId(3),
            name: "table3".into(),
            config: 0,
            max_entries: 1_000_000,
            active_count: 5,
            lookup_count: 7,
            matched_count: 6,
            ..TableStats::default()
        }])),
        reply(MultipartPart::Port(vec![PortStats {
            port: PortNo(1),
            rx_packets: 5,
            rx_frame_err: u64::MAX,
            collisions: u64::MAX,
            duration: Duration {
                secs: 1,
                nanos: 1_000_000,
            },
            rfc2819: Some(Box::new(std::array::from_fn(|at| match at {
                3 => u64::MAX,
                at => at as u64,
            }))),
            custom: vec![("rx_q0_packets".into(), 7), ("tx_q0_packets".into(), 8)],
            ..PortStats::default()
        }])),
        reply(MultipartPart::PortDesc(vec![port(PortNo(1), "p1")])),
        reply(MultipartPart::Queue(Vec::new())),
    ]
}

/// Bodies with flows and packets, for one dialect.
fn dependent(dialect: &Dialect) -> Vec<Body> {
    let nicira = dialect.nxm();
    let data = Bytes::from_static(&[0xff; 14]);
    let query = || {
        Box::new(FlowStatsRequest {
            table: TableId(3),
            out_port: PortNo(4),
            out_group: GroupId::ANY,
            cookie: Cookie(0),
            cookie_mask: 0,
            matching: matching("tcp,tp_dst=80,actions=drop"),
            nicira,
        })
    };
    let flows = [
        "table=1,ip,nw_dst=10.0.0.0/24,actions=dec_ttl,output:2",
        "priority=5,actions=normal",
    ];
    vec![
        Body::MultipartRequest(MultipartRequest::Flow(query())),
        Body::MultipartRequest(MultipartRequest::Aggregate(query())),
        reply(MultipartPart::Flow {
            flows: flows.map(flow_stats).to_vec(),
            nicira,
        }),
        reply(MultipartPart::Aggregate {
            packets: 5,
            bytes: 500,
            flows: 2,
            nicira,
        }),
        Body::FlowRemoved(Box::new(FlowRemoved {
            cookie: Cookie(0x12),
            priority: 7,
            reason: FlowRemovedReason::IdleTimeout,
            table: TableId(3),
            duration: Duration {
                secs: 5,
                nanos: 1_000_000,
            },
            idle_timeout_secs: 60,
            packets: 3,
            bytes: 300,
            matching: matching("udp,tp_src=53,actions=drop"),
            ..FlowRemoved::default()
        })),
        Body::PacketOut(Box::new(PacketOut {
            in_port: PortNo::CONTROLLER,
            buffer_id: u32::MAX,
            actions: flow_stats("actions=flood,2").actions,
            data,
            ..PacketOut::default()
        })),
    ]
}

fn packet_ins() -> Vec<Body> {
    let mut fields = Match::default();
    fields.set(Field::InPort.place(), 3, u128::MAX);
    fields.set(Field::Metadata.place(), 5, u128::MAX);
    [
        PacketInFormat::Standard,
        PacketInFormat::Nxt,
        PacketInFormat::Nxt2,
    ]
    .into_iter()
    .map(|format| {
        Body::PacketIn(Box::new(PacketIn {
            format,
            total_len: 200,
            reason: PacketInReason::InvalidTtl,
            table: TableId(3),
            cookie: Cookie(5),
            fields: fields.clone(),
            data: Bytes::from_static(&[0xff; 14]),
            userdata: vec![1, 2, 3],
            ..PacketIn::default()
        }))
    })
    .collect()
}

fn name(dialect: &Dialect) -> &'static str {
    match (dialect.version, dialect.nxm()) {
        (Version::V10, true) => "NXM",
        (version, _) => version.name(),
    }
}

/// Bodies of messages that not every version has.
fn later() -> Vec<Body> {
    let vacancy = Vacancy {
        down: 20,
        up: 80,
        current: 0,
    };
    let table_mod = |config, eviction_flags, vacancy| {
        Body::TableMod(TableMod {
            table: TableId(3),
            config,
            eviction_flags,
            vacancy,
        })
    };
    let desc = TableDesc {
        table: TableId(3),
        config: table_config::EVICTION | table_config::VACANCY_EVENTS,
        eviction_flags: 2,
        vacancy: Vacancy {
            current: 50,
            ..vacancy
        },
    };
    let queue = |queue, min_rate, max_rate| QueueDesc {
        port: PortNo(1),
        queue,
        min_rate,
        max_rate,
    };
    let queues = vec![queue(1, Some(100), None), queue(7, Some(5), Some(1000))];
    let controller = ControllerStatus {
        short_id: 5,
        role: 2,
        reason: 1,
        connected: true,
        uri: "tcp:1.2.3.4:6653".into(),
    };
    let counts = |triggered| FlowCounts {
        table: TableId(3),
        triggered,
        priority: 7,
        matching: matching("udp,tp_dst=53,actions=drop"),
        stats: FlowCounters {
            duration: Some(Duration {
                secs: 3,
                nanos: 4_000_000,
            }),
            idle_time: Some(Duration { secs: 2, nanos: 0 }),
            flow_count: None,
            packet_count: Some(5),
            byte_count: Some(500),
        },
    };
    let schedule = BundleSchedule {
        accuracy: BundleTime {
            secs: 0,
            nanos: 1_000_000,
        },
        max_future: BundleTime { secs: 5, nanos: 0 },
        max_past: BundleTime { secs: 1, nanos: 0 },
        timestamp: BundleTime {
            secs: 1_700_000_000,
            nanos: 7,
        },
    };
    let mut packet = match packet_ins().pop() {
        Some(Body::PacketIn(packet)) => packet,
        other => panic!("{other:?}"),
    };
    packet.continuation = Bytes::from_static(&[0x90, 0, 0, 8, 1, 2, 3, 4]);
    vec![
        table_mod(table_config::MISS_DROP, None, None),
        table_mod(table_config::MISS_CONTROLLER, None, None),
        table_mod(table_config::EVICTION, Some(5), None),
        table_mod(table_config::VACANCY_EVENTS, None, Some(vacancy)),
        Body::TableStatus(TableStatus { reason: 3, desc }),
        Body::RoleStatus(RoleStatus {
            role: 3,
            reason: RoleReason::PrimaryRequest,
            generation_id: 5,
        }),
        Body::ControllerStatus(controller.clone()),
        Body::QueueGetConfigRequest(PortNo(1)),
        Body::QueueGetConfigReply {
            port: PortNo(1),
            queues: queues.clone(),
        },
        Body::GetAsyncRequest,
        Body::GetAsyncReply(AsyncConfig {
            packet_in: [0x3f, 1],
            port_status: [7, 7],
            flow_removed: [0x3f, 0],
            role_status: [3, 0],
            table_status: [0x18, 8],
            requestforward: [3, 0],
            flow_stats: [0, 0],
            controller_status: [0, 0],
        }),
        Body::SetAsync(AsyncChange {
            packet_in: [Some(5), None],
            table_status: [Some(8), Some(0)],
            ..AsyncChange::default()
        }),
        Body::PacketIn(packet.clone()),
        Body::Resume(packet),
        Body::SetFlowFormat(FlowFormat::Nxm),
        Body::MultipartRequest(MultipartRequest::TableDesc),
        Body::MultipartRequest(MultipartRequest::QueueDesc {
            port: PortNo(1),
            queue: u32::MAX,
        }),
        Body::MultipartRequest(MultipartRequest::ControllerStatus),
        Body::MultipartRequest(MultipartRequest::TableFeatures(Vec::new())),
        reply(MultipartPart::TableDesc(vec![desc])),
        reply(MultipartPart::QueueDesc(queues)),
        reply(MultipartPart::Queue(vec![QueueStats {
            port: PortNo(1),
            queue: 5,
            tx_bytes: 6,
            tx_packets: 7,
            tx_errors: u64::MAX,
            duration: Duration {
                secs: 3,
                nanos: 4_000_000,
            },
        }])),
        Body::RequestForward(Box::new(RequestForward {
            xid: Xid(9),
            request: Body::GroupMod(Box::new(GroupMod {
                bucket: BucketId::ALL,
                ..GroupMod::default()
            })),
        })),
        reply(MultipartPart::ControllerStatus(vec![controller])),
        Body::MultipartRequest(MultipartRequest::IpfixBridge),
        Body::MultipartRequest(MultipartRequest::IpfixFlow),
        Body::MultipartRequest(MultipartRequest::FlowCounts(Box::new(FlowStatsRequest {
            table: TableId(3),
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            cookie: Cookie(1),
            cookie_mask: 3,
            matching: matching("udp,tp_dst=53,actions=drop"),
            nicira: false,
        }))),
        reply(MultipartPart::FlowCounts(vec![counts(false), counts(true)])),
        Body::MultipartRequest(MultipartRequest::BundleFeatures(BundleFeaturesRequest {
            flags: bundle_features_flag::TIMESTAMP,
            schedule: Some(schedule),
        })),
        reply(MultipartPart::BundleFeatures(BundleFeatures {
            capabilities: bundle_flag::ATOMIC | bundle_flag::ORDERED,
            schedule: None,
        })),
        reply(MultipartPart::BundleFeatures(BundleFeatures {
            capabilities: bundle_flag::TIME,
            schedule: Some(schedule),
        })),
    ]
}

/// Everything: what it is, its bytes, and in which dialect.
pub fn messages() -> Vec<(String, Bytes, Dialect)> {
    let mut all = Vec::new();
    let mut add = |what: &str, body: Body, dialect: &Dialect| {
        if ofp::wire::row(&body, dialect).is_none() {
            return;
        }
        let bytes = Message { xid: Xid(7), body }.to_bytes(dialect);
        let row = ofp::wire::row_of(&bytes).map_or("?", |row| row.name);
        let title = format!("{row} {} {what}", name(dialect));
        all.push((title.trim().to_owned(), bytes, *dialect));
    };
    for (version, bitmap) in [(1, None), (4, Some(1 << 1 | 1 << 4)), (6, Some(0x7e))] {
        add("", Body::Hello(Hello { version, bitmap }), &V13);
    }
    for dialect in dialects() {
        let bodies = common().into_iter().chain(packet_ins()).chain(later());
        bodies.for_each(|body| add("", body, &dialect));
    }
    let features = TableFeatures {
        table: TableId(252),
        name: "table252".into(),
        metadata_match: u64::MAX,
        metadata_write: u64::MAX,
        max_entries: 1_000_000,
        next_tables: vec![TableId(253)],
        ..TableFeatures::default()
    };
    for dialect in dialects() {
        let part = MultipartPart::TableFeatures(vec![features.clone()]);
        add("", reply(part), &dialect);
    }
    for dialect in [TABLE, NXM].into_iter().chain(dialects().skip(1)) {
        dependent(&dialect)
            .into_iter()
            .for_each(|body| add("", body, &dialect));
    }
    for (text, said_in) in FLOWS {
        let mut flow = read_flow_mod(text, None, &PortMap::default())
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        if flow.table == TableId::ALL && flow.command == FlowModCommand::Add {
            flow.table = TableId(0);
        }
        for dialect in *said_in {
            add(text, Body::FlowMod(Box::new(flow.clone())), dialect);
        }
        for dialect in dialects().filter(|d| said_in.contains(&V13) && d.version > Version::V10) {
            let protocol = Protocol {
                version: dialect.version,
                nxm: false,
            };
            if dialect != V13 && usable(&flow).contains(protocol) {
                add(text, Body::FlowMod(Box::new(flow.clone())), &dialect);
            }
        }
    }
    all
}
