//! The same command lines for the stock `ovs-vsctl` and for ours, on two stock `ovsdb-server`s and on ours: they print the same, exit the same
//! and leave the same in the database. Needs Debian's `openvswitch-switch` and `openvswitch-common`.

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Ran, Server, essence, sorted, without_uuids, words};

/// How alike the two have to be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Like {
    /// Output, errors, exit code and database.
    All,
    /// All but the words of the error, which are better here.
    ButWords,
}
use Like::{All, ButWords};

/// Run in this order, each on what the ones before it left.
const LINES: &[(Like, &str)] = &[
    (All, "init"),
    (All, "add-br br0"),
    (All, "add-br br0"),
    (All, "add-br br0 -- add-br br0"),
    (All, "--may-exist add-br br0"),
    (All, "add-br"),
    (All, "add-br a b"),
    (All, "add-br a b c d"),
    (All, "add-br ''"),
    (All, "frob"),
    (All, ""),
    (All, "--"),
    (All, "list-br x"),
    (All, "list-br --may-exist"),
    (All, "--bogus list-br"),
    (All, "--may-exist list-br"),
    (All, "-f foo list port"),
    (All, "-t abc list-br"),
    (All, "add-port br0 p1"),
    (All, "add-port br0 p1"),
    (All, "--may-exist add-port br0 p1 tag=5"),
    (All, "add-port br0 br0"),
    (All, "add-port br9 p1"),
    (All, "add-port br9 p9"),
    (All, "add-port br0 ''"),
    (All, "add-br p1"),
    (
        All,
        "add-port br0 p2 tag=10 -- set interface p2 type=vxlan options:remote_ip=10.0.0.2 options:key=flow",
    ),
    (All, "add-port br0 p3 tagz=10"),
    (All, "add-port br0 p3 tag=abc"),
    (All, "add-port br0 p3 tag=5000"),
    (All, "add-port br0 p3 tag"),
    (All, "get bridge br0 name fail_mode"),
    (All, "get bridge br0 optionz"),
    (All, "get bridge br9 name"),
    (All, "get bridg br0 name"),
    (All, "get foo br0 name"),
    (All, "get c x y"),
    (All, "get br br0 fl"),
    (All, "get br br0 Fail-Mode"),
    (All, "get port p1 tag:3"),
    (All, "get interface p2 options:remote_ip options"),
    (All, "get interface p2 options:foo"),
    (All, "--if-exists get interface p2 options:foo"),
    (All, "get interface p2 options:a:b"),
    (All, "get interface p2 options:key name type _uuid"),
    (All, "get bridge br0"),
    (All, "set bridge br0 fail_mode=foo"),
    (All, "set bridge br0 fail_mode="),
    (All, "set bridge br0 fail_mode=[]"),
    (All, "set bridge br0 other_config"),
    (All, "set bridge br0 other-config:a=b other_config:c=d"),
    (All, "set bridge br9 a=b"),
    (All, "--if-exists set bridge br9 a=b"),
    (All, "add bridge br0 other-config a=b"),
    (All, "add bridge br0 other-config e=x"),
    (All, "add bridge br0 other-config:a b"),
    (ButWords, "add bridge br0 other-config a"),
    (All, "remove bridge br0 other-config a"),
    (All, "remove bridge br0 other-config c=y"),
    (All, "remove bridge br0 other-config c=d"),
    (All, "remove bridge br0 other-config e,f"),
    (All, "clear bridge br0 other-config"),
    (All, "clear bridge br0 name"),
    (All, "clear bridge br0 fail_mode"),
    (All, "clear bridge br0 datapath_type"),
    (All, "set port p1 name=foo"),
    (All, "set port p1 _uuid=foo"),
    (All, "set port p1 tag:3=4"),
    (All, "set port p1 tag=1-3"),
    (All, "set port p1 tag=@x"),
    (All, "set port p1 trunks=1-3"),
    (All, "add port p1 trunks 5 7-9"),
    (All, "remove port p1 trunks 2 8-9"),
    (All, "set port p1 trunks=1,2,5,2"),
    (All, "set port p1 'trunks=[4,5'"),
    (All, "set port p1 'trunks=4]'"),
    (All, "set port p1 trunks=3-1"),
    (All, "set port p1 trunks=0-5000"),
    (All, "set port p1 trunks=1,,2"),
    (All, "set port p1 'trunks=1 2'"),
    (All, "add port p1 tag 5"),
    (ButWords, "add port p1 tag 6"),
    (ButWords, "add port p1 tag 6 7"),
    (All, "remove port p1 tag 7"),
    (All, "remove port p1 tag 5"),
    (All, "remove bridge br0 ports p1"),
    (All, "remove bridge br0 datapath_type x"),
    (All, "set interface p1 options=a=b,c=d"),
    (All, "set interface p1 'options={a=b'"),
    (All, "set interface p1 'options={a=b}x'"),
    (All, "set interface p1 options=[a=b]"),
    (All, "set interface p1 options=a=b=c"),
    (All, "set interface p1 options=a="),
    (All, "set interface p1 options=a=b,a=c"),
    (ButWords, "set interface p1 options=a"),
    (All, "set interface p1 options:a"),
    (All, "set interface p1 options:=x"),
    (
        All,
        "set interface p1 options:a=b:c=d options:b=true options:n=5 options:z=[] 'options:e=\"\"' options:u=é",
    ),
    (
        All,
        "set interface p1 'options:\"q:r\"=s' 'options:d=\"\\u0041\\n\"'",
    ),
    (All, "set interface p1 'options:a=\"x y'"),
    (ButWords, "set interface p1 'options:a=\"bad\\q\"'"),
    (All, "get interface p1 options"),
    (All, "set interface p1 ofport_request=a"),
    (All, "set interface p1 ofport_request=70000"),
    (All, "set interface p1 ingress_policing_rate=-1"),
    (All, "set bridge br0 stp_enable=maybe"),
    (All, "set bridge br0 stp_enable=yes"),
    (All, "set bridge br0 datapath_id=00:11"),
    (All, "set bridge br0 'datapath_id=a b'"),
    (All, "set bridge br0 datapath_type=[]"),
    (All, "set bridge br0 'datapath_type=\"\"'"),
    (All, "set bridge br0 protocols=OpenFlow13,OpenFlow99"),
    (All, "set bridge br0 protocols=OpenFlow10,OpenFlow13"),
    (All, "set port p1 qos=zzz"),
    (All, "br-exists br0"),
    (All, "br-exists br7"),
    (All, "list-br -- br-exists br7"),
    (All, "br-to-vlan br0"),
    (All, "br-to-vlan br8"),
    (All, "br-to-parent br0"),
    (All, "list-ports x"),
    (All, "port-to-br p1"),
    (All, "port-to-br br0"),
    (All, "iface-to-br p1"),
    (All, "iface-to-br x"),
    (All, "add-br fk br0 10"),
    (All, "add-br fk2 br0 10"),
    (All, "add-br fk2 br0 5000"),
    (All, "add-br fk2 fk 4"),
    (All, "add-br fk2 zz 4"),
    (All, "list-br"),
    (All, "--real list-br"),
    (All, "--fake list-br"),
    (All, "br-to-vlan fk"),
    (All, "br-to-parent fk"),
    (All, "--may-exist add-br fk br0 10"),
    (All, "--may-exist add-br fk br0 11"),
    (All, "--may-exist add-br fk br9 10"),
    (All, "--may-exist add-br fk"),
    (All, "--may-exist add-br br0 fk 11"),
    (All, "add-port fk pf"),
    (All, "list-ports fk"),
    (All, "list-ports br0"),
    (All, "list-ifaces br0"),
    (All, "list-ifaces fk"),
    (All, "port-to-br pf"),
    (All, "--may-exist add-port br0 pf"),
    (All, "br-set-external-id fk a b"),
    (All, "br-get-external-id fk"),
    (All, "set-controller fk tcp:1.2.3.4"),
    (All, "del-port br0 pf"),
    (ButWords, "del-port fk p1"),
    (All, "del-port x p1"),
    (All, "--if-exists del-port x p1"),
    (All, "--if-exists del-port x zz"),
    (All, "del-port x zz"),
    (All, "del-port zz"),
    (All, "--if-exists del-port zz"),
    (All, "del-port br0"),
    (All, "del-port fk"),
    (All, "del-port fk pf"),
    (All, "del-br fk"),
    (All, "del-br nope"),
    (All, "--if-exists del-br nope"),
    (All, "add-bond br0 b0 e1"),
    (All, "add-bond br0 b0 e1 lacp=active"),
    (
        All,
        "add-bond br0 b0 e1 e2 lacp=active bond_mode=balance-tcp",
    ),
    (All, "add-bond br0 b0 e1 e2"),
    (All, "--may-exist add-bond br0 b0 e2 e1"),
    (All, "--may-exist add-bond br0 b0 e1 e3"),
    (All, "--may-exist add-port br0 b0"),
    (All, "add-bond br0 b1 e1 e9"),
    (All, "add-bond br0 b3 p1 g1"),
    (All, "--fake-iface add-bond br0 bf h1 h2"),
    (All, "del-port e1"),
    (All, "--with-iface del-port e1"),
    (All, "--with-iface del-port zz"),
    (
        All,
        "br-set-external-id br0 k v -- br-set-external-id br0 k2 'v w'",
    ),
    (All, "br-get-external-id br0"),
    (All, "br-get-external-id br0 k"),
    (All, "br-get-external-id br0 zz"),
    (All, "br-set-external-id br0 k"),
    (All, "get-controller br0"),
    (
        All,
        "--inactivity-probe=5000 set-controller br0 tcp:1.2.3.4 ptcp:6653",
    ),
    (All, "get-controller br0"),
    (All, "set-controller br0 foo"),
    (All, "set-controller br9 tcp:1.2.3.4"),
    (All, "del-controller br0"),
    (All, "set-fail-mode br0 secure"),
    (All, "get-fail-mode br0"),
    (All, "set-fail-mode br0 s"),
    (All, "del-fail-mode br0"),
    (All, "set-manager ptcp:6640 tcp:1.2.3.4"),
    (All, "get-manager"),
    (All, "get manager ptcp:6640 target"),
    (All, "del-manager"),
    (All, "--columns=name,tag find port tag!=10"),
    (All, "--columns=name find port tag=10"),
    (All, "--columns=name find interface options:key=flow"),
    (All, "--columns=name find interface 'options:key{=}[]'"),
    (All, "--columns=name find interface options!={}"),
    (All, "--columns=name find bridge 'protocols{>=}OpenFlow13'"),
    (All, "--columns=name find port 'name<p2'"),
    (All, "--columns=name find port 'tag{not-in}3'"),
    (All, "find port foo=1"),
    (All, "find port tag=ab"),
    (All, "find port tag"),
    (All, "find port 'tag{bad}1'"),
    (All, "find port tag:3=4"),
    (All, "find port name=a,b"),
    (
        All,
        "create qos type=linux-htb other-config:max-rate=1 queues:0=@q -- --id=@q create queue dscp=1",
    ),
    (All, "create queue dscp=99"),
    (All, "create qos queues:0=@zz"),
    (All, "create qos foo=1"),
    (All, "create qos"),
    (
        All,
        "-- --id=@a create qos type=x -- --id=@a create qos type=y",
    ),
    (All, "--id=x get bridge br0"),
    (All, "--id=@y get bridge br0"),
    (All, "--if-exists --id=@r get bridge br0"),
    (All, "-- --id=@n create qos type=y -- set port p1 qos=@n"),
    (All, "get qos p1 type"),
    (
        All,
        "--id=11111111-2222-3333-4444-555555555555 create queue dscp=3",
    ),
    (All, "get queue 1111 dscp"),
    (All, "get queue 111 dscp"),
    (All, "destroy queue 1111 zz"),
    (All, "--if-exists destroy queue zz 1111"),
    (All, "clear port p1 qos"),
    (All, "--all destroy qos"),
    (All, "--all destroy qos x"),
    (All, "--all destroy queue"),
    (All, "destroy bridge br0"),
    (
        All,
        "-- --id=@m create mirror name=m1 select_all=true -- set bridge br0 mirrors=@m",
    ),
    (
        All,
        "-- --id=@p get port p1 -- set mirror m1 select_dst_port=@p",
    ),
    (All, "clear bridge br0 mirrors"),
    (All, "comment hello world"),
    (All, "wait-until bridge br0 name=br0"),
    (All, "--oneline list-br -- add-br br1 -- list-br"),
    (All, "--dry-run list-br -- add-br br2 -- list-br"),
    (
        All,
        "add-br nb -- get bridge nb name -- list-ports nb -- del-br nb -- list-br",
    ),
    (All, "add-port br0 px -- del-port px -- list-ports br0"),
    (
        All,
        "add-port br0 px -- del-br br0 -- list-br -- add-br br0",
    ),
    (All, "get port px name"),
    (All, "list"),
    (All, "list bridge br9"),
    (All, "--if-exists list bridge br9"),
    (All, "--columns=foo list port"),
    (All, "--columns= list port"),
    (All, "get open . next_cfg"),
    (All, "get port . name"),
    (
        All,
        "set open . other_config:pmd-cpu-mask=0x1 external-ids:a=b",
    ),
    (All, "add-br 'a b' -- add-br é -- add-br -x"),
    (All, "list-br"),
    (All, "clear open . bridges"),
    (All, "list-br"),
];

/// Runs all lines: the stock tool on the stock server against our tool on `server`.
fn same_lines(server: &Server) {
    let stock = Server::stock();
    for (like, line) in LINES {
        let (want, got) = (stock.theirs(line), server.ours(line));
        assert_eq!(got.code, want.code, "{line}\n{want:?}\n{got:?}");
        assert_eq!(
            sorted(&without_uuids(&got.out)),
            sorted(&without_uuids(&want.out)),
            "{line}"
        );
        match like {
            All => assert_eq!(essence(&got.err), essence(&want.err), "{line}"),
            ButWords => assert!(
                got.err.starts_with("vsctl: ") && got.err.lines().count() == 1,
                "{line}\n{}",
                got.err
            ),
        }
        let (got, want) = (server.contents(), stock.contents());
        let only = |a: &[String], b: &[String]| {
            a.iter()
                .filter(|line| !b.contains(line))
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(only(&got, &want), only(&want, &got), "{line}");
        assert_eq!(got.len(), want.len(), "{line}");
    }
}

#[test]
fn the_same_lines_do_the_same() {
    same_lines(&Server::stock());
}

#[test]
fn the_same_lines_do_the_same_on_our_server() {
    same_lines(&Server::own());
}

/// Makes a database that has something of everything that is shown.
const MAKE: &[&str] = &[
    "add-br br0 -- add-br br1 -- add-br br2 -- add-port br0 p1 -- add-port br0 p2 -- add-port br1 q1 -- add-port br1 q2",
    "add-port br0 p3 tag=3 trunks=4,5 vlan_mode=trunk lacp=active -- add-bond br0 b0 e1 e2 e3 -- add-br fk br0 9",
    "set-controller br0 tcp:1.2.3.4 tcp:2.3.4.5 -- set-fail-mode br0 secure -- set-manager ptcp:6640 tcp:1.1.1.1",
    "set bridge br0 datapath_type=netdev stp_enable=true protocols=OpenFlow13 'external_ids:x=\"a,b\"'",
    "set interface p1 type=patch options:x=y options:b=true 'error=\"could not open it\"' ofport=-1 mtu=1500",
    "set interface p2 type=vxlan options:remote_ip=fc00::1 'options:e=\"\"' options:key=flow",
    "set open . ovs_version=3.1.0 external-ids:a=b -- set manager ptcp:6640 is_connected=true",
];

/// Lines that print what is there.
const READS: &[&str] = &[
    "show",
    "--oneline show",
    "list bridge br0 br1",
    "list interface p1",
    "list open",
    "-f table list bridge br0 br1",
    "-f table --columns=name,tag,trunks list port p1 p3 b0",
    "-f table --no-headings --columns=name,tag list port p1 p3",
    "-f table --max-column-width=8 --columns=name,options list interface p1 p2",
    "-f csv list bridge br0",
    "-f csv --no-headings --columns=name,external_ids,protocols list bridge br0 br1",
    "-f html --columns=name,options list interface p2",
    "-f json list interface p1 p2",
    "-f json --columns=name list port p1 -- --columns=name,tag list port p2",
    "-d json list interface p2",
    "-d bare list interface p2",
    "--bare list interface p2",
    "--bare --columns=name,options list interface p1 p2",
    "--bare get interface p2 options",
    "--no-heading --columns=name list port p1",
    "--columns=name,name list port p1",
    "--columns=name find port name=zz -- --columns=name list port p1 -- --columns=name find port name=zz -- --columns=name list port p2",
    "-f csv --columns=name list port p1 -- --columns=name,tag list port p2",
    "-f table --columns=name list port p1 -- --columns=name,tag list port p2",
    "-f html --columns=name list port p1 -- --columns=name,tag list port p2",
    "list-br -- --columns=name list port p1 -- list-br",
    "--oneline list-br -- --columns=name list port p1 -- list-br -- br-exists br0",
    "get bridge br0 ports controller _uuid",
    "list-ports br0 -- list-ifaces br0",
];

#[test]
fn the_same_database_prints_the_same() {
    same_prints(&Server::stock());
}

#[test]
fn the_same_database_on_our_server_prints_the_same() {
    same_prints(&Server::own());
}

fn same_prints(server: &Server) {
    for line in MAKE {
        assert_eq!(server.theirs(line).code, Some(0), "{line}");
    }
    for line in READS {
        let (want, got) = (server.theirs(line), server.ours(line));
        assert_eq!((got.out, got.code), (want.out, want.code), "{line}");
    }
}

/// What the stock tool lets pass, or hangs on.
const STRICTER: &[(&str, i32, &str)] = &[
    (
        "add-br fk br0 1x",
        1,
        "add-br: vlan must be between 0 and 4095",
    ),
    (
        "add-bond br0 b9 f1 f1",
        1,
        "the interface f1 is named more than once",
    ),
    (
        "set-manager ptcp:1 ptcp:1",
        1,
        "the target \"ptcp:1\" is named more than once",
    ),
    (
        "--inactivity-probe=x set-controller br0 tcp:1.1.1.1",
        1,
        "--inactivity-probe wants a number of milliseconds",
    ),
    (
        "get bridge br0 optionz -- list-br",
        1,
        "Bridge does not contain a column whose name matches \"optionz\"",
    ),
    (
        "ad-br br0",
        1,
        "unknown command 'ad-br'; use --help for help (did you mean add-br?)",
    ),
    (
        "set interfaec br0 type=x",
        1,
        "unknown table \"interfaec\" (did you mean Interface?)",
    ),
    (
        "list-ports br1",
        1,
        "no bridge named br1 (did you mean br0?)",
    ),
    (
        "-t 1 wait-until bridge br7",
        142,
        "timed out after 1 seconds",
    ),
];

#[test]
fn stricter_than_stock() {
    stricter_than_stock_on(&Server::stock());
    stricter_than_stock_on(&Server::own());
}

fn stricter_than_stock_on(server: &Server) {
    assert_eq!(server.ours("add-br br0").code, Some(0));
    let before = server.contents();
    for (line, code, err) in STRICTER {
        let got = server.ours(line);
        assert_eq!(got.code, Some(*code), "{line}\n{}", got.err);
        assert_eq!(without_uuids(&got.err), format!("vsctl: {err}\n"), "{line}");
        assert_eq!(server.contents(), before, "{line}");
    }
}

#[test]
fn a_refusal_is_printed_plainly_and_changes_nothing() {
    for server in [Server::stock(), Server::own()] {
        assert_eq!(server.ours("add-br br0").code, Some(0));
        let before = server.contents();
        let ran = server
            .ours("add-br br1 -- set bridge br0 mirrors=11111111-2222-3333-4444-555555555555");
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.err.starts_with("vsctl: ") && ran.err.contains("mirrors") && !ran.err.contains('{'),
            "{}",
            ran.err
        );
        assert_eq!(server.contents(), before);
    }
}

/// The manual says that `add` keeps the value of a key that is there; the stock tool of 3.1 replaces it.
#[test]
fn add_keeps_what_is_there() {
    let server = Server::stock();
    let ran = server.ours(
        "set open . other_config:a=b -- add open . other_config a=x c=d -- get open . other_config",
    );
    assert_eq!(ran.out, "{a=b, c=d}\n");
}

#[test]
fn a_new_row_is_printed_with_its_true_uuid() {
    let server = Server::stock();
    let made = server.ours("create queue dscp=1 -- list queue").out;
    let uuid = made.lines().next().unwrap().to_owned();
    assert_eq!(made.matches(&uuid).count(), 2, "{made}");
    assert_eq!(
        server
            .theirs("--bare --columns=_uuid list queue")
            .out
            .trim(),
        uuid
    );
}

#[test]
fn json_for_every_command() {
    let server = Server::stock();
    let got = server.ours(
        "--json add-br br0 -- list-br -- get bridge br0 name fail_mode other_config -- --columns=name,tag list port",
    );
    assert_eq!(
        got.out,
        "null\n[\"br0\"]\n[\"br0\",null,{}]\n[{\"name\":\"br0\",\"tag\":null}]\n"
    );
    let show = without_uuids(&server.ours("--json show").out);
    let bridge = "{\"controller\":[],\"name\":\"br0\",\"ports\":[{\"interfaces\":[{\"name\":\"br0\",\"type\":\"internal\"}],\"name\":\"br0\"}]}";
    assert_eq!(
        show,
        format!("{{\"_uuid\":\"UUID\",\"bridges\":[{bridge}],\"manager_options\":[]}}\n")
    );
}

#[test]
fn nobody_listens() {
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_vsctl"))
        .env("OVS_RUNDIR", "/nonexistent")
        .arg("show")
        .output()
        .unwrap();
    let got = Ran::from(output);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(got.code, Some(1));
    let err = "vsctl: unix:/nonexistent/db.sock: database connection failed (No such file or directory): is the switch running? Start it with: switchd --rundir=/nonexistent\n";
    assert_eq!(got.err, err);
}

/// Clients that change one bridge at the same time do not undo each other.
#[test]
fn many_at_once() {
    many_at_once_on(&Server::stock());
    many_at_once_on(&Server::own());
}

fn many_at_once_on(server: &Server) {
    assert_eq!(server.ours("add-br br0").code, Some(0));
    std::thread::scope(|scope| {
        let add = |n| {
            scope.spawn(move || {
                server.ours(&format!(
                    "add-port br0 p{n} tag={n} -- --may-exist add-br br1"
                ))
            })
        };
        for ran in (0..12).map(add).collect::<Vec<_>>() {
            let ran = ran.join().unwrap();
            assert_eq!(ran.code, Some(0), "{}", ran.err);
        }
    });
    assert_eq!(server.ours("list-ports br0").out.lines().count(), 12);
    assert_eq!(server.ours("list-br").out, "br0\nbr1\n");
}

/// Something sets `cur_cfg` as the switch does, and what it writes beside it decides the exit code.
#[test]
fn waits_for_the_switch() {
    waits_for_the_switch_on(&Server::stock());
    waits_for_the_switch_on(&Server::own());
}

fn waits_for_the_switch_on(server: &Server) {
    assert_eq!(
        server
            .ours("add-br br0 -- add-port br0 p1 -- add-port br0 p2")
            .code,
        Some(0)
    );
    let waiting = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vsctl"));
        command
            .args([format!("--db={}", server.target()), "-t20".into()])
            .args(words(line));
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let apply = |cfg: u32, more: &str| {
        assert_eq!(
            server
                .ours(&format!(
                    "wait-until open . next_cfg={cfg} -- {more} set open . cur_cfg={cfg}"
                ))
                .code,
            Some(0)
        );
    };
    let child = waiting("set interface p1 type=foo -- list-br");
    apply(
        1,
        "set interface p1 'error=\"no type foo\"' ofport=-1 -- set interface p2 'error=\"old\"' --",
    );
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (Some(65), "br0\n"));
    assert_eq!(
        ran.err,
        "vsctl: Error detected while setting up 'p1': no type foo\n"
    );
    let child = waiting("set interface p1 type=internal options:foo=1 options:bar=2");
    apply(
        2,
        "clear interface p1 error ofport -- set open . 'external_ids:tsunagi-no-effect=\"Bridge.ipfix,Interface.options:foo\"' --",
    );
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(
        ran.err,
        "vsctl: warning: Interface.options:foo is stored but has no effect yet\n"
    );
}
