"""Every command of the stock `ovs-ofctl` against our switch, in every version; and what our `ofctl` adds to them."""

import json
import re
import subprocess

import pytest
from lab import BIN, flows, stop, until
from wire import OpenFlow

VERSIONS = ["OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"]
ARP = "ffffffffffff5054000000050806000108000604000150540000000501020304000000000000010203050000"


@pytest.fixture(scope="module")
def site(shared_lab):
    """A bridge with three ports, each cabled to a host."""
    switch = shared_lab.switch()
    switch.vsctl("add-br", "br0", "--", "set-fail-mode", "br0", "secure")
    for number in 1, 2, 3:
        shared_lab.host(switch, f"p{number}", f"10.0.0.{number}/24")
        switch.vsctl("add-port", "br0", f"p{number}", "--", "set", "Interface", f"p{number}", f"ofport_request={number}")
    return switch


@pytest.fixture(scope="module")
def stock_site(shared_lab):
    """The same bridge of Open vSwitch."""
    switch = shared_lab.stock_switch()
    switch.add_br("br0")
    switch.vsctl("set", "Bridge", "br0", "fail_mode=secure", f"protocols={','.join(VERSIONS)}")
    return switch


@pytest.fixture(autouse=True)
def empty(site):
    site.ofctl("del-flows", "br0")


def both(site, *words):
    """What both tools print, without what differs between two moments."""
    return [steady(tool(*words).stdout) for tool in (site.ofctl, site.stock_ofctl)]


def steady(text):
    words = []
    for word in text.replace("=", " = ").replace(",", " , ").split():
        words.append("N" if word.replace(".", "").rstrip("s").isdigit() else word)
    return [word for word in words if not word.startswith("0x") and not word.startswith("(xid")]


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_are_those_of_open_vswitch(site, stock_site, version):
    """All that is said of tables, by either tool, of either switch: names, limits, misses, what they match and do."""
    def said(tool, command):
        text = tool("-O", version, command, "br0").stdout
        # Counters of Open vSwitch are late; ours can do more, also than the stock tool has names for.
        text = re.sub(r"lookup=\d+, matched=\d+|xid=0x[0-9a-f]+|(not )?supported$", "?", text, flags=re.M)
        for theirs in " copy_ttl_out copy_ttl_in", " push_pbb pop_pbb", " copy_field meter", " stat_trigger":
            text = text.replace(theirs, "")
        if command == "dump-table-features":
            text = re.sub(r"(Set-Field|mask|wildcard): .*", r"\1: fields", text)
        return text
    commands = ["dump-tables"] + ["dump-table-features"] * (version >= "OpenFlow13")
    for switch in site, stock_site:
        switch.vsctl("--", "--id=@t", "create", "Flow_Table", "name=small", "flow_limit=100",
                     "--", "set", "Bridge", "br0", "flow_tables:30=@t")
        switch.ofctl("-O", "OpenFlow13", "mod-table", "br0", "3", "name:three")
        switch.ofctl("-O", "OpenFlow13", "mod-table", "br0", "7", "name:seven")
        switch.ofctl("add-flow", "br0", "table=3,arp,actions=drop")
        switch.ofctl("add-flow", "br0", "table=0,arp,actions=drop")
        if version == "OpenFlow12":
            switch.ofctl("-O", version, "mod-table", "br0", "9", "drop")
    try:
        for command in commands:
            ours, stock = said(site.ofctl, command), said(site.stock_ofctl, command)
            assert ours == stock == said(stock_site.ofctl, command)
            assert '("three")' in ours or version >= "OpenFlow13" and command == "dump-tables"
    finally:
        for switch in site, stock_site:
            if version == "OpenFlow12":
                switch.ofctl("-O", version, "mod-table", "br0", "9", "controller")
            switch.ofctl("-O", "OpenFlow13", "mod-table", "br0", "7", "name:")
            switch.ofctl("-O", "OpenFlow13", "mod-table", "br0", "3", "name:")
            switch.vsctl("clear", "Bridge", "br0", "flow_tables")
            switch.ofctl("del-flows", "br0")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("command", [
    "show", "dump-desc", "dump-ports", "dump-ports-desc", "dump-flows", "dump-aggregate", "queue-stats",
    "queue-get-config", "get-frags", "probe", "ping"])
def test_questions(site, command, version):
    site.stock_ofctl("add-flow", "br0", "priority=7,ip,nw_dst=10.0.0.0/8,actions=dec_ttl,output:2")
    ours, stock = both(site, "-O", version, command, "br0")
    if command != "ping":
        assert ours == stock


@pytest.mark.parametrize("version", ["OpenFlow14", "OpenFlow15"])
def test_tables(site, version):
    site.stock_ofctl("-O", version, "mod-table", "br0", "2", "vacancy:20,80")
    ours, stock = both(site, "-O", version, "dump-table-desc", "br0")
    assert ours == stock
    assert "vacancy_down" in stock
    site.stock_ofctl("-O", version, "mod-table", "br0", "2", "novacancy")
    site.stock_ofctl("-O", version, "mod-table", "br0", "3", "evict")
    site.stock_ofctl("-O", version, "mod-table", "br0", "3", "noevict")


@pytest.mark.parametrize("version", VERSIONS)
def test_changes_of_flows(site, version, tmp_path):
    file = tmp_path / "flows"
    stock = lambda *words: site.stock_ofctl("-O", version, *words)
    left = lambda: [flow.strip() for flow in site.ofctl("--no-stats", "dump-flows", "br0").stdout.splitlines()]
    stock("add-flow", "br0", "priority=5,arp,actions=output:1")
    stock("mod-flows", "br0", "arp,actions=output:2")
    assert left() == ["priority=5,arp actions=output:2"]
    stock("--strict", "del-flows", "br0", "priority=4,arp")
    assert len(left()) == 1
    file.write_text("priority=5,arp,actions=output:3\npriority=6,ip,actions=drop\n")
    assert site.stock_ofctl("-O", version, "diff-flows", "br0", str(file), check=False).returncode == 2
    stock("replace-flows", "br0", str(file))
    assert stock("diff-flows", "br0", str(file)).stdout == ""
    stock("del-flows", "br0", "ip")
    assert left() == ["priority=5,arp actions=output:3"]
    stock("packet-out", "br0", f"in_port=1 packet={ARP} actions=output:2")
    for action in "down", "up", "no-receive", "receive", "no-forward", "forward", "no-packet-in", "packet-in":
        stock("mod-port", "br0", "p3", action)


def test_bundles(site, tmp_path):
    file = tmp_path / "flows"
    file.write_text("priority=6,ip,actions=drop\npriority=5,udp,actions=group:77\n")
    for tool in site.ofctl, site.stock_ofctl:
        done = tool("-O", "OpenFlow14", "--bundle", "add-flows", "br0", str(file), check=False)
        assert done.returncode != 0 and "OFPBAC_BAD_OUT_GROUP" in done.stderr + done.stdout
        assert flows(site.ofctl("dump-flows", "br0").stdout) == []
    file.write_text("priority=6,ip,actions=drop\npriority=5,udp,actions=output:2\n")
    for tool in site.ofctl, site.stock_ofctl:
        tool("-O", "OpenFlow14", "--bundle", "add-flows", "br0", str(file))
        assert len(flows(site.ofctl("dump-flows", "br0").stdout)) == 2
        tool("-O", "OpenFlow14", "--bundle", "del-flows", "br0")


def test_replace_flows_sends_the_difference(site, tmp_path):
    file = tmp_path / "flows"
    site.ofctl("add-flow", "br0", "priority=1,ip,actions=output:1")
    site.ofctl("add-flow", "br0", "priority=2,arp,actions=output:1")
    file.write_text("priority=1,ip,actions=output:1\npriority=3,tcp,actions=output:2\n")
    assert site.ofctl("diff-flows", "br0", str(file), check=False).returncode == 2
    site.ofctl("replace-flows", "br0", str(file))
    assert site.ofctl("diff-flows", "br0", str(file)).stdout == ""
    dump = site.stock_ofctl("--no-stats", "dump-flows", "br0").stdout
    assert sorted(dump.split("\n")) == ["", " priority=1,ip actions=output:1", " priority=3,tcp actions=output:2"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("command", ["dump-ipfix-bridge", "dump-ipfix-flow"])
def test_what_is_not_there_is_said_as_by_open_vswitch(site, stock_site, command, version):
    ours, stock, other = (
        tool("-O", version, command, "br0", check=False)
        for tool in (site.ofctl, site.stock_ofctl, stock_site.ofctl))
    assert plain(ours.stdout) == plain(stock.stdout) == plain(other.stdout)
    assert "NXST_NOT_CONFIGURED" in ours.stdout and ours.returncode == stock.returncode == other.returncode


@pytest.fixture
def bare(site, stock_site):
    """Neither switch has flows, groups, meters or a map of options."""
    def clear():
        for switch in site, stock_site:
            for command in "del-flows", "del-groups", "del-meters", "del-tlv-map":
                switch.ofctl("-O", "OpenFlow13", command, "br0")
    clear()
    yield
    clear()


def plain(text):
    """What is said, without ids and times, without what ours can do more, and how many of a thing there may be."""
    for more in " copy_ttl_out copy_ttl_in", " push_pbb pop_pbb", " copy_field meter":
        text = text.replace(more, "")
    changing = r"xid=0x[0-9a-f]+|duration[:=][\d.]+s|ref_count=\d+|max_\w+[=:]\w+|space=\d+|Capabilities: .*"
    return re.sub(changing, "?", text)


def same_on_both(site, stock_site, version, *commands):
    """What both tools say of ours, and the stock tool of Open vSwitch, is the same."""
    for command in commands:
        words = ["-O", version, command.split()[0], "br0", *command.split()[1:]]
        said = [plain(tool(*words).stdout) for tool in (site.ofctl, site.stock_ofctl, stock_site.ofctl)]
        assert said[0] == said[1], command
        # Open vSwitch has no order of groups.
        assert sorted(said[1].splitlines()) == sorted(said[2].splitlines()), command
    return said[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_groups(site, stock_site, bare, version):
    """By the stock tool on Open vSwitch, and by ours on ours."""
    for switch in site, stock_site:
        def change(command, *words, check=True):
            return switch.ofctl("-O", version, command, "br0", *words, check=check)
        change("add-group", "group_id=1,type=select,bucket=weight:5,actions=output:2,bucket=weight:3,actions=output:3")
        change("add-group", "group_id=2,type=ff,bucket=watch_port:2,actions=output:2,bucket=watch_group:1,actions=output:3")
        change("add-group", "group_id=3,type=all,bucket=actions=mod_nw_ttl:5,output:1")
        change("mod-group", "group_id=3,type=indirect,bucket=actions=group:1")
        switch.ofctl("-O", version, "--may-create", "mod-group", "br0", "group_id=9,type=all,bucket=actions=group:3")
        change("del-groups", "group_id=2")
        again = change("add-group", "group_id=3,type=all,bucket=actions=output:1", check=False)
        assert "OFPGMFC_GROUP_EXISTS" in again.stdout + again.stderr
        if version == "OpenFlow15":
            change("insert-buckets", "group_id=1,command_bucket_id=first,bucket=bucket_id:7,weight:1,actions=output:1")
            change("remove-buckets", "group_id=1,command_bucket_id=0")
    said = same_on_both(site, stock_site, version, "dump-group-features", "dump-group-stats", "dump-groups")
    assert "group_id=9,type=all,bucket=" in said and "group_id=2" not in said

@pytest.mark.parametrize("version", VERSIONS[3:])
def test_meters(site, stock_site, bare, version):
    for switch in site, stock_site:
        def change(command, *words, check=True):
            return switch.ofctl("-O", version, command, "br0", *words, check=check)
        change("add-meter", "meter=1,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=500")
        change("add-meter", "meter=2,pktps,bands=type=drop,rate=10")
        change("add-meter", "meter=3,pktps,bands=type=drop,rate=10")
        change("mod-meter", "meter=2,kbps,bands=type=drop,rate=64")
        change("del-meter", "meter=3")
        again = change("add-meter", "meter=2,kbps,bands=type=drop,rate=64", check=False)
        assert "OFPMMFC_METER_EXISTS" in again.stdout + again.stderr
        change("add-flow", "ip,actions=meter:1,output:2")
    same_on_both(site, stock_site, version, "dump-meters", "dump-meter meter=1")
    ours, stock = both(site, "-O", version, "meter-features", "br0")
    assert ours == stock
    stats = same_on_both(site, stock_site, version, "meter-stats meter=2", "meter-stats")
    assert "meter:1 flow_count:1 " in stats

@pytest.mark.parametrize("version", [version for version in VERSIONS if version != "OpenFlow11"])
def test_options_of_tunnels(site, stock_site, bare, version):
    for switch in site, stock_site:
        switch.ofctl("-O", version, "add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0")
        switch.ofctl("-O", version, "add-tlv-map", "br0", "{class=0xffff,type=1,len=8}->tun_metadata1")
        switch.ofctl("-O", version, "del-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0")
    said = same_on_both(site, stock_site, version, "dump-tlv-map")
    assert "tun_metadata1" in said and "tun_metadata0" not in said

@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_bundle_of_all_kinds(site, stock_site, bare, version, tmp_path):
    """Flows, groups and a packet in a file, done by both tools on both switches."""
    file = tmp_path / "changes"
    file.write_text(
        "group add group_id=5,type=all,bucket=actions=output:2\n"
        "flow add priority=5,ip,actions=group:5\nflow add priority=6,arp,actions=drop\n"
        "flow delete_strict priority=6,arp\n"
        f"packet-out in_port=1 packet={ARP} actions=drop\n")
    for tool in site.ofctl, site.stock_ofctl, stock_site.ofctl:
        done = tool("-O", version, "bundle", "br0", str(file), check=False)
        if done.returncode:
            assert version < "OpenFlow13", done.stderr
            continue
        [flow] = flows(tool("-O", version, "dump-flows", "br0").stdout)
        assert flow.endswith("priority=5,ip actions=group:5")
        assert "group_id=5,type=all" in tool("-O", version, "dump-groups", "br0").stdout
        tool("-O", version, "del-groups", "br0")
        assert flows(tool("-O", version, "dump-flows", "br0").stdout) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_flow_monitors(site, version):
    """Both tools print the same while flows come, change and go, with names of ports and tables."""
    site.ofctl("add-flow", "br0", "priority=1,ip,actions=output:1")
    for names in "--names", "--no-names":
        logs, watchers = [], []
        try:
            for tool in "ovs-ofctl", BIN / "ofctl":
                logs.append(site.rundir / f"watch{len(logs)}.out")
                watchers.append(site.namespace.start(
                    tool, "-O", version, names, "monitor", "br0", "watch:", env=site.env, stdout=open(logs[-1], "wb"),
                    stderr=subprocess.STDOUT))
                until(lambda: "event=" in logs[-1].read_text(), "the first flow is told")
            site.ofctl("-O", version, "add-flow", "br0", "table=3,priority=7,in_port=2,actions=output:3")
            site.ofctl("-O", version, "mod-flows", "br0", "table=3,in_port=2,actions=output:1,resubmit(,4)")
            site.ofctl("-O", version, "del-flows", "br0", "table=3")
            until(lambda: all("DELETED" in log.read_text() for log in logs), "the end is told")
            ours, stock = (plain(log.read_text()) for log in logs)
            assert ours == stock
        finally:
            for watcher in watchers:
                stop(watcher)


@pytest.mark.parametrize("version", VERSIONS)
def test_settings(site, stock_site, version):
    """Commands that change what is not a flow."""
    for switch in site, stock_site:
        switch.ofctl("-O", version, "set-frags", "br0", "nx-match")
    same_on_both(site, stock_site, version, "get-frags")
    for switch in site, stock_site:
        switch.ofctl("-O", version, "set-frags", "br0", "normal")
    for command in ["ct-flush"], ["ct-flush", "zone=1"], ["ct-flush-zone", "1"]:
        ours, stock = (tool("-O", version, command[0], "br0", *command[1:], check=False).stdout
                       for tool in (site.ofctl, site.stock_ofctl))
        assert plain(ours) == plain(stock)
    assert "packets/s" in site.stock_ofctl("-O", version, "benchmark", "br0", "100", "10").stdout
    assert "packets/s" in site.ofctl("-O", version, "benchmark", "br0", "100", "10").stdout
    if version == "OpenFlow15":
        assert "OFPST_BUNDLE_FEATURES" in site.ofctl("-O", version, "dump-bundle-features", "br0").stdout
        assert "OFPST_" in site.ofctl("-O", version, "dump-flow-counts", "br0").stdout


def test_read_only_refuses_changes(site):
    done = site.ofctl("--read-only", "add-flow", "br0", "actions=drop", check=False)
    assert done.returncode != 0 and "--read-only" in done.stderr
    site.ofctl("--read-only", "dump-flows", "br0")


def appctl(site, *words):
    control = f"{site.rundir}/ovs-vswitchd.{site.pid()}.ctl"
    return subprocess.run(["ovs-appctl", "-t", control, *words], capture_output=True, text=True, timeout=20)


def test_trace(site):
    site.ofctl("add-flows", "br0", "-", stdin="\n".join([
        "priority=100,ip,nw_dst=10.0.0.0/24,actions=dec_ttl,resubmit(,1),output:2",
        "table=1,tcp,tp_dst=80,actions=mod_dl_dst:00:11:22:33:44:55,output:3",
        "priority=1,arp,actions=NORMAL"]) + "\n")
    flow = "in_port=1,tcp,nw_dst=10.0.0.1,nw_ttl=64,tp_dst=80"
    want = [
        "bridge(\"br0\")", "-------------",
        " 0. ip,nw_dst=10.0.0.0/24, priority 100", "    dec_ttl", "    resubmit(,1)",
        "     1. tcp,tp_dst=80, priority 32768",
        "            mod_dl_dst:00:11:22:33:44:55", "            output:3", "    output:2"]
    text = appctl(site, "ofproto/trace", "br0", flow).stdout
    assert text.splitlines()[2:2 + len(want)] == want
    assert "\nDatapath actions: set(eth(dst=00:11:22:33:44:55)),set(ipv4(ttl=63)),3,2\n" in text
    text = site.ofctl("trace", "br0", flow).stdout
    assert text.splitlines()[2:2 + len(want)] == want and "  2 (p2): eth(dst=00:11:22:33:44:55)" in text
    told = json.loads(site.ofctl("--json", "trace", "br0", flow).stdout)
    assert [frame["name"] for frame in told["frames"]] == ["p3", "p2"] and told["drops"] == []
    # A frame in the language of the cases, and one in hexadecimal; nothing is learnt from them.
    for packet in "eth(src=50:54:00:00:00:05) arp(1.2.3.4->1.2.3.5)", ARP:
        assert "flooding" in site.ofctl("trace", "br0", "in_port=p1", packet).stdout
    assert "50:54:00" not in appctl(site, "fdb/show", "br0").stdout
    assert "no_rule" in site.ofctl("trace", "br0", "in_port=1,udp").stdout
    assert " n_packets=0, " in site.ofctl("dump-flows", "br0", "arp").stdout
    site.ofctl("--generate", "trace", "br0", "in_port=p1", ARP)
    assert " n_packets=1, " in site.ofctl("dump-flows", "br0", "arp").stdout
    for words in ["br7", flow], ["br0", "bogus=1"], ["br0", "in_port=1", "zz"], ["br0"]:
        assert appctl(site, "ofproto/trace", *words).returncode != 0


def test_watch_and_lint(site, tmp_path):
    site.ofctl("add-flow", "br0", "actions=NORMAL")
    ports = json.loads(site.ofctl("--json", "--once", "--interval", "0.1", "watch", "br0", "ports").stdout)
    assert {"p1", "p2", "p3"} <= {port["name"] for port in ports}
    assert "actions=NORMAL" in site.ofctl("--count", "2", "--interval", "0.1", "watch", "br0", "flows").stdout
    file = tmp_path / "flows"
    file.write_text("priority=9,ip,actions=output:1\npriority=5,tcp,actions=output:2\n")
    done = site.ofctl("lint", str(file), check=False)
    assert done.returncode == 1 and "2: column 1: warning" in done.stdout and "no packet reaches it" in done.stdout
    assert json.loads(site.ofctl("--json", "lint", str(file), check=False).stdout)[0]["kind"] == "unreachable"
    file.write_text("priority=9,tcp,actions=output:1\npriority=5,ip,actions=output:2\n")
    assert site.ofctl("lint", str(file)).stdout == ""


@pytest.mark.parametrize("version", [1, 4, 6])
def test_snoop(site, version):
    """Both tools see what the bridge and a controller say to each other, and nothing of who only manages."""
    path = site.rundir / "snooped.sock"
    site.vsctl("set-controller", "br0", f"punix:{path}")
    until(path.exists, "the controller's socket")
    logs, snoopers = [], []
    parts = [f"OFPT_{part}" for part in (
        "HELLO", "ECHO_REQUEST", "ECHO_REPLY", "FEATURES_REQUEST", "FEATURES_REPLY", "ERROR")]
    try:
        for tool in "ovs-ofctl", BIN / "ofctl":
            logs.append(site.rundir / f"snoop{len(logs)}.out")
            snoopers.append(site.namespace.start(
                tool, "snoop", "br0", env=site.env, stdout=open(logs[-1], "wb"), stderr=subprocess.STDOUT))

        def speak():
            controller = OpenFlow(path, version)
            controller.send(controller.ECHO, b"tsunagi")
            controller.expect(3)
            controller.send(5)
            controller.expect(6)
            controller.send(99)
            controller.expect(controller.ERROR)
            controller.close()
            site.ofctl("dump-desc", "br0")
            # A snooper may come in the midst of a conversation; then the next one is whole.
            return all(part in log.read_text() for log in logs for part in parts)
        until(speak, "both see all that is said")
        assert not any("OFPST_DESC" in log.read_text() for log in logs)
    finally:
        for snooper in snoopers:
            stop(snooper)
        site.vsctl("del-controller", "br0")


@pytest.mark.parametrize("version", ["OpenFlow13", "OpenFlow14", "OpenFlow15"])
def test_names_of_tables(site, version):
    """Each tool gives a table a name; both print it, and take it where a number stands."""
    for tool, name in (site.ofctl, "gate"), (site.stock_ofctl, "yard"):
        tool("-O", version, "mod-table", "br0", "7", f"name:{name}")
        for add in site.ofctl, site.stock_ofctl:
            add("-O", version, "add-flow", "br0", f"table={name},priority=3,actions=drop")
            add("-O", version, "add-flow", "br0", f"priority=4,ip,actions=resubmit(,{name}),goto_table:{name}")
        ours, stock = both(site, "-O", version, "--names", "--no-stats", "dump-flows", "br0")
        assert ours == stock and name in "".join(ours)
        ours, stock = both(site, "-O", version, "--no-names", "--no-stats", "dump-flows", "br0")
        assert ours == stock and name not in "".join(ours)
        assert name in "".join(both(site, "-O", version, "dump-table-features", "br0")[0])
        site.ofctl("del-flows", "br0")
    site.ofctl("mod-table", "br0", "7", "name:")
