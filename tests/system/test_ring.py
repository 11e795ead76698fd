"""Three sites in a ring of pseudowires: spanning tree at the ends keeps it a tree, and mends it when a wire is lost.

Each site's switch is nothing but two wires; the loop, and the BPDUs that break it, are the business of the sites' own
bridges. The kernel's bridge speaks classic STP, the stock Open vSwitch RSTP.
"""

import itertools
import json
import re

import pytest
from lab import until

SITES = 1, 2, 3
WIRES = list(itertools.combinations(SITES, 2))


class LinuxEnd:
    """A kernel bridge with classic STP and the shortest timers it accepts."""

    def __init__(self, lab, number, switch):
        self.namespace, self.ports = lab.namespace(f"lan{number}"), peers(number)
        self.namespace.run("ip", "link", "add", "lan", "type", "bridge", "stp_state", "1", "forward_delay", "200",
                           "hello_time", "100", "max_age", "600", "priority", number * 4096)
        for port in self.ports:
            lab.veth(switch.namespace, port, self.namespace, port)
            self.namespace.run("ip", "link", "set", port, "master", "lan")
        self.namespace.address("lan", f"172.31.0.{number}/24")

    def forwarding(self):
        links = json.loads(self.namespace.run("bridge", "-j", "link").stdout)
        return {link["ifname"] for link in links if link["state"] == "forwarding"}


class RstpEnd:
    """Debian's Open vSwitch with RSTP."""

    def __init__(self, lab, number, switch):
        self.switch, self.ports = lab.stock_switch(f"lan{number}"), peers(number)
        self.namespace = self.switch.namespace
        self.switch.add_br("lan")
        self.switch.vsctl("set", "Bridge", "lan", "rstp_enable=true", f"other_config:rstp-priority={number * 4096}",
                          "other_config:rstp-hello-time=1", "other_config:rstp-forward-delay=4",
                          "other_config:rstp-max-age=6")
        for port in self.ports:
            lab.veth(switch.namespace, port, self.namespace, port)
            self.switch.vsctl("add-port", "lan", port)
        self.namespace.address("lan", f"172.31.0.{number}/24")

    def forwarding(self):
        return {port for port in self.ports if "Forwarding" in
                self.switch.vsctl("get", "Port", port, "rstp_status:rstp_port_state", check=False).stdout}


def peers(number):
    """The names of a site's wires."""
    return [f"to{other}" for other in SITES if other != number]


def wire_up(lab, number, wan, tunnel):
    """The switch of a site: an underlay of 1500 bytes and a transparent bridge for each wire."""
    switch = lab.switch(f"sw{number}")
    lab.veth(switch.namespace, "uplink", wan, f"site{number}", mtu=1500)
    wan.run("ip", "link", "set", f"site{number}", "master", "wan")
    switch.vsctl("add-br", "br-phys", "--", "add-port", "br-phys", "uplink")
    switch.namespace.address("br-phys", f"fd00:200::{number}/64")
    for other in SITES:
        if other != number:
            switch.vsctl("add-br", f"pw{other}", "--", "set", "Bridge", f"pw{other}", "other_config:forward-bpdu=true")
            add_tunnel(switch, number, other, tunnel)
    return switch


def add_tunnel(switch, number, other, tunnel):
    wire = WIRES.index(tuple(sorted((number, other))))
    options = tunnel.format(wire=wire + 1).split()
    switch.vsctl("add-port", f"pw{other}", f"tun{other}", "--", "set", "Interface", f"tun{other}", *options,
                 f"options:remote_ip=fd00:200::{other}")


def blocked(ends):
    """(site, port) of the ports that do not forward."""
    return [(number, port) for number, end in ends.items() for port in set(end.ports) - end.forwarding()]


def bpdus(switch, port):
    """How many have come in and gone out by a port of the switch: the bridges at the ends send one a second."""
    statistics = switch.vsctl("get", "Interface", port, "statistics").stdout
    return sum(int(count) for count in re.findall(r"[rt]x_bpdus=(\d+)", statistics))


def all_reach_all(ends):
    """All of them try: a wire's switches learn from what a site sends that it has moved to another wire."""
    return all([ends[a].namespace.ping(f"172.31.0.{b}") for a, b in itertools.permutations(SITES, 2)])


@pytest.mark.parametrize("end, tunnel", [
    (LinuxEnd, "type=gpw"),
    (RstpEnd, "type=l2tpv3 options:encap=ip options:local_session_id={wire} options:peer_session_id={wire}"),
], ids=["stp-gpw", "rstp-l2tpv3"])
def test_ring(lab, end, tunnel):
    wan = lab.namespace("wan")
    wan.run("ip", "link", "add", "wan", "type", "bridge", "mcast_snooping", "0")
    wan.run("ip", "link", "set", "wan", "up")
    switches = {number: wire_up(lab, number, wan, tunnel) for number in SITES}
    ends = {number: end(lab, number, switches[number]) for number in SITES}
    for number, switch in switches.items():
        for other in peers(number):
            switch.vsctl("add-port", other.replace("to", "pw"), other)

    # Site 1 is the root, so the wire between 2 and 3 stands by, at the end with the lesser bridge.
    until(lambda: blocked(ends) == [(3, "to2")], "the ring is a tree", seconds=60, interval=0.3)
    until(lambda: all_reach_all(ends), "all sites reach each other", seconds=40)
    for site, port in (3, "tun1"), (3, "tun2"), (2, "tun1"), (3, "to2"):
        before = bpdus(switches[site], port)
        until(lambda: bpdus(switches[site], port) >= before + 2, f"BPDUs by {port} of site {site}")

    switches[3].vsctl("del-port", "tun1")
    until(lambda: "to2" in ends[3].forwarding(), "the standby wire takes over", seconds=60, interval=0.3)
    until(lambda: all_reach_all(ends), "all sites reach each other again", seconds=40)

    add_tunnel(switches[3], 3, 1, tunnel)
    until(lambda: blocked(ends) == [(3, "to2")], "the ring is a tree again", seconds=60, interval=0.3)
    until(lambda: all_reach_all(ends), "all sites reach each other at last", seconds=40)
