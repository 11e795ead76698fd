"""Tunnels between switchd and what else speaks VXLAN and GRE: Open vSwitch and the kernel."""

import pytest
from lab import until

UNDERLAY = {4: ("192.168.200.101", "192.168.200.102", 24), 6: ("fd00:200::101", "fd00:200::102", 64)}


def site(lab, name, version):
    """A switchd with an underlay bridge whose LOCAL interface has the site's address."""
    near, _, bits = UNDERLAY[version]
    switch = lab.switch(name)
    switch.vsctl("add-br", "br-phys")
    switch.vsctl("add-br", "br0")
    switch.namespace.address("br-phys", f"{near}/{bits}")
    return switch


def cable(lab, switch, peer_namespace):
    lab.veth(switch.namespace, "uplink", peer_namespace, "uplink", mtu=1500)
    switch.vsctl("add-port", "br-phys", "uplink")


def pings_both_ways(here, there):
    until(lambda: here.ping("172.31.0.2"), "a first ping", seconds=15)
    assert here.ping("172.31.0.2", count=5) and there.ping("172.31.0.1", count=5)
    assert here.ping("fc00:31::2", count=5) and there.ping("fc00:31::1", count=5)


def tunnel_port(switch, kind, remote, *options):
    switch.vsctl("add-port", "br0", "tun", "--", "set", "Interface", "tun", f"type={kind}",
                 f"options:remote_ip={remote}", *(f"options:{option}" for option in options))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind, options", [
    ("vxlan", ["key=42", "dst_port=8472"]),
    ("vxlan", ["key=flow", "csum=true"]),
    ("gre", []),
    ("gre", ["key=7", "csum=true"]),
], ids=["vxlan", "vxlan-csum", "gre", "gre-key-csum"])
def test_open_vswitch(lab, kind, options, version):
    near, far, bits = UNDERLAY[version]
    ours, theirs = site(lab, "sw", version), lab.stock_switch()
    cable(lab, ours, theirs.namespace)
    here = lab.port_host(ours, "br0", "h1", "172.31.0.1/24", "fc00:31::1/64", mtu=1400)

    theirs.add_br("br-phys")
    theirs.add_br("br0")
    theirs.vsctl("add-port", "br-phys", "uplink")
    theirs.namespace.address("br-phys", f"{far}/{bits}")
    there = lab.namespace("h2")
    lab.veth(theirs.namespace, "h2", there, "eth0", mtu=1400)
    there.address("eth0", "172.31.0.2/24", "fc00:31::2/64")
    theirs.vsctl("add-port", "br0", "h2", "--", "add-port", "br0", "tun", "--", "set", "Interface", "tun",
                 f"type={kind}", f"options:remote_ip={near}", *(f"options:{option}" for option in options))
    tunnel_port(ours, kind, far, *options)
    pings_both_ways(here, there)


@pytest.mark.parametrize("version", [4, 6])
def test_vxlan_of_the_kernel(lab, version):
    near, far, bits = UNDERLAY[version]
    ours, theirs = site(lab, "sw", version), lab.namespace("kernel")
    cable(lab, ours, theirs)
    here = lab.port_host(ours, "br0", "h1", "172.31.0.1/24", "fc00:31::1/64", mtu=1400)
    theirs.address("uplink", f"{far}/{bits}")
    theirs.run("ip", "link", "add", "vx0", "type", "vxlan", "id", 42, "dstport", 4789, "local", far, "remote", near,
               *(["udp6zerocsumrx"] if version == 6 else []))
    theirs.run("ip", "link", "set", "vx0", "mtu", 1400)
    theirs.address("vx0", "172.31.0.2/24", "fc00:31::2/64")
    tunnel_port(ours, "vxlan", far, "key=42")
    pings_both_ways(here, theirs)


@pytest.mark.parametrize("kind", ["vxlan", "gre"])
def test_no_first_packet_is_lost(lab, kind):
    """The neighbour of the remote address is unknown, yet one single frame arrives."""
    near, far, bits = UNDERLAY[4]
    a = site(lab, "a", 4)
    b = lab.switch("b")
    b.vsctl("add-br", "br-phys", "--", "add-br", "br0")
    b.namespace.address("br-phys", f"{far}/{bits}")
    cable(lab, a, b.namespace)
    b.vsctl("add-port", "br-phys", "uplink")
    hosts = []
    for number, (switch, remote) in enumerate([(a, far), (b, near)], 1):
        host = lab.port_host(switch, "br0", f"h{number}", f"172.31.0.{number}/24")
        hosts.append(host)
        tunnel_port(switch, kind, remote)
    macs = [host.run("cat", "/sys/class/net/eth0/address").stdout.strip() for host in hosts]
    hosts[0].run("ip", "neigh", "add", "172.31.0.2", "lladdr", macs[1], "dev", "eth0")
    hosts[1].run("ip", "neigh", "add", "172.31.0.1", "lladdr", macs[0], "dev", "eth0")
    for switch in a, b:
        switch.namespace.run("ip", "neigh", "flush", "dev", "br-phys")
    assert hosts[0].ping("172.31.0.2", count=1, wait=5)


def test_neighbour_that_moves(lab):
    """The remote site gets another MAC address: the tunnel follows, as the kernel learns of it."""
    near, far, bits = UNDERLAY[4]
    ours, theirs = site(lab, "sw", 4), lab.namespace("kernel")
    cable(lab, ours, theirs)
    here = lab.port_host(ours, "br0", "h1", "172.31.0.1/24", mtu=1400)
    theirs.address("uplink", f"{far}/{bits}")
    theirs.run("ip", "link", "add", "vx0", "type", "vxlan", "id", 0, "dstport", 4789, "local", far, "remote", near)
    theirs.address("vx0", "172.31.0.2/24")
    tunnel_port(ours, "vxlan", far)
    until(lambda: here.ping("172.31.0.2"), "a first ping", seconds=15)
    theirs.run("ip", "link", "set", "uplink", "down")
    theirs.run("ip", "link", "set", "uplink", "address", "02:00:00:00:00:99")
    theirs.run("ip", "link", "set", "uplink", "up")
    theirs.run("ping", "-c", "1", "-W", "1", near, check=False)
    until(lambda: here.ping("172.31.0.2"), "a ping to the new address", seconds=40)
