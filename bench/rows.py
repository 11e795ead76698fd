"""The table of what is measured. One row: a name, the commands that set a switch up, the frames that
are replayed, and what must come out.

The commands are given verbatim to both switches; `{output[2]}` is the device of port 2, and the
ports that receive are added after them, so that the first frame meets a switch that is ready."""

import struct
from dataclasses import dataclass, field
from typing import Callable

import rulesets
import traffic
from figures import Wanted, mpps, ratio, times
from tunnels import GRE, OUTER_MACS, OURS, PEER, TUNNELS, VXLAN

FLOWS = 8000
FULL_SIZE = 1514  # bytes of a frame with an MTU of 1500
LARGE_FLOWS = 256  # frames that the replaying driver copies out of the L2 cache, and not out of memory


@dataclass
class Row:
    name: str
    what: str
    frames: Callable[[], list]
    setup: list
    wanted: Wanted | None = None
    plot: tuple = ()  # a curve of plot.py, and where on its axis this row is
    flows: Callable[[], list] = list  # for `{flows}` in a command
    input: str = "br0"  # bridge of the ports that receive
    receiving: tuple = ("",)  # a column or nothing for each port that receives its part of the frames: 1, 11, 12...
    output: str = "br0"  # bridge of the ports that are counted
    outputs: tuple = (2,)  # these; each of them gets its share
    silent: tuple = ()  # ports that nothing may leave by
    learnt: Callable[[], list] = list  # frames that port 2 received before, in bridges that learn
    arriving: int = 1  # frames that arrive for each one that is counted
    leaving: int = 1  # frames that leave for each one that is counted
    expected: Callable[[list], list] = lambda frames: frames  # what went in -> what must come out, in any order
    restore: Callable[[list], list] = lambda frames: frames  # what came out -> what it must equal
    verified: int = 1  # each so many-th frame is verified
    warm_up: float = 0  # seconds more than others
    huge_pages: int = 768  # of 2 MiB: Open vSwitch takes 512 MiB at start and the rest for its pools
    floor: bool = False  # testpmd forwards the same frames
    dropping: tuple = ()  # switches that let none of these out: this is what is verified
    lacking: tuple = ()  # switches that have no such thing


def bridge(name, *columns):
    return f"ovs-vsctl add-br {name} -- set bridge {name} datapath_type=netdev {' '.join(columns)}"


def port(bridge, number):
    """A port that sends."""
    return (
        f"ovs-vsctl add-port {bridge} p{number} -- set interface p{number} type=dpdk ofport_request={number}"
        f" options:dpdk-devargs={{output[{number}]}}"
    )


SINGLE = [bridge("br0"), port("br0", 2), "ovs-ofctl del-flows br0"]
RULES = [*SINGLE, "ovs-ofctl add-flows br0 {flows}"]


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
            port("br-phy", 2),
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
            port("br0", 2),
            "ovs-ofctl add-flow br-phy in_port=1,actions=LOCAL",
            "ovs-ofctl add-flow br0 in_port=9,actions=output:2",
        ],
        input="br-phy",
        lacking=tunnel.lacking,
        **{"expected": lambda frames: [frame[tunnel.size :] for frame in frames], **more},
    )


def counted(count, what="flow"):
    return f"{count:,} {what}{'s' * (count > 1)}"


def short(count):
    return {1: "1", FLOWS: "8k", 100_000: "100k", 1_000_000: "1m"}[count]


def p2p(count, bound):
    return Row(
        name=f"p2p-{short(count)}",
        what=f"`in_port=1,actions=output:2`; {counted(count)}",
        wanted=ratio(bound),
        frames=lambda: traffic.flows(count),
        setup=[*SINGLE, "ovs-ofctl add-flow br0 in_port=1,actions=output:2"],
        floor=True,
    )


def normal(name, what, **more):
    return Row(
        name=name,
        what=f"`actions=NORMAL`; {what}",
        wanted=ratio(0.55),
        setup=[
            bridge("br0", "other_config:mac-table-size=50000"),
            port("br0", 2),
            port("br0", 3),
            "ovs-ofctl del-flows br0",
            "ovs-ofctl add-flow br0 actions=NORMAL",
        ],
        silent=(3,),
        **more,
    )


def prefixes():
    return [f"ip,nw_dst=10.0.{net}.0/24,actions=output:2" for net in range(256)]


def l3(name, count, bound, **more):
    return Row(
        name=f"{name}-{short(count)}",
        what=f"256 rules `ip,nw_dst=10.0.X.0/24`; {counted(count)}",
        wanted=ratio(bound),
        plot=("l3", count),
        frames=lambda: traffic.flows(count),
        setup=RULES,
        flows=prefixes,
        **more,
    )


def five_tuple(n):
    """The rule of one of `traffic.flows`."""
    source, destination = traffic.ports(n)
    return f"udp,nw_src=172.16.0.1,nw_dst=10.0.{n % 256}.5,udp_src={source},udp_dst={destination},actions=output:2"


def exact(count):
    return Row(
        name=f"exact-{short(count)}",
        what=f"{count:,} five-tuple rules; 8,000 flows",
        wanted=ratio(0.3),
        plot=("exact", count),
        frames=lambda: traffic.flows(FLOWS),
        setup=RULES,
        flows=lambda: [five_tuple(n) for n in range(count)],
    )


def ruleset(kind, what, count):
    return Row(
        name=f"{kind}-{count // 1000}k",
        what=f"{count:,} rules as {what} have them, 8,000 frames that hit them",
        plot=(kind, count),
        frames=lambda: rulesets.frames(kind, count),
        setup=RULES,
        flows=lambda: rulesets.rules(kind, count),
        warm_up=1,
    )


def tunnel_rows(tunnel):
    wanted = {"encap": (0.65, 0.4), "decap": (0.45, 0.3)} if tunnel in (VXLAN, GRE) else {}
    for place, count in enumerate((1, FLOWS)):
        yield encapsulation(
            tunnel, f"encap-{short(count)}", lambda count=count: traffic.flows(count),
            what=f"`in_port=1` to a {tunnel.name} tunnel over another bridge; {counted(count)}",
            wanted=ratio(wanted["encap"][place]) if wanted else None,
        )
        yield decapsulation(
            tunnel, f"decap-{short(count)}", lambda count=count: [tunnel.outer(frame) for frame in traffic.flows(count)],
            what=f"{tunnel.name} packets to our address, inner frames to a port; {counted(count, 'inner flow')}",
            wanted=ratio(wanted["decap"][place]) if wanted else None,
        )


def full_size():
    return traffic.flows(LARGE_FLOWS, FULL_SIZE)


def fragments():
    return [part for number, frame in enumerate(full_size()) for part in traffic.split(VXLAN.outer(frame), number, 1500)]


def rewritten(frames):
    """What the row `rewrite` makes of frames without UDP checksum."""
    macs = bytes.fromhex("020000000009") + traffic.MAC_A
    tag = struct.pack("!HH", 0x8100, 7)
    headers = [(0, size, *rest, ttl - 1, protocol, traffic.ip("10.9.9.9"), destination)
               for _, size, *rest, ttl, protocol, _, destination in map(traffic.ipv4_fields, frames)]
    return [macs + tag + b"\x08\x00" + traffic.ipv4_header(header) + frame[34:] for frame, header in zip(frames, headers)]


REWRITE = ("set_field:02:00:00:00:00:09->eth_dst,set_field:10.9.9.9->ip_src,dec_ttl,"
           "push_vlan:0x8100,set_field:4103->vlan_vid,output:2")
PIPELINE = [
    "table=0,in_port=1,actions=load:1->NXM_NX_REG0[],resubmit(,1)",
    "table=1,reg0=1,actions=resubmit(,2)",
    "table=2,ip,actions=load:2->NXM_NX_REG1[],resubmit(,3)",
    "table=3,ip,nw_src=172.16.0.0/16,actions=resubmit(,4)",
    "table=4,udp,actions=resubmit(,5)",
    "table=5,ip,nw_dst=10.0.0.0/8,actions=resubmit(,6)",
    "table=6,reg1=2,actions=output:2",
]
BUCKETS = (2, 3, 4, 5)
# A device's frames are kept in its buffers, and Open vSwitch has at most 262,144 of a size: four devices, four sizes.
SIZES = ("", "mtu_request=2900", "mtu_request=3900", "mtu_request=4900")
RULESETS = {"acl": "access lists", "fw": "firewalls", "ipc": "chains of IP rules"}

ROWS = [
    p2p(1, 0.45),
    p2p(FLOWS, 0.45),
    normal(
        "normal-1k", "the destination is learnt, 1,000 flows",
        frames=lambda: traffic.flows(1000),
        learnt=lambda: [traffic.MAC_B * 2 + bytes(48)],
    ),
    normal(
        "normal-10k", "from 10,000 MACs to 10,000 others, all learnt",
        frames=lambda: traffic.mac_pairs(10_000),
        learnt=lambda: [frame[:6] * 2 + frame[12:] for frame in traffic.mac_pairs(10_000)],
    ),
    l3("l3", 1, 0.65),
    l3("l3", FLOWS, 0.35),
    exact(FLOWS),
    exact(100_000),
    l3("many", 100_000, 0.35, verified=10),
    l3("many", 1_000_000, 0.35, verified=100, receiving=SIZES, huge_pages=2900, warm_up=3),
    Row(
        name="rewrite",
        what="set both MACs and IP source, decrement TTL, push a VLAN tag; 8,000 flows",
        wanted=ratio(0.35),
        frames=lambda: traffic.flows(FLOWS),
        setup=[*SINGLE, f"ovs-ofctl -O OpenFlow13 add-flow br0 in_port=1,ip,actions={REWRITE}"],
        expected=rewritten,
    ),
    Row(
        name="pipeline",
        what="7 tables with resubmit and registers; 8,000 flows",
        wanted=ratio(0.3),
        frames=lambda: traffic.flows(FLOWS),
        setup=RULES,
        flows=lambda: PIPELINE,
    ),
    Row(
        name="select",
        what="a select group over 4 buckets, a port each; 8,000 flows",
        wanted=ratio(0.3),
        frames=lambda: traffic.flows(FLOWS),
        setup=[
            bridge("br0"),
            *(port("br0", number) for number in BUCKETS),
            "ovs-ofctl del-flows br0",
            f"ovs-ofctl -O OpenFlow13 add-group br0 group_id=1,type=select,{','.join(f'bucket=output:{n}' for n in BUCKETS)}",
            "ovs-ofctl -O OpenFlow13 add-flow br0 in_port=1,actions=group:1",
        ],
        outputs=BUCKETS,
    ),
    Row(
        name="meter",
        what="`udp,actions=meter:1,output:2`, a meter of 4 Tbit/s; 1,000 flows",
        wanted=ratio(0.55),
        frames=lambda: traffic.flows(1000),
        setup=[
            *SINGLE,
            "ovs-ofctl -O OpenFlow13 add-meter br0 meter=1,kbps,bands=type=drop,rate=4000000000",
            "ovs-ofctl -O OpenFlow13 add-flow br0 udp,actions=meter:1,output:2",
        ],
    ),
    *(row for tunnel in TUNNELS for row in tunnel_rows(tunnel)),
    encapsulation(
        VXLAN, "fragment", full_size,
        what="1,514-byte frames to a vxlan tunnel over MTU 1500: each leaves as two fragments; 256 flows",
        wanted=mpps(5),
        leaving=2,
        restore=lambda frames: [VXLAN.inner(frame) for frame in traffic.reassemble(frames)],
        floor=True,
        dropping=("ovs",),
    ),
    decapsulation(
        VXLAN, "reassemble", fragments,
        what="the same the other way: two fragments become a 1,514-byte frame; 256 flows",
        wanted=mpps(4),
        arriving=2,
        expected=lambda frames: full_size(),
        floor=True,
        dropping=("ovs",),
    ),
    Row(
        name="attack",
        what="an ACL of 4 rules on three fields; 8,000 packets that each differ in one bit of each field",
        wanted=times(2, "l3-8k"),
        frames=rulesets.attack_frames,
        setup=RULES,
        flows=rulesets.attack_rules,
        warm_up=4,
    ),
    *(ruleset(kind, what, count) for kind, what in RULESETS.items() for count in (1000, 10_000, 100_000)),
]
