"""The row `idle`: what a switch costs that has nothing to do, and how much later the first packet after that comes out.

Two veth pairs, whose inner ends are ports: once of DPDK (`net_af_packet`, which has to be polled), once as plain kernel
devices. CPU time is that of all threads of the daemon. A packet's time is from before it is sent on one outer end until this
program has it from the other one."""

import statistics
import time

import traffic
from figures import Figure, Study, most
from rows import Row, bridge
from switches import EVERY_PROTOCOL, Failed

ROUNDS = 20
PAUSE = 0.3  # seconds without a packet
FOLLOWING = 20  # packets right behind the first one, each when the one before is through
SECONDS_LEAST = 5
PORTS = {
    "dpdk": "ovs-vsctl add-port br0 p{0} -- set interface p{0} type=dpdk ofport_request={0}"
            " options:dpdk-devargs=net_af_packet{0},iface=plug{0}",
    "kernel": "ovs-vsctl add-port br0 plug{0} -- set interface plug{0} ofport_request={0}",
}


def row(kind):
    links = [
        command.format(number)
        for number in (1, 2)
        for command in ("ip link add wire{0} type veth peer name plug{0}", "ip link set wire{0} up", "ip link set plug{0} up")
    ]
    ports = [PORTS[kind].format(number) for number in (1, 2)]
    setup = [*links, bridge("br0"), *ports, "ovs-ofctl del-flows br0", "ovs-ofctl add-flow br0 in_port=1,actions=output:2"]
    return Row(name="idle", what="", frames=list, setup=setup, receiving=())


def through(wire, out, frame):
    """Microseconds that a frame needs."""
    started = time.monotonic_ns()
    wire.send(frame)
    while out.recv(2048) != frame:
        pass
    return (time.monotonic_ns() - started) / 1e3


def first_packets(switch):
    """Of packets after a pause, and of those right behind them."""
    wire, out = switch.raw_socket("wire1"), switch.raw_socket("wire2", EVERY_PROTOCOL)
    out.settimeout(5)
    frame, first, following = traffic.flows(1)[0], [], []
    try:
        for _ in range(ROUNDS):
            time.sleep(PAUSE)
            first.append(through(wire, out, frame))
            following += [through(wire, out, frame) for _ in range(FOLLOWING)]
    except TimeoutError as error:
        raise Failed("a packet did not come out") from error
    finally:
        wire.close()
        out.close()
    return first, statistics.median(following)


def measure(bench, name):
    figures = {}
    for kind in PORTS:
        with bench.switch(name) as switch:
            switch.configure(row(kind), {}, {})
            time.sleep(bench.options.warm_up)
            seconds = max(bench.options.seconds, SECONDS_LEAST)
            before, started = sum(switch.threads_ns().values()), time.monotonic_ns()
            time.sleep(seconds)
            share = (sum(switch.threads_ns().values()) - before) / (time.monotonic_ns() - started)
            first, following = first_packets(switch)
        figures |= {
            f"{kind}_share": share,
            f"{kind}_following": following,
            f"{kind}_added": (statistics.median(first) - following) / 1e3,
            f"{kind}_worst": (max(first) - following) / 1e3,
        }
    return figures


def kind_figures(kind, what):
    return [
        Figure(f"{kind}_share", f"{what}: share of a core, all threads", "{:.1%}", most(0.02, "{:.0%}")),
        Figure(f"{kind}_following", "  microseconds of a packet behind others", "{:.0f}"),
        Figure(f"{kind}_added", "  milliseconds added to the first one", "{:.2f}", most(1)),
        Figure(f"{kind}_worst", f"  the worst of {ROUNDS}", "{:.2f}"),
    ]


STUDIES = [
    Study("idle", "a switch with two ports and no traffic, and the first packet after that", measure, [
        *kind_figures("dpdk", "ports that have to be polled"),
        *kind_figures("kernel", "kernel devices as ports"),
    ]),
]
