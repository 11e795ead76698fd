"""The table of what is measured. One row: a name, the commands that set a switch up, the frames that
are replayed, and what each of them must look like when it comes out.

The commands are given verbatim to both switches; `{output}` is the device that is counted, and the
port that receives is added after them, so that the first frame meets a switch that is ready."""

import struct
from dataclasses import dataclass, field
from typing import Callable

import traffic

OUTER_MACS = (bytes.fromhex("020000000901"), bytes.fromhex("020000000902"))  # ours, the peer's
OURS, PEER, VNI = "10.9.0.1", "10.9.0.2", 42


@dataclass
class Row:
    name: str
    what: str
    frames: Callable[[], list]
    setup: list
    flows: list = field(default_factory=list)  # for `{flows}` in a command
    input: str = "br0"  # bridge of the port 1 that receives
    output: str = "br0"  # bridge of the port 2 that is counted
    restore: Callable[[bytes], bytes] = lambda frame: frame  # what came out -> what it must equal
    expected: Callable[[bytes], bytes] = lambda frame: frame  # what went in -> what it must equal
    floor: bool = False  # testpmd forwards the same frames


def bridge(name, *columns):
    return f"ovs-vsctl add-br {name} -- set bridge {name} datapath_type=netdev {' '.join(columns)}"


OUTPUT = "-- set interface p2 type=dpdk ofport_request=2 options:dpdk-devargs={output}"
SINGLE = [bridge("br0"), f"ovs-vsctl add-port br0 p2 {OUTPUT}", "ovs-ofctl del-flows br0"]
TUNNEL = (
    f"ovs-vsctl add-port br0 vx -- set interface vx type=vxlan ofport_request=9"
    f" options:remote_ip={PEER} options:key={VNI}"
)
UNDERLAY = [
    bridge("br-phy", f"other_config:hwaddr={OUTER_MACS[0].hex(':')}"),
    bridge("br0"),
    f"ip addr add {OURS}/24 dev br-phy",
    "ip link set br-phy up",
    f"ip neigh replace {PEER} lladdr {OUTER_MACS[1].hex(':')} dev br-phy nud permanent",
    "ovs-ofctl del-flows br-phy",
    "ovs-ofctl del-flows br0",
    TUNNEL,
    # Open vSwitch has a neighbour table of its own.
    f"ovs-only: ovs-appctl -t {{directory}}/ovs-vswitchd.ctl tnl/neigh/set br-phy {PEER} {OUTER_MACS[1].hex(':')}",
]


def without_outer(frame):
    """The inner frame of a VXLAN packet whose outer headers are right; else nothing."""
    if len(frame) < 64:
        return b""
    mac, version, protocol = frame[:12], frame[14], frame[23]
    port, flags_vni = struct.unpack_from("!H", frame, 36)[0], struct.unpack_from("!II", frame, 42)
    right = (
        mac == OUTER_MACS[1] + OUTER_MACS[0]
        and (version, protocol) == (0x45, 17)
        and frame[26:34] == traffic.ip(OURS) + traffic.ip(PEER)
        and traffic.checksum(frame[14:34]) == 0
        and struct.unpack_from("!H", frame, 16)[0] == len(frame) - 14
        and (port, flags_vni) == (4789, (0x08000000, VNI << 8))
    )
    return frame[50:] if right else b""


def encapsulated(count):
    return [traffic.vxlan(f, PEER, OURS, OUTER_MACS, VNI) for f in traffic.flows(count)]


def p2p(name, count):
    return Row(
        name=name,
        what=f"in_port=1,actions=output:2; {count:,} flow{'s' * (count > 1)}",
        frames=lambda: traffic.flows(count),
        setup=[*SINGLE, "ovs-ofctl add-flow br0 in_port=1,actions=output:2"],
        floor=True,
    )


ROWS = [
    p2p("p2p-1", 1),
    p2p("p2p-8k", 8000),
    Row(
        name="l3-8k",
        what="256 rules ip,nw_dst=10.0.X.0/24; 8,000 flows",
        frames=lambda: traffic.flows(8000),
        setup=[*SINGLE, "ovs-ofctl add-flows br0 {flows}"],
        flows=[f"ip,nw_dst=10.0.{net}.0/24,actions=output:2" for net in range(256)],
    ),
    Row(
        name="exact-8k",
        what="8,000 five-tuple rules; 8,000 flows",
        frames=lambda: traffic.flows(8000),
        setup=[*SINGLE, "ovs-ofctl add-flows br0 {flows}"],
        flows=[
            f"udp,nw_src=172.16.0.1,nw_dst=10.0.{n % 256}.5,udp_src={1024 + n},udp_dst=53,actions=output:2"
            for n in range(8000)
        ],
    ),
    Row(
        name="vxlan-encap-8k",
        what="in_port=1 to a VXLAN tunnel over another bridge; 8,000 flows",
        frames=lambda: traffic.flows(8000),
        setup=[
            *UNDERLAY,
            f"ovs-vsctl add-port br-phy p2 {OUTPUT}",
            "ovs-ofctl add-flow br-phy in_port=LOCAL,actions=output:2",
            "ovs-ofctl add-flow br0 in_port=1,actions=output:9",
        ],
        output="br-phy",
        restore=without_outer,
    ),
    Row(
        name="vxlan-decap-8k",
        what="VXLAN packets to our address, inner frames to a port; 8,000 flows",
        frames=lambda: encapsulated(8000),
        setup=[
            *UNDERLAY,
            f"ovs-vsctl add-port br0 p2 {OUTPUT}",
            "ovs-ofctl add-flow br-phy in_port=1,actions=LOCAL",
            "ovs-ofctl add-flow br0 in_port=9,actions=output:2",
        ],
        input="br-phy",
        expected=lambda frame: frame[50:],
    ),
]
