"""The row `latency`: how long frames are under way through a switch that is half loaded.

A generator of our own (probe.c) is connected by shared memory (`net_memif`, both switches the same) and runs on a core of
its own: it sends frames of the row `l3-8k` by one device, and receives them by the other. First as many as get through,
then half of that, and for Tsunagi also half of what Open vSwitch lets through. What is measured is from before a frame is put into the
first ring until after it was taken out of the second one: rings, the copies of the drivers, and the switch."""

import json
import os
import subprocess

import rows
from figures import Figure, Study
from switches import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
TRAFFIC = next(row for row in rows.ROWS if row.name == "l3-8k")
DEVICE = "net_memif{number},id={number},socket={directory}/memif{number},socket-abstract=no,rsize=10"
RINGS = {"ovs": 2, "tsunagi": 1}  # from the switch: Open vSwitch's main thread has a queue of its own
QUANTILES = (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))


def build(directory):
    """The generator."""
    program = f"{directory}/probe"
    if not os.path.exists(program):
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libdpdk"], capture_output=True, text=True, check=True).stdout
        made = subprocess.run(
            ["cc", "-O2", "-o", program, f"{HERE}/probe.c", *flags.split()], capture_output=True, text=True, check=False)
        if made.returncode:
            raise Failed(f"probe.c does not compile: {made.stderr}")
    return program


def device(switch, number, role):
    return f"{DEVICE.format(number=number, directory=switch.directory)},role={role}"


def probe(bench, switch, program, loads, seconds):
    """What the generator says of each load, one after the other: as many frames as there is room for (0), half of that, a rate."""
    core = min(os.sched_getaffinity(0))
    vdevs = [f"--vdev={device(switch, number, 'client')}" for number in (1, 2)]
    # One connection for all loads: the driver takes the rings away from under the worker when it ends.
    done = subprocess.run(
        [program, f"--lcores=0@{core}", "--in-memory", "--no-pci", "--no-telemetry", *vdevs, "--", str(RINGS[switch.name]),
         f"{seconds:g}", *loads],
        capture_output=True, text=True, timeout=60 + 4 * seconds, check=False)
    if done.returncode:
        raise Failed(f"{switch.name}: probe: {done.stderr.strip()[-400:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def measure(bench, name):
    program = build(bench.directory)
    with bench.switch(name) as switch:
        switch.configure(TRAFFIC, *({number: device(switch, number, "server")} for number in (2, 1)))
        same = f"{bench.half['ovs']:.0f}" if "ovs" in bench.half else "half"
        found = probe(bench, switch, program, ["0", "half", same], bench.options.seconds)
    most = found[0]["received_pps"]
    if most == 0:
        raise Failed("nothing came back")
    bench.half.setdefault(name, most / 2)
    figures = {"mpps": most / 1e6}
    for load, got in zip(("own", "same"), found[1:]):
        figures |= {f"{load}_{key}": got[key] for key, _ in QUANTILES}
        figures |= {
            f"{load}_mpps": got["received_pps"] / 1e6,
            f"{load}_loss": max(0, 1 - got["received_pps"] / got["sent_pps"]),
            f"{load}_left_out": got["left_out"],
        }
    return figures


def load_figures(load, what):
    return [
        Figure(f"{load}_mpps", f"{what}: Mpps", "{:.2f}"),
        *(Figure(f"{load}_{key}", f"  {quantile}, microseconds", "{:.1f}") for key, quantile in QUANTILES),
        Figure(f"{load}_loss", "  lost", "{:.2%}"),
        Figure(f"{load}_left_out", "  left out, as the generator was interrupted", "{:.2%}"),
    ]


STUDIES = [
    Study("latency", "microseconds through a switch with 256 rules and 8,000 flows that is half loaded", measure, [
        Figure("mpps", "Mpps that get through at most", "{:.2f}"),
        *load_figures("own", "half of that"),
        *load_figures("same", "half of what Open vSwitch lets through"),
    ]),
]
