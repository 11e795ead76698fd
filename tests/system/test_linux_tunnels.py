"""Tunnels between switchd and Linux 6.1: whole frames of 1500 bytes, tagged ones too, over a path of 1500 bytes."""

import dataclasses
import hashlib
import subprocess

import pytest
from lab import until

ETHERNET = 14
ADDRESSES = {4: ("192.168.200.101", "192.168.200.102", 24), 6: ("fd00:200::101", "fd00:200::102", 64)}
BULK = "".join(f"{number}\n" for number in range(50_000))
BULK_MD5 = hashlib.md5(BULK.encode()).hexdigest()
RECEIVE = """
import hashlib, socket
server = socket.create_server(("", 5001))
print("ready", flush=True)
client, _ = server.accept()
client.settimeout(30)
data = b""
while part := client.recv(65536):
    data += part
print(hashlib.md5(data).hexdigest())
"""
SEND = """
import socket, sys
client = socket.create_connection(("172.31.0.2", 5001), 10)
client.settimeout(30)
client.sendall(sys.stdin.read().encode())
client.shutdown(socket.SHUT_WR)
client.recv(1)
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """One tunnel as both sides say it. `theirs` is a shell script that makes tun0; in it {near} is our address, {far}
    theirs. `room` is the largest inner packet that they can send, tagged: Linux does not fragment the outer packets of
    some tunnels over IPv6, though it reassembles ours."""
    name: str
    version: int
    kind: str
    ours: str
    theirs: str
    room: int = 1500
    is_plain: bool = False


def gre(name, ours="", theirs=""):
    v4 = "ip link add tun0 type gretap local {far} remote {near} nopmtudisc ignore-df " + theirs
    v6 = "ip link add tun0 type ip6gretap local {far} remote {near} encaplimit none " + theirs
    return [Case(f"gretap{name}", 4, "gre", ours, v4, is_plain=not name),
            Case(f"ip6gretap{name}", 6, "gre", ours, v6, room=1434, is_plain=not name)]


def vxlan(name, ours="", theirs=""):
    script = "ip link add tun0 type vxlan id 42 dstport 4789 local {far} remote {near} " + theirs
    return [Case(f"vxlan{name}", 4, "vxlan", f"key=42 {ours}", script, is_plain=not name),
            Case(f"vxlan6{name}", 6, "vxlan", f"key=42 {ours}", script, room=1426, is_plain=not name)]


def geneve(name, ours="", theirs=""):
    script = "ip link add tun0 type geneve id 42 dstport 6081 remote {near} " + theirs
    return [Case(f"geneve{name}", 4, "geneve", f"key=42 {ours}", script, is_plain=not name),
            Case(f"geneve6{name}", 6, "geneve", f"key=42 {ours}", script, room=1426, is_plain=not name)]


def l2tpv3(name, ours="", session="", tunnel="", encaps=("udp", "ip"), versions=(4, 6)):
    cases = []
    for encap in encaps:
        ports = "udp_sport 5002 udp_dport 5001" if encap == "udp" else ""
        options = "local_port=5001 peer_port=5002" if encap == "udp" else ""
        script = (f"ip l2tp add tunnel tunnel_id 20 peer_tunnel_id 10 encap {encap} local {{far}} remote {{near}} "
                  f"{ports} {tunnel} && "
                  f"ip l2tp add session name tun0 tunnel_id 20 session_id 200 peer_session_id 100 {session}")
        ours_all = f"encap={encap} local_tunnel_id=10 peer_tunnel_id=20 local_session_id=100 peer_session_id=200 " \
                   f"{options} {ours}"
        cases += [Case(f"l2tpv3-{encap}{version}{name}", version, "l2tpv3", ours_all, script, is_plain=not name)
                  for version in versions]
    return cases


CASES = [
    *gre(""),
    Case("ip6gretap-encaplimit", 6, "gre", "", "ip link add tun0 type ip6gretap local {far} remote {near}", room=1434),
    *gre("-key-csum", "key=7 csum=true", "key 7 csum"),
    *gre("-seq", "seq=true", "seq"),
    *vxlan("", "csum=true", "udpcsum"),
    *vxlan("-nocsum", "csum=false", "noudpcsum udp6zerocsumtx udp6zerocsumrx"),
    *geneve("", "csum=true", "udpcsum"),
    *l2tpv3(""),
    *l2tpv3("-cookie4-none", "cookie=01020304 peer_cookie=a1a2a3a4 sublayer=none",
            "cookie a1a2a3a4 peer_cookie 01020304 l2spec_type none"),
    *l2tpv3("-cookie8-none", "cookie=0102030405060708 peer_cookie=a1a2a3a4a5a6a7a8 sublayer=none",
            "cookie a1a2a3a4a5a6a7a8 peer_cookie 0102030405060708 l2spec_type none", encaps=["udp"]),
    *l2tpv3("-cookies-seq", "cookie=01020304 peer_cookie=a1a2a3a4a5a6a7a8 seq=both",
            "cookie a1a2a3a4a5a6a7a8 peer_cookie 01020304 seq both", encaps=["ip"]),
    *l2tpv3("-csum", "csum=true", tunnel="udp_csum on", encaps=["udp"], versions=[4]),
]


class Site:
    """A switchd with a tunnel port and a host, cabled to the emulated machine."""

    def __init__(self, lab, linux, case, underlay):
        near, far, bits = ADDRESSES[case.version]
        self.linux, self.case = linux, case
        self.switch = lab.switch()
        self.switch.vsctl("add-br", "br0")
        self.relay = linux.cable(self.switch.namespace)
        if underlay == "native":
            self.switch.vsctl("add-br", "br-phys", "--", "add-port", "br-phys", "uplink")
            self.switch.namespace.address("br-phys", f"{near}/{bits}")
        else:
            self.switch.namespace.address("uplink", f"{near}/{bits}")
        self.host = lab.port_host(self.switch, "br0", "h1", "172.31.0.1/24", "fc00:31::1/64")
        self.tagged_host = lab.port_host(self.switch, "br0", "h2", "172.31.100.1/24", columns=["tag=100"])
        nodad = "nodad" if case.version == 6 else ""
        linux.run(f"ip addr add {far}/{bits} dev eth0 {nodad}")
        linux.run(case.theirs.format(near=near, far=far))
        linux.run(f"""set -e
            ip link set tun0 mtu {case.room} up
            ip addr add 172.31.0.2/24 dev tun0
            ip addr add fc00:31::2/64 dev tun0 nodad
            ip link add link tun0 name tun0.100 type vlan id 100
            ip link set tun0.100 up
            ip addr add 172.31.100.2/24 dev tun0.100
            # The routes do not learn that the tunnel has less room than its interface.
            ip route replace 172.31.0.0/24 dev tun0 mtu lock {case.room}
            ip route replace 172.31.100.0/24 dev tun0.100 mtu lock {case.room}""")
        words = [f"options:{option}" for option in f"remote_ip={far} {case.ours}".split()]
        self.switch.vsctl("add-port", "br0", "tun", "--", "set", "Interface", "tun", f"type={case.kind}", *words)

    def ping(self, size, lan="172.31.0."):
        """Both ways, IP packets of `size` bytes with DF, as far as they can send that."""
        host = self.tagged_host if lan == "172.31.100." else self.host
        ping = f"ping -n -q -M do -i 0.05 -W 10 -s {size - (48 if ':' in lan else 28)}"
        host.run(*ping.split(), "-c", "3", f"{lan}2")
        if size <= self.case.room:
            # By IPv6 it learns the tunnel's room even so, once a packet has left.
            self.linux.run(f"for n in 1 2 3; do ip -6 route flush cache; {ping} -c 1 {lan}1 || exit 1; done")

    def send_bulk(self):
        """From us to them by TCP."""
        self.linux.run("rm -f /tmp/got; nc -l -p 5001 >/tmp/got &")
        until(lambda: self.linux.run("netstat -tln | grep -q :5001", check=False).returncode == 0, "nc listens")
        self.host.run("python3", "-c", SEND, stdin=BULK)
        until(lambda: BULK_MD5 in self.linux.run("md5sum /tmp/got").stdout, "all arrives", seconds=20)

    def receive_bulk(self):
        """From them to us by TCP."""
        server = self.host.start("python3", "-c", RECEIVE, stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"ready\n"
        self.linux.run("seq 0 49999 | nc 172.31.0.1 5001", timeout=60)
        assert server.communicate(timeout=20)[0].decode().strip() == BULK_MD5


# Over the kernel's underlay, where the same headers leave by other sockets, the plain ones are enough.
RUNS = [(case, "native") for case in CASES] + [(case, "kernel") for case in CASES if case.is_plain]


@pytest.mark.parametrize("case, underlay", RUNS, ids=lambda value: getattr(value, "name", value))
def test_full_size(lab, linux, case, underlay):
    site = Site(lab, linux, case, underlay)
    until(lambda: site.host.ping("172.31.0.2"), "a first ping", seconds=15)
    assert site.relay.rightward.fragments == 0
    for size in 64, 1280, 1500:
        site.ping(size)
    site.ping(1500, "fc00:31::")
    for size in 64, 1500:
        site.ping(size, "172.31.100.")
    site.send_bulk()
    site.receive_bulk()
    assert site.relay.rightward.fragments > 0
    assert site.relay.leftward.fragments > 0 or case.room < 1500
    site.relay.reverse = True
    site.ping(1500)
    assert site.relay.rightward.reversed >= 3
    assert site.relay.leftward.reversed >= 3 or case.room < 1500


@pytest.mark.parametrize("name", ["gretap", "l2tpv3-udp4", "l2tpv3-ip6"])
def test_linux_bridge(lab, linux, name):
    """Hosts behind a bridge of theirs. Of these tunnels a Linux bridge believes that they carry full-size frames."""
    site = Site(lab, linux, next(case for case in CASES if case.name == name), "native")
    linux.run("""set -e
        ip addr flush dev tun0
        ip netns add host
        ip link add br0 type bridge
        ip link add port type veth peer name eth0 netns host
        ip link set port master br0 up
        ip link set tun0 master br0
        ip link set br0 up
        inside() { ip netns exec host /tools/$*; }
        inside ip addr add 172.31.0.2/24 dev eth0
        inside ip addr add fc00:31::2/64 dev eth0 nodad
        inside ip link set eth0 up""")
    until(lambda: site.host.ping("172.31.0.2"), "a first ping", seconds=15)
    for size, lan in (1472, "172.31.0."), (1452, "fc00:31::"):
        ping = f"ping -n -q -M do -c 3 -i 0.05 -W 10 -s {size}"
        site.host.run(*ping.split(), f"{lan}2")
        linux.run(f"ip netns exec host /tools/{ping} {lan}1")
    assert site.relay.rightward.fragments > 0 and site.relay.leftward.fragments > 0


@pytest.mark.parametrize("version, mode, largest", [
    (4, "always", 1500), (4, "mtu:1000", 1000), (6, "always", 1280), (6, "mtu:1300", 1300),
])
def test_smaller_fragments(lab, linux, version, mode, largest):
    """`options:fragment` bounds the outer packets."""
    case = next(case for case in CASES if case.name == f"l2tpv3-udp{version}")
    site = Site(lab, linux, dataclasses.replace(case, ours=f"{case.ours} fragment={mode}"), "native")
    until(lambda: site.host.ping("172.31.0.2"), "a first ping", seconds=15)
    site.ping(1500)
    site.send_bulk()
    assert site.relay.rightward.fragments > 0
    assert site.relay.rightward.largest <= largest + ETHERNET


@pytest.mark.parametrize("version", [4, 6])
def test_too_big_is_said(lab, linux, version):
    """With fragment=never the inner sender learns what fits, tagged or not, by IPv4 and IPv6, and keeps to it."""
    case = next(case for case in CASES if case.name == f"l2tpv3-udp{version}")
    site = Site(lab, linux, dataclasses.replace(case, ours=f"{case.ours} fragment=never"), "native")
    until(lambda: site.host.ping("172.31.0.2"), "a first ping", seconds=15)
    for host, target in [(site.host, "172.31.0.2"), (site.host, "fc00:31::2"), (site.tagged_host, "172.31.100.2")]:
        said = host.run("ping", "-n", "-M", "do", "-c", "2", "-W", "2", "-s", "1452", target, check=False)
        assert "mtu" in said.stdout.lower(), said.stdout
        assert " mtu 1" in host.run("ip", "route", "get", target).stdout
    assert site.host.run("ping", "-n", "-M", "dont", "-c", "2", "-W", "5", "-s", "1472", "172.31.0.2")
    site.send_bulk()
    assert site.relay.rightward.fragments == 0


def test_two_sessions_in_a_tunnel(lab, linux):
    """Two pseudowires between the same ports; what says another cookie is of neither."""
    case = next(case for case in CASES if case.name == "l2tpv3-udp4-cookie4-none")
    site = Site(lab, linux, case, "native")
    other = case.ours.replace("session_id=100", "session_id=101").replace("session_id=200", "session_id=201")
    site.switch.vsctl("add-br", "br1", "--", "add-port", "br1", "tun1", "--", "set", "Interface", "tun1", "type=l2tpv3",
                      *(f"options:{option}" for option in f"remote_ip={ADDRESSES[4][1]} {other}".split()))
    host = lab.port_host(site.switch, "br1", "h3", "172.31.1.1/24")
    linux.run("""set -e
        ip l2tp add session name tun1 tunnel_id 20 session_id 201 peer_session_id 101 \
            cookie a1a2a3a4 peer_cookie 01020304 l2spec_type none
        ip link set tun1 mtu 1500 up
        ip addr add 172.31.1.2/24 dev tun1""")
    for place, target in [(site.host, "172.31.0.2"), (host, "172.31.1.2")]:
        until(lambda: place.ping(target), f"a first ping of {target}", seconds=15)
        assert place.ping(target, count=5)
    linux.run("""set -e
        ip l2tp del session tunnel_id 20 session_id 201
        ip l2tp add session name tun1 tunnel_id 20 session_id 201 peer_session_id 101 \
            cookie a1a2a3a5 peer_cookie 01020304 l2spec_type none
        ip link set tun1 up
        ip addr add 172.31.1.2/24 dev tun1""")
    linux.run("ping -c 3 -i 0.1 -W 1 172.31.1.1", check=False)
    until(lambda: "tunnel_rx_cookie=" in site.switch.vsctl("get", "Interface", "tun1", "statistics").stdout,
          "a wrong cookie is counted")
    assert not host.ping("172.31.1.2")
    assert site.host.ping("172.31.0.2", count=3)
