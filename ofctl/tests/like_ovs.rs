//! Our `ofctl` and the stock `ovs-ofctl` side by side on the stock switch: the same words, the same text.

mod stock;

use stock::Switch;

const VERSIONS: [&str; 6] = [
    "OpenFlow10",
    "OpenFlow11",
    "OpenFlow12",
    "OpenFlow13",
    "OpenFlow14",
    "OpenFlow15",
];

/// The same arguments to both tools, in every version; outputs must be the same.
fn same(switch: &Switch, args: &[&str]) {
    same_in(switch, &VERSIONS, args);
}

fn same_in(switch: &Switch, versions: &[&str], args: &[&str]) {
    for version in versions {
        let args: Vec<&str> = [&["-O", version][..], args].concat();
        let (ours, theirs) = (switch.ours(&args), switch.stock(&args));
        assert_eq!(
            ours.text, theirs.text,
            "{args:?}\nstderr: {}{}",
            ours.errors, theirs.errors
        );
        assert_eq!(ours.success, theirs.success, "{args:?}");
    }
}

const FLOWS: &[&str] = &[
    "in_port=p1,priority=5,idle_timeout=300,actions=output:p2",
    "in_port=\"odd-port\",priority=6,actions=output:\"odd-port\",resubmit:p1,resubmit(p2,3)",
    "table=4,priority=6,cookie=0x5,send_flow_rem,actions=note:01.02.03.04.05.06",
    "table=4,priority=0,actions=drop",
    "table=5,ip,nw_dst=10.0.0.0/24,actions=mod_dl_dst:00:11:22:33:44:55,dec_ttl,output:2",
    "table=5,tcp,tp_dst=80,actions=mod_tp_dst:81,mod_nw_src:1.2.3.4,mod_nw_tos:8,resubmit(,6)",
    "table=5,dl_vlan=5,dl_vlan_pcp=3,actions=strip_vlan,NORMAL",
    "table=5,dl_vlan=0xffff,actions=mod_vlan_vid:7,mod_vlan_pcp:3,flood",
    "table=5,priority=2,actions=controller:77",
    "table=5,priority=3,metadata=7,tun_id=9,reg1=3/7,actions=load:5->reg2[3..9],move:reg0[]->reg1[],set_tunnel:5",
    "table=5,priority=3,icmp6,ipv6_dst=ff00::/8,icmp_type=135,nd_target=fe80::1,actions=flood",
    "table=5,priority=3,arp,arp_op=1,arp_tpa=10.0.0.0/8,arp_sha=00:00:00:00:00:01,actions=local,in_port,all",
    "table=6,priority=8,udp6,udp_dst=0x10/0xf0,actions=clone(output:1),enqueue:2:3,exit",
    "table=6,priority=8,ip,nw_frag=later,nw_ecn=1,nw_ttl=3,actions=controller(reason=no_match,id=2,userdata=01.02)",
    "table=6,priority=9,tcp,tcp_flags=+syn-ack,actions=push:reg0[0..7],pop:reg1[0..7],set_queue:4,pop_queue",
    "table=6,priority=9,sctp,sctp_src=7,conj_id=6,actions=output:reg0[0..15]",
    "table=6,priority=9,vlan_tci=0x1005/0x100f,pkt_mark=3,xreg1=5,actions=set_field:5->reg3,set_field:1/3->xreg3",
    "table=7,priority=9,ip,actions=set_field:1.2.3.4->ip_src,set_field:00:01:02:03:04:05->eth_src,mod_nw_ttl:3",
];

#[test]
fn dumps_are_the_same() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for flow in FLOWS {
        let added = switch.ours(&["add-flow", "br0", flow]);
        assert!(added.success, "{flow}: {}", added.errors);
    }
    for args in [
        &["dump-flows", "br0"][..],
        &["--names", "dump-flows", "br0"],
        &["--no-stats", "dump-flows", "br0"],
        &["--no-names", "--sort", "dump-flows", "br0", "table=4"],
        &["--rsort=in_port", "dump-flows", "br0", "table=0"],
        &["--sort=tcp_dst", "dump-flows", "br0", "tcp"],
        &["dump-flows", "br0", "table=5,ip"],
        &["dump-flows", "br0", "cookie=5/-1"],
        &["dump-flows", "br0", "out_port=2"],
        &["dump-aggregate", "br0"],
        &["dump-aggregate", "br0", "table=5"],
        &["show", "br0"],
        &["dump-desc", "br0"],
        &["dump-ports", "br0"],
        &["--names", "dump-ports", "br0"],
        &["dump-ports", "br0", "p1"],
        &["dump-ports", "br0", "LOCAL"],
        &["dump-ports-desc", "br0"],
        &["get-frags", "br0"],
        &["probe", "br0"],
        &["queue-stats", "br0"],
        &["queue-stats", "br0", "1", "0"],
        &["queue-get-config", "br0"],
        &["queue-get-config", "br0", "p1"],
        &["dump-ipfix-bridge", "br0"],
        &["dump-ipfix-flow", "br0"],
        &["--color=always", "--no-stats", "dump-flows", "br0"],
        &["ct-flush-zone", "br0", "4"],
        &["ct-flush", "br0", "zone=3"],
        &["mod-table", "br0", "2", "evict"],
        &["mod-table", "br0", "2", "vacancy:20,80"],
        &["dump-table-desc", "br0"],
    ] {
        same(&switch, args);
    }
    assert!(
        switch
            .stock(&["-O", "OpenFlow13", "mod-table", "br0", "9", "name:nine"])
            .success
    );
    same(&switch, &["dump-tables", "br0"]);
}

#[test]
fn flows_that_either_tool_adds_are_the_same() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for version in ["OpenFlow10", "OpenFlow13"] {
        for flow in FLOWS {
            let flow = flow
                .replace("p1", "1")
                .replace("p2", "2")
                .replace("\"odd-port\"", "3");
            let mut dumps = Vec::new();
            for tool in [Switch::ours, Switch::stock] {
                assert!(tool(&switch, &["del-flows", "br0"]).success);
                let added = tool(&switch, &["-O", version, "add-flow", "br0", &flow]);
                assert!(added.success, "{version} {flow}: {}", added.errors);
                dumps.push(
                    switch
                        .stock(&["-O", "OpenFlow15", "dump-flows", "br0"])
                        .text,
                );
            }
            assert_eq!(dumps[0], dumps[1], "{version}");
        }
    }
}

#[test]
fn changes_do_what_they_say() {
    let Some(switch) = Switch::start() else {
        return;
    };
    let flows = "ip,actions=drop\n\n  # a comment\narp,priority=3,actions=1 # another\ndelete ip\nmodify arp,actions=2\n";
    let file = switch.file("flows", flows);
    for version in ["OpenFlow10", "OpenFlow13"] {
        let run = |args: &[&str]| {
            let done = switch.ours(&[&["-O", version][..], args].concat());
            assert!(done.success, "{version} {args:?}: {}", done.errors);
        };
        let left = || switch.ours(&["--no-stats", "dump-flows", "br0"]).text;
        run(&["add-flows", "br0", &file]);
        assert_eq!(left(), " priority=3,arp actions=output:2\n");
        run(&["--strict", "del-flows", "br0", "arp"]);
        assert_eq!(left(), " priority=3,arp actions=output:2\n");
        run(&[
            "--strict",
            "mod-flows",
            "br0",
            "arp,priority=3,actions=drop",
        ]);
        assert_eq!(left(), " priority=3,arp actions=drop\n");
        run(&["del-flows", "br0", "cookie=1/-1"]);
        run(&["del-flows", "br0", "out_port=1"]);
        assert_eq!(left(), " priority=3,arp actions=drop\n");
        run(&["del-flows", "br0"]);
        assert_eq!(left(), "");
        for (action, config) in [
            ("down", "PORT_DOWN"),
            ("up", "0"),
            ("no-receive", "NO_RECV"),
            ("receive", "0"),
        ] {
            run(&["mod-port", "br0", "p1", action]);
            let shown = switch.ours(&["dump-ports-desc", "br0", "p1"]).text;
            assert!(
                shown.contains(&format!("config:     {config}\n")),
                "{shown}"
            );
        }
        run(&["set-frags", "br0", "drop"]);
        assert_eq!(switch.stock(&["get-frags", "br0"]).text, "drop\n");
        // The stock switch cannot reassemble: both tools say so.
        let refused = [
            switch.ours(&["set-frags", "br0", "reassemble"]),
            switch.stock(&["set-frags", "br0", "reassemble"]),
        ];
        assert!(
            refused.iter().all(|done| !done.success),
            "{}",
            refused[0].errors
        );
        assert_eq!(switch.stock(&["get-frags", "br0"]).text, "drop\n");
        run(&["set-frags", "br0", "normal"]);
    }
}

#[test]
fn what_1_0_cannot_say_goes_by_a_later_version() {
    let Some(switch) = Switch::start() else {
        return;
    };
    let flow = "actions=write_actions(output:1),write_metadata:0x5/0x7,goto_table:4";
    assert!(switch.ours(&["add-flow", "br0", flow]).success);
    let dump = switch.ours(&["-O", "OpenFlow13", "--no-stats", "dump-flows", "br0"]);
    // In 1.1, which can say it, an ADD always resets the counters.
    assert_eq!(dump.text, format!(" reset_counts {flow}\n"));
    let refused = switch.ours(&["-O", "OpenFlow10", "add-flow", "br0", flow]);
    assert!(
        !refused.success && refused.errors.contains("OpenFlow10"),
        "{}",
        refused.errors
    );
    let packet = "in_port=controller,packet_type=(1,0x800),packet=4500001400010000400166e70a0000010a000002,actions=drop";
    let sent = switch.ours(&["packet-out", "br0", packet]);
    assert!(sent.success, "{}", sent.errors);
    let refused = switch.ours(&["-O", "OpenFlow14", "packet-out", "br0", packet]);
    assert!(!refused.success, "{}", refused.text);
}

#[test]
fn one_one_deletes_in_the_first_table_as_the_stock_tool_does() {
    let Some(switch) = Switch::start() else {
        return;
    };
    let del = ["-O", "OpenFlow11", "del-flows", "br0"];
    let left = [true, false].map(|ours| {
        for table in ["table=0", "table=3"] {
            let flow = format!("{table},actions=drop");
            assert!(switch.ours(&["add-flow", "br0", &flow]).success);
        }
        let done = match ours {
            true => switch.ours(&del),
            false => switch.stock(&del),
        };
        assert!(done.success, "{}", done.errors);
        assert!(!ours || done.errors.contains("of table 0"));
        switch.ours(&["--no-stats", "dump-flows", "br0"]).text
    });
    assert_eq!(left, [" table=3, actions=drop\n"; 2]);
}

#[test]
fn errors_of_the_switch_are_told() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for version in ["OpenFlow10", "OpenFlow13"] {
        let args = [
            "-O",
            version,
            "add-flow",
            "br0",
            "priority=7,ip,actions=group:99",
        ];
        let (ours, theirs) = (switch.ours(&args), switch.stock(&args));
        assert!(!ours.success && !theirs.success);
        assert!(
            ours.errors.starts_with(&theirs.errors),
            "ours {}\ntheirs {}",
            ours.errors,
            theirs.errors
        );
        assert!(
            ours.errors.ends_with("ofctl: br0: no such group\n"),
            "{}",
            ours.errors
        );
    }
    let file = switch.file(
        "bad",
        "ip,actions=drop\n\nactions=group:98\nactions=group:97\n",
    );
    let ours = switch.ours(&["add-flows", "br0", &file]);
    assert!(!ours.success);
    assert!(
        ours.errors.contains(&format!("{file}:3: OFPT_ERROR")),
        "{}",
        ours.errors
    );
    assert!(
        ours.errors.contains(&format!("{file}:4: OFPT_ERROR")),
        "{}",
        ours.errors
    );

    // A mistake in the text leaves the switch as it was.
    assert!(switch.ours(&["del-flows", "br0"]).success);
    let file = switch.file("worse", "ip,actions=drop\nip,tcp_dst=80,actions=drop\n");
    let ours = switch.ours(&["add-flows", "br0", &file]);
    assert!(
        ours.errors
            .contains(&format!("{file}:2: column 4: \"tcp_dst\"")),
        "{}",
        ours.errors
    );
    assert_eq!(switch.ours(&["--no-stats", "dump-flows", "br0"]).text, "");
}

#[test]
fn bad_words_are_refused() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for (args, want) in [
        (&["shwo", "br0"][..], "did you mean show?"),
        (&["show"], "usage: ofctl show SWITCH"),
        (&["show", "br0", "x"], "usage"),
        (&["show", "nobr"], "switchd"),
        (&["-O", "OpenFlow19", "show", "br0"], "OpenFlow19"),
        (&["-F", "foo", "show", "br0"], "foo"),
        (&["--sort=foo", "dump-flows", "br0"], "foo"),
        (&["dump-ports", "br0", "p7"], "did you mean \"p"),
        (&["mod-port", "br0", "p1", "dwon"], "did you mean down?"),
        (&["mod-port", "br0", "77", "down"], "77"),
        (&["add-flow", "br0", "in_port=p3,actions=drop"], "p3"),
        (
            &[
                "-O",
                "OpenFlow13",
                "add-flow",
                "br0",
                "importance=3,actions=drop",
            ],
            "importance",
        ),
        (&["add-flows", "br0", "/nonexistent"], "/nonexistent"),
        (&["set-frags", "br0", "maybe"], "maybe"),
        (&["ofp-print", "zz"], "hexadecimal"),
        (&["show", "tcp:127.0.0.1:1"], "tcp:127.0.0.1:1"),
        (
            &["packet-out", "br0", "in_port=1 packet=00 actions=1"],
            "too short",
        ),
        (&["packet-out", "br0", "1", "table"], "wants ACTIONS"),
        (&[], "no command"),
    ] {
        let done = switch.ours(args);
        assert!(
            !done.success && done.errors.contains(want),
            "{args:?}: {}",
            done.errors
        );
    }
}

#[test]
fn monitor_prints_what_the_stock_tool_prints() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for version in ["OpenFlow10", "OpenFlow13"] {
        let ours = switch.watch(true, &["-O", version, "-m", "monitor", "br0", "65534"]);
        let theirs = switch.watch(false, &["-O", version, "-m", "monitor", "br0", "65534"]);
        let run = |args: &[&str]| assert!(switch.ours(args).success, "{args:?}");
        run(&[
            "add-flow",
            "br0",
            "priority=1,cookie=7,send_flow_rem,actions=controller",
        ]);
        run(&[
            "add-flow",
            "br0",
            "priority=4,table=5,send_flow_rem,tcp,idle_timeout=60,hard_timeout=70,actions=load:3->reg1,set_tunnel:5,controller(max_len=20,userdata=01.02)",
        ]);
        run(&["add-flow", "br0", "priority=3,tcp,actions=resubmit(,5)"]);
        let arp = "ffffffffffff5054000000050806000108000604000150540000000501020304000000000000010203050000";
        let tcp = "50540000000750540000000581006005080045000028000000004006 66ce0a0000010a00000200080009000000000000000050020000 9bcf0000".replace(' ', "");
        run(&[
            "packet-out",
            "br0",
            &format!("in_port=p1 packet={arp} actions=table"),
        ]);
        run(&["packet-out", "br0", "1", "table", arp]);
        run(&[
            "packet-out",
            "br0",
            &format!("in_port=2 packet={tcp} actions=resubmit(,0)"),
        ]);
        run(&["del-flows", "br0"]);
        run(&["mod-port", "br0", "p2", "down"]);
        run(&["mod-port", "br0", "p2", "up"]);
        let (ours, theirs) = (ours.stop(), theirs.stop());
        assert!(theirs.contains("PACKET_IN"), "{theirs}");
        assert!(
            theirs.contains("FLOW_REMOVED") && theirs.contains("PORT_STATUS"),
            "{theirs}"
        );
        assert_eq!(ours, theirs);
    }
}

#[test]
fn many_flows_take_seconds() {
    let Some(switch) = Switch::start() else {
        return;
    };
    let flows: String = (0..30_000u32)
        .map(|n| {
            format!(
                "priority={},ip,nw_dst=10.{}.{}.{},actions=output:1\n",
                n % 999 + 1,
                n >> 16,
                n >> 8 & 255,
                n & 255
            )
        })
        .collect();
    let file = switch.file("many", &flows);
    let start = std::time::Instant::now();
    let done = switch.ours(&["add-flows", "br0", &file]);
    assert!(done.success, "{}", done.errors);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    let count = switch.ours(&["dump-aggregate", "br0"]).text;
    assert!(count.ends_with("flow_count=30000\n"), "{count}");
    let dump = switch.ours(&["dump-flows", "br0"]).text;
    assert_eq!(
        dump.lines().filter(|l| l.contains("n_packets")).count(),
        30_000
    );
}

#[test]
fn a_bridge_of_one_version_is_spoken_to_in_it() {
    let Some(switch) = Switch::start() else {
        return;
    };
    switch.set_protocols("OpenFlow13");
    let added = switch.ours(&["add-flow", "br0", "in_port=p1,actions=output:\"odd-port\""]);
    assert!(added.success, "{}", added.errors);
    let dump = switch.ours(&["--names", "--no-stats", "dump-flows", "br0"]);
    assert_eq!(
        dump.text,
        " reset_counts in_port=p1 actions=output:\"odd-port\"\n".replace(" reset_counts", "")
    );
    let refused = switch.ours(&["-O", "OpenFlow10", "show", "br0"]);
    assert!(
        refused.errors.contains("does not speak OpenFlow10"),
        "{}",
        refused.errors
    );
}

#[test]
fn json_is_json() {
    let Some(switch) = Switch::start() else {
        return;
    };
    assert!(
        switch
            .ours(&[
                "add-flow",
                "br0",
                "priority=7,ip,nw_dst=10.0.0.0/8,actions=dec_ttl,output:1"
            ])
            .success
    );
    for version in ["OpenFlow10", "OpenFlow13"] {
        let get = |args: &[&str]| -> serde_json::Value {
            let done = switch.ours(&[&["-O", version, "--json"][..], args].concat());
            assert!(done.success, "{args:?} {}", done.errors);
            serde_json::from_str(&done.text.replace("duration?", "0"))
                .unwrap_or_else(|e| panic!("{e}: {}", done.text))
        };
        let flow = &get(&["dump-flows", "br0"])[0];
        assert_eq!(flow["priority"], 7);
        assert_eq!(flow["match"], "ip,nw_dst=10.0.0.0/8");
        assert_eq!(get(&["get-frags", "br0"])["frags"], "normal");
        assert_eq!(flow["actions"], serde_json::json!(["dec_ttl", "output:1"]));
        assert_eq!(get(&["dump-aggregate", "br0"])["flow_count"], 1);
        assert_eq!(get(&["dump-ports", "br0"]).as_array().unwrap().len(), 4);
        assert_eq!(get(&["dump-ports-desc", "br0", "p2"])[0]["name"], "p2");
        assert_eq!(get(&["show", "br0"])["dpid"], "0000000000000001");
        assert_eq!(get(&["dump-tables", "br0"])[0]["active"], 1);
        assert_eq!(get(&["dump-desc", "br0"])["manufacturer"], "Nicira, Inc.");
    }
    let features = switch.ours(&["--json", "dump-table-features", "br0"]);
    assert!(
        features.success && features.text.contains("next_tables"),
        "{}",
        features.errors
    );
}
