"""Changes of what is there already: the switch follows the database and the kernel, and nothing stays behind."""

import signal
from pathlib import Path

import pytest
from lab import BIN, run, stop, until


def get(switch, table, record, column):
    return switch.vsctl("get", table, record, column).stdout.strip().strip('"')


def mac(switch, name):
    return switch.namespace.run("cat", f"/sys/class/net/{name}/address").stdout.strip()


def neighbours(switch, device):
    return switch.namespace.run("ip", "neigh", "show", "dev", device).stdout


def tunnel(switch, bridge, name, *options):
    switch.vsctl("add-port", bridge, name, "--", "set", "Interface", name, "type=vxlan", *options)


@pytest.fixture
def underlay(lab, lan):
    """A peer at 192.0.2.2 behind bridge brp, whose own address is 192.0.2.1."""
    lan.vsctl("add-br", "brp")
    lan.peer = lab.port_host(lan, "brp", "wire", "192.0.2.2/24")
    lan.namespace.address("brp", "192.0.2.1/24")
    return lan


def test_tunnels_swap_their_ends(lan):
    for number in 1, 2:
        tunnel(lan, "br0", f"t{number}", f"options:remote_ip=192.0.2.{number}", f"ofport_request=1{number}")
    lan.vsctl("set", "Interface", "t1", "options:remote_ip=192.0.2.2",
              "--", "set", "Interface", "t2", "options:remote_ip=192.0.2.1")
    for number in 1, 2:
        assert get(lan, "Interface", f"t{number}", "error") == "[]"
        assert get(lan, "Interface", f"t{number}", "ofport") == f"1{number}"


def test_numbers(lab, lan):
    """Who asks for a number gets it before those who do not care; a device that comes back has its own again."""
    lan.vsctl("add-port", "br0", "a", "--", "set", "Interface", "a", "type=internal",
              "--", "add-port", "br0", "b", "--", "set", "Interface", "b", "type=internal", "ofport_request=3")
    assert (get(lan, "Interface", "a", "ofport"), get(lan, "Interface", "b", "ofport")) == ("4", "3")
    address = mac(lan, "a")
    lan.vsctl("set", "Interface", "a", "ofport_request=4")
    assert mac(lan, "a") == address, "it has that number already: its tap stays"
    lan.vsctl("del-port", "p1")
    run("ip", "-n", lan.h2.name, "link", "del", "eth0")
    until(lambda: get(lan, "Interface", "p2", "ofport") == "-1", "missed")
    assert get(lan, "Interface", "p2", "link_state") == "[]" and get(lan, "Interface", "p2", "statistics") == "{}"
    lan.vsctl("clear", "Interface", "p2", "ofport_request", check=False)
    lab.veth(lan.namespace, "p2", lan.h2, "eth0")
    until(lambda: get(lan, "Interface", "p2", "ofport") == "2", "its number")


def test_a_mended_port_comes_up_at_once(lan):
    row = ["--", "set", "Interface", "i", "type=internal"]
    assert lan.vsctl("add-port", "br0", "i", *row, "mtu_request=65535", check=False).returncode != 0
    lan.vsctl("set", "Interface", "i", "mtu_request=1400")
    assert get(lan, "Interface", "i", "error") == "[]" and get(lan, "Interface", "i", "mtu") == "1400"


def test_the_bridges_address_is_its_interfaces(lan):
    lan.vsctl("set", "Bridge", "br0", "other_config:hwaddr=02:00:00:00:00:77")
    assert mac(lan, "br0") == "02:00:00:00:00:77"
    assert get(lan, "Bridge", "br0", "datapath_id") == "0000020000000077"


def test_a_port_moves_to_another_bridge(lan):
    lan.vsctl("--", "del-port", "br0", "p2", "--", "add-br", "br1", "--", "add-port", "br1", "p2")
    assert not lan.h1.ping("10.0.0.2", wait=1)
    lan.vsctl("add-port", "br1", "y", "--", "set", "Interface", "y", "type=patch", "options:peer=x",
              "--", "add-port", "br0", "x", "--", "set", "Interface", "x", "type=patch", "options:peer=y")
    assert lan.h1.ping("10.0.0.2", count=2)


def test_an_interface_has_one_port(lan):
    interface = get(lan, "Port", "p1", "interfaces").strip("[]")
    done = lan.stock_vsctl("--", "--id=@p", "create", "Port", "name=again", f"interfaces={interface}",
                           "--", "add", "Bridge", "br0", "ports", "@p", check=False)
    assert done.returncode != 0 and "p1" in done.stderr
    assert lan.h1.ping("10.0.0.2")


def test_a_tunnel_follows_its_interface(underlay):
    tunnel(underlay, "br0", "t", "options:remote_ip=192.0.2.2")

    def mtu():
        status = underlay.vsctl("get", "Interface", "t", "status").stdout
        return next((word for word in ("1500", "1300") if f'tunnel_path_mtu="{word}"' in status), None)
    until(lambda: mtu() == "1500", "the route")
    underlay.namespace.run("ip", "link", "set", "brp", "mtu", "1300")
    until(lambda: mtu() == "1300", "the smaller MTU")
    underlay.namespace.run("ip", "addr", "flush", "dev", "brp")
    until(lambda: mtu() is None, "no route")
    underlay.namespace.run("ip", "addr", "add", "192.0.2.1/24", "dev", "brp")
    until(lambda: mtu() == "1300", "the route again")


def test_neighbours_are_kept_as_long_as_needed(underlay):
    fixed = "192.0.2.3 lladdr 02:00:00:00:00:03 PERMANENT"
    underlay.namespace.run("ip", "neigh", "add", "192.0.2.3", "lladdr", "02:00:00:00:00:03", "dev", "brp", "nud", "permanent")
    tunnel(underlay, "br0", "t", "options:remote_ip=192.0.2.2")
    until(lambda: "192.0.2.2 lladdr" in neighbours(underlay, "brp"), "resolved without a packet")
    underlay.namespace.run("ip", "neigh", "flush", "dev", "brp")
    until(lambda: "192.0.2.2 lladdr" in neighbours(underlay, "brp"), "resolved again")
    underlay.vsctl("set", "Interface", "t", "options:remote_ip=192.0.2.3")
    until(lambda: neighbours(underlay, "brp").split() == fixed.split(), "the old one is gone")
    underlay.vsctl("del-port", "t")
    assert neighbours(underlay, "brp").split() == fixed.split()


def test_an_underlay_bridge_made_again(underlay):
    """The new bridge knows the host's addresses, although they did not change: on a loopback, say."""
    underlay.namespace.run("ip", "addr", "add", "198.51.100.1/32", "dev", "lo")
    underlay.vsctl("del-br", "brp")
    underlay.vsctl("add-br", "brp", "--", "add-port", "brp", "wire")
    underlay.namespace.address("brp", "192.0.2.1/24")
    tunnel(underlay, "br0", "t", "options:remote_ip=192.0.2.2", "options:local_ip=198.51.100.1", "options:key=7")
    peer = underlay.peer
    peer.run("ip", "route", "add", "198.51.100.1", "via", "192.0.2.1")
    peer.run("ip", "link", "add", "vx", "type", "vxlan", "id", "7", "remote", "198.51.100.1", "dstport", "4789")
    peer.address("vx", "10.0.0.3/24")
    until(lambda: peer.ping("10.0.0.1"), "a ping through the tunnel")


def test_the_same_controller_again_keeps_its_connection(lab, lan):
    socket = lab.dir / "controller"
    lan.namespace.start("ovs-testcontroller", f"punix:{socket}", env={"OVS_RUNDIR": str(lab.dir)})
    until(socket.exists, "the controller listens")
    lan.vsctl("set-controller", "br0", f"unix:{socket}")
    until(lambda: get(lan, "Controller", "br0", "is_connected") == "true", "connected")
    lan.vsctl("set-controller", "br0", f"unix:{socket}")
    assert get(lan, "Controller", "br0", "is_connected") == "true"
    assert lan.log().count("controller connected") == 1
    lan.vsctl("set", "Bridge", "br0", "other_config:datapath-id=00000000000000aa")
    until(lambda: lan.log().count("controller connected") == 2, "it learns of the new datapath id")


def test_who_only_listens_is_not_in_charge(lan):
    """A bridge with passive controllers alone forwards by itself."""
    lan.vsctl("set-controller", "br0", "ptcp:6655:127.0.0.1")
    assert "actions=NORMAL" in lan.stock_ofctl("dump-flows", "br0").stdout
    assert lan.h1.ping("10.0.0.2")
    assert get(lan, "Controller", "br0", "is_connected") == "false"
    lan.namespace.start("ovs-ofctl", "monitor", "tcp:127.0.0.1:6655", env={"OVS_RUNDIR": str(lan.dir)})
    until(lambda: get(lan, "Controller", "br0", "is_connected") == "true", "somebody connected")


def test_nothing_leaks(lan):
    descriptors = lambda: len(list(Path(f"/proc/{lan.pid()}/fd").iterdir()))
    before = descriptors()
    for _ in range(20):
        lan.vsctl("--", "del-port", "p2", "--", "add-br", "br1", "--", "add-port", "br1", "p2",
                  "--", "set-controller", "br1", "tcp:127.0.0.1:1", "ptcp:6656:127.0.0.1")
        lan.vsctl("--", "del-br", "br1", "--", "add-port", "br0", "p2")
    until(lambda: descriptors() <= before, "as many descriptors as before")
    assert lan.h1.ping("10.0.0.2")


@pytest.mark.parametrize("millis", [30, 200, 400])
def test_ended_while_it_starts(lan, millis):
    lan.stop()
    process = lan.namespace.start(BIN / "switchd", "--rundir", lan.rundir, "--dbdir", lan.dbdir, "--no-huge")
    until(lambda: (lan.rundir / "ovs-vswitchd.pid").exists(), "it has begun")
    try:
        process.wait(millis / 1000)
    except Exception:
        pass
    assert stop(process, signal.SIGTERM) == 0
    assert list(lan.rundir.iterdir()) == []
    assert lan.namespace.interfaces() == {"lo", "p1", "p2"}
