"""Our experimenter actions and field: the controller in docs/experimenter.md installs them and reads them back."""

import json
import re
import struct

import pytest
from lab import ROOT, VENV, flows, run, stop, until
from wire import OpenFlow, raw_socket

ADDRESS = "127.0.0.1"
PORT = 6653


@pytest.fixture
def controller(lab):
    """The program in the documentation, as a file."""
    program = re.search(r"```python\n(.*?)```", (ROOT / "docs/experimenter.md").read_text(), re.DOTALL)
    path = lab.directory() / "stretch.py"
    path.write_text(program.group(1))
    return path


def start(switch, controller):
    """Starts it beside a switch; returns the process and its log."""
    path = switch.dir / "controller.log"
    log = open(path, "wb")
    process = switch.namespace.start(VENV / "osken-manager", "--ofp-listen-host", ADDRESS, "--ofp-tcp-listen-port", PORT,
                                     controller, stdout=log, stderr=log)
    return process, path


def connect(switch, bridge, version):
    switch.vsctl("set-fail-mode", bridge, "secure", "--", "set", "Bridge", bridge, f"protocols={version}")
    switch.ofctl("del-flows", bridge)
    switch.vsctl("set-controller", bridge, f"tcp:{ADDRESS}:{PORT}")


# What the controller logs that it read, by version.
READ = {
    "table=0 priority=10 actions=fragment(mtu=1500,df=ignore),output:2": 2,
    "table=0 priority=10 actions=reassemble(table=1)": 2,
    "table=1 priority=10 actions=output:1": 1,
    "table=0 priority=20 actions=bpdu(count),bpdu(tunnel),output:2": 1,
    "table=0 priority=20 actions=bpdu(untunnel),output:1": 1,
    "table=0 priority=1 actions=output:2": 1,
    "table=0 priority=1 actions=output:1": 1,
}


@pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13"])
def test_a_controller_installs_and_reads_them(lan, controller, version):
    process, log = start(lan, controller)
    connect(lan, "br0", version)

    def read():
        text = log.read_text()
        assert "refused" not in text and "Traceback" not in text, text
        return all(text.count(f"{line}\n") == count for line, count in READ.items())
    try:
        until(read, "all flows were read back", seconds=20)
    except AssertionError:
        print(log.read_text())
        raise
    stop(process)

    dump = flows(lan.ofctl("-O", version, "--no-stats", "dump-flows", "br0").stdout)
    rstp = "dl_dst=01:80:c2:00:00:00" if version == "OpenFlow10" else "bpdu_type=rstp"
    for line in (
        f"priority=20,in_port=1,{rstp} actions=bpdu(count),bpdu(tunnel),output:2",
        "priority=20,in_port=2,dl_dst=01:00:0c:cd:cd:d0 actions=bpdu(untunnel),output:1",
        "priority=10,ip,in_port=1 actions=fragment(mtu=1500,df=ignore),output:2",
        "priority=10,ipv6,in_port=2 actions=reassemble(table=1)",
    ):
        assert line in "\n".join(dump), dump


@pytest.fixture
def narrow(lab):
    """Two bridges with a host each, whose MTU is 9000; the link between them has 1500."""
    switch = lab.switch()
    lab.veth(switch.namespace, "m0", switch.namespace, "m1", mtu=1500)
    for number, (bridge, port, middle) in enumerate((("br0", "p1", "m0"), ("br1", "p2", "m1")), 1):
        switch.vsctl("add-br", bridge)
        host = lab.port_host(switch, bridge, port, f"10.0.0.{number}/24", f"fc00::{number}/64", mtu=9000,
                             columns=["--", "set", "Interface", port, "ofport_request=1"])
        switch.vsctl("add-port", bridge, middle, "--", "set", "Interface", middle, "ofport_request=2")
        setattr(switch, f"h{number}", host)
    return switch


def ping(host, address, size, *how):
    """Whether pings of a whole packet size are all answered."""
    headers = 48 if ":" in address else 28
    done = host.run("ping", "-n", "-q", "-c", PINGS, "-i", "0.05", "-W", "10", "-s", size - headers, *how, address,
                    check=False)
    return f"{PINGS} received" in done.stdout


PINGS = 5


def counted(switch, bridge, flow):
    """Packets that one flow has seen."""
    dump = json.loads(switch.ofctl("--json", "dump-flows", bridge, flow).stdout)
    assert len(dump) == 1, dump
    return dump[0]["n_packets"]


@pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13"])
def test_large_packets_cross_a_narrow_link(narrow, controller, version):
    """A controller's flows split at one bridge and put together at the other, in both directions."""
    assert not ping(narrow.h1, "10.0.0.2", 3000, "-W", "1"), "3000 bytes cross a link of 1500"
    start(narrow, controller)
    for bridge in "br0", "br1":
        connect(narrow, bridge, version)
    for address in "10.0.0.2", "fc00::2":
        until(lambda a=address: narrow.h1.ping(a), f"a ping to {address} by the controller's flows", seconds=20)
    before = [counted(narrow, "br1", flow) for flow in ("table=0,ip,in_port=2", "table=0,ip,in_port=1")]
    for size, fragments in (1500, 1), (1501, 2), (3000, 3), (9000, 7):
        assert ping(narrow.h1, "10.0.0.2", size) and ping(narrow.h1, "fc00::2", size), size
        # What arrived were fragments; what the host answered was whole.
        after = [counted(narrow, "br1", flow) for flow in ("table=0,ip,in_port=2", "table=0,ip,in_port=1")]
        assert [now - was for now, was in zip(after, before)] == [PINGS * fragments, PINGS], size
        before = after
    # Segments of 64 KiB that stand for packets of 9000 bytes, as a host with its offloads hands them over.
    server = narrow.h2.start("iperf3", "-s")
    until(lambda: ":5201" in narrow.h2.run("ss", "-Hltn").stdout, "iperf3 listens")
    for address in "10.0.0.2", "fc00::2":
        for direction in [], ["-R"]:
            narrow.h1.run("iperf3", "-c", address, "-n", "30M", *direction, timeout=30)
    stop(server)


def test_df_is_heeded(narrow):
    """Packets that ask not to be split are dropped by that name, unless the action says otherwise."""
    def flows_of(bridge, df):
        for flow in ("priority=1,in_port=1,actions=output:2", "priority=1,in_port=2,actions=output:1",
                     f"ip,in_port=1,actions=fragment(mtu=1500{df}),output:2",
                     "ip,in_port=2,actions=reassemble(table=1)", "table=1,actions=output:1"):
            narrow.ofctl("add-flow", bridge, flow)
    for bridge in "br0", "br1":
        narrow.vsctl("set-fail-mode", bridge, "secure")
        flows_of(bridge, "")
    assert ping(narrow.h1, "10.0.0.2", 1500, "-M", "do")
    assert not ping(narrow.h1, "10.0.0.2", 1501, "-M", "do", "-W", "1")
    dropped = run("ovs-appctl", "coverage/show", env=narrow.env).stdout
    assert re.search(rf"drop_fragment_df +{PINGS}\b", dropped), dropped
    for bridge in "br0", "br1":
        flows_of(bridge, ",df=ignore")
    assert ping(narrow.h1, "10.0.0.2", 1501, "-M", "do")


@pytest.mark.parametrize("tool", ["ofctl", "stock_ofctl"])
def test_a_bridge_reassembles_what_arrives(narrow, tool):
    """set-frags, by our tool and by the stock one: every mode is taken and told again, and this one does it."""
    words = getattr(narrow, tool)
    for version in "OpenFlow10", "OpenFlow13":
        assert "IP_REASM" in words("-O", version, "show", "br1").stdout
        for mode in "drop", "nx-match", "normal", "reassemble":
            words("-O", version, "set-frags", "br1", mode)
            assert words("-O", version, "get-frags", "br1").stdout == f"{mode}\n"
    narrow.vsctl("set-fail-mode", "br1", "secure")
    narrow.ofctl("del-flows", "br1")
    narrow.ofctl("add-flow", "br1", "priority=1,in_port=2,actions=output:1")
    narrow.ofctl("add-flow", "br1", "priority=1,in_port=1,actions=output:2")
    narrow.ofctl("add-flow", "br1", "ip,in_port=1,actions=fragment(mtu=1500,df=ignore),output:2")
    narrow.ofctl("add-flow", "br1", "icmp,icmp_type=8,in_port=2,actions=output:1")
    narrow.ofctl("add-flow", "br0", "ip,in_port=1,actions=fragment(mtu=1500,df=ignore),output:2")
    narrow.ofctl("set-frags", "br0", "reassemble")
    assert ping(narrow.h1, "10.0.0.2", 3000)
    # The rule sees the ICMP type of each: it never saw a fragment.
    assert counted(narrow, "br1", "icmp,icmp_type=8") == PINGS


RSTP = bytes.fromhex("020000000001 0026 424203 0000 02 02").ljust(54, b"\0")
STP_ADDRESS, DISGUISED = bytes.fromhex("0180c2000000"), bytes.fromhex("01000ccdcdd0")
ETH_P_ALL = 3


@pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13"])
def test_bpdus_cross_in_disguise(narrow, controller, version):
    """From one host to the other as it was sent; between the bridges with the address that passes for data."""
    start(narrow, controller)
    for bridge in "br0", "br1":
        connect(narrow, bridge, version)
        until(lambda b=bridge: "untunnel" in narrow.ofctl("dump-flows", b).stdout, "the controller's flows", seconds=20)
    sender, receiver, between = (
        raw_socket(namespace, interface, ETH_P_ALL)
        for namespace, interface in ((narrow.h1, "eth0"), (narrow.h2, "eth0"), (narrow.namespace, "m1")))
    sender.send(STP_ADDRESS + RSTP)
    for sniffer, address in (between, DISGUISED), (receiver, STP_ADDRESS):
        sniffer.settimeout(10)
        while (frame := sniffer.recv(2000))[6:12] != RSTP[:6]:
            pass
        assert frame == address + RSTP
    for each in sender, receiver, between:
        each.close()


# An action's bytes behind the experimenter id, the id, and the code of the error: the type is BAD_ACTION in both versions.
TSUNAGI = 0x5453554E
WRONG = {
    "another subtype": ("0009 000000000000", TSUNAGI, 3),
    "another experimenter": ("0001 05dc00000000", TSUNAGI + 1, 2),
    "the length": ("0001 05dc00000000 0000000000000000", TSUNAGI, 1),
    "an mtu of 67": ("0001 004300000000", TSUNAGI, 5),
    "another flag": ("0001 05dc00020000", TSUNAGI, 5),
    "table 254": ("0002 fe0000000000", TSUNAGI, 5),
    "operation 5": ("0003 0500 000000000000 000000000000", TSUNAGI, 5),
    "tunnel to no address": ("0003 0300 000000000000 000000000000", TSUNAGI, 5),
}


def flow_mod(version, action):
    """The body of a FLOW_MOD that adds a flow with one action."""
    if version == 1:
        return struct.pack("!I36xQHHHHIHH", 0x3FFFFF, 0, 0, 0, 0, 9, 0xFFFFFFFF, 0xFFFF, 0) + action
    match = struct.pack("!HH4x", 1, 4)
    fixed = struct.pack("!QQBBHHHIIIH2x", 0, 0, 0, 0, 0, 0, 9, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return fixed + match + struct.pack("!HH4x", 4, 8 + len(action)) + action


@pytest.mark.parametrize("version", [1, 4])
def test_what_is_wrong_is_named(lan, version):
    client = OpenFlow(lan.rundir / "br0.mgmt", version)
    for xid, (what, (rest, experimenter, code)) in enumerate(WRONG.items(), 100):
        rest = bytes.fromhex(rest)
        client.send(client.FLOW_MOD, flow_mod(version, struct.pack("!HHI", 0xFFFF, 8 + len(rest), experimenter) + rest), xid)
        _, about, body = client.expect(client.ERROR)
        assert (about, struct.unpack_from("!HH", body)) == (xid, (2, code)), what
    client.close()
    assert "priority=9" not in lan.ofctl("dump-flows", "br0").stdout


def test_stock_tools_show_the_rest(lan):
    """What ovs-ofctl does not know it says so of; flows in other tables it shows."""
    lan.ofctl("add-flow", "br0", "table=5,bpdu_type=rstp,actions=bpdu(count),output:1")
    lan.ofctl("add-flow", "br0", "table=6,ip,actions=output:1")
    for version in "OpenFlow10", "OpenFlow13":
        for table, text in (5, "decode error"), (6, "ip actions=output:"):
            dump = lan.stock_ofctl("-O", version, "dump-flows", "br0", f"table={table}")
            assert text in dump.stdout, dump.stdout


def test_fragments_meet_between_workers(narrow):
    """Two workers: half of the packets are put together by the one where their fragments did not arrive, at once."""
    narrow.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-cpu-mask=0x3")
    for bridge in "br0", "br1":
        narrow.vsctl("set-fail-mode", bridge, "secure")
    # Workers are made when the daemon starts.
    assert narrow.stop() == 0
    narrow.start()
    for bridge in "br0", "br1":
        for flow in ("priority=1,in_port=1,actions=output:2", "priority=1,in_port=2,actions=output:1",
                     "ip,in_port=1,actions=fragment(mtu=1500,df=ignore),output:2",
                     "ip,in_port=2,actions=reassemble(table=1)", "table=1,actions=output:1"):
            narrow.ofctl("add-flow", bridge, flow)
    assert ping(narrow.h1, "10.0.0.2", 3000)
    pings = 40
    done = narrow.h1.run("ping", "-n", "-q", "-c", pings, "-i", "0.05", "-W", "10", "-s", 2972, "10.0.0.2").stdout
    assert f"{pings} received" in done, done
    # A worker that nobody wakes looks around after 100 milliseconds.
    average = float(done.split(" = ")[1].split("/")[1])
    assert average < 20, done
