"""A flood of fragments whose packets never become whole: memory stays as it is, honest packets come together
all the while, and counters name what happened."""

import ipaddress
import random
import re
import struct

import pytest
from lab import run, until

FLOOD = 1_000_000  # fragments that arrive
DIFFERENT = 20_000  # of which so many are not the same
OURS = {4: "10.9.0.1", 6: "fd09::1"}
MAC, STRANGER = "02:00:00:00:09:01", b"\x02\0\0\0\x66\x01"


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def fragment(rng, version, number, destination, forged):
    """An IP packet: the first part of one to the tunnel's port, the last one, or one between them. Every fourth
    has a forged source, if there is one."""
    is_first, is_last = number % 3 == 0, number % 3 == 1
    offset = 0 if is_first else rng.randrange(1, 180)
    payload = struct.pack("!HHHH", 0xC000, 4789, 1560, 0) + rng.randbytes(8 * rng.randrange(1, 5))
    if version == 4:
        source = ipaddress.ip_address(rng.randrange(0x0B000000, 0xDF000000)).packed
        if forged and number % 4 == 0:
            source = ipaddress.ip_address(forged).packed
        flags = 0 if is_last else 0x2000
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), rng.randrange(1 << 16), flags | offset, 64, 17, 0)
        sum_ = checksum(header + source + destination)
        return b"\x08\x00" + header[:10] + struct.pack("!H", sum_) + source + destination + payload
    source = b"\x20\x01" + rng.randbytes(14)
    header = struct.pack("!IHBB", 6 << 28, 8 + len(payload), 44, 64) + source + destination
    return b"\x86\xdd" + header + struct.pack("!BBHI", 17, 0, offset << 3 | (not is_last), rng.randrange(1 << 32)) + payload


def write_flood(path, mac, destinations, forged=None):
    """A capture of fragments from thousands of sources, IPv4 and IPv6 in turns."""
    rng = random.Random(3)
    mac = bytes.fromhex(mac.replace(":", ""))
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(DIFFERENT):
            version = 4 if number % 2 else 6
            destination = ipaddress.ip_address(destinations[version]).packed
            frame = (mac + STRANGER + fragment(rng, version, number // 2, destination, forged)).ljust(60, b"\0")
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def counters(switch):
    """What was counted of fragments and of drops, by name."""
    text = run("ovs-appctl", "-t", next(switch.rundir.glob("ovs-vswitchd.*.ctl")), "coverage/show").stdout
    return {words[0]: int(words[1]) for words in map(str.split, text.splitlines())}


def ping(host, address, size):
    """Whether a packet of this size comes back."""
    return host.run("ping", "-n", "-q", "-c", 1, "-W", 2, "-s", size, address, check=False).returncode == 0


def flooded(switch, bridge, path, honest):
    """Floods a bridge by a port until a million fragments were received, and asks meanwhile and afterwards whether
    honest traffic arrives."""
    assert honest(), "before the flood"
    memory, before = switch.memory_mb(), counters(switch)
    switch.vsctl("add-port", bridge, "flood", "--", "set", "Interface", "flood", "type=dpdk", "ofport_request=66",
                 f"options:dpdk-devargs=net_pcap_flood,rx_pcap={path},infinite_rx=1")

    def received():
        return int(re.search(r"rx pkts=(\d+)", switch.ofctl("dump-ports", bridge, "66").stdout).group(1))

    until(lambda: received() > 10_000, "the flood begins")
    until(honest, "honest packets arrive during the flood")
    until(lambda: received() >= FLOOD, "a million fragments arrive", seconds=20)
    assert honest() or honest(), "honest packets arrive during the flood"
    assert switch.memory_mb() < memory + 40, f"{memory} MB of memory grew to {switch.memory_mb()} MB"
    after = counters(switch)
    switch.vsctl("del-port", bridge, "flood")
    until(honest, "honest packets arrive after the flood")
    assert switch.memory_mb() < memory + 40
    return {name: after[name] - before.get(name, 0) for name in after}


def set_frags(switch):
    switch.ofctl("set-frags", "br0", "reassemble")


def rule(switch):
    for kind in "ip", "ipv6":
        switch.ofctl("add-flow", "br0", f"priority=20,{kind},actions=reassemble(table=1)")
    switch.ofctl("add-flow", "br0", "table=1,priority=0,actions=NORMAL")


@pytest.mark.parametrize("reassemble", [set_frags, rule])
def test_a_bridge_that_reassembles(lab, reassemble):
    switch = lab.switch()
    switch.vsctl("add-br", "br0")
    hosts = [lab.port_host(switch, "br0", f"p{n}", f"10.0.0.{n}/24", f"fc00::{n}/64", mtu=9000) for n in (1, 2)]
    for host in hosts:  # they split what they send, and take what is whole
        for network in "10.0.0.0/24", "fc00::/64":
            host.run("ip", "route", "replace", network, "dev", "eth0", "mtu", "1500")
    for table in 0, 1:
        for kind in "ip", "ipv6":
            switch.ofctl("add-flow", "br0", f"table={table},priority=10,{kind},ip_frag=yes,actions=drop")
    reassemble(switch)
    path = switch.dir / "flood.pcap"
    write_flood(path, "02:00:00:00:00:01", {4: "10.0.0.2", 6: "fc00::2"}, forged="10.0.0.1")

    def honest():
        return all(ping(hosts[0], address, 4000) for address in ("10.0.0.2", "fc00::2"))

    check_counters(flooded(switch, "br0", path, honest))


def test_a_tunnel_endpoint(lab):
    ends = []
    for number in 1, 2:
        end = lab.switch(f"end{number}")
        end.vsctl("add-br", "br-phy", "--", "set", "Bridge", "br-phy", f"other_config:hwaddr=02:00:00:00:09:0{number}",
                  "--", "add-br", "br0")
        end.namespace.address("br-phy", f"10.9.0.{number}/24", f"fd09::{number}/64")
        end.namespace.address("br0", f"10.0.4.{number}/24", f"10.0.6.{number}/24")
        ends.append(end)
    lab.veth(ends[0].namespace, "cable", ends[1].namespace, "cable")
    for end, peer in zip(ends, (2, 1)):
        end.vsctl("add-port", "br-phy", "cable")
        for name, remote, key in ("vx4", f"10.9.0.{peer}", 4), ("vx6", f"fd09::{peer}", 6), ("any", "flow", 99):
            end.vsctl("add-port", "br0", name, "--", "set", "Interface", name, "type=vxlan", f"options:remote_ip={remote}",
                      f"options:key={key}", f"ofport_request={key}")
        end.ofctl("del-flows", "br0")
        for version in 4, 6:  # one goes by IPv4, the other by IPv6
            for kind, field in ("ip", "nw_dst"), ("arp", "arp_tpa"):
                end.ofctl("add-flow", "br0", f"in_port=LOCAL,{kind},{field}=10.0.{version}.0/24,actions=output:{version}")
            end.ofctl("add-flow", "br0", f"in_port={version},actions=LOCAL")
    path = ends[0].dir / "flood.pcap"
    write_flood(path, MAC, OURS, forged="10.9.0.2")

    def honest():
        return all(ping(ends[0].namespace, f"10.0.{version}.2", 1472) for version in (4, 6))

    check_counters(flooded(ends[0], "br-phy", path, honest))


def check_counters(counted):
    """The flood has names: what was evicted, and what took more than its share. Nothing of it was completed."""
    assert counted["fragment_held"] > FLOOD / 2, counted
    assert counted["fragment_source_share"] + counted["fragment_evicted"] > FLOOD / 4, counted
    assert counted["drop_reassembly"] > FLOOD / 2, counted
    assert 2 <= counted["fragment_completed"] < 1000, counted
