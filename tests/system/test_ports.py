"""Ports of every kind: hundreds of them, with offloads as the kernel has them, with VLANs, by patch and by LOCAL."""

import hashlib
import json
import os
import re

import pytest
from lab import run, until
from wire import raw_socket


def iperf(client, server, address, *options, seconds=2):
    """Bits per second received, and the report."""
    process = server.start("iperf3", "-s", "-1", "-p", "5201")
    until(lambda: ":5201" in server.run("ss", "-Hltn").stdout, "iperf3 listens")
    report = json.loads(client.run("iperf3", "-J", "-c", address, "-t", seconds, *options, timeout=60).stdout)
    process.wait(10)
    assert "error" not in report, report.get("error")
    return report["end"].get("sum_received", report["end"].get("sum"))["bits_per_second"], report


@pytest.mark.parametrize("address", ["10.0.0.2", "fc00::2"])
def test_curl_with_untouched_offloads(lab, lan, address):
    directory = lab.directory()
    content = os.urandom(20_000_000)
    (directory / "file").write_bytes(content)
    lan.h2.start("python3", "-m", "http.server", "8000", "--bind", address, "--directory", directory)
    until(lambda: ":8000" in lan.h2.run("ss", "-Hltn").stdout, "the server listens")
    host = f"[{address}]" if ":" in address else address
    lan.h1.run("curl", "-sS", "--max-time", "20", "-o", directory / "copy", f"http://{host}:8000/file")
    assert hashlib.sha256((directory / "copy").read_bytes()).digest() == hashlib.sha256(content).digest()


def download(server, client, directory):
    """Bits per second of one file by HTTP."""
    server.start("python3", "-m", "http.server", "8000", "--bind", "10.0.0.2", "--directory", directory)
    until(lambda: ":8000" in server.run("ss", "-Hltn").stdout, "the server listens")
    done = client.run("curl", "-sS", "-o", "/dev/null", "-w", "%{speed_download}", "http://10.0.0.2:8000/file")
    return 8 * float(done.stdout)


def test_iperf_and_curl_at_least_as_fast_as_open_vswitch(lab, lan):
    """Ours with the offloads as they are, theirs with the hosts' checksum offload off, without which TCP fails there."""
    theirs = lab.stock_switch()
    theirs.add_br("br0")
    hosts = []
    for number in 1, 2:
        host = lab.namespace(f"o{number}")
        lab.veth(theirs.namespace, f"p{number}", host, "eth0")
        host.address("eth0", f"10.0.0.{number}/24")
        host.run("ethtool", "-K", "eth0", "tx", "off")
        theirs.vsctl("add-port", "br0", f"p{number}")
        hosts.append(host)
    until(lambda: hosts[0].ping("10.0.0.2"), "a ping through Open vSwitch")
    until(lambda: lan.h1.ping("10.0.0.2"), "a ping through switchd")
    stock, _ = iperf(hosts[0], hosts[1], "10.0.0.2")
    ours, _ = iperf(lan.h1, lan.h2, "10.0.0.2")
    print(f"TCP: switchd {ours / 1e9:.2f} Gbit/s, Open vSwitch {stock / 1e9:.2f} Gbit/s")
    assert ours >= stock

    directory = lab.directory()
    (directory / "file").write_bytes(bytes(50_000_000))
    stock, ours = (download(server, client, directory) for server, client in [hosts[::-1], (lan.h2, lan.h1)])
    print(f"curl: switchd {ours / 1e9:.2f} Gbit/s, Open vSwitch {stock / 1e9:.2f} Gbit/s")
    assert ours >= stock


def test_iperf_udp(lan):
    def loses_little(address, rate, *options):
        got, report = iperf(lan.h1, lan.h2, address, "-u", "-b", f"{rate}M", *options, seconds=1)
        return got > 0.9e6 * rate and report["end"]["sum"]["lost_percent"] < 2
    # A machine that does something else at the moment loses datagrams too: one good second is enough.
    until(lambda: loses_little("10.0.0.2", 100, "-l", "1400"), "100 Mbit/s over IPv4", seconds=20)
    until(lambda: loses_little("fc00::2", 50, "-l", "8000"), "50 Mbit/s of fragmented datagrams over IPv6", seconds=20)


def test_frames_as_large_as_the_mtu(lab):
    switch = lab.switch()
    switch.vsctl("add-br", "br0")
    hosts = [lab.port_host(switch, "br0", f"p{n}", f"10.0.0.{n}/24", mtu=9000) for n in (1, 2)]
    until(lambda: hosts[0].ping("10.0.0.2"), "a small ping")
    assert hosts[0].run("ping", "-n", "-M", "do", "-s", "8972", "-c", "3", "-i", "0.05", "10.0.0.2")


def test_what_enters_a_port_is_the_switchs_alone(lan):
    lan.namespace.run("ip", "addr", "add", "10.0.0.99/24", "dev", "p1")
    assert not lan.h1.ping("10.0.0.99", wait=1), "the host stack behind a system port answers too"


def test_local_port(lan):
    lan.namespace.address("br0", "10.0.0.100/24", "fc00::100/64")
    mac = lan.vsctl("get", "Interface", "br0", "mac_in_use").stdout.strip().strip('"')
    assert lan.namespace.run("cat", "/sys/class/net/br0/address").stdout.strip() == mac
    until(lambda: lan.h1.ping("10.0.0.100"), "the switch's own address")
    assert lan.namespace.ping("10.0.0.2", count=3) and lan.namespace.ping("fc00::2", count=3)


def test_patch_ports(lab, lan):
    far = lab.host(lan, "p3", "10.0.0.3/24")
    lan.vsctl("add-br", "br1", "--", "add-port", "br1", "p3",
              "--", "add-port", "br0", "to1", "--", "set", "Interface", "to1", "type=patch", "options:peer=to0",
              "--", "add-port", "br1", "to0", "--", "set", "Interface", "to0", "type=patch", "options:peer=to1")
    until(lambda: lan.h1.ping("10.0.0.3"), "a ping through the patch ports")
    assert far.ping("10.0.0.2", count=3)


def test_vlans(lab):
    """Access ports on two bridges, joined by a trunk."""
    switch = lab.switch()
    switch.vsctl("add-br", "br0", "--", "add-br", "br1")
    a10 = lab.port_host(switch, "br0", "a10", "10.0.0.1/24", columns=["tag=10"])
    b10 = lab.port_host(switch, "br1", "b10", "10.0.0.2/24", columns=["tag=10"])
    b20 = lab.port_host(switch, "br1", "b20", "10.0.0.3/24", columns=["tag=20"])
    lab.veth(switch.namespace, "t0", switch.namespace, "t1")
    switch.vsctl("add-port", "br0", "t0", "--", "add-port", "br1", "t1")
    until(lambda: a10.ping("10.0.0.2"), "a ping along VLAN 10")
    assert b10.ping("10.0.0.1", count=3)
    assert not a10.ping("10.0.0.3", wait=1), "VLAN 10 reaches VLAN 20"
    switch.vsctl("set", "Port", "t0", "trunks=20")
    assert not a10.ping("10.0.0.2", wait=1), "the trunk does not carry VLAN 10"
    switch.vsctl("set", "Port", "a10", "tag=20")
    until(lambda: a10.ping("10.0.0.3"), "a ping along VLAN 20")
    assert b20.ping("10.0.0.1")


def test_a_device_that_comes_later(lab, lan):
    done = lan.vsctl("add-port", "br0", "later", check=False)
    assert done.returncode != 0 and "later" in done.stderr
    assert "later" in lan.vsctl("list-ports", "br0").stdout.split(), "the row is kept"
    assert lan.vsctl("get", "Interface", "later", "error").stdout.strip() not in ("", "[]")
    host = lab.host(lan, "later", "10.0.0.3/24")
    until(lambda: lan.vsctl("get", "Interface", "later", "error").stdout.strip() == "[]", "retried", seconds=15)
    until(lambda: host.ping("10.0.0.1"), "a ping through the late device")
    run("ip", "-n", host.name, "link", "del", "eth0")
    until(lambda: lan.vsctl("get", "Interface", "later", "error").stdout.strip() != "[]", "missed again", seconds=15)
    assert lan.h1.ping("10.0.0.2", count=3)


def test_two_hundred_system_ports(lab):
    """One frame from each port to all others: nothing is missed."""
    count = 200
    switch, far = lab.switch(), lab.namespace("far")
    cables = (f"link add v{n} type veth peer name w{n} netns {far.name}" for n in range(count))
    switch.namespace.run("ip", "-b", "-", stdin="\n".join(cables))
    switch.namespace.run("ip", "-b", "-", stdin="\n".join(f"link set v{n} up" for n in range(count)))
    # Silence: no router solicitations among our frames.
    far.run("sh", "-c", f"for n in $(seq 0 {count - 1}); do echo 1 > /proc/sys/net/ipv6/conf/w$n/disable_ipv6; done")
    far.run("ip", "-b", "-", stdin="\n".join(f"link set w{n} up" for n in range(count)))
    words = ["add-br", "br0"]
    for n in range(count):
        words += ["--", "add-port", "br0", f"v{n}", "--", "set", "Interface", f"v{n}", f"ofport_request={n + 1}"]
    switch.vsctl(*words, timeout=120)
    until(lambda: switch.ofctl("dump-ports", "br0").stdout.count("port ") >= count, "all ports are there")

    sockets = [raw_socket(far, f"w{n}") for n in range(count)]
    for n, socket in enumerate(sockets):
        source = bytes([2, 0, 0, 0, n >> 8, n & 255])
        socket.send(b"\xff" * 6 + source + b"\x88\xb5" + bytes(46))

    def received():
        text = switch.ofctl("dump-ports", "br0").stdout
        packets = [int(found) for found in re.findall(r"tx pkts=(\d+)", text)]
        return sum(packets) >= count * (count - 1)
    until(received, f"each of {count} broadcast frames left by all other ports", seconds=20)
    for socket in sockets:
        socket.close()


def test_a_thousand_patch_and_tunnel_ports(lab, lan):
    count = 500
    far = lab.host(lan, "p3", "10.0.0.3/24")
    words = ["add-br", "br1", "--", "set-fail-mode", "br1", "secure"]
    for n in range(count):
        words += ["--", "add-port", "br1", f"a{n}", "--", "set", "Interface", f"a{n}", "type=patch", f"options:peer=b{n}",
                  "--", "add-port", "br0" if n == 0 else "br2", f"b{n}", "--", "set", "Interface", f"b{n}", "type=patch",
                  f"options:peer=a{n}",
                  "--", "add-port", "br1", f"t{n}", "--", "set", "Interface", f"t{n}", "type=vxlan",
                  f"options:remote_ip=192.0.2.{1 + n % 250}", f"options:key={n}"]
    lan.vsctl("add-br", "br2", "--", *words, "--", "add-port", "br1", "p3", timeout=120)
    assert lan.ofctl("dump-ports-desc", "br1").stdout.count("addr:") == 2 * count + 2
    ports = lan.vsctl("get", "Interface", "a0", "ofport", "--", "get", "Interface", "p3", "ofport").stdout.split()
    lan.ofctl("add-flow", "br1", f"in_port={ports[0]},actions=output:{ports[1]}")
    lan.ofctl("add-flow", "br1", f"in_port={ports[1]},actions=output:{ports[0]}")
    until(lambda: far.ping("10.0.0.1"), "a ping through one of them")
    lan.vsctl("del-br", "br1", "--", "del-br", "br2", timeout=120)
    until(lambda: lan.h1.ping("10.0.0.2"), "the rest goes on")


def test_dpdk_virtual_devices(lan):
    """Any device of DPDK is a port: frames come out of a null device, counted."""
    lan.vsctl("add-br", "br9", "--", "set-fail-mode", "br9", "secure", "--",
              "add-port", "br9", "src", "--", "set", "Interface", "src", "type=dpdk", "options:dpdk-devargs=net_null0",
              "ofport_request=1", "--",
              "add-port", "br9", "dst", "--", "set", "Interface", "dst", "type=dpdk",
              "options:dpdk-devargs=net_null1,no-rx=1", "ofport_request=2")
    lan.ofctl("add-flow", "br9", "in_port=1,actions=output:2")

    def moved():
        text = lan.ofctl("dump-ports", "br9", "2").stdout
        return int(re.search(r"tx pkts=(\d+)", text)[1]) > 10_000
    until(moved, "frames move")
