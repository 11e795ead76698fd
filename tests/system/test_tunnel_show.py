"""What can be seen of tunnels: their way, sizes and counters, by the database and by the stock ovs-appctl."""

import pytest
from lab import until

TUNNELS = {
    "vx": ("vxlan", ["remote_ip=192.0.2.1", "key=5", "fragment=never"], 50),
    "gr": ("gre", ["remote_ip=fd00::1", "key=5", "csum=true", "seq=true"], 70),
    "gn": ("geneve", ["remote_ip=192.0.2.1", "key=5"], 50),
    "lu": ("l2tpv3", ["remote_ip=192.0.2.1", "local_session_id=5", "peer_session_id=6", "cookie=deadbeef"], 58),
    "li": ("l2tpv3", ["remote_ip=fd00::1", "local_session_id=5", "peer_session_id=6", "encap=ip"], 62),
    "g6": ("gpw", ["remote_ip=fd00::1"], 56),
    "gl": ("gpw", ['remote_mac="02:00:00:00:00:01"', "via=wan"], 16),
}


@pytest.fixture(scope="module")
def site(shared_lab):
    lab = shared_lab
    switch = lab.switch()
    peer = lab.namespace("peer")
    lab.veth(switch.namespace, "wan", peer, "wan")
    switch.namespace.address("wan", "192.0.2.9/24", "fd00::9/64")
    peer.address("wan", "192.0.2.1/24", "fd00::1/64")
    host = lab.host(switch, "h1", "10.0.0.1/24")
    switch.vsctl("add-br", "lan", "--", "add-port", "lan", "h1")
    for name, (kind, options, _) in TUNNELS.items():
        switch.vsctl("add-port", "lan", name, "--", "set", "Interface", name, f"type={kind}",
                     *[f"options:{option}" for option in options])
    switch.host = host
    yield switch


def appctl(switch, *words, **options):
    return switch.namespace.run("ovs-appctl", *words, env={"OVS_RUNDIR": str(switch.rundir)}, **options)


def column(switch, name, column, key):
    return switch.vsctl("--if-exists", "get", "Interface", name, f"{column}:{key}").stdout.strip().strip('"')


@pytest.mark.parametrize("name", TUNNELS)
def test_a_tunnel_is_shown(site, name):
    kind, _, size = TUNNELS[name]
    text = appctl(site, "tunnel/show", name).stdout
    for part in f"type {kind}", "tunnel_underlay: kernel", "tunnel_egress_iface: wan", \
            f"outer header: {size} bytes", "tx_packets", "id_mismatch":
        assert part in text, text
    assert column(site, name, "status", "tunnel_path_mtu") == "1500"
    fragments = column(site, name, "status", "tunnel_fragments")
    assert fragments == ("no" if name == "vx" else "yes")


def test_vsctl_show_says_the_way(site):
    shown = site.vsctl("show").stdout
    assert shown.count("tunnel_underlay=kernel") == len(TUNNELS)
    assert shown.count("tunnel_fragments=no") == 1


def test_a_tunnel_becomes_another_one(site):
    """In place, with its number."""
    site.vsctl("add-port", "lan", "tt", "--", "set", "Interface", "tt", "type=vxlan", "options:remote_ip=192.0.2.7")
    number = site.vsctl("get", "Interface", "tt", "ofport").stdout
    for kind, options in ("type=geneve", []), ("type=gre", []), ("type=gpw", ["options:remote_ip=fd00::7"]), \
            ("type=l2tpv3", ["options:local_session_id=7", "options:peer_session_id=7"]):
        site.vsctl("set", "Interface", "tt", kind, *options)
        assert f", port {number.strip()}, type {kind[5:]}" in appctl(site, "tunnel/show", "tt").stdout
    site.vsctl("del-port", "tt")


def test_ends_that_flows_name(site):
    site.vsctl("add-br", "br-flow", "--", "add-port", "br-flow", "tf", "--", "set", "Interface", "tf", "type=vxlan",
               "options:remote_ip=flow", "options:key=flow", "options:dst_port=4790")
    site.ofctl("add-flow", "br-flow", "priority=9,in_port=LOCAL,actions=set_field:192.0.2.1->tun_dst,tf")
    site.namespace.address("br-flow", "10.3.0.1/24")
    site.namespace.run("ping", "-c", "1", "-W", "1", "10.3.0.2", check=False)

    def named():
        return "to 192.0.2.1: tunnel_egress_iface=wan" in appctl(site, "tunnel/show", "tf").stdout
    until(named, "the way to the end that the flow names")
    site.vsctl("del-br", "br-flow")


def test_ports_and_commands(site):
    ports = appctl(site, "tnl/ports/show", "-v").stdout
    for line in "vxlan UDP 4789: vx", "geneve UDP 6081: gn", "l2tpv3 UDP 1701: lu", "l2tpv3 IP protocol 115: li", \
            "gre IP protocol 47: gr", "gpw IP protocol 252: g6", "gpw Ethernet: gl":
        assert line in ports
    commands = appctl(site, "list-commands").stdout
    assert all(name in commands for name in ("tunnel/show", "tnl/ports/show", "fragment/show"))
    fragments = appctl(site, "fragment/show").stdout
    assert all(name in fragments for name in ("completed", "overlap", "timed_out", "held_fragments"))
    nobody = appctl(site, "tunnel/show", "nope", check=False)
    assert nobody.returncode != 0 and "nope" in nobody.stderr


def test_counters_are_those_of_what_was_sent(site):
    site.host.run("ping", "-c", "1", "-W", "1", "10.0.0.99", check=False)

    def sent():
        return int(column(site, "vx", "statistics", "tunnel_tx_packets") or 0) > 0
    until(sent, "the statistics say that the tunnel sent", 15)
    assert int(column(site, "vx", "statistics", "tunnel_tx_bytes")) >= 92
    assert column(site, "vx", "statistics", "tunnel_rx_cookie") == "", "what is 0 is left out"
