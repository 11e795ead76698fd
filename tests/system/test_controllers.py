"""External controllers take over a bridge; what happens when they stop and when they come back."""

import pathlib
import time

import pytest
from lab import ROOT, VENV, flows, stop, until

ADDRESS = "127.0.0.1"
PORT = 6653


# Programs, and how they are told the version. Ours on os-ken speaks the newest that the bridge offers.
KINDS = {
    "os-ken": lambda version: [VENV / "osken-manager", "--ofp-listen-host", ADDRESS, "--ofp-tcp-listen-port", PORT,
                               ROOT / "demo/learning_switch.py"],
    "ovs-testcontroller": lambda version: ["ovs-testcontroller", "-O", version, f"ptcp:{PORT}:{ADDRESS}"],
}


def start(switch, kind, version, log):
    return switch.namespace.start(*KINDS[kind](version), stdout=log, stderr=log, env={"OVS_RUNDIR": str(switch.dir)})


def connect(switch, version):
    switch.vsctl("set", "Bridge", "br0", f"protocols={version}")
    switch.vsctl("--inactivity-probe=1000", "set-controller", "br0", f"tcp:{ADDRESS}:{PORT}")


def is_connected(switch):
    return switch.vsctl("get", "Controller", "br0", "is_connected").stdout.strip() == "true"


@pytest.mark.parametrize("kind, version", [
    *(("os-ken", f"OpenFlow{version}") for version in (12, 14, 15)),
    *(("ovs-testcontroller", f"OpenFlow{version}") for version in (11, 12, 14, 15)),
])
def test_runs_a_bridge(lab, lan, kind, version):
    """In the versions that are not those of the longer test below."""
    log = open(lab.directory() / "controller.log", "wb")
    lan.vsctl("set-fail-mode", "br0", "secure")
    lan.ofctl("del-flows", "br0")
    start(lan, kind, version, log)
    until(lambda: listens(lan.namespace), "the controller listens", seconds=15)
    connect(lan, version)
    until(lambda: is_connected(lan), "connected", seconds=15)
    until(lambda: lan.h1.ping("10.0.0.2"), f"a ping through its flows\n{pathlib.Path(log.name).read_text()}")
    assert lan.h2.ping("10.0.0.1", count=5) and lan.h1.ping("fc00::2", count=3)
    assert any("actions=output:" in flow for flow in flows(lan.ofctl("dump-flows", "br0").stdout))


@pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_takes_over(lab, lan, kind, version):
    log = open(lab.directory() / "controller.log", "wb")
    lan.vsctl("set-fail-mode", "br0", "secure")
    lan.ofctl("del-flows", "br0")
    connect(lan, version)
    assert not lan.h1.ping("10.0.0.2", wait=1)

    controller = start(lan, kind, version, log)
    try:
        until(lambda: is_connected(lan), "connected", seconds=15)
        until(lambda: lan.h1.ping("10.0.0.2"), "a ping through the controller's flows")
        assert lan.h2.ping("10.0.0.1", count=3) and lan.h1.ping("fc00::2", count=3)
    except AssertionError:
        print(pathlib.Path(log.name).read_text())
        raise

    # Secure: what is there stays, nothing new is learnt.
    stop(controller)
    until(lambda: not is_connected(lan), "disconnected")
    lan.ofctl("del-flows", "br0")
    time.sleep(5)
    assert not lan.h1.ping("10.0.0.2", wait=1), "a secure bridge forwards by itself"

    # Standalone: it forwards by itself.
    lan.vsctl("set-fail-mode", "br0", "standalone")
    until(lambda: lan.h1.ping("10.0.0.2"), "a standalone bridge forwards by itself", seconds=30)

    # Back again: it takes over within a second of being there; the bound is five, for what else the machine does.
    controller = start(lan, kind, version, log)
    until(lambda: listens(lan.namespace), "the controller listens", seconds=15)
    began = time.monotonic()
    until(lambda: is_connected(lan), "connected again", seconds=5)
    print(f"took over after {time.monotonic() - began:.2f} s")
    until(lambda: lan.h1.ping("10.0.0.2"), "a ping through the controller again")
    stop(controller)


def listens(namespace):
    return f":{PORT}" in namespace.run("ss", "-Hltn").stdout


def test_listeners(lan):
    """Passive targets: the stock tool connects to the bridge by TCP and by a socket of its own."""
    path = lan.dir / "of.sock"
    lan.vsctl("set-controller", "br0", f"ptcp:6654:{ADDRESS}", f"punix:{path}")
    for target in f"tcp:{ADDRESS}:6654", f"unix:{path}":
        for flow_version in "OpenFlow10", "OpenFlow13":
            answer = lan.namespace.run("ovs-ofctl", "-O", flow_version, "dump-desc", target)
            assert "DESC reply" in answer.stdout
    lan.vsctl("del-controller", "br0")
    until(lambda: not path.exists(), "the socket is gone")


def test_monitor_shows_packet_ins(lan):
    lan.vsctl("set-fail-mode", "br0", "secure")
    lan.ofctl("add-flow", "br0", "icmp,actions=CONTROLLER:64")
    lan.ofctl("add-flow", "br0", "priority=1,actions=NORMAL")
    path = lan.dir / "monitor.out"
    monitor = lan.namespace.start(
        "ovs-ofctl", "monitor", "br0", "64", env=lan.env, stdout=open(path, "wb"), stderr=open(path, "ab"))

    def seen():
        lan.h1.ping("10.0.0.2", wait=0.2)
        return "NXT_PACKET_IN" in path.read_text() or "OFPT_PACKET_IN" in path.read_text()
    until(seen, "a packet-in at the stock monitor")
    stop(monitor)
