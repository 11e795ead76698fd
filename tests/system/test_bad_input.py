"""What is wrong is refused with words that name it, and everything stays as it was. The stock tools get the same answers."""

import json

import pytest
from lab import flows, stop, until
from wire import OpenFlow, unix_socket


@pytest.fixture(scope="module")
def site(shared_lab):
    switch = shared_lab.switch()
    switch.vsctl("add-br", "br0", "--", "set-fail-mode", "br0", "secure")
    switch.vsctl("add-port", "br0", "tun0", "--", "set", "Interface", "tun0", "type=vxlan",
                 "options:remote_ip=192.0.2.9", "options:key=9", "ofport_request=9")
    switch.ofctl("add-flow", "br0", "priority=1,actions=NORMAL")
    yield switch


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
    (["set", "Bridge", "br0", "other_config:hwaddr=zz"], "zz"),
    (["set", "Bridge", "br0", "other_config:datapath-id=xyz"], "xyz"),
    (["set", "Bridge", "br0", "other_config:mac-aging-time=abc"], "abc"),
    (["set-controller", "br0", "tcq:127.0.0.1"], "tcq"),
    (["set-controller", "br0", "tcp:127.0.0.1:99999"], "99999"),
    (["set", "Open_vSwitch", ".", "other_config:pmd-cpu-mask=xyz"], "xyz"),
    (["set", "Open_vSwitch", ".", "other_config:pmd-sleep-max=-1"], "-1"),
    (["set", "Open_vSwitch", ".", "other_config:flow-cache-entries=1048577"], "1048577"),
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

LOCAL_AND_PEER = ["options:local_session_id=1", "options:peer_session_id=2"]
LEAST = {
    "vxlan": [REMOTE],
    "gre": [REMOTE],
    "geneve": [REMOTE],
    "l2tpv3": [REMOTE, *LOCAL_AND_PEER],
    "gpw": ["options:remote_ip=fd00::1"],
}
KEY_24, KEY_32 = "a number from 0 to 16777215, or flow", "a number from 0 to 4294967295, or flow"
ID, PORT, BOOL = "a number from 1 to 4294967295", "a number from 1 to 65535", "true or false"
COOKIE = "8 or 16 hexadecimal digits"
FRAGMENT = "auto, always, never, or mtu:N with N from 576 (IPv6: 1280) to 65535"

# Type of a tunnel that is right so far, an option that is not, and what is allowed in words.
BAD_OPTIONS = [
    ("vxlan", "remote_ip=host.example", "host names are not looked up"),
    ("vxlan", "remote_ip=ff02::1", "a unicast IPv4 or IPv6 address"),
    ("l2tpv3", "remote_ip=flow", "a unicast IPv4 or IPv6 address"),
    ("gpw", "remote_ip=flow", "a unicast IPv6 address"),
    ("gpw", "remote_ip=192.0.2.1", "a unicast IPv6 address"),
    ("vxlan", "local_ip=flow", "remote_ip=flow"),
    ("vxlan", "local_ip=0.0.0.0", "a unicast IPv4 or IPv6 address"),
    ("geneve", "key=16777216", KEY_24),
    ("vxlan", "in_key=-1", KEY_24),
    ("gre", "out_key=4294967296", KEY_32),
    ("geneve", "dst_port=0", PORT),
    ("geneve", "csum=1", BOOL),
    ("gre", "tos=256", "inherit"),
    ("gre", "ttl=0", "1 to 255"),
    ("geneve", "df_default=yes", BOOL),
    ("vxlan", "fragment=yes", FRAGMENT),
    ("vxlan", "fragment=mtu:575", FRAGMENT),
    ("gre", "fragment=mtu:65536", FRAGMENT),
    ("vxlan", "egress_pkt_mark=-1", "a number from 0 to 4294967295"),
    ("vxlan", "exts=gbq", "gbp or gpe"),
    ("vxlan", "packet_type=legacy_l3", "gpe"),
    ("gre", "packet_type=l3", "legacy_l2, legacy_l3 or ptap"),
    ("gre", "seq=both", BOOL),
    ("l2tpv3", "encap=tcp", "udp or ip"),
    ("l2tpv3", "local_session_id=0", ID),
    ("l2tpv3", "peer_session_id=4294967296", ID),
    ("l2tpv3", "local_tunnel_id=x", ID),
    ("l2tpv3", "peer_tunnel_id=0", ID),
    ("l2tpv3", "local_port=0", PORT),
    ("l2tpv3", "peer_port=65536", PORT),
    ("l2tpv3", "cookie=dead", COOKIE),
    ("l2tpv3", "peer_cookie=zzzzzzzz", COOKIE),
    ("l2tpv3", "sublayer=cisco", "default or none"),
    ("l2tpv3", "seq=true", "none, send, recv or both"),
    ("l2tpv3", "pw_type=atm", "ethernet or vlan"),
    ("l2tpv3", "pw_type=vlan", "service_vid"),
    ("l2tpv3", "service_vid=7", "pw_type=vlan"),
    ("l2tpv3", "service_vid=4095", "a number from 1 to 4094"),
    ("gpw", "gpw_order=network", "little or big"),
    ("gpw", "gpw_reassembly=any", "in-order or tolerant"),
    ("gpw", "via=lo", "remote_mac"),
    # Options of other types, and the nearest of its own.
    ("vxlan", "cookie=deadbeef", "unknown for type"),
    ("gre", "dst_port=4789", "unknown for type"),
    ("l2tpv3", "key=5", "unknown for type"),
    ("gpw", "csum=true", "unknown for type"),
    ("vxlan", "fragmnt=auto", "fragment"),
    ("l2tpv3", "local_sesion_id=5", "local_session_id"),
]

# A whole interface, and what the message has to name.
BAD_TUNNELS = [
    (port("l2tpv3", REMOTE), "local_session_id", "peer_session_id"),
    (port("l2tpv3", REMOTE, *LOCAL_AND_PEER, "options:encap=ip", "options:local_port=5"), "local_port", "encap=udp"),
    (port("l2tpv3", REMOTE, *LOCAL_AND_PEER, "options:sublayer=none", "options:seq=both"), "seq", "sublayer"),
    (port("l2tpv3", REMOTE, *LOCAL_AND_PEER, "options:udp_sport=5", "options:local_port=5"), "udp_sport", "local_port"),
    (port("gpw"), "remote_ip", "remote_mac"),
    (port("gpw", "options:remote_mac=\"02:00:00:00:00:01\""), "remote_mac", "via"),
    (port("gpw", "options:remote_mac=\"01:00:00:00:00:01\"", "options:via=lo"), "01:00:00:00:00:01", "unicast"),
    (port("gpw", "options:remote_mac=\"02:00:00:00:00:01\"", "options:via=tun0"), "via", "tun0"),
    (port("gpw", "options:remote_mac=\"02:00:00:00:00:01\"", "options:via=lo", "options:ttl=3"), "ttl", "remote_mac"),
    (port("vxlan", "options:remote_ip=fd00::1", "options:fragment=mtu:1279"), "mtu:1279", "1280"),
    # Received packets could not be told apart from those of tun0.
    (port("vxlan", "options:remote_ip=192.0.2.9", "options:in_key=9", "options:fragment=never"), "tun0", "dst_port"),
    (port("geneve", REMOTE, "options:dst_port=4789"), "tun0", "4789"),
    (port("l2tpv3", REMOTE, *LOCAL_AND_PEER, "options:local_port=4789"), "tun0", "4789"),
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


@pytest.mark.parametrize("kind, option, right", BAD_OPTIONS, ids=lambda value: value)
def test_tunnel_options(site, kind, option, right):
    name, word = option.split("=", 1)
    least = [one for one in LEAST[kind] if not one.startswith(f"options:{name}=")]
    for tool in site.vsctl, site.stock_vsctl:
        refused(site, tool, port(kind, *least, f'options:{name}="{word}"'), name, right)


@pytest.mark.parametrize("words, names", [(words, names) for words, *names in BAD_TUNNELS],
                         ids=lambda value: " ".join(value[7:]) if "--" in value else "")
def test_tunnels(site, words, names):
    refused(site, site.vsctl, words, *names)
    refused(site, site.stock_vsctl, words, *names)


def test_tunnels_that_cannot_be_told_apart(site):
    """A pair of each type in one transaction: neither is there afterwards."""
    for kind, least in LEAST.items():
        pair = port(kind, *least, name="one") + ["--"] + port(kind, *least, name="two")
        for tool in site.vsctl, site.stock_vsctl:
            refused(site, tool, pair, "one", "two", "change one of them")


def test_a_wrong_change_leaves_a_tunnel_as_it_is(site):
    """The right half of a command is not done either."""
    for tool in site.vsctl, site.stock_vsctl:
        refused(site, tool, ["set", "Interface", "tun0", "options:ttl=7", "options:fragment=mtu:1"], "mtu:1")
        refused(site, tool, ["add-br", "br7", "--", "set", "Interface", "tun0", "type=gpw"], "gpw")


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
