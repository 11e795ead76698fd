//! Groups, meters, bundles, flow monitors and the TLV map: our `ofctl` and the stock `ovs-ofctl` drive
//! the stock switch with the same words, and print the same text.

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
const METER_VERSIONS: [&str; 3] = ["OpenFlow13", "OpenFlow14", "OpenFlow15"];

/// The same arguments to both tools in a version; outputs must be the same.
fn same(switch: &Switch, version: &str, args: &[&str]) {
    let args: Vec<&str> = [&["-O", version][..], args].concat();
    let (ours, theirs) = (switch.ours(&args), switch.stock(&args));
    assert_eq!(
        ours.text.trim_end(),
        theirs.text.trim_end(),
        "{args:?}\nstderr: {}{}",
        ours.errors,
        theirs.errors
    );
    assert_eq!(ours.success, theirs.success, "{args:?}: {}", ours.errors);
}

fn does(done: stock::Done, what: &str) {
    assert!(done.success, "{what}: {}", done.errors);
}

/// Groups that every version can say, then those that only 1.0 (by Nicira's messages) and 1.5 can.
const GROUPS: &[&str] = &[
    "group_id=1,type=all",
    "group_id=2,type=all,bucket=actions=output:1,bucket=actions=drop",
    "group_id=3,type=select,bucket=weight:0,actions=output:1,bucket=weight:100,actions=resubmit(,4),output:2",
    "group_id=4,type=indirect,bucket=output:p1",
    "group_id=5,type=ff,bucket=watch_port:1,output:1,bucket=watch_group:3,group:3",
];
const NEW_GROUPS: &[&str] = &[
    "group_id=6,type=select,selection_method=hash,selection_method_param=7,fields(ip_dst,eth_src=ff:ff:00:00:00:00),bucket=output:1",
    "group_id=7,type=select,selection_method=dp_hash,bucket=bucket_id:9,output:1",
    "group_id=8,type=select,selection_method=hash,fields=tcp_src,bucket=output:1",
];

#[test]
fn groups_that_either_tool_adds_are_the_same() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for version in VERSIONS {
        let new = matches!(version, "OpenFlow10" | "OpenFlow15");
        let groups: Vec<&str> = match new {
            true => [GROUPS, NEW_GROUPS].concat(),
            false => GROUPS.to_vec(),
        };
        let mut dumps = Vec::new();
        for ours in [true, false] {
            for group in &groups {
                let args = ["-O", version, "add-group", "br0", group];
                let done = if ours {
                    switch.ours(&args)
                } else {
                    switch.stock(&args)
                };
                does(done, group);
            }
            for command in ["dump-groups", "dump-group-stats", "dump-group-features"] {
                same(&switch, version, &[command, "br0"]);
            }
            same(&switch, version, &["--names", "dump-groups", "br0"]);
            same(&switch, version, &["dump-group-stats", "br0", "group_id=2"]);
            let dump = switch.stock(&["-O", "OpenFlow15", "dump-groups", "br0"]);
            // The stock switch lists groups in the order of its hash table.
            let mut lines: Vec<String> = dump.text.lines().map(str::to_owned).collect();
            lines.sort();
            dumps.push(lines);
            does(
                switch.ours(&["-O", version, "del-groups", "br0", "group_id=3"]),
                "del-groups",
            );
            same(&switch, version, &["dump-groups", "br0"]);
            does(
                switch.ours(&["-O", version, "del-groups", "br0"]),
                "del-groups",
            );
            same(&switch, version, &["dump-groups", "br0"]);
        }
        assert_eq!(dumps[0], dumps[1], "{version}");
    }
}

#[test]
fn buckets_are_inserted_and_removed() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for version in ["OpenFlow10", "OpenFlow15"] {
        for (command, group) in [
            (
                "add-group",
                "group_id=1,type=select,bucket=bucket_id:5,output:1",
            ),
            (
                "insert-buckets",
                "group_id=1,command_bucket_id=first,bucket=bucket_id:1,weight:2,output:2",
            ),
            (
                "insert-buckets",
                "group_id=1,command_bucket_id=5,bucket=bucket_id:9,weight:3,output:2",
            ),
            ("remove-buckets", "group_id=1,command_bucket_id=5"),
            ("mod-group", "group_id=1,type=all,bucket=output:1"),
            ("remove-buckets", "group_id=1,command_bucket_id=last"),
        ] {
            does(switch.ours(&["-O", version, command, "br0", group]), group);
            same(&switch, version, &["dump-groups", "br0", "1"]);
        }
        let args = [
            "-O",
            version,
            "--may-create",
            "mod-group",
            "br0",
            "group_id=2,type=all",
        ];
        does(switch.ours(&args), "may-create");
        same(&switch, version, &["dump-groups", "br0"]);
        same(
            &switch,
            version,
            &["remove-buckets", "br0", "group_id=1,command_bucket_id=44"],
        );
        does(switch.ours(&["del-groups", "br0"]), "del-groups");
    }
    // One version alone may not say it; all together the right one is found.
    let group = "group_id=1,type=select,selection_method=dp_hash,bucket=output:1";
    assert!(
        !switch
            .ours(&["-O", "OpenFlow13", "add-group", "br0", group])
            .success
    );
    does(switch.ours(&["add-group", "br0", group]), group);
    switch.set_protocols("OpenFlow15");
    let json = switch.ours(&["--json", "dump-groups", "br0"]).text;
    switch.set_protocols("OpenFlow10,OpenFlow13");
    assert!(json.contains("\"selection_method\":\"dp_hash\""), "{json}");
}

#[test]
fn meters_are_the_same() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for version in METER_VERSIONS {
        for meter in [
            "meter=1,kbps,burst,stats,band=type=drop,rate=1000,burst_size=0",
            "meter=2,pktps,bands=type=drop,rate=3,type=drop,rate=5",
            "meter=controller,pktps,band=type=drop,rate=10",
        ] {
            let ours = switch.ours(&["-O", version, "add-meter", "br0", meter]);
            does(ours, meter);
            for command in ["dump-meters", "meter-stats", "meter-features"] {
                same(&switch, version, &[command, "br0"]);
            }
        }
        same(&switch, version, &["dump-meter", "br0", "meter=2"]);
        same(&switch, version, &["meter-stats", "br0", "meter=2"]);
        let none = switch.ours(&["-O", version, "meter-stats", "br0", "meter=7"]);
        assert!(none.errors.contains("OFPMMFC_UNKNOWN_METER"));
        let other = "meter=2,kbps,band=type=drop,rate=7";
        does(
            switch.ours(&["-O", version, "mod-meter", "br0", other]),
            other,
        );
        same(&switch, version, &["dump-meters", "br0"]);
        does(switch.ours(&["del-meter", "br0", "meter=2"]), "del-meter");
        same(&switch, version, &["dump-meters", "br0"]);
        does(switch.ours(&["del-meters", "br0"]), "del-meters");
        same(&switch, version, &["dump-meters", "br0"]);
    }
    let refused = switch.ours(&["-O", "OpenFlow12", "dump-meters", "br0"]);
    assert!(refused.errors.contains("OpenFlow13"), "{}", refused.errors);
}

#[test]
fn bundles_are_done_whole() {
    let Some(switch) = Switch::start() else {
        return;
    };
    let good = switch.file(
        "good",
        "flow add table=4,ip,actions=output:1\ngroup add group_id=77,type=all,bucket=output:1\n\
         packet-out in_port=1 packet=00112233445500112233445508000000 actions=output:2\n\
         flow table=5,actions=group:77\n",
    );
    let bad = switch.file(
        "bad",
        "flow table=6,actions=drop\ngroup add group_id=77,type=all\n",
    );
    for version in METER_VERSIONS {
        does(
            switch.ours(&["-O", version, "bundle", "br0", &good]),
            version,
        );
        same(&switch, version, &["dump-groups", "br0"]);
        same(&switch, version, &["--no-stats", "dump-flows", "br0"]);
        let refused = switch.ours(&["-O", version, "bundle", "br0", &bad]);
        assert!(
            !refused.success && refused.errors.contains("OFPGMFC_GROUP_EXISTS"),
            "{}",
            refused.errors
        );
        assert!(refused.errors.contains("bad:2: "), "{}", refused.errors);
        let flows = switch.ours(&["dump-flows", "br0", "table=6"]).text;
        assert!(!flows.contains("table=6"), "{flows}");
        let group = "group_id=78,type=all,bucket=output:1";
        does(
            switch.ours(&["-O", version, "--bundle", "add-group", "br0", group]),
            group,
        );
        same(&switch, version, &["dump-groups", "br0"]);
        does(switch.ours(&["del-flows", "br0"]), "del-flows");
        does(switch.ours(&["del-groups", "br0"]), "del-groups");
    }
    let odd = switch.file("odd", "flo table=6,actions=drop\n");
    let refused = switch.ours(&["bundle", "br0", &odd]);
    assert!(
        refused.errors.contains("did you mean flow?"),
        "{}",
        refused.errors
    );
}

#[test]
fn the_tlv_map_is_the_same() {
    let Some(switch) = Switch::start() else {
        return;
    };
    for version in VERSIONS {
        let map =
            "{class=0xffff,type=0,len=4}->tun_metadata0,{class=0xfffe,type=1,len=8}->tun_metadata1";
        does(
            switch.ours(&["-O", version, "add-tlv-map", "br0", map]),
            map,
        );
        same(&switch, version, &["dump-tlv-map", "br0"]);
        let one = "{class=0xffff,type=0,len=4}->tun_metadata0";
        does(
            switch.ours(&["-O", version, "del-tlv-map", "br0", one]),
            one,
        );
        same(&switch, version, &["dump-tlv-map", "br0"]);
        does(
            switch.ours(&["-O", version, "del-tlv-map", "br0"]),
            "del-tlv-map",
        );
        same(&switch, version, &["dump-tlv-map", "br0"]);
    }
}

#[test]
fn watched_flows_are_the_same() {
    let Some(switch) = Switch::start() else {
        return;
    };
    let before = "table=3,ip,nw_dst=10.0.0.1,cookie=5,actions=output:1,resubmit(,4)";
    for version in VERSIONS {
        does(switch.ours(&["add-flow", "br0", before]), before);
        let mut texts = Vec::new();
        for ours in [true, false] {
            let args = ["-O", version, "monitor", "br0", "watch:table=3"];
            let watch = switch.watch(ours, &args);
            for (command, flow) in [
                ("add-flow", "table=3,tcp,idle_timeout=70,actions=drop"),
                ("add-flow", "table=4,tcp,actions=drop"),
                ("mod-flows", "table=3,tcp,actions=output:2"),
                ("del-flows", "table=3,tcp"),
            ] {
                does(
                    switch.ours(&["-O", "OpenFlow13", command, "br0", flow]),
                    flow,
                );
            }
            texts.push(watch.stop());
        }
        assert_eq!(texts[0], texts[1], "{version}");
        assert!(
            texts[0].contains("event=DELETED reason=delete"),
            "{}",
            texts[0]
        );
    }
}
