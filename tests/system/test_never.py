"""`options:fragment=never`: hosts behind a tunnel learn what fits from the switch, and their stacks believe it."""

import pytest
from lab import until

UNDERLAY = {4: ("10.200.0.{}", 24, 50), 6: ("fd00:200::{}", 64, 70)}


@pytest.fixture(params=[4, 6])
def sites(lab, request):
    """Two switches over a link that carries 1500 bytes, a tunnel between them that must not fragment, a host at each."""
    pattern, bits, overhead = UNDERLAY[request.param]
    switches = [lab.switch(name) for name in ("a", "b")]
    lab.veth(switches[0].namespace, "wire", switches[1].namespace, "wire", mtu=1500)
    hosts = []
    for number, switch in enumerate(switches, 1):
        switch.namespace.address("wire", f"{pattern.format(number)}/{bits}")
        switch.vsctl("add-br", "br0")
        hosts.append(lab.port_host(switch, "br0", f"h{number}", f"172.31.0.{number}/24", f"fc00:31::{number}/64"))
        switch.vsctl("add-port", "br0", "tun", "--", "set", "Interface", "tun", "type=vxlan", "options:fragment=never",
                     f"options:remote_ip={pattern.format(3 - number)}")
    until(lambda: hosts[0].ping("172.31.0.2") and hosts[0].ping("fc00:31::2"), "the hosts reach each other")
    return switches, hosts, 1500 - overhead


def known_mtu(host, address):
    words = host.run("ip", "route", "get", address).stdout.split()
    return int(words[words.index("mtu") + 1]) if "mtu" in words else None


@pytest.mark.parametrize("address, headers", [("172.31.0.2", 28), ("fc00:31::2", 48)], ids=["ipv4", "ipv6"])
def test_a_ping_that_does_not_fit(sites, address, headers):
    switches, (here, _), fits = sites
    full = 1500 - headers
    done = here.run("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", full, address, check=False)
    assert done.returncode != 0
    until(lambda: known_mtu(here, address) == fits, f"the host knows that {fits} bytes fit")
    assert here.run("ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", fits - headers, address).returncode == 0
    done = here.run("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", fits - headers + 1, address, check=False)
    assert "message too long" in (done.stdout + done.stderr).lower()
    counters = switches[0].vsctl("get", "Interface", "tun", "statistics").stdout
    until(lambda: "tunnel_tx_too_big" in switches[0].vsctl("get", "Interface", "tun", "statistics").stdout,
          f"the tunnel counts it: {counters}")


@pytest.mark.parametrize("address", ["172.31.0.2", "fc00:31::2"], ids=["ipv4", "ipv6"])
def test_tcp_finds_its_size(sites, address):
    """Segments of a host that believes in 1500 bytes, and leaves cutting them to its card."""
    _, (here, there), _ = sites
    server = there.start("python3", "-c", f"""
import socket
family = socket.AF_INET6 if ":" in "{address}" else socket.AF_INET
server = socket.create_server(("{address}", 5001), family=family)
connection, _ = server.accept()
size = 0
while data := connection.recv(1 << 16):
    size += len(data)
connection.sendall(str(size).encode())
""")
    script = f"""
import socket
client = socket.create_connection(("{address}", 5001), timeout=20)
client.sendall(bytes(4_000_000))
client.shutdown(socket.SHUT_WR)
print(client.recv(100).decode())
"""
    until(lambda: ":5001" in there.run("ss", "-ltn").stdout, "the server listens")
    assert here.run("python3", "-c", script, timeout=30).stdout.strip() == "4000000"
    server.wait(5)


def test_without_df_it_arrives(sites):
    """Inner IPv4 without DF is cut before it enters the tunnel."""
    _, (here, _), _ = sites
    assert here.run("ping", "-n", "-c", "3", "-i", "0.1", "-W", "3", "-M", "dont", "-s", "3000", "172.31.0.2").returncode == 0
