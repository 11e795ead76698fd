"""The emulated machine itself, without the switch: what it says of a tunnel can be relied on."""

import pytest
from lab import CommandFailed, until


def test_commands(linux):
    assert linux.run("uname", "-r").stdout.startswith("6.1.")
    assert linux.run("echo a b; exit 3", check=False).returncode == 3
    assert linux.run("echo", "'quoted'  word").stdout == "'quoted'  word\n"
    assert len(linux.run("head -c 300000 /dev/zero | tr '\\0' x").stdout) == 300000
    with pytest.raises(CommandFailed):
        linux.run("sleep 5", timeout=1)
    assert linux.run("true").returncode == 0


@pytest.mark.parametrize("near, far", [("192.168.200.101/24", "192.168.200.102/24"), ("fd00:200::101/64", "fd00:200::102/64")],
                         ids=["ipv4", "ipv6"])
def test_vxlan_with_the_hosts_kernel(lab, linux, near, far):
    here = lab.namespace("here")
    relay = linux.cable(here)
    here.address("uplink", near)
    linux.run(f"ip addr add {far} dev eth0 nodad")
    near, far = (address.split("/")[0] for address in (near, far))
    vxlan = "ip link add tun0 type vxlan id 42 dstport 4789 local {} remote {} df unset"
    here.run(*vxlan.format(near, far).split())
    here.run("ip", "link", "set", "tun0", "mtu", "1500")
    here.address("tun0", "172.31.0.1/24")
    route = "ip route replace 172.31.0.0/24 dev tun0 mtu lock 1500"  # it learns nothing of the tunnel's room
    here.run(*route.split())
    linux.run(vxlan.format(far, near))
    linux.run("ip link set tun0 mtu 1500 up; ip addr add 172.31.0.2/24 dev tun0")
    linux.run(route)
    until(lambda: here.ping("172.31.0.2"), "a first ping")
    linux.run("ping -n -q -c 2 -W 5 172.31.0.1")
    assert relay.rightward.fragments == relay.leftward.fragments == 0
    if ":" not in near:
        for reverse in False, True:
            relay.reverse = reverse
            for place in here, linux:
                target = "172.31.0.2" if place is here else "172.31.0.1"
                place.run("ping", "-n", "-q", "-M", "do", "-s", "1472", "-c", "2", "-i", "0.1", "-W", "5", target)
        assert relay.rightward.reversed >= 4 and relay.leftward.reversed >= 4
