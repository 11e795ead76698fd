"""The table of what is measured. One row: a name, the commands that set a switch up, the frames that
are replayed, and what must come out.

The commands are given verbatim to both switches; `{output}` is the device that is counted, and the
port that receives is added after them, so that the first frame meets a switch that is ready."""

from dataclasses import dataclass, field
from typing import Callable

import traffic
from tunnels import OUTER_MACS, OURS, PEER, TUNNELS, VXLAN

FLOWS = 8000
FULL_SIZE = 1514  # bytes of a frame with an MTU of 1500
LARGE_FLOWS = 256  # frames that the replaying driver copies out of the L2 cache, and not out of memory


@dataclass
class Row:
    name: str
    what: str
    frames: Callable[[], list]
    setup: list
    flows: list = field(default_factory=list)  # for `{flows}` in a command
    input: str = "br0"  # bridge of the port 1 that receives
    output: str = "br0"  # bridge of the port 2 that is counted
    arriving: int = 1  # frames that arrive for each one that is counted
    leaving: int = 1  # frames that leave for each one that is counted
    expected: Callable[[list], list] = lambda frames: frames  # what went in -> what must come out, in any order
    restore: Callable[[list], list] = lambda frames: frames  # what came out -> what it must equal
    floor: bool = False  # testpmd forwards the same frames
    dropping: tuple = ()  # switches that let none of these out: this is what is verified
    lacking: tuple = ()  # switches that have no such thing


def bridge(name, *columns):
    return f"ovs-vsctl add-br {name} -- set bridge {name} datapath_type=netdev {' '.join(columns)}"


OUTPUT = "-- set interface p2 type=dpdk ofport_request=2 options:dpdk-devargs={output}"
SINGLE = [bridge("br0"), f"ovs-vsctl add-port br0 p2 {OUTPUT}", "ovs-ofctl del-flows br0"]


def underlay(tunnel):
    """A bridge with a tunnel port 9, and another one with the address that its packets come from."""
    return [
        bridge("br-phy", f"other_config:hwaddr={OUTER_MACS[0].hex(':')}"),
        bridge("br0"),
        f"ip addr add {OURS}/24 dev br-phy",
        "ip link set br-phy up",
        f"ip neigh replace {PEER} lladdr {OUTER_MACS[1].hex(':')} dev br-phy nud permanent",
        "ovs-ofctl del-flows br-phy",
        "ovs-ofctl del-flows br0",
        f"ovs-vsctl add-port br0 tun -- set interface tun ofport_request=9 {tunnel.columns}",
        # Open vSwitch has a neighbour table of its own.
        f"ovs-only: ovs-appctl -t {{directory}}/ovs-vswitchd.ctl tnl/neigh/set br-phy {PEER} {OUTER_MACS[1].hex(':')}",
    ]


def encapsulation(tunnel, name, frames, **more):
    return Row(
        name=f"{tunnel.name}-{name}",
        frames=frames,
        setup=[
            *underlay(tunnel),
            f"ovs-vsctl add-port br-phy p2 {OUTPUT}",
            "ovs-ofctl add-flow br-phy in_port=LOCAL,actions=output:2",
            "ovs-ofctl add-flow br0 in_port=1,actions=output:9",
        ],
        output="br-phy",
        lacking=tunnel.lacking,
        **{"restore": lambda frames: [tunnel.inner(frame) for frame in frames], **more},
    )


def decapsulation(tunnel, name, frames, **more):
    return Row(
        name=f"{tunnel.name}-{name}",
        frames=frames,
        setup=[
            *underlay(tunnel),
            f"ovs-vsctl add-port br0 p2 {OUTPUT}",
            "ovs-ofctl add-flow br-phy in_port=1,actions=LOCAL",
            "ovs-ofctl add-flow br0 in_port=9,actions=output:2",
        ],
        input="br-phy",
        lacking=tunnel.lacking,
        **{"expected": lambda frames: [frame[tunnel.size :] for frame in frames], **more},
    )


def p2p(name, count):
    return Row(
        name=name,
        what=f"in_port=1,actions=output:2; {count:,} flow{'s' * (count > 1)}",
        frames=lambda: traffic.flows(count),
        setup=[*SINGLE, "ovs-ofctl add-flow br0 in_port=1,actions=output:2"],
        floor=True,
    )


def tunnel_rows(tunnel):
    yield encapsulation(
        tunnel, "encap-8k", lambda: traffic.flows(FLOWS),
        what=f"in_port=1 to a {tunnel.name} tunnel over another bridge; 8,000 flows",
    )
    yield decapsulation(
        tunnel, "decap-8k", lambda: [tunnel.outer(frame) for frame in traffic.flows(FLOWS)],
        what=f"{tunnel.name} packets to our address, inner frames to a port; 8,000 flows",
    )


def full_size():
    return traffic.flows(LARGE_FLOWS, FULL_SIZE)


def fragments():
    return [part for number, frame in enumerate(full_size()) for part in traffic.split(VXLAN.outer(frame), number, 1500)]


ROWS = [
    p2p("p2p-1", 1),
    p2p("p2p-8k", FLOWS),
    Row(
        name="l3-8k",
        what="256 rules ip,nw_dst=10.0.X.0/24; 8,000 flows",
        frames=lambda: traffic.flows(FLOWS),
        setup=[*SINGLE, "ovs-ofctl add-flows br0 {flows}"],
        flows=[f"ip,nw_dst=10.0.{net}.0/24,actions=output:2" for net in range(256)],
    ),
    Row(
        name="exact-8k",
        what="8,000 five-tuple rules; 8,000 flows",
        frames=lambda: traffic.flows(FLOWS),
        setup=[*SINGLE, "ovs-ofctl add-flows br0 {flows}"],
        flows=[
            f"udp,nw_src=172.16.0.1,nw_dst=10.0.{n % 256}.5,udp_src={1024 + n},udp_dst=53,actions=output:2"
            for n in range(FLOWS)
        ],
    ),
    *(row for tunnel in TUNNELS for row in tunnel_rows(tunnel)),
    encapsulation(
        VXLAN, "fragment", full_size,
        what="1,514-byte frames to a vxlan tunnel over MTU 1500: each leaves as two fragments; 256 flows",
        leaving=2,
        restore=lambda frames: [VXLAN.inner(frame) for frame in traffic.reassemble(frames)],
        floor=True,
        dropping=("ovs",),
    ),
    decapsulation(
        VXLAN, "reassemble", fragments,
        what="the same the other way: two fragments become a 1,514-byte frame; 256 flows",
        arriving=2,
        expected=lambda frames: full_size(),
        floor=True,
        dropping=("ovs",),
    ),
]
