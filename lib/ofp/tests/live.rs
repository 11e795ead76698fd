//! The stock `ovs-ofctl` talks to our side of a session: negotiation, every request that its commands
//! make, and replies that it has to understand. Does nothing where the stock tool is not installed.

use ofp::action::Action;
use ofp::field::Field;
use ofp::message::*;
use ofp::session::{Event, Session, Settings, Side, Versions};
use ofp::text::{PortMap, read_flow_mod};
use ofp::types::{Cookie, PortNo, TableId, Version};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A switch of three lines: answers what has to be answered, and passes on what it was told.
struct Peer {
    path: std::path::PathBuf,
    heard: Receiver<(Body, Version)>,
}

impl Peer {
    fn new(name: &str) -> Peer {
        let path = std::env::temp_dir().join(format!("ofp-live-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tell = tell.clone();
                std::thread::spawn(move || serve(stream, &tell));
            }
        });
        Peer { path, heard }
    }

    /// Runs a command; `None`: there is no stock tool.
    fn ofctl(&self, args: &[&str]) -> Option<Output> {
        let target = format!("unix:{}", self.path.display());
        let args = args
            .iter()
            .map(|arg| if *arg == "SW" { &target } else { *arg });
        Command::new("ovs-ofctl")
            .args(["--timeout=10"])
            .args(args)
            .output()
            .ok()
    }

    /// What was heard since the last time, without the questions that every command begins with.
    fn heard(&self) -> Vec<(Body, Version)> {
        self.heard.try_iter().collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn serve(mut stream: UnixStream, tell: &Sender<(Body, Version)>) {
    let now = Duration::ZERO;
    let settings = Settings {
        versions: Versions::of(&[Version::V10, Version::V13]),
        ..Settings::new(Side::Switch)
    };
    let mut session = Session::new(settings, now);
    let mut buffer = [0; 4096];
    while !session.is_closed() {
        let out = session.output().split();
        if stream.write_all(&out).is_err() {
            return;
        }
        let size = stream.read(&mut buffer).unwrap_or(0);
        if size == 0 {
            return;
        }
        session.feed(now, &buffer[..size]);
        while let Some(event) = session.next_event() {
            match event {
                Event::Message(message, _) => {
                    if let Some(answer) = answer(&message.body) {
                        session.reply(message.xid, answer);
                    }
                    let version = session.dialect().version;
                    let _ = tell.send((message.body, version));
                }
                Event::Malformed(error, bytes) => panic!("{error:?}: {bytes:02x?}"),
                Event::Up(_) | Event::Closed(_) => {}
            }
        }
    }
}

fn answer(body: &Body) -> Option<Body> {
    let port = PortDesc {
        port: PortNo(1),
        name: "p1".into(),
        ..PortDesc::default()
    };
    let part = match body {
        Body::FeaturesRequest => {
            return Some(Body::FeaturesReply(Features {
                datapath_id: 0x17,
                n_tables: 254,
                ports: vec![port],
                ..Features::default()
            }));
        }
        Body::BarrierRequest => return Some(Body::BarrierReply),
        Body::GetConfigRequest => return Some(Body::GetConfigReply(SwitchConfig::default())),
        Body::MultipartRequest(request) => match request {
            MultipartRequest::Desc => MultipartPart::Desc(SwitchDesc {
                manufacturer: "Someone".into(),
                ..SwitchDesc::default()
            }),
            MultipartRequest::Flow(query) => MultipartPart::Flow {
                flows: (0..2000_u16).map(flow).collect(),
                nicira: query.nicira,
            },
            MultipartRequest::Aggregate(query) => MultipartPart::Aggregate {
                packets: 1,
                bytes: 2,
                flows: 3,
                nicira: query.nicira,
            },
            MultipartRequest::Table => MultipartPart::Table(Vec::new()),
            MultipartRequest::Port(_) => MultipartPart::Port(vec![PortStats {
                port: PortNo(1),
                ..PortStats::default()
            }]),
            MultipartRequest::PortDesc(_) => MultipartPart::PortDesc(vec![port]),
            MultipartRequest::TableFeatures { .. } => {
                MultipartPart::TableFeatures(vec![TableFeatures::default()])
            }
            MultipartRequest::Bpdu(_) => MultipartPart::Bpdu(Vec::new()),
            MultipartRequest::Queue { .. } => MultipartPart::Queue(Vec::new()),
            _ => return None,
        },
        _ => return None,
    };
    Some(Body::MultipartReply(MultipartReply { more: false, part }))
}

fn flow(n: u16) -> FlowStats {
    let text = format!("table=3,priority={n},tcp,tp_dst={n},actions=dec_ttl,output:2");
    let flow = read_flow_mod(&text, None, &PortMap::default()).unwrap();
    FlowStats {
        table: flow.table,
        priority: flow.priority,
        matching: flow.matching,
        actions: flow.actions,
        ..FlowStats::default()
    }
}

const VERSIONS: [&str; 2] = ["OpenFlow10", "OpenFlow13"];

/// Flows that the stock tool sends arrive as our own text reader understands them.
#[test]
fn flows_arrive_as_they_were_typed() {
    let peer = Peer::new("flows");
    for version in VERSIONS {
        for text in [
            "table=3,cookie=0x12,idle_timeout=5,priority=7,tcp,nw_dst=10.0.0.0/8,tp_dst=80,actions=dec_ttl,output:2",
            "table=0,in_port=1,dl_vlan=5,dl_vlan_pcp=2,actions=strip_vlan,normal",
            "table=1,icmp6,icmp_type=135,nd_target=fe80::1,actions=controller:128",
            "table=0,arp,arp_op=2,arp_spa=1.2.3.4,actions=load:7->reg0[3..9],resubmit(,1),exit",
            "table=0,reg1=5/0xff,metadata=7,tun_id=9,actions=push:reg0,pop:reg1[0..3],output:reg0[0..15]",
            "table=9,vlan_tci=0x1000/0x1000,actions=flood,local,in_port,clone(output:3),note:01.02.03.04.05.06",
        ] {
            let Some(run) = peer.ofctl(&["-O", version, "add-flow", "SW", text]) else {
                return;
            };
            assert!(run.status.success(), "{text}: {run:?}");
            let heard = peer.heard();
            let got = heard.iter().find_map(|(body, _)| match body {
                Body::FlowMod(flow) => Some(flow.clone()),
                _ => None,
            });
            let got = *got.unwrap_or_else(|| panic!("{text}: {heard:?}"));
            let want = read_flow_mod(text, None, &PortMap::default()).unwrap();
            let flags = got.flags & !flow_flag::RESET_COUNTS;
            assert_eq!(
                FlowMod {
                    flags,
                    ..canonical(got, version)
                },
                canonical(want, version),
                "{text}"
            );
        }
    }
}

/// What differs between what is typed and what a version can say.
fn canonical(mut flow: FlowMod, version: &str) -> FlowMod {
    let dialect = match version {
        "OpenFlow10" => Dialect {
            version: Version::V10,
            flow_format: FlowFormat::Nxm,
            flow_mod_table_id: true,
        },
        _ => Dialect::new(Version::V13),
    };
    flow.flags = 0;
    let message = Message {
        xid: ofp::types::Xid(1),
        body: Body::FlowMod(Box::new(flow)),
    };
    match Message::decode(&message.to_bytes(&dialect), &dialect)
        .unwrap()
        .body
    {
        Body::FlowMod(mut flow) => {
            flow.flags = 0;
            *flow
        }
        body => panic!("{body:?}"),
    }
}

#[test]
fn commands_on_flows_keep_their_meaning() {
    let peer = Peer::new("commands");
    let flow_mod = |args: &[&str]| -> Option<FlowMod> {
        let run = peer.ofctl(args)?;
        assert!(run.status.success(), "{args:?}: {run:?}");
        peer.heard().into_iter().find_map(|(body, _)| match body {
            Body::FlowMod(flow) => Some(*flow),
            _ => None,
        })
    };
    for version in VERSIONS {
        let run = |args: &[&str]| flow_mod(&[&["-O", version][..], args].concat());
        let Some(flow) = run(&["mod-flows", "SW", "cookie=5/7,ip,actions=2"]) else {
            return;
        };
        assert_eq!(
            (flow.command, flow.cookie, flow.cookie_mask),
            (FlowModCommand::Modify, Cookie(5), 7)
        );
        assert_eq!(flow.new_cookie, None);
        let flow = run(&["mod-flows", "SW", "ip,actions=2"]).unwrap();
        // OpenFlow 1.0 adds when nothing matches, later versions do not.
        let cookie = if version == "OpenFlow10" {
            Cookie(0)
        } else {
            Cookie(u64::MAX)
        };
        assert_eq!((flow.cookie, flow.cookie_mask), (cookie, 0));
        let flow = run(&["--strict", "del-flows", "SW", "priority=9,out_port=3,udp"]).unwrap();
        assert_eq!(
            (flow.command, flow.priority),
            (FlowModCommand::DeleteStrict, 9)
        );
        assert_eq!(
            (flow.out_port, flow.matching.get(Field::IpProto.place()).0),
            (PortNo(3), 17)
        );
        let flow = run(&["del-flows", "SW"]).unwrap();
        assert_eq!(
            (flow.command, flow.table),
            (FlowModCommand::Delete, TableId::ALL)
        );
    }
    let both = flow_mod(&["mod-flows", "SW", "cookie=5/7,cookie=9,ip,actions=drop"]).unwrap();
    assert_eq!(
        (both.cookie, both.cookie_mask, both.new_cookie),
        (Cookie(5), 7, Some(Cookie(9)))
    );
}

#[test]
fn questions_are_understood_and_so_are_the_answers() {
    let peer = Peer::new("questions");
    for version in VERSIONS {
        for (args, expect) in [
            (&["show", "SW"][..], "dpid:0000000000000017"),
            (&["dump-desc", "SW"], "Manufacturer: Someone"),
            (
                &["dump-flows", "SW", "tcp,table=3"],
                "priority=1999,tcp,tp_dst=1999 actions=dec_ttl,output:2",
            ),
            (
                &["dump-aggregate", "SW", "ip6"],
                "packet_count=1 byte_count=2 flow_count=3",
            ),
            (&["dump-tables", "SW"], "OFPST_TABLE reply"),
            (&["dump-ports", "SW"], "1 ports"),
            (&["dump-ports-desc", "SW"], "1(p1)"),
            (&["queue-stats", "SW"], "0 queues"),
            (&["get-frags", "SW"], "normal"),
            (&["probe", "SW"], ""),
            (
                &[
                    "packet-out",
                    "SW",
                    "in_port=controller,packet=ffffffffffff0011223344550800,actions=flood,2",
                ],
                "",
            ),
            (&["mod-port", "SW", "p1", "down"], ""),
        ] {
            let args = [&["-O", version][..], args].concat();
            let Some(run) = peer.ofctl(&args) else { return };
            let said = String::from_utf8_lossy(&run.stdout);
            let failed = !run.status.success() && args[2] != "mod-port";
            assert!(!failed && said.contains(expect), "{args:?}: {run:?}");
        }
        let heard = peer.heard();
        let flood = Action::Output {
            port: PortNo::FLOOD,
            max_len: 0,
        };
        assert!(
            heard
                .iter()
                .any(|(body, _)| matches!(body, Body::PacketOut(p)
            if p.in_port == PortNo::CONTROLLER && p.actions[0] == flood && p.data.len() == 14))
        );
        assert!(heard.iter().any(|(body, _)| matches!(body, Body::PortMod(p)
            if p.port == PortNo(1) && p.config == port_config::PORT_DOWN)));
    }
}

#[test]
fn a_version_that_is_not_spoken_is_refused_in_words() {
    let peer = Peer::new("refuse");
    let Some(run) = peer.ofctl(&["-O", "OpenFlow15", "show", "SW"]) else {
        return;
    };
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(
        !run.status.success() && said.contains("version negotiation failed"),
        "{said}"
    );
}
