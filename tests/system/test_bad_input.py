"""What is wrong is refused with words that name it, and everything stays as it was. The stock tools get the same answers."""

import json

import pytest
from lab import Lab, flows, stop, until
from wire import OpenFlow, unix_socket


@pytest.fixture(scope="module")
def site():
    lab = Lab()
    switch = lab.switch()
    switch.vsctl("add-br", "br0", "--", "set-fail-mode", "br0", "secure")
    switch.vsctl("add-port", "br0", "tun0", "--", "set", "Interface", "tun0", "type=vxlan",
                 "options:remote_ip=192.0.2.9", "options:key=9", "ofport_request=9")
    switch.ofctl("add-flow", "br0", "priority=1,actions=NORMAL")
    yield switch
    lab.close()


def state(switch):
    """All that a refused command must not change."""
    tables = ["Bridge", "Port", "Interface", "Controller"]
    stable = {"Interface": "name,type,options,ofport,ofport_request,mac", "Controller": "target,max_backoff"}
    rows = [switch.vsctl(f"--columns={stable[table]}" if table in stable else "--bare", "list", table).stdout
            for table in tables]
    root = switch.vsctl("--columns=other_config,bridges", "list", "Open_vSwitch").stdout
    return [sorted(text.splitlines()) for text in [*rows, root]], flows(switch.ofctl("dump-flows", "br0").stdout)


def refused(switch, tool, words, *names):
    before = state(switch)
    done = tool(*words, check=False)
    assert done.returncode != 0, f"accepted: {words}\n{done.stdout}{done.stderr}"
    for name in names:
        assert name in done.stderr, f"{name!r} is not named by: {done.stderr}"
    assert state(switch) == before


def port(kind, *columns, name="bad"):
    return ["add-port", "br0", name, "--", "set", "Interface", name, f"type={kind}", *columns]


REMOTE = "options:remote_ip=192.0.2.1"

# What is typed, and what the message has to name.
BAD_COMMANDS = [
    (["frob"], "frob"),
    (["add-brr", "br1"], "add-brr"),
    (["add-br"], "add-br"),
    (["add-br", "br0"], "br0"),
    (["del-br", "nope"], "nope"),
    (["del-port", "nope"], "nope"),
    (["list-ports", "nope"], "nope"),
    (["add-port", "nope", "p"], "nope"),
    (["add-port", "br0", "tun0"], "tun0"),
    (["set", "Bridgee", "br0", "fail_mode=secure"], "Bridgee"),
    (["set", "Bridge", "br9", "fail_mode=secure"], "br9"),
    (["set", "Bridge", "br0", "fail_moed=secure"], "fail_moed"),
    (["set", "Interface", "tun0", "optionz:key=1"], "optionz"),
    (["get", "Interface", "tun0", "nope"], "nope"),
    (["--frob", "show"], "frob"),
    (["-t", "abc", "show"], "abc"),
    (["add-port", "br0", "p1", "type=internal"], "Interface"),
]

# The same, where the database itself refuses, so that the stock tool gets the same answer.
BAD_VALUES = [
    (["set", "Bridge", "br0", "fail_mode=foo"], "foo"),
    (["set", "Bridge", "br0", "protocols=OpenFlow99"], "OpenFlow99"),
    (["set", "Bridge", "br0", "protocols=OpenFlow14"], "OpenFlow14"),
    (["set", "Bridge", "br0", "other_config:hwaddr=zz"], "zz"),
    (["set", "Bridge", "br0", "other_config:datapath-id=xyz"], "xyz"),
    (["set", "Bridge", "br0", "other_config:mac-aging-time=abc"], "abc"),
    (["set-controller", "br0", "tcq:127.0.0.1"], "tcq"),
    (["set-controller", "br0", "tcp:127.0.0.1:99999"], "99999"),
    (["set", "Open_vSwitch", ".", "other_config:pmd-cpu-mask=xyz"], "xyz"),
    (["set", "Open_vSwitch", ".", "other_config:pmd-sleep-max=-1"], "-1"),
    (["set", "Port", "tun0", "tag=4096"], "4096"),
    (["set", "Port", "tun0", "trunks=5000"], "5000"),
    (["set", "Port", "tun0", "vlan_mode=acess"], "acess"),
    (["set", "Interface", "tun0", "ofport_request=70000"], "70000"),
    (["set", "Interface", "tun0", "mtu_request=90000"], "90000"),
    (["set", "Interface", "tun0", "options:key=16777216"], "16777216"),
    (port("vxlam", REMOTE), "vxlam"),
    (port("vxlan"), "remote_ip"),
    (port("gre"), "remote_ip"),
    (port("vxlan", "options:remote_ip=10.0.0.300"), "10.0.0.300"),
    (port("vxlan", "options:remote_ip=224.0.0.1"), "224.0.0.1"),
    (port("vxlan", REMOTE, "options:local_ip=fc00::1"), "fc00::1"),
    (port("vxlan", REMOTE, "options:key=abc"), "abc"),
    (port("gre", REMOTE, "options:key=99999999999"), "99999999999"),
    (port("vxlan", REMOTE, "options:dst_port=70000"), "70000"),
    (port("vxlan", REMOTE, "options:ttl=foo"), "foo"),
    (port("vxlan", REMOTE, "options:tos=3"), "3"),
    (port("vxlan", REMOTE, "options:csum=maybe"), "maybe"),
    (port("vxlan", REMOTE, "options:df_default=maybe"), "maybe"),
    (port("vxlan", REMOTE, "options:bogus=1"), "bogus"),
    (port("vxlan", REMOTE, "options:remote-ip=1.1.1.1"), "remote-ip"),
    (port("vxlan", "options:remote_ip=192.0.2.9", "options:key=9"), "tun0"),
    (port("patch"), "peer"),
    (port("internal", "mac=\"zz:zz\""), "zz:zz"),
    (port("dpdk"), "dpdk-devargs"),
]

# Flows, and what the message has to name.
BAD_FLOWS = [
    ("nw_dst=10.0.0.1,actions=drop", "nw_dst"),
    ("ip,tcp_dst=80,actions=drop", "tcp_dst"),
    ("dl_vlan=5000,actions=drop", "5000"),
    ("ip,nw_dst=10.0.0.300,actions=drop", "10.0.0.300"),
    ("ip,nw_dst=10.0.0.0/40,actions=drop", "10.0.0.0/40"),
    ("ipv6,ipv6_dst=fc00:::1,actions=drop", "fc00:::1"),
    ("dl_dst=00:11:22:33:44,actions=drop", "00:11:22:33:44"),
    ("in_port=nope,actions=drop", "nope"),
    ("table=300,actions=drop", "300"),
    ("priority=70000,actions=drop", "70000"),
    ("ipp,actions=drop", "ipp"),
    ("reg99=1,actions=drop", "reg99"),
    ("cookie=zz,actions=drop", "zz"),
    ("ip", "actions"),
    ("actions=outptu:1", "outptu"),
    ("actions=output:nope", "nope"),
    ("actions=resubmit(,300)", "300"),
    ("actions=mod_vlan_vid:4096", "4096"),
    ("actions=mod_vlan_pcp:8", "8"),
    ("actions=mod_dl_dst:zz", "zz"),
    ("table=3,actions=goto_table:3", "3"),
    ("actions=load:0x10000->NXM_OF_VLAN_TCI[]", "0x10000"),
]


@pytest.mark.parametrize("words, name", BAD_COMMANDS, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_vsctl_commands(site, words, name):
    refused(site, site.vsctl, words, name)


@pytest.mark.parametrize("words, name", BAD_VALUES, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_values(site, words, name):
    refused(site, site.vsctl, words, name)
    refused(site, site.stock_vsctl, words, name)


@pytest.mark.parametrize("flow, name", BAD_FLOWS, ids=lambda value: value if "actions" in value else "")
def test_flows(site, flow, name):
    for version in [], ["-O", "OpenFlow13"]:
        refused(site, site.ofctl, [*version, "add-flow", "br0", flow], name)


def test_a_file_of_flows_names_its_line(site):
    before = state(site)
    done = site.ofctl("add-flows", "br0", "-", stdin="arp,actions=drop\n\n# a comment\nipp,actions=drop\n", check=False)
    assert done.returncode != 0 and "ipp" in done.stderr and "4" in done.stderr
    assert state(site) == before


def test_ofctl_commands(site):
    refused(site, site.ofctl, ["frob", "br0"], "frob")
    refused(site, site.ofctl, ["show"], "show")
    refused(site, site.ofctl, ["show", "nope"], "nope")
    refused(site, site.ofctl, ["-O", "OpenFlow99", "show", "br0"], "OpenFlow99")
    refused(site, site.ofctl, ["add-flows", "br0", "/nonexistent"], "/nonexistent")


def test_no_tag_stays_valid(site):
    site.ofctl("add-flow", "br0", "table=9,dl_vlan=0xffff,actions=drop")
    assert "vlan_tci=0x0000 " in site.ofctl("dump-flows", "br0", "table=9").stdout
    site.ofctl("del-flows", "br0", "table=9")


def test_a_device_that_does_not_exist(site):
    for tool in site.vsctl, site.stock_vsctl:
        done = tool("add-port", "br0", "nodev", check=False)
        assert "nodev" in done.stderr
        assert done.returncode != 0 or tool == site.stock_vsctl, "the stock tool reports, and exits with 0"
        error = site.vsctl("get", "Interface", "nodev", "error").stdout
        assert error.strip() != "[]" and "nodev" in site.vsctl("show").stdout
        site.vsctl("del-port", "nodev")


def test_a_busy_address(site):
    """Ours already: refused. Somebody else's: the row is kept, and its trouble is told."""
    site.vsctl("add-br", "br1", "--", "set-controller", "br0", "ptcp:6777:127.0.0.1")
    refused(site, site.vsctl, ["set-controller", "br1", "ptcp:6777:127.0.0.1"], "6777", "br0")
    other = site.namespace.start("python3", "-m", "http.server", "6778", "--bind", "127.0.0.1")
    until(lambda: ":6778" in site.namespace.run("ss", "-Hltn").stdout, "the other one listens")
    done = site.vsctl("set-controller", "br1", "ptcp:6778:127.0.0.1", check=False)
    assert done.returncode != 0 and "6778" in done.stderr and "in use" in done.stderr
    stop(other)
    site.vsctl("del-controller", "br0", "--", "del-br", "br1")


MALFORMED_JSON = [
    b'{"method":"echo","params":[],"id":1',
    b"}",
    b'{"method": nonsense}',
    b"[1,2,3]",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"method":"transact","params":["Open_vSwitch",{"op":"frob"}],"id":1}',
    b'{"method":"transact","params":["Nope"],"id":1}',
    b'{"method":"transact","params":5,"id":1}',
    b'{"method":"frob","params":[],"id":1}',
]


@pytest.mark.parametrize("data", MALFORMED_JSON, ids=lambda data: repr(data[:30]))
def test_malformed_json(site, data):
    before = state(site)
    client = unix_socket(site.rundir / "db.sock")
    try:
        client.sendall(data)
        client.shutdown(1)
        answer = b""
        while part := client.recv(65536):
            answer += part
        if answer:
            assert b"error" in answer
    except (BrokenPipeError, ConnectionResetError):
        pass
    client.close()
    assert state(site) == before


def test_an_unknown_operation_names_it(site):
    client = unix_socket(site.rundir / "db.sock")
    client.sendall(b'{"method":"transact","params":["Open_vSwitch",{"op":"frob"}],"id":7}')
    answer = json.loads(client.recv(65536))
    assert answer["id"] == 7 and "frob" in json.dumps(answer)
    client.close()


MALFORMED_OPENFLOW = {
    "a length below the header": dict(kind=2, size=4),
    "a length of zero": dict(kind=2, size=0),
    "a flow mod that is too short": dict(kind=14, body=bytes(4)),
    "an unknown type": dict(kind=99),
    "a version that was not negotiated": dict(kind=14, body=bytes(64), version=4),
    "a nonsense version": dict(kind=2, version=200),
    "a flow mod with an action that overruns": dict(kind=14, body=bytes(64) + b"\x00\x00\xff\xf8\x00\x01\x00\x00"),
    "a flow mod with an action of length zero": dict(kind=14, body=bytes(64) + bytes(8)),
    "a packet out whose actions overrun": dict(kind=13, body=b"\xff" * 8),
    "a statistics request that is cut": dict(kind=16, body=b"\x00"),
    "a vendor message of nobody": dict(kind=4, body=b"\xde\xad\xbe\xef" * 4),
}


@pytest.mark.parametrize("message", MALFORMED_OPENFLOW.values(), ids=MALFORMED_OPENFLOW.keys())
def test_malformed_openflow(site, message):
    """An error message or the end of the connection; never silence, never a change."""
    before = state(site)
    connection = OpenFlow(site.rundir / "br0.mgmt")
    connection.send(**message)
    try:
        kind, _, body = connection.receive()
        assert kind == OpenFlow.ERROR and len(body) >= 4
    except (EOFError, ConnectionResetError):
        pass
    connection.close()
    assert state(site) == before


def test_noise_before_hello(site):
    client = unix_socket(site.rundir / "br0.mgmt")
    try:
        client.sendall(b"GET / HTTP/1.1\r\nHost: switch\r\n\r\n" * 2000)
        while client.recv(4096):
            pass
    except (ConnectionResetError, BrokenPipeError):
        pass
    client.close()
    assert "flow_count" in site.ofctl("dump-aggregate", "br0").stdout
