"""The kernel as underlay: tunnels whose routes leave by any interface that is not a bridge's, without any set-up."""

import json
import subprocess

import pytest
from lab import VENV, CommandFailed, until

ADDRESSES = {4: ("192.168.200.101", "192.168.200.102", 24), 6: ("fd00:200::101", "fd00:200::102", 64)}


class Sites:
    """Our switch with a host, and a peer on the other end of a cable between eth0 and eth0."""

    def __init__(self, lab, version=4, addressed=True, mtu=1400):
        self.lab, self.version = lab, version
        self.near, self.far, self.bits = ADDRESSES[version]
        self.switch, self.peer = lab.switch(), lab.namespace("peer")
        lab.veth(self.switch.namespace, "eth0", self.peer, "eth0", mtu=1500)
        self.peer.address("eth0", f"{self.far}/{self.bits}")
        if addressed:
            self.switch.namespace.address("eth0", f"{self.near}/{self.bits}")
        self.switch.vsctl("add-br", "ovs1")
        self.here = lab.port_host(self.switch, "ovs1", "h1", "172.31.0.1/24", "fc00:31::1/64", mtu=mtu)
        self.mtu = mtu

    def kernel_vxlan(self, port=8472, key=0):
        """The peer's end is a device of its kernel."""
        self.peer.run("ip", "link", "add", "vx0", "type", "vxlan", "id", key, "dstport", port, "local", self.far,
                      "remote", self.near, *(["udp6zerocsumrx"] if self.version == 6 else []))
        self.peer.run("ip", "link", "set", "vx0", "mtu", self.mtu)
        self.peer.address("vx0", "172.31.0.2/24", "fc00:31::2/64")

    def tunnel(self, *words):
        """The command line of a plain Open vSwitch host."""
        words = words or ("type=vxlan", f"options:remote_ip={self.far}", "options:dst_port=8472")
        return self.switch.vsctl("add-port", "ovs1", "tun_kl", "--", "set", "interface", "tun_kl", *words)

    def status(self, name="tun_kl"):
        answer = self.switch.vsctl("--format=json", "--columns=status", "list", "Interface", name).stdout
        row = json.loads(answer)["data"][0][0]
        return dict(row[1])

    def pings(self, there=None):
        until(lambda: self.here.ping("172.31.0.2"), "a first ping", seconds=15)
        there = there or self.peer
        assert self.here.ping("172.31.0.2", count=5) and there.ping("172.31.0.1", count=5)
        assert self.here.ping("fc00:31::2", count=5) and there.ping("fc00:31::1", count=5)


@pytest.mark.parametrize("version", [4, 6])
def test_vxlan_with_no_set_up(lab, version):
    """The verbatim command of the documentation, and a kernel's VXLAN device at the other end."""
    sites = Sites(lab, version)
    sites.kernel_vxlan()
    sites.tunnel()
    sites.pings()
    status = sites.status()
    assert status["tunnel_underlay"] == "kernel" and status["tunnel_egress_iface"] == "eth0"
    assert status["tunnel_egress_iface_carrier"] == "up"
    assert status["tunnel_local_ip"] == sites.near and status["tunnel_path_mtu"] == "1500"
    assert status["tunnel_fragments"] == "yes"
    # The socket goes with the last tunnel.
    assert ":8472" in sites.switch.namespace.run("ss", "-lun").stdout
    sites.switch.vsctl("del-port", "tun_kl")
    assert ":8472" not in sites.switch.namespace.run("ss", "-lun").stdout


@pytest.mark.parametrize("version", [4, 6])
def test_full_size_frames(lab, version):
    """An MTU of 1500 inside and outside: fragments both ways. Hosts of one machine leave checksums and segments unfinished."""
    sites = Sites(lab, version, mtu=1500)
    sites.kernel_vxlan()
    sites.tunnel()
    sites.pings()
    # The kernel's device lets no packet of its own host with DF be split.
    for host, far, df in (sites.here, "172.31.0.2", "do"), (sites.peer, "172.31.0.1", "dont"):
        host.run("ping", "-q", "-c", 5, "-i", 0.1, "-W", 5, "-M", df, "-s", 1472, far)
    sites.peer.start("iperf3", "-s")
    until(lambda: ":5201" in sites.peer.run("ss", "-ltn").stdout, "iperf3 listens")
    for words in [], ["-R"]:
        done = sites.here.run("iperf3", "-J", "-t", 2, "-c", "172.31.0.2", *words)
        end = json.loads(done.stdout)["end"]
        rate = end["sum_received"]["bits_per_second"] / 1e6
        print(f"kernel underlay, IPv{version}, {'received' if words else 'sent'}: {rate:.0f} Mbit/s")
        assert rate > 20


@pytest.mark.parametrize("version", [4, 6])
def test_packets_that_name_their_remote_end(lab, version):
    """remote_ip=flow: rules say where to, and the kernel is asked for the way."""
    sites = Sites(lab, version)
    sites.kernel_vxlan(key=5)
    sites.tunnel("type=vxlan", "options:remote_ip=flow", "options:key=flow", "options:dst_port=8472")
    field = {4: "tun_dst", 6: "tun_ipv6_dst"}[version]
    sites.switch.ofctl("add-flow", "ovs1", f"in_port=h1,actions=set_field:5->tun_id,set_field:{sites.far}->{field},tun_kl")
    sites.switch.ofctl("add-flow", "ovs1", f"in_port=tun_kl,tun_id=5,{field.replace('dst', 'src')}={sites.far},actions=h1")
    sites.pings()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind, options", [
    ("gre", ["key=7", "csum=true"]),
    ("vxlan", ["key=42", "csum=true"]),
], ids=["gre", "vxlan-csum"])
def test_open_vswitch(lab, kind, options, version):
    """Debian's Open vSwitch at the other end, with its native underlay."""
    near, far, bits = ADDRESSES[version]
    ours, theirs = lab.switch(), lab.stock_switch()
    lab.veth(ours.namespace, "eth0", theirs.namespace, "uplink", mtu=1500)
    ours.namespace.address("eth0", f"{near}/{bits}")
    ours.vsctl("add-br", "br0")
    here = lab.port_host(ours, "br0", "h1", "172.31.0.1/24", "fc00:31::1/64", mtu=1400)
    theirs.add_br("br-phys")
    theirs.add_br("br0")
    theirs.vsctl("add-port", "br-phys", "uplink")
    theirs.namespace.address("br-phys", f"{far}/{bits}")
    there = lab.namespace("h2")
    lab.veth(theirs.namespace, "h2", there, "eth0", mtu=1400)
    there.address("eth0", "172.31.0.2/24", "fc00:31::2/64")
    options = [f"options:{option}" for option in options]
    theirs.vsctl("add-port", "br0", "h2", "--", "add-port", "br0", "tun", "--", "set", "Interface", "tun",
                 f"type={kind}", f"options:remote_ip={near}", *options)
    ours.vsctl("add-port", "br0", "tun", "--", "set", "Interface", "tun", f"type={kind}",
               f"options:remote_ip={far}", *options)
    until(lambda: here.ping("172.31.0.2"), "a first ping", seconds=15)
    for address in "172.31.0.2", "fc00:31::2":
        assert here.ping(address, count=5)
    assert there.ping("172.31.0.1", count=5)


def test_addresses_and_links_come_and_go(lab):
    sites = Sites(lab, addressed=False)
    sites.kernel_vxlan()
    sites.tunnel()
    assert "no route" in sites.status()["tunnel_trouble"]
    ours = sites.switch.namespace
    ours.address("eth0", f"{sites.near}/24")
    until(lambda: "tunnel_trouble" not in sites.status(), "the tunnel has a route")
    sites.pings()
    ours.run("ip", "link", "set", "eth0", "down")
    until(lambda: "tunnel_trouble" in sites.status(), "the link is down")
    ours.run("ip", "link", "set", "eth0", "up")
    sites.pings()
    sites.peer.run("ip", "link", "set", "eth0", "down")
    until(lambda: sites.status()["tunnel_egress_iface_carrier"] == "down", "the carrier is gone")
    sites.peer.run("ip", "link", "set", "eth0", "up")
    sites.pings()


def test_a_route_that_moves_to_a_bridge_and_back(lab):
    """Native and kernel underlay: the tunnel follows the route, and the frames with it."""
    sites = Sites(lab)
    sites.kernel_vxlan()
    sites.tunnel()
    sites.pings()
    ours, peer = sites.switch.namespace, sites.peer
    sites.switch.vsctl("add-br", "br-phys")
    lab.veth(ours, "uplink", peer, "uplink", mtu=1500)
    sites.switch.vsctl("add-port", "br-phys", "uplink")
    ours.address("br-phys", "192.168.201.101/24")
    peer.address("uplink", "192.168.201.102/24")
    for namespace, interface, gateway, remote in ((ours, "br-phys", "192.168.201.102", sites.far),
                                                  (peer, "uplink", "192.168.201.101", sites.near)):
        namespace.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")
        namespace.run("ip", "route", "add", f"{remote}/32", "via", gateway, "dev", interface, "src",
                      sites.near if namespace is ours else sites.far)
    until(lambda: sites.status().get("tunnel_underlay") == "native", "the route leaves by the bridge")
    sites.pings()
    ours.run("ip", "route", "del", f"{sites.far}/32")
    peer.run("ip", "route", "del", f"{sites.near}/32")
    until(lambda: sites.status().get("tunnel_underlay") == "kernel", "the route is back")
    sites.pings()


def test_both_underlays_at_once(lab):
    """Two sites at one UDP port: the way to one leaves by eth0, to the other by a bridge."""
    sites = Sites(lab)
    sites.kernel_vxlan()
    sites.tunnel()
    switch, other = sites.switch, lab.namespace("other")
    lab.veth(switch.namespace, "uplink", other, "eth0", mtu=1500)
    switch.vsctl("add-br", "br-phys", "--", "add-port", "br-phys", "uplink")
    switch.namespace.address("br-phys", "192.168.201.101/24")
    other.address("eth0", "192.168.201.102/24")
    other.run("ip", "link", "add", "vx0", "type", "vxlan", "id", 0, "dstport", 8472, "local", "192.168.201.102",
              "remote", "192.168.201.101")
    other.address("vx0", "172.31.0.3/24")
    switch.vsctl("add-port", "ovs1", "tun_br", "--", "set", "interface", "tun_br", "type=vxlan",
                 "options:remote_ip=192.168.201.102", "options:dst_port=8472")
    sites.pings()
    until(lambda: sites.here.ping("172.31.0.3"), "a first ping", seconds=15)
    assert sites.here.ping("172.31.0.3", count=5) and sites.here.ping("172.31.0.2", count=5)
    assert sites.status()["tunnel_underlay"] == "kernel"
    assert sites.status("tun_br")["tunnel_underlay"] == "native"


def test_a_device_that_is_a_port(lab):
    """The address was left on a device that the switch has taken from the host: it is said."""
    sites = Sites(lab)
    sites.tunnel()
    assert "tunnel_trouble" not in sites.status()
    sites.switch.vsctl("add-br", "br-phys", "--", "add-port", "br-phys", "eth0")
    until(lambda: "eth0, which is a port of a bridge" in sites.status().get("tunnel_trouble", ""), "it is said")
    sites.switch.vsctl("del-port", "eth0")
    until(lambda: "tunnel_trouble" not in sites.status(), "the host has its device back")


def test_a_port_that_is_taken(lab):
    sites = Sites(lab)
    ours = sites.switch.namespace
    ours.run("ip", "link", "add", "taken", "type", "vxlan", "id", 9, "dstport", 8472, "local", sites.near,
             "remote", sites.far)
    ours.run("ip", "link", "set", "taken", "up")
    try:
        said = sites.tunnel().stderr
    except CommandFailed as failed:
        said = str(failed)
    words = "UDP port 8472 is used by another socket"
    assert words in said
    assert words in sites.switch.vsctl("get", "Interface", "tun_kl", "error").stdout
    assert words in sites.switch.vsctl("show").stdout
    ours.run("ip", "link", "del", "taken")
    sites.kernel_vxlan()
    sites.pings()
    assert words not in sites.switch.vsctl("show").stdout


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("underlay", ["kernel", "native"])
def test_the_path_mtu_is_learnt(lab, version, underlay):
    """A router with a narrow link behind it."""
    switch, router, peer = lab.switch(), lab.namespace("router"), lab.namespace("peer")
    here, there, bits, any_ = {
        4: ("192.168.1", "192.168.2", 24, "0.0.0.0/0"), 6: ("fd00:1:", "fd00:2:", 64, "::/0")}[version]
    dot = {4: ".", 6: ":"}[version]
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    lab.veth(switch.namespace, "eth0", router, "near", mtu=1500)
    lab.veth(router, "far", peer, "eth0", mtu=1300)
    ours = "eth0"
    if underlay == "native":
        switch.vsctl("add-br", "br-phys", "--", "add-port", "br-phys", "eth0")
        ours = "br-phys"
    switch.namespace.address(ours, f"{here}{dot}1/{bits}")
    router.address("near", f"{here}{dot}2/{bits}")
    router.address("far", f"{there}{dot}2/{bits}")
    peer.address("eth0", f"{there}{dot}1/{bits}")
    switch.namespace.run("ip", "route", "add", any_, "via", f"{here}{dot}2")
    peer.run("ip", "route", "add", any_, "via", f"{there}{dot}2")
    switch.vsctl("add-br", "ovs1")
    host = lab.port_host(switch, "ovs1", "h1", "172.31.0.1/24", mtu=1400)
    switch.vsctl("add-port", "ovs1", "tun", "--", "set", "Interface", "tun", "type=vxlan",
                 f"options:remote_ip={there}{dot}1")

    def mtu():
        return switch.vsctl("get", "Interface", "tun", "status:tunnel_path_mtu", check=False).stdout.strip().strip('"')

    until(lambda: mtu() == "1500", "the tunnel has a route")
    peer.run("ip", "link", "add", "vx0", "type", "vxlan", "id", 0, "dstport", 4789, "local", f"{there}{dot}1",
             "remote", f"{here}{dot}1", *(["udp6zerocsumrx"] if version == 6 else []))
    peer.run("ip", "link", "set", "vx0", "mtu", 1400)
    peer.address("vx0", "172.31.0.2/24")
    until(lambda: host.ping("172.31.0.2"), "a first ping")
    assert mtu() == "1500"
    until(lambda: host.run("ping", "-q", "-c", 1, "-W", 1, "-M", "do", "-s", 1372, "172.31.0.2", check=False).returncode == 0,
          "a large packet")
    assert mtu() == "1300"


@pytest.mark.parametrize("underlay", ["kernel", "native"])
def test_a_router_that_is_solicited(lab, underlay):
    """IPv6 by SLAAC alone, with a router that only answers: the kernel asks, by eth0 or by a bridge's LOCAL interface."""
    sites = Sites(lab, 6, addressed=False)
    ours = sites.switch.namespace
    ours.run("sysctl", "-qw", "net.ipv6.conf.default.accept_ra=2")
    sites.tunnel()
    assert "no route" in sites.status()["tunnel_trouble"]
    router = sites.peer.start(VENV / "python", "-c", ROUTER, "eth0", "fd00:200::", stdout=subprocess.PIPE)
    # The kernel asks three times and no more.
    assert router.stdout.readline() == b"ready\n"
    interface = "eth0"
    if underlay == "native":
        interface = "br-phys"
        sites.switch.vsctl("add-br", "br-phys", "--", "add-port", "br-phys", "eth0")
        ours.run("sysctl", "-qw", "net.ipv6.conf.br-phys.accept_ra=2")
    ours.run("ip", "link", "set", interface, "down")
    ours.run("ip", "link", "set", interface, "up")
    until(lambda: sites.status().get("tunnel_local_ip", "").startswith("fd00:200:"), "an address", seconds=20)
    until(lambda: sites.status().get("tunnel_underlay") == underlay, "an underlay")


# Answers router solicitations.
ROUTER = """
import sys
from scapy.all import *
interface, prefix = sys.argv[1:]
answer = (Ether(dst='33:33:00:00:00:01') / IPv6(dst='ff02::1', hlim=255) / ICMPv6ND_RA(routerlifetime=1800)
          / ICMPv6NDOptPrefixInfo(prefix=prefix, prefixlen=64, L=1, A=1))
sniff(iface=interface, store=False, started_callback=lambda: print('ready', flush=True), lfilter=lambda p: ICMPv6ND_RS in p,
      prn=lambda p: sendp(answer, iface=interface, verbose=False))
"""


@pytest.mark.parametrize("via", ["device", "port", "bridge", "IPv6"])
def test_the_two_byte_pseudowire(lab, via):
    """By a device of the kernel, by a port of the switch, by a bridge, and by the host's IPv6; a device is at the other end."""
    near, far = lab.switch("a"), lab.switch("b")
    lab.veth(near.namespace, "eth0", far.namespace, "eth0", mtu=1500)
    near.namespace.address("eth0", "fd00:200::101/64")
    far.namespace.address("eth0", "fd00:200::102/64")
    near.vsctl("add-br", "br0", "--", "add-br", "br-phys")
    far.vsctl("add-br", "br0")
    here = lab.port_host(near, "br0", "h1", "172.31.0.1/24", mtu=1500)
    there = lab.port_host(far, "br0", "h2", "172.31.0.2/24", mtu=1500)
    if via in ("port", "bridge"):
        near.vsctl("add-port", "br-phys", "eth0")
        near.namespace.run("ip", "link", "set", "br-phys", "up")
    device = "br-phys" if via == "bridge" else "eth0"

    def mac(switch, device):
        return switch.namespace.run("cat", f"/sys/class/net/{device}/address").stdout.strip()

    def wire(switch, device, remote):
        switch.vsctl("add-port", "br0", "wire", "--", "set", "Interface", "wire", "type=gpw", *(
            [f"options:remote_ip={remote}"] if via == "IPv6" else
            [f"options:remote_mac={mac(*remote)}", f"options:via={device}"]))

    wire(near, device, "fd00:200::102" if via == "IPv6" else (far, "eth0"))
    wire(far, "eth0", "fd00:200::101" if via == "IPv6" else (near, device))
    until(lambda: here.ping("172.31.0.2"), "a first ping", seconds=15)
    for host, remote in (here, "172.31.0.2"), (there, "172.31.0.1"):
        host.run("ping", "-q", "-c", 5, "-i", 0.1, "-W", 5, "-M", "do", "-s", 1472, remote)
    if via == "device":
        # The device stays the host's.
        assert near.namespace.ping("fd00:200::102", count=2)


def test_a_pseudowires_device_comes_later(lab):
    switch = lab.switch()
    switch.vsctl("add-br", "br0")
    switch.vsctl("add-port", "br0", "wire", "--", "set", "Interface", "wire", "type=gpw",
                 "options:remote_mac=02:00:00:00:00:09", "options:via=late0", check=False)

    def get(column):
        return switch.vsctl("get", "Interface", "wire", column).stdout

    assert 'there is no network device' in get("error")
    switch.namespace.run("ip", "link", "add", "late0", "type", "veth", "peer", "name", "other0")
    switch.namespace.run("ip", "link", "set", "late0", "up")
    until(lambda: get("error").strip() == "[]" and "late0" in get("status"), "the device is there")
    switch.namespace.run("ip", "link", "del", "late0")
    until(lambda: 'there is no network device' in get("error"), "the device is gone")


def test_a_pseudowires_device_is_another_one(lab):
    """What had the name has a new one, and another device has it before anybody looks."""
    switch = lab.switch()
    ours = switch.namespace
    switch.vsctl("add-br", "br0")
    for name in "wan", "spare":
        ours.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
        ours.run("ip", "link", "set", name, "up")
    switch.vsctl("add-port", "br0", "wire", "--", "set", "Interface", "wire", "type=gpw",
                 "options:remote_mac=02:00:00:00:00:09", "options:via=wan")

    def is_at(name):
        index = ours.run("cat", f"/sys/class/net/{name}/ifindex").stdout.strip()
        sockets = [line.split() for line in ours.run("cat", "/proc/net/packet").stdout.splitlines()[1:]]
        return [socket[4] for socket in sockets if socket[3] == "96fc"] == [index]

    until(lambda: is_at("wan"), "the socket is open")
    ours.run("ip", "-batch", "-", stdin="link set wan down\nlink set wan name old\n"
             "link set spare down\nlink set spare name wan\nlink set wan up\nlink set old up\n")
    until(lambda: is_at("wan"), "the socket is at the device that has the name")
