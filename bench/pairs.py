"""The row `workers`: two workers on two CPUs, a pair of ports each, beside one worker with one pair.

A worker's rate is its packets by its own CPU time, so that what else runs on its CPU (control, this program) does not count."""

import os
import time

import traffic
from figures import Figure, Study, least
from rows import FLOWS, Row, bridge, port
from switches import Failed

PAIRS = ((1, 2), (11, 12))
BUSY = 0.05  # of a CPU; a worker that has less has nothing to forward


def row(pairs, cpus):
    return Row(
        name="workers",
        what="",
        frames=lambda: [frame for frame in traffic.flows(FLOWS) for _ in pairs],
        setup=[
            bridge("br0"),
            *(port("br0", output) for _, output in pairs),
            "ovs-ofctl del-flows br0",
            "ovs-ofctl add-flows br0 {flows}",
        ],
        flows=lambda: [
            f"in_port={first},ip,nw_dst=10.0.{net}.0/24,actions=output:{output}" for first, output in pairs for net in range(256)
        ],
        receiving=tuple(f"other_config:pmd-rxq-affinity=0:{cpu}" for cpu in cpus),
        outputs=tuple(output for _, output in pairs),
    )


def forward(bench, name, cpus):
    """Packets that left by each pair's port, and the CPU seconds of each worker."""
    table = row(PAIRS[: len(cpus)], cpus)
    with bench.switch(name, cpus) as switch:
        switch.configure(table, bench.sinks(table), bench.replays(table, table.frames()))
        time.sleep(bench.options.warm_up)
        sent, before = switch.sent_by_port(table), switch.threads_ns()
        time.sleep(bench.options.seconds)
        after, sent_now = switch.threads_ns(), switch.sent_by_port(table)
    packets = [sent_now[number] - sent[number] for number in table.outputs]
    times = sorted(ns - before.get(thread, 0) for thread, ns in after.items())[-len(cpus) :]
    return packets, [ns / 1e9 for ns in times]


def rate(packets, seconds):
    """Of workers that each serve one of the ports: which one, is told by like packets costing alike."""
    orders = (seconds, seconds[::-1])
    rates = [[count / spent for count, spent in zip(packets, order)] for order in orders]
    return min(rates, key=lambda rates: max(rates) / max(min(rates), 1))


def measure(bench, name):
    cpus = [bench.options.cpu, min(os.sched_getaffinity(0))]
    if cpus[0] == cpus[1]:
        raise Failed("two CPUs are needed")
    one = sum(rate(*forward(bench, name, cpus[:1])))
    packets, seconds = forward(bench, name, cpus)
    if min(seconds) < BUSY * bench.options.seconds or min(packets) == 0:
        raise Failed(f"{name}: not every worker forwards: packets {packets}, CPU seconds {seconds}")
    two = rate(packets, seconds)
    return {"one": one / 1e6, "two": sum(two) / 1e6, "least": min(two) / 1e6, "times": sum(two) / one}


STUDIES = [
    Study("workers", "two workers with a pair of ports each: 256 rules for each pair, 8,000 flows", measure, [
        Figure("one", "Mpps of one worker with one pair", "{:.2f}"),
        Figure("two", "Mpps of two workers", "{:.2f}"),
        Figure("least", "  of the slower one", "{:.2f}"),
        Figure("times", "  by those of one", "{:.2f}", least(1.9)),
    ]),
]
